//! A browser at a node of a grid: its session, from the request to its end.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use reqwest::Method;
use serde_json::{Map, Value, json};
use url::{ParseError, Url};

use super::claim::Held;
use super::{Endpoint, Grid, GridError};
use crate::evidence::{BrokenFact, Fact, Recorder, SessionEndedFact, SessionFact};
use crate::spec::BrowserKind;
use crate::stage::capabilities::{self, chrome_user_agent};
use crate::stage::server::broken;

/// How often it is looked whether a session is still there: a grid tells nobody that one is gone.
const BETWEEN_LOOKS: Duration = Duration::from_secs(1);

/// How long a grid may take to forget a session that it has ended.
const FORGETS_WITHIN: Duration = Duration::from_secs(30);

/// A session with a browser at a node.
pub(in crate::stage) struct GridSession {
    endpoint: Endpoint,
    player: String,
    id: String,
    /// The address of the node, or the endpoint's where that is no grid.
    node: String,
    /// Whether it may end.
    ending: Arc<AtomicBool>,
    /// Until it was ended.
    held: Option<Held>,
    recorder: Recorder,
}

impl GridSession {
    /// Asks a grid for a browser for a player.
    ///
    /// # Errors
    /// There is no such browser, none is free for as long as it is waited for, or the grid does not answer.
    pub(in crate::stage) async fn start(
        grid: &Grid,
        kind: BrowserKind,
        player: &str,
        headed: bool,
        stage: &Path,
        recorder: &Recorder,
    ) -> Result<(Client, GridSession), GridError> {
        let wishes = grid.wishes(kind);
        let offer = grid.endpoint.offer().await?;
        if offer.has_slots() && offer.count(kind, &wishes).0 == 0 {
            return Err(GridError::NobodyHas {
                endpoint: grid.endpoint.to_string(),
                wanted: told(kind, &wishes),
                offered: offer.to_string(),
            });
        }
        let name = name(stage, player);
        let mut wanted = capabilities::on_grid(kind, headed);
        if offer.has_slots() {
            // Names are the grid's own: a driver alone does not know them.
            wanted.insert("se:name".to_owned(), name.clone().into());
        }
        for (capability, value) in &wishes {
            join(&mut wanted, capability, value);
        }
        let no_session = |why: String| GridError::NoSession {
            endpoint: grid.endpoint.to_string(),
            player: player.to_owned(),
            wanted: told(kind, &wishes),
            why,
        };
        let mut held = Held::new(&grid.endpoint, name, stage);
        let client = match ask(grid, wanted, recorder).await {
            Ok(client) => client,
            Err(why) => {
                let why = match why {
                    Some(why) => why,
                    None => grid.why_none(kind, &wishes).await,
                };
                if let Err(error) = held.give_back().await {
                    recorder.record_for(
                        player,
                        Fact::Absent {
                            oracle: "the end of the request for a session".to_owned(),
                            reason: error.to_string(),
                        },
                    );
                }
                return Err(no_session(why));
            }
        };
        let id = client
            .session_id()
            .await
            .map_err(|error| no_session(error.to_string()))?;
        let id = id.ok_or_else(|| no_session("it has no id".to_owned()))?;
        held.has(&id, None);
        let offer = grid.endpoint.offer().await?;
        let node = offer.node_of(&id).map(str::to_owned);
        held.has(&id, node.as_deref().and_then(|node| node.parse().ok()));
        let given = client.capabilities().cloned().unwrap_or_default();
        let given = |name: &str| given.get(name).and_then(Value::as_str).map(str::to_owned);
        let version = given("browserVersion").unwrap_or_default();
        if let (BrowserKind::Chrome, false) = (kind, headed) {
            let agent = UserAgent(chrome_user_agent(&version));
            let set = client.issue_cmd(agent).await;
            set.map_err(|error| no_session(format!("it does not take a user agent: {error}")))?;
        }
        let session = GridSession {
            endpoint: grid.endpoint.clone(),
            player: player.to_owned(),
            node: node.unwrap_or_else(|| grid.endpoint.to_string()),
            id,
            ending: Arc::default(),
            held: Some(held),
            recorder: recorder.clone(),
        };
        recorder.record_for(
            player,
            Fact::Session(SessionFact {
                endpoint: session.endpoint.to_string(),
                node: session.node.clone(),
                id: session.id.clone(),
                browser: given("browserName").unwrap_or_else(|| kind.to_string()),
                version,
                platform: given("platformName"),
            }),
        );
        session.watch();
        Ok((client, session))
    }

    /// The address of the node where it is.
    pub(in crate::stage) fn node(&self) -> &str {
        &self.node
    }

    /// Where it was asked for.
    pub(in crate::stage) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Ends the session, and with it the browser, and waits until the grid has it no more.
    ///
    /// # Errors
    /// It is still there, or the grid does not answer.
    pub(in crate::stage) async fn quit(&mut self) -> Result<(), GridError> {
        self.ending.store(true, Ordering::SeqCst);
        if let Some(held) = self.held.take() {
            held.give_back().await?;
        }
        let said = self.endpoint.forgets(&self.id, FORGETS_WITHIN).await?;
        let ended = SessionEndedFact {
            id: self.id.clone(),
            said,
        };
        self.recorder
            .record_for(&self.player, Fact::SessionEnded(ended));
        Ok(())
    }

    /// Ends the session, if it has not ended.
    pub(in crate::stage) async fn end(&mut self) {
        self.ending.store(true, Ordering::SeqCst);
        if let Some(held) = self.held.take()
            && let Err(error) = held.give_back().await
        {
            crate::stage::live::tell(&format!(
                "gymcheck: the {}'s session may be left on the grid: {error}",
                self.player
            ));
        }
    }

    /// Breaks the run when the session ends by itself, or nobody answers for it.
    fn watch(&self) {
        let (endpoint, id, node) = (self.endpoint.clone(), self.id.clone(), self.node.clone());
        let (ending, recorder, player) = (
            self.ending.clone(),
            self.recorder.clone(),
            self.player.clone(),
        );
        self.recorder.spawn(async move {
            loop {
                tokio::time::sleep(BETWEEN_LOOKS).await;
                let looked = endpoint.looks_after(&id).await;
                if ending.load(Ordering::SeqCst) {
                    return;
                }
                let error = match looked {
                    // A page is being loaded, perhaps. Who waits for it has a deadline of its own.
                    Ok(()) | Err(GridError::Silent { .. }) => continue,
                    Err(error) => error,
                };
                recorder.record(Fact::Broken(BrokenFact {
                    component: "grid".to_owned(),
                    reason: format!("the {player}'s session at the node {node} is lost: {error}"),
                    last_lines: Vec::new(),
                    worth_a_retry: true,
                }));
                return;
            }
        });
    }
}

impl Grid {
    /// Why it has given no session for as long as it was waited for.
    async fn why_none(&self, kind: BrowserKind, wishes: &Map<String, Value>) -> String {
        let waited = humantime::format_duration(self.patience);
        let waited = format!("it was waited for {waited} (--session-wait)");
        let Ok(offer) = self.endpoint.offer().await else {
            return waited;
        };
        match offer.count(kind, wishes) {
            _ if !offer.has_slots() => waited,
            (all, 0) => format!("{waited}, and all {all} of its slots for {kind} are taken"),
            (all, free) => format!(
                "{waited}, although {free} of its {all} slots for {kind} are free: none may have what was asked \
                 for; it has {offer}"
            ),
        }
    }
}

/// Makes the request. With no reason, it was not answered in time.
async fn ask(
    grid: &Grid,
    wanted: Map<String, Value>,
    recorder: &Recorder,
) -> Result<Client, Option<String>> {
    let endpoint = grid.endpoint.as_str();
    let asked = async {
        let client = match grid.endpoint.is_secure() {
            true => {
                let mut builder = ClientBuilder::new(secure().map_err(|error| error.to_string())?);
                builder.capabilities(wanted).connect(endpoint).await
            }
            false => {
                let mut builder = ClientBuilder::new(HttpConnector::new());
                builder.capabilities(wanted).connect(endpoint).await
            }
        };
        client.map_err(|error| first_line(&error.to_string()))
    };
    tokio::select! {
        asked = asked => asked.map_err(Some),
        () = broken(recorder) => Err(Some("the run broke before".to_owned())),
        () = tokio::time::sleep(grid.patience) => Err(None),
    }
}

/// How a grid behind TLS is reached. Whose certificate is good is this machine's to say.
fn secure() -> std::io::Result<HttpsConnector<HttpConnector>> {
    let builder = HttpsConnectorBuilder::new()
        .with_provider_and_platform_verifier(rustls::crypto::ring::default_provider())?;
    Ok(builder.https_only().enable_http1().build())
}

fn first_line(said: &str) -> String {
    said.lines().next().unwrap_or_default().to_owned()
}

/// What a request is called: a name that nobody else has.
fn name(stage: &Path, player: &str) -> String {
    let stage = stage.file_name().unwrap_or_default().to_string_lossy();
    // Folders of two machines may be called the same.
    let number = getrandom::u32().unwrap_or_default();
    format!("{stage}-{player}-{number:08x}")
}

/// What was asked for, in words.
fn told(kind: BrowserKind, wishes: &Map<String, Value>) -> String {
    match wishes.is_empty() {
        true => kind.to_string(),
        false => format!("{kind} {}", Value::from(wishes.clone())),
    }
}

/// Puts a capability to others. Options of a browser are put to its other options.
fn join(capabilities: &mut Map<String, Value>, name: &str, value: &Value) {
    match (capabilities.get_mut(name), value) {
        (Some(Value::Object(has)), Value::Object(more)) => {
            for (name, value) in more {
                join(has, name, value);
            }
        }
        (Some(Value::Array(has)), Value::Array(more)) => has.extend(more.iter().cloned()),
        _ => drop(capabilities.insert(name.to_owned(), value.clone())),
    }
}

/// Has Chromium call itself by this name. Its version is known only when there is a session.
#[derive(Debug)]
struct UserAgent(String);

impl WebDriverCompatibleCommand for UserAgent {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, ParseError> {
        let session = session.unwrap_or_default();
        base.join(&format!("session/{session}/goog/cdp/execute"))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        let command = json!({
            "cmd": "Emulation.setUserAgentOverride",
            "params": {"userAgent": self.0},
        });
        (Method::POST, Some(command.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wishes_add_to_what_a_browser_gets_and_replace_nothing_of_it() {
        let object = |value: Value| value.as_object().unwrap().clone();
        let mut has = object(json!({"goog:chromeOptions": {"args": ["--a"]}, "x:y": 1}));
        let wishes = json!({"goog:chromeOptions": {"args": ["--b"], "binary": "c"}, "x:y": 2});
        for (name, value) in object(wishes) {
            join(&mut has, &name, &value);
        }
        let options = json!({"args": ["--a", "--b"], "binary": "c"});
        assert_eq!(has["goog:chromeOptions"], options);
        assert_eq!(has["x:y"], 2);
    }
}

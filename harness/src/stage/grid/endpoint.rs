//! Where a grid takes WebDriver commands, and what is asked of it beside a browser's own session.

use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;

use super::GridError;
use super::offer::Offer;
use crate::causes::with_causes;
use crate::stage::deadline;

/// How often a grid is asked whether it has forgotten a session.
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);

/// For an answer to what is asked beside all sessions.
const ANSWER: Duration = Duration::from_secs(30);

/// For the end of a session: a driver lets its browser finish loading a page before.
const END: Duration = Duration::from_secs(deadline::REACHED.as_secs() + 30);

/// For a connection to it.
const CONNECT: Duration = Duration::from_secs(10);

/// What a grid with a registration secret wants to be told; the variable has the name that the grid's own
/// containers know.
const SECRET: &str = "SE_REGISTRATION_SECRET";
const SECRET_HEADER: &str = "X-REGISTRATION-SECRET";

/// What all requests are made with: to make it takes reading what this machine trusts. It keeps no connection, for
/// who asks last may be in another runtime than who asked first.
static CLIENT: LazyLock<reqwest::Result<reqwest::Client>> = LazyLock::new(|| {
    // Only the first one in a process is taken.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy();
    let client = client.connect_timeout(CONNECT).pool_max_idle_per_host(0);
    client.build()
});

/// WebDriver's code where a session is not there, W3C WebDriver 6.6.
pub(super) const NO_SUCH_SESSION: &str = "invalid session id";

/// The address of a grid, or of another WebDriver endpoint. It is told without the password that it may have.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Endpoint(Url);

impl FromStr for Endpoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Endpoint, String> {
        let example = "an address as http://grid.example:4444";
        let mut url = Url::parse(text).map_err(|error| format!("{error}: it is {example}"))?;
        if !["http", "https"].contains(&url.scheme()) || url.host().is_none() {
            return Err(format!("it is {example}"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(format!("it is {example}, without a query"));
        }
        // Commands are below it.
        if !url.path().ends_with('/') {
            url.set_path(&format!("{}/", url.path()));
        }
        Ok(Endpoint(url))
    }
}

impl From<Endpoint> for String {
    /// Whole, as it was given.
    fn from(endpoint: Endpoint) -> String {
        endpoint.0.into()
    }
}

impl TryFrom<String> for Endpoint {
    type Error = String;

    fn try_from(text: String) -> Result<Endpoint, String> {
        text.parse()
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut told = self.0.clone();
        // An address that has a host takes both.
        let _ = told.set_username("");
        let _ = told.set_password(None);
        f.write_str(told.as_str().trim_end_matches('/'))
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endpoint({self})")
    }
}

impl Endpoint {
    /// As WebDriver clients take it.
    pub(super) fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Whether it is behind TLS.
    pub(super) fn is_secure(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// The host that it names.
    pub(super) fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default()
    }

    /// What its nodes offer and do now.
    pub(super) async fn offer(&self) -> Result<Offer, GridError> {
        let status = self.ask(Method::GET, "status", "tell its status").await?;
        Ok(Offer::read(&status))
    }

    /// Whether a session answers. It is asked for its time-outs: no page has a part in that.
    pub(super) async fn looks_after(&self, session: &str) -> Result<(), GridError> {
        let path = format!("session/{session}/timeouts");
        let asked = self.ask(Method::GET, &path, "tell of a session");
        asked.await.map(drop)
    }

    /// Waits until a session that was ended is there no more. Gives what is said of it then.
    ///
    /// A grid's parts learn of it one after the other: while its router still knows the session, its node has no
    /// handler for it any more.
    pub(super) async fn forgets(
        &self,
        session: &str,
        within: Duration,
    ) -> Result<String, GridError> {
        let end = Instant::now() + within;
        loop {
            let error = match self.looks_after(session).await {
                Err(GridError::Refused { code, said, .. }) if code == NO_SUCH_SESSION => {
                    return Ok(said);
                }
                Err(error @ GridError::Refused { .. }) => error,
                Err(error) => return Err(error),
                Ok(()) => GridError::Refused {
                    endpoint: self.to_string(),
                    what: "end a session".to_owned(),
                    said: "it is still there".to_owned(),
                    code: String::new(),
                },
            };
            if Instant::now() >= end {
                return Err(error);
            }
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
    }

    /// Ends a session. One that is not there has ended.
    pub(super) async fn end(&self, session: &str) -> Result<(), GridError> {
        let path = format!("session/{session}");
        let asked = self.ask_within(END, Method::DELETE, &path, "end a session");
        match asked.await {
            Err(GridError::Refused { code, .. }) if code == NO_SUCH_SESSION => Ok(()),
            ended => ended.map(drop),
        }
    }

    /// Takes requests for a session of this name out of its queue, if it has one. Gives how many there were.
    pub(super) async fn withdraw(&self, name: &str) -> Result<usize, GridError> {
        let queue = "se/grid/newsessionqueue";
        let what = "tell its queue";
        let asked = self.ask(Method::GET, &format!("{queue}/queue"), what).await;
        let waiting = match asked {
            Ok(waiting) => waiting,
            // Other endpoints have none.
            Err(GridError::Refused { .. }) => return Ok(0),
            Err(error) => return Err(error),
        };
        let requests = waiting.as_array().into_iter().flatten();
        let ours: Vec<&str> = requests
            .filter(|request| {
                let wanted = request["capabilities"].as_array().into_iter().flatten();
                let mut names = wanted.map(|wanted| &wanted["se:name"]);
                names.any(|one| one == name)
            })
            .filter_map(|request| request["requestId"].as_str())
            .collect();
        for id in &ours {
            let what =
                format!("take a request out of its queue ({SECRET} says its registration secret)");
            let path = format!("{queue}/session/{id}");
            self.ask(Method::POST, &path, &what).await?;
        }
        Ok(ours.len())
    }

    /// Makes a request; gives the answer's `value`.
    async fn ask(&self, method: Method, path: &str, what: &str) -> Result<Value, GridError> {
        self.ask_within(ANSWER, method, path, what).await
    }

    async fn ask_within(
        &self,
        within: Duration,
        method: Method,
        path: &str,
        what: &str,
    ) -> Result<Value, GridError> {
        let unreachable = |error: reqwest::Error| match error.is_timeout() && !error.is_connect() {
            true => GridError::Silent {
                endpoint: self.to_string(),
                what: what.to_owned(),
                within,
            },
            false => GridError::Unreachable {
                endpoint: self.to_string(),
                why: with_causes(&error.without_url()),
            },
        };
        let client = CLIENT.as_ref().map_err(|error| GridError::Unreachable {
            endpoint: self.to_string(),
            why: with_causes(error),
        })?;
        let url = self.0.join(path).unwrap_or_else(|_| self.0.clone());
        let mut request = client.request(method.clone(), url).timeout(within);
        if method == Method::POST {
            let secret = std::env::var(SECRET).unwrap_or_default();
            request = request.header(SECRET_HEADER, secret);
        }
        let answer = request.send().await.map_err(unreachable)?;
        let status = answer.status();
        let body = answer.bytes().await.map_err(unreachable)?;
        let mut body: Value = serde_json::from_slice(&body).unwrap_or_default();
        let value = body["value"].take();
        if status.is_success() {
            return Ok(value);
        }
        let said = value["message"]
            .as_str()
            .and_then(|said| said.lines().next());
        Err(GridError::Refused {
            endpoint: self.to_string(),
            what: what.to_owned(),
            said: said.map_or_else(|| format!("HTTP status {status}"), str::to_owned),
            code: value["error"].as_str().unwrap_or_default().to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use axum::Router;
    use axum::http::StatusCode;
    use axum::routing::get;

    use super::*;

    /// What a Selenium Grid says of a session: while it is there, when only its router knows it, and when nobody
    /// does.
    const HAS: (StatusCode, &str) = (StatusCode::OK, r#"{"value": {"script": 30000}}"#);
    const HALF_GONE: (StatusCode, &str) = (
        StatusCode::NOT_FOUND,
        r#"{"value": {"error": "unknown command", "message": "Unable to find handler for (GET) /session/a/timeouts"}}"#,
    );
    const GONE: (StatusCode, &str) = (
        StatusCode::NOT_FOUND,
        r#"{"value": {"error": "invalid session id", "message": "Unable to find session with ID: a"}}"#,
    );

    /// An endpoint that says one after the other, and stays with the last.
    async fn saying(answers: &'static [(StatusCode, &'static str)]) -> Endpoint {
        let asked = Arc::new(AtomicUsize::new(0));
        let next = move || async move {
            let last = answers.len() - 1;
            answers[asked.fetch_add(1, Ordering::SeqCst).min(last)]
        };
        let door = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = door.local_addr().unwrap();
        let router = Router::new().route("/session/a/timeouts", get(next));
        tokio::spawn(async move { axum::serve(door, router).await });
        format!("http://{address}").parse().unwrap()
    }

    #[tokio::test]
    async fn a_session_is_gone_when_all_of_a_grid_have_forgotten_it() {
        const LONG: Duration = Duration::from_secs(60);
        let grid = saying(&[HAS, HALF_GONE, HALF_GONE, GONE]).await;
        let said = grid.forgets("a", LONG).await.unwrap();
        assert_eq!(said, "Unable to find session with ID: a");
        let grid = saying(&[HALF_GONE]).await;
        let error = grid.forgets("a", BETWEEN_LOOKS * 2).await.unwrap_err();
        assert!(error.to_string().contains("find handler"), "{error}");
        let grid = saying(&[HAS]).await;
        let error = grid.forgets("a", BETWEEN_LOOKS * 2).await.unwrap_err();
        assert!(error.to_string().contains("still there"), "{error}");
    }

    #[test]
    fn an_address_is_told_without_its_password() {
        let grid: Endpoint = "http://me:secret@grid.example:4444/wd/hub".parse().unwrap();
        assert_eq!(grid.to_string(), "http://grid.example:4444/wd/hub");
        assert!(!format!("{grid:?}").contains("secret"));
        assert!(grid.as_str().ends_with("/wd/hub/"));
        for wrong in [
            "grid:4444",
            "grid.example",
            "http://",
            "http://a/?b",
            "ftp://a",
        ] {
            assert!(wrong.parse::<Endpoint>().is_err(), "{wrong}");
        }
    }
}

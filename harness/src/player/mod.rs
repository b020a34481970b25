//! A person at a browser: reach a scene, play, answer a survey, leave.
//!
//! Players act with WebDriver input, and wait on what the evidence shows.

mod form;
mod keys;
mod leave;

use std::time::Duration;

use fantoccini::Client;
use fantoccini::elements::Element;
use fantoccini::error::{CmdError, ErrorStatus};
use fantoccini::wd::Locator;
use serde_json::Value;
use thiserror::Error;
use tokio::time::Instant;
use url::Url;

use crate::evidence::{
    ActionFact, Awaited, BrokenFact, Direction, Event, Fact, Log, Origin, Packet, PageFact,
    Recorder, WaitError,
};
use crate::spec::PlayerName;
use crate::stage::{BrowserSession, StageError, deadline};

pub use keys::Hands;
pub use leave::{Hidden, SpareTab};

/// Why a player could not do what the spec asks.
#[derive(Debug, Clone, Error)]
pub enum PlayerError {
    /// The target did not do, in time, what was awaited, or did not let the player act. All else
    /// was alive.
    #[error("{0}")]
    Missed(String),
    /// The experiment has not what the spec asks for, as another game. Nobody did anything wrong.
    #[error("{0}")]
    NotOffered(String),
    /// The run could not be carried out.
    #[error("{}", .0.reason)]
    Broken(BrokenFact),
}

impl From<WaitError> for PlayerError {
    fn from(error: WaitError) -> PlayerError {
        match error {
            WaitError::Deadline { .. } => PlayerError::Missed(error.to_string()),
            WaitError::Broken { broken, .. } => PlayerError::Broken(broken),
        }
    }
}

impl From<StageError> for PlayerError {
    fn from(error: StageError) -> PlayerError {
        PlayerError::Broken(error.as_broken())
    }
}

/// How Pyodide names an error that Python code raised.
const PYTHON_ERROR: &str = "PythonError";

/// What a person can read in a page.
const PAGE_TEXT: &str = "return document.body ? document.body.innerText : ''";

/// How much of it is told, in characters.
const LONGEST_TEXT: usize = 300;

/// One of the two people.
#[derive(Clone)]
pub struct Player {
    /// Who.
    pub name: PlayerName,
    client: Client,
    origin: String,
    recorder: Recorder,
}

impl Player {
    /// A person at this browser, for whom the experiment is at `origin`.
    #[must_use]
    pub fn new(
        name: PlayerName,
        browser: &BrowserSession,
        origin: String,
        recorder: &Recorder,
    ) -> Player {
        Player {
            name,
            client: browser.client.clone(),
            origin,
            recorder: recorder.clone(),
        }
    }

    /// Opens the experiment, and passes its start scene to the first GymScene.
    ///
    /// # Errors
    /// The page does not get that far, or the run broke.
    pub async fn enter(&self) -> Result<(), PlayerError> {
        self.open().await?;
        let ready = "the page's Python runtime to be loaded";
        self.wait_to_server(0, deadline::LOAD, "pyodide_loading_complete", ready)
            .await?;
        let start = self.recorder.len();
        self.click("#advanceButton").await?;
        self.wait_scene(start, "GymScene", "the GymScene").await?;
        Ok(())
    }

    /// Opens an experiment that nobody here knows, and waits for its first scene.
    ///
    /// # Errors
    /// There is none, or the run broke.
    pub async fn enter_unknown(&self) -> Result<(), PlayerError> {
        self.open().await?;
        let first = "the first scene";
        self.wait_to_client(0, deadline::LOAD, "activate_scene", first)
            .await?;
        Ok(())
    }

    /// Presses Start in a GymScene, and waits until the game runs.
    ///
    /// # Errors
    /// No game comes to be, or the run broke.
    pub async fn start(&self) -> Result<(), PlayerError> {
        let start = self.recorder.len();
        self.press_start().await?;
        self.matched(start).await
    }

    /// Presses Start in a GymScene, and waits until the page asks for a partner.
    ///
    /// # Errors
    /// There is no Start to be pressed, or the run broke.
    pub async fn press_start(&self) -> Result<(), PlayerError> {
        let start = self.recorder.len();
        // It is there once the environment has been loaded.
        tokio::select! {
            clicked = self.click_within(deadline::LOAD, "#startButton") => clicked?,
            failed = self.environment_failed() => return Err(failed),
        }
        let joined = "the Start button to join";
        self.wait_to_server(start, deadline::REACTION, "join_game", joined)
            .await?;
        Ok(())
    }

    /// Waits until the game runs that the page has asked for, from a position of the evidence on.
    ///
    /// # Errors
    /// No game comes to be, or the run broke.
    pub async fn matched(&self, from: u64) -> Result<(), PlayerError> {
        // From here on the other player has to come as well.
        self.wait_to_client(from, deadline::LOAD, "start_game", "the game to start")
            .await?;
        Ok(())
    }

    /// Ends when the page's Python has raised an error that nobody caught while the environment of the game was
    /// loaded, and says which.
    async fn environment_failed(&self) -> PlayerError {
        let what = "an error of the environment";
        let python = |event: &Event| match self.page_fact(event) {
            Some(PageFact::Error { message, .. } | PageFact::Rejection { message, .. }) => {
                message.contains(PYTHON_ERROR)
            }
            _ => false,
        };
        let from = loads_from(&self.recorder.log(), self.name);
        let raised = self
            .recorder
            .wait(from, deadline::LOAD * 2, what, python)
            .await;
        match raised {
            Ok(event) => {
                let said = match self.page_fact(&event) {
                    Some(PageFact::Error { message, .. } | PageFact::Rejection { message, .. }) => {
                        message.trim().lines().next_back().unwrap_or_default()
                    }
                    _ => "",
                };
                PlayerError::Missed(format!(
                    "the environment failed in the {}'s browser: {said}",
                    self.name
                ))
            }
            Err(error) => error.into(),
        }
    }

    async fn open(&self) -> Result<(), PlayerError> {
        self.act(&format!("open {}", self.origin), Value::Null);
        self.within(
            deadline::LOAD,
            "open the page",
            self.client.goto(&self.origin),
        )
        .await?;
        self.recorder
            .wait(
                0,
                deadline::PROBE,
                &format!("the probe of the {}'s page", self.name),
                |event| {
                    self.page_fact(event)
                        .is_some_and(|fact| matches!(fact, PageFact::Hello { .. }))
                },
            )
            .await?;
        Ok(())
    }

    /// The id under which the target knows this player: the last part of the address of its newest
    /// page, as that page's probe told it. The driver may be at another tab.
    ///
    /// # Errors
    /// No page of the player was ever there.
    pub fn subject(&self) -> Result<String, PlayerError> {
        let log = self.recorder.log();
        let address = log.events().iter().rev().find_map(|event| {
            self.page_fact(event).and_then(|fact| match fact {
                PageFact::Hello { url, .. } => Url::parse(url).ok(),
                _ => None,
            })
        });
        let subject = address
            .as_ref()
            .and_then(|url| url.path_segments()?.next_back());
        subject.map(str::to_owned).ok_or_else(|| {
            PlayerError::Missed(format!("no page of the {} said its address", self.name))
        })
    }

    /// A picture of the page, as PNG.
    ///
    /// # Errors
    /// The browser does not answer.
    pub async fn screenshot(&self) -> Result<Vec<u8>, PlayerError> {
        self.command("take a screenshot", self.client.screenshot())
            .await
    }

    /// Waits for an event that this player's page sends.
    ///
    /// # Errors
    /// It does not come, or the run broke.
    pub async fn wait_to_server(
        &self,
        from: u64,
        within: Duration,
        event: &str,
        what: &str,
    ) -> Result<Awaited, PlayerError> {
        self.wait_socket_event(from, within, Direction::ToServer, event, what, |_| true)
            .await
    }

    /// Waits for an event that this player's page receives.
    ///
    /// # Errors
    /// It does not come, or the run broke.
    pub async fn wait_to_client(
        &self,
        from: u64,
        within: Duration,
        event: &str,
        what: &str,
    ) -> Result<Awaited, PlayerError> {
        self.wait_socket_event(from, within, Direction::ToClient, event, what, |_| true)
            .await
    }

    /// Waits until the target activates a scene of this type for this player.
    ///
    /// # Errors
    /// It does not come, or the run broke.
    pub async fn wait_scene(
        &self,
        from: u64,
        scene_type: &str,
        what: &str,
    ) -> Result<Awaited, PlayerError> {
        self.wait_socket_event(
            from,
            deadline::REACTION,
            Direction::ToClient,
            "activate_scene",
            what,
            |args| {
                args.first()
                    .and_then(|scene| scene.get("scene_type"))
                    .and_then(Value::as_str)
                    .is_some_and(|found| found == scene_type)
            },
        )
        .await
    }

    async fn wait_socket_event(
        &self,
        from: u64,
        within: Duration,
        direction: Direction,
        name: &str,
        what: &str,
        question: impl Fn(&[Value]) -> bool,
    ) -> Result<Awaited, PlayerError> {
        let what = format!("{what} (`{name}`, {})", self.name);
        let found = self
            .recorder
            .wait(from, within, &what, |event| {
                self.is_mine(event) && socket_event(event, direction, name).is_some_and(&question)
            })
            .await?;
        Ok(found)
    }

    /// Whether an event concerns this player.
    #[must_use]
    pub fn is_mine(&self, event: &Event) -> bool {
        event.player.as_deref() == Some(self.name.as_str())
    }

    /// What this player's page tells, if an event is that.
    #[must_use]
    pub fn page_fact<'a>(&self, event: &'a Event) -> Option<&'a PageFact> {
        match &event.fact {
            Fact::Page(page) if self.is_mine(event) => Some(&page.what),
            _ => None,
        }
    }

    /// Clicks on a control as soon as it is there and enabled.
    async fn click(&self, selector: &str) -> Result<(), PlayerError> {
        self.click_within(deadline::REACTION, selector).await
    }

    async fn click_within(&self, within: Duration, selector: &str) -> Result<(), PlayerError> {
        // A search that is under way may take longer than there is time.
        let found = self
            .within(
                within + deadline::COMMAND,
                &format!("find {selector}"),
                self.shown(&format!("{selector}:not([disabled])"), within),
            )
            .await?;
        let Some(element) = found else {
            return Err(self.cannot_press(selector, within).await);
        };
        self.act(&format!("click {selector}"), Value::Null);
        self.command(&format!("click {selector}"), element.click())
            .await
    }

    /// Waits until an element is there and can be seen; `None` if that does not come to be.
    async fn shown(&self, selector: &str, within: Duration) -> Result<Option<Element>, CmdError> {
        const BETWEEN_LOOKS: Duration = Duration::from_millis(50);
        let end = Instant::now() + within;
        while Instant::now() < end {
            for element in self.client.find_all(Locator::Css(selector)).await? {
                // The page may have taken it away in the meantime.
                if element.is_displayed().await.unwrap_or(false) {
                    return Ok(Some(element));
                }
            }
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
        Ok(None)
    }

    /// Why a person could not press a control, and what the page says to that person.
    async fn cannot_press(&self, selector: &str, within: Duration) -> PlayerError {
        let look = async {
            let all = self.client.find_all(Locator::Css(selector)).await?;
            let mut state = if all.is_empty() {
                "none is there"
            } else {
                "it is hidden"
            };
            for element in all {
                if element.is_displayed().await.unwrap_or(false) {
                    state = "it is disabled";
                }
            }
            let text = self.client.execute(PAGE_TEXT, Vec::new()).await?;
            Ok((state, text))
        };
        let (state, text) = match self.command(&format!("look at {selector}"), look).await {
            Ok(seen) => seen,
            Err(error) => return error,
        };
        let text = text.as_str().unwrap_or_default();
        let words: Vec<&str> = text.split_whitespace().collect();
        let text: String = words.join(" ").chars().take(LONGEST_TEXT).collect();
        PlayerError::Missed(format!(
            "the {} waited {} s for a {selector} that can be pressed: {state}; the page says: {}",
            self.name,
            within.as_secs(),
            if text.is_empty() { "nothing" } else { &text },
        ))
    }

    /// Says in the evidence what this player does.
    fn act(&self, action: &str, value: Value) {
        self.recorder.record_for(
            self.name.as_str(),
            Fact::Action(ActionFact {
                action: action.to_owned(),
                value,
            }),
        );
    }

    /// Gives a WebDriver command the usual deadline.
    async fn command<T>(
        &self,
        what: &str,
        command: impl Future<Output = Result<T, CmdError>>,
    ) -> Result<T, PlayerError> {
        self.within(deadline::COMMAND, what, command).await
    }

    /// Gives a WebDriver command a deadline, ends it when the run breaks, and tells what a failure
    /// means.
    async fn within<T>(
        &self,
        within: Duration,
        what: &str,
        command: impl Future<Output = Result<T, CmdError>>,
    ) -> Result<T, PlayerError> {
        tokio::select! {
            answer = command => answer.map_err(|error| self.command_failed(what, &error)),
            given_up = self.recorder.pass(within, what) => Err(match given_up {
                Err(broken) => broken.into(),
                Ok(()) => self.driver_broken(format!(
                    "the {}'s WebDriver command to {what} did not return within {} s",
                    self.name,
                    within.as_secs()
                )),
            }),
        }
    }

    /// What a failed command means: the page may not let the player act, which is the target's
    /// doing; all else is the harness's own world.
    fn command_failed(&self, what: &str, error: &CmdError) -> PlayerError {
        let by_the_page = matches!(error, CmdError::Standard(error) if matches!(
            error.error,
            ErrorStatus::ElementClickIntercepted
                | ErrorStatus::ElementNotInteractable
                | ErrorStatus::NoSuchElement
                | ErrorStatus::StaleElementReference
                | ErrorStatus::InvalidElementState
                | ErrorStatus::UnexpectedAlertOpen
        ));
        // Drivers add lines about themselves.
        let said = error.to_string();
        let said = said.lines().next().unwrap_or_default();
        let reason = format!("the {} could not {what}: {said}", self.name);
        if by_the_page {
            PlayerError::Missed(reason)
        } else if is_crash(error) {
            PlayerError::Broken(BrokenFact {
                component: "browser".to_owned(),
                reason: format!("the {}'s tab crashed: it could not {what}", self.name),
                last_lines: Vec::new(),
                worth_a_retry: true,
            })
        } else {
            self.driver_broken(reason)
        }
    }

    fn driver_broken(&self, reason: String) -> PlayerError {
        PlayerError::Broken(BrokenFact {
            component: "driver".to_owned(),
            reason,
            last_lines: Vec::new(),
            worth_a_retry: true,
        })
    }
}

/// Whether a command failed because the page's process is gone: Chromium shows a page in its place. (Firefox
/// ends as a whole under its driver.)
fn is_crash(error: &CmdError) -> bool {
    // No error code of the standard: the driver's own.
    matches!(error, CmdError::NotW3C(Value::String(code)) if code == "tab crashed")
}

/// The position of the evidence from which on an error of a player's page may keep the game from starting where it
/// stands: from the beginning, or, where a game has started before, from where its newest scene was activated.
fn loads_from(log: &Log, name: PlayerName) -> u64 {
    let mut started = log.socket_events(name.as_str(), Direction::ToClient, "start_game");
    match started.next() {
        Some(_) => {
            let newest = log.scenes(name.as_str()).next_back();
            newest.map_or(0, |(activated, _)| activated.seq)
        }
        None => 0,
    }
}

/// The arguments of a Socket.IO event, if this is one of that name and direction. The harness's own
/// are none.
#[must_use]
pub fn socket_event<'a>(event: &'a Event, direction: Direction, name: &str) -> Option<&'a [Value]> {
    match &event.fact {
        Fact::Wire(wire) if wire.direction == direction && wire.origin != Origin::Harness => {
            match &wire.packet {
                Packet::Event {
                    name: found, args, ..
                } if found == name => Some(args),
                _ => None,
            }
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::evidence::WireFact;

    #[test]
    fn an_error_of_an_earlier_game_is_none_of_the_next_ones() {
        let told = |names: &[&str]| {
            let event = |(seq, name): (usize, &&str)| Event {
                seq: seq as u64,
                t: seq as f64,
                player: Some("survivor".to_owned()),
                fact: Fact::Wire(WireFact {
                    connection: 1,
                    direction: Direction::ToClient,
                    origin: Origin::Natural,
                    packet: Packet::Event {
                        namespace: "/".to_owned(),
                        name: (*name).to_owned(),
                        args: vec![json!({"scene_id": "a"})],
                        ack: None,
                    },
                }),
            };
            loads_from(
                &Log::new(names.iter().enumerate().map(event).collect()),
                PlayerName::Survivor,
            )
        };
        let (scene, start) = ("activate_scene", "start_game");
        assert_eq!(told(&[]), 0);
        // What the first game needs is loaded before its scene.
        assert_eq!(told(&["other", scene, "other", scene]), 0);
        assert_eq!(
            told(&[scene, scene, start, "other", scene, scene, "other"]),
            5
        );
    }
}

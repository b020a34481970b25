//! The line between the gateway and the probe of a player's page: JSON over a WebSocket.
//!
//! | who | says | meaning |
//! |---|---|---|
//! | gateway | `{"clock":true}` | what does your clock say? Asked a few times at first, then now and then |
//! | page | `{"now":1.5}` | `performance.now()` |
//! | gateway | `{"offset":20.5}` | what to add to it to get the run's clock, in milliseconds; said again whenever it is known better |
//! | page | `{"page_t":22.0,"event":"hello",…}` | a [`PageFact`], at a time on the run's clock |
//! | gateway | `{"id":1,"cmd":"snapshot",…}` | a request |
//! | page | `{"re":1,…}` | its reply; with a text `error` it is a refusal |

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Map, Value, json};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{mpsc, oneshot};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error as WsError, Message};

use super::limits::{self, Account, DEEPEST, Sender};
use super::page_clock::{self, PageClock};
use crate::evidence::{
    BrokenFact, ClockFact, Event, Fact, PageEvent, PageFact, Recorder, WaitError,
};

/// Where a page's probe reaches the gateway, on the player's own origin.
pub(super) const PATH: &str = "/__gymcheck/probe";

/// How long it may take until another page is there, where one is gone without a farewell; what ends a
/// whole browser is told by then, which is the better explanation.
pub const NEXT_PAGE: Duration = Duration::from_secs(2);

/// Why the probe did not reply.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ProbeError {
    /// No page of the player has a probe on the line.
    #[error("no page of {player} has a probe on the line to ask for {command}")]
    NoPage {
        /// The player.
        player: String,
        /// What was asked for.
        command: String,
    },
    /// The page went away before it replied.
    #[error("the page of {player} went away before its probe replied to {command}")]
    Gone {
        /// The player.
        player: String,
        /// What was asked for.
        command: String,
    },
    /// No reply came in time.
    #[error(
        "waited {} ms for the probe of {player} to reply to {command}; the page may be busy",
        .waited.as_millis()
    )]
    Deadline {
        /// The player.
        player: String,
        /// What was asked for.
        command: String,
        /// For how long.
        waited: Duration,
    },
    /// The probe said that it could not.
    #[error("the probe of {player} could not carry out {command}: {reason}")]
    Refused {
        /// The player.
        player: String,
        /// What was asked for.
        command: String,
        /// What it said.
        reason: String,
    },
    /// The command is not an object with a text `cmd`.
    #[error("a command to the probe is an object with a text `cmd`, not {command}")]
    NoCommand {
        /// What was given.
        command: String,
    },
}

/// A line to the probe of a player's page, whichever page is there. Cheap to clone.
#[derive(Clone)]
pub struct ProbeLink {
    player: Arc<str>,
    recorder: Recorder,
    pages: Arc<Pages>,
}

#[derive(Default)]
struct Pages {
    /// How many there were.
    count: AtomicU32,
    /// The newest one, while it is on the line.
    current: Mutex<Option<Page>>,
    /// Whether the browser is being ended.
    may_end: AtomicBool,
}

struct Page {
    number: u32,
    requests: mpsc::UnboundedSender<Request>,
}

struct Request {
    command: Map<String, Value>,
    reply: oneshot::Sender<Map<String, Value>>,
}

impl ProbeLink {
    pub(super) fn new(player: &str, recorder: Recorder) -> ProbeLink {
        ProbeLink {
            player: player.into(),
            recorder,
            pages: Arc::default(),
        }
    }

    /// The number of the player's page whose probe is on the line, from 1; 0 if there is none.
    #[must_use]
    pub fn page(&self) -> u32 {
        self.current().as_ref().map_or(0, |page| page.number)
    }

    /// Asks the page's probe, and gives its reply (without `re`). `command` is an object with a
    /// text `cmd`.
    ///
    /// # Errors
    /// There is no page, it goes away, it does not reply within the deadline, or it refuses.
    pub async fn request(&self, command: Value, deadline: Duration) -> Result<Value, ProbeError> {
        let (name, command) = named(command)?;
        let player = self.player.to_string();
        let (reply, replied) = oneshot::channel();
        let asked = self.current().as_ref().is_some_and(|page| {
            let request = Request { command, reply };
            page.requests.send(request).is_ok()
        });
        if !asked {
            let command = name;
            return Err(ProbeError::NoPage { player, command });
        }
        let reply = match tokio::time::timeout(deadline, replied).await {
            Ok(Ok(reply)) => reply,
            Ok(Err(_)) => {
                let command = name;
                return Err(ProbeError::Gone { player, command });
            }
            Err(_) => {
                return Err(ProbeError::Deadline {
                    player,
                    command: name,
                    waited: deadline,
                });
            }
        };
        match reply.get("error").and_then(Value::as_str) {
            Some(reason) => Err(ProbeError::Refused {
                player,
                command: name,
                reason: reason.to_owned(),
            }),
            None => Ok(Value::Object(reply)),
        }
    }

    /// Talks with the probe of a new page until it goes away.
    pub(super) async fn talk<S>(&self, socket: WebSocketStream<S>)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let number = self.pages.count.fetch_add(1, Ordering::SeqCst) + 1;
        let (requests, queue) = mpsc::unbounded_channel();
        *self.current() = Some(Page { number, requests });
        let talk = Talk {
            link: self,
            page: number,
            socket,
            clock: PageClock::default(),
            requests: 0,
            account: Account::default(),
            waiting: HashMap::new(),
        };
        // A page that goes away breaks the line off: that is its end, not a fault.
        let last_word = talk.run(queue).await.unwrap_or_else(|error| {
            if let Some(what) = limits::sent_too_much(&error) {
                self.record_too_much(&what);
            }
            None
        });
        // A later page may be there by now.
        self.current().take_if(|page| page.number == number);
        if !last_word.is_some_and(|word| self.is_farewell(&word)) {
            self.look_for_farewell(number).await;
        }
    }

    /// From here on pages may go without a farewell.
    pub(super) fn pages_may_end(&self) {
        self.pages.may_end.store(true, Ordering::SeqCst);
    }

    /// Whether the last word on a page's line says that the page was left. Firefox ends the WebSockets of such a
    /// page before it tells the page, and gives a reason where the page's process is gone. Chromium ends them
    /// in the same way in both cases.
    fn is_farewell(&self, word: &CloseFrame) -> bool {
        let is_firefox = |event: &Event| {
            let agent = match &event.fact {
                Fact::Page(PageEvent {
                    what: PageFact::Hello { user_agent, .. },
                    ..
                }) => user_agent,
                _ => return false,
            };
            event.player.as_deref() == Some(&*self.player) && agent.contains("Firefox/")
        };
        let is_left = word.code == CloseCode::Away && word.reason.is_empty();
        is_left && self.recorder.find_last(is_firefox).is_some()
    }

    /// Breaks the run if a page is gone without a farewell, no other one comes in its place, and nobody has
    /// made its player leave: its tab has crashed.
    async fn look_for_farewell(&self, number: u32) {
        let is_mine = |event: &Event| event.player.as_deref() == Some(&*self.player);
        let explains = |event: &Event| {
            is_mine(event)
                && match &event.fact {
                    Fact::Leaving(_) => true,
                    Fact::Page(page) => {
                        let bye = page.page == number && matches!(page.what, PageFact::Bye { .. });
                        bye || page.page > number
                    }
                    _ => false,
                }
        };
        let explained = self
            .recorder
            .wait(0, NEXT_PAGE, "another page", explains)
            .await;
        let is_unexplained = matches!(explained, Err(WaitError::Deadline { .. }));
        if is_unexplained && !self.pages.may_end.load(Ordering::SeqCst) {
            let reason = format!(
                "the {}'s tab crashed: its page is gone without a farewell, and no other one came",
                self.player
            );
            let broken = BrokenFact {
                component: "browser".to_owned(),
                reason,
                last_lines: Vec::new(),
                worth_a_retry: true,
            };
            self.recorder.record_for(&self.player, Fact::Broken(broken));
        }
    }

    fn record_too_much(&self, what: &str) {
        let broken = Sender::Page.broken(&self.player, &format!("on the probe's line {what}"));
        self.recorder.record_for(&self.player, broken);
    }

    fn current(&self) -> MutexGuard<'_, Option<Page>> {
        self.pages
            .current
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn named(command: Value) -> Result<(String, Map<String, Value>), ProbeError> {
    match command {
        Value::Object(entries) => match entries.get("cmd").and_then(Value::as_str) {
            Some(name) => Ok((name.to_owned(), entries)),
            None => Err(ProbeError::NoCommand {
                command: Value::Object(entries).to_string(),
            }),
        },
        other => Err(ProbeError::NoCommand {
            command: other.to_string(),
        }),
    }
}

/// The talk with one page's probe.
struct Talk<'a, S> {
    link: &'a ProbeLink,
    page: u32,
    socket: WebSocketStream<S>,
    clock: PageClock,
    /// Number of requests so far.
    requests: u64,
    account: Account,
    waiting: HashMap<u64, oneshot::Sender<Map<String, Value>>>,
}

impl<S> Talk<'_, S>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    /// Talks until the line ends, and gives the page's last word, if it was still asked then.
    async fn run(
        mut self,
        mut queue: mpsc::UnboundedReceiver<Request>,
    ) -> Result<Option<CloseFrame>, WsError> {
        self.ask_clock().await?;
        let mut now_and_then = page_clock::now_and_then();
        loop {
            tokio::select! {
                _ = now_and_then.tick() => self.ask_clock().await?,
                message = self.next() => match message {
                    Some(Ok(Message::Text(text))) => self.hear(&text).await?,
                    Some(Ok(Message::Binary(bytes))) => {
                        self.record_unreadable(&format!("{} binary bytes", bytes.len()));
                    }
                    Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                    Some(Ok(Message::Close(word))) => {
                        // It is gone already where it does not wait for an answer.
                        let _ = self.socket.close(None).await;
                        return Ok(word);
                    }
                    None => {
                        self.socket.close(None).await?;
                        return Ok(None);
                    }
                    Some(Err(error)) => return Err(error),
                },
                request = queue.recv() => match request {
                    Some(request) => self.ask(request).await?,
                    // A newer page has taken the line over. This one may still have things to tell.
                    None => {
                        self.listen().await?;
                        return Ok(None);
                    }
                },
            }
        }
    }

    /// The next message. Too many, or one that is nested too deep, end the line.
    async fn next(&mut self) -> Option<Result<Message, WsError>> {
        let message = self.socket.next().await?;
        let too_much = message.as_ref().ok().and_then(|message| {
            let depth = message.to_text().map_or(0, limits::depth);
            let too_deep = (depth > DEEPEST).then(|| {
                format!("a message with JSON nested {depth} deep, and {DEEPEST} is taken at most")
            });
            self.account.add(message).or(too_deep)
        });
        match too_much {
            None => Some(message),
            Some(what) => {
                self.link.record_too_much(&what);
                None
            }
        }
    }

    /// Goes on without requests.
    async fn listen(&mut self) -> Result<(), WsError> {
        while let Some(message) = self.next().await {
            if let Message::Text(text) = message? {
                self.hear(&text).await?;
            }
        }
        Ok(())
    }

    /// Asks for the page's clock, unless the page has yet to answer the last time.
    async fn ask_clock(&mut self) -> Result<(), WsError> {
        if self.clock.ask(self.link.recorder.now()) {
            self.say(&json!({ "clock": true })).await?;
        }
        Ok(())
    }

    async fn hear_clock(&mut self, page_now: f64) -> Result<(), WsError> {
        let heard = self.link.recorder.now();
        if let Some(sample) = self.clock.hear(page_now, heard) {
            self.link.recorder.record_for(
                &self.link.player,
                Fact::Clock(ClockFact {
                    page: self.page,
                    offset: sample.offset,
                    bound: sample.bound,
                }),
            );
            self.say(&json!({ "offset": sample.offset })).await?;
        }
        if self.clock.is_new() {
            self.ask_clock().await?;
        }
        Ok(())
    }

    async fn ask(&mut self, request: Request) -> Result<(), WsError> {
        self.requests += 1;
        let mut command = request.command;
        command.insert("id".into(), self.requests.into());
        self.waiting.insert(self.requests, request.reply);
        self.say(&Value::Object(command)).await
    }

    async fn say(&mut self, words: &Value) -> Result<(), WsError> {
        self.socket.send(Message::text(words.to_string())).await
    }

    async fn hear(&mut self, text: &str) -> Result<(), WsError> {
        let Ok(Value::Object(words)) = serde_json::from_str(text) else {
            self.record_unreadable(text);
            return Ok(());
        };
        if let Some(id) = words.get("re").and_then(Value::as_u64) {
            self.reply(id, words);
        } else if let Some(now) = words.get("now").and_then(Value::as_f64) {
            self.hear_clock(now).await?;
        } else {
            self.record_event(words, text);
        }
        Ok(())
    }

    fn reply(&mut self, id: u64, mut words: Map<String, Value>) {
        words.remove("re");
        if let Some(waiting) = self.waiting.remove(&id) {
            // Whoever asked may have given up waiting.
            let _ = waiting.send(words);
        }
    }

    fn record_event(&self, mut words: Map<String, Value>, text: &str) {
        words.insert("page".into(), self.page.into());
        match serde_json::from_value::<PageEvent>(Value::Object(words)) {
            // The page's clock is known within a bound only, but nothing is told before it happens.
            Ok(event) => self.record(PageEvent {
                page_t: event.page_t.min(self.link.recorder.now()),
                ..event
            }),
            Err(error) => self.record_unreadable(&format!("{error}: {text}")),
        }
    }

    fn record_unreadable(&self, what: &str) {
        let what: String = what.chars().take(500).collect();
        self.record(PageEvent {
            page: self.page,
            page_t: self.link.recorder.now(),
            // As the probe tells of its own trouble: what it saw cannot be relied on.
            what: PageFact::Console {
                level: "probe".to_owned(),
                text: format!("unreadable event: {what}"),
            },
        });
    }

    fn record(&self, event: PageEvent) {
        self.link
            .recorder
            .record_for(&self.link.player, Fact::Page(event));
    }
}

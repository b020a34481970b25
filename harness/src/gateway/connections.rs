//! The WebSockets of one player that are open.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use thiserror::Error;
use tokio::sync::oneshot;

use crate::evidence::Direction;

use super::lane::Injection;
use super::websocket::{Command, Connection};

/// How long an injected event may take until it is written.
const INJECTION: Duration = Duration::from_secs(10);

/// Why an event could not be sent in somebody's name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InjectError {
    /// The player's page has no Socket.IO connection, or is not let into its namespace yet.
    #[error("cannot send {event} {direction}: {player} has no open Socket.IO connection")]
    NotConnected {
        /// The player.
        player: String,
        /// Which way it should have travelled.
        direction: Direction,
        /// The event.
        event: String,
    },
    /// The connection ended before the event was written to it.
    #[error("cannot send {event} {direction}: the connection of {player} ended in this moment")]
    Ended {
        /// The player.
        player: String,
        /// Which way it should have travelled.
        direction: Direction,
        /// The event.
        event: String,
    },
    /// The receiving end reads nothing.
    #[error(
        "waited {} s to send {event} {direction} on the connection of {player}: its end reads nothing",
        .waited.as_secs()
    )]
    Stuck {
        /// The player.
        player: String,
        /// Which way it should have travelled.
        direction: Direction,
        /// The event.
        event: String,
        /// For how long.
        waited: Duration,
    },
}

/// Why a round trip of the harness's own could not be made.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RoundTripError {
    /// The player's page has no Socket.IO connection, or is not let into its namespace yet.
    #[error("cannot send the harness's own ping: {player} has no open Socket.IO connection")]
    NotConnected {
        /// The player.
        player: String,
    },
    /// The connection ended before the answer came.
    #[error("the connection of {player} ended before the harness's own ping was answered")]
    Ended {
        /// The player.
        player: String,
    },
    /// No answer came.
    #[error(
        "waited {} s for the target's pong to the harness's own ping on the connection of {player}: \
         the target does not answer, or a rule holds what came before",
        .waited.as_secs()
    )]
    Unanswered {
        /// The player.
        player: String,
        /// For how long.
        waited: Duration,
    },
}

/// What has passed on a browser's open WebSockets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passed {
    /// Their numbers, in the order in which they were opened.
    pub connections: Vec<u64>,
    /// WebSocket messages passed on to the browser, on all of them.
    pub delivered: u64,
    /// WebSocket messages that have come from the browser, on all of them, whether or not they were
    /// passed on.
    pub arrived: u64,
}

/// The open WebSockets, in the order in which they were opened.
#[derive(Default)]
pub(super) struct Connections {
    open: Mutex<Vec<Arc<Connection>>>,
    is_stalled: AtomicBool,
}

impl Connections {
    pub(super) fn opened(&self, connection: Arc<Connection>) {
        let mut open = self.open();
        if self.is_stalled() {
            // Asked for before the stall, and open only now.
            let _ = connection.commands.send(Command::Stall);
        }
        open.push(connection);
    }

    pub(super) fn ended(&self, number: u64) {
        self.open().retain(|open| open.number != number);
    }

    pub(super) fn is_joined(&self) -> bool {
        self.joined().is_some()
    }

    pub(super) fn passed(&self) -> Option<Passed> {
        let open = self.open();
        let sum = |count: fn(&Connection) -> &AtomicU64| {
            let counts = open.iter().map(|one| count(one).load(Ordering::SeqCst));
            counts.sum()
        };
        (!open.is_empty()).then(|| Passed {
            connections: open.iter().map(|one| one.number).collect(),
            delivered: sum(|one| &one.delivered),
            arrived: sum(|one| &one.arrived),
        })
    }

    /// Ends all of them, as a rule says. Gives how many there were.
    pub(super) fn cut(&self, rule: &str) -> usize {
        let open = self.open();
        for connection in open.iter() {
            // One that is just ending needs no cut.
            let _ = connection.commands.send(Command::Cut(rule.to_owned()));
        }
        open.len()
    }

    /// Keeps all of them open, and passes nothing on them any more, nor on any to come. Gives how many
    /// there are.
    pub(super) fn stall(&self) -> usize {
        let open = self.open();
        self.is_stalled.store(true, Ordering::SeqCst);
        for connection in open.iter() {
            // One that is just ending needs no stall.
            let _ = connection.commands.send(Command::Stall);
        }
        open.len()
    }

    /// Whether nothing passes any more.
    pub(super) fn is_stalled(&self) -> bool {
        self.is_stalled.load(Ordering::SeqCst)
    }

    /// Sends an event on the participant's one, and waits until it is written.
    pub(super) async fn inject(
        &self,
        player: &str,
        rule: &str,
        direction: Direction,
        event: &str,
        args: Vec<Value>,
    ) -> Result<(), InjectError> {
        let (player, event) = (player.to_owned(), event.to_owned());
        let Some(connection) = self.joined() else {
            return Err(InjectError::NotConnected {
                player,
                direction,
                event,
            });
        };
        let (written, was_written) = oneshot::channel();
        let injection = Injection {
            rule: rule.to_owned(),
            event: event.clone(),
            args,
            written,
        };
        // If the connection is just ending, the other half of `written` tells.
        let _ = connection
            .commands
            .send(Command::Inject(direction, injection));
        match tokio::time::timeout(INJECTION, was_written).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(InjectError::Ended {
                player,
                direction,
                event,
            }),
            Err(_) => Err(InjectError::Stuck {
                player,
                direction,
                event,
                waited: INJECTION,
            }),
        }
    }

    /// Sends the target a ping of the harness's own on the participant's one, and waits for its pong.
    pub(super) async fn round_trip(
        &self,
        player: &str,
        within: Duration,
    ) -> Result<(), RoundTripError> {
        let player = player.to_owned();
        let Some(connection) = self.joined() else {
            return Err(RoundTripError::NotConnected { player });
        };
        let (answered, was_answered) = oneshot::channel();
        // If the connection is just ending, the other half of `answered` tells.
        let _ = connection.commands.send(Command::Ping(answered));
        // What is kept here would keep the other half alive.
        drop(connection);
        match tokio::time::timeout(within, was_answered).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(RoundTripError::Ended { player }),
            Err(_) => Err(RoundTripError::Unanswered {
                player,
                waited: within,
            }),
        }
    }

    /// The participant's one, if the page is in the namespace `/` on it.
    fn joined(&self) -> Option<Arc<Connection>> {
        let joined = |connection: &Arc<Connection>| connection.joined.load(Ordering::SeqCst);
        self.participants().filter(joined)
    }

    /// The newest one on which the page registered its participant: a page may have others
    /// besides. Before it has registered, the newest one.
    fn participants(&self) -> Option<Arc<Connection>> {
        let open = self.open();
        let registered = |one: &&Arc<Connection>| one.registered.load(Ordering::SeqCst);
        let found = open.iter().rev().find(registered);
        found.or(open.last()).cloned()
    }

    fn open(&self) -> MutexGuard<'_, Vec<Arc<Connection>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

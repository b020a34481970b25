//! The round trips that the gateway makes on a connection for a barrier: its own `ping`, and the
//! `pong` that answers it.
//!
//! Pongs are all alike. A connection keeps its order, and so the next pong answers the oldest ping
//! that is not answered yet: which pongs are the gateway's own is known by counting the page's pings
//! along with its own.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::evidence::{Direction, Origin, Packet, WireFact};

/// What a page asks the target with, and what the target answers.
pub(super) const PING: &str = "ping";
pub(super) const PONG: &str = "pong";

/// The pings of one connection that the target has to answer.
#[derive(Default)]
pub(super) struct RoundTrips {
    pings: Mutex<Pings>,
}

/// Those who wait for the answers, each oldest first.
#[derive(Default)]
struct Pings {
    /// Own pings that are not passed on yet.
    waiting: VecDeque<Asker>,
    /// Pings that were passed on; `None` is the page's.
    asked: VecDeque<Option<Asker>>,
    /// Own pings whose pong has come, and has not had its turn yet.
    answered: VecDeque<Asker>,
}

type Asker = oneshot::Sender<()>;

impl RoundTrips {
    /// An own ping waits for its turn on the way to the target.
    pub(super) fn begin(&self, asker: Asker) {
        self.pings().waiting.push_back(asker);
    }

    /// A packet is passed on.
    pub(super) fn passed(&self, wire: &WireFact) {
        if wire.direction == Direction::ToServer && is_event(&wire.packet, PING) {
            let mut pings = self.pings();
            let asker = match wire.origin {
                Origin::Harness => pings.waiting.pop_front(),
                Origin::Natural | Origin::Injected | Origin::Synthetic => None,
            };
            pings.asked.push_back(asker);
        }
    }

    /// A packet has come from the target. Whether it answers an own ping.
    pub(super) fn is_own_answer(&self, packet: &Packet) -> bool {
        if !is_event(packet, PONG) {
            return false;
        }
        let mut pings = self.pings();
        match pings.asked.pop_front().flatten() {
            Some(asker) => {
                pings.answered.push_back(asker);
                true
            }
            None => false,
        }
    }

    /// The pong of an own ping has its turn: who is to be told of it.
    pub(super) fn end(&self) -> Option<Asker> {
        self.pings().answered.pop_front()
    }

    fn pings(&self) -> MutexGuard<'_, Pings> {
        self.pings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_event(packet: &Packet, wanted: &str) -> bool {
    packet.game_event().is_some_and(|(name, _)| name == wanted)
}

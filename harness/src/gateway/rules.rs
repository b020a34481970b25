//! What the gateway is told to do to a player's events.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::evidence::Direction;

/// A rule: from the first matching event on, everything on that connection and in that direction
/// waits (but for Engine.IO's ping and pong), until the rule is released.
///
/// A rule stays in force until then: an event that matches on a later connection is held as well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// The rule's name in the spec, by which it is released.
    pub name: String,
    /// Whose events.
    pub player: String,
    /// Which way they travel.
    pub direction: Direction,
    /// The name of the Socket.IO event that it waits for.
    pub event: String,
}

/// The rules in force in one run.
#[derive(Default)]
pub(super) struct Rules {
    holds: Mutex<Vec<Hold>>,
}

impl Rules {
    pub(super) fn hold(&self, hold: Hold) {
        self.holds().push(hold);
    }

    /// Takes a rule out of force. False if there is none of that name.
    pub(super) fn release(&self, name: &str) -> bool {
        let mut holds = self.holds();
        let before = holds.len();
        holds.retain(|hold| hold.name != name);
        holds.len() < before
    }

    /// The name of the rule that holds this event.
    pub(super) fn holding(
        &self,
        player: &str,
        direction: Direction,
        event: &str,
    ) -> Option<String> {
        let matching = |hold: &&Hold| {
            hold.player == player && hold.direction == direction && hold.event == event
        };
        let holds = self.holds();
        holds.iter().find(matching).map(|hold| hold.name.clone())
    }

    fn holds(&self) -> MutexGuard<'_, Vec<Hold>> {
        self.holds.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

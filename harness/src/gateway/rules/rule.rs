//! The rules that a run can set, as it gives them to the gateway.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::evidence::Direction;

/// Events of one name that travel one way on one player's connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passage {
    /// Whose connections.
    pub player: String,
    /// Which way.
    pub direction: Direction,
    /// The name of the Socket.IO event.
    pub event: String,
}

/// What the gateway does to an event of a player.
#[derive(Debug, Clone)]
pub struct Rule {
    /// Its name in the spec, by which it is released and stands in the evidence. No two rules of a
    /// run share one.
    pub name: String,
    /// The event that it waits for.
    pub at: Passage,
    /// What it does then.
    pub fault: Fault,
}

/// What a rule does to the event that it waited for.
///
/// All but [`Fault::Hold`] act once, on the first such event after they were set.
#[derive(Debug, Clone)]
pub enum Fault {
    /// The event waits, and all behind it on that connection and in that direction, but for
    /// Engine.IO's ping and pong: until the rule is released, or until another event has passed.
    ///
    /// The rule stays in force until then: an event that matches on a later connection is held as
    /// well. If the other event passes before anything was held, nothing is: the two come in the
    /// wanted order by themselves, and the evidence says so.
    Hold {
        /// The other event, if there is one.
        until: Option<Passage>,
    },
    /// The event, and all behind it, waits that long, but for Engine.IO's ping and pong.
    Delay(Duration),
    /// The gateway sends an event in the target's name, at this event of the target.
    Inject {
        /// On which side of it.
        side: Side,
        /// What is sent.
        forged: Forged,
    },
    /// The connection ends, for both of its ends without a farewell; the event is not delivered.
    Cut,
    /// The event is not delivered; all behind it is.
    Drop,
    /// The event is delivered twice.
    Duplicate,
    /// The event passes an earlier one: that one waits, alone, until this one has passed.
    Overtake {
        /// The name of the earlier event.
        before: String,
    },
}

/// A side of an event on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Right before it.
    Before,
    /// Right after it.
    After,
}

/// An event that the gateway sends in the target's name.
#[derive(Clone)]
pub struct Forged {
    /// Its name.
    pub event: String,
    /// How many times in a row it is sent.
    pub times: u32,
    /// Its arguments, asked for in the moment when it is sent: a game's ids may not be known
    /// before. An error says what is not known.
    pub args: Arc<dyn Fn() -> Result<Vec<Value>, String> + Send + Sync>,
}

impl fmt::Debug for Forged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Forged")
            .field("event", &self.event)
            .field("times", &self.times)
            .finish_non_exhaustive()
    }
}

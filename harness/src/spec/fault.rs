//! The rules by which a spec disturbs what the players and the target say to each other.

use std::fmt;
use std::num::{NonZeroU32, NonZeroU64};

use schemars::JsonSchema;
use serde::Deserialize;

use super::model::PlayerName;
use super::named::Named;
use super::schema::EventName;
use super::server_event::{Reason, ServerEvent};
use crate::evidence::Direction;

/// A rule that holds back the next such event, and all behind it but Engine.IO's ping and pong:
/// until a `release`, or until another event has passed since the step.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct HoldRule {
    /// Its name, for the step that releases it and for the evidence.
    #[serde(rename = "as")]
    pub name: Named,
    /// Whose connection.
    pub player: PlayerName,
    /// Which way.
    pub direction: Direction,
    /// The Socket.IO event.
    #[schemars(with = "EventName")]
    pub event: Named,
    /// The other event, on either player's connection.
    pub until: Option<OtherEvent>,
}

/// An event that a rule waits for besides its own.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OtherEvent {
    /// Whose connection.
    pub player: PlayerName,
    /// Which way.
    pub direction: Direction,
    /// The Socket.IO event.
    #[schemars(with = "EventName")]
    pub event: Named,
}

/// A rule that makes the next such event wait, and all behind it but Engine.IO's ping and pong.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct DelayRule {
    /// Its name, for the evidence.
    #[serde(rename = "as")]
    pub name: Named,
    /// Whose connection.
    pub player: PlayerName,
    /// Which way.
    pub direction: Direction,
    /// The Socket.IO event.
    #[schemars(with = "EventName")]
    pub event: Named,
    /// How long it waits, in milliseconds.
    pub by_ms: NonZeroU64,
}

/// A rule that sends an event in the target's name, with this game's real ids.
///
/// The game is the one that the player was last assigned to when the step is carried out; if there
/// is none yet, when the event is sent. An earlier game is the one before that.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InjectRule {
    /// Its name, for the evidence.
    #[serde(rename = "as")]
    pub name: Named,
    /// Who receives it.
    pub player: PlayerName,
    /// The event.
    pub event: ServerEvent,
    /// Why the target would send it, for an event that has several reasons.
    pub reason: Option<Reason>,
    /// When it is sent.
    #[serde(default)]
    pub place: Place,
    /// Whose game it names.
    #[serde(default)]
    pub game: WhoseGame,
    /// How many times in a row it is sent.
    #[serde(default = "once")]
    pub times: NonZeroU32,
}

fn once() -> NonZeroU32 {
    NonZeroU32::MIN
}

/// A moment in what the target says to a player.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    /// At once.
    #[default]
    Now,
    /// Right before the next such event of the target is passed on to the player.
    Before(#[schemars(with = "EventName")] Named),
    /// Right after it.
    After(#[schemars(with = "EventName")] Named),
}

/// Whose game an injected event names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum WhoseGame {
    /// The player's own.
    #[default]
    This,
    /// The one that the player played before its own.
    Earlier,
    /// Another game, of other players.
    Stranger,
}

/// A rule that ends a player's WebSocket for both of its ends, as when a network breaks: now, or
/// when an event is about to be passed on, which is then not delivered.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CutRule {
    /// Its name, for the evidence.
    #[serde(rename = "as")]
    pub name: Named,
    /// Whose connection.
    pub player: PlayerName,
    /// Which way the event travels.
    pub direction: Option<Direction>,
    /// The Socket.IO event.
    #[schemars(with = "Option<EventName>")]
    pub event: Option<Named>,
}

/// A rule about the next such event, and nothing else.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EventRule {
    /// Its name, for the evidence.
    #[serde(rename = "as")]
    pub name: Named,
    /// Whose connection.
    pub player: PlayerName,
    /// Which way.
    pub direction: Direction,
    /// The Socket.IO event.
    #[schemars(with = "EventName")]
    pub event: Named,
}

/// A rule by which an event is delivered before an earlier one: the earlier one waits, alone, until
/// the later one has passed.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OvertakeRule {
    /// Its name, for the evidence.
    #[serde(rename = "as")]
    pub name: Named,
    /// Whose connection.
    pub player: PlayerName,
    /// Which way.
    pub direction: Direction,
    /// The event that comes later and is delivered first.
    #[schemars(with = "EventName")]
    pub event: Named,
    /// The event that comes earlier and is delivered last.
    #[schemars(with = "EventName")]
    pub before: Named,
}

impl fmt::Display for HoldRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        event_of(f, "hold", self.player, &self.event, self.direction)?;
        match &self.until {
            Some(other) => event_of(f, " until", other.player, &other.event, other.direction),
            None => Ok(()),
        }
    }
}

impl fmt::Display for DelayRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        event_of(f, "delay", self.player, &self.event, self.direction)?;
        write!(f, " by {} ms", self.by_ms)
    }
}

impl fmt::Display for InjectRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "inject {}", self.event.name())?;
        if let Some(reason) = self.reason {
            write!(f, " ({reason})")?;
        }
        match self.game {
            WhoseGame::This => {}
            WhoseGame::Earlier => f.write_str(" of an earlier game")?,
            WhoseGame::Stranger => f.write_str(" of a stranger's game")?,
        }
        match &self.place {
            Place::Now => write!(f, " to {} now", self.player)?,
            Place::Before(event) => write!(f, " to {} before `{event}`", self.player)?,
            Place::After(event) => write!(f, " to {} after `{event}`", self.player)?,
        }
        match self.times.get() {
            1 => Ok(()),
            times => write!(f, ", {times} times"),
        }
    }
}

impl fmt::Display for CutRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cut the {}'s connection", self.player)?;
        match (&self.event, self.direction) {
            (Some(event), Some(direction)) => write!(f, " at `{event}` ({direction})"),
            (Some(event), None) => write!(f, " at `{event}`"),
            (None, _) => f.write_str(" now"),
        }
    }
}

impl fmt::Display for EventRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (player, event, direction) = (self.player, &self.event, self.direction);
        write!(f, "the {player}'s `{event}` ({direction})")
    }
}

impl fmt::Display for OvertakeRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        event_of(f, "let", self.player, &self.event, self.direction)?;
        write!(f, " overtake `{}`", self.before)
    }
}

fn event_of(
    f: &mut fmt::Formatter<'_>,
    verb: &str,
    player: PlayerName,
    event: &Named,
    direction: Direction,
) -> fmt::Result {
    write!(f, "{verb} the {player}'s `{event}` ({direction})")
}

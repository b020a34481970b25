//! Moments of a run that a spec can name.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::PlayerName;
use super::game::GameNumber;

/// How many frames before the end of an episode its last frames begin.
pub(super) const LAST_FRAMES: u32 = 10;

/// An instant of a run: an event of the evidence, and how long after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Moment {
    /// The event.
    pub after: GameEvent,
    /// Whose event.
    #[serde(default = "survivor")]
    pub of: PlayerName,
    /// Of which game for two. Without it: of the one where the player stands, or of the first one to which
    /// it comes.
    pub game: Option<GameNumber>,
    /// How long after it, in milliseconds.
    #[serde(default)]
    pub offset_ms: u32,
}

fn survivor() -> PlayerName {
    PlayerName::Survivor
}

/// Something that happens once to each player in each of its games, in this order but for the last
/// three: what the target sends after it has been asked to advance, and when it has finished with
/// that, is the target's own affair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum GameEvent {
    /// The page was told the GymScene, where nobody has pressed Start yet.
    SceneEntered,
    /// The page has asked for a partner: it waits.
    JoinSent,
    /// The page was told that its partner is there: the countdown begins.
    MatchFound,
    /// The target started the game.
    GameStarted,
    /// The page has played the first frame, as its game says.
    FirstFrame,
    /// The page plays the last frames of its last episode, as its game says.
    LastFrames,
    /// The page has sent its record of the last episode: the "Done!" countdown begins.
    LastEpisodeEnded,
    /// The page has asked to advance: the countdown is over.
    AdvanceSent,
    /// The target has finished with that.
    AdvanceHandled,
    /// The page was told that the GymScene is over.
    SceneTerminated,
    /// The page was told the scene after the GymScene.
    SceneActivated,
}

impl GameEvent {
    /// All of them, in their order.
    pub const ALL: [GameEvent; 11] = [
        GameEvent::SceneEntered,
        GameEvent::JoinSent,
        GameEvent::MatchFound,
        GameEvent::GameStarted,
        GameEvent::FirstFrame,
        GameEvent::LastFrames,
        GameEvent::LastEpisodeEnded,
        GameEvent::AdvanceSent,
        GameEvent::AdvanceHandled,
        GameEvent::SceneTerminated,
        GameEvent::SceneActivated,
    ];
}

impl fmt::Display for GameEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            GameEvent::SceneEntered => "scene-entered",
            GameEvent::JoinSent => "join-sent",
            GameEvent::MatchFound => "match-found",
            GameEvent::GameStarted => "game-started",
            GameEvent::FirstFrame => "first-frame",
            GameEvent::LastFrames => "last-frames",
            GameEvent::LastEpisodeEnded => "last-episode-ended",
            GameEvent::AdvanceSent => "advance-sent",
            GameEvent::AdvanceHandled => "advance-handled",
            GameEvent::SceneTerminated => "scene-terminated",
            GameEvent::SceneActivated => "scene-activated",
        })
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.offset_ms {
            0 => write!(f, "at the {}'s {}", self.of, self.after)?,
            offset => write!(f, "{offset} ms after the {}'s {}", self.of, self.after)?,
        }
        match self.game {
            Some(game) => write!(f, " of game {game}"),
            None => Ok(()),
        }
    }
}

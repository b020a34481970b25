//! The events that the gateway can send in the target's name.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de};

use super::events::known_events;
use super::nearest::did_you_mean;
use crate::evidence::Direction;

/// An event of the target that puts up, changes or takes away an overlay, a banner or a notice in
/// the page, whatever scene it stands on; or that ends the scene.
///
/// Left out are those that only ever answer what the same page has asked a moment before (as
/// `join_game_error`), since they cannot come unasked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, JsonSchema)]
#[schemars(rename_all = "snake_case")]
pub enum ServerEvent {
    /// The game is over, since the partner has gone or has come to its end.
    P2pGameEnded,
    /// The partner was excluded from the game.
    PartnerExcluded,
    /// What the target sends right behind the partner's exclusion.
    TriggerDataExport,
    /// The game pauses while the partner's connection is restored.
    P2pPause,
    /// The game goes on after a pause.
    P2pResume,
    /// What the experiment's own monitoring says of the player.
    ContinuousCallbackResult,
    /// The game is over for all, since a player has left it.
    EndGame,
    /// A player has left the waiting room.
    WaitingRoomPlayerLeft,
    /// No connection came about: another partner is looked for.
    P2pValidationRepool,
    /// A partner was found, and the game begins in a moment.
    MatchFoundCountdown,
    /// The scene is over. The target says so of the scene where the player stands.
    TerminateScene,
}

/// Why a target sends an event, where it has several reasons.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The partner has gone (`p2p_game_ended`).
    PartnerDisconnected,
    /// The partner's connection did not come back in time (`p2p_game_ended`).
    ReconnectionTimeout,
    /// The partner went on to the next scene (`p2p_game_ended`).
    SceneCompleted,
    /// The player is excluded (`continuous_callback_result`).
    Exclude,
    /// The player is warned (`continuous_callback_result`).
    Warn,
}

impl ServerEvent {
    /// Every one.
    pub const ALL: [ServerEvent; 11] = [
        ServerEvent::P2pGameEnded,
        ServerEvent::PartnerExcluded,
        ServerEvent::TriggerDataExport,
        ServerEvent::P2pPause,
        ServerEvent::P2pResume,
        ServerEvent::ContinuousCallbackResult,
        ServerEvent::EndGame,
        ServerEvent::WaitingRoomPlayerLeft,
        ServerEvent::P2pValidationRepool,
        ServerEvent::MatchFoundCountdown,
        ServerEvent::TerminateScene,
    ];

    /// Its name on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            ServerEvent::P2pGameEnded => "p2p_game_ended",
            ServerEvent::PartnerExcluded => "partner_excluded",
            ServerEvent::TriggerDataExport => "trigger_data_export",
            ServerEvent::P2pPause => "p2p_pause",
            ServerEvent::P2pResume => "p2p_resume",
            ServerEvent::ContinuousCallbackResult => "continuous_callback_result",
            ServerEvent::EndGame => "end_game",
            ServerEvent::WaitingRoomPlayerLeft => "waiting_room_player_left",
            ServerEvent::P2pValidationRepool => "p2p_validation_repool",
            ServerEvent::MatchFoundCountdown => "match_found_countdown",
            ServerEvent::TerminateScene => "terminate_scene",
        }
    }

    /// The reasons that a spec can choose from; the first one is taken if it chooses none.
    #[must_use]
    pub fn reasons(self) -> &'static [Reason] {
        match self {
            ServerEvent::P2pGameEnded => &[
                Reason::PartnerDisconnected,
                Reason::ReconnectionTimeout,
                Reason::SceneCompleted,
            ],
            ServerEvent::ContinuousCallbackResult => &[Reason::Exclude, Reason::Warn],
            ServerEvent::PartnerExcluded
            | ServerEvent::TriggerDataExport
            | ServerEvent::P2pPause
            | ServerEvent::P2pResume
            | ServerEvent::EndGame
            | ServerEvent::WaitingRoomPlayerLeft
            | ServerEvent::P2pValidationRepool
            | ServerEvent::MatchFoundCountdown
            | ServerEvent::TerminateScene => &[],
        }
    }

    /// Whether it says which game it is about.
    #[must_use]
    pub fn names_a_game(self) -> bool {
        match self {
            ServerEvent::P2pGameEnded | ServerEvent::P2pPause | ServerEvent::P2pResume => true,
            ServerEvent::PartnerExcluded
            | ServerEvent::TriggerDataExport
            | ServerEvent::ContinuousCallbackResult
            | ServerEvent::EndGame
            | ServerEvent::WaitingRoomPlayerLeft
            | ServerEvent::P2pValidationRepool
            | ServerEvent::MatchFoundCountdown
            | ServerEvent::TerminateScene => false,
        }
    }
}

impl<'de> Deserialize<'de> for ServerEvent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<ServerEvent, D::Error> {
        let name = String::deserialize(deserializer)?;
        let found = ServerEvent::ALL.into_iter().find(|one| one.name() == name);
        found.ok_or_else(|| de::Error::custom(no_such(&name)))
    }
}

/// What is wrong with a name that no event has which can be injected.
fn no_such(name: &str) -> String {
    let names = ServerEvent::ALL.map(ServerEvent::name);
    let expected = names.join("`, `");
    if known_events(Direction::ToClient).contains(&name) {
        format!("the event `{name}` cannot be injected, expected one of `{expected}`")
    } else {
        let nearest = did_you_mean(name, names.into_iter());
        format!("unknown event `{name}` to inject, expected one of `{expected}`{nearest}")
    }
}

impl Reason {
    /// The reason as it stands in specs, and on the wire where the event carries it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::PartnerDisconnected => "partner_disconnected",
            Reason::ReconnectionTimeout => "reconnection_timeout",
            Reason::SceneCompleted => "scene_completed",
            Reason::Exclude => "exclude",
            Reason::Warn => "warn",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

//! What the target would say to a player, with the real ids of the game that it is about.

use serde_json::{Value, json};

use crate::evidence::{Direction, Event, Recorder};
use crate::player::socket_event;
use crate::spec::{Experiment, PlayerName, Reason, ServerEvent, WhoseGame};

/// The event by which the target tells a player which game it plays in, and as whom.
const ASSIGNED: &str = "pyodide_player_assigned";

/// An event in the target's name, but for its ids.
#[derive(Debug, Clone, Copy)]
pub(super) struct Draft {
    pub(super) to: PlayerName,
    pub(super) event: ServerEvent,
    /// Why the target would send it; the event's first reason, if none is chosen.
    pub(super) reason: Option<Reason>,
    pub(super) game: WhoseGame,
    /// The frame at which the game stands when it has ended.
    pub(super) frame: u32,
    /// How long the game waits for a lost connection.
    pub(super) reconnection_timeout_ms: u32,
}

/// The ids of a game, as the target gave them.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Game {
    id: Value,
    /// The player who receives the event.
    receiver: Value,
    /// The other one.
    partner: Value,
}

impl Draft {
    pub(super) fn new(to: PlayerName, event: ServerEvent, experiment: &Experiment) -> Draft {
        Draft {
            to,
            event,
            reason: None,
            game: WhoseGame::This,
            frame: experiment.steps,
            reconnection_timeout_ms: experiment.reconnection_timeout_ms,
        }
    }

    /// The event's arguments, for the game that its receiver was last assigned to.
    ///
    /// # Errors
    /// The event needs ids that the target has not given yet.
    pub(super) fn arguments(&self, recorder: &Recorder) -> Result<Vec<Value>, String> {
        let said = match self.event {
            ServerEvent::P2pGameEnded => self.ended(self.game(recorder)?),
            ServerEvent::P2pPause => self.paused(self.game(recorder)?),
            ServerEvent::P2pResume => json!({"game_id": self.game(recorder)?.id}),
            ServerEvent::PartnerExcluded => json!({
                "message": "Your partner had to stop. The game is over.",
                "frame_number": self.frame,
                "reason": "partner_exclusion",
            }),
            ServerEvent::TriggerDataExport => json!({
                "is_partial": true,
                "termination_reason": "partner_exclusion",
                "termination_frame": self.frame,
            }),
            ServerEvent::ContinuousCallbackResult => self.monitored(),
            ServerEvent::EndGame => json!({"message": "The other player has left the game."}),
            ServerEvent::WaitingRoomPlayerLeft => {
                json!({"message": "The other player has left the waiting room."})
            }
            ServerEvent::P2pValidationRepool => json!({
                "message": "No connection came about. Looking for another partner.",
                "reason": "connection_timeout",
            }),
            ServerEvent::MatchFoundCountdown => {
                json!({"message": "A partner was found!", "countdown_seconds": 3})
            }
            ServerEvent::TerminateScene => self.scene(recorder)?,
        };
        Ok(vec![said])
    }

    fn game(&self, recorder: &Recorder) -> Result<Game, String> {
        match self.game {
            WhoseGame::This => Game::of(self.to, recorder),
            WhoseGame::Earlier => Game::before(self.to, recorder),
            WhoseGame::Stranger => Ok(Game::of(self.to, recorder)?.of_strangers()),
        }
    }

    /// The scene where the receiver stands. The target says the same of it at its end as at its
    /// beginning.
    fn scene(&self, recorder: &Recorder) -> Result<Value, String> {
        let told = recorder.find_last(|event| activated(event, self.to).is_some());
        let scene = told.and_then(|event| activated(&event, self.to).cloned());
        scene.ok_or_else(|| format!("the target never led the {} to a scene", self.to))
    }

    fn paused(&self, game: Game) -> Value {
        json!({
            "game_id": game.id,
            "pause_frame": self.frame,
            "detecting_player": game.receiver,
        })
    }

    fn monitored(&self) -> Value {
        let warn = self.reason == Some(Reason::Warn);
        json!({"exclude": !warn, "warn": warn, "message": "Your connection is too slow."})
    }

    fn ended(&self, game: Game) -> Value {
        let reason = self.reason.unwrap_or(Reason::PartnerDisconnected);
        let mut ended = json!({
            "game_id": game.id,
            "reason": reason.as_str(),
            "disconnected_player_id": game.partner,
        });
        if reason == Reason::ReconnectionTimeout {
            ended["reconnection_data"] = json!({
                "total_pause_duration_ms": self.reconnection_timeout_ms,
                "lost_players": [game.receiver],
                "recovered_players": [],
            });
        }
        ended
    }
}

impl Game {
    /// The game that a player was last assigned to.
    fn of(player: PlayerName, recorder: &Recorder) -> Result<Game, String> {
        let mine = newest(recorder, player, |_| true)
            .ok_or_else(|| format!("the target never assigned the {player} to a game"))?;
        Game::assigned(player, &mine, recorder)
    }

    /// The game that a player played before the one that it was last assigned to: of each GymScene
    /// only the last assignment led to a game.
    fn before(player: PlayerName, recorder: &Recorder) -> Result<Game, String> {
        let log = recorder.log();
        let scenes = log.games(player.as_str()).into_iter();
        let games: Vec<&Value> = scenes
            .filter_map(|scene| scene.assigned.map(|(_, to)| to))
            .collect();
        let [.., earlier, _] = games.as_slice() else {
            return Err(format!(
                "the target never assigned the {player} to a game before its own"
            ));
        };
        Game::assigned(player, earlier, recorder)
    }

    /// The game of an assignment.
    fn assigned(player: PlayerName, mine: &Value, recorder: &Recorder) -> Result<Game, String> {
        let partner = player.other();
        let id = mine["game_id"].clone();
        let other = newest(recorder, partner, |to| to.get("game_id") == Some(&id));
        let other = other.ok_or_else(|| {
            format!("the target never assigned the {partner} to the {player}'s game")
        })?;
        Ok(Game {
            id,
            receiver: mine["player_id"].clone(),
            partner: other["player_id"].clone(),
        })
    }

    /// Another game, of other players.
    fn of_strangers(self) -> Game {
        Game {
            id: other_than(&self.id),
            receiver: other_than(&self.receiver),
            partner: other_than(&self.partner),
        }
    }
}

/// What assigned a player last, of all that answers a question.
fn newest(
    recorder: &Recorder,
    who: PlayerName,
    question: impl Fn(&Value) -> bool,
) -> Option<Value> {
    let event = recorder.find_last(|event| assigned(event, who).is_some_and(&question))?;
    assigned(&event, who).cloned()
}

/// What an event assigns to a player: the game, and who it is in there.
fn assigned(event: &Event, who: PlayerName) -> Option<&Value> {
    told(event, who, ASSIGNED)
}

/// What an event says of the scene that it leads a player to.
fn activated(event: &Event, who: PlayerName) -> Option<&Value> {
    told(event, who, "activate_scene")
}

/// What the target tells a player with an event of this name.
fn told<'a>(event: &'a Event, who: PlayerName, name: &str) -> Option<&'a Value> {
    if event.player.as_deref() != Some(who.as_str()) {
        return None;
    }
    socket_event(event, Direction::ToClient, name)?.first()
}

/// Another id of the same kind, which nobody in this run has.
fn other_than(id: &Value) -> Value {
    match id {
        Value::Number(number) => json!(number.as_i64().unwrap_or_default() + 1000),
        Value::String(text) => json!(format!("{text}-of-strangers")),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::{Fact, Origin, Packet, WireFact};

    fn assign(recorder: &Recorder, player: PlayerName, game: &str, id: impl Into<Value>) {
        let said = json!({"game_id": game, "player_id": id.into()});
        tell(recorder, player, ASSIGNED, said);
    }

    fn enter(recorder: &Recorder, player: PlayerName, scene: &str) {
        let said = json!({"scene_id": scene, "scene_type": "GymScene"});
        tell(recorder, player, "activate_scene", said);
    }

    fn tell(recorder: &Recorder, player: PlayerName, name: &str, said: Value) {
        let packet = Packet::Event {
            namespace: "/".into(),
            name: name.into(),
            args: vec![said],
            ack: None,
        };
        let wire = WireFact {
            connection: 1,
            direction: Direction::ToClient,
            origin: Origin::Natural,
            packet,
        };
        recorder.record_for(player.as_str(), Fact::Wire(wire));
    }

    fn draft(event: ServerEvent) -> Draft {
        Draft::new(PlayerName::Survivor, event, &Experiment::default())
    }

    #[test]
    fn an_event_names_the_newest_game_of_its_receiver() {
        let recorder = Recorder::in_memory();
        let ended = draft(ServerEvent::P2pGameEnded);
        let unknown = ended.arguments(&recorder).expect_err("no game yet");
        assert_eq!(unknown, "the target never assigned the survivor to a game");
        for game in ["first", "second"] {
            assign(&recorder, PlayerName::Survivor, game, "left");
            assign(&recorder, PlayerName::Partner, game, "right");
        }
        // The partner is one game ahead.
        assign(&recorder, PlayerName::Partner, "third", "left");
        let expected = json!({
            "game_id": "second", "reason": "partner_disconnected", "disconnected_player_id": "right",
        });
        assert_eq!(ended.arguments(&recorder), Ok(vec![expected]));

        assign(&recorder, PlayerName::Survivor, "fourth", "left");
        let unknown = ended.arguments(&recorder).expect_err("half a game");
        assert_eq!(
            unknown,
            "the target never assigned the partner to the survivor's game"
        );
    }

    #[test]
    fn an_earlier_game_is_the_one_before_that_of_its_receiver() {
        let recorder = Recorder::in_memory();
        let earlier = Draft {
            game: WhoseGame::Earlier,
            ..draft(ServerEvent::P2pGameEnded)
        };
        for (scene, game) in [("game-1", "first"), ("game-2", "second")] {
            let none = earlier.arguments(&recorder).expect_err("no earlier game");
            assert_eq!(
                none,
                "the target never assigned the survivor to a game before its own"
            );
            for player in PlayerName::BOTH {
                enter(&recorder, player, scene);
                // A match that came to nothing is no game.
                assign(&recorder, player, &format!("{game}-in-vain"), "left");
            }
            assign(&recorder, PlayerName::Survivor, game, "left");
            assign(&recorder, PlayerName::Partner, game, "right");
        }
        let expected = json!({
            "game_id": "first", "reason": "partner_disconnected", "disconnected_player_id": "right",
        });
        assert_eq!(earlier.arguments(&recorder), Ok(vec![expected.clone()]));
        // In the next scene the second game is still the newest until the target names another.
        enter(&recorder, PlayerName::Survivor, "game-3");
        assert_eq!(earlier.arguments(&recorder), Ok(vec![expected]));
    }

    #[test]
    fn each_reason_has_what_the_target_says_with_it() {
        let recorder = Recorder::in_memory();
        assign(&recorder, PlayerName::Survivor, "g", 0);
        assign(&recorder, PlayerName::Partner, "g", 1);
        let timed_out = Draft {
            reason: Some(Reason::ReconnectionTimeout),
            game: WhoseGame::Stranger,
            ..draft(ServerEvent::P2pGameEnded)
        };
        let said = timed_out.arguments(&recorder).expect("known");
        assert_eq!(
            said,
            [json!({
                "game_id": "g-of-strangers",
                "reason": "reconnection_timeout",
                "disconnected_player_id": 1001,
                "reconnection_data": {
                    "total_pause_duration_ms": 4000, "lost_players": [1000], "recovered_players": [],
                },
            })]
        );
    }

    #[test]
    fn every_event_says_something_once_its_game_is_known() {
        let recorder = Recorder::in_memory();
        for event in ServerEvent::ALL {
            let said = draft(event).arguments(&recorder);
            let unknown = event.names_a_game() || event == ServerEvent::TerminateScene;
            assert_eq!(said.is_err(), unknown, "{}", event.name());
        }
        for scene in ["start", "game-1"] {
            let said = json!({"scene_id": scene, "scene_type": "GymScene"});
            tell(&recorder, PlayerName::Survivor, "activate_scene", said);
        }
        assign(&recorder, PlayerName::Survivor, "g", "left");
        assign(&recorder, PlayerName::Partner, "g", "right");
        let said = ServerEvent::ALL.map(|event| {
            let said = draft(event).arguments(&recorder).expect("known");
            format!("{} {}", event.name(), Value::Array(said))
        });
        insta::assert_snapshot!(said.join("\n"), @r#"
        p2p_game_ended [{"disconnected_player_id":"right","game_id":"g","reason":"partner_disconnected"}]
        partner_excluded [{"frame_number":60,"message":"Your partner had to stop. The game is over.","reason":"partner_exclusion"}]
        trigger_data_export [{"is_partial":true,"termination_frame":60,"termination_reason":"partner_exclusion"}]
        p2p_pause [{"detecting_player":"left","game_id":"g","pause_frame":60}]
        p2p_resume [{"game_id":"g"}]
        continuous_callback_result [{"exclude":true,"message":"Your connection is too slow.","warn":false}]
        end_game [{"message":"The other player has left the game."}]
        waiting_room_player_left [{"message":"The other player has left the waiting room."}]
        p2p_validation_repool [{"message":"No connection came about. Looking for another partner.","reason":"connection_timeout"}]
        match_found_countdown [{"countdown_seconds":3,"message":"A partner was found!"}]
        terminate_scene [{"scene_id":"game-1","scene_type":"GymScene"}]
        "#);
    }
}

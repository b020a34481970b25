//! The games that a player came to, by the evidence.

use serde_json::Value;

use super::fact::{Direction, Event, Fact, Packet};
use super::log::Log;

/// A GymScene for two that a player came to, and the game that was played there.
#[derive(Debug, Clone)]
pub struct GameScene<'a> {
    /// The target's id of the scene.
    pub scene: &'a Value,
    /// The target activated the scene.
    pub activated: &'a Event,
    /// The target's id of the game to which the player was assigned last.
    pub game: Option<&'a Value>,
    /// The event that assigned the player to that game, and what it said.
    pub assigned: Option<(&'a Event, &'a Value)>,
    /// That game started.
    pub started: Option<&'a Event>,
    /// The target activated another scene.
    pub left: Option<&'a Event>,
}

impl GameScene<'_> {
    /// Whether an event at this position belongs to the scene.
    #[must_use]
    pub fn holds(&self, seq: u64) -> bool {
        self.activated.seq <= seq && self.left.is_none_or(|left| seq < left.seq)
    }
}

impl Log {
    /// The GymScenes for two that a player came to, in order. A game for one is none. A scene that is
    /// activated once more without having been terminated, as for a page that was loaded again, is still
    /// the same one; one that was, and comes again, is another.
    #[must_use]
    pub fn games<'a>(&'a self, player: &'a str) -> Vec<GameScene<'a>> {
        let mut games: Vec<GameScene<'a>> = Vec::new();
        let mut is_terminated = false;
        for event in self.of(player) {
            let Some((name, said)) = from_target(event) else {
                continue;
            };
            let here = games.last_mut().filter(|game| game.left.is_none());
            match (name, here) {
                ("activate_scene", Some(here))
                    if said.get("scene_id") == Some(here.scene) && !is_terminated => {}
                ("terminate_scene", Some(here)) if said.get("scene_id") == Some(here.scene) => {
                    is_terminated = true;
                }
                ("activate_scene", here) => {
                    if let Some(here) = here {
                        here.left = Some(event);
                    }
                    is_terminated = false;
                    games.extend(entered(event, said));
                }
                ("pyodide_player_assigned", Some(here)) => {
                    let game = said.get("game_id");
                    if here.game != game {
                        here.started = None;
                    }
                    here.game = game;
                    here.assigned = Some((event, said));
                }
                ("start_game", Some(here)) => {
                    here.started.get_or_insert(event);
                }
                _ => {}
            }
        }
        games
    }
}

/// Name and first argument of an event that the target sent.
fn from_target(event: &Event) -> Option<(&str, &Value)> {
    match &event.fact {
        Fact::Wire(wire) if wire.direction == Direction::ToClient => match &wire.packet {
            Packet::Event { name, args, .. } => Some((name, args.first()?)),
            _ => None,
        },
        _ => None,
    }
}

fn entered<'a>(event: &'a Event, said: &'a Value) -> Option<GameScene<'a>> {
    let is_game = said.get("scene_type") == Some(&Value::from("GymScene"));
    // A target that does not say so has no other games.
    let for_one = said.get("pyodide_multiplayer") == Some(&Value::from(false));
    let scene = said.get("scene_id").unwrap_or(&Value::Null);
    (is_game && !for_one).then_some(GameScene {
        scene,
        activated: event,
        game: None,
        assigned: None,
        started: None,
        left: None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::evidence::{Origin, WireFact};

    fn log(events: &[(&str, Value)]) -> Log {
        let event = |(seq, (name, said)): (usize, &(&str, Value))| Event {
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
                    args: vec![said.clone()],
                    ack: None,
                },
            }),
        };
        Log::new(events.iter().enumerate().map(event).collect())
    }

    fn game(id: &str) -> (&'static str, Value) {
        let said = json!({"scene_id": id, "scene_type": "GymScene", "pyodide_multiplayer": true});
        ("activate_scene", said)
    }

    fn solo() -> (&'static str, Value) {
        let said =
            json!({"scene_id": "solo", "scene_type": "GymScene", "pyodide_multiplayer": false});
        ("activate_scene", said)
    }

    fn assigned(id: &str) -> (&'static str, Value) {
        ("pyodide_player_assigned", json!({"game_id": id}))
    }

    fn started() -> (&'static str, Value) {
        ("start_game", json!({}))
    }

    #[test]
    fn a_game_for_one_ends_a_game_for_two_and_is_none() {
        let log = log(&[
            game("game-1"),
            assigned("a"),
            started(),
            solo(),
            started(),
            game("game-2"),
            assigned("b"),
        ]);
        let games = log.games("survivor");
        let positions: Vec<_> = games
            .iter()
            .map(|game| {
                let seq = |event: Option<&Event>| event.map(|event| event.seq);
                (game.activated.seq, seq(game.started), seq(game.left))
            })
            .collect();
        assert_eq!(positions, [(0, Some(2), Some(3)), (5, None, None)]);
        assert_eq!(games[1].game, Some(&json!("b")));
        assert!(games[0].holds(2) && !games[0].holds(3) && games[1].holds(99));
        assert!(log.games("partner").is_empty());
    }

    #[test]
    fn a_match_that_came_to_nothing_and_a_page_loaded_again_are_of_one_game() {
        let log = log(&[
            game("game-1"),
            assigned("abandoned"),
            assigned("played"),
            game("game-1"),
            started(),
        ]);
        let games = log.games("survivor");
        assert_eq!(games.len(), 1);
        assert_eq!(games[0].game, Some(&json!("played")));
        assert_eq!(games[0].started.map(|event| event.seq), Some(4));
    }

    #[test]
    fn the_start_of_a_match_that_came_to_nothing_is_not_that_of_the_game() {
        let log = log(&[
            game("game-1"),
            assigned("abandoned"),
            started(),
            assigned("played"),
            started(),
            assigned("played"),
        ]);
        let games = log.games("survivor");
        assert_eq!(games.len(), 1);
        assert_eq!(games[0].started.map(|event| event.seq), Some(4));
    }

    #[test]
    fn a_scene_that_was_ended_and_comes_again_is_another_game() {
        let ended = ("terminate_scene", json!({"scene_id": "again"}));
        let log = log(&[
            game("again"),
            assigned("a"),
            started(),
            ended,
            game("again"),
            assigned("b"),
            started(),
        ]);
        let games = log.games("survivor");
        let positions: Vec<_> = games
            .iter()
            .map(|game| {
                let seq = |event: Option<&Event>| event.map(|event| event.seq);
                (game.activated.seq, seq(game.started), seq(game.left))
            })
            .collect();
        assert_eq!(positions, [(0, Some(2), Some(4)), (4, Some(6), None)]);
    }
}

//! The scenes that the target leads a player to, as it tells of them.

use serde_json::Value;

use super::fact::{Direction, Event};
use super::log::Log;
use crate::spec::Experiment;

/// What a participant can do with a scene.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SceneKind {
    /// Read it, answer what it asks, and go on.
    Static,
    /// Play with a partner, peer to peer.
    GameForTwo,
    /// Play alone.
    GameForOne,
    /// Nothing more: the experiment is over.
    End,
    /// Nothing that gymcheck's two players can do, and why.
    Foreign(String),
}

/// A scene, as the target told a player's page of it.
#[derive(Debug, Clone, Copy)]
pub struct Scene<'a> {
    told: &'a Value,
}

impl<'a> Scene<'a> {
    /// The scene that an `activate_scene` tells of by this argument.
    #[must_use]
    pub fn new(told: &'a Value) -> Scene<'a> {
        Scene { told }
    }

    /// The target's id of it.
    #[must_use]
    pub fn id(&self) -> &'a str {
        self.text("scene_id").unwrap_or("without an id")
    }

    /// What a participant can do with it.
    #[must_use]
    pub fn kind(&self) -> SceneKind {
        match self.text("scene_type").unwrap_or_default() {
            "EndScene" | "CompletionCodeScene" => SceneKind::End,
            "GymScene" => self.kind_of_game(),
            "UnityScene" => SceneKind::Foreign("a UnityScene, which nobody can play here".into()),
            _ if self.is("is_unity_scene") => {
                SceneKind::Foreign("a UnityScene, which nobody can play here".into())
            }
            _ => SceneKind::Static,
        }
    }

    fn kind_of_game(&self) -> SceneKind {
        if self.is("server_authoritative")
            || self.told.get("run_through_pyodide") == Some(&false.into())
        {
            return SceneKind::Foreign(
                "a GymScene that the server plays: nothing of it is peer to peer".into(),
            );
        }
        let policies = self.told.get("policy_mapping").and_then(Value::as_object);
        let people = policies.map(|all| all.values().filter(|who| **who == "human").count());
        let for_one = self.told.get("pyodide_multiplayer") == Some(&false.into());
        match people {
            Some(people) if people > 2 => SceneKind::Foreign(format!(
                "a GymScene for {people}, and there are two players"
            )),
            _ if for_one => SceneKind::GameForOne,
            Some(_) | None => SceneKind::GameForTwo,
        }
    }

    /// The names of the keys that its game takes (`KeyboardEvent.key`), in alphabetical order; keys that are
    /// pressed together are in one name, with a comma between them.
    #[must_use]
    pub fn keys(&self) -> Vec<&'a str> {
        let mapping = self.told.get("action_mapping").and_then(Value::as_object);
        mapping
            .into_iter()
            .flat_map(|mapping| mapping.keys().map(String::as_str))
            .collect()
    }

    /// The ids of the elements whose values the target stores when the scene is left.
    #[must_use]
    pub fn stored_elements(&self) -> Vec<&'a str> {
        let ids = self.told.get("element_ids").and_then(Value::as_array);
        ids.into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect()
    }

    /// What the experiment turns out to be, by what the target tells of a GymScene of it. What it does not
    /// tell is as it is in `asked`.
    #[must_use]
    pub fn experiment(&self, served: &str, asked: &Experiment) -> Experiment {
        let number = |name: &str, asked: u32| {
            let told = self.told.get(name).and_then(Value::as_f64);
            told.map_or(asked, |told| told as u32)
        };
        Experiment {
            name: served.to_owned(),
            episodes: number("num_episodes", asked.episodes).max(1),
            steps: number("max_steps", asked.steps).max(1),
            frame_rate: number("fps", asked.frame_rate).max(1),
            load_ms: 0,
            restart_pyodide: self.is("restart_pyodide"),
            reconnection_timeout_ms: number(
                "reconnection_timeout_ms",
                asked.reconnection_timeout_ms,
            ),
            focus_loss_timeout_ms: number("focus_loss_timeout_ms", asked.focus_loss_timeout_ms),
            pause_on_partner_background: self.is("pause_on_partner_background"),
            monitoring: self.is("continuous_monitoring_enabled"),
            disconnect_message: self
                .text("partner_disconnect_message")
                .unwrap_or_default()
                .to_owned(),
            may_end_early: true,
            ..asked.clone()
        }
    }

    fn text(&self, name: &str) -> Option<&'a str> {
        self.told.get(name)?.as_str()
    }

    fn is(&self, name: &str) -> bool {
        self.told.get(name) == Some(&true.into())
    }
}

impl Log {
    /// The scenes that the target led a player to, in order, with the events that did.
    pub fn scenes<'a>(
        &'a self,
        player: &'a str,
    ) -> impl DoubleEndedIterator<Item = (&'a Event, Scene<'a>)> {
        self.socket_events(player, Direction::ToClient, "activate_scene")
            .filter_map(|(event, _, args)| Some((event, Scene::new(args.first()?))))
    }

    /// What the experiment turned out to be, where it is not the spec's own: by the survivor's first game
    /// for two. `None` as long as there was none, and for the spec's own.
    #[must_use]
    pub fn experiment_found(&self, asked: &Experiment) -> Option<Experiment> {
        let served = self.run()?.served.as_deref()?;
        let mut scenes = self.scenes("survivor");
        let (_, game) = scenes.find(|(_, scene)| scene.kind() == SceneKind::GameForTwo)?;
        Some(game.experiment(served, asked))
    }

    /// What such an experiment is in the game where a player stands, for one or for two. `None` where it stands
    /// elsewhere, and for the spec's own.
    #[must_use]
    pub fn experiment_at(&self, player: &str, asked: &Experiment) -> Option<Experiment> {
        let served = self.run()?.served.as_deref()?;
        let (_, here) = self.scenes(player).next_back()?;
        let is_game = matches!(here.kind(), SceneKind::GameForOne | SceneKind::GameForTwo);
        is_game.then(|| here.experiment(served, asked))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn kind(told: &Value) -> SceneKind {
        Scene::new(told).kind()
    }

    fn game(more: Value) -> Value {
        let mut told = json!({
            "scene_id": "g", "scene_type": "GymScene", "run_through_pyodide": true,
            "pyodide_multiplayer": true, "policy_mapping": {"a": "human", "b": "human"},
        });
        for (name, value) in more.as_object().into_iter().flatten() {
            told[name] = value.clone();
        }
        told
    }

    #[test]
    fn what_a_participant_can_do_is_told_by_the_target() {
        assert_eq!(kind(&game(json!({}))), SceneKind::GameForTwo);
        let alone =
            json!({"pyodide_multiplayer": false, "policy_mapping": {"a": "human", "b": "bot"}});
        assert_eq!(kind(&game(alone)), SceneKind::GameForOne);
        for (more, why) in [
            (
                json!({"policy_mapping": {"a": "human", "b": "human", "c": "human"}}),
                "for 3",
            ),
            (json!({"server_authoritative": true}), "the server plays"),
            (json!({"run_through_pyodide": false}), "the server plays"),
            (json!({"scene_type": "UnityScene"}), "UnityScene"),
            (
                json!({"scene_type": "Webgl", "is_unity_scene": true}),
                "UnityScene",
            ),
        ] {
            match kind(&game(more)) {
                SceneKind::Foreign(said) => assert!(said.contains(why), "{said}"),
                other => panic!("{why}: {other:?}"),
            }
        }
        let of_type = |name: &str| kind(&json!({"scene_type": name}));
        assert_eq!(of_type("CompletionCodeScene"), SceneKind::End);
        assert_eq!(of_type("EndScene"), SceneKind::End);
        assert_eq!(of_type("MultipleChoice"), SceneKind::Static);
    }

    #[test]
    fn what_the_target_does_not_tell_is_as_it_was_asked_for() {
        let asked = Experiment {
            steps: 60,
            games: 2,
            disconnect_message: "asked".into(),
            ..Experiment::default()
        };
        let told = game(
            json!({"num_episodes": 3, "fps": 15.0, "restart_pyodide": true,
            "partner_disconnect_message": null, "action_mapping": {"w": 1, "ArrowUp": 2}}),
        );
        let scene = Scene::new(&told);
        assert_eq!(scene.keys(), ["ArrowUp", "w"]);
        let found = scene.experiment("mine", &asked);
        assert_eq!(
            (found.episodes, found.steps, found.frame_rate, found.games),
            (3, 60, 15, 2)
        );
        assert!(found.restart_pyodide && found.may_end_early && !found.monitoring);
        assert_eq!(
            (found.name.as_str(), found.disconnect_message.as_str()),
            ("mine", "")
        );
    }
}

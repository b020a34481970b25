//! The way through the scenes of one page: from game to game, with what is taken down of each game
//! without being asked for.

use serde_json::Value;
use std::cell::Cell;
use std::collections::BTreeMap;

use super::scenario::Scenario;
use crate::evidence::{Direction, Event, Log};
use crate::player::{PlayerError, socket_event};
use crate::spec::{GameNumber, PlayerName, SceneRole};
use crate::stage::deadline;

/// The game for two where a player stands.
pub(super) struct CurrentGame {
    pub(super) number: GameNumber,
    /// The target's id of its scene.
    pub(super) scene: String,
    /// Position of the scene's activation in the evidence.
    pub(super) activated: u64,
    /// Position of the game's start; of the scene's activation, as long as it has not started.
    pub(super) started: u64,
}

impl Scenario {
    /// The game for two where a player stands.
    ///
    /// # Errors
    /// The player stands elsewhere.
    pub(super) fn current_game(&self, name: PlayerName) -> Result<CurrentGame, PlayerError> {
        let log = self.recorder.log();
        let games = log.games(name.as_str());
        let here = games.last().filter(|game| game.left.is_none());
        let here = here.ok_or_else(|| {
            PlayerError::Missed(format!("the {name} does not stand on a GymScene for two"))
        })?;
        Ok(CurrentGame {
            number: GameNumber::after(games.len() - 1),
            scene: here.scene.as_str().unwrap_or_default().to_owned(),
            activated: here.activated.seq,
            started: here.started.unwrap_or(here.activated).seq,
        })
    }

    /// From the GymScene where the players stand into a running game.
    pub(super) async fn start(&self, names: &[PlayerName]) -> Result<(), PlayerError> {
        for name in names {
            let label = self.current_game(*name)?.number.before();
            self.look(*name, &label).await?;
        }
        let starting = names.iter().map(|name| self.player(*name).start());
        futures_util::future::try_join_all(starting).await?;
        Ok(())
    }

    /// A game for one, from its GymScene to the next scene.
    pub(super) async fn solo(&self, names: &[PlayerName]) -> Result<(), PlayerError> {
        let playing = names.iter().map(|name| self.play_alone(*name));
        futures_util::future::try_join_all(playing).await?;
        Ok(())
    }

    async fn play_alone(&self, name: PlayerName) -> Result<(), PlayerError> {
        let player = self.player(name);
        let from = self.recorder.len();
        player.start().await?;
        let next = "the scene after the game for one";
        let within = self.game_deadline();
        let until = player.wait_to_client(from, within, "activate_scene", next);
        player.play(self.experiment.steps * 2 / 3, until).await?;
        Ok(())
    }

    /// Waits until a player has come to a scene.
    pub(super) async fn arrive(&self, name: PlayerName, at: SceneRole) -> Result<(), PlayerError> {
        let player = self.player(name);
        let mut from = 0;
        loop {
            let came = player
                .wait_to_client(from, deadline::REACTION, "activate_scene", &at.to_string())
                .await?;
            if self.is_role(name, &came, at) {
                self.pictures(&[name], &at.to_string()).await;
                return Ok(());
            }
            from = came.seq + 1;
        }
    }

    /// Whether the scene that this event activates has a role.
    fn is_role(&self, name: PlayerName, activates: &Event, role: SceneRole) -> bool {
        let game = match role {
            SceneRole::AfterFirstGame => GameNumber::FIRST,
            SceneRole::AfterGame(game) => game,
            SceneRole::End => return activates_end(activates),
        };
        let log = self.recorder.log();
        let games = log.games(name.as_str());
        let left = games.get(game.index()).and_then(|game| game.left);
        left.is_some_and(|left| left.seq == activates.seq)
    }

    /// Takes down the page and the kernel's view of each player once the survivor's game is going on.
    /// What belongs to a game is there when it starts, or comes within its first second.
    pub(super) async fn look_into_the_game(&self) -> Result<(), PlayerError> {
        let survivor = PlayerName::Survivor;
        let game = self.current_game(survivor)?;
        let label = game.number.during();
        if self
            .recorder
            .log()
            .snapshot(survivor.as_str(), &label)
            .is_some()
        {
            return Ok(());
        }
        // Episodes may be shorter than that.
        let nearly_over = u64::from(self.experiment.steps * 2 / 3);
        tokio::select! {
            lasted = self.lasted_a_second(survivor, &game) => lasted?,
            played = self.inputs_came(survivor, nearly_over) => played?,
        }
        for name in self.present() {
            self.look(name, &label).await?;
        }
        self.pictures(&PlayerName::BOTH, &label).await;
        Ok(())
    }

    /// Ends when a game has gone on for at least a second: the page pings the target once a second.
    async fn lasted_a_second(
        &self,
        name: PlayerName,
        game: &CurrentGame,
    ) -> Result<(), PlayerError> {
        let player = self.player(name);
        let mut from = game.started;
        for ping in ["a ping in the game", "another ping in the game"] {
            let sent = player.wait_to_server(from, deadline::REACTION, "ping", ping);
            from = sent.await?.seq + 1;
        }
        self.inputs_came(name, 1).await
    }

    /// Ends when so many inputs of the partner have come to a player since the game started, over the
    /// data channel or by the target's relay.
    pub(super) async fn inputs_came(
        &self,
        name: PlayerName,
        least: u64,
    ) -> Result<(), PlayerError> {
        let started = self.current_game(name)?.started;
        let player = self.player(name);
        let arrivals = Arrivals::since(&self.recorder.log(), name, started);
        let what = format!("{least} inputs of the partner at the {name}'s page");
        self.recorder
            .wait(started, deadline::REACTION, &what, |event| {
                player.is_mine(event) && arrivals.reach(event, least)
            })
            .await?;
        Ok(())
    }

    /// Takes down the page and the kernel's view of a player, unless the spec has an `observe` of that
    /// name.
    async fn look(&self, name: PlayerName, label: &str) -> Result<(), PlayerError> {
        if self.observed.contains(label) {
            return Ok(());
        }
        self.observe_kernel(name, label);
        self.snapshot(name, label).await
    }
}

fn activates_end(event: &Event) -> bool {
    socket_event(event, Direction::ToClient, "activate_scene").is_some_and(|args| {
        args.first().and_then(|scene| scene.get("scene_type")) == Some(&Value::from("EndScene"))
    })
}

/// Counts what has come to a player's page since its game started.
struct Arrivals {
    /// What each channel had received by then, by page and channel: a channel also carries the
    /// connection's own messages before the game starts.
    before: BTreeMap<(u32, u32), u64>,
    relayed: Cell<u64>,
    /// What comes next: an event may be shown twice.
    next: Cell<u64>,
}

impl Arrivals {
    fn since(log: &Log, name: PlayerName, started: u64) -> Arrivals {
        let before = log
            .of(name.as_str())
            .filter(|event| event.seq < started)
            .filter_map(Event::channel_received)
            .collect();
        Arrivals {
            before,
            relayed: Cell::new(0),
            next: Cell::new(started),
        }
    }

    /// Whether, with this event, at least so many have come one way.
    fn reach(&self, event: &Event, least: u64) -> bool {
        if let Some((channel, total)) = event.channel_received() {
            let before = self.before.get(&channel).copied().unwrap_or(0);
            return total >= before + least;
        }
        let relays =
            socket_event(event, Direction::ToClient, "pyodide_other_player_action").is_some();
        if relays && event.seq >= self.next.get() {
            self.next.set(event.seq + 1);
            self.relayed.set(self.relayed.get() + 1);
        }
        relays && self.relayed.get() >= least
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::{Fact, Origin, Packet, PageEvent, PageFact, WireFact};

    fn event(seq: u64, fact: Fact) -> Event {
        Event {
            seq,
            t: seq as f64,
            player: Some("survivor".to_owned()),
            fact,
        }
    }

    fn traffic(seq: u64, id: u32, received: u64) -> Event {
        let what = PageFact::ChannelTraffic {
            id,
            sent: 0,
            sent_bytes: 0,
            received,
            received_bytes: 0,
        };
        let page = PageEvent {
            page: 1,
            page_t: 0.0,
            what,
        };
        event(seq, Fact::Page(page))
    }

    fn relayed(seq: u64) -> Event {
        let packet = Packet::Event {
            namespace: "/".to_owned(),
            name: "pyodide_other_player_action".to_owned(),
            args: Vec::new(),
            ack: None,
        };
        event(
            seq,
            Fact::Wire(WireFact {
                connection: 1,
                direction: Direction::ToClient,
                origin: Origin::Natural,
                packet,
            }),
        )
    }

    #[test]
    fn only_what_came_since_the_game_started_counts() {
        let log = Log::new(vec![traffic(0, 1, 900), traffic(1, 2, 14)]);
        let arrivals = Arrivals::since(&log, PlayerName::Survivor, 2);
        assert!(!arrivals.reach(&traffic(2, 2, 20), 10));
        assert!(arrivals.reach(&traffic(3, 2, 24), 10));
    }

    #[test]
    fn a_relayed_input_that_is_shown_twice_counts_once() {
        let arrivals = Arrivals::since(&Log::default(), PlayerName::Survivor, 0);
        assert!(!arrivals.reach(&relayed(3), 2));
        assert!(!arrivals.reach(&relayed(3), 2));
        assert!(arrivals.reach(&relayed(4), 2));
        assert!(!arrivals.reach(&traffic(5, 1, 1), 2));
    }
}

//! A player's way through its games, as a list of the events that specs can name.

use std::collections::BTreeSet;

use super::fact::{Direction, Event, Fact, Packet, PageFact};
use super::games::GameScene;
use super::log::Log;
use crate::spec::{Experiment, GameEvent, GameNumber};

/// An event of one of a player's games.
#[derive(Debug, Clone, Copy)]
pub struct LifeEvent<'a> {
    /// Which game.
    pub game: GameNumber,
    /// Which event of it.
    pub what: GameEvent,
    /// Where it is in the evidence.
    pub event: &'a Event,
}

impl Log {
    /// The events of all games of a player, in the order of the evidence; of what happens several times in
    /// a game, the first. When the target has finished with an advance is no event of the player's own.
    #[must_use]
    pub fn life<'a>(&'a self, player: &'a str, experiment: &Experiment) -> Vec<LifeEvent<'a>> {
        let mut life: Vec<LifeEvent<'a>> = Vec::new();
        for (index, game) in self.games(player).iter().enumerate() {
            let found = GameEvent::ALL.into_iter().filter_map(|what| {
                Some(LifeEvent {
                    game: GameNumber::after(index),
                    what,
                    event: self.find_in_game(player, experiment, game, what)?,
                })
            });
            life.extend(found);
        }
        life.sort_by_key(|one| one.event.seq);
        life
    }

    fn find_in_game<'a>(
        &'a self,
        player: &'a str,
        experiment: &Experiment,
        game: &GameScene<'a>,
        what: GameEvent,
    ) -> Option<&'a Event> {
        let last = game.left.map_or(u64::MAX, |left| left.seq);
        let first_of = |direction, name: &'static str, from: u64| {
            self.socket_events(player, direction, name)
                .map(|(event, _, _)| event)
                .find(|event| event.seq >= from && event.seq <= last)
        };
        let entered = game.activated.seq;
        let started = game.started.map(|event| event.seq);
        let reached = |question: &dyn Fn(u32, u32) -> bool, from: u64| {
            self.of(player).find(|event| {
                event.seq > from
                    && event.seq <= last
                    && matches!(&event.fact, Fact::Page(page) if matches!(
                        page.what,
                        PageFact::GameProgress { episodes, frame } if question(episodes, frame)
                    ))
            })
        };
        let ended = || self.last_episode_ended(player, experiment, started?, last);
        match what {
            GameEvent::SceneEntered => Some(game.activated),
            GameEvent::JoinSent => first_of(Direction::ToServer, "join_game", entered),
            GameEvent::MatchFound => {
                first_of(Direction::ToClient, "match_found_countdown", entered)
            }
            GameEvent::GameStarted => game.started,
            GameEvent::FirstFrame => {
                reached(&|episodes, frame| episodes == 0 && frame > 0, started?)
            }
            GameEvent::LastFrames => {
                let near = experiment.last_frames();
                let is_last = |episodes| episodes + 1 == experiment.episodes;
                let begun = reached(&|now, frame| is_last(now) && frame < near, started?)?;
                reached(&|now, frame| is_last(now) && frame >= near, begun.seq)
            }
            GameEvent::LastEpisodeEnded => ended(),
            GameEvent::AdvanceSent => first_of(Direction::ToServer, "advance_scene", ended()?.seq),
            GameEvent::SceneTerminated => {
                first_of(Direction::ToClient, "terminate_scene", started?)
            }
            GameEvent::SceneActivated => game.left,
            GameEvent::AdvanceHandled => None,
        }
    }

    fn last_episode_ended<'a>(
        &'a self,
        player: &'a str,
        experiment: &Experiment,
        from: u64,
        last: u64,
    ) -> Option<&'a Event> {
        let mut seen = BTreeSet::new();
        self.socket_events(player, Direction::ToServer, "emit_episode_data")
            .filter(|(event, _, _)| event.seq > from && event.seq <= last)
            .map(|(event, _, _)| event)
            .find(|event| {
                seen.insert(event.episode().unwrap_or(event.seq));
                seen.len() >= experiment.episodes as usize
            })
    }
}

impl Event {
    /// Which episode a page's `emit_episode_data` is the record of, as it says.
    #[must_use]
    pub fn episode(&self) -> Option<u64> {
        let Fact::Wire(wire) = &self.fact else {
            return None;
        };
        match &wire.packet {
            Packet::Event { args, .. } => args.first()?.get("episode_num")?.as_u64(),
            _ => None,
        }
    }
}

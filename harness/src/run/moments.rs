//! Playing until a moment of the game, and waiting for one.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::scenario::Scenario;
use crate::evidence::{Awaited, Direction, Event, InstantFact, PageFact, Source};
use crate::player::{PlayerError, socket_event};
use crate::spec::{GameEvent, LAST_FRAMES, Moment, PlayerName};
use crate::stage::deadline;

impl Scenario {
    /// Lets all who are there play until a moment. Nobody plays longer than until the end of its
    /// last episode. Gives the event from which the moment counts.
    pub(super) async fn play_until(&self, moment: Moment) -> Result<Awaited, PlayerError> {
        let hands = self.in_front().into_iter().map(|name| {
            let hands = self.hands(name);
            let over = async move {
                tokio::select! {
                    reached = self.reach(moment) => reached.map(drop),
                    ended = self.last_episode_ended(name) => ended.map(drop),
                }
            };
            async move { self.player(name).play(&hands, over).await }
        });
        let playing = async {
            let hands = futures_util::future::try_join_all(hands);
            let (event, _) = tokio::try_join!(self.reach(moment), hands)?;
            Ok(event)
        };
        let looking = async {
            // The game may be over already.
            if self.current_game(PlayerName::Survivor).is_ok() {
                self.look_into_the_game().await?;
            }
            std::future::pending().await
        };
        // The moment may come before there is anything to look at: it does not wait for that.
        tokio::select! {
            reached = playing => reached,
            failed = looking => failed,
        }
    }

    /// Waits for a moment. Gives the event from which it counts.
    pub(super) async fn reach(&self, moment: Moment) -> Result<Awaited, PlayerError> {
        let event = self.game_event(moment.after, moment.of).await?;
        let passed = self.recorder.now() - event.t;
        let left = (f64::from(moment.offset_ms) - passed).max(0.0);
        tokio::time::sleep_until(Instant::now() + Duration::from_secs_f64(left / 1000.0)).await;
        Ok(event)
    }

    /// How long after a moment's event it is now, or was at `at`.
    pub(super) fn instant(&self, moment: &Moment, event: &Event, at: f64) -> InstantFact {
        InstantFact {
            after: moment.after,
            of: moment.of.to_string(),
            event: event.seq,
            wanted_ms: f64::from(moment.offset_ms),
            actual_ms: at - event.t,
        }
    }

    /// Waits for an event of a player's newest game.
    async fn game_event(&self, event: GameEvent, of: PlayerName) -> Result<Awaited, PlayerError> {
        let began = self.game_began(of).await?;
        let from = began.seq;
        match event {
            GameEvent::GameStarted => Ok(began),
            GameEvent::LastFrames => self.last_frames(of, from).await,
            GameEvent::LastEpisodeEnded => self.last_episode_ended(of).await,
            GameEvent::AdvanceSent => {
                let player = self.player(of);
                let what = "the page to ask for the next scene";
                player
                    .wait_to_server(from, self.game_deadline(), "advance_scene", what)
                    .await
            }
            GameEvent::AdvanceHandled => {
                let what = format!("the target to handle the {of}'s `advance_scene`");
                self.must_see(Source::Handlers)?;
                self.wait_handled(of, from, self.game_deadline(), "advance_scene", &what)
                    .await
            }
            GameEvent::SceneTerminated => self.told(of, from, "terminate_scene").await,
            GameEvent::SceneActivated => self.told(of, from, "activate_scene").await,
        }
    }

    async fn told(&self, of: PlayerName, from: u64, event: &str) -> Result<Awaited, PlayerError> {
        let what = "the scene after the game";
        self.player(of)
            .wait_to_client(from, self.game_deadline(), event, what)
            .await
    }

    /// The event by which a player's newest game began.
    async fn game_began(&self, of: PlayerName) -> Result<Awaited, PlayerError> {
        let newest = self
            .recorder
            .log()
            .socket_events(of.as_str(), Direction::ToClient, "start_game")
            .next_back()
            .map_or(0, |(event, _, _)| event.seq);
        self.player(of)
            .wait_to_client(newest, deadline::LOAD, "start_game", "the game to start")
            .await
    }

    /// The page's record of the last episode of a player's newest game, as it passes the gateway.
    /// A page that gets no answer sends the same record again.
    async fn last_episode_ended(&self, of: PlayerName) -> Result<Awaited, PlayerError> {
        let began = self.game_began(of).await?;
        let player = self.player(of);
        let mut seen = BTreeSet::new();
        let mut from = began.seq;
        loop {
            let what = format!("the {of}'s record of episode {}", seen.len() + 1);
            let within = self.game_deadline();
            let sent = player
                .wait_to_server(from, within, "emit_episode_data", &what)
                .await?;
            from = sent.seq + 1;
            seen.insert(episode_of(&sent).unwrap_or(sent.seq));
            if seen.len() >= self.experiment.episodes as usize {
                return Ok(sent);
            }
        }
    }

    /// The last frames of the last episode of a player's game, as its page's game says.
    async fn last_frames(&self, of: PlayerName, from: u64) -> Result<Awaited, PlayerError> {
        let (episodes, steps) = (self.experiment.episodes, self.experiment.steps);
        let near = steps - LAST_FRAMES.min(steps / 2);
        let last = |now: u32| now + 1 == episodes;
        // Between two episodes the frames are still those of the one before.
        let begun = self
            .progress(of, from, "the last episode to begin", |now, frame| {
                last(now) && frame < near
            })
            .await?;
        self.progress(of, begun.seq, "the last frames", |now, frame| {
            last(now) && frame >= near
        })
        .await
    }

    async fn progress(
        &self,
        of: PlayerName,
        from: u64,
        what: &str,
        question: impl Fn(u32, u32) -> bool,
    ) -> Result<Awaited, PlayerError> {
        let player = self.player(of);
        let what = format!("{what} ({of}, as its page's own game says)");
        let found = self
            .recorder
            .wait(from, self.game_deadline(), &what, |event| {
                player.page_fact(event).is_some_and(|fact| {
                    matches!(fact, PageFact::GameProgress { episodes, frame } if question(*episodes, *frame))
                })
            })
            .await?;
        Ok(found)
    }

    /// How long a game can take at most. Nobody can say how fast a busy machine plays; ten times as
    /// long as it should take is certainly stuck.
    pub(super) fn game_deadline(&self) -> Duration {
        let length = u64::from(self.experiment.episodes * self.experiment.steps)
            / u64::from(self.experiment.frame_rate.max(1));
        deadline::REACTION + Duration::from_secs(10 * length)
    }
}

/// Which episode a page sends the record of, as it says.
fn episode_of(sent: &Event) -> Option<u64> {
    socket_event(sent, Direction::ToServer, "emit_episode_data")?
        .first()?
        .get("episode_num")
        .and_then(Value::as_u64)
}

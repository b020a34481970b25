//! Playing until a moment of the game, and waiting for one.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;

use super::scenario::{LONGEST_GAME, Scenario, lasts};
use super::walk::endless;
use crate::evidence::{Awaited, Event, InstantFact, PageFact, Source};
use crate::player::PlayerError;
use crate::spec::{Experiment, GameEvent, GameNumber, Moment, PlayerName, WalkUntil};
use crate::stage::deadline;

impl Scenario {
    /// Lets all who are there go on as participants do, until a moment. Gives the event from which the
    /// moment counts.
    pub(super) async fn go_on_until(&self, moment: Moment) -> Result<Awaited, PlayerError> {
        let number = moment.game.unwrap_or_else(|| self.newest_game(moment.of));
        let walking = self.in_front().into_iter().map(|name| async move {
            self.walk_on(name, WalkUntil::End).await?;
            std::future::pending::<Result<(), PlayerError>>().await
        });
        let walking = futures_util::future::try_join_all(walking);
        tokio::select! {
            biased;
            reached = self.reach(moment, number) => reached,
            failed = walking => Err(failed.err().unwrap_or_else(endless)),
            failed = self.look_into_the_games() => Err(failed),
        }
    }

    /// Waits for a moment. Gives the event from which it counts.
    async fn reach(&self, moment: Moment, number: GameNumber) -> Result<Awaited, PlayerError> {
        let event = self.game_event(moment.after, moment.of, number).await?;
        let passed = self.recorder.now() - event.t;
        let left = (f64::from(moment.offset_ms) - passed).max(0.0);
        tokio::time::sleep_until(Instant::now() + Duration::from_secs_f64(left / 1000.0)).await;
        Ok(event)
    }

    /// Takes down each of the survivor's games from where it stands, while it is played. Ends only if that
    /// cannot be done.
    pub(super) async fn look_into_the_games(&self) -> PlayerError {
        let survivor = PlayerName::Survivor;
        let mut number = self.newest_game(survivor);
        loop {
            if let Err(error) = self
                .game_event(GameEvent::GameStarted, survivor, number)
                .await
            {
                return error;
            }
            // The game may be over already.
            if self
                .current_game(survivor)
                .is_ok_and(|game| game.number == number)
                && let Err(error) = self.look_into_the_game().await
            {
                return error;
            }
            number = GameNumber::after(number.get() as usize);
        }
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

    /// Plays until an event of the survivor's game. Nobody plays longer than until the end of its last
    /// episode.
    pub(super) async fn play_to(&self, event: GameEvent) -> Result<(), PlayerError> {
        let survivor = PlayerName::Survivor;
        let number = self.newest_game(survivor);
        let hands = self.in_front().into_iter().map(|name| {
            let hands = self.hands(name);
            let newest = self.newest_game(name);
            let over = async move {
                tokio::select! {
                    reached = self.game_event(event, survivor, number) => reached.map(drop),
                    ended = self.game_event(GameEvent::LastEpisodeEnded, name, newest) => ended.map(drop),
                }
            };
            async move { self.player(name).play(&hands, over).await }
        });
        let playing = async {
            let hands = futures_util::future::try_join_all(hands);
            tokio::try_join!(self.game_event(event, survivor, number), hands)?;
            Ok(())
        };
        let looking = async {
            // The game may be over already.
            if self.current_game(survivor).is_ok() {
                self.look_into_the_game().await?;
            }
            std::future::pending().await
        };
        // The event may come before there is anything to look at: it does not wait for that.
        tokio::select! {
            reached = playing => reached,
            failed = looking => failed,
        }
    }

    /// The game where a player stands, or from which it came last; the first one, as long as it came to none.
    fn newest_game(&self, of: PlayerName) -> GameNumber {
        let log = self.recorder.log();
        let games = log.games(of.as_str()).len();
        GameNumber::after(games.saturating_sub(1))
    }

    /// Waits for an event of a player's game of this number.
    async fn game_event(
        &self,
        event: GameEvent,
        of: PlayerName,
        number: GameNumber,
    ) -> Result<Awaited, PlayerError> {
        let entered = self.scene_entered(of, number).await?;
        let player = self.player(of);
        let within = deadline::LOAD + self.game_deadline();
        let since = entered.seq;
        let began = async {
            let what = "the game to start";
            let began = player.wait_to_client(since, within, "start_game", what);
            began.await
        };
        match event {
            GameEvent::SceneEntered => Ok(entered),
            GameEvent::JoinSent => {
                let what = "the page to ask for a partner";
                let sent = player.wait_to_server(since, within, "join_game", what);
                sent.await
            }
            GameEvent::MatchFound => {
                let found = "match_found_countdown";
                let found = player.wait_to_client(since, within, found, "a partner");
                found.await
            }
            GameEvent::GameStarted => began.await,
            GameEvent::FirstFrame => {
                let first = |now: u32, frame: u32| now == 0 && frame > 0;
                let from = began.await?.seq;
                self.progress(of, from, "the first frame", first).await
            }
            GameEvent::LastFrames => self.last_frames(of, began.await?.seq).await,
            GameEvent::LastEpisodeEnded => self.last_episode_ended(of, began.await?.seq).await,
            GameEvent::AdvanceSent => {
                let what = "the page to ask for the next scene";
                let sent = player.wait_to_server(began.await?.seq, within, "advance_scene", what);
                sent.await
            }
            GameEvent::AdvanceHandled => {
                let what = format!("the target to handle the {of}'s `advance_scene`");
                let from = began.await?.seq;
                self.must_see(Source::Handlers)?;
                self.wait_handled(of, from, within, "advance_scene", &what)
                    .await
            }
            GameEvent::SceneTerminated => self.told(of, began.await?.seq, "terminate_scene").await,
            GameEvent::SceneActivated => self.told(of, began.await?.seq, "activate_scene").await,
        }
    }

    async fn told(&self, of: PlayerName, from: u64, event: &str) -> Result<Awaited, PlayerError> {
        let what = "the scene after the game";
        let within = deadline::LOAD + self.game_deadline();
        self.player(of)
            .wait_to_client(from, within, event, what)
            .await
    }

    /// The event by which a player came to its GymScene of this number.
    async fn scene_entered(
        &self,
        of: PlayerName,
        number: GameNumber,
    ) -> Result<Awaited, PlayerError> {
        let mut from = 0;
        loop {
            let what = format!("game {number}");
            let within = deadline::LOAD + self.game_deadline();
            let activated = self
                .player(of)
                .wait_to_client(from, within, "activate_scene", &what)
                .await?;
            let log = self.recorder.log();
            let games = log.games(of.as_str());
            let entered = games.get(number.index()).map(|game| game.activated.seq);
            if entered == Some(activated.seq) {
                return Ok(activated);
            }
            from = activated.seq + 1;
        }
    }

    /// The page's record of the last episode of a player's game that began at `from`, as it passes the
    /// gateway. A page that gets no answer sends the same record again.
    async fn last_episode_ended(&self, of: PlayerName, from: u64) -> Result<Awaited, PlayerError> {
        let player = self.player(of);
        let mut seen = BTreeSet::new();
        let mut from = from;
        loop {
            let what = format!("the {of}'s record of episode {}", seen.len() + 1);
            let within = self.game_deadline();
            let sent = player
                .wait_to_server(from, within, "emit_episode_data", &what)
                .await?;
            from = sent.seq + 1;
            seen.insert(sent.episode().unwrap_or(sent.seq));
            if seen.len() >= self.experiment.episodes as usize {
                return Ok(sent);
            }
        }
    }

    /// The last frames of the last episode of a player's game, as its page's game says.
    async fn last_frames(&self, of: PlayerName, from: u64) -> Result<Awaited, PlayerError> {
        let episodes = self.experiment.episodes;
        let near = self.experiment.last_frames();
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

    /// How long a game can take at most.
    pub(super) fn game_deadline(&self) -> Duration {
        game_deadline_of(&self.experiment)
    }
}

/// How long a game can take at most. Nobody can say how fast a busy machine plays; ten times as long as it should
/// take is certainly stuck.
pub(super) fn game_deadline_of(experiment: &Experiment) -> Duration {
    let length = lasts(experiment).as_secs();
    deadline::REACTION + Duration::from_secs(10 * length).min(LONGEST_GAME)
}

//! The steps of a spec, each carried out on a stage.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::barrier::Watched;
use super::data;
use super::forge::Draft;
use super::last_words::last_words;
use super::pixels::Screens;
use super::slots::Turn;
use crate::evidence::{
    ActionFact, Awaited, BrokenFact, Direction, Event, Fact, Recorder, SceneKind, Source,
    WaitError, begins, comes_after, is_called_off,
};
use crate::player::{Hands, Hidden, Player, PlayerError, socket_event};
use crate::spec::{
    ExitPath, Experiment, GameEvent, PlayUntil, PlayerName, Provoke, Spec, SpecBody, Step,
    WatchUntil,
};
use crate::stage::{Stage, deadline};

/// How many inputs of the partner make a middle of a game, at most.
const MID_GAME: u32 = 100;

/// How long a player is watched at most who must not be moved on, in an experiment that is not the spec's
/// own and may have long games.
const LONGEST_WATCH: Duration = Duration::from_secs(60);

/// For how long a run waits for a time-out of such an experiment.
const LONGEST_WAIT: Duration = Duration::from_secs(120);

/// How long a game may take at most that is waited for: many experiments say how many steps an episode has at
/// most and end it earlier, and some say no limit by a number that is years. Whoever plays for an hour is stuck.
pub(super) const LONGEST_GAME: Duration = Duration::from_secs(3600);

/// The client's "Done!" countdown after the last episode, which no experiment can set.
const DONE_COUNTDOWN: Duration = Duration::from_secs(3);

/// A spec in progress on its stage.
pub(super) struct Scenario {
    pub(super) stage: Stage,
    pub(super) recorder: Recorder,
    pub(super) players: BTreeMap<PlayerName, Player>,
    /// Players who have gone.
    pub(super) gone: BTreeSet<PlayerName>,
    /// Players whose page is in the background.
    pub(super) hidden: BTreeMap<PlayerName, Hidden>,
    pub(super) artefacts: PathBuf,
    pub(super) screens: Screens,
    /// The one that is played: what was asked for, or what was found, once it was.
    pub(super) experiment: Experiment,
    /// What the spec asks for.
    pub(super) spec: SpecBody,
    turn: Turn,
}

impl Scenario {
    pub(super) fn new(
        stage: Stage,
        spec: &Spec,
        recorder: &Recorder,
        artefacts: &Path,
        turn: Turn,
    ) -> Scenario {
        let players = stage
            .browsers
            .iter()
            .map(|(name, browser)| {
                let origin = stage.gateway.origin(name.as_str());
                (*name, Player::new(*name, browser, origin, recorder))
            })
            .collect();
        Scenario {
            stage,
            recorder: recorder.clone(),
            players,
            gone: BTreeSet::new(),
            hidden: BTreeMap::new(),
            artefacts: artefacts.to_owned(),
            screens: Screens::default(),
            experiment: spec.body.experiment.clone(),
            spec: spec.body.clone(),
            turn,
        }
    }

    /// Lets another run be carried out from here on: a time-out of the target's is waited for, for minutes, and
    /// what comes after it is little.
    pub(super) fn makes_way(&self) {
        self.turn.makes_way();
    }

    pub(super) fn into_stage(self) -> Stage {
        self.stage
    }

    /// Carries out one step.
    pub(super) async fn step(&mut self, step: &Step) -> Result<(), PlayerError> {
        match step {
            Step::Enter(who) => self.enter_together(&who.players).await,
            Step::Join(who) => self.join(&who.players).await,
            Step::Start(who) => self.start(&who.players).await,
            Step::Solo(who) => self.solo(&who.players).await,
            Step::Play(play) => match play.until {
                PlayUntil::MidGame => self.play_until_mid_game().await,
                PlayUntil::LastFrames => self.play_to(GameEvent::LastFrames).await,
                PlayUntil::DoneCountdown => self.play_to(GameEvent::LastEpisodeEnded).await,
                PlayUntil::LastEpisodeEnded => self.play_to_the_end().await,
            },
            Step::Arrive(arrive) => self.arrive(arrive.player, arrive.at).await,
            Step::Walk(walk) => self.walk(&walk.players, walk.until).await,
            Step::Observe(observe) => self.observe(observe).await,
            Step::Leave(leave) => self.leave(leave).await,
            Step::Background(background) => self.background(background).await,
            Step::Foreground(who) => self.foreground(who.player).await,
            Step::Sever(who) => self.sever(who.player).await,
            Step::Provoke(provoke) => self.provoke(provoke).await,
            Step::Hold(_)
            | Step::Delay(_)
            | Step::Inject(_)
            | Step::Cut(_)
            | Step::Drop(_)
            | Step::Duplicate(_)
            | Step::Overtake(_) => self.disturb(step).await,
            Step::Release(rule) => {
                self.stage.gateway.release(rule);
                Ok(())
            }
            Step::Watch(watch) => match watch.until {
                WatchUntil::GameWouldBeOver => self.watch_out_the_game(watch.player).await,
                WatchUntil::Path(path) => self.watch_for(watch.player, path).await,
            },
            Step::Answer(answer) => self.answer(answer.player).await,
        }
    }

    pub(super) fn player(&self, name: PlayerName) -> &Player {
        &self.players[&name]
    }

    /// Players who are still there, survivor first.
    pub(super) fn present(&self) -> Vec<PlayerName> {
        self.players
            .keys()
            .copied()
            .filter(|name| !self.gone.contains(name))
            .collect()
    }

    async fn join(&mut self, names: &[PlayerName]) -> Result<(), PlayerError> {
        self.enter_together(names).await?;
        self.start(names).await
    }

    async fn enter_together(&mut self, names: &[PlayerName]) -> Result<(), PlayerError> {
        let entering = names.iter().map(|name| self.enter(*name));
        futures_util::future::try_join_all(entering).await?;
        self.stage.has_loaded().await;
        self.turn.has_loaded();
        self.find_out()
    }

    /// Takes note of what the experiment is, where it is not the spec's own, by its first game for two.
    fn find_out(&mut self) -> Result<(), PlayerError> {
        let Some(found) = self.recorder.log().experiment_found(&self.spec.experiment) else {
            return Ok(());
        };
        if let Some(unmet) = self.spec.experiment.not_met_by(&found) {
            return Err(PlayerError::NotOffered(unmet));
        }
        self.experiment = found;
        Ok(())
    }

    /// What the experiment is where a player stands: one that is not the spec's own may have games that differ from
    /// its first one for two.
    pub(super) fn experiment_at(&self, name: PlayerName) -> Experiment {
        let log = self.recorder.log();
        let here = log.experiment_at(name.as_str(), &self.spec.experiment);
        here.unwrap_or_else(|| self.experiment.clone())
    }

    /// Whether the experiment is not the spec's own.
    pub(super) fn is_unknown(&self) -> bool {
        let log = self.recorder.log();
        log.run().is_some_and(|run| run.served.is_some())
    }

    /// Something must be to be had of the target, or the spec cannot ask it.
    ///
    /// # Errors
    /// It is not.
    pub(super) fn must_see(&self, source: Source) -> Result<(), PlayerError> {
        match self.recorder.log().lacks(source) {
            Some(why) => Err(PlayerError::NotOffered(why.to_owned())),
            None => Ok(()),
        }
    }

    /// How a player plays the game where it stands.
    pub(super) fn hands(&self, name: PlayerName) -> Hands {
        let log = self.recorder.log();
        let keys = log
            .scenes(name.as_str())
            .next_back()
            .map(|(_, scene)| scene.keys());
        Hands {
            keys: keys.into_iter().flatten().map(str::to_owned).collect(),
            rest_from: self.experiment_at(name).two_thirds(),
        }
    }

    async fn play_until_mid_game(&self) -> Result<(), PlayerError> {
        let inputs = (self.experiment.steps / 3).min(MID_GAME);
        let playing = self.present().into_iter().map(|name| {
            let hands = Hands {
                rest_from: self.experiment.steps,
                ..self.hands(name)
            };
            self.play_or_wait(name, hands, self.inputs_came(name, inputs.into()))
        });
        let playing = futures_util::future::try_join_all(playing);
        tokio::try_join!(playing, self.look_into_the_game())?;
        Ok(())
    }

    /// Lets a player play until `done` ends; one whose page is in the background presses no keys.
    pub(super) async fn play_or_wait<T>(
        &self,
        name: PlayerName,
        hands: Hands,
        done: impl Future<Output = Result<T, PlayerError>>,
    ) -> Result<T, PlayerError> {
        if self.hidden.contains_key(&name) {
            done.await
        } else {
            self.player(name).play(&hands, done).await
        }
    }

    async fn play_to_the_end(&self) -> Result<(), PlayerError> {
        let playing = self
            .present()
            .into_iter()
            .map(|name| self.play_or_wait(name, self.hands(name), self.stored_episodes(name)));
        let playing = futures_util::future::try_join_all(playing);
        tokio::try_join!(playing, self.look_into_the_game())?;
        Ok(())
    }

    /// Ends when the target has stored each episode of a player's game, and takes their files.
    pub(super) async fn stored_episodes(&self, name: PlayerName) -> Result<(), PlayerError> {
        let game = self.current_game(name)?;
        let mut sent = Vec::new();
        let mut from = game.activated;
        while sent.len() < self.experiment.episodes as usize {
            let what = format!("episode {} of the {name}", sent.len() + 1);
            let emitted = self
                .player(name)
                .wait_to_server(from, self.game_deadline(), "emit_episode_data", &what)
                .await?;
            from = emitted.seq + 1;
            // A page that hears nothing sends the same episode once more.
            let episode = socket_event(&emitted, Direction::ToServer, "emit_episode_data")
                .and_then(|args| args.first()?.get("episode_num").cloned());
            if episode.is_some() && sent.contains(&episode) {
                continue;
            }
            let what = format!("the target to store {what}");
            self.wait_stored(name, from, "emit_episode_data", &what)
                .await?;
            sent.push(episode);
        }
        self.take_episode_files(name, &game.scene).await
    }

    async fn take_episode_files(&self, name: PlayerName, scene: &str) -> Result<(), PlayerError> {
        let Some(below) = self.stage.data_folder() else {
            return Ok(());
        };
        let subject = self.player(name).subject()?;
        let beginning = format!("{subject}_ep");
        let files = data::tables(below, |file| file.starts_with(&beginning));
        for file in files.into_iter().filter(|file| file.is_in(scene)) {
            self.recorder
                .record_for(name.as_str(), Fact::DataFile(data::episode(file)));
        }
        Ok(())
    }

    /// Looks once more at what the target has stored of each player, at the end of the run: what is another than
    /// before is taken again, and what is gone has no rows.
    pub(super) fn look_at_data_again(&self) {
        let Some(below) = self.stage.data_folder() else {
            return;
        };
        let log = self.recorder.log();
        for name in PlayerName::BOTH {
            for (_, before) in log.data_files(name.as_str()).into_values() {
                let now = data::again(below, before);
                if now != *before {
                    self.recorder.record_for(name.as_str(), Fact::DataFile(now));
                }
            }
        }
    }

    /// Waits until the target has stored what came with an event of a player: until it has finished handling
    /// it, or has answered what was sent behind it, where nobody can see that.
    async fn wait_stored(
        &self,
        name: PlayerName,
        from: u64,
        event_name: &str,
        what: &str,
    ) -> Result<(), PlayerError> {
        if self.recorder.log().lacks(Source::Handlers).is_some() {
            return self.barrier(name, what, Watched::Nothing).await.map(drop);
        }
        self.wait_handled(name, from, deadline::REACTION, event_name, what)
            .await
            .map(drop)
    }

    /// Waits until the target has finished handling an event of a player.
    pub(super) async fn wait_handled(
        &self,
        name: PlayerName,
        from: u64,
        within: Duration,
        event_name: &str,
        what: &str,
    ) -> Result<Awaited, PlayerError> {
        let session = self.session(name)?;
        let handled = self
            .recorder
            .wait(from, within, what, |event| {
                matches!(&event.fact, Fact::ServerHandled(handled)
                    if handled.event == event_name && handled.sid == session)
            })
            .await?;
        Ok(handled)
    }

    /// The target's id of a player's newest Socket.IO session, as it told the page.
    fn session(&self, name: PlayerName) -> Result<String, PlayerError> {
        let log = self.recorder.log();
        log.session(name.as_str())
            .map(str::to_owned)
            .ok_or_else(|| PlayerError::Missed(format!("the {name} has no Socket.IO session")))
    }

    /// Waits out what the target sends by itself, and injects the event if that is nothing.
    async fn provoke(&self, provoke: &Provoke) -> Result<(), PlayerError> {
        let name = provoke.player;
        let player = self.player(name);
        let event = provoke.event.name();
        // The target has finished with the departure: what it sends is on its way already.
        self.barrier(name, &format!("before {event}"), Watched::Nothing)
            .await?;
        let departure = self.departure();
        let natural = self.recorder.find(departure, |found| {
            player.is_mine(found) && socket_event(found, Direction::ToClient, event).is_some()
        });
        if natural.is_some() {
            return Ok(());
        }
        let draft = Draft::new(name, provoke.event, &self.experiment);
        self.send_now("provoke", &draft).await
    }

    /// The position of the last departure in the evidence; 0 if nobody has gone.
    fn departure(&self) -> u64 {
        let log = self.recorder.log();
        log.events()
            .iter()
            .rev()
            .find(|event| matches!(event.fact, Fact::Leaving(_)))
            .map_or(0, |event| event.seq)
    }

    /// After so long a survivor would have been moved on that is moved on by mistake: all episodes, and the
    /// "Done!" countdown.
    pub(super) fn until_moved_on(&self) -> Duration {
        let game = lasts(&self.experiment);
        let game = match self.experiment.may_end_early {
            true => game.min(LONGEST_WATCH),
            false => game,
        };
        game + DONE_COUNTDOWN
    }

    /// Lets the time pass in which a survivor would be moved on by mistake.
    async fn watch_out_the_game(&self, name: PlayerName) -> Result<(), PlayerError> {
        let player = self.player(name);
        let from = self.recorder.len();
        let moved_on = self
            .recorder
            .wait(
                from,
                self.until_moved_on(),
                "the survivor to be moved on",
                |event| {
                    player.is_mine(event)
                        && socket_event(event, Direction::ToServer, "advance_scene").is_some()
                },
            )
            .await;
        match moved_on {
            // It must not come. If it does, the evidence has it, and watching on is of no use.
            Ok(_) | Err(WaitError::Deadline { .. }) => Ok(()),
            Err(broken @ WaitError::Broken { .. }) => Err(broken.into()),
        }
    }

    /// Watches a player until its page has taken a path out of the game where it stands, or stood last.
    async fn watch_for(&self, name: PlayerName, path: ExitPath) -> Result<(), PlayerError> {
        let waits = Duration::from_millis(comes_after(path, &self.experiment) as u64);
        if self.is_unknown() && waits > LONGEST_WAIT {
            return Err(PlayerError::NotOffered(format!(
                "the spec waits for {path}, which comes after {} s in this experiment",
                waits.as_secs()
            )));
        }
        let log = self.recorder.log();
        let games = log.games(name.as_str());
        let from = games.last().map_or(0, |game| game.activated.seq);
        let within = self.game_deadline();
        let taken = wait_taken(&self.recorder, name, path, &self.experiment, from, within);
        taken.await?;
        Ok(())
    }

    async fn answer(&self, name: PlayerName) -> Result<(), PlayerError> {
        let player = self.player(name);
        let subject = player.subject()?;
        let (scene, stored) = self.form_of(name)?;
        let answers = player.answer_form(&stored).await?;
        if answers.is_empty() {
            let why = format!("`{scene}`, where the {name} stands, asks nothing");
            return Err(match self.is_unknown() {
                true => PlayerError::NotOffered(why),
                false => PlayerError::Missed(why),
            });
        }
        self.recorder.record_for(
            name.as_str(),
            Fact::Action(ActionFact {
                action: "answered the form".to_owned(),
                value: answers.into(),
            }),
        );
        let from = self.recorder.len();
        player.press_continue(deadline::REACTION).await?;
        let sent = "the page to send the answers";
        player
            .wait_to_server(from, deadline::REACTION, "static_scene_data_emission", sent)
            .await?;
        let what = "the target to store the answers";
        self.wait_stored(name, from, "static_scene_data_emission", what)
            .await?;
        let file_name = format!("{subject}.csv");
        let tables = self.stage.data_folder();
        let tables = tables.map(|below| data::tables(below, |file| file == file_name));
        for file in tables
            .into_iter()
            .flatten()
            .filter(|file| file.is_in(&scene))
        {
            self.recorder
                .record_for(name.as_str(), Fact::DataFile(data::answers(file)));
        }
        let next = "the scene after the form";
        player
            .wait_to_client(from, deadline::REACTION, "activate_scene", next)
            .await?;
        self.last_look(name).await
    }

    /// Looks at the scene after the form. It is no part of answering: if the page cannot be looked
    /// at, that says nothing about the form.
    async fn last_look(&self, name: PlayerName) -> Result<(), PlayerError> {
        let label = "after the form";
        let looked = async {
            self.barrier(name, label, Watched::Nothing).await?;
            self.snapshots(label).await
        };
        looked.await.map_err(|error| match error {
            PlayerError::Missed(reason) => PlayerError::Broken(BrokenFact {
                component: "browser".to_owned(),
                reason,
                last_lines: Vec::new(),
                worth_a_retry: true,
            }),
            PlayerError::Broken(_) | PlayerError::NotOffered(_) => error,
        })
    }

    /// The id of the form scene where a player stands, and the ids of what the target stores of it.
    fn form_of(&self, name: PlayerName) -> Result<(String, Vec<String>), PlayerError> {
        let log = self.recorder.log();
        let Some((_, scene)) = log.scenes(name.as_str()).next_back() else {
            return Err(PlayerError::Missed(format!(
                "the {name} stands on no scene"
            )));
        };
        if self.is_unknown() && scene.kind() != SceneKind::Static {
            return Err(PlayerError::NotOffered(format!(
                "the experiment has no form after the game: the {name} stands on `{}`",
                scene.id()
            )));
        }
        let stored = scene.stored_elements();
        Ok((
            scene.id().to_owned(),
            stored.into_iter().map(str::to_owned).collect(),
        ))
    }

    /// What the target and a player's page said last, where the experiment is not the spec's own: whoever
    /// wrote it finds there what is wrong with it.
    pub(super) fn last_words(&self) -> Vec<String> {
        match self.is_unknown() {
            true => last_words(&self.recorder.log()),
            false => Vec::new(),
        }
    }
}

/// How long a game takes that is played to its end, [`LONGEST_GAME`] at most.
pub(super) fn lasts(experiment: &Experiment) -> Duration {
    let seconds = experiment.frames() as f64 / f64::from(experiment.frame_rate.max(1));
    Duration::from_secs_f64(seconds.min(LONGEST_GAME.as_secs_f64()))
}

/// Waits for the event by which a player's page has taken a path out of a game, at or after a position of the
/// evidence. What begins a path and is called off takes none: another beginning is waited for.
async fn wait_taken(
    recorder: &Recorder,
    name: PlayerName,
    path: ExitPath,
    experiment: &Experiment,
    from: u64,
    within: Duration,
) -> Result<Awaited, WaitError> {
    let what = format!("the {name}: {path}");
    let is_mine = |event: &Event| event.player.as_deref() == Some(name.as_str());
    let waits = comes_after(path, experiment);
    let mut from = from;
    loop {
        let begun = recorder.wait(from, within, &what, |event| {
            is_mine(event) && begins(path, event)
        });
        let begun = begun.await?;
        let due = begun.t + waits;
        // Its page tells of itself every second.
        let within = within + Duration::from_millis(waits as u64);
        let decided = recorder.wait(begun.seq, within, &what, |event| {
            is_mine(event) && (event.t >= due || is_called_off(path, event))
        });
        let decided = decided.await?;
        if !is_called_off(path, &decided) {
            return Ok(decided);
        }
        from = decided.seq + 1;
    }
}

#[cfg(test)]
mod tests {
    use super::super::moments::game_deadline_of;
    use super::*;
    use crate::evidence::{PageEvent, PageFact};

    fn page(recorder: &Recorder, what: PageFact) -> Awaited {
        let page = PageEvent {
            page: 1,
            page_t: 0.0,
            what,
        };
        recorder.record_for("survivor", Fact::Page(page))
    }

    fn shows(recorder: &Recorder, state: &str) -> Awaited {
        let state = state.to_owned();
        page(recorder, PageFact::Visibility { state })
    }

    #[test]
    fn no_game_takes_longer_than_anybody_waits() {
        let experiment = |episodes, steps| Experiment {
            episodes,
            steps,
            frame_rate: 30,
            ..Experiment::default()
        };
        assert_eq!(lasts(&experiment(2, 60)), Duration::from_secs(4));
        assert_eq!(lasts(&experiment(u32::MAX, u32::MAX)), LONGEST_GAME);
        let least = game_deadline_of(&experiment(1, 1));
        assert_eq!(least, deadline::REACTION);
        let short = game_deadline_of(&experiment(2, 60));
        assert_eq!(short, deadline::REACTION + Duration::from_secs(40));
        for experiment in [experiment(1, 1_000_000), experiment(u32::MAX, u32::MAX)] {
            assert_eq!(
                game_deadline_of(&experiment),
                deadline::REACTION + LONGEST_GAME
            );
        }
    }

    #[tokio::test]
    async fn a_path_that_was_called_off_is_not_taken() {
        const AWAY: Duration = Duration::from_millis(900);
        let recorder = Recorder::in_memory();
        let experiment = Experiment {
            focus_loss_timeout_ms: AWAY.as_millis() as u32,
            ..Experiment::default()
        };
        let taken = |from| {
            let path = ExitPath::FocusLossDue;
            let within = Duration::from_secs(10);
            wait_taken(
                &recorder,
                PlayerName::Survivor,
                path,
                &experiment,
                from,
                within,
            )
        };
        let tells = async || {
            tokio::time::sleep(AWAY * 2 / 3).await;
            let progress = PageFact::GameProgress {
                episodes: 0,
                frame: 1,
            };
            page(&recorder, progress)
        };
        shows(&recorder, "hidden");
        shows(&recorder, "visible");
        let goes_again = async {
            tells().await;
            let again = shows(&recorder, "hidden");
            // By the first time away it would be due.
            tells().await;
            tells().await;
            again
        };
        let (due, again) = tokio::join!(taken(0), goes_again);
        assert!(due.expect("it is due").t >= again.t + AWAY.as_millis() as f64);
        // What was taken before a position counts no more after it.
        let from = shows(&recorder, "visible").seq;
        let brief = Duration::from_millis(50);
        assert!(tokio::time::timeout(brief, taken(from)).await.is_err());
    }
}

//! The way through the scenes of one page: from game to game, with what is taken down of each game
//! without being asked for.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow::{self, Break, Continue};
use std::time::Duration;

use super::moments::game_deadline_of;
use super::scenario::Scenario;
use crate::evidence::{BrokenFact, Direction, Event, Fact, Log, PageFact, Scene, SceneKind};
use crate::player::{PlayerError, socket_event};
use crate::spec::{GameNumber, PlayerName, SceneRole, WalkUntil};
use crate::stage::deadline;

/// How many scenes an experiment has at most.
const MOST_SCENES: usize = 200;

/// How long a scene may last: the page's Python runtime may have to be loaded there, and a game be played.
const LONGEST_SCENE: Duration = Duration::from_secs(600);

/// How long a client waits for its partner's connection before it gives the game up, and for how long it
/// checks the connection then: 15 s each, which no experiment can set.
const WAITS_FOR_CONNECTION: Duration = Duration::from_secs(30);

/// For how many of its pings, one each second, a page must be covered to be taken for covered for good.
const PINGS_UNDER_COVER: u32 = 5;

/// How large a share of the view covers a page.
const COVERS: f64 = 0.5;

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

    /// Leads a player into the experiment, to its first game for two.
    pub(super) async fn enter(&self, name: PlayerName) -> Result<(), PlayerError> {
        let entering = async {
            if !self.is_unknown() {
                return self.player(name).enter().await;
            }
            self.player(name).enter_unknown().await?;
            self.walk_to_game(name).await
        };
        entering
            .await
            .map_err(|error| match self.unreached(name, &error) {
                Some(broken) => PlayerError::Broken(broken),
                None => error,
            })
    }

    /// Of a browser at a node that gets no page at all: there is no way from the node to the gateway.
    fn unreached(&self, name: PlayerName, error: &PlayerError) -> Option<BrokenFact> {
        let node = self.stage.browsers.get(&name)?.node()?;
        let player = self.player(name);
        let has_come = |event: &Event| player.page_fact(event).is_some();
        if self.recorder.broken().is_some() || self.recorder.find(0, has_come).is_some() {
            return None;
        }
        let log = self.recorder.log();
        let strangers = log.of(name.as_str()).filter_map(|event| match &event.fact {
            Fact::Stranger { address } => Some(address.as_str()),
            _ => None,
        });
        let strangers: Vec<&str> = strangers.collect();
        let what = match strangers.is_empty() {
            true => {
                "it must be able to dial this machine there, or by the host that --advertise names"
                    .to_owned()
            }
            false => format!(
                "what came from {} was not let in, since the node is not there; --admit lets it in",
                strangers.join(", ")
            ),
        };
        Some(BrokenFact {
            component: "grid".to_owned(),
            reason: format!(
                "no page came to the {name}'s browser at the node {node}, which was to open {}: {what} ({error})",
                self.stage.gateway.origin(name.as_str())
            ),
            last_lines: Vec::new(),
            worth_a_retry: false,
        })
    }

    /// Leads a player through whatever comes before the next game for two: what is to be read, answered, or
    /// played alone.
    async fn walk_to_game(&self, name: PlayerName) -> Result<(), PlayerError> {
        for _ in 0..MOST_SCENES {
            let (id, kind) = self.stands_on(name)?;
            match kind {
                SceneKind::GameForTwo => return Ok(()),
                SceneKind::GameForOne => self.play_alone(name).await?,
                SceneKind::Static => self.pass(name, &id).await?,
                SceneKind::End => return Err(over(&id)),
                SceneKind::Foreign(what) => return Err(foreign(&id, &what)),
            }
        }
        Err(endless())
    }

    /// Leads players on, each for itself, through all games and scenes, as far as they are to go. Of each game
    /// that the survivor plays with its partner what is taken down of games is taken down.
    pub(super) async fn walk(
        &self,
        names: &[PlayerName],
        until: WalkUntil,
    ) -> Result<(), PlayerError> {
        let walking = names.iter().map(|name| self.walk_on(*name, until));
        let walking = futures_util::future::try_join_all(walking);
        let plays = until == WalkUntil::End && names.contains(&PlayerName::Survivor);
        let looking = async {
            match plays {
                true => self.look_where_it_can_be_done().await,
                false => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            walked = walking => walked.map(drop),
            broken = looking => Err(broken),
        }
    }

    /// Takes down each of the survivor's games, until one cannot be: what the walk comes to is not missed for that.
    /// Ends only if the run breaks.
    async fn look_where_it_can_be_done(&self) -> PlayerError {
        match self.look_into_the_games().await {
            PlayerError::Missed(_) | PlayerError::NotOffered(_) => std::future::pending().await,
            broken @ PlayerError::Broken(_) => broken,
        }
    }

    /// Leads a player on through all games and scenes, as far as it is to go.
    ///
    /// Each scene is left by whatever the player does there, or by itself; a walk that was broken off can be
    /// taken up wherever it was.
    pub(super) async fn walk_on(
        &self,
        name: PlayerName,
        until: WalkUntil,
    ) -> Result<(), PlayerError> {
        for _ in 0..MOST_SCENES {
            let onward = tokio::select! {
                biased;
                onward = self.walk_through(name, until) => onward?,
                moved_on = self.next_scene(name, LONGEST_SCENE) => {
                    moved_on?;
                    Continue(())
                }
            };
            if onward.is_break() {
                return Ok(());
            }
        }
        Err(endless())
    }

    /// Does what there is to do on the scene where a player stands. Says whether that led on; if not, the
    /// player has come as far as it comes.
    async fn walk_through(
        &self,
        name: PlayerName,
        until: WalkUntil,
    ) -> Result<ControlFlow<()>, PlayerError> {
        let (id, kind) = self.stands_on(name)?;
        match (kind, until) {
            (SceneKind::GameForTwo, WalkUntil::End) => self.play_for_two(name).await?,
            (SceneKind::GameForTwo, WalkUntil::Alone) => return self.stay_in_game(name).await,
            (SceneKind::GameForOne, _) => self.play_alone(name).await?,
            (SceneKind::Static, WalkUntil::End) => self.pass(name, &id).await?,
            (SceneKind::Static, WalkUntil::Alone) => tokio::select! {
                passed = self.pass(name, &id) => passed?,
                covered = self.stays_covered(name) => return covered.map(Break),
            },
            (SceneKind::End, _) => return Ok(Break(())),
            (SceneKind::Foreign(what), _) => return Err(foreign(&id, &what)),
        }
        Ok(Continue(()))
    }

    /// Ends when something has covered a player's page for so long that it stays: whoever stands there can
    /// do nothing, and has come to rest.
    async fn stays_covered(&self, name: PlayerName) -> Result<(), PlayerError> {
        let player = self.player(name);
        let mut from = self.recorder.len();
        let mut pings = 0;
        while pings < PINGS_UNDER_COVER {
            // The page pings once a second.
            let ping =
                player.wait_to_server(from, deadline::REACTION, "ping", "a ping of the page");
            from = ping.await?.seq + 1;
            pings = match is_covered(&self.recorder.log(), name) {
                true => pings + 1,
                false => 0,
            };
        }
        Ok(())
    }

    /// Stays in a GymScene for two without a partner, until that leads on, or the player has come to rest.
    async fn stay_in_game(&self, name: PlayerName) -> Result<ControlFlow<()>, PlayerError> {
        let game = self.current_game(name)?;
        let player = self.player(name);
        let log = self.recorder.log();
        let had = |direction, event: &str| {
            let mut events = log.socket_events(name.as_str(), direction, event);
            events.any(|(event, _, _)| event.seq > game.activated)
        };
        if !had(Direction::ToClient, "match_found_countdown") {
            if !had(Direction::ToServer, "join_game") {
                self.look_once(name, &game.number.before()).await?;
                player.press_start().await?;
            }
            // Nobody else will come.
            let waits = "the waiting room";
            player
                .wait_to_client(game.activated, deadline::REACTION, "waiting_room", waits)
                .await?;
            return Ok(Break(()));
        }
        let next = self.next_scene(name, WAITS_FOR_CONNECTION + self.until_moved_on());
        let told = async {
            let told = "p2p_game_ended";
            let seen = player.wait_to_client(game.activated, LONGEST_SCENE, told, "the news");
            seen.await?;
            let next = self.next_scene(name, self.until_moved_on());
            next.await
        };
        let led_on = tokio::select! {
            next = next => next,
            next = told => next,
        };
        match led_on {
            Ok(()) => Ok(Continue(())),
            // It must not come where the game was broken off. If it must, the evidence says so.
            Err(PlayerError::Missed(_)) => Ok(Break(())),
            Err(error @ (PlayerError::Broken(_) | PlayerError::NotOffered(_))) => Err(error),
        }
    }

    /// Waits until a player is led to the next scene.
    async fn next_scene(&self, name: PlayerName, within: Duration) -> Result<(), PlayerError> {
        let here = self.recorder.log();
        let here = here.scenes(name.as_str()).next_back();
        let here = here.map_or(0, |(event, _)| event.seq);
        let next = "the next scene";
        let came = self
            .player(name)
            .wait_to_client(here + 1, within, "activate_scene", next);
        came.await.map(drop)
    }

    /// The target's id of the scene where a player stands, and what can be done there.
    fn stands_on(&self, name: PlayerName) -> Result<(String, SceneKind), PlayerError> {
        let log = self.recorder.log();
        let (_, scene) = log
            .scenes(name.as_str())
            .next_back()
            .ok_or_else(|| PlayerError::Missed(format!("the {name} stands on no scene")))?;
        Ok((scene.id().to_owned(), scene.kind()))
    }

    /// Answers what a scene asks, if it asks anything, and goes on to the next one.
    async fn pass(&self, name: PlayerName, id: &str) -> Result<(), PlayerError> {
        let player = self.player(name);
        player.answer_form(&[]).await?;
        let from = self.recorder.len();
        // The first scene waits for the page's Python runtime.
        player.press_continue(deadline::LOAD).await?;
        let next = format!("the scene after `{id}`");
        player
            .wait_to_client(from, deadline::REACTION, "activate_scene", &next)
            .await?;
        Ok(())
    }

    /// A game for two, from its GymScene to the next scene.
    async fn play_for_two(&self, name: PlayerName) -> Result<(), PlayerError> {
        let game = self.current_game(name)?;
        let has_started = game.started != game.activated;
        if !has_started {
            self.look_once(name, &game.number.before()).await?;
            let player = self.player(name);
            let log = self.recorder.log();
            let joined = log
                .socket_events(name.as_str(), Direction::ToServer, "join_game")
                .any(|(event, _, _)| event.seq > game.activated);
            match joined {
                true => player.matched(game.activated).await?,
                false => player.start().await?,
            }
        }
        self.play_or_wait(name, self.hands(name), self.stored_episodes(name))
            .await?;
        self.next_scene(name, LONGEST_SCENE).await
    }

    /// From where the players stand into a running game. In an experiment that nobody here knows other
    /// scenes may come before it.
    pub(super) async fn start(&self, names: &[PlayerName]) -> Result<(), PlayerError> {
        if self.is_unknown() {
            let walking = names.iter().map(|name| self.walk_to_game(*name));
            futures_util::future::try_join_all(walking).await?;
            self.can_meet(names)?;
        }
        for name in names {
            let label = self.current_game(*name)?.number.before();
            self.look(*name, &label).await?;
        }
        let from = self.recorder.len();
        let pressing = names.iter().map(|name| self.press_start(*name));
        // Each for itself: whoever finds no Start does not end what another one comes to meanwhile.
        let pressed = futures_util::future::join_all(pressing).await;
        let failed = pressed.into_iter().filter_map(Result::err);
        let worst = failed.min_by_key(|error| !matches!(error, PlayerError::Broken(_)));
        if let Some(error) = worst {
            return Err(error);
        }
        let matching = names.iter().map(|name| self.player(*name).matched(from));
        futures_util::future::try_join_all(matching).await?;
        Ok(())
    }

    /// Presses Start, as long as there is a game before the end of the experiment.
    async fn press_start(&self, name: PlayerName) -> Result<(), PlayerError> {
        let player = self.player(name);
        let is_end = |event: &Event| player.is_mine(event) && activates_end(event);
        let end = "the end of the experiment";
        tokio::select! {
            pressed = player.press_start() => pressed,
            Ok(_) = self.recorder.wait(0, deadline::LOAD * 2, end, is_end) => Err(PlayerError::Missed(format!(
                "the {name} came to the end of the experiment, and waits for a Start in vain"
            ))),
        }
    }

    /// Whether players stand before the same game: a target matches those who do. Some experiments draw each
    /// participant's games by lot.
    fn can_meet(&self, names: &[PlayerName]) -> Result<(), PlayerError> {
        let mut before: Option<(PlayerName, String)> = None;
        for name in names {
            let game = self.current_game(*name)?.scene;
            if let Some((other, theirs)) = before.filter(|(_, theirs)| *theirs != game) {
                return Err(PlayerError::Missed(format!(
                    "the target sent the {other} to the game `{theirs}` and the {name} to `{game}`, where they \
                     cannot meet: the experiment draws games for each participant alone; let it draw one for \
                     both, or run again until they are the same"
                )));
            }
            before = Some((*name, game));
        }
        Ok(())
    }

    /// A game for one, from its GymScene to the next scene.
    pub(super) async fn solo(&self, names: &[PlayerName]) -> Result<(), PlayerError> {
        for name in names.iter().filter(|_| self.is_unknown()) {
            let (id, kind) = self.stands_on(*name)?;
            if kind != SceneKind::GameForOne {
                let why =
                    format!("the experiment has no game for one here: the {name} stands on `{id}`");
                return Err(PlayerError::NotOffered(why));
            }
        }
        let playing = names.iter().map(|name| self.play_alone(*name));
        futures_util::future::try_join_all(playing).await?;
        Ok(())
    }

    async fn play_alone(&self, name: PlayerName) -> Result<(), PlayerError> {
        let player = self.player(name);
        let from = self.recorder.len();
        player.start().await?;
        let next = "the scene after the game for one";
        let within = game_deadline_of(&self.experiment_at(name));
        let until = player.wait_to_client(from, within, "activate_scene", next);
        player.play(&self.hands(name), until).await?;
        Ok(())
    }

    /// Waits until a player has come to a scene.
    pub(super) async fn arrive(&self, name: PlayerName, at: SceneRole) -> Result<(), PlayerError> {
        let player = self.player(name);
        if self.is_unknown() && at == SceneRole::End {
            self.walk_without_games(name).await?;
        }
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

    /// Leads a player to the end of an experiment that nobody here knows, if no game comes before it.
    async fn walk_without_games(&self, name: PlayerName) -> Result<(), PlayerError> {
        for _ in 0..MOST_SCENES {
            let (id, kind) = self.stands_on(name)?;
            match kind {
                SceneKind::Static => self.pass(name, &id).await?,
                SceneKind::End => return Ok(()),
                SceneKind::GameForOne | SceneKind::GameForTwo => {
                    let why =
                        format!("another game, `{id}`, comes before the end of the experiment");
                    return Err(PlayerError::NotOffered(why));
                }
                SceneKind::Foreign(what) => return Err(foreign(&id, &what)),
            }
        }
        Err(endless())
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
        let nearly_over = u64::from(self.experiment.two_thirds());
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

    /// The same, unless that was done before.
    async fn look_once(&self, name: PlayerName, label: &str) -> Result<(), PlayerError> {
        let taken = self.recorder.log().snapshot(name.as_str(), label).is_some();
        match taken {
            true => Ok(()),
            false => self.look(name, label).await,
        }
    }

    /// Takes down the page and the kernel's view of a player, unless the spec has an `observe` of that
    /// name.
    async fn look(&self, name: PlayerName, label: &str) -> Result<(), PlayerError> {
        if self.spec.steps.iter().any(|step| step.observes(label)) {
            return Ok(());
        }
        self.observe_kernel(name, label);
        self.snapshot(name, label).await
    }
}

/// Whether something covers a player's page now, as its probe told.
fn is_covered(log: &Log, name: PlayerName) -> bool {
    let mut covers = BTreeSet::new();
    for event in log.of(name.as_str()) {
        if let Fact::Page(page) = &event.fact
            && let PageFact::Overlay(overlay) = &page.what
        {
            let which = (page.page, overlay.id);
            match overlay.visible && overlay.coverage >= COVERS {
                true => covers.insert(which),
                false => covers.remove(&which),
            };
        }
    }
    !covers.is_empty()
}

fn activates_end(event: &Event) -> bool {
    socket_event(event, Direction::ToClient, "activate_scene").is_some_and(|args| {
        args.first()
            .is_some_and(|told| Scene::new(told).kind() == SceneKind::End)
    })
}

fn over(id: &str) -> PlayerError {
    PlayerError::NotOffered(format!(
        "the experiment has no other game for two before its end, `{id}`"
    ))
}

fn foreign(id: &str, what: &str) -> PlayerError {
    PlayerError::NotOffered(format!("the experiment leads to `{id}`, {what}"))
}

pub(super) fn endless() -> PlayerError {
    PlayerError::Missed(format!(
        "{MOST_SCENES} scenes came, and no end of the experiment"
    ))
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
    use crate::evidence::{Origin, Packet, PageEvent, WireFact};

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
            sent_inputs: None,
            received,
            received_bytes: 0,
            received_inputs: None,
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

//! The parts of a spec, as its file has them.

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::fault::{CutRule, DelayRule, EventRule, HoldRule, InjectRule, OvertakeRule};
use super::game::GameNumber;
use super::moment::LAST_FRAMES;
use super::named::Named;
use super::nearest::nearest;
use super::server_event::ServerEvent;
use super::{Background, Leave, WayToLeave};

/// One scenario with its checks: a file under `specs/`.
#[derive(Debug, Clone)]
pub struct Spec {
    /// Its path-like name, as `scene-exit/partner-dies-on-survey`.
    pub name: String,
    /// Its file.
    pub path: PathBuf,
    /// What the file says; steps and experiment are those of the spec whose run it judges.
    pub body: SpecBody,
}

impl Spec {
    /// The name of the spec whose played run this one judges: its own, or the one that it `plays`.
    #[must_use]
    pub fn scenario(&self) -> &str {
        self.body.plays.as_deref().unwrap_or(&self.name)
    }
}

/// What a spec file says.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SpecBody {
    /// The scenario in one sentence.
    pub title: String,
    /// Another spec whose played run this one judges as well, instead of steps of its own: what
    /// happens is the same, and is carried out once.
    #[serde(default)]
    pub plays: Option<String>,
    /// Repairs of the pinned release that it is played on: without them a defect that strikes by
    /// chance, and is asked for elsewhere, would decide. Other targets are played as they are.
    #[serde(default)]
    pub repairs: Vec<String>,
    /// The pairs that it runs on unless the call names others; the first is its default pair.
    #[serde(default = "default_pairs")]
    pub pairs: Vec<Pair>,
    /// Whether it asks nothing that only the experiments of this project can be told to do: a call with
    /// `--experiment`, or on a server that already runs, carries it out unless it names specs.
    #[serde(default)]
    pub any_experiment: bool,
    /// The experiment that the target serves.
    #[serde(default)]
    pub experiment: Experiment,
    /// What happens, in order.
    #[serde(default)]
    pub steps: Vec<Step>,
    /// What is asked of the evidence.
    pub checks: Vec<CheckSpec>,
}

impl SpecBody {
    /// Whether the link of a player is cut: each of them has to be a host of its own then.
    #[must_use]
    pub fn cuts_a_network(&self) -> bool {
        self.steps
            .iter()
            .any(|step| matches!(step, Step::Leave(leave) if leave.how == WayToLeave::CutNetwork))
    }

    /// The next moment that is observed behind a barrier where the survivor stands at this one, if nothing
    /// between them leads the survivor on or hides its page: the watch after that moment sees what the game
    /// of this one still sends, too.
    #[must_use]
    pub fn next_on_the_scene(&self, moment: &str) -> Option<&str> {
        let place = self.steps.iter().position(|step| step.observes(moment))?;
        for step in &self.steps[place + 1..] {
            match step {
                Step::Observe(next) if next.barrier => return Some(&next.label),
                Step::Leave(leave) if leave.player == PlayerName::Partner => {}
                Step::Observe(_) | Step::Provoke(_) | Step::Inject(_) | Step::Release(_) => {}
                _ => return None,
            }
        }
        None
    }

    /// The check that asks by injection what this one asks of the target's own news alone: the same
    /// question, whoever brings the news.
    #[must_use]
    pub fn asked_by_injection(&self, natural: &Calm) -> Option<&CheckSpec> {
        self.checks.iter().find(|check| {
            matches!(&check.ask, Question::NoOverlay(calm)
                if calm.told == Told::ByAnybody
                    && calm.injected.is_empty()
                    && (&calm.before, &calm.after, calm.game)
                        == (&natural.before, &natural.after, natural.game))
        })
    }
}

fn default_pairs() -> Vec<Pair> {
    vec![Pair {
        survivor: BrowserKind::Chrome,
        partner: BrowserKind::Chrome,
    }]
}

/// A family of browsers that share a driver, by the name that users write.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum BrowserKind {
    /// Chromium or Google Chrome, driven by chromedriver.
    Chrome,
    /// Firefox or Firefox ESR, driven by geckodriver.
    Firefox,
}

impl BrowserKind {
    /// Every kind.
    pub const ALL: [BrowserKind; 2] = [BrowserKind::Chrome, BrowserKind::Firefox];
}

impl fmt::Display for BrowserKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            BrowserKind::Chrome => "chrome",
            BrowserKind::Firefox => "firefox",
        })
    }
}

/// Which browser each player uses, written `chrome+firefox`, survivor first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pair {
    /// The survivor's browser.
    pub survivor: BrowserKind,
    /// The partner's browser.
    pub partner: BrowserKind,
}

impl Pair {
    /// The browser of a player.
    #[must_use]
    pub fn of(self, player: PlayerName) -> BrowserKind {
        match player {
            PlayerName::Survivor => self.survivor,
            PlayerName::Partner => self.partner,
        }
    }
}

impl FromStr for Pair {
    type Err = String;

    fn from_str(text: &str) -> Result<Pair, String> {
        let browser = |name: &str| {
            BrowserKind::ALL
                .into_iter()
                .find(|kind| kind.to_string() == name)
        };
        let both = text
            .split_once('+')
            .and_then(|(survivor, partner)| Some((browser(survivor)?, browser(partner)?)));
        match both {
            Some((survivor, partner)) => Ok(Pair { survivor, partner }),
            None => Err(format!(
                "`{text}` is no pair of browsers, expected the survivor's and the partner's, as \
                 `chrome+firefox` (known: chrome, firefox){}",
                nearest_pair(text)
            )),
        }
    }
}

/// The pair that a wrong one was probably meant to be.
fn nearest_pair(text: &str) -> String {
    let known = BrowserKind::ALL.map(|kind| kind.to_string());
    let browser = |name: &str| nearest(name.trim(), known.iter().map(String::as_str));
    let (survivor, partner) = text
        .split_once(['+', ',', '/', ' '])
        .unwrap_or((text, text));
    match (browser(survivor), browser(partner)) {
        (Some(survivor), Some(partner)) => format!("; did you mean `{survivor}+{partner}`?"),
        _ => String::new(),
    }
}

impl TryFrom<String> for Pair {
    type Error = String;

    fn try_from(text: String) -> Result<Pair, String> {
        text.parse()
    }
}

impl JsonSchema for Pair {
    fn schema_name() -> Cow<'static, str> {
        "Pair".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let with = |survivor| BrowserKind::ALL.map(|partner| Pair { survivor, partner });
        let pairs = BrowserKind::ALL.into_iter().flat_map(with);
        let names: Vec<String> = pairs.map(|pair| pair.to_string()).collect();
        json_schema!({
            "description": "Which browser each player uses, survivor first.",
            "type": "string",
            "enum": names,
        })
    }
}

impl From<Pair> for String {
    fn from(pair: Pair) -> String {
        pair.to_string()
    }
}

impl fmt::Display for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}+{}", self.survivor, self.partner)
    }
}

/// One of the two players of a spec.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum PlayerName {
    /// The one who stays.
    Survivor,
    /// The one who goes.
    Partner,
}

impl PlayerName {
    /// Both players, survivor first.
    pub const BOTH: [PlayerName; 2] = [PlayerName::Survivor, PlayerName::Partner];

    /// The name, as it stands in specs and in the evidence.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            PlayerName::Survivor => "survivor",
            PlayerName::Partner => "partner",
        }
    }

    /// The other one of the two.
    #[must_use]
    pub fn other(self) -> PlayerName {
        match self {
            PlayerName::Survivor => PlayerName::Partner,
            PlayerName::Partner => PlayerName::Survivor,
        }
    }
}

impl fmt::Display for PlayerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The scenes that the target serves.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Experiment {
    /// A folder under `fixtures/experiments/`.
    pub name: String,
    /// How many games for two there are, each with its survey.
    pub games: u32,
    /// Whether a survey follows each game. Without, a game leads straight to the next one, and the
    /// last one to the end scene.
    pub surveys: bool,
    /// Whether a game for one comes between two games for two: a client that keeps its game object
    /// from game to game has to make a new one then.
    pub solo_between: bool,
    /// Episodes of each game.
    pub episodes: u32,
    /// Steps of each episode.
    pub steps: u32,
    /// Frames per second.
    pub frame_rate: u32,
    /// How much longer than by itself the environment takes to load in the browser, for each game, in
    /// milliseconds.
    pub load_ms: u32,
    /// Whether each game asks the client for a new game object and a new start of the Python runtime.
    pub restart_pyodide: bool,
    /// The longest round trip between two players who are matched, in milliseconds. The players measure
    /// it peer to peer, over a connection of its own. Without, nothing is measured.
    pub max_rtt_ms: Option<u32>,
    /// How long the client waits for a lost connection, in milliseconds.
    pub reconnection_timeout_ms: u32,
    /// How long a page may be in the background, in milliseconds.
    pub focus_loss_timeout_ms: u32,
    /// Whether a game waits while the partner's page is in the background.
    pub pause_on_partner_background: bool,
    /// Whether the client monitors players while they play, and excludes those whom the experiment's
    /// callback names. The callback of `duet` names nobody, nobody is excluded for being away, and no
    /// episode is long enough for the callback to be asked: an exclusion comes only where a spec sends
    /// its answer, a `continuous_callback_result`.
    pub monitoring: bool,
    /// What the client tells a player whose partner has gone.
    pub disconnect_message: String,
    /// Whether an episode may be over before its `steps`, and a client's message may be its own. Only of an
    /// experiment that is not the spec's own; no file says it.
    #[serde(skip)]
    pub may_end_early: bool,
}

impl Experiment {
    /// The frame of an episode with which its last frames begin.
    #[must_use]
    pub fn last_frames(&self) -> u32 {
        self.steps - LAST_FRAMES.min(self.steps / 2)
    }

    /// How many frames a game has that is played to its end. An experiment without a limit may give the greatest
    /// number of steps that there is.
    #[must_use]
    pub fn frames(&self) -> u64 {
        u64::from(self.episodes) * u64::from(self.steps)
    }

    /// The frame of an episode with which two thirds of it have been played.
    #[must_use]
    pub fn two_thirds(&self) -> u32 {
        self.steps - self.steps.div_ceil(3)
    }

    /// How many frames an episode has at least that was played to its end.
    #[must_use]
    pub fn least_frames(&self) -> usize {
        match self.may_end_early {
            true => 1,
            false => self.steps as usize,
        }
    }
}

impl Default for Experiment {
    fn default() -> Experiment {
        Experiment {
            name: "duet".to_owned(),
            games: 1,
            surveys: true,
            solo_between: false,
            episodes: 1,
            steps: 60,
            frame_rate: 30,
            load_ms: 0,
            restart_pyodide: false,
            max_rtt_ms: None,
            reconnection_timeout_ms: 4000,
            focus_loss_timeout_ms: 30_000,
            pause_on_partner_background: false,
            monitoring: false,
            disconnect_message: "Your partner has left the duet.".to_owned(),
            may_end_early: false,
        }
    }
}

/// One thing that happens in a spec.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub enum Step {
    /// Open the page, and come to stand before the first game.
    Enter(Players),
    /// The same, press Start, and be matched into a running game.
    Join(Players),
    /// Press Start in the GymScene where the players stand, and be matched into a running game.
    Start(Players),
    /// Press Start in the GymScene for one where the players stand, each for itself, and play it until
    /// the next scene comes.
    Solo(Players),
    /// Play with keys.
    Play(Play),
    /// Wait until a player stands on a scene.
    Arrive(Arrive),
    /// Go on as a participant would, each for itself: answer what is asked, play whatever games there are to
    /// their ends, up to the end of the experiment, or as far as a survivor comes alone.
    Walk(Walk),
    /// Wait for a barrier, and take down everything about the players that are there.
    Observe(Observe),
    /// Go away.
    Leave(Leave),
    /// Put a player's page into the background, until `foreground`.
    Background(Background),
    /// Bring a player's page back to the front.
    Foreground(OnePlayer),
    /// Break the peer connections of a player's page, and nothing else of it: its socket lives on.
    Sever(OnePlayer),
    /// See to it that a player receives an event: if the target sends none, it is injected.
    Provoke(Provoke),
    /// Hold back an event from now on, and all behind it.
    Hold(HoldRule),
    /// Take an earlier rule out of force, and let go what it keeps.
    Release(String),
    /// Let an event wait, and all behind it.
    Delay(DelayRule),
    /// Send an event in the target's name.
    Inject(InjectRule),
    /// End a player's connection to the target.
    Cut(CutRule),
    /// Throw an event away. No real network does this to a connection that lives on.
    Drop(EventRule),
    /// Deliver an event twice. No real network does this.
    Duplicate(EventRule),
    /// Deliver an event before an earlier one. No real network does this.
    Overtake(OvertakeRule),
    /// Watch a player until the time has passed that the rest of its scene would have taken, or until
    /// a path out of its game was taken.
    Watch(Watch),
    /// Answer the form scene where the player stands with real input, press Continue, and wait
    /// for the next scene.
    Answer(OnePlayer),
}

/// Players that do a step together.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Players {
    /// Who.
    #[serde(default = "both")]
    pub players: Vec<PlayerName>,
}

/// Players who go on, and how far.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Walk {
    /// Who.
    #[serde(default = "both")]
    pub players: Vec<PlayerName>,
    /// How far.
    #[serde(default)]
    pub until: WalkUntil,
}

/// How far a walk goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum WalkUntil {
    /// To the end of the experiment.
    #[default]
    End,
    /// As far as a player comes whose partner has left: to the end of the experiment; or to a GymScene where
    /// it waits for a partner; or to a game that is over without leading on.
    Alone,
}

fn yes() -> bool {
    true
}

fn both() -> Vec<PlayerName> {
    PlayerName::BOTH.to_vec()
}

/// The player of a step.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OnePlayer {
    /// Who.
    pub player: PlayerName,
}

/// How long a game is played.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Play {
    /// Until when.
    pub until: PlayUntil,
}

/// A moment of a game.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PlayUntil {
    /// About a third of the first episode's inputs have come, over the data channel or by the target's
    /// relay.
    MidGame,
    /// The survivor's page plays the last frames of its last episode.
    LastFrames,
    /// The survivor's last episode has ended, and its "Done!" countdown runs.
    DoneCountdown,
    /// The last episode of both players has ended.
    LastEpisodeEnded,
}

/// Where a player comes to stand.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Arrive {
    /// Who.
    pub player: PlayerName,
    /// Where.
    pub at: SceneRole,
}

/// A scene by its role, so that specs work on experiments with other names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SceneRole {
    /// The scene that follows the first game for two.
    AfterFirstGame,
    /// The scene that follows this game for two, written `{ after-game = 2 }`.
    AfterGame(GameNumber),
    /// The experiment's end.
    End,
}

/// A moment at which everything is taken down.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Observe {
    /// The moment's name, for checks.
    #[serde(rename = "as")]
    pub label: String,
    /// Whether to wait for a barrier first, and look a second time after another one. Without it
    /// the moment is taken as it is: in the middle of a game nothing ever comes to rest.
    #[serde(default = "yes")]
    pub barrier: bool,
}

/// An event that a player must have received.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Provoke {
    /// Who receives it.
    pub player: PlayerName,
    /// The event, with this game's real ids.
    pub event: ServerEvent,
}

/// Whom to watch, for how long.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Watch {
    /// Who.
    pub player: PlayerName,
    /// Until when.
    pub until: WatchUntil,
}

/// The end of a watch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum WatchUntil {
    /// The time of all episodes and of the "Done!" countdown has passed since the game began.
    GameWouldBeOver,
    /// The player's page has taken this path out of a game, written `{ path = "focus-loss" }`.
    Path(ExitPath),
}

/// One question to the evidence.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckSpec {
    /// Its name, where the question's own would not tell it from another check of the spec.
    #[serde(rename = "as", default)]
    pub label: Option<String>,
    /// The requirement that it is tied to.
    pub requirement: String,
    /// The question.
    pub ask: Question,
}

impl CheckSpec {
    /// Its name within the spec: the question's, unless the file gives another.
    #[must_use]
    pub fn name(&self) -> &str {
        self.label.as_deref().unwrap_or_else(|| self.ask.name())
    }
}

/// A question that can be asked of the evidence.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub enum Question {
    /// Is every connection closed that the GymScene opened, at this moment?
    ConnectionsClosed(ConnectionsAt),
    /// Did one connection carry the inputs of both, and do both records of the game agree?
    PlayedPeerToPeer(OfGame),
    /// Was there no overlay on any scene but an active GymScene, between these moments?
    NoOverlay(Calm),
    /// Was the survivor told, in the game, that the partner had gone, and did it stay?
    OverlayShown(BetweenMoments),
    /// Could the survivor answer, was the answer stored, and did the next scene come?
    FormAnswered(NoParameters),
    /// Did each advance bring one end of the scene that was left, and then one beginning of the
    /// next?
    SceneOrder(NoParameters),
    /// Is nothing alive at this moment that the game made?
    EquipmentStopped(Equipment),
    /// Are the survivor's rows of this game the frames that were played, value by value?
    DataWhole(OfGame),
    /// Did neither a page nor the target have an error that nobody caught, although these paths
    /// out of a game were taken?
    NoErrors(ExitPaths),
    /// Was the survivor told in the game and stayed, or not told and came to a scene that works?
    ToldOrCarriedOn(BetweenMoments),
    /// Wherever the survivor stood when the partner went: was it told in an active game and stayed, or left in
    /// peace anywhere else, where it can go on?
    SoundAfterDeparture(AtRest),
    /// Once the partner has gone and the survivor has come to rest: is no connection open that a game made,
    /// and nothing of a game alive that could act later?
    NothingLeft(AtRest),
    /// Did a connection that was made for this game carry its inputs?
    FreshConnection(GameAtMoment),
    /// Does a later game run on the same equipment, page and Python as the first?
    SameEquipment(TwoMoments),
    /// Does the target leave those in peace who have left the game?
    NobodyTold(AfterMoment),
    /// Do listeners, workers, intervals and open connections not grow from scene to scene?
    CountsSteady(AtMoments),
    /// Does the target hold no game any more that everybody has left?
    ServerForgets(GamesLeft),
}

impl Question {
    /// The check's name, as users write it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Question::ConnectionsClosed(_) => "connections-closed",
            Question::PlayedPeerToPeer(_) => "played-peer-to-peer",
            Question::NoOverlay(_) => "no-overlay",
            Question::OverlayShown(_) => "overlay-shown",
            Question::FormAnswered(_) => "form-answered",
            Question::SceneOrder(_) => "scene-order",
            Question::EquipmentStopped(_) => "equipment-stopped",
            Question::DataWhole(_) => "data-whole",
            Question::NoErrors(_) => "no-errors",
            Question::ToldOrCarriedOn(_) => "told-or-carried-on",
            Question::SoundAfterDeparture(_) => "sound-after-departure",
            Question::NothingLeft(_) => "nothing-left",
            Question::FreshConnection(_) => "fresh-connection",
            Question::SameEquipment(_) => "same-equipment",
            Question::NobodyTold(_) => "nobody-told",
            Question::CountsSteady(_) => "counts-steady",
            Question::ServerForgets(_) => "server-forgets",
        }
    }

    /// The game that it asks about, if it asks about one.
    #[must_use]
    pub fn game(&self) -> Option<GameNumber> {
        match self {
            Question::ConnectionsClosed(at) => Some(at.game),
            Question::PlayedPeerToPeer(of) => Some(of.game),
            Question::NoOverlay(calm) => Some(calm.game),
            Question::OverlayShown(between) | Question::ToldOrCarriedOn(between) => {
                Some(between.game)
            }
            Question::DataWhole(of) => Some(of.game),
            Question::FreshConnection(at) => Some(at.game),
            Question::ServerForgets(left) => Some(left.game),
            Question::FormAnswered(_)
            | Question::SceneOrder(_)
            | Question::EquipmentStopped(_)
            | Question::SameEquipment(_)
            | Question::NobodyTold(_)
            | Question::CountsSteady(_)
            | Question::SoundAfterDeparture(_)
            | Question::NothingLeft(_)
            | Question::NoErrors(_) => None,
        }
    }

    /// The rules of the spec that it asks about.
    pub fn rules(&self) -> impl Iterator<Item = &str> {
        let rules = match self {
            Question::NoOverlay(calm) => calm.injected.as_slice(),
            _ => &[],
        };
        rules.iter().map(String::as_str)
    }

    /// The moments that it looks at.
    #[must_use]
    pub fn moments(&self) -> Vec<&str> {
        match self {
            Question::ConnectionsClosed(at) => vec![&at.at],
            Question::NoOverlay(calm) => vec![&calm.before, &calm.after],
            Question::OverlayShown(between) | Question::ToldOrCarriedOn(between) => {
                vec![&between.before, &between.after]
            }
            Question::EquipmentStopped(moments) => {
                vec![&moments.at, &moments.before, &moments.during]
            }
            Question::FreshConnection(which) => vec![&which.at],
            Question::SoundAfterDeparture(rest) | Question::NothingLeft(rest) => vec![&rest.at],
            Question::SameEquipment(two) => vec![&two.first, &two.second],
            Question::NobodyTold(moment) => vec![&moment.after],
            Question::ServerForgets(left) => vec![&left.at],
            Question::CountsSteady(moments) => moments.at.iter().map(String::as_str).collect(),
            Question::PlayedPeerToPeer(_)
            | Question::FormAnswered(_)
            | Question::SceneOrder(_)
            | Question::DataWhole(_)
            | Question::NoErrors(_) => Vec::new(),
        }
    }
}

/// A question about what a game leaves running.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Equipment {
    /// The label of the `observe` step after the exit.
    pub at: String,
    /// A moment before the game, with which the page is compared.
    #[serde(default = "before_game")]
    pub before: String,
    /// A moment in the game, at which its equipment must have been seen to run.
    #[serde(default = "in_game")]
    pub during: String,
}

fn before_game() -> String {
    "before-game".to_owned()
}

fn in_game() -> String {
    "in-game".to_owned()
}

/// A question about one game at a moment in it.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GameAtMoment {
    /// Which game for two.
    pub game: GameNumber,
    /// The label of an `observe` step in it.
    pub at: String,
}

/// A question about two games, each at a moment in it.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TwoMoments {
    /// A moment in the earlier game.
    #[serde(default = "in_game")]
    pub first: String,
    /// A moment in the later game.
    #[serde(default = "in_second_game")]
    pub second: String,
}

fn in_second_game() -> String {
    "in-game-2".to_owned()
}

/// A question about the time until a moment.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AfterMoment {
    /// The label of the `observe` step after the partner's departure.
    pub after: String,
}

/// A question about the time after the partner's departure.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AtRest {
    /// The label of the `observe` step after it, where the survivor has come to rest.
    pub at: String,
}

/// A question about all games until one of them.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GamesLeft {
    /// The last game for two that everybody has left.
    #[serde(default)]
    pub game: GameNumber,
    /// The label of an `observe` step after that.
    pub at: String,
}

/// A question about several moments.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AtMoments {
    /// The labels of `observe` steps, each on the scene after another game.
    pub at: Vec<String>,
    /// What is counted; everything, if nothing is named.
    #[serde(default = "everything")]
    pub of: Vec<Counted>,
}

fn everything() -> Vec<Counted> {
    vec![Counted::Client, Counted::Document]
}

/// What can pile up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Counted {
    /// What the target's client has: listeners of its socket, workers, intervals, connections.
    Client,
    /// Listeners of the document and of the window, whoever made them.
    Document,
}

/// A question about ways out of a game that overlap.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExitPaths {
    /// The paths that must have been taken, in this order.
    #[serde(default = "end_of_the_scene")]
    pub paths: Vec<ExitPath>,
}

fn end_of_the_scene() -> Vec<ExitPath> {
    vec![ExitPath::SceneEnd]
}

/// A way out of a game, as a player's page meets it.
///
/// A way may be closed, since another one was taken before. What would have led to it then is `…-due`:
/// the page must stand it, whether or not it acts on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ExitPath {
    /// The target said that the partner was excluded.
    PartnerExcluded,
    /// The page excluded its own player.
    Excluded,
    /// The target said that the player is to be excluded.
    ExclusionDue,
    /// The page ended the game because its player had been away for too long.
    FocusLoss,
    /// The page has been in the background for longer than the experiment allows.
    FocusLossDue,
    /// The target said that the partner had ended the game by going away.
    GameEnded,
    /// The page gave up reconnecting to the partner.
    ReconnectionTimeout,
    /// The game has paused for longer than the experiment lets a page wait for a connection.
    ReconnectionDue,
    /// The target said that the partner had completed the scene.
    SceneCompleted,
    /// The GymScene was ended.
    SceneEnd,
}

/// A question without parameters, written `{}`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoParameters {}

/// A question about one game.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OfGame {
    /// Which game for two.
    #[serde(default)]
    pub game: GameNumber,
}

/// A question about the connections at one moment.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConnectionsAt {
    /// The label of an `observe` step.
    pub at: String,
    /// The game for two that was left.
    #[serde(default)]
    pub game: GameNumber,
    /// Whether the matchmaking must have opened a connection of its own before the game, to measure
    /// the round trip.
    #[serde(default)]
    pub probes: bool,
}

/// A question about the scene after a game.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Calm {
    /// The label of an `observe` step on that scene.
    pub before: String,
    /// The label of the `observe` step after all that could disturb it.
    pub after: String,
    /// The game for two that was left.
    #[serde(default)]
    pub game: GameNumber,
    /// The rules whose injected events disturb it, by their names. Without any, and without `away`, it
    /// is the partner who has gone, and the news of that.
    #[serde(default)]
    pub injected: Vec<String>,
    /// Who must have brought that news.
    #[serde(default)]
    pub told: Told,
    /// The players whose turning away disturbs it: the survivor's own, for longer than the experiment
    /// allows, until on that scene; the partner's, in the survivor's "Done!" countdown.
    #[serde(default)]
    pub away: Vec<PlayerName>,
}

/// Who brings the survivor the news that the partner has gone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Told {
    /// The target, or the gateway in its name.
    #[default]
    ByAnybody,
    /// The target by itself: the natural half of the question. What comes after the gateway has put in
    /// an event is no part of it, and a target that tells nobody who has left cannot be asked.
    ByTarget,
}

/// A question about the time between two moments.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BetweenMoments {
    /// The label of the `observe` step before the partner's departure.
    pub before: String,
    /// The label of the `observe` step after it.
    pub after: String,
    /// The game for two that it was the partner in.
    #[serde(default)]
    pub game: GameNumber,
}

impl fmt::Display for ExitPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ExitPath::PartnerExcluded => "the partner's exclusion is told",
            ExitPath::Excluded => "its page excludes its own player",
            ExitPath::ExclusionDue => "the player is to be excluded",
            ExitPath::FocusLoss => "its page ends the game, its player having been away",
            ExitPath::FocusLossDue => "its page has been in the background for too long",
            ExitPath::GameEnded => "the partner's end of the game is told",
            ExitPath::ReconnectionTimeout => "its page gives up reconnecting",
            ExitPath::ReconnectionDue => "the game has paused for too long",
            ExitPath::SceneCompleted => "the partner's completion of the scene is told",
            ExitPath::SceneEnd => "its GymScene is ended",
        })
    }
}

fn names(players: &[PlayerName]) -> String {
    let names: Vec<_> = players.iter().map(|name| name.as_str()).collect();
    names.join(" and ")
}

impl fmt::Display for Players {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&names(&self.players))
    }
}

impl fmt::Display for SceneRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SceneRole::AfterFirstGame => f.write_str("the scene after the game"),
            SceneRole::AfterGame(game) => write!(f, "the scene after game {game}"),
            SceneRole::End => f.write_str("the end"),
        }
    }
}

impl Step {
    /// Whether it takes down this moment.
    #[must_use]
    pub fn observes(&self, moment: &str) -> bool {
        matches!(self, Step::Observe(observe) if observe.label == moment)
    }

    /// The name of the rule that it sets, if it sets one.
    #[must_use]
    pub fn rule(&self) -> Option<&Named> {
        match self {
            Step::Hold(rule) => Some(&rule.name),
            Step::Delay(rule) => Some(&rule.name),
            Step::Inject(rule) => Some(&rule.name),
            Step::Cut(rule) => Some(&rule.name),
            Step::Drop(rule) | Step::Duplicate(rule) => Some(&rule.name),
            Step::Overtake(rule) => Some(&rule.name),
            Step::Enter(_)
            | Step::Join(_)
            | Step::Start(_)
            | Step::Solo(_)
            | Step::Play(_)
            | Step::Arrive(_)
            | Step::Walk(_)
            | Step::Observe(_)
            | Step::Leave(_)
            | Step::Background(_)
            | Step::Foreground(_)
            | Step::Sever(_)
            | Step::Provoke(_)
            | Step::Release(_)
            | Step::Watch(_)
            | Step::Answer(_) => None,
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Enter(players) => write!(f, "{players} enter"),
            Step::Join(players) => write!(f, "{players} join"),
            Step::Start(players) => write!(f, "{players} press Start"),
            Step::Solo(players) => write!(f, "{players} play alone"),
            Step::Play(Play { until }) => f.write_str(match until {
                PlayUntil::MidGame => "play until mid-game",
                PlayUntil::LastFrames => "play until the last frames",
                PlayUntil::DoneCountdown => "play until the \"Done!\" countdown",
                PlayUntil::LastEpisodeEnded => "play until the last episode has ended",
            }),
            Step::Arrive(arrive) => write!(f, "{} arrives at {}", arrive.player, arrive.at),
            Step::Walk(walk) => {
                let to = match walk.until {
                    WalkUntil::End => "to the end",
                    WalkUntil::Alone => "as far as one comes alone",
                };
                write!(f, "{} walk on {to}", names(&walk.players))
            }
            Step::Observe(observe) => write!(f, "observe `{}`", observe.label),
            Step::Leave(leave) => leave.fmt(f),
            Step::Background(background) => write!(
                f,
                "{}'s page goes into the background ({})",
                background.player, background.how
            ),
            Step::Foreground(who) => write!(f, "{}'s page comes back to the front", who.player),
            Step::Sever(who) => write!(f, "{}'s peer connections break", who.player),
            Step::Provoke(provoke) => {
                write!(f, "{} receives {}", provoke.player, provoke.event.name())
            }
            Step::Hold(rule) => rule.fmt(f),
            Step::Release(rule) => write!(f, "release `{rule}`"),
            Step::Delay(rule) => rule.fmt(f),
            Step::Inject(rule) => rule.fmt(f),
            Step::Cut(rule) => rule.fmt(f),
            Step::Drop(rule) => write!(f, "drop {rule}"),
            Step::Duplicate(rule) => write!(f, "duplicate {rule}"),
            Step::Overtake(rule) => rule.fmt(f),
            Step::Watch(watch) => match watch.until {
                WatchUntil::GameWouldBeOver => {
                    write!(f, "watch {} until the game would be over", watch.player)
                }
                WatchUntil::Path(path) => write!(f, "watch {} until {path}", watch.player),
            },
            Step::Answer(answer) => write!(f, "{} answers and continues", answer.player),
        }
    }
}

//! The course of a run: what came after what, without its times; and where the courses of two runs of
//! the same spec part.
//!
//! Two runs never agree in times, in the numbers of their events, or in the state of their games. What
//! can be compared is what came, and the order of what matters, for each player and source by itself:
//! which of two sources is told first is chance. What comes again and again, as pings do, comes as often
//! as there was time for it; of such an event only counts in which scenes it came. And what tells apart
//! even runs that decided the same explains nothing: [`Chance`] learns it, and leaves it out.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::fact::*;
use super::log::Log;
use super::scenes::Scene;

/// How often something may come within one scene before only its coming counts.
const MOST_IN_A_SCENE: usize = 2;

const CONNECTIONS: &str = "its peer connections";
const CHANNELS: &str = "its data channels";

/// The order of what matters in a run.
#[derive(Debug, Clone, Default)]
pub struct Course {
    lanes: BTreeMap<Lane, Vec<Point>>,
}

/// By what two runs are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sight {
    /// By what came, and how often, in whichever order.
    Came,
    /// By the order in which it came as well.
    Order,
}

/// What tells apart runs that decided the same, and so explains nothing.
#[derive(Debug, Clone, Default)]
pub struct Chance {
    of: BTreeSet<Named>,
}

/// Whose event it is, who tells of it, and what it is.
type Named = (Option<String>, &'static str, String);

/// Whose events, and who tells of them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Lane {
    player: Option<String>,
    source: &'static str,
    /// The one event that this lane is of, if it is of one alone.
    only: Option<String>,
}

#[derive(Debug, Clone)]
struct Point {
    what: String,
    /// In how many-th of the player's scenes; 0 before the first one.
    scene: usize,
    /// Its name.
    scene_id: Option<String>,
    seq: u64,
    t: f64,
}

/// The first point at which the evidence of two runs parts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Parting {
    /// The player whose events part, if they are a player's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub player: Option<String>,
    /// Where they were seen, as `events to the page`.
    pub source: String,
    /// What came last there before, if anything did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// What came in the one run; nothing if nothing more came there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub one: Option<Moment>,
    /// What came in the other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub other: Option<Moment>,
    /// How many events that matter came before it in the one run.
    pub agreed: usize,
}

/// An event of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Moment {
    /// What.
    pub what: String,
    /// The scene that its player was in, by the target's id, if it was in one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scene: Option<String>,
    /// Its `seq` in the evidence.
    pub seq: u64,
    /// When, in milliseconds since the run began.
    pub t: f64,
}

/// A lane of both runs.
struct Both<'a> {
    lane: &'a Lane,
    one: &'a [&'a Point],
    other: &'a [&'a Point],
    /// How far they agree.
    agreed: usize,
}

/// Both runs, as they are compared.
struct View<'a> {
    ones: Lanes<'a>,
    others: Lanes<'a>,
    chatter: BTreeSet<Lane>,
}

type Lanes<'a> = BTreeMap<Lane, Vec<&'a Point>>;

impl Course {
    /// The course of the run that a log is of.
    #[must_use]
    pub fn of(log: &Log) -> Course {
        let mut course = Course::default();
        let mut scenes: BTreeMap<&str, (usize, &str)> = BTreeMap::new();
        for event in log.events() {
            if let Some((player, scene)) = event.player.as_deref().zip(scene_of(event)) {
                let known = scenes.entry(player).or_default();
                *known = (known.0 + 1, scene.id());
            }
            let Some((source, what)) = told(&event.fact) else {
                continue;
            };
            let player = event.player.as_deref();
            let scene = player.and_then(|player| scenes.get(player).copied());
            let lane = Lane {
                player: event.player.clone(),
                source,
                only: None,
            };
            let lane = course.lanes.entry(lane).or_default();
            // A connection's other states are told with the same one.
            let is_told = |last: &Point| source == CONNECTIONS && last.what == what;
            if lane.last().is_some_and(is_told) {
                continue;
            }
            lane.push(Point {
                what,
                scene: scene.map_or(0, |(number, _)| number),
                scene_id: scene.map(|(_, id)| id.to_owned()),
                seq: event.seq,
                t: time_of(event),
            });
        }
        course
    }

    /// Where it parts from another run's, if it does. The first of several places is told, by the clock of
    /// this run. What is chance is left out.
    #[must_use]
    pub fn part(&self, other: &Course, by: Sight, chance: &Chance) -> Option<Parting> {
        let view = View::new(self, other, by, chance);
        let lanes = view.lanes();
        let clocks = clocks(&lanes);
        let parted = lanes.iter().filter(|both| both.is_parted());
        let first = parted.map(|both| (both.when(&clocks), both));
        let (when, both) = first.min_by(|one, other| one.0.total_cmp(&other.0))?;
        let all = self.lanes.values().flatten();
        let (here, there) = both.next();
        let before = match (here, there) {
            (Some(here), _) => self.before(both.lane, here, &view.chatter),
            (None, Some(there)) => other.before(both.lane, there, &view.chatter),
            (None, None) => None,
        };
        Some(Parting {
            player: both.lane.player.clone(),
            source: both.lane.source.to_owned(),
            after: before.map(|point| point.what.clone()),
            one: here.map(Point::moment),
            other: there.map(Point::moment),
            agreed: all.filter(|point| point.t < when).count(),
        })
    }

    /// What came right before something, from the same source, and does not come again and again.
    fn before(&self, lane: &Lane, point: &Point, chatter: &BTreeSet<Lane>) -> Option<&Point> {
        let points = self.lanes.get(&lane.whole())?;
        let is_before =
            |other: &&Point| other.seq < point.seq && !chatter.contains(&lane.only(&other.what));
        points.iter().rfind(is_before)
    }

    /// What comes more than a few times within one scene, as a lane of its own.
    fn chatter(&self) -> impl Iterator<Item = Lane> {
        let mut times: BTreeMap<(&Lane, &str, usize), usize> = BTreeMap::new();
        // Steps are nobody's, and each is told once.
        let of_players = self.lanes.iter().filter(|(lane, _)| lane.player.is_some());
        for (lane, points) in of_players {
            for point in points {
                *times.entry((lane, &point.what, point.scene)).or_default() += 1;
            }
        }
        let often = times
            .into_iter()
            .filter(|(_, times)| *times > MOST_IN_A_SCENE);
        often.map(|((lane, what, _), _)| lane.only(what))
    }

    /// Its lanes as they are compared. What comes again and again is apart: of that, the first in each
    /// scene.
    fn apart(&self, chatter: &BTreeSet<Lane>, by: Sight, chance: &Chance) -> Lanes<'_> {
        let mut apart = Lanes::new();
        for (lane, points) in &self.lanes {
            for point in points.iter().filter(|point| !chance.has(lane, &point.what)) {
                let own = lane.only(&point.what);
                let is_chatter = chatter.contains(&own);
                let lane = match by {
                    Sight::Order if !is_chatter => lane.clone(),
                    Sight::Order | Sight::Came => own,
                };
                let known = apart.entry(lane).or_default();
                let is_new = |last: &&Point| last.scene != point.scene;
                if !is_chatter || known.last().is_none_or(is_new) {
                    known.push(point);
                }
            }
        }
        apart
    }
}

impl Chance {
    /// Learns all that tells apart two runs that decided the same.
    pub fn learn(&mut self, one: &Course, other: &Course, by: Sight) {
        // Each time there is less that can tell them apart.
        loop {
            let view = View::new(one, other, by, self);
            let lanes = view.lanes();
            let parted = lanes.iter().filter(|both| both.is_parted());
            let parted = parted.flat_map(|both| {
                let (here, there) = both.next();
                let points = here.into_iter().chain(there);
                points.map(|point| named(both.lane, &point.what))
            });
            let parted: Vec<_> = parted.collect();
            if parted.is_empty() {
                return;
            }
            self.of.extend(parted);
        }
    }

    fn has(&self, lane: &Lane, what: &str) -> bool {
        !self.of.is_empty() && self.of.contains(&named(lane, what))
    }
}

fn named(lane: &Lane, what: &str) -> Named {
    (lane.player.clone(), lane.source, what.to_owned())
}

impl<'a> View<'a> {
    fn new(one: &'a Course, other: &'a Course, by: Sight, chance: &Chance) -> View<'a> {
        let chatter: BTreeSet<Lane> = one.chatter().chain(other.chatter()).collect();
        View {
            ones: one.apart(&chatter, by, chance),
            others: other.apart(&chatter, by, chance),
            chatter,
        }
    }

    fn lanes(&self) -> Vec<Both<'_>> {
        let lanes: BTreeSet<&Lane> = self.ones.keys().chain(self.others.keys()).collect();
        let both = lanes.into_iter().map(|lane| {
            let one = self.ones.get(lane).map_or(&[][..], Vec::as_slice);
            let other = self.others.get(lane).map_or(&[][..], Vec::as_slice);
            let is_chatter = self.chatter.contains(lane);
            Both::new(lane, one, other, is_chatter)
        });
        both.collect()
    }
}

impl<'a> Both<'a> {
    fn new(
        lane: &'a Lane,
        one: &'a [&'a Point],
        other: &'a [&'a Point],
        is_chatter: bool,
    ) -> Both<'a> {
        let is_same = |(one, other): &(&&Point, &&Point)| {
            one.what == other.what && (!is_chatter || one.scene == other.scene)
        };
        let agreed = one.iter().zip(other).take_while(is_same).count();
        Both {
            lane,
            one,
            other,
            agreed,
        }
    }

    /// What comes next in either run, where they part.
    fn next(&self) -> (Option<&'a Point>, Option<&'a Point>) {
        let next = |points: &'a [&'a Point]| points.get(self.agreed).copied();
        (next(self.one), next(self.other))
    }

    fn is_parted(&self) -> bool {
        self.agreed < self.one.len().max(self.other.len())
    }

    /// When they part, by the clock of the one run.
    fn when(&self, clocks: &[(f64, f64)]) -> f64 {
        let (here, there) = self.next();
        let here = here.map(|point| point.t);
        let there = there.map(|point| on_clock(clocks, point.t));
        here.into_iter().chain(there).fold(f64::INFINITY, f64::min)
    }
}

impl Lane {
    fn only(&self, what: &str) -> Lane {
        Lane {
            only: Some(what.to_owned()),
            ..self.clone()
        }
    }

    fn whole(&self) -> Lane {
        Lane {
            only: None,
            ..self.clone()
        }
    }
}

impl Point {
    fn moment(&self) -> Moment {
        Moment {
            what: self.what.clone(),
            scene: self.scene_id.clone(),
            seq: self.seq,
            t: self.t,
        }
    }
}

/// The times in the other run of what both agree in, and what to add to each to get the one run's.
fn clocks(lanes: &[Both<'_>]) -> Vec<(f64, f64)> {
    let common = lanes.iter().flat_map(|both| {
        let common = both.one.iter().zip(both.other).take(both.agreed);
        common.map(|(one, other)| (other.t, one.t - other.t))
    });
    let mut clocks: Vec<(f64, f64)> = common.collect();
    clocks.sort_by(|one, other| one.0.total_cmp(&other.0));
    clocks
}

/// A time of the other run on the clock of the one: both began at different speeds, and agree in what
/// both had before it.
fn on_clock(clocks: &[(f64, f64)], t: f64) -> f64 {
    let known = clocks.partition_point(|(there, _)| *there <= t);
    let clock = clocks.get(known.saturating_sub(1));
    t + clock.map_or(0.0, |(_, offset)| *offset)
}

/// The scene that an event leads its player to.
fn scene_of(event: &Event) -> Option<Scene<'_>> {
    match &event.fact {
        Fact::Wire(wire) if wire.direction == Direction::ToClient => activated(&wire.packet),
        _ => None,
    }
}

/// The scene that a packet activates.
fn activated(packet: &Packet) -> Option<Scene<'_>> {
    match packet {
        Packet::Event { name, args, .. } if name == "activate_scene" => {
            args.first().map(Scene::new)
        }
        _ => None,
    }
}

fn time_of(event: &Event) -> f64 {
    match &event.fact {
        Fact::Page(page) => page.page_t,
        _ => event.t,
    }
}

/// Where something that matters was seen, and what it was.
fn told(fact: &Fact) -> Option<(&'static str, String)> {
    match fact {
        Fact::Wire(wire) => of_wire(wire),
        Fact::WireOpened(_) => Some(("its connection to the server", "opened".to_owned())),
        Fact::WireClosed(closed) => {
            let by = match closed.by {
                End::Browser => "browser",
                End::Target => "target",
                End::Gateway => "gateway",
            };
            Some(("its connection to the server", format!("ended by the {by}")))
        }
        Fact::Page(page) => of_page(&page.what),
        Fact::Step(step) => {
            let phase = match step.phase {
                StepPhase::Begun => "begun",
                StepPhase::Done => "done",
                StepPhase::Missed => "missed",
            };
            Some(("the steps", format!("{}: {phase}", step.step)))
        }
        Fact::Rule(rule) => {
            let what = format!("{} {}", rule.rule, effect(rule.effect));
            Some(("the rules of the gateway", what))
        }
        Fact::Severed { .. } => Some(("its leaving", "connections broken".to_owned())),
        Fact::Frozen(_) => Some(("its leaving", "browser stopped".to_owned())),
        Fact::Stalled(_) => Some(("its leaving", "connection stalled".to_owned())),
        Fact::Link(link) => {
            let state = if link.is_whole() { "whole" } else { "down" };
            Some(("its leaving", format!("link {state}")))
        }
        Fact::Leaving(_) => Some(("its leaving", "begins to leave".to_owned())),
        Fact::Departed(_) => Some(("its leaving", "has left".to_owned())),
        Fact::SessionEnded(_) => Some(("its leaving", "session ended".to_owned())),
        Fact::ServerHandled(handled) => handled.error.is_some().then(|| {
            (
                "the server",
                format!("its handler of {} failed", handled.event),
            )
        }),
        Fact::Run(_)
        | Fact::Http(_)
        | Fact::MirrorMiss { .. }
        | Fact::PublicFile(_)
        | Fact::Clock(_)
        | Fact::Snapshot(_)
        | Fact::HitTest(_)
        | Fact::Kept(_)
        | Fact::Kernel(_)
        | Fact::Process(_)
        | Fact::ServerLog { .. }
        | Fact::ServerHolds(_)
        | Fact::Barrier(_)
        | Fact::Screenshot(_)
        | Fact::Pixels(_)
        | Fact::DataFile(_)
        | Fact::Action(_)
        | Fact::Session(_)
        | Fact::Stranger { .. }
        | Fact::AddressChanged(_)
        | Fact::Absent { .. }
        | Fact::Broken(_)
        | Fact::Finished {} => None,
    }
}

fn of_wire(wire: &WireFact) -> Option<(&'static str, String)> {
    let what = match (&wire.packet, wire.origin) {
        // The harness's own pings are its own affair.
        (_, Origin::Harness) => return None,
        (Packet::Event { name, .. }, origin) => {
            let scene = activated(&wire.packet).map(|scene| format!(" {}", scene.id()));
            let made = match origin {
                Origin::Natural | Origin::Harness => "",
                Origin::Injected | Origin::Synthetic => " (made by the gateway)",
            };
            format!("{name}{}{made}", scene.unwrap_or_default())
        }
        (Packet::Connect { .. }, _) => "CONNECT".to_owned(),
        (Packet::Disconnect { .. }, _) => "DISCONNECT".to_owned(),
        (Packet::ConnectError { .. }, _) => "CONNECT_ERROR".to_owned(),
        (Packet::Close, _) => "close".to_owned(),
        (Packet::Unreadable { .. }, _) => "something unreadable".to_owned(),
        (
            Packet::Open { .. }
            | Packet::Ping
            | Packet::Pong
            | Packet::Upgrade
            | Packet::Noop
            | Packet::Ack { .. },
            _,
        ) => return None,
    };
    let source = match wire.direction {
        Direction::ToServer => "events from the page",
        Direction::ToClient => "events to the page",
    };
    Some((source, what))
}

fn of_page(what: &PageFact) -> Option<(&'static str, String)> {
    Some(match what {
        PageFact::Hello { .. } => ("its pages", "a page begins".to_owned()),
        PageFact::Bye {} => ("its pages", "a page is left".to_owned()),
        PageFact::ConnectionCreated { id, .. } => (CONNECTIONS, format!("{id} made")),
        // Which of the other states comes when is the browser's affair.
        PageFact::ConnectionState { id, connection, .. } => {
            (CONNECTIONS, format!("{id} is {connection}"))
        }
        PageFact::ConnectionClosed { id, .. } => (CONNECTIONS, format!("{id} closed by the page")),
        PageFact::ChannelCreated { id, .. } => (CHANNELS, format!("{id} made")),
        PageFact::ChannelState { id, state } => (CHANNELS, format!("{id} is {state}")),
        PageFact::ChannelClosed { id, .. } => (CHANNELS, format!("{id} closed by the page")),
        PageFact::Overlay(overlay) => {
            let seen = if overlay.visible {
                "visible"
            } else {
                "not visible"
            };
            (
                "what could be an overlay",
                format!("{} {seen}", overlay.element),
            )
        }
        PageFact::Error { .. } => ("its errors", "an uncaught error".to_owned()),
        PageFact::Rejection { .. } => ("its errors", "an unhandled rejection".to_owned()),
        PageFact::Visibility { state } => ("its pages", format!("the page is {state}")),
        PageFact::IceCandidate { .. }
        | PageFact::ChannelTraffic { .. }
        | PageFact::WorkerCreated { .. }
        | PageFact::WorkerTerminated { .. }
        | PageFact::RuntimeLoaded { .. }
        | PageFact::IntervalCreated { .. }
        | PageFact::IntervalCleared { .. }
        | PageFact::WebsocketState { .. }
        | PageFact::Focus { .. }
        | PageFact::GameProgress { .. }
        | PageFact::Console { .. } => return None,
    })
}

fn effect(effect: RuleEffect) -> &'static str {
    match effect {
        RuleEffect::Held => "held",
        RuleEffect::InOrder => "had nothing to hold",
        RuleEffect::Delayed => "delayed",
        RuleEffect::Released => "released",
        RuleEffect::Discarded => "discarded",
        RuleEffect::Injected => "injected",
        RuleEffect::Cut => "cut",
        RuleEffect::Dropped => "dropped",
        RuleEffect::Duplicated => "duplicated",
        RuleEffect::SetAside => "set aside",
        RuleEffect::Overtook => "let overtake",
        RuleEffect::Failed => "failed",
    }
}

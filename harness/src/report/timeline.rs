//! A run laid out on one clock: lanes of rows, with bars for what lasts and marks for what happens.
//!
//! It is a pure function of the evidence and of what was decided about it. The page draws it, and the
//! trace is written from it.

mod detail;
mod harness;
mod kernel;
mod page;
mod process;
mod server;
mod wire;

use std::collections::BTreeSet;

use serde::Serialize;

use crate::evidence::{Event, Fact, Log, StepPhase};
use crate::spec::PlayerName;
use crate::verdict::{CheckResult, Verdict};

pub(super) use detail::cut;
use detail::detail;

/// What happened in a run, on one clock.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Timeline {
    /// When the last event happened, in milliseconds since the run began.
    pub end: f64,
    /// The lanes: the run itself, each player, the server, the kernel.
    pub lanes: Vec<Lane>,
}

/// All that happened at one place.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Lane {
    /// Whose: `run`, `survivor`, `partner`, `server`, `kernel`.
    pub name: String,
    /// Its rows, from top to bottom.
    pub rows: Vec<Row>,
}

/// Things of one kind.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// Of what kind, as `scenes`.
    pub name: String,
    /// What lasts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub bars: Vec<Bar>,
    /// What happens.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub marks: Vec<Mark>,
}

/// Something that lasts.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Bar {
    /// When it began, in milliseconds since the run began.
    pub from: f64,
    /// When it ended.
    pub to: f64,
    /// What it is, in a few words.
    pub label: String,
    /// How it looks.
    pub style: Style,
    /// The events that it is drawn from, by their `seq`.
    pub events: Vec<u64>,
    /// More about it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub detail: String,
}

/// Something that happens.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Mark {
    /// When, in milliseconds since the run began.
    pub at: f64,
    /// What it is, in a few words.
    pub label: String,
    /// How it looks.
    pub style: Style,
    /// The event itself, by its `seq`; for a check all that it rests on.
    pub events: Vec<u64>,
    /// More about it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub detail: String,
}

/// How a bar or a mark looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Style {
    /// A step of the spec.
    Step,
    /// A step that the target missed, or the end of a broken run.
    Trouble,
    /// A check that passed.
    Pass,
    /// A check that failed.
    Fail,
    /// A check that decided nothing.
    Undecided,
    /// A GymScene.
    GymScene,
    /// Another scene.
    OtherScene,
    /// A page that loads, before its first scene.
    Loading,
    /// A page in the background.
    Hidden,
    /// A connection that is not up yet.
    Opening,
    /// A connection that is up.
    Open,
    /// A connection that has lost its other end.
    Lost,
    /// Something that was closed.
    Closed,
    /// A notice that the client is known for.
    Overlay,
    /// Anything else that covers or hides the page.
    Cover,
    /// Sent by the target or the page by itself.
    Natural,
    /// Sent by the gateway in the target's name, as the target could have.
    Injected,
    /// What no real network could do.
    Synthetic,
    /// The harness's own.
    Harness,
    /// A rule of the gateway took effect.
    Rule,
    /// Something is held back.
    Held,
    /// A player leaves.
    Departure,
    /// A player acts.
    Action,
    /// An uncaught error.
    Error,
    /// The target's log, and what it handled.
    Server,
    /// A process lives.
    Process,
    /// What the kernel says.
    Kernel,
}

impl Timeline {
    /// Lays out a run. Whatever the checks rest on is in it.
    #[must_use]
    pub fn new(log: &Log, checks: &[CheckResult]) -> Timeline {
        let end = log.events().iter().map(when).fold(0.0, f64::max);
        let mut lanes = vec![Lane {
            name: "run".to_owned(),
            rows: vec![steps(log, end), decisions(log, checks)],
        }];
        for player in PlayerName::BOTH {
            lanes.push(Lane {
                name: player.to_string(),
                rows: player_rows(log, player.as_str(), end),
            });
        }
        lanes.push(Lane {
            name: "server".to_owned(),
            rows: server::rows(log, end),
        });
        lanes.push(Lane {
            name: "kernel".to_owned(),
            rows: kernel::rows(log, end),
        });
        let mut timeline = Timeline { end, lanes };
        timeline.add_what_is_left(log, checks);
        for lane in &mut timeline.lanes {
            lane.rows.retain(|row| !row.is_empty());
        }
        timeline
    }

    /// Adds a row for the events that checks rest on and no other row shows.
    fn add_what_is_left(&mut self, log: &Log, checks: &[CheckResult]) {
        let lanes = self.lanes.iter().skip(1);
        let rows = lanes.flat_map(|lane| &lane.rows);
        let shown: BTreeSet<u64> = rows.flat_map(Row::events).collect();
        let left: Vec<u64> = checks
            .iter()
            .flat_map(evidence_of)
            .collect::<BTreeSet<u64>>()
            .difference(&shown)
            .copied()
            .collect();
        for event in left.iter().filter_map(|seq| event_of(log, *seq)) {
            let place = event.player.as_deref().unwrap_or("run");
            let lane = self.lanes.iter_mut().find(|lane| lane.name == place);
            let Some(lane) = lane else { continue };
            if lane.rows.last().is_none_or(|row| row.name != OTHER) {
                lane.rows.push(Row::new(OTHER));
            }
            if let Some(row) = lane.rows.last_mut() {
                row.marks.push(mark(event, kind_of(event), Style::Harness));
            }
        }
    }
}

/// The row of what only checks look at.
const OTHER: &str = "other evidence";

impl Row {
    fn new(name: impl Into<String>) -> Row {
        Row {
            name: name.into(),
            bars: Vec::new(),
            marks: Vec::new(),
        }
    }

    fn is_empty(&self) -> bool {
        self.bars.is_empty() && self.marks.is_empty()
    }

    fn events(&self) -> impl Iterator<Item = u64> {
        let bars = self.bars.iter().flat_map(|bar| &bar.events);
        let marks = self.marks.iter().flat_map(|mark| &mark.events);
        bars.chain(marks).copied()
    }
}

/// When something happened: what a page tells, by the page's own time of it.
pub(super) fn when(event: &Event) -> f64 {
    match &event.fact {
        Fact::Page(page) => page.page_t,
        Fact::Snapshot(snapshot) => snapshot.page_t,
        _ => event.t,
    }
}

/// The event of this `seq`. Logs are numbered from 0 without a gap, unless they were changed by hand.
pub(super) fn event_of(log: &Log, seq: u64) -> Option<&Event> {
    let events = log.events();
    let direct = usize::try_from(seq).ok().and_then(|at| events.get(at));
    direct
        .filter(|event| event.seq == seq)
        .or_else(|| events.iter().find(|event| event.seq == seq))
}

/// The events that a check rests on.
pub(super) fn evidence_of(check: &CheckResult) -> impl Iterator<Item = u64> {
    let stimuli = check.stimuli.iter().flat_map(|one| &one.evidence);
    let oracles = check.oracles.iter().flat_map(|one| &one.evidence);
    stimuli.chain(oracles).copied()
}

/// A mark for an event.
fn mark(event: &Event, label: impl Into<String>, style: Style) -> Mark {
    Mark {
        at: round(when(event)),
        label: label.into(),
        style,
        events: vec![event.seq],
        detail: detail(event),
    }
}

/// What kind of event it is, as the log names it.
pub(super) fn kind_of(event: &Event) -> String {
    let value = serde_json::to_value(&event.fact).unwrap_or_default();
    let name = |key: &str| value.get(key).and_then(|name| name.as_str());
    let kind = name("kind").unwrap_or("event");
    match (kind, name("event")) {
        ("page", Some(what)) => what.replace('_', " "),
        _ => kind.replace('_', " "),
    }
}

/// Ends the newest bar of this label at an event, unless it has ended before.
fn close_or_keep(row: &mut Row, label: &str, event: &Event) {
    let named = row.bars.iter_mut().rev().find(|bar| bar.label == label);
    if let Some(bar) = named
        && bar.to > event.t
    {
        bar.to = round(event.t);
        bar.events.push(event.seq);
    }
}

/// Tenths of a millisecond are more than any clock here can tell.
fn round(milliseconds: f64) -> f64 {
    (milliseconds * 10.0).round() / 10.0
}

fn steps(log: &Log, end: f64) -> Row {
    let mut row = Row::new("steps");
    for event in log.events() {
        match &event.fact {
            Fact::Step(step) => match step.phase {
                StepPhase::Begun => row.bars.push(Bar {
                    from: round(event.t),
                    to: round(end),
                    label: step.step.clone(),
                    style: Style::Step,
                    events: vec![event.seq],
                    detail: String::new(),
                }),
                StepPhase::Done | StepPhase::Missed => {
                    if let Some(bar) = row.bars.last_mut() {
                        bar.to = round(event.t);
                        bar.events.push(event.seq);
                    }
                    if step.phase == StepPhase::Missed {
                        row.marks.push(mark(event, "missed", Style::Trouble));
                    }
                }
            },
            Fact::Broken(broken) => {
                row.marks
                    .push(mark(event, broken.reason.clone(), Style::Trouble))
            }
            _ => {}
        }
    }
    row
}

/// Each check at the last event that it rests on.
fn decisions(log: &Log, checks: &[CheckResult]) -> Row {
    let mut row = Row::new("checks");
    for check in checks {
        let mut events: Vec<u64> = evidence_of(check).collect();
        events.sort_unstable();
        events.dedup();
        let last = events
            .iter()
            .filter_map(|seq| event_of(log, *seq))
            .map(when);
        let Some(at) = last.reduce(f64::max) else {
            continue;
        };
        row.marks.push(Mark {
            at: round(at),
            label: format!("{} {}: {}", check.requirement, check.check, check.verdict),
            style: match check.verdict {
                Verdict::Pass => Style::Pass,
                Verdict::Fail => Style::Fail,
                Verdict::Vacuous | Verdict::Broken | Verdict::NotApplicable | Verdict::Unstable => {
                    Style::Undecided
                }
            },
            events,
            detail: check.account.clone(),
        });
    }
    row
}

fn player_rows(log: &Log, player: &str, end: f64) -> Vec<Row> {
    let mut rows = vec![
        page::scenes(log, player, end),
        page::hidden(log, player, end),
    ];
    rows.extend(page::connections(log, player, end));
    rows.push(page::overlays(log, player, end));
    rows.push(page::errors(log, player));
    rows.extend(wire::rows(log, player, end));
    rows.push(harness::person(log, player));
    rows.push(harness::moments(log, player));
    rows
}

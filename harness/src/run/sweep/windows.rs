//! Windows of failure, and how sharp their edges are.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Sample, Session, Track};
use crate::spec::{GameEvent, GameNumber};

/// On how many runs each side of an edge rests.
pub(super) const LEAST_RUNS: usize = 5;

/// How far from an edge a run still belongs to its side, in milliseconds.
pub(super) const REACH_MS: f64 = 600.0;

/// What passes between two failures and is not longer than this, in milliseconds, on fewer than
/// [`LEAST_RUNS`] runs, is no gap: at an edge who comes first is chance.
const BLUR_MS: f64 = 250.0;

/// A stretch of the session in which a check fails when the partner goes there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Window {
    /// The check.
    pub check: String,
    /// Where it begins; `None` where it fails from the first instant on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Edge>,
    /// Where it ends; `None` where it fails to the last instant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Edge>,
    /// How wide it is in the undisturbed session, in milliseconds: between its first and its last failure.
    pub width_ms: f64,
    /// How many runs failed in it.
    pub runs: usize,
    /// What the check said in the middle of it.
    pub account: String,
    /// The spec that pins it, below the sweep's folder, once there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pinned: Option<String>,
    /// When its first and its last failure lie in the undisturbed session, in milliseconds.
    pub at_ms: (f64, f64),
}

impl Window {
    /// Whether it fails by chance: runs that pass were measured before and behind it at the same instants.
    #[must_use]
    pub fn is_chance(&self) -> bool {
        let is_blurred = |edge: &Option<Edge>| edge.as_ref().is_some_and(Edge::is_blurred);
        is_blurred(&self.from) && is_blurred(&self.to)
    }
}

/// Where a verdict changes: the last runs on this side of it and the first on the other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Edge {
    /// The nearest runs before it.
    pub before: Side,
    /// The nearest runs behind it.
    pub behind: Side,
}

/// Runs of one verdict next to an edge: from one event of the evidence, the survivor's, to another, the end
/// of the partner's connection to the target.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Side {
    /// Whether the check passes here.
    pub passes: bool,
    /// Of which game is the survivor's event.
    pub game: GameNumber,
    /// The survivor's last event that had come in all of these runs.
    pub after: GameEvent,
    /// The least and the greatest time from it to the departure, in milliseconds.
    pub spread_ms: (f64, f64),
    /// How many runs there are.
    pub runs: usize,
}

impl Edge {
    /// Whether either side rests on as many runs as it should.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.before.runs >= LEAST_RUNS && self.behind.runs >= LEAST_RUNS
    }

    /// Whether its two sides were measured at the same instants: no time tells one from the other.
    fn is_blurred(&self) -> bool {
        let (before, behind) = (&self.before, &self.behind);
        (before.game, before.after) == (behind.game, behind.after)
            && before.spread_ms.0 <= behind.spread_ms.1
            && behind.spread_ms.0 <= before.spread_ms.1
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (least, most) = self.spread_ms;
        write!(
            f,
            "{} {least:.0} to {most:.0} ms after {} of game {} ({} run{})",
            if self.passes { "passes" } else { "fails" },
            self.after,
            self.game,
            self.runs,
            if self.runs == 1 { "" } else { "s" },
        )
    }
}

impl fmt::Display for Edge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}", self.before, self.behind)
    }
}

/// A run that a check has decided, and when it lies in the undisturbed session.
#[derive(Clone, Copy)]
pub(super) struct Decided<'a> {
    pub(super) time: f64,
    pub(super) passes: bool,
    sample: &'a Sample,
}

/// Runs next to each other that a check decides the same.
pub(super) struct Stretch<'a> {
    pub(super) passes: bool,
    pub(super) runs: Vec<Decided<'a>>,
}

impl Stretch<'_> {
    pub(super) fn first(&self) -> f64 {
        self.runs.first().map_or(0.0, |run| run.time)
    }

    pub(super) fn last(&self) -> f64 {
        self.runs.last().map_or(0.0, |run| run.time)
    }
}

/// The stretches of a track by a check, in the order of the session.
pub(super) fn stretches<'a>(track: &'a Track, session: &Session, check: &str) -> Vec<Stretch<'a>> {
    let mut decided: Vec<Decided<'a>> = track
        .samples
        .iter()
        .filter_map(|sample| {
            Some(Decided {
                time: session.time(&sample.seen(session)?),
                passes: sample.decided(check)?,
                sample,
            })
        })
        .collect();
    decided.sort_by(|one, other| one.time.total_cmp(&other.time));
    let mut stretches: Vec<Stretch<'a>> = Vec::new();
    for run in decided {
        match stretches
            .last_mut()
            .filter(|last| last.passes == run.passes)
        {
            Some(last) => last.runs.push(run),
            None => stretches.push(Stretch {
                passes: run.passes,
                runs: vec![run],
            }),
        }
    }
    without_blur(stretches)
}

/// Failures with nothing between them but a few passes of chance are one stretch.
fn without_blur(stretches: Vec<Stretch<'_>>) -> Vec<Stretch<'_>> {
    let mut clear: Vec<Stretch<'_>> = Vec::new();
    let mut rest = stretches.into_iter().peekable();
    while let Some(stretch) = rest.next() {
        let between = clear.last().is_some_and(|last| !last.passes)
            && rest.peek().is_some_and(|next| !next.passes);
        let is_short = match (clear.last(), rest.peek()) {
            (Some(last), Some(next)) => next.first() - last.last() <= BLUR_MS,
            _ => false,
        };
        if stretch.passes && between && is_short && stretch.runs.len() < LEAST_RUNS {
            if let (Some(last), Some(next)) = (clear.last_mut(), rest.next()) {
                last.runs.extend(next.runs);
            }
        } else {
            clear.push(stretch);
        }
    }
    clear
}

/// The windows of failure of a track by a check, as far as its runs show them.
#[must_use]
pub fn windows(track: &Track, check: &str) -> Vec<Window> {
    let Some(session) = &track.session else {
        return Vec::new();
    };
    let stretches = stretches(track, session, check);
    let failing = stretches
        .iter()
        .enumerate()
        .filter(|(_, stretch)| !stretch.passes);
    failing
        .map(|(index, stretch)| {
            let before = index.checked_sub(1).map(|before| &stretches[before]);
            let middle = &stretch.runs[stretch.runs.len() / 2];
            Window {
                check: check.to_owned(),
                from: before.and_then(|before| edge(before, stretch)),
                to: stretches
                    .get(index + 1)
                    .and_then(|behind| edge(stretch, behind)),
                width_ms: stretch.last() - stretch.first(),
                runs: stretch.runs.len(),
                account: middle
                    .sample
                    .accounts
                    .get(check)
                    .cloned()
                    .unwrap_or_default(),
                pinned: None,
                at_ms: (stretch.first(), stretch.last()),
            }
        })
        .collect()
}

fn edge(before: &Stretch<'_>, behind: &Stretch<'_>) -> Option<Edge> {
    let last = before.last();
    let first = behind.first();
    let before_it = before.runs.iter().rev();
    let before_it = before_it.take_while(|run| last - run.time <= REACH_MS);
    let behind_it = behind.runs.iter();
    let behind_it = behind_it.take_while(|run| run.time - first <= REACH_MS);
    Some(Edge {
        before: side(
            &before_it.take(LEAST_RUNS).collect::<Vec<_>>(),
            before.passes,
        )?,
        behind: side(
            &behind_it.take(LEAST_RUNS).collect::<Vec<_>>(),
            behind.passes,
        )?,
    })
}

/// What these runs say, from the last event that had come in all of them.
fn side(runs: &[&Decided<'_>], passes: bool) -> Option<Side> {
    let (first, others) = runs.split_first()?;
    let shared = first.sample.passed.iter().rev().find(|passed| {
        others.iter().all(|other| {
            let mut theirs = other.sample.passed.iter();
            theirs.any(|one| (one.game, one.event) == (passed.game, passed.event))
        })
    })?;
    let times = runs.iter().filter_map(|run| {
        let mut all = run.sample.passed.iter();
        let same = all.find(|one| (one.game, one.event) == (shared.game, shared.event));
        same.map(|one| one.before_ms)
    });
    let spread_ms = times.fold((f64::MAX, f64::MIN), |(least, most), time| {
        (least.min(time), most.max(time))
    });
    Some(Side {
        passes,
        game: shared.game,
        after: shared.event,
        spread_ms,
        runs: runs.len(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn side(passes: bool, after: GameEvent, spread_ms: (f64, f64)) -> Side {
        Side {
            passes,
            game: GameNumber::after(0),
            after,
            spread_ms,
            runs: 2,
        }
    }

    #[test]
    fn what_fails_where_others_pass_fails_by_chance() {
        use GameEvent::{LastEpisodeEnded, LastFrames};
        let between = |passes: (GameEvent, (f64, f64)), fails: (GameEvent, (f64, f64))| {
            let (good, bad) = (
                side(true, passes.0, passes.1),
                side(false, fails.0, fails.1),
            );
            let window = Window {
                check: "a".into(),
                from: Some(Edge {
                    before: good.clone(),
                    behind: bad.clone(),
                }),
                to: Some(Edge {
                    before: bad,
                    behind: good,
                }),
                width_ms: 0.0,
                runs: 2,
                account: String::new(),
                pinned: None,
                at_ms: (0.0, 0.0),
            };
            let without_end = Window {
                to: None,
                ..window.clone()
            };
            assert!(!without_end.is_chance());
            window.is_chance()
        };
        let fails = (LastFrames, (299.0, 312.0));
        assert!(between((LastFrames, (271.0, 377.0)), fails));
        assert!(between((LastFrames, (305.0, 306.0)), fails));
        assert!(!between((LastFrames, (313.0, 377.0)), fails));
        assert!(!between((LastEpisodeEnded, (271.0, 377.0)), fails));
    }
}

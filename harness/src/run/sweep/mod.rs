//! Moving one partner's departure over the whole life of a session, and charting the verdicts.
//!
//! An undisturbed run gives the [`Session`]: the events of the survivor, and when each of them comes. The
//! departure is then placed at instants of it, first evenly, then closer where a verdict changes, until each
//! edge of a [`Window`] of failure rests on several runs on either side. All that is planned and found is a
//! pure function of the [`Track`]s, so that a sweep can be continued by another call.

mod pinned;
mod plan;
mod session;
mod windows;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::RunRecord;
use crate::evidence::{Fact, Log};
use crate::spec::{Experiment, GameEvent, GameNumber, Pair, WayToLeave, one_of};
use crate::verdict::{CheckResult, Verdict};

pub use pinned::{Scene, file_name, pinned_text, spec_text, undisturbed_name, undisturbed_text};
pub use plan::Plan;
pub use session::{Phase, Point, Session};
pub use windows::{Edge, Side, Window, windows};

/// How the partner stands to the survivor when it leaves.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Its `advance_scene` after the first game is held until the survivor has answered: it is the slower
    /// one, for whom the target still holds the game.
    Behind,
    /// Nothing is held: who is faster is chance.
    Abreast,
    /// It comes to the waiting room first, and the target gives it the first seat.
    First,
    /// It comes to the waiting room second.
    Second,
}

impl Role {
    /// All of them.
    pub const ALL: [Role; 4] = [Role::Behind, Role::Abreast, Role::First, Role::Second];
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Role::Behind => "behind",
            Role::Abreast => "abreast",
            Role::First => "first",
            Role::Second => "second",
        })
    }
}

impl FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Role, String> {
        one_of("role of the partner", text, &Role::ALL)
    }
}

/// What a sweep has found so far, and all that another call needs to continue it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct SweepRecord {
    /// How many instants each track is looked at first.
    pub instants: usize,
    /// The repairs that were applied.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub repairs: Vec<String>,
    /// Each way of leaving, by each role and pair.
    pub tracks: Vec<Track>,
    /// Why it is not finished, if it is not: the budget was used up, or the call was broken off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unfinished: Option<String>,
}

/// One way of leaving in one role, on one pair of browsers, moved over a session.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Track {
    /// How the partner leaves.
    pub how: WayToLeave,
    /// Where it stands.
    pub role: Role,
    /// The browsers, survivor first.
    pub pair: Pair,
    /// The undisturbed session, once it was played.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<Session>,
    /// How long a run takes, in seconds, as the undisturbed one did.
    pub run_seconds: f64,
    /// Each run.
    pub samples: Vec<Sample>,
    /// The windows of failure.
    #[serde(default)]
    pub windows: Vec<Window>,
}

impl Track {
    /// Nothing is known of it yet.
    #[must_use]
    pub fn new(how: WayToLeave, role: Role, pair: Pair) -> Track {
        Track {
            how,
            role,
            pair,
            session: None,
            run_seconds: 0.0,
            samples: Vec::new(),
            windows: Vec::new(),
        }
    }

    /// The checks that were asked, in the order of their names.
    #[must_use]
    pub fn checks(&self) -> Vec<&str> {
        let all = self
            .samples
            .iter()
            .flat_map(|sample| sample.verdicts.keys());
        let all: BTreeSet<&str> = all.map(String::as_str).collect();
        all.into_iter().collect()
    }

    /// Whether a run is the one that a sample was taken from.
    #[must_use]
    pub fn is_run_of(&self, sample: &Sample, run: &RunRecord) -> bool {
        run.spec == sample.spec
            && run.repetition == sample.repetition
            && run.pair == self.pair.to_string()
    }

    /// How long a run takes at most, in seconds, as far as those show that were carried out.
    #[must_use]
    pub fn longest_run(&self, runs: &[RunRecord]) -> f64 {
        let is_own = |run: &&RunRecord| {
            let mut samples = self.samples.iter();
            samples.any(|sample| self.is_run_of(sample, run))
        };
        let own = runs.iter().filter(is_own);
        own.map(|run| run.seconds).fold(self.run_seconds, f64::max)
    }

    /// Takes the verdicts of runs that were judged once more.
    fn judge_again(&mut self, runs: &[RunRecord]) {
        let mut samples = std::mem::take(&mut self.samples);
        for sample in &mut samples {
            if let Some(run) = runs.iter().find(|run| self.is_run_of(sample, run)) {
                sample.judged(&run.checks);
            }
        }
        self.samples = samples;
        let checks: Vec<String> = self.checks().into_iter().map(str::to_owned).collect();
        let mut found: Vec<Window> = Vec::new();
        for window in checks.iter().flat_map(|check| windows(self, check)) {
            let mut before = self.windows.iter();
            let same = before.find(|old| old.check == window.check && old.at_ms == window.at_ms);
            found.push(Window {
                pinned: same.and_then(|old| old.pinned.clone()),
                ..window
            });
        }
        self.windows = found;
    }
}

impl SweepRecord {
    /// Whether it is about several pairs of browsers.
    #[must_use]
    pub fn has_several_pairs(&self) -> bool {
        let mut pairs = self.tracks.iter().map(|track| track.pair);
        let first = pairs.next();
        pairs.any(|pair| Some(pair) != first)
    }

    /// Takes the verdicts of runs that were judged once more.
    pub fn judge_again(&mut self, runs: &[RunRecord]) {
        for track in &mut self.tracks {
            track.judge_again(runs);
        }
    }
}

impl fmt::Display for Track {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}, {}", self.how, self.role, self.pair)
    }
}

/// One run: where the departure was to be, where it was, and what was decided.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Sample {
    /// The instant that was asked for.
    pub wanted: Point,
    /// The survivor's events that had come when the partner's connection to the target ended, in their order.
    pub passed: Vec<Passed>,
    /// The verdict of each check.
    pub verdicts: BTreeMap<String, Verdict>,
    /// What the checks said that failed, in one sentence each.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub accounts: BTreeMap<String, String>,
    /// The spec of the run, below the sweep's folder of specs.
    pub spec: String,
    /// Which time this spec was carried out, from 1.
    pub repetition: u32,
}

/// An event that had come before a departure.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Passed {
    /// Of which game.
    pub game: GameNumber,
    /// Which event.
    pub event: GameEvent,
    /// How long before the departure, in milliseconds.
    pub before_ms: f64,
}

impl Sample {
    /// From the evidence of a run.
    #[must_use]
    pub fn of(
        wanted: Point,
        log: &Log,
        experiment: &Experiment,
        checks: &[CheckResult],
        spec: &str,
        repetition: u32,
    ) -> Sample {
        let mut sample = Sample {
            wanted,
            passed: passed(log, experiment),
            verdicts: BTreeMap::new(),
            accounts: BTreeMap::new(),
            spec: spec.to_owned(),
            repetition,
        };
        sample.judged(checks);
        sample
    }

    /// Takes what its checks decided.
    fn judged(&mut self, checks: &[CheckResult]) {
        let verdicts = checks.iter();
        let verdicts = verdicts.map(|check| (check.check.clone(), check.verdict));
        self.verdicts = verdicts.collect();
        let failed = checks.iter().filter(|check| check.verdict == Verdict::Fail);
        let accounts = failed.map(|check| (check.check.clone(), check.account.clone()));
        self.accounts = accounts.collect();
    }

    /// Where in a session the departure was: after the last event before it that the session has, too.
    #[must_use]
    pub fn seen(&self, session: &Session) -> Option<Point> {
        let passed = self.passed.iter().rev();
        let mut points = passed.map(|one| Point {
            game: one.game,
            after: one.event,
            offset_ms: one.before_ms,
        });
        points.find(|point| session.has(point))
    }

    /// What a check decided, if it decided anything.
    #[must_use]
    pub fn decided(&self, check: &str) -> Option<bool> {
        match self.verdicts.get(check)? {
            Verdict::Pass => Some(true),
            Verdict::Fail => Some(false),
            Verdict::Vacuous | Verdict::Broken | Verdict::NotApplicable | Verdict::Unstable => None,
        }
    }

    /// The verdict of all checks together.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        Verdict::of_all(self.verdicts.values().copied())
    }
}

/// The survivor's events before the partner's connection to the target ended.
fn passed(log: &Log, experiment: &Experiment) -> Vec<Passed> {
    let departed = log.events().iter().find_map(|event| match &event.fact {
        Fact::Departed(departed) => departed.at.clone(),
        _ => None,
    });
    let Some(at) = departed else {
        return Vec::new();
    };
    let from = log.events().iter().find(|event| event.seq == at.event);
    let Some(went) = from.map(|from| from.t + at.actual_ms) else {
        return Vec::new();
    };
    log.life("survivor", experiment)
        .into_iter()
        .filter(|one| session::is_charted(one.what) && one.event.t <= went)
        .map(|one| Passed {
            game: one.game,
            event: one.what,
            before_ms: went - one.event.t,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::session::tests::session;
    use super::*;

    #[test]
    fn a_departure_after_an_event_that_the_session_lacks_lies_after_the_one_before() {
        let passed = |event, before_ms| Passed {
            game: GameNumber::FIRST,
            event,
            before_ms,
        };
        let mut sample = Sample {
            wanted: session().point(6000.0).expect("a point"),
            passed: vec![
                passed(GameEvent::LastEpisodeEnded, 700.0),
                passed(GameEvent::AdvanceSent, 100.0),
            ],
            verdicts: BTreeMap::new(),
            accounts: BTreeMap::new(),
            spec: String::new(),
            repetition: 1,
        };
        let seen = sample.seen(&session()).expect("a point");
        assert_eq!(
            (seen.after, seen.offset_ms),
            (GameEvent::LastEpisodeEnded, 700.0)
        );
        assert_eq!(session().time(&seen), 6700.0);
        sample.passed.remove(0);
        assert_eq!(sample.seen(&session()), None);
    }

    #[test]
    fn the_longest_run_of_a_track_counts_and_none_of_another_one() {
        let pair = "chrome+chrome".parse().expect("a pair");
        let mut track = Track::new(WayToLeave::Freeze, Role::Behind, pair);
        track.run_seconds = 40.0;
        let run = |spec: &str, seconds| RunRecord {
            pair: pair.to_string(),
            seconds,
            ..RunRecord::unjudged(spec.to_owned(), None, PathBuf::new())
        };
        let runs = [run("a", 160.0), run("b", 90.0), run("c", 500.0)];
        assert_eq!(track.longest_run(&runs), 40.0);
        let sample = |spec: &str| Sample {
            wanted: session().point(0.0).expect("a point"),
            passed: Vec::new(),
            verdicts: BTreeMap::new(),
            accounts: BTreeMap::new(),
            spec: spec.to_owned(),
            repetition: 1,
        };
        track.samples = ["a", "b"].map(sample).into();
        assert_eq!(track.longest_run(&runs), 160.0);
    }
}

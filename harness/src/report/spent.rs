//! On what the time of a call went: of all its runs together, and which of them it waited for last.

use std::collections::{BTreeMap, BTreeSet};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::results::Results;
use crate::evidence::Spent;
use crate::run::{Effort, RunRecord};

/// How much two runs one after the other may overlap, in seconds: the second begins while the first is
/// being judged.
const OVERLAP: f64 = 0.5;

/// On what the time of all runs went, in seconds.
#[derive(Debug, Default)]
pub(super) struct Totals {
    of: BTreeMap<Spent, f64>,
}

impl Totals {
    /// Of these results. A run that several specs judge counts once.
    pub(super) fn of(results: &Results) -> Totals {
        let mut totals = Totals::default();
        for (_, run) in played(results) {
            for (on, seconds) in &run.profile.seconds {
                *totals.of.entry(*on).or_default() += seconds;
            }
        }
        totals
    }

    /// All of it.
    pub(super) fn seconds(&self) -> f64 {
        self.of.values().sum()
    }

    /// What each took, in the order in which runs have it, and its share, from 0 to 1.
    pub(super) fn parts(&self) -> impl Iterator<Item = (Spent, f64, f64)> {
        let all = self.seconds().max(f64::MIN_POSITIVE);
        let parts = Spent::ALL.into_iter();
        parts.filter_map(move |on| {
            self.of
                .get(&on)
                .map(|seconds| (on, *seconds, seconds / all))
        })
    }

    /// In one sentence: what the target imposed, and what was gymcheck's own. None without any time.
    pub(super) fn account(&self) -> Option<String> {
        let list = |own: bool| {
            let parts = self.parts().filter(|(on, ..)| on.is_own() == own);
            let parts = parts.filter(|(.., share)| percent(*share) > 0);
            let parts = parts.map(|(on, _, share)| format!("{} {} %", on.name(), percent(share)));
            parts.collect::<Vec<_>>().join(", ")
        };
        let own = self.parts().filter(|(on, ..)| on.is_own());
        let own = percent(own.map(|(.., share)| share).sum());
        (self.seconds() > 0.0).then(|| {
            format!(
                "{:.0} s of runs: {}; gymcheck's own {own} % ({})",
                self.seconds(),
                list(false),
                list(true)
            )
        })
    }
}

fn percent(share: f64) -> u32 {
    (share * 100.0).round() as u32
}

/// What the runs took of the machine, in one sentence.
pub(super) fn account(effort: &Effort) -> String {
    format!(
        "{:.0} s, {} runs at once at most; {:.0} s of processor time, which {} processors could have done in \
         {:.0} s at the least: {} % of the machine was made use of",
        effort.seconds,
        effort.jobs,
        effort.processor_seconds,
        effort.processors,
        effort.least_seconds(),
        percent(effort.made_use_of())
    )
}

/// A run in its place in a call.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Placed {
    /// Its index in the results.
    pub(super) index: usize,
    /// When it began, in seconds since the first run did.
    pub(super) from: f64,
    /// When it ended.
    pub(super) to: f64,
}

/// The runs of a call in rows: in each row one came after the other.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    pub(super) rows: Vec<Vec<Placed>>,
}

impl Schedule {
    /// Of these results; runs of which nobody knows when they began are left out.
    pub(super) fn of(results: &Results) -> Schedule {
        let mut runs: Vec<(OffsetDateTime, usize, f64)> = played(results)
            .filter_map(|(index, run)| {
                let began = OffsetDateTime::parse(run.started_at.as_deref()?, &Rfc3339).ok()?;
                Some((began, index, run.seconds))
            })
            .collect();
        runs.sort_by_key(|(began, ..)| *began);
        let mut schedule = Schedule::default();
        let Some((first, ..)) = runs.first().copied() else {
            return schedule;
        };
        for (began, index, seconds) in runs {
            let from = (began - first).as_seconds_f64();
            let placed = Placed {
                index,
                from,
                to: from + seconds,
            };
            let is_free =
                |row: &&mut Vec<Placed>| row.last().is_some_and(|last| last.to <= from + OVERLAP);
            match schedule.rows.iter_mut().find(is_free) {
                Some(row) => row.push(placed),
                None => schedule.rows.push(vec![placed]),
            }
        }
        schedule
    }

    /// When the last run ended, in seconds since the first one began.
    pub(super) fn seconds(&self) -> f64 {
        let ends = self.rows.iter().flatten().map(|placed| placed.to);
        ends.fold(0.0, f64::max)
    }

    /// The critical path: the row whose last run the call waited for in the end.
    pub(super) fn critical(&self) -> Option<usize> {
        let ends = self
            .rows
            .iter()
            .map(|row| row.last().map_or(0.0, |last| last.to));
        let last = ends
            .enumerate()
            .max_by(|one, other| one.1.total_cmp(&other.1));
        last.map(|(row, _)| row)
    }
}

/// What was played, each once: the first of the records that were judged by it.
fn played(results: &Results) -> impl Iterator<Item = (usize, &RunRecord)> {
    let mut known = BTreeSet::new();
    let runs = results.runs.iter().enumerate();
    runs.filter(move |(_, run)| known.insert((&run.target, &run.folder)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::samples::{facts, run_on};
    use crate::verdict::Verdict;

    fn results(runs: &[(&str, &str, f64)]) -> Results {
        let mut results = Results::new(vec![facts("mug@1")]);
        for (folder, began, seconds) in runs {
            let mut run = run_on("mug@1", Verdict::Pass, Verdict::Pass);
            run.folder = folder.into();
            run.started_at = Some(format!("2026-01-02T03:{began}Z"));
            run.seconds = *seconds;
            run.profile.seconds = BTreeMap::from([
                (Spent::Loading, seconds * 0.75),
                (Spent::Start, seconds * 0.25),
            ]);
            results.runs.push(run);
        }
        results
    }

    #[test]
    fn what_several_specs_judge_counts_once() {
        let results = results(&[
            ("a", "00:00", 8.0),
            ("a", "00:00", 8.0),
            ("b", "00:01", 4.0),
        ]);
        let totals = Totals::of(&results);
        assert_eq!(
            totals.account().as_deref(),
            Some("12 s of runs: loading 75 %; gymcheck's own 25 % (start 25 %)")
        );
        assert_eq!(Totals::default().account(), None);
    }

    #[test]
    fn the_critical_path_is_the_row_that_ends_last() {
        let results = results(&[
            ("c", "00:09", 20.0),
            ("a", "00:00", 8.9),
            ("b", "00:01", 30.0),
            // It began as the row's last run had not quite ended.
            ("d", "00:28.8", 1.0),
            ("e", "00:30", 40.0),
        ]);
        let schedule = Schedule::of(&results);
        let rows: Vec<Vec<usize>> = schedule
            .rows
            .iter()
            .map(|row| row.iter().map(|placed| placed.index).collect())
            .collect();
        assert_eq!(rows, [vec![1, 0, 3, 4], vec![2]]);
        assert_eq!(schedule.critical(), Some(0));
        assert!((schedule.seconds() - 70.0).abs() < 1e-9);
    }
}

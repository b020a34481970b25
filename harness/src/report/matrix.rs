//! How often each verdict was passed, by requirement and by pair of browsers.

use std::collections::{BTreeMap, BTreeSet};

use super::results::Results;
use crate::run::RunRecord;
use crate::verdict::{CheckResult, Verdict};

/// The verdicts of all runs that are judged for themselves.
#[derive(Debug)]
pub(super) struct Matrix {
    /// The pairs; where two targets are compared, each pair once for each of them.
    pub(super) columns: Vec<String>,
    /// The requirements, by their ids.
    pub(super) rows: Vec<Row>,
}

/// One requirement.
#[derive(Debug)]
pub(super) struct Row {
    /// Its id.
    pub(super) requirement: String,
    /// For each column, what was decided.
    pub(super) cells: Vec<Vec<Count>>,
}

/// How often a verdict was passed.
#[derive(Debug)]
pub(super) struct Count {
    /// The verdict.
    pub(super) verdict: Verdict,
    /// Whether it is no pass and was expected.
    pub(super) known: bool,
    /// Whether it counts against the call. What the target says that another one is compared with does
    /// not, unless it is broken.
    pub(super) unexpected: bool,
    /// How often.
    pub(super) times: usize,
}

/// By verdict, and whether it is known or unexpected.
type Cell = BTreeMap<(String, bool, bool), Count>;

impl Matrix {
    pub(super) fn new(results: &Results) -> Matrix {
        let mut cells: BTreeMap<(&str, String), Cell> = BTreeMap::new();
        for run in results.runs.iter().filter(|run| run.mutant.is_none()) {
            for check in &run.checks {
                let cell = cells.entry((&check.requirement, column(results, run)));
                let count = count(results, run, check);
                let key = (count.verdict.to_string(), count.known, count.unexpected);
                cell.or_default().entry(key).or_insert(count).times += 1;
            }
        }
        let columns: BTreeSet<String> = cells.keys().map(|(_, column)| column.clone()).collect();
        let ids: BTreeSet<&str> = cells.keys().map(|(id, _)| *id).collect();
        let rows = ids.into_iter().map(|id| {
            let of_column = |column: &String| {
                let counts = cells.remove(&(id, column.clone())).unwrap_or_default();
                counts.into_values().collect()
            };
            Row {
                requirement: id.to_owned(),
                cells: columns.iter().map(of_column).collect(),
            }
        });
        Matrix {
            rows: rows.collect(),
            columns: columns.into_iter().collect(),
        }
    }
}

fn column(results: &Results, run: &RunRecord) -> String {
    match results.targets.len() {
        0 | 1 => run.pair.clone(),
        _ => format!("{}, {}", run.pair, run.target),
    }
}

/// A verdict that was not counted yet.
fn count(results: &Results, run: &RunRecord, check: &CheckResult) -> Count {
    let as_expected = check.verdict == check.expected;
    let counts = check.verdict == Verdict::Broken || !results.is_measure(run);
    Count {
        verdict: check.verdict,
        known: as_expected && !check.verdict.is_pass(),
        unexpected: !as_expected && counts,
        times: 0,
    }
}

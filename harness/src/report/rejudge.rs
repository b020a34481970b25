//! Results once more, from nothing but the evidence in a folder: for a call that was killed before it
//! could write them, and for specs that have changed since.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::defects::defects;
use super::files::{SIDES, read_results};
use super::repeated::repeated_with_partings;
use super::results::Results;
use crate::evidence::{EVIDENCE, Log, LogError};
use crate::run::{RunRecord, fate_of, record};
use crate::spec::{Catalogue, Mutant, SpecError};
use crate::target::TargetFacts;

/// A run that cannot be judged again, and why.
#[derive(Debug, thiserror::Error)]
pub enum RejudgeError {
    /// Its evidence cannot be read.
    #[error(transparent)]
    Log(#[from] LogError),
    /// Its spec is not there any more.
    #[error("{} cannot be judged again: {source} (a spec of your own needs its folder, --specs DIR)", .path.display())]
    Spec {
        /// The evidence.
        path: PathBuf,
        /// What is wrong.
        source: SpecError,
    },
    /// It does not say what was run.
    #[error("{} does not say which spec it is of", .path.display())]
    Nameless {
        /// The evidence.
        path: PathBuf,
    },
}

/// One played run, judged by each spec that can.
#[derive(Debug)]
pub struct Judged {
    /// One record of each spec.
    pub records: Vec<RunRecord>,
    /// The target, if the log says all of it.
    pub target: Option<TargetFacts>,
}

/// Judges a log by every spec that judges its scenario, as `gymcheck run` does.
///
/// # Errors
/// The log cannot be read, or no spec of the checkout is its own.
pub fn judge_again(catalogue: &Catalogue, path: &Path) -> Result<Judged, RejudgeError> {
    let log = Log::read(path)?;
    let run = log.run().ok_or_else(|| RejudgeError::Nameless {
        path: path.to_owned(),
    })?;
    catalogue
        .spec(&run.spec)
        .map_err(|source| RejudgeError::Spec {
            path: path.to_owned(),
            source,
        })?;
    let known = catalogue.expectations.get(&run.target);
    let known = known.map_or(&[][..], Vec::as_slice);
    let specs = catalogue.judging(&run.spec);
    let own = catalogue.own.as_ref().map(|own| &own.folder);
    Ok(Judged {
        records: specs
            .map(|spec| RunRecord {
                specs: own.cloned(),
                ..record(spec, &log, known, path.to_owned())
            })
            .collect(),
        target: run.target_facts.clone(),
    })
}

/// All logs of runs below a folder, in a fixed order; the folder may be a log itself. Of a run that was
/// carried out again, the last attempt only.
///
/// # Errors
/// A folder cannot be read.
pub fn logs_below(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    if folder.is_file() {
        return Ok(vec![folder.to_owned()]);
    }
    let mut found: BTreeMap<PathBuf, (u32, PathBuf)> = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.is_dir() && !path.is_symlink() {
                folders.push(path);
            } else if path.file_name().is_some_and(|name| name == EVIDENCE) {
                let (run, attempt) = attempt_of(&folder);
                let last = found.entry(run).or_insert((attempt, path.clone()));
                if attempt > last.0 {
                    *last = (attempt, path);
                }
            }
        }
    }
    Ok(found.into_values().map(|(_, path)| path).collect())
}

/// A run's folder without its attempt, and which attempt it is.
fn attempt_of(folder: &Path) -> (PathBuf, u32) {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    match name.rsplit_once(".attempt-") {
        Some((run, attempt)) => (folder.with_file_name(run), attempt.parse().unwrap_or(1)),
        None => (folder.to_owned(), 1),
    }
}

/// Which time a run was carried out, as its folder says.
fn repetition_of(folder: &Path) -> u32 {
    let (run, _) = attempt_of(folder);
    let extension = run.extension().and_then(|text| text.to_str());
    extension.and_then(|text| text.parse().ok()).unwrap_or(1)
}

/// Judges all runs again whose folders are below `out`, and puts their results together. What cannot be
/// judged is given beside them.
///
/// # Errors
/// A folder cannot be read.
pub fn results_again(
    catalogue: &Catalogue,
    out: &Path,
) -> std::io::Result<(Results, Vec<RejudgeError>)> {
    let mut results = Results::new(Vec::new());
    let mut troubles = Vec::new();
    let mut groups: Vec<(usize, Vec<RunRecord>)> = Vec::new();
    let mut found: Vec<Vec<TargetFacts>> = vec![Vec::new(); SIDES.len()];
    for (side, below) in SIDES.iter().enumerate() {
        let folder = out.join(below);
        if !folder.is_dir() {
            continue;
        }
        for path in logs_below(&folder)? {
            match judge_again(catalogue, &path) {
                Ok(judged) => {
                    found[side].extend(judged.target);
                    groups.push((side, placed(judged.records, &path, out)));
                }
                Err(trouble) => troubles.push(trouble),
            }
        }
    }
    results.targets = tested(&found);
    for (side, records) in &groups {
        results
            .mutants
            .extend(fates(catalogue, &groups, *side, records));
        let first = groups
            .iter()
            .find(|(other, first)| *other < *side && same(first, records));
        if let Some((_, first)) = first {
            results.compare(first, records);
        }
    }
    results.runs = groups
        .into_iter()
        .flat_map(|(_, records)| records)
        .collect();
    results.defects = defects(&results.runs, &results.targets);
    results.repeated = repeated_with_partings(&results.runs, out);
    if let Ok(before) = read_results(out) {
        results.sweep = before.sweep;
        results.effort = before.effort;
        // What was not carried out is in no evidence.
        results.unfinished = before.unfinished;
        results.shard = before.shard;
        results.missing_shards = before.missing_shards;
    }
    if let Some(sweep) = &mut results.sweep {
        sweep.judge_again(&results.runs);
    }
    results.explain(catalogue);
    Ok((results, troubles))
}

/// The targets of results, from those of their runs, side by side: the two of a comparison, or the one
/// that all runs are of. Runs of several targets that nobody compared have none: no one of them is the
/// measure for another.
#[must_use]
pub fn tested(sides: &[Vec<TargetFacts>]) -> Vec<TargetFacts> {
    match sides {
        [first, second] if !second.is_empty() => {
            let both = [first, second].into_iter();
            both.filter_map(|side| side.first()).cloned().collect()
        }
        _ => {
            let mut all: Vec<TargetFacts> = Vec::new();
            for target in sides.iter().flatten() {
                if !all.contains(target) {
                    all.push(target.clone());
                }
            }
            match all.len() {
                1 => all,
                _ => Vec::new(),
            }
        }
    }
}

/// The records of a run with their folder below `out`, and which time it was.
fn placed(mut records: Vec<RunRecord>, path: &Path, out: &Path) -> Vec<RunRecord> {
    let folder = path.parent().unwrap_or(path);
    for record in &mut records {
        record.folder = folder.strip_prefix(out).unwrap_or(folder).to_owned();
        record.repetition = repetition_of(folder);
        record.attempts = attempt_of(folder).1;
        record.seconds = (record.seconds * 10.0).round() / 10.0;
    }
    records
}

/// Whether two played runs are the same but for their target.
fn same(one: &[RunRecord], other: &[RunRecord]) -> bool {
    match (one.first(), other.first()) {
        (Some(one), Some(other)) => {
            (&one.spec, &one.pair, one.repetition, &one.mutant)
                == (&other.spec, &other.pair, other.repetition, &other.mutant)
        }
        _ => false,
    }
}

/// What is decided about the mutant of a run, if it has one and the run without it is there.
fn fates(
    catalogue: &Catalogue,
    groups: &[(usize, Vec<RunRecord>)],
    side: usize,
    mutated: &[RunRecord],
) -> Vec<crate::run::MutantRecord> {
    let Some(run) = mutated.first() else {
        return Vec::new();
    };
    let Some(name) = &run.mutant else {
        return Vec::new();
    };
    let is_base = |(other, records): &&(usize, Vec<RunRecord>)| {
        let base = records.first();
        *other == side
            && base.is_some_and(|base| {
                base.mutant.is_none()
                    && (&base.spec, &base.pair, &base.repairs, base.repetition)
                        == (&run.spec, &run.pair, &run.repairs, run.repetition)
            })
    };
    let Some((_, base)) = groups.iter().find(is_base) else {
        return Vec::new();
    };
    let asked = |mutant: &&Mutant| {
        mutant.name == *name && mutated.iter().any(|record| record.spec == mutant.spec)
    };
    let mutants = catalogue.mutants.iter().filter(asked);
    mutants
        .map(|mutant| fate_of(mutant, base, mutated))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::samples::facts;

    #[test]
    fn a_folder_says_which_time_and_which_attempt_it_is() {
        let cases = [
            ("a/chrome+chrome", 1, 1),
            ("a/chrome+chrome.3", 3, 1),
            ("a/chrome+chrome~mutant.attempt-2", 1, 2),
            ("a/chrome+chrome.2.attempt-3", 2, 3),
        ];
        for (folder, repetition, attempt) in cases {
            let folder = Path::new(folder);
            assert_eq!(repetition_of(folder), repetition, "{folder:?}");
            assert_eq!(attempt_of(folder).1, attempt, "{folder:?}");
        }
    }

    #[test]
    fn what_was_only_judged_is_not_compared() {
        let (one, other) = (facts("mug@1"), facts("mug@2"));
        let pair = vec![one.clone(), other.clone()];
        assert_eq!(tested(&[pair.clone(), Vec::new()]), Vec::new());
        assert_eq!(tested(std::slice::from_ref(&pair)), Vec::new());
        assert_eq!(
            tested(&[vec![one.clone(); 2], Vec::new()]),
            std::slice::from_ref(&one)
        );
        assert_eq!(tested(&[vec![one.clone(); 2], vec![other; 2]]), pair);
        assert_eq!(
            tested(&[vec![one.clone()], vec![one.clone()]]),
            [one.clone(), one]
        );
    }

    #[test]
    fn of_a_run_that_was_carried_out_again_the_last_attempt_counts() {
        let out = tempfile::tempdir().expect("a folder");
        for folder in ["b/one.attempt-2", "b/one", "a/two"] {
            let folder = out.path().join(folder);
            std::fs::create_dir_all(&folder).expect("a folder");
            std::fs::write(folder.join(EVIDENCE), "").expect("a file");
        }
        let found = logs_below(out.path()).expect("they can be read");
        let below: Vec<&Path> = found
            .iter()
            .filter_map(|path| path.strip_prefix(out.path()).ok())
            .collect();
        assert_eq!(
            below,
            [
                Path::new("a/two/evidence.jsonl"),
                Path::new("b/one.attempt-2/evidence.jsonl")
            ]
        );
    }
}

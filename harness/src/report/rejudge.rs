//! Results once more, from nothing but the evidence in a folder: for a call that was killed before it
//! could write them, and for specs that have changed since.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::defects::defects;
use super::files::{AGAINST, RESULTS, SIDES, read_results};
use super::repeated::repeated_with_partings;
use super::results::Results;
use crate::causes::with_causes;
use crate::evidence::{BrokenFact, EVIDENCE, Log, LogError};
use crate::run::{Fate, MutantRecord, RunRecord, fate_of, record, scenario_of};
use crate::spec::{Catalogue, Mutant, Pair, SpecError};
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
    /// A spec that judged it is not there any more, or plays something else.
    #[error("{} cannot be judged again by {spec}: no spec of this name plays that run (a spec of your own needs its folder, --specs DIR)", .path.display())]
    Unasked {
        /// The evidence.
        path: PathBuf,
        /// The spec's name.
        spec: String,
    },
    /// The results of the call tell of it, and it is not there.
    #[error("{} cannot be judged again: {RESULTS} tells of the run, and its evidence is gone", .path.display())]
    Gone {
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
    let mut found: BTreeMap<PathBuf, (u32, PathBuf)> = BTreeMap::new();
    for path in every_log_below(folder)? {
        let (run, attempt) = attempt_of(path.parent().unwrap_or(folder));
        let last = found.entry(run).or_insert((attempt, path.clone()));
        if attempt > last.0 {
            *last = (attempt, path);
        }
    }
    Ok(found.into_values().map(|(_, path)| path).collect())
}

/// The same, with every attempt, in no order.
pub(super) fn every_log_below(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    if folder.is_file() {
        return Ok(vec![folder.to_owned()]);
    }
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.is_dir() && !path.is_symlink() {
                folders.push(path);
            } else if path.file_name().is_some_and(|name| name == EVIDENCE) {
                found.push(path);
            }
        }
    }
    Ok(found)
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

/// Judges all runs again whose folders are below `out`, each by the specs by which the results of the call
/// say that it was judged, or else by each spec that can, and puts all together. What cannot be judged is a
/// broken run in them, and why it cannot is given beside them.
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
    let before = read_results(out).unwrap_or_else(|_| Results::new(Vec::new()));
    let mut earlier = by_run(&before.runs);
    for (side, below) in SIDES.iter().enumerate() {
        let folder = out.join(below);
        if !folder.is_dir() {
            continue;
        }
        for path in logs_below(&folder)? {
            let (run, attempt) = attempt_of(below_out(&path, out));
            let counted = |run: &RunRecord| run.attempts <= attempt;
            if earlier
                .get(&run)
                .is_some_and(|runs| !runs.iter().all(counted))
            {
                continue;
            }
            let known = earlier.remove(&run).unwrap_or_default();
            let before_it = known.first().map(|run| run.broken_attempts.clone());
            let mut records = match judge_again(catalogue, &path) {
                Ok(judged) => {
                    found[side].extend(judged.target);
                    asked_for(judged.records, known, &path, out, &mut troubles)
                }
                Err(trouble) => {
                    let records =
                        undecided(or_unjudged(known, catalogue, &path, out), out, &trouble);
                    troubles.push(trouble);
                    records
                }
            };
            // All specs judge the same attempts.
            for record in &mut records {
                record.broken_attempts = before_it.clone().unwrap_or_default();
            }
            groups.push((side, placed(records, &path, out)));
        }
    }
    for known in earlier.into_values() {
        let Some(folder) = known.first().map(|run| run.folder.clone()) else {
            continue;
        };
        let path = out.join(&folder).join(EVIDENCE);
        let trouble = RejudgeError::Gone { path: path.clone() };
        let records = undecided(known, out, &trouble);
        groups.push((usize::from(folder.starts_with(AGAINST)), records));
        troubles.push(trouble);
    }
    // All runs of a side are on one target, those too that do not say it themselves.
    for (side, records) in &mut groups {
        let target = found[*side]
            .first()
            .map_or("unknown", |target| &target.name);
        let nameless = records.iter_mut().filter(|run| run.target.is_empty());
        nameless.for_each(|run| target.clone_into(&mut run.target));
    }
    results.targets = tested(&found);
    for (side, records) in &groups {
        let fates = fates(catalogue, &groups, *side, records, &before.mutants);
        results.mutants.extend(fates);
        let first = groups.iter().filter(|(other, _)| *other < *side);
        let first = first.flat_map(|(_, first)| first);
        results.compare(first.filter(|first| is_same(first, records)), records);
    }
    results.runs = groups
        .into_iter()
        .flat_map(|(_, records)| records)
        .collect();
    results.defects = defects(&results.runs, &results.targets);
    results.repeated = repeated_with_partings(&results.runs, out);
    // What was not carried out is in no evidence, nor what all runs took or showed together.
    results.unfinished = before.unfinished;
    results.shard = before.shard;
    results.missing_shards = before.missing_shards;
    results.equivalents = before.equivalents;
    results.effort = before.effort;
    results.sweep = before.sweep;
    if let Some(sweep) = &mut results.sweep {
        sweep.judge_again(&results.runs);
    }
    results.explain(catalogue);
    Ok((results, troubles))
}

/// What results tell of each run that was played, by its folder without its attempt.
fn by_run(runs: &[RunRecord]) -> BTreeMap<PathBuf, Vec<RunRecord>> {
    let mut all: BTreeMap<PathBuf, Vec<RunRecord>> = BTreeMap::new();
    for run in runs {
        let (folder, _) = attempt_of(&run.folder);
        all.entry(folder).or_default().push(run.clone());
    }
    all
}

/// Of the records of a run those of the specs by which it was judged before, if it was: a call may have
/// asked for some alone.
fn asked_for(
    judged: Vec<RunRecord>,
    known: Vec<RunRecord>,
    path: &Path,
    out: &Path,
    troubles: &mut Vec<RejudgeError>,
) -> Vec<RunRecord> {
    // What nobody could judge so far, no spec was chosen for.
    let was_judged = |run: &RunRecord| !run.checks.is_empty();
    if !known.iter().any(was_judged) {
        return judged;
    }
    let mut records = Vec::new();
    for run in known {
        match judged.iter().find(|one| one.spec == run.spec) {
            Some(again) => records.push(RunRecord {
                specs: again.specs.clone().or(run.specs),
                ..again.clone()
            }),
            None => {
                let (path, spec) = (path.to_owned(), run.spec.clone());
                let trouble = RejudgeError::Unasked { path, spec };
                records.extend(undecided(vec![run], out, &trouble));
                troubles.push(trouble);
            }
        }
    }
    records
}

/// What is known of a run that cannot be judged, or else what its log or its folder says.
fn or_unjudged(
    known: Vec<RunRecord>,
    catalogue: &Catalogue,
    path: &Path,
    out: &Path,
) -> Vec<RunRecord> {
    match known.is_empty() {
        true => vec![unjudged(catalogue, path, out)],
        false => known,
    }
}

/// The records of a run that cannot be judged.
fn undecided(known: Vec<RunRecord>, out: &Path, trouble: &RejudgeError) -> Vec<RunRecord> {
    let why = match trouble {
        RejudgeError::Log(error) => with_causes(error),
        RejudgeError::Spec { .. }
        | RejudgeError::Nameless { .. }
        | RejudgeError::Unasked { .. }
        | RejudgeError::Gone { .. } => trouble.to_string(),
    };
    let broken = BrokenFact {
        component: "evidence".to_owned(),
        // Reports may be read elsewhere.
        reason: why.replace(&format!("{}/", out.display()), ""),
        last_lines: Vec::new(),
        worth_a_retry: false,
    };
    let runs = known.into_iter().map(|run| run.undecided(&broken));
    runs.collect()
}

/// A run of which nothing is known but what its log says, or else its folder.
fn unjudged(catalogue: &Catalogue, path: &Path, out: &Path) -> RunRecord {
    let folder = below_out(path, out);
    let log = Log::read(path).ok();
    if let Some(run) = log.as_ref().and_then(Log::run) {
        return RunRecord::unjudged(run.spec.clone(), Some(run), folder.to_owned());
    }
    let (run, _) = attempt_of(folder);
    let name = match repetition_of(folder) {
        1 => run.file_name(),
        _ => run.file_stem(),
    };
    let name = name.unwrap_or_default().to_string_lossy();
    let (played, mutant) = match name.split_once('~') {
        Some((played, mutant)) => (played, Some(mutant.to_owned())),
        None => (&*name, None),
    };
    let parts: Vec<&str> = played.split('+').collect();
    let (pair, repairs) = parts.split_at(parts.len().min(2));
    let pair: Result<Pair, _> = pair.join("+").parse();
    let is_known = |name: &&&str| catalogue.repairs.contains_key(**name);
    let mut spec = scenario_of(folder);
    if spec.is_empty() {
        // A run's folder alone.
        spec = name.to_string();
    }
    RunRecord {
        pair: pair.map_or("unknown".to_owned(), |pair| pair.to_string()),
        mutant,
        repairs: repairs
            .iter()
            .filter(is_known)
            .map(|&one| one.to_owned())
            .collect(),
        ..RunRecord::unjudged(spec, None, folder.to_owned())
    }
}

/// A log's folder, below that of the call.
fn below_out<'a>(path: &'a Path, out: &Path) -> &'a Path {
    let folder = path.parent().unwrap_or(path);
    folder.strip_prefix(out).unwrap_or(folder)
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
    let folder = below_out(path, out);
    for record in &mut records {
        folder.clone_into(&mut record.folder);
        record.repetition = repetition_of(folder);
        record.attempts = attempt_of(folder).1;
        record.seconds = (record.seconds * 10.0).round() / 10.0;
    }
    records
}

/// Whether a run that was played is the same as another one, but for its target and its repairs.
fn is_same(one: &RunRecord, other: &[RunRecord]) -> bool {
    other.first().is_some_and(|other| {
        (&one.pair, one.repetition, &one.mutant) == (&other.pair, other.repetition, &other.mutant)
    })
}

/// What is decided about the mutant of a run, if it has one: nothing, where the run without it is lost, or
/// the catalogue has no such mutant.
fn fates(
    catalogue: &Catalogue,
    groups: &[(usize, Vec<RunRecord>)],
    side: usize,
    mutated: &[RunRecord],
    before: &[MutantRecord],
) -> Vec<MutantRecord> {
    let Some(run) = mutated.first() else {
        return Vec::new();
    };
    let Some(name) = &run.mutant else {
        return Vec::new();
    };
    let is_base = |base: &RunRecord| {
        base.mutant.is_none()
            && mutated.iter().any(|run| run.spec == base.spec)
            && (&base.pair, &base.repairs, base.repetition)
                == (&run.pair, &run.repairs, run.repetition)
    };
    let mut groups = groups.iter().filter(|(other, _)| *other == side);
    let base = groups.find(|(_, records)| records.iter().any(is_base));
    let base = base.map_or(&[][..], |(_, base)| base);
    let asked = |mutant: &&Mutant| {
        mutant.name == *name && mutated.iter().any(|record| record.spec == mutant.spec)
    };
    let mutants = catalogue.mutants.iter().filter(asked);
    let fates: Vec<MutantRecord> = mutants
        .map(|mutant| fate_of(mutant, base, mutated))
        .collect();
    if !fates.is_empty() {
        return fates;
    }
    let same = |one: &&MutantRecord| {
        one.mutant == *name && one.pair == run.pair && mutated.iter().any(|it| it.spec == one.spec)
    };
    let before = before.iter().find(same).cloned();
    vec![MutantRecord {
        fate: Fate::Undecided,
        account: format!("no mutant of this name is to be found by {}", run.spec),
        changed: BTreeMap::new(),
        ..before.unwrap_or_else(|| MutantRecord::unknown(name, run))
    }]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::samples::facts;
    use crate::run::find_root;

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
    fn a_folder_says_what_was_played_where_the_log_does_not() {
        let catalogue = Catalogue::read(&find_root()).expect("the checkout's specs");
        let repair = "second-game-not-skipped";
        let repaired = format!("runs/a/b/chrome+chrome+{repair}~m.2.attempt-3");
        let cases = [
            (
                "runs/a/b/chrome+firefox",
                "a/b",
                "chrome+firefox",
                None,
                &[][..],
            ),
            (&repaired, "a/b", "chrome+chrome", Some("m"), &[repair][..]),
            (
                "runs/a/b/chrome+chrome+3repairs0a1b2c",
                "a/b",
                "chrome+chrome",
                None,
                &[],
            ),
            ("runs/run", "run", "unknown", None, &[]),
        ];
        for (folder, spec, pair, mutant, repairs) in cases {
            let out = Path::new("/nowhere");
            let run = unjudged(&catalogue, &out.join(folder).join(EVIDENCE), out);
            let said = (run.spec.as_str(), run.pair.as_str(), run.mutant.as_deref());
            assert_eq!(said, (spec, pair, mutant), "{folder}");
            assert_eq!(run.repairs, repairs, "{folder}");
            assert_eq!(run.folder, Path::new(folder));
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

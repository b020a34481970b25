//! One call of gymcheck: its runs, their repetition when broken, its mutants.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::carry_out::{RunPlan, carry_out, edits_of};
use crate::evidence::{BrokenFact, Log};
use crate::gateway::{EditError, Mirror, MirrorEntry, apply_edit};
use crate::provision::{self, Browser, Home, PINNED_RELEASE, ProvisionError};
use crate::spec::{BrowserKind, Catalogue, Mutant, Pair, Spec};
use crate::target::{Target, TargetError};
use crate::verdict::{CheckResult, Judgement, Verdict, judge};

/// How often a broken run may be carried out again, at most.
pub const MOST_RETRIES: u32 = 2;

/// Why a call cannot begin.
#[derive(Debug, Error)]
pub enum PrepareError {
    /// Something that runs need is not there.
    #[error(transparent)]
    Provision(#[from] ProvisionError),
    /// The target cannot be looked into.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// A mutant's text is not in what the target serves.
    #[error("the mutant `{mutant}` does not fit the target {target}: {}: {source}", .file)]
    Mutant {
        /// The mutant.
        mutant: String,
        /// The target.
        target: String,
        /// The served file.
        file: String,
        /// What is wrong.
        source: Box<EditError>,
    },
    /// A file that the target serves cannot be read.
    #[error("the mutant `{mutant}` changes {file}, which the target {target} does not serve")]
    NoSuchFile {
        /// The mutant.
        mutant: String,
        /// The target.
        target: String,
        /// The served file.
        file: String,
    },
}

/// What all runs of one call have in common.
pub struct Invocation {
    target: Target,
    browsers: BTreeMap<BrowserKind, Browser>,
    mirror: Mirror,
    out: PathBuf,
    retries: u32,
    headed: bool,
    keep: bool,
}

/// What a call wants.
pub struct Wanted<'a> {
    /// The checkout whose experiments are served.
    pub root: &'a Path,
    /// The browsers that its runs use.
    pub browsers: Vec<BrowserKind>,
    /// Where evidence and results go.
    pub out: PathBuf,
    /// How often a broken run is carried out again, [`MOST_RETRIES`] at most. What the target got
    /// wrong, or what proved nothing, is never tried again.
    pub retries: u32,
    /// Whether the browsers show their windows.
    pub headed: bool,
    /// Whether the stages' folders stay.
    pub keep: bool,
}

/// What is left of one run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RunRecord {
    /// The spec's name.
    pub spec: String,
    /// The browsers, survivor first.
    pub pair: String,
    /// The target.
    pub target: String,
    /// The mutant, if one was applied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mutant: Option<String>,
    /// The verdict of the run.
    pub verdict: Verdict,
    /// The verdict that is known for this target.
    pub expected: Verdict,
    /// Each check, with the evidence that it rests on.
    pub checks: Vec<CheckResult>,
    /// How often it was carried out: a broken run may be carried out again, twice at most.
    pub attempts: u32,
    /// Why the attempts before the last one decided nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub broken_attempts: Vec<BrokenFact>,
    /// Why the run could not be carried out, if it could not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broken: Option<BrokenFact>,
    /// The step that the target missed, if it missed one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missed: Option<String>,
    /// The run's folder, below `--out`.
    pub folder: PathBuf,
    /// How long it took, in seconds.
    pub seconds: f64,
}

/// What is decided about a mutant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fate {
    /// Its named check, which passed without it in the same call, says `fail`.
    Killed,
    /// It does not.
    Survived,
    /// The run with it, or the one without it, could not be carried out.
    Undecided,
}

/// What is left of a mutant.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MutantRecord {
    /// Its name.
    pub mutant: String,
    /// The spec that it was tried on.
    pub spec: String,
    /// The browsers, survivor first.
    pub pair: String,
    /// The check that must say `fail`.
    pub check: String,
    /// What is decided.
    pub fate: Fate,
    /// Why.
    pub account: String,
}

impl Invocation {
    /// Finds all that the runs need.
    ///
    /// # Errors
    /// Something is not there; the error says how to get it.
    pub fn prepare(wanted: Wanted<'_>) -> Result<Invocation, PrepareError> {
        let home = Home::locate()?;
        let python = provision::python(&home, &PINNED_RELEASE)?;
        let mirror = provision::assets(&home)?
            .into_iter()
            .map(|asset| MirrorEntry {
                url: asset.url,
                path: asset.path,
                media_type: asset.media_type,
            })
            .collect();
        let mut browsers = BTreeMap::new();
        for name in wanted.browsers {
            browsers.insert(name, provision::find_browser(&home, name)?);
        }
        Ok(Invocation {
            target: Target {
                name: PINNED_RELEASE.to_string(),
                python,
                experiments: wanted.root.join("fixtures/experiments"),
            },
            browsers,
            mirror: Mirror::new(mirror),
            out: wanted.out,
            retries: wanted.retries.min(MOST_RETRIES),
            headed: wanted.headed,
            keep: wanted.keep,
        })
    }

    /// Checks that a mutant's texts are in what the target serves, before any browser starts.
    ///
    /// # Errors
    /// A text is not there, or is there more than once.
    pub fn check_mutant(&self, mutant: &Mutant) -> Result<(), PrepareError> {
        let mut texts: BTreeMap<String, String> = BTreeMap::new();
        for edit in edits_of(mutant) {
            let text = match texts.remove(&edit.file) {
                Some(text) => text,
                None => self.target.served_file(&edit.file)?.ok_or_else(|| {
                    PrepareError::NoSuchFile {
                        mutant: mutant.name.clone(),
                        target: self.target.name.clone(),
                        file: edit.file.clone(),
                    }
                })?,
            };
            let text = apply_edit(&text, &edit).map_err(|source| PrepareError::Mutant {
                mutant: mutant.name.clone(),
                target: self.target.name.clone(),
                file: edit.file.clone(),
                source: Box::new(source),
            })?;
            texts.insert(edit.file, text);
        }
        Ok(())
    }

    /// Carries out a run, again if it is broken and that could help, and judges it.
    ///
    /// `repetition` tells runs apart that are otherwise the same; `on_step` hears of each step.
    ///
    /// # Errors
    /// The evidence cannot be written.
    pub async fn run(
        &self,
        spec: &Spec,
        pair: Pair,
        mutant: Option<&Mutant>,
        repetition: u32,
        on_step: impl Fn(&str),
    ) -> std::io::Result<RunRecord> {
        let began = Instant::now();
        let mut broken_attempts = Vec::new();
        for attempt in 1.. {
            let folder = folder_of(spec, pair, mutant, repetition, attempt);
            let plan = RunPlan {
                spec,
                pair,
                mutant,
                target: &self.target,
                browsers: &self.browsers,
                mirror: self.mirror.clone(),
                artefacts: &self.out.join(&folder),
                headed: self.headed,
                keep: self.keep,
            };
            let log = carry_out(&plan, &on_step).await?;
            let judgement = judge(spec, &log);
            match &judgement.broken {
                Some(broken) if broken.worth_a_retry && attempt <= self.retries => {
                    on_step(&format!("broken, carried out again: {}", broken.reason));
                    broken_attempts.push(broken.clone());
                }
                Some(_) | None => {
                    let mut record = record(spec, &log, judgement, folder);
                    record.attempts = attempt;
                    record.broken_attempts = broken_attempts;
                    record.seconds = (began.elapsed().as_secs_f64() * 10.0).round() / 10.0;
                    return Ok(record);
                }
            }
        }
        unreachable!("the last attempt gives a record")
    }
}

/// The record of a judged log.
#[must_use]
pub fn record(spec: &Spec, log: &Log, judgement: Judgement, folder: PathBuf) -> RunRecord {
    let run = log.run();
    let said = |field: fn(&crate::evidence::RunFacts) -> String| run.map(field).unwrap_or_default();
    RunRecord {
        spec: spec.name.clone(),
        pair: said(|run| run.pair.clone()),
        target: said(|run| run.target.clone()),
        mutant: run.and_then(|run| run.mutant.clone()),
        verdict: judgement.verdict,
        expected: Verdict::Pass,
        checks: judgement.checks,
        attempts: 1,
        broken_attempts: Vec::new(),
        broken: judgement.broken,
        missed: judgement.missed,
        folder,
        seconds: log.events().last().map_or(0.0, |event| event.t / 1000.0),
    }
}

fn folder_of(
    spec: &Spec,
    pair: Pair,
    mutant: Option<&Mutant>,
    repetition: u32,
    attempt: u32,
) -> PathBuf {
    let mut name = pair.to_string();
    if let Some(mutant) = mutant {
        name = format!("{name}~{}", mutant.name);
    }
    if repetition > 1 {
        name = format!("{name}.{repetition}");
    }
    if attempt > 1 {
        name = format!("{name}.attempt-{attempt}");
    }
    Path::new("runs").join(&spec.name).join(name)
}

/// Decides about a mutant, from the run without it and the run with it.
#[must_use]
pub fn fate_of(mutant: &Mutant, base: &RunRecord, mutated: &RunRecord) -> MutantRecord {
    let check = |run: &RunRecord| {
        run.checks
            .iter()
            .find(|check| check.check == mutant.check)
            .map(|check| (check.verdict, check.account.clone()))
    };
    let named = &mutant.check;
    let unexcused: Vec<&str> = mutated
        .checks
        .iter()
        .filter(|check| check.verdict == Verdict::Fail && check.check != mutant.check)
        .filter(|check| !mutant.also.iter().any(|also| also.check == check.check))
        .map(|check| check.check.as_str())
        .collect();
    let (fate, account) = match (check(base), check(mutated)) {
        (Some((Verdict::Pass, _)), Some((Verdict::Fail, account))) if unexcused.is_empty() => {
            (Fate::Killed, format!("{named} says fail: {account}"))
        }
        (Some((Verdict::Pass, _)), Some((Verdict::Fail, _))) => (
            Fate::Survived,
            format!(
                "{named} says fail, but so does {}, which the mutant does not excuse",
                unexcused.join(", ")
            ),
        ),
        (Some((Verdict::Broken, account)), _) => (
            Fate::Undecided,
            format!("the run without it is broken: {account}"),
        ),
        (Some((Verdict::Pass, _)), Some((Verdict::Broken, account))) => (
            Fate::Undecided,
            format!("the run with it is broken: {account}"),
        ),
        (Some((Verdict::Pass, _)), Some((verdict, account))) => (
            Fate::Survived,
            format!("{named} says {verdict} with it: {account}"),
        ),
        (Some((verdict, account)), _) => (
            Fate::Survived,
            format!("{named} says {verdict} without it already: {account}"),
        ),
        (None, _) => (Fate::Survived, format!("{named} was not asked")),
    };
    MutantRecord {
        mutant: mutant.name.clone(),
        spec: mutated.spec.clone(),
        pair: mutated.pair.clone(),
        check: mutant.check.clone(),
        fate,
        account,
    }
}

/// The browsers that these pairs use, each once.
#[must_use]
pub fn browsers_of(pairs: impl IntoIterator<Item = Pair>) -> Vec<BrowserKind> {
    let mut names: Vec<BrowserKind> = pairs
        .into_iter()
        .flat_map(|pair| [pair.survivor, pair.partner])
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// The folder of the checkout that holds specs and fixtures: `GYMCHECK_ROOT`, or the nearest one
/// at or above the working folder, or the one that this program was built from.
#[must_use]
pub fn find_root() -> PathBuf {
    if let Some(root) = std::env::var_os("GYMCHECK_ROOT") {
        return root.into();
    }
    let holds_specs = |folder: &&Path| folder.join("specs/requirements.toml").is_file();
    let here = std::env::current_dir().unwrap_or_default();
    here.ancestors()
        .find(holds_specs)
        .map_or_else(built_from, Path::to_owned)
}

fn built_from() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package).to_owned()
}

/// The mutants that a call names, `all` for all of them.
///
/// # Errors
/// A name that no mutant has.
pub fn select_mutants<'a>(
    catalogue: &'a Catalogue,
    names: &[String],
) -> Result<Vec<&'a Mutant>, crate::spec::SpecError> {
    if names.iter().any(|name| name == "all") {
        return Ok(catalogue.mutants.values().collect());
    }
    names.iter().map(|name| catalogue.mutant(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(checks: &[(&str, Verdict)]) -> RunRecord {
        RunRecord {
            spec: "a/b".into(),
            pair: "chrome+chrome".into(),
            target: "mug@0".into(),
            mutant: None,
            verdict: Verdict::of_all(checks.iter().map(|(_, verdict)| *verdict)),
            expected: Verdict::Pass,
            checks: checks
                .iter()
                .map(|(check, verdict)| CheckResult {
                    check: (*check).into(),
                    requirement: "P2P-01".into(),
                    verdict: *verdict,
                    account: String::new(),
                    stimuli: Vec::new(),
                    oracles: Vec::new(),
                })
                .collect(),
            attempts: 1,
            broken_attempts: Vec::new(),
            broken: None,
            missed: None,
            folder: PathBuf::new(),
            seconds: 0.0,
        }
    }

    #[test]
    fn a_mutant_is_killed_only_by_its_own_check_on_a_green_base() {
        use Verdict::{Broken, Fail, Pass, Vacuous};
        let mutant: Mutant = toml::from_str(
            r#"
breaks = "x"
requirement = "P2P-01"
spec = "a/b"
check = "own"
also = [{ check = "excused", reason = "it follows" }]
edits = [{ file = "f", find = "a", replace = "b" }]
"#,
        )
        .expect("a mutant");
        let green = [("own", Pass), ("other", Pass), ("excused", Pass)];
        let cases = [
            (
                green,
                [("own", Fail), ("other", Pass), ("excused", Pass)],
                Fate::Killed,
            ),
            (
                green,
                [("own", Fail), ("other", Vacuous), ("excused", Fail)],
                Fate::Killed,
            ),
            (
                green,
                [("own", Fail), ("other", Fail), ("excused", Pass)],
                Fate::Survived,
            ),
            (
                green,
                [("own", Pass), ("other", Pass), ("excused", Pass)],
                Fate::Survived,
            ),
            (
                green,
                [("own", Vacuous), ("other", Fail), ("excused", Pass)],
                Fate::Survived,
            ),
            (
                green,
                [("own", Broken), ("other", Broken), ("excused", Broken)],
                Fate::Undecided,
            ),
            (
                [("own", Fail), ("other", Pass), ("excused", Pass)],
                [("own", Fail), ("other", Pass), ("excused", Pass)],
                Fate::Survived,
            ),
            (
                [("own", Broken), ("other", Broken), ("excused", Broken)],
                [("own", Fail), ("other", Pass), ("excused", Pass)],
                Fate::Undecided,
            ),
        ];
        for (base, mutated, fate) in cases {
            let decided = fate_of(&mutant, &run(&base), &run(&mutated));
            assert_eq!(
                decided.fate, fate,
                "{base:?} {mutated:?}: {}",
                decided.account
            );
        }
    }
}

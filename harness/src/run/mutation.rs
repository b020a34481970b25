//! Mutants: which are tried, and what is decided about each.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::RunRecord;
use crate::spec::{Catalogue, Mutant, SpecError, each_once};
use crate::verdict::Verdict;

/// What is decided about a mutant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Fate {
    /// Its named check, which passed without it in the same call, says `fail`.
    Killed,
    /// It does not.
    Survived,
    /// The run with it, or the one without it, could not be carried out, or is lost.
    Undecided,
    /// Its named check cannot be asked without it: there is nothing that it could make fail.
    NotApplicable,
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Fate::Killed => "killed",
            Fate::Survived => "survived",
            Fate::Undecided => "undecided",
            Fate::NotApplicable => "not applicable",
        })
    }
}

/// What is left of a mutant: one row of the kill matrix.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct MutantRecord {
    /// Its name.
    pub mutant: String,
    /// The requirement that it breaks.
    pub requirement: String,
    /// The spec that it was tried on.
    pub spec: String,
    /// The repairs that it was tried on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub repairs: Vec<String>,
    /// The browsers, survivor first.
    pub pair: String,
    /// The check that must say `fail`.
    pub check: String,
    /// What is decided.
    pub fate: Fate,
    /// Why.
    pub account: String,
    /// Every check that says something else with it than without it, as `spec check`, and what it
    /// says with it.
    pub changed: BTreeMap<String, Verdict>,
}

impl MutantRecord {
    /// What a run alone tells of its mutant, about which nothing can be decided.
    #[must_use]
    pub fn unknown(mutant: &str, run: &RunRecord) -> MutantRecord {
        MutantRecord {
            mutant: mutant.to_owned(),
            requirement: "unknown".to_owned(),
            spec: run.spec.clone(),
            repairs: run.repairs.clone(),
            pair: run.pair.clone(),
            check: "unknown".to_owned(),
            fate: Fate::Undecided,
            account: String::new(),
            changed: BTreeMap::new(),
        }
    }
}

/// A mutant that is in no row of the kill matrix, since nothing could kill it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct EquivalentRecord {
    /// Its name.
    pub mutant: String,
    /// The requirement that it would break.
    pub requirement: String,
    /// What it changes.
    pub breaks: String,
    /// The proof from the code that nobody can tell it from the original.
    pub proof: String,
}

/// The mutants of a checkout that are proven equivalent.
#[must_use]
pub fn equivalents(catalogue: &Catalogue) -> Vec<EquivalentRecord> {
    let mutants = catalogue.equivalents.iter();
    let proven = mutants.filter_map(|mutant| Some((mutant, mutant.equivalent.as_deref()?)));
    proven
        .map(|(mutant, proof)| EquivalentRecord {
            mutant: mutant.name.clone(),
            requirement: mutant.requirement.clone(),
            breaks: mutant.breaks.clone(),
            proof: proof.trim().to_owned(),
        })
        .collect()
}

/// Decides about a mutant, from the run without it and the run with it, each judged by the same
/// specs.
#[must_use]
pub fn fate_of(mutant: &Mutant, base: &[RunRecord], mutated: &[RunRecord]) -> MutantRecord {
    let check = |runs: &[RunRecord]| {
        let own = runs.iter().find(|run| run.spec == mutant.spec);
        // What cannot be judged at all may be known by another spec's name.
        let run = own.or_else(|| runs.iter().find(|run| run.broken.is_some()))?;
        if let Some(broken) = &run.broken {
            return Some((Verdict::Broken, broken.reason.clone()));
        }
        let check = run
            .checks
            .iter()
            .find(|check| check.check == mutant.check)?;
        Some((check.verdict, check.account.clone()))
    };
    let changed = changed(base, mutated);
    let unexcused: Vec<String> = changed
        .iter()
        .filter(|(_, _, verdict)| *verdict == Verdict::Fail)
        .filter(|(spec, check, _)| !is_excused(mutant, spec, check))
        .map(|(spec, check, _)| format!("{check} of {spec}"))
        .collect();
    let (fate, account) = decide(mutant, check(base), check(mutated), &unexcused);
    MutantRecord {
        mutant: mutant.name.clone(),
        requirement: mutant.requirement.clone(),
        spec: mutant.spec.clone(),
        repairs: mutant.repairs.clone(),
        pair: mutated
            .first()
            .map(|run| run.pair.clone())
            .unwrap_or_default(),
        check: mutant.check.clone(),
        fate,
        account,
        changed: changed
            .into_iter()
            .map(|(spec, check, verdict)| (format!("{spec} {check}"), verdict))
            .collect(),
    }
}

/// The checks that say something else with the mutant than without it.
fn changed<'a>(base: &[RunRecord], mutated: &'a [RunRecord]) -> Vec<(&'a str, &'a str, Verdict)> {
    let of_run = |run: &'a RunRecord| {
        let before = base.iter().find(|one| one.spec == run.spec);
        run.checks.iter().filter_map(move |check| {
            let before = before?.checks.iter().find(|one| one.check == check.check)?;
            let differs = before.verdict != check.verdict;
            differs.then_some((run.spec.as_str(), check.check.as_str(), check.verdict))
        })
    };
    mutated.iter().flat_map(of_run).collect()
}

/// Whether a check may fail with the mutant: it is the one that must, or the file gives a reason.
fn is_excused(mutant: &Mutant, spec: &str, check: &str) -> bool {
    let own = spec == mutant.spec && check == mutant.check;
    let stranger = mutant.strangers.contains(spec);
    own || stranger
        || mutant
            .also
            .iter()
            .any(|also| also.check == check && also.spec.as_deref().unwrap_or(&mutant.spec) == spec)
}

fn decide(
    mutant: &Mutant,
    base: Option<(Verdict, String)>,
    mutated: Option<(Verdict, String)>,
    unexcused: &[String],
) -> (Fate, String) {
    let named = &mutant.check;
    match (base, mutated) {
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
        (Some((Verdict::NotApplicable, account)), _) => (
            Fate::NotApplicable,
            format!("{named} cannot be asked without it: {account}"),
        ),
        (Some((Verdict::Pass, _)), Some((Verdict::Broken, account))) => (
            Fate::Undecided,
            format!("the run with it is broken: {account}"),
        ),
        (Some((Verdict::Pass, _)), Some((verdict, account))) => (
            Fate::Survived,
            format!("{named} says {verdict} with it: {account}"),
        ),
        (Some((Verdict::Pass, _)), None) => {
            (Fate::Undecided, format!("{named} was not asked with it"))
        }
        (Some((verdict, account)), _) => (
            Fate::Survived,
            format!("{named} says {verdict} without it already: {account}"),
        ),
        (None, _) => (Fate::Undecided, format!("{named} was not asked without it")),
    }
}

/// Whether a call names `all` mutants.
#[must_use]
pub fn names_all(names: &[String]) -> bool {
    names.iter().any(|name| name == "all")
}

/// The mutants that a call names, `all` for all of them but those proven equivalent; each on every
/// spec that must find it. With a user's own folder, and no spec named, all are those of that folder.
///
/// # Errors
/// A name that no mutant has, or one that is proven equivalent.
pub fn select_mutants<'a>(
    catalogue: &'a Catalogue,
    names: &[String],
    specs: &[String],
) -> Result<Vec<&'a Mutant>, SpecError> {
    if names_all(names) {
        let mutants = catalogue.mutants.iter();
        return Ok(match &catalogue.own {
            Some(own) if specs.is_empty() => mutants
                .filter(|mutant| own.mutants.contains(&mutant.name))
                .collect(),
            Some(_) | None => mutants.collect(),
        });
    }
    let names = each_once(names);
    let named = names.iter().map(|name| catalogue.mutant(name));
    let named = named.collect::<Result<Vec<_>, _>>()?;
    Ok(named.into_iter().flatten().collect())
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::evidence::Profile;
    use crate::verdict::CheckResult;

    fn run(checks: &[(&str, Verdict)]) -> RunRecord {
        RunRecord {
            spec: "a/b".into(),
            title: String::new(),
            pair: "chrome+chrome".into(),
            target: "mug@0".into(),
            mutant: None,
            repairs: Vec::new(),
            repetition: 1,
            verdict: Verdict::of_all(checks.iter().map(|(_, verdict)| *verdict)),
            expected: Verdict::Pass,
            checks: checks
                .iter()
                .map(|(check, verdict)| CheckResult {
                    check: (*check).into(),
                    requirement: "P2P-01".into(),
                    verdict: *verdict,
                    expected: Verdict::Pass,
                    known: None,
                    account: String::new(),
                    stimuli: Vec::new(),
                    oracles: Vec::new(),
                    counts: None,
                })
                .collect(),
            attempts: 1,
            broken_attempts: Vec::new(),
            broken: None,
            missed: None,
            last_words: Vec::new(),
            grid: None,
            specs: None,
            folder: PathBuf::new(),
            started_at: None,
            seconds: 0.0,
            profile: Profile::default(),
        }
    }

    #[test]
    fn a_mutant_is_killed_only_by_its_own_check_on_a_green_base() {
        use Verdict::{Broken, Fail, NotApplicable, Pass, Vacuous};
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
            (
                [("own", NotApplicable), ("other", Pass), ("excused", Pass)],
                [("own", NotApplicable), ("other", Pass), ("excused", Pass)],
                Fate::NotApplicable,
            ),
            (
                green,
                [("own", NotApplicable), ("other", Pass), ("excused", Pass)],
                Fate::Survived,
            ),
        ];
        for (base, mutated, fate) in cases {
            let decided = fate_of(&mutant, &[run(&base)], &[run(&mutated)]);
            assert_eq!(
                decided.fate, fate,
                "{base:?} {mutated:?}: {}",
                decided.account
            );
        }
    }
}

//! `results.json`.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::defects::Defect;
use super::repeated::Repeated;
use crate::run::sweep::SweepRecord;
use crate::run::{
    Change, Difference, Effort, EquivalentRecord, Fate, MissingShard, MutantRecord, RunRecord,
    ShardRecord, compare,
};
use crate::spec::Catalogue;
use crate::target::TargetFacts;
use crate::verdict::Verdict;

/// The version of the format of `results.json`.
pub(super) const VERSION: u32 = 1;

/// All that one call found.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Results {
    /// The version of this format.
    #[schemars(extend("const" = VERSION))]
    pub version: u32,
    /// The version of gymcheck.
    pub gymcheck: String,
    /// Whether the call had not carried out all of its runs when this was written: it was going on, or was
    /// broken off.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unfinished: bool,
    /// Which part of a call this is, if the call was parted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<ShardRecord>,
    /// The shards of a call that were not there, or lacked runs, when all were put together.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing_shards: Vec<MissingShard>,
    /// What was tested: the target, and the one of `--against`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<TargetFacts>,
    /// The requirements that the checks are tied to: what must hold, by id.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub requirements: BTreeMap<String, String>,
    /// Where the second target differs from the first, the worst first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub differences: Vec<Difference>,
    /// The known defects of the targets that were seen.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub defects: Vec<Defect>,
    /// Each run.
    pub runs: Vec<RunRecord>,
    /// What was carried out several times: how steady the verdicts are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub repeated: Vec<Repeated>,
    /// What the runs took of the machine. Of a sweep that was continued, those of the last call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effort: Option<Effort>,
    /// What a sweep found, if the call was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sweep: Option<SweepRecord>,
    /// Each mutant that was tried.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mutants: Vec<MutantRecord>,
    /// Where all mutants were tried: those that were not, since they are proven equivalent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub equivalents: Vec<EquivalentRecord>,
}

/// How a call of gymcheck ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitStatus {
    /// 0: every verdict is as expected.
    AsExpected,
    /// 1: an unexpected verdict of the target, or a mutant that survived.
    Unexpected,
    /// 2: a mistake in the call, a spec, a target or an experiment.
    Mistake,
    /// 3: a run could not be carried out.
    Broken,
}

impl ExitStatus {
    /// The number that the system gets.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            ExitStatus::AsExpected => 0,
            ExitStatus::Unexpected => 1,
            ExitStatus::Mistake => 2,
            ExitStatus::Broken => 3,
        }
    }
}

impl Results {
    /// Nothing yet about these targets.
    #[must_use]
    pub fn new(targets: Vec<TargetFacts>) -> Results {
        Results {
            version: VERSION,
            gymcheck: env!("CARGO_PKG_VERSION").to_owned(),
            unfinished: false,
            shard: None,
            missing_shards: Vec::new(),
            targets,
            requirements: BTreeMap::new(),
            differences: Vec::new(),
            defects: Vec::new(),
            runs: Vec::new(),
            repeated: Vec::new(),
            effort: None,
            sweep: None,
            mutants: Vec::new(),
            equivalents: Vec::new(),
        }
    }

    /// Notes what the requirements are that the runs' checks are tied to.
    pub fn explain(&mut self, catalogue: &Catalogue) {
        let checks = self.runs.iter().flat_map(|run| &run.checks);
        let ids: BTreeSet<&String> = checks.map(|check| &check.requirement).collect();
        let known = ids.into_iter().filter_map(|id| {
            let requirement = catalogue.requirements.get(id)?;
            Some((id.clone(), requirement.holds.clone()))
        });
        self.requirements = known.collect();
    }

    /// Notes where a run on the second target differs from those on the first, by the specs that have judged both;
    /// the worst on top of all.
    pub fn compare<'a>(
        &mut self,
        first: impl IntoIterator<Item = &'a RunRecord>,
        second: &[RunRecord],
    ) {
        let first: Vec<&RunRecord> = first.into_iter().collect();
        for second in second {
            if let Some(first) = first.iter().find(|first| first.spec == second.spec) {
                self.differences.extend(compare(first, second));
            }
        }
        self.differences.sort_by_key(|one| one.change);
    }

    /// Whether a run is one of the target that another one is compared with: what fails on it is no
    /// surprise.
    #[must_use]
    pub fn is_measure(&self, run: &RunRecord) -> bool {
        self.is_name_of_measure(&run.target)
    }

    fn is_name_of_measure(&self, target: &str) -> bool {
        match self.targets.as_slice() {
            [first, second] => first.name != second.name && first.name == target,
            _ => false,
        }
    }

    /// What was carried out several times, is judged for itself, and did not always decide the same.
    pub fn unstable(&self) -> impl Iterator<Item = &Repeated> {
        let counts =
            |one: &&Repeated| one.mutant.is_none() && !self.is_name_of_measure(&one.target);
        let all = self.repeated.iter().filter(counts);
        all.filter(|one| one.unstable().next().is_some())
    }

    /// How many mutants have this fate.
    pub fn mutants_that_are(&self, fate: Fate) -> usize {
        let mutants = self.mutants.iter();
        mutants.filter(|one| one.fate == fate).count()
    }

    /// How the call ends. What is known about the target weighs more than what is not known: with
    /// both an unexpected verdict and a broken run, the status is 1.
    ///
    /// Where two targets are compared, the first is the measure: what fails on it is no surprise,
    /// but nothing may be worse on the second, and all must be as expected there.
    #[must_use]
    pub fn exit_status(&self) -> ExitStatus {
        let mut broken = self.runs.is_empty() || self.unfinished || !self.missing_shards.is_empty();
        let mut unexpected = self
            .differences
            .iter()
            .any(|difference| difference.change == Change::Worse);
        // Nobody expects of a target that it is now this and now that.
        unexpected |= self.unstable().next().is_some();
        for run in self.runs.iter().filter(|run| run.mutant.is_none()) {
            match run.verdict {
                Verdict::Broken => broken = true,
                Verdict::Pass
                | Verdict::Fail
                | Verdict::Vacuous
                | Verdict::NotApplicable
                | Verdict::Unstable => {
                    unexpected |= run.is_unexpected() && !self.is_measure(run);
                }
            }
        }
        for mutant in &self.mutants {
            match mutant.fate {
                // Whether that is as expected says the run without it.
                Fate::Killed | Fate::NotApplicable => {}
                Fate::Survived => unexpected = true,
                Fate::Undecided => broken = true,
            }
        }
        if unexpected {
            ExitStatus::Unexpected
        } else if broken {
            ExitStatus::Broken
        } else {
            ExitStatus::AsExpected
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::samples::facts;

    fn run(target: &str, verdict: Verdict) -> RunRecord {
        serde_json::from_value(serde_json::json!({
            "spec": "a/b", "pair": "chrome+chrome", "target": target, "verdict": verdict,
            "expected": "pass", "checks": [], "attempts": 1, "folder": "", "seconds": 1.0,
        }))
        .unwrap()
    }

    fn compared(first: Verdict, second: Verdict, change: Option<Change>) -> ExitStatus {
        let mut results = Results::new(vec![facts("mug@1"), facts("mug@2")]);
        results.runs = vec![run("mug@1", first), run("mug@2", second)];
        results.differences = change
            .map(|change| Difference {
                change,
                requirement: "P2P-01".to_owned(),
                check: "a".to_owned(),
                spec: "a/b".to_owned(),
                pair: "chrome+chrome".to_owned(),
                repetition: 1,
                target: first,
                against: second,
                account: String::new(),
            })
            .into_iter()
            .collect();
        results.exit_status()
    }

    #[test]
    fn the_first_of_two_targets_is_the_measure() {
        use Verdict::{Broken, Fail, Pass};
        let better = compared(Fail, Pass, Some(Change::Better));
        assert_eq!(better, ExitStatus::AsExpected);
        let worse = compared(Pass, Fail, Some(Change::Worse));
        assert_eq!(worse, ExitStatus::Unexpected);
        assert_eq!(compared(Fail, Fail, None), ExitStatus::Unexpected);
        let unknown = compared(Broken, Pass, Some(Change::Undecided));
        assert_eq!(unknown, ExitStatus::Broken);
    }

    #[test]
    fn not_applicable_is_no_pass_and_expected_only_where_it_is_known() {
        let with_check = |expected: Verdict| {
            let mut run = run("mug@1", Verdict::Pass);
            let check = serde_json::json!({
                "check": "a", "requirement": "COORD-01", "verdict": "not-applicable",
                "expected": expected, "account": "it tells nobody", "oracles": [],
                "stimuli": [
                    { "what": "news", "seen": false, "evidence": [], "not_given": "it tells nobody" }
                ],
            });
            run.checks = vec![serde_json::from_value(check).unwrap()];
            let mut results = Results::new(vec![facts("mug@1")]);
            results.runs = vec![run];
            results.exit_status()
        };
        assert_eq!(with_check(Verdict::Pass), ExitStatus::Unexpected);
        assert_eq!(with_check(Verdict::Fail), ExitStatus::Unexpected);
        assert_eq!(with_check(Verdict::NotApplicable), ExitStatus::AsExpected);
    }

    #[test]
    fn what_fails_on_one_target_is_unexpected() {
        let mut results = Results::new(vec![facts("mug@1")]);
        assert_eq!(results.exit_status(), ExitStatus::Broken);
        results.runs = vec![run("mug@1", Verdict::Pass)];
        assert_eq!(results.exit_status(), ExitStatus::AsExpected);
        results.runs.push(run("mug@1", Verdict::Broken));
        assert_eq!(results.exit_status(), ExitStatus::Broken);
        results.runs.push(run("mug@1", Verdict::Fail));
        assert_eq!(results.exit_status(), ExitStatus::Unexpected);
        // A call that was broken off has found what it has found.
        results.unfinished = true;
        assert_eq!(results.exit_status(), ExitStatus::Unexpected);
        results.runs.truncate(1);
        assert_eq!(results.exit_status(), ExitStatus::Broken);
    }
}

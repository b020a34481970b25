//! The known defects of a target: what failed as expected, and how to see it again.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::run::RunRecord;
use crate::target::TargetFacts;
use crate::verdict::{CheckResult, Verdict};

/// A known defect that was seen: all that a maintainer needs to reproduce it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Defect {
    /// The target.
    pub target: String,
    /// The requirement that it breaks.
    pub requirement: String,
    /// The spec that shows it.
    pub spec: String,
    /// The check of that spec that fails.
    pub check: String,
    /// The browsers, survivor first.
    pub pair: String,
    /// Why it fails, as the target's expectations say.
    pub reason: String,
    /// What was seen of it, the last time.
    pub account: String,
    /// In how many of its runs it was seen.
    pub seen: usize,
    /// How many runs of it were decided.
    pub runs: usize,
    /// The command that shows it again.
    pub again: String,
    /// The folder of the last run in which it was seen, below `--out`.
    pub folder: PathBuf,
}

/// The known defects that these runs show, in the order of the runs. Mutants are none of the
/// target's.
#[must_use]
pub fn defects(runs: &[RunRecord], targets: &[TargetFacts]) -> Vec<Defect> {
    let mut defects: Vec<Defect> = Vec::new();
    for run in runs.iter().filter(|run| run.mutant.is_none()) {
        for check in run.checks.iter().filter(|check| is_known(check)) {
            let new = defect(run, check, targets);
            match defects
                .iter_mut()
                .find(|known| known.again == new.again && known.check == new.check)
            {
                Some(known) => {
                    *known = Defect {
                        seen: known.seen + 1,
                        ..new
                    }
                }
                None => defects.push(new),
            }
        }
    }
    for defect in &mut defects {
        let same = |run: &&RunRecord| run.again(targets) == defect.again && run.mutant.is_none();
        let decided = |run: &&RunRecord| run.verdict != Verdict::Broken;
        defect.runs = runs.iter().filter(same).filter(decided).count();
    }
    defects
}

fn is_known(check: &CheckResult) -> bool {
    check.verdict == Verdict::Fail && check.expected == Verdict::Fail
}

fn defect(run: &RunRecord, check: &CheckResult, targets: &[TargetFacts]) -> Defect {
    Defect {
        target: run.target.clone(),
        requirement: check.requirement.clone(),
        spec: run.spec.clone(),
        check: check.check.clone(),
        pair: run.pair.clone(),
        reason: check.known.clone().unwrap_or_default(),
        account: check.account.clone(),
        seen: 1,
        runs: 0,
        again: run.again(targets),
        folder: run.folder.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(verdict: Verdict, expected: Verdict, mutant: Option<&str>) -> RunRecord {
        serde_json::from_value(serde_json::json!({
            "spec": "a/b", "pair": "chrome+chrome", "target": "mug@1", "verdict": verdict,
            "expected": expected, "attempts": 1, "folder": "f", "seconds": 1.0, "mutant": mutant,
            "repairs": ["r"],
            "checks": [{
                "check": "c", "requirement": "P2P-01", "verdict": verdict, "expected": expected,
                "known": "because", "account": "seen", "stimuli": [], "oracles": [],
            }],
        }))
        .unwrap()
    }

    #[test]
    fn what_fails_as_expected_is_a_defect_told_once_with_how_often_it_was_seen() {
        use Verdict::{Broken, Fail, Pass};
        let runs = [
            run(Fail, Fail, None),
            run(Fail, Fail, None),
            run(Pass, Fail, None),
            run(Broken, Fail, None),
            run(Fail, Fail, Some("mutant")),
        ];
        let found = defects(&runs, &[]);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].seen, found[0].runs), (2, 3));
        assert_eq!(
            found[0].again,
            "gymcheck run a/b --target mug@1 --pairs chrome+chrome --repair r"
        );
    }

    #[test]
    fn what_nobody_expects_is_no_known_defect() {
        assert_eq!(defects(&[run(Verdict::Fail, Verdict::Pass, None)], &[]), []);
    }
}

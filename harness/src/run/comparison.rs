//! Two targets side by side: what got worse, what got better.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::RunRecord;
use crate::verdict::Verdict;

/// How the second target differs from the first in one check.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// It passed on the first and no longer does.
    Worse,
    /// One of the two runs is broken: nothing is known.
    Undecided,
    /// It passes, and did not on the first.
    Better,
    /// It passes on neither, but says something else; or one of the two cannot be asked.
    Other,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Change::Worse => "worse",
            Change::Undecided => "undecided",
            Change::Better => "better",
            Change::Other => "other",
        })
    }
}

/// One check that says different things of two targets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Difference {
    /// How it differs.
    pub change: Change,
    /// The requirement.
    pub requirement: String,
    /// The check.
    pub check: String,
    /// The spec.
    pub spec: String,
    /// The browsers.
    pub pair: String,
    /// Which time, from 1.
    pub repetition: u32,
    /// What it says of the first target.
    pub target: Verdict,
    /// What it says of the second.
    pub against: Verdict,
    /// Why the one of the two that does not pass does not.
    pub account: String,
}

/// The checks that say different things of two targets: a run of the first, and the same one of the
/// second.
#[must_use]
pub fn compare(first: &RunRecord, second: &RunRecord) -> Vec<Difference> {
    let checks = first.checks.iter().zip(&second.checks);
    let differences = checks.filter_map(|(before, now)| {
        let silent = if now.verdict.is_pass() { before } else { now };
        Some(Difference {
            change: change(before.verdict, now.verdict)?,
            requirement: now.requirement.clone(),
            check: now.check.clone(),
            spec: second.spec.clone(),
            pair: second.pair.clone(),
            repetition: second.repetition,
            target: before.verdict,
            against: now.verdict,
            account: silent.account.clone(),
        })
    });
    differences.collect()
}

fn change(before: Verdict, now: Verdict) -> Option<Change> {
    if before == now {
        return None;
    }
    Some(match (before, now) {
        (Verdict::Broken, _) | (_, Verdict::Broken) => Change::Undecided,
        (Verdict::NotApplicable, _) | (_, Verdict::NotApplicable) => Change::Other,
        (Verdict::Pass, _) => Change::Worse,
        (_, Verdict::Pass) => Change::Better,
        _ => Change::Other,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_passing_is_better() {
        use Verdict::{Broken, Fail, NotApplicable, Pass, Vacuous};
        assert_eq!(change(Pass, Pass), None);
        assert_eq!(change(Fail, Fail), None);
        assert_eq!(change(Pass, Fail), Some(Change::Worse));
        assert_eq!(change(Pass, Vacuous), Some(Change::Worse));
        assert_eq!(change(Fail, Pass), Some(Change::Better));
        assert_eq!(change(Vacuous, Pass), Some(Change::Better));
        assert_eq!(change(Fail, Vacuous), Some(Change::Other));
        assert_eq!(change(NotApplicable, Pass), Some(Change::Other));
        assert_eq!(change(Pass, NotApplicable), Some(Change::Other));
        assert_eq!(change(Broken, Pass), Some(Change::Undecided));
        assert_eq!(change(Pass, Broken), Some(Change::Undecided));
    }
}

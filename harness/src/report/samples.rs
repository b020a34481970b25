//! For tests: targets, and runs with one check.

use serde_json::json;

use crate::run::RunRecord;
use crate::target::{Release, TargetFacts};
use crate::verdict::Verdict;

/// Each verdict.
pub(super) const ALL: [Verdict; 6] = [
    Verdict::Pass,
    Verdict::Fail,
    Verdict::Vacuous,
    Verdict::Broken,
    Verdict::NotApplicable,
    Verdict::Unstable,
];

/// What is said of a release.
pub(super) fn facts(name: &str) -> TargetFacts {
    let release: Release = name.parse().expect("a release");
    TargetFacts::from(&release)
}

/// A run of a target whose only check says this. What it saw holds what XML and terminals take for
/// something else.
pub(super) fn run_on(target: &str, verdict: Verdict, expected: Verdict) -> RunRecord {
    serde_json::from_value(json!({
        "spec": "a/b", "pair": "chrome+chrome", "target": target, "verdict": verdict,
        "expected": expected, "attempts": 1, "folder": format!("runs/{target}"),
        "seconds": 1.0, "started_at": "2026-01-02T03:04:05.678Z",
        "checks": [{
            "check": "c", "requirement": "P2P-01", "verdict": verdict, "expected": expected,
            "account": "seen <&> \u{1b}[31m \u{0} \u{ffff} ]]>", "known": "because",
            "stimuli": [{"what": "w", "seen": true, "evidence": [1]}],
            "oracles": [{"oracle": "o", "says": "violated", "account": "a", "evidence": []}],
        }],
    }))
    .expect("a run")
}

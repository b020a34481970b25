//! What the rules of a spec did: a check is worth nothing if the disturbance that its spec is about
//! never was.

use super::{Stimulus, Verdict};
use crate::evidence::{Fact, Log};
use crate::spec::Spec;

/// What each rule of a spec has done, as something that had to happen.
pub(super) fn firings(spec: &Spec, log: &Log) -> Vec<Firing> {
    let rules = spec.body.steps.iter().filter_map(|step| step.rule());
    let firings = rules.map(|rule| {
        let fired = log.events().iter().filter(|event| {
            matches!(&event.fact, Fact::Rule(fact)
                if fact.rule == rule.as_str() && fact.effect.is_firing())
        });
        Firing {
            rule: rule.to_string(),
            evidence: fired.map(|event| event.seq).collect(),
        }
    });
    firings.collect()
}

/// What one rule has done.
pub(super) struct Firing {
    rule: String,
    /// Each time that it did what it is there for.
    evidence: Vec<u64>,
}

impl From<Firing> for Stimulus {
    fn from(firing: Firing) -> Stimulus {
        Stimulus::new(format!("the rule `{}` fired", firing.rule), firing.evidence)
    }
}

/// A pass that a rule should have put to the test, and did not, is none. What was seen to be wrong
/// stays wrong.
pub(super) fn weigh(
    (verdict, account): (Verdict, String),
    firings: &[Firing],
) -> (Verdict, String) {
    let unfired = firings.iter().filter(|firing| firing.evidence.is_empty());
    let never: Vec<String> = unfired
        .map(|firing| format!("the rule `{}` never fired", firing.rule))
        .collect();
    if never.is_empty() {
        return (verdict, account);
    }
    let never = never.join("; ");
    match verdict {
        Verdict::Pass => (Verdict::Vacuous, never),
        Verdict::Vacuous => (Verdict::Vacuous, format!("{account}; {never}")),
        Verdict::Fail | Verdict::Broken | Verdict::NotApplicable | Verdict::Unstable => {
            (verdict, account)
        }
    }
}

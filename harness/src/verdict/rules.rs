//! What the rules of a spec did: a check is worth nothing if the disturbance that its spec is about
//! never was.

use super::Verdict;
use crate::evidence::{Fact, Log};
use crate::spec::Spec;

/// The rules of a spec that never did what they are there for.
pub(super) fn unfired<'a>(spec: &'a Spec, log: &Log) -> Vec<&'a str> {
    let fired = |name: &str| {
        log.events().iter().any(|event| {
            matches!(&event.fact, Fact::Rule(rule)
                if rule.rule == name && rule.effect.is_firing())
        })
    };
    let rules = spec.body.steps.iter().filter_map(|step| step.rule());
    let names = rules.map(|rule| rule.as_str());
    names.filter(|name| !fired(name)).collect()
}

/// A pass that a rule should have put to the test, and did not, is none. What was seen to be wrong
/// stays wrong.
pub(super) fn weigh((verdict, account): (Verdict, String), unfired: &[&str]) -> (Verdict, String) {
    if unfired.is_empty() {
        return (verdict, account);
    }
    let never: Vec<String> = unfired
        .iter()
        .map(|name| format!("the rule `{name}` never fired"))
        .collect();
    let never = never.join("; ");
    match verdict {
        Verdict::Pass => (Verdict::Vacuous, never),
        Verdict::Vacuous => (Verdict::Vacuous, format!("{account}; {never}")),
        Verdict::Fail | Verdict::Broken | Verdict::NotApplicable | Verdict::Unstable => {
            (verdict, account)
        }
    }
}

//! What the rules of a spec did: a check is worth nothing if the disturbance that its spec is about
//! never was.

use super::departure::departure;
use super::{Stimulus, Verdict};
use crate::evidence::{Fact, Log, StepPhase};
use crate::spec::{HoldRule, Spec, Step};

/// What each rule of a spec has done, as something that had to happen. Where the experiment had not what a
/// step needs, the rules from there on were never set: what came before owes them nothing.
pub(super) fn firings(spec: &Spec, log: &Log) -> Vec<Firing> {
    let end = log.not_offered().map(|(_, step)| step.index);
    let taken = end.unwrap_or(spec.body.steps.len());
    let steps = spec.body.steps.iter().enumerate().take(taken);
    let firings = steps.filter_map(|(index, step)| {
        let rule = step.rule()?;
        let fired = log.events().iter().filter(|event| {
            matches!(&event.fact, Fact::Rule(fact)
                if fact.rule == rule.as_str() && fact.effect.is_firing())
        });
        let unneeded = match step {
            Step::Hold(hold) => left_before(hold, index, log),
            _ => None,
        };
        Some(Firing {
            rule: rule.to_string(),
            evidence: fired.map(|event| event.seq).chain(unneeded).collect(),
        })
    });
    firings.collect()
}

/// The departure of the player whose event a rule keeps, if the player left before its page came to send
/// it: it never reached the target, for good or too early, which is what the rule is there for.
fn left_before(hold: &HoldRule, index: usize, log: &Log) -> Option<u64> {
    let player = hold.player.as_str();
    let set = log.events().iter().find(|event| {
        matches!(&event.fact, Fact::Step(step)
            if step.index == index && step.phase == StepPhase::Done)
    })?;
    let left = departure(log, player)?.began;
    let came = log
        .socket_events(player, hold.direction, hold.event.as_str())
        .any(|(event, _, _)| event.seq > set.seq);
    (!came && set.seq < left.seq).then_some(left.seq)
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

//! Whether the evidence was played by the steps of the spec that judges it: what other steps left says
//! nothing about these.

use serde_json::Value;

use crate::evidence::{BrokenFact, Fact, Log, StepFact, StepPhase};
use crate::spec::{Experiment, Spec};
use crate::target::settings_of;

/// What makes the evidence that of other steps than the spec's, or of an experiment with other settings, if
/// anything does: the first that differs.
pub(super) fn by_other_steps(spec: &Spec, log: &Log) -> Option<BrokenFact> {
    let differs = other_setting(spec, log).or_else(|| other_step(spec, log))?;
    Some(BrokenFact {
        component: "evidence".to_owned(),
        reason: format!("this evidence was played by other steps: {differs}"),
        last_lines: Vec::new(),
        worth_a_retry: false,
    })
}

/// Where another experiment was served, its settings are its own. One that is not written down was as it is
/// where nobody says it.
fn other_setting(spec: &Spec, log: &Log) -> Option<String> {
    let run = log.run().filter(|run| run.served.is_none())?;
    let unsaid = settings_of(&Experiment::default());
    let asked = settings_of(&spec.body.experiment);
    let settings = asked.as_object().into_iter().flatten();
    let mut differing = settings.filter_map(|(name, asked)| {
        let was: &Value = run.experiment.get(name).unwrap_or(&unsaid[name]);
        (was != asked).then(|| {
            format!("the experiment's setting `{name}` was {was}, and the spec says {asked}")
        })
    });
    differing.next()
}

/// Of a run that ended early the steps are compared that it came to.
fn other_step(spec: &Spec, log: &Log) -> Option<String> {
    let steps = &spec.body.steps;
    let taken = log.events().iter().filter_map(|event| match &event.fact {
        Fact::Step(step) if step.phase != StepPhase::Done => Some(step),
        _ => None,
    });
    let other = taken.clone().find_map(|step: &StepFact| {
        let (number, was) = (step.index + 1, &step.step);
        match steps.get(step.index).map(ToString::to_string) {
            Some(asked) if asked == *was => None,
            Some(asked) => Some(format!(
                "step {number} was `{was}`, and the spec says `{asked}`"
            )),
            None => Some(format!(
                "step {number} was `{was}`, and the spec has none there"
            )),
        }
    });
    if other.is_some() || log.missed().or(log.not_offered()).is_some() {
        return other;
    }
    let played = taken.count();
    steps.get(played).map(|asked| {
        let number = played + 1;
        format!("step {number} was not played, and the spec says `{asked}`")
    })
}

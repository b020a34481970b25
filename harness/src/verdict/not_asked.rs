//! Whether a check proved nothing because this experiment, or this target, could not be asked.

use super::{Findings, Says};
use crate::evidence::Log;
use crate::spec::{CheckSpec, Question, Spec, Step};

/// Why a check that proved nothing could not be asked, if it could not: what it needs comes from the step
/// on for which the experiment has not what that needs, or its oracles from what the target does not give.
pub(super) fn why(
    check: &CheckSpec,
    spec: &Spec,
    log: &Log,
    findings: &Findings,
) -> Option<String> {
    not_offered(check, spec, log).or_else(|| lacking(log, findings))
}

fn not_offered(check: &CheckSpec, spec: &Spec, log: &Log) -> Option<String> {
    let (_, step) = log.not_offered()?;
    let rest = spec.body.steps.get(step.index..).unwrap_or_default();
    let played = spec.body.steps.iter().take(step.index);
    let never_played = !played.clone().any(|step| matches!(step, Step::Play(_)));
    let later = |moment: &str| {
        rest.iter().any(|step| step.observes(moment)) || log.snapshot("survivor", moment).is_none()
    };
    let games = log.games("survivor").len();
    let affected = never_played
        || check.ask.moments().into_iter().any(later)
        || check.ask.game().is_some_and(|game| game.index() >= games)
        || match &check.ask {
            Question::FormAnswered(_) => rest.iter().any(|step| matches!(step, Step::Answer(_))),
            // About the whole of a run.
            Question::NoErrors(_) => true,
            _ => false,
        };
    affected.then(|| step.detail.clone().unwrap_or_default())
}

fn lacking(log: &Log, findings: &Findings) -> Option<String> {
    let lacks = &log.run()?.lacks;
    let all_seen = findings.stimuli.iter().all(|stimulus| stimulus.seen);
    let mut absent = findings
        .oracles
        .iter()
        .filter(|one| one.says == Says::Absent);
    let for_that = absent.find(|one| lacks.values().any(|why| *why == one.account))?;
    all_seen.then(|| {
        format!(
            "too few oracles are left without the {}: {}",
            for_that.oracle, for_that.account
        )
    })
}

//! What is known of a target: the verdicts that are expected of it and are not `pass`.

use super::{CheckResult, Judgement, Verdict, as_found, pace, undecided};
use crate::evidence::{Event, Fact, Log, RunFacts, StepPhase};
use crate::spec::{Expectation, KnownVerdict, Question, Spec};

impl From<KnownVerdict> for Verdict {
    fn from(known: KnownVerdict) -> Verdict {
        match known {
            KnownVerdict::Fail => Verdict::Fail,
            KnownVerdict::Vacuous => Verdict::Vacuous,
            KnownVerdict::NotApplicable => Verdict::NotApplicable,
        }
    }
}

/// Notes in a judgement of a log what is expected of each check, for its target's expectations; of an
/// experiment that is not the spec's own, nothing that it has not. A
/// failure that is not among them, and that a machine too busy to play could have brought about,
/// decides nothing.
pub fn expect(judgement: &mut Judgement, spec: &Spec, log: &Log, expectations: &[Expectation]) {
    let Some(run) = log.run() else { return };
    let Ok(pair) = run.pair.parse() else { return };
    let repairs: Vec<&str> = run.repairs.iter().map(String::as_str).collect();
    let spec = &*as_found(spec, log);
    for check in &mut judgement.checks {
        // What an experiment that is not the spec's own has not, nobody expects of it; nor of the browsers of a
        // grid what takes their own machine.
        let is_lacking = run.served.is_some() || is_of_the_grid(check, run, log);
        if check.verdict == Verdict::NotApplicable && is_lacking {
            check.expected = Verdict::NotApplicable;
            check.known = Some(check.account.clone());
            continue;
        }
        let known = expectations
            .iter()
            .find(|one| one.is_of(&spec.name, &check.check, pair, &repairs));
        if let Some(known) = known {
            check.expected = known.verdict.into();
            check.known = Some(known.reason.clone());
        }
    }
    // A run that is broken already has a better reason than a busy machine.
    if judgement.broken.is_some() {
        return;
    }
    let asked = &spec.body.checks;
    let results = &judgement.checks;
    let is_any = |is_so: &dyn Fn(&CheckResult, &Question) -> bool| {
        let mut both = results.iter().zip(asked);
        both.any(|(result, check)| result.verdict != result.expected && is_so(result, &check.ask))
    };
    let lagged = is_any(&|result, ask| result.verdict == Verdict::Fail && pace::matters_to(ask));
    let differs = is_any(&|_, _| true);
    let differs_by_time = is_any(&|_, ask| pace::lateness_matters_to(ask));
    let busy = lagged.then(|| pace::too_slow(spec, log)).flatten();
    let busy = busy.or_else(|| differs.then(|| pace::counted_late(log)).flatten());
    let busy = busy.or_else(|| differs_by_time.then(|| pace::left_late(log)).flatten());
    if let Some(busy) = busy {
        judgement.verdict = Verdict::Broken;
        judgement.checks = undecided(asked, &busy);
        judgement.broken = Some(busy);
    }
}

/// Whether a check cannot be asked because the browsers are a grid's: a step takes their own machine, and nothing
/// was played; or the run says that what the check needs cannot be had of them.
fn is_of_the_grid(check: &CheckResult, run: &RunFacts, log: &Log) -> bool {
    if run.grid.is_none() {
        return false;
    }
    let is_begun =
        |event: &Event| matches!(&event.fact, Fact::Step(step) if step.phase == StepPhase::Begun);
    if log.not_offered().is_some() && !log.events().iter().any(is_begun) {
        return true;
    }
    let stimuli = check.stimuli.iter();
    let mut reasons: Vec<&str> = stimuli
        .filter_map(|stimulus| stimulus.not_given.as_deref())
        .collect();
    if reasons.is_empty() {
        reasons.push(&check.account);
    }
    let is_lacking = |reason: &&str| run.lacks.values().any(|why| reason.ends_with(why.as_str()));
    reasons.iter().all(is_lacking)
}

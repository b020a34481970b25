//! What is known of a target: the verdicts that are expected of it and are not `pass`.

use super::{CheckResult, Judgement, Verdict, as_found, pace, undecided};
use crate::evidence::Log;
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
        let lacks_some = run.served.is_some() || run.grid.is_some();
        if lacks_some && check.verdict == Verdict::NotApplicable {
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

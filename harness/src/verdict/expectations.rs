//! What is known of a target: the verdicts that are expected of it and are not `pass`.

use super::{Judgement, Verdict};
use crate::spec::{Expectation, KnownVerdict, Pair};

impl From<KnownVerdict> for Verdict {
    fn from(known: KnownVerdict) -> Verdict {
        match known {
            KnownVerdict::Fail => Verdict::Fail,
            KnownVerdict::Vacuous => Verdict::Vacuous,
            KnownVerdict::NotApplicable => Verdict::NotApplicable,
        }
    }
}

/// Notes in a judgement what is expected of each check, for this target's expectations.
pub fn expect(
    judgement: &mut Judgement,
    spec: &str,
    pair: Pair,
    repairs: &[&str],
    expectations: &[Expectation],
) {
    for check in &mut judgement.checks {
        let known = expectations
            .iter()
            .find(|one| one.is_of(spec, &check.check, pair, repairs));
        if let Some(known) = known {
            check.expected = known.verdict.into();
            check.known = Some(known.reason.clone());
        }
    }
}

//! How steady a verdict is over runs that are the same: how often another one came, and how often it
//! may come at most.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use statrs::distribution::{Beta, ContinuousCDF};

use super::Verdict;

/// How sure the bound of a rate is.
const CONFIDENCE: f64 = 0.95;

/// What runs that are the same say of one thing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Steadiness {
    /// The verdict of all runs that decided; `unstable` where they differ, `broken` where none decided.
    pub verdict: Verdict,
    /// How often each verdict came, the most frequent first, without `broken`.
    pub counts: Vec<Tally>,
    /// How many runs decided something.
    pub decided: u32,
    /// How many were broken: they decided nothing, and are counted nowhere else. Attempts that were
    /// broken and carried out again are among them.
    pub broken: u32,
    /// In how many of those that decided another verdict came than the most frequent one.
    pub minority: u32,
    /// The share of those; nothing where no run decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<f64>,
    /// Below which rate it lies with 95 % confidence (one-sided, exact: Clopper and Pearson); nothing
    /// where no run decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub below: Option<f64>,
}

/// How often a verdict came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Tally {
    /// The verdict.
    pub verdict: Verdict,
    /// In how many runs.
    pub times: u32,
}

impl Steadiness {
    /// Of these verdicts, and so many attempts besides that were broken and carried out again.
    #[must_use]
    pub fn of(verdicts: impl IntoIterator<Item = Verdict>, broken_attempts: u32) -> Steadiness {
        let mut counts: Vec<Tally> = Vec::new();
        let mut broken = broken_attempts;
        for verdict in verdicts {
            match verdict {
                Verdict::Broken => broken += 1,
                Verdict::Pass
                | Verdict::Fail
                | Verdict::Vacuous
                | Verdict::NotApplicable
                | Verdict::Unstable => count(&mut counts, verdict),
            }
        }
        // Of those that came equally often, the one that came first.
        counts.sort_by_key(|tally| std::cmp::Reverse(tally.times));
        let decided: u32 = counts.iter().map(|tally| tally.times).sum();
        let most = counts.first().map_or(0, |tally| tally.times);
        let minority = decided - most;
        let is_known = decided > 0;
        Steadiness {
            verdict: match counts.as_slice() {
                [] => Verdict::Broken,
                [only] => only.verdict,
                _ => Verdict::Unstable,
            },
            counts,
            decided,
            broken,
            minority,
            rate: is_known.then(|| f64::from(minority) / f64::from(decided)),
            below: is_known.then(|| upper_bound(minority, decided)),
        }
    }

    /// Whether the runs differ.
    #[must_use]
    pub fn is_unstable(&self) -> bool {
        match self.verdict {
            Verdict::Unstable => true,
            Verdict::Pass
            | Verdict::Fail
            | Verdict::Vacuous
            | Verdict::Broken
            | Verdict::NotApplicable => false,
        }
    }

    /// In words: what came how often, and what that says of the rate.
    #[must_use]
    pub fn account(&self) -> String {
        let broken = match self.broken {
            0 => String::new(),
            broken => format!("; {broken} broken besides, which decided nothing"),
        };
        let counts: Vec<String> = self
            .counts
            .iter()
            .map(|tally| format!("{} {}", tally.times, tally.verdict))
            .collect();
        match (self.rate, self.below) {
            (Some(rate), Some(below)) => format!(
                "{} of {}: another verdict in {} of runs, below {} with 95 % confidence{broken}",
                counts.join(", "),
                self.decided,
                percent(rate, f64::round),
                percent(below, f64::ceil)
            ),
            _ => format!("no run decided anything{broken}"),
        }
    }
}

fn count(counts: &mut Vec<Tally>, verdict: Verdict) {
    match counts.iter_mut().find(|tally| tally.verdict == verdict) {
        Some(tally) => tally.times += 1,
        None => counts.push(Tally { verdict, times: 1 }),
    }
}

/// A share in percent, in whole ones or, where it is small, in tenths. A bound is never rounded down.
pub(crate) fn percent(share: f64, round: fn(f64) -> f64) -> String {
    let percent = share * 100.0;
    match percent < 10.0 && percent > 0.0 {
        true => format!("{} %", round(percent * 10.0) / 10.0),
        false => format!("{} %", round(percent)),
    }
}

/// Below which rate something lies that was seen so many times out of so many, with 95 % confidence:
/// the one-sided bound of Clopper and Pearson.
#[must_use]
pub fn upper_bound(seen: u32, of: u32) -> f64 {
    if seen >= of {
        return 1.0;
    }
    let beta = Beta::new(f64::from(seen) + 1.0, f64::from(of - seen));
    // Both shapes are at least 1.
    let bound = beta
        .ok()
        .and_then(|beta| beta.try_inverse_cdf(CONFIDENCE).ok());
    bound.unwrap_or(1.0).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_of_what_was_never_seen_is_the_root_of_five_percent() {
        for of in [1_u32, 2, 5, 10, 30, 300, 10_000] {
            let exact = 1.0 - 0.05_f64.powf(1.0 / f64::from(of));
            let bound = upper_bound(0, of);
            assert!((bound - exact).abs() < 1e-9, "{of}: {bound} {exact}");
        }
        assert_eq!(percent(upper_bound(0, 10), f64::ceil), "26 %");
    }

    /// Up to the bound, to see so few or fewer is no less likely than 5 %: the sum of the binomial
    /// distribution says so without any quantile.
    #[test]
    fn at_the_bound_so_few_are_seen_in_one_of_twenty_series() {
        fn at_most(seen: u32, of: u32, rate: f64) -> f64 {
            let mut ways = 1.0;
            let mut sum = 0.0;
            for k in 0..=seen {
                let rest = i32::try_from(of - k).expect("few");
                sum += ways * rate.powi(k.cast_signed()) * (1.0 - rate).powi(rest);
                ways *= f64::from(of - k) / f64::from(k + 1);
            }
            sum
        }
        for (seen, of) in [
            (1, 2),
            (1, 10),
            (3, 10),
            (9, 10),
            (2, 30),
            (15, 30),
            (4, 99),
        ] {
            let sum = at_most(seen, of, upper_bound(seen, of));
            assert!((sum - 0.05).abs() < 1e-8, "{seen} of {of}: {sum}");
        }
        assert!((upper_bound(4, 4) - 1.0).abs() < f64::EPSILON);
        assert!((upper_bound(0, 0) - 1.0).abs() < f64::EPSILON);
    }

    #[test]
    fn differing_verdicts_are_unstable_and_broken_runs_are_counted_apart() {
        use Verdict::{Broken, Fail, NotApplicable, Pass, Unstable, Vacuous};
        let steady = Steadiness::of([Fail; 10], 0);
        assert_eq!((steady.verdict, steady.minority), (Fail, 0));
        assert_eq!(
            steady.account(),
            "10 fail of 10: another verdict in 0 % of runs, below 26 % with 95 % confidence"
        );
        let with_broken = Steadiness::of([Pass, Broken, Pass], 2);
        assert_eq!(
            (with_broken.verdict, with_broken.decided, with_broken.broken),
            (Pass, 2, 3)
        );
        let differs = Steadiness::of([Fail, Pass, Vacuous, Pass, Broken], 0);
        assert_eq!(
            (differs.verdict, differs.decided, differs.minority),
            (Unstable, 4, 2)
        );
        assert_eq!(
            differs.counts[0],
            Tally {
                verdict: Pass,
                times: 2
            }
        );
        assert_eq!(Steadiness::of([Pass, NotApplicable], 0).verdict, Unstable);
        let nothing = Steadiness::of([Broken, Broken], 0);
        assert_eq!(
            (nothing.verdict, nothing.rate, nothing.below),
            (Broken, None, None)
        );
        assert_eq!(
            nothing.account(),
            "no run decided anything; 2 broken besides, which decided nothing"
        );
    }

    #[test]
    fn a_small_bound_is_not_rounded_to_less_than_it_is() {
        assert_eq!(percent(0.00991, f64::ceil), "1 %");
        assert_eq!(percent(0.0951, f64::ceil), "9.6 %");
        assert_eq!(percent(0.2589, f64::ceil), "26 %");
        assert_eq!(percent(0.0, f64::round), "0 %");
    }
}

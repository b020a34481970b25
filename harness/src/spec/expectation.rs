//! Expectations: what is known of a target and is not `pass`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::model::Pair;

/// A known verdict of a target that is not `pass`: one table `[[known]]` of
/// `specs/expectations/<target>.toml`. Each is a defect of the target, or something that cannot be
/// asked of it.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Expectation {
    /// The spec.
    pub spec: String,
    /// The check of that spec.
    pub check: String,
    /// What it says.
    pub verdict: KnownVerdict,
    /// Why: what a maintainer needs to know to reproduce it.
    pub reason: String,
    /// The repairs that mend it: with all of them, the check is expected to pass.
    #[serde(default)]
    pub mended_by: Vec<String>,
    /// The pairs on which it is so; on all, if none are named.
    #[serde(default)]
    pub pairs: Vec<Pair>,
}

/// A verdict that can be expected besides `pass`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum KnownVerdict {
    /// The target is wrong.
    Fail,
    /// The stimulus never comes on this target.
    Vacuous,
    /// It cannot be asked of this target.
    NotApplicable,
}

/// The file of one target.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ExpectationFile {
    /// What is known, check by check.
    #[serde(default)]
    pub(super) known: Vec<Expectation>,
}

impl Expectation {
    /// In words, the pair on which another expectation speaks of the same check, if one does.
    pub(super) fn clash(&self, other: &Expectation) -> Option<String> {
        let same = (&self.spec, &self.check) == (&other.spec, &other.check);
        let shared = match (self.pairs.as_slice(), other.pairs.as_slice()) {
            ([], []) => Some("all pairs".to_owned()),
            ([], pairs) | (pairs, []) => pairs.first().map(Pair::to_string),
            (one, other) => {
                let shared = one.iter().find(|pair| other.contains(pair));
                shared.map(Pair::to_string)
            }
        };
        shared.filter(|_| same && self.mended_by == other.mended_by)
    }

    /// Whether it speaks of this check on this pair, with these repairs applied.
    #[must_use]
    pub fn is_of(&self, spec: &str, check: &str, pair: Pair, repairs: &[&str]) -> bool {
        let applied = |repair: &String| repairs.contains(&repair.as_str());
        let mended = !self.mended_by.is_empty() && self.mended_by.iter().all(applied);
        let on_pair = self.pairs.is_empty() || self.pairs.contains(&pair);
        self.spec == spec && self.check == check && on_pair && !mended
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expectation_holds_until_all_that_mends_it_is_applied() {
        let text = r#"
spec = "a/b"
check = "c"
verdict = "fail"
reason = "r"
mended-by = ["one", "two"]
pairs = ["chrome+chrome"]
"#;
        let known: Expectation = toml::from_str(text).unwrap();
        let chrome = "chrome+chrome".parse().unwrap();
        assert!(known.is_of("a/b", "c", chrome, &[]));
        assert!(known.is_of("a/b", "c", chrome, &["one", "three"]));
        assert!(!known.is_of("a/b", "c", chrome, &["two", "one"]));
        assert!(!known.is_of("a/b", "d", chrome, &[]));
        let other = "chrome+firefox".parse().unwrap();
        assert!(!known.is_of("a/b", "c", other, &[]));
    }
}

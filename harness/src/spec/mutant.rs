//! Mutants: named changes to what the target serves.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A named change to what the target serves: one file under `fixtures/mutants/`.
///
/// It is `killed` when its named check, which passed without it in the same invocation, says
/// `fail`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Mutant {
    /// Its name: the file's, without its ending.
    #[serde(skip)]
    pub name: String,
    /// Specs that its file cannot know, since they stand in a user's own folder: what they say with
    /// it does not count against it.
    #[serde(skip)]
    pub strangers: BTreeSet<String>,
    /// What it breaks, in one sentence.
    pub breaks: String,
    /// The requirement that it breaks.
    pub requirement: String,
    /// The spec that finds it.
    pub spec: String,
    /// The check of that spec that must say `fail`.
    pub check: String,
    /// The repairs that it is tried on, so that its check passes without it. `all` is refused:
    /// which ones it needs is part of what the file says.
    #[serde(default)]
    pub repairs: Vec<String>,
    /// Other checks that may say `fail` too, each with a reason.
    #[serde(default)]
    pub also: Vec<ExcusedCheck>,
    /// Other runs that must find it as well, each decided for itself.
    #[serde(default)]
    pub elsewhere: Vec<Elsewhere>,
    /// The proof from the code that nothing which a user or the network could see tells it from the
    /// original. Such a mutant is listed with its proof; it is neither tried nor counted.
    #[serde(default)]
    pub equivalent: Option<String>,
    /// The edits that make it.
    pub edits: Vec<Edit>,
}

/// Another spec that must find a mutant, in a run of its own.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Elsewhere {
    /// The spec.
    pub spec: String,
    /// The check of that spec that must say `fail`.
    pub check: String,
    /// The repairs that it is tried on there; the mutant's own if none are named.
    #[serde(default)]
    pub repairs: Option<Vec<String>>,
    /// Other checks that may say `fail` there too, each with a reason.
    #[serde(default)]
    pub also: Vec<ExcusedCheck>,
}

impl Mutant {
    /// The specs that must find it.
    pub(super) fn specs(&self) -> impl Iterator<Item = &str> {
        let elsewhere = self.elsewhere.iter().map(|place| place.spec.as_str());
        std::iter::once(self.spec.as_str()).chain(elsewhere)
    }

    /// The same change, tried on each spec that must find it: the first is its own.
    ///
    /// `requirement_of` gives the requirement that a spec's check is tied to.
    #[must_use]
    pub(super) fn on_each_spec(
        mut self,
        requirement_of: impl Fn(&str, &str) -> String,
    ) -> Vec<Mutant> {
        let elsewhere = std::mem::take(&mut self.elsewhere);
        let others: Vec<Mutant> = elsewhere
            .into_iter()
            .map(|place| Mutant {
                requirement: requirement_of(&place.spec, &place.check),
                spec: place.spec,
                check: place.check,
                repairs: place.repairs.unwrap_or_else(|| self.repairs.clone()),
                also: place.also,
                ..self.clone()
            })
            .collect();
        std::iter::once(self).chain(others).collect()
    }
}

/// A check that may fail under a mutant although it is not the one that must.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExcusedCheck {
    /// The spec that asks it, of those that judge the same run; the mutant's own if none is named.
    #[serde(default)]
    pub spec: Option<String>,
    /// The check's name.
    pub check: String,
    /// Why it fails as well.
    pub reason: String,
}

/// An edit of one served file.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Edit {
    /// The end of the file's path, as `static/js/index.js`.
    pub file: String,
    /// The text that must be found in it, exactly once; white space matches any white space.
    pub find: String,
    /// What stands there instead.
    pub replace: String,
}

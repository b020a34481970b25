//! Repairs: named edits that mend known defects of a release.

use schemars::JsonSchema;
use serde::Deserialize;

use super::mutant::Edit;

/// A named edit that mends a known defect of a release, so that mutants can be tried on a green
/// base: one file under `fixtures/repairs/`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Repair {
    /// Its name: the file's, without its ending.
    #[serde(skip)]
    pub name: String,
    /// What it mends, in one sentence.
    pub mends: String,
    /// The requirement that the defect violates.
    pub requirement: String,
    /// The edits that make it, in their order.
    pub edits: Vec<Edit>,
}

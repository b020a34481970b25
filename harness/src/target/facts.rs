//! What reports say of a target.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Checkout, Release};

/// What reports say of a target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct TargetFacts {
    /// Its name: `mug@0.1.3`, `interactive_gym@07480b2e5`.
    pub name: String,
    /// What Python imports.
    pub package: String,
    /// The release's version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The checkout's folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The checkout's commit; absent where git knows of none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// Whether the checkout's files differ from that commit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dirty: Option<bool>,
}

impl From<&Release> for TargetFacts {
    fn from(release: &Release) -> TargetFacts {
        TargetFacts {
            name: release.to_string(),
            package: release.package.name().to_owned(),
            version: Some(release.version.to_string()),
            path: None,
            commit: None,
            dirty: None,
        }
    }
}

impl From<&Checkout> for TargetFacts {
    fn from(checkout: &Checkout) -> TargetFacts {
        let revision = checkout.revision.as_ref();
        TargetFacts {
            name: checkout.name(),
            package: checkout.package.name().to_owned(),
            version: None,
            path: Some(checkout.root.display().to_string()),
            commit: revision.map(|revision| revision.commit.clone()),
            dirty: revision.map(|revision| revision.dirty),
        }
    }
}

//! What reports say of a target.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Address, Checkout, Release};

/// What reports say of a target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct TargetFacts {
    /// Its name: `mug@0.1.3`, `interactive_gym@07480b2e5`.
    pub name: String,
    /// What Python imports, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub package: Option<String>,
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
    /// What serves the experiment, where that is not each spec's own: the name or the folder of another one,
    /// or a user's own command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub experiment: Option<String>,
    /// The address of a server that was running already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Python packages that its page asks for and that were left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without: Vec<String>,
    /// Whether public hosts were asked for what was not at hand, instead of the registries.
    #[serde(default, skip_serializing_if = "is_false")]
    pub from_public_hosts: bool,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_false(value: &bool) -> bool {
    !value
}

impl TargetFacts {
    /// What is known of a target of which nothing but its name is known.
    fn named(name: String) -> TargetFacts {
        TargetFacts {
            name,
            package: None,
            version: None,
            path: None,
            commit: None,
            dirty: None,
            experiment: None,
            address: None,
            without: Vec::new(),
            from_public_hosts: false,
        }
    }

    /// Gives it a name of its own beside another target that it is compared with: two folders with changes to one
    /// commit have the same.
    pub fn tell_apart_from(&mut self, first: &TargetFacts) {
        let is_changed = self.dirty == Some(true);
        if is_changed && self.name == first.name && self.path != first.path {
            self.name.push_str("-2");
        }
    }

    /// The target that a user's own command starts.
    #[must_use]
    pub fn of_command(line: &str) -> TargetFacts {
        TargetFacts {
            experiment: Some(line.to_owned()),
            ..TargetFacts::named(line.to_owned())
        }
    }
}

impl From<&Address> for TargetFacts {
    fn from(address: &Address) -> TargetFacts {
        TargetFacts {
            address: Some(address.to_string()),
            ..TargetFacts::named(address.to_string())
        }
    }
}

impl From<&Release> for TargetFacts {
    fn from(release: &Release) -> TargetFacts {
        TargetFacts {
            package: Some(release.package.name().to_owned()),
            version: Some(release.version.to_string()),
            ..TargetFacts::named(release.to_string())
        }
    }
}

impl From<&Checkout> for TargetFacts {
    fn from(checkout: &Checkout) -> TargetFacts {
        let revision = checkout.revision.as_ref();
        TargetFacts {
            package: Some(checkout.package.name().to_owned()),
            path: Some(checkout.root.display().to_string()),
            commit: revision.map(|revision| revision.commit.clone()),
            dirty: revision.map(|revision| revision.dirty),
            ..TargetFacts::named(checkout.name())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_folders_with_changes_to_one_commit_are_told_apart() {
        let at = |path: &str, dirty| TargetFacts {
            path: Some(path.to_owned()),
            dirty: Some(dirty),
            ..TargetFacts::named("mug@07480b2e5".to_owned())
        };
        let named = |mut second: TargetFacts, first: &TargetFacts| {
            second.tell_apart_from(first);
            second.name
        };
        assert_eq!(named(at("b", true), &at("a", true)), "mug@07480b2e5-2");
        // The same code is the same target.
        assert_eq!(named(at("a", true), &at("a", true)), "mug@07480b2e5");
        assert_eq!(named(at("b", false), &at("a", false)), "mug@07480b2e5");
        let other = TargetFacts::named("mug@0.1.3".to_owned());
        assert_eq!(named(at("b", true), &other), "mug@07480b2e5");
    }
}

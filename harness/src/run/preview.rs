//! What a target's page will ask for, compared with what is at hand.

use std::str::FromStr;

use pep508_rs::pep440_rs::{Operator, Version};
use pep508_rs::{Requirement, VersionOrUrl};

use crate::gateway::{Mirror, Preview};

/// Of the addresses that pages ask for, those that nobody here answers.
pub(super) fn missing_addresses(asked: &[String], mirror: &Mirror) -> Vec<String> {
    let missing = asked.iter().filter(|address| !mirror.answers(address));
    missing.cloned().collect()
}

/// Of the Python packages that pages ask for, those that they cannot get here. `packages` are those that can be
/// installed, with their versions.
pub(super) fn missing_packages(wanted: &[String], packages: &[(String, String)]) -> Vec<String> {
    let missing = wanted.iter().filter(|wanted| !is_at_hand(wanted, packages));
    missing.cloned().collect()
}

/// The name of the package that is wanted.
pub(super) fn name_of(wanted: &str) -> Option<String> {
    let wanted = Requirement::<url::Url>::from_str(wanted).ok()?;
    Some(wanted.name.to_string())
}

/// The very version of a package that the page asks for, if it asks for one: `a==1.2`.
pub(super) fn exact_version(preview: &Preview, name: &str) -> Option<String> {
    preview.packages.iter().find_map(|wanted| {
        let wanted: Requirement = Requirement::from_str(wanted).ok()?;
        let Some(VersionOrUrl::VersionSpecifier(specifiers)) = wanted.version_or_url else {
            return None;
        };
        let exact = specifiers
            .iter()
            .find(|one| *one.operator() == Operator::Equal)?;
        (wanted.name.as_ref() == name).then(|| exact.version().to_string())
    })
}

fn is_at_hand(wanted: &str, packages: &[(String, String)]) -> bool {
    let Ok(wanted) = Requirement::<url::Url>::from_str(wanted) else {
        return false;
    };
    packages.iter().any(|(name, version)| {
        let fits = || match &wanted.version_or_url {
            None => true,
            Some(VersionOrUrl::VersionSpecifier(specifiers)) => {
                Version::from_str(version).is_ok_and(|version| specifiers.contains(&version))
            }
            Some(VersionOrUrl::Url(_)) => false,
        };
        wanted.name.as_ref() == name && fits()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::MirrorEntry;

    fn owned(list: &[&str]) -> Vec<String> {
        list.iter().map(|one| (*one).to_owned()).collect()
    }

    #[test]
    fn what_nobody_answers_is_named() {
        let mirror = Mirror::new(vec![MirrorEntry {
            url: "https://cdn.example/pyodide/v1/pyodide.js".into(),
            path: "a".into(),
            media_type: "text/javascript".into(),
        }]);
        let packages = [("numpy".to_owned(), "2.0.2".to_owned())];
        let addresses = |asked: &[&str]| missing_addresses(&owned(asked), &mirror);
        let known = "https://cdn.example/pyodide/v1/pyodide.js";
        let other = "https://cdn.example/pyodide/v2/pyodide.js";
        assert_eq!(addresses(&[known, other]), [other]);
        let wanted = |wanted: &[&str]| missing_packages(&owned(wanted), &packages);
        assert!(wanted(&["numpy", "NumPy>=2", "numpy==2.0.2"]).is_empty());
        let missing = ["numpy==1.26.4", "cogrid", "=="];
        assert_eq!(wanted(&missing), missing);
    }

    #[test]
    fn the_exact_version_of_a_package_is_read() {
        let preview = |wanted: &str| Preview {
            addresses: Vec::new(),
            packages: owned(&[wanted]),
        };
        let asked = |wanted: &str| exact_version(&preview(wanted), "multi-user-gymnasium");
        assert_eq!(asked("multi_user_gymnasium==0.1.2"), Some("0.1.2".into()));
        assert_eq!(asked("multi-user-gymnasium>=0.1"), None);
        assert_eq!(asked("numpy==1"), None);
    }
}

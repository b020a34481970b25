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

/// What a page asks for of a package by its name: `None` if it does not ask for it.
///
/// The version is one that all that the page says of it allow: the very one, if it names one (`a==1.2`), else
/// `said`, which the package says of itself, or one that is named as the least or the most.
///
/// # Errors
/// No such version is known; with what the page asks for.
pub(super) fn version_for(
    preview: &Preview,
    name: &str,
    said: Option<&str>,
) -> Result<Option<String>, String> {
    let asked = preview.packages.iter().filter_map(|wanted| {
        let wanted = Requirement::<url::Url>::from_str(wanted).ok()?;
        (wanted.name.as_ref() == name).then_some(wanted)
    });
    let asked: Vec<Requirement<url::Url>> = asked.collect();
    if asked.is_empty() {
        return Ok(None);
    }
    let specifiers = asked.iter().filter_map(|one| match &one.version_or_url {
        Some(VersionOrUrl::VersionSpecifier(specifiers)) => Some(specifiers.iter()),
        Some(VersionOrUrl::Url(_)) | None => None,
    });
    let (exact, bounds): (Vec<_>, Vec<_>) = specifiers
        .flatten()
        .partition(|one| *one.operator() == Operator::Equal);
    let exact = exact.into_iter().map(|one| one.version().clone());
    let said = said.and_then(|said| Version::from_str(said).ok());
    let bounds = bounds.into_iter().map(|one| one.version().clone());
    let any = Version::new([0]);
    exact
        .chain(said)
        .chain(bounds)
        .chain([any])
        .find(|version| asked.iter().all(|asked| allows(asked, version)))
        .map(|version| Some(version.to_string()))
        .ok_or_else(|| {
            let asked: Vec<String> = asked.iter().map(ToString::to_string).collect();
            asked.join(", ")
        })
}

fn allows(wanted: &Requirement<url::Url>, version: &Version) -> bool {
    match &wanted.version_or_url {
        None => true,
        Some(VersionOrUrl::VersionSpecifier(specifiers)) => specifiers.contains(version),
        Some(VersionOrUrl::Url(_)) => false,
    }
}

fn is_at_hand(wanted: &str, packages: &[(String, String)]) -> bool {
    let Ok(wanted) = Requirement::<url::Url>::from_str(wanted) else {
        return false;
    };
    packages.iter().any(|(name, version)| {
        let fits = || match Version::from_str(version) {
            Ok(version) => allows(&wanted, &version),
            Err(_) => wanted.version_or_url.is_none(),
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
    fn a_package_gets_a_version_that_the_page_allows() {
        let asked = |wanted: &[&str], said: Option<&str>| {
            let preview = Preview {
                addresses: Vec::new(),
                packages: owned(wanted),
            };
            version_for(&preview, "multi-user-gymnasium", said)
        };
        let version = |text: &str| Ok(Some(text.to_owned()));
        let exact = ["numpy", "multi_user_gymnasium==0.1.2"];
        assert_eq!(asked(&exact, Some("0.9")), version("0.1.2"));
        assert_eq!(asked(&["numpy==1"], Some("0.9")), Ok(None));
        let any = ["numpy", "multi-user-gymnasium"];
        assert_eq!(asked(&any, Some("0.9")), version("0.9"));
        assert_eq!(asked(&any, Some("no version")), version("0"));
        let least = ["multi-user-gymnasium>=0.1.2,<1"];
        assert_eq!(asked(&least, Some("0.9")), version("0.9"));
        assert_eq!(asked(&least, Some("1.3")), version("0.1.2"));
        assert_eq!(asked(&least, None), version("0.1.2"));
        let both = ["multi-user-gymnasium>=0.1", "multi-user-gymnasium==0.3"];
        assert_eq!(asked(&both, None), version("0.3"));
        let none = ["multi-user-gymnasium>2"];
        assert_eq!(
            asked(&none, Some("0.9")),
            Err("multi-user-gymnasium>2".to_owned())
        );
        let elsewhere = ["multi-user-gymnasium @ https://host.example/a.whl"];
        assert!(asked(&elsewhere, Some("0.9")).is_err());
    }
}

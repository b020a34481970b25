//! Releases of the target.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use super::{Package, TargetError};

/// The release that is tested unless something else is asked for.
pub const PINNED_RELEASE: Release = Release {
    package: Package::Mug,
    version: Cow::Borrowed("0.1.3"),
};

/// A release of the target: `mug@0.1.3`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Release {
    /// What Python imports.
    pub package: Package,
    /// Its version: `0.1.3`.
    pub version: Cow<'static, str>,
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.package.name(), self.version)
    }
}

impl FromStr for Release {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Release, TargetError> {
        let unknown = || TargetError::UnknownRelease { text: text.into() };
        let (name, version) = text.split_once('@').ok_or_else(unknown)?;
        let package = Package::named(name).ok_or_else(unknown)?;
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '+' | '!');
        if version.is_empty() || !version.chars().all(plain) {
            return Err(unknown());
        }
        Ok(Release {
            package,
            version: version.to_owned().into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_reads_as_it_is_written() {
        let read = |text: &str| text.parse::<Release>();
        assert_eq!(read("mug@0.1.3").unwrap(), PINNED_RELEASE);
        assert_eq!(read("multi-user-gymnasium@0.1.3").unwrap(), PINNED_RELEASE);
        assert_eq!(PINNED_RELEASE.to_string(), "mug@0.1.3");
        let older = read("interactive-gym@0.1.0").unwrap();
        assert_eq!(older.to_string(), "interactive_gym@0.1.0");
        for wrong in [
            "mug",
            "mug@",
            "@0.1.3",
            "",
            "flask@3.0",
            "mug@>=1",
            "mug@1 2",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}

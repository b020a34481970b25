//! What a new spec begins with.

use std::fmt;
use std::str::FromStr;

use super::folders::RESERVED;

/// The name of a spec: its concern, and what it is called there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpecName {
    concern: String,
    last: String,
}

impl SpecName {
    /// The folder of its concern.
    #[must_use]
    pub fn concern(&self) -> &str {
        &self.concern
    }

    /// What it is called there.
    #[must_use]
    pub fn last(&self) -> &str {
        &self.last
    }
}

impl FromStr for SpecName {
    type Err = String;

    fn from_str(text: &str) -> Result<SpecName, String> {
        let plain = text.strip_suffix(".toml").unwrap_or(text);
        let Some((concern, last)) = plain.split_once('/') else {
            return Err(format!(
                "`{text}` names no concern: expected CONCERN/NAME, as first/{plain}"
            ));
        };
        for part in [concern, last] {
            let allowed =
                |one: char| one.is_ascii_lowercase() || one.is_ascii_digit() || one == '-';
            if part.is_empty() || part.starts_with('-') || !part.chars().all(allowed) {
                return Err(format!(
                    "`{part}` is no name: expected small letters, digits and hyphens, as \
                     first/partner-leaves"
                ));
            }
        }
        if RESERVED.contains(&concern) {
            return Err(format!(
                "`{concern}` is the folder of something else: expected another concern than {}",
                RESERVED.join(", ")
            ));
        }
        Ok(SpecName {
            concern: concern.to_owned(),
            last: last.to_owned(),
        })
    }
}

impl fmt::Display for SpecName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.concern, self.last)
    }
}

/// Where the schema is, seen from the template itself.
const OWN_SCHEMA: &str = "../../../schema/spec.schema.json";

/// The text of a new spec. An editor finds its schema at this path, seen from the spec's folder.
#[must_use]
pub fn template(schema: &str) -> String {
    include_str!("template.toml").replace(OWN_SCHEMA, schema)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_concern_and_a_name() {
        let name: SpecName = "first/partner-leaves.toml".parse().expect("a name");
        assert_eq!(name.to_string(), "first/partner-leaves");
        for (wrong, told) in [
            (
                "partner-leaves",
                "expected CONCERN/NAME, as first/partner-leaves",
            ),
            ("a/b/c", "`b/c` is no name"),
            ("../b", "`..` is no name"),
            ("a/B", "`B` is no name"),
            ("a/", "`` is no name"),
            ("a/-b", "`-b` is no name"),
            ("mutants/b", "folder of something else"),
        ] {
            let error = wrong.parse::<SpecName>().expect_err(wrong);
            assert!(error.contains(told), "{wrong}: {error}");
        }
    }
}

//! Reading a checkout's specs, mutants and requirements, strictly.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::check_presence;
use super::error::SpecError;
use super::model::{Spec, SpecBody, Step};
use super::mutant::Mutant;

/// One requirement of `specs/requirements.toml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Requirement {
    /// What must hold.
    pub holds: String,
    /// Why.
    pub why: String,
    /// Where the research note on connection scoping says it.
    pub source: String,
}

/// All that a checkout says must hold: its specs, mutants and requirements.
#[derive(Debug, Clone)]
pub struct Catalogue {
    /// The checkout's folder.
    pub root: PathBuf,
    /// The specs, by name.
    pub specs: BTreeMap<String, Spec>,
    /// The mutants, by name.
    pub mutants: BTreeMap<String, Mutant>,
    /// The requirements, by id.
    pub requirements: BTreeMap<String, Requirement>,
}

impl Catalogue {
    /// Reads everything below a checkout's folder.
    ///
    /// # Errors
    /// A file cannot be read, or says something that it must not.
    pub fn read(root: &Path) -> Result<Catalogue, SpecError> {
        let requirements: BTreeMap<String, Requirement> =
            read_toml(&root.join("specs/requirements.toml"))?;
        let specs = read_specs(&root.join("specs"), &requirements)?;
        let mutants = read_mutants(&root.join("fixtures/mutants"), &specs, &requirements)?;
        Ok(Catalogue {
            root: root.to_owned(),
            specs,
            mutants,
            requirements,
        })
    }

    /// The spec of this name.
    ///
    /// # Errors
    /// There is none.
    pub fn spec(&self, name: &str) -> Result<&Spec, SpecError> {
        self.specs
            .get(name)
            .ok_or_else(|| SpecError::unknown("spec", name, self.specs.keys().map(String::as_str)))
    }

    /// The mutant of this name.
    ///
    /// # Errors
    /// There is none.
    pub fn mutant(&self, name: &str) -> Result<&Mutant, SpecError> {
        self.mutants.get(name).ok_or_else(|| {
            SpecError::unknown("mutant", name, self.mutants.keys().map(String::as_str))
        })
    }
}

fn read_specs(
    folder: &Path,
    requirements: &BTreeMap<String, Requirement>,
) -> Result<BTreeMap<String, Spec>, SpecError> {
    let mut specs = BTreeMap::new();
    for concern in sorted_entries(folder)?
        .into_iter()
        .filter(|path| path.is_dir())
    {
        for path in toml_files(&concern)? {
            let name = format!("{}/{}", stem(&concern), stem(&path));
            let text = read_text(&path)?;
            let body: SpecBody = parse(&path, &text)?;
            check_names(&path, &text, &body, requirements)?;
            specs.insert(name.clone(), Spec { name, body });
        }
    }
    if specs.is_empty() {
        return Err(SpecError::Nothing {
            path: folder.to_owned(),
            kind: "spec",
        });
    }
    Ok(specs)
}

fn read_mutants(
    folder: &Path,
    specs: &BTreeMap<String, Spec>,
    requirements: &BTreeMap<String, Requirement>,
) -> Result<BTreeMap<String, Mutant>, SpecError> {
    let mut mutants = BTreeMap::new();
    for path in toml_files(folder)? {
        let text = read_text(&path)?;
        let mut mutant: Mutant = parse(&path, &text)?;
        mutant.name = stem(&path);
        let wrong = |what: &str, known: String| {
            Err(SpecError::at(
                &path,
                &text,
                place_of(&text, what),
                format!("unknown name `{what}`, expected one of: {known}"),
            ))
        };
        if !requirements.contains_key(&mutant.requirement) {
            return wrong(&mutant.requirement, join(requirements.keys()));
        }
        let Some(spec) = specs.get(&mutant.spec) else {
            return wrong(&mutant.spec, join(specs.keys()));
        };
        let checks: BTreeSet<&str> = spec
            .body
            .checks
            .iter()
            .map(|check| check.ask.name())
            .collect();
        for check in
            std::iter::once(&mutant.check).chain(mutant.also.iter().map(|also| &also.check))
        {
            if !checks.contains(check.as_str()) {
                return wrong(check, join(checks.iter()));
            }
        }
        if mutant.edits.is_empty() {
            return Err(SpecError::at(
                &path,
                &text,
                None,
                "a mutant changes something: expected at least one table [[edits]]".to_owned(),
            ));
        }
        mutants.insert(mutant.name.clone(), mutant);
    }
    Ok(mutants)
}

/// Checks the names by which the parts of a spec refer to each other.
fn check_names(
    path: &Path,
    text: &str,
    body: &SpecBody,
    requirements: &BTreeMap<String, Requirement>,
) -> Result<(), SpecError> {
    let wrong = |name: &str, what: &str, known: String| {
        Err(SpecError::at(
            path,
            text,
            place_of(text, name),
            format!("unknown {what} `{name}`, expected one of: {known}"),
        ))
    };
    let mut holds = BTreeSet::new();
    let mut moments = BTreeSet::new();
    for step in &body.steps {
        match step {
            Step::Hold(rule) => {
                holds.insert(rule.name.as_str());
            }
            Step::Release(rule) if !holds.contains(rule.as_str()) => {
                return wrong(rule, "rule", join(holds.iter()));
            }
            Step::Observe(observe) if !moments.insert(observe.label.as_str()) => {
                return Err(SpecError::at(
                    path,
                    text,
                    place_of(text, &observe.label),
                    format!(
                        "two steps observe `{}`, expected another name for each",
                        observe.label
                    ),
                ));
            }
            _ => {}
        }
    }
    if let Some((player, wrong)) = check_presence::mistake(&body.steps) {
        return Err(SpecError::at(
            path,
            text,
            place_of(text, player.as_str()),
            wrong,
        ));
    }
    for check in &body.checks {
        if !requirements.contains_key(&check.requirement) {
            return wrong(&check.requirement, "requirement", join(requirements.keys()));
        }
        for moment in check.ask.moments() {
            if !moments.contains(moment) {
                return wrong(moment, "moment", join(moments.iter()));
            }
        }
    }
    if body.checks.is_empty() {
        return Err(SpecError::at(
            path,
            text,
            None,
            "a spec without a check proves nothing: expected at least one table [[checks]]"
                .to_owned(),
        ));
    }
    if body.pairs.is_empty() {
        return Err(SpecError::at(
            path,
            text,
            place_of(text, "pairs"),
            "expected at least one pair of browsers".to_owned(),
        ));
    }
    Ok(())
}

/// Where a name stands in a text, as a quoted string if possible.
fn place_of(text: &str, name: &str) -> Option<std::ops::Range<usize>> {
    // The last place: a name is defined before it is used, and the use is what is wrong.
    text.rfind(&format!("\"{name}\""))
        .map(|start| start + 1)
        .or_else(|| text.rfind(name))
        .map(|start| start..start + name.len())
}

fn join<T: AsRef<str>>(names: impl Iterator<Item = T>) -> String {
    let names: Vec<String> = names.map(|name| name.as_ref().to_owned()).collect();
    if names.is_empty() {
        "(there are none)".to_owned()
    } else {
        names.join(", ")
    }
}

fn stem(path: &Path) -> String {
    path.file_stem()
        .map(|stem| stem.to_string_lossy().into_owned())
        .unwrap_or_default()
}

fn read_text(path: &Path) -> Result<String, SpecError> {
    std::fs::read_to_string(path).map_err(|source| SpecError::Io {
        path: path.to_owned(),
        source,
    })
}

fn read_toml<T: DeserializeOwned>(path: &Path) -> Result<T, SpecError> {
    let text = read_text(path)?;
    parse(path, &text)
}

fn parse<T: DeserializeOwned>(path: &Path, text: &str) -> Result<T, SpecError> {
    toml::from_str(text).map_err(|error| {
        SpecError::at(
            path,
            text,
            error.span(),
            error.message().replace('\n', "; "),
        )
    })
}

fn sorted_entries(folder: &Path) -> Result<Vec<PathBuf>, SpecError> {
    let io = |source| SpecError::Io {
        path: folder.to_owned(),
        source,
    };
    let mut entries = std::fs::read_dir(folder)
        .map_err(io)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(io)?;
    entries.sort();
    Ok(entries)
}

fn toml_files(folder: &Path) -> Result<Vec<PathBuf>, SpecError> {
    Ok(sorted_entries(folder)?
        .into_iter()
        .filter(|path| path.extension().is_some_and(|ending| ending == "toml"))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
title = "A spec"
[[steps]]
join = {}
[[steps]]
observe = { as = "in-game" }
[[checks]]
requirement = "P2P-01"
ask = { connections-closed = { at = "in-game" } }
"#;

    fn read(spec: &str) -> Result<Catalogue, SpecError> {
        let root = tempfile::tempdir().expect("a folder");
        for folder in ["specs/concern", "fixtures/mutants"] {
            std::fs::create_dir_all(root.path().join(folder)).expect("a folder");
        }
        let write = |path: &str, text: &str| {
            std::fs::write(root.path().join(path), text).expect("a file");
        };
        write(
            "specs/requirements.toml",
            "[P2P-01]\nholds = \"x\"\nwhy = \"y\"\nsource = \"z\"\n",
        );
        write("specs/concern/name.toml", spec);
        Catalogue::read(root.path())
    }

    fn error(spec: &str) -> String {
        let text = read(spec).expect_err("a mistake").to_string();
        text.rsplit_once('/').expect("a path").1.to_owned()
    }

    #[test]
    fn a_good_spec_is_read() {
        let catalogue = read(GOOD).expect("it is good");
        assert_eq!(catalogue.specs["concern/name"].body.steps.len(), 2);
    }

    #[test]
    fn each_mistake_names_file_line_column_and_what_was_expected() {
        let mistakes = [
            GOOD.replace("title =", "titel ="),
            GOOD.replace("title = \"A spec\"", "title = 7"),
            GOOD.replace("join = {}", "jion = {}"),
            GOOD.replace("join = {}", "join = { players = [\"stranger\"] }"),
            GOOD.replace("\"P2P-01\"", "\"P2P-99\""),
            GOOD.replace("at = \"in-game\"", "at = \"later\""),
            GOOD.replace("connections-closed", "connections-shut"),
            GOOD.replace(
                "title = \"A spec\"",
                "title = \"A spec\"\npairs = [\"chrome+opera\"]",
            ),
            GOOD.replace(
                "title = \"A spec\"",
                "title = \"A spec\"\nexperiment = { speed = 3 }",
            ),
            GOOD.replace("[[steps]]\njoin", "[[steps]\njoin"),
            GOOD.replace(
                "[[steps]]\nobserve",
                "[[steps]]\nrelease = \"nothing\"\n[[steps]]\nobserve",
            ),
        ];
        let errors: Vec<String> = mistakes.iter().map(|text| error(text)).collect();
        insta::assert_snapshot!(errors.join("\n"));
    }

    /// The good spec with more steps before its `observe`.
    fn with_steps(steps: &[&str]) -> String {
        let steps: String = steps
            .iter()
            .map(|step| format!("[[steps]]\n{step}\n"))
            .collect();
        GOOD.replace("[[steps]]\nobserve", &format!("{steps}[[steps]]\nobserve"))
    }

    #[test]
    fn each_way_to_leave_and_to_hide_says_what_it_does() {
        let spec = with_steps(&[
            "background = { player = \"survivor\" }",
            "foreground = { player = \"survivor\" }",
            "background = { player = \"partner\", how = \"minimise\" }",
            "leave = { player = \"partner\", how = \"quit\", at = { after = \"last-episode-ended\", offset-ms = 1500 } }",
            "leave = { player = \"survivor\", how = \"close-tab\", at = { after = \"scene-activated\", of = \"survivor\" } }",
        ]);
        let catalogue = read(&spec).expect("it is good");
        let steps = &catalogue.specs["concern/name"].body.steps[1..6];
        let said: Vec<String> = steps.iter().map(ToString::to_string).collect();
        insta::assert_snapshot!(said.join("\n"), @r"
        survivor's page goes into the background (tab)
        survivor's page comes back to the front
        partner's page goes into the background (minimise)
        partner leaves (quit) 1500 ms after the survivor's last-episode-ended
        survivor leaves (close-tab) at the survivor's scene-activated
        ");
    }

    #[test]
    fn what_a_player_cannot_do_is_a_mistake() {
        let leave = "leave = { player = \"partner\", how = \"kill\" }";
        let hide = "background = { player = \"partner\" }";
        let mistakes = [
            with_steps(&[leave, leave]),
            with_steps(&[
                leave,
                "arrive = { player = \"partner\", at = \"after-first-game\" }",
            ]),
            with_steps(&[hide, hide]),
            with_steps(&[hide, "answer = { player = \"partner\" }"]),
            with_steps(&[hide, "leave = { player = \"partner\", how = \"reload\" }"]),
            with_steps(&["foreground = { player = \"partner\" }"]),
            with_steps(&["leave = { player = \"partner\", how = \"vanish\" }"]),
            with_steps(&[
                "leave = { player = \"partner\", how = \"kill\", at = { after = \"lunch\" } }",
            ]),
        ];
        let errors: Vec<String> = mistakes.iter().map(|text| error(text)).collect();
        insta::assert_snapshot!(errors.join("\n"));
    }

    #[test]
    fn a_folder_without_specs_is_an_error() {
        let root = tempfile::tempdir().expect("a folder");
        std::fs::create_dir_all(root.path().join("specs")).expect("a folder");
        std::fs::write(root.path().join("specs/requirements.toml"), "").expect("a file");
        let error = Catalogue::read(root.path()).expect_err("nothing to run");
        assert!(error.to_string().contains("holds no spec"), "{error}");
    }
}

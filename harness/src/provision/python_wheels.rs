//! Python packages that a page asks for and the lock does not have: found by pip's own resolver as wheels that
//! Pyodide can load, and tried in Pyodide.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use pep508_rs::pep440_rs::Operator;
use pep508_rs::{Requirement, VersionOrUrl};
use serde_json::json;

use super::assets::DOWNLOAD_DEADLINE;
use super::command::{Tool, find_program};
use super::error::ProvisionError;
use super::files;
use super::home::{Home, HomeLock};
use super::progress;
use super::pyodide_list::{self, ListedPackage, PyodideList};
use super::wheel;

/// What tries packages in Pyodide, under Node.
const TRIAL: &str = include_str!("trial.cjs");

/// How long a trial may take.
const TRIAL_DEADLINE: Duration = Duration::from_secs(3 * 60);

/// How many versions are tried in all until each package can be imported.
const MOST_TRIALS: usize = 12;

/// What packages are looked for with.
pub(super) struct Search<'a> {
    pub(super) home: &'a Home,
    pub(super) guard: &'a HomeLock,
    /// A Python with pip.
    pub(super) python: &'a Path,
    /// What is at hand.
    pub(super) list: &'a PyodideList,
    /// The files of what is at hand, by name.
    pub(super) at_hand: BTreeMap<String, PathBuf>,
    /// The folder with Pyodide's files; without it nothing is tried.
    pub(super) pyodide: Option<PathBuf>,
    /// Where this works.
    pub(super) folder: &'a Path,
}

/// A version that cannot be imported in Pyodide.
#[derive(Debug, PartialEq, Eq)]
struct Unfit {
    name: String,
    version: String,
    reason: String,
}

/// What came of a search.
pub(super) enum Found {
    /// The wheels that are not at hand.
    Wheels(Vec<(ListedPackage, PathBuf)>),
    /// It cannot be had, and why.
    Nothing(Vec<String>),
}

impl Search<'_> {
    /// Wheels for all that is wanted, with all that these need. What is at hand is preferred, unless a version
    /// is asked for; a version that cannot be imported in Pyodide gives way to an older one.
    ///
    /// # Errors
    /// pip fails in another way than by finding nothing.
    pub(super) fn wheels(&self, wanted: &[String]) -> Result<Found, ProvisionError> {
        let pyodide = self.list.info("version");
        let mut excluded: Vec<Unfit> = Vec::new();
        for trial in 0..MOST_TRIALS {
            let folder = self.folder.join(format!("trial-{trial}"));
            let new = match self.resolve(wanted, &excluded, &folder)? {
                Found::Wheels(wheels) => wheels,
                Found::Nothing(why) => return Ok(Found::Nothing(after(&excluded, why))),
            };
            let Some(unfit) = self.try_out(&new, &folder)? else {
                return Ok(Found::Wheels(new));
            };
            let Unfit {
                name,
                version,
                reason,
            } = &unfit;
            if is_pinned(wanted, name) {
                return Ok(Found::Nothing(vec![format!(
                    "the Python package {name}=={version} in the browser: it cannot be imported in Pyodide \
                     {pyodide}: {reason}"
                )]));
            }
            progress::line(&format!(
                "{name} {version} cannot be imported in Pyodide {pyodide} ({reason}): looking for an older one"
            ));
            excluded.push(unfit);
        }
        Ok(Found::Nothing(vec![format!(
            "the Python package {} in the browser: none of these can be imported in Pyodide {}: {}",
            wanted.join(", "),
            pyodide,
            listed(&excluded)
        )]))
    }

    /// What pip resolves, without what is at hand.
    fn resolve(
        &self,
        wanted: &[String],
        excluded: &[Unfit],
        folder: &Path,
    ) -> Result<Found, ProvisionError> {
        let preferred = self.constraints(wanted, excluded, |_| true);
        let needed = self.constraints(wanted, excluded, |file| !is_pure(file));
        let mut failure = String::new();
        for constraints in [preferred, needed] {
            let into = folder.join("wheels");
            files::remove_folder(&into)?;
            files::create_folder(&into)?;
            match self.pip(wanted, &constraints, folder, &into) {
                Ok(()) => return self.new_ones(&into).map(Found::Wheels),
                Err(ProvisionError::Command { tail, .. }) if is_unresolved(&tail) => failure = tail,
                Err(error) => return Err(error),
            }
        }
        Ok(Found::Nothing(self.explained(wanted, &failure)))
    }

    /// pip's constraints: what is at hand, but for what is asked for; and what is excluded.
    fn constraints(
        &self,
        wanted: &[String],
        excluded: &[Unfit],
        holds: impl Fn(&str) -> bool,
    ) -> String {
        let names: Vec<String> = wanted.iter().filter_map(|one| name_of(one)).collect();
        let pinned = self.list.packages().into_iter().filter(|(name, _)| {
            let file = self.list.file_of(name).map_or("", |(file, _)| file);
            // A compiled one can be had in no other version.
            holds(file) && !(names.contains(name) && is_pure(file))
        });
        let pinned = pinned.map(|(name, version)| format!("{name}=={version}\n"));
        let excluded = excluded
            .iter()
            .map(|unfit| format!("{}!={}\n", unfit.name, unfit.version));
        pinned.chain(excluded).collect()
    }

    fn pip(
        &self,
        wanted: &[String],
        constraints: &str,
        folder: &Path,
        into: &Path,
    ) -> Result<(), ProvisionError> {
        let file = folder.join("constraints.txt");
        files::write_whole(&file, constraints.as_bytes())?;
        let links = folder.join("at-hand");
        files::create_folder(&links)?;
        for (name, path) in &self.at_hand {
            let link = links.join(name);
            fs::copy(path, &link).map_err(ProvisionError::io("copy", path))?;
        }
        let python = self.list.info("python");
        let short: Vec<&str> = python.splitn(3, '.').take(2).collect();
        let abi = self.list.info("abi_version");
        Tool::new(self.python, DOWNLOAD_DEADLINE)
            .args([
                "-I",
                "-m",
                "pip",
                "download",
                "--no-input",
                "--disable-pip-version-check",
            ])
            .args(["--only-binary", ":all:", "--implementation", "cp"])
            .args(["--python-version", &short.join(".")])
            .args(["--abi", &format!("cp{}", short.concat()), "--abi", "none"])
            .args([
                "--platform",
                &format!("pyodide_{abi}_wasm32"),
                "--platform",
                "any",
            ])
            .args(["--find-links".as_ref(), links.as_os_str()])
            .args(["--constraint".as_ref(), file.as_os_str()])
            .args(["--dest".as_ref(), into.as_os_str()])
            // Whatever follows is no option.
            .args(["--"])
            .args(wanted)
            .run(&self.home.log("assets"), Some(self.guard))
    }

    /// The wheels in a folder that are not at hand.
    fn new_ones(&self, folder: &Path) -> Result<Vec<(ListedPackage, PathBuf)>, ProvisionError> {
        let failed = || ProvisionError::io("look into", folder);
        let mut new = Vec::new();
        for entry in fs::read_dir(folder).map_err(failed())? {
            let entry = entry.map_err(failed())?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if !self.at_hand.contains_key(&name) {
                let package = wheel::describe(&entry.path(), self.list.info("python"))?;
                new.push((package, entry.path()));
            }
        }
        new.sort_by(|(a, _), (b, _)| a.name.cmp(&b.name));
        let known = |name: &String| {
            new.iter().any(|(package, _)| package.name == *name)
                || self.list.file_of(name).is_some()
        };
        let dangling: Vec<Vec<String>> = new
            .iter()
            .map(|(package, _)| {
                package
                    .depends
                    .iter()
                    .filter(|name| known(name))
                    .cloned()
                    .collect()
            })
            .collect();
        for ((package, _), depends) in new.iter_mut().zip(dangling) {
            package.depends = depends;
        }
        Ok(new)
    }

    /// Imports them in Pyodide. Gives the first that cannot be, and why; among several the one that the
    /// others need.
    fn try_out(
        &self,
        new: &[(ListedPackage, PathBuf)],
        folder: &Path,
    ) -> Result<Option<Unfit>, ProvisionError> {
        let untried = |why: &str| {
            progress::line(&format!("not tried whether Pyodide can import them: {why}"));
        };
        let Some(pyodide) = &self.pyodide else {
            untried("not all that it needs is here");
            return Ok(None);
        };
        let Some(node) = find_program("node") else {
            untried("there is no node on the PATH");
            return Ok(None);
        };
        let replaced = |file: &str| {
            let same = |package: &ListedPackage| {
                self.list
                    .file_of(&package.name)
                    .is_some_and(|(own, _)| own == file)
            };
            new.iter().any(|(package, _)| same(package))
        };
        let kept = self.at_hand.iter().filter(|(file, _)| !replaced(file));
        let kept = kept.map(|(name, path)| json!({ "name": name, "path": path, "imports": [] }));
        let tried = new.iter().map(|(package, path)| {
            json!({ "name": package.name, "path": path, "imports": package.imports })
        });
        let wheels: Vec<_> = kept.chain(tried).collect();
        let (script, question) = (folder.join("trial.cjs"), folder.join("question.json"));
        let answer = folder.join("answer.json");
        files::write_whole(&script, TRIAL.as_bytes())?;
        let list = folder.join(pyodide_list::FILE_NAME);
        files::write_whole(&list, &self.list.text())?;
        let asked = json!({ "pyodide": pyodide, "list": list, "wheels": wheels }).to_string();
        files::write_whole(&question, asked.as_bytes())?;
        Tool::new(node, TRIAL_DEADLINE)
            .args([&script, &question, &answer])
            .run(&self.home.log("assets"), Some(self.guard))?;
        let text = fs::read(&answer).map_err(ProvisionError::io("read", &answer))?;
        let failed: BTreeMap<String, String> = serde_json::from_slice(&text).unwrap_or_default();
        Ok(the_cause(new, &failed))
    }

    /// pip's words for a person: what is wanted and cannot be had.
    fn explained(&self, wanted: &[String], tail: &str) -> Vec<String> {
        let pyodide = self.list.info("version");
        if let Some((missing, from)) = no_wheel(tail) {
            let needed = from
                .map(|from| format!(", which {from} needs"))
                .unwrap_or_default();
            return vec![format!(
                "the Python package {missing} in the browser{needed}: no wheel of it that Pyodide {pyodide} can \
                 load is in the package index"
            )];
        }
        let compiled = self.list.packages().into_iter().filter(|(name, _)| {
            let file = self.list.file_of(name).map_or("", |(file, _)| file);
            !is_pure(file)
        });
        let compiled = compiled.map(|(name, version)| format!("{name} {version}"));
        vec![format!(
            "the Python package {} in the browser: nothing goes together with what alone can be had for \
             Pyodide {pyodide}: {}",
            wanted.join(", "),
            compiled.collect::<Vec<_>>().join(", ")
        )]
    }
}

/// The package to blame: one that fails while nothing that it needs does.
fn the_cause(new: &[(ListedPackage, PathBuf)], failed: &BTreeMap<String, String>) -> Option<Unfit> {
    let fails = |name: &String| failed.contains_key(name);
    let (package, _) = new
        .iter()
        .filter(|(package, _)| fails(&package.name))
        .min_by_key(|(package, _)| package.depends.iter().filter(|name| fails(name)).count())?;
    Some(Unfit {
        name: package.name.clone(),
        version: package.version.clone(),
        reason: failed.get(&package.name)?.clone(),
    })
}

/// What was wrong before it came to this.
fn after(excluded: &[Unfit], mut why: Vec<String>) -> Vec<String> {
    if !excluded.is_empty() {
        let versions = listed(excluded);
        why.push(format!(
            "  (left aside, since they cannot be imported: {versions})"
        ));
    }
    why
}

fn listed(packages: &[Unfit]) -> String {
    let versions = packages
        .iter()
        .map(|unfit| format!("{} {}", unfit.name, unfit.version));
    versions.collect::<Vec<_>>().join(", ")
}

/// Whether pip found nothing that fits, and not that it was kept from looking.
fn is_unresolved(tail: &str) -> bool {
    let unreachable = [
        "ConnectionError",
        "NewConnectionError",
        "Max retries",
        "Retrying (",
    ];
    let found_none = ["ResolutionImpossible", "No matching distribution found"];
    found_none.iter().any(|words| tail.contains(words))
        && !unreachable.iter().any(|words| tail.contains(words))
}

/// The package of which pip found no wheel, and which one needs it.
fn no_wheel(tail: &str) -> Option<(&str, Option<&str>)> {
    let said = tail
        .lines()
        .find_map(|line| line.split_once("satisfies the requirement "))?
        .1;
    let (wanted, rest) = said.split_once(" (from ").unwrap_or((said, ""));
    let from = rest.split_once(')').map(|(from, _)| from);
    let from = from.filter(|from| !from.starts_with("versions"));
    Some((
        wanted,
        from.map(|from| from.split("->").last().unwrap_or(from)),
    ))
}

/// Whether a wheel runs everywhere.
fn is_pure(file_name: &str) -> bool {
    file_name.ends_with("-none-any.whl")
}

/// The name of what is wanted.
pub(super) fn name_of(wanted: &str) -> Option<String> {
    let wanted: Requirement = Requirement::from_str(wanted).ok()?;
    Some(wheel::normalised(wanted.name.as_ref()))
}

/// The very version that is wanted.
pub(super) fn pinned_version(wanted: &str) -> Option<String> {
    let wanted: Requirement = Requirement::from_str(wanted).ok()?;
    let Some(VersionOrUrl::VersionSpecifier(specifiers)) = wanted.version_or_url else {
        return None;
    };
    let exact = specifiers
        .iter()
        .find(|one| *one.operator() == Operator::Equal)?;
    Some(exact.version().to_string())
}

fn is_pinned(wanted: &[String], name: &str) -> bool {
    let same = |wanted: &&String| name_of(wanted).as_deref() == Some(name);
    wanted
        .iter()
        .find(same)
        .and_then(|wanted| pinned_version(wanted))
        .is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, depends: &[&str]) -> (ListedPackage, PathBuf) {
        let package = ListedPackage {
            name: name.into(),
            version: "1".into(),
            file_name: format!("{name}-1-py3-none-any.whl"),
            depends: depends.iter().map(|name| (*name).to_owned()).collect(),
            imports: vec![name.into()],
        };
        (package, PathBuf::new())
    }

    #[test]
    fn the_package_that_others_need_is_to_blame() {
        let new = [package("cogrid", &["gymnasium"]), package("gymnasium", &[])];
        let reason = |name: &str| (name.to_owned(), "no module".to_owned());
        let both = BTreeMap::from([reason("cogrid"), reason("gymnasium")]);
        assert_eq!(the_cause(&new, &both).unwrap().name, "gymnasium");
        let one = BTreeMap::from([reason("cogrid")]);
        assert_eq!(the_cause(&new, &one).unwrap().name, "cogrid");
        assert!(the_cause(&new, &BTreeMap::new()).is_none());
    }

    #[test]
    fn pips_words_are_understood() {
        let tail = "ERROR: Could not find a version that satisfies the requirement opencv-python (from slimevb) (from versions: none)\nERROR: No matching distribution found for opencv-python";
        assert!(is_unresolved(tail));
        assert_eq!(no_wheel(tail), Some(("opencv-python", Some("slimevb"))));
        let direct = tail.replace(" (from slimevb)", "");
        assert_eq!(no_wheel(&direct), Some(("opencv-python", None)));
        let offline =
            format!("WARNING: Retrying (Retry(total=0)) after NewConnectionError\n{tail}");
        assert!(!is_unresolved(&offline));
        assert_eq!(no_wheel("ERROR: ResolutionImpossible"), None);
    }

    #[test]
    fn a_pinned_version_is_not_given_up() {
        let wanted = ["cogrid==0.2.1".to_owned(), "Gymnasium>=0.29".to_owned()];
        assert!(is_pinned(&wanted, "cogrid"));
        assert!(!is_pinned(&wanted, "gymnasium"));
        assert_eq!(pinned_version("a==1.2").as_deref(), Some("1.2"));
        assert_eq!(pinned_version("a>=1.2"), None);
    }
}

//! Reading specs without running them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::Args;
use gymcheck::report::{ExitStatus, Loudness};
use gymcheck::run::find_root;
use gymcheck::spec::{
    Catalogue, Pair, Reading, Spec, SpecError, checkout_folders, files_below, own_folder_of,
};
use gymcheck::verdict::explain;

use super::{Outcome, OwnSpecs, tell};

pub(super) const EXAMPLES: &str = "\
Examples:
  gymcheck check
      all specs, mutants, repairs, expectations and requirements of the checkout
  gymcheck check --specs my-specs
      the same, and those of a folder of your own
  gymcheck check race/late-end
      one spec: on which browsers it runs, what it asks, which mutants prove its checks sharp
  gymcheck check my-specs/first/partner-leaves.toml
      one file; its folder of specs is found by itself

Nothing is started. Status 0: no mistake; 2: each mistake with file, line, column, what was expected,
and the nearest known name.";

#[derive(Args)]
pub(super) struct CheckArguments {
    /// Files and folders by their paths, or specs by name (`race/late-end`) or folder (`race`); all,
    /// if none is named
    #[arg(value_name = "PATH|SPEC")]
    what: Vec<String>,
    #[command(flatten)]
    own: OwnSpecs,
}

pub(super) fn check(arguments: &CheckArguments, loudness: Loudness) -> Outcome {
    let root = find_root();
    let own = own_folder(arguments, &root)?;
    let reading = Reading::of(&root, own.as_deref())?;
    let wanted = Wanted::find(&arguments.what, &root, own.as_deref(), &reading)?;
    let (mistakes, others): (Vec<_>, Vec<_>) = reading
        .mistakes
        .iter()
        .partition(|mistake| wanted.covers(mistake.path()));
    for mistake in &mistakes {
        tell(*mistake);
    }
    // A folder that was found by itself may hold much that has nothing to do with gymcheck.
    let others = match own.is_some() && arguments.own.folder().is_none() {
        true => 0,
        false => others.len(),
    };
    if !mistakes.is_empty() || others > 0 {
        anstream::eprintln!("gymcheck: {}", count_of_mistakes(&mistakes, others));
        return Ok(ExitStatus::Mistake);
    }
    if loudness != Loudness::Quiet {
        if !arguments.what.is_empty() {
            let specs = reading.catalogue.specs.values();
            specs
                .filter(|spec| wanted.covers(Some(&spec.path)))
                .for_each(|spec| print(&reading.catalogue, spec));
        }
        anstream::println!("{}", wanted.account(&reading.catalogue));
    }
    Ok(ExitStatus::AsExpected)
}

/// The user's own folder: the one that the call names, or the one around the files that it names.
fn own_folder(arguments: &CheckArguments, root: &Path) -> Result<Option<PathBuf>, SpecError> {
    if let Some(folder) = arguments.own.folder() {
        return Ok(Some(folder.to_owned()));
    }
    let of_checkout = checkout_folders(root).map(|folder| real(&folder));
    let paths = arguments.what.iter().map(Path::new);
    let elsewhere = paths.filter(|path| path.exists()).find(|path| {
        let path = real(path);
        !of_checkout.iter().any(|folder| path.starts_with(folder)) && path != real(root)
    });
    // A folder of the working folder may have the name of a concern.
    let elsewhere = elsewhere.filter(|path| !is_name_of_checkout(path, root));
    Ok(elsewhere.map(own_folder_of))
}

fn is_name_of_checkout(name: &Path, root: &Path) -> bool {
    let specs = root.join("specs");
    name.is_relative()
        && (specs.join(name).is_dir() || specs.join(name).with_extension("toml").is_file())
}

/// The files that a call is about.
struct Wanted {
    /// Files, and folders with all that is below them; everything, if there are none.
    places: Vec<PathBuf>,
}

impl Wanted {
    fn find(
        what: &[String],
        root: &Path,
        own: Option<&Path>,
        reading: &Reading,
    ) -> Result<Wanted, SpecError> {
        let mut folders = vec![root.join("specs")];
        folders.extend(own.map(Path::to_owned));
        let mut places = Vec::new();
        for name in what {
            let place = place_of(name, &folders).ok_or_else(|| unknown(name, reading))?;
            places.push(real(&place));
        }
        Ok(Wanted { places })
    }

    fn covers(&self, path: Option<&Path>) -> bool {
        let Some(path) = path else {
            return self.places.is_empty();
        };
        let path = real(path);
        let mut places = self.places.iter();
        self.places.is_empty() || places.any(|place| path.starts_with(place))
    }

    /// What was read, in one line.
    fn account(&self, catalogue: &Catalogue) -> String {
        if self.places.is_empty() {
            let mutants: BTreeSet<&str> = catalogue
                .mutants
                .iter()
                .chain(&catalogue.equivalents)
                .map(|mutant| mutant.name.as_str())
                .collect();
            return format!(
                "{}, {}, {}, {}, {}: no mistake",
                count(catalogue.specs.len(), "spec"),
                count(mutants.len(), "mutant"),
                count(catalogue.repairs.len(), "repair"),
                count(
                    catalogue.expectations.values().map(Vec::len).sum(),
                    "expectation"
                ),
                count(catalogue.requirements.len(), "requirement"),
            );
        }
        let files: BTreeSet<PathBuf> = self
            .places
            .iter()
            .flat_map(|place| files_below(place))
            .collect();
        format!("{}: no mistake", count(files.len(), "file"))
    }
}

/// The file or folder that an argument means: a spec, a concern, or a path.
fn place_of(name: &str, folders: &[PathBuf]) -> Option<PathBuf> {
    let of_spec = |folder: &PathBuf| {
        let (file, concern) = (folder.join(format!("{name}.toml")), folder.join(name));
        [file, concern].into_iter().find(|path| path.exists())
    };
    let by_name = folders.iter().rev().find_map(of_spec);
    by_name.or_else(|| Some(PathBuf::from(name)).filter(|path| path.exists()))
}

fn unknown(name: &str, reading: &Reading) -> SpecError {
    let concerns: BTreeSet<&str> = reading
        .catalogue
        .specs
        .keys()
        .filter_map(|name| name.split_once('/'))
        .map(|(concern, _)| concern)
        .collect();
    let specs = reading.catalogue.specs.keys().map(String::as_str);
    SpecError::unknown("file or spec", name, specs.chain(concerns))
}

/// A path without links, to be compared.
fn real(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

fn print(catalogue: &Catalogue, spec: &Spec) {
    let body = &spec.body;
    anstream::println!("{}\n    {}", spec.name, body.title);
    let pairs: Vec<String> = body.pairs.iter().map(Pair::to_string).collect();
    let played = match &body.plays {
        Some(plays) => format!("judges the run of {plays}"),
        None => count(body.steps.len(), "step"),
    };
    anstream::println!("    {played}, runs on {}", pairs.join(", "));
    for check in &body.checks {
        let question = explain(check.ask.name()).map_or("", |one| one.question);
        anstream::println!("    {:<10} {}: {question}", check.requirement, check.name());
        let mutants: Vec<&str> = catalogue
            .mutants
            .iter()
            .filter(|mutant| mutant.spec == spec.name && mutant.check == check.name())
            .map(|mutant| mutant.name.as_str())
            .collect();
        match mutants.is_empty() {
            true => anstream::println!("               no mutant shows yet that it can fail"),
            false => anstream::println!("               must catch {}", mutants.join(", ")),
        }
    }
}

fn count_of_mistakes(mistakes: &[&SpecError], others: usize) -> String {
    let files: BTreeSet<&Path> = mistakes.iter().filter_map(|one| one.path()).collect();
    let here = format!(
        "{} in {}",
        count(mistakes.len(), "mistake"),
        count(files.len(), "file")
    );
    match (mistakes.is_empty(), others) {
        (false, 0) => here,
        (true, others) => format!(
            "{} in other files: no run begins with them, see `gymcheck check`",
            count(others, "mistake")
        ),
        (false, others) => format!("{here}, and {others} in other files"),
    }
}

fn count(number: usize, what: &str) -> String {
    match number {
        1 => format!("1 {what}"),
        _ => format!("{number} {what}s"),
    }
}

//! All that must hold, to be looked up by name.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::error::SpecError;
use super::expectation::Expectation;
use super::model::Spec;
use super::mutant::Mutant;
use super::read::{Reading, Requirement};
use super::repair::Repair;

/// All that a checkout says must hold, and a user's own folder beside it: specs, mutants and
/// requirements.
#[derive(Debug, Clone)]
pub struct Catalogue {
    /// The checkout's folder.
    pub root: PathBuf,
    /// The user's own folder, if the call names one.
    pub own: Option<OwnFolder>,
    /// The specs, by name.
    pub specs: BTreeMap<String, Spec>,
    /// The mutants that can be tried, by name; each once for every spec that must find it, its own
    /// first.
    pub mutants: Vec<Mutant>,
    /// The mutants that are proven equivalent, by name.
    pub equivalents: Vec<Mutant>,
    /// The repairs, by name.
    pub repairs: BTreeMap<String, Repair>,
    /// What is known of targets and is not `pass`, by the target's name.
    pub expectations: BTreeMap<String, Vec<Expectation>>,
    /// The requirements, by id.
    pub requirements: BTreeMap<String, Requirement>,
}

/// What a user's own folder adds to a checkout.
#[derive(Debug, Clone)]
pub struct OwnFolder {
    /// The folder, with its whole path.
    pub folder: PathBuf,
    /// The names of its specs.
    pub specs: BTreeSet<String>,
    /// The names of its mutants.
    pub mutants: BTreeSet<String>,
}

impl OwnFolder {
    pub(super) fn new(folder: &Path) -> OwnFolder {
        OwnFolder {
            folder: std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned()),
            specs: BTreeSet::new(),
            mutants: BTreeSet::new(),
        }
    }
}

impl Catalogue {
    /// Reads everything below a checkout's folder.
    ///
    /// # Errors
    /// A file cannot be read, or says something that it must not.
    pub fn read(root: &Path) -> Result<Catalogue, SpecError> {
        Catalogue::read_with(root, None)
    }

    /// Reads everything below a checkout's folder, and below a user's own one.
    ///
    /// # Errors
    /// A file cannot be read, or says something that it must not: all that is wrong.
    pub fn read_with(root: &Path, own: Option<&Path>) -> Result<Catalogue, SpecError> {
        let reading = Reading::of(root, own)?;
        match reading.mistakes.is_empty() {
            true => Ok(reading.catalogue),
            false => Err(SpecError::of_all(reading.mistakes)),
        }
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

    /// The specs that a call means that names none: those of the user's own folder, or all.
    ///
    /// # Errors
    /// The user's own folder has none.
    pub fn default_specs(&self) -> Result<Vec<&Spec>, SpecError> {
        let Some(own) = &self.own else {
            return Ok(self.specs.values().collect());
        };
        if own.specs.is_empty() {
            return Err(SpecError::Nothing {
                path: own.folder.clone(),
                kind: "spec of your own",
            });
        }
        let specs = own.specs.iter().filter_map(|name| self.specs.get(name));
        Ok(specs.collect())
    }

    /// The specs that judge the run of this scenario, by name.
    pub fn judging<'a>(&'a self, scenario: &'a str) -> impl Iterator<Item = &'a Spec> {
        let specs = self.specs.values();
        specs.filter(move |spec| spec.scenario() == scenario)
    }

    /// The repair of this name.
    ///
    /// # Errors
    /// There is none.
    pub fn repair(&self, name: &str) -> Result<&Repair, SpecError> {
        self.repairs.get(name).ok_or_else(|| {
            SpecError::unknown("repair", name, self.repairs.keys().map(String::as_str))
        })
    }

    /// The mutant of this name, to be tried: on each spec that must find it.
    ///
    /// # Errors
    /// There is none, or it is proven equivalent.
    pub fn mutant(&self, name: &str) -> Result<Vec<&Mutant>, SpecError> {
        let named = |mutant: &&Mutant| mutant.name == name;
        if let Some(proven) = self.equivalents.iter().find(named) {
            return Err(SpecError::Equivalent {
                name: name.to_owned(),
                proof: proven.equivalent.clone().unwrap_or_default(),
            });
        }
        let trials: Vec<&Mutant> = self.mutants.iter().filter(named).collect();
        if trials.is_empty() {
            let known: BTreeSet<&str> = self.mutants.iter().map(|one| one.name.as_str()).collect();
            return Err(SpecError::unknown("mutant", name, known.into_iter()));
        }
        Ok(trials)
    }
}

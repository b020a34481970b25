//! What each requirement is held by: specs, their checks, and the mutants that prove these sharp.

use std::collections::BTreeSet;

use super::catalogue::Catalogue;
use super::mutant::Mutant;
use super::read::Requirement;

/// What one requirement is held by.
#[derive(Debug)]
pub struct Coverage<'a> {
    /// The requirement's id.
    pub id: &'a str,
    /// What it says.
    pub requirement: &'a Requirement,
    /// The checks that are tied to it, each with its spec: `(spec, check)`.
    pub checks: Vec<(&'a str, &'a str)>,
    /// The mutants that break it.
    pub mutants: Vec<&'a str>,
    /// The mutants of it that are proven equivalent: they prove nothing about its checks.
    pub equivalents: Vec<&'a str>,
}

impl Coverage<'_> {
    /// What it lacks: a check, or a mutant.
    #[must_use]
    pub fn lacks(&self) -> Vec<&'static str> {
        let mut lacks = Vec::new();
        if self.checks.is_empty() {
            lacks.push("check");
        }
        if self.mutants.is_empty() {
            lacks.push("mutant");
        }
        lacks
    }

    /// The specs that hold it, each once.
    #[must_use]
    pub fn specs(&self) -> BTreeSet<&str> {
        self.checks.iter().map(|(spec, _)| *spec).collect()
    }
}

impl Catalogue {
    /// The mutants that a check must kill, each with the spec that asks it.
    #[must_use]
    pub fn killed_by(&self, check: &str) -> Vec<(&str, &str)> {
        let mutants = self.mutants.iter().filter(|mutant| {
            let asked = self.specs[&mutant.spec].body.checks.iter();
            asked
                .filter(|one| one.name() == mutant.check)
                .any(|one| one.ask.name() == check)
        });
        mutants
            .map(|mutant| (mutant.spec.as_str(), mutant.name.as_str()))
            .collect()
    }

    /// What each requirement is held by, in the order of their ids.
    #[must_use]
    pub fn coverage(&self) -> Vec<Coverage<'_>> {
        let checks_of = |id: &str| {
            let specs = self.specs.values();
            let checks = specs.flat_map(|spec| {
                let checks = spec.body.checks.iter();
                checks.map(|check| (spec.name.as_str(), check))
            });
            let tied = checks.filter(|(_, check)| check.requirement == id);
            tied.map(|(spec, check)| (spec, check.name())).collect()
        };
        let requirements = self.requirements.iter();
        requirements
            .map(|(id, requirement)| Coverage {
                id,
                requirement,
                checks: checks_of(id),
                mutants: of_requirement(&self.mutants, id),
                equivalents: of_requirement(&self.equivalents, id),
            })
            .collect()
    }
}

/// The names of those mutants that are about a requirement, each once.
fn of_requirement<'a>(mutants: &'a [Mutant], id: &str) -> Vec<&'a str> {
    let of_it = mutants.iter().filter(|mutant| mutant.requirement == id);
    let names: BTreeSet<&str> = of_it.map(|mutant| mutant.name.as_str()).collect();
    names.into_iter().collect()
}

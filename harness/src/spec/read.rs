//! Reading specs, mutants, repairs, expectations and requirements, strictly: those of a checkout, and
//! those of a user's own folder beside them.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Deserialize;

use super::catalogue::{Catalogue, OwnFolder};
use super::check_faults;
use super::check_presence;
use super::error::SpecError;
use super::expectation::{Expectation, ExpectationFile};
use super::folders::{Folders, has_toml_files, sorted_entries, stem, toml_files};
use super::game::GameNumber;
use super::model::{CheckSpec, Question, Spec, SpecBody, Step, Told};
use super::mutant::{Edit, ExcusedCheck, Mutant};
use super::repair::Repair;
use super::source::{Place, Source};

/// One requirement of `specs/requirements.toml`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Requirement {
    /// What must hold.
    pub holds: String,
    /// Why.
    pub why: String,
    /// Where the research note on connection scoping says it.
    pub source: String,
}

/// What could be read, and all that is wrong.
#[derive(Debug)]
pub struct Reading {
    /// All files without a mistake.
    pub catalogue: Catalogue,
    /// The mistakes, in the order in which the files were read.
    pub mistakes: Vec<SpecError>,
}

impl Reading {
    /// Reads everything below a checkout's folder, and below a user's own one.
    ///
    /// # Errors
    /// One of the folders is not there at all.
    pub fn of(root: &Path, own: Option<&Path>) -> Result<Reading, SpecError> {
        let checkout = Folders::of_checkout(root);
        if !checkout.requirements.is_file() {
            return Err(SpecError::NoCheckout {
                path: root.to_owned(),
            });
        }
        let mut origins = vec![checkout];
        if let Some(folder) = own {
            if !folder.is_dir() {
                return Err(SpecError::NoFolder {
                    path: folder.to_owned(),
                });
            }
            origins.push(Folders::of_own(folder));
        }
        let mut reader = Reader::new(root, own);
        reader.read(&origins);
        Ok(Reading {
            catalogue: reader.catalogue,
            mistakes: reader.mistakes,
        })
    }
}

impl Catalogue {
    /// Reads one spec more, beside all that is read already; it becomes no part of that.
    ///
    /// # Errors
    /// It cannot be read, or says something that it must not.
    pub fn read_one(&self, name: &str, path: &Path) -> Result<Spec, SpecError> {
        let source = Source::read(path)?;
        let body = source.parse_spec()?;
        let reader = Reader {
            catalogue: self.clone(),
            ..Reader::new(&self.root, None)
        };
        let mistakes = reader.mistakes_of(&source, &body);
        if !mistakes.is_empty() {
            return Err(SpecError::of_all(mistakes));
        }
        Ok(Spec {
            name: name.to_owned(),
            path: path.to_owned(),
            body,
        })
    }
}

/// Reads file by file, and goes on after a mistake.
struct Reader {
    catalogue: Catalogue,
    mistakes: Vec<SpecError>,
    /// Whether a file of requirements could not be read: then none is unknown.
    requirements_unread: bool,
    /// What is there and could not be read. A name of it is no unknown one.
    specs_unread: BTreeSet<String>,
    repairs_unread: BTreeSet<String>,
}

impl Reader {
    fn new(root: &Path, own: Option<&Path>) -> Reader {
        Reader {
            catalogue: Catalogue {
                root: root.to_owned(),
                own: own.map(OwnFolder::new),
                specs: BTreeMap::new(),
                mutants: Vec::new(),
                equivalents: Vec::new(),
                repairs: BTreeMap::new(),
                expectations: BTreeMap::new(),
                requirements: BTreeMap::new(),
            },
            mistakes: Vec::new(),
            requirements_unread: false,
            specs_unread: BTreeSet::new(),
            repairs_unread: BTreeSet::new(),
        }
    }

    fn read(&mut self, origins: &[Folders]) {
        for origin in origins {
            self.read_requirements(origin);
        }
        for origin in origins {
            self.read_repairs(origin);
        }
        self.read_specs(origins);
        for origin in origins {
            self.read_mutants(origin);
        }
        self.catalogue
            .mutants
            .sort_by(|one, other| one.name.cmp(&other.name));
        for origin in origins {
            self.read_expectations(origin);
        }
    }

    /// The value, if there is no mistake; a mistake is noted.
    fn keep<T>(&mut self, result: Result<T, SpecError>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(SpecError::Several { mistakes }) => {
                self.mistakes.extend(mistakes);
                None
            }
            Err(mistake) => {
                self.mistakes.push(mistake);
                None
            }
        }
    }

    /// Notes all mistakes of a file. Says whether there are none.
    fn none_of(&mut self, mistakes: Vec<SpecError>) -> bool {
        let none = mistakes.is_empty();
        self.mistakes.extend(mistakes);
        none
    }

    fn files_of(&mut self, folder: &Path) -> Vec<PathBuf> {
        match folder.is_dir() {
            true => self.keep(toml_files(folder)).unwrap_or_default(),
            false => Vec::new(),
        }
    }

    fn read_requirements(&mut self, origin: &Folders) {
        if !origin.requirements.is_file() {
            return;
        }
        let Some(source) = self.keep(Source::read(&origin.requirements)) else {
            self.requirements_unread = true;
            return;
        };
        let Some(read) = self.keep(source.parse::<BTreeMap<String, Requirement>>()) else {
            self.requirements_unread = true;
            return;
        };
        for (id, requirement) in read {
            match self.catalogue.requirements.entry(id) {
                Entry::Vacant(free) => {
                    free.insert(requirement);
                }
                Entry::Occupied(there) => {
                    let mistake = taken(&source, "requirement", there.key());
                    self.mistakes.push(mistake);
                }
            }
        }
    }

    fn read_repairs(&mut self, origin: &Folders) {
        for path in self.files_of(&origin.repairs) {
            let name = stem(&path);
            let Some(source) = self.keep(Source::read(&path)) else {
                self.repairs_unread.insert(name);
                continue;
            };
            if self.catalogue.repairs.contains_key(&name) {
                self.mistakes.push(taken(&source, "repair", &name));
                continue;
            }
            let read = self.repair(&source, &name);
            match self.keep(read) {
                Some(repair) => {
                    self.catalogue.repairs.insert(name, repair);
                }
                None => {
                    self.repairs_unread.insert(name);
                }
            }
        }
    }

    fn repair(&self, source: &Source, name: &str) -> Result<Repair, SpecError> {
        let mut repair: Repair = source.parse()?;
        repair.name = name.to_owned();
        if let Some(message) = self.unknown_requirement(&repair.requirement) {
            return Err(source.wrong(&repair.requirement, message));
        }
        let mistakes = mistakes_of_edits(source, "repair", &repair.edits);
        match mistakes.is_empty() {
            true => Ok(repair),
            false => Err(SpecError::of_all(mistakes)),
        }
    }

    fn read_specs(&mut self, origins: &[Folders]) {
        let mut read: BTreeMap<String, (Source, SpecBody)> = BTreeMap::new();
        for origin in origins {
            for (name, path) in self.spec_files(origin) {
                let Some(source) = self.keep(Source::read(&path)) else {
                    self.specs_unread.insert(name);
                    continue;
                };
                if read.contains_key(&name) || self.specs_unread.contains(&name) {
                    self.mistakes.push(taken(&source, "spec", &name));
                    continue;
                }
                match self.keep(source.parse_spec()) {
                    Some(body) => {
                        if let (true, Some(own)) = (origin.is_own, &mut self.catalogue.own) {
                            own.specs.insert(name.clone());
                        }
                        read.insert(name, (source, body));
                    }
                    None => {
                        self.specs_unread.insert(name);
                    }
                }
            }
        }
        let names: Vec<String> = read.keys().cloned().collect();
        for name in names {
            let mistakes = match self.spec(&name, &read) {
                Ok(Some(spec)) => {
                    let mistakes = self.mistakes_of(&read[&name].0, &spec.body);
                    self.catalogue.specs.insert(name.clone(), spec);
                    mistakes
                }
                // It plays a spec that could not be read, which is told already.
                Ok(None) => Vec::new(),
                Err(mistake) => vec![mistake],
            };
            if !self.none_of(mistakes) || !self.catalogue.specs.contains_key(&name) {
                self.catalogue.specs.remove(&name);
                self.specs_unread.insert(name);
            }
        }
        if self.catalogue.specs.is_empty() && self.specs_unread.is_empty() {
            self.mistakes.push(SpecError::Nothing {
                path: origins[0].specs.clone(),
                kind: "spec",
            });
        }
    }

    /// The files of specs, each with the spec's name. What stands where no spec is looked for is a
    /// mistake: it would never run.
    fn spec_files(&mut self, origin: &Folders) -> Vec<(String, PathBuf)> {
        let Some(entries) = self.keep(sorted_entries(&origin.specs)) else {
            return Vec::new();
        };
        let mut files = Vec::new();
        for entry in entries {
            if origin.is_concern(&entry) {
                for path in self.files_of(&entry) {
                    files.push((format!("{}/{}", stem(&entry), stem(&path)), path));
                }
                let inside = self.keep(sorted_entries(&entry)).unwrap_or_default();
                let deeper = inside.into_iter().filter(|path| has_toml_files(path));
                self.mistakes
                    .extend(deeper.map(|path| misplaced(&path, origin)));
            } else if origin.is_misplaced_spec(&entry) {
                self.mistakes.push(misplaced(&entry, origin));
            }
        }
        files
    }

    /// A spec with the steps and the experiment of the one that it plays; none, if that one could not
    /// be read.
    fn spec(
        &self,
        name: &str,
        read: &BTreeMap<String, (Source, SpecBody)>,
    ) -> Result<Option<Spec>, SpecError> {
        let (source, own) = &read[name];
        let mut body = own.clone();
        if let Some(plays) = &own.plays {
            if self.specs_unread.contains(plays) && !read.contains_key(plays) {
                return Ok(None);
            }
            let playable = read.iter().filter(|(_, (_, body))| body.plays.is_none());
            source.known("spec", plays, playable.map(|(name, _)| name.as_str()))?;
            let has_experiment = source.parse::<toml::Table>()?.contains_key("experiment");
            if !body.steps.is_empty() || has_experiment || !body.repairs.is_empty() {
                return Err(source.wrong(
                    "plays",
                    format!(
                        "a spec that plays `{plays}` takes its steps, its experiment and its \
                         repairs: expected none of its own"
                    ),
                ));
            }
            let played = &read[plays].1;
            body.steps.clone_from(&played.steps);
            body.experiment.clone_from(&played.experiment);
            body.repairs.clone_from(&played.repairs);
        } else if body.steps.is_empty() {
            let message =
                "expected [[steps]], or `plays` with the name of a spec whose run it judges";
            return Err(source.wrong_as_a_whole(message.to_owned()));
        }
        Ok(Some(Spec {
            name: name.to_owned(),
            path: source.path.clone(),
            body,
        }))
    }

    /// All that is wrong with a spec whose parts can be read: names that nothing has, and what cannot
    /// be.
    fn mistakes_of(&self, source: &Source, body: &SpecBody) -> Vec<SpecError> {
        let mut mistakes = Vec::new();
        if body.plays.is_none() {
            mistakes.extend(body.repairs.iter().filter_map(|repair| {
                let message = self.unknown_repair(repair)?;
                Some(source.wrong(repair, message))
            }));
        }
        if body.plays.is_none()
            && let Some(message) = self.unknown_experiment(&body.experiment.name)
        {
            mistakes.push(source.wrong(&body.experiment.name, message));
        }
        let (rules, moments) = check_steps(source, body, &mut mistakes);
        self.check_checks(source, body, &rules, moments, &mut mistakes);
        if body.checks.is_empty() {
            mistakes.push(
                source.wrong_as_a_whole(
                    "a spec without a check proves nothing: expected at least one table [[checks]]"
                        .to_owned(),
                ),
            );
        }
        if body.pairs.is_empty() {
            let message = "expected at least one pair of browsers";
            mistakes.push(source.wrong("pairs", message.to_owned()));
        }
        let mut pairs = body.pairs.iter().enumerate();
        let twice = pairs.find(|(index, pair)| body.pairs[..*index].contains(pair));
        if let Some((index, pair)) = twice {
            let message = format!("the pair `{pair}` stands here twice, expected each one once");
            let place = Place::new("pairs", index);
            mistakes.push(source.wrong_in(place, &pair.to_string(), message));
        }
        mistakes
    }

    /// Checks the names by which the checks of a spec refer to its other parts.
    fn check_checks(
        &self,
        source: &Source,
        body: &SpecBody,
        rules: &BTreeSet<&str>,
        observed: BTreeSet<&str>,
        mistakes: &mut Vec<SpecError>,
    ) {
        let automatic = moments_of_games(body);
        let automatic = automatic.iter().map(String::as_str);
        let moments: BTreeSet<&str> = observed.into_iter().chain(automatic).collect();
        let mut checks = BTreeSet::new();
        for (index, check) in body.checks.iter().enumerate() {
            let place = Place::new("checks", index);
            let name = check.name();
            if !checks.insert(name) {
                let message = format!(
                    "two checks are named `{name}`, expected `as = \"…\"` with another name for one"
                );
                mistakes.push(source.wrong_in(place, name, message));
            }
            if let Some(message) = self.unknown_requirement(&check.requirement) {
                mistakes.push(source.wrong_in(place, &check.requirement, message));
            }
            for moment in check.ask.moments() {
                let known = moments.iter().copied();
                mistakes.extend(source.known_in(place, "moment", moment, known).err());
            }
            for rule in check.ask.rules() {
                let known = rules.iter().copied();
                mistakes.extend(source.known_in(place, "rule", rule, known).err());
            }
            if let Some(message) = half_alone(check, body) {
                mistakes.push(source.wrong_in(place, "by-target", message));
            }
            if let Some(game) = missing_game(check, body) {
                let games = body.experiment.games;
                let message =
                    format!("the experiment has no game {game}: its setting `games` is {games}");
                mistakes.push(source.wrong_in(place, "game", message));
            }
        }
    }

    fn read_mutants(&mut self, origin: &Folders) {
        for path in self.files_of(&origin.mutants) {
            let Some(source) = self.keep(Source::read(&path)) else {
                continue;
            };
            let Some(mut mutant) = self.keep(source.parse::<Mutant>()) else {
                continue;
            };
            mutant.name = stem(&path);
            let others = self.catalogue.mutants.iter();
            let others = others.chain(&self.catalogue.equivalents);
            if others.into_iter().any(|other| other.name == mutant.name) {
                self.mistakes.push(taken(&source, "mutant", &mutant.name));
                continue;
            }
            let mistakes = self.mistakes_of_mutant(&source, &mutant);
            if !self.none_of(mistakes) {
                continue;
            }
            // What could not be read is told already; without it the mutant cannot be tried.
            if !mutant
                .specs()
                .all(|spec| self.catalogue.specs.contains_key(spec))
            {
                continue;
            }
            self.add_mutant(mutant, origin);
        }
    }

    fn add_mutant(&mut self, mut mutant: Mutant, origin: &Folders) {
        if let Some(own) = &mut self.catalogue.own {
            match origin.is_own {
                true => {
                    own.mutants.insert(mutant.name.clone());
                }
                // Its file cannot know them.
                false => mutant.strangers.clone_from(&own.specs),
            }
        }
        if mutant.equivalent.is_some() {
            self.catalogue.equivalents.push(mutant);
            return;
        }
        let requirement_of = |spec: &str, check: &str| {
            let requirement = self.requirement_of(spec, check);
            requirement.unwrap_or_default().to_owned()
        };
        let trials = mutant.on_each_spec(requirement_of);
        self.catalogue.mutants.extend(trials);
    }

    /// The requirement that a check is tied to, if there is such a check.
    fn requirement_of(&self, spec: &str, check: &str) -> Option<&str> {
        let mut checks = self.catalogue.specs.get(spec)?.body.checks.iter();
        let check = checks.find(|one| one.name() == check)?;
        Some(&check.requirement)
    }

    fn mistakes_of_mutant(&self, source: &Source, mutant: &Mutant) -> Vec<SpecError> {
        let mut mistakes = Vec::new();
        let requirement = mutant.requirement.as_str();
        let tied = self.requirement_of(&mutant.spec, &mutant.check);
        if let Some(message) = self.unknown_requirement(requirement) {
            mistakes.push(source.wrong(requirement, message));
        } else if let Some(tied) = tied.filter(|tied| *tied != requirement) {
            let message = format!(
                "the check `{}` of {} is tied to {tied}, expected that requirement, or a check that is tied to \
                 {requirement}",
                mutant.check, mutant.spec
            );
            mistakes.push(source.wrong(requirement, message));
        }
        mistakes.extend(check_proof(source, mutant).err());
        let own = (mutant.spec.as_str(), mutant.check.as_str());
        self.check_place(source, None, own, &mutant.also, &mut mistakes);
        for (index, place) in mutant.elsewhere.iter().enumerate() {
            let names = (place.spec.as_str(), place.check.as_str());
            let at = Some(Place::new("elsewhere", index));
            self.check_place(source, at, names, &place.also, &mut mistakes);
        }
        self.check_each_run_once(source, mutant, &mut mistakes);
        let theirs = mutant.elsewhere.iter();
        let theirs = theirs.filter_map(|place| place.repairs.as_ref()).flatten();
        for repair in theirs.chain(&mutant.repairs) {
            if let Some(message) = self.unknown_repair(repair) {
                mistakes.push(source.wrong(repair, message));
            }
        }
        mistakes.extend(mistakes_of_edits(source, "mutant", &mutant.edits));
        mistakes
    }

    /// What one run decides is decided once: another check that fails in it stands under [[also]].
    fn check_each_run_once(&self, source: &Source, mutant: &Mutant, mistakes: &mut Vec<SpecError>) {
        let scenario = |spec: &str| Some(self.catalogue.specs.get(spec)?.scenario().to_owned());
        let mut played: BTreeSet<String> = scenario(&mutant.spec).into_iter().collect();
        for (index, place) in mutant.elsewhere.iter().enumerate() {
            let Some(scenario) = scenario(&place.spec) else {
                continue;
            };
            if !played.insert(scenario) {
                let message = format!(
                    "`{}` judges a run on which the mutant is tried already: expected a spec whose \
                     steps are others",
                    place.spec
                );
                let at = Place::new("elsewhere", index);
                mistakes.push(source.wrong_in(at, &place.spec, message));
            }
        }
    }

    /// A spec that must find a mutant, its check, and the checks that may fail there too.
    fn check_place(
        &self,
        source: &Source,
        place: Option<Place>,
        (spec, check): (&str, &str),
        also: &[ExcusedCheck],
        mistakes: &mut Vec<SpecError>,
    ) {
        let wrong = |name: &str, message: String| match place {
            Some(place) => source.wrong_in(place, name, message),
            None => source.wrong(name, message),
        };
        if let Some(message) = self.unknown_spec(spec) {
            mistakes.push(wrong(spec, message));
        }
        let Some(own) = self.catalogue.specs.get(spec) else {
            return;
        };
        if let Some(message) = super::source::unknown("check", check, checks_of(own)) {
            mistakes.push(wrong(check, message));
        }
        for (index, also) in also.iter().enumerate() {
            let name = also.spec.as_deref().unwrap_or(spec);
            if (name, also.check.as_str()) == (spec, check) {
                let message = format!(
                    "`{check}` is the check that must say `fail`: expected another one under [[also]]"
                );
                let place = place.unwrap_or(Place::new("also", index));
                mistakes.push(source.wrong_in(place, check, message));
            }
            if self.specs_unread.contains(name) {
                continue;
            }
            let judging = self.catalogue.judging(own.scenario());
            let judging = judging.map(|spec| spec.name.as_str());
            if let Some(message) = super::source::unknown("spec", name, judging) {
                mistakes.push(wrong(name, message));
                continue;
            }
            let known = checks_of(&self.catalogue.specs[name]);
            if let Some(message) = super::source::unknown("check", &also.check, known) {
                mistakes.push(wrong(&also.check, message));
            }
        }
    }

    fn read_expectations(&mut self, origin: &Folders) {
        for path in self.files_of(&origin.expectations) {
            let Some(source) = self.keep(Source::read(&path)) else {
                continue;
            };
            let Some(file) = self.keep(source.parse::<ExpectationFile>()) else {
                continue;
            };
            let target = stem(&path);
            for (index, known) in file.known.into_iter().enumerate() {
                let place = Place::new("known", index);
                let mistakes = self.mistakes_of_expectation(&source, place, &target, &known);
                if self.none_of(mistakes) {
                    let all = self.catalogue.expectations.entry(target.clone());
                    all.or_default().push(known);
                }
            }
        }
    }

    fn mistakes_of_expectation(
        &self,
        source: &Source,
        place: Place,
        target: &str,
        known: &Expectation,
    ) -> Vec<SpecError> {
        let mut mistakes = Vec::new();
        if let Some(message) = self.unknown_spec(&known.spec) {
            mistakes.push(source.wrong_in(place, &known.spec, message));
        }
        if let Some(spec) = self.catalogue.specs.get(&known.spec) {
            let checks = checks_of(spec);
            mistakes.extend(source.known_in(place, "check", &known.check, checks).err());
        }
        for repair in &known.mended_by {
            if let Some(message) = self.unknown_repair(repair) {
                mistakes.push(source.wrong_in(place, repair, message));
            }
        }
        let others = self
            .catalogue
            .expectations
            .get(target)
            .into_iter()
            .flatten();
        if let Some(pair) = others.into_iter().find_map(|other| other.clash(known)) {
            let message = format!(
                "the verdict of `{}` of {} on {pair} is known already, expected one [[known]] for it",
                known.check, known.spec
            );
            mistakes.push(source.wrong_in(place, &known.check, message));
        }
        mistakes
    }

    /// What is wrong with the name of an experiment that the checkout does not have.
    fn unknown_experiment(&self, name: &str) -> Option<String> {
        let folder = self.catalogue.root.join("fixtures/experiments");
        let there = sorted_entries(&folder).ok()?;
        let experiments = there
            .iter()
            .filter(|path| path.join("experiment.py").is_file());
        let known: Vec<String> = experiments.map(|path| stem(path)).collect();
        super::source::unknown("experiment", name, known.iter().map(String::as_str))
    }

    fn unknown_requirement(&self, id: &str) -> Option<String> {
        if self.requirements_unread {
            return None;
        }
        let known = self.catalogue.requirements.keys().map(String::as_str);
        super::source::unknown("requirement", id, known)
    }

    fn unknown_repair(&self, name: &str) -> Option<String> {
        let known = self.catalogue.repairs.keys().chain(&self.repairs_unread);
        super::source::unknown("repair", name, known.map(String::as_str))
    }

    fn unknown_spec(&self, name: &str) -> Option<String> {
        let known = self.catalogue.specs.keys().chain(&self.specs_unread);
        super::source::unknown("spec", name, known.map(String::as_str))
    }
}

/// A user's file has a name that is taken.
fn taken(source: &Source, kind: &str, name: &str) -> SpecError {
    source.wrong(
        name,
        format!("there is a {kind} `{name}` already, expected another name for one of the two"),
    )
}

/// A spec stands where none is looked for.
fn misplaced(path: &Path, origin: &Folders) -> SpecError {
    let folder = origin.specs.display();
    SpecError::at(
        path,
        "",
        None,
        format!("no spec is looked for here, expected {folder}/CONCERN/NAME.toml"),
    )
}

/// A mutant that is proven equivalent has a proof, and makes no check fail.
fn check_proof(source: &Source, mutant: &Mutant) -> Result<(), SpecError> {
    match mutant.equivalent.as_deref().map(str::trim) {
        Some("") => Err(source.wrong(
            "equivalent",
            "expected the proof from the code that nobody can tell the mutant from the original"
                .to_owned(),
        )),
        Some(_) if !mutant.also.is_empty() || !mutant.elsewhere.is_empty() => Err(source.wrong(
            if mutant.also.is_empty() {
                "elsewhere"
            } else {
                "also"
            },
            "a mutant that is proven equivalent makes no check fail: expected no [[also]] and no \
             [[elsewhere]]"
                .to_owned(),
        )),
        Some(_) | None => Ok(()),
    }
}

fn checks_of(spec: &Spec) -> impl Iterator<Item = &str> {
    spec.body.checks.iter().map(CheckSpec::name)
}

/// What is wrong with the edits of a mutant or a repair: each of them changes something.
fn mistakes_of_edits(source: &Source, kind: &str, edits: &[Edit]) -> Vec<SpecError> {
    if edits.is_empty() {
        let message = format!("a {kind} changes something: expected at least one table [[edits]]");
        return vec![source.wrong_as_a_whole(message)];
    }
    let mut mistakes = Vec::new();
    for (index, edit) in edits.iter().enumerate() {
        let mut wrong = |field: &str, message: &str| {
            let place = Place::new("edits", index);
            mistakes.push(source.wrong_in(place, field, message.to_owned()));
        };
        if edit.file.trim().is_empty() {
            let expected = "expected the end of a file's path, as `static/js/index.js`";
            wrong("file", expected);
        }
        if edit.find.trim().is_empty() {
            let expected = "expected the text that the edit replaces, as it stands in the file";
            wrong("find", expected);
        } else if edit.find == edit.replace {
            let expected = "the edit puts the same text there that it finds: expected another one";
            wrong("replace", expected);
        }
    }
    mistakes
}

/// Checks the steps of a spec. Gives the names of the rules that they set, and of the moments that
/// they observe.
fn check_steps<'a>(
    source: &Source,
    body: &'a SpecBody,
    mistakes: &mut Vec<SpecError>,
) -> (BTreeSet<&'a str>, BTreeSet<&'a str>) {
    let mut rules = BTreeSet::new();
    let mut moments = BTreeSet::new();
    // What another spec's steps do wrong is told there.
    let mut own = Vec::new();
    for (index, step) in body.steps.iter().enumerate() {
        let place = Place::new("steps", index);
        if let Some(rule) = step.rule() {
            if let Some(mistake) = check_faults::mistake(step, &body.experiment) {
                own.push(source.wrong_at(Some(mistake.span), mistake.message));
            }
            if !rules.insert(rule.as_str()) {
                let message =
                    format!("two rules are named `{rule}`, expected another name for each");
                own.push(source.wrong_at(Some(rule.span()), message));
            }
        }
        match step {
            Step::Release(rule) => {
                let known = rules.iter().copied();
                own.extend(source.known_in(place, "rule", rule, known).err());
            }
            Step::Observe(observe) if !moments.insert(observe.label.as_str()) => {
                let label = &observe.label;
                let message =
                    format!("two steps observe `{label}`, expected another name for each");
                own.push(source.wrong_in(place, label, message));
            }
            _ => {}
        }
    }
    if let Some((index, player, message)) = check_presence::mistake(&body.steps) {
        own.push(source.wrong_in(Place::new("steps", index), player.as_str(), message));
    }
    if body.plays.is_none() {
        mistakes.extend(own);
    }
    (rules, moments)
}

/// What is taken down of each game without being asked for.
fn moments_of_games(body: &SpecBody) -> Vec<String> {
    (0..body.experiment.games as usize)
        .map(GameNumber::after)
        .flat_map(|game| [game.before(), game.during()])
        .collect()
}

/// What is wrong with a question about the target's own news, which no target has to send: the half
/// that is asked by injection where it sends none must be there as well.
fn half_alone(check: &CheckSpec, body: &SpecBody) -> Option<String> {
    let Question::NoOverlay(calm) = &check.ask else {
        return None;
    };
    if calm.told == Told::ByAnybody {
        return None;
    }
    if !calm.injected.is_empty() {
        return Some("what a rule injects is never told `by-target`".to_owned());
    }
    let lacks = || {
        "a target may tell nobody who has left: expected another check of this spec that asks the \
         same without `told = \"by-target\"`"
            .to_owned()
    };
    body.asked_by_injection(calm).is_none().then(lacks)
}

/// The game that a check asks about, if the experiment has no such game.
fn missing_game(check: &CheckSpec, body: &SpecBody) -> Option<GameNumber> {
    let games = body.experiment.games as usize;
    check.ask.game().filter(|game| game.index() >= games)
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

    const MUTANT: &str = r#"
breaks = "It breaks it."
requirement = "P2P-01"
spec = "concern/name"
check = "connections-closed"
[[edits]]
file = "f.js"
find = "a"
replace = "b"
"#;

    fn read(spec: &str) -> Result<Catalogue, SpecError> {
        read_with(spec, &[])
    }

    /// Reads a spec and mutants, each with its name.
    fn read_with(spec: &str, mutants: &[(&str, &str)]) -> Result<Catalogue, SpecError> {
        Catalogue::read(checkout(spec, mutants).path())
    }

    /// A checkout with a spec and mutants.
    fn checkout(spec: &str, mutants: &[(&str, &str)]) -> tempfile::TempDir {
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
        for (name, text) in mutants {
            write(&format!("fixtures/mutants/{name}.toml"), text);
        }
        root
    }

    /// A mistake, without the folder of the test.
    fn placed(mistake: &SpecError) -> String {
        let text = mistake.to_string();
        let (_, place) = text
            .split_once("/concern/")
            .or_else(|| text.split_once("/mutants/"))
            .unwrap_or(("", &text));
        place.to_owned()
    }

    fn error(spec: &str) -> String {
        let error = read(spec).expect_err("a mistake");
        let mistakes: Vec<String> = error.each().into_iter().map(placed).collect();
        mistakes.join("\n")
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
            GOOD.replace("at = \"in-game\"", "at = \"in-game\", game = 2"),
            GOOD.replace("at = \"in-game\"", "at = \"in-game\", game = 0"),
            GOOD.replace(
                "join = {}",
                "arrive = { player = \"survivor\", at = \"after-last-game\" }",
            ),
            GOOD.replace(
                "[[steps]]\nobserve",
                "[[steps]]\nrelease = \"nothing\"\n[[steps]]\nobserve",
            ),
        ];
        let errors: Vec<String> = mistakes.iter().map(|text| error(text)).collect();
        insta::assert_snapshot!(errors.join("\n"));
    }

    #[test]
    fn the_natural_half_is_not_asked_alone() {
        let natural = GOOD.replace(
            "connections-closed = { at = \"in-game\" }",
            "no-overlay = { before = \"in-game\", after = \"in-game\", told = \"by-target\" }",
        );
        assert!(
            error(&natural).contains("name.toml:9:"),
            "{}",
            error(&natural)
        );
        assert!(error(&natural).contains("asks the same without `told = \"by-target\"`"));
        let other = "\n[[checks]]\nas = \"other\"\nrequirement = \"P2P-01\"\n\
                     ask = { no-overlay = { before = \"in-game\", after = \"in-game\" } }\n";
        read(&format!("{natural}{other}")).expect("both halves");
        let other_moment = other.replace("after = \"in-game\"", "after = \"before-game\"");
        assert!(error(&format!("{natural}{other_moment}")).contains("asks the same"));
        let rule = natural
            .replace("told =", "injected = [\"r\"], told =")
            .replace(
                "[[steps]]\nobserve",
                "[[steps]]\ninject = { as = \"r\", player = \"survivor\", event = \"p2p_pause\" }\n\
             [[steps]]\nobserve",
            );
        assert!(
            error(&rule).contains("is never told `by-target`"),
            "{}",
            error(&rule)
        );
    }

    fn with_step(step: &str) -> String {
        GOOD.replace(
            "[[steps]]\nobserve",
            &format!("[[steps]]\n{step}\n[[steps]]\nobserve"),
        )
    }

    #[test]
    fn each_mistake_in_a_rule_names_its_place_and_the_nearest_name() {
        let mistakes = [
            r#"hold = { as = "r", player = "partner", direction = "to-server", event = "advance_scen" }"#,
            r#"hold = { as = "r", player = "partner", direction = "to-client", event = "advance_scene" }"#,
            r#"hold = { as = "r", player = "partner", direction = "to-server", event = "ping", until = { player = "survivor", direction = "to-client", event = "pang" } }"#,
            r#"hold = { as = "r", player = "partner", direction = "to-server", event = "ping", until = { player = "partner", direction = "to-server", event = "advance_scene" } }"#,
            r#"delay = { as = "r", player = "partner", direction = "to-server", event = "ping", by-ms = 0 }"#,
            r#"delay = { as = "r", player = "partner", direction = "to-server", event = "pings", by-ms = 10 }"#,
            r#"inject = { as = "r", player = "survivor", event = "p2p_game_endet" }"#,
            r#"inject = { as = "r", player = "survivor", event = "activate_scene" }"#,
            r#"inject = { as = "r", player = "survivor", event = "p2p_game_ended", reason = "warn" }"#,
            r#"inject = { as = "r", player = "survivor", event = "p2p_pause", reason = "warn" }"#,
            r#"inject = { as = "r", player = "survivor", event = "partner_excluded", game = "stranger" }"#,
            r#"inject = { as = "r", player = "survivor", event = "partner_excluded", game = "earlier" }"#,
            r#"inject = { as = "r", player = "survivor", event = "p2p_game_ended", game = "later" }"#,
            r#"inject = { as = "r", player = "survivor", event = "p2p_game_ended", game = "earlier" }"#,
            r#"inject = { as = "r", player = "survivor", event = "p2p_pause", place = { before = "terminate" } }"#,
            r#"inject = { as = "r", player = "survivor", event = "p2p_pause", place = "later" }"#,
            r#"inject = { as = "r", player = "survivor", event = "p2p_pause", times = 0 }"#,
            r#"cut = { as = "r", player = "survivor", event = "ping" }"#,
            r#"cut = { as = "r", player = "survivor", direction = "to-client" }"#,
            r#"cut = { as = "r", player = "survivor", direction = "to-client", event = "pung" }"#,
            r#"drop = { as = "r", player = "survivor", direction = "to-client", event = "start_gane" }"#,
            r#"duplicate = { as = "r", player = "survivor", direction = "to-client", event = "x" }"#,
            r#"overtake = { as = "r", player = "survivor", direction = "to-client", event = "activate_scene", before = "terminate" }"#,
            r#"overtake = { as = "r", player = "survivor", direction = "to-client", event = "activate_scene", before = "activate_scene" }"#,
            "cut = { as = \"r\", player = \"survivor\" }\n[[steps]]\ncut = { as = \"r\", player = \"survivor\" }",
        ];
        let mistakes = mistakes.map(|step| error(&with_step(step)));
        insta::assert_snapshot!(mistakes.join("\n"));
    }

    #[test]
    fn each_rule_says_what_it_does() {
        let steps = [
            r#"hold = { as = "1", player = "partner", direction = "to-server", event = "advance_scene" }"#,
            r#"hold = { as = "2", player = "partner", direction = "to-server", event = "advance_scene", until = { player = "survivor", direction = "to-client", event = "activate_scene" } }"#,
            r#"delay = { as = "3", player = "survivor", direction = "to-client", event = "activate_scene", by-ms = 250 }"#,
            r#"inject = { as = "4", player = "survivor", event = "p2p_game_ended" }"#,
            r#"inject = { as = "5", player = "survivor", event = "p2p_game_ended", reason = "reconnection_timeout", place = { before = "terminate_scene" }, game = "stranger", times = 2 }"#,
            r#"inject = { as = "5a", player = "survivor", event = "p2p_game_ended", game = "earlier", place = { after = "start_game" } }"#,
            r#"inject = { as = "6", player = "survivor", event = "p2p_pause", place = { after = "activate_scene" } }"#,
            r#"cut = { as = "7", player = "survivor" }"#,
            r#"cut = { as = "8", player = "survivor", direction = "to-server", event = "advance_scene" }"#,
            r#"drop = { as = "9", player = "survivor", direction = "to-client", event = "p2p_resume" }"#,
            r#"duplicate = { as = "10", player = "survivor", direction = "to-client", event = "terminate_scene" }"#,
            r#"overtake = { as = "11", player = "survivor", direction = "to-client", event = "activate_scene", before = "terminate_scene" }"#,
            r#"release = "2""#,
        ];
        let two_games = with_step(&steps.join("\n[[steps]]\n")).replace(
            "title = \"A spec\"",
            "title = \"A spec\"\nexperiment = { games = 2 }",
        );
        let catalogue = read(&two_games).expect("they are good");
        let steps = &catalogue.specs["concern/name"].body.steps;
        let told: Vec<String> = steps.iter().map(ToString::to_string).collect();
        insta::assert_snapshot!(told[1..told.len() - 1].join("\n"), @r"
        hold the partner's `advance_scene` (to-server)
        hold the partner's `advance_scene` (to-server) until the survivor's `activate_scene` (to-client)
        delay the survivor's `activate_scene` (to-client) by 250 ms
        inject p2p_game_ended to survivor now
        inject p2p_game_ended (reconnection_timeout) of a stranger's game to survivor before `terminate_scene`, 2 times
        inject p2p_game_ended of an earlier game to survivor after `start_game`
        inject p2p_pause to survivor after `activate_scene`
        cut the survivor's connection now
        cut the survivor's connection at `advance_scene` (to-server)
        drop the survivor's `p2p_resume` (to-client)
        duplicate the survivor's `terminate_scene` (to-client)
        let the survivor's `activate_scene` (to-client) overtake `terminate_scene`
        release `2`
        ");
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
    fn roles_of_scenes_and_moments_of_each_game_can_be_named() {
        let text = GOOD
            .replace(
                "title = \"A spec\"",
                "title = \"A spec\"\nexperiment = { games = 2 }",
            )
            .replace(
                "join = {}",
                "arrive = { player = \"partner\", at = { after-game = 2 } }\n[[steps]]\n\
                 arrive = { player = \"survivor\", at = \"end\" }",
            )
            .replace("at = \"in-game\" }", "at = \"before-game-2\", game = 2 }");
        let catalogue = read(&text).expect("it is good");
        let body = &catalogue.specs["concern/name"].body;
        let steps: Vec<String> = body.steps.iter().map(ToString::to_string).collect();
        assert_eq!(
            steps[..2],
            [
                "partner arrives at the scene after game 2",
                "survivor arrives at the end"
            ]
        );
        let too_many = text.replace("games = 2", "games = 1");
        assert!(error(&too_many).contains("unknown moment `before-game-2`"));
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
            with_steps(&[hide, "start = {}"]),
            with_steps(&["leave = { player = \"partner\", how = \"vanish\" }"]),
            with_steps(&[
                "leave = { player = \"partner\", how = \"kill\", at = { after = \"lunch\" } }",
            ]),
        ];
        let errors: Vec<String> = mistakes.iter().map(|text| error(text)).collect();
        insta::assert_snapshot!(errors.join("\n"));
    }

    #[test]
    fn a_mutant_that_is_proven_equivalent_is_neither_tried_nor_counted() {
        let proven = MUTANT.replace(
            "[[edits]]",
            "equivalent = \"Nothing reads `a`.\"\n[[edits]]",
        );
        let both = [("sharp", MUTANT), ("blunt", proven.as_str())];
        let catalogue = read_with(GOOD, &both).expect("they are good");
        let tried: Vec<&str> = catalogue
            .mutants
            .iter()
            .map(|one| one.name.as_str())
            .collect();
        assert_eq!(tried, ["sharp"]);
        let covered = &catalogue.coverage()[0];
        assert_eq!(covered.mutants, ["sharp"]);
        assert_eq!(covered.equivalents, ["blunt"]);
        let killed = catalogue.killed_by("connections-closed");
        assert_eq!(killed, [("concern/name", "sharp")]);
        assert!(catalogue.mutant("sharp").is_ok());
        let refused = catalogue.mutant("blunt").expect_err("it is not tried");
        assert_eq!(
            refused.to_string(),
            "the mutant `blunt` is proven equivalent, and is not tried: Nothing reads `a`."
        );
        let alone = read_with(GOOD, &both[1..]).expect("it is good");
        assert_eq!(alone.coverage()[0].lacks(), ["mutant"]);
    }

    /// Another spec that must find a mutant.
    fn elsewhere(spec: &str, check: &str) -> String {
        format!("[[elsewhere]]\nspec = \"{spec}\"\ncheck = \"{check}\"\n[[edits]]")
    }

    #[test]
    fn each_mistake_in_a_mutant_names_its_place() {
        let mistakes = [
            MUTANT.replace("[[edits]]", "equivalent = \" \"\n[[edits]]"),
            MUTANT.replace("[[edits]]", "equivalent = true\n[[edits]]"),
            MUTANT.replace(
                "[[edits]]",
                "equivalent = \"p\"\nalso = [{ check = \"connections-closed\", reason = \"r\" }]\n[[edits]]",
            ),
            MUTANT.replace("\"connections-closed\"", "\"connections-shut\""),
            MUTANT.replace("[[edits]]", &elsewhere("concern/other", "connections-closed")),
            MUTANT.replace("[[edits]]", &elsewhere("concern/name", "connections-shut")),
            MUTANT.replace("[[edits]]", &elsewhere("concern/name", "connections-closed")),
            MUTANT.replace("[[edits]]", &also("connections-closed")),
            MUTANT.replace(
                "[[edits]]",
                &also("connections-closed").replace("check =", "spec = \"concern/name\"\ncheck ="),
            ),
            MUTANT.replace("find = \"a\"", "find = \" \""),
            MUTANT.replace("replace = \"b\"", "replace = \"a\""),
            MUTANT.replace("\"f.js\"", "\"\""),
        ];
        let mistakes = mistakes.map(|text| {
            let error = read_with(GOOD, &[("m", &text)]).expect_err("a mistake");
            placed(error.each()[0])
        });
        insta::assert_snapshot!(mistakes.join("\n"), @r"
        m.toml:6:1: expected the proof from the code that nobody can tell the mutant from the original
        m.toml:6:14: invalid type: boolean `true`, expected a string
        m.toml:7:1: a mutant that is proven equivalent makes no check fail: expected no [[also]] and no [[elsewhere]]
        m.toml:5:10: unknown check `connections-shut`, expected one of: connections-closed; did you mean `connections-closed`?
        m.toml:7:9: unknown spec `concern/other`, expected one of: concern/name; did you mean `concern/name`?
        m.toml:8:10: unknown check `connections-shut`, expected one of: connections-closed; did you mean `connections-closed`?
        m.toml:7:9: `concern/name` judges a run on which the mutant is tried already: expected a spec whose steps are others
        m.toml:7:10: `connections-closed` is the check that must say `fail`: expected another one under [[also]]
        m.toml:8:10: `connections-closed` is the check that must say `fail`: expected another one under [[also]]
        m.toml:8:1: expected the text that the edit replaces, as it stands in the file
        m.toml:9:1: the edit puts the same text there that it finds: expected another one
        m.toml:7:1: expected the end of a file's path, as `static/js/index.js`
        ");
    }

    #[test]
    fn a_mutant_breaks_what_its_check_is_tied_to() {
        let requirement = "[OWN-01]\nholds = \"x\"\nwhy = \"y\"\nsource = \"z\"\n";
        let mutant = MUTANT.replace("P2P-01", "OWN-01");
        let own = [
            ("requirements.toml", requirement),
            ("mutants/own.toml", mutant.as_str()),
        ];
        let text = read_own(&own)
            .expect_err("it proves nothing of OWN-01")
            .to_string();
        let said = "own.toml:3:16: the check `connections-closed` of concern/name is tied to P2P-01, expected that \
                    requirement, or a check that is tied to OWN-01";
        assert!(text.ends_with(said), "{text}");
    }

    /// Another check that may fail with a mutant.
    fn also(check: &str) -> String {
        format!("[[also]]\ncheck = \"{check}\"\nreason = \"r\"\n[[edits]]")
    }

    #[test]
    fn an_edit_of_a_repair_changes_something_too() {
        let repair = "mends = \"It.\"\nrequirement = \"P2P-01\"\n\
                      edits = [{ file = \"f\", find = \"a\", replace = \"a\" }]\n";
        let error = read_own(&[("repairs/mend.toml", repair)]).expect_err("nothing is mended");
        let text = error.to_string();
        assert!(text.contains("mend.toml:3:36: the edit puts"), "{text}");
    }

    #[test]
    fn a_spec_names_each_pair_once() {
        let with = |pairs: &str| {
            GOOD.replace(
                "title = \"A spec\"",
                &format!("title = \"A spec\"\npairs = [{pairs}]\n# pairs = [\"chrome+chrome\"]"),
            )
        };
        read(&with("\"chrome+chrome\", \"chrome+firefox\"")).expect("two pairs");
        insta::assert_snapshot!(
            error(&with("\"chrome+chrome\", \"chrome+firefox\", \"chrome+chrome\"")),
            @"name.toml:3:46: the pair `chrome+chrome` stands here twice, expected each one once"
        );
    }

    #[test]
    fn a_folder_without_specs_is_an_error() {
        let root = tempfile::tempdir().expect("a folder");
        std::fs::create_dir_all(root.path().join("specs")).expect("a folder");
        std::fs::write(root.path().join("specs/requirements.toml"), "").expect("a file");
        let error = Catalogue::read(root.path()).expect_err("nothing to run");
        assert!(error.to_string().contains("holds no spec"), "{error}");
    }

    #[test]
    fn all_mistakes_of_a_file_are_told_each_at_its_own_place() {
        let parts = GOOD
            .replace("join = {}", "jion = {}")
            .replace("ask = {", "aks = {")
            .replace("title =", "titel =");
        insta::assert_snapshot!(error(&parts).lines().map(|line| {
            line.split(", expected").next().unwrap_or(line).to_owned()
        }).collect::<Vec<_>>().join("\n"), @r"
        name.toml:2:1: unknown field `titel`
        name.toml:4:1: unknown name `jion`
        name.toml:9:1: unknown field `aks`
        ");
        let twice = "[[checks]]\nas = \"b\"\nrequirement = \"P2P-98\"\n\
                     ask = { connections-closed = { at = \"later\" } }\n";
        let names = GOOD.replace("\"P2P-01\"", "\"P2P-98\"") + twice;
        insta::assert_snapshot!(error(&names), @r"
        name.toml:8:16: unknown requirement `P2P-98`, expected one of: P2P-01; did you mean `P2P-01`?
        name.toml:12:16: unknown requirement `P2P-98`, expected one of: P2P-01; did you mean `P2P-01`?
        name.toml:13:38: unknown moment `later`, expected one of: before-game, in-game
        ");
        let grammar = GOOD
            .replace("[[checks]]", "[[checks]")
            .replace("= \"A spec\"", "= A spec");
        assert_eq!(error(&grammar).lines().count(), 2, "{}", error(&grammar));
    }

    #[test]
    fn what_hangs_on_a_file_with_a_mistake_is_not_told_to_be_wrong_as_well() {
        let bad = GOOD.replace("join = {}", "jion = {}");
        let error = read_with(&bad, &[("m", MUTANT)]).expect_err("a mistake");
        assert_eq!(error.each().len(), 1, "{error}");
        let plays = "title = \"Mine\"\nplays = \"mine/bad\"\n[[checks]]\n\
                     requirement = \"P2P-01\"\nask = { played-peer-to-peer = {} }\n";
        let error = read_own(&[("mine/bad.toml", &bad), ("mine/plays.toml", plays)]);
        let error = error.expect_err("a mistake");
        assert_eq!(error.each().len(), 1, "{error}");
        let unknown = MUTANT.replace("concern/name", "concern/nam");
        let error = read_with(&bad, &[("m", &unknown)]).expect_err("mistakes");
        assert_eq!(error.each().len(), 2, "{error}");
        assert!(
            error.to_string().contains("did you mean `concern/name`?"),
            "{error}"
        );
    }

    /// A checkout with the good spec, and a user's own folder with these files.
    fn read_own(files: &[(&str, &str)]) -> Result<Catalogue, SpecError> {
        let root = checkout(GOOD, &[("m", MUTANT)]);
        let own = tempfile::tempdir().expect("a folder");
        for (path, text) in files {
            let path = own.path().join(path);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            std::fs::write(path, text).expect("a file");
        }
        Catalogue::read_with(root.path(), Some(own.path()))
    }

    #[test]
    fn a_users_own_folder_stands_beside_the_checkout() {
        let plays = "title = \"Mine\"\nplays = \"concern/name\"\n[[checks]]\n\
                     requirement = \"OWN-01\"\nask = { played-peer-to-peer = {} }\n";
        let known = "[[known]]\nspec = \"mine/plays\"\ncheck = \"played-peer-to-peer\"\n\
                     verdict = \"fail\"\nreason = \"r\"\n";
        let catalogue = read_own(&[
            ("requirements.toml", "[OWN-01]\nholds = \"x\"\nwhy = \"y\"\nsource = \"z\"\n"),
            ("mine/plays.toml", plays),
            ("mutants/own.toml", MUTANT),
            ("repairs/mend.toml", "mends = \"It.\"\nrequirement = \"P2P-01\"\nedits = [{ file = \"f\", find = \"a\", replace = \"b\" }]\n"),
            ("expectations/mug@0.1.3.toml", known),
            (".taplo.toml", "not = for us"),
            (".hidden/a.toml", "not = for us"),
        ])
        .expect("all is good");
        let own = catalogue.own.as_ref().expect("a folder");
        assert!(own.folder.is_absolute());
        assert_eq!(own.specs, BTreeSet::from(["mine/plays".to_owned()]));
        assert_eq!(own.mutants, BTreeSet::from(["own".to_owned()]));
        assert_eq!(catalogue.specs.len(), 2);
        assert_eq!(catalogue.specs["mine/plays"].scenario(), "concern/name");
        let defaults = catalogue.default_specs().expect("own specs");
        assert_eq!(defaults.len(), 1, "the specs of the folder only");
        assert_eq!(catalogue.requirements.len(), 2);
        assert!(catalogue.repair("mend").is_ok());
        assert_eq!(catalogue.expectations["mug@0.1.3"].len(), 1);
        // The checkout's mutants cannot know a user's specs; the user's own can.
        let strangers = |name: &str| catalogue.mutant(name).expect("a mutant")[0].strangers.len();
        assert_eq!((strangers("m"), strangers("own")), (1, 0));
    }

    #[test]
    fn a_name_that_the_checkout_has_is_a_mistake_in_a_users_own_folder() {
        let requirement = "[P2P-01]\nholds = \"x\"\nwhy = \"y\"\nsource = \"z\"\n";
        for (path, text, taken) in [
            ("concern/name.toml", GOOD, "a spec `concern/name`"),
            ("mutants/m.toml", MUTANT, "a mutant `m`"),
            ("requirements.toml", requirement, "a requirement `P2P-01`"),
        ] {
            let error = read_own(&[(path, text)]).expect_err("it is taken");
            let text = error.to_string();
            assert!(text.contains(&format!("{path}:")), "{text}");
            assert!(
                text.contains(&format!("there is {taken} already")),
                "{text}"
            );
        }
    }

    #[test]
    fn what_would_never_run_is_a_mistake() {
        for path in ["name.toml", "concern/deeper/name.toml"] {
            let error = read_own(&[(path, GOOD)]).expect_err("nobody looks there");
            let text = error.to_string();
            assert!(
                text.contains("expected ") && text.contains("/CONCERN/NAME.toml"),
                "{text}"
            );
        }
        let empty = read_own(&[]).expect("nothing is wrong with it");
        let error = empty.default_specs().expect_err("nothing to run");
        assert!(
            error.to_string().contains("holds no spec of your own"),
            "{error}"
        );
        let root = checkout(GOOD, &[]);
        let error = Catalogue::read_with(root.path(), Some(Path::new("/no/such/folder")));
        let text = error.expect_err("no folder").to_string();
        assert!(
            text.contains("gymcheck new CONCERN/NAME --specs /no/such/folder"),
            "{text}"
        );
    }

    #[test]
    fn a_verdict_is_known_once() {
        let known = "[[known]]\nspec = \"concern/name\"\ncheck = \"connections-closed\"\n\
                     verdict = \"fail\"\nreason = \"r\"\n";
        let on = |pair: &str| format!("{known}pairs = [\"{pair}\"]\n");
        let file = |text: &str| read_own(&[("expectations/t.toml", text)]);
        file(&(on("chrome+chrome") + &on("firefox+firefox"))).expect("two pairs");
        let error = file(&(on("chrome+chrome") + known))
            .expect_err("twice")
            .to_string();
        assert!(error.contains("t.toml:9:10: the verdict of"), "{error}");
        assert!(
            error.contains("on chrome+chrome is known already"),
            "{error}"
        );
    }
}

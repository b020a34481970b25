//! Reading a checkout's specs, mutants and requirements, strictly.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::check_faults;
use super::check_presence;
use super::error::SpecError;
use super::expectation::{Expectation, ExpectationFile};
use super::game::GameNumber;
use super::model::{CheckSpec, Question, Spec, SpecBody, Step, Told};
use super::mutant::{Edit, ExcusedCheck, Mutant};
use super::repair::Repair;

/// Where expectations stand, in one file for each target.
const EXPECTATIONS: &str = "specs/expectations";

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

impl Catalogue {
    /// Reads everything below a checkout's folder.
    ///
    /// # Errors
    /// A file cannot be read, or says something that it must not.
    pub fn read(root: &Path) -> Result<Catalogue, SpecError> {
        let requirements: BTreeMap<String, Requirement> =
            read_toml(&root.join("specs/requirements.toml"))?;
        let repairs = read_repairs(&root.join("fixtures/repairs"), &requirements)?;
        let specs = read_specs(&root.join("specs"), &requirements, &repairs)?;
        let known = Known {
            requirements: &requirements,
            specs: &specs,
            repairs: &repairs,
        };
        let mutants = read_mutants(&root.join("fixtures/mutants"), &known)?;
        let (equivalents, mutants) = mutants
            .into_iter()
            .partition(|mutant| mutant.equivalent.is_some());
        let expectations = read_expectations(&root.join(EXPECTATIONS), &known)?;
        Ok(Catalogue {
            root: root.to_owned(),
            specs,
            mutants,
            equivalents,
            repairs,
            expectations,
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

/// What files may refer to.
struct Known<'a> {
    requirements: &'a BTreeMap<String, Requirement>,
    specs: &'a BTreeMap<String, Spec>,
    repairs: &'a BTreeMap<String, Repair>,
}

/// A file with its text, to say where in it something is wrong.
struct Source {
    path: PathBuf,
    text: String,
}

impl Source {
    fn read(path: &Path) -> Result<Source, SpecError> {
        Ok(Source {
            path: path.to_owned(),
            text: read_text(path)?,
        })
    }

    fn parse<T: DeserializeOwned>(&self) -> Result<T, SpecError> {
        parse(&self.path, &self.text)
    }

    /// Something is wrong where `name` stands.
    fn wrong(&self, name: &str, message: String) -> SpecError {
        self.wrong_at(place_of(&self.text, name), message)
    }

    /// Something is wrong with the file as a whole.
    fn wrong_as_a_whole(&self, message: String) -> SpecError {
        self.wrong_at(None, message)
    }

    fn wrong_at(&self, span: Option<Range<usize>>, message: String) -> SpecError {
        SpecError::at(&self.path, &self.text, span, message)
    }

    /// A name of this kind must be one of the known ones.
    fn known<'a>(
        &self,
        kind: &str,
        name: &str,
        known: impl Iterator<Item = &'a str>,
    ) -> Result<(), SpecError> {
        let known: Vec<&str> = known.collect();
        if known.contains(&name) {
            return Ok(());
        }
        let expected = join(known.iter());
        Err(self.wrong(
            name,
            format!("unknown {kind} `{name}`, expected one of: {expected}"),
        ))
    }
}

fn read_specs(
    folder: &Path,
    requirements: &BTreeMap<String, Requirement>,
    repairs: &BTreeMap<String, Repair>,
) -> Result<BTreeMap<String, Spec>, SpecError> {
    let mut sources = Vec::new();
    let mut bodies: BTreeMap<String, SpecBody> = BTreeMap::new();
    let is_concern = |path: &PathBuf| path.is_dir() && !path.ends_with("expectations");
    for concern in sorted_entries(folder)?.into_iter().filter(is_concern) {
        for path in toml_files(&concern)? {
            let name = format!("{}/{}", stem(&concern), stem(&path));
            let source = Source::read(&path)?;
            bodies.insert(name.clone(), source.parse()?);
            sources.push((name, source));
        }
    }
    let mut specs = BTreeMap::new();
    for (name, source) in sources {
        let body = with_steps(&name, &source, &bodies)?;
        check_names(&source, &body, requirements)?;
        for repair in &body.repairs {
            source.known("repair", repair, repairs.keys().map(String::as_str))?;
        }
        specs.insert(name.clone(), Spec { name, body });
    }
    if specs.is_empty() {
        return Err(SpecError::Nothing {
            path: folder.to_owned(),
            kind: "spec",
        });
    }
    Ok(specs)
}

/// What a spec says, with the steps and the experiment of the one that it plays.
fn with_steps(
    name: &str,
    source: &Source,
    bodies: &BTreeMap<String, SpecBody>,
) -> Result<SpecBody, SpecError> {
    let mut body = bodies[name].clone();
    let Some(plays) = body.plays.clone() else {
        if body.steps.is_empty() {
            let message =
                "expected [[steps]], or `plays` with the name of a spec whose run it judges";
            return Err(source.wrong_as_a_whole(message.to_owned()));
        }
        return Ok(body);
    };
    let own = |body: &&SpecBody| body.plays.is_none();
    let playable = bodies.iter().filter(|(_, body)| own(body));
    source.known("spec", &plays, playable.map(|(name, _)| name.as_str()))?;
    let has_experiment = source.parse::<toml::Table>()?.contains_key("experiment");
    if !body.steps.is_empty() || has_experiment || !body.repairs.is_empty() {
        return Err(source.wrong(
            "plays",
            format!(
                "a spec that plays `{plays}` takes its steps, its experiment and its repairs: \
                 expected none of its own"
            ),
        ));
    }
    let played = &bodies[&plays];
    body.steps.clone_from(&played.steps);
    body.experiment.clone_from(&played.experiment);
    body.repairs.clone_from(&played.repairs);
    Ok(body)
}

fn read_repairs(
    folder: &Path,
    requirements: &BTreeMap<String, Requirement>,
) -> Result<BTreeMap<String, Repair>, SpecError> {
    let mut repairs = BTreeMap::new();
    for path in toml_files_if_any(folder)? {
        let source = Source::read(&path)?;
        let mut repair: Repair = source.parse()?;
        repair.name = stem(&path);
        let known = requirements.keys().map(String::as_str);
        source.known("requirement", &repair.requirement, known)?;
        not_empty(&source, "repair", &repair.edits)?;
        repairs.insert(repair.name.clone(), repair);
    }
    Ok(repairs)
}

fn read_mutants(folder: &Path, known: &Known<'_>) -> Result<Vec<Mutant>, SpecError> {
    let requirement_of = |spec: &str, check: &str| {
        let checks = &known.specs[spec].body.checks;
        let check = checks.iter().find(|one| one.name() == check);
        check.map(|one| one.requirement.clone()).unwrap_or_default()
    };
    let mut mutants = Vec::new();
    for path in toml_files(folder)? {
        let source = Source::read(&path)?;
        let mut mutant: Mutant = source.parse()?;
        mutant.name = stem(&path);
        check_mutant(&source, &mutant, known)?;
        mutants.extend(mutant.on_each_spec(requirement_of));
    }
    Ok(mutants)
}

fn check_mutant(source: &Source, mutant: &Mutant, known: &Known<'_>) -> Result<(), SpecError> {
    let requirements = known.requirements.keys().map(String::as_str);
    source.known("requirement", &mutant.requirement, requirements)?;
    check_place(source, &mutant.spec, &mutant.check, &mutant.also, known)?;
    let elsewhere = mutant.elsewhere.iter();
    for place in elsewhere.clone() {
        check_place(source, &place.spec, &place.check, &place.also, known)?;
    }
    // What one run decides is decided once: another check that fails in it stands under [[also]].
    let scenario = |spec: &str| known.specs[spec].scenario();
    let mut played = BTreeSet::from([scenario(&mutant.spec)]);
    for place in elsewhere.clone() {
        if !played.insert(scenario(&place.spec)) {
            return Err(source.wrong(
                &place.spec,
                format!(
                    "`{}` judges a run on which the mutant is tried already: expected a spec \
                     whose steps are others",
                    place.spec
                ),
            ));
        }
    }
    let theirs = elsewhere.filter_map(|place| place.repairs.as_ref());
    for repair in theirs.flatten().chain(&mutant.repairs) {
        let repairs = known.repairs.keys().map(String::as_str);
        source.known("repair", repair, repairs)?;
    }
    check_proof(source, mutant)?;
    not_empty(source, "mutant", &mutant.edits)
}

/// A spec that must find a mutant, its check, and the checks that may fail there too.
fn check_place(
    source: &Source,
    spec: &str,
    check: &str,
    also: &[ExcusedCheck],
    known: &Known<'_>,
) -> Result<(), SpecError> {
    source.known("spec", spec, known.specs.keys().map(String::as_str))?;
    let own = &known.specs[spec];
    source.known("check", check, checks_of(own))?;
    for also in also {
        let name = also.spec.as_deref().unwrap_or(spec);
        let judging = known.specs.values();
        let judging = judging.filter(|spec| spec.scenario() == own.scenario());
        source.known("spec", name, judging.map(|spec| spec.name.as_str()))?;
        source.known("check", &also.check, checks_of(&known.specs[name]))?;
    }
    Ok(())
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

fn not_empty(source: &Source, kind: &str, edits: &[Edit]) -> Result<(), SpecError> {
    if edits.is_empty() {
        let message = format!("a {kind} changes something: expected at least one table [[edits]]");
        return Err(source.wrong_as_a_whole(message));
    }
    Ok(())
}

fn read_expectations(
    folder: &Path,
    known: &Known<'_>,
) -> Result<BTreeMap<String, Vec<Expectation>>, SpecError> {
    let mut expectations = BTreeMap::new();
    for path in toml_files_if_any(folder)? {
        let source = Source::read(&path)?;
        let file: ExpectationFile = source.parse()?;
        for one in &file.known {
            source.known("spec", &one.spec, known.specs.keys().map(String::as_str))?;
            source.known("check", &one.check, checks_of(&known.specs[&one.spec]))?;
            for repair in &one.mended_by {
                let repairs = known.repairs.keys().map(String::as_str);
                source.known("repair", repair, repairs)?;
            }
        }
        expectations.insert(stem(&path), file.known);
    }
    Ok(expectations)
}

/// Checks the names by which the parts of a spec refer to each other.
fn check_names(
    source: &Source,
    body: &SpecBody,
    requirements: &BTreeMap<String, Requirement>,
) -> Result<(), SpecError> {
    let (rules, mut moments) = check_steps(source, body)?;
    let automatic = moments_of_games(body);
    moments.extend(automatic.iter().map(String::as_str));
    let mut checks = BTreeSet::new();
    for check in &body.checks {
        let name = check.name();
        if !checks.insert(name) {
            return Err(source.wrong(
                name,
                format!(
                    "two checks are named `{name}`, expected `as = \"…\"` with another name for one"
                ),
            ));
        }
        let known = requirements.keys().map(String::as_str);
        source.known("requirement", &check.requirement, known)?;
        for moment in check.ask.moments() {
            source.known("moment", moment, moments.iter().copied())?;
        }
        for rule in check.ask.rules() {
            source.known("rule", rule, rules.iter().copied())?;
        }
        if let Some(message) = half_alone(check, body) {
            return Err(source.wrong("by-target", message));
        }
        if let Some(game) = missing_game(check, body) {
            let games = body.experiment.games;
            return Err(source.wrong(
                &format!("game = {game}"),
                format!("the experiment has no game {game}: its setting `games` is {games}"),
            ));
        }
    }
    if body.checks.is_empty() {
        return Err(source.wrong_as_a_whole(
            "a spec without a check proves nothing: expected at least one table [[checks]]"
                .to_owned(),
        ));
    }
    if body.pairs.is_empty() {
        let message = "expected at least one pair of browsers";
        return Err(source.wrong("pairs", message.to_owned()));
    }
    Ok(())
}

/// Checks the steps of a spec. Gives the names of the rules that they set, and of the moments that
/// they observe.
fn check_steps<'a>(
    source: &Source,
    body: &'a SpecBody,
) -> Result<(BTreeSet<&'a str>, BTreeSet<&'a str>), SpecError> {
    let mut rules = BTreeSet::new();
    let mut moments = BTreeSet::new();
    for step in &body.steps {
        if let Some(rule) = step.rule() {
            if let Some(mistake) = check_faults::mistake(step, &body.experiment) {
                return Err(source.wrong_at(Some(mistake.span), mistake.message));
            }
            if !rules.insert(rule.as_str()) {
                let message =
                    format!("two rules are named `{rule}`, expected another name for each");
                return Err(source.wrong_at(Some(rule.span()), message));
            }
        }
        match step {
            Step::Release(rule) => source.known("rule", rule, rules.iter().copied())?,
            Step::Observe(observe) if !moments.insert(observe.label.as_str()) => {
                let label = &observe.label;
                let message =
                    format!("two steps observe `{label}`, expected another name for each");
                return Err(source.wrong(label, message));
            }
            _ => {}
        }
    }
    match check_presence::mistake(&body.steps) {
        Some((player, message)) => Err(source.wrong(player.as_str(), message)),
        None => Ok((rules, moments)),
    }
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

/// Where a name stands in a text, as a quoted string if possible.
fn place_of(text: &str, name: &str) -> Option<Range<usize>> {
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

/// Those of a folder that need not be there.
fn toml_files_if_any(folder: &Path) -> Result<Vec<PathBuf>, SpecError> {
    if folder.is_dir() {
        toml_files(folder)
    } else {
        Ok(Vec::new())
    }
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
        ];
        let mistakes = mistakes.map(|text| {
            let error = read_with(GOOD, &[("m", &text)]).expect_err("a mistake");
            let text = error.to_string();
            let (_, place) = text.split_once("/fixtures/mutants/").expect("a path");
            place.to_owned()
        });
        insta::assert_snapshot!(mistakes.join("\n"), @r"
        m.toml:6:1: expected the proof from the code that nobody can tell the mutant from the original
        m.toml:6:14: invalid type: boolean `true`, expected a string
        m.toml:7:1: a mutant that is proven equivalent makes no check fail: expected no [[also]] and no [[elsewhere]]
        m.toml:5:10: unknown check `connections-shut`, expected one of: connections-closed
        m.toml:7:9: unknown spec `concern/other`, expected one of: concern/name
        m.toml:8:10: unknown check `connections-shut`, expected one of: connections-closed
        m.toml:7:9: `concern/name` judges a run on which the mutant is tried already: expected a spec whose steps are others
        ");
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

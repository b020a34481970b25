//! What helps people to write specs is true: the schemas, the guide, `gymcheck new` and `gymcheck check`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use gymcheck::report::judge_again;
use gymcheck::run::{Fate, Selection, fate_of, find_root};
use gymcheck::spec::{
    Background, Catalogue, CheckSpec, ExitPath, GameEvent, Leave, Reading, ServerEvent, SpecError,
    Step, files_below, schema_files, template,
};
use gymcheck::verdict::Verdict;
use jsonschema::Validator;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

#[path = "support/guide.rs"]
mod guide;

fn validator(name: &str) -> Validator {
    let (_, text) = schema_files()
        .into_iter()
        .find(|(file, _)| *file == name)
        .expect("a schema");
    let schema = serde_json::from_str(&text).expect("JSON");
    jsonschema::validator_for(&schema).expect("a schema")
}

fn value(text: &str) -> Value {
    toml::from_str(text).expect("TOML")
}

/// The files of the checkout, each with the schema that `.taplo.toml` gives it.
fn files_with_schemas() -> Vec<(PathBuf, &'static str)> {
    let root = find_root();
    let below = |folder: &str| files_below(&root.join(folder)).into_iter();
    let schema_of_spec = |path: &Path| match path {
        path if path.ends_with("requirements.toml") => "requirements.schema.json",
        path if path
            .parent()
            .is_some_and(|folder| folder.ends_with("expectations")) =>
        {
            "expectations.schema.json"
        }
        _ => "spec.schema.json",
    };
    let specs = below("specs").map(|path| (path.clone(), schema_of_spec(&path)));
    let mutants = below("fixtures/mutants").map(|path| (path, "mutant.schema.json"));
    let repairs = below("fixtures/repairs").map(|path| (path, "repair.schema.json"));
    specs.chain(mutants).chain(repairs).collect()
}

#[test]
fn the_schemas_in_the_checkout_are_those_of_the_code() {
    let folder = find_root().join("schema");
    for (name, text) in schema_files() {
        let file = folder.join(name);
        if std::env::var_os("GYMCHECK_WRITE_SCHEMA").is_some() {
            guide::write(&file, &text);
        }
        let there = std::fs::read_to_string(&file).unwrap_or_default();
        assert!(
            there == text,
            "schema/{name} is not up to date: GYMCHECK_WRITE_SCHEMA=1 cargo test --test writing writes it"
        );
    }
}

#[test]
fn every_file_of_the_checkout_is_valid() {
    let files = files_with_schemas();
    assert!(files.len() > 100, "{}", files.len());
    for (path, schema) in files {
        let text = std::fs::read_to_string(&path).expect("it can be read");
        let errors: Vec<String> = validator(schema)
            .iter_errors(&value(&text))
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert_eq!(errors, Vec::<String>::new(), "{}", path.display());
    }
}

#[test]
fn what_cannot_be_read_is_not_valid() {
    let spec = validator("spec.schema.json");
    let good = template("s");
    assert!(good.starts_with("#:schema s\n"));
    assert!(spec.is_valid(&value(&good)));
    for (right, wrong) in [
        ("title =", "titel ="),
        ("chrome+chrome", "chrome+opera"),
        ("join = {}", "jion = {}"),
        ("join = {}", "join = { player = \"survivor\" }"),
        ("how = \"kill\"", "how = \"vanish\""),
        ("player = \"survivor\", at", "player = \"stranger\", at"),
        ("event = \"advance_scene\"", "event = \"advance_scen\""),
        ("event = \"p2p_game_ended\"", "event = \"activate_scene\""),
        ("form-answered", "form-answred"),
        ("steps = 60 ", "steps = -60 "),
        ("frame_rate", "frame-rate"),
    ] {
        assert!(good.contains(right), "{right}");
        let bad = good.replacen(right, wrong, 1);
        assert!(!spec.is_valid(&value(&bad)), "{wrong}");
    }
    let mutant = validator("mutant.schema.json");
    assert!(!mutant.is_valid(&json!({ "breaks": "It.", "requirement": "P2P-01" })));
    let known = validator("expectations.schema.json");
    let pass =
        json!({ "known": [{ "spec": "a/b", "check": "c", "verdict": "pass", "reason": "r" }] });
    assert!(!known.is_valid(&pass), "what passes needs no reason");
}

#[test]
fn whoever_completes_a_name_is_told_what_it_is() {
    for (name, text) in schema_files() {
        let schema: Value = serde_json::from_str(&text).expect("JSON");
        let properties = schema["properties"].as_object().into_iter().flatten();
        let mut silent = properties.filter(|(_, one)| one["description"].as_str().is_none());
        assert!(silent.next().is_none(), "{name}");
    }
    let (_, text) = &schema_files()[0];
    let schema: Value = serde_json::from_str(text).expect("JSON");
    let step = &schema["definitions"]["Step"]["oneOf"];
    let steps = step.as_array().expect("the kinds of step");
    assert_eq!(steps.len(), names::<Step>().len());
    assert!(steps.iter().all(|one| one["description"].is_string()));
}

/// The names that an enum of the format knows, as its reader tells them.
fn names<T: DeserializeOwned>() -> BTreeSet<String> {
    let unknown = serde_json::from_value::<T>(json!({ "no such thing": {} }));
    names_in(&unknown.err().expect("there is no such name").to_string())
}

/// The same for the field of a table.
fn names_of_field<T: DeserializeOwned>(table: Value) -> BTreeSet<String> {
    let unknown = serde_json::from_value::<T>(table);
    names_in(&unknown.err().expect("there is no such name").to_string())
}

fn names_in(error: &str) -> BTreeSet<String> {
    let (_, known) = error.split_once("expected").expect("what was expected");
    let known = known.split('`').skip(1).step_by(2);
    known.map(str::to_owned).collect()
}

/// The kinds of thing that a piece of a spec shows: `step leave`, `leave kill`, `ask no-overlay`.
fn shown_by(text: &str) -> BTreeSet<String> {
    let table = value(text);
    let list = |name: &str| table[name].as_array().cloned().unwrap_or_default();
    let mut shown = BTreeSet::new();
    for step in list("steps") {
        for (kind, what) in step.as_object().into_iter().flatten() {
            shown.insert(format!("step {kind}"));
            let way = what["how"].as_str();
            shown.extend(way.map(|way| format!("{kind} {way}")));
            let until = what["until"].as_str();
            shown.extend(until.map(|until| format!("{kind} {until}")));
            let role = what["at"].as_str().map(str::to_owned);
            let role = role.or_else(|| Some(what["at"].as_object()?.keys().next()?.clone()));
            shown.extend(role.map(|role| format!("{kind} {role}")));
        }
    }
    for check in list("checks") {
        let question = check["ask"].as_object().into_iter().flatten();
        shown.extend(question.map(|(name, _)| format!("ask {name}")));
    }
    shown
}

/// All files of the checkout that are run or tried, to take fragments from.
fn texts_of_checkout() -> Vec<String> {
    let files = files_with_schemas().into_iter();
    files
        .map(|(path, _)| std::fs::read_to_string(path).expect("it can be read"))
        .collect()
}

#[test]
fn the_guides_whole_files_can_be_read_as_a_folder_of_ones_own() {
    let folder = guide::folder();
    let reading = Reading::of(&find_root(), Some(folder.path())).expect("folders");
    let mistakes: Vec<String> = reading.mistakes.iter().map(ToString::to_string).collect();
    assert_eq!(mistakes, Vec::<String>::new());
    let own = reading.catalogue.own.expect("a folder");
    assert!(
        (1..=3).contains(&own.specs.len()),
        "few, since they are run"
    );
    assert!(!own.mutants.is_empty());
}

#[test]
fn the_guides_first_spec_is_what_new_writes() {
    let examples = guide::examples();
    let whole = |block: &&guide::Block| {
        block.file().as_deref() == Some(Path::new("first/partner-leaves.toml"))
    };
    let first = examples.iter().find(whole).expect("the first spec");
    assert_eq!(value(&first.text), value(&template("s")));
}

#[test]
fn the_guides_fragments_are_parts_of_specs_that_are_run_or_show_what_none_has() {
    let texts = texts_of_checkout();
    let specs = files_below(&find_root().join("specs")).into_iter();
    let run: BTreeSet<String> = specs
        .filter(|path| !path.ends_with("requirements.toml"))
        .flat_map(|path| shown_by(&std::fs::read_to_string(path).expect("it can be read")))
        .collect();
    let mut others = 0;
    for block in guide::examples()
        .iter()
        .filter(|block| block.file().is_none())
    {
        let text = block.text.trim_end();
        if texts.iter().any(|whole| whole.contains(text)) {
            continue;
        }
        let shown = shown_by(&block.text);
        assert!(
            shown.difference(&run).next().is_some(),
            "line {}: a spec has such a thing; take it from there, word for word:\n{text}",
            block.line
        );
        read_in_a_spec(block);
        others += 1;
    }
    assert!(others > 3, "{others}");
}

/// A fragment can be read where it would stand in a spec.
fn read_in_a_spec(block: &guide::Block) {
    let own = tempfile::tempdir().expect("a folder");
    let spec = format!(
        "title = \"A fragment\"\n\n[experiment]\ngames = 2\n\n[[steps]]\njoin = {{}}\n\n{}\n\
         [[checks]]\nrequirement = \"LIFE-01\"\nask = {{ scene-order = {{}} }}\n",
        block.text
    );
    guide::write(&own.path().join("guide/fragment.toml"), &spec);
    if let Err(error) = Catalogue::read_with(&find_root(), Some(own.path())) {
        panic!("line {}: {error}", block.line);
    }
}

#[test]
fn the_guide_has_an_example_of_everything() {
    let shown: BTreeSet<String> = guide::examples()
        .iter()
        .flat_map(|block| shown_by(&block.text))
        .collect();
    let of = |kind: &str, names: BTreeSet<String>| {
        names
            .into_iter()
            .map(move |name| format!("{kind} {name}"))
            .collect::<Vec<_>>()
    };
    let bad_check = json!({ "requirement": "r", "ask": { "no such thing": {} } });
    let all = [
        of("step", names::<Step>()),
        of("ask", names_of_field::<CheckSpec>(bad_check)),
        of(
            "leave",
            names_of_field::<Leave>(json!({ "player": "partner", "how": "?" })),
        ),
        of(
            "background",
            names_of_field::<Background>(json!({ "player": "partner", "how": "?" })),
        ),
        of(
            "play",
            names_of_field::<gymcheck::spec::Play>(json!({ "until": "?" })),
        ),
        of(
            "arrive",
            names_of_field::<gymcheck::spec::Arrive>(json!({ "player": "partner", "at": "?" })),
        ),
    ];
    let all: Vec<String> = all.into_iter().flatten().collect();
    assert!(all.len() > 45, "{}", all.len());
    // Without `how` another tab comes in front.
    let missing: Vec<&String> = all
        .iter()
        .filter(|one| !shown.contains(*one) && *one != "background tab")
        .collect();
    assert!(
        missing.is_empty(),
        "no example of {missing:?} in docs/writing-specs.md"
    );
}

#[test]
fn the_guide_names_every_event_moment_path_and_setting() {
    let path = find_root().join("docs/writing-specs.md");
    let text = std::fs::read_to_string(path).expect("the guide");
    let events = ServerEvent::ALL.map(|event| event.name().to_owned());
    let settings = serde_json::to_value(gymcheck::spec::Experiment::default()).expect("JSON");
    let settings = settings.as_object().expect("a table").keys().cloned();
    let known = names::<GameEvent>().into_iter().chain(names::<ExitPath>());
    for name in known.chain(events).chain(settings) {
        let named = [format!("`{name}`"), format!("\"{name}\"")];
        assert!(
            named.iter().any(|name| text.contains(name)),
            "{name} is not in the guide"
        );
    }
}

fn own_catalogue(folder: &Path) -> Catalogue {
    Catalogue::read_with(&find_root(), Some(folder)).expect("the guide's files are right")
}

fn selected(catalogue: &Catalogue, specs: &[&str], mutants: &[&str]) -> Vec<String> {
    asked_for(catalogue, specs, mutants).expect("known names")
}

fn asked_for(
    catalogue: &Catalogue,
    specs: &[&str],
    mutants: &[&str],
) -> Result<Vec<String>, SpecError> {
    let owned = |names: &[&str]| -> Vec<String> { names.iter().map(ToString::to_string).collect() };
    let selection = Selection {
        specs: &owned(specs),
        pairs: None,
        repairs: &[],
        mutants: &owned(mutants),
        repeat: 1,
        against: false,
        pinned: [true, false],
    };
    let items = selection.items(catalogue)?;
    let said = items.iter().map(|item| {
        let judging: Vec<&str> = item.specs.iter().map(|spec| spec.name.as_str()).collect();
        format!("{}: {}", item.title(), judging.join(", "))
    });
    Ok(said.collect())
}

#[test]
fn a_folder_of_ones_own_runs_alone_unless_specs_are_named() {
    let folder = guide::folder();
    let catalogue = own_catalogue(folder.path());
    let both = "first/closed-on-the-survey, first/partner-leaves";
    let base = format!("first/partner-leaves chrome+chrome: {both}");
    let mutated = format!("first/partner-leaves chrome+chrome ~ news-not-guarded: {both}");
    assert_eq!(selected(&catalogue, &[], &[]), [base.as_str()]);
    assert_eq!(
        selected(&catalogue, &[], &["all"]),
        [base.as_str(), &mutated]
    );
    assert_eq!(
        selected(&catalogue, &[], &["news-not-guarded"]),
        [base.as_str(), &mutated]
    );
    let named = selected(&catalogue, &["race/late-end"], &[]);
    assert_eq!(named, ["race/late-end chrome+chrome: race/late-end"]);
    // A mutant of the checkout is tried where its file says, with and without a folder of one's own.
    assert_eq!(selected(&catalogue, &[], &["advance-twice"]).len(), 4);
    assert!(asked_for(&catalogue, &["first"], &["advance-twice"]).is_err());
    assert!(selected(&catalogue, &["scene-exit"], &["all"]).len() > 5);
}

#[test]
fn a_recorded_run_is_judged_by_ones_own_specs_as_well() {
    let own = tempfile::tempdir().expect("a folder");
    let spec = "title = \"Mine\"\nplays = \"scene-exit/partner-dies-on-survey\"\n[[checks]]\n\
                requirement = \"PLAY-01\"\nask = { played-peer-to-peer = {} }\n";
    guide::write(&own.path().join("mine/plays.toml"), spec);
    let catalogue = own_catalogue(own.path());
    let log = find_root().join("fixtures/evidence/good.jsonl");
    let judged = judge_again(&catalogue, &log).expect("a recorded log");
    let mine = judged.records.iter().find(|run| run.spec == "mine/plays");
    let mine = mine.expect("it plays the same");
    assert_eq!(mine.verdict, Verdict::Pass);
    let folder = own.path().display().to_string();
    assert!(
        mine.again(&[]).contains(&format!("--specs {folder}")),
        "{}",
        mine.again(&[])
    );
    // A mutant of the checkout cannot excuse what it does not know.
    let log = find_root().join("fixtures/evidence/late-end-not-guarded.jsonl");
    let strict = spec.replace("played-peer-to-peer = {}", "form-answered = {}");
    guide::write(&own.path().join("mine/plays.toml"), &strict);
    let catalogue = own_catalogue(own.path());
    let base = judge_again(
        &catalogue,
        &find_root().join("fixtures/evidence/good.jsonl"),
    );
    let base = base.expect("a recorded log").records;
    let mutated = judge_again(&catalogue, &log)
        .expect("a recorded log")
        .records;
    let mutant = catalogue.mutant("late-end-not-guarded").expect("a mutant")[0];
    let decided = fate_of(mutant, &base, &mutated);
    assert!(
        decided.changed.contains_key("mine/plays form-answered"),
        "{:?}",
        decided.changed
    );
    assert_eq!(decided.fate, Fate::Killed, "{}", decided.account);
}

fn gymcheck(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_gymcheck"))
        .current_dir(folder)
        .env("GYMCHECK_ROOT", find_root())
        .args(arguments)
        .output()
        .expect("it can be started")
}

fn said(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        output.status.code(),
        text(&output.stdout),
        text(&output.stderr),
    )
}

#[test]
fn a_new_spec_is_right_and_nothing_is_written_over() {
    let folder = tempfile::tempdir().expect("a folder");
    let with = ["--specs", "my specs"];
    let new = |name: &str| said(&gymcheck(folder.path(), &["new", name, with[0], with[1]]));
    let (status, out, err) = new("first/partner-leaves");
    assert_eq!(status, Some(0), "{err}");
    assert!(
        out.contains("gymcheck run first/partner-leaves --specs 'my specs'"),
        "{out}"
    );
    let (status, out, err) = said(&gymcheck(folder.path(), &["check", with[0], with[1]]));
    assert_eq!(status, Some(0), "{out}{err}");
    assert!(out.contains(": no mistake"), "{out}");
    let file = folder.path().join("my specs/first/partner-leaves.toml");
    let text = std::fs::read_to_string(&file).expect("the spec");
    let schema = text
        .lines()
        .next()
        .expect("a line")
        .replace("#:schema ", "");
    let schema = file.parent().expect("a folder").join(schema);
    assert!(schema.is_file(), "{}", schema.display());
    std::fs::write(&file, "mine").expect("written");
    let (status, _, err) = new("first/partner-leaves");
    assert_eq!(status, Some(2));
    assert!(err.contains("is there already"), "{err}");
    assert_eq!(std::fs::read_to_string(&file).expect("the spec"), "mine");
    std::fs::remove_file(&file).expect("removed");
    let (status, _, err) = new("race/late-end");
    assert_eq!(status, Some(2));
    assert!(
        err.contains("there is a spec `race/late-end` already"),
        "{err}"
    );
    let (status, _, err) = new("partner-leaves");
    assert_eq!(status, Some(2));
    assert!(err.contains("names no concern"), "{err}");
}

#[test]
fn all_mistakes_of_all_files_end_with_status_two() {
    let folder = guide::folder();
    let first = folder.path().join("first/partner-leaves.toml");
    let text = std::fs::read_to_string(&first).expect("the spec");
    let wrong = text
        .replace("how = \"kill\"", "how = \"kil\"")
        .replace("join = {}", "jion = {}");
    guide::write(&first, &wrong);
    let mutant = folder.path().join("mutants/news-not-guarded.toml");
    let text = std::fs::read_to_string(&mutant).expect("the mutant");
    guide::write(&mutant, &text.replace("\"P2P-02\"", "\"P2P-2\""));
    let own = folder.path().to_str().expect("a path");
    let (status, out, err) = said(&gymcheck(folder.path(), &["check", "--specs", own]));
    assert_eq!(status, Some(2), "{out}{err}");
    for told in [
        "first/partner-leaves.toml:12:1: unknown name `jion`",
        "did you mean `join`?",
        "first/partner-leaves.toml:27:37: unknown name `kil`",
        "did you mean `kill`?",
        "27 | leave = { player = \"partner\", how = \"kil\" }",
        "mutants/news-not-guarded.toml:3:16: unknown requirement `P2P-2`",
        "did you mean `P2P-02`?",
        "3 mistakes in 2 files",
    ] {
        assert!(err.contains(told), "{told}: {err}");
    }
    // A run begins with none of them.
    let (status, _, err) = said(&gymcheck(folder.path(), &["run", "--specs", own]));
    assert_eq!(status, Some(2));
    assert!(err.contains("did you mean `kill`?"), "{err}");
}

#[test]
fn a_file_is_checked_by_its_path_and_a_spec_by_its_name() {
    let folder = guide::folder();
    let check = |what: &str| said(&gymcheck(folder.path(), &["check", what]));
    let (status, out, err) = check("first/closed-on-the-survey.toml");
    assert_eq!(status, Some(0), "{err}");
    assert!(
        out.contains("judges the run of first/partner-leaves"),
        "{out}"
    );
    assert!(out.contains("1 file: no mistake"), "{out}");
    let (status, out, _) = check("race/late-end");
    assert_eq!(status, Some(0));
    assert!(
        out.contains("RACE-01    no-overlay: Was there no overlay"),
        "{out}"
    );
    let (status, _, err) = check("race/lat-end");
    assert_eq!(status, Some(2));
    assert!(err.contains("did you mean `race/late-end`?"), "{err}");
}

#[test]
fn names_on_the_command_line_are_told_with_the_nearest_one() {
    let folder = tempfile::tempdir().expect("a folder");
    for (arguments, nearest) in [
        (["run", "race/late-edn"].as_slice(), "race/late-end"),
        (&["run", "late-end"], "race/late-end"),
        (
            &["run", "--mutant", "late-end-not-gaurded"],
            "late-end-not-guarded",
        ),
        (&["run", "reuse", "--repair", "late-paus"], "late-pause"),
        (
            &["run", "reuse", "--pairs", "chrom+firefox"],
            "chrome+firefox",
        ),
        (&["explain", "no-overly"], "no-overlay"),
    ] {
        let (status, _, err) = said(&gymcheck(folder.path(), arguments));
        assert_eq!(status, Some(2), "{arguments:?}: {err}");
        let told = format!("did you mean `{nearest}`?");
        assert!(err.contains(&told), "{arguments:?}: {err}");
    }
}

#[test]
fn mistakes_on_the_command_line_are_told_before_anything_starts() {
    let folder = tempfile::tempdir().expect("a folder");
    for (arguments, told) in [
        (["--pairs", "chrome+opera"], "chrome+opera"),
        (["--mutant", "nobody"], "no mutant `nobody`"),
        (
            ["--mutant", "worker-not-stopped-first"],
            "is proven equivalent, and is not tried",
        ),
        (["--repeat", "0"], "--repeat"),
    ] {
        let arguments = [&["run"], &arguments[..]].concat();
        let (status, _, err) = said(&gymcheck(folder.path(), &arguments));
        assert_eq!(status, Some(2), "{arguments:?}: {err}");
        assert!(err.contains(told), "{arguments:?}: {err}");
        let mut written = std::fs::read_dir(folder.path()).expect("a folder");
        assert!(written.next().is_none(), "{arguments:?}");
    }
}

#[test]
fn away_from_a_checkout_it_is_said_where_one_is_looked_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = Command::new(env!("CARGO_BIN_EXE_gymcheck"))
        .env("GYMCHECK_ROOT", folder.path())
        .arg("list")
        .output();
    let (status, _, err) = said(&output.expect("it can be started"));
    assert_eq!(status, Some(2), "{err}");
    assert!(err.contains("is no checkout of gymcheck"), "{err}");
    assert!(err.contains("GYMCHECK_ROOT"), "{err}");
}

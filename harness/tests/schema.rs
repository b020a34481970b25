//! `results.json` is what its schema says, `schema/results.schema.json`.

use std::path::PathBuf;

use gymcheck::evidence::Log;
use gymcheck::report::{RepeatedCheck, Results, defects, judge_again, repeated_with_partings};
use gymcheck::run::{compare, equivalents, fate_of, find_root};
use gymcheck::spec::Catalogue;
use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

fn generated() -> Value {
    // What is written is described, not what could be read: a field that is always there is required.
    let settings = SchemaSettings::draft2020_12().for_serialize();
    let schema = settings.into_generator().into_root_schema_for::<Results>();
    let mut schema = schema.to_value();
    schema["title"] = json!("results.json of gymcheck, version 1");
    schema
}

fn file() -> PathBuf {
    find_root().join("schema/results.schema.json")
}

#[test]
fn the_schema_in_the_checkout_is_that_of_the_code() {
    let text = serde_json::to_string_pretty(&generated()).expect("JSON") + "\n";
    if std::env::var_os("GYMCHECK_WRITE_SCHEMA").is_some() {
        std::fs::create_dir_all(find_root().join("schema")).expect("a folder");
        std::fs::write(file(), &text).expect("written");
    }
    let there = std::fs::read_to_string(file()).unwrap_or_default();
    assert!(
        there == text,
        "schema/results.schema.json is not up to date: GYMCHECK_WRITE_SCHEMA=1 cargo test --test \
         schema writes it"
    );
}

/// Results of each kind: recorded runs, a mutant's fate, a difference, defects, a broken run.
fn results() -> Value {
    let root = find_root();
    let catalogue = Catalogue::read(&root).expect("the checkout's specs");
    let mut results = Results::new(Vec::new());
    let judged = |name: &str| {
        let path = root.join(format!("fixtures/evidence/{name}.jsonl"));
        judge_again(&catalogue, &path).expect("a recorded log")
    };
    let (good, bad) = (judged("good"), judged("cleanup-not-called"));
    results.targets.extend(good.target.clone());
    let mutant = &catalogue.mutant("cleanup-not-called").expect("a mutant")[0];
    results
        .mutants
        .push(fate_of(mutant, &good.records, &bad.records));
    results.equivalents = equivalents(&catalogue);
    results.runs.extend(good.records);
    results.runs.extend(bad.records);
    results.runs.extend(judged("in-game").records);
    let (first, second) = (results.runs[0].clone(), results.runs[1].clone());
    results.differences.extend(compare(&first, &second));
    results.runs.push(cut_off(&catalogue));
    for run in &mut results.runs {
        for check in &mut run.checks {
            check.expected = check.verdict;
            check.known = Some("it is only a test".to_owned());
        }
        run.mutant = None;
    }
    results.repeated = repeated_with_partings(&results.runs, &root);
    let is_apart = |check: &RepeatedCheck| {
        let apart = check.apart.as_ref();
        apart.is_some_and(|apart| apart.parting.is_some())
    };
    let mut repeated = results.repeated.iter().flat_map(|one| &one.checks);
    assert!(repeated.any(is_apart));
    results.defects = defects(&results.runs, &results.targets);
    results.explain(&catalogue);
    assert!(!results.defects.is_empty() && !results.mutants.is_empty());
    serde_json::to_value(&results).expect("JSON")
}

fn cut_off(catalogue: &Catalogue) -> gymcheck::run::RunRecord {
    let path = find_root().join("fixtures/evidence/good.jsonl");
    let log = Log::read(&path).expect("a recorded log");
    let half = Log::new(log.events()[..300].to_vec());
    let spec = &catalogue.specs["scene-exit/partner-dies-on-survey"];
    gymcheck::run::record(spec, &half, &[], "runs/cut".into())
}

#[test]
fn what_is_written_is_valid_and_what_is_not_written_is_not() {
    let validator = jsonschema::validator_for(&generated()).expect("a schema");
    let good = results();
    let errors: Vec<String> = validator
        .iter_errors(&good)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert_eq!(errors, Vec::<String>::new());
    for (place, value) in [
        ("/version", json!("one")),
        ("/version", json!(2)),
        ("/runs/0/verdict", json!("green")),
        ("/runs/0/checks/0/oracles", json!("none")),
        ("/mutants/0/fate", json!("unknown")),
        ("/repeated/0/whole/decided", json!("all")),
    ] {
        let mut bad = good.clone();
        *bad.pointer_mut(place).expect("it is there") = value;
        assert!(!validator.is_valid(&bad), "{place}");
    }
    for field in ["title", "expected", "checks", "repetition"] {
        let mut less = good.clone();
        let run = less["runs"][0].as_object_mut().expect("a run");
        assert!(run.remove(field).is_some());
        assert!(!validator.is_valid(&less), "without {field}");
    }
    let mut more = good.clone();
    more["runs"][0]["colour"] = json!("green");
    assert!(!validator.is_valid(&more), "a field that nobody writes");
}

/// As `gymcheck judge` would write it: with what is expected of the target, and nothing made up.
#[test]
fn what_each_recorded_run_gives_is_valid() {
    let validator = jsonschema::validator_for(&generated()).expect("a schema");
    let root = find_root();
    let catalogue = Catalogue::read(&root).expect("the checkout's specs");
    let folder = std::fs::read_dir(root.join("fixtures/evidence")).expect("recorded logs");
    let paths = folder.map(|entry| entry.expect("an entry").path());
    let logs: Vec<PathBuf> = paths
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "jsonl")
        })
        .collect();
    assert!(!logs.is_empty());
    for path in logs {
        let judged = judge_again(&catalogue, &path).expect("a recorded log");
        let mut results = Results::new(judged.target.into_iter().collect());
        results.runs = judged.records;
        results.defects = defects(&results.runs, &results.targets);
        results.explain(&catalogue);
        assert!(!results.runs.is_empty(), "{}", path.display());
        let value = serde_json::to_value(&results).expect("JSON");
        let errors: Vec<String> = validator
            .iter_errors(&value)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert_eq!(errors, Vec::<String>::new(), "{}", path.display());
    }
}

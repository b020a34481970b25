//! What other repositories take for their continuous integration is what gymcheck needs.

use std::process::Command;

use gymcheck::run::find_root;
use serde_json::Value;

fn read(path: &str) -> String {
    std::fs::read_to_string(find_root().join(path)).expect("a file")
}

fn workflow() -> Value {
    serde_saphyr::from_str(&read("ci/conformance.yml")).expect("a workflow")
}

fn job(workflow: &Value) -> &Value {
    &workflow["jobs"]["conformance"]
}

/// The step that uses this action and has this in its name.
fn step<'a>(workflow: &'a Value, action: &str, name: &str) -> &'a Value {
    let steps = job(workflow)["steps"].as_array().expect("steps");
    let is_wanted = |step: &&Value| {
        let uses = step["uses"].as_str().unwrap_or_default();
        let title = step["name"].as_str().expect("a name");
        uses.starts_with(action) && title.contains(name)
    };
    steps
        .iter()
        .find(is_wanted)
        .unwrap_or_else(|| panic!("no {name}"))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}

/// Major and minor version of the Rust in an image.
fn rust_in(image: &str) -> (u32, u32) {
    let version = image
        .strip_prefix("rust:")
        .and_then(|rest| rest.strip_suffix("-bookworm"));
    numbers(version.unwrap_or_else(|| panic!("{image} is not Rust in Debian 12")))
}

fn numbers(version: &str) -> (u32, u32) {
    let (major, minor) = version.split_once('.').expect("two numbers");
    (
        major.parse().expect("a number"),
        minor.parse().expect("a number"),
    )
}

#[test]
fn the_rust_is_new_enough() {
    let manifest: toml::Table = toml::from_str(&read("Cargo.toml")).expect("a manifest");
    let wanted = numbers(
        manifest["workspace"]["package"]["rust-version"]
            .as_str()
            .expect("one"),
    );
    let workflow = workflow();
    let image = text(&job(&workflow)["container"]["image"]);
    assert!(rust_in(image) >= wanted, "{image}");
    let container = read("ci/Containerfile");
    let from = container
        .lines()
        .find_map(|line| line.strip_prefix("FROM rust:"));
    let image = from
        .and_then(|rest| rest.strip_suffix(" AS build"))
        .expect("an image");
    assert!(rust_in(&format!("rust:{image}")) >= wanted, "{image}");
    let page = read("docs/support.md");
    assert!(page.contains(&format!("| {}.{} and later |", wanted.0, wanted.1)));
    // What another Rust built is of no use.
    let key = text(&step(&workflow, "actions/cache@", "Cargo")["with"]["key"]);
    assert!(key.contains(image), "{key}");
}

#[test]
fn what_is_kept_is_what_gymcheck_and_cargo_use() {
    let workflow = workflow();
    let variables = &job(&workflow)["env"];
    let home = text(&variables["GYMCHECK_HOME"]);
    let kept = &step(&workflow, "actions/cache@", "runs need")["with"];
    assert_eq!(text(&kept["path"]), home);
    let output = Command::new(env!("CARGO_BIN_EXE_gymcheck"))
        .arg("clean")
        .env("GYMCHECK_HOME", home)
        .output()
        .expect("it starts");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        said.lines().next().is_some_and(|line| line.ends_with(home)),
        "{said}"
    );
    let kept = &step(&workflow, "actions/cache@", "Cargo")["with"];
    let registry = format!("{}/registry", text(&variables["CARGO_HOME"]));
    let paths: Vec<&str> = text(&kept["path"]).lines().collect();
    assert_eq!(paths, [&registry, "gymcheck/target"]);
}

#[test]
fn the_keys_of_what_is_kept_name_files_that_are_there() {
    let workflow = workflow();
    let mut seen = 0;
    for name in ["runs need", "Cargo"] {
        let with = &step(&workflow, "actions/cache@", name)["with"];
        let (key, restored) = (text(&with["key"]), text(&with["restore-keys"]));
        assert!(key.starts_with(restored), "{key}");
        for path in key.split('\'').skip(1).step_by(2) {
            let Some(own) = path.strip_prefix("gymcheck/") else {
                continue;
            };
            let own = own.trim_end_matches(['*', '/']);
            assert!(find_root().join(own).exists(), "{own}");
            seen += 1;
        }
    }
    assert_eq!(seen, 4);
}

#[test]
fn the_report_is_kept_also_when_it_failed() {
    let workflow = workflow();
    let keep = step(&workflow, "actions/upload-artifact@", "report");
    assert_eq!(text(&keep["if"]), "always()");
    let run = text(&step(&workflow, "", "Run")["run"]);
    let out = run.split_once("--out ").expect("a folder").1;
    assert_eq!(text(&keep["with"]["path"]), out.trim());
}

#[test]
fn whoever_copies_the_workflow_sets_where_gymcheck_is_at_its_top() {
    let workflow = workflow();
    let get = text(&step(&workflow, "", "Get gymcheck")["run"]);
    for name in ["GYMCHECK_ADDRESS", "GYMCHECK_REVISION"] {
        assert!(workflow["env"][name].is_string(), "{name}");
        assert!(get.contains(&format!("\"${name}\"")), "{get}");
    }
}

#[test]
fn nothing_of_the_container_is_left_out_of_its_context() {
    let ignored = read(".dockerignore");
    let container = read("ci/Containerfile");
    let copies = container
        .lines()
        .filter_map(|line| line.strip_prefix("COPY "));
    let mut seen = 0;
    for copy in copies.filter(|copy| !copy.starts_with("--from")) {
        let words: Vec<&str> = copy.split_whitespace().collect();
        for source in &words[..words.len() - 1] {
            assert!(find_root().join(source).exists(), "{source}");
            assert!(
                !ignored.lines().any(|line| source.starts_with(line)),
                "{source}"
            );
            seen += 1;
        }
    }
    assert!(seen >= 8, "{seen}");
}

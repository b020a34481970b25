//! Every command line that we show to people or give to machines is one that works: gymcheck's own are
//! read by the parser that the command has, Cargo's by Cargo.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command as Process;

use clap::{CommandFactory, Parser};
use gymcheck::run::find_root;
use parse_dockerfile::{Command as Line, Instruction};
use serde_json::Value;

use super::Cli;

/// What a shell does one after the other.
const SEPARATORS: [&str; 4] = ["&&", "||", ";", "|"];

fn read(path: impl AsRef<Path>) -> String {
    let path = find_root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The commands of a shell's text, each in its words, without the variables that are set for it.
fn commands(text: &str) -> Vec<Vec<String>> {
    let joined = text.replace("\\\n", " ");
    let lines = joined
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'));
    let mut commands = Vec::new();
    for line in lines {
        // A comment behind a command is none of its words.
        let line = line.split(" #").next().unwrap_or_default();
        let words = shell_words::split(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        for command in words.split(|word| SEPARATORS.contains(&word.as_str())) {
            let is_variable = |word: &&String| word.contains('=') && !word.starts_with('-');
            let words: Vec<String> = command.iter().skip_while(is_variable).cloned().collect();
            commands.push(words);
        }
    }
    commands
}

/// Reads a command as the one that it calls would. Says whether it is one of those that are looked at.
fn check(words: &[String]) -> bool {
    let shown = words.join(" ");
    match words.first().map(String::as_str) {
        Some("gymcheck") => check_own(words, &shown),
        Some("cargo") => check_cargo(words, &shown),
        // The image's entry point is gymcheck; what follows the image's name is for it.
        Some("docker") if words.get(1).is_some_and(|word| word == "run") => {
            let image = words.iter().position(|word| word == "gymcheck");
            check_own(&words[image.expect("the image")..], &shown);
        }
        Some(_) | None => return false,
    }
    true
}

fn check_own(words: &[String], shown: &str) {
    use clap::error::ErrorKind::{DisplayHelp, DisplayVersion};
    match Cli::try_parse_from(words) {
        Err(error) if ![DisplayHelp, DisplayVersion].contains(&error.kind()) => {
            panic!("{shown}: {error}")
        }
        Ok(_) | Err(_) => {}
    }
}

fn check_cargo(words: &[String], shown: &str) {
    let end = words.iter().position(|word| word == "--");
    let (own, rest) = words.split_at(end.unwrap_or(words.len()));
    // Cargo reads all that is before it, and then shows its help instead of doing anything.
    let mut cargo = Process::new(env!("CARGO"));
    let output = cargo.args(&own[1..]).arg("-h").current_dir(find_root());
    let output = output.output().expect("Cargo starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{shown}: {said}");
    let rest = rest.iter().skip(1).cloned();
    match own.get(1).map(String::as_str) {
        Some("run") => {
            let words: Vec<String> = std::iter::once("gymcheck".to_owned()).chain(rest).collect();
            check_own(&words, shown);
        }
        Some("test") => {
            let words = std::iter::once("test".to_owned()).chain(rest);
            if let Err(error) = libtest_mimic::Arguments::try_parse_from(words) {
                panic!("{shown}: {error}");
            }
        }
        _ => {}
    }
}

/// Checks all commands of a shell's text. Gives the number of those that were looked at.
fn check_all(text: &str) -> usize {
    let commands = commands(text);
    commands.iter().filter(|command| check(command)).count()
}

/// What a document has between a line with this fence and the next fence.
fn blocks(document: &str, language: &str) -> String {
    let mut inside = None;
    let mut blocks = String::new();
    for line in document.lines() {
        match (line.trim().strip_prefix("```"), inside) {
            (Some(begun), None) => inside = Some(begun == language),
            (Some(_), Some(_)) => inside = None,
            (None, Some(true)) => blocks.extend([line, "\n"]),
            (None, Some(false) | None) => {}
        }
    }
    blocks
}

/// The documents for people.
fn documents() -> Vec<PathBuf> {
    let docs = std::fs::read_dir(find_root().join("docs")).expect("the folder of documents");
    let docs = docs.map(|entry| entry.expect("an entry").path());
    docs.filter(|path| path.extension().is_some_and(|end| end == "md"))
        .chain([find_root().join("README.md")])
        .collect()
}

#[test]
fn commands_in_documents() {
    let shown: usize = documents()
        .iter()
        .map(|path| check_all(&blocks(&read(path), "sh")))
        .sum();
    assert!(shown >= 18, "{shown}");
}

/// Options that are named in a sentence, with the command that they are said to belong to.
#[test]
fn options_in_sentences() {
    let mut seen = 0;
    for path in documents() {
        let document = read(&path).replace('\n', " ");
        let spans = document.split('`').skip(1).step_by(2);
        for span in spans {
            // A sentence may show the beginning of a quoted word only.
            let Ok(words) = shell_words::split(span) else {
                continue;
            };
            let mut words = words.iter().map(String::as_str);
            if words.next() != Some("gymcheck") {
                continue;
            }
            let Some(name) = words.next().filter(|word| !word.starts_with('-')) else {
                continue;
            };
            let all = Cli::command();
            let command = all.find_subcommand(name);
            let command = command.unwrap_or_else(|| panic!("{}: {span}", path.display()));
            let known: BTreeSet<&str> = command
                .get_arguments()
                .chain(all.get_arguments())
                .filter_map(clap::Arg::get_long)
                .collect();
            for word in words.filter_map(|word| word.strip_prefix("--")) {
                let option = word.split(['=', ',']).next().unwrap_or_default();
                assert!(known.contains(option), "{}: {span}", path.display());
            }
            seen += 1;
        }
    }
    assert!(seen >= 5, "{seen}");
}

#[test]
fn examples_in_the_help() {
    let command = Cli::command();
    let mut seen = 0;
    for help in command
        .get_subcommands()
        .filter_map(|command| command.get_after_help())
    {
        let help = help.to_string();
        let lines = help.lines().filter(|line| line.starts_with("  gymcheck "));
        seen += lines.map(check_all).sum::<usize>();
    }
    assert!(seen >= 15, "{seen}");
}

#[test]
fn commands_of_the_workflow() {
    let text = read("ci/conformance.yml");
    let workflow: Value = serde_saphyr::from_str(&text).expect("a workflow");
    let steps = workflow["jobs"]["conformance"]["steps"].as_array();
    let runs = steps
        .expect("steps")
        .iter()
        .filter_map(|step| step["run"].as_str());
    assert_eq!(runs.map(check_all).sum::<usize>(), 4);
    // And the one for somebody else's case.
    let comments = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("#   gymcheck "));
    let comments = comments.map(|line| check_all(&format!("gymcheck {line}")));
    assert_eq!(comments.sum::<usize>(), 1);
}

#[test]
fn commands_of_the_container() {
    let text = read("ci/Containerfile");
    let container = parse_dockerfile::parse(&text).expect("a container file");
    let mut seen = 0;
    let mut entry = Vec::new();
    for instruction in &container.instructions {
        match instruction {
            Instruction::Run(run) => match &run.arguments {
                Line::Shell(line) => seen += check_all(line.value),
                other => panic!("no shell's line: {other:?}"),
            },
            Instruction::Entrypoint(words) => entry.extend(exec(&words.arguments)),
            Instruction::Cmd(words) => entry.extend(exec(&words.arguments)),
            _ => {}
        }
    }
    assert_eq!(seen, 3);
    assert!(check(&entry), "{entry:?}");
    // What its head says about calling it.
    let head: String = text
        .lines()
        .filter_map(|line| line.strip_prefix("#   "))
        .map(|line| line.to_owned() + "\n")
        .collect();
    assert_eq!(check_all(&head), 1, "{head}");
}

fn exec(line: &Line<'_>) -> Vec<String> {
    match line {
        Line::Exec(words) => words
            .value
            .iter()
            .map(|word| word.value.to_string())
            .collect(),
        other => panic!("no list of words: {other:?}"),
    }
}

#[test]
fn commands_of_our_own_continuous_integration() {
    let script = read("ci/test.sh");
    let (begin, readme) = script.split_once("command=").expect("the README's command");
    assert!(readme.contains("README.md"));
    assert_eq!(check_all(begin), 3);
}

#[test]
fn a_flag_that_does_not_exist_is_found() {
    for wrong in [
        "gymcheck setup --yess",
        "gymcheck run --repeat none",
        "cargo build --relaese && gymcheck doctor",
        "cargo run --quiet -- run --pears chrome+chrome",
        "cargo test -- --ignore",
        "docker run --rm gymcheck rum --out /report",
    ] {
        let checked = std::panic::catch_unwind(|| check_all(wrong));
        assert!(checked.is_err(), "{wrong}");
    }
    assert_eq!(check_all("A=b gymcheck run --out x # as before\nls"), 1);
}

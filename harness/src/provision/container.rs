//! The container file has what setup would get.

use std::collections::BTreeSet;

use parse_dockerfile::{Command, Dockerfile, Instruction, Source, Stage};

use super::{browsers, setup};

const TEXT: &str = include_str!("../../../ci/Containerfile");

/// Files of the checkout that become a part of the program.
const EMBEDDED: [&str; 3] = [
    "fixtures/assets.toml",
    "fixtures/targets/mug-0.1.3.txt",
    "schema/junit.xsd",
];

fn container() -> Dockerfile<'static> {
    parse_dockerfile::parse(TEXT).unwrap()
}

/// The shell commands of a stage, their lines joined.
fn commands(stage: &Stage<'_, '_>) -> Vec<String> {
    let commands = stage.instructions.iter().filter_map(|instruction| {
        let Instruction::Run(run) = instruction else {
            return None;
        };
        match &run.arguments {
            Command::Shell(line) => Some(line.value.replace("\\\n", " ")),
            other => panic!("no shell's line: {other:?}"),
        }
    });
    commands.collect()
}

#[test]
fn its_packages_are_those_that_setup_names() {
    let container = container();
    let stage = container.stages().last().unwrap();
    assert_eq!(stage.from.image.value, "debian:12");
    let commands = commands(&stage);
    let install = commands.iter().find_map(|line| {
        let (_, packages) = line.split_once("apt-get install -y --no-install-recommends ")?;
        packages.split("&&").next()
    });
    let packages: BTreeSet<&str> = install.unwrap().split_whitespace().collect();
    assert_eq!(packages, setup::packages());
}

#[test]
fn its_geckodriver_is_the_one_that_setup_builds() {
    let container = container();
    let commands = commands(&container.stage("build").unwrap());
    let wanted = format!(
        "cargo install geckodriver --locked --version {} ",
        browsers::GECKODRIVER
    );
    assert!(commands.iter().any(|line| line.starts_with(&wanted)));
}

#[test]
fn what_becomes_a_part_of_the_program_is_there_when_it_is_built() {
    let container = container();
    let stage = container.stage("build").unwrap();
    let copied: Vec<&str> = stage
        .instructions
        .iter()
        .filter_map(|instruction| match instruction {
            Instruction::Copy(copy) => Some(&copy.src),
            _ => None,
        })
        .flatten()
        .filter_map(|source| match source {
            Source::Path(path) => Some(&*path.value),
            _ => None,
        })
        .collect();
    for path in EMBEDDED {
        let covers = |folder: &&str| std::path::Path::new(path).starts_with(folder);
        assert!(copied.iter().any(covers), "{path} is not among {copied:?}");
    }
}

#[test]
fn all_that_becomes_a_part_of_the_program_is_known_here() {
    let sources = walkdir::WalkDir::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src"));
    let mut embedded = BTreeSet::new();
    for source in sources.into_iter().map(Result::unwrap) {
        let is_source = source.path().extension().is_some_and(|end| end == "rs");
        if !is_source || source.path().ends_with(file!().rsplit('/').next().unwrap()) {
            continue;
        }
        let text = std::fs::read_to_string(source.path()).unwrap();
        // What only tests read need not be there.
        let program = text.split("#[cfg(test)]\nmod tests").next().unwrap();
        for part in program.split("include_str!(\"").skip(1) {
            let path = part.split('"').next().unwrap();
            if let Some(outside) = path.strip_prefix("../../../") {
                embedded.insert(outside.to_owned());
            }
        }
    }
    let known = EMBEDDED.map(str::to_owned);
    let unknown: Vec<&String> = embedded
        .iter()
        .filter(|path| !known.contains(path))
        .collect();
    assert!(
        unknown.is_empty(),
        "{unknown:?}: the container's build needs them, too"
    );
    assert!(embedded.len() >= 2, "{embedded:?}");
}

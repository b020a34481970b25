//! What gymcheck reads of files, tried on whatever may stand in them: no panic, and what is written can
//! be read again. What the gateway reads is tried beside it, in `src/gateway/hostile_tests.rs`.

#[path = "support/fuzz.rs"]
mod fuzz;

use std::path::{Path, PathBuf};

use fuzz::{holds, with_mistakes};
use gymcheck::evidence::{Chance, Course, Log, Sight};
use gymcheck::run::find_root;
use gymcheck::spec::{Catalogue, Reading};
use gymcheck::verdict::judge;

/// A piece of a recorded log, so that many can be tried.
fn recorded(from: usize, lines: usize) -> Vec<u8> {
    let path = find_root().join("fixtures/evidence/good.jsonl");
    let text = std::fs::read_to_string(path).expect("a recorded log");
    let mut all = text.split_inclusive('\n');
    let head = all.by_ref().take(2).collect::<String>();
    let rest = all.skip(from).take(lines).collect::<String>();
    (head + &rest).into_bytes()
}

const WORDS: &[&str] = &[
    "null",
    "-1",
    "1e308",
    "18446744073709551616",
    "{}",
    "[]",
    "\"",
    "\n",
    "\"seq\": 5",
    "\u{0}",
    "\"player\": \"partner\"",
    "\"kind\": \"wire\"",
    "[[[[[[[[[[[[[[[[",
    "\"t\": -1e300",
];

#[test]
fn any_log_is_read_as_far_as_it_can_be_and_judged() {
    let catalogue = Catalogue::read(&find_root()).expect("the checkout's specs");
    let spec = &catalogue.specs["scene-exit/partner-dies-on-survey"];
    let pieces = [0, 200, 300, 400, 900, 1100, 1400].map(|from| recorded(from, 120));
    let whole = Log::read(&find_root().join("fixtures/evidence/good.jsonl")).expect("a log");
    let whole = Course::of(&whole);
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("evidence.jsonl");
    holds(&with_mistakes(pieces.to_vec(), WORDS), |text| {
        std::fs::write(&path, &text.0).expect("written");
        let Ok(log) = Log::read(&path) else { return };
        let _ = judge(spec, &log);
        let course = Course::of(&log);
        let _ = whole.part(&course, Sight::Order, &Chance::default());
        let mut chance = Chance::default();
        chance.learn(&course, &whole, Sight::Came);
        assert_eq!(course.part(&whole, Sight::Came, &chance), None);
        // What was read is written and read again to the letter.
        let write = |log: &Log| {
            let lines = log.events().iter().map(serde_json::to_string);
            let lines: Result<Vec<String>, _> = lines.collect();
            lines.expect("it can be written").join("\n")
        };
        let written = write(&log);
        let again = format!("{{\"gymcheck_evidence\": 1}}\n{written}\n");
        std::fs::write(&path, again).expect("written");
        let again = Log::read(&path).expect("a log");
        if !log.events().is_empty() {
            assert_eq!(again.damage(), None);
        }
        assert_eq!(again.events().len(), log.events().len());
    });
}

fn toml_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            toml_files(&path, found);
        } else if path
            .extension()
            .is_some_and(|extension| extension == "toml")
        {
            found.push(path);
        }
    }
}

const TOML: &[&str] = &[
    "[[",
    "]]",
    "[",
    "]",
    "=",
    "\"",
    "'''",
    "\"\"\"",
    "\n",
    "#",
    "{",
    "}",
    "-1",
    "1e400",
    "inf",
    "[[steps]]\n",
    "[[checks]]\n",
    "[checks.no-overlay]\n",
    "after = ",
    "game = 4294967296\n",
    "\u{feff}",
    "\r",
    "é",
];

#[test]
fn any_spec_is_read_or_told_with_its_mistakes() {
    let root = tempfile::tempdir().expect("a folder");
    let specs = root.path().join("specs");
    std::fs::create_dir_all(specs.join("any")).expect("a folder");
    let requirements = find_root().join("specs/requirements.toml");
    std::fs::copy(requirements, specs.join("requirements.toml")).expect("the requirements");
    let mut files = Vec::new();
    toml_files(&find_root().join("specs"), &mut files);
    let texts = files
        .iter()
        .map(|path| std::fs::read(path).expect("a spec"));
    holds(&with_mistakes(texts.collect(), TOML), |text| {
        std::fs::write(specs.join("any/spec.toml"), &text.0).expect("written");
        let reading = Reading::of(root.path(), None).expect("a checkout");
        for mistake in &reading.mistakes {
            assert!(!mistake.to_string().is_empty());
        }
        let is_read = reading.catalogue.specs.contains_key("any/spec");
        assert!(is_read || !reading.mistakes.is_empty(), "it is passed over");
    });
}

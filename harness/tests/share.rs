//! What is packed for somebody else: judged as before, and without what is nobody's business.

use std::io::Read;
use std::path::Path;

use gymcheck::report::{Results, Shown, judge_again, share, write_reports};
use gymcheck::run::find_root;
use gymcheck::spec::Catalogue;
use gymcheck::verdict::Verdict;
use serde_json::json;

/// Texts of the recorded run that must not leave: what was typed, and who typed it.
const SECRET: &str = "my mother's maiden name is \"Ångström\"";

/// The same as JSON in ASCII, and as Python writes it in ASCII.
const ASCII: &str = r#"my mother's maiden name is \"\u00c5ngstr\u00f6m\""#;
const PYTHON: &str = r#"my mother's maiden name is "\xc5ngstr\xf6m""#;

/// A folder of runs: the recorded good run, its participants and its answers known.
fn recorded(out: &Path, name: &str) -> Vec<String> {
    let text = std::fs::read_to_string(find_root().join(format!("fixtures/evidence/{name}.jsonl")));
    let text = text.expect("a recorded log");
    let mut subjects = Vec::new();
    let mut typed = None;
    for line in text.lines().skip(1) {
        let event: serde_json::Value = serde_json::from_str(line).expect("an event");
        if event
            .pointer("/packet/name")
            .is_some_and(|name| name == "register_subject")
        {
            let id = event
                .pointer("/packet/args/0/subject_id")
                .and_then(|id| id.as_str());
            subjects.push(id.expect("an id").to_owned());
        }
        if event["action"] == "answered the form" {
            let answers = event["value"].as_object().expect("answers");
            typed = answers
                .values()
                .filter_map(|one| one.as_str())
                .max_by_key(|one| one.len())
                .map(str::to_owned);
        }
    }
    let json = |text: &str| {
        let quoted = serde_json::Value::from(text).to_string();
        quoted[1..quoted.len() - 1].to_owned()
    };
    let text = match &typed {
        Some(typed) => text.replace(&json(typed), &json(SECRET)),
        None => text,
    };
    let folder = out.join("runs").join(name);
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(folder.join("evidence.jsonl"), text).expect("written");
    let said = format!(
        "{} typed {SECRET} and {} and {ASCII} and {PYTHON}\n",
        subjects[0],
        json(SECRET)
    );
    std::fs::write(folder.join("server.log"), said).expect("written");
    std::fs::write(folder.join("driver-survivor.log"), "console.log: [WebRTC]").expect("written");
    std::fs::write(folder.join("survivor-picture.png"), "a picture").expect("written");
    std::fs::write(folder.join("notes.txt"), SECRET).expect("written");
    subjects.extend([SECRET, ASCII, PYTHON].map(str::to_owned));
    subjects.push(json(SECRET));
    subjects
}

/// Everything that is in an archive, by name.
fn content(archive: &Path) -> Vec<(String, Vec<u8>)> {
    let mut archive =
        zip::ZipArchive::new(std::fs::File::open(archive).expect("a file")).expect("a zip");
    (0..archive.len())
        .map(|index| {
            let mut file = archive.by_index(index).expect("an entry");
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes).expect("it can be read");
            (file.name().expect("a name").into_owned(), bytes)
        })
        .collect()
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes
        .windows(text.len())
        .any(|window| window == text.as_bytes())
}

fn verdicts(catalogue: &Catalogue, log: &Path) -> Vec<(String, String, Verdict)> {
    let judged = judge_again(catalogue, log).expect("it can be judged");
    let checks = judged.records.iter().flat_map(|run| {
        let checks = run.checks.iter();
        checks.map(|check| (run.spec.clone(), check.check.clone(), check.verdict))
    });
    checks.collect()
}

/// A short answer, as a number, could be anything where it stands in a text: where it was typed, sent and
/// stored, it is masked all the same.
fn assert_answers_are_masked(log: &[u8]) {
    let text = std::str::from_utf8(log).expect("UTF-8");
    for line in text.lines().skip(1) {
        let event: serde_json::Value = serde_json::from_str(line).expect("an event");
        let sent = event.pointer("/packet/name") == Some(&"static_scene_data_emission".into());
        let answers = match (sent, &event["what"], &event["action"]) {
            (true, _, _) => &event["packet"]["args"][0]["data"],
            (_, what, _) if what == "answers" => &event["rows"][0],
            (_, _, action) if action == "answered the form" => &event["value"],
            _ => continue,
        };
        let leaves = answers.as_object().map(|fields| fields.values().collect());
        let leaves = leaves.or_else(|| answers.as_array().map(|cells| cells.iter().collect()));
        let leaves: Vec<&serde_json::Value> = leaves.expect("answers");
        assert!(leaves.len() > 1, "{line}");
        for leaf in leaves {
            let masked = leaf
                .as_str()
                .is_some_and(|text| text.starts_with("answer-"));
            assert!(masked, "{leaf} in {line}");
        }
    }
}

#[test]
fn what_is_packed_is_judged_as_before_and_tells_nothing_of_anybody() {
    let catalogue = Catalogue::read(&find_root()).expect("the checkout's specs");
    let out = tempfile::tempdir().expect("a folder");
    let names = ["good", "in-game", "late-end-not-guarded"];
    let secrets: Vec<String> = names
        .iter()
        .flat_map(|name| recorded(out.path(), name))
        .collect();
    let archive = out.path().join("shared.zip");
    let packed = share(&catalogue, out.path(), &archive, Shown::default()).expect("packed");
    assert_eq!((packed.runs, packed.pictures_left_out), (3, 3));
    assert_eq!(packed.not_judged.len(), 0);

    let content = content(&archive);
    let there: Vec<&str> = content.iter().map(|(name, _)| name.as_str()).collect();
    for wanted in [
        "report.html",
        "results.json",
        "runs/good/evidence.jsonl",
        "runs/good/server.log",
    ] {
        assert!(
            there.contains(&format!("gymcheck/{wanted}").as_str()),
            "{wanted}: {there:?}"
        );
    }
    assert!(there.is_sorted(), "{there:?}");
    let again = share(&catalogue, out.path(), &archive, Shown::default());
    let again = again.expect_err("it is there").to_string();
    assert!(again.contains("is there already"), "{again}");
    assert!(
        !there
            .iter()
            .any(|name| name.ends_with(".png") || name.ends_with(".txt"))
    );
    for (name, bytes) in &content {
        for secret in &secrets {
            assert!(!holds(bytes, secret), "{name} holds {secret}");
        }
        assert!(
            !holds(bytes, "[WebRTC]"),
            "{name} holds what a console said"
        );
    }
    let unpacked = tempfile::tempdir().expect("a folder");
    for name in names {
        let wanted = format!("gymcheck/runs/{name}/evidence.jsonl");
        let (_, bytes) = content
            .iter()
            .find(|(name, _)| *name == wanted)
            .expect("evidence");
        assert_answers_are_masked(bytes);
        let log = unpacked.path().join(name);
        std::fs::write(&log, bytes).expect("written");
        let before = out.path().join(format!("runs/{name}/evidence.jsonl"));
        assert_eq!(
            verdicts(&catalogue, &log),
            verdicts(&catalogue, &before),
            "{name}"
        );
    }
}

#[test]
fn what_only_the_results_tell_is_in_the_reports_that_are_packed() {
    let catalogue = Catalogue::read(&find_root()).expect("the checkout's specs");
    let out = tempfile::tempdir().expect("a folder");
    let secrets = recorded(out.path(), "good");
    let log = out.path().join("runs/good/evidence.jsonl");
    let judged = judge_again(&catalogue, &log).expect("it can be judged");
    let own = judged.records.into_iter();
    let mut own = own.filter(|run| run.spec == "scene-exit/partner-dies-on-survey");
    let mut run = own.next().expect("its own spec");
    run.folder = "runs/good".into();
    let said = format!("{} said: {SECRET}", secrets[0]);
    let died = json!({
        "component": "driver", "reason": said, "last_lines": ["what a console said"],
        "worth_a_retry": true,
    });
    run.broken_attempts = vec![serde_json::from_value(died).expect("a reason")];
    let mut results = Results::new(Vec::new());
    results.runs.push(run);
    results.unfinished = true;
    let plan = json!({ "number": 1, "plan": [["a"], [said]] });
    let missing = json!([{ "number": 2, "of": 2, "runs": [said] }]);
    let effort = json!({
        "jobs": 3, "processors": 2, "seconds": 1.0, "processor_seconds": 1.0, "own_memory_mib": 9.0,
    });
    let sweep = json!({
        "instants": 1,
        "tracks": [{
            "how": "kill", "role": "behind", "pair": "chrome+chrome", "run_seconds": 40.0,
            "session": {
                "phases": [{ "game": 1, "event": "game-started", "at_ms": 4000.0 }], "end_ms": 9000.0,
            },
            "samples": [{
                "wanted": { "game": 1, "after": "game-started", "offset_ms": 1.0 },
                "passed": [{ "game": 1, "event": "game-started", "before_ms": 1.0 }],
                "verdicts": { "sound-after-departure": "fail" },
                "accounts": { "sound-after-departure": said },
                "spec": "sweep/one", "repetition": 1,
            }],
        }],
    });
    results.shard = serde_json::from_value(plan).expect("a shard");
    results.missing_shards = serde_json::from_value(missing).expect("shards");
    results.effort = serde_json::from_value(effort).expect("an effort");
    results.sweep = serde_json::from_value(sweep).expect("a sweep");
    write_reports(&results, out.path()).expect("written");

    let archive = out.path().join("shared.zip");
    let packed = share(&catalogue, out.path(), &archive, Shown::default()).expect("packed");
    assert_eq!(packed.not_judged.len(), 0);
    let content = content(&archive);
    for (name, bytes) in &content {
        for secret in &secrets {
            assert!(!holds(bytes, secret), "{name} holds {secret}");
        }
        assert!(!holds(bytes, "what a console said"), "{name}");
    }
    let named = |wanted: &str| {
        let found = content.iter().find(|(name, _)| name.ends_with(wanted));
        &found.expect("it is there").1
    };
    let shared: Results = serde_json::from_slice(named("/results.json")).expect("results");
    assert!(shared.unfinished);
    assert_eq!(shared.effort, results.effort);
    assert_eq!(shared.shard.expect("a shard").to_string(), "1/2");
    assert_eq!(shared.missing_shards[0].to_string(), "2/2");
    assert_eq!(shared.sweep.expect("a sweep").tracks[0].samples.len(), 1);
    // It is judged by the specs that the call asked for, after as many attempts.
    assert_eq!(shared.runs.len(), 1);
    assert_eq!(shared.runs[0].broken_attempts.len(), 1);
    assert!(holds(
        named("/report.html"),
        "Sweep: the partner's departure"
    ));
    assert!(holds(named("/report.html"), "shard 1/2"));
    assert!(holds(named("/junit.xml"), "shard 2/2"));
}

#[test]
fn a_log_that_is_cut_off_is_packed_as_far_as_it_goes() {
    let catalogue = Catalogue::read(&find_root()).expect("the checkout's specs");
    let out = tempfile::tempdir().expect("a folder");
    let secrets = recorded(out.path(), "good");
    let log = out.path().join("runs/good/evidence.jsonl");
    let whole = std::fs::read(&log).expect("evidence");
    // In the line of the answers, so that what is cut off holds a secret.
    let typed = whole
        .windows(6)
        .position(|part| part == b"mother")
        .expect("the answers");
    std::fs::write(&log, &whole[..typed + 20]).expect("written");
    let server = "subject 5c1f7a40 has come, whom no event tells of";
    std::fs::write(out.path().join("runs/good/server.log"), server).expect("written");
    let archive = out.path().join("shared.zip");
    let packed = share(&catalogue, out.path(), &archive, Shown::default()).expect("packed");
    assert_eq!((packed.runs, packed.logs_left_out), (1, 1));
    let there: Vec<String> = content(&archive)
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert!(
        !there.iter().any(|name| name.ends_with(".log")),
        "{there:?}"
    );
    for (name, bytes) in content(&archive) {
        assert!(!holds(&bytes, "mother"), "{name}");
        assert!(
            secrets.iter().all(|secret| !holds(&bytes, secret)),
            "{name}"
        );
        if name.ends_with("results.json") {
            assert!(
                holds(&bytes, "the evidence is cut off"),
                "it is judged broken"
            );
        }
    }
}

#[test]
fn a_completion_code_is_always_masked_and_by_the_same_word() {
    let catalogue = Catalogue::read(&find_root()).expect("the checkout's specs");
    let out = tempfile::tempdir().expect("a folder");
    recorded(out.path(), "in-game");
    let run = out.path().join("runs/in-game");
    let log = std::fs::read_to_string(run.join("evidence.jsonl")).expect("evidence");
    let (_, after) = log.split_once("completion code is: ").expect("the overlay");
    let code = &after[..36];
    let said = format!("[P2P] completion code: {code}\n");
    for name in ["server.log", "driver-survivor.log"] {
        std::fs::write(run.join(name), &said).expect("written");
    }
    let mut results = Results::new(Vec::new());
    let judged = judge_again(&catalogue, &run.join("evidence.jsonl")).expect("it can be judged");
    results.runs = judged.records;
    results.runs[0].folder = "runs/in-game".into();
    results.runs[0].title.clone_from(&said);
    write_reports(&results, out.path()).expect("written");
    let shown = Shown {
        answers: true,
        subjects: true,
        console: true,
        pictures: true,
    };
    for shown in [Shown::default(), shown] {
        let archive = tempfile::tempdir().expect("a folder");
        let archive = archive.path().join("shared.zip");
        let packed = share(&catalogue, out.path(), &archive, shown).expect("packed");
        let masked = packed.masked.iter();
        assert_eq!(
            masked.filter(|one| one.contains("completion code")).count(),
            1
        );
        let content = content(&archive);
        for (name, bytes) in &content {
            assert!(!holds(bytes, code), "{name} holds {code}");
        }
        let logs = content
            .iter()
            .filter(|(name, _)| name.ends_with(".log") || name.ends_with(".jsonl"));
        let logs: Vec<_> = logs.collect();
        assert_eq!(logs.len(), if shown.console { 3 } else { 2 });
        for (name, bytes) in logs {
            assert!(holds(bytes, "code-0001"), "{name}");
        }
    }
}

#[test]
fn what_is_asked_for_stays() {
    let catalogue = Catalogue::read(&find_root()).expect("the checkout's specs");
    let out = tempfile::tempdir().expect("a folder");
    let secrets = recorded(out.path(), "good");
    let archive = out.path().join("shared.zip");
    let shown = Shown {
        answers: true,
        subjects: true,
        console: true,
        pictures: true,
    };
    let run = out.path().join("runs/good");
    let packed = share(&catalogue, &run, &archive, shown).expect("packed");
    assert_eq!(
        (packed.runs, packed.masked.len(), packed.pictures_left_out),
        (1, 0, 0)
    );
    let content = content(&archive);
    let all: Vec<u8> = content
        .iter()
        .flat_map(|(_, bytes)| bytes.clone())
        .collect();
    for secret in secrets.iter().chain([&"[WebRTC]".to_owned()]) {
        assert!(holds(&all, secret), "{secret} is gone");
    }
    assert!(
        content
            .iter()
            .any(|(name, _)| name.ends_with("survivor-picture.png"))
    );
}

#[test]
fn the_folder_of_ones_own_specs_is_masked_too() {
    let own = tempfile::tempdir().expect("a folder");
    let spec = "title = \"Mine\"\nplays = \"scene-exit/partner-dies-on-survey\"\n[[checks]]\n\
                requirement = \"PLAY-01\"\nask = { played-peer-to-peer = {} }\n";
    std::fs::create_dir(own.path().join("mine")).expect("a folder");
    std::fs::write(own.path().join("mine/plays.toml"), spec).expect("written");
    let catalogue = Catalogue::read_with(&find_root(), Some(own.path())).expect("it is good");
    let out = tempfile::tempdir().expect("a folder");
    recorded(out.path(), "good");
    let archive = out.path().join("shared.zip");
    share(&catalogue, out.path(), &archive, Shown::default()).expect("packed");
    let content = content(&archive);
    let (_, results) = content
        .iter()
        .find(|(name, _)| name.ends_with("/results.json"))
        .expect("the results");
    assert!(holds(results, "mine/plays") && holds(results, "<specs>"));
    let path = own.path().to_str().expect("a path");
    for (name, bytes) in &content {
        assert!(!holds(bytes, path), "{name}");
    }
}

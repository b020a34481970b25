//! `form-answered` (SURVEY-01): could the survivor answer, was it stored, did the next scene come?

use serde_json::Value;

use super::departure::partner_left;
use super::facts::{SURVIVOR, data_files, same};
use super::{Findings, OracleFinding, Says};
use crate::evidence::{ActionFact, DataFile, Direction, Event, Fact, Log, Source};

/// Asks about the answers that the survivor gave; `missed` is what the step awaited in vain.
pub(super) fn ask(log: &Log, missed: Option<(u64, &str)>) -> Findings {
    let answered = log.of(SURVIVOR).find_map(|event| match &event.fact {
        Fact::Action(ActionFact { action, value }) if action == "answered the form" => {
            Some((event, value))
        }
        _ => None,
    });
    let mut oracles = Vec::new();
    if let Some((seq, what)) = missed {
        oracles.push(OracleFinding {
            oracle: "page".to_owned(),
            says: Says::Violated,
            account: what.to_owned(),
            evidence: vec![seq],
        });
    }
    if let (Some((event, answers)), None) = (answered, missed) {
        oracles.push(OracleFinding {
            oracle: "page".to_owned(),
            says: Says::Holds,
            account: "the form took mouse and keys, and Continue".to_owned(),
            evidence: vec![event.seq],
        });
        oracles.push(stored(log, event, answers));
        oracles.push(next_scene(log, event));
    }
    let mut stimuli = partner_left(log);
    let died = stimuli
        .iter()
        .filter_map(|one| one.evidence.iter().max())
        .max()
        .copied();
    stimuli.push(super::Stimulus::new(
        "the survivor answered after that",
        answered
            .filter(|(event, _)| died.is_some_and(|died| died < event.seq))
            .map(|(event, _)| event.seq)
            .into_iter()
            .collect(),
    ));
    Findings { stimuli, oracles }
}

/// The target's file holds what the page held.
fn stored(log: &Log, answered: &Event, answers: &Value) -> OracleFinding {
    if let Some(why) = log.lacks(Source::Data) {
        return OracleFinding::absent("data file", why);
    }
    let files = data_files(log, SURVIVOR, "answers").into_values();
    let files: Vec<_> = files
        .filter(|(event, _)| event.seq > answered.seq)
        .collect();
    let Some((event, file)) = files.first() else {
        return OracleFinding {
            oracle: "data file".to_owned(),
            says: Says::Violated,
            account: "the target stored no answers".to_owned(),
            evidence: vec![answered.seq],
        };
    };
    let mut violations: Vec<String> = answers
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(id, given)| {
            let given = given.as_str().unwrap_or_default();
            match value_of(file, id) {
                Some(found) if same(found, given) => None,
                Some(found) => Some(format!("`{id}` is \"{found}\", answered was \"{given}\"")),
                None => Some(format!("`{id}` is not in {}", file.path)),
            }
        })
        .collect();
    if file.rows.len() != 1 {
        violations.push(format!(
            "{} has {} rows, not one",
            file.path,
            file.rows.len()
        ));
    }
    if files.len() != 1 {
        violations.push(format!("{} files hold answers, not one", files.len()));
    }
    OracleFinding::from_violations(
        "data file",
        violations,
        format!("{} holds the answers", file.path),
        vec![answered.seq, event.seq],
    )
}

fn value_of<'a>(file: &'a DataFile, id: &str) -> Option<&'a str> {
    let column = file.columns.iter().position(|column| column == id)?;
    Some(file.rows.first()?.get(column)?.as_str())
}

/// Another scene came.
fn next_scene(log: &Log, answered: &Event) -> OracleFinding {
    let scenes: Vec<(&Event, &Value)> = log
        .socket_events(SURVIVOR, Direction::ToClient, "activate_scene")
        .filter_map(|(event, _, args)| Some((event, args.first()?.get("scene_id")?)))
        .collect();
    let form = scenes.iter().rfind(|(event, _)| event.seq < answered.seq);
    let next = scenes.iter().find(|(event, _)| event.seq > answered.seq);
    let (says, account, seq) = match next {
        Some((event, id)) if form.is_some_and(|(_, form)| form == id) => (
            Says::Violated,
            format!("the same scene {id} came again"),
            event.seq,
        ),
        Some((event, id)) => (Says::Holds, format!("the scene {id} came"), event.seq),
        None => (
            Says::Violated,
            "no scene came after the form".to_owned(),
            answered.seq,
        ),
    };
    OracleFinding {
        oracle: "wire".to_owned(),
        says,
        account,
        evidence: vec![seq],
    }
}

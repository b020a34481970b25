//! `data-whole` (DATA-01): are the survivor's rows the frames that were played, value by value?

mod duet;

use serde_json::Value;

use super::facts::{PARTNER, SURVIVOR, data_files, same};
use super::games::{Game, game, games_of, text};
use super::{Findings, OracleFinding, Stimulus};
use crate::evidence::{
    DataFile, Direction, Event, Fact, Log, Packet, PageEvent, PageFact, Source, WireFact,
};
use crate::spec::Spec;

/// How columns of actions begin; the rest of the name is the agent.
const ACTIONS: &str = "actions.";

/// The column that counts the frames.
const CLOCK: &str = "t";

/// What a page says where it finds the end of an episode, before the number of the frame.
const FOUND_THE_END: &str = "EPISODE END: frame=";

/// One episode: what the page sent, what the target answered, what it stored.
struct Episode<'a> {
    number: u64,
    sent: &'a Event,
    data: Option<&'a Value>,
    acknowledged: Option<&'a Event>,
    file: Option<(&'a Event, &'a DataFile)>,
}

/// Asks about the survivor's game of this number.
pub(super) fn ask(spec: &Spec, number: u32, log: &Log) -> Findings {
    if let Some(why) = log.lacks(Source::Data) {
        return Findings::not_to_be_had("the file of the survivor's game", why);
    }
    let Some(game) = game(log, number) else {
        return Findings {
            stimuli: vec![Stimulus::new(
                format!("the survivor was in game {number}"),
                Vec::new(),
            )],
            oracles: Vec::new(),
        };
    };
    let episodes = episodes(log, &game);
    Findings {
        stimuli: stimuli(spec, &game, &episodes),
        oracles: vec![
            wire_and_file(log, &game, &episodes),
            frames_played(spec, log, &game, &episodes),
            recomputed(spec, &game, &episodes),
        ],
    }
}

fn stimuli(spec: &Spec, game: &Game<'_>, episodes: &[Episode<'_>]) -> Vec<Stimulus> {
    let all = episodes.len() >= spec.body.experiment.episodes as usize;
    let pressed = episodes
        .iter()
        .filter(|episode| episode.file.is_some_and(|(_, file)| is_played(file)))
        .map(|episode| episode.sent.seq);
    vec![
        Stimulus::new("the survivor's game began", super::facts::seq(game.started)),
        Stimulus::new(
            "the page sent each episode's data, and the target took it",
            match all {
                true => episodes
                    .iter()
                    .map(|episode| episode.acknowledged.map(|event| event.seq))
                    .collect::<Option<Vec<u64>>>()
                    .unwrap_or_default(),
                false => Vec::new(),
            },
        ),
        Stimulus::new("keys of both are in the record", pressed.collect()),
    ]
}

/// Whether every agent did something in an episode. A record of nothing is whole all too easily.
fn is_played(file: &DataFile) -> bool {
    let mut agents = (0..file.columns.len())
        .filter(|index| file.columns[*index].starts_with(ACTIONS))
        .peekable();
    agents.peek().is_some()
        && agents.all(|index| {
            frames(file).any(|row| cell(row, index).parse::<f64>().is_ok_and(|key| key != 0.0))
        })
}

/// The survivor's episodes of a game. The page sends one again until it is acknowledged: the last
/// time counts.
fn episodes<'a>(log: &'a Log, game: &Game<'a>) -> Vec<Episode<'a>> {
    let mut found: Vec<Episode<'a>> = Vec::new();
    let end = game.exit.map_or(u64::MAX, |exit| exit.seq);
    for (event, wire, args) in log.socket_events(SURVIVOR, Direction::ToServer, "emit_episode_data")
    {
        let number = args
            .first()
            .and_then(|one| one.get("episode_num")?.as_u64());
        let (true, Some(number)) = (event.seq > game.assigned.seq && event.seq < end, number)
        else {
            continue;
        };
        found.retain(|episode| episode.number != number);
        let file = stored(SURVIVOR, log, game, text(args, "subject_id"), number);
        found.push(Episode {
            number,
            sent: event,
            data: args
                .first()
                .and_then(|one| one.get("data")?.get("$binary")?.get("msgpack")),
            acknowledged: match &wire.packet {
                Packet::Event { ack: Some(ack), .. } => acknowledgement(log, event, wire, *ack),
                // A page that asks for no word has the file for one.
                _ => file.map(|(event, _)| event),
            },
            file,
        });
    }
    found
}

/// The target's word that it has stored what this event carried.
fn acknowledgement<'a>(
    log: &'a Log,
    sent: &Event,
    wire: &WireFact,
    wanted: i64,
) -> Option<&'a Event> {
    log.of(SURVIVOR).find(|event| {
        event.seq > sent.seq
            && matches!(&event.fact, Fact::Wire(answer)
                if answer.connection == wire.connection
                    && answer.direction == Direction::ToClient
                    && matches!(&answer.packet, Packet::Ack { id, .. } if *id == wanted))
    })
}

/// The file that the target stored for a player's episode: in the scene's folder, under the
/// subject's name.
fn stored<'a>(
    player: &'a str,
    log: &'a Log,
    game: &Game<'_>,
    subject: Option<&str>,
    number: u64,
) -> Option<(&'a Event, &'a DataFile)> {
    let ending = format!("_ep{number}.csv");
    let is_it = |path: &str| {
        let (folder, name) = path.rsplit_once('/')?;
        let owner = name.strip_suffix(&ending)?;
        let is_here = folder.rsplit('/').next() == Some(game.scene);
        Some(is_here && subject.is_none_or(|subject| subject == owner))
    };
    let files = data_files(log, player, "episode").into_iter();
    let mut files = files.filter(|(path, _)| is_it(path) == Some(true));
    files.next().map(|(_, file)| file)
}

/// The rows of a file that are frames: what the client pads has no clock.
fn frames(file: &DataFile) -> impl Iterator<Item = &[String]> {
    let clock = file.columns.iter().position(|column| column == CLOCK);
    file.rows
        .iter()
        .filter(move |row| clock.is_some_and(|clock| !cell(row, clock).is_empty()))
        .map(Vec::as_slice)
}

fn cell(row: &[String], index: usize) -> &str {
    row.get(index).map_or("", String::as_str)
}

/// What the page sent against what the target stored.
fn wire_and_file(log: &Log, game: &Game<'_>, episodes: &[Episode<'_>]) -> OracleFinding {
    let mut violations = Vec::new();
    let mut evidence = Vec::new();
    let mut compared = 0;
    for episode in episodes {
        let number = episode.number;
        evidence.push(episode.sent.seq);
        let Some((event, file)) = episode.file else {
            // A run that ended early has not looked for it.
            if episode.acknowledged.is_some() && log.missed().is_none() {
                violations.push(format!(
                    "episode {number} of `{}` was acknowledged, and no file holds it",
                    game.scene
                ));
            }
            continue;
        };
        evidence.push(event.seq);
        let Some(data) = episode.data else {
            return OracleFinding::absent("wire and file", "what the page sent cannot be read");
        };
        let (values, wrong) = compare(data, file);
        compared += values;
        violations.extend(
            wrong
                .into_iter()
                .map(|what| format!("episode {number}: {what}")),
        );
    }
    if compared == 0 && violations.is_empty() {
        return OracleFinding::absent("wire and file", "no episode was stored");
    }
    OracleFinding::from_violations(
        "wire and file",
        violations,
        format!("{compared} values in the file are those that the page sent"),
        evidence,
    )
}

/// How many values were compared, and what differs, at the first row of each column.
fn compare(data: &Value, file: &DataFile) -> (usize, Vec<String>) {
    let mut sent = Vec::new();
    flatten("", data, &mut sent);
    let mut compared = 0;
    let mut wrong = Vec::new();
    for (column, value) in &sent {
        let Some(index) = file.columns.iter().position(|name| name == column) else {
            // A column in which nothing ever stood may be left out, or stand empty.
            if value.as_array().is_none_or(|items| !items.is_empty()) {
                wrong.push(format!("the file has no column {column}"));
            }
            continue;
        };
        let alone = std::slice::from_ref(*value);
        let values = value.as_array().map_or(alone, Vec::as_slice);
        for row in 0..file.rows.len().max(values.len()) {
            let stored = file.rows.get(row).map(|cells| cell(cells, index));
            let given = values.get(row);
            compared += usize::from(given.is_some());
            if !is_same(given, stored) {
                wrong.push(format!(
                    "{column} in row {row}: the page sent {}, the file has {}",
                    given.map_or("nothing".to_owned(), written),
                    stored.map_or("no such row".to_owned(), |cell| format!("\"{cell}\"")),
                ));
                break;
            }
        }
    }
    for column in &file.columns {
        if !sent.iter().any(|(name, _)| name == column) {
            wrong.push(format!("the page did not send the file's column {column}"));
        }
    }
    (compared, wrong)
}

/// The columns of a record: nested objects become names with dots, as the target writes them.
fn flatten<'a>(prefix: &str, value: &'a Value, into: &mut Vec<(String, &'a Value)>) {
    match value {
        Value::Object(fields) => {
            for (name, inner) in fields {
                let path = match prefix {
                    "" => name.clone(),
                    _ => format!("{prefix}.{name}"),
                };
                flatten(&path, inner, into);
            }
        }
        _ => into.push((prefix.to_owned(), value)),
    }
}

fn is_same(given: Option<&Value>, stored: Option<&str>) -> bool {
    let stored = stored.unwrap_or_default();
    match given {
        None | Some(Value::Null) => stored.is_empty(),
        Some(value @ (Value::Array(_) | Value::Object(_))) if is_plain(value) => {
            read_back(stored).is_some_and(|stored| is_equal(value, &stored))
        }
        // What cannot be read back is only known to be there.
        Some(Value::Array(_) | Value::Object(_)) => !stored.is_empty(),
        Some(value) => same(&written(value), stored),
    }
}

/// A value as Python writes it into a cell.
fn written(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        _ => value.to_string(),
    }
}

/// Whether Python writes a list or an object into a cell in such a way that it can be read back: none of its
/// texts needs escaping, and none of its values are bytes.
fn is_plain(value: &Value) -> bool {
    let needs_none = |text: &str| {
        let escaped = |one: char| matches!(one, '\'' | '"' | '\\') || one.is_control();
        !text.contains(escaped)
    };
    match value {
        Value::String(text) => needs_none(text),
        Value::Array(items) => items.iter().all(is_plain),
        Value::Object(fields) => fields
            .iter()
            .all(|(name, inner)| needs_none(name) && !name.starts_with('$') && is_plain(inner)),
        Value::Null | Value::Bool(_) | Value::Number(_) => true,
    }
}

/// A list or an object as Python writes it into a cell, where its texts need no escaping.
fn read_back(cell: &str) -> Option<Value> {
    if cell.contains(['\\', '"']) {
        return None;
    }
    let json: Vec<String> = cell
        .split('\'')
        .enumerate()
        .map(|(index, part)| match index % 2 {
            0 => part
                .replace("True", "true")
                .replace("False", "false")
                .replace("None", "null")
                .replace("nan", "null"),
            _ => part.to_owned(),
        })
        .collect();
    serde_json::from_str(&json.join("\"")).ok()
}

/// The same value, with numbers compared as numbers.
fn is_equal(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(a, b)| is_equal(a, b))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one.iter().all(|(name, value)| {
                    other.get(name).is_some_and(|there| is_equal(value, there))
                })
        }
        (Value::Number(one), Value::Number(other)) => one.as_f64() == other.as_f64(),
        _ => one == other,
    }
}

/// The frames of each episode: each once and in order, none of its steps missing, as many as the partner's
/// record has, and all until the end, as the pages tell of it. A page that lags finds the end late; where both
/// do, both play some frames more, and these belong to the record.
fn frames_played(
    spec: &Spec,
    log: &Log,
    game: &Game<'_>,
    episodes: &[Episode<'_>],
) -> OracleFinding {
    let least = spec.body.experiment.least_frames();
    let mut violations = Vec::new();
    let mut evidence = Vec::new();
    let mut counts = Vec::new();
    let ends = agreed_ends(log, game, episodes.len());
    for (index, episode) in episodes.iter().enumerate() {
        let Some((event, file)) = episode.file else {
            continue;
        };
        let end = ends.get(index);
        evidence.extend(end.iter().flat_map(|end| end.told));
        let partner = stored(PARTNER, log, game, None, episode.number);
        evidence.push(event.seq);
        evidence.extend(partner.map(|(event, _)| event.seq));
        let end = end.map(|end| end.frame);
        let Some(wrong) = frames_of(file, partner.map(|(_, file)| file), least, end) else {
            return OracleFinding::absent("frames", "the record does not count its frames");
        };
        counts.push(frames(file).count().to_string());
        let number = episode.number;
        violations.extend(
            wrong
                .into_iter()
                .map(|what| format!("episode {number} has {what}")),
        );
    }
    if counts.is_empty() {
        return OracleFinding::absent("frames", "no episode was stored");
    }
    OracleFinding::from_violations(
        "frames",
        violations,
        format!("{} frames, each once and in order", counts.join(", ")),
        evidence,
    )
}

/// Where both pages agree that an episode has ended: at the earlier of the frames at which each found its end.
struct End {
    frame: usize,
    /// Where each of them told of it.
    told: [u64; 2],
}

/// The ends of a game's episodes, in order; none, unless both pages told of each.
fn agreed_ends(log: &Log, game: &Game<'_>, episodes: usize) -> Vec<End> {
    let told = |player: &'static str| -> Vec<(u64, usize)> {
        let mut games = games_of(player, log).into_iter();
        let Some(own) = games.find(|own| own.id == game.id) else {
            return Vec::new();
        };
        let until = own.exit.map_or(u64::MAX, |exit| exit.seq);
        log.of(player)
            .filter(|event| event.seq > own.assigned.seq && event.seq < until)
            .filter_map(|event| Some((event.seq, found_the_end(event)?)))
            .collect()
    };
    let (survivor, partner) = (told(SURVIVOR), told(PARTNER));
    if survivor.len() != episodes || partner.len() != episodes {
        return Vec::new();
    }
    let both = survivor.into_iter().zip(partner);
    both.map(|((one, found), (other, theirs))| End {
        frame: found.min(theirs),
        told: [one, other],
    })
    .collect()
}

/// The frame at which a page says that it has found the end of an episode.
fn found_the_end(event: &Event) -> Option<usize> {
    match &event.fact {
        Fact::Page(PageEvent {
            what: PageFact::Console { text, .. },
            ..
        }) => {
            let (_, frame) = text.split_once(FOUND_THE_END)?;
            frame.split_whitespace().next()?.parse().ok()
        }
        _ => None,
    }
}

/// What is wrong with the frames of one episode; `None` if the record does not count them.
fn frames_of(
    file: &DataFile,
    partner: Option<&DataFile>,
    least: usize,
    end: Option<usize>,
) -> Option<Vec<String>> {
    let clock = file.columns.iter().position(|column| column == CLOCK)?;
    let count = frames(file).count();
    let mut wrong = Vec::new();
    if count < least {
        wrong.push(format!("{count} frames in the file, it has {least} steps"));
    }
    if let Some(end) = end.filter(|end| *end != count) {
        wrong.push(format!(
            "{count} frames in the file, the pages agree that it ended at frame {end}"
        ));
    }
    let out_of_order = frames(file)
        .enumerate()
        .find(|(index, row)| !same(&index.to_string(), cell(row, clock)));
    if let Some((index, row)) = out_of_order {
        wrong.push(format!("frame {} in row {index}", cell(row, clock)));
    }
    if let Some(theirs) = partner.map(|other| frames(other).count())
        && theirs != count
    {
        wrong.push(format!(
            "{count} frames in the file, {theirs} in the partner's"
        ));
    }
    Some(wrong)
}

/// The recorded actions, played again from the game's seed, earn the recorded rewards.
fn recomputed(spec: &Spec, game: &Game<'_>, episodes: &[Episode<'_>]) -> OracleFinding {
    let name = &spec.body.experiment.name;
    let absent = |why: String| OracleFinding::absent("recomputation", why);
    if name != duet::NAME {
        return absent(format!(
            "the rules of the experiment `{name}` are not known"
        ));
    }
    let Some(seed) = game.seed else {
        return absent("the game's seed was not seen".to_owned());
    };
    let mut violations = Vec::new();
    let mut evidence = vec![game.assigned.seq];
    let mut rewards = 0;
    for episode in episodes {
        let Some((event, file)) = episode.file else {
            continue;
        };
        evidence.push(event.seq);
        match duet::play_again(seed, file) {
            Ok(count) => rewards += count,
            Err(what) => violations.push(format!("episode {}: {what}", episode.number)),
        }
    }
    if evidence.len() == 1 {
        return absent("no episode was stored".to_owned());
    }
    OracleFinding::from_violations(
        "recomputation",
        violations,
        format!(
            "{rewards} recorded rewards are those that the recorded actions earn from seed {seed}"
        ),
        evidence,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn cells_are_compared_by_what_they_say() {
        let same = [
            (json!(1.5), "1.5"),
            (json!(0), "0.0"),
            (json!(true), "True"),
            (json!("a, b"), "a, b"),
            (json!(null), ""),
            (
                json!({"b": 1, "a": [true, null, "x"]}),
                "{'a': [True, None, 'x'], 'b': 1.0}",
            ),
        ];
        for (value, cell) in same {
            assert!(is_same(Some(&value), Some(cell)), "{value} {cell}");
        }
        let different = [
            (json!(0.6), "1.0"),
            (json!(0), ""),
            (json!({"a": 1}), "{'a': 2}"),
            (json!({"a": 1}), ""),
            (json!([1, 2]), "[1]"),
        ];
        for (value, cell) in different {
            assert!(!is_same(Some(&value), Some(cell)), "{value} {cell}");
        }
        assert!(is_same(None, None));
        assert!(!is_same(None, Some("1")));
    }

    #[test]
    fn a_column_in_which_nothing_stood_may_be_there_or_not() {
        let owned = |cells: &[&str]| cells.iter().map(|cell| (*cell).to_owned()).collect();
        let mut file = DataFile {
            what: "episode".into(),
            path: "duet/game-1/somebody_ep0.csv".into(),
            columns: owned(&["t", "rollbackEvents"]),
            rows: vec![owned(&["0", ""]), owned(&["1", ""])],
            json: Value::Null,
        };
        let data = json!({ "t": [0, 1], "rollbackEvents": [], "infos": {} });
        assert_eq!(compare(&data, &file), (2, Vec::new()));
        file.columns.truncate(1);
        assert_eq!(compare(&data, &file), (2, Vec::new()));
        let more = json!({ "t": [0, 1], "rollbackEvents": [7] });
        assert_eq!(
            compare(&more, &file).1,
            ["the file has no column rollbackEvents"]
        );
    }
}

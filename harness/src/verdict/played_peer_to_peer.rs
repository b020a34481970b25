//! `played-peer-to-peer` (PLAY-01): did one connection carry the inputs of both, and do both
//! records of the game agree?

use std::collections::{BTreeMap, BTreeSet};

use super::departure::anybody_left;
use super::facts::{PARTNER, SURVIVOR, data_files, game_of, is_measuring, same};
use super::{Findings, OracleFinding, Says, Stimulus};
use crate::evidence::{DataFile, Direction, Event, Fact, GameScene, Log, Packet, PageFact, Source};
use crate::spec::{GameNumber, Spec};

/// Columns of an episode's record that must be the same for both players, by how they begin. The
/// others (time stamps, focus, speculation, rollbacks) are each client's own.
const SHARED: [&str; 5] = ["actions.", "rewards.", "terminateds.", "truncateds.", "t"];

/// How columns of actions begin; the rest of the name is the agent.
const ACTIONS: &str = "actions.";

/// One player's part in a game.
struct Part<'a> {
    player: &'a str,
    log: &'a Log,
    scene: Option<GameScene<'a>>,
}

impl<'a> Part<'a> {
    fn of(player: &'a str, game: GameNumber, log: &'a Log) -> Part<'a> {
        let scene = game_of(log, player, game);
        Part { player, log, scene }
    }

    fn began(&self) -> bool {
        self.scene
            .as_ref()
            .is_some_and(|scene| scene.started.is_some())
    }

    /// What happened to the player from the scene's activation until the next scene's.
    fn events(&self) -> impl Iterator<Item = &'a Event> {
        self.log.of(self.player).filter(|event| {
            self.scene
                .as_ref()
                .is_some_and(|scene| scene.holds(event.seq))
        })
    }
}

/// Asks about a whole game; `stuck` is where a step that plays was missed, and what it awaited in vain.
pub(super) fn ask(
    spec: &Spec,
    game: GameNumber,
    log: &Log,
    stuck: Option<(u64, &str)>,
) -> Findings {
    let survivor = Part::of(SURVIVOR, game, log);
    let partner = Part::of(PARTNER, game, log);
    let mut stimuli = vec![keys(&survivor), keys(&partner)];
    // Where they cannot be had, pages and wire must do.
    if log.lacks(Source::Data).is_none() {
        stimuli.push(records_there(spec, &survivor, &partner));
    }
    Findings {
        stimuli,
        oracles: vec![
            connection(&survivor),
            connection(&partner),
            no_relay(&[survivor.events(), partner.events()].map(Iterator::collect)),
            match stuck.filter(|(seq, _)| still_in_it(&survivor, *seq)) {
                Some((seq, awaited)) => stands_still(seq, awaited),
                None => records(spec, &survivor, &partner),
            },
        ],
    }
}

fn keys(part: &Part<'_>) -> Stimulus {
    let pressed = part.events().find(
        |event| matches!(&event.fact, Fact::Action(action) if action.action == "press a key"),
    );
    Stimulus::new(
        format!("the {} pressed keys", part.player),
        pressed.map(|event| event.seq).into_iter().collect(),
    )
}

/// What a player's page did with the connections that it made for a game. One that only measured the
/// round trip for the matchmaking is none of them.
#[derive(Default)]
struct Connections {
    made: BTreeSet<(u32, u32)>,
    connected: BTreeSet<(u32, u32)>,
    channels: BTreeSet<(u32, u32)>,
    /// Inputs that a channel sent and received, and the event that says so; messages, in older logs.
    traffic: BTreeMap<(u32, u32), (u64, u64, u64)>,
    evidence: Vec<u64>,
}

impl Connections {
    fn of(part: &Part<'_>) -> Connections {
        let mut found = Connections::default();
        for event in part.events() {
            if let Fact::Page(page) = &event.fact {
                found.add(event.seq, page.page, &page.what);
            }
        }
        found
    }

    fn add(&mut self, seq: u64, page: u32, what: &PageFact) {
        match what {
            PageFact::ConnectionCreated { id, stack } if !is_measuring(stack) => {
                self.made.insert((page, *id));
            }
            PageFact::ConnectionState { id, connection, .. }
                if connection == "connected"
                    && self.made.contains(&(page, *id))
                    && self.connected.insert((page, *id)) =>
            {
                self.evidence.push(seq);
            }
            PageFact::ChannelCreated { id, connection, .. }
                if self.made.contains(&(page, *connection)) =>
            {
                self.channels.insert((page, *id));
            }
            PageFact::ChannelTraffic {
                id,
                sent,
                sent_inputs,
                received,
                received_inputs,
                ..
            } if self.channels.contains(&(page, *id)) => {
                let inputs = sent_inputs.zip(*received_inputs);
                let (sent, received) = inputs.unwrap_or((*sent, *received));
                self.traffic.insert((page, *id), (sent, received, seq));
            }
            _ => {}
        }
    }
}

/// A player's page: one connection, and a channel on it that carried the inputs of the game both ways, one for
/// every other frame at least.
fn connection(part: &Part<'_>) -> OracleFinding {
    let oracle = format!("the {}'s page", part.player);
    if !part.began() {
        return OracleFinding::absent(&oracle, "no game began");
    }
    let found = Connections::of(part);
    let played = episodes(part)
        .into_iter()
        .map(|(_, file)| frames(file).len());
    let least = (played.sum::<usize>() as u64 / 2).max(1);
    let both_ways = found
        .traffic
        .values()
        .find(|(sent, received, _)| *sent >= least && *received >= least);
    let mut violations = Vec::new();
    if found.connected.len() != 1 {
        violations.push(format!(
            "{} connections were connected, not one",
            found.connected.len()
        ));
    }
    if both_ways.is_none() {
        violations.push(format!(
            "no data channel carried {least} inputs both ways: one for every other frame of the record"
        ));
    }
    let (sent, received) = both_ways.map_or((0, 0), |(sent, received, _)| (*sent, *received));
    let mut evidence = found.evidence;
    evidence.extend(both_ways.map(|(_, _, seq)| *seq));
    OracleFinding::from_violations(
        &oracle,
        violations,
        format!("one connection; its channel sent {sent} and received {received} inputs"),
        evidence,
    )
}

/// The wire: no input took the server's relay.
fn no_relay(parts: &[Vec<&Event>]) -> OracleFinding {
    // Who has played its last frame and waits for the other's word goes on stepping; when the other
    // has left, these inputs find no channel. They are none of the game's.
    let completed = parts.iter().flatten().filter(|event| is_complete(event));
    let over = completed.map(|event| event.seq).min().unwrap_or(u64::MAX);
    let relayed: Vec<&Event> = parts
        .iter()
        .flatten()
        .copied()
        .filter(|event| event.seq < over && is_relayed(event))
        .collect();
    let violations = if relayed.is_empty() {
        Vec::new()
    } else {
        vec![format!("{} inputs took the server's relay", relayed.len())]
    };
    OracleFinding::from_violations(
        "wire",
        violations,
        "no input took the server's relay",
        relayed.iter().map(|event| event.seq).take(20).collect(),
    )
}

/// Whether a page tells that its game is complete.
fn is_complete(event: &Event) -> bool {
    matches!(&event.fact, Fact::Wire(wire) if wire.direction == Direction::ToServer
        && matches!(&wire.packet, Packet::Event { name, .. } if name == "multiplayer_game_complete"))
}

/// Whether an event is an input on its way to the server's relay, or from it.
fn is_relayed(event: &Event) -> bool {
    match &event.fact {
        Fact::Wire(wire) => match (&wire.packet, wire.direction) {
            (Packet::Event { name, .. }, Direction::ToServer) => name == "pyodide_player_action",
            (Packet::Event { name, .. }, Direction::ToClient) => {
                name == "pyodide_other_player_action"
            }
            _ => false,
        },
        _ => false,
    }
}

/// The records of the game's episodes. They lie in a folder for each scene, and may be there only
/// when the player has left it.
fn episodes<'a>(part: &Part<'a>) -> Vec<(&'a Event, &'a DataFile)> {
    let scene = part.scene.as_ref().and_then(|game| game.scene.as_str());
    let is_here = |file: &DataFile| {
        let (folder, _) = episode_of(file);
        scene.is_some_and(|scene| folder.rsplit('/').next() == Some(scene))
    };
    let files = data_files(part.log, part.player, "episode");
    let mut files: Vec<_> = files.into_values().collect();
    files.retain(|(_, file)| is_here(file));
    files.sort_by_key(|(_, file)| episode_of(file));
    files
}

/// Folder and number of an episode, from its path.
fn episode_of(file: &DataFile) -> (String, u32) {
    let (folder, name) = file.path.rsplit_once('/').unwrap_or(("", &file.path));
    let number = name
        .rsplit_once("_ep")
        .and_then(|(_, rest)| rest.strip_suffix(".csv")?.parse().ok())
        .unwrap_or(0);
    (folder.to_owned(), number)
}

fn records_there(spec: &Spec, survivor: &Part<'_>, partner: &Part<'_>) -> Stimulus {
    let expected = (spec.body.experiment.episodes) as usize;
    let (survivor, partner) = (episodes(survivor), episodes(partner));
    let all_there = survivor.len() >= expected && partner.len() >= expected;
    let evidence = survivor.iter().chain(&partner).map(|(event, _)| event.seq);
    Stimulus::new(
        "the target stored each episode of both players",
        if all_there {
            evidence.collect()
        } else {
            Vec::new()
        },
    )
}

/// Whether a player still was in a game that had begun, and everybody with it.
fn still_in_it(part: &Part<'_>, seq: u64) -> bool {
    let here = part.scene.as_ref().is_some_and(|scene| scene.holds(seq));
    part.began() && here && !anybody_left(part.log, seq)
}

/// A game that both are in, and that never comes to its end.
fn stands_still(seq: u64, awaited: &str) -> OracleFinding {
    OracleFinding {
        oracle: "records".to_owned(),
        says: Says::Violated,
        account: format!("the game began and was not played on: {awaited}"),
        evidence: vec![seq],
    }
}

/// The records of both players: as long as the episode, the same value by value, and with keys of
/// both in them.
fn records(spec: &Spec, survivor: &Part<'_>, partner: &Part<'_>) -> OracleFinding {
    let log = survivor.log;
    let (survivor, partner) = (episodes(survivor), episodes(partner));
    if let Some(why) = log.lacks(Source::Data) {
        return OracleFinding::absent("records", why);
    }
    if survivor.is_empty() || partner.is_empty() {
        return OracleFinding {
            oracle: "records".to_owned(),
            says: Says::Absent,
            account: "the target stored no episode of one of them".to_owned(),
            evidence: Vec::new(),
        };
    }
    let least = spec.body.experiment.least_frames();
    let mut violations = Vec::new();
    let mut values = 0;
    for ((_, one), (_, other)) in survivor.iter().zip(&partner) {
        let (_, number) = episode_of(one);
        let (differences, compared) = compare(one, other, least);
        values += compared;
        violations.extend(
            differences
                .into_iter()
                .map(|what| format!("episode {number}: {what}")),
        );
    }
    if survivor.len() != partner.len() {
        violations.push(format!(
            "{} episodes of the survivor, {} of the partner",
            survivor.len(),
            partner.len()
        ));
    }
    OracleFinding::from_violations(
        "records",
        violations,
        format!(
            "at least {least} frames an episode, {values} values the same in both players' records"
        ),
        survivor
            .iter()
            .chain(&partner)
            .map(|(event, _)| event.seq)
            .collect(),
    )
}

/// What differs between two records of one episode, and how many values were compared.
fn compare(one: &DataFile, other: &DataFile, least: usize) -> (Vec<String>, usize) {
    let mut violations = Vec::new();
    let (frames, frames_there) = (frames(one), frames(other));
    for (whose, count) in [(SURVIVOR, frames.len()), (PARTNER, frames_there.len())] {
        // A busy machine plays on for some frames until both know of the end; none may be missing.
        if count < least {
            violations.push(format!(
                "the {whose}'s record has {count} frames, not {least}"
            ));
        }
    }
    if frames.len() != frames_there.len() {
        violations.push(format!(
            "the survivor's record has {} frames, the partner's {}",
            frames.len(),
            frames_there.len()
        ));
    }
    for begin in SHARED {
        for (whose, file) in [(SURVIVOR, one), (PARTNER, other)] {
            if !file.columns.iter().any(|column| begins(column, begin)) {
                violations.push(format!("the {whose}'s record has no column {begin}"));
            }
        }
    }
    let mut values = 0;
    let mut agents_with_keys = 0;
    let mut agents = 0;
    for (index, column) in one
        .columns
        .iter()
        .enumerate()
        .filter(|(_, name)| is_shared(name))
    {
        let Some(there) = other.columns.iter().position(|name| name == column) else {
            violations.push(format!("the partner's record has no column {column}"));
            continue;
        };
        let pairs: Vec<(&str, &str)> = frames
            .iter()
            .zip(&frames_there)
            .map(|(row, row_there)| (cell(row, index), cell(row_there, there)))
            .collect();
        values += pairs.len();
        if let Some(row) = pairs.iter().position(|(mine, yours)| !same(mine, yours)) {
            let (mine, yours) = pairs[row];
            violations.push(format!(
                "{column} differs in row {row}: {mine} for the survivor, {yours} for the partner"
            ));
        }
        if column.starts_with(ACTIONS) {
            agents += 1;
            let pressed = pairs.iter().any(|(mine, _)| is_pressed(mine));
            agents_with_keys += usize::from(pressed);
        }
    }
    if agents < 2 || agents_with_keys < agents {
        violations.push(format!(
            "keys of {agents_with_keys} of {agents} agents are in the record, not of both"
        ));
    }
    (violations, values)
}

/// The rows that are frames. A record of one client that has more rollbacks than frames is padded
/// with rows that hold nothing else; rollbacks are each client's own.
fn frames(file: &DataFile) -> Vec<&[String]> {
    let clock = file.columns.iter().position(|column| column == "t");
    file.rows
        .iter()
        .filter(|row| clock.is_some_and(|clock| !cell(row, clock).is_empty()))
        .map(Vec::as_slice)
        .collect()
}

fn is_shared(column: &str) -> bool {
    SHARED.iter().any(|begin| begins(column, begin))
}

fn begins(column: &str, begin: &str) -> bool {
    column == begin || (begin.ends_with('.') && column.starts_with(begin))
}

fn cell(row: &[String], index: usize) -> &str {
    row.get(index).map_or("", String::as_str)
}

/// Whether an action is another than the default one. An empty cell is no action.
fn is_pressed(value: &str) -> bool {
    value.parse::<f64>().is_ok_and(|number| number != 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(rows: &[[&str; 4]]) -> DataFile {
        let owned = |cells: &[&str]| cells.iter().map(|cell| (*cell).to_owned()).collect();
        // Those that have nothing to say here are the same for everybody.
        let row = |cells: &[&str; 4]| {
            let mut row: Vec<String> = owned(cells);
            row.extend(["0.5", "False", "False"].map(str::to_owned));
            row
        };
        DataFile {
            what: "episode".into(),
            path: "duet/game-1/somebody_ep0.csv".into(),
            columns: owned(&[
                "actions.left",
                "actions.right",
                "t",
                "rollbackEvents",
                "rewards.left",
                "terminateds.left",
                "truncateds.left",
            ]),
            rows: rows.iter().map(row).collect(),
            json: serde_json::Value::Null,
        }
    }

    #[test]
    fn rows_that_only_pad_a_record_are_no_frames() {
        // As stored for a client with three rollbacks in two frames, and for one with none.
        let padded = record(&[
            ["1.0", "0.0", "0.0", "{'frame': 3}"],
            ["0.0", "2.0", "1.0", "{'frame': 4}"],
            ["", "", "", "{'frame': 5}"],
        ]);
        let plain = record(&[["1", "0", "0", ""], ["0", "2", "1", ""]]);
        assert_eq!(compare(&padded, &plain, 2), (Vec::new(), 12));
    }

    #[test]
    fn what_differs_is_named_with_its_row() {
        let one = record(&[["1", "0", "0", ""], ["0", "2", "1", ""]]);
        let other = record(&[["1", "0", "0", ""], ["2", "2", "1", ""]]);
        let (violations, _) = compare(&one, &other, 2);
        assert_eq!(
            violations,
            ["actions.left differs in row 1: 0 for the survivor, 2 for the partner"]
        );
    }

    #[test]
    fn a_record_without_keys_of_both_proves_no_inputs() {
        let silent = record(&[["1", "0", "0", ""], ["0", "0", "1", ""]]);
        let (violations, _) = compare(&silent, &silent, 2);
        assert_eq!(violations.len(), 1, "{violations:?}");
        let empty = record(&[["1", "", "0", ""], ["0", "", "1", ""]]);
        let (violations, _) = compare(&empty, &empty, 2);
        assert_eq!(violations.len(), 1, "{violations:?}");
        let mut without_rewards = record(&[["1", "0", "0", ""], ["0", "2", "1", ""]]);
        without_rewards.columns[4] = "another".into();
        let (violations, _) = compare(&without_rewards, &without_rewards, 2);
        assert_eq!(violations.len(), 2, "{violations:?}");
        let short = record(&[["1", "2", "0", ""]]);
        let (violations, _) = compare(&short, &short, 2);
        assert_eq!(violations.len(), 2, "{violations:?}");
    }
}

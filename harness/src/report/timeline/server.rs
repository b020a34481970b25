//! What the server did and said.

use std::collections::BTreeMap;

use super::process::lifetime;
use super::{Bar, Row, Style, detail, mark, round};
use crate::evidence::{Event, Fact, Log};

pub(super) fn rows(log: &Log, end: f64) -> Vec<Row> {
    vec![process(log, end), games(log, end), handled(log), said(log)]
}

fn process(log: &Log, end: f64) -> Row {
    let mut row = Row::new("process");
    for event in log.events() {
        let Fact::Process(process) = &event.fact else {
            continue;
        };
        if process.role != "server" {
            continue;
        }
        lifetime(&mut row, event, process, "server", end);
    }
    row
}

/// The games that the target held, in any of its tables.
fn games(log: &Log, end: f64) -> Row {
    let mut row = Row::new("games held");
    let mut open: BTreeMap<String, usize> = BTreeMap::new();
    for event in log.events() {
        let Fact::ServerHolds(holds) = &event.fact else {
            continue;
        };
        // A room may be another thing than a game's.
        let tables = holds.games.iter().filter(|(table, _)| *table != "rooms");
        let held: BTreeMap<&String, ()> = tables
            .flat_map(|(_, games)| games.keys())
            .map(|game| (game, ()))
            .collect();
        open.retain(|game, index| {
            let stays = held.contains_key(game);
            if !stays {
                row.bars[*index].to = round(event.t);
                row.bars[*index].events.push(event.seq);
            }
            stays
        });
        for game in held.into_keys() {
            open.entry(game.clone()).or_insert_with(|| {
                row.bars.push(game_bar(event, game, end));
                row.bars.len() - 1
            });
        }
    }
    row
}

fn game_bar(event: &Event, game: &str, end: f64) -> Bar {
    Bar {
        from: round(event.t),
        to: round(end),
        label: format!("game {}", super::detail::cut(game, 8)),
        style: Style::Server,
        events: vec![event.seq],
        detail: detail(event),
    }
}

/// The events that the target finished handling.
fn handled(log: &Log) -> Row {
    let mut row = Row::new("handled");
    for event in log.events() {
        if let Fact::ServerHandled(handled) = &event.fact {
            let (label, style) = match &handled.error {
                None => (handled.event.clone(), Style::Server),
                Some(error) => (format!("{}: {error}", handled.event), Style::Error),
            };
            row.marks.push(mark(event, label, style));
        }
    }
    row
}

fn said(log: &Log) -> Row {
    let mut row = Row::new("log");
    for event in log.events() {
        if let Fact::ServerLog { line } = &event.fact {
            let is_bad = ["ERROR", "Traceback", "CRITICAL"]
                .iter()
                .any(|word| line.contains(word));
            let style = match is_bad {
                true => Style::Error,
                false => Style::Natural,
            };
            let label = super::detail::cut(line, 100);
            row.marks.push(super::Mark {
                detail: String::new(),
                ..mark(event, label, style)
            });
        }
    }
    row
}

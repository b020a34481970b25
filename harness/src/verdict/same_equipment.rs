//! `same-equipment` (REUSE-03): does a later game run on the same equipment as the first, in the
//! same page, on the same Python?

use std::collections::{BTreeMap, BTreeSet};

use super::equipment::{Running, running, tally};
use super::facts::{SURVIVOR, seq};
use super::games::{Game, games_of, text};
use super::{Findings, OracleFinding, Stimulus};
use crate::evidence::{Direction, Event, Fact, Log, Packet, PageFact, Snapshot};
use crate::spec::TwoMoments;

/// What is over so soon after a game's beginning belonged to the way into it, in milliseconds.
const SETTLING_MS: f64 = 2_000.0;

/// A game and the page in it.
#[derive(Clone, Copy)]
struct Seen<'a> {
    game: Game<'a>,
    started: &'a Event,
    event: &'a Event,
    snapshot: &'a Snapshot,
}

/// Asks about the survivor's page in two games.
pub(super) fn ask(moments: &TwoMoments, log: &Log) -> Findings {
    let first = seen(log, &moments.first);
    let second = seen(log, &moments.second)
        .filter(|second| first.is_some_and(|first| first.game.id != second.game.id));
    let stimulus = |label: &str, seen: Option<Seen<'_>>| {
        Stimulus::new(
            format!("the survivor's page in a running game (`{label}`)"),
            seq(seen.map(|seen| seen.event)),
        )
    };
    let equipped = first.filter(|first| {
        let kinds = lasting(log, first);
        let is_worker = |one: &Running| one.what == "worker";
        kinds.iter().any(is_worker) && !kinds.iter().all(is_worker)
    });
    let left = first
        .zip(second)
        .and_then(|(first, second)| first.game.exit.filter(|exit| exit.seq < second.event.seq));
    let stimuli = vec![
        stimulus(&moments.first, first),
        Stimulus::new(
            "a worker and intervals ran in the first of the games",
            seq(equipped.map(|seen| seen.event)),
        ),
        Stimulus::new("the survivor left that game's scene", seq(left)),
        stimulus(&moments.second, second),
    ];
    let oracles = match (first, second) {
        (Some(first), Some(second)) => vec![
            ledger(log, &first, &second),
            listeners(&first, &second),
            wire(log, &first, &second),
            runtime(log, &first, &second),
        ],
        _ => Vec::new(),
    };
    Findings { stimuli, oracles }
}

/// The page at a moment, with the game that it was in.
fn seen<'a>(log: &'a Log, label: &str) -> Option<Seen<'a>> {
    let (event, snapshot) = log.snapshot(SURVIVOR, label)?;
    let (game, started) = games_of(SURVIVOR, log)
        .into_iter()
        .filter_map(|game| Some((game, game.started?)))
        .rfind(|(_, started)| started.seq < event.seq)?;
    // What a game needs while it is played it may end as soon as that is over, before its scene is left.
    let over = game.complete.or(game.exit);
    let over = over.is_some_and(|over| over.seq < event.seq);
    (!over).then_some(Seen {
        game,
        started,
        event,
        snapshot,
    })
}

/// What ran at the moment and went on: not what the way into the game had left over.
fn lasting(log: &Log, seen: &Seen<'_>) -> Vec<Running> {
    let settled = seen.started.t + SETTLING_MS;
    let cleared: BTreeSet<u32> = log
        .of(SURVIVOR)
        .filter(|event| event.seq > seen.event.seq)
        .filter_map(|event| match &event.fact {
            Fact::Page(page) if page.page == seen.snapshot.page && event.t < settled => {
                match &page.what {
                    PageFact::IntervalCleared { id } => Some(*id),
                    _ => None,
                }
            }
            _ => None,
        })
        .collect();
    let mut running = running(&seen.snapshot.state);
    running.retain(|one| one.what == "worker" || !cleared.contains(&one.key.1));
    running
}

/// The probe's ledger: the same workers and intervals, by who made them, and as many connections.
fn ledger(log: &Log, first: &Seen<'_>, second: &Seen<'_>) -> OracleFinding {
    let names = |seen| tally(lasting(log, seen).iter().map(Running::to_string));
    let (had, has) = (names(first), names(second));
    let mut violations = differences(&had, &has);
    let open = |seen: &Seen<'_>| {
        let connections = &seen.snapshot.state.connections;
        connections
            .iter()
            .filter(|one| one.connection != "closed")
            .count()
    };
    if open(first) != open(second) {
        violations.push(format!(
            "{} open connections in the first game, {} in the second",
            open(first),
            open(second)
        ));
    }
    let account = had
        .iter()
        .map(|(name, count)| format!("{count} × {name}"))
        .collect::<Vec<_>>()
        .join(", ");
    OracleFinding::from_violations(
        "ledger",
        violations,
        format!("both games run on {account}"),
        vec![first.event.seq, second.event.seq],
    )
}

/// In words, what the second tally has otherwise than the first.
fn differences(had: &BTreeMap<String, usize>, has: &BTreeMap<String, usize>) -> Vec<String> {
    let names: BTreeSet<&String> = had.keys().chain(has.keys()).collect();
    names
        .into_iter()
        .filter_map(|name| {
            let count = |tally: &BTreeMap<String, usize>| tally.get(name).copied().unwrap_or(0);
            let (before, now) = (count(had), count(has));
            (before != now)
                .then(|| format!("{name}: {before} in the first game, {now} in the second"))
        })
        .collect()
}

/// The client's socket: as many listeners for each event.
fn listeners(first: &Seen<'_>, second: &Seen<'_>) -> OracleFinding {
    let counts = |seen: &Seen<'_>| -> BTreeMap<String, usize> {
        seen.snapshot
            .state
            .listeners
            .iter()
            .map(|(event, count)| (format!("listeners of `{event}`"), *count as usize))
            .collect()
    };
    let (had, has) = (counts(first), counts(second));
    if had.is_empty() && has.is_empty() {
        return OracleFinding::absent("listeners", "the client's listeners cannot be counted");
    }
    OracleFinding::from_violations(
        "listeners",
        differences(&had, &has),
        format!("as many listeners for each of {} events", had.len()),
        vec![first.event.seq, second.event.seq],
    )
}

/// The wire: until the moment, and until the game has settled, the page sends the same kinds of
/// event with its game's id.
fn wire(log: &Log, first: &Seen<'_>, second: &Seen<'_>) -> OracleFinding {
    let (had, has) = (kinds_sent(log, first), kinds_sent(log, second));
    if had.is_empty() {
        return OracleFinding::absent("wire", "the page sent nothing with the first game's id");
    }
    let only = |of: &BTreeSet<&str>, other: &BTreeSet<&str>, which: &str| -> Vec<String> {
        of.difference(other)
            .map(|name| format!("the page sent `{name}` in the {which} game only"))
            .collect()
    };
    let mut violations = only(&had, &has, "first");
    violations.extend(only(&has, &had, "second"));
    OracleFinding::from_violations(
        "wire",
        violations,
        format!(
            "in both games the page sent {}",
            had.iter().copied().collect::<Vec<_>>().join(", ")
        ),
        vec![first.game.assigned.seq, second.game.assigned.seq],
    )
}

/// The kinds of event that the page sent with a game's id on the way into it.
fn kinds_sent<'a>(log: &'a Log, seen: &Seen<'_>) -> BTreeSet<&'a str> {
    let settled = seen.started.t + SETTLING_MS;
    log.of(SURVIVOR)
        .filter(|event| event.seq > seen.game.assigned.seq && event.t < settled)
        .filter_map(|event| match &event.fact {
            Fact::Wire(wire) if wire.direction == Direction::ToServer => match &wire.packet {
                Packet::Event { name, args, .. } if text(args, "game_id") == Some(seen.game.id) => {
                    Some(name.as_str())
                }
                _ => None,
            },
            _ => None,
        })
        .collect()
}

/// The page and its Python: the same page, the runtime loaded once, nothing of it fetched again.
fn runtime(log: &Log, first: &Seen<'_>, second: &Seen<'_>) -> OracleFinding {
    let mut violations = Vec::new();
    if first.snapshot.page != second.snapshot.page {
        violations.push("the second game ran in another page than the first".to_owned());
    }
    let loads: Vec<u64> = log
        .socket_events(SURVIVOR, Direction::ToServer, "pyodide_loading_start")
        .map(|(event, _, _)| event.seq)
        .filter(|seq| *seq < second.event.seq)
        .collect();
    let compiled = loaded(log, 0, second.event.seq).filter(|url| url.ends_with(".wasm"));
    let compiled = tally(compiled).into_values().max();
    let times = loads.len().max(compiled.unwrap_or_default());
    if times > 1 {
        violations.push(format!("the page loaded Python {times} times"));
    }
    let again = fetched_again(log, first, second);
    if let Some(path) = again.first() {
        violations.push(format!(
            "the page fetched {} files of the runtime again, `{path}` first",
            again.len()
        ));
    }
    if times == 0 && fetched(log, 0, first.event.seq).is_empty() {
        return OracleFinding::absent("runtime", "the page was not seen to load Python");
    }
    OracleFinding::from_violations(
        "runtime",
        violations,
        "the same page, in which Python was loaded once",
        loads,
    )
}

/// Files of the runtime that the page fetched between the two moments.
fn fetched_again<'a>(log: &'a Log, first: &Seen<'_>, second: &Seen<'_>) -> Vec<&'a str> {
    let (from, to) = (first.event.seq, second.event.seq);
    let before: BTreeSet<&str> = loaded(log, 0, from).collect();
    let again = loaded(log, from, to).filter(|url| before.contains(url));
    fetched(log, from, to).into_iter().chain(again).collect()
}

/// Files of the runtime that the page loaded between two positions, by its own word.
fn loaded(log: &Log, from: u64, to: u64) -> impl Iterator<Item = &str> {
    log.of(SURVIVOR)
        .filter(move |event| event.seq > from && event.seq < to)
        .filter_map(|event| match &event.fact {
            Fact::Page(page) => match &page.what {
                PageFact::RuntimeLoaded { url } => Some(url.as_str()),
                _ => None,
            },
            _ => None,
        })
}

/// Files from the mirror, of which only the runtime's are WebAssembly or Python's, that the page
/// fetched between two positions.
fn fetched(log: &Log, from: u64, to: u64) -> Vec<&str> {
    log.of(SURVIVOR)
        .filter(|event| event.seq > from && event.seq < to)
        .filter_map(|event| match &event.fact {
            Fact::Http(http) if http.by == "mirror" && is_of_the_runtime(&http.path) => {
                Some(http.path.as_str())
            }
            _ => None,
        })
        .collect()
}

fn is_of_the_runtime(path: &str) -> bool {
    let path = path.split('?').next().unwrap_or(path);
    [".wasm", ".whl", ".zip", "pyodide.js", "pyodide.mjs"]
        .iter()
        .any(|ending| path.ends_with(ending))
}

//! `server-forgets` (COORD-01): does the target hold no game any more that everybody has left?

use std::collections::{BTreeMap, BTreeSet};

use super::departure::{departure, disconnect_handled};
use super::facts::{PARTNER, SURVIVOR, seq};
use super::games::{Game, advance_handled, games_of};
use super::{Findings, OracleFinding, Stimulus};
use crate::evidence::{Event, Fact, Log, ServerHolds, Source};
use crate::spec::GamesLeft;

/// Where a target can hold a game, by the observer's names, and in words. Each has a life of its own:
/// the coordinator's table goes by who plays, the managers' by who was matched, and the rooms are not
/// the target's at all but those of the library that sends what the target tells a game.
const KEEPERS: [(&str, &str); 3] = [
    ("coordinator", "coordinator"),
    ("manager", "game managers"),
    ("rooms", "rooms"),
];

/// How many games a finding names; of the others it gives the number.
const NAMED: usize = 3;

/// One look at what the target holds.
type Look<'a> = (&'a Event, &'a ServerHolds);

/// Asks about all games until one of them, at a moment after it.
pub(super) fn ask(asked: &GamesLeft, log: &Log) -> Findings {
    if let Some(why) = log.lacks(Source::Handlers) {
        return Findings::not_to_be_had("what the target holds", why);
    }
    let barrier = log.barrier(SURVIVOR, &asked.at);
    let by = barrier.map_or(u64::MAX, |barrier| barrier.seq);
    let games = played(log, by);
    let left: Vec<&Played<'_>> = games.iter().filter(|game| game.left.is_some()).collect();
    let wanted = asked.game.get() as usize;
    let last = left.iter().filter_map(|game| game.left).max();
    let looks: Vec<Look<'_>> = looks(log).filter(|(event, _)| event.seq < by).collect();
    let last_look = looks
        .last()
        .filter(|(event, _)| last.is_some_and(|last| event.seq > last));
    let all: Vec<u64> = left.iter().filter_map(|game| game.left).collect();
    let stimuli = vec![
        Stimulus::new(
            format!("{wanted} games or more were played, and everybody has left them"),
            if all.len() >= wanted { all } else { Vec::new() },
        ),
        Stimulus::new("a barrier after that", seq(barrier)),
        Stimulus::new(
            "it was seen what the target held after it had finished with the last who left",
            seq(last_look.map(|(event, _)| *event)),
        ),
    ];
    let oracles = match last_look {
        Some(last_look) => KEEPERS
            .iter()
            .map(|keeper| oracle(*keeper, &games, &looks, last_look))
            .collect(),
        None => Vec::new(),
    };
    Findings { stimuli, oracles }
}

/// A game that was begun.
struct Played<'a> {
    id: &'a str,
    /// Where the target had finished with the last player's leaving, if all have left.
    left: Option<u64>,
}

/// The games that the survivor began, up to a position.
fn played(log: &Log, by: u64) -> Vec<Played<'_>> {
    let theirs = games_of(PARTNER, log);
    let both = games_of(SURVIVOR, log).into_iter().filter_map(|ours| {
        ours.started.filter(|started| started.seq < by)?;
        let partner = theirs.iter().find(|game| game.id == ours.id);
        let left = left_at(SURVIVOR, log, &ours)
            .zip(partner.and_then(|game| left_at(PARTNER, log, game)))
            .map(|(one, other)| one.max(other))
            .filter(|left| *left < by);
        Some(Played { id: ours.id, left })
    });
    both.collect()
}

/// Where the target had finished with a player's leaving of a game: with its advance to the next
/// scene, or with its disconnect.
fn left_at(player: &str, log: &Log, game: &Game<'_>) -> Option<u64> {
    if let Some(exit) = game.exit {
        return advance_handled(player, log, exit);
    }
    let gone = departure(log, player)?.began;
    let handled = disconnect_handled(log, player)?;
    (gone.seq > game.assigned.seq).then_some(handled.seq)
}

fn looks(log: &Log) -> impl Iterator<Item = Look<'_>> {
    log.events().iter().filter_map(|event| match &event.fact {
        Fact::ServerHolds(holds) => Some((event, holds)),
        _ => None,
    })
}

/// One keeper: it held each game while that was played, and holds none that everybody has left.
fn oracle(
    (keeper, name): (&str, &str),
    games: &[Played<'_>],
    looks: &[Look<'_>],
    last_look: &Look<'_>,
) -> OracleFinding {
    let held = |look: &Look<'_>, id: &str| {
        let games = look.1.games.get(keeper)?;
        games.get(id).copied()
    };
    let mut evidence = Vec::new();
    let mut never = Vec::new();
    for game in games.iter().filter(|game| game.left.is_some()) {
        match looks.iter().find(|look| held(look, game.id).is_some()) {
            Some((event, _)) => evidence.push(event.seq),
            None => never.push(game.id),
        }
    }
    evidence.push(last_look.0.seq);
    let still: BTreeMap<&str, u32> = over(games, looks)
        .into_iter()
        .filter_map(|id| Some((id, held(last_look, id)?)))
        .collect();
    // What is still held is held, whatever else was not seen.
    if still.is_empty() && !never.is_empty() {
        return OracleFinding::absent(
            name,
            format!("it was never seen to hold {}", list(&never, "game")),
        );
    }
    let listed: u32 = still.values().sum();
    let ids: Vec<&str> = still.into_keys().collect();
    let violations = match ids.is_empty() {
        true => Vec::new(),
        false => vec![format!(
            "the target still holds {} that everybody has left, with {listed} participants listed",
            list(&ids, "game")
        )],
    };
    let holds = format!(
        "{} were held while they were played, and none is any more",
        list(&ids_left(games), "game")
    );
    OracleFinding::from_violations(name, violations, holds, evidence)
}

/// The games that are over: all that were played or ever stood in a table, also those that nobody came
/// to, but for those that somebody is still in. A room may be another thing than a game's.
fn over<'a>(games: &'a [Played<'_>], looks: &[Look<'a>]) -> BTreeSet<&'a str> {
    let tables = looks.iter().flat_map(|(_, holds)| {
        let tables = holds.games.iter().filter(|(keeper, _)| *keeper != "rooms");
        tables.flat_map(|(_, games)| games.keys().map(String::as_str))
    });
    let mut over: BTreeSet<&str> = tables.chain(games.iter().map(|game| game.id)).collect();
    for game in games.iter().filter(|game| game.left.is_none()) {
        over.remove(game.id);
    }
    over
}

fn ids_left<'a>(games: &'a [Played<'_>]) -> Vec<&'a str> {
    let left = games.iter().filter(|game| game.left.is_some());
    left.map(|game| game.id).collect()
}

/// So many of them, the first by name.
fn list(ids: &[&str], what: &str) -> String {
    let plural = if ids.len() == 1 { "" } else { "s" };
    let named = ids.iter().take(NAMED).copied().collect::<Vec<_>>();
    let more = if ids.len() > NAMED { ", …" } else { "" };
    format!("{} {what}{plural} ({}{more})", ids.len(), named.join(", "))
}

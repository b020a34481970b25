//! `counts-steady` (LISTEN-01): does nothing pile up in the page from scene to scene?

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::equipment::{Running, running, tally};
use super::facts::{SURVIVOR, seq};
use super::games::{connection_made, games_of};
use super::{Findings, OracleFinding, Stimulus};
use crate::evidence::{Direction, Event, Log, PageState, Snapshot};
use crate::spec::{AtMoments, Counted};

/// From how many scenes on growth can be told from what is made once.
const LEAST_SCENES: usize = 3;

/// How many there are of each, at each moment.
type Table = BTreeMap<String, Vec<usize>>;

/// What a check counted, from moment to moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Counts {
    /// The moments at which the page was seen, in their order.
    pub moments: Vec<String>,
    /// By oracle, for each kind of thing how many there were at each of the moments.
    pub tables: BTreeMap<String, Table>,
}

/// The page after one of the scenes.
#[derive(Clone, Copy)]
struct Seen<'a> {
    event: &'a Event,
    snapshot: &'a Snapshot,
    /// When the page asked to leave that scene, on the run's clock. What was made since belongs to the
    /// next one: it may come and go.
    left: f64,
}

/// What an oracle counts in a page.
type Count = fn(&Seen<'_>) -> BTreeMap<String, usize>;

/// The survivor's page at a moment.
fn seen<'a>(log: &'a Log, label: &str) -> Option<Seen<'a>> {
    let (event, snapshot) = log.snapshot(SURVIVOR, label)?;
    let left = log
        .socket_events(SURVIVOR, Direction::ToServer, "advance_scene")
        .rfind(|(advance, _, _)| advance.seq < event.seq)
        .map_or(event.t, |(advance, _, _)| advance.t);
    Some(Seen {
        event,
        snapshot,
        left,
    })
}

/// Asks about these moments, each after another game.
pub(super) fn ask(asked: &AtMoments, log: &Log) -> Findings {
    let moments = &asked.at;
    let pages: Vec<Option<Seen<'_>>> = moments.iter().map(|label| seen(log, label)).collect();
    let mut stimuli = vec![Stimulus::new(
        format!("{LEAST_SCENES} moments or more"),
        match pages.len() >= LEAST_SCENES {
            true => pages.iter().flatten().map(|page| page.event.seq).collect(),
            false => Vec::new(),
        },
    )];
    let mut from = 0;
    for (label, page) in moments.iter().zip(&pages) {
        stimuli.push(Stimulus::new(
            format!(
                "before `{label}` a game was played over a connection of its own, and its scene \
                 was left"
            ),
            page.and_then(|page| game_between(log, from, page))
                .map(seq_of)
                .unwrap_or_default(),
        ));
        from = page.map_or(from, |page| page.event.seq);
    }
    let pages: Vec<Seen<'_>> = pages.into_iter().flatten().collect();
    let one_page = pages
        .windows(2)
        .all(|two| two[0].snapshot.page == two[1].snapshot.page);
    stimuli.push(Stimulus::new(
        "all in one page",
        seq(pages.last().map(|page| page.event).filter(|_| one_page)),
    ));
    let oracles = if pages.len() >= 2 && one_page {
        counted(asked)
            .map(|(name, count)| oracle(name, &pages, count))
            .collect()
    } else {
        Vec::new()
    };
    Findings { stimuli, oracles }
}

/// What was counted at these moments, whatever the check says of it.
pub(super) fn counts(asked: &AtMoments, log: &Log) -> Counts {
    let labels = asked.at.iter();
    let seen = labels.filter_map(|label| Some((label.clone(), seen(log, label)?)));
    let (moments, pages): (Vec<String>, Vec<Seen<'_>>) = seen.unzip();
    let tables = counted(asked)
        .map(|(name, count)| (name.to_owned(), table(&pages, count)))
        .collect();
    Counts { moments, tables }
}

/// The oracles of what a check counts, each with what it counts.
fn counted(asked: &AtMoments) -> impl Iterator<Item = (&'static str, Count)> {
    let oracles = |of: &Counted| -> &'static [(&'static str, Count)] {
        match of {
            Counted::Client => &[
                ("listeners", listeners),
                ("equipment", equipment),
                ("connections", connections),
            ],
            Counted::Document => &[
                ("document listeners", document_listeners),
                ("window listeners", window_listeners),
            ],
        }
    };
    asked.of.iter().flat_map(oracles).copied()
}

fn seq_of(event: &Event) -> Vec<u64> {
    vec![event.seq]
}

/// The exit of a game that began and was left between a position and a look at the page, in which
/// a connection was up that was made for it.
fn game_between<'a>(log: &'a Log, from: u64, page: Seen<'_>) -> Option<&'a Event> {
    games_of(SURVIVOR, log).into_iter().find_map(|game| {
        let exit = game.exit?;
        let in_it = |event: &Event| event.seq > game.assigned.seq && event.seq < exit.seq;
        let connections = &page.snapshot.state.connections;
        let connected = connections.iter().any(|one| {
            one.was_connected
                && connection_made(SURVIVOR, log, page.snapshot.page, one.id).is_some_and(in_it)
        });
        (game.assigned.seq > from && exit.seq < page.event.seq && connected).then_some(exit)
    })
}

fn listeners(page: &Seen<'_>) -> BTreeMap<String, usize> {
    let state = &page.snapshot.state;
    state
        .listeners
        .iter()
        .map(|(event, count)| (format!("`{event}`"), *count as usize))
        .collect()
}

fn equipment(page: &Seen<'_>) -> BTreeMap<String, usize> {
    let mut running = running(&page.snapshot.state);
    running.retain(|one| one.created < page.left);
    let (workers, intervals): (Vec<&Running>, Vec<&Running>) =
        running.iter().partition(|one| one.what == "worker");
    let mut counts = tally(intervals.iter().map(ToString::to_string));
    counts.insert("workers".to_owned(), workers.len());
    counts
}

fn connections(page: &Seen<'_>) -> BTreeMap<String, usize> {
    let state = &page.snapshot.state;
    let connections = state.connections.iter();
    let channels = state.channels.iter();
    let websockets = state.websockets.iter();
    BTreeMap::from([
        (
            "open connections".to_owned(),
            connections.filter(|one| one.connection != "closed").count(),
        ),
        (
            "open channels".to_owned(),
            channels.filter(|one| one.state != "closed").count(),
        ),
        (
            "open WebSockets".to_owned(),
            websockets.filter(|one| one.state != "closed").count(),
        ),
    ])
}

fn document_listeners(page: &Seen<'_>) -> BTreeMap<String, usize> {
    let state = &page.snapshot.state;
    listeners_of("document ", state)
}

fn window_listeners(page: &Seen<'_>) -> BTreeMap<String, usize> {
    let state = &page.snapshot.state;
    listeners_of("window ", state)
}

/// The listeners of the document, or those of the window: the page's ledger has both, each name with
/// its owner in front.
fn listeners_of(owner: &str, state: &PageState) -> BTreeMap<String, usize> {
    let all = state.document_listeners.iter();
    all.filter(|(event, _)| event.starts_with(owner))
        .map(|(event, count)| (format!("`{event}`"), *count as usize))
        .collect()
}

/// One kind of thing: from the second scene on its counts are the same. The first scene may differ:
/// what is made once and kept is made there.
fn oracle(name: &str, pages: &[Seen<'_>], count: Count) -> OracleFinding {
    let table = table(pages, count);
    if table.is_empty() {
        return OracleFinding::absent(name, "they cannot be counted in this page");
    }
    let row = |what: &str, row: &[usize]| {
        let numbers: Vec<String> = row.iter().map(usize::to_string).collect();
        format!("{what}: {}", numbers.join(", "))
    };
    let violations = table
        .iter()
        .filter(|(_, numbers)| numbers[1..].windows(2).any(|two| two[0] != two[1]))
        .map(|(what, numbers)| row(what, numbers))
        .collect();
    let sums: Vec<usize> = (0..pages.len())
        .map(|moment| table.values().map(|numbers| numbers[moment]).sum())
        .collect();
    OracleFinding::from_violations(
        name,
        violations,
        row(&format!("{} kinds, in all", table.len()), &sums),
        pages.iter().map(|page| page.event.seq).collect(),
    )
}

fn table(pages: &[Seen<'_>], count: Count) -> Table {
    let counted: Vec<BTreeMap<String, usize>> = pages.iter().map(count).collect();
    let names: BTreeSet<&String> = counted.iter().flat_map(BTreeMap::keys).collect();
    names
        .into_iter()
        .map(|name| {
            let row = counted
                .iter()
                .map(|counts| counts.get(name).copied().unwrap_or(0))
                .collect();
            (name.clone(), row)
        })
        .collect()
}

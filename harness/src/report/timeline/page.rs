//! What a player's page shows and holds: scenes, connections, overlays, errors.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Bar, Mark, Row, Style, mark, round, when};
use crate::evidence::{Direction, Event, Fact, Log, Overlay, PageFact};
use crate::spec::WayToLeave;

/// The page facts of a player, each with its event and the number of its page.
fn page_facts<'a>(
    log: &'a Log,
    player: &'a str,
) -> impl Iterator<Item = (&'a Event, u32, &'a PageFact)> {
    log.of(player).filter_map(|event| match &event.fact {
        Fact::Page(page) => Some((event, page.page, &page.what)),
        _ => None,
    })
}

/// When each of a player's pages was gone: it was left, another one came, or the player went away.
struct Ends {
    of_pages: BTreeMap<u32, f64>,
    of_all: f64,
}

impl Ends {
    fn new(log: &Log, player: &str, end: f64) -> Ends {
        let mut ends = Ends {
            of_pages: BTreeMap::new(),
            of_all: end,
        };
        for event in log.of(player) {
            match &event.fact {
                Fact::Page(page) => {
                    // A page ends with its own last word, or with the first one of a later page.
                    let ended = match page.what {
                        PageFact::Bye {} => page.page + 1,
                        _ => page.page,
                    };
                    let at = when(event);
                    let first = ends.of_pages.entry(ended).or_insert(at);
                    *first = first.min(at);
                }
                _ if is_gone(event) => ends.of_all = ends.of_all.min(event.t),
                _ => {}
            }
        }
        ends
    }

    /// When a page was gone.
    fn of(&self, page: u32) -> f64 {
        let later = self.of_pages.range(page + 1..).map(|(_, at)| *at);
        later.fold(self.of_all, f64::min)
    }
}

/// Whether a player has left for good by this, or its browser has ended.
fn is_gone(event: &Event) -> bool {
    match &event.fact {
        Fact::Departed(departed) => departed.how != WayToLeave::Reload,
        Fact::Process(process) => process.role == "browser" && process.phase.is_end(),
        _ => false,
    }
}

/// The pages and the scenes on them.
pub(super) fn scenes(log: &Log, player: &str, end: f64) -> Row {
    let mut row = Row::new("scenes");
    for event in log.of(player) {
        let bar = match &event.fact {
            Fact::Page(page) => match &page.what {
                PageFact::Hello { url, .. } => Some((format!("page {}", page.page), url.clone())),
                _ => None,
            }
            .map(|(label, url)| (label, Style::Loading, url)),
            _ if is_gone(event) => {
                close_last(&mut row, event, when(event));
                None
            }
            _ => activated(event),
        };
        let Some((label, style, detail)) = bar else {
            continue;
        };
        close_last(&mut row, event, when(event));
        row.bars.push(Bar {
            from: round(when(event)),
            to: round(end),
            label,
            style,
            events: vec![event.seq],
            detail,
        });
    }
    row
}

/// Ends the last bar, if it still lasts.
fn close_last(row: &mut Row, event: &Event, at: f64) {
    if let Some(bar) = row.bars.last_mut()
        && bar.to > at
    {
        bar.to = round(at);
        bar.events.push(event.seq);
    }
}

fn activated(event: &Event) -> Option<(String, Style, String)> {
    let args = socket_args(event, Direction::ToClient, "activate_scene")?;
    let said = |key: &str| args.first()?.get(key)?.as_str();
    let kind = said("scene_type").unwrap_or("scene");
    let style = match kind {
        "GymScene" => Style::GymScene,
        _ => Style::OtherScene,
    };
    let id = said("scene_id").unwrap_or("?");
    Some((format!("{id} ({kind})"), style, String::new()))
}

/// The arguments of a Socket.IO event of this name that passed the gateway.
pub(super) fn socket_args<'a>(
    event: &'a Event,
    direction: Direction,
    name: &str,
) -> Option<&'a [Value]> {
    match &event.fact {
        Fact::Wire(wire) if wire.direction == direction => match &wire.packet {
            crate::evidence::Packet::Event {
                name: found, args, ..
            } if found == name => Some(args),
            _ => None,
        },
        _ => None,
    }
}

/// When the page was in the background.
pub(super) fn hidden(log: &Log, player: &str, end: f64) -> Row {
    let ends = Ends::new(log, player, end);
    let mut row = Row::new("in background");
    for (event, page, what) in page_facts(log, player) {
        let PageFact::Visibility { state } = what else {
            continue;
        };
        let last = ends.of(page);
        match state.as_str() {
            "hidden" if when(event) < last => row.bars.push(Bar {
                from: round(when(event)),
                to: round(last),
                label: "hidden".to_owned(),
                style: Style::Hidden,
                events: vec![event.seq],
                detail: String::new(),
            }),
            _ => close_last(&mut row, event, when(event)),
        }
    }
    row
}

/// Peer connections, data channels and workers: a row for each one ever made.
pub(super) fn connections(log: &Log, player: &str, end: f64) -> Vec<Row> {
    let ends = Ends::new(log, player, end);
    let mut ledger = Ledger {
        rows: BTreeMap::new(),
    };
    for (event, page, what) in page_facts(log, player) {
        let last = ends.of(page);
        let mut to = |kind: Kind, id: u32, state: &str, style: Style| {
            ledger.to((kind, page, id), event, state, style, last);
        };
        match what {
            PageFact::ConnectionCreated { id, .. } => {
                to(Kind::Connection, *id, "new", Style::Opening);
            }
            PageFact::ConnectionState { id, connection, .. } => {
                to(Kind::Connection, *id, connection, of_connection(connection));
            }
            PageFact::ConnectionClosed { id, .. } => {
                to(Kind::Connection, *id, "closed", Style::Closed);
            }
            PageFact::ChannelCreated { id, .. } => {
                to(Kind::Channel, *id, "connecting", Style::Opening);
            }
            PageFact::ChannelState { id, state } => {
                to(Kind::Channel, *id, state, of_channel(state));
            }
            PageFact::ChannelClosed { id, .. } => {
                to(Kind::Channel, *id, "closed", Style::Closed);
            }
            PageFact::WorkerCreated { id, .. } => to(Kind::Worker, *id, "running", Style::Open),
            PageFact::WorkerTerminated { id } => {
                to(Kind::Worker, *id, "terminated", Style::Closed);
            }
            _ => {}
        }
    }
    ledger.into_rows()
}

/// What has a state, and a row of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Connection,
    Channel,
    Worker,
}

/// The rows of what has a state, by what it is, its page and its number there.
struct Ledger {
    rows: BTreeMap<(Kind, u32, u32), Row>,
}

impl Ledger {
    /// Something came to a state, until its page ends or it comes to another one.
    fn to(&mut self, key: (Kind, u32, u32), event: &Event, state: &str, style: Style, last: f64) {
        let (kind, page, id) = key;
        let name = match kind {
            Kind::Connection => "connection",
            Kind::Channel => "channel",
            Kind::Worker => "worker",
        };
        let name = match page {
            1 => format!("{name} {id}"),
            _ => format!("{name} {id} of page {page}"),
        };
        let row = self.rows.entry(key).or_insert_with(|| Row::new(name));
        if style == Style::Closed {
            close_last(row, event, when(event));
            if row.marks.is_empty() {
                row.marks.push(mark(event, state, style));
            }
            return;
        }
        if let Some(bar) = row.bars.last_mut()
            && bar.label == state
        {
            bar.events.push(event.seq);
            return;
        }
        // What was closed says nothing more that counts.
        if !row.marks.is_empty() {
            return;
        }
        close_last(row, event, when(event));
        row.bars.push(Bar {
            from: round(when(event)),
            to: round(last.max(when(event))),
            label: state.to_owned(),
            style,
            events: vec![event.seq],
            detail: super::detail(event),
        });
    }

    fn into_rows(self) -> Vec<Row> {
        self.rows.into_values().collect()
    }
}

fn of_connection(state: &str) -> Style {
    match state {
        "connected" => Style::Open,
        "disconnected" | "failed" => Style::Lost,
        "closed" => Style::Closed,
        _ => Style::Opening,
    }
}

fn of_channel(state: &str) -> Style {
    match state {
        "open" => Style::Open,
        "closing" => Style::Lost,
        "closed" => Style::Closed,
        _ => Style::Opening,
    }
}

/// Whatever covered or hid the page, for as long as a user could see it.
pub(super) fn overlays(log: &Log, player: &str, end: f64) -> Row {
    let ends = Ends::new(log, player, end);
    let mut row = Row::new("overlays");
    let mut open: BTreeMap<(u32, u32), usize> = BTreeMap::new();
    for (event, page, what) in page_facts(log, player) {
        let PageFact::Overlay(overlay) = what else {
            continue;
        };
        let key = (page, overlay.id);
        let is_shown = overlay.present && overlay.visible;
        match (open.get(&key).copied(), is_shown) {
            (None, true) => {
                let last = ends.of(page);
                open.insert(key, row.bars.len());
                row.bars.push(overlay_bar(event, overlay, last));
            }
            (Some(index), true) => row.bars[index].events.push(event.seq),
            (Some(index), false) => {
                row.bars[index].to = round(when(event));
                row.bars[index].events.push(event.seq);
                open.remove(&key);
            }
            (None, false) => row.marks.push(Mark {
                label: format!("{} (not seen)", overlay.element),
                ..mark(event, "", Style::Cover)
            }),
        }
    }
    row
}

fn overlay_bar(event: &Event, overlay: &Overlay, last: f64) -> Bar {
    let text = super::detail::cut(overlay.text.trim(), 60);
    Bar {
        from: round(when(event)),
        to: round(last.max(when(event))),
        label: match text.is_empty() {
            true => overlay.element.clone(),
            false => format!("{}: {text}", overlay.element),
        },
        style: match overlay.known {
            Some(_) => Style::Overlay,
            None => Style::Cover,
        },
        events: vec![event.seq],
        detail: super::detail(event),
    }
}

/// Errors that nobody caught, and promises that nobody handled.
pub(super) fn errors(log: &Log, player: &str) -> Row {
    let mut row = Row::new("uncaught errors");
    for (event, _, what) in page_facts(log, player) {
        match what {
            PageFact::Error { message, .. } | PageFact::Rejection { message, .. } => {
                let label = super::detail::cut(message, 80);
                row.marks.push(mark(event, label, Style::Error));
            }
            _ => {}
        }
    }
    row
}

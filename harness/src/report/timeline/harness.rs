//! What a player did, and when its page was looked at.

use super::{Row, Style, kind_of, mark};
use crate::evidence::{Fact, Log, STOPPED};

/// What a player did at its browser, its departure included.
pub(super) fn person(log: &Log, player: &str) -> Row {
    let mut row = Row::new("player");
    for event in log.of(player) {
        let (label, style) = match &event.fact {
            Fact::Action(action) => (action.action.clone(), Style::Action),
            Fact::Severed { connections } => {
                (format!("{connections} connections severed"), Style::Rule)
            }
            Fact::Frozen(frozen) => {
                let stopped = frozen.processes.iter().filter(|one| one.state == STOPPED);
                let (stopped, all) = (stopped.count(), frozen.processes.len());
                (
                    format!("{stopped} of {all} processes stopped"),
                    Style::Departure,
                )
            }
            Fact::Stalled(stalled) => (
                format!("nothing passes on connection {}", stalled.connection),
                Style::Departure,
            ),
            Fact::Kept(kept) => (
                format!(
                    "kept on connection {}: {} bytes of the page, {} of the target",
                    kept.connection, kept.from_page.bytes, kept.from_target.bytes
                ),
                Style::Departure,
            ),
            Fact::Link(link) => (format!("its link: {link}"), Style::Departure),
            Fact::Leaving(leaving) => (format!("leaves ({})", leaving.how), Style::Departure),
            Fact::Departed(departed) => (format!("gone: {}", departed.proof), Style::Departure),
            _ => continue,
        };
        row.marks.push(mark(event, label, style));
    }
    row
}

/// The moments at which the page was looked at, and the barriers before.
pub(super) fn moments(log: &Log, player: &str) -> Row {
    let mut row = Row::new("moments");
    for event in log.of(player) {
        let label = match &event.fact {
            Fact::Barrier(barrier) => format!("barrier `{}`", barrier.label),
            Fact::Snapshot(snapshot) => format!("ledgers `{}`", snapshot.label),
            Fact::HitTest(test) => format!("hit test `{}`", test.label),
            Fact::Screenshot(taken) => format!("screenshot `{}`", taken.label),
            Fact::Pixels(pixels) => format!(
                "{} pixels differ from `{}` to `{}`",
                pixels.differing, pixels.before, pixels.after
            ),
            Fact::Absent { oracle, .. } => format!("could not be had: {oracle}"),
            Fact::DataFile(file) => format!("{} {}", kind_of(event), file.path),
            _ => continue,
        };
        row.marks.push(mark(event, label, Style::Harness));
    }
    row
}

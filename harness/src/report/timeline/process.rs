//! How long a process lived.

use super::{Bar, Row, Style, close_or_keep, mark, round};
use crate::evidence::{Event, ProcessFact, ProcessPhase};

/// A process begins, or ends.
pub(super) fn lifetime(row: &mut Row, event: &Event, process: &ProcessFact, name: &str, end: f64) {
    let label = format!("{name} (process {})", process.pid);
    match process.phase {
        ProcessPhase::Started => row.bars.push(Bar {
            from: round(event.t),
            to: round(end),
            label: label.clone(),
            style: Style::Process,
            events: vec![event.seq],
            detail: process.detail.clone().unwrap_or_default(),
        }),
        ProcessPhase::Killed => row.marks.push(mark(event, "killed", Style::Departure)),
        ProcessPhase::Gone => row.marks.push(mark(event, "gone", Style::Closed)),
    }
    if process.phase.is_end() {
        close_or_keep(row, &label, event);
    }
}

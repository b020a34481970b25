//! The timeline of a run in the Chrome trace event format, for viewers that people have already.
//!
//! The format: <https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU>, in
//! its JSON object form. Each lane is a process, each row a thread; times are in microseconds.

use serde::Serialize;
use serde_json::{Value, json};

use super::timeline::{Bar, Lane, Row, Timeline};

/// A trace.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Trace {
    trace_events: Vec<Value>,
    display_time_unit: &'static str,
}

impl Trace {
    /// The trace of a run.
    #[must_use]
    pub fn new(timeline: &Timeline) -> Trace {
        let mut trace = Trace {
            trace_events: Vec::new(),
            display_time_unit: "ms",
        };
        for (index, lane) in timeline.lanes.iter().enumerate() {
            trace.add_lane(index + 1, lane);
        }
        trace
    }

    fn add_lane(&mut self, process: usize, lane: &Lane) {
        self.name("process", process, 0, &lane.name);
        let mut thread = 0;
        for row in &lane.rows {
            for (index, bars) in side_by_side(row).into_iter().enumerate() {
                thread += 1;
                let name = match index {
                    0 => row.name.clone(),
                    more => format!("{} ({})", row.name, more + 1),
                };
                self.name("thread", process, thread, &name);
                self.add_bars(process, thread, &row.name, &bars);
                if index == 0 {
                    self.add_marks(process, thread, row);
                }
            }
        }
    }

    /// Names a process or a thread, and keeps it where the report has it.
    fn name(&mut self, kind: &str, process: usize, thread: usize, name: &str) {
        let index = if kind == "process" { process } else { thread };
        for (what, value) in [("name", json!(name)), ("sort_index", json!(index))] {
            let key = if what == "name" { "name" } else { "sort_index" };
            self.trace_events.push(json!({
                "ph": "M", "pid": process, "tid": thread, "name": format!("{kind}_{what}"),
                "args": { key: value },
            }));
        }
    }

    fn add_bars(&mut self, process: usize, thread: usize, category: &str, bars: &[&Bar]) {
        for bar in bars {
            self.trace_events.push(json!({
                "ph": "X", "pid": process, "tid": thread, "name": bar.label, "cat": category,
                "ts": bar.from * MICROSECONDS, "dur": (bar.to - bar.from).max(0.0) * MICROSECONDS,
                "args": { "events": bar.events, "detail": bar.detail, "style": bar.style },
            }));
        }
    }

    fn add_marks(&mut self, process: usize, thread: usize, row: &Row) {
        for mark in &row.marks {
            self.trace_events.push(json!({
                "ph": "i", "s": "t", "pid": process, "tid": thread, "name": mark.label,
                "cat": row.name, "ts": mark.at * MICROSECONDS,
                "args": { "events": mark.events, "detail": mark.detail, "style": mark.style },
            }));
        }
    }
}

/// In a millisecond.
const MICROSECONDS: f64 = 1000.0;

/// The bars of a row in as many rows as it takes for none to overlap another; one at least.
fn side_by_side(row: &Row) -> Vec<Vec<&Bar>> {
    let mut rows: Vec<Vec<&Bar>> = vec![Vec::new()];
    for bar in &row.bars {
        let free = |row: &&mut Vec<&Bar>| row.last().is_none_or(|last| last.to <= bar.from);
        match rows.iter_mut().find(free) {
            Some(row) => row.push(bar),
            None => rows.push(vec![bar]),
        }
    }
    rows
}

//! How much evidence is read and judged in a second. `cargo bench --bench reading`

mod support;

use std::time::Instant;

use gymcheck::evidence::{Event, FORMAT_VERSION, Header, Log};
use gymcheck::run::{find_root, record};
use gymcheck::spec::Catalogue;
use support::{Table, median};

/// So many times as long as a recorded log is the large one: its middle is repeated.
const TIMES: usize = 20;
const TURNS: usize = 9;

fn main() {
    let root = find_root();
    let good = Log::read(&root.join("fixtures/evidence/good.jsonl")).expect("a recorded log");
    let catalogue = Catalogue::read(&root).expect("the checkout's specs");
    let spec = catalogue
        .spec(&good.run().expect("a run").spec)
        .expect("its spec");
    let mut events: Vec<Event> = Vec::new();
    let half = good.events().len() / 2;
    let (before, after) = good.events().split_at(half);
    // What comes again and again in a game is what makes a log long.
    let middle = &before[half / 2..];
    for part in std::iter::once(before)
        .chain(std::iter::repeat_n(middle, TIMES))
        .chain([after])
    {
        events.extend(part.iter().cloned());
    }
    for (seq, event) in events.iter_mut().enumerate() {
        event.seq = seq as u64;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("evidence.jsonl");
    let header = Header {
        gymcheck_evidence: FORMAT_VERSION,
    };
    let mut text = serde_json::to_string(&header).expect("a header") + "\n";
    for event in &events {
        text += &(serde_json::to_string(event).expect("an event") + "\n");
    }
    std::fs::write(&path, &text).expect("written");

    let table = Table::new("evidence");
    table.value("events in the log", events.len() as f64, "");
    table.value("its size", text.len() as f64 / 1e6, "MB");
    let (mut reading, mut judging) = (Vec::new(), Vec::new());
    for _ in 0..TURNS {
        let began = Instant::now();
        let log = Log::read(&path).expect("it is read");
        reading.push(events.len() as f64 / began.elapsed().as_secs_f64());
        let began = Instant::now();
        let judged = record(spec, &log, &[], folder.path().to_owned());
        judging.push(events.len() as f64 / began.elapsed().as_secs_f64());
        assert!(!judged.checks.is_empty());
    }
    table.value("read in a second", median(&reading), "events");
    table.value("judged in a second", median(&judging), "events");
}

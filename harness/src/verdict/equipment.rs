//! What a page runs: who made it, and what is alive at a moment.

use std::collections::BTreeMap;
use std::fmt;

use crate::evidence::{PageState, Snapshot};

/// The place in the page's code that made something.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Creator {
    function: String,
    place: String,
}

impl Creator {
    /// From a stack trace, as Chromium or Firefox writes it; its first line of a script is the place.
    pub(super) fn of(stack: &str) -> Creator {
        let line = stack
            .lines()
            .map(str::trim)
            // What is called without a script, as by `new Promise(setTimeout)`, has no place of its own.
            .find(|line| !(line.is_empty() || *line == "Error" || line.ends_with("(<anonymous>)")))
            .unwrap_or_default();
        let line = line.strip_prefix("at ").unwrap_or(line);
        let (function, address) = match line.strip_suffix(')') {
            // Chromium: `function (address)`.
            Some(inner) => inner.rsplit_once(" (").unwrap_or(("", inner)),
            // Firefox: `function@address`; Chromium's top level is an address alone.
            None => line.split_once('@').unwrap_or(("", line)),
        };
        Creator {
            function: function.to_owned(),
            place: script_and_line(address),
        }
    }
}

impl Creator {
    /// The name of the script.
    pub(super) fn script(&self) -> &str {
        self.place.split(':').next().unwrap_or_default()
    }
}

/// `index.js:612` of `http://host/static/js/index.js?v=1:612:1`.
fn script_and_line(address: &str) -> String {
    let file = address.rsplit('/').next().unwrap_or(address);
    let mut parts = file.rsplitn(3, ':');
    let (_, line, script) = (parts.next(), parts.next(), parts.next());
    match (script, line) {
        (Some(script), Some(line)) => {
            format!("{}:{line}", script.split('?').next().unwrap_or(script))
        }
        _ => file.to_owned(),
    }
}

impl fmt::Display for Creator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.place.is_empty() {
            f.write_str("an unknown place")
        } else if self.function.is_empty() {
            write!(f, "`{}`", self.place)
        } else {
            write!(f, "`{}` ({})", self.function, self.place)
        }
    }
}

/// Something that runs by itself in a page.
#[derive(Debug, Clone)]
pub(super) struct Running {
    /// `worker` or `interval of 500 ms`.
    pub(super) what: String,
    /// Number in the page's ledger, which is one for workers and one for intervals.
    pub(super) key: (bool, u32),
    /// When it was made, on the run's clock.
    pub(super) created: f64,
    /// Who made it.
    pub(super) creator: Creator,
}

impl fmt::Display for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} made by {}", self.what, self.creator)
    }
}

/// The workers and intervals that are alive.
pub(super) fn running(state: &PageState) -> Vec<Running> {
    let workers = state
        .workers
        .iter()
        .filter(|worker| worker.terminated.is_none())
        .map(|worker| Running {
            what: "worker".to_owned(),
            key: (true, worker.id),
            created: worker.created,
            creator: Creator::of(&worker.stack),
        });
    let intervals = state.intervals.iter().map(|interval| Running {
        what: format!("interval of {:.0} ms", interval.period),
        key: (false, interval.id),
        created: interval.created,
        creator: Creator::of(&interval.stack),
    });
    workers.chain(intervals).collect()
}

/// What runs in the later page and did not in the earlier one. In one page, what was made since;
/// in another page, what its places of code had not made before.
pub(super) fn new_since(before: &Snapshot, now: &Snapshot) -> Vec<Running> {
    let known = running(&before.state);
    running(&now.state)
        .into_iter()
        .filter(|one| {
            !known.iter().any(|old| {
                if before.page == now.page {
                    old.key == one.key
                } else {
                    old.creator == one.creator
                }
            })
        })
        .collect()
}

/// Something that a page will run once, and that may ask for the next one then.
pub(super) struct Pending {
    /// `time-out of 500 ms` or `callback for the next frame`.
    what: String,
    /// Whether it waits for the next frame.
    pub(super) is_frame: bool,
    /// When it was asked for, on the run's clock.
    pub(super) created: f64,
    /// Since when its place of code asks for one after the other; `created` where it does not, or where the log does
    /// not say.
    pub(super) since: f64,
    /// Who asked for it.
    pub(super) creator: Creator,
}

impl fmt::Display for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "a {} made by {} is still to come",
            self.what, self.creator
        )
    }
}

impl Pending {
    /// Whether the same place of code asks for the same.
    pub(super) fn is_as(&self, other: &Pending) -> bool {
        (self.is_frame, &self.creator) == (other.is_frame, &other.creator)
    }
}

/// The time-outs and the callbacks for the next frame that are still to come.
pub(super) fn pending(state: &PageState) -> Vec<Pending> {
    let timeouts = state.timeouts.iter().map(|timer| Pending {
        what: format!("time-out of {:.0} ms", timer.period),
        is_frame: false,
        created: timer.created,
        since: timer.since.unwrap_or(timer.created),
        creator: Creator::of(&timer.stack),
    });
    let frames = state.frames.iter().map(|frame| Pending {
        what: "callback for the next frame".to_owned(),
        is_frame: true,
        created: frame.created,
        since: frame.since,
        creator: Creator::of(&frame.stack),
    });
    timeouts.chain(frames).collect()
}

/// How many of each there are.
pub(super) fn tally<T: Ord>(items: impl IntoIterator<Item = T>) -> BTreeMap<T, usize> {
    let mut counts = BTreeMap::new();
    for item in items {
        *counts.entry(item).or_default() += 1;
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_of_code_is_read_from_either_browser() {
        let cases = [
            (
                "at LatencyTelemetry.start (http://h/static/js/webrtc_manager.js:924:27)\nat x",
                "`LatencyTelemetry.start` (webrtc_manager.js:924)",
            ),
            ("at http://h:1/static/js/index.js:612:1", "`index.js:612`"),
            (
                "start@http://h:1/static/js/webrtc_manager.js:924:27\nx@y",
                "`start` (webrtc_manager.js:924)",
            ),
            ("@http://h:1/static/js/index.js?v=2:612:1", "`index.js:612`"),
            (
                "at new Promise (<anonymous>)\nat draw (http://h/static/js/index.js:40:2)",
                "`draw` (index.js:40)",
            ),
            ("", "an unknown place"),
        ];
        for (stack, expected) in cases {
            assert_eq!(Creator::of(stack).to_string(), expected);
        }
    }
}

//! What a run needs of its machine for as long as it goes on: room on its disks, ports, and a clock that
//! runs on.
//!
//! Without one of them, it is the machine that decides how the run ends, and the target that seems to be at
//! fault: it stores no data, serves no page, or takes its players for gone.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use tokio::net::TcpSocket;

use crate::evidence::BrokenFact;
use crate::provision::{is_full, scratch};
use crate::stage::NO_PORT;

/// How often the machine is looked at.
const BETWEEN_LOOKS: Duration = Duration::from_millis(500);

/// How often in a row no port is free before the run is given up: others may hold many for a moment.
const LOOKS_FOR_PORTS: u32 = 4;

/// With less than this a disk is full, in bytes: whatever is written next may not be written whole.
const LEAST_FREE: u64 = 1 << 20;

/// By how much the clock may be put right without being set: far more than is done by making it run
/// faster or slower, and far less than any time-out of servers and pages.
const MOST_PUT_RIGHT: Duration = Duration::from_secs(2);

/// The machine, under a run.
pub(super) struct Machine {
    places: [Place; 2],
}

/// A place where a run writes.
struct Place {
    path: PathBuf,
    what: &'static str,
    moved_by: &'static str,
}

impl Machine {
    /// Under a run whose artefacts go to this folder.
    pub(super) fn under(artefacts: &Path) -> Machine {
        let artefacts = Place {
            path: artefacts.to_owned(),
            what: "what the run leaves",
            moved_by: "give another folder with --out",
        };
        let temporary = Place {
            path: scratch().to_owned(),
            what: "what server and browsers write",
            moved_by: "name another folder in TMPDIR",
        };
        Machine {
            places: [artefacts, temporary],
        }
    }

    /// Ends when the machine fails the run, with how.
    pub(super) async fn fails(&self) -> BrokenFact {
        let mut before = Clocks::read();
        let mut in_vain = 0;
        loop {
            if let Some(broken) = self.is_full() {
                return broken;
            }
            match free_port() {
                Ok(()) => in_vain = 0,
                Err(error) => {
                    in_vain += 1;
                    if in_vain == LOOKS_FOR_PORTS {
                        return broken(format!("{NO_PORT}: {error}"), true);
                    }
                }
            }
            tokio::time::sleep(BETWEEN_LOOKS).await;
            let now = Clocks::read();
            if let Some(jump) = jump(&before, &now) {
                return jump.broken();
            }
            before = now;
        }
    }

    /// Why the run is broken, if a disk is full.
    pub(super) fn is_full(&self) -> Option<BrokenFact> {
        self.full_disk().map(|reason| broken(reason, false))
    }

    /// Which disk is full, if one is, and what to do.
    pub(super) fn full_disk(&self) -> Option<String> {
        let full = |place: &&Place| is_full(&place.path, LEAST_FREE);
        let place = self.places.iter().find(full)?;
        Some(format!(
            "the disk of {} is full: there is no room for {}; make some, or {}",
            place.path.display(),
            place.what,
            place.moved_by
        ))
    }
}

/// Whether a port of the loopback interface can be had. Nobody is listened to on it.
fn free_port() -> std::io::Result<()> {
    let socket = TcpSocket::new_v4()?;
    // As servers do: what has ended a moment ago is in nobody's way.
    socket.set_reuseaddr(true)?;
    socket.bind((Ipv4Addr::LOCALHOST, 0).into())
}

fn broken(reason: String, worth_a_retry: bool) -> BrokenFact {
    BrokenFact {
        component: "environment".to_owned(),
        reason,
        last_lines: Vec::new(),
        worth_a_retry,
    }
}

/// The clock that may be set, and between which moments of the one that may not it was read: who reads
/// them may be kept waiting between the two.
struct Clocks {
    after: Instant,
    wall: SystemTime,
    before: Instant,
}

impl Clocks {
    fn read() -> Clocks {
        Clocks {
            after: Instant::now(),
            wall: SystemTime::now(),
            before: Instant::now(),
        }
    }
}

/// The clock was set.
#[derive(Debug, PartialEq)]
enum Jump {
    Forward(Duration),
    Back(Duration),
}

/// By how much the clock was set between two readings, if it was.
fn jump(earlier: &Clocks, later: &Clocks) -> Option<Jump> {
    let least = later.after.saturating_duration_since(earlier.before);
    let most = later.before.saturating_duration_since(earlier.after);
    let (passed, jumped): (_, fn(Duration) -> Jump) = match later.wall.duration_since(earlier.wall)
    {
        Ok(passed) if passed > most => (passed - most, Jump::Forward),
        Ok(passed) => (least.saturating_sub(passed), Jump::Back),
        Err(back) => (least + back.duration(), Jump::Back),
    };
    (passed > MOST_PUT_RIGHT).then(|| jumped(passed))
}

impl Jump {
    fn broken(&self) -> BrokenFact {
        let how = match self {
            Jump::Forward(by) => format!("jumped {} s forward", by.as_secs()),
            Jump::Back(by) => format!("jumped {} s back", by.as_secs()),
        };
        broken(
            format!(
                "the machine's clock {how} in mid-run: it was set, or the machine slept; servers and pages \
                 go by it, so that nothing of what they did then counts; run it again while the clock is left alone"
            ),
            true,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Readings, this many milliseconds after the first one by each clock.
    fn reading(start: &Clocks, after: u64, wall: i64, before: u64) -> Clocks {
        let by = Duration::from_millis(wall.unsigned_abs());
        Clocks {
            after: start.after + Duration::from_millis(after),
            wall: match wall < 0 {
                true => start.wall - by,
                false => start.wall + by,
            },
            before: start.after + Duration::from_millis(before),
        }
    }

    #[test]
    fn a_clock_that_was_set_is_told_from_a_reader_that_was_kept_waiting() {
        let start = Clocks::read();
        let start = reading(&start, 0, 0, 0);
        for (after, wall, before, expected) in [
            (500, 500, 500, None),
            // The reader slept before it had read the clock, or after.
            (500, 60_000, 60_000, None),
            (500, 500, 60_000, None),
            (500, 2_400, 500, None),
            (
                500,
                3_600_500,
                500,
                Some(Jump::Forward(Duration::from_secs(3600))),
            ),
            (500, -9_500, 500, Some(Jump::Back(Duration::from_secs(10)))),
            (60_000, 0, 60_000, Some(Jump::Back(Duration::from_secs(60)))),
        ] {
            let later = reading(&start, after, wall, before);
            assert_eq!(jump(&start, &later), expected, "{after} {wall} {before}");
        }
    }

    #[tokio::test]
    async fn a_machine_that_is_well_fails_no_run() {
        let folder = tempfile::tempdir().expect("a folder");
        let machine = Machine::under(folder.path());
        let failed = tokio::time::timeout(3 * BETWEEN_LOOKS, machine.fails()).await;
        assert!(failed.is_err(), "{failed:?}");
    }
}

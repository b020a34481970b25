//! What the runs of a call took of the machine.

use std::time::Instant;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::provision::processors;

/// What the runs of a call took of the machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Effort {
    /// How many runs were carried out at once, at most.
    pub jobs: usize,
    /// How many processors could be used.
    pub processors: usize,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// How long processors worked for it, all of them together, in seconds: gymcheck, and all processes that
    /// it started and that have ended.
    pub processor_seconds: f64,
    /// How much memory gymcheck itself held at most, in MiB, without server and browsers.
    pub own_memory_mib: f64,
}

impl Effort {
    /// The time that this much work takes at the least, in seconds.
    #[must_use]
    pub fn least_seconds(&self) -> f64 {
        self.processor_seconds / self.processors.max(1) as f64
    }

    /// How much of the machine was made use of, from 0 to 1: that time, as a share of the time that it took.
    #[must_use]
    pub fn made_use_of(&self) -> f64 {
        self.least_seconds() / self.seconds.max(f64::MIN_POSITIVE)
    }
}

/// An effort that goes on.
#[derive(Debug)]
pub struct Measuring {
    jobs: usize,
    began: Instant,
    before: f64,
}

impl Measuring {
    /// Begins to measure, before the first run.
    #[must_use]
    pub fn begin(jobs: usize) -> Measuring {
        Measuring {
            jobs,
            began: Instant::now(),
            before: processor_seconds(),
        }
    }

    /// What it took until now.
    #[must_use]
    pub fn end(&self) -> Effort {
        let usage = getrusage(UsageWho::RUSAGE_SELF);
        let kibibytes = usage.map_or(0, |usage| usage.max_rss());
        Effort {
            jobs: self.jobs,
            processors: processors(),
            seconds: self.began.elapsed().as_secs_f64(),
            processor_seconds: processor_seconds() - self.before,
            own_memory_mib: kibibytes as f64 / 1024.0,
        }
    }
}

/// How long processors have worked for this process, and for those of its children that have ended. Orphans
/// of these are its own: they fall to it.
fn processor_seconds() -> f64 {
    [UsageWho::RUSAGE_SELF, UsageWho::RUSAGE_CHILDREN]
        .into_iter()
        .filter_map(|who| getrusage(who).ok())
        .map(|usage| seconds(usage.user_time()) + seconds(usage.system_time()))
        .sum()
}

fn seconds(time: TimeVal) -> f64 {
    time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_children_work_counts_when_they_have_ended() {
        let measuring = Measuring::begin(2);
        let before = measuring.end();
        // It works until it has worked for this long.
        let work = "import time\nwhile time.process_time() < 0.3: pass";
        let status = std::process::Command::new("python3")
            .args(["-c", work])
            .status();
        assert!(status.expect("Python").success());
        let after = measuring.end();
        assert!(after.processor_seconds > before.processor_seconds + 0.29);
        assert!(after.seconds > before.seconds && after.own_memory_mib > 1.0);
    }

    #[test]
    fn the_use_of_a_machine_is_that_of_all_its_processors() {
        let effort = Effort {
            jobs: 3,
            processors: 2,
            seconds: 10.0,
            processor_seconds: 17.0,
            own_memory_mib: 20.0,
        };
        assert!((effort.made_use_of() - 0.85).abs() < 1e-9);
    }
}

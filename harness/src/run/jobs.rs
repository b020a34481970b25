//! How many runs a machine can carry out at once.

use std::time::{Duration, Instant};

use procfs::CurrentSI;

/// What one run takes: a server, two browsers with Python in each of them. It waits for countdowns
/// more than half of its time, and keeps two thirds of a core busy on average.
const CORES: usize = 1;
const BYTES: u64 = 2 << 30;

/// For how long is looked at what else the machine has to do.
const LOOK: Duration = Duration::from_millis(300);

/// As many runs at once as the processors that have nothing else to do and the free memory allow, one at
/// least: a machine that is too busy plays slowly, and slow play is not what is tested. Looks at the machine
/// for a moment.
#[must_use]
pub fn default_jobs() -> u8 {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let free = procfs::Current::current()
        .ok()
        .and_then(|memory: procfs::Meminfo| memory.mem_available);
    jobs_for(cores, busy(), free)
}

/// How many processors the machine keeps busy now, without what runs at a lower priority (`nice`).
fn busy() -> f64 {
    let worked = || {
        let stat = procfs::KernelStats::current().ok()?;
        let total = stat.total;
        let ticks = total.user + total.system + total.irq.unwrap_or(0) + total.softirq.unwrap_or(0);
        Some(ticks as f64 / procfs::ticks_per_second() as f64)
    };
    let (before, began) = (worked(), Instant::now());
    std::thread::sleep(LOOK);
    let worked = before
        .zip(worked())
        .map_or(0.0, |(before, now)| now - before);
    worked / began.elapsed().as_secs_f64()
}

fn jobs_for(cores: usize, busy: f64, free: Option<u64>) -> u8 {
    let by_cores = cores.saturating_sub(busy.round() as usize) / CORES;
    let by_memory = free.map_or(usize::MAX, |free| {
        usize::try_from(free / BYTES).unwrap_or(1)
    });
    u8::try_from(by_cores.min(by_memory).max(1)).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scarcer_of_cores_and_memory_decides() {
        assert_eq!(jobs_for(1, 0.0, None), 1);
        assert_eq!(jobs_for(2, 0.0, Some(24 << 30)), 2);
        assert_eq!(jobs_for(16, 0.0, Some(64 << 30)), 16);
        assert_eq!(jobs_for(16, 0.0, Some(5 << 30)), 2);
        assert_eq!(jobs_for(16, 0.0, Some(1 << 30)), 1);
    }

    #[test]
    fn what_others_keep_busy_is_left_to_them() {
        assert_eq!(jobs_for(2, 0.4, None), 2);
        assert_eq!(jobs_for(2, 1.0, None), 1);
        assert_eq!(jobs_for(2, 2.0, None), 1);
        assert_eq!(jobs_for(16, 9.7, None), 6);
    }

    #[test]
    fn a_neighbour_that_is_busy_is_seen() {
        let mut neighbour = std::process::Command::new("python3")
            .args(["-c", "while True: pass"])
            .spawn()
            .expect("Python");
        // It may take its time to begin, and shares the machine with all other tests.
        let seen = (0..20).any(|_| busy() > 0.3);
        neighbour.kill().expect("it was there");
        neighbour.wait().expect("it ends");
        assert!(seen);
    }
}

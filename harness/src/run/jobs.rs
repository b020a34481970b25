//! How many runs a machine can carry out at once.

/// What one run takes: a server, two browsers with Python in each of them. It waits for countdowns
/// more than half of its time, and keeps two thirds of a core busy on average.
const CORES: usize = 1;
const BYTES: u64 = 2 << 30;

/// As many runs at once as the processors and the free memory allow, one at least: a machine that is
/// too busy plays slowly, and slow play is not what is tested.
#[must_use]
pub fn default_jobs() -> u8 {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let free = procfs::Current::current()
        .ok()
        .and_then(|memory: procfs::Meminfo| memory.mem_available);
    jobs_for(cores, free)
}

fn jobs_for(cores: usize, free: Option<u64>) -> u8 {
    let by_cores = cores / CORES;
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
        assert_eq!(jobs_for(1, None), 1);
        assert_eq!(jobs_for(2, Some(24 << 30)), 2);
        assert_eq!(jobs_for(16, Some(64 << 30)), 16);
        assert_eq!(jobs_for(16, Some(5 << 30)), 2);
        assert_eq!(jobs_for(16, Some(1 << 30)), 1);
    }
}

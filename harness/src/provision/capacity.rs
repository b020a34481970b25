//! What the machine has: processors and memory.

use procfs::{Current, Meminfo};

/// How many processors there are for gymcheck.
pub(crate) fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// The memory that could be had, in bytes; `None` where the kernel does not say.
pub(crate) fn free_memory() -> Option<u64> {
    Meminfo::current().ok()?.mem_available
}

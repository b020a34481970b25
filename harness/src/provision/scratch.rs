//! Where the folders of stages are: in memory, where there is plenty of it.
//!
//! Two browsers write 50 MiB within seconds, and all of it is removed again at a run's end. On a disk that
//! removal waits for what is still being written.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use nix::sys::statfs::{TMPFS_MAGIC, statfs};
use nix::unistd::{AccessFlags, access};

use super::capacity::{free_memory, processors};
use super::disk;

/// A file system in memory that every Linux has, though in containers it may be a small one.
const MEMORY: &str = "/dev/shm";

/// The variable that names the folder for temporary files.
const VARIABLE: &str = "TMPDIR";

const MIB: u64 = 1 << 20;

/// The room that a file system in memory must have: for a run on each core, and for those that wait for their
/// turn.
fn least_room() -> u64 {
    (processors() as u64 + 4) * 256 * MIB
}

/// What must be free of the machine's memory besides, for what runs there.
const LEAST_FREE: u64 = 2048 * MIB;

/// Where this program sets its stages: in the folder for temporary files that `TMPDIR` names; without it in
/// memory, if there is plenty; else in the system's folder for temporary files.
#[must_use]
pub fn scratch() -> &'static Path {
    static CHOSEN: OnceLock<PathBuf> = OnceLock::new();
    // Once and for all: stages write there, and then there is less room.
    CHOSEN.get_or_init(|| {
        let memory = Path::new(MEMORY);
        let room = least_room();
        let is_plenty = has_room(memory, room) && free_memory() >= Some(room + LEAST_FREE);
        match is_plenty && !is_named() {
            true => memory.to_owned(),
            false => std::env::temp_dir(),
        }
    })
}

/// Where there may be folders of stages, of this program and of earlier ones that had the same `TMPDIR`.
#[must_use]
pub fn scratches() -> Vec<PathBuf> {
    let memory = (!is_named()).then(|| PathBuf::from(MEMORY));
    std::iter::once(std::env::temp_dir())
        .chain(memory)
        .collect()
}

/// Whether somebody has named the folder for temporary files.
fn is_named() -> bool {
    std::env::var_os(VARIABLE).is_some_and(|value| !value.is_empty())
}

/// Whether a folder is in memory, has this room, and is one that this user may write into.
fn has_room(folder: &Path, room: u64) -> bool {
    let is_memory = statfs(folder).is_ok_and(|found| found.filesystem_type() == TMPFS_MAGIC);
    let is_open = access(folder, AccessFlags::W_OK | AccessFlags::X_OK).is_ok();
    is_memory && is_open && disk::free(folder).is_some_and(|free| free >= room)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_on_a_disk_or_without_room_is_not_taken_for_memory() {
        // A file system of the kernel's own is none in memory, and says so everywhere.
        assert!(!has_room(Path::new("/proc"), 0));
        assert!(!has_room(Path::new("/nowhere"), 0));
        let memory = Path::new(MEMORY);
        if has_room(memory, 0) {
            assert!(!has_room(memory, u64::MAX));
        }
    }

    #[test]
    fn a_stage_is_looked_for_wherever_one_may_be() {
        assert!(scratches().contains(&scratch().to_owned()));
        assert!(scratches().contains(&std::env::temp_dir()));
    }
}

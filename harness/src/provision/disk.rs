//! Room on disks: what is taken, and what is free.

use std::collections::HashSet;
use std::fmt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use indicatif::BinaryBytes;
use nix::sys::statvfs::statvfs;
use walkdir::WalkDir;

use super::scratch::scratch;

/// The unit in which the kernel counts what a file takes.
const BLOCK: u64 = 512;

/// What a file, or a folder with all below it, takes on its disk. Links are not followed, and a file
/// with several names counts once. What vanishes meanwhile, or may not be seen, counts nothing.
pub(crate) fn taken(path: &Path) -> u64 {
    let mut seen = HashSet::new();
    let entries = WalkDir::new(path).into_iter().flatten();
    let files = entries.filter_map(|entry| entry.metadata().ok());
    files
        .filter(|file| file.nlink() == 1 || file.is_dir() || seen.insert((file.dev(), file.ino())))
        .map(|file| file.blocks() * BLOCK)
        .sum()
}

/// What this user may still write on the disk of a path, which need not exist yet.
pub(super) fn free(path: &Path) -> Option<u64> {
    let there = path.ancestors().find(|ancestor| ancestor.exists())?;
    let disk = statvfs(there).ok()?;
    Some(disk.blocks_available() * disk.fragment_size())
}

/// Whether less than this is left on the disk of a path, which need not exist yet. One that does not say how large it is, is never full.
pub(crate) fn is_full(path: &Path, least: u64) -> bool {
    let there = path.ancestors().find(|ancestor| ancestor.exists());
    there
        .and_then(|path| statvfs(path).ok())
        .is_some_and(|disk| {
            disk.blocks() > 0 && disk.blocks_available() * disk.fragment_size() < least
        })
}

/// A place where something is going to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// What is written there.
    what: &'static str,
    /// Where that is; it need not exist yet.
    path: PathBuf,
    /// How to have it elsewhere.
    moved_by: &'static str,
    /// What is needed at least.
    needed: u64,
}

const MIB: u64 = 1 << 20;

/// The places where setups and runs write. A setup takes up to 0.7 GiB, 1 GiB while it works; what
/// another target needs takes 210 MiB. A run leaves 1 MiB or 2, and takes 60 to 120 MiB while it goes
/// on, with two profiles of browsers.
pub(super) fn places(home: &Path, results: &Path, is_set_up: bool) -> [Place; 3] {
    [
        Place {
            what: "the cache",
            path: home.to_owned(),
            moved_by: "GYMCHECK_HOME",
            needed: if is_set_up { 300 * MIB } else { 1024 * MIB },
        },
        Place {
            what: "results",
            path: results.to_owned(),
            moved_by: "run --out",
            needed: 200 * MIB,
        },
        Place {
            what: "what runs need while they go on",
            path: scratch().to_owned(),
            moved_by: "TMPDIR",
            needed: 512 * MIB,
        },
    ]
}

/// A disk on which some places are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Disk {
    places: Vec<Place>,
    free: u64,
}

/// The disks of these places. One that does not say what is free on it is left out.
pub(super) fn disks(places: &[Place]) -> Vec<Disk> {
    let mut disks: Vec<(u64, Disk)> = Vec::new();
    for place in places {
        let (Some(device), Some(free)) = (device(&place.path), free(&place.path)) else {
            continue;
        };
        match disks.iter_mut().find(|(known, _)| *known == device) {
            Some((_, disk)) => disk.places.push(place.clone()),
            None => {
                let places = vec![place.clone()];
                disks.push((device, Disk { places, free }));
            }
        }
    }
    disks.into_iter().map(|(_, disk)| disk).collect()
}

impl Disk {
    /// What to do about too little room; nothing where there is enough.
    pub(super) fn advice(&self) -> Option<String> {
        let needed = self.places.iter().map(|place| place.needed).sum();
        let moved_by: Vec<&str> = self.places.iter().map(|place| place.moved_by).collect();
        (self.free < needed).then(|| {
            format!(
                "make {} more free ({} are needed there), or use another disk: {}; `gymcheck clean` says what could go",
                BinaryBytes(needed - self.free),
                BinaryBytes(needed),
                moved_by.join(", ")
            )
        })
    }
}

impl fmt::Display for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let places: Vec<String> = self
            .places
            .iter()
            .map(|place| format!("{} ({})", place.what, place.path.display()))
            .collect();
        write!(
            f,
            "{} free for {}",
            BinaryBytes(self.free),
            places.join(", ")
        )
    }
}

/// The number of the disk of a path, which need not exist yet.
fn device(path: &Path) -> Option<u64> {
    let there = path
        .ancestors()
        .find_map(|ancestor| ancestor.metadata().ok())?;
    Some(there.dev())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn what_is_taken_is_counted_once_and_not_beyond_links() {
        let folder = tempfile::tempdir().unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        fs::write(elsewhere.path().join("large"), vec![1; 1 << 20]).unwrap();
        let empty = taken(folder.path());
        fs::create_dir(folder.path().join("below")).unwrap();
        let file = folder.path().join("below/file");
        fs::write(&file, vec![1; 1 << 20]).unwrap();
        let with_file = taken(folder.path());
        assert!(with_file >= empty + (1 << 20), "{with_file}");
        fs::hard_link(&file, folder.path().join("again")).unwrap();
        symlink(elsewhere.path(), folder.path().join("link")).unwrap();
        assert!(taken(folder.path()) < with_file + (1 << 16));
        assert_eq!(taken(&folder.path().join("nowhere")), 0);
    }

    #[test]
    fn free_room_is_that_of_the_nearest_folder_that_is_there() {
        let folder = tempfile::tempdir().unwrap();
        assert!(free(&folder.path().join("not/yet")).unwrap() > 0);
    }

    #[test]
    fn places_on_one_disk_need_their_room_together() {
        let folder = tempfile::tempdir().unwrap();
        let places = places(folder.path(), &folder.path().join("out"), true);
        let of_folder = disks(&places[..2]);
        assert_eq!(of_folder.len(), 1);
        let mut disk = of_folder[0].clone();
        assert_eq!(disk.places, places[..2]);
        disk.free = 500 * MIB;
        assert_eq!(disk.advice(), None);
        disk.free = 400 * MIB;
        let advice = disk.advice().unwrap();
        assert!(advice.starts_with("make 100.00 MiB more free"), "{advice}");
        assert!(advice.contains("GYMCHECK_HOME, run --out"), "{advice}");
        assert!(
            disk.to_string()
                .starts_with("400.00 MiB free for the cache ("),
            "{disk}"
        );
    }

    #[test]
    fn places_on_two_disks_are_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        // A file system of the kernel's own is another one in any case.
        let places = places(folder.path(), Path::new("/proc/out"), false);
        assert_eq!(disks(&places[..2]).len(), 2);
        assert_eq!(places[0].needed, 1024 * MIB);
    }
}

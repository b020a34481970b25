//! How many runs the machine carries out at once, whoever asks for them: several calls share it, as when
//! each trial has a process of its own.

use std::fs::{File, OpenOptions};
use std::path::PathBuf;
use std::time::Duration;

use crate::provision::Home;
use crate::stage::interrupted;

/// How often a call looks for a free slot: nobody can wait for the first of several locks.
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);

/// The slots that runs take: files that are locked. Whoever ends gives its own back.
#[derive(Debug)]
pub(super) struct Slots {
    folder: PathBuf,
    many: usize,
}

/// A run may go on for as long as it has this.
#[derive(Debug)]
pub(super) struct Slot {
    _lock: Option<File>,
}

impl Slots {
    /// So many, of all calls that share a home folder.
    pub(super) fn new(home: &Home, many: usize) -> Slots {
        Slots {
            folder: home.slots(),
            many,
        }
    }

    /// Takes a slot when one is free; `on_wait` hears of it when none is. None if the call is interrupted
    /// before. Where slots cannot be had at all, runs go without.
    pub(super) async fn take(&self, on_wait: impl Fn()) -> Option<Slot> {
        if std::fs::create_dir_all(&self.folder).is_err() {
            return Some(Slot { _lock: None });
        }
        let mut is_told = false;
        loop {
            for number in 0..self.many {
                let path = self.folder.join(number.to_string());
                let file = OpenOptions::new()
                    .create(true)
                    .truncate(false)
                    .write(true)
                    .open(path);
                let Ok(file) = file else {
                    return Some(Slot { _lock: None });
                };
                if file.try_lock().is_ok() {
                    return Some(Slot { _lock: Some(file) });
                }
            }
            if !is_told {
                on_wait();
                is_told = true;
            }
            tokio::select! {
                biased;
                _ = interrupted() => return None,
                () = tokio::time::sleep(BETWEEN_LOOKS) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[tokio::test]
    async fn calls_share_the_slots_and_wait_for_each_other() {
        let folder = tempfile::tempdir().expect("a folder");
        let home = Home::at(folder.path());
        let (one, other) = (Slots::new(&home, 2), Slots::new(&home, 2));
        let never = || unreachable!("a slot is free");
        let first = one.take(never).await.expect("a slot");
        let _second = other.take(never).await.expect("a slot");
        let waits = Cell::new(0);
        let third = other.take(|| waits.set(waits.get() + 1));
        let third = tokio::time::timeout(3 * BETWEEN_LOOKS, third).await;
        assert!(third.is_err(), "{third:?}");
        assert_eq!(waits.get(), 1);
        // Who wants more of them at once finds one.
        let more = Slots::new(&home, 3).take(never).await;
        assert!(more.is_some());
        drop(first);
        assert!(other.take(never).await.is_some());
    }

    #[tokio::test]
    async fn without_a_folder_for_slots_runs_go_on() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("file");
        std::fs::write(&file, "").expect("a file");
        let slots = Slots::new(&Home::at(file), 1);
        let never = || unreachable!("nobody waits");
        let _first = slots.take(never).await.expect("it goes on");
        assert!(slots.take(never).await.is_some());
    }
}

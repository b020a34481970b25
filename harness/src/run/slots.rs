//! How many runs the machine carries out at once, whoever asks for them: several calls share it, as when
//! each trial has a process of its own.

use std::fs::File;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::default_jobs;
use super::jobs::{busy_besides_runs, processors};
use crate::provision::{Home, file_lock};
use crate::stage::interrupted;

/// How often a call looks for a free slot: nobody can wait for the first of several locks.
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);

/// The slots that runs take: files that are locked. Whoever ends gives its own back.
#[derive(Debug)]
pub(super) struct Slots {
    folder: PathBuf,
    many: usize,
    /// Whether only as many are taken as processors have nothing else to do.
    gives_way: bool,
}

/// The slot of a run, until all of its clones are dropped, or until it is given back before.
#[derive(Debug, Clone)]
pub struct Slot {
    lock: Arc<Mutex<Option<File>>>,
}

impl Slot {
    fn new(lock: Option<File>) -> Slot {
        Slot {
            lock: Arc::new(Mutex::new(lock)),
        }
    }

    /// For a run that takes nothing of the machine to speak of.
    pub(super) fn of_nothing() -> Slot {
        Slot::new(None)
    }

    /// Gives it back: what the run has yet to do is next to nothing.
    pub(super) fn give_back(&self) {
        self.lock
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
    }
}

impl Slots {
    /// So many, of all calls that share a home folder; or as many as the machine can besides what else it
    /// has to do, one at least.
    pub(super) fn new(home: &Home, many: Option<u8>) -> Slots {
        Slots {
            folder: home.slots(),
            many: many.unwrap_or_else(default_jobs).into(),
            gives_way: many.is_none(),
        }
    }

    /// Takes a slot when one is free; `on_wait` hears of it when none is. None if the call is interrupted
    /// before. Where slots cannot be had at all, runs go without.
    pub(super) async fn take(&self, on_wait: impl Fn()) -> Option<Slot> {
        if std::fs::create_dir_all(&self.folder).is_err() {
            return Some(Slot::new(None));
        }
        let mut is_told = false;
        loop {
            for number in 0..self.many {
                let path = self.folder.join(number.to_string());
                let Ok(file) = file_lock::open(&path) else {
                    return Some(Slot::new(None));
                };
                if file.try_lock().is_ok() && self.may_take(number).await {
                    return Some(Slot::new(Some(file)));
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

    /// Whether there is a processor for this slot that has nothing else to do. The first one is taken in any
    /// case.
    async fn may_take(&self, number: usize) -> bool {
        number == 0 || !self.gives_way || has_room(number, busy_besides_runs().await, processors())
    }
}

/// Whether there is room for a run beside so many others, where other work keeps so many processors busy.
fn has_room(number: usize, busy: f64, processors: usize) -> bool {
    number + (busy.round() as usize) < processors
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[tokio::test]
    async fn calls_share_the_slots_and_wait_for_each_other() {
        let folder = tempfile::tempdir().expect("a folder");
        let home = Home::at(folder.path());
        let (one, other) = (Slots::new(&home, Some(2)), Slots::new(&home, Some(2)));
        let never = || unreachable!("a slot is free");
        let first = one.take(never).await.expect("a slot");
        let _second = other.take(never).await.expect("a slot");
        let waits = Cell::new(0);
        let third = other.take(|| waits.set(waits.get() + 1));
        let third = tokio::time::timeout(3 * BETWEEN_LOOKS, third).await;
        assert!(third.is_err(), "{third:?}");
        assert_eq!(waits.get(), 1);
        // Who wants more of them at once finds one.
        let more = Slots::new(&home, Some(3)).take(never).await;
        assert!(more.is_some());
        drop(first);
        let again = other.take(never).await.expect("a slot");
        let of_the_run = again.clone();
        of_the_run.give_back();
        let given_back = tokio::time::timeout(30 * BETWEEN_LOOKS, one.take(|| ())).await;
        assert!(given_back.is_ok_and(|slot| slot.is_some()));
    }

    #[tokio::test]
    async fn without_a_folder_for_slots_runs_go_on() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("file");
        std::fs::write(&file, "").expect("a file");
        let slots = Slots::new(&Home::at(file), Some(1));
        let never = || unreachable!("nobody waits");
        let _first = slots.take(never).await.expect("it goes on");
        assert!(slots.take(never).await.is_some());
    }

    #[test]
    fn a_further_run_gives_way_to_what_else_the_machine_has_to_do() {
        for (number, busy, processors, expected) in [
            (1, 0.0, 2, true),
            (1, 0.4, 2, true),
            (1, 0.6, 2, false),
            (1, 2.0, 2, false),
            (1, 0.0, 1, false),
            (5, 9.7, 16, true),
            (6, 9.7, 16, false),
        ] {
            let found = has_room(number, busy, processors);
            assert_eq!(found, expected, "{number} {busy} {processors}");
        }
    }
}

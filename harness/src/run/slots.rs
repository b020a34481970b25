//! How many runs the machine carries out at once, whoever asks for them: several calls share it, as when
//! each trial has a process of its own.
//!
//! A run does most of its work while its pages load, and that keeps two processors busy; later it waits for
//! countdowns and time-outs more than it works. So more runs go on at once than there are processors, and few of
//! them load at the same time: else those that play would play slowly.

use std::fs::File;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::default_jobs;
use super::jobs::{busy_besides_runs, loads, runs};
use crate::provision::{Home, file_lock, processors};
use crate::stage::{can_give_way, interrupted};

/// How often a call looks for a free slot: nobody can wait for the first of several locks.
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);

/// Where the slots of those that load are, among those of the runs.
const LOADING: &str = "loading";

/// The slots that runs take: files that are locked. Whoever ends gives its own back.
#[derive(Debug)]
pub(super) struct Slots {
    folder: PathBuf,
    many: usize,
    /// Whether only as many are taken as there is room for besides what else the machine has to do.
    gives_way: bool,
}

/// A slot, until all of its clones are dropped, or until it is given back before.
#[derive(Debug, Clone)]
struct Slot {
    lock: Arc<Mutex<Option<File>>>,
}

impl Slot {
    fn new(lock: Option<File>) -> Slot {
        Slot {
            lock: Arc::new(Mutex::new(lock)),
        }
    }

    fn give_back(&self) {
        self.lock
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
    }
}

/// A run's turn: its place among those that the machine carries out at once, and, until its pages have loaded,
/// among those that load.
#[derive(Debug, Clone)]
pub struct Turn {
    run: Slot,
    loading: Slot,
}

impl Turn {
    /// Of a run that takes nothing of the machine to speak of.
    pub(super) fn of_nothing() -> Turn {
        Turn {
            run: Slot::new(None),
            loading: Slot::new(None),
        }
    }

    /// Lets another run load: the pages of this one have.
    pub(super) fn has_loaded(&self) {
        self.loading.give_back();
    }

    /// Lets another run be carried out: what this one has yet to do is next to nothing.
    pub(super) fn makes_way(&self) {
        self.has_loaded();
        self.run.give_back();
    }
}

/// The turns that the machine has for runs.
#[derive(Debug)]
pub(super) struct Turns {
    runs: Slots,
    loading: Slots,
}

impl Turns {
    /// So many at once, of all calls that share a home folder; or as many as the machine can besides what else
    /// it has to do, one at least.
    pub(super) fn new(home: &Home, many: Option<u8>) -> Turns {
        let runs = Slots {
            folder: home.slots(),
            many: many.unwrap_or_else(default_jobs).into(),
            gives_way: many.is_none(),
        };
        let loading = Slots {
            folder: home.slots().join(LOADING),
            many: loads(processors()),
            gives_way: false,
        };
        Turns { runs, loading }
    }

    /// Takes one; `on_wait` hears what is waited for when there is none. None if the call is interrupted before.
    pub(super) async fn take(&self, on_wait: impl Fn(&str)) -> Option<Turn> {
        let run = self.runs.take(|| on_wait("waits for its turn")).await?;
        let on_wait = || on_wait("waits while the pages of another run load");
        let loading = self.loading.take(on_wait).await?;
        Some(Turn { run, loading })
    }
}

impl Slots {
    /// Takes a slot when one is free; `on_wait` hears of it when none is. None if the call is interrupted
    /// before. Where slots cannot be had at all, runs go without.
    async fn take(&self, on_wait: impl Fn()) -> Option<Slot> {
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

    /// Whether there is room for this slot besides what else the machine has to do. The first one is taken in
    /// any case.
    async fn may_take(&self, number: usize) -> bool {
        if number == 0 || !self.gives_way {
            return true;
        }
        let free = free(busy_besides_runs().await, processors());
        number < runs(free, can_give_way())
    }
}

/// How many processors have nothing else to do, where other work keeps so many of them busy.
fn free(busy: f64, processors: usize) -> usize {
    processors.saturating_sub(busy.round() as usize)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[tokio::test]
    async fn calls_share_the_slots_and_wait_for_each_other() {
        let folder = tempfile::tempdir().expect("a folder");
        let home = Home::at(folder.path());
        let slots = |many| Slots {
            folder: home.slots(),
            many,
            gives_way: false,
        };
        let (one, other) = (slots(2), slots(2));
        let never = || unreachable!("a slot is free");
        let first = one.take(never).await.expect("a slot");
        let _second = other.take(never).await.expect("a slot");
        let waits = Cell::new(0);
        let third = other.take(|| waits.set(waits.get() + 1));
        let third = tokio::time::timeout(3 * BETWEEN_LOOKS, third).await;
        assert!(third.is_err(), "{third:?}");
        assert_eq!(waits.get(), 1);
        // Who wants more of them at once finds one.
        let more = slots(3).take(never).await;
        assert!(more.is_some());
        drop(first);
        let again = other.take(never).await.expect("a slot");
        let of_the_run = again.clone();
        of_the_run.give_back();
        let given_back = tokio::time::timeout(30 * BETWEEN_LOOKS, one.take(|| ())).await;
        assert!(given_back.is_ok_and(|slot| slot.is_some()));
    }

    #[tokio::test]
    async fn of_many_runs_few_load_at_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let turns = || {
            let turns = Turns::new(&Home::at(folder.path()), Some(9));
            let loading = Slots {
                many: 1,
                ..turns.loading
            };
            Turns { loading, ..turns }
        };
        let never = |what: &str| unreachable!("{what}");
        let first = turns().take(never).await.expect("a turn");
        let second = async |within: u32| {
            let said = Cell::new(String::new());
            let two = turns();
            let taken = two.take(|what| said.set(what.to_owned()));
            let taken = tokio::time::timeout(within * BETWEEN_LOOKS, taken).await;
            (taken.ok().flatten(), said.take())
        };
        let (none, said) = second(3).await;
        assert!(none.is_none());
        assert_eq!(said, "waits while the pages of another run load");
        first.has_loaded();
        let (loads, _) = second(30).await;
        let loads = loads.expect("a turn");
        // One that does nothing more lets others load as well.
        loads.makes_way();
        assert!(second(30).await.0.is_some());
    }

    #[tokio::test]
    async fn without_a_folder_for_slots_runs_go_on() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("file");
        std::fs::write(&file, "").expect("a file");
        let turns = Turns::new(&Home::at(file), Some(1));
        let never = |what: &str| unreachable!("{what}");
        let _first = turns.take(never).await.expect("it goes on");
        assert!(turns.take(never).await.is_some());
    }

    #[test]
    fn further_runs_give_way_to_what_else_the_machine_has_to_do() {
        for (busy, processors, expected) in [
            (0.0, 2, 2),
            (0.4, 2, 2),
            (0.6, 2, 1),
            (2.0, 2, 0),
            (2.9, 2, 0),
            (9.7, 16, 6),
        ] {
            assert_eq!(free(busy, processors), expected, "{busy} {processors}");
        }
    }
}

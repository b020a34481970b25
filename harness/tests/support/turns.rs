//! How many tests of a program do at once what keeps a machine busy.

#![allow(dead_code, reason = "few tests must be alone")]

use std::sync::{Condvar, Mutex, PoisonError};

/// So many turns at a time.
pub(crate) struct Turns {
    most: usize,
    taken: Mutex<usize>,
    given_back: Condvar,
}

/// Turns that are given back when this is dropped.
pub(crate) struct Turn {
    turns: &'static Turns,
    many: usize,
}

impl Turns {
    /// For calls of gymcheck, each with two browsers and Python in each of them: while some wait, another one
    /// works. More would only wait for one another.
    pub(crate) const fn of_calls() -> Turns {
        Turns {
            most: 3,
            taken: Mutex::new(0),
            given_back: Condvar::new(),
        }
    }

    /// One turn, once there is one.
    pub(crate) fn take(&'static self) -> Turn {
        self.take_many(1)
    }

    /// All turns, for what must be alone.
    pub(crate) fn take_all(&'static self) -> Turn {
        self.take_many(self.most)
    }

    fn take_many(&'static self, many: usize) -> Turn {
        let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let is_full = |taken: &mut usize| *taken + many > self.most;
        let free = self.given_back.wait_while(taken, is_full);
        *free.unwrap_or_else(PoisonError::into_inner) += many;
        Turn { turns: self, many }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        *self
            .turns
            .taken
            .lock()
            .unwrap_or_else(PoisonError::into_inner) -= self.many;
        self.turns.given_back.notify_all();
    }
}

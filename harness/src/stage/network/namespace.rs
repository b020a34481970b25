//! A network namespace without a name.

use std::fs::File;
use std::io;

use nix::sched::{CloneFlags, setns, unshare};

use crate::stage::own_thread::on_own_thread;

/// The name of the threads that are in one.
const THREAD: &str = "namespace";

/// Where a thread finds the namespace that it is in.
const OWN: &str = "/proc/thread-self/ns/net";

/// A network namespace that has no name anywhere: it is held by this value, by the sockets that were made in
/// it, and by the processes that were started in it. With the last of them the kernel removes it and all of
/// its links. Nothing of it can be left, however its holders end.
#[derive(Debug)]
pub(super) struct Namespace {
    held: File,
}

impl Namespace {
    /// Makes a new one. Its loopback interface is there, and down.
    ///
    /// # Errors
    /// This user may not, or the kernel cannot.
    pub(super) fn new() -> io::Result<Namespace> {
        let held = on_own_thread(THREAD, || {
            unshare(CloneFlags::CLONE_NEWNET)?;
            File::open(OWN)
        })?;
        Ok(Namespace { held })
    }

    /// Does something in the namespace. Sockets that are made there belong to it, wherever they are used
    /// afterwards, and processes that are started there are in it.
    ///
    /// # Errors
    /// It cannot be entered, or what is done there fails.
    pub(super) fn within<T: Send>(
        &self,
        act: impl FnOnce() -> io::Result<T> + Send,
    ) -> io::Result<T> {
        on_own_thread(THREAD, || {
            setns(&self.held, CloneFlags::CLONE_NEWNET)?;
            act()
        })
    }

    /// Its handle, for telling the kernel which one is meant.
    pub(super) fn handle(&self) -> &File {
        &self.held
    }
}

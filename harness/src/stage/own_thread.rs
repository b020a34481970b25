//! What changes the thread that does it: it gets one of its own, which serves nobody else.

use std::io;
use std::thread;

/// Does something on a thread of this name that ends with it.
///
/// # Errors
/// There is no thread to be had, or what is done there fails.
pub(super) fn on_own_thread<T: Send>(
    name: &str,
    act: impl FnOnce() -> io::Result<T> + Send,
) -> io::Result<T> {
    thread::scope(|scope| {
        let own = thread::Builder::new().name(name.to_owned());
        let done = own.spawn_scoped(scope, act)?.join();
        done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

//! Being told to end while an external command runs.
//!
//! Such a command is in a process group of its own, so that its whole tree can be ended; the
//! terminal's Ctrl-C therefore does not reach it. While one is attended, the signals that ask
//! gymcheck to end are noted, the command is ended, and then gymcheck ends. At any other time they
//! do what they always do.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

struct Signals {
    /// No command is attended: a signal takes its default effect.
    unattended: Arc<AtomicBool>,
    /// A signal came.
    seen: Arc<AtomicBool>,
}

/// A command is attended while this lives. One at a time: the home folder's lock sees to it.
pub(super) struct Attention {
    signals: &'static Signals,
}

impl Attention {
    /// Begins to note signals.
    pub(super) fn begin() -> std::io::Result<Attention> {
        let signals = signals()?;
        signals.unattended.store(false, Ordering::SeqCst);
        Ok(Attention { signals })
    }

    /// Whether gymcheck was told to end.
    pub(super) fn interrupted(&self) -> bool {
        self.signals.seen.load(Ordering::SeqCst)
    }

    /// Ends it. Whether gymcheck was told to end by then: from here on it ends at once.
    pub(super) fn end(self) -> bool {
        self.signals.unattended.store(true, Ordering::SeqCst);
        self.interrupted()
    }
}

impl Drop for Attention {
    fn drop(&mut self) {
        self.signals.unattended.store(true, Ordering::SeqCst);
    }
}

/// The handlers, registered once in the life of the process.
fn signals() -> std::io::Result<&'static Signals> {
    static SIGNALS: OnceLock<Signals> = OnceLock::new();
    if let Some(signals) = SIGNALS.get() {
        return Ok(signals);
    }
    let signals = Signals {
        unattended: Arc::new(AtomicBool::new(true)),
        seen: Arc::new(AtomicBool::new(false)),
    };
    for signal in [SIGHUP, SIGINT, SIGTERM] {
        flag::register_conditional_default(signal, Arc::clone(&signals.unattended))?;
        flag::register(signal, Arc::clone(&signals.seen))?;
    }
    Ok(SIGNALS.get_or_init(|| signals))
}

//! Being told to end while an external command runs.
//!
//! Such a command is in a process group of its own, so that its whole tree can be ended; the
//! terminal's Ctrl-C therefore does not reach it. While one is attended, the signals that ask
//! gymcheck to end are noted, the command is ended, and then gymcheck ends. At any other time they
//! do what they always do: their default, or what runs do about them (see [`noted_elsewhere`]).

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

/// Whether somebody else does something about the signals, also while no command is attended.
static NOTED_ELSEWHERE: AtomicBool = AtomicBool::new(false);

struct Signals {
    /// No command is attended, and nobody else notes signals: one takes its default effect.
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

    /// Ends it. Whether gymcheck was told to end by then: from here on a signal does what it always does.
    pub(super) fn end(self) -> bool {
        self.signals.leave();
        self.interrupted()
    }
}

impl Drop for Attention {
    fn drop(&mut self) {
        self.signals.leave();
    }
}

impl Signals {
    /// No command is attended any more.
    fn leave(&self) {
        let noted = NOTED_ELSEWHERE.load(Ordering::SeqCst);
        self.unattended.store(!noted, Ordering::SeqCst);
    }
}

/// From here on somebody else does something about the signals: none takes its default effect any more.
pub(crate) fn noted_elsewhere() {
    NOTED_ELSEWHERE.store(true, Ordering::SeqCst);
    if let Some(signals) = SIGNALS.get() {
        signals.unattended.store(false, Ordering::SeqCst);
    }
}

static SIGNALS: OnceLock<Signals> = OnceLock::new();

/// The handlers, registered once in the life of the process.
fn signals() -> std::io::Result<&'static Signals> {
    if let Some(signals) = SIGNALS.get() {
        return Ok(signals);
    }
    let signals = Signals {
        unattended: Arc::new(AtomicBool::new(true)),
        seen: Arc::new(AtomicBool::new(false)),
    };
    for signal in heeded() {
        flag::register_conditional_default(signal, Arc::clone(&signals.unattended))?;
        flag::register(signal, Arc::clone(&signals.seen))?;
    }
    Ok(SIGNALS.get_or_init(|| signals))
}

/// The signals that ask gymcheck to end. SIGHUP is none of them where gymcheck was started to outlive its
/// terminal, as by `nohup`. An ignored SIGINT was asked for by nobody: shells ignore it for what a script
/// starts in the background.
pub(crate) fn heeded() -> Vec<i32> {
    let ignored =
        std::fs::read_to_string("/proc/self/status").is_ok_and(|status| ignores(&status, SIGHUP));
    let hangup = (!ignored).then_some(SIGHUP);
    [SIGINT, SIGTERM].into_iter().chain(hangup).collect()
}

/// Whether a process of this `/proc/…/status` ignores a signal.
fn ignores(status: &str, signal: i32) -> bool {
    let mask = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use nix::sys::signal::{Signal, raise};

    use super::*;

    /// Says to a test that it is the process to which it sends a signal.
    const SENT_TO: &str = "GYMCHECK_TEST_SIGNAL";

    /// Has a test of this name carried out in a process of its own, which may die of a signal: its status.
    /// SIGHUP is ignored there.
    fn in_own_process(test: &str) -> Option<i32> {
        let program = std::env::current_exe().unwrap();
        let child = Command::new("sh")
            .args(["-c", "trap '' HUP; exec \"$@\"", "sh"])
            .arg(program)
            .args(["--exact", &format!("provision::interrupt::tests::{test}")])
            .env(SENT_TO, "1")
            .output();
        child.unwrap().status.code()
    }

    #[test]
    fn a_signal_after_an_attended_command_is_left_to_who_notes_it() {
        if std::env::var_os(SENT_TO).is_none() {
            let test = "a_signal_after_an_attended_command_is_left_to_who_notes_it";
            assert_eq!(in_own_process(test), Some(0));
            return;
        }
        assert!(!Attention::begin().unwrap().end());
        for _ in 0..2 {
            noted_elsewhere();
            let attention = Attention::begin().unwrap();
            drop(attention);
            // Its default effect would end this process.
            raise(Signal::SIGINT).unwrap();
        }
        assert!(Attention::begin().unwrap().end());
    }

    #[test]
    fn a_hangup_that_is_ignored_stays_ignored() {
        if std::env::var_os(SENT_TO).is_none() {
            let test = "a_hangup_that_is_ignored_stays_ignored";
            assert_eq!(in_own_process(test), Some(0));
            return;
        }
        let is_ignored = || {
            let status = std::fs::read_to_string("/proc/self/status").unwrap();
            ignores(&status, SIGHUP)
        };
        assert!(is_ignored());
        crate::stage::on_signal(|_| {}).unwrap();
        let attention = Attention::begin().unwrap();
        raise(Signal::SIGHUP).unwrap();
        assert!(is_ignored() && !attention.end());
        raise(Signal::SIGTERM).unwrap();
        assert!(Attention::begin().unwrap().end());
    }
}

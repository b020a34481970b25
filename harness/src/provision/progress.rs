//! Saying how far things are, on standard error: bars on a terminal, plain lines elsewhere.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// How often a spinner turns.
const TICK: Duration = Duration::from_millis(120);

/// Says one line.
pub(super) fn line(text: &str) {
    // Nobody may be listening any more, and that must not end the work.
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Something that takes a while.
pub(super) struct Step {
    what: String,
    begun: Instant,
    bar: Option<ProgressBar>,
}

impl Step {
    /// Begins something of unknown length.
    pub(super) fn begin(what: impl Into<String>) -> Step {
        Step::with(
            what.into(),
            ProgressBar::new_spinner,
            "{spinner} {msg} ({elapsed})",
        )
    }

    /// Begins something that has this many parts.
    pub(super) fn of_parts(what: impl Into<String>, parts: usize) -> Step {
        Step::with(
            what.into(),
            || ProgressBar::new(parts as u64),
            "{spinner} {msg} {bar:24} {pos}/{len} ({elapsed})",
        )
    }

    fn with(what: String, bar: impl FnOnce() -> ProgressBar, template: &str) -> Step {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template(template)
                .expect("the templates above follow indicatif's syntax");
            let bar = bar().with_style(style).with_message(what.clone());
            bar.enable_steady_tick(TICK);
            bar
        });
        if bar.is_none() {
            line(&format!("{what} ..."));
        }
        Step {
            what,
            begun: Instant::now(),
            bar,
        }
    }

    /// Turns to the next part.
    pub(super) fn part(&self, name: &str) {
        match &self.bar {
            Some(bar) => bar.set_message(format!("{}: {name}", self.what)),
            None => line(&format!("  {name}")),
        }
    }

    /// A part is done.
    pub(super) fn part_done(&self) {
        if let Some(bar) = &self.bar {
            bar.inc(1);
        }
    }

    /// All is done.
    pub(super) fn done(mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
        let seconds = self.begun.elapsed().as_secs_f64();
        line(&format!("{}: done in {seconds:.1} s", self.what));
    }
}

impl Drop for Step {
    /// What was not done failed: the error says the rest.
    fn drop(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

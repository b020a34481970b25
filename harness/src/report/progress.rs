//! Saying what goes on while it goes on.

use std::collections::HashMap;
use std::io::{IsTerminal, Write};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::terminal::Loudness;
use crate::run::RunRecord;
use crate::verdict::Verdict;

/// Says what goes on while it goes on: a live line for each run on a terminal, else a line for each
/// step. It is said by a thread of its own: whoever does not read on holds no run up. What is not said yet when this
/// is dropped is waited for.
pub struct Progress {
    words: Option<Sender<Word>>,
    saying: Option<JoinHandle<()>>,
    is_live: bool,
    is_silent: bool,
    began: Instant,
    /// How many runs there are, where that is known.
    total: Option<usize>,
}

/// The progress of one run.
pub struct RunProgress<'a> {
    all: &'a Progress,
    /// Which run of the call it is: no two have the same number.
    number: usize,
    title: String,
}

/// What is to be said.
enum Word {
    /// A line that stays.
    Line(String),
    /// What the live line of a run says now.
    Live(usize, String),
    /// The live line of a run goes.
    Gone(usize),
}

impl Progress {
    /// For this many runs; for as many as turn out to be worth it, if there is no number.
    #[must_use]
    pub fn new(total: Option<usize>, loudness: Loudness) -> Progress {
        let is_live = std::io::stderr().is_terminal() && loudness == Loudness::Normal;
        let (words, heard) = channel();
        let saying = std::thread::Builder::new()
            .name("progress".to_owned())
            .spawn(move || match is_live {
                true => say_live(&heard),
                false => say(&heard),
            });
        Progress {
            words: Some(words),
            // Without it the runs go on, and nothing is said of them.
            saying: saying.ok(),
            is_live,
            is_silent: loudness == Loudness::Quiet,
            began: Instant::now(),
            total,
        }
    }

    /// A run begins.
    #[must_use]
    pub fn begin(&self, number: usize, run: &str) -> RunProgress<'_> {
        let progress = RunProgress {
            all: self,
            number,
            title: match self.total {
                Some(total) => format!("[{number}/{total}] {run}"),
                None => format!("[{number}] {run}"),
            },
        };
        progress.step("begins");
        progress
    }

    /// Says a line that stays.
    pub fn line(&self, text: &str) {
        if self.is_live {
            self.tell(Word::Line(text.to_owned()));
        } else if !self.is_silent {
            let seconds = self.began.elapsed().as_secs_f64();
            self.tell(Word::Line(format!("{seconds:7.1}s {text}")));
        }
    }

    fn tell(&self, word: Word) {
        if let Some(words) = &self.words {
            // Where nobody says it, nobody hears it.
            let _ = words.send(word);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        drop(self.words.take());
        if let Some(saying) = self.saying.take() {
            // What it could not say is in the reports.
            let _ = saying.join();
        }
    }
}

impl RunProgress<'_> {
    /// A step of the run begins.
    pub fn step(&self, step: &str) {
        let text = format!("{}: {step}", self.title);
        match self.all.is_live {
            true => self.all.tell(Word::Live(self.number, text)),
            false => self.all.line(&text),
        }
    }

    /// The run has its verdicts, one of each spec that judges it.
    pub fn end(self, runs: &[RunRecord]) {
        for run in runs {
            let (verdict, seconds) = (run.verdict, run.seconds);
            let as_known =
                match verdict.is_pass() || verdict == Verdict::Broken || run.is_unexpected() {
                    true => "",
                    false => ", as known",
                };
            self.all.line(&format!(
                "{}: {} {verdict}{as_known} after {seconds:.1} s",
                self.title, run.spec
            ));
        }
    }
}

impl Drop for RunProgress<'_> {
    fn drop(&mut self) {
        self.all.tell(Word::Gone(self.number));
    }
}

fn say(heard: &Receiver<Word>) {
    for word in heard {
        if let Word::Line(text) = word {
            // Whoever has closed the terminal hears nothing more.
            let _ = writeln!(anstream::stderr(), "{text}");
        }
    }
}

fn say_live(heard: &Receiver<Word>) {
    let bars = MultiProgress::new();
    let mut lines: HashMap<usize, ProgressBar> = HashMap::new();
    for word in heard {
        match word {
            // A terminal that is gone hears nothing more.
            Word::Line(text) => drop(bars.println(text)),
            Word::Live(run, text) => {
                let bar = lines.entry(run).or_insert_with(|| spinner(&bars));
                bar.set_message(text);
            }
            Word::Gone(run) => {
                if let Some(bar) = lines.remove(&run) {
                    bar.finish_and_clear();
                }
            }
        }
    }
}

fn spinner(bars: &MultiProgress) -> ProgressBar {
    let bar = bars.add(ProgressBar::new_spinner());
    let style = ProgressStyle::with_template("{spinner} {msg} {elapsed:.dim}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}

//! Writing a log while it is read.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use thiserror::Error;
use tokio::sync::watch;
use tokio::time::Instant;

use super::fact::{BrokenFact, Event, FORMAT_VERSION, Fact};
use super::log::{Header, Log};

/// Writes the evidence of one run, stamps each event on the run's clock, and lets others wait for
/// what they need to see. Cheap to clone: all clones are one recorder.
#[derive(Clone)]
pub struct Recorder {
    shared: Arc<Shared>,
}

struct Shared {
    began: Instant,
    state: Mutex<State>,
    /// Number of events so far: a change wakes those who wait.
    count: watch::Sender<u64>,
}

struct State {
    events: Vec<Arc<Event>>,
    /// The first event that says that the run is broken: whoever waits asks for it again and again.
    broken: Option<Arc<Event>>,
    file: Option<BufWriter<File>>,
    /// The first error in writing: the disk may be full.
    write_error: Option<std::io::Error>,
}

/// An event that was awaited.
pub type Awaited = Arc<Event>;

/// Why waiting ended without the event.
#[derive(Debug, Clone, Error)]
pub enum WaitError {
    /// It did not come in time.
    #[error("waited {} s for {what}", .waited.as_secs())]
    Deadline {
        /// What was awaited.
        what: String,
        /// For how long.
        waited: Duration,
    },
    /// The run broke in the meantime.
    #[error("while waiting for {what}: {}", .broken.reason)]
    Broken {
        /// What was awaited.
        what: String,
        /// What broke.
        broken: BrokenFact,
    },
}

impl Recorder {
    /// A recorder whose log goes to a new file.
    ///
    /// # Errors
    /// The file cannot be made.
    pub fn to_file(path: &Path) -> std::io::Result<Recorder> {
        let mut file = BufWriter::new(File::create(path)?);
        let header = Header {
            gymcheck_evidence: FORMAT_VERSION,
        };
        serde_json::to_writer(&mut file, &header)?;
        file.write_all(b"\n")?;
        file.flush()?;
        Ok(Recorder::new(Some(file)))
    }

    /// A recorder that keeps its log in memory only.
    #[must_use]
    pub fn in_memory() -> Recorder {
        Recorder::new(None)
    }

    fn new(file: Option<BufWriter<File>>) -> Recorder {
        Recorder {
            shared: Arc::new(Shared {
                began: Instant::now(),
                state: Mutex::new(State {
                    events: Vec::new(),
                    broken: None,
                    file,
                    write_error: None,
                }),
                count: watch::Sender::new(0),
            }),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere must not lose the evidence of what led to it.
        self.shared
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The run's clock: milliseconds since the recorder was made.
    #[must_use]
    pub fn now(&self) -> f64 {
        self.shared.began.elapsed().as_secs_f64() * 1000.0
    }

    /// The number of events so far, which is the `seq` that the next one gets.
    #[must_use]
    pub fn len(&self) -> u64 {
        *self.shared.count.borrow()
    }

    /// Whether nothing was recorded yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Records what happened to the run as a whole.
    pub fn record(&self, fact: Fact) -> Awaited {
        self.push(None, fact)
    }

    /// Records what happened to a player.
    pub fn record_for(&self, player: &str, fact: Fact) -> Awaited {
        self.push(Some(player.to_owned()), fact)
    }

    fn push(&self, player: Option<String>, fact: Fact) -> Awaited {
        let mut state = self.state();
        let event = Arc::new(Event {
            seq: state.events.len() as u64,
            t: (self.now() * 1000.0).round() / 1000.0,
            player,
            fact,
        });
        state.events.push(Arc::clone(&event));
        if matches!(event.fact, Fact::Broken(_)) {
            state.broken.get_or_insert_with(|| Arc::clone(&event));
        }
        if let Err(error) = write_line(&mut state.file, &event) {
            state.write_error.get_or_insert(error);
        }
        let count = state.events.len() as u64;
        drop(state);
        self.shared.count.send_replace(count);
        event
    }

    /// The first event at or after position `from` that a question finds, if it is there already.
    pub fn find(&self, from: u64, question: impl Fn(&Event) -> bool) -> Option<Awaited> {
        let state = self.state();
        state
            .events
            .get(from as usize..)?
            .iter()
            .find(|event| question(event))
            .cloned()
    }

    /// The newest event that a question finds.
    pub fn find_last(&self, question: impl Fn(&Event) -> bool) -> Option<Awaited> {
        let state = self.state();
        let newest = state.events.iter().rev().find(|event| question(event));
        newest.cloned()
    }

    /// Waits for the first event at or after position `from` that a question finds.
    ///
    /// `what` names it, for the error. A [`Fact::Broken`] anywhere in the log ends the wait.
    ///
    /// # Errors
    /// The deadline passed, or the run broke.
    pub async fn wait(
        &self,
        from: u64,
        deadline: Duration,
        what: &str,
        question: impl Fn(&Event) -> bool,
    ) -> Result<Awaited, WaitError> {
        let began = Instant::now();
        let mut count = self.shared.count.subscribe();
        let mut next = from;
        loop {
            let seen = *count.borrow_and_update();
            if let Some(found) = self.find(next, &question) {
                return Ok(found);
            }
            if let Some(broken) = self.broken() {
                return Err(WaitError::Broken {
                    what: what.to_owned(),
                    broken,
                });
            }
            next = next.max(seen);
            let passed = Err(WaitError::Deadline {
                what: what.to_owned(),
                waited: deadline,
            });
            match tokio::time::timeout_at(began + deadline, count.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) | Err(_) => return passed,
            }
        }
    }

    /// Why the run broke, if it did.
    #[must_use]
    pub fn broken(&self) -> Option<BrokenFact> {
        match &self.state().broken.as_ref()?.fact {
            Fact::Broken(broken) => Some(broken.clone()),
            _ => None,
        }
    }

    /// The log so far.
    #[must_use]
    pub fn log(&self) -> Log {
        let state = self.state();
        Log::new(state.events.iter().map(|event| (**event).clone()).collect())
    }

    /// The first error in writing the log to its file, if there was one.
    #[must_use]
    pub fn take_write_error(&self) -> Option<std::io::Error> {
        self.state().write_error.take()
    }
}

fn write_line(file: &mut Option<BufWriter<File>>, event: &Event) -> std::io::Result<()> {
    let Some(file) = file else { return Ok(()) };
    serde_json::to_writer(&mut *file, event)?;
    file.write_all(b"\n")?;
    // Each line goes out at once: a run that is cut off leaves what it had.
    file.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Fact {
        Fact::ServerLog { line: text.into() }
    }

    #[tokio::test]
    async fn a_wait_sees_what_is_there_and_what_comes() {
        let recorder = Recorder::in_memory();
        recorder.record(line("first"));
        let waiting =
            {
                let recorder = recorder.clone();
                tokio::spawn(async move {
                    recorder
                    .wait(0, Duration::from_secs(10), "the second line", |event| {
                        matches!(&event.fact, Fact::ServerLog { line } if line == "second")
                    })
                    .await
                })
            };
        recorder.record(line("second"));
        let found = waiting.await.expect("no panic").expect("it came");
        assert_eq!(found.seq, 1);
    }

    #[tokio::test]
    async fn a_wait_names_what_did_not_come() {
        let recorder = Recorder::in_memory();
        let error = recorder
            .wait(0, Duration::from_millis(1), "a line", |_| false)
            .await
            .expect_err("nothing comes");
        assert!(error.to_string().contains("a line"), "{error}");
    }

    #[tokio::test]
    async fn a_broken_run_ends_every_wait() {
        let recorder = Recorder::in_memory();
        recorder.record(Fact::Broken(BrokenFact {
            component: "server".into(),
            reason: "the server exited".into(),
            last_lines: Vec::new(),
            worth_a_retry: true,
        }));
        let error = recorder
            .wait(0, Duration::from_secs(600), "a line", |_| false)
            .await
            .expect_err("the run broke");
        assert!(error.to_string().contains("the server exited"), "{error}");
    }

    #[test]
    fn a_log_written_is_a_log_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("evidence.jsonl");
        let recorder = Recorder::to_file(&path).expect("a file");
        recorder.record(line("first"));
        recorder.record_for("survivor", line("second"));
        let log = Log::read(&path).expect("readable");
        assert_eq!(log.events().len(), 2);
        assert_eq!(log.of("survivor").count(), 1);
    }
}

//! Writing a log while it is read.

use std::any::Any;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use serde::Serialize;
use thiserror::Error;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::fact::{BrokenFact, Event, FORMAT_VERSION, Fact};
use super::log::{Header, Log, MOST_BYTES};

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
    /// Nothing where the log is kept in memory only, or cannot be written any further.
    file: Option<LogFile>,
}

/// The file that a log goes to.
struct LogFile {
    path: PathBuf,
    writer: BufWriter<File>,
    /// How much was written so far, in bytes.
    written: u64,
    /// The most that may be.
    most: u64,
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
        Recorder::to_file_of(path, MOST_BYTES)
    }

    fn to_file_of(path: &Path, most: u64) -> std::io::Result<Recorder> {
        let mut file = LogFile {
            path: path.to_owned(),
            writer: BufWriter::new(File::create(path)?),
            written: 0,
            most,
        };
        file.write_line(&Header {
            gymcheck_evidence: FORMAT_VERSION,
        })?;
        Ok(Recorder::new(Some(file)))
    }

    /// A recorder that keeps its log in memory only.
    #[must_use]
    pub fn in_memory() -> Recorder {
        Recorder::new(None)
    }

    fn new(file: Option<LogFile>) -> Recorder {
        Recorder {
            shared: Arc::new(Shared {
                began: Instant::now(),
                state: Mutex::new(State {
                    events: Vec::new(),
                    broken: None,
                    file,
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
        let event = state.add(self.now(), player, fact);
        if let Some(broken) = state.write(&event) {
            state.add(self.now(), None, Fact::Broken(broken));
        }
        // Before anybody else can add: the number never goes back, and whoever has seen an event and waits
        // for what comes after it does not find that event again.
        self.shared.count.send_replace(state.events.len() as u64);
        event
    }

    /// Carries out `work`, a part of the run. A panic in it breaks the run; there is no outcome then.
    pub async fn guard<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        // What it leaves half-done is not looked at any more: the run is over.
        let outcome = AssertUnwindSafe(work).catch_unwind().await;
        outcome
            .map_err(|panic| {
                self.record(Fact::Broken(BrokenFact {
                    component: "harness".to_owned(),
                    reason: format!(
                        "gymcheck itself failed, which is a mistake in it: it panicked with `{}`; what it \
                         wrote on standard error says where",
                        words_of(panic.as_ref())
                    ),
                    last_lines: Vec::new(),
                    worth_a_retry: false,
                }));
            })
            .ok()
    }

    /// Carries out `work`, a part of the run, beside all else. A panic in it breaks the run.
    pub fn spawn<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<Option<T>> {
        let recorder = self.clone();
        tokio::spawn(async move { recorder.guard(work).await })
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

    /// Lets time pass, unless the run breaks.
    ///
    /// # Errors
    /// It is broken: then [`WaitError::Broken`], and never another one.
    pub async fn pass(&self, time: Duration, what: &str) -> Result<(), WaitError> {
        match self.wait(0, time, what, |_| false).await {
            Err(broken @ WaitError::Broken { .. }) => Err(broken),
            Ok(_) | Err(WaitError::Deadline { .. }) => Ok(()),
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
}

impl State {
    fn add(&mut self, now: f64, player: Option<String>, fact: Fact) -> Arc<Event> {
        let event = Arc::new(Event {
            seq: self.events.len() as u64,
            t: (now * 1000.0).round() / 1000.0,
            player,
            fact,
        });
        self.events.push(Arc::clone(&event));
        if matches!(event.fact, Fact::Broken(_)) {
            self.broken.get_or_insert_with(|| Arc::clone(&event));
        }
        event
    }

    /// Writes an event to the log's file. Why the run is broken, if it cannot be written; nothing is
    /// written any more then.
    fn write(&mut self, event: &Event) -> Option<BrokenFact> {
        let file = self.file.as_mut()?;
        let reason = match file.write_line(event) {
            Ok(()) if file.written <= file.most => return None,
            Ok(()) => format!(
                "the run left more than {} bytes of evidence in {}, which is more than is read again",
                file.most,
                file.path.display()
            ),
            Err(error) => format!(
                "cannot write the evidence {}: {error}; make room there, or give another folder with --out",
                file.path.display()
            ),
        };
        self.file = None;
        Some(BrokenFact {
            component: "environment".to_owned(),
            reason,
            last_lines: Vec::new(),
            worth_a_retry: false,
        })
    }
}

impl LogFile {
    fn write_line(&mut self, line: &impl Serialize) -> std::io::Result<()> {
        let mut line = serde_json::to_vec(line)?;
        line.push(b'\n');
        self.written += line.len() as u64;
        self.writer.write_all(&line)?;
        // Each line goes out at once: a run that is cut off leaves what it had.
        self.writer.flush()
    }
}

/// What somebody who panicked said.
fn words_of(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or(panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("something else than words")
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

    #[test]
    fn what_was_recorded_is_counted_whoever_else_records() {
        const EACH: usize = 50_000;
        let recorder = Recorder::in_memory();
        let record = || {
            let behind = |_: &usize| {
                let event = recorder.record(line("one of many"));
                recorder.len() <= event.seq
            };
            (0..EACH).filter(behind).count()
        };
        let behind = std::thread::scope(|threads| {
            let threads = [(); 4].map(|()| threads.spawn(record));
            threads.map(|thread| thread.join().expect("no panic"))
        });
        assert_eq!(behind, [0; 4], "what was recorded was not counted yet");
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

    #[test]
    fn evidence_that_cannot_be_written_breaks_the_run() {
        let recorder = Recorder::to_file(Path::new("/dev/full"));
        assert!(recorder.is_err(), "not even its beginning is there");
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("evidence.jsonl");
        let recorder = Recorder::to_file(&path).expect("a file");
        let full = File::options().write(true).open("/dev/full");
        let full = BufWriter::new(full.expect("it is there"));
        recorder.state().file.as_mut().expect("a file").writer = full;
        recorder.record(line("first"));
        recorder.record(line("second"));
        let broken = recorder.broken().expect("it is broken");
        assert!(
            broken.reason.contains("No space left on device"),
            "{broken:?}"
        );
        assert!(
            broken.reason.contains(&*path.to_string_lossy()),
            "{broken:?}"
        );
        assert!(broken.reason.contains("--out"), "{broken:?}");
        // It is told once, where it happened.
        assert_eq!(recorder.len(), 3);
    }

    #[test]
    fn evidence_without_an_end_breaks_the_run_and_can_be_read_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("evidence.jsonl");
        let recorder = Recorder::to_file_of(&path, 500).expect("a file");
        for _ in 0..20 {
            recorder.record(line(&"x".repeat(50)));
        }
        let broken = recorder.broken().expect("it is broken");
        assert!(broken.reason.contains("more than 500 bytes"), "{broken:?}");
        assert!(path.metadata().expect("it is there").len() < 700);
        assert_eq!(Log::read(&path).expect("readable").damage(), None);
    }

    #[tokio::test]
    async fn a_panic_breaks_the_run_with_its_words() {
        let recorder = Recorder::in_memory();
        assert_eq!(recorder.guard(async { 1 }).await, Some(1));
        assert_eq!(recorder.broken(), None);
        let panics = async { panic!("no {}", "way") };
        assert_eq!(recorder.guard::<()>(panics).await, None);
        let broken = recorder.broken().expect("it is broken");
        assert_eq!(broken.component, "harness");
        assert!(broken.reason.contains("`no way`"), "{broken:?}");
        assert!(!broken.worth_a_retry);
    }
}

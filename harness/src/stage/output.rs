//! What a process writes: line by line into its log, and to whoever listens, as far as anybody will read it.

use std::collections::VecDeque;
use std::fs::File;
use std::io::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncRead, BufReader};

/// How much of a process's output is kept, in bytes. No run needs as much; a target that writes without an
/// end must not fill the disk and the memory of the machine that tests it.
const MOST_KEPT: u64 = 4 << 20;

/// What a line counts for at least: each may leave an event in the evidence.
const LEAST_OF_A_LINE: u64 = 128;

/// The longest line that is kept, in characters; what is longer is cut.
const LONGEST_LINE: usize = 4000;

/// So many bytes hold the longest line, whatever is in it.
const LONGEST_READ: usize = 4 * LONGEST_LINE;

/// How many of its last lines are kept for telling why a process ended.
const LAST_LINES: usize = 25;

/// A line that a process wrote.
#[derive(Debug, Clone, Copy)]
pub struct Line<'a> {
    /// The line, without its end, and cut where it is too long. It is not empty.
    pub text: &'a str,
    /// Whether it is kept; those beyond what is kept are only shown.
    pub is_kept: bool,
}

/// What is kept of a process's output. Cheap to clone: all clones are one.
#[derive(Clone)]
pub(super) struct Output {
    state: Arc<Mutex<State>>,
}

struct State {
    log: File,
    kept: u64,
    left_out: LeftOut,
    last_lines: VecDeque<String>,
}

#[derive(Default)]
struct LeftOut {
    lines: u64,
    bytes: u64,
}

/// What was read of a process's output.
enum Piece {
    /// A line, or the beginning of one that is too long.
    Line,
    /// So many bytes of the rest of a line that is too long.
    Rest(u64),
}

impl Output {
    /// An output whose log is this file.
    pub(super) fn new(log: File) -> Output {
        let state = State {
            log,
            kept: 0,
            left_out: LeftOut::default(),
            last_lines: VecDeque::new(),
        };
        Output {
            state: Arc::new(Mutex::new(state)),
        }
    }

    /// The last lines.
    pub(super) fn last_lines(&self) -> Vec<String> {
        self.state().last_lines.iter().cloned().collect()
    }

    /// Reads to the end of one of the process's pipes. `on_line` gets each line, and `on_full` is called once,
    /// with what is to be said of it, when there is more than is kept.
    pub(super) async fn read(
        self,
        pipe: impl AsyncRead + Unpin,
        on_line: impl Fn(Line<'_>),
        on_full: impl Fn(String),
    ) {
        let mut reader = BufReader::new(pipe);
        let mut bytes = Vec::new();
        let mut is_in_a_line = false;
        while let Some(piece) = next(&mut reader, &mut bytes, &mut is_in_a_line).await {
            if let Piece::Rest(length) = piece {
                self.state().left_out.bytes += length;
                continue;
            }
            let text = String::from_utf8_lossy(&bytes);
            let text: String = text.trim_end().chars().take(LONGEST_LINE).collect();
            // It says nothing. What tells of the target from inside begins with one: its line is one then,
            // whatever the target wrote before.
            if text.is_empty() {
                continue;
            }
            let (is_kept, is_full_now) = self.state().take(&text);
            if is_full_now {
                on_full(format!(
                    "it has written more than {} MiB; what it writes from here on is left out",
                    MOST_KEPT >> 20
                ));
            }
            on_line(Line {
                text: &text,
                is_kept,
            });
        }
    }

    /// Says in the log how much was left out, and gives that; nothing if all is there.
    pub(super) fn finish(&self) -> Option<String> {
        let mut state = self.state();
        let LeftOut { lines, bytes } = state.left_out;
        if bytes == 0 {
            return None;
        }
        let said = format!("{bytes} bytes of its output were left out, {lines} whole lines of it");
        state.note(&said);
        Some(said)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Takes a line. Gives whether it is kept, and whether it is the first that is not.
    fn take(&mut self, text: &str) -> (bool, bool) {
        if self.last_lines.len() == LAST_LINES {
            self.last_lines.pop_front();
        }
        self.last_lines.push_back(text.to_owned());
        let was_full = self.kept > MOST_KEPT;
        if !was_full {
            self.kept += (text.len() as u64).max(LEAST_OF_A_LINE);
        }
        let is_full = self.kept > MOST_KEPT;
        if is_full {
            self.left_out.lines += 1;
            self.left_out.bytes += text.len() as u64 + 1;
        } else {
            // The log is for people; the evidence is what counts.
            let _ = writeln!(self.log, "{text}");
        }
        if is_full && !was_full {
            self.note("what comes from here on is left out");
        }
        (!is_full, is_full && !was_full)
    }

    fn note(&mut self, said: &str) {
        let _ = writeln!(self.log, "gymcheck: {said}");
    }
}

/// The next piece of an output, a line in `bytes`; nothing at its end. `is_in_a_line` is whether the last one
/// was the beginning of a line that is too long.
async fn next(
    reader: &mut (impl AsyncBufRead + Unpin),
    bytes: &mut Vec<u8>,
    is_in_a_line: &mut bool,
) -> Option<Piece> {
    bytes.clear();
    loop {
        let there = reader.fill_buf().await.ok()?;
        if there.is_empty() {
            return (!bytes.is_empty()).then_some(Piece::Line);
        }
        let end = there.iter().position(|byte| *byte == b'\n');
        let line = &there[..end.unwrap_or(there.len())];
        if *is_in_a_line {
            let length = line.len();
            reader.consume(length + usize::from(end.is_some()));
            *is_in_a_line = end.is_none();
            return Some(Piece::Rest(length as u64));
        }
        let room = LONGEST_READ - bytes.len();
        let is_too_long = line.len() > room;
        let taken = line.len().min(room);
        bytes.extend_from_slice(&line[..taken]);
        let is_whole = end.is_some() && !is_too_long;
        reader.consume(taken + usize::from(is_whole));
        *is_in_a_line = is_too_long;
        if is_whole || is_too_long {
            return Some(Piece::Line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is left of an output: the lines that were shown, each with whether it is kept; what was said when
    /// it was full; what was said in the end; and the log.
    struct Left {
        lines: Vec<(String, bool)>,
        full: Vec<String>,
        end: Option<String>,
        log: String,
    }

    async fn left_of(output: impl AsyncRead + Unpin) -> Left {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let kept = Output::new(file.reopen().expect("the file"));
        let (lines, full) = (Mutex::default(), Mutex::default());
        let on_line = |line: Line<'_>| {
            let lines: &Mutex<Vec<_>> = &lines;
            lines
                .lock()
                .unwrap()
                .push((line.text.to_owned(), line.is_kept));
        };
        let on_full = |said| {
            let full: &Mutex<Vec<_>> = &full;
            full.lock().unwrap().push(said);
        };
        kept.clone().read(output, on_line, on_full).await;
        Left {
            end: kept.finish(),
            lines: lines.into_inner().unwrap(),
            full: full.into_inner().unwrap(),
            log: std::fs::read_to_string(file.path()).expect("the file"),
        }
    }

    #[tokio::test]
    async fn each_line_is_shown_and_kept_and_empty_ones_are_not() {
        let left = left_of(&b"one\r\n\n  two\nthree"[..]).await;
        let texts: Vec<&str> = left.lines.iter().map(|(text, _)| text.as_str()).collect();
        assert_eq!(texts, ["one", "  two", "three"]);
        assert_eq!(left.log, "one\n  two\nthree\n");
        assert!(left.full.is_empty() && left.end.is_none());
    }

    #[tokio::test]
    async fn a_line_without_an_end_is_cut_and_takes_no_memory() {
        let long = "ü".repeat(3 * LONGEST_READ);
        let text = format!("{long}\nshort\n");
        let left = left_of(text.as_bytes()).await;
        let lengths: Vec<usize> = left
            .lines
            .iter()
            .map(|(text, _)| text.chars().count())
            .collect();
        assert_eq!(lengths, [LONGEST_LINE, "short".len()]);
        let rest = 2 * 3 * LONGEST_READ - LONGEST_READ;
        let said = left.end.expect("something is left out");
        assert!(said.starts_with(&format!("{rest} bytes")), "{said}");
    }

    #[tokio::test]
    async fn what_is_too_much_is_shown_and_not_kept_and_the_log_says_so() {
        let many = "a line\n".repeat(40_000) + "the last line\n";
        let left = left_of(many.as_bytes()).await;
        assert_eq!(left.lines.len(), 40_001);
        let kept = left.lines.iter().filter(|(_, is_kept)| *is_kept).count();
        assert_eq!(kept as u64, MOST_KEPT / LEAST_OF_A_LINE);
        assert_eq!(left.full.len(), 1);
        let log: Vec<&str> = left.log.lines().collect();
        assert_eq!(log.len(), kept + 2);
        assert_eq!(log[kept], "gymcheck: what comes from here on is left out");
        let said = left.end.expect("something is left out");
        assert_eq!(log[kept + 1], format!("gymcheck: {said}"));
        assert!(
            said.contains(&format!("{} whole lines", 40_001 - kept)),
            "{said}"
        );
    }
}

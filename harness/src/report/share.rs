//! A run, or all runs of a call, packed for sending to somebody: what participants typed, who they are
//! and what their pages' consoles say is masked, unless it is asked for. The codes with which they are paid are
//! masked always.
//!
//! What is masked is replaced by the same word each time (`answer-0003`, `subject-0001`), so that the evidence
//! is judged as before. The reports in the archive are written from the masked evidence, and from what only the
//! results of the call tell, masked as well.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde_json::Value;
use thiserror::Error;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::defects::defects;
use super::files::{ReportError, SIDES, read_results, write_reports, write_results};
use super::rejudge::{RejudgeError, every_log_below, logs_below, results_again};
use super::results::Results;
use crate::evidence::EVIDENCE;
use crate::provision::scratches;
use crate::spec::Catalogue;

/// What is not masked.
#[derive(Debug, Clone, Copy, Default)]
pub struct Shown {
    /// What was typed into forms.
    pub answers: bool,
    /// The ids of participants.
    pub subjects: bool,
    /// The text of the pages' consoles.
    pub console: bool,
    /// Screenshots: answers may be seen on them.
    pub pictures: bool,
}

/// What was packed.
#[derive(Debug)]
pub struct Packed {
    /// How many runs.
    pub runs: usize,
    /// How many different things of each kind were masked, in words.
    pub masked: Vec<String>,
    /// How many pictures were left out.
    pub pictures_left_out: usize,
    /// How many logs of servers and drivers were left out, since the run's evidence is cut off: whom they name
    /// beyond it, nobody knows.
    pub logs_left_out: usize,
    /// Runs that cannot be judged: in the archive's reports they are broken.
    pub not_judged: Vec<RejudgeError>,
}

/// Why nothing was packed.
#[derive(Debug, Error)]
pub enum ShareError {
    /// A file cannot be read or written.
    #[error("cannot read or write {}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The folder holds no run.
    #[error(
        "{} holds no {EVIDENCE}: give a run's folder, or the one that `gymcheck run --out` wrote",
        .path.display()
    )]
    Nothing {
        /// The folder.
        path: PathBuf,
    },
    /// The archive is there already.
    #[error("{} is there already: give another name with --to, or remove it", .path.display())]
    Exists {
        /// The archive.
        path: PathBuf,
    },
    /// The reports cannot be written.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// The archive cannot be written.
    #[error("cannot write the archive")]
    Zip(#[from] zip::result::ZipError),
}

/// Packs a folder into a zip.
///
/// # Errors
/// A file cannot be read or written, or the folder holds no run.
pub fn share(
    catalogue: &Catalogue,
    folder: &Path,
    to: &Path,
    shown: Shown,
) -> Result<Packed, ShareError> {
    if to.exists() {
        return Err(ShareError::Exists {
            path: to.to_owned(),
        });
    }
    let logs = logs_below(folder).map_err(at(folder))?;
    if logs.is_empty() {
        return Err(ShareError::Nothing {
            path: folder.to_owned(),
        });
    }
    let masked = tempfile::tempdir().map_err(at(&std::env::temp_dir()))?;
    let mut masks = Masks::new(shown);
    // What broke earlier attempts is in the results.
    for log in every_log_below(folder).map_err(at(folder))? {
        masks.learn(&log)?;
    }
    for log in &logs {
        let run = log.parent().unwrap_or(folder);
        let below = run.strip_prefix(folder).unwrap_or(run);
        let place = match below.components().next() {
            Some(first) if SIDES.iter().any(|side| first.as_os_str() == *side) => below.to_owned(),
            _ => Path::new(SIDES[0]).join(if below.as_os_str().is_empty() {
                Path::new("run")
            } else {
                below
            }),
        };
        masks.copy_run(run, &masked.path().join(place))?;
    }
    masks.copy_results(folder, masked.path())?;
    let (mut results, not_judged) =
        results_again(catalogue, masked.path()).map_err(at(masked.path()))?;
    for specs in results.runs.iter_mut().filter_map(|run| run.specs.as_mut()) {
        *specs = "<specs>".into();
    }
    results.defects = defects(&results.runs, &results.targets);
    write_reports(&results, masked.path())?;
    pack(masked.path(), to)?;
    Ok(Packed {
        runs: logs.len(),
        masked: masks.in_words(),
        pictures_left_out: masks.pictures_left_out,
        logs_left_out: masks.logs_left_out,
        not_judged,
    })
}

fn at(path: &Path) -> impl Fn(io::Error) -> ShareError {
    move |source| ShareError::Io {
        path: path.to_owned(),
        source,
    }
}

/// What stands for what was masked.
struct Masks {
    shown: Shown,
    /// By the text that was typed.
    answers: BTreeMap<String, String>,
    subjects: BTreeMap<String, String>,
    /// With which participants are paid.
    codes: BTreeMap<String, String>,
    /// Folders of the machine, and its name.
    machine: BTreeMap<String, &'static str>,
    console_lines: usize,
    /// The runs' folders whose evidence was not learned from to its end.
    cut_off: BTreeSet<PathBuf>,
    pictures_left_out: usize,
    logs_left_out: usize,
}

impl Masks {
    fn new(shown: Shown) -> Masks {
        let mut machine = BTreeMap::new();
        let mut add = |text: Option<String>, mask| {
            let text = text.map(|text| text.trim().to_owned());
            if let Some(text) = text.filter(|text| text.len() > 3 && text != "localhost") {
                machine.insert(text, mask);
            }
        };
        add(std::env::var("HOME").ok(), "<home>");
        add(std::env::var("GYMCHECK_HOME").ok(), "<gymcheck-home>");
        add(
            std::env::current_dir()
                .ok()
                .map(|path| path.display().to_string()),
            "<folder>",
        );
        for folder in scratches() {
            let stage = folder.join("gymcheck-");
            add(Some(stage.display().to_string()), "<stage>-");
        }
        add(
            std::fs::read_to_string("/proc/sys/kernel/hostname").ok(),
            "<host>",
        );
        Masks {
            shown,
            answers: BTreeMap::new(),
            subjects: BTreeMap::new(),
            codes: BTreeMap::new(),
            machine,
            console_lines: 0,
            cut_off: BTreeSet::new(),
            pictures_left_out: 0,
            logs_left_out: 0,
        }
    }

    /// Learns from a log what must be masked wherever it occurs.
    fn learn(&mut self, log: &Path) -> Result<(), ShareError> {
        let mut is_whole = false;
        each_line(log, |mut value| {
            is_whole = value.get("kind").is_some_and(|kind| kind == "finished");
            self.learn_subjects(&value);
            self.learn_codes(&value);
            self.mask_answers(&mut value);
            if let Some(path) = value.pointer("/target_facts/path").and_then(Value::as_str) {
                self.machine.insert(path.to_owned(), "<target>");
            }
        })?;
        if !is_whole {
            let folder = log.parent().unwrap_or(log);
            self.cut_off.insert(folder.to_owned());
        }
        Ok(())
    }

    /// Learns the ids of participants: wherever a field of that name stands, and from the addresses of
    /// pages, whose last part is the id. A page may be gone before it has told whose it is.
    fn learn_subjects(&mut self, value: &Value) {
        if self.shown.subjects {
            return;
        }
        if value.get("event").is_some_and(|event| event == "hello")
            && let Some(url) = value.get("url").and_then(Value::as_str)
            && let Ok(url) = url::Url::parse(url)
            && let Some(last) = url.path_segments().and_then(|mut parts| parts.next_back())
        {
            self.add_subject(last);
        }
        self.learn_fields(value);
    }

    fn learn_fields(&mut self, value: &Value) {
        match value {
            Value::Object(fields) => {
                for (name, inner) in fields {
                    match (name.as_str(), inner) {
                        ("subject_id" | "subjectName" | "subject_name", Value::String(id)) => {
                            self.add_subject(id);
                        }
                        ("player_subjects", Value::Object(subjects)) => {
                            for id in subjects.values().filter_map(Value::as_str) {
                                self.add_subject(id);
                            }
                        }
                        _ => self.learn_fields(inner),
                    }
                }
            }
            Value::Array(elements) => elements.iter().for_each(|one| self.learn_fields(one)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    /// Learns the codes that the client gives to participants: they stand in fields of that name, and in
    /// overlays and on consoles after these words.
    fn learn_codes(&mut self, value: &Value) {
        match value {
            Value::Object(fields) => {
                for (name, inner) in fields {
                    match (name.as_str(), inner) {
                        ("completion_code" | "completionCode", Value::String(code)) => {
                            self.add_code(code);
                        }
                        _ => self.learn_codes(inner),
                    }
                }
            }
            Value::Array(elements) => elements.iter().for_each(|one| self.learn_codes(one)),
            Value::String(text) => codes_in(text).for_each(|code| self.add_code(code)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn add_code(&mut self, code: &str) {
        if code.len() > 4 {
            let number = self.codes.len() + 1;
            let known = self.codes.entry(code.to_owned());
            known.or_insert_with(|| format!("code-{number:04}"));
        }
    }

    /// An id that is too short to be told from other words is none that a platform would give.
    fn add_subject(&mut self, id: &str) {
        if id.len() > 4 {
            let number = self.subjects.len() + 1;
            let known = self.subjects.entry(id.to_owned());
            known.or_insert_with(|| format!("subject-{number:04}"));
        }
    }

    /// Masks what was typed, where it stands for itself.
    fn mask_answers(&mut self, value: &mut Value) {
        if self.shown.answers {
            return;
        }
        let kind = value
            .get("kind")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let place = match kind {
            "action" => "/value",
            "data_file" if value.get("what").is_some_and(|what| what == "answers") => "/rows",
            "wire" if event_name(value) == Some("static_scene_data_emission") => {
                "/packet/args/0/data"
            }
            _ => return,
        };
        if let Some(answers) = value.pointer_mut(place) {
            self.mask_leaves(answers);
        }
    }

    fn mask_leaves(&mut self, value: &mut Value) {
        let text = match value {
            Value::Null | Value::Bool(_) => return,
            Value::Array(elements) => {
                return elements.iter_mut().for_each(|one| self.mask_leaves(one));
            }
            Value::Object(fields) => {
                return fields.values_mut().for_each(|one| self.mask_leaves(one));
            }
            Value::Number(number) => number.to_string(),
            Value::String(text) => text.clone(),
        };
        if text.is_empty() {
            return;
        }
        let number = self.answers.len() + 1;
        let mask = self.answers.entry(text);
        *value = Value::from(
            mask.or_insert_with(|| format!("answer-{number:04}"))
                .clone(),
        );
    }

    fn mask_console(&mut self, value: &mut Value) {
        let kind = value
            .get("kind")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let is_console = kind == "page" && value.get("event").is_some_and(|one| one == "console");
        let place = match event_name(value) {
            _ if is_console => "/text",
            Some("client_console_log") => "/packet/args",
            _ => return,
        };
        if self.shown.console {
            return;
        }
        if let Some(text) = value.pointer_mut(place) {
            *text = match text {
                Value::Array(_) => serde_json::json!([{"message": MASKED}]),
                _ => Value::from(MASKED),
            };
            self.console_lines += 1;
        }
    }

    /// Replaces everywhere in a text what may be anywhere.
    fn mask_text(&self, text: &str) -> String {
        let typed = self
            .answers
            .iter()
            .map(|(text, mask)| (text, mask.as_str()));
        // A short number may be anything: it is masked only where it was typed.
        let typed = typed.filter(|(text, _)| text.chars().count() > 4);
        let subjects = self
            .subjects
            .iter()
            .map(|(text, mask)| (text, mask.as_str()));
        let codes = self.codes.iter().map(|(text, mask)| (text, mask.as_str()));
        let machine = self.machine.iter().map(|(text, mask)| (text, *mask));
        let all = subjects.chain(typed).chain(codes).chain(machine);
        let mut all: Vec<(&String, &str)> = all.collect();
        // What holds another one goes first.
        all.sort_by_key(|(text, _)| std::cmp::Reverse(text.len()));
        let mut masked = text.to_owned();
        for (text, mask) in all {
            masked = masked.replace(text.as_str(), mask);
            for written in escaped(text) {
                masked = masked.replace(&written, mask);
            }
        }
        masked
    }

    /// The same for every text in an event: what was typed must not be taken for JSON.
    fn mask_strings(&self, value: &mut Value) {
        match value {
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
            Value::String(text) => *text = self.mask_text(text),
            Value::Array(elements) => elements.iter_mut().for_each(|one| self.mask_strings(one)),
            Value::Object(fields) => {
                let masked = std::mem::take(fields).into_iter().map(|(key, mut one)| {
                    self.mask_strings(&mut one);
                    (self.mask_text(&key), one)
                });
                *fields = masked.collect();
            }
        }
    }

    /// Copies a run's folder, masked.
    fn copy_run(&mut self, run: &Path, to: &Path) -> Result<(), ShareError> {
        std::fs::create_dir_all(to).map_err(at(to))?;
        for entry in std::fs::read_dir(run).map_err(at(run))? {
            let path = entry.map_err(at(run))?.path();
            let Some(name) = path.file_name() else {
                continue;
            };
            let target = to.join(name);
            match path.extension().and_then(|one| one.to_str()) {
                Some("jsonl") => self.copy_log(&path, &target)?,
                // Browsers write what their consoles say into the drivers' logs.
                Some("log") if is_of_driver(name) && !self.shown.console => {}
                Some("log") if self.cut_off.contains(run) => self.logs_left_out += 1,
                Some("log") => {
                    let bytes = std::fs::read(&path).map_err(at(&path))?;
                    let text = self.mask_text(&String::from_utf8_lossy(&bytes));
                    std::fs::write(&target, text).map_err(at(&target))?;
                }
                Some("png") if self.shown.pictures => {
                    std::fs::copy(&path, &target).map_err(at(&path))?;
                }
                Some("png") => self.pictures_left_out += 1,
                // The trace is written anew, and nothing else is known to be safe.
                _ => {}
            }
        }
        Ok(())
    }

    /// Copies the results of the call, if the folder has them: what was not carried out, or what a sweep has
    /// found, is in no evidence.
    fn copy_results(&self, folder: &Path, to: &Path) -> Result<(), ShareError> {
        let Ok(mut results) = read_results(folder) else {
            return Ok(());
        };
        let attempts = results
            .runs
            .iter_mut()
            .flat_map(|run| &mut run.broken_attempts);
        // In what a driver said last, consoles may speak.
        attempts.for_each(|broken| broken.last_lines.clear());
        let masked = serde_json::to_value(&results).and_then(|mut value| {
            self.mask_strings(&mut value);
            serde_json::from_value(value)
        });
        let masked: Results = masked.map_err(io::Error::from).map_err(at(folder))?;
        write_results(&masked, to)?;
        Ok(())
    }

    fn copy_log(&mut self, from: &Path, to: &Path) -> Result<(), ShareError> {
        let mut lines = String::new();
        each_line(from, |mut value| {
            self.mask_answers(&mut value);
            self.mask_console(&mut value);
            self.mask_strings(&mut value);
            lines.push_str(&value.to_string());
            lines.push('\n');
        })?;
        std::fs::write(to, lines).map_err(at(to))
    }

    fn in_words(&self) -> Vec<String> {
        let kinds = [
            (self.answers.len(), "different answers"),
            (self.subjects.len(), "participants' ids"),
            (self.codes.len(), "completion codes"),
            (self.console_lines, "lines of consoles"),
        ];
        let masked = kinds.into_iter().filter(|(count, _)| *count > 0);
        masked
            .map(|(count, what)| format!("{count} {what}"))
            .collect()
    }
}

/// What stands for a text of which nobody needs to know whether it is the same as another.
const MASKED: &str = "<masked>";

fn is_of_driver(name: &std::ffi::OsStr) -> bool {
    name.to_string_lossy().starts_with("driver-")
}

/// A text as logs quote it: in JSON, with and without escapes for what is not ASCII, and in Python.
fn escaped(text: &str) -> [String; 3] {
    let quoted = Value::from(text).to_string();
    let json = quoted[1..quoted.len() - 1].to_owned();
    let ascii = json.chars().map(|one| match one.is_ascii() {
        true => one.to_string(),
        false => {
            let mut units = [0; 2];
            let units = one.encode_utf16(&mut units).iter();
            units.map(|unit| format!("\\u{unit:04x}")).collect()
        }
    });
    let python = text.chars().map(|one| match u32::from(one) {
        0..=0x7f => one.to_string(),
        code @ 0x80..=0xff => format!("\\x{code:02x}"),
        code @ 0x100..=0xffff => format!("\\u{code:04x}"),
        code => format!("\\U{code:08x}"),
    });
    let (ascii, python) = (ascii.collect(), python.collect());
    [json, ascii, python]
}

/// The completion codes in a text, or what is left of them where it was cut: what looks like a UUID after
/// these words.
fn codes_in(text: &str) -> impl Iterator<Item = &str> {
    const WORDS: &str = "completion code";
    let at = text.to_ascii_lowercase().find(WORDS);
    let after = at.map_or("", |at| &text[at + WORDS.len()..]);
    let pieces = after.split(|one: char| one != '-' && !one.is_ascii_hexdigit());
    pieces.filter(|piece| begins_a_uuid(piece))
}

/// Whether it is a UUID, or its beginning as far as the first dash at least.
fn begins_a_uuid(text: &str) -> bool {
    let is_dash = |at: usize| [8, 13, 18, 23].contains(&at);
    let mut bytes = text.bytes().enumerate();
    (9..=36).contains(&text.len()) && bytes.all(|(at, byte)| (byte == b'-') == is_dash(at))
}

/// The name of the Socket.IO event that an event of the log tells of.
fn event_name(value: &Value) -> Option<&str> {
    value.pointer("/packet/name")?.as_str()
}

/// Goes through a log, as far as it can be read: in what comes after that, nobody knows what to mask.
fn each_line(log: &Path, mut with: impl FnMut(Value)) -> Result<(), ShareError> {
    let bytes = std::fs::read(log).map_err(at(log))?;
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        match serde_json::from_slice(line) {
            Ok(value) if line.ends_with(b"\n") => with(value),
            _ => break,
        }
    }
    Ok(())
}

/// Packs all files below a folder, in the order of their paths.
fn pack(folder: &Path, to: &Path) -> Result<(), ShareError> {
    let mut files = BTreeSet::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).map_err(at(&folder))? {
            let path = entry.map_err(at(&folder))?.path();
            match path.is_dir() {
                true => folders.push(path),
                false => drop(files.insert(path)),
            }
        }
    }
    let mut archive = ZipWriter::new(File::create(to).map_err(at(to))?);
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
    for path in files {
        let below = path.strip_prefix(folder).unwrap_or(&path);
        archive.start_file_from_path(Path::new("gymcheck").join(below), options)?;
        let bytes = std::fs::read(&path).map_err(at(&path))?;
        archive.write_all(&bytes).map_err(at(to))?;
    }
    archive.finish()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_found_after_their_words_also_where_the_text_is_cut() {
        let code = "688cdd19-8e81-455b-b6b5-e7edcde45fcc";
        let found = |text: &str| codes_in(text).map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(
            found(&format!("Your completion code is: {code} Please")),
            [code]
        );
        assert_eq!(
            found(&format!("Completion code: {code}, Reason: x")),
            [code]
        );
        assert_eq!(
            found(&format!("Your completion code is:</p><h2>{code}</h2>")),
            [code]
        );
        assert_eq!(found("completion code is: 688cdd19-8e8…"), ["688cdd19-8e8"]);
        assert_eq!(found(&format!("{code} is no completion code")), [""; 0]);
        assert_eq!(
            found("completion code is: added, 12345678 or 2026-01-02"),
            [""; 0]
        );
    }

    #[test]
    fn codes_are_learned_from_their_fields_too() {
        let mut masks = Masks::new(Shown::default());
        let event = serde_json::json!({
            "packet": { "name": "waitroom_timeout_completion", "args": [{ "completion_code": "PAID-77" }] },
        });
        masks.learn_codes(&event);
        assert_eq!(masks.mask_text("it was PAID-77"), "it was code-0001");
    }
}

//! `report.html`: one file that needs nothing else, for somebody who has five minutes.
//!
//! First the answer, then each run with its timeline. What belongs to a run is packed
//! (deflate, base64) and unpacked by the page when the run is opened, so that a thousand runs still
//! open. All that runs bring with them is escaped; the page may load nothing from anywhere but the
//! pictures in the runs' folders.

pub(super) mod answer;
mod logs;
mod pictures;
mod run;
mod spent;
mod sweep;

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::ZlibEncoder;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest, Sha256};

use super::results::Results;
use crate::evidence::{Log, LogError};
use crate::run::RunRecord;
use crate::verdict::Verdict;
use pictures::Pictures;

const STYLE: &str = include_str!("report.css");
const SCRIPT: &str = include_str!("report.js");

/// The page in the making: the runs are added to it, and then it is written.
pub(super) struct Page<'a> {
    results: &'a Results,
    out: PathBuf,
    /// The runs in the order in which the page shows them, by their index in the results.
    order: Vec<usize>,
    /// What was packed of each, by that index.
    packed: BTreeMap<usize, String>,
    pictures: Pictures,
}

impl<'a> Page<'a> {
    /// A page of these results. The runs' folders are below `out`.
    pub(super) fn new(results: &'a Results, out: &Path) -> Page<'a> {
        Page {
            results,
            out: out.to_owned(),
            order: order(results),
            packed: BTreeMap::new(),
            pictures: Pictures::new(out),
        }
    }

    /// The folders of all that was played, each with the runs that were judged by it, the most
    /// interesting first.
    pub(super) fn played(&self) -> Vec<(PathBuf, Vec<usize>)> {
        let mut played: Vec<(PathBuf, Vec<usize>)> = Vec::new();
        let mut known: HashMap<PathBuf, usize> = HashMap::new();
        for index in &self.order {
            let folder = folder_of(&self.results.runs[*index], &self.out);
            let at = *known.entry(folder.clone()).or_insert(played.len());
            if at == played.len() {
                played.push((folder, Vec::new()));
            }
            played[at].1.push(*index);
        }
        played
    }

    /// Adds a run. What cannot be read of it is said in the page.
    pub(super) fn add(&mut self, index: usize, log: &Result<Log, LogError>, folder: &Path) {
        let (results, record) = (self.results, &self.results.runs[index]);
        let details = run::details(results, record, log, folder, &mut self.pictures);
        self.packed.insert(index, pack(&details));
    }

    /// Writes the page.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) fn write(&self, page: &mut impl Write) -> io::Result<()> {
        let results = self.results;
        let head = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta http-equiv="Content-Security-Policy" content=(policy());
                    title { (answer::title(results)) }
                    style { (PreEscaped(STYLE)) }
                }
            }
        };
        // The parts are written one after the other: all of them together may be large.
        let head = head.into_string();
        let (before, _) = head.split_at(head.len() - "</html>".len());
        write!(page, "{before}<body>")?;
        let top = answer::page_top(results, &self.order);
        write!(page, "{}", top.into_string())?;
        for index in &self.order {
            write!(page, "{}", self.run(*index).into_string())?;
        }
        write!(page, "{}", page_end(&self.pictures).into_string())?;
        write!(page, "</body></html>")
    }

    /// A run that is closed, and what the page unpacks when it is opened.
    fn run(&self, index: usize) -> Markup {
        let record = &self.results.runs[index];
        let is_first = self.order.first() == Some(&index);
        let is_open = is_first && interest(self.results, record) < Interest::Mutant;
        let packed = self.packed.get(&index).map_or("", String::as_str);
        html! {
            details.run id={ "run-" (index) } open[is_open]
                data-verdict=(answer::class(record.verdict))
                data-text=(run::search_text(record)) {
                (run::summary(record))
                div.body {
                    p.hint { "Opening…" }
                    noscript {
                        p { "What happened is drawn by this page's script. The evidence is in "
                            code { (record.folder.display()) } "." }
                    }
                }
                script type="application/x-packed" { (PreEscaped(packed)) }
            }
        }
    }
}

/// What the page may do: run its own script, use its own style, show its own pictures and those that
/// lie beside it.
fn policy() -> String {
    let script = STANDARD.encode(Sha256::digest(SCRIPT));
    format!(
        "default-src 'none'; script-src 'sha256-{script}'; style-src 'unsafe-inline'; \
         img-src data: file: 'self'; base-uri 'none'; form-action 'none'"
    )
}

/// How much somebody wants to see a run: what is not as expected first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Interest {
    /// A verdict that nobody expected.
    Unexpected,
    /// It decided nothing.
    Broken,
    /// A known defect of the target was seen, or what fails on a target that another one is compared
    /// with.
    Known,
    /// A mutant's run, judged by the kill matrix.
    Mutant,
    /// As expected.
    Expected,
}

pub(super) fn interest(results: &Results, run: &RunRecord) -> Interest {
    if run.mutant.is_some() {
        return Interest::Mutant;
    }
    match run.verdict {
        Verdict::Broken => Interest::Broken,
        _ if run.is_unexpected() && !results.is_measure(run) => Interest::Unexpected,
        Verdict::Pass | Verdict::NotApplicable => Interest::Expected,
        Verdict::Fail | Verdict::Vacuous | Verdict::Unstable => Interest::Known,
    }
}

/// The runs in the order in which the page shows them: of those that are as interesting, the ones that
/// speak against the target first, and each played run by the spec that it was played for.
fn order(results: &Results) -> Vec<usize> {
    let mut order: Vec<usize> = (0..results.runs.len()).collect();
    order.sort_by_key(|index| {
        let run = &results.runs[*index];
        let for_itself = run.folder.to_string_lossy().contains(&run.spec);
        let is_against = run.verdict == Verdict::Fail;
        (interest(results, run), !is_against, !for_itself)
    });
    order
}

/// A run's folder: below `out`, or where the evidence that was judged lies.
pub(super) fn folder_of(run: &RunRecord, out: &Path) -> PathBuf {
    let folder = out.join(&run.folder);
    match folder.is_file() {
        true => folder.parent().map(Path::to_path_buf).unwrap_or(folder),
        false => folder,
    }
}

/// As JSON: deflate (with zlib's header), then base64.
fn pack(details: &run::Details) -> String {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    // It is written to memory, and all of it can be said in JSON.
    let written = serde_json::to_writer(&mut encoder, details).map_err(io::Error::from);
    let packed = written.and_then(|()| encoder.finish());
    STANDARD.encode(packed.unwrap_or_default())
}

fn page_end(pictures: &Pictures) -> Markup {
    html! {
        p #no-match hidden { "No run matches." }
        button #more type="button" hidden { "Show all runs" }
        footer {
            "Written by gymcheck " (env!("CARGO_PKG_VERSION")) ". "
            code { "results.json" } " holds the same for machines, " code { "junit.xml" }
            " for CI systems; each run's folder holds its evidence, logs and pictures."
        }
        @for (name, data) in pictures.embedded() {
            script type="text/plain" class="picture" data-name=(name) { (PreEscaped(data)) }
        }
        script { (PreEscaped(SCRIPT)) }
    }
}

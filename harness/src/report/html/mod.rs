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

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::ZlibEncoder;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest, Sha256};

use super::results::Results;
use crate::evidence::{EVIDENCE, Log};
use crate::run::RunRecord;
use crate::verdict::Verdict;
use pictures::Pictures;

const STYLE: &str = include_str!("report.css");
const SCRIPT: &str = include_str!("report.js");

/// Writes the page. The runs' folders are below `out`.
///
/// # Errors
/// It cannot be written. What cannot be read of a run is said in the page.
pub(super) fn write_html(results: &Results, out: &Path, page: &mut impl Write) -> io::Result<()> {
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
    let order = order(&results.runs);
    write!(page, "{}", answer::page_top(results, &order).into_string())?;
    let mut pictures = Pictures::new(out);
    for (position, index) in order.iter().enumerate() {
        let run = PackedRun {
            results,
            index: *index,
            is_first: position == 0,
        };
        write!(page, "{}", run.markup(out, &mut pictures)?.into_string())?;
    }
    write!(page, "{}", page_end(&pictures).into_string())?;
    write!(page, "</body></html>")
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
    /// A known defect of the target was seen.
    Known,
    /// A mutant's run, judged by the kill matrix.
    Mutant,
    /// As expected.
    Expected,
}

pub(super) fn interest(run: &RunRecord) -> Interest {
    if run.mutant.is_some() {
        return Interest::Mutant;
    }
    match run.verdict {
        Verdict::Broken => Interest::Broken,
        _ if run.is_unexpected() => Interest::Unexpected,
        Verdict::Pass | Verdict::NotApplicable => Interest::Expected,
        Verdict::Fail | Verdict::Vacuous | Verdict::Unstable => Interest::Known,
    }
}

/// The runs in the order in which the page shows them: of those that are as interesting, the ones that
/// speak against the target first, and each played run by the spec that it was played for.
fn order(runs: &[RunRecord]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..runs.len()).collect();
    order.sort_by_key(|index| {
        let run = &runs[*index];
        let for_itself = run.folder.to_string_lossy().contains(&run.spec);
        (interest(run), run.verdict != Verdict::Fail, !for_itself)
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

/// A run, as the page holds it.
struct PackedRun<'a> {
    results: &'a Results,
    index: usize,
    is_first: bool,
}

impl PackedRun<'_> {
    fn markup(&self, out: &Path, pictures: &mut Pictures) -> io::Result<Markup> {
        let record = &self.results.runs[self.index];
        let folder = folder_of(record, out);
        let log = Log::read(&folder.join(EVIDENCE));
        let details = run::details(self.results, record, &log, &folder, pictures);
        let packed = pack(&serde_json::to_vec(&details)?)?;
        let is_open = self.is_first && interest(record) < Interest::Mutant;
        Ok(html! {
            details.run id={ "run-" (self.index) } open[is_open]
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
        })
    }
}

/// Deflate (with zlib's header), then base64.
fn pack(bytes: &[u8]) -> io::Result<String> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes)?;
    Ok(STANDARD.encode(encoder.finish()?))
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

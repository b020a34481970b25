//! All files in which a call's results are told.

use std::fs::{File, Permissions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::html::Page;
use super::junit::write_junit;
use super::results::{Results, VERSION};
use super::summary::summary;
use super::timeline::Timeline;
use super::trace::Trace;
use crate::evidence::{EVIDENCE, Log};
use crate::verdict::CheckResult;

/// Where the reports of a call are.
#[derive(Debug, Clone)]
pub struct Reports {
    /// `results.json`: all of it, for machines.
    pub results: PathBuf,
    /// `junit.xml`: the checks, for CI systems.
    pub junit: PathBuf,
    /// `summary.md`: the answer, for the job's page of a hosted CI.
    pub summary: PathBuf,
    /// `report.html`: all of it, for people.
    pub html: PathBuf,
}

/// A report could not be written, or what it is written from could not be read.
#[derive(Debug, Error)]
pub enum ReportError {
    /// A file could not be written.
    #[error("cannot write {}; make room there, or give another folder with --out", .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another call writes into the folder.
    #[error("another gymcheck writes into {}; wait until it ends, or give another folder with --out", .path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// The summary could not be given to a hosted CI.
    #[error("cannot append the summary to {}, which GITHUB_STEP_SUMMARY names; unset it to go without", .path.display())]
    StepSummary {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// `results.json` could not be read.
    #[error("cannot read {}; `gymcheck report --judge` makes it anew from the evidence", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// `results.json` is of another version of its format.
    #[error(
        "{} has version {found} of the format, this gymcheck reads version {VERSION}; \
         `gymcheck report --judge` makes it anew from the evidence", .path.display()
    )]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u64,
    },
}

/// The folder of the runs on the target, below `--out`.
pub const RUNS: &str = "runs";
/// The folder of the runs on the target of `--against`.
pub const AGAINST: &str = "runs-against";
/// Both, in this order.
pub(super) const SIDES: [&str; 2] = [RUNS, AGAINST];

pub(super) const RESULTS: &str = "results.json";
const JUNIT: &str = "junit.xml";
const SUMMARY: &str = "summary.md";
const HTML: &str = "report.html";

/// Removes what an earlier call left in the folder for results, and nothing else.
pub(super) fn empty(out: &Path) -> io::Result<()> {
    if out.join(RESULTS).is_file() {
        for report in [RESULTS, JUNIT, SUMMARY, HTML] {
            match std::fs::remove_file(out.join(report)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        for runs in SIDES.map(|runs| out.join(runs)) {
            if runs.is_dir() {
                std::fs::remove_dir_all(&runs)?;
            }
        }
    }
    std::fs::create_dir_all(out.join(RUNS))
}

/// Reads the results that a call wrote into the folder of `--out`.
///
/// # Errors
/// There are none, or they are of another version.
pub fn read_results(out: &Path) -> Result<Results, ReportError> {
    let path = out.join(RESULTS);
    let wrong = |source| ReportError::Read {
        path: path.clone(),
        source,
    };
    let bytes = std::fs::read(&path).map_err(|error| wrong(serde_json::Error::io(error)))?;
    let value: serde_json::Value = serde_json::from_slice(&bytes).map_err(wrong)?;
    match value.get("version").and_then(serde_json::Value::as_u64) {
        Some(found) if found != u64::from(VERSION) => Err(ReportError::Version {
            path: path.clone(),
            found,
        }),
        _ => serde_json::from_value(value).map_err(wrong),
    }
}

/// Writes `results.json` alone: what is known so far, while runs go on.
///
/// # Errors
/// The file cannot be written.
pub fn write_results(results: &Results, out: &Path) -> Result<PathBuf, ReportError> {
    write_whole(&out.join(RESULTS), |file| {
        serde_json::to_writer_pretty(file, results).map_err(io::Error::from)
    })
}

/// Writes every report of these results into the folder of `--out`, in which the runs' folders are.
///
/// # Errors
/// A file cannot be written.
pub fn write_reports(results: &Results, out: &Path) -> Result<Reports, ReportError> {
    std::fs::create_dir_all(out).map_err(|source| ReportError::Write {
        path: out.to_owned(),
        source,
    })?;
    let results_file = write_results(results, out)?;
    let page = page(results, out)?;
    Ok(Reports {
        results: results_file,
        junit: write_whole(&out.join(JUNIT), |file| write_junit(results, file))?,
        summary: write_whole(&out.join(SUMMARY), |file| {
            file.write_all(summary(results).as_bytes())
        })?,
        html: write_whole(&out.join(HTML), |file| page.write(file))?,
    })
}

/// The page, with each played run in it. The evidence of each is read once, also for its trace, which is
/// written beside it with the checks of all specs that judge it.
fn page<'a>(results: &'a Results, out: &Path) -> Result<Page<'a>, ReportError> {
    let mut page = Page::new(results, out);
    for (folder, runs) in page.played() {
        let log = Log::read(&folder.join(EVIDENCE));
        // What is wrong with its evidence, the page says.
        if let Ok(log) = &log {
            let checks = runs.iter().flat_map(|run| &results.runs[*run].checks);
            let checks: Vec<CheckResult> = checks.cloned().collect();
            let trace = Trace::new(&Timeline::new(log, &checks));
            write_whole(&folder.join("trace.json"), |file| {
                serde_json::to_writer(file, &trace).map_err(io::Error::from)
            })?;
        }
        for run in runs {
            page.add(run, &log, &folder);
        }
    }
    Ok(page)
}

/// Writes a file whole or not at all.
fn write_whole(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<&File>) -> io::Result<()>,
) -> Result<PathBuf, ReportError> {
    let failed = |source| ReportError::Write {
        path: path.to_owned(),
        source,
    };
    let folder = path.parent().unwrap_or(Path::new("."));
    // Whoever may read the folder may read the file, as with any other.
    let everybody = Permissions::from_mode(0o666);
    let file = tempfile::Builder::new()
        .permissions(everybody)
        .tempfile_in(folder);
    let file = file.map_err(failed)?;
    let mut writer = BufWriter::new(file.as_file());
    write(&mut writer).map_err(failed)?;
    writer.flush().map_err(failed)?;
    drop(writer);
    file.persist(path).map_err(|error| failed(error.error))?;
    Ok(path.to_owned())
}

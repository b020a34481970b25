//! All files in which a call's results are told.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::html::{folder_of, write_html};
use super::results::Results;
use super::timeline::Timeline;
use super::trace::Trace;
use crate::evidence::Log;
use crate::verdict::CheckResult;

/// Where the reports of a call are.
#[derive(Debug, Clone)]
pub struct Reports {
    /// `results.json`: all of it, for machines.
    pub results: PathBuf,
    /// `report.html`: all of it, for people.
    pub html: PathBuf,
}

/// A report could not be written.
#[derive(Debug, Error)]
#[error("cannot write {}; give another folder with --out", .path.display())]
pub struct ReportError {
    path: PathBuf,
    source: std::io::Error,
}

/// Writes every report of these results into the folder of `--out`, in which the runs' folders are.
///
/// # Errors
/// A file cannot be written.
pub fn write_reports(results: &Results, out: &Path) -> Result<Reports, ReportError> {
    let failed = |path: &Path, source| ReportError {
        path: path.to_owned(),
        source,
    };
    std::fs::create_dir_all(out).map_err(|error| failed(out, error))?;
    let json = serde_json::to_vec_pretty(results);
    let json = json.map_err(|error| failed(out, error.into()))?;
    write_traces(results, out)?;
    Ok(Reports {
        results: write_whole(&out.join("results.json"), |file| file.write_all(&json))?,
        html: write_whole(&out.join("report.html"), |file| {
            write_html(results, out, file)
        })?,
    })
}

/// Writes the trace of each run beside its evidence, with the checks of all specs that judge it.
fn write_traces(results: &Results, out: &Path) -> Result<(), ReportError> {
    let mut by_folder: BTreeMap<PathBuf, Vec<CheckResult>> = BTreeMap::new();
    for run in &results.runs {
        let checks = by_folder.entry(folder_of(run, out)).or_default();
        checks.extend(run.checks.iter().cloned());
    }
    for (folder, checks) in by_folder {
        // What is wrong with its evidence, the page says.
        let Ok(log) = Log::read(&folder.join("evidence.jsonl")) else {
            continue;
        };
        let trace = Trace::new(&Timeline::new(&log, &checks));
        write_whole(&folder.join("trace.json"), |file| {
            serde_json::to_writer(file, &trace).map_err(io::Error::from)
        })?;
    }
    Ok(())
}

/// Writes a file whole or not at all.
fn write_whole(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<&File>) -> io::Result<()>,
) -> Result<PathBuf, ReportError> {
    let failed = |source| ReportError {
        path: path.to_owned(),
        source,
    };
    let folder = path.parent().unwrap_or(Path::new("."));
    let file = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
    let mut writer = BufWriter::new(file.as_file());
    write(&mut writer).map_err(failed)?;
    writer.flush().map_err(failed)?;
    drop(writer);
    file.persist(path).map_err(|error| failed(error.error))?;
    Ok(path.to_owned())
}

//! All files in which a call's results are told.

use std::path::{Path, PathBuf};

use thiserror::Error;

use super::results::Results;

/// Where the reports of a call are.
#[derive(Debug, Clone)]
pub struct Reports {
    /// `results.json`: all of it, for machines.
    pub results: PathBuf,
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
    Ok(Reports {
        results: write_whole(&out.join("results.json"), &json)?,
    })
}

/// Writes a file whole or not at all.
fn write_whole(path: &Path, content: &[u8]) -> Result<PathBuf, ReportError> {
    let failed = |source| ReportError {
        path: path.to_owned(),
        source,
    };
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
    std::io::Write::write_all(&mut file, content).map_err(failed)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    Ok(path.to_owned())
}

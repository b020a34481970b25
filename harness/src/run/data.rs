//! The data files that the target stores.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::evidence::DataFile;

/// A table that the target stored.
pub(super) struct Table {
    /// Its path below the data folder.
    path: PathBuf,
    columns: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// Whether it lies in a folder of this name: the target has one for each scene.
    pub(super) fn is_in(&self, folder: &str) -> bool {
        self.path
            .parent()
            .and_then(Path::file_name)
            .is_some_and(|name| name == folder)
    }

    fn into_fact(self, what: &str) -> DataFile {
        DataFile {
            what: what.to_owned(),
            path: self.path.to_string_lossy().into_owned(),
            columns: self.columns,
            rows: self.rows,
            json: Value::Null,
        }
    }
}

/// The record of an episode, as evidence.
pub(super) fn episode(table: Table) -> DataFile {
    table.into_fact("episode")
}

/// The answers to a form, as evidence.
pub(super) fn answers(table: Table) -> DataFile {
    table.into_fact("answers")
}

/// A file that was taken before, as it is now; without columns and rows, if it is gone or cannot be read.
pub(super) fn again(below: &Path, before: &DataFile) -> DataFile {
    let now = read(below, &below.join(&before.path));
    let gone = || Table {
        path: PathBuf::from(&before.path),
        columns: Vec::new(),
        rows: Vec::new(),
    };
    now.unwrap_or_else(gone).into_fact(&before.what)
}

/// The CSV files below a folder whose names are `wanted`, by path. A file that cannot be read is
/// not there: the checks miss it.
pub(super) fn tables(below: &Path, wanted: impl Fn(&str) -> bool) -> Vec<Table> {
    let mut found = Vec::new();
    let mut folders = vec![below.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let name = entry.file_name().to_string_lossy().into_owned();
            if path.is_dir() {
                folders.push(path);
            } else if name.ends_with(".csv") && wanted(&name) {
                found.extend(read(below, &path));
            }
        }
    }
    found.sort_by(|one, other| one.path.cmp(&other.path));
    found
}

fn read(below: &Path, path: &Path) -> Option<Table> {
    let mut reader = csv::Reader::from_path(path).ok()?;
    let row = |record: &csv::StringRecord| record.iter().map(str::to_owned).collect::<Vec<_>>();
    let columns = row(reader.headers().ok()?);
    let rows = reader
        .records()
        .map(|record| record.map(|record| row(&record)))
        .collect::<Result<_, _>>()
        .ok()?;
    Some(Table {
        path: path.strip_prefix(below).ok()?.to_owned(),
        columns,
        rows,
    })
}

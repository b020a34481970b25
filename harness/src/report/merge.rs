//! One report of the shards of a call.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;
use walkdir::WalkDir;

use super::defects::defects;
use super::files::{ReportError, SIDES, read_results};
use super::repeated::repeated_with_partings;
use super::results::Results;
use crate::run::MissingShard;

/// Why results cannot be put together.
#[derive(Debug, Error)]
pub enum MergeError {
    /// No folder holds results.
    #[error(
        "none of these folders holds results.json: give the folders that the shards wrote with --out"
    )]
    Nothing,
    /// Results are not those of a shard.
    #[error("{} holds the results of a whole call: only those of `gymcheck run --shard` are put together", .path.display())]
    Whole {
        /// The folder.
        path: PathBuf,
    },
    /// The shards are not of one call.
    #[error(
        "{} and {} are of different calls: their {what} differ; the shards of one call have the same \
         specs, target and options, all but --shard", .one.display(), .other.display()
    )]
    Different {
        /// A folder.
        one: PathBuf,
        /// The other one.
        other: PathBuf,
        /// What differs.
        what: &'static str,
    },
    /// A shard is given twice.
    #[error("shard {shard} is there twice: {} and {}", .one.display(), .other.display())]
    Twice {
        /// Which one.
        shard: String,
        /// A folder.
        one: PathBuf,
        /// The other one.
        other: PathBuf,
    },
    /// The results are to be written where a shard's are.
    #[error("{} is a shard's own folder: give another one with --out", .path.display())]
    Same {
        /// The folder.
        path: PathBuf,
    },
    /// Results cannot be read.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// What runs left cannot be copied.
    #[error("cannot copy {} into {}; make room there, or give another folder with --out", .from.display(), .to.display())]
    Copy {
        /// From where.
        from: PathBuf,
        /// To where.
        to: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// The results of the shards of one call, by number.
#[derive(Debug)]
pub struct Shards {
    found: BTreeMap<usize, (PathBuf, Results)>,
    plan: Vec<Vec<String>>,
    /// Folders without results: those of shards that did not come so far.
    pub without: Vec<PathBuf>,
}

impl Shards {
    /// Reads the results in these folders.
    ///
    /// # Errors
    /// They are not those of different shards of one call, or cannot be read.
    pub fn read(folders: &[PathBuf]) -> Result<Shards, MergeError> {
        let mut shards = Shards {
            found: BTreeMap::new(),
            plan: Vec::new(),
            without: Vec::new(),
        };
        for folder in folders {
            if !folder.join("results.json").is_file() {
                shards.without.push(folder.clone());
                continue;
            }
            shards.add(folder, read_results(folder)?)?;
        }
        match shards.found.is_empty() {
            true => Err(MergeError::Nothing),
            false => Ok(shards),
        }
    }

    fn add(&mut self, folder: &Path, results: Results) -> Result<(), MergeError> {
        let Some(shard) = &results.shard else {
            let path = folder.to_owned();
            return Err(MergeError::Whole { path });
        };
        if let Some((first, known)) = self.found.values().next() {
            let what = if results.gymcheck != known.gymcheck {
                Some("versions of gymcheck")
            } else if results.targets != known.targets {
                Some("targets")
            } else if shard.plan != self.plan {
                Some("runs")
            } else {
                None
            };
            if let Some(what) = what {
                return Err(MergeError::Different {
                    one: first.clone(),
                    other: folder.to_owned(),
                    what,
                });
            }
        }
        if let Some((first, _)) = self.found.get(&shard.number) {
            return Err(MergeError::Twice {
                shard: shard.to_string(),
                one: first.clone(),
                other: folder.to_owned(),
            });
        }
        self.plan.clone_from(&shard.plan);
        self.found
            .insert(shard.number, (folder.to_owned(), results));
        Ok(())
    }

    /// Whether results can be written into a folder without removing those of a shard.
    ///
    /// # Errors
    /// They cannot.
    pub fn check_out(&self, out: &Path) -> Result<(), MergeError> {
        let real = |path: &Path| fs::canonicalize(path).ok();
        let is_it = |folder: &PathBuf| real(folder).is_some() && real(folder) == real(out);
        let folders = self.found.values().map(|(folder, _)| folder);
        match folders.chain(&self.without).any(is_it) {
            true => Err(MergeError::Same {
                path: out.to_owned(),
            }),
            false => Ok(()),
        }
    }

    /// Puts all together in a folder: what the runs left, and the results of the call that the shards are of.
    /// Shards that are not there are named in it.
    ///
    /// # Errors
    /// Something cannot be copied.
    pub fn merge(self, out: &Path) -> Result<Results, MergeError> {
        let of = self.plan.len();
        let missing = self.plan.iter().enumerate();
        let missing = missing
            .map(|(index, runs)| (index + 1, runs))
            .filter(|(number, _)| !self.found.contains_key(number));
        let missing: Vec<MissingShard> = missing
            .map(|(number, runs)| MissingShard {
                number,
                of,
                runs: runs.clone(),
            })
            .collect();
        let mut merged: Option<Results> = None;
        for (folder, results) in self.found.into_values() {
            copy_runs(&folder, out)?;
            match &mut merged {
                None => merged = Some(results),
                Some(merged) => add(merged, results),
            }
        }
        let mut merged = merged.ok_or(MergeError::Nothing)?;
        merged.shard = None;
        // Each of the machines had its own.
        merged.effort = None;
        merged.missing_shards = missing;
        merged.differences.sort_by_key(|one| one.change);
        merged.defects = defects(&merged.runs, &merged.targets);
        merged.repeated = repeated_with_partings(&merged.runs, out);
        Ok(merged)
    }
}

fn add(merged: &mut Results, results: Results) {
    merged.unfinished |= results.unfinished;
    merged.requirements.extend(results.requirements);
    merged.differences.extend(results.differences);
    merged.runs.extend(results.runs);
    merged.mutants.extend(results.mutants);
    if merged.equivalents.is_empty() {
        merged.equivalents = results.equivalents;
    }
}

fn copy_runs(folder: &Path, out: &Path) -> Result<(), MergeError> {
    for side in SIDES {
        let from = folder.join(side);
        if from.is_dir() {
            let to = out.join(side);
            copy(&from, &to).map_err(|source| MergeError::Copy { from, to, source })?;
        }
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    for entry in WalkDir::new(from) {
        let entry = entry?;
        let inside = entry.path().strip_prefix(from).map_err(io::Error::other)?;
        if entry.file_type().is_dir() {
            fs::create_dir_all(to.join(inside))?;
        } else if entry.file_type().is_file() {
            fs::copy(entry.path(), to.join(inside))?;
        }
    }
    Ok(())
}

//! One report of the shards of a call.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::defects::defects;
use super::files::{AGAINST, RESULTS, ReportError, SIDES, read_results};
use super::repeated::repeated_with_partings;
use super::results::Results;
use crate::provision::{copy_below, files_below};
use crate::run::{MissingShard, Side, name_in_plan};

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
            if !folder.join(RESULTS).is_file() {
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
    /// Shards that are not there, or lack runs of the plan, are named in it.
    ///
    /// # Errors
    /// Something cannot be copied.
    pub fn merge(self, out: &Path) -> Result<Results, MergeError> {
        let of = self.plan.len();
        let numbered = (1..=of).zip(&self.plan);
        let missing: Vec<MissingShard> = numbered
            .filter_map(|(number, planned)| {
                let found = self.found.get(&number);
                let found: BTreeSet<String> = found.map(|(_, it)| names(it)).unwrap_or_default();
                let lacking = planned.iter().filter(|run| !found.contains(*run));
                let runs: Vec<String> = lacking.cloned().collect();
                (!runs.is_empty()).then_some(MissingShard { number, of, runs })
            })
            .collect();
        for (folder, _) in self.found.values() {
            copy_runs(folder, out)?;
        }
        let each = self.found.into_values().map(|(_, results)| results);
        let mut merged = each.reduce(together).ok_or(MergeError::Nothing)?;
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

/// What the runs of a shard are called in the plan.
fn names(results: &Results) -> BTreeSet<String> {
    let runs = results.runs.iter();
    let names = runs.map(|run| match run.folder.starts_with(AGAINST) {
        true => name_in_plan(run, Side::Against),
        false => name_in_plan(run, Side::Target),
    });
    names.collect()
}

fn together(mut merged: Results, other: Results) -> Results {
    merged.unfinished |= other.unfinished;
    merged.requirements.extend(other.requirements);
    merged.differences.extend(other.differences);
    merged.runs.extend(other.runs);
    merged.mutants.extend(other.mutants);
    if merged.equivalents.is_empty() {
        merged.equivalents = other.equivalents;
    }
    merged
}

fn copy_runs(folder: &Path, out: &Path) -> Result<(), MergeError> {
    for side in SIDES.into_iter().filter(|side| folder.join(side).is_dir()) {
        let copied = files_below(folder, side).and_then(|files| {
            let mut files = files.into_iter();
            files.try_for_each(|file| copy_below(&file, folder, out))
        });
        copied.map_err(|source| MergeError::Copy {
            from: folder.join(side),
            to: out.join(side),
            source,
        })?;
    }
    Ok(())
}

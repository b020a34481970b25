//! One call of gymcheck: its runs, their repetition when broken, its mutants.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use tempfile::TempDir;

use super::carry_out::{RunPlan, carry_out, edits_of};
use super::preview::{exact_version, lacking};
use super::{PrepareError, RunRecord, record};
use crate::gateway::{Mirror, MirrorEntry, Preview, apply_edit};
use crate::provision::{self, Asset, Browser, Home};
use crate::spec::{BrowserKind, Experiment, Mutant, Pair, Spec};
use crate::stage::{self, interrupted};
use crate::target::{PINNED_RELEASE, Target, TargetFacts, TargetName};
use crate::verdict::judge;

/// How often a broken run may be carried out again, at most.
pub const MOST_RETRIES: u32 = 2;

/// What all runs of one call have in common.
pub struct Invocation {
    target: Target,
    is_pinned: bool,
    browsers: BTreeMap<BrowserKind, Browser>,
    assets: Vec<Asset>,
    mirror: Mirror,
    out: PathBuf,
    /// Below `out`, for runs alone.
    runs: PathBuf,
    /// What was made on the way, until the call ends.
    made: Option<TempDir>,
    retries: u32,
    headed: bool,
    keep: bool,
}

/// What a call wants.
pub struct Wanted<'a> {
    /// The checkout whose experiments are served.
    pub root: &'a Path,
    /// What is tested.
    pub target: TargetName,
    /// The browsers that its runs use.
    pub browsers: Vec<BrowserKind>,
    /// Where evidence and results go.
    pub out: PathBuf,
    /// The folder below it for the runs.
    pub runs: PathBuf,
    /// How often a broken run is carried out again, [`MOST_RETRIES`] at most. What the target got
    /// wrong, or what proved nothing, is never tried again.
    pub retries: u32,
    /// Whether the browsers show their windows.
    pub headed: bool,
    /// Whether the stages' folders stay.
    pub keep: bool,
}

impl Invocation {
    /// Finds all that the runs need, and installs what a target needs that is tested for the first
    /// time.
    ///
    /// # Errors
    /// Something is not there; the error says how to get it.
    pub fn prepare(wanted: Wanted<'_>) -> Result<Invocation, PrepareError> {
        let home = Home::locate()?;
        let experiments = wanted.root.join("fixtures/experiments");
        let target = provision::target(&home, &wanted.target, &experiments)?;
        let assets = provision::assets(&home)?;
        let mut browsers = BTreeMap::new();
        for name in wanted.browsers {
            browsers.insert(name, provision::find_browser(&home, name)?);
        }
        Ok(Invocation {
            target,
            is_pinned: wanted.target == TargetName::Release(PINNED_RELEASE),
            browsers,
            mirror: mirror_of(&assets),
            assets,
            out: wanted.out,
            runs: wanted.runs,
            made: None,
            retries: wanted.retries.min(MOST_RETRIES),
            headed: wanted.headed,
            keep: wanted.keep,
        })
    }

    /// What reports say of the target.
    #[must_use]
    pub fn target(&self) -> &TargetFacts {
        &self.target.facts
    }

    /// Looks whether the target starts with each of these experiments, and whether all that its
    /// page asks for is at hand, before any browser starts. The pinned release is not looked at:
    /// the lock of assets was made for it.
    ///
    /// # Errors
    /// The target cannot be started or serves no page; its page asks for what nobody answers; the
    /// call was interrupted.
    pub async fn look(&mut self, experiments: &[&Experiment]) -> Result<(), PrepareError> {
        if self.is_pinned {
            return Ok(());
        }
        let mut seen: Vec<&str> = Vec::new();
        for experiment in experiments {
            if seen.contains(&experiment.name.as_str()) {
                continue;
            }
            seen.push(&experiment.name);
            let preview = self.preview(experiment).await?;
            self.add_own_package(&preview)?;
            self.check(&preview)?;
        }
        Ok(())
    }

    async fn preview(&self, experiment: &Experiment) -> Result<Preview, PrepareError> {
        let logs = TempDir::new()?;
        tokio::select! {
            preview = stage::preview(&self.target, experiment, logs.path()) => Ok(preview?),
            signal = interrupted() => Err(PrepareError::Interrupted { signal: signal.signal }),
        }
    }

    /// A page installs the release that serves it. A checkout is no release: its page gets the
    /// checkout's own files.
    fn add_own_package(&mut self, preview: &Preview) -> Result<(), PrepareError> {
        let is_checkout = self.target.search_path.is_some();
        let Some(version) = exact_version(preview, self.target.package.distribution()) else {
            return Ok(());
        };
        if !is_checkout || self.made.is_some() {
            return Ok(());
        }
        let made = TempDir::new()?;
        self.assets =
            provision::with_own_package(&self.assets, &self.target, &version, made.path())?;
        self.mirror = mirror_of(&self.assets);
        self.made = Some(made);
        Ok(())
    }

    fn check(&self, preview: &Preview) -> Result<(), PrepareError> {
        let mut packages = provision::python_packages()?;
        let own = self.target.package.distribution();
        if let (Some(_), Some(version)) = (&self.made, exact_version(preview, own)) {
            packages.push((own.to_owned(), version));
        }
        let lacking = lacking(preview, &self.mirror, &packages);
        if lacking.is_empty() {
            return Ok(());
        }
        Err(PrepareError::Lacking {
            target: self.target.name().to_owned(),
            lacking,
        })
    }

    /// Checks that a mutant's texts are in what the target serves, before any browser starts.
    ///
    /// # Errors
    /// A text is not there, or is there more than once.
    pub fn check_mutant(&self, mutant: &Mutant) -> Result<(), PrepareError> {
        let mut texts: BTreeMap<String, String> = BTreeMap::new();
        for edit in edits_of(mutant) {
            let text = match texts.remove(&edit.file) {
                Some(text) => text,
                None => self.target.served_file(&edit.file)?.ok_or_else(|| {
                    PrepareError::NoSuchFile {
                        mutant: mutant.name.clone(),
                        target: self.target.name().to_owned(),
                        file: edit.file.clone(),
                    }
                })?,
            };
            let text = apply_edit(&text, &edit).map_err(|source| PrepareError::Mutant {
                mutant: mutant.name.clone(),
                target: self.target.name().to_owned(),
                file: edit.file.clone(),
                source: Box::new(source),
            })?;
            texts.insert(edit.file, text);
        }
        Ok(())
    }

    /// Carries out a run, again if it is broken and that could help, and judges it.
    ///
    /// `repetition` tells runs apart that are otherwise the same; `on_step` hears of each step.
    ///
    /// # Errors
    /// The evidence cannot be written.
    pub async fn run(
        &self,
        spec: &Spec,
        pair: Pair,
        mutant: Option<&Mutant>,
        repetition: u32,
        on_step: impl Fn(&str),
    ) -> std::io::Result<RunRecord> {
        let began = Instant::now();
        let mut broken_attempts = Vec::new();
        for attempt in 1.. {
            let folder = self
                .runs
                .join(&spec.name)
                .join(folder_of(pair, mutant, repetition, attempt));
            let plan = RunPlan {
                spec,
                pair,
                mutant,
                target: &self.target,
                browsers: &self.browsers,
                mirror: self.mirror.clone(),
                artefacts: &self.out.join(&folder),
                headed: self.headed,
                keep: self.keep,
            };
            let log = carry_out(&plan, &on_step).await?;
            let judgement = judge(spec, &log);
            match &judgement.broken {
                Some(broken) if broken.worth_a_retry && attempt <= self.retries => {
                    on_step(&format!("broken, carried out again: {}", broken.reason));
                    broken_attempts.push(broken.clone());
                }
                Some(_) | None => {
                    let mut record = record(spec, &log, judgement, folder);
                    record.repetition = repetition;
                    record.attempts = attempt;
                    record.broken_attempts = broken_attempts;
                    record.seconds = (began.elapsed().as_secs_f64() * 10.0).round() / 10.0;
                    return Ok(record);
                }
            }
        }
        unreachable!("the last attempt gives a record")
    }
}

fn mirror_of(assets: &[Asset]) -> Mirror {
    let entries = assets.iter().map(|asset| MirrorEntry {
        url: asset.url.clone(),
        path: asset.path.clone(),
        media_type: asset.media_type.clone(),
    });
    Mirror::new(entries.collect())
}

fn folder_of(pair: Pair, mutant: Option<&Mutant>, repetition: u32, attempt: u32) -> String {
    let mut name = pair.to_string();
    if let Some(mutant) = mutant {
        name = format!("{name}~{}", mutant.name);
    }
    if repetition > 1 {
        name = format!("{name}.{repetition}");
    }
    if attempt > 1 {
        name = format!("{name}.attempt-{attempt}");
    }
    name
}

/// The browsers that these pairs use, each once.
#[must_use]
pub fn browsers_of(pairs: impl IntoIterator<Item = Pair>) -> Vec<BrowserKind> {
    let mut names: Vec<BrowserKind> = pairs
        .into_iter()
        .flat_map(|pair| [pair.survivor, pair.partner])
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}

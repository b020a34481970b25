//! One call of gymcheck: its runs, their repetition when broken, its mutants.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::carry_out::{RunPlan, carry_out, edits_of};
use super::equipment::Equipment;
use super::machine::Machine;
use super::slots::{Turn, Turns};
use super::supplies::Supplies;
use super::{Item, PrepareError, RunRecord, record};
use crate::evidence::{BrokenFact, Log};
use crate::provision::{self, Cdn, Compiled, Home, HomeUse};
use crate::spec::{BrowserKind, Catalogue, Expectation, Experiment, Mutant, Pair, Repair, Spec};
use crate::stage::{self, Grid};
use crate::target::{
    Code, ExperimentName, PINNED_RELEASE, Snapshot, Target, TargetError, TargetFacts, TargetName,
    apply_edit,
};
use crate::verdict::Verdict;

/// How often a broken run may be carried out again, at most.
pub const MOST_RETRIES: u32 = 2;

/// What all runs of one call have in common.
pub struct Invocation {
    target: Target,
    /// Its code as it was found, where that is a user's own and can change meanwhile.
    prepared: Option<Snapshot>,
    /// Whether the lock of assets was made for it: the pinned release with this project's experiment.
    is_known: bool,
    equipment: Equipment,
    supplies: Supplies,
    /// Profiles with caches of each browser, which have the page's libraries compiled.
    compiled: BTreeMap<BrowserKind, PathBuf>,
    home: Home,
    /// Of all calls together, so many runs are carried out at once.
    turns: Turns,
    out: PathBuf,
    /// Below `out`, for runs alone.
    runs: PathBuf,
    /// The user's own folder of specs, if the call names one.
    specs: Option<PathBuf>,
    /// What is known of the target and is not `pass`.
    expectations: Vec<Expectation>,
    retries: u32,
    headed: bool,
    keep: bool,
    /// Nothing of what the runs need is removed until the call ends.
    _in_use: HomeUse,
}

/// What a call wants.
pub struct Wanted<'a> {
    /// The checkout whose experiments are served, and what it says of targets.
    pub catalogue: &'a Catalogue,
    /// What is tested.
    pub target: TargetName,
    /// What it serves, if not each spec's own experiment.
    pub experiment: Option<ExperimentName>,
    /// Python packages that its page asks for and that are left out.
    pub without: Vec<String>,
    /// Who is asked for public addresses that are not at hand, instead of the registries.
    pub cdn: Option<Cdn>,
    /// The browsers that its runs use.
    pub browsers: Vec<BrowserKind>,
    /// The grid where they are, if they are not on this machine.
    pub grid: Option<Grid>,
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
        if let Some(full) = Machine::under(&wanted.out).full_disk() {
            return Err(PrepareError::Full(full));
        }
        let home = Home::locate()?;
        let in_use = home.in_use()?;
        let experiments = wanted.catalogue.root.join("fixtures/experiments");
        let instead = wanted.experiment.as_ref();
        let mut target = provision::target(&home, &wanted.target, instead, &experiments)?;
        target.facts.without.clone_from(&wanted.without);
        target.facts.from_public_hosts = wanted.cdn.is_some();
        let is_as_locked = wanted.cdn.is_none() && wanted.without.is_empty();
        let supplies = Supplies::at_hand(home.clone(), &wanted.without, wanted.cdn)?;
        let equipment = match wanted.grid {
            Some(grid) => Equipment::OnGrid(grid),
            None => {
                let mut browsers = BTreeMap::new();
                for name in wanted.browsers {
                    browsers.insert(name, provision::find_browser(&home, name)?);
                }
                Equipment::Here(browsers)
            }
        };
        let expectations = wanted.catalogue.expectations.get(target.name());
        Ok(Invocation {
            specs: wanted.catalogue.own.as_ref().map(|own| own.folder.clone()),
            expectations: expectations.cloned().unwrap_or_default(),
            prepared: target.own_code().map(Code::snapshot),
            target,
            is_known: wanted.target == TargetName::Release(PINNED_RELEASE)
                && wanted.experiment.is_none()
                && is_as_locked,
            equipment,
            supplies,
            compiled: BTreeMap::new(),
            turns: Turns::new(&home, None),
            home,
            out: wanted.out,
            runs: wanted.runs,
            retries: wanted.retries.min(MOST_RETRIES),
            headed: wanted.headed,
            keep: wanted.keep,
            _in_use: in_use,
        })
    }

    /// What reports say of the target.
    #[must_use]
    pub fn target(&self) -> &TargetFacts {
        &self.target.facts
    }

    /// Gives its target a name of its own beside that of another call's, with which it is compared.
    pub fn tell_apart_from(&mut self, first: &Invocation) {
        self.target.facts.tell_apart_from(&first.target.facts);
    }

    /// Lets so many runs be carried out at once, those of other calls included, and not as many as the
    /// machine can besides what else it has to do.
    pub fn carry_out_at_once(&mut self, jobs: u8) {
        self.turns = Turns::new(&self.home, Some(jobs));
    }

    /// Whether two runs on it at once would get into each other's way.
    #[must_use]
    pub fn takes_one_run_at_a_time(&self) -> bool {
        self.target.takes_one_run_at_a_time()
    }

    /// Looks whether the target starts with each of these experiments, and whether all that its
    /// page asks for is at hand, before any browser starts. The pinned release with an experiment of
    /// each spec's own is not looked at: the lock of assets was made for it.
    ///
    /// # Errors
    /// The target cannot be started or serves no page; its page asks for what nobody answers; the
    /// call was interrupted.
    pub async fn look(&mut self, experiments: &[&Experiment]) -> Result<(), PrepareError> {
        if self.is_known {
            return Ok(());
        }
        self.supplies.look(&mut self.target, experiments).await?;
        // Of a user's own command it is known only now.
        if self.prepared.is_none() {
            self.prepared = self.target.own_code().map(Code::snapshot);
        }
        Ok(())
    }

    /// Has browsers compile the page's libraries, where that is not done yet: each later browser of the same
    /// version begins with them. Says what goes on, for it takes some seconds; where it fails, the runs do
    /// without, each of them slower. What was made for this call alone is not compiled beforehand.
    pub async fn compile(&mut self, tell: impl Fn(&str)) {
        let mirror = self.supplies.mirror();
        if mirror.cdn().is_some() {
            return;
        }
        // Firefox finds the gateway at an address of its own in each run, and keeps nothing of another one.
        let Some(browser) = self.equipment.here(BrowserKind::Chrome) else {
            return;
        };
        let recipe = stage::compile_recipe();
        let Some(compiled) = Compiled::of(&self.home, browser, &recipe, mirror.files()) else {
            return;
        };
        if compiled.folder().is_none() {
            tell(&format!(
                "having {} {} compile the page's libraries, once",
                browser.kind, browser.version
            ));
            tokio::select! {
                compiled = stage::compile(browser, &mirror, &compiled) => {
                    if let Err(error) = compiled {
                        tell(&format!("{error}; runs do without, each of them slower"));
                    }
                }
                _ = stage::interrupted() => {}
            }
        }
        if let Some(folder) = compiled.folder() {
            self.compiled.insert(browser.kind, folder.to_owned());
        }
    }

    /// Checks that the texts of a run's edits are in what the target serves, before any browser
    /// starts.
    ///
    /// # Errors
    /// A text is not there, or is there more than once.
    pub fn check_edits(
        &self,
        repairs: &[&Repair],
        mutant: Option<&Mutant>,
    ) -> Result<(), PrepareError> {
        let mut texts: BTreeMap<String, String> = BTreeMap::new();
        for edit in edits_of(repairs, mutant) {
            if self.target.code.is_none() {
                // What the target serves is seen when it passes the gateway.
                if edit.is_of_the_server() {
                    return Err(TargetError::NoCode {
                        edit: edit.name,
                        target: self.target.name().to_owned(),
                        file: edit.file,
                    }
                    .into());
                }
                continue;
            }
            let text = match texts.remove(&edit.file) {
                Some(text) => text,
                None => self
                    .target
                    .file(&edit.file)?
                    .ok_or_else(|| PrepareError::NoSuchFile {
                        edit: edit.name.clone(),
                        target: self.target.name().to_owned(),
                        file: edit.file.clone(),
                    })?,
            };
            let text = apply_edit(&text, &edit).map_err(|source| PrepareError::Edit {
                target: self.target.name().to_owned(),
                source: Box::new(source),
            })?;
            texts.insert(edit.file, text);
        }
        Ok(())
    }

    /// Carries out a run, again if it is broken and that could help, and passes the judgement of
    /// each of its specs. `on_step` hears of each step. None, if the call is interrupted before its turn comes.
    ///
    /// # Errors
    /// The evidence cannot be written.
    pub async fn run(
        &self,
        item: &Item<'_>,
        on_step: impl Fn(&str),
    ) -> std::io::Result<Option<Vec<RunRecord>>> {
        let mut began = None;
        let mut broken_attempts = Vec::new();
        for attempt in 1.. {
            let folder = self.runs.join(item.folder(attempt));
            let turn = match self.equipment.grid() {
                // It is the nodes that have the work.
                Some(_) => Some(Turn::of_nothing()),
                None => self.turns.take(&on_step).await,
            };
            let Some(turn) = turn else { return Ok(None) };
            let began = *began.get_or_insert_with(Instant::now);
            let log = self.carry_out(item, &folder, turn, &on_step).await?;
            let specs = item.specs.iter();
            let mut records: Vec<RunRecord> = specs
                .map(|spec| self.record(item, spec, &log, &folder))
                .collect();
            match worth_a_retry(&records) {
                Some(broken) if attempt <= self.retries => {
                    on_step(&format!("broken, carried out again: {}", broken.reason));
                    broken_attempts.push(broken.clone());
                }
                Some(_) | None => {
                    let seconds = (began.elapsed().as_secs_f64() * 10.0).round() / 10.0;
                    for record in &mut records {
                        record.attempts = attempt;
                        record.broken_attempts.clone_from(&broken_attempts);
                        record.seconds = seconds;
                    }
                    return Ok(Some(records));
                }
            }
        }
        unreachable!("the last attempt gives a record")
    }

    async fn carry_out(
        &self,
        item: &Item<'_>,
        folder: &Path,
        turn: Turn,
        on_step: impl Fn(&str),
    ) -> std::io::Result<Log> {
        let plan = RunPlan {
            spec: item.scenario,
            pair: item.pair,
            repairs: &item.repairs,
            mutant: item.mutant,
            target: &self.target,
            prepared: self.prepared.as_ref(),
            equipment: &self.equipment,
            mirror: self.supplies.mirror(),
            compiled: &self.compiled,
            artefacts: &self.out.join(folder),
            headed: self.headed,
            keep: self.keep,
            turn,
        };
        carry_out(&plan, on_step).await
    }

    fn record(&self, item: &Item<'_>, spec: &Spec, log: &Log, folder: &Path) -> RunRecord {
        let mut record = record(spec, log, &self.expectations, folder.to_owned());
        record.repetition = item.repetition;
        record.specs.clone_from(&self.specs);
        record
    }
}

/// Why a run is broken, if it is to be carried out again. Its specs judge it each for itself, and a new attempt
/// takes the place of what all of them say: so none may have found anything else than what it must find. What
/// failed, or proved nothing, stays.
fn worth_a_retry(records: &[RunRecord]) -> Option<&BrokenFact> {
    let is_settled = |record: &&RunRecord| {
        let is_sound = matches!(record.verdict, Verdict::Pass | Verdict::NotApplicable);
        is_sound && !record.is_unexpected()
    };
    let others = records.iter().filter(|record| !is_settled(record));
    let broken = others.map(|record| record.broken.as_ref().filter(|broken| broken.worth_a_retry));
    let broken: Option<Vec<&BrokenFact>> = broken.collect();
    broken?.first().copied()
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

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn decided(verdict: Verdict, expected: Verdict) -> RunRecord {
        RunRecord {
            verdict,
            expected,
            ..RunRecord::unjudged("a/b".into(), None, PathBuf::new())
        }
    }

    fn broken(worth_a_retry: bool) -> RunRecord {
        let broken = BrokenFact {
            component: "environment".into(),
            reason: "the machine is too busy".into(),
            last_lines: Vec::new(),
            worth_a_retry,
        };
        RunRecord {
            broken: Some(broken),
            ..decided(Verdict::Broken, Verdict::Pass)
        }
    }

    #[test]
    fn a_run_is_carried_out_again_only_where_no_spec_has_found_anything() {
        use Verdict::{Fail, NotApplicable, Pass, Vacuous};
        let again = |records: &[RunRecord]| worth_a_retry(records).is_some();
        assert!(again(&[broken(true)]));
        assert!(again(&[broken(true), broken(true)]));
        assert!(again(&[decided(Pass, Pass), broken(true)]));
        assert!(again(&[
            broken(true),
            decided(NotApplicable, NotApplicable)
        ]));
        assert!(!again(&[decided(Pass, Pass)]));
        assert!(!again(&[broken(false)]));
        assert!(!again(&[broken(true), broken(false)]));
        for (verdict, expected) in [
            (Fail, Pass),
            (Fail, Fail),
            (Vacuous, Pass),
            (Vacuous, Vacuous),
            (NotApplicable, Pass),
            (Pass, Fail),
        ] {
            let found = decided(verdict, expected);
            assert!(
                !again(&[broken(true), found.clone()]),
                "{verdict}, expected {expected}"
            );
            assert!(!again(&[found, broken(true)]));
        }
    }
}

//! Every spec on its pairs, and every mutant, against the real server in real browsers: one trial
//! each. Trial names are paths, as `scene-exit/partner-dies-on-survey/chrome+firefox` and
//! `mutants/cleanup-not-called/chrome+chrome`; filters and `--list` work as with any test.
//!
//! So does the guide for people who write specs (`guide/…`: what it shows is played), and the second
//! experiment (`volley/…`), which the specs for any experiment are asked of.
//!
//! Of the mutants, one for each requirement is tried each time: one that takes no more runs than needed, where
//! there is a choice. `cargo test --test conformance -- --include-ignored` tries them all, as `gymcheck run
//! --mutant all` does, also on the other specs that must find them
//! (`mutants/late-end-not-guarded/reuse/two-games/chrome+chrome`), and all that can be asked of the second
//! experiment; on two cores that takes more than half an hour.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use gymcheck::evidence::EVIDENCE;
use gymcheck::report::{RUNS, judge_again};
use gymcheck::run::{
    Fate, IN_LINE, Invocation, Item, MOST_RETRIES, RunRecord, Side, Wanted, browsers_of,
    default_jobs, fate_of, find_root, pair_of_runs, select_repairs,
};
use gymcheck::spec::{BrowserKind, Catalogue, Mutant, Pair, PlannedRun, Spec, SpecError, select};
use gymcheck::stage::{end_everything, on_signal, watchdog};
use gymcheck::target::{ExperimentName, PINNED_RELEASE, TargetName};
use gymcheck::verdict::Verdict;
use libtest_mimic::{Arguments, Failed, Trial};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;

#[path = "support/guide.rs"]
mod guide;

/// How many trials are begun besides those that carry a run out: they wait for one that another trial has begun.
/// Each is a thread, and what a run takes while it is judged stays with its thread: a few are enough.
const WAITING: usize = 2;

/// How many runs are begun at once: as many as the machine can carry out, and some that wait for their turn.
fn begun() -> usize {
    usize::from(default_jobs()) + IN_LINE
}

fn main() -> ExitCode {
    if let Some(status) = watchdog() {
        return status;
    }
    // A signal ends the browsers and servers first, then this program.
    let handled = on_signal(|interrupted| {
        end_everything();
        std::process::exit(128 + interrupted.signal);
    });
    if let Err(error) = handled {
        eprintln!("signals cannot be handled: {error}");
        return ExitCode::FAILURE;
    }
    let mut arguments = Arguments::from_args();
    arguments
        .test_threads
        .get_or_insert_with(|| begun() + WAITING);
    match trials() {
        Ok(trials) => libtest_mimic::run(&arguments, trials).exit_code(),
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// What the suites of one invocation share.
struct Machine {
    runtime: Runtime,
    /// As many runs at once as the machine can carry out, and some that wait for their turn.
    begun: Semaphore,
}

/// Specs and mutants, and the runs of this very invocation that several trials share.
struct Suite {
    /// What the names of its trials begin with.
    prefix: &'static str,
    catalogue: Catalogue,
    /// What is served, if not each spec's own experiment.
    experiment: Option<ExperimentName>,
    invocation: OnceLock<Result<Invocation, String>>,
    machine: Arc<Machine>,
    /// Runs are kept by what was played, since specs and mutants share them.
    runs: Mutex<HashMap<String, Shared>>,
    /// Where its specs are, if not in the checkout.
    _folder: Option<TempDir>,
}

/// A run that is carried out by the first trial that needs it; the others wait for it.
type Shared = Arc<OnceLock<Result<Vec<RunRecord>, String>>>;

impl Suite {
    /// The checkout's own specs and mutants.
    fn of_checkout(machine: &Arc<Machine>) -> Result<Suite, SpecError> {
        Ok(Suite {
            prefix: "",
            catalogue: Catalogue::read(&find_root())?,
            experiment: None,
            invocation: OnceLock::new(),
            machine: Arc::clone(machine),
            runs: Mutex::default(),
            _folder: None,
        })
    }

    /// What the reader of the guide has at its end, as a folder of one's own.
    fn of_guide(machine: &Arc<Machine>) -> Result<Suite, SpecError> {
        let folder = guide::folder();
        let catalogue = Catalogue::read_with(&find_root(), Some(folder.path()))?;
        Ok(Suite {
            prefix: "guide/",
            catalogue,
            _folder: Some(folder),
            ..Suite::of_checkout(machine)?
        })
    }

    /// The experiment around a published environment that the specs do not know.
    fn of_volley(machine: &Arc<Machine>) -> Result<Suite, SpecError> {
        Ok(Suite {
            prefix: "volley/",
            experiment: Some(ExperimentName::Known("volley".into())),
            ..Suite::of_checkout(machine)?
        })
    }

    /// The specs that it runs, on their pairs.
    fn planned(&self) -> Result<Vec<PlannedRun<'_>>, SpecError> {
        let mut planned = select(&self.catalogue, &[], None)?;
        if self.experiment.is_some() {
            planned.retain(|run| run.spec.body.any_experiment);
        }
        Ok(planned)
    }

    /// The mutants that it tries: a folder of one's own has its own ones.
    fn mutants(&self) -> Vec<&Mutant> {
        let mutants = self.catalogue.mutants.iter();
        match (&self.catalogue.own, &self.experiment) {
            (_, Some(_)) => Vec::new(),
            (Some(own), None) => mutants
                .filter(|mutant| own.mutants.contains(&mutant.name))
                .collect(),
            (None, None) => mutants.collect(),
        }
    }

    fn invocation(&self) -> Result<&Invocation, Failed> {
        self.invocation
            .get_or_init(|| self.prepare())
            .as_ref()
            .map_err(Failed::from)
    }

    fn prepare(&self) -> Result<Invocation, String> {
        let planned = self.planned().map_err(|error| error.to_string())?;
        let browsers: Vec<BrowserKind> = browsers_of(planned.iter().map(|run| run.pair));
        let mut invocation = Invocation::prepare(Wanted {
            catalogue: &self.catalogue,
            target: TargetName::Release(PINNED_RELEASE),
            experiment: self.experiment.clone(),
            without: Vec::new(),
            cdn: None,
            browsers,
            grid: None,
            out: self.out(),
            runs: RUNS.into(),
            retries: MOST_RETRIES,
            headed: false,
            keep: false,
        })
        .map_err(|error| error.to_string())?;
        let scenarios = planned.iter().map(|run| self.scenario(run.spec));
        let scenarios: Result<Vec<&Spec>, SpecError> = scenarios.collect();
        let scenarios = scenarios.map_err(|error| error.to_string())?;
        let experiments: Vec<_> = scenarios.iter().map(|spec| &spec.body.experiment).collect();
        let looked = self.machine.runtime.block_on(invocation.look(&experiments));
        looked.map_err(|error| error.to_string())?;
        let compiling = invocation.compile(|says| eprintln!("{says}"));
        self.machine.runtime.block_on(compiling);
        Ok(invocation)
    }

    /// Where the runs leave what they leave. Several invocations may run side by side: each has a folder
    /// of its own.
    fn out(&self) -> PathBuf {
        let folder = format!("conformance-{}", std::process::id());
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(folder);
        folder.join(self.prefix.trim_end_matches('/'))
    }

    /// The records of a run, carried out once in this invocation.
    fn run(&self, item: &Item<'_>) -> Result<Vec<RunRecord>, Failed> {
        let title = item.title();
        // A trial that panicked has ended its stage: what it left of the map is good.
        let mut runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        let shared = Arc::clone(runs.entry(title).or_default());
        drop(runs);
        let records = shared.get_or_init(|| {
            self.carry_out(item)
                .map_err(|failed| failed.message().unwrap_or("failed").to_owned())
        });
        records.clone().map_err(Failed::from)
    }

    fn carry_out(&self, item: &Item<'_>) -> Result<Vec<RunRecord>, Failed> {
        let invocation = self.invocation()?;
        invocation.check_edits(&item.repairs, item.mutant)?;
        let title = item.title();
        self.machine.runtime.block_on(async {
            let _begun = self.machine.begun.acquire().await?;
            let say = |step: &str| eprintln!("{}{title}: {step}", self.prefix);
            let records = invocation.run(item, say).await?;
            let records = records.ok_or("interrupted before its turn came")?;
            self.judged_again(&records)?;
            Ok(records)
        })
    }

    /// What was written down of a run must be judged as the run itself was, by each of its specs.
    fn judged_again(&self, records: &[RunRecord]) -> Result<(), Failed> {
        let mut whole = records
            .iter()
            .filter(|record| record.broken.is_none())
            .peekable();
        let Some(first) = whole.peek() else {
            return Ok(());
        };
        let log = self.out().join(&first.folder).join(EVIDENCE);
        let again = judge_again(&self.catalogue, &log)?;
        for record in whole {
            let verdicts = |run: &RunRecord| -> Vec<(String, Verdict)> {
                let checks = run.checks.iter();
                checks.map(|one| (one.check.clone(), one.verdict)).collect()
            };
            let found = again.records.iter().find(|one| one.spec == record.spec);
            let (now, before) = (found.map(verdicts), verdicts(record));
            if now.as_ref() != Some(&before) {
                return Err(format!("judged again {now:?}, before {before:?}").into());
            }
        }
        Ok(())
    }

    /// The spec that says what is played when this one is judged.
    fn scenario(&self, spec: &Spec) -> Result<&Spec, SpecError> {
        self.catalogue.spec(spec.scenario())
    }

    /// The run of a spec, judged by every spec that plays the same.
    fn item(&self, spec: &str, pair: Pair) -> Result<Item<'_>, SpecError> {
        let scenario = self.scenario(self.catalogue.spec(spec)?)?;
        Ok(Item {
            scenario,
            specs: self.catalogue.judging(&scenario.name).collect(),
            pair,
            repairs: select_repairs(&self.catalogue, &scenario.body.repairs, &[])?,
            mutant: None,
            repetition: 1,
            side: Side::Target,
        })
    }
}

fn trials() -> Result<Vec<Trial>, Box<dyn std::error::Error>> {
    let machine = Arc::new(Machine {
        runtime: Runtime::new()?,
        begun: Semaphore::new(begun()),
    });
    let checkout = Arc::new(Suite::of_checkout(&machine)?);
    let guide = Arc::new(Suite::of_guide(&machine)?);
    let volley = Arc::new(Suite::of_volley(&machine)?);
    if checkout.mutants().is_empty() || guide.mutants().is_empty() {
        return Err("there are no mutants in fixtures/mutants, or none in the guide".into());
    }
    // In the end come the shortest plays of the checkout's mutants: whatever is longer has begun by then.
    let mut trials = specs(&volley, &["walk/to-the-end"])?;
    trials.extend(specs(&guide, &[])?);
    trials.extend(mutants(&guide)?);
    trials.extend(specs(&checkout, &[])?);
    trials.extend(mutants(&checkout)?);
    Ok(trials)
}

/// A trial for each spec and pair. If some are named, the others are tried only when asked for.
fn specs(suite: &Arc<Suite>, always: &[&str]) -> Result<Vec<Trial>, SpecError> {
    let planned = suite.planned()?.into_iter();
    let trials = planned.map(|run| {
        let name = run.spec.name.clone();
        let (of, pair) = (Arc::clone(suite), run.pair);
        let rest = !always.is_empty() && !always.contains(&name.as_str());
        Trial::test(format!("{}{name}/{pair}", suite.prefix), move || {
            let records = of.run(&of.item(&name, pair)?)?;
            let record = records.iter().find(|record| record.spec == name);
            as_expected(record.ok_or("the spec was not judged")?)
        })
        .with_ignored_flag(rest)
    });
    Ok(trials.collect())
}

/// A trial for each mutant; those that are not tried each time only when asked for. The longest plays come first:
/// while the last one of all waits in vain, the machine has nothing else to do.
fn mutants(suite: &Arc<Suite>) -> Result<Vec<Trial>, SpecError> {
    let tried = tried_each_time(suite)?;
    let mut names = HashSet::new();
    let trials = suite.mutants().into_iter().map(|mutant| {
        let steps = suite
            .scenario(&suite.catalogue.specs[&mutant.spec])?
            .body
            .steps
            .len();
        let pair = pair_of(&suite.catalogue, mutant);
        let elsewhere = !names.insert(mutant.name.as_str());
        let place = match elsewhere {
            true => format!("{}/", mutant.spec),
            false => String::new(),
        };
        let rest = elsewhere || !tried.contains(mutant.name.as_str());
        let name = format!("{}mutants/{}/{place}{pair}", suite.prefix, mutant.name);
        let (of, mutant) = (Arc::clone(suite), mutant.clone());
        let trial = Trial::test(name, move || {
            let (base, mutated) = pair_of_runs(&of.catalogue, &mutant, pair, 1)?;
            let base = of.run(&base)?;
            killed(&mutant, &base, &of.run(&mutated)?)
        });
        Ok((steps, trial.with_ignored_flag(rest)))
    });
    let mut trials = trials.collect::<Result<Vec<(usize, Trial)>, SpecError>>()?;
    trials.sort_by_key(|(steps, _)| Reverse(*steps));
    Ok(trials.into_iter().map(|(_, trial)| trial).collect())
}

/// Of each requirement's mutants the first one whose run without it is carried out anyway, for a spec or for
/// another mutant that is tried; else the first one.
fn tried_each_time(suite: &Suite) -> Result<HashSet<&str>, SpecError> {
    let planned = suite.planned()?.into_iter();
    let played = planned.map(|run| Ok(suite.item(&run.spec.name, run.pair)?.title()));
    let mut played = played.collect::<Result<HashSet<String>, SpecError>>()?;
    let mut of_requirement: BTreeMap<&str, Vec<(&str, String)>> = BTreeMap::new();
    let mut names = HashSet::new();
    for mutant in suite.mutants() {
        if names.insert(mutant.name.as_str()) {
            let pair = pair_of(&suite.catalogue, mutant);
            let (base, _) = pair_of_runs(&suite.catalogue, mutant, pair, 1)?;
            let mutants = of_requirement.entry(&mutant.requirement).or_default();
            mutants.push((&mutant.name, base.title()));
        }
    }
    let mut tried = HashSet::new();
    for mutants in of_requirement.into_values() {
        let shares = mutants.iter().position(|(_, base)| played.contains(base));
        let mut mutants = mutants.into_iter();
        if let Some((name, base)) = mutants.nth(shares.unwrap_or_default()) {
            played.insert(base);
            tried.insert(name);
        }
    }
    Ok(tried)
}

/// The pair that a mutant is tried on.
fn pair_of(catalogue: &Catalogue, mutant: &Mutant) -> Pair {
    catalogue.specs[&mutant.spec].body.pairs[0]
}

/// Undecided is not a pass, and not ignored.
fn as_expected(run: &RunRecord) -> Result<(), Failed> {
    if run.is_unexpected() || run.verdict == Verdict::Broken {
        return Err(account(run).into());
    }
    Ok(())
}

fn killed(mutant: &Mutant, base: &[RunRecord], mutated: &[RunRecord]) -> Result<(), Failed> {
    let decided = fate_of(mutant, base, mutated);
    match decided.fate {
        Fate::Killed => Ok(()),
        Fate::Survived | Fate::Undecided | Fate::NotApplicable => {
            let accounts: Vec<String> = mutated.iter().map(account).collect();
            let (fate, why) = (decided.fate, decided.account);
            Err(format!("{fate:?}: {why}\n{}", accounts.join("\n")).into())
        }
    }
}

fn account(run: &RunRecord) -> String {
    let mut text = format!("{} {}: {}", run.spec, run.pair, run.verdict);
    for line in run.broken.iter().flat_map(|broken| &broken.last_lines) {
        text.push_str(&format!("\n  | {line}"));
    }
    if let Some(missed) = &run.missed {
        text.push_str(&format!("\n  the run ended early at {missed}"));
    }
    for line in &run.last_words {
        text.push_str(&format!("\n  | {line}"));
    }
    for check in &run.checks {
        text.push_str(&format!(
            "\n  {:<8} {} {}: {}",
            check.verdict, check.requirement, check.check, check.account
        ));
    }
    text
}

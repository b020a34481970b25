//! Every spec on its pairs, and every mutant, against the real server in real browsers: one trial
//! each. Trial names are paths, as `scene-exit/partner-dies-on-survey/chrome+firefox` and
//! `mutants/cleanup-not-called/chrome+chrome`; filters and `--list` work as with any test.
//!
//! Of the mutants, one for each requirement is tried each time. `cargo test --test conformance --
//! --include-ignored` tries them all, as `gymcheck run --mutant all` does, also on the other specs that must
//! find them (`mutants/late-end-not-guarded/reuse/two-games/chrome+chrome`); on two cores that takes more
//! than half an hour.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use gymcheck::evidence::EVIDENCE;
use gymcheck::report::{RUNS, judge_again};
use gymcheck::run::{
    Fate, Invocation, Item, MOST_RETRIES, RunRecord, Side, Wanted, browsers_of, default_jobs,
    fate_of, find_root, pair_of_runs, select_repairs,
};
use gymcheck::spec::{BrowserKind, Catalogue, Mutant, Pair, SpecError, select};
use gymcheck::stage::{end_everything, on_signal};
use gymcheck::target::{PINNED_RELEASE, TargetName};
use gymcheck::verdict::Verdict;
use libtest_mimic::{Arguments, Failed, Trial};
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;

/// How many trials are begun at once. Most of them wait: for one of the runs that the machine can
/// carry out at once, or for a run that another trial has begun.
const TRIALS_AT_ONCE: usize = 64;

fn main() -> ExitCode {
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
    arguments.test_threads.get_or_insert(TRIALS_AT_ONCE);
    let suite = match Suite::read() {
        Ok(suite) => Arc::new(suite),
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    match trials(&suite) {
        Ok(trials) => libtest_mimic::run(&arguments, trials).exit_code(),
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// The specs and mutants, and the runs of this very invocation that several trials share.
struct Suite {
    root: PathBuf,
    catalogue: Catalogue,
    invocation: OnceLock<Result<Invocation, String>>,
    runtime: Runtime,
    /// As many runs at once as the machine can carry out.
    jobs: Semaphore,
    /// Runs are kept by what was played, since specs and mutants share them.
    runs: Mutex<HashMap<String, Shared>>,
}

/// A run that is carried out by the first trial that needs it; the others wait for it.
type Shared = Arc<OnceLock<Result<Vec<RunRecord>, String>>>;

impl Suite {
    fn read() -> Result<Suite, Box<dyn std::error::Error>> {
        let root = find_root();
        Ok(Suite {
            catalogue: Catalogue::read(&root)?,
            root,
            invocation: OnceLock::new(),
            runtime: Runtime::new()?,
            jobs: Semaphore::new(default_jobs().into()),
            runs: Mutex::new(HashMap::new()),
        })
    }

    fn invocation(&self) -> Result<&Invocation, Failed> {
        self.invocation
            .get_or_init(|| {
                let pairs = self
                    .catalogue
                    .specs
                    .values()
                    .flat_map(|spec| &spec.body.pairs);
                let browsers: Vec<BrowserKind> = browsers_of(pairs.copied());
                Invocation::prepare(Wanted {
                    catalogue: &self.catalogue,
                    target: TargetName::Release(PINNED_RELEASE),
                    experiment: None,
                    without: Vec::new(),
                    cdn: None,
                    browsers,
                    out: out(),
                    runs: RUNS.into(),
                    retries: MOST_RETRIES,
                    headed: false,
                    keep: false,
                })
                .map_err(|error| error.to_string())
            })
            .as_ref()
            .map_err(Failed::from)
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
        self.runtime.block_on(async {
            let _job = self.jobs.acquire().await?;
            let say = |step: &str| eprintln!("{title}: {step}");
            let records = invocation.run(item, say).await?;
            self.judged_again(&records)?;
            Ok(records)
        })
    }

    /// What was written down of a run must be judged as the run itself was.
    fn judged_again(&self, records: &[RunRecord]) -> Result<(), Failed> {
        for record in records.iter().filter(|record| record.broken.is_none()) {
            let log = out().join(&record.folder).join(EVIDENCE);
            let again = judge_again(&self.catalogue, &log)?;
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

    /// The run of a spec, judged by every spec that plays the same.
    fn item(&self, spec: &str, pair: Pair) -> Result<Item<'_>, SpecError> {
        let scenario = self.catalogue.spec(self.catalogue.spec(spec)?.scenario())?;
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

/// Where the runs leave what they leave. Several invocations may run side by side: each has a folder of
/// its own.
fn out() -> PathBuf {
    let folder = format!("conformance-{}", std::process::id());
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(folder)
}

fn trials(suite: &Arc<Suite>) -> Result<Vec<Trial>, SpecError> {
    let planned = select(&suite.catalogue, &[], None)?;
    if suite.catalogue.mutants.is_empty() {
        return Err(SpecError::Nothing {
            path: suite.root.join("fixtures/mutants"),
            kind: "mutant",
        });
    }
    let specs = planned.into_iter().map(|run| {
        let (suite, name, pair) = (Arc::clone(suite), run.spec.name.clone(), run.pair);
        Trial::test(format!("{name}/{pair}"), move || {
            let records = suite.run(&suite.item(&name, pair)?)?;
            let record = records.iter().find(|record| record.spec == name);
            as_expected(record.ok_or("the spec was not judged")?)
        })
    });
    let mut requirements = HashSet::new();
    let mut names = HashSet::new();
    let mutants = suite.catalogue.mutants.iter().map(move |mutant| {
        let rest = !requirements.insert(mutant.requirement.as_str());
        let elsewhere = !names.insert(mutant.name.as_str());
        let (suite, mutant) = (Arc::clone(suite), mutant.clone());
        let pair = suite.catalogue.specs[&mutant.spec].body.pairs[0];
        let place = match elsewhere {
            true => format!("{}/", mutant.spec),
            false => String::new(),
        };
        Trial::test(
            format!("mutants/{}/{place}{pair}", mutant.name),
            move || {
                let (base, mutated) = pair_of_runs(&suite.catalogue, &mutant, pair, 1)?;
                let base = suite.run(&base)?;
                killed(&mutant, &base, &suite.run(&mutated)?)
            },
        )
        .with_ignored_flag(rest)
    });
    Ok(specs.chain(mutants).collect())
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
        Fate::Survived | Fate::Undecided => {
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
    for check in &run.checks {
        text.push_str(&format!(
            "\n  {:<8} {} {}: {}",
            check.verdict, check.requirement, check.check, check.account
        ));
    }
    text
}

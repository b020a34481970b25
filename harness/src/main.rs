//! The command line.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use gymcheck::evidence::Log;
use gymcheck::provision::{self, Home, ProvisionError, SetupOptions, State};
use gymcheck::report::{ExitStatus, Progress, Results, print_results};
use gymcheck::run::{
    Invocation, MOST_RETRIES, PrepareError, RunRecord, Wanted, browsers_of, fate_of, find_root,
    record, select_mutants,
};
use gymcheck::spec::{BrowserKind, Catalogue, Mutant, Pair, Spec, select};
use gymcheck::stage::{interrupted, on_signal};
use gymcheck::verdict::judge;

/// Drive two real browsers through a peer-to-peer game on a real interactive_gym server, make one
/// partner go away, and prove what the survivor sees.
#[derive(Parser)]
#[command(version, after_help = EXIT_STATUS)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXIT_STATUS: &str = "\
Exit status:
  0  every verdict is as expected
  1  an unexpected verdict of the target, or a mutant that survived
  2  a mistake in the call, a spec, a target or an experiment
  3  broken: a run could not be carried out

Everything that runs need is kept in one folder: GYMCHECK_HOME, or `gymcheck` in the user's cache
folder. Specs and fixtures are read from GYMCHECK_ROOT, or from the checkout around the working
folder.";

const RUN_EXAMPLES: &str = "\
Examples:
  gymcheck run
      every spec on its own pairs of browsers
  gymcheck run mid-game --pairs chrome+chrome,firefox+firefox
      one folder of specs on two pairs
  gymcheck run --mutant all
      does the right check catch each mutant?
  gymcheck run scene-exit/partner-dies-on-survey --repeat 5 --out results
      the same run five times, its evidence and results.json in the folder `results`

A run takes about 40 seconds on a small machine. `vacuous` means that nothing was proven, `broken`
that the run could not be carried out: neither is a pass.";

#[derive(Subcommand)]
enum Command {
    /// Get what runs need; what is there already is left as it is
    Setup(SetupArguments),
    /// Say what is here, what is missing and how to mend it
    Doctor,
    /// List the specs, their checks and the runs they expand to
    List,
    /// Run specs (all by default) and pass judgement on what happened
    #[command(after_help = RUN_EXAMPLES)]
    Run(RunArguments),
    /// Judge recorded evidence again, without a browser
    #[command(after_help = "Example:\n  gymcheck judge target/gymcheck/runs/*/*/*/evidence.jsonl")]
    Judge {
        /// Evidence files (`evidence.jsonl`) of earlier runs
        #[arg(required = true)]
        logs: Vec<PathBuf>,
    },
}

#[derive(Args)]
struct SetupArguments {
    /// Also install system packages that are missing (browsers, drivers)
    #[arg(long)]
    yes: bool,
}

#[derive(Args)]
struct RunArguments {
    /// Specs by name, as `scene-exit/partner-dies-on-survey`, or by folder, as `scene-exit`
    #[arg(value_name = "SPEC")]
    specs: Vec<String>,
    /// Pairs of browsers, survivor first, instead of each spec's own
    #[arg(long, value_delimiter = ',', value_name = "PAIR", value_parser = parse_pair)]
    pairs: Option<Vec<Pair>>,
    /// Try these mutants (`all` for all of them), each on its own spec (if that is among SPEC),
    /// against a run without it
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    mutant: Vec<String>,
    /// Carry every run out this many times
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    repeat: u32,
    /// Carry a broken run out again, this many times at most (0 to 2); never one that failed
    #[arg(long, default_value_t = 0, value_name = "N", value_parser = clap::value_parser!(u32).range(..=i64::from(MOST_RETRIES)))]
    retry_broken: u32,
    /// Show the browsers' windows
    #[arg(long)]
    headed: bool,
    /// Leave the stage's folder (profiles, data files) where it is
    #[arg(long)]
    keep: bool,
    /// Where evidence, logs, screenshots and results.json go
    #[arg(long, default_value = "target/gymcheck", value_name = "DIR")]
    out: PathBuf,
}

fn parse_pair(text: &str) -> Result<Pair, String> {
    text.parse()
}

fn main() -> ExitCode {
    // clap's own errors end with status 2, as a mistake in the call should.
    let cli = Cli::parse();
    let status = match cli.command {
        Command::Setup(arguments) => set_up(&arguments),
        Command::Doctor => doctor(),
        Command::List => list(),
        Command::Run(arguments) => run(&arguments),
        Command::Judge { logs } => judge_logs(&logs),
    };
    status
        .unwrap_or_else(|error| {
            tell(error.as_ref());
            status_of(error.as_ref())
        })
        .code()
        .into()
}

/// What is missing on this machine is no mistake of the call.
fn status_of(error: &(dyn std::error::Error + 'static)) -> ExitStatus {
    let missing = error.is::<ProvisionError>()
        || matches!(
            error.downcast_ref::<PrepareError>(),
            Some(PrepareError::Provision(_))
        )
        || error.is::<std::io::Error>();
    if missing {
        ExitStatus::Broken
    } else {
        ExitStatus::Mistake
    }
}

type Outcome = Result<ExitStatus, Box<dyn std::error::Error>>;

fn tell(error: &dyn std::error::Error) {
    anstream::eprintln!("gymcheck: {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        anstream::eprintln!("  because: {error}");
        cause = error.source();
    }
}

fn set_up(arguments: &SetupArguments) -> Outcome {
    let home = Home::locate()?;
    let options = SetupOptions {
        install_system_packages: arguments.yes,
        browsers: BrowserKind::ALL.to_vec(),
    };
    provision::setup(&home, &options)?;
    anstream::println!("all that runs need is in {}", home.root().display());
    Ok(ExitStatus::AsExpected)
}

fn doctor() -> Outcome {
    let home = Home::locate()?;
    let findings = provision::doctor(&home);
    for finding in &findings {
        let state = match finding.state {
            State::Ok => "ok",
            State::Warning => "warning",
            State::Missing => "missing",
        };
        anstream::println!("{state:<8} {:<22} {}", finding.part, finding.what);
        for line in finding.mend.iter().flat_map(|mend| mend.lines()) {
            anstream::println!("{:<8} {:<22} mend: {line}", "", "");
        }
    }
    let missing = findings
        .iter()
        .any(|finding| finding.state == State::Missing);
    Ok(if missing {
        ExitStatus::Broken
    } else {
        ExitStatus::AsExpected
    })
}

fn list() -> Outcome {
    let catalogue = Catalogue::read(&find_root())?;
    for spec in catalogue.specs.values() {
        anstream::println!("{}\n    {}", spec.name, spec.body.title);
        for check in &spec.body.checks {
            anstream::println!("    {:<10} {}", check.requirement, check.ask.name());
        }
        let pairs: Vec<String> = spec.body.pairs.iter().map(Pair::to_string).collect();
        anstream::println!("    runs on {}", pairs.join(", "));
    }
    for mutant in catalogue.mutants.values() {
        anstream::println!(
            "mutant {}\n    {}\n    {:<10} {} of {}",
            mutant.name,
            mutant.breaks,
            mutant.requirement,
            mutant.check,
            mutant.spec
        );
    }
    Ok(ExitStatus::AsExpected)
}

/// One run of a call: what, with which browsers, without or with a mutant, which time.
struct Item<'a> {
    spec: &'a Spec,
    pair: Pair,
    mutant: Option<&'a Mutant>,
    repetition: u32,
}

fn run(arguments: &RunArguments) -> Outcome {
    // The runs notice the signal by themselves, and end what they started.
    on_signal(|_| {})?;
    let root = find_root();
    let catalogue = Catalogue::read(&root)?;
    let items = plan(&catalogue, arguments)?;
    let invocation = Invocation::prepare(Wanted {
        root: &root,
        browsers: browsers_of(items.iter().map(|item| item.pair)),
        out: arguments.out.clone(),
        retries: arguments.retry_broken,
        headed: arguments.headed,
        keep: arguments.keep,
    })?;
    for item in &items {
        if let Some(mutant) = item.mutant {
            invocation.check_mutant(mutant)?;
        }
    }
    make_room(&arguments.out)?;
    if items.is_empty() {
        return Err("nothing to run: none of these mutants belongs to one of these specs".into());
    }
    let runtime = tokio::runtime::Runtime::new()?;
    let (results, interrupted) = runtime.block_on(carry_out_all(&invocation, &items))?;
    let file = results.write(&arguments.out)?;
    print_results(&results, &file, &arguments.out);
    Ok(if interrupted {
        ExitStatus::Broken
    } else {
        results.exit_status()
    })
}

/// The runs that a call asks for. With mutants: each mutant's spec without it, and with it.
fn plan<'a>(
    catalogue: &'a Catalogue,
    arguments: &RunArguments,
) -> Result<Vec<Item<'a>>, gymcheck::spec::SpecError> {
    let pairs = arguments.pairs.as_deref();
    let mut items: Vec<Item<'a>> = Vec::new();
    for repetition in 1..=arguments.repeat {
        if arguments.mutant.is_empty() {
            for run in select(catalogue, &arguments.specs, pairs)? {
                items.push(Item {
                    spec: run.spec,
                    pair: run.pair,
                    mutant: None,
                    repetition,
                });
            }
            continue;
        }
        let wanted = select(catalogue, &arguments.specs, pairs)?;
        for mutant in select_mutants(catalogue, &arguments.mutant)? {
            let spec = catalogue.spec(&mutant.spec)?;
            if !wanted.iter().any(|run| run.spec.name == spec.name) {
                continue;
            }
            let default = &spec.body.pairs[..1];
            for pair in pairs.unwrap_or(default) {
                let known = items.iter().any(|item| {
                    item.spec.name == spec.name
                        && item.pair == *pair
                        && item.mutant.is_none()
                        && item.repetition == repetition
                });
                for mutant in [None, Some(mutant)] {
                    if mutant.is_some() || !known {
                        items.push(Item {
                            spec,
                            pair: *pair,
                            mutant,
                            repetition,
                        });
                    }
                }
            }
        }
    }
    Ok(items)
}

/// Removes what an earlier call left in the folder for results, and nothing else.
fn make_room(out: &Path) -> std::io::Result<()> {
    let runs = out.join("runs");
    let results = out.join("results.json");
    if results.is_file() {
        std::fs::remove_file(&results)?;
        if runs.is_dir() {
            std::fs::remove_dir_all(&runs)?;
        }
    }
    std::fs::create_dir_all(&runs)
}

async fn carry_out_all(
    invocation: &Invocation,
    items: &[Item<'_>],
) -> std::io::Result<(Results, bool)> {
    let mut results = Results::new();
    let mut progress = Progress::new(items.len());
    for (index, item) in items.iter().enumerate() {
        let mutant = item.mutant.map(|mutant| format!(" ~ {}", mutant.name));
        progress.begin(
            index + 1,
            &format!(
                "{} {}{}",
                item.spec.name,
                item.pair,
                mutant.unwrap_or_default()
            ),
        );
        let record = invocation
            .run(item.spec, item.pair, item.mutant, item.repetition, |step| {
                progress.step(step);
            })
            .await;
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                // What was found so far is kept; the rest would fare no better.
                progress.line(&format!("the evidence cannot be written: {error}"));
                return Ok((results, true));
            }
        };
        progress.end(&record);
        if let (Some(mutant), Some(base)) = (item.mutant, base_of(items, &results.runs, index)) {
            results.mutants.push(fate_of(mutant, base, &record));
        }
        results.runs.push(record);
        if was_interrupted().await {
            progress.finish();
            return Ok((results, true));
        }
    }
    progress.finish();
    Ok((results, false))
}

/// The run without a mutant that belongs to the run at `index`.
fn base_of<'a>(items: &[Item<'_>], runs: &'a [RunRecord], index: usize) -> Option<&'a RunRecord> {
    let wanted = &items[index];
    let base = items.iter().position(|item| {
        item.mutant.is_none()
            && item.spec.name == wanted.spec.name
            && item.pair == wanted.pair
            && item.repetition == wanted.repetition
    })?;
    runs.get(base)
}

async fn was_interrupted() -> bool {
    tokio::select! {
        biased;
        _ = interrupted() => true,
        () = std::future::ready(()) => false,
    }
}

fn judge_logs(logs: &[PathBuf]) -> Outcome {
    let catalogue = Catalogue::read(&find_root())?;
    let mut results = Results::new();
    for path in logs {
        let log = Log::read(path)?;
        let Some(run) = log.run() else {
            return Err(format!("{} does not say which spec it is of", path.display()).into());
        };
        let spec = catalogue.spec(&run.spec)?;
        let judgement = judge(spec, &log);
        let mut judged = record(spec, &log, judgement, path.clone());
        // A run with a mutant is judged for itself here: nobody says that it should pass.
        judged.mutant = None;
        results.runs.push(judged);
    }
    for run in &results.runs {
        anstream::println!("{:<8} {} {}", run.verdict, run.spec, run.folder.display());
        for check in &run.checks {
            anstream::println!(
                "    {:<8} {:<10} {}: {}",
                check.verdict,
                check.requirement,
                check.check,
                check.account
            );
        }
    }
    Ok(results.exit_status())
}

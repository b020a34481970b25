//! The command line: what is asked for, and how it ends.

mod assets;
mod check;
mod clean;
#[cfg(test)]
mod documents;
mod grid;
mod judge;
mod list;
mod new;
mod own;
mod own_ground;
mod provide;
mod report;
mod run;
mod share;
mod sweep;

use std::io::Write;
use std::panic::UnwindSafe;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anstream::ColorChoice;
use clap::{Parser, Subcommand, ValueEnum};
use gymcheck::provision::ProvisionError;
use gymcheck::report::{
    ExitStatus, Loudness, ReportError, Reports, Results, print_reports, print_results,
    tell_hosted_ci,
};
use gymcheck::run::PrepareError;
use gymcheck::spec::SpecError;
use gymcheck::stage::LeftStageError;
use gymcheck::target::TargetName;

use own::OwnSpecs;

/// Drive two real browsers through a peer-to-peer game on a real interactive_gym server, make one
/// partner go away, and prove what the survivor sees.
#[derive(Parser)]
#[command(version, after_help = EXIT_STATUS)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Colours: where the output is a terminal and NO_COLOR is not set, always, or never
    #[arg(long, value_enum, default_value_t = Colour::Auto, global = true, value_name = "WHEN")]
    color: Colour,
    /// Say only what is not as expected
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,
    /// Say more: each step in a line that stays, and the account of each check
    #[arg(short, long, global = true)]
    verbose: bool,
}

/// When the output has colours.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Colour {
    Auto,
    Always,
    Never,
}

impl Colour {
    /// Makes it so for all that is printed.
    fn apply(self) {
        match self {
            Colour::Auto => ColorChoice::Auto,
            Colour::Always => ColorChoice::Always,
            Colour::Never => ColorChoice::Never,
        }
        .write_global();
    }
}

const EXIT_STATUS: &str = "\
Exit status:
  0  every verdict is as expected
  1  an unexpected verdict of the target, or a mutant that survived
  2  a mistake in the call, a spec, a target (one that cannot be started among them) or an
     experiment
  3  broken: a run could not be carried out

Everything that runs need is kept in one folder: GYMCHECK_HOME, or `gymcheck` in the user's cache
folder. Specs and fixtures are read from GYMCHECK_ROOT, or from the checkout around the working
folder.";

#[derive(Subcommand)]
enum Command {
    /// Get what runs need; what is there already is left as it is
    #[command(after_help = provide::EXAMPLES)]
    Setup(provide::SetupArguments),
    /// Say what is here, what is missing and how to mend it
    Doctor,
    /// Say what is kept on this machine, or remove it
    #[command(after_help = clean::EXAMPLES)]
    Clean(clean::CleanArguments),
    /// List the specs, their checks and the runs they expand to; with --specs those of its folder
    List {
        /// List the requirements instead, each with its specs, checks and mutants
        #[arg(long)]
        requirements: bool,
        #[command(flatten)]
        own: OwnSpecs,
    },
    /// Read specs, mutants, repairs and expectations without running them, and tell all mistakes
    #[command(after_help = check::EXAMPLES)]
    Check(check::CheckArguments),
    /// Write a new spec, with comments, that can be run at once
    #[command(after_help = new::EXAMPLES)]
    New(new::NewArguments),
    /// Run specs (all by default) and pass judgement on what happened
    #[command(after_help = run::EXAMPLES)]
    Run(Box<run::RunArguments>),
    /// Move the partner's departure over the whole life of a session, and chart the verdicts
    #[command(after_help = sweep::EXAMPLES)]
    Sweep(Box<sweep::SweepArguments>),
    /// Say what a check asks, why, by which oracles, and which mutants it kills
    #[command(after_help = "Example:\n  gymcheck explain no-overlay")]
    Explain {
        /// The check, as specs write it; all of them, if none is named
        #[arg(value_name = "CHECK")]
        check: Option<String>,
        #[command(flatten)]
        own: OwnSpecs,
    },
    /// Judge recorded evidence again, without a browser
    #[command(after_help = judge::EXAMPLES)]
    Judge(judge::JudgeArguments),
    /// Write the reports again, from a folder that `run` wrote
    #[command(after_help = report::EXAMPLES)]
    Report(report::ReportArguments),
    /// Pack runs for sending to somebody, with what participants typed and who they are masked
    #[command(after_help = share::EXAMPLES)]
    Share(share::ShareArguments),
}

/// Does what the command line asks for.
pub(crate) fn main() -> ExitCode {
    // clap's own errors end with status 2, as a mistake in the call should.
    let cli = Cli::parse();
    cli.color.apply();
    let loudness = match (cli.quiet, cli.verbose) {
        (true, _) => Loudness::Quiet,
        (false, true) => Loudness::Verbose,
        (false, false) => Loudness::Normal,
    };
    let status = match cli.command {
        Command::Setup(arguments) => provide::set_up(&arguments),
        Command::Doctor => provide::doctor(),
        Command::Clean(arguments) => clean::clean(&arguments),
        Command::List {
            requirements: false,
            own,
        } => list::list(&own),
        Command::List {
            requirements: true,
            own,
        } => list::list_requirements(&own),
        Command::Check(arguments) => check::check(&arguments, loudness),
        Command::New(arguments) => new::new(&arguments),
        Command::Run(arguments) => run::run(&arguments, loudness),
        Command::Sweep(arguments) => sweep::sweep(&arguments, loudness),
        Command::Explain { check, own } => list::explain_checks(check.as_deref(), &own),
        Command::Judge(arguments) => judge::judge_logs(&arguments, loudness),
        Command::Share(arguments) => share::share_runs(&arguments),
        Command::Report(arguments) => report::report(&arguments, loudness),
    };
    status
        .unwrap_or_else(|error| {
            tell(error.as_ref());
            tell_last_lines(error.as_ref());
            status_of(error.as_ref())
        })
        .code()
        .into()
}

/// A panic is a mistake in gymcheck: it says nothing of the target, and what was asked for was not done.
pub(crate) fn broken_by_panic(work: impl FnOnce() -> ExitCode + UnwindSafe) -> ExitCode {
    std::panic::catch_unwind(work).unwrap_or_else(|_| {
        // Nobody may be listening any more.
        let _ = writeln!(
            std::io::stderr(),
            "gymcheck: this is a mistake in gymcheck itself, which ends broken; what runs had left until then is \
             kept, and `gymcheck report DIR` writes its reports"
        );
        ExitStatus::Broken.code().into()
    })
}

fn parse_target(text: &str) -> Result<TargetName, String> {
    text.parse()
        .map_err(|error: gymcheck::target::TargetError| error.to_string())
}

fn parse_time(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text)
        .map_err(|error| format!("{error}; expected a time as 90s, 30m or 2h"))
}

/// What is missing on this machine is no mistake of the call.
fn status_of(error: &(dyn std::error::Error + 'static)) -> ExitStatus {
    let missing = match (
        error.downcast_ref::<PrepareError>(),
        error.downcast_ref::<ProvisionError>(),
    ) {
        (Some(error), _) => !error.is_mistake(),
        (None, Some(ProvisionError::Target(_))) => false,
        (None, Some(_)) => true,
        (None, None) => {
            let unwritten = matches!(
                error.downcast_ref(),
                Some(ReportError::Write { .. } | ReportError::StepSummary { .. })
            );
            unwritten || error.is::<std::io::Error>() || error.is::<LeftStageError>()
        }
    };
    if missing {
        ExitStatus::Broken
    } else {
        ExitStatus::Mistake
    }
}

type Outcome = Result<ExitStatus, Box<dyn std::error::Error>>;

/// Tells what a call found. The verdicts stand, whether they can be written and a hosted CI shows them or not.
fn tell_all(
    results: &Results,
    reports: Result<Reports, ReportError>,
    out: &Path,
    loudness: Loudness,
) -> Result<(), ReportError> {
    print_results(results, out, loudness);
    print_reports(&reports?);
    if let Err(error) = tell_hosted_ci(results) {
        tell(&error);
    }
    Ok(())
}

fn tell(error: &(dyn std::error::Error + 'static)) {
    if let Some(error) = error.downcast_ref::<SpecError>() {
        error.each().into_iter().for_each(tell_mistake);
        return;
    }
    anstream::eprintln!("gymcheck: {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        anstream::eprintln!("  because: {error}");
        cause = error.source();
    }
}

/// A mistake in what users write, with the lines around it.
fn tell_mistake(mistake: &SpecError) {
    anstream::eprintln!("gymcheck: {mistake}");
    if let Some(cause) = std::error::Error::source(mistake) {
        anstream::eprintln!("  because: {cause}");
    }
    if let Some(frame) = mistake.frame() {
        anstream::eprintln!("{frame}");
    }
}

/// What the target said last, where it is the target that failed.
fn tell_last_lines(error: &(dyn std::error::Error + 'static)) {
    let Some(error) = error.downcast_ref::<PrepareError>() else {
        return;
    };
    for line in error.last_lines() {
        anstream::eprintln!("    | {line}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_ends_with_the_status_of_what_is_broken() {
        let status = |code: ExitCode| format!("{code:?}");
        let ended = broken_by_panic(|| panic!("on purpose, in a test"));
        assert_eq!(status(ended), status(ExitCode::from(3)));
        let ended = broken_by_panic(|| ExitCode::from(1));
        assert_eq!(status(ended), status(ExitCode::from(1)));
    }

    #[test]
    fn what_cannot_be_written_is_broken_and_no_mistake_of_the_call() {
        let error = ReportError::Write {
            path: "out/results.json".into(),
            source: std::io::ErrorKind::StorageFull.into(),
        };
        assert_eq!(status_of(&error), ExitStatus::Broken);
    }

    #[test]
    fn every_command_that_reads_specs_takes_a_folder_of_ones_own() {
        for call in [
            "run",
            "list",
            "check",
            "explain",
            "judge log",
            "report dir",
            "share dir",
            "new a/b",
        ] {
            let words = format!("gymcheck {call} --specs mine");
            let parsed = Cli::try_parse_from(words.split(' '));
            assert!(parsed.is_ok(), "{call}: {:?}", parsed.err());
        }
    }
}

//! Packing runs for somebody else.

use std::path::PathBuf;

use clap::Args;
use gymcheck::report::{ExitStatus, Shown, share};

use super::{Outcome, OwnSpecs};

pub(super) const EXAMPLES: &str = "\
Examples:
  gymcheck share target/gymcheck
      all runs of the last call, into gymcheck-share.zip
  gymcheck share target/gymcheck/runs/reuse/two-games/chrome+chrome --to run.zip --with-console
      one run, with what the pages' consoles say";

#[derive(Args)]
pub(super) struct ShareArguments {
    /// A run's folder, or the one that `gymcheck run --out` wrote
    dir: PathBuf,
    /// The archive
    #[arg(long, default_value = "gymcheck-share.zip", value_name = "FILE")]
    to: PathBuf,
    /// Leave in what was typed into forms
    #[arg(long)]
    with_answers: bool,
    /// Leave in the ids of participants
    #[arg(long)]
    with_subjects: bool,
    /// Leave in the text of the pages' consoles
    #[arg(long)]
    with_console: bool,
    /// Leave in the screenshots: answers may be seen on them
    #[arg(long)]
    with_pictures: bool,
    #[command(flatten)]
    own: OwnSpecs,
}

pub(super) fn share_runs(arguments: &ShareArguments) -> Outcome {
    let catalogue = arguments.own.catalogue_for(&arguments.dir)?;
    let shown = Shown {
        answers: arguments.with_answers,
        subjects: arguments.with_subjects,
        console: arguments.with_console,
        pictures: arguments.with_pictures,
    };
    let packed = share(&catalogue, &arguments.dir, &arguments.to, shown)?;
    anstream::println!("{} runs in {}", packed.runs, arguments.to.display());
    if !packed.masked.is_empty() {
        anstream::println!("masked: {}", packed.masked.join(", "));
    }
    if packed.pictures_left_out > 0 {
        anstream::println!("left out: {} pictures", packed.pictures_left_out);
    }
    if packed.logs_left_out > 0 {
        anstream::println!(
            "left out: {} logs of runs whose evidence is cut off: whom they name, it does not tell",
            packed.logs_left_out
        );
    }
    for trouble in &packed.not_judged {
        anstream::eprintln!("gymcheck: {trouble}; in the reports of the archive it is broken");
    }
    anstream::println!(
        "to leave something in: --with-answers, --with-subjects, --with-console, --with-pictures; \
         network addresses and names of browsers are not masked"
    );
    Ok(ExitStatus::AsExpected)
}

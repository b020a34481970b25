//! Writing the reports again.

use std::path::{Path, PathBuf};

use clap::Args;
use gymcheck::evidence::EVIDENCE;
use gymcheck::report::{
    Loudness, RUNS, Results, print_reports, print_results, read_results, results_again,
    write_reports,
};

use super::{Outcome, OwnSpecs};

pub(super) const EXAMPLES: &str = "\
Examples:
  gymcheck report target/gymcheck
      all reports once more, from results.json and the evidence
  gymcheck report --judge target/gymcheck
      the same, with the verdicts that the specs of this checkout give today";

#[derive(Args)]
pub(super) struct ReportArguments {
    /// The folder that `gymcheck run --out` wrote
    dir: PathBuf,
    /// Judge the evidence again instead of reading results.json, as is done where there is none
    #[arg(long)]
    judge: bool,
    #[command(flatten)]
    own: OwnSpecs,
}

pub(super) fn report(arguments: &ReportArguments, loudness: Loudness) -> Outcome {
    let out = &arguments.dir;
    let there = match arguments.judge || !out.join("results.json").is_file() {
        true => None,
        false => Some(read_results(out)?),
    };
    let results = match there {
        Some(results) if !results.unfinished => results,
        // The evidence of the run that was going on is there as well.
        Some(_) => Results {
            unfinished: true,
            ..judged_again(out, &arguments.own)?
        },
        None => judged_again(out, &arguments.own)?,
    };
    let reports = write_reports(&results, out)?;
    print_results(&results, out, loudness);
    print_reports(&reports);
    Ok(results.exit_status())
}

fn judged_again(out: &Path, own: &OwnSpecs) -> Result<Results, Box<dyn std::error::Error>> {
    if !out.join(RUNS).is_dir() {
        return Err(format!(
            "{} holds no runs: give the folder that `gymcheck run --out` wrote, with results.json or \
             the folder `{RUNS}` in it; for single logs there is `gymcheck judge`",
            out.display()
        )
        .into());
    }
    let catalogue = own.catalogue()?;
    let (results, troubles) = results_again(&catalogue, out)?;
    for trouble in troubles {
        anstream::eprintln!("gymcheck: {trouble}; it is left out");
    }
    if results.runs.is_empty() {
        return Err(format!("{} holds no {EVIDENCE} that can be judged", out.display()).into());
    }
    Ok(results)
}

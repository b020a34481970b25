//! Writing the reports again, and one report of several shards.

use std::path::{Path, PathBuf};

use clap::Args;
use gymcheck::evidence::EVIDENCE;
use gymcheck::report::{
    Loudness, OutFolder, RUNS, Results, Shards, print_reports, print_results, read_results,
    results_again, write_reports,
};

use super::{Outcome, OwnSpecs, tell_all};

pub(super) const EXAMPLES: &str = "\
Examples:
  gymcheck report target/gymcheck
      all reports once more, from results.json and the evidence
  gymcheck report --judge target/gymcheck
      the same, with the verdicts that the specs of this checkout give today
  gymcheck report shard-1 shard-2 shard-3 --out all
      one report of the shards of a call (`gymcheck run --shard 1/3 --out shard-1`, and so on), with one
      exit status; a shard that is missing is said, and makes it 3";

/// Where the report of several shards goes, unless the call says otherwise.
const MERGED: &str = "target/gymcheck-merged";

#[derive(Args)]
pub(super) struct ReportArguments {
    /// The folder that `gymcheck run --out` wrote; or those of all shards of a call, to be put together
    #[arg(value_name = "DIR", required = true)]
    dirs: Vec<PathBuf>,
    /// Judge the evidence again instead of reading results.json, as is done where there is none
    #[arg(long)]
    judge: bool,
    /// Where the shards are put together; those stay as they are [default: target/gymcheck-merged]. With it a
    /// single DIR is one of several shards, too
    #[arg(long, value_name = "OUT", conflicts_with = "judge")]
    out: Option<PathBuf>,
    #[command(flatten)]
    own: OwnSpecs,
}

pub(super) fn report(arguments: &ReportArguments, loudness: Loudness) -> Outcome {
    let [out] = arguments.dirs.as_slice() else {
        return merged(arguments, loudness);
    };
    if arguments.out.is_some() {
        return merged(arguments, loudness);
    }
    let there = match arguments.judge || !out.join("results.json").is_file() {
        true => None,
        false => Some(read_results(out)?),
    };
    let results = match there {
        Some(results) if !results.unfinished => results,
        // The evidence of the run that was going on is there as well.
        Some(_) | None => judged_again(out, &arguments.own)?,
    };
    let reports = write_reports(&results, out)?;
    print_results(&results, out, loudness);
    print_reports(&reports);
    Ok(results.exit_status())
}

/// Puts the results of shards together.
fn merged(arguments: &ReportArguments, loudness: Loudness) -> Outcome {
    if arguments.judge {
        let why = "--judge judges the runs of one folder: put the shards together first, and judge what \
                   comes of that";
        return Err(why.into());
    }
    let out = arguments.out.as_deref().unwrap_or(Path::new(MERGED));
    let shards = Shards::read(&arguments.dirs)?;
    for folder in &shards.without {
        anstream::eprintln!(
            "gymcheck: {} holds no results.json: what it was to hold counts as missing",
            folder.display()
        );
    }
    shards.check_out(out)?;
    let folder = OutFolder::take(out)?;
    folder.make_room()?;
    let results = shards.merge(out)?;
    tell_all(&results, write_reports(&results, out), out, loudness)?;
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
    let catalogue = own.catalogue_for(out)?;
    let (results, troubles) = results_again(&catalogue, out)?;
    for trouble in troubles {
        anstream::eprintln!("gymcheck: {trouble}; it is broken");
    }
    if results.runs.is_empty() {
        return Err(format!("{} holds no {EVIDENCE} that can be judged", out.display()).into());
    }
    Ok(results)
}

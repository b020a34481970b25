//! Judging what was recorded, without a browser.

use std::path::PathBuf;

use clap::Args;
use gymcheck::evidence::EVIDENCE;
use gymcheck::report::{
    Loudness, Results, defects, judge_again, logs_below, tested, width_of_verdicts, write_reports,
};

use super::{Outcome, OwnSpecs};

pub(super) const EXAMPLES: &str = "\
Examples:
  gymcheck judge target/gymcheck/runs
      every run of the last call again, as the specs of this checkout say today
  gymcheck judge evidence.jsonl --out judged
      one log, with its reports in the folder `judged`";

#[derive(Args)]
pub(super) struct JudgeArguments {
    /// Evidence files (`evidence.jsonl`) of earlier runs, or folders: all such files below them
    #[arg(required = true, value_name = "LOG")]
    logs: Vec<PathBuf>,
    /// Write the reports of what was judged into this folder
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    own: OwnSpecs,
}

pub(super) fn judge_logs(arguments: &JudgeArguments, loudness: Loudness) -> Outcome {
    let catalogue = arguments.own.catalogue()?;
    let mut results = Results::new(Vec::new());
    let mut targets = Vec::new();
    for place in &arguments.logs {
        let cannot = |error| format!("cannot read {}: {error}", place.display());
        let found = logs_below(place).map_err(cannot)?;
        if found.is_empty() {
            return Err(format!("{} holds no {EVIDENCE}", place.display()).into());
        }
        for path in found {
            let judged = judge_again(&catalogue, &path)?;
            targets.extend(judged.target);
            for mut run in judged.records {
                // A run with a mutant is judged for itself here: nobody says that it should pass.
                run.mutant = None;
                run.folder = std::path::absolute(&run.folder)?;
                results.runs.push(run);
            }
        }
    }
    results.targets = tested(&[targets]);
    print(&results, loudness);
    let status = results.exit_status();
    if let Some(out) = &arguments.out {
        results.defects = defects(&results.runs, &results.targets);
        results.explain(&catalogue);
        let reports = write_reports(&results, out)?;
        anstream::println!("report: {}", reports.html.display());
    }
    Ok(status)
}

fn print(results: &Results, loudness: Loudness) {
    let width = width_of_verdicts(&results.runs);
    for run in &results.runs {
        if loudness == Loudness::Quiet && !run.is_unexpected() {
            continue;
        }
        let (verdict, log) = (run.verdict, run.folder.display());
        anstream::println!("{verdict:<width$} {} {log}", run.spec);
        if let Some(broken) = &run.broken {
            anstream::println!("    {}: {}", broken.component, broken.reason);
        }
        for check in run.checks.iter().filter(|_| run.broken.is_none()) {
            anstream::println!(
                "    {:<width$} {:<10} {}: {}",
                check.verdict,
                check.requirement,
                check.check,
                check.account
            );
        }
    }
}

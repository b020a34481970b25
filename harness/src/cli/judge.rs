//! Judging what was recorded, without a browser.

use std::path::PathBuf;

use gymcheck::evidence::Log;
use gymcheck::report::{Results, width_of_verdicts};
use gymcheck::run::{find_root, record};
use gymcheck::spec::Catalogue;
use gymcheck::verdict::{expect, judge};

use super::Outcome;

pub(super) fn judge_logs(logs: &[PathBuf]) -> Outcome {
    let catalogue = Catalogue::read(&find_root())?;
    let mut results = Results::new(Vec::new());
    for path in logs {
        let log = Log::read(path)?;
        let Some(run) = log.run() else {
            return Err(format!("{} does not say which spec it is of", path.display()).into());
        };
        catalogue.spec(&run.spec)?;
        for spec in catalogue.judging(&run.spec) {
            let mut judgement = judge(spec, &log);
            let known = catalogue.expectations.get(&run.target);
            expect(
                &mut judgement,
                spec,
                &log,
                known.map_or(&[][..], Vec::as_slice),
            );
            let mut judged = record(spec, &log, judgement, path.clone());
            // A run with a mutant is judged for itself here: nobody says that it should pass.
            judged.mutant = None;
            results.runs.push(judged);
        }
    }
    let width = width_of_verdicts(&results.runs);
    for run in &results.runs {
        let (verdict, log) = (run.verdict, run.folder.display());
        anstream::println!("{verdict:<width$} {} {log}", run.spec);
        for check in &run.checks {
            anstream::println!(
                "    {:<width$} {:<10} {}: {}",
                check.verdict,
                check.requirement,
                check.check,
                check.account
            );
        }
    }
    Ok(results.exit_status())
}

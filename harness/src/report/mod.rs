//! Telling what was found: on the terminal, and in files for machines.

mod account;
mod defects;
mod files;
mod hosted;
mod html;
mod junit;
#[cfg(test)]
mod junit_schema;
mod matrix;
mod merge;
mod out;
mod progress;
mod rejudge;
mod repeated;
mod results;
#[cfg(test)]
mod samples;
mod share;
mod spent;
mod summary;
mod sweep;
mod terminal;
mod timeline;
mod told;
mod trace;

pub use defects::{Defect, defects};
pub use files::{AGAINST, RUNS, ReportError, Reports, read_results, write_reports, write_results};
pub use hosted::tell_hosted_ci;
pub use merge::{MergeError, Shards};
pub use out::OutFolder;
pub use progress::{Progress, RunProgress};
pub use rejudge::{Judged, RejudgeError, judge_again, logs_below, results_again, tested};
pub use repeated::{Apart, Repeated, RepeatedCheck, Which, repeated, repeated_with_partings};
pub use results::{ExitStatus, Results};
pub use share::{Packed, ShareError, Shown, share};
pub use sweep::print_sweep;
pub use terminal::{Loudness, print_reports, print_results, width_of_verdicts};
pub use timeline::{Bar, Lane, Mark, Row, Style, Timeline};
pub use trace::Trace;

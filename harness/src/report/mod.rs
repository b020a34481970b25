//! Telling what was found: on the terminal, and in files for machines.

mod account;
mod defects;
mod files;
mod html;
mod results;
mod terminal;
mod timeline;
mod trace;

pub use defects::{Defect, defects};
pub use files::{ReportError, Reports, write_reports};
pub use results::{ExitStatus, Results};
pub use terminal::{Loudness, Progress, print_results, width_of_verdicts};
pub use timeline::{Bar, Lane, Mark, Row, Style, Timeline};
pub use trace::Trace;

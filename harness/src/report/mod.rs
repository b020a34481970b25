//! Telling what was found: on the terminal, and in files for machines.

mod defects;
mod results;
mod terminal;

pub use defects::{Defect, defects};
pub use results::{ExitStatus, Results, ResultsError};
pub use terminal::{Progress, print_results, width_of_verdicts};

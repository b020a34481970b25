//! Carrying out what a spec says on a stage, and keeping what it leaves.

mod carry_out;
mod data;
mod invocation;
mod observe;
mod pixels;
mod scenario;

pub use carry_out::{RunPlan, carry_out, edits_of};
pub use invocation::{
    Fate, Invocation, MOST_RETRIES, MutantRecord, PrepareError, RunRecord, Wanted, browsers_of,
    fate_of, find_root, record, select_mutants,
};

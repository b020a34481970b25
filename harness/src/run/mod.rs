//! Carrying out what a spec says on a stage, and keeping what it leaves.

mod batch;
mod carry_out;
mod comparison;
mod data;
mod invocation;
mod leaving;
mod moments;
mod mutation;
mod observe;
mod pixels;
mod prepare;
mod preview;
mod record;
mod root;
mod scenario;

pub use batch::{Item, Selection, Side, base_of};
pub use carry_out::{RunPlan, carry_out, edits_of};
pub use comparison::{Change, Difference, compare};
pub use invocation::{Invocation, MOST_RETRIES, Wanted, browsers_of};
pub use mutation::{Fate, MutantRecord, fate_of, select_mutants};
pub use prepare::PrepareError;
pub use record::{RunRecord, record};
pub use root::find_root;

//! Carrying out what a spec says on a stage, and keeping what it leaves.

mod barrier;
mod batch;
mod carry_out;
mod comparison;
mod data;
mod effort;
mod equipment;
mod faults;
mod forge;
mod invocation;
mod jobs;
mod last_words;
mod leaving;
mod machine;
mod moments;
mod mutation;
mod observe;
mod pictures;
mod pixels;
mod prepare;
mod preview;
mod record;
mod root;
mod scenario;
mod shard;
mod silence;
mod slots;
mod supplies;
pub mod sweep;
mod walk;

pub use batch::{
    Item, Selection, Side, base_of, changes, measures_of, pair_of_runs, scenario_of, select_repairs,
};
pub use carry_out::{RunPlan, carry_out, edits_of};
pub use comparison::{Change, Difference, compare};
pub use effort::{Effort, Measuring};
pub use equipment::Equipment;
pub use invocation::{Invocation, MOST_RETRIES, Wanted, browsers_of};
pub use jobs::{IN_LINE, default_jobs};
pub use mutation::{
    EquivalentRecord, Fate, MutantRecord, equivalents, fate_of, names_all, select_mutants,
};
pub use prepare::PrepareError;
pub use record::{RunRecord, flags_of, record};
pub use root::{checkout_around_here, find_root};
pub use shard::{MissingShard, Shard, ShardRecord, name_in_plan};
pub use slots::Turn;
pub use supplies::get_supplies;

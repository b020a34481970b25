//! What must hold: reading and checking spec files, mutants and requirements, and the matrix of
//! runs that they expand to.
//!
//! Nothing here touches a network, a clock or a process.

mod catalogue;
mod check_faults;
mod check_presence;
mod coverage;
mod error;
mod events;
mod expectation;
mod fault;
mod folders;
mod game;
mod leave;
mod matrix;
mod model;
mod moment;
mod mutant;
mod named;
mod nearest;
mod needs;
mod read;
mod repair;
mod schema;
mod server_event;
mod source;
mod template;
mod words;

pub use catalogue::{Catalogue, OwnFolder};
pub use coverage::Coverage;
pub use error::SpecError;
pub use events::known_events;
pub use expectation::{Expectation, KnownVerdict};
pub use fault::*;
pub use folders::{checkout_folders, files_below, own_folder_of};
pub use game::GameNumber;
pub use leave::{Background, Leave, WayToHide, WayToLeave};
pub use matrix::{PlannedRun, each_once, select};
pub use model::*;
pub use moment::{GameEvent, Moment};
pub use mutant::{Edit, ExcusedCheck, Mutant};
pub use named::Named;
pub use nearest::nearest;
pub use read::{Reading, Requirement};
pub use repair::Repair;
pub use schema::schema_files;
pub use server_event::{Reason, ServerEvent};
pub use source::one_of;
pub use template::{SpecName, template};

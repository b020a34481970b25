//! What must hold: reading and checking spec files, mutants and requirements, and the matrix of
//! runs that they expand to.
//!
//! Nothing here touches a network, a clock or a process.

mod check_faults;
mod error;
mod events;
mod fault;
mod matrix;
mod model;
mod mutant;
mod named;
mod read;
mod server_event;

pub use error::SpecError;
pub use events::known_events;
pub use fault::*;
pub use matrix::{PlannedRun, select};
pub use model::*;
pub use mutant::{Edit, ExcusedCheck, Mutant};
pub use named::Named;
pub use read::{Catalogue, Requirement};
pub use server_event::{Reason, ServerEvent};

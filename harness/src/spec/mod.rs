//! What must hold: reading and checking spec files, mutants and requirements, and the matrix of
//! runs that they expand to.
//!
//! Nothing here touches a network, a clock or a process.

mod check_presence;
mod error;
mod leave;
mod matrix;
mod model;
mod moment;
mod mutant;
mod read;

pub use error::SpecError;
pub use leave::{Background, Leave, WayToHide, WayToLeave};
pub use matrix::{PlannedRun, select};
pub use model::*;
pub use moment::{GameEvent, LAST_FRAMES, Moment};
pub use mutant::{Edit, ExcusedCheck, Mutant};
pub use read::{Catalogue, Requirement};

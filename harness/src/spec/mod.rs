//! What must hold: reading and checking spec files, mutants and requirements, and the matrix of
//! runs that they expand to.
//!
//! Nothing here touches a network, a clock or a process.

mod error;
mod expectation;
mod game;
mod matrix;
mod model;
mod mutant;
mod read;
mod repair;

pub use error::SpecError;
pub use expectation::{Expectation, KnownVerdict};
pub use game::GameNumber;
pub use matrix::{PlannedRun, select};
pub use model::*;
pub use mutant::{Edit, ExcusedCheck, Mutant};
pub use read::{Catalogue, Requirement};
pub use repair::Repair;

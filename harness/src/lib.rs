//! gymcheck: a conformance harness for interactive_gym.
//!
//! It starts the real server, drives two real browsers through WebDriver, plays a peer-to-peer
//! game into a survey, makes one partner go away, and proves that the survivor sees no overlay and
//! that every connection is closed.
//!
//! The modules stand in the order in which the data flow: a [`spec`] says what must hold, on a
//! [`target`], with what [`provision`] got; a [`stage`] carries it out through the [`gateway`], the
//! [`probe`] and the [`player`]s; all of it becomes [`evidence`], on which a [`verdict`] is passed,
//! which a [`report`] tells.

mod causes;
pub mod evidence;
pub mod gateway;
pub mod player;
pub mod probe;
pub mod provision;
pub mod report;
pub mod run;
pub mod spec;
pub mod stage;
pub mod target;
mod token;
pub mod verdict;

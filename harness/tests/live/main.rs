//! Tests that start real browsers and servers. They are one program, because most of them mostly wait: while some
//! do, others work, and those that keep a machine busy take turns ([`TURNS`]).
//!
//! `cargo test --test live own_world` runs those of one module; `-- --ignored` those that take too long for each
//! time.

#[path = "../support/files.rs"]
mod files;
#[path = "../support/grid.rs"]
mod real_grid;
#[path = "../support/mod.rs"]
mod support;

mod compiled;
mod grid;
mod leave;
mod own_ground;
mod own_machine;
mod own_world;
mod probe;

/// Whose turn it is among the calls of gymcheck.
static TURNS: support::turns::Turns = support::turns::Turns::of_calls();

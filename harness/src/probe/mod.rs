//! The script in front of every other script of a page.

/// The script.
pub const SCRIPT: &str = include_str!("probe.js");

//! Finding and getting what a run needs: the target, the page's third-party assets, the browsers
//! and their drivers.
//!
//! Everything is pinned and checked by SHA-256, and everything that is got lives in one folder, the
//! [`Home`]. [`setup`] fills it: a second call finds it full and does nothing; a call that was
//! interrupted, however, is taken up by the next one; two calls at once wait for each other.
//! A run only asks: [`target`], [`assets`], [`find_browser`]. [`doctor`] says what is here, what is
//! missing and how to mend it.

mod archive;
mod asset_lock;
mod assets;
mod browsers;
mod cache;
mod checkout;
mod clean;
mod command;
#[cfg(test)]
mod container;
mod disk;
mod doctor;
mod environment;
mod error;
mod files;
mod home;
mod interrupt;
mod network;
mod own_package;
mod progress;
mod python;
mod release;
mod setup;
mod system;
mod target;

pub use assets::{Asset, assets, python_packages};
pub use browsers::{Browser, find_browser};
pub use cache::{Cache, CachePart, Holding, cache};
pub use command::quoted;
pub(crate) use disk::taken;
pub use doctor::{Finding, State, doctor};
pub use error::{Outcome, ProvisionError};
pub use home::{Home, HomeUse};
pub use network::default_route;
pub use own_package::with_own_package;
pub use setup::{SetupOptions, setup};
pub use target::target;

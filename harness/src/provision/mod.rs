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
mod capacity;
mod cdn;
mod checkout;
mod clean;
mod command;
mod compiled;
#[cfg(test)]
mod container;
mod copies;
mod disk;
mod doctor;
mod environment;
mod error;
pub(crate) mod file_lock;
mod files;
mod further;
mod further_lock;
mod grid;
mod home;
mod interrupt;
mod member;
mod network;
mod npm_package;
mod own_package;
mod progress;
mod public_address;
mod pyodide_list;
mod python;
mod python_wheels;
mod release;
mod scratch;
mod setup;
mod supply;
mod system;
mod target;
mod wheel;

pub use assets::{Asset, assets, pyodide_list};
pub use browsers::{Browser, find_browser};
pub use cache::{Cache, CachePart, Holding, cache};
pub(crate) use capacity::{free_memory, processors};
pub use cdn::{Cdn, CdnError, Recorded};
pub use command::quoted;
pub use compiled::Compiled;
pub(crate) use compiled::cache_files;
pub(crate) use copies::{copy_below, files_below};
pub(crate) use disk::{is_full, taken};
pub use doctor::{Finding, State, doctor};
pub use error::{Outcome, ProvisionError};
pub use further::further;
pub use grid::{GridServer, grid_server};
pub use home::{Home, HomeUse};
pub(crate) use interrupt::{heeded, noted_elsewhere};
pub use network::default_route;
pub use own_package::own_package;
pub use pyodide_list::PyodideList;
pub use scratch::{scratch, scratches};
pub use setup::{SetupOptions, setup};
pub use supply::{Question, Supply, leave_out, list_of_cdn};
pub use target::target;

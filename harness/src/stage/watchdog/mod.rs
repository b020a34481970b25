//! What ends all that a killed gymcheck left.
//!
//! SIGKILL gives nobody the time to end what it started. So, as long as anything stands that must not be
//! left, one child of this program waits beside it: this program once more, called with [`ARGUMENT`]. It
//! reads from a pipe whose other end only its parent holds. Over that pipe it is told which folders stand
//! and which processes serve them. When the pipe ends without all of it having been taken back, nobody
//! else is there to end it: it ends the processes, removes the folders, and ends itself. With nothing left
//! to watch over, its parent lets it go and waits for its end.
//!
//! It is in a process group of its own and heeds no SIGINT, SIGTERM or SIGHUP: what a terminal, or a tool
//! like `timeout`, sends to its parent's group does not reach it.

mod keeper;
mod left_over;
mod watching;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::grid::Claim;
use super::tree::Member;

pub use keeper::TemporaryFolder;
pub(super) use keeper::{forget, forget_claim, watch_claim, watch_folder, watch_process};
pub use watching::watchdog;

/// What calls this program as a watchdog: nothing that anybody would type.
const ARGUMENT: &str = "__watch-over-stages";

/// What the watchdog says once it watches: another program, or an older one, does not.
const WATCHING: &str = "watching";

/// What the watchdog is told, each in one line.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Word {
    /// A folder stands. Processes that carry its path as their mark are of it.
    Stands {
        /// Its path.
        folder: PathBuf,
        /// Whether it stays when its processes are ended.
        keep: bool,
    },
    /// A process was started for a folder.
    Started {
        /// The folder.
        folder: PathBuf,
        /// The process.
        process: Member,
    },
    /// Something was asked of a grid for a folder, or is known better: sessions are ended as processes are.
    Claimed {
        /// The folder.
        folder: PathBuf,
        /// What.
        claim: Claim,
    },
    /// It was given back.
    GivenBack {
        /// The folder.
        folder: PathBuf,
        /// What.
        claim: Claim,
    },
    /// A folder is gone, with its processes.
    Gone {
        /// Its path.
        folder: PathBuf,
    },
}

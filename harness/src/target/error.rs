//! What is wrong with a target that was asked for.

use std::path::PathBuf;

use thiserror::Error;

/// What is wrong with a target that was asked for: a mistake in the call.
#[derive(Debug, Error)]
pub enum TargetError {
    /// A text that names neither a release nor a folder.
    #[error(
        "{text:?} names no target; write a release as mug@0.1.3, the path of a checkout, as ./mug, or the address of a server that runs, as http://localhost:8000"
    )]
    UnknownRelease {
        /// The text.
        text: String,
    },
    /// The address of a running server that cannot be one.
    #[error("{text} cannot be tested as a server that runs: {advice}")]
    Address {
        /// The text.
        text: String,
        /// What to do instead.
        advice: String,
    },
    /// Nobody knows the host of an address.
    #[error("nobody knows where {address} is")]
    UnknownHost {
        /// The address.
        address: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// A text that names no experiment.
    #[error("{text:?} is no experiment: {advice}")]
    Experiment {
        /// The text.
        text: String,
        /// What may have been meant.
        advice: String,
    },
    /// A target whose code is not at hand.
    #[error(
        "`{edit}` changes {file}, and the code of the target {target} is not at hand: it can only be tried \
         on a release or a checkout"
    )]
    NoCode {
        /// The mutant or the repair.
        edit: String,
        /// The target.
        target: String,
        /// The file.
        file: String,
    },
    /// The folder of a checkout cannot be looked into.
    #[error("cannot look into the checkout {}", path.display())]
    NoFolder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A folder without the target's package.
    #[error("{} holds neither mug/ nor interactive_gym/; {advice}", path.display())]
    NoPackage {
        /// The folder.
        path: PathBuf,
        /// What may have been meant.
        advice: String,
    },
    /// A package of the right name that is not the target's.
    #[error("{target} has no server: its package {package} lacks {missing}")]
    NoServer {
        /// The target.
        target: String,
        /// The package.
        package: &'static str,
        /// The file that is not there.
        missing: &'static str,
    },
    /// A package without its page.
    #[error(
        "{target} cannot serve a page: its package {package} lacks {missing} (releases before mug@0.1.3 were published without their JavaScript; give the path of a checkout of that version instead)"
    )]
    NoPage {
        /// The target.
        target: String,
        /// The package.
        package: &'static str,
        /// The file that is not there.
        missing: &'static str,
    },
    /// No such version was published.
    #[error("there is no release {release} that can be installed here; published: {published}")]
    NoVersion {
        /// The release.
        release: String,
        /// The versions that there are.
        published: String,
    },
    /// A file of the target cannot be read.
    #[error("cannot read {file} of the target {target}")]
    Unreadable {
        /// The target.
        target: String,
        /// The file.
        file: String,
        /// What the system said.
        source: std::io::Error,
    },
}

//! What is wrong with a target that was asked for.

use std::path::PathBuf;

use thiserror::Error;

/// What is wrong with a target that was asked for: a mistake in the call.
#[derive(Debug, Error)]
pub enum TargetError {
    /// A text that names neither a release nor a folder.
    #[error(
        "{text:?} names no target; write a release as mug@0.1.3, or the path of a checkout, as ./mug"
    )]
    UnknownRelease {
        /// The text.
        text: String,
    },
    /// A server that already runs.
    #[error(
        "{text} is an address; a server that already runs cannot be tested yet: give a release as mug@0.1.3, or the path of a checkout"
    )]
    Address {
        /// The text.
        text: String,
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

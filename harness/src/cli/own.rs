//! A user's own folder of specs.

use std::path::{Path, PathBuf};

use clap::Args;
use gymcheck::report::read_results;
use gymcheck::run::find_root;
use gymcheck::spec::{Catalogue, SpecError};

use super::sweep::add_specs;

/// A user's own folder, for every command that reads specs.
#[derive(Args)]
pub(super) struct OwnSpecs {
    /// A folder of your own, used beside the checkout: specs (DIR/CONCERN/NAME.toml), DIR/mutants/,
    /// DIR/repairs/, DIR/expectations/ and DIR/requirements.toml
    #[arg(id = "own-specs", long = "specs", value_name = "DIR")]
    folder: Option<PathBuf>,
}

impl OwnSpecs {
    /// The folder, if the call names one.
    pub(super) fn folder(&self) -> Option<&Path> {
        self.folder.as_deref()
    }

    /// All that the checkout and the folder hold.
    pub(super) fn catalogue(&self) -> Result<Catalogue, SpecError> {
        Catalogue::read_with(&find_root(), self.folder())
    }

    /// The same for what a call left in a folder: if that was a sweep, with the specs that it has written there.
    pub(super) fn catalogue_for(&self, out: &Path) -> Result<Catalogue, SpecError> {
        let mut catalogue = self.catalogue()?;
        if read_results(out).is_ok_and(|results| results.sweep.is_some()) {
            add_specs(&mut catalogue, out)?;
        }
        Ok(catalogue)
    }
}

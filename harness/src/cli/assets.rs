//! Where what a page asks of public hosts comes from.

use clap::{Args, ValueEnum};
use gymcheck::provision::{Cdn, CdnError, Home, ProvisionError};

/// For every command that gets what pages ask for.
#[derive(Args)]
pub(super) struct PageAssets {
    /// Where what the page asks of public hosts comes from, if gymcheck's lock does not have it
    #[arg(long = "assets", value_enum, default_value_t = From::Registries, value_name = "FROM")]
    from: From,
    /// Leave out these Python packages that the page installs in the browser: an empty one stands for each,
    /// for where one cannot be had and the game does without it
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    pub(super) without: Vec<String>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum From {
    /// By rule, the file of the package of the same name and version, from npm and the Python package index
    Registries,
    /// The page's own addresses, from the network: each is taken once, recorded with its digest, and answered
    /// from the record afterwards. Nothing else makes a run reach beyond this machine
    Cdn,
}

impl PageAssets {
    /// Who is asked for public addresses, if the network is to be.
    pub(super) fn cdn(&self) -> Result<Option<Cdn>, ProvisionError> {
        match self.from {
            From::Registries => Ok(None),
            From::Cdn => {
                let cdn: Result<Cdn, CdnError> = Cdn::public(&Home::locate()?);
                Ok(Some(cdn.map_err(Box::new)?))
            }
        }
    }
}

//! Browsers of a grid instead of this machine's.

use std::net::IpAddr;
use std::time::Duration;

use clap::Args;
use gymcheck::stage::{Advertised, Endpoint, Grid, Wish};

use super::parse_time;

#[derive(Args)]
pub(super) struct GridArguments {
    /// Take the browsers of a Selenium Grid that runs, as http://grid.example:4444, or of another WebDriver
    /// endpoint. They load the page from this machine: nodes must be able to dial it, and nobody else gets in.
    /// `kill` ends the browser's session there, `freeze` and `cut-network` cannot be done, and no kernel is asked
    /// for sockets
    #[arg(long, value_name = "URL")]
    webdriver: Option<Endpoint>,
    /// What the grid's nodes must dial to get to this machine, a name or an address [default: the address from
    /// which each node is reached]
    #[arg(long, value_name = "HOST", requires = "webdriver")]
    advertise: Option<Advertised>,
    /// Addresses from which browsers may come besides their nodes' own: for nodes behind a router
    #[arg(
        long,
        value_delimiter = ',',
        value_name = "ADDRESS",
        requires = "webdriver"
    )]
    admit: Vec<IpAddr>,
    /// What is asked of the grid besides the browser: capabilities as JSON, as '{"platformName":"linux"}'; for one
    /// kind of browser as 'firefox={"browserVersion":"140"}'
    #[arg(long, value_name = "[BROWSER=]JSON", requires = "webdriver")]
    capabilities: Vec<Wish>,
    /// How long a session is waited for while all slots are taken
    #[arg(long, default_value = "2m", value_name = "TIME", requires = "webdriver", value_parser = parse_time)]
    session_wait: Duration,
}

impl GridArguments {
    /// The grid, if the call names one.
    pub(super) fn grid(&self) -> Option<Grid> {
        let endpoint = self.webdriver.clone()?;
        Some(Grid {
            endpoint,
            advertise: self.advertise.clone(),
            admit: self.admit.clone(),
            capabilities: self.capabilities.clone(),
            patience: self.session_wait,
        })
    }
}

//! The browsers of an existing Selenium Grid, or of another WebDriver endpoint on some machine.
//!
//! A grid gives a session with a browser, at one of its nodes. What is to be known of it is asked of its status
//! (`GET /status`): which slots its nodes have, and at which node a session is. Another endpoint has no slots; its
//! browsers are taken to be where it is. Each player's browser gets a way to the gateway that leads from its node
//! alone. What was asked of a grid is given back to it, however the run ends: see `claim`.

mod claim;
mod endpoint;
mod offer;
mod reach;
mod session;

use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use serde_json::{Map, Value};
use thiserror::Error;

use crate::spec::BrowserKind;

pub(super) use claim::{Claim, end_claims, give_back_all};
pub use endpoint::Endpoint;
pub use reach::Advertised;
pub(super) use session::GridSession;

/// A grid, and how it is used.
#[derive(Debug, Clone)]
pub struct Grid {
    /// Where it takes WebDriver commands.
    pub endpoint: Endpoint,
    /// What its nodes must dial to get to this machine, if not the address from which they are reached.
    pub advertise: Option<Advertised>,
    /// Addresses, besides a node's own, from which a browser may come.
    pub admit: Vec<IpAddr>,
    /// What is asked for besides the browser.
    pub capabilities: Vec<Wish>,
    /// For how long a session is waited for.
    pub patience: Duration,
}

impl Grid {
    /// How many runs at once it has the slots for; nothing where it does not tell of slots.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn runs_at_once(&self, browsers: &[BrowserKind]) -> Result<Option<u8>, GridError> {
        let offer = self.endpoint.offer().await?;
        Ok(offer.runs_at_once(browsers))
    }

    /// What is asked for besides what a browser of this kind always gets.
    fn wishes(&self, kind: BrowserKind) -> Map<String, Value> {
        let wishes = self.capabilities.iter();
        let of_kind = wishes.filter(|wish| wish.browser.is_none_or(|browser| browser == kind));
        of_kind.flat_map(|wish| wish.capabilities.clone()).collect()
    }
}

/// Capabilities that are wished for, of all browsers or of one kind: `{"platformName":"linux"}`, or
/// `firefox={"browserVersion":"140"}`.
#[derive(Debug, Clone, PartialEq)]
pub struct Wish {
    /// Of which kind only.
    pub browser: Option<BrowserKind>,
    /// Capabilities of WebDriver's, and extensions.
    pub capabilities: Map<String, Value>,
}

impl FromStr for Wish {
    type Err = String;

    fn from_str(text: &str) -> Result<Wish, String> {
        let (browser, json) = match text.split_once('=') {
            Some((name, json)) if !name.contains('{') => (Some(kind(name.trim())?), json),
            Some(_) | None => (None, text),
        };
        let capabilities: Map<String, Value> = serde_json::from_str(json).map_err(|error| {
            format!("capabilities are a JSON object, as {{\"platformName\":\"linux\"}}: {error}")
        })?;
        match capabilities.get("browserName") {
            None => Ok(Wish {
                browser,
                capabilities,
            }),
            Some(_) => Err("leave out `browserName`: --pairs says which browsers are used".into()),
        }
    }
}

fn kind(name: &str) -> Result<BrowserKind, String> {
    let mut kinds = BrowserKind::ALL.into_iter();
    kinds
        .find(|kind| kind.to_string() == name)
        .ok_or_else(|| format!("`{name}` is no kind of browser: chrome or firefox"))
}

/// What a grid does not do.
#[derive(Debug, Error)]
pub enum GridError {
    /// It takes no request.
    #[error(
        "the grid {endpoint} does not answer: {why}; see whether it runs there and can be reached from here"
    )]
    Unreachable {
        /// Which one.
        endpoint: String,
        /// What happened.
        why: String,
    },
    /// It takes a request, and does not answer in time: a driver answers nothing while its browser loads a page.
    #[error("the grid {endpoint} did not answer within {} s when it was asked to {what}", .within.as_secs())]
    Silent {
        /// Which one.
        endpoint: String,
        /// What was asked of it.
        what: String,
        /// How long it was waited for.
        within: Duration,
    },
    /// It answers with an error.
    #[error("the grid {endpoint} refuses to {what}: {said}")]
    Refused {
        /// Which one.
        endpoint: String,
        /// What was asked of it.
        what: String,
        /// What it said.
        said: String,
        /// WebDriver's code of the error, as `invalid session id`.
        code: String,
    },
    /// None of its nodes has such a browser.
    #[error("no node of the grid {endpoint} has {wanted}; it has {offered}")]
    NobodyHas {
        /// Which one.
        endpoint: String,
        /// What was asked for.
        wanted: String,
        /// What its nodes have.
        offered: String,
    },
    /// It gives no session.
    #[error("the grid {endpoint} gave the {player} no session with {wanted}: {why}")]
    NoSession {
        /// Which one.
        endpoint: String,
        /// For whom.
        player: String,
        /// What was asked for.
        wanted: String,
        /// What happened.
        why: String,
    },
    /// Where a node is cannot be found out, or no way leads from it to here.
    #[error("the {player}'s node {node} has no way to this machine: {why}")]
    OutOfReach {
        /// Whose.
        player: String,
        /// The node.
        node: String,
        /// What is missing, and what to do.
        why: String,
    },
    /// What only the machine can do on which a browser runs.
    #[error(
        "a browser on the grid {endpoint} cannot {what}: that takes the machine on which it runs"
    )]
    NotHere {
        /// Which one.
        endpoint: String,
        /// What.
        what: &'static str,
    },
}

impl GridError {
    /// Whether another time may help.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        match self {
            GridError::Unreachable { .. }
            | GridError::Silent { .. }
            | GridError::Refused { .. }
            | GridError::NoSession { .. } => true,
            GridError::NobodyHas { .. }
            | GridError::OutOfReach { .. }
            | GridError::NotHere { .. } => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_is_for_all_browsers_or_for_one_kind() {
        let all: Wish = r#"{"platformName":"linux","x:a":"b=c"}"#.parse().unwrap();
        assert_eq!(all.browser, None);
        assert_eq!(all.capabilities["x:a"], "b=c");
        let one: Wish = r#"firefox={"browserVersion":"140"}"#.parse().unwrap();
        assert_eq!(one.browser, Some(BrowserKind::Firefox));
        for wrong in [
            "linux",
            "safari={}",
            "{\"browserName\":\"chrome\"}",
            "chrome=[]",
        ] {
            assert!(wrong.parse::<Wish>().is_err(), "{wrong}");
        }
        let grid = Grid {
            endpoint: "http://grid.example:4444".parse().unwrap(),
            advertise: None,
            admit: Vec::new(),
            capabilities: vec![all, one],
            patience: Duration::from_secs(1),
        };
        assert_eq!(grid.wishes(BrowserKind::Chrome).len(), 2);
        assert_eq!(grid.wishes(BrowserKind::Firefox).len(), 3);
    }
}

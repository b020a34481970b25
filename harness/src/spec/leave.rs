//! How players go away, and how they only seem to.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::source::one_of;
use super::{Moment, PlayerName};

/// How a player goes away.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Leave {
    /// Who.
    pub player: PlayerName,
    /// How.
    pub how: WayToLeave,
    /// When. Until then all who are there play on. Without it: at once.
    pub at: Option<Moment>,
}

/// A way to go away. After each of them the page where the player played is gone, or nothing of it comes
/// to the target any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum WayToLeave {
    /// SIGKILL to the browser and all of its processes.
    Kill,
    /// The tab is closed; the browser stays.
    CloseTab,
    /// The browser is quit in an orderly way.
    Quit,
    /// The tab goes to another page.
    Navigate,
    /// The page is loaded again.
    Reload,
    /// SIGSTOP to the browser and all of its processes: nothing of it ends, and nothing of it answers. The
    /// target notices by the time-out of its pings.
    Freeze,
    /// The gateway keeps the player's connections to the target open and passes nothing on them any more.
    /// The target notices by the time-out of its pings; what players send each other goes on.
    Stall,
    /// The player's network goes, as when a cable is pulled: nothing passes any more, neither to the target
    /// nor to the other player. Each player is a host of its own for that, in a network namespace, which needs
    /// rights that root has. The target notices by the time-out of its pings.
    CutNetwork,
}

impl WayToLeave {
    /// Every way.
    pub const ALL: [WayToLeave; 8] = [
        WayToLeave::Kill,
        WayToLeave::CloseTab,
        WayToLeave::Quit,
        WayToLeave::Navigate,
        WayToLeave::Reload,
        WayToLeave::Freeze,
        WayToLeave::Stall,
        WayToLeave::CutNetwork,
    ];

    /// Whether it is the target that has to notice, since nothing tells it.
    #[must_use]
    pub fn is_silent(self) -> bool {
        match self {
            WayToLeave::Freeze | WayToLeave::Stall | WayToLeave::CutNetwork => true,
            WayToLeave::Kill
            | WayToLeave::CloseTab
            | WayToLeave::Quit
            | WayToLeave::Navigate
            | WayToLeave::Reload => false,
        }
    }
}

impl FromStr for WayToLeave {
    type Err = String;

    fn from_str(text: &str) -> Result<WayToLeave, String> {
        one_of("way to leave", text, &WayToLeave::ALL)
    }
}

impl fmt::Display for WayToLeave {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            WayToLeave::Kill => "kill",
            WayToLeave::CloseTab => "close-tab",
            WayToLeave::Quit => "quit",
            WayToLeave::Navigate => "navigate",
            WayToLeave::Reload => "reload",
            WayToLeave::Freeze => "freeze",
            WayToLeave::Stall => "stall",
            WayToLeave::CutNetwork => "cut-network",
        })
    }
}

/// Whose page goes into the background.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Background {
    /// Who.
    pub player: PlayerName,
    /// How.
    #[serde(default)]
    pub how: WayToHide,
}

/// A way to put a page into the background: both hide it in every browser, headless ones included.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum WayToHide {
    /// Another tab comes in front.
    #[default]
    Tab,
    /// The window is minimised.
    Minimise,
}

impl fmt::Display for WayToHide {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            WayToHide::Tab => "tab",
            WayToHide::Minimise => "minimise",
        })
    }
}

impl fmt::Display for Leave {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} leaves ({})", self.player, self.how)?;
        match &self.at {
            Some(moment) => write!(f, " {moment}"),
            None => Ok(()),
        }
    }
}

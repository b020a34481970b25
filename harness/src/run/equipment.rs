//! The browsers of a call's runs, and what they let nobody do who is not on their machine.

use std::collections::BTreeMap;

use crate::evidence::Source;
use crate::provision::Browser;
use crate::spec::{BrowserKind, Pair, PlayerName, Spec, Step, WayToLeave};
use crate::stage::{Browsers, Grid};

/// Where the browsers of all runs of a call are.
pub enum Equipment {
    /// On this machine, by kind.
    Here(BTreeMap<BrowserKind, Browser>),
    /// On a grid.
    OnGrid(Grid),
}

impl Equipment {
    /// Those of a pair.
    pub(super) fn of(&self, pair: Pair) -> Browsers<'_> {
        let players = PlayerName::BOTH.into_iter();
        match self {
            Equipment::Here(browsers) => Browsers::Here(
                players
                    .filter_map(|player| Some((player, browsers.get(&pair.of(player))?.clone())))
                    .collect(),
            ),
            Equipment::OnGrid(grid) => Browsers::OnGrid(
                grid,
                players.map(|player| (player, pair.of(player))).collect(),
            ),
        }
    }

    /// The browser of this machine, if they are here.
    pub(super) fn here(&self, kind: BrowserKind) -> Option<&Browser> {
        match self {
            Equipment::Here(browsers) => browsers.get(&kind),
            Equipment::OnGrid(_) => None,
        }
    }

    /// What is known of a browser before a run.
    pub(super) fn told(&self, kind: BrowserKind) -> Option<String> {
        match self {
            Equipment::Here(browsers) => {
                let browser = browsers.get(&kind)?;
                Some(format!("{kind} {}", browser.version))
            }
            Equipment::OnGrid(grid) => Some(format!("{kind} of the grid {}", grid.endpoint)),
        }
    }

    /// The grid, if they are on one.
    pub(super) fn grid(&self) -> Option<&Grid> {
        match self {
            Equipment::Here(_) => None,
            Equipment::OnGrid(grid) => Some(grid),
        }
    }

    /// What cannot be seen of them, and why.
    pub(super) fn lacks(&self) -> Option<(Source, String)> {
        let grid = self.grid()?;
        let why = format!(
            "the browsers run at nodes of the grid {}, whose kernels are not asked",
            grid.endpoint
        );
        Some((Source::Kernel, why))
    }

    /// The first step of a spec that cannot be done to them, and why.
    pub(super) fn cannot<'a>(&self, spec: &'a Spec) -> Option<(usize, &'a Step, String)> {
        let grid = self.grid()?;
        spec.body.steps.iter().enumerate().find_map(|(index, step)| {
            let Step::Leave(leave) = step else {
                return None;
            };
            on_grid(leave.how).is_none().then(|| {
                let how = leave.how;
                let why = format!(
                    "`{how}` takes the machine on which a browser runs, and the browsers run at nodes of the grid {}",
                    grid.endpoint
                );
                (index, step, why)
            })
        })
    }
}

/// The way in which a browser on a grid can leave that is to leave in this one; none where nothing comes near it.
pub(super) fn on_grid(how: WayToLeave) -> Option<WayToLeave> {
    match how {
        // Nobody else's processes can be killed. The node ends its browser with the session, and the page tells
        // nobody of that either.
        WayToLeave::Kill => Some(WayToLeave::Quit),
        WayToLeave::Freeze | WayToLeave::CutNetwork => None,
        WayToLeave::Quit
        | WayToLeave::CloseTab
        | WayToLeave::Navigate
        | WayToLeave::Reload
        | WayToLeave::Stall => Some(how),
    }
}

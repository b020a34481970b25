//! What a player cannot do who has left, or whose page is in the background.

use std::collections::BTreeSet;

use super::model::{PlayerName, Players, Step, Walk};
use super::{Leave, WayToLeave};

/// Where the players are, step by step.
#[derive(Default)]
struct Presence {
    left: BTreeSet<PlayerName>,
    hidden: BTreeSet<PlayerName>,
}

/// The first step that asks something of a player who cannot do it: its number from 0, the player, and
/// what is wrong.
pub(super) fn mistake(steps: &[Step]) -> Option<(usize, PlayerName, String)> {
    let mut presence = Presence::default();
    steps.iter().enumerate().find_map(|(index, step)| {
        let (player, message) = presence.take(step)?;
        Some((index, player, message))
    })
}

impl Presence {
    /// Takes a step. Gives what is wrong with it.
    fn take(&mut self, step: &Step) -> Option<(PlayerName, String)> {
        match step {
            Step::Answer(who) => self.in_front(who.player),
            Step::Arrive(arrive) => self.there(arrive.player),
            Step::Watch(watch) => self.there(watch.player),
            Step::Provoke(provoke) => self.there(provoke.player),
            Step::Sever(who) => self.there(who.player),
            Step::Background(background) => {
                let wrong = self.in_front(background.player);
                self.hidden.insert(background.player);
                wrong
            }
            Step::Foreground(who) => self.there(who.player).or_else(|| {
                let hidden = self.hidden.remove(&who.player);
                (!hidden).then(|| not_in_background(who.player))
            }),
            Step::Leave(leave) => self.leave(leave),
            Step::Start(Players { players })
            | Step::Solo(Players { players })
            | Step::Walk(Walk { players, .. }) => {
                players.iter().find_map(|player| self.in_front(*player))
            }
            _ => None,
        }
    }

    fn leave(&mut self, leave: &Leave) -> Option<(PlayerName, String)> {
        let wrong = match leave.how {
            WayToLeave::Kill
            | WayToLeave::Quit
            | WayToLeave::Freeze
            | WayToLeave::Stall
            | WayToLeave::CutNetwork => self.there(leave.player),
            WayToLeave::CloseTab | WayToLeave::Navigate | WayToLeave::Reload => {
                self.in_front(leave.player)
            }
        };
        let of = leave.at.and_then(|moment| self.there(moment.of));
        self.left.insert(leave.player);
        wrong.or(of)
    }

    fn there(&self, player: PlayerName) -> Option<(PlayerName, String)> {
        self.left.contains(&player).then(|| {
            let wrong =
                format!("the {player} has left in an earlier step, expected another player");
            (player, wrong)
        })
    }

    fn in_front(&self, player: PlayerName) -> Option<(PlayerName, String)> {
        self.there(player).or_else(|| {
            self.hidden.contains(&player).then(|| {
                let wrong = format!(
                    "the {player}'s page is in the background, expected a step `foreground` before"
                );
                (player, wrong)
            })
        })
    }
}

fn not_in_background(player: PlayerName) -> (PlayerName, String) {
    let wrong = format!(
        "the {player}'s page is not in the background, expected an earlier step `background`"
    );
    (player, wrong)
}

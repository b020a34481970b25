//! The rules of `duet`, a second time: its environment is
//! `fixtures/experiments/duet/environment.py`. Written apart from it on purpose, so that the record
//! is held against something that no code of the target's or of the page's had a hand in.

use super::{cell, frames};
use crate::evidence::DataFile;

/// The experiment's name.
pub(super) const NAME: &str = "duet";

const RING: i64 = 97;
const TALLIES: i64 = 9973;

/// Rewards are sums of tenths: what differs by less is the same number, written in another way.
const TOLERANCE: f64 = 1e-6;

/// Two walkers on a ring.
struct Duet {
    left: i64,
    right: i64,
    tally: i64,
}

impl Duet {
    fn new(seed: u64) -> Duet {
        Duet {
            left: 24,
            right: 72,
            tally: i64::try_from(seed % RING.unsigned_abs()).unwrap_or_default(),
        }
    }

    /// What both earn for this frame.
    fn step(&mut self, left: i64, right: i64) -> f64 {
        let (by_left, by_right) = (stride(left), stride(right));
        self.left = (self.left + by_left + by_right.div_euclid(3)).rem_euclid(RING);
        self.right = (self.right + by_right + by_left.div_euclid(3)).rem_euclid(RING);
        self.tally = (self.tally * 3 + 5 * left + 7 * right + 1).rem_euclid(TALLIES);
        let near = (self.left - self.right).abs() < RING / 4;
        let tenths = self.tally % 10 + if near { 10 } else { 0 };
        tenths as f64 / 10.0
    }
}

/// How far an action walks.
fn stride(action: i64) -> i64 {
    match action {
        1 => -3,
        2 => 3,
        _ => 0,
    }
}

/// Plays an episode again from its recorded actions, and says how many rewards are the recorded
/// ones; or what is the first that is not.
pub(super) fn play_again(seed: u64, file: &DataFile) -> Result<usize, String> {
    let column = |name: &str| {
        file.columns
            .iter()
            .position(|column| column == name)
            .ok_or_else(|| format!("the record has no column {name}"))
    };
    let actions = (column("actions.left")?, column("actions.right")?);
    let rewards = [column("rewards.left")?, column("rewards.right")?];
    let mut duet = Duet::new(seed);
    let mut count = 0;
    for (index, row) in frames(file).enumerate() {
        let earned = duet.step(action(cell(row, actions.0))?, action(cell(row, actions.1))?);
        for reward in rewards {
            let recorded = cell(row, reward);
            let is_it = recorded
                .parse::<f64>()
                .is_ok_and(|recorded| (recorded - earned).abs() < TOLERANCE);
            if !is_it {
                return Err(format!(
                    "row {index} has the reward {recorded}, its actions earn {earned}"
                ));
            }
            count += 1;
        }
    }
    Ok(count)
}

/// An action, of which an empty cell is the default one.
fn action(text: &str) -> Result<i64, String> {
    if text.is_empty() {
        return Ok(0);
    }
    text.parse::<f64>()
        .map(|number| number as i64)
        .map_err(|_| format!("`{text}` is no action"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_walkers_walk_as_in_the_experiment() {
        // What `environment.py` answers to `reset(seed=1796014342)` and these actions.
        let mut duet = Duet::new(1_796_014_342);
        let earned: Vec<f64> = [(0, 0), (0, 0), (2, 2), (0, 2), (1, 0), (2, 1)]
            .into_iter()
            .map(|(left, right)| duet.step(left, right))
            .collect();
        assert_eq!(earned, [0.6, 0.9, 0.2, 0.1, 0.6, 0.0]);
    }
}

//! Which game of a spec: its number, and the names of what is taken down of each game without
//! being asked for.

use std::fmt;
use std::num::NonZeroU32;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The number of a game for two within a run, from 1.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
pub struct GameNumber(NonZeroU32);

impl GameNumber {
    /// The first game.
    pub const FIRST: GameNumber = GameNumber(NonZeroU32::MIN);

    /// The game that follows so many others.
    #[must_use]
    pub fn after(others: usize) -> GameNumber {
        let others = u32::try_from(others).unwrap_or(u32::MAX);
        GameNumber(NonZeroU32::MIN.saturating_add(others))
    }

    /// The number itself.
    #[must_use]
    pub fn get(self) -> u32 {
        self.0.get()
    }

    /// How many games come before it.
    #[must_use]
    pub fn index(self) -> usize {
        self.0.get() as usize - 1
    }

    /// The moment before the game, when nobody has pressed Start: `before-game`, `before-game-2`, …
    #[must_use]
    pub fn before(self) -> String {
        self.label("before-game")
    }

    /// A moment while the game is running: `in-game`, `in-game-2`, …
    #[must_use]
    pub fn during(self) -> String {
        self.label("in-game")
    }

    fn label(self, moment: &str) -> String {
        if self == GameNumber::FIRST {
            moment.to_owned()
        } else {
            format!("{moment}-{self}")
        }
    }
}

impl Default for GameNumber {
    fn default() -> GameNumber {
        GameNumber::FIRST
    }
}

impl fmt::Display for GameNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_game_needs_no_number_in_a_label() {
        assert_eq!(GameNumber::FIRST.before(), "before-game");
        assert_eq!(GameNumber::after(0), GameNumber::FIRST);
        assert_eq!(GameNumber::after(2).during(), "in-game-3");
        assert_eq!(GameNumber::after(2).index(), 2);
    }
}

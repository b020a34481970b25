//! Playing with keys.

use std::time::Duration;

use fantoccini::actions::{InputSource, KeyAction, KeyActions};
use fantoccini::key::Key;
use serde_json::json;

use super::{Player, PlayerError};

/// How long a key is held, and how long the hand rests before the next one: within human range,
/// and several frames long, so that a frame sees it.
const HELD: Duration = Duration::from_millis(180);
const REST: Duration = Duration::from_millis(60);

/// The frame of the episode that the page plays now, where its game object says one.
const FRAME: &str = "return window.game ? window.game.frameNumber : null;";

/// How a player plays.
#[derive(Debug, Clone)]
pub struct Hands {
    /// The keys that the game takes, by their names (UI Events, `KeyboardEvent.key`).
    pub keys: Vec<String>,
    /// From this frame of each episode on the hands rest.
    ///
    /// They rest because a key that changes in the last frames may reach the other page after it has
    /// played them. Some clients then store an episode without its last rows, by chance: that would
    /// decide about runs that ask something else.
    pub rest_from: u32,
}

impl Player {
    /// Plays until `done` ends, which says when the game is over.
    ///
    /// # Errors
    /// The browser does not take the keys, or `done` fails.
    pub async fn play<T>(
        &self,
        hands: &Hands,
        done: impl Future<Output = Result<T, PlayerError>>,
    ) -> Result<T, PlayerError> {
        tokio::pin!(done);
        for key in melody(&hands.keys).into_iter().cycle() {
            tokio::select! {
                done = &mut done => return done,
                pressed = self.press_or_rest(key, hands.rest_from) => pressed?,
            }
        }
        // There is no key to press.
        done.await
    }

    async fn press_or_rest(&self, key: (&str, char), rest_from: u32) -> Result<(), PlayerError> {
        let frame = self.client.execute(FRAME, Vec::new());
        let frame = self.command("say its frame", frame).await?;
        if frame.as_u64().is_none_or(|frame| frame < rest_from.into()) {
            return self.press(key).await;
        }
        let pause = KeyAction::Pause { duration: REST };
        let rest = KeyActions::new("keys".to_owned()).then(pause);
        self.command("rest", self.client.perform_actions(rest))
            .await
    }

    /// Presses a key as a person does: down, a while, up.
    async fn press(&self, (name, key): (&str, char)) -> Result<(), PlayerError> {
        let keys = KeyActions::new("keys".to_owned())
            .then(KeyAction::Down { value: key })
            .then(KeyAction::Pause { duration: HELD })
            .then(KeyAction::Up { value: key })
            .then(KeyAction::Pause { duration: REST });
        self.act("press a key", json!(name));
        self.command("press a key", self.client.perform_actions(keys))
            .await
    }
}

/// The keys in the order in which they are pressed, again and again: each once, the last one twice, so
/// that what they do does not cancel out.
fn melody(names: &[String]) -> Vec<(&str, char)> {
    let keys: Vec<(&str, char)> = names
        .iter()
        .filter_map(|name| Some((name.as_str(), key(name)?)))
        .collect();
    let last = keys.last().copied();
    keys.into_iter().chain(last).collect()
}

/// The key of a name, as WebDriver takes it (W3C WebDriver, 17.4.2, keyboard actions). Keys that are to be
/// pressed together have no single one.
fn key(name: &str) -> Option<char> {
    let mut letters = name.chars();
    if let (Some(letter), None) = (letters.next(), letters.next()) {
        return Some(letter);
    }
    let key = match name {
        "ArrowLeft" => Key::Left,
        "ArrowRight" => Key::Right,
        "ArrowUp" => Key::Up,
        "ArrowDown" => Key::Down,
        "Enter" => Key::Enter,
        "Tab" => Key::Tab,
        "Backspace" => Key::Backspace,
        "Delete" => Key::Delete,
        "Home" => Key::Home,
        "End" => Key::End,
        "PageUp" => Key::PageUp,
        "PageDown" => Key::PageDown,
        "Shift" => Key::Shift,
        "Space" | "Spacebar" => return Some(' '),
        _ => return None,
    };
    Some(key.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keys_of_a_game_are_pressed_by_their_names() {
        let names = ["ArrowLeft", "ArrowUp,ArrowLeft", "w", "Space"].map(str::to_owned);
        let left: char = Key::Left.into();
        let space = ("Space", ' ');
        assert_eq!(
            melody(&names),
            [("ArrowLeft", left), ("w", 'w'), space, space]
        );
        assert!(melody(&[]).is_empty());
    }
}

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

impl Player {
    /// Plays with the arrow keys until `done` ends, which says when the game is over.
    ///
    /// # Errors
    /// The browser does not take the keys, or `done` fails.
    pub async fn play<T>(
        &self,
        done: impl Future<Output = Result<T, PlayerError>>,
    ) -> Result<T, PlayerError> {
        tokio::pin!(done);
        for key in [Key::Left, Key::Right, Key::Right].into_iter().cycle() {
            tokio::select! {
                done = &mut done => return done,
                pressed = self.press(key) => pressed?,
            }
        }
        done.await
    }

    /// Presses a key as a person does: down, a while, up.
    async fn press(&self, key: Key) -> Result<(), PlayerError> {
        let keys = KeyActions::new("keys".to_owned())
            .then(KeyAction::Down { value: key.into() })
            .then(KeyAction::Pause { duration: HELD })
            .then(KeyAction::Up { value: key.into() })
            .then(KeyAction::Pause { duration: REST });
        self.act("press a key", json!(format!("{key:?}")));
        self.command("press a key", self.client.perform_actions(keys))
            .await
    }
}

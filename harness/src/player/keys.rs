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

impl Player {
    /// Plays with the arrow keys until `done` ends, which says when the game is over. From this
    /// frame of each episode on the hands rest.
    ///
    /// They rest because a key that changes in the last frames may reach the other page after it has
    /// played them. Some clients then store an episode without its last rows, by chance: that would
    /// decide about runs that ask something else.
    ///
    /// # Errors
    /// The browser does not take the keys, or `done` fails.
    pub async fn play<T>(
        &self,
        rest_from: u32,
        done: impl Future<Output = Result<T, PlayerError>>,
    ) -> Result<T, PlayerError> {
        tokio::pin!(done);
        for key in [Key::Left, Key::Right, Key::Right].into_iter().cycle() {
            tokio::select! {
                done = &mut done => return done,
                pressed = self.press_or_rest(key, rest_from) => pressed?,
            }
        }
        done.await
    }

    async fn press_or_rest(&self, key: Key, rest_from: u32) -> Result<(), PlayerError> {
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

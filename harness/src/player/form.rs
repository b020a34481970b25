//! Answering a form scene with real input.

use fantoccini::Locator;
use fantoccini::elements::Element;
use serde_json::{Value, json};

use super::{Player, PlayerError};

/// What is typed into a text box. It has what breaks careless storing: quotes, a comma, letters
/// beyond ASCII.
const TEXT: &str = "We danced, \"left\" and right – ça va.";

/// The key Right, as WebDriver writes it (W3C WebDriver, 17.4.2, keyboard actions).
const RIGHT: &str = "\u{e014}";

impl Player {
    /// Answers every scale and text box of the scene, with mouse and keys, and gives what the
    /// page then holds, by the id of each control.
    ///
    /// # Errors
    /// The page does not let the player answer, or the browser does not answer.
    pub async fn answer_form(&self) -> Result<Value, PlayerError> {
        let mut answers = serde_json::Map::new();
        let scales = self.controls("#sceneBody input[type=range]").await?;
        for (index, scale) in scales.iter().enumerate() {
            let id = self.id_of(scale).await?;
            self.act(&format!("click {id}"), Value::Null);
            self.command(&format!("click {id}"), scale.click()).await?;
            // The click lands in the middle; the keys make each answer another one.
            let clicked = self.value_of(scale).await?;
            let steps = RIGHT.repeat(index + 1);
            self.command(&format!("move {id}"), scale.send_keys(&steps))
                .await?;
            let value = self.value_of(scale).await?;
            if value == clicked {
                return Err(self.not_taken(&id, &value));
            }
            self.act(&format!("set {id}"), json!(value));
            answers.insert(id, json!(value));
        }
        for text in self
            .controls("#sceneBody textarea, #sceneBody input[type=text]")
            .await?
        {
            let id = self.id_of(&text).await?;
            self.command(&format!("click {id}"), text.click()).await?;
            self.command(&format!("type into {id}"), text.send_keys(TEXT))
                .await?;
            let value = self.value_of(&text).await?;
            if value != TEXT {
                return Err(self.not_taken(&id, &value));
            }
            self.act(&format!("type into {id}"), json!(value));
            answers.insert(id, json!(value));
        }
        if answers.is_empty() {
            return Err(PlayerError::Missed(format!(
                "the {} stands on a scene with nothing to answer",
                self.name
            )));
        }
        Ok(Value::Object(answers))
    }

    fn not_taken(&self, id: &str, value: &str) -> PlayerError {
        PlayerError::Missed(format!(
            "{id} does not take what the {} types: it holds \"{value}\"",
            self.name
        ))
    }

    /// Presses Continue.
    ///
    /// # Errors
    /// The button is not enabled, or does not take the click.
    pub async fn press_continue(&self) -> Result<(), PlayerError> {
        self.click("#advanceButton").await
    }

    async fn controls(&self, selector: &str) -> Result<Vec<Element>, PlayerError> {
        self.command(
            &format!("find {selector}"),
            self.client.find_all(Locator::Css(selector)),
        )
        .await
    }

    async fn id_of(&self, element: &Element) -> Result<String, PlayerError> {
        let id = self.command("read an id", element.prop("id")).await?;
        Ok(id.unwrap_or_default())
    }

    async fn value_of(&self, element: &Element) -> Result<String, PlayerError> {
        let value = self.command("read a value", element.prop("value")).await?;
        Ok(value.unwrap_or_default())
    }
}

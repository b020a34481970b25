//! Answering a form scene with real input.

use std::time::Duration;

use fantoccini::Locator;
use fantoccini::elements::{Element, ElementRef};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Player, PlayerError};

/// What is typed into a text box. It has what breaks careless storing: quotes, a comma, letters
/// beyond ASCII.
const TEXT: &str = "We danced, \"left\" and right – ça va.";

/// What is typed where only a number is taken.
const NUMBER: &str = "7";

/// The key Right, as WebDriver writes it (W3C WebDriver, 17.4.2, keyboard actions).
const RIGHT: &str = "\u{e014}";

/// How many steps a scale is moved at most from its middle: the shortest have no more.
const MOST_STEPS: usize = 2;

const SCALES: &str = "#sceneBody input[type=range]";
const BOXES: &str = "#sceneBody .option-box";
const CHOICES: &str = "#sceneBody input[type=radio], #sceneBody input[type=checkbox]";
const LISTS: &str = "#sceneBody select";
const TEXTS: &str =
    "#sceneBody textarea, #sceneBody input[type=text], #sceneBody input:not([type])";
const NUMBERS: &str = "#sceneBody input[type=number]";

/// The controls that a person could use: those that can be seen and are not disabled. Each with its id and its
/// name. One question for all, since each costs a round trip.
const USABLE: &str = r#"
const seen = { opacityProperty: true, visibilityProperty: true };
return [...document.querySelectorAll(arguments[0])]
  .filter((control) => control.checkVisibility(seen) && control.offsetWidth > 0 && !control.matches(":disabled"))
  .map((control) => ({ element: control, id: control.id, name: control.name ?? "" }));
"#;

/// What an element of a form holds, as the target's client reads it when the scene is left.
const HELD: &str = r#"
return arguments[0].map((id) => {
  const element = document.getElementById(id);
  if (!element) return null;
  if (element.matches("input[type=checkbox]")) return String(element.checked);
  if (element.matches("input[type=radio]")) {
    const chosen = [...document.getElementsByName(element.name)].find((one) => one.checked);
    return chosen ? chosen.value : null;
  }
  if (element.matches("select")) {
    return JSON.stringify([...element.selectedOptions].map((option) => option.value));
  }
  return "value" in element && !element.matches("button") ? element.value : element.textContent;
});
"#;

/// A control of a form.
#[derive(Deserialize)]
struct Control {
    element: WebElement,
    id: String,
    name: String,
}

/// An element, as a script gives it (W3C WebDriver, 12.2, web element reference).
#[derive(Deserialize)]
struct WebElement {
    #[serde(rename = "element-6066-11e4-a52e-4f735466cecf")]
    reference: String,
}

impl Player {
    /// Answers whatever the scene asks, with mouse and keys: scales, boxes, choices, lists, texts. Gives
    /// what the page then holds, by the id of each element: of those that were touched and have one, and of
    /// those that the target is to store (`stored`). Nothing, where nothing is asked.
    ///
    /// # Errors
    /// The page does not let the player answer, or the browser does not answer.
    pub async fn answer_form(&self, stored: &[String]) -> Result<Map<String, Value>, PlayerError> {
        let mut answers = Map::new();
        self.set_scales(&mut answers).await?;
        let boxes = self.elements(BOXES).await?;
        if let Some((_, first)) = boxes.first() {
            self.click_on("an option box", first).await?;
        }
        let choices = self.choose().await?;
        let lists = self.choose_in_lists().await?;
        self.type_texts(TEXTS, TEXT, &mut answers).await?;
        self.type_texts(NUMBERS, NUMBER, &mut answers).await?;
        if answers.is_empty() && boxes.is_empty() && choices == 0 && lists == 0 {
            return Ok(answers);
        }
        for (id, held) in stored.iter().zip(self.held(stored).await?) {
            if let Some(held) = held {
                answers.insert(id.clone(), json!(held));
            }
        }
        Ok(answers)
    }

    async fn set_scales(&self, answers: &mut Map<String, Value>) -> Result<(), PlayerError> {
        let scales = self.elements(SCALES).await?;
        for (index, (id, scale)) in scales.into_iter().enumerate() {
            self.click_on(&id, &scale).await?;
            // The click lands in the middle; the keys make each answer another one.
            let clicked = self.value_of(&scale).await?;
            let steps = RIGHT.repeat(index % MOST_STEPS + 1);
            self.command(&format!("move {id}"), scale.send_keys(&steps))
                .await?;
            let value = self.value_of(&scale).await?;
            if value == clicked {
                return Err(self.not_taken(&id, &value));
            }
            self.act(&format!("set {id}"), json!(value));
            answers.insert(id, json!(value));
        }
        Ok(())
    }

    /// Chooses one of each group of buttons, not always the first. Gives how many groups there are.
    async fn choose(&self) -> Result<usize, PlayerError> {
        let mut groups: Vec<(String, Vec<Element>)> = Vec::new();
        for Control { element, id, name } in self.controls(CHOICES).await? {
            let name = if name.is_empty() { id } else { name };
            let choice = self.element(element);
            match groups.iter_mut().find(|(group, _)| *group == name) {
                Some((_, choices)) => choices.push(choice),
                None => groups.push((name, vec![choice])),
            }
        }
        for (index, (name, choices)) in groups.iter().enumerate() {
            let choice = &choices[index % choices.len()];
            // Of an answer that was broken off it may be chosen: a click would take a box's tick away.
            if self.is_chosen(choice).await? {
                continue;
            }
            self.click_on(name, choice).await?;
            if !self.is_chosen(choice).await? {
                return Err(self.not_taken(name, "nothing"));
            }
        }
        Ok(groups.len())
    }

    /// Chooses the last entry of each list. Gives how many lists there are.
    async fn choose_in_lists(&self) -> Result<usize, PlayerError> {
        let lists = self.elements(LISTS).await?;
        for (id, list) in &lists {
            let entries = list.find_all(Locator::Css("option:not([disabled])"));
            let mut entries = self.command(&format!("read {id}"), entries).await?;
            let Some(last) = entries.pop() else {
                continue;
            };
            // Where several may be chosen, a click would take back what was chosen before.
            if self.is_chosen(&last).await? {
                continue;
            }
            self.act(&format!("choose in {id}"), Value::Null);
            self.command(&format!("choose in {id}"), last.click())
                .await?;
        }
        Ok(lists.len())
    }

    async fn type_texts(
        &self,
        selector: &str,
        text: &str,
        answers: &mut Map<String, Value>,
    ) -> Result<(), PlayerError> {
        for (id, element) in self.elements(selector).await? {
            self.command(&format!("click {id}"), element.click())
                .await?;
            // An answer that was broken off is given anew.
            if !self.value_of(&element).await?.is_empty() {
                self.command(&format!("clear {id}"), element.clear())
                    .await?;
            }
            self.command(&format!("type into {id}"), element.send_keys(text))
                .await?;
            let value = self.value_of(&element).await?;
            if value != text {
                return Err(self.not_taken(&id, &value));
            }
            self.act(&format!("type into {id}"), json!(value));
            answers.insert(id, json!(value));
        }
        Ok(())
    }

    /// Whether a choice or an entry of a list is chosen.
    async fn is_chosen(&self, choice: &Element) -> Result<bool, PlayerError> {
        self.command("read a choice", choice.is_selected()).await
    }

    async fn click_on(&self, what: &str, element: &Element) -> Result<(), PlayerError> {
        self.act(&format!("click {what}"), Value::Null);
        self.command(&format!("click {what}"), element.click())
            .await
    }

    /// What elements of the page hold, by their ids.
    async fn held(&self, ids: &[String]) -> Result<Vec<Option<String>>, PlayerError> {
        let held = self.client.execute(HELD, vec![json!(ids)]);
        let held = self.command("read what the form holds", held).await?;
        Ok(serde_json::from_value(held).unwrap_or_default())
    }

    fn not_taken(&self, id: &str, value: &str) -> PlayerError {
        PlayerError::Missed(format!(
            "{id} does not take what the {} does: it holds \"{value}\"",
            self.name
        ))
    }

    /// Presses Continue, once it is enabled.
    ///
    /// # Errors
    /// The button is not enabled within this time, or does not take the click.
    pub async fn press_continue(&self, within: Duration) -> Result<(), PlayerError> {
        self.click_within(within, "#advanceButton").await
    }

    /// The controls of the scene that a person could use.
    async fn controls(&self, selector: &str) -> Result<Vec<Control>, PlayerError> {
        let what = format!("find {selector}");
        let found = self.client.execute(USABLE, vec![json!(selector)]);
        let found = self.command(&what, found).await?;
        serde_json::from_value(found)
            .map_err(|error| self.driver_broken(format!("{what}: {error}")))
    }

    /// The same, as elements by their ids.
    async fn elements(&self, selector: &str) -> Result<Vec<(String, Element)>, PlayerError> {
        let controls = self.controls(selector).await?;
        let each = controls.into_iter();
        Ok(each
            .map(|one| (one.id, self.element(one.element)))
            .collect())
    }

    fn element(&self, element: WebElement) -> Element {
        Element::from_element_id(self.client.clone(), ElementRef::from(element.reference))
    }

    async fn value_of(&self, element: &Element) -> Result<String, PlayerError> {
        let value = self.command("read a value", element.prop("value")).await?;
        Ok(value.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::{Arc, Mutex};

    use axum::extract::{Path, State};
    use axum::routing::{get, post};
    use axum::{Json, Router};
    use fantoccini::ClientBuilder;
    use hyper_util::client::legacy::connect::HttpConnector;
    use tokio::net::TcpListener;
    use tokio_util::task::AbortOnDropHandle;

    use super::*;
    use crate::evidence::Recorder;
    use crate::spec::PlayerName;

    /// The choices of a page, by what each is called, and whether each is chosen.
    type Choices = Arc<Mutex<BTreeMap<String, bool>>>;

    const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

    fn is_chosen(choices: &Choices, name: &str) -> bool {
        choices.lock().expect("no panic")[name]
    }

    /// What a driver says of the choices of the page.
    async fn run(State(choices): State<Choices>, Json(said): Json<Value>) -> Json<Value> {
        let choices = choices.lock().expect("no panic");
        let asked = said["args"][0].as_str();
        let found = choices.keys().filter(|_| asked == Some(CHOICES));
        let found = found.map(|name| {
            let group = name.split('-').next();
            json!({"element": {ELEMENT: name}, "id": name, "name": group})
        });
        Json(json!({"value": found.collect::<Vec<_>>()}))
    }

    /// A box changes with each click; a button is chosen, and the others of its group are not.
    async fn click(
        State(choices): State<Choices>,
        Path((_, name)): Path<(String, String)>,
    ) -> Json<Value> {
        let mut choices = choices.lock().expect("no panic");
        if name.starts_with("box") {
            let ticked = choices.get_mut(&name).expect("it is there");
            *ticked = !*ticked;
        } else {
            let buttons = choices
                .iter_mut()
                .filter(|(one, _)| one.starts_with("button"));
            buttons.for_each(|(one, chosen)| *chosen = *one == name);
        }
        Json(json!({"value": null}))
    }

    async fn selected(
        State(choices): State<Choices>,
        Path((_, name)): Path<(String, String)>,
    ) -> Json<Value> {
        Json(json!({"value": is_chosen(&choices, &name)}))
    }

    #[tokio::test]
    async fn a_form_that_was_broken_off_is_answered_again() {
        let names = ["box", "button-1", "button-2"];
        let choices: Choices = Arc::new(Mutex::new(
            names.map(|name| (name.to_owned(), false)).into(),
        ));
        let session = json!({"value": {"sessionId": "s", "capabilities": {}}});
        let router = Router::new()
            .route("/session", post(async || Json(session)))
            .route("/session/{id}/execute/sync", post(run))
            .route("/session/{id}/element/{name}/click", post(click))
            .route("/session/{id}/element/{name}/selected", get(selected))
            .with_state(Arc::clone(&choices));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let driver = tokio::spawn(async move {
            axum::serve(listener, router).await.expect("it serves");
        });
        let _driver = AbortOnDropHandle::new(driver);
        let client = ClientBuilder::new(HttpConnector::new())
            .connect(&format!("http://{address}"))
            .await
            .expect("a session");
        let player = Player {
            name: PlayerName::Survivor,
            client,
            origin: String::new(),
            recorder: Recorder::in_memory(),
        };
        for time in 1..=2 {
            player.answer_form(&[]).await.expect("it can be answered");
            for (name, chosen) in [("box", true), ("button-1", false), ("button-2", true)] {
                assert_eq!(is_chosen(&choices, name), chosen, "{name}, time {time}");
            }
        }
    }
}

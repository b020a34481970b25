//! Going away, and seeming to.

use fantoccini::wd::WindowHandle;
use serde_json::{Value, json};

use super::{Player, PlayerError};
use crate::evidence::{BrokenFact, Fact, PageFact};
use crate::spec::WayToHide;
use crate::stage::deadline;

/// Where a player goes who leaves a page for another one. Nothing of it is the target's.
const ELSEWHERE: &str = "about:blank";

/// A tab that is open beside the page's own.
pub struct SpareTab {
    own: WindowHandle,
    spare: WindowHandle,
}

/// A page in the background, and the way back.
pub enum Hidden {
    /// Another tab is in front of it.
    BehindTab(SpareTab),
    /// Its window is minimised; it had this place and size.
    Minimised {
        /// From the left edge of the screen.
        x: u32,
        /// From its upper edge.
        y: u32,
        /// Width.
        width: u32,
        /// Height.
        height: u32,
    },
}

impl Player {
    /// Opens another tab behind the page's own: a browser that loses its last one ends.
    ///
    /// # Errors
    /// The browser does not answer.
    pub async fn open_spare_tab(&self) -> Result<SpareTab, PlayerError> {
        let own = self.command("name its tab", self.client.window()).await?;
        let spare = self
            .command("open another tab", self.client.new_window(true))
            .await?
            .handle;
        Ok(SpareTab { own, spare })
    }

    /// Closes the page's tab. Gives what was seen of that.
    ///
    /// # Errors
    /// The browser does not answer, or the tab is still there.
    pub async fn close_tab(&self, tabs: SpareTab) -> Result<String, PlayerError> {
        self.act("close the tab", Value::Null);
        self.command("close its tab", self.client.close_window())
            .await?;
        let left = self.command("name its tabs", self.client.windows()).await?;
        if left.contains(&tabs.own) {
            return Err(self.not_seen("its tab is still there after it was closed"));
        }
        self.command(
            "go to its other tab",
            self.client.switch_to_window(tabs.spare),
        )
        .await?;
        Ok(format!(
            "its tab is gone from the browser, which has {} left",
            left.len()
        ))
    }

    /// Goes to another page in the same tab. Gives what was seen of that.
    ///
    /// # Errors
    /// The browser does not answer, or is still at the page.
    pub async fn navigate_away(&self) -> Result<String, PlayerError> {
        self.act(&format!("go to {ELSEWHERE}"), Value::Null);
        self.command("go to another page", self.client.goto(ELSEWHERE))
            .await?;
        let there = self
            .command("say its address", self.client.current_url())
            .await?;
        if there.as_str() != ELSEWHERE {
            return Err(self.not_seen(&format!("it was to be at {ELSEWHERE}, it is at {there}")));
        }
        Ok(format!("its tab shows {ELSEWHERE}"))
    }

    /// Loads the page again. Gives what was seen of that.
    ///
    /// # Errors
    /// The browser does not answer, or no new page's probe says that it is there.
    pub async fn reload(&self) -> Result<String, PlayerError> {
        self.act("reload the page", Value::Null);
        let from = self.recorder.len();
        let refreshed = self.client.refresh();
        self.within(deadline::LOAD, "reload the page", refreshed)
            .await?;
        let what = format!("the probe of the {}'s page after its reload", self.name);
        let hello = self
            .recorder
            .wait(from, deadline::PROBE, &what, |event| {
                self.page_fact(event)
                    .is_some_and(|fact| matches!(fact, PageFact::Hello { .. }))
            })
            .await?;
        let page = match &hello.fact {
            Fact::Page(page) => page.page,
            _ => 0,
        };
        Ok(format!("its tab has a new page, number {page}"))
    }

    /// Puts the page into the background, and waits until the page itself says that it is hidden.
    ///
    /// # Errors
    /// The browser does not answer, or the page does not become hidden.
    pub async fn go_to_background(&self, how: WayToHide) -> Result<Hidden, PlayerError> {
        let from = self.recorder.len();
        self.act("put the page into the background", json!(how.to_string()));
        let hidden = match how {
            WayToHide::Tab => {
                let tabs = self.open_spare_tab().await?;
                let switched = self.client.switch_to_window(tabs.spare.clone());
                self.command("go to another tab", switched).await?;
                Hidden::BehindTab(tabs)
            }
            WayToHide::Minimise => {
                let place = self.client.get_window_rect();
                let (x, y, width, height) = self.command("measure its window", place).await?;
                self.command("minimise its window", self.client.minimize_window())
                    .await?;
                // Whatever is off the screen stays at its edge.
                let within = |length: u64| u32::try_from(length).unwrap_or_default();
                Hidden::Minimised {
                    x: within(x),
                    y: within(y),
                    width: within(width),
                    height: within(height),
                }
            }
        };
        self.wait_visibility(from, "hidden").await?;
        Ok(hidden)
    }

    /// Brings the page back to the front, and waits until the page itself says that it is visible.
    ///
    /// # Errors
    /// The browser does not answer, or the page does not become visible.
    pub async fn come_back(&self, hidden: Hidden) -> Result<(), PlayerError> {
        let from = self.recorder.len();
        self.act("bring the page back to the front", Value::Null);
        match hidden {
            Hidden::BehindTab(tabs) => {
                self.command("close its other tab", self.client.close_window())
                    .await?;
                let back = self.client.switch_to_window(tabs.own);
                self.command("go back to its tab", back).await?;
            }
            Hidden::Minimised {
                x,
                y,
                width,
                height,
            } => {
                let restored = self.client.set_window_rect(x, y, width, height);
                self.command("restore its window", restored).await?;
            }
        }
        self.wait_visibility(from, "visible").await
    }

    async fn wait_visibility(&self, from: u64, wanted: &str) -> Result<(), PlayerError> {
        let what = format!("the {}'s page to say that it is {wanted}", self.name);
        let seen = self.recorder.wait(from, deadline::PROBE, &what, |event| {
            self.page_fact(event).is_some_and(
                |fact| matches!(fact, PageFact::Visibility { state } if state == wanted),
            )
        });
        match seen.await.map_err(PlayerError::from) {
            Ok(_) => Ok(()),
            // The target has no part in it.
            Err(PlayerError::Missed(what)) => Err(self.not_seen(&what)),
            Err(other @ (PlayerError::Broken(_) | PlayerError::NotOffered(_))) => Err(other),
        }
    }

    /// What the browser was told to do and did not do.
    fn not_seen(&self, what: &str) -> PlayerError {
        PlayerError::Broken(BrokenFact {
            component: "browser".to_owned(),
            reason: format!("the {}'s browser: {what}", self.name),
            last_lines: Vec::new(),
            worth_a_retry: true,
        })
    }
}

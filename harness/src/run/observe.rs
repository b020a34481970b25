//! Taking everything down at one moment of a run, behind a barrier.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::barrier::{Barrier, Watched, ask_probe};
use super::pixels::{Rectangle, Screen};
use super::scenario::Scenario;
use crate::evidence::{BrokenFact, Control, Fact, HitTest, PageState, Snapshot};
use crate::player::PlayerError;
use crate::spec::{Observe, PlayerName};
use crate::stage::deadline;
use crate::verdict::nothing_could_act;

/// What changes by itself on every page, and is no finding: the display of the round-trip time.
const MASKED: &str = "#latencyContainer";

/// How long a watch lasts: it must see whatever comes every other second.
const WATCH: Duration = Duration::from_millis(2100);

/// How many pings of the page's own a watch sees at least, each with its answer. The page sends one each
/// second: a page that stands still shows nothing to who watches it.
const WATCHED_PINGS: usize = 2;

#[derive(Deserialize)]
struct Taken {
    page_t: f64,
    state: PageState,
}

#[derive(Deserialize)]
struct Tested {
    controls: Vec<Control>,
}

#[derive(Deserialize)]
struct Measured {
    rects: Vec<MeasuredRect>,
    ratio: f64,
}

#[derive(Deserialize)]
struct MeasuredRect {
    x: f64,
    y: f64,
    width: f64,
    height: f64,
}

impl Scenario {
    /// Takes down everything about the players who are there: behind a barrier of the survivor,
    /// with the ledgers a second time after a watch and another one, so that traffic that goes on is
    /// seen; or at once.
    ///
    /// For the ledgers order is enough: what a page makes and closes, it does while it handles what
    /// was sent to it. What can be seen and reached is taken down after the watch: a page may take its
    /// time to show it.
    ///
    /// Two moments on one scene share the watch of the later one, where at the earlier one nothing was left
    /// that could act by itself, as the page's ledgers and the kernel say: what nobody sees there may still
    /// act, and does so while it is watched, later.
    pub(super) async fn observe(&mut self, observe: &Observe) -> Result<(), PlayerError> {
        let survivor = PlayerName::Survivor;
        let label = observe.label.as_str();
        if !observe.barrier {
            self.ledgers(label).await?;
            return self.view(survivor, label).await;
        }
        let began = self.barrier(survivor, label, Watched::Nothing).await?;
        self.ledgers(label).await?;
        let watched = match self.spec.next_on_the_scene(label) {
            Some(next)
                if !self.hidden.contains_key(&survivor)
                    && nothing_could_act(&self.recorder.log(), label) =>
            {
                self.stand_still(survivor).await?;
                Watched::With(next.to_owned())
            }
            Some(_) | None => Watched::Page(self.watch(survivor, began, label).await?),
        };
        self.view(survivor, label).await?;
        let later = format!("{label}/later");
        self.barrier(survivor, &later, watched).await?;
        self.ledgers(&later).await
    }

    /// Takes down the page and the kernel's view of each player who is there.
    async fn ledgers(&self, label: &str) -> Result<(), PlayerError> {
        self.snapshots(label).await?;
        self.observe_kernels(label);
        Ok(())
    }

    /// Takes down what can be seen and reached on a player's page.
    async fn view(&mut self, name: PlayerName, label: &str) -> Result<(), PlayerError> {
        self.hit_test(name, label).await?;
        if self.hidden.contains_key(&name) {
            // Who asks a browser for a picture of a page that it does not paint waits for ever.
            self.recorder.record(Fact::Absent {
                oracle: "pixels".to_owned(),
                reason: format!("at `{label}` the {name}'s page is in the background"),
            });
            return Ok(());
        }
        self.screenshot(name, label).await
    }

    /// Takes down the kernel's view of each browser that is there.
    fn observe_kernels(&self, label: &str) {
        for name in self.present() {
            self.observe_kernel(name, label);
        }
    }

    /// Takes down the kernel's view of a player's browser.
    pub(super) fn observe_kernel(&self, name: PlayerName, label: &str) {
        if let Some(browser) = self.stage.browsers.get(&name) {
            browser.observe_kernel(label);
        }
    }

    pub(super) async fn snapshots(&self, label: &str) -> Result<(), PlayerError> {
        for name in self.present() {
            self.snapshot(name, label).await?;
        }
        Ok(())
    }

    /// Lets time pass on a player's page, from a position of the evidence on, and sees by its pings that it
    /// passes there. Gives what was watched, in words.
    async fn watch(&self, name: PlayerName, from: u64, label: &str) -> Result<String, PlayerError> {
        let end = Instant::now() + WATCH;
        let player = self.player(name);
        let mut from = from;
        for ping in 1..=WATCHED_PINGS {
            let what = format!("ping {ping} of the {name} in the watch after `{label}`");
            let asked = player
                .wait_to_server(from, deadline::REACTION, "ping", &what)
                .await?;
            let answered = player
                .wait_to_client(asked.seq, deadline::REACTION, "pong", &what)
                .await?;
            from = answered.seq;
        }
        let what = format!("the end of the watch after `{label}`");
        let left = end.saturating_duration_since(Instant::now());
        self.recorder.pass(left, &what).await?;
        Ok(format!(
            "a watch of {} ms since `{label}`, in which the page sent {WATCHED_PINGS} pings of its own that \
             were answered",
            WATCH.as_millis()
        ))
    }

    /// Waits until a player's page looks the same twice in a row, for as long as a watch takes at most: it may
    /// still paint the scene that it came to.
    async fn stand_still(&self, name: PlayerName) -> Result<(), PlayerError> {
        let end = Instant::now() + WATCH;
        let mut seen = self.player(name).screenshot().await?;
        loop {
            let sees = self.player(name).screenshot().await?;
            if sees == seen || Instant::now() > end {
                return Ok(());
            }
            seen = sees;
        }
    }

    /// Waits until nothing that was already caused is still on its way to a player's page, see
    /// [`Barrier`]. Gives the position of the barrier in the evidence.
    pub(super) async fn barrier(
        &self,
        name: PlayerName,
        label: &str,
        watched: Watched,
    ) -> Result<u64, PlayerError> {
        let barrier = Barrier {
            gateway: &self.stage.gateway,
            recorder: &self.recorder,
            player: name,
            label,
        };
        barrier.reach(watched).await
    }

    /// Asks the probe of a player's page.
    pub(super) async fn ask<T: for<'a> Deserialize<'a>>(
        &self,
        name: PlayerName,
        command: Value,
    ) -> Result<T, PlayerError> {
        ask_probe(&self.stage.gateway, name, command).await
    }

    pub(super) async fn snapshot(&self, name: PlayerName, label: &str) -> Result<(), PlayerError> {
        let message = self.experiment.disconnect_message.trim();
        let sayings = (!message.is_empty()).then_some([message]);
        let taken: Taken = self
            .ask(name, json!({"cmd": "snapshot", "sayings": sayings}))
            .await?;
        self.recorder.record_for(
            name.as_str(),
            Fact::Snapshot(Snapshot {
                label: label.to_owned(),
                page: self.stage.gateway.probe(name.as_str()).page(),
                page_t: taken.page_t,
                state: taken.state,
            }),
        );
        Ok(())
    }

    async fn hit_test(&self, name: PlayerName, label: &str) -> Result<(), PlayerError> {
        let tested: Tested = self.ask(name, json!({"cmd": "hit_test"})).await?;
        self.recorder.record_for(
            name.as_str(),
            Fact::HitTest(HitTest {
                label: label.to_owned(),
                controls: tested.controls,
            }),
        );
        Ok(())
    }

    /// Takes a screenshot, and compares it with the player's last one.
    async fn screenshot(&mut self, name: PlayerName, label: &str) -> Result<(), PlayerError> {
        let image = self.player(name).screenshot().await?;
        let measured: Measured = self
            .ask(name, json!({"cmd": "rects", "selectors": [MASKED]}))
            .await?;
        let cannot = |reason: String| {
            PlayerError::Broken(BrokenFact {
                component: "environment".to_owned(),
                reason,
                last_lines: Vec::new(),
                worth_a_retry: false,
            })
        };
        let file = self
            .keep_screenshot(name, label, &image)
            .map_err(|error| cannot(format!("cannot write a screenshot: {error}")))?;
        let screen = Screen {
            label: label.to_owned(),
            file,
            masks: masks(&measured),
        };
        let compared = self
            .screens
            .add(name, screen)
            .map_err(|error| cannot(format!("cannot compare screenshots: {error}")))?;
        if let Some(compared) = compared {
            self.recorder
                .record_for(name.as_str(), Fact::Pixels(compared));
        }
        Ok(())
    }
}

/// What is masked, in the screenshot's own pixels, with room for digits that come and go.
fn masks(measured: &Measured) -> Vec<Rectangle> {
    const ROOM: f64 = 24.0;
    measured
        .rects
        .iter()
        .map(|rect| Rectangle {
            left: (rect.x - ROOM) * measured.ratio,
            top: (rect.y - ROOM) * measured.ratio,
            right: (rect.x + rect.width + ROOM) * measured.ratio,
            bottom: (rect.y + rect.height + ROOM) * measured.ratio,
        })
        .collect()
}

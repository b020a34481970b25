//! Taking everything down at one moment of a run, behind a barrier.

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::pixels::{Rectangle, Screen};
use super::scenario::Scenario;
use crate::evidence::{
    BarrierFact, BrokenFact, Control, Fact, HitTest, PageState, ScreenshotFact, Snapshot,
    WebsocketState,
};
use crate::player::PlayerError;
use crate::spec::{Observe, PlayerName};
use crate::stage::deadline;

/// What changes by itself on every page, and is no finding: the display of the round-trip time.
const MASKED: &str = "#latencyContainer";

/// How many round trips of events, and turns of the page's event loop, a barrier takes.
const ROUND_TRIPS: usize = 2;
const TURNS: u32 = 2;

#[derive(Deserialize)]
struct Turned {
    websockets: Vec<WebsocketState>,
}

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
    /// with the ledgers a second time after another one, so that traffic that goes on is seen; or
    /// at once.
    pub(super) async fn observe(&mut self, observe: &Observe) -> Result<(), PlayerError> {
        let survivor = PlayerName::Survivor;
        let label = observe.label.as_str();
        if observe.barrier {
            self.barrier(survivor, label).await?;
        }
        self.snapshots(label).await?;
        self.observe_kernels(label);
        self.hit_test(survivor, label).await?;
        if self.hidden.contains_key(&survivor) {
            // Who asks a browser for a picture of a page that it does not paint waits for ever.
            self.recorder.record(Fact::Absent {
                oracle: "pixels".to_owned(),
                reason: format!("at `{label}` the {survivor}'s page is in the background"),
            });
        } else {
            self.screenshot(survivor, label).await?;
        }
        if observe.barrier {
            let later = format!("{label}/later");
            self.barrier(survivor, &later).await?;
            self.snapshots(&later).await?;
            self.observe_kernels(&later);
        }
        Ok(())
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

    /// Waits until nothing that was already caused is still on its way to a player's page: two
    /// round trips of events over its own socket, all of what the gateway passed on is received,
    /// and the page's event loop has turned twice.
    pub(super) async fn barrier(&self, name: PlayerName, label: &str) -> Result<(), PlayerError> {
        let player = self.player(name);
        let mut from = self.recorder.len();
        for trip in 1..=ROUND_TRIPS {
            let what = format!("round trip {trip} of the {name} for the barrier `{label}`");
            let asked = player
                .wait_to_server(from, deadline::REACTION, "ping", &what)
                .await?;
            let answered = player
                .wait_to_client(asked.seq, deadline::REACTION, "pong", &what)
                .await?;
            from = answered.seq + 1;
        }
        let received = self.received_all(name, label).await?;
        self.recorder.record_for(
            name.as_str(),
            Fact::Barrier(BarrierFact {
                label: label.to_owned(),
                rests_on: vec![
                    format!("{ROUND_TRIPS} round trips of ping and pong over its socket"),
                    format!("its page has received all {received} messages of its sockets"),
                    format!("{TURNS} turns of the page's event loop after that"),
                ],
            }),
        );
        Ok(())
    }

    /// Waits until the page has received, and had the time to handle, what the gateway has passed
    /// on until now. Gives the number of messages.
    async fn received_all(&self, name: PlayerName, label: &str) -> Result<u64, PlayerError> {
        let Some(delivered) = self.stage.gateway.delivered(name.as_str()) else {
            return Err(PlayerError::Missed(format!(
                "the {name} has no socket to the target at the barrier `{label}`"
            )));
        };
        let end = Instant::now() + deadline::PROBE;
        loop {
            let turned: Turned = self
                .ask(name, json!({"cmd": "turns", "count": TURNS}))
                .await?;
            let received: Vec<u64> = turned
                .websockets
                .iter()
                .filter(|socket| socket.url.contains("/socket.io/") && socket.state == "open")
                .map(|socket| socket.received)
                .collect();
            // No socket can have received more than it was sent: with the same sums, each has all.
            let sum: u64 = received.iter().sum();
            if received.len() == delivered.connections && sum >= delivered.messages {
                return Ok(sum);
            }
            if Instant::now() > end {
                return Err(PlayerError::Missed(format!(
                    "waited {} s for the {name}'s page to receive {} messages, it has {}",
                    deadline::PROBE.as_secs(),
                    delivered.messages,
                    sum
                )));
            }
        }
    }

    /// Asks the probe of a player's page.
    pub(super) async fn ask<T: for<'a> Deserialize<'a>>(
        &self,
        name: PlayerName,
        command: Value,
    ) -> Result<T, PlayerError> {
        let broken = |reason: String| {
            PlayerError::Broken(BrokenFact {
                component: "browser".to_owned(),
                reason: format!("the probe of the {name}'s page does not answer: {reason}"),
                last_lines: Vec::new(),
                worth_a_retry: true,
            })
        };
        let answer = self
            .stage
            .gateway
            .probe(name.as_str())
            .request(command, deadline::PROBE)
            .await
            .map_err(|error| broken(error.to_string()))?;
        serde_json::from_value(answer).map_err(|error| broken(error.to_string()))
    }

    pub(super) async fn snapshot(&self, name: PlayerName, label: &str) -> Result<(), PlayerError> {
        let taken: Taken = self.ask(name, json!({"cmd": "snapshot"})).await?;
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
        let file_name = format!("{name}-{}.png", label.replace(['/', ' '], "-"));
        let file = self.artefacts.join(&file_name);
        let cannot = |reason: String| {
            PlayerError::Broken(BrokenFact {
                component: "environment".to_owned(),
                reason,
                last_lines: Vec::new(),
                worth_a_retry: false,
            })
        };
        std::fs::write(&file, image)
            .map_err(|error| cannot(format!("cannot write {}: {error}", file.display())))?;
        self.recorder.record_for(
            name.as_str(),
            Fact::Screenshot(ScreenshotFact {
                label: label.to_owned(),
                file: file_name,
            }),
        );
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

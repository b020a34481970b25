//! Whether all that a run stands on still answers. What hangs as a whole does nothing, right or wrong: then
//! nothing that was awaited in vain says anything of the target.

use serde_json::json;

use super::scenario::Scenario;
use crate::evidence::{BrokenFact, Event, PageFact, WaitError};
use crate::gateway::{NEXT_PAGE, ProbeError};
use crate::spec::PlayerName;
use crate::stage::deadline;

impl Scenario {
    /// Who does not answer any more, if there is one: the target, or a page of a player who has not left.
    ///
    /// A page that its own scripts hang is one of them. Nobody can tell that from a browser that hangs, and
    /// no check can look at it.
    pub(super) async fn silent(&self) -> Option<BrokenFact> {
        let present = self.present();
        let pages = present.into_iter().map(|name| self.silent_page(name));
        let pages = futures_util::future::join_all(pages);
        let (target, pages) = tokio::join!(self.silent_target(), pages);
        target.or_else(|| pages.into_iter().flatten().next())
    }

    async fn silent_target(&self) -> Option<BrokenFact> {
        let answered = self.stage.gateway.ask_target(deadline::ANSWER).await;
        answered.err().map(|error| BrokenFact {
            component: "server".to_owned(),
            reason: format!("the server does not answer: {error}"),
            last_lines: self.stage.last_lines_of_server(),
            worth_a_retry: true,
        })
    }

    async fn silent_page(&self, name: PlayerName) -> Option<BrokenFact> {
        let probe = self.stage.gateway.probe(name.as_str());
        let turn = json!({"cmd": "turns", "count": 1});
        match probe.request(turn, deadline::PROBE).await {
            Err(ProbeError::Deadline { waited, .. }) => Some(BrokenFact {
                component: "browser".to_owned(),
                reason: format!(
                    "the {name}'s page does not answer, its tab hangs: waited {} s for its probe",
                    waited.as_secs()
                ),
                last_lines: Vec::new(),
                worth_a_retry: true,
            }),
            Err(ProbeError::NoPage { .. } | ProbeError::Gone { .. }) => self.crashed(name).await,
            Ok(_) | Err(ProbeError::Refused { .. } | ProbeError::NoCommand { .. }) => None,
        }
    }

    /// Of a page that is gone: whether it has crashed. The gateway breaks the run then, as soon as it knows.
    async fn crashed(&self, name: PlayerName) -> Option<BrokenFact> {
        let player = self.player(name);
        let says =
            |event: &Event, what: fn(&PageFact) -> bool| player.page_fact(event).is_some_and(what);
        let hello = |event: &Event| says(event, |fact| matches!(fact, PageFact::Hello { .. }));
        let bye = |event: &Event| says(event, |fact| matches!(fact, PageFact::Bye {}));
        let newest = self.recorder.find_last(hello)?.seq;
        let farewell = self.recorder.wait(newest, 2 * NEXT_PAGE, "a farewell", bye);
        match farewell.await {
            Err(WaitError::Broken { broken, .. }) => Some(broken),
            Ok(_) | Err(WaitError::Deadline { .. }) => None,
        }
    }
}

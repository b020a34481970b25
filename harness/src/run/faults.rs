//! The rules of a spec, given to the gateway.

use std::sync::Arc;
use std::time::Duration;

use super::forge::Draft;
use super::scenario::Scenario;
use crate::evidence::Direction;
use crate::gateway::{Fault, Forged, Passage, Rule, Side};
use crate::player::PlayerError;
use crate::spec::{CutRule, InjectRule, Named, Place, PlayerName, Step};

impl Scenario {
    /// Carries out a step that sets a rule.
    pub(super) async fn disturb(&self, step: &Step) -> Result<(), PlayerError> {
        match step {
            Step::Inject(rule) => self.inject(rule).await,
            Step::Cut(rule) => self.cut(rule),
            _ => {
                if let Some(rule) = lasting(step) {
                    self.stage.gateway.set(rule);
                }
                Ok(())
            }
        }
    }

    async fn inject(&self, rule: &InjectRule) -> Result<(), PlayerError> {
        let draft = Draft {
            reason: rule.reason,
            game: rule.game,
            ..Draft::new(rule.player, rule.event, &self.experiment)
        };
        let (side, at) = match &rule.place {
            Place::Now => {
                for _ in 0..rule.times.get() {
                    self.send_now(rule.name.as_str(), &draft).await?;
                }
                return Ok(());
            }
            Place::Before(event) => (Side::Before, event),
            Place::After(event) => (Side::After, event),
        };
        let fault = Fault::Inject {
            side,
            forged: self.forged(draft, rule.times.get()),
        };
        let at = passage(rule.player, Direction::ToClient, at);
        let name = rule.name.to_string();
        self.stage.gateway.set(Rule { name, at, fault });
        Ok(())
    }

    /// Sends an event in the target's name at once.
    pub(super) async fn send_now(&self, rule: &str, draft: &Draft) -> Result<(), PlayerError> {
        let event = draft.event.name();
        let missed = |reason: String| {
            PlayerError::Missed(format!("{event} could not be injected: {reason}"))
        };
        let args = draft.arguments(&self.recorder).map_err(missed)?;
        let (player, direction) = (draft.to.as_str(), Direction::ToClient);
        let gateway = &self.stage.gateway;
        let sent = gateway.inject(rule, player, direction, event, args).await;
        sent.map_err(|error| missed(error.to_string()))
    }

    /// An event with the ids of the game that its receiver is in now; if there is none yet, of the
    /// one that it is in when the event is sent.
    fn forged(&self, draft: Draft, times: u32) -> Forged {
        let recorder = self.recorder.clone();
        let now = draft.arguments(&recorder);
        Forged {
            event: draft.event.name().to_owned(),
            times,
            args: Arc::new(move || match &now {
                Ok(args) => Ok(args.clone()),
                Err(_) => draft.arguments(&recorder),
            }),
        }
    }

    fn cut(&self, rule: &CutRule) -> Result<(), PlayerError> {
        let gateway = &self.stage.gateway;
        let name = rule.name.to_string();
        if let Some((event, direction)) = rule.event.as_ref().zip(rule.direction) {
            gateway.set(Rule {
                name,
                at: passage(rule.player, direction, event),
                fault: Fault::Cut,
            });
            return Ok(());
        }
        match gateway.cut(&name, rule.player.as_str()) {
            0 => Err(PlayerError::Missed(format!(
                "there is nothing to cut: the {} has no socket to the target",
                rule.player
            ))),
            _ => Ok(()),
        }
    }
}

/// The rule of a step that only waits for events.
fn lasting(step: &Step) -> Option<Rule> {
    let (player, direction, event, fault) = match step {
        Step::Hold(rule) => {
            let until = rule.until.as_ref();
            let until = until.map(|other| passage(other.player, other.direction, &other.event));
            (
                rule.player,
                rule.direction,
                &rule.event,
                Fault::Hold { until },
            )
        }
        Step::Delay(rule) => {
            let by = Fault::Delay(Duration::from_millis(rule.by_ms.get()));
            (rule.player, rule.direction, &rule.event, by)
        }
        Step::Drop(rule) => (rule.player, rule.direction, &rule.event, Fault::Drop),
        Step::Duplicate(rule) => (rule.player, rule.direction, &rule.event, Fault::Duplicate),
        Step::Overtake(rule) => {
            let before = rule.before.as_str().to_owned();
            (
                rule.player,
                rule.direction,
                &rule.event,
                Fault::Overtake { before },
            )
        }
        _ => return None,
    };
    Some(Rule {
        name: step.rule()?.to_string(),
        at: passage(player, direction, event),
        fault,
    })
}

fn passage(player: PlayerName, direction: Direction, event: &Named) -> Passage {
    Passage {
        player: player.to_string(),
        direction,
        event: event.as_str().to_owned(),
    }
}

//! The ways out of a game that a player's page has taken, by the evidence.

use serde_json::Value;

use super::fact::{Direction, Event, Fact, Packet, PageFact, WireFact};
use super::log::Log;
use crate::spec::{ExitPath, Experiment};

impl Log {
    /// The event by which a player's page has taken a path out of a game, after a position of the log.
    #[must_use]
    pub fn taken<'a>(
        &'a self,
        player: &'a str,
        path: ExitPath,
        experiment: &Experiment,
        after: u64,
    ) -> Option<&'a Event> {
        let length = comes_after(path, experiment);
        let begun = self.of(player).filter(|event| begins(path, event));
        begun
            .filter_map(|begun| self.due(player, path, begun, length))
            .find(|due| due.seq > after)
    }

    /// The first event at which a path is due that begins with another one, if nothing calls it off.
    fn due<'a>(
        &'a self,
        player: &'a str,
        path: ExitPath,
        begun: &Event,
        length: f64,
    ) -> Option<&'a Event> {
        let since = self.of(player).filter(|event| event.seq >= begun.seq);
        let mut since = since.take_while(|event| !is_called_off(path, event));
        since.find(|event| event.t >= begun.t + length)
    }
}

/// Whether an event of a player is the one by which a path is taken, or after which it is due.
#[must_use]
pub fn begins(path: ExitPath, event: &Event) -> bool {
    match path {
        ExitPath::PartnerExcluded => told(event, "partner_excluded").is_some(),
        ExitPath::Excluded => said(event, "mid_game_exclusion").is_some(),
        ExitPath::ExclusionDue => told(event, "continuous_callback_result")
            .is_some_and(|result| field(result, "exclude") == Some(&Value::Bool(true))),
        ExitPath::FocusLoss => {
            said(event, "p2p_game_ended").is_some_and(|ended| reason(ended).contains("focus"))
        }
        ExitPath::FocusLossDue => is_visibility(event, "hidden"),
        ExitPath::GameEnded => {
            told(event, "p2p_game_ended").is_some_and(|ended| reason(ended) != "scene_completed")
        }
        ExitPath::ReconnectionTimeout => said(event, "p2p_reconnection_timeout").is_some(),
        ExitPath::ReconnectionDue => told(event, "p2p_pause").is_some(),
        ExitPath::SceneCompleted => {
            told(event, "p2p_game_ended").is_some_and(|ended| reason(ended) == "scene_completed")
        }
        ExitPath::SceneEnd => told(event, "terminate_scene")
            .is_some_and(|scene| field(scene, "scene_type") == Some(&Value::from("GymScene"))),
    }
}

/// How long after the event that begins it a path is due, in milliseconds.
#[must_use]
pub fn comes_after(path: ExitPath, experiment: &Experiment) -> f64 {
    match path {
        ExitPath::FocusLossDue => f64::from(experiment.focus_loss_timeout_ms),
        ExitPath::ReconnectionDue => f64::from(experiment.reconnection_timeout_ms),
        ExitPath::PartnerExcluded
        | ExitPath::Excluded
        | ExitPath::ExclusionDue
        | ExitPath::FocusLoss
        | ExitPath::GameEnded
        | ExitPath::ReconnectionTimeout
        | ExitPath::SceneCompleted
        | ExitPath::SceneEnd => 0.0,
    }
}

/// Whether with an event a path that has begun comes to nothing.
#[must_use]
pub fn is_called_off(path: ExitPath, event: &Event) -> bool {
    match path {
        ExitPath::FocusLossDue => is_visibility(event, "visible"),
        ExitPath::ReconnectionDue => told(event, "p2p_resume").is_some(),
        ExitPath::PartnerExcluded
        | ExitPath::Excluded
        | ExitPath::ExclusionDue
        | ExitPath::FocusLoss
        | ExitPath::GameEnded
        | ExitPath::ReconnectionTimeout
        | ExitPath::SceneCompleted
        | ExitPath::SceneEnd => false,
    }
}

/// What the target told a page with an event of this name.
fn told<'a>(event: &'a Event, name: &str) -> Option<&'a [Value]> {
    on_the_wire(event, Direction::ToClient, name)
}

/// What a page said to the target with an event of this name.
fn said<'a>(event: &'a Event, name: &str) -> Option<&'a [Value]> {
    on_the_wire(event, Direction::ToServer, name)
}

fn on_the_wire<'a>(event: &'a Event, way: Direction, wanted: &str) -> Option<&'a [Value]> {
    match &event.fact {
        Fact::Wire(WireFact {
            direction,
            packet: Packet::Event { name, args, .. },
            ..
        }) if *direction == way && name == wanted => Some(args),
        _ => None,
    }
}

fn field<'a>(args: &'a [Value], field: &str) -> Option<&'a Value> {
    args.first()?.get(field)
}

fn reason(args: &[Value]) -> &str {
    field(args, "reason")
        .and_then(Value::as_str)
        .unwrap_or_default()
}

fn is_visibility(event: &Event, wanted: &str) -> bool {
    matches!(&event.fact, Fact::Page(page)
        if matches!(&page.what, PageFact::Visibility { state } if state == wanted))
}

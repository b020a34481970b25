//! What a spec's rules must be, beyond what its file's grammar says.

use std::ops::Range;

use super::events;
use super::fault::{CutRule, HoldRule, InjectRule, OvertakeRule, Place, WhoseGame};
use super::model::{Experiment, Step};
use super::named::Named;
use crate::evidence::Direction;

/// A mistake, and its place.
pub(super) struct Mistake {
    pub(super) message: String,
    pub(super) span: Range<usize>,
}

/// What is wrong with the rule that a step sets, if anything is.
pub(super) fn mistake(step: &Step, experiment: &Experiment) -> Option<Mistake> {
    match step {
        Step::Hold(rule) => unknown(&rule.event, rule.direction).or_else(|| of_hold(rule)),
        Step::Delay(rule) => unknown(&rule.event, rule.direction),
        Step::Inject(rule) => of_inject(rule, experiment),
        Step::Cut(rule) => of_cut(rule),
        Step::Drop(rule) | Step::Duplicate(rule) => unknown(&rule.event, rule.direction),
        Step::Overtake(rule) => unknown(&rule.event, rule.direction)
            .or_else(|| unknown(&rule.before, rule.direction))
            .or_else(|| of_overtake(rule)),
        Step::Enter(_)
        | Step::Join(_)
        | Step::Start(_)
        | Step::Solo(_)
        | Step::Play(_)
        | Step::Arrive(_)
        | Step::Walk(_)
        | Step::Observe(_)
        | Step::Leave(_)
        | Step::Background(_)
        | Step::Foreground(_)
        | Step::Sever(_)
        | Step::Provoke(_)
        | Step::Release(_)
        | Step::Watch(_)
        | Step::Answer(_) => None,
    }
}

fn unknown(event: &Named, direction: Direction) -> Option<Mistake> {
    events::mistake(event.as_str(), direction).map(|message| at(event, message))
}

fn at(name: &Named, message: String) -> Mistake {
    Mistake {
        message,
        span: name.span(),
    }
}

fn of_hold(rule: &HoldRule) -> Option<Mistake> {
    let other = rule.until.as_ref()?;
    let behind = (other.player, other.direction) == (rule.player, rule.direction);
    unknown(&other.event, other.direction).or_else(|| {
        let message = format!(
            "`{}` would wait behind `{}` for ever, expected an event of the other player or of \
             the other direction, or the step `overtake`",
            other.event, rule.event
        );
        behind.then(|| at(&other.event, message))
    })
}

fn of_inject(rule: &InjectRule, experiment: &Experiment) -> Option<Mistake> {
    let event = rule.event.name();
    let reasons = rule.event.reasons();
    let message = match rule.reason {
        Some(reason) if reasons.is_empty() => {
            Some(format!("`{event}` has no reasons, found `{reason}`"))
        }
        Some(reason) if !reasons.contains(&reason) => {
            let reasons: Vec<&str> = reasons.iter().map(|one| one.as_str()).collect();
            Some(format!(
                "`{reason}` is no reason of `{event}`, expected one of: {}",
                reasons.join(", ")
            ))
        }
        _ if rule.game != WhoseGame::This && !rule.event.names_a_game() => {
            Some(format!("`{event}` names no game, so none can be chosen"))
        }
        _ if rule.game == WhoseGame::Earlier && experiment.games < 2 => Some(
            "no game is earlier than the only one, expected an experiment of two `games` or more"
                .to_owned(),
        ),
        _ => None,
    };
    if let Some(message) = message {
        return Some(at(&rule.name, message));
    }
    match &rule.place {
        Place::Now => None,
        Place::Before(event) | Place::After(event) => unknown(event, Direction::ToClient),
    }
}

fn of_cut(rule: &CutRule) -> Option<Mistake> {
    match (&rule.event, rule.direction) {
        (None, None) => None,
        (Some(event), Some(direction)) => unknown(event, direction),
        (Some(event), None) => {
            let message = format!("expected the `direction` of `{event}` as well");
            Some(at(event, message))
        }
        (None, Some(direction)) => {
            let message = format!("expected the `event` that travels {direction} as well");
            Some(at(&rule.name, message))
        }
    }
}

fn of_overtake(rule: &OvertakeRule) -> Option<Mistake> {
    let same = rule.event.as_str() == rule.before.as_str();
    let message = || format!("`{}` cannot overtake itself", rule.event);
    same.then(|| at(&rule.before, message()))
}

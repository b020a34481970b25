//! `overlay-shown` (PLAY-02): was the survivor told in the game, and did it stay?
//!
//! It is the positive control of `no-overlay`: the same detectors must speak here.

use super::departure::{departure, partner_left};
use super::facts::{
    PARTNER, SURVIVOR, describe, difference, game_of, hit_test, overlays, pixels, reachable, tells,
    told_of_the_end,
};
use super::{Findings, OracleFinding, Says, Stimulus};
use crate::evidence::{Direction, Event, GameScene, Log, Origin, Overlay, Snapshot};
use crate::spec::{BetweenMoments, GameNumber, Spec};

/// The least share of the picture that an overlay changes.
const OTHER_PICTURE: f64 = 0.05;

/// Asks about the time between two moments of a game, the partner's departure between them.
pub(super) fn ask(spec: &Spec, between: &BetweenMoments, log: &Log) -> Findings {
    let (before, after) = (between.before.as_str(), between.after.as_str());
    let game = game_of(log, SURVIVOR, between.game);
    let began = departure(log, PARTNER).map(|departure| departure.began);
    let end = log.snapshot(SURVIVOR, after);
    let in_game = began.filter(|began| {
        game.as_ref()
            .is_some_and(|game| is_active(spec, log, game, began.seq))
    });
    let mut stimuli = vec![Stimulus::new(
        "the survivor was in an active GymScene when the partner left",
        in_game.map(|event| event.seq).into_iter().collect(),
    )];
    stimuli.extend(partner_left(log));
    let (Some(began), Some((event, snapshot))) = (in_game, end) else {
        stimuli.push(Stimulus::new(
            format!("the survivor's page at `{after}`"),
            Vec::new(),
        ));
        return Findings {
            stimuli,
            oracles: Vec::new(),
        };
    };
    Findings {
        stimuli,
        oracles: vec![
            told(log, between.game, began.seq, event.seq),
            dom(spec, log, began.seq, (event, snapshot)),
            hits(log, before, after),
            picture(log, before, after),
            stayed(log, began.seq, event.seq),
        ],
    }
}

/// The wire: the target told the survivor by itself that the partner had gone.
fn told(log: &Log, game: GameNumber, from: u64, to: u64) -> OracleFinding {
    let natural: Vec<u64> = told_of_the_end(log, game, from, to)
        .iter()
        .filter(|(_, wire)| wire.origin == Origin::Natural)
        .map(|(event, _)| event.seq)
        .collect();
    let account = if natural.is_empty() {
        "the target told the survivor nothing about the end of this game"
    } else {
        "the target told the survivor that the partner had ended this game"
    };
    finding("wire", !natural.is_empty(), account.to_owned(), natural)
}

/// Whether the game was going on at a position: it had started, the survivor had not left, and its
/// last episode had not ended.
fn is_active(spec: &Spec, log: &Log, game: &GameScene<'_>, at: u64) -> bool {
    let ended = log
        .socket_events(SURVIVOR, Direction::ToServer, "emit_episode_data")
        .filter(|(event, _, _)| game.holds(event.seq) && event.seq < at)
        .count();
    game.started.is_some_and(|started| started.seq < at)
        && game.holds(at)
        && ended < spec.body.experiment.episodes as usize
}

fn finding(oracle: &str, holds: bool, account: String, evidence: Vec<u64>) -> OracleFinding {
    OracleFinding {
        oracle: oracle.to_owned(),
        says: if holds { Says::Holds } else { Says::Violated },
        account,
        evidence,
    }
}

/// The DOM's history: an overlay came after the departure, is there still, and has the configured
/// message.
fn dom(spec: &Spec, log: &Log, from: u64, (end, snapshot): (&Event, &Snapshot)) -> OracleFinding {
    let message = spec.body.experiment.disconnect_message.as_str();
    let came: Vec<(u64, u32)> = overlays(log, from, end.seq)
        .filter(|(_, overlay)| overlay.visible)
        .map(|(event, overlay)| (event.seq, overlay.id))
        .collect();
    let shown: Vec<(u64, &Overlay)> = came
        .iter()
        .filter_map(|(seq, id)| {
            let now = snapshot.state.overlays.iter().find(|one| one.id == *id)?;
            now.visible.then_some((*seq, now))
        })
        .collect();
    let told = shown
        .iter()
        .find(|(_, overlay)| tells(overlay, snapshot, message));
    let (holds, account, seq) = match (told, shown.first()) {
        (Some((seq, overlay)), _) => (true, describe(overlay), Some(*seq)),
        (None, Some((seq, overlay))) => (
            false,
            format!(
                "{}, without the configured \"{message}\"",
                describe(overlay)
            ),
            Some(*seq),
        ),
        (None, None) => (
            false,
            "no overlay came that is still there".to_owned(),
            None,
        ),
    };
    finding(
        "DOM history",
        holds,
        account,
        seq.into_iter().chain([end.seq]).collect(),
    )
}

/// Hit-testing: what could be reached in the game cannot be reached any more.
fn hits(log: &Log, before: &str, after: &str) -> OracleFinding {
    let (Some((first, had)), Some((second, has))) = (hit_test(log, before), hit_test(log, after))
    else {
        return OracleFinding::absent("hit-testing", "the controls were not hit-tested");
    };
    let reached = had.controls.iter().filter(|one| reachable(one)).count();
    if reached == 0 {
        return OracleFinding::absent("hit-testing", "no control could be reached in the game");
    }
    let still: Vec<&str> = has
        .controls
        .iter()
        .filter(|one| reachable(one))
        .map(|one| one.element.as_str())
        .collect();
    let account = if still.is_empty() {
        format!("none of {reached} controls can be reached any more")
    } else {
        format!("still on top: {}", still.join(", "))
    };
    finding(
        "hit-testing",
        still.is_empty(),
        account,
        vec![first.seq, second.seq],
    )
}

/// Pixels: the page looks otherwise.
fn picture(log: &Log, before: &str, after: &str) -> OracleFinding {
    let Some((event, pixels)) = pixels(log, before, after) else {
        return OracleFinding::absent("pixels", "no two screenshots were compared");
    };
    let (share, _) = difference(pixels);
    finding(
        "pixels",
        share >= OTHER_PICTURE,
        format!("{:.1} % of the picture differ", share * 100.0),
        vec![event.seq],
    )
}

/// The survivor was not moved on.
fn stayed(log: &Log, from: u64, to: u64) -> OracleFinding {
    let moved: Vec<u64> = log
        .socket_events(SURVIVOR, Direction::ToServer, "advance_scene")
        .chain(log.socket_events(SURVIVOR, Direction::ToClient, "activate_scene"))
        .map(|(event, _, _)| event.seq)
        .filter(|seq| *seq > from && *seq < to)
        .collect();
    let account = if moved.is_empty() {
        "the survivor stayed in the scene"
    } else {
        "the survivor was moved on"
    };
    finding("scene", moved.is_empty(), account.to_owned(), moved)
}

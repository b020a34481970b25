//! `nothing-left` (P2P-01, LIFE-02): once the partner has gone and the survivor has come to rest, is no
//! connection open that a game made, and nothing of a game alive that could act later?

use super::departure::{departure, partner_left};
use super::equipment::{Creator, new_since, pending};
use super::excuses::draws;
use super::facts::{PARTNER, SURVIVOR, new_sockets, seq, still_held};
use super::games::lag;
use super::{Findings, OracleFinding, Says, Stimulus};
use crate::evidence::{Direction, Event, Log, Scene, SceneKind, Snapshot, Source};
use crate::spec::{AtRest, GameNumber};

/// Asks about the survivor's page where it has come to rest.
pub(super) fn ask(asked: &AtRest, log: &Log) -> Findings {
    let later = format!("{}/later", asked.at);
    let left = partner_left(log);
    let said = left.iter().flat_map(|stimulus| &stimulus.evidence).max();
    let barrier = log
        .barrier(SURVIVOR, &asked.at)
        .filter(|barrier| said.is_some_and(|said| *said < barrier.seq));
    let rest = log.snapshot(SURVIVOR, &later);
    let before = first_look(log)
        .filter(|(_, before)| rest.is_some_and(|(_, rest)| rest.page == before.page));
    let mut stimuli = vec![
        Stimulus::new(
            "the survivor's page before its first game, and the same page at rest",
            seq(before.and(rest).map(|(event, _)| event)),
        ),
        Stimulus::new("a barrier after the partner's departure", seq(barrier)),
    ];
    stimuli.extend(ran(log));
    stimuli.extend(left);
    let (Some(before), Some(rest)) = (before, rest) else {
        return Findings {
            stimuli,
            oracles: Vec::new(),
        };
    };
    Findings {
        stimuli,
        oracles: vec![
            ledger(rest),
            equipment(log, before, rest),
            kernel(log, &later),
        ],
    }
}

/// Whether nothing is left of a game at a moment that could act by itself: no connection, worker, interval,
/// time-out or callback for the next frame, as the survivor's page knows them, and no socket, as the kernel does.
/// False also where one of the two could not be asked.
#[must_use]
pub fn nothing_could_act(log: &Log, moment: &str) -> bool {
    let (Some(before), Some(now)) = (first_look(log), log.snapshot(SURVIVOR, moment)) else {
        return false;
    };
    let asked = [
        ledger(now),
        equipment(log, before, now),
        kernel(log, moment),
    ];
    before.1.page == now.1.page && asked.iter().all(|oracle| oracle.says == Says::Holds)
}

/// The survivor's page before its first game.
fn first_look(log: &Log) -> Option<(&Event, &Snapshot)> {
    log.snapshot(SURVIVOR, &GameNumber::FIRST.before())
}

/// Where a game had begun before the partner went, there was something to be closed: what was seen of that.
/// Before the first game nothing of one can be left.
fn ran(log: &Log) -> Option<Stimulus> {
    let went = departure(log, PARTNER)?.began.seq;
    let games = log.games(SURVIVOR);
    games
        .first()?
        .started
        .filter(|started| started.seq < went)?;
    let connected = log.of(SURVIVOR).find(|event| {
        event
            .channel_received()
            .is_some_and(|(_, received)| received > 0)
    });
    Some(Stimulus::new(
        "a data channel had carried messages",
        seq(connected),
    ))
}

/// The probe's ledger: every connection and channel that the page ever made is closed.
fn ledger((event, rest): (&Event, &Snapshot)) -> OracleFinding {
    let state = &rest.state;
    let mut violations: Vec<String> = state
        .connections
        .iter()
        .filter(|one| one.connection != "closed")
        .map(|one| format!("connection {} is `{}`", one.id, one.connection))
        .collect();
    violations.extend(
        state
            .channels
            .iter()
            .filter(|one| one.state != "closed")
            .map(|one| format!("its channel `{}` is `{}`", one.label, one.state)),
    );
    OracleFinding::from_violations(
        "ledger",
        violations,
        format!(
            "all {} connections and {} channels that the page ever made are closed",
            state.connections.len(),
            state.channels.len()
        ),
        vec![event.seq],
    )
}

/// The probe's ledger: no worker, interval, time-out or callback for the next frame is alive that was made since the
/// page's first game, but what draws the scene where the survivor rests, and what it waits with for another partner
/// there.
fn equipment(
    log: &Log,
    (first, before): (&Event, &Snapshot),
    (event, rest): (&Event, &Snapshot),
) -> OracleFinding {
    let waits_since = waits_since(log, event, rest);
    let came = came_to_rest(log, event, rest);
    let is_of_a_game = |creator: &Creator, created: f64| {
        !draws(creator.script()) && waits_since.is_none_or(|since| created < since)
    };
    let known = pending(&before.state);
    let alive = new_since(before, rest)
        .into_iter()
        .filter(|one| is_of_a_game(&one.creator, one.created))
        .map(|one| format!("{one} is alive"));
    let to_come = pending(&rest.state)
        .into_iter()
        .filter(|one| {
            // Scenes are drawn from frame to frame as well: such a loop is the scene's own.
            let is_of_the_scene = one.is_frame && came.is_some_and(|came| one.since >= came);
            is_of_a_game(&one.creator, one.created)
                && !is_of_the_scene
                && !known.iter().any(|old| old.is_as(one))
        })
        .map(|one| one.to_string());
    let violations: Vec<String> = alive.chain(to_come).collect();
    OracleFinding::from_violations(
        "equipment",
        violations,
        "no worker, interval, time-out or callback for the next frame of a game is alive",
        vec![first.seq, event.seq],
    )
}

/// The scene where the survivor rests, and the event by which it came there.
fn scene_of_rest<'a>(log: &'a Log, rests: &Event) -> Option<(&'a Event, Scene<'a>)> {
    log.scenes(SURVIVOR)
        .take_while(|(event, _)| event.seq < rests.seq)
        .last()
}

/// When the survivor came to the scene where it rests, on its page's clock, if that is no GymScene.
fn came_to_rest(log: &Log, rests: &Event, page: &Snapshot) -> Option<f64> {
    let (came, scene) = scene_of_rest(log, rests)?;
    let is_gym = matches!(scene.kind(), SceneKind::GameForTwo | SceneKind::GameForOne);
    (!is_gym).then(|| came.t - lag(log, page))
}

/// From when on the survivor waits in a GymScene for a partner, on its page's clock, if that is where it
/// rests.
fn waits_since(log: &Log, rests: &Event, page: &Snapshot) -> Option<f64> {
    let (came, scene) = scene_of_rest(log, rests)?;
    let matched = log
        .socket_events(SURVIVOR, Direction::ToClient, "match_found_countdown")
        .any(|(event, _, _)| event.seq > came.seq);
    let waits = scene.kind() == SceneKind::GameForTwo && !matched;
    waits.then(|| came.t - lag(log, page))
}

/// The kernel: no UDP socket is left that the browser did not have before the first game.
fn kernel(log: &Log, moment: &str) -> OracleFinding {
    if let Some(why) = log.lacks(Source::Kernel) {
        return OracleFinding::absent("kernel", why);
    }
    let (Some((before, had)), Some((now, left))) = (
        log.kernel(SURVIVOR, &GameNumber::FIRST.before()),
        log.kernel(SURVIVOR, moment),
    ) else {
        return OracleFinding::absent("kernel", "the socket table was not taken down");
    };
    let held = new_sockets(had, left);
    let violations = held.into_iter().map(still_held).collect();
    OracleFinding::from_violations(
        "kernel",
        violations,
        "no UDP socket but those that the browser had before the first game",
        vec![before.seq, now.seq],
    )
}

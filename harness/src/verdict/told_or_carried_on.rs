//! `told-or-carried-on` (RACE-02): was the survivor told in the game and stayed, or not told and
//! came to a scene that works? One of the two, whole.

use super::departure::{departure, partner_left};
use super::facts::{
    NO_CONTROL, PARTNER, SURVIVOR, covered, describe, hit_test, is_game, overlays, reachable, says,
    seq, shown, stands_at_the_end, tells,
};
use super::games::{Game, games_of, text, watch_end};
use super::{Findings, OracleFinding, Says, Stimulus};
use crate::evidence::{Control, Direction, Event, Fact, HitTest, Log, Origin, Overlay, Snapshot};
use crate::spec::{BetweenMoments, Spec};

/// A round trip, where the page has measured none, in milliseconds.
const ROUND_TRIP_MS: f64 = 100.0;

/// The least share of the view that is covered where the survivor is told of the end of its game.
const COVERED: f64 = 0.4;

/// What the survivor has been through.
#[derive(Clone, Copy)]
pub(super) struct Story<'a> {
    /// It was told that the partner had ended this game. A target that has forgotten the game tells
    /// nobody.
    pub(super) told: Option<&'a Event>,
    /// Its page said that the last episode had ended.
    pub(super) ended: Option<&'a Event>,
    /// The partner began to leave. A page may notice that before the target does.
    pub(super) left: &'a Event,
    /// By then the survivor has come to where it was led.
    pub(super) end: &'a Event,
    /// The end of the watch that follows: until then it stays so.
    pub(super) watched: u64,
    /// Its page before the partner left.
    pub(super) before: Option<&'a Snapshot>,
    /// Whether it was led to a scene. Who waits for another partner may well be told, in the text, why it does.
    pub(super) on_a_scene: bool,
}

impl Story<'_> {
    /// From where on nothing may cover the page of a survivor who carries on.
    fn out_of_the_game(&self) -> u64 {
        match (self.told, self.ended) {
            (Some(told), Some(ended)) => told.seq.min(ended.seq),
            (None, Some(ended)) => ended.seq,
            (_, None) => self.told.unwrap_or(self.left).seq,
        }
    }
}

/// Asks about the time until the moment `after`; `before` is a moment in the game.
pub(super) fn ask(spec: &Spec, moments: &BetweenMoments, log: &Log) -> Findings {
    let game = game_of_the_death(log);
    let told = game.and_then(|game| told(log, &game));
    let died = departure(log, PARTNER).map(|left| left.began);
    let end = log.barrier(SURVIVOR, &moments.after);
    let left = partner_left(log);
    // What the target has to say of the death, it has said by then.
    let said = left.iter().flat_map(|stimulus| &stimulus.evidence).max();
    let at_rest = end.filter(|end| {
        told.is_none_or(|told| told.seq < end.seq) && said.is_some_and(|said| *said < end.seq)
    });
    let mut stimuli = vec![
        Stimulus::new(
            "the survivor was in a game that had begun",
            seq(game.and_then(|game| game.started)),
        ),
        Stimulus::new("a barrier after the partner's departure", seq(at_rest)),
    ];
    stimuli.extend(left);
    let oracles = match (game, died, end) {
        (Some(game), Some(left), Some(end)) => {
            let ended = game.complete.filter(|ended| ended.seq < end.seq);
            let story = Story {
                told,
                ended,
                left,
                end,
                watched: watched(log, &moments.after, end),
                before: log
                    .snapshot(SURVIVOR, &moments.before)
                    .map(|(_, page)| page),
                on_a_scene: true,
            };
            let carried_on = || carried_on(&story, moments, log, &game);
            rows(spec, &story, moments, log, &game, carried_on)
        }
        _ => Vec::new(),
    };
    Findings { stimuli, oracles }
}

/// Where the watch after a moment ended; that moment's barrier, if the run did not come so far.
pub(super) fn watched(log: &Log, moment: &str, barrier: &Event) -> u64 {
    watch_end(log, moment).map_or(barrier.seq, |(event, _)| event.seq)
}

/// The survivor's last game that began before the partner died.
fn game_of_the_death(log: &Log) -> Option<Game<'_>> {
    let died = departure(log, PARTNER).map_or(u64::MAX, |left| left.began.seq);
    games_of(SURVIVOR, log)
        .into_iter()
        .rfind(|game| game.started.is_some_and(|started| started.seq < died))
}

/// The target's own word that the partner has ended this game.
pub(super) fn told<'a>(log: &'a Log, game: &Game<'_>) -> Option<&'a Event> {
    log.socket_events(SURVIVOR, Direction::ToClient, "p2p_game_ended")
        .find(|(_, wire, args)| {
            wire.origin == Origin::Natural
                && text(args, "game_id") == Some(game.id)
                && text(args, "reason") != Some("scene_completed")
        })
        .map(|(event, _, _)| event)
}

/// Which of the two it must be, by what came first: who is not told must be moved on. Where the page may have
/// ended before it heard, either will do, if it is whole.
pub(super) fn rows(
    spec: &Spec,
    story: &Story<'_>,
    moments: &BetweenMoments,
    log: &Log,
    game: &Game<'_>,
    carried_on: impl Fn() -> Vec<OracleFinding>,
) -> Vec<OracleFinding> {
    let Some(told) = story.told else {
        return carried_on();
    };
    let stayed = || stayed(spec, told, story, moments, log);
    let Some(ended) = story.ended else {
        return stayed();
    };
    let round_trip = round_trip(log, game);
    let at_once = (ended.t - told.t).abs() < round_trip;
    if at_once || stood_still(log, game, told, ended, round_trip) {
        let whole = carried_on();
        let alternative = stayed();
        let is_whole = |row: &[OracleFinding]| row.iter().all(|one| one.says != Says::Violated);
        return if is_whole(&whole) || !is_whole(&alternative) {
            whole
        } else {
            alternative
        };
    }
    if told.seq < ended.seq {
        stayed()
    } else {
        carried_on()
    }
}

/// Whether the target's word lay unheard before a page that stood still until it was at the end of its game: around
/// the word it was silent for longer than ever before in this game, and the end came with its first signs of life
/// after that. Signs of life are what came to the gateway from it, in milliseconds of the run's clock.
fn stood_still(log: &Log, game: &Game<'_>, told: &Event, ended: &Event, round_trip: f64) -> bool {
    let is_sign = |event: &&Event| match &event.fact {
        Fact::Page(_) => true,
        Fact::Wire(wire) => wire.direction == Direction::ToServer && wire.origin == Origin::Natural,
        _ => false,
    };
    let Some(started) = game.started.filter(|started| started.seq < told.seq) else {
        return false;
    };
    let in_game = log.of(SURVIVOR).filter(is_sign).map(|event| event.t);
    let in_game = in_game.filter(|t| (started.t..ended.t).contains(t));
    // What comes right after the word may have been on its way before.
    let (before, after): (Vec<f64>, Vec<f64>) = in_game.partition(|t| *t < told.t + round_trip);
    let last = before.last().copied().unwrap_or(started.t);
    let next = after.first().copied().unwrap_or(ended.t);
    let longest = before
        .windows(2)
        .map(|two| two[1] - two[0])
        .fold(0.0, f64::max);
    next > ended.t - round_trip && next - last > longest
}

/// The longest round trip that the survivor's page has measured while it was in the game. What it measured last
/// in it, it tells with its first ping after that.
fn round_trip(log: &Log, game: &Game<'_>) -> f64 {
    let from = game.started.map_or(0, |started| started.seq);
    let to = game.exit.map_or(u64::MAX, |exit| exit.seq);
    let pings = log.socket_events(SURVIVOR, Direction::ToServer, "ping");
    let (within, after): (Vec<_>, Vec<_>) = pings
        .filter(|(event, _, _)| event.seq > from)
        .partition(|(event, _, _)| event.seq < to);
    let told = within.into_iter().chain(after.into_iter().next());
    told.filter_map(|(_, _, args)| args.first()?.get("ping_ms")?.as_f64())
        .fold(ROUND_TRIP_MS, f64::max)
}

/// Told in the game: an overlay comes and stays, and the survivor stays with it.
pub(super) fn stayed(
    spec: &Spec,
    told: &Event,
    story: &Story<'_>,
    moments: &BetweenMoments,
    log: &Log,
) -> Vec<OracleFinding> {
    vec![
        overlay_stays(spec, story, moments, log),
        nobody_moves(told, story, log),
        nothing_in_reach(moments, log),
    ]
}

/// What came since the partner left, covers the page, says what the experiment has it say, and is there still
/// when the watch ends.
fn overlay_stays(
    spec: &Spec,
    story: &Story<'_>,
    moments: &BetweenMoments,
    log: &Log,
) -> OracleFinding {
    let Some((event, snapshot)) = log.snapshot(SURVIVOR, &moments.after) else {
        return OracleFinding::absent("DOM history", "the page was not looked at");
    };
    let mut evidence = vec![event.seq];
    let came: Vec<u32> = overlays(log, story.left.seq, event.seq)
        .filter(|(_, overlay)| overlay.visible)
        .map(|(event, overlay)| {
            evidence.push(event.seq);
            overlay.id
        })
        .collect();
    let message = spec.body.experiment.disconnect_message.as_str();
    let tells_it =
        |overlay: &Overlay, page| tells(overlay, page, message) && overlay.coverage >= COVERED;
    let at_rest: Vec<&Overlay> = still_there(snapshot, &came).collect();
    let told = at_rest
        .iter()
        .copied()
        .find(|overlay| tells_it(overlay, snapshot));
    let end = watch_end(log, &moments.after);
    evidence.extend(end.map(|(event, _)| event.seq));
    let goes = told.zip(end).is_some_and(|(told, (_, last))| {
        !still_there(last, &came).any(|one| one.id == told.id && tells_it(one, last))
    });
    let violations = match (told, at_rest.first()) {
        _ if came.is_empty() => vec!["told in the game, and no overlay came".to_owned()],
        (None, None) => vec!["told in the game, and the overlay did not stay".to_owned()],
        (None, Some(other)) => vec![format!(
            "told in the game, and nothing covers the page that says \"{message}\", only {}",
            describe(other)
        )],
        (Some(told), _) if goes => vec![format!(
            "told in the game, and what told it did not stay: {}",
            describe(told)
        )],
        (Some(_), _) => Vec::new(),
    };
    OracleFinding::from_violations(
        "DOM history",
        violations,
        format!(
            "told in the game: {}",
            told.map(describe).unwrap_or_default()
        ),
        evidence,
    )
}

/// Of the overlays that came those that a page still shows.
fn still_there<'a>(page: &'a Snapshot, came: &[u32]) -> impl Iterator<Item = &'a Overlay> {
    let overlays = page.state.overlays.iter();
    overlays.filter(|overlay| overlay.visible && came.contains(&overlay.id))
}

fn nobody_moves(told: &Event, story: &Story<'_>, log: &Log) -> OracleFinding {
    let moves: Vec<&Event> = log
        .socket_events(SURVIVOR, Direction::ToServer, "advance_scene")
        .chain(log.socket_events(SURVIVOR, Direction::ToClient, "activate_scene"))
        .map(|(event, _, _)| event)
        .filter(|event| event.seq > told.seq && event.seq < story.watched)
        .collect();
    let violations = moves
        .first()
        .map(|first| {
            format!(
                "told in the game, and moved on all the same, {:.1} s later",
                (first.t - told.t) / 1000.0
            )
        })
        .into_iter()
        .collect();
    OracleFinding::from_violations(
        "wire",
        violations,
        "told in the game, and not moved on",
        moves
            .iter()
            .map(|event| event.seq)
            .chain([told.seq])
            .collect(),
    )
}

/// What a scene shows is covered, or it shows nothing any more that could be reached before.
fn nothing_in_reach(moments: &BetweenMoments, log: &Log) -> OracleFinding {
    let Some((second, has)) = hit_test(log, &moments.after) else {
        return OracleFinding::absent("hit-testing", "the controls were not hit-tested");
    };
    let first = hit_test(log, &moments.before);
    let any = |test: &HitTest, is: fn(&Control) -> bool| test.controls.iter().any(is);
    let could = first.is_some_and(|(_, had)| any(had, reachable));
    if !could && !any(has, |control| control.rendered) {
        return OracleFinding::absent(
            "hit-testing",
            "the scene shows no control, and nobody saw one in reach in the game",
        );
    }
    let violations = has
        .controls
        .iter()
        .filter(|control| reachable(control))
        .map(|control| {
            format!(
                "told in the game, and `{}` is still on top",
                control.element
            )
        })
        .collect();
    OracleFinding::from_violations(
        "hit-testing",
        violations,
        "no control can be reached any more",
        first
            .map(|(event, _)| event.seq)
            .into_iter()
            .chain([second.seq])
            .collect(),
    )
}

/// Played to the end, or not told: no overlay, and the next scene comes and works.
fn carried_on(
    story: &Story<'_>,
    moments: &BetweenMoments,
    log: &Log,
    game: &Game<'_>,
) -> Vec<OracleFinding> {
    vec![
        no_overlay(story, log),
        next_scene(story, log, game),
        all_in_reach(moments, log),
    ]
}

pub(super) fn no_overlay(story: &Story<'_>, log: &Log) -> OracleFinding {
    let from = story.out_of_the_game();
    let end = story.watched;
    let mut evidence = Vec::new();
    let mut violations: Vec<String> = Vec::new();
    let mut note = |seq: u64, what: String| {
        evidence.push(seq);
        if !violations.contains(&what) {
            violations.push(what);
        }
    };
    let old: Vec<u32> = overlays(log, 0, from).map(|(_, one)| one.id).collect();
    for (event, overlay) in overlays(log, from, end) {
        let flashed = !overlay.present && !old.contains(&overlay.id);
        if overlay.visible || flashed {
            note(
                event.seq,
                format!("after the game's end {}", describe(overlay)),
            );
        }
    }
    for (event, snapshot) in snapshots_at_rest(log, from) {
        for overlay in snapshot.state.overlays.iter().filter(|one| one.visible) {
            note(
                event.seq,
                format!("at `{}` {}", snapshot.label, describe(overlay)),
            );
        }
        if let Some(says) = says(snapshot, story.before).filter(|_| story.on_a_scene) {
            note(event.seq, format!("at `{}` {says}", snapshot.label));
        }
    }
    OracleFinding::from_violations(
        "DOM history",
        violations,
        "the game had been played to its end, and nothing covered the page any more",
        evidence,
    )
}

/// Looks at the survivor's page after it was told, until its next game.
fn snapshots_at_rest(log: &Log, from: u64) -> impl Iterator<Item = (&Event, &Snapshot)> {
    let until = log
        .socket_events(SURVIVOR, Direction::ToClient, "activate_scene")
        .find(|(event, _, args)| event.seq > from && is_game(args))
        .map_or(u64::MAX, |(event, _, _)| event.seq);
    log.of(SURVIVOR)
        .filter(move |event| event.seq > from && event.seq < until)
        .filter_map(|event| match &event.fact {
            Fact::Snapshot(snapshot) => Some((event, snapshot)),
            _ => None,
        })
}

pub(super) fn next_scene(story: &Story<'_>, log: &Log, game: &Game<'_>) -> OracleFinding {
    let advanced = log
        .socket_events(SURVIVOR, Direction::ToServer, "advance_scene")
        .map(|(event, _, _)| event)
        .find(|event| story.ended.is_some_and(|ended| event.seq > ended.seq));
    let arrived = game.exit.filter(|exit| exit.seq < story.end.seq);
    let violations = match (advanced, arrived) {
        (_, None) if story.told.is_none() => {
            vec!["the survivor was neither told nor moved on".to_owned()]
        }
        (None, _) => vec!["the game was played to its end, and the page never advanced".to_owned()],
        (_, None) => vec!["the page advanced, and the next scene never came".to_owned()],
        (Some(_), Some(_)) => Vec::new(),
    };
    OracleFinding::from_violations(
        "wire",
        violations,
        "the survivor advanced, and the next scene came",
        [advanced, arrived]
            .into_iter()
            .flatten()
            .map(|event| event.seq)
            .collect(),
    )
}

fn all_in_reach(moments: &BetweenMoments, log: &Log) -> OracleFinding {
    let Some((event, test)) = hit_test(log, &moments.after) else {
        return OracleFinding::absent("hit-testing", "the controls were not hit-tested");
    };
    if shown(test) == 0 && stands_at_the_end(log, event.seq) {
        return OracleFinding::absent("hit-testing", NO_CONTROL);
    }
    let mut violations = covered(test);
    if shown(test) == 0 {
        violations.push("no control of the scene can be reached".to_owned());
    }
    OracleFinding::from_violations(
        "hit-testing",
        violations,
        format!("all {} controls of the scene are on top", shown(test)),
        vec![event.seq],
    )
}

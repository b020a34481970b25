//! `no-overlay` (P2P-02): was there no overlay on the scene after the game?

use std::collections::HashSet;

use super::away::away;
use super::departure::{departure, disconnect_handled, partner_left};
use super::facts::{
    NO_CONTROL, PARTNER, SURVIVOR, describe, difference, game_of, hit_test, is_game, left_the_game,
    overlays, pixels, reachable, says, seq, shown, stands_at_the_end, told_of_the_end,
};
use super::{Findings, OracleFinding, Stimulus};
use crate::evidence::{Direction, Event, Fact, Log, Origin, RuleEffect, Snapshot, Source};
use crate::spec::{Calm, GameNumber, Spec, Told};

/// Asks about the time from the survivor's exit from a game until the moment `after`; `before` is a
/// moment before the partner's departure, or before the last of the injected events.
pub(super) fn ask(spec: &Spec, calm: &Calm, log: &Log) -> Findings {
    let (before, after) = (calm.before.as_str(), calm.after.as_str());
    let exit = left_the_game(log, calm.game);
    let barrier = log.barrier(SURVIVOR, after);
    // What comes after an event that the gateway has put in may be its doing.
    let until = match calm.told {
        Told::ByAnybody => None,
        Told::ByTarget => exit.and_then(|exit| first_put_in(log, exit)),
    };
    let mut stimuli = vec![
        Stimulus::new("the survivor left the GymScene", seq(exit)),
        Stimulus::new("a barrier after that", seq(barrier)),
    ];
    stimuli.extend(away(calm, &spec.body.experiment, log));
    if calm.injected.is_empty() && calm.away.is_empty() {
        stimuli.push(match calm.told {
            Told::ByAnybody => told(log, calm.game, exit, barrier),
            Told::ByTarget => told_by_target(spec, calm, log, until),
        });
        stimuli.extend(partner_left(log));
    } else {
        let by = barrier.map_or(0, |barrier| barrier.seq);
        stimuli.extend(calm.injected.iter().map(|rule| injected(rule, by, log)));
    }
    let until = until.map_or(u64::MAX, |put_in| put_in.seq);
    let oracles = match (exit, barrier) {
        (Some(exit), Some(barrier)) if barrier.seq < until => vec![
            dom(log, exit, until, before),
            hits(log, before, after, barrier.seq),
            picture(log, before, after),
        ],
        // Even a run that ended early, or that the gateway took over, may have shown an overlay.
        (Some(exit), _) => vec![dom(log, exit, until, before)],
        (None, _) => Vec::new(),
    };
    Findings { stimuli, oracles }
}

/// The event of a rule, which in a wrong system would raise an overlay.
fn injected(rule: &str, by: u64, log: &Log) -> Stimulus {
    let fired = log.of(SURVIVOR).filter(|event| {
        event.seq < by
            && matches!(&event.fact, Fact::Rule(fact)
                if fact.rule == rule && fact.effect == RuleEffect::Injected)
    });
    Stimulus::new(
        format!("the survivor's page was sent what the rule `{rule}` injects"),
        fired.map(|event| event.seq).collect(),
    )
}

/// The event that, in a wrong system, would raise the overlay.
fn told(log: &Log, game: GameNumber, exit: Option<&Event>, barrier: Option<&Event>) -> Stimulus {
    let events = exit
        .zip(barrier)
        .map(|(exit, barrier)| told_of_the_end(log, game, exit.seq, barrier.seq))
        .unwrap_or_default();
    let origin = match events.first().map(|(_, wire)| wire.origin) {
        Some(Origin::Natural) => " (natural)",
        Some(Origin::Injected) => " (injected)",
        Some(Origin::Synthetic) => " (synthetic)",
        // The harness's own round trips tell nobody of an end.
        Some(Origin::Harness) | None => "",
    };
    Stimulus::new(
        format!(
            "the survivor was told outside of the GymScene that the partner had ended this \
             game{origin}"
        ),
        events.iter().map(|(event, _)| event.seq).collect(),
    )
}

/// The first event after the exit that the survivor's page got from the gateway, and not from the
/// target by itself.
fn first_put_in<'a>(log: &'a Log, exit: &Event) -> Option<&'a Event> {
    log.of(SURVIVOR).find(|event| {
        event.seq > exit.seq
            && matches!(&event.fact, Fact::Wire(wire)
                if wire.direction == Direction::ToClient
                    && matches!(wire.origin, Origin::Injected | Origin::Synthetic))
    })
}

/// The target's own news of the partner's departure, before the gateway put in anything.
fn told_by_target(spec: &Spec, calm: &Calm, log: &Log, until: Option<&Event>) -> Stimulus {
    let what = "the target by itself told the survivor outside of the GymScene that the partner \
                had ended this game";
    if let Some(why) = log.lacks(Source::Handlers) {
        return Stimulus::not_given(what, why.to_owned(), Vec::new());
    }
    let exit = left_the_game(log, calm.game);
    let Some((exit, barrier)) = exit.zip(log.barrier(SURVIVOR, &calm.after)) else {
        return Stimulus::new(what, Vec::new());
    };
    let told = told_of_the_end(log, calm.game, exit.seq, barrier.seq);
    let natural = told.iter().filter(|(event, wire)| {
        wire.origin == Origin::Natural && until.is_none_or(|put_in| event.seq < put_in.seq)
    });
    let natural: Vec<u64> = natural.map(|(event, _)| event.seq).collect();
    let silent = told.iter().all(|(_, wire)| wire.origin == Origin::Injected);
    match had_reason_to_tell(log, calm.game, exit, barrier) {
        Some(evidence) if silent => Stimulus::not_given(what, tells_nobody(spec, calm), evidence),
        Some(_) | None => Stimulus::new(what, natural),
    }
}

/// What shows that the target had every reason to tell the survivor, and the time to: the partner left
/// while it still stood in the same game's scene, the target has finished with that, and what it may
/// have sent until then would have come. `None` if any of it was not so, or if the gateway kept back
/// such an event.
fn had_reason_to_tell(
    log: &Log,
    game: GameNumber,
    exit: &Event,
    barrier: &Event,
) -> Option<Vec<u64>> {
    let gone = departure(log, PARTNER)?.began;
    let stood = game_of(log, PARTNER, game)?;
    let same = stood.game.is_some() && stood.game == game_of(log, SURVIVOR, game)?.game;
    let handled = disconnect_handled(log, PARTNER)?;
    let kept_back = log.of(SURVIVOR).any(|event| {
        matches!(&event.fact, Fact::Rule(rule)
            if rule.event.as_deref() == Some("p2p_game_ended")
                && rule.effect != RuleEffect::Injected)
    });
    let all = same
        && exit.seq < gone.seq
        && stood.holds(gone.seq)
        && handled.seq < barrier.seq
        && !kept_back;
    all.then(|| vec![gone.seq, handled.seq, barrier.seq])
}

fn tells_nobody(spec: &Spec, calm: &Calm) -> String {
    let instead = match spec.body.asked_by_injection(calm) {
        Some(check) => format!(
            "; the check `{}` asks it by injection instead",
            check.name()
        ),
        None => String::new(),
    };
    format!(
        "this target tells nobody who has left a game: the partner went out of it while the \
         survivor stood on the next scene, the target handled that, and sent the survivor no \
         `p2p_game_ended`{instead}"
    )
}

/// The DOM's history since the exit: anything that came, however short, and anything that stayed.
fn dom(log: &Log, exit: &Event, until: u64, before: &str) -> OracleFinding {
    let until = next_game(log, exit).min(until);
    let mut evidence = Vec::new();
    let mut violations = Vec::new();
    let mut seen = HashSet::new();
    // Overlays that were there before are no news when they go.
    let old: HashSet<u32> = overlays(log, 0, exit.seq)
        .map(|(_, overlay)| overlay.id)
        .collect();
    for (event, overlay) in overlays(log, exit.seq, until) {
        let flashed = !overlay.present && !old.contains(&overlay.id);
        if (overlay.visible || flashed) && seen.insert(overlay.id) {
            evidence.push(event.seq);
            violations.push(describe(overlay));
        }
    }
    for (event, snapshot) in snapshots(log, exit.seq, until) {
        evidence.push(event.seq);
        for overlay in snapshot.state.overlays.iter().filter(|one| one.visible) {
            if seen.insert(overlay.id) {
                violations.push(format!("{}, left over from the game", describe(overlay)));
            }
        }
        let earlier = log.snapshot(SURVIVOR, before).map(|(_, earlier)| earlier);
        if let Some(says) = says(snapshot, earlier)
            && !violations.contains(&says)
        {
            violations.push(says);
        }
    }
    OracleFinding::from_violations(
        "DOM history",
        violations,
        "nothing that covers or hides the page came or stayed after the exit",
        evidence,
    )
}

/// Where the next GymScene begins; the end of the log, if there is none. Where one game led straight
/// to the next, that one begins with its start: what covers it before is not its own.
fn next_game(log: &Log, exit: &Event) -> u64 {
    let to_survivor = |name| log.socket_events(SURVIVOR, Direction::ToClient, name);
    let straight = to_survivor("activate_scene")
        .any(|(event, _, args)| event.seq == exit.seq && is_game(args));
    let begins = if straight {
        to_survivor("start_game").find(|(event, _, _)| event.seq > exit.seq)
    } else {
        to_survivor("activate_scene").find(|(event, _, args)| event.seq > exit.seq && is_game(args))
    };
    begins.map_or(u64::MAX, |(event, _, _)| event.seq)
}

/// The survivor's snapshots between two positions.
fn snapshots(log: &Log, from: u64, to: u64) -> impl Iterator<Item = (&Event, &Snapshot)> {
    log.of(SURVIVOR)
        .filter(move |event| event.seq > from && event.seq < to)
        .filter_map(|event| match &event.fact {
            Fact::Snapshot(snapshot) => Some((event, snapshot)),
            _ => None,
        })
}

/// Hit-testing: whatever a click could reach before, it can reach still.
fn hits(log: &Log, before: &str, after: &str, by: u64) -> OracleFinding {
    let (Some((first, had)), Some((second, has))) = (hit_test(log, before), hit_test(log, after))
    else {
        return OracleFinding::absent("hit-testing", "the controls were not hit-tested");
    };
    let expected: Vec<_> = had.controls.iter().filter(|one| reachable(one)).collect();
    let mut violations: Vec<String> = had
        .controls
        .iter()
        .filter(|control| control.rendered && !control.on_top)
        .map(|control| covered(&control.element, control.covered_by.as_deref()))
        .collect();
    if shown(had) == 0 && stands_at_the_end(log, by) {
        return OracleFinding::absent("hit-testing", NO_CONTROL);
    }
    if expected.is_empty() {
        violations.push("no control of the scene could be reached, even before".to_owned());
    }
    for control in &expected {
        match has
            .controls
            .iter()
            .find(|one| one.element == control.element)
        {
            Some(now) if reachable(now) => {}
            Some(now) if now.rendered => {
                violations.push(covered(&now.element, now.covered_by.as_deref()));
            }
            Some(now) => violations.push(format!("`{}` is hidden", now.element)),
            None => violations.push(format!("`{}` is gone", control.element)),
        }
    }
    OracleFinding::from_violations(
        "hit-testing",
        violations,
        format!("all {} controls of the scene are on top", expected.len()),
        vec![first.seq, second.seq],
    )
}

fn covered(element: &str, by: Option<&str>) -> String {
    format!("`{element}` is covered by `{}`", by.unwrap_or("something"))
}

/// Pixels: the page looks as it did before.
fn picture(log: &Log, before: &str, after: &str) -> OracleFinding {
    let Some((event, pixels)) = pixels(log, before, after) else {
        return OracleFinding::absent("pixels", "no two screenshots were compared");
    };
    let (share, same) = difference(pixels);
    let percent = share * 100.0;
    let violations = if same {
        Vec::new()
    } else {
        vec![format!("{percent:.1} % of the picture differ")]
    };
    OracleFinding::from_violations(
        "pixels",
        violations,
        format!("{percent:.2} % of the picture differ"),
        vec![event.seq],
    )
}

//! `fresh-connection` (REUSE-01): did a connection made for this game carry its inputs?

use serde_json::Value;

use super::facts::{PARTNER, SURVIVOR, seq};
use super::games::{Game, connection_made, game_of};
use super::{Findings, OracleFinding, Stimulus};
use crate::evidence::{Direction, Event, Fact, Log, PageFact, PageState, Snapshot};
use crate::spec::GameAtMoment;

/// The least number of frames from which inputs can be told from all else.
const LEAST_FRAMES: u64 = 20;

/// Messages a second that a channel carries without any input: pings and their answers.
const PINGS_PER_SECOND: f64 = 4.5;

/// A player's game, and its page at the moment.
struct Seen<'a> {
    player: &'static str,
    game: Game<'a>,
    started: &'a Event,
    event: &'a Event,
    snapshot: &'a Snapshot,
}

/// Asks about a game of the run, at a moment in it.
pub(super) fn ask(which: &GameAtMoment, log: &Log) -> Findings {
    let survivor = seen(SURVIVOR, which, log);
    let partner = seen(PARTNER, which, log);
    let mut stimuli = Vec::new();
    for (player, seen) in [(SURVIVOR, &survivor), (PARTNER, &partner)] {
        let started = game_of(player, log, which.game.get()).and_then(|game| game.started);
        stimuli.push(Stimulus::new(
            format!("game {} began for the {player}", which.game),
            seq(started),
        ));
        stimuli.push(Stimulus::new(
            format!("the {player} pressed keys in it before `{}`", which.at),
            seq(seen.as_ref().and_then(|seen| pressed(log, seen))),
        ));
    }
    let played = survivor
        .as_ref()
        .filter(|seen| frames(&seen.snapshot.state).is_some_and(|count| count >= LEAST_FRAMES));
    stimuli.push(Stimulus::new(
        format!("the survivor had played {LEAST_FRAMES} frames of it by then"),
        seq(played.map(|seen| seen.event)),
    ));
    let both = [&survivor, &partner].into_iter().flatten();
    let over = both.filter_map(|seen| seen.game.complete.or(seen.game.exit));
    let over = over.map(|event| event.seq).min().unwrap_or(u64::MAX);
    let relay = survivor.as_ref().map(|seen| relay(log, &seen.game, over));
    Findings {
        stimuli,
        oracles: [
            survivor.map(|seen| connection(log, &seen)),
            partner.map(|seen| connection(log, &seen)),
            relay,
        ]
        .into_iter()
        .flatten()
        .collect(),
    }
}

/// A player's page at the moment, if that lies in the game.
fn seen<'a>(player: &'static str, which: &GameAtMoment, log: &'a Log) -> Option<Seen<'a>> {
    let game = game_of(player, log, which.game.get())?;
    let (event, snapshot) = log.snapshot(player, &which.at)?;
    let started = game.started?;
    let left = game.exit.is_some_and(|exit| exit.seq < event.seq);
    (started.seq < event.seq && !left).then_some(Seen {
        player,
        game,
        started,
        event,
        snapshot,
    })
}

/// A key that the player pressed in the game, before the moment.
fn pressed<'a>(log: &'a Log, seen: &Seen<'_>) -> Option<&'a Event> {
    let (from, by) = (seen.started.seq, seen.event.seq);
    log.events().iter().find(|event| {
        event.player.as_deref() == Some(seen.player)
            && event.seq > from
            && event.seq < by
            && matches!(&event.fact, Fact::Action(action) if action.action == "press a key")
    })
}

/// How many frames of its game a page has played, by its own word.
fn frames(state: &PageState) -> Option<u64> {
    state.game.get("frameNumber").and_then(Value::as_u64)
}

/// A page: a connection that it made for this game carries at least a message for each frame, both
/// ways, and no older one does.
fn connection(log: &Log, seen: &Seen<'_>) -> OracleFinding {
    let oracle = format!("the {}'s page", seen.player);
    let Some(frames) = frames(&seen.snapshot.state) else {
        return OracleFinding::absent(&oracle, "it does not tell how many frames it has played");
    };
    if frames < LEAST_FRAMES {
        return OracleFinding::absent(&oracle, format!("it has played {frames} frames only"));
    }
    let started = seen.started;
    let seconds = ((seen.event.t - started.t) / 1000.0).max(0.0);
    let new = carried(log, seen, started, true);
    let old = carried(log, seen, started, false);
    let what = if new.inputs { "inputs" } else { "messages" };
    let pings = if new.inputs { 0.0 } else { PINGS_PER_SECOND };
    let least = frames as f64 / 2.0 + pings * seconds;
    let mut violations = Vec::new();
    if new.connections == 0 {
        violations.push(format!(
            "no connection was made for the game and is connected; older ones carried {} {what}",
            old.sent + old.received
        ));
    } else {
        for (way, count) in [("sent", new.sent), ("received", new.received)] {
            if (count as f64) <= least {
                violations.push(format!(
                    "its channel {way} {count} {what} in {frames} frames and {seconds:.0} s: \
                     the inputs are not among them"
                ));
            }
        }
    }
    for (way, count) in [("sent", old.sent), ("received", old.received)] {
        if old.connections > 0 && count as f64 > least {
            violations.push(format!(
                "a channel that was made before the game {way} {count} {what} in it"
            ));
        }
    }
    OracleFinding::from_violations(
        &oracle,
        violations,
        format!(
            "a connection made for the game; its channel sent {} and received {} {what} in \
             {frames} frames",
            new.sent, new.received
        ),
        vec![seen.game.assigned.seq, started.seq, seen.event.seq],
    )
}

/// What connected connections carried since a game began.
#[derive(Default)]
struct Carried {
    connections: usize,
    /// Whether inputs were counted, or all messages: older logs do not tell them apart.
    inputs: bool,
    sent: u64,
    received: u64,
}

/// What the connections made for the game carried since it began, or those made before it.
fn carried(log: &Log, seen: &Seen<'_>, started: &Event, new: bool) -> Carried {
    let state = &seen.snapshot.state;
    let mut carried = Carried {
        inputs: state.channels.iter().any(|one| one.sent_inputs.is_some()),
        ..Carried::default()
    };
    for connection in &state.connections {
        let is_new = connection_made(seen.player, log, seen.snapshot.page, connection.id)
            .is_some_and(|made| made.seq > seen.game.assigned.seq);
        if is_new != new || !connection.was_connected || connection.connection != "connected" {
            continue;
        }
        carried.connections += 1;
        for channel in state
            .channels
            .iter()
            .filter(|channel| channel.connection == connection.id)
        {
            let (sent, received) = before(log, seen, channel.id, started.seq);
            let inputs = channel.sent_inputs.zip(channel.received_inputs);
            let (has_sent, has_received) = inputs.unwrap_or((channel.sent, channel.received));
            carried.sent += has_sent.saturating_sub(sent);
            carried.received += has_received.saturating_sub(received);
        }
    }
    carried
}

/// What a channel had carried at a position, as far as it had been told: inputs, where they were counted.
fn before(log: &Log, seen: &Seen<'_>, channel: u32, by: u64) -> (u64, u64) {
    log.of(seen.player)
        .filter(|event| event.seq < by)
        .filter_map(|event| match &event.fact {
            Fact::Page(page) if page.page == seen.snapshot.page => match &page.what {
                PageFact::ChannelTraffic {
                    id,
                    sent,
                    sent_inputs,
                    received,
                    received_inputs,
                    ..
                } if *id == channel => {
                    let inputs = sent_inputs.zip(*received_inputs);
                    Some(inputs.unwrap_or((*sent, *received)))
                }
                _ => None,
            },
            _ => None,
        })
        .next_back()
        .unwrap_or((0, 0))
}

/// The wire: no input took the server's relay since the game was made, until it was over for one of them: who
/// goes on stepping then, and waits for the other's word, may find no channel.
fn relay(log: &Log, game: &Game<'_>, end: u64) -> OracleFinding {
    let relayed: Vec<u64> = [SURVIVOR, PARTNER]
        .into_iter()
        .flat_map(|player| {
            log.socket_events(player, Direction::ToServer, "pyodide_player_action")
                .chain(log.socket_events(
                    player,
                    Direction::ToClient,
                    "pyodide_other_player_action",
                ))
        })
        .map(|(event, _, _)| event.seq)
        .filter(|seq| *seq > game.assigned.seq && *seq < end)
        .collect();
    let violations = match relayed.len() {
        0 => Vec::new(),
        count => vec![format!(
            "{count} inputs of the game took the server's relay"
        )],
    };
    OracleFinding::from_violations(
        "wire",
        violations,
        "no input of the game took the server's relay",
        relayed
            .into_iter()
            .take(20)
            .chain([game.assigned.seq])
            .collect(),
    )
}

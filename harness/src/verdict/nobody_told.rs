//! `nobody-told` (COORD-01): does the target leave those in peace who have left the game?

use super::departure::{departure, partner_left};
use super::facts::{PARTNER, SURVIVOR, is_game, seq};
use super::games::{Game, advance_handled, games_of, text, watch_end};
use super::{Findings, OracleFinding, Stimulus};
use crate::evidence::{Direction, Event, Fact, Log, Origin, Packet, Source};

/// Events that tell of another player's doings, whether or not they name the game.
const NEWS_OF_A_PARTNER: [&str; 8] = [
    "end_game",
    "p2p_game_ended",
    "p2p_pause",
    "p2p_resume",
    "partner_excluded",
    "pyodide_other_player_action",
    "waiting_room_player_left",
    "webrtc_signal",
];

/// Asks about the time from the survivor's exit until the moment `after`.
pub(super) fn ask(after: &str, log: &Log) -> Findings {
    let gone = departure(log, PARTNER).map(|left| left.began);
    let left = games_of(SURVIVOR, log).into_iter().rev().find_map(|game| {
        let exit = game.exit?;
        gone.is_none_or(|gone| exit.seq < gone.seq)
            .then_some((game, exit))
    });
    let barrier = log.barrier(SURVIVOR, after);
    let stayed = gone.filter(|gone| stands_in_game(log, gone.seq));
    let in_order = left
        .zip(stayed)
        .filter(|((_, exit), gone)| exit.seq < gone.seq)
        .map(|(_, gone)| gone);
    let mut stimuli = vec![
        Stimulus::new(
            "the survivor left the game's scene",
            seq(left.map(|(_, exit)| exit)),
        ),
        Stimulus::new(
            "the partner was still in that scene, and went after the survivor had left it",
            seq(in_order),
        ),
        Stimulus::new(
            "a barrier after that",
            seq(barrier.filter(|barrier| gone.is_some_and(|gone| gone.seq < barrier.seq))),
        ),
    ];
    stimuli.extend(partner_left(log));
    let oracles = match left {
        Some((game, exit)) => {
            let end = next_game(log, exit);
            let stands = gone.zip(barrier).map(|(gone, barrier)| {
                let until = watch_end(log, after).map_or(barrier.seq, |(event, _)| event.seq);
                (gone.seq, until)
            });
            vec![
                wire(log, &game, exit, end, stands),
                server(log, &game, exit, end),
            ]
        }
        None => Vec::new(),
    };
    Findings { stimuli, oracles }
}

/// Whether the partner stood in a GymScene at a position.
fn stands_in_game(log: &Log, by: u64) -> bool {
    log.socket_events(PARTNER, Direction::ToClient, "activate_scene")
        .rfind(|(event, _, _)| event.seq < by)
        .is_some_and(|(_, _, args)| is_game(args))
}

/// Where the survivor is given another game; the end of the log, if it is given none.
fn next_game(log: &Log, exit: &Event) -> u64 {
    log.socket_events(SURVIVOR, Direction::ToClient, "pyodide_player_assigned")
        .find(|(event, _, _)| event.seq > exit.seq)
        .map_or(u64::MAX, |(event, _, _)| event.seq)
}

/// The wire: the target sends the survivor nothing of the game by itself. Between the positions in `stands` the
/// partner has gone and the survivor does nothing: what it is sent then under a name that it was never sent
/// before is news as well.
fn wire(
    log: &Log,
    game: &Game<'_>,
    exit: &Event,
    end: u64,
    stands: Option<(u64, u64)>,
) -> OracleFinding {
    let mut evidence = vec![exit.seq];
    let mut violations = Vec::new();
    let sent_before = |name: &str, by: u64| {
        let mut sent = log.socket_events(SURVIVOR, Direction::ToClient, name);
        sent.any(|(event, _, _)| event.seq < by)
    };
    for event in log
        .of(SURVIVOR)
        .filter(|event| event.seq > exit.seq && event.seq < end)
    {
        let Fact::Wire(wire) = &event.fact else {
            continue;
        };
        let Packet::Event { name, args, .. } = &wire.packet else {
            continue;
        };
        let is_new = stands.is_some_and(|(gone, until)| {
            event.seq > gone && event.seq < until && !sent_before(name, gone)
        });
        let is_news = is_new
            || NEWS_OF_A_PARTNER.contains(&name.as_str())
            || text(args, "game_id") == Some(game.id);
        if wire.direction == Direction::ToClient && wire.origin == Origin::Natural && is_news {
            evidence.push(event.seq);
            violations.push(format!(
                "the target sent the survivor `{name}`, {:.1} s after it had left the game",
                (event.t - exit.t) / 1000.0
            ));
        }
    }
    OracleFinding::from_violations(
        "wire",
        violations,
        "the target sent the survivor nothing of the game it had left",
        evidence,
    )
}

/// The target's log: it speaks of notifying nobody in that game any more.
fn server(log: &Log, game: &Game<'_>, exit: &Event, end: u64) -> OracleFinding {
    if let Some(why) = log.lacks(Source::Log) {
        return OracleFinding::absent("target's log", why);
    }
    let lines: Vec<(u64, &str)> = log
        .events()
        .iter()
        .filter_map(|event| match &event.fact {
            Fact::ServerLog { line } if line.contains(game.id) => Some((event.seq, line.as_str())),
            _ => None,
        })
        .collect();
    let notifies = |line: &str| line.contains("Notifying");
    if !lines.iter().any(|(_, line)| notifies(line)) {
        return OracleFinding::absent("target's log", "it never says whom it notifies");
    }
    let Some(handled) = advance_handled(SURVIVOR, log, exit) else {
        return OracleFinding::absent("target's log", "nobody saw the survivor's advance handled");
    };
    let late: Vec<&(u64, &str)> = lines
        .iter()
        .filter(|(seq, line)| *seq > handled && *seq < end && notifies(line))
        .collect();
    OracleFinding::from_violations(
        "target's log",
        late.iter()
            .map(|(_, line)| format!("after the survivor had left: \"{line}\""))
            .collect(),
        format!(
            "of {} lines on the game, none after the exit notifies anybody",
            lines.len()
        ),
        late.iter().map(|(seq, _)| *seq).chain([exit.seq]).collect(),
    )
}

//! The games of a run, one after the other, as a player's wire tells of them.

use serde_json::Value;

use super::facts::SURVIVOR;
use crate::evidence::{
    BarrierFact, Direction, Event, Fact, GameScene, Log, Packet, PageFact, Snapshot,
};

/// One game of a player: it has an id of the target's own.
#[derive(Debug, Clone, Copy)]
pub(super) struct Game<'a> {
    /// The target's id of it.
    pub(super) id: &'a str,
    /// The seed that the target gave out for it.
    pub(super) seed: Option<u64>,
    /// The GymScene that it was played in, by the target's id.
    pub(super) scene: &'a str,
    /// The player was assigned to it.
    pub(super) assigned: &'a Event,
    /// It began.
    pub(super) started: Option<&'a Event>,
    /// The player's page told the target that the last episode had ended.
    pub(super) complete: Option<&'a Event>,
    /// The player came to stand on the next scene.
    pub(super) exit: Option<&'a Event>,
}

/// The survivor's game of this number, from 1.
pub(super) fn game(log: &Log, number: u32) -> Option<Game<'_>> {
    game_of(SURVIVOR, log, number)
}

/// A player's game of this number, from 1.
pub(super) fn game_of<'a>(player: &'a str, log: &'a Log, number: u32) -> Option<Game<'a>> {
    games_of(player, log)
        .into_iter()
        .nth((number as usize).checked_sub(1)?)
}

/// All games of a player that it was assigned to, in order.
pub(super) fn games_of<'a>(player: &'a str, log: &'a Log) -> Vec<Game<'a>> {
    let games = log.games(player).into_iter();
    games
        .filter_map(|game| of_scene(player, log, &game))
        .collect()
}

/// The game that was played in a scene, if the target named one.
fn of_scene<'a>(player: &'a str, log: &'a Log, scene: &GameScene<'a>) -> Option<Game<'a>> {
    let id = scene.game?.as_str()?;
    let (assigned, said) = scene.assigned?;
    let complete = log
        .socket_events(player, Direction::ToServer, "multiplayer_game_complete")
        .find(|(_, _, args)| text(args, "game_id") == Some(id))
        .map(|(event, _, _)| event);
    Some(Game {
        id,
        seed: said.get("game_seed").and_then(Value::as_u64),
        scene: scene.scene.as_str().unwrap_or_default(),
        assigned,
        started: scene.started,
        complete,
        exit: scene.left,
    })
}

/// Where the target had finished with the advance that led to a player's exit. What it says of that, as
/// that the partner is told, may be read after the exit has passed the gateway.
pub(super) fn advance_handled(player: &str, log: &Log, exit: &Event) -> Option<u64> {
    let (_, session) = log.participant(player, exit.seq)?;
    let (advance, _, _) = log
        .socket_events(player, Direction::ToServer, "advance_scene")
        .rfind(|(event, _, _)| event.seq < exit.seq)?;
    let is_it = |event: &&Event| {
        event.seq > advance.seq
            && matches!(&event.fact, Fact::ServerHandled(handled)
                if handled.event == "advance_scene" && handled.sid == session)
    };
    log.events().iter().find(is_it).map(|event| event.seq)
}

/// A field of an event's first argument, where it is a text.
pub(super) fn text<'a>(args: &'a [Value], field: &str) -> Option<&'a str> {
    args.first()?.get(field)?.as_str()
}

/// Events that only a running game, or an open connection, sends.
fn is_of_a_game(name: &str) -> bool {
    name == "webrtc_signal" || name == "pyodide_player_action" || name.starts_with("p2p_")
}

/// The survivor's page at the end of the watch after a moment: where that went on in the watch of a later
/// moment on the same scene, at the end of that one.
pub(super) fn watch_end<'a>(log: &'a Log, moment: &str) -> Option<(&'a Event, &'a Snapshot)> {
    let mut moment = moment;
    // A moment that is watched with itself would have no end.
    for _ in 0..log.events().len() {
        let later = format!("{moment}/later");
        let barrier = log.barrier(SURVIVOR, &later)?;
        match &barrier.fact {
            Fact::Barrier(BarrierFact {
                watched_with: Some(next),
                ..
            }) => moment = next,
            _ => return log.snapshot(SURVIVOR, &later),
        }
    }
    None
}

/// Events of a game that the survivor's page sent between `exit` and `end`, after it had certainly
/// left it: after the second ping that followed the exit, its own or one of a barrier's, since what
/// was sent before may have crossed it on its way. `None` if there were no such pings.
pub(super) fn sent_after<'a>(
    log: &'a Log,
    exit: &Event,
    end: u64,
) -> Option<Vec<(&'a Event, &'a str)>> {
    let in_time = |seq: &u64| *seq > exit.seq && *seq < end;
    let pings = log.socket_events(SURVIVOR, Direction::ToServer, "ping");
    let second = pings.map(|(event, _, _)| event.seq).filter(in_time).nth(1);
    let own = log.own_pings(SURVIVOR).map(|event| event.seq);
    let own = own.filter(in_time).nth(1);
    let settled = second.into_iter().chain(own).min()?;
    let sent = log
        .of(SURVIVOR)
        .filter(|event| event.seq > settled && event.seq < end)
        .filter_map(|event| match &event.fact {
            Fact::Wire(wire) if wire.direction == Direction::ToServer => match &wire.packet {
                Packet::Event { name, .. } if is_of_a_game(name) => Some((event, name.as_str())),
                _ => None,
            },
            _ => None,
        });
    Some(sent.collect())
}

/// The barrier of the survivor that comes first after a position.
pub(super) fn barrier_after(log: &Log, seq: u64) -> Option<&Event> {
    log.of(SURVIVOR)
        .find(|event| event.seq > seq && matches!(event.fact, Fact::Barrier(_)))
}

/// When the harness learned that a page made this connection. Times of a page and of the wire are
/// not compared: the page's clock is known to a few hundred milliseconds only.
pub(super) fn connection_made<'a>(
    player: &'a str,
    log: &'a Log,
    page: u32,
    id: u32,
) -> Option<&'a Event> {
    log.of(player).find(|event| {
        matches!(&event.fact, Fact::Page(told) if told.page == page
            && matches!(&told.what, PageFact::ConnectionCreated { id: made, .. } if *made == id))
    })
}

/// How far a page's times lie before those of the run: the least that its events took to be told.
pub(super) fn lag(log: &Log, snapshot: &Snapshot) -> f64 {
    log.of(SURVIVOR)
        .filter_map(|event| match &event.fact {
            Fact::Page(page) if page.page == snapshot.page => Some(event.t - page.page_t),
            _ => None,
        })
        .reduce(f64::min)
        .unwrap_or(0.0)
}

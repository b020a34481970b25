//! `connections-closed` (P2P-01): is every connection closed that the GymScene opened?

use std::collections::BTreeMap;

use super::departure::anybody_left;
use super::facts::{
    PARTNER, SURVIVOR, game_of, is_measuring, left_the_game, new_sockets, seq, started, still_held,
};
use super::games::{sent_after, watch_end};
use super::{Findings, OracleFinding, Stimulus};
use crate::evidence::{
    ChannelState, ConnectionState, Direction, Event, Fact, Log, PageFact, PageState, Snapshot,
    Source, UdpSocket,
};
use crate::spec::{ConnectionsAt, GameNumber};

/// Asks about a moment after a game.
pub(super) fn ask(asked: &ConnectionsAt, log: &Log) -> Findings {
    let (at, game) = (asked.at.as_str(), asked.game);
    let exit = left_the_game(log, game);
    let Some((event, snapshot)) = log.snapshot(SURVIVOR, at) else {
        return Findings {
            stimuli: vec![
                Stimulus::new("the survivor left the GymScene", seq(exit)),
                Stimulus::new(format!("the survivor's page at `{at}`"), Vec::new()),
            ],
            oracles: Vec::new(),
        };
    };
    Findings {
        stimuli: stimuli(asked, log, exit, event, snapshot),
        oracles: vec![
            ledger(event, &snapshot.state),
            traffic(at, log, exit, snapshot),
            kernel(at, game, log),
        ],
    }
}

fn stimuli(
    asked: &ConnectionsAt,
    log: &Log,
    exit: Option<&Event>,
    taken: &Event,
    snapshot: &Snapshot,
) -> Vec<Stimulus> {
    let game = asked.game;
    let made_since = before_the_game(log, game, snapshot.page);
    let carried = |measuring: bool| {
        snapshot.state.connections.iter().any(|one| {
            one.id > made_since
                && is_measuring(&one.stack) == measuring
                && carried_both_ways(&snapshot.state, one)
        })
    };
    let barrier = log
        .barrier(SURVIVOR, &asked.at)
        .filter(|barrier| exit.is_some_and(|exit| exit.seq < barrier.seq));
    let when = |seen: bool| if seen { vec![taken.seq] } else { Vec::new() };
    let mut stimuli = vec![
        Stimulus::new(
            "a connection was connected and carried bytes of a data channel both ways",
            when(carried(false)),
        ),
        Stimulus::new("the survivor left the GymScene", seq(exit)),
        Stimulus::new("a barrier after that", seq(barrier)),
        Stimulus::new(
            "nothing but the survivor's own exit could have closed it by then",
            when(
                !closed_from_outside(log, game, taken.seq)
                    && !lost_before(log, game, snapshot, exit, taken.seq),
            ),
        ),
        Stimulus::new(
            "the kernel showed UDP sockets of the game, where it could be asked",
            when(opened_in_game(log, game) != Some(0)),
        ),
    ];
    if asked.probes {
        stimuli.push(Stimulus::new(
            "the matchmaking measured the round trip over a connection of its own",
            when(carried(true)),
        ));
    }
    stimuli
}

/// The newest connection of the survivor's page when it came to the game.
fn before_the_game(log: &Log, game: GameNumber, page: u32) -> u32 {
    let came = game_of(log, SURVIVOR, game).map_or(0, |game| game.activated.seq);
    let made = log.of(SURVIVOR).filter(|event| event.seq < came);
    let ids = made.filter_map(|event| match &event.fact {
        Fact::Page(event) if event.page == page => match event.what {
            PageFact::ConnectionCreated { id, .. } => Some(id),
            _ => None,
        },
        _ => None,
    });
    ids.max().unwrap_or(0)
}

fn carried_both_ways(state: &PageState, connection: &ConnectionState) -> bool {
    connection.was_connected
        && state.channels.iter().any(|channel| {
            channel.connection == connection.id
                && channel.sent_bytes > 0
                && channel.received_bytes > 0
        })
}

/// Whether anything happened before `by` that closes a survivor's connection although its client
/// forgot to: somebody left, a connection was broken, the partner advanced, or the target said that it
/// is over.
fn closed_from_outside(log: &Log, game: GameNumber, by: u64) -> bool {
    let began = started(log, PARTNER, game).map_or(0, |event| event.seq);
    let survivor_began = started(log, SURVIVOR, game).map_or(0, |event| event.seq);
    let left = anybody_left(log, by);
    let partner_gone = log
        .of(PARTNER)
        .any(|event| event.seq < by && matches!(event.fact, Fact::WireClosed(_)));
    let partner_advanced = log
        .socket_events(PARTNER, Direction::ToServer, "advance_scene")
        .any(|(event, _, _)| event.seq > began && event.seq < by);
    let severed = log
        .events()
        .iter()
        .any(|event| event.seq < by && matches!(event.fact, Fact::Severed { .. }));
    let told = log
        .socket_events(SURVIVOR, Direction::ToClient, "p2p_game_ended")
        .any(|(event, _, _)| event.seq > survivor_began && event.seq < by);
    left || severed || partner_gone || partner_advanced || told
}

/// Whether a connection of the game was lost before the survivor's exit began and its page had closed one, or the
/// partner's page closed its own by then, or the page closed it in mid-game: what the survivor's client did with
/// what was left at the exit proves nothing.
fn lost_before(
    log: &Log,
    game: GameNumber,
    page: &Snapshot,
    exit: Option<&Event>,
    by: u64,
) -> bool {
    let made_since = before_the_game(log, game, page.page);
    let connections = page.state.connections.iter();
    let of_game: Vec<u32> = connections
        .filter(|one| one.id > made_since && !is_measuring(&one.stack))
        .map(|one| one.id)
        .collect();
    let told = |player: &'static str| {
        log.of(player).filter_map(move |event| match &event.fact {
            Fact::Page(page) if event.seq < by => Some((event.seq, page.page, &page.what)),
            _ => None,
        })
    };
    let own = |(seq, of, what): (u64, u32, &PageFact)| match what {
        PageFact::ConnectionClosed { id, .. } if of == page.page && of_game.contains(id) => {
            Some(seq)
        }
        _ => None,
    };
    let closed = told(SURVIVOR).find_map(own).unwrap_or(by);
    let began = exit.and_then(|exit| {
        let advances = log.socket_events(SURVIVOR, Direction::ToServer, "advance_scene");
        let mut advances = advances.map(|(event, _, _)| event.seq);
        advances.rfind(|advance| *advance < exit.seq)
    });
    let closed = closed.min(began.or(exit.map(|exit| exit.seq)).unwrap_or(by));
    let began = started(log, PARTNER, game).map_or(0, |event| event.seq);
    let by_partner = told(PARTNER).any(|(seq, _, what)| {
        let closes = matches!(
            what,
            PageFact::ConnectionClosed { .. } | PageFact::ChannelClosed { .. }
        );
        closes && seq > began && seq < closed
    });
    // One that was disconnected for a while and came back was there to be closed.
    let state = |(seq, of, what): (u64, u32, &'_ PageFact)| match what {
        PageFact::ConnectionState { id, connection, .. }
            if of == page.page && of_game.contains(id) && seq < closed =>
        {
            Some((*id, connection.clone()))
        }
        _ => None,
    };
    let last: BTreeMap<u32, String> = told(SURVIVOR).filter_map(state).collect();
    let is_lost = |state: &String| ["disconnected", "failed", "closed"].contains(&state.as_str());
    let lost = last.values().any(is_lost);
    let completed = log.socket_events(SURVIVOR, Direction::ToServer, "multiplayer_game_complete");
    let starts = started(log, SURVIVOR, game).map_or(0, |event| event.seq);
    let over = completed.map(|(event, _, _)| event.seq);
    let over = over.into_iter().find(|seq| *seq > starts);
    by_partner || lost || over.is_some_and(|over| closed < over)
}

/// The probe's ledger: every connection and every channel that the page ever made.
fn ledger(taken: &Event, state: &PageState) -> OracleFinding {
    let channels_of = |connection: &ConnectionState| {
        state
            .channels
            .iter()
            .filter(|channel| channel.connection == connection.id && channel.state != "closed")
            .map(|channel| format!(", its channel `{}` is `{}`", channel.label, channel.state))
            .collect::<String>()
    };
    let open = |connection: &&ConnectionState| {
        connection.connection != "closed" || !channels_of(connection).is_empty()
    };
    let violations = state
        .connections
        .iter()
        .filter(open)
        .map(|connection| {
            format!(
                "connection {} is `{}` (ICE `{}`, signalling `{}`){}; made {}",
                connection.id,
                connection.connection,
                connection.ice,
                connection.signaling,
                channels_of(connection),
                first_line(&connection.stack)
            )
        })
        .collect();
    OracleFinding::from_violations(
        "ledger",
        violations,
        format!(
            "all {} connections and {} channels that the page ever made are closed",
            state.connections.len(),
            state.channels.len()
        ),
        vec![taken.seq],
    )
}

fn first_line(stack: &str) -> String {
    match stack
        .lines()
        .map(str::trim)
        .find(|line| !line.is_empty() && *line != "Error")
    {
        Some(line) => format!("at {}", line.trim_start_matches("at ")),
        None => "at an unknown place".to_owned(),
    }
}

/// Traffic: nothing of the game after the scene's exit, on the wire and on the data channels, as
/// either page sees them.
fn traffic(at: &str, log: &Log, exit: Option<&Event>, snapshot: &Snapshot) -> OracleFinding {
    let later = format!("{at}/later");
    let (Some(exit), Some((end, after))) = (exit, watch_end(log, at)) else {
        return OracleFinding::absent("traffic", "the time after the exit was not watched");
    };
    let mut evidence = vec![end.seq];
    let mut violations = Vec::new();
    for (event, name) in sent_after(log, exit, end.seq).unwrap_or_default() {
        evidence.push(event.seq);
        violations.push(format!("the page still sent `{name}`"));
    }
    let survivor_sent = |state: &PageState| state.channels.iter().map(|one| one.sent).sum::<u64>();
    let (sent, still) = (survivor_sent(&snapshot.state), survivor_sent(&after.state));
    if still > sent {
        violations.push(format!(
            "{} more messages on its data channels",
            still - sent
        ));
    }
    let received = |label: &str| {
        let (event, taken) = log.snapshot(PARTNER, label)?;
        // Its own end may be closed by now: then nothing could reach it.
        taken
            .state
            .channels
            .iter()
            .find(|one| one.state == "open")?;
        let sum: u64 = taken
            .state
            .channels
            .iter()
            .map(|one: &ChannelState| one.received)
            .sum();
        Some((event.seq, sum))
    };
    let mut seen_by = "the survivor's page";
    if let (Some((_, before)), Some((event, now))) = (received(at), received(&later)) {
        seen_by = "both pages";
        evidence.push(event);
        if now > before {
            violations.push(format!(
                "{} more messages reached the partner",
                now - before
            ));
        }
    }
    OracleFinding::from_violations(
        "traffic",
        violations,
        format!("no message of the game after the exit, on the wire and as {seen_by} saw it"),
        evidence,
    )
}

/// The kernel: no UDP socket is left in the browser's processes but those it had before the game.
fn kernel(at: &str, game: GameNumber, log: &Log) -> OracleFinding {
    if let Some(why) = log.lacks(Source::Kernel) {
        return OracleFinding::absent("kernel", why);
    }
    let seen = |label: &str| log.kernel(SURVIVOR, label);
    let later = format!("{at}/later");
    let (Some((before, had)), Some((during, _)), Some((now, left))) =
        (seen(&game.before()), seen(&game.during()), seen(at))
    else {
        return OracleFinding::absent("kernel", "the socket table was not taken down");
    };
    let opened = opened_in_game(log, game).unwrap_or(0);
    // Browsers close sockets in another process, a moment later: one that is on its way out is
    // gone at the second look.
    let stays = |socket: &UdpSocket| {
        seen(&later)
            .is_none_or(|(_, after)| after.udp.iter().any(|other| other.inode == socket.inode))
    };
    let violations = new_sockets(had, left)
        .into_iter()
        .filter(|socket| stays(socket))
        .map(still_held)
        .collect();
    OracleFinding::from_violations(
        "kernel",
        violations,
        format!("{opened} UDP sockets in the game, none of them now"),
        vec![before.seq, during.seq, now.seq],
    )
}

/// How many UDP sockets the survivor's browser opened for the game; `None` where the kernel could
/// not be asked.
fn opened_in_game(log: &Log, game: GameNumber) -> Option<usize> {
    let (_, before) = log.kernel(SURVIVOR, &game.before())?;
    let (_, in_game) = log.kernel(SURVIVOR, &game.during())?;
    Some(new_sockets(before, in_game).len())
}

//! Whether the partner really left, whichever way it went.

use std::collections::BTreeMap;

use super::Stimulus;
use super::facts::{PARTNER, SURVIVOR, seq};
use crate::evidence::{End, Event, Fact, LinkFact, Log, PageFact, ProcessPhase, Source};
use crate::spec::WayToLeave;

/// A player's departure: how, and the event from which on its page may be gone.
#[derive(Clone, Copy)]
pub(super) struct Departure<'a> {
    pub(super) how: WayToLeave,
    pub(super) began: &'a Event,
}

/// How and when a player left, or was told to.
pub(super) fn departure<'a>(log: &'a Log, player: &'a str) -> Option<Departure<'a>> {
    log.of(player).find_map(departure_in)
}

/// Whether anybody began to leave before a position.
pub(super) fn anybody_left(log: &Log, before: u64) -> bool {
    log.events()
        .iter()
        .take_while(|event| event.seq < before)
        .any(|event| departure_in(event).is_some())
}

fn departure_in(event: &Event) -> Option<Departure<'_>> {
    let how = match &event.fact {
        Fact::Leaving(leaving) => leaving.how,
        // A death counts also where no step asked for it.
        Fact::Process(process)
            if process.role == "browser" && process.phase == ProcessPhase::Killed =>
        {
            WayToLeave::Kill
        }
        _ => return None,
    };
    Some(Departure { how, began: event })
}

/// What shows that the partner really went: what was seen at its own browser, that its socket ended
/// at the gateway, and that the target handled the disconnect, where that can be seen.
pub(super) fn partner_left(log: &Log) -> Vec<Stimulus> {
    let departure = departure(log, PARTNER);
    let from = departure.map_or(u64::MAX, |departure| departure.began.seq);
    let participant = log.participant(PARTNER, from);
    let by = |end: End| match departure.map(|departure| departure.how) {
        // A browser may keep a page that was left, frozen, with its socket: then it is the target
        // that gives it up.
        Some(WayToLeave::Navigate) => end != End::Gateway,
        // Nothing has ended at the player's own end: only the target can give it up.
        Some(WayToLeave::Freeze | WayToLeave::Stall | WayToLeave::CutNetwork) => end == End::Target,
        Some(WayToLeave::Kill | WayToLeave::Quit | WayToLeave::CloseTab | WayToLeave::Reload)
        | None => end == End::Browser,
    };
    let after = |question: &dyn Fn(&Fact) -> bool| {
        log.events()
            .iter()
            .find(|event| event.seq > from && question(&event.fact))
    };
    let socket = participant.and_then(|(connection, _)| {
        after(&|fact| {
            matches!(fact, Fact::WireClosed(closed)
                if closed.connection == connection && by(closed.by))
        })
    });
    let mut left = vec![
        at_its_browser(log, departure, socket),
        Stimulus::new("the partner's socket ended at the gateway", seq(socket)),
    ];
    if let Some(Departure { how, began }) = departure
        && how == WayToLeave::CutNetwork
    {
        left.extend(connections_broke(log, began));
    }
    // Where nobody can see that, the two others must do.
    if log.lacks(Source::Handlers).is_none() {
        let is_silent = departure.is_some_and(|departure| departure.how.is_silent());
        let handled = disconnect_handled(log, PARTNER);
        left.push(match is_silent {
            false => Stimulus::new("the target handled the partner's disconnect", seq(handled)),
            true => Stimulus::new(
                "the target handled the partner's disconnect, of which nobody had told it",
                seq(handled.filter(|event| !was_told(event))),
            ),
        });
    }
    left
}

/// Where the target had finished with the disconnect of a player who left.
pub(super) fn disconnect_handled<'a>(log: &'a Log, player: &str) -> Option<&'a Event> {
    let from = departure(log, player)?.began.seq;
    let (_, session) = log.participant(player, from)?;
    log.events().iter().find(|event| {
        event.seq > from
            && matches!(&event.fact, Fact::ServerHandled(handled)
                if handled.event == "disconnect" && handled.sid == session)
    })
}

/// What the target's Socket.IO library calls a disconnect that the client has told it of. One that it has
/// noticed by itself is a `ping timeout`, or, where it reads in vain for as long, a `transport close`.
const BY_CLIENT: &str = "client disconnect";

/// Whether the target's library says that a client has ended its session in an orderly way. Older ones say
/// nothing.
fn was_told(disconnect: &Event) -> bool {
    matches!(&disconnect.fact, Fact::ServerHandled(handled)
        if handled.reason.as_deref() == Some(BY_CLIENT))
}

/// What was seen of the departure at the partner's own browser: each way has a proof of its own.
fn at_its_browser(log: &Log, departure: Option<Departure<'_>>, socket: Option<&Event>) -> Stimulus {
    let Some(departure) = departure else {
        return Stimulus::new("the partner left", Vec::new());
    };
    let from = departure.began.seq;
    let found = |question: &dyn Fn(&Fact) -> bool| {
        log.of(PARTNER)
            .find(|event| event.seq >= from && question(&event.fact))
            .map(|event| event.seq)
    };
    let process = |phase: ProcessPhase| {
        found(&|fact| {
            matches!(fact, Fact::Process(process)
                if process.role == "browser" && process.phase == phase)
        })
    };
    let seen = || found(&|fact| matches!(fact, Fact::Departed(_)));
    let is_on_grid = log
        .of(PARTNER)
        .any(|event| matches!(event.fact, Fact::Session(_)));
    let hello = || {
        found(
            &|fact| matches!(fact, Fact::Page(page) if matches!(page.what, PageFact::Hello { .. })),
        )
    };
    let (what, proofs) = match departure.how {
        WayToLeave::Kill => (
            "the partner's browser was killed and its processes are gone",
            vec![process(ProcessPhase::Killed), process(ProcessPhase::Gone)],
        ),
        WayToLeave::Quit if is_on_grid => (
            "the partner's session was ended, and the grid had it no more",
            vec![seen(), found(&|fact| matches!(fact, Fact::SessionEnded(_)))],
        ),
        WayToLeave::Quit => (
            "the partner's browser was quit and its processes are gone",
            vec![seen(), process(ProcessPhase::Gone)],
        ),
        WayToLeave::CloseTab => ("the partner's tab was closed and is gone", vec![seen()]),
        WayToLeave::Navigate => ("the partner's tab shows another page", vec![seen()]),
        WayToLeave::Reload => (
            "the partner's page was loaded again and is a new one",
            vec![seen(), hello()],
        ),
        WayToLeave::Freeze => (
            "the partner's browser was stopped, each process of it, and still was when the target had \
             given its socket up",
            frozen(log, from, socket)
                .into_iter()
                .chain([seen()])
                .collect(),
        ),
        WayToLeave::Stall => (
            "the gateway kept the partner's connection open and what came on it, and passed nothing",
            stalled(log, from, socket)
                .into_iter()
                .chain([seen()])
                .collect(),
        ),
        WayToLeave::CutNetwork => (
            "the partner's link had carried something and was whole, was down at both of its ends then, and \
             still was when the target had given its socket up, without one packet more on it",
            cut(log, from, socket).into_iter().chain([seen()]).collect(),
        ),
    };
    let all: Option<Vec<u64>> = proofs.into_iter().collect();
    Stimulus::new(what, all.unwrap_or_default())
}

/// Where the process table had all of the partner's browser stopped: before and after its socket had
/// ended, and never otherwise.
fn frozen(log: &Log, from: u64, socket: Option<&Event>) -> [Option<u64>; 2] {
    let socket = socket.map_or(u64::MAX, |event| event.seq);
    let looks = log.of(PARTNER).filter_map(|event| match &event.fact {
        Fact::Frozen(frozen) if event.seq > from => Some((event.seq, frozen.is_whole())),
        _ => None,
    });
    let looks: Vec<(u64, bool)> = looks.collect();
    if looks.iter().any(|(_, is_whole)| !is_whole) {
        return [None, None];
    }
    let mut seen = looks.into_iter().map(|(seq, _)| seq);
    [
        seen.find(|seq| *seq < socket),
        seen.find(|seq| *seq > socket),
    ]
}

/// Where the kernel had the partner's link whole, and then down: before and after its socket had ended, with
/// the same counters, and never otherwise.
fn cut(log: &Log, from: u64, socket: Option<&Event>) -> [Option<u64>; 3] {
    let none = [None; 3];
    let Some(socket) = socket.map(|event| event.seq) else {
        return none;
    };
    let looks = log.of(PARTNER).filter_map(|event| match &event.fact {
        Fact::Link(link) if event.seq > from => Some((event.seq, link)),
        _ => None,
    });
    let looks: Vec<(u64, &LinkFact)> = looks.collect();
    let [(whole, before), (down, cut), later @ ..] = looks.as_slice() else {
        return none;
    };
    let carried = before.is_whole() && before.counters().iter().all(|packets| *packets > 0);
    let stays = later
        .iter()
        .all(|(_, link)| link.is_down() && link.counters() == cut.counters());
    if !carried || !cut.is_down() || !stays || *down > socket {
        return none;
    }
    let still = later.iter().find(|(seq, _)| *seq > socket);
    [Some(*whole), Some(*down), still.map(|(seq, _)| *seq)]
}

/// Where the survivor's page had a connection to the partner that was up when the partner's link was cut: what
/// the page saw of that. One that it closed before it could notice has broken as well.
fn connections_broke(log: &Log, began: &Event) -> Option<Stimulus> {
    let told = |event: &Event| match &event.fact {
        Fact::Page(page) => match &page.what {
            PageFact::ConnectionState { id, connection, .. } => {
                Some(((page.page, *id), connection.clone()))
            }
            PageFact::ConnectionClosed { id, .. } => Some(((page.page, *id), "closed".to_owned())),
            _ => None,
        },
        _ => None,
    };
    let before = log.of(SURVIVOR).filter(|event| event.seq < began.seq);
    let mut up: BTreeMap<(u32, u32), String> = before.filter_map(told).collect();
    up.retain(|_, state| state == "connected");
    if up.is_empty() {
        return None;
    }
    let broke = up.keys().map(|connection| {
        let mut after = log.of(SURVIVOR).filter(|event| event.seq > began.seq);
        let broken = after.find(|event| {
            told(event).is_some_and(|(one, state)| {
                one == *connection && ["disconnected", "failed", "closed"].contains(&&*state)
            })
        });
        broken.map(|event| event.seq)
    });
    let broke: Option<Vec<u64>> = broke.collect();
    Some(Stimulus::new(
        "the survivor's page saw its connection to the partner break, or closed it",
        broke.unwrap_or_default(),
    ))
}

/// Where nothing passed any more on the partner's connection, and what was kept of what both ends went on
/// to send.
fn stalled(log: &Log, from: u64, socket: Option<&Event>) -> [Option<u64>; 2] {
    let Some((connection, _)) = log.participant(PARTNER, from) else {
        return [None, None];
    };
    let found = |question: &dyn Fn(&Fact) -> bool| {
        let found = log
            .of(PARTNER)
            .find(|event| event.seq > from && question(&event.fact));
        found.map(|event| event.seq)
    };
    let began = found(&|fact| matches!(fact, Fact::Stalled(one) if one.connection == connection));
    let kept = found(&|fact| {
        matches!(fact, Fact::Kept(kept)
            if kept.connection == connection
                && kept.from_page.bytes > 0
                && kept.from_target.bytes > 0)
    });
    let passed = log.of(PARTNER).any(|event| {
        began.is_some_and(|began| event.seq > began)
            && matches!(&event.fact, Fact::Wire(wire) if wire.connection == connection)
    });
    let in_time = kept.filter(|kept| socket.is_some_and(|socket| *kept < socket.seq));
    match passed {
        true => [None, None],
        false => [began, in_time],
    }
}

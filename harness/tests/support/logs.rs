//! Recorded logs, edited in memory: the one place that knows how.

use gymcheck::evidence::{
    ChannelState, ConnectionState, Event, Fact, Log, Origin, Packet, PageFact, PageState, Snapshot,
    TimerState, WorkerState,
};
use gymcheck::run::find_root;
use serde_json::Value;

/// A log of `fixtures/evidence/`.
pub fn recorded(name: &str) -> Log {
    let path = find_root()
        .join("fixtures/evidence")
        .join(format!("{name}.jsonl"));
    Log::read(&path).expect("a recorded log")
}

/// The log with some of its events left out, or changed.
pub fn changed(log: &Log, change: impl FnMut(&mut Event) -> bool) -> Log {
    let mut events = log.events().to_vec();
    events.retain_mut(change);
    Log::new(events)
}

/// The log without some of its events.
pub fn without(log: &Log, left_out: impl Fn(&Event) -> bool) -> Log {
    changed(log, |event| !left_out(event))
}

/// Numbers the events anew, in the order in which they stand.
pub fn in_order(mut events: Vec<Event>) -> Log {
    for (seq, event) in (0..).zip(&mut events) {
        event.seq = seq;
    }
    Log::new(events)
}

/// The log with events put in at a place.
pub fn inserted(log: &Log, place: usize, new: impl IntoIterator<Item = Event>) -> Log {
    let mut events = log.events().to_vec();
    events.splice(place..place, new);
    in_order(events)
}

/// Where the first event stands that is wanted.
pub fn position(log: &Log, wanted: impl Fn(&Event) -> bool) -> usize {
    log.events().iter().position(wanted).expect("such an event")
}

pub fn is_of(event: &Event, player: &str) -> bool {
    event.player.as_deref() == Some(player)
}

pub fn is_socket_event(event: &Event, player: &str, wanted: &str) -> bool {
    is_of(event, player)
        && matches!(&event.fact, Fact::Wire(wire)
            if matches!(&wire.packet, Packet::Event { name, .. } if name == wanted))
}

/// The arguments of a Socket.IO event, to be changed.
pub fn args(event: &mut Event) -> &mut Vec<Value> {
    match &mut event.fact {
        Fact::Wire(wire) => match &mut wire.packet {
            Packet::Event { args, .. } => args,
            other => panic!("{other:?} is no event"),
        },
        other => panic!("{other:?} is not of the wire"),
    }
}

/// A Socket.IO event like that one, under another name and with other arguments.
pub fn socket_event(like: &Event, name: &str, args: Value) -> Event {
    let mut event = like.clone();
    if let Fact::Wire(wire) = &mut event.fact
        && let Packet::Event {
            name: old,
            args: given,
            ..
        } = &mut wire.packet
    {
        *old = name.to_owned();
        *given = vec![args];
        wire.origin = Origin::Natural;
    }
    event
}

/// Changes the state of a player's page at a moment.
pub fn with_page(log: &Log, player: &str, label: &str, change: impl Fn(&mut Snapshot)) -> Log {
    let mut found = false;
    let log = changed(log, |event| {
        if is_of(event, player)
            && let Fact::Snapshot(snapshot) = &mut event.fact
            && snapshot.label == label
        {
            change(snapshot);
            found = true;
        }
        true
    });
    assert!(found, "no page of the {player} at `{label}`");
    log
}

/// The log without a moment's snapshots.
pub fn without_moment(log: &Log, wanted: &str) -> Log {
    without(
        log,
        |event| matches!(&event.fact, Fact::Snapshot(snapshot) if snapshot.label == wanted),
    )
}

/// The log with the pages of both players at `before-game` and `in-game`, as far as it has none.
pub fn with_moments(log: &Log) -> Log {
    if log.snapshot("survivor", "in-game").is_some() {
        return log.clone();
    }
    let mut log = log.clone();
    for label in ["before-game", "in-game"] {
        for player in ["survivor", "partner"] {
            let place = position(&log, |event| {
                is_of(event, player)
                    && matches!(&event.fact, Fact::Kernel(kernel) if kernel.label == label)
            });
            let snapshot = page_at(&log, player, label, place);
            log = inserted(&log, place + 1, [snapshot]);
        }
    }
    log
}

/// A page at a moment, from what its probe had told until then.
fn page_at(log: &Log, player: &str, label: &str, place: usize) -> Event {
    let (model, later) = log
        .of(player)
        .find_map(|event| match &event.fact {
            Fact::Snapshot(snapshot) => Some((event, snapshot)),
            _ => None,
        })
        .expect("a page");
    let here = &log.events()[place];
    let mut state = later.state.clone();
    refresh(&mut state, log, player, place);
    state.timeouts.retain(|timer| timer.period > 10_000.0);
    if label == "in-game" {
        state.listeners.insert("webrtc_signal".into(), 1);
        state.game["frameNumber"] = 0.into();
    }
    let mut event = model.clone();
    event.t = here.t;
    event.fact = Fact::Snapshot(Snapshot {
        label: label.to_owned(),
        page: later.page,
        page_t: here.t,
        state,
    });
    event
}

/// Makes of a page's ledger what its events tell until a place in the log.
pub fn refresh(state: &mut PageState, log: &Log, player: &str, place: usize) {
    state.connections.clear();
    state.channels.clear();
    state.workers.clear();
    state.intervals.clear();
    for event in &log.events()[..place] {
        if let Fact::Page(page) = &event.fact
            && is_of(event, player)
        {
            replay(state, page.page_t, &page.what);
        }
    }
}

fn replay(state: &mut PageState, at: f64, what: &PageFact) {
    match what.clone() {
        PageFact::ConnectionCreated { id, stack } => state.connections.push(ConnectionState {
            id,
            created: at,
            connection: "new".into(),
            ice: "new".into(),
            signaling: "stable".into(),
            was_connected: false,
            closed: None,
            candidates: 0,
            stack,
        }),
        PageFact::ConnectionState { id, connection, .. } => {
            for one in state.connections.iter_mut().filter(|one| one.id == id) {
                one.was_connected |= connection == "connected";
                one.connection.clone_from(&connection);
            }
        }
        PageFact::ChannelCreated {
            id,
            connection,
            label,
            ..
        } => state.channels.push(ChannelState {
            id,
            connection,
            label,
            state: "connecting".into(),
            sent: 0,
            sent_bytes: 0,
            received: 0,
            received_bytes: 0,
        }),
        PageFact::ChannelState { id, state: now } => {
            for one in state.channels.iter_mut().filter(|one| one.id == id) {
                one.state.clone_from(&now);
            }
        }
        PageFact::ChannelTraffic {
            id,
            sent,
            sent_bytes,
            received,
            received_bytes,
        } => {
            for one in state.channels.iter_mut().filter(|one| one.id == id) {
                (one.sent, one.sent_bytes) = (sent, sent_bytes);
                (one.received, one.received_bytes) = (received, received_bytes);
            }
        }
        PageFact::WorkerCreated { id, stack } => state.workers.push(WorkerState {
            id,
            created: at,
            terminated: None,
            stack,
        }),
        PageFact::WorkerTerminated { id } => {
            for one in state.workers.iter_mut().filter(|one| one.id == id) {
                one.terminated = Some(at);
            }
        }
        PageFact::IntervalCreated { id, period, stack } => state.intervals.push(TimerState {
            id,
            created: at,
            period,
            stack,
        }),
        PageFact::IntervalCleared { id } => state.intervals.retain(|one| one.id != id),
        _ => {}
    }
}

//! Recorded logs, edited in memory: the one place that knows how.

use std::collections::BTreeMap;
use std::sync::Mutex;

use gymcheck::evidence::{
    ChannelState, ConnectionState, Event, Fact, Log, Origin, Packet, PageEvent, PageFact,
    PageState, Snapshot, TimerState, WorkerState,
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

/// A player's page becoming `hidden` or `visible`, at the time of that event.
pub fn visibility(like: &Event, player: &str, state: &str) -> Event {
    let mut event = like.clone();
    event.player = Some(player.to_owned());
    event.fact = Fact::Page(PageEvent {
        page: 1,
        page_t: event.t,
        what: PageFact::Visibility {
            state: state.to_owned(),
        },
    });
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

/// The headline run with its game and its survey played so many times in one page, as a sound
/// target would play them: all that happened between the first step into the GymScene and the
/// partner's death, again and again under other ids. The moments are named `before-game`,
/// `in-game`, `after-exit`, then `before-game-2` and so on.
pub fn played(times: usize) -> Log {
    static PLAYED: Mutex<BTreeMap<usize, Log>> = Mutex::new(BTreeMap::new());
    let mut played = PLAYED.lock().expect("no panic");
    played.entry(times).or_insert_with(|| play(times)).clone()
}

fn play(times: usize) -> Log {
    let once = with_moments(&recorded("good"));
    let start = position(&once, |event| is_click(event, "partner"));
    let end = position(
        &once,
        |event| matches!(&event.fact, Fact::Step(step) if step.step.starts_with("partner leaves")),
    );
    let (before, after) = (&once.events()[..end], &once.events()[end..]);
    let part = &once.events()[start..end];
    let duration = after[0].t - part[0].t;
    let mut events = before.to_vec();
    for time in 2..=times {
        let shift = duration * (time - 1) as f64;
        events.extend(part.iter().filter_map(|event| again(event, time, shift)));
    }
    let shift = duration * (times - 1) as f64;
    events.extend(after.iter().cloned().map(|mut event| {
        event.t += shift;
        event
    }));
    with_true_pages(&in_order(events))
}

fn is_click(event: &Event, player: &str) -> bool {
    is_of(event, player)
        && matches!(&event.fact, Fact::Action(action) if action.action.starts_with("click"))
}

/// An event of the first game as it would be in a later one.
fn again(event: &Event, time: usize, shift: f64) -> Option<Event> {
    let mut text = serde_json::to_string(event).expect("it can be written");
    if text.contains("pyodide_loading") {
        return None;
    }
    text = text
        .replace("game-1", &format!("game-{time}"))
        .replace("survey-1", &format!("survey-{time}"))
        .replace(
            "\"scene_id\":\"start\"",
            &format!("\"scene_id\":\"survey-{}\"", time - 1),
        )
        .replace("Duet 1", &format!("Duet {time}"))
        .replace("Survey 1", &format!("Survey {time}"))
        .replace("9674f500-", &format!("{time}674f500-"));
    for label in ["before-game", "in-game", "after-exit"] {
        text = text.replace(&format!("\"{label}"), &format!("\"{label}-{time}"));
    }
    let mut event: Event = serde_json::from_str(&text).expect("still an event");
    event.t += shift;
    let number = u32::try_from(time).expect("few");
    match &mut event.fact {
        Fact::Page(page) => {
            page.page_t += shift;
            renumber(&mut page.what, number * 1000);
        }
        Fact::Snapshot(snapshot) => snapshot.page_t += shift,
        _ => {}
    }
    Some(event)
}

/// What a page makes anew in a later game has another number in its ledger.
fn renumber(what: &mut PageFact, by: u32) {
    match what {
        PageFact::ConnectionCreated { id, .. }
        | PageFact::ConnectionState { id, .. }
        | PageFact::ConnectionClosed { id, .. }
        | PageFact::ChannelState { id, .. }
        | PageFact::ChannelClosed { id, .. }
        | PageFact::ChannelTraffic { id, .. }
        | PageFact::WorkerCreated { id, .. }
        | PageFact::WorkerTerminated { id }
        | PageFact::IntervalCreated { id, .. }
        | PageFact::IntervalCleared { id } => *id += by,
        PageFact::ChannelCreated { id, connection, .. } => {
            *id += by;
            *connection += by;
        }
        _ => {}
    }
}

/// Makes the ledgers of all pages what their events tell.
pub fn with_true_pages(log: &Log) -> Log {
    let mut place = 0;
    changed(log, |event| {
        if let (Some(player), Fact::Snapshot(snapshot)) = (event.player.clone(), &mut event.fact) {
            refresh(&mut snapshot.state, log, &player, place);
        }
        place += 1;
        true
    })
}

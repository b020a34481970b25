//! Recorded logs, edited in memory: the one place that knows how.

use std::collections::BTreeMap;
use std::sync::Mutex;

use gymcheck::evidence::{
    Event, Fact, Log, Origin, Packet, PageEvent, PageFact, PageState, SERVER, Snapshot, log_of,
};
use gymcheck::run::find_root;
use gymcheck::spec::Spec;
use gymcheck::target::settings_of;
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

/// The log, as if its experiment had been served with the settings of a spec.
pub fn with_settings_of(spec: &Spec, log: &Log) -> Log {
    changed(log, |event| {
        if let Fact::Run(run) = &mut event.fact {
            run.experiment = settings_of(&spec.body.experiment);
        }
        true
    })
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

/// That the target's log is not whole, at the time of that event.
pub fn left_out(like: &Event) -> Event {
    Event {
        player: None,
        fact: Fact::Absent {
            oracle: log_of(SERVER),
            reason: "it has written more than is kept".to_owned(),
        },
        ..like.clone()
    }
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

/// The target's id of the game that the survivor was assigned to.
pub fn game_id(log: &Log) -> String {
    let place = position(log, |event| {
        is_socket_event(event, "survivor", "pyodide_player_assigned")
    });
    let said = args(&mut log.events()[place].clone())[0]["game_id"].clone();
    said.as_str().expect("an id").to_owned()
}

/// Where the target had last finished with a player's event of this name before a moment's barrier.
pub fn handled(log: &Log, player: &str, wanted: &str, before: &str) -> usize {
    let session = log.session(player).expect("a session");
    let barrier = log.barrier("survivor", before).expect("a barrier").seq;
    let found = log.events().iter().rposition(|event| {
        event.seq < barrier
            && matches!(&event.fact, Fact::ServerHandled(handled)
                if handled.event == wanted && handled.sid == session)
    });
    found.expect("handled")
}

/// The headline run with its game and its survey played so many times in one page, as a sound
/// target would play them: all that happened between the first step into the GymScene and the
/// partner's death, again and again under other ids. The moments are named `before-game`,
/// `in-game`, `after-exit`, then `before-game-2` and so on.
pub fn played(times: usize) -> Log {
    static PLAYED: Mutex<BTreeMap<usize, Log>> = Mutex::new(BTreeMap::new());
    let mut played = PLAYED.lock().expect("no panic");
    let play = || Played::of(&recorded("good")).again_and_again(times);
    played.entry(times).or_insert_with(play).clone()
}

/// A recorded run of one game, and what of it is played again.
struct Played<'a> {
    log: &'a Log,
    /// The target's id of the game.
    game: String,
    /// Where each player leaves the scene before it.
    begins: [(&'static str, usize); 2],
    /// Where the partner is about to leave.
    ends: usize,
}

impl Played<'_> {
    fn of(log: &Log) -> Played<'_> {
        let begins = ["survivor", "partner"]
            .map(|player| (player, position(log, |event| is_click(event, player))));
        let leaves = |event: &Event| matches!(&event.fact, Fact::Step(step) if step.step.starts_with("partner leaves"));
        Played {
            log,
            game: game_id(log),
            begins,
            ends: position(log, leaves),
        }
    }

    fn again_and_again(&self, times: usize) -> Log {
        let (before, after) = self.log.events().split_at(self.ends);
        let mut events = before.to_vec();
        for time in 2..=times {
            let part = (0..)
                .zip(before)
                .filter(|(place, event)| self.is_of_the_game(*place, event));
            events.extend(part.filter_map(|(_, event)| self.again(event, time)));
        }
        events.extend(after.iter().filter_map(|event| self.again(event, times)));
        in_order(events)
    }

    fn starts(&self) -> usize {
        let places = self.begins.iter().map(|(_, place)| *place);
        places.min().expect("two players")
    }

    /// Whether it belongs to what is played again, and not to the way to the experiment.
    fn is_of_the_game(&self, place: usize, event: &Event) -> bool {
        let own = self.begins.iter().find(|(player, _)| is_of(event, player));
        place >= own.map_or(self.starts(), |(_, begins)| *begins)
    }

    fn began(&self) -> f64 {
        self.log.events()[self.starts()].t
    }

    fn shift(&self, time: usize) -> f64 {
        let duration = self.log.events()[self.ends].t - self.began();
        duration * (time - 1) as f64
    }

    /// An event of the recorded game as it is in the game of this number.
    fn again(&self, event: &Event, time: usize) -> Option<Event> {
        if time == 1 {
            return Some(event.clone());
        }
        let text = serde_json::to_string(event).expect("it can be written");
        if text.contains("pyodide_loading") {
            return None;
        }
        let text = self.renamed(&text, time);
        let mut event: Event = serde_json::from_str(&text).expect("still an event");
        let shift = self.shift(time);
        event.t += shift;
        match &mut event.fact {
            Fact::Page(page) => {
                page.page_t += shift;
                renumber(&mut page.what, number(time));
            }
            Fact::Snapshot(snapshot) => {
                snapshot.page_t += shift;
                let player = event.player.as_deref().expect("a page is a player's");
                self.carry_on(player, &mut snapshot.state, time);
            }
            _ => {}
        }
        Some(event)
    }

    fn renamed(&self, text: &str, time: usize) -> String {
        let mut text = text
            .replace("game-1", &format!("game-{time}"))
            .replace("survey-1", &format!("survey-{time}"))
            .replace(
                "\"scene_id\":\"start\"",
                &format!("\"scene_id\":\"survey-{}\"", time - 1),
            )
            .replace("Duet 1", &format!("Duet {time}"))
            .replace("Survey 1", &format!("Survey {time}"))
            .replace(&self.game, &format!("{}-{time}", self.game));
        for label in ["before-game", "in-game", "after-exit"] {
            text = text.replace(&format!("\"{label}"), &format!("\"{label}-{time}"));
        }
        text
    }

    /// Makes of a page's ledger that of the game of this number: what the games before have made and
    /// ended stands in it as well.
    fn carry_on(&self, player: &str, state: &mut PageState, time: usize) {
        let (_, ended) = self
            .log
            .snapshot(player, "after-exit/later")
            .expect("taken");
        let own = state.clone();
        state.connections.clear();
        state.channels.clear();
        state.workers.clear();
        for earlier in 1..time {
            self.add_made(state, &ended.state, earlier);
        }
        self.add_made(state, &own, time);
        for timer in state.intervals.iter_mut().chain(&mut state.timeouts) {
            if timer.created > self.began() {
                timer.id += number(time);
                timer.created += self.shift(time);
            }
        }
    }

    fn add_made(&self, state: &mut PageState, made: &PageState, time: usize) {
        let (by, shift) = (number(time), self.shift(time));
        let connections = made.connections.iter().cloned().map(|mut one| {
            one.id += by;
            one.created += shift;
            one.closed = one.closed.map(|closed| closed + shift);
            one
        });
        let channels = made.channels.iter().cloned().map(|mut one| {
            one.id += by;
            one.connection += by;
            one
        });
        let workers = made.workers.iter().cloned().map(|mut one| {
            one.id += by;
            one.created += shift;
            one.terminated = one.terminated.map(|terminated| terminated + shift);
            one
        });
        state.connections.extend(connections);
        state.channels.extend(channels);
        state.workers.extend(workers);
    }
}

fn is_click(event: &Event, player: &str) -> bool {
    is_of(event, player)
        && matches!(&event.fact, Fact::Action(action) if action.action.starts_with("click"))
}

/// What is added to the numbers of a page's ledger in the game of this number.
fn number(time: usize) -> u32 {
    u32::try_from(time - 1).expect("few") * 1000
}

/// What a page makes anew in a later game has another number in its ledger.
fn renumber(what: &mut PageFact, by: u32) {
    match what {
        PageFact::ConnectionCreated { id, .. }
        | PageFact::ConnectionState { id, .. }
        | PageFact::IceCandidate { id, .. }
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

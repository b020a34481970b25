//! Waiting until nothing that was already caused is still on its way to a player's page.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::evidence::{BarrierFact, BrokenFact, Direction, Event, Fact, Recorder, WebsocketState};
use crate::gateway::{Gateway, Passed, RoundTripError};
use crate::player::PlayerError;
use crate::spec::PlayerName;
use crate::stage::deadline;
use crate::target::UNTOLD;

/// How many round trips of events, and turns of the page's event loop, a barrier takes. A chain of
/// cause and effect may lead from the page to the target and back twice, and for each of the two it
/// takes two: in one the target finishes with what it was sent, and the other comes behind what it
/// sent because of that.
const ROUND_TRIPS: usize = 4;
const TURNS: u32 = 2;

/// How long a page that has no socket is left alone before it is looked at again.
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);

#[derive(Deserialize)]
struct Turned {
    websockets: Vec<WebsocketState>,
}

/// What was watched before a barrier.
pub(super) enum Watched {
    /// Nothing: it is about order alone.
    Nothing,
    /// The page, in words.
    Page(String),
    /// Nothing yet: nothing is left that could act by itself, and the watch of this later moment, on the same
    /// scene, is this one's too.
    With(String),
}

/// A barrier of a player, at a moment of the run. It is about order and takes no time but that of the
/// way; who wants to see what goes on needs to watch besides.
pub(super) struct Barrier<'a> {
    pub(super) gateway: &'a Gateway,
    pub(super) recorder: &'a Recorder,
    pub(super) player: PlayerName,
    /// The moment's name.
    pub(super) label: &'a str,
}

impl Barrier<'_> {
    /// Waits for it, and records it. Gives its position in the evidence.
    ///
    /// Again and again: the page has received all that the gateway passed on, and all that it sent
    /// because of that has reached the gateway; then the gateway makes a round trip of its own to the
    /// target, and the target finishes with all that the page had sent it before. After the last one
    /// the page has received all once more, and its event loop has turned.
    ///
    /// Pages in the background answer as well. Behind what a rule holds or delays it waits; what is
    /// set aside or dropped has caused nothing.
    pub(super) async fn reach(&self, watched: Watched) -> Result<u64, PlayerError> {
        let (name, label) = (self.player, self.label);
        let mut handled = None;
        for trip in 1..=ROUND_TRIPS {
            self.all_arrived().await?;
            self.round_trip(trip).await?;
            handled = self.handled_all().await?;
        }
        let (received, sent) = self.all_arrived().await?;
        let (page, watched_with) = match watched {
            Watched::Nothing => (None, None),
            Watched::Page(page) => (Some(page), None),
            Watched::With(moment) => (None, Some(moment)),
        };
        let mut rests_on: Vec<String> = page.into_iter().collect();
        rests_on.push(format!(
            "{ROUND_TRIPS} round trips of a ping of the harness's own over its socket"
        ));
        if let Some(handled) = handled {
            rests_on.push(format!(
                "the target has finished with all {handled} events that it tells the end of"
            ));
        }
        rests_on.push(format!(
            "before and after each, its page has received all {received} messages of its sockets, and \
             all {sent} that it sent have arrived"
        ));
        rests_on.push(format!("{TURNS} turns of the page's event loop after that"));
        let barrier = self.recorder.record_for(
            name.as_str(),
            Fact::Barrier(BarrierFact {
                label: label.to_owned(),
                rests_on,
                watched_with,
            }),
        );
        Ok(barrier.seq)
    }

    /// Makes the round trip of this number.
    async fn round_trip(&self, trip: usize) -> Result<(), PlayerError> {
        let what = format!("round trip {trip} of the barrier `{}`", self.label);
        let made = self.round_trip_on_any();
        let longer = deadline::REACTION + deadline::LAST_WORDS;
        tokio::select! {
            made = made => match made {
                Ok(()) => Ok(()),
                Err(error) => Err(self.missed(format!("{what}: {error}")).await),
            },
            Err(broken) = self.recorder.pass(longer, &what) => Err(broken.into()),
        }
    }

    /// Makes a round trip; once more, where the page's connection ends meanwhile, or is not let in yet.
    async fn round_trip_on_any(&self) -> Result<(), RoundTripError> {
        let end = Instant::now() + deadline::REACTION;
        loop {
            let made = self
                .gateway
                .round_trip(self.player.as_str(), deadline::REACTION);
            match made.await {
                Err(RoundTripError::NotConnected { .. } | RoundTripError::Ended { .. })
                    if Instant::now() < end =>
                {
                    tokio::time::sleep(BETWEEN_LOOKS).await;
                }
                made => return made,
            }
        }
    }

    /// Why something did not come: what broke, if anything did, may be told a moment later.
    async fn missed(&self, reason: String) -> PlayerError {
        let told = self.recorder.pass(deadline::LAST_WORDS, &reason);
        match told.await {
            Err(broken) => broken.into(),
            Ok(()) => PlayerError::Missed(reason),
        }
    }

    /// Waits until the page has received, and had the time to handle, what the gateway has passed
    /// on until now, and until what it had sent by then has reached the gateway. Gives the numbers of
    /// messages received and sent.
    async fn all_arrived(&self) -> Result<(u64, u64), PlayerError> {
        let (name, label) = (self.player, self.label);
        let end = Instant::now() + deadline::PROBE;
        let mut delivered = self.passed(end).await?;
        loop {
            let command = json!({"cmd": "turns", "count": TURNS});
            let turned: Turned = ask_probe(self.gateway, name, command).await?;
            let passed = self.passed(end).await?;
            let is_anew = passed.connections != delivered.connections;
            let arrived = passed.arrived;
            if is_anew {
                // What came on a socket that is closed now, the page does not count any more.
                delivered = passed;
            }
            let open = turned
                .websockets
                .iter()
                .filter(|socket| socket.url.contains("/socket.io/") && socket.state == "open");
            let sockets = open.clone().count();
            // No socket can have received more than it was sent, and from none can more have come than
            // was sent on it: with the same sums, each has all.
            let received: u64 = open.clone().map(|socket| socket.received).sum();
            let sent: u64 = open.map(|socket| socket.sent).sum();
            if !is_anew
                && sockets == delivered.connections.len()
                && received >= delivered.delivered
                && arrived >= sent
            {
                return Ok((received, sent));
            }
            if Instant::now() > end {
                let reason = format!(
                    "waited {} s at the barrier `{label}` for the {name}'s page to receive {} messages \
                     on {} sockets, it has {received} on {sockets}, and for the {sent} that it sent to \
                     arrive, {arrived} have",
                    deadline::PROBE.as_secs(),
                    delivered.delivered,
                    delivered.connections.len(),
                );
                return Err(self.missed(reason).await);
            }
        }
    }

    /// What has passed on the page's sockets; where it has none, as between two of them, it is waited for.
    async fn passed(&self, end: Instant) -> Result<Passed, PlayerError> {
        let (name, label) = (self.player, self.label);
        loop {
            if let Some(passed) = self.gateway.passed(name.as_str()) {
                return Ok(passed);
            }
            if Instant::now() > end {
                let reason =
                    format!("the {name} has no socket to the target at the barrier `{label}`");
                return Err(self.missed(reason).await);
            }
            self.recorder.pass(BETWEEN_LOOKS, label).await?;
        }
    }

    /// Waits until the target has finished with all events that it was sent on the player's connection
    /// before the newest round trip: it answers a ping while it still handles what came before. Gives
    /// how many there were, or `None` for a target that does not tell.
    async fn handled_all(&self) -> Result<Option<usize>, PlayerError> {
        let (name, label) = (self.player, self.label);
        let log = self.recorder.log();
        let Some((connection, session)) = log.participant(name.as_str(), u64::MAX) else {
            return Ok(None);
        };
        let trip = log.own_pings(name.as_str()).next_back();
        let before = trip.map_or(0, |ping| ping.seq);
        let tells = |event: &Event| matches!(&event.fact, Fact::ServerHandled(handled) if handled.sid == session);
        if !log.events().iter().any(tells) {
            return Ok(None);
        }
        let mut sent: BTreeMap<&str, usize> = BTreeMap::new();
        for event in log.of(name.as_str()).filter(|event| event.seq < before) {
            if let Some(event) = told_when_handled(event, connection) {
                *sent.entry(event).or_default() += 1;
            }
        }
        for (event_name, times) in &sent {
            let mut from = 0;
            for _ in 0..*times {
                let what = format!(
                    "the target to finish with the {name}'s `{event_name}` for the barrier `{label}`"
                );
                from = self
                    .recorder
                    .wait(from, deadline::REACTION, &what, |event| {
                        matches!(&event.fact, Fact::ServerHandled(handled)
                            if handled.sid == session && handled.event == *event_name)
                    })
                    .await?
                    .seq
                    + 1;
            }
        }
        Ok(Some(sent.values().sum()))
    }
}

/// Asks the probe of a player's page.
pub(super) async fn ask_probe<T: for<'a> Deserialize<'a>>(
    gateway: &Gateway,
    name: PlayerName,
    command: Value,
) -> Result<T, PlayerError> {
    let broken = |reason: String| {
        PlayerError::Broken(BrokenFact {
            component: "browser".to_owned(),
            reason: format!("the probe of the {name}'s page does not answer: {reason}"),
            last_lines: Vec::new(),
            worth_a_retry: true,
        })
    };
    let answer = gateway
        .probe(name.as_str())
        .request(command, deadline::PROBE)
        .await
        .map_err(|error| broken(error.to_string()))?;
    serde_json::from_value(answer).map_err(|error| broken(error.to_string()))
}

/// The name of an event that went to the target on a connection, if the target tells when it has
/// finished with it.
fn told_when_handled(event: &Event, connection: u64) -> Option<&str> {
    match &event.fact {
        Fact::Wire(wire)
            if wire.connection == connection && wire.direction == Direction::ToServer =>
        {
            let (name, _) = wire.packet.game_event()?;
            (!UNTOLD.contains(&name)).then_some(name)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;

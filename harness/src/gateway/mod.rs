//! The HTTP and WebSocket proxy between the players' browsers and the target.
//!
//! One listener for each player, so that every byte is attributed. Pages of the target get the
//! probe and lose their public addresses, which the mirror answers for; what the browser and the
//! target say to each other over Socket.IO is recorded packet by packet, and rules do to its
//! events what a network or a target could, and more. It needs no browser protocol beyond HTTP: all of it is the same in every browser.

mod answer;
mod attachment;
mod connections;
mod content_policy;
mod handshake;
mod headers;
#[cfg(test)]
mod hostile_tests;
mod html;
mod lane;
mod limits;
mod listener;
mod mirror;
mod page_clock;
mod parcel;
mod preview;
mod probe_link;
mod proxy;
mod round_trips;
mod rules;
mod sign_of_life;
mod socketio;
mod strangers;
mod websocket;

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::Duration;

use serde_json::Value;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::evidence::{Direction, Recorder};
use crate::target::Edit;
use crate::token::token;

pub use connections::{InjectError, Passed, RoundTripError};
pub use mirror::{Mirror, MirrorEntry};
pub use preview::{Preview, PreviewError, preview};
pub use probe_link::{NEXT_PAGE, ProbeError, ProbeLink};
pub use rules::{Fault, Forged, Passage, Rule, Side};
pub use sign_of_life::NoSignOfLife;

use connections::Connections;
use limits::Requests;
use listener::{Listener, Shared};
use proxy::Proxy;
use rules::Rules;
use strangers::Strangers;

/// How long open connections may take to end when the gateway is shut down.
const SHUTDOWN: Duration = Duration::from_secs(5);

/// Any port of this machine that is free.
const ANY_PORT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// What a gateway stands between, and what it does to what passes.
#[derive(Debug, Clone)]
pub struct GatewayOptions {
    /// Where the target listens.
    pub upstream: SocketAddr,
    /// The players: each gets a listener of its own.
    pub players: Vec<String>,
    /// What it answers itself instead of public hosts.
    pub mirror: Mirror,
    /// Changes to what the target serves, in the order in which they are made.
    pub edits: Vec<Edit>,
    /// The probe's script, with the place `/*GYMCHECK_CONFIG*/{}` for its settings.
    pub probe_script: String,
}

/// Where a player comes in who does not find the gateway at a port of the loopback interface.
#[derive(Debug)]
pub struct Door {
    /// Where the gateway takes its connections.
    pub listener: TcpListener,
    /// Under which address its browser finds that, as it stands in a URL.
    pub authority: String,
    /// The addresses from which it may come; any, where only this machine gets to the door.
    pub admits: Option<Vec<IpAddr>>,
}

/// Why a gateway could not be started.
#[derive(Debug, Error)]
pub enum GatewayError {
    /// No port could be had.
    #[error(
        "cannot listen on the loopback interface; where no port is free, end what holds so many connections, or widen net.ipv4.ip_local_port_range"
    )]
    Listen(#[source] io::Error),
    /// The system gives no random bytes.
    #[error("cannot make a token for the probe: the system gives no random bytes")]
    Token(#[source] getrandom::Error),
    /// The probe's script has no place for its settings.
    #[error(
        "the probe's script does not contain {}; put it where its settings belong",
        html::CONFIG
    )]
    ProbeScript,
}

/// A running gateway. It ends with [`Gateway::shutdown`], or abruptly when it is dropped.
///
/// A player that [`GatewayOptions::players`] does not name is a mistake in the harness: where one is
/// asked for, the gateway panics.
pub struct Gateway {
    listeners: Vec<Arc<Listener>>,
    shared: Arc<Shared>,
    _stop: DropGuard,
}

impl Gateway {
    /// Starts a gateway. It takes connections when this returns.
    ///
    /// # Errors
    /// No port can be had, or the probe's script has no place for its settings.
    pub async fn start(
        options: GatewayOptions,
        recorder: Recorder,
    ) -> Result<Gateway, GatewayError> {
        Gateway::start_behind(BTreeMap::new(), options, recorder).await
    }

    /// The same with doors that are there already, by player.
    ///
    /// # Errors
    /// As [`Gateway::start`].
    pub async fn start_behind(
        mut doors: BTreeMap<String, Door>,
        options: GatewayOptions,
        recorder: Recorder,
    ) -> Result<Gateway, GatewayError> {
        let stop = CancellationToken::new();
        let guard = stop.clone().drop_guard();
        let shared = Arc::new(Shared {
            upstream: options.upstream,
            proxy: Proxy::new(options.upstream, options.mirror.clone(), options.edits),
            mirror: options.mirror,
            rules: Arc::new(Rules::default()),
            recorder,
            websockets: AtomicU64::new(0),
            tasks: TaskTracker::new(),
            stop,
        });
        let mut listeners = Vec::new();
        for player in &options.players {
            let door = match doors.remove(player) {
                Some(door) => door,
                None => Door::anywhere().await.map_err(GatewayError::Listen)?,
            };
            listeners.push(open(player, door, &options.probe_script, &shared)?);
        }
        Ok(Gateway {
            listeners,
            shared,
            _stop: guard,
        })
    }

    /// Where a player's browser finds the target, as `http://127.0.0.1:40001`.
    #[must_use]
    pub fn origin(&self, player: &str) -> String {
        self.listener(player).origin.clone()
    }

    /// Puts a rule in force, for connections that are open and for those to come.
    pub fn set(&self, rule: Rule) {
        self.listener(&rule.at.player);
        self.shared.rules.set(rule);
    }

    /// Takes a rule out of force, and lets go what it keeps. False if there is none of that name.
    pub fn release(&self, name: &str) -> bool {
        self.shared.rules.release(name)
    }

    /// Ends every WebSocket that a player's page has open, as a rule says: for both ends without a
    /// farewell, as when a network breaks. Gives how many there were.
    pub fn cut(&self, rule: &str, player: &str) -> usize {
        self.listener(player).connections.cut(rule)
    }

    /// Keeps every WebSocket that a player's page has open to the target as it is, for both ends, and passes
    /// nothing on it any more; what the page asks for from now on is not answered. Gives how many there
    /// are. The probe's line goes on.
    pub fn stall(&self, player: &str) -> usize {
        self.listener(player).connections.stall()
    }

    /// Sends an event in somebody's name on the player's newest Socket.IO connection, in the
    /// namespace `/`, and waits until it is written. It passes what a rule holds.
    ///
    /// # Errors
    /// There is no such connection, it ends, or its end reads nothing.
    pub async fn inject(
        &self,
        rule: &str,
        player: &str,
        direction: Direction,
        event: &str,
        args: Vec<Value>,
    ) -> Result<(), InjectError> {
        let connections = &self.listener(player).connections;
        connections
            .inject(player, rule, direction, event, args)
            .await
    }

    /// The line to the probe of a player's page.
    #[must_use]
    pub fn probe(&self, player: &str) -> ProbeLink {
        self.listener(player).probe.clone()
    }

    /// Makes a round trip of events on the Socket.IO connection of a player's page: sends the target
    /// a `ping` of the harness's own, and waits for its `pong`, which the page does not get. What had
    /// come from the page by then has reached the target before it, and what the target had sent when
    /// it answered was passed on to the page.
    ///
    /// It takes its place among what the page and the target send: behind an event that a rule holds
    /// or delays, on either way, it waits with all the rest. No rule applies to it.
    ///
    /// # Errors
    /// There is no such connection, it ends, or the answer does not come in time.
    pub async fn round_trip(&self, player: &str, within: Duration) -> Result<(), RoundTripError> {
        let connections = &self.listener(player).connections;
        connections.round_trip(player, within).await
    }

    /// Waits for any answer of the target to a request of the harness's own, beside all that its players
    /// say.
    ///
    /// # Errors
    /// It takes no request, or does not answer in time.
    pub async fn ask_target(&self, within: Duration) -> Result<(), NoSignOfLife> {
        sign_of_life::ask(self.shared.upstream, within).await
    }

    /// From here on pages may go without a farewell: their browsers are being ended.
    pub fn pages_may_end(&self) {
        for listener in &self.listeners {
            listener.probe.pages_may_end();
        }
    }

    /// What has passed on a player's open WebSockets.
    #[must_use]
    pub fn passed(&self, player: &str) -> Option<Passed> {
        self.listener(player).connections.passed()
    }

    /// Whether the participant of a player's page is in the Socket.IO namespace `/`.
    #[must_use]
    pub fn is_connected(&self, player: &str) -> bool {
        self.listener(player).connections.is_joined()
    }

    /// Ends every connection and every listener, and waits until they have ended.
    pub async fn shutdown(self) {
        self.shared.stop.cancel();
        self.shared.tasks.close();
        // Each of them ends within a bound of its own, which is lower.
        let _ = tokio::time::timeout(SHUTDOWN, self.shared.tasks.wait()).await;
    }

    fn listener(&self, player: &str) -> &Listener {
        let listeners = &self.listeners;
        let found = listeners.iter().find(|listener| listener.player == player);
        found.unwrap_or_else(|| panic!("the gateway knows no player {player}"))
    }
}

impl Door {
    /// At any port of the loopback interface that is free.
    ///
    /// # Errors
    /// There is none.
    pub async fn anywhere() -> io::Result<Door> {
        let listener = TcpListener::bind(ANY_PORT).await?;
        Ok(Door {
            authority: listener.local_addr()?.to_string(),
            listener,
            admits: None,
        })
    }
}

fn open(
    player: &str,
    door: Door,
    probe_script: &str,
    shared: &Arc<Shared>,
) -> Result<Arc<Listener>, GatewayError> {
    let authority = door.authority;
    let token = || token().map_err(GatewayError::Token);
    let (token, nonce) = (token()?, token()?);
    let probe_element = html::probe_element(probe_script, &token, probe_link::PATH, nonce);
    let listener = Arc::new(Listener {
        player: player.to_owned(),
        origin: format!("http://{authority}"),
        authority,
        strangers: Strangers::besides(door.admits),
        token,
        probe_element: probe_element.ok_or(GatewayError::ProbeScript)?,
        probe: ProbeLink::new(player, shared.recorder.clone()),
        connections: Connections::default(),
        requests: Requests::default(),
        has_polled: AtomicBool::new(false),
        shared: Arc::clone(shared),
    });
    let listening = Arc::clone(&listener).listen(door.listener);
    shared.spawn(listening);
    Ok(listener)
}

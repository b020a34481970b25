//! The kinds of event that a log can hold.
//!
//! Every type here is part of the evidence format: what is written today must be readable by the
//! same version of the format, see [`FORMAT_VERSION`].

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::spec::{GameEvent, WayToLeave};
use crate::target::TargetFacts;

/// The version of the evidence format that this build writes and reads.
pub const FORMAT_VERSION: u32 = 1;

/// The Socket.IO event by which a page tells the target whose page it is.
pub const REGISTER: &str = "register_subject";

/// What the target's process is to the stage.
pub const SERVER: &str = "server";

/// How the log of a process of the stage is named where an oracle could not be had: it is not whole.
#[must_use]
pub fn log_of(role: &str) -> String {
    format!("the {role}'s log")
}

/// One line of the log.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Event {
    /// Position in the log, from 0. Events are numbered in the order in which the harness learned
    /// of them.
    pub seq: u64,
    /// When the harness learned of it: milliseconds since the run began, on a monotonic clock.
    pub t: f64,
    /// The player that it concerns, if it concerns one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub player: Option<String>,
    /// What happened.
    #[serde(flatten)]
    pub fact: Fact,
}

impl Event {
    /// How many messages a data channel has received so far, by page and channel, if the event tells.
    #[must_use]
    pub fn channel_received(&self) -> Option<((u32, u32), u64)> {
        match &self.fact {
            Fact::Page(page) => match page.what {
                PageFact::ChannelTraffic { id, received, .. } => Some(((page.page, id), received)),
                _ => None,
            },
            _ => None,
        }
    }
}

/// What an event says.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Fact {
    /// The first event of a run: what is carried out, on what.
    Run(RunFacts),
    /// A step of the spec began or ended.
    Step(StepFact),
    /// A WebSocket between a page and the target was opened through the gateway.
    WireOpened(WireOpened),
    /// Such a WebSocket ended.
    WireClosed(WireClosed),
    /// A decoded packet passed the gateway (or was made by it).
    Wire(WireFact),
    /// An HTTP request was answered by the gateway.
    Http(HttpFact),
    /// A page asked for a third-party asset that the mirror does not have.
    MirrorMiss {
        /// The public address that the page wanted.
        url: String,
    },
    /// A page was answered with a file of a public host (`--assets cdn`).
    PublicFile(PublicFileFact),
    /// A rule of the gateway took effect.
    Rule(RuleFact),
    /// The probe reported an event of its page.
    Page(PageEvent),
    /// The clock of a player's page was compared with the run's, better than before.
    Clock(ClockFact),
    /// The probe was asked for the whole state of its page.
    Snapshot(Snapshot),
    /// The controls of the scene were hit-tested.
    HitTest(HitTest),
    /// The kernel's view of a player's browser.
    Kernel(KernelFact),
    /// A process of the stage began or ended.
    Process(ProcessFact),
    /// A line that the target wrote to its standard output or error.
    ServerLog {
        /// The line, without its end.
        line: String,
    },
    /// The target finished handling a Socket.IO event (seen from inside its process).
    ServerHandled(ServerHandled),
    /// The games that the target holds (seen from inside its process).
    ServerHolds(ServerHolds),
    /// A barrier was reached: nothing already caused is still on its way to the player's page.
    Barrier(BarrierFact),
    /// A screenshot of a player's page was taken.
    Screenshot(ScreenshotFact),
    /// Two screenshots were compared.
    Pixels(PixelsFact),
    /// A data file that the target stored.
    DataFile(DataFile),
    /// A player did something at its browser.
    Action(ActionFact),
    /// The peer connections of a player's page were broken, and nothing else of it.
    Severed {
        /// How many there were.
        connections: u32,
    },
    /// A player's browser was stopped as a whole, or is looked at again: the state of each of its processes.
    Frozen(FrozenFact),
    /// From here on the gateway passes nothing on this WebSocket any more, and keeps both of its ends open.
    Stalled(StalledFact),
    /// What has come from the two ends of such a WebSocket and was not passed on, until it ended.
    Kept(KeptFact),
    /// What the kernel says of a player's link to all others, on a stage where each player is a host of its
    /// own.
    Link(LinkFact),
    /// An address of the machine on which the browsers run came, went, or changed.
    AddressChanged(AddressFact),
    /// A grid has given a player's browser.
    Session(SessionFact),
    /// The session with a player's browser was ended, and the grid has it no more.
    SessionEnded(SessionEndedFact),
    /// A connection came to a player's listener from where the player's browser is not, and was closed unread;
    /// told once of each address.
    Stranger {
        /// From where.
        address: String,
    },
    /// A player begins to leave: from here on its page may be gone.
    Leaving(LeavingFact),
    /// It was seen that the player has left.
    Departed(DepartedFact),
    /// An oracle could not be had in this run.
    Absent {
        /// The oracle's name.
        oracle: String,
        /// Why it could not be had.
        reason: String,
    },
    /// The run could not be carried out.
    Broken(BrokenFact),
    /// The last event of a run.
    Finished {},
}

/// What a run carries out, and on what.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RunFacts {
    /// The spec's path-like name.
    pub spec: String,
    /// The browsers, survivor first, as `chrome+firefox`.
    pub pair: String,
    /// The target's name, as `mug@0.1.3`.
    pub target: String,
    /// All that is known of the target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_facts: Option<TargetFacts>,
    /// The mutant that was applied, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mutant: Option<String>,
    /// The repairs that were applied.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub repairs: Vec<String>,
    /// The settings of the experiment as it was served.
    pub experiment: Value,
    /// What serves the experiment, where that is not the spec's own: the name or the folder of another
    /// one, the user's own command, or the address of a server that runs. Its settings are what the
    /// target tells of its scenes, and not `experiment`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub served: Option<String>,
    /// What cannot be had of this target, and why.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub lacks: BTreeMap<Source, String>,
    /// The version of gymcheck.
    pub gymcheck: String,
    /// When the run began, RFC 3339, UTC.
    pub started_at: String,
    /// The grid that gave the browsers, if they are not this machine's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grid: Option<String>,
    /// Name and version of each browser, by player.
    pub browsers: std::collections::BTreeMap<String, String>,
}

/// Something that can be seen only of what runs on this machine: of a target whose process the stage owns, or of
/// browsers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// When it has finished handling an event, and which games it holds: seen from inside its process.
    Handlers,
    /// What it writes to its standard output and error.
    Log,
    /// The files that it stores.
    Data,
    /// What the kernel says of the browsers: their processes and sockets.
    Kernel,
}

/// Progress of one step of the spec.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StepFact {
    /// Position in the spec, from 0.
    pub index: usize,
    /// The step in words, as `leave partner (kill)`.
    pub step: String,
    /// How far it is.
    pub phase: StepPhase,
    /// What was awaited in vain, for a missed step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Whether it was missed because the experiment has not what it needs, as another game: `detail` says
    /// what. The target did nothing wrong then.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub not_offered: bool,
    /// For a missed step of an experiment that is not the spec's own: the last errors of the pages, and
    /// what the target's own log ended with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub last_words: Vec<String>,
}

/// How far a step is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepPhase {
    /// It began.
    Begun,
    /// It was carried out.
    Done,
    /// The target did not do, in time, what the step awaits; all else was alive.
    Missed,
}

/// A WebSocket was opened.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct WireOpened {
    /// Number of the connection within the run.
    pub connection: u64,
    /// Path and query that the page asked for.
    pub path: String,
}

/// A WebSocket ended.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct WireClosed {
    /// Number of the connection within the run.
    pub connection: u64,
    /// Whose end went first.
    pub by: End,
    /// Close code or error, as far as known.
    pub detail: String,
}

/// An end of a proxied connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// The player's browser.
    Browser,
    /// The target.
    Target,
    /// The gateway itself.
    Gateway,
}

/// Which way a packet travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// From the browser to the target.
    ToServer,
    /// From the target to the browser.
    ToClient,
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Direction::ToServer => "to-server",
            Direction::ToClient => "to-client",
        })
    }
}

/// Who made a packet, and whether a real system could have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// The target or the page sent it by itself.
    Natural,
    /// The gateway sent it in the target's name, and the target could have sent it.
    Injected,
    /// No real network could have done this.
    Synthetic,
    /// It belongs to a round trip that the harness makes for a barrier: its own `ping`, or the `pong`
    /// that answered it, which the gateway kept from the page. The page has no part in it.
    Harness,
}

/// A decoded packet, recorded at the moment when the gateway passed it on, or when it would have: the
/// answer to a ping of the harness's own goes no further.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct WireFact {
    /// Number of the connection within the run.
    pub connection: u64,
    /// Which way it travels.
    pub direction: Direction,
    /// Who made it.
    pub origin: Origin,
    /// What it says.
    pub packet: Packet,
}

/// An Engine.IO packet, with the Socket.IO packet that it carries.
///
/// Engine.IO protocol 4, Socket.IO protocol 5.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Packet {
    /// Engine.IO `open` (0): the handshake.
    Open {
        /// Session id, ping interval and the rest.
        data: Value,
    },
    /// Engine.IO `close` (1).
    Close,
    /// Engine.IO `ping` (2).
    Ping,
    /// Engine.IO `pong` (3).
    Pong,
    /// Engine.IO `upgrade` (5).
    Upgrade,
    /// Engine.IO `noop` (6).
    Noop,
    /// Socket.IO `CONNECT` (0).
    Connect {
        /// Socket.IO namespace, `/` by default.
        namespace: String,
        /// Its payload.
        data: Value,
    },
    /// Socket.IO `DISCONNECT` (1).
    Disconnect {
        /// Socket.IO namespace.
        namespace: String,
    },
    /// Socket.IO `EVENT` (2) or `BINARY_EVENT` (5).
    Event {
        /// Socket.IO namespace.
        namespace: String,
        /// The event's name.
        name: String,
        /// Its arguments. A binary argument is replaced by an object `{"$binary": {...}}` that
        /// holds its length, its SHA-256 and, where it is MessagePack, its decoded value.
        args: Vec<Value>,
        /// The acknowledgement that the sender asks for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ack: Option<i64>,
    },
    /// Socket.IO `ACK` (3) or `BINARY_ACK` (6).
    Ack {
        /// Socket.IO namespace.
        namespace: String,
        /// Which acknowledgement.
        id: i64,
        /// Its arguments.
        args: Vec<Value>,
    },
    /// Socket.IO `CONNECT_ERROR` (4).
    ConnectError {
        /// Socket.IO namespace.
        namespace: String,
        /// What went wrong.
        data: Value,
    },
    /// Something that is none of these.
    Unreadable {
        /// Why it could not be read.
        reason: String,
        /// Its beginning, for a person.
        start: String,
    },
}

impl Packet {
    /// The name and the arguments of the Socket.IO event that it is, if it is one of the namespace `/`, which is
    /// the game's. What passes in others is of other parts of a page.
    #[must_use]
    pub fn game_event(&self) -> Option<(&str, &[Value])> {
        match self {
            Packet::Event {
                namespace,
                name,
                args,
                ..
            } if namespace == "/" => Some((name, args)),
            _ => None,
        }
    }
}

/// An HTTP exchange through the gateway.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct HttpFact {
    /// Request method.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Status of the answer.
    pub status: u16,
    /// Who answered: `target`, `mirror`, or `gateway` for what it refused or could not do.
    pub by: String,
    /// Names of the mutants and repairs that changed the body.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub edits: Vec<String>,
}

/// A file of a public host.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PublicFileFact {
    /// Its public address.
    pub url: String,
    /// The size of its content in bytes.
    pub size: u64,
    /// The digest of its content, in hexadecimal.
    pub sha256: String,
    /// Whether it was taken from the network for this; if not, it had been recorded before.
    pub from_network: bool,
}

/// A rule of the gateway took effect.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RuleFact {
    /// The rule's name in the spec.
    pub rule: String,
    /// What it did.
    pub effect: RuleEffect,
    /// The event concerned, if one is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<String>,
    /// What was not known, for a rule that could not do its work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// What a rule did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RuleEffect {
    /// It holds the event, and everything behind it but Engine.IO's ping and pong.
    Held,
    /// It had nothing to hold: the event came after the one, or after the release, that it was to come after.
    InOrder,
    /// It holds the event for a set time, and everything behind it.
    Delayed,
    /// What it kept was let go.
    Released,
    /// What it kept was thrown away, since an end of the connection is gone.
    Discarded,
    /// It sent an event in the target's name.
    Injected,
    /// It ended the connection.
    Cut,
    /// It threw the event away.
    Dropped,
    /// It delivered the event a second time.
    Duplicated,
    /// It keeps the event, alone, until a later one has passed it.
    SetAside,
    /// It let the event pass an earlier one.
    Overtook,
    /// It met its event and could not do its work.
    Failed,
}

impl RuleEffect {
    /// Whether the rule has done by it what it is there for.
    #[must_use]
    pub fn is_firing(self) -> bool {
        match self {
            RuleEffect::Held
            | RuleEffect::InOrder
            | RuleEffect::Delayed
            | RuleEffect::Injected
            | RuleEffect::Cut
            | RuleEffect::Dropped
            | RuleEffect::Duplicated
            | RuleEffect::Overtook => true,
            RuleEffect::Released
            | RuleEffect::Discarded
            | RuleEffect::SetAside
            | RuleEffect::Failed => false,
        }
    }

    /// Whether a real system could have done it, and who would have.
    #[must_use]
    pub fn origin(self) -> Origin {
        match self {
            // A slow network, and one that breaks, do the same to what the target sent by itself.
            RuleEffect::Held
            | RuleEffect::InOrder
            | RuleEffect::Delayed
            | RuleEffect::Released
            | RuleEffect::Discarded
            | RuleEffect::Cut
            | RuleEffect::Failed => Origin::Natural,
            RuleEffect::Injected => Origin::Injected,
            RuleEffect::Dropped
            | RuleEffect::Duplicated
            | RuleEffect::SetAside
            | RuleEffect::Overtook => Origin::Synthetic,
        }
    }
}

/// An event of a page, as its probe told it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PageEvent {
    /// Which page of the player, from 1: a reload or a navigation makes a new one.
    pub page: u32,
    /// The page's own time of it, on the run's clock: milliseconds since the run began. It is as
    /// good as the last [`ClockFact`] of that page before it.
    pub page_t: f64,
    /// What happened.
    #[serde(flatten)]
    pub what: PageFact,
}

/// What the times of a page rest on from here on: the clock of the page, and the run's.
///
/// A time that was told before was converted with the offset that stood then: the difference
/// between the two offsets is what it is off, as far as is known now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClockFact {
    /// Which page of the player, from 1.
    pub page: u32,
    /// Milliseconds which, added to the page's `performance.now()`, give the run's clock.
    pub offset: f64,
    /// By how many milliseconds it can be off at most: half of the round trip of question and
    /// answer, and one for how coarsely browsers let a page read its clock.
    pub bound: f64,
}

/// What can happen in a page.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum PageFact {
    /// The probe is there, before any script of the page.
    Hello {
        /// The page's address.
        url: String,
        /// `navigator.userAgent`.
        user_agent: String,
        /// `window.isSecureContext`.
        secure: bool,
    },
    /// The page is being left (`pagehide`).
    Bye {},
    /// An RTCPeerConnection was made.
    ConnectionCreated {
        /// Number in the page's ledger.
        id: u32,
        /// Where in the page's code, as a stack trace.
        stack: String,
    },
    /// An RTCPeerConnection changed one of its states.
    ConnectionState {
        /// Number in the page's ledger.
        id: u32,
        /// `connectionState`.
        connection: String,
        /// `iceConnectionState`.
        ice: String,
        /// `iceGatheringState`.
        gathering: String,
        /// `signalingState`.
        signaling: String,
    },
    /// An RTCPeerConnection found a local ICE candidate; `None` marks their end.
    IceCandidate {
        /// Number in the page's ledger.
        id: u32,
        /// The candidate line.
        candidate: Option<String>,
    },
    /// `close()` was called on an RTCPeerConnection. It fires no state event.
    ConnectionClosed {
        /// Number in the page's ledger.
        id: u32,
        /// Who called it, as a stack trace.
        stack: String,
    },
    /// An RTCDataChannel came to be.
    ChannelCreated {
        /// Number in the page's ledger of channels.
        id: u32,
        /// The connection that it belongs to.
        connection: u32,
        /// Its label.
        label: String,
        /// True if the other side made it.
        remote: bool,
    },
    /// An RTCDataChannel changed its `readyState`.
    ChannelState {
        /// Number in the page's ledger of channels.
        id: u32,
        /// `readyState`.
        state: String,
    },
    /// `close()` was called on an RTCDataChannel.
    ChannelClosed {
        /// Number in the page's ledger of channels.
        id: u32,
        /// Who called it, as a stack trace.
        stack: String,
    },
    /// Totals of a channel that carried something since they were last told.
    ChannelTraffic {
        /// Number in the page's ledger of channels.
        id: u32,
        /// Messages sent.
        sent: u64,
        /// Bytes sent.
        sent_bytes: u64,
        /// Of the messages sent, those that are a player's inputs. Older logs do not say.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sent_inputs: Option<u64>,
        /// Messages received.
        received: u64,
        /// Bytes received.
        received_bytes: u64,
        /// Of the messages received, those that are a player's inputs. Older logs do not say.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        received_inputs: Option<u64>,
    },
    /// A Worker was made.
    WorkerCreated {
        /// Number in the page's ledger.
        id: u32,
        /// Where in the page's code.
        stack: String,
    },
    /// `terminate()` was called on a Worker.
    WorkerTerminated {
        /// Number in the page's ledger.
        id: u32,
    },
    /// The page loaded a file of the Python runtime, from wherever it came: the browser's cache as well. Older
    /// logs have none.
    RuntimeLoaded {
        /// Its address, without a query.
        url: String,
    },
    /// `setInterval` was called.
    IntervalCreated {
        /// The page's handle of it.
        id: u32,
        /// Its period in milliseconds.
        period: f64,
        /// Where in the page's code.
        stack: String,
    },
    /// An interval was cleared.
    IntervalCleared {
        /// The page's handle of it.
        id: u32,
    },
    /// A WebSocket of the page changed its state.
    WebsocketState {
        /// Number in the page's ledger.
        id: u32,
        /// Its address.
        url: String,
        /// `connecting`, `open`, `closed`.
        state: String,
    },
    /// Something that could be an overlay came, or became visible or invisible.
    Overlay(Overlay),
    /// An uncaught error.
    Error {
        /// Its message.
        message: String,
        /// Its stack trace, or where it happened.
        stack: String,
    },
    /// A promise was rejected and nobody handled it.
    Rejection {
        /// The reason.
        message: String,
        /// Its stack trace.
        stack: String,
    },
    /// The page became visible or hidden.
    Visibility {
        /// `document.visibilityState`.
        state: String,
    },
    /// The page's window got or lost the focus.
    Focus {
        /// Whether it has it now.
        focused: bool,
    },
    /// Second opinion: how far the client's own game object says that the game is. Told together
    /// with a channel's traffic.
    GameProgress {
        /// Episodes that have ended.
        episodes: u32,
        /// Frame of the current one.
        frame: u32,
    },
    /// A line on the page's console.
    Console {
        /// `log`, `warn`, `error`, …
        level: String,
        /// Its text, cut to a bearable length.
        text: String,
    },
}

/// Something in the DOM that could be an overlay.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Overlay {
    /// Number in the page's ledger of overlays: the same element keeps it.
    pub id: u32,
    /// The element, as `div#partnerDisconnectedContainer`.
    pub element: String,
    /// The element's id, where the client is known to use it for an overlay.
    pub known: Option<String>,
    /// Why it counts as one: `known-id`, `covers-page`, `hides-page`.
    pub reason: String,
    /// Whether it is (or was, for one that vanished at once) in the document.
    pub present: bool,
    /// Whether a user can see it now.
    pub visible: bool,
    /// The share of the viewport that it covers, 0 to 1.
    pub coverage: f64,
    /// Its text, cut to a bearable length.
    pub text: String,
}

/// The whole state of a page at one moment.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Snapshot {
    /// The moment's name in the run, as `survey/settled`.
    pub label: String,
    /// Which page of the player, from 1.
    pub page: u32,
    /// The page's own time of it, on the run's clock.
    pub page_t: f64,
    /// What the probe's ledger held.
    pub state: PageState,
}

/// What a probe's ledger holds.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct PageState {
    /// The page's address.
    pub url: String,
    /// Every RTCPeerConnection ever made in this page.
    pub connections: Vec<ConnectionState>,
    /// Every RTCDataChannel ever made in this page.
    pub channels: Vec<ChannelState>,
    /// Every Worker ever made in this page.
    pub workers: Vec<WorkerState>,
    /// Intervals that are still set.
    pub intervals: Vec<TimerState>,
    /// Timeouts that are still set.
    pub timeouts: Vec<TimerState>,
    /// Callbacks of `requestAnimationFrame` that wait for the next frame; none where nobody sees the page. Older
    /// logs have none.
    #[serde(default)]
    pub frames: Vec<FrameState>,
    /// Every WebSocket ever made in this page (but for the probe's own).
    pub websockets: Vec<WebsocketState>,
    /// Every overlay ever seen in this page, as it is now.
    pub overlays: Vec<Overlay>,
    /// Number of uncaught errors and rejections so far.
    pub errors: u32,
    /// Text of the scene's header, where visible.
    pub header: String,
    /// Of what a player is told whose partner has gone, as the experiment says it, what the page shows wherever it
    /// stands. `None` where the experiment does not say it, and in older logs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub says: Option<Vec<String>>,
    /// Number of listeners by event on the client's socket, as the client's library tells it.
    pub listeners: std::collections::BTreeMap<String, u32>,
    /// Number of listeners on the document and on the window, as `document visibilitychange`, but
    /// for those that hear one event only. Older logs have none.
    #[serde(default)]
    pub document_listeners: std::collections::BTreeMap<String, u32>,
    /// Second opinion: what the client's own game object says, or null.
    pub game: Value,
}

/// One RTCPeerConnection of the ledger.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ConnectionState {
    /// Number in the page's ledger.
    pub id: u32,
    /// When it was made, on the run's clock.
    pub created: f64,
    /// `connectionState`.
    pub connection: String,
    /// `iceConnectionState`.
    pub ice: String,
    /// `signalingState`.
    pub signaling: String,
    /// Whether it was ever `connected`.
    pub was_connected: bool,
    /// When `close()` was called, on the run's clock.
    pub closed: Option<f64>,
    /// Number of local ICE candidates that it found.
    pub candidates: u32,
    /// Where it was made, as a stack trace.
    pub stack: String,
}

/// One RTCDataChannel of the ledger.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ChannelState {
    /// Number in the page's ledger.
    pub id: u32,
    /// The connection that it belongs to.
    pub connection: u32,
    /// Its label.
    pub label: String,
    /// `readyState`.
    pub state: String,
    /// Messages sent.
    pub sent: u64,
    /// Bytes sent.
    pub sent_bytes: u64,
    /// Of the messages sent, those that are a player's inputs. Older logs do not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent_inputs: Option<u64>,
    /// Messages received.
    pub received: u64,
    /// Bytes received.
    pub received_bytes: u64,
    /// Of the messages received, those that are a player's inputs. Older logs do not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub received_inputs: Option<u64>,
}

/// One Worker of the ledger.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct WorkerState {
    /// Number in the page's ledger.
    pub id: u32,
    /// When it was made, on the run's clock.
    pub created: f64,
    /// When it was terminated, on the run's clock.
    pub terminated: Option<f64>,
    /// Where it was made, as a stack trace.
    pub stack: String,
}

/// One interval or timeout that is still set.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TimerState {
    /// The page's handle of it.
    pub id: u32,
    /// When it was set, on the run's clock.
    pub created: f64,
    /// Since when its place of the page's code sets one anew, each time in a turn that follows from the one before,
    /// on the run's clock; `created` where there is no such chain. Older logs do not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<f64>,
    /// Its period or delay in milliseconds.
    pub period: f64,
    /// Where it was set, as a stack trace.
    pub stack: String,
}

/// One callback that waits for the next frame.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FrameState {
    /// The page's handle of it.
    pub id: u32,
    /// When it was asked for, on the run's clock.
    pub created: f64,
    /// Since when its place of the page's code asks anew from frame to frame, on the run's clock; `created` where
    /// it does not.
    pub since: f64,
    /// Where it was asked for, as a stack trace.
    pub stack: String,
}

/// One WebSocket of the ledger.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct WebsocketState {
    /// Number in the page's ledger.
    pub id: u32,
    /// Its address.
    pub url: String,
    /// `connecting`, `open`, `closing`, `closed`.
    pub state: String,
    /// Messages that the page has received on it.
    pub received: u64,
    /// Messages that the page has sent on it. Older logs have none.
    #[serde(default)]
    pub sent: u64,
}

/// The controls of a scene, each tested at its centre.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct HitTest {
    /// The moment's name in the run.
    pub label: String,
    /// Every control of the scene, visible or not.
    pub controls: Vec<Control>,
}

/// One control that was hit-tested.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Control {
    /// The control, as `input#scale_0`.
    pub element: String,
    /// Whether it has a box on the page.
    pub rendered: bool,
    /// Whether it is what a click at its centre would reach.
    pub on_top: bool,
    /// What is on top of it, where it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub covered_by: Option<String>,
}

/// What the kernel says about a player's browser.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct KernelFact {
    /// The moment's name in the run.
    pub label: String,
    /// The processes of the browser's tree.
    pub processes: Vec<KernelProcess>,
    /// Their UDP sockets.
    pub udp: Vec<UdpSocket>,
}

/// A process of a browser's tree.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct KernelProcess {
    /// Process id.
    pub pid: i32,
    /// Its name in the process table.
    pub name: String,
}

/// A UDP socket of a browser's tree.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct UdpSocket {
    /// The process that holds it.
    pub pid: i32,
    /// Its inode in the socket table.
    pub inode: u64,
    /// Its local address.
    pub local: String,
    /// True for multicast DNS (port 5353), which is no peer connection.
    pub multicast_dns: bool,
}

/// A process of the stage began or ended.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ProcessFact {
    /// Its role: `server`, `driver`, `browser`.
    pub role: String,
    /// Process id.
    pub pid: i32,
    /// What happened to it.
    pub phase: ProcessPhase,
    /// Exit status or signal, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// What happened to a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProcessPhase {
    /// It runs.
    Started,
    /// The harness sent SIGKILL to it and all of its tree, as the spec asks.
    Killed,
    /// It is gone: the process table has it no more.
    Gone,
}

impl ProcessPhase {
    /// Whether the process has ended by it.
    #[must_use]
    pub fn is_end(self) -> bool {
        match self {
            ProcessPhase::Started => false,
            ProcessPhase::Killed | ProcessPhase::Gone => true,
        }
    }
}

/// The target finished handling a Socket.IO event.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ServerHandled {
    /// The event's name; `disconnect` for the end of a connection.
    pub event: String,
    /// The server's id of the Socket.IO session.
    pub sid: String,
    /// The error that its handler raised, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Of a `disconnect`: why, in the words of the target's Socket.IO library, as `ping timeout`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The games that the target holds, after it has finished handling an event: told whenever somebody
/// may have left one, and whenever it is another answer than before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerHolds {
    /// By where they are held: the table of the `coordinator`, those of the game `manager`s of all
    /// scenes, and Socket.IO's `rooms`. For each game by its id, how many participants are listed.
    /// What is in no table any more, and merely not freed yet, is not held. A room may be another
    /// thing than a game's.
    pub games: BTreeMap<String, BTreeMap<String, u32>>,
}

/// A barrier was reached.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BarrierFact {
    /// The moment's name in the run.
    pub label: String,
    /// What it rests on, in words.
    pub rests_on: Vec<String>,
    /// The moment in whose watch that of this moment goes on, if it has none of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watched_with: Option<String>,
}

/// A screenshot was taken.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ScreenshotFact {
    /// The moment's name in the run.
    pub label: String,
    /// File name in the run's folder.
    pub file: String,
}

/// Two screenshots of one player were compared.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PixelsFact {
    /// Label of the earlier one.
    pub before: String,
    /// Label of the later one.
    pub after: String,
    /// Pixels that were compared (those outside the masks).
    pub compared: u64,
    /// Pixels that differ.
    pub differing: u64,
    /// What was masked, in words.
    pub masked: Vec<String>,
    /// Where any differ: a picture that shows which, by its file name in the run's folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
}

/// A data file that the target stored. One that is another at the end of the run is there once more; if it is
/// gone by then, without columns and rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DataFile {
    /// What it is: `episode` or `answers`.
    pub what: String,
    /// Its path below the target's data folder.
    pub path: String,
    /// Column names, for a table.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<String>,
    /// Rows as they stand in the file, for a table.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rows: Vec<Vec<String>>,
    /// The document, for JSON.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub json: Value,
}

/// A player did something at its browser.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ActionFact {
    /// What, as `press ArrowLeft`, `type into #user-input`.
    pub action: String,
    /// With what, as the text that was typed.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub value: Value,
}

/// The processes of a browser that was stopped.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FrozenFact {
    /// Each process of the browser's tree.
    pub processes: Vec<FrozenProcess>,
}

impl FrozenFact {
    /// Whether all of it is stopped.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        !self.processes.is_empty() && self.processes.iter().all(|one| one.state == STOPPED)
    }
}

/// The state of a process that was stopped by a signal, as the process table has it.
pub const STOPPED: char = 'T';

/// A process and its state.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FrozenProcess {
    /// Process id.
    pub pid: i32,
    /// Its name in the process table.
    pub name: String,
    /// Its state there: `T` where a signal has stopped it.
    pub state: char,
}

/// A WebSocket on which nothing passes any more.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StalledFact {
    /// The connection's number.
    pub connection: u64,
}

/// What was kept of a stalled WebSocket.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct KeptFact {
    /// The connection's number.
    pub connection: u64,
    /// What came from the page.
    pub from_page: KeptMessages,
    /// What came from the target.
    pub from_target: KeptMessages,
}

/// Messages that were not passed on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptMessages {
    /// How many.
    pub messages: u64,
    /// How many bytes they have.
    pub bytes: u64,
}

/// What became of an address of this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddressFact {
    /// The link that has it.
    pub link: String,
    /// Which.
    pub address: String,
    /// What became of it.
    pub change: AddressChange,
}

/// How an address changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AddressChange {
    /// It was not there before.
    Came,
    /// It is there no more.
    Went,
    /// Its state or its prefix is another one, as of an IPv6 address that nobody else has answered to.
    Changed,
}

impl std::fmt::Display for AddressFact {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let change = match self.change {
            AddressChange::Came => "came",
            AddressChange::Went => "went",
            AddressChange::Changed => "changed",
        };
        write!(out, "{} {change} at {}", self.address, self.link)
    }
}

/// A player's link to all others, as the kernel has it at both of its ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkFact {
    /// The end at the player's host.
    pub own: LinkEnd,
    /// The other end, at the bridge where all links meet.
    pub far: LinkEnd,
}

impl LinkFact {
    /// Whether it carries something, seen from either end.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.own.carrier && self.far.carrier
    }

    /// Whether it carries nothing, seen from either end.
    #[must_use]
    pub fn is_down(&self) -> bool {
        !self.own.carrier && !self.far.carrier
    }

    /// How many packets came in and went out so far, at either end.
    #[must_use]
    pub fn counters(&self) -> [u64; 4] {
        let LinkFact { own, far } = self;
        [own.received, own.sent, far.received, far.sent]
    }
}

impl fmt::Display for LinkFact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} at the player's end and {} at the other, {} packets in and {} out",
            self.own.state, self.far.state, self.own.received, self.own.sent
        )
    }
}

/// One end of a link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkEnd {
    /// Its name in its own namespace.
    pub name: String,
    /// Whether it was set up (`IFF_UP`).
    pub up: bool,
    /// Whether there is anything at its other end (`IFF_LOWER_UP`).
    pub carrier: bool,
    /// Its operational state, as RFC 2863 has it.
    pub state: String,
    /// Packets that came in.
    pub received: u64,
    /// Packets that went out.
    pub sent: u64,
}

/// A player begins to leave.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LeavingFact {
    /// How.
    pub how: WayToLeave,
    /// How it was to leave, where that cannot be done to its browser: this is what came nearest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instead_of: Option<WayToLeave>,
    /// When, if the spec names a moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<InstantFact>,
}

/// A session of a grid.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SessionFact {
    /// Where it was asked for.
    pub endpoint: String,
    /// The address of the node where its browser runs.
    pub node: String,
    /// Its id.
    pub id: String,
    /// The browser's name.
    pub browser: String,
    /// The browser's version.
    pub version: String,
    /// The platform of the node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
}

/// The end of a session of a grid.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SessionEndedFact {
    /// Its id.
    pub id: String,
    /// What the grid says when it is asked for it.
    pub said: String,
}

/// A player has left.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DepartedFact {
    /// How.
    pub how: WayToLeave,
    /// What was seen of it at the player's own browser, in words.
    pub proof: String,
    /// When the player's socket ended at the gateway, if the spec names a moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<InstantFact>,
}

/// When something happened, counted from an event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InstantFact {
    /// The event's name in specs, as `last-episode-ended`.
    pub after: GameEvent,
    /// The player whose event it is.
    pub of: String,
    /// The event in the evidence, by its `seq`.
    pub event: u64,
    /// How many milliseconds after it the spec asks for.
    pub wanted_ms: f64,
    /// How many it was.
    pub actual_ms: f64,
}

/// Why a run could not be carried out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct BrokenFact {
    /// What failed: `server`, `driver`, `browser`, `gateway`, `environment`, `harness`; `target` or `page`
    /// for one that sent more than the gateway takes.
    pub component: String,
    /// What happened, in one sentence.
    pub reason: String,
    /// The last lines that the component wrote.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub last_lines: Vec<String>,
    /// Whether carrying the run out again could help.
    pub worth_a_retry: bool,
}

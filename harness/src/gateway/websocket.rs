//! A WebSocket between a browser and the target, with the gateway in the middle.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinError, JoinHandle};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error as WsError, Message};
use tokio_util::sync::CancellationToken;

use crate::evidence::{
    Direction, End, Fact, KeptFact, KeptMessages, Origin, Packet, REGISTER, Recorder, RuleEffect,
    RuleFact, StalledFact, WireClosed,
};

use super::lane::{Identity, Injection, Lane, Outgoing};
use super::limits::{self, Sender};
use super::round_trips::RoundTrips;
use super::rules::{Passage, Rules};

/// How long an end that is left may take to read what was passed on to it, and to close.
const LEAVE_TAKING: Duration = Duration::from_secs(2);

/// What the gateway can do to an open connection.
pub(super) enum Command {
    /// Send an event in somebody's name.
    Inject(Direction, Injection),
    /// Send the target a ping of the harness's own, and tell when it is answered.
    Ping(oneshot::Sender<()>),
    /// End it, for both of its ends without a farewell, as the rule of this name says.
    Cut(String),
    /// Keep both of its ends open, and pass nothing any more.
    Stall,
}

/// An open connection, as others see it.
pub(super) struct Connection {
    pub(super) number: u64,
    /// WebSocket messages passed on to the browser.
    pub(super) delivered: AtomicU64,
    /// WebSocket messages that have come from the browser.
    pub(super) arrived: AtomicU64,
    /// Whether the target has let the page into the Socket.IO namespace `/`.
    pub(super) joined: AtomicBool,
    /// Whether the page has registered its participant on it.
    pub(super) registered: AtomicBool,
    pub(super) commands: mpsc::UnboundedSender<Command>,
}

/// A connection that is about to run.
#[derive(Clone)]
pub(super) struct Wire {
    pub(super) player: String,
    pub(super) connection: Arc<Connection>,
    pub(super) rules: Arc<Rules>,
    pub(super) recorder: Recorder,
}

/// The two ends of a connection.
pub(super) struct Ends<B, T> {
    pub(super) browser: WebSocketStream<B>,
    pub(super) target: WebSocketStream<T>,
}

/// One end: what it sends, and the task that writes to it.
struct Side<S> {
    stream: SplitStream<WebSocketStream<S>>,
    writer: JoinHandle<Written<S>>,
}

type Sink<S> = SplitSink<WebSocketStream<S>, Message>;
type Written<S> = Result<Sink<S>, WsError>;

/// How a connection came to its end.
struct Ended {
    by: End,
    farewell: Farewell,
    detail: String,
    /// What the end had sent that is not taken, if it ended for that.
    too_much: Option<String>,
}

/// Why a connection passes nothing any more.
enum Close {
    Ended(Ended),
    Stalled,
}

enum Farewell {
    /// A closing handshake, with what it said.
    Handshake(Option<CloseFrame>),
    /// None: the end is just gone.
    None,
}

impl Wire {
    /// Runs the connection to its end, and calls `on_end` as soon as one of its ends is gone.
    pub(super) async fn run<B, T>(
        self,
        ends: Ends<B, T>,
        mut commands: mpsc::UnboundedReceiver<Command>,
        stop: CancellationToken,
        on_end: impl FnOnce(),
    ) where
        B: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let trips = Arc::<RoundTrips>::default();
        let (mut browser, mut to_client) = self.side(ends.browser, Direction::ToClient, &trips);
        let (mut target, mut to_server) = self.side(ends.target, Direction::ToServer, &trips);
        // They end with the lanes, and tell whoever waits for an answer.
        drop(trips);
        let mut releases = self.rules.releases();
        let close = loop {
            if let Some(rule) = to_client.cut().or(to_server.cut()) {
                break Close::Ended(Ended::cut(rule));
            }
            if let Some((sender, what)) = to_client.excess().or(to_server.excess()) {
                self.record_too_much(sender, what);
                break Close::Ended(Ended::without_farewell(
                    End::Gateway,
                    "more was sent than is taken".into(),
                ));
            }
            let due = to_client.due().into_iter().chain(to_server.due()).min();
            tokio::select! {
                message = browser.stream.next() => match arrived(End::Browser, message) {
                    Ok(message) => {
                        self.connection.note_arrival(&message);
                        to_server.receive(message);
                    }
                    Err(ended) => break Close::Ended(self.given_up(ended)),
                },
                message = target.stream.next() => match arrived(End::Target, message) {
                    Ok(message) => to_client.receive(message),
                    Err(ended) => break Close::Ended(self.given_up(ended)),
                },
                result = &mut browser.writer => break Close::Ended(not_written(End::Browser, result)),
                result = &mut target.writer => break Close::Ended(not_written(End::Target, result)),
                Ok(()) = releases.changed() => {
                    to_client.reconsider();
                    to_server.reconsider();
                }
                () = moment(due) => {
                    to_client.reconsider();
                    to_server.reconsider();
                }
                Some(command) = commands.recv() => match command {
                    Command::Inject(Direction::ToClient, event) => to_client.inject(event),
                    Command::Inject(Direction::ToServer, event) => to_server.inject(event),
                    Command::Ping(answered) => to_server.ping(answered),
                    Command::Cut(rule) => {
                        self.record_cut(&rule);
                        break Close::Ended(Ended::cut(&rule));
                    }
                    Command::Stall => break Close::Stalled,
                },
                () = stop.cancelled() => {
                    break Close::Ended(Ended::shut_down());
                }
            }
        };
        let ended = match close {
            Close::Ended(ended) => ended,
            Close::Stalled => {
                to_client.end();
                to_server.end();
                self.keep((browser, target), commands, stop, on_end).await;
                return;
            }
        };
        on_end();
        to_client.end();
        to_server.end();
        let closed = || self.record_closed(&ended);
        match (ended.by, &ended.farewell) {
            (End::Browser, farewell) => part(browser, target, farewell, closed).await,
            (End::Target, farewell) => part(target, browser, farewell, closed).await,
            (End::Gateway, Farewell::Handshake(frame)) => {
                drop(browser.closed(frame.clone()).await);
                drop(target.closed(frame.clone()).await);
                closed();
            }
            (End::Gateway, Farewell::None) => {
                let ends = tokio::join!(browser.severed(), target.severed());
                closed();
                tokio::join!(linger(ends.0), linger(ends.1));
            }
        }
    }

    /// Keeps both ends of a stalled connection open and reads what they say, until the target gives it up;
    /// then the browser's end alone, until the gateway is shut down.
    async fn keep<B, T>(
        &self,
        (browser, target): (Side<B>, Side<T>),
        mut commands: mpsc::UnboundedReceiver<Command>,
        stop: CancellationToken,
        on_end: impl FnOnce(),
    ) where
        B: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        // What was passed on before is written before the stall begins.
        let (browser, target) = tokio::join!(browser.drained(), target.drained());
        let connection = self.connection.number;
        let stalled = Fact::Stalled(StalledFact { connection });
        self.recorder.record_for(&self.player, stalled);
        let mut kept = KeptFact {
            connection,
            from_page: KeptMessages::default(),
            from_target: KeptMessages::default(),
        };
        let mut page = Page {
            socket: browser,
            speaks: true,
        };
        let (ended, target) = match target {
            None => (
                Ended::without_farewell(End::Target, "it takes no more".to_owned()),
                None,
            ),
            Some(mut target) => {
                let ended = loop {
                    tokio::select! {
                        message = target.next() => match arrived(End::Target, message) {
                            Ok(message) => kept.from_target.add(&message),
                            Err(ended) => break self.given_up(ended),
                        },
                        message = page.next() => {
                            self.connection.note_arrival(&message);
                            kept.from_page.add(&message);
                        }
                        // Whoever gave it learns that it was not carried out.
                        Some(command) = commands.recv() => drop(command),
                        () = stop.cancelled() => break Ended::shut_down(),
                    }
                };
                (ended, Some(target))
            }
        };
        on_end();
        self.recorder.record_for(&self.player, Fact::Kept(kept));
        self.record_closed(&ended);
        linger(target).await;
        let read_on = async {
            loop {
                page.next().await;
            }
        };
        stop.run_until_cancelled(read_on).await;
    }

    /// Takes an end apart, and makes the lane that leads to it.
    fn side<S>(
        &self,
        socket: WebSocketStream<S>,
        direction: Direction,
        trips: &Arc<RoundTrips>,
    ) -> (Side<S>, Lane)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (sink, stream) = socket.split();
        let (sender, queue) = mpsc::unbounded_channel();
        let writing = self.clone().write(sink, queue, direction);
        let recorder = self.recorder.clone();
        let writer = tokio::spawn(async move {
            let written = recorder.guard(writing).await;
            written.unwrap_or(Err(WsError::ConnectionClosed))
        });
        let identity = Identity {
            player: self.player.clone(),
            connection: self.connection.number,
            trips: Arc::clone(trips),
        };
        let (rules, recorder) = (Arc::clone(&self.rules), self.recorder.clone());
        let lane = Lane::new(identity, direction, rules, recorder, sender);
        (Side { stream, writer }, lane)
    }

    /// Writes what the lane passes on, until the lane has ended or the end takes no more.
    async fn write<S>(
        self,
        mut sink: Sink<S>,
        mut queue: mpsc::UnboundedReceiver<Outgoing>,
        direction: Direction,
    ) -> Written<S>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        while let Some(outgoing) = queue.recv().await {
            if direction == Direction::ToClient {
                let messages = outgoing.messages.len() as u64;
                self.connection
                    .delivered
                    .fetch_add(messages, Ordering::SeqCst);
            }
            let passed = self.record_written(outgoing.facts);
            for message in outgoing.messages {
                sink.feed(message).await?;
            }
            sink.flush().await?;
            for at in passed {
                self.rules.passed(&at);
            }
            if let Some(written) = outgoing.written {
                // Whoever injected it may have given up waiting.
                let _ = written.send(());
            }
        }
        Ok(sink)
    }

    /// Records what is written now. Gives the events among it.
    fn record_written(&self, facts: Vec<Fact>) -> Vec<Passage> {
        let mut events = Vec::new();
        for fact in facts {
            self.connection.note(&fact);
            if let Fact::Wire(wire) = &fact
                && wire.origin != Origin::Harness
                && let Some((name, _)) = wire.packet.game_event()
            {
                events.push(Passage {
                    player: self.player.clone(),
                    direction: wire.direction,
                    event: name.to_owned(),
                });
            }
            self.recorder.record_for(&self.player, fact);
        }
        events
    }

    /// Says that the run is broken, if the connection ended since one of its ends sent what is not taken.
    fn given_up(&self, ended: Ended) -> Ended {
        if let (Some(what), Ok(sender)) = (&ended.too_much, Sender::try_from(ended.by)) {
            self.record_too_much(sender, what);
        }
        ended
    }

    fn record_too_much(&self, sender: Sender, what: &str) {
        let fact = sender.broken(&self.player, what);
        self.recorder.record_for(&self.player, fact);
    }

    fn record_cut(&self, rule: &str) {
        let fact = RuleFact {
            rule: rule.to_owned(),
            effect: RuleEffect::Cut,
            event: None,
            detail: None,
        };
        self.recorder.record_for(&self.player, Fact::Rule(fact));
    }

    fn record_closed(&self, ended: &Ended) {
        let closed = WireClosed {
            connection: self.connection.number,
            by: ended.by,
            detail: ended.detail.clone(),
        };
        self.recorder
            .record_for(&self.player, Fact::WireClosed(closed));
    }
}

impl Connection {
    /// Counts what the page has sent, as its probe counts it.
    fn note_arrival(&self, message: &Message) {
        if matches!(message, Message::Text(_) | Message::Binary(_)) {
            self.arrived.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Keeps in mind whether the page is in the namespace `/`, and whether it has registered there.
    fn note(&self, fact: &Fact) {
        let Fact::Wire(wire) = fact else { return };
        match &wire.packet {
            Packet::Connect { namespace, .. }
                if namespace == "/" && wire.direction == Direction::ToClient =>
            {
                self.joined.store(true, Ordering::SeqCst);
            }
            Packet::Disconnect { namespace } if namespace == "/" => {
                self.joined.store(false, Ordering::SeqCst);
            }
            packet => {
                if packet
                    .game_event()
                    .is_some_and(|(name, _)| name == REGISTER)
                {
                    self.registered.store(true, Ordering::SeqCst);
                }
            }
        }
    }
}

impl Ended {
    fn without_farewell(by: End, detail: String) -> Ended {
        Ended {
            by,
            farewell: Farewell::None,
            detail,
            too_much: None,
        }
    }

    fn cut(rule: &str) -> Ended {
        Ended::without_farewell(End::Gateway, format!("cut by the rule `{rule}`"))
    }

    fn shut_down() -> Ended {
        let reason = "the gateway is shut down";
        Ended {
            by: End::Gateway,
            farewell: Farewell::Handshake(Some(CloseFrame {
                code: CloseCode::Away,
                reason: reason.into(),
            })),
            detail: reason.into(),
            too_much: None,
        }
    }
}

impl KeptMessages {
    fn add(&mut self, message: &Message) {
        self.messages += 1;
        self.bytes += message.len() as u64;
    }
}

/// The page's end of a stalled connection. Nothing is ever said to it.
struct Page<S> {
    /// It is held even when the page has ended it.
    socket: Option<WebSocketStream<S>>,
    speaks: bool,
}

impl<S> Page<S>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    /// Its next message. It waits for ever once the page has ended it: the target is not told.
    async fn next(&mut self) -> Message {
        if let (true, Some(socket)) = (self.speaks, &mut self.socket)
            && let Ok(message) = arrived(End::Browser, socket.next().await)
        {
            return message;
        }
        self.speaks = false;
        pending().await
    }
}

/// Waits for a moment; for ever, if there is none.
async fn moment(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => pending().await,
    }
}

/// Tells a message from the end of those who send them.
fn arrived(by: End, message: Option<Result<Message, WsError>>) -> Result<Message, Ended> {
    match message {
        Some(Ok(Message::Close(frame))) => Err(Ended {
            by,
            detail: match &frame {
                Some(frame) => format!("close code {} {}", frame.code, frame.reason)
                    .trim_end()
                    .to_owned(),
                None => "closed without a code".into(),
            },
            farewell: Farewell::Handshake(frame),
            too_much: None,
        }),
        Some(Ok(message)) => Ok(message),
        Some(Err(error)) => Err(Ended {
            too_much: limits::sent_too_much(&error),
            ..Ended::without_farewell(by, error.to_string())
        }),
        None => Err(Ended::without_farewell(by, "the connection ended".into())),
    }
}

fn not_written<S>(by: End, result: Result<Written<S>, JoinError>) -> Ended {
    let detail = match result {
        Ok(Err(error)) => error.to_string(),
        Err(error) => error.to_string(),
        // Its lane still lives, and so it has more to write.
        Ok(Ok(_)) => "its writer stopped".into(),
    };
    Ended::without_farewell(by, detail)
}

/// Ends a connection one end of which is gone: the other one gets what was passed on already, and
/// then learns it in the way in which it happened.
async fn part<G, L>(gone: Side<G>, left: Side<L>, farewell: &Farewell, closed: impl FnOnce())
where
    G: AsyncRead + AsyncWrite + Unpin,
    L: AsyncRead + AsyncWrite + Unpin,
{
    match farewell {
        Farewell::None => {
            gone.writer.abort();
            drop(left.drained().await);
            closed();
        }
        Farewell::Handshake(frame) => {
            let left = left.closed(frame.clone()).await;
            // It said the first word of the handshake: this is the last one.
            drop(gone.closed(None).await);
            closed();
            linger(left).await;
        }
    }
}

/// Reads an end out, up to the other word of a closing handshake where there is one: who drops the
/// connection before it was read may take what was written from the other end.
async fn linger<S>(socket: Option<WebSocketStream<S>>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let Some(mut socket) = socket else { return };
    let rest = async { while let Some(Ok(_)) = socket.next().await {} };
    // An end that stays silent is dropped all the same.
    let _ = timeout(LEAVE_TAKING, rest).await;
}

impl<S> Side<S>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    /// The whole WebSocket, once all that was passed on is written. `None` if that cannot be done.
    async fn drained(mut self) -> Option<WebSocketStream<S>> {
        match timeout(LEAVE_TAKING, &mut self.writer).await {
            Ok(Ok(Ok(sink))) => sink.reunite(self.stream).ok(),
            Ok(Ok(Err(_)) | Err(_)) => None,
            Err(_) => {
                self.writer.abort();
                None
            }
        }
    }

    /// Ends this side's connection below the WebSocket, after all that was passed on: its end learns
    /// no more than when a network breaks.
    async fn severed(self) -> Option<WebSocketStream<S>> {
        let mut socket = self.drained().await?;
        // Its end may be gone by now, and then there is nothing to end.
        let ended = timeout(LEAVE_TAKING, socket.get_mut().shutdown()).await;
        ended.is_ok_and(|ended| ended.is_ok()).then_some(socket)
    }

    /// Says this side's word of a closing handshake after all else.
    async fn closed(self, frame: Option<CloseFrame>) -> Option<WebSocketStream<S>> {
        let mut socket = self.drained().await?;
        // Its end may be gone by now, and then there is nobody to say it to.
        let said = timeout(LEAVE_TAKING, socket.close(frame)).await;
        said.is_ok_and(|said| said.is_ok()).then_some(socket)
    }
}

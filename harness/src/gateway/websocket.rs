//! A WebSocket between a browser and the target, with the gateway in the middle.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinHandle};
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error as WsError, Message};
use tokio_util::sync::CancellationToken;

use crate::evidence::{Direction, End, Fact, Packet, REGISTER, Recorder, WireClosed};

use super::lane::{Identity, Injection, Lane, Outgoing};
use super::rules::Rules;

/// How long an end that is left may take to read what was passed on to it, and to close.
const LEAVE_TAKING: Duration = Duration::from_secs(2);

/// The largest message, in bytes. Far above what the target sends: a limit must not be what a run
/// fails of.
const LARGEST_MESSAGE: usize = 1 << 30;

/// Settings of every WebSocket of the gateway.
pub(super) fn config() -> WebSocketConfig {
    WebSocketConfig::default()
        .max_message_size(Some(LARGEST_MESSAGE))
        .max_frame_size(Some(LARGEST_MESSAGE))
}

/// What the gateway can do to an open connection.
pub(super) enum Command {
    /// Let go what the rule of this name holds.
    Release(String),
    /// Send an event in somebody's name.
    Inject(Direction, Injection),
}

/// An open connection, as others see it.
pub(super) struct Connection {
    pub(super) number: u64,
    /// WebSocket messages passed on to the browser.
    pub(super) delivered: AtomicU64,
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
        let (mut browser, mut to_client) = self.side(ends.browser, Direction::ToClient);
        let (mut target, mut to_server) = self.side(ends.target, Direction::ToServer);
        let ended = loop {
            tokio::select! {
                message = browser.stream.next() => match arrived(End::Browser, message) {
                    Ok(message) => to_server.receive(message),
                    Err(ended) => break ended,
                },
                message = target.stream.next() => match arrived(End::Target, message) {
                    Ok(message) => to_client.receive(message),
                    Err(ended) => break ended,
                },
                result = &mut browser.writer => break not_written(End::Browser, result),
                result = &mut target.writer => break not_written(End::Target, result),
                Some(command) = commands.recv() => match command {
                    Command::Release(rule) => {
                        to_client.release(&rule);
                        to_server.release(&rule);
                    }
                    Command::Inject(Direction::ToClient, event) => to_client.inject(event),
                    Command::Inject(Direction::ToServer, event) => to_server.inject(event),
                },
                () = stop.cancelled() => {
                    break Ended::without_farewell(End::Gateway, "the gateway is shut down".into());
                }
            }
        };
        on_end();
        to_client.end();
        to_server.end();
        let closed = || self.record_closed(&ended);
        match ended.by {
            End::Browser => part(browser, target, &ended.farewell, closed).await,
            End::Target => part(target, browser, &ended.farewell, closed).await,
            End::Gateway => {
                drop(browser.closed(Some(going_away())).await);
                drop(target.closed(Some(going_away())).await);
                closed();
            }
        }
    }

    /// Takes an end apart, and makes the lane that leads to it.
    fn side<S>(&self, socket: WebSocketStream<S>, direction: Direction) -> (Side<S>, Lane)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (sink, stream) = socket.split();
        let (sender, queue) = mpsc::unbounded_channel();
        let writer = tokio::spawn(self.clone().write(sink, queue, direction));
        let identity = Identity {
            player: self.player.clone(),
            connection: self.connection.number,
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
                self.connection.delivered.fetch_add(1, Ordering::SeqCst);
            }
            for fact in outgoing.facts {
                self.connection.note(&fact);
                self.recorder.record_for(&self.player, fact);
            }
            sink.send(outgoing.message).await?;
            if let Some(written) = outgoing.written {
                // Whoever injected it may have given up waiting.
                let _ = written.send(());
            }
        }
        Ok(sink)
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
            Packet::Event { name, .. } if name == REGISTER => {
                self.registered.store(true, Ordering::SeqCst);
            }
            _ => {}
        }
    }
}

impl Ended {
    fn without_farewell(by: End, detail: String) -> Ended {
        Ended {
            by,
            farewell: Farewell::None,
            detail,
        }
    }
}

fn going_away() -> CloseFrame {
    CloseFrame {
        code: CloseCode::Away,
        reason: "the gateway is shut down".into(),
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
        }),
        Some(Ok(message)) => Ok(message),
        Some(Err(error)) => Err(Ended::without_farewell(by, error.to_string())),
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
            if let Some(left) = left {
                linger(left).await;
            }
        }
    }
}

/// Waits for the other word of a closing handshake: who drops the connection before it was read may
/// take it from the other end.
async fn linger<S>(mut socket: WebSocketStream<S>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
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

    /// Says this side's word of a closing handshake after all else.
    async fn closed(self, frame: Option<CloseFrame>) -> Option<WebSocketStream<S>> {
        let mut socket = self.drained().await?;
        // Its end may be gone by now, and then there is nobody to say it to.
        let said = timeout(LEAVE_TAKING, socket.close(frame)).await;
        said.is_ok_and(|said| said.is_ok()).then_some(socket)
    }
}

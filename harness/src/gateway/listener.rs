//! One player's way in: a listener of its own, so that every byte is known to be the player's.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use hyper::body::Incoming;
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use nix::errno::Errno;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Error as WsError;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::causes::with_causes;
use crate::evidence::{BrokenFact, Fact, HttpFact, PublicFileFact, Recorder, WireOpened};
use crate::provision::CdnError;

use super::answer::{self, Answer};
use super::connections::Connections;
use super::handshake::{self, Handshake};
use super::html::ProbeElement;
use super::limits::{self, Excess, Requests, Sender};
use super::mirror::{self, Mirror};
use super::probe_link::{self, ProbeLink};
use super::proxy::{Proxy, ProxyError};
use super::rules::Rules;
use super::strangers::{Comes, Strangers};
use super::websocket::{Connection, Ends, Wire};

/// What all listeners of a gateway share.
pub(super) struct Shared {
    pub(super) upstream: SocketAddr,
    pub(super) proxy: Proxy,
    pub(super) mirror: Mirror,
    pub(super) rules: Arc<Rules>,
    pub(super) recorder: Recorder,
    /// WebSockets to the target so far, in the whole run.
    pub(super) websockets: AtomicU64,
    pub(super) tasks: TaskTracker,
    pub(super) stop: CancellationToken,
}

impl Shared {
    /// Carries out a part of the gateway's work beside all others. A panic in it breaks the run.
    pub(super) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let recorder = self.recorder.clone();
        self.tasks.spawn(async move { recorder.guard(work).await });
    }
}

/// One player's listener.
pub(super) struct Listener {
    pub(super) player: String,
    pub(super) origin: String,
    /// What a request's `Host` must be.
    pub(super) authority: String,
    /// Who is not let in.
    pub(super) strangers: Strangers,
    /// Without it nobody but the player's own pages gets on the probe's line.
    pub(super) token: String,
    /// The probe as an element of a page.
    pub(super) probe_element: ProbeElement,
    pub(super) probe: ProbeLink,
    pub(super) connections: Connections,
    pub(super) requests: Requests,
    /// Whether the page has spoken Socket.IO by long-polling.
    pub(super) has_polled: AtomicBool,
    pub(super) shared: Arc<Shared>,
}

/// An answer, and what the evidence says of it.
struct Told {
    answer: Answer,
    /// Who answered.
    by: &'static str,
    edits: Vec<String>,
}

const TARGET: &str = "target";
const MIRROR: &str = "mirror";
const GATEWAY: &str = "gateway";

impl Listener {
    /// Takes connections until the gateway is shut down.
    pub(super) async fn listen(self: Arc<Self>, listener: TcpListener) {
        let stop = self.shared.stop.clone();
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = stop.cancelled() => return,
            };
            match accepted {
                Ok((stream, from)) => {
                    match self.strangers.comes(from.ip()) {
                        Comes::In => {}
                        Comes::Anew => {
                            let address = from.ip().to_canonical().to_string();
                            self.record(Fact::Stranger { address });
                            continue;
                        }
                        Comes::Again => continue,
                    }
                    let serving = Arc::clone(&self).serve(stream);
                    let stop = stop.clone();
                    self.shared.spawn(async move {
                        stop.run_until_cancelled_owned(serving).await;
                    });
                }
                // The browser changed its mind before its connection was taken.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) => {
                    self.record_broken(format!("it takes no more connections: {error}"));
                    return;
                }
            }
        }
    }

    async fn serve(self: Arc<Self>, stream: TcpStream) {
        // Only a matter of speed.
        let _ = stream.set_nodelay(true);
        let service = service_fn(|request| {
            let listener = Arc::clone(&self);
            async move { Ok::<_, Infallible>(listener.answer(request).await) }
        });
        // A browser that goes away in the midst of an exchange is no fault of the run.
        let served = hyper::server::conn::http1::Builder::new()
            .max_buf_size(limits::LARGEST_HEADERS)
            .max_headers(limits::MOST_HEADERS)
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades()
            .await;
        if served.is_err_and(|error| error.is_parse_too_large()) {
            self.record(Sender::Page.broken(&self.player, &limits::too_many_headers()));
        }
    }

    async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Answer {
        let method = request.method().to_string();
        let path = request
            .uri()
            .path_and_query()
            .map_or("/", |path| path.as_str())
            .to_owned();
        if self.connections.is_stalled() && request.uri().path() != probe_link::PATH {
            // Its connection ends with the browser's patience, or with the gateway.
            std::future::pending::<()>().await;
        }
        if let Some(refusal) = self.excess(&request) {
            return refusal;
        }
        let told = match self.refusal(&request) {
            Some(refusal) => Told::by(GATEWAY, refusal),
            None if request.uri().path() == probe_link::PATH => return self.answer_probe(request),
            None => self.route(request).await,
        };
        let fact = HttpFact {
            method,
            path,
            status: told.answer.status().as_u16(),
            by: told.by.into(),
            edits: told.edits,
        };
        self.record(Fact::Http(fact));
        told.answer
    }

    async fn route(self: &Arc<Self>, request: Request<Incoming>) -> Told {
        if request.uri().path().starts_with(mirror::PREFIX) {
            return Told::by(MIRROR, self.answer_from_mirror(&request).await);
        }
        if handshake::is_asked_for(&request) {
            return self.open_websocket(request).await;
        }
        if is_long_polling(&request) && !self.has_polled.swap(true, Ordering::SeqCst) {
            self.record_broken(format!(
                "the {}'s page speaks Socket.IO by long-polling, which is not read",
                self.player
            ));
        }
        let passed = self
            .shared
            .proxy
            .pass(request, &self.origin, &self.probe_element);
        match passed.await {
            Ok(passed) => Told {
                answer: passed.answer,
                by: TARGET,
                edits: passed.edits,
            },
            Err(error) => Told::by(GATEWAY, self.not_passed(&error)),
        }
    }

    /// The refusal of a request that is one too many. It leaves no event of its own.
    fn excess(&self, request: &Request<Incoming>) -> Option<Answer> {
        let excess = self.requests.add(handshake::is_asked_for(request))?;
        if let Excess::First(what) = excess {
            self.record(Sender::Page.broken(&self.player, &what));
        }
        let text = "more was asked for than is taken";
        Some(answer::text(StatusCode::TOO_MANY_REQUESTS, text))
    }

    /// The refusal of a request that comes from nowhere in the run.
    fn refusal(&self, request: &Request<Incoming>) -> Option<Answer> {
        if !self.is_for_us(request) {
            let text = format!("this is the gateway of {} alone", self.origin);
            return Some(answer::text(StatusCode::MISDIRECTED_REQUEST, text));
        }
        let stranger = self.stranger(request)?;
        let text = format!(
            "this is the gateway of {} alone: no page of {stranger} may speak to it",
            self.origin
        );
        Some(answer::text(StatusCode::FORBIDDEN, text))
    }

    /// The origin of the page that makes a request, if it is another one than the gateway's own. A page
    /// may keep its own origin from being told; then the browser says that it is the same. Of what a page
    /// only loads, as a picture, a browser tells no origin: it says then whether it is of another site. A
    /// page of somewhere else may lead here, as a link does.
    fn stranger(&self, request: &Request<Incoming>) -> Option<String> {
        let site = request.headers().get("sec-fetch-site");
        let is_same = site.is_some_and(|site| site == "same-origin");
        let is_known = |origin: &&HeaderValue| {
            *origin == self.origin.as_str() || (*origin == "null" && is_same)
        };
        let leads_here = request
            .headers()
            .get("sec-fetch-mode")
            .is_some_and(|mode| mode == "navigate");
        let is_other = site.is_some_and(|site| site == "cross-site" || site == "same-site");
        if is_other && !leads_here {
            return Some("another site".to_owned());
        }
        let mut origins = request.headers().get_all(header::ORIGIN).iter();
        let stranger = origins.find(|origin| !is_known(origin))?;
        Some(String::from_utf8_lossy(stranger.as_bytes()).into_owned())
    }

    /// Whether a request names this listener and no other host. A page of somewhere else that leads
    /// its own name here must not get at the target.
    fn is_for_us(&self, request: &Request<Incoming>) -> bool {
        let named = request
            .uri()
            .authority()
            .map(|named| named.as_str().as_bytes());
        let host = request.headers().get(header::HOST);
        let host = host.map(HeaderValue::as_bytes);
        host == Some(self.authority.as_bytes()) && named.is_none_or(|named| Some(named) == host)
    }

    fn answer_probe(&self, mut request: Request<Incoming>) -> Answer {
        let query = request.uri().query().unwrap_or("");
        let token = url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "token");
        if token.is_none_or(|(_, token)| token != self.token) {
            return answer::text(StatusCode::FORBIDDEN, "this is the line of the probe alone");
        }
        let Some(handshake) = Handshake::read(&mut request) else {
            return answer::text(StatusCode::BAD_REQUEST, "the probe's line is a WebSocket");
        };
        let largest = limits::LARGEST_PROBE_MESSAGE;
        let (answer, socket) = handshake.grant(HeaderMap::new(), largest);
        let (stop, probe) = (self.shared.stop.clone(), self.probe.clone());
        self.shared.spawn(async move {
            let talking = async {
                if let Ok(socket) = socket.await {
                    probe.talk(socket).await;
                }
            };
            stop.run_until_cancelled(talking).await;
        });
        answer
    }

    async fn answer_from_mirror(&self, request: &Request<Incoming>) -> Answer {
        if ![Method::GET, Method::HEAD].contains(request.method()) {
            return answer::text(StatusCode::METHOD_NOT_ALLOWED, "the mirror is read only");
        }
        let path = request
            .uri()
            .path_and_query()
            .map_or("", |path| path.as_str());
        let address = path.strip_prefix(mirror::PREFIX).unwrap_or(path);
        let Some(asset) = self.shared.mirror.find(address) else {
            let browser = request.headers().get(header::USER_AGENT);
            let browser = browser.and_then(|browser| browser.to_str().ok());
            return self.answer_from_network(address, browser).await;
        };
        match asset.answer().await {
            Ok(answer) => answer,
            Err(error) => {
                let reason = format!("cannot read {}: {error}", asset.path.display());
                self.record_broken(reason.clone());
                answer::text(StatusCode::INTERNAL_SERVER_ERROR, reason)
            }
        }
    }

    /// The answer for a public address that is not at hand: from the network, if the user wants that.
    async fn answer_from_network(&self, address: &str, browser: Option<&str>) -> Answer {
        let url = format!("https://{address}");
        let Some(cdn) = self.shared.mirror.cdn() else {
            let text = format!("the mirror does not have {url}");
            self.record(Fact::MirrorMiss { url });
            return answer::text(StatusCode::NOT_FOUND, text);
        };
        let recorded = match cdn.get(address, browser).await {
            Ok(recorded) => recorded,
            Err(error) => {
                self.record(Fact::MirrorMiss { url });
                let text = with_causes(&error);
                return match error {
                    CdnError::Status { .. } | CdnError::NotPublic { .. } => {
                        answer::text(StatusCode::NOT_FOUND, text)
                    }
                    CdnError::Unreachable { .. } | CdnError::Changed { .. } | CdnError::Keep(_) => {
                        self.record_broken(text.clone());
                        answer::text(StatusCode::BAD_GATEWAY, text)
                    }
                };
            }
        };
        self.record(Fact::PublicFile(PublicFileFact {
            url: recorded.url.clone(),
            size: recorded.size,
            sha256: recorded.sha256.clone(),
            from_network: recorded.fresh,
        }));
        match mirror::answer_recorded(&self.shared.mirror, &recorded, &self.origin).await {
            Ok(answer) => answer,
            Err(error) => {
                let reason = format!("cannot read {}: {error}", recorded.path.display());
                self.record_broken(reason.clone());
                answer::text(StatusCode::INTERNAL_SERVER_ERROR, reason)
            }
        }
    }

    async fn open_websocket(self: &Arc<Self>, mut request: Request<Incoming>) -> Told {
        let Some(handshake) = Handshake::read(&mut request) else {
            let text = "this is no opening of a WebSocket that the gateway understands";
            return Told::by(GATEWAY, answer::text(StatusCode::BAD_REQUEST, text));
        };
        match handshake::connect(self.shared.upstream, &request).await {
            Ok((target, headers)) => {
                let path = request
                    .uri()
                    .path_and_query()
                    .map_or("/", |path| path.as_str());
                let path = path.to_owned();
                let (answer, browser) = handshake.grant(headers, limits::LARGEST_PACKET);
                let stop = self.shared.stop.clone();
                let listener = Arc::clone(self);
                self.shared.spawn(async move {
                    // A browser that goes away now has opened nothing.
                    let browser = stop.run_until_cancelled(browser).await;
                    if let Some(Ok(browser)) = browser {
                        listener.run_websocket(path, Ends { browser, target }).await;
                    }
                });
                Told::by(TARGET, answer)
            }
            Err(WsError::Http(refusal)) => Told::by(TARGET, handshake::refused(*refusal)),
            Err(error) => {
                self.note_lack(&error);
                if limits::sent_too_many_headers(&error) {
                    let what = limits::too_many_headers();
                    self.record(Sender::Target.broken(&self.player, &what));
                }
                let text = format!("the target opens no WebSocket: {error}");
                Told::by(GATEWAY, answer::text(StatusCode::BAD_GATEWAY, text))
            }
        }
    }

    async fn run_websocket<B, T>(&self, path: String, ends: Ends<B, T>)
    where
        B: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
        T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    {
        let number = self.shared.websockets.fetch_add(1, Ordering::SeqCst) + 1;
        let (commands, queue) = mpsc::unbounded_channel();
        let connection = Arc::new(Connection {
            number,
            delivered: AtomicU64::new(0),
            arrived: AtomicU64::new(0),
            joined: AtomicBool::new(false),
            registered: AtomicBool::new(false),
            commands,
        });
        self.record(Fact::WireOpened(WireOpened {
            connection: number,
            path,
        }));
        self.connections.opened(Arc::clone(&connection));
        let wire = Wire {
            player: self.player.clone(),
            connection,
            rules: Arc::clone(&self.shared.rules),
            recorder: self.shared.recorder.clone(),
        };
        let on_end = || self.connections.ended(number);
        wire.run(ends, queue, self.shared.stop.clone(), on_end)
            .await;
    }

    /// The answer where the target's own does not get through.
    fn not_passed(&self, error: &ProxyError) -> Answer {
        let text = with_causes(error);
        self.note_lack(error);
        if error.is_too_much() {
            self.record(Sender::Target.broken(&self.player, &text));
        }
        let status = match error {
            ProxyError::Request(_) => StatusCode::BAD_REQUEST,
            ProxyError::Unreachable(_)
            | ProxyError::BrokenOff(_)
            | ProxyError::Headers
            | ProxyError::Body { .. } => StatusCode::BAD_GATEWAY,
            // The page would not be what the run is about: it cannot be carried out.
            ProxyError::Rewrite { .. } => {
                self.record_broken(text.clone());
                StatusCode::INTERNAL_SERVER_ERROR
            }
        };
        answer::text(status, text)
    }

    /// Breaks the run where the target was not asked because this machine lacks what a connection takes.
    fn note_lack(&self, error: &(dyn std::error::Error + 'static)) {
        if let Some(lack) = lack_of_machine(error) {
            self.record(Fact::Broken(BrokenFact {
                component: "environment".into(),
                reason: format!(
                    "the gateway cannot connect to the target, since this machine has no port, file or memory \
                     left for it: {lack}; end what holds so many connections, then run it again"
                ),
                last_lines: Vec::new(),
                worth_a_retry: true,
            }));
        }
    }

    fn record(&self, fact: Fact) {
        self.shared.recorder.record_for(&self.player, fact);
    }

    fn record_broken(&self, reason: String) {
        self.record(Fact::Broken(BrokenFact {
            component: "gateway".into(),
            reason,
            last_lines: Vec::new(),
            worth_a_retry: false,
        }));
    }
}

/// Whether a request carries Engine.IO without a WebSocket.
fn is_long_polling(request: &Request<Incoming>) -> bool {
    let query = request.uri().query().unwrap_or("");
    let says = |wanted: &str, value: Option<&str>| {
        url::form_urlencoded::parse(query.as_bytes())
            .any(|(name, said)| name == wanted && value.is_none_or(|value| said == value))
    };
    says("EIO", None) && says("transport", Some("polling"))
}

/// What this machine lacks for a connection, if that is what caused an error.
fn lack_of_machine<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a io::Error> {
    let mut causes = std::iter::successors(Some(error), |error| error.source());
    causes.find_map(|error| {
        let error = error.downcast_ref::<io::Error>()?;
        let lacks = [
            Errno::EADDRNOTAVAIL,
            Errno::EADDRINUSE,
            Errno::EMFILE,
            Errno::ENFILE,
            Errno::ENOBUFS,
            Errno::ENOMEM,
        ];
        let number = error.raw_os_error()?;
        lacks.contains(&Errno::from_raw(number)).then_some(error)
    })
}

impl Told {
    fn by(by: &'static str, answer: Answer) -> Told {
        Told {
            answer,
            by,
            edits: Vec::new(),
        }
    }
}

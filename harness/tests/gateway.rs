//! The gateway between a target and a browser that are both played by the test.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::ws::{Message as TargetMessage, WebSocket, WebSocketUpgrade};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use futures_util::{SinkExt, StreamExt};
use gymcheck::evidence::{
    Direction, End, Event, Fact, Origin, Packet, PageFact, Recorder, RuleEffect,
};
use gymcheck::gateway::{
    Fault, Forged, Gateway, GatewayError, GatewayOptions, InjectError, Mirror, MirrorEntry,
    NEXT_PAGE, Passage, Passed, ProbeError, RoundTripError, Rule, Side,
};
use gymcheck::target::Edit;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error as WsError, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};
use tokio_util::task::AbortOnDropHandle;

/// How long anything may take here. A green test waits for none of it.
const PATIENCE: Duration = Duration::from_secs(20);

const PLAYER: &str = "survivor";
const SOCKET: &str = "/socket.io/?EIO=4&transport=websocket";
const BINARY: &str = r#"451-["packed",{"_placeholder":true,"num":0}]"#;

type Browser = WebSocketStream<MaybeTlsStream<TcpStream>>;

struct Bench {
    gateway: Gateway,
    recorder: Recorder,
    /// The target's ends of its WebSockets.
    sockets: mpsc::UnboundedReceiver<WebSocket>,
    _target: AbortOnDropHandle<()>,
    http: reqwest::Client,
}

impl Bench {
    async fn new() -> Bench {
        Bench::with(Mirror::default(), Vec::new()).await
    }

    async fn with(mirror: Mirror, edits: Vec<Edit>) -> Bench {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let listener = listener.expect("a port");
        let upstream = listener.local_addr().expect("its address");
        let (opened, sockets) = mpsc::unbounded_channel();
        let target = tokio::spawn(async move {
            let served = axum::serve(listener, target(opened)).await;
            served.expect("the target serves");
        });
        let bench = Bench::before(upstream, mirror, edits).await;
        Bench {
            sockets,
            _target: AbortOnDropHandle::new(target),
            ..bench
        }
    }

    /// The gateway before a target that gives the test no sockets.
    async fn before(upstream: SocketAddr, mirror: Mirror, edits: Vec<Edit>) -> Bench {
        let recorder = Recorder::in_memory();
        let options = options(upstream, mirror, edits);
        let gateway = Gateway::start(options, recorder.clone()).await;
        // Every client wants to know with what it would encrypt.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none());
        Bench {
            gateway: gateway.expect("a gateway"),
            recorder,
            sockets: mpsc::unbounded_channel().1,
            _target: AbortOnDropHandle::new(tokio::spawn(std::future::ready(()))),
            http: http.build().expect("a client"),
        }
    }

    fn address(&self, path: &str) -> String {
        format!("{}{path}", self.gateway.origin(PLAYER))
    }

    async fn get(&self, path: &str) -> reqwest::Response {
        let answer = self.http.get(self.address(path)).send().await;
        answer.expect("an answer")
    }

    async fn text(&self, path: &str) -> String {
        self.get(path).await.text().await.expect("a text")
    }

    /// A WebSocket through the gateway: the browser's end and the target's.
    async fn connect(&mut self) -> (Browser, WebSocket) {
        self.connect_as(PLAYER).await
    }

    async fn connect_as(&mut self, player: &str) -> (Browser, WebSocket) {
        let address = format!("{}{SOCKET}", self.gateway.origin(player));
        let browser = connect(&address).await.expect("a WebSocket");
        let target = timeout(PATIENCE, self.sockets.recv()).await;
        (browser, target.expect("in time").expect("the target lives"))
    }

    /// The same, after Socket.IO's opening.
    async fn join(&mut self) -> (Browser, WebSocket) {
        let (mut browser, mut target) = self.connect().await;
        say(&mut browser, "40").await;
        assert_eq!(heard_by_target(&mut target).await, "40");
        tell(&mut target, r#"40{"sid":"a"}"#).await;
        assert_eq!(heard(&mut browser).await, r#"40{"sid":"a"}"#);
        (browser, target)
    }

    fn hold(&self, direction: Direction, event: &str) {
        let hold = Fault::Hold { until: None };
        self.set("hold", at(PLAYER, direction, event), hold);
    }

    fn set(&self, name: &str, at: Passage, fault: Fault) {
        let name = name.into();
        self.gateway.set(Rule { name, at, fault });
    }

    async fn fact(&self, what: &str, question: impl Fn(&Fact) -> bool) -> Fact {
        let question = |event: &Event| {
            assert_eq!(event.player.as_deref(), Some(PLAYER));
            question(&event.fact)
        };
        let event = self.recorder.wait(0, PATIENCE, what, question).await;
        event.expect("it was recorded").fact.clone()
    }

    async fn effect(&self, effect: RuleEffect) -> Fact {
        let question = |fact: &Fact| matches!(fact, Fact::Rule(rule) if rule.effect == effect);
        self.fact("an effect of a rule", question).await
    }

    /// The rules that took effect, in order, with what they did.
    fn effects(&self) -> Vec<(String, RuleEffect)> {
        let effect = |fact: &Fact| match fact {
            Fact::Rule(rule) => Some((rule.rule.clone(), rule.effect)),
            _ => None,
        };
        self.facts().iter().filter_map(effect).collect()
    }

    async fn closed(&self) -> (End, String) {
        let closed = self
            .fact("the end", |fact| matches!(fact, Fact::WireClosed(_)))
            .await;
        match closed {
            Fact::WireClosed(closed) => (closed.by, closed.detail),
            other => panic!("{other:?}"),
        }
    }

    fn facts(&self) -> Vec<Fact> {
        let log = self.recorder.log();
        log.events()
            .iter()
            .map(|event| event.fact.clone())
            .collect()
    }

    /// The names of the events that were passed on, with their origin.
    fn passed(&self, direction: Direction) -> Vec<(String, Origin)> {
        let name = |fact: &Fact| match fact {
            Fact::Wire(wire) if wire.direction == direction => match &wire.packet {
                Packet::Event { name, .. } => Some((name.clone(), wire.origin)),
                _ => None,
            },
            _ => None,
        };
        self.facts().iter().filter_map(name).collect()
    }

    /// The token of the probe, as the page gets it.
    async fn probe_config(&self) -> Value {
        let page = self.text("/page").await;
        let start = page.split_once("probe(").expect("the probe").1;
        serde_json::from_str(start.split_once(')').expect("its end").0).expect("its settings")
    }

    async fn probe(&self) -> Browser {
        let config = self.probe_config().await;
        let text = |name: &str| config[name].as_str().expect("a text").to_owned();
        let path = format!("{}?token={}", text("path"), text("token"));
        connect(&self.address(&path)).await.expect("a line")
    }
}

fn at(player: &str, direction: Direction, event: &str) -> Passage {
    Passage {
        player: player.into(),
        direction,
        event: event.into(),
    }
}

fn options(upstream: SocketAddr, mirror: Mirror, edits: Vec<Edit>) -> GatewayOptions {
    GatewayOptions {
        upstream,
        players: vec![PLAYER.into(), "partner".into()],
        mirror,
        edits,
        probe_script: "probe(/*GYMCHECK_CONFIG*/{})".into(),
    }
}

fn target(opened: mpsc::UnboundedSender<WebSocket>) -> Router {
    Router::new()
        .route("/", get(|| async { Redirect::to("/page") }))
        .route("/page", get(page))
        .route("/guarded", get(guarded))
        .route("/static/js/index.js", get(script))
        .route("/echo", post(echo))
        .route("/socket.io/", get(socket))
        .with_state(opened)
}

async fn page() -> Html<&'static str> {
    Html(r#"<html><head><script src="https://cdn.example/a.js"></script></head></html>"#)
}

/// A page that lets nobody speak but its own files.
async fn guarded() -> impl IntoResponse {
    let policy = "default-src 'self'; script-src 'self'; connect-src 'none'";
    ([(header::CONTENT_SECURITY_POLICY, policy)], page().await)
}

async fn script() -> impl IntoResponse {
    let headers = [
        (header::CONTENT_TYPE, "text/javascript; charset=utf-8"),
        (header::ETAG, "\"1\""),
    ];
    (
        headers,
        "function end() {\n    cleanup();\n}\nload('https://cdn.example/x');\n",
    )
}

/// Tells what arrived.
async fn echo(headers: HeaderMap, body: Bytes) -> String {
    let name = |name: &str| match headers.get(name) {
        Some(value) => value.to_str().expect("a text").to_owned(),
        None => String::new(),
    };
    json!({
        "host": name("host"),
        "encoding": name("accept-encoding"),
        "cookie": name("cookie"),
        "hop": name("x-hop"),
        "body": String::from_utf8_lossy(&body),
    })
    .to_string()
}

async fn socket(
    State(opened): State<mpsc::UnboundedSender<WebSocket>>,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Response {
    if headers.get("cookie").is_some_and(|cookie| cookie == "no") {
        return (StatusCode::BAD_REQUEST, "not you").into_response();
    }
    upgrade.on_upgrade(|socket| async move {
        // A test that has ended needs it no more.
        let _ = opened.send(socket);
    })
}

async fn connect(address: &str) -> Result<Browser, WsError> {
    let address = address.replace("http://", "ws://");
    let opened = timeout(PATIENCE, connect_async(address)).await;
    opened.expect("in time").map(|(socket, _)| socket)
}

async fn say(browser: &mut Browser, text: &str) {
    browser.send(Message::text(text)).await.expect("written");
}

async fn tell(target: &mut WebSocket, text: &str) {
    let sent = target.send(TargetMessage::text(text)).await;
    sent.expect("written");
}

async fn tell_event(target: &mut WebSocket, event: &str) {
    tell(target, &format!(r#"42["{event}"]"#)).await;
}

/// The browser's next message: a text as it is, anything else as `#`.
async fn heard(browser: &mut Browser) -> String {
    let message = timeout(PATIENCE, browser.next()).await.expect("in time");
    match message.expect("open").expect("a message") {
        Message::Text(text) => text.to_string(),
        Message::Binary(_) => "#".into(),
        other => format!("{other:?}"),
    }
}

async fn heard_json(browser: &mut Browser) -> Value {
    serde_json::from_str(&heard(browser).await).expect("JSON")
}

async fn heard_by_target(target: &mut WebSocket) -> String {
    let message = timeout(PATIENCE, target.recv()).await.expect("in time");
    match message.expect("open").expect("a message") {
        TargetMessage::Text(text) => text.to_string(),
        other => format!("{other:?}"),
    }
}

fn http_facts(facts: &[Fact]) -> Vec<(u16, String, Vec<String>)> {
    let http = |fact: &Fact| match fact {
        Fact::Http(http) => Some((http.status, http.by.clone(), http.edits.clone())),
        _ => None,
    };
    facts.iter().filter_map(http).collect()
}

#[tokio::test]
async fn http_is_passed_on() {
    let bench = Bench::new().await;
    let redirect = bench.get("/").await;
    assert_eq!(redirect.status(), 303);
    assert_eq!(redirect.headers()["location"], "/page");

    let request = bench.http.post(bench.address("/echo?a=b"));
    let request = request
        .header("cookie", "session=1")
        .header("accept-encoding", "gzip, br")
        .header("connection", "x-hop")
        .header("x-hop", "1")
        .body("answers");
    let answer = request.send().await.expect("an answer");
    let echoed: Value = serde_json::from_str(&answer.text().await.expect("a text")).expect("JSON");
    assert_eq!(echoed["body"], "answers");
    assert_eq!(echoed["cookie"], "session=1");
    assert_eq!(echoed["encoding"], "identity");
    assert_eq!(echoed["hop"], "");
    let origin = bench.gateway.origin(PLAYER);
    assert_eq!(echoed["host"], origin.trim_start_matches("http://"));

    let Fact::Http(http) = &bench.facts()[1] else {
        panic!("the exchange was not recorded");
    };
    assert_eq!(
        (http.method.as_str(), http.path.as_str()),
        ("POST", "/echo?a=b")
    );
    assert_eq!((http.status, http.by.as_str()), (200, "target"));
}

#[tokio::test]
async fn other_hosts_are_refused() {
    let bench = Bench::new().await;
    let request = bench.http.get(bench.address("/page"));
    let answer = request.header("host", "elsewhere.example").send().await;
    assert_eq!(answer.expect("an answer").status(), 421);
    // Each player has a way in of its own.
    let request = bench.http.get(bench.address("/page"));
    let partner = bench.gateway.origin("partner");
    let host = partner.trim_start_matches("http://");
    let answer = request.header("host", host).send().await;
    assert_eq!(answer.expect("an answer").status(), 421);
    assert_eq!(http_facts(&bench.facts()).len(), 2);
}

#[tokio::test]
async fn pages_of_other_sites_may_lead_here_and_load_nothing() {
    let bench = Bench::new().await;
    for (site, mode, status) in [
        ("cross-site", "no-cors", 403),
        ("same-site", "no-cors", 403),
        ("cross-site", "cors", 403),
        ("cross-site", "navigate", 200),
        ("same-site", "navigate", 200),
        ("same-origin", "no-cors", 200),
        ("none", "navigate", 200),
    ] {
        let request = bench.http.get(bench.address("/page"));
        let request = request.header("sec-fetch-site", site);
        let answer = request.header("sec-fetch-mode", mode).send().await;
        assert_eq!(answer.expect("an answer").status(), status, "{site} {mode}");
    }
}

#[tokio::test]
async fn a_page_that_speaks_by_long_polling_breaks_the_run_once() {
    let bench = Bench::new().await;
    bench.get("/page?transport=polling").await;
    assert!(bench.recorder.broken().is_none());
    for at in ["a", "b"] {
        let path = format!("/socket.io/?EIO=4&transport=polling&t={at}");
        bench.get(&path).await;
    }
    let broken = |fact: Fact| match fact {
        Fact::Broken(broken) => Some((broken.component, broken.reason)),
        _ => None,
    };
    let broken: Vec<_> = bench.facts().into_iter().filter_map(broken).collect();
    let reason = "the survivor's page speaks Socket.IO by long-polling, which is not read";
    assert_eq!(broken, [("gateway".to_owned(), reason.to_owned())]);
}

#[tokio::test]
async fn a_target_that_is_not_there_is_a_bad_gateway() {
    let recorder = Recorder::in_memory();
    // Bound and never listening.
    let closed = TcpSocket::new_v4().expect("a socket");
    closed
        .bind(SocketAddr::from(([127, 0, 0, 1], 0)))
        .expect("a port");
    let nobody = closed.local_addr().expect("an address");
    // Every client wants to know with what it would encrypt.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder()
        .no_proxy()
        .build()
        .expect("a client");
    let options = options(nobody, Mirror::default(), Vec::new());
    let gateway = Gateway::start(options, recorder.clone())
        .await
        .expect("a gateway");
    let address = format!("{}/page", gateway.origin(PLAYER));
    let answer = client.get(address).send().await.expect("an answer");
    assert_eq!(answer.status(), 502);
    let text = answer.text().await.expect("a text");
    assert!(text.starts_with("the target does not answer"), "{text}");
    let refused = connect(&format!("{}{SOCKET}", gateway.origin(PLAYER))).await;
    assert!(matches!(refused, Err(WsError::Http(answer)) if answer.status() == 502));
    let facts: Vec<Fact> = recorder
        .log()
        .events()
        .iter()
        .map(|event| event.fact.clone())
        .collect();
    let bad = (502, "gateway".to_owned(), Vec::new());
    assert_eq!(http_facts(&facts), [bad.clone(), bad]);
    gateway.shutdown().await;
}

/// A target that says on which connection a request came, and as which one on it. What asks for `/closed` on a
/// connection that was used before finds it closed, as by a target that has just lost its patience.
async fn counting_target(listener: TcpListener) {
    for connection in 1.. {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        tokio::spawn(async move {
            let (mut number, mut head) = (0, Vec::new());
            while let Ok(byte) = stream.read_u8().await {
                head.push(byte);
                if !head.ends_with(b"\r\n\r\n") {
                    continue;
                }
                number += 1;
                if number > 1 && head.starts_with(b"GET /closed ") {
                    return;
                }
                head.clear();
                let said = format!("{connection}/{number}");
                let length = said.len();
                let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{said}");
                stream.write_all(answer.as_bytes()).await.expect("written");
            }
        });
    }
}

#[tokio::test]
async fn connections_to_the_target_are_kept_for_what_may_be_asked_again() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
    let listener = listener.expect("a port");
    let upstream = listener.local_addr().expect("its address");
    let _target = AbortOnDropHandle::new(tokio::spawn(counting_target(listener)));
    let bench = Bench::before(upstream, Mirror::default(), Vec::new()).await;
    assert_eq!(bench.text("/a").await, "1/1");
    assert_eq!(bench.text("/b").await, "1/2");
    // It is asked again, on a new connection that nothing else has used.
    assert_eq!(bench.text("/closed").await, "2/1");
    assert_eq!(bench.text("/c").await, "3/1");
    let order = bench.http.post(bench.address("/d")).send().await;
    let told = order.expect("an answer").text().await;
    assert_eq!(told.expect("a text"), "4/1");
    assert_eq!(bench.text("/e").await, "3/2");
}

#[tokio::test]
async fn pages_get_the_probe_and_no_public_address() {
    let bench = Bench::new().await;
    let page = bench.text("/page").await;
    assert!(page.starts_with("<html><head><script>probe({"), "{page}");
    assert!(
        page.ends_with(
            r#"</script><script src="/__gymcheck/mirror/cdn.example/a.js"></script></head></html>"#
        ),
        "{page}"
    );
    // What a page loads into itself is not a page of its own.
    let request = bench.http.get(bench.address("/page"));
    let part = request.header("sec-fetch-dest", "empty").send().await;
    let part = part.expect("an answer").text().await.expect("a text");
    assert!(!part.contains("probe("), "{part}");
}

#[tokio::test]
async fn a_page_that_forbids_inline_scripts_lets_the_probe_in() {
    let bench = Bench::new().await;
    let policy = |answer: &reqwest::Response| {
        let policy = &answer.headers()["content-security-policy"];
        policy.to_str().expect("a text").to_owned()
    };
    let answer = bench.get("/guarded").await;
    let told = policy(&answer);
    let page = answer.text().await.expect("a text");
    let nonce = page.strip_prefix("<html><head><script nonce=\"");
    let nonce = nonce.and_then(|rest| rest.split('"').next());
    let nonce = nonce.expect("the probe's nonce");
    let line = bench.gateway.origin(PLAYER).replace("http://", "ws://");
    assert_eq!(
        told,
        format!("default-src 'self'; script-src 'self' 'nonce-{nonce}'; connect-src {line}")
    );
    // A part of a page gets no probe, and keeps its policy.
    let request = bench.http.get(bench.address("/guarded"));
    let part = request.header("sec-fetch-dest", "iframe").send().await;
    let told = policy(&part.expect("an answer"));
    assert!(
        told.ends_with("script-src 'self'; connect-src 'none'"),
        "{told}"
    );
}

fn edit(file: &str, find: &str) -> Edit {
    Edit {
        name: "no-cleanup".into(),
        file: file.into(),
        find: find.into(),
        replace: "end() { }".into(),
    }
}

#[tokio::test]
async fn edits_change_what_they_name() {
    let edits = vec![edit("static/js/index.js", "end() { cleanup(); }")];
    let mirror = Mirror::new(vec![asset("https://cdn.example/a.js", "/nowhere")]);
    let bench = Bench::with(mirror, edits).await;
    let answer = bench.get("/static/js/index.js?v=1").await;
    assert!(answer.headers().get("etag").is_none());
    let script = answer.text().await.expect("a text");
    let mirrored = bench.address("/__gymcheck/mirror/cdn.example/x");
    assert_eq!(
        script,
        format!("function end() {{ }}\nload('{mirrored}');\n")
    );
    bench.text("/page").await;
    let edited = (200, "target".to_owned(), vec!["no-cleanup".to_owned()]);
    let plain = (200, "target".to_owned(), Vec::new());
    assert_eq!(http_facts(&bench.facts()), [edited, plain]);
}

#[tokio::test]
async fn an_edit_that_finds_nothing_breaks_the_run() {
    let edits = vec![edit("static/js/index.js", "tidy_up();")];
    let bench = Bench::with(Mirror::default(), edits).await;
    let answer = bench.get("/static/js/index.js").await;
    assert_eq!(answer.status(), 500);
    let broken = bench.recorder.broken().expect("the run is broken");
    assert_eq!(broken.component, "gateway");
    assert!(
        broken.reason.starts_with(
            "cannot rewrite the target's /static/js/index.js: the edit no-cleanup finds none"
        ),
        "{}",
        broken.reason
    );
}

fn asset(url: &str, path: impl Into<std::path::PathBuf>) -> MirrorEntry {
    MirrorEntry {
        url: url.into(),
        path: path.into(),
        media_type: "application/wasm".into(),
    }
}

#[tokio::test]
async fn the_mirror_answers_instead_of_public_hosts() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("a.wasm");
    std::fs::write(&file, b"\0asm").expect("written");
    let mirror = Mirror::new(vec![
        asset("https://cdn.example/v1/a.wasm", &file),
        asset(
            "https://cdn.example/v1/lost.wasm",
            folder.path().join("lost"),
        ),
    ]);
    let bench = Bench::with(mirror, Vec::new()).await;
    let answer = bench
        .get("/__gymcheck/mirror/cdn.example/v1/a.wasm?x=1")
        .await;
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["content-type"], "application/wasm");
    assert_eq!(answer.headers()["access-control-allow-origin"], "*");
    let kept = &answer.headers()["cache-control"];
    assert_eq!(kept, "public, max-age=31536000, immutable");
    assert_eq!(&answer.bytes().await.expect("a body")[..], b"\0asm");

    let answer = bench
        .get("/__gymcheck/mirror/cdn.example/v1/b.wasm?x=1")
        .await;
    assert_eq!(answer.status(), 404);
    let url = "https://cdn.example/v1/b.wasm?x=1";
    let miss = |fact: &Fact| matches!(fact, Fact::MirrorMiss { url: missed } if missed == url);
    bench.fact("the miss", miss).await;
    let (by, edits) = ("mirror".to_owned(), Vec::new());
    let expected = [(200, by.clone(), edits.clone()), (404, by, edits)];
    assert_eq!(http_facts(&bench.facts()), expected);

    let answer = bench
        .get("/__gymcheck/mirror/cdn.example/v1/lost.wasm")
        .await;
    assert_eq!(answer.status(), 500);
    assert!(bench.recorder.broken().is_some());
}

#[tokio::test]
async fn an_injection_goes_to_the_connection_that_registered() {
    let mut bench = Bench::new().await;
    let (mut participant, mut target) = bench.join().await;
    say(&mut participant, r#"42["register_subject",{}]"#).await;
    heard_by_target(&mut target).await;
    // A page may open another one, later, that takes no part: what it registers is not of the game.
    let (mut other, mut its_target) = bench.join().await;
    say(&mut other, r#"42/admin,["register_subject",{}]"#).await;
    heard_by_target(&mut its_target).await;
    bench
        .gateway
        .inject("rule", PLAYER, Direction::ToClient, "told", Vec::new())
        .await
        .expect("written");
    assert_eq!(heard(&mut participant).await, r#"42["told"]"#);
    let passed = bench.gateway.passed(PLAYER).expect("connected");
    assert_eq!((passed.connections.len(), passed.delivered), (2, 3));
}

#[tokio::test]
async fn packets_are_recorded_in_their_order() {
    let mut bench = Bench::new().await;
    let (mut browser, mut target) = bench.join().await;
    assert!(bench.gateway.is_connected(PLAYER));
    assert!(!bench.gateway.is_connected("partner"));
    tell(&mut target, BINARY).await;
    let sent = target
        .send(TargetMessage::binary(&b"\x81\xa1u\x01"[..]))
        .await;
    sent.expect("written");
    assert_eq!(heard(&mut browser).await, BINARY);
    assert_eq!(heard(&mut browser).await, "#");
    let passed = bench.gateway.passed(PLAYER);
    let expected = Passed {
        connections: vec![1],
        delivered: 3,
        arrived: 1,
    };
    assert_eq!(passed, Some(expected));
    say(&mut browser, r#"42["advance_scene",{"a":1}]"#).await;
    heard_by_target(&mut target).await;

    let facts = bench.facts();
    assert!(matches!(&facts[0], Fact::Http(http) if http.status == 101));
    assert!(matches!(&facts[1], Fact::WireOpened(opened) if opened.path == SOCKET));
    let packets: Vec<_> = facts[2..].iter().map(told).collect();
    insta::assert_snapshot!(packets.join("\n"), @r#"
    to-server: {"data":null,"namespace":"/","type":"connect"}
    to-client: {"data":{"sid":"a"},"namespace":"/","type":"connect"}
    to-client: {"args":[{"$binary":{"bytes":4,"msgpack":{"u":1},"sha256":"71ffeafbe03e2d39eee07ea0ddb2f6936e4dfc9c60334fcbb0f2322754e45194"}}],"name":"packed","namespace":"/","type":"event"}
    to-server: {"args":[{"a":1}],"name":"advance_scene","namespace":"/","type":"event"}
    "#);
}

fn told(fact: &Fact) -> String {
    let Fact::Wire(wire) = fact else {
        panic!("{fact:?} is no packet");
    };
    let packet = serde_json::to_value(&wire.packet).expect("JSON");
    format!("{}: {packet}", wire.direction)
}

#[tokio::test]
async fn what_cannot_be_read_is_passed_on_unchanged() {
    let mut bench = Bench::new().await;
    let (mut browser, mut target) = bench.join().await;
    tell(&mut target, "42[oops").await;
    assert_eq!(heard(&mut browser).await, "42[oops");
    let unreadable = |fact: &Fact| {
        matches!(fact, Fact::Wire(wire)
            if matches!(&wire.packet, Packet::Unreadable { start, .. } if start == "42[oops"))
    };
    bench.fact("an unreadable packet", unreadable).await;
}

#[tokio::test]
async fn a_target_may_refuse_a_websocket() {
    let bench = Bench::new().await;
    let address = bench.address(SOCKET).replace("http://", "ws://");
    let mut request =
        tokio_tungstenite::tungstenite::client::IntoClientRequest::into_client_request(address)
            .expect("a request");
    let cookie = header::HeaderValue::from_static("no");
    request.headers_mut().insert(header::COOKIE, cookie);
    let Err(WsError::Http(refusal)) = connect_async(request).await else {
        panic!("it was not refused");
    };
    assert_eq!(refusal.status(), 400);
    assert_eq!(
        http_facts(&bench.facts()),
        [(400, "target".into(), Vec::new())]
    );
}

#[tokio::test]
async fn a_browser_that_closes_says_so_to_the_target() {
    let mut bench = Bench::new().await;
    let (mut browser, mut target) = bench.join().await;
    // Its last word is not lost.
    say(&mut browser, r#"42["last"]"#).await;
    let frame = CloseFrame {
        code: 4001.into(),
        reason: "enough".into(),
    };
    browser.close(Some(frame)).await.expect("said");
    assert_eq!(heard_by_target(&mut target).await, r#"42["last"]"#);
    let close = heard_by_target(&mut target).await;
    assert!(
        close.contains("4001") && close.contains("enough"),
        "{close}"
    );
    assert_eq!(
        bench.closed().await,
        (End::Browser, "close code 4001 enough".into())
    );
    assert_eq!(bench.gateway.passed(PLAYER), None);
}

#[tokio::test]
async fn a_target_that_closes_says_so_to_the_browser() {
    let mut bench = Bench::new().await;
    let (mut browser, mut target) = bench.join().await;
    tell_event(&mut target, "last").await;
    target.send(TargetMessage::Close(None)).await.expect("said");
    assert_eq!(heard(&mut browser).await, r#"42["last"]"#);
    assert_eq!(heard(&mut browser).await, "Close(None)");
    assert_eq!(
        bench.closed().await,
        (End::Target, "closed without a code".into())
    );
}

#[tokio::test]
async fn a_browser_that_is_lost_is_lost_to_the_target_too() {
    let mut bench = Bench::new().await;
    let (browser, mut target) = bench.join().await;
    drop(browser);
    let end = timeout(PATIENCE, target.recv()).await.expect("in time");
    assert!(end.is_none_or(|end| end.is_err()));
    assert_eq!(bench.closed().await.0, End::Browser);
}

#[tokio::test]
async fn a_held_event_holds_all_that_follows_but_heartbeats() {
    let mut bench = Bench::new().await;
    // The rule is there before the connection.
    bench.hold(Direction::ToClient, "packed");
    let (mut browser, mut target) = bench.join().await;
    tell_event(&mut target, "before").await;
    tell(&mut target, BINARY).await;
    target
        .send(TargetMessage::binary(&b"x"[..]))
        .await
        .expect("written");
    tell_event(&mut target, "after").await;
    tell(&mut target, "2").await;
    assert_eq!(heard(&mut browser).await, r#"42["before"]"#);
    assert_eq!(heard(&mut browser).await, "2");
    // The other direction is free.
    say(&mut browser, r#"42["packed"]"#).await;
    assert_eq!(heard_by_target(&mut target).await, r#"42["packed"]"#);
    assert_eq!(
        bench.passed(Direction::ToClient),
        [("before".into(), Origin::Natural)]
    );

    assert!(!bench.gateway.release("another"));
    assert!(bench.gateway.release("hold"));
    assert!(!bench.gateway.release("hold"));
    assert_eq!(heard(&mut browser).await, BINARY);
    assert_eq!(heard(&mut browser).await, "#");
    assert_eq!(heard(&mut browser).await, r#"42["after"]"#);
    let names: Vec<String> = bench
        .passed(Direction::ToClient)
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert_eq!(names, ["before", "packed", "after"]);
    bench.effect(RuleEffect::Held).await;
    bench.effect(RuleEffect::Released).await;
}

#[tokio::test]
async fn what_is_held_of_a_lost_browser_is_never_delivered() {
    let mut bench = Bench::new().await;
    let (mut browser, mut target) = bench.join().await;
    bench.hold(Direction::ToServer, "advance_scene");
    say(&mut browser, r#"42["before"]"#).await;
    say(&mut browser, r#"42["advance_scene"]"#).await;
    bench.effect(RuleEffect::Held).await;
    drop(browser);
    bench.effect(RuleEffect::Discarded).await;
    assert_eq!(heard_by_target(&mut target).await, r#"42["before"]"#);
    let end = timeout(PATIENCE, target.recv()).await.expect("in time");
    assert!(end.is_none_or(|end| end.is_err()));
    assert_eq!(
        bench.passed(Direction::ToServer),
        [("before".into(), Origin::Natural)]
    );
    bench.closed().await;

    // It stays in force for the player's next connection.
    let (mut browser, mut target) = bench.join().await;
    say(&mut browser, r#"42["advance_scene"]"#).await;
    say(&mut browser, "3").await;
    assert_eq!(heard_by_target(&mut target).await, "3");
    assert!(bench.gateway.release("hold"));
    assert_eq!(heard_by_target(&mut target).await, r#"42["advance_scene"]"#);
}

#[tokio::test]
async fn an_event_is_sent_in_the_targets_name() {
    let mut bench = Bench::new().await;
    let ended = async |bench: &Bench, direction| {
        let args = vec![json!({"game_id": "g"})];
        bench
            .gateway
            .inject("ended", PLAYER, direction, "p2p_game_ended", args)
            .await
    };
    let (mut browser, mut target) = bench.connect().await;
    let early = ended(&bench, Direction::ToClient).await;
    assert!(matches!(early, Err(InjectError::NotConnected { .. })));
    tell(&mut target, r#"40{"sid":"a"}"#).await;
    heard(&mut browser).await;

    bench.hold(Direction::ToClient, "held");
    tell_event(&mut target, "held").await;
    bench.effect(RuleEffect::Held).await;
    ended(&bench, Direction::ToClient).await.expect("written");
    let expected = r#"42["p2p_game_ended",{"game_id":"g"}]"#;
    assert_eq!(heard(&mut browser).await, expected);
    ended(&bench, Direction::ToServer).await.expect("written");
    assert_eq!(heard_by_target(&mut target).await, expected);
    let injected = ("p2p_game_ended".to_owned(), Origin::Injected);
    assert_eq!(bench.passed(Direction::ToClient), [injected]);
    bench.effect(RuleEffect::Injected).await;

    browser.close(None).await.expect("said");
    bench.closed().await;
    let late = ended(&bench, Direction::ToClient).await;
    assert!(matches!(late, Err(InjectError::NotConnected { .. })));
}

#[tokio::test]
async fn a_round_trip_of_the_harness_is_kept_from_the_page() {
    const PAGES: &str = r#"42["ping",{"ping_ms":7}]"#;
    const OWN: &str = r#"42["ping",{}]"#;
    let mut bench = Bench::new().await;
    let nobody = bench.gateway.round_trip(PLAYER, PATIENCE).await;
    assert!(matches!(nobody, Err(RoundTripError::NotConnected { .. })));

    let (mut browser, mut target) = bench.join().await;
    // A hold that waits for a ping waits for the page's.
    let until = Some(at(PLAYER, Direction::ToServer, "ping"));
    let scene = at(PLAYER, Direction::ToClient, "scene");
    bench.set("until-ping", scene, Fault::Hold { until });
    say(&mut browser, r#"42["before"]"#).await;
    assert_eq!(heard_by_target(&mut target).await, r#"42["before"]"#);
    let answers = async {
        assert_eq!(heard_by_target(&mut target).await, OWN);
        tell_event(&mut target, "because").await;
        tell(&mut target, r#"42["pong",{"own":true}]"#).await;
    };
    let made = async { tokio::join!(bench.gateway.round_trip(PLAYER, PATIENCE), answers).0 };
    assert_eq!(made.await, Ok(()));
    let passed = bench.gateway.passed(PLAYER).expect("connected");
    assert_eq!((passed.arrived, passed.delivered), (2, 2));

    tell_event(&mut target, "scene").await;
    bench.effect(RuleEffect::Held).await;
    say(&mut browser, PAGES).await;
    assert_eq!(heard_by_target(&mut target).await, PAGES);
    tell(&mut target, r#"42["pong",{"own":false}]"#).await;
    let heard_events = heard_up_to(&mut browser, "pong").await;
    assert_eq!(heard_events, ["because", "scene", "pong"]);
    let passed = |direction, name: &str| -> Vec<Origin> {
        let all = bench.passed(direction).into_iter();
        all.filter(|(event, _)| event == name)
            .map(|(_, origin)| origin)
            .collect()
    };
    let origins = [Origin::Harness, Origin::Natural];
    assert_eq!(passed(Direction::ToServer, "ping"), origins);
    assert_eq!(passed(Direction::ToClient, "pong"), origins);
}

#[tokio::test]
async fn a_round_trip_that_does_not_end_says_so() {
    const SHORT: Duration = Duration::from_secs(1);
    let mut bench = Bench::new().await;
    let (browser, mut target) = bench.join().await;
    let unanswered = bench.gateway.round_trip(PLAYER, SHORT).await;
    let error = unanswered.expect_err("nobody answers").to_string();
    let expected = "waited 1 s for the target's pong to the harness's own ping on the connection of \
                    survivor";
    assert!(error.starts_with(expected), "{error}");
    assert_eq!(heard_by_target(&mut target).await, r#"42["ping",{}]"#);

    let made = async {
        tokio::join!(bench.gateway.round_trip(PLAYER, PATIENCE), async {
            drop(browser)
        })
        .0
    };
    let ended = made.await.expect_err("it is gone");
    assert!(matches!(ended, RoundTripError::Ended { .. }), "{ended}");
}

/// The names of the events that a browser hears, up to one.
async fn heard_up_to(browser: &mut Browser, last: &str) -> Vec<String> {
    let mut heard_events = Vec::new();
    loop {
        let text = heard(browser).await;
        let event = text.strip_prefix("42").expect("an event");
        let event: Value = serde_json::from_str(event).expect("JSON");
        heard_events.push(event[0].as_str().expect("a name").to_owned());
        if event[0] == last {
            return heard_events;
        }
    }
}

#[tokio::test]
async fn a_hold_ends_when_the_other_player_has_got_an_event() {
    let mut bench = Bench::new().await;
    let (mut browser, mut target) = bench.join().await;
    let until = Some(at("partner", Direction::ToClient, "activate_scene"));
    let advance = at(PLAYER, Direction::ToServer, "advance_scene");
    bench.set("order", advance, Fault::Hold { until });
    say(&mut browser, r#"42["advance_scene"]"#).await;
    say(&mut browser, r#"42["behind"]"#).await;
    bench.effect(RuleEffect::Held).await;
    let (mut other_browser, mut other_target) = bench.connect_as("partner").await;
    // The same event of another player, or in the other direction, is not the one.
    tell_event(&mut target, "activate_scene").await;
    heard(&mut browser).await;
    say(&mut other_browser, r#"42["activate_scene"]"#).await;
    heard_by_target(&mut other_target).await;
    say(&mut browser, "3").await;
    assert_eq!(heard_by_target(&mut target).await, "3");

    tell_event(&mut other_target, "activate_scene").await;
    assert_eq!(heard(&mut other_browser).await, r#"42["activate_scene"]"#);
    assert_eq!(heard_by_target(&mut target).await, r#"42["advance_scene"]"#);
    assert_eq!(heard_by_target(&mut target).await, r#"42["behind"]"#);
    assert!(!bench.gateway.release("order"));
}

#[tokio::test]
async fn a_delayed_event_comes_later_with_all_behind_it() {
    const BY: Duration = Duration::from_millis(300);
    let mut bench = Bench::new().await;
    let (mut browser, mut target) = bench.join().await;
    let slow = at(PLAYER, Direction::ToClient, "slow");
    bench.set("late", slow, Fault::Delay(BY));
    let told = std::time::Instant::now();
    tell_event(&mut target, "slow").await;
    tell_event(&mut target, "behind").await;
    tell(&mut target, "2").await;
    assert_eq!(heard(&mut browser).await, "2");
    assert_eq!(heard(&mut browser).await, r#"42["slow"]"#);
    assert!(told.elapsed() >= BY, "{:?}", told.elapsed());
    assert_eq!(heard(&mut browser).await, r#"42["behind"]"#);
    let expected = [RuleEffect::Delayed, RuleEffect::Released].map(|one| ("late".to_owned(), one));
    assert_eq!(bench.effects(), expected);
    let natural = |name: &str| (name.to_owned(), Origin::Natural);
    assert_eq!(
        bench.passed(Direction::ToClient),
        [natural("slow"), natural("behind")]
    );
}

#[tokio::test]
async fn an_event_is_injected_right_before_or_right_after_another() {
    for (side, expected) in [
        (Side::Before, ["x", "ended", "ended", "scene", "y"]),
        (Side::After, ["x", "scene", "ended", "ended", "y"]),
    ] {
        let mut bench = Bench::new().await;
        let (mut browser, mut target) = bench.join().await;
        let forged = Forged {
            event: "ended".into(),
            times: 2,
            args: std::sync::Arc::new(|| Ok(vec![json!({"game_id": "g"})])),
        };
        let scene = at(PLAYER, Direction::ToClient, "scene");
        bench.set("race", scene, Fault::Inject { side, forged });
        for event in ["x", "scene", "y"] {
            tell_event(&mut target, event).await;
        }
        assert_eq!(heard_up_to(&mut browser, "y").await, expected, "{side:?}");
        // It fires once.
        tell_event(&mut target, "scene").await;
        tell_event(&mut target, "z").await;
        assert_eq!(heard_up_to(&mut browser, "z").await, ["scene", "z"]);
        let injected = ("race".to_owned(), RuleEffect::Injected);
        assert_eq!(bench.effects(), [injected.clone(), injected]);
        let passed = bench.passed(Direction::ToClient);
        let origins = passed.iter().filter(|(name, _)| name == "ended");
        assert!(origins.into_iter().all(|one| one.1 == Origin::Injected));
    }
}

#[tokio::test]
async fn a_cut_ends_both_ends_without_a_farewell() {
    let mut bench = Bench::new().await;
    let (mut browser, mut target) = bench.join().await;
    tell_event(&mut target, "last").await;
    heard(&mut browser).await;
    assert_eq!(bench.gateway.cut("now", "partner"), 0);
    assert_eq!(bench.gateway.cut("now", PLAYER), 1);
    lost(&mut browser, &mut target).await;
    let cut = (End::Gateway, "cut by the rule `now`".to_owned());
    assert_eq!(bench.closed().await, cut);
    assert_eq!(bench.effects(), [("now".to_owned(), RuleEffect::Cut)]);
    assert_eq!(bench.gateway.passed(PLAYER), None);
    // The next connection lives.
    let (mut browser, mut target) = bench.join().await;
    tell_event(&mut target, "again").await;
    assert_eq!(heard(&mut browser).await, r#"42["again"]"#);
}

/// Both ends find that they are alone, and that nobody said so.
async fn lost(browser: &mut Browser, target: &mut WebSocket) {
    let end = timeout(PATIENCE, browser.next()).await.expect("in time");
    assert!(end.is_none_or(|end| end.is_err()), "the browser was told");
    let end = timeout(PATIENCE, target.recv()).await.expect("in time");
    assert!(end.is_none_or(|end| end.is_err()), "the target was told");
}

#[tokio::test]
async fn a_cut_at_an_event_delivers_what_came_before_it() {
    let mut bench = Bench::new().await;
    let (mut browser, mut target) = bench.join().await;
    let advance = at(PLAYER, Direction::ToServer, "advance_scene");
    bench.set("break", advance, Fault::Cut);
    for event in ["before", "advance_scene", "after"] {
        say(&mut browser, &format!(r#"42["{event}"]"#)).await;
    }
    assert_eq!(heard_by_target(&mut target).await, r#"42["before"]"#);
    lost(&mut browser, &mut target).await;
    bench.closed().await;
    let natural = ("before".to_owned(), Origin::Natural);
    assert_eq!(bench.passed(Direction::ToServer), [natural]);
    assert_eq!(bench.effects(), [("break".to_owned(), RuleEffect::Cut)]);
}

#[tokio::test]
async fn an_event_is_dropped_and_what_follows_is_not() {
    let mut bench = Bench::new().await;
    let (mut browser, mut target) = bench.join().await;
    let packed = at(PLAYER, Direction::ToClient, "packed");
    bench.set("lose", packed, Fault::Drop);
    for _ in 0..2 {
        tell(&mut target, BINARY).await;
        let sent = target.send(TargetMessage::binary(&b"x"[..])).await;
        sent.expect("written");
    }
    tell_event(&mut target, "after").await;
    // The second one comes, whole.
    assert_eq!(heard(&mut browser).await, BINARY);
    assert_eq!(heard(&mut browser).await, "#");
    assert_eq!(heard(&mut browser).await, r#"42["after"]"#);
    let dropped = ("lose".to_owned(), RuleEffect::Dropped);
    assert_eq!(bench.effects(), [dropped]);
    assert_eq!(RuleEffect::Dropped.origin(), Origin::Synthetic);
    let names = bench.passed(Direction::ToClient);
    assert_eq!(names.len(), 2, "{names:?}");
}

#[tokio::test]
async fn an_event_is_delivered_twice_and_the_second_is_marked() {
    let mut bench = Bench::new().await;
    let (mut browser, mut target) = bench.join().await;
    let advance = at(PLAYER, Direction::ToServer, "advance_scene");
    bench.set("twice", advance, Fault::Duplicate);
    say(&mut browser, r#"42["advance_scene",{"a":1}]"#).await;
    say(&mut browser, r#"42["after"]"#).await;
    for expected in [
        r#"42["advance_scene",{"a":1}]"#,
        r#"42["advance_scene",{"a":1}]"#,
        r#"42["after"]"#,
    ] {
        assert_eq!(heard_by_target(&mut target).await, expected);
    }
    let passed = |name: &str, origin| (name.to_owned(), origin);
    assert_eq!(
        bench.passed(Direction::ToServer),
        [
            passed("advance_scene", Origin::Natural),
            passed("advance_scene", Origin::Synthetic),
            passed("after", Origin::Natural),
        ]
    );
    let doubled = ("twice".to_owned(), RuleEffect::Duplicated);
    assert_eq!(bench.effects(), [doubled]);
}

#[tokio::test]
async fn a_later_event_overtakes_an_earlier_one_and_only_that() {
    let mut bench = Bench::new().await;
    let (mut browser, mut target) = bench.join().await;
    let activate = at(PLAYER, Direction::ToClient, "activate");
    let before = "terminate".into();
    bench.set("order", activate, Fault::Overtake { before });
    for event in ["terminate", "between", "activate", "after"] {
        tell_event(&mut target, event).await;
    }
    let expected = ["between", "activate", "terminate", "after"];
    assert_eq!(heard_up_to(&mut browser, "after").await, expected);
    let origins: Vec<_> = bench
        .passed(Direction::ToClient)
        .into_iter()
        .map(|(_, origin)| origin)
        .collect();
    let (natural, synthetic) = (Origin::Natural, Origin::Synthetic);
    assert_eq!(origins, [natural, synthetic, natural, natural]);
    let expected = [RuleEffect::SetAside, RuleEffect::Overtook].map(|one| ("order".into(), one));
    assert_eq!(bench.effects(), expected);
}

#[tokio::test]
async fn the_probe_tells_its_page_on_the_runs_clock() {
    let bench = Bench::new().await;
    let mut page = bench.probe().await;
    assert_eq!(heard_json(&mut page).await, json!({"clock": true}));
    say(&mut page, r#"{"now":5.0}"#).await;
    let offset = heard_json(&mut page).await["offset"]
        .as_f64()
        .expect("a number");
    assert!(offset > -5.0 && offset + 5.0 <= bench.recorder.now());
    // One sample is none: a page that is busy answers late. It is asked again at once, and only a
    // shorter round trip counts.
    let known = |clock: &Fact| matches!(clock, Fact::Clock(clock) if clock.page == 1);
    let Fact::Clock(clock) = bench.fact("the clock", known).await else {
        unreachable!()
    };
    assert!(clock.offset == offset && clock.bound >= 0.0);
    assert_eq!(heard_json(&mut page).await, json!({"clock": true}));
    let hello = json!({
        "page_t": 0.5, "event": "hello", "url": "http://a/", "user_agent": "b", "secure": true,
    });
    say(&mut page, &hello.to_string()).await;
    let said = bench
        .fact("the hello", |fact| matches!(fact, Fact::Page(_)))
        .await;
    let Fact::Page(said) = said else {
        unreachable!()
    };
    assert_eq!((said.page, said.page_t), (1, 0.5));
    assert!(matches!(said.what, PageFact::Hello { secure: true, .. }));

    // Nothing is told before it happens, whatever the page's clock says.
    say(&mut page, r#"{"page_t":1e9,"event":"bye"}"#).await;
    let bye = |fact: &Fact| matches!(fact, Fact::Page(event) if event.what == PageFact::Bye {});
    let Fact::Page(bye) = bench.fact("the bye", bye).await else {
        unreachable!()
    };
    assert!(bye.page_t <= bench.recorder.now());

    say(&mut page, r#"{"page_t":1,"event":"news"}"#).await;
    say(&mut page, "what?").await;
    let unreadable = |start: &'static str| {
        move |fact: &Fact| {
            matches!(fact, Fact::Page(event) if matches!(&event.what, PageFact::Console { level, text }
                if level == "probe" && text.starts_with("unreadable event: ") && text.contains(start)))
        }
    };
    bench.fact("an unknown event", unreadable("news")).await;
    bench.fact("no JSON", unreadable("what?")).await;
}

#[tokio::test]
async fn a_page_that_goes_elsewhere_is_told_from_one_that_has_crashed() {
    const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
    const CHROMIUM: &str = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/156.0.0.0";
    let cases = [
        (FIREFOX, Some(""), false),
        // What Firefox says when the process of a page is gone.
        (FIREFOX, Some("Child was killed"), true),
        (FIREFOX, None, true),
        // It says the same of either, and a page that is left there says farewell.
        (CHROMIUM, Some(""), true),
    ];
    let cases = cases.map(async |(user_agent, reason, has_crashed)| {
        let bench = Bench::new().await;
        let mut page = bench.probe().await;
        let hello = json!({
            "page_t": 0.5, "event": "hello", "url": "http://a/", "user_agent": user_agent,
            "secure": true,
        });
        say(&mut page, &hello.to_string()).await;
        let is_hello = |fact: &Fact| matches!(fact, Fact::Page(_));
        bench.fact("the hello", is_hello).await;
        if let Some(reason) = reason {
            let frame = CloseFrame {
                code: CloseCode::Away,
                reason: reason.into(),
            };
            page.close(Some(frame)).await.expect("written");
        }
        drop(page);
        tokio::time::sleep(NEXT_PAGE + Duration::from_secs(1)).await;
        let broken = bench.recorder.broken();
        let said = broken.is_some_and(|broken| broken.reason.contains("tab crashed"));
        assert_eq!(said, has_crashed, "{user_agent} {reason:?}");
    });
    futures_util::future::join_all(cases).await;
}

#[tokio::test]
async fn the_probe_replies_to_requests() {
    let bench = Bench::new().await;
    let probe = bench.gateway.probe(PLAYER);
    let ask = |deadline| {
        let probe = probe.clone();
        tokio::spawn(async move {
            probe
                .request(json!({"cmd": "snapshot", "x": 1}), deadline)
                .await
        })
    };
    let nobody = ask(PATIENCE).await.expect("no panic");
    assert!(matches!(nobody, Err(ProbeError::NoPage { .. })));
    assert_eq!(probe.page(), 0);

    let mut page = bench.probe().await;
    heard(&mut page).await;
    assert_eq!(probe.page(), 1);
    let (first, second) = (ask(PATIENCE), ask(PATIENCE));
    let request = heard_json(&mut page).await;
    assert_eq!(request, json!({"id": 1, "cmd": "snapshot", "x": 1}));
    assert_eq!(heard_json(&mut page).await["id"], 2);
    say(&mut page, r#"{"re":2,"error":"not now"}"#).await;
    say(&mut page, r#"{"re":1,"state":{}}"#).await;
    let replies = [
        first.await.expect("no panic"),
        second.await.expect("no panic"),
    ];
    assert!(replies.contains(&Ok(json!({"state": {}}))));
    let refused = |reply: &Result<_, _>| matches!(reply, Err(ProbeError::Refused { reason, .. }) if reason == "not now");
    assert!(replies.iter().any(refused));

    let late = ask(Duration::from_millis(1)).await.expect("no panic");
    assert!(matches!(late, Err(ProbeError::Deadline { .. })));
    heard(&mut page).await;
    let lost = ask(PATIENCE);
    heard(&mut page).await;
    drop(page);
    let lost = lost.await.expect("no panic");
    assert!(matches!(lost, Err(ProbeError::Gone { .. })));

    let mut next = bench.probe().await;
    heard(&mut next).await;
    assert_eq!(probe.page(), 2);
}

#[tokio::test]
async fn only_the_players_page_gets_on_the_probes_line() {
    let bench = Bench::new().await;
    for path in ["/__gymcheck/probe", "/__gymcheck/probe?token=guess"] {
        let refused = connect(&bench.address(path)).await;
        assert!(matches!(refused, Err(WsError::Http(answer)) if answer.status() == 403));
    }
    let token = bench.probe_config().await["token"].clone();
    let path = format!(
        "/__gymcheck/probe?token={}",
        token.as_str().expect("a text")
    );
    let partner = format!("{}{path}", bench.gateway.origin("partner"));
    assert!(connect(&partner).await.is_err());
}

#[tokio::test]
async fn a_gateway_ends_all_it_began() {
    let mut bench = Bench::new().await;
    let (mut browser, mut target) = bench.join().await;
    let origin = bench.gateway.origin(PLAYER);
    let ending = tokio::spawn(bench.gateway.shutdown());
    assert!(heard(&mut browser).await.starts_with("Close("));
    assert!(heard_by_target(&mut target).await.starts_with("Close("));
    timeout(PATIENCE, ending)
        .await
        .expect("in time")
        .expect("no panic");
    let gone = |event: &Event| matches!(&event.fact, Fact::WireClosed(closed) if closed.by == End::Gateway);
    assert!(bench.recorder.find(0, gone).is_some());
    let address = origin.trim_start_matches("http://");
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn a_probe_without_a_place_for_its_settings_is_no_probe() {
    let mut options = options(([127, 0, 0, 1], 9).into(), Mirror::default(), Vec::new());
    options.probe_script = "probe({})".into();
    let started = Gateway::start(options, Recorder::in_memory()).await;
    assert!(matches!(started, Err(GatewayError::ProbeScript)));
}

//! A barrier over the real gateway, between a page and a target that are both played by the test.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::extract::ws::{Message as TargetMessage, WebSocket, WebSocketUpgrade};
use axum::response::{Html, Response};
use axum::routing::get;
use futures_util::{SinkExt, StreamExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};
use tokio_util::task::AbortOnDropHandle;

use super::*;
use crate::evidence::{Origin, REGISTER, ServerHandled};
use crate::gateway::{GatewayOptions, Mirror};

const PATIENCE: Duration = Duration::from_secs(20);
const SURVIVOR: PlayerName = PlayerName::Survivor;
const SLOW: &str = r#"42["slow",{}]"#;
const OWN_PING: &str = r#"42["ping",{}]"#;
const PONG: &str = r#"42["pong",{}]"#;

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

struct Bench {
    gateway: Arc<Gateway>,
    recorder: Recorder,
    /// The page's socket, and the target's end of it.
    page: Socket,
    target: WebSocket,
    /// Where the target's ends of further sockets come.
    sockets: mpsc::UnboundedReceiver<WebSocket>,
    /// What the probe says that the page has sent and received.
    sent: Arc<AtomicU64>,
    received: Arc<AtomicU64>,
    /// Tells of each question to the probe.
    asked: mpsc::UnboundedReceiver<()>,
    _tasks: [AbortOnDropHandle<()>; 2],
}

impl Bench {
    /// A page that has registered its participant.
    async fn new() -> Bench {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let upstream = listener.local_addr().expect("bound");
        let (opened, mut sockets) = mpsc::unbounded_channel();
        let router = Router::new()
            .route("/", get(async || Html("<html><head></head></html>")))
            .route("/socket.io/", get(socket))
            .with_state(opened);
        let target = tokio::spawn(async move {
            axum::serve(listener, router).await.expect("it serves");
        });
        let recorder = Recorder::in_memory();
        let options = GatewayOptions {
            upstream,
            players: vec![SURVIVOR.to_string()],
            mirror: Mirror::default(),
            edits: Vec::new(),
            probe_script: "probe(/*GYMCHECK_CONFIG*/{})".into(),
        };
        let gateway = Gateway::start(options, recorder.clone()).await;
        let gateway = Arc::new(gateway.expect("a gateway"));
        let (sent, received) = <(Arc<AtomicU64>, Arc<AtomicU64>)>::default();
        let (asking, asked) = mpsc::unbounded_channel();
        let line = probe_line(&gateway).await;
        let probe = play_probe(line, Arc::clone(&sent), Arc::clone(&received), asking);
        let address = format!("{}/socket.io/", gateway.origin(SURVIVOR.as_str()));
        let page = connect(&address).await;
        let target_end = sockets.recv().await.expect("the target lives");
        let mut bench = Bench {
            gateway,
            recorder,
            page,
            target: target_end,
            sockets,
            sent,
            received,
            asked,
            _tasks: [
                AbortOnDropHandle::new(target),
                AbortOnDropHandle::new(tokio::spawn(probe)),
            ],
        };
        bench.register().await;
        bench
    }

    /// The page is let in on its socket, and registers its participant.
    async fn register(&mut self) {
        self.say("40").await;
        self.tell(r#"40{"sid":"a"}"#).await;
        self.say(&format!(r#"42["{REGISTER}"]"#)).await;
        self.sent.store(2, Ordering::SeqCst);
        self.received.store(1, Ordering::SeqCst);
    }

    /// The network breaks, and nothing is left of the page's socket.
    async fn breaks(&mut self) {
        self.gateway.cut("network-breaks", SURVIVOR.as_str());
        while self.gateway.passed(SURVIVOR.as_str()).is_some() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// The page opens a new socket, on which it counts anew.
    async fn reconnect(&mut self) {
        self.sent.store(2, Ordering::SeqCst);
        self.received.store(1, Ordering::SeqCst);
        let address = format!("{}/socket.io/", self.gateway.origin(SURVIVOR.as_str()));
        self.page = connect(&address).await;
        self.target = self.sockets.recv().await.expect("the target lives");
        self.register().await;
    }

    /// The page says something, and the target hears it.
    async fn say(&mut self, text: &str) {
        self.page.send(Message::text(text)).await.expect("written");
        assert_eq!(heard(&mut self.target).await, text);
    }

    /// The target says something, and the page hears it.
    async fn tell(&mut self, text: &str) {
        let said = self.target.send(TargetMessage::text(text)).await;
        said.expect("written");
        let heard = timeout(PATIENCE, self.page.next()).await.expect("in time");
        assert_eq!(heard.expect("open").expect("text"), Message::text(text));
    }
}

/// The target tells that it has finished with an event.
fn handled(recorder: &Recorder, event: &str) {
    let handled = ServerHandled {
        event: event.into(),
        sid: "a".into(),
        error: None,
        reason: None,
    };
    recorder.record(Fact::ServerHandled(handled));
}

async fn socket(
    State(opened): State<mpsc::UnboundedSender<WebSocket>>,
    upgrade: WebSocketUpgrade,
) -> Response {
    upgrade.on_upgrade(async move |socket| opened.send(socket).expect("the test waits for it"))
}

async fn connect(address: &str) -> Socket {
    let address = address.replace("http://", "ws://");
    connect_async(address).await.expect("a WebSocket").0
}

async fn heard(target: &mut WebSocket) -> String {
    let message = timeout(PATIENCE, target.recv()).await.expect("in time");
    match message.expect("open").expect("a message") {
        TargetMessage::Text(text) => text.to_string(),
        other => format!("{other:?}"),
    }
}

/// The line that a page's probe opens.
async fn probe_line(gateway: &Gateway) -> Socket {
    let origin = gateway.origin(SURVIVOR.as_str());
    // Every client wants to know with what it would encrypt.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let page = reqwest::Client::builder().no_proxy().build();
    let page = page.expect("a client").get(&origin).send().await;
    let page = page.expect("a page").text().await.expect("a text");
    let config = page.split_once("probe(").expect("the probe").1;
    let config = config.split_once(')').expect("its end").0;
    let config: Value = serde_json::from_str(config).expect("its settings");
    let text = |name: &str| config[name].as_str().expect("a text");
    connect(&format!("{origin}{}?token={}", text("path"), text("token"))).await
}

/// Answers as a probe whose page has sent and received so much.
async fn play_probe(
    mut line: Socket,
    sent: Arc<AtomicU64>,
    received: Arc<AtomicU64>,
    asking: mpsc::UnboundedSender<()>,
) {
    while let Some(Ok(Message::Text(text))) = line.next().await {
        let said: Value = serde_json::from_str(&text).expect("JSON");
        let answer = if said.get("clock").is_some() {
            json!({"now": 1.0})
        } else if let Some(id) = said.get("id") {
            // Nobody may wait for it any more.
            let _ = asking.send(());
            let socket = json!({
                "id": 1, "url": "ws://page/socket.io/", "state": "open",
                "received": received.load(Ordering::SeqCst), "sent": sent.load(Ordering::SeqCst),
            });
            json!({"re": id, "page_t": 1.0, "websockets": [socket]})
        } else {
            continue;
        };
        let answered = line.send(Message::text(answer.to_string())).await;
        answered.expect("written");
    }
}

/// Plays a target that answers so many pings, and gives all that it hears up to the last.
async fn answer(target: &mut WebSocket, pings: usize) -> Vec<String> {
    let mut all = Vec::new();
    while all.iter().filter(|text| *text == OWN_PING).count() < pings {
        let text = heard(target).await;
        if text == OWN_PING {
            let said = target.send(TargetMessage::text(PONG)).await;
            said.expect("written");
        }
        all.push(text);
    }
    all
}

fn barrier<'a>(gateway: &'a Gateway, recorder: &'a Recorder) -> Barrier<'a> {
    Barrier {
        gateway,
        recorder,
        player: SURVIVOR,
        label: "here",
    }
}

#[tokio::test]
async fn a_barrier_waits_for_what_the_page_has_sent() {
    let mut bench = Bench::new().await;
    let barrier = barrier(&bench.gateway, &bench.recorder);
    // It has sent more than has come, and so it is asked again and again.
    bench.sent.store(3, Ordering::SeqCst);
    let sends = async {
        for _ in 0..5 {
            bench.asked.recv().await.expect("it is asked");
        }
        bench.page.send(Message::text(SLOW)).await.expect("written");
    };
    let answers = answer(&mut bench.target, ROUND_TRIPS);
    let all = async { tokio::join!(barrier.reach(Watched::Nothing), sends, answers) };
    let (reached, (), heard) = timeout(PATIENCE, all).await.expect("in time");
    let seq = reached.expect("it is reached");
    assert_eq!(heard[..2], [SLOW, OWN_PING]);
    let log = bench.recorder.log();
    assert_eq!(
        log.barrier("survivor", "here").map(|event| event.seq),
        Some(seq)
    );
    assert_eq!(log.own_pings("survivor").count(), ROUND_TRIPS);
}

#[tokio::test]
async fn a_barrier_waits_until_the_page_has_received_all() {
    let mut bench = Bench::new().await;
    let barrier = barrier(&bench.gateway, &bench.recorder);
    bench.received.store(0, Ordering::SeqCst);
    let receives = async {
        for _ in 0..5 {
            bench.asked.recv().await.expect("it is asked");
        }
        assert_eq!(bench.recorder.log().own_pings("survivor").count(), 0);
        bench.received.store(1, Ordering::SeqCst);
    };
    let answers = answer(&mut bench.target, ROUND_TRIPS);
    let all = async { tokio::join!(barrier.reach(Watched::Nothing), receives, answers) };
    let (reached, (), _) = timeout(PATIENCE, all).await.expect("in time");
    reached.expect("it is reached");
}

#[tokio::test]
async fn a_barrier_waits_until_the_target_has_finished() {
    let mut bench = Bench::new().await;
    handled(&bench.recorder, REGISTER);
    bench.say(SLOW).await;
    bench.sent.store(3, Ordering::SeqCst);
    let barrier = barrier(&bench.gateway, &bench.recorder);
    let target = &mut bench.target;
    let finishes = async {
        answer(target, 1).await;
        // It has answered, and handles the event before the ping still: nothing may follow.
        let early = timeout(Duration::from_millis(200), heard(target)).await;
        assert!(early.is_err(), "{early:?}");
        handled(&bench.recorder, "slow");
        answer(target, ROUND_TRIPS - 1).await;
    };
    let all = async { tokio::join!(barrier.reach(Watched::Nothing), finishes) };
    let (reached, ()) = timeout(PATIENCE, all).await.expect("in time");
    let seq = reached.expect("it is reached");
    let log = bench.recorder.log();
    let Some(Fact::Barrier(reached)) = log.events().get(seq as usize).map(|event| &event.fact)
    else {
        panic!("it is recorded");
    };
    assert!(
        reached
            .rests_on
            .iter()
            .any(|one| one.contains("all 2 events")),
        "{:?}",
        reached.rests_on
    );
}

#[tokio::test]
async fn a_barrier_is_no_part_of_what_the_page_does() {
    let mut bench = Bench::new().await;
    let barrier = barrier(&bench.gateway, &bench.recorder);
    let answers = answer(&mut bench.target, ROUND_TRIPS);
    let all = async { tokio::join!(barrier.reach(Watched::Page("a watch".into())), answers) };
    timeout(PATIENCE, all)
        .await
        .expect("in time")
        .0
        .expect("it is reached");
    let log = bench.recorder.log();
    for (direction, name) in [(Direction::ToServer, "ping"), (Direction::ToClient, "pong")] {
        assert_eq!(log.socket_events("survivor", direction, name).count(), 0);
        for event in log.events() {
            assert_eq!(crate::player::socket_event(event, direction, name), None);
        }
    }
    let own =
        |event: &&Event| matches!(&event.fact, Fact::Wire(wire) if wire.origin == Origin::Harness);
    assert_eq!(log.events().iter().filter(own).count(), 2 * ROUND_TRIPS);
}

#[tokio::test]
async fn a_barrier_of_a_run_that_broke_is_broken() {
    let mut bench = Bench::new().await;
    let barrier = barrier(&bench.gateway, &bench.recorder);
    let breaks = async {
        assert_eq!(heard(&mut bench.target).await, OWN_PING);
        bench.recorder.record(Fact::Broken(BrokenFact {
            component: "target".into(),
            reason: "it died".into(),
            last_lines: Vec::new(),
            worth_a_retry: true,
        }));
    };
    let all = async { tokio::join!(barrier.reach(Watched::Nothing), breaks).0 };
    let reached = timeout(PATIENCE, all).await.expect("at once");
    assert!(
        matches!(&reached, Err(PlayerError::Broken(broken)) if broken.reason == "it died"),
        "{reached:?}"
    );
}

#[tokio::test]
async fn a_barrier_beside_a_new_socket_goes_by_what_passes_on_that() {
    let mut bench = Bench::new().await;
    for _ in 0..3 {
        bench.tell(r#"42["news",{}]"#).await;
    }
    let gateway = Arc::clone(&bench.gateway);
    let recorder = bench.recorder.clone();
    let barrier = barrier(&gateway, &recorder);
    let reconnects = async {
        // What came on the old one, the page does not count any more.
        for _ in 0..5 {
            bench.asked.recv().await.expect("it is asked");
        }
        bench.breaks().await;
        bench.reconnect().await;
        answer(&mut bench.target, ROUND_TRIPS).await
    };
    let all = async { tokio::join!(barrier.reach(Watched::Nothing), reconnects) };
    let (reached, _) = timeout(PATIENCE, all).await.expect("in time");
    reached.expect("it is reached");
}

#[tokio::test]
async fn a_barrier_waits_for_a_page_that_connects_again() {
    let mut bench = Bench::new().await;
    let gateway = Arc::clone(&bench.gateway);
    let recorder = bench.recorder.clone();
    let barrier = barrier(&gateway, &recorder);
    bench.breaks().await;
    let reconnects = async {
        tokio::time::sleep(deadline::LAST_WORDS + Duration::from_secs(1)).await;
        bench.reconnect().await;
        answer(&mut bench.target, ROUND_TRIPS).await
    };
    let all = async { tokio::join!(barrier.reach(Watched::Nothing), reconnects).0 };
    let reached = timeout(PATIENCE, all).await.expect("in time");
    reached.expect("it is reached");
}

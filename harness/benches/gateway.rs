//! The gateway against the direct way: round trips and data rate of a WebSocket, and the load of a page in a
//! browser. `cargo bench --bench gateway`

mod support;
#[path = "../tests/support/mod.rs"]
mod tests_support;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Instant;

use axum::Router;
use axum::extract::ws::{Message as TargetMessage, WebSocket, WebSocketUpgrade};
use axum::http::header;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use futures_util::{SinkExt, StreamExt};
use gymcheck::evidence::Recorder;
use gymcheck::gateway::{Gateway, GatewayOptions, Mirror};
use gymcheck::probe::SCRIPT;
use support::{Table, median, milliseconds};
use tests_support::{Browser, Kind};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

const PLAYER: &str = "survivor";
const SOCKET: &str = "/socket.io/?EIO=4&transport=websocket";

/// Both ways are taken in turn, this many times.
const TURNS: usize = 10;
const TRIPS: usize = 300;

/// What a game may send at once, as an event of Socket.IO.
const EVENT_BYTES: usize = 16 << 10;
const EVENTS: usize = 500;

/// As the page of a game has them.
const SCRIPTS: usize = 25;
const SCRIPT_BYTES: usize = 60 << 10;
const LOADS: usize = 40;

/// In place of the probe: what it costs is told apart from what the gateway costs.
const NO_PROBE: &str = "(() => {})(/*GYMCHECK_CONFIG*/{})";

type Client = WebSocketStream<MaybeTlsStream<TcpStream>>;

async fn socket(upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(|mut socket: WebSocket| async move {
        let filling = "x".repeat(EVENT_BYTES);
        while let Some(Ok(TargetMessage::Text(said))) = socket.recv().await {
            let answers = match said.contains("much") {
                true => vec![format!("42[\"state\",\"{filling}\"]"); EVENTS],
                false => vec!["42[\"pong\",{\"n\":1}]".to_owned()],
            };
            for answer in answers {
                if socket.send(TargetMessage::text(answer)).await.is_err() {
                    return;
                }
            }
        }
    })
}

async fn page() -> Html<String> {
    let scripts =
        (0..SCRIPTS).map(|number| format!("<script src=\"/script/{number}.js\"></script>"));
    Html(format!(
        "<!doctype html><html><head><title>A page</title></head><body><h1>A game</h1>{}</body></html>",
        scripts.collect::<String>()
    ))
}

async fn script() -> impl IntoResponse {
    let line = "window.lines = (window.lines || 0) + 1; // a line of a game's own script\n";
    let text = line.repeat(SCRIPT_BYTES / line.len());
    (
        [
            (header::CONTENT_TYPE, "text/javascript"),
            (header::CACHE_CONTROL, "no-store"),
        ],
        text,
    )
}

async fn target() -> SocketAddr {
    let router = Router::new()
        .route("/", get(page))
        .route("/script/{name}", get(script))
        .route("/socket.io/", get(socket));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .expect("a port");
    let address = listener.local_addr().expect("its address");
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

async fn trip(client: &mut Client) -> f64 {
    let began = Instant::now();
    client
        .send(Message::text("42[\"ping\",{\"n\":1}]"))
        .await
        .expect("it is sent");
    client.next().await.expect("an answer").expect("an answer");
    milliseconds(began.elapsed())
}

/// In MB each second.
async fn rate(client: &mut Client) -> f64 {
    let began = Instant::now();
    client
        .send(Message::text("42[\"much\"]"))
        .await
        .expect("it is sent");
    for _ in 0..EVENTS {
        client.next().await.expect("an event").expect("an event");
    }
    (EVENTS * EVENT_BYTES) as f64 / 1e6 / began.elapsed().as_secs_f64()
}

async fn got(client: &reqwest::Client, address: &str) -> f64 {
    let began = Instant::now();
    let answer = client.get(address).send().await.expect("an answer");
    let script = answer.bytes().await.expect("a script");
    assert!(script.len() > SCRIPT_BYTES / 2);
    milliseconds(began.elapsed())
}

async fn load(browser: &Browser, address: &str) -> f64 {
    browser.client.goto(address).await.expect("it loads");
    let took = "return performance.getEntriesByType('navigation')[0].loadEventEnd";
    let took = browser
        .client
        .execute(took, Vec::new())
        .await
        .expect("a time");
    let lines = browser
        .client
        .execute("return window.lines", Vec::new())
        .await;
    assert!(lines.expect("it ran").as_u64() > Some(1000));
    took.as_f64().expect("a number")
}

async fn before(upstream: SocketAddr, probe: &str, recorder: &Recorder) -> Gateway {
    let options = GatewayOptions {
        upstream,
        players: vec![PLAYER.to_owned()],
        mirror: Mirror::default(),
        edits: Vec::new(),
        probe_script: probe.to_owned(),
    };
    let gateway = Gateway::start(options, recorder.clone()).await;
    gateway.expect("a gateway")
}

#[tokio::main]
async fn main() {
    let upstream = target().await;
    let folder = tempfile::tempdir().expect("a folder");
    let recorder = Recorder::to_file(&folder.path().join("evidence.jsonl")).expect("a log");
    let gateway = before(upstream, NO_PROBE, &recorder).await;
    let probing = before(upstream, SCRIPT, &recorder).await;
    let direct = format!("http://{upstream}");
    let through = gateway.origin(PLAYER);
    let probed = probing.origin(PLAYER);

    let table = Table::new("gateway against the direct way (medians)");
    let mut clients = Vec::new();
    for origin in [&direct, &through] {
        let address = format!("{}{SOCKET}", origin.replace("http", "ws"));
        clients.push(connect_async(address).await.expect("a WebSocket").0);
    }
    let (mut trips, mut rates) = ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()]);
    for _ in 0..TURNS {
        for (way, client) in clients.iter_mut().enumerate() {
            for _ in 0..TRIPS {
                trips[way].push(trip(client).await);
            }
            rates[way].push(rate(client).await);
        }
    }
    let [ours, theirs] = [median(&trips[1]), median(&trips[0])];
    table.ratio(
        "WebSocket round trip",
        "ms",
        ("direct", theirs),
        ("gateway", ours),
    );
    table.value("  added to it", ours - theirs, "ms");
    let rates = rates.map(|rates| median(&rates));
    table.ratio(
        "WebSocket data rate",
        "MB/s",
        ("direct", rates[0]),
        ("gateway", rates[1]),
    );

    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().build();
    let client = client.expect("a client");
    let mut took = [Vec::new(), Vec::new()];
    for _ in 0..TRIPS {
        for (way, origin) in [&direct, &through].into_iter().enumerate() {
            took[way].push(got(&client, &format!("{origin}/script/1.js")).await);
        }
    }
    let took = took.map(|took| median(&took));
    table.ratio(
        "one script, no browser",
        "ms",
        ("direct", took[0]),
        ("gateway", took[1]),
    );

    for kind in [Kind::Chrome, Kind::Firefox] {
        let browser = Browser::start(kind).await;
        let mut loads = [Vec::new(), Vec::new(), Vec::new()];
        // The first of each warms the browser up.
        for turn in 0..=LOADS {
            for (way, origin) in [&direct, &through, &probed].into_iter().enumerate() {
                let took = load(&browser, origin).await;
                if turn > 0 {
                    loads[way].push(took);
                }
            }
        }
        browser.close().await;
        let loads = loads.map(|loads| median(&loads));
        let what = format!("page load in {kind}");
        table.ratio(&what, "ms", ("direct", loads[0]), ("gateway", loads[1]));
        let what = "  with the probe in the page";
        table.ratio(what, "ms", ("direct", loads[0]), ("gateway", loads[2]));
    }
    gateway.shutdown().await;
    probing.shutdown().await;
}

//! What a hostile target, a hostile page, and strangers on the same machine get from the gateway: a
//! refusal, or a run that is broken with who sent what, and how much of it.

#[path = "support/bench.rs"]
mod bench;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use bench::Bench;
use futures_util::{SinkExt, StreamExt};
use gymcheck::evidence::{BrokenFact, WaitError};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error as WsError, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, accept_async, connect_async};

/// How long anything may take here. A green test waits for none of it.
const PATIENCE: Duration = Duration::from_secs(30);
const PLAYER: &str = "survivor";
const SOCKET: &str = "/socket.io/?EIO=4&transport=websocket";
const MIB: usize = 1 << 20;

type Browser = WebSocketStream<MaybeTlsStream<TcpStream>>;

impl Bench {
    async fn new() -> Bench {
        Bench::of(&[PLAYER]).await
    }

    fn address(&self) -> SocketAddr {
        let origin = self.gateway.origin(PLAYER);
        let address = origin.trim_start_matches("http://").parse();
        address.expect("an address")
    }

    /// The browser's end of a WebSocket, and the target's connection below it.
    async fn open(&self) -> (Browser, TcpStream) {
        let address = format!("ws://{}{SOCKET}", self.address());
        let browser = tokio::spawn(connect_async(address));
        let (stream, _) = self.target.accept().await.expect("a connection");
        let target = accept_async(stream).await.expect("a WebSocket");
        let (browser, _) = browser.await.expect("no panic").expect("a WebSocket");
        (browser, target.into_inner())
    }

    /// The same, with the target as one that keeps to the rules of WebSockets.
    async fn open_whole(&self) -> (Browser, WebSocketStream<TcpStream>) {
        let (browser, target) = self.open().await;
        let role = tokio_tungstenite::tungstenite::protocol::Role::Server;
        let target = WebSocketStream::from_raw_socket(target, role, None).await;
        (browser, target)
    }

    /// What a browser gets that sends this. The target answers as it is told.
    async fn exchange(&self, request: &[u8], answer: &[&[u8]]) -> String {
        let mut browser = TcpStream::connect(self.address()).await.expect("taken");
        browser.write_all(request).await.expect("written");
        let answering = async {
            let (mut target, _) = self.target.accept().await.expect("a connection");
            let mut head = [0; 4096];
            let _ = target.read(&mut head).await;
            // The last part is written for as long as somebody takes it.
            let (last, first) = answer.split_last().expect("an answer");
            for part in first {
                let _ = target.write_all(part).await;
            }
            while !last.is_empty() && target.write_all(last).await.is_ok() {}
        };
        let mut text = Vec::new();
        let reading = async {
            let _ = browser.read_to_end(&mut text).await;
        };
        // A request that is refused reaches no target.
        let both = async {
            tokio::select! {
                () = reading => {}
                () = async { answering.await; std::future::pending().await } => {}
            }
        };
        timeout(PATIENCE, both).await.expect("an answer in time");
        String::from_utf8_lossy(&text).into_owned()
    }

    async fn broken(&self) -> BrokenFact {
        let broken = self.recorder.wait(0, PATIENCE, "the end", |_| false).await;
        match broken {
            Err(WaitError::Broken { broken, .. }) => broken,
            other => panic!("the run is not broken: {other:?}"),
        }
    }

    /// Whether the run is broken, by whom, and with these words.
    async fn assert_broken(&self, component: &str, words: &[&str]) {
        let broken = self.broken().await;
        assert_eq!(broken.component, component, "{}", broken.reason);
        for word in words {
            assert!(broken.reason.contains(word), "{word}: {}", broken.reason);
        }
        assert!(!broken.worth_a_retry);
    }
}

async fn assert_ended(browser: &mut Browser) {
    let rest = async {
        while let Some(Ok(message)) = browser.next().await {
            if message.is_close() {
                return;
            }
        }
    };
    timeout(PATIENCE, rest).await.expect("it ends in time");
}

fn get(origin: &str, more: &str) -> Vec<u8> {
    format!("GET /page HTTP/1.1\r\nHost: {origin}\r\nConnection: close\r\n{more}\r\n").into_bytes()
}

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";

#[tokio::test]
async fn an_event_of_a_gibibyte_is_not_waited_for() {
    let bench = Bench::new().await;
    let (mut browser, mut target) = bench.open().await;
    let mut head = vec![0x81, 127];
    head.extend_from_slice(&(1_u64 << 30).to_be_bytes());
    target.write_all(&head).await.expect("written");
    let words = [
        "the target sent the survivor's page",
        "1073741824 bytes",
        "16777216",
    ];
    bench.assert_broken("target", &words).await;
    assert_ended(&mut browser).await;
}

#[tokio::test]
async fn a_message_that_never_ends_is_given_up() {
    let bench = Bench::new().await;
    let (mut browser, mut target) = bench.open().await;
    let part = vec![b'x'; MIB];
    let writing = async {
        let mut first = 0x01;
        loop {
            let mut head = vec![first, 127];
            head.extend_from_slice(&(MIB as u64).to_be_bytes());
            if target.write_all(&head).await.is_err() || target.write_all(&part).await.is_err() {
                return;
            }
            first = 0x00;
        }
    };
    timeout(PATIENCE, writing)
        .await
        .expect("nobody takes it for ever");
    bench
        .assert_broken("target", &["WebSocket message", "16777216"])
        .await;
    assert_ended(&mut browser).await;
}

#[tokio::test]
async fn broken_frames_break_the_run_and_an_end_that_is_gone_does_not() {
    let bench = Bench::new().await;
    let (mut browser, mut target) = bench.open().await;
    target
        .write_all(&[0xF1, 0x01, b'2'])
        .await
        .expect("written");
    bench
        .assert_broken("target", &["a broken frame on a WebSocket"])
        .await;
    assert_ended(&mut browser).await;

    let bench = Bench::new().await;
    let (mut browser, target) = bench.open().await;
    drop(target);
    assert_ended(&mut browser).await;
    assert_eq!(bench.recorder.broken(), None);
}

#[tokio::test]
async fn a_page_that_sends_too_much_is_named_as_the_one_that_did() {
    let bench = Bench::new().await;
    let (mut browser, _target) = bench.open().await;
    // The gateway ends the connection while this is being written.
    let _ = browser.send(Message::text("x".repeat(17 * MIB))).await;
    bench
        .assert_broken("page", &["the survivor's page sent", "16777216"])
        .await;
}

#[tokio::test]
async fn packets_beyond_what_is_taken_break_the_run() {
    let deep = format!("42[\"a\",{}{}]", "[".repeat(60), "]".repeat(60));
    let deeper = format!("42[\"a\",{}", "{\"a\":".repeat(100_000));
    let many = r#"451000000-["a"]"#;
    for (text, words) in [
        (deep.as_str(), ["nested 61 deep", "48"]),
        (&deeper, ["nested 100001 deep", "48"]),
        (many, ["1000000 attachments", "128"]),
    ] {
        let bench = Bench::new().await;
        let (mut browser, mut target) = bench.open_whole().await;
        target.send(Message::text(text)).await.expect("written");
        bench.assert_broken("target", &words).await;
        assert_ended(&mut browser).await;
    }
    let bench = Bench::new().await;
    let (mut browser, mut target) = bench.open_whole().await;
    let place = r#"{"_placeholder":true,"num":0}"#;
    let often = format!("451-[\"a\",{}]", [place; 1000].join(","));
    target.send(Message::text(often)).await.expect("written");
    target
        .send(Message::binary(vec![0xc0; 3]))
        .await
        .expect("written");
    let words = ["names one of its 1 attachments more than once"];
    bench.assert_broken("target", &words).await;
    assert_ended(&mut browser).await;
}

#[tokio::test]
async fn a_page_without_an_end_is_not_rewritten() {
    let bench = Bench::new().await;
    let head = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n";
    static PART: [u8; MIB] = [b' '; MIB];
    let request = get(&bench.address().to_string(), "");
    let answer = bench.exchange(&request, &[head, &PART]).await;
    assert!(answer.starts_with("HTTP/1.1 502"), "{answer}");
    let words = [
        "the target sent the survivor's page /page",
        "33554432 bytes",
    ];
    bench.assert_broken("target", &words).await;
}

#[tokio::test]
async fn a_page_that_is_broken_off_is_no_page_that_is_too_large() {
    let bench = Bench::new().await;
    let part = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 60\r\n\r\n<head>";
    let request = get(&bench.address().to_string(), "");
    let answer = bench.exchange(&request, &[part, b""]).await;
    assert!(answer.starts_with("HTTP/1.1 502"), "{answer}");
    assert!(
        answer.contains("the target broke its answer off"),
        "{answer}"
    );
}

#[tokio::test]
async fn header_fields_without_an_end_are_not_taken() {
    let bench = Bench::new().await;
    let request = get(&bench.address().to_string(), "");
    let answer = bench
        .exchange(&request, &[b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n"])
        .await;
    assert!(answer.starts_with("HTTP/1.1 502"), "{answer}");
    bench
        .assert_broken("target", &["header fields", "262144 bytes or 100 fields"])
        .await;

    let bench = Bench::new().await;
    let long = format!("X-A: {}\r\n", "b".repeat(MIB));
    let request = get(&bench.address().to_string(), &long);
    let answer = bench.exchange(&request, &[b""]).await;
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
    bench
        .assert_broken("page", &["the survivor's page sent", "262144 bytes"])
        .await;
}

/// The address of the probe's line, as the page gets it.
async fn probe_line(bench: &Bench) -> String {
    let request = get(&bench.address().to_string(), "");
    let html = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<head>";
    let page = bench.exchange(&request, &[html, b""]).await;
    let config = page.split_once("probe(").expect("the probe").1;
    let config = config.split_once(')').expect("its end").0;
    let config: serde_json::Value = serde_json::from_str(config).expect("its settings");
    let text = |name: &str| config[name].as_str().expect("a text").to_owned();
    format!(
        "ws://{}{}?token={}",
        bench.address(),
        text("path"),
        text("token")
    )
}

#[tokio::test]
async fn the_probes_line_takes_no_more_than_a_probe_says() {
    let deep = format!(
        "{{\"re\":1,\"state\":{}{}}}",
        "[".repeat(60),
        "]".repeat(60)
    );
    let large = "x".repeat(9 * MIB);
    for (text, words) in [
        (deep.as_str(), ["on the probe's line", "nested 61 deep"]),
        (&large, ["on the probe's line", "8388608"]),
    ] {
        let bench = Bench::new().await;
        let (mut page, _) = connect_async(probe_line(&bench).await)
            .await
            .expect("a line");
        let _ = page.send(Message::text(text)).await;
        bench.assert_broken("page", &words).await;
        assert_ended(&mut page).await;
    }
}

#[tokio::test]
async fn pages_of_other_origins_are_refused() {
    let bench = Bench::new().await;
    let own = bench.address().to_string();
    let other_port = format!("http://127.0.0.1:{}", bench.address().port() ^ 1);
    for (more, is_taken) in [
        (String::new(), true),
        (format!("Origin: http://{own}\r\n"), true),
        // A page may keep its origin to itself, and the browser says that it is the same.
        (
            "Origin: null\r\nSec-Fetch-Site: same-origin\r\n".to_owned(),
            true,
        ),
        ("Origin: null\r\n".to_owned(), false),
        (
            "Origin: null\r\nSec-Fetch-Site: cross-site\r\n".to_owned(),
            false,
        ),
        ("Origin: http://elsewhere.example\r\n".to_owned(), false),
        (format!("Origin: https://{own}\r\n"), false),
        (format!("Origin: {other_port}\r\n"), false),
        (
            format!("Origin: http://{own}\r\nOrigin: {other_port}\r\n"),
            false,
        ),
    ] {
        let answer = bench.exchange(&get(&own, &more), &[OK, b""]).await;
        let status = if is_taken {
            "HTTP/1.1 200"
        } else {
            "HTTP/1.1 403"
        };
        assert!(answer.starts_with(status), "{more}: {answer}");
        assert!(is_taken || answer.contains("may speak to it"), "{answer}");
    }
    // Another page of the same browser that has learned the token, too.
    for address in [format!("ws://{own}{SOCKET}"), probe_line(&bench).await] {
        let mut request = address.as_str().into_client_request().expect("a request");
        let origin = other_port.parse().expect("a value");
        request.headers_mut().insert("origin", origin);
        let refused = connect_async(request).await;
        let is_refused = matches!(&refused, Err(WsError::Http(answer)) if answer.status() == 403);
        assert!(is_refused, "{address}: {refused:?}");
    }
    assert_eq!(bench.recorder.broken(), None);
}

#[tokio::test]
async fn names_that_lead_here_are_refused() {
    let bench = Bench::new().await;
    let port = bench.address().port();
    for host in [
        "elsewhere.example".to_owned(),
        format!("elsewhere.example:{port}"),
        format!("localhost:{port}"),
        "127.0.0.1".to_owned(),
    ] {
        let answer = bench.exchange(&get(&host, ""), &[OK, b""]).await;
        assert!(answer.starts_with("HTTP/1.1 421"), "{host}: {answer}");
        assert!(
            answer.contains("this is the gateway of http://127.0.0.1:"),
            "{answer}"
        );
    }
}

#[tokio::test]
async fn a_listener_is_there_for_its_player_alone() {
    let bench = Bench::new().await;
    assert_eq!(bench.address().ip(), Ipv4Addr::LOCALHOST);
    // Another address of the same machine.
    let elsewhere = SocketAddr::from(([127, 0, 0, 2], bench.address().port()));
    assert!(TcpStream::connect(elsewhere).await.is_err());
}

/// Sends that many requests that the gateway answers by itself, one after the other, and gives how many of
/// the answers had this status.
async fn storm(bench: &Bench, requests: usize, status: &str) -> usize {
    let browser = TcpStream::connect(bench.address()).await.expect("taken");
    let (reading, mut writing) = browser.into_split();
    let head = format!(
        "GET /__gymcheck/mirror/cdn.example/a.js HTTP/1.1\r\nHost: {}\r\n",
        bench.address()
    );
    let sending = async {
        for _ in 1..requests {
            writing
                .write_all(format!("{head}\r\n").as_bytes())
                .await
                .expect("written");
        }
        let last = format!("{head}Connection: close\r\n\r\n");
        writing.write_all(last.as_bytes()).await.expect("written");
    };
    let counting = async {
        let mut lines = BufReader::new(reading).lines();
        let mut count = 0;
        while let Some(line) = lines.next_line().await.expect("an answer") {
            count += usize::from(line.ends_with(status));
        }
        count
    };
    let both = async { tokio::join!(sending, counting).1 };
    timeout(2 * PATIENCE, both).await.expect("answers in time")
}

#[tokio::test]
async fn a_storm_of_requests_is_not_answered_and_not_written_down_for_ever() {
    let bench = Bench::new().await;
    let refused = storm(&bench, 22_000, "429 Too Many Requests").await;
    assert_eq!(refused, 2_000);
    bench
        .assert_broken(
            "page",
            &["the survivor's page sent", "20001 HTTP requests", "20000"],
        )
        .await;
    let written = bench.recorder.len();
    storm(&bench, 1_000, "429 Too Many Requests").await;
    assert_eq!(bench.recorder.len(), written);
}

#[tokio::test]
async fn a_storm_of_reconnects_is_not_passed_on_for_ever() {
    let bench = Bench::new().await;
    let address = format!("ws://{}{SOCKET}", bench.address());
    let accepting = async {
        loop {
            let (stream, _) = bench.target.accept().await.expect("a connection");
            // It goes at once, and the page comes again.
            let _ = accept_async(stream).await;
        }
    };
    let opening = async {
        for opened in 0.. {
            if let Err(error) = connect_async(&address).await {
                return (opened, error);
            }
        }
        unreachable!("there is no end of numbers")
    };
    let (opened, error) = tokio::select! {
        refused = timeout(2 * PATIENCE, opening) => refused.expect("an end in time"),
        () = accepting => unreachable!("it has no end"),
    };
    assert_eq!(opened, 1_000);
    assert!(matches!(&error, WsError::Http(answer) if answer.status() == 429));
    bench
        .assert_broken("page", &["1001 openings of a WebSocket", "1000"])
        .await;
}

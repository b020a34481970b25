//! A player for whom the gateway passes nothing any more, without a browser: both ends of its connection stay
//! open, what they send is kept, and nobody else notices.

#[path = "support/bench.rs"]
mod bench;

use std::time::Duration;

use bench::Bench;
use futures_util::{SinkExt, StreamExt};
use gymcheck::evidence::{End, Event, Fact, KeptFact, WaitError, WireClosed};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, accept_async, connect_async};

const DEADLINE: Duration = Duration::from_secs(30);

/// How long nothing may come where nothing is to come.
const SILENCE: Duration = Duration::from_millis(500);

const PLAYERS: [&str; 2] = ["survivor", "partner"];

/// A connection, by its two ends.
struct Line {
    page: WebSocketStream<MaybeTlsStream<TcpStream>>,
    target: WebSocketStream<TcpStream>,
}

impl Bench {
    async fn open() -> Bench {
        Bench::of(&PLAYERS).await
    }

    fn address(&self, player: &str) -> String {
        self.gateway.origin(player).replace("http://", "ws://") + "/socket.io/"
    }

    async fn line(&self, player: &str) -> Line {
        let taken = async {
            let (stream, _) = self.target.accept().await.expect("a connection");
            accept_async(stream).await.expect("a WebSocket")
        };
        let address = self.address(player);
        let (page, target) = tokio::join!(connect_async(address), taken);
        let (page, _) = page.expect("a WebSocket");
        let mut line = Line { page, target };
        line.says_to_target("2before").await;
        line
    }

    async fn event(&self, what: &str, question: impl Fn(&Fact) -> bool) -> Event {
        let asked =
            |event: &Event| event.player.as_deref() == Some("partner") && question(&event.fact);
        let found = self.recorder.wait(0, DEADLINE, what, asked).await;
        (*found.unwrap_or_else(|error| panic!("{error}"))).clone()
    }

    async fn stall(&self) {
        assert_eq!(self.gateway.stall("partner"), 1);
        self.event("the stall", |fact| matches!(fact, Fact::Stalled(_)))
            .await;
    }

    /// How the partner's connection ended, and what was kept of it.
    async fn ended(&self) -> (WireClosed, KeptFact) {
        let closed = |fact: &Fact| matches!(fact, Fact::WireClosed(_));
        let kept = |fact: &Fact| matches!(fact, Fact::Kept(_));
        let closed = self.event("the end", closed).await;
        let kept = self.event("what was kept", kept).await;
        match (closed.fact, kept.fact) {
            (Fact::WireClosed(closed), Fact::Kept(kept)) => (closed, kept),
            other => panic!("{other:?}"),
        }
    }

    /// The packets that passed on the partner's connection.
    fn passed(&self) -> usize {
        let log = self.recorder.log();
        let wire = |event: &&Event| matches!(event.fact, Fact::Wire(_));
        log.of("partner").filter(wire).count()
    }
}

impl Line {
    async fn says_to_target(&mut self, text: &str) {
        self.page.send(Message::text(text)).await.expect("sent");
        let heard = timeout(DEADLINE, self.target.next()).await;
        let heard = heard.expect("in time").expect("open").expect("a message");
        assert_eq!(heard, Message::text(text));
    }

    async fn says_to_page(&mut self, text: &str) {
        self.target.send(Message::text(text)).await.expect("sent");
        let heard = timeout(DEADLINE, self.page.next()).await;
        let heard = heard.expect("in time").expect("open").expect("a message");
        assert_eq!(heard, Message::text(text));
    }

    async fn page_hears_nothing(&mut self) {
        let heard = timeout(SILENCE, self.page.next()).await;
        assert!(heard.is_err(), "the page heard {heard:?}");
    }

    async fn target_hears_nothing(&mut self) {
        let heard = timeout(SILENCE, self.target.next()).await;
        assert!(heard.is_err(), "the target heard {heard:?}");
    }
}

#[tokio::test]
async fn nothing_passes_and_both_ends_stay_open_until_the_target_gives_up() {
    let bench = Bench::open().await;
    let mut other = bench.line("survivor").await;
    let mut line = bench.line("partner").await;
    line.says_to_page("3before").await;
    let passed = bench.passed();
    bench.stall().await;

    line.page
        .send(Message::text("42[\"kept\"]"))
        .await
        .expect("sent");
    line.target.send(Message::text("2")).await.expect("sent");
    line.target
        .send(Message::text("42[\"x\"]"))
        .await
        .expect("sent");
    line.page_hears_nothing().await;
    line.target_hears_nothing().await;
    other.says_to_target("42[\"still\"]").await;
    other.says_to_page("42[\"here\"]").await;

    line.target.close(None).await.expect("it closes");
    let (closed, kept) = bench.ended().await;
    assert_eq!(closed.by, End::Target);
    assert_eq!((kept.from_page.messages, kept.from_page.bytes), (1, 10));
    assert_eq!((kept.from_target.messages, kept.from_target.bytes), (2, 8));
    assert_eq!(bench.passed(), passed);
    // The page is not told: it has to notice by itself as well.
    line.page_hears_nothing().await;
    other.says_to_target("42[\"to the end\"]").await;
    bench.gateway.shutdown().await;
}

#[tokio::test]
async fn a_page_that_gives_up_first_is_not_told_of_and_gets_no_other_way_in() {
    let bench = Bench::open().await;
    let mut line = bench.line("partner").await;
    bench.stall().await;

    line.page.send(Message::Close(None)).await.expect("sent");
    line.page_hears_nothing().await;
    let again = timeout(SILENCE, connect_async(bench.address("partner"))).await;
    assert!(again.is_err(), "it was let in: {again:?}");
    let reached = timeout(SILENCE, bench.target.accept()).await;
    assert!(reached.is_err(), "the target was reached");
    line.target_hears_nothing().await;

    drop(line.target);
    let (closed, kept) = bench.ended().await;
    assert_eq!(closed.by, End::Target);
    assert_eq!((kept.from_page.messages, kept.from_target.messages), (0, 0));
    bench.gateway.shutdown().await;
}

/// The target ends the connection by that, and has not noticed anything.
#[tokio::test]
async fn what_is_not_taken_breaks_the_run_in_a_stall_as_well() {
    let bench = Bench::open().await;
    let line = bench.line("partner").await;
    bench.stall().await;
    let mut raw = line.target.into_inner();
    raw.write_all(&[0xF1, 0x01, b'2']).await.expect("written");
    let broken = bench.recorder.wait(0, DEADLINE, "the end", |_| false).await;
    let Err(WaitError::Broken { broken, .. }) = broken else {
        panic!("the run is not broken: {broken:?}");
    };
    assert_eq!(broken.component, "target");
    assert!(
        broken.reason.contains("a broken frame on a WebSocket"),
        "{}",
        broken.reason
    );
    bench.gateway.shutdown().await;
}

#[tokio::test]
async fn a_stall_ends_with_the_gateway() {
    let bench = Bench::open().await;
    let mut line = bench.line("partner").await;
    bench.stall().await;
    bench.gateway.shutdown().await;
    let heard = timeout(DEADLINE, line.page.next()).await;
    assert!(
        !matches!(heard, Err(_) | Ok(Some(Ok(Message::Text(_))))),
        "{heard:?}"
    );
}

//! Each way to leave, and to go into the background, in real browsers: what the stage and the
//! player do really happens, and what proves it is told.

use std::time::Duration;

use gymcheck::evidence::{End, Event, Fact, PageFact, ProcessPhase, Recorder};
use gymcheck::gateway::{Gateway, GatewayOptions, Mirror};
use gymcheck::player::Player;
use gymcheck::probe::SCRIPT;
use gymcheck::spec::{PlayerName, WayToHide};

use crate::support::target::Target;
use crate::support::{Browser, Kind, scenarios};

scenarios! {
    a_killed_browser_is_gone
    a_quit_browser_is_gone
    a_closed_tab_is_gone_and_the_browser_is_not
    who_navigates_away_has_left_the_page
    a_reloaded_page_is_a_new_one
    a_frozen_browser_stands_still_and_is_ended_all_the_same
    a_page_behind_another_tab_is_hidden_until_it_comes_back
    a_minimised_page_is_hidden_until_it_comes_back
    the_clock_of_a_page_is_known_within_its_bound
}

const DEADLINE: Duration = Duration::from_secs(60);

/// A player at a page with a WebSocket, behind a gateway.
struct Bench {
    gateway: Gateway,
    target: Target,
    browser: Browser,
    player: Player,
    recorder: Recorder,
}

impl Bench {
    async fn open(kind: Kind) -> Bench {
        let target = Target::serve().await;
        let recorder = Recorder::in_memory();
        let name = PlayerName::Partner;
        let options = GatewayOptions {
            upstream: target.address,
            players: vec![name.to_string()],
            mirror: Mirror::default(),
            edits: Vec::new(),
            probe_script: SCRIPT.to_owned(),
        };
        let gateway = Gateway::start(options, recorder.clone())
            .await
            .expect("a gateway");
        let browser = Browser::start_for(kind, name.as_str(), &recorder).await;
        let origin = gateway.origin(name.as_str());
        let player = Player::new(name, browser.session(), origin.clone(), &recorder);
        browser.client.goto(&origin).await.expect("it loads");
        let bench = Bench {
            gateway,
            target,
            browser,
            player,
            recorder,
        };
        bench
            .event(0, "the page's WebSocket", |fact| {
                matches!(fact, Fact::Page(page) if matches!(&page.what,
                    PageFact::WebsocketState { state, .. } if state == "open"))
            })
            .await;
        bench
    }

    async fn event(&self, from: u64, what: &str, question: impl Fn(&Fact) -> bool) -> Event {
        let found = self
            .recorder
            .wait(from, DEADLINE, what, |event| question(&event.fact))
            .await;
        let found = found.unwrap_or_else(|error| panic!("{error}"));
        (*found).clone()
    }

    /// Waits until the gateway has seen the end of the page's WebSocket.
    async fn socket_ended(&self, from: u64) {
        let ended = self
            .event(from, "the end of the page's WebSocket", |fact| {
                matches!(fact, Fact::WireClosed(_))
            })
            .await;
        assert!(
            matches!(&ended.fact, Fact::WireClosed(closed) if closed.by == End::Browser),
            "{ended:?}"
        );
    }

    /// Processes of the browser that run. Their driver may not have buried those that do not.
    fn running(&self) -> Vec<String> {
        let mut processes = self.browser.session().processes();
        processes.retain(|one| one.is_alive());
        processes.into_iter().map(|one| one.name).collect()
    }

    fn browsers_gone(&self) -> usize {
        let log = self.recorder.log();
        let gone = |event: &&Event| {
            matches!(&event.fact, Fact::Process(process)
                if process.role == "browser" && process.phase == ProcessPhase::Gone)
        };
        log.events().iter().filter(gone).count()
    }

    async fn close(self) {
        assert!(
            self.recorder.broken().is_none(),
            "{:?}",
            self.recorder.broken()
        );
        self.browser.close().await;
        self.gateway.shutdown().await;
        drop(self.target);
    }
}

async fn a_killed_browser_is_gone(kind: Kind) {
    let mut bench = Bench::open(kind).await;
    let from = bench.recorder.len();
    let known = bench.browser.session().processes();
    assert!(known.len() > 1);
    // Those that were not known die as well.
    let killed = bench.browser.session_mut().kill(&known[..1]).await;
    killed.expect("it dies");
    assert_eq!(bench.running(), Vec::<String>::new());
    assert_eq!(bench.browsers_gone(), 1);
    bench.socket_ended(from).await;
    bench.close().await;
}

async fn a_quit_browser_is_gone(kind: Kind) {
    let mut bench = Bench::open(kind).await;
    let from = bench.recorder.len();
    bench.browser.session_mut().quit().await.expect("it ends");
    assert_eq!(bench.running(), Vec::<String>::new());
    assert_eq!(bench.browsers_gone(), 1);
    bench.socket_ended(from).await;
    bench.close().await;
}

async fn a_closed_tab_is_gone_and_the_browser_is_not(kind: Kind) {
    let bench = Bench::open(kind).await;
    let tabs = bench.player.open_spare_tab().await.expect("another tab");
    // The page does not notice that it has a neighbour.
    assert_eq!(bench.browser.run("return document.hidden").await, false);
    let from = bench.recorder.len();
    let proof = bench.player.close_tab(tabs).await.expect("it is closed");
    assert!(proof.contains("1 left"), "{proof}");
    bench.socket_ended(from).await;
    assert_eq!(
        bench.browser.run("return location.href").await,
        "about:blank"
    );
    assert_eq!(bench.browsers_gone(), 0);
    bench.close().await;
}

async fn who_navigates_away_has_left_the_page(kind: Kind) {
    let bench = Bench::open(kind).await;
    let from = bench.recorder.len();
    let proof = bench.player.navigate_away().await.expect("it goes");
    assert!(proof.contains("about:blank"), "{proof}");
    bench.socket_ended(from).await;
    assert_eq!(bench.browsers_gone(), 0);
    bench.close().await;
}

async fn a_reloaded_page_is_a_new_one(kind: Kind) {
    let bench = Bench::open(kind).await;
    let before = bench.player.subject().expect("an address");
    let from = bench.recorder.len();
    let proof = bench.player.reload().await.expect("it reloads");
    assert!(proof.contains("a new page"), "{proof}");
    bench.socket_ended(from).await;
    assert_eq!(bench.player.subject().expect("an address"), before);
    bench.close().await;
}

async fn a_frozen_browser_stands_still_and_is_ended_all_the_same(kind: Kind) {
    /// For how long nothing of it may move.
    const STILL: Duration = Duration::from_secs(3);
    let mut bench = Bench::open(kind).await;
    let from = bench.recorder.len();
    let known = bench.browser.session().processes();
    // Those that were not known stop as well.
    let frozen = bench.browser.session_mut().freeze(&known[..1]).await;
    let frozen = frozen.expect("it stops");
    assert!(
        frozen.is_whole() && frozen.processes.len() > 1,
        "{frozen:?}"
    );
    let page = |event: &Event| matches!(event.fact, Fact::Page(_) | Fact::WireClosed(_));
    let since = bench.recorder.len();
    let moved = bench
        .recorder
        .wait(since, STILL, "a sign of life", page)
        .await;
    assert!(moved.is_err(), "{moved:?}");
    assert!(bench.browser.session().observe_frozen().is_whole());
    let log = bench.recorder.log();
    let looks = log.events().iter().filter(|event| event.seq >= from);
    let looks = looks.filter(|event| matches!(event.fact, Fact::Frozen(_)));
    assert_eq!(looks.count(), 2);
    let processes = bench.browser.session().processes();
    bench.close().await;
    assert!(!processes.iter().any(|one| one.is_alive()));
}

async fn a_page_behind_another_tab_is_hidden_until_it_comes_back(kind: Kind) {
    hidden_until_it_comes_back(kind, WayToHide::Tab).await;
}

async fn a_minimised_page_is_hidden_until_it_comes_back(kind: Kind) {
    hidden_until_it_comes_back(kind, WayToHide::Minimise).await;
}

async fn hidden_until_it_comes_back(kind: Kind, how: WayToHide) {
    let bench = Bench::open(kind).await;
    let size = "return [innerWidth, innerHeight]";
    let before = bench.browser.run(size).await;
    let hidden = bench
        .player
        .go_to_background(how)
        .await
        .expect("it is hidden");
    let link = bench.gateway.probe(PlayerName::Partner.as_str());
    let turns = serde_json::json!({ "cmd": "turns", "count": 2 });
    link.request(turns, DEADLINE)
        .await
        .expect("it still answers");
    bench.player.come_back(hidden).await.expect("it is visible");
    assert_eq!(bench.browser.run("return document.hidden").await, false);
    assert_eq!(bench.browser.run(size).await, before);
    let visibilities: Vec<String> = bench
        .recorder
        .log()
        .events()
        .iter()
        .filter_map(|event| match &event.fact {
            Fact::Page(page) => match &page.what {
                PageFact::Visibility { state } => Some(state.clone()),
                _ => None,
            },
            _ => None,
        })
        .collect();
    assert_eq!(visibilities, ["hidden", "visible"]);
    assert_eq!(
        bench.player.screenshot().await.expect("a picture")[1..4],
        *b"PNG"
    );
    bench.close().await;
}

/// The page is held up while it is asked for its clock for the first time: later answers are
/// better, and what they rest on stands in the evidence.
async fn the_clock_of_a_page_is_known_within_its_bound(kind: Kind) {
    let bench = Bench::open(kind).await;
    let clocks = || -> Vec<(f64, f64)> {
        let log = bench.recorder.log();
        let clock = |event: &Event| match &event.fact {
            Fact::Clock(clock) => Some((clock.offset, clock.bound)),
            _ => None,
        };
        log.events().iter().filter_map(clock).collect()
    };
    let told = clocks();
    assert!(!told.is_empty());
    assert!(told.is_sorted_by(|one, next| one.1 > next.1), "{told:?}");
    let (best, bound) = *told.last().expect("not empty");
    for (offset, its) in &told {
        assert!((offset - best).abs() <= its + bound, "{told:?}");
    }
    // What the page says of now lies between the question and the answer, within that bound.
    let before = bench.recorder.now();
    let now = bench.browser.run("return performance.now()").await;
    let now = now.as_f64().expect("a number") + best;
    let after = bench.recorder.now();
    assert!(
        before - bound <= now && now <= after + bound,
        "{before} {now} {after} ± {bound}"
    );
    bench.close().await;
}

//! The probe in real browsers. Each scenario is written once and runs in Chromium and in Firefox.

use axum::Router;
use axum::http::header;
use axum::response::Html;
use axum::routing::get;
use gymcheck::evidence::{Control, Event, Fact, Overlay, PageFact, PageState, Recorder};
use gymcheck::gateway::{Gateway, GatewayOptions, Mirror, NEXT_PAGE};
use gymcheck::probe::SCRIPT;
use serde_json::{Value, json};

use crate::support::page::{Page, exactly};
use crate::support::{Browser, Kind, scenarios};

scenarios! {
    two_peers_and_their_channel
    what_is_watched_looks_the_same_to_the_page
    overlays_come_and_go
    what_is_no_overlay_is_not_told
    a_child_of_body_that_hides_the_others
    what_a_page_says_is_what_it_shows
    controls_are_hit_tested
    timers_and_workers
    websockets_are_counted
    listeners_of_document_and_window_are_counted
    errors_and_console
    a_refused_probe_keeps_what_it_knows
    a_page_without_its_gateway_works
    second_opinions
    a_page_has_one_probe
    a_page_that_guards_itself_has_the_probe_and_all_of_its_own
}

/// Opens a page, and waits until its probe is there.
async fn open(kind: Kind, body: &str) -> (Page, Browser) {
    let page = Page::serve(body).await;
    let browser = Browser::start(kind).await;
    browser.client.goto(&page.url()).await.expect("it loads");
    page.event("the probe's hello", |fact| {
        matches!(fact, PageFact::Hello { .. })
    })
    .await;
    (page, browser)
}

/// The last thing that was told about an overlay.
fn overlay_told(page: &Page, element: &str) -> Option<Overlay> {
    overlays_told(page)
        .into_iter()
        .rfind(|overlay| overlay.element == element)
}

fn overlays_told(page: &Page) -> Vec<Overlay> {
    let overlay = |fact| match fact {
        PageFact::Overlay(overlay) => Some(overlay),
        _ => None,
    };
    page.events()
        .into_iter()
        .filter_map(|event| overlay(event.what))
        .collect()
}

const PEERS: &str = r#"
<script>
window.game = { num_episodes: 1, frameNumber: 42 };
async function play() {
  window.a = new RTCPeerConnection();
  window.b = new webkitOrPlain();
  a.onicecandidate = ({ candidate }) => candidate && b.addIceCandidate(candidate);
  b.onicecandidate = ({ candidate }) => candidate && a.addIceCandidate(candidate);
  const channel = a.createDataChannel("game");
  channel.binaryType = "arraybuffer";
  channel.onopen = () => ["grüße", "grüße", "grüße"].forEach((text) => channel.send(text));
  b.ondatachannel = ({ channel }) => {
    // Inputs begin with a 1: a view into more bytes, a buffer, and one that is none.
    const messages = [
      new Uint8Array([9, 1, 0, 1, 0, 1, 9]).subarray(1, 6),
      new Uint8Array([1, 0, 0, 0, 0]).buffer,
      new Uint8Array([0, 1, 1, 1, 1]),
    ];
    channel.onmessage = () => channel.send(messages.pop());
  };
  await a.setLocalDescription(await a.createOffer());
  await b.setRemoteDescription(a.localDescription);
  await b.setLocalDescription(await b.createAnswer());
  await a.setRemoteDescription(b.localDescription);
}
function webkitOrPlain() {
  return new (window.webkitRTCPeerConnection ?? RTCPeerConnection)();
}
function closeFromHere() { a.close(); }
play();
</script>"#;

async fn two_peers_and_their_channel(kind: Kind) {
    let (page, browser) = open(kind, PEERS).await;
    for channel in [1, 2] {
        let (sizes, inputs) = match channel {
            1 => ((21, 15), (Some(0), Some(2))),
            _ => ((15, 21), (Some(2), Some(0))),
        };
        page.event("all messages of a channel", |fact| {
            let wanted = PageFact::ChannelTraffic {
                id: channel,
                sent: 3,
                sent_bytes: sizes.0,
                sent_inputs: inputs.0,
                received: 3,
                received_bytes: sizes.1,
                received_inputs: inputs.1,
            };
            *fact == wanted
        })
        .await;
    }
    page.event("how far the game is, with the traffic", |fact| {
        let progress = PageFact::GameProgress {
            episodes: 1,
            frame: 42,
        };
        *fact == progress
    })
    .await;
    page.event("a candidate", |fact| {
        matches!(fact, PageFact::IceCandidate { id: 1, candidate: Some(line) } if line.contains("udp") || line.contains("UDP"))
    })
    .await;
    page.event("the end of the candidates", |fact| {
        matches!(
            fact,
            PageFact::IceCandidate {
                id: 1,
                candidate: None
            }
        )
    })
    .await;
    let state = page.snapshot().await;
    assert_eq!(state.connections.len(), 2);
    for connection in &state.connections {
        assert_eq!(connection.connection, "connected");
        assert_eq!(connection.signaling, "stable");
        assert!(connection.was_connected && connection.candidates > 0);
        assert_eq!(connection.closed, None);
    }
    assert!(
        state.connections[0].stack.contains("play"),
        "{}",
        state.connections[0].stack
    );
    let channels: Vec<_> = state
        .channels
        .iter()
        .map(|channel| {
            (
                channel.connection,
                channel.label.as_str(),
                channel.state.as_str(),
            )
        })
        .collect();
    assert_eq!(channels, [(1, "game", "open"), (2, "game", "open")]);

    browser.run("closeFromHere()").await;
    let closed = page
        .event("the call of close()", |fact| {
            matches!(fact, PageFact::ConnectionClosed { .. })
        })
        .await;
    let PageFact::ConnectionClosed { id: 1, stack } = closed.what else {
        panic!("{closed:?}");
    };
    assert!(stack.contains("closeFromHere"), "{stack}");
    assert!(!stack.contains("gymcheck-probe"), "{stack}");
    page.event("the closed state", |fact| {
        matches!(fact, PageFact::ConnectionState { id: 1, connection, signaling, .. }
            if connection == "closed" && signaling == "closed")
    })
    .await;
    page.event(
        "the closed channel",
        |fact| matches!(fact, PageFact::ChannelState { id: 1, state } if state == "closed"),
    )
    .await;
    let state = page.snapshot().await;
    let connection = &state.connections[0];
    assert_eq!(
        (
            connection.connection.as_str(),
            state.channels[0].state.as_str()
        ),
        ("closed", "closed")
    );
    assert!(
        connection.was_connected && connection.closed.is_some_and(|at| at > connection.created)
    );
    assert_eq!(state.connections[1].closed, None);
    // What is still open can be broken from outside; the page is not asked.
    for open in [1, 0] {
        let severed = page.ask(json!({ "cmd": "sever" })).await;
        assert_eq!(severed["connections"], open);
    }
    let state = page.snapshot().await;
    assert_eq!(state.connections[1].connection, "closed");
    browser.close().await;
}

async fn what_is_watched_looks_the_same_to_the_page(kind: Kind) {
    const LOOK: &str = r#"
        class Own extends WebSocket { more() { return 7; } }
        const own = new Own(location.href.replace("http", "ws") + "three");
        const pc = new RTCPeerConnection();
        const names = Object.getOwnPropertyNames(window).sort();
        const answer = {
            pc: pc instanceof RTCPeerConnection && pc.constructor === RTCPeerConnection,
            prototype: Object.getPrototypeOf(pc) === RTCPeerConnection.prototype,
            alias: (window.webkitRTCPeerConnection ?? RTCPeerConnection) === RTCPeerConnection,
            statics: [WebSocket.OPEN, typeof RTCPeerConnection.generateCertificate],
            names: [RTCPeerConnection.name, pc.close.name, pc.close.length, setTimeout.name, setTimeout.length],
            native: String(setTimeout).includes("[native code]"),
            subclass: own instanceof Own && own instanceof WebSocket && own.more(),
            enumerable: Object.keys(window).filter((name) => !/^\d+$/.test(name)).sort(),
            names,
            calls: (() => { try { WebSocket("ws://x"); } catch (error) { return error.name; } })(),
            needs: (() => { try { setTimeout(); } catch (error) { return error.name; } })(),
            wrong: (() => { try { RTCPeerConnection.prototype.close.call({}); } catch (error) { return error.name; } })(),
            scripts: document.querySelectorAll("head script").length,
            handle: typeof setTimeout("window.fromString = 1", 0),
        };
        own.close();
        pc.close();
        return answer;
    "#;
    let (page, browser) = open(kind, "<p>A page").await;
    let watched = browser.run(LOOK).await;
    assert_eq!(watched["pc"], true);
    browser
        .client
        .goto(&page.bare_url())
        .await
        .expect("it loads");
    assert_eq!(
        watched,
        browser
            .run(&LOOK.replace("location.href", "location.origin + '/'"))
            .await
    );
    browser.close().await;
}

const SCENE: &str = r#"
<style>
  .sheet { display: none; position: fixed; inset: 0; background: #fffc; }
  .sheet.shown { display: block; }
  [data-state="gone"] #told { display: block; }
  .faded { position: fixed; inset: 0; opacity: 0; pointer-events: none; transition: opacity 30ms; }
  .faded.in { opacity: 1; }
</style>
<div id="main"><h1 id="sceneHeader"> A   survey </h1><button id="advanceButton">Continue</button></div>
<div id="latency" style="position: fixed; top: 10px; right: 10px">ping: <span id="ping">1</span> ms</div>
<div id="sheet" class="sheet">Sheet</div>
<div id="told" class="sheet">Told</div>
<div id="faded" class="faded">Faded</div>
<dialog id="dialog">Small but modal</dialog>
<div id="popover" popover style="width: 90vw; height: 90vh">Popover</div>
<div id="gameContainer" style="position: relative">
  <div id="episodeTransitionOverlay" style="position: absolute; inset: 0; width: 2000px; height: 2000px">Soon</div>
  <div id="inGame" style="position: absolute; width: 2000px; height: 2000px">A game</div>
</div>
<script>
const put = (parent, html) => { parent.insertAdjacentHTML("beforeend", html); return parent.lastElementChild; };
const full = "position: fixed; top: 0; left: 0; width: 100%; height: 100%;";
function flash() {
  const one = document.createElement("div");
  one.innerHTML = '<p><b id="partnerDisconnectedContainer">Gone  at\n once</b></p>';
  document.body.append(one);
  one.remove();
}
function closedShadow() {
  const host = document.createElement("x-host");
  const root = host.attachShadow({ mode: "closed" });
  document.body.append(host);
  setTimeout(() => { root.innerHTML = `<div id="inner" style="${full}">In the shadow</div>`; });
  setTimeout(() => { root.innerHTML = ""; }, 50);
}
</script>"#;

async fn overlays_come_and_go(kind: Kind) {
    let (page, browser) = open(kind, SCENE).await;
    page.settle().await;
    assert_eq!(overlays_told(&page), [], "nothing at first");

    // A known one, for less than a frame, deep in what was put in.
    browser.run("flash()").await;
    let flash = overlay(&page, "b#partnerDisconnectedContainer", |_| true).await;
    assert_eq!(flash.known.as_deref(), Some("partnerDisconnectedContainer"));
    assert_eq!(
        (flash.reason.as_str(), flash.present, flash.visible),
        ("known-id", false, false)
    );
    assert_eq!(flash.text, "Gone at once");

    // A known one that waits, hidden, until it is shown.
    browser
        .run(r#"put(document.body, `<p id="reconnect-overlay" hidden>Wait</p>`)"#)
        .await;
    let hidden = overlay(&page, "p#reconnect-overlay", |_| true).await;
    assert_eq!((hidden.present, hidden.visible), (true, false));
    browser
        .run(r#"document.getElementById("reconnect-overlay").hidden = false"#)
        .await;
    let shown = overlay(&page, "p#reconnect-overlay", |overlay| overlay.visible).await;
    assert_eq!(shown.id, hidden.id);

    // Unknown ones: a transparent sheet, one with no opacity that takes the pointer, one that a
    // class shows, one that fades in, one in a closed shadow tree, a modal dialog, a popover.
    let ways = [
        (
            r#"put(document.body, `<i id="clear" style="${full}"></i>`)"#,
            r#"clear.remove()"#,
            "i#clear",
        ),
        (
            r#"put(document.body, `<i id="none" style="${full} opacity: 0"></i>`)"#,
            r#"document.getElementById("none").style.pointerEvents = "none""#,
            "i#none",
        ),
        (
            r#"sheet.classList.add("shown")"#,
            r#"sheet.className = "sheet""#,
            "div#sheet",
        ),
        (
            r#"faded.classList.add("in")"#,
            r#"faded.classList.remove("in")"#,
            "div#faded",
        ),
        (
            r#"document.documentElement.dataset.state = "gone""#,
            r#"delete document.documentElement.dataset.state"#,
            "div#told",
        ),
        ("closedShadow()", "", "div#inner"),
        ("dialog.showModal()", "dialog.close()", "dialog#dialog"),
        (
            r#"popover.showPopover()"#,
            "popover.hidePopover()",
            "div#popover",
        ),
    ];
    for (show, hide, element) in ways {
        // `popover` is a name of the body's as well.
        let named =
            |script: &str| script.replace("popover.", r#"document.getElementById("popover")."#);
        browser.run(&named(show)).await;
        let shown = overlay(&page, element, |overlay| overlay.visible).await;
        assert_eq!(
            (shown.reason.as_str(), shown.present),
            ("covers-page", true),
            "{shown:?}"
        );
        assert!(shown.coverage >= 0.75, "{shown:?}");
        browser.run(&named(hide)).await;
        let after = overlay(&page, element, |overlay| {
            overlay.id == shown.id && !overlay.visible
        })
        .await;
        assert_eq!(after.id, shown.id);
    }
    let state = page.snapshot().await;
    assert_eq!(state.header, "A survey");
    assert_eq!(state.overlays.len(), 2 + ways.len());
    let visible: Vec<_> = state
        .overlays
        .iter()
        .filter(|overlay| overlay.visible)
        .collect();
    assert_eq!(visible.len(), 1, "only the known one is left: {visible:?}");
    browser.close().await;
}

/// What is told about an overlay, awaited.
async fn overlay(page: &Page, element: &str, question: impl Fn(&Overlay) -> bool) -> Overlay {
    let found = page
        .event(&format!("the overlay {element}"), |fact| {
            matches!(fact, PageFact::Overlay(overlay) if overlay.element == element && question(overlay))
        })
        .await;
    match found.what {
        PageFact::Overlay(overlay) => overlay,
        other => panic!("{other:?} is no overlay"),
    }
}

const SAYINGS: &str = r#"
<form><input name="children"><p>Please <b>answer</b>
  every<br>question.</p></form>
<div id="host"></div>
<div id="empty"></div>
<p hidden>It stands aside.</p>
<p style="visibility: hidden">It keeps its place.</p>
<div style="opacity: 0.001"><p>It is clear.</p></div>
<p style="position: absolute; left: -9999px">It is far to the left.</p>
<p style="height: 0; overflow: hidden; margin: 0">It has no height.</p>
<template><p>It is a plan.</p></template>
<div hidden>It stands by itself.</div>
<script>
const text = "It is written in code.";
host.attachShadow({ mode: "closed" }).innerHTML = "<p>It is in the shadow.</p>";
empty.attachShadow({ mode: "open" }).textContent = "It is the shadow.";
document.body.append("It stands by itself.");
</script>"#;

async fn what_a_page_says_is_what_it_shows(kind: Kind) {
    let (page, browser) = open(kind, SAYINGS).await;
    let said = async || {
        let sayings = [
            "Please answer every  question.",
            "Please <i>answer</i> every&nbsp;question.",
            "It is in the shadow.",
            "It is the shadow.",
            "It stands by itself.",
            "It stands aside.",
            "It keeps its place.",
            "It is clear.",
            "It is far to the left.",
            "It has no height.",
            "It is a plan.",
            "It is written in code.",
            "Nobody says so.",
        ];
        let asked = json!({ "cmd": "snapshot", "sayings": sayings });
        let state = exactly::<PageState>(&page.ask(asked).await["state"]);
        state.says.expect("it was asked")
    };
    let shown = [
        "Please answer every  question.",
        "Please <i>answer</i> every&nbsp;question.",
        "It is in the shadow.",
        "It is the shadow.",
        "It stands by itself.",
    ];
    assert_eq!(said().await, shown);
    browser
        .run("document.querySelector('p[hidden]').hidden = false")
        .await;
    assert_eq!(said().await, [&shown[..], &["It stands aside."]].concat());
    assert_eq!(page.snapshot().await.says, None);
}

async fn what_is_no_overlay_is_not_told(kind: Kind) {
    let (page, browser) = open(kind, SCENE).await;
    browser
        .run(r#"
            // A page as it changes in normal life.
            put(document.body, `<p style="height: 3000px">Much text</p>`);
            put(document.body, `<div id="hud" style="position: absolute; top: 0; width: 100%; height: 30%">Hud</div>`);
            put(document.body, `<div style="${full} visibility: hidden">Unseen</div>`);
            put(document.body, `<div style="display: none"><div style="${full}">Unseen</div></div>`);
            put(document.body, `<div style="${full} left: 100%">Beside</div>`);
            put(document.body, `<div style="opacity: 0; pointer-events: none"><div style="${full}"></div></div>`);
            put(document.getElementById("gameContainer"), `<canvas style="position: absolute; inset: 0" width="2000" height="2000">`);
            document.getElementById("inGame").style.top = "1px";
            document.getElementById("episodeTransitionOverlay").className = "visible";
            document.getElementById("main").style.display = "none";
            document.getElementById("main").style.display = "";
            for (let count = 0; count < 100; count += 1) document.getElementById("ping").textContent = count;
        "#)
        .await;
    page.snapshot().await;
    assert_eq!(overlays_told(&page), []);
    browser.close().await;
}

async fn a_child_of_body_that_hides_the_others(kind: Kind) {
    const BODY: &str = r#"<div id="text">Text</div><div id="ping">Ping</div><div id="loading">Loading</div>
        <script>
        const show = (id, shown) => { document.getElementById(id).style.display = shown ? "" : "none"; };
        function hideAll() {
            for (const child of [...document.body.children]) child.style.display = "none";
            document.body.insertAdjacentHTML("beforeend", "<p class='end'>The session has ended</p>");
        }
        </script>"#;
    let (page, browser) = open(kind, BODY).await;
    // Hiding things one by one, until one of the first is left, hides no page.
    browser.run(r#"show("loading", false)"#).await;
    browser.run(r#"show("text", false)"#).await;
    page.settle().await;
    assert_eq!(overlays_told(&page), []);
    browser.run(r#"show("text", true)"#).await;
    browser.run("hideAll()").await;
    let told = overlay(&page, "p.end", |_| true).await;
    assert_eq!((told.reason.as_str(), told.visible), ("hides-page", true));
    assert_eq!(told.text, "The session has ended");
    browser.run(r#"show("ping", true)"#).await;
    page.settle().await;
    let told = overlay_told(&page, "p.end").expect("it was told");
    assert!(told.present, "{told:?}");
    browser
        .run(r#"document.querySelector(".end").remove()"#)
        .await;
    overlay(&page, "p.end", |overlay| !overlay.present).await;
    browser.close().await;
}

const CONTROLS: &str = r##"
<style>html { scroll-behavior: smooth } body { margin: 0 } .box { height: 60px; overflow: auto }</style>
<form id="form"><input name="id"><input type="hidden" id="secret">
  <label><input type="radio" id="scale_0" style="display: block; pointer-events: none">one</label>
  <button id="off" disabled>Off</button><button id="dull" disabled style="pointer-events: none">Dull</button>
  <select id="choice"><option>1</select><textarea id="words"></textarea></form>
<button id="gone" style="display: none">Gone</button><button id="unseen" style="visibility: hidden">Unseen</button>
<a id="link" href="#"><b>A link</b></a><a id="anchor">No link</a>
<span role="button" id="role">Role</span>
<div class="box" id="box"><div style="height: 300px"></div><button id="scrolled">Scrolled</button></div>
<x-host id="host"></x-host>
<section><p><button class="plain">First</button><button class="plain">Second</button></p></section>
<div style="height: 5000px"></div>
<button id="below">Below</button>
<script>
  const root = document.getElementById("host").attachShadow({ mode: "open" });
  root.innerHTML = "<button id='inner'><em>Inner</em></button>";
  function places() { return [scrollX, scrollY, document.getElementById("box").scrollTop]; }
</script>"##;

async fn controls_are_hit_tested(kind: Kind) {
    let (page, browser) = open(kind, CONTROLS).await;
    browser.run("scrollTo({ top: 3, behavior: 'instant' }); document.getElementById('box').scrollTop = 5;").await;
    let places = browser.run("return places()").await;
    let controls = hit_test(&page).await;
    assert_eq!(
        browser.run("return places()").await,
        places,
        "scrolled back"
    );
    let elements: Vec<_> = controls
        .iter()
        .map(|control| control.element.as_str())
        .collect();
    assert_eq!(
        elements,
        [
            "form#form > input:nth-of-type(1)",
            "input#scale_0",
            "button#off",
            "button#dull",
            "select#choice",
            "textarea#words",
            "button#gone",
            "button#unseen",
            "a#link",
            "span#role",
            "button#scrolled",
            "button#inner",
            "section > p > button.plain:nth-of-type(1)",
            "section > p > button.plain:nth-of-type(2)",
            "button#below",
        ]
    );
    for control in &controls {
        let hidden = ["button#gone", "button#unseen"].contains(&control.element.as_str());
        assert_eq!(
            (control.rendered, control.on_top),
            (!hidden, !hidden),
            "{control:?}"
        );
        assert_eq!(control.covered_by, None);
    }

    browser
        .run(
            r#"
            const cover = document.createElement("div");
            cover.id = "cover";
            cover.style.cssText = "position: fixed; inset: 0";
            document.body.append(cover);
        "#,
        )
        .await;
    for control in hit_test(&page)
        .await
        .iter()
        .filter(|control| control.rendered)
    {
        assert!(!control.on_top, "{control:?}");
        assert_eq!(
            control.covered_by.as_deref(),
            Some("div#cover"),
            "{control:?}"
        );
    }

    let rects = page
        .ask(json!({ "cmd": "rects", "selectors": ["#cover", ".plain", "#nowhere"] }))
        .await;
    let found = rects["rects"].as_array().expect("a list");
    assert_eq!(found.len(), 3);
    assert_eq!(
        (&found[0]["selector"], found[0]["x"].as_f64()),
        (&"#cover".into(), Some(0.0))
    );
    assert!(
        found
            .iter()
            .all(|rect| rect["width"].as_f64() > Some(0.0) && rect["height"].as_f64() > Some(0.0))
    );
    assert!(rects["ratio"].as_f64() > Some(0.0));
    assert!(rects["viewport"][0].as_f64() >= found[0]["width"].as_f64());

    let unknown = page.ask(json!({ "cmd": "dance" })).await;
    assert_eq!(unknown["error"], r#"unknown command "dance""#);
    let invalid = page
        .ask(json!({ "cmd": "rects", "selectors": ["]"] }))
        .await;
    assert!(invalid["error"].is_string(), "{invalid}");
    browser.close().await;
}

async fn hit_test(page: &Page) -> Vec<Control> {
    exactly(&page.ask(json!({ "cmd": "hit_test" })).await["controls"])
}

const TIMERS: &str = r#"
<script>
const fired = [];
function startTicking() { return setInterval(() => fired.push("tick"), 20.5); }
const ticking = startTicking();
const endedByTheOther = setInterval(() => {}, 1e6);
clearTimeout(endedByTheOther);
function waitLong() { return window.setTimeout(() => {}, 600000); }
const long = waitLong();
const cleared = setTimeout(() => fired.push("never"), 10);
clearInterval(cleared);
setTimeout(function (a, b) { fired.push(this === window, a, b); }, 0, 1, 2);
setTimeout("fired.push('string')", 5);
const beats = [];
// A loop that comes round by way of a timeout, and another one by itself.
function beat(t) { beats.push(this === window || this === undefined, t > 0); setTimeout(nextBeat, 1); }
function nextBeat() { requestAnimationFrame(beat); }
nextBeat();
function wait() { setTimeout(wait, 5); }
wait();
let never = requestAnimationFrame(() => { beats.push("never"); });
cancelAnimationFrame(never);
function startWorker() {
  return new Worker(URL.createObjectURL(new Blob(["postMessage(1)"])));
}
const worker = startWorker();
const another = startWorker();
another.terminate();
</script>"#;

async fn timers_and_workers(kind: Kind) {
    let (page, browser) = open(kind, TIMERS).await;
    let created = page
        .event(
            "the interval",
            |fact| matches!(fact, PageFact::IntervalCreated { period, .. } if *period == 20.5),
        )
        .await;
    let PageFact::IntervalCreated { id, stack, .. } = created.what else {
        panic!("{created:?}");
    };
    assert!(
        stack.contains("startTicking") && !stack.contains("gymcheck-probe"),
        "{stack}"
    );
    assert_eq!(browser.run("return ticking").await, json!(id));
    page.event(
        "the interval that clearTimeout ended",
        |fact| matches!(fact, PageFact::IntervalCleared { id: other } if *other != id),
    )
    .await;
    until(
        &browser,
        "return fired.includes('string') && fired.includes('tick') && beats.length > 4",
    )
    .await;
    let fired = browser
        .run("return fired.filter((one) => one !== 'tick')")
        .await;
    assert_eq!(fired, json!([true, 1, 2, "string"]));

    let state = page.snapshot().await;
    assert_eq!(
        state
            .intervals
            .iter()
            .map(|timer| timer.id)
            .collect::<Vec<_>>(),
        [id]
    );
    let of = |place: &str| {
        let here = |stack: &str| stack.contains(place) && !stack.contains("gymcheck-probe");
        let timeouts = state.timeouts.iter().filter(|one| here(&one.stack));
        let timeouts = timeouts.map(|one| (one.created, one.since.expect("it says"), one.period));
        let frames = state.frames.iter().filter(|one| here(&one.stack));
        let frames = frames.map(|one| (one.created, one.since, 0.0));
        timeouts.chain(frames).collect::<Vec<_>>()
    };
    let [(began, since, 600_000.0)] = of("waitLong")[..] else {
        panic!("one long timeout is left: {:?}", state.timeouts);
    };
    assert_eq!(began, since, "nothing led to it");
    let waits = if kind == Kind::Firefox {
        "wait@"
    } else {
        "at wait "
    };
    for place in [waits, "eat"] {
        let of_loop = of(place);
        let [(created, since, _)] = of_loop[..] else {
            panic!("one of {place} is to come: {of_loop:?}");
        };
        assert!(since < created && since < began + 1_000.0, "{of_loop:?}");
    }
    let beats = browser
        .run("return beats.every((one) => one === true)")
        .await;
    assert_eq!(beats, json!(true));
    let workers: Vec<_> = state
        .workers
        .iter()
        .map(|worker| worker.terminated.is_some())
        .collect();
    assert_eq!(workers, [false, true]);
    assert!(
        state.workers[0].stack.contains("startWorker"),
        "{}",
        state.workers[0].stack
    );

    // From wherever it comes, and whatever is asked for in its address.
    browser
        .run("fetch('/lib/runtime.wasm?v=2'); fetch('/lib/other.txt')")
        .await;
    page.event(
        "a file of the runtime",
        |fact| matches!(fact, PageFact::RuntimeLoaded { url } if url.ends_with("/lib/runtime.wasm")),
    )
    .await;
    browser
        .run("clearInterval(String(ticking)); worker.terminate()")
        .await;
    page.event(
        "the interval's end",
        |fact| matches!(fact, PageFact::IntervalCleared { id: other } if *other == id),
    )
    .await;
    page.event("the worker's end", |fact| {
        matches!(fact, PageFact::WorkerTerminated { id: 1 })
    })
    .await;
    let state = page.snapshot().await;
    assert!(state.intervals.is_empty() && state.workers[0].terminated.is_some());
    browser.close().await;
}

/// Waits, by asking the page again and again, for what the probe does not tell.
async fn until(browser: &Browser, script: &str) {
    let asking = async { while browser.run(script).await != Value::Bool(true) {} };
    tokio::time::timeout(std::time::Duration::from_secs(30), asking)
        .await
        .unwrap_or_else(|_| panic!("waited for {script}"));
}

async fn websockets_are_counted(kind: Kind) {
    const BODY: &str = r#"<script>
        const words = [];
        const socket = new WebSocket(location.href.replace("http", "ws") + "three");
        try { socket.send("too early"); } catch { }
        socket.onopen = () => { socket.send("a"); socket.send(new Uint8Array([1])); };
        socket.onmessage = ({ data }) => { words.push(data); if (data === "three") console.log("all", words); };
        </script>"#;
    let (page, browser) = open(kind, BODY).await;
    page.event("three words", |fact| {
        matches!(fact, PageFact::Console { level, text } if level == "log" && text == r#"all ["one","two","three"]"#)
    })
    .await;
    let answer = page.ask(json!({ "cmd": "turns", "count": 2 })).await;
    let [socket] = exactly::<Vec<gymcheck::evidence::WebsocketState>>(&answer["websockets"])
        .try_into()
        .expect("one socket: the probe's own is not the page's");
    assert_eq!((socket.state.as_str(), socket.received), ("open", 3));
    assert_eq!(socket.sent, 2);
    assert!(socket.url.ends_with("/three"), "{}", socket.url);
    browser.run("socket.close()").await;
    let states = ["connecting", "open", "closed"];
    for state in states {
        page.event(state, |fact| matches!(fact, PageFact::WebsocketState { id: 1, state: told, .. } if told == state))
            .await;
    }
    assert_eq!(page.snapshot().await.websockets[0].state, "closed");
    browser.close().await;
}

async fn listeners_of_document_and_window_are_counted(kind: Kind) {
    const BODY: &str = r#"<p id="own">Text</p><script>
        window.heard = [];
        const note = ({ type }) => heard.push(type);
        document.addEventListener("alpha", note);
        document.addEventListener("alpha", note);
        document.addEventListener("alpha", note, true);
        document.addEventListener("alpha", { handleEvent: note }, { capture: false });
        document.addEventListener("beta", null);
        document.addEventListener("beta", note, { once: true });
        addEventListener("alpha", note);
        const controller = new AbortController();
        window.addEventListener("gamma", note, { signal: controller.signal });
        own.addEventListener("alpha", note);
        </script>"#;
    let (page, browser) = open(kind, BODY).await;
    let counts = |state: gymcheck::evidence::PageState| -> Vec<(String, u32)> {
        state
            .document_listeners
            .into_iter()
            .filter(|(name, _)| name.ends_with('a'))
            .collect()
    };
    let expected = |counts: &[(&str, u32)]| -> Vec<(String, u32)> {
        counts
            .iter()
            .map(|(name, count)| ((*name).to_owned(), *count))
            .collect()
    };
    assert_eq!(
        counts(page.snapshot().await),
        expected(&[
            ("document alpha", 3),
            ("window alpha", 1),
            ("window gamma", 1)
        ])
    );
    let heard = browser
        .run(
            r#"document.removeEventListener("alpha", note);
            document.removeEventListener("alpha", note, { capture: true });
            document.removeEventListener("alpha", note);
            controller.abort();
            document.dispatchEvent(new Event("alpha"));
            document.dispatchEvent(new Event("beta"));
            window.dispatchEvent(new Event("gamma"));
            window.dispatchEvent(new Event("alpha"));
            return heard"#,
        )
        .await;
    assert_eq!(heard, json!(["alpha", "beta", "alpha"]));
    assert_eq!(
        counts(page.snapshot().await),
        expected(&[("document alpha", 1), ("window alpha", 1)])
    );
    browser.close().await;
}

async fn errors_and_console(kind: Kind) {
    const BODY: &str = r#"<img src="data:image/png;base64,no"><script>
        function failHere() { throw new TypeError("an error"); }
        function rejectHere() { Promise.reject(new RangeError("a rejection")); }
        setTimeout(failHere);
        setTimeout(rejectHere);
        setTimeout(() => Promise.reject("a word"));
        const loop = { name: "loop" };
        loop.loop = loop;
        console.warn("text", 1, null, undefined, { a: [1] }, loop, document.createElement("b"), new Error("told"));
        console.error("x".repeat(2000));
        </script>"#;
    let (page, browser) = open(kind, BODY).await;
    let error = page
        .event("the error", |fact| matches!(fact, PageFact::Error { .. }))
        .await;
    let PageFact::Error { message, stack } = error.what else {
        panic!("no error");
    };
    assert!(message.contains("an error"), "{message}");
    assert!(stack.contains("failHere"), "{stack}");
    let rejection = page
        .event("the rejection", |fact| {
            matches!(fact, PageFact::Rejection { message, .. } if message == "RangeError: a rejection")
        })
        .await;
    assert!(
        matches!(&rejection.what, PageFact::Rejection { stack, .. } if stack.contains("rejectHere"))
    );
    page.event("the rejected word", |fact| {
        matches!(fact, PageFact::Rejection { message, stack } if message == "a word" && stack.is_empty())
    })
    .await;
    page.event("the line of the console", |fact| {
        matches!(fact, PageFact::Console { level, text }
            if level == "warn" && text == r#"text 1 null undefined {"a":[1]} [object Object] b Error: told"#)
    })
    .await;
    page.event("the cut line", |fact| {
        matches!(fact, PageFact::Console { level, text } if level == "error" && text.chars().count() == 500)
    })
    .await;
    assert_eq!(page.snapshot().await.errors, 3);
    let troubles = page
        .events()
        .into_iter()
        .filter(|event| matches!(&event.what, PageFact::Console { level, .. } if level == "probe"));
    assert_eq!(troubles.count(), 0);
    // Firefox ends a page's WebSockets before it tells the page.
    if matches!(kind, Kind::Chrome) {
        let next = browser.client.goto(&page.bare_url()).await;
        next.expect("it loads");
        page.event("the page's end", |fact| matches!(fact, PageFact::Bye {}))
            .await;
    }
    browser.close().await;
}

async fn a_refused_probe_keeps_what_it_knows(kind: Kind) {
    let page = Page::serve_refusing("<script>console.info('early')</script>", 2).await;
    let browser = Browser::start(kind).await;
    browser.client.goto(&page.url()).await.expect("it loads");
    page.event(
        "the early line",
        |fact| matches!(fact, PageFact::Console { text, .. } if text == "early"),
    )
    .await;
    let events = page.events();
    let PageFact::Hello {
        url,
        user_agent,
        secure,
    } = &events[0].what
    else {
        panic!("hello comes first: {events:?}");
    };
    assert_eq!((url, *secure), (&page.url(), true));
    assert!(user_agent.contains("Mozilla"), "{user_agent}");
    assert!(events.is_sorted_by_key(|event| event.page_t), "{events:?}");
    assert_eq!(page.refusals_left(), 0);
    browser.close().await;
}

async fn a_page_without_its_gateway_works(kind: Kind) {
    let page = Page::serve_refusing(PEERS, u64::MAX).await;
    let browser = Browser::start(kind).await;
    browser.client.goto(&page.url()).await.expect("it loads");
    until(&browser, "return b.connectionState === 'connected'").await;
    assert_eq!(page.events().len(), 0);
    browser.close().await;
}

async fn second_opinions(kind: Kind) {
    const BODY: &str = r#"<h1 id="sceneHeader" style="display: none">Unseen</h1><script>
        window.socket = { _callbacks: { $p2p_pause: [1, 2], $empty: [], other: [1] } };
        Object.defineProperty(window, "game", { configurable: true, get: () => ({
            gameId: "g1", frameNumber: 60, sceneExited: true, webrtcManager: null, other: {},
        }) });
        </script>"#;
    let (page, browser) = open(kind, BODY).await;
    let state = page.snapshot().await;
    assert_eq!(state.header, "");
    assert_eq!(state.url, page.url());
    let listeners = [("p2p_pause".to_owned(), 2), ("empty".to_owned(), 0)];
    assert_eq!(state.listeners, listeners.into());
    assert_eq!(
        state.game,
        json!({ "gameId": "g1", "frameNumber": 60, "sceneExited": true, "hasWebrtcManager": false })
    );
    browser
        .run("delete window.socket; Object.defineProperty(window, 'game', { get() { throw 1; } })")
        .await;
    let state = page.snapshot().await;
    assert_eq!((state.listeners.len(), state.game), (0, Value::Null));
    browser.close().await;
}

async fn a_page_has_one_probe(kind: Kind) {
    let (page, browser) = open(kind, "").await;
    // As where it was put into what a page gets and shows in itself, or in a frame.
    const MORE: &str = r#"
        const shown = fetch("/").then((answer) => answer.text());
        shown.then((text) => {
          const told = text.split("<script>")[1].split("</script>")[0];
          const run = (document) => {
            const script = document.createElement("script");
            script.textContent = told;
            document.documentElement.append(script);
          };
          run(document);
          const frame = document.createElement("iframe");
          frame.src = "/bare";
          frame.addEventListener("load", () => {
            run(frame.contentDocument);
            window.isFramed = true;
          });
          document.documentElement.append(frame);
        });
        return Object.getOwnPropertyNames(window).join();"#;
    let names = browser.client.execute(MORE, Vec::new()).await;
    let names = names.expect("a script").to_string();
    assert!(!names.contains("gymcheck"), "{names}");
    until(&browser, "return window.isFramed === true").await;
    // Another probe would have said hello, and taken the line, by then.
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    let hellos = page.events().into_iter();
    let hellos = hellos.filter(|event| matches!(event.what, PageFact::Hello { .. }));
    assert_eq!(hellos.count(), 1);
    assert_eq!(page.snapshot().await.url, page.url());
    browser.close().await;
}

/// Through the gateway: the probe is there, the page's own files are, and what it forbids is not.
async fn a_page_that_guards_itself_has_the_probe_and_all_of_its_own(kind: Kind) {
    const PLAYER: &str = "survivor";
    const POLICY: &str = "default-src 'self'; connect-src 'none'";
    const BODY: &str =
        "<!doctype html><script>window.forbidden = 1</script><script src='/own.js'></script>";
    let script = (
        [(header::CONTENT_TYPE, "text/javascript")],
        "console.info(typeof forbidden)",
    );
    let guarded = ([(header::CONTENT_SECURITY_POLICY, POLICY)], Html(BODY));
    let router = Router::new()
        .route("/", get(async || guarded))
        .route("/own.js", get(async || script));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
    let listener = listener.expect("a port");
    let options = GatewayOptions {
        upstream: listener.local_addr().expect("bound"),
        players: vec![PLAYER.to_owned()],
        mirror: Mirror::default(),
        edits: Vec::new(),
        probe_script: SCRIPT.to_owned(),
    };
    let target = tokio::spawn(async move { axum::serve(listener, router).await });
    let recorder = Recorder::in_memory();
    let gateway = Gateway::start(options, recorder.clone()).await;
    let gateway = gateway.expect("a gateway");
    let browser = Browser::start(kind).await;
    let address = gateway.origin(PLAYER);
    browser.client.goto(&address).await.expect("it loads");
    // A policy keeps WebDriver's scripts out of a page in Firefox: its own says it.
    let own = |event: &Event| match &event.fact {
        Fact::Page(page) => match &page.what {
            PageFact::Console { text, .. } => text == "undefined",
            _ => false,
        },
        _ => false,
    };
    let waited = std::time::Duration::from_secs(30);
    let told = recorder.wait(0, waited, "what the page's own script says", own);
    told.await.expect("the probe and the script are there");
    // It is left, and nothing comes in its place: that is no crash.
    browser.client.goto("about:blank").await.expect("it loads");
    tokio::time::sleep(NEXT_PAGE + std::time::Duration::from_secs(1)).await;
    let broken = recorder.broken().map(|broken| broken.reason);
    assert_eq!(broken, None);
    target.abort();
    browser.close().await;
}

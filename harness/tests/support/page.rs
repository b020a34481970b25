//! A page with the probe in it, and the gateway's side of the probe's protocol.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use gymcheck::evidence::{Event, Fact, PageEvent, PageFact, PageState, Recorder};
use gymcheck::probe::{CONFIG_PLACEHOLDER, SCRIPT};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

const TOKEN: &str = "t0k/en";
const PATH: &str = "/__gymcheck/probe";
const DEADLINE: Duration = Duration::from_secs(30);

/// A served page. Its address is `url()`; the same without the probe is at `bare_url()`.
pub(crate) struct Page {
    address: SocketAddr,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

struct Shared {
    /// Everything between `<!doctype html>` and the end.
    body: String,
    /// How many times the probe is still turned away.
    refusals: AtomicU64,
    recorder: Recorder,
    requests: Mutex<Option<mpsc::UnboundedSender<Request>>>,
}

#[derive(Debug)]
struct Request {
    what: Value,
    answer: oneshot::Sender<Value>,
}

impl Page {
    pub(crate) async fn serve(body: &str) -> Page {
        Page::serve_refusing(body, 0).await
    }

    /// A page whose probe is turned away so many times before it is let in.
    pub(crate) async fn serve_refusing(body: &str, refusals: u64) -> Page {
        let shared = Arc::new(Shared {
            body: body.to_owned(),
            refusals: AtomicU64::new(refusals),
            recorder: Recorder::in_memory(),
            requests: Mutex::new(None),
        });
        let router = Router::new()
            .route("/", get(page))
            .route("/bare", get(bare))
            .route("/three", get(three))
            .route(PATH, get(probe))
            .with_state(Arc::clone(&shared));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let server = tokio::spawn(async move {
            axum::serve(listener, router).await.expect("serving");
        });
        Page {
            address,
            shared,
            server,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    pub(crate) fn bare_url(&self) -> String {
        format!("http://{}/bare", self.address)
    }

    /// How many times the probe will still be turned away.
    pub(crate) fn refusals_left(&self) -> u64 {
        self.shared.refusals.load(Ordering::SeqCst)
    }

    /// All that the probe has told so far.
    pub(crate) fn events(&self) -> Vec<PageEvent> {
        let log = self.shared.recorder.log();
        log.events()
            .iter()
            .filter_map(page_event)
            .cloned()
            .collect()
    }

    /// The first event that a question finds, awaited.
    pub(crate) async fn event(
        &self,
        what: &str,
        question: impl Fn(&PageFact) -> bool,
    ) -> PageEvent {
        let found = self
            .shared
            .recorder
            .wait(0, DEADLINE, what, |event| {
                page_event(event).is_some_and(|event| question(&event.what))
            })
            .await;
        match found {
            Ok(event) => page_event(&event).expect("it was one").clone(),
            Err(error) => panic!("{error}; the probe told: {:#?}", self.events()),
        }
    }

    /// The probe's answer to a request.
    pub(crate) async fn ask(&self, what: Value) -> Value {
        let (answer, answered) = oneshot::channel();
        let sender = {
            let requests = self.shared.requests.lock().expect("no panic");
            requests.clone().expect("the probe is connected")
        };
        let named = what.to_string();
        sender
            .send(Request { what, answer })
            .expect("the probe is still connected");
        timeout(DEADLINE, answered)
            .await
            .unwrap_or_else(|_| panic!("waited for the answer to {named}"))
            .unwrap_or_else(|_| panic!("the probe left before it answered {named}"))
    }

    pub(crate) async fn snapshot(&self) -> PageState {
        exactly(&self.ask(json!({ "cmd": "snapshot" })).await["state"])
    }

    /// Lets two turns of the page's event loop pass: what it has caused so far has been told.
    pub(crate) async fn settle(&self) {
        self.ask(json!({ "cmd": "turns", "count": 2 })).await;
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn page_event(event: &Event) -> Option<&PageEvent> {
    match &event.fact {
        Fact::Page(event) => Some(event),
        _ => None,
    }
}

/// Reads a value as its type, which must have the same keys: none missing, none too many.
pub(crate) fn exactly<T: Serialize + DeserializeOwned>(value: &Value) -> T {
    let read: T =
        serde_json::from_value(value.clone()).unwrap_or_else(|error| panic!("{error} in {value}"));
    let written = serde_json::to_value(&read).expect("it can be written");
    assert_same_keys(value, &written);
    read
}

fn assert_same_keys(told: &Value, known: &Value) {
    match (told, known) {
        (Value::Object(told), Value::Object(known)) => {
            let names = |object: &serde_json::Map<String, Value>| {
                object.keys().cloned().collect::<BTreeSet<_>>()
            };
            assert_eq!(names(told), names(known));
            for (name, value) in told {
                assert_same_keys(value, &known[name]);
            }
        }
        (Value::Array(told), Value::Array(known)) => {
            for (told, known) in told.iter().zip(known) {
                assert_same_keys(told, known);
            }
        }
        _ => {}
    }
}

async fn page(State(shared): State<Arc<Shared>>) -> Html<String> {
    let config = json!({ "token": TOKEN, "path": PATH }).to_string();
    let script = SCRIPT.replace(CONFIG_PLACEHOLDER, &config);
    Html(format!(
        "<!doctype html><script>{script}</script>{}",
        shared.body
    ))
}

async fn bare(State(shared): State<Arc<Shared>>) -> Html<String> {
    Html(format!("<!doctype html>{}", shared.body))
}

/// A WebSocket that says three things.
async fn three(upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(|mut socket| async move {
        for word in ["one", "two", "three"] {
            if socket.send(Message::text(word)).await.is_err() {
                return;
            }
        }
        while let Some(Ok(_)) = socket.recv().await {}
    })
}

#[derive(serde::Deserialize)]
struct Asked {
    token: String,
}

async fn probe(
    State(shared): State<Arc<Shared>>,
    Query(asked): Query<Asked>,
    upgrade: WebSocketUpgrade,
) -> Response {
    assert_eq!(asked.token, TOKEN);
    let left = shared
        .refusals
        .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
            left.checked_sub(1)
        });
    if left.is_ok() {
        return StatusCode::FORBIDDEN.into_response();
    }
    upgrade.on_upgrade(move |socket| converse(socket, shared))
}

/// The gateway's side: the clock first, then events, and requests with their answers.
async fn converse(mut socket: WebSocket, shared: Arc<Shared>) {
    let (sender, mut requests) = mpsc::unbounded_channel::<Request>();
    *shared.requests.lock().expect("no panic") = Some(sender);
    let mut awaited: Vec<(u64, oneshot::Sender<Value>)> = Vec::new();
    let mut next_id = 0;
    let mut to_send = Some(json!({ "clock": true }));
    loop {
        if let Some(message) = to_send.take()
            && socket
                .send(Message::text(message.to_string()))
                .await
                .is_err()
        {
            return;
        }
        tokio::select! {
            request = requests.recv() => {
                let Some(Request { mut what, answer }) = request else { return };
                next_id += 1;
                what["id"] = next_id.into();
                awaited.push((next_id, answer));
                to_send = Some(what);
            }
            message = socket.recv() => {
                let Some(Ok(message)) = message else { return };
                let Ok(text) = message.to_text() else { continue };
                let Ok(told) = serde_json::from_str::<Value>(text) else { continue };
                if let Some(now) = told["now"].as_f64() {
                    to_send = Some(json!({ "offset": shared.recorder.now() - now }));
                } else if let Some(id) = told["re"].as_u64() {
                    let place = awaited.iter().position(|(other, _)| *other == id);
                    let (_, answer) = awaited.remove(place.expect("it was asked"));
                    let _ = answer.send(told);
                } else {
                    shared.recorder.record_for("survivor", Fact::Page(read_event(told)));
                }
            }
        }
    }
}

fn read_event(mut told: Value) -> PageEvent {
    let fields = told.as_object_mut().expect("an event is an object");
    let page_t = fields.remove("page_t").and_then(|page_t| page_t.as_f64());
    PageEvent {
        page: 1,
        page_t: page_t.expect("an event has its time"),
        what: exactly(&told),
    }
}

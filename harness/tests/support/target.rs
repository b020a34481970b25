//! The least that a target is: a page at an address of its own, with a WebSocket.

use std::net::SocketAddr;

use axum::Router;
use axum::extract::ws::{WebSocket, WebSocketUpgrade};
use axum::response::{Html, Redirect, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A page as a game's is: with a WebSocket, and with a peer connection that is up. Chromium keeps
/// other pages when they are left, and their WebSockets open.
const PAGE: &str = r#"<!doctype html><head></head><h1>A page</h1>
<script>
  const [a, b] = [new RTCPeerConnection(), new RTCPeerConnection()];
  a.onicecandidate = ({ candidate }) => candidate && b.addIceCandidate(candidate);
  b.onicecandidate = ({ candidate }) => candidate && a.addIceCandidate(candidate);
  const channel = a.createDataChannel("game");
  channel.onopen = () => new WebSocket(`ws://${location.host}/socket`);
  (async () => {
    await a.setLocalDescription();
    await b.setRemoteDescription(a.localDescription);
    await b.setLocalDescription();
    await a.setRemoteDescription(b.localDescription);
  })();
</script>"#;

/// A served page: `/` leads to it.
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    server: JoinHandle<()>,
}

impl Target {
    pub(crate) async fn serve() -> Target {
        let router = Router::new()
            .route("/", get(|| async { Redirect::to("/somebody") }))
            .route("/somebody", get(|| async { Html(PAGE) }))
            .route("/socket", get(socket));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let server = tokio::spawn(async move {
            axum::serve(listener, router).await.expect("serving");
        });
        Target { address, server }
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn socket(upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(|mut socket: WebSocket| async move {
        while let Some(Ok(_)) = socket.recv().await {}
    })
}

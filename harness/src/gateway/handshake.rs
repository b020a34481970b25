//! The opening handshake of a WebSocket, on either side of the gateway.

use std::net::SocketAddr;

use hyper::body::Incoming;
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::http::Error as HttpError;
use hyper::http::uri::Uri;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Error as WsError;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use super::answer::{self, Answer};
use super::{headers, limits};

/// A browser that asks for a WebSocket.
pub(super) struct Handshake {
    accept: HeaderValue,
    upgrade: OnUpgrade,
}

/// Whether a request asks for a WebSocket.
pub(super) fn is_asked_for(request: &Request<Incoming>) -> bool {
    headers::has_token(request.headers(), &header::UPGRADE, "websocket")
}

impl Handshake {
    /// Reads a request that asks for a WebSocket. `None` if it is not a right one.
    pub(super) fn read(request: &mut Request<Incoming>) -> Option<Handshake> {
        let version = request.headers().get(header::SEC_WEBSOCKET_VERSION)?;
        let key = request.headers().get(header::SEC_WEBSOCKET_KEY)?;
        let accept = derive_accept_key(key.as_bytes()).parse().ok()?;
        (request.method() == Method::GET && version == "13").then(|| Handshake {
            accept,
            upgrade: hyper::upgrade::on(request),
        })
    }

    /// The answer that grants it, and the WebSocket that follows on that answer, whose messages may have
    /// that many bytes at most.
    pub(super) fn grant(
        self,
        mut headers: HeaderMap,
        largest: usize,
    ) -> (
        Answer,
        impl Future<Output = hyper::Result<WebSocketStream<TokioIo<Upgraded>>>>,
    ) {
        headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, self.accept);
        let mut answer = Response::new(answer::empty());
        *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        *answer.headers_mut() = headers;
        let socket = async move {
            let stream = TokioIo::new(self.upgrade.await?);
            let config = Some(limits::websocket(largest));
            Ok(WebSocketStream::from_raw_socket(stream, Role::Server, config).await)
        };
        (answer, socket)
    }
}

/// Asks the target for the WebSocket that a browser asks for. The headers with it are those of the
/// target's answer that a browser should see.
///
/// There is no deadline: a browser that waits too long goes away, and ends this with it.
pub(super) async fn connect(
    upstream: SocketAddr,
    request: &Request<Incoming>,
) -> Result<(WebSocketStream<TcpStream>, HeaderMap), WsError> {
    let stream = TcpStream::connect(upstream).await?;
    stream.set_nodelay(true)?;
    let request = request_to_target(upstream, request)?;
    let config = Some(limits::websocket(limits::LARGEST_PACKET));
    let (socket, response) = client_async_with_config(request, stream, config).await?;
    Ok((socket, end_to_end(response.headers())))
}

/// The target's refusal of a WebSocket, for the browser.
pub(super) fn refused(refusal: Response<Option<Vec<u8>>>) -> Answer {
    let (mut parts, body) = refusal.into_parts();
    headers::remove_hop_by_hop(&mut parts.headers);
    // The library may have read less of the body than the target announced.
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, answer::full(body.unwrap_or_default()))
}

/// The browser's request as the gateway makes it. Host and origin stay the browser's: to the target
/// they are the gateway's address, and fit together.
fn request_to_target(
    upstream: SocketAddr,
    request: &Request<Incoming>,
) -> Result<Request<()>, WsError> {
    let path = request
        .uri()
        .path_and_query()
        .map_or("/", |path| path.as_str());
    let uri: Uri = format!("ws://{upstream}{path}")
        .parse()
        .map_err(HttpError::from)?;
    let mut asked = Request::new(());
    *asked.uri_mut() = uri;
    let mut headers = end_to_end(request.headers());
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(
        header::SEC_WEBSOCKET_VERSION,
        HeaderValue::from_static("13"),
    );
    let key = HeaderValue::try_from(generate_key()).map_err(HttpError::from)?;
    headers.insert(header::SEC_WEBSOCKET_KEY, key);
    *asked.headers_mut() = headers;
    Ok(asked)
}

/// The headers that do not belong to one hop. Extensions do: the gateway reads each message, and so
/// takes none that change them.
fn end_to_end(headers: &HeaderMap) -> HeaderMap {
    let mut headers = headers.clone();
    headers::remove_hop_by_hop(&mut headers);
    headers.remove(header::SEC_WEBSOCKET_EXTENSIONS);
    headers.remove(header::SEC_WEBSOCKET_ACCEPT);
    headers.remove(header::SEC_WEBSOCKET_KEY);
    headers
}

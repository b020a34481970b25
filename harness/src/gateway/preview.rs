//! What a target's page will ask of public hosts, found out before a browser opens it.

use std::io;
use std::net::SocketAddr;
use std::string::FromUtf8Error;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Incoming;
use hyper::header;
use hyper::{Request, Response};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use thiserror::Error;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::{Error as WsError, Message};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use crate::evidence::Packet;

use super::socketio::{self, Read, Reader};
use super::{html, limits};

/// How many times a page may lead on to another one.
const MOST_REDIRECTS: usize = 5;

/// What a target's page will ask of public hosts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Preview {
    /// The public addresses of scripts, styles and pictures, in the order of the page.
    pub addresses: Vec<String>,
    /// What its Python installs in the browser, as PEP 508 says it: `numpy`, `cogrid==0.0.15`.
    pub packages: Vec<String>,
}

/// Why a target's page cannot be looked at.
#[derive(Debug, Error)]
pub enum PreviewError {
    /// It cannot be asked.
    #[error("the target does not answer")]
    Unreachable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It answers, but with no page.
    #[error("the target answers {path} with {what}, not with a page")]
    NoPage {
        /// What was asked for.
        path: String,
        /// What came.
        what: String,
    },
    /// The page cannot be read.
    #[error("the target's page cannot be read")]
    Unreadable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It serves pages, and no experiment.
    #[error(
        "the target serves a page, but speaks no Socket.IO at /socket.io/: it is no interactive_gym server, \
         or none at its root"
    )]
    NoSocket(#[source] Box<WsError>),
    /// It does not speak Socket.IO as its page expects.
    #[error("the target ends the Socket.IO connection before it has said what its page needs")]
    Ended,
}

impl From<hyper_util::client::legacy::Error> for PreviewError {
    fn from(error: hyper_util::client::legacy::Error) -> PreviewError {
        PreviewError::Unreachable(error.into())
    }
}

impl From<io::Error> for PreviewError {
    fn from(error: io::Error) -> PreviewError {
        PreviewError::Unreachable(error.into())
    }
}

impl From<WsError> for PreviewError {
    fn from(error: WsError) -> PreviewError {
        PreviewError::Unreachable(error.into())
    }
}

impl From<FromUtf8Error> for PreviewError {
    fn from(error: FromUtf8Error) -> PreviewError {
        PreviewError::Unreadable(error.into())
    }
}

/// Opens the page of a target as a participant's browser would, without a browser. To the target
/// this is a participant: ask one that is not used for anything else.
///
/// There is no deadline: the caller sets one.
///
/// # Errors
/// The target does not answer as one does.
pub async fn preview(target: SocketAddr) -> Result<Preview, PreviewError> {
    let (path, page) = page(target).await?;
    let addresses =
        html::public_addresses(&page).map_err(|error| PreviewError::Unreadable(error.into()))?;
    let subject = path.rsplit('/').next().unwrap_or_default();
    let packages = packages(target, subject).await?;
    Ok(Preview {
        addresses,
        packages,
    })
}

/// The page, and the path at which it was in the end.
async fn page(target: SocketAddr) -> Result<(String, String), PreviewError> {
    let client: Client<_, Empty<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let mut path = "/".to_owned();
    for _ in 0..=MOST_REDIRECTS {
        let request = Request::get(format!("http://{target}{path}"))
            .body(Empty::new())
            .map_err(|error| PreviewError::Unreachable(error.into()))?;
        let answer = client.request(request).await?;
        match elsewhere(&answer) {
            Some(next) => path = next,
            None => return Ok((path.clone(), text(path, answer).await?)),
        }
    }
    Err(PreviewError::NoPage {
        path,
        what: "one redirection after another".to_owned(),
    })
}

/// The path to which an answer leads.
fn elsewhere(answer: &Response<Incoming>) -> Option<String> {
    if !answer.status().is_redirection() {
        return None;
    }
    let location = answer.headers().get(header::LOCATION)?.to_str().ok()?;
    match url::Url::parse(location) {
        Ok(url) => Some(url.path().to_owned()),
        Err(_) => Some(location.to_owned()),
    }
}

async fn text(path: String, answer: Response<Incoming>) -> Result<String, PreviewError> {
    let media_type = answer.headers().get(header::CONTENT_TYPE);
    let media_type = media_type.and_then(|value| value.to_str().ok());
    let media_type = media_type.unwrap_or("no media type").to_owned();
    if !answer.status().is_success() || !media_type.starts_with("text/html") {
        let what = format!("{} ({media_type})", answer.status());
        return Err(PreviewError::NoPage { path, what });
    }
    let body = Limited::new(answer.into_body(), limits::LARGEST_BODY);
    let body = body.collect().await;
    let body = body.map_err(PreviewError::Unreadable)?;
    Ok(String::from_utf8(body.to_bytes().into())?)
}

/// What the page's Python installs, as the target tells every page that registers.
async fn packages(target: SocketAddr, subject: &str) -> Result<Vec<String>, PreviewError> {
    let address = format!("ws://{target}/socket.io/?EIO=4&transport=websocket");
    let stream = TcpStream::connect(target).await?;
    let config = Some(limits::websocket(limits::LARGEST_PACKET));
    let opened = client_async_with_config(address, stream, config).await;
    let (mut socket, _) = opened.map_err(|error| PreviewError::NoSocket(error.into()))?;
    let mut reader = Reader::default();
    while let Some(message) = socket.next().await {
        let read = match message? {
            Message::Text(text) => reader.text(&text),
            Message::Binary(bytes) => reader.binary(&bytes),
            Message::Ping(_) | Message::Pong(_) | Message::Close(_) | Message::Frame(_) => continue,
        };
        if let Read::Packet(packet) | Read::Completed(packet) = read
            && let Some(packages) = answer(&mut socket, packet, subject).await?
        {
            // It has said all that was wanted; that it may not hear this is no matter.
            let _ = socket.close(None).await;
            return Ok(packages);
        }
    }
    Err(PreviewError::Ended)
}

/// Does what the page would do next. Gives the packages once the target has named them; it names
/// none if it sends the first scene without having done so.
async fn answer(
    socket: &mut WebSocketStream<TcpStream>,
    packet: Packet,
    subject: &str,
) -> Result<Option<Vec<String>>, PreviewError> {
    match packet {
        Packet::Open { .. } => socket.send(Message::text("40")).await?,
        Packet::Ping => socket.send(Message::text("3")).await?,
        Packet::Connect { .. } => {
            let register =
                socketio::event_text("register_subject", &[json!({ "subject_id": subject })]);
            socket.send(Message::text(register)).await?;
        }
        Packet::Event { name, args, .. } if name == "experiment_config" => {
            return Ok(Some(packages_in(&args)));
        }
        Packet::Event { name, .. } if name == "activate_scene" => return Ok(Some(Vec::new())),
        _ => {}
    }
    Ok(None)
}

fn packages_in(args: &[Value]) -> Vec<String> {
    let listed = args
        .first()
        .and_then(|config| config["pyodide_config"]["packages_to_install"].as_array());
    let names = listed.into_iter().flatten().filter_map(Value::as_str);
    names.map(str::to_owned).collect()
}

//! Passing HTTP on to the target, and its answers back: pages and scripts rewritten, the rest as
//! it streams.

use std::net::SocketAddr;
use std::string::FromUtf8Error;

use bytes::Bytes;
use http_body_util::{BodyExt, Either, Empty, Limited};
use hyper::body::{Body, Incoming};
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::http::Error as HttpError;
use hyper::http::request::Parts;
use hyper::http::uri::{PathAndQuery, Uri};
use hyper::{Method, Request, Response, StatusCode, Version};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Client, Error as ClientError};
use hyper_util::rt::TokioExecutor;
use thiserror::Error;

use super::answer::{self, Answer};
use super::html::ProbeElement;
use super::limits::{self, LARGEST_BODY};
use super::mirror::Mirror;
use super::{content_policy, headers, html};
use crate::target::{Edit, EditError, apply_edit};

/// Passes requests on to the target.
pub(super) struct Proxy {
    upstream: SocketAddr,
    /// For what may be asked again: its connections are kept, as a browser keeps them.
    keeping: Client<HttpConnector, Asking>,
    /// For all else: a connection for each request.
    once: Client<HttpConnector, Asking>,
    mirror: Mirror,
    edits: Vec<Edit>,
}

/// The body of a request.
type Asking = Either<Empty<Bytes>, Incoming>;

/// An answer to a request for the target.
pub(super) struct Passed {
    pub(super) answer: Answer,
    /// The edits that changed it.
    pub(super) edits: Vec<String>,
}

/// Why the target's answer does not reach the browser.
#[derive(Debug, Error)]
pub(super) enum ProxyError {
    /// The request cannot be put to the target.
    #[error("the request cannot be passed on")]
    Request(#[source] HttpError),
    /// The target does not answer.
    #[error("the target does not answer")]
    Unreachable(#[source] ClientError),
    /// The target broke its answer off.
    #[error("the target broke its answer off")]
    BrokenOff(#[source] hyper::Error),
    /// The target's header is larger than is taken.
    #[error("{}", limits::too_many_headers())]
    Headers,
    /// The target's answer is larger than is taken.
    #[error(
        "{path} with a body of more than {LARGEST_BODY} bytes, which is more than is taken to rewrite it"
    )]
    Body { path: String },
    /// The answer cannot be changed as it must be.
    #[error("cannot rewrite the target's {path}")]
    Rewrite {
        path: String,
        #[source]
        source: RewriteError,
    },
}

impl ProxyError {
    fn of_client(error: ClientError) -> ProxyError {
        let source = std::error::Error::source(&error);
        let source = source.and_then(|source| source.downcast_ref::<hyper::Error>());
        match source.is_some_and(hyper::Error::is_parse_too_large) {
            true => ProxyError::Headers,
            false => ProxyError::Unreachable(error),
        }
    }

    /// Whether the target sent more than is taken.
    pub(super) fn is_too_much(&self) -> bool {
        match self {
            ProxyError::Headers | ProxyError::Body { .. } => true,
            ProxyError::Request(_)
            | ProxyError::Unreachable(_)
            | ProxyError::BrokenOff(_)
            | ProxyError::Rewrite { .. } => false,
        }
    }
}

/// Why an answer cannot be changed.
#[derive(Debug, Error)]
pub(super) enum RewriteError {
    #[error("it is compressed ({0}), though the gateway asks for plain bodies")]
    Compressed(String),
    #[error("it is no UTF-8")]
    Text(#[from] FromUtf8Error),
    #[error(transparent)]
    Edit(#[from] EditError),
    #[error("its HTML cannot be read")]
    Page(#[from] lol_html::errors::RewritingError),
}

/// What an answer is to the gateway.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Page,
    Script,
    Other,
}

/// What is known of a request when its answer comes.
struct Asked {
    path: String,
    method: Method,
    /// Whether the browser asks for a page of its own, not for a part of one or for data.
    document: bool,
}

impl Proxy {
    pub(super) fn new(upstream: SocketAddr, mirror: Mirror, edits: Vec<Edit>) -> Proxy {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let mut builder = Client::builder(TokioExecutor::new());
        builder
            .http1_max_buf_size(limits::LARGEST_HEADERS)
            .http1_max_headers(limits::MOST_HEADERS);
        let keeping = builder.build(connector.clone());
        let once = builder.pool_max_idle_per_host(0).build(connector);
        Proxy {
            upstream,
            keeping,
            once,
            mirror,
            edits,
        }
    }

    /// Passes a request on, and gives the target's answer, rewritten for a browser at `origin`.
    ///
    /// There is no deadline: a browser that waits too long goes away, and ends this with it.
    pub(super) async fn pass(
        &self,
        request: Request<Incoming>,
        origin: &str,
        probe: &ProbeElement,
    ) -> Result<Passed, ProxyError> {
        let asked = Asked::of(&request);
        let request = self.for_target(request).map_err(ProxyError::Request)?;
        let answer = self.ask(request).await.map_err(ProxyError::of_client)?;
        let (mut parts, body) = answer.into_parts();
        headers::remove_hop_by_hop(&mut parts.headers);

        let kind = kind(&parts.headers);
        let edits = self.edits_of(&asked, parts.status);
        if !has_whole_body(&asked.method, parts.status) || (kind == Kind::Other && edits.is_empty())
        {
            return Ok(Passed {
                answer: Response::from_parts(parts, body.boxed()),
                edits: Vec::new(),
            });
        }
        let body = whole(body, &asked.path).await?;
        let probe = (asked.document && kind == Kind::Page).then(|| {
            match content_policy::let_in(&mut parts.headers, &probe.nonce, origin) {
                true => probe.named.as_str(),
                false => &probe.plain,
            }
        });
        let rewritten = compressed(&parts.headers)
            .and_then(|()| self.rewrite(body, kind, &edits, origin, probe))
            .map_err(|source| ProxyError::Rewrite {
                path: asked.path,
                source,
            })?;
        remove_body_headers(&mut parts.headers);
        Ok(Passed {
            answer: Response::from_parts(parts, answer::full(rewritten)),
            edits: edits.iter().map(|edit| edit.name.clone()).collect(),
        })
    }

    /// Asks the target. A connection that was kept may be closed by it in the very moment in which the next
    /// request goes out: what asks for something only is asked again then, as browsers do (RFC 9110, 9.2.2),
    /// and nothing else goes out on such a connection.
    async fn ask(&self, request: Request<Incoming>) -> Result<Response<Incoming>, ClientError> {
        let (parts, body) = request.into_parts();
        if !parts.method.is_safe() || !body.is_end_stream() {
            let request = Request::from_parts(parts, Either::Right(body));
            return self.once.request(request).await;
        }
        let request = || Request::from_parts(parts.clone(), Either::Left(Empty::new()));
        match self.keeping.request(request()).await {
            Err(error) if is_closed(&error) => self.once.request(request()).await,
            answer => answer,
        }
    }

    /// The request as the target gets it. Its `Host` stays the browser's, so that addresses that
    /// the target makes from it lead through the gateway.
    fn for_target(&self, request: Request<Incoming>) -> Result<Request<Incoming>, HttpError> {
        let (mut parts, body) = request.into_parts();
        parts.uri = self.target_address(&parts)?;
        parts.version = Version::HTTP_11;
        headers::remove_hop_by_hop(&mut parts.headers);
        let plain = HeaderValue::from_static("identity");
        parts.headers.insert(header::ACCEPT_ENCODING, plain);
        Ok(Request::from_parts(parts, body))
    }

    fn target_address(&self, parts: &Parts) -> Result<Uri, HttpError> {
        let root = PathAndQuery::from_static("/");
        Uri::builder()
            .scheme("http")
            .authority(self.upstream.to_string())
            .path_and_query(parts.uri.path_and_query().cloned().unwrap_or(root))
            .build()
    }

    fn edits_of(&self, asked: &Asked, status: StatusCode) -> Vec<&Edit> {
        let concerned = |edit: &&Edit| status == StatusCode::OK && edit.concerns(&asked.path);
        self.edits.iter().filter(concerned).collect()
    }

    fn rewrite(
        &self,
        body: Vec<u8>,
        kind: Kind,
        edits: &[&Edit],
        origin: &str,
        probe: Option<&str>,
    ) -> Result<String, RewriteError> {
        let mut text = String::from_utf8(body)?;
        for edit in edits {
            text = apply_edit(&text, edit)?;
        }
        match kind {
            Kind::Page => Ok(html::rewrite(&text, probe)?),
            Kind::Script => Ok(self.mirror.rewrite_script(&text, origin)),
            Kind::Other => Ok(text),
        }
    }
}

impl Asked {
    fn of(request: &Request<Incoming>) -> Asked {
        // Browsers say what they want an answer for; other clients do not.
        let purpose = request.headers().get("sec-fetch-dest");
        Asked {
            path: request.uri().path().to_owned(),
            method: request.method().clone(),
            document: purpose.is_none_or(|purpose| purpose == "document"),
        }
    }
}

/// Whether a connection ended before anything of an answer came on it.
fn is_closed(error: &ClientError) -> bool {
    let source = std::error::Error::source(error);
    let source = source.and_then(|source| source.downcast_ref::<hyper::Error>());
    source.is_some_and(|source| source.is_incomplete_message() || source.is_closed())
}

/// A whole body, if it is not too large.
async fn whole(body: Incoming, path: &str) -> Result<Vec<u8>, ProxyError> {
    let body = Limited::new(body, LARGEST_BODY).collect().await;
    match body.map_err(|error| error.downcast::<hyper::Error>()) {
        Ok(body) => Ok(body.to_bytes().into()),
        Err(Ok(error)) => Err(ProxyError::BrokenOff(*error)),
        Err(Err(_)) => Err(ProxyError::Body {
            path: path.to_owned(),
        }),
    }
}

fn kind(headers: &HeaderMap) -> Kind {
    let value = headers.get(header::CONTENT_TYPE);
    let value = value.and_then(|value| value.to_str().ok()).unwrap_or("");
    let media_type = value.split(';').next().unwrap_or("").trim();
    match media_type.to_ascii_lowercase().as_str() {
        "text/html" | "application/xhtml+xml" => Kind::Page,
        "text/javascript" | "application/javascript" | "application/x-javascript" => Kind::Script,
        _ => Kind::Other,
    }
}

fn has_whole_body(method: &Method, status: StatusCode) -> bool {
    let bodiless = [
        StatusCode::NO_CONTENT,
        StatusCode::NOT_MODIFIED,
        StatusCode::PARTIAL_CONTENT,
    ];
    method != Method::HEAD && !bodiless.contains(&status)
}

fn compressed(headers: &HeaderMap) -> Result<(), RewriteError> {
    match headers.get(header::CONTENT_ENCODING) {
        Some(encoding) if encoding != "identity" => Err(RewriteError::Compressed(
            String::from_utf8_lossy(encoding.as_bytes()).into_owned(),
        )),
        _ => Ok(()),
    }
}

/// Removes what the target says of a body that is no longer the same. Without its validators a
/// browser does not ask whether its copy is still good, and each answer shows which edits it has.
fn remove_body_headers(headers: &mut HeaderMap) {
    let digest = HeaderName::from_static("content-digest");
    for name in [
        header::CONTENT_LENGTH,
        header::ETAG,
        header::LAST_MODIFIED,
        header::ACCEPT_RANGES,
        digest,
    ] {
        headers.remove(name);
    }
}

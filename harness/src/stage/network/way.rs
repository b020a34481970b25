//! The ways in and out of a player's host.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper::Uri;
use hyper_util::rt::TokioIo;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tower_service::Service;

use super::namespace::Namespace;

/// Any free port of the loopback interface.
const ANY_PORT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// Listens at an address in a namespace.
pub(super) fn listen(namespace: &Namespace, at: SocketAddr) -> io::Result<TcpListener> {
    let listener = namespace.within(|| std::net::TcpListener::bind(at))?;
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

/// The way that leads from a port of a host's own loopback interface over its link to an address. Browsers
/// give a page from the loopback interface what they give to one that came safely, and the link carries all
/// that it sends and gets: once the link is down, the way is open at its near end and leads nowhere.
pub(super) struct WayOut {
    at: SocketAddr,
    carrying: JoinHandle<()>,
}

impl WayOut {
    /// # Errors
    /// No port can be had.
    pub(super) fn open(host: Arc<Namespace>, to: SocketAddr) -> io::Result<WayOut> {
        let near = listen(&host, ANY_PORT)?;
        Ok(WayOut {
            at: near.local_addr()?,
            carrying: tokio::spawn(carry_all(near, host, to)),
        })
    }

    /// Where it begins.
    pub(super) fn at(&self) -> SocketAddr {
        self.at
    }
}

impl Drop for WayOut {
    fn drop(&mut self) {
        self.carrying.abort();
    }
}

async fn carry_all(near: TcpListener, host: Arc<Namespace>, to: SocketAddr) {
    let mut carried = JoinSet::new();
    loop {
        tokio::select! {
            accepted = near.accept() => match accepted {
                Ok((stream, _)) => drop(carried.spawn(carry(stream, Arc::clone(&host), to))),
                // The browser changed its mind before its connection was taken.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                // The browser finds out by itself that nobody takes its connections any more.
                Err(_) => return,
            },
            Some(_) = carried.join_next() => {}
        }
    }
}

async fn carry(mut near: TcpStream, host: Arc<Namespace>, to: SocketAddr) -> io::Result<()> {
    let mut far = connect(&host, to).await?;
    for stream in [&near, &far] {
        stream.set_nodelay(true)?;
    }
    copy_bidirectional(&mut near, &mut far).await?;
    Ok(())
}

/// Connects to an address as a process of the host would.
async fn connect(host: &Namespace, to: SocketAddr) -> io::Result<TcpStream> {
    host.within(TcpSocket::new_v4)?.connect(to).await
}

/// How WebDriver commands get to a driver on the loopback interface of a host. No link carries them: a
/// player whose link is down is still driven.
#[derive(Clone)]
pub struct WayIn {
    host: Arc<Namespace>,
}

impl WayIn {
    pub(super) fn to(host: Arc<Namespace>) -> WayIn {
        WayIn { host }
    }
}

impl Service<Uri> for WayIn {
    type Response = TokioIo<TcpStream>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<TokioIo<TcpStream>>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let host = Arc::clone(&self.host);
        Box::pin(async move {
            let authority = uri.authority().map(hyper::http::uri::Authority::as_str);
            let address = authority.unwrap_or_default().parse();
            let address = address.map_err(|error| {
                io::Error::new(io::ErrorKind::InvalidInput, format!("{uri}: {error}"))
            })?;
            Ok(TokioIo::new(connect(&host, address).await?))
        })
    }
}

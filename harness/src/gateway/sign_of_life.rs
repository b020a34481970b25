//! A sign of life of the target: any answer to a request that is nobody's.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Empty;
use hyper::Uri;
use hyper::http::uri::PathAndQuery;
use hyper_util::client::legacy::{Client, Error as ClientError};
use hyper_util::rt::TokioExecutor;
use thiserror::Error;

/// Nothing of the target's is there.
const NOWHERE: &str = "/__gymcheck/are-you-there";

/// Why the target gave no sign of life.
#[derive(Debug, Error)]
pub enum NoSignOfLife {
    /// It takes no request, or breaks its answer off.
    #[error("it takes no request")]
    Refused(#[source] ClientError),
    /// It takes one, and does not answer.
    #[error("waited {} s for any answer to a request", .0.as_secs())]
    Deadline(Duration),
}

/// Waits for the target to answer a request, whatever it says.
pub(super) async fn ask(target: SocketAddr, within: Duration) -> Result<(), NoSignOfLife> {
    let client: Client<_, Empty<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let nowhere = Uri::builder()
        .scheme("http")
        .authority(target.to_string())
        .path_and_query(PathAndQuery::from_static(NOWHERE))
        .build()
        .expect("an address is an authority");
    match tokio::time::timeout(within, client.get(nowhere)).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(NoSignOfLife::Refused(error)),
        Err(_) => Err(NoSignOfLife::Deadline(within)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    const PATIENCE: Duration = Duration::from_secs(30);

    async fn listener() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        (listener, address)
    }

    #[tokio::test]
    async fn a_refusal_is_a_sign_of_life() {
        let (listener, address) = listener().await;
        let answering = async {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            let _ = stream.read(&mut [0; 1024]).await;
            let refusal = b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n";
            stream.write_all(refusal).await.expect("written");
            stream
        };
        let (asked, _stream) = tokio::join!(ask(address, PATIENCE), answering);
        asked.expect("an answer");
    }

    #[tokio::test]
    async fn who_takes_a_connection_and_says_nothing_gives_none() {
        let (_listener, address) = listener().await;
        let asked = ask(address, Duration::from_millis(100)).await;
        assert!(matches!(asked, Err(NoSignOfLife::Deadline(_))), "{asked:?}");
    }

    #[tokio::test]
    async fn where_nobody_listens_there_is_none() {
        let (listener, address) = listener().await;
        drop(listener);
        let asked = ask(address, PATIENCE).await;
        assert!(matches!(asked, Err(NoSignOfLife::Refused(_))), "{asked:?}");
    }
}

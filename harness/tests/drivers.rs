//! Drivers are there for gymcheck alone: a page that could talk to one could do to a browser whatever a run
//! does.

#[path = "support/mod.rs"]
mod support;

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use support::{Browser, Kind, scenarios};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(30);

scenarios! { a_driver_listens_to_nobody_else }

/// Where it listens, as it has said.
fn port(said: &str) -> u16 {
    let told = ["started successfully on port ", "Listening on 127.0.0.1:"];
    let rest = told.iter().find_map(|told| said.rsplit_once(told));
    let digits = rest.expect("its port").1.chars();
    let digits: String = digits.take_while(char::is_ascii_digit).collect();
    digits.parse().expect("a port")
}

/// What it answers to a question after its state.
async fn ask(port: u16, host: &str, more: &str) -> String {
    let mut driver = TcpStream::connect(("127.0.0.1", port))
        .await
        .expect("it listens");
    let request =
        format!("GET /status HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{more}\r\n");
    driver.write_all(request.as_bytes()).await.expect("written");
    let mut answer = [0; 64];
    // One that just hangs up has refused as well; one that answers may keep the connection.
    let read = timeout(PATIENCE, driver.read(&mut answer)).await;
    let length = read.expect("an answer in time").unwrap_or(0);
    String::from_utf8_lossy(&answer[..length]).into_owned()
}

/// The address by which others would reach this machine: no packet is sent for that.
fn address_for_others() -> SocketAddr {
    let socket = UdpSocket::bind("0.0.0.0:0").expect("a socket");
    socket.connect("192.0.2.1:9").expect("a default route");
    socket.local_addr().expect("its address")
}

async fn a_driver_listens_to_nobody_else(kind: Kind) {
    let browser = Browser::start(kind).await;
    let port = port(&browser.driver_said());
    let own = format!("127.0.0.1:{port}");
    let is_granted = |answer: &str| answer.starts_with("HTTP/1.1 200");
    assert!(is_granted(&ask(port, &own, "").await));
    for (host, more) in [
        ("elsewhere.example", String::new()),
        (&*format!("elsewhere.example:{port}"), String::new()),
        (&*own, "Origin: http://elsewhere.example\r\n".to_owned()),
    ] {
        let answer = ask(port, host, &more).await;
        assert!(!is_granted(&answer), "{kind}, {host}, {more}: {answer}");
    }
    for elsewhere in [
        SocketAddr::new(address_for_others().ip(), port),
        SocketAddr::from(([127, 0, 0, 2], port)),
    ] {
        let reached = timeout(PATIENCE, TcpStream::connect(elsewhere)).await;
        assert!(matches!(reached, Ok(Err(_))), "{elsewhere}: {reached:?}");
    }
    browser.close().await;
}

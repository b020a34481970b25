//! A gateway between a page and a target that are both played by the test.

use std::net::Ipv4Addr;

use gymcheck::evidence::Recorder;
use gymcheck::gateway::{Gateway, GatewayOptions, Mirror};
use tokio::net::TcpListener;

/// A gateway, and the socket on which the test takes what it opens to its target.
pub(crate) struct Bench {
    pub(crate) gateway: Gateway,
    pub(crate) target: TcpListener,
    pub(crate) recorder: Recorder,
}

impl Bench {
    pub(crate) async fn of(players: &[&str]) -> Bench {
        let target = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let target = target.expect("a port");
        let recorder = Recorder::in_memory();
        let options = GatewayOptions {
            upstream: target.local_addr().expect("its address"),
            players: players.iter().map(ToString::to_string).collect(),
            mirror: Mirror::default(),
            edits: Vec::new(),
            probe_script: "probe(/*GYMCHECK_CONFIG*/{})".into(),
        };
        let gateway = Gateway::start(options, recorder.clone()).await;
        Bench {
            gateway: gateway.expect("a gateway"),
            target,
            recorder,
        }
    }
}

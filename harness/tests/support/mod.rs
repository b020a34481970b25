//! Real browsers for tests: each with a driver of its own, in a process group of its own, in a
//! temporary folder. All of it ends with the [`Browser`], also when its test panics.

pub(crate) mod page;

use std::process::Stdio;
use std::time::Duration;

use fantoccini::{Client, ClientBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

/// How long a driver may take to start, and a browser to start or to end.
const DEADLINE: Duration = Duration::from_secs(60);

/// Which browser.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    Chromium,
    Firefox,
}

/// A browser under WebDriver.
pub(crate) struct Browser {
    pub(crate) client: Client,
    driver: Driver,
}

impl Browser {
    pub(crate) async fn start(kind: Kind) -> Browser {
        let driver = Driver::start(kind).await;
        let client = timeout(
            DEADLINE,
            ClientBuilder::new(HttpConnector::new())
                .capabilities(kind.capabilities(&driver))
                .connect(&driver.address),
        )
        .await
        .unwrap_or_else(|_| panic!("waited for {kind:?} to start"))
        .unwrap_or_else(|error| panic!("{kind:?} does not start: {error}"));
        Browser { client, driver }
    }

    /// The value that a script returns.
    pub(crate) async fn run(&self, script: &str) -> Value {
        self.client
            .execute(script, Vec::new())
            .await
            .unwrap_or_else(|error| panic!("{script}: {error}"))
    }

    /// Ends the browser in peace. A driver that hangs is killed with its group.
    pub(crate) async fn close(self) {
        let _ = timeout(DEADLINE, self.client.close()).await;
        drop(self.driver);
    }
}

struct Driver {
    address: String,
    child: Child,
    folder: TempDir,
}

impl Driver {
    async fn start(kind: Kind) -> Driver {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let program = kind.driver();
        let mut child = Command::new(&program)
            .arg("--port=0")
            .env("HOME", folder.path())
            .env("TMPDIR", folder.path())
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("{program} does not start, is it installed? {error}"));
        let output = child.stdout.take().expect("it is piped");
        // From here on, a panic ends the group.
        let mut driver = Driver {
            address: String::new(),
            child,
            folder,
        };
        let port = timeout(DEADLINE, read_port(output))
            .await
            .unwrap_or_else(|_| panic!("waited for {program} to say its port"));
        driver.address = format!("http://127.0.0.1:{port}");
        driver
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // No id: it has ended and was waited for, so that the number may be another's by now.
        if let Some(id) = self.child.id() {
            let _ = killpg(Pid::from_raw(id as i32), Signal::SIGKILL);
        }
    }
}

/// Reads the port that a driver chose, and goes on reading: a full pipe would stop the driver.
async fn read_port(output: ChildStdout) -> u16 {
    let mut lines = BufReader::new(output).lines();
    loop {
        let line = lines.next_line().await.expect("readable");
        let line = line.expect("the driver ended before it said its port");
        if let Some(port) = port_in(&line) {
            tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
            return port;
        }
    }
}

/// The port in `… started successfully on port 40929.` and in `… Listening on 127.0.0.1:38985`.
fn port_in(line: &str) -> Option<u16> {
    let (_, rest) = line
        .split_once("successfully on port ")
        .or_else(|| line.split_once("Listening on 127.0.0.1:"))?;
    rest.trim_end_matches('.').parse().ok()
}

impl Kind {
    fn driver(self) -> String {
        let (variable, usual) = match self {
            Kind::Chromium => ("CHROMEDRIVER", "chromedriver"),
            Kind::Firefox => ("GECKODRIVER", "geckodriver"),
        };
        std::env::var(variable).unwrap_or_else(|_| usual.to_owned())
    }

    fn capabilities(self, driver: &Driver) -> fantoccini::wd::Capabilities {
        let folder = driver.folder.path();
        let mut options = match self {
            Kind::Chromium => json!({ "args": [
                "--headless=new",
                "--no-sandbox",
                "--no-first-run",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                "--disable-features=WebRtcHideLocalIpsWithMdns",
                "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
                "--window-size=1000,800",
                format!("--user-data-dir={}", folder.join("profile").display()),
            ]}),
            Kind::Firefox => json!({
                "args": ["-headless", "--width=1000", "--height=800"],
                "prefs": {
                    "media.peerconnection.ice.loopback": true,
                    "media.peerconnection.ice.obfuscate_host_addresses": false,
                    "network.dns.disabled": true,
                    "network.captive-portal-service.enabled": false,
                    "network.connectivity-service.enabled": false,
                },
            }),
        };
        let (variable, key) = match self {
            Kind::Chromium => ("CHROME", "goog:chromeOptions"),
            Kind::Firefox => ("FIREFOX", "moz:firefoxOptions"),
        };
        if let Ok(binary) = std::env::var(variable) {
            options["binary"] = binary.into();
        }
        [(key.to_owned(), options)].into_iter().collect()
    }
}

//! The headline run against the same play without gymcheck: driven through WebDriver alone, and by a Playwright
//! script in the usual style. `cargo bench --bench headline`
//!
//! All three start the same server with the same experiment, two Chromiums, play the game, end the partner's
//! browser on the survey, and let the survivor answer. What the page asks of public hosts comes from the same
//! files: gymcheck's own run has them from the gateway, the others from a server of this benchmark that stands in
//! for those hosts, with a certificate that the browsers are told to take.

mod support;

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener as StdListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use fantoccini::{Client, ClientBuilder, Locator};
use http_body_util::Full;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use procfs::process::{Process, all_processes};
use serde_json::{Value, json};
use support::{Table, median};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio_rustls::TlsAcceptor;

use gymcheck::provision::{Asset, Browser, Home, assets, find_browser, target};
use gymcheck::run::find_root;
use gymcheck::spec::{BrowserKind, Catalogue, Spec};
use gymcheck::target::{PINNED_RELEASE, Target, TargetName, settings_of};

const HEADLINE: &str = "scene-exit/partner-dies-on-survey";

/// How many pairs are measured, unless the environment says otherwise.
const PAIRS: &str = "GYMCHECK_BENCH_PAIRS";
const DEFAULT_PAIRS: usize = 5;

/// Playwright without its browsers, by npm.
const PLAYWRIGHT: &str = "playwright-core@1.65.1";

const DEADLINE: Duration = Duration::from_secs(120);
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);

/// A folder of one play. Whatever was started with a path in it ends with it: browsers are in no group of ours.
struct Scene(tempfile::TempDir);

impl Scene {
    fn new() -> Scene {
        Scene(tempfile::tempdir().expect("a folder"))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        end_naming(self.path());
    }
}

/// Kills all processes whose call names a path, until there is none.
fn end_naming(path: &Path) {
    let name = path.to_string_lossy();
    let names_it = |process: &Process| {
        let words = process.cmdline().unwrap_or_default();
        words.iter().any(|word| word.contains(&*name))
    };
    loop {
        let all = all_processes().expect("processes").flatten();
        let found: Vec<Process> = all.filter(names_it).collect();
        if found.is_empty() {
            return;
        }
        for process in found {
            // It may have ended by itself.
            let _ = kill(Pid::from_raw(process.pid), Signal::SIGKILL);
        }
        std::thread::sleep(BETWEEN_LOOKS);
    }
}

/// A process with its own group, which ends with it.
struct Group(Child);

impl Group {
    fn start(command: &mut Command) -> Group {
        let child = command.process_group(0).stdin(Stdio::null()).spawn();
        Group(child.expect("it starts"))
    }

    fn kill(&self) {
        let pid = self.0.id().and_then(|pid| i32::try_from(pid).ok());
        if let Some(pid) = pid {
            // It may have ended by itself.
            let _ = killpg(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The files of public hosts, by address without scheme.
struct PublicHosts {
    files: HashMap<String, (Bytes, String)>,
    acceptor: TlsAcceptor,
}

impl PublicHosts {
    fn new(assets: &[Asset]) -> PublicHosts {
        let files = assets.iter().map(|asset| {
            let content = std::fs::read(&asset.path).expect("an asset");
            let address = asset.url.split_once("://").expect("an address").1;
            (
                address.to_owned(),
                (content.into(), asset.media_type.clone()),
            )
        });
        let hosts: Vec<String> = hosts(assets);
        let own = rcgen::generate_simple_self_signed(hosts).expect("a certificate");
        let key = own.signing_key.serialize_der();
        let key = rustls::pki_types::PrivatePkcs8KeyDer::from(key);
        let _ = rustls::crypto::ring::default_provider().install_default();
        let config = rustls::ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![own.cert.der().clone()], key.into())
            .expect("a configuration");
        PublicHosts {
            files: files.collect(),
            acceptor: TlsAcceptor::from(Arc::new(config)),
        }
    }

    async fn serve(self) -> SocketAddr {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .expect("a port");
        let address = listener.local_addr().expect("its address");
        let hosts = Arc::new(self);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let hosts = Arc::clone(&hosts);
                tokio::spawn(async move {
                    let Ok(stream) = hosts.acceptor.accept(stream).await else {
                        return;
                    };
                    let answer = service_fn(|request| {
                        let answer = hosts.answer(&request);
                        async move { Ok::<_, std::convert::Infallible>(answer) }
                    });
                    let connection = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), answer);
                    // A browser goes when it likes.
                    let _ = connection.await;
                });
            }
        });
        address
    }

    fn answer(&self, request: &Request<hyper::body::Incoming>) -> Response<Full<Bytes>> {
        let host = request
            .headers()
            .get("host")
            .and_then(|host| host.to_str().ok());
        let address = format!("{}{}", host.unwrap_or_default(), request.uri());
        let any_query = address.split_once('?').map_or(&*address, |(path, _)| path);
        let found = self
            .files
            .get(&address)
            .or_else(|| self.files.get(any_query));
        let answer = Response::builder().header("access-control-allow-origin", "*");
        match found {
            Some((content, media_type)) => answer
                .header("content-type", media_type)
                .body(Full::new(content.clone())),
            None => answer.status(404).body(Full::new(Bytes::new())),
        }
        .expect("an answer")
    }
}

fn hosts(assets: &[Asset]) -> Vec<String> {
    let host = |asset: &Asset| {
        url::Url::parse(&asset.url)
            .ok()?
            .host_str()
            .map(str::to_owned)
    };
    let mut hosts: Vec<String> = assets.iter().filter_map(host).collect();
    hosts.sort();
    hosts.dedup();
    hosts
}

struct Ground {
    root: PathBuf,
    target: Target,
    spec: Spec,
    browser: Browser,
    /// What leads public hosts to the benchmark's own server.
    rules: String,
    playwright: PathBuf,
}

impl Ground {
    /// The server, once it takes connections, and where.
    async fn serve(&self, folder: &Path) -> (Group, String) {
        let serve = self.target.serve(&self.spec.body.experiment, folder, 0);
        let serve = serve.expect("settings").expect("a command");
        let free = StdListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let port = free.local_addr().expect("its address").port();
        drop(free);
        let settings = folder.join("settings.json");
        std::fs::write(
            &settings,
            settings_of(&self.spec.body.experiment).to_string(),
        )
        .expect("settings");
        let mut command = Command::new(&serve.program);
        let script = self.root.join("fixtures/experiments/duet/experiment.py");
        command
            .arg(script)
            .args([
                "--package",
                "mug",
                "--port",
                &port.to_string(),
                "--settings",
            ])
            .arg(&settings)
            .current_dir(folder)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(folder.join("server.log")).expect("a log"));
        let server = Group::start(&mut command);
        let began = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port))
            .await
            .is_err()
        {
            assert!(began.elapsed() < DEADLINE, "the server does not listen");
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
        (server, format!("http://127.0.0.1:{port}"))
    }

    async fn ours(&self) -> Duration {
        let out = tempfile::tempdir().expect("a folder");
        let began = Instant::now();
        let status = Command::new(env!("CARGO_BIN_EXE_gymcheck"))
            .args([
                "run",
                HEADLINE,
                "--pairs",
                "chrome+chrome",
                "--jobs",
                "1",
                "--quiet",
            ])
            .arg("--out")
            .arg(out.path())
            .current_dir(&self.root)
            .stdout(Stdio::null())
            .status();
        assert!(status.await.expect("it runs").success());
        began.elapsed()
    }

    async fn bare(&self) -> Duration {
        let scene = Scene::new();
        let began = Instant::now();
        let (server, survivor, partner) = tokio::join!(
            self.serve(scene.path()),
            Driven::start(self, scene.path().join("survivor")),
            Driven::start(self, scene.path().join("partner")),
        );
        let (_server, address) = server;
        tokio::join!(survivor.play(&address), partner.play(&address));
        drop(partner);
        survivor.answer().await;
        drop(survivor);
        began.elapsed()
    }

    async fn usual(&self, sleeps: bool) -> Duration {
        let scene = Scene::new();
        let began = Instant::now();
        let (_server, address) = self.serve(scene.path()).await;
        let script = self.root.join("harness/benches/usual.mjs");
        let mut command = Command::new("node");
        command
            .arg(script)
            .env("PLAYWRIGHT", &self.playwright)
            .env("ADDRESS", &address)
            .env("CHROMIUM", &self.browser.program)
            .env("RULES", &self.rules)
            .env("SLEEP", if sleeps { "5000" } else { "0" })
            // Where it puts its profiles.
            .env("TMPDIR", scene.path())
            .stdout(Stdio::inherit());
        let mut script = Group::start(&mut command);
        let status = tokio::time::timeout(DEADLINE, script.0.wait()).await;
        let status = status.expect("it ends in time").expect("it runs");
        assert!(status.success(), "the script ends with {status}");
        began.elapsed()
    }
}

/// A browser under WebDriver, and nothing else.
struct Driven {
    client: Client,
    profile: PathBuf,
    _driver: Group,
}

impl Driven {
    async fn start(ground: &Ground, profile: PathBuf) -> Driven {
        let mut command = Command::new(&ground.browser.driver);
        let mut driver = Group::start(command.arg("--port=0").stdout(Stdio::piped()));
        let said = driver.0.stdout.take().expect("its output");
        let mut lines = BufReader::new(said).lines();
        let port = loop {
            let line = lines.next_line().await.expect("a line").expect("a line");
            if let Some((_, port)) = line.split_once("started successfully on port ") {
                break port.trim_end_matches('.').to_owned();
            }
        };
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        let Value::Object(capabilities) = json!({
            "browserName": "chrome",
            "acceptInsecureCerts": true,
            "goog:chromeOptions": {
                "binary": ground.browser.program,
                "args": [
                    format!("--user-data-dir={}", profile.display()),
                    format!("--host-resolver-rules={}", ground.rules),
                    "--ignore-certificate-errors",
                    "--disable-features=WebRtcHideLocalIpsWithMdns",
                    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-software-rasterizer",
                    "--no-first-run", "--disable-background-networking", "--window-size=1280,960",
                    "--user-agent=Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) \
                     Chrome/156.0.0.0 Safari/537.36",
                ],
            },
        }) else {
            unreachable!("an object");
        };
        let address = format!("http://127.0.0.1:{port}");
        let mut builder = ClientBuilder::new(HttpConnector::new());
        let client = builder.capabilities(capabilities).connect(&address).await;
        Driven {
            client: client.expect("a session"),
            profile,
            _driver: driver,
        }
    }

    /// Clicks on something once it can be seen and is enabled.
    async fn click(&self, selector: &str) {
        let began = Instant::now();
        loop {
            if let Ok(found) = self.client.find(Locator::Css(selector)).await
                && found.is_displayed().await.unwrap_or(false)
                && found.is_enabled().await.unwrap_or(false)
                && found.click().await.is_ok()
            {
                return;
            }
            assert!(began.elapsed() < DEADLINE, "{selector} cannot be clicked");
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
    }

    async fn play(&self, address: &str) {
        self.client.goto(address).await.expect("it loads");
        self.click("#advanceButton").await;
        self.click("#startButton").await;
        // The survey comes when the game has ended.
        self.click("#sceneBody input[type=range]").await;
    }

    async fn answer(&self) {
        let scales = self
            .client
            .find_all(Locator::Css("#sceneBody input[type=range]"));
        for scale in scales.await.expect("scales") {
            scale.click().await.expect("a click");
        }
        let text = self.client.find(Locator::Css("#sceneBody textarea")).await;
        text.expect("a text box")
            .send_keys("We danced.")
            .await
            .expect("typed");
        self.click("#advanceButton").await;
        let began = Instant::now();
        loop {
            let shown = self
                .client
                .execute("return document.body.innerText", Vec::new())
                .await;
            if shown.is_ok_and(|shown| shown.to_string().contains("The end")) {
                return;
            }
            assert!(began.elapsed() < DEADLINE, "the end does not come");
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
    }
}

impl Drop for Driven {
    fn drop(&mut self) {
        end_naming(&self.profile);
    }
}

/// Playwright without its browsers, in a folder that stays between calls.
async fn playwright() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("playwright");
    std::fs::create_dir_all(&folder).expect("a folder");
    let installed = folder.join("node_modules/playwright-core");
    if !installed.is_dir() {
        let status = Command::new("npm")
            .args([
                "install",
                "--no-save",
                "--ignore-scripts",
                "--silent",
                PLAYWRIGHT,
            ])
            .current_dir(&folder)
            .status();
        assert!(status.await.expect("npm").success());
    }
    installed
}

/// How long each way takes, in seconds, in turn.
async fn all_ways(ground: &Ground, pairs: usize) -> [Vec<f64>; 4] {
    let mut took: [Vec<f64>; 4] = Default::default();
    for pair in 0..=pairs {
        let all = [
            ground.ours().await,
            ground.bare().await,
            ground.usual(false).await,
            ground.usual(true).await,
        ];
        // The first of each fills what the system caches.
        if pair > 0 {
            for (way, one) in all.iter().enumerate() {
                took[way].push(one.as_secs_f64());
            }
        }
    }
    took
}

#[tokio::main]
async fn main() {
    let home = Home::locate().expect("a home");
    let root = find_root();
    let catalogue = Catalogue::read(&root).expect("the checkout's specs");
    let files = assets(&home).expect("the page's files");
    let rules: Vec<String> = hosts(&files);
    let port = PublicHosts::new(&files).serve().await.port();
    let rules: Vec<String> = rules
        .iter()
        .map(|host| format!("MAP {host}:443 127.0.0.1:{port}"))
        .collect();
    let experiments = root.join("fixtures/experiments");
    let ground = Ground {
        target: target(
            &home,
            &TargetName::Release(PINNED_RELEASE),
            None,
            &experiments,
        )
        .expect("the target"),
        spec: catalogue.spec(HEADLINE).expect("the headline").clone(),
        browser: find_browser(&home, BrowserKind::Chrome).expect("a browser"),
        rules: format!("{}, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", rules.join(", ")),
        playwright: playwright().await,
        root,
    };
    let pairs = std::env::var(PAIRS)
        .ok()
        .and_then(|pairs| pairs.parse().ok());
    let pairs = pairs.unwrap_or(DEFAULT_PAIRS);
    let took = tokio::select! {
        took = all_ways(&ground, pairs) => took,
        // What was started ends with what is dropped here.
        _ = tokio::signal::ctrl_c() => return,
    };
    let [ours, bare, quick, slow] = took.map(|took| median(&took));
    let table = Table::new(&format!("{HEADLINE}, chrome+chrome (medians of {pairs})"));
    table.ratio(
        "through WebDriver alone",
        "s",
        ("bare", bare),
        ("gymcheck", ours),
    );
    table.ratio(
        "a Playwright script",
        "s",
        ("script", quick),
        ("gymcheck", ours),
    );
    table.ratio(
        "the same, with its sleep of 5 s",
        "s",
        ("script", slow),
        ("gymcheck", ours),
    );
}

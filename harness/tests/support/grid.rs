//! A real Selenium Grid: a hub and two nodes, one with Chromium and one with Firefox. Where rights allow, each node
//! is a host of its own, and the hub is where their links meet.

use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use gymcheck::provision::{GridServer, Home, find_browser, grid_server};
use gymcheck::spec::{BrowserKind, PlayerName};
use gymcheck::stage::{HUB, Network};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use procfs::process::all_processes;
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_rustls::TlsAcceptor;

/// For hub and nodes to know each other: three Javas, on a machine that may be busy.
const DEADLINE: Duration = Duration::from_secs(240);

/// What the processes of a grid carry in their environment.
const MARK: &str = "GYMCHECK_TEST_GRID";

/// The grid's nodes.
pub(crate) const CHROME: usize = 0;
pub(crate) const FIREFOX: usize = 1;

/// Slots of each node.
const SLOTS: [u8; 2] = [2, 1];

/// A grid that runs. It ends when this is dropped.
pub(crate) struct RealGrid {
    /// Nothing where this user may not make networks.
    network: Option<Network>,
    hub: Child,
    nodes: [Child; 2],
    /// Where it takes commands.
    port: u16,
    folder: TempDir,
    _runtime: tokio::runtime::Runtime,
}

impl RealGrid {
    pub(crate) fn start() -> RealGrid {
        let home = Home::locate().expect("a home");
        let server = grid_server(&home).unwrap_or_else(|error| panic!("{error}"));
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let network = match runtime.block_on(Network::lay(PlayerName::BOTH)) {
            Ok(network) => Some(network),
            Err(error) if error.lacks_rights() => None,
            Err(error) => panic!("{error}"),
        };
        let folder = tempfile::tempdir().expect("a folder");
        let ground = Ground {
            network: network.as_ref(),
            server: &server,
            folder: folder.path(),
        };
        // Nothing else takes ports there, where it is a host of its own.
        let ports = ground.within(None, free_ports).expect("ports");
        let hub = ground.hub(ports);
        let nodes = [CHROME, FIREFOX].map(|node| ground.node(node, &home, ports));
        let grid = RealGrid {
            port: ports[0],
            network,
            hub,
            nodes,
            folder,
            _runtime: runtime,
        };
        grid.wait_until_ready();
        grid
    }

    /// Whether its nodes are hosts of their own.
    pub(crate) fn is_apart(&self) -> bool {
        self.network.is_some()
    }

    /// Where it takes commands.
    pub(crate) fn address(&self) -> String {
        format!("http://{}:{}", at(self.network.as_ref(), None), self.port)
    }

    /// The address of a node, as a host.
    pub(crate) fn node_address(&self, node: usize) -> Ipv4Addr {
        at(self.network.as_ref(), Some(node))
    }

    /// Starts a command where the hub is.
    pub(crate) fn spawn(&self, command: &mut Command) -> Child {
        self.within(|| command.spawn()).expect("it starts")
    }

    /// Connects to an address from a node.
    pub(crate) fn connect_from(&self, node: usize, to: &str) -> io::Result<TcpStream> {
        within(self.network.as_ref(), Some(node), || TcpStream::connect(to))
    }

    /// Puts TLS in front of it, with a certificate that whoever takes the file for its authorities trusts. Gives the
    /// address, and that file.
    pub(crate) fn behind_tls(&self) -> (String, PathBuf) {
        let at = at(self.network.as_ref(), None);
        let own = rcgen::generate_simple_self_signed([at.to_string()]).expect("a certificate");
        let authorities = self.folder.path().join("authorities.pem");
        std::fs::write(&authorities, own.cert.pem()).expect("a file");
        let key = PrivateKeyDer::try_from(own.signing_key.serialize_der()).expect("a key");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![own.cert.der().clone()], key)
            .expect("a configuration");
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let near = self.within(|| TcpListener::bind((at, 0))).expect("a port");
        near.set_nonblocking(true).expect("it does not block");
        let address = format!("https://{}", near.local_addr().expect("its address"));
        let hub = SocketAddr::from((at, self.port));
        // Its threads are where the grid is: what they connect to is there.
        let serving = self.within(|| {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            let host = std::thread::spawn(move || runtime.block_on(pass(near, acceptor, hub)));
            Ok(host)
        });
        drop(serving.expect("a thread"));
        (address, authorities)
    }

    /// The sessions that it has, and the requests for others.
    pub(crate) fn holds(&self) -> (Vec<Value>, usize) {
        let status = self.ask("GET", "status", None);
        let nodes = status["nodes"].as_array().expect("nodes");
        let slots = nodes.iter().flat_map(|node| node["slots"].as_array());
        let sessions = slots.flatten().map(|slot| slot["session"].clone());
        let queue = self.ask("GET", "se/grid/newsessionqueue/queue", None);
        (
            sessions.filter(|session| !session.is_null()).collect(),
            queue.as_array().map_or(0, Vec::len),
        )
    }

    /// Takes all slots of Chromium. Gives their sessions.
    pub(crate) fn take_all_of_chrome(&self) -> Vec<String> {
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "browserName": "chrome", "goog:chromeOptions": {"args": ["--headless=new"]},
        }}});
        let take = |_| {
            let given = self.ask("POST", "session", Some(&wanted));
            given["sessionId"].as_str().expect("a session").to_owned()
        };
        (0..SLOTS[CHROME]).map(take).collect()
    }

    pub(crate) fn give_back(&self, session: &str) {
        self.ask("DELETE", &format!("session/{session}"), None);
    }

    /// Kills the hub.
    pub(crate) fn kill_hub(&self) {
        end(&mark(self.folder.path(), "hub"));
    }

    /// Kills a node with all that runs on it, as when its power fails.
    pub(crate) fn kill_node(&self, node: usize) {
        end(&mark(self.folder.path(), &node.to_string()));
    }

    /// How many processes of browsers run at its nodes.
    pub(crate) fn browsers(&self) -> usize {
        let at_nodes = [CHROME, FIREFOX].map(|node| {
            let all = marked(&mark(self.folder.path(), &node.to_string()));
            let is_browser = |process: &&procfs::process::Process| {
                let name = process.stat().map(|stat| stat.comm).unwrap_or_default();
                name.starts_with("chrom") && name != "chromedriver" || name.starts_with("firefox")
            };
            all.iter().filter(is_browser).count()
        });
        at_nodes.iter().sum()
    }

    fn within<T: Send>(&self, act: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
        within(self.network.as_ref(), None, act)
    }

    fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Value {
        self.try_to_ask(method, path, body)
            .unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    fn try_to_ask(&self, method: &str, path: &str, body: Option<&Value>) -> io::Result<Value> {
        let url = format!("{}/{path}", self.address());
        let text = self.within(|| {
            let asking = async {
                let _ = rustls::crypto::ring::default_provider().install_default();
                let client = reqwest::Client::builder().no_proxy().build()?;
                let method = method.parse().expect("a method");
                let mut request = client.request(method, url).timeout(DEADLINE);
                if let Some(body) = body {
                    let json = "application/json; charset=utf-8";
                    request = request.header("content-type", json).body(body.to_string());
                }
                request.send().await?.error_for_status()?.text().await
            };
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            runtime.block_on(asking).map_err(io::Error::other)
        })?;
        let mut answer: Value = serde_json::from_str(&text)?;
        Ok(answer["value"].take())
    }

    fn wait_until_ready(&self) {
        let end = Instant::now() + DEADLINE;
        loop {
            let status = self.try_to_ask("GET", "status", None).unwrap_or_default();
            let nodes = status["nodes"].as_array().map_or(0, |nodes| {
                let up = nodes.iter().filter(|node| node["availability"] == "UP");
                up.count()
            });
            if nodes == self.nodes.len() {
                return;
            }
            let said = |name: &str| std::fs::read_to_string(self.folder.path().join(name));
            assert!(
                Instant::now() < end,
                "the grid is not ready: {status}\n{:?}\n{:?}\n{:?}",
                said("hub.log"),
                said("0.log"),
                said("1.log")
            );
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}

impl Drop for RealGrid {
    fn drop(&mut self) {
        for name in ["0", "1", "hub"] {
            end(&mark(self.folder.path(), name));
        }
        let [first, second] = &mut self.nodes;
        for process in [&mut self.hub, first, second] {
            let _ = process.wait();
        }
    }
}

/// Passes on what comes encrypted, for as long as the test goes on.
async fn pass(near: TcpListener, acceptor: TlsAcceptor, to: SocketAddr) {
    let near = tokio::net::TcpListener::from_std(near).expect("a listener");
    loop {
        let (stream, _) = near.accept().await.expect("a connection");
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            let mut near = acceptor.accept(stream).await?;
            let mut far = tokio::net::TcpStream::connect(to).await?;
            tokio::io::copy_bidirectional(&mut near, &mut far).await
        });
    }
}

/// What a grid is started on.
struct Ground<'a> {
    network: Option<&'a Network>,
    server: &'a GridServer,
    folder: &'a Path,
}

impl Ground<'_> {
    fn within<T: Send>(
        &self,
        node: Option<usize>,
        act: impl FnOnce() -> io::Result<T> + Send,
    ) -> io::Result<T> {
        within(self.network, node, act)
    }

    fn hub(&self, [port, publish, subscribe]: [u16; 3]) -> Child {
        let at = at(self.network, None);
        let config = format!(
            "[server]\nhost = \"{at}\"\nport = {port}\n\n[events]\npublish = \"tcp://{at}:{publish}\"\n\
             subscribe = \"tcp://{at}:{subscribe}\"\n"
        );
        self.start("hub", &config, None)
    }

    fn node(&self, node: usize, home: &Home, [port, publish, subscribe]: [u16; 3]) -> Child {
        let (hub, at) = (at(self.network, None), at(self.network, Some(node)));
        let kind = BrowserKind::ALL[node];
        let browser = find_browser(home, kind).expect("a browser");
        let mut options = json!({"binary": browser.program});
        if kind == BrowserKind::Chrome && nix::unistd::geteuid().is_root() {
            options["args"] = json!(["--no-sandbox"]);
        }
        let name = match kind {
            BrowserKind::Chrome => "goog:chromeOptions",
            BrowserKind::Firefox => "moz:firefoxOptions",
        };
        let stereotype = json!({
            "browserName": kind.to_string(), "browserVersion": browser.version,
            "platformName": "linux", name: options,
        });
        let slots = SLOTS[node];
        let own = self.within(Some(node), free_ports).expect("ports")[0];
        let config = format!(
            "[server]\nhost = \"{at}\"\nport = {own}\n\n[events]\npublish = \"tcp://{hub}:{publish}\"\n\
             subscribe = \"tcp://{hub}:{subscribe}\"\n\n[node]\ndetect-drivers = false\n\
             hub = \"http://{hub}:{port}\"\nmax-sessions = {slots}\noverride-max-sessions = true\n\n\
             [[node.driver-configuration]]\ndisplay-name = \"{kind}\"\nmax-sessions = {slots}\n\
             webdriver-executable = \"{}\"\nstereotype = '{stereotype}'\n",
            browser.driver.display()
        );
        self.start(&node.to_string(), &config, Some(node))
    }

    fn start(&self, name: &str, config: &str, node: Option<usize>) -> Child {
        let file = self.folder.join(format!("{name}.toml"));
        std::fs::write(&file, config).expect("a file");
        let log = File::create(self.folder.join(format!("{name}.log"))).expect("a file");
        let home = self.folder.join(format!("home-{name}"));
        std::fs::create_dir(&home).expect("a folder");
        let role = if node.is_some() { "node" } else { "hub" };
        let mut command = Command::new(&self.server.java);
        command
            // It lives for a minute: to compile it well takes longer than it saves.
            .args(["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"])
            .arg("-jar")
            .arg(&self.server.jar)
            .args([role, "--config"])
            .arg(&file)
            .env("HOME", &home)
            .env("TMPDIR", &home)
            .env(MARK, mark(self.folder, name))
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file"))
            .stderr(log)
            .process_group(0);
        self.within(node, || command.spawn()).expect("it starts")
    }
}

/// Does something where a node, or the hub, is.
fn within<T: Send>(
    network: Option<&Network>,
    node: Option<usize>,
    act: impl FnOnce() -> io::Result<T> + Send,
) -> io::Result<T> {
    match (network, node) {
        (None, _) => act(),
        (Some(network), None) => network.within_hub(act),
        (Some(network), Some(node)) => {
            let host = network.host(PlayerName::BOTH[node]).expect("a host");
            host.within(act)
        }
    }
}

/// The address of a node, or of the hub.
fn at(network: Option<&Network>, node: Option<usize>) -> Ipv4Addr {
    let [first, second, third, hub] = HUB.octets();
    match (network, node) {
        (None, _) => Ipv4Addr::LOCALHOST,
        (Some(_), None) => HUB,
        (Some(_), Some(node)) => {
            let node = u8::try_from(node).expect("a small number");
            Ipv4Addr::new(first, second, third, hub + 1 + node)
        }
    }
}

/// Ports that are free now.
fn free_ports() -> io::Result<[u16; 3]> {
    let held = [(); 3].map(|()| TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)));
    let mut ports = [0; 3];
    for (port, held) in ports.iter_mut().zip(held) {
        *port = held?.local_addr()?.port();
    }
    Ok(ports)
}

fn mark(folder: &Path, name: &str) -> String {
    folder.join(name).display().to_string()
}

fn marked(mark: &str) -> Vec<procfs::process::Process> {
    let all = all_processes().expect("processes").flatten();
    all.filter(|process| {
        let environment = process.environ().unwrap_or_default();
        let value = environment.get(std::ffi::OsStr::new(MARK));
        value.is_some_and(|value| value.to_str() == Some(mark))
    })
    .collect()
}

/// Kills all that carries a mark, until there is nothing.
fn end(mark: &str) {
    let end = Instant::now() + DEADLINE;
    loop {
        let left = marked(mark);
        if left.is_empty() || Instant::now() > end {
            return;
        }
        for process in left {
            let _ = kill(Pid::from_raw(process.pid), Signal::SIGKILL);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

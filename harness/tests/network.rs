//! The network on which each player is a host of its own: what its links carry, what the kernel says once one
//! is cut, that two of them never meet, and that nothing is left of one, however its gymcheck ends.
//!
//! All of it is the real kernel's. Where the rights for it are missing, a test says so and ends.

mod support;

use std::fs::{File, read_dir, read_link, read_to_string};
use std::io;
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use gymcheck::evidence::{AddressChange, AddressFact, End, Event, Fact, PageFact, Recorder};
use gymcheck::gateway::{Gateway, GatewayOptions, Mirror};
use gymcheck::probe::SCRIPT;
use gymcheck::run::find_root;
use gymcheck::spec::PlayerName::{self, Partner, Survivor};
use gymcheck::stage::{AddressWatch, Host, Network, STAGE_VARIABLE, TemporaryFolder};
use nix::sched::{CloneFlags, setns};
use rtnetlink::AddressMessageBuilder;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use support::target::Target;
use support::{Browser, Kind, scenarios};

scenarios! {
    a_page_whose_network_is_cut_is_alone_and_its_browser_is_driven_all_the_same
}

const DEADLINE: Duration = Duration::from_secs(60);

/// For how long nothing may come where nothing can.
const SILENCE: Duration = Duration::from_millis(500);

/// What is asked of the watchdog.
const GONE_WITHIN: Duration = Duration::from_secs(2);

/// Where the partner is.
const PARTNER: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 3);

/// Where the program that is killed writes what it has made.
const SAID: &str = "NETWORK_TEST_SAID";

/// A network; nothing, where this user has not the rights.
async fn lay() -> Option<Network> {
    match Network::lay(PlayerName::BOTH).await {
        Ok(network) => Some(network),
        Err(error) if error.lacks_rights() => {
            eprintln!("not tried: {error}");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

fn host(network: &Network, player: PlayerName) -> &Host {
    network.host(player).expect("a host")
}

/// The names of the links of the namespace that this thread is in.
fn links() -> Vec<String> {
    let table = read_to_string("/proc/thread-self/net/dev").expect("a table");
    let rows = table.lines().skip(2);
    let names = rows.filter_map(|row| row.split(':').next());
    names.map(|name| name.trim().to_owned()).collect()
}

/// A socket of the partner's that listens, and one of the survivor's that speaks to it.
fn line(network: &Network) -> [UdpSocket; 2] {
    let hears = host(network, Partner).within(|| UdpSocket::bind((PARTNER, 0)));
    let hears = hears.expect("a port");
    let to = hears.local_addr().expect("bound");
    let speaks = host(network, Survivor).within(|| {
        let socket = UdpSocket::bind("0.0.0.0:0")?;
        socket.connect(to)?;
        Ok(socket)
    });
    [speaks.expect("a port"), hears]
}

fn heard(hears: &UdpSocket, within: Duration) -> io::Result<usize> {
    hears.set_read_timeout(Some(within))?;
    hears.recv(&mut [0; 16])
}

#[tokio::test]
async fn players_reach_each_other_over_their_links_until_one_is_cut() {
    let Some(network) = lay().await else { return };
    let [speaks, hears] = line(&network);
    speaks.send(b"hello").expect("it is sent");
    assert_eq!(heard(&hears, DEADLINE).expect("it comes"), 5);
    // One end is looked at after the other one: what passes in between is counted at one end only.
    let end = Instant::now() + DEADLINE;
    let before = loop {
        let before = network.look(Partner).await.expect("a look");
        let [at_host, at_bridge] = [&before.own, &before.far].map(|end| (end.received, end.sent));
        if at_host == (at_bridge.1, at_bridge.0) {
            break before;
        }
        assert!(Instant::now() < end, "{before:?}");
    };
    assert!(before.is_whole() && !before.is_down(), "{before:?}");
    assert!(before.counters().iter().all(|count| *count > 0));

    let cut = network.cut(Partner).await.expect("a cut");
    assert!(cut.is_down() && !cut.is_whole(), "{cut:?}");
    // As when a cable is pulled: the partner's own end is as it was, but for what is behind it.
    assert!(cut.own.up && !cut.far.up, "{cut:?}");
    // Whether it is refused or lost: it does not come.
    let _ = speaks.send(b"are you there?");
    let lost = heard(&hears, SILENCE).expect_err("nothing can come");
    assert_eq!(lost.kind(), io::ErrorKind::WouldBlock);
    let after = network.look(Partner).await.expect("a look");
    assert_eq!(after.counters(), cut.counters());
    let other = network.look(Survivor).await.expect("a look");
    assert!(other.is_whole(), "{other:?}");
}

/// When an address comes, a browser gives up what waits for a connection: scripts of its page, for one.
#[tokio::test]
async fn a_host_has_all_its_addresses_at_once() {
    let Some(network) = lay().await else { return };
    for player in PlayerName::BOTH {
        // Where there is no IPv6, there is no table.
        let table =
            host(&network, player).within(|| read_to_string("/proc/thread-self/net/if_inet6"));
        let table = table.unwrap_or_default();
        let coming: Vec<&str> = table.lines().filter(|row| !row.ends_with(" lo")).collect();
        assert!(coming.is_empty(), "{coming:?}");
    }
}

/// The kernel's number of the loopback interface, in each namespace.
const LOOPBACK: u32 = 1;

/// The change of an address that a recorder took down.
async fn change(recorder: &Recorder, address: Ipv4Addr, change: AddressChange) {
    let fact = AddressFact {
        link: "lo".to_owned(),
        address: address.to_string(),
        change,
    };
    let what = fact.to_string();
    let told = |event: &Event| matches!(&event.fact, Fact::AddressChanged(told) if *told == fact);
    let told = recorder.wait(0, DEADLINE, &what, told).await;
    told.expect("it is told");
}

#[tokio::test]
async fn each_address_that_comes_or_goes_is_taken_down() {
    let Some(network) = lay().await else { return };
    let recorder = Recorder::in_memory();
    let runtime = tokio::runtime::Handle::current();
    let begun = host(&network, Survivor).within(|| {
        let _guard = runtime.enter();
        let watch = AddressWatch::begin(&recorder)?;
        let (connection, kernel, _) = rtnetlink::new_connection()?;
        tokio::spawn(connection);
        Ok((watch, kernel.address()))
    });
    let (_watch, kernel) = begun.expect("the kernel can be asked");
    let [first, second] = [1, 2].map(|last| Ipv4Addr::new(192, 0, 2, last));
    let message = |address| {
        let builder = AddressMessageBuilder::<Ipv4Addr>::new();
        builder.index(LOOPBACK).address(address, 32).build()
    };
    let add = |address: Ipv4Addr| kernel.add(LOOPBACK, address.into(), 32).execute();
    // What is there before anything else is known is no change: of the first one only its going is sure.
    add(first).await.expect("it is added");
    let gone = kernel.del(message(first)).execute().await;
    gone.expect("it is removed");
    change(&recorder, first, AddressChange::Went).await;
    add(second).await.expect("it is added");
    change(&recorder, second, AddressChange::Came).await;
}

#[tokio::test]
async fn two_networks_at_once_do_not_meet_and_the_machines_own_is_not_touched() {
    let before = links();
    let Some(first) = lay().await else { return };
    let second = lay().await.expect("rights as before");
    assert_eq!(links(), before);
    let listener = host(&first, Partner).within(|| TcpListener::bind((PARTNER, 0)));
    let address = listener.expect("a port").local_addr().expect("bound");
    let listener = host(&first, Partner).within(|| TcpListener::bind(address));
    let listener = listener.expect("the same port");
    let reach =
        |network| host(network, Survivor).within(|| TcpStream::connect_timeout(&address, DEADLINE));
    reach(&first).expect("it listens");
    let refused = reach(&second).expect_err("nobody listens there");
    assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    drop((first, second, listener));
    assert_eq!(links(), before);
}

#[tokio::test]
async fn the_way_to_the_gateway_leads_over_the_link() {
    let Some(mut network) = lay().await else {
        return;
    };
    let mut doors = network.open().expect("doors");
    let door = doors.remove("partner").expect("a door");
    let at: std::net::SocketAddr = door.authority.parse().expect("an address");
    assert!(at.ip().is_loopback());
    let near = host(&network, Partner).within(|| {
        let stream = TcpStream::connect(at)?;
        stream.set_nonblocking(true)?;
        Ok(stream)
    });
    let mut near = tokio::net::TcpStream::from_std(near.expect("a way")).expect("a stream");
    let taken = tokio::time::timeout(DEADLINE, door.listener.accept()).await;
    let (mut far, from) = taken.expect("in time").expect("a connection");
    assert_eq!(from.ip(), PARTNER);
    let mut word = [0; 4];
    near.write_all(b"ping").await.expect("it is sent");
    far.read_exact(&mut word).await.expect("it comes");
    far.write_all(b"pong").await.expect("it is sent");
    near.read_exact(&mut word).await.expect("it comes");
    assert_eq!(&word, b"pong");

    let cut = network.cut(Partner).await.expect("a cut");
    // Both ends stay as they are, and neither hears of the other.
    near.write_all(b"ping").await.expect("the near end is open");
    far.write_all(b"pong").await.expect("the far end is open");
    for end in [&mut near, &mut far] {
        let heard = tokio::time::timeout(SILENCE, end.read(&mut word)).await;
        assert!(heard.is_err(), "{heard:?}");
    }
    drop(near);
    let heard = tokio::time::timeout(SILENCE, far.read(&mut word)).await;
    assert!(heard.is_err(), "{heard:?}");
    let after = network.look(Partner).await.expect("a look");
    assert_eq!(after.counters(), cut.counters());
}

/// A browser on a host of its own, behind a gateway.
async fn a_page_whose_network_is_cut_is_alone_and_its_browser_is_driven_all_the_same(kind: Kind) {
    let Some(mut network) = lay().await else {
        return;
    };
    let target = Target::serve().await;
    let recorder = Recorder::in_memory();
    let options = GatewayOptions {
        upstream: target.address,
        players: vec![Partner.to_string()],
        mirror: Mirror::default(),
        edits: Vec::new(),
        probe_script: SCRIPT.to_owned(),
    };
    let doors = network.open().expect("doors");
    let gateway = Gateway::start_behind(doors, options, recorder.clone());
    let gateway = gateway.await.expect("a gateway");
    let own = Some(host(&network, Partner));
    let browser = Browser::start_on(own, kind, Partner.as_str(), &recorder).await;
    let origin = gateway.origin(Partner.as_str());
    browser.client.goto(&origin).await.expect("it loads");
    let open = |fact: &Fact| {
        matches!(fact, Fact::Page(page) if matches!(&page.what,
            PageFact::WebsocketState { state, .. } if state == "open"))
    };
    let opened = recorder.wait(0, DEADLINE, "the page's WebSocket", |event| {
        open(&event.fact)
    });
    opened.await.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(browser.run("return isSecureContext").await, true);

    // The sockets of its peer connections are in its own namespace, and are seen there.
    browser.session().observe_kernel("in its namespace");
    let log = recorder.log();
    let udp = log.events().iter().find_map(|event| match &event.fact {
        Fact::Kernel(kernel) => Some(kernel.udp.clone()),
        _ => None,
    });
    let udp = udp.expect("the kernel's word");
    assert!(!udp.is_empty());
    for table in ["/proc/net/udp", "/proc/net/udp6"] {
        let table = read_to_string(table).expect("a table");
        let inodes = || {
            table
                .lines()
                .filter_map(|row| row.split_whitespace().nth(9))
        };
        for socket in &udp {
            assert!(!inodes().any(|inode| inode == socket.inode.to_string()));
        }
    }

    let from = recorder.len();
    network.cut(Partner).await.expect("a cut");
    let asked = "fetch('/somebody').catch(() => {}); return true";
    assert_eq!(browser.run(asked).await, true);
    let ended = |fact: &Fact| matches!(fact, Fact::WireClosed(_) | Fact::Http(_) | Fact::Page(_));
    let heard = recorder.wait(from, 2 * SILENCE, "a word of it", |event| {
        ended(&event.fact)
    });
    let heard = heard.await;
    assert!(heard.is_err(), "{heard:?}");
    assert!(browser.client.windows().await.is_ok());
    browser.close().await;
    // With the browser and its link gone, it is still the gateway that ends what it had.
    gateway.shutdown().await;
    let log = recorder.log();
    let by = log.events().iter().find_map(|event| match &event.fact {
        Fact::WireClosed(closed) => Some(closed.by),
        _ => None,
    });
    assert_eq!(by, Some(End::Gateway));
}

/// A gymcheck that has laid a network and started something on a host of it.
struct Program {
    child: Child,
    folder: tempfile::TempDir,
    /// What was started, and the number of its network namespace.
    started: i32,
    namespace: PathBuf,
}

impl Program {
    /// Starts it; nothing, where this user has not the rights.
    fn start() -> Option<Program> {
        let folder = tempfile::tempdir().expect("a folder");
        let said = folder.path().join("said");
        let child = Command::new(std::env::current_exe().expect("this program"))
            .args(["--ignored", "--exact", "the_program_that_is_killed"])
            .env(SAID, &said)
            .env("TMPDIR", folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("it starts");
        let end = Instant::now() + DEADLINE;
        let mut said_so_far = String::new();
        while !said_so_far.ends_with('\n') {
            assert!(Instant::now() < end, "it has said {said_so_far:?}");
            std::thread::sleep(Duration::from_millis(10));
            said_so_far = read_to_string(&said).unwrap_or_default();
        }
        let mut program = Program {
            child,
            folder,
            started: 0,
            namespace: PathBuf::new(),
        };
        let Ok(started) = said_so_far.trim().parse() else {
            eprintln!("not tried: {said_so_far}");
            program.child.wait().expect("it ends");
            return None;
        };
        program.started = started;
        program.namespace = read_link(format!("/proc/{started}/ns/net")).expect("a namespace");
        Some(program)
    }

    /// The namespace where the players' links meet, which nothing but the program itself holds.
    fn hub(&self) -> File {
        let descriptors = format!("/proc/{}/fd", self.child.id());
        let held = read_dir(descriptors).expect("descriptors").flatten();
        let mut namespaces = held.filter(|one| {
            read_link(one.path()).is_ok_and(|to| to.to_string_lossy().starts_with("net:["))
        });
        let hub = namespaces.find_map(|one| {
            let file = File::open(one.path()).ok()?;
            links_in(&file)
                .contains(&"bridge".to_owned())
                .then_some(file)
        });
        hub.expect("a namespace with a bridge")
    }
}

fn links_in(namespace: &File) -> Vec<String> {
    let namespace = namespace.try_clone().expect("a descriptor");
    let looking = std::thread::spawn(move || {
        setns(namespace, CloneFlags::CLONE_NEWNET).expect("it can be entered");
        links()
    });
    looking.join().expect("it was looked at")
}

fn is_anybodys(namespace: &PathBuf) -> bool {
    let all = procfs::process::all_processes()
        .expect("processes")
        .flatten();
    let mut of_it = all.filter(|process| {
        let own = read_link(format!("/proc/{}/ns/net", process.pid));
        own.is_ok_and(|own| own == *namespace)
    });
    of_it.next().is_some()
}

/// What the other test kills. It ends by itself when its standard input does.
#[test]
#[ignore = "a part of another test"]
fn the_program_that_is_killed() {
    let Some(said) = std::env::var_os(SAID) else {
        return;
    };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let folder = TemporaryFolder::new().expect("a folder");
        let laid = Network::lay(PlayerName::BOTH).await;
        let started = laid.as_ref().map(|network| {
            let start = || {
                Command::new("sleep")
                    .arg("600")
                    .env(STAGE_VARIABLE, folder.path())
                    .stdin(Stdio::null())
                    .spawn()
            };
            host(network, Partner)
                .within(start)
                .expect("it starts")
                .id()
        });
        let told = match &started {
            Ok(process) => format!("{process}\n"),
            Err(error) => format!("{error}\n"),
        };
        std::fs::write(said, told).expect("it is written");
        let _ = io::copy(&mut io::stdin(), &mut io::sink());
    });
}

/// The kernel removes the partner's link with its namespace: then its other end, at the bridge, is gone as
/// well, which is seen in the one namespace that this test keeps alive.
#[test]
fn nothing_is_left_of_the_network_of_a_killed_gymcheck() {
    let Some(mut program) = Program::start() else {
        return;
    };
    let hub = program.hub();
    let its_links = || links_in(&hub);
    assert!(its_links().contains(&"to-partner".to_owned()));
    assert!(is_anybodys(&program.namespace));
    let killed = Instant::now();
    program.child.kill().expect("it is killed");
    program.child.wait().expect("it ends");
    loop {
        let left = its_links();
        let is_gone = !left.iter().any(|name| name.starts_with("to-"));
        if is_gone && !is_anybodys(&program.namespace) {
            break;
        }
        assert!(killed.elapsed() < GONE_WITHIN, "there are still {left:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
    let started = procfs::process::Process::new(program.started).and_then(|one| one.stat());
    assert!(started.is_err() || started.is_ok_and(|stat| stat.state == 'Z'));
    drop(program.folder);
}

/// Root without the right to make namespaces, as in many a container.
fn without_rights(arguments: &[&str]) -> std::process::Output {
    Command::new("setpriv")
        .args(["--bounding-set", "-sys_admin", "--inh-caps", "-sys_admin"])
        .arg(env!("CARGO_BIN_EXE_gymcheck"))
        .args(arguments)
        .current_dir(find_root())
        .output()
        .expect("setpriv is there")
}

#[test]
fn without_the_rights_a_run_is_broken_with_that_reason_and_doctor_has_said_so() {
    const WHY: &str = "no network namespace can be made: ";
    const MEND: &str = "run it as root, with the capabilities CAP_SYS_ADMIN and CAP_NET_ADMIN";
    let said = without_rights(&["doctor"]);
    let text = String::from_utf8_lossy(&said.stdout);
    let mut lines = text
        .lines()
        .skip_while(|line| !line.contains("cut-network"));
    let (found, mend) = (lines.next(), lines.next());
    assert!(
        found.is_some_and(|line| line.starts_with("warning") && line.contains(WHY)),
        "{text}"
    );
    assert!(mend.is_some_and(|line| line.contains(MEND)), "{text}");
    // It is none that others miss.
    assert!(
        !text.lines().any(|line| line.starts_with("missing")),
        "{text}"
    );
    assert!(said.status.success(), "{said:?}");

    let out = tempfile::tempdir().expect("a folder");
    let folder = out.path().to_string_lossy();
    let spec = "mid-game/partner-loses-network";
    let said = without_rights(&["run", spec, "--pairs", "chrome+chrome", "--out", &folder]);
    assert_eq!(said.status.code(), Some(3), "{said:?}");
    let results = read_to_string(out.path().join("results.json")).expect("results");
    let results: serde_json::Value = serde_json::from_str(&results).expect("JSON");
    let run = &results["runs"][0];
    assert_eq!(run["verdict"], "broken");
    assert_eq!(run["broken"]["worth_a_retry"], false);
    assert_eq!(run["broken"]["component"], "environment");
    let reason = run["broken"]["reason"].as_str().expect("a reason");
    assert!(reason.contains(WHY) && reason.ends_with(MEND), "{reason}");
}

//! A browser, its WebDriver, and what the kernel says about them.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use fantoccini::{Client, ClientBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use tokio::process::Command;
use tokio::sync::mpsc;

use super::capabilities;
use super::grid::{Grid, GridError, GridSession};
use super::network::Host;
use super::output::Line;
use super::process::{StageProcess, Start, log_path};
use super::server::{Folders, broken};
use super::tree::{self, Member};
use super::{StageError, deadline};
use crate::evidence::{Fact, FrozenFact, KernelFact, ProcessFact, ProcessPhase, Recorder};
use crate::provision::{Browser, cache_files, copy_below};
use crate::spec::BrowserKind;

/// How long there is between two looks at processes that are being stopped.
const BETWEEN_LOOKS: Duration = Duration::from_millis(10);

/// The name under which pages of Chromium find the gateway. It is the same in all runs, whatever the port: so
/// what an earlier browser has got and compiled is good for a later one, which goes by the address. Names below
/// `localhost` are this machine's own (RFC 6761, 6.3), and their pages secure contexts.
pub const PAGE_HOST: &str = "gymcheck.localhost";

/// Where a browser stands, and what it begins with.
#[derive(Clone, Copy, Default)]
pub struct Place<'a> {
    /// The host of its own, if the player has one.
    pub host: Option<&'a Host>,
    /// Where `http://gymcheck.localhost` leads, for a browser that can be told.
    pub page: Option<SocketAddr>,
    /// A profile with caches of which it gets a copy.
    pub compiled: Option<&'a Path>,
}

/// A browser of the stage, with a WebDriver session to it. Dropping it ends the browser, and its driver.
pub struct BrowserSession {
    /// The WebDriver session.
    pub client: Client,
    body: Body,
}

/// Where a browser runs.
enum Body {
    /// On this machine, as processes of the stage.
    Here(Processes),
    /// At a node of a grid.
    OnGrid(Box<GridSession>),
}

/// A browser on this machine, and its driver.
struct Processes {
    player: String,
    /// The folder that it takes for the user's own, which marks its processes.
    home: PathBuf,
    driver: StageProcess,
    root: Member,
    recorder: Recorder,
}

impl BrowserSession {
    /// Starts a driver, and through it a browser, for a player.
    ///
    /// # Errors
    /// One of the two cannot be started, or is not ready in time, or the browser is another one than was found.
    pub async fn start(
        place: Place<'_>,
        browser: &Browser,
        player: &str,
        headed: bool,
        folders: Folders<'_>,
        mark: &str,
        recorder: &Recorder,
    ) -> Result<BrowserSession, StageError> {
        let home = folders.stage.join(player);
        std::fs::create_dir_all(&home).map_err(|source| StageError::Start {
            what: format!("the folder of the {player}"),
            source,
        })?;
        if let Some(compiled) = place.compiled {
            fill(&home, compiled)
                .await
                .map_err(|source| StageError::Start {
                    what: format!("the {player}'s browser with compiled libraries"),
                    source,
                })?;
        }
        let host = place.host;
        let (driver, port) =
            start_driver(host, browser, player, &home, folders, mark, recorder).await?;
        let not_ready = |why: String| StageError::Session {
            browser: browser.program.display().to_string(),
            player: player.to_owned(),
            why,
            last_lines: driver.last_lines(),
        };
        let capabilities = capabilities::here(browser, &home, headed, place.page);
        let webdriver = format!("http://127.0.0.1:{port}");
        let session = async {
            match host {
                None => {
                    let mut builder = ClientBuilder::new(HttpConnector::new());
                    builder.capabilities(capabilities).connect(&webdriver).await
                }
                Some(host) => {
                    let mut builder = ClientBuilder::new(host.way_in());
                    builder.capabilities(capabilities).connect(&webdriver).await
                }
            }
        };
        let client = tokio::select! {
            session = session => session.map_err(|error| not_ready(error.to_string()))?,
            () = broken(recorder) => return Err(not_ready("the driver ended".to_owned())),
            () = tokio::time::sleep(deadline::BROWSER) => {
                return Err(not_ready(format!("no session within {} s", deadline::BROWSER.as_secs())));
            }
        };
        let capabilities = client.capabilities();
        let given = capabilities.and_then(|given| given.get("browserVersion")?.as_str());
        if let Some(given) = given.filter(|given| !is_same_version(&browser.version, given)) {
            return Err(StageError::OtherBrowser {
                browser: browser.program.display().to_string(),
                player: player.to_owned(),
                found: browser.version.clone(),
                given: given.to_owned(),
            });
        }
        let root = tree::descendants(driver.pid())
            .into_iter()
            .next()
            .ok_or_else(|| not_ready("the driver has no browser process".to_owned()))?;
        recorder.record_for(
            player,
            Fact::Process(ProcessFact {
                role: "browser".to_owned(),
                pid: root.pid,
                phase: ProcessPhase::Started,
                detail: Some(format!("{} {}", browser.kind, browser.version)),
            }),
        );
        driver.watch(root.clone(), "browser", player, recorder);
        let processes = Processes {
            player: player.to_owned(),
            home,
            driver,
            root,
            recorder: recorder.clone(),
        };
        Ok(BrowserSession {
            client,
            body: Body::Here(processes),
        })
    }

    /// Asks a grid for a browser for a player.
    ///
    /// # Errors
    /// The grid gives none.
    pub async fn start_on(
        grid: &Grid,
        kind: BrowserKind,
        player: &str,
        headed: bool,
        stage: &Path,
        recorder: &Recorder,
    ) -> Result<BrowserSession, StageError> {
        let (client, session) =
            GridSession::start(grid, kind, player, headed, stage, recorder).await?;
        Ok(BrowserSession {
            client,
            body: Body::OnGrid(Box::new(session)),
        })
    }

    /// The address of the node where it is, if it is on a grid.
    #[must_use]
    pub fn node(&self) -> Option<&str> {
        match &self.body {
            Body::Here(_) => None,
            Body::OnGrid(session) => Some(session.node()),
        }
    }

    /// The processes of the browser, without its driver; also those that left its tree, as its
    /// crash handlers do. Of one on a grid there are none here.
    #[must_use]
    pub fn processes(&self) -> Vec<Member> {
        match &self.body {
            Body::Here(browser) => browser.members(),
            Body::OnGrid(_) => Vec::new(),
        }
    }

    /// Takes down what the kernel says about the browser, where it can be asked.
    pub fn observe_kernel(&self, label: &str) {
        if let Body::Here(browser) = &self.body {
            browser.observe_kernel(label);
        }
    }

    /// Kills the browser with all of its processes, and waits until the process table has none of
    /// them any more.
    ///
    /// `known` are its processes as they were a moment ago: they die at once. To look for the others
    /// takes time, in which the page would go on.
    ///
    /// # Errors
    /// A process outlives SIGKILL, or the browser is on a grid.
    pub async fn kill(&mut self, known: &[Member]) -> Result<(), StageError> {
        self.here("be killed")?.kill(known).await
    }

    /// Stops the browser with all of its processes, and waits until each of them is stopped. They stay so
    /// until they are killed.
    ///
    /// `known` are its processes as they were a moment ago: they stop at once.
    ///
    /// # Errors
    /// A process does not stop, or the browser is on a grid.
    pub async fn freeze(&mut self, known: &[Member]) -> Result<FrozenFact, StageError> {
        self.here("be stopped")?.freeze(known).await
    }

    /// Takes down the state of each process of a browser that was stopped. Of one on a grid there are none here.
    pub fn observe_frozen(&self) -> FrozenFact {
        let frozen = FrozenFact {
            processes: tree::states(&self.processes()),
        };
        match &self.body {
            Body::Here(browser) => browser.record_frozen(frozen),
            Body::OnGrid(_) => frozen,
        }
    }

    /// Quits the browser in an orderly way, by ending its WebDriver session, and waits until none of
    /// its processes runs any more, or, on a grid, until the grid has the session no more.
    ///
    /// # Errors
    /// A process, or the session, is still there after a while.
    pub async fn quit(&mut self) -> Result<(), StageError> {
        match &mut self.body {
            Body::Here(browser) => browser.quit(self.client.clone()).await,
            Body::OnGrid(session) => Ok(session.quit().await?),
        }
    }

    /// Ends browser and driver.
    pub async fn end(&mut self) {
        match &mut self.body {
            Body::Here(browser) => browser.end().await,
            Body::OnGrid(session) => session.end().await,
        }
    }

    /// The browser's processes, for what they alone can have done to them.
    fn here(&mut self, what: &'static str) -> Result<&mut Processes, StageError> {
        match &mut self.body {
            Body::Here(browser) => Ok(browser),
            Body::OnGrid(session) => Err(GridError::NotHere {
                endpoint: session.endpoint().to_string(),
                what,
            }
            .into()),
        }
    }
}

impl Processes {
    fn members(&self) -> Vec<Member> {
        let mut members = tree::descendants(self.driver.pid());
        let home = self.home.to_string_lossy();
        for strayed in tree::marked("HOME", &home) {
            if strayed.pid != self.driver.pid() && !members.contains(&strayed) {
                members.push(strayed);
            }
        }
        members
    }

    fn observe_kernel(&self, label: &str) {
        let members = self.members();
        self.recorder.record_for(
            &self.player,
            Fact::Kernel(KernelFact {
                label: label.to_owned(),
                processes: tree::as_evidence(&members),
                udp: tree::udp_sockets(&members),
            }),
        );
    }

    async fn kill(&mut self, known: &[Member]) -> Result<(), StageError> {
        // The driver may end with its browser: that is no accident any more.
        self.driver.may_end();
        let note = |phase, detail| {
            self.recorder.record_for(
                &self.player,
                Fact::Process(ProcessFact {
                    role: "browser".to_owned(),
                    pid: self.root.pid,
                    phase,
                    detail: Some(detail),
                }),
            );
        };
        tree::kill_all(None, known);
        note(
            ProcessPhase::Killed,
            format!("SIGKILL to {} processes", known.len()),
        );
        let mut members = known.to_vec();
        members.extend(
            self.members()
                .into_iter()
                .filter(|one| !known.contains(one)),
        );
        tree::kill_all(None, &members);
        let alive = tree::gone(&members, deadline::DEATH).await;
        if alive.is_empty() {
            note(
                ProcessPhase::Gone,
                format!("{} processes are gone", members.len()),
            );
            Ok(())
        } else {
            Err(StageError::Undead {
                player: self.player.clone(),
                processes: alive.len(),
            })
        }
    }

    async fn freeze(&mut self, known: &[Member]) -> Result<FrozenFact, StageError> {
        // It may not bear a browser that is silent: that is no accident any more.
        self.driver.may_end();
        tree::stop_all(known);
        let end = tokio::time::Instant::now() + deadline::DEATH;
        loop {
            // One that was just being started is there only now.
            let members = self.members();
            tree::stop_all(&members);
            let frozen = FrozenFact {
                processes: tree::states(&members),
            };
            if frozen.is_whole() {
                return Ok(self.record_frozen(frozen));
            }
            if tokio::time::Instant::now() > end {
                return Err(StageError::NotReady {
                    what: format!("the {}'s browser to be stopped: {frozen:?}", self.player),
                    waited: deadline::DEATH,
                    component: "browser".to_owned(),
                    last_lines: self.driver.last_lines(),
                });
            }
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
    }

    fn record_frozen(&self, frozen: FrozenFact) -> FrozenFact {
        self.recorder
            .record_for(&self.player, Fact::Frozen(frozen.clone()));
        frozen
    }

    async fn quit(&mut self, client: Client) -> Result<(), StageError> {
        self.driver.may_end();
        let members = self.members();
        let closing = client.close();
        // Whatever the driver says to it: what counts is whether the processes have ended.
        let said = tokio::time::timeout(deadline::COMMAND, closing).await;
        let alive = tree::gone(&members, deadline::DEATH).await;
        if !alive.is_empty() {
            let names: Vec<&str> = alive.iter().map(|one| one.name.as_str()).collect();
            return Err(StageError::NotReady {
                what: format!(
                    "{} of the {}'s browser to end after it was quit (the driver said: {said:?})",
                    names.join(", "),
                    self.player
                ),
                waited: deadline::DEATH,
                component: "browser".to_owned(),
                last_lines: self.driver.last_lines(),
            });
        }
        self.recorder.record_for(
            &self.player,
            Fact::Process(ProcessFact {
                role: "browser".to_owned(),
                pid: self.root.pid,
                phase: ProcessPhase::Gone,
                detail: Some(format!(
                    "{} processes ended with the session",
                    members.len()
                )),
            }),
        );
        Ok(())
    }

    async fn end(&mut self) {
        self.driver.may_end();
        let members = self.members();
        tree::kill_all(None, &members);
        self.driver.end().await;
        // With the driver gone, what was its own is ours to bury.
        tree::gone(&members, deadline::DEATH).await;
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        let members = self.members();
        if members.is_empty() {
            return;
        }
        self.driver.kill();
        tree::kill_all(None, &members);
        tree::gone_blocking(&members, deadline::DEATH);
    }
}

/// The profile of a browser, below its folder.
pub(super) fn profile(home: &Path) -> PathBuf {
    home.join("profile")
}

/// Puts a copy of caches into the profile of a browser that has not started. File by file, in this very task:
/// once it is given up, nothing is written any more into a folder that is being removed.
async fn fill(home: &Path, compiled: &Path) -> std::io::Result<()> {
    let profile = profile(home);
    for file in cache_files(compiled)? {
        copy_below(&file, compiled, &profile)?;
        tokio::task::yield_now().await;
    }
    Ok(())
}

/// How often a driver is started that ends before it listens. Which port is free is found out by
/// each driver for itself, and another program may take it in the same moment.
const DRIVER_STARTS: u32 = 3;

async fn start_driver(
    host: Option<&Host>,
    browser: &Browser,
    player: &str,
    home: &Path,
    folders: Folders<'_>,
    mark: &str,
    recorder: &Recorder,
) -> Result<(StageProcess, u16), StageError> {
    let driver = browser.driver.display();
    let cannot = |why: String, source| StageError::Start {
        what: format!("the driver {driver}{why}"),
        source,
    };
    let mut last_words = String::new();
    for _ in 0..DRIVER_STARTS {
        let (sender, mut ports) = mpsc::unbounded_channel();
        let process = StageProcess::start(
            Start {
                role: "driver",
                player: Some(player),
                command: driver_command(browser, home),
                host,
                mark,
                log: &log_path(folders.artefacts, &format!("driver-{player}")),
                // Until it listens, its end is no end of the run: it can be started again.
                must_live: false,
            },
            recorder,
            move |line: Line<'_>| {
                if let Some(port) = port_in(line.text) {
                    // Nobody waits for it a second time.
                    let _ = sender.send(port);
                }
            },
        )
        .map_err(|source| cannot(String::new(), source))?;
        let not_ready = || StageError::NotReady {
            what: format!("the driver {driver} to listen"),
            waited: deadline::DRIVER,
            component: "driver".to_owned(),
            last_lines: process.last_lines(),
        };
        tokio::select! {
            Some(port) = ports.recv() => {
                process.must_live();
                return Ok((process, port));
            }
            () = process.ended() => last_words = process.last_lines().join("; "),
            () = broken(recorder) => return Err(not_ready()),
            () = tokio::time::sleep(deadline::DRIVER) => return Err(not_ready()),
        }
    }
    let why = format!(": it ended by itself, {DRIVER_STARTS} times");
    Err(cannot(why, std::io::Error::other(last_words)))
}

/// Whether two versions begin with the same numbers, as far as both have them: what a browser says of itself may
/// end in letters of its maker's.
fn is_same_version(one: &str, other: &str) -> bool {
    let numbers = |version: &str| -> Vec<u64> {
        let parts = version.split('.').map(|part| {
            let number = part.split(|c: char| !c.is_ascii_digit()).next();
            number.and_then(|number| number.parse().ok())
        });
        parts.map_while(|number| number).collect()
    };
    std::iter::zip(numbers(one), numbers(other)).all(|(one, other)| one == other)
}

fn driver_command(browser: &Browser, home: &Path) -> Command {
    let mut command = Command::new(&browser.driver);
    command
        .arg("--port=0")
        .current_dir(home)
        .env("HOME", home)
        .env("TMPDIR", home)
        .env("XDG_CONFIG_HOME", home.join("config"))
        .env("XDG_CACHE_HOME", home.join("cache"))
        .env_remove("DBUS_SESSION_BUS_ADDRESS");
    if browser.kind == BrowserKind::Firefox {
        // Its own default is a fixed port.
        command.arg("--websocket-port=0");
    }
    command
}

/// The port that a driver says it listens on: `… was started successfully on port 4711.` or
/// `… Listening on 127.0.0.1:4711`.
fn port_in(line: &str) -> Option<u16> {
    let rest = line
        .split_once("started successfully on port ")
        .or_else(|| line.split_once("Listening on 127.0.0.1:"))?
        .1;
    rest.trim_end_matches('.').trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use std::task::Poll;

    use super::{fill, is_same_version, port_in};

    #[test]
    fn a_browser_is_the_one_that_was_found_if_its_numbers_are() {
        assert!(is_same_version("156.0.8078.108", "156.0.8078.108"));
        assert!(is_same_version("153.8.0", "153.8.0esr"));
        assert!(is_same_version("154.0", "154.0b3"));
        assert!(is_same_version("154.0", "154.0.1"));
        assert!(!is_same_version("156.0.8078.108", "156.0.8078.110"));
        assert!(!is_same_version("153.8.0", "153.9.0esr"));
    }

    #[test]
    fn a_copy_that_is_given_up_writes_nothing_more() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["Cache/a", "Cache/b", "Code Cache/c"] {
            let path = folder.path().join("compiled/Default").join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, vec![0; 1 << 20]).unwrap();
        }
        let (home, compiled) = (folder.path().join("home"), folder.path().join("compiled"));
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let mut filling = Box::pin(fill(&home, &compiled));
            assert!(matches!(futures_util::poll!(&mut filling), Poll::Pending));
            drop(filling);
            let _ = std::fs::remove_dir_all(&home);
        });
        // It waits for all that goes on.
        drop(runtime);
        assert!(!home.exists());
    }

    #[test]
    fn a_driver_says_its_port() {
        assert_eq!(
            port_in("ChromeDriver was started successfully on port 43521."),
            Some(43521)
        );
        assert_eq!(
            port_in("1763900000000\tgeckodriver\tINFO\tListening on 127.0.0.1:38201"),
            Some(38201)
        );
        assert_eq!(port_in("Starting ChromeDriver 156 on port 0"), None);
    }
}

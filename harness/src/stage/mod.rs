//! All that one run stands on: server, gateway, drivers, browsers, folders. It leaves nothing
//! behind.

mod browser;
mod capabilities;
mod compile;
pub mod deadline;
mod grid;
mod left;
mod live;
mod network;
mod output;
mod own_thread;
mod preview;
mod priority;
mod process;
mod server;
mod tree;
mod watchdog;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;
use thiserror::Error;
use tokio::net::TcpSocket;

use crate::causes::with_causes;
use crate::evidence::{BrokenFact, LinkFact, Recorder};
use crate::gateway::{Door, Gateway, GatewayError, GatewayOptions, Mirror, PreviewError};
use crate::probe;
use crate::provision::{Browser, scratch};
use crate::spec::{BrowserKind, Experiment, PlayerName};
use crate::target::{Edit, EditedCopyError, Target};

pub use browser::{BrowserSession, PAGE_HOST, Place};
pub use compile::{compile, compile_recipe};
pub use grid::{Advertised, Endpoint, Grid, GridError, Wish};
pub use left::{LeftStage, LeftStageError, left_stages};
pub use live::{Interrupted, end_everything, interrupted, on_signal};
pub use network::{AddressWatch, HUB, Host, Network, NetworkError};
pub use preview::{FirstLook, preview};
pub use priority::can_give_way;
pub use process::STAGE_VARIABLE;
pub use server::Folders;
use server::Server;
pub use tree::{Member, is_of_a_stage};
pub use watchdog::{TemporaryFolder, watchdog};

/// The browser of each player, and where it runs.
pub enum Browsers<'a> {
    /// On this machine.
    Here(BTreeMap<PlayerName, Browser>),
    /// On a grid, which is asked for one of a kind.
    OnGrid(&'a Grid, BTreeMap<PlayerName, BrowserKind>),
}

impl Browsers<'_> {
    /// Whose they are.
    fn players(&self) -> Vec<PlayerName> {
        match self {
            Browsers::Here(browsers) => browsers.keys().copied().collect(),
            Browsers::OnGrid(_, browsers) => browsers.keys().copied().collect(),
        }
    }

    /// Who has a browser on this machine that finds the gateway under a name.
    fn by_name(&self) -> Vec<PlayerName> {
        match self {
            Browsers::Here(browsers) => {
                let by_name = browsers
                    .iter()
                    .filter(|(_, one)| one.kind == BrowserKind::Chrome);
                by_name.map(|(player, _)| *player).collect()
            }
            Browsers::OnGrid(..) => Vec::new(),
        }
    }
}

/// What a stage is set with.
pub struct StageOptions<'a> {
    /// The server under test.
    pub target: &'a Target,
    /// What it serves.
    pub experiment: &'a Experiment,
    /// The browser of each player.
    pub browsers: Browsers<'a>,
    /// The third-party assets of the page.
    pub mirror: Mirror,
    /// Changes to what the target serves.
    pub edits: Vec<Edit>,
    /// Profiles with caches of each browser, of which those of the stage get a copy.
    pub compiled: &'a BTreeMap<BrowserKind, PathBuf>,
    /// Whether each player is a host of its own, whose link can be cut.
    pub apart: bool,
    /// Where logs and screenshots go; they stay.
    pub artefacts: &'a Path,
    /// Whether the browsers show their windows.
    pub headed: bool,
    /// Whether the stage's folder stays.
    pub keep: bool,
}

/// Why a stage could not be set, or did not hold.
#[derive(Debug, Error)]
pub enum StageError {
    /// Something could not be started.
    #[error("cannot start {what}")]
    Start {
        /// What.
        what: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// Something was started and did not become ready.
    #[error("waited {} s for {what}", .waited.as_secs())]
    NotReady {
        /// What was awaited.
        what: String,
        /// How long.
        waited: Duration,
        /// Which part of the stage.
        component: String,
        /// Its last lines.
        last_lines: Vec<String>,
    },
    /// There is no WebDriver session.
    #[error("the driver gave no session with {browser} for the {player}: {why}")]
    Session {
        /// The browser's program.
        browser: String,
        /// The player.
        player: String,
        /// What the driver said.
        why: String,
        /// The driver's last lines.
        last_lines: Vec<String>,
    },
    /// A browser is another one than was found when the call began.
    #[error(
        "{browser} of the {player} was updated while this call went on: it is {given} now, and was {found}; call it \
         again"
    )]
    OtherBrowser {
        /// The browser's program.
        browser: String,
        /// The player.
        player: String,
        /// The version that was found.
        found: String,
        /// The version that it now says it has.
        given: String,
    },
    /// The page's libraries were not compiled.
    #[error("{browser} has not compiled the page's libraries: {why}")]
    Compile {
        /// The browser's program.
        browser: String,
        /// What went wrong.
        why: String,
    },
    /// Processes outlive SIGKILL.
    #[error("{processes} processes of the {player}'s browser outlive SIGKILL")]
    Undead {
        /// The player.
        player: String,
        /// How many.
        processes: usize,
    },
    /// The target's own code could not be edited.
    #[error("cannot edit the target's code")]
    Edited(#[from] EditedCopyError),
    /// The players cannot be hosts of their own, or the link of one cannot be cut.
    #[error("`cut-network` needs a network of its own for each player: {}; {}", .0, .0.mend)]
    Network(NetworkError),
    /// The gateway could not be started.
    #[error("cannot start the gateway")]
    Gateway(#[from] GatewayError),
    /// The grid has no browser for a player, or none that gets here.
    #[error(transparent)]
    Grid(#[from] GridError),
    /// The target ended before it served anything.
    #[error("{reason}")]
    Ended {
        /// What the target did.
        reason: String,
        /// Its last lines.
        last_lines: Vec<String>,
    },
    /// It is not the target's code that serves.
    #[error(
        "not the target {target} serves: Python imports {package} from {} and not from {}; rename or move the \
         former, which stands before the target where Python looks for packages", imported.display(), wanted.display()
    )]
    OtherCode {
        /// The target.
        target: String,
        /// The package's name.
        package: &'static str,
        /// The folder of the target's own.
        wanted: PathBuf,
        /// The folder of the one that was imported.
        imported: PathBuf,
    },
    /// The target runs, but serves no page.
    #[error("the target {target} serves no page that could be looked at")]
    Preview {
        /// The target.
        target: String,
        /// Why.
        source: PreviewError,
        /// Its last lines.
        last_lines: Vec<String>,
    },
}

impl From<NetworkError> for StageError {
    fn from(error: NetworkError) -> StageError {
        StageError::Network(error)
    }
}

impl StageError {
    /// Whether it is the target that does not work, and not what surrounds it.
    #[must_use]
    pub fn is_of_the_target(&self) -> bool {
        match self {
            StageError::Ended { .. }
            | StageError::OtherCode { .. }
            | StageError::Preview { .. } => true,
            StageError::NotReady { component, .. } => component == "server",
            StageError::Start { .. }
            | StageError::Session { .. }
            | StageError::OtherBrowser { .. }
            | StageError::Compile { .. }
            | StageError::Undead { .. }
            | StageError::Edited(_)
            | StageError::Network(_)
            | StageError::Grid(_)
            | StageError::Gateway(_) => false,
        }
    }

    /// The error as evidence.
    #[must_use]
    pub fn as_broken(&self) -> BrokenFact {
        let (component, last_lines) = match self {
            StageError::NotReady {
                component,
                last_lines,
                ..
            } => (component.as_str(), last_lines.clone()),
            StageError::Session { last_lines, .. } => ("driver", last_lines.clone()),
            StageError::Compile { .. } | StageError::Undead { .. } => ("browser", Vec::new()),
            StageError::OtherCode { .. } => ("server", Vec::new()),
            StageError::Gateway(_) => ("gateway", Vec::new()),
            StageError::Grid(_) => ("grid", Vec::new()),
            StageError::Edited(_) => ("mutant", Vec::new()),
            StageError::Start { .. } | StageError::OtherBrowser { .. } | StageError::Network(_) => {
                ("environment", Vec::new())
            }
            StageError::Ended { last_lines, .. } | StageError::Preview { last_lines, .. } => {
                ("server", last_lines.clone())
            }
        };
        BrokenFact {
            component: component.to_owned(),
            reason: with_causes(self),
            last_lines,
            worth_a_retry: match self {
                StageError::Network(error) => error.may_pass(),
                StageError::Grid(error) => error.may_pass(),
                StageError::OtherCode { .. } | StageError::OtherBrowser { .. } => false,
                _ => true,
            },
        }
    }
}

/// What is said where no port can be had.
pub(crate) const NO_PORT: &str = "no port is free on the loopback interface; end what holds so many connections, or \
                       widen net.ipv4.ip_local_port_range";

/// The target with the edits of its own code; nothing if there are none.
fn edited(options: &StageOptions<'_>, folder: &Path) -> Result<Option<Target>, StageError> {
    let edits: Vec<&Edit> = options
        .edits
        .iter()
        .filter(|edit| edit.is_of_the_server())
        .collect();
    if edits.is_empty() {
        return Ok(None);
    }
    let copy = folder.join("edited");
    Ok(Some(options.target.edited(&edits, &copy)?))
}

/// The edits of what the target serves to pages.
fn served(edits: Vec<Edit>) -> Vec<Edit> {
    let of_pages = |edit: &Edit| !edit.is_of_the_server();
    edits.into_iter().filter(of_pages).collect()
}

/// Where a browser comes in that finds it under a name, and the address that the name stands for.
async fn named_door() -> Result<(Door, SocketAddr), StageError> {
    let door = Door::anywhere().await.map_err(GatewayError::Listen)?;
    let page = door.listener.local_addr().map_err(GatewayError::Listen)?;
    let authority = PAGE_HOST.to_owned();
    Ok((Door { authority, ..door }, page))
}

/// All that one run stands on. Dropping it ends all of it; [`Stage::strike`] does so and waits.
pub struct Stage {
    /// The proxy between browsers and target.
    pub gateway: Gateway,
    /// The players' browsers.
    pub browsers: BTreeMap<PlayerName, BrowserSession>,
    /// Nothing of one that ran already is the stage's.
    server: Option<Server>,
    /// Where each player is a host of its own.
    network: Option<Network>,
    ground: Ground,
}

/// What every process of a stage needs before it can start.
struct Ground {
    folder: live::StageFolder,
    /// An address where nobody listens: who connects to it is refused.
    closed: SocketAddr,
    /// Bound to that address, and never listening.
    _refused: TcpSocket,
}

impl Ground {
    fn lay(keep: bool) -> Result<Ground, StageError> {
        let cannot = |what: &'static str| {
            move |source| StageError::Start {
                what: format!("the stage: {what}"),
                source,
            }
        };
        tree::adopt_orphans().map_err(cannot("orphans do not fall to it"))?;
        // One that is to stay shall not take memory, nor go with it.
        let place = match keep {
            true => &std::env::temp_dir(),
            false => scratch(),
        };
        let folder = TempDir::with_prefix_in(left::PREFIX, place).map_err(cannot(
            "no temporary folder; name a folder that has room in TMPDIR",
        ))?;
        let folder = live::StageFolder::new(folder, keep).map_err(|source| StageError::Start {
            what: "what ends a stage whose gymcheck is killed".to_owned(),
            source,
        })?;
        let refused = TcpSocket::new_v4().map_err(cannot(NO_PORT))?;
        refused
            .bind(SocketAddr::from(([127, 0, 0, 1], 0)))
            .map_err(cannot(NO_PORT))?;
        Ok(Ground {
            folder,
            closed: refused.local_addr().map_err(cannot(NO_PORT))?,
            _refused: refused,
        })
    }

    /// Ends what is left, if anything, and removes the folder.
    async fn clear(self) {
        // A thread that panicked has nothing more to remove.
        let _ = tokio::task::spawn_blocking(move || drop(self)).await;
    }
}

impl Stage {
    /// Starts server, gateway, drivers and browsers, each ready by observation.
    ///
    /// # Errors
    /// One of them cannot be started or does not become ready.
    pub async fn set(options: StageOptions<'_>, recorder: &Recorder) -> Result<Stage, StageError> {
        let ground = Ground::lay(options.keep)?;
        let folders = Folders {
            stage: ground.folder.path(),
            artefacts: options.artefacts,
        };
        let mark = ground.folder.mark();
        let players = options.browsers.players();
        let mut network = match options.apart {
            true => Some(Network::lay(players.iter().copied()).await?),
            false => None,
        };
        let mut pages: BTreeMap<PlayerName, SocketAddr> = BTreeMap::new();
        let mut doors = match &mut network {
            Some(network) => network.open()?,
            None => BTreeMap::new(),
        };
        if network.is_none() {
            for player in options.browsers.by_name() {
                let (door, page) = named_door().await?;
                doors.insert(player.to_string(), door);
                pages.insert(player, page);
            }
        }
        let hosts = network.as_ref();
        let target = edited(&options, ground.folder.path())?;
        let server = Server::start(
            target.as_ref().unwrap_or(options.target),
            options.experiment,
            ground.closed,
            folders,
            mark,
            recorder,
        );
        let browsers = futures_util::future::try_join_all(players.iter().map(async |player| {
            let (name, headed) = (player.as_str(), options.headed);
            let session = match &options.browsers {
                Browsers::Here(browsers) => {
                    let browser = &browsers[player];
                    let place = Place {
                        host: hosts.and_then(|hosts| hosts.host(*player)),
                        page: pages.get(player).copied(),
                        compiled: options.compiled.get(&browser.kind).map(PathBuf::as_path),
                    };
                    let session = BrowserSession::start(
                        place, browser, name, headed, folders, mark, recorder,
                    );
                    session.await?
                }
                Browsers::OnGrid(grid, kinds) => {
                    let stage = folders.stage;
                    let session = BrowserSession::start_on(
                        grid,
                        kinds[player],
                        name,
                        headed,
                        stage,
                        recorder,
                    );
                    session.await?
                }
            };
            Ok::<_, StageError>((*player, session))
        }));
        // Side by side: neither needs the other to start.
        let (server, browsers) = tokio::try_join!(server, browsers)?;
        if let Browsers::OnGrid(grid, _) = &options.browsers {
            for (player, browser) in &browsers {
                let node = browser.node().unwrap_or_default();
                let door = grid.door(player.as_str(), node).await?;
                doors.insert(player.to_string(), door);
            }
        }
        let started = server.as_ref().map(|server| server.address);
        let Some(upstream) = started.or(options.target.running()) else {
            return Err(StageError::Start {
                what: format!("the target {}", options.target.name()),
                source: std::io::ErrorKind::Unsupported.into(),
            });
        };
        let gateway = Gateway::start_behind(
            doors,
            GatewayOptions {
                upstream,
                players: players.iter().map(ToString::to_string).collect(),
                mirror: options.mirror,
                edits: served(options.edits),
                probe_script: probe::SCRIPT.to_owned(),
            },
            recorder.clone(),
        )
        .await?;
        Ok(Stage {
            gateway,
            browsers: browsers.into_iter().collect(),
            server,
            network,
            ground,
        })
    }

    /// Lets it no longer give way to other stages: its pages have loaded.
    pub async fn has_loaded(&self) {
        let mark = self.ground.folder.mark().to_owned();
        // A thread that panicked leaves it as it is.
        let _ = tokio::task::spawn_blocking(move || priority::go_back(&mark)).await;
    }

    /// The folder in which the target stores its data, where that is at hand.
    #[must_use]
    pub fn data_folder(&self) -> Option<&Path> {
        Some(&self.server.as_ref()?.data)
    }

    /// What the target wrote last, where that is at hand.
    #[must_use]
    pub fn last_lines_of_server(&self) -> Vec<String> {
        let server = self.server.as_ref();
        server.map_or_else(Vec::new, |server| server.process.last_lines())
    }

    /// Takes down the link of a player to all others. Gives what the kernel said of it before and after.
    ///
    /// # Errors
    /// The stage was not set with the players apart, or the kernel does not do it.
    pub async fn cut_network(&self, player: PlayerName) -> Result<[LinkFact; 2], StageError> {
        let network = self.network()?;
        let before = network.look(player).await?;
        Ok([before, network.cut(player).await?])
    }

    /// What the kernel says of the link of a player.
    ///
    /// # Errors
    /// The stage was not set with the players apart, or the kernel cannot be asked.
    pub async fn link(&self, player: PlayerName) -> Result<LinkFact, StageError> {
        Ok(self.network()?.look(player).await?)
    }

    fn network(&self) -> Result<&Network, StageError> {
        self.network.as_ref().ok_or_else(|| StageError::Start {
            what: "cutting a network: the stage has none".to_owned(),
            source: std::io::ErrorKind::Unsupported.into(),
        })
    }

    /// Ends everything and waits until it has ended.
    pub async fn strike(self) {
        let Stage {
            gateway,
            mut browsers,
            mut server,
            network,
            ground,
        } = self;
        if let Some(server) = &mut server {
            server.process.may_end();
        }
        gateway.pages_may_end();
        futures_util::future::join_all(browsers.values_mut().map(BrowserSession::end)).await;
        if let Some(server) = &mut server {
            server.process.end().await;
        }
        gateway.shutdown().await;
        drop(network);
        ground.clear().await;
    }
}

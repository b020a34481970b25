//! The network of a stage on which each player is a host of its own, so that its link can be cut.
//!
//! Each player has a network namespace, with a loopback interface, one link, an address and a default route.
//! The links meet at a bridge in one namespace more, where the gateway listens. The players reach the gateway,
//! and each other, over their links alone; what drives their browsers comes another way. None of the namespaces
//! has a name, so two stages never meet, whatever names and addresses they use; the machine's own
//! network is not touched, and nothing can be left of all of it, see [`Namespace`].
//!
//! The kernel is talked to over netlink, as the program `ip` does it: no program is needed, and what it
//! answers is an error by its number, or a state, and no text to be read.

mod addresses;
mod links;
mod namespace;
mod way;

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::time::Instant;

use super::deadline;
use crate::evidence::LinkFact;
use crate::gateway::Door;
use crate::spec::PlayerName;

use links::Links;
use namespace::Namespace;
use way::WayOut;

pub use addresses::AddressWatch;
pub use way::WayIn;

/// Where the links meet: the gateway is there. The players' addresses follow it, the survivor's first.
pub const HUB: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 1);
const PREFIX: u8 = 24;

const BRIDGE: &str = "bridge";
const LOOPBACK: &str = "lo";

/// How long there is between two looks at a link that is about to change.
const BETWEEN_LOOKS: Duration = Duration::from_millis(5);

/// Why there is no network of one's own for each player.
#[derive(Debug, Error)]
#[error("{what}: {why}")]
pub struct NetworkError {
    /// What could not be done.
    pub what: String,
    /// What the kernel said.
    why: io::Error,
    /// What to do about it.
    pub mend: String,
}

impl NetworkError {
    /// Whether this user has not the rights for it.
    #[must_use]
    pub fn lacks_rights(&self) -> bool {
        self.why.kind() == io::ErrorKind::PermissionDenied
    }

    /// Whether it may be another time: what this machine does not offer, it offers no later.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        self.why.kind() == io::ErrorKind::TimedOut
    }
}

/// A network on which each player is a host of its own. With this value it is gone.
pub struct Network {
    hub: Namespace,
    links: Links,
    hosts: BTreeMap<PlayerName, Host>,
    /// Those of the players' pages to the gateway.
    ways: Vec<WayOut>,
}

/// A player's host.
pub struct Host {
    namespace: Arc<Namespace>,
    links: Links,
    /// Its link, as it is called there, and at the bridge.
    link: String,
    port: String,
}

impl Network {
    /// Lays it, with all links up.
    ///
    /// # Errors
    /// This user may not, or the kernel cannot.
    pub async fn lay(
        players: impl IntoIterator<Item = PlayerName>,
    ) -> Result<Network, NetworkError> {
        let hub = namespace()?;
        let links = links(&hub)?;
        links.add_bridge(BRIDGE).await.map_err(no_bridge)?;
        let up = async {
            links.set_up(LOOPBACK).await?;
            links.add_address(BRIDGE, HUB, PREFIX).await?;
            links.set_up(BRIDGE).await
        };
        up.await.map_err(cannot("set up a bridge"))?;
        let mut network = Network {
            hub,
            links,
            hosts: BTreeMap::new(),
            ways: Vec::new(),
        };
        for (player, last) in players.into_iter().zip(2..) {
            let [first, second, third, _] = HUB.octets();
            let address = Ipv4Addr::new(first, second, third, last);
            let host = network.add(player, address).await?;
            network.hosts.insert(player, host);
        }
        for player in network.hosts.keys() {
            network.link(*player, LinkFact::is_whole).await?;
        }
        Ok(network)
    }

    async fn add(&self, player: PlayerName, address: Ipv4Addr) -> Result<Host, NetworkError> {
        let namespace = namespace()?;
        let host = Host {
            links: links(&namespace)?,
            namespace: Arc::new(namespace),
            link: player.to_string(),
            port: format!("to-{player}"),
        };
        let pair = self.links.add_pair(&host.port, &host.link);
        pair.await.map_err(no_link)?;
        let up = async {
            self.links.give(&host.link, &host.namespace).await?;
            self.links.attach(&host.port, BRIDGE).await?;
            self.links.set_up(&host.port).await?;
            host.links.set_up(LOOPBACK).await?;
            host.links.give_no_address_by_itself(&host.link).await?;
            host.links.add_address(&host.link, address, PREFIX).await?;
            host.links.set_up(&host.link).await?;
            host.links.add_default_route(HUB).await
        };
        let what = format!("set up the link of the {player}");
        up.await.map_err(cannot(&what))?;
        Ok(host)
    }

    /// A player's host.
    #[must_use]
    pub fn host(&self, player: PlayerName) -> Option<&Host> {
        self.hosts.get(&player)
    }

    /// Does something as a process would where the links meet: sockets and processes that come of it are there.
    ///
    /// # Errors
    /// It cannot be entered, or what is done there fails.
    pub fn within_hub<T: Send>(&self, act: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
        self.hub.within(act)
    }

    /// Opens the ways of the players' pages to the gateway. Gives where it takes their connections.
    ///
    /// # Errors
    /// No port can be had.
    pub fn open(&mut self) -> Result<BTreeMap<String, Door>, NetworkError> {
        let open = |host: &Host| {
            let listener = way::listen(&self.hub, SocketAddr::from((HUB, 0)))?;
            let way = WayOut::open(Arc::clone(&host.namespace), listener.local_addr()?)?;
            let door = Door {
                listener,
                authority: way.at().to_string(),
                admits: None,
            };
            Ok((door, way))
        };
        let mut doors = BTreeMap::new();
        for (player, host) in &self.hosts {
            let what = format!("open a way from the {player} to the gateway");
            let (door, way) = open(host).map_err(cannot(&what))?;
            doors.insert(player.to_string(), door);
            self.ways.push(way);
        }
        Ok(doors)
    }

    /// Takes a player's link down at the bridge, as when a cable is pulled, and waits until it is seen at
    /// both of its ends. Gives what was seen then.
    ///
    /// # Errors
    /// The kernel does not do it.
    pub async fn cut(&self, player: PlayerName) -> Result<LinkFact, NetworkError> {
        if let Some(host) = self.hosts.get(&player) {
            let down = self.links.set_down(&host.port).await;
            down.map_err(cannot(&format!("take down the link of the {player}")))?;
        }
        self.link(player, LinkFact::is_down).await
    }

    /// What the kernel says of a player's link now.
    ///
    /// # Errors
    /// The kernel cannot be asked.
    pub async fn look(&self, player: PlayerName) -> Result<LinkFact, NetworkError> {
        self.link(player, |_| true).await
    }

    /// What the kernel says of a player's link, once it is as it should be.
    async fn link(
        &self,
        player: PlayerName,
        wanted: impl Fn(&LinkFact) -> bool,
    ) -> Result<LinkFact, NetworkError> {
        let what = format!("see the link of the {player} change");
        let cannot = cannot(&what);
        let Some(host) = self.hosts.get(&player) else {
            return Err(cannot(io::ErrorKind::NotFound.into()));
        };
        let end = Instant::now() + deadline::LINK;
        loop {
            let look = async {
                Ok(LinkFact {
                    own: host.links.end(&host.link).await?,
                    far: self.links.end(&host.port).await?,
                })
            };
            let seen = match look.await {
                Ok(seen) => seen,
                Err(error) => return Err(cannot(error)),
            };
            if wanted(&seen) {
                return Ok(seen);
            }
            if Instant::now() > end {
                let seen = io::Error::new(io::ErrorKind::TimedOut, format!("it is {seen}"));
                return Err(cannot(seen));
            }
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
    }
}

impl Host {
    /// Does something as a process of the host would: sockets and processes that come of it are the host's.
    ///
    /// # Errors
    /// The host cannot be entered, or what is done there fails.
    pub fn within<T: Send>(&self, act: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
        self.namespace.within(act)
    }

    /// The way to what listens on the loopback interface of the host.
    #[must_use]
    pub fn way_in(&self) -> WayIn {
        WayIn::to(Arc::clone(&self.namespace))
    }
}

fn namespace() -> Result<Namespace, NetworkError> {
    Namespace::new().map_err(|why| NetworkError {
        what: "no network namespace can be made".to_owned(),
        mend: match why.kind() {
            io::ErrorKind::PermissionDenied => NEEDS_RIGHTS,
            _ => "the kernel must have network namespaces left (`sysctl user.max_net_namespaces`)",
        }
        .to_owned(),
        why,
    })
}

/// What to do where the kernel refuses.
const NEEDS_RIGHTS: &str = "run it as root, with the capabilities CAP_SYS_ADMIN and CAP_NET_ADMIN";

fn links(namespace: &Namespace) -> Result<Links, NetworkError> {
    Links::of(namespace).map_err(cannot("ask the kernel about links"))
}

fn no_bridge(why: io::Error) -> NetworkError {
    lacking("bridge", why)
}

fn no_link(why: io::Error) -> NetworkError {
    lacking("veth", why)
}

/// The kernel makes no link of a kind.
fn lacking(kind: &str, why: io::Error) -> NetworkError {
    NetworkError {
        what: format!("the kernel makes no link of the kind `{kind}`"),
        mend: match why.kind() {
            io::ErrorKind::PermissionDenied => NEEDS_RIGHTS.to_owned(),
            _ => format!("it must have that module: modprobe {kind}"),
        },
        why,
    }
}

fn cannot(what: impl fmt::Display) -> impl Fn(io::Error) -> NetworkError {
    move |why| NetworkError {
        what: format!("cannot {what}"),
        mend: match why.kind() {
            io::ErrorKind::PermissionDenied => NEEDS_RIGHTS,
            _ => "`gymcheck doctor` says whether this machine can do it",
        }
        .to_owned(),
        why,
    }
}

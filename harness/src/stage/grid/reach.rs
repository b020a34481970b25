//! How a browser at a node gets to the gateway, and nobody else.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::str::FromStr;

use tokio::net::{TcpListener, lookup_host};
use url::{Host, Url};

use super::{Grid, GridError};
use crate::gateway::Door;

/// Any port: only the way to an address is asked for, nothing is sent.
const ANY_PORT: u16 = 9;

/// A host that nodes dial instead of the address from which they are reached: a name or an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advertised(Host);

impl FromStr for Advertised {
    type Err = String;

    fn from_str(text: &str) -> Result<Advertised, String> {
        let said = "a host name or an address, without a port: each player has a port of its own";
        // A bare IPv6 address is one as well.
        if let Ok(address) = text.parse() {
            return Ok(Advertised(Host::Ipv6(address)));
        }
        let host = Host::parse(text).map_err(|error| format!("{error}: it is {said}"))?;
        Ok(Advertised(host))
    }
}

impl fmt::Display for Advertised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Grid {
    /// Opens the door through which a player's browser comes from its node.
    pub(in crate::stage) async fn door(&self, player: &str, node: &str) -> Result<Door, GridError> {
        let out_of_reach = |why: String| GridError::OutOfReach {
            player: player.to_owned(),
            node: node.to_owned(),
            why,
        };
        let mut admits = self.admit.clone();
        let addresses = self.addresses(node).await;
        let (at, authority) = match (&self.advertise, addresses.first()) {
            (Some(advertised), _) => (advertised.own_address(), advertised.to_string()),
            (None, Some(address)) => {
                let own = way_to(*address).map_err(|error| {
                    out_of_reach(format!(
                        "there is no route to its address {address}: {error}"
                    ))
                })?;
                (own, Advertised::from(own).to_string())
            }
            (None, None) => {
                return Err(out_of_reach(
                    "its name has no address here; --advertise HOST says what it must dial, and --admit ADDRESS \
                     from where it comes"
                        .to_owned(),
                ));
            }
        };
        // What is on this machine comes from the address that it dials.
        if addresses.iter().any(|address| is_own(*address)) {
            admits.push(at);
            admits.extend([
                IpAddr::V4(Ipv4Addr::LOCALHOST),
                IpAddr::V6(Ipv6Addr::LOCALHOST),
            ]);
        }
        admits.extend(addresses);
        if admits.is_empty() {
            return Err(out_of_reach(
                "its name has no address here; --admit ADDRESS says from where it comes".to_owned(),
            ));
        }
        let listener = TcpListener::bind(SocketAddr::from((at, 0))).await;
        let listener =
            listener.map_err(|error| out_of_reach(format!("no port at {at}: {error}")))?;
        let port = listener
            .local_addr()
            .map_err(|error| out_of_reach(error.to_string()))?;
        Ok(Door {
            listener,
            authority: format!("{authority}:{}", port.port()),
            admits: Some(admits),
        })
    }

    /// The addresses of a node, as far as they are known here. One that calls itself by the loopback interface, of
    /// a grid elsewhere, is where the grid is.
    async fn addresses(&self, node: &str) -> Vec<IpAddr> {
        let of = async |host: &str| -> Vec<IpAddr> {
            let host = host.trim_matches(['[', ']']);
            match lookup_host((host, ANY_PORT)).await {
                Ok(found) => found.map(|address| address.ip()).collect(),
                Err(_) => Vec::new(),
            }
        };
        let url = Url::parse(node).ok();
        let named = url.as_ref().and_then(Url::host_str).unwrap_or_default();
        let addresses = of(named).await;
        match addresses.first().is_some_and(IpAddr::is_loopback) {
            true => of(self.endpoint.host()).await,
            false => addresses,
        }
    }
}

impl From<IpAddr> for Advertised {
    fn from(address: IpAddr) -> Advertised {
        Advertised(match address {
            IpAddr::V4(address) => Host::Ipv4(address),
            IpAddr::V6(address) => Host::Ipv6(address),
        })
    }
}

impl Advertised {
    /// Where is listened for who dials it: at that address, if it is this machine's; else something passes on what
    /// is dialled, nobody knows to which of them.
    fn own_address(&self) -> IpAddr {
        let address = match self.0 {
            Host::Ipv4(address) => IpAddr::V4(address),
            Host::Ipv6(address) => IpAddr::V6(address),
            Host::Domain(_) => return Ipv4Addr::UNSPECIFIED.into(),
        };
        match (is_own(address), address) {
            (true, address) => address,
            (false, IpAddr::V4(_)) => Ipv4Addr::UNSPECIFIED.into(),
            (false, IpAddr::V6(_)) => Ipv6Addr::UNSPECIFIED.into(),
        }
    }
}

/// This machine's address on the way to another one.
fn way_to(address: IpAddr) -> std::io::Result<IpAddr> {
    let any: IpAddr = match address {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0))?;
    socket.connect((address, ANY_PORT))?;
    Ok(socket.local_addr()?.ip())
}

/// Whether an address is one of this machine's.
fn is_own(address: IpAddr) -> bool {
    UdpSocket::bind((address, 0)).is_ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn grid(endpoint: &str) -> Grid {
        Grid {
            endpoint: endpoint.parse().unwrap(),
            advertise: None,
            admit: Vec::new(),
            capabilities: Vec::new(),
            patience: Duration::from_secs(1),
        }
    }

    #[tokio::test]
    async fn a_node_on_this_machine_comes_by_the_loopback_interface() {
        let grid = grid("http://127.0.0.1:4444");
        let door = grid
            .door("survivor", "http://127.0.0.1:5555")
            .await
            .unwrap();
        let at = door.listener.local_addr().unwrap();
        assert_eq!(door.authority, at.to_string());
        assert!(at.ip().is_loopback());
        assert!(door.admits.unwrap().contains(&at.ip()));
    }

    #[tokio::test]
    async fn a_node_whose_name_nobody_knows_here_is_let_in_by_what_the_user_says() {
        let mut grid = grid("http://127.0.0.1:4444");
        let node = "http://node.invalid:5555";
        let refused = grid.door("survivor", node).await.unwrap_err();
        assert!(
            refused.to_string().contains("--advertise HOST"),
            "{refused}"
        );
        grid.advertise = Some("gymcheck.example".parse().unwrap());
        let refused = grid.door("survivor", node).await.unwrap_err();
        assert!(refused.to_string().contains("--admit ADDRESS"), "{refused}");
        let address: IpAddr = "10.1.2.3".parse().unwrap();
        grid.admit.push(address);
        let door = grid.door("survivor", node).await.unwrap();
        assert!(door.authority.starts_with("gymcheck.example:"));
        assert_eq!(door.admits, Some(vec![address]));
        assert!(door.listener.local_addr().unwrap().ip().is_unspecified());
    }

    #[test]
    fn what_is_advertised_has_no_port() {
        let advertised = |text: &str| text.parse::<Advertised>().map(|host| host.to_string());
        assert_eq!(advertised("10.0.0.1").unwrap(), "10.0.0.1");
        assert_eq!(advertised("::1").unwrap(), "[::1]");
        assert!(advertised("10.0.0.1:80").is_err());
        assert!(advertised("http://a").is_err());
    }
}

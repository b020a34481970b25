//! Servers that already run.

use std::fmt;
use std::net::{SocketAddr, ToSocketAddrs};
use std::str::FromStr;

use url::Url;

use super::TargetError;

/// The address of a server that already runs: `http://localhost:8000`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    host: String,
    port: u16,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}:{}", self.host, self.port)
    }
}

impl FromStr for Address {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Address, TargetError> {
        let wrong = |advice: &str| TargetError::Address {
            text: text.to_owned(),
            advice: advice.to_owned(),
        };
        let url =
            Url::parse(text).map_err(|error| wrong(&format!("it cannot be read: {error}")))?;
        if url.scheme() != "http" {
            return Err(wrong(
                "only plain http can be passed on; reach the server behind what speaks TLS for it, or \
                 forward a local port to it",
            ));
        }
        if !matches!(url.path(), "" | "/") || url.query().is_some() {
            return Err(wrong(
                "an experiment is served from the root of its address; leave out the path",
            ));
        }
        match (url.host_str(), url.port_or_known_default()) {
            (Some(host), Some(port)) => Ok(Address {
                host: host.to_owned(),
                port,
            }),
            (_, _) => Err(wrong("it has no host")),
        }
    }
}

impl Address {
    /// Where that is on the network; IPv4 before IPv6, which not every server listens on.
    ///
    /// # Errors
    /// Nobody knows the host.
    pub fn resolve(&self) -> Result<SocketAddr, TargetError> {
        let host = self.host.trim_matches(['[', ']']);
        let unknown = |source| TargetError::UnknownHost {
            address: self.to_string(),
            source,
        };
        let mut found: Vec<SocketAddr> = (host, self.port)
            .to_socket_addrs()
            .map_err(unknown)?
            .collect();
        found.sort_by_key(SocketAddr::is_ipv6);
        let none = || unknown(std::io::ErrorKind::NotFound.into());
        found.first().copied().ok_or_else(none)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_host_and_a_port() {
        let read = |text: &str| text.parse::<Address>();
        let plain = read("http://127.0.0.1:8000/").unwrap();
        assert_eq!(plain.to_string(), "http://127.0.0.1:8000");
        assert_eq!(
            plain.resolve().unwrap(),
            SocketAddr::from(([127, 0, 0, 1], 8000))
        );
        assert_eq!(read("http://study").unwrap().to_string(), "http://study:80");
        assert!(read("http://[::1]:7").unwrap().resolve().unwrap().is_ipv6());
        let said = |text: &str| read(text).unwrap_err().to_string();
        assert!(said("https://127.0.0.1").contains("plain http"));
        assert!(said("http://127.0.0.1/study").contains("leave out the path"));
        assert!(said("http://").contains("cannot be read"));
    }
}

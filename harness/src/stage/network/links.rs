//! The links of one network namespace, as the kernel is asked and told about them.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::AsRawFd;

use futures_util::TryStreamExt;
use nix::errno::Errno;
use rtnetlink::packet_route::link::{
    AfSpecInet6, AfSpecUnspec, In6AddrGenMode, LinkAttribute, LinkFlags, LinkMessage,
};
use rtnetlink::{
    Error, Handle, LinkBridge, LinkMessageBuilder, LinkUnspec, LinkVeth, RouteMessageBuilder,
};
use tokio::runtime;

use super::namespace::Namespace;
use crate::evidence::LinkEnd;

/// The links of a namespace. Their names are those of that namespace alone.
pub(super) struct Links {
    kernel: Handle,
}

impl Links {
    /// # Errors
    /// The kernel cannot be asked.
    pub(super) fn of(namespace: &Namespace) -> io::Result<Links> {
        let runtime = runtime::Handle::current();
        let (connection, kernel, _) = namespace.within(|| {
            let _guard = runtime.enter();
            rtnetlink::new_connection()
        })?;
        // It ends with the last of its handles.
        tokio::spawn(connection);
        Ok(Links { kernel })
    }

    /// Makes a bridge.
    pub(super) async fn add_bridge(&self, name: &str) -> io::Result<()> {
        self.add(LinkBridge::new(name).build()).await
    }

    /// Makes two ends of a link.
    pub(super) async fn add_pair(&self, one: &str, other: &str) -> io::Result<()> {
        self.add(LinkVeth::new(one, other).build()).await
    }

    /// Gives a link away to another namespace.
    pub(super) async fn give(&self, name: &str, to: &Namespace) -> io::Result<()> {
        let fd = to.handle().as_raw_fd();
        let link = self.named(name).await?;
        self.set(link.setns_by_fd(fd)).await
    }

    /// Puts a link on a bridge.
    pub(super) async fn attach(&self, name: &str, bridge: &str) -> io::Result<()> {
        let bridge = self.look(bridge).await?.header.index;
        let link = self.named(name).await?;
        self.set(link.controller(bridge)).await
    }

    pub(super) async fn set_up(&self, name: &str) -> io::Result<()> {
        let link = self.named(name).await?;
        self.set(link.up()).await
    }

    pub(super) async fn set_down(&self, name: &str) -> io::Result<()> {
        let link = self.named(name).await?;
        self.set(link.down()).await
    }

    /// Gives a link an address.
    pub(super) async fn add_address(
        &self,
        name: &str,
        address: Ipv4Addr,
        prefix: u8,
    ) -> io::Result<()> {
        let index = self.look(name).await?.header.index;
        let adding = self
            .kernel
            .address()
            .add(index, IpAddr::V4(address), prefix);
        adding.execute().await.map_err(said)
    }

    /// Keeps a link that is down from giving itself an IPv6 address once it is up. It would have that for good
    /// only when nobody has answered to it for a second or two; and when an address comes, Chromium gives up
    /// all requests that wait for a connection (`ERR_NETWORK_CHANGED`), which a page's scripts may be.
    pub(super) async fn give_no_address_by_itself(&self, name: &str) -> io::Result<()> {
        let none = AfSpecInet6::AddrGenMode(In6AddrGenMode::None);
        let spec = LinkAttribute::AfSpecUnspec(vec![AfSpecUnspec::Inet6(vec![none])]);
        let link = self.named(name).await?.append_extra_attribute(spec);
        match self.set(link).await {
            // There is no IPv6.
            Err(error) if error.raw_os_error() == Some(Errno::EAFNOSUPPORT as i32) => Ok(()),
            set => set,
        }
    }

    /// Makes a default route.
    pub(super) async fn add_default_route(&self, gateway: Ipv4Addr) -> io::Result<()> {
        let route = RouteMessageBuilder::<Ipv4Addr>::new()
            .gateway(gateway)
            .build();
        self.kernel.route().add(route).execute().await.map_err(said)
    }

    /// What the kernel says of a link now.
    pub(super) async fn end(&self, name: &str) -> io::Result<LinkEnd> {
        let link = self.look(name).await?;
        let mut end = LinkEnd {
            name: name.to_owned(),
            up: link.header.flags.contains(LinkFlags::Up),
            carrier: link.header.flags.contains(LinkFlags::LowerUp),
            state: String::new(),
            received: 0,
            sent: 0,
        };
        for attribute in link.attributes {
            match attribute {
                LinkAttribute::OperState(state) => end.state = state.to_string(),
                LinkAttribute::Stats64(counted) => {
                    (end.received, end.sent) = (counted.rx_packets, counted.tx_packets);
                }
                _ => {}
            }
        }
        Ok(end)
    }

    async fn look(&self, name: &str) -> io::Result<LinkMessage> {
        let asked = self.kernel.link().get().match_name(name.to_owned());
        let mut links = std::pin::pin!(asked.execute());
        let link = links.try_next().await.map_err(said)?;
        link.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, format!("no link {name}")))
    }

    async fn named(&self, name: &str) -> io::Result<LinkMessageBuilder<LinkUnspec>> {
        let index = self.look(name).await?.header.index;
        Ok(LinkUnspec::new_with_index(index))
    }

    async fn add(&self, link: LinkMessage) -> io::Result<()> {
        self.kernel.link().add(link).execute().await.map_err(said)
    }

    async fn set(&self, link: LinkMessageBuilder<LinkUnspec>) -> io::Result<()> {
        let setting = self.kernel.link().set(link.build());
        setting.execute().await.map_err(said)
    }
}

/// What the kernel has answered.
fn said(error: Error) -> io::Error {
    match error {
        Error::NetlinkError(error) => error.to_io(),
        other => io::Error::other(other),
    }
}

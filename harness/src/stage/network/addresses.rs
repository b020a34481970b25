//! The addresses of the machine on which the browsers run, as they come and go.
//!
//! When one does, Chromium gives up all requests that wait for a connection (`ERR_NETWORK_CHANGED`). Containers
//! that start or stop on the same machine are enough for that.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;

use futures_util::{StreamExt, TryStreamExt};
use nix::net::if_::if_indextoname;
use rtnetlink::packet_core::NetlinkPayload;
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::address::{AddressAttribute, AddressHeaderFlags, AddressMessage};
use rtnetlink::{MulticastGroup, new_multicast_connection};
use tokio::task::JoinHandle;

use crate::evidence::{AddressChange, AddressFact, Fact, Recorder};

/// Takes down in the evidence each change of an address, for as long as it lives.
pub struct AddressWatch {
    watching: JoinHandle<()>,
}

/// An address of a link, by the kernel's number of the link.
type Place = (u32, IpAddr);

/// What of an address counts, beside its being there: the length of its prefix, and its state. For how long it
/// is still good does not.
type State = (u8, AddressHeaderFlags);

impl AddressWatch {
    /// Begins to watch the network namespace of the calling thread, in the runtime that it is in.
    ///
    /// # Errors
    /// The kernel cannot be asked.
    pub fn begin(recorder: &Recorder) -> io::Result<AddressWatch> {
        let groups = [MulticastGroup::Ipv4Ifaddr, MulticastGroup::Ipv6Ifaddr];
        let (connection, kernel, mut changes) = new_multicast_connection(&groups)?;
        let recorder = recorder.clone();
        let watch = async move {
            let there = kernel.address().get().execute();
            let Ok(there) = there.try_collect::<Vec<AddressMessage>>().await else {
                // What is told again could not be told apart from a change.
                return;
            };
            let mut known: HashMap<Place, State> = there.iter().filter_map(read).collect();
            // What changed while that was asked comes now, and is known already.
            while let Some((message, _)) = changes.next().await {
                let change = match &message.payload {
                    NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewAddress(told)) => {
                        read(told).and_then(|(place, state)| came(&mut known, place, state))
                    }
                    NetlinkPayload::InnerMessage(RouteNetlinkMessage::DelAddress(told)) => {
                        read(told).and_then(|(place, _)| went(&mut known, place))
                    }
                    _ => None,
                };
                if let Some(fact) = change {
                    recorder.record(Fact::AddressChanged(fact));
                }
            }
        };
        let watching = tokio::spawn(async move {
            tokio::join!(connection, watch);
        });
        Ok(AddressWatch { watching })
    }
}

impl Drop for AddressWatch {
    fn drop(&mut self) {
        self.watching.abort();
    }
}

fn read(told: &AddressMessage) -> Option<(Place, State)> {
    // Of an end of a line between two, `Address` is the other one's.
    let addresses = told
        .attributes
        .iter()
        .filter_map(|attribute| match attribute {
            AddressAttribute::Local(own) => Some((0, *own)),
            AddressAttribute::Address(any) => Some((1, *any)),
            _ => None,
        });
    let (_, address) = addresses.min_by_key(|(rank, _)| *rank)?;
    let place = (told.header.index, address);
    Some((place, (told.header.prefix_len, told.header.flags)))
}

fn came(known: &mut HashMap<Place, State>, place: Place, state: State) -> Option<AddressFact> {
    match known.insert(place, state) {
        None => Some(fact(place, AddressChange::Came)),
        Some(before) if before != state => Some(fact(place, AddressChange::Changed)),
        Some(_) => None,
    }
}

fn went(known: &mut HashMap<Place, State>, place: Place) -> Option<AddressFact> {
    known.remove(&place)?;
    Some(fact(place, AddressChange::Went))
}

fn fact((link, address): Place, change: AddressChange) -> AddressFact {
    // One that is gone has no name any more.
    let name = if_indextoname(link).ok();
    let name = name.and_then(|name| name.into_string().ok());
    AddressFact {
        link: name.unwrap_or_else(|| format!("link {link}")),
        address: address.to_string(),
        change,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Place = (2, IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7)));
    const GOOD: State = (24, AddressHeaderFlags::Permanent);

    #[test]
    fn what_is_told_again_is_no_change() {
        let mut known = HashMap::new();
        let change = |fact: Option<AddressFact>| fact.map(|fact| fact.change);
        let tentative = (24, AddressHeaderFlags::Tentative);
        let told =
            [tentative, tentative, GOOD, GOOD].map(|state| change(came(&mut known, ONE, state)));
        let (came, changed) = (Some(AddressChange::Came), Some(AddressChange::Changed));
        assert_eq!(told, [came, None, changed, None]);
        assert_eq!(change(went(&mut known, ONE)), Some(AddressChange::Went));
        assert_eq!(change(went(&mut known, ONE)), None);
    }
}

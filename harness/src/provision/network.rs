//! What the network of this machine offers to browsers.

use std::fs;

/// The flags of the kernel's routes that matter here: the route is up; it refuses what it leads to.
const ROUTE_UP: u32 = 0x1;
const ROUTE_REJECT: u32 = 0x200;

/// Whether an interface with a default route, of IPv4 or IPv6, is there, in this network namespace.
/// Without one browsers offer no peer-to-peer candidates, and no two players ever connect.
#[must_use]
pub fn default_route() -> bool {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    has_ipv4_default(&read("/proc/net/route")) || has_ipv6_default(&read("/proc/net/ipv6_route"))
}

/// Reads `/proc/net/route`: a line of titles, then interface, destination, gateway, flags, three
/// counters, mask and more, all numbers in hexadecimal.
fn has_ipv4_default(table: &str) -> bool {
    table.lines().skip(1).any(|line| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let [interface, destination, _, flags, _, _, _, mask, ..] = fields[..] else {
            return false;
        };
        leads_out(interface, flags) && is_zero(destination) && is_zero(mask)
    })
}

/// Reads `/proc/net/ipv6_route`: destination and the length of its prefix, source and the same,
/// next hop, three counters, flags, interface.
fn has_ipv6_default(table: &str) -> bool {
    table.lines().any(|line| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let [destination, prefix, _, _, _, _, _, _, flags, interface] = fields[..] else {
            return false;
        };
        leads_out(interface, flags) && is_zero(destination) && is_zero(prefix)
    })
}

fn leads_out(interface: &str, flags: &str) -> bool {
    let flags = u32::from_str_radix(flags, 16).unwrap_or(0);
    interface != "lo" && flags & ROUTE_UP != 0 && flags & ROUTE_REJECT == 0
}

fn is_zero(hexadecimal: &str) -> bool {
    !hexadecimal.is_empty() && hexadecimal.bytes().all(|digit| digit == b'0')
}

#[cfg(test)]
mod tests {
    use super::*;

    const TITLES: &str =
        "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n";

    #[test]
    fn ipv4() {
        let local = "eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n";
        let default = "eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n";
        let half = "tun0\t00000000\t010200C0\t0003\t0\t0\t0\t00000080\t0\t0\t0\n";
        assert!(!has_ipv4_default(""));
        assert!(!has_ipv4_default(TITLES));
        assert!(!has_ipv4_default(&format!("{TITLES}{local}{half}")));
        assert!(has_ipv4_default(&format!("{TITLES}{local}{default}")));
    }

    #[test]
    fn ipv4_that_refuses_is_none() {
        let reject = "*\t00000000\t00000000\t0201\t0\t0\t0\t00000000\t0\t0\t0\n";
        assert!(!has_ipv4_default(&format!("{TITLES}{reject}")));
    }

    #[test]
    fn ipv6() {
        let zero = "00000000000000000000000000000000";
        let of_loopback =
            format!("{zero} 00 {zero} 00 {zero} ffffffff 00000001 00000000 00200200       lo\n");
        let local = format!(
            "fd000000000000000000000000000000 40 {zero} 00 {zero} 00000100 00000001 00000000 00000001     eth0\n"
        );
        let default = format!(
            "{zero} 00 {zero} 00 fd000000000000000000000000000001 00000400 00000002 00000000 00000003     eth0\n"
        );
        assert!(!has_ipv6_default(&of_loopback));
        assert!(!has_ipv6_default(&format!("{local}{of_loopback}")));
        assert!(has_ipv6_default(&format!("{local}{default}{of_loopback}")));
    }
}

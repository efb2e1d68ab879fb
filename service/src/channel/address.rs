//! Which addresses a connector may reach (CWE-918): only hosts that the operator named, and of those no address in a private
//! network unless the operator says so. Addresses are looked at where they are resolved, so that a name cannot be resolved twice.

use std::error::Error;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// Where clouds tell their machines who they are, beside 169.254.0.0/16: Alibaba Cloud, Azure, Amazon, Google.
const METADATA: [IpAddr; 4] = [
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0254)),
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0x00ce, 0, 0, 0, 0, 0, 0x0254)),
];

/// Whether an address may be reached. Addresses of no single machine, those of the link, and those where clouds tell their machines
/// who they are, never.
pub(super) fn may_reach(address: IpAddr, private: bool) -> bool {
    match address {
        address if METADATA.contains(&address) => false,
        IpAddr::V4(address) => may_reach_v4(address, private),
        IpAddr::V6(address) => match embedded(address) {
            Some(inner) => may_reach(IpAddr::V4(inner), private),
            None => may_reach_v6(address, private),
        },
    }
}

fn may_reach_v4(address: Ipv4Addr, private: bool) -> bool {
    let [a, b, c, _] = address.octets();
    let never = address.is_unspecified()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_broadcast()
        || a == 0
        || a >= 240;
    let inside = address.is_private()
        || address.is_loopback()
        || (a == 100 && (64..128).contains(&b))     // shared by a provider's customers, RFC 6598
        || (a == 192 && b == 0 && c == 0)           // protocol assignments, RFC 6890
        || (a == 198 && (b == 18 || b == 19))       // benchmarks, RFC 2544
        || address.is_documentation();
    !never && (private || !inside)
}

fn may_reach_v6(address: Ipv6Addr, private: bool) -> bool {
    let [first, second, ..] = address.segments();
    let never = address.is_unspecified() || address.is_multicast() || first & 0xffc0 == 0xfe80;
    // Outside is what is given out for that, 2000::/3; everything else is local, translated, or nobody's yet.
    let inside = first & 0xe000 != 0x2000
        || (first == 0x2001 && second < 0x0200)     // protocol assignments, Teredo among them, RFC 2928
        || (first == 0x2001 && second == 0x0db8)    // documentation
        || (first == 0x3fff && second < 0x1000); // documentation, RFC 9637
    !never && (private || !inside)
}

/// The IPv4 address that an IPv6 address stands for: mapped, compatible, translated (RFC 2765, RFC 6052, RFC 8215) or 6to4.
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [a, b, c, d, e, f, g, h] = address.segments();
    let low = Ipv4Addr::from((u32::from(g) << 16) | u32::from(h));
    match [a, b, c, d, e, f] {
        [0, 0, 0, 0, 0, 0xffff] | [0, 0, 0, 0, 0xffff, 0] | [0x64, 0xff9b, 0, 0, 0, 0] => Some(low),
        [0x64, 0xff9b, 1, ..] => Some(low),
        [0, 0, 0, 0, 0, 0] if g != 0 => Some(low),
        [0x2002, ..] => Some(Ipv4Addr::from((u32::from(b) << 16) | u32::from(c))),
        _ => None,
    }
}

/// Resolves names, and leaves out addresses that may not be reached.
#[derive(Debug, Clone, Copy)]
pub(super) struct Resolver {
    pub(super) private: bool,
}

/// A name stands for addresses in a private network only.
#[derive(Debug, thiserror::Error)]
#[error("its addresses lie in a private network, which `private_addresses` does not permit")]
pub(super) struct Inside;

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let private = self.private;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let found: Vec<SocketAddr> = found.collect();
            let known = !found.is_empty();
            let may: Vec<SocketAddr> =
                found.into_iter().filter(|address| may_reach(address.ip(), private)).collect();
            if may.is_empty() && known {
                return Err(Box::new(Inside) as Box<dyn Error + Send + Sync>);
            }
            Ok(Box::new(may.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_spelling_of_a_private_address_is_reached() {
        for inside in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "100.64.0.1",
            "198.18.0.1",
            "::1",
            "fc00::1",
            "fd12::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::10.0.0.1",
            "64:ff9b:1::10.0.0.1",
            "64:ff9b:1:2:3:4:10.0.0.1",
            "::ffff:0:10.0.0.1",
            "fec0::1",
            "5f00::1",
            "3fff::1",
            "2001:0:4136:e378:8000:63bf:3fff:fdd2",
            "2002:7f00:0001::",
            "2001:db8::1",
            "::127.0.0.1",
        ] {
            let address: IpAddr = inside.parse().unwrap();
            assert!(!may_reach(address, false), "{inside}");
        }
        for never in [
            "0.0.0.0",
            "169.254.169.254",
            "224.0.0.1",
            "255.255.255.255",
            "240.0.0.1",
            "::",
            "fe80::1",
            "ff02::1",
            "::ffff:169.254.169.254",
            "64:ff9b::169.254.169.254",
            "64:ff9b:1::169.254.169.254",
            "::ffff:0:169.254.169.254",
            "2002:a9fe:a9fe::1",
            "100.100.100.200",
            "::ffff:100.100.100.200",
            "168.63.129.16",
            "fd00:ec2::254",
            "fd20:ce::254",
        ] {
            let address: IpAddr = never.parse().unwrap();
            assert!(!may_reach(address, false) && !may_reach(address, true), "{never}");
        }
        for outside in
            ["1.2.3.4", "172.32.0.1", "100.128.0.1", "2400:3200::1", "2001:250::1", "::ffff:1.2.3.4"]
        {
            assert!(may_reach(outside.parse().unwrap(), false), "{outside}");
        }
        assert!(may_reach("127.0.0.1".parse().unwrap(), true));
        assert!(may_reach("100.64.0.1".parse().unwrap(), true));
        assert!(may_reach("fd12::1".parse().unwrap(), true));
    }
}

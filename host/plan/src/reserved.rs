//! Addresses that mean something on every host, whatever it has configured.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::Cidr;

/// What a cloud's hosts ask for who they are, for credentials, names and time, by addresses that lie in no
/// network of theirs: whoever had one would be asked instead. (From the clouds' own documentation.)
pub const METADATA: [(IpAddr, &str); 9] = [
    (v4([169, 254, 169, 254]), "the metadata service of most clouds"),
    (v4([169, 254, 169, 253]), "Amazon's name server"),
    (v4([169, 254, 169, 123]), "Amazon's time server"),
    (v4([169, 254, 170, 2]), "Amazon's credentials for tasks"),
    (v4([169, 254, 170, 23]), "Amazon's credentials for pods"),
    (v4([168, 63, 129, 16]), "Azure's host agent"),
    (v4([100, 100, 100, 200]), "Alibaba's metadata service"),
    (v6([0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x254]), "Amazon's metadata service"),
    (v6([0xfd20, 0x00ce, 0, 0, 0, 0, 0, 0x254]), "Google's metadata service"),
];

/// Blocks that nobody on the internet has (IANA's special-purpose registries; RFC 1918, 3927, 6598, 2544, 5737,
/// 4193, 4291, 3849, 9637): what a host reaches there it reaches by a route of its own, or not at all.
const SET_ASIDE: [(IpAddr, u8); 13] = [
    (v4([10, 0, 0, 0]), 8),
    (v4([172, 16, 0, 0]), 12),
    (v4([192, 168, 0, 0]), 16),
    (v4([169, 254, 0, 0]), 16),
    (v4([100, 64, 0, 0]), 10),
    (v4([198, 18, 0, 0]), 15),
    (v4([192, 0, 2, 0]), 24),
    (v4([198, 51, 100, 0]), 24),
    (v4([203, 0, 113, 0]), 24),
    (v6([0xfc00, 0, 0, 0, 0, 0, 0, 0]), 7),
    (v6([0xfe80, 0, 0, 0, 0, 0, 0, 0]), 10),
    (v6([0x2001, 0x0db8, 0, 0, 0, 0, 0, 0]), 32),
    (v6([0x3fff, 0, 0, 0, 0, 0, 0, 0]), 20),
];

impl Cidr {
    /// Whether nobody on the internet has an address of this network.
    pub fn is_set_aside(self) -> bool {
        SET_ASIDE
            .into_iter()
            .any(|(address, prefix)| Cidr::new(address, prefix).is_ok_and(|block| block.contains(self)))
    }
}

const fn v4([a, b, c, d]: [u8; 4]) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(a, b, c, d))
}

const fn v6([a, b, c, d, e, f, g, h]: [u16; 8]) -> IpAddr {
    IpAddr::V6(Ipv6Addr::new(a, b, c, d, e, f, g, h))
}

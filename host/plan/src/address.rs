//! Addresses with a prefix length.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

use serde::{Deserialize, Serialize};

use crate::{Code, Error, Interface};

/// An IPv4 or IPv6 address with a prefix length, as `ip addr add` takes it: `169.254.1.1/30`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "(IpAddr, u8)", into = "(IpAddr, u8)")]
pub struct Cidr {
    address: IpAddr,
    prefix: u8,
}

impl Cidr {
    /// The prefix length is 0 to 32 (IPv4) or 0 to 128 (IPv6).
    pub fn new(address: IpAddr, prefix: u8) -> Result<Self, Error> {
        if prefix > Self::bits_of(address) {
            return Err(Self::invalid(&format!("{address}/{prefix}")));
        }
        Ok(Cidr { address, prefix })
    }

    /// The network of one address alone.
    pub fn host(address: IpAddr) -> Self {
        Cidr { address, prefix: Self::bits_of(address) }
    }

    /// The address alone.
    pub fn address(self) -> IpAddr {
        self.address
    }

    /// The prefix length, in bits.
    pub fn prefix(self) -> u8 {
        self.prefix
    }

    /// The network: the address with its host bits cleared.
    pub fn network(self) -> Cidr {
        let address = match self.address {
            IpAddr::V4(v4) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.prefix)).unwrap_or(0);
                IpAddr::from((u32::from(v4) & mask).to_be_bytes())
            }
            IpAddr::V6(v6) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.prefix)).unwrap_or(0);
                IpAddr::from((u128::from(v6) & mask).to_be_bytes())
            }
        };
        Cidr { address, prefix: self.prefix }
    }

    /// The last address of the network.
    pub fn last_address(self) -> IpAddr {
        match self.network().address {
            IpAddr::V4(v4) => {
                (v4 | Ipv4Addr::from_bits(u32::MAX.checked_shr(self.prefix.into()).unwrap_or(0))).into()
            }
            IpAddr::V6(v6) => {
                (v6 | Ipv6Addr::from_bits(u128::MAX.checked_shr(self.prefix.into()).unwrap_or(0))).into()
            }
        }
    }

    /// Whether every address of `other`'s network lies in this network.
    pub fn contains(self, other: Cidr) -> bool {
        self.prefix <= other.prefix
            && Cidr { address: other.address, prefix: self.prefix }.network() == self.network()
            && self.address.is_ipv4() == other.address.is_ipv4()
    }

    /// Whether `address` lies in this network.
    pub fn contains_address(self, address: IpAddr) -> bool {
        self.contains(Self::host(address))
    }

    /// Whether the two networks have an address in common.
    pub fn overlaps(self, other: Cidr) -> bool {
        self.contains(other) || other.contains(self)
    }

    /// Whether this is the network itself, without host bits.
    pub fn is_network(self) -> bool {
        self.network() == self
    }

    /// Whether an interface can have this address: not unspecified, multicast, broadcast or
    /// loopback, and (shorter than /31) neither the first nor the last of an IPv4 network.
    pub fn is_assignable(self) -> bool {
        let usable = match self.address {
            IpAddr::V4(v4) => {
                let host_bits = 32 - u32::from(self.prefix);
                let rest = u32::from(v4) & !u32::MAX.checked_shl(host_bits).unwrap_or(0);
                let last = !u32::MAX.checked_shl(host_bits).unwrap_or(0);
                !v4.is_broadcast() && (host_bits < 2 || (rest != 0 && rest != last))
            }
            IpAddr::V6(v6) => v6.to_ipv4_mapped().is_none(),
        };
        usable
            && self.prefix != 0
            && !self.address.is_unspecified()
            && !self.address.is_multicast()
            && !self.address.is_loopback()
    }

    fn bits_of(address: IpAddr) -> u8 {
        if address.is_ipv4() { 32 } else { 128 }
    }

    fn invalid(text: &str) -> Error {
        Error::new(
            Code::AddressInvalid,
            text,
            "write an IPv4 or IPv6 address and a prefix length, like 169.254.1.1/30 or fd00::1/64",
        )
    }
}

impl TryFrom<(IpAddr, u8)> for Cidr {
    type Error = Error;

    fn try_from((address, prefix): (IpAddr, u8)) -> Result<Self, Error> {
        Cidr::new(address, prefix)
    }
}

impl From<Cidr> for (IpAddr, u8) {
    fn from(cidr: Cidr) -> Self {
        (cidr.address, cidr.prefix)
    }
}

impl FromStr for Cidr {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let (address, prefix) = text.split_once('/').ok_or_else(|| Self::invalid(text))?;
        let address = address.parse().map_err(|_| Self::invalid(text))?;
        let digits = !prefix.is_empty() && prefix.bytes().all(|byte| byte.is_ascii_digit());
        match prefix.parse() {
            Ok(prefix) if digits => Cidr::new(address, prefix),
            _ => Err(Self::invalid(text)),
        }
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

/// An address that an interface gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// Whose address.
    pub interface: Interface,
    /// The address and the length of its network's prefix.
    pub cidr: Cidr,
}

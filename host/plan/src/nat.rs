//! Network address translation: masquerade and port forwards.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    str::FromStr,
};

use serde::{Deserialize, Serialize};

use crate::{Code, Error, LinkName};

/// What leaves the host by `out` with the container's address `source` takes the host's address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Masquerade {
    /// One of the addresses that the plan gives to the container.
    pub source: IpAddr,
    /// The host's interface towards the outside.
    pub out: LinkName,
}

/// A transport protocol with ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Protocol {
    /// TCP (RFC 9293).
    Tcp,
    /// UDP (RFC 768).
    Udp,
}

impl Protocol {
    /// The name in grants and messages.
    pub fn name(self) -> &'static str {
        match self {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
        }
    }

    /// The number in an IP header.
    pub fn number(self) -> u8 {
        match self {
            Protocol::Tcp => 6,
            Protocol::Udp => 17,
        }
    }
}

/// Ports from `first` to `last`, both included, both 1 to 65535.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "(u16, u16)", into = "(u16, u16)")]
pub struct PortRange {
    first: u16,
    last: u16,
}

impl PortRange {
    /// Fails for port 0 and for a range that runs backwards.
    pub fn new(first: u16, last: u16) -> Result<Self, Error> {
        if first == 0 || last < first {
            return Err(Self::invalid(&format!("{first}-{last}")));
        }
        Ok(PortRange { first, last })
    }

    /// The lowest port.
    pub fn first(self) -> u16 {
        self.first
    }

    /// The highest port.
    pub fn last(self) -> u16 {
        self.last
    }

    /// How many ports.
    pub fn count(self) -> u32 {
        u32::from(self.last - self.first) + 1
    }

    /// Whether all of `other`'s ports are among these.
    pub fn contains(self, other: PortRange) -> bool {
        self.first <= other.first && other.last <= self.last
    }

    /// Whether the two have a port in common.
    pub fn overlaps(self, other: PortRange) -> bool {
        self.first <= other.last && other.first <= self.last
    }

    fn invalid(text: &str) -> Error {
        Error::new(
            Code::PortsInvalid,
            text,
            "write a port, or first-last, each 1 to 65535, like 80 or 8000-8010",
        )
    }
}

impl TryFrom<(u16, u16)> for PortRange {
    type Error = Error;

    fn try_from((first, last): (u16, u16)) -> Result<Self, Error> {
        PortRange::new(first, last)
    }
}

impl From<PortRange> for (u16, u16) {
    fn from(range: PortRange) -> Self {
        (range.first, range.last)
    }
}

impl FromStr for PortRange {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let port = |part: &str| -> Result<u16, Error> {
            let digits = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
            part.parse().ok().filter(|_| digits).ok_or_else(|| Self::invalid(text))
        };
        match text.split_once('-') {
            Some((first, last)) => PortRange::new(port(first)?, port(last)?),
            None => PortRange::new(port(text)?, port(text)?).map_err(|_| Self::invalid(text)),
        }
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            write!(f, "{}", self.first)
        } else {
            write!(f, "{}-{}", self.first, self.last)
        }
    }
}

/// What reaches the host on `ports` goes to the container instead, port by port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forward {
    /// TCP or UDP.
    pub protocol: Protocol,
    /// Only on this address of the host; `None`: on all of them but the loopback's.
    pub host_address: Option<IpAddr>,
    /// The ports on the host.
    pub ports: PortRange,
    /// One of the addresses that the plan gives to the container.
    pub to: IpAddr,
    /// The container's port for the lowest of `ports`; the others follow in order.
    pub to_port: u16,
}

impl Forward {
    /// The one address of the loopback that a forward can be on: what is sent to `::1` stays on the host.
    pub const LOOPBACK: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    /// The ports in the container.
    pub fn to_ports(&self) -> Result<PortRange, Error> {
        let last = u32::from(self.to_port) + self.ports.count() - 1;
        match u16::try_from(last) {
            Ok(last) => PortRange::new(self.to_port, last),
            Err(_) => Err(PortRange::invalid(&format!("{}-{last}", self.to_port))),
        }
    }

    /// Each pair of host port and container socket address.
    pub fn pairs(&self) -> impl Iterator<Item = (u16, SocketAddr)> {
        let (first, to, to_port) = (self.ports.first, self.to, self.to_port);
        (first..=self.ports.last)
            .map(move |port| (port, SocketAddr::new(to, to_port.wrapping_add(port - first))))
    }

    /// Whether both would answer the same packet.
    pub fn collides(&self, other: &Forward) -> bool {
        let same_address = match (self.host_address, other.host_address) {
            (Some(mine), Some(theirs)) => mine == theirs,
            (Some(one), None) => !one.is_loopback() && one.is_ipv4() == other.to.is_ipv4(),
            (None, Some(one)) => !one.is_loopback() && one.is_ipv4() == self.to.is_ipv4(),
            (None, None) => self.to.is_ipv4() == other.to.is_ipv4(),
        };
        same_address && self.protocol == other.protocol && self.ports.overlaps(other.ports)
    }
}

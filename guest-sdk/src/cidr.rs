//! Addresses with a prefix length, and the networks that they are in.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

use crate::{Error, Result};

/// An IPv4 or IPv6 address with a prefix length: an interface's address, like `10.87.0.1/30`, or a
/// network, like `10.87.0.0/30`.
///
/// ```
/// # use nshost_sdk::Cidr;
/// let network: Cidr = "10.87.0.4/30".parse()?;
/// assert_eq!(network.nth(1)?.to_string(), "10.87.0.5/30");
/// assert_eq!(network.nth(2)?.address().to_string(), "10.87.0.6");
/// assert!(network.nth(4).is_err());
/// # Ok::<(), nshost_sdk::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cidr {
    address: IpAddr,
    prefix: u8,
}

impl Cidr {
    /// The prefix length is 0 to 32 (IPv4) or 0 to 128 (IPv6).
    pub fn new(address: IpAddr, prefix: u8) -> Result<Cidr> {
        if prefix > bits(address) {
            return Err(Error::from(format!("{address}/{prefix}: the prefix is too long")));
        }
        Ok(Cidr { address, prefix })
    }

    /// The address alone.
    pub fn address(self) -> IpAddr {
        self.address
    }

    /// The prefix length, in bits.
    pub fn prefix(self) -> u8 {
        self.prefix
    }

    /// The network's `n`th address, with the same prefix length; 0 is the network itself. An error
    /// if the network has no such address.
    pub fn nth(self, n: u64) -> Result<Cidr> {
        let host_bits = u32::from(bits(self.address) - self.prefix);
        let mask = 1u128.checked_shl(host_bits).map_or(u128::MAX, |size| size - 1);
        if u128::from(n) > mask {
            return Err(Error::from(format!("{self} has no address number {n}")));
        }
        let address = match self.address {
            // Both fit: an IPv4 address has 32 bits, and the mask no more than those.
            IpAddr::V4(v4) => {
                let value = (u128::from(u32::from(v4)) & !mask) | u128::from(n);
                IpAddr::V4(Ipv4Addr::from(value as u32))
            }
            IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from((u128::from(v6) & !mask) | u128::from(n))),
        };
        Ok(Cidr { address, prefix: self.prefix })
    }

    /// Whether `address` lies in the network.
    pub fn contains(self, address: IpAddr) -> bool {
        bits(self.address) == bits(address) && Cidr { address, prefix: self.prefix }.nth(0) == self.nth(0)
    }
}

fn bits(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

impl FromStr for Cidr {
    type Err = Error;

    fn from_str(text: &str) -> Result<Cidr> {
        let parts = text
            .split_once('/')
            .and_then(|(address, prefix)| Some(Cidr::new(address.parse().ok()?, prefix.parse().ok()?)));
        let Some(cidr) = parts else {
            let expected = "an address and a prefix length, like 10.87.0.1/30";
            return Err(Error::from(format!("{text:?} is not {expected}")));
        };
        cidr
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cidr(text: &str) -> Cidr {
        text.parse().unwrap()
    }

    #[test]
    fn addresses_are_counted_from_the_network() {
        assert_eq!(cidr("10.0.0.7/30").nth(0), Ok(cidr("10.0.0.4/30")));
        assert_eq!(cidr("10.0.0.4/30").nth(3), Ok(cidr("10.0.0.7/30")));
        assert!(cidr("10.0.0.4/30").nth(4).is_err());
        assert_eq!(cidr("10.0.0.9/32").nth(0), Ok(cidr("10.0.0.9/32")));
        assert!(cidr("10.0.0.9/32").nth(1).is_err());
        assert_eq!(cidr("0.0.0.0/0").nth(u64::from(u32::MAX)), Ok(cidr("255.255.255.255/0")));
        assert!(cidr("0.0.0.0/0").nth(1 << 32).is_err());
        assert_eq!(cidr("fd00::/64").nth(2), Ok(cidr("fd00::2/64")));
        assert_eq!(cidr("::/0").nth(u64::MAX), Ok(cidr("::ffff:ffff:ffff:ffff/0")));
    }

    #[test]
    fn membership_does_not_cross_families() {
        assert!(cidr("10.0.0.4/30").contains("10.0.0.6".parse().unwrap()));
        assert!(!cidr("10.0.0.4/30").contains("10.0.0.8".parse().unwrap()));
        assert!(!cidr("0.0.0.0/0").contains("::1".parse().unwrap()));
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "/", "10.0.0.1", "10.0.0.1/33", "10.0.0/8", "fd00::/129", "10.0.0.1/-1", "a/8"] {
            assert!(text.parse::<Cidr>().is_err(), "{text}");
        }
    }
}

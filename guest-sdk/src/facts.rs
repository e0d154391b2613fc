//! What a script can know. The same facts give the same plan: there is no clock, no random number
//! and no file to look at.

use std::net::IpAddr;

use crate::{Cidr, Result, bindings::nshost::setup::facts};

/// IPv4 or IPv6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Family {
    /// IPv4.
    Ipv4,
    /// IPv6.
    Ipv6,
}

impl Family {
    fn binding(self) -> facts::Family {
        match self {
            Family::Ipv4 => facts::Family::Ipv4,
            Family::Ipv6 => facts::Family::Ipv6,
        }
    }
}

/// The command that the operator typed after `--`; empty if none.
pub fn command() -> Vec<String> {
    facts::command()
}

/// The script's arguments.
pub fn arguments() -> Vec<String> {
    facts::arguments()
}

/// For a script that takes no arguments: an error if there are any. Whoever forgets the `--` before a
/// command learns it by this.
///
/// # Errors
///
/// Names the first of them.
pub fn no_arguments() -> Result {
    match arguments().first() {
        None => Ok(()),
        Some(first) => {
            Err(format!("it takes no arguments, and {first:?} is one; a command comes after --").into())
        }
    }
}

/// A small number that no other living container on this host has: for names and addresses.
pub fn instance() -> u16 {
    facts::instance()
}

/// The names of the host's interfaces.
pub fn links() -> Vec<String> {
    facts::links()
}

/// The addresses of one of them.
pub fn addresses(link: &str) -> Vec<Cidr> {
    facts::addresses(link).iter().filter_map(|text| text.parse().ok()).collect()
}

/// The interface of the host's default route: where the way out is.
pub fn default_route_link(family: Family) -> Option<String> {
    facts::default_route_link(family.binding())
}

/// The next hop of the host's default route.
pub fn default_route_via(family: Family) -> Option<IpAddr> {
    facts::default_route_via(family.binding()).and_then(|text| text.parse().ok())
}

/// A name server of the host's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameServer {
    /// Its address.
    pub address: IpAddr,
    /// The interface by which the host reaches it; none where it is the host.
    pub link: Option<String>,
}

/// The name servers that the host asks, in its order, and that a container could ask too: none of the loopback's, and
/// in the place of a resolver of the host's own those that it asks. To a container only those are of use that its way
/// out leads to.
pub fn name_servers() -> Vec<NameServer> {
    let servers = facts::name_servers().into_iter();
    servers
        .filter_map(|server| Some(NameServer { address: server.address.parse().ok()?, link: server.link }))
        .collect()
}

/// The first network of length `prefix` in `range` that overlaps nothing of the host's.
///
/// ```no_run
/// # use nshost_sdk::prelude::*;
/// let network = facts::free_network("10.87.0.0/16", 30).ok_or("10.87.0.0/16 is full")?;
/// let (host, container) = (network.nth(1)?, network.nth(2)?);
/// # Ok::<(), Error>(())
/// ```
pub fn free_network(range: &str, prefix: u8) -> Option<Cidr> {
    facts::free_network(range, prefix).and_then(|text| text.parse().ok())
}

/// `uname -r` of the host.
pub fn kernel() -> String {
    facts::kernel()
}

/// Whether the launcher runs without root. Then the host is a private one, made for this launch: these facts know of no
/// interface but `lo`, no default route and no name server.
pub fn rootless() -> bool {
    facts::rootless()
}

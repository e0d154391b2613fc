//! What a script can learn about the host it is to decide for.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::{Argument, Cidr, Forward, LinkName, reserved::METADATA};

/// Everything that an evaluation depends on besides the module and the grants. The same facts give
/// the same plan.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// The command that the operator typed after `--`; empty if none.
    pub command: Vec<Argument>,
    /// The script's own arguments.
    pub arguments: Vec<Argument>,
    /// A small number that no other living container on this host has; freed when it ends.
    pub instance: u16,
    /// The host's links, by index; those of containers that have ended are left out.
    pub links: Vec<LinkFact>,
    /// The host's addresses.
    pub addresses: Vec<AddressFact>,
    /// The host's routes that are not default routes.
    pub routes: Vec<Cidr>,
    /// The default routes, best first; at most one of each family.
    pub default_routes: Vec<DefaultRoute>,
    /// Addresses that the host trusts to be what they are: next hops, name servers, DHCP servers.
    pub trusted: Vec<IpAddr>,
    /// The name servers that the host asks, in its order, but for those that only the host itself can ask.
    pub name_servers: Vec<NameServer>,
    /// `uname -r`.
    pub kernel: String,
    /// Whether the launcher runs without root.
    pub rootless: bool,
    /// What other living containers hold.
    pub taken: Taken,
}

/// A link of the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkFact {
    /// The interface's index.
    pub index: u32,
    /// Its name, as the kernel has it.
    pub name: String,
    /// Whether it is administratively up.
    pub up: bool,
    /// Whether nshost made it: it leads to a container.
    pub ours: bool,
}

/// An address of the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddressFact {
    /// The interface's name.
    pub link: String,
    /// The address and its network's prefix length.
    pub cidr: Cidr,
}

/// A default route of the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DefaultRoute {
    /// IPv4 or IPv6.
    pub family: Family,
    /// The interface by which packets leave.
    pub link: String,
    /// The next hop, if there is one.
    pub via: Option<IpAddr>,
}

/// A name server of the host's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NameServer {
    /// Its address.
    pub address: IpAddr,
    /// The interface by which the host reaches it; none where it is the host.
    pub link: Option<String>,
}

/// An address family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

/// What is reserved by containers that live.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {
    /// Names of host ends.
    pub links: Vec<LinkName>,
    /// Networks of host ends.
    pub networks: Vec<Cidr>,
    /// Ports on the host.
    pub forwards: Vec<Forward>,
}

/// A kind of fact, for remembering what a plan depended on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum FactKind {
    /// [`Facts::instance`].
    Instance,
    /// [`Facts::links`] and [`Taken::links`].
    Links,
    /// [`Facts::addresses`], [`Facts::routes`], [`Facts::trusted`] and [`Taken::networks`].
    Addresses,
    /// [`Facts::default_routes`].
    DefaultRoutes,
    /// [`Facts::kernel`].
    Kernel,
    /// [`Facts::rootless`].
    Rootless,
    /// [`Taken::forwards`].
    Forwards,
    /// [`Facts::name_servers`].
    NameServers,
    /// [`Facts::arguments`].
    Arguments,
}

/// Which kinds of fact an evaluation has looked at. For a remembered plan, command and arguments always count as read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FactsRead(u16);

impl FactsRead {
    /// All kinds.
    pub const ALL: FactsRead = FactsRead(u16::MAX);

    /// Notes that `kind` was looked at.
    pub fn note(&mut self, kind: FactKind) {
        self.0 |= 1 << kind as u8;
    }

    /// Whether `kind` was looked at.
    pub fn contains(self, kind: FactKind) -> bool {
        self.0 & (1 << kind as u8) != 0
    }
}

impl Facts {
    /// Whether a network has no address in common with the host's addresses and routes, with what other
    /// containers hold, and with what the host trusts.
    pub fn is_free(&self, network: Cidr) -> bool {
        let addresses = self.addresses.iter().map(|fact| fact.cidr);
        let mut known =
            addresses.chain(self.routes.iter().copied()).chain(self.taken.networks.iter().copied());
        let metadata = METADATA.iter().map(|(address, _)| address);
        let mut trusted = self.trusted.iter().chain(metadata);
        !known.any(|other| other.overlaps(network))
            && !trusted.any(|address| network.contains_address(*address))
    }

    /// The first free network of length `prefix` in `range`, counted from the instance number so
    /// that launches at the same time do not meet. Looks at 4096 candidates at most.
    pub fn free_network(&self, range: Cidr, prefix: u8) -> Option<Cidr> {
        let bits: u8 = if range.address().is_ipv4() { 32 } else { 128 };
        if prefix < range.prefix() || prefix > bits {
            return None;
        }
        let count = 1u128.checked_shl(u32::from(prefix - range.prefix())).unwrap_or(u128::MAX);
        let start = u128::from(self.instance) % count;
        (0..count.min(4096)).find_map(|offset| {
            let candidate = nth_network(range, prefix, (start + offset) % count)?;
            self.is_free(candidate).then_some(candidate)
        })
    }

    /// These facts with only what `read` names left in: what a remembered plan is compared by.
    pub fn only(&self, read: FactsRead) -> Facts {
        let mut kept =
            Facts { command: self.command.clone(), arguments: self.arguments.clone(), ..Facts::default() };
        if read.contains(FactKind::Instance) {
            kept.instance = self.instance;
        }
        if read.contains(FactKind::Links) {
            kept.links = self.links.clone();
            kept.taken.links = self.taken.links.clone();
        }
        if read.contains(FactKind::Addresses) {
            kept.addresses = self.addresses.clone();
            kept.routes = self.routes.clone();
            kept.trusted = self.trusted.clone();
            kept.taken.networks = self.taken.networks.clone();
        }
        if read.contains(FactKind::DefaultRoutes) {
            kept.default_routes = self.default_routes.clone();
        }
        if read.contains(FactKind::Kernel) {
            kept.kernel = self.kernel.clone();
        }
        if read.contains(FactKind::Rootless) {
            kept.rootless = self.rootless;
        }
        if read.contains(FactKind::Forwards) {
            kept.taken.forwards = self.taken.forwards.clone();
        }
        if read.contains(FactKind::NameServers) {
            kept.name_servers = self.name_servers.clone();
        }
        kept
    }
}

fn nth_network(range: Cidr, prefix: u8, n: u128) -> Option<Cidr> {
    let address = match range.network().address() {
        IpAddr::V4(base) => {
            let step = u32::try_from(n).ok()?.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
            IpAddr::from((u32::from(base) | step).to_be_bytes())
        }
        IpAddr::V6(base) => {
            let step = n.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
            IpAddr::from((u128::from(base) | step).to_be_bytes())
        }
    };
    Cidr::new(address, prefix).ok()
}

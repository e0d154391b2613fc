//! Which network address translation a container may have: its way out, and ports of the host.

use std::net::IpAddr;

use nshost_plan::{Cidr, Facts, Forward, LinkFact, Masquerade, PortRange, Protocol, show};
use serde::{Deserialize, Serialize};

use crate::{
    check::Hurdle,
    pattern::NamePattern,
    rule::{Noun, Rule, quoted},
    text::{HostAddress, Network, ProtocolName, Text},
};

/// A way out for source addresses, by interfaces.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct MasqueradeRule {
    /// A network, without host bits.
    pub source: Cidr,
    pub out: NamePattern,
}

/// `[[masquerade]]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct MasqueradeTable {
    source: Text<Network>,
    out: Text<NamePattern>,
    #[serde(default)]
    deny: bool,
}

impl TryFrom<MasqueradeTable> for Rule<MasqueradeRule> {
    type Error = String;

    fn try_from(table: MasqueradeTable) -> Result<Self, String> {
        let what = MasqueradeRule { source: table.source.0.0, out: table.out.0 };
        Ok(Rule { what, deny: table.deny, line: 0 })
    }
}

impl Noun for MasqueradeRule {
    const SECTION: &'static str = "masquerade";
    type Asked<'a> = &'a Masquerade;

    fn allows(&self, asked: &Masquerade) -> bool {
        self.source.contains_address(asked.source) && self.out.matches(&asked.out)
    }

    fn touches(&self, asked: &Masquerade) -> bool {
        self.allows(asked)
    }

    fn least(asked: &Masquerade) -> Self {
        MasqueradeRule { source: Cidr::host(asked.source), out: NamePattern::literal(&asked.out) }
    }

    fn covers(&self, other: &Self) -> bool {
        self.source.contains(other.source) && self.out.covers(&other.out)
    }

    fn join(&self, _next: &Self) -> Option<Self> {
        None
    }

    fn keys(&self) -> Vec<(&'static str, String)> {
        vec![("source", quoted(&self.source.to_string())), ("out", quoted(&self.out.text()))]
    }
}

/// Ports of the host that may lead into the container.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct ForwardRule {
    pub protocol: Protocol,
    /// On this address alone; none: on any but the loopback's, and on all of those together.
    pub host_address: Option<IpAddr>,
    pub ports: PortRange,
}

/// `[[forward]]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct ForwardTable {
    protocol: ProtocolName,
    host_address: Option<Text<HostAddress>>,
    ports: Text<PortRange>,
    #[serde(default)]
    deny: bool,
}

impl TryFrom<ForwardTable> for Rule<ForwardRule> {
    type Error = String;

    fn try_from(table: ForwardTable) -> Result<Self, String> {
        let host_address = table.host_address.and_then(|text| text.0.0);
        let what = ForwardRule { protocol: table.protocol.into(), host_address, ports: table.ports.0 };
        Ok(Rule { what, deny: table.deny, line: 0 })
    }
}

impl Noun for ForwardRule {
    const SECTION: &'static str = "forward";
    type Asked<'a> = &'a Forward;

    fn allows(&self, asked: &Forward) -> bool {
        let on_loopback = asked.host_address.is_some_and(|address| address.is_loopback());
        let any = self.host_address.is_none() && !on_loopback;
        let address = any || self.host_address == asked.host_address;
        address && self.protocol == asked.protocol && self.ports.contains(asked.ports)
    }

    fn touches(&self, asked: &Forward) -> bool {
        let address = match (self.host_address, asked.host_address) {
            (None, _) => true,
            (Some(mine), Some(theirs)) => mine == theirs,
            (Some(mine), None) => !mine.is_loopback() && mine.is_ipv4() == asked.to.is_ipv4(),
        };
        address && self.protocol == asked.protocol && self.ports.overlaps(asked.ports)
    }

    fn least(asked: &Forward) -> Self {
        ForwardRule { protocol: asked.protocol, host_address: asked.host_address, ports: asked.ports }
    }

    fn covers(&self, other: &Self) -> bool {
        let on_loopback = other.host_address.is_some_and(|address| address.is_loopback());
        let any = self.host_address.is_none() && !on_loopback;
        let address = any || self.host_address == other.host_address;
        address && self.protocol == other.protocol && self.ports.contains(other.ports)
    }

    fn join(&self, next: &Self) -> Option<Self> {
        let same = self.protocol == next.protocol && self.host_address == next.host_address;
        let adjacent = next.ports.first() <= self.ports.last().saturating_add(1);
        let last = self.ports.last().max(next.ports.last());
        let ports = PortRange::new(self.ports.first(), last).ok()?;
        (same && adjacent).then(|| ForwardRule { ports, ..self.clone() })
    }

    fn keys(&self) -> Vec<(&'static str, String)> {
        let mut keys = vec![("protocol", quoted(self.protocol.name()))];
        keys.extend(self.host_address.map(|address| ("host-address", quoted(&address.to_string()))));
        keys.push(("ports", quoted(&self.ports.to_string())));
        keys
    }
}

/// The way out must be an interface of the host, and lead out of it.
pub(crate) fn masquerade_hurdle(masquerade: &Masquerade, facts: &Facts) -> Option<Hurdle> {
    const SHOWN: usize = 8;
    let to_container = |link: &LinkFact| link.ours && link.name == masquerade.out.as_str();
    if facts.taken.links.contains(&masquerade.out) || facts.links.iter().any(to_container) {
        let hint = format!("{} leads to another container, which is no way out", masquerade.out);
        return Some(Hurdle::unsupported(hint));
    }
    let mut names = facts.links.iter().map(|link| link.name.as_str());
    if names.clone().any(|name| name == masquerade.out.as_str()) {
        return None;
    }
    let mut known: Vec<String> = names.by_ref().take(SHOWN).map(show::quote).collect();
    known.extend(names.next().map(|_| "…".to_string()));
    let known = known.join(", ");
    let out = &masquerade.out;
    let hint = match facts.rootless {
        // Which interfaces the machine has does not matter to it.
        true => {
            format!("without root the host is a private one that has no interface {out}")
        }
        false => format!("the host has no interface {out}; it has {known}"),
    };
    Some(Hurdle::unsupported(hint))
}

/// The ports must be free, and the address the host's own: the traffic of another's only passes by.
pub(crate) fn forward_hurdle(forward: &Forward, facts: &Facts) -> Option<Hurdle> {
    if let Some(other) = facts.taken.forwards.iter().find(|other| other.collides(forward)) {
        let (protocol, ports) = (other.protocol.name(), other.ports);
        return Some(Hurdle::conflict(format!(
            "another container has {protocol} {ports}; choose other ports"
        )));
    }
    let address = forward.host_address.filter(|address| !address.is_loopback())?;
    let known = facts.addresses.iter().any(|fact| fact.cidr.address() == address);
    let hint = "leave the address out for all that it has";
    (!known).then(|| Hurdle::unsupported(format!("the host does not have {address}; {hint}")))
}

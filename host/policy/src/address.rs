//! Which addresses the ends of links may have.

use std::net::IpAddr;

use nshost_plan::{Cidr, Facts, reserved::METADATA, show};
use serde::{Deserialize, Serialize};

use crate::{
    check::Hurdle,
    rule::{Noun, Rule, quoted},
    side::Side,
    text::{Network, Text},
};

/// Addresses whose networks lie in a range.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct AddressRule {
    /// A network, without host bits.
    pub range: Cidr,
    /// On which end; none: on both.
    pub side: Option<Side>,
    /// Whether the host gives up to reach these addresses otherwise.
    pub for_containers: bool,
}

/// `[[address]]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Table {
    range: Text<Network>,
    side: Option<Side>,
    #[serde(default)]
    for_containers: bool,
    #[serde(default)]
    deny: bool,
}

impl TryFrom<Table> for Rule<AddressRule> {
    type Error = String;

    fn try_from(table: Table) -> Result<Self, String> {
        let (range, side) = (table.range.0.0, table.side);
        let what = AddressRule { range, side, for_containers: table.for_containers };
        Ok(Rule { what, deny: table.deny, line: 0 })
    }
}

/// An address on one side.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked {
    pub cidr: Cidr,
    pub side: Side,
}

impl AddressRule {
    fn has_side(&self, side: Side) -> bool {
        self.side.is_none_or(|mine| mine == side)
    }

    /// Whether the address, if it is a host end's, draws away nothing that the host reaches by a default route.
    fn may_draw(&self, asked: Asked) -> bool {
        self.for_containers || !draws_away(asked.side, asked.cidr)
    }
}

impl Noun for AddressRule {
    const SECTION: &'static str = "address";
    type Asked<'a> = Asked;

    fn allows(&self, asked: Asked) -> bool {
        self.has_side(asked.side) && self.range.contains(asked.cidr) && self.may_draw(asked)
    }

    fn touches(&self, asked: Asked) -> bool {
        self.has_side(asked.side) && self.range.overlaps(asked.cidr)
    }

    fn least(asked: Asked) -> Self {
        let side = asked.side;
        let for_containers = draws_away(side, asked.cidr);
        AddressRule { range: asked.cidr.network(), side: Some(side), for_containers }
    }

    fn covers(&self, other: &Self) -> bool {
        let side = self.side.is_none() || self.side == other.side;
        side && self.range.contains(other.range) && self.for_containers >= other.for_containers
    }

    fn join(&self, next: &Self) -> Option<Self> {
        let same = self.range == next.range && self.for_containers == next.for_containers;
        same.then_some(AddressRule { side: None, ..self.clone() })
    }

    fn keys(&self) -> Vec<(&'static str, String)> {
        let mut keys = vec![("range", quoted(&self.range.to_string()))];
        keys.extend(self.side.map(|side| ("side", quoted(side.name()))));
        keys.extend(for_containers(self.for_containers));
        keys
    }

    fn why_not(rules: &[Rule<Self>], asked: Asked, file: Option<&str>) -> String {
        let fits = |what: &Self| what.has_side(asked.side) && what.range.contains(asked.cidr);
        match rules.iter().find(|rule| !rule.deny && fits(&rule.what)) {
            Some(rule) => given_away(&rule.name(file), asked.cidr.network()),
            None => "no [[address]] table allows it".to_string(),
        }
    }
}

/// Whether a network on this side is one that a host reaches by its default route: then it takes the operator's
/// word that its addresses are for containers.
pub(crate) fn draws_away(side: Side, network: Cidr) -> bool {
    side == Side::Host && !network.network().is_set_aside()
}

/// The key of a grant that says so, if it does.
pub(crate) fn for_containers(says: bool) -> Option<(&'static str, String)> {
    says.then(|| ("for-containers", "true".to_string()))
}

/// Why a table with the right range is not enough.
pub(crate) fn given_away(rule: &str, network: Cidr) -> String {
    format!("{rule} does not say for-containers = true, and the host would reach {network} nowhere else")
}

/// The network of a host end must not be anybody else's, nor hold what the host trusts. The address of a
/// container's end must not be either: what has it is taken for whoever else has it.
pub(crate) fn hurdle(asked: Asked, facts: &Facts) -> Option<Hurdle> {
    const HINT: &str = "choose another, or ask the facts for a free one";
    let (what, network) = match (asked.side, asked.cidr.address()) {
        (Side::Host, _) => ("its network", asked.cidr.network()),
        // It means something on its own link only.
        (Side::Container, IpAddr::V6(v6)) if v6.is_unicast_link_local() => return None,
        (Side::Container, own) => ("it", Cidr::host(own)),
    };
    if facts.is_free(network) {
        return None;
    }
    if let Some((other, whose)) = known_networks(facts).find(|(other, _)| other.overlaps(network)) {
        return Some(Hurdle::conflict(format!("{what} overlaps {other} of {whose}; {HINT}")));
    }
    let (trusted, whose) = trusted_in(network, facts).next()?;
    Some(Hurdle::conflict(format!("{what} holds {trusted}, {whose}; {HINT}")))
}

/// The addresses of a network that the host trusts to be what they are, and what that is.
pub(crate) fn trusted_in(network: Cidr, facts: &Facts) -> impl Iterator<Item = (IpAddr, &'static str)> {
    let host = facts.trusted.iter().map(|address| (*address, "which the host asks or sends by"));
    host.chain(METADATA).filter(move |(address, _)| network.contains_address(*address))
}

/// The networks that the host or another container has, and whose they are.
pub(crate) fn known_networks(facts: &Facts) -> impl Iterator<Item = (Cidr, String)> {
    let addresses =
        facts.addresses.iter().map(|fact| (fact.cidr, format!("the host's {}", show::quote(&fact.link))));
    let routes = facts.routes.iter().map(|route| (*route, "the host's routes".to_string()));
    let taken = facts.taken.networks.iter().map(|network| (*network, "another container".to_string()));
    addresses.chain(routes).chain(taken)
}

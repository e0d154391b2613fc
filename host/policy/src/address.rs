//! Which addresses the ends of links may have.

use nshost_plan::{Address, Cidr, Facts, Side, show};
use serde::{Deserialize, Serialize};

use crate::{
    check::Hurdle,
    rule::{Noun, Rule, quoted},
    text::{Network, SideName, Text},
};

/// Addresses whose networks lie in a range.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct AddressRule {
    /// A network, without host bits.
    pub range: Cidr,
    /// On which end; none: on both.
    pub side: Option<Side>,
}

/// `[[address]]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Table {
    range: Text<Network>,
    side: Option<SideName>,
    #[serde(default)]
    deny: bool,
}

impl TryFrom<Table> for Rule<AddressRule> {
    type Error = String;

    fn try_from(table: Table) -> Result<Self, String> {
        let what = AddressRule { range: table.range.0.0, side: table.side.map(Side::from) };
        Ok(Rule { what, deny: table.deny, line: 0 })
    }
}

impl AddressRule {
    fn has_side(&self, side: Side) -> bool {
        self.side.is_none_or(|mine| mine == side)
    }
}

impl Noun for AddressRule {
    const SECTION: &'static str = "address";
    type Asked<'a> = &'a Address;

    fn allows(&self, asked: &Address) -> bool {
        self.has_side(asked.interface.side()) && self.range.contains(asked.cidr)
    }

    fn touches(&self, asked: &Address) -> bool {
        self.has_side(asked.interface.side()) && self.range.overlaps(asked.cidr)
    }

    fn least(asked: &Address) -> Self {
        AddressRule { range: asked.cidr.network(), side: Some(asked.interface.side()) }
    }

    fn covers(&self, other: &Self) -> bool {
        (self.side.is_none() || self.side == other.side) && self.range.contains(other.range)
    }

    fn join(&self, next: &Self) -> Option<Self> {
        (self.range == next.range).then_some(AddressRule { range: self.range, side: None })
    }

    fn keys(&self) -> Vec<(&'static str, String)> {
        let mut keys = vec![("range", quoted(&self.range.to_string()))];
        keys.extend(self.side.map(|side| ("side", quoted(side.name()))));
        keys
    }
}

/// The network of a host end must not be anybody else's.
pub(crate) fn hurdle(address: &Address, facts: &Facts) -> Option<Hurdle> {
    let network = address.cidr.network();
    if address.interface.side() == Side::Container || facts.is_free(network) {
        return None;
    }
    let mut others = known_networks(facts);
    let (other, whose) = others.find(|(other, _)| other.overlaps(network))?;
    let hint = "choose another, or ask the facts for a free one";
    Some(Hurdle::conflict(format!("its network overlaps {other} of {whose}; {hint}")))
}

/// The networks that the host or another container has, and whose they are.
pub(crate) fn known_networks(facts: &Facts) -> impl Iterator<Item = (Cidr, String)> {
    let addresses =
        facts.addresses.iter().map(|fact| (fact.cidr, format!("the host's {}", show::quote(&fact.link))));
    let routes = facts.routes.iter().map(|route| (*route, "the host's routes".to_string()));
    let taken = facts.taken.networks.iter().map(|network| (*network, "another container".to_string()));
    addresses.chain(routes).chain(taken)
}

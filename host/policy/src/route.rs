//! Which routes a container may have, on either side.

use std::net::IpAddr;

use nshost_plan::{Cidr, Facts, Family};
use serde::{Deserialize, Serialize};

use crate::{
    address::{draws_away, for_containers, given_away, known_networks, trusted_in},
    check::Hurdle,
    rule::{Noun, Rule, quoted},
    side::Side,
    text::{Network, Text},
};

/// Routes whose destinations lie in a network.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct RouteRule {
    /// In whose table.
    pub side: Side,
    /// A network, without host bits.
    pub to: Cidr,
    /// Whether the host gives up to reach these addresses otherwise.
    pub for_containers: bool,
}

/// `[[route]]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Table {
    side: Side,
    to: Text<Network>,
    #[serde(default)]
    for_containers: bool,
    #[serde(default)]
    deny: bool,
}

impl TryFrom<Table> for Rule<RouteRule> {
    type Error = String;

    fn try_from(table: Table) -> Result<Self, String> {
        let (side, to) = (table.side, table.to.0.0);
        if table.for_containers && side == Side::Container {
            return Err("for-containers is about the host's routes; leave it out".to_string());
        }
        let what = RouteRule { side, to, for_containers: table.for_containers };
        Ok(Rule { what, deny: table.deny, line: 0 })
    }
}

/// A destination in one side's table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked {
    pub to: Cidr,
    pub side: Side,
}

impl Noun for RouteRule {
    const SECTION: &'static str = "route";
    type Asked<'a> = Asked;

    fn allows(&self, asked: Asked) -> bool {
        let may_draw = self.for_containers || !draws_away(asked.side, asked.to);
        self.side == asked.side && self.to.contains(asked.to) && may_draw
    }

    fn touches(&self, asked: Asked) -> bool {
        self.side == asked.side && self.to.overlaps(asked.to)
    }

    fn least(asked: Asked) -> Self {
        RouteRule { side: asked.side, to: asked.to, for_containers: draws_away(asked.side, asked.to) }
    }

    fn covers(&self, other: &Self) -> bool {
        let more = self.for_containers >= other.for_containers;
        self.side == other.side && self.to.contains(other.to) && more
    }

    fn join(&self, _next: &Self) -> Option<Self> {
        None
    }

    fn keys(&self) -> Vec<(&'static str, String)> {
        let mut keys = vec![("side", quoted(self.side.name())), ("to", quoted(&self.to.to_string()))];
        keys.extend(for_containers(self.for_containers));
        keys
    }

    fn why_not(rules: &[Rule<Self>], asked: Asked, file: Option<&str>) -> String {
        let fits = |what: &Self| what.side == asked.side && what.to.contains(asked.to);
        match rules.iter().find(|rule| !rule.deny && fits(&rule.what)) {
            Some(rule) => given_away(&rule.name(file), asked.to),
            None => "no [[route]] table allows it".to_string(),
        }
    }
}

/// Destinations this wide are a default route, or one of the halves and quarters that take its place because
/// they are longer: no network that somebody has is.
const WIDEST_V4: u8 = 8;
const WIDEST_V6: u8 = 16;

/// A route on the host must not draw away what goes elsewhere now: the longest prefix wins, so it may
/// not lie in a network that the host reaches otherwise, nor be a second default route.
pub(crate) fn hurdle(route: Asked, facts: &Facts) -> Option<Hurdle> {
    if route.side == Side::Container {
        return None;
    }
    let family = if route.to.address().is_ipv4() { Family::V4 } else { Family::V6 };
    let widest = if family == Family::V4 { WIDEST_V4 } else { WIDEST_V6 };
    if route.to.prefix() < widest && facts.default_routes.iter().any(|other| other.family == family) {
        let hint = "the host has a default route, and no container takes its place; name a smaller network";
        return Some(Hurdle::conflict(hint.to_string()));
    }
    if let Some((other, whose)) = known_networks(facts).find(|(other, _)| other.contains(route.to)) {
        return Some(Hurdle::conflict(format!("the destination lies in {other} of {whose}; choose another")));
    }
    // Where there is no default route, the host reaches none of them but by its networks.
    if route.to.prefix() == 0 {
        return None;
    }
    // What lies in a network of the host's is reached by that, which is longer.
    let near = |address: IpAddr| known_networks(facts).any(|(other, _)| other.contains_address(address));
    let (trusted, whose) = trusted_in(route.to, facts).find(|(address, _)| !near(*address))?;
    Some(Hurdle::conflict(format!("the destination holds {trusted}, {whose}; choose another")))
}

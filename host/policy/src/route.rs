//! Which routes a container may have, on either side.

use nshost_plan::{Cidr, Facts, Family, Route, Side};
use serde::{Deserialize, Serialize};

use crate::{
    address::known_networks,
    check::Hurdle,
    rule::{Noun, Rule, quoted},
    text::{Network, SideName, Text},
};

/// Routes whose destinations lie in a network.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct RouteRule {
    /// In whose table.
    pub side: Side,
    /// A network, without host bits.
    pub to: Cidr,
}

/// `[[route]]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Table {
    side: SideName,
    to: Text<Network>,
    #[serde(default)]
    deny: bool,
}

impl TryFrom<Table> for Rule<RouteRule> {
    type Error = String;

    fn try_from(table: Table) -> Result<Self, String> {
        let what = RouteRule { side: table.side.into(), to: table.to.0.0 };
        Ok(Rule { what, deny: table.deny, line: 0 })
    }
}

impl Noun for RouteRule {
    const SECTION: &'static str = "route";
    type Asked<'a> = &'a Route;

    fn allows(&self, asked: &Route) -> bool {
        self.side == asked.interface.side() && self.to.contains(asked.to)
    }

    fn touches(&self, asked: &Route) -> bool {
        self.side == asked.interface.side() && self.to.overlaps(asked.to)
    }

    fn least(asked: &Route) -> Self {
        RouteRule { side: asked.interface.side(), to: asked.to }
    }

    fn covers(&self, other: &Self) -> bool {
        self.side == other.side && self.to.contains(other.to)
    }

    fn join(&self, _next: &Self) -> Option<Self> {
        None
    }

    fn keys(&self) -> Vec<(&'static str, String)> {
        vec![("side", quoted(self.side.name())), ("to", quoted(&self.to.to_string()))]
    }
}

/// A route on the host must not draw away what goes elsewhere now: the longest prefix wins, so it may
/// not lie in a network that the host reaches otherwise, nor be a second default route.
pub(crate) fn hurdle(route: &Route, facts: &Facts) -> Option<Hurdle> {
    if route.interface.side() == Side::Container {
        return None;
    }
    let family = if route.to.address().is_ipv4() { Family::V4 } else { Family::V6 };
    if route.to.prefix() == 0 && facts.default_routes.iter().any(|other| other.family == family) {
        let hint = "the host has a default route, and no container takes its place; name a smaller network";
        return Some(Hurdle::conflict(hint.to_string()));
    }
    let (other, whose) = known_networks(facts).find(|(other, _)| other.contains(route.to))?;
    Some(Hurdle::conflict(format!("the destination lies in {other} of {whose}; choose another")))
}

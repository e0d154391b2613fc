//! Which name servers a script may give to the container: they say where every name leads.

use std::net::IpAddr;

use nshost_plan::{Cidr, ResolvConf};
use serde::{Deserialize, Serialize};

use crate::{
    rule::{Noun, Rule, quoted},
    text::{Network, Text, Written},
};

/// Name servers, by their addresses or networks, at least one; in order, each once.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct ResolvConfRule {
    pub servers: Vec<Cidr>,
}

impl ResolvConfRule {
    /// These.
    pub fn those(servers: impl IntoIterator<Item = Cidr>) -> Self {
        let mut servers: Vec<Cidr> = servers.into_iter().collect();
        servers.sort();
        servers.dedup();
        ResolvConfRule { servers }
    }

    fn has(&self, server: IpAddr) -> bool {
        let server = reached(server);
        self.servers.iter().any(|network| network.contains_address(server))
    }
}

/// An IPv4 address that is written as IPv6 (`::ffff:192.0.2.1`) is reached by IPv4.
fn reached(server: IpAddr) -> IpAddr {
    server.to_canonical()
}

/// `[[resolv-conf]]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Table {
    servers: Vec<Text<Servers>>,
    #[serde(default)]
    deny: bool,
}

struct Servers(Cidr);

impl Written for Servers {
    const EXPECTED: &'static str = "an address like 192.0.2.53, or a network like 10.0.0.0/8";

    fn read(text: &str) -> Result<Self, String> {
        match text.parse::<IpAddr>() {
            Ok(address) => Ok(Servers(Cidr::host(reached(address)))),
            Err(_) if text.contains('/') => Network::read(text).map(|network| Servers(network.0)),
            Err(_) => Err(format!("{text:?} is not {}", Self::EXPECTED)),
        }
    }
}

impl TryFrom<Table> for Rule<ResolvConfRule> {
    type Error = String;

    fn try_from(table: Table) -> Result<Self, String> {
        let what = ResolvConfRule::those(table.servers.into_iter().map(|text| text.0.0));
        if what.servers.is_empty() {
            return Err("servers names no name server".to_string());
        }
        Ok(Rule { what, deny: table.deny, line: 0 })
    }
}

impl Noun for ResolvConfRule {
    const SECTION: &'static str = "resolv-conf";
    type Asked<'a> = &'a ResolvConf;

    fn allows(&self, asked: &ResolvConf) -> bool {
        asked.nameservers().iter().all(|server| self.has(*server))
    }

    fn touches(&self, asked: &ResolvConf) -> bool {
        asked.nameservers().iter().any(|server| self.has(*server))
    }

    fn least(asked: &ResolvConf) -> Self {
        ResolvConfRule::those(asked.nameservers().iter().map(|server| Cidr::host(reached(*server))))
    }

    fn covers(&self, other: &Self) -> bool {
        other.servers.iter().all(|server| self.servers.iter().any(|mine| mine.contains(*server)))
    }

    fn join(&self, _next: &Self) -> Option<Self> {
        None
    }

    fn keys(&self) -> Vec<(&'static str, String)> {
        let one = |network: &Cidr| match *network == Cidr::host(network.address()) {
            true => quoted(&network.address().to_string()),
            false => quoted(&network.to_string()),
        };
        let servers: Vec<String> = self.servers.iter().map(one).collect();
        vec![("servers", format!("[{}]", servers.join(", ")))]
    }
}

//! Which name servers a script may give to the container: they say where every name leads.

use std::net::IpAddr;

use nshost_plan::{Cidr, NameServer, ResolvConf};
use serde::{Deserialize, Serialize};

use crate::{
    rule::{Noun, Rule, quoted},
    text::{Network, Text, Written},
};

/// Name servers: the host's own, whoever they are at the launch, and others by their addresses or networks, in order,
/// each once. At least one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct ResolvConfRule {
    pub host: bool,
    pub servers: Vec<Cidr>,
}

/// What a rule is asked.
#[derive(Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub conf: &'a ResolvConf,
    /// Those that the host asks.
    pub host: &'a [NameServer],
}

impl ResolvConfRule {
    /// The word for the host's own.
    const HOST: &'static str = "host";

    /// These.
    pub fn those(servers: impl IntoIterator<Item = Cidr>) -> Self {
        let mut servers: Vec<Cidr> = servers.into_iter().collect();
        servers.sort();
        servers.dedup();
        ResolvConfRule { host: false, servers }
    }

    fn has(&self, server: IpAddr, host: &[NameServer]) -> bool {
        let server = reached(server);
        (self.host && is_of(host, server))
            || self.servers.iter().any(|network| network.contains_address(server))
    }

    fn has_all(&self) -> bool {
        let whole = |v4: bool| {
            self.servers.iter().any(|network| network.prefix() == 0 && network.address().is_ipv4() == v4)
        };
        whole(true) && whole(false)
    }
}

fn is_of(host: &[NameServer], server: IpAddr) -> bool {
    host.iter().any(|own| reached(own.address) == server)
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

/// As a file has them.
enum Servers {
    Host,
    Those(Cidr),
}

impl Written for Servers {
    const EXPECTED: &'static str =
        "\"host\" for the host's own, an address like 192.0.2.53, or a network like 10.0.0.0/8";

    fn read(text: &str) -> Result<Self, String> {
        match text.parse::<IpAddr>() {
            Ok(address) => Ok(Servers::Those(Cidr::host(reached(address)))),
            Err(_) if text == ResolvConfRule::HOST => Ok(Servers::Host),
            Err(_) if text.contains('/') => Network::read(text).map(|network| Servers::Those(network.0)),
            Err(_) => Err(format!("{text:?} is not {}", Self::EXPECTED)),
        }
    }
}

impl TryFrom<Table> for Rule<ResolvConfRule> {
    type Error = String;

    fn try_from(table: Table) -> Result<Self, String> {
        if table.servers.is_empty() {
            return Err("servers names no name server".to_string());
        }
        let host = table.servers.iter().any(|text| matches!(text.0, Servers::Host));
        let those = table.servers.into_iter().filter_map(|text| match text.0 {
            Servers::Host => None,
            Servers::Those(network) => Some(network),
        });
        let what = ResolvConfRule { host, ..ResolvConfRule::those(those) };
        Ok(Rule { what, deny: table.deny, line: 0 })
    }
}

impl Noun for ResolvConfRule {
    const SECTION: &'static str = "resolv-conf";
    type Asked<'a> = Asked<'a>;

    fn allows(&self, asked: Asked<'_>) -> bool {
        asked.conf.nameservers().iter().all(|server| self.has(*server, asked.host))
    }

    fn touches(&self, asked: Asked<'_>) -> bool {
        asked.conf.nameservers().iter().any(|server| self.has(*server, asked.host))
    }

    /// The host's own by that word, since they change with the network that the host is in.
    fn least(asked: Asked<'_>) -> Self {
        let servers = || asked.conf.nameservers().iter().map(|server| reached(*server));
        match servers().all(|server| is_of(asked.host, server)) {
            true => ResolvConfRule { host: true, servers: Vec::new() },
            false => ResolvConfRule::those(servers().map(Cidr::host)),
        }
    }

    fn covers(&self, other: &Self) -> bool {
        let all_those =
            other.servers.iter().all(|server| self.servers.iter().any(|mine| mine.contains(*server)));
        all_those && (!other.host || self.host || self.has_all())
    }

    fn join(&self, _next: &Self) -> Option<Self> {
        None
    }

    fn keys(&self) -> Vec<(&'static str, String)> {
        let one = |network: &Cidr| match *network == Cidr::host(network.address()) {
            true => quoted(&network.address().to_string()),
            false => quoted(&network.to_string()),
        };
        let host = self.host.then(|| quoted(Self::HOST));
        let servers: Vec<String> = host.into_iter().chain(self.servers.iter().map(one)).collect();
        vec![("servers", format!("[{}]", servers.join(", ")))]
    }
}

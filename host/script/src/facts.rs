//! `nshost:setup/facts`: what a script can know. Each kind that it looks at is noted, because a
//! remembered plan is good for as long as those stay the same.

use nshost_plan::{Argument, Cidr, DefaultRoute, FactKind, Family};

use crate::{
    bindings::nshost::setup::facts::{self, Host},
    state::State,
};

impl State {
    fn default_route(&mut self, family: facts::Family) -> Option<&DefaultRoute> {
        let family = match family {
            facts::Family::Ipv4 => Family::V4,
            facts::Family::Ipv6 => Family::V6,
        };
        self.note(FactKind::DefaultRoutes);
        self.facts.default_routes.iter().find(|route| route.family == family)
    }
}

fn texts(arguments: &[Argument]) -> Vec<String> {
    arguments.iter().map(|argument| argument.as_str().to_string()).collect()
}

impl Host for State {
    fn command(&mut self) -> wasmtime::Result<Vec<String>> {
        self.call(())?;
        Ok(texts(&self.facts.command))
    }

    fn arguments(&mut self) -> wasmtime::Result<Vec<String>> {
        self.call(())?;
        self.note(FactKind::Arguments);
        Ok(texts(&self.facts.arguments))
    }

    fn instance(&mut self) -> wasmtime::Result<u16> {
        self.call(())?;
        self.note(FactKind::Instance);
        Ok(self.facts.instance)
    }

    fn links(&mut self) -> wasmtime::Result<Vec<String>> {
        self.call(())?;
        self.note(FactKind::Links);
        Ok(self.facts.links.iter().map(|link| link.name.clone()).collect())
    }

    fn addresses(&mut self, link: String) -> wasmtime::Result<Vec<String>> {
        self.call(link.as_str())?;
        self.note(FactKind::Addresses);
        let mine = self.facts.addresses.iter().filter(|fact| fact.link == link);
        Ok(mine.map(|fact| fact.cidr.to_string()).collect())
    }

    fn default_route_link(&mut self, family: facts::Family) -> wasmtime::Result<Option<String>> {
        self.call(())?;
        Ok(self.default_route(family).map(|route| route.link.clone()))
    }

    fn default_route_via(&mut self, family: facts::Family) -> wasmtime::Result<Option<String>> {
        self.call(())?;
        Ok(self.default_route(family).and_then(|route| route.via).map(|via| via.to_string()))
    }

    fn name_servers(&mut self) -> wasmtime::Result<Vec<facts::NameServer>> {
        self.call(())?;
        self.note(FactKind::NameServers);
        let servers = self.facts.name_servers.iter();
        Ok(servers
            .map(|server| facts::NameServer {
                address: server.address.to_string(),
                link: server.link.clone(),
            })
            .collect())
    }

    fn free_network(&mut self, range: String, prefix: u8) -> wasmtime::Result<Option<String>> {
        self.call(range.as_str())?;
        // The search begins at a place that the instance number decides.
        self.note(FactKind::Instance);
        self.note(FactKind::Addresses);
        let range = range.parse::<Cidr>().ok().filter(|range| range.is_network());
        let free = range.and_then(|range| self.facts.free_network(range, prefix));
        Ok(free.map(|network| network.to_string()))
    }

    fn kernel(&mut self) -> wasmtime::Result<String> {
        self.call(())?;
        self.note(FactKind::Kernel);
        Ok(self.facts.kernel.clone())
    }

    fn rootless(&mut self) -> wasmtime::Result<bool> {
        self.call(())?;
        self.note(FactKind::Rootless);
        Ok(self.facts.rootless)
    }
}

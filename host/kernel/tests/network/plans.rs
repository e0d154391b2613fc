//! Plans, written down briefly.

use nshost_plan::{
    Address, Around, ContainerId, Forward, Inside, Interface, InterfaceId, Link, LinkName, Masquerade,
    Namespace, Plan, Protocol, Route, Step,
};

pub const HOST_END: Interface = Interface::Made(InterfaceId(0));
pub const CONTAINER_END: Interface = Interface::Made(InterfaceId(1));

pub struct Draft(Plan);

/// The tutorial's network: 169.254.1.1/30 on `host`, 169.254.1.2/30 on veth1, all up.
pub fn tutorial(host: &str) -> Draft {
    link(host, "169.254.1")
}

/// The same with other addresses: `network`.1 and .2.
pub fn link(host: &str, network: &str) -> Draft {
    let draft = Draft::bare(host).with(Step::Around(Around::Up(Interface::Loopback(ContainerId::FIRST))));
    draft
        .address(HOST_END, &format!("{network}.1/30"))
        .address(CONTAINER_END, &format!("{network}.2/30"))
        .up()
}

impl Draft {
    /// One link and nothing on it.
    pub fn bare(host: &str) -> Self {
        let draft = Draft(Plan::default()).with(Inside::Namespace(Namespace::Network).of_first());
        draft.with(Step::Around(Around::Link(Link::from_host(name(host), name("veth1")))))
    }

    pub fn with(mut self, step: Step) -> Self {
        self.0.push(step).unwrap_or_else(|error| panic!("{error}"));
        self
    }

    pub fn up(self) -> Self {
        self.with(Step::Around(Around::Up(HOST_END))).with(Step::Around(Around::Up(CONTAINER_END)))
    }

    pub fn address(self, interface: Interface, cidr: &str) -> Self {
        self.with(Step::Around(Around::Address(Address { interface, cidr: cidr.parse().expect("address") })))
    }

    /// fd00:`number`::1 and ::2.
    pub fn v6(self, number: u32) -> Self {
        self.address(HOST_END, &format!("fd00:{number}::1/64"))
            .address(CONTAINER_END, &format!("fd00:{number}::2/64"))
            .route(CONTAINER_END, "::/0", Some(&format!("fd00:{number}::1")))
    }

    pub fn route(self, interface: Interface, to: &str, via: Option<&str>) -> Self {
        let via = via.map(|via| via.parse().expect("next hop"));
        self.with(Step::Around(Around::Route(Route { interface, to: to.parse().expect("destination"), via })))
    }

    pub fn masquerade(self, source: &str, out: &str) -> Self {
        self.with(Step::Around(Around::Masquerade(Masquerade {
            source: source.parse().expect("source"),
            out: name(out),
        })))
    }

    /// Ports `first` to `first + count - 1` of TCP, or of `at` alone, to port 80 and following.
    pub fn forward(self, at: Option<&str>, first: u16, count: u16, to: &str) -> Self {
        self.forwarding(Protocol::Tcp, at, first, count, to)
    }

    pub fn forwarding(self, protocol: Protocol, at: Option<&str>, first: u16, count: u16, to: &str) -> Self {
        self.with(Step::Around(Around::Forward(Forward {
            protocol,
            host_address: at.map(|at| at.parse().expect("host address")),
            ports: format!("{first}-{}", first + (count - 1)).parse().expect("ports"),
            to: to.parse().expect("target"),
            to_port: 80,
        })))
    }

    pub fn done(self) -> Plan {
        self.0
    }
}

/// The tutorial's second half: a way out by eth0, and port 80 of the host.
pub fn nat(host: &str, network: &str) -> Draft {
    link(host, network)
        .route(CONTAINER_END, "0.0.0.0/0", Some(&format!("{network}.1")))
        .masquerade(&format!("{network}.2"), "eth0")
}

pub fn name(text: &str) -> LinkName {
    LinkName::try_from(text.to_string()).unwrap_or_else(|error| panic!("{error}"))
}

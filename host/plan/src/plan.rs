//! A plan: steps that fit together.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::{
    Address, Cidr, Code, Command, Error, Forward, Interface, Limits, LinkId, Masquerade, Namespace,
    Namespaces, Route, Side, Step, Veth, codec::AtMost, show,
};

/// An ordered list of steps in which each fits what came before: what it names exists, what it
/// needs is there, nothing is asked for twice. There is no way to hold one that is not so, decoding
/// included. Whether it is allowed is another question.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Encoded", into = "Vec<Step>")]
pub struct Plan {
    steps: Vec<Step>,
}

/// What a plan is decoded from.
type Encoded = AtMost<Step, { Limits::MAX.steps as usize }>;

/// Shorter prefixes than these are not a container's network but a hijack of other people's.
const SHORTEST_PREFIX_V4: u8 = 8;
const SHORTEST_PREFIX_V6: u8 = 16;

impl Plan {
    /// The most links of a plan.
    pub const MAX_LINKS: usize = 64;
    /// The most ports that a plan forwards, all forwards together.
    pub const MAX_FORWARDED_PORTS: u32 = 4096;

    /// The steps, in the order in which they were asked for.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Adds a step if it fits.
    pub fn push(&mut self, step: Step) -> Result<(), Error> {
        self.fits(&step)?;
        self.steps.push(step);
        Ok(())
    }

    /// Whether the step fits what came before.
    pub fn fits(&self, step: &Step) -> Result<(), Error> {
        if self.steps.len() >= Limits::MAX.steps as usize {
            return Err(Error::new(Code::TooMany, "plan", "a plan has at most 4096 steps"));
        }
        self.check_fit(step)
    }

    /// The container's own namespaces.
    pub fn namespaces(&self) -> Namespaces {
        let mut set = Namespaces::default();
        for step in &self.steps {
            if let Step::Namespace(kind) = step {
                set.insert(*kind);
            }
        }
        set
    }

    /// The links, in the order of their ids.
    pub fn links(&self) -> impl Iterator<Item = (LinkId, &Veth)> {
        let veths = self.steps.iter().filter_map(|step| match step {
            Step::Veth(veth) => Some(veth),
            _ => None,
        });
        veths.zip(0..).map(|(veth, index)| (LinkId(index), veth))
    }

    /// One link.
    pub fn link(&self, id: LinkId) -> Option<&Veth> {
        self.links().find(|(other, _)| *other == id).map(|(_, veth)| veth)
    }

    /// The name of an interface of this plan.
    pub fn interface_name(&self, interface: Interface) -> &str {
        match interface {
            Interface::Loopback => "lo",
            Interface::End(id, side) => match (self.link(id), side) {
                (Some(veth), Side::Host) => veth.host.as_str(),
                (Some(veth), Side::Container) => veth.container.as_str(),
                (None, _) => "?",
            },
        }
    }

    /// The addresses, in order.
    pub fn addresses(&self) -> impl Iterator<Item = &Address> {
        self.steps.iter().filter_map(|step| match step {
            Step::Address(address) => Some(address),
            _ => None,
        })
    }

    /// The link on which the container has `address`.
    pub fn link_of_container_address(&self, address: IpAddr) -> Option<LinkId> {
        self.addresses().find_map(|step| match step.interface {
            Interface::End(id, Side::Container) if step.cidr.address() == address => Some(id),
            _ => None,
        })
    }

    /// The forwards, in order.
    pub fn forwards(&self) -> impl Iterator<Item = &Forward> {
        self.steps.iter().filter_map(|step| match step {
            Step::Forward(forward) => Some(forward),
            _ => None,
        })
    }

    /// The masquerades, in order.
    pub fn masquerades(&self) -> impl Iterator<Item = &Masquerade> {
        self.steps.iter().filter_map(|step| match step {
            Step::Masquerade(masquerade) => Some(masquerade),
            _ => None,
        })
    }

    /// What the script wants executed, if it said so.
    pub fn command(&self) -> Option<&Command> {
        self.steps.iter().find_map(|step| match step {
            Step::Command(command) => Some(command),
            _ => None,
        })
    }

    fn check_fit(&self, step: &Step) -> Result<(), Error> {
        match step {
            Step::Namespace(kind) => self.once(step, &format!("the {kind} namespace")),
            Step::Hostname(_) => self.once_in(step, "hostname", Namespace::Uts),
            Step::DomainName(_) => self.once_in(step, "domain name", Namespace::Uts),
            Step::PrivatePropagation => self.once_in(step, "private propagation", Namespace::Mount),
            Step::Proc => {
                self.needs_namespace("/proc", Namespace::Pid)?;
                self.mounts_privately("/proc")?;
                self.once(step, "/proc")
            }
            Step::ResolvConf(_) => {
                self.mounts_privately("resolv.conf")?;
                self.once(step, "resolv.conf")
            }
            Step::Command(_) => self.once(step, "a command"),
            Step::Variable(variable) => {
                let name = variable.name();
                let same = |s: &Step| matches!(s, Step::Variable(other) if other.name() == name);
                self.no_other(&format!("the variable {}", show::quote(name)), same)
            }
            Step::WorkingDirectory(_) => self.once(step, "a working directory"),
            Step::Veth(veth) => self.check_veth(veth),
            Step::Address(address) => self.check_address(address),
            Step::Up(interface) => {
                self.check_interface(*interface)?;
                let name = show::quote(self.interface_name(*interface));
                self.no_other(&format!("setting {name} up"), |other| other == step)
            }
            Step::Route(route) => self.check_route(route),
            Step::Masquerade(masquerade) => {
                self.container_has(masquerade.source)?;
                let words = format!("the way out for {} by {}", masquerade.source, masquerade.out);
                self.no_other(&words, |other| other == step)
            }
            Step::Forward(forward) => self.check_forward(forward),
        }
    }

    fn check_veth(&self, veth: &Veth) -> Result<(), Error> {
        self.needs_namespace(veth.host.as_str(), Namespace::Network)?;
        if self.links().count() >= Self::MAX_LINKS {
            return Err(Error::new(Code::TooMany, veth.host.as_str(), "a plan has at most 64 links"));
        }
        let (host, container) = (&veth.host, &veth.container);
        self.no_other(
            &format!("the host name {}", show::quote(host.as_str())),
            |other| matches!(other, Step::Veth(other) if other.host == *host),
        )?;
        self.no_other(
            &format!("the container name {}", show::quote(container.as_str())),
            |other| matches!(other, Step::Veth(other) if other.container == *container),
        )
    }

    fn check_address(&self, address: &Address) -> Result<(), Error> {
        self.check_interface(address.interface)?;
        let text = address.cidr.to_string();
        let shortest = match address.cidr.address() {
            IpAddr::V4(_) => SHORTEST_PREFIX_V4,
            IpAddr::V6(_) => SHORTEST_PREFIX_V6,
        };
        if !address.cidr.is_assignable() || address.cidr.prefix() < shortest {
            return Err(Error::new(
                Code::AddressInvalid,
                &text,
                "an interface's address is not a network's first or last, loopback, multicast or unspecified, \
                 and its prefix is /8 or longer (IPv6: /16)",
            ));
        }
        if address.interface == Interface::Loopback {
            return Err(Error::new(Code::AddressInvalid, &text, "lo has its own addresses when it is up"));
        }
        self.no_other(
            &format!("the address {}", address.cidr.address()),
            |other| matches!(other, Step::Address(other) if other.cidr.address() == address.cidr.address()),
        )?;
        for other in self.addresses() {
            // On one side, two interfaces with overlapping networks make it chance which one is used.
            let same_side = other.interface.side() == address.interface.side();
            let other_link = other.interface != address.interface;
            if same_side && other_link && other.cidr.overlaps(address.cidr) {
                return Err(Error::new(
                    Code::AddressInvalid,
                    &text,
                    format!("its network overlaps {} on another interface", other.cidr),
                ));
            }
        }
        Ok(())
    }

    fn check_route(&self, route: &Route) -> Result<(), Error> {
        self.check_interface(route.interface)?;
        let text = route.to.to_string();
        if !route.to.is_network() || route.to.address().is_multicast() || route.to.address().is_loopback() {
            return Err(Error::new(
                Code::AddressInvalid,
                &text,
                "a route's destination is a unicast network without host bits",
            ));
        }
        if route.interface == Interface::Loopback {
            return Err(Error::new(Code::AddressInvalid, &text, "a route leaves by a link, not by lo"));
        }
        if let Some(via) = route.via {
            let mut mine = self.addresses().filter(|a| a.interface == route.interface).map(|a| a.cidr);
            let same_family = via.is_ipv4() == route.to.address().is_ipv4();
            if !same_family || !mine.any(|cidr| cidr.contains_address(via) && cidr.address() != via) {
                return Err(Error::new(
                    Code::Requires,
                    &via.to_string(),
                    "a next hop lies in the network of an address that the interface has; give it that address first",
                ));
            }
        }
        let same = |other: &Step| matches!(other, Step::Route(r) if r.to == route.to && r.interface.side() == route.interface.side());
        self.no_other(&format!("the route to {text} on this side"), same)
    }

    fn check_forward(&self, forward: &Forward) -> Result<(), Error> {
        self.container_has(forward.to)?;
        let text = format!("{} {}", forward.protocol.name(), forward.ports);
        forward.to_ports()?;
        if let Some(host) = forward.host_address {
            let unusable = host.is_unspecified() || host.is_multicast();
            if unusable || host.is_ipv4() != forward.to.is_ipv4() {
                return Err(Error::new(
                    Code::AddressInvalid,
                    &host.to_string(),
                    "a forward's host address is one of the host's, of the container address's family; leave it out for all",
                ));
            }
            if host.is_loopback() && host != Forward::LOOPBACK {
                return Err(Error::new(
                    Code::AddressInvalid,
                    &host.to_string(),
                    "of the loopback's addresses only 127.0.0.1 can lead to a container",
                ));
            }
        }
        let ports: u32 = self.forwards().map(|other| other.ports.count()).sum();
        if ports + forward.ports.count() > Self::MAX_FORWARDED_PORTS {
            return Err(Error::new(Code::TooMany, &text, "a plan forwards at most 4096 ports"));
        }
        let same = |other: &Step| matches!(other, Step::Forward(other) if other.collides(forward));
        self.no_other(&format!("a forward of {text} or a part of it"), same)
    }

    fn check_interface(&self, interface: Interface) -> Result<(), Error> {
        match interface {
            Interface::Loopback => self.needs_namespace("lo", Namespace::Network),
            Interface::End(id, _) if self.link(id).is_some() => Ok(()),
            Interface::End(id, _) => Err(Error::new(
                Code::UnknownReference,
                &format!("link {}", id.0),
                "the plan has no such link",
            )),
        }
    }

    fn container_has(&self, address: IpAddr) -> Result<(), Error> {
        match self.link_of_container_address(address) {
            Some(_) => Ok(()),
            None => Err(Error::new(
                Code::Requires,
                &address.to_string(),
                "NAT is for an address of the container; give the link's container end that address first",
            )),
        }
    }

    fn mounts_privately(&self, subject: &str) -> Result<(), Error> {
        self.needs_namespace(subject, Namespace::Mount)?;
        if self.steps.contains(&Step::PrivatePropagation) {
            return Ok(());
        }
        Err(Error::new(
            Code::Requires,
            subject,
            "ask for private mount propagation first, or the mount could reach the host",
        ))
    }

    fn needs_namespace(&self, subject: &str, kind: Namespace) -> Result<(), Error> {
        if self.namespaces().contains(kind) {
            return Ok(());
        }
        Err(Error::new(
            Code::Requires,
            subject,
            format!("ask for a {kind} namespace first, or it would change the host's"),
        ))
    }

    fn once_in(&self, step: &Step, subject: &str, kind: Namespace) -> Result<(), Error> {
        self.needs_namespace(subject, kind)?;
        self.once(step, subject)
    }

    /// Namespaces may differ in kind; of every other step that comes here there is only one.
    fn once(&self, step: &Step, subject: &str) -> Result<(), Error> {
        self.no_other(subject, |other| match (other, step) {
            (Step::Namespace(one), Step::Namespace(two)) => one == two,
            _ => std::mem::discriminant(other) == std::mem::discriminant(step),
        })
    }

    /// `what` is safe to print.
    fn no_other(&self, what: &str, same: impl Fn(&Step) -> bool) -> Result<(), Error> {
        let Some(index) = self.steps.iter().position(same) else { return Ok(()) };
        let subject = format!("{what} is in the plan already, by step {}", index + 1);
        Err(Error { code: Code::Duplicate, subject, hint: "ask for it once".to_string() })
    }
}

impl TryFrom<Vec<Step>> for Plan {
    type Error = Error;

    fn try_from(steps: Vec<Step>) -> Result<Self, Error> {
        let mut plan = Plan::default();
        for (index, step) in steps.into_iter().enumerate() {
            plan.push(step).map_err(|error| Error {
                subject: format!("step {}: {}", index + 1, error.subject),
                ..error
            })?;
        }
        Ok(plan)
    }
}

impl TryFrom<Encoded> for Plan {
    type Error = Error;

    fn try_from(steps: Encoded) -> Result<Self, Error> {
        Plan::try_from(steps.0)
    }
}

impl From<Plan> for Vec<Step> {
    fn from(plan: Plan) -> Vec<Step> {
        plan.steps
    }
}

/// What comes of a hostname besides.
impl Plan {
    /// The lines that the container's `/etc/hosts` has before the host's: its own name with its addresses on links,
    /// else with one of the loopback's. Who looks up its own name, as many programs do at their start, need not
    /// wait for a name server. None where the file would be changed for others than the container, and for a
    /// name that cannot stand there.
    pub fn hosts(&self) -> Option<String> {
        let own = self.namespaces();
        let apart = own.contains(Namespace::User)
            || own.contains(Namespace::Pid)
            || self.steps.contains(&Step::PrivatePropagation);
        let name = self.steps.iter().find_map(|step| match step {
            Step::Hostname(name) if name.is_word() => Some(name.as_str()),
            _ => None,
        });
        let name = name.filter(|_| own.contains(Namespace::Mount) && apart)?;
        let mut addresses: Vec<IpAddr> = self.container_addresses().collect();
        if addresses.is_empty() {
            addresses.push(IpAddr::from([127, 0, 1, 1]));
        }
        Some(addresses.iter().map(|address| format!("{address} {name}\n")).collect())
    }
}

/// What a plan takes for itself, as the host sees it.
impl Plan {
    /// The networks that the host reaches by the plan's links: those of its ends' addresses, and those that
    /// routes lead to, but for a default route's, in which every other lies.
    pub fn host_networks(&self) -> impl Iterator<Item = Cidr> {
        self.steps.iter().filter_map(|step| match step {
            Step::Address(address) if address.interface.side() == Side::Host => Some(address.cidr.network()),
            Step::Route(route) if route.interface.side() == Side::Host && route.to.prefix() != 0 => {
                Some(route.to)
            }
            _ => None,
        })
    }

    /// The addresses that the container has on links. Link-local IPv6 ones mean something on their link only
    /// (RFC 4007), so everybody may have the same.
    pub fn container_addresses(&self) -> impl Iterator<Item = IpAddr> {
        let inside = self.addresses().filter(|address| address.interface.side() == Side::Container);
        inside.map(|address| address.cidr.address()).filter(|address| match address {
            IpAddr::V4(_) => true,
            IpAddr::V6(v6) => !v6.is_unicast_link_local(),
        })
    }
}

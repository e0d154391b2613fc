//! What fits a plan: one function for each room, one for each noun that asks for more than a namespace.

use std::net::IpAddr;

use crate::{
    Address, Around, Code, ContainerId, End, Error, Forward, Inside, Interface, InterfaceId, Link, Namespace,
    Place, Plan, Route, Step,
};

/// Shorter prefixes than these are not a container's network but a hijack of other people's.
const SHORTEST_PREFIX_V4: u8 = 8;
const SHORTEST_PREFIX_V6: u8 = 16;

impl Plan {
    pub(crate) fn check_fit(&self, step: &Step) -> Result<(), Error> {
        match step {
            Step::Inside(container, inside) => self.fits_inside(*container, inside)?,
            Step::Around(around) => self.fits_around(around)?,
        }
        let Some((what, at)) = self.index.duplicate(step) else { return Ok(()) };
        let subject = format!("{what} is in the plan already, by step {}", at + 1);
        Err(Error { code: Code::Duplicate, subject, hint: "ask for it once".to_string() })
    }

    fn fits_inside(&self, container: ContainerId, inside: &Inside) -> Result<(), Error> {
        if self.index.container(container).is_none() {
            let subject = format!("container {}", container.0);
            return Err(Error::new(Code::UnknownReference, &subject, "the plan has no such container"));
        }
        let needs = |subject: &str, kind| self.needs_namespace(container, subject, kind);
        match inside {
            Inside::Namespace(_) | Inside::Command(_) | Inside::Variable(_) | Inside::WorkingDirectory(_) => {
                Ok(())
            }
            Inside::Hostname(_) => needs("hostname", Namespace::Uts),
            Inside::DomainName(_) => needs("domain name", Namespace::Uts),
            Inside::PrivatePropagation => needs("private propagation", Namespace::Mount),
            Inside::Proc => {
                needs("/proc", Namespace::Pid)?;
                self.mounts_privately(container, "/proc")
            }
            Inside::ResolvConf(_) => self.mounts_privately(container, "resolv.conf"),
        }
    }

    fn fits_around(&self, around: &Around) -> Result<(), Error> {
        match around {
            Around::Link(link) => self.fits_link(link),
            Around::Address(address) => self.fits_address(address),
            Around::Up(interface) => self.check_interface(*interface),
            Around::Route(route) => self.fits_route(route),
            Around::Masquerade(masquerade) => self.container_has(masquerade.source),
            Around::Forward(forward) => self.fits_forward(forward),
        }
    }

    fn fits_link(&self, link: &Link) -> Result<(), Error> {
        let Some(first) = link.ends().first() else { return Ok(()) };
        let name = first.name.as_str();
        for end in link.ends() {
            self.fits_end(name, end)?;
        }
        if self.index.count() + link.ends().len() > Self::MAX_INTERFACES {
            return Err(Error::new(Code::TooMany, name, "a plan has at most 64 links"));
        }
        match link {
            Link::Veth([a, b]) if a.at == b.at => {
                Err(Error::new(Code::Requires, name, "the ends of a veth pair are in two places"))
            }
            Link::Veth(_) => Ok(()),
        }
    }

    fn fits_end(&self, name: &str, end: &End) -> Result<(), Error> {
        match end.at {
            Place::Host => Ok(()),
            Place::Container(container) => self.needs_namespace(container, name, Namespace::Network),
        }
    }

    fn fits_address(&self, address: &Address) -> Result<(), Error> {
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
        let id = made(address.interface, &text, "lo has its own addresses when it is up")?;
        if self.index.interface_with(address.cidr.address()).is_some() {
            // A duplicate, which is told as such.
            return Ok(());
        }
        match self.index.overlapping(id, address.cidr) {
            None => Ok(()),
            Some(other) => Err(Error::new(
                Code::AddressInvalid,
                &text,
                format!("its network overlaps {other} on another interface"),
            )),
        }
    }

    fn fits_route(&self, route: &Route) -> Result<(), Error> {
        self.check_interface(route.interface)?;
        let text = route.to.to_string();
        if !route.to.is_network() || route.to.address().is_multicast() || route.to.address().is_loopback() {
            return Err(Error::new(
                Code::AddressInvalid,
                &text,
                "a route's destination is a unicast network without host bits",
            ));
        }
        let id = made(route.interface, &text, "a route leaves by a link, not by lo")?;
        let Some(via) = route.via else { return Ok(()) };
        let same_family = via.is_ipv4() == route.to.address().is_ipv4();
        let mut mine = self.addresses_of(id).iter();
        if same_family && mine.any(|cidr| cidr.contains_address(via) && cidr.address() != via) {
            return Ok(());
        }
        Err(Error::new(
            Code::Requires,
            &via.to_string(),
            "a next hop lies in the network of an address that the interface has; give it that address first",
        ))
    }

    fn fits_forward(&self, forward: &Forward) -> Result<(), Error> {
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
        if self.index.forwarded + forward.ports.count() > Self::MAX_FORWARDED_PORTS {
            return Err(Error::new(Code::TooMany, &text, "a plan forwards at most 4096 ports"));
        }
        Ok(())
    }

    fn check_interface(&self, interface: Interface) -> Result<(), Error> {
        match interface {
            Interface::Loopback(container) => self.needs_namespace(container, "lo", Namespace::Network),
            Interface::Made(id) if self.end(id).is_some() => Ok(()),
            Interface::Made(id) => {
                let subject = format!("interface {}", id.0);
                Err(Error::new(Code::UnknownReference, &subject, "the plan has no such interface"))
            }
        }
    }

    fn container_has(&self, address: IpAddr) -> Result<(), Error> {
        match self.interface_with(address) {
            Some(_) => Ok(()),
            None => Err(Error::new(
                Code::Requires,
                &address.to_string(),
                "NAT is for an address of the container; give the link's container end that address first",
            )),
        }
    }

    fn mounts_privately(&self, container: ContainerId, subject: &str) -> Result<(), Error> {
        self.needs_namespace(container, subject, Namespace::Mount)?;
        if self.has_private_propagation(container) {
            return Ok(());
        }
        Err(Error::new(
            Code::Requires,
            subject,
            "ask for private mount propagation first, or the mount could reach the host",
        ))
    }

    fn needs_namespace(&self, container: ContainerId, subject: &str, kind: Namespace) -> Result<(), Error> {
        if self.namespaces(container).contains(kind) {
            return Ok(());
        }
        Err(Error::new(
            Code::Requires,
            subject,
            format!("ask for a {kind} namespace first, or it would change the host's"),
        ))
    }
}

/// Of `lo` there is nothing to be had, which `hint` says.
fn made(interface: Interface, text: &str, hint: &str) -> Result<InterfaceId, Error> {
    match interface {
        Interface::Made(id) => Ok(id),
        Interface::Loopback(_) => Err(Error::new(Code::AddressInvalid, text, hint)),
    }
}

//! A plan: steps that fit together.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::{
    AbsolutePath, Address, Around, Cidr, Code, Command, ContainerId, End, Error, Forward, Inside, Interface,
    InterfaceId, Limits, Link, Masquerade, Namespace, Namespaces, Place, Step, UtsName,
    codec::AtMost,
    index::{Index, Key},
};

/// An ordered list of steps in which each fits what came before: what it names exists, what it
/// needs is there, nothing is asked for twice. There is no way to hold one that is not so, decoding
/// included. Whether it is allowed is another question.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(try_from = "Encoded", into = "Vec<Step>")]
pub struct Plan {
    steps: Vec<Step>,
    pub(crate) index: Index,
}

/// What a plan is decoded from.
type Encoded = AtMost<Step, { Limits::MAX.steps as usize }>;

impl PartialEq for Plan {
    fn eq(&self, other: &Plan) -> bool {
        self.steps == other.steps
    }
}

impl Eq for Plan {}

impl Plan {
    /// The most interfaces that a plan makes.
    pub const MAX_INTERFACES: usize = 128;
    /// The most links of a plan.
    pub const MAX_LINKS: usize = Self::MAX_INTERFACES / 2;
    /// The most ports that a plan forwards, all forwards together.
    pub const MAX_FORWARDED_PORTS: u32 = 4096;

    /// The steps, in the order in which they were asked for.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Adds a step if it fits.
    pub fn push(&mut self, step: Step) -> Result<(), Error> {
        self.fits(&step)?;
        self.index.add(&step, self.steps.len());
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
}

/// The containers, and what happens in each.
impl Plan {
    /// The containers, in the order of their ids.
    pub fn containers(&self) -> impl Iterator<Item = ContainerId> + use<> {
        [ContainerId::FIRST].into_iter()
    }

    /// What happens in a container, in order.
    pub fn inside(&self, container: ContainerId) -> impl Iterator<Item = &Inside> {
        let steps = self.index.container(container).map_or(&[][..], |container| &container.steps);
        steps.iter().filter_map(|at| match self.steps.get(*at)? {
            Step::Inside(_, inside) => Some(inside),
            Step::Around(_) => None,
        })
    }

    /// A container's own namespaces.
    pub fn namespaces(&self, container: ContainerId) -> Namespaces {
        self.index.container(container).map_or_else(Namespaces::default, |container| container.namespaces)
    }

    /// Whether mount events neither leave nor enter the container.
    pub fn has_private_propagation(&self, container: ContainerId) -> bool {
        self.index.step_with(&Key::PrivatePropagation(container)).is_some()
    }

    /// What the script wants executed in it, if it said so.
    pub fn command(&self, container: ContainerId) -> Option<&Command> {
        match self.inside_with(&Key::Command(container))? {
            Inside::Command(command) => Some(command),
            _ => None,
        }
    }

    /// Its hostname.
    pub fn hostname(&self, container: ContainerId) -> Option<&UtsName> {
        match self.inside_with(&Key::Hostname(container))? {
            Inside::Hostname(name) => Some(name),
            _ => None,
        }
    }

    /// Where the script wants it to start, if it said so.
    pub fn working_directory(&self, container: ContainerId) -> Option<&AbsolutePath> {
        match self.inside_with(&Key::WorkingDirectory(container))? {
            Inside::WorkingDirectory(path) => Some(path),
            _ => None,
        }
    }

    fn inside_with(&self, key: &Key) -> Option<&Inside> {
        match self.steps.get(self.index.step_with(key)?)? {
            Step::Inside(_, inside) => Some(inside),
            Step::Around(_) => None,
        }
    }

    /// The lines that the container's `/etc/hosts` has before the host's: its own name with its addresses on links,
    /// else with one of the loopback's. Who looks up its own name, as many programs do at their start, need not
    /// wait for a name server. None where the file would be changed for others than the container, and for a
    /// name that cannot stand there.
    pub fn hosts(&self, container: ContainerId) -> Option<String> {
        let own = self.namespaces(container);
        let apart = own.contains(Namespace::User)
            || own.contains(Namespace::Pid)
            || self.has_private_propagation(container);
        let name = self.hostname(container).filter(|name| name.is_word()).map(UtsName::as_str);
        let name = name.filter(|_| own.contains(Namespace::Mount) && apart)?;
        let mut addresses: Vec<IpAddr> = self.addresses_of_container(container).collect();
        if addresses.is_empty() {
            addresses.push(IpAddr::from([127, 0, 1, 1]));
        }
        Some(addresses.iter().map(|address| format!("{address} {name}\n")).collect())
    }
}

/// The interfaces, and what happens around the containers.
impl Plan {
    /// What happens around the containers, in order.
    pub fn around(&self) -> impl Iterator<Item = &Around> {
        self.steps.iter().filter_map(|step| match step {
            Step::Around(around) => Some(around),
            Step::Inside(..) => None,
        })
    }

    /// The links, each with the id of the first interface that it makes: the others follow.
    pub fn links(&self) -> impl Iterator<Item = (InterfaceId, &Link)> {
        let mut next = 0;
        self.around().filter_map(move |around| match around {
            Around::Link(link) => {
                let first = InterfaceId(next);
                next += link.ends().len() as u16;
                Some((first, link))
            }
            _ => None,
        })
    }

    /// The interfaces that it makes, in the order of their ids.
    pub fn interfaces(&self) -> impl Iterator<Item = (InterfaceId, &End)> {
        self.index.interfaces().map(|(id, made)| (id, &made.end))
    }

    /// Those in one place.
    pub fn interfaces_at(&self, place: Place) -> impl Iterator<Item = (InterfaceId, &End)> {
        self.interfaces().filter(move |(_, end)| end.at == place)
    }

    /// One of them.
    pub fn end(&self, id: InterfaceId) -> Option<&End> {
        self.index.made(id).map(|made| &made.end)
    }

    /// The interface by which comes in what leaves by this one, if that is another of the plan's.
    pub fn peer(&self, id: InterfaceId) -> Option<InterfaceId> {
        self.index.made(id)?.peer
    }

    /// The interface, of `id` and its peer, that is the host's.
    pub fn host_end(&self, id: InterfaceId) -> Option<(InterfaceId, &End)> {
        let ends = [Some(id), self.peer(id)].into_iter().flatten();
        ends.filter_map(|id| Some((id, self.end(id)?))).find(|(_, end)| end.at.is_host())
    }

    /// Where an interface lives, if the plan has it.
    pub fn place(&self, interface: Interface) -> Option<Place> {
        self.index.place(interface)
    }

    /// The name of an interface of this plan.
    pub fn interface_name(&self, interface: Interface) -> &str {
        self.index.name(interface)
    }

    /// Whether it is set up.
    pub fn is_up(&self, interface: Interface) -> bool {
        self.index.step_with(&Key::Up(interface)).is_some()
    }

    /// The addresses, in order.
    pub fn addresses(&self) -> impl Iterator<Item = &Address> {
        self.around().filter_map(|around| match around {
            Around::Address(address) => Some(address),
            _ => None,
        })
    }

    /// The addresses of one interface, in order.
    pub fn addresses_of(&self, id: InterfaceId) -> &[Cidr] {
        self.index.made(id).map_or(&[], |made| &made.addresses)
    }

    /// Which interface of a container has `address`.
    pub fn interface_with(&self, address: IpAddr) -> Option<InterfaceId> {
        let id = self.index.interface_with(address)?;
        self.end(id)?.at.container().map(|_| id)
    }

    /// The forwards, in order.
    pub fn forwards(&self) -> impl Iterator<Item = &Forward> {
        self.around().filter_map(|around| match around {
            Around::Forward(forward) => Some(forward),
            _ => None,
        })
    }

    /// The masquerades, in order.
    pub fn masquerades(&self) -> impl Iterator<Item = &Masquerade> {
        self.around().filter_map(|around| match around {
            Around::Masquerade(masquerade) => Some(masquerade),
            _ => None,
        })
    }

    /// The networks that the host reaches by the plan's links: those of its ends' addresses, and those that
    /// routes lead to, but for a default route's, in which every other lies.
    pub fn host_networks(&self) -> impl Iterator<Item = Cidr> {
        let at_host = |interface| self.place(interface).is_some_and(Place::is_host);
        self.around().filter_map(move |around| match around {
            Around::Address(address) if at_host(address.interface) => Some(address.cidr.network()),
            Around::Route(route) if at_host(route.interface) && route.to.prefix() != 0 => Some(route.to),
            _ => None,
        })
    }

    /// The addresses that containers have on links. Link-local IPv6 ones mean something on their link only
    /// (RFC 4007), so everybody may have the same.
    pub fn container_addresses(&self) -> impl Iterator<Item = IpAddr> {
        let inside = self.interfaces().filter(|(_, end)| end.at.container().is_some());
        inside.flat_map(|(id, _)| self.addresses_of(id)).map(|cidr| cidr.address()).filter(is_meant_for_all)
    }

    fn addresses_of_container(&self, container: ContainerId) -> impl Iterator<Item = IpAddr> {
        let its = self.interfaces_at(Place::Container(container));
        its.flat_map(|(id, _)| self.addresses_of(id)).map(|cidr| cidr.address()).filter(is_meant_for_all)
    }
}

/// Whether the address means the same on every link.
fn is_meant_for_all(address: &IpAddr) -> bool {
    match address {
        IpAddr::V4(_) => true,
        IpAddr::V6(v6) => !v6.is_unicast_link_local(),
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

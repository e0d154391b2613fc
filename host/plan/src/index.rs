//! What a plan knows of its own steps, so that no question about one of them looks at all.

use std::{collections::BTreeMap, net::IpAddr, ops::Bound};

use crate::{
    Around, Cidr, ContainerId, End, Forward, Inside, Interface, InterfaceId, Link, LinkName, Namespace,
    Namespaces, Place, PortRange, Protocol, Step, show,
};

/// Grows with each step.
#[derive(Debug, Clone, Default)]
pub(crate) struct Index {
    first: Container,
    /// Every interface that is made: its end, and of which link it is which.
    made: Vec<Made>,
    /// What there is once, and by which step.
    only: BTreeMap<Key, usize>,
    networks: Networks,
    ports: Ports,
    /// How many ports are forwarded.
    pub forwarded: u32,
    addresses: BTreeMap<IpAddr, InterfaceId>,
}

/// Of one container.
#[derive(Debug, Clone, Default)]
pub(crate) struct Container {
    pub namespaces: Namespaces,
    /// Its steps, by their places in the plan.
    pub steps: Vec<usize>,
}

/// Of one interface.
#[derive(Debug, Clone)]
pub(crate) struct Made {
    pub end: End,
    /// The interface to which it is the wire.
    pub peer: Option<InterfaceId>,
    pub addresses: Vec<Cidr>,
}

/// What there is once in a plan.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Key {
    Namespace(ContainerId, Namespace),
    Hostname(ContainerId),
    DomainName(ContainerId),
    PrivatePropagation(ContainerId),
    Proc(ContainerId),
    ResolvConf(ContainerId),
    Command(ContainerId),
    Variable(ContainerId, String),
    WorkingDirectory(ContainerId),
    Name(Place, LinkName),
    Address(IpAddr),
    Up(Interface),
    Route(Place, Cidr),
    Masquerade(IpAddr, LinkName),
}

impl Index {
    /// None if the plan has no such container.
    pub fn container(&self, id: ContainerId) -> Option<&Container> {
        (id == ContainerId::FIRST).then_some(&self.first)
    }

    pub fn made(&self, id: InterfaceId) -> Option<&Made> {
        self.made.get(usize::from(id.0))
    }

    pub fn interfaces(&self) -> impl Iterator<Item = (InterfaceId, &Made)> {
        (0..).map(InterfaceId).zip(&self.made)
    }

    pub fn count(&self) -> usize {
        self.made.len()
    }

    /// Who has the address.
    pub fn interface_with(&self, address: IpAddr) -> Option<InterfaceId> {
        self.addresses.get(&address).copied()
    }

    pub fn place(&self, interface: Interface) -> Option<Place> {
        match interface {
            Interface::Loopback(container) => Some(Place::Container(container)),
            Interface::Made(id) => self.made(id).map(|made| made.end.at),
        }
    }

    /// The step that has it.
    pub fn step_with(&self, key: &Key) -> Option<usize> {
        self.only.get(key).copied()
    }

    /// What of the step there is already, in words, and by which step.
    pub fn duplicate(&self, step: &Step) -> Option<(String, usize)> {
        let once = self.keys(step).into_iter().find_map(|key| {
            let there = self.step_with(&key)?;
            Some((self.words(&key), there))
        });
        once.or_else(|| match step {
            Step::Around(Around::Forward(forward)) => {
                let words = format!("a forward of {} {}", forward.protocol.name(), forward.ports);
                Some((format!("{words} or a part of it"), self.ports.who_has(forward)?))
            }
            Step::Inside(..)
            | Step::Around(
                Around::Link(_)
                | Around::Address(_)
                | Around::Up(_)
                | Around::Route(_)
                | Around::Masquerade(_),
            ) => None,
        })
    }

    /// A network of another interface in the same place, with which it would be chance which one is used.
    pub fn overlapping(&self, interface: InterfaceId, network: Cidr) -> Option<Cidr> {
        self.networks.overlapping(self.made(interface)?.end.at, interface, network)
    }

    /// Works in a step that fits, as the `at`-th.
    pub fn add(&mut self, step: &Step, at: usize) {
        for key in self.keys(step) {
            self.only.insert(key, at);
        }
        match step {
            Step::Inside(ContainerId(_), inside) => {
                self.first.steps.push(at);
                if let Inside::Namespace(kind) = inside {
                    self.first.namespaces.insert(*kind);
                }
            }
            Step::Around(Around::Link(link)) => self.make(link),
            Step::Around(Around::Address(address)) => {
                if let Interface::Made(id) = address.interface
                    && let Some(made) = self.made.get_mut(usize::from(id.0))
                {
                    made.addresses.push(address.cidr);
                    self.addresses.insert(address.cidr.address(), id);
                    self.networks.add(made.end.at, id, address.cidr);
                }
            }
            Step::Around(Around::Forward(forward)) => {
                self.forwarded += forward.ports.count();
                self.ports.add(forward, at);
            }
            Step::Around(Around::Up(_) | Around::Route(_) | Around::Masquerade(_)) => {}
        }
    }

    fn make(&mut self, link: &Link) {
        let first = self.made.len();
        for (number, end) in link.ends().iter().enumerate() {
            let peer = link.other_end(number).map(|other| InterfaceId((first + other) as u16));
            self.made.push(Made { end: end.clone(), peer, addresses: Vec::new() });
        }
    }

    fn keys(&self, step: &Step) -> Vec<Key> {
        match step {
            Step::Inside(container, inside) => vec![Key::of_inside(*container, inside)],
            Step::Around(around) => match around {
                Around::Link(link) => {
                    link.ends().iter().map(|end| Key::Name(end.at, end.name.clone())).collect()
                }
                Around::Address(address) => vec![Key::Address(address.cidr.address())],
                Around::Up(interface) => vec![Key::Up(*interface)],
                Around::Route(route) => {
                    self.place(route.interface).map(|place| Key::Route(place, route.to)).into_iter().collect()
                }
                Around::Masquerade(masquerade) => {
                    vec![Key::Masquerade(masquerade.source, masquerade.out.clone())]
                }
                Around::Forward(_) => Vec::new(),
            },
        }
    }

    /// Safe to print.
    fn words(&self, key: &Key) -> String {
        match key {
            Key::Namespace(_, kind) => format!("the {kind} namespace"),
            Key::Hostname(_) => "hostname".into(),
            Key::DomainName(_) => "domain name".into(),
            Key::PrivatePropagation(_) => "private propagation".into(),
            Key::Proc(_) => "/proc".into(),
            Key::ResolvConf(_) => "resolv.conf".into(),
            Key::Command(_) => "a command".into(),
            Key::Variable(_, name) => format!("the variable {}", show::quote(name)),
            Key::WorkingDirectory(_) => "a working directory".into(),
            Key::Name(place, name) => format!("the {place} name {}", show::quote(name.as_str())),
            Key::Address(address) => format!("the address {address}"),
            Key::Up(interface) => format!("setting {} up", show::quote(self.name(*interface))),
            Key::Route(_, to) => format!("the route to {to} on this side"),
            Key::Masquerade(source, out) => format!("the way out for {source} by {out}"),
        }
    }

    pub fn name(&self, interface: Interface) -> &str {
        match interface {
            Interface::Loopback(_) => "lo",
            Interface::Made(id) => self.made(id).map_or("?", |made| made.end.name.as_str()),
        }
    }
}

impl Key {
    fn of_inside(container: ContainerId, inside: &Inside) -> Key {
        match inside {
            Inside::Namespace(kind) => Key::Namespace(container, *kind),
            Inside::Hostname(_) => Key::Hostname(container),
            Inside::DomainName(_) => Key::DomainName(container),
            Inside::PrivatePropagation => Key::PrivatePropagation(container),
            Inside::Proc => Key::Proc(container),
            Inside::ResolvConf(_) => Key::ResolvConf(container),
            Inside::Command(_) => Key::Command(container),
            Inside::Variable(variable) => Key::Variable(container, variable.name().to_string()),
            Inside::WorkingDirectory(_) => Key::WorkingDirectory(container),
        }
    }
}

/// The networks of each place's interfaces, by family, in order: those of different interfaces are apart. Of
/// one in another on the same interface the larger is kept.
#[derive(Debug, Clone, Default)]
struct Networks(BTreeMap<(Place, bool), BTreeMap<IpAddr, Taken>>);

/// A network from its first address on: its last, whose it is, and as it was asked for.
type Taken = (IpAddr, InterfaceId, Cidr);

impl Networks {
    fn overlapping(&self, place: Place, interface: InterfaceId, cidr: Cidr) -> Option<Cidr> {
        let (first, last) = (cidr.network().address(), cidr.last_address());
        let all = self.0.get(&(place, first.is_ipv4()))?;
        let others = |(_, (_, other, its)): (&IpAddr, &Taken)| {
            (*other != interface && its.overlaps(cidr)).then_some(*its)
        };
        let before = all.range(..first).next_back().and_then(others);
        before.or_else(|| all.range(first..=last).find_map(others))
    }

    fn add(&mut self, place: Place, interface: InterfaceId, cidr: Cidr) {
        let (first, last) = (cidr.network().address(), cidr.last_address());
        let all = self.0.entry((place, first.is_ipv4())).or_default();
        let around = |(_, (end, ..)): (&IpAddr, &Taken)| *end >= last;
        if all.range(..=first).next_back().is_some_and(around) {
            return;
        }
        let within: Vec<IpAddr> = all.range(first..=last).map(|(first, _)| *first).collect();
        for inner in within {
            all.remove(&inner);
        }
        all.insert(first, (last, interface, cidr));
    }
}

/// The ports of the host that are forwarded, and by which step: those on one address are apart.
#[derive(Debug, Clone, Default)]
struct Ports(BTreeMap<PortsOf, BTreeMap<u16, (PortRange, usize)>>);

/// A protocol, whether over IPv4, on one address of the host or on all.
type PortsOf = (Protocol, bool, Option<IpAddr>);

impl Ports {
    fn who_has(&self, forward: &Forward) -> Option<usize> {
        let family = forward.to.is_ipv4();
        let on = |host: Option<IpAddr>| self.on((forward.protocol, family, host), forward.ports);
        match forward.host_address {
            Some(host) if host.is_loopback() => on(Some(host)),
            Some(host) => on(Some(host)).or_else(|| on(None)),
            None => on(None).or_else(|| {
                let highest = if family { IpAddr::from([255; 4]) } else { IpAddr::from([255; 16]) };
                let from = Bound::Excluded((forward.protocol, family, None));
                let some = self.0.range((from, Bound::Included((forward.protocol, family, Some(highest)))));
                let outside = some.filter(|((_, _, host), _)| host.is_some_and(|host| !host.is_loopback()));
                outside.map(|(key, _)| *key).find_map(|key| self.on(key, forward.ports))
            }),
        }
    }

    fn on(&self, key: PortsOf, ports: PortRange) -> Option<usize> {
        let last = self.0.get(&key)?.range(..=ports.last()).next_back();
        last.filter(|(_, (others, _))| others.overlaps(ports)).map(|(_, (_, step))| *step)
    }

    fn add(&mut self, forward: &Forward, at: usize) {
        let key = (forward.protocol, forward.to.is_ipv4(), forward.host_address);
        self.0.entry(key).or_default().insert(forward.ports.first(), (forward.ports, at));
    }
}

//! What a container holds that no other may have.

use std::net::IpAddr;

use nshost_plan::{Cidr, Forward, Interface, LinkName, Side, Step, Taken};

use crate::{ContainerName, Record};

/// The part of a record that others must not collide with.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reservation {
    name: Option<ContainerName>,
    /// The conntrack zone, where there is NAT.
    zone: Option<u16>,
    links: Vec<LinkName>,
    /// What the host reaches by this container's links.
    networks: Vec<Cidr>,
    /// The container's own, which lie in those or in none of anybody's.
    addresses: Vec<IpAddr>,
    forwards: Vec<Forward>,
}

impl Reservation {
    pub fn of(record: &Record) -> Reservation {
        Reservation {
            name: record.name.clone(),
            zone: record.has_nat().then_some(record.zone),
            links: record.plan.links().map(|(_, veth)| veth.host.clone()).collect(),
            networks: record.plan.host_networks().collect(),
            addresses: record.plan.container_addresses().collect(),
            forwards: record.plan.forwards().copied().collect(),
        }
    }

    /// A name and nothing else.
    pub fn of_name(name: ContainerName) -> Reservation {
        Reservation { name: Some(name), ..Reservation::default() }
    }

    /// What a step alone asks for that others may have.
    pub fn of_step(step: &Step) -> Reservation {
        let mut asked = Reservation::default();
        match step {
            Step::Veth(veth) => asked.links.push(veth.host.clone()),
            Step::Address(address) => match address.interface {
                Interface::End(_, Side::Host) => asked.networks.push(address.cidr.network()),
                Interface::End(_, Side::Container) => asked.addresses.push(address.cidr.address()),
                Interface::Loopback => {}
            },
            // It is refused for lying in a network, not for holding one.
            Step::Route(route) if route.interface.side() == Side::Host => {
                asked.addresses.push(route.to.address());
            }
            Step::Forward(forward) => asked.forwards.push(*forward),
            Step::Masquerade(_)
            | Step::Route(_)
            | Step::Namespace(_)
            | Step::Hostname(_)
            | Step::DomainName(_)
            | Step::PrivatePropagation
            | Step::Proc
            | Step::ResolvConf(_)
            | Step::Command(_)
            | Step::Variable(_)
            | Step::WorkingDirectory(_)
            | Step::Up(_) => {}
        }
        asked
    }

    /// What both want, in words; none if they can live side by side.
    pub fn collision(&self, held: &Reservation) -> Option<String> {
        let name = self.name.iter().find(|name| held.name.as_ref() == Some(name));
        let zone = || self.zone.filter(|zone| held.zone == Some(*zone));
        let link = || self.links.iter().find(|link| held.links.contains(link));
        let network = || {
            let pairs =
                self.networks.iter().flat_map(|mine| held.networks.iter().map(move |theirs| (mine, theirs)));
            pairs.into_iter().find(|(mine, theirs)| mine.overlaps(**theirs))
        };
        // The same address, or one that would be reached by the other's link.
        let address = || {
            let mine = self.addresses.iter().find(|address| held.has_address(**address));
            mine.or_else(|| held.addresses.iter().find(|address| self.has_address(**address)))
        };
        let forward =
            || self.forwards.iter().find(|mine| held.forwards.iter().any(|held| mine.collides(held)));
        name.map(|name| format!("container name {name}"))
            .or_else(|| link().map(|link| format!("name {link}")))
            .or_else(|| {
                network().map(|(mine, theirs)| match mine == theirs {
                    true => format!("network {mine}"),
                    false => format!("network {mine} (in part: {theirs})"),
                })
            })
            .or_else(|| address().map(|address| format!("address {address}")))
            .or_else(|| forward().map(|f| format!("port {} {}", f.protocol.name(), f.ports)))
            .or_else(|| zone().map(|zone| format!("conntrack zone {zone}")))
    }

    fn has_address(&self, address: IpAddr) -> bool {
        self.addresses.contains(&address) || self.networks.iter().any(|net| net.contains_address(address))
    }

    /// Adds it to what policy and scripts are told.
    pub fn add_to(&self, taken: &mut Taken) {
        taken.links.extend_from_slice(&self.links);
        taken.networks.extend_from_slice(&self.networks);
        let inside = |address: &IpAddr| self.networks.iter().any(|net| net.contains_address(*address));
        let outside = self.addresses.iter().filter(|address| !inside(address));
        taken.networks.extend(outside.map(|address| Cidr::host(*address)));
        taken.forwards.extend_from_slice(&self.forwards);
    }
}

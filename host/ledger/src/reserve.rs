//! What a container holds that no other may have.

use std::net::IpAddr;

use nshost_plan::{Around, Cidr, Forward, LinkName, Place, Step, Taken};

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
            links: record.plan.interfaces_at(Place::Host).map(|(_, end)| end.name.clone()).collect(),
            networks: record.plan.host_networks().collect(),
            addresses: record.plan.container_addresses().collect(),
            forwards: record.plan.forwards().copied().collect(),
        }
    }

    /// A name and nothing else.
    pub fn of_name(name: ContainerName) -> Reservation {
        Reservation { name: Some(name), ..Reservation::default() }
    }

    /// Its conntrack zone, which is no plan's and so is chosen free.
    pub fn zone(&self) -> Option<u16> {
        self.zone
    }

    /// What a step alone asks for that others may have; `place`: where its interface lives, if it names one.
    pub fn of_step(step: &Step, place: Option<Place>) -> Reservation {
        let mut asked = Reservation::default();
        let Step::Around(around) = step else { return asked };
        match around {
            Around::Link(link) => {
                let host = link.ends().iter().filter(|end| end.at.is_host());
                asked.links.extend(host.map(|end| end.name.clone()));
            }
            Around::Address(address) => match place {
                Some(Place::Host) => asked.networks.push(address.cidr.network()),
                Some(Place::Container(_)) => asked.addresses.push(address.cidr.address()),
                None => {}
            },
            // It is refused for lying in a network, not for holding one.
            Around::Route(route) => match place {
                Some(Place::Host) => asked.addresses.push(route.to.address()),
                Some(Place::Container(_)) | None => {}
            },
            Around::Forward(forward) => asked.forwards.push(*forward),
            Around::Masquerade(_) | Around::Up(_) => {}
        }
        asked
    }

    /// What both want, in words; none if they can live side by side.
    pub fn collision(&self, held: &Reservation) -> Option<String> {
        let name = self.name.iter().find(|name| held.name.as_ref() == Some(name));
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

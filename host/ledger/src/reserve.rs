//! What a container holds that no other may have.

use nshost_plan::{Cidr, Forward, LinkName, Taken};

use crate::{ContainerName, Record};

/// The part of a record that others must not collide with.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reservation {
    name: Option<ContainerName>,
    links: Vec<LinkName>,
    networks: Vec<Cidr>,
    forwards: Vec<Forward>,
}

impl Reservation {
    pub fn of(record: &Record) -> Reservation {
        Reservation {
            name: record.name.clone(),
            links: record.plan.links().map(|(_, veth)| veth.host.clone()).collect(),
            networks: record.plan.host_networks().collect(),
            forwards: record.plan.forwards().copied().collect(),
        }
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
            .or_else(|| forward().map(|f| format!("port {} {}", f.protocol.name(), f.ports)))
    }

    /// Adds it to what policy and scripts are told.
    pub fn add_to(&self, taken: &mut Taken) {
        taken.links.extend_from_slice(&self.links);
        taken.networks.extend_from_slice(&self.networks);
        taken.forwards.extend_from_slice(&self.forwards);
    }
}

//! What a container has in `inet nshost`: the sources that may come out of each of its links.

use std::net::IpAddr;

use nshost_plan::{Around, Cidr, Interface, InterfaceId, Place, Plan};

use crate::{
    nft::Element,
    table::{
        family, host_end, interface, join_fields, octets,
        ruleset::{
            element,
            guard::{NETWORKS, NETWORKS_IN_ERRORS, ROUTED, SOURCES, SOURCES_IN_ERRORS},
        },
    },
};

/// All that a plan puts into the table.
pub(crate) fn elements(plan: &Plan) -> Vec<Element> {
    let mut all = Vec::new();
    for around in plan.around() {
        match around {
            Around::Address(address) => all.extend(source(plan, address.interface, address.cidr.address())),
            Around::Route(route) if plan.place(route.interface).is_some_and(Place::is_host) => {
                all.extend(network(plan.interface_name(route.interface), route.to));
            }
            // What is routed is told by the addresses for which it is.
            Around::Route(_)
            | Around::Link(_)
            | Around::Up(_)
            | Around::Masquerade(_)
            | Around::Forward(_) => {}
        }
    }
    let routed = plan.masquerades().map(|m| m.source).chain(plan.forwards().map(|forward| forward.to));
    all.extend(routed.filter_map(|address| {
        let name = host_end(plan, plan.interface_with(address)?);
        Some(element(&ROUTED, interface(name), format!("routing by {name}")))
    }));
    all
}

/// Of a container's address.
fn source(plan: &Plan, at: Interface, address: IpAddr) -> Vec<Element> {
    let Some(id) = container_end(plan, at) else { return Vec::new() };
    let host_end = host_end(plan, id);
    let key = join_fields(&[&interface(host_end), &octets(address)]);
    let pairs = [&SOURCES, &SOURCES_IN_ERRORS].into_iter();
    let words = format!("address {address} behind {host_end}");
    pairs.map(|pair| element(pair.of(family(address)), key.clone(), words.clone())).collect()
}

fn container_end(plan: &Plan, at: Interface) -> Option<InterfaceId> {
    match at {
        Interface::Loopback(_) => None,
        Interface::Made(id) => plan.end(id)?.at.container().map(|_| id),
    }
}

fn network(host_end: &str, to: Cidr) -> [Element; 2] {
    let key = join_fields(&[&interface(host_end), &octets(to.address())]);
    let end = join_fields(&[&interface(host_end), &octets(to.last_address())]);
    [&NETWORKS, &NETWORKS_IN_ERRORS].map(|pair| Element {
        end: Some(end.clone()),
        ..element(pair.of(family(to.address())), key.clone(), format!("network {to} behind {host_end}"))
    })
}

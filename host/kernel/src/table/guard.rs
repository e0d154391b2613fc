//! What a container has in `inet nshost`: the sources that may come out of each of its links.

use std::net::IpAddr;

use nshost_plan::{Cidr, Interface, Plan, Side, Step};

use crate::{
    nft::Element,
    table::{
        family, host_end, interface, join_fields, last_address, octets,
        ruleset::{
            element,
            guard::{NETWORKS, NETWORKS_IN_ERRORS, ROUTED, SOURCES, SOURCES_IN_ERRORS},
        },
    },
};

/// All that a plan puts into the table.
pub(crate) fn elements(plan: &Plan) -> Vec<Element> {
    let mut all = Vec::new();
    for step in plan.steps() {
        match step {
            Step::Address(address) if address.interface.side() == Side::Container => {
                all.extend(source(plan, address.interface, address.cidr.address()));
            }
            Step::Route(route) if route.interface.side() == Side::Host => {
                all.extend(network(plan.interface_name(route.interface), route.to));
            }
            _ => {}
        }
    }
    let routed = plan.masquerades().map(|m| m.source).chain(plan.forwards().map(|forward| forward.to));
    all.extend(routed.filter_map(|address| {
        let link = plan.link_of_container_address(address)?;
        let name = host_end(plan, Interface::End(link, Side::Host));
        Some(element(&ROUTED, interface(name), format!("routing by {name}")))
    }));
    all
}

fn source(plan: &Plan, at: Interface, address: IpAddr) -> [Element; 2] {
    let host_end = host_end(plan, at);
    let key = join_fields(&[&interface(host_end), &octets(address)]);
    [&SOURCES, &SOURCES_IN_ERRORS].map(|pair| {
        element(pair.of(family(address)), key.clone(), format!("address {address} behind {host_end}"))
    })
}

fn network(host_end: &str, to: Cidr) -> [Element; 2] {
    let key = join_fields(&[&interface(host_end), &octets(to.address())]);
    let end = join_fields(&[&interface(host_end), &octets(last_address(to))]);
    [&NETWORKS, &NETWORKS_IN_ERRORS].map(|pair| Element {
        end: Some(end.clone()),
        ..element(pair.of(family(to.address())), key.clone(), format!("network {to} behind {host_end}"))
    })
}

//! Masquerades and forwards: what a container has in `inet nshost-nat`.

use nshost_ledger::Record;
use nshost_plan::{Forward, Masquerade, Plan, Protocol};

use crate::{
    nft::Element,
    table::{
        family, host_end, interface, join_fields, octets,
        ruleset::{
            element,
            nat::{EGRESS, FORWARDS, FORWARDS_AT, MASQUERADE, PUBLISHED, ZONE_OF, ZONES},
        },
    },
};

/// All that a container puts into the table; some of it may be there twice.
pub(crate) fn elements(record: &Record) -> Vec<Element> {
    let plan = &record.plan;
    let mut all: Vec<Element> = Vec::new();
    for masquerade in plan.masquerades() {
        all.extend(leaving(plan, masquerade).into_iter().flatten());
    }
    for forward in plan.forwards() {
        all.extend(published(plan, forward));
    }
    let sources = plan.masquerades().map(|m| m.source).chain(plan.forwards().map(|forward| forward.to));
    for id in sources.filter_map(|address| plan.interface_with(address)) {
        all.extend(zone(host_end(plan, id), record.zone));
    }
    all
}

/// What the container begins by this link is told from what others begin, whatever its addresses.
fn zone(host_end: &str, zone: u16) -> [Element; 2] {
    let (link, number) = (interface(host_end), zone.to_ne_bytes());
    let subject = format!("conntrack zone {zone} of {host_end}");
    let of = element(&ZONE_OF, join_fields(&[&link, &number]), subject.clone());
    [Element { value: Some(number.to_vec()), ..element(&ZONES, link, subject) }, of]
}

/// Leave to go out, and the host's address for it.
fn leaving(plan: &Plan, masquerade: &Masquerade) -> Option<[Element; 2]> {
    let Masquerade { source, out } = masquerade;
    let host_end = host_end(plan, plan.interface_with(*source)?);
    let key = join_fields(&[&interface(host_end), &octets(*source), &interface(out.as_str())]);
    let subject = format!("masquerade {source} out by {out}");
    Some([&EGRESS, &MASQUERADE].map(|pair| element(pair.of(family(*source)), key.clone(), subject.clone())))
}

/// Each forwarded port; and, for a container that calls its own, the host's address as the caller:
/// its own would make the answer stay inside.
fn published(plan: &Plan, forward: &Forward) -> Vec<Element> {
    let Some(id) = plan.interface_with(forward.to) else { return Vec::new() };
    let (family, link) = (family(forward.to), interface(host_end(plan, id)));
    let protocol = match forward.protocol {
        Protocol::Tcp => libc::IPPROTO_TCP as u8,
        Protocol::Udp => libc::IPPROTO_UDP as u8,
    };
    let host = forward.host_address.map_or_else(|| "*".to_string(), |address| address.to_string());
    let subject = format!("forward {} {} on {host}", forward.protocol.name(), forward.ports);
    let own = join_fields(&[&link, &octets(forward.to), &link]);
    let mut all = vec![element(MASQUERADE.of(family), own, subject.clone())];
    for (port, to) in forward.pairs() {
        let (port, to_port) = (port.to_be_bytes(), to.port().to_be_bytes());
        let port_key = join_fields(&[&[protocol], &port]);
        let (set, key) = match forward.host_address {
            None => (FORWARDS.of(family), port_key),
            Some(address) => (FORWARDS_AT.of(family), join_fields(&[&octets(address), &port_key])),
        };
        let value = Some(join_fields(&[&octets(to.ip()), &to_port]));
        all.push(Element { value, ..element(set, key, subject.clone()) });
        let by = join_fields(&[&link, &octets(to.ip()), &[protocol], &port, &to_port]);
        all.push(element(PUBLISHED.of(family), by, subject.clone()));
    }
    all
}

//! Masquerades and forwards: what a container has in the table `inet nshost`.
//!
//! Every element carries its container's id as a comment. A launch adds its elements in one
//! transaction, which fails as a whole if one is there already: a conflict. Undo deletes what is there
//! and carries the id, so neither a half-made launch nor a foreign hand at the table can make it fail
//! or delete somebody else's.

use std::net::IpAddr;

use nshost_ledger::{ForwardingHold, Record};
use nshost_plan::{Cidr, Family, Forward, Interface, Masquerade, Plan, Protocol, Side, Step};

use crate::{
    Error,
    netlink::Socket,
    nft::{self, Element, Set, Transaction},
    rule::protocol_family,
    ruleset::{
        self, CLOSED, CLOSED_FAMILIES, EGRESS, FORWARDS, FORWARDS_AT, LAYOUT, LINKS, MASQUERADE, NETWORKS,
        SOURCES, TABLE,
    },
};

/// What the table is to us.
enum Table {
    Absent,
    Ours,
}

/// Interfaces of the host that route only because of containers.
#[derive(Debug, Default)]
pub(crate) struct Closed {
    /// These, each for one family.
    pub(crate) links: Vec<ForwardingHold>,
    /// All of them, for IPv6.
    pub(crate) all_v6: bool,
}

/// Puts the container into the table, which is made if it is not there. One transaction, in force when
/// this returns. The caller holds the host's lock.
pub(crate) fn add(record: &Record, closed: &Closed) -> Result<(), Error> {
    let mut socket = Socket::netfilter()?;
    let mut transaction = Transaction::new(TABLE);
    if let Table::Absent = look(&mut socket)? {
        ruleset::create(&mut transaction);
    }
    transaction.add(&elements(&record.plan), &record.id);
    transaction.ensure(&closed.elements());
    let result = transaction.commit(&mut socket).map_err(explain);
    socket.linger();
    result
}

/// Takes the container, and the interfaces that `closed` names, out of the table; takes the table away
/// with the last one. One transaction, in force when this returns. The caller holds the host's lock.
pub(crate) fn remove(record: &Record, closed: &Closed, last: bool) -> Result<(), Error> {
    let mut socket = Socket::netfilter()?;
    let result = remove_by(&mut socket, record, closed, last);
    socket.linger();
    result
}

fn remove_by(socket: &mut Socket, record: &Record, closed: &Closed, last: bool) -> Result<(), Error> {
    if let Table::Absent = look(socket)? {
        return Ok(());
    }
    let mut transaction = Transaction::new(TABLE);
    if last {
        transaction.delete_table();
    } else {
        let mut found = nft::present(socket, TABLE, elements(&record.plan), Some(&record.id))?;
        found.extend(nft::present(socket, TABLE, closed.elements(), None)?);
        if found.is_empty() {
            return Ok(());
        }
        transaction.delete(&found);
    }
    transaction.commit(socket)
}

fn look(socket: &mut Socket) -> Result<Table, Error> {
    match nft::table_comment(socket, TABLE)? {
        None => Ok(Table::Absent),
        Some(comment) if comment == LAYOUT => Ok(Table::Ours),
        Some(_) => {
            let reason = std::io::Error::other("there is one that this release did not make");
            Err(Error::new("look at nftables", "table inet nshost", reason).hint(
                "end the containers of another release of nshost first; if there are none: nft delete table inet nshost",
            ))
        }
    }
}

fn explain(error: Error) -> Error {
    match error.errno() {
        Some(libc::EEXIST) => error.hint("another container has this already"),
        Some(libc::ENOENT | libc::EOPNOTSUPP) => error.hint(
            "this kernel lacks a part of nftables (nf_tables, nft_nat, nft_masq, nft_fib_inet, nft_ct); see `nshost doctor`",
        ),
        _ => error,
    }
}

impl Closed {
    fn elements(&self) -> Vec<Element> {
        let family = |v6| vec![protocol_family(if v6 { Family::V6 } else { Family::V4 }) as u8];
        let element = |set: &'static Set, key: Vec<u8>, subject: &str| Element {
            set,
            key,
            end: None,
            value: None,
            subject: format!("routing by {subject}"),
        };
        let mut all = Vec::new();
        if self.all_v6 {
            all.push(element(&CLOSED_FAMILIES, family(true), "all interfaces"));
        }
        for hold in &self.links {
            let key = join(&[&family(hold.v6), &interface(hold.link.as_str())]);
            all.push(element(&CLOSED, key, hold.link.as_str()));
        }
        all
    }
}

/// All that a plan puts into the table, each element once, those of a set together.
fn elements(plan: &Plan) -> Vec<Element> {
    let mut all = Vec::new();
    for (_, veth) in plan.links() {
        let name = veth.host.as_str();
        all.push(Element {
            set: &LINKS,
            key: interface(name),
            end: None,
            value: None,
            subject: format!("link {name}"),
        });
    }
    for step in plan.steps() {
        match step {
            Step::Address(address) if address.interface.side() == Side::Container => {
                all.push(source(plan, address.interface, address.cidr.address()));
            }
            Step::Route(route) if route.interface.side() == Side::Host => {
                all.push(network(plan.interface_name(route.interface), route.to));
            }
            Step::Masquerade(masquerade) => all.extend(leaving(plan, masquerade).into_iter().flatten()),
            Step::Forward(forward) => all.extend(published(plan, forward)),
            _ => {}
        }
    }
    // Several forwards to one address need the way back only once.
    all.sort_by(|a, b| (a.set.name, &a.key).cmp(&(b.set.name, &b.key)));
    all.dedup_by(|a, b| a.set == b.set && a.key == b.key);
    all
}

fn source(plan: &Plan, at: Interface, address: IpAddr) -> Element {
    let host_end = host_end(plan, at);
    let key = join(&[&interface(host_end), &octets(address)]);
    let subject = format!("address {address} behind {host_end}");
    Element { set: SOURCES.of(family(address)), key, end: None, value: None, subject }
}

fn network(host_end: &str, to: Cidr) -> Element {
    let key = join(&[&interface(host_end), &octets(to.address())]);
    let end = join(&[&interface(host_end), &octets(last_address(to))]);
    let subject = format!("network {to} behind {host_end}");
    Element { set: NETWORKS.of(family(to.address())), key, end: Some(end), value: None, subject }
}

/// Leave to go out, and the host's address for it.
fn leaving(plan: &Plan, masquerade: &Masquerade) -> Option<[Element; 2]> {
    let Masquerade { source, out } = masquerade;
    let host_end = host_end(plan, Interface::End(plan.link_of_container_address(*source)?, Side::Container));
    let (from, to) = (octets(*source), interface(out.as_str()));
    let subject = format!("masquerade {source} out by {out}");
    let element = |set, key| Element { set, key, end: None, value: None, subject: subject.clone() };
    Some([
        element(EGRESS.of(family(*source)), join(&[&interface(host_end), &from, &to])),
        element(MASQUERADE.of(family(*source)), join(&[&from, &to])),
    ])
}

/// Each forwarded port; and, for a container that calls its own, the host's address as the caller:
/// its own would make the answer stay inside.
fn published(plan: &Plan, forward: &Forward) -> Vec<Element> {
    let family = family(forward.to);
    let protocol = match forward.protocol {
        Protocol::Tcp => libc::IPPROTO_TCP as u8,
        Protocol::Udp => libc::IPPROTO_UDP as u8,
    };
    let host = forward.host_address.map_or_else(|| "*".to_string(), |address| address.to_string());
    let subject = format!("forward {} {} on {host}", forward.protocol.name(), forward.ports);
    let mut all: Vec<Element> = forward
        .pairs()
        .map(|(port, to)| {
            let port_key = join(&[&[protocol], &port.to_be_bytes()]);
            let (set, key) = match forward.host_address {
                None => (FORWARDS.of(family), port_key),
                Some(address) => (FORWARDS_AT.of(family), join(&[&octets(address), &port_key])),
            };
            let value = Some(join(&[&octets(to.ip()), &to.port().to_be_bytes()]));
            Element { set, key, end: None, value, subject: subject.clone() }
        })
        .collect();
    if let Some(link) = plan.link_of_container_address(forward.to) {
        let host_end = host_end(plan, Interface::End(link, Side::Container));
        let key = join(&[&octets(forward.to), &interface(host_end)]);
        all.push(Element { set: MASQUERADE.of(family), key, end: None, value: None, subject });
    }
    all
}

fn host_end(plan: &Plan, at: Interface) -> &str {
    match at {
        Interface::End(id, _) => plan.interface_name(Interface::End(id, Side::Host)),
        Interface::Loopback => plan.interface_name(at),
    }
}

/// The fields one after the other, each filled up to a multiple of four bytes.
fn join(fields: &[&[u8]]) -> Vec<u8> {
    let mut key = Vec::with_capacity(40);
    for field in fields {
        key.extend_from_slice(field);
        key.resize(key.len().next_multiple_of(4), 0);
    }
    key
}

fn interface(name: &str) -> Vec<u8> {
    let mut bytes = name.as_bytes().to_vec();
    bytes.resize(libc::IFNAMSIZ, 0);
    bytes
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    }
}

fn last_address(network: Cidr) -> IpAddr {
    match network.network().address() {
        IpAddr::V4(v4) => (v4
            | std::net::Ipv4Addr::from_bits(u32::MAX.checked_shr(network.prefix().into()).unwrap_or(0)))
        .into(),
        IpAddr::V6(v6) => (v6
            | std::net::Ipv6Addr::from_bits(u128::MAX.checked_shr(network.prefix().into()).unwrap_or(0)))
        .into(),
    }
}

pub(crate) fn family(address: IpAddr) -> Family {
    if address.is_ipv4() { Family::V4 } else { Family::V6 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_address_of_a_network() {
        let last = |network: &str| last_address(network.parse().unwrap()).to_string();
        assert_eq!(last("10.9.0.0/16"), "10.9.255.255");
        assert_eq!(last("10.9.8.7/32"), "10.9.8.7");
        assert_eq!(last("0.0.0.0/0"), "255.255.255.255");
        assert_eq!(last("fd00::/64"), "fd00::ffff:ffff:ffff:ffff");
        assert_eq!(last("fd00::1/128"), "fd00::1");
    }

    #[test]
    fn fields_of_a_key_start_at_multiples_of_four() {
        assert_eq!(join(&[&[6], &80u16.to_be_bytes()]), [6, 0, 0, 0, 0, 80, 0, 0]);
    }
}

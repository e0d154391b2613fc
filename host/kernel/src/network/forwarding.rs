//! Which interfaces route packets, and putting that back.
//!
//! IPv4 looks at the interface by which a packet comes in (`net.ipv4.conf.IF.forwarding`), the host-wide
//! `ip_forward` stays as it is. So it is turned on for the host end of a link with NAT, for the interface
//! by which a masqueraded flow's answers come in, and for those by which a forward is reached: the one
//! that has the forward's host address, or all that have an address of the family. The host's end goes
//! with the link; what is turned on elsewhere is written down before, and put back by the last container
//! that holds it. What this opens between other interfaces, `ruleset::CLOSED` closes.
//!
//! IPv6 has `net.ipv6.conf.IF.force_forwarding` for the same since Linux 6.17. Older kernels have only
//! `net.ipv6.conf.all.forwarding` (`ip-sysctl.rst`): it is turned on as a last resort, and again what it
//! opens is closed by the table. It makes the host a router, which by `accept_ra` = 1 ignores router
//! advertisements and drops the routes it learned from them; where such a route exists it is not touched,
//! and the operator is told. `force_forwarding` leaves all of that alone.
//!
//! What the host turns on for itself while a container holds an interface (another container engine that
//! starts, say, and sets `ip_forward`) stays on when the last of them has ended. Until then it does not change
//! what the table closes: that interface routes for containers of ours alone.

use std::{io, net::IpAddr};

use nshost_ledger::{ForwardingHold, Record};
use nshost_plan::{Cidr, Family, Forward, LinkName, Plan};

use crate::{
    Error,
    network::{link::Seen, netlink::Socket, sysctl::Sysctls},
    nft::{Element, rule::protocol_family},
    probe::facts,
    table::{
        family, interface, join_fields,
        ruleset::{
            element,
            nat::{CLOSED, CLOSED_FAMILIES},
        },
    },
};

/// Interfaces of the host that route only because of containers.
#[derive(Debug, Default)]
pub(crate) struct Closed {
    /// These, each for one family.
    pub(crate) links: Vec<ForwardingHold>,
    /// All of them, for IPv6.
    pub(crate) all_v6: bool,
}

impl Closed {
    /// What keeps them closed to others.
    pub(crate) fn elements(&self) -> Vec<Element> {
        let mut all = Vec::new();
        if self.all_v6 {
            let key = vec![protocol_family(Family::V6) as u8];
            all.push(element(&CLOSED_FAMILIES, key, "routing by all interfaces".to_string()));
        }
        for hold in &self.links {
            let key =
                join_fields(&[&[protocol_family(family_of(hold)) as u8], &interface(hold.link.as_str())]);
            all.push(element(&CLOSED, key, format!("routing by {}", hold.link)));
        }
        all
    }
}

/// Whether the host routes IPv6 on all interfaces, new ones included.
pub(crate) fn is_ipv6_router(sysctls: &Sysctls) -> Result<bool, Error> {
    Ok(sysctls.get("ipv6/conf/all/forwarding")?.is_some_and(|on| on != 0))
}

/// What the plan needs of interfaces that are not ours, with what was there before us: as the first of
/// the `others` found it, or as it is.
pub(crate) fn needed(
    sysctls: &Sysctls,
    record: &Record,
    others: &[Record],
    host: &mut Socket,
) -> Result<Vec<ForwardingHold>, Error> {
    let ours: Vec<_> =
        others.iter().chain([record]).flat_map(|record| record.host_ends().map(|(_, _, mac)| mac)).collect();
    let foreign = |seen: &Seen| !(seen.is_veth && seen.mac.is_some_and(|mac| ours.contains(&mac)));
    let mut wanted: Vec<(LinkName, Family)> =
        record.plan.masquerades().map(|m| (m.out.clone(), family(m.source))).collect();
    let published = record.plan.forwards().next().is_some();
    let addresses = if published { facts::outward_addresses(host)? } else { Vec::new() };
    for forward in record.plan.forwards() {
        let entrances = entrances(forward, &addresses, foreign);
        wanted.extend(entrances.into_iter().map(|link| (link, family(forward.to))));
    }
    wanted.sort_by(|a, b| (&a.0, a.1 == Family::V6).cmp(&(&b.0, b.1 == Family::V6)));
    wanted.dedup();
    let same = same_switch(sysctls, wanted.iter().any(|(_, family)| *family == Family::V6))?;
    let mut holds = Vec::with_capacity(wanted.len());
    for (link, family) in wanted {
        let mut hold = ForwardingHold { link, v6: family == Family::V6, was_on: false };
        let first = others.iter().flat_map(|other| &other.forwarding).find(|other| same(&hold, other));
        hold.was_on = match first {
            Some(first) => first.was_on,
            None => is_on(sysctls, family, &hold.link)?,
        };
        holds.push(hold);
    }
    refuse_to_lose_routes(sysctls, &holds, host)?;
    Ok(holds)
}

/// The links by which packets to the forward's ports come in from outside. None for 127.0.0.1.
fn entrances(
    forward: &Forward,
    addresses: &[(Seen, Cidr)],
    foreign: impl Fn(&Seen) -> bool,
) -> Vec<LinkName> {
    let reachable = |address: IpAddr| match address {
        IpAddr::V4(_) => forward.to.is_ipv4(),
        // A container is off-link for whoever calls a link-local address.
        IpAddr::V6(v6) => forward.to.is_ipv6() && !v6.is_unicast_link_local(),
    };
    // A name that a plan could not write (`%`, `@`) cannot be written down either: not by that link.
    let name = |seen: &Seen| LinkName::try_from(seen.name.clone()).ok();
    let links = |wanted: &dyn Fn(IpAddr) -> bool| -> Vec<LinkName> {
        let has = addresses.iter().filter(|(seen, cidr)| foreign(seen) && wanted(cidr.address()));
        has.filter_map(|(seen, _)| name(seen)).collect()
    };
    match forward.host_address {
        Some(address) if address.is_loopback() => Vec::new(),
        Some(address) if addresses.iter().any(|(_, cidr)| cidr.address() == address) => {
            links(&|other| other == address)
        }
        // Of all addresses, or of one that no link has: it is the loopback's, and any link leads to it.
        _ => links(&reachable),
    }
}

fn refuse_to_lose_routes(
    sysctls: &Sysctls,
    holds: &[ForwardingHold],
    host: &mut Socket,
) -> Result<(), Error> {
    let missing = holds.iter().any(|hold| hold.v6 && !hold.was_on);
    let host_wide = missing && !has_switch_per_link(sysctls)? && !is_ipv6_router(sysctls)?;
    if !host_wide || !facts::has_advertised_routes(host)? {
        return Ok(());
    }
    let reason = io::Error::from(io::ErrorKind::Unsupported);
    Err(Error::new("turn on IPv6 forwarding", "of the host", reason).hint(
        "before Linux 6.17 this makes the whole host a router, which would drop the routes that it learned from router \
         advertisements; set net.ipv6.conf.UPLINK.accept_ra=2 and net.ipv6.conf.all.forwarding=1 yourself if that is wanted",
    ))
}

/// The interfaces that route only because of us, so far as `holds` tells.
pub(crate) fn closed(sysctls: &Sysctls, holds: &[ForwardingHold]) -> Result<Closed, Error> {
    let mut closed = Closed::default();
    for hold in holds.iter().filter(|hold| !hold.was_on) {
        if hold.v6 && !has_switch_per_link(sysctls)? {
            closed.all_v6 = true;
        } else {
            closed.links.push(hold.clone());
        }
    }
    Ok(closed)
}

/// Turns on what the plan needs: on its own links, and on the interfaces of `closed`.
pub(crate) fn turn_on(sysctls: &Sysctls, plan: &Plan, closed: &Closed) -> Result<(), Error> {
    for (link, family) in own(plan) {
        set(sysctls, family, link, true)?;
    }
    for forward in plan.forwards() {
        if forward.host_address == Some(Forward::LOOPBACK)
            && let Some(link) = host_end(plan, forward.to)
        {
            // Answers to 127.0.0.1 come in by this link (`ip-sysctl.rst`: off, they are martians).
            sysctls.set(&setting(Family::V4, link, "route_localnet"), true)?;
        }
    }
    for hold in &closed.links {
        set(sysctls, family_of(hold), &hold.link, true)?;
    }
    if closed.all_v6 {
        sysctls.set("ipv6/conf/all/forwarding", true)?;
    }
    Ok(())
}

/// Turns off what [`turn_on`] did on links of the plan that are still there: as long as somebody keeps
/// the container's network namespace, they are, and the table will not guard them any more.
pub(crate) fn turn_off_links(sysctls: &Sysctls, links: &[&LinkName]) -> Vec<Error> {
    let settings =
        [(Family::V4, "forwarding"), (Family::V6, "force_forwarding"), (Family::V4, "route_localnet")];
    let all = links.iter().flat_map(|link| settings.map(|(family, name)| setting(family, link, name)));
    all.filter_map(|path| sysctls.set(&path, false).err()).collect()
}

/// Of the record's holds those that no other has.
pub(crate) fn last_holds(
    sysctls: &Sysctls,
    record: &Record,
    others: &[Record],
) -> Result<Vec<ForwardingHold>, Error> {
    let same = same_switch(sysctls, record.forwarding.iter().any(|hold| hold.v6))?;
    let held = |hold: &ForwardingHold| {
        others.iter().flat_map(|other| &other.forwarding).any(|other| same(hold, other))
    };
    Ok(record.forwarding.iter().filter(|hold| !held(hold)).cloned().collect())
}

/// Whether two holds are of one switch. Where there is none per link, all holds for IPv6 are.
fn same_switch(
    sysctls: &Sysctls,
    for_v6: bool,
) -> Result<impl Fn(&ForwardingHold, &ForwardingHold) -> bool + use<>, Error> {
    let one_for_all = for_v6 && !has_switch_per_link(sysctls)?;
    Ok(move |a: &ForwardingHold, b: &ForwardingHold| {
        a.v6 == b.v6 && (a.link == b.link || (a.v6 && one_for_all))
    })
}

/// Turns off what only we needed; an interface that has vanished needs nothing. Nor does one of a host that
/// has become a router meanwhile (`ip_forward` turns on all of them): it is not by us that it routes.
pub(crate) fn turn_off(sysctls: &Sysctls, closed: &Closed) -> Vec<Error> {
    let router = sysctls.get("ipv4/conf/all/forwarding").ok().flatten().is_some_and(|on| on != 0);
    let ours = closed.links.iter().filter(|hold| hold.v6 || !router);
    let links = ours.map(|hold| set(sysctls, family_of(hold), &hold.link, false));
    let host = closed.all_v6.then(|| sysctls.set("ipv6/conf/all/forwarding", false).map(drop));
    links.chain(host).filter_map(Result::err).collect()
}

/// The host ends of links with NAT, for each family.
fn own(plan: &Plan) -> Vec<(&LinkName, Family)> {
    let addresses = plan.masquerades().map(|m| m.source).chain(plan.forwards().map(|forward| forward.to));
    let mut own: Vec<_> =
        addresses.filter_map(|address| Some((host_end(plan, address)?, family(address)))).collect();
    own.sort_by_key(|(link, family)| (*link, *family == Family::V6));
    own.dedup();
    own
}

fn host_end(plan: &Plan, container_address: IpAddr) -> Option<&LinkName> {
    plan.host_end(plan.interface_with(container_address)?).map(|(_, end)| &end.name)
}

fn has_switch_per_link(sysctls: &Sysctls) -> Result<bool, Error> {
    Ok(sysctls.get("ipv6/conf/default/force_forwarding")?.is_some())
}

fn is_on(sysctls: &Sysctls, family: Family, link: &LinkName) -> Result<bool, Error> {
    let on = |path: &str| Ok(sysctls.get(path)?.is_some_and(|value| value != 0));
    Ok(on(&setting(family, link, switch(family)))? || (family == Family::V6 && is_ipv6_router(sysctls)?))
}

fn set(sysctls: &Sysctls, family: Family, link: &LinkName, on: bool) -> Result<(), Error> {
    sysctls.set(&setting(family, link, switch(family)), on).map(drop)
}

/// The setting that decides whether packets that come in by an interface are routed.
fn switch(family: Family) -> &'static str {
    match family {
        Family::V4 => "forwarding",
        Family::V6 => "force_forwarding",
    }
}

/// A link's name cannot lead elsewhere: it has no `/` and is neither `.`, `..`, `all` nor `default`.
fn setting(family: Family, link: &LinkName, name: &str) -> String {
    let directory = match family {
        Family::V4 => "ipv4",
        Family::V6 => "ipv6",
    };
    format!("{directory}/conf/{link}/{name}")
}

fn family_of(hold: &ForwardingHold) -> Family {
    if hold.v6 { Family::V6 } else { Family::V4 }
}

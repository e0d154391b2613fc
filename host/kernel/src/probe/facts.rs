//! What the host's network looks like.

use std::{cmp::Reverse, net::IpAddr, path::Path};

use netlink_bindings::{
    rt_addr::{Ifaddrmsg, IterableAddrAttrs, OpGetaddrDump, OpNewaddrDo},
    rt_route::{IterableRouteAttrs, OpGetrouteDump, OpNewrouteDo, Rtmsg},
    utils,
};
use nix::sys::utsname::uname;
use nshost_ledger::Mac;
use nshost_plan::{AddressFact, Cidr, DefaultRoute, Family, LinkFact, NameServer};

use crate::{
    Error,
    network::{
        link::{self, Seen},
        netlink::{Batch, Socket, retry},
    },
    probe::trusted::{self, Resolvers},
};

/// `RTNH_F_DEAD`, `RTNH_F_LINKDOWN` (`linux/rtnetlink.h`).
const UNUSABLE: u32 = 1 | 16;
/// `RTPROT_RA`.
const ROUTER_ADVERTISEMENT: u8 = 9;

/// The part of [`nshost_plan::Facts`] that the kernel knows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostFacts {
    /// The host's links, by index.
    pub links: Vec<LinkFact>,
    /// The host's addresses.
    pub addresses: Vec<AddressFact>,
    /// The destinations of the main table, without default routes and without those inside another.
    pub routes: Vec<Cidr>,
    /// The default route of each family, IPv4 first.
    pub default_routes: Vec<DefaultRoute>,
    /// Next hops, name servers and DHCP servers, in order.
    pub trusted: Vec<IpAddr>,
    /// The name servers that others than the host can ask, in the host's order.
    pub name_servers: Vec<NameServer>,
    /// `uname -r`.
    pub kernel: String,
}

/// Looks at the network namespace of `host`. Links with a hardware address in `skip` are left out, and
/// with them their addresses and routes: they belong to containers that have ended.
pub fn gather(host: &mut Socket, skip: &[Mac]) -> Result<HostFacts, Error> {
    let raw = retry(|| Raw::read(host))?;
    let mut facts = raw.without(skip);
    let resolvers = Resolvers::read(Path::new("/"));
    facts.name_servers = resolvers.to_hand_on().filter_map(|server| raw.reached(server, skip)).collect();
    facts.trusted.extend(resolvers.all());
    facts.trusted.extend(trusted::dhcp_servers());
    facts.trusted.retain(|server| !server.is_loopback());
    facts.trusted.sort();
    facts.trusted.dedup();
    facts.kernel = kernel_release()?;
    Ok(facts)
}

fn kernel_release() -> Result<String, Error> {
    let name = uname().map_err(|errno| Error::new("uname", "the kernel", errno))?;
    Ok(name.release().to_string_lossy().into_owned())
}

/// The kernel's three lists.
#[derive(Default)]
struct Raw {
    links: Vec<Seen>,
    addresses: Vec<(u32, Cidr)>,
    routes: Vec<RawRoute>,
}

struct RawRoute {
    family: Family,
    /// None: the default route.
    to: Option<Cidr>,
    link: u32,
    via: Option<IpAddr>,
    metric: u32,
    /// Its link is down: nothing is sent there, but the network is not free either.
    unusable: bool,
    /// Installed by the kernel because a router advertised it.
    advertised: bool,
}

/// Each address of a link that is not the loopback, with the link: where packets come in.
pub(crate) fn outward_addresses(socket: &mut Socket) -> Result<Vec<(Seen, Cidr)>, Error> {
    let raw = retry(|| {
        let mut raw = Raw::default();
        raw.read_links(socket)?;
        raw.read_addresses(socket)?;
        Ok(raw)
    })?;
    let with_link = |(index, cidr): &(u32, Cidr)| {
        let link = raw.links.iter().find(|link| link.index == *index && !link.loopback)?;
        Some((link.clone(), *cidr))
    };
    Ok(raw.addresses.iter().filter_map(with_link).collect())
}

/// Whether an IPv6 route is there because a router advertised it (RFC 4861).
pub(crate) fn has_advertised_routes(socket: &mut Socket) -> Result<bool, Error> {
    let raw = retry(|| {
        let mut raw = Raw::default();
        raw.read_routes(socket, libc::AF_INET6)?;
        Ok(raw)
    })?;
    Ok(raw.routes.iter().any(|route| route.advertised))
}

impl Raw {
    /// One list after the other: a netlink socket gives out only one at a time.
    fn read(socket: &mut Socket) -> Result<Raw, Error> {
        let mut raw = Raw::default();
        raw.read_links(socket)?;
        raw.read_addresses(socket)?;
        raw.read_routes(socket, libc::AF_INET)?;
        raw.read_routes(socket, libc::AF_INET6)?;
        Ok(raw)
    }

    fn read_links(&mut self, socket: &mut Socket) -> Result<(), Error> {
        let mut batch = Batch::default();
        link::push_dump(&mut batch, false);
        socket.query(batch, |_, _, message| self.links.extend(Seen::parse(message)))
    }

    fn read_addresses(&mut self, socket: &mut Socket) -> Result<(), Error> {
        let mut batch = Batch::default();
        batch.push(libc::RTM_GETADDR, libc::NLM_F_DUMP, "list addresses", "of the host", |bytes| {
            drop(OpGetaddrDump::encode_request(bytes, &Ifaddrmsg::new()));
        });
        socket.query(batch, |_, _, message| self.addresses.extend(parse_address(message)))
    }

    fn read_routes(&mut self, socket: &mut Socket, family: libc::c_int) -> Result<(), Error> {
        let mut header = Rtmsg::new();
        header.rtm_family = family as u8;
        header.rtm_table = libc::RT_TABLE_MAIN;
        let mut batch = Batch::default();
        batch.push(libc::RTM_GETROUTE, libc::NLM_F_DUMP, "list routes", "of the host", |bytes| {
            drop(OpGetrouteDump::encode_request(bytes, &header));
        });
        match socket.query(batch, |_, _, message| self.routes.extend(parse_route(message))) {
            // A namespace in which no route was ever made does not have the table.
            Err(error) if error.errno() == Some(libc::ENOENT) => Ok(()),
            read => read,
        }
    }

    /// A name server with the way to it, by the main table as it would be without the links in `skip`; none where
    /// the host has no way to it.
    fn reached(&self, server: IpAddr, skip: &[Mac]) -> Option<NameServer> {
        if self.addresses.iter().any(|(_, cidr)| cidr.address() == server) {
            return Some(NameServer { address: server, link: None });
        }
        let link = |index: u32| {
            let link = self.links.iter().find(|link| link.index == index)?;
            (!link.mac.is_some_and(|mac| skip.contains(&mac))).then(|| link.name.clone())
        };
        let ways = self.routes.iter().filter(|route| {
            let leads = match route.to {
                Some(to) => to.contains_address(server),
                None => (route.family == Family::V4) == server.is_ipv4(),
            };
            leads && !route.unusable
        });
        let narrowest = |route: &&RawRoute| {
            let prefix = route.to.map_or(0, |to| to.prefix());
            (Reverse(prefix), route.metric)
        };
        let way =
            ways.filter_map(|route| Some((route, link(route.link)?))).min_by_key(|(r, _)| narrowest(r))?;
        Some(NameServer { address: server, link: Some(way.1) })
    }

    fn without(&self, skip: &[Mac]) -> HostFacts {
        let mut links: Vec<&Seen> =
            self.links.iter().filter(|link| !link.mac.is_some_and(|mac| skip.contains(&mac))).collect();
        links.sort_by_key(|link| link.index);
        let name = |index: u32| {
            let position = links.binary_search_by_key(&index, |link| link.index).ok()?;
            Some(links[position].name.clone())
        };
        let skipped = |index: u32| index != 0 && name(index).is_none();
        let address = |(index, cidr): &(u32, Cidr)| Some(AddressFact { link: name(*index)?, cidr: *cidr });
        let routes = || self.routes.iter().filter(|route| !skipped(route.link));
        let defaults = |family: Family| {
            let mine = routes().filter(|route| route.family == family && route.to.is_none());
            let best = mine.min_by_key(|route| (route.unusable, route.metric))?;
            Some(DefaultRoute { family, link: name(best.link)?, via: best.via })
        };
        HostFacts {
            addresses: self.addresses.iter().filter_map(address).collect(),
            routes: outermost(routes().filter_map(|route| route.to).collect()),
            trusted: routes().filter_map(|route| route.via).collect(),
            name_servers: Vec::new(),
            default_routes: [Family::V4, Family::V6].into_iter().filter_map(defaults).collect(),
            links: links
                .iter()
                .map(|l| LinkFact { index: l.index, name: l.name.clone(), up: l.up, ours: l.ours })
                .collect(),
            kernel: String::new(),
        }
    }
}

/// The networks that lie in no other; the same for what overlaps them, and few where a routing daemon
/// has installed many.
fn outermost(mut networks: Vec<Cidr>) -> Vec<Cidr> {
    networks.sort_by_key(|network| (network.address(), network.prefix()));
    let mut kept: Vec<Cidr> = Vec::new();
    for network in networks {
        // In this order a network comes right after the one that holds it and what lies in that.
        if !kept.last().is_some_and(|outer| outer.contains(network)) {
            kept.push(network);
        }
    }
    kept
}

/// The interface and address of an `RTM_NEWADDR` message.
fn parse_address(message: &[u8]) -> Option<(u32, Cidr)> {
    let header = Ifaddrmsg::new_from_slice(message.get(..Ifaddrmsg::len())?)?;
    let (_, attributes): (_, IterableAddrAttrs<'_>) = OpNewaddrDo::decode_request(message);
    // On a point-to-point link IFA_ADDRESS is the other end's.
    let address = attributes.get_local().or_else(|_| attributes.get_address()).ok()?;
    Some((header.ifa_index, Cidr::new(address, header.ifa_prefixlen).ok()?))
}

/// The route of an `RTM_NEWROUTE` message.
fn parse_route(message: &[u8]) -> Option<RawRoute> {
    let header = Rtmsg::new_from_slice(message.get(..Rtmsg::len())?)?;
    let (_, attributes): (_, IterableRouteAttrs<'_>) = OpNewrouteDo::decode_request(message);
    let family = match i32::from(header.rtm_family) {
        libc::AF_INET => Family::V4,
        libc::AF_INET6 => Family::V6,
        _ => return None,
    };
    if header.rtm_table != libc::RT_TABLE_MAIN {
        return None;
    }
    let to = match header.rtm_dst_len {
        0 => None,
        prefix => Some(Cidr::new(attributes.get_dst().ok()?, prefix).ok()?.network()),
    };
    let (link, via) = match (attributes.get_oif(), attributes.get_multipath()) {
        (Ok(link), _) => (link, attributes.get_gateway().ok()),
        (Err(_), Ok(hops)) => first_hop(hops)?,
        // A blackhole or a nexthop object that the kernel does not spell out: it is there all the same.
        _ => (0, None),
    };
    let unusable = header.rtm_flags & UNUSABLE != 0;
    let advertised = header.rtm_protocol == ROUTER_ADVERTISEMENT;
    Some(RawRoute {
        family,
        to,
        link,
        via,
        metric: attributes.get_priority().unwrap_or(0),
        unusable,
        advertised,
    })
}

/// The first `struct rtnexthop` (`rtnetlink(7)`): length, flags, hops, index; then attributes.
fn first_hop(hops: &[u8]) -> Option<(u32, Option<IpAddr>)> {
    let length = usize::from(utils::parse_u16(hops)?);
    let link = utils::parse_u32(hops.get(4..8)?)?;
    let gateway = utils::find_attr(hops.get(8..length)?, libc::RTA_GATEWAY);
    Some((link, gateway.and_then(utils::parse_ip)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_outermost_networks_are_kept() {
        let cidrs = |list: &[&str]| list.iter().map(|text| text.parse().unwrap()).collect::<Vec<Cidr>>();
        let all =
            cidrs(&["10.1.0.0/16", "10.0.0.0/8", "10.0.0.0/9", "192.0.2.0/24", "fd00::/8", "fd00:1::/32"]);
        assert_eq!(outermost(all), cidrs(&["10.0.0.0/8", "192.0.2.0/24", "fd00::/8"]));
    }
}

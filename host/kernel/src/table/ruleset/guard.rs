//! `inet nshost`: what stands between the host and every link of ours.

use std::ffi::CStr;

use nshost_plan::Family::{V4, V6};

use super::{FILTER, GROUP, Pair, Table, pair, set_in};
use crate::nft::{
    Field::{self, Interface},
    Hook, Set, Transaction,
    rule::{
        Load::{Destination, DestinationInError, In, Out, Source},
        Rule,
    },
};

const NAME: &CStr = c"nshost";

pub(crate) static TABLE: Table = Table { name: NAME, layout: "nshost, layout 6", fill };

/// Addresses that a container has, by its host end.
pub(crate) static SOURCES: Pair = pair(
    set_in(NAME, c"sources4", &[Interface, Field::V4]),
    set_in(NAME, c"sources6", &[Interface, Field::V6]),
);
/// Networks that a host's route leads to by that host end.
pub(crate) static NETWORKS: Pair = pair(
    Set { ranges: true, ..set_in(NAME, c"networks4", &[Interface, Field::V4]) },
    Set { ranges: true, ..set_in(NAME, c"networks6", &[Interface, Field::V6]) },
);
/// The same addresses and networks, to be looked for in ICMP errors, where nft has another type for them.
pub(crate) static SOURCES_IN_ERRORS: Pair = pair(
    set_in(NAME, c"sources_in_errors4", &[Interface, Field::InError(V4)]),
    set_in(NAME, c"sources_in_errors6", &[Interface, Field::InError(V6)]),
);
pub(crate) static NETWORKS_IN_ERRORS: Pair = pair(
    Set { ranges: true, ..set_in(NAME, c"networks_in_errors4", &[Interface, Field::InError(V4)]) },
    Set { ranges: true, ..set_in(NAME, c"networks_in_errors6", &[Interface, Field::InError(V6)]) },
);
/// Host ends by which something is routed at all; what, `inet nshost-nat` tells.
pub(crate) static ROUTED: Set = set_in(NAME, c"routed", &[Interface]);

/// Chains with a hook are reached by packets, the others from those. Conntrack puts fragments together at −400, in
/// one queue for all links, and the whole has the link of the last one: so sources are looked at before that, and
/// contents behind it, when all of them is there. Otherwise priorities are `nft(8)`'s: raw −300, filter 0.
const CHAINS: [(&CStr, Option<Hook>); 12] = [
    (c"guard", None),
    (c"content", None),
    (c"icmp4", None),
    (c"icmp6", None),
    (c"quoting6", None),
    (c"quoted4", None),
    (c"quoted6", None),
    (c"from_link", None),
    (c"to_link", None),
    (c"ingress", Some(Hook { number: libc::NF_INET_PRE_ROUTING, priority: -450, kind: FILTER })),
    (c"whole", Some(Hook { number: libc::NF_INET_PRE_ROUTING, priority: -300, kind: FILTER })),
    (c"forward", Some(Hook { number: libc::NF_INET_FORWARD, priority: 0, kind: FILTER })),
];

/// ICMP and ICMPv6 types (RFC 792, RFC 1256, RFC 4861).
const REDIRECT: u8 = 5;
const ROUTER_ADVERTISEMENT_V4: u8 = 9;
const ROUTER_ADVERTISEMENT: u8 = 134;
const NEIGHBOUR_SOLICITATION: u8 = 135;
const NEIGHBOUR_ADVERTISEMENT: u8 = 136;
const REDIRECT_V6: u8 = 137;
/// What tells that a packet did not arrive, or not whole: unreachable, source quench, time exceeded, parameter
/// problem (RFC 792); unreachable, too big, time exceeded, parameter problem (RFC 4443).
const ERRORS: [u8; 4] = [3, 4, 11, 12];
const ERRORS_V6: [u8; 4] = [1, 2, 3, 4];

fn fill(transaction: &mut Transaction) {
    for pair in [&SOURCES, &NETWORKS, &SOURCES_IN_ERRORS, &NETWORKS_IN_ERRORS] {
        pair.create(transaction);
    }
    transaction.set(&ROUTED);
    for (chain, hook) in CHAINS {
        transaction.chain(chain, hook.as_ref());
    }
    guard(transaction);
    messages(transaction);
    route(transaction);
}

/// What comes out of a container, before anything else sees it: it has the container's addresses, and does not
/// mean the host's loopback, which `route_localnet` would let it reach.
fn guard(t: &mut Transaction) {
    t.rule(c"ingress", &Rule::new("").by_group(In, GROUP).goto(c"guard"));
    let loopback = Rule::new("nobody reaches the host's loopback from a container");
    t.rule(c"guard", &loopback.family(V4).begins(Destination(V4), &[127]).drop());
    for (family, pair) in [(V4, &SOURCES), (V4, &NETWORKS), (V6, &SOURCES), (V6, &NETWORKS)] {
        let known = Rule::new("").family(family).in_set(&[In, Source(family)], pair.of(family));
        t.rule(c"guard", &known.accept());
    }
    for kind in [NEIGHBOUR_SOLICITATION, NEIGHBOUR_ADVERTISEMENT] {
        let discovery = Rule::new("neighbour discovery").icmp(V6, kind).link_local_source();
        t.rule(c"guard", &discovery.accept());
    }
    let unspecified = Rule::new("duplicate address detection").icmp(V6, NEIGHBOUR_SOLICITATION);
    t.rule(c"guard", &unspecified.begins(Source(V6), &[0; 16]).accept());
    t.rule(c"guard", &Rule::new("a source that this container does not have").drop());
}

/// What a container says: to one address, and by a protocol that grants know. What the host hears of groups and from
/// everybody (mDNS, NetBIOS, DHCP, IGMP …) it would take for its network's word; and what has no ports may be
/// anything, a tunnel's packets with other sources included.
fn messages(t: &mut Transaction) {
    t.rule(c"whole", &Rule::new("").by_group(In, GROUP).goto(c"content"));
    // First, as it is the most; of a group's or everybody's the kernel gives none to TCP.
    t.rule(c"content", &Rule::new("").protocol(libc::IPPROTO_TCP as u8).accept());
    t.rule(c"content", &Rule::new("").any_icmp(V6).goto(c"icmp6"));
    for family in [V4, V6] {
        t.rule(c"content", &Rule::new("a container speaks to no group").for_a_group(family).drop());
    }
    let network = Rule::new("a container does not speak to everybody").family(V4);
    t.rule(c"content", &network.for_a_whole_network().drop());
    t.rule(c"content", &Rule::new("").protocol(libc::IPPROTO_UDP as u8).accept());
    t.rule(c"content", &Rule::new("").any_icmp(V4).goto(c"icmp4"));
    t.rule(c"content", &Rule::new("neither TCP nor UDP nor ICMP").drop());
    advice(t);
    for kind in [NEIGHBOUR_SOLICITATION, NEIGHBOUR_ADVERTISEMENT] {
        t.rule(c"icmp6", &Rule::new("neighbour discovery").icmp(V6, kind).accept());
    }
    t.rule(c"icmp6", &Rule::new("a container speaks to no group").for_a_group(V6).drop());
}

/// It does not tell the host where to send its own packets, and that packets did not arrive only of those that were
/// sent to it.
fn advice(t: &mut Transaction) {
    let advice = || Rule::new("a container is no router of the host's");
    for kind in [REDIRECT, ROUTER_ADVERTISEMENT_V4] {
        t.rule(c"icmp4", &advice().icmp(V4, kind).drop());
    }
    for kind in [ROUTER_ADVERTISEMENT, REDIRECT_V6] {
        t.rule(c"icmp6", &advice().icmp(V6, kind).drop());
    }
    for (chain, family, kinds, next) in
        [(c"icmp4", V4, ERRORS, c"quoted4"), (c"icmp6", V6, ERRORS_V6, c"quoting6")]
    {
        for kind in kinds {
            t.rule(chain, &Rule::new("").icmp(family, kind).goto(next));
        }
    }
    // Where a routing header follows, the kernel may go by an address in that (`seg6_icmp_srh`), and not by the one
    // that is looked at here.
    for protocol in [libc::IPPROTO_TCP, libc::IPPROTO_UDP, libc::IPPROTO_ICMPV6] {
        t.rule(c"quoting6", &Rule::new("").protocol_in_error(protocol as u8).goto(c"quoted6"));
    }
    t.rule(c"quoting6", &Rule::new("of a packet with extension headers").drop());
    for (chain, family) in [(c"quoted4", V4), (c"quoted6", V6)] {
        for pair in [&SOURCES_IN_ERRORS, &NETWORKS_IN_ERRORS] {
            let own = Rule::new("").in_set(&[In, DestinationInError(family)], pair.of(family));
            t.rule(chain, &own.accept());
        }
        t.rule(chain, &Rule::new("of a packet that was not sent to this container").drop());
    }
}

/// Nothing is routed that no plan asked for, whatever the host routes otherwise, now or later.
fn route(t: &mut Transaction) {
    t.rule(c"forward", &Rule::new("").by_group(In, GROUP).goto(c"from_link"));
    t.rule(c"forward", &Rule::new("").by_group(Out, GROUP).goto(c"to_link"));
    t.rule(c"from_link", &Rule::new("").in_set(&[In], &ROUTED).accept());
    t.rule(c"from_link", &Rule::new("").drop());
    t.rule(c"to_link", &Rule::new("").in_set(&[Out], &ROUTED).accept());
    t.rule(c"to_link", &Rule::new("").drop());
}

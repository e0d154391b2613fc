//! `inet nshost-nat`: the ways out and in that plans ask for.

use std::{ffi::CStr, ops::RangeInclusive};

use nshost_plan::Family::{V4, V6};

use super::{FILTER, GROUP, NAT, Pair, Table, map_in, pair, set_in};
use crate::nft::{
    Field::{self, Interface, Port, Protocol, Zone},
    Hook, Set, Transaction,
    rule::{
        Load::{self, Destination, FlowAnswerPort, FlowPort, FlowProtocol, FlowZone, In, Out, Source},
        Rule, icmp,
    },
};

const NAME: &CStr = c"nshost-nat";

pub(crate) static TABLE: Table = Table { name: NAME, layout: "nshost NAT, layout 4", fill };

/// The conntrack zone of what a container begins, by its host end.
pub(crate) static ZONES: Set = map_in(NAME, c"zones", &[Interface], &[Zone]);
/// The same, to be asked for the link to which an answer goes.
pub(crate) static ZONE_OF: Set = set_in(NAME, c"zone_of", &[Interface, Zone]);
/// Who may leave: host end, source, interface towards the outside.
pub(crate) static EGRESS: Pair = pair(
    set_in(NAME, c"egress4", &[Interface, Field::V4, Interface]),
    set_in(NAME, c"egress6", &[Interface, Field::V6, Interface]),
);
/// Whose source is replaced, and where: the same three.
pub(crate) static MASQUERADE: Pair = pair(
    set_in(NAME, c"masquerade4", &[Interface, Field::V4, Interface]),
    set_in(NAME, c"masquerade6", &[Interface, Field::V6, Interface]),
);
/// Ports on all addresses of the host but the loopback's.
pub(crate) static FORWARDS: Pair = pair(
    map_in(NAME, c"forwards4", &[Protocol, Port], &[Field::V4, Port]),
    map_in(NAME, c"forwards6", &[Protocol, Port], &[Field::V6, Port]),
);
/// Ports on one address of the host.
pub(crate) static FORWARDS_AT: Pair = pair(
    map_in(NAME, c"forwards_at4", &[Field::V4, Protocol, Port], &[Field::V4, Port]),
    map_in(NAME, c"forwards_at6", &[Field::V6, Protocol, Port], &[Field::V6, Port]),
);
/// What is published by which link: host end, container's address, protocol, host's port, container's port.
pub(crate) static PUBLISHED: Pair = pair(
    set_in(NAME, c"published4", &[Interface, Field::V4, Protocol, Port, Port]),
    set_in(NAME, c"published6", &[Interface, Field::V6, Protocol, Port, Port]),
);
/// Interfaces whose forwarding was off before us: they route to and from containers alone.
pub(crate) static CLOSED: Set = set_in(NAME, c"closed", &[Field::Family, Interface]);
/// Families whose forwarding was off on the whole host before us.
pub(crate) static CLOSED_FAMILIES: Set = set_in(NAME, c"closed_families", &[Field::Family]);

/// Priorities are `nft(8)`'s: raw −300 (zones are given before conntrack looks, at −200), dstnat −100,
/// filter 0, srcnat 100.
const CHAINS: [(&CStr, Option<Hook>); 8] = [
    (c"publish", None),
    (c"from_link", None),
    (c"to_link", None),
    (c"zone", Some(Hook { number: libc::NF_INET_PRE_ROUTING, priority: -300, kind: FILTER })),
    (c"prerouting", Some(Hook { number: libc::NF_INET_PRE_ROUTING, priority: -100, kind: NAT })),
    (c"output", Some(Hook { number: libc::NF_INET_LOCAL_OUT, priority: -100, kind: NAT })),
    (c"postrouting", Some(Hook { number: libc::NF_INET_POST_ROUTING, priority: 100, kind: NAT })),
    (c"forward", Some(Hook { number: libc::NF_INET_FORWARD, priority: 0, kind: FILTER })),
];

/// The host's ports by which containers' flows leave. Above what the host itself takes (`ip_local_port_range`, 32768
/// to 60999), and nowhere near its services: who has sent from a port gets what that peer sends to it afterwards.
const PORTS: RangeInclusive<u16> = 61000..=65535;
/// Of what has no ports (ESP, GRE …) there is one flow between two addresses: one container's would be everybody's.
const WITH_PORTS: [u8; 2] = [libc::IPPROTO_TCP as u8, libc::IPPROTO_UDP as u8];

fn fill(transaction: &mut Transaction) {
    for set in [&ZONES, &ZONE_OF, &CLOSED, &CLOSED_FAMILIES] {
        transaction.set(set);
    }
    for pair in [&EGRESS, &MASQUERADE, &FORWARDS, &FORWARDS_AT, &PUBLISHED] {
        pair.create(transaction);
    }
    for (chain, hook) in CHAINS {
        transaction.chain(chain, hook.as_ref());
    }
    let zone = Rule::new("").by_group(In, GROUP);
    transaction.rule(c"zone", &zone.begin_in_zone(&[In], &ZONES));
    publish(transaction);
    translate_source(transaction);
    route(transaction);
}

/// Forwards: only what is addressed to the host; what merely passes through keeps its destination. The
/// loopback's addresses are nobody's but by name: what listens there was not meant for others.
fn publish(t: &mut Transaction) {
    let mut loopback = [0; 16];
    loopback[15] = 1;
    t.rule(c"prerouting", &Rule::new("").for_this_host().goto(c"publish"));
    t.rule(c"output", &Rule::new("").for_this_host().goto(c"publish"));
    let at = |family| [Destination(family), Load::Protocol, Load::Port];
    for family in [V4, V6] {
        let rule = Rule::new("").family(family);
        t.rule(c"publish", &rule.translate_destination(family, &at(family), FORWARDS_AT.of(family)));
    }
    let own = || Rule::new("not without being named");
    t.rule(c"publish", &own().family(V4).begins(Destination(V4), &[127]).back());
    t.rule(c"publish", &own().family(V6).begins(Destination(V6), &loopback).back());
    for family in [V4, V6] {
        let any = [Load::Protocol, Load::Port];
        let rule = Rule::new("").family(family);
        t.rule(c"publish", &rule.translate_destination(family, &any, FORWARDS.of(family)));
    }
}

/// Sources that the other side could not answer to; everybody else's source stays what it is.
fn translate_source(t: &mut Transaction) {
    for family in [V4, V6] {
        let key = [In, Source(family), Out];
        let leaving =
            |protocol| Rule::new("").protocol(protocol).family(family).in_set(&key, MASQUERADE.of(family));
        for protocol in WITH_PORTS {
            t.rule(c"postrouting", &leaving(protocol).masquerade_by(PORTS));
        }
        t.rule(c"postrouting", &leaving(icmp(family)).masquerade());
    }
    let from_loopback = Rule::new("from the host's loopback to a forward").by_group(Out, GROUP);
    t.rule(c"postrouting", &from_loopback.family(V4).begins(Source(V4), &[127]).masquerade());
}

/// Which flows pass, in each direction by the link that they belong to. A container's link is no way out: what
/// goes from one to another passes as what comes from outside does, by a forward.
fn route(t: &mut Transaction) {
    t.rule(c"forward", &Rule::new("").by_group(In, GROUP).goto(c"from_link"));
    t.rule(c"forward", &Rule::new("").by_group(Out, GROUP).goto(c"to_link"));
    let closed = || Rule::new("routes only because of containers, so only for them");
    t.rule(c"forward", &closed().in_set(&[Load::Family, In], &CLOSED).drop());
    t.rule(c"forward", &closed().in_set(&[Load::Family], &CLOSED_FAMILIES).drop());

    t.rule(c"from_link", &Rule::new("").by_group(Out, GROUP).goto(c"to_link"));
    t.rule(c"from_link", &Rule::new("would leave with its own source").of_no_flow().drop());
    for family in [V4, V6] {
        let answer = Rule::new("answers of what is published").family(family).answering();
        let key = [In, Source(family), FlowProtocol, FlowPort, FlowAnswerPort];
        t.rule(c"from_link", &answer.in_set(&key, PUBLISHED.of(family)).accept());
        for protocol in WITH_PORTS.into_iter().chain([icmp(family)]) {
            let leaving = Rule::new("").protocol(protocol).family(family).onward();
            t.rule(c"from_link", &leaving.in_set(&[In, Source(family), Out], EGRESS.of(family)).accept());
        }
    }
    t.rule(c"from_link", &Rule::new("").drop());

    let answer = Rule::new("answers to what this container began").answering();
    t.rule(c"to_link", &answer.in_set(&[Out, FlowZone], &ZONE_OF).accept());
    for family in [V4, V6] {
        let forward = Rule::new("forwards").family(family).onward().forwarded();
        let key = [Out, Destination(family), FlowProtocol, FlowPort, FlowAnswerPort];
        t.rule(c"to_link", &forward.in_set(&key, PUBLISHED.of(family)).accept());
    }
    t.rule(c"to_link", &Rule::new("").drop());
}

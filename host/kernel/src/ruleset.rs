//! The table `inet nshost`: its sets, and the chains that look things up in them.
//!
//! The chains are made once, with the first container that needs them, and know nobody by name: a
//! launch adds elements to sets. So a packet's way does not get longer with the number of containers.
//! What is not about one of our links, or about an interface that routes only because of us, passes
//! untouched; to other firewalls' verdicts nothing is added, as each base chain decides for itself.

use std::ffi::CStr;

use nshost_plan::Family::{self, V4, V6};

use crate::{
    nft::{
        Field::{self, Interface, Port, Protocol},
        Hook, Set, Transaction,
    },
    rule::{
        Load,
        Load::{Destination, In, Out, Source},
        Rule,
    },
};

/// The table's name.
pub(crate) const TABLE: &CStr = c"nshost";
/// The table's comment: whose it is, and which layout it has. Another release's containers may live.
pub(crate) const LAYOUT: &str = "nshost, layout 1";

/// Host ends of containers with NAT. Nothing is routed by them but what other sets say.
pub(crate) static LINKS: Set = set(c"links", &[Interface]);
/// Addresses that a container has, by its host end.
pub(crate) static SOURCES: Pair =
    pair(set(c"sources4", &[Interface, Field::V4]), set(c"sources6", &[Interface, Field::V6]));
/// Networks that a host's route leads to by that host end.
pub(crate) static NETWORKS: Pair = pair(
    Set { ranges: true, ..set(c"networks4", &[Interface, Field::V4]) },
    Set { ranges: true, ..set(c"networks6", &[Interface, Field::V6]) },
);
/// Who may leave: host end, source, interface towards the outside.
pub(crate) static EGRESS: Pair = pair(
    set(c"egress4", &[Interface, Field::V4, Interface]),
    set(c"egress6", &[Interface, Field::V6, Interface]),
);
/// Whose source is replaced, and where.
pub(crate) static MASQUERADE: Pair =
    pair(set(c"masquerade4", &[Field::V4, Interface]), set(c"masquerade6", &[Field::V6, Interface]));
/// Ports on all addresses of the host.
pub(crate) static FORWARDS: Pair = pair(
    map(c"forwards4", &[Protocol, Port], &[Field::V4, Port]),
    map(c"forwards6", &[Protocol, Port], &[Field::V6, Port]),
);
/// Ports on one address of the host.
pub(crate) static FORWARDS_AT: Pair = pair(
    map(c"forwards_at4", &[Field::V4, Protocol, Port], &[Field::V4, Port]),
    map(c"forwards_at6", &[Field::V6, Protocol, Port], &[Field::V6, Port]),
);
/// Interfaces whose forwarding was off before us: they route to and from containers alone.
pub(crate) static CLOSED: Set = set(c"closed", &[Field::Family, Interface]);
/// Families whose forwarding was off on the whole host before us.
pub(crate) static CLOSED_FAMILIES: Set = set(c"closed_families", &[Field::Family]);

/// The same for both families.
pub(crate) struct Pair {
    v4: Set,
    v6: Set,
}

impl Pair {
    pub(crate) fn of(&self, family: Family) -> &Set {
        match family {
            V4 => &self.v4,
            V6 => &self.v6,
        }
    }
}

const fn set(name: &'static CStr, key: &'static [Field]) -> Set {
    map(name, key, &[])
}

const fn map(name: &'static CStr, key: &'static [Field], value: &'static [Field]) -> Set {
    Set { name, key, value, ranges: false }
}

const fn pair(v4: Set, v6: Set) -> Pair {
    Pair { v4, v6 }
}

/// Makes table, sets, chains and rules; fails if the table is there.
pub(crate) fn create(transaction: &mut Transaction) {
    transaction.table(LAYOUT);
    for set in [&LINKS, &CLOSED, &CLOSED_FAMILIES] {
        transaction.set(set);
    }
    for pair in [&SOURCES, &NETWORKS, &EGRESS, &MASQUERADE, &FORWARDS, &FORWARDS_AT] {
        transaction.set(&pair.v4);
        transaction.set(&pair.v6);
    }
    for (chain, hook) in CHAINS {
        transaction.chain(chain, hook.as_ref());
    }
    guard(transaction);
    publish(transaction);
    translate_source(transaction);
    route(transaction);
}

const FILTER: &CStr = c"filter";
const NAT: &CStr = c"nat";

/// All chains; those without a hook are reached from others, and come before them in time of making.
/// Priorities are `nft(8)`'s: raw −300, dstnat −100, filter 0, srcnat 100.
const CHAINS: [(&CStr, Option<Hook>); 9] = [
    (c"guard", None),
    (c"publish", None),
    (c"from_container", None),
    (c"to_container", None),
    (c"ingress", Some(Hook { number: libc::NF_INET_PRE_ROUTING, priority: -300, kind: FILTER })),
    (c"prerouting", Some(Hook { number: libc::NF_INET_PRE_ROUTING, priority: -100, kind: NAT })),
    (c"output", Some(Hook { number: libc::NF_INET_LOCAL_OUT, priority: -100, kind: NAT })),
    (c"postrouting", Some(Hook { number: libc::NF_INET_POST_ROUTING, priority: 100, kind: NAT })),
    (c"forward", Some(Hook { number: libc::NF_INET_FORWARD, priority: 0, kind: FILTER })),
];

/// What comes out of a container, before anything else sees it: it has the container's addresses, and
/// does not mean the host's loopback, which `route_localnet` would let it reach.
fn guard(t: &mut Transaction) {
    let known = |family, set: &Pair| {
        Rule::new("").family(family).in_set(&[In, Source(family)], set.of(family)).accept()
    };
    t.rule(c"ingress", &Rule::new("").in_set(&[In], &LINKS).goto(c"guard"));
    let loopback = Rule::new("nobody reaches the host's loopback from a container");
    t.rule(c"guard", &loopback.family(V4).begins(Destination(V4), &[127]).drop());
    t.rule(c"guard", &known(V4, &SOURCES));
    t.rule(c"guard", &known(V4, &NETWORKS));
    t.rule(c"guard", &known(V6, &SOURCES));
    t.rule(c"guard", &known(V6, &NETWORKS));
    t.rule(c"guard", &Rule::new("neighbour discovery").family(V6).link_local_source().accept());
    let unspecified = Rule::new("duplicate address detection");
    t.rule(c"guard", &unspecified.family(V6).begins(Source(V6), &[0; 16]).accept());
    t.rule(c"guard", &Rule::new("a source that this container does not have").drop());
}

/// Forwards: only what is addressed to the host; what merely passes through keeps its destination.
fn publish(t: &mut Transaction) {
    t.rule(c"prerouting", &Rule::new("").for_this_host().goto(c"publish"));
    let mut loopback = [0; 16];
    loopback[15] = 1;
    let loopback = Rule::new("IPv6 has no route_localnet: what is sent to ::1 stays on the host")
        .family(V6)
        .begins(Destination(V6), &loopback);
    t.rule(c"output", &loopback.back());
    t.rule(c"output", &Rule::new("").for_this_host().goto(c"publish"));
    for family in [V4, V6] {
        let (at, any) = ([Destination(family), Load::Protocol, Load::Port], [Load::Protocol, Load::Port]);
        let rule = || Rule::new("").family(family);
        t.rule(c"publish", &rule().translate_destination(family, &at, FORWARDS_AT.of(family)));
        t.rule(c"publish", &rule().translate_destination(family, &any, FORWARDS.of(family)));
    }
}

/// Sources that the other side could not answer to; everybody else's source stays what it is.
fn translate_source(t: &mut Transaction) {
    for family in [V4, V6] {
        let leaving = Rule::new("").family(family).in_set(&[Source(family), Out], MASQUERADE.of(family));
        t.rule(c"postrouting", &leaving.masquerade());
    }
    let from_loopback =
        Rule::new("from the host's loopback to a forward").family(V4).begins(Source(V4), &[127]);
    t.rule(c"postrouting", &from_loopback.in_set(&[Out], &LINKS).masquerade());
}

/// Nothing is routed that no plan asked for.
fn route(t: &mut Transaction) {
    t.rule(c"forward", &Rule::new("").in_set(&[In], &LINKS).goto(c"from_container"));
    t.rule(c"forward", &Rule::new("").in_set(&[Out], &LINKS).goto(c"to_container"));
    let closed = || Rule::new("routes only because of containers, so only for them");
    t.rule(c"forward", &closed().in_set(&[Load::Family, In], &CLOSED).drop());
    t.rule(c"forward", &closed().in_set(&[Load::Family], &CLOSED_FAMILIES).drop());

    t.rule(c"from_container", &Rule::new("answers").of_known_flow().accept());
    t.rule(c"from_container", &Rule::new("would leave with its own source").of_no_flow().drop());
    let neighbour = Rule::new("to a neighbour's forward, by the host's address");
    t.rule(c"from_container", &neighbour.in_set(&[Out], &LINKS).forwarded().accept());
    for family in [V4, V6] {
        let leaving = Rule::new("").family(family).in_set(&[In, Source(family), Out], EGRESS.of(family));
        t.rule(c"from_container", &leaving.accept());
    }
    t.rule(c"from_container", &Rule::new("").drop());

    t.rule(c"to_container", &Rule::new("answers").of_known_flow().accept());
    t.rule(c"to_container", &Rule::new("forwards").forwarded().accept());
    t.rule(c"to_container", &Rule::new("").drop());
}

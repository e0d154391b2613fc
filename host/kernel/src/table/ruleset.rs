//! The tables of nshost: their sets, and the chains that look things up in them.
//!
//! `inet nshost` ([`guard`]) stands between the host and every link of ours, from before it is up: it is made
//! with the first and goes with the last. `inet nshost-nat` ([`nat`]) is there as long as a container has NAT;
//! a host whose containers have none is not made to track its connections.
//!
//! Chains know no container and no address: a launch adds elements to sets, so that a packet's way does not
//! get longer with the number of containers. What they know is the group that all our links are in, and every
//! set is keyed by the link first: an address, a port or a flow decides nothing without the link that it
//! belongs to. What is not about one of our links, or about an interface that routes only because of us,
//! passes untouched; to other firewalls' verdicts nothing is added, as each base chain decides for itself.

pub(crate) mod guard;
pub(crate) mod nat;

use std::ffi::CStr;

use nshost_ledger::Record;
use nshost_plan::Family::{self, V4, V6};

use crate::nft::{Element, Field, Keeping, Set, Transaction};

/// The group (`ip link set group`) of the host's ends of all links that nshost makes: "ns".
pub(crate) const GROUP: u32 = 0x6e73;
/// The bit of the group that says that other people's firewalls let the link's packets through.
pub(crate) const PASSES: u32 = 1 << 16;
/// The group of the links of containers that may pass them.
pub(crate) const PASSING: u32 = GROUP | PASSES;

/// The group of a container's links.
pub(crate) fn group(record: &Record) -> u32 {
    if record.passes { PASSING } else { GROUP }
}

/// A table, and how it is made.
pub(crate) struct Table {
    pub(crate) name: &'static CStr,
    /// Its comment: whose it is, and which layout it has. Another release's containers may live.
    pub(crate) layout: &'static str,
    /// Its sets, chains and rules.
    fill: fn(&mut Transaction),
}

/// Both, in the order in which they are made.
pub(crate) static TABLES: [&Table; 2] = [&guard::TABLE, &nat::TABLE];

impl Table {
    /// Makes it; fails if it is there.
    pub(crate) fn create(&self, transaction: &mut Transaction, keeping: Keeping) {
        transaction.table(self.name, self.layout, keeping);
        (self.fill)(transaction);
    }
}

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

    fn create(&self, transaction: &mut Transaction) {
        transaction.set(&self.v4);
        transaction.set(&self.v6);
    }
}

/// What an element says of itself in errors, and what it holds.
pub(crate) fn element(set: &'static Set, key: Vec<u8>, subject: String) -> Element {
    Element { set, key, end: None, value: None, subject }
}

const fn pair(v4: Set, v6: Set) -> Pair {
    Pair { v4, v6 }
}

const fn set_in(table: &'static CStr, name: &'static CStr, key: &'static [Field]) -> Set {
    map_in(table, name, key, &[])
}

const fn map_in(
    table: &'static CStr,
    name: &'static CStr,
    key: &'static [Field],
    value: &'static [Field],
) -> Set {
    Set { table, name, key, value, ranges: false }
}

const FILTER: &CStr = c"filter";
const NAT: &CStr = c"nat";

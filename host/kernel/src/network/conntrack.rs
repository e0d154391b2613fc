//! Flows that the kernel remembers (`nf_conntrack`), forgotten with the container that they were of.
//!
//! What a flow's addresses are translated to is decided at its first packet. So the client of a port that led
//! to a container that has ended would go on to be heard by whoever has that container's address next, and not
//! by whoever has the port.

use std::net::IpAddr;

use netlink_bindings::utils;
use nshost_plan::Plan;

use crate::{
    Error,
    network::netlink::{Batch, Socket},
};

/// Message types and attributes of `linux/netfilter/nfnetlink_conntrack.h`.
const DELETE: u16 = 2;
const TUPLE_ORIGINAL: u16 = 1;
const TUPLE_REPLY: u16 = 2;
const FILTER: u16 = 25;
const FILTER_ORIGINAL: u16 = 1;
const FILTER_REPLY: u16 = 2;
const TUPLE_IP: u16 = 1;
const SOURCE_V4: u16 = 1;
const SOURCE_V6: u16 = 3;
/// By the tuple's source alone (`CTA_FILTER_F_CTA_IP_SRC`).
const BY_SOURCE: u32 = 1;

/// Forgets all flows that the plan's container began, or that were answered by it. Its addresses are its own as
/// long as it holds them.
///
/// By a filter, which is one walk through what is remembered. A kernel that did not know filters (before 5.8)
/// would forget everything: but there is no NAT on one that has no owned tables (5.12).
pub(crate) fn forget(socket: &mut Socket, plan: &Plan) -> Result<(), Error> {
    let mut batch = Batch::default();
    for address in plan.container_addresses() {
        for which in [TUPLE_ORIGINAL, TUPLE_REPLY] {
            push_forget(&mut batch, which, address);
        }
    }
    let failures = socket.exchange(batch, |_, _, _| {});
    // Nothing is remembered here.
    match failures.into_iter().find(|failure| failure.error.errno() != Some(libc::ENOENT)) {
        Some(failure) => Err(failure.error),
        None => Ok(()),
    }
}

/// Adds a request to forget the flows of which the tuple (of the first packet, or of its answers) has this
/// source.
fn push_forget(batch: &mut Batch, which: u16, address: IpAddr) {
    let family = if address.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 } as u8;
    let (attribute, octets) = match address {
        IpAddr::V4(v4) => (SOURCE_V4, v4.octets().to_vec()),
        IpAddr::V6(v6) => (SOURCE_V6, v6.octets().to_vec()),
    };
    batch.push(message(DELETE), 0, "forget flows", format!("of {address}"), |bytes| {
        // The family counts only in messages of a version above 0.
        bytes.extend([family, 1, 0, 0]);
        let tuple = utils::push_nested_header(bytes, which);
        let ip = utils::push_nested_header(bytes, TUPLE_IP);
        push(bytes, attribute, &octets);
        utils::finalize_nested_header(bytes, ip);
        utils::finalize_nested_header(bytes, tuple);
        let filter = utils::push_nested_header(bytes, FILTER);
        let by = |wanted| if which == wanted { BY_SOURCE } else { 0 };
        push(bytes, FILTER_ORIGINAL, &by(TUPLE_ORIGINAL).to_ne_bytes());
        push(bytes, FILTER_REPLY, &by(TUPLE_REPLY).to_ne_bytes());
        utils::finalize_nested_header(bytes, filter);
    });
}

fn push(bytes: &mut Vec<u8>, kind: u16, value: &[u8]) {
    utils::push_header(bytes, kind, value.len() as u16);
    bytes.extend(value);
    utils::align(bytes);
}

fn message(kind: u16) -> u16 {
    (libc::NFNL_SUBSYS_CTNETLINK as u16) << 8 | kind
}

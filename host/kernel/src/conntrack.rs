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
    netlink::{Batch, Socket, retry},
};

/// Message types and attributes of `linux/netfilter/nfnetlink_conntrack.h`.
const GET: u16 = 1;
const DELETE: u16 = 2;
const TUPLE_ORIGINAL: u16 = 1;
const TUPLE_REPLY: u16 = 2;
const ID: u16 = 12;
const ZONE: u16 = 18;
const FILTER: u16 = 25;
const FILTER_ORIGINAL: u16 = 1;
const FILTER_REPLY: u16 = 2;
const TUPLE_IP: u16 = 1;
/// By the tuple's source alone (`CTA_FILTER_F_CTA_IP_SRC`).
const BY_SOURCE: u32 = 1;

/// A flow, by what tells it from later ones: its tuple as the kernel gave it, its zone and its number.
struct Flow {
    family: u8,
    tuple: Vec<u8>,
    zone: Option<Vec<u8>>,
    id: Vec<u8>,
}

/// Forgets all flows that the plan's container began, or that its host answered for it. Its addresses are its
/// own as long as it holds them.
pub(crate) fn forget(plan: &Plan) -> Result<(), Error> {
    let mut socket = Socket::netfilter()?;
    let mut flows = Vec::new();
    for address in plan.container_addresses() {
        for which in [TUPLE_ORIGINAL, TUPLE_REPLY] {
            flows.extend(retry(|| with_source(&mut socket, which, address))?);
        }
    }
    let mut batch = Batch::default();
    for flow in &flows {
        batch.push(message(DELETE), 0, "forget flow", "of the container", |bytes| {
            bytes.extend([flow.family, 0, 0, 0]);
            push(bytes, TUPLE_ORIGINAL | libc::NLA_F_NESTED as u16, &flow.tuple);
            if let Some(zone) = &flow.zone {
                push(bytes, ZONE, zone);
            }
            push(bytes, ID, &flow.id);
        });
    }
    let failures = socket.exchange(batch, |_, _, _| {});
    // It ended by itself.
    match failures.into_iter().find(|failure| failure.error.errno() != Some(libc::ENOENT)) {
        Some(failure) => Err(failure.error),
        None => Ok(()),
    }
}

/// The flows of which the tuple (of the first packet, or of its answers) has this source.
///
/// Kernels before 5.8 do not know the filter and list everything: so each is looked at here too. (Nor is
/// anything deleted by a filter: one that a kernel did not know would delete everything.)
fn with_source(socket: &mut Socket, which: u16, address: IpAddr) -> Result<Vec<Flow>, Error> {
    let family = if address.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 } as u8;
    let (attribute, octets) = match address {
        IpAddr::V4(v4) => (1, v4.octets().to_vec()),
        IpAddr::V6(v6) => (3, v6.octets().to_vec()),
    };
    let mut batch = Batch::default();
    batch.push(message(GET), libc::NLM_F_DUMP, "list flows", format!("of {address}"), |bytes| {
        bytes.extend([family, 0, 0, 0]);
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
    let mut flows = Vec::new();
    let listed = socket.query(batch, |_, _, body| {
        let Some((header, attributes)) = body.split_first_chunk::<4>() else { return };
        let source = utils::find_attr(attributes, which)
            .and_then(|tuple| utils::find_attr(tuple, TUPLE_IP))
            .and_then(|ip| utils::find_attr(ip, attribute));
        let part = |kind| utils::find_attr(attributes, kind).map(<[u8]>::to_vec);
        if source == Some(&octets)
            && let (Some(tuple), Some(id)) = (part(TUPLE_ORIGINAL), part(ID))
        {
            flows.push(Flow { family: header[0], tuple, zone: part(ZONE), id });
        }
    });
    match listed {
        // Nothing is tracked here, and nothing ever was.
        Err(error) if matches!(error.errno(), Some(libc::ENOENT | libc::EOPNOTSUPP)) => Ok(Vec::new()),
        listed => listed.map(|()| flows),
    }
}

fn push(bytes: &mut Vec<u8>, kind: u16, value: &[u8]) {
    utils::push_header(bytes, kind, value.len() as u16);
    bytes.extend(value);
    utils::align(bytes);
}

fn message(kind: u16) -> u16 {
    (libc::NFNL_SUBSYS_CTNETLINK as u16) << 8 | kind
}

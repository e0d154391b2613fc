//! Addresses on interfaces.

use std::net::IpAddr;

use netlink_bindings::rt_addr::{IfaFlags, Ifaddrmsg, OpNewaddrDo};
use nshost_plan::Cidr;

use crate::network::netlink::Batch;

/// Adds a request that gives `cidr` to the interface of this index.
///
/// IPv6 addresses skip duplicate address detection (`IFA_F_NODAD`): they would be unusable for a
/// second, and the only neighbour on the wire is the other end, whose addresses are in the same plan.
pub(crate) fn add(batch: &mut Batch, index: u32, cidr: Cidr, name: &str) {
    let mut header = Ifaddrmsg::new();
    header.ifa_prefixlen = cidr.prefix();
    header.ifa_index = index;
    let flags = libc::NLM_F_CREATE | libc::NLM_F_EXCL;
    batch.push(libc::RTM_NEWADDR, flags, "add address", format!("{cidr} on {name}"), |bytes| {
        match cidr.address() {
            IpAddr::V4(_) => {
                header.ifa_family = libc::AF_INET as u8;
                OpNewaddrDo::encode_request(bytes, &header)
                    .push_local(cidr.address())
                    .push_address(cidr.address());
            }
            IpAddr::V6(_) => {
                header.ifa_family = libc::AF_INET6 as u8;
                let attributes = OpNewaddrDo::encode_request(bytes, &header);
                attributes.push_local(cidr.address()).push_flags(IfaFlags::Nodad as u32);
            }
        }
    });
}

/// Adds a request that takes an address from the interface of this index.
pub(crate) fn remove(batch: &mut Batch, index: u32, cidr: Cidr, name: &str) {
    let mut header = Ifaddrmsg::new();
    header.ifa_family = if cidr.address().is_ipv4() { libc::AF_INET } else { libc::AF_INET6 } as u8;
    header.ifa_prefixlen = cidr.prefix();
    header.ifa_index = index;
    batch.push(libc::RTM_DELADDR, 0, "remove address", format!("{cidr} on {name}"), |bytes| {
        netlink_bindings::rt_addr::OpDeladdrDo::encode_request(bytes, &header).push_local(cidr.address());
    });
}

//! What the host believes of what comes in by a link of ours, and whether it speaks IPv6 on it at all: set
//! before the link is up, so that there is no moment in which a container could tell the host where to send
//! its packets (CVE-2020-10749 and its class).
//!
//! The table `inet nshost` drops the same messages. Two that each hold alone: a table can be taken away, and
//! a setting can be changed by whatever manages the host's network.

use netlink_bindings::{
    rt_link::{Ifinfomsg, OpSetlinkDo},
    traits::Pusher,
    utils,
};
use nshost_plan::{InterfaceId, LinkName, Place, Plan};

use crate::{
    Error,
    network::{netlink::Batch, sysctl::Sysctls},
};

/// `IFLA_INET_CONF` in the `AF_INET` part of `IFLA_AF_SPEC`.
const INET_CONF: u16 = 1;

/// Numbers of `linux/ip.h` (`IPV4_DEVCONF_…`), values of `ip-sysctl.rst`. Those with which another
/// interface's setting could be stronger than ours are dropped by the table too.
const IPV4: [(u16, u32); 8] = [
    // Nothing is routed; what NAT needs is turned on later, when the table knows what.
    (1, 0),  // forwarding
    (4, 0),  // accept_redirects
    (6, 0),  // send_redirects
    (8, 1),  // rp_filter: no neighbour by a sender that this link does not lead to
    (9, 0),  // accept_source_route
    (18, 2), // arp_announce: speaks only of this link's own addresses
    (19, 1), // arp_ignore: answers only for this link's own addresses
    (23, 0), // accept_local
];

/// IPv6 where the plan has it: the host is no host of the container's, which could otherwise give it
/// addresses and routes.
const IPV6: [&str; 3] = ["accept_ra", "autoconf", "accept_redirects"];

/// Adds a request for the IPv4 settings of the link of this index.
pub(crate) fn push_ipv4(batch: &mut Batch, index: u32, name: &LinkName) {
    let mut header = Ifinfomsg::new();
    header.ifi_index = index as i32;
    batch.push(libc::RTM_SETLINK, 0, "settle IPv4 on", name.as_str(), |bytes| {
        let mut request = OpSetlinkDo::encode_request(bytes, &header);
        let bytes = request.as_vec_mut();
        let families = utils::push_nested_header(bytes, libc::IFLA_AF_SPEC);
        let inet = utils::push_nested_header(bytes, libc::AF_INET as u16);
        let settings = utils::push_nested_header(bytes, INET_CONF);
        for (number, value) in IPV4 {
            utils::push_header(bytes, number, 4);
            bytes.extend(value.to_ne_bytes());
        }
        for nested in [settings, inet, families] {
            utils::finalize_nested_header(bytes, nested);
        }
    });
}

/// Settles IPv6 on all host ends. A kernel without IPv6 has no such settings.
pub(crate) fn settle_ipv6(sysctls: &Sysctls, plan: &Plan) -> Result<(), Error> {
    for (id, end) in plan.interfaces_at(Place::Host) {
        if speaks_ipv6(plan, id) {
            for name in IPV6 {
                sysctls.set(&format!("ipv6/conf/{}/{name}", end.name), false)?;
            }
        } else {
            sysctls.set(&format!("ipv6/conf/{}/disable_ipv6", end.name), true)?;
        }
    }
    Ok(())
}

/// Whether a step of the plan is about IPv6 on this link.
fn speaks_ipv6(plan: &Plan, id: InterfaceId) -> bool {
    let ends = [Some(id), plan.peer(id)].into_iter().flatten();
    ends.flat_map(|id| plan.addresses_of(id)).any(|cidr| cidr.address().is_ipv6())
}

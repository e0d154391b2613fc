//! Routes in the main table.

use netlink_bindings::rt_route::{OpNewrouteDo, Rtmsg};
use nshost_plan::Route;

use crate::network::netlink::Batch;

/// `RTPROT_STATIC`: installed by an administrator, not by a routing daemon that would sweep it away.
const STATIC: u8 = 4;

/// Adds a request for a route by the interface of this index.
pub(crate) fn add(batch: &mut Batch, index: u32, route: &Route, name: &str) {
    let to = route.to;
    let mut header = Rtmsg::new();
    header.rtm_family = if to.address().is_ipv4() { libc::AF_INET } else { libc::AF_INET6 } as u8;
    header.rtm_dst_len = to.prefix();
    header.rtm_table = libc::RT_TABLE_MAIN;
    header.rtm_protocol = STATIC;
    header.rtm_type = libc::RTN_UNICAST;
    header.rtm_scope = match route.via {
        None if to.address().is_ipv4() => libc::RT_SCOPE_LINK,
        _ => libc::RT_SCOPE_UNIVERSE,
    };
    let flags = libc::NLM_F_CREATE | libc::NLM_F_EXCL;
    batch.push(libc::RTM_NEWROUTE, flags, "add route", format!("{to} by {name}"), |bytes| {
        let mut attributes = OpNewrouteDo::encode_request(bytes, &header).push_oif(index);
        if to.prefix() != 0 {
            attributes = attributes.push_dst(to.address());
        }
        if let Some(via) = route.via {
            attributes = attributes.push_gateway(via);
        }
        drop(attributes);
    });
}

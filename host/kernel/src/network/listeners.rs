//! What programs of the host listen on (`sock_diag(7)`).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use netlink_bindings::utils;
use nshost_plan::Protocol;

use crate::{
    Error,
    network::netlink::{Batch, Socket, retry},
};

/// `SOCK_DIAG_BY_FAMILY`.
const BY_FAMILY: u16 = 20;
/// Bits of TCP's states (`net/tcp_states.h`): a listening socket, and one of UDP without a peer.
const LISTEN: u32 = 1 << 10;
const UNCONNECTED: u32 = 1 << 7;
/// `struct inet_diag_req_v2` and `struct inet_diag_msg`, in bytes; each with `struct inet_diag_sockid` in it.
const REQUEST: usize = 56;
const ANSWER: usize = 72;

/// Who listens on this port of this address (unspecified: any), in words; none if nobody does.
pub(crate) fn on(protocol: Protocol, address: IpAddr, port: u16) -> Result<Option<String>, Error> {
    let mut socket = Socket::sock_diag()?;
    // A socket of IPv6's may hear IPv4 too.
    let families = if address.is_ipv4() { &[libc::AF_INET, libc::AF_INET6][..] } else { &[libc::AF_INET6] };
    for family in families {
        let listeners = retry(|| listening(&mut socket, *family, protocol, port))?;
        let clash = |(at, _): &&(IpAddr, u32)| {
            at.is_unspecified()
                || address.is_unspecified() && at.is_ipv4() == address.is_ipv4()
                || *at == address
        };
        if let Some((at, uid)) = listeners.iter().find(clash) {
            let at = SocketAddr::new(*at, port);
            return Ok(Some(format!("{} {at}, of uid {uid},", protocol.name())));
        }
    }
    Ok(None)
}

/// The addresses of the listening sockets on this port, with their owners.
fn listening(
    socket: &mut Socket,
    family: libc::c_int,
    protocol: Protocol,
    port: u16,
) -> Result<Vec<(IpAddr, u32)>, Error> {
    let (number, state) = match protocol {
        Protocol::Tcp => (libc::IPPROTO_TCP, LISTEN),
        Protocol::Udp => (libc::IPPROTO_UDP, UNCONNECTED),
    };
    let mut batch = Batch::default();
    batch.push(BY_FAMILY, libc::NLM_F_DUMP, "list sockets", format!("port {port}"), |bytes| {
        let start = bytes.len();
        bytes.extend([family as u8, number as u8, 0, 0]);
        bytes.extend(state.to_ne_bytes());
        bytes.extend(port.to_be_bytes());
        bytes.resize(start + REQUEST, 0);
    });
    let mut found = Vec::new();
    socket.query(batch, |_, _, body| {
        if let (Some(body), Some(source)) = (body.get(..ANSWER), body.get(4..6))
            && source == port.to_be_bytes()
        {
            found.extend(address(&body[8..24], family).zip(utils::parse_u32(&body[64..68])));
        }
    })?;
    Ok(found)
}

fn address(bytes: &[u8], family: libc::c_int) -> Option<IpAddr> {
    Some(match family {
        libc::AF_INET => Ipv4Addr::from(*bytes.first_chunk()?).into(),
        // One that hears IPv4 at a single address has it mapped (RFC 4291, 2.5.5.2).
        _ => Ipv6Addr::from(*bytes.first_chunk()?).to_canonical(),
    })
}

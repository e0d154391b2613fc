//! Ports of the host that lead into a container, held against everybody else.
//!
//! A forward takes packets before any socket of the host sees them. So a port on which the host listens is not
//! to be had, and one that leads to a container is bound by its launcher, so that no program of the host can
//! begin to listen where it would never hear anything.

use std::{
    net::{IpAddr, SocketAddrV4, SocketAddrV6},
    os::fd::{AsRawFd, OwnedFd},
};

use nix::{
    errno::Errno,
    sys::{
        resource::{Resource, getrlimit, setrlimit},
        socket::{
            AddressFamily, SockFlag, SockType, SockaddrIn, SockaddrIn6, bind, setsockopt, socket, sockopt,
        },
    },
};
use nshost_plan::{Forward, Plan, Protocol};

use crate::{Error, network::listeners};

/// Sockets that are bound and never listen.
#[derive(Debug, Default)]
pub(crate) struct Ports(#[expect(dead_code, reason = "held, and closed with this")] Vec<OwnedFd>);

impl Ports {
    /// Binds every port of the host that the plan forwards; an error names the first on which somebody
    /// listens.
    pub(crate) fn hold(plan: &Plan) -> Result<Ports, Error> {
        let count: u32 = plan.forwards().map(|forward| forward.ports.count()).sum();
        make_room_for(u64::from(count));
        let mut held = Vec::with_capacity(count as usize);
        let everywhere = |forward: &&Forward| forward.host_address.is_none();
        for forward in plan.forwards().filter(everywhere) {
            for (port, _) in forward.pairs() {
                held.extend(hold(forward, port)?);
            }
        }
        for forward in plan.forwards().filter(|forward| !everywhere(forward)) {
            let ours = |port| plan.forwards().filter(everywhere).any(|other| holds_too(other, forward, port));
            for (port, _) in forward.pairs().filter(|(port, _)| !ours(*port)) {
                held.extend(hold(forward, port)?);
            }
        }
        Ok(Ports(held))
    }
}

/// Whether what is held for `everywhere` is this port of `one` too.
fn holds_too(everywhere: &Forward, one: &Forward, port: u16) -> bool {
    let ports = everywhere.ports.first()..=everywhere.ports.last();
    everywhere.protocol == one.protocol
        && everywhere.to.is_ipv4() == one.to.is_ipv4()
        && ports.contains(&port)
}

/// The port, or nothing where it cannot be bound although nobody listens: connections of a server that has
/// ended, or that the host began from there, may linger for a minute.
fn hold(forward: &Forward, port: u16) -> Result<Option<OwnedFd>, Error> {
    let address = forward.host_address.unwrap_or(match forward.to {
        IpAddr::V4(_) => IpAddr::from([0; 4]),
        IpAddr::V6(_) => IpAddr::from([0; 16]),
    });
    match bound(forward.protocol, address, port) {
        Ok(socket) => return Ok(Some(socket)),
        Err(Errno::EADDRINUSE | Errno::EADDRNOTAVAIL | Errno::EMFILE | Errno::ENFILE) => {}
        Err(errno) => return Err(Error::new("hold port", name(forward, address, port), errno)),
    }
    match listeners::on(forward.protocol, address, port)? {
        Some(listener) => Err(taken(forward, address, port, &listener)),
        None => Ok(None),
    }
}

fn bound(protocol: Protocol, address: IpAddr, port: u16) -> nix::Result<OwnedFd> {
    let (family, kind) = (
        if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 },
        if protocol == Protocol::Tcp { SockType::Stream } else { SockType::Datagram },
    );
    let socket = socket(family, kind, SockFlag::SOCK_CLOEXEC, None)?;
    if address.is_ipv6() {
        setsockopt(&socket, sockopt::Ipv6V6Only, &true)?;
    }
    match address {
        IpAddr::V4(v4) => bind(socket.as_raw_fd(), &SockaddrIn::from(SocketAddrV4::new(v4, port)))?,
        IpAddr::V6(v6) => bind(socket.as_raw_fd(), &SockaddrIn6::from(SocketAddrV6::new(v6, port, 0, 0)))?,
    }
    Ok(socket)
}

/// One descriptor a port; the limit that programs start with is made for `select(2)`.
fn make_room_for(ports: u64) {
    if ports < 256 {
        return;
    }
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let wanted = (ports + 256).min(hard).max(soft);
        // What cannot be held is looked at.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, wanted, hard);
    }
}

fn taken(forward: &Forward, address: IpAddr, port: u16, who: &str) -> Error {
    let reason = std::io::Error::other("the host itself uses it");
    Error::new("hold port", name(forward, address, port), reason)
        .hint(format!("{who} listens there; stop it, or choose another port"))
}

fn name(forward: &Forward, address: IpAddr, port: u16) -> String {
    let on = if address.is_unspecified() { String::new() } else { format!(" on {address}") };
    format!("{} {port}{on}", forward.protocol.name())
}

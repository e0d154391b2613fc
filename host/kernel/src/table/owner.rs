//! The socket that owns our tables: who has it, and nobody else, may change them.
//!
//! `nft flush ruleset`, which is how firewall services reload, would otherwise take the guard from all
//! containers that run (`NFT_TABLE_F_OWNER`, Linux 5.12). An owner is a netlink socket and not a process: so all
//! launchers that live have the same one, each by a copy of another's descriptor, and leave word of where they
//! have it. A launcher that ends hands it to the child that tidies up after it, which a second later takes the
//! tables away if nobody has come who needs them: making them and taking them away takes longer than all else
//! that a launch does with them. With `NFT_TABLE_F_PERSIST` (Linux 6.9) the tables stay when all who had the
//! socket were killed: then they are anybody's, guard nobody any more, and are made anew or taken away by the next
//! command of nshost.

use std::{io, mem, os::fd::RawFd, thread, time::Duration};

use nshost_ledger::{Guarding, HostLock, NetworkNamespaceId};

use crate::{
    Error,
    network::{AskOthers, host, netlink::Socket},
    nft::{self, TableSeen},
    process::pidfd,
    table::ruleset::TABLES,
};

/// An owner that nobody tells of is a process that has not closed it yet: at most [`crate::process::leftovers`] of a
/// launcher that was killed, which have it for a second. For longer than this it is somebody else.
const PATIENCE: Duration = Duration::from_millis(5);
const TRIES: u32 = 300;

/// The right to change our tables. To be used under the host's lock: its other holders use it too.
#[derive(Debug)]
pub struct Owner {
    socket: Socket,
}

/// What the caller finds of our tables.
pub(crate) struct Found {
    pub(crate) owner: Owner,
    /// Which of [`TABLES`] are there and the owner's.
    pub(crate) ours: [bool; TABLES.len()],
    /// Which are there and nobody's: what was in them may have been changed by anybody.
    pub(crate) orphaned: [bool; TABLES.len()],
}

impl Owner {
    pub(crate) fn socket(&mut self) -> &mut Socket {
        &mut self.socket
    }

    /// Where this process has it, to be written down for others.
    pub(crate) fn guarding(&self) -> Result<Guarding, Error> {
        Ok(Guarding { launcher: pidfd::own()?, descriptor: self.descriptor() })
    }

    pub(crate) fn descriptor(&self) -> RawFd {
        self.socket.number_of_descriptor()
    }

    /// Leaves the descriptor to be closed where nobody waits; see [`Socket::linger`].
    pub fn linger(self) {
        self.socket.linger();
    }
}

/// Looks at our tables on the caller's host, which is `network`: by `own`, if this process has the socket
/// already, else by a copy of the one that was last left word of, or one of the `others`, else by a new one.
pub(crate) fn find(
    own: Option<Owner>,
    lock: &HostLock,
    network: NetworkNamespaceId,
    others: &AskOthers<'_>,
) -> Result<Found, Error> {
    // The one of which word was left is nearly always the right one. A new one that is not needed would be
    // closed, and that waits for what others have deleted.
    let last = || copy(lock.keeper(network)?, network).ok().flatten();
    let mut owner = match own.or_else(last) {
        Some(owner) => owner,
        None => Owner { socket: Socket::netfilter()? },
    };
    for _ in 0..TRIES {
        let seen = nft::tables(&mut owner.socket, TABLES.map(|table| table.name))?;
        check_layout(&seen)?;
        // It has one since it was sent by.
        let own = owner.socket.address()?;
        let foreign = seen.iter().flatten().find_map(|table| table.owner.filter(|by| *by != own));
        let Some(address) = foreign else { return Ok(sort(owner, &seen)) };
        let words = [lock.keeper(network), lock.former_keeper(network)];
        let known = others()?.into_iter().filter_map(|record| record.guarding);
        match copy_of(address, network, words.into_iter().flatten().chain(known))? {
            Some(copy) => mem::replace(&mut owner, copy).linger(),
            None => thread::sleep(PATIENCE),
        }
    }
    let reason = io::Error::from(io::ErrorKind::PermissionDenied);
    Err(Error::new("change nftables", "table inet nshost", reason).hint(
        "another process owns it, and none that is on record here: is NSHOST_STATE_DIR that of the containers that run, \
         are they of this release, and their launchers in this PID namespace?",
    ))
}

fn sort(owner: Owner, seen: &[Option<TableSeen>; TABLES.len()]) -> Found {
    let is = |owned: bool| seen.each_ref().map(|t| t.as_ref().is_some_and(|t| t.owner.is_some() == owned));
    Found { owner, ours: is(true), orphaned: is(false) }
}

/// The owner of this address, by a descriptor of one of the launchers that live.
fn copy_of(
    address: u32,
    network: NetworkNamespaceId,
    known: impl Iterator<Item = Guarding>,
) -> Result<Option<Owner>, Error> {
    for guarding in known {
        if let Some(owner) = copy(guarding, network)? {
            if owner.socket.address().is_ok_and(|own| own == address) {
                return Ok(Some(owner));
            }
            owner.linger();
        }
    }
    Ok(None)
}

/// The number may be another descriptor's by now: what counts is what it is, and on which host.
fn copy(guarding: Guarding, network: NetworkNamespaceId) -> Result<Option<Owner>, Error> {
    let fd = pidfd::descriptor_of(guarding.launcher, guarding.descriptor).map_err(explain)?;
    let socket = fd.and_then(Socket::shared_netfilter);
    let here = socket.filter(|socket| host::network(socket).is_ok_and(|its| its == network));
    Ok(here.map(|socket| Owner { socket }))
}

fn explain(error: Error) -> Error {
    match error.errno() {
        Some(libc::EPERM) => error.hint(
            "the firewall's table is shared by the launchers' sockets, for which root needs CAP_SYS_PTRACE; without \
             it, or with kernel.yama.ptrace_scope = 3, only one container with a link can run at a time",
        ),
        _ => error,
    }
}

fn check_layout(seen: &[Option<TableSeen>; TABLES.len()]) -> Result<(), Error> {
    let strange = TABLES
        .iter()
        .zip(seen)
        .find(|(table, seen)| seen.as_ref().is_some_and(|seen| seen.comment != table.layout));
    let Some((table, _)) = strange else { return Ok(()) };
    let name = table.name.to_string_lossy();
    let reason = io::Error::other("there is one that this release did not make");
    Err(Error::new("look at nftables", format!("table inet {name}"), reason).hint(format!(
        "end the containers of another release of nshost first; if there are none: nft delete table inet {name}",
    )))
}

//! The container's namespaces and its names.

use std::fmt;

use crate::{
    Result,
    bindings::nshost::setup::{container, types},
    error::answer,
};

/// A kind of namespace (`namespaces(7)`).
// Not an enum: a component imports only what it uses, and a match would use them all.
#[derive(Clone, Copy)]
pub struct Namespace {
    name: &'static str,
    unshare: fn() -> Result<(), types::Error>,
}

/// Users and groups of its own.
pub const USER: Namespace = Namespace { name: "user", unshare: container::unshare_user };
/// Processes of its own; the command is number 1.
pub const PID: Namespace = Namespace { name: "pid", unshare: container::unshare_pid };
/// Mounts of its own.
pub const MOUNT: Namespace = Namespace { name: "mount", unshare: container::unshare_mount };
/// Interfaces, addresses, routes and ports of its own.
pub const NETWORK: Namespace = Namespace { name: "network", unshare: container::unshare_network };
/// Hostname and domain name of its own.
pub const UTS: Namespace = Namespace { name: "uts", unshare: container::unshare_uts };
/// System V and POSIX message queues, semaphores and shared memory of its own.
pub const IPC: Namespace = Namespace { name: "ipc", unshare: container::unshare_ipc };
/// A view of the cgroups of its own.
pub const CGROUP: Namespace = Namespace { name: "cgroup", unshare: container::unshare_cgroup };
/// Boot and monotonic clocks of its own.
pub const TIME: Namespace = Namespace { name: "time", unshare: container::unshare_time };

impl fmt::Debug for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Namespace").field(&self.name).finish()
    }
}

/// Gives the container namespaces of its own. What is not named here, it shares with the host; for
/// these five that takes a grant:
///
/// ```no_run
/// # use nshost_sdk::prelude::*;
/// container::unshare([UTS, IPC, PID, MOUNT, NETWORK])?;
/// # Ok::<(), Error>(())
/// ```
#[track_caller]
pub fn unshare(namespaces: impl IntoIterator<Item = Namespace>) -> Result {
    for namespace in namespaces {
        answer("container::unshare", (namespace.unshare)())?;
    }
    Ok(())
}

/// Sets the hostname: 1 to 64 printable ASCII characters. Needs [`UTS`].
///
/// With [`MOUNT`], and mounts that reach nobody else ([`USER`], [`PID`] or
/// [`private_propagation`](crate::filesystem::private_propagation)), `/etc/hosts` has it before the host's lines, with the
/// container's addresses or 127.0.1.1; but not a name with a space or a `#`.
#[track_caller]
pub fn hostname(name: &str) -> Result {
    answer("container::hostname", container::hostname(name))
}

/// Sets the NIS domain name, by the same rules.
#[track_caller]
pub fn domain_name(name: &str) -> Result {
    answer("container::domain_name", container::domain_name(name))
}

//! What is mounted in the container. Needs [`Mount`](crate::container::MOUNT).

use crate::{Result, bindings::nshost::setup::filesystem, error::answer};

/// Lets no mount event in or out (`mount --make-rprivate /`). Comes before anything is mounted.
#[track_caller]
pub fn private_propagation() -> Result {
    answer("filesystem::private_propagation", filesystem::private_propagation())
}

/// Mounts a `/proc` of the container's own processes. Needs [`Pid`](crate::container::PID), and [`private_propagation`] before it. Where processes
/// and mounts are the container's own, there is no `/proc` without this: the host's is not seen.
#[track_caller]
pub fn mount_proc() -> Result {
    answer("filesystem::mount_proc", filesystem::mount_proc())
}

/// Names one to three name servers in the container's `/etc/resolv.conf`; the grant is `[[resolv-conf]]`.
///
/// ```no_run
/// # use nshost_sdk::prelude::*;
/// filesystem::resolv_conf(&["192.0.2.53", "2001:db8::53"])?;
/// # Ok::<(), Error>(())
/// ```
#[track_caller]
pub fn resolv_conf<S: ToString>(nameservers: &[S]) -> Result {
    let texts: Vec<String> = nameservers.iter().map(S::to_string).collect();
    answer("filesystem::resolv_conf", filesystem::resolv_conf(&texts))
}

//! What is mounted in the container. Needs [`Mount`](crate::container::MOUNT).

use crate::{Result, bindings::nshost::setup::filesystem};

/// Lets no mount event in or out (`mount --make-rprivate /`). Comes before anything is mounted.
pub fn private_propagation() -> Result {
    Ok(filesystem::private_propagation()?)
}

/// Mounts a `/proc` of the container's own processes. Needs [`Pid`](crate::container::PID). Where processes
/// and mounts are the container's own, there is no `/proc` without this: the host's is not seen.
pub fn mount_proc() -> Result {
    Ok(filesystem::mount_proc()?)
}

/// Names one to three name servers in the container's `/etc/resolv.conf`; the grant is `[[resolv-conf]]`.
///
/// ```no_run
/// # use nshost_sdk::prelude::*;
/// filesystem::resolv_conf(&["192.0.2.53", "2001:db8::53"])?;
/// # Ok::<(), Error>(())
/// ```
pub fn resolv_conf<S: ToString>(nameservers: &[S]) -> Result {
    let texts: Vec<String> = nameservers.iter().map(S::to_string).collect();
    Ok(filesystem::resolv_conf(&texts)?)
}

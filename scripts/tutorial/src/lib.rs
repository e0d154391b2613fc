//! The tutorial's container: five namespaces of its own, and one wire to the host.

use nshost_sdk::prelude::*;

fn setup() -> Result {
    facts::no_arguments()?;
    container::unshare([UTS, IPC, PID, MOUNT, NETWORK])?;
    container::hostname("In Namespace")?;
    filesystem::private_propagation()?;
    filesystem::mount_proc()?;

    let veth = link::veth("veth0", "veth1")?;
    veth.host().address("169.254.1.1/30")?.up()?;
    veth.container().address("169.254.1.2/30")?.up()?;
    link::loopback()?.up()?;

    process::command_or("/bin/bash", &[])
}

nshost_sdk::setup!(setup);

//! A container for code that nobody trusts: all eight namespaces are its own, the user's too, and
//! its network is `lo` alone.

use nshost_sdk::prelude::*;

fn setup() -> Result {
    facts::no_arguments()?;
    container::unshare([USER, PID, MOUNT, NETWORK, UTS, IPC, CGROUP, TIME])?;
    container::hostname("isolated")?;
    filesystem::private_propagation()?;
    filesystem::mount_proc()?;
    link::loopback()?.up()?;
    process::command_or("/bin/sh", &[])
}

nshost_sdk::setup!(setup);

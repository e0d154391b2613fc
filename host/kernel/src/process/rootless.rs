//! A host of its own for a launcher without root: user, network and mount namespace, in which it is
//! root and the rest of the code is the same.

use std::{fs, io};

use nix::{
    sched::{CloneFlags, unshare},
    unistd::{getegid, geteuid},
};

use crate::{Error, network::link};

/// Moves this process into a user, network and mount namespace of its own.
///
/// Fails where unprivileged user namespaces are turned off; `nshost doctor` tells by what.
pub fn enter_private_host() -> Result<(), Error> {
    let (user, group) = (geteuid(), getegid());
    let flags = CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS;
    unshare(flags).map_err(|errno| {
        Error::new("unshare", "user, network and mount namespace", errno).hint(
            "without root this needs unprivileged user namespaces; `nshost doctor` tells what forbids them",
        )
    })?;
    write("/proc/self/setgroups", "deny")?;
    write("/proc/self/uid_map", &format!("0 {user} 1\n"))?;
    write("/proc/self/gid_map", &format!("0 {group} 1\n"))?;
    link::loopback_up()
}

fn write(path: &str, text: &str) -> Result<(), Error> {
    fs::write(path, text).map_err(|source: io::Error| Error::new("write", path, source))
}

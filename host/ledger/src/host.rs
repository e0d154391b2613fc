//! Which host this is: effects are undone only where they were made.

use std::{fs, path::Path};

use nix::{errno::Errno, sys::stat::stat};

use crate::{Error, NetworkNamespaceId, Record};

/// The kernel that runs and the network namespace that is called the host's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// `/proc/sys/kernel/random/boot_id`.
    pub boot: String,
    /// The caller's network namespace.
    pub network: NetworkNamespaceId,
}

impl Host {
    /// That of the calling process, as it is now.
    pub fn current() -> Result<Host, Error> {
        let file = Path::new("/proc/sys/kernel/random/boot_id");
        let boot = fs::read_to_string(file).map_err(|source| Error::Io {
            step: "read",
            subject: file.into(),
            source,
        })?;
        Ok(Host { boot: boot.trim_end().to_string(), network: NetworkNamespaceId::current()? })
    }

    /// Whether what the record names lies in this host's network.
    pub fn has(&self, record: &Record) -> bool {
        record.boot == self.boot && record.host == self.network
    }
}

impl NetworkNamespaceId {
    /// That of the calling process, as it is now.
    pub fn current() -> Result<NetworkNamespaceId, Error> {
        // Not /proc/thread-self: the broker has one thread.
        let file = Path::new("/proc/self/ns/net");
        let of = stat(file).map_err(|errno: Errno| Error::io("stat", file, errno))?;
        Ok(NetworkNamespaceId { device: of.st_dev, inode: of.st_ino })
    }
}

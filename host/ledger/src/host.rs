//! Which host this is: effects are undone only where they were made.

use std::{fs, path::Path};

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
    /// With this network namespace, which is the caller's as it is now.
    pub fn of(network: NetworkNamespaceId) -> Result<Host, Error> {
        let file = Path::new("/proc/sys/kernel/random/boot_id");
        let boot = fs::read_to_string(file).map_err(|source| Error::Io {
            step: "read",
            subject: file.into(),
            source,
        })?;
        Ok(Host { boot: boot.trim_end().to_string(), network })
    }

    /// Whether what the record names lies in this host's network.
    pub fn has(&self, record: &Record) -> bool {
        record.boot == self.boot && record.host == self.network
    }
}

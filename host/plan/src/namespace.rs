//! The eight kinds of namespace (`namespaces(7)`).

use std::fmt;

use serde::{Deserialize, Serialize};

/// A kind of namespace that the container gets for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Namespace {
    /// User and group ids; capabilities (`user_namespaces(7)`).
    User,
    /// Process ids (`pid_namespaces(7)`).
    Pid,
    /// Mount points (`mount_namespaces(7)`).
    Mount,
    /// Network devices, addresses, routes, firewall (`network_namespaces(7)`).
    Network,
    /// Hostname and domain name (`uts_namespaces(7)`).
    Uts,
    /// System V IPC and POSIX message queues (`ipc_namespaces(7)`).
    Ipc,
    /// The root of the visible cgroup tree (`cgroup_namespaces(7)`).
    Cgroup,
    /// Monotonic and boot-time clocks (`time_namespaces(7)`).
    Time,
}

impl Namespace {
    /// All eight, in the order in which they are shown.
    pub const ALL: [Namespace; 8] = [
        Namespace::User,
        Namespace::Pid,
        Namespace::Mount,
        Namespace::Network,
        Namespace::Uts,
        Namespace::Ipc,
        Namespace::Cgroup,
        Namespace::Time,
    ];

    /// The name in grants, plans and messages.
    pub fn name(self) -> &'static str {
        match self {
            Namespace::User => "user",
            Namespace::Pid => "pid",
            Namespace::Mount => "mount",
            Namespace::Network => "network",
            Namespace::Uts => "uts",
            Namespace::Ipc => "ipc",
            Namespace::Cgroup => "cgroup",
            Namespace::Time => "time",
        }
    }

    /// The other way round.
    pub fn from_name(name: &str) -> Option<Namespace> {
        Namespace::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A set of namespaces.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Namespaces(u8);

impl Namespaces {
    /// Whether `kind` is in the set.
    pub fn contains(self, kind: Namespace) -> bool {
        self.0 & Self::bit(kind) != 0
    }

    /// Puts `kind` in; false if it was there.
    pub fn insert(&mut self, kind: Namespace) -> bool {
        let new = !self.contains(kind);
        self.0 |= Self::bit(kind);
        new
    }

    /// The members, in the order of [`Namespace::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Namespace> {
        Namespace::ALL.into_iter().filter(move |kind| self.contains(*kind))
    }

    fn bit(kind: Namespace) -> u8 {
        1 << kind as u8
    }
}

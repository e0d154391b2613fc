//! What is written down of one container before anything of it exists.

use nshost_plan::{InterfaceId, LinkName, Place, Plan};
use serde::{Deserialize, Serialize};

use crate::ContainerName;

/// A link's hardware address. Chosen at random before the link is made, it tells our link from
/// anybody else's of the same name.
pub type Mac = [u8; 6];

/// One container's entry. All undo follows from it: it names everything outside of the container
/// that may exist because of it, and how to tell that from other people's things.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Unique: 32 hexadecimal digits, chosen at random.
    pub id: String,
    /// What the operator calls it (`--name`).
    pub name: Option<ContainerName>,
    /// The number that the facts told the script, 0 to 3839; unique among those that hold something.
    pub instance: u16,
    /// Which range of the host's user ids it has (0 to 3839), if it has a user namespace and
    /// its launcher had more than one id to give.
    pub ids: Option<u16>,
    /// `/proc/sys/kernel/random/boot_id`: after a reboot nothing of it is left in the kernel.
    pub boot: String,
    /// The network namespace in which its host side lies.
    pub host: NetworkNamespaceId,
    /// The conntrack zone of what it begins, 1 to 65535, at random; unique among entries that hold something.
    pub zone: u16,
    /// Whether that namespace was made for this launch alone (rootless) and vanishes with it.
    pub host_is_private: bool,
    /// What was permitted.
    pub plan: Plan,
    /// The hardware addresses of the interfaces on the host, in the order of their ids.
    pub macs: Vec<Mac>,
    /// Forwarding that has to be put back: interfaces of the host for which this container needs it,
    /// with what was there before anybody of us came.
    pub forwarding: Vec<ForwardingHold>,
    /// Whether what it routes may be let through other people's firewalls.
    pub passes: bool,
    /// Where rules let it through, to be taken out by the last container that needs them.
    pub passing: Vec<PassHold>,
    /// The container's first process, once it exists.
    pub process: Option<ProcessId>,
    /// Where its launcher has the socket that owns the firewall's tables, from before it changes them.
    pub guarding: Option<Guarding>,
}

/// A network namespace's identity: what no other one has in the same boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum NetworkNamespaceId {
    /// Its cookie (`SO_NETNS_COOKIE`, Linux 5.14), never given again.
    Cookie(u64),
    /// On older kernels device and inode of its file (`namespaces(7)`): one that has ended may have had the
    /// same.
    File {
        /// Device of nsfs.
        device: u64,
        /// Inode.
        inode: u64,
    },
}

/// A descriptor of a launcher's: the socket that owns the firewall's tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guarding {
    /// The launcher.
    pub launcher: ProcessId,
    /// The descriptor's number there.
    pub descriptor: i32,
}

/// A process that cannot be confused with a later one of the same pid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessId {
    /// As the broker sees it.
    pub pid: i32,
    /// What no later process of this pid has in the same boot. Whoever starts and kills processes knows how
    /// to ask the kernel for it.
    pub birth: u64,
}

/// A need for forwarding on an interface that is not ours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForwardingHold {
    /// The interface.
    pub link: LinkName,
    /// For IPv6 (else IPv4).
    pub v6: bool,
    /// Whether it was on before the first of us turned it on.
    pub was_on: bool,
}

/// A need for our rules in a chain of iptables' `filter` table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PassHold {
    /// For IPv6 (else IPv4).
    pub v6: bool,
    /// The chain.
    pub chain: String,
}

impl Record {
    /// The interfaces on the host: id, name, hardware address.
    pub fn host_ends(&self) -> impl Iterator<Item = (InterfaceId, &LinkName, Mac)> {
        self.plan.interfaces_at(Place::Host).zip(&self.macs).map(|((id, end), mac)| (id, &end.name, *mac))
    }

    /// Whether there is anything between it and the host's network.
    pub fn has_links(&self) -> bool {
        !self.macs.is_empty()
    }

    /// Whether addresses are translated for it.
    pub fn has_nat(&self) -> bool {
        self.plan.masquerades().next().is_some() || self.plan.forwards().next().is_some()
    }
}

//! User and group ids of a container with a user namespace (`user_namespaces(7)`).

use std::{fs, io};

use nix::unistd::Pid;
use nshost_ledger::Record;
use nshost_plan::{ContainerId, Namespace, Namespaces};

use crate::Error;

/// How many ids a container has: 0 to 65535, as distributions assume.
const COUNT: u32 = 0x1_0000;

/// Where the containers' ids begin on the host. 0x70000000 to 0x7effffff is a range that neither
/// distributions nor systemd hand out; each container has 65536 of it for itself, by the number
/// that the ledger gave it, so that no two containers and no user of the host share an id.
const FIRST: u32 = 0x7000_0000;
const END: u32 = 0x7f00_0000;

/// The host's id of the container's root.
pub fn host_root(record: &Record) -> u32 {
    record.ids.map_or(0, |ids| FIRST + u32::from(ids) * COUNT)
}

/// Whether this process has the ids of all containers to give: not without root, nor in a container of ours.
pub fn has_ranges() -> bool {
    let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    map.lines().any(|line| {
        let mut numbers = line.split_whitespace().filter_map(|word| word.parse::<u64>().ok());
        let (Some(first), Some(_), Some(count)) = (numbers.next(), numbers.next(), numbers.next()) else {
            return false;
        };
        first <= u64::from(FIRST) && first + count >= u64::from(END)
    })
}

/// Writes the id maps of a child that waits at its gate. A launcher without root, or in a container with a
/// user namespace, maps one id only: its own, which it holds as 0 of its own user namespace.
pub(crate) fn map(record: &Record, pid: Pid) -> Result<(), Error> {
    let count = if record.ids.is_some() { COUNT } else { 1 };
    let line = format!("0 {} {count}\n", host_root(record));
    for file in ["uid_map", "gid_map"] {
        let path = format!("/proc/{pid}/{file}");
        fs::write(&path, &line).map_err(|source: io::Error| Error::new("write id map", path, source))?;
    }
    Ok(())
}

/// The namespaces that the container gets. Without root there is a user namespace in any case: in the
/// launcher's own, its root could write the launcher's memory, and uncover what is hidden from it.
pub(crate) fn namespaces(record: &Record) -> Namespaces {
    let mut namespaces = record.plan.namespaces(ContainerId::FIRST);
    if record.host_is_private {
        namespaces.insert(Namespace::User);
    }
    namespaces
}

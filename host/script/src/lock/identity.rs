//! Who the process is, and whose end is its own.
#![allow(unsafe_code)]

use std::{fs, io};

use super::{check, prctl};

/// The first of the user ids that workers have where the launcher is root. They belong to nobody:
/// above the ranges that distributions, systemd (`UIDS-GIDS`) and `subuid(5)` hand out.
const FIRST_ID: u32 = 0x7f00_0000;
/// `PID_MAX_LIMIT` of 64-bit kernels: process ids are smaller, so two living workers never share an id.
const IDS: u32 = 0x40_0000;

/// Where the launcher is root: a user and group of this process's own, without supplementary groups.
pub(super) fn change() -> io::Result<()> {
    // SAFETY: no arguments, never fails.
    if unsafe { libc::geteuid() } != 0 {
        return Ok(());
    }
    let id = FIRST_ID + std::process::id() % IDS;
    // The raw calls: musl's wrappers stop and ask every thread, and there is one.
    // SAFETY: integers only; setgroups reads no list of length 0.
    let groups = check(unsafe { libc::syscall(libc::SYS_setgroups, 0_usize, std::ptr::null::<u32>()) });
    // SAFETY: integers only.
    let group = check(unsafe { libc::syscall(libc::SYS_setresgid, id, id, id) });
    // SAFETY: integers only.
    let user = check(unsafe { libc::syscall(libc::SYS_setresuid, id, id, id) });
    match groups.and(group).and(user) {
        // Root of a user namespace (rootless) into which no other id is mapped has none to change
        // to; to the host it is an ordinary user, and all other layers hold.
        Err(_) if !mapped(id) => Ok(()),
        other => other.map(drop),
    }
}

/// Whether this user namespace has `id` (`user_namespaces(7)`: lines of "inside outside count").
fn mapped(id: u32) -> bool {
    let Ok(map) = fs::read_to_string("/proc/self/uid_map") else { return true };
    map.lines().any(|line| {
        let mut fields = line.split_whitespace().map(|field| field.parse::<u64>().unwrap_or(0));
        let (first, count) = (fields.next().unwrap_or(0), fields.nth(1).unwrap_or(0));
        (first..first.saturating_add(count)).contains(&u64::from(id))
    })
}

/// Nothing that is executed gains a right from a file (`PR_SET_NO_NEW_PRIVS`).
pub(super) fn no_new_privileges() -> io::Result<()> {
    prctl(libc::PR_SET_NO_NEW_PRIVS, 1)
}

/// The process is killed when its parent ends, and neither traced nor dumped.
pub(super) fn tie_to_parent() -> io::Result<()> {
    // After the change of user, which clears it. A parent that has ended already is noticed as the
    // end of file on the socket.
    prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL as libc::c_ulong)?;
    prctl(libc::PR_SET_DUMPABLE, 0)
}

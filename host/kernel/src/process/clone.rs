//! `clone3(2)`: one call makes the process and all of its namespaces.

#![expect(unsafe_code, reason = "nix has no clone3")]

use std::{
    io, mem,
    os::fd::{FromRawFd, OwnedFd, RawFd},
};

use nix::unistd::Pid;
use nshost_init::Orders;
use nshost_plan::{Namespace, Namespaces};

use crate::{
    Error,
    process::tree::{Tree, Wanted},
};

/// The kernel's `struct clone_args`, first version (64 bytes; Linux 5.3).
#[repr(C)]
#[derive(Default)]
struct CloneArguments {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
}

/// A new process.
pub(crate) struct Cloned {
    pub(crate) pid: Pid,
    pub(crate) pidfd: OwnedFd,
    /// The mount namespace that it was cloned in, if that was made for it.
    pub(crate) tree: Option<OwnedFd>,
}

/// Clones a child into new `namespaces`, where it follows `orders`, from the mounts of a `tree` if one is
/// wanted.
pub(crate) fn into_namespaces(
    namespaces: Namespaces,
    tree: Option<Wanted>,
    orders: &Orders<'_>,
) -> Result<Cloned, Error> {
    assert_single_thread()?;
    let tree = tree.map(|wanted| Tree::enter(wanted, orders.texts)).transpose()?;
    let mut pidfd: RawFd = -1;
    let arguments = CloneArguments {
        flags: namespaces.iter().map(flag).fold(libc::CLONE_PIDFD as u64, |all, one| all | one),
        pidfd: &raw mut pidfd as u64,
        exit_signal: libc::SIGCHLD as u64,
        ..CloneArguments::default()
    };
    // SAFETY: `arguments` is a clone_args of the size given, without CLONE_VM or CLONE_SETTLS, so the
    // child has a copy of this memory and stack like after fork; `pidfd` outlives the call.
    let pid =
        unsafe { libc::syscall(libc::SYS_clone3, &raw const arguments, mem::size_of::<CloneArguments>()) };
    match pid {
        -1 => Err(refused(namespaces)),
        // SAFETY: this is the child, cloned from a single-threaded process (asserted); the orders were
        // rendered before, with their fds open and arrays null-terminated.
        0 => unsafe { nshost_init::run(orders) },
        pid => {
            // SAFETY: the kernel has stored a new, close-on-exec pidfd that nobody else owns.
            let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
            Ok(Cloned { pid: Pid::from_raw(pid as i32), pidfd, tree: tree.and_then(Tree::leave_open) })
        }
    }
}

pub(crate) fn flag(kind: Namespace) -> u64 {
    (match kind {
        Namespace::User => libc::CLONE_NEWUSER,
        Namespace::Pid => libc::CLONE_NEWPID,
        Namespace::Mount => libc::CLONE_NEWNS,
        Namespace::Network => libc::CLONE_NEWNET,
        Namespace::Uts => libc::CLONE_NEWUTS,
        Namespace::Ipc => libc::CLONE_NEWIPC,
        Namespace::Cgroup => libc::CLONE_NEWCGROUP,
        Namespace::Time => 0x80, // CLONE_NEWTIME, which libc does not have
    }) as u64
}

/// A second thread could hold a lock at the moment of the clone, and setns would move only one of them.
/// To unshare a thread group is refused to a process with more than one thread, and is nothing for another
/// (`unshare(2)`, CLONE_THREAD).
fn assert_single_thread() -> Result<(), Error> {
    // SAFETY: flags only, and this one changes nothing.
    match unsafe { libc::unshare(libc::CLONE_THREAD) } {
        0 => Ok(()),
        _ => Err(Error::new("clone", "the launcher", io::Error::other("it has more than one thread"))),
    }
}

fn refused(namespaces: Namespaces) -> Error {
    let names: Vec<&str> = namespaces.iter().map(Namespace::name).collect();
    let error = Error::last("clone", format!("namespaces {}", names.join(" ")));
    let hint = match error.errno() {
        Some(libc::EPERM) => "run as root, or see `nshost doctor` for what keeps this user from it",
        Some(libc::ENOSPC) => "a limit of /proc/sys/user/max_*_namespaces is reached",
        Some(libc::EINVAL) => "this kernel lacks one of these namespaces; `nshost doctor` tells which",
        _ => "",
    };
    error.hint(hint)
}

//! Trying things where they leave no trace: in child processes, in namespaces that end with them.

#![expect(unsafe_code, reason = "fork, and system calls that nix does not have")]

use std::{
    ffi::CStr,
    fs::{self, File},
    io::{Read, Write},
    os::fd::{AsFd, FromRawFd, OwnedFd, RawFd},
    ptr,
};

use nix::{
    errno::Errno,
    fcntl::OFlag,
    sched::{CloneFlags, unshare as nix_unshare},
    sys::wait::waitpid,
    unistd::{ForkResult, fork, getegid, geteuid, pipe2},
};
use nshost_plan::Family;

use crate::{
    Error,
    network::{link, netlink::Socket},
    nft::{
        Field, Hook, Keeping, Set, Transaction,
        rule::{Load, Rule},
    },
    table::ruleset::{GROUP, TABLES},
};

/// What of the network is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Veth,
    Table,
    Ranges,
    Nat,
    Fib,
    Conntrack,
    Kept,
    Whole,
}

impl Part {
    pub(crate) const ALL: [Part; 8] = [
        Part::Veth,
        Part::Table,
        Part::Ranges,
        Part::Nat,
        Part::Fib,
        Part::Conntrack,
        Part::Kept,
        Part::Whole,
    ];

    fn attempt(self) -> Result<(), Error> {
        match self {
            Part::Veth => link::try_veth(),
            Part::Table => table(c"try_table", |_| {}),
            Part::Ranges => table(c"try_ranges", |t| {
                let key = &[Field::Interface, Field::V4];
                t.set(&Set { table: c"try_ranges", name: c"ranges", key, value: &[], ranges: true });
            }),
            Part::Nat => table(c"try_nat", |t| {
                t.chain(
                    c"nat",
                    Some(&Hook { number: libc::NF_INET_POST_ROUTING, priority: 100, kind: c"nat" }),
                );
                t.rule(c"nat", &Rule::new("").family(Family::V4).masquerade());
            }),
            Part::Fib => table(c"try_fib", |t| {
                t.chain(
                    c"fib",
                    Some(&Hook { number: libc::NF_INET_PRE_ROUTING, priority: 0, kind: c"filter" }),
                );
                t.rule(c"fib", &Rule::new("").for_this_host().accept());
            }),
            Part::Conntrack => table(c"try_ct", |t| {
                t.chain(c"ct", Some(&Hook { number: libc::NF_INET_FORWARD, priority: 0, kind: c"filter" }));
                t.rule(c"ct", &Rule::new("").by_group(Load::In, GROUP).answering().accept());
            }),
            Part::Kept => {
                let mut transaction = Transaction::new();
                transaction.table(c"try_kept", "", Keeping::OwnedAndKept);
                transaction.commit(&mut Socket::netfilter()?)
            }
            Part::Whole => {
                let mut transaction = Transaction::new();
                TABLES.iter().for_each(|table| table.create(&mut transaction, Keeping::Owned));
                transaction.commit(&mut Socket::netfilter()?)
            }
        }
    }
}

/// A table and what else is to be tried. It goes with its socket.
fn table(name: &'static CStr, more: impl FnOnce(&mut Transaction)) -> Result<(), Error> {
    let mut transaction = Transaction::new();
    transaction.table(name, "", Keeping::Owned);
    more(&mut transaction);
    transaction.commit(&mut Socket::netfilter()?)
}

/// Whether a namespace of this kind can be made: by root as it is, by others in a user namespace.
pub(crate) fn unshare(kind: CloneFlags) -> Result<(), Errno> {
    let answer = in_child(|_| enter(kind))?;
    answer.first().map_or(Err(Errno::ECHILD), |code| to_result(*code))
}

/// Each part that was tried in a network namespace of its own; none if there was no such namespace.
pub(crate) fn network() -> Vec<(Part, Result<(), Errno>)> {
    let answer = in_child(|results| {
        enter(CloneFlags::CLONE_NEWNET)?;
        for part in Part::ALL {
            let errno = part.attempt().err().map_or(0, |error| error.errno().unwrap_or(libc::EIO));
            results.write_all(&[errno as u8]).map_err(|_| Errno::EPIPE)?;
        }
        Ok(())
    });
    Part::ALL.into_iter().zip(answer.unwrap_or_default().into_iter().skip(1).map(to_result)).collect()
}

/// The version of Landlock's interface (`landlock_create_ruleset(2)`).
pub(crate) fn landlock_abi() -> Result<i32, Errno> {
    const VERSION: u32 = 1;
    // SAFETY: with this flag the kernel takes no pointer.
    let result = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, ptr::null::<u8>(), 0, VERSION) };
    Errno::result(result).map(|abi| abi as i32)
}

/// Whether a filter can end a process (`seccomp(2)`).
pub(crate) fn seccomp_filter() -> Result<(), Errno> {
    let action: u32 = libc::SECCOMP_RET_KILL_PROCESS;
    // SAFETY: only asks about the action that the pointer leads to, which lives through the call.
    let result =
        unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_GET_ACTION_AVAIL, 0, &raw const action) };
    Errno::result(result).map(drop)
}

/// Whether `clone3(2)` is there: it refuses arguments of no size.
pub(crate) fn clone3() -> Result<(), Errno> {
    // SAFETY: a size of 0 is refused before the pointer is looked at.
    let result = unsafe { libc::syscall(libc::SYS_clone3, ptr::null::<u8>(), 0) };
    match Errno::result(result) {
        Err(Errno::EINVAL) => Ok(()),
        Err(errno) => Err(errno),
        Ok(_) => Err(Errno::ENOSYS),
    }
}

/// Whether attributes of mounts can be set; nothing is: no descriptor is -1.
pub(crate) fn mount_setattr() -> Result<(), Errno> {
    let attributes = [0u64; 4];
    let size = std::mem::size_of_val(&attributes);
    // SAFETY: an empty C string, and attributes of the size given.
    let set = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            -1,
            c"".as_ptr(),
            libc::AT_EMPTY_PATH,
            attributes.as_ptr(),
            size,
        )
    };
    match Errno::result(set) {
        // Without rights over the mount namespace that is asked first; a launch has its own.
        Ok(_) | Err(Errno::EBADF | Errno::EPERM) => Ok(()),
        Err(errno) => Err(errno),
    }
}

/// Whether there are keyrings: asks for the session's, and makes none.
pub(crate) fn keyrings() -> Result<(), Errno> {
    const GET_KEYRING_ID: i32 = 0;
    const SESSION: i32 = -3;
    // SAFETY: numbers only.
    let id = unsafe { libc::syscall(libc::SYS_keyctl, GET_KEYRING_ID, SESSION, 0) };
    match Errno::result(id) {
        Ok(_) | Err(Errno::ENOKEY) => Ok(()),
        Err(errno) => Err(errno),
    }
}

/// Whether a process can be held by a descriptor (`pidfd_open(2)`).
pub(crate) fn pidfd() -> Result<(), Errno> {
    // SAFETY: numbers only.
    let fd = Errno::result(unsafe { libc::syscall(libc::SYS_pidfd_open, libc::getpid(), 0) })?;
    // SAFETY: a new fd that nobody else owns.
    drop(unsafe { OwnedFd::from_raw_fd(fd as RawFd) });
    Ok(())
}

fn enter(kind: CloneFlags) -> Result<(), Errno> {
    let (user, group) = (geteuid(), getegid());
    if user.is_root() {
        return nix_unshare(kind);
    }
    nix_unshare(kind | CloneFlags::CLONE_NEWUSER)?;
    let write = |file: &str, text: &str| {
        let path = format!("/proc/self/{file}");
        fs::write(path, text).map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO)))
    };
    write("setgroups", "deny")?;
    write("uid_map", &format!("0 {user} 1\n"))?;
    write("gid_map", &format!("0 {group} 1\n"))
}

/// What `work` writes, after one byte for how it ended.
fn in_child(work: impl FnOnce(&mut dyn Write) -> Result<(), Errno>) -> Result<Vec<u8>, Errno> {
    let (reader, writer) = pipe2(OFlag::O_CLOEXEC)?;
    // SAFETY: the launcher has one thread, so the child can use the heap; it leaves by _exit.
    match unsafe { fork() }? {
        ForkResult::Child => {
            let mut bytes = vec![0];
            let result = work(&mut bytes);
            bytes[0] = result.err().map_or(0, |errno| errno as i32 as u8);
            let _ = nix::unistd::write(writer.as_fd(), &bytes);
            // SAFETY: ends the child without running anything of the parent's.
            unsafe { libc::_exit(0) }
        }
        ForkResult::Parent { child } => {
            drop(writer);
            let mut bytes = Vec::new();
            let read = File::from(reader).read_to_end(&mut bytes);
            while let Err(Errno::EINTR) = waitpid(child, None) {}
            read.map_err(|_| Errno::EIO)?;
            Ok(bytes)
        }
    }
}

fn to_result(code: u8) -> Result<(), Errno> {
    if code == 0 { Ok(()) } else { Err(Errno::from_raw(code.into())) }
}

//! Processes that cannot be confused with later ones of the same pid.

#![expect(unsafe_code, reason = "nix has no pidfd_open, pidfd_send_signal and ioctls of pidfds")]

use std::{
    fs::{self, File},
    io,
    os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd},
    ptr,
};

use nix::{
    errno::Errno,
    sys::{prctl, stat::fstat, statfs::fstatfs},
    unistd::Pid,
};
use nshost_ledger::ProcessId;
use nshost_plan::Namespace;

use crate::Error;

/// `PID_FS_MAGIC` (`linux/magic.h`).
const PIDFS: u64 = 0x5049_4446;

/// From here on nobody without rights over the whole host reads or writes this process's memory, or goes
/// through its `/proc` to what it has open (`ptrace(2)`, dumpable): neither its user's other processes nor
/// what it launches. For others its files there belong to root from now on, so the id maps of a child are
/// written before.
pub fn close_memory() -> Result<(), Error> {
    prctl::set_dumpable(false).map_err(|errno| Error::new("close memory", "of the launcher", errno))
}

/// A living process, by its pid and what no later one of that pid has: the inode of its pidfd (pidfs, Linux
/// 6.9), or its start time (field 22 of `/proc/PID/stat`), which takes ten times as long to ask.
pub(crate) fn identify(pidfd: &OwnedFd, pid: Pid) -> Result<ProcessId, Error> {
    let failed = |errno| Error::new("identify", format!("process {pid}"), errno);
    let kind = fstatfs(pidfd).map_err(failed)?.filesystem_type().0;
    let birth = match kind as u64 {
        PIDFS => fstat(pidfd).map_err(failed)?.st_ino,
        _ => start_time(pid)?,
    };
    Ok(ProcessId { pid: pid.as_raw(), birth })
}

fn start_time(pid: Pid) -> Result<u64, Error> {
    let path = format!("/proc/{pid}/stat");
    let stat = fs::read_to_string(&path).map_err(|e| Error::new("read", &path, e))?;
    // The command's name stands in parentheses and may hold anything; field 3 follows the last one.
    let start =
        stat.rsplit_once(')').and_then(|(_, rest)| rest.split_ascii_whitespace().nth(19)?.parse().ok());
    start.ok_or_else(|| Error::new("read", path, io::Error::from(io::ErrorKind::InvalidData)))
}

/// This process.
pub(crate) fn own() -> Result<ProcessId, Error> {
    let pid = nix::unistd::getpid();
    let pidfd = open(pid.as_raw())?.ok_or_else(|| Error::new("open pidfd", "of itself", Errno::ESRCH))?;
    identify(&pidfd, pid)
}

/// Kills exactly this process, if it is still there; its PID namespace dies with it.
pub fn kill(process: ProcessId) -> Result<(), Error> {
    match hold(process)? {
        Some(pidfd) => signal(&pidfd, libc::SIGKILL),
        None => Ok(()),
    }
}

/// A copy of a descriptor that exactly this process has (`pidfd_getfd(2)`, Linux 5.6); none if the process
/// is not there any more, or has no such descriptor.
///
/// Of exactly this one: whoever has its pid later may have a file there whose closing waits for somebody (FUSE),
/// and the caller has the host's lock.
pub(crate) fn descriptor_of(process: ProcessId, number: RawFd) -> Result<Option<OwnedFd>, Error> {
    let Some(pidfd) = hold(process)? else { return Ok(None) };
    // SAFETY: an open pidfd and numbers.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_getfd, pidfd.as_raw_fd(), number, 0) };
    if fd >= 0 {
        // SAFETY: a new, close-on-exec fd that nobody else owns.
        return Ok(Some(unsafe { OwnedFd::from_raw_fd(fd as RawFd) }));
    }
    let error = Error::last("take a descriptor of", format!("process {}", process.pid));
    match error.errno() {
        Some(libc::EBADF | libc::ESRCH) => Ok(None),
        _ => Err(error),
    }
}

/// A descriptor of exactly this process; none if it is not there any more.
fn hold(process: ProcessId) -> Result<Option<OwnedFd>, Error> {
    let Some(pidfd) = open(process.pid)? else { return Ok(None) };
    // The pidfd holds on to whoever has the pid now; its birth tells whether that is the one.
    let same = identify(&pidfd, Pid::from_raw(process.pid)).is_ok_and(|found| found == process);
    Ok(same.then_some(pidfd))
}

fn open(pid: i32) -> Result<Option<OwnedFd>, Error> {
    // SAFETY: numbers only.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    if fd >= 0 {
        // SAFETY: a new, close-on-exec fd that nobody else owns.
        return Ok(Some(unsafe { OwnedFd::from_raw_fd(fd as RawFd) }));
    }
    let error = Error::last("open pidfd", format!("process {pid}"));
    if error.errno() == Some(libc::ESRCH) { Ok(None) } else { Err(error) }
}

/// Sends a signal through a pidfd; a process that has ended takes none, which is no error.
pub(crate) fn signal(pidfd: &OwnedFd, signal: i32) -> Result<(), Error> {
    // SAFETY: an open pidfd, a signal number, no siginfo, no flags.
    let sent = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            pidfd.as_raw_fd(),
            signal,
            ptr::null::<libc::siginfo_t>(),
            0,
        )
    };
    if sent == 0 {
        return Ok(());
    }
    let error = Error::last("send signal", format!("{signal}"));
    if error.errno() == Some(libc::ESRCH) { Ok(()) } else { Err(error) }
}

/// A child's namespace of this kind, which stays as long as this is open. Asked of the pidfd where it
/// tells (`PIDFD_GET_*_NAMESPACE`, Linux 6.11), which is quicker than a path in `/proc`.
pub(crate) fn namespace(pidfd: &OwnedFd, pid: Pid, kind: Namespace) -> Result<OwnedFd, Error> {
    // The numbers of `linux/pidfd.h`, the names of `/proc/PID/ns`.
    let (number, name) = match kind {
        Namespace::Cgroup => (1, "cgroup"),
        Namespace::Ipc => (2, "ipc"),
        Namespace::Mount => (3, "mnt"),
        Namespace::Network => (4, "net"),
        Namespace::Pid => (5, "pid"),
        Namespace::Time => (7, "time"),
        Namespace::User => (9, "user"),
        Namespace::Uts => (10, "uts"),
    };
    let request = nix::request_code_none!(0xff, number);
    // SAFETY: an open pidfd, and a request that takes no argument.
    let fd = unsafe { libc::ioctl(pidfd.as_raw_fd(), request, 0) };
    if fd >= 0 {
        // SAFETY: a new, close-on-exec fd that nobody else owns.
        return Ok(unsafe { OwnedFd::from_raw_fd(fd) });
    }
    let path = format!("/proc/{pid}/ns/{name}");
    let file = File::open(&path).map_err(|e| Error::new("open namespace", path, e))?;
    Ok(file.into())
}

//! Mounts in the container's own mount namespace.

use core::{
    ffi::{CStr, c_int, c_ulong},
    ptr,
};

use crate::{Orders, Report, Stage, procfs, report};

const SAFE_FLAGS: c_ulong = libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC;

/// Performs what the plan asks for, in the only order in which none of it reaches the host.
pub(crate) fn prepare(orders: &Orders<'_>) -> Result<(), Report> {
    if orders.private_propagation || orders.leave_host_proc {
        // What is unmounted here stays there; and what the host mounts later, a procfs say, is not seen here.
        report::result(mount(None, c"/", None, libc::MS_REC | libc::MS_PRIVATE), Stage::Propagation)?;
    }
    if orders.leave_host_proc {
        procfs::unmount_all().map_err(|errno| Report { stage: Stage::HostProc, errno })?;
    }
    if let Some(text) = orders.resolv_conf {
        report::result(resolv_conf(text), Stage::ResolvConf)?;
    }
    if orders.proc {
        report::result(mount(Some(c"proc"), c"/proc", Some(c"proc"), SAFE_FLAGS), Stage::Proc)?;
    }
    Ok(())
}

/// Puts a file of our own over `/etc/resolv.conf`: written on a small tmpfs, bound from there, the
/// tmpfs unmounted. The tmpfs borrows `/proc` as mount point, which exists everywhere and which
/// nobody but this process sees. Whoever follows `/etc/resolv.conf` as a symbolic link arrives at
/// the bound file too.
fn resolv_conf(text: &[u8]) -> c_int {
    const FILE: &CStr = c"/proc/resolv.conf";
    let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL | libc::O_CLOEXEC | libc::O_NOFOLLOW;
    // SAFETY: paths are C strings; pointer and length are of one slice; the fd is the one opened.
    unsafe {
        if mount(Some(c"tmpfs"), c"/proc", Some(c"tmpfs"), SAFE_FLAGS) < 0 {
            return -1;
        }
        let fd = libc::open(FILE.as_ptr(), flags, 0o644);
        if fd < 0 {
            return -1;
        }
        // The umask is the operator's; the container's resolver must be able to read.
        libc::fchmod(fd, 0o644);
        let written = libc::write(fd, text.as_ptr().cast(), text.len());
        libc::close(fd);
        if written.unsigned_abs() != text.len()
            || mount(Some(FILE), c"/etc/resolv.conf", None, libc::MS_BIND) < 0
        {
            return -1;
        }
        libc::umount2(c"/proc".as_ptr(), libc::MNT_DETACH)
    }
}

fn mount(source: Option<&CStr>, target: &CStr, kind: Option<&CStr>, flags: c_ulong) -> c_int {
    let pointer = |text: Option<&CStr>| text.map_or(ptr::null(), CStr::as_ptr);
    // SAFETY: each pointer is null or a C string that lives through the call; no data.
    unsafe { libc::mount(pointer(source), target.as_ptr(), pointer(kind), flags, ptr::null()) }
}

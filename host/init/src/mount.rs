//! Mounts in the container's own mount namespace.

use core::{
    ffi::{CStr, c_int, c_ulong},
    ptr,
};

use crate::{Orders, Report, Stage, Text, procfs, report};

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
    if !orders.user_namespace {
        put_over(orders.texts)?;
        uncover_proc(orders.texts)?;
    }
    if orders.proc {
        report::result(mount(Some(c"proc"), c"/proc", Some(c"proc"), SAFE_FLAGS), Stage::Proc)?;
    }
    Ok(())
}

/// Puts files of our own over others: written on a small tmpfs, one for all, and bound from there. It borrows `/proc` as
/// mount point, which exists everywhere and which nobody but this process sees. Whoever follows a symbolic link that
/// is in such a place arrives at the bound file too. To be called in a mount namespace that is private and the caller's
/// alone.
pub fn put_over(texts: &[Text<'_>]) -> Result<(), Report> {
    let Some(first) = texts.first() else { return Ok(()) };
    report::result(mount(Some(c"tmpfs"), c"/proc", Some(c"tmpfs"), SAFE_FLAGS), first.stage)?;
    texts.iter().try_for_each(|text| report::result(put_one_over(text), text.stage))
}

/// Unmounts that tmpfs, for which the kernel waits as for grace periods.
pub fn uncover_proc(texts: &[Text<'_>]) -> Result<(), Report> {
    let Some(last) = texts.last() else { return Ok(()) };
    // SAFETY: a C string.
    report::result(unsafe { libc::umount2(c"/proc".as_ptr(), libc::MNT_DETACH) }, last.stage)
}

/// The file keeps its name: over one without, nothing can be mounted again, as in a container in this one.
fn put_one_over(text: &Text<'_>) -> c_int {
    let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL | libc::O_CLOEXEC | libc::O_NOFOLLOW;
    // SAFETY: paths are C strings; pointer and length are of one slice; the fd is the one opened.
    unsafe {
        let fd = libc::open(text.written.as_ptr(), flags, 0o644);
        if fd < 0 {
            return -1;
        }
        // The umask is the operator's; the container's resolver must be able to read.
        libc::fchmod(fd, 0o644);
        if text.owner != 0 && libc::fchown(fd, text.owner, text.owner) < 0 {
            return -1;
        }
        let written = libc::write(fd, text.says.as_ptr().cast(), text.says.len());
        libc::close(fd);
        if written.unsigned_abs() != text.says.len() {
            return -1;
        }
    }
    mount(Some(text.written), text.over, None, libc::MS_BIND)
}

fn mount(source: Option<&CStr>, target: &CStr, kind: Option<&CStr>, flags: c_ulong) -> c_int {
    let pointer = |text: Option<&CStr>| text.map_or(ptr::null(), CStr::as_ptr);
    // SAFETY: each pointer is null or a C string that lives through the call; no data.
    unsafe { libc::mount(pointer(source), target.as_ptr(), pointer(kind), flags, ptr::null()) }
}

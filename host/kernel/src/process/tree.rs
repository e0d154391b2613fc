//! The tree of mounts that a container with a user namespace starts from.
//!
//! What is mounted when the kernel copies a mount namespace for another user namespace is locked there: it
//! cannot be unmounted, moved, or looked under (`mount_namespaces(7)`, restrictions). So what must hold
//! against the container's root is mounted before the clone, in a copy that the launcher enters for that
//! moment.

#![expect(unsafe_code, reason = "nix has no mount_setattr, and its clone takes no function pointer")]

use std::{
    ffi::{CStr, CString},
    fs::{File, OpenOptions},
    os::{fd::OwnedFd, unix::fs::OpenOptionsExt},
    process, ptr,
};

use nix::{
    errno::Errno,
    sched::{CloneFlags, setns, unshare},
    sys::wait::{WaitStatus, waitpid},
    unistd::{Pid, chroot, fchdir},
};
use nshost_init::{Report, Text, procfs};

use crate::Error;

const PROC: &CStr = c"/proc";
const NAMESPACE: &str = "/proc/self/ns/mnt";

/// What the container is to see.
#[derive(Clone, Copy)]
pub(crate) struct Wanted {
    /// Whether nothing that is mounted on the host from now on appears.
    pub private: bool,
    /// Whether processes of the host's are hidden.
    pub without_host_proc: bool,
    /// Whether it will mount a procfs of its own, for which the kernel wants to see one.
    pub own_proc: bool,
}

/// While this lives the launcher is in the copy.
pub(crate) struct Tree {
    /// Held when it is left: its end takes a grace period of the kernel's.
    copy: Option<File>,
    home: File,
    root: File,
    directory: File,
}

impl Tree {
    /// Copies the tree and enters the copy, with texts put over files.
    pub(crate) fn enter(wanted: Wanted, texts: &[Text<'_>]) -> Result<Tree, Error> {
        let procfs = if wanted.without_host_proc { procfs_mounts()? } else { Vec::new() };
        let path = |name: &str| {
            let flags = libc::O_PATH | libc::O_DIRECTORY;
            let opened = OpenOptions::new().read(true).custom_flags(flags).open(name);
            opened.map_err(|e| Error::new("open", name, e))
        };
        let home = File::open(NAMESPACE).map_err(|e| Error::new("open namespace", NAMESPACE, e))?;
        let (root, directory) = (path("/")?, path(".")?);
        unshare(CloneFlags::CLONE_NEWNS).map_err(|errno| Error::new("copy", "the mounts", errno))?;
        let mut tree = Tree { copy: None, home, root, directory };
        tree.copy = Some(File::open(NAMESPACE).map_err(|e| Error::new("open namespace", NAMESPACE, e))?);
        // Before anything is mounted here, which else would appear on the host.
        let kind = if wanted.private { libc::MS_PRIVATE } else { libc::MS_SLAVE };
        mount(None, c"/", libc::MS_REC | kind)?;
        no_set_user_id()?;
        // What cannot be seen here, the kernel keeps from being uncovered there.
        let seen: Vec<CString> = procfs.into_iter().filter(|path| procfs::is_procfs(path)).collect();
        put_over(texts)?;
        if !seen.iter().any(|path| **path == *PROC) {
            uncover_proc(texts)?;
        }
        let mut covered: Vec<CString> = Vec::new();
        for path in seen {
            if covered.iter().any(|above| beneath(above, &path)) {
                continue;
            }
            if wanted.own_proc && *path == *PROC {
                mount_empty_proc()?
            } else {
                cover(&path)?
            }
            covered.push(path);
        }
        Ok(tree)
    }

    #[expect(clippy::disallowed_methods, reason = "this always comes back, or ends the process")]
    fn leave(&self) -> nix::Result<()> {
        setns(&self.home, CloneFlags::CLONE_NEWNS)?;
        // That has put root and working directory at the namespace's root.
        fchdir(&self.root)?;
        chroot(".")?;
        fchdir(&self.directory)
    }
}

impl Tree {
    /// Goes back. The copy ends with what is returned.
    pub(crate) fn leave_open(mut self) -> Option<OwnedFd> {
        self.copy.take().map(OwnedFd::from)
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        // Everything that this process does later would go to the wrong tree.
        if self.leave().is_err() {
            process::abort();
        }
    }
}

/// The places of every procfs, each before those beneath it.
fn procfs_mounts() -> Result<Vec<CString>, Error> {
    let mut found = Vec::new();
    procfs::each(&mut |path| {
        found.push(path.to_owned());
        Ok(())
    })
    .map_err(|errno| Error::new("read", "the mounts", Errno::from_raw(errno)))?;
    found.sort_by_key(|path| path.count_bytes());
    Ok(found)
}

/// What holds the texts is mounted over the `/proc` that is to be covered anyway, where it is: so it stays, and nobody
/// waits for its end.
fn put_over(texts: &[Text<'_>]) -> Result<(), Error> {
    nshost_init::put_over(texts).map_err(|report| not_put(report, texts))
}

fn uncover_proc(texts: &[Text<'_>]) -> Result<(), Error> {
    nshost_init::uncover_proc(texts).map_err(|report| not_put(report, texts))
}

fn not_put(report: Report, texts: &[Text<'_>]) -> Error {
    let which = texts.iter().find(|text| text.stage == report.stage);
    let file = which.map_or_else(String::new, |text| text.over.to_string_lossy().into_owned());
    Error::new("put in place", file, Errno::from_raw(report.errno)).hint("is it there, to mount over?")
}

/// Whether it is the same place, or in it.
fn beneath(above: &CStr, path: &CStr) -> bool {
    path.to_bytes().strip_prefix(above.to_bytes()).is_some_and(|rest| matches!(rest, [] | [b'/', ..]))
}

/// Mounts something over it in which nothing is: one may have bound a single file of a procfs somewhere.
fn cover(path: &CStr) -> Result<(), Error> {
    const NOTHING: &CStr = c"/dev/null";
    match mount(Some(c"tmpfs"), path, SAFE_FLAGS | libc::MS_RDONLY) {
        Err(error) if error.errno() == Some(libc::ENOTDIR) => bind(NOTHING, path),
        covered => covered,
    }
}

const SAFE_FLAGS: libc::c_ulong = libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC;

fn mount(kind: Option<&CStr>, at: &CStr, flags: libc::c_ulong) -> Result<(), Error> {
    let kind = kind.map_or(ptr::null(), CStr::as_ptr);
    // SAFETY: each pointer is null or a C string that lives through the call; no data.
    match unsafe { libc::mount(kind, at.as_ptr(), kind, flags, ptr::null()) } {
        0 => Ok(()),
        _ => Err(Error::last("mount", at.to_string_lossy())),
    }
}

fn bind(source: &CStr, at: &CStr) -> Result<(), Error> {
    // SAFETY: C strings that live through the call; neither kind nor data.
    match unsafe { libc::mount(source.as_ptr(), at.as_ptr(), ptr::null(), libc::MS_BIND, ptr::null()) } {
        0 => Ok(()),
        _ => Err(Error::last("mount", at.to_string_lossy())),
    }
}

/// No file on these mounts gives whoever executes it another's rights: a former container may have left it,
/// for an owner who has its ids now (`mount_setattr(2)`).
fn no_set_user_id() -> Result<(), Error> {
    const NOSUID: u64 = 2;
    // struct mount_attr: set, clear, propagation, user namespace.
    let attributes: [u64; 4] = [NOSUID, 0, 0, 0];
    // SAFETY: a C string, and attributes of the size given.
    let set = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            libc::AT_FDCWD,
            c"/".as_ptr(),
            libc::AT_RECURSIVE,
            attributes.as_ptr(),
            size_of_val(&attributes),
        )
    };
    if set == 0 {
        return Ok(());
    }
    let hint =
        "a user namespace with mounts of its own needs Linux 5.12, and a root directory that is a mount";
    Err(Error::last("set nosuid", "on the container's mounts").hint(hint))
}

/// Mounts the procfs of a PID namespace that ends at once: it shows no process, and is what the kernel wants
/// to see before it lets a user namespace mount one of its own.
fn mount_empty_proc() -> Result<(), Error> {
    const STACK: usize = 16 << 10;
    let mut stack = vec![0u128; STACK / size_of::<u128>()];
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_NEWPID | libc::SIGCHLD;
    // SAFETY: the stack's end is that of a block of STACK bytes, aligned to 16. The child has this memory while
    // this process stands still, and does two system calls.
    let pid =
        unsafe { libc::clone(mount_and_end, stack.as_mut_ptr_range().end.cast(), flags, ptr::null_mut()) };
    let failed = |errno| Error::new("mount", "an empty /proc", errno);
    if pid < 0 {
        return Err(failed(Errno::last()));
    }
    let status = loop {
        match waitpid(Pid::from_raw(pid), None) {
            Err(Errno::EINTR) => continue,
            other => break other.map_err(failed)?,
        }
    };
    match status {
        WaitStatus::Exited(_, 0) => Ok(()),
        WaitStatus::Exited(_, errno) => Err(failed(Errno::from_raw(errno))
            .hint("a user namespace may mount /proc only where the host's is not partly hidden")),
        _ => Err(failed(Errno::EINTR)),
    }
}

extern "C" fn mount_and_end(_: *mut libc::c_void) -> libc::c_int {
    // SAFETY: C strings; no data; ends this child without running anything of the parent's.
    unsafe {
        let kind = c"proc".as_ptr();
        let errno = match libc::mount(kind, PROC.as_ptr(), kind, SAFE_FLAGS, ptr::null()) {
            0 => 0,
            _ => *libc::__errno_location(),
        };
        libc::_exit(errno)
    }
}

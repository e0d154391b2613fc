//! The host's procfs, wherever it is mounted: through it a process reaches others that are not in its PID
//! namespace.

mod mountinfo;
mod statmount;

use core::{
    ffi::{CStr, c_int, c_long},
    mem,
};

use crate::report;

/// `PROC_SUPER_MAGIC` (`linux/magic.h`).
const MAGIC: c_long = 0x9fa0;

/// Calls `visit` with the place of each procfs in this mount namespace, until that fails. What is hidden
/// under another mount is at the place where that hides it. A place may come twice. An error is an `errno`.
pub fn each(visit: &mut dyn FnMut(&CStr) -> Result<(), c_int>) -> Result<(), c_int> {
    if statmount::each(visit)? { Ok(()) } else { mountinfo::each(visit) }
}

/// Unmounts every procfs of this mount namespace, with what is mounted in it, but for those that the kernel has
/// locked there and that show nobody: a container with a user namespace has them, and so have those in it.
/// `EBUSY`: one lies beneath another mount, from where root could uncover it.
pub(crate) fn unmount_all() -> Result<(), c_int> {
    let mut hidden = false;
    each(&mut |path| {
        hidden |= !is_procfs(path);
        // Several may lie over each other.
        while is_procfs(path) {
            // SAFETY: a C string.
            if unsafe { libc::umount2(path.as_ptr(), libc::MNT_DETACH | libc::UMOUNT_NOFOLLOW) } < 0 {
                let errno = report::errno();
                return if errno == libc::EINVAL && shows_nobody(path) { Ok(()) } else { Err(errno) };
            }
        }
        Ok(())
    })?;
    // Nearly always one that has gone with what it was mounted in, or with its twin above.
    let nobodys = |path: &CStr| is_procfs(path) && shows_nobody(path);
    if hidden { each(&mut |path| if nobodys(path) { Ok(()) } else { Err(libc::EBUSY) }) } else { Ok(()) }
}

/// Whether a procfs is of a PID namespace that has ended: its first process is the last.
fn shows_nobody(path: &CStr) -> bool {
    // SAFETY: C strings; the fd is the one opened.
    unsafe {
        let procfs = libc::open(path.as_ptr(), libc::O_PATH | libc::O_DIRECTORY | libc::O_CLOEXEC);
        let first = libc::faccessat(procfs, c"1".as_ptr(), libc::F_OK, 0);
        let absent = procfs >= 0 && first < 0 && report::errno() == libc::ENOENT;
        if procfs >= 0 {
            libc::close(procfs);
        }
        absent
    }
}

/// Whether what is seen at this place is a procfs, or in one.
pub fn is_procfs(path: &CStr) -> bool {
    // SAFETY: a statfs of zeroes is one; the path is a C string.
    unsafe {
        let mut stat: libc::statfs = mem::zeroed();
        libc::statfs(path.as_ptr(), &raw mut stat) == 0 && stat.f_type as c_long == MAGIC
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn both_ways_find_the_same() {
        let (mut by_list, mut by_text) = (BTreeSet::new(), BTreeSet::new());
        mountinfo::each(&mut |path| {
            by_text.insert(path.to_owned());
            Ok(())
        })
        .unwrap();
        let told = statmount::each(&mut |path| {
            by_list.insert(path.to_owned());
            Ok(())
        });
        assert!(by_text.contains(c"/proc"), "{by_text:?}");
        // Before Linux 6.8, or where a seccomp filter does not know it, the text is all there is.
        if told.unwrap() {
            assert_eq!(by_list, by_text);
        }
    }

    #[test]
    fn a_failing_visit_ends_it() {
        assert_eq!(each(&mut |_| Err(libc::EXDEV)), Err(libc::EXDEV));
    }
}

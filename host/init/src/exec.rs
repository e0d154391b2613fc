//! The last step.

use core::{
    ffi::{CStr, c_char, c_int},
    mem::MaybeUninit,
};

use crate::{Orders, Program, Stage, report};

/// Executes the program of the orders.
///
/// # Safety
/// `orders.arguments` and `orders.environment` are null-terminated arrays of C strings.
pub(crate) unsafe fn command(orders: &Orders<'_>) -> ! {
    // SAFETY: the caller vouches for both arrays.
    let reason = unsafe {
        match orders.program {
            Program::First(candidates) => first(orders, candidates),
            Program::File { path, device, inode } => file(orders, path, device, inode),
            Program::Missing(errno) => errno,
        }
    };
    report::fail_with(orders.report, Stage::Exec, reason)
}

/// Executes the first candidate that can be, as `execvp(3)` looks through `PATH`: what is not there
/// is passed over, what may not be executed is remembered. Returns why none could be.
///
/// # Safety
/// As for [`command`].
unsafe fn first(orders: &Orders<'_>, candidates: &[&CStr]) -> c_int {
    let mut reason = libc::ENOENT;
    for candidate in candidates {
        // SAFETY: a C string and the caller's arrays.
        unsafe { libc::execve(candidate.as_ptr(), orders.arguments, orders.environment) };
        match report::errno() {
            libc::ENOENT | libc::ENOTDIR => {}
            libc::EACCES => reason = libc::EACCES,
            other => return other,
        }
    }
    reason
}

/// Executes the file at `path` by a descriptor, if it is this one: what the path leads to now, or a moment
/// later, is not what was granted. Returns why not: `ESTALE` if it is another.
///
/// # Safety
/// As for [`command`].
unsafe fn file(orders: &Orders<'_>, path: &CStr, device: u64, inode: u64) -> c_int {
    let mut how = MaybeUninit::<libc::open_how>::zeroed();
    let mut found = MaybeUninit::<libc::stat>::zeroed();
    // SAFETY: both structs are plain numbers, for which zero is a value; pointers and sizes are theirs.
    unsafe {
        (*how.as_mut_ptr()).flags = (libc::O_PATH | libc::O_CLOEXEC) as u64;
        (*how.as_mut_ptr()).resolve = libc::RESOLVE_NO_MAGICLINKS;
        let size = size_of::<libc::open_how>();
        let fd = libc::syscall(libc::SYS_openat2, libc::AT_FDCWD, path.as_ptr(), how.as_ptr(), size) as c_int;
        if fd < 0 || libc::fstat(fd, found.as_mut_ptr()) < 0 {
            return report::errno();
        }
        let found = found.assume_init();
        if (found.st_dev, found.st_ino) != (device, inode) {
            return libc::ESTALE;
        }
        execute(orders, fd);
        // A script (`#!`): its interpreter would find the descriptor closed, so that it is left open.
        if report::errno() == libc::ENOENT {
            if !can_be_read(fd) {
                return libc::EOPNOTSUPP;
            }
            libc::fcntl(fd, libc::F_SETFD, 0);
            execute(orders, fd);
        }
        report::errno()
    }
}

/// Returns only if it cannot be executed.
///
/// # Safety
/// As for [`command`]; `fd` is open.
unsafe fn execute(orders: &Orders<'_>, fd: c_int) {
    let (arguments, environment) = (orders.arguments, orders.environment);
    // SAFETY: the fd, an empty C string, and the caller's arrays.
    unsafe {
        libc::syscall(libc::SYS_execveat, fd, c"".as_ptr(), arguments, environment, libc::AT_EMPTY_PATH)
    };
}

/// Whether there is a `/dev/fd/N` by which an interpreter can read its script.
fn can_be_read(fd: c_int) -> bool {
    const LONGEST: usize = 10;
    let mut path = *b"/dev/fd/\0\0\0\0\0\0\0\0\0\0\0";
    let start = path.len() - 1 - LONGEST;
    let length = (1..).zip(core::iter::successors(Some(fd), |rest| Some(rest / 10).filter(|rest| *rest > 0)));
    let Some((length, _)) = length.last() else { return false };
    let mut rest = fd;
    for digit in path[start..start + length].iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    // SAFETY: the bytes end in a NUL.
    unsafe { libc::access(path.as_ptr().cast::<c_char>(), libc::R_OK) == 0 }
}

/// Whether one stands where the plan says, by the path that the container has for it: a symbolic link leads
/// to where nobody granted anything. `/` is where everybody begins.
pub(crate) fn check_working_directory(orders: &Orders<'_>) {
    let wanted = orders.working_directory.to_bytes_with_nul();
    let mut path = [0u8; 4096];
    if wanted == b"/\0" {
        return;
    }
    // SAFETY: a writable buffer with its length.
    let length = unsafe { libc::syscall(libc::SYS_getcwd, path.as_mut_ptr(), path.len()) };
    if usize::try_from(length).ok().and_then(|length| path.get(..length)) != Some(wanted) {
        report::fail_with(orders.report, Stage::WorkingDirectory, libc::ESTALE);
    }
}

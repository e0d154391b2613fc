//! Session, terminal, signals, working directory, descriptors.

use core::{ffi::c_int, mem, ptr};

use crate::{Orders, Stage, report};

/// Starts a session of its own, so that the operator's terminal is not this one's controlling
/// terminal (no TIOCSTI way back), and takes the pseudo-terminal in its place if there is one.
pub(crate) fn detach_from_terminal(orders: &Orders<'_>) {
    // SAFETY: these take numbers only; each fd is open.
    unsafe {
        report::check(libc::setsid(), orders.report, Stage::Terminal);
        let Some(terminal) = orders.terminal else { return };
        report::check(libc::ioctl(terminal, libc::TIOCSCTTY, 0), orders.report, Stage::Terminal);
        for (fd, wanted) in (0..).zip(orders.terminal_for) {
            if wanted {
                report::check(libc::dup2(terminal, fd), orders.report, Stage::Terminal);
            }
        }
    }
}

/// Gives every signal its default action: what the broker set up for itself is not the command's. But those that
/// were `ignored` before it stay so, as `nohup` and a shell's background want it. Those that the broker blocks
/// stay so for now.
pub(crate) fn reset_actions(ignored: u64) {
    // The kernel's own struct, zeroed: SIG_DFL, no flags, empty mask. By system call, since libc
    // keeps some real-time signals to itself and would leave them ignored.
    let default = [0u64; 4];
    for signal in (1..=64).filter(|signal| ignored & (1 << (signal - 1)) == 0) {
        // SAFETY: `default` is as large as the kernel's sigaction (32 bytes; 24 on aarch64); the
        // mask is the kernel's 8 bytes. SIGKILL and SIGSTOP fail, which is right.
        unsafe { libc::syscall(libc::SYS_rt_sigaction, signal, default.as_ptr(), ptr::null::<u64>(), 8) };
    }
}

/// Blocks the signals of `mask` (bit N-1 for signal N), and no others.
pub(crate) fn set_signal_mask(mask: u64) {
    // SAFETY: the kernel's mask is 8 bytes.
    unsafe {
        libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, &raw const mask, ptr::null::<u64>(), 8)
    };
}

/// Goes where the command starts. What leads elsewhere than its name says is refused (`/proc/self/cwd` is
/// where the operator stands); so is a directory that is not beneath this root (an inherited handle from
/// outside, say): `getcwd(2)` then begins with "(unreachable)".
pub(crate) fn enter_working_directory(orders: &Orders<'_>) {
    let mut path = [0u8; 4096];
    let (flags, mode) = ((libc::O_PATH | libc::O_DIRECTORY | libc::O_CLOEXEC) as u64, 0);
    // The kernel's struct open_how: flags, mode, resolve.
    let how: [u64; 3] = [flags, mode, libc::RESOLVE_NO_MAGICLINKS];
    // SAFETY: a C string; an open_how with its size; the fd that was opened; a writable buffer with its length.
    unsafe {
        let name = orders.working_directory.as_ptr();
        let directory =
            libc::syscall(libc::SYS_openat2, libc::AT_FDCWD, name, how.as_ptr(), mem::size_of_val(&how))
                as c_int;
        report::check(directory, orders.report, Stage::WorkingDirectory);
        report::check(libc::fchdir(directory), orders.report, Stage::WorkingDirectory);
        libc::close(directory);
        let length = libc::syscall(libc::SYS_getcwd, path.as_mut_ptr(), path.len());
        if length <= 0 || path[0] != b'/' {
            report::fail_with(orders.report, Stage::WorkingDirectory, libc::ENOENT);
        }
    }
}

/// Nothing but standard input, output and error goes through exec, and none of these if it is a directory:
/// from one that was opened outside, a path leads on through the host's mounts, whatever is mounted here.
pub(crate) fn close_on_exec(orders: &Orders<'_>) {
    for fd in 0..3 {
        // SAFETY: a stat of zeroes is one, and writable; a descriptor that is not open is an error.
        let kind = unsafe {
            let mut stat: libc::stat = mem::zeroed();
            if libc::fstat(fd, &raw mut stat) == 0 { stat.st_mode & libc::S_IFMT } else { 0 }
        };
        if kind == libc::S_IFDIR {
            report::fail_with(orders.report, Stage::Descriptors, libc::EISDIR);
        }
    }
    // SAFETY: numbers only.
    let result =
        unsafe { libc::syscall(libc::SYS_close_range, 3, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) } as c_int;
    report::check(result, orders.report, Stage::Descriptors);
}

//! What is done where nobody waits for it.

#![expect(unsafe_code, reason = "fork, and close_range which nix does not have")]

use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use nix::{
    errno::Errno,
    fcntl::OFlag,
    unistd::{ForkResult, fork, pipe2},
};

/// Drops these descriptors in a child process, for which nobody waits, and does `work` there: whoever
/// closes one last may have to wait for the kernel, and so has the work. If there can be no child, the
/// descriptors are closed here, and the work is left.
///
/// The child holds no other descriptor than these and `kept`: no lock, no pipe to whoever reads this
/// process's output. To be called last: the child becomes a zombie until this process exits.
pub(crate) fn after_exit(descriptors: Vec<OwnedFd>, kept: &[RawFd], work: impl FnOnce()) {
    let Ok((reader, writer)) = pipe2(OFlag::O_CLOEXEC) else { return };
    let ours = descriptors.iter().map(AsRawFd::as_raw_fd);
    let mut open: Vec<RawFd> = ours.chain(kept.iter().copied()).chain([reader.as_raw_fd()]).collect();
    open.sort_unstable();
    // SAFETY: this process has one thread, so the child finds memory and locks as in any process; it
    // leaves by _exit.
    match unsafe { fork() } {
        Ok(ForkResult::Child) => {
            close_all_but(&open);
            wait_for_end(&reader);
            work();
            // SAFETY: ends the child without running anything of the parent's.
            unsafe { libc::_exit(0) }
        }
        // Ours go first, which is quick since the child has them too; then the pipe, which tells it.
        Ok(ForkResult::Parent { .. }) => {
            drop(descriptors);
            drop(writer);
        }
        Err(_) => {}
    }
}

/// `kept` is in order. On a kernel without `close_range(2)` (before 5.9) the rest stays open until exit.
fn close_all_but(kept: &[RawFd]) {
    let mut first = 0;
    for &fd in kept {
        close_range(first, fd - 1);
        first = fd + 1;
    }
    close_range(first, RawFd::MAX);
}

fn close_range(first: RawFd, last: RawFd) {
    if first <= last {
        // SAFETY: numbers only; in this child nobody uses the descriptors that it closes.
        unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
    }
}

fn wait_for_end(reader: &OwnedFd) {
    let mut byte = [0];
    while let Err(Errno::EINTR) = nix::unistd::read(reader, &mut byte) {}
}

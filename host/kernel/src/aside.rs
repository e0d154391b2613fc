//! Closing descriptors where nobody waits for it.

#![expect(unsafe_code, reason = "fork, and close_range which nix does not have")]

use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use nix::{
    errno::Errno,
    fcntl::OFlag,
    unistd::{ForkResult, fork, pipe2},
};

/// Drops these descriptors in a child process, for which nobody waits: whoever closes one last may
/// have to wait for the kernel. If there can be no child, they are closed here.
///
/// The child holds nothing else for longer than it takes to close it: no lock, no pipe to whoever
/// reads this process's output.
pub(crate) fn drop_elsewhere(descriptors: Vec<OwnedFd>) {
    let Ok((reader, writer)) = pipe2(OFlag::O_CLOEXEC) else { return };
    let mut kept: Vec<RawFd> =
        descriptors.iter().map(AsRawFd::as_raw_fd).chain([reader.as_raw_fd()]).collect();
    kept.sort_unstable();
    // SAFETY: the child calls nothing but close_range, read and _exit, and does not touch the heap.
    match unsafe { fork() } {
        Ok(ForkResult::Child) => {
            close_all_but(&kept);
            wait_for_end(&reader);
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

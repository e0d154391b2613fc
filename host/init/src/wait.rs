//! The gate, and the bond with the broker's life.

use core::ffi::c_ulong;

use crate::{Orders, Stage, report};

/// Waits until the broker has done all of its work. Fails closed: end-of-file, an error or a wrong
/// byte means that the broker is gone or broken, and then the command never runs.
pub(crate) fn at_gate(orders: &Orders<'_>) {
    let mut byte = 0u8;
    // SAFETY: both fds are the broker's ends, which it keeps itself; `byte` is one writable byte.
    let opened = unsafe {
        libc::close(orders.gate_opener);
        libc::close(orders.report_reader);
        loop {
            let read = libc::read(orders.gate, (&raw mut byte).cast(), 1);
            if read != -1 || report::errno() != libc::EINTR {
                break read == 1 && byte == 1;
            }
        }
    };
    if !opened {
        // SAFETY: takes any status.
        unsafe { libc::_exit(125) }
    }
}

/// Has the kernel kill this process when the broker dies. After the change of ids, since that
/// clears the setting (`prctl(2)`, PR_SET_PDEATHSIG); and if the broker died before, its end of the
/// report socket is closed by now.
pub(crate) fn die_with_parent(orders: &Orders<'_>) {
    // SAFETY: the option takes a signal number.
    let set = unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL as c_ulong) };
    report::check(set, orders.report, Stage::ParentDeath);
    let mut socket = libc::pollfd { fd: orders.report, events: 0, revents: 0 };
    // SAFETY: one pollfd, no waiting.
    unsafe {
        libc::poll(&raw mut socket, 1, 0);
        if socket.revents & libc::POLLHUP != 0 {
            libc::_exit(125);
        }
    }
}

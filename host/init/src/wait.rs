//! The gate, and the bond with the broker's life.

use core::ffi::{c_int, c_ulong};

use crate::{Orders, Stage, report};

/// Waits until the broker has done all of its work. Fails closed: end-of-file, an error or a wrong
/// byte means that the broker is gone or broken, and then the command never runs.
pub(crate) fn at_gate(orders: &Orders<'_>) {
    let mut byte = 0u8;
    // SAFETY: `byte` is one writable byte.
    let opened = unsafe {
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

/// Closes everything that this copy of the broker does not need itself: its ends of gate and report,
/// without which their end would never be seen, and above all the lock that is its sign of life.
pub(crate) fn close_the_brokers(orders: &Orders<'_>) {
    let or_gate = |fd: Option<c_int>| fd.unwrap_or(orders.gate);
    let mut kept = [orders.gate, orders.report, or_gate(orders.terminal), or_gate(orders.stopped)];
    kept.sort_unstable();
    let mut first = 3;
    for fd in kept {
        close_range(first, fd - 1);
        first = fd + 1;
    }
    close_range(first, c_int::MAX);
}

fn close_range(first: c_int, last: c_int) {
    if first <= last {
        // SAFETY: numbers only; nothing in this process uses the descriptors that it closes.
        unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
    }
}

/// Has the kernel kill this process when the broker dies. After the change of ids, since that
/// clears the setting (`prctl(2)`, PR_SET_PDEATHSIG); and if the broker died before, its end of the
/// report pipe is closed by now.
pub(crate) fn die_with_parent(orders: &Orders<'_>) {
    // SAFETY: the option takes a signal number.
    let set = unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL as c_ulong) };
    report::check(set, orders.report, Stage::ParentDeath);
    let mut pipe = libc::pollfd { fd: orders.report, events: 0, revents: 0 };
    // SAFETY: one pollfd, no waiting. A pipe without a reader is an error to its writer.
    unsafe {
        libc::poll(&raw mut pipe, 1, 0);
        if pipe.revents & libc::POLLERR != 0 {
            libc::_exit(125);
        }
    }
}

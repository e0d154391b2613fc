//! The last step.

use crate::{Orders, Stage, report};

/// Executes the first candidate that can be, as `execvp(3)` looks through `PATH`: what is not there
/// is passed over, what may not be executed is remembered.
///
/// # Safety
/// `orders.arguments` and `orders.environment` are null-terminated arrays of C strings.
pub(crate) unsafe fn command(orders: &Orders<'_>) -> ! {
    let mut reason = libc::ENOENT;
    for candidate in orders.candidates {
        // SAFETY: a C string and the caller's arrays.
        unsafe { libc::execve(candidate.as_ptr(), orders.arguments, orders.environment) };
        match report::errno() {
            libc::ENOENT | libc::ENOTDIR => {}
            libc::EACCES => reason = libc::EACCES,
            other => report::fail_with(orders.report, Stage::Exec, other),
        }
    }
    report::fail_with(orders.report, Stage::Exec, reason)
}

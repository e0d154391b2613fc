//! Lines for the operator. The macros [`info!`](crate::info) and [`warn!`](crate::warn) take what
//! `format!` takes.

use crate::bindings::nshost::setup::log;

/// Something worth knowing.
pub fn info(line: impl ToString) {
    log::info(&line.to_string());
}

/// Something worth a second look.
pub fn warn(line: impl ToString) {
    log::warn(&line.to_string());
}

/// Hands what a panic says, and where, to the host, which ends the script. Without this the host would know of an
/// "unreachable" and no more, and where there is WASI a line would come of a backtrace that nobody can have.
pub(crate) fn hand_over_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let message = panic.payload_as_str().unwrap_or("it gave no reason");
        let at = panic.location().map(|at| format!("{}:{}:{}", at.file(), at.line(), at.column()));
        log::panic(message, at.as_deref());
    }));
}

/// Tells the operator something: `info!("out by {link}")`.
#[macro_export]
macro_rules! info {
    ($($argument:tt)*) => { $crate::log::info(::std::format_args!($($argument)*)) };
}

/// Warns the operator: `warn!("no IPv6 here")`.
#[macro_export]
macro_rules! warn {
    ($($argument:tt)*) => { $crate::log::warn(::std::format_args!($($argument)*)) };
}

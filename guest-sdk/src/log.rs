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

/// Makes a panic's message a warning, from here on. Where there is WASI it arrives without this; else
/// the operator would read of an "unreachable" and no more. It makes a module some 6 KiB larger.
pub fn panics() {
    std::panic::set_hook(Box::new(|panic| warn(panic)));
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

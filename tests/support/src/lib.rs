//! For tests and the demonstration: hosts to throw away, the internet behind them, a census of what
//! exists, programs with a time limit, terminals.
//!
//! Everything here cleans up when it is dropped, and when the process that holds it dies by any means.

#![allow(
    clippy::disallowed_methods,
    reason = "tests start programs and threads; they are no part of the launcher"
)]

mod census;
mod host;
mod internet;
mod nshost;
mod place;
mod process;
mod rights;
mod scratch;
mod terminal;

pub use census::Census;
pub use host::Host;
pub use internet::Internet;
pub use nshost::Nshost;
pub use place::{
    component, programs, root, scripts, target, tested_programs, wasi_component, wasi_components,
};
pub use process::{Output, Running, run};
pub use rights::{is_root, root_or_skip};
pub use scratch::Scratch;
pub use terminal::Terminal;

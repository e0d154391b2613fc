//! The setup script's own process: wasmtime, limits, lock-down.
//!
//! A script is compiled by one process (`nshost-compiler`) and run by another (`nshost-worker`), both
//! without any right, each for one question. What comes out of either is not trusted by the launcher.

mod address;
pub mod artifact;
#[allow(unreachable_pub)]
mod bindings;
#[cfg(feature = "compiler")]
pub mod bounded;
mod budget;
pub mod clock;
#[cfg(feature = "compiler")]
pub mod compile;
mod container;
pub mod engine;
pub mod evaluate;
mod exports;
mod facts;
mod failure;
mod filesystem;
mod imports;
pub mod input;
#[cfg(feature = "compiler")]
pub mod inspect;
mod link;
pub mod lock;
mod log;
mod nat;
mod process;
mod route;
pub mod signal_stack;
mod state;
pub mod station;
mod wasi;

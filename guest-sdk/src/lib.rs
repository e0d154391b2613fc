#![doc = include_str!("../README.md")]

pub mod argument;
#[allow(unsafe_code, missing_docs, clippy::all, reason = "generated from wit/setup.wit")]
#[doc(hidden)]
pub mod bindings;
mod cidr;
pub mod container;
mod error;
pub mod facts;
pub mod filesystem;
pub mod link;
pub mod log;
pub mod nat;
pub mod prelude;
pub mod process;
mod setup;

pub use cidr::Cidr;
pub use error::{Denial, Error, Problem, Result};
#[doc(hidden)]
pub use setup::run;

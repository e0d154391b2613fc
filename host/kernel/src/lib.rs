//! Performs what has a receipt: the system calls, and the only `unsafe` besides `init` and `script`.

pub mod address;
mod clone;
pub mod container;
pub mod error;
pub mod facts;
pub mod forwarding;
pub mod identity;
pub mod link;
pub mod nat;
pub mod netlink;
pub mod network;
mod orders;
pub mod probe;
pub mod process;
pub mod rootless;
pub mod route;
pub mod signals;
pub mod supervise;
pub mod terminal;

pub use error::Error;

//! Performs what has a receipt: the system calls, and the only `unsafe` besides `init` and `script`.

pub mod address;
pub mod error;
pub mod facts;
pub mod forwarding;
pub mod link;
pub mod nat;
pub mod netlink;
pub mod network;
pub mod probe;
pub mod route;

pub use error::Error;

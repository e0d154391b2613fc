//! Performs what has a receipt: the system calls, and the only `unsafe` besides `init` and `script`.
//!
//! Three parts: the container's processes (`clone`, `container`, `identity`, `orders`, `process`,
//! `tree`, `signals`, `supervise`, `memory`, `terminal`, `rootless`, and at last `leftovers`), its network (`network`
//! is the list; a file for each noun; `netlink`, `nft`, `rule` and `ruleset` are how that is said to the
//! kernel), and what the kernel says of itself (`facts`, `probe`).

mod address;
mod clone;
pub mod container;
mod error;
pub mod facts;
mod firewall;
mod forwarding;
pub mod identity;
pub mod leftovers;
pub mod link;
mod memory;
mod namespace;
mod nat;
mod netlink;
pub mod network;
mod nft;
mod orders;
pub mod probe;
pub mod process;
pub mod rootless;
mod route;
mod rule;
mod ruleset;
pub mod signals;
pub mod supervise;
mod sysctl;
pub mod terminal;
mod tree;
mod trial;

pub use error::Error;
pub use netlink::Socket;

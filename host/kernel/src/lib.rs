//! Performs what has a receipt: the system calls, and the only `unsafe` besides `init` and `script`.
//!
//! Three parts: the container's processes (`clone`, `container`, `identity`, `orders`, `hosts`, `process`,
//! `program`, `tree`, `signals`, `supervise`, `memory`, `terminal`, `rootless`, and at last `leftovers`), its network (`network`
//! is the list; a file for each noun; `netlink`, `nft`, `rule` and `ruleset` are how that is said to the
//! kernel), and what the kernel says of itself (`facts`, `probe`).

mod address;
mod clone;
mod conntrack;
pub mod container;
mod error;
pub mod facts;
pub mod firewall;
mod forwarding;
mod guard;
pub mod host;
mod hosts;
pub mod identity;
pub mod leftovers;
pub mod link;
mod listeners;
mod memory;
mod namespace;
mod nat;
mod netlink;
pub mod network;
mod nft;
mod orders;
pub mod owner;
mod port;
pub mod probe;
pub mod process;
mod program;
pub mod rootless;
mod route;
mod rule;
mod ruleset;
mod settings;
pub mod signals;
pub mod supervise;
mod sysctl;
mod table;
pub mod terminal;
mod tree;
mod trial;
mod trusted;

pub use error::Error;
pub use netlink::Socket;

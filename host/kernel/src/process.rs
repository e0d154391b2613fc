//! A container's processes, from clone to the last child of their launcher.

pub(crate) mod clone;
pub mod container;
mod hosts;
pub mod identity;
pub mod leftovers;
mod memory;
mod orders;
pub mod pidfd;
mod program;
pub mod rootless;
pub mod signals;
pub mod supervise;
pub mod terminal;
mod tree;

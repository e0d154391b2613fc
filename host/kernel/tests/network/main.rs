//! A container's network, in hosts that end with each test. `nft` and `ip` are the oracles.

mod lab;
mod links;
mod nat;
mod plans;
mod undo;
mod world;

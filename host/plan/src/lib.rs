//! The nouns of nshost: every step that a setup script can ask for, the facts it may look at, the
//! limits it lives within, and how all of that is encoded and shown.
//!
//! Pure: no file, no socket, no clock. A value of any type here is well formed by construction
//! (decoding included); whether it is *allowed* is the business of `policy`.

mod address;
pub mod codec;
mod error;
mod facts;
mod fit;
mod index;
mod limits;
mod link;
mod mount;
mod namespace;
mod nat;
mod place;
mod plan;
mod process;
pub mod reserved;
mod route;
pub mod show;
mod step;
mod topology;
mod uts;

pub use address::{Address, Cidr};
pub use error::{Code, Error};
pub use facts::{AddressFact, DefaultRoute, FactKind, Facts, FactsRead, Family, LinkFact, NameServer, Taken};
pub use limits::Limits;
pub use link::{End, Interface, InterfaceId, Link, LinkName};
pub use mount::ResolvConf;
pub use namespace::{Namespace, Namespaces};
pub use nat::{Forward, Masquerade, PortRange, Protocol};
pub use place::{ContainerId, Place};
pub use plan::Plan;
pub use process::{AbsolutePath, Argument, Command, Variable};
pub use route::Route;
pub use step::{Around, Inside, Step};
pub use topology::{Kind, Node, Port, Topology, Wire};
pub use uts::UtsName;

//! Performs what has a receipt: the system calls, and the only `unsafe` besides `init` and `script`.
//!
//! The container's processes ([`process`]), its network ([`network`] is the list, with a file for each noun), what stands
//! between that and the host (`table`, said to the kernel by `nft`), other people's firewalls ([`foreign`]), and
//! what the kernel says of itself ([`probe`]).

mod error;
pub mod foreign;
pub mod network;
mod nft;
pub mod probe;
pub mod process;
pub mod table;

pub use error::Error;
pub use network::netlink::Socket;

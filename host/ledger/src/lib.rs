//! What exists on this host because of us.

mod claim;
mod collect;
mod entry;
mod error;
mod host;
mod ledger;
mod lock;
mod name;
mod place;
mod receipt;
mod record;
mod reserve;
mod standing;
mod store;

pub use claim::Claim;
pub use collect::{Collection, Dead};
pub use error::{Error, Problem};
pub use host::Host;
pub use ledger::{Ledger, Origin};
pub use lock::HostLock;
pub use name::ContainerName;
pub use place::default_directory;
pub use receipt::Receipt;
pub use record::*;
pub use standing::{Life, Standing};

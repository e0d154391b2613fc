//! What exists on this host because of us.

mod record;

pub use record::*;

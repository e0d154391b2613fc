//! Grants, and the one pure function from (plan, grants, facts) to a permit or refusals.
//!
//! Two rules hold for every kind of grant: a table allows a step only if it covers it wholly, and a
//! table with `deny = true` refuses a step if it touches any part of it. Deny beats allow. (Programs and
//! directories have more names than anybody can deny: there, only what is granted counts.) What a plan leaves
//! to be shared with the host is judged like a step.

mod address;
mod check;
mod directory;
mod document;
mod error;
mod firewall;
mod grants;
mod limits;
mod link;
mod mount;
mod namespace;
mod nat;
mod pattern;
mod process;
mod route;
mod rule;
mod share;
mod side;
mod suggest;
mod text;
mod variable;
pub mod wire;

pub use check::{Checked, Permit, Refusal, RefusalKind, Refused, Verdict, check, check_step};
pub use document::nearest;
pub use error::GrantsError;
pub use grants::Grants;
pub use share::shared;
pub use suggest::{lacking, suggest};

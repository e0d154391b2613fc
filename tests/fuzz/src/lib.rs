//! What each target does with its bytes. `host/policy/tests/corpus.rs` and `host/script/tests/corpus.rs` do
//! the same with every file of the corpora, so that what was once found stays found.

pub mod grants;
#[cfg(feature = "module-load")]
pub mod module_load;
pub mod plan_decode;

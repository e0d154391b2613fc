//! What each target does with its bytes. `host/policy/tests/corpus.rs` does the same with every file of
//! the corpora, so that what was once found stays found.

pub mod grants;
pub mod plan_decode;

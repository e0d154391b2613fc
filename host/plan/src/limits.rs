//! How much a setup script may use.

use serde::{Deserialize, Serialize};

/// The budgets of one evaluation, and of the compilation before it. A script that uses one up is ended with a
/// message that names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Wall-clock time of the script, in milliseconds; compiling is not counted.
    pub wall_ms: u32,
    /// All linear memories together, in bytes.
    pub memory_bytes: u64,
    /// All tables together, in elements.
    pub table_elements: u32,
    /// Core module instances, memories and tables, each.
    pub instances: u32,
    /// Calls into the host, WASI included.
    pub host_calls: u32,
    /// Bytes of strings and lists that the host copies out of the script, all calls together.
    pub copied_bytes: u32,
    /// Steps of the plan.
    pub steps: u32,
    /// Bytes of log lines, standard output and standard error.
    pub log_bytes: u32,
    /// Wall-clock time of the compiler, in milliseconds.
    pub compile_ms: u32,
    /// The compiler's private memory, in bytes.
    pub compile_memory_bytes: u64,
}

impl Limits {
    /// What a script has when nothing else was granted. A Rust script takes the compiler a fifth of a second
    /// and 20 MiB, JavaScript with a small engine (1.6 MB) 5 s; engines of 12 to 18 MB want a grant.
    pub const DEFAULT: Limits = Limits {
        wall_ms: 1_000,
        memory_bytes: 64 << 20,
        table_elements: 100_000,
        instances: 64,
        host_calls: 10_000,
        copied_bytes: 1 << 20,
        steps: 256,
        log_bytes: 64 << 10,
        compile_ms: 10_000,
        compile_memory_bytes: 256 << 20,
    };

    /// What can be granted at most; a worker's answer must fit into [`crate::codec::MAX_FRAME`].
    pub const MAX: Limits = Limits {
        wall_ms: 60_000,
        memory_bytes: 1 << 30,
        table_elements: 10_000_000,
        instances: 1_000,
        host_calls: 10_000_000,
        copied_bytes: 64 << 20,
        steps: 4_096,
        log_bytes: 1 << 20,
        compile_ms: 600_000,
        compile_memory_bytes: 4 << 30,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Limits::DEFAULT
    }
}

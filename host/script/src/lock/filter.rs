//! Which system calls a locked process can make, each with its reason. Everything else kills it.
//!
//! `tests/trace.rs` runs the programs under `strace` and holds every call after the lock against these
//! tables, and every row against the calls: a row that nothing needs is an error as well.

/// A system call that is allowed.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// Its name in `syscalls(2)`.
    pub name: &'static str,
    /// Its number on this architecture.
    pub number: libc::c_long,
    /// With which arguments.
    pub rule: Rule,
    /// What would fail without it.
    pub reason: &'static str,
}

/// With which arguments a system call is allowed. Only the lower 32 bits of an argument are compared:
/// the arguments in question are `int` (file descriptors) or have all of their meaning there (`PROT_*`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// All.
    Always,
    /// Argument `index`, from 0, is this.
    Argument {
        /// Which.
        index: u8,
        /// Its value.
        is: u32,
    },
    /// Argument `index`, from 0, has none of these bits.
    ArgumentWithout {
        /// Which.
        index: u8,
        /// The bits.
        bits: u32,
    },
}

const fn on_fd(fd: u32) -> Rule {
    Rule::Argument { index: 0, is: fd }
}

const NOT_EXECUTABLE: Rule = Rule::ArgumentWithout { index: 2, bits: libc::PROT_EXEC as u32 };

const fn row(name: &'static str, number: libc::c_long, rule: Rule, reason: &'static str) -> Row {
    Row { name, number, rule, reason }
}

/// What the worker needs from the lock on. The numbers come from libc, so this is the table of each
/// architecture that libc knows; x86_64 and aarch64 are the ones that the assembler knows.
pub const WORKER: &[Row] = &[
    row(
        "mmap",
        libc::SYS_mmap,
        NOT_EXECUTABLE,
        "linear memories, tables, large allocations, the signal stack",
    ),
    row("munmap", libc::SYS_munmap, Rule::Always, "gives them back"),
    row("mprotect", libc::SYS_mprotect, NOT_EXECUTABLE, "a linear memory grows into its reservation"),
    row("mremap", libc::SYS_mremap, Rule::Always, "a large allocation of the host grows (a log, an answer)"),
    row(
        "sigaltstack",
        libc::SYS_sigaltstack,
        Rule::Always,
        "wasmtime asks whether there is a stack for the trap handler",
    ),
    row(
        "brk",
        libc::SYS_brk,
        Rule::Always,
        "musl's allocator, in which std keeps the destructors of thread-local values",
    ),
    row(
        "rt_sigprocmask",
        libc::SYS_rt_sigprocmask,
        Rule::Always,
        "musl, when a thread-local value with a destructor is made",
    ),
    row("rt_sigreturn", libc::SYS_rt_sigreturn, Rule::Always, "the trap and the timer handler return"),
    row("read", libc::SYS_read, on_fd(0), "the question"),
    row("write", libc::SYS_write, on_fd(0), "the answer"),
    row("clock_gettime", libc::SYS_clock_gettime, Rule::Always, "the deadline, where the vDSO has no clock"),
    row("exit_group", libc::SYS_exit_group, Rule::Always, "the end"),
];

/// What the compiler needs from the lock on: it has no code to run, but a module to read.
pub const COMPILER: &[Row] = &[
    row("mmap", libc::SYS_mmap, NOT_EXECUTABLE, "allocations"),
    row("munmap", libc::SYS_munmap, Rule::Always, "gives them back"),
    row("mremap", libc::SYS_mremap, Rule::Always, "a large allocation grows (the artifact)"),
    row(
        "brk",
        libc::SYS_brk,
        Rule::Always,
        "musl's allocator, in which std keeps the destructors of thread-local values",
    ),
    row(
        "rt_sigprocmask",
        libc::SYS_rt_sigprocmask,
        Rule::Always,
        "musl, when a thread-local value with a destructor is made",
    ),
    row("write", libc::SYS_write, Rule::Always, "the artifact to 2 and the answer to 0; 1 is read-only"),
    row("exit_group", libc::SYS_exit_group, Rule::Always, "the end"),
];

//! What runs in the cloned child between clone and exec.
//!
//! Who: a copy of the broker's only thread, in the container's new namespaces. Rights: those of the
//! new namespaces. From its first to its last line there is no allocation (the crate is `no_std`
//! and has no allocator), no lock, no log and no destructor: all that it needs was rendered before
//! the clone. It leaves by `execve` or `_exit`, and reports at most one fixed [`Report`].

#![cfg_attr(not(test), no_std)]
#![expect(unsafe_code, reason = "between clone and exec there is only libc")]

mod exec;
mod identity;
mod keyring;
mod mount;
pub mod procfs;
mod reaper;
mod report;
mod stdio;
mod wait;

use core::ffi::{CStr, c_char, c_int};

pub use mount::{put_over, uncover_proc};
pub use report::{Report, Stage};

/// All that the child needs, rendered before the clone.
pub struct Orders<'a> {
    /// Where the child waits: one byte opens it, end-of-file means that the broker is gone.
    pub gate: c_int,
    /// A close-on-exec pipe: one [`Report`] on failure; nothing when exec has succeeded.
    pub report: c_int,
    /// Whether there is a user namespace in which to become root.
    pub user_namespace: bool,
    /// `sethostname(2)`.
    pub hostname: Option<&'a [u8]>,
    /// `setdomainname(2)`.
    pub domain_name: Option<&'a [u8]>,
    /// Make every mount private.
    pub private_propagation: bool,
    /// Unmount the host's procfs: it shows processes that are not in the container's PID namespace.
    pub leave_host_proc: bool,
    /// Mount a fresh `/proc`.
    pub proc: bool,
    /// Texts that are put over files; with a user namespace they are there already.
    pub texts: &'a [Text<'a>],
    /// The pseudo-terminal's container end: becomes the controlling terminal.
    pub terminal: Option<c_int>,
    /// Which of standard input, output and error the terminal takes the place of.
    pub terminal_for: [bool; 3],
    /// Where the command starts: a path without `//`, `.`, `..` and a `/` at its end.
    pub working_directory: &'a CStr,
    /// What is executed.
    pub program: Program<'a>,
    /// `argv`, ended by a null pointer.
    pub arguments: *const *const c_char,
    /// `envp`, ended by a null pointer.
    pub environment: *const *const c_char,
    /// The signals that were ignored when the broker was started (bit N-1 for signal N).
    pub ignored: u64,
    /// Whether to stay as a first process that reaps orphans and passes signals on.
    pub reaper: bool,
    /// An eventfd by which the reaper tells that the command has been stopped.
    pub stopped: Option<c_int>,
    /// For the reaper, which is called otherwise than the broker.
    pub words: Option<Words>,
}

/// A text that the container finds in the place of a file of the host's.
#[derive(Clone, Copy)]
pub struct Text<'a> {
    /// What is reported where it fails.
    pub stage: Stage,
    /// The file, which is there.
    pub over: &'a CStr,
    /// Where the text is written: a name of its own in `/proc`.
    pub written: &'a CStr,
    /// What it says.
    pub says: &'a [u8],
    /// Whose the file is, user and group.
    pub owner: u32,
}

/// Where the broker's words lie in its memory, of which the child has a copy: what `/proc` shows of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Words {
    /// Where the arguments begin.
    pub start: usize,
    /// Where they end and the variables begin.
    pub arguments_end: usize,
    /// Where those end.
    pub end: usize,
}

/// How the program is found.
#[derive(Clone, Copy)]
pub enum Program<'a> {
    /// The first of these paths, tried in order: the operator's own command.
    First(&'a [&'a CStr]),
    /// This file and no other: what a script may execute.
    File {
        /// Where it is.
        path: &'a CStr,
        /// `st_dev` of the file that was granted.
        device: u64,
        /// Its `st_ino`.
        inode: u64,
    },
    /// There is none, for this reason (`errno`).
    Missing(c_int),
}

/// Prepares the inside of the container and executes the command.
///
/// # Safety
/// To be called in a child that was just cloned from a single-threaded process, with the fds in
/// `orders` open there and `arguments` and `environment` valid, null-terminated arrays.
pub unsafe fn run(orders: &Orders<'_>) -> ! {
    wait::close_the_brokers(orders);
    // What needs no id in the user namespace is done while the broker sets up the network.
    stdio::reset_actions(orders.ignored);
    let early = (!orders.user_namespace).then(|| prepare(orders));
    wait::at_gate(orders);
    identity::become_root(orders);
    wait::die_with_parent(orders);
    if let Err(failed) = early.unwrap_or_else(|| prepare(orders)) {
        report::fail_with(orders.report, failed.stage, failed.errno);
    }
    stdio::detach_from_terminal(orders);
    stdio::set_signal_mask(0);
    stdio::enter_working_directory(orders);
    exec::check_working_directory(orders);
    stdio::close_on_exec(orders);
    if orders.reaper {
        reaper::fork_command(orders);
    }
    // SAFETY: the caller vouches for both arrays.
    unsafe { exec::command(orders) }
}

/// What is the container's own alone.
fn prepare(orders: &Orders<'_>) -> Result<(), Report> {
    keyring::join_own()?;
    identity::name_host(orders)?;
    mount::prepare(orders)
}

//! Giving up every right, before the first byte of anybody's module is looked at.
//!
//! A process that is locked keeps what [`filter`] lists: it computes, it has memory, and it talks on
//! the socket that it was started with. Code that breaks out of wasmtime finds no file, no network,
//! no process but its own, no new executable page, and a kernel of a dozen system calls.
//!
//! Each layer stands on its own: `tests/escape` tries its attempts with the system call filter
//! and, to see that the layers beneath it hold, without.

#![allow(unsafe_code)]

mod capability;
pub mod filter;
mod identity;
mod landlock;
mod memory;
mod resource;
mod seccomp;

pub use filter::Row;
pub use resource::Ceilings;

use std::{fmt, io};

/// What a locked process may still do.
#[derive(Debug, Clone, Copy)]
pub struct Profile {
    /// The system calls.
    pub filter: &'static [Row],
    /// The resource limits (`getrlimit(2)`).
    pub ceilings: Ceilings,
}

/// A layer that could not be put in place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unlocked {
    /// The layer.
    pub what: &'static str,
    /// The kernel's answer (`errno(3)`).
    pub errno: i32,
}

impl fmt::Display for Unlocked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, io::Error::from_raw_os_error(self.errno))
    }
}

type Layer = (&'static str, fn(&Profile) -> io::Result<()>);

/// In this order because: a change of user takes capabilities, and clears the parent-death signal;
/// Landlock and seccomp want `no_new_privs`; Landlock's rule set is a file descriptor, of which the
/// resource limits allow none; seccomp ends all of it.
const LAYERS: [Layer; 8] = [
    ("user and groups", |_| identity::change()),
    ("capabilities", |_| capability::drop_all()),
    ("no_new_privs", |_| identity::no_new_privileges()),
    ("end with the parent, not dumpable", |_| identity::tie_to_parent()),
    ("Landlock", |_| landlock::restrict()),
    ("resource limits", |profile| resource::lower(&profile.ceilings)),
    ("memory: deny write, execute", |_| memory::deny_new_code()),
    ("seccomp", |profile| seccomp::install(profile.filter)),
];

/// Puts every layer in place and returns those that could not be: none of them on a kernel that
/// this program is made for. The caller decides what to do without; the other layers stand.
pub fn lock(profile: &Profile) -> Vec<Unlocked> {
    run(&LAYERS, profile)
}

/// The layers beneath the system call filter alone: for the test that each of them refuses too.
pub fn lock_without_filter(profile: &Profile) -> Vec<Unlocked> {
    run(&LAYERS[..LAYERS.len() - 1], profile)
}

fn run(layers: &[Layer], profile: &Profile) -> Vec<Unlocked> {
    let missing = |(what, layer): &Layer| {
        let error = layer(profile).err()?;
        Some(Unlocked { what, errno: error.raw_os_error().unwrap_or(libc::EINVAL) })
    };
    layers.iter().filter_map(missing).collect()
}

/// A system call's answer as a result.
fn check(answer: libc::c_long) -> io::Result<libc::c_long> {
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(answer) }
}

/// `prctl(2)` with one argument and the rest zero, as every operation here wants it.
fn prctl(operation: libc::c_int, argument: libc::c_ulong) -> io::Result<()> {
    const ZERO: libc::c_ulong = 0;
    // SAFETY: the operations of this module take integers only.
    let answer = unsafe { libc::syscall(libc::SYS_prctl, operation, argument, ZERO, ZERO, ZERO) };
    check(answer).map(drop)
}

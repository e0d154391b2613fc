//! The kernel's key retention service (`keyrings(7)`), which no namespace keeps apart.

use core::{
    ffi::{c_int, c_long},
    ptr,
};

use crate::{Report, Stage, report};

const GET_KEYRING_ID: c_int = 0;
const JOIN_SESSION_KEYRING: c_int = 1;
const SESSION: c_int = -3;
/// The keyrings of ended sessions count until the kernel has freed them, some moments later.
const TRIES: u32 = 100;

/// Joins a new session keyring. Without that the container has the operator's, and whatever keys are in it.
///
/// After the change of ids: so it counts as the container's. Where keyrings are closed to this process as
/// they are to all that it becomes (no such service, or a seccomp filter), there is none to leave.
pub(crate) fn join_own() -> Result<(), Report> {
    for _ in 0..TRIES {
        let joined = keyctl(JOIN_SESSION_KEYRING, 0);
        if joined >= 0 {
            return Ok(());
        }
        match report::errno() {
            libc::EDQUOT => pause(),
            libc::ENOSYS | libc::EPERM if is_closed() => return Ok(()),
            errno => return Err(Report { stage: Stage::Keyring, errno }),
        }
    }
    Err(Report { stage: Stage::Keyring, errno: libc::EDQUOT })
}

fn is_closed() -> bool {
    keyctl(GET_KEYRING_ID, SESSION) < 0 && matches!(report::errno(), libc::ENOSYS | libc::EPERM)
}

fn keyctl(operation: c_int, argument: c_int) -> c_long {
    // SAFETY: both operations take numbers here; a null name asks for a keyring without one.
    unsafe { libc::syscall(libc::SYS_keyctl, operation, c_long::from(argument), 0) }
}

fn pause() {
    let time = libc::timespec { tv_sec: 0, tv_nsec: 10_000_000 };
    // SAFETY: a timespec that lives through the call; the remaining time is not asked for.
    unsafe { libc::nanosleep(&raw const time, ptr::null_mut()) };
}

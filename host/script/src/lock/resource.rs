//! Resource limits (`getrlimit(2)`): what an escaped script could still use up.
#![allow(unsafe_code)]

use std::io;

use super::check;

/// What is different between the programs; everything else is limited to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ceilings {
    /// Address space, in bytes: reservations and mapped files included.
    pub address_space: u64,
    /// Private writable memory, in bytes.
    pub data: u64,
    /// Processor time, in seconds.
    pub cpu_seconds: u64,
    /// The longest file that can be written, in bytes.
    pub file_size: u64,
}

/// Deeper recursion than this ends the process; wasm has a limit of its own far below it.
const STACK: u64 = 8 << 20;

/// Lowers each limit, soft and hard, to its ceiling; one that is lower already stays.
pub(super) fn lower(ceilings: &Ceilings) -> io::Result<()> {
    let limits = [
        (libc::RLIMIT_AS, ceilings.address_space),
        (libc::RLIMIT_DATA, ceilings.data),
        (libc::RLIMIT_CPU, ceilings.cpu_seconds),
        (libc::RLIMIT_FSIZE, ceilings.file_size),
        (libc::RLIMIT_STACK, STACK),
        (libc::RLIMIT_CORE, 0),
        (libc::RLIMIT_MEMLOCK, 0),
        (libc::RLIMIT_MSGQUEUE, 0),
        (libc::RLIMIT_NICE, 0),
        (libc::RLIMIT_NOFILE, 0),
        (libc::RLIMIT_NPROC, 0),
        (libc::RLIMIT_RTPRIO, 0),
        (libc::RLIMIT_SIGPENDING, 0),
    ];
    limits.into_iter().try_for_each(|(which, ceiling)| lower_one(which as libc::c_uint, ceiling))
}

fn lower_one(which: libc::c_uint, ceiling: u64) -> io::Result<()> {
    // Nothing is lower than nothing.
    let limit = if ceiling == 0 { 0 } else { ceiling.min(hard_limit(which)?) };
    let lowered = libc::rlimit64 { rlim_cur: limit, rlim_max: limit };
    let no_old = std::ptr::null_mut::<libc::rlimit64>();
    // SAFETY: pid 0 is this process; the kernel only reads `lowered`; no old limit is asked for.
    check(unsafe { libc::syscall(libc::SYS_prlimit64, 0, which, &raw const lowered, no_old) })?;
    Ok(())
}

fn hard_limit(which: libc::c_uint) -> io::Result<u64> {
    let mut now = libc::rlimit64 { rlim_cur: 0, rlim_max: 0 };
    let none = std::ptr::null::<libc::rlimit64>();
    // SAFETY: pid 0 is this process; no new limit; `now` is live and of the kernel's layout.
    check(unsafe { libc::syscall(libc::SYS_prlimit64, 0, which, none, &raw mut now) })?;
    Ok(now.rlim_max)
}

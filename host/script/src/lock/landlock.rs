//! Landlock (`landlock(7)`): no path, no TCP port, no abstract socket or signal outside.
//!
//! By raw system calls: with no rule to add there are three of them, and the `landlock` crate would
//! bring its builder, its errors and three crates for that.
#![allow(unsafe_code)]

use std::io;

use super::check;

/// `struct landlock_ruleset_attr` of `linux/landlock.h`: what is refused unless a rule allows it.
#[repr(C)]
struct Ruleset {
    filesystem: u64,
    network: u64,
    scoped: u64,
}

const CREATE_RULESET_VERSION: u32 = 1;

impl Ruleset {
    /// Everything that a kernel of this ABI version can refuse, and the size of the struct it knows.
    fn of(abi: i64) -> (Ruleset, usize) {
        // Bits of LANDLOCK_ACCESS_FS_*: 13 at first, then REFER (2), TRUNCATE (3), IOCTL_DEV (5).
        let filesystem_bits = match abi {
            ..=1 => 13,
            2 => 14,
            3..=4 => 15,
            _ => 16,
        };
        // LANDLOCK_ACCESS_NET_BIND_TCP and CONNECT_TCP (4).
        let network = if abi >= 4 { 0b11 } else { 0 };
        // LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET and SIGNAL (6).
        let scoped = if abi >= 6 { 0b11 } else { 0 };
        let size = match abi {
            ..=3 => 8,
            4..=5 => 16,
            _ => 24,
        };
        (Ruleset { filesystem: (1 << filesystem_bits) - 1, network, scoped }, size)
    }
}

/// Enforces a rule set without any rule.
pub(super) fn restrict() -> io::Result<()> {
    let create = libc::SYS_landlock_create_ruleset;
    // SAFETY: with this flag the kernel takes no attributes and only answers its version.
    let abi =
        check(unsafe { libc::syscall(create, std::ptr::null::<u8>(), 0_usize, CREATE_RULESET_VERSION) })?;
    let (ruleset, size) = Ruleset::of(abi);
    // SAFETY: `ruleset` is live, in the kernel's layout, and at least `size` bytes long.
    let fd = check(unsafe { libc::syscall(create, &raw const ruleset, size, 0_u32) })?;
    // SAFETY: integers only; `fd` is the rule set just made.
    let enforced = check(unsafe { libc::syscall(libc::SYS_landlock_restrict_self, fd, 0_u32) });
    // SAFETY: `fd` is this function's own and is not used again.
    unsafe { libc::syscall(libc::SYS_close, fd) };
    enforced.map(drop)
}

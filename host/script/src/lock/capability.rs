//! Capabilities (`capabilities(7)`).
//!
//! The bounding set is left as it is: it bounds what `execve` gives, which after `no_new_privs` is nothing,
//! and to empty it takes forty system calls of which each copies the credentials (50 µs of the 200 that
//! the whole lock takes).
#![allow(unsafe_code)]

use std::io;

use super::check;

/// `_LINUX_CAPABILITY_VERSION_3` of `linux/capability.h`: two words for each set.
const VERSION_3: u32 = 0x2008_0522;

/// `struct __user_cap_header_struct`.
#[repr(C)]
struct Header {
    version: u32,
    pid: i32,
}

/// `struct __user_cap_data_struct`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Data {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// Clears the effective, permitted and inheritable sets, and with them the ambient set.
pub(super) fn drop_all() -> io::Result<()> {
    let header = Header { version: VERSION_3, pid: 0 };
    let none = [Data::default(); 2];
    // SAFETY: both point to live values in the layout of `capset(2)` for version 3: one header, two
    // data words; the kernel only reads them.
    check(unsafe { libc::syscall(libc::SYS_capset, &raw const header, none.as_ptr()) })?;
    Ok(())
}

//! Capabilities (`capabilities(7)`).
#![allow(unsafe_code)]

use std::io;

use super::{check, prctl};

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

/// Empties the bounding set, so that no program that were executed could have a capability.
pub(super) fn empty_bounding_set() -> io::Result<()> {
    // The kernel says EINVAL for the first number that is no capability; 63 is the last possible.
    for capability in 0..64 {
        let Err(error) = prctl(libc::PR_CAPBSET_DROP, capability) else { continue };
        return match error.raw_os_error() {
            Some(libc::EINVAL) if capability > 0 => Ok(()),
            // Without CAP_SETPCAP it cannot be emptied, and need not be: no_new_privs follows.
            Some(libc::EPERM) => Ok(()),
            _ => Err(error),
        };
    }
    Ok(())
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

//! No page that was not executable becomes so (`PR_SET_MDWE`, Linux 6.3).
use std::io;

use super::prctl;

/// `PR_SET_MDWE` and `PR_MDWE_REFUSE_EXEC_GAIN` of `linux/prctl.h`.
const SET_MDWE: libc::c_int = 65;
const REFUSE_EXEC_GAIN: libc::c_ulong = 1;

/// Compiled code has been mapped executable before this and stays so.
pub(super) fn deny_new_code() -> io::Result<()> {
    match prctl(SET_MDWE, REFUSE_EXEC_GAIN) {
        // An older kernel does not know it. The system call filter refuses the same, by its arguments.
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Ok(()),
        other => other,
    }
}

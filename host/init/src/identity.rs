//! User ids, hostname and domain name.

use crate::{Orders, Report, Stage, report};

/// Becomes root of the new user namespace; the broker has written its maps before it opened the gate.
///
/// By system call, not by libc's function: that one signals all threads of a process that it still
/// takes for the broker. Where `setgroups(2)` is denied (a namespace made without privilege) the
/// groups stay, which is what the kernel wants there.
pub(crate) fn become_root(orders: &Orders<'_>) {
    if !orders.user_namespace {
        return;
    }
    // SAFETY: these take numbers only; a list of no groups may be null.
    let result = unsafe {
        libc::syscall(libc::SYS_setgroups, 0, core::ptr::null::<libc::gid_t>());
        let group = libc::syscall(libc::SYS_setresgid, 0, 0, 0);
        if group == 0 { libc::syscall(libc::SYS_setresuid, 0, 0, 0) } else { group }
    };
    if result != 0 {
        report::fail(orders.report, Stage::Identity);
    }
}

/// Sets the names that the plan gives; it was checked that there is a UTS namespace to hold them.
pub(crate) fn name_host(orders: &Orders<'_>) -> Result<(), Report> {
    if let Some(name) = orders.hostname {
        // SAFETY: pointer and length are of one slice.
        let result = unsafe { libc::sethostname(name.as_ptr().cast(), name.len()) };
        report::result(result, Stage::Hostname)?;
    }
    if let Some(name) = orders.domain_name {
        // SAFETY: as above.
        let result = unsafe { libc::setdomainname(name.as_ptr().cast(), name.len()) };
        report::result(result, Stage::DomainName)?;
    }
    Ok(())
}

//! What this kernel and this user can and cannot do, found out by trying.
//!
//! A version number says little: features are configured away, forbidden by sysctls, security modules
//! and other sandboxes. Trials happen in child processes with namespaces of their own; the host is only
//! looked at.

pub mod facts;
pub(crate) mod trial;
mod trusted;

use std::fs;

use nix::{
    errno::Errno,
    sched::CloneFlags,
    unistd::{AccessFlags, access, geteuid},
};
use nshost_plan::{Family, Namespace};

use self::trial::Part;
use crate::{
    foreign,
    network::host,
    process::{clone, identity},
};

/// One thing that a launch may need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// Its name.
    pub name: String,
    /// Whether it can be used.
    pub state: State,
    /// What was found.
    pub detail: String,
    /// What to do about it; empty if there is nothing to do.
    pub remedy: String,
}

/// Whether something can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It can.
    Present,
    /// This kernel does not have it.
    Absent,
    /// It is there, but turned off or in the way.
    Disabled,
    /// This user may not.
    Forbidden,
}

/// Capabilities that a launch as root uses (`capabilities(7)`), by number.
const CAPABILITIES: [(u32, &str); 10] = [
    (0, "CHOWN"),
    (5, "KILL"),
    (6, "SETGID"),
    (7, "SETUID"),
    (8, "SETPCAP"),
    (10, "NET_BIND_SERVICE"),
    (12, "NET_ADMIN"),
    (18, "SYS_CHROOT"),
    // Another launcher's copy of the tables' owner.
    (19, "SYS_PTRACE"),
    (21, "SYS_ADMIN"),
];

/// All probes. Takes some tens of milliseconds. To be called by a process with one thread.
pub fn all() -> Vec<Probe> {
    let mut probes = vec![capabilities()];
    probes.extend(Namespace::ALL.map(namespace));
    probes.push(ids());
    probes.extend(network());
    probes.push(forwarding(
        "IPv4 forwarding per interface",
        "ipv4",
        "forwarding",
        "mount /proc/sys writable",
    ));
    probes.push(forwarding(
        "IPv6 forwarding per interface",
        "ipv6",
        "force_forwarding",
        "Linux 6.17 has it; on older kernels NAT for IPv6 makes the whole host a router",
    ));
    probes.extend([
        other_firewalls(),
        legacy_firewall(),
        landlock(),
        seccomp(),
        clone3(),
        pidfd(),
        network_cookie(),
        mount_attributes(),
        keyrings(),
        terminal_input(),
    ]);
    probes
}

fn present(name: &str, detail: impl Into<String>) -> Probe {
    Probe { name: name.to_string(), state: State::Present, detail: detail.into(), remedy: String::new() }
}

fn lacking(name: &str, state: State, detail: impl Into<String>, remedy: impl Into<String>) -> Probe {
    Probe { name: name.to_string(), state, detail: detail.into(), remedy: remedy.into() }
}

fn capabilities() -> Probe {
    const NAME: &str = "capabilities";
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let Some(set) = effective.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()) else {
        return lacking(NAME, State::Absent, "/proc/self/status does not tell", "mount /proc");
    };
    let missing: Vec<&str> =
        CAPABILITIES.iter().filter(|(number, _)| set & (1 << number) == 0).map(|(_, name)| *name).collect();
    if missing.is_empty() {
        return present(NAME, "all that a launch on this host needs");
    }
    if geteuid().is_root() {
        let detail = format!("root without {}", missing.join(", "));
        return lacking(
            NAME,
            State::Forbidden,
            detail,
            "run it outside of other containers, or give it these",
        );
    }
    present(NAME, "none: launches as this user have a private host of their own")
}

fn namespace(kind: Namespace) -> Probe {
    let name = format!("{kind} namespace");
    match trial::unshare(CloneFlags::from_bits_retain(clone::flag(kind) as i32)) {
        Ok(()) => present(&name, "can be made"),
        Err(Errno::EINVAL) => {
            lacking(&name, State::Absent, "this kernel was built without it", "use another kernel")
        }
        Err(Errno::ENOSPC) => {
            let file = format!("/proc/sys/user/max_{}_namespaces", limit_name(kind));
            let limit = fs::read_to_string(&file).unwrap_or_default();
            let remedy = format!("raise {file}");
            lacking(&name, State::Disabled, format!("the limit is {}", limit.trim()), remedy)
        }
        Err(errno) => lacking(&name, State::Forbidden, errno.desc(), why_no_user_namespace()),
    }
}

fn ids() -> Probe {
    const NAME: &str = "ids for user namespaces";
    if identity::has_ranges() && geteuid().is_root() {
        return present(NAME, "each container has 65536 that nobody else has");
    }
    let (detail, remedy) = match geteuid().is_root() {
        true => (
            "this is a user namespace that has none to give: root in a container in it is root in this one",
            "run it outside of other containers, or take what runs here and in there for one",
        ),
        false => ("root in a container is this user", "run as root"),
    };
    lacking(NAME, State::Absent, detail, remedy)
}

/// The word in `/proc/sys/user/max_*_namespaces`.
fn limit_name(kind: Namespace) -> &'static str {
    match kind {
        Namespace::User => "user",
        Namespace::Pid => "pid",
        Namespace::Mount => "mnt",
        Namespace::Network => "net",
        Namespace::Uts => "uts",
        Namespace::Ipc => "ipc",
        Namespace::Cgroup => "cgroup",
        Namespace::Time => "time",
    }
}

fn why_no_user_namespace() -> String {
    let setting = |path: &str| fs::read_to_string(path).ok().and_then(|text| text.trim().parse::<u32>().ok());
    if setting("/proc/sys/kernel/unprivileged_userns_clone") == Some(0) {
        return "sysctl -w kernel.unprivileged_userns_clone=1, or run as root".to_string();
    }
    if setting("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == Some(1) {
        return "an AppArmor profile for nshost with `userns,`, or \
                sysctl -w kernel.apparmor_restrict_unprivileged_userns=0, or run as root"
            .to_string();
    }
    if setting("/proc/sys/user/max_user_namespaces") == Some(0) {
        return "sysctl -w user.max_user_namespaces=10000, or run as root".to_string();
    }
    "run as root, outside of other sandboxes".to_string()
}

fn network() -> Vec<Probe> {
    let results = trial::network();
    Part::ALL
        .into_iter()
        .map(|part| {
            let result = results.iter().find(|(tried, _)| *tried == part).map(|(_, result)| *result);
            let (name, modules) = match part {
                Part::Veth => ("veth", "veth"),
                Part::Table => ("nftables with owned tables", "nf_tables (Linux 5.12)"),
                Part::Ranges => ("nftables ranges in concatenations", "nf_tables (Linux 5.6)"),
                Part::Nat => ("nftables NAT for inet", "nft_chain_nat, nft_nat, nft_masq (Linux 5.2)"),
                Part::Fib => ("nftables fib", "nft_fib_inet"),
                Part::Conntrack => ("nftables connection tracking", "nft_ct"),
                Part::Kept => (
                    "nftables tables that outlive their owner",
                    "nf_tables (Linux 6.9); without, the guard of a link goes with the launchers, and so with its \
                     container: a few milliseconds are open when the last launcher is killed",
                ),
                Part::Whole => ("tables inet nshost and nshost-nat", "nf_tables and its parts above"),
            };
            match result {
                Some(Ok(())) => present(name, "works"),
                Some(Err(errno @ (Errno::EPERM | Errno::EACCES))) => lacking(
                    name,
                    State::Forbidden,
                    errno.desc(),
                    "see the capabilities and the user namespace above",
                ),
                Some(Err(errno)) => {
                    lacking(name, State::Absent, errno.desc(), format!("a kernel with {modules}"))
                }
                None => lacking(name, State::Forbidden, "no network namespace to try it in", "see above"),
            }
        })
        .collect()
}

fn forwarding(name: &str, family: &str, switch: &str, remedy: &str) -> Probe {
    let path = format!("/proc/sys/net/{family}/conf/default/{switch}");
    match access(path.as_str(), AccessFlags::W_OK) {
        Ok(()) => present(name, "can be turned on"),
        Err(Errno::ENOENT) => lacking(name, State::Absent, "this kernel has no such setting", remedy),
        // In its private host, a launch has settings of its own.
        Err(_) if !geteuid().is_root() => present(name, "in a private host"),
        Err(errno) => {
            lacking(name, State::Forbidden, format!("{path}: {}", errno.desc()), "mount /proc/sys writable")
        }
    }
}

fn other_firewalls() -> Probe {
    const NAME: &str = "other firewalls";
    if !geteuid().is_root() {
        return present(NAME, "none in a private host");
    }
    let refusing = match foreign::refusing() {
        Ok(refusing) => refusing,
        Err(error) => return lacking(NAME, State::Forbidden, error.to_string(), "run as root"),
    };
    let Some(first) = refusing.first() else { return present(NAME, "none drops what it does not know") };
    let what: Vec<&str> = refusing.iter().map(|refusing| refusing.what.as_str()).collect();
    let detail = format!("{} what is routed to and from containers", what.join(", "));
    lacking(NAME, State::Disabled, detail, first.remedy.as_str())
}

fn legacy_firewall() -> Probe {
    const NAME: &str = "legacy iptables";
    match foreign::legacy(&[Family::V4, Family::V6]) {
        None => present(NAME, "has no filter"),
        Some(refusing) => {
            let detail = format!("{} what is routed to and from containers", refusing.what);
            lacking(NAME, State::Disabled, detail, refusing.remedy)
        }
    }
}

fn landlock() -> Probe {
    const NAME: &str = "Landlock";
    match trial::landlock_abi() {
        Ok(abi) => present(NAME, format!("ABI {abi}")),
        Err(Errno::EOPNOTSUPP) => {
            lacking(NAME, State::Disabled, "off since boot", "add landlock to the boot parameter lsm=")
        }
        Err(_) => lacking(NAME, State::Absent, "this kernel was built without it", "Linux 5.13 has it"),
    }
}

fn seccomp() -> Probe {
    const NAME: &str = "seccomp filter";
    match trial::seccomp_filter() {
        Ok(()) => present(NAME, "can end a process"),
        Err(errno) => lacking(NAME, State::Absent, errno.desc(), "a kernel with CONFIG_SECCOMP_FILTER"),
    }
}

fn clone3() -> Probe {
    const NAME: &str = "clone3";
    match trial::clone3() {
        Ok(()) => present(NAME, "makes a process and its namespaces at once"),
        Err(errno) => {
            lacking(NAME, State::Absent, errno.desc(), "Linux 5.3, and no sandbox around that forbids it")
        }
    }
}

fn pidfd() -> Probe {
    const NAME: &str = "pidfd";
    match trial::pidfd() {
        Ok(()) => present(NAME, "processes cannot be mistaken for others"),
        Err(errno) => {
            lacking(NAME, State::Absent, errno.desc(), "Linux 5.3, and no sandbox around that forbids it")
        }
    }
}

fn network_cookie() -> Probe {
    const NAME: &str = "network namespace cookie";
    match host::has_cookies() {
        Ok(true) => present(NAME, "what a launch did is undone nowhere else"),
        Ok(false) => lacking(
            NAME,
            State::Absent,
            "a namespace is told by its inode, which comes again",
            "Linux 5.14; before, run nshost gc ahead of deleting a network namespace that containers were launched in",
        ),
        Err(error) => lacking(NAME, State::Forbidden, error.to_string(), "see the capabilities above"),
    }
}

fn mount_attributes() -> Probe {
    const NAME: &str = "mount_setattr";
    match trial::mount_setattr() {
        Ok(()) => present(NAME, "no file gives rights in a container with a user namespace"),
        Err(errno) => lacking(
            NAME,
            State::Absent,
            errno.desc(),
            "Linux 5.12; without it no container has a user namespace and mounts of its own",
        ),
    }
}

fn keyrings() -> Probe {
    const NAME: &str = "session keyrings";
    match trial::keyrings() {
        Ok(()) => present(NAME, "each container has one of its own"),
        Err(errno) => lacking(NAME, State::Absent, errno.desc(), "none is needed: no container has any keys"),
    }
}

/// The container has a terminal of its own; this is about everything else on the host.
fn terminal_input() -> Probe {
    const NAME: &str = "guard of terminal input";
    const OPEN: &str =
        "outside of containers, a program can type into the terminal that it runs in (TIOCSTI)";
    match fs::read_to_string("/proc/sys/dev/tty/legacy_tiocsti").as_deref().map(str::trim) {
        Ok("0") => present(NAME, "no program can type into its terminal (TIOCSTI)"),
        Ok(_) => lacking(NAME, State::Disabled, OPEN, "sysctl -w dev.tty.legacy_tiocsti=0"),
        Err(_) => lacking(NAME, State::Absent, OPEN, "Linux 6.2 can turn that off"),
    }
}

//! A host namespace of the benchmark's own.

#![expect(unsafe_code, reason = "if_nametoindex")]

use std::{
    ffi::CStr,
    fs,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};

const INSIDE: &str = "NSHOST_BENCH_INSIDE";

/// What the peers want of a host: a root file system that is a mount of its own (runc), and one kind of
/// cgroups only (crun). In the benchmark's own mount namespace; where it fails, they are not compared.
const PREPARE: &str = "ip link set lo up
ip link add up0 type veth peer name up1
ip address add 198.51.100.2/24 dev up0; ip link set up0 up; ip link set up1 up
ip route add default via 198.51.100.1
mount -t tmpfs none /run; mount -t tmpfs none /var/cache
mkdir -p /run/bench/root && mount --rbind / /run/bench/root && mount --make-rprivate /run/bench/root
mount -t cgroup2 none /sys/fs/cgroup 2>/dev/null
exec \"$@\"";

/// Where that root file system is.
pub const ROOT: &str = "/run/bench/root";

/// Starts this program again in a network and mount namespace of its own, with its own /run and cache.
pub fn enter_disposable() -> Result<()> {
    if std::env::var_os(INSIDE).is_some() {
        return Ok(());
    }
    let error = Command::new("unshare")
        .args(["--net", "--mount", "--propagation", "private", "sh", "-c", PREPARE, "sh"])
        .args(std::env::args_os())
        .env(INSIDE, "1")
        .exec();
    bail!("cannot start unshare: {error}")
}

/// Waits until no link of a launch is left (two seconds at most), and a little for the kernel's work
/// behind it, which would be in the next one's way.
pub fn settle() {
    let end = Instant::now() + Duration::from_secs(2);
    // SAFETY: C strings.
    let is_there = |name: &CStr| unsafe { libc::if_nametoindex(name.as_ptr()) } != 0;
    while (is_there(c"veth0") || is_there(c"nsh0")) && Instant::now() < end {
        thread::sleep(Duration::from_millis(2));
    }
    thread::sleep(Duration::from_millis(30));
}

/// A directory that goes with the benchmark.
pub struct Scratch(PathBuf);

impl Scratch {
    /// Beneath /run, which is the benchmark's own.
    pub fn new() -> Result<Scratch> {
        let path = PathBuf::from("/run/bench");
        fs::create_dir_all(&path)?;
        Ok(Scratch(path))
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

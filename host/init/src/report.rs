//! The one record that leaves the child.

use core::ffi::c_int;

/// Where the child failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Stage {
    /// Becoming root of the user namespace.
    Identity = 1,
    /// Binding its life to the broker's.
    ParentDeath = 2,
    /// `sethostname(2)`.
    Hostname = 3,
    /// `setdomainname(2)`.
    DomainName = 4,
    /// Making the mounts private.
    Propagation = 5,
    /// Putting `/etc/resolv.conf` in place.
    ResolvConf = 6,
    /// Mounting `/proc`.
    Proc = 7,
    /// A session and terminal of its own.
    Terminal = 8,
    /// `chdir(2)`.
    WorkingDirectory = 9,
    /// Marking descriptors close-on-exec.
    Descriptors = 10,
    /// Forking the command from the reaper.
    Reaper = 11,
    /// `execve(2)`.
    Exec = 12,
    /// A session keyring of its own.
    Keyring = 13,
    /// Unmounting the host's `/proc`.
    HostProc = 14,
    /// Putting `/etc/hosts` in place.
    Hosts = 15,
}

impl Stage {
    /// All stages, in order.
    pub const ALL: [Stage; 15] = [
        Stage::Identity,
        Stage::ParentDeath,
        Stage::Hostname,
        Stage::DomainName,
        Stage::Propagation,
        Stage::ResolvConf,
        Stage::Proc,
        Stage::Terminal,
        Stage::WorkingDirectory,
        Stage::Descriptors,
        Stage::Reaper,
        Stage::Exec,
        Stage::Keyring,
        Stage::HostProc,
        Stage::Hosts,
    ];
}

/// The stage, and `errno`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Report {
    /// Where.
    pub stage: Stage,
    /// Why.
    pub errno: c_int,
}

impl Report {
    /// The bytes in the pipe: few enough to be written at once.
    pub const SIZE: usize = 8;

    /// Stage and errno, native-endian: both ends are the same program.
    pub fn to_bytes(self) -> [u8; Self::SIZE] {
        let mut bytes = [0; Self::SIZE];
        let (stage, errno) = bytes.split_at_mut(4);
        stage.copy_from_slice(&(self.stage as u32).to_ne_bytes());
        errno.copy_from_slice(&self.errno.to_ne_bytes());
        bytes
    }

    /// The other way round; `None` for bytes that no child of ours writes.
    pub fn from_bytes(bytes: [u8; Self::SIZE]) -> Option<Report> {
        let [a, b, c, d, e, f, g, h] = bytes;
        let number = u32::from_ne_bytes([a, b, c, d]);
        let stage = Stage::ALL.into_iter().find(|stage| *stage as u32 == number)?;
        Some(Report { stage, errno: c_int::from_ne_bytes([e, f, g, h]) })
    }
}

/// The calling thread's `errno` at `stage`, as an error, unless `result` is 0 or more.
pub(crate) fn result(result: c_int, stage: Stage) -> Result<(), Report> {
    if result < 0 { Err(Report { stage, errno: errno() }) } else { Ok(()) }
}

/// Reports the calling thread's `errno` at `stage`, and ends the child.
pub(crate) fn fail(pipe: c_int, stage: Stage) -> ! {
    fail_with(pipe, stage, errno())
}

/// Reports and ends the child: 127 where the command was not found, else 126.
pub(crate) fn fail_with(pipe: c_int, stage: Stage, errno: c_int) -> ! {
    let bytes = Report { stage, errno }.to_bytes();
    let status = if stage == Stage::Exec && errno == libc::ENOENT { 127 } else { 126 };
    // SAFETY: `bytes` is SIZE bytes that live through the call; `_exit` takes any status.
    unsafe {
        libc::write(pipe, bytes.as_ptr().cast(), Report::SIZE);
        libc::_exit(status)
    }
}

/// The calling thread's `errno`.
pub(crate) fn errno() -> c_int {
    // SAFETY: the location is valid for as long as the thread lives.
    unsafe { *libc::__errno_location() }
}

/// Ends the child with a report unless `result` is 0 or more.
pub(crate) fn check(result: c_int, pipe: c_int, stage: Stage) {
    if result < 0 {
        fail(pipe, stage);
    }
}

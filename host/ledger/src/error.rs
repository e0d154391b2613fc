//! Why the ledger could not do what it was asked.

use std::{
    fmt, io,
    path::{Path, PathBuf},
    time::Duration,
};

use nix::errno::Errno;
use nshost_plan::show;

use crate::Occupant;

/// What went wrong, on what, why, and what to do.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// Another container has it: another launch was faster. A plan from fresh facts may succeed.
    Taken {
        /// What is held: `name veth0`, `network 10.0.0.0/24`, `port tcp 80`, `container name web`.
        what: String,
        /// Who has it.
        by: Box<Occupant>,
    },
    /// Every instance number is held by an entry.
    Full {
        /// How many there are.
        instances: usize,
    },
    /// Somebody has held a lock of the ledger for longer than anybody should.
    Busy {
        /// The lock's file.
        lock: PathBuf,
        /// How long was waited.
        waited: Duration,
        /// Who has it, so far as it left word.
        holder: Option<Holder>,
    },
    /// The state directory, or one in it, is not one that can be trusted.
    Untrusted {
        /// Which.
        directory: PathBuf,
        /// What is wrong with it.
        problem: Problem,
    },
    /// A lock or a claim of another ledger was handed in.
    Mixed,
    /// A record is larger than a reader would take.
    TooLarge {
        /// The container's id.
        id: String,
        /// Its size, in bytes.
        bytes: usize,
    },
    /// A system call failed.
    Io {
        /// What was being done: `open`, `lock`, `write` …
        step: &'static str,
        /// On what.
        subject: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
}

/// Who has a lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holder {
    /// Its process id, as it sees itself.
    pub pid: u32,
    /// Whether it was stopped (SIGSTOP, or a debugger).
    pub stopped: bool,
}

/// What is wrong with a state directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Problem {
    /// It is a symbolic link, or a file of another kind.
    NotADirectory,
    /// It belongs to somebody else.
    Owner {
        /// Who has it.
        uid: u32,
        /// Who should.
        expected: u32,
    },
    /// Group or others may write to it.
    Permissions {
        /// Its permission bits.
        mode: u32,
    },
}

impl Error {
    pub(crate) fn io(step: &'static str, subject: impl Into<PathBuf>, errno: Errno) -> Error {
        Error::Io { step, subject: subject.into(), source: errno.into() }
    }

    /// A stable name of the kind of error, for machines.
    pub fn code(&self) -> &'static str {
        match self {
            Error::Taken { .. } => "taken",
            Error::Full { .. } => "full",
            Error::Busy { .. } => "busy",
            Error::Untrusted { problem: Problem::NotADirectory, .. } => "not-a-directory",
            Error::Untrusted { problem: Problem::Owner { .. }, .. } => "wrong-owner",
            Error::Untrusted { problem: Problem::Permissions { .. }, .. } => "unsafe-permissions",
            Error::Mixed => "mixed",
            Error::TooLarge { .. } => "too-large",
            Error::Io { .. } => "io",
        }
    }

    /// What it is about.
    pub fn subject(&self) -> String {
        match self {
            Error::Taken { what, .. } => what.clone(),
            Error::Full { .. } => "instance".to_string(),
            Error::Busy { lock: path, .. }
            | Error::Untrusted { directory: path, .. }
            | Error::Io { subject: path, .. } => path.display().to_string(),
            Error::Mixed => "ledger".to_string(),
            Error::TooLarge { id, .. } => format!("container {id}"),
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> String {
        match self {
            Error::Taken { by, .. } => format!("{}; or ask for another", by.remedy()),
            Error::Full { .. } => "end a container, or free what killed ones left with `nshost gc`".into(),
            Error::Busy { holder: Some(Holder { pid, stopped: true }), .. } => {
                format!(
                    "let it go on (kill -CONT {pid}), or end it (kill -KILL {pid}); what it leaves is removed"
                )
            }
            Error::Busy { .. } => "a launcher hangs; `fuser` on that file tells which".into(),
            Error::Untrusted { problem: Problem::Permissions { .. }, directory } => {
                format!("chmod 700 {}, after a look at what is in it", safe(directory))
            }
            Error::Untrusted { .. } => "set NSHOST_STATE_DIR to a directory of your own".into(),
            Error::Mixed => "use locks and claims only with the ledger that gave them".into(),
            Error::TooLarge { .. } => "ask for fewer steps".into(),
            Error::Io { source, .. } => io_hint(source).into(),
        }
    }

    /// Whether what is there, or where it would be made, belongs to somebody else.
    pub(crate) fn is_somebody_elses(&self) -> bool {
        match self {
            Error::Untrusted { problem: Problem::Owner { .. }, .. } => true,
            Error::Io { source, .. } => {
                matches!(source.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem)
            }
            _ => false,
        }
    }

    /// Whether another launch was faster, so that a plan from fresh facts may succeed.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Error::Taken { .. })
    }
}

/// A path as it can be printed: `NSHOST_STATE_DIR` may be anything.
fn safe(path: &Path) -> String {
    show::log_line(&path.to_string_lossy())
}

fn io_hint(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::NotFound => "its parent directory, or a mounted /proc, is missing",
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "set NSHOST_STATE_DIR to a directory that you can write"
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "free space on its file system",
        io::ErrorKind::FileTooLarge => "raise this shell's limit on the size of files: `ulimit -f unlimited`",
        _ => "set NSHOST_STATE_DIR to a directory on a local file system",
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Taken { what, by } => write!(f, "{what} belongs to {by}")?,
            Error::Full { instances } => write!(f, "all {instances} instance numbers are held")?,
            Error::Busy { lock, waited, holder } => {
                write!(f, "{} was not released for {:.0?}", lock.display(), waited)?;
                if let Some(Holder { pid, stopped }) = holder {
                    write!(f, "; process {pid} has it{}", if *stopped { ", and is stopped" } else { "" })?;
                }
            }
            Error::Untrusted { directory, problem } => write!(f, "{} {problem}", safe(directory))?,
            Error::Mixed => write!(f, "a lock or a claim is of another ledger")?,
            Error::TooLarge { id, bytes } => write!(f, "the record of container {id} has {bytes} bytes")?,
            Error::Io { step, subject, source } => write!(f, "{step} {}: {source}", safe(subject))?,
        }
        Ok(())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::NotADirectory => write!(f, "is a symbolic link or not a directory"),
            Problem::Owner { uid, expected } => write!(f, "belongs to uid {uid}, not to uid {expected}"),
            Problem::Permissions { mode } => write!(f, "can be written by others (mode {mode:o})"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}

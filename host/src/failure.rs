//! What ends a command of nshost, and with which exit code.

use std::{
    fmt,
    io::{self, ErrorKind},
    path::Path,
};

use nix::unistd::geteuid;
use nshost_plan::show;

/// nshost's own exit codes; everything else is the command's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// The script gave up, trapped, or is not a setup script.
    Script = 120,
    /// The script used up a budget.
    Budget = 121,
    /// The grants do not have what the plan needs.
    Denied = 122,
    /// nshost could not do it.
    Nshost = 125,
    /// The command is there but cannot be run.
    CannotRun = 126,
    /// The command is not there.
    NotFound = 127,
}

/// What failed, on what, why; and what to do.
#[derive(Debug)]
pub struct Failure {
    /// The exit code.
    pub status: Status,
    /// One sentence; what came from outside is quoted.
    pub message: String,
    /// What to do about it; may be several lines, may be empty.
    pub hint: String,
    /// What failed besides, on the way back.
    pub besides: Vec<Failure>,
}

impl Failure {
    /// A failure without a hint.
    pub fn new(status: Status, message: impl Into<String>) -> Self {
        Failure { status, message: message.into(), hint: String::new(), besides: Vec::new() }
    }

    /// nshost could not do it.
    pub fn ours(message: impl Into<String>) -> Self {
        Failure::new(Status::Nshost, message)
    }

    /// The same with a hint.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }

    /// The same, with one line more of what to do.
    pub fn also(mut self, line: &str) -> Self {
        if !self.hint.is_empty() && !self.hint.ends_with('\n') {
            self.hint.push('\n');
        }
        self.hint.push_str(line);
        self
    }

    /// The same, with what failed besides: it is told too, and decides nothing.
    pub fn besides(mut self, others: impl IntoIterator<Item = Failure>) -> Self {
        self.besides.extend(others);
        self
    }

    /// Several as one, which is the first; none of none.
    pub fn all(failures: impl IntoIterator<Item = Failure>) -> Result<(), Failure> {
        let mut failures = failures.into_iter();
        failures.next().map_or(Ok(()), |first| Err(first.besides(failures)))
    }

    /// A file that could not be used, and what it is for.
    pub fn file(what: &str, path: &Path, error: &io::Error) -> Self {
        let told = format!("{what} {}: {}", show::quote(&path.to_string_lossy()), reason(error));
        Failure::ours(told).hint(of_file(path, error))
    }
}

/// What the kernel said, without its number for it.
pub fn reason(error: &dyn fmt::Display) -> String {
    let text = error.to_string();
    match text.rsplit_once(" (os error ") {
        Some((words, number)) if number.strip_suffix(')').is_some_and(|n| n.parse::<u32>().is_ok()) => {
            words.to_string()
        }
        _ => text,
    }
}

fn of_file(path: &Path, error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::NotFound => match path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            Some(parent) if !parent.exists() => {
                format!("there is no directory {}", show::quote(&parent.to_string_lossy()))
            }
            _ => "is the name right, and this the directory from where it leads?".to_string(),
        },
        ErrorKind::PermissionDenied => {
            format!(
                "user {} may not: give it the right (`ls -l` tells whose it is), or be who has it",
                geteuid()
            )
        }
        ErrorKind::IsADirectory => "it is a directory: name a file in it".to_string(),
        ErrorKind::NotADirectory => {
            "something in its path is a file, where a directory should be".to_string()
        }
        ErrorKind::ReadOnlyFilesystem => "name one on a file system that can be written".to_string(),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "free space on its file system".to_string(),
        ErrorKind::FileTooLarge => {
            "raise this shell's limit on the size of files: `ulimit -f unlimited`".to_string()
        }
        _ if error.raw_os_error() == Some(nix::libc::ELOOP) => {
            "it is a symbolic link, or leads through too many: name the file itself".to_string()
        }
        _ if error.raw_os_error() == Some(nix::libc::ENXIO) => {
            "it is a pipe or socket that nobody reads".to_string()
        }
        _ => String::new(),
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<nshost_kernel::Error> for Failure {
    fn from(error: nshost_kernel::Error) -> Self {
        let error = match of_ledger(error) {
            Ok(told) => return told,
            Err(error) => error,
        };
        let message = format!("failed: {} {}: {}", error.step, error.subject, reason(&error.source));
        let forbidden = error.errno() == Some(nix::libc::EPERM) && error.hint.is_empty();
        Failure::ours(message).hint(match forbidden {
            true => "a right is missing; `nshost doctor` tells which".to_string(),
            false => error.hint,
        })
    }
}

/// What the ledger said to the kernel's part, if it was that.
fn of_ledger(error: nshost_kernel::Error) -> Result<Failure, nshost_kernel::Error> {
    let nshost_kernel::Error { step, subject, source, hint } = error;
    match source.downcast::<nshost_ledger::Error>() {
        Ok(error) => Ok(error.into()),
        Err(source) => Err(nshost_kernel::Error { step, subject, source, hint }),
    }
}

impl From<nshost_ledger::Error> for Failure {
    fn from(error: nshost_ledger::Error) -> Self {
        use nshost_ledger::Error;
        let (what, hint) = (reason(&error), error.hint());
        let message = match error {
            Error::Taken { .. } => format!("taken: {what}"),
            Error::Untrusted { .. } => format!("the state directory cannot be used: {what}"),
            _ => format!("failed: {what}"),
        };
        Failure::ours(message).hint(hint)
    }
}

/// What a launch without root has around it, for whoever wonders why something is not there.
const PRIVATE_HOST: &str = "without root its host is a private one: a network that is made for this launch, with `lo` alone and no \
                            way out. `nshost plan --as-root` shows what root would get";

/// Why a plan came to nothing on this host, where that may be because it is a private one.
pub fn on_host(failure: Failure, rootless: bool) -> Failure {
    if rootless { failure.also(PRIVATE_HOST) } else { failure }
}

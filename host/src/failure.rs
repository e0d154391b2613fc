//! What ends a command of nshost, and with which exit code.

use std::fmt;

use nshost_plan::show;
use nshost_policy::wire::{COMPILE_MEMORY, COMPILE_TIME, Failure as Answered, ScriptError};

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
    pub fn file(what: &str, path: &std::path::Path, error: &std::io::Error) -> Self {
        let failure = Failure::ours(format!("{what} {}: {error}", show::quote(&path.to_string_lossy())));
        match error.kind() {
            std::io::ErrorKind::FileTooLarge => {
                failure.hint("raise this shell's limit on the size of files: `ulimit -f unlimited`")
            }
            _ => failure,
        }
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
        let message = format!("failed: {} {}: {}", error.step, error.subject, error.source);
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
        let (what, hint) = (error.to_string(), error.hint());
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

/// What a script that was asked about a host answered, in words.
pub fn of_setup_on(answered: Answered, rootless: bool) -> Failure {
    let of_host = matches!(
        answered,
        Answered::Script(
            ScriptError::Other(_) | ScriptError::Conflict { .. } | ScriptError::Unsupported { .. }
        )
    );
    on_host(of_script(answered), rootless && of_host)
}

/// What the worker answered, in words.
pub fn of_script(answered: Answered) -> Failure {
    match answered {
        Answered::Script(error) => of_setup(error),
        Answered::Budget { name, limit, unit } => {
            let unit = if unit.is_empty() { unit } else { format!(" {unit}") };
            let (name, compiles) = (show::log_line(&name), name == COMPILE_TIME || name == COMPILE_MEMORY);
            let more = "an operator can grant more in the [limits] of the grants file";
            let hint = match (compiles, name == COMPILE_TIME) {
                (true, true) => {
                    format!("{more} (compile-ms); until then this is remembered, unless asked with --fresh")
                }
                (true, false) => {
                    format!(
                        "{more} (compile-memory-mib); until then this is remembered, unless asked with --fresh"
                    )
                }
                (false, _) => more.to_string(),
            };
            Failure::new(Status::Budget, format!("the script used up its budget: {name}, {limit}{unit}"))
                .hint(hint)
        }
        Answered::Trap(reason) => {
            Failure::new(Status::Script, format!("the script crashed: {}", show::log_line(&reason)))
        }
        Answered::Module(reason) => {
            Failure::new(Status::Script, format!("not a setup script: {}", show::log_line(&reason)))
                .hint("`nshost inspect` shows what a module exports and imports")
        }
        Answered::Artifact(reason) => {
            Failure::ours(format!("the compiled script does not fit the worker: {}", show::log_line(&reason)))
                .hint("nshost, nshost-worker and nshost-compiler must be of one build")
        }
        Answered::Lock { what, errno } => {
            let reason = std::io::Error::from_raw_os_error(errno);
            Failure::ours(format!("the script's process could not be locked down: {what}: {reason}"))
                .hint("nothing was run; `nshost doctor` tells what this kernel lacks")
        }
    }
}

fn of_setup(error: ScriptError) -> Failure {
    let say = |status, kind: &str, subject: String, hint: String| {
        Failure::new(status, format!("{kind}: {}", show::log_line(&subject))).hint(show::log_line(&hint))
    };
    match error {
        ScriptError::Denied { capability, subject, hint } => {
            let what = format!("{} {}", show::log_line(&capability), show::log_line(&subject));
            Failure::new(Status::Denied, format!("denied: {what}")).hint(hint)
        }
        ScriptError::Invalid { subject, hint, .. } => {
            say(Status::Script, "the script asked for what cannot be", subject, hint)
        }
        ScriptError::Conflict { subject, hint, .. } => say(Status::Nshost, "taken", subject, hint),
        ScriptError::Unsupported { subject, hint, .. } => {
            say(Status::Nshost, "not possible here", subject, hint)
        }
        ScriptError::Other(reason) => {
            let reason = reason.unwrap_or_else(|| "it gave no reason".to_string());
            Failure::new(Status::Script, format!("the script gave up: {}", show::log_line(&reason)))
        }
    }
}

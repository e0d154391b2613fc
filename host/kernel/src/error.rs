//! What the kernel refused.

use std::{fmt, io};

/// A system call that failed: what was being done, on what, why, and what to do about it.
#[derive(Debug)]
pub struct Error {
    /// What was being done, stable: `link veth`, `clone`, `nftables transaction` …
    pub step: &'static str,
    /// On what.
    pub subject: String,
    /// What the kernel said.
    pub source: io::Error,
    /// What to do, where that is known; may be empty.
    pub hint: String,
}

impl Error {
    /// An error without a hint.
    pub fn new(step: &'static str, subject: impl Into<String>, source: impl Into<io::Error>) -> Self {
        Error { step, subject: subject.into(), source: source.into(), hint: String::new() }
    }

    /// The last failed libc call's `errno`.
    pub fn last(step: &'static str, subject: impl Into<String>) -> Self {
        Error::new(step, subject, io::Error::last_os_error())
    }

    /// The same with a hint.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }

    /// The `errno`, if the kernel gave one.
    pub fn errno(&self) -> Option<i32> {
        self.source.raw_os_error()
    }

    /// Whether something of that name, address or port is there already: another launch was faster,
    /// and a plan from fresh facts may succeed.
    pub fn is_conflict(&self) -> bool {
        matches!(self.errno(), Some(libc::EEXIST | libc::EADDRINUSE))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.step, self.subject, self.source)?;
        if self.hint.is_empty() { Ok(()) } else { write!(f, " — {}", self.hint) }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

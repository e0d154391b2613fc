//! What is wrong with a value that somebody handed in.

use std::fmt;

use crate::show;

/// Stable names of what can be wrong with a plan; scripts, tests and machines match on these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// A name has a wrong length or a character that it may not have.
    NameInvalid,
    /// A path is not absolute, holds `..` or NUL, or is too long.
    PathInvalid,
    /// An argument or variable holds NUL or is too long.
    TextInvalid,
    /// An address or prefix does not parse or is not one that an interface can have.
    AddressInvalid,
    /// A port range is empty, reversed, holds port 0, or does not match its target.
    PortsInvalid,
    /// The same thing was asked for twice.
    Duplicate,
    /// A step needs another step before it.
    Requires,
    /// A step names something that the plan does not have.
    UnknownReference,
    /// More than a fixed maximum.
    TooMany,
    /// Bytes that are not an encoding of the expected value.
    Undecodable,
}

impl Code {
    /// The code as it is printed and matched.
    pub fn as_str(self) -> &'static str {
        match self {
            Code::NameInvalid => "name-invalid",
            Code::PathInvalid => "path-invalid",
            Code::TextInvalid => "text-invalid",
            Code::AddressInvalid => "address-invalid",
            Code::PortsInvalid => "ports-invalid",
            Code::Duplicate => "duplicate",
            Code::Requires => "requires",
            Code::UnknownReference => "unknown-reference",
            Code::TooMany => "too-many",
            Code::Undecodable => "undecodable",
        }
    }
}

/// One thing that is wrong: what kind, on what, and what to do instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// The kind, stable.
    pub code: Code,
    /// What it is about, safe to print: quoted, escaped and shortened.
    pub subject: String,
    /// What would be right.
    pub hint: String,
}

impl Error {
    /// `subject` may be hostile: it is quoted and shortened here.
    pub fn new(code: Code, subject: &str, hint: impl Into<String>) -> Self {
        Error { code, subject: show::quote(subject), hint: hint.into() }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.subject, self.hint)
    }
}

impl std::error::Error for Error {}

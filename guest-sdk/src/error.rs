//! Why the host said no, and what a script says when it gives up.

use std::{fmt, net::AddrParseError, num::ParseIntError};

use crate::bindings::nshost::setup::types;

/// What every function of this crate returns, and `setup` too.
pub type Result<T = (), E = Error> = std::result::Result<T, E>;

/// Why a host function said no. A script may go on without what it asked for, or return the error:
/// then nothing happens on the host and the operator sees it.
///
/// A script's own messages become one with `?` or `into`:
///
/// ```
/// # use nshost_sdk::{Error, Result};
/// fn port(argument: Option<&str>) -> Result<u16> {
///     let text = argument.ok_or("which port? give it as the first argument")?;
///     text.parse().map_err(|_| format!("{text:?} is not a port").into())
/// }
/// assert_eq!(port(Some("80")), Ok(80));
/// assert_eq!(port(Some("http")), Err(Error::from("\"http\" is not a port")));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The operator's grants do not have it.
    Denied(Denial),
    /// Not well formed, or not fitting the plan so far.
    Invalid(Problem),
    /// Taken by the host or by another container.
    Conflict(Problem),
    /// This host, kernel or user cannot do it.
    Unsupported(Problem),
    /// Anything else: the script's own message.
    Other(Option<String>),
}

/// A grant that is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// Its kind: `link`, `address`, `forward` …
    pub capability: String,
    /// What was asked for.
    pub subject: String,
    /// What an operator would add to the grants file.
    pub hint: String,
}

/// What is wrong, and what would be right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// A stable name of the kind of problem.
    pub code: String,
    /// What was asked for.
    pub subject: String,
    /// What to do instead.
    pub hint: String,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Denied(denial) => {
                write!(f, "not granted: {} {}; {}", denial.capability, denial.subject, denial.hint)
            }
            Error::Invalid(problem) => write!(f, "not valid: {problem}"),
            Error::Conflict(problem) => write!(f, "taken: {problem}"),
            Error::Unsupported(problem) => write!(f, "not possible here: {problem}"),
            Error::Other(Some(message)) => f.write_str(message),
            Error::Other(None) => f.write_str("the setup script gave up"),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.subject, self.hint)
    }
}

impl std::error::Error for Error {}

impl From<&str> for Error {
    fn from(message: &str) -> Self {
        Error::Other(Some(message.to_string()))
    }
}

impl From<String> for Error {
    fn from(message: String) -> Self {
        Error::Other(Some(message))
    }
}

impl From<ParseIntError> for Error {
    fn from(error: ParseIntError) -> Self {
        Error::Other(Some(error.to_string()))
    }
}

impl From<AddrParseError> for Error {
    fn from(error: AddrParseError) -> Self {
        Error::Other(Some(error.to_string()))
    }
}

impl From<types::Problem> for Problem {
    fn from(problem: types::Problem) -> Self {
        Problem { code: problem.code, subject: problem.subject, hint: problem.hint }
    }
}

impl From<Problem> for types::Problem {
    fn from(problem: Problem) -> Self {
        types::Problem { code: problem.code, subject: problem.subject, hint: problem.hint }
    }
}

impl From<types::Error> for Error {
    fn from(error: types::Error) -> Self {
        match error {
            types::Error::Denied(types::Denial { capability, subject, hint }) => {
                Error::Denied(Denial { capability, subject, hint })
            }
            types::Error::Invalid(problem) => Error::Invalid(problem.into()),
            types::Error::Conflict(problem) => Error::Conflict(problem.into()),
            types::Error::Unsupported(problem) => Error::Unsupported(problem.into()),
            types::Error::Other(message) => Error::Other(message),
        }
    }
}

impl From<Error> for types::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Denied(Denial { capability, subject, hint }) => {
                types::Error::Denied(types::Denial { capability, subject, hint })
            }
            Error::Invalid(problem) => types::Error::Invalid(problem.into()),
            Error::Conflict(problem) => types::Error::Conflict(problem.into()),
            Error::Unsupported(problem) => types::Error::Unsupported(problem.into()),
            Error::Other(message) => types::Error::Other(message),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem() -> Problem {
        Problem { code: "name-invalid".into(), subject: "\"a b\"".into(), hint: "use letters".into() }
    }

    #[test]
    fn what_comes_from_the_host_goes_back_unchanged() {
        let denial = Denial { capability: "link".into(), subject: "veth0".into(), hint: "[[link]]".into() };
        for error in [
            Error::Denied(denial),
            Error::Invalid(problem()),
            Error::Conflict(problem()),
            Error::Unsupported(problem()),
            Error::Other(Some("no".into())),
            Error::Other(None),
        ] {
            assert_eq!(Error::from(types::Error::from(error.clone())), error);
        }
    }

    #[test]
    fn a_message_says_what_and_what_to_do() {
        assert_eq!(Error::Invalid(problem()).to_string(), "not valid: \"a b\"; use letters");
        assert_eq!(Error::from("out of luck").to_string(), "out of luck");
        assert_eq!(Error::Other(None).to_string(), "the setup script gave up");
    }
}

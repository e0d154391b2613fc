//! Why the host said no, and what a script says when it gives up.

use std::{fmt, net::AddrParseError, num::ParseIntError, panic::Location};

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
    at: At,
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
    at: At,
}

/// Which call of the script's a host function said no to. Two errors are equal wherever they come from.
#[derive(Clone, Copy)]
struct At {
    what: &'static str,
    caller: &'static Location<'static>,
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}:{}", self.what, self.caller.file(), self.caller.line())
    }
}

impl fmt::Debug for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl PartialEq for At {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for At {}

/// What the host answered to `what`, for whoever called the function that calls this.
#[track_caller]
pub(crate) fn answer<T>(what: &'static str, answer: Result<T, types::Error>) -> Result<T> {
    let at = At { what, caller: Location::caller() };
    answer.map_err(|error| Error::told(error, at))
}

impl Error {
    fn told(error: types::Error, at: At) -> Self {
        let problem = |types::Problem { code, subject, hint }| Problem { code, subject, hint, at };
        match error {
            types::Error::Denied(types::Denial { capability, subject, hint }) => {
                Error::Denied(Denial { capability, subject, hint, at })
            }
            types::Error::Invalid(told) => Error::Invalid(problem(told)),
            types::Error::Conflict(told) => Error::Conflict(problem(told)),
            types::Error::Unsupported(told) => Error::Unsupported(problem(told)),
            types::Error::Other(message) => Error::Other(message),
        }
    }

    fn at(&self) -> Option<String> {
        let at = match self {
            Error::Denied(denial) => denial.at,
            Error::Invalid(problem) | Error::Conflict(problem) | Error::Unsupported(problem) => problem.at,
            Error::Other(_) => return None,
        };
        Some(at.to_string())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Denied(denial) => {
                write!(f, "not granted: {} {}", denial.capability, denial.subject)
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

/// Says where, since it does not say what: [`argument`](crate::argument) has better words.
impl From<ParseIntError> for Error {
    #[track_caller]
    fn from(error: ParseIntError) -> Self {
        unread(&error, Location::caller())
    }
}

/// Says where, since it does not say what: [`argument`](crate::argument) has better words.
impl From<AddrParseError> for Error {
    #[track_caller]
    fn from(error: AddrParseError) -> Self {
        unread(&error, Location::caller())
    }
}

fn unread(error: &dyn fmt::Display, at: &Location<'_>) -> Error {
    Error::Other(Some(format!("{error}, at {}:{}", at.file(), at.line())))
}

impl From<Problem> for types::Problem {
    fn from(problem: Problem) -> Self {
        types::Problem { code: problem.code, subject: problem.subject, hint: problem.hint }
    }
}

impl From<Error> for types::Failure {
    fn from(error: Error) -> Self {
        let at = error.at();
        let why = match error {
            Error::Denied(Denial { capability, subject, hint, .. }) => {
                types::Error::Denied(types::Denial { capability, subject, hint })
            }
            Error::Invalid(problem) => types::Error::Invalid(problem.into()),
            Error::Conflict(problem) => types::Error::Conflict(problem.into()),
            Error::Unsupported(problem) => types::Error::Unsupported(problem.into()),
            Error::Other(message) => types::Error::Other(message),
        };
        types::Failure { why, at }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem() -> types::Problem {
        types::Problem { code: "name-invalid".into(), subject: "\"a b\"".into(), hint: "use letters".into() }
    }

    #[test]
    fn what_comes_from_the_host_goes_back_unchanged_and_with_its_place() {
        let denial =
            types::Denial { capability: "link".into(), subject: "veth0".into(), hint: "[[link]]".into() };
        for told in [
            types::Error::Denied(denial),
            types::Error::Invalid(problem()),
            types::Error::Conflict(problem()),
            types::Error::Unsupported(problem()),
        ] {
            let (error, line) = (answer::<()>("link::veth", Err(told.clone())).unwrap_err(), line!());
            let failure = types::Failure::from(error);
            assert_eq!(format!("{:?}", failure.why), format!("{told:?}"));
            assert_eq!(failure.at.unwrap(), format!("link::veth at {}:{line}", file!()));
        }
        let failure = types::Failure::from(Error::Other(Some("no".into())));
        assert!(failure.at.is_none(), "the script's own words are for the operator");
    }

    #[test]
    fn what_does_not_say_what_says_where() {
        let port = || -> Result<u16> { Ok("http".parse()?) };
        let line = line!() - 1;
        let text = format!("invalid digit found in string, at {}:{line}", file!());
        assert_eq!(port(), Err(Error::Other(Some(text))));
    }

    #[test]
    fn a_message_says_what_and_what_to_do() {
        let invalid = answer::<()>("link::veth", Err(types::Error::Invalid(problem()))).unwrap_err();
        assert_eq!(invalid.to_string(), "not valid: \"a b\"; use letters");
        assert_eq!(Error::from("out of luck").to_string(), "out of luck");
        assert_eq!(Error::Other(None).to_string(), "the setup script gave up");
    }
}

//! The command that runs in the container, and what it finds there.

use serde::{Deserialize, Serialize};

use crate::{Code, Error, codec::AtMost};

/// An argument of a command: at most 32 KiB, without NUL (`execve(2)` takes 128 KiB; nobody types that).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Argument(String);

impl Argument {
    /// The longest argument, in bytes.
    pub const MAX: usize = 32 * 1024;

    /// The argument as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Argument {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        if text.len() > Self::MAX || text.contains('\0') {
            return Err(Error::new(
                Code::TextInvalid,
                &text,
                "an argument has no NUL and at most 32768 bytes",
            ));
        }
        Ok(Argument(text))
    }
}

impl From<Argument> for String {
    fn from(argument: Argument) -> String {
        argument.0
    }
}

/// A command: its program (a path, or a name that is looked for in [`Command::PATH`]) and arguments.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "AtMost<Argument, { Command::MAX }>", into = "Vec<Argument>")]
pub struct Command(Vec<Argument>);

impl Command {
    /// The most arguments, the program included.
    pub const MAX: usize = 1024;
    /// The most bytes in all of them.
    pub const MAX_BYTES: usize = 128 * 1024;
    /// Where a program without a `/` is looked for, whatever `PATH` the plan sets for the command; and what
    /// `PATH` is where it sets none.
    pub const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

    /// From texts that may be anything.
    pub fn parse<I: IntoIterator<Item = String>>(texts: I) -> Result<Self, Error> {
        let arguments = texts.into_iter().map(Argument::try_from).collect::<Result<Vec<_>, _>>()?;
        Command::try_from(arguments)
    }

    /// What is executed.
    pub fn program(&self) -> &str {
        self.0[0].as_str()
    }

    /// The program's name and its arguments: `argv`.
    pub fn arguments(&self) -> &[Argument] {
        &self.0
    }
}

impl TryFrom<Vec<Argument>> for Command {
    type Error = Error;

    fn try_from(arguments: Vec<Argument>) -> Result<Self, Error> {
        let program = arguments.first().map_or("", Argument::as_str);
        if program.is_empty() {
            return Err(Error::new(Code::TextInvalid, program, "a command names a program"));
        }
        if program.len() > AbsolutePath::MAX {
            return Err(Error::new(Code::TextInvalid, program, "a program's path has at most 4095 bytes"));
        }
        let bytes: usize = arguments.iter().map(|argument| argument.as_str().len() + 1).sum();
        if arguments.len() > Self::MAX || bytes > Self::MAX_BYTES {
            return Err(Error::new(
                Code::TooMany,
                program,
                "a command has at most 1024 arguments and 128 KiB",
            ));
        }
        Ok(Command(arguments))
    }
}

impl<const MAX: usize> TryFrom<AtMost<Argument, MAX>> for Command {
    type Error = Error;

    fn try_from(arguments: AtMost<Argument, MAX>) -> Result<Self, Error> {
        Command::try_from(arguments.0)
    }
}

impl From<Command> for Vec<Argument> {
    fn from(command: Command) -> Vec<Argument> {
        command.0
    }
}

/// An environment variable of the command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "(String, String)", into = "(String, String)")]
pub struct Variable {
    name: String,
    value: String,
}

impl Variable {
    /// The name has letters, digits and `_`, and does not begin with a digit.
    pub fn new(name: String, value: String) -> Result<Self, Error> {
        let first_ok = name.bytes().next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
        let rest_ok = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if !first_ok || !rest_ok || name.len() > 255 {
            return Err(Error::new(
                Code::NameInvalid,
                &name,
                "a variable's name has 1 to 255 letters, digits and _, and no digit first",
            ));
        }
        if value.len() > Argument::MAX || value.contains('\0') {
            return Err(Error::new(Code::TextInvalid, &name, "a value has no NUL and at most 32768 bytes"));
        }
        Ok(Variable { name, value })
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The value.
    pub fn value(&self) -> &str {
        &self.value
    }
}

impl TryFrom<(String, String)> for Variable {
    type Error = Error;

    fn try_from((name, value): (String, String)) -> Result<Self, Error> {
        Variable::new(name, value)
    }
}

impl From<Variable> for (String, String) {
    fn from(variable: Variable) -> Self {
        (variable.name, variable.value)
    }
}

/// An absolute path: at most 4095 bytes, without NUL and without `..`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AbsolutePath(String);

impl AbsolutePath {
    /// The longest path, in bytes (`PATH_MAX` less the NUL).
    pub const MAX: usize = 4095;

    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path without what says nothing: `//`, `/./` and a `/` at the end.
    pub fn plain(&self) -> String {
        let parts: Vec<&str> = self.0.split('/').filter(|part| !["", "."].contains(part)).collect();
        format!("/{}", parts.join("/"))
    }
}

impl TryFrom<String> for AbsolutePath {
    type Error = Error;

    fn try_from(path: String) -> Result<Self, Error> {
        let climbs = path.split('/').any(|part| part == "..");
        if !path.starts_with('/') || path.len() > Self::MAX || path.contains('\0') || climbs {
            return Err(Error::new(
                Code::PathInvalid,
                &path,
                "a path begins with /, has at most 4095 bytes, no NUL and no ..",
            ));
        }
        Ok(AbsolutePath(path))
    }
}

impl From<AbsolutePath> for String {
    fn from(path: AbsolutePath) -> String {
        path.0
    }
}

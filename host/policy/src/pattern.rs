//! Patterns for names and directories: literal, or with one `*` at the end; and the path of one program.

use nshost_plan::{AbsolutePath, Command, LinkName, Variable};
use serde::{Deserialize, Serialize};

use crate::text::Written;

/// A pattern for interface names: `veth0`, `veth*` or `*`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct NamePattern {
    stem: String,
    open: bool,
}

impl NamePattern {
    /// Every name.
    pub fn any() -> Self {
        NamePattern { stem: String::new(), open: true }
    }

    /// This name alone.
    pub fn literal(name: &LinkName) -> Self {
        NamePattern { stem: name.as_str().to_string(), open: false }
    }

    /// Whether the name fits.
    pub fn matches(&self, name: &LinkName) -> bool {
        if self.open { name.as_str().starts_with(&self.stem) } else { name.as_str() == self.stem }
    }

    /// Whether every name that fits `other` fits this.
    pub fn covers(&self, other: &Self) -> bool {
        if self.open { other.stem.starts_with(&self.stem) } else { self == other }
    }

    /// As it is written in a grants file, without quotes.
    pub fn text(&self) -> String {
        format!("{}{}", self.stem, if self.open { "*" } else { "" })
    }
}

impl Written for NamePattern {
    const EXPECTED: &'static str = "an interface's name, with or without a * at the end";

    fn read(text: &str) -> Result<Self, String> {
        let (stem, open) = text.strip_suffix('*').map_or((text, false), |stem| (stem, true));
        let characters = stem.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
        if !characters || stem.len() > LinkName::MAX || text.is_empty() {
            return Err(format!(
                "{text:?} cannot be an interface's name: write 1 to 15 of A-Z a-z 0-9 - _ . with or without a * at the end"
            ));
        }
        if !open && LinkName::try_from(stem.to_string()).is_err() {
            return Err(format!("{text:?} is a name that no link of a container may have"));
        }
        Ok(NamePattern { stem: stem.to_string(), open })
    }
}

/// A pattern for the names of variables: `LANG`, `LC_*` or `*`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct VariablePattern {
    stem: String,
    open: bool,
}

impl VariablePattern {
    /// Every name.
    pub fn any() -> Self {
        VariablePattern { stem: String::new(), open: true }
    }

    /// This name alone.
    pub fn literal(variable: &Variable) -> Self {
        VariablePattern { stem: variable.name().to_string(), open: false }
    }

    /// Whether the name fits.
    pub fn matches(&self, variable: &Variable) -> bool {
        if self.open { variable.name().starts_with(&self.stem) } else { variable.name() == self.stem }
    }

    /// Whether every name that fits `other` fits this.
    pub fn covers(&self, other: &Self) -> bool {
        if self.open { other.stem.starts_with(&self.stem) } else { self == other }
    }

    /// As it is written in a grants file, without quotes.
    pub fn text(&self) -> String {
        format!("{}{}", self.stem, if self.open { "*" } else { "" })
    }
}

impl Written for VariablePattern {
    const EXPECTED: &'static str = "a variable's name, with or without a * at the end";

    fn read(text: &str) -> Result<Self, String> {
        let (stem, open) = text.strip_suffix('*').map_or((text, false), |stem| (stem, true));
        let every = open && stem.is_empty();
        if !every && Variable::new(stem.to_string(), String::new()).is_err() {
            return Err(format!(
                "{text:?} cannot be a variable's name: write A-Z a-z 0-9 and _, no digit first, with or without a * at the end"
            ));
        }
        Ok(VariablePattern { stem: stem.to_string(), open })
    }
}

/// A pattern for directories: one path, everything below a directory (`/srv/*`), or `*`.
/// A `*` or a `\` that is part of a name is written with a `\` before it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct DirectoryPattern {
    /// A plain path; or where `open`: a plain path with a `/` at its end, or nothing, which is all.
    stem: String,
    open: bool,
}

impl DirectoryPattern {
    /// Every directory.
    pub fn any() -> Self {
        DirectoryPattern { stem: String::new(), open: true }
    }

    /// This one alone.
    pub fn literal(path: &AbsolutePath) -> Self {
        DirectoryPattern { stem: path.plain(), open: false }
    }

    /// Whether it is this directory, or lies below.
    pub fn matches(&self, path: &AbsolutePath) -> bool {
        let path = path.plain();
        if self.open { path.starts_with(&self.stem) && path != self.stem } else { path == self.stem }
    }

    /// Whether every directory that matches `other` matches this.
    pub fn covers(&self, other: &Self) -> bool {
        match (self.open, other.open) {
            (true, true) => other.stem.starts_with(&self.stem),
            (true, false) => other.stem.starts_with(&self.stem) && other.stem != self.stem,
            (false, _) => self == other,
        }
    }

    /// As it is written in a grants file, without quotes.
    pub fn text(&self) -> String {
        format!("{}{}", escape(&self.stem), if self.open { "*" } else { "" })
    }
}

impl Written for DirectoryPattern {
    const EXPECTED: &'static str = "a directory like /srv, everything below it like /srv/*, or *";

    fn read(text: &str) -> Result<Self, String> {
        let (stem, open) = unescape(text)?;
        if open && stem.is_empty() {
            return Ok(DirectoryPattern::any());
        }
        if open && !stem.ends_with('/') {
            return Err("before a * stands nothing, or a directory, as in /srv/*".to_string());
        }
        let path = AbsolutePath::try_from(stem).map_err(|error| error.hint)?;
        let stem = match (open, path.plain()) {
            (true, root) if root == "/" => root,
            (true, path) => format!("{path}/"),
            (false, path) => path,
        };
        Ok(DirectoryPattern { stem, open })
    }
}

/// The path of one program, or `*` for every program. No pattern says which programs a directory will hold,
/// or what they can do: `/usr/bin/*` would have `nsenter` in it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum ProgramPath {
    /// Every program.
    Any,
    /// The file where this path leads on the host: absolute, without `..`, letter by letter.
    Exact(String),
}

impl ProgramPath {
    /// The longest name of a file (`NAME_MAX`).
    const MAX_NAME: usize = 255;

    /// Whether a script can name a program like this: by an absolute path without `..`, or by a bare name,
    /// which is looked for on the host before it is judged. What a relative path means nobody knows.
    pub fn can_be(program: &str) -> bool {
        match program.contains('/') {
            true => AbsolutePath::try_from(program.to_string()).is_ok(),
            false => program != ".." && program.len() <= Self::MAX_NAME,
        }
    }

    /// This program alone. A bare name that is still here has not been found: then where most are.
    pub fn literal(program: &str) -> Self {
        match program.contains('/') {
            true => ProgramPath::Exact(program.to_string()),
            false => ProgramPath::Exact(format!("/usr/bin/{program}")),
        }
    }

    /// Whether it is this program; of a bare name, whether it could be found to be. It is never executed
    /// under its bare name: see the launcher's `decide`.
    pub fn matches(&self, program: &str) -> bool {
        match self {
            ProgramPath::Any => true,
            ProgramPath::Exact(path) if program.contains('/') => path == program,
            ProgramPath::Exact(path) => path.rsplit_once('/').is_some_and(|(directory, name)| {
                name == program && Command::PATH.split(':').any(|usual| usual == directory)
            }),
        }
    }

    /// Whether every program that matches `other` matches this.
    pub fn covers(&self, other: &Self) -> bool {
        *self == ProgramPath::Any || self == other
    }

    /// As it is written in a grants file, without quotes.
    pub fn text(&self) -> String {
        match self {
            ProgramPath::Any => "*".to_string(),
            ProgramPath::Exact(path) => escape(path),
        }
    }
}

impl Written for ProgramPath {
    const EXPECTED: &'static str = "the absolute path of a program, like /bin/sh; or * for every program";

    fn read(text: &str) -> Result<Self, String> {
        let (path, open) = unescape(text)?;
        match (open, path.as_str()) {
            (true, "") => Ok(ProgramPath::Any),
            (true, _) => Err("a table grants one program: name each, for a directory holds programs that \
                              nobody thought of, and tomorrow others"
                .to_string()),
            (false, name) if !name.is_empty() && !name.contains('/') => Err(format!(
                "{text:?} could be any file of that name: write its absolute path, like /usr/bin/{name}"
            )),
            (false, _) => AbsolutePath::try_from(path.clone())
                .map(|_| ProgramPath::Exact(path))
                .map_err(|error| error.hint),
        }
    }
}

fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('*', "\\*")
}

/// The text without its escapes, and whether it ends in a `*` that is none.
fn unescape(text: &str) -> Result<(String, bool), String> {
    let mut stem = String::new();
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        match (c, rest.as_str()) {
            ('*', "") => return Ok((stem, true)),
            ('*', _) => {
                return Err("a * stands at the end; one that is part of a name is written \\*".to_string());
            }
            ('\\', _) => match rest.next() {
                Some(c @ ('*' | '\\')) => stem.push(c),
                _ => return Err("after a \\ comes * or \\".to_string()),
            },
            _ => stem.push(c),
        }
    }
    Ok((stem, false))
}

//! Patterns for names and paths: literal, or with one `*` at the end.

use nshost_plan::LinkName;
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

/// A pattern for programs: a path or a bare name, everything below a directory (`/usr/bin/*`), or `*`.
/// A `*` or a `\` that is part of a name is written with a `\` before it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct ProgramPattern {
    /// A program; or where `open`: a directory with a `/` at its end, or nothing, which is all.
    stem: String,
    open: bool,
}

impl ProgramPattern {
    /// The longest path, in bytes: `PATH_MAX` less the NUL, and the `./` that [`plain`] may add.
    const MAX: usize = 4097;

    /// Every program.
    pub fn any() -> Self {
        ProgramPattern { stem: String::new(), open: true }
    }

    /// This program alone.
    pub fn literal(program: &str) -> Self {
        ProgramPattern { stem: plain(program), open: false }
    }

    /// Whether it is this program, or surely lies in this directory.
    pub fn matches(&self, program: &str) -> bool {
        let program = plain(program);
        if !self.open {
            return program == self.stem;
        }
        let below = program.starts_with(&self.stem) && program != self.stem;
        self.stem.is_empty() || (below && !climbs(&program))
    }

    /// Whether it might be this program or lie in this directory, as far as a path can tell: one with
    /// `..` may lead anywhere, and one that is not absolute begins anywhere.
    pub fn could_match(&self, program: &str) -> bool {
        let program = plain(program);
        let last = |path: &str| path.rsplit('/').next().unwrap_or_default().to_string();
        if climbs(&program) {
            return true;
        }
        if program.starts_with('/') && (self.stem.starts_with('/') || self.open) {
            return self.matches(&program);
        }
        self.open || last(&self.stem) == last(&program)
    }

    /// Whether every program that matches `other` matches this.
    pub fn covers(&self, other: &Self) -> bool {
        match (self.open, other.open) {
            (true, true) => other.stem.starts_with(&self.stem),
            (true, false) => self.matches(&other.stem),
            (false, _) => self == other,
        }
    }

    /// Whether a `..` makes it unclear where it leads.
    pub fn climbs(&self) -> bool {
        climbs(&self.stem)
    }

    /// As it is written in a grants file, without quotes.
    pub fn text(&self) -> String {
        let escaped = self.stem.replace('\\', "\\\\").replace('*', "\\*");
        format!("{escaped}{}", if self.open { "*" } else { "" })
    }
}

impl Written for ProgramPattern {
    const EXPECTED: &'static str = "a program like /bin/sh, a directory like /usr/bin/*, or *";

    fn read(text: &str) -> Result<Self, String> {
        let (stem, open) = unescape(text)?;
        if text.is_empty() || stem.len() > Self::MAX || stem.contains('\0') {
            return Err("a program's path has at least one byte, at most 4095, and no NUL".to_string());
        }
        if !open {
            return Ok(ProgramPattern::literal(&stem));
        }
        let directory = stem.starts_with('/') && stem.ends_with('/') && !climbs(&stem);
        match (stem.as_str(), directory) {
            ("", _) => Ok(ProgramPattern::any()),
            (_, true) => {
                let path = plain(&stem);
                let stem = if path == "/" { path } else { format!("{path}/") };
                Ok(ProgramPattern { stem, open })
            }
            _ => Err("before a * stands nothing, or an absolute directory without .., as in /usr/bin/*"
                .to_string()),
        }
    }
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

/// A path without what says nothing: `//`, `/./` and a `/` at the end. A name without any `/` is looked
/// for in `PATH` and stays what it is; a relative path begins with `./`.
fn plain(path: &str) -> String {
    if !path.contains('/') {
        return path.to_string();
    }
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    let root = if path.starts_with('/') { "/" } else { "./" };
    format!("{root}{}", parts.join("/"))
}

fn climbs(path: &str) -> bool {
    path.split('/').any(|part| part == "..")
}

//! Where a script may have the command start: what a command reads and does is often said by files of the
//! directory that it starts in (a `Makefile`, a `.git`).

use nshost_plan::AbsolutePath;
use serde::{Deserialize, Serialize};

use crate::{
    pattern::DirectoryPattern,
    rule::{Noun, Rule, quoted},
    text::{Text, no_denial},
};

/// Directories by their paths in the container, without symbolic links: the child sees to that.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct DirectoryRule {
    pub path: DirectoryPattern,
}

/// `[[working-directory]]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Table {
    path: Text<DirectoryPattern>,
    #[serde(default)]
    deny: bool,
}

impl TryFrom<Table> for Rule<DirectoryRule> {
    type Error = String;

    fn try_from(table: Table) -> Result<Self, String> {
        no_denial(table.deny, "a directory", "a link, a mount")?;
        Ok(Rule::allow(DirectoryRule { path: table.path.0 }))
    }
}

impl Noun for DirectoryRule {
    const SECTION: &'static str = "working-directory";
    type Asked<'a> = &'a AbsolutePath;

    fn allows(&self, asked: &AbsolutePath) -> bool {
        self.path.matches(asked)
    }

    fn touches(&self, asked: &AbsolutePath) -> bool {
        self.allows(asked)
    }

    fn least(asked: &AbsolutePath) -> Self {
        DirectoryRule { path: DirectoryPattern::literal(asked) }
    }

    fn covers(&self, other: &Self) -> bool {
        self.path.covers(&other.path)
    }

    fn join(&self, _next: &Self) -> Option<Self> {
        None
    }

    fn keys(&self) -> Vec<(&'static str, String)> {
        vec![("path", quoted(&self.path.text()))]
    }
}

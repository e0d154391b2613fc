//! Which commands a script may choose. The command that the operator typed is the operator's own.

use nshost_plan::{Command, Facts};
use serde::{Deserialize, Serialize};

use crate::{
    pattern::ProgramPattern,
    rule::{self, Decision, Noun, Rule, quoted},
    text::Text,
};

/// Programs by their paths.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct ExecRule {
    pub path: ProgramPattern,
}

/// `[[exec]]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Table {
    path: Text<ProgramPattern>,
    #[serde(default)]
    deny: bool,
}

impl TryFrom<Table> for Rule<ExecRule> {
    type Error = String;

    fn try_from(table: Table) -> Result<Self, String> {
        let path = table.path.0;
        if table.deny && path.climbs() {
            return Err("a path that is denied has no .., which could lead anywhere".to_string());
        }
        Ok(Rule { what: ExecRule { path }, deny: table.deny, line: 0 })
    }
}

impl Noun for ExecRule {
    const SECTION: &'static str = "exec";
    type Asked<'a> = &'a str;

    fn allows(&self, program: &str) -> bool {
        self.path.matches(program)
    }

    fn touches(&self, program: &str) -> bool {
        self.path.could_match(program)
    }

    fn least(program: &str) -> Self {
        ExecRule { path: ProgramPattern::literal(program) }
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

/// The operator's own command needs no grant, and no denial is meant for it.
pub(crate) fn decide(
    rules: &[Rule<ExecRule>],
    command: &Command,
    facts: &Facts,
    file: Option<&str>,
) -> Decision {
    if command.arguments() == facts.command.as_slice() {
        return Decision::Allowed("needs no grant: it is the operator's own command".to_string());
    }
    rule::decide(rules, command.program(), file)
}

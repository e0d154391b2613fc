//! Which variables a script may set. They decide what a command does (`LD_PRELOAD`, `BASH_ENV`, `PATH`),
//! so that whoever sets them has a part of its rights.

use nshost_plan::{Argument, Variable};
use serde::{Deserialize, Serialize};

use crate::{
    pattern::VariablePattern,
    rule::{Noun, Rule, quoted},
    text::Text,
};

/// Variables by their names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct VariableRule {
    pub name: VariablePattern,
    /// With this value alone; none: with any.
    pub value: Option<String>,
}

/// `[[variable]]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Table {
    name: Text<VariablePattern>,
    value: Option<String>,
    #[serde(default)]
    deny: bool,
}

impl TryFrom<Table> for Rule<VariableRule> {
    type Error = String;

    fn try_from(table: Table) -> Result<Self, String> {
        let Table { name, value, deny } = table;
        if deny && value.is_some() {
            return Err(
                "value says nothing where deny = true: another value would do the same; leave it out"
                    .to_string(),
            );
        }
        // An argument and a value have the same letters and the same length.
        let value = value.map(Argument::try_from).transpose().map_err(|error| error.hint)?;
        Ok(Rule { what: VariableRule { name: name.0, value: value.map(String::from) }, deny, line: 0 })
    }
}

impl Noun for VariableRule {
    const SECTION: &'static str = "variable";
    type Asked<'a> = &'a Variable;

    fn allows(&self, asked: &Variable) -> bool {
        self.name.matches(asked) && self.value.as_deref().is_none_or(|value| value == asked.value())
    }

    fn touches(&self, asked: &Variable) -> bool {
        self.name.matches(asked)
    }

    fn least(asked: &Variable) -> Self {
        VariableRule { name: VariablePattern::literal(asked), value: Some(asked.value().to_string()) }
    }

    fn covers(&self, other: &Self) -> bool {
        self.name.covers(&other.name) && (self.value.is_none() || self.value == other.value)
    }

    fn join(&self, _next: &Self) -> Option<Self> {
        None
    }

    fn keys(&self) -> Vec<(&'static str, String)> {
        let mut keys = vec![("name", quoted(&self.name.text()))];
        keys.extend(self.value.as_ref().map(|value| ("value", quoted(value))));
        keys
    }

    fn why_not(rules: &[Rule<Self>], asked: &Variable, file: Option<&str>) -> String {
        match rules.iter().find(|rule| rule.what.name.matches(asked)) {
            Some(rule) => format!("{} allows another value", rule.name(file)),
            None => "no [[variable]] table allows it".to_string(),
        }
    }
}

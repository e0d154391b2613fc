//! Which commands a script may choose. The command that the operator typed is the operator's own.

use std::fmt;

use nshost_plan::{Argument, Command, Facts};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{Error, SeqAccess, Visitor},
};

use crate::{
    pattern::ProgramPath,
    rule::{self, Decision, Noun, Rule, quoted},
    text::{Text, no_denial},
};

/// A program, by the file where its path leads, with what it is told.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct ExecRule {
    pub path: ProgramPath,
    pub arguments: Arguments,
}

/// The arguments after the program's name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Arguments {
    /// Whatever the script says: for most programs (`sh -c`, `env`, `find -exec`) that is any program.
    Any,
    /// These, all of them, in this order.
    Exact(Vec<String>),
}

impl ExecRule {
    /// Every program with any arguments.
    pub fn any() -> Self {
        ExecRule { path: ProgramPath::Any, arguments: Arguments::Any }
    }
}

/// `[[exec]]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Table {
    path: Text<ProgramPath>,
    arguments: Option<Written>,
    #[serde(default)]
    deny: bool,
}

/// The arguments as a file has them: `"any"`, or a list.
struct Written(Arguments);

impl<'de> Deserialize<'de> for Written {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WrittenVisitor)
    }
}

struct WrittenVisitor;

impl<'de> Visitor<'de> for WrittenVisitor {
    type Value = Written;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of strings, or \"any\" for whatever the script says")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Written, E> {
        let wrong = || E::custom(format!("{text:?} is neither a list of arguments nor \"any\""));
        if text == "any" { Ok(Written(Arguments::Any)) } else { Err(wrong()) }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Written, A::Error> {
        let mut words = Vec::new();
        while let Some(word) = list.next_element::<String>()? {
            words.push(Argument::try_from(word).map_err(|error| A::Error::custom(error.hint))?.into());
        }
        Ok(Written(Arguments::Exact(words)))
    }
}

impl TryFrom<Table> for Rule<ExecRule> {
    type Error = String;

    fn try_from(table: Table) -> Result<Self, String> {
        let Table { path: Text(path), arguments, deny } = table;
        // Nothing said is no argument.
        let arguments = arguments.map_or(Arguments::Exact(Vec::new()), |written| written.0);
        no_denial(deny, "a program", "links, /proc/self/root, env, the loader, a copy")?;
        if path == ProgramPath::Any && arguments != Arguments::Any {
            return Err(
                "path = \"*\" is every program, and so is whatever it is told: add arguments = \"any\""
                    .to_string(),
            );
        }
        Ok(Rule::allow(ExecRule { path, arguments }))
    }
}

impl Arguments {
    fn fit(&self, asked: &[Argument]) -> bool {
        match self {
            Arguments::Any => true,
            Arguments::Exact(mine) => mine.iter().eq(asked.iter().map(Argument::as_str)),
        }
    }
}

impl Noun for ExecRule {
    const SECTION: &'static str = "exec";
    type Asked<'a> = &'a Command;

    fn allows(&self, asked: &Command) -> bool {
        self.path.matches(asked.program()) && self.arguments.fit(&asked.arguments()[1..])
    }

    /// No file has such a denial: [`no_denial`].
    fn touches(&self, asked: &Command) -> bool {
        self.allows(asked)
    }

    fn least(asked: &Command) -> Self {
        let arguments = asked.arguments()[1..].iter().map(|word| word.as_str().to_string());
        ExecRule {
            path: ProgramPath::literal(asked.program()),
            arguments: Arguments::Exact(arguments.collect()),
        }
    }

    fn covers(&self, other: &Self) -> bool {
        self.path.covers(&other.path)
            && (self.arguments == Arguments::Any || self.arguments == other.arguments)
    }

    fn join(&self, _next: &Self) -> Option<Self> {
        None
    }

    fn keys(&self) -> Vec<(&'static str, String)> {
        let mut keys = vec![("path", quoted(&self.path.text()))];
        match &self.arguments {
            Arguments::Any => keys.push(("arguments", quoted("any"))),
            Arguments::Exact(words) if words.is_empty() => {}
            Arguments::Exact(words) => {
                let words: Vec<String> = words.iter().map(|word| quoted(word)).collect();
                keys.push(("arguments", format!("[{}]", words.join(", "))));
            }
        }
        keys
    }

    fn why_not(rules: &[Rule<Self>], asked: &Command, file: Option<&str>) -> String {
        match rules.iter().find(|rule| rule.what.path.matches(asked.program())) {
            Some(rule) => format!("{} allows it with other arguments", rule.name(file)),
            None => "no [[exec]] table allows it".to_string(),
        }
    }
}

/// The operator's own command needs no grant.
pub(crate) fn decide(
    rules: &[Rule<ExecRule>],
    command: &Command,
    facts: &Facts,
    file: Option<&str>,
) -> Decision {
    if command.arguments() == facts.command.as_slice() {
        return Decision::Allowed("needs no grant: it is the operator's own command".to_string());
    }
    if !ProgramPath::can_be(command.program()) {
        let hint = "a script names a program by its absolute path without .., or by its bare name";
        return Decision::Unfit(hint.to_string());
    }
    rule::decide(rules, command, file)
}

//! What all kinds of grant have in common: a rule, how it decides, how it is written.

use nshost_plan::show;
use serde::{Deserialize, Serialize};

/// A kind of grant.
pub(crate) trait Noun: Clone + Ord {
    /// The name of its tables.
    const SECTION: &'static str;
    /// What a step asks of it.
    type Asked<'a>: Copy;

    /// Whether all of what is asked for is covered.
    fn allows(&self, asked: Self::Asked<'_>) -> bool;

    /// Whether any part of what is asked for is covered: what a denial goes by.
    fn touches(&self, asked: Self::Asked<'_>) -> bool;

    /// The narrowest rule that allows it.
    fn least(asked: Self::Asked<'_>) -> Self;

    /// Whether this allows everything that `other` allows.
    fn covers(&self, other: &Self) -> bool;

    /// One rule in place of this and the next in order, if it allows nothing more than the two.
    fn join(&self, next: &Self) -> Option<Self>;

    /// Its keys and values, as TOML; those that say nothing new are left out.
    fn keys(&self) -> Vec<(&'static str, String)>;

    /// Why none of the rules allows it.
    fn why_not(_rules: &[Rule<Self>], _asked: Self::Asked<'_>, _file: Option<&str>) -> String {
        format!("no [[{}]] table allows it", Self::SECTION)
    }
}

/// One table of a grants file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Rule<T> {
    /// What it is about.
    pub what: T,
    /// Whether it denies instead of allowing.
    pub deny: bool,
    /// Where it stands in the file; 0 if it was not read from one.
    pub line: u32,
}

/// Where a rule stands is no part of what it says.
impl<T: PartialEq> PartialEq for Rule<T> {
    fn eq(&self, other: &Self) -> bool {
        self.what == other.what && self.deny == other.deny
    }
}

/// What the rules of one kind say to a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Allowed, by which rule.
    Allowed(String),
    /// A denial touches it: which.
    Forbidden(String),
    /// No rule allows it: why not, and the table that would.
    Lacking(String, String),
    /// No rule could be about it: what to ask for instead.
    Unfit(String),
}

/// Deny beats allow; without either it is lacking.
pub(crate) fn decide<T: Noun>(rules: &[Rule<T>], asked: T::Asked<'_>, file: Option<&str>) -> Decision {
    if let Some(rule) = rules.iter().find(|rule| rule.deny && rule.what.touches(asked)) {
        return Decision::Forbidden(rule.name(file));
    }
    match rules.iter().find(|rule| !rule.deny && rule.what.allows(asked)) {
        Some(rule) => Decision::Allowed(rule.name(file)),
        None => Decision::Lacking(T::why_not(rules, asked, file), Rule::allow(T::least(asked)).table()),
    }
}

impl<T: Noun> Rule<T> {
    /// A rule that stands in no file.
    pub fn allow(what: T) -> Self {
        Rule { what, deny: false, line: 0 }
    }

    /// The table as TOML: lines that can be appended to any grants file.
    pub fn table(&self) -> String {
        let keys: String = self.keys().iter().map(|(key, value)| format!("\n{key} = {value}")).collect();
        format!("[[{}]]{keys}", T::SECTION)
    }

    /// The rule in one line: where it stands and what it says.
    pub fn name(&self, file: Option<&str>) -> String {
        let keys: Vec<String> = self.keys().iter().map(|(key, value)| format!("{key} = {value}")).collect();
        let place = match file {
            Some(file) if self.line > 0 => format!("{}:{} ", show::log_line(file), self.line),
            _ => String::new(),
        };
        format!("{place}[[{}]] {}", T::SECTION, keys.join(", "))
    }

    fn keys(&self) -> Vec<(&'static str, String)> {
        let mut keys = self.what.keys();
        if self.deny {
            keys.push(("deny", "true".to_string()));
        }
        keys
    }
}

/// The fewest rules that allow what these allow and nothing more, in a fixed order.
pub(crate) fn merge<T: Noun>(mut rules: Vec<T>) -> Vec<T> {
    rules.sort();
    rules.dedup();
    let mut joined: Vec<T> = Vec::new();
    for rule in uncovered(&rules) {
        match joined.last().and_then(|last| last.join(&rule)) {
            Some(both) => {
                joined.pop();
                joined.push(both);
            }
            None => joined.push(rule),
        }
    }
    uncovered(&joined)
}

/// Those that no other one covers; no two may be equal.
fn uncovered<T: Noun>(rules: &[T]) -> Vec<T> {
    let covered = |rule: &T| rules.iter().any(|other| other != rule && other.covers(rule));
    rules.iter().filter(|rule| !covered(rule)).cloned().collect()
}

/// A TOML basic string (TOML 1.0, "String") that holds nothing a terminal would act on.
pub(crate) fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            ' '..='~' => out.push(c),
            c => out.push_str(&format!("\\U{:08X}", u32::from(c))),
        }
    }
    out.push('"');
    out
}

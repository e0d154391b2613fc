//! Which namespaces a container may have of its own. They stay inside, so that without any table that
//! allows some, all are allowed.

use nshost_plan::{Facts, Namespace};
use serde::{Deserialize, Serialize};

use crate::{
    check::Hurdle,
    rule::{self, Decision, Noun, Rule, quoted},
    text::{Text, Written},
};

/// Kinds of namespace, at least one, in the order of [`Namespace::ALL`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Kinds(Vec<Namespace>);

impl Kinds {
    /// Those that a table names, in any order.
    pub fn named(names: impl IntoIterator<Item = Namespace>) -> Result<Self, String> {
        let names: Vec<Namespace> = names.into_iter().collect();
        if names.is_empty() {
            return Err("kinds names no namespace".to_string());
        }
        Ok(Kinds::those(|kind| names.contains(&kind)))
    }

    /// This one alone.
    pub fn only(kind: Namespace) -> Self {
        Kinds(vec![kind])
    }

    /// Those of all eight that are in, of which there is one at least.
    pub fn those(is_in: impl Fn(Namespace) -> bool) -> Self {
        Kinds(Namespace::ALL.into_iter().filter(|kind| is_in(*kind)).collect())
    }

    pub fn contains(&self, kind: Namespace) -> bool {
        self.0.contains(&kind)
    }

    pub fn covers(&self, other: &Self) -> bool {
        other.0.iter().all(|kind| self.contains(*kind))
    }

    pub fn join(&self, next: &Self) -> Self {
        Kinds::those(|kind| self.contains(kind) || next.contains(kind))
    }

    /// The key and its value, as TOML.
    pub fn key(&self) -> (&'static str, String) {
        let kinds: Vec<String> = self.0.iter().map(|kind| quoted(kind.name())).collect();
        ("kinds", format!("[{}]", kinds.join(", ")))
    }
}

/// The container's own namespaces, by their kinds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct NamespaceRule {
    pub kinds: Kinds,
}

/// `[[namespace]]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Table {
    kinds: Vec<Text<Kind>>,
    #[serde(default)]
    deny: bool,
}

struct Kind(Namespace);

impl Written for Kind {
    const EXPECTED: &'static str = "user, pid, mount, network, uts, ipc, cgroup or time";

    fn read(text: &str) -> Result<Self, String> {
        let unknown = || format!("{text:?} is no kind of namespace; write {}", Self::EXPECTED);
        Namespace::from_name(text).map(Kind).ok_or_else(unknown)
    }
}

impl TryFrom<Table> for Rule<NamespaceRule> {
    type Error = String;

    fn try_from(table: Table) -> Result<Self, String> {
        let kinds = Kinds::named(table.kinds.into_iter().map(|text| text.0.0))?;
        Ok(Rule { what: NamespaceRule { kinds }, deny: table.deny, line: 0 })
    }
}

impl Noun for NamespaceRule {
    const SECTION: &'static str = "namespace";
    type Asked<'a> = Namespace;

    fn allows(&self, asked: Namespace) -> bool {
        self.kinds.contains(asked)
    }

    fn touches(&self, asked: Namespace) -> bool {
        self.allows(asked)
    }

    fn least(asked: Namespace) -> Self {
        NamespaceRule { kinds: Kinds::only(asked) }
    }

    fn covers(&self, other: &Self) -> bool {
        self.kinds.covers(&other.kinds)
    }

    fn join(&self, next: &Self) -> Option<Self> {
        Some(NamespaceRule { kinds: self.kinds.join(&next.kinds) })
    }

    fn keys(&self) -> Vec<(&'static str, String)> {
        vec![self.kinds.key()]
    }
}

/// Without a table that allows some, all are allowed but those that are denied.
pub(crate) fn decide(rules: &[Rule<NamespaceRule>], asked: Namespace, file: Option<&str>) -> Decision {
    match rule::decide(rules, asked, file) {
        Decision::Lacking(..) if rules.iter().all(|rule| rule.deny) => {
            Decision::Allowed("needs no grant: it stays in the container".to_string())
        }
        decision => decision,
    }
}

/// Time namespaces came with Linux 5.6 (`time_namespaces(7)`), after everything else that is needed.
pub(crate) fn hurdle(asked: Namespace, facts: &Facts) -> Option<Hurdle> {
    const SINCE: (u32, u32) = (5, 6);
    let version = kernel_version(&facts.kernel)?;
    (asked == Namespace::Time && version < SINCE)
        .then(|| Hurdle::unsupported("time namespaces need Linux 5.6; leave it out".to_string()))
}

fn kernel_version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

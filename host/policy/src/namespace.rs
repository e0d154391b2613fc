//! Which namespaces a container may have of its own. They stay inside, so that without any table that
//! allows some, all are allowed.

use nshost_plan::{Facts, Namespace, Plan};
use serde::{Deserialize, Serialize};

use crate::{
    check::Hurdle,
    rule::{self, Decision, Noun, Rule, quoted},
    text::{Text, Written},
};

/// Kinds of namespace, at least one, in the order of [`Namespace::ALL`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct NamespaceRule {
    pub kinds: Vec<Namespace>,
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
        if table.kinds.is_empty() {
            return Err("kinds names no namespace".to_string());
        }
        let named = |kind: &Namespace| table.kinds.iter().any(|text| text.0.0 == *kind);
        let kinds = Namespace::ALL.into_iter().filter(named).collect();
        Ok(Rule { what: NamespaceRule { kinds }, deny: table.deny, line: 0 })
    }
}

impl Noun for NamespaceRule {
    const SECTION: &'static str = "namespace";
    type Asked<'a> = Namespace;

    fn allows(&self, asked: Namespace) -> bool {
        self.kinds.contains(&asked)
    }

    fn touches(&self, asked: Namespace) -> bool {
        self.allows(asked)
    }

    fn least(asked: Namespace) -> Self {
        NamespaceRule { kinds: vec![asked] }
    }

    fn covers(&self, other: &Self) -> bool {
        other.kinds.iter().all(|kind| self.kinds.contains(kind))
    }

    fn join(&self, next: &Self) -> Option<Self> {
        let kinds = Namespace::ALL.into_iter().filter(|kind| self.allows(*kind) || next.allows(*kind));
        Some(NamespaceRule { kinds: kinds.collect() })
    }

    fn keys(&self) -> Vec<(&'static str, String)> {
        let kinds: Vec<String> = self.kinds.iter().map(|kind| quoted(kind.name())).collect();
        vec![("kinds", format!("[{}]", kinds.join(", ")))]
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

/// The host's namespaces that a container with this plan would share and through which its command
/// reaches the host: its processes, mounts, network, names and System V objects. A user namespace of
/// its own is for what is not trusted as root; cgroup and time namespaces hide, they do not confine.
///
/// No grant has this yet; what is shared goes out of the container without a step that says so.
pub fn shared(plan: &Plan) -> Vec<Namespace> {
    use Namespace::{Ipc, Mount, Network, Pid, Uts};
    let own = plan.namespaces();
    [Pid, Mount, Network, Uts, Ipc].into_iter().filter(|kind| !own.contains(*kind)).collect()
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

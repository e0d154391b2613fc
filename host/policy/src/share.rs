//! Which of the host's namespaces a container may share. What is shared reaches out of the container
//! without a step that says so; so nothing is allowed unless a table does.

use nshost_plan::{Namespace, Namespaces, Plan};
use serde::{Deserialize, Serialize};

use crate::{
    namespace::Kinds,
    rule::{Noun, Rule},
    text::{Text, Written},
};

/// The kinds through which a command reaches the host: its processes, mounts, network, names and System
/// V objects. A user namespace of its own is for what is not trusted as root; cgroup and time namespaces
/// hide, they do not confine.
const CONFINING: [Namespace; 5] =
    [Namespace::Pid, Namespace::Mount, Namespace::Network, Namespace::Uts, Namespace::Ipc];

/// The host's namespaces, by their kinds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct ShareRule {
    pub kinds: Kinds,
}

impl ShareRule {
    /// All that can be granted.
    pub fn any() -> Self {
        ShareRule { kinds: Kinds::those(|kind| CONFINING.contains(&kind)) }
    }
}

/// `[[share]]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Table {
    kinds: Vec<Text<Kind>>,
    #[serde(default)]
    deny: bool,
}

struct Kind(Namespace);

impl Written for Kind {
    const EXPECTED: &'static str = "pid, mount, network, uts or ipc";

    fn read(text: &str) -> Result<Self, String> {
        match Namespace::from_name(text) {
            Some(kind) if CONFINING.contains(&kind) => Ok(Kind(kind)),
            Some(kind) => {
                Err(format!("sharing the host's {kind} namespace takes no grant; write {}", Self::EXPECTED))
            }
            None => Err(format!("{text:?} is no kind of namespace; write {}", Self::EXPECTED)),
        }
    }
}

impl TryFrom<Table> for Rule<ShareRule> {
    type Error = String;

    fn try_from(table: Table) -> Result<Self, String> {
        let kinds = Kinds::named(table.kinds.into_iter().map(|text| text.0.0))?;
        Ok(Rule { what: ShareRule { kinds }, deny: table.deny, line: 0 })
    }
}

impl Noun for ShareRule {
    const SECTION: &'static str = "share";
    type Asked<'a> = Namespace;

    fn allows(&self, asked: Namespace) -> bool {
        self.kinds.contains(asked)
    }

    fn touches(&self, asked: Namespace) -> bool {
        self.allows(asked)
    }

    fn least(asked: Namespace) -> Self {
        ShareRule { kinds: Kinds::only(asked) }
    }

    fn covers(&self, other: &Self) -> bool {
        self.kinds.covers(&other.kinds)
    }

    fn join(&self, next: &Self) -> Option<Self> {
        Some(ShareRule { kinds: self.kinds.join(&next.kinds) })
    }

    fn keys(&self) -> Vec<(&'static str, String)> {
        vec![self.kinds.key()]
    }
}

/// The host's namespaces that containers of this plan share, of those that take a grant.
pub fn shared(plan: &Plan) -> impl Iterator<Item = Namespace> + use<> {
    let own: Vec<Namespaces> = plan.containers().map(|container| plan.namespaces(container)).collect();
    CONFINING.into_iter().filter(move |kind| own.iter().any(|own| !own.contains(*kind)))
}

/// In words.
pub(crate) fn subject(kind: Namespace) -> String {
    format!("the host's {kind} namespace")
}

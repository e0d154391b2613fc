//! Links and their ends: what a plan calls an interface.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Code, ContainerId, Error, Place};

/// The name of a network interface: 1 to 15 bytes (`IFNAMSIZ` less the NUL), ASCII letters, digits,
/// `-`, `_` and `.`, not `.` or `..`. Narrower than the kernel's rule, which also takes `%`, `@` and
/// other characters that tools read as syntax.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LinkName(String);

impl LinkName {
    /// The longest name, in bytes.
    pub const MAX: usize = 15;
    /// How names begin that links get when their container has ended: nothing may be in the way of that.
    pub const RETIRED: &str = "nshgone";

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn characters_ok(name: &str) -> bool {
        name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
    }
}

impl TryFrom<String> for LinkName {
    type Error = Error;

    fn try_from(name: String) -> Result<Self, Error> {
        let length_ok = !name.is_empty() && name.len() <= Self::MAX;
        // "all" and "default" are directories beside the interfaces' own under /proc/sys/net/*/conf.
        let reserved =
            matches!(name.as_str(), "." | ".." | "lo" | "all" | "default") || name.starts_with(Self::RETIRED);
        if !length_ok || reserved || !Self::characters_ok(&name) {
            return Err(Error::new(
                Code::NameInvalid,
                &name,
                "an interface name has 1 to 15 of the characters A-Z a-z 0-9 - _ . and is not lo, all, default or nshgone…",
            ));
        }
        Ok(LinkName(name))
    }
}

impl From<LinkName> for String {
    fn from(name: LinkName) -> String {
        name.0
    }
}

impl fmt::Display for LinkName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An interface that the plan makes: the how-manieth, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct InterfaceId(pub u16);

/// An interface that a step is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Interface {
    /// A container's own `lo`.
    Loopback(ContainerId),
    /// One that the plan makes.
    Made(InterfaceId),
}

/// Where an interface is made, and under which name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// Where it lives.
    pub at: Place,
    /// Its name there.
    pub name: LinkName,
}

/// What makes interfaces, one variant for each kind. Each makes its ends in order, and they are numbered so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Link {
    /// A veth pair: two interfaces in two places, each the other's wire (`veth(4)`).
    Veth([End; 2]),
}

impl Link {
    /// A veth pair from the host to the first container.
    pub fn from_host(host: LinkName, container: LinkName) -> Link {
        let inside = Place::Container(ContainerId::FIRST);
        Link::Veth([End { at: Place::Host, name: host }, End { at: inside, name: container }])
    }

    /// The interfaces that it makes.
    pub fn ends(&self) -> &[End] {
        match self {
            Link::Veth(ends) => ends,
        }
    }

    /// The name of its kind in grants and messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Link::Veth(_) => "veth",
        }
    }

    /// The ends of a link from the host to a container, the host's first; each with how many of the link's
    /// interfaces are made before it.
    pub fn host_first(&self) -> [(u16, &End); 2] {
        match self {
            Link::Veth([a, b]) => match (a.at, b.at) {
                (Place::Container(_), Place::Host) => [(1, b), (0, a)],
                // Two in one place are in no plan.
                (Place::Host, Place::Container(_) | Place::Host)
                | (Place::Container(_), Place::Container(_)) => [(0, a), (1, b)],
            },
        }
    }

    /// The end that is not `end`, if there is another: what leaves by one comes in by the other.
    pub fn other_end(&self, end: usize) -> Option<usize> {
        match self {
            Link::Veth(_) => Some(1 - end.min(1)),
        }
    }
}

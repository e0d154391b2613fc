//! Links and their ends: what a plan calls an interface.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Code, Error};

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

/// Which link of the plan: the how-manieth that it makes, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LinkId(pub u16);

/// Which end of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Side {
    /// The end in the host's network namespace: it reaches out of the container.
    Host,
    /// The end in the container's.
    Container,
}

impl Side {
    /// The name in grants and messages.
    pub fn name(self) -> &'static str {
        match self {
            Side::Host => "host",
            Side::Container => "container",
        }
    }
}

/// An interface that a step is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Interface {
    /// The container's own `lo`.
    Loopback,
    /// One end of a link that the plan makes.
    End(LinkId, Side),
}

impl Interface {
    /// Where the interface lives.
    pub fn side(self) -> Side {
        match self {
            Interface::Loopback => Side::Container,
            Interface::End(_, side) => side,
        }
    }
}

/// A veth pair: two interfaces, each the other's wire (`veth(4)`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Veth {
    /// The name of the end on the host.
    pub host: LinkName,
    /// The name of the end in the container.
    pub container: LinkName,
}

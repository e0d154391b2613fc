//! Where things live: the host, and each container.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Which container of the plan: the how-manieth that it makes, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ContainerId(pub u16);

impl ContainerId {
    /// The first container, which every plan has.
    pub const FIRST: ContainerId = ContainerId(0);
}

/// A network namespace in which interfaces live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Place {
    /// The host's.
    Host,
    /// A container's own.
    Container(ContainerId),
}

impl Place {
    /// Whether it is the host's.
    pub fn is_host(self) -> bool {
        match self {
            Place::Host => true,
            Place::Container(_) => false,
        }
    }

    /// Whose it is, if it is a container's.
    pub fn container(self) -> Option<ContainerId> {
        match self {
            Place::Host => None,
            Place::Container(id) => Some(id),
        }
    }

    /// The name in grants and messages.
    pub fn name(self) -> &'static str {
        match self {
            Place::Host => "host",
            Place::Container(_) => "container",
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

//! The two sides of a link, as grants speak of them: the host, and what is not the host.

use nshost_plan::Place;
use serde::{Deserialize, Serialize};

/// Which side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Side {
    /// The host's network namespace.
    Host,
    /// A container's own.
    Container,
}

impl Side {
    /// On which side a place is.
    pub fn of(place: Place) -> Side {
        match place {
            Place::Host => Side::Host,
            Place::Container(_) => Side::Container,
        }
    }

    /// The name in grants.
    pub fn name(self) -> &'static str {
        match self {
            Side::Host => "host",
            Side::Container => "container",
        }
    }
}

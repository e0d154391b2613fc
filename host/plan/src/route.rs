//! Routes in the main table.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::{Cidr, Interface};

/// A unicast route: packets to `to` leave by `interface`, through `via` if one is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// The interface, and with it the side.
    pub interface: Interface,
    /// The destination; a prefix of 0 is the default route.
    pub to: Cidr,
    /// The next hop; none where the destination is on the link.
    pub via: Option<IpAddr>,
}

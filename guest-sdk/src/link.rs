//! Links between host and container, their addresses and routes.
//! Needs [`Network`](crate::container::NETWORK).

use std::net::IpAddr;

use crate::{
    Result,
    bindings::nshost::setup::{address, link, route},
    error::answer,
};

/// Makes a veth pair: two interfaces, each the other's wire (`ip link add HOST type veth peer name
/// CONTAINER`, and the peer moved into the container).
///
/// ```no_run
/// # use nshost_sdk::prelude::*;
/// let veth = link::veth("veth0", "veth1")?;
/// veth.host().address("169.254.1.1/30")?.up()?;
/// veth.container().address("169.254.1.2/30")?.up()?;
/// # Ok::<(), Error>(())
/// ```
#[track_caller]
pub fn veth(host: &str, container: &str) -> Result<Veth> {
    answer("link::veth", link::Veth::create(host, container)).map(Veth)
}

/// The container's own `lo`.
#[track_caller]
pub fn loopback() -> Result<Endpoint> {
    answer("link::loopback", link::loopback()).map(Endpoint)
}

/// A veth pair of the plan. Dropping it changes nothing.
#[derive(Debug)]
pub struct Veth(link::Veth);

impl Veth {
    /// The end on the host.
    pub fn host(&self) -> Endpoint {
        Endpoint(self.0.host())
    }

    /// The end in the container.
    pub fn container(&self) -> Endpoint {
        Endpoint(self.0.container())
    }
}

/// An interface of the plan. Its methods hand it back, so that they can be written in a row.
#[derive(Debug)]
pub struct Endpoint(link::Endpoint);

impl Endpoint {
    /// Its name.
    pub fn name(&self) -> String {
        self.0.name()
    }

    /// Gives it an address with its prefix length, like `169.254.1.1/30` or `fd00::1/64` (`ip addr add`):
    /// a text or a [`Cidr`](crate::Cidr).
    #[track_caller]
    pub fn address(self, address: impl ToString) -> Result<Self> {
        answer("address", address::add(&self.0, &address.to_string()))?;
        Ok(self)
    }

    /// Sets it up (`ip link set … up`).
    #[track_caller]
    pub fn up(self) -> Result<Self> {
        answer("up", self.0.up())?;
        Ok(self)
    }

    /// Leads a network, like `10.0.0.0/8`, to this interface, on the side where it is: to the next
    /// hop `via`, which lies in the network of one of its addresses.
    #[track_caller]
    pub fn route(self, destination: impl ToString, via: impl ToString) -> Result<Self> {
        answer("route", route::add(&self.0, &destination.to_string(), Some(&via.to_string())))?;
        Ok(self)
    }

    /// Leads a network that is on the link itself to this interface.
    #[track_caller]
    pub fn direct_route(self, destination: impl ToString) -> Result<Self> {
        answer("direct_route", route::add(&self.0, &destination.to_string(), None))?;
        Ok(self)
    }

    /// Leads everything of `via`'s address family that has no better route to this interface.
    #[track_caller]
    pub fn default_route(self, via: IpAddr) -> Result<Self> {
        let everything = if via.is_ipv4() { "0.0.0.0/0" } else { "::/0" };
        answer("default_route", route::add(&self.0, everything, Some(&via.to_string())))?;
        Ok(self)
    }
}

//! `nshost:setup/link`: the container's links and their ends.
//!
//! A handle carries a number of ours, which the script never sees: it has an index into its own table of
//! handles, and wasmtime checks index and type. The number names the interface in the plan, of a veth pair its first, so handles need no
//! table here, cost nothing, and dropping one changes nothing.

use nshost_plan::{Around, Code, ContainerId, Interface, InterfaceId, Link, LinkName, Step};
use wasmtime::{bail, component::Resource};

use crate::{
    bindings::{
        Endpoint, VethPair,
        nshost::setup::link::{Host, HostEndpoint, HostVeth},
    },
    state::{Asked, State, invalid},
};

/// The handle of an interface: 0 is `lo`; that of interface n is n + 1.
fn handle(interface: Interface) -> Resource<Endpoint> {
    Resource::new_own(match interface {
        Interface::Loopback(ContainerId(_)) => 0,
        Interface::Made(InterfaceId(id)) => u32::from(id) + 1,
    })
}

/// The other way round.
pub(crate) fn interface(handle: &Resource<Endpoint>) -> wasmtime::Result<Interface> {
    match handle.rep().checked_sub(1) {
        None => Ok(LOOPBACK),
        Some(number) => Ok(Interface::Made(made(number)?)),
    }
}

fn made(number: u32) -> wasmtime::Result<InterfaceId> {
    match u16::try_from(number) {
        Ok(id) => Ok(InterfaceId(id)),
        Err(_) => bail!("a handle of an interface that was never made"),
    }
}

const LOOPBACK: Interface = Interface::Loopback(ContainerId::FIRST);

impl Host for State {
    fn loopback(&mut self) -> Asked<Resource<Endpoint>> {
        self.call(())?;
        match self.plan.fits(&Step::Around(Around::Up(LOOPBACK))) {
            // Up already, or a full plan: the interface is there all the same.
            Err(error) if error.code == Code::Requires => Ok(Err(invalid(error))),
            _ => Ok(Ok(handle(LOOPBACK))),
        }
    }
}

impl HostEndpoint for State {
    fn name(&mut self, endpoint: Resource<Endpoint>) -> wasmtime::Result<String> {
        self.call(())?;
        Ok(self.plan.interface_name(interface(&endpoint)?).to_string())
    }

    fn up(&mut self, endpoint: Resource<Endpoint>) -> Asked {
        self.call(())?;
        let interface = interface(&endpoint)?;
        self.ask_around(Ok(Around::Up(interface)))
    }

    fn drop(&mut self, _endpoint: Resource<Endpoint>) -> wasmtime::Result<()> {
        self.call(())
    }
}

impl HostVeth for State {
    fn create(&mut self, host: String, container: String) -> Asked<Resource<VethPair>> {
        self.call((host.as_str(), container.as_str()))?;
        let link = LinkName::try_from(host)
            .and_then(|host| Ok(Link::from_host(host, LinkName::try_from(container)?)));
        let number = self.plan.interfaces().count() as u32;
        let asked = self.ask_around(link.map(Around::Link))?;
        Ok(asked.map(|()| Resource::new_own(number)))
    }

    fn host(&mut self, veth: Resource<VethPair>) -> wasmtime::Result<Resource<Endpoint>> {
        self.call(())?;
        Ok(handle(Interface::Made(made(veth.rep())?)))
    }

    fn container(&mut self, veth: Resource<VethPair>) -> wasmtime::Result<Resource<Endpoint>> {
        self.call(())?;
        Ok(handle(Interface::Made(made(veth.rep() + 1)?)))
    }

    fn drop(&mut self, _veth: Resource<VethPair>) -> wasmtime::Result<()> {
        self.call(())
    }
}

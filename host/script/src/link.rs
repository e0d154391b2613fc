//! `nshost:setup/link`: the container's links and their ends.
//!
//! A handle carries a number of ours, which the script never sees: it has an index into its own table of
//! handles, and wasmtime checks index and type. The number names the link in the plan, so handles need no
//! table here, cost nothing, and dropping one changes nothing.

use nshost_plan::{Code, Interface, LinkId, LinkName, Side, Step, Veth};
use wasmtime::{bail, component::Resource};

use crate::{
    bindings::{
        Endpoint, VethPair,
        nshost::setup::link::{Host, HostEndpoint, HostVeth},
    },
    state::{Asked, State, invalid},
};

/// The handle of an interface: 0 is `lo`; the ends of link n are 2n + 1 and 2n + 2.
fn handle(interface: Interface) -> Resource<Endpoint> {
    Resource::new_own(match interface {
        Interface::Loopback => 0,
        Interface::End(LinkId(id), Side::Host) => 2 * u32::from(id) + 1,
        Interface::End(LinkId(id), Side::Container) => 2 * u32::from(id) + 2,
    })
}

/// The other way round.
pub(crate) fn interface(handle: &Resource<Endpoint>) -> wasmtime::Result<Interface> {
    let Some(number) = handle.rep().checked_sub(1) else { return Ok(Interface::Loopback) };
    let side = if number % 2 == 0 { Side::Host } else { Side::Container };
    Ok(Interface::End(link(number / 2)?, side))
}

fn link(number: u32) -> wasmtime::Result<LinkId> {
    match u16::try_from(number) {
        Ok(id) => Ok(LinkId(id)),
        Err(_) => bail!("a handle of a link that was never made"),
    }
}

impl Host for State {
    fn loopback(&mut self) -> Asked<Resource<Endpoint>> {
        self.call(())?;
        match self.plan.fits(&Step::Up(Interface::Loopback)) {
            // Up already, or a full plan: the interface is there all the same.
            Err(error) if error.code == Code::Requires => Ok(Err(invalid(error))),
            _ => Ok(Ok(handle(Interface::Loopback))),
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
        self.ask(Ok(Step::Up(interface)))
    }

    fn drop(&mut self, _endpoint: Resource<Endpoint>) -> wasmtime::Result<()> {
        self.call(())
    }
}

impl HostVeth for State {
    fn create(&mut self, host: String, container: String) -> Asked<Resource<VethPair>> {
        self.call((host.as_str(), container.as_str()))?;
        let names = LinkName::try_from(host)
            .and_then(|host| LinkName::try_from(container).map(|container| Veth { host, container }));
        let number = self.plan.links().count() as u32;
        let asked = self.ask(names.map(Step::Veth))?;
        Ok(asked.map(|()| Resource::new_own(number)))
    }

    fn host(&mut self, veth: Resource<VethPair>) -> wasmtime::Result<Resource<Endpoint>> {
        self.call(())?;
        Ok(handle(Interface::End(link(veth.rep())?, Side::Host)))
    }

    fn container(&mut self, veth: Resource<VethPair>) -> wasmtime::Result<Resource<Endpoint>> {
        self.call(())?;
        Ok(handle(Interface::End(link(veth.rep())?, Side::Container)))
    }

    fn drop(&mut self, _veth: Resource<VethPair>) -> wasmtime::Result<()> {
        self.call(())
    }
}

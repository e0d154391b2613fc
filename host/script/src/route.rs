//! `nshost:setup/route`: routes on the side where the interface is.

use nshost_plan::{Around, Interface, Route};
use wasmtime::component::Resource;

use crate::{
    bindings::{Endpoint, nshost::setup::route::Host},
    link::interface,
    state::{Asked, State, address},
};

impl Host for State {
    fn add(&mut self, endpoint: Resource<Endpoint>, destination: String, via: Option<String>) -> Asked {
        self.call((destination.as_str(), &via))?;
        let route = route(interface(&endpoint)?, &destination, via.as_deref());
        self.ask_around(route.map(Around::Route))
    }
}

fn route(interface: Interface, to: &str, via: Option<&str>) -> Result<Route, nshost_plan::Error> {
    Ok(Route { interface, to: to.parse()?, via: via.map(address).transpose()? })
}

//! `nshost:setup/address`: addresses on interfaces.

use nshost_plan::{Address, Around};
use wasmtime::component::Resource;

use crate::{
    bindings::{Endpoint, nshost::setup::address::Host},
    link::interface,
    state::{Asked, State},
};

impl Host for State {
    fn add(&mut self, endpoint: Resource<Endpoint>, address: String) -> Asked {
        self.call(address.as_str())?;
        let interface = interface(&endpoint)?;
        self.ask_around(address.parse().map(|cidr| Around::Address(Address { interface, cidr })))
    }
}

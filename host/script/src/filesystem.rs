//! `nshost:setup/filesystem`: what is mounted in the container.

use nshost_plan::{Inside, ResolvConf};

use crate::{
    bindings::nshost::setup::filesystem::Host,
    state::{Asked, State, address},
};

impl Host for State {
    fn private_propagation(&mut self) -> Asked {
        self.call(())?;
        self.ask_inside(Ok(Inside::PrivatePropagation))
    }

    fn mount_proc(&mut self) -> Asked {
        self.call(())?;
        self.ask_inside(Ok(Inside::Proc))
    }

    fn resolv_conf(&mut self, nameservers: Vec<String>) -> Asked {
        self.call(nameservers.as_slice())?;
        let servers: Result<Vec<_>, _> = nameservers.iter().map(|text| address(text)).collect();
        self.ask_inside(servers.and_then(ResolvConf::try_from).map(Inside::ResolvConf))
    }
}

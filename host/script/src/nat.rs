//! `nshost:setup/nat`: masquerade and port forwards.

use nshost_plan::{Around, Forward, LinkName, Masquerade, PortRange, Protocol};

use crate::{
    bindings::nshost::setup::nat::{self, Host},
    state::{Asked, State, address},
};

impl Host for State {
    fn masquerade(&mut self, source: String, out: String) -> Asked {
        self.call((source.as_str(), out.as_str()))?;
        let masquerade =
            address(&source).and_then(|source| LinkName::try_from(out).map(|out| Masquerade { source, out }));
        self.ask_around(masquerade.map(Around::Masquerade))
    }

    fn forward(
        &mut self,
        protocol: nat::Protocol,
        host_address: Option<String>,
        first: u16,
        last: u16,
        to: String,
        to_port: u16,
    ) -> Asked {
        self.call((&host_address, to.as_str()))?;
        let forward = || {
            Ok(Forward {
                protocol: match protocol {
                    nat::Protocol::Tcp => Protocol::Tcp,
                    nat::Protocol::Udp => Protocol::Udp,
                },
                host_address: host_address.as_deref().map(address).transpose()?,
                ports: PortRange::new(first, last)?,
                to: address(&to)?,
                to_port,
            })
        };
        self.ask_around(forward().map(Around::Forward))
    }
}

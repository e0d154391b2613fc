//! Network address translation: a way out, and ways in.

use std::ops::RangeInclusive;

use crate::{
    Result,
    bindings::nshost::setup::nat::{self, Protocol},
    error::answer,
};

/// Lets what comes from the container's address `source` and leaves the host by its interface `out`
/// take the host's address.
///
/// ```no_run
/// # use nshost_sdk::prelude::*;
/// nat::masquerade("10.87.0.2", "eth0")?;
/// # Ok::<(), Error>(())
/// ```
#[track_caller]
pub fn masquerade(source: impl ToString, out: &str) -> Result {
    answer("nat::masquerade", nat::masquerade(&source.to_string(), out))
}

/// TCP ports of the host that lead into the container: one, or a range.
///
/// ```no_run
/// # use nshost_sdk::prelude::*;
/// nat::tcp(8080).to("10.87.0.2", 80)?;
/// nat::tcp(6000..=6009).on("192.0.2.1").to("10.87.0.2", 6000)?;
/// # Ok::<(), Error>(())
/// ```
pub fn tcp(ports: impl Into<Ports>) -> Forward {
    Forward { protocol: Protocol::Tcp, host_address: None, ports: ports.into() }
}

/// UDP ports of the host that lead into the container: one, or a range.
pub fn udp(ports: impl Into<Ports>) -> Forward {
    Forward { protocol: Protocol::Udp, host_address: None, ports: ports.into() }
}

/// Ports of the host, 1 to 65535.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ports(RangeInclusive<u16>);

impl From<u16> for Ports {
    fn from(port: u16) -> Self {
        Ports(port..=port)
    }
}

impl From<RangeInclusive<u16>> for Ports {
    fn from(ports: RangeInclusive<u16>) -> Self {
        Ports(ports)
    }
}

/// Ports that do not lead anywhere yet.
#[derive(Debug, Clone)]
#[must_use = "ports lead nowhere before `to` says where"]
pub struct Forward {
    protocol: Protocol,
    host_address: Option<String>,
    ports: Ports,
}

impl Forward {
    /// Only on this address of the host. Without this on all of them but the loopback's: 127.0.0.1 has to be
    /// named, and granted, for itself.
    pub fn on(self, host_address: impl ToString) -> Forward {
        Forward { host_address: Some(host_address.to_string()), ..self }
    }

    /// Leads them to the container's address: the first to `port`, the others in order after it.
    #[track_caller]
    pub fn to(self, address: impl ToString, port: u16) -> Result {
        let (first, last) = (*self.ports.0.start(), *self.ports.0.end());
        let address = address.to_string();
        let what = match self.protocol {
            Protocol::Tcp => "nat::tcp",
            Protocol::Udp => "nat::udp",
        };
        let host = self.host_address.as_deref();
        answer(what, nat::forward(self.protocol, host, first, last, &address, port))
    }
}

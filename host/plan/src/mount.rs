//! What is mounted anew in the container.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::{Code, Error, codec::AtMost};

/// The container's `/etc/resolv.conf` (`resolv.conf(5)`): its name servers, at most three.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "AtMost<IpAddr, { ResolvConf::MAX }>", into = "Vec<IpAddr>")]
pub struct ResolvConf(Vec<IpAddr>);

impl ResolvConf {
    /// The C library reads no more than three (`MAXNS`).
    pub const MAX: usize = 3;

    /// The name servers, in the order in which they are asked.
    pub fn nameservers(&self) -> &[IpAddr] {
        &self.0
    }

    /// The file's text.
    pub fn render(&self) -> String {
        self.0.iter().map(|server| format!("nameserver {server}\n")).collect()
    }
}

impl TryFrom<Vec<IpAddr>> for ResolvConf {
    type Error = Error;

    fn try_from(servers: Vec<IpAddr>) -> Result<Self, Error> {
        if servers.is_empty() || servers.len() > Self::MAX {
            return Err(Error::new(Code::TooMany, "resolv.conf", "name one to three name servers"));
        }
        Ok(ResolvConf(servers))
    }
}

impl<const MAX: usize> TryFrom<AtMost<IpAddr, MAX>> for ResolvConf {
    type Error = Error;

    fn try_from(servers: AtMost<IpAddr, MAX>) -> Result<Self, Error> {
        ResolvConf::try_from(servers.0)
    }
}

impl From<ResolvConf> for Vec<IpAddr> {
    fn from(conf: ResolvConf) -> Vec<IpAddr> {
        conf.0
    }
}

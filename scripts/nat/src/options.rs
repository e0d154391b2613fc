//! What the operator can say: `nat [PORT] [out=INTERFACE] [dns=ADDRESS[,ADDRESS…]] [v6]`.

use std::net::IpAddr;

use nshost_sdk::prelude::*;

/// The script's arguments.
pub struct Options {
    /// The host's port that leads to the container's port 80.
    pub port: u16,
    /// The interface by which the way out goes; none: that of the host's default route.
    pub out: Option<String>,
    /// The container's name servers; none: the host's.
    pub dns: Vec<String>,
    /// Whether to ask for IPv6 too.
    pub v6: bool,
}

impl Options {
    pub fn parse(arguments: &[String]) -> Result<Options> {
        let mut options = Options { port: 80, out: None, dns: Vec::new(), v6: false };
        for argument in arguments {
            match argument.split_once('=') {
                Some(("out", link)) => options.out = Some(link.to_string()),
                Some(("dns", servers)) => {
                    for server in servers.split(',') {
                        let address: Result<IpAddr, _> = server.parse();
                        address
                            .map_err(|_| format!("{server:?} in {argument:?} is no address, like 9.9.9.9"))?;
                        options.dns.push(server.to_string());
                    }
                }
                None if argument == "v6" => options.v6 = true,
                None if argument.bytes().all(|byte| byte.is_ascii_digit()) => {
                    options.port = match argument.parse() {
                        Ok(port @ 1..) => port,
                        _ => return Err(format!("{argument} is no port: those are 1 to 65535").into()),
                    }
                }
                _ => {
                    let usage = "nat takes [PORT] [out=INTERFACE] [dns=ADDRESS,…] [v6]";
                    return Err(format!("{argument:?} means nothing here; {usage}").into());
                }
            }
        }
        Ok(options)
    }
}

//! What the operator can say: `nat [PORT] [out=INTERFACE] [dns=ADDRESS[,ADDRESS…]] [v6]`.

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
        for word in arguments {
            match word.split_once('=') {
                Some(("out", link)) => options.out = Some(link.to_string()),
                Some(("dns", servers)) => {
                    for server in servers.split(',') {
                        argument::address(server).map_err(|wrong| format!("{word:?}: {wrong}"))?;
                        options.dns.push(server.to_string());
                    }
                }
                None if word == "v6" => options.v6 = true,
                None if word.bytes().all(|byte| byte.is_ascii_digit()) => {
                    options.port = argument::port(word)?;
                }
                _ => {
                    let usage = "nat takes [PORT] [out=INTERFACE] [dns=ADDRESS,…] [v6]";
                    return Err(format!("{word:?} means nothing here; {usage}").into());
                }
            }
        }
        Ok(options)
    }
}

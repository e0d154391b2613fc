//! A container with a way out and a way in: it reaches what the host reaches, under the host's
//! address, and a port of the host leads to its port 80.

mod options;

use nshost_sdk::prelude::*;
use options::Options;

const RANGE: &str = "10.87.0.0/16";
const RANGE_V6: &str = "fd87:6e73:686f:7374::/64";

fn setup() -> Result {
    let options = Options::parse(&facts::arguments())?;

    container::unshare([UTS, IPC, PID, MOUNT, NETWORK])?;
    container::hostname("nat")?;
    filesystem::private_propagation()?;
    filesystem::mount_proc()?;
    filesystem::resolv_conf(&options.dns)?;

    let veth = link::veth(&format!("nsh{}", facts::instance()), "eth0")?;
    link::loopback()?.up()?;
    let (host, container) = (veth.host().up()?, veth.container().up()?);

    let network = facts::free_network(RANGE, 30).ok_or_else(|| format!("no /30 of {RANGE} is free"))?;
    reach(&options, Ipv4, network, host, container)?;
    if options.v6 {
        let network =
            facts::free_network(RANGE_V6, 126).ok_or_else(|| format!("no /126 of {RANGE_V6} is free"))?;
        reach(&options, Ipv6, network, veth.host(), veth.container())?;
    }

    process::command_or("/bin/bash", &[])
}

/// Addresses, the way out and the way in, for one address family.
fn reach(options: &Options, family: Family, network: Cidr, host: Endpoint, container: Endpoint) -> Result {
    let (outside, inside) = (network.nth(1)?, network.nth(2)?);
    host.address(outside)?;
    container.address(inside)?.default_route(outside.address())?;

    let out = options.out.clone().or_else(|| facts::default_route_link(family)).ok_or_else(no_way_out)?;
    nat::masquerade(inside.address(), &out)?;
    nat::tcp(options.port).to(inside.address(), 80)?;
    match family {
        Ipv4 => nat::tcp(options.port).on("127.0.0.1").to(inside.address(), 80),
        // The kernel has no way from ::1 to a container.
        Ipv6 => Ok(()),
    }
}

fn no_way_out() -> Error {
    match facts::rootless() {
        true => {
            "without root the host is a private one, and has no way out: plan and launch it as root".into()
        }
        false => "the host has no default route; say which interface is the way out: out=INTERFACE".into(),
    }
}

nshost_sdk::setup!(setup);

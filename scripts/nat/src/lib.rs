//! A container with a way out and a way in: it reaches what the host reaches, under the host's
//! address, and a port of the host leads to its port 80.

mod options;
mod servers;

use nshost_sdk::prelude::*;
use options::Options;

const RANGE: &str = "10.87.0.0/16";
const RANGE_V6: &str = "fd87:6e73:686f:7374::/64";

fn setup() -> Result {
    let options = Options::parse(&facts::arguments())?;
    let ways = ways_out(&options)?;

    container::unshare([UTS, IPC, PID, MOUNT, NETWORK])?;
    container::hostname("nat")?;
    filesystem::private_propagation()?;
    filesystem::mount_proc()?;
    filesystem::resolv_conf(&servers::of(&options, &ways))?;

    let veth = link::veth(&format!("nsh{}", facts::instance()), "eth0")?;
    link::loopback()?.up()?;
    veth.host().up()?;
    veth.container().up()?;

    for way in &ways {
        let (range, prefix) = if way.family == Ipv4 { (RANGE, 30) } else { (RANGE_V6, 126) };
        let network =
            facts::free_network(range, prefix).ok_or_else(|| format!("no /{prefix} of {range} is free"))?;
        reach(&options, way, network, veth.host(), veth.container())?;
    }

    process::command_or("/bin/bash", &[])
}

/// By which interface it goes out, for one address family.
pub struct Way {
    pub family: Family,
    pub out: String,
}

fn ways_out(options: &Options) -> Result<Vec<Way>> {
    let families = if options.v6 { &[Ipv4, Ipv6][..] } else { &[Ipv4] };
    let way = |family: &Family| {
        let out = options.out.clone().or_else(|| facts::default_route_link(*family));
        Ok(Way { family: *family, out: out.ok_or_else(no_way_out)? })
    };
    families.iter().map(way).collect()
}

/// Addresses, the way out and the way in, for one address family.
fn reach(options: &Options, way: &Way, network: Cidr, host: Endpoint, container: Endpoint) -> Result {
    let (outside, inside) = (network.nth(1)?, network.nth(2)?);
    host.address(outside)?;
    container.address(inside)?.default_route(outside.address())?;

    nat::masquerade(inside.address(), &way.out)?;
    nat::tcp(options.port).to(inside.address(), 80)?;
    match way.family {
        Ipv4 => nat::tcp(options.port).on("127.0.0.1").to(inside.address(), 80),
        // The kernel has no way from ::1 to a container.
        Ipv6 => Ok(()),
    }
}

fn no_way_out() -> Error {
    match facts::rootless() {
        // nshost tells why.
        true => "the host has no way out".into(),
        false => "the host has no default route; say which interface is the way out: out=INTERFACE".into(),
    }
}

nshost_sdk::setup!(setup);

//! A host with an uplink to an internet and another to a local network.

use crate::lab::{Net, sh, soon};

pub const HOST: &str = "198.51.100.2";
pub const HOST_V6: &str = "2001:db8:1::2";
pub const FAR: &str = "203.0.113.9";
pub const FAR_V6: &str = "2001:db8:2::9";
pub const LAN_HOST: &str = "192.168.7.1";
pub const NEIGHBOUR: &str = "192.168.7.2";

pub struct World {
    pub host: Net,
    pub internet: Net,
    pub lan: Net,
}

/// The internet knows no way to containers or to the local network; nor does the local network know
/// the internet, but both ask the host, so that only the host's rules stand between them.
pub fn world() -> World {
    let world = World { host: Net::current(), internet: Net::new(), lan: Net::new() };
    sh(&format!(
        "
        echo 0 > /proc/sys/net/ipv6/conf/default/accept_dad
        ip link add eth0 type veth peer name wan0 netns {}
        ip link add eth1 type veth peer name lan0 netns {}
        ip address add {HOST}/24 dev eth0
        ip address add {HOST_V6}/64 dev eth0 nodad
        ip address add {LAN_HOST}/24 dev eth1
        ip address add 2001:db8:7::1/64 dev eth1 nodad
        ip link set eth0 up
        ip link set eth1 up
        ip route add default via 198.51.100.1
        ",
        world.internet.path(),
        world.lan.path(),
    ));
    world.internet.sh(&format!(
        "
        ip link set lo up
        ip link set wan0 up
        ip address add 198.51.100.1/24 dev wan0
        ip address add 2001:db8:1::1/64 dev wan0 nodad
        ip address add {FAR}/32 dev lo
        ip address add {FAR_V6}/128 dev lo nodad
        ip route add default via {HOST}
        ip -6 route add default via {HOST_V6}
        "
    ));
    world.lan.sh(&format!(
        "
        ip link set lo up
        ip link set lan0 up
        ip address add {NEIGHBOUR}/24 dev lan0
        ip address add 2001:db8:7::2/64 dev lan0 nodad
        ip route add default via {LAN_HOST}
        ip -6 route add default via 2001:db8:7::1
        "
    ));
    sh("ip -6 route add default via 2001:db8:1::1");
    // The kernel sets carrier and link-local addresses some time later.
    let settled =
        || !sh("ip link; ip address").contains("NO-CARRIER") && !sh("ip address").contains("tentative");
    assert!(soon(settled), "{}", sh("ip address"));
    world
}

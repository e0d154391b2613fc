//! What NAT opens, and what stays closed.

use nshost_plan::Protocol;

use crate::{
    lab::{Lab, on_host, sh},
    plans::{CONTAINER_END, HOST_END, nat, tutorial},
    world::{FAR, FAR_V6, HOST, HOST_V6, NEIGHBOUR, world},
};

const CONTAINER: &str = "169.254.1.2";

#[test]
fn a_container_reaches_the_internet_with_the_hosts_address() {
    on_host(|| {
        let (world, lab) = (world(), Lab::new());
        let container = lab.launch(nat("veth0", "169.254.1").done());
        let seen = world.internet.serving(&format!("{FAR}:80"), || container.net.call(&format!("{FAR}:80")));
        assert_eq!(seen, HOST.parse().ok());
        lab.end(container);
    });
}

#[test]
fn a_container_reaches_the_ipv6_internet_with_the_hosts_address() {
    on_host(|| {
        let (world, lab) = (world(), Lab::new());
        let container = lab.launch(tutorial("veth0").v6(1).masquerade("fd00:1::2", "eth0").done());
        let at = format!("[{FAR_V6}]:80");
        assert_eq!(world.internet.serving(&at, || container.net.call(&at)), HOST_V6.parse().ok());
        lab.end(container);
    });
}

#[test]
fn a_forward_answers_from_everywhere() {
    on_host(|| {
        let (world, lab) = (world(), Lab::new());
        let container = lab.launch(nat("veth0", "169.254.1").forward(None, 8080, 1, CONTAINER).done());
        let neighbour = lab.launch(nat("veth2", "169.254.2").done());
        let published = format!("{HOST}:8080");
        container.net.serving(&format!("{CONTAINER}:80"), || {
            assert_eq!(
                world.internet.call(&published),
                "198.51.100.1".parse().ok(),
                "the caller's source is kept"
            );
            assert_eq!(world.lan.call("192.168.7.1:8080"), NEIGHBOUR.parse().ok(), "on every address");
            assert!(world.host.is_blocked("127.0.0.1:8080"), "the loopback is nobody's but by name");
            assert_eq!(world.host.call(&published), HOST.parse().ok());
            assert_eq!(container.net.call(&published), "169.254.1.1".parse().ok(), "its own, from inside");
            assert_eq!(neighbour.net.call(&published), "169.254.2.2".parse().ok());
        });
        lab.end(container);
        lab.end(neighbour);
    });
}

#[test]
fn an_ipv6_forward_answers_but_on_the_loopback() {
    on_host(|| {
        let (world, lab) = (world(), Lab::new());
        let container = lab.launch(tutorial("veth0").v6(1).forward(None, 8080, 1, "fd00:1::2").done());
        container.net.serving("[fd00:1::2]:80", || {
            let published = format!("[{HOST_V6}]:8080");
            assert_eq!(world.internet.call(&published), "2001:db8:1::1".parse().ok());
            assert_eq!(world.host.call(&published), HOST_V6.parse().ok());
            assert_eq!(container.net.call(&published), "fd00:1::1".parse().ok());
            assert!(world.host.is_blocked("[::1]:8080"), "the loopback is nobody's but by name");
        });
        lab.end(container);
    });
}

#[test]
fn forwards_of_udp_of_ranges_and_of_one_address() {
    on_host(|| {
        let (world, lab) = (world(), Lab::new());
        let plan = nat("veth0", "169.254.1")
            .forwarding(Protocol::Udp, None, 5000, 1, CONTAINER)
            .forwarding(Protocol::Udp, Some("127.0.0.1"), 5000, 1, CONTAINER)
            .forward(Some(HOST), 9000, 3, CONTAINER)
            .done();
        let container = lab.launch(plan);
        container.net.serving(&format!("{CONTAINER}:80"), || {
            assert_eq!(
                world.internet.asks("0.0.0.0:0", &format!("{HOST}:5000")),
                "198.51.100.1".parse().ok()
            );
            assert_eq!(world.host.asks("127.0.0.1:0", "127.0.0.1:5000"), "169.254.1.1".parse().ok());
            assert!(world.lan.is_blocked("192.168.7.1:9000"), "only on the address that was asked for");
            assert!(world.host.is_blocked("127.0.0.1:9000"));
        });
        container.net.serving(&format!("{CONTAINER}:82"), || {
            assert_eq!(world.internet.call(&format!("{HOST}:9002")), "198.51.100.1".parse().ok());
        });
        lab.end(container);
    });
}

#[test]
fn a_forward_of_the_loopback_alone() {
    on_host(|| {
        let (world, lab) = (world(), Lab::new());
        let before = sh("cat /proc/sys/net/ipv4/conf/*/forwarding");
        let container = lab.launch(nat_less("veth0").forward(Some("127.0.0.1"), 8080, 1, CONTAINER).done());
        container.net.serving(&format!("{CONTAINER}:80"), || {
            assert_eq!(world.host.call("127.0.0.1:8080"), "169.254.1.1".parse().ok());
            assert!(world.internet.is_blocked(&format!("{HOST}:8080")));
        });
        let switches = "cd /proc/sys/net/ipv4/conf; cat all/forwarding default/forwarding eth0/forwarding eth1/forwarding";
        assert_eq!(sh(switches), "0\n0\n0\n0\n", "nobody from outside is routed for this");
        lab.end(container);
        assert_eq!(sh("cat /proc/sys/net/ipv4/conf/*/forwarding"), before);
    });
}

fn nat_less(host: &str) -> crate::plans::Draft {
    tutorial(host).route(CONTAINER_END, "0.0.0.0/0", Some("169.254.1.1"))
}

#[test]
fn nothing_passes_between_uplinks() {
    on_host(|| {
        let (world, lab) = (world(), Lab::new());
        let container = lab.launch(nat("veth0", "169.254.1").forward(None, 8080, 1, CONTAINER).done());
        let at = format!("{FAR}:80");
        world.internet.serving(&at, || {
            assert!(world.lan.is_blocked(&at), "forwarding is on for both, but not for this");
            drop(container.held);
            sh("nft flush chain inet nshost-nat forward");
            assert_eq!(world.lan.call(&at), NEIGHBOUR.parse().ok(), "it was the table that blocked");
        });
        lab.undo(container.receipt);
    });
}

#[test]
fn nothing_passes_between_uplinks_for_ipv6() {
    on_host(|| {
        let (world, lab) = (world(), Lab::new());
        let container = lab.launch(tutorial("veth0").v6(1).forward(None, 8080, 1, "fd00:1::2").done());
        let at = format!("[{FAR_V6}]:80");
        world.internet.serving(&at, || {
            assert!(world.lan.is_blocked(&at));
            drop(container.held);
            sh("nft flush chain inet nshost-nat forward");
            assert_eq!(world.lan.call(&at), "2001:db8:7::2".parse().ok(), "it was the table that blocked");
        });
        lab.undo(container.receipt);
    });
}

#[test]
fn a_container_leaves_only_where_it_may() {
    on_host(|| {
        let (world, lab) = (world(), Lab::new());
        let container = lab.launch(nat("veth0", "169.254.1").forward(None, 8080, 1, CONTAINER).done());
        let neighbour = lab.launch(nat("veth2", "169.254.2").done());
        world.lan.sh("ip route add 169.254.0.0/16 via 192.168.7.1");
        let lan = format!("{NEIGHBOUR}:80");
        world.lan.serving(&lan, || assert!(container.net.is_blocked(&lan), "by another interface"));
        neighbour.net.serving("169.254.2.2:80", || {
            assert!(container.net.is_blocked("169.254.2.2:80"), "to a neighbour")
        });
        world.internet.sh(&format!("ip route add 169.254.1.0/30 via {HOST}"));
        container.net.serving(&format!("{CONTAINER}:81"), || {
            assert!(
                world.internet.is_blocked(&format!("{CONTAINER}:81")),
                "and nobody comes in but by a forward"
            );
        });
        lab.end(container);
        lab.end(neighbour);
    });
}

#[test]
fn a_container_has_no_other_source_than_its_own() {
    on_host(|| {
        let (world, lab) = (world(), Lab::new());
        let container = lab.launch(nat("veth0", "169.254.1").done());
        container.net.sh("ip address add 10.99.0.1/32 dev veth1");
        world.host.serving("0.0.0.0:53", || {
            sh("ip route add 10.99.0.1 dev veth0; echo 0 > /proc/sys/net/ipv4/conf/veth0/rp_filter");
            assert!(container.net.asks("10.99.0.1:0", "169.254.1.1:53").is_none());
            assert!(
                container.net.asks("169.254.1.2:0", "169.254.1.1:53").is_some(),
                "with its own it is heard"
            );
            drop(container.held);
            sh("nft flush chain inet nshost guard");
            assert!(
                container.net.asks("10.99.0.1:0", "169.254.1.1:53").is_some(),
                "it was the table that blocked"
            );
        });
        drop(world);
        lab.undo(container.receipt);
    });
}

#[test]
fn a_network_behind_a_container_is_heard() {
    on_host(|| {
        let (world, lab) = (world(), Lab::new());
        let plan = nat("veth0", "169.254.1").route(HOST_END, "10.99.0.0/16", Some(CONTAINER)).done();
        let container = lab.launch(plan);
        container.net.sh("ip address add 10.99.3.1/32 dev veth1; ip address add 10.100.0.1/32 dev veth1");
        world.host.serving("0.0.0.0:53", || {
            assert!(
                container.net.asks("10.99.3.1:0", "169.254.1.1:53").is_some(),
                "the plan has a route to it"
            );
            assert!(container.net.asks("10.100.0.1:0", "169.254.1.1:53").is_none());
        });
        lab.end(container);
    });
}

#[test]
fn the_hosts_loopback_is_out_of_reach() {
    on_host(|| {
        let (world, lab) = (world(), Lab::new());
        let plan = nat("veth0", "169.254.1").forward(Some("127.0.0.1"), 8080, 1, CONTAINER);
        let container = lab.launch(plan.done());
        assert_eq!(
            sh("cat /proc/sys/net/ipv4/conf/veth0/route_localnet"),
            "1\n",
            "or there is nothing to test"
        );
        container.net.sh("ip address flush dev lo
             ip route flush table local proto kernel type local 127.0.0.0/8 || true
             echo 1 > /proc/sys/net/ipv4/conf/all/route_localnet
             ip route add 127.0.0.1/32 via 169.254.1.1 src 169.254.1.2");
        world.host.serving("127.0.0.1:631", || {
            assert!(container.net.is_blocked("127.0.0.1:631"));
            drop(container.held);
            sh("nft flush chain inet nshost guard");
            assert!(container.net.call("127.0.0.1:631").is_some(), "it was the table that blocked");
        });
        lab.undo(container.receipt);
    });
}

#[test]
fn a_flow_through_the_host_is_not_hijacked() {
    on_host(|| {
        let (world, lab) = (world(), Lab::new());
        sh("echo 1 > /proc/sys/net/ipv4/ip_forward");
        let container = lab.launch(nat("veth0", "169.254.1").forward(None, 80, 1, CONTAINER).done());
        let at = format!("{FAR}:80");
        let seen = world.internet.serving(&at, || world.lan.call(&at));
        assert_eq!(seen, NEIGHBOUR.parse().ok(), "the host routed before us, and still does");
        lab.end(container);
    });
}

#[test]
fn a_router_does_not_route_for_a_container_without_nat() {
    on_host(|| {
        let (world, lab) = (world(), Lab::new());
        sh("echo 1 > /proc/sys/net/ipv4/ip_forward; echo 1 > /proc/sys/net/ipv6/conf/all/forwarding");
        let plan = nat_less("veth0").v6(1).done();
        let container = lab.launch(plan);
        world.internet.sh(&format!("ip route replace 169.254.1.0/30 via {HOST}"));
        let (v4, v6) = (format!("{FAR}:80"), format!("[{FAR_V6}]:80"));
        world.internet.serving(&v4, || assert!(container.net.is_blocked(&v4)));
        world.internet.serving(&v6, || assert!(container.net.is_blocked(&v6)));
        container.net.serving("[fd00:1::2]:80", || {
            assert!(world.internet.is_blocked("[fd00:1::2]:80"));
            assert!(world.host.call("[fd00:1::2]:80").is_some(), "the host itself reaches it");
        });
        lab.end(container);
        assert_eq!(sh("nft list ruleset"), "");
    });
}

#[test]
fn a_router_does_not_route_for_a_container_whose_link_routes() {
    on_host(|| {
        let (world, lab) = (world(), Lab::new());
        sh("echo 1 > /proc/sys/net/ipv4/ip_forward");
        let container = lab.launch(nat_less("veth0").done());
        world.internet.sh(&format!("ip route replace 169.254.1.0/30 via {HOST}"));
        let far = format!("{FAR}:80");
        world.internet.serving(&far, || {
            assert!(container.net.is_blocked(&far));
            // As when somebody sets `ip_forward` anew.
            sh("echo 1 > /proc/sys/net/ipv4/conf/veth0/forwarding");
            assert!(container.net.is_blocked(&far));
            drop(container.held);
            sh("nft flush chain inet nshost forward");
            assert_eq!(container.net.call(&far), CONTAINER.parse().ok(), "it was the table that blocked");
        });
        lab.undo(container.receipt);
    });
}

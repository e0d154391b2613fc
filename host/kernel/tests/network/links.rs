//! Links, addresses and routes without NAT.

use nshost_kernel::{
    Socket,
    network::{self, link},
    probe::facts,
};
use nshost_ledger::Others;
use nshost_plan::Family;
use serde_json::Value;

use crate::{
    lab::{Lab, Net, assert_as_before, census, on_host, sh, soon},
    plans::{self, CONTAINER_END, HOST_END, tutorial},
    world::world,
};

fn json(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

#[test]
fn host_and_container_reach_each_other() {
    on_host(|| {
        let (lab, host) = (Lab::new(), Net::current());
        let container = lab.launch(tutorial("veth0").done());
        let there = &container.net;
        assert_eq!(
            there.serving("169.254.1.2:4242", || host.call("169.254.1.2:4242")),
            "169.254.1.1".parse().ok()
        );
        assert_eq!(
            host.serving("169.254.1.1:4242", || there.call("169.254.1.1:4242")),
            "169.254.1.2".parse().ok()
        );
        let own = there.serving("127.0.0.1:80", || there.call("127.0.0.1:80"));
        assert_eq!(own, "127.0.0.1".parse().ok(), "lo is up");
        assert!(
            !sh("nft list ruleset").contains("nshost-nat"),
            "a container without NAT tracks no connections"
        );
        lab.end(container);
    });
}

#[test]
fn the_host_end_has_name_state_and_the_recorded_hardware_address() {
    on_host(|| {
        let lab = Lab::new();
        let container = lab.launch(tutorial("veth0").done());
        let seen = &json(&sh("ip -j -d link show veth0"))[0];
        let mac = container.receipt.record().macs[0].map(|byte| format!("{byte:02x}")).join(":");
        assert_eq!(seen["address"], mac.as_str());
        assert_eq!(seen["linkinfo"]["info_kind"], "veth");
        assert_eq!(seen["operstate"], "UP");
        let inside = json(&container.net.sh("ip -j address"));
        let names: Vec<_> =
            inside.as_array().expect("list").iter().map(|link| link["ifname"].as_str()).collect();
        assert!(names.contains(&Some("lo")) && names.contains(&Some("veth1")), "{names:?}");
        lab.end(container);
    });
}

#[test]
fn a_host_end_that_no_step_sets_up_stays_down() {
    on_host(|| {
        let lab = Lab::new();
        let plan = plans::Draft::bare("veth0").done();
        let container = lab.launch(plan);
        assert_eq!(json(&sh("ip -j link show veth0"))[0]["operstate"], "DOWN");
        assert_eq!(json(&container.net.sh("ip -j link show veth1"))[0]["operstate"], "DOWN");
        lab.end(container);
    });
}

#[test]
fn ipv6_works_at_once() {
    on_host(|| {
        let (lab, host) = (Lab::new(), Net::current());
        let container = lab.launch(tutorial("veth0").v6(1).done());
        let answer = container.net.serving("[fd00:1::2]:80", || host.call("[fd00:1::2]:80"));
        assert_eq!(answer, "fd00:1::1".parse().ok());
        lab.end(container);
    });
}

#[test]
fn routes_of_both_sides_are_in_the_main_table() {
    on_host(|| {
        let lab = Lab::new();
        let plan = tutorial("veth0")
            .route(HOST_END, "10.77.0.0/16", Some("169.254.1.2"))
            .route(HOST_END, "10.78.0.0/16", None)
            .route(CONTAINER_END, "0.0.0.0/0", Some("169.254.1.1"))
            .done();
        let container = lab.launch(plan);
        let routes = sh("ip route");
        assert!(routes.contains("10.77.0.0/16 via 169.254.1.2 dev veth0 proto static"), "{routes}");
        assert!(routes.contains("10.78.0.0/16 dev veth0 proto static scope link"), "{routes}");
        assert!(container.net.sh("ip route").contains("default via 169.254.1.1 dev veth1 proto static"));
        lab.end(container);
    });
}

#[test]
fn undo_leaves_the_host_as_it_was() {
    on_host(|| {
        let lab = Lab::new();
        let before = census();
        let container = lab.launch(tutorial("veth0").v6(1).done());
        assert_ne!(census(), before);
        lab.end(container);
        assert_as_before(&before);
    });
}

#[test]
fn what_is_let_go_vanishes_with_the_container() {
    on_host(|| {
        let lab = Lab::new();
        let before = census();
        let container = lab.launch(tutorial("veth0").done());
        let record = container.receipt.record().clone();
        let net = lab.let_go(container);
        assert!(link::any_left(&record).expect("look"));
        drop(net);
        assert!(soon(|| !link::any_left(&record).expect("look")));
        assert_as_before(&before);
    });
}

#[test]
fn a_taken_name_is_a_conflict_and_stays_whose_it_is() {
    on_host(|| {
        let (lab, net) = (Lab::new(), Net::new());
        let mut receipt = lab.receipt(tutorial("veth0").done());
        sh("ip link add veth0 type veth peer name other");
        let before = census();
        let error = lab.try_set_up(&mut receipt, &net).expect_err("the name is taken");
        assert!(error.is_conflict(), "{error}");
        assert!(error.to_string().contains("veth0"), "{error}");
        lab.undo(receipt);
        assert_as_before(&before);
    });
}

#[test]
fn a_taken_address_is_an_error_that_names_it() {
    on_host(|| {
        let (lab, net) = (Lab::new(), Net::new());
        let mut receipt = lab.receipt(tutorial("veth0").route(HOST_END, "10.9.0.0/16", None).done());
        sh("ip route add blackhole 10.9.0.0/16");
        let error = lab.try_set_up(&mut receipt, &net).expect_err("the route is there");
        assert!(error.is_conflict() && error.to_string().contains("10.9.0.0/16 by veth0"), "{error}");
        lab.undo(receipt);
    });
}

#[test]
fn a_dying_link_gives_name_and_addresses_back_at_once() {
    on_host(|| {
        let (lab, host) = (Lab::new(), Net::current());
        let before = census();
        let first = lab.launch(tutorial("veth0").v6(1).done());
        let gone = first.receipt.record().clone();
        // Its namespace lives on, as if the kernel were slow.
        let _net = lab.let_go(first);
        let facts = facts::gather(&mut Socket::route().expect("socket"), &gone.macs).expect("facts");
        assert!(facts.links.iter().all(|link| link.name != "veth0"), "{facts:?}");
        assert!(facts.addresses.iter().all(|address| address.link != "veth0"));

        // Another link that is not ours is left alone, whatever it is called.
        sh("ip link add nshgone99 type veth peer name other");
        let errors = link::clear_dying(std::slice::from_ref(&gone));
        assert!(errors.is_empty(), "{errors:?}");
        let mut receipt = lab.receipt_skipping(tutorial("veth0").v6(1).done(), &gone.macs);
        let net = Net::new();
        lab.try_set_up(&mut receipt, &net).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(net.serving("169.254.1.2:80", || host.call("169.254.1.2:80")), "169.254.1.1".parse().ok());
        assert_eq!(net.serving("[fd00:1::2]:80", || host.call("[fd00:1::2]:80")), "fd00:1::1".parse().ok());

        assert!(link::any_left(&gone).expect("look"), "it is found by its new name");
        assert!(network::take_down(&gone, &lab.lock(), &Others::default()).is_empty());
        assert!(!link::any_left(&gone).expect("look"));
        lab.undo(receipt);
        sh("ip link del nshgone99");
        assert_as_before(&before);
    });
}

#[test]
fn clearing_what_is_not_there_is_no_error() {
    on_host(|| {
        let lab = Lab::new();
        let receipt = lab.receipt(tutorial("veth0").done());
        assert!(link::clear_dying(std::slice::from_ref(receipt.record())).is_empty());
        lab.undo(receipt);
    });
}

#[test]
fn facts_are_what_ip_says() {
    on_host(|| {
        let _world = world();
        sh("ip route add 10.5.0.0/16 via 198.51.100.1
            ip route add default via 192.168.7.9 dev eth1 metric 100
            ip route add blackhole 10.6.0.0/16");
        let facts = facts::gather(&mut Socket::route().expect("socket"), &[]).expect("facts");
        let listed = json(&sh("ip -j link"));
        let names: Vec<_> =
            listed.as_array().expect("list").iter().map(|l| l["ifname"].as_str().expect("name")).collect();
        assert_eq!(facts.links.iter().map(|link| link.name.as_str()).collect::<Vec<_>>(), names);
        let has = |text: &str| facts.addresses.iter().any(|a| a.link == "eth0" && a.cidr.to_string() == text);
        assert!(has("198.51.100.2/24") && has("2001:db8:1::2/64"), "{:?}", facts.addresses);
        for network in ["10.5.0.0/16", "10.6.0.0/16", "192.168.7.0/24"] {
            assert!(
                facts.routes.contains(&network.parse().expect("network")),
                "{network}: {:?}",
                facts.routes
            );
        }
        let default =
            |family| facts.default_routes.iter().find(|route| route.family == family).expect("default route");
        assert_eq!(default(Family::V4).link, "eth0", "the lower metric");
        assert_eq!(default(Family::V4).via, "198.51.100.1".parse().ok());
        assert_eq!(default(Family::V6).via, "2001:db8:1::1".parse().ok());
        assert_eq!(facts.kernel, sh("uname -r").trim());
        assert_eq!(facts.default_routes.len(), 2);
    });
}

#[test]
fn facts_of_a_host_with_much_of_everything() {
    on_host(|| {
        let lines = |line: &dyn Fn(u32) -> String| (0..1500).map(line).collect::<Vec<_>>().join("\n");
        let addresses = lines(&|n| format!("address add 10.{}.{}.1/32 dev lo", n / 200, n % 200));
        let routes = lines(&|n| format!("route add 172.{}.{}.0/25 dev lo", 16 + n / 200, n % 200));
        sh(&format!("ip -batch - <<'END'\n{addresses}\n{routes}\nEND"));
        let facts = facts::gather(&mut Socket::route().expect("socket"), &[]).expect("facts");
        assert_eq!(facts.addresses.len(), 1502);
        assert_eq!(facts.routes.len(), 1500);
    });
}

#[test]
fn an_error_tells_what_the_kernel_says() {
    on_host(|| {
        let (lab, net) = (Lab::new(), Net::new());
        net.sh("echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6");
        let mut receipt = lab.receipt(tutorial("veth0").v6(1).done());
        let error = lab.try_set_up(&mut receipt, &net).expect_err("no IPv6 in there");
        assert!(error.to_string().contains("add address fd00:1::2/64 on veth1"), "{error}");
        assert!(error.hint.to_lowercase().contains("ipv6 is disabled"), "{error}");
        lab.undo(receipt);
    });
}

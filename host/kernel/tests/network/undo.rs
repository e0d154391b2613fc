//! The table and the host's settings: made, shared, put back.

use nshost_kernel::{
    network,
    probe::{self, State},
};
use nshost_ledger::Others;
use serde_json::Value;

use crate::{
    lab::{Lab, Net, assert_as_before, census, on_host, sh, try_sh},
    plans::{nat, tutorial},
    world::world,
};

const CONTAINER: &str = "169.254.1.2";

fn forwarding(link: &str) -> String {
    sh(&format!(
        "cat /proc/sys/net/ipv4/conf/{link}/forwarding /proc/sys/net/ipv6/conf/{link}/force_forwarding"
    ))
    .replace('\n', "")
}

#[test]
fn undo_leaves_the_host_as_it_was() {
    on_host(|| {
        let (_world, lab) = (world(), Lab::new());
        sh("nft add table inet other; nft add chain inet other c '{ type filter hook forward priority 5; }'");
        let before = census();
        let plan = nat("veth0", "169.254.1").v6(1).masquerade("fd00:1::2", "eth0");
        let plan =
            plan.forward(None, 8080, 3, CONTAINER).forward(Some("198.51.100.2"), 9000, 1, "169.254.1.2");
        let container = lab.launch(plan.forward(None, 8080, 1, "fd00:1::2").done());
        assert_eq!((forwarding("eth0"), forwarding("eth1")), ("11".into(), "11".into()));
        lab.end(container);
        assert_as_before(&before);
    });
}

#[test]
fn what_is_let_go_is_out_of_the_table_at_once() {
    on_host(|| {
        let (_world, lab) = (world(), Lab::new());
        let container = lab.launch(nat("veth0", "169.254.1").forward(None, 8080, 1, CONTAINER).done());
        let _net = lab.let_go(container);
        assert_eq!(sh("nft list ruleset"), "");
        assert_eq!(forwarding("eth0"), "00");
    });
}

#[test]
fn a_link_that_somebody_keeps_alive_is_left_without_power() {
    on_host(|| {
        let (world, lab) = (world(), Lab::new());
        let plan = nat("veth0", "169.254.1").v6(1).masquerade("fd00:1::2", "eth0");
        let container = lab.launch(plan.forward(Some("127.0.0.1"), 8080, 1, CONTAINER).done());
        let settings = "cat /proc/sys/net/ipv4/conf/veth0/forwarding /proc/sys/net/ipv4/conf/veth0/route_localnet \
                        /proc/sys/net/ipv6/conf/veth0/force_forwarding";
        assert_eq!(sh(settings), "1\n1\n1\n");
        let net = lab.let_go(container);
        assert_eq!(sh(settings), "0\n0\n0\n");
        let far = format!("{}:80", crate::world::FAR);
        world.internet.serving(&far, || assert!(net.is_blocked(&far)));
    });
}

/// Hides what Linux 6.17 brought, in this test's mount namespace.
fn as_before_6_17() {
    sh("mount -t tmpfs none /proc/sys/net/ipv6/conf/default");
}

#[test]
fn an_older_kernel_routes_ipv6_for_the_host_and_the_table_closes_the_rest() {
    on_host(|| {
        let (world, lab) = (world(), Lab::new());
        as_before_6_17();
        let before = census();
        let first = tutorial("veth0").v6(1).masquerade("fd00:1::2", "eth0");
        let first = lab.launch(first.forward(Some(crate::world::HOST_V6), 8080, 1, "fd00:1::2").done());
        assert_eq!(sh("cat /proc/sys/net/ipv6/conf/all/forwarding"), "1\n");
        let far = format!("[{}]:80", crate::world::FAR_V6);
        world.internet.serving(&far, || {
            assert_eq!(first.net.call(&far), crate::world::HOST_V6.parse().ok());
            assert!(world.lan.is_blocked(&far), "nothing else is routed");
        });
        let second =
            lab.launch(crate::plans::link("veth2", "169.254.2").v6(2).masquerade("fd00:2::2", "eth0").done());
        lab.end(first);
        assert_eq!(sh("cat /proc/sys/net/ipv6/conf/all/forwarding"), "1\n", "one is left that needs it");
        lab.end(second);
        assert_as_before(&before);
    });
}

#[test]
fn an_older_kernel_keeps_the_routes_that_it_learned() {
    on_host(|| {
        let (_world, lab, net) = (world(), Lab::new(), Net::new());
        as_before_6_17();
        sh("ip -6 route add 2001:db8:9::/64 via 2001:db8:1::1 proto ra");
        let before = census();
        let mut receipt = lab.receipt(tutorial("veth0").v6(1).masquerade("fd00:1::2", "eth0").done());
        let error = lab.try_set_up(&mut receipt, &net).expect_err("they would be lost");
        assert!(error.hint.contains("accept_ra=2"), "{error}");
        lab.undo(receipt);
        assert_as_before(&before);
    });
}

#[test]
fn nft_reads_the_table_and_takes_it_back() {
    on_host(|| {
        let (_world, lab) = (world(), Lab::new());
        let plan = nat("veth0", "169.254.1").forward(None, 8080, 2, CONTAINER).forward(
            Some("198.51.100.2"),
            80,
            1,
            CONTAINER,
        );
        let plan = plan.route(crate::plans::HOST_END, "10.9.0.0/16", Some(CONTAINER));
        let container = lab.launch(plan.done());
        let text = sh("nft list ruleset");
        let id = &container.receipt.record().id;
        for expected in [
            format!("tcp . 8080 comment \"{id}\" : 169.254.1.2 . 80"),
            format!("tcp . 8081 comment \"{id}\" : 169.254.1.2 . 81"),
            format!("198.51.100.2 . tcp . 80 comment \"{id}\" : 169.254.1.2 . 80"),
            format!("\"veth0\" . 169.254.1.2 . \"eth0\" comment \"{id}\""),
            format!("\"veth0\" . 10.9.0.0/16 comment \"{id}\""),
            "ipv4 . \"eth0\"".to_string(),
            "dnat ip to ip daddr . meta l4proto . th dport map @forwards_at4".to_string(),
        ] {
            assert!(text.contains(&expected), "{expected} is not in\n{text}");
        }
        let json: Value = serde_json::from_str(&sh("nft -j list ruleset")).expect("JSON");
        assert!(json["nftables"].as_array().is_some_and(|items| items.len() > 30));
        // What nft says back to itself makes the same table. (Older ones cannot read what they print of
        // conntrack keys, and an owned table would go with the program that reads it.)
        let text = sh("nft list table inet nshost");
        let text = text.replace(" # progname", "\n# progname").replace("\tflags owner\n", "");
        Net::new().inside(|| {
            sh(&format!("nft -f - <<'END'\n{text}\nEND"));
            let lines = |text: &str| -> Vec<String> {
                let said = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
                said.map(str::to_string).collect()
            };
            assert_eq!(lines(&sh("nft list ruleset")), lines(&text));
        });
        lab.end(container);
    });
}

#[test]
fn the_last_one_to_leave_turns_off_the_light() {
    on_host(|| {
        let (_world, lab) = (world(), Lab::new());
        let before = census();
        let first = lab.launch(nat("veth0", "169.254.1").done());
        let second = lab.launch(nat("veth2", "169.254.2").done());
        assert!(
            second.receipt.record().forwarding.iter().all(|hold| !hold.was_on),
            "as the first one found it"
        );
        lab.end(first);
        assert_eq!(forwarding("eth0"), "10");
        assert!(sh("nft list set inet nshost-nat closed").contains("eth0"));
        assert!(!sh("nft list ruleset").contains("veth0"));
        lab.end(second);
        assert_as_before(&before);
    });
}

#[test]
fn forwarding_that_was_on_stays_on() {
    on_host(|| {
        let (_world, lab) = (world(), Lab::new());
        sh("echo 1 > /proc/sys/net/ipv4/conf/eth0/forwarding");
        let before = census();
        let container = lab.launch(nat("veth0", "169.254.1").done());
        assert!(
            !sh("nft list set inet nshost-nat closed").contains("eth0"),
            "the operator's routing is not ours to close"
        );
        lab.end(container);
        assert_as_before(&before);
    });
}

#[test]
fn a_taken_port_is_a_conflict_and_stays_whose_it_is() {
    on_host(|| {
        let (_world, lab, stranger) = (world(), Lab::new(), Lab::new());
        let container = lab.launch(nat("veth0", "169.254.1").forward(None, 8080, 1, CONTAINER).done());
        // Another ledger does not know that the port is taken; the table does.
        let plan = nat("veth2", "169.254.2").forward(None, 8000, 100, "169.254.2.2").done();
        let (mut receipt, net) = (stranger.receipt(plan), Net::new());
        let before = sh("nft list ruleset");
        let error = stranger.try_set_up(&mut receipt, &net).expect_err("the table is owned");
        assert!(error.hint.contains("NSHOST_STATE_DIR"), "{error}");
        let holders: Others = [container.receipt.record().clone()].into_iter().collect();
        assert!(network::take_down(receipt.record(), &stranger.lock(), &holders).is_empty());
        let error =
            stranger.try_set_up_among(&holders, &mut receipt, &Net::new()).expect_err("the port is taken");
        assert!(error.is_conflict() && error.subject.contains("8000-8099"), "{error}");
        assert_eq!(sh("nft list ruleset"), before, "all or nothing");
        assert!(network::take_down(receipt.record(), &stranger.lock(), &holders).is_empty());
        assert_eq!(sh("nft list ruleset"), before, "undo deletes only what carries its id");
        lab.let_go(container);
    });
}

#[test]
fn undo_bears_what_others_have_deleted() {
    on_host(|| {
        let (_world, lab) = (world(), Lab::new());
        for damage in [
            "nft delete element inet nshost-nat forwards4 '{ tcp . 8080 }'",
            "ip link del veth0",
            "nft delete table inet nshost",
            "nft flush ruleset",
            "true",
        ] {
            let other = lab.launch(nat("veth2", "169.254.2").done());
            let container = lab.launch(nat("veth0", "169.254.1").forward(None, 8080, 1, CONTAINER).done());
            let whole = sh("nft list ruleset");
            if damage.starts_with("nft") {
                let _ = try_sh(damage);
                assert_eq!(sh("nft list ruleset"), whole, "{damage} by somebody else");
                // As when both launchers are killed: then it is anybody's.
                drop((container.held, other.held));
                sh(damage);
                assert_ne!(sh("nft list ruleset"), whole);
                lab.undo(container.receipt);
                assert!(!sh("nft list ruleset").contains("veth0"), "after {damage}");
                let third = lab.launch(nat("veth0", "169.254.1").done());
                let whole = sh("nft list ruleset");
                assert!(whole.matches("veth2").count() >= 5, "put back for whoever may live: {whole}");
                drop(third.held);
                lab.undo(third.receipt);
                lab.undo(other.receipt);
            } else {
                sh(damage);
                lab.end(container);
                assert!(!sh("nft list ruleset").contains("veth0"), "after {damage}");
                lab.end(other);
            }
            assert_eq!(sh("nft list ruleset"), "");
        }
    });
}

#[test]
fn undo_of_what_never_was_does_nothing() {
    on_host(|| {
        let (_world, lab) = (world(), Lab::new());
        let before = census();
        let receipt = lab.receipt(nat("veth0", "169.254.1").forward(None, 8080, 1, CONTAINER).done());
        lab.undo(receipt);
        assert_as_before(&before);
    });
}

#[test]
fn a_table_of_that_name_by_somebody_else_is_left_alone() {
    on_host(|| {
        let (_world, lab, net) = (world(), Lab::new(), Net::new());
        sh("nft add table inet nshost; nft add set inet nshost links '{ type ifname; }'");
        let before = sh("nft list ruleset");
        let mut receipt = lab.receipt(nat("veth0", "169.254.1").done());
        let error = lab.try_set_up(&mut receipt, &net).expect_err("not our table");
        assert!(error.hint.contains("nft delete table"), "{error}");
        let errors = network::take_down(receipt.record(), &lab.lock(), &Others::default());
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert_eq!(sh("nft list ruleset"), before);
    });
}

#[test]
fn as_many_ports_as_a_plan_can_have() {
    on_host(|| {
        let (_world, lab) = (world(), Lab::new());
        let before = census();
        let container = lab.launch(nat("veth0", "169.254.1").forward(None, 20000, 4096, CONTAINER).done());
        let other = lab.launch(nat("veth2", "169.254.2").done());
        assert_eq!(sh("nft list map inet nshost-nat forwards4").matches("tcp .").count(), 4096);
        lab.end(container);
        assert!(!sh("nft list ruleset").contains("tcp ."));
        lab.end(other);
        assert_as_before(&before);
    });
}

#[test]
fn probing_changes_nothing() {
    on_host(|| {
        let _world = world();
        let before = census();
        let probes = probe::all();
        assert_as_before(&before);
        let state = |name: &str| {
            probes.iter().find(|probe| probe.name == name).unwrap_or_else(|| panic!("{name}")).state
        };
        for name in [
            "veth",
            "nftables with owned tables",
            "nftables NAT for inet",
            "nftables fib",
            "tables inet nshost and nshost-nat",
            "network namespace",
        ] {
            assert_eq!(state(name), State::Present, "{name}: {probes:?}");
        }
        assert_eq!(state("other firewalls"), State::Present);
        sh(
            "nft add table ip filter; nft add chain ip filter FORWARD '{ type filter hook forward priority 0; policy drop; }'",
        );
        let probes = probe::all();
        let found = probes.iter().find(|probe| probe.name == "other firewalls").expect("probe");
        assert_eq!(found.state, State::Disabled);
        assert!(
            found.detail.contains("ip filter FORWARD") && found.remedy.contains("[firewall] pass = true"),
            "{found:?}"
        );
    });
}

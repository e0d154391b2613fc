//! Cidr and port arithmetic against plain counting.

mod common;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use nshost_plan::{Cidr, Facts, PortRange, reserved::METADATA};
use proptest::prelude::*;

fn any_cidr() -> impl Strategy<Value = Cidr> {
    prop_oneof![
        (any::<u32>(), 0u8..=32).prop_map(|(ip, n)| Cidr::new(Ipv4Addr::from(ip).into(), n).unwrap()),
        (any::<u128>(), 0u8..=128).prop_map(|(ip, n)| Cidr::new(Ipv6Addr::from(ip).into(), n).unwrap()),
        common::cidr(),
    ]
}

/// First and last address as numbers, by division instead of masks.
fn span(cidr: Cidr) -> (bool, u128, u128) {
    let (number, bits) = match cidr.address() {
        IpAddr::V4(v4) => (u128::from(u32::from(v4)), 32),
        IpAddr::V6(v6) => (u128::from(v6), 128),
    };
    let host_bits = bits - u32::from(cidr.prefix());
    if host_bits == 128 {
        return (false, 0, u128::MAX);
    }
    let size = 2u128.pow(host_bits);
    let first = number / size * size;
    (bits == 32, first, first + (size - 1))
}

proptest! {
    #![proptest_config(common::config(256))]

    #[test]
    fn network_is_the_first_address(cidr in any_cidr()) {
        let network = cidr.network();
        prop_assert_eq!(span(network), span(cidr));
        let number = match network.address() {
            IpAddr::V4(v4) => u128::from(u32::from(v4)),
            IpAddr::V6(v6) => u128::from(v6),
        };
        prop_assert_eq!(number, span(cidr).1);
        prop_assert!(network.is_network());
        prop_assert_eq!(cidr.is_network(), cidr.address() == network.address());
    }

    #[test]
    fn contains_and_overlaps_are_those_of_intervals(one in any_cidr(), two in any_cidr()) {
        let ((f1, a1, z1), (f2, a2, z2)) = (span(one), span(two));
        prop_assert_eq!(one.contains(two), f1 == f2 && a1 <= a2 && z2 <= z1);
        prop_assert_eq!(one.overlaps(two), f1 == f2 && a1 <= z2 && a2 <= z1);
        let inside = f1 == f2 && a1 <= span(Cidr::host(two.address())).1 && span(Cidr::host(two.address())).1 <= z1;
        prop_assert_eq!(one.contains_address(two.address()), inside);
    }

    #[test]
    fn text_comes_back(cidr in any_cidr()) {
        prop_assert_eq!(cidr.to_string().parse::<Cidr>(), Ok(cidr));
    }

    #[test]
    fn any_text_is_read_or_refused(text in "[0-9a-f:./ +-]{0,24}") {
        if let Ok(cidr) = text.parse::<Cidr>() {
            prop_assert_eq!(cidr.to_string().parse::<Cidr>(), Ok(cidr));
        }
    }

    #[test]
    fn assignable_is_neither_first_nor_last(cidr in any_cidr()) {
        let (is_v4, first, last) = span(cidr);
        let own = span(Cidr::host(cidr.address())).1;
        if is_v4 && cidr.prefix() < 31 && (own == first || own == last) {
            prop_assert!(!cidr.is_assignable());
        }
        let ip = cidr.address();
        if ip.is_loopback() || ip.is_multicast() || ip.is_unspecified() || cidr.prefix() == 0 {
            prop_assert!(!cidr.is_assignable());
        }
    }

    #[test]
    fn a_free_network_is_free(range in common::network(), prefix in 0u8..=128, instance in any::<u16>(), held in proptest::collection::vec(common::cidr(), 0..6)) {
        let mut facts = Facts { instance, routes: held, ..Facts::default() };
        facts.taken.networks = facts.routes.split_off(facts.routes.len() / 2);
        match facts.free_network(range, prefix) {
            Some(found) => {
                prop_assert!(range.contains(found) && found.prefix() == prefix && found.is_network());
                prop_assert!(facts.is_free(found));
            }
            // In a range with no more candidates than are looked at, none means that there is none.
            None if prefix >= range.prefix() && prefix - range.prefix() <= 12 => {
                let (is_v4, first, last) = span(range);
                let bits = if is_v4 { 32 } else { 128 };
                if prefix <= bits {
                    let metadata = || METADATA.map(|(address, _)| Cidr::host(address));
                    let known = || facts.routes.iter().chain(&facts.taken.networks).copied();
                    let held = || known().chain(metadata()).map(span);
                    let size = 2u128.checked_pow(u32::from(bits - prefix)).unwrap_or(u128::MAX);
                    let mut at = first;
                    while at < last {
                        prop_assert!(held().any(|(v4, a, z)| v4 == is_v4 && a < at.saturating_add(size) && at <= z));
                        at = at.saturating_add(size);
                    }
                }
            }
            None => {}
        }
    }

    #[test]
    fn port_ranges_are_sets_of_ports(one in common::ports(), two in common::ports()) {
        let set = |range: PortRange| (range.first()..=range.last()).collect::<std::collections::BTreeSet<u16>>();
        prop_assert_eq!(one.contains(two), set(one).is_superset(&set(two)));
        prop_assert_eq!(one.overlaps(two), !set(one).is_disjoint(&set(two)));
        prop_assert_eq!(one.count() as usize, set(one).len());
        prop_assert_eq!(one.to_string().parse::<PortRange>(), Ok(one));
    }

    #[test]
    fn forwards_collide_where_one_packet_fits_both(one in common::forward(), two in common::forward()) {
        let v4 = |forward: &nshost_plan::Forward| forward.host_address.unwrap_or(forward.to).is_ipv4();
        let same_port = (1..=30u16).any(|port| one.ports.first() <= port && port <= one.ports.last() && two.ports.first() <= port && port <= two.ports.last());
        let same_address = match (one.host_address, two.host_address) {
            (Some(a), Some(b)) => a == b,
            _ => v4(&one) == v4(&two),
        };
        // A plan refuses a host address of another family than the target's; only those that it takes count.
        let well = |f: &nshost_plan::Forward| f.host_address.is_none_or(|host| host.is_ipv4() == f.to.is_ipv4());
        prop_assume!(well(&one) && well(&two));
        prop_assert_eq!(one.collides(&two), one.protocol == two.protocol && same_port && same_address);
        prop_assert_eq!(one.collides(&two), two.collides(&one));
    }
}

#[test]
fn the_ends_of_address_space() {
    let cidr = |text: &str| text.parse::<Cidr>().unwrap();
    assert_eq!(cidr("255.255.255.255/0").network(), cidr("0.0.0.0/0"));
    assert_eq!(cidr("ffff::/0").network(), cidr("::/0"));
    assert!(cidr("0.0.0.0/0").contains(cidr("255.255.255.255/32")));
    assert!(!cidr("0.0.0.0/0").overlaps(cidr("::/0")));
    for bad in [
        "",
        "/",
        "1.2.3.4",
        "1.2.3.4/",
        "1.2.3.4/33",
        "1.2.3.4/+8",
        "1.2.3/8",
        "::/129",
        "::1%lo/64",
        "1.2.3.4/8/8",
    ] {
        assert!(bad.parse::<Cidr>().is_err(), "{bad}");
    }
    for bad in ["", "0", "-", "1-", "-1", "2-1", "65536", "+1", "1-+2", "1-2-3", " 1"] {
        assert!(bad.parse::<PortRange>().is_err(), "{bad}");
    }
}

#[test]
fn a_free_network_is_found_behind_many_that_are_taken() {
    let range: Cidr = "10.0.0.0/16".parse().unwrap();
    let facts = Facts { routes: vec!["10.0.0.0/20".parse().unwrap()], ..Facts::default() };
    assert_eq!(facts.free_network(range, 30), "10.0.16.0/30".parse().ok());
    // With its instance number a launch begins elsewhere, and goes round.
    let facts = Facts { instance: 7, ..facts };
    assert_eq!(facts.free_network(range, 24), "10.0.16.0/24".parse().ok());
    let facts = Facts { instance: 300, ..facts };
    assert_eq!(facts.free_network(range, 24), "10.0.44.0/24".parse().ok());
    assert_eq!(facts.free_network(range, 15), None);
    assert_eq!(facts.free_network(range, 33), None);
}

#[test]
fn the_last_address_of_a_network() {
    let last = |network: &str| network.parse::<Cidr>().unwrap().last_address().to_string();
    assert_eq!(last("10.9.0.0/16"), "10.9.255.255");
    assert_eq!(last("10.9.0.1/16"), "10.9.255.255");
    assert_eq!(last("10.9.8.7/32"), "10.9.8.7");
    assert_eq!(last("0.0.0.0/0"), "255.255.255.255");
    assert_eq!(last("fd00::/64"), "fd00::ffff:ffff:ffff:ffff");
    assert_eq!(last("fd00::1/128"), "fd00::1");
}

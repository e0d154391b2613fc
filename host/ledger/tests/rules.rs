//! Who holds what, and what becomes of it.

mod support;

use std::{fs, slice};

use nshost_ledger::{Error, ForwardingHold, Ledger, Life, Origin, PassHold, ProcessId, Record};
use nshost_plan::{
    Around, ContainerId, Interface, InterfaceId, Place,
    Protocol::{Tcp, Udp},
    Route, Step,
};
use support::{Scratch, Want, commit, commit_claim, host, ledger};

fn web() -> Want {
    Want {
        name: Some("web"),
        links: vec!["veth0", "veth1"],
        addresses: Some(("10.1.0.1/24", "10.1.0.2/24")),
        forward: Some((Tcp, None, 80, 89)),
    }
}

/// Everything else than `web`.
fn db() -> Want {
    Want {
        name: Some("db"),
        links: vec!["veth2"],
        addresses: Some(("10.1.1.1/24", "10.1.1.2/24")),
        forward: Some((Tcp, None, 90, 90)),
    }
}

fn taken(result: Result<nshost_ledger::Receipt, Error>) -> (String, String) {
    match result.expect_err("not refused") {
        error @ Error::Taken { .. } => {
            assert!(error.is_conflict());
            let Error::Taken { what, by } = error else { unreachable!() };
            (what, by.name)
        }
        other => panic!("{other}"),
    }
}

#[test]
fn what_one_has_no_other_gets() {
    let scratch = Scratch::new();
    let ledger = ledger(&scratch);
    let web = commit(&ledger, &web()).unwrap();
    let collisions = [
        (Want { name: Some("web"), ..db() }, "container name web"),
        (Want { links: vec!["veth3", "veth1"], ..db() }, "name veth1"),
        (Want { addresses: Some(("10.1.0.9/24", "10.1.1.2/24")), ..db() }, "network 10.1.0.0/24"),
        (
            Want { addresses: Some(("10.1.9.9/16", "10.1.1.2/24")), ..db() },
            "network 10.1.0.0/16 (in part: 10.1.0.0/24)",
        ),
        (Want { forward: Some((Tcp, Some("10.9.9.9"), 89, 99)), ..db() }, "port tcp 89-99"),
    ];
    for (want, what) in collisions {
        // With and without a look before.
        for look in [false, true] {
            if look {
                ledger.standing().unwrap();
            }
            assert_eq!(taken(commit(&ledger, &want)), (what.to_string(), "web".to_string()));
            assert_eq!(scratch.entries().len(), 1, "the claim was given back");
        }
    }
    let udp = Want { forward: Some((Udp, None, 80, 89)), ..db() };
    let udp = commit(&ledger, &udp).unwrap();
    assert_eq!((web.record().instance, udp.record().instance), (0, 1));
    let nameless = commit(&ledger, &Want::default()).unwrap();
    let also = commit(&ledger, &Want::default()).unwrap();
    assert_ne!(nameless.record().id, also.record().id);
    assert_eq!(taken(commit(&ledger, &web_without_name())).1, "web");
    let error = commit(&ledger, &web_without_name()).unwrap_err();
    assert!(error.to_string().starts_with("name veth0 belongs to container web"), "{error}");
}

#[test]
fn who_has_what_a_step_asks_for_is_told() {
    let scratch = Scratch::new();
    let ledger = ledger(&scratch);
    let receipt = commit(&ledger, &web()).unwrap();
    let steps = |want: Want| Vec::<Step>::from(want.plan());
    let whose =
        |step: &Step| ledger.occupant(step, place(step)).unwrap().map(|(what, by)| (what, by.name, by.dead));
    let found: Vec<_> = steps(web()).iter().filter_map(whose).map(|(what, ..)| what).collect();
    let expected = ["name veth0", "name veth1", "network 10.1.0.0/24", "address 10.1.0.2", "port tcp 80-89"];
    assert_eq!(found, expected);
    assert!(steps(db()).iter().all(|step| whose(step).is_none()));
    let route = |to: &str| {
        let interface = Interface::Made(InterfaceId(0));
        whose(&Step::Around(Around::Route(Route { interface, to: to.parse().unwrap(), via: None })))
            .map(|(what, ..)| what)
    };
    assert_eq!(route("10.1.0.128/25").as_deref(), Some("address 10.1.0.128"));
    assert_eq!(route("0.0.0.0/0"), None, "what the host has is not the container's");
    // Of one whose launcher is gone it is told too.
    drop(receipt);
    let of_the_dead = whose(&steps(web())[1]);
    assert_eq!(of_the_dead, Some(("name veth0".to_string(), "web".to_string(), true)));
}

/// Of the interface that the step names: in these plans every first one is the host's.
fn place(step: &Step) -> Option<Place> {
    let interface = match step {
        Step::Around(Around::Address(address)) => address.interface,
        Step::Around(Around::Route(route)) => route.interface,
        Step::Around(_) | Step::Inside(..) => return None,
    };
    match interface {
        Interface::Made(InterfaceId(id)) if id % 2 == 0 => Some(Place::Host),
        Interface::Made(_) | Interface::Loopback(_) => Some(Place::Container(ContainerId::FIRST)),
    }
}

fn web_without_name() -> Want {
    Want { name: None, ..web() }
}

#[test]
fn the_holder_without_a_name_is_told_by_its_id() {
    let scratch = Scratch::new();
    let ledger = ledger(&scratch);
    let holder = commit(&ledger, &web_without_name()).unwrap();
    assert_eq!(taken(commit(&ledger, &web())).1, holder.record().id);
}

#[test]
fn the_gone_hold_nothing_the_dead_do() {
    let scratch = Scratch::new();
    let (one, two) = (ledger(&scratch), ledger(&scratch));
    let first = commit(&one, &web()).unwrap().let_go().unwrap();
    // What is held was seen before it was let go, and so was its number.
    let second = commit(&one, &web()).unwrap();
    assert_eq!(second.record().instance, 1, "nobody has looked since");
    one.standing().unwrap();
    let claim = one.claim().unwrap();
    assert_eq!(claim.instance(), 0, "the gone has a number still");
    // It is one's own, whoever looks.
    two.standing().unwrap();
    assert_eq!(two.claim().unwrap().instance(), 2);
    drop(claim);
    assert_eq!(two.standing().unwrap().living.len(), 1);
    drop(second.let_go().unwrap());
    let third = commit(&two, &web()).unwrap();
    let killed = third.record().clone();
    drop(third);

    let standing = one.standing().unwrap();
    assert_eq!((standing.living.len(), standing.gone.len()), (0, 2));
    assert_eq!(standing.dead, slice::from_ref(&killed));
    assert_eq!(standing.taken.links.len(), 2);
    assert_eq!(taken(commit(&one, &web())).1, "web");

    let lock = one.lock().unwrap();
    let mut collection = one.collect(&lock).unwrap();
    let dead = collection.dead.pop().unwrap();
    assert_eq!((dead.record(), collection.dead.len(), collection.gone.len()), (&killed, 0, 2));
    assert!(collection.others().is_empty());
    dead.forget().unwrap();
    // The gone are forgotten by whoever sees first that nothing is left, and a second time does no harm.
    assert_eq!(collection.gone[0].record(), first.record());
    first.forget().unwrap();
    collection.gone.swap_remove(0).forget().unwrap();
    drop(collection);
    drop(lock);
    assert_eq!(scratch.entries().len(), 1);
    // The lowest number, and numbers are reused.
    let again = commit(&two, &web()).unwrap();
    assert_eq!(again.record().instance, 0);
    again.finish().unwrap();
    assert_eq!(scratch.entries().len(), 1);
}

#[test]
fn facts_tell_what_is_held_in_a_fixed_order() {
    let scratch = Scratch::new();
    let ledger = ledger(&scratch);
    let first = commit(&ledger, &web()).unwrap();
    let second = commit(&ledger, &db()).unwrap();
    let taken = ledger.standing().unwrap().taken;
    let links: Vec<&str> = taken.links.iter().map(|link| link.as_str()).collect();
    assert_eq!(links, ["veth0", "veth1", "veth2"]);
    let networks: Vec<String> = taken.networks.iter().map(ToString::to_string).collect();
    assert_eq!(networks, ["10.1.0.0/24", "10.1.1.0/24"]);
    assert_eq!(taken.forwards.len(), 2);
    first.finish().unwrap();
    let third = commit(&ledger, &web()).unwrap();
    assert_eq!(ledger.standing().unwrap().taken, taken, "numbers order it, not times");
    let others = ledger.standing().unwrap().others(&third.record().id);
    assert_eq!((&others[..], others.unknown()), (slice::from_ref(second.record()), false));
    std::fs::write(scratch.state().join("containers/0009-00000000000000000000000000000000"), "what?")
        .unwrap();
    assert!(ledger.standing().unwrap().others(&third.record().id).unknown());
}

#[test]
fn who_ends_looks_at_others_until_all_it_holds_is_held() {
    let scratch = Scratch::new();
    let ledger = ledger(&scratch);
    let hold =
        |link: &str, v6| ForwardingHold { link: link.to_string().try_into().unwrap(), v6, was_on: false };
    let chain = |chain: &str| PassHold { v6: false, chain: chain.to_string() };
    let holding = |want: Want, holds: &[ForwardingHold], chains: &[PassHold]| {
        let mut receipt = commit(&ledger, &want).unwrap();
        let lock = ledger.lock().unwrap();
        receipt.holds(&lock, holds.to_vec()).unwrap();
        receipt.passes(&lock, chains.to_vec()).unwrap();
        receipt
    };
    let named = |name, link| Want { name: Some(name), links: vec![link], addresses: None, forward: None };
    let (eth0, eth0_v6, eth1) = (hold("eth0", false), hold("eth0", true), hold("eth1", false));
    let none = holding(named("none", "veth0"), &[], &[]);
    let first = holding(named("first", "veth1"), slice::from_ref(&eth0), &[]);
    let other = holding(named("other", "veth2"), &[eth0.clone(), eth1.clone()], &[chain("FORWARD")]);
    let last = holding(named("last", "veth3"), slice::from_ref(&eth0), &[]);
    let sharers = |holds: &[ForwardingHold], chains: &[PassHold]| {
        let (forwarding, passing) = (holds.to_vec(), chains.to_vec());
        let record = Record { forwarding, passing, ..none.record().clone() };
        let names = ledger.sharers(&record).unwrap().into_iter().filter_map(|record| record.name);
        names.map(String::from).collect::<Vec<_>>()
    };
    assert!(sharers(&[], &[]).is_empty());
    // Whether it was on does not tell which it is.
    let was_on = ForwardingHold { was_on: true, ..eth0.clone() };
    assert_eq!(sharers(&[was_on], &[]), ["first"]);
    assert_eq!(sharers(&[eth1], &[chain("FORWARD")]), ["first", "other"]);
    // What nobody has takes a look at all.
    let all = ["first", "other", "last"];
    assert_eq!(sharers(&[eth0_v6], &[]), all);
    assert_eq!(sharers(&[eth0], &[chain("DOCKER-USER")]), all);
    drop((first, other, last));
}

#[test]
fn other_namespaces_and_boots_do_not_compete() {
    let scratch = Scratch::new();
    let here = ledger(&scratch);
    let there = Ledger::open(&scratch.state(), host("boot", 2)).unwrap();
    let one = commit(&here, &web()).unwrap();
    assert_eq!(taken(commit(&there, &web())), ("container name web".into(), "web".into()), "nor are names");
    let other = Want { name: Some("other"), ..web() };
    let two = commit(&there, &other).unwrap();
    assert_eq!((one.record().instance, two.record().instance), (0, 1), "numbers are one space");
    assert_eq!(taken(commit(&there, &web_without_name())).1, "other");
    let standing = here.standing().unwrap();
    assert_eq!(standing.living, [one.record().clone()]);
    assert_eq!(standing.elsewhere, [(Life::Living, two.record().clone())]);
    assert_eq!(standing.taken.links.len(), 2);

    let killed = two.record().clone();
    drop(two);
    assert_eq!(here.standing().unwrap().elsewhere, [(Life::Dead, killed)]);
    let lock = here.lock().unwrap();
    assert_eq!(here.collect(&lock).unwrap().elsewhere.len(), 1);
    drop(lock);
    assert_eq!(there.standing().unwrap().dead.len(), 1);

    // After a boot nothing is left of anybody who does not live.
    drop(one.let_go().unwrap());
    let after = Ledger::open(&scratch.state(), host("next boot", 1)).unwrap();
    let standing = after.standing().unwrap();
    assert!(standing.dead.is_empty() && standing.gone.is_empty() && standing.elsewhere.is_empty());
    assert!(scratch.entries().is_empty());
}

#[test]
fn a_private_host_leaves_nothing() {
    let scratch = Scratch::new();
    let ledger = ledger(&scratch);
    let lock = ledger.lock().unwrap();
    let origin = Origin { host_is_private: true, has_one_id: true, ..web().origin() };
    let claim = ledger.claim().unwrap();
    let receipt = ledger.commit(&lock, claim, web().permit(), origin).unwrap();
    assert_eq!(ledger.standing().unwrap().living.len(), 1);
    drop(receipt);
    // Not even to one whose namespace has got the same number.
    ledger.commit(&lock, ledger.claim().unwrap(), web().permit(), web().origin()).unwrap().finish().unwrap();
    assert!(ledger.standing().unwrap().dead.is_empty());
    assert!(scratch.entries().is_empty());
}

#[test]
fn notes_are_kept() {
    let scratch = Scratch::new();
    let ledger = ledger(&scratch);
    let mut receipt = commit(&ledger, &web()).unwrap();
    let hold = |was_on| ForwardingHold { link: "eth0".to_string().try_into().unwrap(), v6: false, was_on };
    let lock = ledger.lock().unwrap();
    receipt.holds(&lock, vec![hold(false), hold(true)]).unwrap();
    receipt.started(ProcessId { pid: 7, birth: 9 }).unwrap();
    receipt.holds(&lock, vec![hold(true)]).unwrap();
    let record = receipt.record().clone();
    assert_eq!((record.forwarding.clone(), record.process.unwrap().pid), (vec![hold(true)], 7));
    assert_eq!(ledger.standing().unwrap().living, slice::from_ref(&record));
    drop(receipt);
    assert_eq!(ledger.standing().unwrap().dead, [record]);
}

#[test]
fn addresses_are_our_own_kind_and_never_the_same() {
    let scratch = Scratch::new();
    let ledger = ledger(&scratch);
    let (one, two) = (commit(&ledger, &web()).unwrap(), commit(&ledger, &db()).unwrap());
    let ends = [one.record(), two.record()].map(|record| record.host_ends().collect::<Vec<_>>()).concat();
    assert_eq!(ends.len(), 3);
    for (index, (_, _, mac)) in ends.iter().enumerate() {
        assert_eq!(mac[0] & 0b11, 0b10);
        assert!(ends[..index].iter().all(|(_, _, other)| other != mac));
    }
}

#[test]
fn running_out_of_numbers_is_an_error_until_the_next_look() {
    let scratch = Scratch::new();
    let ledger = ledger(&scratch);
    for number in 0..3840u16 {
        let name = format!("{number:04}-{:032x}", u128::from(number) << 64);
        fs::write(scratch.state().join("containers").join(name), "").unwrap();
    }
    let error = ledger.claim().unwrap_err();
    assert!(matches!(error, Error::Full { instances: 3840 }), "{error}");
    ledger.standing().unwrap();
    assert!(scratch.entries().is_empty());
    assert_eq!(ledger.claim().unwrap().instance(), 0);
}

#[test]
fn locks_and_claims_of_another_ledger_are_refused() {
    let (one, two) = (Scratch::new(), Scratch::new());
    let (one, two) = (ledger(&one), ledger(&two));
    let (lock, want) = (one.lock().unwrap(), web());
    let code = |result: Result<nshost_ledger::Receipt, Error>| result.err().map(|error| error.code());
    assert_eq!(code(two.commit(&lock, two.claim().unwrap(), want.permit(), want.origin())), Some("mixed"));
    assert_eq!(code(one.commit(&lock, two.claim().unwrap(), want.permit(), want.origin())), Some("mixed"));
    assert!(two.collect(&lock).is_err());
    assert!(commit_claim(&two, two.claim().unwrap(), &want).unwrap().holds(&lock, Vec::new()).is_err());
}

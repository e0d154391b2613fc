//! Launches that overlap in any order never come to hold the same thing.

mod support;

use nshost_ledger::{Claim, Error, Ledger, Receipt};
use nshost_plan::Protocol::{self, Tcp, Udp};
use proptest::{collection::vec, option, prelude::*, sample::select};
use support::{Scratch, Want, ledger};

const NAMES: [&str; 2] = ["web", "db"];
const LINKS: [&str; 3] = ["veth0", "veth1", "veth2"];
/// Host end, container end, and the last bytes of 10.0.0.x that the host end's network has.
const NETWORKS: [(&str, &str, std::ops::Range<u8>); 4] = [
    ("10.0.0.1/29", "10.0.0.2/29", 0..8),
    ("10.0.0.1/30", "10.0.0.2/30", 0..4),
    ("10.0.0.5/30", "10.0.0.6/30", 4..8),
    ("10.0.0.9/30", "10.0.0.10/30", 8..12),
];
const HOSTS: [&str; 2] = ["192.0.2.1", "192.0.2.2"];
const FORWARDS: [(Protocol, Option<&str>, u16, u16); 6] = [
    (Tcp, None, 80, 82),
    (Tcp, None, 82, 82),
    (Udp, None, 80, 82),
    (Tcp, Some(HOSTS[0]), 80, 80),
    (Tcp, Some(HOSTS[1]), 80, 80),
    (Tcp, None, 83, 90),
];

/// What a launch wants, as indices into the tables.
#[derive(Debug, Clone)]
struct Wish {
    name: Option<usize>,
    links: Vec<usize>,
    network: Option<usize>,
    forward: Option<usize>,
}

impl Wish {
    fn want(&self) -> Want {
        let network = self.network.filter(|_| !self.links.is_empty());
        Want {
            name: self.name.map(|name| NAMES[name]),
            links: self.links.iter().map(|link| LINKS[*link]).collect(),
            addresses: network.map(|network| (NETWORKS[network].0, NETWORKS[network].1)),
            forward: self.forward.map(|forward| FORWARDS[forward]),
        }
    }

    /// All that only one can have, each on its own: a model that knows nothing of ranges and prefixes.
    fn things(&self) -> Vec<String> {
        let want = self.want();
        let mut things: Vec<String> = want.name.iter().map(|name| format!("name {name}")).collect();
        things.extend(want.links.iter().map(|link| format!("link {link}")));
        if want.addresses.is_some() {
            let range = NETWORKS[self.network.unwrap()].2.clone();
            things.extend(range.map(|address| format!("address {address}")));
            if let Some((protocol, host, first, last)) = want.forward {
                // 127.0.0.1 stands for all addresses that no forward names.
                for to in HOSTS.iter().chain(&["127.0.0.1"]).filter(|to| host.is_none_or(|host| host == **to))
                {
                    things
                        .extend((first..=last).map(|port| format!("packet {} {to} {port}", protocol.name())));
                }
            }
        }
        things
    }
}

#[derive(Debug, Clone)]
enum Act {
    Claim,
    Look,
    Commit(Wish),
    LetGo,
    Finish,
    Die,
    Collect,
}

/// A launcher with a ledger of its own.
struct Launcher {
    ledger: Ledger,
    claim: Option<Claim>,
    running: Option<Receipt>,
}

/// The model: what each entry holds, by launcher; the dead are at the end.
#[derive(Default)]
struct Model {
    held: Vec<(Option<usize>, Vec<String>)>,
}

impl Model {
    fn drop_of(&mut self, launcher: usize) {
        self.held.retain(|(owner, _)| *owner != Some(launcher));
    }
}

fn wish() -> impl Strategy<Value = Wish> {
    let links = proptest::sample::subsequence(vec![0, 1, 2], 0..=2);
    (option::of(0..NAMES.len()), links, option::of(0..NETWORKS.len()), option::of(0..FORWARDS.len()))
        .prop_map(|(name, links, network, forward)| Wish { name, links, network, forward })
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        3 => Just(Act::Claim),
        2 => Just(Act::Look),
        4 => wish().prop_map(Act::Commit),
        2 => select(vec![Act::LetGo, Act::Finish, Act::Die]),
        1 => Just(Act::Collect),
    ]
}

fn step(launcher: &mut Launcher, index: usize, act: &Act, model: &mut Model) {
    match act {
        Act::Claim if launcher.running.is_none() => launcher.claim = Some(launcher.ledger.claim().unwrap()),
        Act::Claim => (),
        Act::Look => drop(launcher.ledger.standing().unwrap()),
        Act::Commit(wish) => {
            let Some(claim) = launcher.claim.take() else { return };
            let things = wish.things();
            let free = model.held.iter().all(|(_, held)| held.iter().all(|thing| !things.contains(thing)));
            match support::commit_claim(&launcher.ledger, claim, &wish.want()) {
                Ok(receipt) => {
                    assert!(free, "{wish:?} was given, but {:?}", model.held);
                    launcher.running = Some(receipt);
                    model.held.push((Some(index), things));
                }
                Err(Error::Taken { what, .. }) => assert!(!free, "{what} was refused, but is free"),
                Err(other) => panic!("{other}"),
            }
        }
        Act::LetGo | Act::Finish => {
            let Some(receipt) = launcher.running.take() else { return };
            model.drop_of(index);
            if matches!(act, Act::LetGo) { receipt.let_go().map(drop) } else { receipt.finish() }.unwrap();
        }
        Act::Die => {
            launcher.claim = None;
            if launcher.running.take().is_some() {
                let mine = model.held.iter_mut().find(|(owner, _)| *owner == Some(index));
                mine.unwrap().0 = None;
            }
        }
        Act::Collect => {
            let lock = launcher.ledger.lock().unwrap();
            let collection = launcher.ledger.collect(&lock).unwrap();
            let (dead, alive) = (collection.dead.len(), collection.living.len());
            assert_eq!(dead, model.held.iter().filter(|(owner, _)| owner.is_none()).count());
            assert_eq!(alive + dead, model.held.len());
            collection.dead.into_iter().chain(collection.gone).for_each(|dead| dead.forget().unwrap());
            model.held.retain(|(owner, _)| owner.is_some());
        }
    }
}

/// Instances of all who have one differ, and what is told as taken is what is held.
fn check(launchers: &[Launcher], model: &Model) {
    let claims = launchers.iter().filter_map(|launcher| launcher.claim.as_ref().map(Claim::instance));
    let running = launchers.iter().filter_map(|launcher| Some(launcher.running.as_ref()?.record().instance));
    let mut instances: Vec<u16> = claims.chain(running).collect();
    instances.sort_unstable();
    assert!(instances.windows(2).all(|pair| pair[0] != pair[1]), "{instances:?}");

    let standing = launchers[0].ledger.standing().unwrap();
    assert_eq!(standing.living.len() + standing.dead.len(), model.held.len());
    assert!(standing.unreadable.is_empty());
    let links = |things: &[String]| things.iter().filter(|thing| thing.starts_with("link ")).count();
    assert_eq!(standing.taken.links.len(), model.held.iter().map(|(_, things)| links(things)).sum::<usize>());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_held_twice(acts in vec((0..4usize, act()), 1..60)) {
        let scratch = Scratch::new();
        let launcher = || Launcher { ledger: ledger(&scratch), claim: None, running: None };
        let mut launchers: Vec<Launcher> = (0..4).map(|_| launcher()).collect();
        let mut model = Model::default();
        for (index, act) in &acts {
            step(&mut launchers[*index], *index, act, &mut model);
            check(&launchers, &model);
        }
        drop(launchers);
        let last = ledger(&scratch);
        let lock = last.lock().unwrap();
        let collection = last.collect(&lock).unwrap();
        prop_assert_eq!(collection.dead.len(), model.held.len());
        collection.dead.into_iter().chain(collection.gone).for_each(|dead| dead.forget().unwrap());
        prop_assert!(scratch.entries().is_empty());
    }
}

//! What fits a plan, and what does not: one example for each reason; and that looking things up in its index comes
//! to what looking at all of its steps does.

mod common;

use std::net::IpAddr;

use nshost_plan::{
    AbsolutePath, Address, Around, Cidr, Code, Command, ContainerId, End, Error, Forward, Inside, Interface,
    InterfaceId, Link, LinkName, Masquerade, Namespace, Place, Plan, PortRange, Protocol, ResolvConf, Route,
    Step, UtsName, Variable,
};
use proptest::{collection::vec, prelude::*};

const HOST: Interface = Interface::Made(InterfaceId(0));
const CONTAINER: Interface = Interface::Made(InterfaceId(1));

fn veth(host: &str, container: &str) -> Step {
    let name = |text: &str| LinkName::try_from(text.to_string()).unwrap();
    Step::Around(Around::Link(Link::from_host(name(host), name(container))))
}

fn address(interface: Interface, text: &str) -> Step {
    Step::Around(Around::Address(Address { interface, cidr: text.parse().unwrap() }))
}

fn route(interface: Interface, to: &str, via: Option<&str>) -> Step {
    let via = via.map(|via| via.parse().unwrap());
    Step::Around(Around::Route(Route { interface, to: to.parse::<Cidr>().unwrap(), via }))
}

fn masquerade(source: &str) -> Step {
    let out = LinkName::try_from("eth0".to_string()).unwrap();
    Step::Around(Around::Masquerade(Masquerade { source: source.parse().unwrap(), out }))
}

fn forward(host: Option<&str>, first: u16, last: u16, to: &str, to_port: u16) -> Step {
    let (ports, to) = (PortRange::new(first, last).unwrap(), to.parse().unwrap());
    let host_address = host.map(|host| host.parse().unwrap());
    Step::Around(Around::Forward(Forward { protocol: Protocol::Tcp, host_address, ports, to, to_port }))
}

fn hostname(text: &str) -> UtsName {
    UtsName::try_from(text.to_string()).unwrap()
}

fn resolv_conf() -> Step {
    Inside::ResolvConf(ResolvConf::try_from(vec![IpAddr::from([192, 0, 2, 1])]).unwrap()).of_first()
}

/// All namespaces, private mounts, and a link with addresses of both families.
fn full() -> Plan {
    let mut steps: Vec<Step> =
        Namespace::ALL.into_iter().map(|it| Inside::Namespace(it).of_first()).collect();
    steps.extend([
        Inside::PrivatePropagation.of_first(),
        veth("h0", "c0"),
        veth("h1", "c1"),
        address(HOST, "10.0.0.1/24"),
        address(CONTAINER, "10.0.0.2/24"),
        address(CONTAINER, "fd00::2/64"),
    ]);
    Plan::try_from(steps).unwrap()
}

fn refused(plan: &Plan, step: Step) -> Code {
    let mut after = plan.clone();
    let error: Error = after.push(step.clone()).expect_err(&format!("{step:?} fits"));
    assert_eq!(&after, plan, "a refused step left something");
    // What is there twice is named with the step that had it first; all else is what was handed in.
    let named = match error.code {
        Code::Duplicate => error.subject.contains(" is in the plan already, by step "),
        _ => error.subject.starts_with('"'),
    };
    assert!(!error.hint.is_empty() && named, "{error}");
    error.code
}

fn fits(plan: &Plan, step: Step) -> Plan {
    let mut after = plan.clone();
    after.push(step).unwrap();
    after
}

#[test]
fn without_its_namespace_a_step_would_change_the_host() {
    let empty = Plan::default();
    let with = |kinds: &[Namespace]| {
        Plan::try_from(kinds.iter().copied().map(|it| Inside::Namespace(it).of_first()).collect::<Vec<_>>())
            .unwrap()
    };
    let mount = with(&[Namespace::Mount]);
    for step in [
        Inside::Hostname(hostname("a")).of_first(),
        Inside::DomainName(hostname("a")).of_first(),
        Inside::PrivatePropagation.of_first(),
        Inside::Proc.of_first(),
        resolv_conf(),
        veth("a", "b"),
        Step::Around(Around::Up(Interface::Loopback(ContainerId::FIRST))),
    ] {
        assert_eq!(refused(&empty, step.clone()), Code::Requires, "{step:?}");
        fits(&full_without(&step), step);
    }
    // Mounts also need private propagation, and /proc a PID namespace.
    assert_eq!(refused(&mount, resolv_conf()), Code::Requires);
    let both = with(&[Namespace::Mount, Namespace::Pid]);
    assert_eq!(refused(&both, Inside::Proc.of_first()), Code::Requires);
    assert_eq!(
        refused(&fits(&mount, Inside::PrivatePropagation.of_first()), Inside::Proc.of_first()),
        Code::Requires
    );
    fits(&fits(&both, Inside::PrivatePropagation.of_first()), Inside::Proc.of_first());
}

/// A namespace that the container shares keeps just those steps away that would change it.
#[test]
fn what_is_shared_is_not_changed() {
    for (missing, steps) in [
        (
            Namespace::Uts,
            vec![Inside::Hostname(hostname("a")).of_first(), Inside::DomainName(hostname("a")).of_first()],
        ),
        (
            Namespace::Mount,
            vec![Inside::PrivatePropagation.of_first(), Inside::Proc.of_first(), resolv_conf()],
        ),
        (Namespace::Pid, vec![Inside::Proc.of_first()]),
        (
            Namespace::Network,
            vec![veth("a", "b"), Step::Around(Around::Up(Interface::Loopback(ContainerId::FIRST)))],
        ),
    ] {
        let own = Namespace::ALL
            .into_iter()
            .filter(|kind| *kind != missing)
            .map(|it| Inside::Namespace(it).of_first());
        let private = (missing != Namespace::Mount).then_some(Inside::PrivatePropagation.of_first());
        let plan = Plan::try_from(own.chain(private).collect::<Vec<_>>()).unwrap();
        for step in steps {
            assert_eq!(refused(&plan, step.clone()), Code::Requires, "{missing} {step:?}");
            fits(&full_without(&step), step);
        }
    }
}

/// The full plan without a step that there can be one of.
fn full_without(step: &Step) -> Plan {
    let steps: Vec<Step> = full().into();
    Plan::try_from(steps.into_iter().filter(|other| other != step).collect::<Vec<_>>()).unwrap()
}

#[test]
fn nothing_is_asked_for_twice() {
    let variable =
        |value: &str| Inside::Variable(Variable::new("A".to_string(), value.to_string()).unwrap()).of_first();
    let command = |text: &str| Inside::Command(Command::parse([text.to_string()]).unwrap()).of_first();
    let directory =
        |text: &str| Inside::WorkingDirectory(AbsolutePath::try_from(text.to_string()).unwrap()).of_first();
    for (one, two) in [
        (Inside::Hostname(hostname("a")).of_first(), Inside::Hostname(hostname("b")).of_first()),
        (Inside::DomainName(hostname("a")).of_first(), Inside::DomainName(hostname("b")).of_first()),
        (Inside::Proc.of_first(), Inside::Proc.of_first()),
        (resolv_conf(), resolv_conf()),
        (variable("1"), variable("2")),
        (command("a"), command("b")),
        (directory("/a"), directory("/b")),
        (Step::Around(Around::Up(HOST)), Step::Around(Around::Up(HOST))),
        (route(CONTAINER, "0.0.0.0/0", None), route(CONTAINER, "0.0.0.0/0", Some("10.0.0.1"))),
        (masquerade("10.0.0.2"), masquerade("10.0.0.2")),
        (forward(None, 80, 89, "10.0.0.2", 80), forward(Some("192.0.2.1"), 85, 99, "10.0.0.2", 1)),
        (
            forward(Some("127.0.0.1"), 80, 89, "10.0.0.2", 80),
            forward(Some("127.0.0.1"), 85, 99, "10.0.0.2", 1),
        ),
        (veth("x", "y"), veth("x", "z")),
        (veth("x", "y"), veth("z", "y")),
        (address(HOST, "10.0.0.9/24"), address(CONTAINER, "10.0.0.9/24")),
    ] {
        assert_eq!(refused(&fits(&full(), one), two.clone()), Code::Duplicate, "{two:?}");
    }
    for step in [Inside::Namespace(Namespace::Time).of_first(), Inside::PrivatePropagation.of_first()] {
        assert_eq!(refused(&full(), step), Code::Duplicate);
    }
    // The loopback is no part of all addresses.
    let everywhere = fits(&full(), forward(None, 80, 89, "10.0.0.2", 80));
    fits(&everywhere, forward(Some("127.0.0.1"), 85, 99, "10.0.0.2", 1));
    let both = fits(&full(), Inside::Hostname(hostname("a")).of_first());
    fits(&both, Inside::DomainName(hostname("a")).of_first());
}

#[test]
fn what_a_step_names_is_there() {
    let third = Interface::Made(InterfaceId(4));
    for step in
        [Step::Around(Around::Up(third)), address(third, "10.1.0.1/24"), route(third, "10.2.0.0/16", None)]
    {
        assert_eq!(refused(&full(), step), Code::UnknownReference);
    }
    for step in [masquerade("10.0.0.1"), masquerade("10.0.0.3"), forward(None, 80, 80, "10.0.0.1", 80)] {
        assert_eq!(refused(&full(), step), Code::Requires);
    }
}

#[test]
fn addresses_that_an_interface_cannot_have() {
    for text in [
        "10.1.0.0/24",
        "10.1.0.255/24",
        "127.0.0.2/8",
        "224.0.0.1/24",
        "0.0.0.0/24",
        "255.255.255.255/32",
        "11.0.0.1/7",
        "1.2.3.4/0",
        "::1/64",
        "ff02::1/64",
        "::/64",
        "fd00::1/15",
        "::ffff:10.1.0.1/112",
    ] {
        assert_eq!(refused(&full(), address(HOST, text)), Code::AddressInvalid, "{text}");
    }
    assert_eq!(
        refused(&full(), address(Interface::Loopback(ContainerId::FIRST), "10.1.0.1/24")),
        Code::AddressInvalid
    );
    // On one side, networks of two links may not overlap; of one link they may.
    let second = Interface::Made(InterfaceId(2));
    assert_eq!(refused(&full(), address(second, "10.0.0.201/30")), Code::AddressInvalid);
    for (interface, text) in [
        (HOST, "10.0.0.201/29"),
        (second, "10.0.1.1/31"),
        (second, "10.0.1.0/31"),
        (HOST, "10.9.9.9/32"),
        (HOST, "fd00::1/128"),
    ] {
        fits(&full(), address(interface, text));
    }
}

#[test]
fn routes_that_lead_nowhere() {
    for to in ["10.1.0.1/24", "224.0.0.0/4", "127.0.0.0/8", "::1/128", "ff00::/8"] {
        assert_eq!(refused(&full(), route(CONTAINER, to, None)), Code::AddressInvalid, "{to}");
    }
    assert_eq!(
        refused(&full(), route(Interface::Loopback(ContainerId::FIRST), "10.1.0.0/24", None)),
        Code::AddressInvalid
    );
    for (to, via) in
        [("0.0.0.0/0", "10.0.1.1"), ("0.0.0.0/0", "10.0.0.2"), ("0.0.0.0/0", "fd00::1"), ("::/0", "10.0.0.1")]
    {
        assert_eq!(refused(&full(), route(CONTAINER, to, Some(via))), Code::Requires, "{to} {via}");
    }
    fits(&full(), route(CONTAINER, "0.0.0.0/0", Some("10.0.0.1")));
    fits(&full(), route(CONTAINER, "::/0", Some("fd00::1")));
    fits(&fits(&full(), route(HOST, "10.2.0.0/16", None)), route(CONTAINER, "10.2.0.0/16", None));
}

#[test]
fn forwards_that_no_packet_could_take() {
    let to = "10.0.0.2";
    for (host, code) in [
        ("0.0.0.0", Code::AddressInvalid),
        ("239.0.0.1", Code::AddressInvalid),
        ("::1", Code::AddressInvalid),
    ] {
        assert_eq!(refused(&full(), forward(Some(host), 80, 80, to, 80)), code, "{host}");
    }
    assert_eq!(refused(&full(), forward(None, 80, 81, to, 65535)), Code::PortsInvalid);
    assert_eq!(refused(&full(), forward(None, 80, 80, to, 0)), Code::PortsInvalid);
    fits(&full(), forward(None, 80, 81, to, 65534));
    let most = fits(&full(), forward(None, 1, 4096, to, 1));
    assert_eq!(refused(&most, forward(None, 5000, 5000, to, 1)), Code::TooMany);
    assert_eq!(refused(&full(), forward(None, 1, 4097, to, 1)), Code::TooMany);
    let four = fits(&full(), forward(None, 80, 80, to, 80));
    fits(&four, forward(None, 80, 80, "fd00::2", 80));
}

#[test]
fn a_wire_leads_from_one_place_to_another() {
    let end = |at, name: &str| End { at, name: LinkName::try_from(name.to_string()).unwrap() };
    let container = Place::Container(ContainerId::FIRST);
    let pair = |one, two| Step::Around(Around::Link(Link::Veth([end(one, "x"), end(two, "y")])));
    for place in [Place::Host, container] {
        assert_eq!(refused(&full(), pair(place, place)), Code::Requires);
    }
    // Interfaces are numbered as made, whatever the order of their places.
    let plan = fits(&full(), pair(container, Place::Host));
    assert_eq!(plan.interface_name(Interface::Made(InterfaceId(4))), "x");
    assert_eq!(plan.place(Interface::Made(InterfaceId(4))), Some(container));
    assert_eq!(plan.host_end(InterfaceId(4)).map(|(id, _)| id), Some(InterfaceId(5)));
    let address = fits(&plan, address(Interface::Made(InterfaceId(4)), "10.3.0.2/24"));
    fits(&address, masquerade("10.3.0.2"));
}

#[test]
fn there_is_one_container() {
    let other = ContainerId(1);
    for step in [
        Step::Inside(other, Inside::Namespace(Namespace::User)),
        Step::Around(Around::Up(Interface::Loopback(other))),
    ] {
        let code = refused(&full(), step);
        assert!(matches!(code, Code::UnknownReference | Code::Requires), "{code:?}");
    }
}

#[test]
fn there_are_at_most_64_links() {
    let links = (0..Plan::MAX_LINKS).map(|n| veth(&format!("h{n}"), &format!("c{n}")));
    let steps =
        [Inside::Namespace(Namespace::Network).of_first()].into_iter().chain(links).collect::<Vec<_>>();
    let plan = Plan::try_from(steps).unwrap();
    assert_eq!(refused(&plan, veth("one", "more")), Code::TooMany);
    assert_eq!(plan.end(InterfaceId(126)).map(|end| end.name.as_str()), Some("h63"));
    assert_eq!(plan.interface_name(Interface::Made(InterfaceId(3))), "c1");
}

/// What two steps must not both have, said of pairs.
fn clash(plan: &Plan, one: &Step, two: &Step) -> bool {
    match (one, two) {
        (Step::Around(Around::Address(one)), Step::Around(Around::Address(two))) => {
            let apart = plan.place(one.interface) != plan.place(two.interface);
            let other = one.interface != two.interface;
            one.cidr.address() == two.cidr.address() || (!apart && other && one.cidr.overlaps(two.cidr))
        }
        (Step::Around(Around::Forward(one)), Step::Around(Around::Forward(two))) => one.collides(two),
        (Step::Around(Around::Route(one)), Step::Around(Around::Route(two))) => {
            plan.place(one.interface) == plan.place(two.interface) && one.to == two.to
        }
        (Step::Around(Around::Link(one)), Step::Around(Around::Link(two))) => {
            one.ends().iter().any(|end| two.ends().contains(end))
        }
        (Step::Inside(..) | Step::Around(_), Step::Inside(..) | Step::Around(_)) => one == two,
    }
}

proptest! {
    #![proptest_config(common::config(512))]

    #[test]
    fn the_index_says_what_all_steps_say(plan in common::plan(), steps in vec(common::step(), 1..40)) {
        for (index, step) in plan.steps().iter().enumerate() {
            let before = &plan.steps()[..index];
            prop_assert!(!before.iter().any(|other| clash(&plan, other, step)), "{step:?} in {plan:?}");
        }
        for step in steps {
            let clashes = plan.steps().iter().any(|other| clash(&plan, other, &step));
            match plan.fits(&step) {
                Ok(()) => prop_assert!(!clashes, "{step:?} fits {plan:?}"),
                Err(error) if error.code == Code::Duplicate || error.hint.contains("overlaps") => {
                    let once = matches!(step, Step::Inside(..));
                    prop_assert!(clashes || once, "{error}: {step:?} in {plan:?}");
                }
                Err(_) => {}
            }
        }
        for (id, _) in plan.interfaces() {
            let its: Vec<Cidr> = plan
                .addresses()
                .filter(|address| address.interface == Interface::Made(id))
                .map(|address| address.cidr)
                .collect();
            prop_assert_eq!(plan.addresses_of(id), &its[..]);
        }
    }
}

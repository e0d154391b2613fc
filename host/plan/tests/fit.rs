//! What fits a plan, and what does not: one example for each reason.

use std::net::IpAddr;

use nshost_plan::{
    AbsolutePath, Address, Cidr, Code, Command, Error, Forward, Interface, LinkId, LinkName, Masquerade,
    Namespace, Plan, PortRange, Protocol, ResolvConf, Route, Side, Step, UtsName, Variable, Veth,
};

const HOST: Interface = Interface::End(LinkId(0), Side::Host);
const CONTAINER: Interface = Interface::End(LinkId(0), Side::Container);

fn veth(host: &str, container: &str) -> Step {
    let name = |text: &str| LinkName::try_from(text.to_string()).unwrap();
    Step::Veth(Veth { host: name(host), container: name(container) })
}

fn address(interface: Interface, text: &str) -> Step {
    Step::Address(Address { interface, cidr: text.parse().unwrap() })
}

fn route(interface: Interface, to: &str, via: Option<&str>) -> Step {
    let via = via.map(|via| via.parse().unwrap());
    Step::Route(Route { interface, to: to.parse::<Cidr>().unwrap(), via })
}

fn masquerade(source: &str) -> Step {
    let out = LinkName::try_from("eth0".to_string()).unwrap();
    Step::Masquerade(Masquerade { source: source.parse().unwrap(), out })
}

fn forward(host: Option<&str>, first: u16, last: u16, to: &str, to_port: u16) -> Step {
    let (ports, to) = (PortRange::new(first, last).unwrap(), to.parse().unwrap());
    let host_address = host.map(|host| host.parse().unwrap());
    Step::Forward(Forward { protocol: Protocol::Tcp, host_address, ports, to, to_port })
}

fn hostname(text: &str) -> UtsName {
    UtsName::try_from(text.to_string()).unwrap()
}

fn resolv_conf() -> Step {
    Step::ResolvConf(ResolvConf::try_from(vec![IpAddr::from([192, 0, 2, 1])]).unwrap())
}

/// All namespaces, private mounts, and a link with addresses of both families.
fn full() -> Plan {
    let mut steps: Vec<Step> = Namespace::ALL.into_iter().map(Step::Namespace).collect();
    steps.extend([
        Step::PrivatePropagation,
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
        Plan::try_from(kinds.iter().copied().map(Step::Namespace).collect::<Vec<_>>()).unwrap()
    };
    let mount = with(&[Namespace::Mount]);
    for step in [
        Step::Hostname(hostname("a")),
        Step::DomainName(hostname("a")),
        Step::PrivatePropagation,
        Step::Proc,
        resolv_conf(),
        veth("a", "b"),
        Step::Up(Interface::Loopback),
    ] {
        assert_eq!(refused(&empty, step.clone()), Code::Requires, "{step:?}");
        fits(&full_without(&step), step);
    }
    // Mounts also need private propagation, and /proc a PID namespace.
    assert_eq!(refused(&mount, resolv_conf()), Code::Requires);
    let both = with(&[Namespace::Mount, Namespace::Pid]);
    assert_eq!(refused(&both, Step::Proc), Code::Requires);
    assert_eq!(refused(&fits(&mount, Step::PrivatePropagation), Step::Proc), Code::Requires);
    fits(&fits(&both, Step::PrivatePropagation), Step::Proc);
}

/// A namespace that the container shares keeps just those steps away that would change it.
#[test]
fn what_is_shared_is_not_changed() {
    for (missing, steps) in [
        (Namespace::Uts, vec![Step::Hostname(hostname("a")), Step::DomainName(hostname("a"))]),
        (Namespace::Mount, vec![Step::PrivatePropagation, Step::Proc, resolv_conf()]),
        (Namespace::Pid, vec![Step::Proc]),
        (Namespace::Network, vec![veth("a", "b"), Step::Up(Interface::Loopback)]),
    ] {
        let own = Namespace::ALL.into_iter().filter(|kind| *kind != missing).map(Step::Namespace);
        let private = (missing != Namespace::Mount).then_some(Step::PrivatePropagation);
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
    let variable = |value: &str| Step::Variable(Variable::new("A".to_string(), value.to_string()).unwrap());
    let command = |text: &str| Step::Command(Command::parse([text.to_string()]).unwrap());
    let directory = |text: &str| Step::WorkingDirectory(AbsolutePath::try_from(text.to_string()).unwrap());
    for (one, two) in [
        (Step::Hostname(hostname("a")), Step::Hostname(hostname("b"))),
        (Step::DomainName(hostname("a")), Step::DomainName(hostname("b"))),
        (Step::Proc, Step::Proc),
        (resolv_conf(), resolv_conf()),
        (variable("1"), variable("2")),
        (command("a"), command("b")),
        (directory("/a"), directory("/b")),
        (Step::Up(HOST), Step::Up(HOST)),
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
    for step in [Step::Namespace(Namespace::Time), Step::PrivatePropagation] {
        assert_eq!(refused(&full(), step), Code::Duplicate);
    }
    // The loopback is no part of all addresses.
    let everywhere = fits(&full(), forward(None, 80, 89, "10.0.0.2", 80));
    fits(&everywhere, forward(Some("127.0.0.1"), 85, 99, "10.0.0.2", 1));
    let both = fits(&full(), Step::Hostname(hostname("a")));
    fits(&both, Step::DomainName(hostname("a")));
}

#[test]
fn what_a_step_names_is_there() {
    let third = Interface::End(LinkId(2), Side::Host);
    for step in [Step::Up(third), address(third, "10.1.0.1/24"), route(third, "10.2.0.0/16", None)] {
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
    assert_eq!(refused(&full(), address(Interface::Loopback, "10.1.0.1/24")), Code::AddressInvalid);
    // On one side, networks of two links may not overlap; of one link they may.
    let second = Interface::End(LinkId(1), Side::Host);
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
    assert_eq!(refused(&full(), route(Interface::Loopback, "10.1.0.0/24", None)), Code::AddressInvalid);
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
fn there_are_at_most_64_links() {
    let links = (0..Plan::MAX_LINKS).map(|n| veth(&format!("h{n}"), &format!("c{n}")));
    let steps = [Step::Namespace(Namespace::Network)].into_iter().chain(links).collect::<Vec<_>>();
    let plan = Plan::try_from(steps).unwrap();
    assert_eq!(refused(&plan, veth("one", "more")), Code::TooMany);
    assert_eq!(plan.link(LinkId(63)).map(|veth| veth.host.as_str()), Some("h63"));
    assert_eq!(plan.interface_name(Interface::End(LinkId(1), Side::Container)), "c1");
}

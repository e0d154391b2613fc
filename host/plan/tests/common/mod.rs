//! Random plans over a small world, so that steps meet: few names, few networks, few ports. The policy
//! crate's tests use this file too.
#![allow(dead_code)]

use std::net::IpAddr;

use nshost_plan::{
    AbsolutePath, Address, Around, Cidr, Command, ContainerId, Forward, Inside, Interface, InterfaceId, Link,
    LinkName, Masquerade, Namespace, Place, Plan, PortRange, Protocol, ResolvConf, Route, Step, UtsName,
    Variable,
};
use proptest::{
    collection::vec,
    prelude::*,
    sample::{Index, select},
};

/// This many cases, and no files with the failed ones: the seed that is printed is enough.
pub fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases) }
}

pub fn link_name() -> impl Strategy<Value = LinkName> {
    select(vec!["v0", "v1", "v10", "veth0", "veth1", "w", "eth0"])
        .prop_map(|name| LinkName::try_from(name.to_string()).unwrap())
}

/// Addresses in 10.0.0.0/23 and fd00::/119, where 512 single ones can be counted out.
pub fn ip() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        4 => (0u8..2, prop_oneof![0u8..8, any::<u8>()]).prop_map(|(c, d)| IpAddr::from([10, 0, c, d])),
        1 => (0u16..0x200).prop_map(|low| IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, low])),
    ]
}

/// A network or an address in it: the last eight bits vary.
pub fn cidr() -> impl Strategy<Value = Cidr> {
    (ip(), 0u8..=8).prop_map(|(ip, host_bits)| {
        let bits = if ip.is_ipv4() { 32 } else { 128 };
        Cidr::new(ip, bits - host_bits).unwrap()
    })
}

/// A network without host bits; sometimes a very large one.
pub fn network() -> impl Strategy<Value = Cidr> {
    let large = select(vec!["0.0.0.0/0", "::/0", "10.0.0.0/8", "10.0.0.0/23", "0.0.0.0/1", "128.0.0.0/1"])
        .prop_map(|text| text.parse().unwrap());
    prop_oneof![3 => cidr().prop_map(Cidr::network), 1 => large]
}

pub fn ports() -> impl Strategy<Value = PortRange> {
    (1u16..=20, 0u16..6).prop_map(|(first, more)| PortRange::new(first, first + more).unwrap())
}

pub fn protocol() -> impl Strategy<Value = Protocol> {
    select(vec![Protocol::Tcp, Protocol::Udp])
}

/// Programs that try what a path can be.
pub fn program() -> impl Strategy<Value = String> {
    let parts = select(vec!["bin", "sh", "..", ".", "", "x", "*", "a\\b", "\u{1b}[2J"]);
    (any::<bool>(), vec(parts, 1..4)).prop_filter_map("empty", |(absolute, parts)| {
        let path = format!("{}{}", if absolute { "/" } else { "" }, parts.join("/"));
        (!path.is_empty()).then_some(path)
    })
}

pub fn command() -> impl Strategy<Value = Command> {
    (program(), vec("[a-z ]{0,3}", 0..2))
        .prop_map(|(program, rest)| Command::parse([program].into_iter().chain(rest)).unwrap())
}

pub fn interface() -> impl Strategy<Value = Interface> {
    prop_oneof![
        1 => Just(Interface::Loopback(ContainerId::FIRST)),
        9 => (0u16..8).prop_map(|id| Interface::Made(InterfaceId(id))),
    ]
}

fn inner_step() -> impl Strategy<Value = Step> {
    let uts = || "[ -~]{1,8}".prop_map(|text| UtsName::try_from(text).unwrap());
    let path = "/[a-z/]{0,8}".prop_map(|text| AbsolutePath::try_from(text).unwrap());
    let variable = ("[A-Z_][A-Z0-9_]{0,2}", "[^\0]{0,8}")
        .prop_map(|(name, value)| Inside::Variable(Variable::new(name, value).unwrap()).of_first());
    prop_oneof![
        select(Namespace::ALL.to_vec()).prop_map(|it| Inside::Namespace(it).of_first()),
        uts().prop_map(|it| Inside::Hostname(it).of_first()),
        uts().prop_map(|it| Inside::DomainName(it).of_first()),
        Just(Inside::PrivatePropagation.of_first()),
        Just(Inside::Proc.of_first()),
        vec(ip(), 1..=3)
            .prop_map(|servers| Inside::ResolvConf(ResolvConf::try_from(servers).unwrap()).of_first()),
        command().prop_map(|it| Inside::Command(it).of_first()),
        variable,
        path.prop_map(|it| Inside::WorkingDirectory(it).of_first()),
        interface().prop_map(|it| Around::Up(it).into()),
    ]
}

pub fn veth() -> impl Strategy<Value = Link> {
    (link_name(), link_name()).prop_map(|(host, container)| Link::from_host(host, container))
}

pub fn forward() -> impl Strategy<Value = Forward> {
    (protocol(), proptest::option::of(ip()), ports(), ip(), 1u16..30).prop_map(
        |(protocol, host_address, ports, to, to_port)| Forward { protocol, host_address, ports, to, to_port },
    )
}

/// Any step with well-formed parts; whether it fits is another matter.
pub fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => inner_step(),
        2 => veth().prop_map(|link| Step::Around(Around::Link(link))),
        4 => (interface(), cidr()).prop_map(|(interface, cidr)| Step::Around(Around::Address(Address { interface, cidr }))),
        2 => (interface(), network(), proptest::option::of(ip()))
            .prop_map(|(interface, to, via)| Step::Around(Around::Route(Route { interface, to, via }))),
        2 => (ip(), link_name()).prop_map(|(source, out)| Step::Around(Around::Masquerade(Masquerade { source, out }))),
        2 => forward().prop_map(|it| Around::Forward(it).into()),
    ]
}

/// Those of random steps that fit one after the other, many of them with namespaces, private mounts
/// and a link to begin with. NAT is pointed at an address that the container has, or hardly any would fit.
pub fn plan() -> impl Strategy<Value = Plan> {
    let link = proptest::option::of((veth(), cidr()));
    let first = (0u8..10, vec(select(Namespace::ALL.to_vec()), 0..6), any::<bool>(), link);
    let steps = vec((step(), any::<Index>()), 0..50);
    (first, steps).prop_map(|((network, namespaces, private, link), steps)| {
        let mut plan = Plan::default();
        let network = (network > 0).then_some(Namespace::Network);
        for kind in namespaces.into_iter().chain(network) {
            let _ = plan.push(Inside::Namespace(kind).of_first());
        }
        if private {
            let _ = plan.push(Inside::PrivatePropagation.of_first());
        }
        if let Some((veth, cidr)) = link {
            let interface = Interface::Made(InterfaceId(1));
            let _ = plan.push(Step::Around(Around::Link(veth)));
            let _ = plan.push(Step::Around(Around::Address(Address { interface, cidr })));
        }
        for (step, choice) in steps {
            let _ = plan.push(aimed(&plan, step, choice));
        }
        plan
    })
}

fn aimed(plan: &Plan, step: Step, choice: Index) -> Step {
    let inside = plan.addresses().filter(|address| plan.place(address.interface) != Some(Place::Host));
    let inside: Vec<IpAddr> = inside.map(|address| address.cidr.address()).collect();
    if inside.is_empty() {
        return step;
    }
    let mine = *choice.get(&inside);
    match step {
        Step::Around(Around::Masquerade(masquerade)) => {
            Step::Around(Around::Masquerade(Masquerade { source: mine, ..masquerade }))
        }
        Step::Around(Around::Forward(forward)) => {
            Step::Around(Around::Forward(Forward { to: mine, ..forward }))
        }
        other => other,
    }
}

//! The rules by example: what an operator writes, what a script asks, what both are told.

use nshost_plan::{
    Address, AddressFact, Around, Cidr, Command, ContainerId, DefaultRoute, Facts, Family, Forward, Inside,
    Interface, InterfaceId, Link, LinkFact, LinkName, Masquerade, Namespace, Plan, PortRange, Protocol,
    Route, Step, UtsName, Variable,
};
use nshost_policy::{Grants, Refusal, RefusalKind, Verdict, check, check_step, lacking, suggest};

/// The ends of the first link.
const HOST: Interface = Interface::Made(InterfaceId(0));
const CONTAINER: Interface = Interface::Made(InterfaceId(1));

fn name(text: &str) -> LinkName {
    LinkName::try_from(text.to_string()).unwrap()
}

fn cidr(text: &str) -> Cidr {
    text.parse().unwrap()
}

fn veth(host: &str, container: &str) -> Step {
    Step::Around(Around::Link(Link::from_host(name(host), name(container))))
}

fn address(interface: Interface, text: &str) -> Step {
    Step::Around(Around::Address(Address { interface, cidr: cidr(text) }))
}

fn route(interface: Interface, to: &str, via: Option<&str>) -> Step {
    Step::Around(Around::Route(Route { interface, to: cidr(to), via: via.map(|via| via.parse().unwrap()) }))
}

fn masquerade(source: &str, out: &str) -> Step {
    Step::Around(Around::Masquerade(Masquerade { source: source.parse().unwrap(), out: name(out) }))
}

fn forward(protocol: Protocol, host: Option<&str>, first: u16, last: u16) -> Forward {
    Forward {
        protocol,
        host_address: host.map(|host| host.parse().unwrap()),
        ports: PortRange::new(first, last).unwrap(),
        to: "169.254.1.2".parse().unwrap(),
        to_port: first,
    }
}

fn command(words: &[&str]) -> Step {
    Inside::Command(Command::parse(words.iter().map(ToString::to_string)).unwrap()).of_first()
}

fn plan(steps: impl IntoIterator<Item = Step>) -> Plan {
    let mut plan = Plan::default();
    for step in steps {
        plan.push(step).unwrap();
    }
    plan
}

/// Namespaces of its own, so that nothing is shared.
fn apart() -> impl Iterator<Item = Step> {
    use Namespace::{Ipc, Mount, Network, Pid, Uts};
    [Pid, Mount, Network, Uts, Ipc].into_iter().map(|it| Inside::Namespace(it).of_first())
}

/// One link with an address at each end.
fn linked() -> Plan {
    let link =
        [veth("veth0", "veth1"), address(HOST, "169.254.1.1/30"), address(CONTAINER, "169.254.1.2/30")];
    plan(apart().chain(link))
}

fn facts() -> Facts {
    Facts {
        links: ["lo", "eth0"].iter().zip(1..).map(|(name, index)| link_fact(index, name)).collect(),
        addresses: vec![
            AddressFact { link: "lo".to_string(), cidr: cidr("127.0.0.1/8") },
            AddressFact { link: "eth0".to_string(), cidr: cidr("192.0.2.7/24") },
        ],
        routes: vec![cidr("198.51.100.0/24")],
        default_routes: vec![DefaultRoute { family: Family::V4, link: "eth0".to_string(), via: None }],
        trusted: vec!["10.53.0.1".parse().unwrap()],
        kernel: "6.8.0".to_string(),
        ..Facts::default()
    }
}

fn link_fact(index: u32, name: &str) -> LinkFact {
    LinkFact { index, name: name.to_string(), up: true, ours: false }
}

fn grants(tables: &str) -> Grants {
    Grants::parse(&format!("schema = 1\n{tables}"), "grants.toml").unwrap()
}

fn ask(so_far: &Plan, step: &Step, tables: &str) -> Result<Verdict, Refusal> {
    check_step(so_far, step, &grants(tables), &facts())
}

fn kind(so_far: &Plan, step: &Step, tables: &str) -> Option<RefusalKind> {
    ask(so_far, step, tables).err().map(|refusal| refusal.kind)
}

fn allows(so_far: &Plan, step: &Step, tables: &str) -> bool {
    !kind(so_far, step, tables).is_some_and(RefusalKind::is_denial)
}

#[test]
fn what_stays_inside_needs_no_grant() {
    let inside = plan(apart().chain([
        Inside::Namespace(Namespace::User).of_first(),
        Inside::PrivatePropagation.of_first(),
        Inside::Proc.of_first(),
        Step::Around(Around::Up(Interface::Loopback(ContainerId::FIRST))),
        Inside::Hostname(UtsName::try_from("inside".to_string()).unwrap()).of_first(),
    ]));
    let checked = check(inside.clone(), &Grants::none(), &facts());
    assert_eq!(checked.outcome.unwrap().into_plan(), inside);
    assert!(
        checked.verdicts.iter().all(|verdict| verdict.allowed && verdict.rule.contains("needs no grant"))
    );
    assert_eq!(suggest(&inside, &facts()), Grants::none());
}

#[test]
fn a_refusal_says_what_would_allow_it() {
    let refusal = ask(&plan([Inside::Namespace(Namespace::Network).of_first()]), &veth("veth0", "eth0"), "")
        .unwrap_err();
    assert_eq!(refusal.kind, RefusalKind::Denied);
    assert_eq!((refusal.step, refusal.capability), (Some(1), "link"));
    assert_eq!(refusal.subject, "veth veth0 (host) — eth0 (container)");
    assert_eq!(refusal.hint, "[[link]]\nkind = \"veth\"\nhost-name = \"veth0\"\ncontainer-name = \"eth0\"");
    let hint = |step: &Step| ask(&linked(), step, "").unwrap_err().hint;
    assert_eq!(hint(&address(HOST, "10.1.2.3/24")), "[[address]]\nrange = \"10.1.2.0/24\"\nside = \"host\"");
    assert_eq!(
        hint(&route(CONTAINER, "0.0.0.0/0", None)),
        "[[route]]\nside = \"container\"\nto = \"0.0.0.0/0\""
    );
    assert_eq!(
        hint(&masquerade("169.254.1.2", "eth0")),
        "[[masquerade]]\nsource = \"169.254.1.2/32\"\nout = \"eth0\""
    );
    let forwarded = Step::Around(Around::Forward(forward(Protocol::Udp, Some("192.0.2.7"), 53, 54)));
    assert_eq!(
        hint(&forwarded),
        "[[forward]]\nprotocol = \"udp\"\nhost-address = \"192.0.2.7\"\nports = \"53-54\""
    );
    assert_eq!(hint(&command(&["/bin/a\u{1b}\"*"])), "[[exec]]\npath = \"/bin/a\\U0000001B\\\"\\\\*\"");
}

#[test]
fn a_verdict_names_the_rule() {
    let tables = "\n[[link]]\nkind = 'veth'\nhost-name = 'veth*'\n\n[[link]]\nkind = 'veth'\nhost-name = 'veth9'\ndeny = true\n";
    let so_far = plan([Inside::Namespace(Namespace::Network).of_first()]);
    let rule = ask(&so_far, &veth("veth0", "x"), tables).unwrap().rule;
    assert_eq!(rule, "grants.toml:3 [[link]] kind = \"veth\", host-name = \"veth*\"");
    let refusal = ask(&so_far, &veth("veth9", "x"), tables).unwrap_err();
    assert_eq!(refusal.kind, RefusalKind::Forbidden);
    let named = "grants.toml:7 [[link]] kind = \"veth\", host-name = \"veth9\", deny = true";
    assert_eq!(
        refusal.hint,
        format!("# {named} denies it, and a denial beats every grant: take that table out")
    );
    let checked = check(
        plan([Inside::Namespace(Namespace::Network).of_first(), veth("a", "b")]),
        &grants(tables),
        &facts(),
    );
    assert_eq!(checked.verdicts[1].rule, "no [[link]] table allows it");
    assert!(!checked.verdicts[1].allowed && checked.verdicts[0].allowed);
}

#[test]
fn namespaces_are_free_until_some_are_listed() {
    let (so_far, step) = (Plan::default(), Inside::Namespace(Namespace::Time).of_first());
    let user = "[[namespace]]\nkinds = ['user']\n";
    assert!(allows(&so_far, &step, ""));
    assert!(allows(&so_far, &step, &format!("{user}deny = true\n")));
    assert!(!allows(&so_far, &step, user));
    assert!(allows(&so_far, &step, &format!("{user}[[namespace]]\nkinds = ['time']\n")));
    assert!(!allows(&so_far, &step, "[[namespace]]\nkinds = ['time']\ndeny = true\n"));
    let old = Facts { kernel: "5.4.0-42".to_string(), ..facts() };
    let refusal = check_step(&so_far, &step, &Grants::open(), &old).unwrap_err();
    assert_eq!(
        (refusal.kind, refusal.hint.as_str()),
        (RefusalKind::Unsupported, "time namespaces need Linux 5.6; leave it out")
    );
}

#[test]
fn max_counts_the_links_that_match() {
    let two = "[[link]]\nkind = 'veth'\nhost-name = 'v*'\nmax = 2\n";
    let one = plan([Inside::Namespace(Namespace::Network).of_first(), veth("v0", "a"), veth("w0", "b")]);
    assert!(allows(&one, &veth("v1", "c"), two));
    let mut full = one.clone();
    full.push(veth("v1", "c")).unwrap();
    let refusal = ask(&full, &veth("v2", "d"), two).unwrap_err();
    assert_eq!(refusal.kind, RefusalKind::Denied);
    let more = format!("{two}\n{}", refusal.hint);
    assert!(allows(&full, &veth("v2", "d"), &more));
    let mut all: Vec<Step> = full.into();
    all.push(veth("v2", "d"));
    let checked = check(plan(all), &grants(two), &facts());
    assert_eq!(
        checked.verdicts[4].rule,
        "grants.toml:2 [[link]] kind = \"veth\", host-name = \"v*\", max = 2 allows no more than that"
    );
}

#[test]
fn a_grant_covers_wholly_and_a_denial_touches() {
    let so_far = linked();
    let range = |deny: &str| format!("[[address]]\nrange = '10.0.0.0/16'\n{deny}\n");
    let wide = format!("[[address]]\nrange = '0.0.0.0/0'\n{}", range("deny = true"));
    // The address lies in the range, its network does not.
    assert!(!allows(&so_far, &address(HOST, "10.0.0.1/15"), &range("")));
    assert!(allows(&so_far, &address(HOST, "10.0.0.1/16"), &range("")));
    assert!(!allows(&so_far, &address(HOST, "10.0.0.1/15"), &wide));
    assert!(!allows(&so_far, &address(CONTAINER, "10.0.9.1/30"), &wide));
    assert!(allows(&so_far, &address(HOST, "10.2.0.1/16"), &wide));
    assert!(!allows(&so_far, &address(HOST, "10.0.0.1/16"), &range("side = 'container'")));
    assert!(allows(&so_far, &address(CONTAINER, "10.0.0.1/16"), &range("side = 'container'")));

    let default = route(CONTAINER, "0.0.0.0/0", Some("169.254.1.1"));
    let ten = "[[route]]\nside = 'container'\nto = '10.0.0.0/8'\n";
    let all = "[[route]]\nside = 'container'\nto = '0.0.0.0/0'\n";
    assert!(allows(&so_far, &default, all) && !allows(&so_far, &default, ten));
    assert!(!allows(&so_far, &default, &format!("{all}{ten}deny = true\n")));
    assert!(!allows(&so_far, &route(HOST, "10.1.0.0/16", None), all));
    // Two halves are the default route under another name; they need a grant like any route.
    assert!(!allows(&so_far, &route(CONTAINER, "0.0.0.0/1", None), ""));
}

#[test]
fn forwards_by_port_and_address() {
    let so_far = linked();
    let on = |host: &str, ports: &str, deny: &str| {
        format!("[[forward]]\nprotocol = 'tcp'\nhost-address = '{host}'\nports = '{ports}'\n{deny}\n")
    };
    let tcp = |host, first, last| Step::Around(Around::Forward(forward(Protocol::Tcp, host, first, last)));
    assert!(allows(&so_far, &tcp(None, 80, 89), &on("*", "80-90", "")));
    assert!(!allows(&so_far, &tcp(None, 80, 91), &on("*", "80-90", "")));
    assert!(!allows(
        &so_far,
        &Step::Around(Around::Forward(forward(Protocol::Udp, None, 80, 80))),
        &on("*", "80", "")
    ));
    assert!(allows(&so_far, &tcp(Some("192.0.2.7"), 80, 80), &on("*", "80", "")));
    assert!(allows(&so_far, &tcp(Some("192.0.2.7"), 80, 80), &on("192.0.2.7", "80", "")));
    assert!(!allows(&so_far, &tcp(None, 80, 80), &on("192.0.2.7", "80", "")));
    // All addresses are also the one that is denied; one of the other family is not among them.
    let but = |host| format!("{}{}", on("*", "1-65535", ""), on(host, "22", "deny = true"));
    assert!(!allows(&so_far, &tcp(None, 20, 25), &but("192.0.2.7")));
    assert!(allows(&so_far, &tcp(None, 20, 25), &but("2001:db8::1")));
    assert!(allows(&so_far, &tcp(None, 20, 25), &but("127.0.0.1")));
    // The loopback takes a table that names it.
    assert!(!allows(&so_far, &tcp(Some("127.0.0.1"), 80, 80), &on("*", "80", "")));
    assert!(allows(&so_far, &tcp(Some("127.0.0.1"), 80, 80), &on("127.0.0.1", "80", "")));
    assert!(allows(&so_far, &tcp(None, 23, 25), &but("192.0.2.7")));
}

#[test]
fn what_the_host_has_is_not_taken_even_with_open_grants() {
    let mut facts = facts();
    facts.taken.links.push(name("veth7"));
    facts.taken.networks.push(cidr("10.9.0.0/24"));
    facts.taken.forwards.push(forward(Protocol::Tcp, Some("192.0.2.7"), 80, 90));
    let so_far = linked();
    let ask = |step: Step| match check_step(&so_far, &step, &Grants::open(), &facts) {
        Ok(_) => String::new(),
        Err(refusal) => {
            assert_eq!(refusal.kind, RefusalKind::Conflict);
            refusal.hint
        }
    };
    let not_there = |step: Step| match check_step(&so_far, &step, &Grants::open(), &facts) {
        Ok(_) => String::new(),
        Err(refusal) => {
            assert_eq!(refusal.kind, RefusalKind::Unsupported, "nobody has taken it");
            refusal.hint
        }
    };
    let another = "choose another, with the instance number in it, say";
    assert_eq!(ask(veth("eth0", "x")), format!("the host has an interface named eth0; {another}"));
    assert_eq!(ask(veth("veth7", "x")), format!("another container has an interface named veth7; {another}"));
    assert_eq!(ask(veth("veth8", "eth0")), "");
    let free = "choose another, or ask the facts for a free one";
    let overlaps = |what: &str| format!("its network overlaps {what}; {free}");
    assert_eq!(ask(address(HOST, "192.0.2.9/28")), overlaps("192.0.2.7/24 of the host's \"eth0\""));
    assert_eq!(ask(address(HOST, "198.51.0.1/16")), overlaps("198.51.100.0/24 of the host's routes"));
    assert_eq!(ask(address(HOST, "10.9.0.5/30")), overlaps("10.9.0.0/24 of another container"));
    // What the container has is as much its own as what the host has towards it.
    let it_overlaps = |what: &str| format!("it overlaps {what}; {free}");
    assert_eq!(ask(address(CONTAINER, "10.9.0.5/30")), it_overlaps("10.9.0.0/24 of another container"));
    assert_eq!(ask(address(CONTAINER, "192.0.2.9/30")), it_overlaps("192.0.2.7/24 of the host's \"eth0\""));
    assert_eq!(ask(address(CONTAINER, "fe80::2/64")), "", "it means something on its link only");
    let holds = |what: &str, trusted: &str| format!("{what} holds {trusted}; {free}");
    let asks = "10.53.0.1, which the host asks or sends by";
    assert_eq!(ask(address(HOST, "10.53.0.9/24")), holds("its network", asks));
    assert_eq!(ask(address(CONTAINER, "10.53.0.1/24")), holds("it", asks));
    let metadata = "169.254.169.254, the metadata service of most clouds";
    assert_eq!(ask(address(HOST, "169.254.169.252/29")), holds("its network", metadata));
    assert_eq!(ask(address(CONTAINER, "169.254.169.254/30")), holds("it", metadata));
    assert!(ask(route(HOST, "10.53.0.0/16", None)).contains(asks));
    assert!(ask(route(HOST, "169.254.0.0/16", None)).contains(metadata));
    for wide in ["0.0.0.0/0", "0.0.0.0/1", "128.0.0.0/1", "64.0.0.0/2", "8.0.0.0/7"] {
        assert!(ask(route(HOST, wide, None)).starts_with("the host has a default route"), "{wide}");
    }
    assert_eq!(ask(route(HOST, "::/0", None)), "");
    assert!(ask(route(HOST, "192.0.2.128/25", None)).contains("lies in 192.0.2.7/24"));
    assert_eq!(ask(route(HOST, "192.0.0.0/16", None)), "", "the host's own network is more specific");
    assert_eq!(
        not_there(masquerade("169.254.1.2", "wlan0")),
        "the host has no interface wlan0; it has \"lo\", \"eth0\""
    );
    assert_eq!(
        ask(Step::Around(Around::Forward(forward(Protocol::Tcp, None, 85, 85)))),
        "another container has tcp 80-90; choose other ports"
    );
    assert_eq!(ask(Step::Around(Around::Forward(forward(Protocol::Tcp, Some("127.0.0.1"), 85, 85)))), "");
    let stranger = "the host does not have 192.0.2.8; leave the address out for all that it has";
    assert_eq!(
        not_there(Step::Around(Around::Forward(forward(Protocol::Udp, Some("192.0.2.8"), 53, 53)))),
        stranger
    );
}

#[test]
fn what_is_not_granted_learns_nothing_about_the_host() {
    assert_eq!(kind(&linked(), &veth("eth0", "x"), ""), Some(RefusalKind::Denied));
    assert_eq!(kind(&linked(), &masquerade("169.254.1.2", "nowhere"), ""), Some(RefusalKind::Denied));
}

#[test]
fn a_suggestion_is_the_file_that_one_would_write() {
    let mut steps: Vec<Step> = linked().into();
    steps.extend([
        route(CONTAINER, "0.0.0.0/0", Some("169.254.1.1")),
        masquerade("169.254.1.2", "eth0"),
        Step::Around(Around::Forward(forward(Protocol::Tcp, None, 81, 85))),
        Step::Around(Around::Forward(forward(Protocol::Tcp, None, 80, 80))),
        Step::Around(Around::Forward(forward(Protocol::Udp, None, 80, 80))),
        Step::Around(Around::Forward(forward(Protocol::Udp, None, 82, 82))),
        command(&["/bin/bash"]),
    ]);
    let (plan, facts) = (plan(steps), facts());
    let expected = r#"schema = 1

[[link]]
kind = "veth"
host-name = "veth0"
container-name = "veth1"

[[address]]
range = "169.254.1.0/30"

[[route]]
side = "container"
to = "0.0.0.0/0"

[[masquerade]]
source = "169.254.1.2/32"
out = "eth0"

[[forward]]
protocol = "tcp"
ports = "80-85"

[[forward]]
protocol = "udp"
ports = "80"

[[forward]]
protocol = "udp"
ports = "82"

[[exec]]
path = "/bin/bash"
"#;
    assert_eq!(suggest(&plan, &facts).to_toml(), expected);
    assert!(
        check(plan.clone(), &grants(expected.trim_start_matches("schema = 1\n")), &facts).outcome.is_ok()
    );
    let some = grants("[[address]]\nrange = '169.254.0.0/16'\n[[exec]]\npath = '*'\narguments = 'any'\n");
    let rest = lacking(&plan, &some, &facts).to_toml();
    assert!(
        !rest.contains("[[address]]") && !rest.contains("[[exec]]") && rest.contains("[[link]]"),
        "{rest}"
    );
}

/// 80 and 81 on all addresses, for IPv4, become one rule, and only that covers both ports on one IPv6 address.
#[test]
fn a_joined_rule_makes_others_needless() {
    let inside = "fd00::2".parse().unwrap();
    let six = Forward { to: inside, ..forward(Protocol::Tcp, Some("2001:db8::1"), 80, 81) };
    let mut steps: Vec<Step> = linked().into();
    steps.extend([
        address(CONTAINER, "fd00::2/64"),
        Step::Around(Around::Forward(six)),
        Step::Around(Around::Forward(forward(Protocol::Tcp, None, 80, 80))),
        Step::Around(Around::Forward(forward(Protocol::Tcp, None, 81, 81))),
    ]);
    let suggested = suggest(&plan(steps), &facts()).to_toml();
    assert!(suggested.ends_with("\n\n[[forward]]\nprotocol = \"tcp\"\nports = \"80-81\"\n"), "{suggested}");
    assert_eq!(suggested.matches("[[forward]]").count(), 1);
}

#[test]
fn a_plan_has_no_more_steps_than_were_granted() {
    let variable =
        |n: u32| Inside::Variable(Variable::new(format!("V{n}"), String::new()).unwrap()).of_first();
    let long = plan(apart().chain((0..295).map(variable)));
    let refused = check(long.clone(), &Grants::open(), &facts()).outcome.unwrap_err();
    assert_eq!((refused.refusals.len(), refused.refusals[0].step), (44, Some(256)));
    assert_eq!(refused.refusals[0].hint, "[limits]\nsteps = 257");
    let any = "[[variable]]\nname = '*'\n";
    assert_eq!(lacking(&long, &grants(any), &facts()).to_toml(), "schema = 1\n\n[limits]\nsteps = 300\n");
    assert!(check(long.clone(), &suggest(&long, &facts()), &facts()).outcome.is_ok());
    let tight = grants(&format!("{any}[limits]\nsteps = 10\n"));
    let refused = check(long.clone(), &tight, &facts()).outcome.unwrap_err();
    assert_eq!(refused.refusals[0].hint, "# in the [limits] table:\n# steps = 11");
    let more = lacking(&long, &tight, &facts());
    assert!(check(long, &tight.and(more), &facts()).outcome.is_ok());
}

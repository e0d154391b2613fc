//! Writes the seeds of `plan_decode`, whose format follows the types: `corpus/plan_decode/*.seed`.

use std::{fs, io, path::Path};

use nshost_fuzz::grants;
use nshost_plan::{AbsolutePath, Around, Cidr, Command, ContainerId, FactsRead, Inside, Interface, InterfaceId, Link, LinkName, Namespace, Plan, ResolvConf, Route, Step, UtsName, Variable, codec};
use nshost_policy::wire::{Answer, Failure, Level, LogLine, ScriptError, Used};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus/plan_decode");
    fs::create_dir_all(&directory)?;
    let write = |name: &str, bytes: &[u8]| fs::write(directory.join(name).with_extension("seed"), bytes);
    let network = grants::plan()?;
    let inside = inside()?;
    write("plan-empty", &codec::encode(&Plan::default()))?;
    write("plan-network", &codec::encode(&network))?;
    write("plan-inside", &codec::encode(&inside))?;
    write("plan-v6", &codec::encode(&v6()?))?;
    write("answer-plan", &codec::encode(&answer(Ok(network.clone()))))?;
    for (name, failure) in failures() {
        write(&format!("answer-{name}"), &codec::encode(&answer(Err(failure))))?;
    }
    let mut frames = Vec::new();
    codec::write_frame(&mut frames, &codec::encode(&answer(Ok(inside))))?;
    codec::write_frame(&mut frames, b"")?;
    write("frames", &frames)?;
    let unfit = codec::encode(&[Inside::Namespace(Namespace::User).of_first(), Inside::Namespace(Namespace::User).of_first()].to_vec());
    write("steps-twice", &unfit)
        .and_then(|()| write("frame-too-long", &u32::MAX.to_le_bytes()))
        .map_err(|error: io::Error| error.into())
}

fn inside() -> Result<Plan, nshost_plan::Error> {
    let text = ToString::to_string;
    let mut steps: Vec<Step> = Namespace::ALL.into_iter().map(|it| Inside::Namespace(it).of_first()).collect();
    steps.extend([
        Inside::Hostname(UtsName::try_from(text("In Namespace"))?).of_first(),
        Inside::DomainName(UtsName::try_from(text("example"))?).of_first(),
        Inside::PrivatePropagation.of_first(),
        Inside::Proc.of_first(),
        Inside::ResolvConf(ResolvConf::try_from(vec![std::net::IpAddr::from([192, 0, 2, 1])])?).of_first(),
        Inside::Variable(Variable::new(text("TERM"), text("xterm"))?).of_first(),
        Inside::WorkingDirectory(AbsolutePath::try_from(text("/tmp"))?).of_first(),
        Step::Around(Around::Up(Interface::Loopback(ContainerId::FIRST))),
        Inside::Command(Command::parse(["/bin/sh", "-c", "id"].map(String::from))?).of_first(),
    ]);
    Plan::try_from(steps)
}

fn v6() -> Result<Plan, nshost_plan::Error> {
    let name = |text: &str| LinkName::try_from(text.to_string());
    let (host, container) = (Interface::Made(InterfaceId(0)), Interface::Made(InterfaceId(1)));
    let address = |interface, cidr: Cidr| Step::Around(Around::Address(nshost_plan::Address { interface, cidr }));
    let via = Some("fd00::1/128".parse::<Cidr>()?.address());
    let route = Route { interface: container, to: "fd00:1::/32".parse()?, via };
    Plan::try_from(vec![
        Inside::Namespace(Namespace::Network).of_first(),
        Step::Around(Around::Link(Link::from_host(name("h")?, name("c")?))),
        address(host, "fd00::1/64".parse()?),
        address(container, "fd00::2/64".parse()?),
        Step::Around(Around::Up(host)),
        Step::Around(Around::Up(container)),
        Step::Around(Around::Route(route)),
    ])
}

fn answer(outcome: Result<Plan, Failure>) -> Answer {
    let line = |level, text: &str| LogLine { level, text: text.to_string() };
    let log = vec![line(Level::Info, "hello"), line(Level::Err, "\u{1b}[2J")];
    Answer {
        outcome,
        log,
        read: FactsRead::ALL,
        used: Used { wall_us: 300, host_calls: 12, ..Used::default() },
    }
}

fn failures() -> [(&'static str, Failure); 7] {
    let text = ToString::to_string;
    let denied =
        ScriptError::Denied { capability: text("link"), subject: text("veth0"), hint: text("[[link]]") };
    [
        ("denied", Failure::Script { why: denied, at: Some(text("link::veth at src/lib.rs:12")), asked: None }),
        ("panic", Failure::Panic { message: text("one\ntwo"), at: Some(text("src/lib.rs:10:20")) }),
        ("exit", Failure::Exit(1)),
        ("other", Failure::Script { why: ScriptError::Other(None), at: None, asked: None }),
        ("budget", Failure::Budget { name: text("wall time"), limit: 1000, unit: text("ms") }),
        ("trap", Failure::Trap(text("unreachable"))),
        ("lock", Failure::Lock { what: text("seccomp"), errno: 22 }),
    ]
}

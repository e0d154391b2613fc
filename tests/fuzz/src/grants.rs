//! A grants file that may be anything.

use std::sync::LazyLock;

use nshost_plan::{
    AbsolutePath, Address, Around, Command, Facts, Forward, Inside, Interface, InterfaceId, Link, LinkFact,
    LinkName, Masquerade, Namespace, Plan, PortRange, Protocol, ResolvConf, Route, Step, Variable, codec,
};
use nshost_policy::{Grants, RefusalKind, check, lacking, shared};

/// A file that is read comes back, and judges a plan; one that is refused says why in a line.
pub fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    match Grants::parse(&text, "fuzz.toml") {
        Ok(grants) => accepted(&grants),
        Err(error) => {
            let shown = error.to_string();
            assert!(!shown.chars().any(char::is_control), "{shown:?}");
            assert!(error.line > 0 && error.column > 0 && error.line <= text.lines().count() + 1, "{shown}");
        }
    }
}

fn accepted(grants: &Grants) {
    let toml = grants.to_toml();
    let again = Grants::parse(&toml, "again").expect(&toml);
    assert_eq!(&again, grants);
    assert_eq!(again.to_toml(), toml);
    assert_eq!(codec::decode::<Grants>("grants", &codec::encode(grants)).as_ref(), Ok(grants));
    judges(grants);
}

/// What was lacking is allowed once it is added; what stays denied, a denial touches.
fn judges(grants: &Grants) {
    let facts = Facts {
        links: vec![LinkFact { index: 1, name: "eth0".into(), up: true, ours: false }],
        ..Facts::default()
    };
    let more = lacking(&PLAN, grants, &facts);
    let before = check(PLAN.clone(), grants, &facts);
    assert_eq!(before.verdicts.len(), PLAN.steps().len() + shared(&PLAN).count());
    if let Err(refused) = check(PLAN.clone(), &grants.clone().and(more), &facts).outcome {
        for refusal in refused.refusals {
            assert!(
                refusal.kind != RefusalKind::Denied || refusal.hint.starts_with("# in the [limits] table"),
                "{}",
                refusal.hint
            );
        }
    }
}

/// One step of each kind that needs a grant, and namespaces that are left to be shared.
static PLAN: LazyLock<Plan> = LazyLock::new(|| plan().expect("the plan is well formed"));

/// The plan that grants are asked about.
pub fn plan() -> Result<Plan, nshost_plan::Error> {
    let name = |text: &str| LinkName::try_from(text.to_string());
    let (host, container) = (Interface::Made(InterfaceId(0)), Interface::Made(InterfaceId(1)));
    let inside = std::net::IpAddr::from([169, 254, 1, 2]);
    let forward = |host_address, first, last| {
        let ports = PortRange::new(first, last)?;
        Ok(Step::Around(Around::Forward(Forward {
            protocol: Protocol::Tcp,
            host_address,
            ports,
            to: inside,
            to_port: 80,
        })))
    };
    let steps = [
        Inside::Namespace(Namespace::Network).of_first(),
        Inside::Namespace(Namespace::Time).of_first(),
        Inside::Namespace(Namespace::Mount).of_first(),
        Inside::PrivatePropagation.of_first(),
        Inside::ResolvConf(ResolvConf::try_from(vec![inside, std::net::IpAddr::from([9, 9, 9, 9])])?)
            .of_first(),
        Inside::Variable(Variable::new("LD_PRELOAD".to_string(), "/tmp/x".to_string())?).of_first(),
        Inside::WorkingDirectory(AbsolutePath::try_from("/srv".to_string())?).of_first(),
        Step::Around(Around::Link(Link::from_host(name("veth0")?, name("veth1")?))),
        Step::Around(Around::Address(Address { interface: host, cidr: "169.254.1.1/30".parse()? })),
        Step::Around(Around::Address(Address { interface: container, cidr: "169.254.1.2/30".parse()? })),
        Step::Around(Around::Route(Route { interface: container, to: "0.0.0.0/0".parse()?, via: None })),
        Step::Around(Around::Route(Route { interface: host, to: "10.0.0.0/8".parse()?, via: Some(inside) })),
        Step::Around(Around::Masquerade(Masquerade { source: inside, out: name("eth0")? })),
        forward(None, 80, 80)?,
        forward(Some(std::net::IpAddr::from([127, 0, 0, 1])), 8000, 8010)?,
        Inside::Command(Command::parse(["/bin/sh", "-c", "id"].map(String::from))?).of_first(),
    ];
    Plan::try_from(Vec::from(steps))
}

//! Random grants as plain data, their TOML, and random facts. Nothing here uses the crate's own rules.
#![allow(dead_code)]

#[path = "../../../plan/tests/common/mod.rs"]
pub mod plans;

use nshost_plan::{
    AddressFact, Argument, Cidr, DefaultRoute, Facts, Family, LinkFact, LinkName, NameServer, Namespace,
    PortRange, Taken,
};
use proptest::{collection::vec, option, prelude::*, sample::select};

/// One table of a grants file.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    pub rule: Rule,
    pub deny: bool,
}

/// What a table says, as an operator would write it.
#[derive(Debug, Clone, PartialEq)]
pub enum Rule {
    Namespace {
        kinds: Vec<String>,
    },
    Share {
        kinds: Vec<String>,
    },
    Link {
        host: String,
        container: Option<String>,
        max: Option<u32>,
    },
    /// `away`: for-containers.
    Address {
        range: Cidr,
        side: Option<&'static str>,
        away: bool,
    },
    Route {
        side: &'static str,
        to: Cidr,
        away: bool,
    },
    Masquerade {
        source: Cidr,
        out: String,
    },
    Forward {
        protocol: &'static str,
        host: Option<String>,
        ports: (u16, u16),
    },
    /// No arguments: any.
    Exec {
        path: String,
        arguments: Option<Vec<String>>,
    },
    Variable {
        name: String,
        value: Option<String>,
    },
    WorkingDirectory {
        path: String,
    },
    ResolvConf {
        servers: Vec<String>,
    },
}

/// A whole file.
#[derive(Debug, Clone, PartialEq)]
pub struct File {
    pub tables: Vec<Table>,
    pub steps: Option<u32>,
}

impl File {
    pub fn toml(&self) -> String {
        let mut text = "schema = 1\n".to_string();
        for table in &self.tables {
            text += &table.toml();
        }
        if let Some(steps) = self.steps {
            text += &format!("[limits]\nsteps = {steps}\n");
        }
        text
    }

    /// With one table more.
    pub fn with(&self, table: &Table) -> File {
        let mut file = self.clone();
        file.tables.push(table.clone());
        file
    }

    /// Without the table at an index.
    pub fn without(&self, index: usize) -> File {
        let mut file = self.clone();
        file.tables.remove(index);
        file
    }

    /// With its first tables behind its last.
    pub fn rotated(&self, by: usize) -> File {
        let mut file = self.clone();
        file.tables.rotate_left(by % self.tables.len().max(1));
        file
    }
}

impl Table {
    pub fn toml(&self) -> String {
        let mut text = String::new();
        let mut extra = None;
        let mut key = |key: &str, value: Option<String>| {
            text += &value.map_or(String::new(), |value| format!("{key} = {value}\n"));
        };
        // Literal strings: nothing is escaped in them, and none of the patterns has a '.
        let string = |text: &str| Some(format!("'{text}'"));
        match &self.rule {
            Rule::Namespace { kinds } => key("[[namespace]]\nkinds", Some(format!("{kinds:?}"))),
            Rule::Share { kinds } => key("[[share]]\nkinds", Some(format!("{kinds:?}"))),
            Rule::Link { host, container, max } => {
                key("[[link]]\nkind", string("veth"));
                key("host-name", string(host));
                key("container-name", container.as_deref().and_then(string));
                key("max", max.map(|max| max.to_string()));
            }
            Rule::Address { range, side, away } => {
                extra = away.then(|| "for-containers = true\n".to_string());
                key("[[address]]\nrange", string(&range.to_string()));
                key("side", side.and_then(string));
            }
            Rule::Route { side, to, away } => {
                extra = away.then(|| "for-containers = true\n".to_string());
                key("[[route]]\nside", string(side));
                key("to", string(&to.to_string()));
            }
            Rule::Masquerade { source, out } => {
                key("[[masquerade]]\nsource", string(&source.to_string()));
                key("out", string(out));
            }
            Rule::Forward { protocol, host, ports: (first, last) } => {
                key("[[forward]]\nprotocol", string(protocol));
                key("host-address", host.as_deref().and_then(string));
                key(
                    "ports",
                    string(&if first == last { first.to_string() } else { format!("{first}-{last}") }),
                );
            }
            Rule::Exec { path, arguments } => {
                key("[[exec]]\npath", string(path));
                let list = |words: &Vec<String>| format!("{words:?}");
                key("arguments", arguments.as_ref().map(list).or(string("any")));
            }
            Rule::Variable { name, value } => {
                key("[[variable]]\nname", string(name));
                key("value", value.as_deref().and_then(string));
            }
            Rule::WorkingDirectory { path } => key("[[working-directory]]\npath", string(path)),
            Rule::ResolvConf { servers } => key("[[resolv-conf]]\nservers", Some(format!("{servers:?}"))),
        }
        key("deny", self.deny.then(|| "true".to_string()));
        text + &extra.unwrap_or_default()
    }
}

fn name_pattern() -> impl Strategy<Value = String> {
    select(vec!["*", "v*", "v0", "v1", "v1*", "veth*", "veth0", "w", "eth*", "eth0", "x*"])
        .prop_map(String::from)
}

fn program_path() -> impl Strategy<Value = String> {
    let fixed = select(vec![
        "/bin/sh",
        "/bin/./sh",
        "/bin",
        "/sh",
        "/x",
        "/bin/\\*",
        "/x/a\\\\b",
        "/bin/sh/",
        "/usr/bin/sh",
        "/usr/bin/x",
        "/usr/local/bin/bin",
        "/usr/x",
    ]);
    fixed.prop_map(String::from)
}

fn variable_pattern() -> impl Strategy<Value = String> {
    select(vec!["*", "A", "A*", "B*", "C", "_*", "LD_PRELOAD"]).prop_map(String::from)
}

fn directory_pattern() -> impl Strategy<Value = String> {
    select(vec!["*", "/", "/*", "/a", "/a/", "/a/*", "//a//*", "/a/b", "/./a/./b/*", "/b/\\*"])
        .prop_map(String::from)
}

fn servers() -> impl Strategy<Value = Vec<String>> {
    let server = prop_oneof![
        plans::ip().prop_map(|ip| ip.to_string()),
        plans::network().prop_map(|network| network.to_string()),
    ];
    let server = prop_oneof![4 => server, 1 => Just("host".to_string())];
    vec(server, 1..4)
}

fn side_name() -> impl Strategy<Value = &'static str> {
    select(vec!["host", "container"])
}

/// What the command is not in the host's of, unless that is granted.
pub const SHAREABLE: [&str; 5] = ["pid", "mount", "network", "uts", "ipc"];

fn rule() -> impl Strategy<Value = Rule> {
    let kinds = vec(select(Namespace::ALL.map(|kind| kind.name().to_string()).to_vec()), 1..4);
    let shareable = vec(select(SHAREABLE.map(String::from).to_vec()), 1..4);
    let host = prop_oneof![Just("*".to_string()), plans::ip().prop_map(|ip| ip.to_string())];
    prop_oneof![
        1 => kinds.prop_map(|kinds| Rule::Namespace { kinds }),
        1 => shareable.prop_map(|kinds| Rule::Share { kinds }),
        2 => (name_pattern(), option::of(name_pattern()), option::of(1u32..4))
            .prop_map(|(host, container, max)| Rule::Link { host, container, max }),
        3 => (plans::network(), option::of(side_name()), any::<bool>())
            .prop_map(|(range, side, away)| Rule::Address { range, side, away }),
        2 => (side_name(), plans::network(), any::<bool>())
            .prop_map(|(side, to, away)| Rule::Route { side, to, away: away && side == "host" }),
        2 => (plans::network(), name_pattern()).prop_map(|(source, out)| Rule::Masquerade { source, out }),
        2 => (select(vec!["tcp", "udp"]), option::of(host), plans::ports())
            .prop_map(|(protocol, host, ports)| Rule::Forward { protocol, host, ports: ports.into() }),
        2 => (program_path(), vec("[a-z ]{0,1}", 0..2), any::<bool>()).prop_map(|(path, words, any)| Rule::Exec {
            path,
            arguments: (!any).then_some(words),
        }),
        1 => (variable_pattern(), option::of("[a-z]{0,1}"))
            .prop_map(|(name, value)| Rule::Variable { name, value }),
        1 => directory_pattern().prop_map(|path| Rule::WorkingDirectory { path }),
        1 => servers().prop_map(|servers| Rule::ResolvConf { servers }),
    ]
}

/// Wide tables, of which a plan needs some if much of it is to be allowed.
fn wide() -> impl Strategy<Value = Rule> {
    let any = || "*".to_string();
    let all = |text: &str| text.parse::<Cidr>().unwrap();
    select(vec![
        Rule::Share { kinds: SHAREABLE.map(String::from).to_vec() },
        Rule::Link { host: any(), container: None, max: None },
        Rule::Address { range: all("0.0.0.0/0"), side: None, away: true },
        Rule::Address { range: all("::/0"), side: None, away: false },
        Rule::Route { side: "host", to: all("0.0.0.0/0"), away: true },
        Rule::Route { side: "container", to: all("0.0.0.0/0"), away: false },
        Rule::Masquerade { source: all("0.0.0.0/0"), out: any() },
        Rule::Forward { protocol: "tcp", host: None, ports: (1, 65535) },
        Rule::Forward { protocol: "udp", host: Some(any()), ports: (1, 65535) },
        Rule::Exec { path: any(), arguments: None },
        Rule::Variable { name: any(), value: None },
        Rule::WorkingDirectory { path: any() },
        Rule::ResolvConf { servers: vec!["0.0.0.0/0".to_string(), "::/0".to_string()] },
    ])
}

pub fn table() -> impl Strategy<Value = Table> {
    let narrow = (rule(), (0u8..3).prop_map(|roll| roll == 0));
    let wide = (wide(), Just(false));
    prop_oneof![2 => narrow, 3 => wide].prop_map(|(rule, deny)| match rule {
        Rule::Link { host, container, .. } if deny => {
            Table { rule: Rule::Link { host, container, max: None }, deny }
        }
        Rule::Variable { name, .. } if deny => Table { rule: Rule::Variable { name, value: None }, deny },
        // What has other names cannot be denied by one.
        rule @ (Rule::Exec { .. } | Rule::WorkingDirectory { .. }) => Table { rule, deny: false },
        rule => Table { rule, deny },
    })
}

pub fn file() -> impl Strategy<Value = File> {
    let steps = prop_oneof![4 => Just(None), 1 => (1u32..20).prop_map(Some)];
    (vec(table(), 0..16), steps).prop_map(|(tables, steps)| File { tables, steps })
}

/// A host that has some of what plans ask for.
pub fn facts() -> impl Strategy<Value = Facts> {
    let links = vec(plans::link_name(), 0..3);
    let addresses = vec(plans::cidr(), 0..2);
    let routes = vec(plans::network().prop_filter("no default route", |to| to.prefix() > 1), 0..2);
    let taken = (
        vec(plans::link_name(), 0..2),
        vec(plans::cidr().prop_map(Cidr::network), 0..2),
        vec(plans::forward(), 0..2),
    );
    let kernel = select(vec!["6.8.0-31-generic", "5.5.19", "5.6", "", "unknown", "4.19.0"]);
    let default_route = (any::<bool>(), vec(plans::ip(), 0..2), vec(plans::ip(), 0..3));
    let command = option::of(plans::command());
    (links, addresses, routes, taken, kernel, default_route, command).prop_map(
        |(
            links,
            addresses,
            routes,
            (taken_links, networks, forwards),
            kernel,
            (default_route, trusted, name_servers),
            command,
        )| {
            Facts {
                links: links.iter().zip(1..).map(|(name, index)| link_fact(index, name)).collect(),
                addresses: addresses
                    .into_iter()
                    .map(|cidr| AddressFact { link: "eth0".to_string(), cidr })
                    .collect(),
                routes,
                trusted,
                name_servers: name_servers
                    .into_iter()
                    .map(|address| NameServer { address, link: Some("eth0".to_string()) })
                    .collect(),
                taken: Taken { links: taken_links, networks, forwards },
                kernel: kernel.to_string(),
                default_routes: default_route.then(a_default_route).into_iter().collect(),
                command: command.map(Vec::<Argument>::from).unwrap_or_default(),
                ..Facts::default()
            }
        },
    )
}

fn link_fact(index: u32, name: &LinkName) -> LinkFact {
    LinkFact { index, name: name.as_str().to_string(), up: true, ours: index == 2 }
}

fn a_default_route() -> DefaultRoute {
    DefaultRoute { family: Family::V4, link: "eth0".to_string(), via: None }
}

/// The ports of a range, one by one.
pub fn each_port(ports: PortRange) -> impl Iterator<Item = u16> {
    ports.first()..=ports.last()
}

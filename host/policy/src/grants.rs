//! What an operator grants to a script.

use nshost_plan::{Forward, Limits, PortRange, Protocol};
use serde::{Deserialize, Serialize};

use crate::{
    GrantsError,
    address::AddressRule,
    directory::DirectoryRule,
    document, firewall,
    limits::LimitRule,
    link::LinkRule,
    mount::ResolvConfRule,
    namespace::NamespaceRule,
    nat::{ForwardRule, MasqueradeRule},
    pattern::{DirectoryPattern, NamePattern, VariablePattern},
    process::ExecRule,
    route::RouteRule,
    rule::{Noun, Rule},
    share::ShareRule,
    side::Side,
    variable::VariableRule,
};

/// Everything that was granted. Two are equal if they say the same, wherever they were read from.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Grants {
    pub(crate) file: Option<String>,
    pub(crate) script: Option<[u8; 32]>,
    pub(crate) namespaces: Vec<Rule<NamespaceRule>>,
    pub(crate) shares: Vec<Rule<ShareRule>>,
    pub(crate) links: Vec<Rule<LinkRule>>,
    pub(crate) addresses: Vec<Rule<AddressRule>>,
    pub(crate) routes: Vec<Rule<RouteRule>>,
    pub(crate) masquerades: Vec<Rule<MasqueradeRule>>,
    pub(crate) forwards: Vec<Rule<ForwardRule>>,
    pub(crate) execs: Vec<Rule<ExecRule>>,
    pub(crate) variables: Vec<Rule<VariableRule>>,
    pub(crate) directories: Vec<Rule<DirectoryRule>>,
    pub(crate) resolvers: Vec<Rule<ResolvConfRule>>,
    pub(crate) pass: bool,
    pub(crate) limits: LimitRule,
}

impl Grants {
    /// Nothing that reaches out of the container.
    pub fn none() -> Grants {
        Grants::default()
    }

    /// Everything that a plan can hold or leave out; the limits are the usual ones, and other people's firewalls
    /// are left alone.
    pub fn open() -> Grants {
        let networks = || ["0.0.0.0/0", "::/0"].into_iter().filter_map(|text| text.parse().ok());
        let sides = [Side::Host, Side::Container];
        let ports = PortRange::new(1, u16::MAX).ok();
        let any = NamePattern::any;
        let routes = sides.into_iter().flat_map(|side| {
            networks().map(move |to| RouteRule { side, to, for_containers: side == Side::Host })
        });
        let addresses = [None, Some(Forward::LOOPBACK)];
        let forwards = [Protocol::Tcp, Protocol::Udp]
            .into_iter()
            .flat_map(|protocol| addresses.map(|host_address| (protocol, host_address)))
            .filter_map(|(protocol, host_address)| {
                Some(ForwardRule { protocol, host_address, ports: ports? })
            });
        Grants {
            shares: allow([ShareRule::any()]),
            links: allow([LinkRule { host: any(), container: any(), max: None }]),
            addresses: allow(networks().map(|range| AddressRule { range, side: None, for_containers: true })),
            routes: allow(routes),
            masquerades: allow(networks().map(|source| MasqueradeRule { source, out: any() })),
            forwards: allow(forwards),
            execs: allow([ExecRule::any()]),
            variables: allow([VariableRule { name: VariablePattern::any(), value: None }]),
            directories: allow([DirectoryRule { path: DirectoryPattern::any() }]),
            resolvers: allow([ResolvConfRule::those(networks())]),
            ..Grants::default()
        }
    }

    /// Reads a grants file, which may be anything; `file` is what it is called in messages.
    pub fn parse(text: &str, file: &str) -> Result<Grants, GrantsError> {
        document::read(text, file)
    }

    /// How much the script may use.
    pub fn limits(&self) -> Limits {
        self.limits.limits()
    }

    /// Whether what is routed for the container is let through other people's firewalls.
    pub fn passes_firewalls(&self) -> bool {
        self.pass
    }

    /// The same grants, within the limits of others.
    pub fn within_limits_of(self, other: &Grants) -> Grants {
        Grants { limits: other.limits, ..self }
    }

    /// The SHA-256 of the only module that these grants are for, if there is one.
    pub fn script(&self) -> Option<[u8; 32]> {
        self.script
    }

    /// The same grants, for that module alone.
    pub fn for_script(self, sha256: [u8; 32]) -> Grants {
        Grants { script: Some(sha256), ..self }
    }

    /// The file that they were read from.
    pub fn file(&self) -> Option<&str> {
        self.file.as_deref()
    }

    /// These, with the tables of others as if they stood at the end of the same file, and of each limit
    /// the greater one. File and script stay these grants' own.
    pub fn and(mut self, other: Grants) -> Grants {
        let unplaced = other.file != self.file;
        self.namespaces.extend(moved(other.namespaces, unplaced));
        self.shares.extend(moved(other.shares, unplaced));
        self.links.extend(moved(other.links, unplaced));
        self.addresses.extend(moved(other.addresses, unplaced));
        self.routes.extend(moved(other.routes, unplaced));
        self.masquerades.extend(moved(other.masquerades, unplaced));
        self.forwards.extend(moved(other.forwards, unplaced));
        self.execs.extend(moved(other.execs, unplaced));
        self.variables.extend(moved(other.variables, unplaced));
        self.directories.extend(moved(other.directories, unplaced));
        self.resolvers.extend(moved(other.resolvers, unplaced));
        self.pass |= other.pass;
        self.limits = self.limits.or_more(&other.limits);
        self
    }

    /// The grants as a file.
    pub fn to_toml(&self) -> String {
        let script = self.script.map_or_else(String::new, |digest| {
            let digits: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("script = \"sha256:{digits}\"\n")
        });
        format!("schema = 1\n{script}{}", self.tables())
    }

    /// The tables alone, as they can be appended to another file (which must not have `[firewall]` or
    /// `[limits]`, if these do).
    pub fn tables(&self) -> String {
        [
            tables(&self.namespaces),
            tables(&self.shares),
            tables(&self.links),
            tables(&self.addresses),
            tables(&self.routes),
            tables(&self.masquerades),
            tables(&self.forwards),
            tables(&self.execs),
            tables(&self.variables),
            tables(&self.directories),
            tables(&self.resolvers),
            firewall::table(self.pass),
            self.limits.table(),
        ]
        .concat()
    }
}

impl PartialEq for Grants {
    fn eq(&self, other: &Self) -> bool {
        self.script == other.script
            && self.namespaces == other.namespaces
            && self.shares == other.shares
            && self.links == other.links
            && self.addresses == other.addresses
            && self.routes == other.routes
            && self.masquerades == other.masquerades
            && self.forwards == other.forwards
            && self.execs == other.execs
            && self.variables == other.variables
            && self.directories == other.directories
            && self.resolvers == other.resolvers
            && self.pass == other.pass
            && self.limits == other.limits
    }
}

fn allow<T: Noun>(rules: impl IntoIterator<Item = T>) -> Vec<Rule<T>> {
    rules.into_iter().map(Rule::allow).collect()
}

/// Rules from another file lose their place: there is only one file's name to go with it.
fn moved<T>(rules: Vec<Rule<T>>, unplaced: bool) -> impl Iterator<Item = Rule<T>> {
    rules.into_iter().map(move |rule| if unplaced { Rule { line: 0, ..rule } } else { rule })
}

fn tables<T: Noun>(rules: &[Rule<T>]) -> String {
    rules.iter().map(|rule| format!("\n{}\n", rule.table())).collect()
}

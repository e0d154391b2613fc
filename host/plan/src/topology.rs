//! What is wired to what: the drawing of a plan, as data, and in four ways to draw it.

mod dot;
mod layout;
mod mermaid;
mod svg;
mod text;

use crate::{Interface, LinkId, Plan, Side, Step, show};

/// Nodes, and the wires between their interfaces.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Topology {
    /// Every node.
    pub nodes: Vec<Node>,
    /// Every wire.
    pub wires: Vec<Wire>,
}

/// Where interfaces live.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// What it is.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// Its interfaces, in the order in which they are made.
    pub ports: Vec<Port>,
    /// What it does besides: a line each.
    pub notes: Vec<String>,
}

/// What a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The host.
    Host,
    /// A container.
    Container,
    /// A bridge: its ports are one network.
    Switch,
}

/// An interface of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// Its name.
    pub name: String,
    /// Its addresses, with their prefixes.
    pub addresses: Vec<String>,
}

/// A link between two interfaces: the node's number, and the port's in that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wire {
    /// Both ends.
    pub ends: [(usize, usize); 2],
}

/// The host is the first node of a plan's drawing, the container the second.
const HOST: usize = 0;
const CONTAINER: usize = 1;

impl Topology {
    /// Of a plan.
    pub fn of(plan: &Plan) -> Topology {
        let node =
            |kind, name: &str| Node { kind, name: name.to_string(), ports: Vec::new(), notes: Vec::new() };
        let mut found = Topology {
            nodes: vec![node(Kind::Host, "host"), node(Kind::Container, "container")],
            wires: Vec::new(),
        };
        for (id, _) in plan.links() {
            let ports = found.nodes[HOST].ports.len();
            found.nodes[HOST].ports.push(port(plan, id, Side::Host));
            found.nodes[CONTAINER].ports.push(port(plan, id, Side::Container));
            found.wires.push(Wire { ends: [(HOST, ports), (CONTAINER, ports)] });
        }
        for step in plan.steps() {
            if let Some((side, note)) = note(plan, step) {
                let node = match side {
                    Side::Host => HOST,
                    Side::Container => CONTAINER,
                };
                found.nodes[node].notes.push(note);
            }
        }
        found
    }

    /// Box drawing for a terminal of so many columns; empty if there is no wire.
    pub fn text(&self, columns: usize) -> String {
        text::draw(self, columns)
    }

    /// An image by itself, legible on light and on dark.
    pub fn svg(&self) -> String {
        svg::draw(self)
    }

    /// For Graphviz.
    pub fn dot(&self) -> String {
        dot::draw(self)
    }

    /// For Mermaid, as Markdown pages show it.
    pub fn mermaid(&self) -> String {
        mermaid::draw(self)
    }
}

fn port(plan: &Plan, id: LinkId, side: Side) -> Port {
    let interface = Interface::End(id, side);
    let addresses = plan.addresses().filter(|a| a.interface == interface).map(|a| a.cidr.to_string());
    Port { name: plan.interface_name(interface).to_string(), addresses: addresses.collect() }
}

/// What is drawn of a step that is no wire and no address: whose, and in which words.
fn note(plan: &Plan, step: &Step) -> Option<(Side, String)> {
    let told = || show::subject(plan, step);
    match step {
        Step::Masquerade(_) => Some((Side::Host, format!("masquerade {}", told()))),
        Step::Forward(_) => Some((Side::Host, format!("forward {}", told()))),
        Step::Route(route) => {
            let side = match route.interface {
                Interface::Loopback => Side::Container,
                Interface::End(_, side) => side,
            };
            let words = format!("route {}", told());
            Some((side, words.trim_end_matches(&format!(" ({})", side.name())).to_string()))
        }
        Step::Hostname(_) => Some((Side::Container, format!("hostname {}", told()))),
        Step::Command(_) => Some((Side::Container, told())),
        Step::Namespace(_)
        | Step::DomainName(_)
        | Step::PrivatePropagation
        | Step::Proc
        | Step::ResolvConf(_)
        | Step::Variable(_)
        | Step::WorkingDirectory(_)
        | Step::Veth(_)
        | Step::Address(_)
        | Step::Up(_) => None,
    }
}

/// One line of a port: its name and addresses.
fn port_line(port: &Port) -> String {
    [&port.name].into_iter().chain(&port.addresses).map(String::as_str).collect::<Vec<_>>().join(" ")
}

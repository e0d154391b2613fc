//! What is wired to what: the drawing of a plan, as data, and in four ways to draw it.

mod dot;
mod layout;
mod mermaid;
mod svg;
mod text;

use crate::{Around, ContainerId, Inside, Link, Place, Plan, Step, show};

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

impl Topology {
    /// Of a plan: the host is the first node, the containers follow.
    pub fn of(plan: &Plan) -> Topology {
        let node =
            |kind, name: &str| Node { kind, name: name.to_string(), ports: Vec::new(), notes: Vec::new() };
        let containers = plan.containers().map(|_| node(Kind::Container, "container"));
        let mut found = Topology {
            nodes: [node(Kind::Host, "host")].into_iter().chain(containers).collect(),
            wires: Vec::new(),
        };
        let mut ports: Vec<(usize, usize)> = Vec::new();
        for (id, end) in plan.interfaces() {
            let node = number(end.at);
            ports.push((node, found.nodes[node].ports.len()));
            let addresses = plan.addresses_of(id).iter().map(ToString::to_string).collect();
            found.nodes[node].ports.push(Port { name: end.name.to_string(), addresses });
        }
        for (first, link) in plan.links() {
            let first = usize::from(first.0);
            match link {
                Link::Veth(_) => found.wires.push(Wire { ends: [ports[first], ports[first + 1]] }),
            }
        }
        for step in plan.steps() {
            if let Some((place, note)) = note(plan, step) {
                found.nodes[number(place)].notes.push(note);
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

/// The place's node.
fn number(place: Place) -> usize {
    match place {
        Place::Host => 0,
        Place::Container(ContainerId(id)) => usize::from(id) + 1,
    }
}

/// What is drawn of a step that is no wire and no address: where, and in which words.
fn note(plan: &Plan, step: &Step) -> Option<(Place, String)> {
    let told = || show::subject(plan, step);
    match step {
        Step::Inside(container, inside) => {
            let note = match inside {
                Inside::Hostname(_) => format!("hostname {}", told()),
                Inside::Command(_) => told(),
                Inside::Namespace(_)
                | Inside::DomainName(_)
                | Inside::PrivatePropagation
                | Inside::Proc
                | Inside::ResolvConf(_)
                | Inside::Variable(_)
                | Inside::WorkingDirectory(_) => return None,
            };
            Some((Place::Container(*container), note))
        }
        Step::Around(around) => match around {
            Around::Masquerade(_) => Some((Place::Host, format!("masquerade {}", told()))),
            Around::Forward(_) => Some((Place::Host, format!("forward {}", told()))),
            Around::Route(route) => {
                let by = plan.interface_name(route.interface);
                let words = format!("route {} by {by}", show::show_destination(route));
                plan.place(route.interface).map(|place| (place, words))
            }
            Around::Link(_) | Around::Address(_) | Around::Up(_) => None,
        },
    }
}

/// One line of a port: its name and addresses.
fn port_line(port: &Port) -> String {
    [&port.name].into_iter().chain(&port.addresses).map(String::as_str).collect::<Vec<_>>().join(" ")
}

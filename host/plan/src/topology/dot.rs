//! In Graphviz's language: <https://graphviz.org/doc/info/lang.html>.

use std::fmt::Write;

use super::{Kind, Topology, port_line};

pub(super) fn draw(topology: &Topology) -> String {
    let mut text = String::from("graph plan {\n  node [shape=box, fontname=\"sans-serif\"];\n");
    for (number, node) in topology.nodes.iter().enumerate() {
        let lines = node.ports.iter().map(port_line).chain(node.notes.iter().cloned());
        let label: String = [node.name.clone()].into_iter().chain(lines).collect::<Vec<_>>().join("\n");
        let style = match node.kind {
            Kind::Host => ", style=dashed",
            Kind::Container => "",
            Kind::Switch => ", style=filled, fillcolor=lightgrey",
        };
        let _ = writeln!(text, "  n{number} [label={}{style}];", quoted(&label));
    }
    for wire in &topology.wires {
        let [(a, port_a), (b, port_b)] = wire.ends;
        let name = |node: usize, port: usize| quoted(&topology.nodes[node].ports[port].name);
        let _ =
            writeln!(text, "  n{a} -- n{b} [taillabel={}, headlabel={}];", name(a, port_a), name(b, port_b));
    }
    text.push_str("}\n");
    text
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

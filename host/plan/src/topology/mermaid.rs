//! In Mermaid's language: <https://mermaid.js.org/syntax/flowchart.html>.

use std::fmt::Write;

use super::{Kind, Topology, port_line};

pub(super) fn draw(topology: &Topology) -> String {
    let mut text = String::from("flowchart TB\n");
    for (number, node) in topology.nodes.iter().enumerate() {
        let lines = node.ports.iter().map(port_line).chain(node.notes.iter().cloned());
        let label: Vec<String> =
            [node.name.clone()].into_iter().chain(lines).map(|line| entities(&line)).collect();
        let label = label.join("<br>");
        let _ = match node.kind {
            Kind::Host | Kind::Container => writeln!(text, "  n{number}[\"{label}\"]"),
            Kind::Switch => writeln!(text, "  n{number}([\"{label}\"])"),
        };
    }
    for wire in &topology.wires {
        let [(a, port_a), (b, port_b)] = wire.ends;
        let name = |node: usize, port: usize| entities(&topology.nodes[node].ports[port].name);
        let _ = writeln!(text, "  n{a} ---|\"{} — {}\"| n{b}", name(a, port_a), name(b, port_b));
    }
    text
}

/// What Mermaid, Markdown or HTML would take for more than text, by its number.
fn entities(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' | '<' | '>' | '&' | '#' | '`' | ';' | '\\' | '|' | '[' | ']' | '{' | '}' | '(' | ')' => {
                let _ = write!(safe, "#{};", u32::from(c));
            }
            _ => safe.push(c),
        }
    }
    safe
}

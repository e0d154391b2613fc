//! In box drawing characters.

use std::fmt::Write;

use super::{Node, Topology, port_line};

/// Side by side if that fits into the columns, else one above the other.
pub(super) fn draw(topology: &Topology, columns: usize) -> String {
    let wide = side_by_side(topology);
    let fits = wide.lines().all(|line| line.chars().count() <= columns);
    if fits { wide } else { one_above_the_other(topology) }
}

fn side_by_side(topology: &Topology) -> String {
    let rows: Vec<[String; 2]> = topology
        .wires
        .iter()
        .map(|wire| wire.ends.map(|(node, port)| port_line(&topology.nodes[node].ports[port])))
        .collect();
    let Some(names) = names(topology) else { return String::new() };
    let width = |side: usize| {
        let head = names[side].chars().count();
        rows.iter().map(|row| row[side].chars().count()).chain([head]).max().unwrap_or(head)
    };
    let (left, right) = (width(0), width(1));
    let head = |side: usize, width: usize| {
        format!("┌─{}{}┐", names[side], "─".repeat(width + 1 - names[side].chars().count()))
    };
    let mut text = format!("{}          {}\n", head(0, left), head(1, right));
    for [a, b] in &rows {
        let (pad_a, pad_b) = (" ".repeat(left - a.chars().count()), " ".repeat(right - b.chars().count()));
        let _ = writeln!(text, "│ {a}{pad_a} ├───veth───┤ {b}{pad_b} │");
    }
    let _ = writeln!(text, "└{}┘          └{}┘", "─".repeat(left + 2), "─".repeat(right + 2));
    text
}

/// As wide as the longest address, whatever a link has.
fn one_above_the_other(topology: &Topology) -> String {
    let mut text = String::new();
    for wire in &topology.wires {
        for (side, (node, port)) in wire.ends.into_iter().enumerate() {
            let Node { name, ports, .. } = &topology.nodes[node];
            let _ = if side == 0 {
                writeln!(text, "┌─{name}")
            } else {
                writeln!(text, "├───veth─── {name}")
            };
            let _ = writeln!(text, "│ {}", ports[port].name);
            for address in &ports[port].addresses {
                let _ = writeln!(text, "│   {address}");
            }
        }
        text.push_str("└─\n");
    }
    text
}

/// The names on both sides; none if there is no wire.
fn names(topology: &Topology) -> Option<[&str; 2]> {
    let wire = topology.wires.first()?;
    Some(wire.ends.map(|(node, _)| topology.nodes[node].name.as_str()))
}

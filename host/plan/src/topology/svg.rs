//! As an image that needs nothing else: no script, no font, no style from elsewhere.

use std::fmt::Write;

use super::{
    Kind, Topology,
    layout::{self, BAR, HEAD, LINE, PAD, Rect},
};

/// Colours for light, and for those who prefer dark.
const STYLE: &str = "\
text{font:11.5px ui-monospace,Menlo,Consolas,'DejaVu Sans Mono',monospace;fill:#4a5a6e}\
.name{font:600 13px system-ui,'DejaVu Sans',sans-serif;fill:#16202c}\
.bar text{font:600 12px system-ui,'DejaVu Sans',sans-serif;fill:#fff}\
.back{fill:#fbfcfe}\
.box{fill:#fff;stroke:#3b5b82;stroke-width:1.5}\
.host{fill:#eef1f4;stroke:#5b6878;stroke-dasharray:5 3}\
.router{fill:#fff4e0;stroke:#b26b00}\
.switch{fill:#2b6e5b}\
.wire{fill:none;stroke:#6b7f95;stroke-width:1.5}\
.port{font-size:10.5px}\
@media (prefers-color-scheme:dark){\
text{fill:#a9b7c6}.name{fill:#eef3f8}.back{fill:#10151c}.box{fill:#1a232e;stroke:#7aa2d6}\
.host{fill:#202833;stroke:#8b98a8}.router{fill:#33270f;stroke:#e0a040}.switch{fill:#2f8a70}.wire{stroke:#8296ab}}";

pub(super) fn draw(topology: &Topology) -> String {
    let layout = layout::arrange(topology);
    let (width, height) = (layout.width, layout.height);
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" role=\"img\"><title>topology</title><style>{STYLE}</style>\n\
         <rect class=\"back\" width=\"{width}\" height=\"{height}\"/>\n"
    );
    for path in &layout.paths {
        let corners: Vec<String> = path.iter().map(|(x, y)| format!("{x},{y}")).collect();
        let _ = writeln!(text, "<polyline class=\"wire\" points=\"{}\"/>", corners.join(" "));
    }
    for (number, rect) in layout.boxes.iter().enumerate() {
        match topology.nodes[number].kind {
            Kind::Switch => bar(&mut text, topology, number, *rect),
            Kind::Host | Kind::Container => node(&mut text, topology, number, *rect),
        }
    }
    for ((x, y), name) in &layout.labels {
        let _ = writeln!(text, "<text class=\"port\" x=\"{x}\" y=\"{y}\">{}</text>", escaped(name));
    }
    text.push_str("</svg>\n");
    text
}

fn node(text: &mut String, topology: &Topology, number: usize, rect: Rect) {
    let node = &topology.nodes[number];
    let class = match node.kind {
        Kind::Host => " host",
        // Who stands in several networks.
        _ if node.ports.len() > 1 => " router",
        _ => "",
    };
    let Rect { x, y, width, height } = rect;
    let _ = writeln!(
        text,
        "<g><rect class=\"box{class}\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" rx=\"6\"/>"
    );
    let middle = x + width / 2;
    let mut line = |class: &str, y: i32, words: &str| {
        let _ = writeln!(
            text,
            "<text{class} x=\"{middle}\" y=\"{y}\" text-anchor=\"middle\">{}</text>",
            escaped(words)
        );
    };
    line(" class=\"name\"", y + HEAD - 4, &node.name);
    for (row, words) in layout::lines(node).iter().enumerate() {
        line("", y + HEAD + LINE * (row as i32 + 1) - 3, words);
    }
    text.push_str("</g>\n");
}

fn bar(text: &mut String, topology: &Topology, number: usize, rect: Rect) {
    let Rect { x, y, width, .. } = rect;
    let _ = writeln!(
        text,
        "<g class=\"bar\"><rect class=\"switch\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{BAR}\" rx=\"4\"/>\
         <text x=\"{}\" y=\"{}\">{}</text></g>",
        x + PAD,
        y + BAR - 8,
        escaped(&layout::bar_title(&topology.nodes[number]))
    );
}

/// Text for XML, without what it has no place for.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in crate::show::log_line(text).chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\t' => safe.push(' '),
            // Code points that are no characters of XML 1.0.
            '\u{fffe}' | '\u{ffff}' => safe.push('\u{fffd}'),
            _ => safe.push(c),
        }
    }
    safe
}

//! How a plan is shown in words: a line for each step. Its drawing is [`crate::Topology`].

use std::fmt::Write;

use crate::{Forward, Interface, Plan, Step};

/// Text from anybody, safe on a terminal: quoted, control characters escaped, at most 80 characters.
pub fn quote(text: &str) -> String {
    const MAX: usize = 80;
    let mut safe: String = text.chars().take(MAX).flat_map(char::escape_debug).collect();
    if text.chars().count() > MAX {
        safe.push('…');
    }
    format!("\"{safe}\"")
}

/// One line of a script's log, safe on a terminal: without control characters, bidirectional controls
/// and characters that only hide others.
pub fn log_line(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if is_hostile(c) { safe.extend(c.escape_unicode()) } else { safe.push(c) }
    }
    safe
}

/// Text from anybody, in the lines that it has, safe on a terminal: each like a [`log_line`], at most
/// [`MOST_LINES`] of at most [`LONGEST_LINE`] characters. What is cut is told by a `…`.
pub fn paragraph(text: &str) -> String {
    let mut lines = text.trim_end().lines();
    let mut safe: Vec<String> = lines.by_ref().take(MOST_LINES - 1).map(short_line).collect();
    match (lines.next(), lines.next()) {
        (Some(last), None) => safe.push(short_line(last)),
        (Some(_), Some(_)) => safe.push("…".to_string()),
        (None, _) => {}
    }
    safe.join("\n")
}

/// The most lines of a [`paragraph`].
pub const MOST_LINES: usize = 24;
/// The most characters of each, what stands for others included.
pub const LONGEST_LINE: usize = 400;

fn short_line(line: &str) -> String {
    let safe = log_line(line);
    match safe.char_indices().nth(LONGEST_LINE) {
        None => safe,
        Some(_) => safe.chars().take(LONGEST_LINE - 1).chain(['…']).collect(),
    }
}

/// Control characters (Unicode's Cc) but the tab; line separators; the bidirectional controls of
/// UAX #9; deprecated format characters, annotations and tags, which nothing shows.
fn is_hostile(c: char) -> bool {
    let hidden = matches!(c,
        '\u{61c}' | '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{206f}'
        | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}');
    hidden || (c != '\t' && c.is_control())
}

/// The step in words that a reader of `ip(8)` knows.
pub fn step(plan: &Plan, step: &Step) -> String {
    format!("{} {}", noun(step), subject(plan, step))
}

/// What kind of thing the step is about: the first word or two of [`fn@step`].
pub fn noun(step: &Step) -> &'static str {
    match step {
        Step::Namespace(_) => "namespace",
        Step::Hostname(_) => "hostname",
        Step::DomainName(_) => "domain name",
        Step::PrivatePropagation | Step::Proc => "mount",
        Step::ResolvConf(_) => "resolv.conf",
        Step::Command(_) => "command",
        Step::Variable(_) => "environment",
        Step::WorkingDirectory(_) => "working directory",
        Step::Veth(_) => "link",
        Step::Address(_) => "address",
        Step::Up(_) => "up",
        Step::Route(_) => "route",
        Step::Masquerade(_) => "masquerade",
        Step::Forward(_) => "forward",
    }
}

/// The rest of [`fn@step`]: which one, and how.
pub fn subject(plan: &Plan, step: &Step) -> String {
    let name = |interface: &Interface| {
        let name = plan.interface_name(*interface);
        match interface {
            Interface::Loopback => name.to_string(),
            Interface::End(_, side) => format!("{name} ({})", side.name()),
        }
    };
    match step {
        Step::Namespace(kind) => kind.to_string(),
        Step::Hostname(name) | Step::DomainName(name) => quote(name.as_str()),
        Step::PrivatePropagation => "propagation private".to_string(),
        Step::Proc => "/proc".to_string(),
        Step::ResolvConf(conf) => {
            let servers: Vec<String> = conf.nameservers().iter().map(ToString::to_string).collect();
            format!("nameserver {}", servers.join(" "))
        }
        Step::Command(command) => {
            let words: Vec<String> = command.arguments().iter().map(|word| quote(word.as_str())).collect();
            words.join(" ")
        }
        Step::Variable(variable) => format!("{}={}", variable.name(), quote(variable.value())),
        Step::WorkingDirectory(path) => quote(path.as_str()),
        Step::Veth(veth) => format!("veth {} (host) — {} (container)", veth.host, veth.container),
        Step::Address(address) => format!("{} on {}", address.cidr, name(&address.interface)),
        Step::Up(interface) => name(interface),
        Step::Route(route) => {
            let to = if route.to.prefix() == 0 { "default".to_string() } else { route.to.to_string() };
            let via = route.via.map_or(String::new(), |via| format!(" via {via}"));
            format!("{to}{via} by {}", name(&route.interface))
        }
        Step::Masquerade(masquerade) => format!("{} out by {}", masquerade.source, masquerade.out),
        Step::Forward(forward) => show_forward(forward),
    }
}

fn show_forward(forward: &Forward) -> String {
    let host = forward.host_address.map_or("*".to_string(), bracketed);
    let to_ports = forward.to_ports().map_or("?".to_string(), |ports| ports.to_string());
    let to = bracketed(forward.to);
    format!("{} {host}:{} to {to}:{to_ports}", forward.protocol.name(), forward.ports)
}

fn bracketed(address: std::net::IpAddr) -> String {
    if address.is_ipv4() { address.to_string() } else { format!("[{address}]") }
}

/// The whole plan: numbered steps.
pub fn plan(plan: &Plan) -> String {
    let mut text = String::new();
    let width = plan.steps().len().to_string().len();
    for (index, item) in plan.steps().iter().enumerate() {
        // What comes of the whole plan, and of no step alone.
        let hosts = matches!(item, Step::Hostname(_)) && plan.hosts().is_some();
        let besides = if hosts { ", in /etc/hosts too" } else { "" };
        let _ = writeln!(text, "{:>width$}  {}{besides}", index + 1, step(plan, item));
    }
    text
}

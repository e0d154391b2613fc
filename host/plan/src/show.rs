//! How a plan is shown in words: a line for each step. Its drawing is [`crate::Topology`].

use std::fmt::Write;

use crate::{Around, Forward, Inside, Interface, Plan, Route, Step};

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
        Step::Inside(_, inside) => match inside {
            Inside::Namespace(_) => "namespace",
            Inside::Hostname(_) => "hostname",
            Inside::DomainName(_) => "domain name",
            Inside::PrivatePropagation | Inside::Proc => "mount",
            Inside::ResolvConf(_) => "resolv.conf",
            Inside::Command(_) => "command",
            Inside::Variable(_) => "environment",
            Inside::WorkingDirectory(_) => "working directory",
        },
        Step::Around(around) => match around {
            Around::Link(_) => "link",
            Around::Address(_) => "address",
            Around::Up(_) => "up",
            Around::Route(_) => "route",
            Around::Masquerade(_) => "masquerade",
            Around::Forward(_) => "forward",
        },
    }
}

/// The rest of [`fn@step`]: which one, and how.
pub fn subject(plan: &Plan, step: &Step) -> String {
    match step {
        Step::Inside(_, inside) => show_inside(inside),
        Step::Around(around) => show_around(plan, around),
    }
}

fn show_inside(inside: &Inside) -> String {
    match inside {
        Inside::Namespace(kind) => kind.to_string(),
        Inside::Hostname(name) | Inside::DomainName(name) => quote(name.as_str()),
        Inside::PrivatePropagation => "propagation private".to_string(),
        Inside::Proc => "/proc".to_string(),
        Inside::ResolvConf(conf) => {
            let servers: Vec<String> = conf.nameservers().iter().map(ToString::to_string).collect();
            format!("nameserver {}", servers.join(" "))
        }
        Inside::Command(command) => {
            let words: Vec<String> = command.arguments().iter().map(|word| quote(word.as_str())).collect();
            words.join(" ")
        }
        Inside::Variable(variable) => format!("{}={}", variable.name(), quote(variable.value())),
        Inside::WorkingDirectory(path) => quote(path.as_str()),
    }
}

fn show_around(plan: &Plan, around: &Around) -> String {
    let name = |interface: &Interface| {
        let name = plan.interface_name(*interface);
        match interface {
            Interface::Loopback(_) => name.to_string(),
            Interface::Made(_) => match plan.place(*interface) {
                Some(place) => format!("{name} ({place})"),
                None => name.to_string(),
            },
        }
    };
    match around {
        Around::Link(link) => {
            let ends: Vec<String> =
                link.ends().iter().map(|end| format!("{} ({})", end.name, end.at)).collect();
            format!("{} {}", link.kind(), ends.join(" — "))
        }
        Around::Address(address) => format!("{} on {}", address.cidr, name(&address.interface)),
        Around::Up(interface) => name(interface),
        Around::Route(route) => format!("{} by {}", show_destination(route), name(&route.interface)),
        Around::Masquerade(masquerade) => format!("{} out by {}", masquerade.source, masquerade.out),
        Around::Forward(forward) => show_forward(forward),
    }
}

/// Where the route leads, and through whom.
pub(crate) fn show_destination(route: &Route) -> String {
    let to = if route.to.prefix() == 0 { "default".to_string() } else { route.to.to_string() };
    let via = route.via.map_or(String::new(), |via| format!(" via {via}"));
    format!("{to}{via}")
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
        let besides = match item {
            Step::Inside(container, Inside::Hostname(_)) if plan.hosts(*container).is_some() => {
                ", in /etc/hosts too"
            }
            Step::Inside(..) | Step::Around(_) => "",
        };
        let _ = writeln!(text, "{:>width$}  {}{besides}", index + 1, step(plan, item));
    }
    text
}

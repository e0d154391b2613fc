//! The rules once more, written differently: networks as intervals of numbers, ports one by one, name
//! patterns letter by letter, directories part by part. Slow and plain.

use std::net::IpAddr;

use nshost_plan::{Around, Cidr, Facts, Forward, Inside, Interface, Link, Plan, Step};

use crate::common::{File, Rule, SHAREABLE, Table, each_port};

/// What is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Matter {
    /// The step at an index.
    Step(usize),
    /// Sharing the host's namespace of this kind.
    Share(&'static str),
}

impl Matter {
    /// By a step's index, or the words for what is shared.
    pub fn of(step: Option<usize>, subject: &str) -> Matter {
        let is_named = |kind: &&str| subject == format!("the host's {kind} namespace");
        step.map_or_else(|| Matter::Share(SHAREABLE.into_iter().find(is_named).unwrap()), Matter::Step)
    }

    /// All that there is to be judged of a plan, in order.
    pub fn all(plan: &Plan) -> Vec<Matter> {
        let own = |kind: &str| {
            plan.steps()
                .iter()
                .any(|step| matches!(step, Step::Inside(_, Inside::Namespace(own)) if own.name() == kind))
        };
        let shared = SHAREABLE.into_iter().filter(|kind| !own(kind)).map(Matter::Share);
        (0..plan.steps().len()).map(Matter::Step).chain(shared).collect()
    }
}

/// What the model says to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Says {
    Allowed,
    /// A denial touches it.
    Forbidden,
    /// Nothing allows it.
    Lacking,
    Conflict,
    Unsupported,
}

/// Judges one matter.
pub fn judge(plan: &Plan, matter: Matter, file: &File, facts: &Facts) -> Says {
    match matter {
        Matter::Step(index) => judge_step(plan, index, file, facts),
        Matter::Share(kind) => judge_share(kind, file),
    }
}

fn judge_share(kind: &str, file: &File) -> Says {
    let named = |deny: bool| {
        file.tables.iter().any(|table| {
            table.deny == deny
                && matches!(&table.rule, Rule::Share { kinds } if kinds.iter().any(|named| named == kind))
        })
    };
    match (named(true), named(false)) {
        (true, _) => Says::Forbidden,
        (false, true) => Says::Allowed,
        (false, false) => Says::Lacking,
    }
}

fn judge_step(plan: &Plan, index: usize, file: &File, facts: &Facts) -> Says {
    let step = &plan.steps()[index];
    if index as u64 + 1 > u64::from(file.steps.unwrap_or(256)) {
        return Says::Lacking;
    }
    let own = matches!(step, Step::Inside(_, Inside::Command(command)) if command.arguments() == facts.command.as_slice());
    let spelled: Vec<Table> = file.tables.iter().map(|table| spelled_out(table, facts)).collect();
    let mine: Vec<&Table> = spelled.iter().filter(|table| same_kind(&table.rule, step)).collect();
    if needs_grant(step) && !own {
        if matches!(step, Step::Inside(_, Inside::Command(command)) if !nameable(command.program())) {
            return Says::Unsupported;
        }
        if mine.iter().any(|table| table.deny && meets(&table.rule, step, Part::Any)) {
            return Says::Forbidden;
        }
        let room = |table: &Table| has_room(&table.rule, &plan.steps()[..=index]);
        let allowed =
            mine.iter().any(|table| !table.deny && meets(&table.rule, step, Part::All) && room(table));
        let free =
            matches!(step, Step::Inside(_, Inside::Namespace(_))) && mine.iter().all(|table| table.deny);
        if !allowed && !free {
            return Says::Lacking;
        }
    }
    against_facts(step, facts)
}

/// The same with the host's name servers in the place of their word.
fn spelled_out(table: &Table, facts: &Facts) -> Table {
    let mut table = table.clone();
    if let Rule::ResolvConf { servers } = &mut table.rule {
        let own = facts.name_servers.iter().map(|server| server.address.to_string());
        let (words, rest): (Vec<String>, Vec<String>) =
            servers.drain(..).partition(|server| server == "host");
        *servers = rest;
        servers.extend(words.iter().flat_map(|_| own.clone()));
    }
    table
}

fn needs_grant(step: &Step) -> bool {
    matches!(
        step,
        Step::Inside(_, Inside::Namespace(_))
            | Step::Around(Around::Link(_))
            | Step::Around(Around::Address(_))
            | Step::Around(Around::Route(_))
            | Step::Around(Around::Masquerade(_))
            | Step::Around(Around::Forward(_))
            | Step::Inside(_, Inside::Command(_))
            | Step::Inside(_, Inside::Variable(_))
            | Step::Inside(_, Inside::WorkingDirectory(_))
            | Step::Inside(_, Inside::ResolvConf(_))
    )
}

fn same_kind(rule: &Rule, step: &Step) -> bool {
    matches!(
        (rule, step),
        (Rule::Namespace { .. }, Step::Inside(_, Inside::Namespace(_)))
            | (Rule::Link { .. }, Step::Around(Around::Link(_)))
            | (Rule::Address { .. }, Step::Around(Around::Address(_)))
            | (Rule::Route { .. }, Step::Around(Around::Route(_)))
            | (Rule::Masquerade { .. }, Step::Around(Around::Masquerade(_)))
            | (Rule::Forward { .. }, Step::Around(Around::Forward(_)))
            | (Rule::Exec { .. }, Step::Inside(_, Inside::Command(_)))
            | (Rule::Variable { .. }, Step::Inside(_, Inside::Variable(_)))
            | (Rule::WorkingDirectory { .. }, Step::Inside(_, Inside::WorkingDirectory(_)))
            | (Rule::ResolvConf { .. }, Step::Inside(_, Inside::ResolvConf(_)))
    )
}

/// Whether all of a step has to be in a rule, or any of it.
#[derive(Clone, Copy, PartialEq)]
enum Part {
    All,
    Any,
}

fn meets(rule: &Rule, step: &Step, part: Part) -> bool {
    match (rule, step) {
        (Rule::Namespace { kinds }, Step::Inside(_, Inside::Namespace(kind))) => {
            kinds.contains(&kind.to_string())
        }
        (Rule::Link { host, container, .. }, Step::Around(Around::Link(Link::Veth([outer, inner])))) => {
            let container = container.as_deref().unwrap_or("*");
            glob(host, outer.name.as_str()) && glob(container, inner.name.as_str())
        }
        (Rule::Address { range, side, away }, Step::Around(Around::Address(address))) => {
            let draws = side_of(address.interface) == "host" && !is_set_aside(address.cidr);
            if draws && !away && part == Part::All {
                return false;
            }
            side.is_none_or(|side| side == side_of(address.interface)) && within(address.cidr, *range, part)
        }
        (Rule::Route { side, to, away }, Step::Around(Around::Route(route))) => {
            if *side == "host" && !is_set_aside(route.to) && !away && part == Part::All {
                return false;
            }
            *side == side_of(route.interface) && within(route.to, *to, part)
        }
        (Rule::Masquerade { source, out }, Step::Around(Around::Masquerade(masquerade))) => {
            within(Cidr::host(masquerade.source), *source, Part::All) && glob(out, masquerade.out.as_str())
        }
        (Rule::Forward { protocol, host, ports }, Step::Around(Around::Forward(forward))) => {
            let all_or_any = |mut inside: Box<dyn Iterator<Item = bool>>| match part {
                Part::All => inside.all(|yes| yes),
                Part::Any => inside.any(|yes| yes),
            };
            let (first, last) = *ports;
            let ports =
                all_or_any(Box::new(each_port(forward.ports).map(move |port| first <= port && port <= last)));
            *protocol == forward.protocol.name() && ports && host_meets(host.as_deref(), forward, part)
        }
        (Rule::Exec { path, arguments }, Step::Inside(_, Inside::Command(command))) => {
            let asked: Vec<&str> = command.arguments().iter().skip(1).map(|word| word.as_str()).collect();
            program_meets(path, command.program()) && arguments.as_ref().is_none_or(|words| *words == asked)
        }
        (Rule::Variable { name, value }, Step::Inside(_, Inside::Variable(variable))) => {
            glob(name, variable.name()) && value.as_deref().is_none_or(|value| value == variable.value())
        }
        (Rule::WorkingDirectory { path }, Step::Inside(_, Inside::WorkingDirectory(asked))) => {
            directory_meets(path, asked.as_str())
        }
        (Rule::ResolvConf { servers }, Step::Inside(_, Inside::ResolvConf(conf))) => {
            let mut granted = conf.nameservers().iter().map(|asked| {
                servers.iter().any(|server| match server.parse::<IpAddr>() {
                    Ok(server) => server == *asked,
                    Err(_) => within(Cidr::host(*asked), server.parse().unwrap(), Part::All),
                })
            });
            match part {
                Part::All => granted.all(|yes| yes),
                Part::Any => granted.any(|yes| yes),
            }
        }
        _ => false,
    }
}

pub fn side_of(interface: Interface) -> &'static str {
    // The plans of these tests make links from the host to the container only.
    match interface {
        Interface::Made(id) if id.0 % 2 == 0 => "host",
        Interface::Made(_) | Interface::Loopback(_) => "container",
    }
}

/// A rule for one address has only a part of what reaches all addresses of its family.
fn host_meets(rule: Option<&str>, forward: &Forward, part: Part) -> bool {
    let Some(rule) = rule.filter(|rule| *rule != "*") else {
        // The loopback has to be named; what is denied everywhere is denied there too.
        return part == Part::Any || forward.host_address.is_none_or(|address| !address.is_loopback());
    };
    let rule: IpAddr = rule.parse().unwrap();
    match forward.host_address {
        Some(address) => address == rule,
        None => part == Part::Any && !rule.is_loopback() && rule.is_ipv6() == forward.to.is_ipv6(),
    }
}

/// Whether nobody on the internet has any of it.
fn is_set_aside(network: Cidr) -> bool {
    let blocks = "10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 169.254.0.0/16 100.64.0.0/10 198.18.0.0/15 \
                  192.0.2.0/24 198.51.100.0/24 203.0.113.0/24 fc00::/7 fe80::/10 2001:db8::/32 3fff::/20";
    blocks.split_whitespace().any(|block| within(network, block.parse().unwrap(), Part::All))
}

/// What clouds have, and what the host trusts.
fn trusted(facts: &Facts) -> Vec<Cidr> {
    let clouds = "169.254.169.254 169.254.169.253 169.254.169.123 169.254.170.2 169.254.170.23 168.63.129.16 \
                  100.100.100.200 fd00:ec2::254 fd20:ce::254";
    let clouds = clouds.split_whitespace().map(|address| address.parse::<IpAddr>().unwrap());
    clouds.chain(facts.trusted.iter().copied()).map(Cidr::host).collect()
}

fn has_room(rule: &Rule, steps: &[Step]) -> bool {
    let Rule::Link { max: Some(max), .. } = rule else { return true };
    let mine = steps
        .iter()
        .filter(|step| matches!(step, Step::Around(Around::Link(_))) && meets(rule, step, Part::All));
    mine.count() <= *max as usize
}

/// Letter by letter: the next letters are equal, or the pattern has come to its star.
fn glob(pattern: &str, name: &str) -> bool {
    let mut name = name.chars();
    for letter in pattern.chars() {
        if letter == '*' {
            return true;
        }
        if name.next() != Some(letter) {
            return false;
        }
    }
    name.next().is_none()
}

/// First and last address, as numbers.
fn interval(cidr: Cidr) -> (bool, u128, u128) {
    let (number, bits) = match cidr.address() {
        IpAddr::V4(v4) => (v4.octets().iter().fold(0, |sum, octet| sum * 256 + u128::from(*octet)), 32),
        IpAddr::V6(v6) => (v6.octets().iter().fold(0, |sum, octet| sum * 256 + u128::from(*octet)), 128),
    };
    let size = 2u128.checked_pow(bits - u32::from(cidr.prefix())).unwrap_or(u128::MAX);
    let first = if size == u128::MAX { 0 } else { number - number % size };
    (bits == 32, first, first.saturating_add(size - 1))
}

fn within(asked: Cidr, range: Cidr, part: Part) -> bool {
    let ((family, a, z), (range_family, from, to)) = (interval(asked), interval(range));
    family == range_family
        && match part {
            Part::All => from <= a && z <= to,
            Part::Any => a.max(from) <= z.min(to),
        }
}

/// Whether a script can be granted a program that it names like this.
fn nameable(program: &str) -> bool {
    let climbs = program.split('/').any(|part| part == "..");
    !climbs && (program.starts_with('/') || !program.contains('/'))
}

/// Without what a backslash escapes.
fn unescaped(pattern: &str) -> String {
    pattern.replace("\\*", "\u{1}").replace("\\\\", "\\").replace('\u{1}', "*")
}

/// A bare name is any of the files that it could be found to be.
fn program_meets(pattern: &str, program: &str) -> bool {
    let path = unescaped(pattern);
    let usual = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];
    pattern == "*"
        || path == program
        || !program.contains('/') && usual.iter().any(|directory| path == format!("{directory}/{program}"))
}

/// Part by part; before a star, some part has to come.
fn directory_meets(pattern: &str, path: &str) -> bool {
    let parts = |path: &str| -> Vec<String> {
        path.split('/').filter(|part| !["", "."].contains(part)).map(String::from).collect()
    };
    let asked = parts(path);
    match pattern.strip_suffix("/*") {
        _ if pattern == "*" => true,
        Some(stem) => asked.starts_with(&parts(&unescaped(stem))) && asked != parts(&unescaped(stem)),
        None => asked == parts(&unescaped(pattern)),
    }
}

fn against_facts(step: &Step, facts: &Facts) -> Says {
    let known = || {
        let own = facts.addresses.iter().map(|fact| fact.cidr);
        own.chain(facts.routes.iter().copied()).chain(facts.taken.networks.iter().copied())
    };
    let lacking = match step {
        Step::Around(Around::Masquerade(masquerade)) => {
            let out = facts.links.iter().find(|link| link.name == masquerade.out.as_str());
            let of_ours = facts.links.iter().any(|link| link.name == masquerade.out.as_str() && link.ours);
            out.is_none() || of_ours || facts.taken.links.contains(&masquerade.out)
        }
        Step::Around(Around::Forward(forward)) => forward.host_address.is_some_and(|host| {
            !host.is_loopback() && !facts.addresses.iter().any(|fact| fact.cidr.address() == host)
        }),
        Step::Inside(_, Inside::Namespace(nshost_plan::Namespace::Time)) => {
            facts.kernel.starts_with("4.") || facts.kernel.starts_with("5.5")
        }
        _ => false,
    };
    let conflict = match step {
        Step::Around(Around::Link(Link::Veth([outer, _]))) => {
            facts.links.iter().any(|link| link.name == outer.name.as_str())
                || facts.taken.links.contains(&outer.name)
        }
        Step::Around(Around::Address(address)) if side_of(address.interface) == "host" => {
            known().chain(trusted(facts)).any(|other| within(address.cidr, other, Part::Any))
        }
        Step::Around(Around::Address(address)) => {
            let own = Cidr::host(address.cidr.address());
            !within(own, "fe80::/10".parse().unwrap(), Part::All)
                && known().chain(trusted(facts)).any(|other| within(own, other, Part::Any))
        }
        Step::Around(Around::Route(route)) if side_of(route.interface) == "host" => {
            let v4 = route.to.address().is_ipv4();
            // The only default route that these facts can have is one of IPv4.
            (v4 && route.to.prefix() < 8 && !facts.default_routes.is_empty())
                || known().any(|other| within(route.to, other, Part::All))
                || route.to.prefix() != 0
                    && trusted(facts).into_iter().any(|one| {
                        within(one, route.to, Part::All)
                            && !known().any(|other| within(one, other, Part::All))
                    })
        }
        Step::Around(Around::Forward(forward)) => {
            facts.taken.forwards.iter().any(|other| same_packet(forward, other))
        }
        _ => false,
    };
    match (conflict, lacking) {
        (true, _) => Says::Conflict,
        (false, true) => Says::Unsupported,
        (false, false) => Says::Allowed,
    }
}

fn same_packet(one: &Forward, two: &Forward) -> bool {
    let ports = each_port(one.ports).any(|port| each_port(two.ports).any(|other| port == other));
    let address = match (one.host_address, two.host_address) {
        (Some(a), Some(b)) => a == b,
        // All addresses are not the loopback's.
        (Some(a), None) | (None, Some(a)) if a.is_loopback() => false,
        (a, b) => a.unwrap_or(one.to).is_ipv4() == b.unwrap_or(two.to).is_ipv4(),
    };
    one.protocol == two.protocol && ports && address
}

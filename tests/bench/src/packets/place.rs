//! Hosts to compare, each with an "inet" behind it and a container, or what is like one.

use std::{net::Ipv4Addr, path::PathBuf, time::Duration};

use anyhow::{Context, Result, bail};
use support::{Host, Running};

use super::crowd;

/// The host's address towards the inet.
pub const HOST: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
/// The inet's.
pub const INET: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
/// On which a container serves.
pub const PORT: u16 = 7;
/// The host's port that leads there, of the first container; the next ones' follow.
pub const FORWARDED: u16 = 10_000;

/// The host, the inet, and the wire between them.
const WORLD: &str = "
ip netns add inet
ip link add eth0 numtxqueues 1 numrxqueues 1 type veth peer name wan0 netns inet numtxqueues 1 numrxqueues 1
ip address add 192.0.2.1/24 dev eth0; ip link set eth0 up
ip -n inet address add 192.0.2.2/24 dev wan0; ip -n inet link set wan0 up; ip -n inet link set lo up
ip route add default via 192.0.2.2
i=0; while [ \"$(cat /sys/class/net/eth0/operstate)\" != up ] && [ $i -lt 200 ]; do sleep 0.01; i=$((i + 1)); done
";

/// What a container is to a packet, made by hand: routed, and nothing looked at.
const BOX: &str = "
ip netns add box
ip link add box0 numtxqueues 1 numrxqueues 1 type veth peer name eth0 netns box numtxqueues 1 numrxqueues 1
ip -n box link set eth0 up; ip link set box0 up
ip address add 10.88.0.1/30 dev box0; ip -n box address add 10.88.0.2/30 dev eth0
ip -n box route add default via 10.88.0.1
ip -n inet route add 10.88.0.0/16 via 192.0.2.1
echo 1 > /proc/sys/net/ipv4/ip_forward
";

/// NAT as one types it.
const BY_HAND: &str = "
ip -n inet route del 10.88.0.0/16
nft -f - <<'.'
table ip hand {
    chain prerouting {
        type nat hook prerouting priority dstnat
        ip daddr 192.0.2.1 udp dport 10000 dnat to 10.88.0.2:7
    }
    chain postrouting {
        type nat hook postrouting priority srcnat
        ip saddr 10.88.0.0/30 oifname eth0 masquerade
    }
}
.
";

/// What a crowd's containers have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Link,
    Nat,
}

/// How much of our tables a host without containers of ours has, to tell what each part costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layer {
    /// Chains at the same hooks, which hold nothing.
    Hooks,
    /// These chains' own rules, which ask for our group of links and find none.
    Groups,
    /// The same for the whole group's number.
    GroupsUnmasked,
}

/// A host, and how a packet meets its container.
pub struct Place {
    pub name: String,
    /// How many containers of ours it has.
    pub containers: u16,
    pub container: Ipv4Addr,
    /// Where the inet finds the container's port.
    pub published: (Ipv4Addr, u16),
    /// Under which address the inet sees the container, and with which ports at the least.
    pub seen: (Ipv4Addr, u16),
    /// Of launching one more.
    pub launch: Option<Duration>,
    inside: PathBuf,
    // Before the host: it is killed in there.
    _crowd: Option<Running>,
    host: Host,
}

impl Place {
    /// Without a table and without a container of ours: a bare pair, and routes.
    pub fn bare(name: &str) -> Result<Place> {
        let host = Host::new()?;
        host.shell(WORLD).and_then(|_| host.shell(BOX)).context("cannot make a bare host")?;
        let container = crowd::address(0, 2);
        Ok(Place {
            name: name.to_string(),
            containers: 0,
            container,
            published: (container, PORT),
            seen: (container, 1),
            launch: None,
            inside: host.path("/run/netns/box"),
            _crowd: None,
            host,
        })
    }

    /// With as much of these tables, as `nft` lists them.
    pub fn with(self, layer: Layer, tables: &str) -> Result<Place> {
        let part = only(layer, tables);
        if (layer == Layer::Groups) != part.contains(" & ") || !part.contains("hook") {
            bail!("these tables are not as this benchmark knows them: {part}");
        }
        self.host.shell(&format!("nft -f - <<'.'\n{part}.\n"))?;
        Ok(self)
    }

    /// With the two rules of NAT that one would type, instead of a route back.
    pub fn with_rules_by_hand(self) -> Result<Place> {
        self.host.shell(BY_HAND)?;
        Ok(Place { published: (HOST, FORWARDED), seen: (HOST, 1), ..self })
    }

    /// With so many real containers. The one that packets meet is the last that was launched: if anything got
    /// longer with their number, its end would be there.
    pub fn crowded(kind: Kind, count: u16) -> Result<Place> {
        let host = Host::new()?;
        host.shell(WORLD).context("cannot make a host")?;
        let started = crowd::start(&host, kind, count)?;
        let last = count - 1;
        let plural = if count == 1 { "" } else { "s" };
        Ok(Place {
            name: format!("nshost, {count} container{plural}"),
            containers: count,
            container: crowd::address(last, 2),
            published: (HOST, FORWARDED + last),
            // Containers leave by ports of their own.
            seen: (HOST, 61_000),
            launch: Some(started.launch),
            inside: host.path(&format!("/proc/{}/ns/net", started.last)),
            _crowd: Some(started.running),
            host,
        })
    }

    /// Its tables, as `nft` lists them.
    pub fn tables(&self) -> Result<String> {
        self.host.shell("nft list ruleset")
    }

    pub fn host_network(&self) -> PathBuf {
        self.host.path("/proc/1/ns/net")
    }

    pub fn inet_network(&self) -> PathBuf {
        self.host.path("/run/netns/inet")
    }

    pub fn container_network(&self) -> &PathBuf {
        &self.inside
    }
}

/// Of a listing, what that layer has: tables and chains; the rules of those chains that packets enter by a hook. What
/// those go on to is empty.
fn only(layer: Layer, tables: &str) -> String {
    let (mut part, mut inside) = (String::new(), Inside::Table);
    for line in tables.lines().map(str::trim) {
        match (line, &inside) {
            (line, _) if line.starts_with("table ") => {
                let name = line.split(" {").next().unwrap_or(line);
                part += &format!("{name} {{\n");
            }
            (line, _) if line.starts_with("chain ") => {
                part += &format!("{line}\n");
                inside = Inside::Chain;
            }
            (line, Inside::Chain) if line.starts_with("type ") => {
                part += &format!("{line}\n");
                inside = Inside::Base;
            }
            ("}", Inside::Set) => inside = Inside::Table,
            ("}", _) => {
                part += "}\n";
                inside = Inside::Table;
            }
            (line, _) if line.starts_with("set ") || line.starts_with("map ") => inside = Inside::Set,
            (rule, Inside::Base) => match layer {
                Layer::Hooks => (),
                Layer::Groups => part += &format!("{rule}\n"),
                Layer::GroupsUnmasked => part += &format!("{}\n", unmasked(rule)),
            },
            _ => (),
        }
    }
    part
}

/// Where in a listing a line is.
enum Inside {
    Table,
    Set,
    Chain,
    Base,
}

/// `iifgroup & MASK == GROUP` as `iifgroup GROUP`.
fn unmasked(rule: &str) -> String {
    let parts = rule.split_once(" & ").and_then(|(what, rest)| Some((what, rest.split_once(" == ")?.1)));
    parts.map_or_else(|| rule.to_string(), |(what, rest)| format!("{what} {rest}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTED: &str = "table inet t { # progname nshost
	flags owner
	set s {
		type ifname
		elements = { \"b1\" }
	}

	chain inner {
		iifname @s accept
		drop
	}

	chain base {
		type filter hook prerouting priority -450; policy accept;
		iifgroup & 4294901759 == 28275 goto inner
	}
}
";

    #[test]
    fn a_part_of_a_listing() {
        let part = |rules: &str| {
            let head = "table inet t {\nchain inner {\n}\nchain base {\n";
            format!("{head}type filter hook prerouting priority -450; policy accept;\n{rules}}}\n}}\n")
        };
        assert_eq!(only(Layer::Hooks, LISTED), part(""));
        assert_eq!(only(Layer::Groups, LISTED), part("iifgroup & 4294901759 == 28275 goto inner\n"));
        assert_eq!(only(Layer::GroupsUnmasked, LISTED), part("iifgroup 28275 goto inner\n"));
    }
}

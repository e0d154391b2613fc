//! What exists on a host.

use std::{
    collections::BTreeMap,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};

use crate::Host;

/// What is looked at, and with what. Whatever a launch could leave behind shows in one of these.
const LOOKS: &[(&str, &str)] = &[
    ("links", "ip -details -json link"),
    // Lifetimes that a DHCP server or router gave run down by themselves.
    ("addresses", "ip -json address | sed -E 's/_life_time\":[0-9]+/_life_time\":0/g'"),
    (
        "routes",
        "ip -json route show table all; ip -6 -json route show table all | sed -E 's/\"expires\":[0-9]+,//g'",
    ),
    ("rules", "ip -json rule; ip -6 -json rule"),
    ("nftables", "nft list ruleset"),
    ("mounts", "cat /proc/1/mountinfo"),
    ("cgroups", "find /sys/fs/cgroup -type d -name '*nshost*'"),
    ("sysctls", "grep --recursive --no-messages '' /proc/sys/net/ipv4 /proc/sys/net/ipv6 | sort"),
    // All but this shell and its children.
    ("processes", "ps -e -o pid=,ppid=,args= | awk -v me=$$ '$1 != me && $2 != me' | sort"),
];

/// Everything that a launch could change, as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Census(BTreeMap<&'static str, String>);

impl Census {
    /// Looks at the host.
    pub fn take(host: &Host) -> Result<Census> {
        let script: String =
            LOOKS.iter().map(|(name, look)| format!("echo '=== {name}'\n{look}\n")).collect();
        let text = host.shell(&script)?;
        let mut census = BTreeMap::new();
        for part in text.split("=== ").skip(1) {
            let (name, rest) = part.split_once('\n').unwrap_or((part, ""));
            if let Some((name, _)) = LOOKS.iter().find(|(known, _)| *known == name) {
                census.insert(*name, rest.to_string());
            }
        }
        if census.len() != LOOKS.len() {
            bail!("the census is not complete: {text}");
        }
        Ok(Census(census))
    }

    /// The same without some of its parts: comparisons leave them out.
    pub fn without(mut self, parts: &[&str]) -> Census {
        self.0.retain(|name, _| !parts.contains(name));
        self
    }

    /// One part of it, such as `links`; empty if there is no such part.
    pub fn part(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    /// What differs: the lines that went with `-`, those that came with `+`; empty if nothing.
    pub fn changes(&self, later: &Census) -> String {
        let mut text = String::new();
        for (name, before) in &self.0 {
            let after = later.part(name);
            if before == after {
                continue;
            }
            let gone = before.lines().filter(|line| !after.lines().any(|other| other == *line));
            let come = after.lines().filter(|line| !before.lines().any(|other| other == *line));
            let lines = gone.map(|line| format!("- {line}")).chain(come.map(|line| format!("+ {line}")));
            let lines: Vec<String> = lines.collect();
            if lines.is_empty() {
                text += &format!("{name}: the same lines in another order or number\n");
            }
            text += &lines.iter().map(|line| format!("{name}: {line}\n")).collect::<String>();
        }
        text
    }

    /// Waits until the host is as it was, for at most `limit`: the kernel takes a moment to tear a
    /// network namespace down. An error says what is different.
    pub fn comes_back(&self, host: &Host, limit: Duration) -> Result<()> {
        let end = Instant::now() + limit;
        loop {
            let changes = self.changes(&Census::take(host)?);
            if changes.is_empty() {
                return Ok(());
            }
            if Instant::now() > end {
                bail!("the host is not as it was:\n{changes}");
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}

//! What lies behind a host's uplink.

use std::{ffi::OsStr, process::Command, process::Stdio, time::Duration};

use anyhow::{Context, Result};

use crate::{Host, Output, Running, process};

/// Another network namespace, joined to the host by a wire. The host's end is [`Internet::UPLINK`];
/// the other end is the host's next hop, and further addresses lie behind that. There is no way back
/// to anything but the host's own address: who hears from a container saw a translated address. The host's name
/// server is [`Internet::FAR`], where nobody answers.
pub struct Internet<'a> {
    host: &'a Host,
}

impl Internet<'_> {
    /// The host's interface.
    pub const UPLINK: &'static str = "eth0";
    /// The host's address.
    pub const HOST: &'static str = "198.51.100.2";
    /// The host's IPv6 address.
    pub const HOST_V6: &'static str = "2001:db8:1::2";
    /// An address far away.
    pub const FAR: &'static str = "203.0.113.9";
    /// An IPv6 address far away.
    pub const FAR_V6: &'static str = "2001:db8:2::9";

    pub(crate) fn new(host: &Host) -> Result<Internet<'_>> {
        // `ip netns` puts it into the host's own /run, so it goes with the host's mount namespace.
        host.resolv_conf(&format!("nameserver {}\n", Internet::FAR))?;
        host.shell(
            "
            ip netns add internet
            ip netns exec internet sh -c 'echo 0 > /proc/sys/net/ipv6/conf/default/accept_dad'
            ip link add eth0 type veth peer name wan0 netns internet
            ip address add 198.51.100.2/24 dev eth0
            ip address add 2001:db8:1::2/64 dev eth0 nodad
            ip link set eth0 up
            ip route add default via 198.51.100.1
            ip -n internet address add 198.51.100.1/24 dev wan0
            ip -n internet address add 2001:db8:1::1/64 dev wan0 nodad
            ip -n internet address add 203.0.113.9/32 dev lo
            ip -n internet address add 2001:db8:2::9/128 dev lo nodad
            ip -n internet link set lo up
            ip -n internet link set wan0 up
            ip -6 route add default via 2001:db8:1::1
            # The kernel says a little later that a link is up; a census before that would differ.
            i=0; until ip -brief link show eth0 | grep -q ' UP ' || [ $i -ge 200 ]; do sleep 0.01; i=$((i + 1)); done
            ",
        )
        .context("cannot put an internet behind the host")?;
        Ok(Internet { host })
    }

    /// A command that will run in the internet.
    pub fn command<S: AsRef<OsStr>>(&self, program: S) -> Command {
        let mut command = self.host.command("ip");
        command.args(["netns", "exec", "internet"]).arg(program);
        command
    }

    /// Runs a shell script to its end.
    pub fn shell(&self, script: &str) -> Result<Output> {
        let mut command = self.command("sh");
        command.args(["-euc", script]);
        process::run(command, Duration::from_secs(20))
    }

    /// Starts a shell script whose standard input is ours.
    pub fn start(&self, script: &str) -> Result<Running> {
        let mut command = self.command("sh");
        command.args(["-euc", script]).stdin(Stdio::piped());
        Running::start(command)
    }
}

//! Attacks, each really performed by whoever could: a script's author, root inside a container, a local
//! user. Beside each stands a control: the same thing by somebody who may, which must work, so that no
//! attack fails only because the test does. `host/SECURITY.md` tells which promise each test holds.
//!
//! With `NSHOST_TEST_PROGRAMS=DIRECTORY` another release is attacked: so a new test is seen to fail.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use support::{Host, Nshost, Output, Running, Scratch, wasi_component};

/// Long enough for anything that takes milliseconds, on a machine that does other things too.
pub const SOON: Duration = Duration::from_secs(10);
/// In which the kernel has torn down a network namespace.
pub const TORN_DOWN: Duration = Duration::from_secs(5);

/// A host with two wires: `eth0` towards an internet, by which its default routes lead, and `eth1` towards
/// a local network. Both others ask the host to route, so that only its rules stand between them.
pub struct World {
    /// The host between them.
    pub host: Host,
}

impl World {
    /// The host's address on `eth0`.
    pub const HOST: &'static str = "192.0.2.1";
    /// The internet's.
    pub const INET: &'static str = "192.0.2.2";
    /// The host's address on `eth1`.
    pub const HOST_LAN: &'static str = "198.51.100.1";
    /// The local network's.
    pub const LAN: &'static str = "198.51.100.2";
    /// The host's IPv6 address on `eth0`.
    pub const HOST_V6: &'static str = "2001:db8:1::1";
    /// The internet's.
    pub const INET_V6: &'static str = "2001:db8:1::2";
    /// The host's IPv6 address on `eth1`.
    pub const HOST_LAN_V6: &'static str = "2001:db8:2::1";
    /// The local network's.
    pub const LAN_V6: &'static str = "2001:db8:2::2";

    /// Makes one. Needs root.
    pub fn new() -> Result<World> {
        let host = Host::new()?;
        host.shell(
            "
            for other in inet lan; do
                ip netns add $other
                ip -n $other link set lo up
                ip netns exec $other sh -c 'echo 0 > /proc/sys/net/ipv6/conf/default/accept_dad'
            done
            ip link add eth0 type veth peer name wan0 netns inet
            ip link add eth1 type veth peer name lan0 netns lan
            ip address add 192.0.2.1/24 dev eth0
            ip address add 2001:db8:1::1/64 dev eth0 nodad
            ip address add 198.51.100.1/24 dev eth1
            ip address add 2001:db8:2::1/64 dev eth1 nodad
            ip -n inet address add 192.0.2.2/24 dev wan0
            ip -n inet address add 2001:db8:1::2/64 dev wan0 nodad
            ip -n lan address add 198.51.100.2/24 dev lan0
            ip -n lan address add 2001:db8:2::2/64 dev lan0 nodad
            ip link set eth0 up; ip link set eth1 up
            ip -n inet link set wan0 up; ip -n lan link set lan0 up
            ip route add default via 192.0.2.2; ip -6 route add default via 2001:db8:1::2
            ip -n inet route add default via 192.0.2.1; ip -n inet -6 route add default via 2001:db8:1::1
            ip -n lan route add default via 198.51.100.1; ip -n lan -6 route add default via 2001:db8:2::1
            i=0; while ip -brief link | grep -E '^eth[01]' | grep -qv ' UP ' && [ $i -lt 200 ]; do
                sleep 0.01; i=$((i + 1))
            done
            ",
        )
        .context("cannot make a world")?;
        Ok(World { host })
    }

    /// Runs a shell script in the network `of`: `host`, `inet` or `lan`.
    pub fn shell(&self, of: &str, script: &str) -> Result<Output> {
        match of {
            "host" => self.host.run(["sh", "-uc", script]),
            other => self.host.run(["ip", "netns", "exec", other, "sh", "-uc", script]),
        }
    }

    /// Starts a shell script there, whose standard input is ours.
    pub fn start(&self, of: &str, script: &str) -> Result<Running> {
        match of {
            "host" => self.host.start(["sh", "-uc", script]),
            other => self.host.start(["ip", "netns", "exec", other, "sh", "-uc", script]),
        }
    }

    /// Runs a Python program there; its standard output, once it has succeeded.
    pub fn python(&self, of: &str, program: &str) -> Result<String> {
        let words: &[&str] = match of {
            "host" => &[],
            other => &["ip", "netns", "exec", other],
        };
        let output = self.host.run(words.iter().chain(&["/usr/bin/python3", "-c", program]))?;
        Ok(output.expect(0)?.to_string())
    }

    /// Starts a Python program there, and waits until it prints `ready`.
    pub fn python_start(&self, of: &str, program: &str) -> Result<Running> {
        let words: &[&str] = match of {
            "host" => &[],
            other => &["ip", "netns", "exec", other],
        };
        let mut running = self.host.start(words.iter().chain(&["/usr/bin/python3", "-uc", program]))?;
        running.wait_for("ready\n", SOON)?;
        Ok(running)
    }

    /// `nshost run` of the script that asks for these steps (`tests/asks`), with every grant.
    pub fn asks(&self, steps: &str) -> Result<Nshost<'_>> {
        let words = self.host.nshost()?.args(["run", "--allow-all"]).arg(wasi_component("asks")?);
        Ok(words.args(steps.split_whitespace()))
    }

    /// The same with these grants alone.
    pub fn asks_granted(&self, scratch: &Scratch, grants: &str, steps: &str) -> Result<Nshost<'_>> {
        let file = scratch.file("grants.toml", format!("schema = 1\n{grants}"))?;
        let words = self.host.nshost()?.args(["run", "--grants"]).arg(file).arg(wasi_component("asks")?);
        Ok(words.args(steps.split_whitespace()))
    }

    /// Starts a container that runs a shell script, and waits until that prints `ready`.
    pub fn container(&self, steps: &str, script: &str) -> Result<Running> {
        let mut running = self.asks(steps)?.args(["--", "sh", "-uc", script]).start()?;
        running.wait_for("ready\n", SOON)?;
        Ok(running)
    }

    /// Starts a container that runs a Python program, and waits until that prints `ready`.
    pub fn python_container(&self, steps: &str, program: &str) -> Result<Running> {
        let mut running = self.asks(steps)?.args(["--", "/usr/bin/python3", "-uc", program]).start()?;
        running.wait_for("ready\n", SOON)?;
        Ok(running)
    }
}

/// Asks again and again until it holds, for ten seconds at most.
pub fn soon(mut holds: impl FnMut() -> Result<bool>) -> Result<()> {
    let end = Instant::now() + SOON;
    while !holds()? {
        if Instant::now() > end {
            bail!("it did not come to that");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

/// The beginning of a Python program that sends whole frames: `frames.py`.
pub const FRAMES: &str = include_str!("frames.py");

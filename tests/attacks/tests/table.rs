//! What others do to the host's firewall and routing while containers run.

use std::time::Duration;

use anyhow::Result;
use attacks::{SOON, TORN_DOWN, World};
use support::{Census, Running, root_or_skip};

const PLAIN: &str = "own=usual private proc lo veth=nshA,eth0 up host=10.9.0.1/30 inside=10.9.0.2/30 \
                     host=fd00:9::1/64 inside=fd00:9::2/64 route-inside=0.0.0.0/0,10.9.0.1 route-inside=::/0,fd00:9::1";
const NAT: &str = "masquerade=10.9.0.2,eth0 masquerade=fd00:9::2,eth0 tcp=8000,10.9.0.2,80,127.0.0.1";

/// Servers for what a container must not reach: on the host's loopback, and in the local network; TCP and UDP,
/// both families.
fn servers(world: &World) -> Result<Vec<Running>> {
    let serve = |address: &str, port: u16| {
        let family = if address.contains(':') { "AF_INET6" } else { "AF_INET" };
        format!(
            "import socket, threading
s = socket.create_server(({address:?}, {port}), family=socket.{family})
u = socket.socket(socket.{family}, socket.SOCK_DGRAM); u.bind(({address:?}, {port}))
def tcp():
    while True:
        c = s.accept()[0]; c.sendall(b'answer'); c.close()
threading.Thread(target=tcp, daemon=True).start()
print('ready')
while True:
    data, peer = u.recvfrom(100); u.sendto(b'answer', peer)"
        )
    };
    ["lan", "lan", "inet", "inet", "host"]
        .into_iter()
        .zip([World::LAN, World::LAN_V6, World::INET, World::INET_V6, "127.0.0.1"])
        .map(|(of, address)| world.python_start(of, &serve(address, 7000)))
        .collect()
}

/// A program for a container: for each line, tries what the line names, and prints whether it was answered.
const TRIES: &str = "
import socket, sys, os
os.system('ip address flush dev lo; ip route flush table local proto kernel type local 127.0.0.0/8 2>/dev/null; '
          'echo 1 > /proc/sys/net/ipv4/conf/all/route_localnet; ip route add 127.0.0.1/32 via 10.9.0.1 src 10.9.0.2')
print('ready')
for line in sys.stdin:
    kind, address = line.split()
    family = socket.AF_INET6 if ':' in address else socket.AF_INET
    try:
        if kind == 'tcp':
            s = socket.create_connection((address, 7000), 0.5)
        else:
            s = socket.socket(family, socket.SOCK_DGRAM)
            s.settimeout(0.5)
            s.sendto(b'question', (address, 7000))
        s.settimeout(0.5)
        print(kind, address, 'answered' if s.recv(100) else 'closed')
    except OSError:
        print(kind, address, 'silent')
print('end')
";

fn tries(container: &mut Running, address: &str, what: &str) -> Result<()> {
    for kind in ["tcp", "udp"] {
        container.send(&format!("{kind} {address}\n"))?;
        container.wait_for(&format!("{kind} {address}"), SOON)?;
        let last = || container.stdout().lines().last().map(str::to_string).unwrap_or_default();
        attacks::soon(|| {
            Ok(container.stdout().ends_with('\n') && last().starts_with(&format!("{kind} {address} ")))
        })?;
        assert_eq!(last(), format!("{kind} {address} {what}"));
    }
    Ok(())
}

/// Row 6: a firewall service reloads.
#[test]
fn a_flush_of_the_hosts_firewall_opens_nothing() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let world = World::new()?;
    world.host.shell("sysctl -q -w net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1")?;
    let before = Census::take(&world.host)?;
    let _servers = servers(&world)?;
    let mut container = world.python_container(&format!("{PLAIN} {NAT}"), TRIES)?;
    tries(&mut container, World::INET, "answered")?;
    let guarded = world.host.shell("nft list ruleset")?;
    for attack in [
        "nft flush ruleset",
        "nft delete table inet nshost",
        "nft flush table inet nshost-nat",
        "nft flush chain inet nshost guard",
    ] {
        world.shell("host", attack)?;
        tries(&mut container, "127.0.0.1", "silent")?;
        tries(&mut container, World::LAN, "silent")?;
        tries(&mut container, World::LAN_V6, "silent")?;
        assert_eq!(world.host.shell("nft list ruleset")?, guarded, "after {attack}");
    }
    // The control: its own way out goes on.
    tries(&mut container, World::INET, "answered")?;
    tries(&mut container, World::INET_V6, "answered")?;
    container.finish(SOON)?.expect(0)?;
    drop(_servers);
    before.comes_back(&world.host, TORN_DOWN)
}

/// Row 6: launchers share what guards, and the last one's end is not the next one's hole.
#[test]
fn whoever_launches_next_guards_all_who_live() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let world = World::new()?;
    let before = Census::take(&world.host)?;
    let wait = "echo ready; read line; true";
    let first = world.container(&format!("{PLAIN} {NAT}"), wait)?;
    let b = "own=usual private proc lo veth=nshB,eth0 up host=10.9.1.1/30 inside=10.9.1.2/30";
    let second = world.container(b, wait)?;
    let third = world.container(&b.replace("nshB", "nshC").replace("10.9.1.", "10.9.2."), wait)?;
    // The one that made the tables ends first; those who took the right from it still have it.
    first.finish(SOON)?.expect(0)?;
    world.shell("host", "nft flush ruleset")?;
    let left = world.host.shell("nft list table inet nshost")?;
    assert!(left.contains("nshB") && left.contains("nshC") && !left.contains("nshA"), "{left}");
    // Killed, all of them: what is left belongs to nobody, and goes with the next command.
    for container in [second, third] {
        container.signal(nix::sys::signal::Signal::SIGKILL)?;
        drop(container);
    }
    world.host.nshost()?.arg("gc").run()?.expect(0)?;
    before.comes_back(&world.host, TORN_DOWN)
}

/// Whoever gets the process id by which the tables' owner was last known: nothing is taken from it, neither a
/// descriptor, whose closing may wait for a file system of its own, nor what is in a socket's queue.
#[test]
fn who_has_a_former_owners_process_id_is_left_alone() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let world = World::new()?;
    let launch = || world.asks(PLAIN)?.args(["--", "true"]).run()?.expect(0).map(drop);
    launch()?;
    // The last child, which has the tables for a second. Then python has its pid, and in each descriptor a
    // netlink socket with an answer that waits.
    let squat = "
        pid=$(pgrep -o nshost) || exit 1
        while kill -0 $pid 2>/dev/null; do sleep 0.1; done
        echo $((pid - 1)) > /proc/sys/kernel/ns_last_pid
        /usr/bin/python3 -uc \"$1\" $pid
        exit $?";
    let program = "
import os, socket, struct, sys
assert os.getpid() == int(sys.argv[1])
s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12)
s.send(struct.pack('=IHHIIBBH', 20, 10 << 8 | 16, 1, 7, 0, 0, 0, 0))
for number in range(3, 100):
    if number != s.fileno():
        os.dup2(s.fileno(), number)
print('ready')
input()
s.setblocking(False)
print(len(s.recv(1000)) > 0)
";
    let mut squatter = world.host.start(["sh", "-uc", squat, "sh", program])?;
    squatter.wait_for("ready\n", SOON)?;
    launch()?;
    squatter.send("\n")?;
    assert_eq!(squatter.finish(SOON)?.expect(0)?, "ready\nTrue\n");
    Ok(())
}

/// Row 11: the host becomes a router while a container runs, or was one before.
#[test]
fn a_host_that_routes_does_not_route_for_containers() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let world = World::new()?;
    let _servers = servers(&world)?;
    let routing = |on: u8| {
        world.host.shell(&format!("sysctl -q -w net.ipv4.ip_forward={on} net.ipv6.conf.all.forwarding={on}"))
    };
    // What would be routed, would be answered: they know the way back.
    for other in ["inet", "lan"] {
        let (v4, v6) = if other == "inet" {
            (World::HOST, World::HOST_V6)
        } else {
            (World::HOST_LAN, World::HOST_LAN_V6)
        };
        world.shell(
            other,
            &format!("ip route add 10.9.0.0/30 via {v4}; ip -6 route add fd00:9::/64 via {v6}"),
        )?;
    }
    for before in [false, true] {
        routing(u8::from(before))?;
        let mut container = world.python_container(PLAIN, TRIES)?;
        routing(1)?;
        for address in [World::LAN, World::LAN_V6, World::INET, World::INET_V6] {
            tries(&mut container, address, "silent")?;
        }
        // The control: the host itself routes, for whoever else asks.
        let call = format!("nc -n -w 2 -z {} 7000 && nc -n -w 2 -z {} 7000", World::INET, World::INET_V6);
        assert_eq!(world.shell("lan", &call)?.code(), 0, "{call}");
        container.finish(SOON)?.expect(0)?;
        world.host.shell("i=0; while ip link show nshA >/dev/null 2>&1 && [ $i -lt 300 ]; do sleep 0.01; i=$((i + 1)); done")?;
    }
    Ok(())
}

/// Row 11: what the host's operator set meanwhile is left.
#[test]
fn routing_that_the_operator_turned_on_meanwhile_stays_on() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let world = World::new()?;
    let settings = "cat /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv4/conf/eth0/forwarding /proc/sys/net/ipv4/conf/eth1/forwarding";
    let wait = "echo ready; read line; true";
    // The control: what only we turned on goes off again.
    let container = world.container(&format!("{PLAIN} {NAT}"), wait)?;
    assert_eq!(world.host.shell(settings)?, "0\n1\n0\n");
    container.finish(SOON)?.expect(0)?;
    assert_eq!(world.host.shell(settings)?, "0\n0\n0\n");
    let container = world.container(&format!("{PLAIN} {NAT}"), wait)?;
    world.host.shell("echo 1 > /proc/sys/net/ipv4/ip_forward")?;
    container.finish(SOON)?.expect(0)?;
    assert_eq!(world.host.shell(settings)?, "1\n1\n1\n");
    Ok(())
}

/// An entry that nobody can read, as of another release or damaged, may be of somebody who lives.
#[test]
fn the_guard_stays_while_an_entry_cannot_be_read() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let world = World::new()?;
    let before = Census::take(&world.host)?;
    let _servers = servers(&world)?;
    let mut living = world.python_container(PLAIN, TRIES)?;
    let entry = world.host.shell("cd /run/nshost/containers && ls && cp -p * /run/kept-entry")?;
    let entry = format!("/run/nshost/containers/{}", entry.trim());
    world.host.shell(&format!("printf damaged | dd of={entry} conv=notrunc 2>&1"))?;
    let steps = "own=usual private proc lo veth=nshB,eth0 up host=10.9.1.1/30 inside=10.9.1.2/30";
    let tables = || world.host.shell("nft list tables");
    let ended = |program: &str| -> Result<()> {
        world.asks(steps)?.args(["--", program]).run().map(drop)?;
        // The last child of that launch takes the tables away a second later.
        std::thread::sleep(Duration::from_millis(2500));
        Ok(())
    };
    for other in ["true", "/no/such/program"] {
        ended(other)?;
        assert!(tables()?.contains("inet nshost"), "after {other}: {}", tables()?);
    }
    world.host.nshost()?.args(["gc"]).run()?;
    assert!(tables()?.contains("inet nshost"), "after gc: {}", tables()?);
    for address in ["127.0.0.1", World::LAN, World::LAN_V6] {
        tries(&mut living, address, "silent")?;
    }
    // The control: when it can be read again and its container has ended, gc leaves nothing.
    world.host.shell(&format!("dd if=/run/kept-entry of={entry} conv=notrunc 2>&1; rm /run/kept-entry"))?;
    living.finish(SOON)?.expect(0)?;
    world.host.nshost()?.args(["gc"]).run()?.expect(0)?;
    drop(_servers);
    before.comes_back(&world.host, TORN_DOWN)
}

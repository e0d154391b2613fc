//! Ports of the host that a script forwards although they are somebody's.

use anyhow::Result;
use attacks::{SOON, World};
use support::{Running, Scratch, root_or_skip};

const LINK: &str = "own=usual private proc lo veth=nsh0,eth0 up host=10.9.0.1/30 inside=10.9.0.2/30 \
                    host=fd00:9::1/64 inside=fd00:9::2/64 route-inside=0.0.0.0/0,10.9.0.1 route-inside=::/0,fd00:9::1";

fn listener(world: &World, kind: &str, address: &str, port: u16) -> Result<Running> {
    let family = if address.contains(':') { "AF_INET6" } else { "AF_INET" };
    let listen = if kind == "tcp" { "s.listen(1)" } else { "" };
    let stream = if kind == "tcp" { "SOCK_STREAM" } else { "SOCK_DGRAM" };
    world.python_start(
        "host",
        &format!("import socket, sys\ns = socket.socket(socket.{family}, socket.{stream})\ns.bind(({address:?}, {port}))\n{listen}\nprint('ready')\nsys.stdin.read()"),
    )
}

/// Row 7.
#[test]
fn a_port_on_which_the_host_listens_is_taken() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let world = World::new()?;
    let scratch = Scratch::new()?;
    let grants = "
[[link]]
kind = 'veth'
host-name = '*'
[[address]]
range = '10.9.0.0/16'
[[address]]
range = 'fd00:9::/32'
[[route]]
side = 'container'
to = '0.0.0.0/0'
[[route]]
side = 'container'
to = '::/0'
[[forward]]
protocol = 'tcp'
ports = '8000-8099'
[[forward]]
protocol = 'udp'
ports = '8000-8099'
";
    for (kind, address, steps) in [
        ("tcp", "127.0.0.1", "tcp=8005,10.9.0.2,80"),
        ("tcp", "0.0.0.0", "tcp=8005,10.9.0.2,80"),
        ("tcp", "0.0.0.0", "tcp=8000-8010,10.9.0.2,80"),
        ("tcp", "192.0.2.1", "tcp=8005,10.9.0.2,80,192.0.2.1"),
        ("tcp", "::", "tcp=8005,10.9.0.2,80"),
        ("udp", "127.0.0.1", "udp=8005,10.9.0.2,80"),
        ("udp", "0.0.0.0", "udp=8005,10.9.0.2,80"),
        ("tcp", "::", "tcp=8005,fd00:9::2,80"),
        ("tcp", "::1", "tcp=8005,fd00:9::2,80"),
        ("udp", "2001:db8:1::1", "udp=8005,fd00:9::2,80"),
        // IPv6 sockets that hear IPv4 at one address.
        ("tcp", "::ffff:192.0.2.1", "tcp=8005,10.9.0.2,80,192.0.2.1"),
        ("tcp", "::ffff:127.0.0.1", "tcp=8005,10.9.0.2,80"),
        ("udp", "::ffff:192.0.2.1", "udp=8005,10.9.0.2,80"),
    ] {
        let listening = listener(&world, kind, address, 8005)?;
        let output =
            world.asks_granted(&scratch, grants, &format!("{LINK} {steps}"))?.args(["--", "true"]).run()?;
        assert_eq!(output.code(), 125, "{kind} {address}, {steps}: {}", output.text());
        assert!(
            output.stderr.contains("8005") && output.stderr.contains("listens there"),
            "{}",
            output.text()
        );
        listening.finish(SOON)?.expect(0)?;
        // The control: when nobody listens it is to be had.
        world
            .asks_granted(&scratch, grants, &format!("{LINK} {steps}"))?
            .args(["--", "true"])
            .run()?
            .expect(0)?;
    }
    // Another address than the one that is listened on is another port.
    let listening = listener(&world, "tcp", "198.51.100.1", 8005)?;
    let other = format!("{LINK} tcp=8005,10.9.0.2,80,192.0.2.1");
    world.asks_granted(&scratch, grants, &other)?.args(["--", "true"]).run()?.expect(0)?;
    listening.finish(SOON)?.expect(0)?;
    Ok(())
}

/// Row 7: and nobody begins to listen where nothing would be heard.
#[test]
fn a_forwarded_port_is_held() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let world = World::new()?;
    let steps = format!("{LINK} tcp=8005,10.9.0.2,80 udp=8006,10.9.0.2,80 tcp=8007,fd00:9::2,80");
    let container = world.container(&steps, "echo ready; read line; true")?;
    for (kind, address, port) in
        [("tcp", "127.0.0.1", 8005), ("tcp", "0.0.0.0", 8005), ("udp", "0.0.0.0", 8006), ("tcp", "::", 8007)]
    {
        assert!(listener(&world, kind, address, port).is_err(), "{kind} {address} {port}");
    }
    container.finish(SOON)?.expect(0)?;
    // The control: afterwards it is free.
    for (kind, address, port) in
        [("tcp", "127.0.0.1", 8005), ("tcp", "0.0.0.0", 8005), ("udp", "0.0.0.0", 8006), ("tcp", "::", 8007)]
    {
        listener(&world, kind, address, port)?.finish(SOON)?.expect(0)?;
    }
    Ok(())
}

/// Row 7: what is bound to 127.0.0.1 was not meant for others, and is nobody's but by name.
#[test]
fn the_loopback_takes_a_grant_that_names_it() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let world = World::new()?;
    let scratch = Scratch::new()?;
    let grants = "
[[link]]
kind = 'veth'
host-name = '*'
[[address]]
range = '10.9.0.0/16'
[[route]]
side = 'container'
to = '0.0.0.0/0'
[[forward]]
protocol = 'tcp'
host-address = '*'
ports = '8000-8099'
";
    let link = "own=usual private proc lo veth=nsh0,eth0 up host=10.9.0.1/30 inside=10.9.0.2/30 route-inside=0.0.0.0/0,10.9.0.1";
    let serve = "nc -n -l -k 80 >/dev/null & echo ready; read line; true";
    let reaches = |address: &str| {
        let call = format!(
            "i=0; until nc -n -z -w 1 {address} 8005; do i=$((i + 1)); [ $i -lt 8 ] || exit 1; sleep 0.05; done"
        );
        anyhow::Ok(world.shell("host", &call)?.code() == 0)
    };
    let everywhere = format!("{link} tcp=8005,10.9.0.2,80");
    let mut container =
        world.asks_granted(&scratch, grants, &everywhere)?.args(["--", "sh", "-c", serve]).start()?;
    container.wait_for("ready\n", SOON)?;
    assert!(reaches(World::HOST)?);
    assert!(!reaches("127.0.0.1")?);
    container.finish(SOON)?.expect(0)?;
    let named = format!("{everywhere} tcp=8005,10.9.0.2,80,127.0.0.1");
    let refused = world.asks_granted(&scratch, grants, &named)?.args(["--", "true"]).run()?;
    assert_eq!(refused.code(), 122, "{}", refused.text());
    // The control: named in the grants it is had.
    let more =
        format!("{grants}\n[[forward]]\nprotocol = 'tcp'\nhost-address = '127.0.0.1'\nports = '8005'\n");
    let mut container =
        world.asks_granted(&scratch, &more, &named)?.args(["--", "sh", "-c", serve]).start()?;
    container.wait_for("ready\n", SOON)?;
    assert!(reaches("127.0.0.1")? && reaches(World::HOST)?);
    container.finish(SOON)?.expect(0)?;
    Ok(())
}

//! Flows: whose they are, and for how long.

use anyhow::Result;
use attacks::{FRAMES, SOON, World};
use support::root_or_skip;

/// Two containers with a way out. A talks to the internet by UDP from port 5555; B sends what looks like it.
#[derive(Clone, Copy)]
struct Side {
    a: &'static str,
    b: &'static str,
    far: &'static str,
    family: &'static str,
    /// A's address for B too, without one for the host: what a script would ask for.
    same: &'static str,
    spoof: &'static str,
    by: &'static str,
}

const V4: Side = Side {
    a: "own=usual private proc lo veth=nshA,eth0 up host=10.9.0.1/30 inside=10.9.0.2/30 \
        route-inside=0.0.0.0/0,10.9.0.1 masquerade=10.9.0.2,eth0",
    b: "own=usual private proc lo veth=nshB,eth0 up host=10.9.1.1/30 inside=10.9.1.2/30 \
        route-inside=0.0.0.0/0,10.9.1.1 masquerade=10.9.1.2,eth0",
    far: "192.0.2.2",
    family: "AF_INET",
    same: "inside=10.9.0.2/32 tcp=9999,10.9.0.2,80",
    spoof: "udp4('10.9.0.2', 5555, '192.0.2.2', 7000, b'forged')",
    by: "neighbour('eth0', '10.9.1.1')",
};

const V6: Side = Side {
    a: "own=usual private proc lo veth=nshA,eth0 up host=fd00:a::1/64 inside=fd00:a::2/64 \
        route-inside=::/0,fd00:a::1 masquerade=fd00:a::2,eth0",
    b: "own=usual private proc lo veth=nshB,eth0 up host=10.9.1.1/30 inside=10.9.1.2/30 host=fd00:b::1/64 inside=fd00:b::2/64 \
        route-inside=::/0,fd00:b::1 masquerade=fd00:b::2,eth0",
    far: "2001:db8:1::2",
    family: "AF_INET6",
    same: "inside=fd00:a::2/128 tcp=9999,fd00:a::2,80",
    spoof: "udp6('fd00:a::2', 5555, '2001:db8:1::2', 7000, b'forged')",
    by: "neighbour('eth0', '10.9.1.1')",
};

/// Row 2 (b), for both families.
#[test]
fn nobody_sends_within_anothers_flow() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    for side in [V4, V6] {
        let Side { a, b, far, family, same, spoof, by } = side;
        let world = World::new()?;
        let mut heard = world.python_start(
            "inet",
            &format!(
                "import socket\ns = socket.socket(socket.{family}, socket.SOCK_DGRAM)\ns.bind(({far:?}, 7000))\nprint('ready')\n\
                 while True:\n    data, peer = s.recvfrom(100)\n    print(data.decode(), flush=True)\n    s.sendto(data, peer)"
            ),
        )?;
        let talk = format!(
            "import socket, sys\ns = socket.socket(socket.{family}, socket.SOCK_DGRAM)\ns.bind(('', 5555))\ns.settimeout(5)\n\
             s.sendto(b'from A', ({far:?}, 7000))\ns.recv(100)\nprint('ready')\nsys.stdin.readline()\n\
             s.sendto(b'A again', ({far:?}, 7000))\ns.recv(100)"
        );
        let mut talker = world.python_container(a, &talk)?;
        heard.wait_for("from A", SOON)?;
        let attack = format!(
            "{FRAMES}\nto = {by}\nfor _ in range(5):\n    send('eth0', to, {spoof})\n    time.sleep(0.02)"
        );
        let python = ["--", "/usr/bin/python3", "-uc", &attack];
        // As the script's author, who is refused; and as root inside, with any source.
        let granted = world.asks(&format!("{b} {same}"))?.args(python).run()?;
        world.asks(b)?.args(python).run()?.expect(0)?;
        // The control: A's own flow goes on, so what was not heard was not lost with it.
        talker.send("\n")?;
        heard.wait_for("A again", SOON)?;
        assert!(!heard.stdout().contains("forged"), "{family}: {}", heard.stdout());
        assert_eq!(granted.code(), 125, "{}", granted.text());
        talker.finish(SOON)?.expect(0)?;
    }
    Ok(())
}

/// Row 5, for both families: the client of a port stays nobody's when its container has ended.
#[test]
fn a_client_is_not_handed_on_with_an_address() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    for (family, host, link, address, local) in [
        (
            "AF_INET",
            World::HOST,
            "host=10.9.0.1/30 inside=10.9.0.2/30 route-inside=0.0.0.0/0,10.9.0.1",
            "10.9.0.2",
            "192.0.2.2",
        ),
        (
            "AF_INET6",
            World::HOST_V6,
            "host=fd00:9::1/64 inside=fd00:9::2/64 route-inside=::/0,fd00:9::1",
            "fd00:9::2",
            "2001:db8:1::2",
        ),
    ] {
        let world = World::new()?;
        let container = format!("own=usual private proc lo veth=nsh0,eth0 up {link}");
        let answer = format!(
            "import socket\ns = socket.socket(socket.{family}, socket.SOCK_DGRAM)\ns.bind(('', 53))\nprint('ready')\n\
             data, peer = s.recvfrom(100)\nprint(data.decode())\ns.sendto(b'answer', peer)"
        );
        let client = |times: u32| {
            format!(
                "import socket, sys, time\ns = socket.socket(socket.{family}, socket.SOCK_DGRAM)\ns.bind(({local:?}, 6000))\ns.settimeout(0.15)\n\
                 for _ in range({times}):\n    s.sendto(b'question', ({host:?}, 5353))\n    try:\n        print(s.recv(100).decode()); break\n    except (TimeoutError, ConnectionRefusedError):\n        pass\n"
            )
        };
        let published = format!("{container} udp=5353,{address},53");
        let first = world.python_container(&published, &answer)?;
        // The control: while it is published it is answered.
        assert_eq!(world.python("inet", &client(20))?, "answer\n", "{family}");
        assert!(first.finish(SOON)?.stdout.contains("question"));
        // The next one has the address, the service, and no such port.
        let mut second = world.python_container(&format!("{container} udp=5454,{address},53"), &answer)?;
        assert_eq!(world.python("inet", &client(8))?, "", "{family}: the flow went on");
        assert!(!second.stdout().contains("question"), "{family}: {}", second.stdout());
        second.close_stdin();
        drop(second);
        attacks::soon(|| Ok(world.asks(&format!("{published} command=/bin/true"))?.run()?.code() == 0))?;
        // And what listens on the host itself now is heard from the same client at once.
        let _server = world.python_start(
            "host",
            &format!("import socket\ns = socket.socket(socket.{family}, socket.SOCK_DGRAM)\ns.bind(({host:?}, 5353))\nprint('ready')\nwhile True:\n    data, peer = s.recvfrom(100)\n    s.sendto(b'host', peer)"),
        )?;
        assert_eq!(world.python("inet", &client(8))?, "host\n", "{family}");
    }
    Ok(())
}

/// Somebody else's datagram comes in two fragments; the container sends one of them.
#[test]
fn nobody_sends_a_part_of_anothers_datagram() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    for (family, from, to, part, header, by) in [
        (
            "AF_INET",
            World::INET,
            World::HOST,
            "part4",
            "struct.pack('!HHHH', 5555, 7000, 8 + len(data), 0)",
            "10.9.0.1",
        ),
        (
            "AF_INET6",
            World::INET_V6,
            World::HOST_V6,
            "part6",
            "udp6(FROM, 5555, TO, 7000, data)[40:48]",
            "10.9.0.1",
        ),
    ] {
        let world = World::new()?;
        // A host whose firewall knows flows puts all fragments together in one place.
        world.host.shell(
            "nft 'table inet fw { chain in { type filter hook input priority 0; ct state invalid drop; }; }'",
        )?;
        let mut heard = world.python_start(
            "host",
            &format!(
                "import socket\ns = socket.socket(socket.{family}, socket.SOCK_DGRAM)\ns.bind(({to:?}, 7000))\nprint('ready')\n\
                 while True: print(s.recv(100).decode(), flush=True)"
            ),
        )?;
        let parts = format!(
            "{FRAMES}\nFROM, TO = {from:?}, {to:?}\n\
             def parts(ident, tail):\n    data = b'sixteen bytes of' + tail\n    whole = {header} + data\n    \
             return {part}(FROM, TO, ident, 0, 1, whole[:24]), {part}(FROM, TO, ident, 24, 0, whole[24:])\n"
        );
        let attack = format!(
            "{parts}send('eth0', neighbour('eth0', {by:?}), parts(77, b'the attacker')[1])\nprint('ready')\nsys.stdin.read()"
        );
        let steps = "own=usual private proc lo veth=nshA,eth0 up host=10.9.0.1/30 inside=10.9.0.2/30 host=fd00:9::1/64 inside=fd00:9::2/64";
        let attacker = world.python_container(steps, &attack)?;
        // The checksum is the attacker's too: nothing but whose the part is stands against it.
        let client = format!(
            "{parts}to = neighbour('wan0', '192.0.2.1')\nsend('wan0', to, parts(77, b'the attacker')[0])\n\
             for one in parts(78, b'the client'): send('wan0', to, one)"
        );
        world.python("inet", &client)?;
        // The control: both parts of one sender are a datagram.
        heard.wait_for("the client", SOON)?;
        assert!(!heard.stdout().contains("the attacker"), "{family}: {}", heard.stdout());
        attacker.finish(SOON)?.expect(0)?;
    }
    Ok(())
}

/// Who sends first from the port of a service of the host's, so that what the same peer sends to it later would be
/// answers.
#[test]
fn nobody_takes_a_port_by_sending_from_it() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    for (side, host) in [(V4, World::HOST), (V6, World::HOST_V6)] {
        let Side { a, far, family, .. } = side;
        let world = World::new()?;
        let mut service = world.python_start(
            "host",
            &format!(
                "import socket\ns = socket.socket(socket.{family}, socket.SOCK_DGRAM)\ns.bind(({host:?}, 51820))\nprint('ready')\n\
                 while True: print(s.recv(100).decode(), flush=True)"
            ),
        )?;
        let mut peer = world.python_start(
            "inet",
            &format!(
                "import socket, os
s = socket.socket(socket.{family}, socket.SOCK_DGRAM)
s.bind(({far:?}, 51820))
raw = socket.socket(socket.{family}, socket.SOCK_RAW, 50)
print('ready')
data, by = s.recvfrom(100)
print(data.decode(), flush=True)
s.sendto(b'answer', by)
s.sendto(b'for the service', ({host:?}, 51820))
raw.settimeout(0.5)
try:
    raw.recv(100)
    print('ESP of a container')
except TimeoutError:
    print('no ESP')
"
            ),
        )?;
        // Its own answers it gets: so the flow is there.
        let attack = format!(
            "import socket
esp = socket.socket(socket.{family}, socket.SOCK_RAW, 50)
esp.sendto(b'12345678', ({far:?}, 0))
s = socket.socket(socket.{family}, socket.SOCK_DGRAM)
s.bind(('', 51820))
s.settimeout(5)
s.sendto(b'first', ({far:?}, 51820))
heard = [s.recv(100)]
s.settimeout(0.5)
try:
    heard.append(s.recv(100))
except TimeoutError:
    pass
print(heard)"
        );
        let python = ["--", "/usr/bin/python3", "-uc", &attack];
        let text = world.asks(a)?.args(python).run()?.expect(0)?.to_string();
        assert_eq!(text.trim(), "[b'answer']", "{family}");
        service.wait_for("for the service", SOON)?;
        peer.wait_for("no ESP", SOON)?;
    }
    Ok(())
}

/// A container that publishes a port tells of another's flow that it does not arrive.
#[test]
fn nobody_ends_anothers_flow_by_an_error() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let world = World::new()?;
    let mut heard = world.python_start(
        "inet",
        "import socket\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\ns.bind(('192.0.2.2', 7000))\nprint('ready')\n\
         while True:\n    data, peer = s.recvfrom(100)\n    print(data.decode(), peer[1], '.', flush=True)",
    )?;
    let talk = "import socket, sys\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\ns.connect(('192.0.2.2', 7000))\n\
                s.send(b'port')\nprint('ready')\nsys.stdin.readline()\n\
                print('error', s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))";
    let victim = |world: &World| world.python_container(V4.a, talk);
    let mut first = victim(&world)?;
    heard.wait_for(" .", SOON)?;
    let port = heard.stdout().split_whitespace().nth(2).unwrap_or_default().to_string();
    let error = |from: &str, port: &str| {
        format!(
            "inner = udp4('192.0.2.1', {port}, '192.0.2.2', 7000, b'port')\nbare = struct.pack('!BBHI', 3, 3, 0, 0) + inner\n\
             packet = ip4({from:?}, '192.0.2.1', 1, bare[:2] + struct.pack('!H', checksum(bare)) + bare[4:])\n"
        )
    };
    let publisher = "own=usual private proc lo veth=nshB,eth0 up host=10.9.1.1/30 inside=10.9.1.2/30 \
                     route-inside=0.0.0.0/0,10.9.1.1 tcp=8000,10.9.1.2,80";
    let attack =
        format!("{FRAMES}{}send('eth0', neighbour('eth0', '10.9.1.1'), packet)", error("10.9.1.2", &port));
    world.asks(publisher)?.args(["--", "/usr/bin/python3", "-uc", &attack]).run()?.expect(0)?;
    first.send("\n")?;
    assert!(first.finish(SOON)?.stdout.contains("error 0"));
    // The control: the one to whom it was sent may say so.
    let mut second = victim(&world)?;
    heard.wait_for(" .\nport", SOON)?;
    attacks::soon(|| Ok(heard.stdout().matches(" .").count() == 2))?;
    let port = heard.stdout().split_whitespace().rev().nth(1).unwrap_or_default().to_string();
    let own =
        format!("{FRAMES}{}send('wan0', neighbour('wan0', '192.0.2.1'), packet)", error("192.0.2.2", &port));
    world.python("inet", &own)?;
    second.send("\n")?;
    assert!(second.finish(SOON)?.stdout.contains("error 111"));
    Ok(())
}

//! What a container can make the host believe by its end of a link, and what a script can make of a link's
//! addresses and routes.

use anyhow::Result;
use attacks::{FRAMES, TORN_DOWN, World};
use support::{Census, Scratch, root_or_skip};

const LINK: &str = "own=all private proc lo veth=nsh0,eth0 up";
const LINK_V4: &str = "host=10.9.0.1/30 inside=10.9.0.2/30";
const NAT_V4: &str = "route-inside=0.0.0.0/0,10.9.0.1 masquerade=10.9.0.2,eth0";
const LINK_V6: &str = "host=fd00:9::1/64 inside=fd00:9::2/64";

/// Router advertisements with a default route of high preference and a prefix, from a link-local address.
fn advertise() -> String {
    format!(
        "{FRAMES}
prefix = struct.pack('!BBBBIII', 3, 4, 64, 0xc0, 9999, 9999, 0) + socket.inet_pton(socket.AF_INET6, '2001:db8:bad::')
body = struct.pack('!BBHII', 64, 0x08, 9000, 0, 0) + prefix
redirect = struct.pack('!I', 0) + socket.inet_pton(socket.AF_INET6, 'fe80::bad') + socket.inet_pton(socket.AF_INET6, '2001:db8:77::1')
for _ in range(5):
    send('eth0', bytes.fromhex('333300000001'), icmp6('fe80::bad', 'ff02::1', 134, body))
    send('eth0', bytes.fromhex('333300000001'), icmp6('fe80::bad', 'ff02::1', 137, redirect))
    time.sleep(0.05)
print('ready')
sys.stdin.read()
"
    )
}

/// Row 1.
#[test]
fn a_router_advertisement_is_not_believed() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let world = World::new()?;
    let routes = || {
        world.host.shell(
            "ip -6 route show default; ip -6 route show 2001:db8:bad::/64; ip -6 route get 2001:db8:77::1",
        )
    };
    let addresses = || world.host.shell("ip -6 -o address show scope global | awk '{print $2, $4}'");
    for more in [LINK_V4.to_string(), format!("{LINK_V4} {NAT_V4}"), format!("{LINK_V4} {LINK_V6}")] {
        let before = (routes()?, addresses()?);
        let container = world.python_container(&format!("{LINK} {more}"), &advertise())?;
        std::thread::sleep(std::time::Duration::from_millis(300));
        let own = format!("{}nsh0 fd00:9::1/64\n", before.1);
        let expected = if more.contains("fd00") { own } else { before.1 };
        assert_eq!(routes()?, before.0, "with {more}");
        assert_eq!(addresses()?, expected, "with {more}");
        container.finish(attacks::SOON)?.expect(0)?;
        world.host.shell("i=0; while ip link show nsh0 >/dev/null 2>&1 && [ $i -lt 300 ]; do sleep 0.01; i=$((i + 1)); done")?;
    }
    // The control: who is no container of ours is believed by the same host.
    world.host.shell(
        "ip netns add other; ip link add nsh1 type veth peer name eth0 netns other
        ip link set nsh1 up; ip -n other link set eth0 up",
    )?;
    let before = routes()?;
    let _router = world.python_start("other", &advertise())?;
    attacks::soon(|| Ok(routes()? != before))?;
    Ok(())
}

/// Errors about packets that were sent to somebody else.
#[test]
fn an_error_about_anothers_packet_is_not_believed() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    for (lan, host, own, own_host, program) in [
        (
            World::LAN,
            World::HOST_LAN,
            "10.9.0.2",
            "10.9.0.1",
            "def error(source, to, sender, asked):
    inner = ip4(sender, asked, 1, struct.pack('!BBHHH', 0, 0, 0xffff, 0, 0))
    bare = struct.pack('!BBHHH', 3, 4, 0, 0, 576) + inner
    return ip4(source, to, 1, bare[:2] + struct.pack('!H', checksum(bare)) + bare[4:])
",
        ),
        (
            World::LAN_V6,
            World::HOST_LAN_V6,
            "fd00:9::2",
            "fd00:9::1",
            "def error(source, to, sender, asked):
    bare = struct.pack('!BBHHH', 129, 0, 0, 0, 0)
    inner = ip6(sender, asked, 58, bare[:2] + struct.pack('!H', sum6(sender, asked, 58, bare)) + bare[4:])
    return icmp6(source, to, 2, struct.pack('!I', 1280) + inner)
",
        ),
    ] {
        let world = World::new()?;
        let narrow = |to: &str| {
            let text = world.host.shell(&format!("ip route get {to}"))?;
            anyhow::Ok(text.contains("mtu 576") || text.contains("mtu 1280"))
        };
        let attack = format!(
            "{FRAMES}{program}to = neighbour('eth0', '10.9.0.1')
for _ in range(3):
    send('eth0', to, error({own:?}, {own_host:?}, {host:?}, {lan:?}))
    send('eth0', to, error({own:?}, {own_host:?}, {own_host:?}, {own:?}))
print('ready')
sys.stdin.read()
"
        );
        let attacker = world.python_container(&format!("{LINK} {LINK_V4} {LINK_V6}"), &attack)?;
        // What was sent to the container, it may say so of.
        attacks::soon(|| narrow(own))?;
        assert!(!narrow(lan)?, "{lan}");
        // The control: whose packet it was is believed.
        let own = format!(
            "{FRAMES}{program}send('lan0', neighbour('lan0', '198.51.100.1'), error({lan:?}, {host:?}, {host:?}, {lan:?}))"
        );
        world.python("lan", &own)?;
        attacks::soon(|| narrow(lan))?;
        attacker.finish(attacks::SOON)?.expect(0)?;
    }
    Ok(())
}

/// The packet that an error is about was sent to the container, by its header, and to another by its segments.
#[test]
fn an_error_about_another_segment_is_not_believed() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let world = World::new()?;
    let error = format!(
        "{FRAMES}
def error(source, to, first, last):
    routing = struct.pack('!BBBBBBH', 17, 2, 4, 0, 0, 0, 0) + socket.inet_pton(socket.AF_INET6, last)
    inner = ip6({:?}, first, 43, routing + struct.pack('!HHHH', 40001, 40002, 8, 0))
    return icmp6(source, to, 1, bytes(4) + inner, 4)
",
        World::HOST_LAN_V6
    );
    // Who goes on sending, and hears whether somebody says that nobody is there.
    let talk = format!(
        "import socket
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s.bind(({:?}, 40001)); s.connect(({:?}, 40002)); s.settimeout(5)
print('ready')
input()
try:
    s.recv(10)
except OSError as e:
    print('ended by', type(e).__name__)
",
        World::HOST_LAN_V6,
        World::LAN_V6
    );
    let mut talking = world.python_start("host", &talk)?;
    let own = "fd00:9::2";
    let attack = format!(
        "{error}to = neighbour('eth0', '10.9.0.1')
for to_host in 'fd00:9::1', {:?}:
    for first in {own:?}, {:?}:
        send('eth0', to, error({own:?}, to_host, first, {:?}))
print('ready')
sys.stdin.read()
",
        World::HOST_LAN_V6,
        World::LAN_V6,
        World::LAN_V6
    );
    let attacker = world.python_container(&format!("{LINK} {LINK_V4} {LINK_V6}"), &attack)?;
    attacker.finish(attacks::SOON)?.expect(0)?;
    talking.send("\n")?;
    let heard = talking.finish(attacks::SOON)?;
    assert!(heard.expect(0)?.contains("ended by TimeoutError"), "{}", heard.text());
    // The control: of the flow's other end it is believed.
    let mut talking = world.python_start("host", &talk)?;
    let own = format!(
        "{error}send('lan0', neighbour('lan0', '198.51.100.1'), error({:?}, {:?}, 'fd00:9::2', {:?}))",
        World::LAN_V6,
        World::HOST_LAN_V6,
        World::LAN_V6
    );
    world.python("lan", &own)?;
    talking.send("\n")?;
    let heard = talking.finish(attacks::SOON)?;
    assert!(heard.expect(0)?.contains("ended by ConnectionRefusedError"), "{}", heard.text());
    Ok(())
}

/// A next hop of the host's that sends it to another.
#[test]
fn a_redirect_of_a_next_hop_is_not_believed() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let world = World::new()?;
    let redirect = |net: &str| {
        format!(
            "{FRAMES}
os.system('ip address add {net}.3/29 dev eth0')
to = neighbour('eth0', '{net}.1')
bare = struct.pack('!BBH4s', 5, 1, 0, socket.inet_aton('{net}.3'))
bare += ip4('{net}.1', '10.51.1.9', 1, struct.pack('!BBHHH', 0, 0, 0xffff, 0, 0))
print('ready')
for _ in range(10):
    send('eth0', to, ip4('{net}.2', '{net}.1', 1, bare[:2] + struct.pack('!H', checksum(bare)) + bare[4:]))
    time.sleep(0.05)
print('said')
sys.stdin.read()
"
        )
    };
    let way = || world.host.shell("ip route get 10.51.1.9");
    let steps = format!("{LINK} host=10.9.0.1/29 inside=10.9.0.2/29 route-host=10.51.1.0/24,10.9.0.2");
    let mut container = world.python_container(&steps, &redirect("10.9.0"))?;
    container.wait_for("said", attacks::SOON)?;
    assert!(way()?.contains("via 10.9.0.2 "), "{}", way()?);
    container.finish(attacks::SOON)?.expect(0)?;
    // The control: of who is no container of ours it is believed.
    world.host.shell(
        "ip netns add other; ip link add nsh1 type veth peer name eth0 netns other
        ip address add 10.8.0.1/29 dev nsh1; ip -n other address add 10.8.0.2/29 dev eth0
        ip link set nsh1 up; ip -n other link set eth0 up
        ip route replace 10.51.1.0/24 via 10.8.0.2",
    )?;
    let mut other = world.python_start("other", &redirect("10.8.0"))?;
    other.wait_for("said", attacks::SOON)?;
    assert!(way()?.contains("via 10.8.0.3 "), "{}", way()?);
    Ok(())
}

/// What leads to a link that is about to vanish is nobody's any more.
#[test]
fn a_next_hop_goes_with_its_container() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let world = World::new()?;
    for _ in 0..10 {
        let steps = format!("{LINK} {LINK_V4} route-host=10.51.1.0/24,10.9.0.2");
        world.asks(&steps)?.args(["--", "true"]).run()?.expect(0)?;
    }
    Ok(())
}

/// Row 1, the other half: what listens on all of the host's IPv6 addresses.
#[test]
fn a_link_without_ipv6_speaks_none() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let world = World::new()?;
    let _server = world.python_start(
        "host",
        "import socket\ns = socket.create_server(('::', 7777), family=socket.AF_INET6)\nprint('ready')\nwhile True: s.accept()",
    )?;
    // The link-local address of the other end, from its hardware address, which ARP tells.
    let call = format!(
        "{FRAMES}
m = neighbour('eth0', '10.9.0.1')
eui = bytes([m[0] ^ 2]) + m[1:3] + b'\\xff\\xfe' + m[3:]
address = socket.inet_ntop(socket.AF_INET6, bytes.fromhex('fe80') + bytes(6) + eui)
os.system('ip link set lo up; echo 0 > /proc/sys/net/ipv6/conf/eth0/accept_dad; ip -6 address add fe80::2/64 dev eth0 nodad 2>/dev/null')
def reached(address):
    for _ in range(15):
        try:
            socket.create_connection((address, 7777), 0.2)
            return 'yes'
        except OSError:
            time.sleep(0.05)
    return 'no'
print(reached(address + '%eth0'), reached('fd00:9::1'))
"
    );
    let ask = |steps: &str| {
        let output = world.asks(steps)?.args(["--", "/usr/bin/python3", "-uc", &call]).run()?;
        anyhow::Ok(output.expect(0)?.trim().to_string())
    };
    assert_eq!(ask(&format!("{LINK} {LINK_V4}"))?, "no no");
    // The control: what was granted an IPv6 address reaches the host by that.
    assert_eq!(ask(&format!("{LINK} {LINK_V4} {LINK_V6}"))?, "no yes");
    Ok(())
}

/// Row 2: what one container has, another does not get, nor what the host or its neighbours have.
#[test]
fn nobody_gets_an_address_that_somebody_has() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let world = World::new()?;
    let before = Census::take(&world.host)?;
    let a = format!("own=usual private proc lo veth=nshA,eth0 up {LINK_V4} {NAT_V4} {LINK_V6}");
    let holder = world.container(&a, "echo ready; read line; true")?;
    let b = "own=usual private proc lo veth=nshB,eth0 up";
    for (attack, told) in [
        ("inside=10.9.0.2/30 tcp=8000,10.9.0.2,80", "belongs to container"),
        ("inside=10.9.0.2/32 masquerade=10.9.0.2,eth0", "belongs to container"),
        ("inside=fd00:9::2/128 udp=8000,fd00:9::2,80", "belongs to container"),
        // The gateway of A's link, which is an address of the host's, and one that lies in A's network.
        ("inside=10.9.0.1/30 tcp=8000,10.9.0.1,80", "belongs to container"),
        ("inside=fd00:9::77/64 masquerade=fd00:9::77,eth0", "belongs to container"),
        ("inside=10.9.0.3/29 masquerade=10.9.0.3,eth0", "belongs to container"),
        ("inside=198.51.100.2/24 masquerade=198.51.100.2,eth0", "\"eth1\""),
        ("inside=192.0.2.1/24 tcp=8000,192.0.2.1,80", "\"eth0\""),
        ("inside=2001:db8:2::2/64 tcp=8000,2001:db8:2::2,80", "\"eth1\""),
        ("inside=192.0.2.2/24", "\"eth0\""),
    ] {
        let output = world.asks(&format!("{b} {attack}"))?.args(["--", "true"]).run()?;
        assert_ne!(output.code(), 0, "{attack}: {}", output.text());
        assert!(output.stderr.contains(told), "{attack}: {}", output.text());
    }
    // The control: with addresses that nobody has, the same is done.
    for fine in [
        "host=10.9.0.5/30 inside=10.9.0.6/30 tcp=8000,10.9.0.6,80",
        "host=10.9.0.5/30 inside=10.9.0.6/30 masquerade=10.9.0.6,eth0",
        "host=fd00:a::1/64 inside=fd00:a::2/64 masquerade=fd00:a::2,eth0",
    ] {
        world.asks(&format!("{b} {fine}"))?.args(["--", "true"]).run()?.expect(0)?;
    }
    holder.finish(attacks::SOON)?.expect(0)?;
    before.comes_back(&world.host, TORN_DOWN)
}

/// Row 2 (c): who masquerades the addresses that others are about to take does not keep them from it.
#[test]
fn a_range_that_one_holds_leaves_the_others_room() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let world = World::new()?;
    let squats: String = (0..32)
        .map(|n| format!("inside=10.87.0.{}/32 masquerade=10.87.0.{},eth0 ", n * 4 + 2, n * 4 + 2))
        .collect();
    let squatter = format!("own=usual private proc lo veth=squat,eth0 up {squats}");
    let holder = world.container(&squatter, "echo ready; read line; true")?;
    for _ in 0..3 {
        let output =
            world.host.nshost()?.run_script("nat")?.args(["--", "ip", "-br", "-4", "address"]).run()?;
        let text = output.expect(0)?;
        assert!(text.contains("10.87.") && !text.contains("10.87.0.2/30"), "{text}");
    }
    holder.finish(attacks::SOON)?.expect(0)?;
    Ok(())
}

/// Row 8.
#[test]
fn what_the_host_relies_on_is_not_drawn_away() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let world = World::new()?;
    world.host.shell("ip route add 10.70.0.0/16 via 198.51.100.2; mkdir -p /run/systemd/resolve; echo nameserver 10.53.0.1 > /run/systemd/resolve/resolv.conf")?;
    let scratch = Scratch::new()?;
    let grants = "
[[link]]
kind = 'veth'
host-name = '*'
[[address]]
range = '0.0.0.0/0'
[[route]]
side = 'host'
to = '0.0.0.0/0'
";
    let link = "own=usual private proc lo veth=nsh0,eth0 up";
    for (attack, code, told) in [
        ("host=169.254.169.253/30 inside=169.254.169.254/30", 125, "169.254.169.25"),
        ("host=10.53.0.2/24 inside=10.53.0.3/24", 125, "10.53.0.1"),
        ("host=10.53.0.2/24 inside=10.53.0.1/24", 125, "10.53.0.1"),
        (
            "host=10.8.0.1/30 inside=10.8.0.2/30 route-host=0.0.0.0/1,10.8.0.2 route-host=128.0.0.0/1,10.8.0.2",
            125,
            "default route",
        ),
        ("host=10.8.0.1/30 inside=10.8.0.2/30 route-host=8.8.8.0/24,10.8.0.2", 122, "for-containers"),
        ("host=8.8.8.1/24 inside=8.8.8.8/24", 122, "for-containers"),
        ("host=10.8.0.1/30 inside=10.8.0.2/30 route-host=169.254.169.254/32,10.8.0.2", 125, "metadata"),
    ] {
        let output =
            world.asks_granted(&scratch, grants, &format!("{link} {attack}"))?.args(["--", "true"]).run()?;
        assert_eq!(output.code(), code, "{attack}: {}", output.text());
        assert!(output.stderr.contains(told), "{attack}: {}", output.text());
    }
    // Not even if the operator says that the range is for containers.
    let all = grants.replace("'0.0.0.0/0'", "'0.0.0.0/0'\nfor-containers = true");
    for (attack, told) in [
        ("host=169.254.169.253/30 inside=169.254.169.254/30", "169.254.169.25"),
        ("host=10.8.0.1/30 inside=10.8.0.2/30 route-host=0.0.0.0/1,10.8.0.2", "default route"),
        ("host=10.8.0.1/30 inside=10.8.0.2/30 route-host=128.0.0.0/1,10.8.0.2", "default route"),
    ] {
        let output =
            world.asks_granted(&scratch, &all, &format!("{link} {attack}"))?.args(["--", "true"]).run()?;
        assert_eq!(output.code(), 125, "{attack}: {}", output.text());
        assert!(output.stderr.contains(told), "{attack}: {}", output.text());
    }
    // The controls: private ranges as they are, public ones with that word.
    let fine =
        format!("{link} host=169.254.7.1/30 inside=169.254.7.2/30 route-host=10.99.0.0/16,169.254.7.2");
    world.asks_granted(&scratch, grants, &fine)?.args(["--", "true"]).run()?.expect(0)?;
    let fine = format!("{link} host=8.8.8.1/24 inside=8.8.8.8/24");
    world.asks_granted(&scratch, &all, &fine)?.args(["--", "true"]).run()?.expect(0)?;
    Ok(())
}

/// Row 9.
#[test]
fn a_containers_link_is_no_way_out() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let world = World::new()?;
    let a = format!("own=usual private proc lo veth=nshA,eth0 up {LINK_V4} {NAT_V4} {LINK_V6}");
    let serve = "nc -n -l -k 81 >/dev/null & nc -n -6 -l -k 82 >/dev/null & echo ready; read line; true";
    let mut holder = world.container(&a, serve)?;
    let b = "own=usual private proc lo veth=nshB,eth0 up host=10.9.1.1/30 inside=10.9.1.2/30 \
             host=fd00:b::1/64 inside=fd00:b::2/64 route-inside=0.0.0.0/0,10.9.1.1 route-inside=::/0,fd00:b::1";
    let reach = "nc -n -z -w 1 10.9.0.2 81 && echo reached; nc -n -z -w 1 fd00:9::2 82 && echo reached; true";
    for way in [
        "masquerade=10.9.1.2,nshA",
        "masquerade=fd00:b::2,nshA",
        "masquerade=10.9.1.2,eth0 masquerade=fd00:b::2,eth0",
    ] {
        let output = world.asks(&format!("{b} {way}"))?.args(["--", "sh", "-c", reach]).run()?;
        assert!(!output.stdout.contains("reached"), "{way}: {}", output.text());
        if way.contains("nshA") {
            assert_eq!(output.code(), 125, "{way}: {}", output.text());
            assert!(output.stderr.contains("no way out"), "{way}: {}", output.text());
        }
    }
    // The controls: the host reaches both, and eth0 is a way out.
    for (address, port) in [("10.9.0.2", 81), ("fd00:9::2", 82)] {
        let call = format!("nc -n -z -w 2 {address} {port}");
        assert_eq!(world.shell("host", &call)?.code(), 0, "{call}");
    }
    let _far = world.start("inet", "nc -n -l -k 192.0.2.2 7000 >/dev/null")?;
    let out = "i=0; until nc -n -z -w 1 192.0.2.2 7000 || [ $i -gt 20 ]; do i=$((i + 1)); sleep 0.05; done; [ $i -le 20 ]";
    world.asks(&format!("{b} masquerade=10.9.1.2,eth0"))?.args(["--", "sh", "-c", out]).run()?.expect(0)?;
    holder.send("\n")?;
    holder.finish(attacks::SOON)?.expect(0)?;
    Ok(())
}

//! What else a host believes of a link: frames and packets of protocols that no grant is about, one by one.

use std::collections::BTreeSet;

use anyhow::Result;
use attacks::{FRAMES, SOON, World};
use support::{Running, root_or_skip};

/// What a container may say: packets with its own addresses to an address of the host's, whatever they are wrapped in.
const GRANTED: [&str; 6] = ["own", "own6", "vlan-none", "hop6", "dst6", "frag6"];
/// What no socket hears but one for whole frames: the kernel has no use for it, here and by any link.
const FRAMES_ONLY: [&str; 12] = [
    "lldp",
    "stp",
    "eapol",
    "pppoe",
    "mpls",
    "ptp",
    "vlan-five",
    "rh0",
    "rh0-foreign",
    "arp-claim",
    "arp-ask",
    "arp-probe",
];

/// Says all of it by `eth0` when it is told to, each frame with its name in it; then which ARP requests were answered.
fn say(own: &str, host: &str, net: &str, own6: &str, host6: &str) -> String {
    format!(
        "{FRAMES}
own, host, net, own6, host6 = {own:?}, {host:?}, {net:?}, {own6:?}, {host6:?}
gateway, gateway6, eth0 = '192.0.2.2', '2001:db8:1::2', '192.0.2.1'
to, everybody = neighbour('eth0', host), b'\\xff' * 6
{SAY}"
    )
}

const SAY: &str = r"
def name(text):
    return b'frame-' + text.encode() + b'.'
def arp(kind, sender, target):
    return struct.pack('!HHBBH', 1, 0x0800, 6, 4, kind) + mac('eth0') + socket.inet_aton(sender) + bytes(6) + socket.inet_aton(target)
def igmp(kind, text):
    bare = struct.pack('!BBH4s', kind, 0, 0, bytes(4)) + name(text)
    return bare[:2] + struct.pack('!H', checksum(bare)) + bare[4:]
def advert4(text):
    bare = struct.pack('!BBHBBH', 9, 0, 0, 1, 2, 1800) + socket.inet_aton(own) + bytes(4) + name(text)
    return bare[:2] + struct.pack('!H', checksum(bare)) + bare[4:]
def mld(source, target, text):
    bare = struct.pack('!BBHHH', 143, 0, 0, 0, 0) + name(text)
    bare = bare[:2] + struct.pack('!H', sum6(source, target, 58, bare)) + bare[4:]
    return ip6(source, target, 0, bytes([58, 0, 5, 2, 0, 0, 1, 0]) + bare, 1)
def options6(source, target, kind, text):
    # The first header says what follows it: options of four bytes of nothing, a fragment that is all, a route of nobody.
    inner = udp6(source, 9, target, 5353, name(text))[40:]
    head = {0: bytes([17, 0, 1, 4, 0, 0, 0, 0]), 60: bytes([17, 0, 1, 4, 0, 0, 0, 0]), 44: bytes([17, 0, 0, 0, 0, 0, 0, 7]),
            43: bytes([17, 2, 0, 1, 0, 0, 0, 0]) + socket.inet_pton(socket.AF_INET6, gateway6)}[kind]
    return ip6(source, target, kind, head + inner, 64)
group = lambda address: bytes.fromhex('01005e') + socket.inet_aton(address)[1:]
group6 = lambda address: bytes.fromhex('3333') + socket.inet_pton(socket.AF_INET6, address)[12:]
frames = []
def add(text, target, kind, payload):
    frames.append((text, target, kind.to_bytes(2, 'big') + payload))
add('lldp', bytes.fromhex('0180c200000e'), 0x88cc, b'\x02\x07\x04' + mac('eth0') + b'\x04\x05\x07eth0\x06\x02\0\x78\0\0' + name('lldp'))
bpdu = b'\x42\x42\x03' + bytes(5) + bytes(8) + bytes(4) + bytes(8) + b'\x80\1' + b'\0\0\x14\0\2\0\x0f\0' + name('stp')
add('stp', bytes.fromhex('0180c2000000'), len(bpdu), bpdu)
add('eapol', bytes.fromhex('0180c2000003'), 0x888e, b'\1\0\0\x20' + name('eapol'))
add('pppoe', everybody, 0x8863, b'\x11\x09\0\0\0\x20' + name('pppoe'))
add('mpls', to, 0x8847, struct.pack('!I', 0x140) + udp4(own, 9, host, 137, name('mpls')))
add('ptp', bytes.fromhex('011b19000000'), 0x88f7, b'\0\2\0\x2c' + bytes(30) + name('ptp'))
add('vlan-five', to, 0x8100, b'\0\5\x08\0' + udp4(own, 9, host, 137, name('vlan-five')))
add('vlan-none', to, 0x8100, b'\0\0\x08\0' + udp4(own, 9, host, 137, name('vlan-none')))
add('vlan-foreign', to, 0x8100, b'\0\0\x08\0' + udp4(gateway, 9, host, 137, name('vlan-foreign')))
add('arp-claim', everybody, 0x0806, arp(2, gateway, gateway) + name('arp-claim'))
add('arp-ask', everybody, 0x0806, arp(1, gateway, host) + name('arp-ask'))
add('arp-probe', everybody, 0x0806, arp(1, '0.0.0.0', eth0) + name('arp-probe'))
def packet(text, target, bytes_of):
    add(text, target, 0x0800 if bytes_of[0] >> 4 == 4 else 0x86dd, bytes_of)
packet('own', to, udp4(own, 9, host, 137, name('own')))
packet('own6', to, udp6(own6, 9, host6, 5353, name('own6')))
for text, source, target in [('netbios-all', own, '255.255.255.255'), ('netbios-net', own, net), ('netbios-other', own, '192.0.2.255'),
                             ('netbios-foreign', gateway, host)]:
    packet(text, to if text.endswith('foreign') else everybody, udp4(source, 137, target, 137, name(text)))
# A hardware address says nothing of who is meant.
packet('netbios-hidden', to, udp4(own, 137, net, 137, name('netbios-hidden')))
for text, source, target in [('dhcp-nobody', '0.0.0.0', '255.255.255.255'), ('dhcp-own', own, '255.255.255.255'), ('dhcp-foreign', gateway, host)]:
    packet(text, everybody, udp4(source, 67, target, 68, b'\2\1\6\0' + bytes(232) + b'\x63\x82\x53\x63\x35\1\5\xff' + name(text)))
packet('mdns', group('224.0.0.251'), udp4(own, 5353, '224.0.0.251', 5353, name('mdns')))
packet('mdns6', group6('ff02::fb'), udp6(own6, 5353, 'ff02::fb', 5353, name('mdns6')))
packet('igmp-report', group('224.0.0.22'), ip4(own, '224.0.0.22', 2, igmp(0x22, 'igmp-report')))
packet('igmp-leave', group('224.0.0.2'), ip4(own, '224.0.0.2', 2, igmp(0x17, 'igmp-leave')))
packet('igmp-query', group('224.0.0.1'), ip4(own, '224.0.0.1', 2, igmp(0x11, 'igmp-query')))
packet('igmp-host', to, ip4(own, host, 2, igmp(0x16, 'igmp-host')))
packet('irdp', group('224.0.0.1'), ip4(own, '224.0.0.1', 1, advert4('irdp')))
packet('irdp-host', to, ip4(own, host, 1, advert4('irdp-host')))
packet('mld', group6('ff02::1'), mld(own6, 'ff02::1', 'mld'))
packet('mld-link', group6('ff02::1'), mld('fe80::77', 'ff02::1', 'mld-link'))
packet('mld-nobody', group6('ff02::1'), mld('::', 'ff02::1', 'mld-nobody'))
for kind, text in [(0, 'hop6'), (60, 'dst6'), (44, 'frag6'), (43, 'rh0')]:
    packet(text, to, options6(own6, host6, kind, text))
    packet(text + '-foreign', to, options6(gateway6, host6, kind, text + '-foreign'))
    if kind != 43:
        packet(text + '-all', group6('ff02::1'), options6(own6, 'ff02::1', kind, text + '-all'))
        packet(text + '-link', group6('ff02::1'), options6('fe80::77', 'ff02::1', kind, text + '-link'))
for number, text in [(4, 'ipip'), (47, 'gre'), (50, 'esp'), (89, 'ospf'), (132, 'sctp')]:
    packet(text, to, ip4(own, host, number, bytes(16) + name(text)))
packet('gre6', to, ip6(own6, host6, 47, bytes(16) + name('gre6'), 64))
packet('sctp6', to, ip6(own6, host6, 132, bytes(16) + name('sctp6'), 64))
wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0806))
wire.bind(('eth0', 0))
wire.settimeout(0.3)
print('ready')
sys.stdin.readline()
for text, target, rest in frames:
    wire.send(target + mac('eth0') + rest)
    time.sleep(0.002)
answered = set()
try:
    while True:
        frame = wire.recv(2000)
        if frame[20:22] == b'\0\2':
            answered.add(socket.inet_ntoa(frame[28:32]))
except socket.timeout:
    pass
print('said', ' '.join(text for text, _, _ in frames))
print('answered', ' '.join(sorted(answered - {host})))
sys.stdin.readline()
";

/// Listens by all links as daemons do: sockets of UDP and of protocols, members of the usual groups of the link; and
/// one for whole frames.
fn hear(link: &str) -> String {
    format!("link = {link:?}\n{HEAR}")
}

const HEAR: &str = r"
import re, select, socket, struct, sys
index = socket.if_nametoindex(link)
ears = {}
for port in (67, 68, 137, 5353):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(('0.0.0.0', port))
    s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    ears[s] = 'heard'
for group in ('224.0.0.251', '224.0.0.22', '224.0.0.2'):
    s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton(group) + bytes(4) + struct.pack('=i', index))
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
s.bind(('::', 5353))
s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, socket.inet_pton(socket.AF_INET6, 'ff02::fb') + struct.pack('=I', index))
ears[s] = 'heard'
for number in (1, 2, 4, 47, 50, 89, 132):
    ears[socket.socket(socket.AF_INET, socket.SOCK_RAW, number)] = 'heard'
for number in (47, 58, 132):
    ears[socket.socket(socket.AF_INET6, socket.SOCK_RAW, number)] = 'heard'
wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
wire.bind((link, 0))
ears[wire] = 'seen'
told = set()
print('ready')
while True:
    for ear in select.select(list(ears) + [sys.stdin], [], [])[0]:
        if ear is sys.stdin:
            sys.exit()
        found = re.search(b'frame-([a-z0-9-]+)\\.', ear.recv(2000))
        line = found and ears[ear] + ' ' + found[1].decode()
        # An error that the host sends quotes what it is about: by its own words nobody is attacked.
        if line and line not in told:
            told.add(line)
            print(line, flush=True)
";

/// What `kind` of ears got.
fn told(ears: &Running, kind: &str) -> BTreeSet<String> {
    let text = ears.stdout();
    text.lines().filter_map(|line| line.strip_prefix(kind)).map(|name| name.trim().to_string()).collect()
}

/// Has the speaker speak: what it said, what was heard, what was seen, which of the host's other addresses answered.
fn spoken(speaker: &mut Running, ears: &Running) -> Result<[BTreeSet<String>; 4]> {
    speaker.send("\n")?;
    speaker.wait_for("answered", SOON)?;
    let text = speaker.stdout();
    let words = |kind: &str| {
        let lines = text.lines().filter_map(|line| line.strip_prefix(kind));
        lines.flat_map(str::split_whitespace).map(String::from).collect::<BTreeSet<_>>()
    };
    let said = words("said");
    attacks::soon(|| Ok(told(ears, "seen") == said))?;
    let all = [said, told(ears, "heard"), told(ears, "seen"), words("answered")];
    Ok(all)
}

/// Nothing but what the container may send is heard, and nothing changes.
#[test]
fn a_link_speaks_for_nobody_but_its_container() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let world = World::new()?;
    let state = || {
        world.host.shell(
            "ip -o address; ip route show table all; ip -6 route show table all; ip -o maddress
            ip -o -details link show type bridge; ip -o link show up | cut -d: -f2
            ip -o neighbour | grep -Ev '^(10[.][89][.]0[.]2|fd00:[89]::2|fe80::[^ ]*) ' | cut -d' ' -f1-3",
        )
    };
    let words = |list: &[&str]| list.iter().map(ToString::to_string).collect::<BTreeSet<_>>();

    let steps = "own=all private proc lo veth=nsh0,eth0 up host=10.9.0.1/29 inside=10.9.0.2/29 \
                 host=fd00:9::1/64 inside=fd00:9::2/64";
    let program = say("10.9.0.2", "10.9.0.1", "10.9.0.7", "fd00:9::2", "fd00:9::1");
    let mut container = world.python_container(steps, &program)?;
    let ears = world.python_start("host", &hear("nsh0"))?;
    let before = state()?;
    let [said, heard, seen, answered] = spoken(&mut container, &ears)?;
    assert_eq!(seen, said);
    assert_eq!(heard, words(&GRANTED));
    assert_eq!(answered, words(&[]));
    assert_eq!(state()?, before);
    drop((ears, container));

    // The control: by a link that nobody guards all of it is heard, and the host takes and tells what it should not.
    world.host.shell(
        "ip netns add other; ip link add nsh1 type veth peer name eth0 netns other
        ip netns exec other sh -c 'echo 0 > /proc/sys/net/ipv6/conf/eth0/accept_dad'
        echo 0 > /proc/sys/net/ipv4/conf/nsh1/rp_filter; echo 0 > /proc/sys/net/ipv4/conf/all/rp_filter
        ip address add 10.8.0.1/29 dev nsh1; ip address add fd00:8::1/64 dev nsh1 nodad
        ip -n other address add 10.8.0.2/29 dev eth0; ip -n other address add fd00:8::2/64 dev eth0 nodad
        ip link set nsh1 up; ip -n other link set eth0 up",
    )?;
    let program = say("10.8.0.2", "10.8.0.1", "10.8.0.7", "fd00:8::2", "fd00:8::1");
    let mut other = world.python_start("other", &program)?;
    let ears = world.python_start("host", &hear("nsh1"))?;
    let [said, heard, _, answered] = spoken(&mut other, &ears)?;
    assert_eq!(&said - &heard, words(&FRAMES_ONLY));
    assert_eq!(answered, words(&["192.0.2.1"]));
    assert!(state()?.contains("192.0.2.2 dev nsh1"), "{}", state()?);
    Ok(())
}

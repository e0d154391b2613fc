"""For attackers that have root in their own network namespace: whole Ethernet frames, byte by byte."""
import socket, struct, time, sys, os, fcntl

def mac(link):
    probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    return fcntl.ioctl(probe, 0x8927, struct.pack('256s', link.encode()))[18:24]

def neighbour(link, address):
    """The hardware address of the other end, from an ARP request of our own."""
    own = mac(link)
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0806))
    wire.bind((link, 0))
    wire.settimeout(0.2)
    source = inside4(link)
    ask = struct.pack('!HHBBH', 1, 0x0800, 6, 4, 1) + own + source + bytes(6) + socket.inet_aton(address)
    for _ in range(20):
        wire.send(b'\xff' * 6 + own + b'\x08\x06' + ask)
        try:
            while True:
                frame = wire.recv(2000)
                if frame[20:22] == b'\x00\x02' and frame[28:32] == socket.inet_aton(address):
                    return frame[22:28]
        except socket.timeout:
            pass
    sys.exit('nobody answers for ' + address)

def inside4(link):
    probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    return fcntl.ioctl(probe, 0x8915, struct.pack('256s', link.encode()))[20:24]

def checksum(data):
    data += bytes(len(data) % 2)
    total = sum(struct.unpack('!%dH' % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff

def ip4(source, to, protocol, payload):
    head = struct.pack('!BBHHHBBH4s4s', 0x45, 0, 20 + len(payload), 7, 0, 64, protocol, 0,
                       socket.inet_aton(source), socket.inet_aton(to))
    return head[:10] + struct.pack('!H', checksum(head)) + head[12:] + payload

def part4(source, to, ident, at, more, part):
    """A fragment of UDP; `at` in bytes, a multiple of 8."""
    head = struct.pack('!BBHHHBBH4s4s', 0x45, 0, 20 + len(part), ident, (0x2000 if more else 0) | at // 8, 64, 17, 0,
                       socket.inet_aton(source), socket.inet_aton(to))
    return head[:10] + struct.pack('!H', checksum(head)) + head[12:] + part

def part6(source, to, ident, at, more, part):
    return ip6(source, to, 44, struct.pack('!BBHI', 17, 0, at | more, ident) + part)

def udp4(source, port, to, to_port, data):
    """Without a checksum, which IPv4 allows."""
    return ip4(source, to, 17, struct.pack('!HHHH', port, to_port, 8 + len(data), 0) + data)

def ip6(source, to, protocol, payload, hops=255):
    head = struct.pack('!IHBB', 6 << 28, len(payload), protocol, hops)
    return head + socket.inet_pton(socket.AF_INET6, source) + socket.inet_pton(socket.AF_INET6, to) + payload

def sum6(source, to, protocol, payload):
    ends = socket.inet_pton(socket.AF_INET6, source) + socket.inet_pton(socket.AF_INET6, to)
    return checksum(ends + struct.pack('!II', len(payload), protocol) + payload)

def icmp6(source, to, kind, body, code=0):
    bare = struct.pack('!BBH', kind, code, 0) + body
    return ip6(source, to, 58, bare[:2] + struct.pack('!H', sum6(source, to, 58, bare)) + bare[4:])

def udp6(source, port, to, to_port, data):
    bare = struct.pack('!HHHH', port, to_port, 8 + len(data), 0) + data
    return ip6(source, to, 17, bare[:6] + struct.pack('!H', sum6(source, to, 17, bare) or 0xffff) + bare[8:], 64)

def send(link, to_mac, packet):
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    wire.bind((link, 0))
    kind = b'\x08\x00' if packet[0] >> 4 == 4 else b'\x86\xdd'
    wire.send(to_mac + mac(link) + kind + packet)

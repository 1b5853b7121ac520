# SPDX-License-Identifier: GPL-2.0-or-later
"""Ethernet frames made by hand, and sent from a network namespace or a container's."""

import ipaddress
import struct
import sys

from machine import run

ICMPV6, FRAGMENT, OPTIONS, HOP_BY_HOP = 58, 44, 60, 0
PADDING = bytes((1, 4, 0, 0, 0, 0))  # six bytes of options that say nothing
ROUTER_ALERT = bytes((5, 2, 0, 0, 1, 0))


def mac(text):
    return bytes.fromhex(text.replace(":", ""))


def address(text):
    return ipaddress.ip_address(text).packed


def checksum(data):
    total = sum(struct.unpack(f"!{(len(data) + 1) // 2}H", data + b"\0" * (len(data) % 2)))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def ethernet(source, target, kind, payload):
    return mac(target) + mac(source) + struct.pack("!H", kind) + payload


def option(kind, text):
    """Of neighbour discovery: a hardware address, or six bytes of something else."""
    return bytes((kind, 1)) + mac(text)


def icmpv6(kind, source, target, body):
    """With the code 0."""
    pseudo = address(source) + address(target) + struct.pack("!II", 8 + len(body) - 4, ICMPV6)
    data = bytes((kind, 0, 0, 0)) + body
    return data[:2] + struct.pack("!H", checksum(pseudo + data)) + data[4:]


def ipv6(source, target, following, payload, hops=255):
    return struct.pack("!IHBB", 6 << 28, len(payload), following, hops) + address(source) + address(target) + payload


def header(following, options=PADDING):
    """An extension header of eight bytes."""
    return bytes((following, 0)) + options


def fragment(following, offset, more, number=1):
    """Offset in bytes."""
    return struct.pack("!BBHI", following, 0, offset | more, number)


def ipv4(source, target, protocol, payload, options=b"", hops=1):
    first = struct.pack("!BBHHHBBH", 0x40 | (5 + len(options) // 4), 0, 20 + len(options) + len(payload), 1, 0, hops, protocol, 0)
    head = first + address(source) + address(target) + options
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + payload


def send(space, frames, device="eth0"):
    run(space.enter(sys.executable, "-c",
                    "import socket, sys\n"
                    f"wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)\nwire.bind(('{device}', 0))\n"
                    "for line in sys.stdin: wire.send(bytes.fromhex(line))\n"), stdin="".join(frame.hex() + "\n" for frame in frames))


def send_large(space, target, port=7000):
    """One datagram that fills a frame, and must not be taken apart on the way."""
    space.run(sys.executable, "-c", f"import socket\nsender = socket.socket(socket.{'AF_INET6' if ':' in target else 'AF_INET'}, "
                                    f"socket.SOCK_DGRAM)\nsender.sendto(bytes(1400), ('{target}', {port}))")

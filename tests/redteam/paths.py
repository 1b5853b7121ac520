# SPDX-License-Identifier: GPL-2.0-or-later
"""What the attacks along other paths share: who sees what the host itself took in, and what came to a port of a container."""

import functools
import json
import re
import socket

from redteam import PORT, Wire, attack, in_namespace
from engine import UPLINK  # pylint: disable=wrong-import-order

UDP, TCP, ICMP, ICMPV6, IGMP, IPIP, SIT, GRE = 17, 6, 1, 58, 2, 4, 41, 47
GROUPS = {"ipv4": "224.0.0.1", "ipv6": "ff02::1"}


class Local:
    """What a namespace takes in for itself, whatever its address and port: what is left behind the rules of input."""

    def __init__(self, space, protocols, family="ipv4"):
        self.sockets = in_namespace(space, lambda: [self._open(protocol, family) for protocol in protocols])

    @staticmethod
    def _open(protocol, family):
        receiver = socket.socket(socket.AF_INET if family == "ipv4" else socket.AF_INET6, socket.SOCK_RAW, protocol)
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        receiver.setblocking(False)
        return receiver

    def count(self, mark):
        return sum(self._count(receiver, mark) for receiver in self.sockets)

    @staticmethod
    def _count(receiver, mark):
        found = 0
        while True:
            try:
                found += mark in receiver.recv(70000)
            except BlockingIOError:
                return found

    def close(self):
        for receiver in self.sockets:
            receiver.close()


class Answers:
    """What was printed by an attack that prints what it is answered: the number of answers with this text."""

    def __init__(self, text):
        self.text, self.found = text, 0

    def __call__(self, attempt, *arguments):
        self.found += self.text in attack(attempt.source, *arguments)

    def count(self, _):
        found, self.found = self.found, 0
        return found

    def close(self):
        pass


def to_port(port, proto):
    """True of frames with IPv4 or IPv6 without options, and TCP or UDP to this port."""
    number = {"tcp": TCP, "udp": UDP}[proto]

    def matches(frame):
        kind, header = frame[12:14], 14
        if kind == b"\x08\x00" and frame[23] == number and not frame[20] & 0x1f and not frame[21]:
            header += 4 * (frame[14] & 15)
        elif kind == b"\x86\xdd" and frame[20] == number:
            header += 40
        else:
            return False
        return int.from_bytes(frame[header + 2:header + 4], "big") == port

    return matches


def arrivals(container, port=PORT, proto="udp"):
    """Makes a Wire that counts what comes to a port of a container, by whatever way and from whomever."""
    return lambda: Wire(container, matches=to_port(port, proto))


@functools.lru_cache(maxsize=None)
def interface_mac(space, name):
    return json.loads(space.run("ip", "-j", "link", "show", name).stdout)[0]["address"]


def link_local(space, name):
    text = space.run("ip", "-6", "-o", "address", "show", "dev", name, "scope", "link").stdout
    return re.search(r"inet6 (\S+)/", text)[1]


def own_link_local(mac):
    """RFC 4291, appendix A."""
    part = [int(word, 16) for word in mac.split(":")]
    part[0] ^= 2
    return "fe80::{:02x}{:02x}:{:02x}ff:fe{:02x}:{:02x}{:02x}".format(*part)


def uplink(family):
    return UPLINK[family]

# SPDX-License-Identifier: GPL-2.0-or-later
"""What the attacks along other paths share: who sees what the host itself took in, and what came to a port of a container."""

import functools
import json
import re
import socket
import struct
import threading

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


# Name queries (RFC 1035)

def query(name, number=7):
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return struct.pack(">6H", number, 0x100, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">2H", 1, 1)


def look_up(space, name, server="127.0.0.11", timeout=0.5):
    """Asks once, from a container's network namespace: its addresses, or None where no answer came."""
    asker = in_namespace(space, lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    with asker:
        asker.settimeout(timeout)
        try:
            asker.sendto(query(name), (server, 53))
            answer = asker.recv(4096)
        except OSError:
            return None
    return answers(answer, len(query(name)))


def answers(packet, offset):
    """The IPv4 addresses in the answers of a packet, which begin at an offset."""
    found = []
    for _ in range(struct.unpack(">H", packet[6:8])[0]):
        while 0 < packet[offset] < 0xc0:  # a name, or a pointer to one
            offset += packet[offset] + 1
        offset += 2 if packet[offset] else 1
        kind, _, _, size = struct.unpack(">2HIH", packet[offset:offset + 10])
        found += [socket.inet_ntoa(packet[offset + 10:offset + 14])] if kind == 1 else []
        offset += 10 + size
    return found


class NameServer:
    """Answers every question for an address with the same, and keeps what it was asked. It runs as long as we do."""

    ANSWER = "198.51.100.7"

    def __init__(self, space, address):
        self.asked = []
        self.socket = in_namespace(space, lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind((address, 53))
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        while True:
            question, peer = self.socket.recvfrom(4096)
            self.asked.append(question)
            end = question.index(b"\0", 12) + 5
            answer = b"\xc0\x0c" + struct.pack(">2HIH", 1, 1, 60, 4) + socket.inet_aton(self.ANSWER)
            self.socket.sendto(question[:2] + struct.pack(">5H", 0x8180, 1, 1, 0, 0) + question[12:end] + answer, peer)




class Heard:
    """An observer: the questions with the mark in them that a name server hears from now on."""

    def __init__(self, server):
        self.server, self.before = server, len(server.asked)

    def count(self, mark):
        return sum(mark in question for question in self.server.asked[self.before:])

    def close(self):
        pass

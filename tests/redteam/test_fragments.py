#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Datagrams in pieces: without Cofferdam they pass one by one, as where nothing tracks connections; with it they are put
together before anything is judged, or dropped where another program's rules prevent that."""

import os
import socket
import unittest

from redteam import FAMILIES, POLICIES, PORT, Attack, Datagrams, Redteam, in_namespace

# Pieces of a UDP datagram of 208 bytes, its header of 8 among them; a goes to a port that no policy allows. The mark is
# in the first 40 bytes behind the header.
WHOLE = {
    "in two": "a0+104m,a104+999",
    "in two, the last first": "a104+999,a0+104m",
    "tiny first": "a0+8m,a8+999",
    "tiny pieces": "a0+8m,a8+32m,a40+8m,a48+8m,a56+999",
    "a piece twice": "a0+104m,a0+104m,a104+999",
}
# What no kernel puts together, and one that judges each piece by itself lets pass.
PARTIAL = {
    "the first only": "a0+104m",
    "the second only": "a8+104m",
    "the last only": "a8+999",
    "with a gap": "a0+64m,a72+999",
    "atomic with an offset": "a8+104",
    "over the end": "a0+104m,a104+48,a104+999",
}
# b goes to a port that is allowed: whoever judges the first header and keeps the other's bytes is taken in.
OVERLAPS = {
    "overlap, the allowed port first": "b0+64m,a0+64m,a64+999",
    "overlap, the denied port first": "a0+64m,b0+64m,a64+999",
    "overlap of the header's end": "b0+16m,a8+999,a0+8m",
    "overlap by a tiny one": "b0+64m,a0+8m,b64+999",
    "overlap at the end": "a0+104m,b64+999,a104+999",
    "the last first, with another header in it": "a0+999,b0+104m,b104+999",
}
BEYOND = {"beyond 64 KiB": ("a0+104m", 65520), "beyond 64 KiB, the last": ("a0+104", 65528)}
NOTRACK = """
table inet redteam {
    chain pre { type filter hook prerouting priority -450; notrack; }
    chain out { type filter hook output priority -450; notrack; }
}
"""
SIZE = 200
IPV4_ONLY = {"with options in each header": ["pieces=a0+104m,a104+999", "ip_options=40"]}
IPV6_ONLY = {
    "atomic": ["pieces=a0+999"],
    "two fragment headers": ["pieces=a0+104m,a104+999", "nested=1"],
    "nine fragment headers": ["pieces=a0+104m,a104+999", "nested=8"],
    "UDP's header in the second piece": ["pieces=a0+64m,a64+999", "options=64"],
    "the last piece names TCP": ["pieces=a0+104m,a104+999", "next=6"],
    "the last piece names ICMPv6": ["pieces=a0+104m,a104+999", "next=58"],
    "UDP's header in the second piece, which names nothing": ["pieces=a0+64m,a64+999", "options=64", "next=59"],
}


ALLOWED = 5300  # the port of datagrams that are allowed to everybody here
POLICIES_HERE = POLICIES + f"""
---
policy: large-out
select: {{labels: {{role: attacker}}}}
egress:
  - {{to: [{{all: true}}, internet, host], ports: [{ALLOWED}/udp]}}
---
policy: large-in
select: {{all: true}}
ingress:
  - {{from: [{{labels: {{role: attacker}}}}], ports: [{ALLOWED}/udp]}}
"""
HOST = "attacker -> host"
# What the host itself does not put together, or not to what is denied: of overlaps at most what came first, and IPv6 only with
# a complete chain of headers in the first piece.
REFUSED = (*(name for name in OVERLAPS if name not in ("overlap, the denied port first", "the last first, with another header in it")), "two fragment headers", "nine fragment headers",
           *(name for name in IPV6_ONLY if name.startswith("UDP's header")))


def to_denied_port(frame):
    """Whether a piece holds a UDP header that says PORT."""
    if frame[12:14] == b"\x08\x00":
        protocol, offset, start = frame[23], int.from_bytes(frame[20:22], "big") & 0x1FFF, 14 + (frame[14] & 15) * 4
    else:
        protocol, offset, start = frame[20], 0, 54
        if protocol == 44:
            protocol, offset, start = frame[54], int.from_bytes(frame[56:58], "big") >> 3, 62
    return protocol == socket.IPPROTO_UDP and offset == 0 and frame[start + 2:start + 4] == PORT.to_bytes(2, "big")


class Fragments(Redteam, unittest.TestCase):
    TITLE = "Datagrams in pieces"
    POLICIES = POLICIES_HERE
    HELD = 0  # drops that are counted of pieces that nobody can put together: connection tracking keeps them to itself

    @classmethod
    def prepare(cls):
        super().prepare()
        cls.engine.host.sysctl("net.bridge.bridge-nf-call-iptables", 0)  # Cofferdam does it bridge by bridge
        cls.engine.host.sysctl("net.bridge.bridge-nf-call-ip6tables", 0)
        cls.engine.host.run("nft", "-f", "-", stdin=NOTRACK)

    @classmethod
    def _try_all(cls, phase):
        if phase == "with":
            cls.before_with()
        super()._try_all(phase)

    @classmethod
    def before_with(cls):
        cls.engine.host.run("nft", "delete", "table", "inet", "redteam")

    @classmethod
    def attacks(cls):
        return [attempt for family in FAMILIES for path in cls.paths(family) for attempt in cls.pieces(path)]

    @classmethod
    def pieces(cls, path):
        attempts = [cls.attempt(name, path, [f"pieces={pieces}"]) for name, pieces in WHOLE.items()]
        attempts += [cls.attempt(name, path, [f"pieces={pieces}"], overlaps=True) for name, pieces in OVERLAPS.items()]
        own = IPV4_ONLY if path.family == "ipv4" else IPV6_ONLY
        attempts += [cls.attempt(name, path, arguments) for name, arguments in own.items()]
        if path.name != HOST:  # which never hears of them: it waits for the rest
            attempts += [cls.attempt(name, path, [f"pieces={pieces}"], cls.HELD) for name, pieces in PARTIAL.items()]
            attempts += [cls.attempt(name, path, [f"pieces={pieces}", f"offset={offset}"], cls.HELD)
                         for name, (pieces, offset) in BEYOND.items()]
        return attempts

    @classmethod
    def attempt(cls, name, path, arguments, sent=3, overlaps=False):
        sends = ["fragments", *path.arguments(cls.attacker.address(path.family)), f"dport={PORT}", f"other_port={ALLOWED}",
                 f"size={SIZE}", *arguments]
        kernel = "the host puts together no overlaps and no incomplete headers, or goes by what came first" if path.name == HOST and name in REFUSED else ""

        def observe():
            if overlaps and path.name == HOST:
                return Datagrams(cls.engine.host, PORT, path.family)
            observer = path.observe(socket.IPPROTO_UDP)
            observer.matches = to_denied_port if overlaps else None
            return observer
        return Attack(name, cls.attacker, sends, observe, path.family, path.name, sent=0 if overlaps else sent, kernel=kernel)

    def test_large_datagrams(self):
        """Those that are allowed arrive whole."""
        where = {"victim": self.victim, "other": self.other, "host": self.engine.host, "outside": self.engine.lan}
        for family in FAMILIES:
            to = {path.name.split()[-1]: path.to for path in self.paths(family)}
            for name, space in where.items():
                for size in (3000, 9000, 60000, 65000):
                    with self.subTest(name, family=family, size=size):
                        self.assertEqual(self.arrives(space, family, to[name], size), size)

    def arrives(self, space, family, to, size):
        """How many bytes of a datagram."""
        kind = socket.AF_INET if family == "ipv4" else socket.AF_INET6
        receiver = in_namespace(space, lambda: socket.socket(kind, socket.SOCK_DGRAM))
        sender = in_namespace(self.attacker, lambda: socket.socket(kind, socket.SOCK_DGRAM))
        with receiver, sender:
            receiver.bind(("", ALLOWED))
            receiver.settimeout(1)
            for _ in range(3):  # the first may be lost while neighbours are looked for: only three pieces are kept
                try:
                    sender.sendto(os.urandom(size), (to, ALLOWED))
                    return len(receiver.recv(70000))
                except TimeoutError:
                    pass
        return 0


class Untracked(Fragments):
    """Another program's rule keeps all packets from connection tracking: then none is put together, and none may pass."""

    TITLE = "Datagrams in pieces, kept from connection tracking"
    HELD = 3

    @classmethod
    def before_with(cls):
        pass

    @classmethod
    def pieces(cls, path):
        pieces = WHOLE if path.name == HOST else WHOLE | PARTIAL
        attempts = [cls.attempt(name, path, [f"pieces={pieces}"]) for name, pieces in pieces.items()]
        for attempt in attempts:
            attempt.by = "untracked"
        for port in (PORT, ALLOWED, 80):
            for proto, number in (("udp", socket.IPPROTO_UDP), ("tcp", socket.IPPROTO_TCP)):
                sends = [proto, *path.arguments(cls.attacker.address(path.family)), f"dport={port}"]
                sends += ["flags=S"] if proto == "tcp" else []
                attempts.append(Attack(f"untracked, {port}/{proto}", cls.attacker, sends, lambda number=number: path.observe(number),
                                       path.family, path.name, "untracked"))
        return attempts

    def test_large_datagrams(self):
        """What is allowed does not pass either: nothing could tell an answer from a question."""
        for family in FAMILIES:
            self.assertEqual(self.arrives(self.victim, family, self.victim.address(family), 100), 0)

    def test_the_rules_still_stand(self):
        self.engine.host.run("nft", "delete", "table", "inet", "redteam")
        try:
            super().test_the_rules_still_stand()
        finally:
            self.engine.host.run("nft", "-f", "-", stdin=NOTRACK)


if __name__ == "__main__":
    unittest.main()

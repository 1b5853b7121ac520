#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""ICMP errors about a container's flow come from its ends and, from outside, from the routers on the way; never from a
neighbour: the rules alone, with real packets."""

import contextlib
import json
import re
import struct
import subprocess
import sys
import time
import unittest

import frames
from alone import Alone
from flood import ALLOWED

WEB, DB = Alone.ADDRESSES["web"], Alone.ADDRESSES["db"]
OUTSIDE = ("203.0.113.2", "fd00:99::2")
GATEWAY = ("172.18.0.1", "fd00:18::1")
PORT, COPIES = 5000, 5


def datagram(source, target, port, source_port=PORT):
    """The head of one that has been sent, as an error quotes it."""
    udp = struct.pack("!HHHH", source_port, port, 8, 0)
    return frames.ipv6(source, target, 17, udp) if ":" in source else frames.ipv4(source, target, 17, udp, hops=64)


def too_big(source, quoted, to):
    """The packet must not be larger than the smallest that there is."""
    if ":" in source:
        return frames.ipv6(source, to, frames.ICMPV6, frames.icmpv6(2, source, to, struct.pack("!I", 1280) + quoted), hops=64)
    body = struct.pack("!BBHHH", 3, 4, 0, 0, 552) + quoted
    return frames.ipv4(source, to, 1, body[:2] + struct.pack("!H", frames.checksum(body)) + body[4:], hops=64)


class Errors(Alone, unittest.TestCase):
    POLICY = "policy: all\nselect: {all: true}\negress: [{}]\ningress: [{}]\n"

    def setUp(self):
        super().setUp()
        self.out = self.outside()
        self.host.run("ip", "address", "add", GATEWAY[1] + "/64", "dev", "br-shop", "nodad")
        for space in (self.web, self.db):
            for gateway, option in zip(GATEWAY, ("-4", "-6")):
                space.run("ip", option, "route", "replace", "default", "via", gateway)
        for space in (self.out, self.db):  # no errors of their own
            space.run("nft", "add table inet quiet; add chain inet quiet in { type filter hook input priority 0; }; "
                             f"add rule inet quiet in udp dport {ALLOWED} drop")
        for space in (self.web, self.db):
            space.run("nft", "-f", "-", stdin="table inet count {\ncounter errors {}\nchain in {\n"
                      "type filter hook prerouting priority 0;\nicmp type destination-unreachable counter name errors\n"
                      "icmpv6 type { packet-too-big, destination-unreachable } counter name errors\n}\n}\n")

    def _errors(self):
        """That have reached web, or db."""
        return sum(int(re.search(r"packets (\d+)", space.run("nft", "list", "counters").stdout)[1]) for space in (self.web, self.db))

    @contextlib.contextmanager
    def _flow(self, target, port=ALLOWED):
        """One datagram is sent, and its socket waits: the kernel learns from no error about a socket that is not there."""
        program = (f"import socket, sys\nsender = socket.socket(socket.{'AF_INET6' if ':' in target else 'AF_INET'}, socket.SOCK_DGRAM)\n"
                   f"sender.bind(('', {PORT}))\nsender.sendto(b'', ('{target}', {port}))\nprint(flush=True)\nsys.stdin.read()\n")
        with subprocess.Popen(self.web.enter(sys.executable, "-c", program), stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            process.stdout.readline()
            yield

    def _arrive(self, space, packets, target, device="eth0"):
        """How many of these errors, each sent several times from there."""
        before = self._errors()
        source = json.loads(space.run("ip", "-j", "link", "show", device).stdout)[0]["address"]
        frames.send(space, [frames.ethernet(source, target, 0x86dd if packet[0] >> 4 == 6 else 0x800, packet)
                            for packet in packets] * COPIES, device)
        time.sleep(0.1)
        return self._errors() - before

    def _mtu(self, target):
        return self.web.run("ip", "route", "get", target).stdout

    def test_forged_by_a_neighbour(self):
        for family in (0, 1):
            packet = too_big(DB[1 + family], datagram(WEB[1 + family], OUTSIDE[family], ALLOWED), WEB[1 + family])
            with self.subTest(family=family), self._flow(OUTSIDE[family]):
                self.assertEqual(self._arrive(self.db, [packet], WEB[0]), 0)
                self.assertNotIn("mtu", self._mtu(OUTSIDE[family]))
                self.host.run("nft", "flush", "chain", "inet", "cofferdam", "unusual_managed")
                self.assertEqual(self._arrive(self.db, [packet], WEB[0]), COPIES)
                self.assertIn("mtu", self._mtu(OUTSIDE[family]))
                self.load_rules()

    def test_from_an_end(self):
        """The one that was asked, and the one that asked."""
        for family in (0, 1):
            web, db = WEB[1 + family], DB[1 + family]
            with self.subTest(family=family), self._flow(db):
                self.assertEqual(self._arrive(self.db, [too_big(db, datagram(web, db, ALLOWED), web)], WEB[0]), COPIES)
                self.assertIn("mtu", self._mtu(db))
                self.assertEqual(self._arrive(self.web, [too_big(web, datagram(db, web, PORT, ALLOWED), db)], DB[0]), COPIES)

    def test_from_outside(self):
        """Of the router on the way, whose address is no end of the flow."""
        gateway = json.loads(self.host.run("ip", "-j", "link", "show", "eth0").stdout)[0]["address"]
        for family, router in enumerate(("203.0.113.77", "fd00:99::77")):
            with self.subTest(family=family), self._flow(OUTSIDE[family]):
                packet = too_big(router, datagram(WEB[1 + family], OUTSIDE[family], ALLOWED), WEB[1 + family])
                self.assertEqual(self._arrive(self.out, [packet], gateway), COPIES)

    def test_from_the_host(self):
        """Its way out takes smaller packets than the bridge."""
        self.host.run("ip", "link", "set", "eth0", "mtu", "1300")
        for target in OUTSIDE:
            with self.subTest(target):
                frames.send_large(self.web, target, ALLOWED)
                self.assertIn("mtu 1300", self._mtu(target))

    def test_ports_that_nobody_listens_on(self):
        """The kernels' own errors, of the container and of what is outside."""
        for target in (*DB[1:], *OUTSIDE):
            before = self._errors()
            with self.subTest(target), self._flow(target, ALLOWED + 1):
                time.sleep(0.1)
                self.assertEqual(self._errors() - before, 1)


if __name__ == "__main__":
    unittest.main()

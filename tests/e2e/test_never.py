#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What no policy can grant: router advertisements and DHCP offers from a container."""

import subprocess
import sys
import unittest

from machine import wait_until
from playground import OPEN, Playground

# Programs for a container's network namespace. The listener prints a line for each frame it gets that matters here.
LISTEN = """
import socket, sys
wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
print("listening", flush=True)
while True:
    frame, (_, _, kind, *_) = wire.recvfrom(4096)
    if kind == socket.PACKET_OUTGOING:
        continue
    if frame[12:14] == b"\\x86\\xdd" and frame[20] == 58:
        print("icmpv6", frame[54], flush=True)
    elif frame[12:14] == b"\\x86\\xdd" and frame[20] == 17:
        print("udp6", int.from_bytes(frame[54:56], "big"), flush=True)
    elif frame[12:14] == b"\\x08\\x00" and frame[23] == 17:
        print("udp4", int.from_bytes(frame[34:36], "big"), flush=True)
"""
SEND = """
import socket, sys
kind, target = sys.argv[1:3]
if kind.startswith("ra"):
    out = socket.socket(socket.AF_INET6, socket.SOCK_RAW, 58)
    out.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, 255)
    out.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
    out.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"eth0")
    out.sendto(bytes([134, 0, 0, 0, 64, 0, 7, 8]) + bytes(8), (target, 0, 0, socket.if_nametoindex("eth0")))
else:
    family = socket.AF_INET6 if ":" in target else socket.AF_INET
    out = socket.socket(family, socket.SOCK_DGRAM)
    out.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    out.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"eth0")
    out.bind(("", int(kind)))
    out.sendto(b"offer", (target, {67: 68, 547: 546}.get(int(kind), 9)))
"""


class Never(Playground, unittest.TestCase):
    """Every container is granted everything."""

    POLICIES = OPEN
    START = False

    def _listen(self, container):
        process = subprocess.Popen(container.enter(sys.executable, "-c", LISTEN), stdout=subprocess.PIPE, text=True)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.addCleanup(process.stdout.close)
        self.assertEqual(process.stdout.readline().strip(), "listening")
        return process

    def _send(self, container, kind, target):
        subprocess.run(container.enter(sys.executable, "-c", SEND, kind, target), check=True, timeout=10)

    def _what_arrives(self, rogue, victim):
        """Everything rogue tries, then a datagram that may pass, which ends the list."""
        listener = self._listen(victim)
        for target in (victim.address("ipv6"), "ff02::1"):
            self._send(rogue, "ra", target)
        for target in (victim.address("ipv4"), "255.255.255.255", "10.91.255.255"):
            self._send(rogue, "67", target)
        for target in (victim.address("ipv6"), "ff02::1"):
            self._send(rogue, "547", target)
        self._send(rogue, "40000", victim.address("ipv4"))
        seen = set()
        while "udp4 40000" not in seen:
            seen.add(listener.stdout.readline().strip())
        return seen & {"icmpv6 134", "udp4 67", "udp6 547"}

    def test_they_do_not_arrive(self):
        rogue, victim = self.run_containers(rogue="rogue", victim="victim")
        for family in ("ipv4", "ipv6"):
            wait_until(lambda family=family: self.ask(rogue, victim, family=family) == "connected", 5, "the network")
        self.assertEqual(self._what_arrives(rogue, victim), {"icmpv6 134", "udp4 67", "udp6 547"})
        self.cofferdam.start()
        self.addCleanup(self.cofferdam, "teardown", "--yes")
        self.assert_passes(rogue, victim)
        self.assertEqual(self._what_arrives(rogue, victim), set())


if __name__ == "__main__":
    unittest.main()

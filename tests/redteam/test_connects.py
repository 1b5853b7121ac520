#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""docker network connect and disconnect while traffic flows: the other network's flows lose nothing, those of the network
that is left end, and nothing gets in or out in between.

COFFERDAM_CONNECTS: how many times (10)."""

import os
import socket
import time
import unittest

from redteam import FAMILIES, in_namespace
from cofferdam import follows
from flows import BASE, Drain, GAP, Traffic, table
from playground import Question

CONNECTS = int(os.environ.get("COFFERDAM_CONNECTS", "10"))
PORT, ASKED = 5003, 5004
TALK = f"""---
policy: talk
select: {{labels: {{role: client}}}}
egress: [{{to: [{{labels: {{role: server}}}}], ports: [{PORT}/tcp, {ASKED}/tcp]}}]
---
policy: talk-server
select: {{labels: {{role: server}}}}
ingress: [{{from: [{{labels: {{role: client}}}}], ports: [{PORT}/tcp, {ASKED}/tcp]}}]
"""
CLIENT = {"ipv4": "10.97.0.20", "ipv6": "fd97::20"}


class Stream:
    """A TCP connection from the client to the server on the network that comes and goes."""

    def __init__(self, source, target, family):
        kind, address = {"ipv4": socket.AF_INET, "ipv6": socket.AF_INET6}[family], target.address(family)
        listener = in_namespace(target, lambda: socket.socket(kind, socket.SOCK_STREAM))
        self.near = in_namespace(source, lambda: socket.socket(kind, socket.SOCK_STREAM))
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, PORT))
        listener.listen(1)
        for end in (listener, self.near):
            end.settimeout(3)
        self.near.connect((address, PORT))
        self.far, _ = listener.accept()
        listener.close()

    def speak(self, seconds):
        """Does a message arrive within this time, however often TCP has to repeat it?"""
        self.far.settimeout(seconds)
        try:
            self.near.send(b".")
            return bool(self.far.recv(1))
        except OSError:
            return False

    def close(self):
        self.near.close()
        self.far.close()


class Connects(Traffic, unittest.TestCase):
    POLICIES = BASE + TALK

    @classmethod
    def prove_the_witnesses(cls):
        """Before there are any rules: also those on the network that comes and goes."""
        cls.engine.network("late", "10.97.0.0/24", "fd97::/64")  # by this name, it never gets the default route
        create = cls.engine.create
        cls.late = create("late", [("late", "10.97.0.10", "fd97::10")], labels={"role": "server"},
                          command=["probe", "serve", f"{ASKED}/tcp"]).start()
        cls.rogue_late = create("rogue-late", [("late", "10.97.0.11", "fd97::11")], labels={"role": "rogue"}).start()
        for where in (cls.late, cls.rogue_late):
            cls.drains[where.name] = Drain(where)
        cls.connect()
        super().prove_the_witnesses()
        cls.survived = {family: cls.outlives(family) for family in FAMILIES}
        cls.disconnect()
        cls.engine.forget_connections()
        for drain in cls.drains.values():
            drain.report()

    @classmethod
    def connect(cls):
        cls.engine.connect("late", cls.client, CLIENT["ipv4"], CLIENT["ipv6"])

    @classmethod
    def disconnect(cls):
        cls.engine.disconnect("late", cls.client)

    @classmethod
    def flood_targets(cls):
        """Everybody to the client's address there, and the client to whom it must not reach."""
        of = {container.name: [container.address(family) for family in FAMILIES]
              for container in (cls.server, cls.rogue, cls.late, cls.rogue_late)}
        client = [*CLIENT.values(), *(cls.client.addresses(family)["front"] for family in FAMILIES)]
        gateways = ["10.97.0.1", "fd97::1", "10.91.0.1", "fd91::1"]
        more = {cls.rogue_late: client + of["late"] + of["rogue"] + gateways, cls.rogue: client + of["late"] + of["server"] + gateways,
                   cls.late: client + of["rogue-late"] + of["server"] + gateways, cls.client: of["rogue-late"] + of["rogue"],
                   cls.engine.lan: of["late"] + of["rogue-late"]}
        targets = super().flood_targets()
        return {source: targets.get(source, []) + more.get(source, []) for source in [*targets, *(set(more) - set(targets))]}

    @classmethod
    def wanted_flows(cls):
        for family in FAMILIES:
            for style in ("udp", "udp-new", "tcp", "tcp-new"):
                yield style, cls.client, cls.server, cls.server.address(family), GAP

    @classmethod
    def outlives(cls, family):
        """Does a connection outlive that its network is left and joined again, with the same address?"""
        stream = Stream(cls.client, cls.late, family)
        try:
            assert stream.speak(1)
            cls.disconnect()
            cls.connect()
            return stream.speak(4)
        finally:
            stream.close()

    def question(self, family):
        return Question(self.client, self.late, f"{ASKED}/tcp", family)

    def test_connect_and_disconnect(self):
        self.start_floods()
        self.addCleanup(self.stop_floods)
        self.go()
        began, came = time.monotonic(), []
        for _ in range(CONNECTS):
            self.connect()
            came.append(follows(lambda: self.ask_all([self.question(family) for family in FAMILIES], 250) == ["connected"] * 2,
                                "what the policies grant on the network"))
            self.disconnect()
        took, found = time.monotonic() - began, self.stop()
        table("connect and disconnect", ["times", "seconds", "granted after, at most", "allowed sent", "allowed lost", "denied arrived"],
              [[CONNECTS, f"{took:.1f}", f"{max(came) * 1000:.0f} ms", found.sent, found.lost, found.denied]])
        self.assertEqual(found.denied, 0, found)
        self.assertEqual(found.lost, 0, found)
        self.assertGreater(found.sent, 1000)

    def test_flows_end_with_the_network(self):
        self.assertEqual(self.survived, {family: True for family in FAMILIES}, "without Cofferdam they should outlive it")
        self.connect()
        try:
            for family in FAMILIES:
                follows(lambda family=family: self.ask_all([self.question(family)], 250) == ["connected"], "the policies' grant")
                self.assertFalse(self.outlives(family), family)
                entries = self.engine.host.run("conntrack", "-L", "-f", family, "-p", "tcp", "--dport", str(PORT), "-s", CLIENT[family])
                self.assertEqual(entries.stdout.strip(), "")
        finally:
            self.disconnect()


if __name__ == "__main__":
    unittest.main()

#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The tests' own tools, without Cofferdam: does the probe tell the ways to fail apart, and does a table see every cell
that is wrong? The firewall rules here are written by hand."""

import unittest

import naive
from naive import Port
from playground import OPEN, Playground, Talk
from table import Cell, World
from test_one_bridge import ADDRESSES
from truth import CONTAINERS, IMAGE_LABELS, PUBLISHED, SERVE_COMMAND

RULES = """
table inet by_hand {
    chain forward {
        type filter hook forward priority -10
        tcp dport 5432 drop
        udp dport 53 drop
        tcp dport 5433 reject with tcp reset
        udp dport 54 reject with icmpx admin-prohibited
        udp dport 55 reject with icmpx port-unreachable
        icmp type timestamp-request drop
        ip saddr 10.91.9.1 meta l4proto icmp reject with icmpx admin-prohibited
    }
    chain input {
        type filter hook input priority -10
        ip saddr 10.91.9.1 drop
    }
    chain output {
        type filter hook output priority -10
        ip daddr 10.91.9.1 ct state new drop
    }
}
"""


class Probe(Playground, unittest.TestCase):
    START = False

    def setUp(self):
        self.one = self.run_container("one", networks=[("front", "10.91.9.1", "fd91::9:1")])
        self.two = self.run_container("two", networks=[("front", "10.91.9.2", "fd91::9:2")])

    def load(self):
        self.engine.host.run("nft", "-f", "-", stdin=RULES)
        self.addCleanup(self.engine.host.run, "nft", "delete", "table", "inet", "by_hand")

    def test_what_passes(self):
        for port in ("80/tcp", "5432/tcp", "53/udp", "icmp"):
            self.assert_passes(self.one, self.two, port)
        self.assertEqual(self.ask(self.one, self.two, "icmp-timestamp"), "connected")

    def test_closed_ports_refuse(self):
        for port in ("81/tcp", "81/udp"):
            for family in ("ipv4", "ipv6"):
                self.assertEqual(self.ask(self.one, self.two, port, family), "refused", (port, family))

    def test_what_is_dropped_or_rejected(self):
        self.load()
        want = {"5432/tcp": "timeout", "53/udp": "timeout", "5433/tcp": "refused", "54/udp": "rejected", "55/udp": "refused",
                "80/tcp": "connected"}
        for port, result in want.items():
            for family in ("ipv4", "ipv6"):
                self.assertEqual(self.ask(self.one, self.two, port, family), result, (port, family))
        self.assertEqual(self.ask(self.one, self.two, "icmp"), "rejected")
        self.assertEqual(self.ask(self.two, self.one, "icmp-timestamp"), "timeout")

    def test_the_host(self):
        self.load()
        for port in ("80/tcp", "53/udp", "icmp"):
            self.assertEqual(self.ask(self.one, "10.91.0.1", port), "timeout")
            self.assertEqual(self.ask(self.engine.host, self.one, port), "timeout")
            self.assertEqual(self.ask(self.engine.host, self.two, port), "connected")

    def test_talk(self):
        with Talk(self.one, "tcp", "10.91.9.2", 5432) as tcp, Talk(self.one, "udp", "10.91.9.2", 53) as udp:
            self.assertEqual((tcp.say(), udp.say()), ("answered", "answered"))
            self.load()
            self.assertEqual((tcp.say(), udp.say()), ("timeout", "timeout"))


class Table(Playground, unittest.TestCase):
    START = False

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.engine.image("fake/db:latest", IMAGE_LABELS)
        cls.engine.run_all({name: dict(CONTAINERS[name], networks=[("front", *ADDRESSES[name])], command=SERVE_COMMAND)
                            for name in ("web", "db")})
        containers = {container.name: container for container in cls.engine.containers.values()}
        cls.world = World(cls.engine, containers, PUBLISHED).refresh()
        cls.open = naive.Policies([OPEN])

    def test_every_wrong_cell_is_seen_and_no_other(self):
        cells = [cell for cell in self.world.cells() if {cell.source, cell.target} == {"web", "db"} or cell.inner]
        self.world.measure_baseline(cells=cells)
        self.assertEqual(self.world.wrong(self.open)[0], [])

        self.engine.host.run("nft", "-f", "-", stdin="table inet by_hand { chain forward { type filter hook forward priority "
                             "-10; ip saddr 10.91.1.2 ip daddr 10.91.1.17 tcp dport 9000 drop; }; }")
        self.addCleanup(self.engine.host.run, "nft", "delete", "table", "inet", "by_hand")
        found = self.world.wrong(self.open)[0]
        self.assertEqual(found, [(Cell("web", "db", "10.91.1.17", Port("tcp", 9000), "ipv4"), {"connected"}, "timeout")])

        closed = self.world.wrong(naive.Policies([]))[0]
        self.assertEqual(len(closed), len(cells) - 1)

    def test_published_ports_are_followed_through_docker_proxy(self):
        cells = [cell for cell in self.world.cells() if cell.inner and cell.port.proto == "tcp"]
        self.world.measure_baseline(cells=cells)
        hops = {(cell.source, cell.address, cell.bind): [str(hop) for hop in self.world.hops(cell)] for cell in cells}
        self.assertEqual(hops["lan", "203.0.113.1", "10.77.0.10"], ["(10.77.0.10, web@front, 80/tcp)"])
        self.assertEqual(hops["host", "203.0.113.1", ""], ["(host, web@front, 80/tcp)"])
        self.assertEqual(hops["host", "127.0.0.1", ""], ["(host, host, 8080/tcp)", "(host, web@front, 80/tcp)"])
        self.assertEqual(hops["db", "203.0.113.1", ""], ["(db@front, host, 8080/tcp)", "(host, web@front, 80/tcp)"])


if __name__ == "__main__":
    unittest.main()

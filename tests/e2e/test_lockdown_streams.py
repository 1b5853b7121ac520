#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Each kind of traffic stops when a container is locked down, how soon, and that none of it comes back to life: while it is
locked down, and when it is released, unless the policies let it."""

import time
import unittest

from engine import OUTSIDE, UPLINK
from flows import table
from machine import Failure, run
from streams import Stream, Streams
from test_lockdown import Base

GATEWAY = {"ipv4": "10.91.0.1", "ipv6": "fd91::1"}
LOOPBACK = {"ipv4": "127.0.0.1", "ipv6": "::1"}
PUBLISHED, INSIDE = 8080, 6000
PROXY_DRAINS = 2.0  # seconds until a proxy has handed on what it had read before


class Timed(Base):
    def streams(self, streams, gap=0):
        flow = Streams(streams, gap)
        self.addCleanup(flow.close)
        flow.flowing()
        return flow

    def timed(self, *arguments):
        """The command, and by the wall clock when it was started and when it had returned."""
        begun = time.time()
        report = self.lock(*arguments)
        return report, begun, time.time()


class Kinds(Timed, unittest.TestCase):
    """What a container may have to do with others."""

    def setUp(self):
        super().setUp()
        self.web = self.run_container("web", "web", publish=[(PUBLISHED, INSIDE, proto) for proto in ("tcp", "udp")])
        self.db = self.run_container("db", "db")
        self.far = self.run_container("far", networks=("back",))
        self.port = iter(range(6001, 7000))

    def both_ways(self, what, other, of):
        """Between the container and the other, whose addresses these are, whoever asked first; and pings."""
        found = []
        for family in ("ipv4", "ipv6"):
            own = self.web.address(family)
            for proto in ("tcp", "udp"):
                found += [Stream(proto, self.web, other, of[family], next(self.port), what=f"to {what}"),
                          Stream(proto, other, self.web, own, next(self.port), what=f"from {what}")]
            found += [Stream("icmp", self.web, other, of[family], what=f"to {what}"),
                      Stream("icmp", other, self.web, own, what=f"from {what}")]
        return found

    def published(self, what, source, addresses, inside, protos=("tcp", "udp")):
        """inside: {family asked for: family by which it comes to the container}"""
        return [Stream(proto, source, self.web, addresses[family], PUBLISHED, (self.web.address(inside[family]), INSIDE), what)
                for family in inside for proto in protos]

    def assert_stops(self, streams, drains=0.0):
        """drains: by how much the near end may hear of it longer, as others have it already."""
        bystander = Stream("udp", self.db, self.far, self.far.address("ipv4"), next(self.port))
        flow = self.streams([*streams, bystander])
        try:
            report, begun, returned = self.timed("web")
            self.assertEqual((report["verified"], report["problems"]), (True, []))
            time.sleep(1 + drains)  # both ends go on: nothing must come back to life
            found = flow.report()
            self.assertGreater(found[bystander][0].last, returned + 0.5)
            for stream in streams:
                there, back = found[stream]
                self.assertLess(there.last, returned, f"{stream.name}: at its far end")
                self.assertLess(back.last, returned + drains, f"{stream.name}: at its near end")
            for ends in {stream.name: found[stream] for stream in streams}.items():
                self.rows.append([ends[0], *(f"{1000 * (heard.last - begun):.1f} ms" for heard in ends[1]),
                                  f"{1000 * (returned - begun):.1f} ms"])
            return report
        finally:
            flow.close()
            self.release("web")

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.rows = []
        cls.addClassCleanup(lambda: table("from the start of the command, at full rate",
                                          ["stream", "last at far end", "last at near end", "command"], cls.rows))

    def test_same_bridge(self):
        self.assert_stops(self.both_ways("db", self.db, {family: self.db.address(family) for family in GATEWAY}))

    def test_across_bridges(self):
        self.assert_stops(self.both_ways("far", self.far, {family: self.far.address(family) for family in GATEWAY}))

    def test_the_host(self):
        self.assert_stops(self.both_ways("the host", self.engine.host, GATEWAY))

    def test_the_outside(self):
        self.assert_stops(self.both_ways("outside", self.engine.lan, {family: OUTSIDE[family]["public"] for family in OUTSIDE}))

    def translated(self, family):
        save = {"ipv4": "iptables-save", "ipv6": "ip6tables-save"}[family]
        return f"--dport {PUBLISHED} -j DNAT" in self.engine.host.run(save).stdout

    def proxied_to(self, host):
        """The family by which the Engine's proxy that listens at this address goes on to the container."""
        lines = run(["pgrep", "-af", f"docker-proxy.*-host-ip {host} -host-port {PUBLISHED} "], check=False).stdout
        for family in ("ipv4", "ipv6"):
            if f"-container-ip {self.web.address(family)} " in lines:
                return family
        raise Failure(f"no docker-proxy listens at {host}: {lines}")

    def test_published_by_translation(self):
        self.assertTrue(self.translated("ipv4"))
        for family, host in (("ipv4", "0.0.0.0"), ("ipv6", "::")):  # one port inside
            translated = self.translated(family)  # if not, the proxy is asked
            inside = {family: family if translated else self.proxied_to(host)}
            report = self.assert_stops(self.published("published", self.engine.lan, UPLINK, inside), 0 if translated else PROXY_DRAINS)
            self.assertTrue(report["connections"])

    def test_published_by_the_proxy(self):
        for family, host in (("ipv4", "0.0.0.0"), ("ipv6", "::")):
            inside = {family: self.proxied_to(host)}
            self.assert_stops(self.published("by the proxy", self.engine.host, LOOPBACK, inside), PROXY_DRAINS)


if __name__ == "__main__":
    unittest.main()

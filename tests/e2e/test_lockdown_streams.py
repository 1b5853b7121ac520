#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Each kind of traffic stops when a container is locked down, how soon, and that none of it comes back to life: while it is
locked down, and when it is released, unless the policies let it."""

import time
import unittest

from engine import OUTSIDE, UPLINK
from flows import table
from machine import Failure, run, wait_until
from playground import ROLES
from streams import Stream, Streams
from test_lockdown import Base
from zombies import Zombies

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


class Undead(Timed, unittest.TestCase):
    """Whoever goes on speaking as if nothing had happened: TCP in the middle of a stream, which the kernel's connection
    tracking would take for a connection that it has not seen the beginning of, and UDP from the same ports."""

    POLICIES = ROLES  # web may ask db, and nobody else anybody

    def setUp(self):
        super().setUp()
        self.web, self.db = self.run_containers(web="web", db="db")
        for key in ("loose", "be_liberal"):
            self.addCleanup(self.tracking, key, self.engine.host.sysctl(f"net.netfilter.nf_conntrack_tcp_{key}"))
        self.tracking("be_liberal", 1)  # about sequence numbers, so that what is made up passes while the stream is open

    def tracking(self, key, value):
        self.engine.host.sysctl(f"net.netfilter.nf_conntrack_tcp_{key}", value)

    def ends(self, family):
        """A TCP stream that the policies allow, and what is made up for it."""
        stream = Stream("tcp", self.web, self.db, self.db.address(family), 5432)
        return stream, [(self.web, *stream.near.getsockname()[:2]), (self.db, self.db.address(family), 5432)]

    def tracked(self):
        text = "".join(self.engine.host.run("conntrack", "-L", "-f", family).stdout for family in ("ipv4", "ipv6"))
        return [line for line in text.splitlines()
                if any(f"={self.web.address(family)} " in line for family in ("ipv4", "ipv6")) and "icmpv6" not in line]

    def assert_buried(self, flow, zombies, since, what):
        """None of it has arrived since then."""
        for stream, heard in flow.report().items():
            for end in heard:
                self.assertLess(end.last, since, f"{stream.name}, {what}")
        for zombie in zombies:
            self.assertLess(max(zombie.heard), since, what)

    def round(self, loose):
        self.tracking("loose", loose)
        streams, zombies = [], []
        for family in ("ipv4", "ipv6"):
            stream, ends = self.ends(family)
            streams.append(stream)
            zombies.append(Zombies(ends))
            self.addCleanup(zombies[-1].close)
        flow = self.streams(streams, gap=1000)
        wait_until(lambda: all(min(zombie.heard) for zombie in zombies), 5, "the segments to arrive, as the stream is open")
        _, _, returned = self.timed("web")
        time.sleep(1.5)
        self.assert_buried(flow, zombies, returned, "while locked down")
        self.assertEqual(self.tracked(), [])
        self.release("web")
        time.sleep(4)  # TCP itself has sent again, too
        self.assert_buried(flow, zombies, returned, "after the release")
        self.assertEqual([line for line in self.tracked() if " tcp " in line], [])
        self.assert_passes(self.web, self.db, "53/udp")
        for end in (*zombies, flow):
            end.close()

    def test_tcp(self):
        # the container's own server must not listen where the stream's does
        self.db.remove()
        self.db = self.engine.run("db-2", ["front"], labels={"role": "db"}, command=["probe", "serve", "53/udp"])
        self.addCleanup(self._remove, self.db)
        self.cofferdam.settle()
        for loose in (1, 0):
            self.round(loose)

    def test_udp_from_the_same_ports(self):
        """What web asks goes on once the policies apply again; what db says unasked, from the port that it has always
        answered from, does not until web asks."""
        self.db.remove()
        self.db = self.engine.run("db-2", ["front"], labels={"role": "db"}, command=["probe", "serve"])
        self.addCleanup(self._remove, self.db)
        self.cofferdam.settle()
        pairs = [Stream("udp", self.web, self.db, self.db.address(family), 53) for family in ("ipv4", "ipv6")]
        for pair in pairs:
            self.addCleanup(pair.close)
            pair.near.setblocking(False)
            pair.far.setblocking(False)
        self.lock("web")
        self.say(pairs, ("near", "far"), 1)
        self.assertEqual(self.hear(pairs), set())
        self.release("web")
        self.say(pairs, ("far",), 1)
        self.assertEqual(self.hear(pairs), set())
        self.say(pairs, ("near", "far"), 1)
        self.assertEqual(self.hear(pairs), {(pair, end) for pair in pairs for end in ("near", "far")})

    @staticmethod
    def say(pairs, ends, seconds):
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            for pair in pairs:
                for end in ends:
                    try:
                        getattr(pair, end).send(b".")
                    except OSError:
                        pass
            time.sleep(0.005)

    @staticmethod
    def hear(pairs):
        """Who has heard something since the last time."""
        heard = set()
        for pair in pairs:
            for end in ("near", "far"):
                try:
                    while getattr(pair, end).recv(100):
                        heard.add((pair, end))
                except OSError:
                    pass
        return heard


if __name__ == "__main__":
    unittest.main()

#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Published ports are no way around a policy: not for a neighbour on the bridge, not for a container of another one, not by
address translation, and not by docker-proxy. Who comes by docker-proxy is the host; who comes by translation is himself."""

import concurrent.futures
import itertools
import unittest

from redteam import FAMILIES, GATEWAYS, POLICIES, PORT, Attack, Redteam, Wire, attack
from paths import arrivals, interface_mac, uplink

OUTER = {"all": 8080, "loopback": 8081, "uplink": 8082}
RANGE = {9100 + i: 8100 + i for i in range(3)}
OTHERS = 1000  # what is added to the ports outside of the container on the other bridge
PROTOS = ("tcp", "udp")
WAIT = "wait=150"
LOOPBACK_ONLY = "published on the host's loopback address only"

_tries = itertools.count()

EGRESS_HOST = """
policy: x-egress-host
select: {labels: {role: attacker}}
egress: [{to: [host]}]
"""
INGRESS_HOST = """
policy: x-ingress-host
select: {labels: {publishes: "yes"}}
ingress: [{from: [host], ports: [9999/tcp, 9999/udp]}]
"""
EGRESS_CONTAINER = """
policy: x-egress-container
select: {labels: {role: attacker}}
egress: [{to: [{labels: {publishes: "yes"}}], ports: [9999/tcp, 9999/udp]}]
"""
INGRESS_CONTAINER = """
policy: x-ingress-container
select: {labels: {publishes: "yes"}}
ingress: [{from: [{labels: {role: attacker}}], ports: [9999/tcp, 9999/udp]}]
"""


def bindings(add):
    """Of one container: one port, published in every way that there is, and three in a row."""
    def of(port, host=""):
        return {"HostPort": str(port + add), "HostIp": host}

    ways = [of(OUTER["all"]), of(OUTER["loopback"], "127.0.0.1"), of(OUTER["uplink"], uplink("ipv4"))]
    return {**{f"{PORT}/{proto}": ways for proto in PROTOS}, **{f"{inner}/tcp": [of(outer)] for inner, outer in RANGE.items()}}


class Published(Redteam):
    """Every way to the ports of a neighbour on the bridge (victim), and of a container on the other bridge (other)."""

    DENIED = "no policy lets|^egress/attacker"
    PROXY = True

    @classmethod
    def options(cls, name):  # pylint: disable=arguments-differ
        serves = ["80/tcp", "53/udp", f"{PORT}/tcp", f"{PORT}/udp", *(f"{port}/tcp" for port in RANGE)]
        more = {"command": ["probe", "serve", *serves]}
        if name in ("victim", "other"):
            add = OTHERS if name == "other" else 0
            publish = [(OUTER["all"], PORT, proto) for proto in PROTOS] + [(outer, inner, "tcp") for inner, outer in RANGE.items()]
            more.update(publish=publish, PortBindings=bindings(add), labels={"role": name, "publishes": "yes"})
        return super().options(name, **more)

    @classmethod
    def attacks(cls):
        cls.ways = list(cls._ways())
        return [*cls.ways, *cls._raw_loopback(), *cls._from_host(), *cls._direct()]

    @classmethod
    def _ways(cls):
        for name, family, proto in itertools.product(("victim", "other"), FAMILIES, PROTOS):
            target, add = getattr(cls, name), OTHERS if name == "other" else 0
            addresses = {"gateway": GATEWAYS["front"][family], "other gateway": GATEWAYS["back"][family], "uplink": uplink(family)}
            for way, address in addresses.items():
                yield cls.attempt(f"published, {way}, {proto}", family, address, OUTER["all"] + add, proto, target)
            if proto == "tcp":
                for inner, outer in RANGE.items():
                    yield cls.attempt(f"of a range, uplink, {outer + add}", family, addresses["uplink"], outer + add, proto, target,
                                      inner)
            if family == "ipv4":
                yield cls.attempt(f"published on the uplink only, {proto}", family, addresses["uplink"], OUTER["uplink"] + add, proto,
                                  target)
                for way, address in addresses.items():
                    yield cls.attempt(f"{LOOPBACK_ONLY}, {way}, {proto}", family, address, OUTER["loopback"] + add, proto, target,
                                      kernel=LOOPBACK_ONLY)

    @classmethod
    def attempt(cls, name, family, address, port, proto, target, inner=PORT, kernel=""):  # pylint: disable=too-many-arguments
        attempt = Attack(name, cls.attacker, ["connect", f"proto={proto}", f"to={address}", f"dport={port}", WAIT],
                         arrivals(target, inner, proto), family, f"attacker -> {target.name}", cls.DENIED, 1, kernel)
        attempt.target = target
        return attempt

    @classmethod
    def _raw_loopback(cls):
        """In frames to the bridge's MAC, for the ports on the host's loopback address. Docker translates addresses before
        the kernel looks whether they may come by a wire."""
        for name, kind in itertools.product(("victim", "other"), ("syn", "udp")):
            target, add, proto = getattr(cls, name), OTHERS if name == "other" else 0, "tcp" if kind == "syn" else "udp"
            for to, way in (("127.0.0.1", "loopback"), ("127.0.0.1", "all")):
                arguments = ["packet", f"kind={kind}", f"from={cls.attacker.address()}", f"to={to}", f"dport={OUTER[way] + add}",
                             f"dmac={interface_mac(cls.engine.host, cls.engine.bridge('front'))}"]
                kernel = "docker-proxy listens on the loopback interface" if cls.PROXY else ""
                if way == "loopback" and cls.engine.version >= (28, 0):
                    kernel = kernel or "no, Docker: since 28 it drops what comes to such a port by a wire"
                yield Attack(f"published ({way}), frame to {to}, {kind}", cls.attacker, arguments, arrivals(target, PORT, proto), "ipv4",
                             f"attacker -> {name}", cls.DENIED, 3, kernel)

    @classmethod
    def _from_host(cls):
        for name, proto in itertools.product(("victim", "other"), PROTOS):
            target, add = getattr(cls, name), OTHERS if name == "other" else 0
            for address, way in (("127.0.0.1", "all"), ("127.0.0.1", "loopback"), (uplink("ipv4"), "all"), (uplink("ipv4"), "uplink"),
                                 (GATEWAYS["front"]["ipv4"], "all"), (uplink("ipv6"), "all"), ("::1", "all")):
                family = "ipv6" if ":" in address else "ipv4"
                if cls.PROXY or address != "::1":  # no address translation of ::1
                    yield Attack(f"published ({way}), {address}, {proto}", cls.engine.host,
                                 ["connect", "dev=uplink", f"proto={proto}", f"to={address}", f"dport={OUTER[way] + add}", WAIT],
                                 arrivals(target, PORT, proto), family, f"host -> {name}", "no policy lets", 1)

    @classmethod
    def _direct(cls):
        """Not published, and by the container's own address: across the bridges, both ways, and on the bridge."""
        for family, proto in itertools.product(FAMILIES, PROTOS):
            for source, target in ((cls.attacker, cls.victim), (cls.attacker, cls.other), (cls.other, cls.attacker),
                                   (cls.other, cls.victim)):
                yield Attack(f"its own address, {proto}", source,
                             ["connect", f"proto={proto}", f"to={target.address(family)}", f"dport={PORT}", WAIT],
                             arrivals(target, PORT, proto), family, f"{source.name} -> {target.name}", "", 1)

    # What lets it through

    def reached(self, *policies):
        """Those ways by which something reaches its target with these policies besides."""
        self.cofferdam.apply("---".join([POLICIES, *policies]))
        with concurrent.futures.ThreadPoolExecutor(12) as pool:
            return {name for name in pool.map(self._reaches, [way for way in self.ways if not way.kernel]) if name}

    @staticmethod
    def _reaches(way):
        """Its name, if what it sends reaches its target. The mark is a new one: docker-proxy tries for minutes to pass on
        what it took."""
        mark = f"cofferdam-way-{next(_tries):06}-"
        wire = Wire(way.target)
        attack(way.source, *way.sends[:-1], "wait=400", f"mark={mark}")
        reached = wire.count(mark.encode())
        wire.close()
        return (way.name, way.family, way.path) if reached else None

    def test_it_is_the_host_or_that_container(self):
        """Each way is open to who may come as the host, or to who may come as that container: to exactly one of them, and
        only where both ends agree."""
        self.addCleanup(self.cofferdam.apply, POLICIES)
        ways = {(way.name, way.family, way.path) for way in self.ways if not way.kernel and "range" not in way.name}
        self.assertEqual(self.reached(EGRESS_HOST), set())
        self.assertEqual(self.reached(INGRESS_HOST), set())
        self.assertEqual(self.reached(EGRESS_HOST, INGRESS_CONTAINER), set())
        as_host = self.reached(EGRESS_HOST, INGRESS_HOST)
        as_container = self.reached(EGRESS_CONTAINER, INGRESS_CONTAINER)
        print(f"\n{self.TITLE}: {len(as_host)} ways as the host, {len(as_container)} as the container")
        self.assertEqual(as_host & as_container, set(), "open to both")
        self.assertEqual(as_host | as_container, ways)
        self.check_who_is_who(as_host, as_container)


class WithProxy(Published, unittest.TestCase):
    TITLE = "Published ports, with docker-proxy"

    def check_who_is_who(self, as_host, as_container):
        """On its own bridge a container meets docker-proxy."""
        self.assertTrue(any(path == "attacker -> victim" for _, _, path in as_host))
        self.assertFalse(any(path == "attacker -> victim" for _, _, path in as_container))


class WithoutProxy(Published, unittest.TestCase):
    TITLE = "Published ports, without docker-proxy"
    DOCKERD = ("--userland-proxy=false", "--experimental", "--ip6tables")
    PROXY = False

    def check_who_is_who(self, as_host, as_container):
        self.assertEqual(as_host, set())

    @classmethod
    def prepare(cls):
        super().prepare()
        cls.engine.host.run("ip6tables", "-I", "FORWARD", "-j", "ACCEPT")  # Docker's isolation: not before 27 in DOCKER-USER


if __name__ == "__main__":
    unittest.main()

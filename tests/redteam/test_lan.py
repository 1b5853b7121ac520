#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A neighbour on the host's network, with routes to the containers by way of the host; and from a container to what is not
the Internet, though routes lead there."""

import itertools
import unittest

from redteam import FAMILIES, GATEWAYS, POLICIES, PORT, Attack, Redteam, Wire, attack
from paths import ICMP, ICMPV6, TCP, UDP, Local, arrivals, interface_mac, uplink

from engine import OUTSIDE  # pylint: disable=wrong-import-order

PUBLISHED, LOOPBACK_ONLY = 8080, 8081
MARTIAN = "a packet from outside with the host's own address, or a loopback one, as its sender (fib_validate_source)"
STRICT = "rp_filter 1: the way back is not the way that it came"
FORGED = "a container's address from outside"
PROTOS = ("tcp", "udp")
RESOLVER = "198.41.0.4"
INGRESS = """
policy: x-lan
select: {labels: {publishes: "yes"}}
ingress: [{from: [%s], ports: [9999/tcp, 9999/udp]}]
"""


class Lan(Redteam, unittest.TestCase):
    TITLE = "From the host's network"

    @staticmethod
    def options(name, **more):
        if name in ("victim", "other"):
            add = 1000 if name == "other" else 0
            ways = [{"HostPort": str(PUBLISHED + add)}, {"HostPort": str(LOOPBACK_ONLY + add), "HostIp": "127.0.0.1"}]
            more = {"publish": [(PUBLISHED, PORT, proto) for proto in PROTOS], "labels": {"role": name, "publishes": "yes"},
                    "PortBindings": {f"{PORT}/{proto}": ways for proto in PROTOS},
                    "command": ["probe", "serve", "80/tcp", "53/udp", f"{PORT}/tcp", f"{PORT}/udp"]}
        return Redteam.options(name, **more)

    @classmethod
    def prepare(cls):
        super().prepare()
        cls.host, cls.lan = cls.engine.host, cls.engine.lan
        cls.mac = interface_mac(cls.host, "uplink")

    @classmethod
    def attacks(cls):
        return [*cls._direct(), *cls._published(), *cls._loopback(), *cls._forged_senders(), *cls._forged_replies()]

    @classmethod
    def attempt(cls, name, family, source, to, target, kind, dport=PORT, **more):  # pylint: disable=too-many-arguments
        """A single packet in a frame to the host."""
        proto = {"syn": "tcp", "synack": "tcp", "udp": "udp"}.get(kind)
        sport = more.pop("sport", 40000)
        inner, observe = more.pop("inner", dport), more.pop("observe", None)
        if not observe:
            observe = arrivals(target, inner, proto) if proto else lambda: Wire(target)
        arguments = ["packet", "dev=neighbour", f"kind={kind}", f"from={source}", f"to={to}", f"dport={dport}", f"sport={sport}",
                     f"dmac={cls.mac}"]
        return Attack(name, cls.lan, arguments, observe, family, f"lan -> {'host' if target is cls.host else target.name}", **more)

    @classmethod
    def _direct(cls):
        for family, target, kind in itertools.product(FAMILIES, (cls.victim, cls.other), ("syn", "udp", "echo")):
            yield cls.attempt(f"its own address, {kind}", family, OUTSIDE[family]["lan"], target.address(family), target, kind)
            if kind != "echo":
                yield cls.attempt(f"its own address, a port that another may use, {kind}", family, OUTSIDE[family]["lan"],
                                  target.address(family), target, kind, 80 if kind == "syn" else 53)

    @classmethod
    def _published(cls):
        """Docker before 27 publishes IPv6 by docker-proxy alone: the host then, to the container."""
        for family, (target, add), proto in itertools.product(FAMILIES, ((cls.victim, 0), (cls.other, 1000)), PROTOS):
            yield Attack(f"published, {proto}", cls.lan,
                         ["connect", "dev=neighbour", f"proto={proto}", f"to={uplink(family)}", f"dport={PUBLISHED + add}", "wait=150"],
                         arrivals(target, PORT, proto), family, f"lan -> {target.name}", "no policy lets|^ingress/", 1)
            gateway = GATEWAYS["front" if target is cls.victim else "back"][family]
            yield Attack(f"published, by the bridge's gateway, {proto}", cls.lan,
                         ["connect", "dev=neighbour", f"proto={proto}", f"to={gateway}", f"dport={PUBLISHED + add}", "wait=150"],
                         arrivals(target, PORT, proto), family, f"lan -> {target.name}", "no policy lets|^ingress/", 1)

    @classmethod
    def _loopback(cls):
        """What is published on 127.0.0.1 is translated before the kernel looks at the address: route_localnet is not needed."""
        for (target, add), kind, localnet in itertools.product(((cls.victim, 0), (cls.other, 1000)), ("syn", "udp"), (0, 1)):
            for port, words in ((LOOPBACK_ONLY, "published on the loopback address only"), (PUBLISHED, "published")):
                if cls.engine.version >= (28, 0):
                    continue  # refused by Docker itself, in table raw
                attempt = cls.attempt(f"{words}, frame to 127.0.0.1, {kind}, route_localnet={localnet}", "ipv4", OUTSIDE["ipv4"]["lan"],
                                      "127.0.0.1", target, kind, port + add, inner=PORT)
                yield cls._with(attempt, {"net.ipv4.conf.uplink.route_localnet": localnet})

    @classmethod
    def _with(cls, attempt, settings):
        """Sends with these settings of the host's kernel, and takes them back."""
        arguments = attempt.sends
        before = {key: cls.host.sysctl(key) for key in settings}

        def send(attempt):
            for key, value in settings.items():
                cls.host.sysctl(key, value)
            attack(attempt.source, *arguments, f"mark={attempt.mark.decode()}")

        def undo():
            for key, value in before.items():
                cls.host.sysctl(key, value)

        attempt.sends, attempt.undo = send, undo
        return attempt

    @classmethod
    def _forged_senders(cls):
        """As the container that the victim's policy lets in."""
        for family, target in itertools.product(FAMILIES, (cls.victim, cls.other)):
            for kind, port in (("syn", 80), ("udp", 53), ("echo", 0)):
                attempt = cls.attempt(f"as attacker, {kind}", family, cls.attacker.address(family), target.address(family), target, kind,
                                      port, by=FORGED)
                yield attempt
                if family == "ipv4":
                    for filter_, kernel in ((2, ""), (1, STRICT)):
                        attempt = cls.attempt(f"as attacker, {kind}, rp_filter={filter_}", family, cls.attacker.address(family),
                                              target.address(family), target, kind, port, by="" if kernel else FORGED, kernel=kernel)
                        yield cls._with(attempt, {"net.ipv4.conf.uplink.rp_filter": filter_})
            # Of the host's own addresses, IPv4 looks at all in a sender, IPv6 only at the loopback one.
            loopback = {"ipv4": "127.0.0.1", "ipv6": "::1"}[family]
            for words, source, kernel in (("as the gateway", GATEWAYS["front"][family], MARTIAN if family == "ipv4" else ""),
                                          ("as a loopback address", loopback, MARTIAN)):
                yield cls.attempt(words, family, source, target.address(family), target, "udp", 53, kernel=kernel)
        for family, kind in itertools.product(FAMILIES, ("syn", "udp", "echo")):
            protocol = {"syn": TCP, "udp": UDP, "echo": ICMP if family == "ipv4" else ICMPV6}[kind]
            for words, to in (("uplink", uplink(family)), ("gateway", GATEWAYS["front"][family])):
                yield cls.attempt(f"as attacker, {words}, {kind}", family, cls.attacker.address(family), to, cls.host, kind, by=FORGED,
                                  observe=lambda protocol=protocol, family=family: Local(cls.host, [protocol], family))

    @classmethod
    def _forged_replies(cls):
        """To nothing that anybody has asked."""
        for family, target in itertools.product(FAMILIES, (cls.victim, cls.attacker)):
            server = OUTSIDE[family]["public"]
            yield cls.attempt("a name server's answer", family, server, target.address(family), target, "udp", 40000, sport=53)
            yield cls.attempt("a web server's SYN and ACK", family, server, target.address(family), target, "synack", 40000, sport=80)
            yield cls.attempt("an echo reply", family, server, target.address(family), target, "echo-reply", 0)
        yield cls._to_a_translated_port(OUTSIDE["ipv4"]["public-2"], "connection tracking knows both ends of what is translated")

    @classmethod
    def _to_a_translated_port(cls, server, kernel):
        """A container asks a server outside, under the host's address and the same port; another one answers."""
        port = 45000
        attempt = cls.attempt("to a translated port, from another server", "ipv4", server, uplink("ipv4"), cls.attacker, "udp", port,
                              sport=53, kernel=kernel)
        arguments = attempt.sends

        def send(attempt):
            attack(cls.attacker, "packet", "kind=udp", f"from={cls.attacker.address()}", f"to={OUTSIDE['ipv4']['public']}", "dport=53",
                   f"sport={port}", f"dmac={interface_mac(cls.host, cls.engine.bridge('front'))}")
            attack(cls.lan, *arguments, f"mark={attempt.mark.decode()}")

        attempt.sends = send
        return attempt

    def test_published_ports_by_policy(self):
        """The container's port counts, not the host's; who comes by docker-proxy is the host."""
        self.addCleanup(self.cofferdam.apply, POLICIES)
        for who, direct in (("outside", True), ("host", False), (f"{{cidr: {OUTSIDE['ipv4']['testnet']}/32}}", True)):
            self.cofferdam.apply(POLICIES + "---" + INGRESS % who)
            check = self.assert_passes if direct else self.assert_dropped
            check(self.lan, uplink("ipv4"), f"{PUBLISHED}/tcp", ["ipv4"])
            check(self.lan, uplink("ipv4"), f"{PUBLISHED}/udp", ["ipv4"])
            check(self.lan, self.victim, f"{PORT}/tcp", ["ipv4"])
            self.assert_dropped(self.lan, self.victim, "80/tcp")
            self.assert_dropped(self.lan, self.bystander, f"{PORT}/udp")

    def test_what_is_published_on_loopback_stays_there(self):
        """Whoever the container lets in: the address says that it is the host alone."""
        if self.engine.version >= (28, 0):
            self.skipTest("refused by Docker itself")
        self.cofferdam.apply(POLICIES + "---" + INGRESS % "outside")
        self.addCleanup(self.cofferdam.apply, POLICIES)
        for kind, proto, to, port, expected in (("udp", "udp", uplink("ipv4"), PUBLISHED, True),
                                                ("udp", "udp", "127.0.0.1", LOOPBACK_ONLY, False),
                                                ("syn", "tcp", "127.0.0.1", LOOPBACK_ONLY, False),
                                                ("udp", "udp", "127.0.0.1", PUBLISHED, False)):
            attempt = self.attempt("published", "ipv4", OUTSIDE["ipv4"]["lan"], to, self.victim, kind, port, inner=PORT, sport=40001)
            observer = arrivals(self.victim, PORT, proto)()
            attempt.send()
            self.assertEqual(observer.count(b"") > 0, expected, f"{to} {port}")
            observer.close()


# Where no grant of the Internet leads: the machine's own surroundings, and what is nobody's.
NOT_INTERNET = {
    "ipv4": {"cloud metadata": "169.254.169.254", "a link-local neighbour": "169.254.1.7", "container credentials": "169.254.170.2",
             "private, 10": "10.77.0.10", "private, 172.16": "172.30.0.9", "private, 192.168": "192.168.7.7", "CGNAT": "100.64.0.1",
             "Alibaba's metadata": "100.100.100.200", "benchmarking": "198.18.0.1", "documentation": "203.0.113.2",
             "IETF protocols": "192.0.0.192", "6to4 relays": "192.88.99.2", "reserved": "240.0.0.1", "this network": "0.1.2.3"},
    "ipv6": {"cloud metadata": "fd00:ec2::254", "unique local": "fd77::10", "site-local": "fec0::7", "documentation": "2001:db8:113::2",
             "documentation, 3fff": "3fff::1", "benchmarking": "2001:2::1", "discard": "100::1", "Teredo": "2001:0:1::1",
             "local NAT64": "64:ff9b:1::a9fe:a9fe", "mapped": "::ffff:169.254.169.254", "compatible": "::169.254.169.254",
             "6to4 of 169.254.169.254": "2002:a9fe:a9fe::1"},
}
GROUPS = {"ipv4": ("239.1.2.3", "01:00:5e:01:02:03"), "ipv6": ("ff0e::7", "33:33:00:00:00:07")}


class NotTheInternet(Redteam, unittest.TestCase):
    TITLE = "What a grant of the Internet does not reach"

    @classmethod
    def prepare(cls):
        super().prepare()
        cls.host = cls.engine.host
        # Their kernels may think what they like of these addresses: what counts is what leaves the host.
        cls.host.batch([f"route replace {address} via {via}" for family, via in (("ipv4", "203.0.113.2"), ("ipv6", "2001:db8:113::2"))
                        for address in NOT_INTERNET[family].values()
                        if not address.startswith(("203.0.113.", "2001:db8:113:", "::", "0."))])
        cls.mac = interface_mac(cls.host, cls.engine.bridge("front"))

    @classmethod
    def attacks(cls):
        attempts = []
        for family in FAMILIES:
            for (name, address), kind in itertools.product(NOT_INTERNET[family].items(), ("syn", "udp")):
                attempts.append(cls.attempt(name, family, address, kind))
            address, mac = GROUPS[family]
            attempts.append(cls.attempt("multicast", family, address, "udp", mac, observe=lambda: Wire(cls.bystander)))
        return attempts

    @classmethod
    def attempt(cls, name, family, address, kind, mac=None, observe=None):  # pylint: disable=too-many-arguments
        arguments = ["packet", f"kind={kind}", f"from={cls.attacker.address(family)}", f"to={address}",
                     f"dport={80 if kind == 'syn' else 53}", f"dmac={mac or cls.mac}"]
        observe = observe or (lambda: Wire(cls.engine.lan, "neighbour"))
        return Attack(f"{name} {address}, {kind}", cls.attacker, arguments, observe, family,
                      "attacker -> outside")

    def test_the_internet_is_reached(self):
        """It is not that nothing would be."""
        for family in FAMILIES:
            for kind, port in (("syn", 80), ("udp", 53)):
                for granted, address in ((True, OUTSIDE[family]["public"]), (True, OUTSIDE[family]["public-2"])):
                    attempt = self.attempt("public", family, address, kind)
                    observer = attempt.observe()
                    attempt.send()
                    self.assertEqual(observer.count(attempt.mark) > 0, granted, f"{address} {port}")
                    observer.close()


if __name__ == "__main__":
    unittest.main()

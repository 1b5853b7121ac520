#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""From a container to the host: by each of its addresses, in every kind of packet that a host takes in."""

import unittest

from redteam import FAMILIES, GATEWAYS, POLICIES, PORT, Attack, Datagrams, Redteam, Several, Wire, attack
from paths import (GRE, GROUPS, ICMP, ICMPV6, IGMP, IPIP, SIT, TCP, UDP, Answers, Local, interface_mac, link_local,
                   own_link_local, uplink)

# pylint: disable=wrong-import-order
from engine import PROBE
from machine import Failure, wait_until

KINDS = {"udp": UDP, "syn": TCP, "echo": ICMP, "timestamp": ICMP}
DENIED = "no policy lets it reach the host|not this port's address|no live container|for this host alone"
LOOPBACK = "the host routes no packet to a loopback address that came by a wire"
ONE_PORT = """
policy: attacker-host
select: {labels: {role: attacker}}
egress: [{to: [host], ports: [4000/udp, 8022/tcp]}]
"""
TUNNELS = {"ipip": ["type", "ipip"], "gre": ["type", "gre"], "sit": ["type", "sit"],
           "vxlan-4789": ["type", "vxlan", "id", "7", "dstport", "4789"], "vxlan-8472": ["type", "vxlan", "id", "7", "dstport", "8472"]}


class Host(Redteam, unittest.TestCase):
    TITLE = "The host's own services"
    # The Engine's API, open to the world, as it should never be: who reaches it is root on the host.
    DOCKERD = ("-H", "tcp://0.0.0.0:2375", "--tls=false")

    @classmethod
    def prepare(cls):
        super().prepare()
        cls.host = cls.engine.host
        server = cls.engine.spawn("serve-host", cls.host.enter(PROBE, "serve", "4000/udp", "4001/udp", "8022/tcp", "8023/tcp"))
        wait_until(lambda: "serving" in server.output(), 5, "the host's services")
        cls.bridge = cls.engine.bridge("front")
        cls.tunnels = set()
        for name, words in TUNNELS.items():
            try:  # not every kernel has every kind
                cls.host.run("ip", "link", "add", name, *words, "local", GATEWAYS["front"]["ipv4"])
                cls.host.run("ip", "link", "set", name, "up")
                cls.tunnels.add(name)
            except Failure:
                pass
        for name in cls.tunnels & {"vxlan-4789", "vxlan-8472"}:
            cls.host.run("ip", "address", "add", {"vxlan-4789": "10.94.0.1/24", "vxlan-8472": "10.95.0.1/24"}[name], "dev", name)

    @classmethod
    def attacks(cls):
        attempts = []
        for family in FAMILIES:
            attempts += cls._by_address(family)
            attempts += cls._to_everybody(family)
        attempts += [*cls._loopback(), *cls._group_messages(), *cls._tunnels()]
        return attempts + [cls._engine_api(address) for address in (GATEWAYS["front"]["ipv4"], uplink("ipv4"), "172.17.0.1")]

    @classmethod
    def attempt(cls, name, family, to, kind, mac=None, **more):
        source = more.pop("source", cls.attacker.address(family))
        protocol = ICMPV6 if family == "ipv6" and kind == "echo" else KINDS[kind]
        arguments = ["packet", f"kind={kind}", f"from={source}", f"to={to}", f"dport={PORT}",
                     f"dmac={mac or interface_mac(cls.host, cls.bridge)}"]
        return Attack(f"{name}, {kind}", cls.attacker, arguments, lambda: Local(cls.host, [protocol], family), family,
                      "attacker -> host", DENIED, **more)

    @classmethod
    def _by_address(cls, family):
        addresses = {"its gateway": GATEWAYS["front"][family], "another bridge's gateway": GATEWAYS["back"][family],
                     "the uplink": uplink(family)}
        if family == "ipv4":
            addresses["docker0"] = "172.17.0.1"
        else:
            addresses["the bridge's link-local address"] = link_local(cls.host, cls.bridge)
            addresses["the uplink's link-local address"] = link_local(cls.host, "uplink")
        for name, address in addresses.items():
            for kind in KINDS if family == "ipv4" else ("udp", "syn", "echo"):
                if name == "the uplink's link-local address":
                    yield cls.attempt(name, family, address, kind, kernel="a link-local address is one interface's")
                else:
                    yield cls.attempt(name, family, address, kind)

    @classmethod
    def _to_everybody(cls, family):
        mac = {"ipv4": "01:00:5e:00:00:01", "ipv6": "33:33:00:00:00:01"}[family]
        yield cls.attempt("all hosts", family, GROUPS[family], "udp", mac)
        yield cls.attempt("all hosts, to the bridge's MAC", family, GROUPS[family], "udp")
        yield cls.attempt("all hosts", family, GROUPS[family], "echo", mac)
        if family == "ipv6":
            yield cls.attempt("all routers", family, "ff02::2", "udp", "33:33:00:00:00:02")
            yield cls.attempt("all nodes of the interface (ff01::1)", family, "ff01::1", "udp", "33:33:00:00:00:01",
                              kernel="interface-local groups are no wire's")
            return
        for name, address in (("broadcast", "255.255.255.255"), ("the subnet's broadcast", "10.91.255.255"),
                              ("the other bridge's broadcast", "10.92.0.255")):
            yield cls.attempt(name, family, address, "udp", "ff:ff:ff:ff:ff:ff")
            yield cls.attempt(name + ", to the bridge's MAC", family, address, "udp")
        yield cls.attempt("broadcast from 0.0.0.0", family, "255.255.255.255", "udp", "ff:ff:ff:ff:ff:ff", source="0.0.0.0")
        yield cls.attempt("to 0.0.0.0", family, "0.0.0.0", "udp", kernel="0.0.0.0 is nobody's address")

    @classmethod
    def _loopback(cls):
        """Docker turns route_localnet on for its bridges where it runs without docker-proxy."""
        for kind in ("udp", "syn", "echo"):
            yield cls.attempt("127.0.0.1", "ipv4", "127.0.0.1", kind, kernel=LOOPBACK)
            yield cls.attempt("::1", "ipv6", "::1", kind, kernel=LOOPBACK)
            for address in ("127.0.0.1", "127.0.0.53"):
                routed = cls.attempt(f"{address}, route_localnet=1", "ipv4", address, kind)
                routed.sends, routed.undo = cls._with_localnet(routed.sends), lambda: cls._localnet(0)
                yield routed

    @classmethod
    def _localnet(cls, value):
        cls.host.sysctl(f"net.ipv4.conf.{cls.bridge}.route_localnet", value)

    @classmethod
    def _with_localnet(cls, arguments):
        def send(attempt):
            cls._localnet(1)
            attempt.sends = arguments
            attempt.send()
            attempt.sends = send
        return send

    @classmethod
    def _group_messages(cls):
        """Who asks for groups decides what is flooded where."""
        for family, protocol, source in (("ipv4", IGMP, cls.attacker.address()), ("ipv6", ICMPV6, None)):
            for kind in ("query", "report"):
                mac = {"ipv4": "01:00:5e:00:00:01", "ipv6": "33:33:00:00:00:01"}[family]
                source = source or own_link_local(cls.attacker.mac("front"))
                arguments = ["packet", f"kind={kind}", "hops=1", f"from={source}", f"to={GROUPS[family]}", f"dmac={mac}"]
                yield Attack(f"{'IGMP' if family == 'ipv4' else 'MLD'} {kind}", cls.attacker, arguments,
                             lambda protocol=protocol, family=family: Local(cls.host, [protocol], family), family,
                             "attacker -> host")

    @classmethod
    def _tunnels(cls):
        """What a tunnel of the host's unpacks must not appear as somebody else's. Where the kernel has no such tunnel, the
        outer packet at least must not reach the host."""
        front = GATEWAYS["front"]
        inner = {"the victim to the host": (cls.victim.address(), front["ipv4"], cls.host),
                 "the victim to bystander": (cls.victim.address(), cls.bystander.address(), cls.bystander)}
        for what, (source, to, target) in inner.items():
            for name, protocol, arguments in (("ipip", IPIP, ["kind=ip"]), ("gre", GRE, ["kind=gre"]),
                                              ("vxlan-4789", None, ["kind=vxlan", "dport=4789"]),
                                              ("vxlan-8472", None, ["kind=vxlan", "dport=8472"])):
                yield cls._tunnel(f"{name}: {what}", "ipv4", protocol, source, to, target, arguments, front, name)
        v6 = {"the victim to the host": (cls.victim.address("ipv6"), front["ipv6"], cls.host),
              "the victim to bystander": (cls.victim.address("ipv6"), cls.bystander.address("ipv6"), cls.bystander)}
        for what, (source, to, target) in v6.items():
            yield cls._tunnel(f"6in4: {what}", "ipv6", SIT, source, to, target, ["kind=ip"], front, "sit")

    @classmethod
    def _tunnel(cls, name, family, protocol, source, to, target, arguments, front, device):
        command = ["tunnel", *arguments, f"from={cls.attacker.address()}", f"to={front['ipv4']}", f"inner-from={source}",
                   f"inner-to={to}", f"dmac={interface_mac(cls.host, cls.bridge)}"]
        if device in cls.tunnels and device.startswith("vxlan"):
            command.append(f"inner-dmac={interface_mac(cls.host, device)}")

        def observe():
            inner = Datagrams(cls.host, PORT, family) if target is cls.host else Wire(target)
            outer = [Local(cls.host, [protocol])] if protocol else []
            return Several(inner, *outer)

        return Attack(name, cls.attacker, command, observe, family, "attacker -> host",
                      kernel="" if protocol or device in cls.tunnels else "no such tunnel in this kernel")

    @classmethod
    def _engine_api(cls, address):
        answers = Answers("ApiVersion")

        def send(attempt):
            wait = 300 if "without" in attempt.results else 2000
            answers(attempt, "connect", f"to={address}", "dport=2375", f"wait={wait}",
                    "mark=GET /version HTTP/1.0\r\n\r\n")

        return Attack(f"the Engine's API at {address}", cls.attacker, send, lambda: answers, "ipv4", "attacker -> host", sent=1)

    def test_one_port_is_one_port(self):
        """A policy that lets it reach the host on a port lets it do that, by every address of the host's, and no more."""
        self.cofferdam.apply(POLICIES + "---" + ONE_PORT)
        self.addCleanup(self.cofferdam.apply, POLICIES)
        for family in FAMILIES:
            for address in (GATEWAYS["front"][family], GATEWAYS["back"][family], uplink(family)):
                for port in ("4000/udp", "8022/tcp"):
                    self.assert_passes(self.attacker, address, port, [family])
                    self.assert_dropped(self.victim, address, port, [family])
                for port in ("4001/udp", "8023/tcp", "2375/tcp", "icmp"):
                    self.assert_dropped(self.attacker, address, port, [family])

    def test_a_port_of_the_hosts_is_none_of_its_loopback_address(self):
        """Where Docker has opened the loopback address to routing, what listens there alone still is for the host alone."""
        self.cofferdam.apply(POLICIES + "---" + ONE_PORT)
        self.addCleanup(self.cofferdam.apply, POLICIES)
        self.addCleanup(self._localnet, 0)
        self._localnet(1)
        for address, port, expected in ((GATEWAYS["front"]["ipv4"], 4000, 3), ("127.0.0.1", 4000, 0), ("127.0.0.1", 4001, 0)):
            observer = Local(self.host, [UDP])
            attack(self.attacker, "packet", "kind=udp", f"from={self.attacker.address()}", f"to={address}", f"dport={port}",
                   f"dmac={interface_mac(self.host, self.bridge)}", "mark=to-the-loopback-address")
            self.assertEqual(observer.count(b"to-the-loopback-address"), expected, f"{address} {port}")
            observer.close()


if __name__ == "__main__":
    unittest.main()

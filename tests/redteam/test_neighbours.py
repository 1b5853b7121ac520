#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What neighbours can be to each other on a link besides what policies speak of: servers for DHCP and names, addresses that every
interface has, and too many of them."""

import functools
import socket
import unittest

from redteam import FAMILIES, Attack, Datagrams, Learned, Redteam, Several, Wire, in_namespace, link_local, mac_of, port_of, run

EVERYTHING = """
policy: everything
select: {all: true}
ingress: [{}]
egress: [{}]
"""
ALL = "ff:ff:ff:ff:ff:ff"


class Servers(Redteam, unittest.TestCase):
    """Where everything is allowed, nobody is a server that neighbours find without knowing it."""

    TITLE = "Servers on the link, where policies allow everything"
    POLICIES = EVERYTHING

    @classmethod
    def attacks(cls):
        cls.gateway = mac_of(cls.engine.host, cls.engine.bridge("front"))
        return [*cls.dhcp4(), *cls.dhcp6(), *cls.names()]

    @classmethod
    def dhcp4(cls):
        own, dmac = f"from={cls.attacker.address()}", f"dmac={cls.victim.mac('front')}"
        server = ["udp", "sport=67", "dport=68"]
        offers = {"offer": [own, f"to={cls.victim.address()}", dmac], "offer to all": [own, "to=255.255.255.255", f"dmac={ALL}"],
                  "offer to all, to one MAC": [own, "to=255.255.255.255", dmac],
                  "offer to the subnet": [own, "to=10.91.255.255", f"dmac={ALL}"],
                  "offer from the gateway's address": ["from=10.91.0.1", "to=255.255.255.255", f"dmac={ALL}"],
                  "offer from 0.0.0.0": ["from=0.0.0.0", "to=255.255.255.255", f"dmac={ALL}"]}
        for name, arguments in offers.items():
            yield Attack("DHCP " + name, cls.attacker, server + arguments, lambda: Datagrams(cls.victim, 68), "ipv4", "attacker -> victim")
        routed = ["udp", own, f"to={cls.other.address()}", f"dmac={cls.gateway}", "sport=67"]
        yield Attack("DHCP offer", cls.attacker, routed + ["dport=68"], lambda: Datagrams(cls.other, 68), "ipv4", "attacker -> other")
        yield Attack("DHCP, as a relay", cls.attacker, routed + ["dport=67"], lambda: Datagrams(cls.other, 67), "ipv4", "attacker -> other")
        to_host = ["udp", own, "to=10.91.0.1", f"dmac={cls.gateway}", "sport=67", "dport=68"]
        yield Attack("DHCP offer", cls.attacker, to_host, lambda: Datagrams(cls.engine.host, 68), "ipv4", "attacker -> host")

    @classmethod
    def dhcp6(cls):
        dmac, server = f"dmac={cls.victim.mac('front')}", ["udp", "sport=547", "dport=546"]
        to = f"to={cls.victim.address('ipv6')}"
        answers = {"answer": [f"from={cls.attacker.address('ipv6')}", to, dmac],
                   "answer, link-local": [f"from={link_local(cls.attacker)}", f"to={link_local(cls.victim)}", dmac],
                   "answer to all": [f"from={link_local(cls.attacker)}", "to=ff02::1", "dmac=33:33:00:00:00:01"],
                   "answer from the gateway": ["from=fe80::1", f"to={link_local(cls.victim)}", dmac]}
        for name, arguments in answers.items():
            yield Attack("DHCPv6 " + name, cls.attacker, server + arguments, lambda: Datagrams(cls.victim, 546, "ipv6"), "ipv6",
                         "attacker -> victim")
        routed = server + [f"from={cls.attacker.address('ipv6')}", f"to={cls.other.address('ipv6')}", f"dmac={cls.gateway}"]
        yield Attack("DHCPv6 answer", cls.attacker, routed, lambda: Datagrams(cls.other, 546, "ipv6"), "ipv6", "attacker -> other")

    @classmethod
    def names(cls):
        """To groups that programs join to find each other. Policies grant peers, and a group is none."""
        groups = {"ipv4": {"mDNS": ("224.0.0.251", 5353, "01:00:5e:00:00:fb"), "LLMNR": ("224.0.0.252", 5355, "01:00:5e:00:00:fc"),
                           "SSDP": ("239.255.255.250", 1900, "01:00:5e:7f:ff:fa"), "NetBIOS": ("10.91.255.255", 137, ALL)},
                  "ipv6": {"mDNS": ("ff02::fb", 5353, "33:33:00:00:00:fb"), "LLMNR": ("ff02::1:3", 5355, "33:33:00:01:00:03")}}
        for family in FAMILIES:
            for name, (to, port, dmac) in groups[family].items():
                for words, sport in (("question", 40000), ("answer", port)):
                    command = ["udp", f"from={cls.attacker.address(family)}", f"to={to}", f"dport={port}", f"sport={sport}", f"dmac={dmac}"]
                    group = None if name == "NetBIOS" else to
                    yield Attack(f"{name} {words}", cls.attacker, command,
                                 functools.partial(cls.listeners, port, family, group), family, "attacker -> victim")

    @classmethod
    def listeners(cls, port, family, group):
        return Several(Datagrams(cls.victim, port, family, group), Wire(cls.bystander))

    def test_the_rules_still_stand(self):
        self.assertEqual(self.cofferdam("verify").returncode, 0)
        self.assert_passes(self.attacker, self.victim, "80/tcp")
        self.assert_passes(self.other, self.victim, "53/udp")


class LinkLocal(Redteam, unittest.TestCase):
    """The addresses that IPv6 gives to every interface: on a network that has IPv6, and on one that has none."""

    TITLE = "IPv6 link-local addresses"

    @classmethod
    def prepare(cls):
        super().prepare()
        cls.engine.network("four", "10.94.0.0/24")
        started = cls.engine.run_all({name: cls.options("attacker", networks=["four"]) for name in ("attacker4", "victim4")})
        cls.attacker4, cls.victim4 = started["attacker4"], started["victim4"]
        for container in started.values():
            run(container.enter("sh", "-c", "echo 0 >/proc/sys/net/ipv6/conf/eth0/disable_ipv6"))

    @classmethod
    def attacks(cls):
        attempts = [*cls.between_two(cls.attacker, cls.victim, "front"), *cls.between_two(cls.attacker4, cls.victim4, "four")]
        bridge = cls.engine.bridge("front")
        for to in cls.links(bridge):  # Docker 28 gives it no fe80::1
            words = "gateway" if to == "fe80::1" else "bridge"
            sources = {"link-local": link_local(cls.attacker), "global": cls.attacker.address("ipv6"), "::": "::"}
            for kind, source in sources.items():
                command = ["udp", f"from={source}", f"to={to}", f"dmac={mac_of(cls.engine.host, bridge)}"]
                attempts.append(Attack(f"UDP to the {words}'s, from {kind}", cls.attacker, command,
                                       lambda: Datagrams(cls.engine.host, family="ipv6"), "ipv6", "attacker -> host"))
        return attempts

    @classmethod
    def links(cls, interface):
        text = cls.engine.host.run("ip", "-6", "-o", "addr", "show", "dev", interface, "scope", "link").stdout
        return [line.split()[3].split("/")[0] for line in text.splitlines()]

    @classmethod
    def between_two(cls, source, target, network):
        addresses = [f"from={link_local(source)}", f"to={link_local(target)}", f"dmac={mac_of(target)}"]
        path = f"two on {network}"
        for port in (9999, 53):
            yield Attack(f"UDP port {port}", source, ["udp", *addresses, f"dport={port}"], lambda: Wire(target), "ipv6", path)
        to_all = ["udp", addresses[0], "to=ff02::1", "dmac=33:33:00:00:00:01"]
        yield Attack("UDP to all", source, to_all, lambda: Wire(target), "ipv6", path)
        yield Attack("ping", source, ["discovery", "icmp=128", *addresses], lambda: Wire(target), "ipv6", path)
        is_syn = lambda frame: frame[12:14] == b"\x86\xdd" and frame[20] == 6 and frame[22:24] == b"\xfe\x80"
        yield Attack("TCP, by the kernel", source, lambda _: cls.connect(source, link_local(target)), lambda: Wire(target, matches=is_syn),
                     "ipv6", path, sent=1)

    @staticmethod
    def connect(source, address):
        def opened():
            client = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
            client.settimeout(1)
            client.connect_ex((address, 80, 0, socket.if_nametoindex("eth0")))
            client.close()
        in_namespace(source, opened)


class Flooding(Redteam, unittest.TestCase):
    """Too many MACs push out the true ones, and make a bridge send everything to everybody."""

    TITLE = "Thousands of source MACs"
    FRAMES = 2000

    @classmethod
    def attacks(cls):
        port = port_of(cls.engine.host, cls.attacker)

        def learned():
            cls.engine.host.run("ip", "link", "set", "dev", port, "type", "bridge_slave", "fdb_flush")
            return Learned(cls.engine.host, port, lambda mac: mac.startswith(b"\x02\xca\xfe"))
        attempts = []
        for family in FAMILIES:
            command = ["udp", f"from={cls.attacker.address(family)}", f"to={cls.victim.address(family)}", "dport=53",
                       f"dmac={cls.victim.mac('front')}", "spread=1", f"count={cls.FRAMES}"]
            attempts.append(Attack("datagrams", cls.attacker, command, learned, family, "attacker -> bridge", sent=cls.FRAMES))
            attempts.append(Attack("datagrams, tagged", cls.attacker, command + ["tags=8100.0"], learned, family, "attacker -> bridge",
                                   sent=cls.FRAMES))
            attempts.append(Attack("datagrams to 01:80:c2:00:00:0e", cls.attacker, [word for word in command if word[:5] != "dmac="]
                                   + ["dmac=01:80:c2:00:00:0e"], learned, family, "attacker -> bridge", sent=0))
        return attempts


if __name__ == "__main__":
    unittest.main()

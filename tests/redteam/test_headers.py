#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""IP headers of one's own making: extension headers and options, protocols that no policy names, and malformed packets."""

import socket
import unittest

from redteam import FAMILIES, GATEWAYS, PORT, Attack, Redteam, Several, Wire, attack, in_namespace
from engine import OUTSIDE as ADDRESSES

HOST, OUTSIDE, VICTIM, OTHER = "attacker -> host", "attacker -> outside", "attacker -> victim", "attacker -> other"
ROUTED = (HOST, OUTSIDE, OTHER)
EVERYWHERE = (VICTIM, *ROUTED)

# IPv6: chains of extension headers in front of UDP, and the protocol by which a raw socket on the host would get the packet.
CHAINS = {
    "hop-by-hop": ("hop", 17), "hop-by-hop, router alert": ("alert", 17), "destination options": ("options", 17),
    "most that RFC 8200 orders": ("hop,options,atomic,options", 17),
    "all that RFC 8200 orders": ("hop,options,rt253,atomic,options", 17), "hop-by-hop, twice": ("hop,hop", 17),
    "hop-by-hop, not the first": ("options,hop", 17), "forty destination options": (",".join(["options"] * 40), 17),
    "routing type 0": ("rt0", 17), "routing type 2": ("rt2", 17), "routing type 4, segment routing": ("rt4", 17),
    "routing type 253": ("rt253", 17), "a home address": ("home", 17), "an unknown header": ("unknown", 253),
    "mobility": ("mobility", 135), "host identity": ("hip", 139), "shim6": ("shim6", 140), "no next header": ("none", 59),
    "AH": ("ah", 51), "ESP": ("esp", 50), "AH behind an atomic fragment": ("atomic,ah", 51), "jumbogram": ("jumbo", 17),
}
OPTIONS = {  # IPv4, RFC 791; HERE is another container's address
    "loose source route": "8307 04HERE", "strict source route": "8907 04HERE", "record route": "0707 0400000000",
    "timestamp": "440c 05010000000000000000", "router alert": "9404 0000", "unknown option": "1e04 0000", "stream ID": "8804 1234",
    "security": "820b 0000000000000000 00", "forty bytes of no-operation": "01" * 40, "an option of length 0": "07000000",
    "an option over the end": "07ff0400",
}
PROTOCOLS = {"SCTP": 132, "DCCP": 33, "UDP-Lite": 136, "GRE": 47, "IPIP": 4, "6in4": 41, "ESP": 50, "AH": 51, "IGMP": 2, "OSPF": 89,
             "VRRP": 112, "PIM": 103, "L2TP": 115, "protocol 0": 0, "protocol 143": 143, "protocol 253": 253,
             "protocol 255": 255}
MALFORMED4 = {
    "bad checksum": ["checksum=bad"], "version 5": ["version=5"], "version 6": ["version=6"], "header of 4 words": ["ihl=4"],
    "header of 15 words": ["ihl=15"], "longer than the frame": ["total=1400"], "shorter than the header": ["total=19"],
    "only the header": ["total=20"], "shorter than UDP": ["total=24"], "TTL 0": ["ttl=0"], "TTL 1": ["ttl=1"],
    "in an IPv6 frame": ["type=0x86dd"],
}
MALFORMED6 = {
    "longer than the frame": ["payload=1400"], "payload 0": ["payload=0"], "shorter than UDP": ["payload=4"], "hop limit 0": ["ttl=0"],
    "hop limit 1": ["ttl=1"], "in an IPv4 frame": ["type=0x0800"], "jumbogram with payload 0": ["chain=jumbo", "payload=0"],
}


TRIMMED = ("only the header", "shorter than UDP", "payload 0")  # the mark is behind the packet's end: seen by address instead
PUT_TOGETHER = "all that RFC 8200 orders"  # Docker before 27.3 has bridge netfilter do it
# What the kernel's own checks stop before any rule sees it; the bridge makes them only where packets go through the inet rules.
UNSEEN = {*MALFORMED4, *MALFORMED6, "jumbogram"} - {*TRIMMED, "TTL 0", "TTL 1", "hop limit 0", "hop limit 1"}
MALFORMED = "malformed packets, and in frames of another type, are not for the host to route"
KERNEL = {
    MALFORMED: (ROUTED, UNSEEN | {"an option of length 0", "an option over the end"}),
    "TTLs and hop limits end": ((OTHER, OUTSIDE), {"TTL 0", "TTL 1", "hop limit 0", "hop limit 1"}),
    "the first hop of a strict source route is not the next": ((OTHER, OUTSIDE), {"strict source route"}),
    "the host takes no routing header that it is not told to take, no home address, and hop-by-hop options only as the first": (
        (HOST,), {"routing type 0", "routing type 2", "routing type 4, segment routing", "routing type 253", "a home address",
                  "hop-by-hop, twice", "hop-by-hop, not the first"}),
    "no socket receives this protocol": ((HOST,), {"protocol 0", "protocol 255", "mobility"}),
}


class Headers(Redteam, unittest.TestCase):
    TITLE = "Extension headers, options and protocols"

    @classmethod
    def prepare(cls):
        super().prepare()
        cls.engine.host.sysctl("net.bridge.bridge-nf-call-iptables", 0)  # Cofferdam does it bridge by bridge
        cls.engine.host.sysctl("net.bridge.bridge-nf-call-ip6tables", 0)
        for family in FAMILIES:  # a host that lets others choose the route
            for device in ("all", cls.engine.bridge("front")):
                cls.engine.host.sysctl(f"net.{family}.conf.{device}.accept_source_route", 1)

    @classmethod
    def attacks(cls):
        return [attempt for family in FAMILIES for path in cls.paths(family) for attempt in cls.kinds(path)]

    @classmethod
    def kinds(cls, path):
        if path.family == "ipv4":
            rows = [(name, [f"options={value.replace(' ', '')}"], 17) for name, value in OPTIONS.items()]
            rows += [(name, arguments, 17) for name, arguments in MALFORMED4.items()]
        else:
            rows = [(name, [f"chain={chain}"], protocol) for name, (chain, protocol) in CHAINS.items()]
            rows += [(name, arguments, 17) for name, arguments in MALFORMED6.items()]
        rows += [(name, [f"protocol={number}"], number) for name, number in PROTOCOLS.items()
                 if number or path.family == "ipv4"]  # for IPv6, that is the hop-by-hop header
        tunnel = ("IPIP", 4) if path.family == "ipv4" else ("IPv6 in IPv6", 41)
        rows += [(f"UDP in {name}", [f"protocol={number}", "inside=udp"], number) for name, number in (("GRE", 47), tunnel)]
        return [cls.attempt(path, *row) for row in rows if row[0] not in TRIMMED or path.name in (VICTIM, OTHER)]

    @classmethod
    def attempt(cls, path, name, arguments, protocol):
        sends = ["header", *path.arguments(cls.attacker.address(path.family)), f"dport={PORT}", f"via={cls.other.address(path.family)}",
                 *arguments]
        kernel = "; ".join(reason for reason, (paths, names) in KERNEL.items() if path.name in paths and name in names)

        def observe():
            observer = Several() if path.name == HOST and protocol in (0, 255) else path.observe(protocol)
            if name in TRIMMED:
                observer.matches = cls.from_attacker(path.family)
            return observer if path.name == OTHER else Several(observer, Wire(cls.other))  # where source routes lead
        if name == PUT_TOGETHER and path.name == HOST and cls.engine.version < (27, 3):
            kernel = "the host takes no routing header where packets were put together before"
        return Attack(name, cls.attacker, sends, observe, path.family, path.name, kernel=kernel, sent=0 if name in UNSEEN else 3)

    @classmethod
    def from_attacker(cls, family):
        """True of its UDP packets."""
        start, protocol, kind = (26, 23, socket.AF_INET) if family == "ipv4" else (22, 20, socket.AF_INET6)
        address = socket.inet_pton(kind, cls.attacker.address(family))
        return lambda frame: frame[start:start + len(address)] == address and frame[protocol] == socket.IPPROTO_UDP


ALLOWED = 5300
HOST_ALLOWED = f"""
---
policy: host
select: {{labels: {{role: attacker}}}}
egress: [{{to: [host], ports: [{ALLOWED}/udp]}}]
"""


class SourceRoutes(Redteam, unittest.TestCase):
    """A host that lets its neighbours choose a packet's route sends what it is allowed to get on to anybody."""

    TITLE = "Routes of the sender's choice, in what is allowed to the host"
    POLICIES = Redteam.POLICIES + HOST_ALLOWED

    @classmethod
    def prepare(cls):
        super().prepare()
        for device in ("all", cls.engine.bridge("front")):
            for key in ("ipv4.conf.{}.accept_source_route", "ipv6.conf.{}.accept_source_route", "ipv6.conf.{}.seg6_enabled"):
                cls.engine.host.sysctl("net." + key.format(device), 1)
        cls.sockets = {}
        for family in FAMILIES:
            kind = socket.AF_INET if family == "ipv4" else socket.AF_INET6
            server = in_namespace(cls.engine.host, lambda kind=kind: socket.socket(kind, socket.SOCK_DGRAM))
            client = in_namespace(cls.attacker, lambda kind=kind: socket.socket(kind, socket.SOCK_DGRAM))
            cls.addClassCleanup(server.close)
            cls.addClassCleanup(client.close)
            server.settimeout(2)
            client.settimeout(2)
            if family == "ipv6":
                server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            server.bind(("", ALLOWED))
            client.connect((GATEWAYS["front"][family], ALLOWED))
            cls.sockets[family] = (client, server)

    @classmethod
    def attacks(cls):
        attempts = []
        for family in FAMILIES:
            lan = Wire, cls.engine.lan, "neighbour"
            targets = [("bystander", cls.bystander.address(family), (Wire, cls.bystander)),
                       ("other", cls.other.address(family), (Wire, cls.other)),
                       ("outside", ADDRESSES[family]["public"], lan), ("LAN", ADDRESSES[family]["lan"], lan)]
            if family == "ipv4":
                kinds = {"loose source route": "options=830704HERE", "loose source route behind a no-operation": "options=01830704HERE"}
            else:
                kinds = {"segment routing": "chain=srh", "segment routing behind options": "chain=options,srh",
                         "segment routing behind hop-by-hop": "chain=hop,srh", "segment routing behind a fragment header": "chain=atomic,srh"}
            for name, argument in kinds.items():
                for where, via, (make, *arguments) in targets:
                    attempts.append(Attack(name, cls.attacker, cls.sent(family, argument, via),
                                           lambda make=make, arguments=arguments: make(*arguments), family,
                                           f"attacker -> host -> {where}"))
        return attempts

    @classmethod
    def sent(cls, family, argument, via):
        def send(attempt):
            client, server = cls.sockets[family]
            client.send(b"question")
            server.sendto(b"answer", server.recvfrom(100)[1])
            client.recv(100)
            attack(cls.attacker, "header", f"from={cls.attacker.address(family)}", f"to={GATEWAYS['front'][family]}",
                   f"dmac={cls.gateway_mac('front')}", f"via={via}", f"sport={client.getsockname()[1]}", f"dport={ALLOWED}", argument,
                   f"mark={attempt.mark.decode()}")
        return send


if __name__ == "__main__":
    unittest.main()

#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""ICMP: errors about other people's connections, and messages that nobody asked for. What is left must work: errors about
connections that are allowed, by whoever carries their packets."""

import re
import socket
import unittest

from redteam import FAMILIES, GATEWAYS, PORT, Attack, Changes, Redteam, Several, Wire, attack, enter, in_namespace
from engine import OUTSIDE, UPLINK
from machine import Failure, Namespace, run, wait_until

FAMILY = {"ipv4": socket.AF_INET, "ipv6": socket.AF_INET6}
LEVEL = {"ipv4": socket.IPPROTO_IP, "ipv6": socket.IPPROTO_IPV6}
# Of Linux, and not in Python's socket: IP_MTU_DISCOVER, IP_MTU, IP_RECVERR, IP_TTL and their IPv6 counterparts.
MTU_DISCOVER, MTU, RECVERR, TTL = ({"ipv4": 10, "ipv6": 23}, {"ipv4": 14, "ipv6": 24}, {"ipv4": 11, "ipv6": 25},
                                   {"ipv4": 2, "ipv6": 16})
TOO_BIG = {"ipv4": ["type=3", "code=4", "rest=600"], "ipv6": ["type=2", "code=0", "rest=1280"]}
REFUSED = {"ipv4": ["type=3", "code=3"], "ipv6": ["type=1", "code=4"]}
ERRORS = {
    "ipv4": {"network unreachable": (3, 0), "host unreachable": (3, 1), "protocol unreachable": (3, 2), "source route failed": (3, 5),
             "administratively prohibited": (3, 13), "source quench": (4, 0), "redirect": (5, 1), "time exceeded": (11, 0),
             "reassembly time exceeded": (11, 1), "parameter problem": (12, 0), "an unknown error": (3, 99)},
    "ipv6": {"no route": (1, 0), "administratively prohibited": (1, 1), "address unreachable": (1, 3), "time exceeded": (3, 0),
             "reassembly time exceeded": (3, 1), "parameter problem": (4, 1), "an unknown error": (100, 0)},
}
UNASKED = {
    "ipv4": {"echo reply": 0, "router advertisement": 9, "router solicitation": 10, "timestamp request": 13, "timestamp reply": 14,
             "information request": 15, "information reply": 16, "mask request": 17, "mask reply": 18, "traceroute": 30,
             "extended echo": 42, "type 200": 200},
    "ipv6": {"echo reply": 129, "router renumbering": 138, "node information query": 139, "node information reply": 140,
             "inverse discovery": 141, "home agent discovery": 144, "certification path": 148, "extended echo": 160,
             "type 200": 200},
}
ALLOWED = 5300
MORE = f"""
---
policy: to-other
select: {{labels: {{role: attacker}}}}
egress: [{{to: [{{labels: {{role: other}}}}], ports: [{ALLOWED}/udp]}}]
---
policy: other
select: {{labels: {{role: other}}}}
ingress: [{{from: [{{labels: {{role: attacker}}}}], ports: [{ALLOWED}/udp]}}]
"""
FAR = {"ipv4": "198.41.0.99", "ipv6": "2a00:1450:4001:800::99"}  # behind a link of a smaller MTU
FAR_MTU = 1400
NOT_ITS_END = "invalid, untracked, or related"


class Flow:
    """A UDP socket in a container, connected to where its policy lets it."""

    def __init__(self, space, family, to, port=53):
        self.space, self.family, self.to = space, family, to
        self.socket = in_namespace(space, lambda: socket.socket(FAMILY[family], socket.SOCK_DGRAM))
        self.socket.setsockopt(LEVEL[family], RECVERR[family], 1)
        self.socket.setblocking(False)
        self.socket.connect((to, port))
        self.port = self.socket.getsockname()[1]

    def touch(self):
        self.clear()
        self.socket.send(b"question")

    def clear(self):
        """Forgets errors. Returns how many there were."""
        found = 0
        while True:
            try:
                self.socket.recvmsg(2000, 1000, socket.MSG_ERRQUEUE)
                found += 1
            except BlockingIOError:
                break
        self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        return found

    def mtu(self):
        text = run(enter(self.space, "ip", "route", "get", self.to)).stdout
        found = re.search(r"mtu (\d+)", text)
        return int(found[1]) if found else None

    def route(self):
        return re.search(r"via (\S+)", run(enter(self.space, "ip", "route", "get", self.to)).stdout + " via none ")[1]

    def forget(self):
        for version in ("-4", "-6"):
            run(enter(self.space, "ip", version, "route", "flush", "cache"))
        self.clear()


class Errors(Redteam, unittest.TestCase):
    TITLE = "ICMP errors, and messages that nobody asked for"
    POLICIES = Redteam.POLICIES + MORE

    @classmethod
    def prepare(cls):
        super().prepare()
        cls.inner_flows, cls.outer_flows, cls.own = {}, {}, {}
        for family in FAMILIES:
            cls.addClassCleanup(cls.ear(family).close)
        for family in FAMILIES:
            cls.inner_flows[family] = Flow(cls.victim, family, cls.bystander.address(family))
            cls.outer_flows[family] = Flow(cls.victim, family, OUTSIDE[family]["public"])
            cls.own[family] = Flow(cls.attacker, family, cls.victim.address(family))
            for flows in (cls.inner_flows, cls.outer_flows, cls.own):
                cls.addClassCleanup(flows[family].socket.close)

    @classmethod
    def ear(cls, family):
        """Somebody outside listens, and says nothing: an error of theirs would disturb."""
        def listen():
            ear = socket.socket(FAMILY[family], socket.SOCK_DGRAM)
            if family == "ipv6":
                ear.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            ear.bind(("", 53))
            return ear
        return in_namespace(cls.engine.lan, listen)

    @classmethod
    def attacks(cls):
        attempts = []
        for family in FAMILIES:
            attempts += cls.about_others(family) + cls.wrong_receiver(family) + cls.unasked(family) + cls.broadcast(family)
        return attempts + cls.through_nat() + cls.redirects()

    # Errors about a connection of the victim's

    @classmethod
    def about_others(cls, family):
        attempts = []
        for where, flow in (("the bystander", cls.inner_flows[family]), ("outside", cls.outer_flows[family])):
            def effect(name, kind, read, flow=flow, where=where):
                attempts.append(cls.error(f"{name}, victim -> {where}", family, flow, kind, lambda: Changes(lambda: read(flow))))
            effect("path MTU lowered", TOO_BIG[family], Flow.mtu)
            effect("port unreachable: socket told", REFUSED[family], Flow.clear)
            for name, (kind, code) in ERRORS[family].items():
                attempts.append(cls.error(f"{name}, victim -> {where}", family, flow, [f"type={kind}", f"code={code}"],
                                          lambda: Wire(cls.victim)))
        return attempts

    @classmethod
    def error(cls, name, family, flow, kind, observe):
        def send(attempt):
            flow.touch()
            attack(cls.attacker, "icmp", f"from={cls.attacker.address(family)}", f"to={cls.victim.address(family)}",
                   f"dmac={cls.victim.mac('front')}", *kind, "inner=udp", f"inner_from={cls.victim.address(family)}",
                   f"inner_to={flow.to}", f"sport={flow.port}", "dport=53", f"mark={attempt.mark.decode()}")
        return Attack(name, cls.attacker, send, observe, family, "attacker -> victim", NOT_ITS_END, undo=flow.forget)

    # An error about the attacker's own connection, to somebody who is not its sender; and about none

    @classmethod
    def wrong_receiver(cls, family):
        attempts = []
        flow = cls.own[family]
        for target in (cls.bystander, cls.other, cls.victim):
            for about, sport in (("the attacker's own connection", flow.port), ("no connection", 1)):
                if target is cls.victim and sport != 1:
                    continue  # that is the end of it
                for name, kind in (("too big", TOO_BIG[family]), ("port unreachable", REFUSED[family])):
                    attempts.append(Attack(f"{name}, about {about}", cls.attacker, cls.misdirected(family, target, kind, sport),
                                           lambda target=target: Wire(target), family, f"attacker -> {target.name}", "invalid"))
        return attempts

    @classmethod
    def misdirected(cls, family, target, kind, sport):
        flow = cls.own[family]

        def send(attempt):
            flow.touch()
            dmac = target.mac("front") if "front" in target.addresses(family) else cls.gateway_mac("front")
            attack(cls.attacker, "icmp", f"from={cls.attacker.address(family)}", f"to={target.address(family)}", f"dmac={dmac}",
                   *kind, "inner=udp", f"inner_from={cls.attacker.address(family)}", f"inner_to={flow.to}", f"sport={sport}",
                   "dport=53", f"mark={attempt.mark.decode()}")
        return send

    # To the host's own address, which connection tracking translates for the connection that the error is about

    @classmethod
    def through_nat(cls):
        flow = cls.outer_flows["ipv4"]

        def send(attempt):
            flow.touch()
            attack(cls.attacker, "icmp", f"from={cls.attacker.address()}", f"to={UPLINK['ipv4']}", f"dmac={cls.gateway_mac('front')}",
                   *TOO_BIG["ipv4"], "inner=udp", f"inner_from={UPLINK['ipv4']}", f"inner_to={flow.to}", f"sport={flow.port}",
                   "dport=53", f"mark={attempt.mark.decode()}")
        return [Attack("path MTU lowered, through the host's translation", cls.attacker, send, lambda: Changes(flow.mtu), "ipv4",
                       "attacker -> host", NOT_ITS_END, undo=flow.forget)]

    @classmethod
    def redirects(cls):
        flow = cls.outer_flows["ipv4"]

        def send(attempt):
            flow.touch()
            attack(cls.attacker, "icmp", f"from={GATEWAYS['front']['ipv4']}", f"to={cls.victim.address()}",
                   f"dmac={cls.victim.mac('front')}", "type=5", "code=1", f"gateway={cls.attacker.address()}", "inner=udp",
                   f"inner_from={cls.victim.address()}", f"inner_to={flow.to}", f"sport={flow.port}", "dport=53",
                   f"mark={attempt.mark.decode()}")
            flow.touch()
        return [Attack("redirect in the gateway's name", cls.attacker, send, lambda: Changes(flow.route), "ipv4", "attacker -> victim",
                       "not this port's address", undo=flow.forget)]

    # Messages that are no errors

    @classmethod
    def unasked(cls, family):
        attempts = []
        for path in cls.paths(family)[:2]:
            for name, number in UNASKED[family].items():
                sends = ["icmp", *path.arguments(cls.attacker.address(family)), f"type={number}"]
                attempts.append(Attack(name, cls.attacker, sends, lambda path=path: path.observe(1), family, path.name))
        path = cls.paths(family)[0]
        echo, reply = (8, 0) if family == "ipv4" else (128, 129)

        def confuse(attempt):  # the echo is allowed, its answer in the same direction is not
            arguments = [*path.arguments(cls.attacker.address(family)), "rest=0x77770001"]
            attack(cls.attacker, "icmp", *arguments, f"type={echo}")
            attack(cls.attacker, "icmp", *arguments, f"type={reply}", f"mark={attempt.mark.decode()}")
        attempts.append(Attack("echo reply beside an allowed echo", cls.attacker, confuse, lambda: path.observe(1), family, path.name))
        return attempts

    @classmethod
    def broadcast(cls, family):
        """A question to all, in the hope that they answer the victim (smurf), and datagrams to all."""
        attempts = []
        groups = ("10.91.255.255", "255.255.255.255", "224.0.0.1", "224.0.0.251") if family == "ipv4" else ("ff02::1", "ff02::fb",
                                                                                                      "ff05::2")
        for group in groups:
            for name, command in (("echo", ["icmp", f"type={8 if family == 'ipv4' else 128}"]), ("UDP", ["udp", "dport=53"])):
                for whose in (cls.attacker, cls.victim):
                    sends = [*command, f"from={whose.address(family)}", f"to={group}"]
                    attempts.append(Attack(f"{name} to {group}, as {whose.name}", cls.attacker, sends,
                                           lambda: Several(Wire(cls.victim), Wire(cls.bystander)), family, "attacker -> all"))
        return attempts

    # What must work

    def test_an_end_may_report(self):
        """The victim tells the attacker, whose connection to it is allowed, that its packets are too big."""
        for family in FAMILIES:
            with self.subTest(family):
                flow = self.own[family]
                flow.forget()
                flow.touch()
                attack(self.victim, "icmp", f"from={self.victim.address(family)}", f"to={self.attacker.address(family)}",
                       f"dmac={self.attacker.mac('front')}", *TOO_BIG[family], "inner=udp",
                       f"inner_from={self.attacker.address(family)}", f"inner_to={flow.to}", f"sport={flow.port}", "dport=53", "mark=x")
                self.addCleanup(flow.forget)
                wait_until(flow.mtu, 2, "the path MTU to be known")

    def test_path_mtu(self):
        """A router outside whose link is narrower says so, and the host does for another bridge."""
        self.far()
        back = self.engine.bridge("back")
        self.engine.host.run("ip", "link", "set", back, "mtu", str(FAR_MTU))
        self.addCleanup(self.engine.host.run, "ip", "link", "set", back, "mtu", "1500")
        for family in FAMILIES:
            for name, to, port in (("outside", FAR[family], 53), ("other", self.other.address(family), ALLOWED)):
                with self.subTest(name, family=family):
                    flow = Flow(self.attacker, family, to, port)
                    flow.socket.setsockopt(LEVEL[family], MTU_DISCOVER[family], 2)  # IP_PMTUDISC_DO
                    self.addCleanup(flow.socket.close)
                    self.addCleanup(flow.forget)
                    self.learns(flow, family)

    def learns(self, flow, family):
        def told():
            try:
                flow.clear()
                flow.socket.send(bytes(1440))
            except OSError:
                pass
            return flow.socket.getsockopt(LEVEL[family], MTU[family]) == FAR_MTU
        wait_until(told, 3, f"the path MTU to {flow.to} to be {FAR_MTU}", gap=0.1)

    def test_hops(self):
        """Somebody who looks for the way of an allowed packet is told of each hop; of what is denied, no more than that the host is
        its router: it says so before it asks whether to forward."""
        self.far()
        for family in FAMILIES:
            for port, want in ((53, [GATEWAYS["front"][family], {"ipv4": "203.0.113.2", "ipv6": "2001:db8:113::2"}[family]]),
                               (PORT, [GATEWAYS["front"][family], None])):
                with self.subTest(port, family=family):
                    self.assertEqual([self.hop(family, port, ttl) for ttl in (1, 2)], want)

    def hop(self, family, port, ttl):
        """Who answers to a datagram to FAR that may take so many hops."""
        flow = Flow(self.attacker, family, FAR[family], port)
        self.addCleanup(flow.socket.close)
        flow.socket.setsockopt(LEVEL[family], TTL[family], ttl)
        answer = []

        def answered():
            try:
                _, control, _, _ = flow.socket.recvmsg(2000, 1000, socket.MSG_ERRQUEUE)
            except BlockingIOError:
                return False
            for _, kind, data in control:
                if kind == RECVERR[family]:  # struct sock_extended_err of 16 bytes, then the offender's sockaddr
                    start = 20 if family == "ipv4" else 24
                    answer.append(socket.inet_ntop(FAMILY[family], data[start:start + (4 if family == "ipv4" else 16)]))
            return True
        for _ in range(2 if port == PORT else 4):  # neighbours may have to be looked for first
            flow.socket.send(b"how far?")
            try:
                wait_until(answered, 0.5, "an answer")
                return answer[0]
            except Failure:
                flow.clear()
        return None

    def far(self):
        """A namespace behind lan."""
        if hasattr(type(self), "far_space"):
            return
        space = type(self).far_space = Namespace(self.engine.name + "-far")
        self.addClassCleanup(run, ["ip", "netns", "del", space.name], check=False)
        lan = self.engine.lan
        lan.batch([f"link add narrow mtu {FAR_MTU} type veth peer name wide netns {space.name}", "link set narrow up",
                   "address add 192.0.2.1/24 dev narrow", "address add 2001:db8:2::1/64 dev narrow nodad",
                   f"route add {FAR['ipv4']} via 192.0.2.2", f"route add {FAR['ipv6']} via 2001:db8:2::2"])
        space.batch([f"link set wide mtu {FAR_MTU}", "link set wide up", "address add 192.0.2.2/24 dev wide",
                     "address add 2001:db8:2::2/64 dev wide nodad", f"address add {FAR['ipv4']}/32 dev lo",
                     f"address add {FAR['ipv6']}/128 dev lo", "route add default via 192.0.2.1", "route add default via 2001:db8:2::1"])


if __name__ == "__main__":
    unittest.main()

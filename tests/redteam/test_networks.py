#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A container on two networks is no bridge between them, whatever it and its neighbours do."""

import json
import unittest

from redteam import FAMILIES, POLICIES, Attack, Redteam, Wire, attack, run
from engine import OUTSIDE
from machine import Failure, wait_until
from playground import ROLES, Playground

# What each may do by itself: attacker -> both -> other. Nothing of it lets the attacker's packets get to other.
BOTH = """
---
policy: attacker-of-both
select: {labels: {role: attacker}}
egress: [{to: [{labels: {role: both}}], ports: [53/udp]}]
---
policy: both
select: {labels: {role: both}}
ingress: [{from: [{labels: {role: attacker}}], ports: [53/udp]}]
egress: [{to: [{labels: {role: other}}], ports: [53/udp]}, {to: [{labels: {role: victim}}], ports: [53/udp]}]
---
policy: other
select: {labels: {role: other}}
ingress: [{from: [{labels: {role: both}}], ports: [53/udp]}]
---
policy: victim-of-both
select: {labels: {role: victim}}
ingress: [{from: [{labels: {role: both}}], ports: [53/udp]}]
"""
NOT_ITS = "not this port's address|no live container has this address"


class BetweenNetworks(Redteam, unittest.TestCase):
    TITLE = "A container on two networks"
    SETTLE = 0.1  # it has to find its neighbour first

    @classmethod
    def prepare(cls):
        super().prepare()
        cls.both = cls.engine.run("both", ["front", "back"], labels={"role": "both"},
                                  command=["probe", "serve", "80/tcp", "53/udp"])
        for path in ("net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"):
            run(cls.both.enter("sh", "-c", f"echo 1 >/proc/sys/{path}"))
        links = json.loads(run(cls.both.enter("ip", "-j", "address")).stdout)
        cls.interfaces = {network: next(link["ifname"] for link in links if link.get("address") == cls.both.mac(network))
                          for network in ("front", "back")}
        wait_until(lambda: "tentative" not in run(cls.both.enter("ip", "-6", "address")).stdout, 5, "its link-local addresses")

    @classmethod
    def attacks(cls):
        cls.cofferdam.write(POLICIES + BOTH)
        attempts = []
        for family in FAMILIES:
            attempts += cls.through_it(family) + cls.by_it(family)
        return attempts

    @classmethod
    def attempt(cls, name, source, sends, target, family, **options):
        sends = ["udp", "dport=53", *(f"{key}={value}" for key, value in sends.items())]
        return Attack(name, source, sends, lambda: Wire(target), family, f"{source.name} -> {target.name}", NOT_ITS, **options)

    @staticmethod
    def show(container):
        """Has the bridge learn again where its MAC address is."""
        attack(container, "udp", f"from={container.address()}", "to=255.255.255.255", "count=1")

    @classmethod
    def through_it(cls, family):
        """Its neighbour on front frames packets for its MAC address that are to others on back, and it forwards."""
        attacker, other, both = cls.attacker, cls.other, cls.both
        there = {"to": other.address(family), "dmac": both.mac("front")}
        nobody = {"ipv4": "10.92.0.77", "ipv6": "fd92::77"}[family]
        tries = [
            ("forwarded by a container", {"from": attacker.address(family)}, None),
            ("the same, from a neighbour's address", {"from": cls.victim.address(family)}, None),
            ("the same, with its MAC address too", {"from": cls.victim.address(family), "smac": cls.victim.mac("front")},
             lambda: cls.show(cls.victim)),
            ("the same, from an address outside", {"from": OUTSIDE[family]["public"]}, None),
            ("the same, from an address there", {"from": nobody}, None),
        ]
        return [cls.attempt(name, attacker, dict(sends, **there), other, family, undo=undo) for name, sends, undo in tries]

    @classmethod
    def by_it(cls, family):
        """What it may send from one of its addresses comes from the other one, or from others'."""
        both, victim, other, attacker = cls.both, cls.victim, cls.other, cls.attacker
        near, far = both.addresses(family)["front"], both.addresses(family)["back"]
        front, back = cls.interfaces["front"], cls.interfaces["back"]
        to_victim = {"dev": front, "to": victim.address(family), "dmac": victim.mac("front")}
        to_other = {"dev": back, "to": other.address(family), "dmac": other.mac("back")}
        tries = [
            ("its address there, here", dict(to_victim, **{"from": far}), victim),
            ("its address and MAC address there, here", dict(to_victim, **{"from": far, "smac": both.mac("back")}), victim),
            ("its address here, there", dict(to_other, **{"from": near}), other),
            ("its address and MAC address here, there", dict(to_other, **{"from": near, "smac": both.mac("front")}), other),
            ("its own, with the MAC address of its other end", dict(to_victim, **{"from": near, "smac": both.mac("back")}), victim),
            ("a neighbour's packet passed on", dict(to_other, **{"from": attacker.address(family)}), other),
            ("a neighbour's frame passed on", dict(to_other, **{"from": attacker.address(family),
                                                                "smac": attacker.mac("front")}), other),
            ("somebody's from there passed on", dict(to_victim, **{"from": other.address(family)}), victim),
            ("one for there sent here", {"dev": front, "to": other.address(family), "from": far,
                                         "dmac": victim.mac("front")}, victim),
        ]
        return [cls.attempt(name, both, sends, target, family) for name, sends, target in tries]

    def test_what_each_may_do(self):
        self.assert_passes(self.attacker, self.both, "53/udp", network="front")
        self.assert_passes(self.both, self.other, "53/udp")
        self.assert_passes(self.both, self.victim, "53/udp")
        self.assert_dropped(self.attacker, self.other, "53/udp")


class Limited(Playground, unittest.TestCase):
    """Both on both networks: what a policy grants on one of them, it grants there alone."""

    START = False
    POLICIES = """
policy: web
select: {labels: {role: web}, network: back}
ingress: [{from: [host], ports: [80/tcp]}]
egress: [{to: [{labels: {role: db}}], ports: [5432/tcp]}, {to: [internet], ports: [80/tcp]}]
---
policy: db
select: {labels: {role: db}, network: back}
ingress: [{from: [{labels: {role: web}, network: back}], ports: [5432/tcp]}]
"""

    def setUp(self):
        if self.cofferdam.process:
            self.cofferdam("teardown", "--yes", check=True)
            self.cofferdam.stop()
        self.engine.forget_connections()
        self.cofferdam.write(self.POLICIES)

    def run_on_both(self, name, last, **options):
        return self.run_container(name, name, [("front", f"10.91.7.{last}", f"fd91::7:{last}"),
                                               ("back", f"10.92.0.{last}", f"fd92::7:{last}")], **options)

    def test_one_network(self):
        web, db = self.run_on_both("web", 11), self.run_on_both("db", 12)
        for network in ("front", "back"):
            self.assert_passes(web, db, network=network)
            self.assert_passes(self.engine.host, web, "80/tcp", network=network)
        self.cofferdam.start()
        self.assert_passes(web, db, network="back")
        self.assert_passes(self.engine.host, web, "80/tcp", network="back")
        self.assert_dropped(web, db, network="front")
        self.assert_dropped(self.engine.host, web, "80/tcp", network="front")
        self.assert_dropped(web, db, "80/tcp", network="back")
        self.assert_dropped(db, web, "80/tcp", network="back")
        # from the address that is granted something to the one that is not, and the other way round, by the gateway
        for family, front, back in (("ipv4", "10.91.7.", "10.92.0."), ("ipv6", "fd91::7:", "fd92::7:")):
            self.assert_dropped(web, db, families=[family], network="front", bind=back + "11")
            self.assert_dropped(web, db, families=[family], network="back", bind=front + "11")

    def test_the_networks_swap_their_addresses(self):
        """A network that is made anew by the same name has the other one's addresses; so have the containers."""
        subnets = [("10.93.0.0/24", "fd93::/64"), ("10.94.0.0/24", "fd94::/64")]
        policies = self.POLICIES.replace("back", "inner")
        self.cofferdam.write(policies)
        self.cofferdam.start()
        for turn in range(3):
            inner, outer = subnets[turn % 2], subnets[1 - turn % 2]
            for name, subnet in (("inner", inner), ("outer", outer)):
                self.engine.network(name, *subnet)
            web, db = self.run_container("web", "web", ["inner", "outer"]), self.run_container("db", "db", ["inner", "outer"])
            self.follow(web, db, network="inner")
            self.assert_dropped(web, db, network="outer")
            self.assert_passes(self.engine.host, web, "80/tcp", network="inner")
            self.assert_dropped(self.engine.host, web, "80/tcp", network="outer")
            for thing in (web, db):
                thing.remove()
            for name in ("inner", "outer"):
                self.engine.api("DELETE", f"/networks/{name}")

    def test_the_containers_swap_their_addresses(self):
        web, db = self.run_on_both("web", 11), self.run_on_both("db", 12)
        self.cofferdam.start()
        self.follow(web, db, network="back")
        for container in (web, db):
            self.engine.disconnect("back", container)
        self.engine.connect("back", web, "10.92.0.12", "fd92::7:12")
        self.engine.connect("back", db, "10.92.0.11", "fd92::7:11")
        self.follow(web, db, network="back")
        self.assert_dropped(db, web, network="back")
        self.assert_dropped(db, web, "80/tcp", network="back")
        self.assert_dropped(web, db, network="front")
        self.assertEqual(self.cofferdam("verify").returncode, 0)

    def test_two_networks_of_one_name(self):
        """Docker before 25 allows it, though it starts nobody there: a policy for the name is for both."""
        web, db = self.run_containers(web="web", db="db")
        first_web, first_db = (self.run_container(f"first-{role}", role, ["back"]) for role in ("web", "db"))
        try:
            second = self.engine.network("back", "10.96.0.0/24", "fd96::/64", CheckDuplicate=False)
        except Failure as error:
            self.skipTest(f"not with this Engine: {error}")
        self.addCleanup(lambda: self.engine.api("DELETE", f"/networks/{second}"))
        for container in (web, db):
            self.engine.connect(second, container)
            self.addCleanup(self.engine.disconnect, second, container)
        self.assert_passes(web, db, "80/tcp", network="back")
        self.cofferdam.start()
        for pair in ((web, db), (first_web, first_db)):
            self.follow(*pair, network="back")
            self.assert_dropped(*pair, "80/tcp", network="back")
            self.assert_dropped(*reversed(pair), network="back")
        self.assert_dropped(web, db, network="front")
        bridges = [network["bridge"] for network in self.cofferdam.json("status")["networks"] if network["name"] == "back"]
        self.assertEqual(len(set(bridges)), 2)
        self.assertEqual(self.cofferdam("verify").returncode, 0)


class Internal(Playground, unittest.TestCase):
    """Docker lets nothing out of an internal network and nothing from outside in, but the host reaches it, and it the host."""

    START = False
    POLICIES = """
policy: web
select: {labels: {role: web}}
ingress: [{from: [outside, host], ports: [80/tcp]}]
egress: [{to: [outside], ports: [80/tcp]}]
"""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        for command in ("iptables", "ip6tables"):  # the tests let all pass between bridges: not here
            cls.engine.host.run(command, "-D", "DOCKER-USER", "-j", "ACCEPT", check=False)

    def test_internal(self):
        identifier = self.engine.network("inside", "10.95.0.0/24", "fd95::/64", Internal=True)
        self.addCleanup(lambda: self.engine.api("DELETE", f"/networks/{identifier}"))
        web, plain = (self.run_container(name, name, ["inside"]) for name in ("web", "plain"))
        gateways = {"ipv4": "10.95.0.1", "ipv6": "fd95::1"}
        for family, gateway in gateways.items():
            for container in (web, plain):
                self.assert_passes(self.engine.host, container, "80/tcp", families=[family])
                self.assert_passes(container, gateway, "80/tcp", families=[family])
            self.assert_passes(web, plain, "80/tcp", families=[family])
        self.assertNotEqual(self.ask(web, OUTSIDE["ipv4"]["public"], "80/tcp"), "connected")
        self.cofferdam.start()
        for family, gateway in gateways.items():
            self.assert_passes(self.engine.host, web, "80/tcp", families=[family])
            self.assert_dropped(self.engine.host, web, "5432/tcp", families=[family])
            self.assert_dropped(self.engine.host, plain, "80/tcp", families=[family])
            for container in (web, plain):
                self.assert_dropped(container, gateway, "80/tcp", families=[family])
            self.assert_dropped(web, plain, "80/tcp", families=[family])
        run(web.enter("ip", "route", "replace", "default", "via", gateways["ipv4"]))
        # Policies allow it, Docker does not, and explain says so, both ways.
        self.assertNotEqual(self.ask(web, OUTSIDE["ipv4"]["public"], "80/tcp"), "connected")
        self.assertNotEqual(self.ask(self.engine.lan, web, "80/tcp"), "connected")
        for way in ((web.name, OUTSIDE["ipv4"]["public"]), (OUTSIDE["ipv4"]["public"], web.name)):
            answer = self.cofferdam("explain", *way, "80/tcp")
            self.assertRegex(answer.stdout, "Docker.*internal|internal.*Docker", way)


class DefaultBridge(Playground, unittest.TestCase):
    """docker0 with an address of its own choice, which is another one after the Engine's restart."""

    START = False
    POLICIES = ROLES.replace("role: web}}\ningress", "role: web}, network: bridge}\ningress")

    def test_its_address_is_changed(self):
        self.engine.extra.append("--bip=10.99.0.1/24")
        self.engine.restart_dockerd()
        web, db = (self.run_container(role, role, ["bridge"]) for role in ("web", "db"))
        self.assertEqual(web.address(), "10.99.0.2")
        self.assert_passes(web, db, "80/tcp", families=["ipv4"])
        self.assert_passes(db, OUTSIDE["ipv4"]["public"], "80/tcp", families=["ipv4"])
        self.cofferdam.start()
        self.assert_work(web, db, "10.99.0.1")
        self.engine.extra[-1] = "--bip=10.98.7.1/28"
        self.engine.restart_dockerd()
        self.cofferdam.settle()
        for container in (db, web):  # in another order, so that each has the other's place
            container.start()
        self.assertEqual(web.address(), "10.98.7.3")
        self.assert_work(web, db, "10.98.7.1")
        self.assertEqual(self.cofferdam("verify").returncode, 0)

    def assert_work(self, web, db, gateway):
        self.follow(web, db, families=["ipv4"])
        self.assert_passes(self.engine.host, web, "80/tcp", families=["ipv4"])
        self.assert_dropped(web, db, "80/tcp", families=["ipv4"])
        self.assert_dropped(db, web, families=["ipv4"])
        self.assert_dropped(db, gateway, "80/tcp", families=["ipv4"])
        self.assert_dropped(db, OUTSIDE["ipv4"]["public"], "80/tcp", families=["ipv4"])


if __name__ == "__main__":
    unittest.main()

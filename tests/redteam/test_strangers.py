#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Attacks from ports of a managed bridge that are no container's: one that somebody has put there by hand, and the one of a container
that the daemon has not heard of, because it is stopped. Both may say what they like: the rules know nothing of them."""

import os
import signal
import unittest

from redteam import (FAMILIES, GATEWAYS, Attack, Datagrams, Namespace, Redteam, Several, Wire, attack, believed, forget_pids, learn_at_once,
                     link_local, mac_of, run)

ADDRESSES = {"ipv4": "10.91.50.50", "ipv6": "fd91::5050"}
ALL, ALL6 = "ff:ff:ff:ff:ff:ff", "33:33:00:00:00:01"


class Stranger(Redteam):
    """The attacks, of cls.stranger."""

    FREE_PORT = 9998  # of the host: no policy allows it

    @classmethod
    def attacks(cls):
        cls.bridge = cls.engine.bridge("front")
        cls.gateway = mac_of(cls.engine.host, cls.bridge)
        learn_at_once(cls.engine.host, cls.bridge)
        attempts = [*cls.arp(), *cls.discovery()]
        for family in FAMILIES:
            attempts += [*cls.datagrams(family), *cls.to_the_host(family), *cls.routed(family)]
        return attempts

    @classmethod
    def attempt(cls, name, arguments, family, observe=None, path="victim", **more):
        return Attack(name, cls.stranger, arguments, observe or (lambda: Wire(cls.victim)), family, "stranger -> " + path, **more)

    @classmethod
    def datagrams(cls, family):
        to_victim = [f"to={cls.victim.address(family)}", f"dmac={cls.victim.mac('front')}", "dport=53"]
        own, attackers = f"from={ADDRESSES[family]}", f"from={cls.attacker.address(family)}"
        kinds = {"own address": [own], "attacker's address": [attackers], "gateway's address": [f"from={GATEWAYS['front'][family]}"],
                 "attacker's address and MAC": [attackers, f"smac={cls.attacker.mac('front')}"],
                 "gateway's address and MAC": [f"from={GATEWAYS['front'][family]}", f"smac={cls.gateway}"]}
        for tags in ("8100.0", "8100.5", "88a8.0,8100.0"):
            kinds[f"attacker's address, tags {tags}"] = [attackers, f"tags={tags}"]
        kinds["attacker's address, LLC and SNAP"] = [attackers, "frame=snap"]
        kinds["attacker's address, type 0x88b5"] = [attackers, "type=0x88b5"]
        for name, arguments in kinds.items():
            yield cls.attempt(name, ["udp", *arguments, *to_victim], family, undo=cls.heal)
        group = "255.255.255.255" if family == "ipv4" else "ff02::1"
        everybody = lambda: Several(Wire(cls.victim), Wire(cls.bystander))
        to_all = [own, f"to={group}", f"dmac={ALL if family == 'ipv4' else ALL6}"]
        yield cls.attempt("to all", ["udp", *to_all], family, everybody, "all")
        ports = ["sport=67", "dport=68"] if family == "ipv4" else ["sport=547", "dport=546"]
        yield cls.attempt("DHCP server, to all", ["udp", *to_all, *ports], family, everybody, "all")

    @classmethod
    def to_the_host(cls, family):
        to = [f"to={GATEWAYS['front'][family]}", f"dmac={cls.gateway}", f"dport={cls.FREE_PORT}"]
        for name, source in (("own address", ADDRESSES[family]), ("attacker's address", cls.attacker.address(family)),
                             ("another address", {"ipv4": "198.51.100.1", "ipv6": "2001:db8::1"}[family])):
            yield cls.attempt(name, ["udp", f"from={source}", *to], family,
                              lambda: Datagrams(cls.engine.host, cls.FREE_PORT, family), "host")

    @classmethod
    def routed(cls, family):
        other = [f"to={cls.other.address(family)}", f"dmac={cls.gateway}", "dport=53"]
        outside = [f"to={({'ipv4': '198.41.0.4', 'ipv6': '2a00:1450:4001:800::200e'})[family]}", f"dmac={cls.gateway}", "dport=53"]
        for name, source in (("own address", ADDRESSES[family]), ("attacker's address", cls.attacker.address(family))):
            yield cls.attempt(name, ["udp", f"from={source}", *other], family, lambda: Wire(cls.other), "other")
            yield cls.attempt(name, ["udp", f"from={source}", *outside], family, lambda: Wire(cls.engine.lan, "neighbour"), "outside")

    @classmethod
    def arp(cls):
        victim, third, mac = cls.victim.address(), cls.bystander.address(), cls.victim.mac("front")
        for whose, address in (("own", ADDRESSES["ipv4"]), ("gateway's", GATEWAYS["front"]["ipv4"]), ("bystander's", third)):
            yield cls.attempt(f"ARP request, {whose} address", ["arp", f"from={address}", f"to={victim}"], "ipv4")
            yield cls.attempt(f"ARP reply, {whose} address",
                              ["arp", f"from={address}", f"to={victim}", "op=2", f"tha={mac}", f"dmac={mac}"], "ipv4")
            yield cls.attempt(f"ARP, {whose} address announced", ["arp", f"from={address}", f"to={address}"], "ipv4")
        yield cls.attempt("search for the victim's address", ["arp", "from=0.0.0.0", f"to={victim}"], "ipv4")
        hosts = lambda: believed(cls.engine.host, cls.bridge, victim, mac)
        claim = ["arp", f"from={victim}", f"to={GATEWAYS['front']['ipv4']}"]
        for name, more in (("request", []), ("reply", ["op=2", f"tha={cls.gateway}"])):
            yield cls.attempt(f"ARP {name}, victim's address", claim + more, "ipv4", hosts, "host", undo=cls.heal)

    @classmethod
    def discovery(cls):
        """Of its own link-local address, which the kernel of the stranger has made."""
        victim, mac, own = cls.victim.address("ipv6"), cls.victim.mac("front"), f"from={link_local(cls.stranger)}"
        to_victim, to_all = [f"to={victim}", f"dmac={mac}"], ["to=ff02::1", f"dmac={ALL6}"]
        override = f"flags={1 << 29}"
        addresses = {"own": ADDRESSES["ipv6"], "gateway's": GATEWAYS["front"]["ipv6"], "bystander's": cls.bystander.address("ipv6")}
        for whose, address in addresses.items():
            yield cls.attempt(f"advertisement of {whose} address",
                              ["discovery", "icmp=136", own, *to_victim, f"target={address}", override], "ipv6")
        for name, command in {
                "solicitation": ["icmp=135", own, *to_victim, f"target={victim}", "slla=02:ca:fe:00:00:01"],
                "search for the victim's address": ["icmp=135", "from=::", *to_all, f"target={victim}"],
                "router advertisement": ["icmp=134", own, *to_all, "flags=0x40000708", "prefix=2001:db8:bad::"],
                "router advertisement, hidden": ["icmp=134", own, *to_all, "flags=0x40000708", "via=dst"],
                "redirect": ["icmp=137", own, *to_victim, f"target={ADDRESSES['ipv6']}", "destination=2001:db8::1"],
                "MLD query": ["icmp=130", own, *to_all, "target=::", "via=alert"],
                "ping, link-local": ["icmp=128", own, f"to={link_local(cls.victim)}", f"dmac={mac}"]}.items():
            yield cls.attempt(name, ["discovery", *command], "ipv6")
        to_host = [f"to={GATEWAYS['front']['ipv6']}", f"dmac={cls.gateway}"]
        for name, command in {
                "advertisement of the victim's address": ["icmp=136", own, *to_host, f"target={victim}", "tlla=02:ca:fe:00:00:01", override],
                "solicitation from the victim's address": ["icmp=135", f"from={victim}", *to_host, f"target={GATEWAYS['front']['ipv6']}",
                                                           "slla=02:ca:fe:00:00:01"]}.items():
            yield cls.attempt(name, ["discovery", *command], "ipv6",
                              lambda: believed(cls.engine.host, cls.bridge, victim, mac), "host", undo=cls.heal)

    @classmethod
    def heal(cls):
        """The bridge and the host know again where everybody is."""
        for container in (cls.attacker, cls.victim):
            attack(container, "arp", f"from={container.address()}", f"to={GATEWAYS['front']['ipv4']}", "count=1")


class ByHand(Stranger, unittest.TestCase):
    TITLE = "From a port that somebody has put into the bridge"

    @classmethod
    def prepare(cls):
        super().prepare()
        cls.stranger = Namespace(cls.engine.name + "-stray")
        cls.addClassCleanup(run, ["ip", "netns", "del", cls.stranger.name])
        cls.engine.host.batch([f"link add stray type veth peer name eth0 netns {cls.stranger.name}",
                               f"link set stray master {cls.engine.bridge('front')} up"])
        cls.stranger.batch(["link set eth0 up", f"address add {ADDRESSES['ipv4']}/16 dev eth0",
                            f"address add {ADDRESSES['ipv6']}/64 dev eth0 nodad"])


class Unknown(Stranger, unittest.TestCase):
    TITLE = "From a container that the daemon has not heard of"

    class Late:
        """The container of the moment."""

        def __init__(self, container):
            self.replace(container)

        def replace(self, container):
            self.container, self.pid = container, container.pid

        def __getattr__(self, name):
            return getattr(self.container, name)

    @classmethod
    def prepare(cls):
        super().prepare()
        cls.stranger = cls.Late(cls.start_late())

    @classmethod
    def start_late(cls):
        return cls.engine.run("late", networks=[("front", ADDRESSES["ipv4"], ADDRESSES["ipv6"])], labels={"role": "attacker"},
                              command=["probe", "serve", "80/tcp"])

    @classmethod
    def between(cls):
        cls.stranger.remove()
        cls.cofferdam.settle()
        daemon = cls.cofferdam.process.process.pid
        os.kill(daemon, signal.SIGSTOP)
        cls.addClassCleanup(cls.go_on)
        cls.stranger.replace(cls.start_late())
        forget_pids()

    @classmethod
    def go_on(cls):
        if cls.cofferdam.process.alive:
            os.kill(cls.cofferdam.process.process.pid, signal.SIGCONT)

    @classmethod
    def afterwards(cls):
        cls.go_on()
        cls.cofferdam.settle()


if __name__ == "__main__":
    unittest.main()

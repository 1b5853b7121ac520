#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Frames that are not plain Ethernet II with IPv4, IPv6 or ARP, and those to addresses that bridges treat as their own:
tagged, with LLC, of other types; to a container, to all, to the host; with a datagram in them that a receiver may take."""

import functools
import unittest

from redteam import FAMILIES, GATEWAYS, PORT, Attack, Datagrams, Learned, Redteam, Several, Wire, attack, mac_of, port_of

PROTOCOLS = ["8100", "88a8", "9100", "9200", "9300"]
# The tag's 16 bits: none, VLAN 5, the reserved 4095, priority 7, "may be dropped" with VLAN 1.
IDS = [0, 5, 4095, 7 << 13, 1 << 12 | 1]
DEEP = ["8100.0,8100.0", "8100.0,8100.5", "8100.5,8100.0", "88a8.0,8100.0", "88a8.3,8100.5", "8100.0,88a8.0", "88a8.0,88a8.0",
        "9100.0,8100.0", "8100.0,9100.0", "8100.57344,8100.0", "8100.0,8100.0,8100.0", "88a8.0,8100.0,8100.0", "8100.0,8100.0,8100.0,8100.0",
        ",".join(["8100.0"] * 16)]
# IEEE 802.3 with LLC and SNAP, with lengths that are none, and tags before and behind (VU#855201).
SNAP = {"LLC and SNAP": [], "LLC and SNAP, too short a length": ["length=40"], "LLC and SNAP, length 0": ["length=0"],
        "LLC and SNAP, length 1500": ["length=1500"], "LLC and SNAP, length 1501": ["length=1501"],
        "LLC and SNAP, length 1535": ["length=1535"], "VLAN 0, LLC and SNAP": ["tags=8100.0"],
        "2 x VLAN 0, LLC and SNAP": ["tags=8100.0,8100.0"],
        "VLAN 0, LLC and SNAP, length 1501": ["tags=8100.0", "length=1501"], "LLC and SNAP, VLAN 0": ["inner=8100.0"],
        "LLC and SNAP, 2 x VLAN 0": ["inner=8100.0,8100.0"], "VLAN 0, LLC and SNAP, VLAN 0": ["tags=8100.0", "inner=8100.0"]}
TYPES = {"0x88b5": "experimental", "0x888e": "EAPOL", "0x88cc": "LLDP", "0x8809": "LACP", "0x8808": "PAUSE", "0x8847": "MPLS",
         "0x8864": "PPPoE", "0x8035": "RARP", "0x22f0": "AVTP", "0x88e5": "MACsec", "0x8906": "FCoE", "0x0842": "wake-on-LAN",
         "0x894f": "NSH", "0x6558": "bridged Ethernet", "0x0801": "X.75"}
NOT_OURS = "neither IPv4 nor IPv6 nor ARP"
RESERVED = "01:80:c2:00:00:0"


def kinds():
    """{name: arguments}: every kind of frame."""
    made = {f"tags {protocol}.{tag}": [f"tags={protocol}.{tag}"] for protocol in PROTOCOLS for tag in IDS}
    made.update({f"tags {tags if len(tags) < 40 else 'x 16'}": [f"tags={tags}"] for tags in DEEP})
    made.update({name: ["frame=snap", *more] for name, more in SNAP.items()})
    made["LLC"] = ["frame=llc"]
    made.update({f"type {kind}, {words}": [f"type={kind}"] for kind, words in TYPES.items()})
    return made


# Tried towards everybody else.
SOME = ["tags 8100.0", "tags 8100.5", "tags 88a8.0", "tags 8100.0,8100.0", "tags 88a8.0,8100.0", "LLC and SNAP",
        "VLAN 0, LLC and SNAP", "LLC", "type 0x88b5, experimental"]


class Frames(Redteam, unittest.TestCase):
    TITLE = "Frames of other kinds"

    @classmethod
    def attacks(cls):
        cls.bridge = cls.engine.bridge("front")
        cls.gateway = mac_of(cls.engine.host, cls.bridge)
        every = kinds()
        attempts = []
        for family in FAMILIES:
            attempts += [cls.to_victim(name, arguments, family) for name, arguments in every.items()]
            for name in SOME:
                attempts += cls.to_others(name, every[name], family)
        return attempts

    @classmethod
    def udp(cls, family, to, dmac):
        return ["udp", f"from={cls.attacker.address(family)}", f"to={to}", f"dport={PORT}", f"dmac={dmac}"]

    @classmethod
    def to_victim(cls, name, arguments, family):
        command = cls.udp(family, cls.victim.address(family), cls.victim.mac("front"))
        return Attack(name, cls.attacker, command + arguments, lambda: Wire(cls.victim), family, "attacker -> victim", NOT_OURS)

    @classmethod
    def to_others(cls, name, arguments, family):
        victim, gateway = cls.victim.address(family), GATEWAYS["front"][family]
        multicast = "01:00:5e:00:00:01" if family == "ipv4" else "33:33:00:00:00:01"
        on_bridge = lambda: Wire(cls.engine.host, cls.bridge)
        for to, dmac, path, observe in (
                (victim, "ff:ff:ff:ff:ff:ff", "broadcast", lambda: Several(Wire(cls.victim), Wire(cls.bystander))),
                (victim, multicast, "multicast", lambda: Several(Wire(cls.victim), Wire(cls.bystander))),
                (victim, cls.bystander.mac("front"), "another's MAC", lambda: Wire(cls.bystander)),
                (gateway, cls.gateway, "host", on_bridge), (gateway, "ff:ff:ff:ff:ff:ff", "host, broadcast", on_bridge)):
            yield Attack(name, cls.attacker, cls.udp(family, to, dmac) + arguments, observe, family, "attacker -> " + path, NOT_OURS)


class Reserved(Redteam, unittest.TestCase):
    """Frames to 01:80:c2:00:00:00 to 0f. Bridges do not forward most of them, but take them as if they had come in by the port
    alone, where the rules for bridges are not asked, and learn their sender."""

    TITLE = "Frames to a bridge's reserved addresses"
    PAUSE = "frames to the address of PAUSE are dropped by the bridge"
    DIGITS = "0123456789abcdef"

    @classmethod
    def attacks(cls):
        cls.bridge = cls.engine.bridge("front")
        cls.port = port_of(cls.engine.host, cls.attacker)
        attempts = []
        for digit in cls.DIGITS:
            kernel = cls.PAUSE if digit == "1" else ""
            for family in FAMILIES:
                attempts += cls.datagrams(RESERVED + digit, family, kernel)
            attempts.append(cls.learned(RESERVED + digit, kernel))
        for digit in "03e":
            attempts += cls.tagged(RESERVED + digit)
        return attempts

    @classmethod
    def datagrams(cls, dmac, family, kernel):
        for words, source in (("own address", cls.attacker), ("victim's address", cls.victim)):
            command = ["udp", f"from={source.address(family)}", f"to={GATEWAYS['front'][family]}", f"dport={PORT}", f"dmac={dmac}"]
            yield Attack(f"UDP to {dmac[-2:]}, {words}", cls.attacker, command, functools.partial(cls.receivers, family), family,
                         "attacker -> host and all", kernel=kernel)

    @classmethod
    def tagged(cls, dmac):
        """Linux takes VLAN 0 away, once, and what is behind it for the port's own."""
        for family in FAMILIES:
            command = ["udp", f"from={cls.attacker.address(family)}", f"to={GATEWAYS['front'][family]}", f"dport={PORT}", f"dmac={dmac}"]
            for tags in ("8100.0", "88a8.0", "8100.57344"):
                observe = functools.partial(cls.receivers, family)
                yield Attack(f"UDP to {dmac[-2:]}, tags {tags}", cls.attacker, command + [f"tags={tags}"], observe, family,
                             "attacker -> host and all")

    @classmethod
    def receivers(cls, family):
        return Several(Datagrams(cls.engine.host, family=family), Wire(cls.victim), Wire(cls.bystander))

    @classmethod
    def learned(cls, dmac, kernel):
        """The victim's MAC, as if it were at the attacker's port."""
        mac = cls.victim.mac("front")
        command = ["udp", f"from={cls.attacker.address()}", f"to={GATEWAYS['front']['ipv4']}", f"dmac={dmac}", f"smac={mac}"]
        return Attack(f"learned from {dmac[-2:]}", cls.attacker, command, lambda: cls.believed(mac), "", "attacker -> bridge",
                      kernel=kernel)

    @classmethod
    def believed(cls, mac):
        attack(cls.victim, "arp", f"from={cls.victim.address()}", "to=10.91.0.1", "count=1")
        return Learned(cls.engine.host, cls.port, mac)


class ReservedForwarded(Reserved):
    """Where somebody has told the bridge to forward them nevertheless."""

    TITLE = "Frames to reserved addresses that the bridge forwards (group_fwd_mask)"
    DIGITS = "3e"

    @classmethod
    def prepare(cls):
        super().prepare()
        cls.engine.host.run("ip", "link", "set", cls.engine.bridge("front"), "type", "bridge", "group_fwd_mask", str(0xfff8))


if __name__ == "__main__":
    unittest.main()

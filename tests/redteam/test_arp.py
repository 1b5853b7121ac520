#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""ARP that claims somebody else's address or MAC, is malformed, or is of another kind: what comes to the victim's wire, and what the
victim, the host and the bridge believe afterwards."""

import dataclasses
import functools
import unittest

from redteam import GATEWAYS, Attack, Learned, Redteam, Wire, attack, believed, learn_at_once, mac_of, port_of

ALL = "ff:ff:ff:ff:ff:ff"
STRANGE = "02:ca:fe:00:00:01"


@dataclasses.dataclass
class Who:
    ip: str
    mac: str


class Arp(Redteam, unittest.TestCase):
    TITLE = "ARP"

    @classmethod
    def attacks(cls):
        cls.bridge = cls.engine.bridge("front")
        cls.port = port_of(cls.engine.host, cls.attacker)
        cls.gateway = Who(GATEWAYS["front"]["ipv4"], mac_of(cls.engine.host, cls.bridge))
        cls.own, cls.to, cls.third = (Who(each.address(), each.mac("front")) for each in (cls.attacker, cls.victim, cls.bystander))
        learn_at_once(cls.victim)
        learn_at_once(cls.engine.host, cls.bridge)
        return [*cls.claims(), *cls.senders(), *cls.shapes(), *cls.beliefs_of_the_victim(), *cls.beliefs_of_the_host(), *cls.learned()]

    # What comes to the wire

    @classmethod
    def on_the_wire(cls, name, arguments):
        command = ["arp", *arguments]
        if not any(word.startswith("dmac=") for word in arguments):
            command.append(f"dmac={cls.to.mac}")
        return Attack(name, cls.attacker, command, lambda: Wire(cls.victim), "ipv4", "attacker -> victim", undo=cls.heal)

    @classmethod
    def claim_frames(cls, who, asked):
        """{name: arguments}: every way to say that this address is at the attacker's."""
        claim, to = f"from={who.ip}", f"to={asked.ip}"
        return {
            "request": [claim, to, f"dmac={asked.mac}"], "request to all": [claim, to, f"dmac={ALL}"],
            "reply": [claim, to, "op=2", f"tha={asked.mac}", f"dmac={asked.mac}"],
            "reply to all": [claim, to, "op=2", f"tha={asked.mac}", f"dmac={ALL}"],
            "gratuitous request": [claim, f"to={who.ip}", f"dmac={ALL}"],
            "gratuitous reply": [claim, f"to={who.ip}", "op=2", f"tha={ALL}", f"dmac={ALL}"],
        }

    @classmethod
    def claims(cls):
        for whose, who in (("gateway's", cls.gateway), ("bystander's", cls.third)):
            for name, arguments in cls.claim_frames(who, cls.to).items():
                yield cls.on_the_wire(f"{whose} address in a {name}", arguments)
        probe = ["from=0.0.0.0", f"to={cls.to.ip}", f"dmac={ALL}"]
        yield cls.on_the_wire("probe of the victim's address", probe)
        yield cls.on_the_wire("victim's address, announced to itself", [f"from={cls.to.ip}", f"to={cls.to.ip}", f"dmac={ALL}"])
        for address in ("127.0.0.1", "255.255.255.255", "224.0.0.1", "198.41.0.4", "10.91.77.7", "10.92.0.1"):
            yield cls.on_the_wire(f"{address} in a reply", [f"from={address}", f"to={cls.to.ip}", "op=2"])

    @classmethod
    def senders(cls):
        """The own address, with a MAC that is not the own: inside, outside, both."""
        own = [f"from={cls.own.ip}", f"to={cls.to.ip}", "op=2"]
        macs = {"gateway's": cls.gateway.mac, "bystander's": cls.third.mac, "strange": STRANGE}
        for whose, mac in dict(macs, broadcast=ALL, zero="00:00:00:00:00:00", multicast="01:00:5e:00:00:01").items():
            yield cls.on_the_wire(f"{whose} MAC inside", own + [f"sha={mac}"])
        for whose, mac in macs.items():
            yield cls.on_the_wire(f"{whose} MAC outside", own + [f"smac={mac}", f"sha={cls.own.mac}"])
            yield cls.on_the_wire(f"{whose} MAC inside and outside", own + [f"smac={mac}"])
        yield cls.on_the_wire("gateway's address and MACs",
                              [f"from={cls.gateway.ip}", f"to={cls.to.ip}", "op=2", f"smac={cls.gateway.mac}"])
        yield cls.on_the_wire("bystander's address and MACs",
                              [f"from={cls.third.ip}", f"to={cls.to.ip}", "op=2", f"smac={cls.third.mac}"])

    @classmethod
    def shapes(cls):
        own = [f"from={cls.own.ip}", f"to={cls.to.ip}"]
        for key, values in (("hlen", (0, 5, 7, 8, 255)), ("plen", (0, 3, 5, 16)), ("htype", (0, 6, 32, 65535)),
                            ("ptype", ("0x86dd", "0x0806", "0x0000"))):
            for value in values:
                yield cls.on_the_wire(f"{key} {value}", own + [f"{key}={value}", "op=2"])
        for op in (0, 3, 4, 8, 9, 10, 23, 65535):
            yield cls.on_the_wire(f"operation {op}", own + [f"op={op}"])
        for n in (0, 8, 14):  # a whole sender is needed to claim anything
            yield cls.on_the_wire(f"cut to {n} bytes", own + [f"cut={n}"])
        for words, arguments in (("RARP", ["type=0x8035", "op=3"]), ("VLAN 0", ["tags=8100.0"]), ("VLAN 5", ["tags=8100.5"]),
                                 ("2 x VLAN 0", ["tags=8100.0,8100.0"]), ("LLC and SNAP", ["frame=snap"])):
            yield cls.on_the_wire(f"{words}, gateway's address", [f"from={cls.gateway.ip}", f"to={cls.to.ip}", *arguments])
            yield cls.on_the_wire(f"{words}, own address", own + arguments)

    # What they believe

    @classmethod
    def beliefs(cls, space, interface, who, asked, words):
        path = "host believes" if space is cls.engine.host else "victim believes"
        for name, arguments in cls.claim_frames(who, asked).items():
            arguments = ["arp", *arguments]
            yield Attack(f"{words} address in a {name}", cls.attacker, arguments,
                         lambda: believed(space, interface, who.ip, who.mac), "ipv4", path, undo=cls.heal)
            if name.startswith("request"):
                yield Attack(f"{words} address in a {name}, unknown yet", cls.attacker, arguments,
                             lambda: believed(space, interface, who.ip, None), "ipv4", path, undo=cls.heal)

    @classmethod
    def beliefs_of_the_victim(cls):
        for whose, who in (("gateway's", cls.gateway), ("bystander's", cls.third)):
            yield from cls.beliefs(cls.victim, "eth0", who, cls.to, whose)

    @classmethod
    def beliefs_of_the_host(cls):
        yield from cls.beliefs(cls.engine.host, cls.bridge, cls.to, cls.gateway, "victim's")

    @classmethod
    def learned(cls):
        """The bridge takes a frame's sender for the one who is at its port."""
        for whose, who in (("victim's", cls.to), ("bystander's", cls.third)):
            for name, arguments in cls.claim_frames(who, cls.gateway).items():
                yield Attack(f"{whose} MAC, {name}", cls.attacker, ["arp", *arguments, f"smac={who.mac}"],
                             functools.partial(cls.place, who.mac), "ipv4", "bridge believes", undo=cls.heal)

    @classmethod
    def place(cls, mac):
        cls.heal()
        return Learned(cls.engine.host, cls.port, mac)

    @classmethod
    def heal(cls):
        for container, who in ((cls.victim, cls.to), (cls.bystander, cls.third)):
            attack(container, "arp", f"from={who.ip}", f"to={cls.gateway.ip}", "count=1")


if __name__ == "__main__":
    unittest.main()

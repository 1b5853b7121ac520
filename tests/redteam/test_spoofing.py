#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Plain frames with an address, on the outside or inside, that is not the sender's, or not the receiver's. What they ask for is
allowed, so that nothing but the address can be wrong with them."""

import ipaddress
import unittest

from redteam import FAMILIES, GATEWAYS, PORT, Attack, Datagrams, Redteam, Several, Wire, attack, link_local, mac_of

FORGED = "not this port's address"
MACS = {"random": "02:ca:fe:00:00:01", "multicast": "01:00:5e:00:00:01", "broadcast": "ff:ff:ff:ff:ff:ff", "zero": "00:00:00:00:00:00"}
NO_SENDER = "no bridge takes a frame from a multicast, broadcast or zero address"
MARTIAN = "no host forwards or takes a packet from such an address"


class Sources(Redteam, unittest.TestCase):
    TITLE = "Addresses of others as the source"
    # Of those the host takes nothing, and forwards nothing.
    MARTIANS = {"ipv4": {"gateway's", "gateway's address and MAC", "127.0.0.1", "0.0.0.0", "255.255.255.255", "224.0.0.1"},
                "ipv6": {"::1", "ff02::1"}}
    LOCAL = {"::", "link-local of victim", "link-local of gateway"}  # nor does it forward those

    @classmethod
    def attacks(cls):
        cls.gateway = mac_of(cls.engine.host, cls.engine.bridge("front"))
        attempts = []
        for family in FAMILIES:
            for path, (to, dmac, port, observe) in cls.targets(family).items():
                command = ["udp", f"to={to}", f"dport={port}", f"dmac={dmac}"]
                attempts += cls.forged_addresses(family, path, command, observe)
                attempts += cls.forged_macs(family, path, command, observe)
        return attempts

    @classmethod
    def targets(cls, family):
        host, outside = cls.engine.host, {"ipv4": "198.41.0.4", "ipv6": "2a00:1450:4001:800::200e"}[family]
        return {
            "victim": (cls.victim.address(family), cls.victim.mac("front"), 53, lambda: Wire(cls.victim)),
            "host": (GATEWAYS["front"][family], cls.gateway, PORT, lambda: Datagrams(host, family=family)),
            "other": (cls.other.address(family), cls.gateway, 53, lambda: Wire(cls.other)),
            "outside": (outside, cls.gateway, 53, lambda: Wire(cls.engine.lan, "neighbour")),
        }

    @classmethod
    def addresses(cls, family):
        common = {"victim's": cls.victim.address(family), "gateway's": GATEWAYS["front"][family], "other's": cls.other.address(family)}
        if family == "ipv4":
            plain = ["10.91.77.7", "203.0.113.2", "127.0.0.1", "0.0.0.0", "255.255.255.255", "10.91.255.255", "224.0.0.1"]
            more = {}
        else:
            plain = ["fd91::7777", "2001:db8:113::2", "::1", "::", "::ffff:10.91.0.2", "ff02::1", "fd91::"]
            more = {"link-local of victim": link_local(cls.victim), "link-local of gateway": "fe80::1"}
        return dict(common, **{address: address for address in plain}, **more)

    @classmethod
    def forged_addresses(cls, family, path, command, observe):
        for name, address in cls.addresses(family).items():
            by = "" if name == "::" else FORGED  # which everybody may use, for nothing but to ask who else has an address
            yield cls.attempt(f"from {name}", command + [f"from={address}"], observe, family, path, by)
        for name, mac, address in (("victim's address and MAC", cls.victim.mac("front"), cls.victim.address(family)),
                                   ("gateway's address and MAC", cls.gateway, GATEWAYS["front"][family])):
            yield cls.attempt(f"from {name}", command + [f"from={address}", f"smac={mac}"], observe, family, path)

    @classmethod
    def forged_macs(cls, family, path, command, observe):
        macs = dict(MACS, **{"victim's": cls.victim.mac("front"), "gateway's": cls.gateway, "other's": cls.other.mac("back")})
        for name, mac in macs.items():
            more = [f"from={cls.attacker.address(family)}", f"smac={mac}"]
            yield cls.attempt(f"from {name} MAC", command + more, observe, family, path)

    @classmethod
    def attempt(cls, name, command, observe, family, path, by=FORGED):
        if path == "victim" and "victim's" in name and "MAC" in name:  # no bridge sends a frame back where its receiver seems to be
            command = [word for word in command if not word.startswith("dmac=")] + ["dmac=ff:ff:ff:ff:ff:ff"]
        return Attack(name, cls.attacker, command, observe, family, "attacker -> " + path, by, undo=cls.heal if "MAC" in name else None,
                      kernel=cls.stopped(family, path, name[len("from "):]))

    @classmethod
    def stopped(cls, family, path, name):
        """Why the kernel stops it by itself."""
        if name in ("multicast MAC", "broadcast MAC", "zero MAC"):
            return NO_SENDER
        if path != "victim" and (name in cls.MARTIANS[family] or path != "host" and family == "ipv6" and name in cls.LOCAL):
            return MARTIAN
        return ""

    @classmethod
    def heal(cls):
        """The bridge knows again where the victim is."""
        attack(cls.victim, "arp", f"from={cls.victim.address()}", f"to={GATEWAYS['front']['ipv4']}", "count=1")


# Groups that programs listen on: all hosts, mDNS, LLMNR, SSDP, DHCP, NetBIOS.
GROUPS = {
    "ipv4": [("255.255.255.255", PORT), ("10.91.255.255", PORT), ("224.0.0.1", PORT), ("224.0.0.251", 5353), ("224.0.0.252", 5355),
             ("239.255.255.250", 1900), ("255.255.255.255", 67), ("255.255.255.255", 68), ("10.91.255.255", 137), ("10.91.0.0", PORT)],
    "ipv6": [("ff02::1", PORT), ("ff02::2", PORT), ("ff02::fb", 5353), ("ff02::1:3", 5355), ("ff05::2", PORT), ("ff02::c", 1900),
             ("ff02::1:2", 547), ("ff02::1:2", 546), ("ff01::1", PORT), ("ff0e::1", PORT), ("ff02::1:ff00:1", PORT), ("fd91::", PORT)],
}


def mac_for(address):
    """That a frame to an IP multicast address goes to (RFC 1112, RFC 2464), or to all."""
    parsed = ipaddress.ip_address(address)
    if parsed.version == 6:
        return ":".join(["33", "33", *(f"{byte:02x}" for byte in parsed.packed[-4:])]) if parsed.is_multicast else "ff:ff:ff:ff:ff:ff"
    if not parsed.is_multicast:
        return "ff:ff:ff:ff:ff:ff"
    return "01:00:5e:" + ":".join(f"{byte:02x}" for byte in (parsed.packed[1] & 127, *parsed.packed[2:]))


class Destinations(Redteam, unittest.TestCase):
    """What is allowed, or aimed at all, in frames to somebody else or to everybody."""

    TITLE = "Destinations that are not the receiver's"
    MACS = {"the bystander's MAC": None, "broadcast": "ff:ff:ff:ff:ff:ff", "all hosts' MAC": "01:00:5e:00:00:01",
            "mDNS's MAC": "01:00:5e:00:00:fb", "IPv6's all hosts' MAC": "33:33:00:00:00:01", "another multicast MAC": "03:00:00:00:00:01",
            "an unknown MAC": "02:ca:fe:00:00:02"}

    @classmethod
    def attacks(cls):
        cls.bridge = cls.engine.bridge("front")
        attempts = []
        for family in FAMILIES:
            own = f"from={cls.attacker.address(family)}"
            for name, mac in cls.MACS.items():
                command = ["udp", own, f"to={cls.victim.address(family)}", "dport=53", f"dmac={mac or cls.bystander.mac('front')}"]
                attempts.append(Attack(f"53/udp of the victim's, to {name}", cls.attacker, command, lambda: Wire(cls.bystander), family,
                                       "attacker -> bystander"))
            for address, port in GROUPS[family]:
                attempts += cls.to_group(family, address, port, own)
        unnamed = ["udp", "from=0.0.0.0", "to=255.255.255.255", "sport=68", "dport=67"]
        attempts.append(Attack("0.0.0.0:68 to 255.255.255.255:67", cls.attacker, unnamed, lambda: Datagrams(cls.engine.host, 67),
                               "ipv4", "attacker -> host"))
        return attempts

    @classmethod
    def to_group(cls, family, address, port, own):
        command = ["udp", own, f"to={address}", f"dport={port}", f"dmac={mac_for(address)}"]
        yield Attack(f"{address} {port}/udp", cls.attacker, command, lambda: Several(Wire(cls.victim), Wire(cls.bystander)), family,
                     "attacker -> all")
        group = address if ipaddress.ip_address(address).is_multicast else None
        observe = lambda: Datagrams(cls.engine.host, port, family, group, cls.bridge)
        yield Attack(f"{address} {port}/udp", cls.attacker, command, observe, family, "attacker -> host", kernel=cls.stopped(address))

    @staticmethod
    def stopped(address):
        return {"10.91.0.0": "the network's own address is no broadcast address since Linux 5.14",
                "ff01::1": "an interface-local group does not leave its host"}.get(address, "")


if __name__ == "__main__":
    unittest.main()

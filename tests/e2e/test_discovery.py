#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What a container says of itself below the addresses of its packets reaches its neighbours only where it is true: the
rules alone, with real frames. And what containers need of it works."""

import json
import re
import secrets
import struct
import time
import unittest

import frames
from alone import Alone
from flood import ALLOWED
from machine import wait_until

ROUTER, HIDDEN = "no container is a router", "neighbour discovery behind other headers"
PROBE, ADVERTISE = "a search for its own address that is not this port's", "neighbour advertisement of another's address"
SOLICIT, HOPS = "neighbour solicitation with another's hardware address", "hop-by-hop options, and no multicast listener's report"
ARP = "ARP, but not of IPv4 over Ethernet"
WEB, DB = Alone.ADDRESSES["web"], Alone.ADDRESSES["db"]
LINK_LOCAL = "fe80::42:acff:fe12:2"
NOBODY, ALL_NODES, SOURCE, TARGET, NONCE = "fd00:18::99", "ff02::1", 1, 2, 14
STRANGE, TAKEN = "from a port that is no container's", "a container's address at another port"
ROUTE = "extension headers, which can hold a route"
REASONS = (ROUTER, HIDDEN, PROBE, ADVERTISE, SOLICIT, HOPS, ARP, STRANGE, TAKEN, ROUTE)
OTHER = "02:00:00:00:00:99"
COPIES = 5


def nd(kind, target, options=b"", source=WEB[2], to=DB[2]):
    flags = 0x60000000 if kind == 136 else 0
    return frames.icmpv6(kind, source, to, struct.pack("!I", flags) + frames.address(target) + options)


def frame(payload, source=WEB[2], to=DB[2], following=frames.ICMPV6):
    return frames.ethernet(WEB[0], DB[0], 0x86dd, frames.ipv6(source, to, following, payload))


def own(kind):
    return frames.option(kind, WEB[0])


def advertisement(target=WEB[2], options=b"", **ends):
    return frame(nd(136, target, options, **ends), **ends)


def solicitation(target=DB[2], options=b"", **ends):
    return frame(nd(135, target, options, **ends), **ends)


def arp(hardware=1, protocol=0x800, sizes=(6, 4)):
    body = struct.pack("!HHBBH", hardware, protocol, *sizes, 1) + frames.mac(WEB[0]) + frames.address(WEB[1]) + bytes(6) + frames.address(DB[1])
    return frames.ethernet(WEB[0], DB[0], 0x806, body)


def igmp(kind):
    body = struct.pack("!BBHI", kind, 100, 0, 0)
    body = body[:2] + struct.pack("!H", frames.checksum(body)) + body[4:]
    return frames.ethernet(WEB[0], DB[0], 0x800, frames.ipv4(WEB[1], DB[1], 2, body, options=b"\x94\x04\0\0"))


def foreign(kind):
    return frames.option(kind, OTHER)


FALSE = {
    "router advertisement": (frame(frames.icmpv6(134, WEB[2], DB[2], bytes(12))), ROUTER),
    "router solicitation": (frame(frames.icmpv6(133, WEB[2], DB[2], bytes(4))), ROUTER),
    "redirect": (frame(frames.icmpv6(137, WEB[2], DB[2], bytes(36))), ROUTER),
    "multicast listener query": (frame(frames.icmpv6(130, WEB[2], DB[2], bytes(20))), ROUTER),
    "multicast router advertisement": (frame(frames.icmpv6(151, WEB[2], DB[2], bytes(4))), ROUTER),
    "membership query": (igmp(0x11), ROUTER),
    "advertisement of a neighbour's address": (advertisement(DB[2], own(TARGET)), ADVERTISE),
    "advertisement of nobody's address": (advertisement(NOBODY), ADVERTISE),
    "advertisement to all of the gateway's": (advertisement("fd00:18::1", own(TARGET), to=ALL_NODES), ADVERTISE),
    "advertisement with another's hardware address": (advertisement(options=foreign(TARGET)), ADVERTISE),
    "advertisement with another option": (advertisement(options=own(SOURCE)), ADVERTISE),
    "advertisement with two options": (advertisement(options=own(TARGET) + foreign(TARGET)), ADVERTISE),
    "advertisement with an option of no length": (advertisement(options=bytes((TARGET, 0)) + frames.mac(WEB[0])), ADVERTISE),
    "advertisement with half an option": (advertisement(options=own(TARGET)[:4]), ADVERTISE),
    "solicitation with another's hardware address": (solicitation(options=foreign(SOURCE)), SOLICIT),
    "solicitation with two options": (solicitation(options=own(SOURCE) + foreign(SOURCE)), SOLICIT),
    "solicitation with the other option": (solicitation(options=own(TARGET)), SOLICIT),
    "solicitation from the link-local address": (solicitation(options=foreign(SOURCE), source=LINK_LOCAL), SOLICIT),
    "search for a neighbour's address": (solicitation(source="::", to="ff02::1:ff00:3"), PROBE),
    "search for a neighbour's address with a nonce": (solicitation(options=foreign(NONCE), source="::", to="ff02::1:ff00:3"), PROBE),
    "search with a hardware address": (solicitation(WEB[2], own(SOURCE), source="::", to="ff02::1:ff00:2"), PROBE),
    "behind destination options": (frame(frames.header(frames.ICMPV6) + nd(136, WEB[2]), following=frames.OPTIONS), HIDDEN),
    "behind a fragment header": (frame(frames.fragment(frames.ICMPV6, 0, 0) + nd(136, WEB[2]), following=frames.FRAGMENT), HIDDEN),
    "a forged one behind options": (frame(frames.header(frames.ICMPV6) + nd(136, DB[2]), following=frames.OPTIONS), HIDDEN),
    "hop-by-hop options": (frame(frames.header(frames.ICMPV6) + frames.icmpv6(128, WEB[2], DB[2], bytes(4)),
                                 following=frames.HOP_BY_HOP), HOPS),
    "hop-by-hop options and the type further on": (
        frame(frames.header(frames.FRAGMENT, frames.ROUTER_ALERT) + frames.fragment(frames.OPTIONS, 0, 1)
              + frames.header(frames.ICMPV6), following=frames.HOP_BY_HOP), HOPS),
    "ARP of another hardware": (arp(hardware=6), ARP),
    "ARP of another protocol": (arp(protocol=0x86dd), ARP),
    "ARP with long hardware addresses": (arp(sizes=(8, 4)), ARP),
    "ARP with long addresses": (arp(sizes=(6, 16)), ARP),
}
TRUE = {
    "advertisement": advertisement(options=own(TARGET)),
    "advertisement without option": advertisement(),
    "advertisement to all": advertisement(options=own(TARGET), to=ALL_NODES),
    "advertisement of the link-local address": advertisement(LINK_LOCAL, own(TARGET)),
    "solicitation": solicitation(options=own(SOURCE)),
    "solicitation without option": solicitation(),
    "solicitation to the group": solicitation(options=own(SOURCE), to="ff02::1:ff00:3"),
    "solicitation from the link-local address": solicitation(options=own(SOURCE), source=LINK_LOCAL, to="ff02::1:ff00:3"),
    "search for its own address": solicitation(WEB[2], source="::", to="ff02::1:ff00:2"),
    "search for its own address with a nonce": solicitation(WEB[2], foreign(NONCE), source="::", to="ff02::1:ff00:2"),
    "ARP": arp(),
}


class Frames(Alone):
    """Sent by one, and counted where they arrive and where they are dropped."""

    def setUp(self):
        super().setUp()
        self.count(self.db, WEB[0])

    @staticmethod
    def count(space, source):
        space.run("nft", "add table netdev count; add chain netdev count in { type filter hook ingress device eth0 priority 0; }; "
                         f"add rule netdev count in ether saddr {source} counter")

    def _arrived(self):
        return int(re.search(r"counter packets (\d+)", self.db.run("nft", "list", "table", "netdev", "count").stdout)[1])

    def _dropped(self):
        """By the reasons that the rules give."""
        dropped = dict.fromkeys(REASONS, 0)
        for rule in re.findall(r'counter packets (\d+) bytes \d+ drop comment "([^"]*)"', self.host.run("nft", "list", "ruleset").stdout):
            dropped[rule[1]] = dropped.get(rule[1], 0) + int(rule[0])
        return dropped

    def _send(self, *sent, space=None):
        """How many arrive, and which drops have counted how many."""
        dropped, arrived = self._dropped(), self._arrived()
        frames.send(space or self.web, sent * COPIES)
        time.sleep(0.05)
        now = self._dropped()
        return self._arrived() - arrived, {why: now[why] - dropped[why] for why in REASONS if now[why] != dropped[why]}


class Discovery(Frames, unittest.TestCase):
    POLICY = Alone.POLICY.replace(f"{ALLOWED}/udp]", f"{ALLOWED}/udp, icmp]")

    def test_what_is_false_is_dropped(self):
        neighbours = self.db.run("ip", "-6", "neigh", "show").stdout
        for name, (sent, why) in FALSE.items():
            with self.subTest(name):
                self.assertEqual(self._send(sent), (0, {why: COPIES}))
        self.assertEqual(self.db.run("ip", "-6", "neigh", "show").stdout, neighbours)

    def test_all_of_it_passes_without_the_rules(self):
        self.host.run("nft", "flush", "ruleset")
        for name, (sent, _) in FALSE.items():
            with self.subTest(name):
                self.assertGreaterEqual(self._send(sent)[0], COPIES)  # some are answered

    def test_what_is_true_passes(self):
        for name, sent in TRUE.items():
            with self.subTest(name):
                self.assertEqual(self._send(sent), (COPIES, {}))

    @staticmethod
    def _fragments(to, target, middle):
        """An advertisement behind options, in two fragments, the second of which begins there."""
        whole = frames.header(frames.ICMPV6) + nd(136, WEB[2], own(TARGET), to=to)
        number = secrets.randbits(32)  # what waits for a part is not to get this one's
        parts = (frames.fragment(frames.OPTIONS, 0, 1, number) + whole[:middle],
                 frames.fragment(frames.OPTIONS, middle, 0, number) + whole[middle:])
        return [frames.ethernet(WEB[0], target, 0x86dd, frames.ipv6(WEB[2], to, frames.FRAGMENT, part)) for part in parts]

    def test_what_is_hidden_in_fragments(self):
        """From a neighbour and from the host. Linux puts nothing together whose first fragment does not go to the type; of
        older ones, and if the bridge's rules have let it through, the inet rules see the whole."""
        self.host.run("ip", "address", "add", "fe80::1/64", "dev", "br-shop", "nodad")
        gateway = json.loads(self.host.run("ip", "-j", "link", "show", "br-shop").stdout)[0]["address"]
        ends = ((DB[2], DB[0]), ("fe80::1", gateway))
        for to, target in ends:
            with self.subTest(to):
                self.assertEqual(self._send(*self._fragments(to, target, 8)), (0, {}))
                self.assertEqual(self._send(*self._fragments(to, target, 16)), (0, {HIDDEN: COPIES}))
        self.host.run("nft", "flush", "chain", "bridge", "cofferdam", "discovery")
        for (to, target), why in zip(ends, (HIDDEN, ROUTE)):
            with self.subTest(to, bridge="lets it through"):
                self.assertEqual(self._send(*self._fragments(to, target, 16)), (0, {why: COPIES}))

    def test_what_containers_need_works(self):
        """Neighbours find each other, and large packets pass in fragments."""
        for family, to in (("-4", DB[1]), ("-6", DB[2])):
            for space in (self.web, self.db):
                space.run("ip", "neigh", "flush", "all")
            for size in (56, 6000):
                with self.subTest(to, size=size):
                    self.web.run("ping", family, "-c3", "-i0.2", "-W2", "-s", str(size), to)
        self.web.run("ip", "-6", "neigh", "flush", "all")
        self.host.run("ip", "address", "add", "fd00:18::1/64", "dev", "br-shop", "nodad")
        self.web.run("ping", "-6", "-c1", "-W1", "fd00:18::1", check=False)  # no policy grants the ping
        self.assertIn("lladdr", self.web.run("ip", "-6", "neigh", "show", "fd00:18::1").stdout)

    def test_an_address_that_a_neighbour_has_is_found_out(self):
        """Duplicate address detection goes through, with its nonce."""
        self.web.sysctl("net.ipv6.conf.eth0.accept_dad", 1)
        self.web.run("ip", "address", "del", WEB[2] + "/64", "dev", "eth0")
        dropped = self._dropped()
        self.web.run("ip", "address", "add", WEB[2] + "/64", "dev", "eth0")
        wait_until(lambda: "tentative" not in self.web.run("ip", "-6", "address", "show", "dev", "eth0").stdout, 5, "the address")
        self.assertNotIn("dadfailed", self.web.run("ip", "-6", "address", "show", "dev", "eth0").stdout)
        self.assertEqual(self._dropped()[PROBE], dropped[PROBE])

    def test_the_bridge_hears_of_listeners(self):
        self.host.run("ip", "link", "set", "br-shop", "type", "bridge", "mcast_snooping", "1", "mcast_querier", "1")
        self.web.run("ip", "address", "add", "fd00:18::77/128", "dev", "eth0", "nodad")  # which joins its group
        self.web.run("ip", "maddr", "show")
        wait_until(lambda: re.search(r"port veth-web grp ff02::1:ff00:77",
                                     self.host.run("bridge", "mdb", "show").stdout), 5, "the report of the group's listener")


class Stranger(Frames, unittest.TestCase):
    """A port that is no container's: one that Cofferdam has not heard of, or, with unknown_endpoints, a build step's."""

    OPTIONS = ("--unknown-internet",)
    ADDRESSES = Alone.ADDRESSES | {"stranger": (OTHER, "172.18.0.99", NOBODY)}

    def setUp(self):
        super().setUp()
        self.stranger = self.container("stranger")
        self.db.run("nft", "flush chain netdev count in; add rule netdev count in ether saddr " + OTHER + " counter")
        self.host.run("ip", "address", "add", "fd00:18::1/64", "dev", "br-shop", "nodad")

    def _free_port(self):
        for name in ("ports", "free_ports"):
            self.host.run("nft", "add element bridge cofferdam " + name + " { veth-stranger }")

    def _frames(self):
        """To db, with the stranger's own addresses."""
        for sent in (TRUE["ARP"], TRUE["advertisement"], TRUE["solicitation"]):
            for mine, theirs in zip((frames.mac(OTHER), frames.address("172.18.0.99"), frames.address(NOBODY)),
                                    (frames.mac(WEB[0]), frames.address(WEB[1]), frames.address(WEB[2]))):
                sent = sent.replace(theirs, mine)
            yield sent

    def test_neighbours_hear_nothing(self):
        for prepare in (lambda: None, self._free_port):
            prepare()
            for sent in self._frames():
                with self.subTest(prepare=prepare, sent=sent):
                    arrived, dropped = self._send(sent, space=self.stranger)
                    self.assertEqual(arrived, 0)
                    self.assertGreaterEqual(dropped[STRANGE], COPIES)  # its kernel says something of its own
        self.host.run("nft", "flush", "ruleset")
        for sent in self._frames():
            with self.subTest(rules="none", sent=sent):
                self.assertGreaterEqual(self._send(sent, space=self.stranger)[0], COPIES)

    def test_the_host_is_found(self):
        for prepare in (lambda: None, self._free_port):
            prepare()
            for gateway in ("172.18.0.1", "fd00:18::1"):
                with self.subTest(prepare=prepare, gateway=gateway):
                    self.stranger.run("ip", "neigh", "flush", "all")
                    self.stranger.run("ping", "-c1", "-W1", gateway, check=False)  # which no policy grants
                    self.assertIn("lladdr", self.stranger.run("ip", "neigh", "show", gateway).stdout)

    def test_a_containers_address_is_not_its_own(self):
        self._free_port()
        gateway = json.loads(self.host.run("ip", "-j", "link", "show", "br-shop").stdout)[0]["address"]

        def advertise(target):
            message = frames.icmpv6(136, NOBODY, "fd00:18::1",
                                    struct.pack("!I", 0x60000000) + frames.address(target) + frames.option(TARGET, OTHER))
            return frames.ethernet(OTHER, gateway, 0x86dd, frames.ipv6(NOBODY, "fd00:18::1", frames.ICMPV6, message))

        self.assertNotIn(TAKEN, self._send(advertise(NOBODY), space=self.stranger)[1])
        self.assertEqual(self._send(advertise(DB[2]), space=self.stranger)[1][TAKEN], COPIES)


if __name__ == "__main__":
    unittest.main()

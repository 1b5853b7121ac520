#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Frames within a bridge stop, and do not pass, when the inet rules no longer see them: somebody has turned the bridge's
nf_call_iptables or nf_call_ip6tables off, or it was made anew, with the daemon there or not."""

import contextlib
import json
import os
import re
import signal
import struct
import subprocess
import sys
import time
import unittest

import yaml

import frames
from alone import Alone
from cofferdam import follows
from flood import ALLOWED, Flood
from machine import wait_until
from playground import ROLES, Playground

ROLES = ROLES.replace("icmp]", f"icmp, {ALLOWED}/udp]")
BIT = 0x2000
SWITCHES = {"ipv4": "nf_call_iptables", "ipv6": "nf_call_ip6tables"}
FAMILIES = tuple(SWITCHES)


class Hexadecimal(int):
    """As a settings file has it."""


yaml.SafeDumper.add_representer(Hexadecimal, lambda dumper, value: dumper.represent_scalar("tag:yaml.org,2002:int", hex(value)))


def turn(space, bridge, value, *families):
    space.run("ip", "link", "set", bridge, "type", "bridge",
              *(word for family in families or FAMILIES for word in (SWITCHES[family], str(value))))


class Traffic:
    """Mixed into a TestCase."""

    def assert_flows(self, flood, *families, seconds=1):
        """Within that time allowed datagrams arrive in these families, and no denied one in any."""
        seen = {family: 0 for family in FAMILIES}

        def flows():
            for family, (allowed, denied) in flood.take().items():
                self.assertEqual(denied, 0, family)
                seen[family] += allowed
            return all(seen[family] > 10 for family in families or FAMILIES)

        wait_until(flows, seconds, f"the allowed datagrams to arrive, of which there were {seen}")

    def assert_stopped(self, flood, *families, seconds=0.5):
        """Nothing arrives in these families; what was under way when the switch was turned has."""
        time.sleep(0.02)
        for family, arrived in flood.during(seconds).items():
            self.assertEqual(arrived[1], 0, family)
            if family in (families or FAMILIES):
                self.assertEqual(arrived[0], 0, family)


class RulesAlone(Alone, Traffic, unittest.TestCase):
    POLICY = Alone.POLICY.replace("from: [{compose: shop/web}]", "from: [{compose: shop/web}, outside]")

    def _flood(self, **options):
        return Flood(self.web.enter, self.db.enter, self.ADDRESSES["db"][1:], **options)

    def _counter(self, chain):
        """The packets that the drops of a bridge chain have counted."""
        text = self.host.run("nft", "list", "chain", "bridge", "cofferdam", chain).stdout
        return sum(map(int, re.findall(r"counter packets (\d+)", text)))

    def _send_past_the_bridge(self, outside):
        """From web, by the hardware address of its port, as any container can find it out and use it in frames of its own.
        How many of 100 have arrived."""
        port = re.search(r"link/ether (\S+)", self.host.run("ip", "link", "show", "veth-web").stdout)[1]
        for gateway, option in (("172.18.0.1", "-4"), ("fd00:18::1", "-6")):
            self.web.run("ip", option, "neigh", "replace", gateway, "lladdr", port, "dev", "eth0", "nud", "permanent")
            self.web.run("ip", option, "route", "replace", "default", "via", gateway)
        self.web.run("python3", "-c",
                     "import socket\n"
                     "for family, address in ((socket.AF_INET, '203.0.113.2'), (socket.AF_INET6, 'fd00:99::2')):\n"
                     "    sender = socket.socket(family, socket.SOCK_DGRAM)\n"
                     "    for _ in range(50): sender.sendto(b'', (address, 4999))\n")
        time.sleep(0.1)
        text = outside.run("nft", "list", "table", "inet", "count").stdout
        return int(re.search(r"counter packets (\d+)", text)[1])

    def test_a_port_without_its_bridge_reaches_nobody(self):
        """Somebody deletes the bridge under a container: what it sends is routed as if it came from outside."""
        outside = self.outside()
        self.host.run("ip", "link", "delete", "br-shop")
        self.assertEqual(self._send_past_the_bridge(outside), 0)
        text = self.host.run("nft", "list", "chain", "inet", "cofferdam", "from_outside").stdout
        self.assertRegex(text, r'iifname @ports counter packets 100 .* "a container\'s port that has left its bridge"')
        self.host.run("nft", "delete", "table", "inet", "cofferdam")
        self.assertEqual(self._send_past_the_bridge(outside), 100)

    def test_a_port_published_on_loopback_is_for_this_host_alone(self):
        """As Docker publishes one, with loopback open to routing and without a rule that asks where packets come from. A
        neighbour outside sends to 127.0.0.1."""
        outside = self.outside()
        for device in ("all", "eth0"):
            self.host.sysctl(f"net.ipv4.conf.{device}.route_localnet", 1)
        mac = json.loads(self.host.run("ip", "-j", "link", "show", "eth0").stdout)[0]["address"]
        self.host.run("nft", "-f", "-", stdin="table ip docker {\nchain nat {\ntype nat hook prerouting priority -100;\n"
                      f"ip daddr {{ 127.0.0.1, 203.0.113.1 }} udp dport {ALLOWED} dnat to {self.ADDRESSES['db'][1]}\n}}\n}}\n")
        self.db.run("nft", "add table inet count; add chain inet count in { type filter hook prerouting priority 0; }; "
                           f"add rule inet count in udp dport {ALLOWED} counter")
        self.db.run("ip", "route", "add", "default", "via", "172.18.0.1")

        def arrive(target, source_port):
            """How many of 5 datagrams."""
            head = struct.pack("!HHHH", source_port, ALLOWED, 8, 0)
            before = self._datagrams()
            frames.send(outside, [frames.ethernet("02:00:00:00:00:01", mac, 0x800, frames.ipv4("203.0.113.2", target, 17, head, hops=64))] * 5)
            time.sleep(0.1)
            return self._datagrams() - before

        self.assertEqual(arrive("203.0.113.1", 1000), 5)
        self.assertEqual(arrive("127.0.0.1", 1001), 0)
        text = self.host.run("nft", "list", "chain", "inet", "cofferdam", "to_managed").stdout
        self.assertRegex(text, r'ct original ip daddr 127.0.0.0/8 counter packets 5 .* "a port published for this host alone"')
        self.host.run("nft", "delete", "table", "inet", "cofferdam")
        self.assertEqual(arrive("127.0.0.1", 1002), 5)

    def _datagrams(self):
        return int(re.search(r"counter packets (\d+)", self.db.run("nft", "list", "table", "inet", "count").stdout)[1])

    def test_off_stops_all_and_on_brings_it_back(self):
        with self._flood() as flood:
            self.assert_flows(flood, seconds=3)
            self.assertEqual(self._counter("seen"), 0)
            for families in (FAMILIES, ("ipv4",), ("ipv6",)):
                with self.subTest(families=families):
                    turn(self.host, "br-shop", 0, *families)
                    self.assert_stopped(flood, *families)
                    self.assertGreater(self._counter("seen"), 0)
                    for family in set(FAMILIES) - set(families):
                        self.assert_flows(flood, family)
                    turn(self.host, "br-shop", 1)
                    self.assert_flows(flood, seconds=3)

    def test_neighbours_are_found(self):
        with self._flood() as flood:
            for _ in range(3):
                self.assert_flows(flood, seconds=3)
                for space in (self.web, self.db):
                    space.run("ip", "neigh", "flush", "all")

    def test_fragments(self):
        with self._flood(size=4000) as flood:
            self.assert_flows(flood, seconds=3)
            self.assertEqual(self._counter("seen"), 0)
            turn(self.host, "br-shop", 0)
            self.assert_stopped(flood)
            turn(self.host, "br-shop", 1)
            self.assert_flows(flood, seconds=3)

    def test_hairpin(self):
        """A port in hairpin mode gets back what it sends: seen as well, and still not delivered to the wrong one."""
        self.host.run("ip", "link", "set", "veth-db", "type", "bridge_slave", "hairpin", "on")
        self.host.run("ip", "link", "set", "veth-web", "type", "bridge_slave", "hairpin", "on")
        with self._flood() as flood:
            self.assert_flows(flood, seconds=3)
            turn(self.host, "br-shop", 0)
            self.assert_stopped(flood)

    def test_a_container_cannot_mark_its_own(self):
        turn(self.host, "br-shop", 0)
        for mark in (BIT, 0x7fffffff):
            with self.subTest(mark=mark), self._flood(mark=mark) as flood:
                self.assert_stopped(flood)
                turn(self.host, "br-shop", 1)
                self.assert_flows(flood, seconds=3)
                turn(self.host, "br-shop", 0)
                self.assert_stopped(flood)

    @contextlib.contextmanager
    def _others(self, *rules):
        """Another program's table."""
        self.host.run("nft", "-f", "-", stdin="table bridge others {\n" + "".join(rules) + "}\n")
        try:
            yield
        finally:
            self.host.run("nft", "delete", "table", "bridge", "others")

    def test_a_mark_that_others_set_does_not_count(self):
        with self._others(f"chain in {{ type filter hook prerouting priority 10; meta mark set {0xcafe0000 | BIT}; }}\n"), \
                self._flood() as flood:
            self.assert_flows(flood, seconds=3)
            turn(self.host, "br-shop", 0)
            self.assert_stopped(flood)

    def test_other_bits_are_kept_and_ours_goes_no_further(self):
        """Of frames within the bridge, of those from the host, and of those that the host routes back."""
        self.host.sysctl("net.ipv4.ip_forward", 1)
        others = (f"chain in {{ type filter hook prerouting priority 10; meta mark set {0xcafe0000}; }}\n",
                  "chain out { type filter hook postrouting priority 300; ether type arp accept\n"
                  f"meta mark & {BIT} != 0 counter name ours\nmeta mark & {0xcafe0000} == {0xcafe0000} counter name kept\n}}\n")
        counters = "".join(f"counter {name} {{}}\n" for name in ("ours", "kept"))
        with self._others(counters, *others), self._flood() as flood:
            self.assert_flows(flood, seconds=3)
            self._assert_marks()
        # through the host: the frames are addressed to the bridge, which sends the packets out by the port again
        self.host.sysctl("net.ipv4.conf.all.send_redirects", 0)
        self.host.sysctl("net.ipv4.conf.br-shop.send_redirects", 0)
        mac = json.loads(self.host.run("ip", "-j", "link", "show", "br-shop").stdout)[0]["address"]
        self.web.run("ip", "neigh", "replace", self.ADDRESSES["db"][1], "lladdr", mac, "dev", "eth0")
        for value in (1, 0):  # bridged frames are not needed for it
            turn(self.host, "br-shop", value)
            with self.subTest(nf_call=value), self._others(counters, *others), self._flood() as flood:
                self.assert_flows(flood, "ipv4", seconds=3)
                self._assert_marks()

    def _assert_marks(self):
        listed = json.loads(self.host.run("nft", "-j", "list", "counters", "table", "bridge", "others").stdout)
        packets = {entry["counter"]["name"]: entry["counter"]["packets"] for entry in listed["nftables"] if "counter" in entry}
        self.assertEqual(packets["ours"], 0, packets)
        self.assertGreater(packets["kept"], 0, packets)

    def test_the_host_and_a_container_need_no_mark(self):
        """They do not cross the bridge; what else is judged between them is not this chain's."""
        turn(self.host, "br-shop", 0)
        self.web.run("ip", "neigh", "flush", "all")
        self.web.run("ping", "-c1", "-W1", "172.18.0.1", check=False)
        self.assertIn("lladdr", self.web.run("ip", "neigh", "show", "172.18.0.1").stdout)
        self.assertEqual(self._counter("seen"), 0)

    def test_what_is_delivered_to_a_port_is_checked_although_the_rules_came_first(self):
        """An allowed packet in a frame for a MAC address that nobody has goes to every port, but for that check."""
        listen = ("import socket\nwire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x800))\n"
                  "print('ready', flush=True)\n"
                  "while True:\n    frame = wire.recv(4096)\n"
                  f"    if frame[23] == 17 and int.from_bytes(frame[36:38], 'big') == {ALLOWED}:\n"
                  "        print(frame[:6].hex(), flush=True)\n")
        process = subprocess.Popen(self.db.enter(sys.executable, "-c", listen), stdout=subprocess.PIPE, text=True)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.addCleanup(process.stdout.close)
        self.assertEqual(process.stdout.readline().strip(), "ready")
        stranger, own = "02:42:ac:12:00:99", self.ADDRESSES["db"][0]
        for mac in (stranger, own):
            self.web.run("ip", "neigh", "replace", self.ADDRESSES["db"][1], "lladdr", mac, "dev", "eth0")
            self.web.run(sys.executable, "-c", "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM)"
                         f".sendto(b'x', ('{self.ADDRESSES['db'][1]}', {ALLOWED}))")
        self.assertEqual(process.stdout.readline().strip(), own.replace(":", ""))


class Guard(Traffic, Playground, unittest.TestCase):
    """A real Engine, and the global sysctls off: nothing but the bridge's own switches shows frames to the inet rules."""

    POLICIES = ROLES

    def setUp(self):
        for key in ("iptables", "ip6tables"):
            self.engine.host.sysctl("net.bridge.bridge-nf-call-" + key, 0)
        if not self.cofferdam.process.alive:
            self.cofferdam.start()
        self.web, self.db = self.run_containers(web="web", db="db")
        self.follow(self.web, self.db)
        self.bridge = self.engine.bridge("front")

    def _flood(self, network="front", **options):
        addresses = [self.db.addresses(family)[network] for family in FAMILIES]
        return Flood(self.web.enter, self.db.enter, addresses, **options)

    def _filtered(self):
        return self.engine.bridge_switches()[self.bridge] == (1, 1, 1)

    def _assert_all_well(self):
        result = self.cofferdam("status")
        self.assertEqual(result.returncode, 0, result.stdout)
        self.assertNotIn("filtering of bridged packets", result.stdout)

    def test_turned_off_after_the_daemon_was_killed(self):
        with self._flood() as flood:
            self.assert_flows(flood, seconds=3)
            self.cofferdam.stop(signal.SIGKILL)
            self.assert_flows(flood)
            turn(self.engine.host, self.bridge, 0)
            self.assert_stopped(flood, seconds=2)
            self.assertEqual(self.engine.bridge_switches()[self.bridge], (0, 0, 1))
            began = time.monotonic()
            self.cofferdam.start()
            started = time.monotonic()
            self.assert_flows(flood, seconds=1)
            print(f"started in {started - began:.2f} s, allowed datagrams {time.monotonic() - started:.2f} s later")
            self._assert_all_well()

    def test_one_family_turned_off_after_the_daemon_was_killed(self):
        with self._flood() as flood:
            self.assert_flows(flood, seconds=3)
            self.cofferdam.stop(signal.SIGKILL)
            for family, other in (FAMILIES, FAMILIES[::-1]):
                turn(self.engine.host, self.bridge, 0, family)
                self.assert_stopped(flood, family)
                self.assert_flows(flood, other)
                turn(self.engine.host, self.bridge, 1, family)
                self.assert_flows(flood, seconds=3)

    def test_turned_off_while_the_daemon_runs(self):
        with self._flood() as flood:
            self.assert_flows(flood, seconds=3)
            for families in (FAMILIES, ("ipv4",), ("ipv6",)) * 5:
                turn(self.engine.host, self.bridge, 0, *families)
                follows(self._filtered, "the switches to be on again", 1.5)  # no more than ten a second
                self.assert_flows(flood, seconds=1)
            self._assert_all_well()

    def test_another_bit(self):
        self.addCleanup(self.cofferdam.restart)
        self.cofferdam.restart(mark=Hexadecimal(0x40))
        text = self.cofferdam.ruleset()
        self.assertIn("meta mark set meta mark | 0x00000040", text)
        self.assertNotIn(f"0x{BIT:08x}", text)
        with self._flood() as flood:
            self.assert_flows(flood, seconds=3)
            self.cofferdam.stop(signal.SIGKILL)
            turn(self.engine.host, self.bridge, 0)
            self.assert_stopped(flood)

    def test_a_fight_over_the_switch(self):
        with self._flood() as flood:
            self.assert_flows(flood, seconds=3)
            end = time.monotonic() + 3
            while time.monotonic() < end:
                turn(self.engine.host, self.bridge, 0)
            for family, (_, denied) in flood.take().items():
                self.assertEqual(denied, 0, family)
            follows(self._filtered, "the switches to be on again", 2)
            self.assert_flows(flood, seconds=1)
            self._assert_all_well()

    def test_the_network_is_made_anew(self):
        """Under the same name, with another bridge; and with the same bridge's name."""
        for options in ({}, {"Options": {"com.docker.network.bridge.name": "br-anew"}}):
            with self.subTest(options=options):
                self._make(options)
                with self._flood("anew") as flood:
                    self.assert_flows(flood, seconds=3)
                    for _ in range(3):
                        self._remove_network()
                        self._make(options)
                        self.assert_flows(flood, seconds=5)
                self._remove_network()
        self._assert_all_well()

    def _make(self, options):
        self.engine.network("anew", "10.93.0.0/24", "fd93::/64", **options)
        for number, container in enumerate((self.web, self.db), 2):
            self.engine.connect("anew", container, f"10.93.0.{number}", f"fd93::{number}")

    def _remove_network(self):
        for container in (self.web, self.db):
            self.engine.disconnect("anew", container)
        self.engine.api("DELETE", "/networks/anew")


if __name__ == "__main__":
    unittest.main()

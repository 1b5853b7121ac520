#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The live connections that `cofferdam plan` says would be cut are those that apply cuts: for connection tracking, for the
tests' own evaluator of the policies, and for both ends, which go on talking or stop.

COFFERDAM_ROUNDS: random sets (4); COFFERDAM_SEED: of the dice (chosen anew)."""

import collections
import ipaddress
import os
import random
import re
import select
import socket
import struct
import time
import unittest

from author import Author
from engine import OUTSIDE, UPLINK
from machine import wait_until
from naive import Endpoint, Policies, Port
from pairs import open_in
from playground import OPEN, Playground
from table import World

ROUNDS = int(os.environ.get("COFFERDAM_ROUNDS", "4"))
SEED = int(os.environ.get("COFFERDAM_SEED", random.SystemRandom().randrange(10**6)))
MANY = 1000
FAMILIES = {"ipv4": socket.AF_INET, "ipv6": socket.AF_INET6}
HEAR = 0.6  # seconds to wait for an answer that ought to come
LISTENERS = (9000, 9001)  # for connections of which one end is shut

# Beside random ones. Each begins where everything is open.
SETS = {
    "nothing changes": OPEN + "---\npolicy: more\nselect: {name: nobody}\ningress: [{}]\n",
    "nothing is left": "policy: none\nselect: {name: nobody}\n",
    "one port": OPEN + "---\npolicy: no-5432\nselect: {all: true}\ningress: [{deny: true, ports: [5432/tcp]}]\n",
    "all but TCP": "policy: rest\nselect: {all: true}\ningress: [{ports: [udp, icmp]}]\negress: [{ports: [udp, icmp]}]\n",
    "no host": OPEN + "---\npolicy: no-host\nselect: {all: true}\ningress: [{deny: true, from: [host]}]\n"
                      "egress: [{deny: true, to: [host]}]\n",
    "nobody outside": "policy: inside\nselect: {all: true}\ningress: [{from: [containers, host]}]\n"
                      "egress: [{to: [containers, host]}]\n",
    "one family": OPEN + "---\npolicy: no-ipv6\nselect: {all: true}\n"
                         "ingress: [{deny: true, from: [{cidr: '::/0'}]}]\negress: [{deny: true, to: [{cidr: '::/0'}]}]\n",
    "one network": "policy: front\nselect: {network: front}\ningress: [{}]\negress: [{to: [{network: front}, host]}]\n",
    "refused": "policy: polite\nreject: true\nselect: {all: true}\ningress: [{ports: [53/udp, icmp]}]\negress: [{}]\n",
}


def key_of(proto, end):
    """(protocol, from, from port, to, to port) of a connected socket whose peer nobody translates."""
    (source, source_port), (target, port) = end.getsockname()[:2], end.getpeername()[:2]
    return proto, ipaddress.ip_address(source), source_port, ipaddress.ip_address(target), port


class Flow:
    """A connection that stands: one end asks, and the other answers. keys: what it is called where it is tracked."""

    def __init__(self, name, end, keys):
        self.name, self.end, self.keys = name, end, keys
        end.setblocking(False)

    def speak(self):
        try:
            self.end.send(b"?\n")
        except OSError:
            pass

    def hears(self):
        """Whether something has come that is an answer."""
        try:
            return bool(self.end.recv(4096))
        except OSError:
            return False

    def close(self):
        self.end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # at once
        self.end.close()


class HalfClosed(Flow):
    """One end has nothing more to say; the other goes on."""

    def __init__(self, name, speaker, listener, keys):
        super().__init__(name, listener, keys)
        self.speaker = speaker
        speaker.setblocking(False)
        listener.shutdown(socket.SHUT_WR)

    def speak(self):
        try:
            self.speaker.send(b".")
        except OSError:
            pass

    def close(self):
        super().close()
        self.speaker.close()


class Echo(Flow):
    """Echo requests under one identifier."""

    def __init__(self, name, end, address, number):
        source = ipaddress.ip_address(end.getsockname()[0])
        super().__init__(name, end, {("icmp", source, 0, ipaddress.ip_address(address), 0)})
        self.number, self.sequence = number, 0
        self.is_v4 = end.family == socket.AF_INET

    def speak(self):
        self.sequence += 1
        message = struct.pack("!BBHHH", 8 if self.is_v4 else 128, 0, 0, self.number, self.sequence)
        if self.is_v4:  # the kernel does it for IPv6
            total = sum(struct.unpack("!4H", message))
            total = (total >> 16) + (total & 0xffff)
            message = message[:2] + struct.pack("!H", ~(total + (total >> 16)) & 0xffff) + message[4:]
        try:
            self.end.send(message)
        except OSError:
            pass

    def hears(self):
        while True:
            try:
                data = self.end.recv(4096)
            except BlockingIOError:
                return False
            except OSError:
                continue
            data = data[(data[0] & 15) * 4:] if self.is_v4 else data
            if data[0] == (0 if self.is_v4 else 129) and struct.unpack_from("!HH", data, 4) == (self.number, self.sequence):
                return True


class PlanFlows(Playground, unittest.TestCase):
    POLICIES = OPEN

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        print(f"COFFERDAM_SEED={SEED}", flush=True)
        command = ["probe", "serve", "80/tcp", "5432/tcp", "53/udp"]
        wanted = {
            "web": {"networks": ["front"], "publish": [(8080, 80, "tcp"), (8053, 53, "udp")]}, "db": {"networks": ["front"]},
            "far": {"networks": ["back"]}, "both": {"networks": ["front", "back"]}}
        cls.engine.run_all({name: dict(options, command=command, labels={"role": "db" if name == "db" else "web", "env": "prod"})
                            for name, options in wanted.items()})
        cls.containers = {container.name: container for container in cls.engine.containers.values()}
        cls.world = World(cls.engine, cls.containers).refresh()
        cls.cofferdam.settle()
        cls.author = Author(random.Random(SEED))

    def setUp(self):
        self.flows = []
        self.addCleanup(lambda: [flow.close() for flow in self.flows])
        self.addCleanup(lambda: [listener.close() for listener in self.listeners])
        self.listeners = []

    # Flows

    def add(self, proto, source, family, address, port, name):
        end = open_in(source, FAMILIES[family], socket.SOCK_STREAM if proto == "tcp" else socket.SOCK_DGRAM)
        end.settimeout(5)
        end.connect((address, port))
        self.flows.append(Flow(f"{name} {port}/{proto} {family}", end, {key_of(proto, end)}))

    def add_published(self, proto, source, family, address, port, name):
        """One that is translated, or that docker-proxy makes two of: what is tracked then that was not before."""
        before = self.tracked()
        self.add(proto, source, family, address, port, name)
        flow = self.flows[-1]
        flow.speak()
        flow.end.settimeout(5)
        self.assertTrue(flow.end.recv(100), flow.name)
        flow.end.setblocking(False)
        own, inner = flow.end.getsockname()[1], {"tcp": 80, "udp": 53}[proto]
        flow.keys = {key for key in self.tracked() - before if own == key[2] or inner == key[4]}
        self.assertIn(len(flow.keys), (1, 2), f"{flow.name}: {flow.keys}")

    def add_echo(self, source, family, address, name):
        proto = socket.IPPROTO_ICMP if family == "ipv4" else socket.IPPROTO_ICMPV6
        end = open_in(source, FAMILIES[family], socket.SOCK_RAW, proto)
        end.connect((address, 0))
        self.flows.append(Echo(f"{name} icmp {family}", end, address, 1000 + len(self.flows)))

    def add_all(self, source, family, address, name, tcp=(80, 5432), udp=(53,)):
        for port in tcp:
            self.add("tcp", source, family, address, port, name)
        for port in udp:
            self.add("udp", source, family, address, port, name)
        self.add_echo(source, family, address, name)

    def add_half_closed(self, family):
        """Both ends of each are ours: either may be the one that has shut up."""
        web, db = self.containers["web"], self.containers["db"]
        for port, name in zip(LISTENERS, ("the asker has ended", "the asked has ended")):
            listener = open_in(db, FAMILIES[family], socket.SOCK_STREAM)
            self.listeners.append(listener)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((db.address(family), port))
            listener.listen(1)
            near = open_in(web, FAMILIES[family], socket.SOCK_STREAM)
            near.settimeout(5)
            near.connect((db.address(family), port))
            far, _ = listener.accept()
            ends = (far, near) if port == LISTENERS[0] else (near, far)
            self.flows.append(HalfClosed(f"web -> db {port}/tcp {family}, {name}", *ends, {key_of("tcp", near)}))

    def add_everywhere(self):
        web, db, far, both = (self.containers[name] for name in ("web", "db", "far", "both"))
        host, lan = self.engine.host, self.engine.lan
        for family in FAMILIES:
            gateway = {"ipv4": "10.91.0.1", "ipv6": "fd91::1"}[family]
            loopback = {"ipv4": "127.0.0.1", "ipv6": "::1"}[family]
            self.add_all(web, family, db.address(family), "web -> db")
            self.add_all(web, family, far.address(family), "web -> far, another bridge")
            self.add_all(both, family, far.address(family), "both -> far")
            self.add_all(web, family, gateway, "web -> host")
            self.add_all(host, family, db.address(family), "host -> db")
            self.add_all(web, family, OUTSIDE[family]["public"], "web -> outside")
            self.add_all(lan, family, far.address(family), "outside -> far")
            self.add_published("tcp", lan, family, UPLINK[family], 8080, "outside -> published")
            self.add_published("udp", lan, family, UPLINK[family], 8053, "outside -> published")
            self.add_published("tcp", host, family, loopback, 8080, "host -> loopback, published")
            self.add_published("tcp", db, family, gateway, 8080, "db -> gateway, published")
            self.add_published("tcp", far, family, UPLINK[family], 8080, "far -> uplink, published")
            self.add_half_closed(family)

    def hearing(self):
        """The names of the flows on which answers come, when all speak: twice, for datagrams that a busy machine drops."""
        for flow in self.flows:  # what came late
            flow.hears()
        waiting = {flow.end.fileno(): flow for flow in self.flows}
        for _ in range(2):
            for start in range(0, len(self.flows), 50):
                for flow in self.flows[start:start + 50]:
                    if flow.end.fileno() in waiting:
                        flow.speak()
                self.hear(waiting, 0.01)
            self.hear(waiting, HEAR)
        return {flow.name for flow in self.flows} - {flow.name for flow in waiting.values()}

    @staticmethod
    def hear(waiting, seconds):
        """Takes those out that hear something."""
        end = time.monotonic() + seconds
        poller = select.poll()
        for number in waiting:
            poller.register(number, select.POLLIN)
        while waiting and time.monotonic() < end:
            for number, _ in poller.poll(10):
                if waiting[number].hears():
                    del waiting[number]
                elif isinstance(waiting[number], Echo):  # somebody else's
                    continue
                poller.unregister(number)

    # What is tracked

    def tracked(self):
        """How many connections there are of each kind: (protocol, from, from port, to, to port) after translation."""
        found = collections.Counter()
        for family in FAMILIES:
            for line in self.engine.host.run("conntrack", "-L", "-f", family).stdout.splitlines():
                halves = re.split(r"(?= src=)", line)[1:]
                first, reply = ({key: value for key, value in re.findall(r"(\w+)=(\S+)", half)} for half in halves)
                proto = line.split()[0]
                if proto.startswith("icmp"):
                    key = ("icmp", ipaddress.ip_address(first["src"]), 0, ipaddress.ip_address(reply["src"]), 0)
                else:
                    key = (proto, ipaddress.ip_address(first["src"]), int(first["sport"]), ipaddress.ip_address(reply["src"]),
                           int(reply["sport"]))
                found[key] += 1
        return found

    @staticmethod
    def said(document):
        """The same of the plan."""
        found = collections.Counter()
        for flow in document["live_connections"]["cut"]:
            port, _, proto = flow["port"].rpartition("/")
            found[(proto, ipaddress.ip_address(flow["from_address"]), flow["from_port"], ipaddress.ip_address(flow["to_address"]),
                   int(port or 0))] += 1
        return found

    def denied(self, tracked, policies):
        """Those of which the policies allow no new one, as somebody's who is not us reads them."""
        found = collections.Counter()
        for key, count in tracked.items():
            proto, source, _, target, port = key
            ends = self.world.party(str(source)), self.world.party(str(target))
            what = Port("icmp", type="echo-request") if proto == "icmp" else Port(proto, port)
            if any(isinstance(end, Endpoint) for end in ends) and policies.verdict(*ends, what) != "allowed":
                found[key] = count
        return found

    # The test

    def write(self, files):
        folder = self.engine.path("planned")
        os.makedirs(folder, exist_ok=True)
        for name in os.listdir(folder):
            os.unlink(os.path.join(folder, name))
        for name, text in files.items():
            with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
                file.write(text)
        return folder

    def begin(self, add):
        """Everything is open, and all flows stand."""
        self.cofferdam.apply(OPEN)
        for flow in self.flows:
            flow.close()
        for listener in self.listeners:
            listener.close()
        self.flows, self.listeners = [], []
        self.engine.forget_connections()
        add()
        names = {flow.name for flow in self.flows}
        self.assertEqual(len(names), len(self.flows))
        silent = names - self.hearing()
        if silent:  # a neighbour may have had to be found
            silent = names - self.hearing()
        self.assertEqual(silent, set())

    def check(self, what, files, add):
        self.begin(add)
        document = self.cofferdam.json("plan", "--policies", self.write(files))
        self.assertIs(document["live_connections"]["known"], True, what)
        before, said = self.tracked(), self.said(document)
        self.assertEqual(document["summary"]["live_connections_cut"], sum(said.values()), what)
        self.assertEqual(said, self.denied(before, Policies(files.values())), what)
        self.cofferdam.apply(files)
        gone = {}

        def settled():
            gone["now"] = before - self.tracked()
            return gone["now"] == said

        try:
            wait_until(settled, 2, what)
        except Exception:  # pylint: disable=broad-except
            self.assertEqual(gone["now"], said, what)
        heard = self.hearing()
        for flow in self.flows:
            self.assertEqual(flow.name in heard, not flow.keys & set(said), f"{what}: {flow.name} goes on")
        print(f"{what}: {sum(before.values())} connections, {sum(said.values())} cut; "
              f"{len(heard)} of {len(self.flows)} flows go on", flush=True)
        self.assertEqual(self.said(self.cofferdam.json("plan")), collections.Counter(), what)
        return sum(said.values()), len(heard)

    def test_what_is_cut(self):
        total = collections.Counter()
        for what, text in SETS.items():
            with self.subTest(policies=what):
                cut, go_on = self.check(what, {"policies.yaml": text}, self.add_everywhere)
                total.update(cut=cut, go_on=go_on)
        self.assertGreater(min(total["cut"], total["go_on"]), 100)

    def test_what_random_policies_cut(self):
        for number in range(ROUNDS):
            what = f"COFFERDAM_SEED={SEED} set {number}"
            with self.subTest(policies=what):
                self.check(what, self.author.files(self.author.write()), self.add_everywhere)

    def add_many(self):
        web, db = self.containers["web"], self.containers["db"]
        for number in range(MANY // 4):
            for family in FAMILIES:
                self.add("tcp", web, family, db.address(family), 5432, f"{number}: web -> db")
                self.add("udp", web, family, db.address(family), 53, f"{number}: web -> db")

    def test_many(self):
        """Half of them are cut, the others go on; then the others, by name."""
        cut, go_on = self.check("many", {"policies.yaml": SETS["one port"]}, self.add_many)
        self.assertEqual((cut, go_on), (MANY // 2, MANY // 2))
        result = self.cofferdam("plan", "--policies", self.write({"none.yaml": SETS["nothing is left"]}))
        self.assertIn(f"{MANY // 2} live connections cut", result.stdout)
        self.assertRegex(result.stdout, rf"web -> db +53/udp +{MANY // 2} connections")


if __name__ == "__main__":
    unittest.main()

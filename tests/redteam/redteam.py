# SPDX-License-Identifier: GPL-2.0-or-later
"""Attacks with real packets: each is tried twice, with Docker alone and with Cofferdam, on the same containers.

    attacker, victim, bystander   on front (IPv4 and IPv6)
    other                         on back (IPv4 and IPv6)
    lan                           a neighbour outside, as in tests/e2e/engine.py

Docker alone isolates nothing here (as icc and no DOCKER-ISOLATION), so what does not arrive without Cofferdam is stopped by
the kernel, and the attack says so. With Cofferdam nothing may arrive, and the drops must have been counted, by the rule
that is there for it.
"""

import collections
import ctypes
import dataclasses
import functools
import itertools
import json
import os
import re
import socket
import struct
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, "e2e"))

# pylint: disable=wrong-import-position
from cofferdam import Cofferdam
from engine import BUILD, OUTSIDE, Engine
from machine import Failure, Namespace, run, wait_until  # pylint: disable=unused-import
from playground import Playground

ATTACK = os.path.join(BUILD, "tests", "redteam", "attack")
FAMILIES = ("ipv4", "ipv6")
# What Docker gives root in a container: attacks are sent with these and no others.
CAPABILITIES = ("chown", "dac_override", "fowner", "fsetid", "kill", "setgid", "setuid", "setpcap", "net_bind_service", "net_raw",
                "sys_chroot", "mknod", "audit_write", "setfcap")
PORT = 9999  # no policy allows it
NETWORKS = {"front": ("10.91.0.0/16", "fd91::/64"), "back": ("10.92.0.0/24", "fd92::/64")}
GATEWAYS = {"front": {"ipv4": "10.91.0.1", "ipv6": "fd91::1"}, "back": {"ipv4": "10.92.0.1", "ipv6": "fd92::1"}}
MEMBERS = {"attacker": "front", "victim": "front", "bystander": "front", "other": "back"}

# The attacker has what an ordinary workload has, and may misuse: a peer, lookups, the Internet.
POLICIES = """
policy: attacker
select: {labels: {role: attacker}}
egress:
  - {to: [{labels: {role: victim}}], ports: [80/tcp, 53/udp, icmp/echo-request]}
  - {to: [internet], ports: [80/tcp, 53/udp]}
ingress:
  - {from: [{labels: {role: victim}}], ports: [80/tcp]}
---
policy: victim
select: {labels: {role: victim}}
egress:
  - {to: [{labels: {role: attacker}}], ports: [80/tcp]}
  - {to: [{labels: {role: bystander}}], ports: [80/tcp, 53/udp]}
  - {to: [internet], ports: [80/tcp, 53/udp]}
ingress:
  - {from: [{labels: {role: attacker}}], ports: [80/tcp, 53/udp, icmp/echo-request]}
---
policy: bystander
select: {labels: {role: bystander}}
ingress:
  - {from: [{labels: {role: victim}}], ports: [80/tcp, 53/udp]}
"""

_marks = itertools.count(1)


@functools.lru_cache(None)
def _pid(container):
    """Asked once: no container is restarted here."""
    return container.pid


def forget_pids():
    """For a test in which another container takes one's place."""
    _pid.cache_clear()


def enter(space, *command):
    """As the enter() of a container or Namespace, without asking the Engine each time."""
    return space.enter(*command) if hasattr(space, "sysctl") else ["nsenter", f"--net=/proc/{_pid(space)}/ns/net", "--", *command]


def in_namespace(space, action):
    """What action() returns when called inside the network namespace of a container or Namespace. A socket stays there."""
    path = f"/run/netns/{space.name}" if hasattr(space, "sysctl") else f"/proc/{_pid(space)}/ns/net"
    libc = ctypes.CDLL(None, use_errno=True)
    with open("/proc/thread-self/ns/net", "rb") as home, open(path, "rb") as there:
        if libc.setns(there.fileno(), 0x40000000) != 0:  # CLONE_NEWNET
            raise Failure(f"setns: {os.strerror(ctypes.get_errno())}")
        try:
            return action()
        finally:
            libc.setns(home.fileno(), 0x40000000)


class Wire:
    """What an interface receives: frames that hold the mark or, with matches, those of which it is true (bytes -> bool)."""

    def __init__(self, space, interface="eth0", matches=None):
        self.matches = matches
        self.socket = in_namespace(space, lambda: self._open(interface))

    @staticmethod
    def _open(interface):
        wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        wire.setsockopt(263, 23, 1)  # SOL_PACKET, PACKET_IGNORE_OUTGOING
        wire.setblocking(False)
        wire.bind((interface, 3))  # ETH_P_ALL
        return wire

    def count(self, mark):
        matches = self.matches or (lambda frame: mark in frame)
        return sum(1 for frame in self.frames() if matches(frame))

    def frames(self):
        """Those received since the last call."""
        while True:
            try:
                yield self.socket.recv(70000)
            except BlockingIOError:
                return

    def close(self):
        self.socket.close()


class Datagrams:
    """What a UDP socket on all addresses receives; group: and on this multicast address, by this interface."""

    def __init__(self, space, port=PORT, family="ipv4", group=None, interface="eth0"):
        self.socket = in_namespace(space, lambda: self._open(port, family, group, interface))

    @staticmethod
    def _open(port, family, group, interface):
        receiver = socket.socket(socket.AF_INET if family == "ipv4" else socket.AF_INET6, socket.SOCK_DGRAM)
        if family == "ipv6":
            receiver.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        receiver.bind(("", port))
        if group:
            address = socket.inet_pton(receiver.family, group)
            index = socket.if_nametoindex(interface)
            if family == "ipv4":
                receiver.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, address + bytes(4) + index.to_bytes(4, sys.byteorder))
            else:
                receiver.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, address + index.to_bytes(4, sys.byteorder))
        receiver.setblocking(False)
        return receiver

    def count(self, mark):
        found = 0
        while True:
            try:
                found += mark in self.socket.recv(70000)
            except BlockingIOError:
                return found

    def close(self):
        self.socket.close()


class Raw:
    """What a raw socket of this protocol receives: what has passed all rules on its way to the namespace itself."""

    def __init__(self, space, family, protocol=socket.IPPROTO_UDP):
        self.socket = in_namespace(space, lambda: self._open(family, protocol))

    @staticmethod
    def _open(family, protocol):
        raw = socket.socket(socket.AF_INET if family == "ipv4" else socket.AF_INET6, socket.SOCK_RAW, protocol)
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        raw.setblocking(False)
        return raw

    def count(self, mark):
        found = 0
        while True:
            try:
                found += mark in self.socket.recv(70000)
            except BlockingIOError:
                return found

    def close(self):
        self.socket.close()


class Changes:
    """Whether the attack changed something: a value that is read before and after. How often cannot be said."""

    def __init__(self, read):
        self.read = read
        self.before = read()

    def count(self, _):
        return int(self.read() != self.before)

    def close(self):
        pass


class Learned:
    """How often a bridge took a MAC, or one of all that matches (bytes -> bool) takes, for one at a port. The kernel says so at once,
    and what it was told a moment later does not matter."""

    def __init__(self, host, port, matches):
        self.index = json.loads(host.run("ip", "-j", "link", "show", "dev", port).stdout)[0]["ifindex"]
        self.matches = matches if callable(matches) else bytes.fromhex(matches.replace(":", "")).__eq__
        self.socket = in_namespace(host, self._open)

    @staticmethod
    def _open():
        listener = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)  # NETLINK_ROUTE
        listener.setsockopt(socket.SOL_SOCKET, 33, 8 << 20)  # SO_RCVBUFFORCE
        listener.bind((0, 1 << 2))  # RTNLGRP_NEIGH
        listener.setblocking(False)
        return listener

    def count(self, _):
        found = 0
        while True:
            try:
                found += sum(map(self._is_it, self._messages(self.socket.recv(1 << 16))))
            except BlockingIOError:
                return found

    @staticmethod
    def _messages(data):
        while len(data) >= 16:
            length, kind = struct.unpack_from("=IH", data)
            if kind == 28:  # RTM_NEWNEIGH
                yield data[16:length]
            data = data[(length + 3) & ~3:]

    def _is_it(self, message):
        family, index = struct.unpack_from("=B3xi", message)
        attributes = message[12:]
        while family == 7 and index == self.index and len(attributes) >= 4:  # AF_BRIDGE
            length, kind = struct.unpack_from("=HH", attributes)
            if kind == 2:  # NDA_LLADDR
                return self.matches(attributes[4:length])
            attributes = attributes[(length + 3) & ~3:]
        return False

    def close(self):
        self.socket.close()


class Several:
    """What all of these receive together."""

    def __init__(self, *observers):
        self.observers = observers

    def count(self, mark):
        return sum(observer.count(mark) for observer in self.observers)

    def close(self):
        for observer in self.observers:
            observer.close()


def neighbours(space, interface="eth0"):
    """{address: MAC}: whom a namespace believes to know."""
    entries = json.loads(run(space.enter("ip", "-j", "neigh", "show", "dev", interface)).stdout or "[]")
    return {entry["dst"]: entry.get("lladdr") for entry in entries if entry.get("lladdr")}


def learn_at_once(space, interface="eth0"):
    """Linux keeps an ARP entry for a second before it believes another: not here, so that attacks need no patience."""
    run(space.enter("sh", "-c", f"echo 0 >/proc/sys/net/ipv4/neigh/{interface}/locktime"))


def believed(space, interface, address, mac):
    """Makes this the entry of a neighbour table, or none, and sees whether it changes."""
    if mac:
        run(space.enter("ip", "neigh", "replace", address, "lladdr", mac, "nud", "stale", "dev", interface))
    else:
        run(space.enter("ip", "neigh", "del", address, "dev", interface), check=False)
    return Changes(lambda: neighbours(space, interface).get(address))


def mac_of(space, interface="eth0"):
    return json.loads(run(space.enter("ip", "-j", "link", "show", "dev", interface)).stdout)[0]["address"]


def link_local(space, interface="eth0"):
    """The first one, as soon as it is known that nobody else has it."""
    def usable():
        entries = json.loads(run(space.enter("ip", "-6", "-j", "addr", "show", "dev", interface, "scope", "link")).stdout or "[]")
        return next((info["local"] for entry in entries for info in entry.get("addr_info", [])
                     if "local" in info and not info.get("tentative")), None)
    return wait_until(usable, 10, f"a link-local address at {interface} of {space.name}")


def port_of(host, space, interface="eth0"):
    """The name of the other end of a container's interface, in the host."""
    peer = json.loads(run(space.enter("ip", "-j", "link", "show", "dev", interface)).stdout)[0]["link_index"]
    return next(link["ifname"] for link in json.loads(host.run("ip", "-j", "link").stdout) if link["ifindex"] == peer)


@dataclasses.dataclass
class Attack:
    """sends: the arguments of the attack program, or a callable(attack) that does it in another way. observe: makes what counts
    what came through, anew for each try; its count(mark) is called a moment after the last packet, and then close()."""
    name: str
    source: object
    sends: object
    observe: object
    family: str = ""
    path: str = ""                # from where to where, for the table
    by: str = ""                  # the comments of the rules that must count it, a regular expression; "": any drop of ours
    sent: int = 3                 # drops to be counted at least
    kernel: str = ""              # why nothing arrives without Cofferdam either: what stops it
    undo: object = None           # called after each try
    mark: bytes = b""
    results: dict = dataclasses.field(default_factory=dict)

    def __post_init__(self):
        self.mark = f"cofferdam-redteam-{next(_marks):04}-".encode()

    def send(self):
        if callable(self.sends):
            self.sends(self)
        else:
            attack(self.source, *self.sends, f"mark={self.mark.decode()}")

    def counted(self):
        """The drops that count for it: {rule: packets}."""
        return {name: n for name, n in self.results["drops"].items() if not self.by or re.search(self.by, name)}


@dataclasses.dataclass
class Path:
    """A way from the attacker to a target, at which no policy lets it use PORT: name, the target's address, the MAC of the next
    hop, and what sees arrivals there, by protocol."""
    name: str
    family: str
    to: str
    dmac: str
    observe: object

    def arguments(self, source):
        return [f"from={source}", f"to={self.to}", f"dmac={self.dmac}"]


def forget_neighbours(space):
    run(space.enter("ip", "neigh", "flush", "all"), check=False)


def attack(source, *arguments):
    """Runs the attack program in a container's network namespace with a container's capabilities, or in a Namespace."""
    command = [ATTACK, *map(str, arguments)]
    if not hasattr(source, "sysctl"):
        kept = ",".join(["-all", *("+" + name for name in CAPABILITIES)])
        command = ["setpriv", "--bounding-set", kept, "--inh-caps=-all", "--", *command]
    return run(enter(source, *command)).stdout


class Redteam(Playground):
    """Mixed into a TestCase, which makes the attacks in attacks(); Playground's questions work as well."""

    POLICIES = POLICIES
    SETTLE = 0.04  # seconds from the last packet to the count
    SETTINGS = {}  # of cofferdamd
    ENGINE = Engine
    DOCKERD = ()   # further arguments
    TITLE = ""

    @classmethod
    def setUpClass(cls):
        super(Playground, cls).setUpClass()
        cls.engine = cls.ENGINE(dockerd=cls.DOCKERD, isolation=False)
        cls.addClassCleanup(cls.engine.stop)
        cls.engine.start()
        cls.prepare()
        cls.cofferdam = Cofferdam(cls.engine)
        cls.cofferdam.write(cls.POLICIES)
        cls.attempts = cls.attacks()
        cls._try_all("without")
        cls.engine.forget_connections()
        cls.cofferdam.start(**cls.SETTINGS)
        cls.between()
        cls._try_all("with")
        cls.afterwards()
        cls._print()

    @classmethod
    def prepare(cls):
        """Networks and containers."""
        for name, (ipv4, ipv6) in NETWORKS.items():
            cls.engine.network(name, ipv4, ipv6)
        started = cls.engine.run_all({name: cls.options(name) for name in MEMBERS})
        cls.attacker, cls.victim, cls.bystander, cls.other = (started[name] for name in MEMBERS)

    @staticmethod
    def options(name, **more):
        """Of Engine.create()."""
        return dict({"networks": [MEMBERS[name]], "labels": {"role": name}, "command": ["probe", "serve", "80/tcp", "53/udp"]}, **more)

    @classmethod
    def gateway_mac(cls, network):
        links = cls.engine.host.run("ip", "-j", "link", "show", cls.engine.bridge(network)).stdout
        return json.loads(links)[0]["address"]

    @classmethod
    def paths(cls, family):
        """From the attacker on one bridge, across two, to the host, to the outside."""
        gateway = cls.gateway_mac("front")
        host, lan = cls.engine.host, cls.engine.lan
        return [Path("attacker -> victim", family, cls.victim.address(family), cls.victim.mac("front"), lambda _: Wire(cls.victim)),
                Path("attacker -> other", family, cls.other.address(family), gateway, lambda _: Wire(cls.other)),
                Path("attacker -> host", family, GATEWAYS["front"][family], gateway, lambda protocol: Raw(host, family, protocol)),
                Path("attacker -> outside", family, OUTSIDE[family]["public"], gateway, lambda _: Wire(lan, "neighbour"))]

    @classmethod
    def attacks(cls):
        """A list of Attack."""
        raise NotImplementedError

    @classmethod
    def between(cls):
        """Called when Cofferdam has come, before the second try."""

    @classmethod
    def afterwards(cls):
        """Called after it."""

    # The two tries

    @classmethod
    def _try_all(cls, phase):
        after = None
        for attempt in cls.attempts:
            before = after or (cls.drops() if phase == "with" else None)
            observer = attempt.observe()
            try:
                attempt.send()
                time.sleep(cls.SETTLE)
                attempt.results[phase] = observer.count(attempt.mark)
            finally:
                observer.close()
                if attempt.undo:
                    attempt.undo()
            if phase == "with":
                after = cls.drops()
                attempt.results["drops"] = {name: n - before[name] for name, n in after.items() if n > before[name]}

    @classmethod
    def drops(cls):
        """Counter of packets by what drops them: the rule's comment, or its chain's name."""
        counts, chain = collections.Counter(), ""
        for line in cls.cofferdam.ruleset().splitlines():
            name = re.match(r"\s*chain (\S+) {", line)
            chain = name[1] if name else chain
            rule = re.search(r'counter packets (\d+) bytes \d+ (?:drop|goto deny_\w+)(?: comment "([^"]*)")?', line)
            if rule:
                counts[rule[2] or chain] += int(rule[1])
        return counts

    @classmethod
    def _print(cls):
        rows = [("attack", "family", "path", "without", "with", "dropped", "by")]
        for attempt in cls.attempts:
            counted = attempt.counted()
            rows.append((attempt.name, attempt.family, attempt.path, str(attempt.results["without"]) + ("*" if attempt.kernel else ""),
                         str(attempt.results["with"]), str(sum(counted.values())), "; ".join(counted)))
        widths = [max(map(len, column)) for column in zip(*rows)]
        print(f"\n{cls.TITLE or cls.__name__} (Docker {'.'.join(map(str, cls.engine.version))}, Linux {os.uname().release})")
        for row in rows:
            print("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())
        for reason in sorted({attempt.kernel for attempt in cls.attempts if attempt.kernel}):
            print(f"  * the kernel itself: {reason}")
        sys.stdout.flush()

    def test_attacks(self):
        self.assertTrue(self.attempts)
        for attempt in self.attempts:
            with self.subTest(attempt.name, family=attempt.family, path=attempt.path):
                if attempt.kernel:
                    self.assertEqual(attempt.results["without"], 0, "the kernel lets it pass")
                else:
                    self.assertGreater(attempt.results["without"], 0, "it does not work without Cofferdam, and proves nothing")
                self.assertEqual(attempt.results["with"], 0, f"got through; drops: {attempt.results['drops']}")
                if not attempt.kernel:
                    self.assertGreaterEqual(sum(attempt.counted().values()), attempt.sent,
                                            f"drops: {attempt.results['drops']}")

    def test_the_rules_still_stand(self):
        """After all of that the kernel holds what it should, and what is allowed works."""
        result = self.cofferdam("verify")
        self.assertEqual(result.returncode, 0, result.stdout)
        for space in (self.attacker, self.victim):
            forget_neighbours(space)
        self.assert_passes(self.attacker, self.victim, "80/tcp")
        self.assert_passes(self.victim, self.attacker, "80/tcp")
        self.assert_passes(self.victim, self.bystander, "53/udp")
        self.assert_dropped(self.attacker, self.bystander, "80/tcp")

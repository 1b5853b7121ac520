# SPDX-License-Identifier: GPL-2.0-or-later
"""An engine, two networks and a daemon, for tests that change things and look at single connections."""

import concurrent.futures
import dataclasses
import json
import subprocess

import naive
from cofferdam import Cofferdam, follows
from engine import PROBE, Engine
from machine import run, wait_until

SERVED = ["80/tcp", "5432/tcp", "53/udp"]
ROLES = """
policy: web
select: {labels: {role: web}}
ingress: [{from: [host], ports: [80/tcp]}]
egress: [{to: [{labels: {role: db}}], ports: [5432/tcp, 53/udp, icmp]}]
---
policy: db
select: {labels: {role: db}}
ingress: [{from: [{labels: {role: web}}], ports: [5432/tcp, 53/udp, icmp]}]
"""
NOTHING = "policy: nothing\nselect: {all: true}\n"
OPEN = "policy: open\nselect: {all: true}\ningress: [{}]\negress: [{}]\n"


@dataclasses.dataclass
class Question:
    """One connection to try. source: Container or Namespace; target: Container or address; port as in a policy."""
    source: object
    target: object
    port: str
    family: str = "ipv4"
    network: str = None
    bind: str = ""

    def line(self, number):
        address = self.target
        if not isinstance(address, str):
            addresses = self.target.addresses(self.family)
            address = addresses[self.network] if self.network else next(iter(addresses.values()))
        digits, _, proto = self.port.rpartition("/")
        return f"{number} {proto} {address} {digits or 0} {self.bind}\n"

    def __str__(self):
        target = self.target if isinstance(self.target, str) else self.target.name
        return f"{self.source.name} -> {target} {self.port} {self.family}"


class Playground:
    """Mixed into a TestCase: front and back, both with IPv4 and IPv6; what a test starts goes when it ends."""

    POLICIES = ROLES
    START = True

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.engine = Engine(isolation=False)
        cls.addClassCleanup(cls.engine.stop)
        cls.engine.start()
        cls.engine.network("front", "10.91.0.0/16", "fd91::/64")
        cls.engine.network("back", "10.92.0.0/24", "fd92::/64")
        for space in (cls.engine.host, cls.engine.lan):
            server = cls.engine.spawn("serve-" + space.name, space.enter(PROBE, "serve", "--verbose", *SERVED, "4000/udp"))
            wait_until(lambda server=server: "serving" in server.output(), 5, "the echo")
        cls.cofferdam = Cofferdam(cls.engine)
        cls.cofferdam.write(cls.POLICIES)
        if cls.START:
            cls.cofferdam.start()

    def run_container(self, name, role=None, networks=("front",), **options):
        """Starts an echoing container that is removed after the test; with the host's network it has no ports, which are the
        host's."""
        labels = dict({"role": role} if role else {}, **options.pop("labels", {}))
        served = [] if options.get("mode") == "host" else SERVED
        container = self.engine.create(name, networks, labels=labels, command=["probe", "serve", *served], **options)
        self.addCleanup(self._remove, container)
        return container.start()

    def run_containers(self, **roles):
        """Starts several at a time, each on front: name=role. Returns them in the same order."""
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            return list(pool.map(self.run_container, roles, roles.values()))

    def _remove(self, container):
        if container.id in self.engine.containers:
            container.remove()

    def ask(self, source, target, port="5432/tcp", family="ipv4", network=None, bind="", timeout=700):
        """What becomes of one connection. source: container or Namespace; target: container or address; port as in a
        policy."""
        return self.ask_all([Question(source, target, port, family, network, bind)], timeout)[0]

    @staticmethod
    def ask_all(questions, timeout=700):
        """What becomes of each, all tried at the same time."""
        groups = {}
        for question in questions:
            groups.setdefault(id(question.source), []).append(question)

        def ask_from(group):
            lines = "".join(question.line(number) for number, question in enumerate(group))
            output = run(group[0].source.enter(PROBE, "ask", str(timeout)), stdin=lines).stdout
            return {id(group[int(answer["id"])]): answer["result"] for answer in map(json.loads, output.splitlines())}

        results = {}
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            for part in pool.map(ask_from, groups.values()):
                results.update(part)
        return [results[id(question)] for question in questions]

    def assert_results(self, want, questions, timeout=700):
        for question, result in zip(questions, self.ask_all(questions, timeout)):
            self.assertEqual(result, want, str(question))

    def assert_passes(self, source, target, port="5432/tcp", families=("ipv4", "ipv6"), **options):
        self.assert_results("connected", [Question(source, target, port, family, **options) for family in families], 3000)

    def assert_dropped(self, source, target, port="5432/tcp", families=("ipv4", "ipv6"), **options):
        self.assert_results("timeout", [Question(source, target, port, family, **options) for family in families])

    def follow(self, source, target, port="5432/tcp", families=("ipv4", "ipv6"), passes=True, **options):
        """Waits at most the two seconds within which a change must be followed."""
        want = ["connected" if passes else "timeout"] * len(families)
        questions = [Question(source, target, port, family, **options) for family in families]
        follows(lambda: self.ask_all(questions, timeout=250) == want,
                f"{', '.join(map(str, questions))} to {'pass' if passes else 'be dropped'}")

    def assert_cut_off(self, container, *others):
        """Nothing in, nothing out: containers, host, outside."""
        outside = {"ipv4": ["198.41.0.4", "10.91.0.1"], "ipv6": ["2a00:1450:4001:800::200e", "fd91::1"]}
        questions = []
        for family in ("ipv4", "ipv6"):
            for port in ("80/tcp", "5432/tcp", "53/udp", "icmp"):
                questions += [Question(source, container, port, family)
                              for source in (self.engine.host, self.engine.lan, *others)]
                questions += [Question(container, target, port, family) for target in (*outside[family], *others)]
        self.assert_results("timeout", questions)

    def policies(self):
        return naive.Policies.of_directory(self.cofferdam.policies)


class Talk:
    """One connection that stays open."""

    def __init__(self, source, proto, address, port):
        self.command = source.enter(PROBE, "talk", proto, address, str(port))
        self.process = None

    def _connect(self):
        # pylint: disable-next=consider-using-with
        self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if self.process.stdout.readline().strip() == "connected":
            return True
        self.__exit__()
        return False

    def __enter__(self):
        # A container that has just begun may not listen yet.
        wait_until(self._connect, 5, "a connection", gap=0.1)
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.kill()
        self.process.wait()

    def say(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

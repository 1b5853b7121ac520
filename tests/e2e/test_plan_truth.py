#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The connections that `cofferdam plan` says change are those that change: for the tests' own evaluator of the language,
every one of them, and for packets, as many as there is time for. The same set written otherwise is no change.

COFFERDAM_ROUNDS: how many sets are applied to each of the random worlds (4); COFFERDAM_SEED: of all dice (chosen anew)."""

import collections
import ipaddress
import os
import random
import re
import unittest

import author
import naive
from author import Author
from cofferdam import Cofferdam
from engine import OUTSIDE, UPLINK, Engine
from forecast import Forecast, party_key
from machine import wait_until
from naive import Endpoint, Host, Outside, Port
from table import AT_LEISURE, FAMILIES, World
from test_plan import rule_lines
from truth import SERVE_COMMAND

ROUNDS = int(os.environ.get("COFFERDAM_ROUNDS", "4"))
SEED = int(os.environ.get("COFFERDAM_SEED", random.SystemRandom().randrange(10**6)))
CHANGED, UNCHANGED = 900, 500  # cells probed at most, of those that change and of those that do not
SHOWN = 15

# Addresses at the bounds of what words and blocks mean, beside those of the engine's outside.
FAR = """
    1.0.0.0 9.255.255.255 10.0.0.0 10.76.255.255 10.77.0.0 10.77.0.31 10.77.0.32 10.77.0.47 10.77.0.48 10.77.98.255
    10.77.99.255 10.78.0.0 10.94.0.1 100.64.0.1 128.0.0.0 169.254.169.253 172.16.0.1 192.0.0.9 192.0.0.11 198.0.0.0
    198.18.0.1 198.96.255.255 199.0.0.0 223.255.255.255 224.0.0.1 240.0.0.1 1fff::1 2000:: 2001:1::1 2001:1::9
    2001:4:112:: 2002::1 29ff:ffff:: 2a00:: 2a00:1450:: 2a0f:ffff:: 2a10:: 3fff:fff:: 4000:: 64:ff9b::1 fd76::1
    fd77:: fd77:0:0:99:: fd77:0:1:: fe00::1 ff02::1
""".split()
TYPES = {"ipv4": ["echo-request", "timestamp-request", "time-exceeded", "unnamed"],
         "ipv6": ["echo-request", "time-exceeded", "mld-listener-query", "unnamed"]}
RESOLVERS = "/etc/resolv.conf"


def host_servers():
    """Those that containers are given where they have none of their own."""
    with open(RESOLVERS, encoding="utf-8") as file:
        servers = [line.split()[1] for line in file if re.match(r"nameserver\s+[0-9a-fA-F:.]+$", line)]
    return [server for server in servers if not ipaddress.ip_address(server).is_loopback]


class Quick(naive.Policies):
    """Asks each question once."""

    def __init__(self, documents, **options):
        super().__init__([], **options)
        self.policies = documents
        self.known, self.selected = {}, {}

    def selecting(self, endpoint):
        key = endpoint.name, endpoint.network
        if key not in self.selected:
            self.selected[key] = super().selecting(endpoint)
        return self.selected[key]

    def grants(self, direction, subject, party, port):
        key = direction, subject.name, subject.network, party_key(party), port
        if key not in self.known:
            self.known[key] = super().grants(direction, subject, party, port)
        return self.known[key]


def meaning(policy):
    """Equal for policies that say the same in whatever order."""
    def ordered(value):
        if isinstance(value, dict):
            return {key: ordered(entry) for key, entry in sorted(value.items()) if entry != []}
        return sorted(map(ordered, value), key=repr) if isinstance(value, list) else value

    return ordered(policy)


class Truth:
    """Mixed into a TestCase: a random world."""

    WORLD = 0
    DEFAULT_MODE = "enforce"
    ISOLATION = False  # Docker's, of its bridges from each other
    UNMANAGED = ()  # networks

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        print(f"COFFERDAM_SEED={SEED}", flush=True)
        cls.dice = random.Random(f"{SEED} {cls.WORLD}")
        cls.author = Author(cls.dice)
        cls.engine = Engine(isolation=cls.ISOLATION)
        cls.addClassCleanup(cls.engine.stop)
        cls.engine.start()
        cls.engine.image("fake/db:latest", author.IMAGE_LABELS)
        for name, subnets in author.NETWORKS.items():
            cls.engine.network(name, *subnets)
        wanted = author.containers(cls.dice)
        started = cls.engine.run_all({name: dict(options, command=SERVE_COMMAND) for name, options in wanted.items()})
        cls._others(started)
        published = [(*port, name) for name, options in wanted.items() for port in options.get("publish", ())]
        cls.world = World(cls.engine, started, published, cls.UNMANAGED).refresh(host_dns=host_servers()).serve()
        cls.world.measure_baseline(all_connected=False)
        cls.firewall = cls.engine.firewall()
        cls.cofferdam = Cofferdam(cls.engine).start(default_mode=cls.DEFAULT_MODE, networks={"unmanaged": list(cls.UNMANAGED)})

    @classmethod
    def _others(cls, started):
        """Those that have no say: one that does not run, one with the host's network, and one with another's."""
        cls.engine.create("stopped", ["front"], labels={"role": "web"})
        cls.engine.create("on-host", [], mode="host", labels={"role": "db"}, command=["probe", "serve"]).start()
        other = next(iter(started.values()))
        cls.engine.create("joined", [], mode=f"container:{other.id}", labels={"role": "web"}, command=["probe", "serve"]).start()

    # Parties and ports

    def parties(self, family):
        """Who can be an end of a connection of this family."""
        version = 4 if family == "ipv4" else 6
        endpoints = [endpoint.at(address) for address, endpoint in self.world.by_address.items()
                     if ipaddress.ip_address(address).version == version]
        hosts = [Host(address) for address in self.world.host_addresses
                 if ipaddress.ip_address(address).version == version and not ipaddress.ip_address(address).is_loopback]
        servers = {server for endpoint in endpoints for server in endpoint.dns}
        outside = {ipaddress.ip_address(address) for address in FAR} | set(map(ipaddress.ip_address, OUTSIDE[family].values()))
        outside |= servers | {ipaddress.ip_address(address) for name in self.world.containers
                              for network, address in self.world.endpoints(name, family).items() if network in self.UNMANAGED}
        outside -= {party.address for party in endpoints + hosts}
        nobodys = [ipaddress.ip_network(subnet) for name, subnets in author.NETWORKS.items()
                   for subnet in subnets if subnet and name not in self.UNMANAGED]
        outside = sorted((address for address in outside if address.version == version
                          and not any(address in subnet for subnet in nobodys)), key=int)
        return endpoints + hosts + [Outside(address) for address in self.dice.sample(outside, min(24, len(outside)))]

    def ports(self, family, documents):
        """Those at which rules begin or end, and some more."""
        specs = {str(spec) for document in documents for direction in ("ingress", "egress")
                 for rule in document.get(direction) or [] for spec in rule.get("ports", [])}
        found = set()
        for proto, always in (("tcp", {80, 53, 5432}), ("udp", {53, 443}), ("sctp", {5432, 53})):
            bounds = {int(number) + step for spec in specs if spec.endswith("/" + proto)
                      for number in spec.split("/")[0].split("-") for step in (-1, 0, 1)}
            bounds = sorted(number for number in bounds | {1, 65535} if 0 < number < 65536)
            found |= {Port(proto, number) for number in always | set(self.dice.sample(bounds, min(len(bounds), 8)))}
        found |= {Port("icmp", type=name) for name in TYPES[family]}
        return sorted(found | {Port("gre")}, key=repr)

    # What the evaluator says

    def differences(self, old, new, forecast, documents):
        """Every connection of which the plan does not say what the evaluator says; and how many change."""
        wrong, changing = [], 0
        for family in FAMILIES:
            parties, ports = self.parties(family), self.ports(family, documents)
            for source in parties:
                for destination in parties:
                    if not self.is_asked(source, destination):
                        continue
                    for port in ports:
                        want = self.change(old, new, source, destination, port)
                        got = forecast.changes(source, destination, port, family)
                        changing += len(want)
                        if want != got:
                            wrong.append(f"{source} -> {destination} {port} {family}: is {want}, said {got}")
        return wrong, changing

    @staticmethod
    def is_asked(source, destination):
        ends = [party for party in (source, destination) if isinstance(party, Endpoint)]
        return len(ends) == 1 or (len(ends) == 2 and ends[0].name != ends[1].name)

    @staticmethod
    def change(old, new, source, destination, port):
        before, after = (policies.verdict(source, destination, port) == "allowed" for policies in (old, new))
        return [] if before == after else ["allowed" if after else "denied"]

    # What packets say

    def sample(self, old, new, forecast):
        """Cells whose hops the plan says change, and some that do not: {cell: will it be connected}"""
        before, after = {}, {}
        for cell, answer in self.world.baseline.items():
            if answer.result != "connected":
                continue
            hops = self.world.hops(cell)
            was = [old.verdict(*hop) == "allowed" for hop in hops]
            turned = [bool(forecast.changes(*hop, cell.family)) for hop in hops]
            before[cell], after[cell] = all(was), all(x != y for x, y in zip(was, turned))
        cells = list(before)
        self.dice.shuffle(cells)
        changed = [cell for cell in cells if before[cell] != after[cell]][:CHANGED]
        same = [cell for cell in cells if before[cell] == after[cell]][:UNCHANGED]
        return [{cell: which[cell] for cell in changed + same} for which in (before, after)], len(changed)

    def probe(self, expected, policies):
        """The cells that do something else."""
        self.engine.forget_connections()
        answers = self.world.ask(expected)
        slow = [cell for cell, connected in expected.items()
                if answers[cell].result in ("timeout", "silent")
                and (connected or answers[cell].result not in self.world.expected(cell, policies))]
        for start in range(0, len(slow), AT_LEISURE):
            answers.update(self.world.ask(slow[start:start + AT_LEISURE], 3000))
        return [f"{cell}: {answers[cell].result}, but it was to be {'connected' if connected else 'refused or dropped'}"
                for cell, connected in expected.items()
                if (answers[cell].result == "connected") != connected
                or answers[cell].result not in self.world.expected(cell, policies)]

    # The test

    def put(self, name, files):
        folder = self.engine.path(name)
        os.makedirs(folder, exist_ok=True)
        for old in os.listdir(folder):
            os.unlink(os.path.join(folder, old))
        for file, text in files.items():
            with open(os.path.join(folder, file), "w", encoding="utf-8") as output:
                output.write(text)
        return folder

    def plan(self, folder, what):
        document = self.cofferdam.json("plan", "--policies", folder)
        self.assertIsNotNone(document, what)
        self.assertIn("connections", document, f"{what}: {document}")
        return document

    def assert_none(self, wrong, what):
        if wrong:
            self.fail(f"{what}: {len(wrong)} are wrong:\n" + "\n".join(wrong[:SHOWN]))

    def assert_empty(self, what, *options):
        """The plan changes nothing, and says so."""
        result = self.cofferdam("plan", *options)
        self.assertEqual(result.returncode, 0, f"{what}: {result.stdout}{result.stderr}")
        self.assertRegex(result.stdout, r"\ANo changes\.", what)
        document = self.cofferdam.json("plan", *options)
        self.assertIs(document["changes"], False, what)
        self.assertEqual((document["policies"], document["connections"], document["rules"]["lines"],
                          document["live_connections"]["cut"]), ([], [], [], []), what)

    def assert_causes(self, document, files, what):
        """Each line names rules or policies that are where it says."""
        for connection in document["connections"]:
            self.assertTrue(connection["causes"], what)
            for cause in connection["causes"]:
                if cause["reason"] == "default-mode":
                    continue
                texts = files[cause["set"]]
                name = os.path.basename(cause["file"])
                self.assertIn(name, texts, what)
                lines = texts[name].splitlines()
                self.assertTrue(0 < cause["line"] <= len(lines), what)
                self.assertIn(cause["policy"], texts[name], what)

    def assert_blocked(self, forecast, what):
        """What Docker itself lets nobody do between containers is said to be so, and nothing else."""
        for cell, answer in self.world.baseline.items():
            if cell.inner or cell.source not in self.world.containers or cell.target not in self.world.containers:
                continue
            ends = self.world.party(answer.source), self.world.party(cell.address)
            for line in forecast.about(*ends, cell.port, cell.family):
                self.assertEqual(line.connection["docker_blocks"], answer.result != "connected", f"{what}: {cell}: {line}")

    def assert_policies(self, document, old_documents, new_documents, what):
        old, new = ({policy["policy"]: meaning(policy) for policy in documents} for documents in (old_documents, new_documents))
        want = {name: "added" if name not in old else "removed" if name not in new else "changed"
                for name in old | new if old.get(name) != new.get(name)}
        self.assertEqual({policy["name"]: policy["change"] for policy in document["policies"]}, want, what)

    def assert_rules(self, document, before, what):
        """The rules of the plan are those that have come and gone."""
        want = rule_lines(self.cofferdam.ruleset())
        want.subtract(before)
        said = collections.Counter()
        for line in document["rules"]["lines"]:
            if line["kind"] == "rule":
                said[line["text"]] += 1 if line["change"] == "+" else -1
        self.assertEqual({line: n for line, n in said.items() if n}, {line: n for line, n in want.items() if n}, what)

    def turn(self, number, old_documents):
        new_documents = self.author.revise(old_documents)
        what = f"COFFERDAM_SEED={SEED} world {self.WORLD} set {number}"
        old, new = (Quick(documents, default_mode=self.DEFAULT_MODE) for documents in (old_documents, new_documents))
        files = self.author.files(new_documents)
        document = self.plan(self.put("planned", files), what)
        forecast = Forecast(document)
        wrong, changing = self.differences(old, new, forecast, old_documents + new_documents)
        self.assert_none(wrong, f"{what}: of {changing} connections that change")
        self.assert_causes(document, {"old": self.files, "new": files}, what)
        self.assert_policies(document, old_documents, new_documents, what)
        if self.ISOLATION:
            self.assert_blocked(forecast, what)
        (before, after), n_changed = self.sample(old, new, forecast)
        self.assert_none(self.probe(before, old), f"{what}: packets before apply")
        rules = rule_lines(self.cofferdam.ruleset())
        self.cofferdam.apply(files)
        self.assert_rules(document, rules, what)
        self.files = files
        self.assert_none(self.probe(after, new), f"{what}: packets after apply")
        self.assert_empty(f"{what}: after apply")
        shuffled = self.put("shuffled", self.author.files(self.author.shuffle(new_documents)))
        self.assert_empty(f"{what}: shuffled", "--policies", shuffled)
        print(f"{what}: {len(forecast.lines)} lines, {changing} connections change; packets: {n_changed} that change, "
              f"{len(after) - n_changed} that do not", flush=True)
        return new_documents

    def test_what_changes(self):
        documents = self.author.write()
        self.files = self.author.files(documents)
        self.cofferdam.apply(self.files)
        self.assert_empty("the first")
        for number in range(ROUNDS):
            documents = self.turn(number, documents)
        self.assertEqual(self.engine.firewall(), self.firewall)


class AWorld(Truth, unittest.TestCase):
    WORLD = 1


class AnotherWorld(Truth, unittest.TestCase):
    """Where containers that no policy selects pass, and one network is left alone."""

    WORLD = 2
    DEFAULT_MODE = "audit"
    UNMANAGED = ("free",)


class IsolatedWorld(Truth, unittest.TestCase):
    """As Docker has it."""

    WORLD = 3
    ISOLATION = True


if __name__ == "__main__":
    unittest.main()

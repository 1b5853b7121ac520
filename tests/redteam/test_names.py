#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Names and labels that strangers choose: of bridges, networks, containers and images. They get nothing by them, and nothing
that reads them (the kernel, nft, a terminal, a reader of JSON or of the log) is led astray."""

import concurrent.futures
import json
import re
import unittest

from redteam import run
from cofferdam import follows
from machine import Failure, Namespace
from playground import Playground, Question

TEXTS = {
    "nft": '"; flush ruleset; "',
    "nft comment": '" accept comment "',
    "line": "x\nerror: forged by a label\npolicy: evil",
    "terminal": "\x1b[2J\x1b]0;title\x07\x9b31m",
    "direction": "\u202egpj.exe\u2066\u200b",
    "path": "../../../../etc/passwd",
    "json": '"}],"containers":[{"id":"',
    "shell": "$(reboot)`reboot`;reboot|%s%n%x\\",
    "glob": "[!a]*?",
    "nul": "nul\0nul",
    "long": "A" * 4096,
}
TRICKS = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]")
SAME = """
policy: same
select: {all: true}
ingress: [{from: [{same: evil}], ports: [5432/tcp]}]
egress: [{to: [{same: evil}], ports: [5432/tcp]}]
"""


class Names(Playground):
    """Mixed into a TestCase."""

    def tearDown(self):
        self.assertTrue(self.cofferdam.process.alive, self.cofferdam.log()[-3000:])
        super().tearDown()

    def assert_all_is_told(self, *names):
        """Whatever tells something tells it in plain characters, and what is meant for programs can be read by them."""
        for arguments in (["status"], ["verify"], *(["explain", name, names[-1], "5432/tcp"] for name in names)):
            answer = self.cofferdam(*arguments)
            self.assertIn(answer.returncode, (0, 3), f"{arguments}: {answer.stdout}{answer.stderr}")
            self.assertIsNone(TRICKS.search(answer.stdout + answer.stderr), arguments)
            self.assertIsNotNone(self.cofferdam.json(*arguments), arguments)
        self.assertEqual(self.cofferdam("verify").returncode, 0, self.cofferdam("verify").stdout)
        self.assertIsNone(TRICKS.search(self.cofferdam.log()))
        self.assertIsNone(re.search(r"(?m)^error: forged", self.cofferdam.log()), self.cofferdam.log()[-3000:])
        self.assert_the_listing_loads()

    def assert_the_listing_loads(self):
        """What nft lists, it loads: somewhere else, where nobody owns tables of these names."""
        listing = self.cofferdam.ruleset(metered=True)
        self.assertIsNone(TRICKS.search(listing.replace("\t", " ")))
        space = Namespace(self.engine.name + "-lan2")
        try:
            space.run("nft", "-c", "-f", "-", stdin=listing)
        finally:
            run(["ip", "netns", "delete", space.name])
        json.loads(self.engine.host.run("nft", "-j", "list", "ruleset").stdout)


class Labels(Names, unittest.TestCase):
    POLICIES = SAME

    def setUp(self):
        self.cofferdam.apply(SAME)

    def test_values(self):
        """The same value is the same, whatever it holds, and another one is another."""
        pairs = {}
        for number, (word, text) in enumerate(TEXTS.items()):
            pairs[word] = [self.run_container(f"evil-{number}-{end}", labels={"evil": text}) for end in "ab"]
        self.cofferdam.settle()
        words = list(pairs)
        follows(lambda: self.ask_all([Question(*pair, "5432/tcp") for pair in pairs.values()], 300) == ["connected"] * len(pairs),
                "those of the same value to reach each other", 4)
        others = [Question(pairs[word][0], pairs[words[number - 1]][1], "5432/tcp", family)
                  for number, word in enumerate(words) for family in ("ipv4", "ipv6")]
        self.assert_results("timeout", others)
        self.assert_all_is_told(*(pair[0].name for pair in pairs.values()))
        known = {entry["name"]: entry["labels"] for entry in self.cofferdam.json("status")["inventory"]["containers"]}
        for word, pair in pairs.items():
            self.assertEqual(known[pair[0].name], {"evil": TEXTS[word].replace("\0", "\ufffd")})

    def test_values_that_policies_name(self):
        words = ("nft", "nft comment", "path")  # globs that are none to the parser are refused, as in its own tests
        policies = "".join(f"---\npolicy: p-{number}\nselect: {{labels: {{evil: {json.dumps(text)}}}}}\n"
                           f"ingress: [{{from: [{{labels: {{evil: {json.dumps(text)}}}}}], ports: [80/tcp]}}]\n"
                           f"egress: [{{to: [{{labels: {{evil: {json.dumps(text)}}}}}], ports: [80/tcp]}}]\n"
                           for number, text in enumerate(TEXTS[word] for word in words))
        self.cofferdam.apply(SAME + policies)
        pairs = []
        for word in words:
            number = len(pairs)
            pairs.append([self.run_container(f"named-{number}-{end}", labels={"evil": TEXTS[word]}) for end in "ab"])
        for pair in pairs:
            self.follow(*pair, "80/tcp")
        self.assert_dropped(pairs[0][0], pairs[1][1], "80/tcp")
        self.assert_all_is_told(pairs[0][0].name, pairs[1][0].name)

    def test_keys(self):
        keys = {text: "x" for text in TEXTS.values()}
        evil = self.run_container("keys", labels=dict(keys, evil="keys"))
        twin = self.run_container("twin", labels={"evil": "keys"})
        self.follow(evil, twin)
        self.assert_all_is_told("keys", "twin")

    def test_a_thousand(self):
        many = self.run_container("many", labels=dict({f"label-{number}": "x" * 100 for number in range(1000)}, evil="many"))
        twin = self.run_container("twin", labels={"evil": "many"})
        self.follow(many, twin)
        self.assert_dropped(many, twin, "80/tcp")
        self.assert_all_is_told("many", "twin")

    def test_a_container_of_the_longest_name(self):
        for length in (4096, 1024, 255, 128):
            name = "n" * length
            try:
                long = self.run_container(name, labels={"evil": "name"})
                break
            except Failure:
                continue
        twin = self.run_container("twin", labels={"evil": "name"})
        self.follow(long, twin)
        self.assert_all_is_told(name, "twin")
        self.assertIn(name, self.cofferdam("status").stdout)

    def test_names_of_containers(self):
        """Docker takes letters, digits, '_', '.' and '-'. Among those are names that mean something else to others."""
        names = ["host", "dns", "any", "internet", "10.91.0.1", "fd91", "0", "inet", "drop", "..", "a--b", "1.2.3.4"]
        made = []
        for name in names:
            try:
                made.append(self.run_container(name, labels={"evil": "names"}))
            except Failure:
                self.assertIn(name, ("..", "0"))  # not names to Docker either
        for container in made[1:]:
            self.follow(made[0], container, families=["ipv4"])
        self.assert_dropped(made[0], made[1], "80/tcp")
        # To explain, a word is a container's name only where it is nothing else: nobody answers for others by taking their name.
        for word, kind in (("host", "host"), ("1.2.3.4", "outside"), ("any", "container")):
            answer = self.cofferdam.json("explain", made[2].id, word, "5432/tcp")
            self.assertEqual(answer["to"]["kind"], kind, answer)
        self.assert_all_is_told("a--b")

    def test_policies_cannot_name_such_things(self):
        for text in TEXTS.values():
            quoted = json.dumps(text)
            for policy in (f"policy: {quoted}\nselect: {{all: true}}\n",
                           f"policy: p\nselect: {{all: true}}\negress: [{{name: {quoted}, to: [any]}}]\n"):
                self.cofferdam.write(policy)
                answer = self.cofferdam("check", self.cofferdam.policies)
                self.assertEqual(answer.returncode, 1, policy)
                self.assertIsNone(TRICKS.search(answer.stdout + answer.stderr), policy)
                self.assertEqual(self.cofferdam("apply").returncode, 1, policy)
        self.assertEqual(self.cofferdam("verify").returncode, 0)
        self.assertIsNone(TRICKS.search(self.cofferdam.log()))


class Networks(Names, unittest.TestCase):
    def setUp(self):
        self.cofferdam.apply("policy: net\nselect: {all: true}\ningress: [{from: [{all: true}], ports: [5432/tcp]}]\n"
                             "egress: [{to: [{all: true}], ports: [5432/tcp]}]\n")

    def make(self, name, number, **options):
        identifier = self.engine.network(name, f"10.120.{number}.0/24", f"fd20:{number}::/64", **options)
        self.addCleanup(lambda: self.engine.api("DELETE", f"/networks/{identifier}"))
        return identifier

    def assert_work(self, networks):
        """networks: {number: network}. On each, two containers have what the policies grant, and no more."""
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            places = [(f"on-{number}-{end}", network) for number, network in networks.items() for end in "ab"]
            made = list(pool.map(lambda place: self.run_container(place[0], networks=[place[1]]), places))
        pairs = list(zip(made[::2], made[1::2]))
        both = [(pair, family) for pair in pairs for family in ("ipv4", "ipv6")]
        follows(lambda: self.ask_all([Question(*pair, "5432/tcp", family) for pair, family in both], 300) == ["connected"] * len(both),
                "what is granted on all of them", 4)
        self.assert_results("timeout", [Question(*pair, "80/tcp", family) for pair, family in both]
                            + [Question(self.engine.host, pair[0], "5432/tcp", family) for pair, family in both])

    def test_names(self):
        made = {}
        for number, text in enumerate(TEXTS.values()):
            try:
                made[number] = self.make(text, number)
            except Failure:
                continue
        if 0 not in made:
            self.skipTest("this Engine takes no such names")
        self.assert_work(made)
        self.assert_all_is_told(*(f"on-{number}-a" for number in made))
        self.cofferdam.apply('policy: net\nselect: {network: "*flush ruleset*"}\ningress: [{}]\negress: [{}]\n')
        self.assert_all_is_told("on-0-a")

    def test_names_of_bridges(self):
        """Such as look like something else, with the most characters that there can be."""
        names = ["lo0", "any", "drop", "inet", "0", "-x", "fifteen-letters", "docker1", "veth1234567", "a'b", "a;b", "@set", "$var",
                 "{", "a#b", "!x"]
        for number, name in enumerate(names):
            self.make(f"net-{number}", number, Options={"com.docker.network.bridge.name": name})
        self.assert_work({number: f"net-{number}" for number in range(len(names))})
        self.assert_all_is_told("on-0-a")
        known = {network["name"]: network["bridge"] for network in self.cofferdam.json("status")["networks"]}
        self.assertEqual([known[f"net-{number}"] for number in range(len(names))], names)

    def test_names_of_bridges_that_nft_reads_as_others(self):
        """nft lists them as a pattern, and would not load that; in the kernel, they are one bridge's name."""
        for number, name in ((70, "br-*"), (71, "*")):
            self.make(f"net-{number}", number, Options={"com.docker.network.bridge.name": name})
        self.assert_work({70: "net-70", 71: "net-71"})
        self.assertEqual(self.cofferdam("verify").returncode, 0)
        # A bridge of nobody's that the pattern would be for.
        host = self.engine.host
        for command in ("link add br-nobody type bridge", "address add 10.130.0.1/24 dev br-nobody", "link set br-nobody up"):
            host.run("ip", *command.split())
        self.addCleanup(lambda: host.run("ip", "link", "delete", "br-nobody"))
        peer = Namespace(self.engine.name + "-lan3")
        try:
            host.run("ip", "link", "add", "nobody0", "master", "br-nobody", "type", "veth", "peer", "name", "eth0", "netns", peer.name)
            host.run("ip", "link", "set", "nobody0", "up")
            peer.batch(["address add 10.130.0.2/24 dev eth0", "link set eth0 up", "route add default via 10.130.0.1"])
            self.assertEqual(self.ask(peer, "203.0.113.2", "80/tcp", timeout=3000), "connected")
        finally:
            run(["ip", "netns", "delete", peer.name])

    def test_no_names_of_bridges(self):
        for name in ("sixteen-letters-", "all", "a b", "a/b", "a\nb"):  # to the Engine or the kernel
            with self.assertRaises(Failure, msg=name):
                self.make("long", 80, Options={"com.docker.network.bridge.name": name})
        self.assertEqual(self.cofferdam("status").returncode, 0)


class Images(Names, unittest.TestCase):
    """An image's author writes labels too: they choose no policy."""

    POLICIES = """
policy: web
select: {labels: {cofferdam.role: web}}
ingress: [{from: [host], ports: [80/tcp]}]
---
policy: shop
select: {compose: shop}
ingress: [{from: [host], ports: [5432/tcp]}]
"""
    LABELS = {"cofferdam.role": "web", "com.docker.compose.project": "shop", "com.docker.compose.service": "api"}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.engine.image("evil:1", cls.LABELS)

    def test_what_an_image_says_does_not_count(self):
        evil = self.run_container("evil", image="evil:1")
        repeated = self.run_container("repeated", image="evil:1", labels=self.LABELS)  # which Docker does not tell apart
        own = self.run_container("own", labels=self.LABELS)
        other = self.run_container("other", image="evil:1", labels={"cofferdam.role": "db"})
        self.cofferdam.settle()
        for port in ("80/tcp", "5432/tcp"):
            self.follow(self.engine.host, own, port)
            for container in (evil, repeated, other):
                self.assert_dropped(self.engine.host, container, port)
        status = self.cofferdam.json("status")
        of = {entry["name"]: entry for entry in status["containers"]}
        for name, ignored in (("evil", self.LABELS), ("repeated", self.LABELS), ("own", ()),
                              ("other", [key for key in self.LABELS if "compose" in key])):
            self.assertEqual(sorted(of[name]["ignored_labels"]), sorted(ignored), name)
        self.assertEqual(of["evil"]["policies"], [])
        notes = self.cofferdam("status").stdout.partition("\nNotes\n")[2]
        self.assertIn("evil: labels that only repeat the image's do not count: cofferdam.role, com.docker.compose.project", notes)
        self.cofferdam.restart(image_labels="trust")  # the counterpart: they would have counted
        for container in (evil, repeated):
            self.follow(self.engine.host, container, "80/tcp")
            self.follow(self.engine.host, container, "5432/tcp")
        self.assert_dropped(self.engine.host, other, "80/tcp")
        self.assertEqual({entry["name"]: entry["ignored_labels"] for entry in self.cofferdam.json("status")["containers"]},
                         {name: [] for name in of})
        self.cofferdam.restart()
        self.follow(self.engine.host, evil, "80/tcp", passes=False)

    def test_a_label_that_another_image_has(self):
        """A tag that moves: the label is compared with the image that the container was made of."""
        self.engine.image("moving:1", {"cofferdam.role": "web"})
        first = self.run_container("first", image="moving:1")
        self.engine.image("moving:1", {"cofferdam.role": "db"})
        second = self.run_container("second", image="moving:1", labels={"cofferdam.role": "web"})
        self.follow(self.engine.host, second, "80/tcp")
        self.assert_dropped(self.engine.host, first, "80/tcp")
        self.cofferdam.restart()
        self.assert_passes(self.engine.host, second, "80/tcp")
        self.assert_dropped(self.engine.host, first, "80/tcp")


if __name__ == "__main__":
    unittest.main()

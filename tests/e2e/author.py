# SPDX-License-Identifier: GPL-2.0-or-later
"""Random containers, and random policies about them in every word of the language, from a seed."""

import copy
import json

import yaml

PROJECT, SERVICE = "com.docker.compose.project", "com.docker.compose.service"
IMAGE_LABELS = {"role": "db", PROJECT: "shop", SERVICE: "db"}
NETWORKS = {"front": ("10.91.0.0/16", "fd91::/64"), "back": ("10.92.0.0/24", "fd92::/64"), "side": ("10.93.0.0/24", None),
            "free": ("10.94.0.0/24", "fd94::/64")}
NAMES = ["web-1", "web-2", "db", "cache-1", "blog-app", "lone", "ab", "gw"]
SERVERS = [[], [], ["10.77.0.10"], ["10.77.0.10", "fd77::10"], ["10.91.0.1"], ["10.91.1.10", "fd91::10"], ["198.41.0.4"]]

NAME_GLOBS = ["web-*", "*b*", "[a-c]*", "??", "cache-[0-9]", "*", "[!w]*", "lone", "db", "nobody"]
IMAGE_GLOBS = ["probe:*", "fake/*", "*/db:*", "prob?:1", "db:*"]
COMPOSE = ["shop", "shop/web", "shop/db", "blog", "blog/web", "nobody"]
LABELS = {"role": ["db", "web", "w?b", "*", "[!d]*", None], "env": ["prod", "*", None], "tier": ["front", "*", "", None],
          PROJECT: ["shop", "*", None]}
SAMES = [PROJECT, SERVICE, "role", "env", "nothing"]
WORDS = ["any", "internet", "outside", "host", "containers"]
BLOCKS = {
    "0.0.0.0/0": ["10.0.0.0/8", "198.41.0.4/32", "128.0.0.0/1"], "::/0": ["fd77::/48", "2000::/3"],
    "10.77.0.0/16": ["10.77.99.0/24", "10.77.0.0/24", "10.77.0.32/28"], "10.0.0.0/8": ["10.77.0.10/32", "10.91.0.0/16"],
    "10.77.0.32/28": [], "198.0.0.0/8": ["198.97.0.0/16"], "198.41.0.0/24": ["198.41.0.4/32"],
    "203.0.113.0/24": ["203.0.113.2/32"],
    "169.254.169.254/32": [], "10.91.0.0/16": [], "10.92.0.0/24": ["10.92.0.0/25"], "10.94.0.0/24": ["10.94.0.32/30"],
    "fd94::/64": ["fd94::4/128"], "fd91::/64": [],
    "fd77::/48": ["fd77:0:0:99::/64"], "2a00::/12": ["2a00:1450::/32"], "2001:db8:113::/64": ["2001:db8:113::2/128"],
    "2620:0:2d0::/48": [], "224.0.0.0/4": [],
}
PORTS = ["80/tcp", "443/tcp", "5432/tcp", "9000-9010/tcp", "9010-9011/tcp", "1-79/tcp", "81-65535/tcp", "53/tcp",
         "53/udp", "443/udp", "9000-9011/udp", "1-65535/udp", "5432/sctp", "tcp", "udp", "sctp", "icmp", "icmp/echo-request",
         "icmp/timestamp-request", "icmp/time-exceeded"]


def containers(dice):
    """{name: options of Engine.create()} of such as run on bridges; the addresses are fixed."""
    wanted = {}
    for number, name in enumerate(dice.sample(NAMES, 6)):
        labels = {}
        if dice.random() < 0.6:
            labels.update({PROJECT: dice.choice(["shop", "blog"]), SERVICE: dice.choice(["web", "db"])})
        for key, values in (("role", ["web", "db", "cache"]), ("env", ["prod", "test"]), ("tier", ["front", ""])):
            if dice.random() < 0.5:
                labels[key] = dice.choice(values)
        networks = dice.sample(sorted(NETWORKS), dice.choice([1, 1, 1, 2, 3]))
        wanted[name] = {"labels": labels, "networks": [_place(network, number) for network in networks],
                        "image": dice.choice(["probe:1", "probe:1", "fake/db:latest"]), "Dns": dice.choice(SERVERS)}
    first = next(iter(wanted.values()))
    first["publish"] = [(8080, 80, "tcp"), (8053, 53, "udp")]
    return wanted


def _place(network, number):
    ipv4 = {"front": f"10.91.{number}.{10 * number or 5}", "back": f"10.92.0.{18 + 16 * number}",
            "side": f"10.93.0.{20 + number}", "free": f"10.94.0.{30 + number}"}
    ipv6 = {"front": f"fd91::{10 * number or 5}", "back": f"fd92::{number}:2", "side": None, "free": f"fd94::{number + 2}"}
    return network, ipv4[network], ipv6[network]


class Author:
    """Writes policies: lists of documents, as YAML has them."""

    def __init__(self, dice):
        self.dice = dice
        self.count = 0

    def _maybe(self, chance):
        return self.dice.random() < chance

    # Who

    def _selector(self, subject=False):
        if self._maybe(0.25):
            return {"all": True}
        chosen = {}
        for key in self.dice.sample(["compose", "name", "labels", "image", "network"], self.dice.choice([1, 1, 1, 2])):
            chosen[key] = {"compose": lambda: self.dice.choice(COMPOSE), "name": lambda: self.dice.choice(NAME_GLOBS),
                           "image": lambda: self.dice.choice(IMAGE_GLOBS), "network": lambda: self.dice.choice(sorted(NETWORKS)),
                           "labels": self._labels}[key]()
        return chosen

    def _labels(self):
        keys = self.dice.sample(sorted(LABELS), self.dice.choice([1, 1, 2]))
        return {key: self.dice.choice(LABELS[key]) for key in keys}

    def _block(self):
        block = self.dice.choice(sorted(BLOCKS))
        holes = [hole for hole in BLOCKS[block] if self._maybe(0.4)]
        return {"cidr": block, "except": holes} if holes else {"cidr": block}

    def _peer(self, lookups):
        kind = self.dice.choice(["selector", "selector", "word", "word", "block", "block", "same"] + ["dns"] * lookups)
        if kind == "dns":
            return "dns"
        if kind == "word":
            return self.dice.choice(WORDS)
        if kind == "same":
            return {"same": self.dice.choice(SAMES)}
        return self._block() if kind == "block" else self._selector()

    # What

    def _some(self, make):
        made = []
        for _ in range(self.dice.choice([1, 1, 2, 3])):
            one = make()
            if one not in made:
                made.append(one)
        return made

    def _rule(self, direction):
        rule = {}
        if self._maybe(0.25):
            self.count += 1
            rule["name"] = f"rule-{self.count}"
        if self._maybe(0.2):
            rule["deny"] = True
        if self._maybe(0.75):
            lookups = direction == "egress" and "deny" not in rule
            rule["from" if direction == "ingress" else "to"] = self._some(lambda: self._peer(lookups))
        if self._maybe(0.5):
            rule["ports"] = self._some(lambda: self.dice.choice(PORTS))
        return rule

    def _policy(self):
        self.count += 1
        policy = {"policy": f"{self.dice.choice(['p', 'shop-db', 'a.b'])}-{self.count}", "select": self._selector()}
        if self._maybe(0.1):
            policy["mode"] = "audit"
        elif self._maybe(0.15):
            policy["reject"] = True
        for direction in ("ingress", "egress"):
            if self._maybe(0.8):
                policy[direction] = [self._rule(direction) for _ in range(self.dice.choice([0, 1, 1, 2, 3]))]
        return policy

    def write(self):
        """A set of some policies; more often than not, much is allowed."""
        documents = [self._policy() for _ in range(self.dice.choice([0, 2, 4, 6, 8]))]
        if self._maybe(0.6):
            documents.append({"policy": "wide", "select": self._selector(), "ingress": [{}], "egress": [{}]})
        return documents

    # Changes

    def revise(self, documents):
        """Another set: a new one, or this one with a few changes."""
        if not documents or self._maybe(0.3):
            return self.write()
        revised = copy.deepcopy(documents)
        for _ in range(self.dice.choice([1, 1, 2, 4])):
            self.dice.choice([self._add, self._drop, self._change_mode, self._change_subject, self._change_rules,
                              self._change_rules, self._change_rules])(revised)
        return revised

    def _add(self, documents):
        documents.append(self._policy())

    def _drop(self, documents):
        if documents:
            documents.remove(self.dice.choice(documents))

    def _change_mode(self, documents):
        policy = self.dice.choice(documents or [{}])
        if policy.pop("mode", None) is None:
            policy.pop("reject", None)
            policy["mode"] = "audit"

    def _change_subject(self, documents):
        self.dice.choice(documents or [{}])["select"] = self._selector()

    def _change_rules(self, documents):
        policy, direction = self.dice.choice(documents or [{}]), self.dice.choice(["ingress", "egress"])
        rules = policy.setdefault(direction, [])
        if not rules or self._maybe(0.3):
            rules.append(self._rule(direction))
        elif self._maybe(0.3):
            rules.remove(self.dice.choice(rules))
        else:
            rules[self.dice.randrange(len(rules))] = self._rule(direction)

    # How it is written

    def shuffle(self, documents):
        """The same set in another order: of policies, keys, rules, peers, ports and exceptions."""
        documents = [self._shuffled(document) for document in documents]
        self.dice.shuffle(documents)
        return documents

    def _shuffled(self, value):
        if isinstance(value, dict):
            items = [(key, self._shuffled(entry)) for key, entry in value.items()]
            self.dice.shuffle(items)
            return dict(items)
        if isinstance(value, list):
            entries = [self._shuffled(entry) for entry in value]
            self.dice.shuffle(entries)
            return entries
        return value

    def files(self, documents):
        """{name: text}: in as many files as may be, and in any style of YAML."""
        texts = [self._text(document) for document in documents]
        files = {}
        for number, text in enumerate(texts):
            name = f"{self.dice.randrange(3)}.{self.dice.choice(['yaml', 'yml'])}" if self._maybe(0.6) else f"n{number}.yaml"
            files[name] = files[name] + "---\n" + text if name in files else text
        return files

    def _text(self, document):
        comment = self.dice.choice(["", "", "# written by the dice\n", "\n\n"])
        if self._maybe(0.2):
            return comment + json.dumps(document, indent=self.dice.choice([None, 2])) + "\n"
        return comment + yaml.dump(self._styled(document), Dumper=Dumper, sort_keys=False, width=self.dice.choice([60, 1000]),
                                   default_flow_style=self.dice.choice([True, False, None]), indent=self.dice.choice([2, 4]))

    def _styled(self, value):
        """Texts in quotes of either kind, or none."""
        if isinstance(value, dict):
            return {self._styled(key): self._styled(entry) for key, entry in value.items()}
        if isinstance(value, list):
            return [self._styled(entry) for entry in value]
        return Text(value, self.dice.choice([None, None, "'", '"'])) if isinstance(value, str) else value


class Text(str):
    """A text that is written in this style."""

    def __new__(cls, text, style):
        made = super().__new__(cls, text)
        made.style = style
        return made


class Dumper(yaml.SafeDumper):
    """Without aliases: the language has none."""

    def ignore_aliases(self, data):
        return True


Dumper.add_representer(Text, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", str(text), style=text.style))

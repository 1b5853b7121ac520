#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The JSON Schema of the policy language against the parser: schema.py COFFERDAM."""

import json
import pathlib
import random
import re
import subprocess
import sys
import tempfile
import unittest

import jsonschema
import yaml

PROGRAM = sys.argv.pop(1)
ROOT = pathlib.Path(__file__).resolve().parents[3]
CASES = ROOT / "tests/golden/diagnostics/cases"
INSTALLED = ROOT / "packaging/policy.schema.json"

# What is wrong with a file when it has one of these codes can be seen in its values, so the schema must see it.
SEEN = {"C020", "C021", "C022", "C023", "C024", "C025", "C026", "C027", "C028", "C030", "C031", "C034", "C035", "C036",
        "C038", "C039", "C043", "C044", "C046", "C047"}


class Loader(yaml.SafeLoader):
    """YAML as editors read it, by the core schema of YAML 1.2: `yes` and `012` are texts there."""


Loader.yaml_implicit_resolvers = {}
for tag, pattern, first in (("bool", "true|True|TRUE|false|False|FALSE", "tTfF"),
                            ("null", "~|null|Null|NULL|", ["~", "n", "N", ""]),
                            ("int", "[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
                            ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", "-+.0123456789")):
    Loader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(f"^(?:{pattern})$"), list(first))


def plain(value):
    """As JSON has it: the keys of mappings are texts."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list) else value


def documents(text):
    return [plain(document) for document in yaml.load_all(text, Loader)]


def expected(path):
    return path.with_suffix(".expected").read_text(encoding="utf-8")


def cases():
    for path in sorted(CASES.glob("*.yaml")):
        if not path.name.endswith(".settings.yaml"):
            yield path


def parser_accepts(path):
    done = subprocess.run([PROGRAM, "check", "--json", path], capture_output=True, text=True, timeout=60, check=False)
    return json.loads(done.stdout)["ok"]


class Schema(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.printed = subprocess.run([PROGRAM, "check", "--schema"], capture_output=True, text=True, timeout=60,
                                     check=True).stdout
        cls.schema = json.loads(cls.printed)
        cls.validator = jsonschema.Draft202012Validator(cls.schema)

    def errors(self, text):
        return [error.message for document in documents(text) for error in self.validator.iter_errors(document)]

    def test_the_file_in_the_tree_is_what_the_parsers_tables_make(self):
        """To write it anew: cofferdam check --schema > packaging/policy.schema.json"""
        self.assertEqual(INSTALLED.read_text(encoding="utf-8"), self.printed)

    def test_it_is_a_schema(self):
        self.assertEqual(self.schema["$schema"], "https://json-schema.org/draft/2020-12/schema")
        jsonschema.Draft202012Validator.check_schema(self.schema)

    def test_every_key_is_described(self):
        for name, definition in self.schema["$defs"].items():
            for key, value in definition.get("properties", {}).items():
                self.assertTrue(value.get("description"), (name, key))

    def test_what_the_parser_takes_is_valid(self):
        files = [path for path in cases() if "-> accepted" in expected(path)]
        files += sorted((ROOT / "policies").glob("*.yaml")) + sorted((ROOT / "examples").glob("*/policies/*.yaml"))
        self.assertGreater(len(files), 15)
        for path in files:
            with self.subTest(path.name):
                self.assertEqual(self.errors(path.read_text(encoding="utf-8")), [])

    def test_what_is_seen_in_the_values_is_not_valid(self):
        tested = set()
        for path in cases():
            codes = set(re.findall(r"error\[(C\d+)\]", expected(path)))
            if not codes & SEEN:
                continue
            try:
                errors = self.errors(path.read_text(encoding="utf-8"))
            except (yaml.YAMLError, UnicodeDecodeError):
                continue
            with self.subTest(path.name):
                self.assertNotEqual(errors, [])
            tested |= codes
        self.assertEqual(SEEN - tested, set())

    def test_single_mistakes(self):
        good = "policy: a\nselect: {name: x}\negress: [{to: [%s], ports: [%s]}]\n"
        for peer, port in (("any", "80/tcp"), ("dns", "icmp"), ("{cidr: 10.0.0.0/8, except: [10.1.0.0/16]}", "tcp"),
                           ("{cidr: '::/0'}", "65535/sctp"), ("{same: role}", "1-65535/udp"),
                           ("{labels: {a: 1, b: null, c: yes}}", "icmp/echo-request"), ("{name: 5}", "53/udp")):
            self.assertEqual(self.errors(good % (peer, port)), [], (peer, port))
        for peer, port in (("nobody", "80/tcp"), ("{}", "80/tcp"), ("{same: x, name: y}", "80/tcp"),
                           ("{cidr: 10.0.0.0/8, name: y}", "80/tcp"), ("{except: [10.0.0.0/8]}", "80/tcp"),
                           ("{all: yes}", "80/tcp"), ("{labels: {}}", "80/tcp"), ("any", "80"), ("any", "tcp/80"),
                           ("any", "0/tcp"), ("any", "65536/tcp"), ("any", "icmp/ping"), ("{compose: a/b/c}", "tcp"),
                           ("{cidr: nonsense}", "tcp"), ("[any]", "tcp"), ("{name: x, prots: [1]}", "tcp")):
            self.assertNotEqual(self.errors(good % (peer, port)), [], (peer, port))

    def test_nothing_that_the_parser_takes_is_refused(self):
        """Documents put together at random from parts that fit mostly, and not always."""
        chance = random.Random(20)
        anything = ["a", "1", "1.5", "true", "~", "''", "'x y'", "'*'", "[]", "{}", "[a]", "yes", "0x1F", "1e3", "dns",
                    "10.0.0.0/8", "80/tcp", "shop/web", "{name: x}", "[any]", "[80/tcp, icmp]", "{labels: {'': x}}"]
        defs = self.schema["$defs"]

        def mapping(name, always=()):
            keys = list(defs[name]["properties"])
            chosen = list(always) + chance.sample(keys, chance.choice((0, 1, 1, 2)))
            return "{" + ", ".join(f"{key}: {value(key)}" for key in dict.fromkeys(chosen)) + "}"

        def peer():
            return chance.choice(("any", "host", "dns", "internet")) if chance.random() < 0.4 else mapping("peer")

        def value(key):
            fitting = {
                "select": lambda: mapping("selector", ["name"]), "ingress": lambda: f"[{mapping('ingress-rule')}]",
                "egress": lambda: f"[{mapping('egress-rule')}]", "from": lambda: f"[{peer()}]",
                "to": lambda: f"[{peer()}, {peer()}]" if chance.random() < 0.3 else f"[{peer()}]",
                "allowed": lambda: f"[{mapping('expectation', ['from', 'to'])}]",
                "denied": lambda: f"[{mapping('expectation', ['from', 'to'])}]",
                "ports": lambda: chance.choice(("[80/tcp]", "[icmp]", "[1-9/udp, sctp]")), "deny": lambda: "true",
                "reject": lambda: "true", "mode": lambda: chance.choice(("audit", "enforce")), "all": lambda: "true",
                "version": lambda: "1", "cidr": lambda: chance.choice(("10.0.0.0/8", "'fd00::/8'", "192.0.2.1")),
                "except": lambda: "[10.1.0.0/16]", "compose": lambda: chance.choice(("a", "a/b", "5", "'a b'")),
                "labels": lambda: chance.choice(("{a: b}", "{a: ~}", "{1: 2}", "{a: ''}", "{'': x}", "{a: true}")),
            }.get(key, lambda: chance.choice(("a", "7", "'[ab]*'", "1.5", "true", "x.y")))
            return fitting() if chance.random() < 0.92 else chance.choice(anything)

        accepted = refused = 0
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "policy.yaml"
            for _ in range(400):
                policy = chance.random() < 0.8
                text = mapping("policy", ["policy", "select"]) if policy else mapping("expect", ["expect"])
                path.write_text(text, encoding="utf-8")
                if parser_accepts(path):
                    accepted += 1
                    self.assertEqual(self.errors(text), [], text)
                else:
                    refused += 1
        self.assertGreater(accepted, 100)
        self.assertGreater(refused, 100)


if __name__ == "__main__":
    unittest.main()

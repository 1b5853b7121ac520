#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""`cofferdam plan` says what apply then does, and changes nothing."""

import collections
import json
import os
import re
import socket
import unittest

from machine import wait_until
from pairs import open_in
from playground import ROLES, Playground

# db is asked on 80/tcp instead of 5432/tcp; what else there is stays.
OTHER = ROLES.replace("5432/tcp", "80/tcp")
FAILING = ROLES + """---
expect: no lookups
denied:
  - {from: {labels: {role: web}}, to: {labels: {role: db}}, ports: [53/udp]}
"""
VERDICT = r"\b(accept|drop|return|jump|goto|vmap|comment|reject)\b"
FAMILIES = {"ipv4": socket.AF_INET, "ipv6": socket.AF_INET6}


def rule_lines(listing):
    """How often each rule stands in what nft lists, counters aside."""
    listing = re.sub(r"counter packets \d+ bytes \d+", "counter", listing)
    lines = [line.strip() for line in listing.splitlines()]
    return collections.Counter(line for line in lines if re.search(VERDICT, line) and not line.startswith(("type ", "elements"))
                               and not line.endswith(("{", ",", "}")))


class Plan(Playground, unittest.TestCase):
    def setUp(self):
        self.cofferdam.apply(ROLES)
        self.web, self.db = self.run_containers(web="web", db="db")
        self.cofferdam.settle()

    def plan(self, policies, want, *options):
        """The plan for these policies, in a directory that is not the daemon's, as JSON."""
        self.write(policies)
        result = self.cofferdam("plan", "--policies", self.engine.path("planned"), *options)
        self.assertEqual(result.returncode, want, result.stdout + result.stderr)
        document = self.cofferdam.json("plan", "--policies", self.engine.path("planned"), *options)
        self.assertEqual(document["format_version"], "1.0")
        return document, result.stdout

    def write(self, policies):
        os.makedirs(self.engine.path("planned"), exist_ok=True)
        with open(self.engine.path("planned", "policies.yaml"), "w", encoding="utf-8") as file:
            file.write(policies)

    def rules(self):
        return re.sub(r"counter packets \d+ bytes \d+", "counter", self.cofferdam.ruleset())

    def generation(self):
        return self.cofferdam.json("verify")["generation"]

    def connections(self):
        """The established connections of TCP that the kernel tracks, as (protocol, from, from port, to, to port), after
        translation. All others may end by themselves while a test looks."""
        found = set()
        for family in FAMILIES:
            text = self.engine.host.run("conntrack", "-L", "-f", family).stdout
            for line in text.splitlines():
                fields = re.findall(r"(src|dst|sport|dport)=(\S+)", line)
                if len(fields) == 8 and "ESTABLISHED" in line:
                    values = [value for _, value in fields]
                    found.add((line.split()[0], values[0], int(values[2]), values[4], int(values[6])))
        return found

    def connect(self, source, family, address, port):
        connection = open_in(source, FAMILIES[family], socket.SOCK_STREAM)
        self.addCleanup(connection.close)
        connection.settimeout(3)
        connection.connect((address, port))
        return connection

    def test_what_is_in_force_changes_nothing(self):
        document, text = self.plan(ROLES, 0, "--rules")
        self.assertIs(document["changes"], False)
        self.assertEqual(document["rules"]["lines"], [])
        self.assertEqual(document["problems"], [])
        self.assertEqual(text, "No changes.\n")
        web, db = ROLES.split("---\n")
        self.assertEqual(self.plan("# turned round\n" + db + "---\n" + web, 0)[0]["summary"]["policies_same"], 2)
        self.assertEqual(self.cofferdam("plan").returncode, 0)  # the policies of the settings
        # containers that come and go do not matter
        self.run_container("another", "web").remove()
        self.cofferdam.settle()
        self.assertEqual(self.plan(ROLES, 0)[1], "No changes.\n")

    def test_it_is_what_apply_does(self):
        for family in FAMILIES:
            self.connect(self.web, family, self.db.address(family), 5432)
            self.connect(self.engine.host, family, self.web.address(family), 80)
        self.connect(self.web, "ipv4", self.db.address("ipv4"), 5432)
        before, tracked, generation = self.rules(), self.connections(), self.generation()
        document, text = self.plan(OTHER, 2, "--rules")
        self.assertEqual((self.rules(), self.generation()), (before, generation))
        self.assertEqual(tracked, self.connections())
        self.assertEqual(self.plan(OTHER, 2)[0]["plan_id"], document["plan_id"])

        self.assertIs(document["changes"], True)
        self.assertEqual([(policy["name"], policy["change"]) for policy in document["policies"]],
                         [("db", "changed"), ("web", "changed")])
        self.assertIs(document["rules"]["validated"], True)
        self.assertEqual([(connection["from"]["names"], connection["to"]["names"], connection["ports"], connection["new"])
                          for connection in sorted(document["connections"], key=lambda connection: connection["new"])],
                         [(["web"], ["db"], ["80/tcp"], "allowed"), (["web"], ["db"], ["5432/tcp"], "denied")])
        self.assertRegex(text, r"  \+ web -> db +80/tcp +denied -> allowed +\S+policies.yaml:\d+")
        first, last = text.splitlines()[0], text.splitlines()[-1]
        self.assertEqual(first, last)
        self.assertRegex(first, r"^Plan: 2 policies changed, 1 connection allowed, 1 denied, 3 live connections cut, "
                                r"\d+ rules \+, \d+ -$")
        self.assertRegex(text, r"  -  web -> db  5432/tcp  +(2|3) connections\n")

        self.cofferdam.apply(OTHER)
        cut = {("tcp", flow["from_address"], flow["from_port"], flow["to_address"], int(flow["port"].removesuffix("/tcp")))
               for flow in document["live_connections"]["cut"]}
        self.assertEqual(len(cut), 3)
        self.assertEqual(self.exploded(tracked - self.connections()), self.exploded(cut))
        want = rule_lines(self.rules())
        want.subtract(rule_lines(before))
        said = collections.Counter()
        for line in document["rules"]["lines"]:
            if line["kind"] == "rule":
                said[line["text"]] += 1 if line["change"] == "+" else -1
        self.assertEqual({line: n for line, n in want.items() if n}, {line: n for line, n in said.items() if n})
        self.assert_passes(self.web, self.db, "80/tcp")
        self.assert_dropped(self.web, self.db, "5432/tcp")
        self.assertEqual(self.plan(OTHER, 0)[1], "No changes.\n")

    def test_what_a_lockdown_cuts_is_no_change(self):
        """Nor for packets; and what is read from a file says the same as the daemon."""
        self.addCleanup(self.cofferdam, "release", "--all")
        for family in FAMILIES:
            self.connect(self.web, family, self.db.address(family), 5432)
            self.connect(self.engine.host, family, self.web.address(family), 80)
        self.assertEqual(self.cofferdam("lockdown", "db", "--reason", "odd").returncode, 0)
        document, text = self.plan(OTHER, 2)
        self.assertEqual((document["connections"], document["held"], document["live_connections"]["cut"]), ([], ["db"], []))
        self.assertIn("db is locked down: what the policies say of it does not apply until `cofferdam release db`", text)
        with open(self.engine.path("status.json"), "w", encoding="utf-8") as file:
            file.write(self.cofferdam("status", "--json").stdout)
        offline = self.cofferdam("plan", "--inventory", self.engine.path("status.json"), self.engine.path("planned"), "--json")
        offline = json.loads(offline.stdout)
        for key in ("connections", "connections_text", "held", "problems"):
            self.assertEqual(offline[key], document[key], key)
        for words in (("web", "db", "5432/tcp"), ("host", "web", "80/tcp"), ("db", "host", "22/tcp"), ("web", "db")):
            said = [self.cofferdam("explain", *options, *words) for options in ((), ("--inventory", self.engine.path("status.json")))]
            self.assertEqual((said[0].returncode, said[0].stdout), (said[1].returncode, said[1].stdout))
            self.assertEqual("locked down since" in said[0].stdout, "db" in words)
        drawn = self.cofferdam("graph", "--format", "dot", self.engine.path("planned")).stdout
        self.assertIn("db\\nlocked down", drawn)
        self.assertNotIn("80/tcp, 53/udp", drawn)
        # an exception keeps what the policies would end, and grants what they do not
        self.assertEqual(self.cofferdam("lockdown", "web", "--allow", "host:80/tcp").returncode, 0)
        self.connect(self.engine.host, "ipv4", self.web.address("ipv4"), 80)
        nothing = "policy: nothing\nselect: {all: true}\n"
        document, _ = self.plan(nothing, 2)
        self.assertEqual((document["connections"], document["held"], document["live_connections"]["cut"]), ([], ["db", "web"], []))
        self.cofferdam.apply(nothing)
        self.assert_passes(self.engine.host, self.web, "80/tcp", ("ipv4",))
        self.assertEqual(self.cofferdam("explain", "host", "web", "80/tcp").returncode, 0)
        self.cofferdam("release", "web")
        self.assertEqual(self.cofferdam("explain", "host", "web", "80/tcp").returncode, 3)
        self.assert_dropped(self.engine.host, self.web, "80/tcp", ("ipv4",))
        self.cofferdam.apply(OTHER)
        self.assert_dropped(self.web, self.db, "80/tcp", ("ipv4",))
        self.cofferdam("release", "db")
        self.assert_passes(self.web, self.db, "80/tcp", ("ipv4",))

    @staticmethod
    def exploded(connections):
        """conntrack writes IPv6 addresses in its own way."""
        return {(proto, socket.inet_pton(socket.AF_INET6 if ":" in source else socket.AF_INET, source), source_port,
                 socket.inet_pton(socket.AF_INET6 if ":" in target else socket.AF_INET, target), port)
                for proto, source, source_port, target, port in connections}

    def test_mistakes_are_shown_and_nothing_is_asked(self):
        before = self.rules()
        self.write("policy: x\nselect: {nmae: x}\n")
        result = self.cofferdam("plan", "--policies", self.engine.path("planned"))
        self.assertEqual((result.returncode, result.stdout), (1, ""))
        self.assertRegex(result.stderr, r"policies\.yaml:2:10: error\[C\d+\]: .*nmae")
        document = self.cofferdam.json("plan", "--policies", self.engine.path("planned"))
        self.assertIs(document["ok"], False)
        self.assertEqual(document["diagnostics"][0]["line"], 2)
        self.assertEqual(self.rules(), before)

    def test_expectations_that_fail(self):
        document, text = self.plan(FAILING, 1)
        self.assertIs(document["changes"], False)
        self.assertEqual(document["summary"]["errors"], 1)
        problem = document["problems"][0]
        self.assertEqual((problem["level"], problem["file"]), ("error", self.engine.path("planned", "policies.yaml")))
        self.assertIn("web", text)
        self.assertTrue(text.startswith("No changes. 1 error\n"), text)

    def test_a_set_that_is_too_large(self):
        self.write(ROLES)
        for i in range(70):
            with open(self.engine.path("planned", f"{i}.yaml"), "w", encoding="utf-8") as file:
                file.write(f"policy: p{i}\nselect: {{name: p{i}}}\n" + "#" * (255 * 1024))
            self.addCleanup(os.unlink, file.name)
        result = self.cofferdam("plan", "--policies", self.engine.path("planned"))
        self.assertEqual(result.returncode, 1)
        self.assertIn("more than the daemon takes at once: 16 MiB", result.stderr)


class Tampered(Playground, unittest.TestCase):
    """Where others can change the rules, and the daemon, tired of putting them right, waits for a moment."""

    START = False

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.cofferdam.start(protect_table="off")

    def rule(self):
        """Handle and text of one of ours."""
        listing = self.engine.host.run("nft", "-s", "-a", "list", "chain", "inet", "cofferdam", "forward").stdout
        found = re.search(r"^\s*(.*saddr != @live4 .*) # handle (\d+)$", listing, re.MULTILINE)
        return (found[2], found[1]) if found else None

    def test_a_rule_that_somebody_deleted_is_to_be_put_back(self):
        for _ in range(12):
            wait_until(self.rule, 3, "the rule to be there")
            handle, text = self.rule()
            self.engine.host.run("nft", "delete", "rule", "inet", "cofferdam", "forward", "handle", handle)
        document = self.cofferdam.json("plan")
        self.assertIsNone(self.rule(), "it was repaired too soon for this test")
        lines = [(line["change"], line["kind"], line["name"], line["text"]) for line in document["rules"]["lines"]]
        self.assertEqual(lines, [("+", "rule", "forward", text)])
        self.assertIs(document["changes"], True)
        self.assertEqual(document["policies"], [])
        wait_until(self.rule, 5, "the rule to be there")
        self.assertEqual(self.cofferdam("plan").returncode, 0)


if __name__ == "__main__":
    unittest.main()

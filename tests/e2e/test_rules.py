#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""How often each rule has let something pass: as often as it did, whatever is reloaded, restarted or torn down meanwhile."""

import json
import os
import re
import signal
import threading
import time
import unittest

from engine import OUTSIDE
from machine import wait_until
from playground import Playground, Question

WEB = """
policy: web
select: {labels: {role: web}}
egress:
  - to: [{labels: {role: db}}]
  - name: no-metadata
    deny: true
    to: [{cidr: 169.254.169.254/32}]
"""
DB = """
---
policy: db
select: {labels: {role: db}}
ingress:
  - from: [{labels: {role: web}}]
    ports: [5432/tcp]
  - name: pings
    from: [containers]
    ports: [icmp/echo-request]
"""
STAGED = """
---
policy: later
mode: audit
select: {labels: {role: db}}
ingress: [{from: [host], ports: [80/tcp]}]
"""
UNUSED = """
---
policy: unused
select: {name: nobody}
ingress: [{from: [host], ports: [80/tcp]}]
"""
POLICIES = WEB + DB + STAGED + UNUSED


def more(number):
    """One more policy of db's: another class for it, so that its chains are all made anew."""
    return f"\n---\npolicy: more\nselect: {{labels: {{role: db}}}}\ningress: [{{from: [host], ports: [{number}/tcp]}}]\n"


class Base(Playground):
    POLICIES = POLICIES

    def setUp(self):
        self.cofferdam.apply(POLICIES)
        self.web, self.db = self.run_containers(web="web", db="db")
        self.cofferdam.settle()
        self.before = {key: rule["hits"] for key, rule in self.rules().items()}

    def rules(self):
        document = self.cofferdam.json("status", "--rules")["rules"]
        self.assertIsNone(document["error"])
        return {(rule["policy"], rule["direction"], rule["name"] or rule["index"]): rule for rule in document["list"]}

    def hits(self, *key):
        """Since the test began."""
        return self.rules()[key]["hits"] - self.before.get(key, 0)

    def connect(self, n):
        """So many connections that web opens to db, half of them by IPv6."""
        questions = [Question(self.web, self.db, "5432/tcp", ("ipv4", "ipv6")[i % 2]) for i in range(n)]
        self.assert_results("connected", questions, 5000)


class Counts(Base, unittest.TestCase):
    """What is counted."""

    def test_connections(self):
        self.connect(7)
        self.assertEqual(self.hits("db", "ingress", 1), 7)
        self.assertEqual(self.hits("web", "egress", 1), 7)
        self.assertEqual(self.hits("db", "ingress", "pings"), 0)
        self.assert_passes(self.web, self.db, "icmp")
        rules = self.rules()
        self.assertEqual(self.hits("db", "ingress", "pings"), 2)
        self.assertEqual(self.hits("web", "egress", 1), 9)
        rule = rules["db", "ingress", 1]
        self.assertEqual((rule["deny"], rule["staged"], rule["shared"], rule["unused"]), (False,) * 4)
        self.assertEqual(rule["reference"], os.path.join(self.cofferdam.policies, "policies.yaml") + ":14")
        self.assertLess(40 * rule["hits"], rule["bytes"])
        self.assertLess(rule["bytes"], 100 * rule["hits"])  # of SYNs, whatever was sent afterwards
        self.assertLessEqual(rule["since"], rule["last_hit"])

    def test_as_nft_has_it(self):
        """What nft says that all rules with this comment have counted is what is added, in however many chains they stand."""
        def listed():
            return sum(map(int, re.findall(r'counter packets (\d+) bytes \d+ \w+ comment "web egress"', self.cofferdam.ruleset())))
        before = listed()
        self.connect(5)
        self.assertEqual(listed() - before, 5)
        self.assertEqual(self.hits("web", "egress", 1), 5)

    def test_who_counts_nothing(self):
        rules = self.rules()
        self.assertEqual(rules["unused", "ingress", 1]["kernel_rules"], 0)
        self.assertIsNone(rules["unused", "ingress", 1]["last_hit"])
        self.assertTrue(rules["later", "ingress", 1]["staged"])
        self.assertTrue(rules["web", "egress", "no-metadata"]["deny"])
        for key in (("unused", "ingress", 1), ("later", "ingress", 1), ("web", "egress", "no-metadata")):
            self.assertEqual((rules[key]["hits"], rules[key]["unused"]), (0, False), key)  # not watched for a day yet

    def test_a_deny_rule_has_what_the_log_says(self):
        before = self.rules()["web", "egress", "no-metadata"]["denied"]
        self.assert_results("timeout", [Question(self.web, OUTSIDE["ipv4"]["metadata"], "80/tcp")])
        wait_until(lambda: self.cofferdam.json("status")["log"]["open"] == 0, 90, "the record to be written", gap=0.5)
        with open(self.cofferdam.settings["log"]["file"], encoding="utf-8") as file:
            logged = [json.loads(line) for line in file]
        count = [record["cofferdam"]["count"] for record in logged if record["rule"].get("name") == "no-metadata"][-1]
        rule = self.rules()["web", "egress", "no-metadata"]
        self.assertEqual((rule["denied"] - before, rule["hits"]), (count, 0))
        self.assertIsNotNone(rule["last_hit"])

    def test_text(self):
        self.connect(1)
        text = self.cofferdam("status", "--rules").stdout
        self.assertRegex(text, r"(?m)^  db +ingress 1 +\d+ +\d+ +\d+s ago$")
        self.assertRegex(text, r"(?m)^  unused +ingress 1 +0 +0 +never in \w+ +no container has it$")
        self.assertRegex(text, r"(?m)^  later +ingress 1 +0 +0 +- +its policy is staged")
        self.assertRegex(text, r"(?m)^  web +egress 1 +\d+")
        self.assertRegex(text, r"(?m)^ +deny egress no-metadata +\d+ +-")

    def test_asking_twice_counts_once(self):
        self.connect(3)
        self.assertEqual([self.hits("db", "ingress", 1) for _ in range(5)], [3] * 5)


class Kept(Base, unittest.TestCase):
    """What was counted stays counted."""

    def test_other_policies_are_loaded(self):
        since = self.rules()["db", "ingress", 1]["since"]
        self.connect(4)
        self.cofferdam.apply(POLICIES + more(81))
        self.connect(3)
        self.cofferdam.apply(WEB + DB)
        self.assertEqual(self.hits("db", "ingress", 1), 7)
        self.assertEqual(self.rules()["db", "ingress", 1]["since"], since)
        self.assertNotIn(("more", "ingress", 1), self.rules())

    def test_a_rule_that_changes_begins_anew(self):
        self.connect(2)
        self.cofferdam.apply(POLICIES.replace("5432/tcp", "5432/tcp, 80/tcp"))
        rule = self.rules()["db", "ingress", 1]
        self.assertEqual((rule["hits"], rule["last_hit"]), (0, None))
        self.connect(3)
        self.assertEqual(self.rules()["db", "ingress", 1]["hits"], 3)
        self.assertEqual(self.hits("web", "egress", 1), 5)
        self.cofferdam.apply(POLICIES)  # and as it was
        self.assertEqual(self.hits("db", "ingress", 1), 2)

    def test_nothing_is_lost_while_policies_are_loaded(self):
        """Connections all the time, while the class of their destination changes again and again."""
        made, end = [0], threading.Event()

        def connect():
            while not end.is_set():
                self.connect(4)
                made[0] += 4

        thread = threading.Thread(target=connect)
        thread.start()
        try:
            for number in range(15):
                self.cofferdam.apply(POLICIES + more(7000 + number))
                time.sleep(0.1)
        finally:
            end.set()
            thread.join()
        print(f"{made[0]} connections during 15 reloads")
        self.assertGreater(made[0], 30)
        self.assertEqual(self.hits("db", "ingress", 1), made[0])

    def test_a_container_comes_and_goes(self):
        self.connect(2)
        self.db.remove()
        self.db = self.run_container("db", "db")
        self.cofferdam.settle()
        self.connect(2)
        self.assertEqual(self.hits("db", "ingress", 1), 4)

    def test_the_daemon_is_restarted(self):
        for number in (signal.SIGTERM, signal.SIGKILL):
            self.connect(3)
            self.cofferdam.stop(number)
            self.connect(4)  # the kernel goes on counting
            self.cofferdam.start()
        self.assertEqual(self.hits("db", "ingress", 1), 14)

    def test_policies_change_while_no_daemon_runs(self):
        self.connect(3)
        self.cofferdam.stop()
        self.connect(2)
        self.cofferdam.write(POLICIES + more(82))
        self.cofferdam.start()
        self.connect(1)
        self.assertEqual(self.hits("db", "ingress", 1), 6)

    def test_the_rules_are_removed(self):
        self.connect(3)
        self.assertEqual(self.cofferdam("teardown", "--yes").returncode, 0)
        self.cofferdam.stop()
        self.cofferdam.start()
        self.connect(2)
        self.assertEqual(self.hits("db", "ingress", 1), 5)

    def test_the_file_is_damaged(self):
        self.connect(3)
        self.cofferdam.stop()
        with open(os.path.join(self.cofferdam.settings["state"], "rule-counters.json"), "r+b") as file:
            file.truncate(os.path.getsize(file.name) // 2)
        self.connect(2)
        self.cofferdam.start()
        self.assertIn("rule-counters.json cannot be used (it is damaged): the rules are counted anew", self.cofferdam.log())
        self.assertEqual(self.rules()["db", "ingress", 1]["hits"], 0)
        self.connect(1)
        self.assertEqual(self.rules()["db", "ingress", 1]["hits"], 1)


class Unprotected(Base, unittest.TestCase):
    """Others may change the tables."""

    START = False

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.cofferdam.start(protect_table="off")

    def test_somebody_deletes_the_tables(self):
        self.connect(3)
        self.assertEqual(self.hits("db", "ingress", 1), 3)  # it was read
        self.engine.host.run("nft", "delete", "table", "inet", "cofferdam")
        wait_until(lambda: "inet cofferdam" in " ".join(self.engine.tables()), 10, "the tables to be there again")
        self.cofferdam.settle()
        wait_until(lambda: self.cofferdam("verify").returncode == 0, 10, "the rules to be mended")
        self.connect(4)
        self.assertEqual(self.hits("db", "ingress", 1), 7)

    def test_somebody_changes_a_chain(self):
        self.connect(3)
        self.assertEqual(self.hits("db", "ingress", 1), 3)
        chain = re.search(r"chain (in/db/\w+)|chain (ingress/db/\w+)", self.cofferdam.ruleset())
        self.assertTrue(chain, self.cofferdam.ruleset())
        self.engine.host.run("nft", "insert", "rule", "inet", "cofferdam", chain[1] or chain[2], "counter", "accept")
        wait_until(lambda: self.cofferdam("verify").returncode == 0, 10, "the rules to be mended")
        self.connect(2)
        self.assertEqual(self.hits("db", "ingress", 1), 5)


if __name__ == "__main__":
    unittest.main(verbosity=2)

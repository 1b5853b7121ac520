#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Another program changes Cofferdam's rules. Where the kernel protects them, it cannot; where it does not, they are
repaired, at once, and the log says who it was.

COFFERDAM_TAMPERINGS: how many times each (1); COFFERDAM_REPAIR_MS: how long a repair may take (100), in the best of up
to three tries, as other programs may have kept the processor."""

import os
import re
import subprocess
import time
import unittest

from cofferdam import without_metered
from flows import Traffic, table
from machine import ENVIRONMENT, wait_until

ROUNDS = int(os.environ.get("COFFERDAM_TAMPERINGS", "1"))
LIMIT = int(os.environ.get("COFFERDAM_REPAIR_MS", "100"))
POLL_GAP = 0.002
CALM = 0.5  # seconds, after which nothing of a gap may live on

# What is done, by its nft command; RULE, BRIDGE and CLASS are filled in.
TAMPERINGS = {
    "flush ruleset": "flush ruleset",
    "delete table inet": "delete table inet cofferdam",
    "delete table bridge": "delete table bridge cofferdam",
    "delete a rule": "delete rule inet cofferdam forward handle RULE",
    "flush a chain": "flush chain inet cofferdam forward",
    "delete an element": 'delete element inet cofferdam bridges { "BRIDGE" }',
    "add an element": "add element inet cofferdam label/role/client/4 { ROGUE }",
    "dormant inet": "add table inet cofferdam { flags dormant; }",
    "dormant bridge": "add table bridge cofferdam { flags dormant; }",
    "insert accept": "insert rule inet cofferdam forward accept",
    "insert accept in a class": "insert rule inet cofferdam CLASS accept",
    "foreign base chain": "add chain inet cofferdam foreign { type filter hook forward priority -300; policy accept; }",
    "foreign chain": "add chain inet cofferdam foreign",
    "foreign set": "add set inet cofferdam foreign { type ipv4_addr; }",
}


def comparable(listing):
    """The rules without counters, and without the order of elements, which differs from load to load."""
    listing = re.sub(r"counter packets \d+ bytes \d+", "counter", listing)
    return sorted(re.split(r"[\s,{}]+", listing))


class Tampering(Traffic):
    """Mixed into a TestCase."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.start_floods()

    @classmethod
    def is_protected(cls):
        """Whether both tables have an owner."""
        texts = [cls.engine.host.run("nft", "list", "table", family, "cofferdam").stdout for family in ("inet", "bridge")]
        return all(re.search(r"^\s*flags .*\bowner\b", text, re.MULTILINE) for text in texts)

    def setUp(self):
        names = {"iptables-restore": "iptables-save", "ip6tables-restore": "ip6tables-save"}
        self.dockers = {restore: self.engine.host.run(save).stdout for restore, save in names.items()}
        self.addCleanup(self._restore_dockers)

    def _restore_dockers(self):
        for command, text in self.dockers.items():
            self.engine.host.run(command, stdin=text)

    def listing(self):
        result = self.engine.host.run("nft", "list", "ruleset", check=False).stdout
        ours = re.findall(r"^table (?:inet|bridge) cofferdam \{.*?^\}", result, re.MULTILINE | re.DOTALL)
        return without_metered("\n".join(ours) + "\n")

    def command(self, text):
        listing = self.engine.host.run("nft", "-a", "list", "chain", "inet", "cofferdam", "forward").stdout
        rule = re.search(r"saddr != @live4 .* # handle (\d+)", listing)[1]
        chain = re.search(r"chain (ingress/server/\S+)", self.listing())[1]
        text = text.replace("RULE", rule).replace("CLASS", chain).replace("BRIDGE", self.engine.bridge("front"))
        return text.replace("ROGUE", self.rogue.address())

    def tamper(self, text):
        """(the exit status, what nft said, its process, when it ended)"""
        with subprocess.Popen(self.engine.host.enter("nft", self.command(text)), stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, env=ENVIRONMENT) as process:
            said = process.stdout.read()
            process.wait()
            return process.returncode, said, process.pid, time.monotonic()


class Unprotected(Tampering, unittest.TestCase):
    SETTINGS = {"protect_table": "off"}

    def _repaired(self, want):
        """When a listing was begun that is right again."""
        began = [0.0]

        def right():
            began[0] = time.monotonic()
            return comparable(self.listing()) == want

        wait_until(right, 5, "the rules to be as they were", gap=POLL_GAP)
        return began[0]

    def _measure(self, name, text):
        want, before = comparable(self.listing()), len(self.cofferdam.log())
        self.leaked()
        status, said, pid, done = self.tamper(text)
        self.assertEqual(status, 0, f"{name}: {said}")
        took = 1000 * (self._repaired(want) - done)
        if name == "flush ruleset":
            self._restore_dockers()
        time.sleep(CALM)
        leaked, where, first, last = self.leaked()
        time.sleep(CALM)
        lived_on, lived_on_where, _, _ = self.leaked()
        self.assertEqual(lived_on, 0, f"{name}: the repair left something open: {lived_on_where}")
        log = self.cofferdam.log()[before:]
        self.assertRegex(log, rf"another program \(nft, pid {pid}\) has changed Cofferdam's rules", name)
        self.assertEqual(self.cofferdam("status").returncode, 0, name)
        window = f"{last - first} ms" if leaked else "-"
        return took, [name, f"{took:.1f} ms", leaked, window, lived_on, where[:90]]

    def test_each_is_repaired(self):
        self.assertFalse(self.is_protected())
        rows, late = [], []
        for name, text in TAMPERINGS.items():
            times = []
            while len(times) < ROUNDS or (min(times) > LIMIT and len(times) < ROUNDS + 2):
                time.sleep(1)  # a line of the log for each
                took, row = self._measure(name, text)
                times.append(took)
                rows.append(row)
            if min(times) > LIMIT:
                late.append(name)
        table("tampering, protect_table: off", ["what", "right again after", "leaked", "over", "lived on", "where"], rows)
        self.assertEqual(late, [])


class Protected(Tampering, unittest.TestCase):
    def setUp(self):
        if not self.is_protected():
            self.skipTest("the tables have no owner")
        super().setUp()

    def test_nothing_of_it_succeeds(self):
        want, before = comparable(self.listing()), len(self.cofferdam.log())
        self.go()
        rows = []
        for name, text in TAMPERINGS.items():
            for _ in range(ROUNDS):
                status, said, _, _ = self.tamper(text)
                right = comparable(self.listing()) == want
                rows.append([name, status, "as before" if right else "CHANGED", " ".join(said.split())[:70]])
                self.assertTrue(right, name)
                if name == "flush ruleset":  # passes ours by, and says nothing
                    self._restore_dockers()
                else:
                    self.assertNotEqual(status, 0, name)
        found = self.stop()
        table("tampering, protected tables", ["what", "exit", "rules", "nft said"], rows)
        self.assertEqual(found.denied, 0, found)
        self.assertNotIn("has changed Cofferdam's rules", self.cofferdam.log()[before:])


if __name__ == "__main__":
    unittest.main()

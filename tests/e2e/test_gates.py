#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""`cofferdam apply` loads what was agreed to, and no policies that fail their own expectations."""

import re
import signal
import unittest

from machine import wait_until
from playground import ROLES, Playground

OTHER = ROLES.replace("5432/tcp", "80/tcp")
EXPECTS = """---
expect: web reaches the database
allowed:
  - {from: {labels: {role: web}}, to: {labels: {role: db}}, ports: [5432/tcp]}
"""
STALE = "the plan is stale: "


class Gate(Playground):
    """What both of those below need."""

    def setUp(self):
        self.cofferdam.apply(ROLES)
        self.web, self.db = self.run_containers(web="web", db="db")
        self.cofferdam.settle()

    def plan(self, policies):
        """The ID of the plan for these policies, which are the daemon's now."""
        self.cofferdam.write(policies)
        document, text = self.cofferdam.json("plan"), self.cofferdam("plan").stdout
        self.assertIn(f"\nTo apply just this: cofferdam apply --only {document['plan_id']}\n", text)
        return document["plan_id"]

    def refused(self, *options, status=1):
        """What it says to that; nothing has changed."""
        before = self.state()
        result = self.cofferdam("apply", *options)
        self.assertEqual((result.returncode, result.stdout), (status, ""), result.stderr)
        self.assertEqual(self.state(), before)
        return result.stderr

    def state(self):
        return re.sub(r"counter packets \d+ bytes \d+", "counter", self.cofferdam.ruleset())

    def assert_old(self):
        self.assert_passes(self.web, self.db, "5432/tcp")
        self.assert_dropped(self.web, self.db, "80/tcp")

    def assert_new(self):
        self.assert_passes(self.web, self.db, "80/tcp")
        self.assert_dropped(self.web, self.db, "5432/tcp")


class Gates(Gate, unittest.TestCase):
    # --only

    def test_only_what_was_planned(self):
        number = self.plan(OTHER)
        result = self.cofferdam("apply", "--only", number)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assert_new()
        # what is in force has moved by that
        self.assertIn(STALE + "in force: policy file policies.yaml has changed\n", self.refused("--only", number))
        self.assertEqual(self.cofferdam("apply", "--only", self.cofferdam.json("plan")["plan_id"]).returncode, 0)

    def test_an_edited_file(self):
        number = self.plan(OTHER)
        self.cofferdam.write({"policies.yaml": OTHER + "# and a little more\n", "b.yaml": "policy: x\nselect: {name: x}\n"})
        text = self.refused("--only", number)
        self.assertIn(STALE + "policy file b.yaml is new; policy file policies.yaml has changed\n", text)
        self.assertIn("make a new one with `cofferdam plan`", text)
        self.assert_old()
        # the same bytes under another name are the same policies
        self.cofferdam.write({"renamed.yaml": OTHER})
        self.assertEqual(self.cofferdam("apply", "--only", number).returncode, 0)
        self.assert_new()

    def test_a_recreated_container(self):
        number = self.plan(OTHER)
        self.web.remove()
        self.cofferdam.settle()
        wait_until(lambda: "container web is gone" in self.refused("--only", number), 3, "the container to be gone")
        self.web = self.run_container("web", "web")
        self.cofferdam.settle()
        text = self.refused("--only", number)
        self.assertIn(STALE + "container web was recreated", text)
        self.assert_old()
        # a daemon that does not remember the plan knows which part it is
        self.cofferdam.write(ROLES)
        self.cofferdam.restart()
        self.cofferdam.write(OTHER)
        self.assertIn(STALE + "containers, networks or the host's addresses have changed\n", self.refused("--only", number))

    def test_a_word_that_is_no_plan(self):
        number = self.plan(OTHER)
        for word in (number[:40], number[:-1], number.upper() + "0", "x"):
            self.assertIn("not the ID of a plan", self.refused("--only", word, status=64))
        self.assert_old()
        number = ("1" if number[0] == "0" else "0") + number[1:]
        self.assertIn(STALE + "other policies are in force\n", self.refused("--only", number))

    # Expectations

    def test_expectations_that_hold(self):
        self.cofferdam.apply(ROLES + EXPECTS)
        self.assert_old()
        self.assertEqual(self.cofferdam.json("status")["daemon"]["expectations_failed"], 0)

    def test_expectations_that_fail(self):
        self.cofferdam.write(OTHER + EXPECTS)
        line = (OTHER + EXPECTS).splitlines().index("allowed:") + 2
        text = self.refused()
        self.assertRegex(text, rf"policies\.yaml:{line}:\d+: error\[C070\]: 'web reaches the database' fails: web -> db 5432/tcp")
        self.assertIn("the policies were not loaded; those in force stay in force", text)
        self.assertIn("`cofferdam apply --force`", text)
        self.assert_old()
        self.assertIn(f"policies.yaml:{line}", self.cofferdam.json("status")["daemon"]["last_load_error"])
        # nor by a signal
        before, log = self.state(), len(self.cofferdam.log())
        self.cofferdam.process.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "the policies were not loaded" in self.cofferdam.log()[log:], 3, "the daemon to refuse them")
        self.assertEqual(self.state(), before)
        # nor as the plan that it is
        number = self.cofferdam.json("plan")["plan_id"]
        self.assertIn("error[C070]", self.refused("--only", number))

        result = self.cofferdam("apply", "--only", number, "--force")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertRegex(result.stdout, r"^applied 2 policies; .*; 1 expectation fails\n$")
        self.assert_new()
        self.assertIn("loaded by force, although expectations fail", self.cofferdam.log())
        status = self.cofferdam.json("status")
        self.assertEqual((status["daemon"]["expectations_failed"], status["daemon"]["last_load_error"]), (1, None))
        self.assertTrue([problem for problem in status["problems"] if "1 expectation of the policies in force failed" in problem])
        overridden = self.cofferdam.json("apply", "--force")["overridden"]
        self.assertEqual([(found["line"], found["code"]) for found in overridden], [(line, "C070")])
        self.cofferdam.apply(ROLES)
        self.assertEqual(self.cofferdam.json("status")["daemon"]["expectations_failed"], 0)

    def test_a_stale_plan_is_stale_by_force_too(self):
        number = self.plan(OTHER)
        self.cofferdam.write(OTHER + EXPECTS)
        self.assertIn(STALE + "policy file policies.yaml has changed\n", self.refused("--only", number, "--force"))
        self.assert_old()

    def test_a_start_loads_them_and_says_what_fails(self):
        self.cofferdam.write(OTHER + EXPECTS)
        self.cofferdam.restart()
        self.assert_new()
        wait_until(lambda: self.cofferdam.json("status")["daemon"]["expectations_failed"] == 1, 5, "them to be tested")
        self.assertIn("the policies in force do not do what their own expectations say", self.cofferdam.log())

    def test_while_the_containers_are_not_known(self):
        self.cofferdam.stop()
        self.cofferdam.write(ROLES + EXPECTS)
        settings = dict(self.cofferdam.settings)
        self.cofferdam.settings["docker"] = self.engine.path("nobody.sock")
        self.addCleanup(self.cofferdam.restart)
        self.addCleanup(self.cofferdam.settings.update, settings)
        self.start_without_engine()
        text = self.refused()
        self.assertIn("cannot be tested yet: the containers are not known", text)
        self.assertIn("cannot be said whether the plan", self.refused("--only", "0" * 64))
        self.assert_old()
        self.cofferdam("apply", "--force")
        self.assertIn("loaded by force, although expectations cannot be tested", self.cofferdam.log())
        self.assert_old()
        self.cofferdam.write(ROLES)
        self.assertIn("in force when the Docker Engine answers", self.cofferdam("apply").stderr)

    def start_without_engine(self):
        settle, self.cofferdam.settle = self.cofferdam.settle, lambda seconds: None
        try:
            self.cofferdam.start()
        finally:
            self.cofferdam.settle = settle
        wait_until(lambda: self.cofferdam.json("status"), 5, "the daemon to answer")


class Unprotected(Gate, unittest.TestCase):
    """Where others can change the rules, and the daemon, tired of putting them right, waits for a moment."""

    START = False

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.cofferdam.start(protect_table="off")

    def rule(self):
        """The handle of one of ours, where it stands."""
        listing = self.engine.host.run("nft", "-s", "-a", "list", "chain", "inet", "cofferdam", "forward").stdout
        found = re.search(r"saddr != @live4 .*# handle (\d+)$", listing, re.MULTILINE)
        return found and found[1]

    def test_a_deleted_rule(self):
        number = self.plan(OTHER)
        for _ in range(12):
            handle = wait_until(self.rule, 3, "the rule to be there")
            self.engine.host.run("nft", "delete", "rule", "inet", "cofferdam", "forward", "handle", handle)
        result = self.cofferdam("apply", "--only", number)
        self.assertEqual(result.returncode, 1)
        self.assertIn(STALE + "chain forward of table inet cofferdam has 1 rule fewer\n", result.stderr)
        wait_until(self.rule, 5, "the rule to be there")
        result = self.cofferdam("apply", "--only", number)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assert_new()


if __name__ == "__main__":
    unittest.main()

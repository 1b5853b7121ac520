#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What is staged opens nothing and closes nothing, and what enforcing it would change is told: in each record, and summed up."""

import re
import unittest

from engine import OUTSIDE
from machine import wait_until
from playground import ROLES, Question, Talk
from test_denylog import Base

LAN = OUTSIDE["ipv4"]["lan"]
STAGED = ROLES.replace("select:", "mode: audit\nselect:")
# Beside ROLES: one that would let web reach the LAN, one that would keep it from db's name service, one of nobody.
BOTH_WAYS = ROLES + """
---
policy: more
mode: audit
select: {labels: {role: web}}
egress: [{to: [outside], ports: [80/tcp]}]
---
policy: less
mode: audit
select: {labels: {role: db}}
ingress: [{name: no-lookups, deny: true, from: [{labels: {role: web}}], ports: [53/udp]}]
---
policy: idle
mode: audit
select: {labels: {role: nobody}}
"""


class Watching(Base):
    def staged(self, status=None):
        """What `status --staged` says, which must be as its exit status says."""
        document = self.cofferdam.json("status", "--staged")
        result = self.cofferdam("status", "--staged")
        if status is not None:
            self.assertEqual(result.returncode, status, result.stdout + result.stderr)
        return document["staged"]

    @staticmethod
    def rows(item):
        """{(change, from, to, port)}"""
        return {(row["change"], row["from"], row["to"], row["port"]) for row in item["rows"]}

    def policy(self, name, staged=None):
        return next(policy for policy in (staged or self.staged())["policies"] if policy["name"] == name)

    def wait_for(self, wanted, get):
        """Rows are there as soon as a connection is."""
        wait_until(lambda: wanted <= self.rows(get(self.staged())), 10, f"{wanted} in {self.staged()}")

    def listens(self):
        """Does anybody in the host's namespace listen for new connections?"""
        lines = self.engine.host.run("cat", "/proc/net/netlink").stdout.splitlines()[1:]
        return any(fields[1] == "12" and int(fields[3], 16) & 1 for fields in map(str.split, lines))


class FirstInstallation(Watching, unittest.TestCase):
    """On a host with running containers, from no policy at all to everything enforced."""

    POLICIES = ""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.cofferdam.stop()
        cls.cofferdam("teardown", "--yes")

    def _pass(self, *questions):
        self.assert_results("connected", questions, 3000)

    def test_step_by_step(self):
        web, db, other = self.run_containers(web="web", db="db", other="other")
        with Talk(web, "tcp", db.address(), 5432) as talk:
            heard = talk.say()
            self.cofferdam.start(default_mode="audit", log={"file": self.file, "journal": "off"})

            # Nothing is cut, and all that would be denied is told, what stood before among it.
            self.assertEqual(talk.say(), heard)
            self.wait_for({("deny", "web", "db", "5432/tcp")}, lambda staged: staged["default_mode"])
            self._pass(Question(web, LAN, "80/tcp"), Question(other, db, "80/tcp"), Question(other, db, "80/tcp", "ipv6"),
                       Question(self.engine.lan, web, "80/tcp"), Question(db, "10.91.0.1", "80/tcp"))
            would = {("deny", "web", "db", "5432/tcp"), ("deny", "web", LAN, "80/tcp"), ("deny", "other", "db", "80/tcp"),
                     ("deny", "db", "host", "80/tcp")}
            self.wait_for(would, lambda staged: staged["all"])
            staged = self.staged(status=3)
            self.assertEqual(self.rows(staged["default_mode"]), self.rows(staged["all"]))
            self.assertEqual(staged["policies"], [])
            records = self.settled()
            self.assertEqual({record["event"]["action"] for record in records}, {"audited"})
            record = self.one(records, source__ip=web.address(), destination__ip=LAN)
            self.assert_fields(record["cofferdam"], {"verdict": "allow", "staged": {
                "verdict": "deny", "direction": "egress", "reason": "no policy selects it, and default_mode would be enforce",
                "policies": [], "changed_by": ["default_mode"]}})
            self.assertEqual(record["event"]["type"], ["connection", "allowed"])
            self.one(records, source__ip=web.address(), destination__ip=db.address())

            # Policies, staged.
            self.cofferdam.apply(STAGED)
            self.assertEqual(talk.say(), heard)
            self._pass(Question(web, LAN, "80/tcp"), Question(other, LAN, "80/tcp"), Question(web, db, "5432/tcp"))
            self.wait_for({("deny", "web", LAN, "80/tcp")}, lambda staged: self.policy("web", staged))
            self.wait_for({("deny", "web", LAN, "80/tcp"), ("deny", "other", LAN, "80/tcp")}, lambda staged: staged["all"])
            staged = self.staged(status=3)
            self.assertNotIn(("deny", "web", "db", "5432/tcp"), self.rows(staged["all"]))
            self.assertEqual(self.rows(self.policy("web", staged)), {("deny", "web", LAN, "80/tcp")})
            self.assertEqual(self.rows(self.policy("db", staged)), set())
            self.assertIn(("deny", "web", "db", "5432/tcp"), self.rows(staged["default_mode"]))

            # Enforced: its own containers, and no others.
            self.cofferdam.apply(ROLES)
            self.assertEqual(talk.say(), heard)
            self._pass(Question(other, LAN, "80/tcp"), Question(web, db, "5432/tcp"))
            self.assert_dropped(web, LAN, "80/tcp", families=("ipv4",))
            self.wait_for({("deny", "other", LAN, "80/tcp")}, lambda staged: staged["default_mode"])
            self.assertNotIn("web", {row["from"] for row in self.staged()["all"]["rows"]})

            # And in the end everybody.
            self.cofferdam.restart(log={"file": self.file, "journal": "off"})
            self.assertEqual(talk.say(), heard)
            self._pass(Question(web, db, "5432/tcp"))
            self.assert_dropped(other, LAN, "80/tcp", families=("ipv4",))
            self.assertEqual(self.staged(status=0)["default_mode"], None)
            self.assertIn("Nothing is staged", self.cofferdam("status", "--staged").stdout)
            self.assertFalse(self.listens())


class BothWays(Watching, unittest.TestCase):
    """Beside policies that are enforced."""

    POLICIES = BOTH_WAYS

    def _questions(self, web, db):
        return [Question(source, target, port, family) for family in ("ipv4", "ipv6")
                for source, target in ((web, db), (db, web), (self.engine.lan, web), (self.engine.host, web))
                for port in ("80/tcp", "5432/tcp", "53/udp", "icmp")] + [
                    Question(source, OUTSIDE[family]["lan"], "80/tcp", family) for family in ("ipv4", "ipv6")
                    for source in (web, db)]

    def test_packets_are_the_same_with_it_and_without(self):
        web, db = self.run_containers(web="web", db="db")
        results = {}
        self.addCleanup(self.cofferdam.apply, BOTH_WAYS)
        for policies in (BOTH_WAYS, ROLES):
            self.cofferdam.apply(policies)
            results[policies] = self.ask_all(self._questions(web, db), 1000)
        self.assertEqual(results[BOTH_WAYS], results[ROLES])
        self.assertEqual(set(results[ROLES]), {"connected", "timeout"})

    def test_records_and_their_sum(self):
        web, db = self.run_containers(web="web", db="db")
        for policies in (ROLES, BOTH_WAYS):  # what other tests have made goes
            self.cofferdam.apply(policies)
        self.assert_passes(web, db, "5432/tcp", families=("ipv4",))
        self.assert_passes(web, db, "53/udp", families=("ipv4",))
        self.assert_dropped(web, LAN, "80/tcp", families=("ipv4",))
        self.assert_dropped(web, db, "80/tcp", families=("ipv4",))
        cut, opened = ("deny", "web", "db", "53/udp"), ("allow", "web", LAN, "80/tcp")
        self.wait_for({cut, opened}, lambda staged: staged["all"])
        records = self.settled()

        lookup = record = self.one(records, destination__port=53, network__transport="udp")
        self.assertEqual(record["event"]["action"], "audited")
        self.assert_fields(record["cofferdam"]["staged"], {
            "verdict": "deny", "direction": "ingress", "policy": "less", "rule": "no-lookups", "policies": ["less", "more"],
            "reason": "rule no-lookups of policy less would deny it", "changed_by": ["less"]})
        self.assertRegex(record["cofferdam"]["staged"]["reference"], r"policies\.yaml:\d+$")
        self.assertIn("were all that is staged enforced, rule no-lookups of policy less would deny it", record["message"])
        record = self.one(records, destination__ip=LAN)
        self.assertEqual(record["event"]["action"], "dropped")
        self.assert_fields(record["cofferdam"]["staged"], {"verdict": "allow", "direction": "egress", "policy": "more",
                                                           "rule": "egress 1", "changed_by": ["more"]})
        record = self.one(records, destination__ip=db.address(), destination__port=80)
        self.assert_fields(record["cofferdam"]["staged"], {"verdict": "deny", "changed_by": []})
        # What passes, and would pass, is nobody's business here.
        self.assertEqual([r for r in records if r["destination"].get("port") == 5432], [])

        staged = self.staged(status=3)
        self.assertEqual(self.rows(staged["all"]), {cut, opened})
        self.assertEqual(self.rows(self.policy("less", staged)), {cut})
        self.assertEqual(self.rows(self.policy("more", staged)), {opened})
        idle = self.policy("idle", staged)
        self.assertEqual((idle["rows"], idle["containers"], idle["connections"]), ([], 0, 0))
        self.assertEqual(staged["default_mode"], None)
        row = next(row for row in staged["all"]["rows"] if row["change"] == "deny")
        self.assertEqual((row["direction"], row["count"]), ("ingress", lookup["cofferdam"]["count"]))
        self.assertLessEqual(row["first"], row["last"])

        text = self.cofferdam("status", "--staged").stdout
        self.assertRegex(text, r"would be denied +web +db +53/udp +\d+ ")
        self.assertRegex(text, rf"would pass +web +{re.escape(LAN)} +80/tcp ")
        self.assertRegex(text, r"idle, enforced alone \(.*policies\.yaml:\d+, 0 containers\)\n  nothing seen yet")

        # Loaded again unchanged, it goes on; with others it begins anew.
        self.cofferdam.apply(BOTH_WAYS)
        self.assertEqual(self.rows(self.staged()["all"]), {cut, opened})
        self.addCleanup(self.cofferdam.apply, BOTH_WAYS)
        self.cofferdam.apply(BOTH_WAYS.replace("53/udp]}]\n---\npolicy: idle", "54/udp]}]\n---\npolicy: idle"))
        self.assertNotIn(opened, self.rows(self.staged()["all"]))

    def test_nobody_listens_where_nothing_is_staged(self):
        self.run_container("web", "web")
        self.cofferdam.settle()
        wait_until(self.listens, 5, "the daemon to listen")
        self.addCleanup(self.cofferdam.apply, BOTH_WAYS)
        self.cofferdam.apply(ROLES)
        wait_until(lambda: not self.listens(), 5, "the daemon to listen no more")


if __name__ == "__main__":
    unittest.main()

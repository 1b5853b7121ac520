#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""From the document of `cofferdam status --json` alone, plan and explain say what the daemon says."""

import itertools
import json
import os
import tempfile
import unittest

from cofferdam import COMMAND, schemas
from machine import run
from playground import NOTHING, OPEN, ROLES, Playground

MORE = ROLES.replace("5432/tcp", "80/tcp") + """---
policy: staged
mode: audit
select: {labels: {role: web}}
egress: [{to: [internet], ports: [443/tcp]}]
---
policy: typo
select: {name: nobody}
---
expect: the web asks the database
allowed:
  - {from: {labels: {role: web}}, to: {labels: {role: db}}, ports: [5432/tcp]}
"""
DENY = ROLES + """---
policy: metadata
select: {network: front}
egress: [{name: none, deny: true, to: [{cidr: 169.254.169.254/32}]}, {to: [{cidr: 10.91.0.0/16}]}]
"""


class Offline(Playground, unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.run_containers(web="web", db="db")
        self.run_container("both", "web", networks=("front", "back"), publish=[(8080, 80, "tcp")])
        self.run_container("agent", networks=(), mode="host")
        self.run_container("gone", "db").stop()
        self.cofferdam.settle()
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        os.chmod(self.folder.name, 0o755)
        self.document = self.cofferdam.json("status")

    def elsewhere(self, verb, *arguments):
        """The command, of a user that may do nothing, where there is no network and no daemon. Returns status, document."""
        result = run(["unshare", "--net", "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", COMMAND, verb, "--json",
                      "--control", "/nonexistent", "--inventory", "-", *arguments], check=False, stdin=json.dumps(self.document))
        document = json.loads(result.stdout)
        schemas.check(verb, document)
        return result.returncode, document

    def here(self, verb, *arguments):
        """The daemon's answer, while what it knows is what self.document says: the host's addresses come late."""
        while True:
            result = self.cofferdam(verb, "--json", *arguments)
            before, self.document = self.document, self.cofferdam.json("status")
            if before["inventory"] == self.document["inventory"]:
                return result.returncode, json.loads(result.stdout)

    def test_plans(self):
        path = os.path.join(self.folder.name, "policies.yaml")
        for name, policies in {"the same": ROLES, "more": MORE, "deny": DENY, "nothing": NOTHING, "open": OPEN}.items():
            with self.subTest(name):
                with open(path, "w", encoding="utf-8") as file:
                    file.write(policies)
                status, plan = self.here("plan", path)
                elsewhere, other = self.elsewhere("plan", path)
                self.assertEqual(elsewhere, status)
                self.assertEqual((other.pop("plan_id"), other["rules"].pop("validated"), other["live_connections"].pop("known")),
                                 (None, None, False))
                self.assertEqual((len(plan.pop("plan_id")), plan["rules"].pop("validated"), plan["live_connections"].pop("known")),
                                 (64, True, True))
                plan["live_connections"]["cut"] = []
                plan["summary"]["live_connections_cut"] = 0
                # chains are listed as they were made, which is not the same here and there
                for document in plan, other:
                    document["rules"]["lines"].sort(key=json.dumps)
                self.assertEqual(other, plan)

    def test_explanations(self):
        ends = ["web", "both", "agent", "gone", "host", "192.0.2.77", "2001:db8::1"]
        for source, target in itertools.product(ends, ["db", *ends, "169.254.169.254"]):
            for port in (["5432/tcp"], ["8080/tcp"], []):
                with self.subTest(source=source, target=target, port=port):
                    here = self.here("explain", source, target, *port)
                    self.assertEqual(self.elsewhere("explain", source, target, *port), here)


if __name__ == "__main__":
    unittest.main()

#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""`cofferdam plan` and `check --inventory` know what real containers listen on, and say no more than that."""

import json
import os
import socket
import subprocess
import tempfile
import unittest

from cofferdam import BUILD
from pairs import open_in
from playground import Playground

POLICY = """
policy: app
select: {name: app}
ingress: [{from: [outside], ports: [PORT]}]
"""


class Listening(Playground, unittest.TestCase):
    POLICIES = "policy: none\nselect: {all: true}\n"

    def setUp(self):
        self.planned = self.engine.path("planned.yaml")

    def said(self, port, policy=POLICY):
        """What plan says of nobody listening on this port, and what check says with the inventory of the moment; they agree."""
        with open(self.planned, "w", encoding="utf-8") as file:
            file.write(policy.replace("PORT", port))
        plan = self.of(self.cofferdam.json("plan", self.planned)["problems"])
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump(self.cofferdam.json("status"), file)
            file.flush()
            result = subprocess.run([os.path.join(BUILD, "src/cli/cofferdam"), "check", "--json", "--inventory", file.name,
                                     self.planned], capture_output=True, text=True, check=True)
        self.assertEqual(plan, self.of(json.loads(result.stdout)["diagnostics"]))
        return plan

    @staticmethod
    def of(problems):
        return [problem["message"] for problem in problems if problem.get("code") == "C119"]

    def entry(self, name):
        return next(container for container in self.cofferdam.json("status")["inventory"]["containers"]
                    if container["name"] == name)

    def bind(self, container, family, kind, address, port):
        server = open_in(container, family, kind)
        self.addCleanup(server.close)
        server.bind((address, port))
        if kind == socket.SOCK_STREAM:
            server.listen(1)
        return server

    def test_what_listens(self):
        app = self.run_container("app", "app", networks=("front", "back"))
        other = self.run_container("other", "other")
        self.cofferdam.settle()
        for port in ("80/tcp", "5432/tcp", "53/udp", "9000-9009/tcp", "tcp", "7/sctp", "icmp"):
            self.assertEqual(self.said(port), [], port)
        self.assertEqual(self.said("81/tcp"), ["app does not listen on 81/tcp, nor expose it"])
        self.assertEqual(self.said("80/udp"), ["app does not listen on 80/udp, nor expose it"])
        # a server that comes and goes, in the next plan
        server = self.bind(app, socket.AF_INET6, socket.SOCK_STREAM, "::", 81)
        self.assertEqual(self.said("81/tcp"), [])
        server.close()
        self.assertEqual(len(self.said("81/tcp")), 1)
        # loopback addresses are nobody else's
        for family, address, port in ((socket.AF_INET, "127.0.0.1", 6379), (socket.AF_INET6, "::1", 6380),
                                      (socket.AF_INET6, "::ffff:127.0.0.1", 6381)):
            self.bind(app, family, socket.SOCK_STREAM, address, port)
            self.assertEqual(self.said(f"{port}/tcp"),
                             [f"app listens on {port}/tcp at a loopback address only, where nobody else gets"])
        self.bind(app, socket.AF_INET, socket.SOCK_DGRAM, "127.0.0.1", 8125)
        self.assertIn("loopback", self.said("8125/udp")[0])
        # one address is as good as all
        self.bind(app, socket.AF_INET, socket.SOCK_STREAM, app.addresses("ipv4")["front"], 6379)
        self.assertEqual(self.said("6379/tcp"), [])
        # somebody's client is nobody's server
        client = self.bind(app, socket.AF_INET, socket.SOCK_DGRAM, app.addresses("ipv4")["front"], 4444)
        client.connect((other.addresses("ipv4")["front"], 53))
        self.assertEqual(len(self.said("4444/udp")), 1)
        # the namespace of another container is another one
        self.bind(other, socket.AF_INET, socket.SOCK_STREAM, "0.0.0.0", 7777)
        self.assertEqual(len(self.said("7777/tcp")), 1)
        self.assertIn("7777/tcp", self.entry("other")["listening"])
        self.assertNotIn("7777/tcp", self.entry("app")["listening"])

    def test_what_is_exposed_or_published(self):
        self.run_container("app", "app", publish=[(18080, 8080, "tcp")])
        self.cofferdam.settle()
        self.assertEqual(self.entry("app")["exposed"], ["8080/tcp"])
        self.assertEqual(self.said("8080/tcp"), [])
        self.assertEqual(len(self.said("18080/tcp")), 1)
        with open(self.planned, encoding="utf-8") as file:
            self.assertIn("18080/tcp", file.read())
        problem = next(problem for problem in self.cofferdam.json("plan", self.planned)["problems"] if problem.get("code") == "C119")
        self.assertEqual(problem["help"], "port 18080 of the host leads to 8080/tcp of app: policies name that one")

    def test_what_is_not_known(self):
        app = self.run_container("app", "app")
        self.cofferdam.settle()
        self.assertEqual(len(self.said("81/tcp")), 1)
        app.stop()
        self.cofferdam.settle()
        self.assertNotIn("listening", self.entry("app"))
        self.assertEqual(self.said("81/tcp"), [])
        app.start()
        self.cofferdam.settle()
        self.assertEqual(len(self.said("81/tcp")), 1)

    def test_who_may_redirect(self):
        self.run_container("app", "app", CapAdd=["NET_ADMIN"])
        self.cofferdam.settle()
        self.assertEqual(self.said("81/tcp"), [])

    def test_one_of_several(self):
        policy = POLICY.replace("name: app", 'name: "app*"')
        first = self.run_container("app-1", "app")
        self.run_container("app-2", "app")
        self.cofferdam.settle()
        self.assertEqual(self.said("81/tcp", policy), ["none of 2 containers, such as app-1, listens on 81/tcp or exposes it"])
        self.bind(first, socket.AF_INET, socket.SOCK_STREAM, "0.0.0.0", 81)
        self.assertEqual(self.said("81/tcp", policy), [])

    def test_rules_by_which_nothing_passes(self):
        """Half a connection, a whole one, and a denied one: what is said is what packets meet."""
        half = ("policy: a\nselect: {name: app}\negress: [{to: [{name: other}], ports: [5432/tcp]}]\n---\n"
                "policy: b\nselect: {name: other}\ningress: [{from: [{name: app}], ports: [PORT/tcp]}]\n")
        deny = "---\npolicy: c\nselect: {all: true}\ningress: [{deny: true, ports: [tcp]}]\n"
        app, other = self.run_container("app"), self.run_container("other")
        self.cofferdam.settle()
        for policies, codes, passes in ((half.replace("PORT", "80"), ["C117", "C117"], False),
                                        (half.replace("PORT", "5432"), [], True),
                                        (half.replace("PORT", "5432") + deny, ["C116", "C117"], False)):
            self.cofferdam.apply(policies)
            problems = self.cofferdam.json("plan")["problems"]
            self.assertEqual(sorted(problem["code"] for problem in problems), codes)
            (self.assert_passes if passes else self.assert_dropped)(app, other)
        self.assertIn(" denies it", next(problem["message"] for problem in problems if problem["code"] == "C117"))

    def test_it_is_not_part_of_the_plan(self):
        app = self.run_container("app", "app")
        self.cofferdam.settle()
        self.said("80/tcp")
        before = self.cofferdam.json("plan", self.planned)["plan_id"]
        self.bind(app, socket.AF_INET, socket.SOCK_STREAM, "0.0.0.0", 81)
        self.assertEqual(self.cofferdam.json("plan", self.planned)["plan_id"], before)


if __name__ == "__main__":
    unittest.main()

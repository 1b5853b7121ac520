#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What a lockdown says of volumes, namespaces and sockets that it cannot cut, of a real engine's containers."""

import unittest

from cofferdam import follows
from playground import OPEN, Playground


class Shared(Playground, unittest.TestCase):
    POLICIES = OPEN

    def report(self, name):
        return self.cofferdam.json("lockdown", "--dry-run", name)["containers"][0]

    def people(self):
        srv = self.engine.path("srv")
        self.engine.host.run("mkdir", "-p", srv + "/in")
        web = self.run_container("web", Binds=["shop:/data", srv + ":/srv", self.engine.socket + ":/docker.sock:ro"])
        self.run_container("reader", Binds=["shop:/data:ro"])
        self.run_container("writer", VolumesFrom=["web"])
        self.run_container("below", Binds=[srv + "/in:/in"])
        self.run_container("alone", Binds=["other:/data"])
        self.run_container("debug", PidMode="container:web")
        self.run_container("memory", IpcMode="container:" + self.run_container("shm", IpcMode="shareable").id)
        return web, srv

    def test_what_is_shared(self):
        _, srv = self.people()
        follows(lambda: self.report("web")["shares_namespaces_with"], "the inspections")
        report = self.report("web")
        self.assertEqual(report["engine_socket"], self.engine.socket)
        self.assertEqual(report["shares_namespaces_with"], [{"name": "debug", "namespace": "pid"}])
        shared = {(each["name"], each["volume"] or each["path"]): each["read_only"] for each in report["shares_volumes_with"]}
        self.assertEqual(shared, {("reader", "shop"): True, ("writer", "shop"): False, ("writer", srv): False,
                                  ("below", srv + "/in"): False})
        alone = self.report("alone")
        self.assertEqual((alone["engine_socket"], alone["shares_namespaces_with"], alone["shares_volumes_with"]), (None, [], []))
        follows(lambda: self.report("shm")["shares_namespaces_with"] == [{"name": "memory", "namespace": "ipc"}],
                "the other inspections")

    def test_it_is_said_first(self):
        self.people()
        follows(lambda: self.report("web")["shares_namespaces_with"], "the inspections")
        lines = self.cofferdam("lockdown", "--dry-run", "web").stdout.splitlines()
        self.assertTrue(lines[0].startswith("web can start other containers, which are not cut off"), lines)
        self.assertIn("docker pause web", lines[0])
        self.assertIn("  reader reads what web writes: volume shop", lines)
        self.assertIn("  web and writer read what the other writes: volume shop", lines)
        self.assertIn("  web and debug see each other's processes (--pid)", lines)
        self.assertLess(lines.index("  reader reads what web writes: volume shop"), lines.index("web would be cut off"))


if __name__ == "__main__":
    unittest.main()

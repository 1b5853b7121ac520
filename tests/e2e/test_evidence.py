#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""cofferdam lockdown --evidence: what the cut destroys is on the disk before, and nothing that goes wrong there holds the cut up."""

import hashlib
import json
import os
import re
import signal
import stat
import time
import unittest

from cofferdam import schemas
from flows import table
from machine import run
from pairs import Pair
from playground import OPEN, Playground

class Base(Playground):
    POLICIES = OPEN

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.times = []
        for name in ("acct", "timestamp"):
            cls.engine.host.run("sysctl", "-q", "-w", f"net.netfilter.nf_conntrack_{name}=1")

    def setUp(self):
        super().setUp()
        self.folder = self.engine.path(f"evidence-{time.monotonic_ns()}")
        self.addCleanup(self.cofferdam, "release", "--all")

    def lock(self, *arguments, status=0, folder=None):
        """(the report, the evidence's part of it)"""
        result = self.cofferdam("lockdown", "--json", "--evidence", folder or self.folder, *arguments)
        self.assertEqual(result.returncode, status, result.stdout + result.stderr)
        document = json.loads(result.stdout)
        schemas.check("lockdown", document)
        self.times.append(document["evidence"]["took_usec"] / 1000)
        return document, document["evidence"]

    def read(self, path, *names):
        with open(os.path.join(path, *names), encoding="utf-8") as file:
            return json.load(file)

    def check(self, path):
        """The manifest of whole evidence, whose files are as it says."""
        manifest = self.read(path, "manifest.json")
        schemas.check("evidence", manifest)
        summed = run(["sh", "-c", f"cd '{path}' && sha256sum -c --strict SHA256SUMS"], check=False)
        self.assertEqual(summed.returncode, 0, summed.stdout + summed.stderr)
        there = {os.path.relpath(os.path.join(folder, name), path) for folder, _, names in os.walk(path) for name in names}
        self.assertEqual(there, {each["name"] for each in manifest["files"]} | {"manifest.json", "SHA256SUMS"})
        self.assertEqual(len(summed.stdout.splitlines()), len(there) - 1)  # all but itself
        for folder, _, names in os.walk(path):
            self.assertEqual(stat.S_IMODE(os.stat(folder).st_mode), 0o700)
            for name in names:
                self.assertEqual(stat.S_IMODE(os.lstat(os.path.join(folder, name)).st_mode), 0o600, name)
        for each in manifest["files"]:
            with open(os.path.join(path, each["name"]), "rb") as file:
                content = file.read()
            self.assertEqual((len(content), hashlib.sha256(content).hexdigest()), (each["size"], each["sha256"]))
        return manifest

    def witness(self, address):
        """What conntrack(8) says of an address: {protocol: (packets and bytes of both directions)}"""
        text = self.engine.host.run("conntrack", "-L").stdout
        return {line.split()[0]: tuple(map(int, re.findall(r"packets=(\d+) bytes=(\d+)", line)[0]
                                           + re.findall(r"packets=(\d+) bytes=(\d+)", line)[1]))
                for line in text.splitlines() if f"={address} " in line}

    def talk(self, web, db):
        pairs = [Pair(proto, db, web, web.address("ipv4")) for proto in ("udp", "tcp")]
        self.addCleanup(lambda: [pair.close() for pair in pairs])
        for _ in range(3):
            pairs[0].near.send(b"x" * 100)
        pairs[1].near.send(b"y" * 10000)
        time.sleep(0.3)
        return pairs

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        times = sorted(cls.times)
        if times:
            table("evidence, ms before the cut", ["median", "most", "of"],
                  [[f"{times[len(times) // 2]:.0f}", f"{times[-1]:.0f}", len(times)]])


class Taken(Base, unittest.TestCase):
    def test_what_the_cut_destroys(self):
        web, db = self.run_containers(web="web", db="db")
        self.talk(web, db)
        before = self.witness(web.address("ipv4"))
        report, evidence = self.lock("web", "--reason", "it looks odd")
        self.assertEqual((evidence["path"], evidence["complete"], evidence["missing"]), (self.folder, True, []))
        self.assertEqual(self.witness(web.address("ipv4")), {})  # the cut has deleted them
        manifest = self.check(self.folder)
        self.assertEqual(evidence["files"], len(manifest["files"]) + 1)
        self.assertEqual((manifest["reason"], manifest["asked"]), ("it looks odd", {"containers": ["web"]}))
        self.assertEqual(manifest["containers"], [{"name": "web", "id": web.id, "folder": ""}])
        self.assertIn("--evidence", manifest["who"]["command"])
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            self.assertEqual(manifest["host"]["boot_id"], file.read().strip())
        self.assertTrue(manifest["begun"] <= manifest["files"][0]["taken"] <= manifest["collected"])
        flows = self.read(self.folder, "flows.json")
        seen = {flow["protocol"]: flow for flow in flows["flows"] if flow["original"]["destination_port"] in (5002, 5003)}
        for proto, flow in seen.items():
            self.assertEqual((flow["original"]["packets"], flow["original"]["bytes"],
                              flow["reply"]["packets"], flow["reply"]["bytes"]), before[proto], proto)
            self.assertEqual((flow["original"]["source"], flow["reply"]["source"]), (db.address("ipv4"), web.address("ipv4")))
            self.assertTrue(flow["start"].endswith("Z"))
        self.assertEqual((seen["udp"]["original"]["packets"], seen["udp"]["original"]["bytes"]), (4, 29 + 3 * 128))
        self.assertGreater(seen["tcp"]["original"]["bytes"], 10000)
        self.assertEqual(seen["tcp"]["tcp_state"], "ESTABLISHED")
        self.assertIn("assured", seen["tcp"]["status"])
        lockdown = self.read(self.folder, "lockdown.json")
        report.pop("evidence")
        self.assertEqual({key: value for key, value in report.items() if key != "format_version"},
                         {key: value for key, value in lockdown.items() if key != "format_version"})

    def test_who_was_where_and_what_was_allowed(self):
        web, db = self.run_containers(web="web", db="db")
        self.assert_passes(self.engine.host, web, "80/tcp")
        self.assert_passes(db, web, "80/tcp")
        self.lock("web")
        self.check(self.folder)
        neighbours = self.read(self.folder, "neighbours.json")["neighbours"]
        info = web.inspect()["NetworkSettings"]["Networks"]["front"]
        host = [each for each in neighbours if each["table"] == "host" and each["address"] == web.address("ipv4")]
        self.assertEqual([(each["mac"], each["interface"]) for each in host], [(info["MacAddress"], self.engine.bridge("front"))])
        learnt = [each for each in neighbours if each["table"] == "bridge" and each["mac"] == info["MacAddress"]]
        self.assertEqual({each["bridge"] for each in learnt}, {self.engine.bridge("front")})
        policies = self.read(self.folder, "policies.json")
        self.assertEqual([(each["name"], os.path.basename(each["file"]), each["line"]) for each in policies["policies"]],
                         [("open", "policies.yaml", 1)])
        self.assertTrue(any(web.address("ipv4") in each["element"] for each in policies["elements"]))
        counted = [each for each in policies["rules"] if each.get("packets", 0) > 0 and "open" in each["rule"]]
        self.assertTrue(counted, policies["rules"])
        inspected = self.read(self.folder, "inspect.json")
        self.assertEqual((inspected["Id"], inspected["HostConfig"]), (web.id, web.inspect()["HostConfig"]))
        self.assertIn("80/tcp", self.read(self.folder, "sockets.json")["listening"])
        schemas.check("status", self.read(self.folder, "status.json"))
        rules = os.path.join(self.folder, "rules.nft")
        self.assertEqual(self.engine.lan.run("nft", "-c", "-f", rules, check=False).stderr, "")
        with open(rules, encoding="ascii") as file:
            text = file.read()
        self.assertRegex(text, r"counter packets [1-9]")
        self.assertIn(web.address("ipv4"), text)

    def test_several_and_by_selector(self):
        one, two, joined = (self.run_container(name, "many") for name in ("one", "two.x-y_z", "three"))
        other = self.engine.create("sidecar", (), mode=f"container:{one.id}", labels={"role": "many"},
                                   command=["probe", "serve", "4001/udp"])
        self.addCleanup(self._remove, other)
        other.start()
        self.cofferdam.settle()
        self.assert_passes(self.engine.host, one, "80/tcp", ("ipv4",))
        _, evidence = self.lock("--select", "label=role=many", "--except", "three")
        manifest = self.check(evidence["path"])
        folders = {each["name"]: each["folder"] for each in manifest["containers"]}
        self.assertEqual(folders, {"one": f"one-{one.id[:12]}/", "two.x-y_z": f"two.x-y_z-{two.id[:12]}/",
                                   "sidecar": f"sidecar-{other.id[:12]}/"})
        self.assertNotIn(joined.name, folders)
        for name in ("one", "sidecar"):  # it has the other's network
            flows = self.read(evidence["path"], folders[name], "flows.json")["flows"]
            self.assertTrue([flow for flow in flows if flow["original"].get("destination_port") == 80], name)

    def test_folders_that_are_there(self):
        self.run_container("web")
        os.mkdir(self.folder, 0o700)
        _, evidence = self.lock("web")
        self.assertEqual(evidence["path"], self.folder)  # it was empty
        before = self.check(self.folder)
        _, evidence = self.lock("web")
        self.assertRegex(evidence["path"], rf"^{re.escape(self.folder)}/\d{{8}}T\d{{6}}Z-web$")
        self.check(evidence["path"])
        self.assertEqual(self.read(self.folder, "manifest.json"), before)
        shared = self.folder + "-shared"
        os.mkdir(shared)
        os.chmod(shared, 0o777)
        _, evidence = self.lock("web", folder=shared)  # empty, but not its own
        self.assertNotEqual(evidence["path"], shared)
        self.check(evidence["path"])

    def test_wrong_usage(self):
        self.run_container("web")
        for arguments in (["--dry-run", "web"], ["--list"]):
            result = self.cofferdam("lockdown", "--evidence", self.folder, *arguments)
            self.assertEqual(result.returncode, 64, result.stderr)
        result = self.cofferdam("lockdown", "--evidence", self.folder, "nobody")
        self.assertEqual(result.returncode, 1)
        self.assertFalse(os.path.exists(self.folder))

    def test_it_is_said(self):
        self.run_container("web")
        lines = self.cofferdam("lockdown", "--evidence", self.folder, "web").stdout.splitlines()
        said = [line for line in lines if line.startswith(f"The evidence is in {self.folder}: ")]
        self.assertRegex(said[0], r": \d+ files, taken before the cut in \d+ ms\.$")


class GoesWrong(Base, unittest.TestCase):
    def assert_cut(self, web):
        self.assert_dropped(self.engine.host, web, "80/tcp")

    def test_no_folder(self):
        web = self.run_container("web")
        os.symlink(self.engine.path("policies"), self.folder)
        with open(self.folder + "-file", "w", encoding="ascii"):
            pass
        for folder, why in ((self.folder, "it is a symbolic link"), (self.folder + "-file", "Not a directory"),
                            (self.folder + "-none/x", "No such file or directory"), ("/proc/x", "No such file or directory")):
            report, evidence = self.lock("web", status=1, folder=folder)
            self.assertTrue(report["verified"] and report["saved"])
            self.assertEqual([(each["what"], each["why"]) for each in evidence["missing"]], [("folder", f"{folder}: {why}")])
            self.assertIsNone(evidence["path"])
            self.assert_cut(web)
            self.cofferdam("release", "web")
        self.assertEqual(os.listdir(self.engine.path("policies")), ["policies.yaml"])

    def full(self, size):
        os.mkdir(self.folder, 0o700)
        run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=0700", "none", self.folder])
        self.addCleanup(run, ["umount", self.folder])

    def test_a_full_disk(self):
        web, db = self.run_containers(web="web", db="db")
        self.talk(web, db)
        self.full("12k")
        report, evidence = self.lock("web", status=1)
        self.assertTrue(report["verified"] and report["saved"])
        self.assertTrue(report["connections"])
        self.assert_cut(web)
        self.assertFalse(evidence["complete"])
        self.assertTrue(any("No space left on device" in each["why"] for each in evidence["missing"]), evidence)
        flows = self.read(self.folder, "flows.json")["flows"]  # what goes first was taken first
        self.assertTrue([flow for flow in flows if flow["original"].get("destination_port") == 5003])

    def test_a_disk_that_is_read_only(self):
        web = self.run_container("web")
        self.full("1m")
        run(["mount", "-o", "remount,ro", self.folder])
        report, evidence = self.lock("web", status=1)
        self.assertTrue(report["verified"])
        self.assert_cut(web)
        self.assertEqual({"Read-only file system"} & {each["why"].rpartition(": ")[2] for each in evidence["missing"]},
                         {"Read-only file system"})

    def test_an_engine_that_hangs(self):
        web, db = self.run_containers(web="web", db="db")
        self.talk(web, db)
        self.engine.dockerd.process.send_signal(signal.SIGSTOP)
        try:
            report, evidence = self.lock("web", status=1)
        finally:
            self.engine.dockerd.process.send_signal(signal.SIGCONT)
        self.assertTrue(report["verified"])
        self.assert_cut(web)
        self.assertLess(evidence["took_usec"], 2500000)
        self.assertEqual({each["what"] for each in evidence["missing"]}, {"inspect", "engine"})
        self.assertTrue(self.read(self.folder, "flows.json")["flows"])
        self.assertFalse(self.check(self.folder)["complete"])

    def assert_alone(self, web):
        """The command does without the daemon, and has the evidence first."""
        _, evidence = self.lock("web", status=1)
        self.assertEqual([each["what"] for each in evidence["missing"]], ["daemon"])
        manifest = self.check(self.folder)
        self.assertEqual(manifest["missing"], evidence["missing"])
        self.assertEqual(manifest["containers"][0]["id"], web.id)
        self.assertTrue(manifest["cut"])
        flows = self.read(self.folder, "flows.json")["flows"]
        self.assertTrue([flow for flow in flows if flow["original"].get("destination_port") == 5003])
        self.assertEqual(self.read(self.folder, "inspect.json")["Id"], web.id)
        self.assertEqual(self.witness(web.address("ipv4")), {})
        self.assert_cut(web)

    def test_a_daemon_that_is_dead(self):
        web, db = self.run_containers(web="web", db="db")
        self.talk(web, db)
        self.cofferdam.stop(signal.SIGKILL)
        self.addCleanup(self.cofferdam.start)
        self.assert_alone(web)

    def test_a_daemon_that_hangs(self):
        web, db = self.run_containers(web="web", db="db")
        self.talk(web, db)
        self.cofferdam.process.process.send_signal(signal.SIGSTOP)
        try:
            self.assert_alone(web)
        finally:
            self.cofferdam.process.process.send_signal(signal.SIGCONT)


if __name__ == "__main__":
    unittest.main()

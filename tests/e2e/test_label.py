#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Labels that Cofferdam alone sees: policies go by them as by Docker's, and they live as long as their container."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import unittest

from cofferdam import follows, schemas
from engine import OUTSIDE
from machine import run, wait_until
from playground import OPEN, Playground, Question, Talk
from test_kills import ALL, CHANGING, Trace

# The policy that is prepared for the day on which it is needed, beside one that grants everything.
QUARANTINE = OPEN + """---
policy: quarantine
select: {labels: {quarantine: "yes"}}
ingress: [{deny: true}]
egress: [{deny: true}]
"""
COMPOSE = {"com.docker.compose.project": "shop", "com.docker.compose.service": "web",
           "com.docker.compose.container-number": "1"}


class Base(Playground):
    POLICIES = QUARANTINE

    def setUp(self):
        super().setUp()
        self.addCleanup(self._forget)

    def assert_results(self, want, questions, timeout=700):
        """Whom nobody tells a neighbour's hardware address finds him unreachable, after a while."""
        for question, result in zip(questions, self.ask_all(questions, timeout)):
            self.assertIn(result, (want, "unreachable") if want == "timeout" else (want,), str(question))

    def _forget(self):
        if self.cofferdam.json("label", "--list")["lost"]:
            self.cofferdam("label", "--reset")
        for label in self.given():
            self.cofferdam("label", label["container"], label["key"] + "-")
        self.assertEqual([label for label in self.given() if not label["ended"]], [])

    def given(self):
        return self.cofferdam.json("label", "--list")["given"]

    def label(self, *arguments, status=0):
        """The report of the command."""
        result = self.cofferdam("label", "--json", *arguments)
        self.assertEqual(result.returncode, status, result.stdout + result.stderr + self.cofferdam.log()[-2000:])
        document = json.loads(result.stdout)
        schemas.check("label", document)
        return document

    def path(self):
        return os.path.join(self.cofferdam.settings["state"], "labels.json")

    def container_status(self, name):
        return next(c for c in self.cofferdam.json("status")["containers"] if c["name"] == name)


class Counts(Base, unittest.TestCase):
    """What it does."""

    def test_a_quarantine_that_was_prepared(self):
        web, db = self.run_containers(web="web", db="db")
        self.assert_passes(db, web)
        with Talk(db, "tcp", web.address("ipv4"), 5432) as inward, \
                Talk(web, "tcp", OUTSIDE["ipv4"]["public"], 80) as outward, \
                Talk(db, "tcp", OUTSIDE["ipv4"]["public"], 80) as bystander:
            self.assertEqual([talk.say() for talk in (inward, outward, bystander)], ["answered"] * 3)
            report = self.label("web", "quarantine=yes", "--reason", "it looks odd")
            self.assertEqual([talk.say() for talk in (inward, outward, bystander)], ["timeout", "timeout", "answered"])
        self.assertTrue(report["verified"])
        self.assertEqual((report["problems"], report["warnings"]), ([], []))
        self.assertEqual([(c["name"], c["labels"], c["selected_by"], c["no_longer_selected_by"]) for c in report["containers"]],
                         [("web", {"quarantine": "yes"}, [{"name": "quarantine", "mode": "enforce"}], [])])
        self.assertIn(("db", "web", "5432/tcp"), [(c["from"], c["to"], c["port"]) for c in report["connections"]])
        self.assertNotIn("db", [c["from"] for c in report["connections"] if c["to"] != "web"])
        self.assert_cut_off(web, db)
        self.assert_passes(db, OUTSIDE["ipv4"]["public"], "80/tcp", ("ipv4",))
        self.assertEqual(self.cofferdam("verify").returncode, 0)
        status = self.container_status("web")
        self.assertEqual(sorted(p["name"] for p in status["policies"]), ["open", "quarantine"])
        self.assertEqual([(g["key"], g["reason"]) for g in status["overlay_labels"]], [("quarantine", "it looks odd")])
        self.assertRegex(self.cofferdam("status").stdout,
                         r"(?m)^  web: label quarantine=yes, given by root at \S+Z: it looks odd$")
        told = self.cofferdam("explain", "db", "web", "5432/tcp")
        self.assertEqual(told.returncode, 3)
        self.assertIn("quarantine", told.stdout)
        report = self.label("web", "quarantine-")
        self.assertEqual([p["name"] for p in report["containers"][0]["no_longer_selected_by"]], ["quarantine"])
        self.assert_passes(db, web)
        self.assert_passes(web, db)
        self.assertEqual(self.given(), [])

    def test_a_dry_run_foretells_it(self):
        web, db = self.run_containers(web="web", db="db")
        with Talk(db, "tcp", web.address("ipv4"), 5432) as talk:
            self.assertEqual(talk.say(), "answered")
            rules = self.cofferdam.ruleset()
            report = self.label("web", "quarantine=yes", "--dry-run")
            self.assertEqual(talk.say(), "answered")
            self.assertEqual(self.given(), [])
            self.assertFalse(os.path.exists(self.path()) and json.load(open(self.path(), encoding="utf-8"))["labels"])
        self.assertEqual([c["name"] for c in report["containers"]], ["web"])
        self.assertEqual([p["name"] for p in report["containers"][0]["selected_by"]], ["quarantine"])
        self.assertIn(("db", "web", "5432/tcp"), [(c["from"], c["to"], c["port"]) for c in report["connections"]])
        self.assertRegex(report["changes_text"], r"(?m)^- db, host, outside +-> web +every port  allowed -> denied .*quarantine")
        self.assertEqual({c["new"] for c in report["changes"]}, {"denied"})
        self.assertEqual(len(rules.splitlines()), len(self.cofferdam.ruleset().splitlines()))

    def test_peers_and_the_same_value_and_none(self):
        self.cofferdam.apply("""
policy: tiers
select: {labels: {tier: "*"}}
ingress: [{from: [{same: tier}], ports: [5432/tcp]}, {from: [{labels: {friend: "yes"}}], ports: [80/tcp]}]
egress: [{to: [containers]}]
---
policy: rest
select: {labels: {tier: null}}
egress: [{to: [containers]}]
""")
        self.addCleanup(self.cofferdam.apply, QUARANTINE)
        web, db = self.run_containers(web="web", db="db")
        self.cofferdam.settle()
        self.assert_dropped(web, db)
        self.label("db", "tier=data")
        self.assert_dropped(web, db)
        self.label("web", "tier=data")
        self.assert_passes(web, db)
        self.assert_dropped(web, db, "80/tcp")
        self.label("web", "friend=yes", "tier-")
        self.assert_dropped(web, db)
        self.assert_passes(web, db, "80/tcp")
        self.assertEqual([p["name"] for p in self.container_status("web")["policies"]], ["rest"])
        # what is printed of the host says the same without the daemon
        path = self.engine.path("inventory.json")
        with open(path, "w", encoding="utf-8") as file:
            json.dump(self.cofferdam.json("status"), file)
        for port, status in (("80/tcp", 0), ("5432/tcp", 3)):
            for more in ((), ("--inventory", path)):
                self.assertEqual(self.cofferdam("explain", "web", "db", port, *more).returncode, status, (port, more))
        self.label("web", "friend=no")
        self.assert_dropped(web, db, "80/tcp")
        graph = self.cofferdam.json("graph")
        self.assertNotIn("80/tcp", json.dumps(graph))

    def test_before_dockers_and_its_images(self):
        self.engine.image("labelled:1", {"quarantine": "yes", "role": "db"})
        web = self.run_container("web", labels={"quarantine": "no"})
        lying = self.run_container("lying", image="labelled:1")
        db = self.run_container("db")
        self.cofferdam.settle()
        self.follow(db, lying)  # the image's label counts for nothing
        self.label("web", "quarantine=yes")
        self.assert_cut_off(web, db)
        self.assertEqual(self.cofferdam("label", "web", "role-").returncode, 1)
        listed = {label["key"]: label for label in self.label("lying")["labels"]}
        self.assertEqual((listed["role"]["from"], listed["role"]["counts"]), ("image", False))
        self.label("lying", "quarantine=yes")  # the same value, but given
        self.assert_cut_off(lying, db)
        listed = {(label["key"], label["from"]): label["counts"] for label in self.label("web")["labels"]}
        self.assertEqual(listed, {("quarantine", "cofferdam"): True, ("quarantine", "docker"): False})
        self.label("web", "quarantine-")
        self.assert_passes(db, web)
        told = self.cofferdam("label", "web", "quarantine-")
        self.assertEqual(told.returncode, 1)
        self.assertIn("from Docker", told.stderr)
        self.label("lying", "quarantine=no")
        self.assert_passes(db, lying)
        self.assertEqual(self.cofferdam("lockdown", "--select", "label=quarantine=no").returncode, 0)
        self.addCleanup(self.cofferdam, "release", "--all")
        self.assert_cut_off(lying, db)

    def test_where_no_policy_is_enforced_it_is_said(self):
        web = self.run_container("web", "web")
        joined = self.engine.create("joined", (), mode=f"container:{web.id}", command=["probe", "serve", "4001/udp"])
        self.addCleanup(self._remove, joined)
        joined.start()
        self.run_container("agent", networks=(), mode="host")
        self.cofferdam.settle()
        for name, why in (("joined", "joined shares the network of web"), ("agent", "agent uses the host's network")):
            follows(lambda name=name: any(c["name"] == name for c in self.cofferdam.json("status")["containers"]), name)
            report = self.label(name, "quarantine=yes", status=1)
            self.assertIn(why, report["problems"][0])
            self.label(name, "quarantine-")

    def test_many_by_a_selector(self):
        web, db, other = self.run_containers(web="front", db="front", other="back")
        self.cofferdam.settle()
        report = self.label("--select", "label=role=front", "quarantine=yes")
        self.assertEqual(sorted(c["name"] for c in report["containers"]), ["db", "web"])
        self.assert_cut_off(web, db, other)
        late = self.run_container("late", "front")  # it means those of that moment
        self.follow(other, late)
        self.label("--select", "name=*", "quarantine-")
        self.assert_passes(other, web)
        self.assertEqual(self.given(), [])

    def test_bad_requests(self):
        self.run_container("web", "web")
        self.cofferdam.settle()
        for arguments, status in (
                (("nobody", "a=b"), 1), (("web", "a"), 64), (("web", "=b"), 64), (("web", "a=b", "a-"), 64),
                (("web", "com.docker.compose.project=shop"), 64), (("web", "k" * 256 + "=x"), 64), (("web", "k=" + "v" * 1025), 64),
                (("web", "a\x1b=b"), 64), (("web", "a=b\n"), 64), (("web", "a-"), 1), ((), 64), (("--list", "web"), 64),
                (("--select", "label=role=nobody", "a=b"), 1), (("--select", "x=y", "a=b"), 64), (("--reset",), 1),
                (("web", "--follow"), 64), (("web", *(f"k{number}=x" for number in range(65))), 64),
                (("web", "a=b", "--reason", "r" * 1001), 64)):
            result = self.cofferdam("label", *arguments)
            self.assertEqual(result.returncode, status, f"{arguments}: {result.stdout}{result.stderr}")
            self.assertTrue(result.stderr, arguments)
        self.assertEqual(self.given(), [])
        self.label("web", *(f"k{number}=x" for number in range(64)))
        self.assertEqual(self.cofferdam("label", "web", "more=x").returncode, 1)
        self.label("web", *(f"k{number}-" for number in range(64)))
        self.assertEqual(self.label("web", "unheard=of")["warnings"], ["no policy asks about label unheard"])
        self.label("web", "unheard-")


class Holds(Base, unittest.TestCase):
    """Whatever happens, as long as the container is there."""

    def test_through_restarts(self):
        web, db = self.run_containers(web="web", db="db")
        self.label("web", "quarantine=yes", "--reason", "it looks odd")
        web.restart()
        self.cofferdam.settle()
        self.assert_cut_off(web, db)
        self.cofferdam.stop(signal.SIGKILL)
        self.assert_cut_off(web, db)
        self.cofferdam.start()
        self.assert_cut_off(web, db)
        self.assertEqual(self.container_status("web")["overlay_labels"][0]["reason"], "it looks odd")
        self.engine.restart_dockerd()
        for container in (web, db):
            if not container.inspect()["State"]["Running"]:
                container.start()
        self.cofferdam.settle(20)
        self.assert_cut_off(web, db)
        # as after a boot: nothing in the kernel, and the containers start while nobody knows them
        self.cofferdam.stop(signal.SIGKILL)
        for table in ("inet", "bridge"):
            self.engine.host.run("nft", "delete", "table", table, "cofferdam")
        self.cofferdam.start()
        self.assert_cut_off(web, db)
        web.rename("other")
        self.cofferdam.settle()
        follows(lambda: "other" in json.dumps(self.label("--list")["given"][0]["containers"]), "the new name")
        self.assert_cut_off(web, db)
        self.label("other", "quarantine-")
        self.follow(db, web)

    def test_it_ends_with_the_container(self):
        web, db = self.run_containers(web="web", db="db")
        self.label("web", "quarantine=yes")
        self._remove(web)
        wait_until(lambda: self.given()[0]["ended"], 5, "the label to end")
        self.assertRegex(self.cofferdam.log(), r"label quarantine=yes of web \([0-9a-f]{12}\) has ended")
        web = self.run_container("web", "web")
        self.follow(db, web)
        self.assertEqual(self.container_status("web")["overlay_labels"], [])
        self.assertIn("web: HAS NO LONGER label quarantine=yes", self.cofferdam("status").stdout)
        self.cofferdam.restart()
        self.assertIn("web: HAS NO LONGER label quarantine=yes", self.cofferdam("status").stdout)
        self.assert_passes(db, web)
        self.label("web", "quarantine-")  # it is known
        self.assertNotIn("NO LONGER", self.cofferdam("status").stdout)
        # and while nobody looks
        self.label("web", "quarantine=yes")
        self.cofferdam.stop()
        self._remove(web)
        self.cofferdam.start()
        wait_until(lambda: self.given()[0]["ended"], 5, "the label to end")
        self.label("web", "quarantine-")
        self.assertEqual(self.given(), [])

    def test_who_comes_after_it(self):
        db = self.run_container("db", "db")
        web = self.run_container("shop-web-1", labels=COMPOSE)
        self.cofferdam.settle()
        self.label("shop-web-1", "quarantine=yes", "--follow")
        for name in ("shop-web-1", "5f_shop-web-1"):  # the one taken, or with Compose's passing name
            self._remove(web)
            web = self.run_container(name, labels=COMPOSE)
            self.assert_results("timeout", [Question(web, db, "53/udp", family) for family in ("ipv4", "ipv6")], 300)
            self.cofferdam.settle()
            self.assert_cut_off(web, db)
        # an image that says it were one takes nothing over
        self.engine.image("liar:1", COMPOSE)
        liar = self.run_container("liar", image="liar:1")
        self.follow(db, liar)
        self.assertEqual(self.container_status("liar")["overlay_labels"], [])
        second = self.run_container("shop-web-2", labels=dict(COMPOSE, **{"com.docker.compose.container-number": "2"}))
        self.follow(db, second)
        self._remove(web)
        follows(lambda: self.given()[0]["containers"] == [], "nobody to have the label")
        self.label("shop-web-1", "quarantine-")  # though nobody has that name now
        self.assertEqual(self.given(), [])

    def test_what_cannot_be_saved_is_not_done(self):
        web, db = self.run_containers(web="web", db="db")
        self.cofferdam.settle()
        blocker = self.path() + ".new"
        os.mkdir(blocker)
        self.addCleanup(shutil.rmtree, blocker, ignore_errors=True)
        result = self.cofferdam("label", "web", "quarantine=yes")
        self.assertEqual(result.returncode, 1)
        self.assertIn("nothing was changed", result.stderr)
        self.assertEqual(self.given(), [])
        self.assert_passes(db, web)
        os.rmdir(blocker)
        self.label("web", "quarantine=yes")
        self.assert_cut_off(web, db)
        os.mkdir(blocker)
        self.assertEqual(self.cofferdam("label", "web", "quarantine-").returncode, 1)
        self.assert_cut_off(web, db)
        os.rmdir(blocker)
        self.label("web", "quarantine-")
        self.assert_passes(db, web)

    def test_a_full_disk(self):
        web, db = self.run_containers(web="web", db="db")
        self.cofferdam.stop()
        state, small = self.cofferdam.settings["state"], self.engine.path("small")
        os.mkdir(small)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "small", small], check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", small], check=False)
        self.addCleanup(self.cofferdam.restart)
        self.addCleanup(self.cofferdam.settings.update, state=state)
        self.cofferdam.settings["state"] = small
        self.cofferdam.start()
        with open(os.path.join(small, "filler"), "wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(b"x" * 4096)
        result = self.cofferdam("label", "web", "quarantine=yes")
        self.assertEqual(result.returncode, 1, result.stdout)
        self.assertIn("No space left", result.stderr)
        self.assert_passes(db, web)
        os.unlink(os.path.join(small, "filler"))
        self.label("web", "quarantine=yes")
        self.assert_cut_off(web, db)
        self.label("web", "quarantine-")

    def test_a_file_that_is_damaged(self):
        web, db = self.run_containers(web="web", db="db")
        self.label("web", "quarantine=yes")
        self.cofferdam.stop(signal.SIGKILL)
        with open(self.path(), "r+b") as file:
            good = file.read()
            file.seek(40)
            file.write(b"X")
        self.cofferdam.start()
        self.assertIn("it is damaged", self.cofferdam.log())
        self.assert_cut_off(web, db)
        self.assert_cut_off(db)
        self.assertTrue(self.cofferdam.json("label", "--list")["lost"])
        # nothing but what is for it ends that: no lockdown's end, no restart, no other list that is damaged
        self.assertEqual(self.cofferdam("release", "all").returncode, 1)
        self.cofferdam("release", "--all")
        self.assertEqual(self.cofferdam("label", "web", "quarantine-").returncode, 1)
        self.assert_cut_off(db, web)
        self.cofferdam.stop(signal.SIGKILL)
        with open(os.path.join(os.path.dirname(self.path()), "lockdown.json"), "wb") as file:
            file.write(b"{}")
        self.cofferdam.start()
        self.assert_cut_off(db, web)
        # put right, it is as before
        self.cofferdam.stop()
        with open(self.path(), "wb") as file:
            file.write(good)
        self.cofferdam.start()
        self.assertFalse(self.cofferdam.json("label", "--list")["lost"])
        self.assert_cut_off(web, db)
        self.assertEqual(self.cofferdam("release", "--all").returncode, 0)
        for container in (web, db):  # a neighbour who did not answer stays unreachable for some seconds
            run(container.enter("ip", "neigh", "flush", "all"))
        self.assert_passes(db, OUTSIDE["ipv4"]["public"], "80/tcp", ("ipv4",))
        self.assert_cut_off(web, db)
        # or given up
        self.cofferdam.stop()
        with open(self.path(), "wb") as file:
            file.write(good[:-40])
        self.cofferdam.start()
        self.assert_cut_off(db, web)
        report = self.label("--reset")
        self.assertTrue(report["verified"])
        self.assertEqual(self.given(), [])
        self.follow(db, web)
        self.cofferdam.restart()
        self.assert_passes(db, web)

    def test_killed_before_what_it_does(self):
        """The daemon dies before a system call that it makes for a label: the next start has it in whole, or not at all."""
        web, db = self.run_containers(web="web", db="db")
        self.cofferdam.settle()
        trace = Trace(self.engine.path("trace-calls"), pid=self.cofferdam.process.process.pid)
        self.addCleanup(trace.end)
        self.label("web", "quarantine=yes")
        trace.end()
        calls = [call for call in trace.calls()
                 if call[0] in CHANGING and (ALL or not call[0].startswith("send") or call[1] % 3 == 1)]
        self.assertTrue({"fsync", "rename"} <= {name for name, _ in calls}, calls)
        self.label("web", "quarantine-")
        seen = set()
        for call in calls:
            with self.subTest(call=call):
                trace = Trace(self.engine.path("trace-kill"), pid=self.cofferdam.process.process.pid, kill=call)
                self.addCleanup(trace.end)
                self.cofferdam("label", "web", "quarantine=yes")
                trace.end()
                if not self.cofferdam.process.alive:
                    self.cofferdam.start()
                given = bool(self.given())
                seen.add(given)
                if given:
                    self.assert_cut_off(web, db)
                    self.label("web", "quarantine-")
                self.follow(db, web)
                self.assertEqual(self.cofferdam("verify").returncode, 0)
        self.assertEqual(seen, {True, False})


if __name__ == "__main__":
    unittest.main()

#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What the metrics say is what was done; and their file is whole whenever it is read, or its absence is told."""

import contextlib
import json
import os
import signal
import stat
import subprocess
import threading
import time
import unittest

from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as prometheus

from engine import OUTSIDE
from machine import ENVIRONMENT, run, wait_until
from playground import Playground, Question

POLICIES = """
policy: web
select: {labels: {role: web}}
egress:
  - name: database
    to: [{labels: {role: db}}]
    ports: [5432/tcp]
  - name: no-metadata
    deny: true
    to: [{cidr: 169.254.169.254/32}]
---
policy: db
select: {labels: {role: db}}
ingress: [{from: [{labels: {role: web}}], ports: [5432/tcp]}]
---
policy: staged
mode: audit
select: {labels: {role: db}}
egress: [{}]
"""
MORE = """
---
policy: more
select: {labels: {role: web}}
egress: [{to: [host], ports: [81/tcp]}]
"""
FAILING = """
---
expect: nothing reaches db
denied: [{from: {labels: {role: web}}, to: {labels: {role: db}}}]
"""


def values(families):
    """{(name of a sample, its labels sorted): value}"""
    return {(sample.name, tuple(sorted(sample.labels.items()))): sample.value for family in families for sample in family.samples}


class Figures(dict):
    """A sample by its name, without cofferdam_ in front, and labels; 0 where there is none."""

    def of(self, name, **labels):
        return self.get(("cofferdam_" + name, tuple(sorted(labels.items()))), 0)


class Base(Playground):
    POLICIES = POLICIES
    START = False
    METRICS = {}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.file = cls.engine.path("verdicts.log")
        cls.settings = {"log": {"file": cls.file, "journal": "off"}, **cls.METRICS}
        cls.cofferdam.start(**cls.settings)

    def figures(self):
        result = self.cofferdam("metrics", check=True)
        return Figures(values(openmetrics(result.stdout)))

    def until(self, condition, what, seconds=10):
        wait_until(lambda: condition(self.figures()), seconds, what, gap=0.2)


class Known(Base, unittest.TestCase):
    """Against what is known otherwise."""

    def test_containers(self):
        web, _ = self.run_containers(web="web", db="db")
        self.cofferdam.settle()
        figures = self.figures()
        self.assertEqual([figures.of("containers", state=state) for state in ("enforced", "audit", "locked", "unenforced")], [2, 0, 0, 0])
        self.assertEqual((figures.of("enforced"), figures.of("docker_connected"), figures.of("inventory_known")), (1, 1, 1))
        self.run_container("free", networks=(), mode="host")
        self.assertEqual(self.cofferdam("lockdown", "web").returncode, 0)
        self.addCleanup(self.cofferdam, "release", "--all")
        self.until(lambda now: now.of("containers", state="unenforced") == 1, "the container with the host's network")
        figures = self.figures()
        self.assertEqual((figures.of("containers", state="enforced"), figures.of("containers", state="locked")), (1, 1))
        self.assertEqual((figures.of("lockdowns"), figures.of("enforced")), (1, 0))
        status = self.cofferdam.json("status")
        self.assertEqual(figures.of("problems"), len(status["problems"]))
        self.assertEqual(figures.of("networks", state="enforced"), sum(network["enforced"] for network in status["networks"]))
        text = self.cofferdam("metrics").stdout
        for word in ("free", web.id[:12], web.address()):
            self.assertNotIn(word, text)
        info = next(name for name in figures if name[0] == "cofferdam_info")
        self.assertEqual(dict(info[1]), {"version": status["daemon"]["version"], "kernel": os.uname().release,
                                         "engine": status["engine"]["version"]})

    def test_default_mode(self):
        self.run_containers(web="web", nobody="nobody", db="db")
        self.addCleanup(self.cofferdam.restart, **self.settings)
        self.cofferdam.restart(default_mode="audit", **self.settings)
        figures = self.figures()
        self.assertEqual([figures.of("containers", state=state) for state in ("enforced", "audit")], [2, 1])

    def test_policies(self):
        self.run_containers(web="web", db="db")
        self.cofferdam.settle()
        self.cofferdam.apply(POLICIES)
        before = self.figures()
        self.assertEqual((before.of("policies", mode="enforce"), before.of("policies", mode="audit")), (2, 1))
        self.assertEqual((before.of("policy_load_success"), before.of("policies_in_force")), (1, 1))
        self.assertEqual(before.of("generation"), self.cofferdam.json("history")["entries"][0]["number"])
        self.assertLess(abs(before.of("policy_load_timestamp_seconds") - time.time()), 60)
        self.addCleanup(self.cofferdam.apply, POLICIES)
        self.cofferdam.write("policy: x\n")
        self.assertEqual(self.cofferdam("apply").returncode, 1)
        after = self.figures()
        self.assertEqual((after.of("policy_load_success"), after.of("policies_in_force")), (0, 1))
        for name in ("generation", "policy_load_timestamp_seconds"):
            self.assertEqual(after.of(name), before.of(name))
        self.cofferdam.write(POLICIES + FAILING)
        self.assertEqual(self.cofferdam("apply", "--force").returncode, 0)
        after = self.figures()
        self.assertEqual((after.of("policy_load_success"), after.of("expectations_failed")), (1, 1))
        self.assertEqual(after.of("generation"), before.of("generation") + 1)
        self.cofferdam.apply(POLICIES + MORE)
        after = self.figures()
        self.assertEqual((after.of("policies", mode="enforce"), after.of("expectations_failed")), (3, 0))
        self.assertGreater(after.of("apply_duration_seconds_count"), before.of("apply_duration_seconds_count"))
        self.assertGreater(after.of("apply_duration_seconds_sum"), before.of("apply_duration_seconds_sum"))
        self.assertEqual(after.of("apply_failures_total"), before.of("apply_failures_total"))
        self.cofferdam.write(POLICIES)
        self.assertEqual(self.cofferdam("apply", "--confirm-within", "60s").returncode, 0)
        self.assertEqual(self.figures().of("trial_running"), 1)
        self.assertEqual(self.cofferdam("confirm").returncode, 0)
        self.assertEqual(self.figures().of("trial_running"), 0)

    def recorded(self, at):
        with open(self.file, encoding="utf-8") as file:
            file.seek(at)
            return [json.loads(line) for line in file]

    def test_verdicts(self):
        web, db = self.run_containers(web="web", db="db")
        at = os.path.getsize(self.file) if os.path.exists(self.file) else 0
        before = self.figures()
        for _ in range(3):
            self.assert_passes(web, db, families=("ipv4",))
        self.ask_all([Question(web, db, "80/tcp"), Question(web, "169.254.169.254", "80/tcp"), Question(self.engine.lan, db, "53/udp"),
                      Question(web, OUTSIDE["ipv4"]["lan"], "80/tcp")], 500)
        wait_until(lambda: self.cofferdam.json("status")["log"]["open"] == 0, 90, "the records", gap=0.5)
        after, records = self.figures(), self.recorded(at)

        def more(name, **labels):
            return after.of(name, **labels) - before.of(name, **labels)

        def counted(**wanted):
            return sum(record["cofferdam"]["count"] for record in records
                       if all(record["rule"].get(key) == value for key, value in wanted.items()))
        hits = {(rule["policy"], rule["name"] or f'{rule["direction"]} {rule["index"]}'): rule["hits"]
                for rule in self.cofferdam.json("status", "--rules")["rules"]["list"]}
        for policy, rule, direction in (("web", "database", "egress"), ("db", "ingress 1", "ingress")):
            self.assertGreaterEqual(more("verdicts_total", verdict="allow", policy=policy, rule=rule, direction=direction), 3)
            self.assertEqual(after.of("verdicts_total", verdict="allow", policy=policy, rule=rule, direction=direction),
                             hits[policy, rule])
        self.assertNotIn("staged", {dict(labels).get("policy") for _, labels in after})
        for point in ("egress", "ingress"):
            self.assertEqual(more("denied_packets_total", point=point), counted(category=point))
            self.assertEqual(more("verdicts_total", verdict="deny", policy="", rule="no-rule", direction=point),
                             counted(category=point, name="no-rule"))
        self.assertGreaterEqual(more("denied_packets_total", point="egress"), 3)
        self.assertGreaterEqual(more("denied_packets_total", point="ingress"), 1)
        metadata = more("verdicts_total", verdict="deny", policy="web", rule="no-metadata", direction="egress")
        self.assertEqual(metadata, counted(name="no-metadata"))
        self.assertGreaterEqual(metadata, 1)
        self.assertEqual(more("log_records_total"), len(records))
        self.assertEqual(sum(after.of("log_lost_total", reason=reason) for reason in ("kernel", "limit", "file", "allowed")),
                         self.cofferdam.json("status")["log"]["lost"])

    @contextlib.contextmanager
    def broken_netlink(self):
        """Whatever the daemon sends to the kernel fails."""
        tracer = subprocess.Popen(["strace", "-f", "-o", "/dev/null", "-e", "trace=sendto", "-e", "inject=sendto:error=EIO", "-p",
                                   str(self.cofferdam.process.process.pid)], stderr=subprocess.PIPE, text=True, env=ENVIRONMENT)
        try:
            self.assertIn("attached", tracer.stderr.readline())
            yield
        finally:
            tracer.send_signal(signal.SIGTERM)
            tracer.wait(10)
            tracer.stderr.close()

    def test_a_change_that_fails(self):
        before = self.figures()
        self.cofferdam.write(POLICIES + MORE)
        self.addCleanup(self.cofferdam.apply, POLICIES)
        self.run_container("web", "web")
        with self.broken_netlink():
            self.assertEqual(self.cofferdam("apply").returncode, 1)
        self.assertGreater(self.figures().of("apply_failures_total"), before.of("apply_failures_total"))

        def well(now):
            return now.of("policies_in_force") == 1 and now.of("docker_connected") == 1
        self.until(well, "the rules to be in force again", 60)

    def test_the_engine_ends(self):
        self.engine.kill_dockerd()
        self.addCleanup(self.cofferdam.settle, 30)
        self.addCleanup(self.engine.start_dockerd)
        self.until(lambda now: now.of("docker_connected") == 0, "the Engine to be missed")
        self.assertEqual(self.figures().of("policies_in_force"), 1)

    def test_what_others_change(self):
        self.addCleanup(self.cofferdam.restart, **self.settings)
        self.cofferdam.restart(protect_table="off", **self.settings)
        figures = self.figures()
        self.assertEqual((figures.of("drift_repairs_total"), figures.of("tables_protected")), (0, 0))
        self.engine.host.run("nft", "flush", "chain", "inet", "cofferdam", "forward")
        self.until(lambda now: now.of("drift_repairs_total") == 1, "the repair")

    def test_no_daemon(self):
        self.cofferdam.stop()
        self.addCleanup(self.cofferdam.start, **self.settings)
        result = self.cofferdam("metrics")
        self.assertEqual((result.returncode, result.stdout), (1, ""))
        self.assertIn("the daemon does not run", result.stderr)

    def test_formats(self):
        """Each as its own program reads it."""
        old = self.cofferdam("metrics", "--format", "prometheus", check=True).stdout
        result = run(["promtool", "check", "metrics"], stdin=old, check=False)
        self.assertEqual((result.returncode, result.stdout, result.stderr), (0, "", ""))
        self.assertEqual({name for name in values(prometheus(old))} - set(self.figures()), set())
        self.assertIn("# EOF", self.cofferdam.json("metrics")["text"])
        self.assertEqual(self.cofferdam("metrics", "--format", "dot").returncode, 64)


class Textfile(Base, unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        Playground.setUpClass.__func__(cls)
        cls.folder = cls.engine.path("textfiles")
        os.makedirs(cls.folder)
        cls.path = os.path.join(cls.folder, "cofferdam.prom")
        cls.settings = {"metrics": {"textfile": cls.path, "every": "1s"}}
        cls.cofferdam.start(**cls.settings)

    def read(self):
        with open(self.path, encoding="utf-8") as file:
            return file.read()

    def written(self):
        """When its content says that it was; 0: it is not there."""
        with contextlib.suppress(FileNotFoundError, ValueError):
            if not stat.S_ISREG(os.lstat(self.path).st_mode):
                return 0
            return Figures(values(prometheus(self.read()))).of("last_write_timestamp_seconds")
        return 0

    def follow(self):
        """The next one is there."""
        now = time.time()
        wait_until(lambda: self.written() > now, 20, "the file to be written", gap=0.1)

    def test_it_is_whole_whenever_it_is_read(self):
        self.follow()
        seen, end = set(), threading.Event()

        def look():
            while not end.is_set():
                seen.add(self.read())
        reader = threading.Thread(target=look)
        reader.start()
        try:
            for _ in range(3):
                self.follow()
        finally:
            end.set()
            reader.join()
        self.assertGreaterEqual(len(seen), 3)
        for text in seen:
            self.assertTrue(text.endswith("\n"))
            self.assertIn("\ncofferdam_textfile_failures_total 0\n", text)  # the last of all
            result = run(["promtool", "check", "metrics"], stdin=text, check=False)
            self.assertEqual((result.returncode, result.stderr), (0, ""))
            self.assertNotIn("# EOF", text)
        about = os.stat(self.path)
        self.assertEqual(stat.S_IMODE(about.st_mode), 0o644)
        wait_until(lambda: os.listdir(self.folder) == ["cofferdam.prom"], 5, "nothing else to be left there")

    def test_where_it_cannot_be_written(self):
        """That is told, and all else goes on."""
        web, db = self.run_containers(web="web", db="db")
        aside = self.folder + ".aside"
        self.follow()
        os.rename(self.folder, aside)
        self.addCleanup(lambda: os.path.exists(aside) and os.rename(aside, self.folder))

        def told():
            return [problem for problem in self.cofferdam.json("status")["problems"] if "the metrics cannot be written" in problem]
        wait_until(told, 20, "the problem in the status")
        self.assertIn(self.path, told()[0])
        self.assertIn("No such file or directory", told()[0])
        self.assertIn("the metrics cannot be written", self.cofferdam("doctor").stdout)
        self.assert_passes(web, db, families=("ipv4",))
        self.assert_dropped(db, web, families=("ipv4",))
        self.cofferdam.apply(POLICIES)
        figures = self.figures()
        self.assertGreaterEqual(figures.of("textfile_failures_total"), 1)
        self.assertEqual((figures.of("enforced"), figures.of("policy_load_success")), (1, 1))
        self.assertEqual(self.cofferdam.log().count("the metrics cannot be written to"), 1)
        os.rename(aside, self.folder)
        self.follow()
        self.assertEqual(told(), [])

    def test_what_others_put_there(self):
        """Neither a pipe holds the daemon up, nor is another file written to by a name that leads to it."""
        other = self.engine.path("other")
        for name in (self.path, self.path + ".new"):
            with open(other, "w", encoding="utf-8") as file:
                file.write("mine\n")
            for make in (lambda to: os.symlink(other, to), lambda to: os.link(other, to), os.mkfifo):
                aside = os.path.join(self.folder, "aside")
                make(aside)
                os.rename(aside, name)
                self.follow()
                self.assertTrue(stat.S_ISREG(os.lstat(self.path).st_mode))
                with open(other, encoding="utf-8") as file:
                    self.assertEqual(file.read(), "mine\n")

    def test_it_stays_when_the_daemon_ends(self):
        """With the time it was written at, by which whoever reads it sees how old it is."""
        self.follow()
        self.cofferdam.stop()
        self.addCleanup(self.cofferdam.start, **self.settings)
        written = self.written()
        time.sleep(1.5)
        self.assertEqual(self.written(), written)
        self.assertGreater(time.time() - written, 1)


if __name__ == "__main__":
    unittest.main()

#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What `cofferdam plan --against-log` says of the traffic of yesterday is what becomes of the same traffic under those
policies; and `cofferdam status` sums up what was denied since."""

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
import unittest

from cofferdam import COMMAND
from engine import OUTSIDE
from machine import ENVIRONMENT, wait_until
from playground import OPEN, Playground, Question

QUIET = 10  # seconds after its last packet, at which a record is written
TIGHT = """
policy: web
select: {labels: {role: web}}
ingress: [{from: [host], ports: [80/tcp]}]
egress:
  - {to: [{labels: {role: db}}], ports: [5432/tcp]}
  - {name: no-lookups, deny: true, ports: [53/udp]}
---
policy: db
select: {labels: {role: db}}
ingress: [{from: [{labels: {role: web}}], ports: [5432/tcp, 53/udp]}]
egress: [{}]
"""


class Base(Playground):
    POLICIES = OPEN
    START = False

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.file = cls.engine.path("verdicts.log")
        cls.settings = {"log": {"file": cls.file, "journal": "off", "allowed": "on"}}
        cls.cofferdam.start(**cls.settings)

    def settled(self):
        """All records are in the file."""
        def done():
            return self.cofferdam.json("status")["log"]["open"] == 0
        wait_until(done, 3 * QUIET + 60, "the records to be written", gap=0.5)

    def folder(self, name, policies):
        path = self.engine.path(name)
        os.makedirs(path, exist_ok=True)
        with open(os.path.join(path, "policies.yaml"), "w", encoding="utf-8") as file:
            file.write(policies)
        return path

    @staticmethod
    def told(lines):
        """(from, to, port) of each; outside, with each address."""
        return {(line["from"], target, line["port"]) for line in lines
                for target in (line["addresses"] if line["to"] == "outside" else [line["to"]])}

    def asked(self, questions):
        def name(end):
            return end if isinstance(end, str) else "host" if end is self.engine.host else end.name
        return {(name(question.source), name(question.target), question.port) for question in questions}


class AgainstLog(Base, unittest.TestCase):
    def test_what_is_said_happens(self):
        web, db, other = self.run_containers(web="web", db="db", other="other")
        lan = {family: OUTSIDE[family]["lan"] for family in ("ipv4", "ipv6")}
        stays = [Question(web, db, "5432/tcp", family) for family in lan]
        stays += [Question(self.engine.host, web, "80/tcp"), Question(db, lan["ipv4"], "80/tcp")]
        ends = [Question(source, target, port, family) for family in lan for source, target, port in (
            (web, db, "80/tcp"),             # no egress of web
            (web, db, "53/udp"),             # a deny rule
            (web, db, "icmp"),
            (other, db, "5432/tcp"),         # which nothing selects
            (db, web, "80/tcp"),             # no ingress of web
            (web, lan[family], "80/tcp"))]   # outside
        ends.append(Question(self.engine.host, db, "5432/tcp"))
        tight = self.folder("tight", TIGHT)

        self.assertEqual(set(self.ask_all(stays + ends, 3000)), {"connected"})
        self.settled()
        before = self.cofferdam.json("plan", tight)
        document = self.cofferdam.json("plan", "--against-log", tight)
        self.assertEqual(document["plan_id"], before["plan_id"])
        self.assertNotIn("recorded", before)
        recorded = document["recorded"]
        self.assertEqual(recorded["sources"], [self.file])
        self.assertEqual((recorded["records"]["denied"], recorded["records"]["damaged"]), (0, 0))
        self.assertEqual(self.told(recorded["denied"]), self.asked(ends))
        self.assertEqual((recorded["allowed"], recorded["not_judged"]), ([], []))
        self.assertEqual({line["in_force"] for line in recorded["denied"]}, {"allowed"})
        self.assertEqual(recorded["unchanged"], len(stays))
        [deny] = {(cause["reason"], cause["rule"]) for line in recorded["denied"] if line["port"] == "53/udp"
                  for cause in line["causes"]}
        self.assertEqual(deny, ("deny-rule", "web egress no-lookups"))

        text = self.cofferdam("plan", "--against-log", "--since", "1h", tight).stdout
        self.assertRegex(text, r"(?m)^  -  other -> db +5432/tcp  \d connections?, last \S+ +no policy selects other; no ingress rule of db allows it$")
        self.assertRegex(text.splitlines()[0], rf"\b{len(recorded['denied'])} recorded connections denied\b")
        markdown = self.cofferdam("plan", "--against-log", "-o", "md", tight).stdout
        self.assertRegex(markdown, r"(?m)^-  other -> db +5432/tcp")

        # The same on another machine, with the file alone.
        inventory = self.engine.path("status.json")
        with open(inventory, "w", encoding="utf-8") as file:
            json.dump(self.cofferdam.json("status"), file)
        offline = self.cofferdam.json("plan", "--inventory", inventory, f"--against-log={self.file}", tight)["recorded"]
        self.assertEqual(offline, {**recorded, "since": offline["since"]})
        with open(self.file, encoding="utf-8") as file:
            piped = subprocess.run([COMMAND, "plan", "--json", "--inventory", inventory, "--against-log=-", tight], stdin=file,
                                   capture_output=True, text=True, env=ENVIRONMENT, check=False)
        self.assertEqual(self.told(json.loads(piped.stdout)["recorded"]["denied"]), self.asked(ends))

        # And that is what happens.
        self.cofferdam.apply(TIGHT)
        results = self.ask_all(stays + ends, 1500)
        self.assertEqual([str(question) for question, result in zip(stays + ends, results) if result == "connected"],
                         [str(question) for question in stays])
        self.settled()
        opened = self.cofferdam.json("plan", "--against-log", self.folder("open", OPEN))["recorded"]
        self.assertEqual(self.told(opened["allowed"]), self.asked(ends))
        self.assertEqual(opened["denied"], [])
        again = self.cofferdam.json("plan", "--against-log", tight)["recorded"]
        self.assertEqual({line["in_force"] for line in again["denied"]}, {"denied"}) # what passed is not this plan's doing
        self.assertEqual(self.told(again["denied"]), self.asked(ends))

        self._gone(other, tight, ends)
        self._damaged(tight)

    def _gone(self, other, tight, ends):
        """Who has come in its place stands for it; of who has not, only what policies do not ask for is known."""
        other.remove()
        recorded = self.cofferdam.json("plan", "--against-log", tight)["recorded"]
        self.assertEqual({(line["gone"], line["recorded"]) for line in recorded["not_judged"]}, {("other", "allowed"), ("other", "denied")})
        self.assertEqual(self.told(recorded["denied"]), {way for way in self.asked(ends) if way[0] != "other"})
        self.run_container("other", "web") # another one now
        self.cofferdam.settle()
        recorded = self.cofferdam.json("plan", "--against-log", tight)["recorded"]
        self.assertEqual(recorded["not_judged"], [])
        self.assertNotIn(("other", "db", "5432/tcp"), self.told(recorded["denied"]))
        self.assertIn(("other", "db", "5432/tcp"), self.told(recorded["allowed"]))

    def _damaged(self, tight):
        """A line that nobody understands does not keep the others from counting; nor does a rotation."""
        recorded = self.cofferdam.json("plan", "--against-log", tight)["recorded"]
        os.rename(self.file, self.file + ".1")
        with open(self.file, "w", encoding="utf-8") as file:
            file.write("?\n{\n\n")
        self.addCleanup(os.remove, self.file + ".1")
        damaged = self.cofferdam.json("plan", "--against-log", tight)["recorded"]
        self.assertEqual(damaged["records"], {**recorded["records"], "damaged": 2})
        self.assertEqual(damaged["denied"], recorded["denied"])
        self.assertEqual(damaged["sources"], [self.file + ".1", self.file])
        answer = self.cofferdam("plan", f"--against-log={self.file}", tight)
        self.assertIn("No connection that passed is recorded: which of them would be denied is not known.", answer.stdout)
        for wrong in (["--since", "yesterday", "--against-log"], ["--since", "1h"]):
            self.assertEqual(self.cofferdam("plan", *wrong, tight).returncode, 64)
        answer = self.cofferdam("plan", "--against-log=/nowhere", tight)
        self.assertEqual(answer.returncode, 1)
        self.assertIn("/nowhere cannot be read: No such file or directory", answer.stderr)


class Screen:
    """A terminal with `cofferdam status --watch` on it."""

    def __init__(self, test, *arguments, rows=40, columns=120):
        self.master, slave = pty.openpty()
        self.resize(rows, columns)
        self.process = subprocess.Popen([COMMAND, "status", "--config", test.cofferdam.config, *arguments], stdin=slave, stdout=slave, stderr=slave,
                                        env={**ENVIRONMENT, "TERM": "xterm"}, start_new_session=True, close_fds=True)
        os.close(slave)
        self.output = ""
        test.addCleanup(os.close, self.master)
        test.addCleanup(self.process.kill)

    def resize(self, rows, columns):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read(self, seconds=0.2):
        while select.select([self.master], [], [], seconds)[0]:
            try:
                self.output += os.read(self.master, 65536).decode()
            except OSError:
                break
        return self.output

    def lines(self):
        """Of what was drawn last."""
        drawn = [part for part in self.read().split("\x1b[H") if "\x1b[J" in part][-1]
        return re.sub("\x1b\\[[0-9;?]*[a-zA-Z]", "", drawn.split("\x1b[J")[0]).split("\r\n")


class LastHour(Base, unittest.TestCase):
    POLICIES = TIGHT

    def denied(self):
        return self.cofferdam.json("status")["denied"]

    def of(self, name, direction):
        [found] = [entry for entry in self.denied()["containers"] if (entry["name"], entry["direction"]) == (name, direction)]
        return found

    def test_sums(self):
        web, db, other = self.run_containers(web="web", db="db", other="other")
        self.assertEqual(self.denied()["containers"], [])
        self.assertIn("nothing", self.cofferdam("status").stdout.split("\nDenied ")[1].splitlines()[0])
        self.assert_dropped(web, db, "80/tcp")
        # At once, though the record is open still.
        wait_until(lambda: self.denied()["connections"] == 2, 10, "the two to be counted")
        entry = self.of("web", "egress")
        self.assertEqual((entry["id"], entry["kind"], entry["connections"]), (web.id, "container", 2))
        self.assertEqual({key: entry["most"][key] for key in ("peer", "port", "reason")},
                         {"peer": "db", "port": "80/tcp", "reason": "no egress rule of its policies allows it"})
        self.assert_dropped(self.engine.host, db, "80/tcp", families=["ipv4"])
        self.assert_dropped(other, db, "5432/tcp", families=["ipv4"])
        wait_until(lambda: self.denied()["connections"] == 4, 10, "all to be counted")
        self.assertEqual(self.of("db", "ingress")["most"]["peer"], "host")
        text = self.cofferdam("status").stdout
        self.assertRegex(text, r"(?m)^Denied since \d\d:\d\d:\d\dZ, for \d+ min: 4 connections, \d+ packets$")
        self.assertRegex(text, r"(?m)^  web +egress +2 connections +\d+ packets +last \d\d:\d\d:\d\dZ +to db 80/tcp: no egress rule")

        # Written, gone, and read again by another daemon, they are the same.
        other.remove()
        self.settled()
        before = self.denied()
        self.assertEqual(before["connections"], 4)
        self.assertEqual(self.of("other", "egress")["id"], other.id)
        self.cofferdam.restart(**self.settings)
        self.cofferdam.settle()
        after = self.denied()
        self.assertEqual({**after, "since": None}, {**before, "since": None})
        self.assertLessEqual(after["since"], min(entry["last"] for entry in after["containers"]))
        self.assert_dropped(web, db, "80/tcp", families=["ipv4"])
        wait_until(lambda: self.denied()["connections"] == 5, 10, "one more")

    def test_watch(self):
        web, db = self.run_containers(web="web", db="db")
        screen = Screen(self, "--watch=1")
        wait_until(lambda: any("enforced" in line for line in self.drawn(screen)), 20, "the status to be drawn")
        self.assertTrue(screen.output.startswith("\x1b[?1049h"))
        n = screen.output.count("\x1b[H")
        wait_until(lambda: screen.read().count("\x1b[H") > n + 1, 20, "two more rounds")
        self.assert_dropped(web, db, "80/tcp", families=["ipv4"])
        wait_until(lambda: any("to db 80/tcp" in line for line in self.drawn(screen)), 20, "the denial to be drawn")

        # In as much room as there is.
        screen.resize(8, 30)
        wait_until(lambda: len(self.drawn(screen)) <= 8 and any("more lines" in line for line in self.drawn(screen)), 20,
                   "fewer lines")
        self.assertLessEqual(max(map(len, self.drawn(screen))), 30)
        screen.resize(60, 200)

        # A daemon that is not there is waited for.
        self.cofferdam.stop()
        wait_until(lambda: "does not answer" in self.drawn(screen)[0], 20, "that to be said")
        self.assertRegex(self.drawn(screen)[0], r"this is from \d+ s ago")
        self.assertTrue(any("web" in line for line in self.drawn(screen)))
        self.cofferdam.start(**self.settings)
        wait_until(lambda: "does not answer" not in self.drawn(screen)[0], 30, "it to be back")
        screen.process.send_signal(signal.SIGINT)
        self.assertEqual(screen.process.wait(10), 0)
        self.assertTrue(screen.read().rstrip().endswith("\x1b[?7h\x1b[?25h\x1b[?1049l"), repr(screen.output[-80:]))

    @staticmethod
    def drawn(screen):
        try:
            return screen.lines()
        except IndexError:
            return [""]

    def test_lines(self):
        """No terminal: a line each time, also where the daemon does not answer."""
        self.assertEqual(self.cofferdam("status", "--watch").returncode, 64)
        for wrong in ("0", "x", "1s", "3601", "-1"):
            self.assertEqual(self.cofferdam("status", "--json", f"--watch={wrong}").returncode, 64)
        with subprocess.Popen([COMMAND, "status", "--config", self.cofferdam.config, "--json", "--watch=1"], stdout=subprocess.PIPE,
                              text=True, env=ENVIRONMENT) as process:
            self.addCleanup(process.kill)
            documents = [json.loads(process.stdout.readline()) for _ in range(2)]
            self.assertTrue(all("containers" in document for document in documents))
            self.cofferdam.stop()
            deadline = time.monotonic() + 30
            while "error" not in documents[-1] and time.monotonic() < deadline:
                documents.append(json.loads(process.stdout.readline()))
            self.assertRegex(documents[-1]["error"], "^cofferdamd does not answer ")
            self.cofferdam.start(**self.settings)
            while "error" in documents[-1] and time.monotonic() < deadline + 30:
                documents.append(json.loads(process.stdout.readline()))
            self.assertIn("containers", documents[-1])
            process.send_signal(signal.SIGINT)
            self.assertEqual(process.wait(10), 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)

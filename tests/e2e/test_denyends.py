#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Where records of what is denied go: the file, the journal; and what an end of the daemon does to them."""

import os
import re
import signal
import sys
import time
import unittest

import test_audit
from engine import OUTSIDE
from machine import wait_until
from playground import Question
from test_denylog import SHOP, Base

HOLD = """
import socket, struct, sys, time
sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12)
sock.bind((0, 0))
group = int(sys.argv[1])
body = struct.pack("=BBH", 0, 0, socket.htons(group)) + struct.pack("=HHB3x", 5, 1, 1)
sock.send(struct.pack("=IHHII", 16 + len(body), 4 << 8 | 1, 5, 1, 0) + body)
print("bound" if struct.unpack("=i", sock.recv(4096)[16:20])[0] == 0 else "not bound", flush=True)
time.sleep(1000)
"""

STREAM = """
import socket, sys, time
sock, sent, end = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), 0, time.monotonic() + 25
while time.monotonic() < end:
    sent += sock.sendto(b"x", (sys.argv[1], 99))
    time.sleep(0.05)
print(sent, flush=True)
"""


class File(Base, unittest.TestCase):
    """The file, and its end."""

    def _deny(self):
        wait_until(lambda: "log prefix" in self.cofferdam.ruleset(), 10, "rules that log")
        self.ask_all([Question(self.engine.lan, "10.91.0.201", "80/tcp")], 300)

    def test_rotation_and_the_daemon_s_end(self):
        self._deny()
        moved = self.file + ".1"
        if os.path.exists(self.file):
            os.rename(self.file, moved)
        self.at = 0
        self.cofferdam.stop()
        self.assertEqual([r["destination"]["ip"] for r in self.records()], ["10.91.0.201"], self.cofferdam.log()[-2000:])
        self.cofferdam.start(log={"file": self.file, "journal": "off"})

    def test_off_is_the_ruleset_without_it(self):
        logged = self.cofferdam.ruleset()
        self.assertIn("log prefix", logged)
        self.addCleanup(self.cofferdam.restart, log={"file": self.file, "journal": "off"})
        self.cofferdam.restart(log={"denied": "off"})
        self.assertEqual(self.cofferdam("verify").returncode, 0)
        plain = self.cofferdam.ruleset()
        for word in ("log prefix", "deny_", "denied4", "dynamic"):
            self.assertNotIn(word, plain)
        self.assertEqual(self.cofferdam.json("status")["log"]["on"], False)

    def test_another_reads_the_group(self):
        """Then the rules stand, and the status says it."""
        holder = self.engine.spawn("holder", self.engine.host.enter(sys.executable, "-c", HOLD, "77"))
        wait_until(lambda: "bound" in holder.output(), 5, "the other reader")
        self.addCleanup(self.cofferdam.restart, log={"file": self.file, "journal": "off"})
        self.addCleanup(holder.stop)
        self.cofferdam.restart(log={"group": 77, "file": self.file})
        status = self.cofferdam.json("status")["log"]
        self.assertEqual(status["on"], False)
        self.assertIn("77", status["error"])
        web, db = self.run_containers(web="web", db="db")
        self.assert_dropped(web, db, "80/tcp")

    def test_what_packets_put_in_is_not_compared(self):
        self._deny()
        self.assertIn("10.91.0.201", self.cofferdam.ruleset(metered=True))
        self.assertEqual(self.cofferdam("verify").returncode, 0)
        before = self.cofferdam.ruleset(metered=True).count("10.91.0.201")
        self.cofferdam.stop(signal.SIGKILL)  # in peace it has them forget what it has written
        self.cofferdam.start(log={"file": self.file, "journal": "off"})
        self.assertEqual(self.cofferdam.ruleset(metered=True).count("10.91.0.201"), before)

    def test_two_daemons_count_nothing_twice(self):
        """The kernel counts on while the daemon is made anew."""
        web = self.run_container("web", "web")
        self.cofferdam.settle()
        stream = self.engine.spawn("stream", web.enter(sys.executable, "-c", STREAM, OUTSIDE["ipv4"]["lan"]))
        time.sleep(3)
        self.cofferdam.restart(log={"file": self.file, "journal": "off"})
        wait_until(lambda: not stream.alive, 60, "the stream to end")
        sent = int(stream.output().split()[-1])
        counts = [record["cofferdam"]["count"] for record in self.settled() if record["destination"].get("port") == 99]
        self.assertEqual(len(counts), 2, counts)
        self.assertLessEqual(sum(counts), sent)
        self.assertGreater(counts[0], 30)
        self.assertGreater(counts[1], 50)  # at most ten seconds' are nobody's


class Journal(Base, unittest.TestCase):
    """A socket in the journal's place, which only the daemon sees."""

    start_inside = test_audit.Base.start_inside
    _listen = test_audit.Journal._listen  # pylint: disable=protected-access
    start = test_audit.Journal.start

    def mark(self):
        pass

    def test_fields(self):
        test_audit.Journal.open_journal(self)
        web = self.run_container("web", "web", labels=SHOP)
        self.cofferdam.settings["log"] = {"file": "off", "journal": "on"}
        self.addCleanup(self.cofferdam.settings.update, log={"file": self.file, "journal": "off"})
        self.cofferdam.restart()
        self.start()
        self.ask_all([Question(web, OUTSIDE["ipv4"]["metadata"], "80/tcp")], 500)
        wait_until(self._denied, 60, "the journal to have it")
        fields, = self._denied()
        self.assertEqual(fields, dict(fields, **{
            "COFFERDAM_VERDICT": "deny", "COFFERDAM_POINT": "egress", "COFFERDAM_DIRECTION": "egress",
            "COFFERDAM_SOURCE": web.address(), "COFFERDAM_DESTINATION": OUTSIDE["ipv4"]["metadata"], "PRIORITY": "5",
            "COFFERDAM_SOURCE_CONTAINER": "web", "COFFERDAM_SOURCE_CONTAINER_ID": web.id, "COFFERDAM_DESTINATION_CONTAINER": "",
            "COFFERDAM_POLICY": "web", "COFFERDAM_RULE": "no-metadata"}))
        self.assertRegex(fields["MESSAGE"], r"^web \(.*\) -> 169\.254\.169\.254 80/tcp denied: rule no-metadata of policy web denies it; "
                                            rf"{fields['COFFERDAM_COUNT']} packets?$")
        with open(os.path.join(os.path.dirname(__file__), "..", "..", "packaging", "cofferdam.catalog"), encoding="utf-8") as file:
            catalog = dict(re.findall(r"^-- ([0-9a-f]{32})$(.*?)(?=^-- |\Z)", file.read(), re.MULTILINE | re.DOTALL))
        for field in re.findall(r"@(\w+)@", catalog[fields["MESSAGE_ID"]]):
            self.assertIn(field, fields)

    def _denied(self):
        found = [dict(re.findall(r"^([A-Z_]+)=(.*)$", message.decode(), re.MULTILINE)) for message in list(self.messages)]
        return [fields for fields in found if "COFFERDAM_VERDICT" in fields]


if __name__ == "__main__":
    unittest.main()

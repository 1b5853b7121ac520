#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What commands did while no daemon answered: the daemon takes it over when it is back, and nothing opens meanwhile."""

import glob
import json
import os
import signal
import time
import unittest

from cofferdam import follows
from machine import Failure, wait_until
from test_lockdown import Base

PENDING = "lockdown-pending.json"


def checksum(text):
    """FNV-1a, 64 bits."""
    value = 0xcbf29ce484222325
    for byte in text.encode():
        value = (value ^ byte) * 0x100000001b3 & (1 << 64) - 1
    return f"{value:016x}"


class Return(Base):
    """Mixed into a TestCase: files and tables, made by hand."""

    def path(self, name):
        return os.path.join(self.cofferdam.settings["state"], name)

    def lock_op(self, name, request, **more):
        lock = dict({"name": name, "id": self.engine.api("GET", f"/containers/{name}/json")["Id"], "direction": "both",
                     "by": "a test", "since": int(time.time())}, **more)
        return {"request": f"{request:032x}", "locks": [lock]}

    def write_pending(self, *operations):
        """Replaces the file, as the command does."""
        lines = []
        for number, operation in enumerate(operations):
            text = json.dumps(dict({"format_version": "1.0", "n": number + 1, "time": int(time.time()), "by": "a test"},
                                   **operation))
            lines.append(f"{checksum(text)} {text}\n")
        self.write_raw("".join(lines))

    def write_raw(self, text):
        with open(self.path(PENDING + ".new"), "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(self.path(PENDING + ".new"), 0o600)
        os.rename(self.path(PENDING + ".new"), self.path(PENDING))

    def make_tables(self, container):
        """Some that drop what a container sends and gets."""
        for family in ("ipv4", "ipv6"):
            word = {"ipv4": "ip", "ipv6": "ip6"}[family]
            address = container.address(family)
            self.engine.host.run("nft", "add", "table", "inet", "cofferdam_lockdown")
            for hook in ("forward", "input", "output"):
                self.engine.host.run("nft", "add", "chain", "inet", "cofferdam_lockdown", hook,
                                     f"{{ type filter hook {hook} priority -11; }}")
                for side in ("saddr", "daddr"):
                    self.engine.host.run("nft", "add", "rule", "inet", "cofferdam_lockdown", hook, word, side, address, "drop")

    def lock_tables(self):
        return [table for table in self.engine.tables() if table.split()[2] == "cofferdam_lockdown"]

    def pause(self):
        os.kill(self.cofferdam.process.process.pid, signal.SIGSTOP)
        self.addCleanup(self.go_on)

    def go_on(self):
        os.kill(self.cofferdam.process.process.pid, signal.SIGCONT)

    def taken_over(self, seconds=5):
        """Waits until the daemon has all, and nothing of the command's is left."""
        try:
            wait_until(lambda: not self.lock_tables() and not os.path.exists(self.path(PENDING)), seconds,
                       "the daemon to take over", gap=0.02)
        except Failure as error:
            raise Failure(f"{error}\n{self.lock_tables()} {os.listdir(self.path(''))}\n{self.cofferdam.log()[-3000:]}") from error


class TakesOver(Return, unittest.TestCase):

    def test_after_it_hung(self):
        web, db = self.run_containers(web="web", db="db")
        self.cofferdam.settle()
        self.pause()
        self.make_tables(web)
        self.write_pending(self.lock_op("web", 1, reason="it looks odd"))
        self.go_on()
        self.taken_over()
        self.assertEqual(self.listed(), ["web"])
        self.assert_cut_off(web, db)
        self.assertIn("web was locked down at", self.cofferdam.log())
        self.assertIn("the lock tables are removed", self.cofferdam.log())
        self.release("web")
        self.follow(db, web)

    def test_after_it_was_killed(self):
        web, db = self.run_containers(web="web", db="db")
        self.cofferdam.settle()
        self.cofferdam.stop(signal.SIGKILL)
        self.make_tables(web)
        self.write_pending(self.lock_op("web", 2))
        self.cofferdam.start()
        self.taken_over()
        self.assertEqual(self.listed(), ["web"])
        self.assert_cut_off(web, db)


if __name__ == "__main__":
    unittest.main()

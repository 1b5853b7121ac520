#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Policies are applied again and again, and the daemon is stopped, killed and started, under load: no packet that is
allowed is lost, and none that is denied arrives.

COFFERDAM_RELOADS: how many times (200); COFFERDAM_RELOAD_SECONDS: over how many seconds (30); COFFERDAM_RESTARTS: how many
starts after each kind of end (8)."""

import os
import signal
import time
import unittest

from flows import BASE, Traffic, table
from variants import Variants

RELOADS = int(os.environ.get("COFFERDAM_RELOADS", "200"))
SECONDS = float(os.environ.get("COFFERDAM_RELOAD_SECONDS", "30"))
RESTARTS = int(os.environ.get("COFFERDAM_RESTARTS", "8"))


class Reloads(Traffic, unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.start_floods()

    def _measure(self, title, action):
        """All traffic, while action() goes on, which may replace whole tables."""
        self.go()
        began = time.monotonic()
        try:
            count = action()
        finally:
            took = time.monotonic() - began
            found = self.stop()
        table(title, ["times", "seconds", "allowed sent", "allowed lost", "denied arrived"],
              [[count or 0, f"{took:.1f}", found.sent, found.lost, found.denied]])
        self.assertEqual(found.denied, 0, found)
        return found

    def test_0_nothing_happens(self):
        """What the machine itself loses."""
        found = self._measure("nothing happens", lambda: time.sleep(5))
        self.assertGreater(found.sent, 1000)
        self.assertEqual(found.lost, 0, found)

    def test_applies_that_change_nothing_in_meaning(self):
        variants = Variants(1)

        def apply():
            began, count = time.monotonic(), 0
            while count < RELOADS or time.monotonic() - began < SECONDS:
                self.cofferdam.apply(next(variants))
                count += 1
                time.sleep(max(0.0, began + count * SECONDS / RELOADS - time.monotonic()))
            return count

        before = self.cofferdam.log().count("are in force; ")
        found = self._measure("apply, same meaning", apply)
        log = self.cofferdam.log()
        self.assertGreaterEqual(log.count("are in force; ") - before, RELOADS)
        self.assertLess(log.count("; 0 changes in the kernel"), RELOADS // 2)
        self.assertEqual(found.lost, 0, found)
        self.cofferdam.apply(BASE)

    def _restart(self, number):
        def restarts():
            for _ in range(RESTARTS):
                self.cofferdam.stop(number)
                time.sleep(0.1)
                self.cofferdam.start(**self.SETTINGS)
            return RESTARTS

        self.cofferdam.apply(BASE)
        found = self._measure(f"{signal.Signals(number).name} and start", restarts)
        self.assertEqual(found.lost, 0, found)

    def test_term_and_start(self):
        self._restart(signal.SIGTERM)

    def test_kill_and_start(self):
        self._restart(signal.SIGKILL)


if __name__ == "__main__":
    unittest.main()

#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The daemon is killed before the system calls that it makes while a trial of policies begins, is confirmed, ends, or
while it goes back to an earlier set; a flood of denied packets goes on all the time, and none may arrive. After the next
start one of the two sets is in force, the one that was promised where something was, and a trial always ends.

Before some of the calls that may change something and some others, unless COFFERDAM_KILLS=all."""

import collections
import json
import os
import time
import unittest

from flows import Traffic
from machine import wait_until
from test_kills import ALL, Harm, marked

SETS = {"old": marked("5010/tcp"), "new": marked("5011/tcp")}
EXPIRIES, OTHERS = 4, 22  # calls that it is killed before, of each


class TrialKills(Harm, Traffic, unittest.TestCase):
    POLICIES = SETS["old"]
    # The calls that the log makes for the floods meanwhile are another number each time.
    SETTINGS = {"log": {"denied": "off"}}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.start_floods()

    def setUp(self):
        self.written = None  # was there a trial's file when the daemon died?
        self._start_again()
        self.rules = {}
        for name in ("new", "old"):
            self.cofferdam.apply(SETS[name])
            self.rules[name] = self._rules()
            self.assertEqual(self._in_force(), name)
        self.leaked()

    # What there is

    def _status(self):
        return json.loads(self.cofferdam("status", "--json").stdout)["daemon"]

    def _file(self):
        return os.path.join(self.cofferdam.settings["state"], "trial.json")

    def _trial(self):
        return self._status()["trial"]

    def _number(self, name):
        """Of the set in the history, the newest with these files."""
        for entry in self.cofferdam.json("history")["entries"]:
            files = self.cofferdam.json("history", str(entry["number"]))["entry"]["files"]
            if [file["text"] for file in files] == [SETS[name]]:
                return entry["number"]
        return self.fail("it is not in the history")

    # What is done

    def _prepare(self):
        """The old set is in force, by its files."""
        self._start_again()
        if self._trial():
            self.cofferdam("rollback", check=True)
        self.cofferdam.apply(SETS["old"])

    def _begin(self, span="1h"):
        self.cofferdam.write(SETS["new"])
        self.cofferdam("apply", "--confirm-within", span, check=True)

    def _calls(self, prepare, action):
        """The system calls that the action takes."""
        self._prepare()
        prepare()
        trace = self._trace("calls", pid=self._pid)
        action()
        trace.end()
        calls = trace.calls()
        self.assertTrue({"sendto", "fsync", "unlink"} & {call[0] for call in calls}, calls)
        return calls

    def _killed(self, call, prepare, action):
        """Yields (is it dead?, what the action returned)."""
        self._prepare()
        prepare()
        trace = self._trace("kill", pid=self._pid, kill=call)
        done = action()
        trace.end()
        return not self.cofferdam.process.alive, done

    def _act(self, *words):
        return lambda: self.cofferdam(*words).returncode == 0

    def _assert_set(self, name):
        self.assertEqual(self._in_force(), name)
        self.assertEqual(self._rules(), self.rules[name])

    def _end(self):
        """Any trial ends with what was before."""
        if self._trial():
            self.cofferdam("rollback", check=True)
            self._assert_set("old")

    def _each(self, title, prepare, action, check, limit=OTHERS):
        """check(what packets say is in force, whether the action said that it succeeded): after the next start."""
        calls, began = self._calls(prepare, action), time.monotonic()
        outcomes = collections.defaultdict(collections.Counter)
        picked = self._chosen(calls)
        if not ALL:
            picked = picked[::max(1, len(picked) // limit)]
        for call in picked:
            with self.subTest(call=call):
                died, done = self._killed(call, prepare, action)
                held = self._in_force()
                self.assertIn(held, ("old", "new"))
                self.assert_no_leak(call)
                self.written = os.path.exists(self._file())
                self._start_again()
                after = self._in_force()
                outcomes[call[0]][f"{held}, then {after}" + (", promised" if done else "") if died else "survived"] += 1
                check(after, done)
                self.assert_no_leak(call)
        self._summary(title, calls, outcomes, began)
        self.assertGreater(sum(number for some in outcomes.values() for key, number in some.items() if key != "survived"), 3)

    # The beginning

    def test_a_trial_begins(self):
        def check(after, done):
            trial = self._trial()
            self.assertTrue(trial or not done, "apply said that the trial runs")
            self._assert_set(after)
            if not self.written:  # nothing had begun, and a start loads the files
                self.assertEqual((trial, after, done), (None, "new", False))
                return
            self.assertEqual(after, "new" if trial else "old")
            self._end()
            self.cofferdam.restart(**self.SETTINGS)
            self._assert_set("old")

        self._each("a trial begins", lambda: self.cofferdam.write(SETS["new"]), self._act("apply", "--confirm-within", "1h"), check)

    # The end

    def test_a_trial_is_confirmed(self):
        def check(after, done):
            trial = self._trial()
            self.assertEqual(after, "new")
            self.assertFalse(trial and done, "confirm said that it is no trial any more")
            self._assert_set("new")
            self._end()
            if not trial:
                self.cofferdam.restart(**self.SETTINGS)
                self._assert_set("new")
                self.assertIsNone(self._status()["held"])

        self._each("a trial is confirmed", self._begin, self._act("confirm"), check)

    def test_a_trial_is_rolled_back(self):
        def check(after, done):
            trial = self._trial()
            self.assertEqual(after, "new" if trial else "old")
            self.assertFalse(trial and done, "rollback said that the trial is over")
            self._assert_set(after)
            self._end()
            self.cofferdam.restart(**self.SETTINGS)  # with newer files
            self._assert_set("old")

        self._each("a trial is rolled back", self._begin, self._act("rollback"), check)

    def test_a_trial_expires(self):
        def wait():
            wait_until(lambda: not self.cofferdam.process.alive or self._in_force() == "old", 12, "the end of the trial")
            time.sleep(0.3)  # until its file is gone
            return False

        def check(_, __):
            wait_until(lambda: self._trial() is None, 8, "the end of the trial")
            self._assert_set("old")
            self.cofferdam.restart(**self.SETTINGS)
            self._assert_set("old")
            self.assertFalse(os.path.exists(self._file()))

        self._each("a trial expires", lambda: self._begin("5s"), wait, check, limit=EXPIRIES)

    # To an earlier set

    def test_rollback_to_a_number(self):
        number = str(self._number("new"))

        def check(after, done):
            self.assertTrue(after == "new" or not done, "rollback said that it is in force")
            self.assertIsNone(self._trial())
            self._assert_set(after)
            self.cofferdam.restart(**self.SETTINGS)  # the files are the old ones
            self._assert_set(after)

        self._each("rollback to a number", lambda: None, self._act("rollback", number), check)


if __name__ == "__main__":
    unittest.main()

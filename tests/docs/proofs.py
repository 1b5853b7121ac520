#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Each test that docs/promises.md and docs/red-team.md name is there: a promise without a proof is none."""

import pathlib
import re
import sys
import unittest

TREE = pathlib.Path(__file__).resolve().parents[2]
# `e2e/test_starts.py::test_starts`, and for the next of the same file `::test_a_burst`: a test, or a class of them.
NAMED = re.compile(r"`(?P<file>[\w/]+\.(?:py|c))?::(?P<test>\w+)`")


def named(text):
    """(file, test) for each."""
    file = None
    for line in text.splitlines():
        for match in NAMED.finditer(line):
            file = match["file"] or file
            yield file, match["test"]


class Proofs(unittest.TestCase):
    def assert_there(self, page, at_least):
        missing, n = [], 0
        for file, test in named((TREE / "docs" / page).read_text(encoding="utf-8")):
            path = TREE / "tests" / file
            n += 1
            if not path.exists() or not re.search(rf"\b(def|void|class) {test}\(", path.read_text(encoding="utf-8")):
                missing.append(f"{file}::{test}")
        self.assertEqual(missing, [])
        self.assertGreater(n, at_least)

    def test_promises(self):
        self.assert_there("promises.md", 50)

    def test_red_team(self):
        self.assert_there("red-team.md", 60)


if __name__ == "__main__":
    sys.exit(unittest.main())

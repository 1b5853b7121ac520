#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Each test that docs/promises.md names is there: a promise without a proof is none."""

import pathlib
import re
import sys
import unittest

TREE = pathlib.Path(__file__).resolve().parents[2]
# `e2e/test_starts.py::test_starts`, and for the next of the same file `::test_a_burst`.
NAMED = re.compile(r"`(?P<file>[\w/]+\.(?:py|c))?::(?P<test>\w+)`")


def named(text):
    """(file, test) for each."""
    file = None
    for line in text.splitlines():
        for match in NAMED.finditer(line):
            file = match["file"] or file
            yield file, match["test"]


class Promises(unittest.TestCase):
    def test_what_is_named_is_there(self):
        missing, n = [], 0
        for file, test in named((TREE / "docs" / "promises.md").read_text(encoding="utf-8")):
            path = TREE / "tests" / file
            n += 1
            if not path.exists() or not re.search(rf"\b(def|void) {test}\(", path.read_text(encoding="utf-8")):
                missing.append(f"{file}::{test}")
        self.assertEqual(missing, [])
        self.assertGreater(n, 50)


if __name__ == "__main__":
    sys.exit(unittest.main())

#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Each case of the list has a test that is there, and each test of this folder is in the list."""

import pathlib
import re
import unittest

from cases import CASES

TESTS = pathlib.Path(__file__).resolve().parents[1]


class Cases(unittest.TestCase):
    maxDiff = None

    def test_each_is_tested(self):
        missing = []
        for case, tests in CASES.items():
            self.assertTrue(tests, case)
            for file, name in (test.split("::") for test in tests):
                path = TESTS / file
                text = path.read_text(encoding="utf-8") if path.exists() else ""
                if not re.search(rf"\b(def|void|class) {name}\(", text):
                    missing.append(f"{file}::{name}")
        self.assertEqual(missing, [])
        self.assertGreater(len(CASES), 30)

    def test_each_file_is_named(self):
        named = {test.split("::")[0] for tests in CASES.values() for test in tests}
        here = {f"redteam/{path.name}" for path in (TESTS / "redteam").glob("test_*.py")} - {"redteam/test_cases.py"}
        self.assertEqual(here - named, set())


if __name__ == "__main__":
    unittest.main()

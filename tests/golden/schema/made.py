#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The documents that the unit tests make of structs, many odd ones among them, are what the published schemas say:
made.py VERB=PROGRAM..."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

sys.path.append(str(pathlib.Path(__file__).resolve().parents[2]))
import schemas  # pylint: disable=wrong-import-position

PROGRAMS = [argument.split("=", 1) for argument in sys.argv[1:]]
del sys.argv[1:]


class Made(unittest.TestCase):
    def test_documents(self):
        self.assertNotEqual(PROGRAMS, [])
        for verb, program in PROGRAMS:
            with self.subTest(verb), tempfile.TemporaryDirectory() as folder:
                subprocess.run([program], env={**os.environ, "COFFERDAM_DOCUMENTS": folder}, capture_output=True, timeout=100,
                               check=True)
                lines = (pathlib.Path(folder) / f"{verb}.jsonl").read_text(encoding="utf-8").splitlines()
                self.assertGreater(len(lines), 10)
                for line in lines:
                    # the command puts it in front where it is not there
                    schemas.check(verb, {"format_version": "1.0", **json.loads(line)})


if __name__ == "__main__":
    unittest.main()

#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The examples for continuous integration: ci.py COFFERDAM. Their own commands, with good policies and with a bad one."""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

import yaml

PROGRAM = pathlib.Path(sys.argv.pop(1)).resolve()
HERE = pathlib.Path(__file__).resolve().parent
EXAMPLES = HERE.parents[2] / "examples"


def commands(node):
    """Every text in a document that is a command of cofferdam's."""
    if isinstance(node, str):
        return [node] if node.startswith("cofferdam ") else []
    nodes = node.values() if isinstance(node, dict) else node if isinstance(node, list) else []
    return [command for item in nodes for command in commands(item)]


class Examples(unittest.TestCase):
    def run_it(self, path, folder):
        found = commands(yaml.safe_load(path.read_text(encoding="utf-8")))
        self.assertEqual(len(found), 1, path)
        return subprocess.run(["sh", "-c", found[0]], cwd=folder, capture_output=True, text=True, timeout=60,
                              env={**os.environ, "PATH": f"{PROGRAM.parent}:{os.environ['PATH']}"}, check=False)

    def test_each(self):
        files = sorted((EXAMPLES / "ci").glob("*.y*ml"))
        self.assertEqual(len(files), 2)
        for path in files:
            with self.subTest(path.name), tempfile.TemporaryDirectory() as folder:
                work = pathlib.Path(folder)
                shutil.copytree(EXAMPLES / "shop/policies", work / "policies")
                shutil.copy(HERE / "inventory.json", work)
                done = self.run_it(path, folder)
                self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)
                (work / "policies/new.yaml").write_text("policy: new\nselect: {compose: shop/db}\ningress: [{}]\n"
                                                        "egress: [{to: [internet]}]\n", encoding="utf-8")
                done = self.run_it(path, folder)
                self.assertEqual(done.returncode, 1)
                self.assertIn("C070", done.stdout + done.stderr)

    def test_paths_in_the_build_are_there(self):
        self.assertEqual(PROGRAM.parts[-3:], ("src", "cli", "cofferdam"))
        self.assertTrue(os.access(EXAMPLES.parent / "tests/install-dependencies", os.X_OK))


if __name__ == "__main__":
    unittest.main()

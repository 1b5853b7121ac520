#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The examples for continuous integration: ci.py COFFERDAM. Their own commands, with policies as they were, with good
changes and with a bad one."""

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
    def run_them(self, path, folder):
        """{verb: what its command came to}"""
        found = commands(yaml.safe_load(path.read_text(encoding="utf-8")))
        self.assertEqual([command.split()[1] for command in found], ["check", "plan"], path)
        return {command.split()[1]: subprocess.run(
            ["sh", "-c", command], cwd=folder, capture_output=True, text=True, timeout=60, check=False,
            env={**os.environ, "PATH": f"{PROGRAM.parent}:{os.environ['PATH']}"}) for command in found}

    def test_each(self):
        files = sorted((EXAMPLES / "ci").glob("*.y*ml"))
        self.assertEqual(len(files), 2)
        for path in files:
            with self.subTest(path.name), tempfile.TemporaryDirectory() as folder:
                work = pathlib.Path(folder)
                shutil.copytree(EXAMPLES / "shop/policies", work / "policies")
                shutil.copytree(EXAMPLES / "shop/policies", work / ".base/policies")
                shutil.copy(HERE / "inventory.json", work)

                def plan():
                    return (work / "plan.md").read_text(encoding="utf-8")
                for verb, done in self.run_them(path, folder).items():
                    self.assertEqual((done.returncode, done.stderr), (0, ""), (verb, done.stdout))
                self.assertTrue(plan().startswith("**No changes."), plan())
                shop = work / "policies/shop.yaml"
                shop.write_text(shop.read_text(encoding="utf-8").replace("[443/tcp]", "[8443/tcp]"), encoding="utf-8")
                for verb, done in self.run_them(path, folder).items():
                    self.assertEqual((done.returncode, done.stderr), (0, ""), (verb, done.stdout))
                self.assertTrue(plan().startswith("**Plan: 1 policy changed, 1 connection allowed, 1 denied, "), plan())
                self.assertIn("8443/tcp  denied -> allowed", plan())
                (work / "policies/new.yaml").write_text("policy: new\nselect: {compose: shop/db}\ningress: [{}]\n"
                                                        "egress: [{to: [internet]}]\n", encoding="utf-8")
                done = self.run_them(path, folder)
                self.assertEqual({verb: result.returncode for verb, result in done.items()}, {"check": 1, "plan": 1})
                self.assertIn("C070", done["check"].stdout + done["check"].stderr)
                self.assertIn("C070", plan())
                shop.write_text("policy: [", encoding="utf-8")
                done = self.run_them(path, folder)
                self.assertEqual({verb: result.returncode for verb, result in done.items()}, {"check": 1, "plan": 1})
                self.assertTrue(plan().startswith("**No plan: the policies have mistakes**"), plan())

    def test_paths_in_the_build_are_there(self):
        self.assertEqual(PROGRAM.parts[-3:], ("src", "cli", "cofferdam"))
        self.assertTrue(os.access(EXAMPLES.parent / "tests/install-dependencies", os.X_OK))


if __name__ == "__main__":
    unittest.main()

#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The formats of `cofferdam check`: formats.py COFFERDAM [--update].

What is printed for the cases below, in formats/NAME.FORMAT; --update writes these files anew: read the difference
before you believe it.
"""

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

PROGRAM = os.path.abspath(sys.argv.pop(1))
UPDATE = "--update" in sys.argv
if UPDATE:
    sys.argv.remove("--update")
HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1]))

import schemas  # noqa: E402

MANUAL = HERE.parents[2] / "man/cofferdam-policy.5.scd"

# Mistakes with a second place, multi-byte characters before the column, no mistakes, what an inventory shows.
CASES = {
    "good": ["good-full.yaml"],
    "mistakes": ["rule-twice.yaml", "policy-twice.yaml", "utf8.yaml", "missing.yaml"],
    "inventory-expect": ["inventory-expect.yaml", "--inventory", "inventory-expect.inventory.json"],
    "inventory-lint": ["inventory-lint.yaml", "--inventory", "inventory-lint.inventory.json"],
}


def check(form, args, folder=HERE / "cases"):
    done = subprocess.run([PROGRAM, "check", "--format", form, *args], cwd=folder, capture_output=True, timeout=60,
                          check=False)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


class Formats(unittest.TestCase):
    maxDiff = None

    def golden(self, name, text):
        path = HERE / "formats" / name
        if UPDATE:
            path.write_text(text, encoding="utf-8")
        self.assertEqual(path.read_text(encoding="utf-8"), text, path)

    def test_github(self):
        for name, args in CASES.items():
            status, out, err = check("github", args)
            self.assertEqual((status, err), (int("::error" in out), ""))
            self.golden(f"{name}.github", out)

    def test_text_and_json(self):
        for name, args in CASES.items():
            status, out, err = check("text", args)
            self.assertEqual(status, int("error" in out))
            self.golden(f"{name}.text", err + out)
            json_status, out, err = check("json", args)
            document = json.loads(out)
            schemas.check("check", document)
            self.assertEqual((json_status, err, document["ok"]), (status, "", status == 0))
            self.golden(f"{name}.json", json.dumps(document, indent=1, ensure_ascii=False) + "\n")

    def test_sarif(self):
        for name, args in CASES.items():
            status, out, err = check("sarif", args)
            document = json.loads(out)
            run = document["runs"][0]
            self.assertEqual((status, err), (int(any(r["level"] == "error" for r in run["results"])), ""))
            for result in run["results"]:
                if "ruleId" in result:
                    self.assertEqual(run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"], result["ruleId"])
            self.assertRegex(run["tool"]["driver"].pop("version"), r"^\d+\.\d+\.\d+$")
            del run["tool"]["driver"]["rules"] # another test's
            self.golden(f"{name}.sarif", json.dumps(document, indent=2, ensure_ascii=False) + "\n")

    def test_sarif_has_every_code_of_the_manual_as_a_rule(self):
        rules = json.loads(check("sarif", ["good-full.yaml"])[1])["runs"][0]["tool"]["driver"]["rules"]
        manual = re.findall(r"^\*(C\d\d\d)\* (.*)$", MANUAL.read_text(encoding="utf-8"), re.MULTILINE)
        self.assertEqual([(rule["id"], rule["shortDescription"]["text"]) for rule in rules], manual)
        for rule in rules:
            level = "error" if rule["id"] < "C101" else "warning"
            self.assertEqual(rule["defaultConfiguration"]["level"], level)

    def test_text_and_json_are_what_they_are_without_the_option(self):
        for form, option in (("text", []), ("json", ["--json"])):
            done = subprocess.run([PROGRAM, "check", *option, *CASES["mistakes"]], cwd=HERE / "cases", check=False,
                                  capture_output=True, timeout=60)
            self.assertEqual(check(form, CASES["mistakes"]),
                             (done.returncode, done.stdout.decode(), done.stderr.decode()))

    def test_columns_are_characters(self):
        with tempfile.TemporaryDirectory() as folder:
            # One character of two UTF-16 units, one of three bytes, before the mistake.
            (pathlib.Path(folder) / "a.yaml").write_text("policy: a\nselect: {image: '\U0001f40b€', nam: x}\n",
                                                         encoding="utf-8")
            _, out, _ = check("sarif", ["a.yaml"], folder)
            run = json.loads(out)["runs"][0]
            self.assertEqual(run["columnKind"], "unicodeCodePoints")
            self.assertEqual(run["results"][0]["locations"][0]["physicalLocation"]["region"],
                             {"startLine": 2, "startColumn": 23, "endColumn": 26})
            self.assertIn("file=a.yaml,line=2,col=23,endColumn=26,", check("github", ["a.yaml"], folder)[1])

    def test_nothing_in_a_name_escapes(self):
        name = "100%,a:b é\n::error::x.yaml"
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / name
            path.write_text("policy: '%0A::warning::x'\nselect: {name: x}\n", encoding="utf-8")
            _, out, _ = check("github", [name], folder)
            self.assertIn("::error file=100%25%2Ca%3Ab é%0A%3A%3Aerror%3A%3Ax.yaml,line=1,col=9,", out)
            self.assertIn("title=C031::'%250A::warning::x' is no name for a policy", out)
            self.assertEqual(len(out.splitlines()), 2)
            uris = [json.loads(check("sarif", [path], folder)[1])["runs"][0]["results"][0]["locations"][0]
                    ["physicalLocation"]["artifactLocation"]["uri"] for path in (name, path)]
            self.assertEqual(uris[0], "100%25%2Ca%3Ab%20%C3%A9%0A%3A%3Aerror%3A%3Ax.yaml")
            self.assertEqual(uris[1], f"file://{folder}/{uris[0]}")

    def test_usage(self):
        self.assertEqual(check("xml", ["good-full.yaml"])[:2], (64, ""))
        self.assertEqual(check("sarif", ["--json", "good-full.yaml"])[:2], (64, ""))
        self.assertEqual(check("json", ["--json", "good-full.yaml"])[0], 0)


if __name__ == "__main__":
    unittest.main()

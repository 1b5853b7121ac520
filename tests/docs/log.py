#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""docs/log.md has every field of a record, and no other, in the words of the schema; who reads the file knows where it is."""

import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

TREE = pathlib.Path(__file__).resolve().parents[2]


def fields(schema, path=""):
    for key, value in schema.get("properties", {}).items():
        name = f"{path}.{key}" if path else key
        if "properties" in value:
            yield from fields(value, name)
        else:
            yield name, value.get("description")


class Log(unittest.TestCase):
    def test_fields(self):
        schema = json.loads((TREE / "packaging/schemas/verdict.schema.json").read_text(encoding="utf-8"))
        page = (TREE / "docs/log.md").read_text(encoding="utf-8")
        table = dict(re.findall(r"^\| `([@\w.]+)` \| (.*) \|$", page, re.MULTILINE))
        wanted = dict(fields(schema))
        self.assertEqual(set(table), set(wanted))
        for name, description in wanted.items():
            if description:
                self.assertEqual(table[name], description, name)

    def test_rsyslog(self):
        """What it reads is what the daemon writes where nobody has said otherwise; rsyslog itself is asked where there is one."""
        example = TREE / "examples/rsyslog/cofferdam.conf"
        default, = re.findall(r'"(/\S+/verdicts\.log)"', (TREE / "src/policy/settings.c").read_text(encoding="utf-8"))
        text = example.read_text(encoding="utf-8")
        self.assertEqual(re.findall(r' file="(.*?)"', text), [default])
        self.assertIn(f"\n{default} {{\n", (TREE / "packaging/cofferdam.logrotate").read_text(encoding="utf-8"))
        self.assertEqual(set(re.findall(r'\b(?:ruleset|template)(?:\(name)?="(.*?)"', text)), {"cofferdam"})
        rsyslog = shutil.which("rsyslogd", path="/usr/sbin:/sbin:/usr/bin")
        if rsyslog:
            with tempfile.TemporaryDirectory() as folder:
                config = pathlib.Path(folder) / "main.conf"
                config.write_text(f'global(workDirectory="{folder}")\ninclude(file="{example}")\n', encoding="utf-8")
                result = subprocess.run([rsyslog, "-N1", "-f", config], text=True, capture_output=True, check=False)
                self.assertEqual(result.returncode, 0, result.stderr)


if __name__ == "__main__":
    sys.exit(unittest.main())

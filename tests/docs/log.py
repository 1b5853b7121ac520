#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""docs/log.md has every field of a record, and no other, in the words of the schema."""

import json
import pathlib
import re
import sys
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


if __name__ == "__main__":
    sys.exit(unittest.main())

#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The published schemas of what is printed with --json, against themselves, the code and the command: outputs.py COFFERDAM.

What the daemon answers is validated where there is one: by tests/e2e/cofferdam.py, in every test.
"""

import json
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

import jsonschema

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[2]
sys.path.append(str(ROOT / "tests"))
import schemas  # pylint: disable=wrong-import-position

PROGRAM = sys.argv.pop(1)
CASES = ROOT / "tests/golden/diagnostics/cases"

# Where the code has the words of each list, as FILE:NAME of a function or an array; None: they are spread about.
WORDS = {
    "audit/properties/program": None,
    "audit/properties/result": None,  # between keys
    "common/$defs/direction": "policy/model.c:direction_name",
    "common/$defs/family": None,
    "common/$defs/lockdown/properties/direction": "verdict/lock.c:cuts",
    "learn/$defs/who/properties/kind": "learn/learn_state.c:kinds",
    "lockdown/properties/containers/items/properties/shares_namespaces_with/items/properties/namespace":
        "inventory/shared_json.c:namespace_names",
    "label/properties/labels/items/properties/from": None,
    "common/$defs/verdict": "verdict/explain_json.c:verdict_name",
    "common/$defs/mode": "daemon/status.c:mode_name",
    "common/$defs/transport": "inventory/inventory.c:transports",
    "common/$defs/object": "ruleset/compare.c:difference_kind_name",
    "common/$defs/change_kind": "daemon/change.c:change_kind_name",
    "status/properties/daemon/properties/held/oneOf/1/properties/reason": "daemon/policy_state.c:held_reason_name",
    "common/$defs/diagnostic/properties/level": "util/diag.c:diag_level_name",
    "status/properties/denied/properties/containers/items/properties/kind": "denial/judge.c:kind_word",
    "doctor/properties/checks/items/properties/level": "doctor/doctor.c:finding_level_name",
    "verify/properties/differences/items/properties/what": "ruleset/compare.c:difference_what_name",
    "inventory/properties/containers/items/properties/network_mode": "inventory/json.c:mode_name",
    "graph/properties/nodes/items/properties/kind": "verdict/graph_json.c:kinds",
    "graph/properties/edges/items/properties/change/oneOf/1": "verdict/graph_text.c:graph_change_words",
    "graph/properties/edges/items/properties/grants/items/properties/change/oneOf/1": None,  # all of these but one
    "explain/$defs/party/properties/kind": "verdict/explain_json.c:party_kind_name",
    "explain/$defs/side/properties/near/items/properties/why": "verdict/near.c:near_miss_name",
    "lockdown/properties/without_daemon": "cli/lockdown_text.c:reasons",
    "release/properties/without_daemon": "cli/urgent.c:absence_name",
    "verdict/properties/event/properties/type/items": None,
    "verdict/properties/event/properties/action": None,
    "verdict/properties/network/properties/type": None,
    "verdict/properties/network/properties/direction": "denial/judge.c:network_direction",
    "verdict/properties/cofferdam/properties/verdict": None,
    "verdict/properties/cofferdam/properties/point": None,  # and one that is not logged
    "verdict/properties/cofferdam/properties/direction": None,
    "verdict/properties/cofferdam/properties/staged/properties/verdict": None,
    "verdict/properties/cofferdam/properties/source/properties/kind": "denial/judge.c:kind_word",
    "verdict/properties/cofferdam/properties/destination/properties/kind": "denial/judge.c:kind_word",
    "status/$defs/staged_row/properties/change": None,
    "plan/$defs/cause/properties/set": "verdict/changes_json.c:set_to_json",
    "plan/$defs/cause/properties/reason": "verdict/changes_json.c:reason_name",
    "plan/$defs/recorded_cause/properties/reason": "plan/plan_recorded.c:reason_word",
    "plan/properties/policies/items/properties/change": "policy/compare.c:policy_change_name",
    "plan/properties/rules/properties/lines/oneOf/1/items/properties/change": "plan.c:sign_of",
}


def sources():
    return {str(path.relative_to(ROOT / "src")): path.read_text(encoding="utf-8") for path in (ROOT / "src").rglob("*.c")}


def words_of(where):
    """The words in the body of a function, or of an array."""
    file, name = where.split(":")
    text = next(text for path, text in sources().items() if f"/{path}".endswith(f"/{file}"))
    body = (re.search(rf"^[a-z][^\n;]*\b{name}\([^;{{]*\)\n\{{(.*?)^\}}", text, re.MULTILINE | re.DOTALL)
            or re.search(rf"\b{name}\[[^\]]*\]\s*=\s*\{{(.*?)\}};", text, re.DOTALL))
    return set(re.findall(r'"([^"]*)"', body[1])) - {"", "?"}


def parts(value, pointer):
    """Every object in it, with a pointer to it."""
    if isinstance(value, dict):
        yield pointer, value
    for key, item in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from parts(item, f"{pointer}/{key}")


def all_parts():
    for name, schema in schemas.published().items():
        yield from parts(schema, name)


class Schemas(unittest.TestCase):
    def test_they_are_schemas(self):
        for name, schema in schemas.published().items():
            with self.subTest(name):
                self.assertEqual(schema["$schema"], "https://json-schema.org/draft/2020-12/schema")
                self.assertEqual(schema["$id"], name + schemas.SUFFIX)
                self.assertTrue(schema["title"] and schema["description"])
                jsonschema.Draft202012Validator.check_schema(schema)

    def test_every_reference_leads_somewhere(self):
        for pointer, part in all_parts():
            if not isinstance(part.get("$ref"), str):
                continue
            file, _, inner = part["$ref"].partition("#")
            target = schemas.published()[file.removesuffix(schemas.SUFFIX) or pointer.split("/")[0]]
            for key in inner.split("/")[1:]:
                self.assertIn(key, target, pointer)
                target = target[key]

    def test_every_document_carries_its_version(self):
        for name, schema in schemas.published().items():
            if name == "verdict":  # its names outside this are not ours
                schema = schema["properties"]["cofferdam"]
            if name != "common":
                self.assertIn("format_version", schema["required"], name)
                self.assertEqual(schema["properties"]["format_version"]["$ref"], "common.schema.json#/$defs/format_version")

    def test_every_key_is_described(self):
        for pointer, part in all_parts():
            for key, value in part["properties"].items() if isinstance(part.get("properties"), dict) else ():
                description = value.get("description", "")
                if not description and "$ref" in value:
                    description = self.target(pointer, value["$ref"]).get("description", "")
                self.assertRegex(description, r"^\S.*[.?]$", (pointer, key))

    @staticmethod
    def target(pointer, reference):
        file, _, inner = reference.partition("#")
        part = schemas.published()[file.removesuffix(schemas.SUFFIX) or pointer.split("/")[0]]
        for key in inner.split("/")[1:]:
            part = part[key]
        return part

    def test_later_versions_may_add_keys(self):
        """Readers ignore what they do not know; our own tests do not."""
        document = {"format_version": "1.7", "text": "x", "new": 1}
        self.assertEqual(list(jsonschema.Draft202012Validator(
            {"$ref": "#/$defs/teardown", "$defs": schemas.bundle()}).iter_errors(document)), [])
        self.assertNotEqual(schemas.errors("teardown", document), [])
        del document["new"]
        self.assertEqual(schemas.errors("teardown", document), [])
        self.assertNotEqual(schemas.errors("teardown", {**document, "format_version": "2.0"}), [])
        for _, part in all_parts():
            self.assertIsNot(part.get("additionalProperties"), False)

    def test_strict_everywhere(self):
        """A key that is not described is found at any depth."""
        problem = {"level": "error", "code": None, "file": None, "line": None, "column": None, "width": None, "message": "x",
                   "help": None, "source_line": None, "other": None}
        document = {"format_version": "1.0", "ok": False, "exit": 1, "error": "x", "help": None, "diagnostics": [problem]}
        self.assertEqual(schemas.errors("error", document), [])
        problem["other"] = {"file": "x", "line": 1, "column": 1, "message": "x"}
        self.assertEqual(schemas.errors("error", document), [])
        problem["other"]["colum"] = 1
        with self.assertRaisesRegex(AssertionError, r"(?s)error\.schema\.json.*diagnostics\[0\]\.other"):
            schemas.check("status", document)


class Code(unittest.TestCase):
    def test_the_words_are_those_of_the_code(self):
        every = "".join(sources().values())
        lists = {pointer: set(part["enum"]) - {None} for pointer, part in all_parts()
                 if isinstance(part.get("enum"), list) and isinstance(part["enum"][0], str)}
        lists["common/$defs/table"] = {word.removesuffix(" cofferdam") for word in lists["common/$defs/table"]}
        for pointer, words in lists.items():
            with self.subTest(pointer):
                where = {**WORDS, "common/$defs/table": "table_family_name"}[pointer]
                if where == "table_family_name":
                    where = next(path for path, text in sources().items()
                                 if re.search(rf"^const char \*{where}\(", text, re.MULTILINE)) + ":" + where
                if where:
                    self.assertEqual(words, words_of(where))
                for word in words:
                    self.assertIn(f'"{word}"', every)
        self.assertEqual(set(WORDS) - set(lists), set())

    def test_the_code_has_every_key(self):
        every = "".join(sources().values())
        for pointer in sorted(schemas.keys()):
            self.assertIn(f'"{pointer.split("/")[-1]}"', every, pointer)

    def test_the_commands_read_no_other_keys(self):
        """What is read by another name than it is written by is never there. compose: of "names", which nobody prints; all: of a request;
        record, final: of what the daemon tells `cofferdam watch`."""
        known = {pointer.split("/")[-1] for pointer in schemas.keys()} | {"result", "compose", "all", "record", "final"}
        files = {path: text for path, text in sources().items() if path.startswith(("cli/", "doctor/"))}
        read = {(path, key) for path, text in files.items() for key in
                re.findall(r'\b(?:json_object_get|text_of|number_of|is_true|size_of)\([^"();]*, "(\w+)"\)', text)}
        self.assertGreater(len(read), 50)
        self.assertEqual({(path, key) for path, key in read if key not in known}, set())


class Printed(unittest.TestCase):
    """By the commands that need no daemon."""

    def ask(self, verb, *args):
        done = subprocess.run([PROGRAM, verb, "--json", *args], cwd=CASES, capture_output=True, timeout=60, check=False)
        document = json.loads(done.stdout)
        schemas.check(verb, document)
        return document

    def test_check(self):
        seen = set()
        for path in sorted(CASES.glob("*.yaml")):
            with self.subTest(path.name):
                inventory = path.with_name(path.stem + ".inventory.json")
                options = ["--inventory", inventory.name] if inventory.exists() else []
                seen |= schemas.seen_keys("check", self.ask("check", path.name, *options))
        self.ask("check", "missing.yaml")
        self.ask("check", "--config", "missing.yaml", "good-full.yaml")
        wanted = {key for key in schemas.keys() if key.startswith(("check/", "common/$defs/diagnostic/"))}
        self.assertEqual(wanted - seen, set())

    def test_check_of_a_file_whose_name_is_no_text(self):
        with tempfile.TemporaryDirectory() as folder:
            path = folder.encode() + b"/\xff.yaml"
            with open(path, "wb") as file:
                file.write(b"policy: a\nselect: {nmae: x}\n")
            document = self.ask("check", path)
        self.assertEqual(document["diagnostics"][0]["file"], f"{folder}/?.yaml")

    def test_graph(self):
        source = ROOT / "tests/golden/graph"
        inventory = json.loads((source / "inventory.json").read_text(encoding="utf-8"))
        inventory["containers"][0]["dns"] = ["172.18.0.3"]  # of another one, which has IPv6 as well
        with tempfile.TemporaryDirectory() as folder:
            path, more = pathlib.Path(folder) / "inventory.json", pathlib.Path(folder) / "more.yaml"
            path.write_text(json.dumps(inventory), encoding="utf-8")
            more.write_text("{policy: more, select: {all: true}, ingress: [{}], egress: [{to: [dns]}]}", encoding="utf-8")
            document = self.ask("graph", "--inventory", path, source / "policies.yaml", more)
            self.assertIsNone(document["changes"])
            document = self.ask("graph", "--inventory", path, "--base", source / "policies.yaml", more,
                                source / "policies.yaml")
            self.assertTrue(document["changes"])
        wanted = {key for key in schemas.keys() if key.startswith("graph/")}
        self.assertEqual(wanted - schemas.seen_keys("graph", document), set())

    def test_plan(self):
        folder = ROOT / "tests/golden/graph"
        good = CASES / "good-full.yaml"
        document = self.ask("plan", "--inventory", folder / "inventory.json", "--base", folder / "policies.yaml", good)
        self.assertEqual((document["plan_id"], document["rules"]["validated"]), (None, None))
        self.assertNotEqual(document["connections"], [])

    def test_doctor(self):
        with tempfile.TemporaryDirectory() as folder:
            self.assertEqual(self.ask("doctor", "--control", f"{folder}/none.sock")["well"], False)

    def test_a_refusal(self):
        document = self.ask("plan", "rule-twice.yaml")
        self.assertIs(document["ok"], False)
        self.assertGreater(len(document["diagnostics"]), 0)

    def test_sarif(self):
        schema = schemas.closed(json.loads((HERE / "sarif.schema.json").read_text(encoding="utf-8")))
        jsonschema.Draft202012Validator.check_schema(schema)
        validator = jsonschema.Draft202012Validator(schema)
        for path in [*sorted(CASES.glob("*.yaml")), CASES / "missing.yaml"]:
            done = subprocess.run([PROGRAM, "check", "--format", "sarif", path], capture_output=True, timeout=60, check=False)
            with self.subTest(path.name):
                self.assertEqual([error.message for error in validator.iter_errors(json.loads(done.stdout))], [])


if __name__ == "__main__":
    unittest.main()

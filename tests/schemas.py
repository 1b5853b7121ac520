# SPDX-License-Identifier: GPL-2.0-or-later
"""The published schemas of what `cofferdam VERB --json` prints, in a strict reading: schemas.check(VERB, document), or
schemas.py VERB <DOCUMENT.

A reader is to ignore keys that he does not know, so the published files allow them. Here they are mistakes: whoever
adds a key describes it.
"""

import functools
import json
import pathlib
import sys

import jsonschema

FOLDER = pathlib.Path(__file__).resolve().parents[1] / "packaging/schemas"
SUFFIX = ".schema.json"


@functools.lru_cache(maxsize=None)
def published():
    """{name: schema}, as in the files."""
    return {path.name.removesuffix(SUFFIX): json.loads(path.read_text(encoding="utf-8"))
            for path in sorted(FOLDER.glob("*" + SUFFIX))}


def _bundled(value, name):
    """With references into one document that holds all files, so that nothing looks for files or addresses."""
    if isinstance(value, list):
        return [_bundled(item, name) for item in value]
    if not isinstance(value, dict):
        return value
    result = {key: _bundled(item, name) for key, item in value.items() if key not in ("$id", "$schema")}
    if isinstance(result.get("$ref"), str):
        file, _, pointer = result["$ref"].partition("#")
        result["$ref"] = f"#/$defs/{file.removesuffix(SUFFIX) or name}{pointer}"
    return result


def closed(schema):
    """The schema, with every key that it does not name forbidden."""
    if isinstance(schema, list):
        return [closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    result = {key: closed(item) for key, item in schema.items()}
    if isinstance(schema.get("properties"), dict):
        result.setdefault("additionalProperties", False)
    return result


@functools.lru_cache(maxsize=None)
def bundle():
    return {name: _bundled(schema, name) for name, schema in published().items()}


@functools.lru_cache(maxsize=None)
def validator(name):
    return jsonschema.Draft202012Validator({"$ref": f"#/$defs/{name}", "$defs": closed(bundle())})


def errors(name, document):
    """What is wrong with it, a line each: where, and why."""
    return [f"{error.json_path}: {error.message[:300]}" for error in validator(name).iter_errors(document)]


def is_error(document):
    return isinstance(document, dict) and "error" in document


def _shortened(value):
    """Of long lists the ends: tests ask often, and time what they wait for."""
    if isinstance(value, dict):
        return {key: _shortened(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_shortened(item) for item in (value if len(value) <= 60 else value[:30] + value[-30:])]
    return value


_checked = set()  # what was found good, as tests ask for the same again and again


def check(verb, document):
    """Raises AssertionError unless it is what this verb prints, or an error."""
    name = "error" if is_error(document) else verb
    document = _shortened(document)
    seen = hash((name, json.dumps(document, sort_keys=True)))
    if seen in _checked:
        return
    found = errors(name, document)
    if found:
        raise AssertionError("\n  ".join([f"this is not what packaging/schemas/{name}{SUFFIX} says:", *found[:10]]))
    _checked.add(seen)


# ---- which keys there are, and which were seen --------------------------------------------------------------------


def _resolved(schema, pointer):
    while "$ref" in schema:
        pointer = schema["$ref"].removeprefix("#/$defs/")
        schema = bundle()
        for part in pointer.split("/"):
            schema = schema[part]
    return schema, pointer


def _parts(schema, pointer):
    """What the value itself must be; its items; its keys."""
    for number, choice in enumerate(schema.get("oneOf", ())):
        yield "self", choice, f"{pointer}/oneOf/{number}"
    if "items" in schema:
        yield "items", schema["items"], f"{pointer}/items"
    for key, item in schema.get("properties", {}).items():
        yield key, item, f"{pointer}/properties/{key}"


def keys():
    """All keys that the schemas name, each as the pointer to its description: plan/properties/changes."""
    found = set()

    def walk(schema, pointer):
        for kind, part, place in _parts(schema, pointer):
            if kind not in ("self", "items"):
                found.add(place)
            walk(part, place)

    for name, schema in bundle().items():
        walk(schema, name)
        for definition, part in schema.get("$defs", {}).items():
            walk(part, f"{name}/$defs/{definition}")
    return found


def seen_keys(verb, document):
    """Those of the keys that say something in this document: are there, and not null."""
    found = set()

    def walk(schema, pointer, value):
        schema, pointer = _resolved(schema, pointer)
        for kind, part, place in _parts(schema, pointer):
            if kind == "self":
                walk(part, place, value)
            elif kind == "items":
                for item in value if isinstance(value, list) else ():
                    walk(part, place, item)
            elif isinstance(value, dict) and value.get(kind) is not None:
                found.add(place)
                walk(part, place, value[kind])

    name = "error" if is_error(document) else verb
    walk(bundle()[name], name, document)
    return found


if __name__ == "__main__":
    check(sys.argv[1], json.load(sys.stdin))

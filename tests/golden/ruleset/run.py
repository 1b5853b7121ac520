#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The compiler's golden cases: run.py text|kernel RULESET-CASE [--update]

text: each cases/NAME.yaml with the inventory beside it compiles to exactly cases/NAME.nft.
kernel: nft accepts each of those texts, and the kernel, loaded through our own netlink code, lists the same.
        Needs root; each case has a network namespace of its own.
"""

import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
CASES = os.path.join(HERE, "cases")
SKIPPED = 77


def options_of(path):
    with open(path) as file:
        first = file.readline()
    return first.removeprefix("# options:").split() if first.startswith("# options:") else []


def run(command, **kwargs):
    return subprocess.run(command, text=True, capture_output=True, **kwargs)


def canonical(text):
    """nft breaks lists of elements over lines and lists them in no order; nothing else may differ."""
    text = re.sub(r"\s+", " ", text)

    def in_order(match):
        return "elements = { " + ", ".join(sorted(match.group(1).split(", "))) + " }"

    text = re.sub(r"elements = \{ ([^}]*) \}", in_order, text)
    tables = re.split(r" ?(?=table (?:inet|bridge) )", text)
    return "\n".join(sorted(table.strip() for table in tables if table.strip()))


def check_text(program, name, update):
    yaml, golden = (os.path.join(CASES, name + end) for end in (".yaml", ".nft"))
    result = run([program, *options_of(yaml), "print", yaml, os.path.join(HERE, "inventory.json")])
    if result.returncode:
        return f"exit status {result.returncode}\n{result.stderr}"
    if update:
        with open(golden, "w") as file:
            file.write(result.stdout)
    with open(golden) as file:
        if file.read() == result.stdout:
            return None
    return run(["diff", "-u", golden, "-"], input=result.stdout).stdout


def check_kernel(program, name):
    yaml, golden = (os.path.join(CASES, name + end) for end in (".yaml", ".nft"))
    script = """
        nft -c -f "$1" || { echo "nft refuses the text"; exit 1; }
        shift; "$@" || { echo "the kernel refuses the ruleset"; exit 1; }
        nft -s list ruleset
    """
    command = [program, *options_of(yaml), "apply", yaml, os.path.join(HERE, "inventory.json")]
    result = run(["unshare", "--net", "sh", "-c", script, "sh", golden, *command])
    if result.returncode:
        return result.stdout + result.stderr
    with open(golden) as file:
        expected = canonical(file.read())
    listed = canonical(result.stdout)
    if listed == expected:
        return None
    for before, after in zip(expected.split(" "), listed.split(" ")):
        if before != after:
            break
    return f"the kernel lists something else from {before!r} / {after!r} on:\n{expected}\n---\n{listed}"


def main():
    kind, program = sys.argv[1:3]
    names = sorted(file[:-5] for file in os.listdir(CASES) if file.endswith(".yaml"))
    if kind == "kernel" and os.geteuid() != 0:
        print("needs root")
        return SKIPPED
    assert names
    failed = 0
    for name in names:
        problem = check_text(program, name, "--update" in sys.argv) if kind == "text" else check_kernel(program, name)
        print(f"{'ok' if problem is None else 'FAILED'}: {name}")
        if problem:
            print(problem)
            failed += 1
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

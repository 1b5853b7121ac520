#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The shipped policies and the examples: shipped.py COFFERDAM MATRIX [--update].

`cofferdam check` finds nothing in them, what the examples expect holds for the containers in inventory.json, and the
table of who may reach whom there is the one in the file NAME.reach beside this one. --update writes these files anew:
read the difference before you believe it.
"""

import difflib
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[2]
INVENTORY = HERE / "inventory.json"

SETS = {
    "deny-everything": [ROOT / "policies/deny-everything.yaml"],
    "quarantine": [ROOT / "policies/quarantine.yaml", ROOT / "policies/internet.yaml"],
    "compose-isolation": [ROOT / "policies/compose-isolation.yaml"],
    "web-tier": [ROOT / "policies/web-tier.yaml", ROOT / "policies/database.yaml"],
    "internet": [ROOT / "policies/internet.yaml"],
    "dns": [ROOT / "policies/dns.yaml"],
    "all-shipped": sorted((ROOT / "policies").glob("*.yaml")),
    "shop": sorted((ROOT / "examples/shop/policies").glob("*.yaml")),
    "metrics": sorted((ROOT / "examples/metrics/policies").glob("*.yaml")),
}


# The others are about containers that inventory.json does not have, and rightly warn of that.
EXAMPLES = {"shop", "metrics"}


def check(program, name, files):
    tested = ["--inventory", INVENTORY] if name in EXAMPLES else []
    done = subprocess.run([program, "check", *tested, *files], capture_output=True, text=True, timeout=60, check=False)
    said = done.stdout + done.stderr
    if done.returncode == 0 and "error" not in said and "warning" not in said:
        return True
    print(f"{name}: cofferdam check ended with {done.returncode} and said:\n{said}")
    return False


def reach(program, name, files, update):
    done = subprocess.run([program, INVENTORY, *files], capture_output=True, text=True, timeout=60, check=False)
    if done.returncode != 0:
        print(f"{name}: {done.stderr}")
        return False
    golden = HERE / f"{name}.reach"
    if update:
        golden.write_text(done.stdout, encoding="utf-8")
        return True
    expected = golden.read_text(encoding="utf-8")
    if done.stdout == expected:
        return True
    sys.stdout.writelines(difflib.unified_diff(expected.splitlines(True), done.stdout.splitlines(True),
                                               str(golden), "now"))
    return False


def main():
    cofferdam, matrix = sys.argv[1:3]
    update = "--update" in sys.argv[3:]
    covered = {file for files in SETS.values() for file in files}
    shipped = set((ROOT / "policies").glob("*.yaml")) | set((ROOT / "examples").glob("*/policies/*.yaml"))
    good = True
    for file in sorted(shipped - covered):
        print(f"{file}: is in no set of this test")
        good = False
    for name, files in SETS.items():
        if not files:
            print(f"{name}: there is no file")
            good = False
            continue
        good = check(cofferdam, name, files) and good
        good = reach(matrix, name, files, update) and good
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What `cofferdam plan --inventory` says: plan.py COFFERDAM [--update].

For each folder in cases/, from the policies in old/ to those in new/ with the host of inventory.json: expected/NAME.text,
.short, .full, .rules, .md and .json, those of them that FORMATS names. --update writes these files anew: read the
difference before you believe it.
"""

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1]))

import schemas  # noqa: E402

PROGRAM = os.path.abspath(sys.argv.pop(1))
UPDATE = "--update" in sys.argv
if UPDATE:
    sys.argv.remove("--update")

ALL = {"text": [], "short": ["--short"], "full": ["--full"], "rules": ["--rules"], "md": ["-o", "md"], "json": ["--json"]}
FORMATS = { # and the exit status
    "change": (2, list(ALL)),
    "nothing": (0, list(ALL)),
    "shuffled": (0, ["text", "json"]),
    "first": (2, ["text"]),
    "last": (2, ["text", "full"]),
    "expectation": (1, ["text", "short", "md", "json"]),
    "default-audit": (2, ["text", "json"]),
    "docker-blocked": (2, ["text", "full", "md"]),
    "description": (2, ["text", "md"]),
    "problems": (2, ["text", "md"]),
    "recorded": (2, ["text", "short", "md", "json"]),
}
MORE = {"default-audit": ["--config", "../../audit.yaml"], "recorded": ["--against-log=log.json", "--since", "2026-11-19T12:00:00Z"]}
MARKDOWN_MAX = 60000

# One of each kind of trick, in names, which are a stranger's to choose.
HOSTILE = ("</details></summary><script>alert(1)</script>", "```\n# not ours\n```", "`````", "~~~", "@everyone #1 GH-1",
           "[click](https://example.net)", "![x](https://example.net/x.png)", "<!-- ", "**bold** | cell | _x_", "https://example.net",
           "\u202egnp.exe", "a\x1b[31mb\r\nc\x7f", "\n\n### Problems\n", "日本語", "+ allowed", "&lt;b&gt;", "$x^2$", "x" * 3000)


def plan(*args, cwd=HERE):
    done = subprocess.run([PROGRAM, "plan", *args], cwd=cwd, capture_output=True, timeout=60, check=False)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def outside_fences(text):
    """The lines of a Markdown document that are none of a fenced block's, as CommonMark has it."""
    lines, fence = [], None
    for line in text.split("\n"):
        mark = re.match(r" {0,3}(`{3,}|~{3,})(.*)$", line)
        if fence and mark and mark[1].startswith(fence) and not mark[2].strip():
            fence = None
        elif not fence and mark and "`" not in mark[2]:
            fence = mark[1]
        elif not fence:
            lines.append(line)
    assert fence is None, "a block has no end"
    return lines


OURS = re.compile(r"(\*\*(Plan: |No changes\.)[a-z0-9 ,;+.-]*\*\*|### (Policies \(\d+ unchanged\)|Connections|Problems"
                  r"|Live connections that would be cut: not known, as no daemon was asked|Recorded connections \([0-9TZ: -]* to [0-9TZ:-]*, log\.json\))|<details><summary>Rules "
                  r"\([a-z ,]*\)</summary>|</details>|\d+ more lines? (is|are) left out, as a comment has no room for them: "
                  r"`cofferdam plan( --full| --rules)?` prints all\.|)")


class Planned(unittest.TestCase):
    maxDiff = None

    def golden(self, name, text):
        path = HERE / "expected" / name
        if UPDATE:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
        self.assertEqual(path.read_text(encoding="utf-8"), text, path)

    def test_each(self):
        for name, (expected, formats) in FORMATS.items():
            for form in formats:
                with self.subTest(f"{name}.{form}"):
                    status, out, err = plan("--inventory", "../../inventory.json", "--base", "old", *ALL[form], *MORE.get(name, []), "new",
                                            cwd=HERE / "cases" / name)
                    self.assertEqual((status, err), (expected, ""))
                    if form == "json":
                        document = json.loads(out)
                        schemas.check("plan", document)
                        self.assertEqual(document["changes"], expected == 2 or name == "expectation")
                        self.assertEqual((document["plan_id"], document["rules"]["validated"]), (None, None))
                        out = json.dumps(document, indent=1, ensure_ascii=False) + "\n"
                    self.golden(f"{name}.{form}", out)
                    if form == "md":
                        for line in outside_fences(out):
                            self.assertRegex(line, f"^{OURS.pattern}$")

    def test_no_file_is_forgotten(self):
        names = sorted(path.name for path in (HERE / "expected").iterdir())
        self.assertEqual(names, sorted(f"{name}.{form}" for name, (_, formats) in FORMATS.items() for form in formats))
        self.assertEqual(sorted(path.name for path in (HERE / "cases").iterdir()), sorted(FORMATS))

    def test_the_policies_in_force_are_those_of_the_document(self):
        case = HERE / "cases/change"
        expected = plan("--inventory", "../../inventory.json", "--base", "old", "new", cwd=case)
        files = [{"path": f"old/{path.name}", "text": path.read_text(encoding="utf-8")} for path in (case / "old").iterdir()]
        inventory = json.loads((HERE / "inventory.json").read_text(encoding="utf-8"))
        with tempfile.TemporaryDirectory() as folder:
            status = os.path.join(folder, "status.json")

            def ask(document, *args):
                with open(status, "w", encoding="utf-8") as file:
                    json.dump(document, file)
                return plan("--inventory", status, *args, "new", cwd=case)
            self.assertEqual(ask({"inventory": inventory, "policy_files": files}), expected)
            self.assertEqual(ask({"inventory": inventory, "policy_files": []}, "--base", "old"), expected)
            for document in ({"inventory": inventory}, inventory, {"inventory": inventory, "policy_files": None}):
                code, out, err = ask(document)
                self.assertEqual((code, out), (1, ""))
                self.assertIn("the inventory does not have the policies in force\n  help: name policies with --base PATH, or "
                              "write it on the host with: cofferdam status --json > inventory.json\n", err)
            piped = subprocess.run([PROGRAM, "plan", "--inventory", "-", "new"], cwd=case, capture_output=True, text=True,
                                   input=json.dumps({"inventory": inventory, "policy_files": files}), check=False)
            self.assertEqual((piped.returncode, piped.stdout, piped.stderr), expected)

    def test_lockdowns(self):
        """What they cut does not change, and is not judged; what only one direction's lockdown leaves does and is."""
        def lockdown(**keys):
            return {"id": None, "name": None, "project": None, "service": None, "number": None, "select": None, "except": [],
                    "direction": "both", "allow": [], "reason": None, "by": None, "since": "2026-11-20T15:04:05Z", "until": None, **keys}
        inventory = json.loads((HERE / "inventory.json").read_text(encoding="utf-8"))

        def ask(lockdowns, *args):
            text = json.dumps({**inventory, "lockdowns": lockdowns})
            done = subprocess.run([PROGRAM, "plan", "--inventory", "-", "--base", "old", *args, "new"], cwd=HERE / "cases/change",
                                  capture_output=True, text=True, input=text, check=False)
            return done.returncode, done.stdout, done.stderr
        self.assertEqual(ask([]), plan("--inventory", "../../inventory.json", "--base", "old", "new", cwd=HERE / "cases/change"))
        lockdowns = [lockdown(name="shop-db-1", reason="odd"), lockdown(name="mail", direction="in", allow=["host:25/tcp"]),
                     lockdown(select="name=blog-*")]
        status, out, err = ask(lockdowns)
        self.assertEqual((status, err), (2, ""))
        changes = out.split("Connections\n")[1].split("\n\n")[0].splitlines()
        self.assertEqual([line.split("denied")[0].split() for line in changes if line.startswith("  +")],
                         [["+", *"compose shop/api (2), compose shop/web (3) -> internet 443/tcp".split()],
                          ["+", "mail", "->", "192.168.1.53", "53/tcp,", "53/udp"], ["+", "mail", "->", "198.51.100.0/24", "587/tcp"]])
        self.assertEqual(changes[3:], ["    held back by lockdowns: what changes for blog-db, blog-web, shop-db-1, once released"])
        self.assertIn("shop-db-1 is locked down: what the policies say of it does not apply until `cofferdam release shop-db-1`\n", out)
        self.assertIn("mail is locked down (connections to it), but for host:25/tcp: what the policies say of these does not apply until "
                      "`cofferdam release mail`\n", out)
        self.assertIn("name=blog-* is locked down: what the policies say of them does not apply until `cofferdam release 'name=blog-*'`\n",
                      out)
        document = json.loads(ask(lockdowns, "--json")[1])
        schemas.check("plan", document)
        self.assertEqual(document["held"], ["blog-db", "blog-web", "shop-db-1"])
        self.assertEqual([document["summary"][f"con{key}"] for key in ("nections_allowed", "nections_denied", "tainers_held")], [3, 0, 3])
        for wrong in ({}, [{}], [lockdown(name="x", direction="up")], [lockdown(name="x", since=1700000000)], [lockdown()]):
            code, out, err = ask(wrong)
            self.assertEqual((code, out), (1, ""), wrong)
            self.assertIn("lockdown", err)

    def test_mistakes(self):
        with tempfile.TemporaryDirectory() as folder:
            bad = pathlib.Path(folder) / "bad.yaml"
            bad.write_text("policy: a\nselekt: {name: '```'}\n", encoding="utf-8")
            inventory = ("--inventory", HERE / "inventory.json")
            for args, error, code in (((*inventory, "--base", HERE / "cases/change/old", bad), "the policies have mistakes", "C020"),
                                      ((*inventory, "--base", bad, HERE / "cases/change/new"), "no plan can be made", "C020"),
                                      ((*inventory, "--base", "none", HERE / "cases/change/new"), "no plan can be made", "C060"),
                                      (("--inventory", bad, "--base", HERE / "cases/change/old", HERE / "cases/change/new"),
                                       "no plan can be made", None),
                                      ((*inventory, "--config", bad, "--base", HERE / "cases/change/old", HERE / "cases/change/new"),
                                       "the settings cannot be used", "C020")):
                status, out, err = plan(*args, cwd=folder)
                self.assertEqual((status, out), (1, ""), args)
                self.assertTrue(err.endswith(f"\ncofferdam: {error}\n"), err)
                self.assertIn(f"error[{code}]" if code else "error: this is not JSON", err)
                status, out, _ = plan(*args, "-o", "md", cwd=folder)
                self.assertEqual((status, [line for line in outside_fences(out) if line]), (1, [f"**No plan: {error}**"]))
                self.assertIn(f"error[{code}]" if code else "error: this is not JSON", out)
                status, out, err = plan(*args, "-o", "json", cwd=folder)
                self.assertEqual((status, err, json.loads(out)["error"]), (1, "", error))
                schemas.check("plan", json.loads(out))

    def test_usage(self):
        for args, why in ((["--base", "a", "b"], "--base is for --inventory"), (["-o", "sarif"], "the formats are text, json and md"),
                          (["--inventory", "a", "--policies", "b", "c"], "either --policies or a PATH")):
            status, out, err = plan(*args)
            self.assertEqual((status, out), (64, ""))
            self.assertIn(why, err)

    # ---- names of strangers, and many of them -----------------------------------------------------------------------

    def host_of(self, folder, names):
        """An inventory with containers of these names, each with a policy of its own before, and another one after."""
        folder = pathlib.Path(folder)
        containers = [{"id": f"{i:04}" * 16, "name": name, "running": True, "labels": {"n": str(i)},
                       "endpoints": [{"network": "n", "network_name": "n", "id": f"e{i}", "port": f"veth{i}",
                                      "mac": f"02:42:00:00:{i // 256:02x}:{i % 256:02x}", "ipv4": f"172.18.{i // 250}.{i % 250 + 2}"}]}
                      for i, name in enumerate(names)]
        (folder / "inventory.json").write_text(json.dumps(
            {"format_version": "1.0", "containers": containers, "networks": [
                {"id": "n", "name": "n", "driver": "bridge", "bridge": "br-n", "managed": True, "subnets": ["172.18.0.0/16"]}]}),
            encoding="utf-8")
        for when, port in (("old", 1), ("new", 2)):
            (folder / when).mkdir()
            (folder / when / "``` <b>@x.yaml").write_text("---\n".join(
                f"policy: p{i}\nselect: {{labels: {{n: '{i}'}}}}\ningress:\n  - from: [host, {{labels: {{n: '{(i + 1) % len(names)}'}}}}]\n"
                f"    ports: [{port * 1000 + i}/tcp]\negress: [{{}}]\n" for i in range(len(names))), encoding="utf-8")

    def test_nothing_in_a_name_escapes(self):
        with tempfile.TemporaryDirectory() as folder:
            self.host_of(folder, HOSTILE)
            ask = ("--inventory", "inventory.json", "--base", "old", "new")
            for args in (["-o", "md"], ["-o", "md", "--full"]):
                status, out, err = plan(*ask, *args, cwd=folder)
                self.assertEqual((status, err), (2, ""))
                self.assertEqual([line for line in outside_fences(out) if not OURS.fullmatch(line)], [])
                self.assertIn("<script>alert(1)</script>", out) # as a text, within a block
                self.assertNotRegex(out, "[\x00-\x09\x0b-\x1f\x7f\u202a-\u202e]")
                self.assertLessEqual(len(out.encode()), MARKDOWN_MAX)
            for args in ([], ["--full", "--rules"]):
                self.assertNotRegex(plan(*ask, *args, cwd=folder)[1], "[\x00-\x09\x0b-\x1f\x7f\u202a-\u202e]")

    def test_what_a_comment_has_no_room_for_is_counted(self):
        names = [f"container-{'x' * (i % 50)}-{i}" for i in range(600)]
        with tempfile.TemporaryDirectory() as folder:
            self.host_of(folder, names)
            ask = ("--inventory", "inventory.json", "--base", "old", "new", "--full")
            _, out, _ = plan(*ask, "-o", "md", cwd=folder)
            self.assertLessEqual(len(out.encode()), MARKDOWN_MAX)
            self.assertGreater(len(out.encode()), MARKDOWN_MAX * 9 // 10)
            self.assertEqual([line for line in outside_fences(out) if not OURS.fullmatch(line)], [])
            document = json.loads(plan(*ask, "--json", cwd=folder)[1])
            left_out = {command: int(n) for n, command in re.findall(r"^(\d+) more lines? .*: `([^`]*)` prints", out, re.MULTILINE)}
            for title, command, total in (
                    ("### Policies", "cofferdam plan", len(document["policies"])),
                    ("### Connections", "cofferdam plan --full", document["connections_text"].count("\n")),
                    ("<details>", "cofferdam plan --rules", len(document["rules"]["lines"]))):
                shown = [line for line in out.split(title)[1].split("\n```", 2)[1].split("\n")[1:] if not line.startswith("@@")]
                self.assertGreater(len(shown), 50)
                if title == "<details>": # among those left out are lines that only name a chain or set
                    self.assertGreaterEqual(len(shown) + left_out[command], total)
                else:
                    self.assertEqual(len(shown) + left_out.get(command, 0), total, title)


if __name__ == "__main__":
    unittest.main()

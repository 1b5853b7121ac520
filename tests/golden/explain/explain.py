#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What `cofferdam explain` says, as text and as JSON: explain.py COFFERDAM [--update].

policies/ with the host of ../plan/inventory.json, in expected/NAME.text and expected/NAME.json; --update writes these
files anew: read each as one who does not know why something is denied, before you believe it.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, os.pardir))
import schemas  # pylint: disable=wrong-import-position

PROGRAM = os.path.abspath(sys.argv.pop(1))
UPDATE = "--update" in sys.argv
if UPDATE:
    sys.argv.remove("--update")
HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1]))

import schemas  # noqa: E402

INVENTORY = "../plan/inventory.json"

CASES = {
    "allowed": "shop-api-1 shop-db-1 5432/tcp",
    "both-denied": "shop-web-1 shop-db-1 5432/tcp",
    "egress-denied": "six-a six-b 443/tcp",
    "ingress-denied": "proxy shop-web-1 80/tcp",
    "near-port": "shop-web-2 shop-api-1 8005/tcp",
    "near-except": "shop-api-1 203.0.113.7 443/tcp",
    "near-inside": "shop-api-1 172.18.0.30 6379/tcp",
    "near-staged": "shop-web-1 8.8.8.8 443/tcp",
    "deny-rule": "shop-web-1 169.254.169.254 80/tcp",
    "deny-rule-beats": "metrics 169.254.169.254 80/tcp",
    "any-port": "six-a six-b",
    "any-port-none": "shop-web-1 shop-web-2",
    "any-port-of-protocol": "blog-web blog-db tcp",
    "two-networks": "proxy blog-web 80/tcp",
    "networks-apart": "blog-web vault 8200/tcp",
    "networks-apart-denied": "shop-web-1 blog-web 80/tcp",
    "internal-network": "vault 9.9.9.9 443/tcp",
    "published": "203.0.113.7 192.168.1.10 8080/tcp",
    "published-by-name": "203.0.113.7 shop-web-1 8080/tcp",
    "published-ipv6": "2001:db8::7 shop-web-1 8080/tcp",
    "published-own-port": "203.0.113.7 shop-web-1 80/tcp",
    "published-from-host": "host blog-web 8081/tcp",
    "published-from-container": "shop-web-1 host 8081/tcp",
    "not-published": "203.0.113.7 shop-web-2 80/tcp",
    "from-host": "host shop-db-1 5432/tcp",
    "to-host": "shop-db-1 host 22/tcp",
    "to-loopback": "shop-web-1 127.0.0.1 80/tcp",
    "name-server": "shop-web-1 192.168.1.53 53/udp",
    "name-server-denied": "blog-db 192.168.1.53 53/udp",
    "outside-not-enforced": "203.0.113.7 192.168.1.10 22/tcp",
    "ipv6-only": "six-a 2001:db8::1 icmp",
    "no-family": "six-a blog-db 22/tcp",
    "unmanaged": "old-app 9.9.9.9",
    "unmanaged-to-managed": "old-app shop-db-1 5432/tcp",
    "host-mode": "exporter shop-db-1 5432/tcp",
    "shared-network": "sidecar shop-api-1 8000/tcp",
    "no-network": "mute shop-db-1",
    "not-running": "job shop-db-1 5432/tcp",
    "itself": "shop-web-1 shop-web-1 80/tcp",
    "by-id": "a1a1 shop-api-1 8000/tcp",
    "default-audit": "--config audit.yaml mail shop-db-1 5432/tcp",
    "default-audit-allowed": "--config audit.yaml mail 9.9.9.9 25/tcp",
}
STATUS = {"allowed": 0, "denied": 3}


def explain(*args, policies="policies", inventory=INVENTORY):
    done = subprocess.run([PROGRAM, "explain", "--inventory", inventory, *(["--policies", policies] if policies else []),
                           *args], cwd=HERE, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout, done.stderr


class Explained(unittest.TestCase):
    maxDiff = None

    def golden(self, name, text):
        path = HERE / "expected" / name
        if UPDATE:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
        self.assertEqual(path.read_text(encoding="utf-8"), text, path)

    def test_each(self):
        for name, args in CASES.items():
            with self.subTest(name):
                status, text, err = explain(*args.split())
                document = json.loads(explain(*args.split(), "--json")[1])
                schemas.check("explain", document)
                self.assertEqual((status, err), (STATUS[document["verdict"]], ""))
                self.assertEqual(document.pop("text"), text)
                hint = document.pop("hint")
                self.assertTrue(text.endswith(f"\n\n{hint}") if hint else "To allow it" not in text)
                self.golden(f"{name}.text", f"$ cofferdam explain {args}\n{text}")
                self.golden(f"{name}.json", json.dumps(document, indent=1, ensure_ascii=False) + "\n")

    def test_no_file_is_forgotten(self):
        names = sorted(path.name for path in (HERE / "expected").iterdir())
        self.assertEqual(names, sorted(f"{name}.{form}" for name in CASES for form in ("text", "json")))

    def test_mistakes(self):
        for args, why in ((("shop-web", "host"), "no such container: shop-web\n  did you mean 'shop-web-1'?"),
                          (("blgo-web", "host"), "no such container: blgo-web\n  did you mean 'blog-web'?"),
                          (("x\x1b[2J", "host"), "no such container: x\\x1b[2J\n  give a container's name or ID, an IPv4 "
                                                 "or IPv6 address, or `host`"),
                          (("a", "host"), "several containers have an ID that begins with a\n"
                                          "  give more of the ID, or the name")):
            self.assertEqual(explain(*args), (1, "", f"cofferdam: {why}\n"), args)
            refusal = json.loads(explain(*args, "--json")[1])
            schemas.check("explain", refusal)
            self.assertEqual((refusal["ok"], refusal["exit"]), (False, 1))
        self.assertEqual(explain("mute", "host", "80")[0], 64)

    def test_the_policies_in_force_are_those_of_the_document(self):
        question = CASES["near-port"].split()
        with tempfile.TemporaryDirectory() as folder:
            inventory = json.loads((HERE / INVENTORY).read_text(encoding="utf-8"))
            files = [{"path": f"policies/{path.name}", "text": path.read_text(encoding="utf-8")}
                     for path in sorted((HERE / "policies").iterdir())]
            status = pathlib.Path(folder) / "status.json"

            def ask(document, **kwargs):
                status.write_text(json.dumps(document), encoding="utf-8")
                return explain(*question, inventory=status, **kwargs)
            self.assertEqual(ask({"inventory": inventory, "policy_files": files}, policies=None), explain(*question))
            # they are not read where others are named
            bad = [{"path": "a.yaml", "text": "policy: 1\nselekt: {all: true}\n"}]
            self.assertEqual(ask({"inventory": inventory, "policy_files": bad[:0]}, policies=None)[0], 3)
            self.assertEqual(ask({"inventory": inventory, "policy_files": bad}), explain(*question))
            for files, why in ((bad, "are not understood"), (None, "does not have the policies in force"), ({}, "is no list"),
                               (["x"], "is no list"), ([{"path": "", "text": ""}], "is no list"),
                               ([{"path": "a", "text": 1}], "is no list")):
                code, out, err = ask({"inventory": inventory, "policy_files": files}, policies=None)
                self.assertEqual((code, out), (1, ""))
                self.assertIn(why, err)
            self.assertIn("name policies with --policies PATH", ask({"inventory": inventory}, policies=None)[2])

    def test_lockdowns(self):
        """The same words as the daemon's; where nothing is cut, what the policies say."""
        inventory = json.loads((HERE / INVENTORY).read_text(encoding="utf-8"))
        lockdown = {"id": None, "name": "shop-db-1", "project": None, "service": None, "number": None, "select": None, "except": [],
                    "address": None, "interface": None, "direction": "in", "allow": ["shop-web-1"], "reason": "odd\x1b", "by": "root", "since": "2026-11-20T15:04:05Z",
                    "until": None}

        def ask(words, lockdowns, *args):
            done = subprocess.run([PROGRAM, "explain", "--inventory", "-", "--policies", "policies", *args, *words.split()], cwd=HERE,
                                  capture_output=True, text=True, input=json.dumps({**inventory, "lockdowns": lockdowns}), check=False)
            self.assertEqual(done.stderr, "")
            return done.returncode, done.stdout
        for words, cut in (("shop-api-1 shop-db-1 5432/tcp", True), ("shop-db-1 host 22/tcp", False), ("shop-web-1 proxy 5432/tcp", False),
                           ("six-a six-b", False)):
            code, out = ask(words, [])
            if not cut:
                self.assertEqual(ask(words, [lockdown]), (code, out))
                continue
            self.assertEqual(ask(words, [lockdown]), (3, (
                "shop-api-1 -> shop-db-1 5432/tcp: denied\n"
                "  shop-db-1 is locked down (connections to it), but for shop-web-1, since 2026-11-20T15:04:05Z by root: odd\\x1b\n  Once it is released:\n" + out)))
            document = json.loads(ask(words, [lockdown], "--json")[1])
            schemas.check("explain", document)
            self.assertEqual((document["verdict"], {**document["lockdown"], **lockdown}), ("denied", document["lockdown"]))

        # an exception grants what the container's own policies do not, and not what its peer's do not
        lockdown["allow"] = ["shop-api-1"]
        code, out = ask("shop-api-1 shop-db-1 7/tcp", [])
        self.assertEqual(code, 3)
        self.assertEqual(ask("shop-api-1 shop-db-1 7/tcp", [lockdown]), (code, out))
        words = "host shop-db-1 5432/tcp"
        code, out = ask(words, [])
        self.assertEqual(code, 3)
        lockdown["allow"] = ["host:5432/tcp"]
        self.assertEqual(ask(words, [lockdown]), (0, (
            "host -> shop-db-1 5432/tcp: allowed\n"
            "  shop-db-1 is locked down (connections to it), but for host:5432/tcp, since 2026-11-20T15:04:05Z by root: odd\\x1b\n"
            "  Once it is released:\n" + out)))
        document = json.loads(ask(words, [lockdown], "--json")[1])
        schemas.check("explain", document)
        self.assertEqual(document["verdict"], "allowed")

    def test_usage(self):
        for args in (["--policies", "policies", "a", "b"], ["--inventory", INVENTORY, "a"]):
            done = subprocess.run([PROGRAM, "explain", *args], cwd=HERE, capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, 64, done)


if __name__ == "__main__":
    unittest.main()

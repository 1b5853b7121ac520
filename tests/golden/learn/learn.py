#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What `cofferdam learn` proposes: learn.py LEARN-CASE COFFERDAM [--update].

Each cases/NAME, on the host of ../plan/inventory.json, proposes exactly expected/NAME.yaml; --update writes these anew:
read each as one who is to put it in force. A case has a line for each thing:

    learn CONTAINER | KEY=VALUE      whom it means
    watched SECONDS                  until the proposal is made
    ended                            it does not go on
    taken TEXT                       the name of a policy that there is
    +SECONDS FROM > TO PORT [xN] [denied POINT [RULE]]
                                     what was seen, so long after it began; FROM and TO a container, host, or an address
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, os.pardir))
import schemas  # pylint: disable=wrong-import-position

CASE, COFFERDAM = (os.path.abspath(sys.argv.pop(1)) for _ in range(2))
UPDATE = "--update" in sys.argv
if UPDATE:
    sys.argv.remove("--update")
HERE = pathlib.Path(__file__).resolve().parent
INVENTORY = json.loads((HERE / "../plan/inventory.json").read_text(encoding="utf-8"))
for made in INVENTORY["containers"]:  # as Compose makes them; and one of another project
    if "com.docker.compose.service" in (made.get("labels") or {}):
        made["labels"]["com.docker.compose.container-number"] = made["name"].rpartition("-")[2]
    if made["name"] == "metrics":
        made["labels"] = {"com.docker.compose.project": "metrics", "com.docker.compose.service": "prometheus"}
SINCE = 1795255200  # 2026-11-21T10:00:00Z
PROTOCOLS = {"tcp": 6, "udp": 17, "sctp": 132, "gre": 47}


def named(name):
    return next((container for container in INVENTORY["containers"] if container["name"] == name), None)


def end(word, other):
    """(what stands under cofferdam, what stands under source or destination) of one end."""
    container = named(word)
    six = ":" in other or any(":" in address for address in [word])
    if container:
        endpoint = container["endpoints"][0]
        labels = container.get("labels") or {}
        facts = {"id": container["id"], "name": word, "image": {"name": "i"}}
        if "com.docker.compose.project" in labels:
            facts["compose"] = {"project": labels["com.docker.compose.project"], "service": labels["com.docker.compose.service"]}
        address = endpoint.get("ipv6" if six and endpoint.get("ipv6") else "ipv4") or endpoint.get("ipv6")
        return {"kind": "container", "container": facts, "network": endpoint["network"]}, {"ip": address}
    if word == "host":
        return {"kind": "host"}, {"ip": "fd00:18::1" if six else "172.18.0.1"}
    if word.startswith("nobody="):
        return {"kind": "unknown"}, {"ip": word.partition("=")[2]}
    return {"kind": "outside"}, {"ip": word}


def stamp(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime(seconds))


def record(line):
    """[the record as it opens, as it ends]"""
    words = line.split()
    at = SINCE + int(words[0][1:])
    source, destination, port = words[1], words[3], words[4]
    count = next((int(word[1:]) for word in words[5:] if word[0] == "x" and word[1:].isdigit()), 1)
    denied = words[words.index("denied") + 1:] if "denied" in words else None
    number, _, word = port.rpartition("/")
    (left, source_end), (right, destination_end) = end(source, destination), end(destination, source)
    own = {"verdict": "deny" if denied else "allow", "source": left, "destination": right, "count": count}
    if denied:
        own["point"] = denied[0]
    result = {"event": {"start": stamp(at), "end": stamp(at + (count > 1) * count)}, "source": source_end,
              "destination": destination_end, "cofferdam": own, "rule": {}}
    if word == "icmp":
        own["icmp"] = {"type": int(number or 8), "code": 0}
        result["network"] = {"iana_number": "58" if ":" in destination_end["ip"] else "1"}
    else:
        result["network"] = {"iana_number": str(PROTOCOLS[word])}
        if number:
            destination_end["port"] = int(number)
    if denied and len(denied) > 1:
        result["rule"] = {"ruleset": "p", "name": denied[1]}
    opened = json.loads(json.dumps(result))
    del opened["event"]
    opened["cofferdam"]["count"] = 1
    return [{"at": at, "final": False, "record": opened}, {"at": at + 20, "final": True, "record": result}]


def read(path):
    case = {"inventory": INVENTORY, "containers": [], "select": [], "taken": None, "since": SINCE, "now": SINCE, "ended": False,
            "records": []}
    for line in path.read_text(encoding="utf-8").splitlines():
        word, _, rest = line.partition(" ")
        if word == "learn":
            case["select" if "=" in rest else "containers"].append(rest)
        elif word == "watched":
            case["now"] = SINCE + int(rest)
        elif word == "ended":
            case["ended"] = True
        elif word == "taken":
            case["taken"] = f"policy: {rest}\nselect: {{all: true}}\n"
        elif word.startswith("+"):
            case["records"] += record(line)
        else:
            assert not line or line.startswith("#"), line
    return case


def propose(case):
    done = subprocess.run([CASE], input=json.dumps(case), capture_output=True, text=True, timeout=60, check=True)
    return json.loads(done.stdout)


class Proposed(unittest.TestCase):
    maxDiff = None

    def test_each(self):
        for path in sorted((HERE / "cases").iterdir()):
            with self.subTest(path.name):
                answer = propose(read(path))
                document, text = answer["document"], answer["text"]
                schemas.check("learn", dict(document, format_version="1.0"))
                self.assertTrue(answer["state_is_the_same"])
                # nothing that was seen is denied but what is held back
                self.assertEqual(document["allowed"] + document["held_back"], document["kinds"])
                self.assertEqual(document["policy"], text)
                self.assertEqual(text.count("\nmode: audit\n"), document["policies"])
                expected = HERE / "expected" / f"{path.name}.yaml"
                if UPDATE:
                    expected.parent.mkdir(exist_ok=True)
                    expected.write_text(text, encoding="utf-8")
                self.assertEqual(expected.read_text(encoding="utf-8"), text, expected)
                if document["policies"]:
                    done = subprocess.run([COFFERDAM, "check", str(expected)], capture_output=True, text=True, check=False)
                    self.assertEqual((done.returncode, done.stderr), (0, ""))

    def update(self, text, watched=100000):
        """(what is said of a file by what the shop was seen doing, the file with the diff applied)"""
        case = dict(read(HERE / "cases" / "shop"), update={"path": "shop.yaml", "text": text}, now=SINCE + watched)
        document = propose(case)["document"]
        schemas.check("learn", dict(document, format_version="1.0"))
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder) / "shop.yaml"
            file.write_text(text, encoding="utf-8")
            if document["update"]["diff"]:
                subprocess.run(["patch", "--fuzz=0", "-s", "-d", folder, "-p0"], input=document["update"]["diff"], text=True, check=True)
            done = subprocess.run([COFFERDAM, "check", str(file)], capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, 0, done.stderr)
            return document["update"], file.read_text(encoding="utf-8")

    def test_an_existing_file(self):
        shipped = (HERE.parents[2] / "examples/shop/policies/shop.yaml").read_text(encoding="utf-8")
        update, changed = self.update(shipped)
        # the example allows it all, and nothing that was not seen
        self.assertEqual(update, {"diff": "", "missing": [], "unused": []})

        # what is missing comes as a staged policy of its own; what is too much goes, and nothing else
        other = shipped.replace("ports: [5432/tcp]", "ports: [5433/tcp]").split("---\n# A test of all")[0]
        update, changed = self.update(other)
        self.assertEqual(update["missing"], ["shop/api -> shop/db 5432/tcp"])
        self.assertEqual(update["unused"], ["shop-api egress 1 (shop.yaml:21)", "shop-db ingress 1 (shop.yaml:32)"])
        self.assertIn("mode: audit\nselect: {compose: shop/api}", changed)
        self.assertIn("policy: shop-db-learned", changed)
        self.assertNotIn("5433", changed)
        self.assertIn("- name: payment", changed)
        again, unchanged = self.update(changed)
        self.assertEqual((again["missing"], again["diff"], unchanged), ([], "", changed))

        # nothing goes that was watched for less than a day
        update, changed = self.update(other, 3600)
        self.assertEqual(len(update["unused"]), 2)
        self.assertIn("5433", changed)

    def test_files_of_other_shapes(self):
        flow = "policy: web\nselect: {compose: shop/web}\negress: [{to: [{compose: shop/api}], ports: [8000/tcp]}, {to: [internet]}]"
        update, changed = self.update(flow)  # without a line end
        self.assertEqual(update["unused"], ["web egress 2 (shop.yaml:3)"])
        self.assertTrue(changed.startswith(flow + "\n---\npolicy: "))
        only = "policy: web\nselect: {compose: shop/web}\negress:\n  - to: [internet]\n\n  # odd\ningress:\n  - from: [any]\n"
        update, changed = self.update(only)
        self.assertEqual(update["unused"], ["web egress 1 (shop.yaml:4)"])
        self.assertIn("ingress:\n  - from: [any]\n", changed)

    def test_no_file_is_forgotten(self):
        self.assertEqual(sorted(path.name for path in (HERE / "expected").iterdir()),
                         sorted(f"{path.name}.yaml" for path in (HERE / "cases").iterdir()))

    def test_many_visitors_and_a_scan_stay_small(self):
        case = read(HERE / "cases" / "shop")
        case["records"] = [entry for n in range(2000) for entry in
                           record(f"+{n} {20 + n // 250}.{n % 250}.3.4 > shop-web-1 80/tcp")]
        case["records"] += [entry for n in range(3000) for entry in record(f"+{n} shop-web-1 > shop-db-1 {1 + n}/tcp denied egress")]
        case["records"] += [entry for n in range(900) for entry in record(f"+{n} 10.{n // 200}.{n % 200}.7 > shop-web-1 81/tcp")]
        document = propose(case)["document"]
        # the scan is one kind for each of both sides; visitors are one, and so are those of the office's networks
        self.assertLess(document["kinds"], 10)
        self.assertEqual(document["allowed"] + document["held_back"], document["kinds"])
        self.assertIn("from: [internet]", document["policy"])
        self.assertIn("from: [outside]", document["policy"])
        self.assertNotIn("\n  - to: [{compose: shop/db}]", document["policy"])


if __name__ == "__main__":
    unittest.main()

#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What is denied is logged: each connection once, with the names of both ends, the policies and the rule."""

import base64
import hashlib
import json
import os
import socket
import struct
import sys
import time
import unittest

from engine import OUTSIDE
from machine import run, wait_until
from playground import Playground, Question

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir))
import schemas  # pylint: disable=wrong-import-position

POLICIES = """
policy: web
select: {labels: {role: web}}
ingress: [{from: [{labels: {role: web}}], ports: [80/tcp]}]
egress:
  - to: [{labels: {role: db}}]
    ports: [5432/tcp, 53/udp]
  - name: no-metadata
    deny: true
    to: [{cidr: 169.254.169.254/32}]
---
policy: db
select: {labels: {role: db}}
ingress: [{from: [{labels: {role: nobody}}]}]
egress: [{}]
---
policy: polite
reject: true
select: {labels: {role: polite}}
"""
SHOP = {"com.docker.compose.project": "shop", "com.docker.compose.service": "web"}
QUIET = 10  # seconds after its last packet, at which a record is written
HOST = {"ipv4": "10.91.0.1", "ipv6": "fd91::1"}


def community_id(record):
    """By the specification, without the code under test."""
    ends = [(socket.inet_pton(socket.AF_INET6 if ":" in record[end]["ip"] else socket.AF_INET, record[end]["ip"]),
             record[end]["port"]) for end in ("source", "destination")]
    (a, port_a), (b, port_b) = sorted(ends)
    data = bytes(2) + a + b + bytes((int(record["network"]["iana_number"]), 0)) + struct.pack("!HH", port_a, port_b)
    return "1:" + base64.b64encode(hashlib.sha1(data).digest()).decode()


class Base(Playground):
    POLICIES = POLICIES
    START = False

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.file = cls.engine.path("verdicts.log")
        cls.cofferdam.start(log={"file": cls.file, "journal": "off"})

    def setUp(self):
        self.at = os.path.getsize(self.file) if os.path.exists(self.file) else 0

    def records(self):
        """Those that were written since the test began; each is as the schema says."""
        if not os.path.exists(self.file):
            return []
        with open(self.file, encoding="utf-8") as file:
            file.seek(self.at)
            found = [json.loads(line) for line in file if line.endswith("\n")]
        for record in found:
            schemas.check("verdict", record)
        return found

    def settled(self, seconds=3 * QUIET):
        """All records, when none is open any more."""
        def done():
            return self.cofferdam.json("status")["log"]["open"] == 0
        wait_until(done, seconds + 60, "the records to be written", gap=0.5)
        return self.records()

    def one(self, records, **wanted):
        """The only record of these, by fields as a__b."""
        def field(record, name):
            for key in name.split("__"):
                record = record.get(key, {}) if isinstance(record, dict) else {}
            return record
        found = [record for record in records if all(field(record, name) == value for name, value in wanted.items())]
        self.assertEqual(len(found), 1, json.dumps(found or records, indent=1))
        return found[0]

    def assert_fields(self, record, wanted):
        """Each of these, and nothing else beside them on that level."""
        for key, value in wanted.items():
            self.assertEqual(record.get(key), value, f"{key} of {json.dumps(record, indent=1)}")

    def container(self, container, network="front", **more):
        return {"kind": "container", "network": network,
                "container": dict({"id": container.id, "name": container.name, "image": {"name": "probe:1"}}, **more)}


class Kinds(Base, unittest.TestCase):
    """Each kind of denial is one record, and says who, what and why."""

    def test_policies(self):
        web = self.run_container("web", "web", labels=SHOP)
        db, polite = self.run_containers(db="db", polite="polite")
        lan, metadata = OUTSIDE["ipv4"]["lan"], OUTSIDE["ipv4"]["metadata"]
        questions = [question for family in ("ipv4", "ipv6") for question in (
            Question(web, db, "80/tcp", family),            # egress of web
            Question(web, db, "5432/tcp", family),          # allowed out, not in
            Question(web, HOST[family], "80/tcp", family),  # to the host
            Question(self.engine.host, db, "80/tcp", family),
            Question(self.engine.lan, db, "80/tcp", family),
            Question(web, OUTSIDE[family]["lan"], "53/udp", family),
            Question(web, db, "icmp", family))]
        questions += [Question(web, metadata, "80/tcp"), Question(polite, lan, "80/tcp")]
        began = time.time()
        self.assertNotIn("connected", self.ask_all(questions, 1500))
        records = self.settled()
        self.assertEqual(len(records), len(questions), "\n".join(record["message"] for record in records))

        for family, kind in (("ipv4", 4), ("ipv6", 6)):
            shop = self.container(web, compose={"project": "shop", "service": "web"})
            record = self.one(records, source__ip=web.address(family), destination__ip=db.address(family), destination__port=80)
            self.assert_fields(record["cofferdam"], {
                "verdict": "deny", "point": "egress", "direction": "egress", "policies": ["web"], "source": shop,
                "destination": self.container(db)})
            self.assert_fields(record["event"], {"kind": "event", "category": ["network"], "type": ["connection", "denied"],
                                                 "action": "dropped", "module": "cofferdam", "dataset": "cofferdam.verdict",
                                                 "reason": "no egress rule of its policies allows it"})
            self.assert_fields(record["rule"], {"category": "egress", "name": "no-rule"})
            self.assert_fields(record["network"], {"type": f"ipv{kind}", "transport": "tcp", "iana_number": "6",
                                                   "direction": "internal", "community_id": community_id(record)})
            self.assert_fields(record["source"], {"mac": web.mac("front").upper().replace(":", "-")})
            self.assertIsInstance(record["source"]["port"], int)
            self.assertGreaterEqual(record["cofferdam"]["count"], 1)
            self.assertLess(record["cofferdam"]["count"], 5)
            self.assertLess(abs(time.mktime(time.strptime(record["@timestamp"][:19], "%Y-%m-%dT%H:%M:%S")) - time.timezone
                                - began), 5)
            self.assertEqual(record["observer"]["product"], "Cofferdam")

            record = self.one(records, source__ip=web.address(family), destination__port=5432)
            self.assert_fields(record["cofferdam"], {"point": "ingress", "direction": "ingress", "policies": ["db"], "source": shop,
                                                     "destination": self.container(db)})
            self.assert_fields(record["rule"], {"category": "ingress", "name": "no-rule"})
            record = self.one(records, source__ip=web.address(family), destination__ip=HOST[family])
            self.assert_fields(record["cofferdam"], {"point": "host-egress", "direction": "egress", "policies": ["web"],
                                                     "source": shop, "destination": {"kind": "host"}})
            record = self.one(records, cofferdam__point="host-ingress", destination__ip=db.address(family))
            self.assert_fields(record["cofferdam"], {"direction": "ingress", "policies": ["db"], "source": {"kind": "host"},
                                                     "destination": self.container(db)})
            record = self.one(records, cofferdam__source={"kind": "outside"}, destination__ip=db.address(family))
            self.assert_fields(record["cofferdam"], {"point": "ingress", "policies": ["db"], "destination": self.container(db)})
            self.assertEqual(record["network"]["direction"], "inbound")
            record = self.one(records, network__transport="udp", network__type=f"ipv{kind}")
            self.assert_fields(record["cofferdam"], {"point": "egress", "source": shop, "destination": {"kind": "outside"}})
            self.assert_fields(record["network"], {"direction": "outbound", "iana_number": "17"})
            record = self.one(records, network__transport={4: "icmp", 6: "ipv6-icmp"}[kind])
            self.assert_fields(record["cofferdam"], {"point": "egress", "icmp": {"type": {4: 8, 6: 128}[kind], "code": 0}})
            self.assertNotIn("port", record["destination"])

        record = self.one(records, destination__ip=metadata)
        self.assert_fields(record["rule"], {"category": "egress", "name": "no-metadata", "ruleset": "web",
                                            "reference": os.path.join(self.cofferdam.policies, "policies.yaml") + ":8"})
        record = self.one(records, source__ip=polite.address())
        self.assertEqual(record["event"]["action"], "rejected")
        self.assert_fields(record["cofferdam"], {"policies": ["polite"], "point": "egress"})

    def test_lockdown(self):
        web, db = self.run_containers(web="web", db="db")
        self.assertEqual(self.cofferdam("lockdown", "web", "--allow", "db:5432/tcp").returncode, 0)
        self.addCleanup(self.cofferdam, "release", "--all")
        # The neighbours' hardware addresses are asked for as well, and those are denied too.
        self.ask_all([Question(self.engine.lan, web, "80/tcp")], 1500)
        record = self.one([r for r in self.settled() if r["network"]["transport"] == "tcp"])
        self.assert_fields(record["cofferdam"], {"point": "locked", "lockdown": "web", "destination": self.container(web),
                                                 "source": {"kind": "outside"}, "direction": "ingress"})
        self.assertEqual(record["rule"]["category"], "locked")
        self.assertTrue(db)

    def test_spoofing(self):
        web, db = self.run_containers(web="web", db="db")
        stolen = "10.91.77.7"
        run(web.enter("ip", "address", "add", f"{stolen}/16", "dev", "eth0"))
        run(web.enter("ip", "neigh", "replace", db.address(), "lladdr", db.mac("front"), "dev", "eth0"))
        self.ask_all([Question(web, db.address(), "5432/tcp", bind=stolen)], 1500)
        records = [r for r in self.settled() if r["network"]["type"] == "ipv4"]
        record = self.one(records)
        self.assert_fields(record["source"], {"ip": stolen, "mac": web.mac("front").upper().replace(":", "-")})
        self.assert_fields(record["cofferdam"], {"point": "spoofed", "source": self.container(web),
                                                 "destination": self.container(db), "direction": "egress", "policies": ["web"]})
        self.assertTrue(record["observer"]["ingress"]["interface"]["name"].startswith("veth"))
        self.assertGreaterEqual(record["cofferdam"]["count"], 1)

    def test_a_container_s_address_from_outside(self):
        web = self.run_container("web", "web")
        db = self.run_container("db", "db")
        self.engine.lan.run("ip", "address", "add", f"{web.address()}/32", "dev", "lo")
        self.addCleanup(self.engine.lan.run, "ip", "address", "del", f"{web.address()}/32", "dev", "lo")
        self.ask_all([Question(self.engine.lan, db.address(), "5432/tcp", bind=web.address())], 1500)
        record = self.one(self.settled())
        self.assert_fields(record["cofferdam"], {"point": "spoofed", "source": {"kind": "outside"},
                                                 "destination": self.container(db)})
        self.assertEqual(record["source"]["ip"], web.address())

    def test_nobody_s_address(self):
        self.ask_all([Question(self.engine.lan, "10.91.0.200", "80/tcp"), Question(self.engine.lan, "fd91::200", "80/tcp", "ipv6")], 1500)
        records = self.settled()
        for ip in ("10.91.0.200", "fd91::200"):
            record = self.one(records, destination__ip=ip)
            self.assert_fields(record["cofferdam"], {"point": "unknown", "source": {"kind": "outside"},
                                                     "destination": {"kind": "unknown"}, "policies": []})

    def test_names_of_others_are_escaped(self):
        labels = dict(SHOP, **{"com.docker.compose.service": "w\x1b[31m\n\"\u202eeb"})
        odd = self.run_container("odd", labels=labels)
        self.ask_all([Question(odd, OUTSIDE["ipv4"]["lan"], "80/tcp")], 500)
        self.settled()
        with open(self.file, "rb") as file:
            file.seek(self.at)
            lines = file.read().decode("utf-8").splitlines()
        self.assertEqual(len(lines), 1)
        self.assertTrue(all(char >= " " and char != "\u202e" for char in lines[0]))
        service = json.loads(lines[0])["cofferdam"]["source"]["container"]["compose"]["service"]
        self.assertEqual(service, 'w\\x1b[31m\\x0a"\\xe2\\x80\\xaeeb')

    def test_a_container_of_a_moment(self):
        """It is gone before anybody can ask who it was."""
        names = [f"moment{number}" for number in range(5)]
        for name in names:
            container = self.engine.create(name, ("front",), labels={"role": "web"}, AutoRemove=True,
                                           command=["busybox", "sh", "-c", "probe flood 1000 "
                                                    f"udp,{OUTSIDE['ipv4']['lan']},99 & busybox usleep 50000"])
            container.start()
            self.engine.containers.pop(container.id)
        records = [r for r in self.settled() if r["destination"].get("port") == 99]
        self.assertEqual(sorted(r["cofferdam"]["source"]["container"]["name"] for r in records
                                if r["cofferdam"]["source"]["kind"] == "container"), names,
                         json.dumps(records, indent=1))


if __name__ == "__main__":
    unittest.main()

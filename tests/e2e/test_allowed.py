#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""New connections that are allowed are logged where the settings say so: each once, with both ends and the rules."""

import json
import os
import sys
import time
import unittest

from engine import OUTSIDE, UPLINK
from machine import wait_until
from playground import Question
from test_denylog import HOST, SHOP, Base, community_id

POLICIES = """
policy: web
select: {labels: {role: web}}
ingress:
  - name: visitors
    from: [outside, host]
    ports: [80/tcp]
egress:
  - to: [{labels: {role: db}}]
    ports: [5432/tcp, 53/udp, icmp]
  - to: [outside]
    ports: [80/tcp]
  - to: [host]
    ports: [80/tcp, 8080/tcp]
---
policy: db
select: {labels: {role: db}}
ingress: [{from: [{labels: {role: web}}, {labels: {role: open}}]}]
---
policy: open
select: {labels: {role: open}}
egress: [{}]
"""
ANSWERED = "while ! echo '0 udp {} 53' | probe ask 20 | busybox grep -q connected; do :; done"


class Allowing(Base):
    POLICIES = POLICIES
    LOG = {"allowed": "on", "journal": "off"}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.cofferdam.restart(log=dict(cls.LOG, file=cls.file))

    def ended(self):
        """All records, now: at its end the daemon writes those that are open."""
        self.cofferdam.stop()
        records = self.records()
        self.cofferdam.start(log=dict(self.LOG, file=self.file))
        return records

    def listens(self):
        """Does anybody in the host's namespace listen for new connections?"""
        lines = self.engine.host.run("cat", "/proc/net/netlink").stdout.splitlines()[1:]
        return any(fields[1] == "12" and int(fields[3], 16) & 1 for fields in map(str.split, lines))

    def place(self, line):
        return os.path.join(self.cofferdam.policies, "policies.yaml") + f":{line}"


class Kinds(Allowing, unittest.TestCase):
    """Each kind is one record, and says who, what and why."""

    def _ask(self, web, db):
        questions = [question for family in ("ipv4", "ipv6") for question in (
            Question(web, db, "5432/tcp", family),
            Question(web, db, "53/udp", family),
            Question(web, db, "icmp", family),
            Question(web, HOST[family], "80/tcp", family),
            Question(web, OUTSIDE[family]["lan"], "80/tcp", family),
            Question(self.engine.host, web, "80/tcp", family),
            Question(self.engine.lan, web, "80/tcp", family, bind=OUTSIDE[family]["lan"]))]
        # Published. Of IPv6, whether the Engine translates addresses or its docker-proxy carries it depends on its version.
        questions.append(Question(self.engine.lan, UPLINK["ipv4"], "8080/tcp", bind=OUTSIDE["ipv4"]["public"]))
        self.assertEqual(set(self.ask_all(questions, 3000)), {"connected"})
        return questions

    def test_each_is_one_record(self):
        db = self.run_container("db", "db")
        web = self.run_container("web", "web", labels=SHOP, publish=[(8080, 80, "tcp")])
        shop = self.container(web, compose={"project": "shop", "service": "web"})
        began, questions = time.time(), self._ask(web, db)
        records = self.settled()
        self.assertEqual(len(records), len(questions), "\n".join(record["message"] for record in records))
        visitors = {"policies": ["web"], "reason": "rule visitors of policy web", "rule": "visitors", "policy": "web",
                    "reference": self.place(5)}
        for family, kind in (("ipv4", 4), ("ipv6", 6)):
            to_db = {"policies": ["web"], "reason": "egress 1 of policy web", "rule": "egress 1", "policy": "web",
                     "reference": self.place(9)}
            in_db = {"policies": ["db"], "reason": "ingress 1 of policy db", "rule": "ingress 1", "policy": "db",
                     "reference": self.place(18)}
            record = self.one(records, source__ip=web.address(family), destination__port=5432)
            self.assert_fields(record["cofferdam"], {
                "verdict": "allow", "direction": "egress", "count": 1, "policies": ["web", "db"], "source": shop,
                "destination": self.container(db), "egress": to_db, "ingress": in_db})
            self.assertNotIn("point", record["cofferdam"])
            self.assert_fields(record["event"], {"type": ["connection", "allowed"], "action": "allowed",
                                                 "reason": "egress 1 of policy web, ingress 1 of policy db"})
            self.assert_fields(record["rule"], {"category": "egress", "name": "egress 1", "ruleset": "web"})
            self.assert_fields(record["network"], {"type": f"ipv{kind}", "transport": "tcp", "direction": "internal",
                                                   "community_id": community_id(record)})
            self.assertIsInstance(record["source"]["port"], int)
            self.assertLess(abs(time.mktime(time.strptime(record["@timestamp"][:19], "%Y-%m-%dT%H:%M:%S")) - time.timezone
                                - began), 5)
            record = self.one(records, network__transport="udp", network__type=f"ipv{kind}")
            self.assert_fields(record["cofferdam"], {"source": shop, "egress": to_db, "ingress": in_db, "count": 1})
            record = self.one(records, network__transport={4: "icmp", 6: "ipv6-icmp"}[kind])
            self.assert_fields(record["cofferdam"], {"icmp": {"type": {4: 8, 6: 128}[kind], "code": 0}, "egress": to_db})
            self.assertNotIn("port", record["destination"])

            record = self.one(records, source__ip=web.address(family), destination__ip=HOST[family])
            self.assert_fields(record["cofferdam"], {"destination": {"kind": "host"}, "policies": ["web"]})
            self.assertEqual(record["cofferdam"]["egress"]["rule"], "egress 3")
            self.assertNotIn("ingress", record["cofferdam"])
            record = self.one(records, source__ip=web.address(family), destination__ip=OUTSIDE[family]["lan"])
            self.assert_fields(record["cofferdam"], {"destination": {"kind": "outside"}, "direction": "egress"})
            self.assertEqual(record["network"]["direction"], "outbound")
            record = self.one(records, cofferdam__source={"kind": "host"}, network__type=f"ipv{kind}")
            self.assert_fields(record["cofferdam"], {"direction": "ingress", "destination": shop, "ingress": visitors})
            for key in ("lan", "public")[:2 if kind == 4 else 1]:  # reached directly, and by its published port
                record = self.one(records, source__ip=OUTSIDE[family][key])
                self.assert_fields(record["destination"], {"ip": web.address(family), "port": 80})
                self.assert_fields(record["cofferdam"], {"direction": "ingress", "destination": shop, "ingress": visitors,
                                                         "source": {"kind": "outside"}, "policies": ["web"]})
                self.assertNotIn("egress", record["cofferdam"])

    def test_what_docker_proxy_carries(self):
        """A container that asks for its own published port gets its answer by way of the host."""
        web = self.run_container("web", "web", publish=[(8080, 80, "tcp")])
        self.assert_passes(web, UPLINK["ipv4"], "8080/tcp", ("ipv4",))
        records = self.ended()
        self.assertEqual({(r["cofferdam"]["source"]["kind"], r["cofferdam"]["destination"]["kind"], r["destination"]["port"])
                          for r in records}, {("container", "host", 8080), ("host", "container", 80)})

    def test_many_are_one_record(self):
        web, db = self.run_containers(web="web", db="db")
        for _ in range(20):
            self.assert_results("connected", [Question(web, db, "53/udp")] * 5, 3000)
        self.assertEqual(self.cofferdam.json("status")["log"]["lost"], 0)
        self.assertEqual(self.one(self.ended())["cofferdam"]["count"], 100)

    def test_a_lockdown_s_exception(self):
        web, db = self.run_containers(web="web", db="db")
        self.assertEqual(self.cofferdam("lockdown", "db", "--allow", "web:5432/tcp").returncode, 0)
        self.addCleanup(self.cofferdam, "release", "--all")
        self.assert_passes(web, db, families=("ipv4",))
        record = self.one(self.ended(), cofferdam__verdict="allow")
        self.assertEqual(record["cofferdam"]["ingress"], {"policies": ["db"], "reason": "an exception of the lockdown of db"})
        self.assertEqual(record["cofferdam"]["egress"]["rule"], "egress 1")

    def test_a_container_of_a_moment(self):
        """It is gone as soon as it has been answered."""
        db = self.run_container("db", "db")
        names = [f"moment{number}" for number in range(5)]
        for name in names:
            container = self.engine.create(name, ("front",), labels={"role": "open"}, AutoRemove=True,
                                           command=["busybox", "sh", "-c", ANSWERED.format(db.address())])
            container.start()
            self.engine.containers.pop(container.id)
        records = [r for r in self.ended() if r["cofferdam"]["verdict"] == "allow"]
        self.assertEqual(sorted({r["cofferdam"]["source"].get("container", {}).get("name") for r in records}), names,
                         json.dumps(records, indent=1))

    def test_an_address_that_changes_hands(self):
        db = self.run_container("db", "db")
        for name in ("first", "second"):
            container = self.run_container(name, "open", networks=(("front", "10.91.9.9", "fd91::99"),))
            self.assert_passes(container, db, "5432/tcp", ("ipv4",))
            container.remove()
        records = [r for r in self.ended() if r["cofferdam"]["verdict"] == "allow"]
        self.assertEqual([(r["cofferdam"]["source"]["container"]["name"], r["source"]["ip"], r["cofferdam"]["count"])
                          for r in records], [("first", "10.91.9.9", 1), ("second", "10.91.9.9", 1)])


class Switch(Allowing, unittest.TestCase):
    """Who does not ask for it has none of it."""

    def test_off(self):
        web, db = self.run_containers(web="web", db="db")
        self.assertTrue(self.listens())
        self.assertTrue(self.cofferdam.json("status")["log"]["allowed"])
        self.addCleanup(self.cofferdam.restart, log=dict(self.LOG, file=self.file))
        self.cofferdam.restart(log={"file": self.file, "journal": "off"})
        self.assertFalse(self.listens())
        self.assertFalse(self.cofferdam.json("status")["log"]["allowed"])
        self.assert_passes(web, db)
        self.assert_dropped(web, db, "80/tcp", ("ipv4",))
        self.cofferdam.stop()
        records = self.records()
        self.cofferdam.start(log={"file": self.file, "journal": "off"})
        self.one(records, cofferdam__verdict="deny", destination__port=80)
        self.assertEqual([r for r in records if r["cofferdam"]["verdict"] == "allow"], [])

    def test_the_kernel_s_own_switch(self):
        """It is not ours: what it means is said."""
        host = self.engine.host
        before = host.sysctl("net.netfilter.nf_conntrack_events")
        self.addCleanup(host.sysctl, "net.netfilter.nf_conntrack_events", before)
        self.assertIsNone(self.cofferdam.json("status")["log"]["error"])
        host.sysctl("net.netfilter.nf_conntrack_events", 0)
        self.assertIn("nf_conntrack_events", self.cofferdam.json("status")["log"]["error"])
        self.assertIn("nf_conntrack_events", self.cofferdam("status").stdout)
        self.assertEqual(host.sysctl("net.netfilter.nf_conntrack_events"), "0")


class Floods(Allowing, unittest.TestCase):
    """New connections without end are one record, and keep nobody else out of the log."""

    def _cpu(self):
        pid = self.cofferdam.json("status")["daemon"]["pid"]
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            fields = file.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _flood(self, source, target, ports, seconds=6):
        """(connections, the daemon's share of a core, microseconds of one for each)"""
        flood = self.engine.spawn(f"flood-{ports}", source.enter(sys.executable, "-c", FLOOD, str(seconds), target.address(), str(ports),
                                                                 "20000", source.address()))
        before, began = self._cpu(), time.monotonic()
        wait_until(lambda: not flood.alive, seconds + 60, "the flood to end")
        used, n = self._cpu() - before, int(flood.output().split()[-1])
        return n, used / (time.monotonic() - began), 1e6 * used / n

    def test_to_few_ports(self):
        source, db, other = self.run_containers(source="open", db="db", other="web")
        n, used, each = self._flood(source, db, 3)
        self.assert_passes(other, db, "5432/tcp", ("ipv4",))
        records, lost = self.settled(), self.cofferdam.json("status")["log"]["lost"]
        told = sum(r["cofferdam"]["count"] for r in records if r["source"]["ip"] == source.address())
        print(f"flood: {n / 6:.0f} connections/s, {lost} lost, cofferdamd {100 * used:.1f} % of a core, {each:.1f} us each")
        self.assertEqual(told + lost, n)
        self.assertLess(each, 50)
        self.assertEqual(len([r for r in records if r["source"]["ip"] == source.address()]), 3)
        self.one(records, source__ip=other.address())

    def test_to_many_ports(self):
        source, db, other = self.run_containers(source="open", db="db", other="web")
        before = self.cofferdam.json("status")["log"]["lost"]
        n, used, each = self._flood(source, db, 20000)
        self.assert_passes(other, db, "5432/tcp", ("ipv4",))
        records, lost = self.settled(), self.cofferdam.json("status")["log"]["lost"] - before
        scan = [r for r in records if r["source"]["ip"] == source.address()]
        told = sum(r["cofferdam"]["count"] for r in scan)
        print(f"scan: {n / 6:.0f} connections/s, {len(scan)} records, {lost} lost, cofferdamd {100 * used:.1f} % of a core, {each:.1f} us each")
        self.assertEqual(told + lost, n)
        self.assertLess(each, 50)
        self.assertLess(len(scan), 1500)
        self.one(records, source__ip=other.address())


FLOOD = """
import socket, sys, time
seconds, address, ports, rate = float(sys.argv[1]), sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
sent, began = 0, time.monotonic()
while time.monotonic() < began + seconds:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((sys.argv[5], 10000 + sent // ports % 50000))
        for port in range(20000, 20000 + min(ports, 100)) if ports < 100 else [20000 + sent % ports]:
            sock.sendto(b"x", (address, port))
            sent += 1
    if sent % 100 < ports and sent > (time.monotonic() - began) * rate:
        time.sleep(max(0, sent / rate - (time.monotonic() - began)))
print(sent, flush=True)
"""


if __name__ == "__main__":
    unittest.main()

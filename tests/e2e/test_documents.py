#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Every key that the published schemas name is in some document of a real host, and says something there: a key that
nobody ever sees would be a promise that is not kept. That no document has other keys is looked at in every test."""

import json
import os
import signal
import time
import unittest

from cofferdam import schemas
from engine import UPLINK
from machine import wait_until
from pairs import open_in
from playground import Playground
from test_plan import FAMILIES

POLICIES = """
policy: web
select: {labels: {role: web}}
ingress: [{from: [host, outside], ports: [80/tcp]}]
egress:
  - {to: [{labels: {role: db}}], ports: [5432/tcp, 53/udp]}
  - {to: [dns]}
---
policy: db
select: {labels: {role: db}}
ingress: [{from: [{labels: {role: web}}], ports: [5432/tcp, 53/udp]}]
---
policy: resolver
select: {name: resolver}
ingress: [{from: [containers], ports: [53/udp]}]
---
policy: staged
mode: audit
select: {labels: {role: db}}
ingress: [{name: local, from: [host], ports: [5432/tcp]}]
"""
# Something of each sort: a policy less, one more, one staged that was not; the outside, the host.
PLANNED = """
policy: web
mode: audit
select: {labels: {role: web}}
---
policy: db
select: {labels: {role: db}}
ingress: [{from: [host, {cidr: 198.51.100.0/24}], ports: [5432/tcp]}, {from: [host], ports: [icmp/timestamp-request]}]
---
policy: resolver
select: {name: resolver}
ingress: [{from: [containers], ports: [53/udp]}]
---
policy: new
select: {labels: {role: nobody}}
"""
FAILING = """
---
expect: no lookups
denied:
  - {from: {labels: {role: web}}, to: {labels: {role: db}}, ports: [53/udp]}
"""
# What only other hosts have, and why.
ELSEWHERE = {
    "error/properties/code": "a request that is read too late, by a daemon that hung",
    "status/properties/lock_tables": "a command that has cut without the daemon: test_lockdown_return.py",
    "lockdown/properties/not_in_force": "a daemon that cannot cut now, so that the command does and answers instead",
    "status/properties/log/properties/error": "a log that cannot be read or written",
    "status/properties/rules/properties/error": "counters that cannot be read, or a disk that is full",
    **{key: "policies that are staged: test_staged.py" for key in schemas.keys() if key.startswith(("status/properties/staged", "status/$defs/staged_row"))},
    "inventory/properties/rootless": "an Engine that is rootless",
    "inventory/properties/lookups_by_engine": "an Engine of version 28 or later, or with a name server at a loopback address",
    "inventory/properties/networks/items/properties/elsewhere": "an Engine in another network namespace",
    "inventory/properties/containers/items/properties/listening_on_loopback": "a container that listens there",
    "inventory/properties/containers/items/properties/labels_known": "an image that cannot be looked at",
    "status/properties/daemon/properties/audit_error": "a disk that is full: test_audit.py",
    **{f"{verb}/properties/not_on_record": "the same" for verb in ("apply", "confirm", "label", "learn", "lockdown", "release",
                                                                   "rollback", "teardown")},
    "inventory/properties/containers/items/properties/dns_known": "a container that cannot be looked at",
    "lockdown/properties/evidence/properties/missing/items/properties/container": "a disk that is full: test_evidence.py",
}


class Documents(Playground, unittest.TestCase):
    POLICIES = POLICIES

    def setUp(self):
        super().setUp()
        self.seen = set()

    def see(self, verb, *arguments):
        document = self.cofferdam.json(verb, *arguments)
        self.assertIsNotNone(document, (verb, arguments))
        self.seen |= schemas.seen_keys(verb, document)
        return document

    def assert_seen(self, *files):
        """All keys of these files of the schemas."""
        wanted = {key for key in schemas.keys() if key.split("/")[0] in files} - set(ELSEWHERE)
        self.assertEqual(sorted(wanted - self.seen), [])

    def people(self):
        """A host with one of everything."""
        self.engine.image("labelled:1", {"role": "web"})
        self.engine.network("lan", "203.0.113.0/24", Driver="macvlan", Options={"parent": "uplink"})
        self.addCleanup(self.engine.api, "DELETE", "/networks/lan")
        resolver = self.run_container("resolver")
        # asked by IPv4 alone, though both have IPv6
        web = self.run_container("web", "web", publish=[(8080, 80, "tcp")], Dns=[resolver.address("ipv4")],
                                 IpcMode="shareable", Binds=["shop:/data", self.engine.socket + ":/engine.sock:ro"])
        self.run_container("debug", PidMode="container:web", IpcMode="container:web", VolumesFrom=["web"])
        db = self.run_container("db", "db", networks=("front", "back"))
        self.run_container("joined", networks=(), mode=f"container:{web.id}", CapAdd=["NET_ADMIN"])
        self.run_container("free", networks=(), mode="host")
        self.addCleanup(self._remove, self.engine.create("strong", ("lan",), Privileged=True))
        self.run_container("labelled", image="labelled:1")
        self.run_container("stopped").stop()
        self.cofferdam.settle()
        return web, db

    def planned(self):
        """A file with the other policies."""
        os.makedirs(self.engine.path("planned"), exist_ok=True)
        path = self.engine.path("planned", "policies.yaml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(PLANNED)
        return path

    def test_status(self):
        web, db = self.people()
        self.assert_passes(web, db, network="front")
        self.see("status", "--rules")
        self.assert_dropped(web, db, "80/tcp", families=["ipv4"])
        wait_until(lambda: self.see("status")["denied"]["containers"], 5, "what is denied to be told of")
        self.cofferdam.write(POLICIES + FAILING)
        self.see("apply", "--force")
        self.see("status")
        self.cofferdam.write("policy: x\n")
        self.assertEqual(self.cofferdam("apply").returncode, 1)
        self.see("status")
        self.cofferdam.write(POLICIES)
        self.engine.kill_dockerd()
        wait_until(lambda: self.see("status")["engine"]["error"], 5, "the daemon to see that the Engine is gone")
        self.engine.start_dockerd()
        self.cofferdam.settle(20)
        self.cofferdam.restart(protect_table="off")
        self.see("status")
        self.cofferdam.restart()
        self.see("apply", "--confirm-within", "60s")
        self.see("status")
        self.see("rollback")
        self.see("status")
        self.cofferdam.apply(POLICIES)
        self.see("label", "web", "quarantine=yes", "--reason", "documents")
        self.engine.containers[next(i for i, c in self.engine.containers.items() if c.name == "web")].remove()
        wait_until(lambda: self.see("label", "--list")["given"][0]["ended"], 5, "the label to end")
        self.run_container("web", "web")
        self.cofferdam.settle()
        self.see("status")
        self.see("label", "web", "quarantine=yes", "--follow", "--reason", "documents")
        self.see("status")
        self.see("label", "web", "quarantine-")
        self.assert_seen("status", "inventory")

    def recorded(self, web, db):
        """A log of what would be denied, what would pass, and whose end is gone."""
        def end(container):
            return {"kind": "container", "network": "front", "container": {"id": container.id, "name": container.name}}
        ways = [(end(web), end(db), "allow", "10.91.0.3"), (end(web), {"kind": "outside"}, "allow", "198.41.0.4"),
                ({"kind": "host"}, end(db), "deny", "10.91.0.3"),
                ({"kind": "container", "container": {"id": "0" * 64, "name": "gone"}}, end(db), "allow", "10.91.0.3")]
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        path = self.engine.path("recorded.log")
        with open(path, "w", encoding="utf-8") as file:
            for source, destination, verdict, address in ways:
                print(json.dumps({"@timestamp": now, "source": {"ip": "10.91.0.2"}, "destination": {"ip": address, "port": 5432},
                                  "network": {"iana_number": "6"}, "cofferdam": {
                                      "verdict": verdict, "point": "ingress", "count": 1, "source": source,
                                      "destination": destination}}), file=file)
        return path

    def test_plan(self):
        web, db = self.people()
        connections = [open_in(web, FAMILIES["ipv4"], 1), open_in(self.engine.lan, FAMILIES["ipv4"], 1)]
        for connection, address in zip(connections, ((db.address("ipv4"), 5432), (UPLINK["ipv4"], 8080))):
            self.addCleanup(connection.close)
            connection.settimeout(3)
            connection.connect(address)
        self.see("plan", f"--against-log={self.recorded(web, db)}", self.planned())
        self.assert_seen("plan")

    def test_explain(self):
        self.people()
        for arguments in (("web", "db"), ("web", "db", "5432/tcp"), ("db", "web", "5432/tcp"), ("host", "web", "8080/tcp"),
                          ("198.41.0.4", "web", "80/tcp"), ("host", "db", "5432/tcp"), ("joined", "db", "53/udp")):
            self.see("explain", *arguments)
        self.see("explain", "nobody", "db")
        self.see("plan", "/nonexistent")
        self.see("lockdown", "db")
        self.see("explain", "web", "db", "5432/tcp")
        self.see("release", "db")
        self.assert_seen("explain", "error")

    def test_lockdown(self):
        for name in ("acct", "timestamp"):
            self.engine.host.run("sysctl", "-q", "-w", f"net.netfilter.nf_conntrack_{name}=1")
            self.addCleanup(self.engine.host.run, "sysctl", "-q", "-w", f"net.netfilter.nf_conntrack_{name}=0")
        web, db = self.people()
        self.see("lockdown", "--dry-run", "db", "joined")
        connection = open_in(web, FAMILIES["ipv4"], 1)
        self.addCleanup(connection.close)
        connection.settimeout(3)
        connection.connect((db.address("ipv4"), 5432))
        self.see("lockdown", "web", "--allow", "host:80/tcp", "--reason", "documents", "--for", "1h")
        self.see("lockdown", "--select", "name=d*", "--except", "stopped", "--direction", "in")
        self.see("lockdown", "--list")
        self.see("lockdown", "db", "--evidence", self.engine.path("evidence"))
        self.see("lockdown", "db", "--evidence", self.cofferdam.config)  # no folder
        self.see("lockdown", "free")  # what cannot be cut
        self.see("release", "web")
        self.see("release", "--all")
        self.see("lockdown", "db")
        self.cofferdam.stop(signal.SIGKILL)
        self.see("lockdown", "web", "--address", "10.91.77.77")  # by the command itself
        self.see("release", "db", "web")  # of which the daemon's tables cut one
        self.see("lockdown", "--list")
        self.cofferdam.start()
        self.see("lockdown", "--list")  # the address is nobody's, and stays in tables of its own
        self.see("release", "--all")
        self.assert_seen("lockdown", "release")

    def test_label(self):
        for name in ("acct", "timestamp"):
            self.engine.host.run("sysctl", "-q", "-w", f"net.netfilter.nf_conntrack_{name}=1")
            self.addCleanup(self.engine.host.run, "sysctl", "-q", "-w", f"net.netfilter.nf_conntrack_{name}=0")
        web, db = self.people()
        self.see("label", "labelled")
        self.see("label", "web", "role=x", "--dry-run")
        connection = open_in(web, FAMILIES["ipv4"], 1)
        self.addCleanup(connection.close)
        connection.settimeout(3)
        connection.connect((db.address("ipv4"), 5432))
        self.see("label", "web", "role=x", "unused=yes", "--reason", "documents")
        self.see("label", "web")
        self.see("label", "--list")
        self.see("label", "free", "unused=yes")
        for name, key in (("web", "role"), ("web", "unused"), ("free", "unused")):
            self.see("label", name, key + "-")
        self.assert_seen("label")

    def test_learn(self):
        """The packets' log is off here: that is a problem."""
        web, db = self.people()
        watched = "--select", "label=role=*"
        self.see("learn", *watched, "--for", "1h")
        connection = open_in(web, FAMILIES["ipv4"], 1)
        self.addCleanup(connection.close)
        connection.settimeout(3)
        connection.connect((db.address("ipv4"), 5432))
        wait_until(lambda: self.see("learn", *watched)["kinds"] == 2, 10, "the connection to be seen")
        self.see("learn", *watched, "--update", self.planned())
        self.see("learn", "--list")
        self.see("learn", "--stop", *watched)
        self.see("learn", "--forget", *watched)
        self.assert_seen("learn")

    def test_graph(self):
        self.people()
        self.see("graph")
        self.see("graph", "--changes", self.planned())
        self.assert_seen("graph")

    def look_until_it_is_seen(self):
        """A rule of others; the daemon removes each at once, until it is tired of it."""
        for _ in range(30):
            self.engine.host.run("nft", "add", "rule", "inet", "cofferdam", "forward", "counter")
            if self.see("verify")["differences"]:
                return
        self.fail("it was repaired too soon for this test")

    def test_the_other_commands(self):
        self.run_containers(web="web", db="db")
        self.cofferdam.settle()
        self.see("verify")
        self.see("doctor")
        self.see("metrics")
        self.cofferdam.write(POLICIES + FAILING)
        self.see("apply", "--force")
        self.cofferdam.write(POLICIES)
        self.see("apply")
        self.cofferdam.write(POLICIES + "# other bytes\n")
        self.see("apply", "--confirm-within", "60s", "--only", self.see("plan")["plan_id"], "--comment", "documents")
        self.see("confirm", "--extend", "1m")
        self.see("confirm")
        entries = self.see("history")["entries"]
        self.see("history", str(entries[1]["number"]))  # the trial, which says most
        self.see("rollback", "2", "--confirm-within", "60s")  # what was forced
        self.see("rollback")
        self.cofferdam.restart(protect_table="off")
        self.look_until_it_is_seen()
        self.cofferdam.restart()
        self.see("teardown", "--yes")
        wait_until(lambda: not self.cofferdam.process.alive, 10, "the daemon to end")
        self.cofferdam.start()
        self.assert_seen("verify", "doctor", "apply", "confirm", "history", "rollback", "teardown", "metrics")


if __name__ == "__main__":
    unittest.main()

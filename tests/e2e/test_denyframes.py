#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What is denied below the addresses of packets, or by lockdowns, is logged as well, whoever's tables deny it."""

import signal
import socket
import struct
import unittest

import frames
from engine import OUTSIDE
from machine import run, wait_until
from playground import Question
from test_denylog import HOST, Base

GONE, MANY = "10.91.0.250", 300
NOBODY = "02:00:00:00:00:99"


class Frames(Base, unittest.TestCase):
    """One record of each; the sender is whose port it is, whatever the frame says."""

    def _frames(self, web, db):
        """As (kind, frame, what the record says)."""
        mine, its, all_nodes = web.mac("front"), db.mac("front"), "33:33:00:00:00:01"
        ipv4, ipv6 = (web.address(family) for family in ("ipv4", "ipv6"))
        def nd(kind, body, to=db.address("ipv6"), mac=its):
            return frames.ethernet(mine, mac, 0x86dd, frames.ipv6(ipv6, to, frames.ICMPV6, frames.icmpv6(kind, ipv6, to, body)))
        arp = struct.pack("!HHBBH", 1, 0x800, 6, 4, 2) + frames.mac(mine) + frames.address(HOST["ipv4"])
        arp += frames.mac(its) + frames.address(db.address())
        datagram = struct.pack("!HHHH", 1, 2, 8, 0)
        return [
            ("a neighbour's address", frames.ethernet(mine, its, 0x800, frames.ipv4("10.91.77.7", db.address(), 17, datagram)),
             {"network__type": "ipv4", "source__ip": "10.91.77.7", "cofferdam__point": "spoofed"}),
            ("the same of IPv6", frames.ethernet(mine, its, 0x86dd, frames.ipv6("fd91::777", db.address("ipv6"), 17, datagram)),
             {"network__type": "ipv6", "source__ip": "fd91::777", "cofferdam__point": "spoofed"}),
            ("another's hardware address", frames.ethernet(NOBODY, its, 0x800, frames.ipv4(ipv4, db.address(), 17, datagram)),
             {"network__type": "ipv4", "source__ip": ipv4, "source__mac": NOBODY.upper().replace(":", "-"), "cofferdam__point": "spoofed"}),
            ("the gateway's address by ARP", frames.ethernet(mine, its, 0x806, arp),
             {"network__type": "arp", "source__ip": HOST["ipv4"], "destination__ip": db.address(), "cofferdam__point": "spoofed"}),
            ("the gateway's address by discovery", nd(136, struct.pack("!I", 0x60000000) + frames.address(HOST["ipv6"])
                                                      + frames.option(2, mine)),
             {"network__type": "ipv6", "destination__ip": db.address("ipv6"), "source__ip": ipv6, "cofferdam__point": "spoofed",
              "cofferdam__icmp": {"type": 136, "code": 0}}),
            ("a router's message", nd(134, bytes(12), "ff02::1", all_nodes),
             {"network__type": "ipv6", "destination__ip": "ff02::1", "cofferdam__point": "protocol",
              "cofferdam__icmp": {"type": 134, "code": 0}}),
            ("no protocol of the internet's", frames.ethernet(mine, its, 0x88b5, bytes(46)),
             {"network__type": "other", "cofferdam__point": "protocol"}),
        ]

    def test_each_kind(self):
        web, db = self.run_containers(web="web", db="db")
        sent = self._frames(web, db)
        for _ in range(3):
            frames.send(web, [frame for _, frame, _ in sent])
        records = [record for record in self.settled() if record["cofferdam"]["source"].get("container", {}).get("id") == web.id]
        self.assertEqual(len(records), len(sent), "\n".join(record["message"] for record in records))
        port = records[0]["observer"]["ingress"]["interface"]["name"]
        self.assertTrue(port.startswith("veth"))
        for kind, _, wanted in sent:
            with self.subTest(kind):
                record = self.one(records, **wanted)
                self.assertEqual(record["cofferdam"]["count"], 3)
                self.assert_fields(record["cofferdam"], {"verdict": "deny", "direction": "egress", "policies": ["web"],
                                                         "source": self.container(web)})
                self.assert_fields(record["rule"], {"category": wanted["cofferdam__point"]})
                self.assertEqual(record["observer"]["ingress"]["interface"]["name"], port)
                self.assertEqual(record["event"]["action"], "dropped")
                if record["destination"].get("ip") in (db.address(), db.address("ipv6")):
                    self.assertEqual(record["cofferdam"]["destination"], self.container(db))


class Locks(Base, unittest.TestCase):
    """A lockdown's drops, by the daemon's rules and by the tables of a command that gets no answer from it."""

    def tearDown(self):
        self.cofferdam.process.process.send_signal(signal.SIGCONT)
        self.cofferdam("release", "--all")
        wait_until(lambda: not self._lock_tables(), 15, "the lock tables to go")

    def _lock_tables(self):
        return [table for table in self.engine.tables() if table.endswith("cofferdam_lockdown")]

    def _try_all(self, web, db):
        """From outside, the host and a neighbour that knows its hardware address; and from itself, without asking for one."""
        for one, other in ((web, db), (db, web)):
            for family in ("ipv4", "ipv6"):
                run(one.enter("ip", "neigh", "replace", other.address(family), "lladdr", other.mac("front"), "dev", "eth0"))
        questions = []
        for family in ("ipv4", "ipv6"):
            questions += [Question(self.engine.lan, web, "80/tcp", family), Question(self.engine.host, web, "81/tcp", family),
                          Question(db, web, "82/tcp", family), Question(web, db, "5432/tcp", family)]
        self.assertEqual(set(self.ask_all(questions, 700)), {"timeout"})

    def _assert_logged(self, records, web, db, outputs=2):
        """Each way once, for each family."""
        for family in ("ipv4", "ipv6"):
            own = [record for record in records if record["network"]["type"] == family and record["cofferdam"]["point"] == "locked"
                   and record["cofferdam"].get("icmp", {}).get("type") not in (135, 136)]
            for source, port in (({"kind": "outside"}, 80), ({"kind": "host"}, 81)):
                record = self.one(own, cofferdam__source=source)
                self.assertEqual(record["destination"]["port"], port)
                self.assert_fields(record["cofferdam"], {"direction": "ingress", "lockdown": "web", "policies": ["web"],
                                                         "destination": self.container(web)})
            record = self.one(own, cofferdam__source=self.container(db))
            self.assert_fields(record["cofferdam"], {"direction": "ingress", "lockdown": "web", "policies": ["web"],
                                                     "destination": self.container(web)})
            record = self.one(own, cofferdam__source=self.container(web))
            self.assert_fields(record["cofferdam"], {"direction": "egress", "lockdown": "web", "policies": ["web"],
                                                     "destination": self.container(db)})
            self.assert_fields(record["rule"], {"category": "locked"})
            self.assertEqual(len(own), outputs + 2, "\n".join(record["message"] for record in own))

    def test_by_the_daemon(self):
        web, db = self.run_containers(web="web", db="db")
        self.assertEqual(self.cofferdam("lockdown", "web").returncode, 0)
        self._try_all(web, db)
        self._assert_logged(self.settled(), web, db)

    def test_by_a_command_alone(self):
        """The daemon hangs; it hears of it when it goes on, and which lockdown that was when it has taken that over."""
        web, db = self.run_containers(web="web", db="db")
        self.cofferdam.settle()
        self.cofferdam.process.process.send_signal(signal.SIGSTOP)
        result = self.cofferdam("lockdown", "web", "--address", GONE)
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        self.assertEqual(len(self._lock_tables()), 2)
        self._try_all(web, db)
        self.cofferdam.process.process.send_signal(signal.SIGCONT)
        self._pour(GONE)
        records = self.settled()
        self._assert_logged([record for record in records if record["destination"].get("ip") != GONE], web, db)
        # Nobody has it: the rules alone would say that it is unknown.
        self.assertEqual(len(self._lock_tables()), 2)
        record = self.one(records, destination__ip=GONE)
        self.assert_fields(record["cofferdam"], {"point": "locked", "lockdown": GONE, "direction": "ingress", "policies": [],
                                                 "source": {"kind": "outside"}, "destination": {"kind": "unknown"}, "count": MANY})

    def _pour(self, address):
        self.engine.lan.run("python3", "-c", "import socket\nsender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
                            f"for _ in range({MANY}): sender.sendto(b'x', ('{address}', 99))")


if __name__ == "__main__":
    unittest.main()

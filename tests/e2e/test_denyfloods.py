#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Floods of what is denied: each is a record with its count, costs little, and takes nothing from the records of others."""

import os
import sys
import time
import unittest

from engine import OUTSIDE
from machine import wait_until
from playground import Question
from test_denylog import Base

FULL = 70000  # more than the sets hold, 65,536

POUR = """
import socket, sys, time
seconds, addresses, first, last = float(sys.argv[1]), sys.argv[2].split(","), int(sys.argv[3]), int(sys.argv[4])
full = int(sys.argv[5]) if len(sys.argv) > 5 else 0
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sent, end = 0, time.monotonic() + seconds
while time.monotonic() < end:
    for port in range(first, last + 1) if last - first >= 100 else [first] * 100:
        for address in addresses:
            sent += sock.sendto(b"x", (address, port))
        if port % 1000 == 0 and time.monotonic() >= end and sent >= full:
            break
        if full and sent >= full:
            print("full", flush=True)
            full, end = 0, time.monotonic() + seconds
    if full and sent < full:
        end = time.monotonic() + seconds
print(sent, flush=True)
"""

FORGED = """
import socket, struct, sys, time
seconds, target, full = float(sys.argv[1]), socket.inet_aton(sys.argv[2]), int(sys.argv[3])
sock = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
sent, end, source = 0, None, struct.unpack("!I", socket.inet_aton("198.18.0.0"))[0]
while end is None or time.monotonic() < end:
    for _ in range(1000):
        sent += 1
        head = struct.pack("!BBHHHBBHI4s", 0x45, 0, 28, 1, 0, 64, 17, 0, source + sent % 131072, target)
        sock.sendto(head + struct.pack("!HHHH", 5000, 99, 8, 0), (sys.argv[2], 0))
    if end is None and sent >= full:
        print("full", flush=True)
        end = time.monotonic() + seconds
print(sent, flush=True)
"""


class Floods(Base, unittest.TestCase):
    """Packets without end are one record, and keep nobody else out of the log."""

    def _cpu(self):
        with open(f"/proc/{self._pid()}/stat", encoding="ascii") as file:
            fields = file.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _pid(self):
        return self.cofferdam.json("status")["daemon"]["pid"]

    def _pour(self, source, seconds, first, last, full=0):
        """Datagrams to these ports of two addresses in turn, or to the one port of one, as fast as it goes."""
        addresses = ",".join([OUTSIDE["ipv4"]["lan"], OUTSIDE["ipv4"]["public"]][:1 + (first != last)])
        return self.engine.spawn(f"pour-{first}-{last}", source.enter(sys.executable, "-c", POUR, str(seconds), addresses, str(first),
                                                                      str(last), str(full)))

    def _during(self, flood, questions, full=False):
        """Asks while it lasts; returns the daemon's share of a core, and the seconds."""
        before, began = self._cpu(), time.monotonic()
        if full:
            wait_until(lambda: "full" in flood.output(), 200, "more than the sets hold", gap=0.05)
        else:
            time.sleep(1)
        self.ask_all(questions, 500)
        wait_until(lambda: not flood.alive, 60, "the flood to end")
        took = time.monotonic() - began
        return (self._cpu() - before) / took, took

    def test_a_flood_is_one_record(self):
        web, db = self.run_containers(web="web", db="db")
        flood = self._pour(web, 8, 99, 99)
        used, took = self._during(flood, [Question(db, web, "5432/tcp"), Question(self.engine.lan, db, "80/tcp")])
        sent = int(flood.output().split()[-1])
        records = self.settled()
        record = self.one(records, destination__port=99)
        print(f"flood: {sent / took:.0f} packets/s denied, cofferdamd {100 * used:.1f} % of a core")
        self.assertLess(used, 0.1)
        self.assertEqual(record["cofferdam"]["count"], sent)
        self.one(records, destination__port=80, destination__ip=db.address())
        self.one(records, destination__port=5432, source__ip=db.address(), cofferdam__point="ingress")
        self.assertEqual(self.cofferdam.json("status")["log"]["lost"], 0)

    def test_outsiders_without_number_take_nothing_from_containers(self):
        """What comes from outside may say any source; here it says more of them than the sets hold."""
        web, db = self.run_containers(web="web", db="db")
        flood = self.engine.spawn("forged", self.engine.lan.enter(sys.executable, "-c", FORGED, "4", "10.91.0.250", str(FULL)))
        used, took = self._during(flood, [Question(db, web, "5432/tcp"), Question(web, db, "80/tcp")], True)
        sent = int(flood.output().split()[-1])
        records = self.settled(40)
        print(f"forged sources: {sent / took:.0f} packets/s, {len(records)} records, cofferdamd {100 * used:.1f} % of a core")
        self.one(records, source__ip=db.address(), destination__port=5432)
        self.one(records, source__ip=web.address(), destination__port=80)
        self.assert_dropped(self.engine.lan, "10.91.0.250", "80/tcp", families=("ipv4",))

    def test_a_scan_takes_nothing_from_others(self):
        web, db = self.run_containers(web="web", db="db")
        flood = self._pour(web, 4, 1, 60000, FULL)
        used, took = self._during(flood, [Question(self.engine.lan, db, "80/tcp"), Question(db, web, "5432/tcp")], True)
        records = self.settled()
        self.one(records, destination__ip=db.address(), destination__port=80)
        self.one(records, source__ip=db.address(), destination__port=5432)
        scan = [record for record in records if record["source"]["ip"] == web.address()]
        print(f"scan: {int(flood.output().split()[-1]) / took:.0f} packets/s, {len(scan)} records, cofferdamd {100 * used:.1f} % of a core")
        self.assertLess(used, 0.5)
        self.assertGreater(self.cofferdam.json("status")["log"]["lost"], 5000)
        self.assertLess(len(scan), 400 + 120 * took)  # 200 at first, then 100 a second of those that are new
        self.assertGreater(len(scan), 200)


if __name__ == "__main__":
    unittest.main()

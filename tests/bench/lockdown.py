#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""How long `cofferdam lockdown` takes, from its start (fork and exec) to the last byte at any receiver: of a container that
talks at full rate with a neighbour, the host and the outside, over TCP and UDP. First with a few containers and nothing else
going on; then among 1,000, most of them simulated towards the daemon, while `cofferdam apply` changes all policies over and
over. A real Docker Engine, the real daemon, real tables, real packets.

Needs root, and takes under three minutes: run it on an idle machine.

    sudo python3 tests/bench/lockdown.py
"""

import argparse
import math
import os
import platform
import random
import re
import sys
import threading
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, "e2e"))
# pylint: disable=wrong-import-position
from cofferdam import COMMAND
from crowd import Crowd, policies
from engine import OUTSIDE
from flows import table
from machine import run, wait_until
from playground import Playground
from streams import Stream, Streams, inside

MEASURED = "policy: measured\nselect: {labels: {role: any}}\ningress: [{}]\negress: [{}]\n"
NICE = -10  # as the unit starts the daemon
TARGETS = {"idle": 50, "crowd": 200}  # ms, at the 99th percentile
SETTLED = 0.03  # seconds after the command has returned, in which nothing must arrive


def percentile(values, part):
    """The least value that so many of a hundred do not exceed."""
    return sorted(values)[max(0, math.ceil(len(values) * part / 100) - 1)]


def machine():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        model = re.search(r"model name\s*: (.*)", file.read())
    return f"{model[1] if model else platform.machine()}, {os.cpu_count()} CPUs, Linux {platform.release()}"


class Bench(Playground, unittest.TestCase):
    START = False
    rounds, containers = 100, 1000

    def start(self):
        self.cofferdam.start()
        os.setpriority(os.PRIO_PROCESS, self.cofferdam.process.process.pid, NICE)

    def lock(self, verb, *arguments):
        """In this thread's network namespace."""
        result = run([COMMAND, verb, "--json", "--config", self.cofferdam.config, *arguments], check=False)
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr + self.cofferdam.log()[-2000:])

    def open(self, web, db, far):
        """Streams of web's; in the second value one that it has nothing to do with."""
        port = iter(range(6001 + self.turn % 400 * 50, 60000))
        found = []
        for proto in ("tcp", "udp"):
            found += [Stream(proto, web, db, db.address("ipv4"), next(port)),
                      Stream(proto, self.engine.host, web, web.address("ipv4"), next(port)),
                      Stream(proto, web, self.engine.lan, OUTSIDE["ipv4"]["public"], next(port))]
        return found, Stream("udp", db, far, far.address("ipv4"), next(port))

    def one(self, web, db, far):
        """(seconds to the last byte, to the command's return)"""
        self.turn += 1
        streams, bystander = self.open(web, db, far)
        flow = Streams([*streams, bystander])
        try:
            flow.flowing(seconds=10)
            time.sleep(random.uniform(0, 0.05))  # not always at the same moment of what else goes on
            begun = time.time()
            self.lock("lockdown", web.name)
            returned = time.time()
            time.sleep(SETTLED)
            found = flow.report()
            last = max(heard.last for stream in streams for heard in found[stream])
            self.assertLess(last, returned, "a packet came after the lockdown")
            self.assertGreater(found[bystander][0].last, returned - 1)
            return last - begun, returned - begun
        finally:
            flow.close()
            self.lock("release", web.name)

    def measure(self, what, target):
        names = ["web", "db", "far"]
        load, times = os.getloadavg()[0], []
        for _ in range(self.rounds):
            web = random.choice(names)
            others = [name for name in names if name != web]
            times.append(self.one(*(self.real[name] for name in (web, *others))))
        for column, part in enumerate(("to the last byte", "to the command's return")):
            values = [1000 * time[column] for time in times]
            points = [percentile(values, at) for at in (50, 90, 99, 100)]
            verdict = "" if column else "met" if points[2] < target else "MISSED"
            self.rows.append([what, part, len(values), *(f"{point:.1f}" for point in points),
                              f"p99 < {target}: {verdict}" if verdict else "", f"{load:.1f}, {os.getloadavg()[0]:.1f}"])
        return percentile([time[0] for time in times], 50)

    def reload(self, stop):
        """Changes all policies, over and over."""
        while not stop.is_set():
            self.applies += 1
            self.cofferdam.apply(policies(self.applies % 2, MEASURED))

    def test_it(self):
        self.turn, self.applies, self.rows = 0, 0, []
        self.real = {name: self.run_container(name, "any") for name in ("web", "db", "far")}
        self.cofferdam.write(policies(0, MEASURED))
        self.start()
        with inside(self.engine.host):
            idle = self.measure("3 containers", TARGETS["idle"])
        crowd = Crowd(self.engine, "front", self.real["web"], self.containers - len(self.real))
        self.addCleanup(crowd.close)
        self.cofferdam.stop()
        self.cofferdam.settings["docker"] = crowd.socket
        self.start()
        self.settle()
        stop = threading.Event()
        thread = threading.Thread(target=self.reload, args=(stop,))
        thread.start()
        try:
            began = time.monotonic()
            with inside(self.engine.host):
                many = self.measure(f"{self.containers} containers, reloads", TARGETS["crowd"])
        finally:
            stop.set()
            thread.join()
        print(f"\n{machine()}; {self.applies} reloads, each {1000 * (time.monotonic() - began) / self.applies:.0f} ms")
        table("cofferdam lockdown, ms from its start", ["with", "", "rounds", "p50", "p90", "p99", "max", "target",
                                                       "load average before, after"], self.rows)
        print(f"with many to with few, at p50: {many / idle:.1f} to 1")

    def settle(self):
        """Until the daemon enforces the crowd as well."""
        def live():
            status = self.cofferdam.json("status")
            return sum(endpoint["live"] for container in status["containers"] for endpoint in container["endpoints"])

        wait_until(lambda: live() >= self.containers, 60, "the crowd to be enforced", gap=0.2)
        wait_until(lambda: self.cofferdam("apply").returncode == 0, 60, "the daemon to have all rules in force", gap=0.2)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=Bench.rounds, help="lockdowns in each part (default: %(default)s)")
    parser.add_argument("--containers", type=int, default=Bench.containers, help="in the second part (default: %(default)s)")
    options, rest = parser.parse_known_args()
    Bench.rounds, Bench.containers = options.rounds, options.containers
    unittest.main(argv=[sys.argv[0], *rest])

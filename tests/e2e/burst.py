# SPDX-License-Identifier: GPL-2.0-or-later
"""Containers that send from their first instruction on, and who hears them."""

import collections
import concurrent.futures
import json
import os
import subprocess

from engine import OUTSIDE, PROBE
from machine import Failure, wait_until

FAMILIES = ("ipv4", "ipv6")

Heard = collections.namedtuple("Heard", "listener id proto source destination port count first last")


class Listener:
    """`probe count`: everything that arrives somewhere."""

    def __init__(self, name, command):
        self.name = name
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if self.process.stdout.readline() != "counting\n":
            raise Failure(f"the listener {name} does not listen")

    def report(self):
        """[Heard] since it began."""
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        heard = []
        for line in self.process.stdout:
            words = line.split()
            if words[0] == "end":
                if words[1] != "0":
                    raise Failure(f"the listener {self.name} was too slow for {words[1]} packets")
                return heard
            heard.append(Heard(self.name, *words[:4], *map(int, words[4:])))
        raise Failure(f"the listener {self.name} has ended")

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.kill()
        self.process.wait()


class Listeners:
    """One in each place that a container could reach: {name: command line that enters it}."""

    def __init__(self, places):
        self.all = [Listener(name, command) for name, command in places.items()]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for listener in self.all:
            listener.close()

    def report(self):
        return [heard for listener in self.all for heard in listener.report()]


def table(title, rows):
    """Prints lines of {column: value} below each other."""
    print(f"\n{title}")
    for row in rows:
        print("   " + "  ".join(f"{key} {value}" for key, value in row.items()), flush=True)


def percentiles(values):
    """{"p50": "...", ...} of milliseconds; empty without any."""
    ordered = sorted(values)
    ranks = {"p50": 50, "p90": 90, "p99": 99, "max": 100}
    return {name: f"{ordered[-(-len(ordered) * rank // 100) - 1]:.1f} ms" for name, rank in ranks.items()} if ordered else {}


def denied_targets(engine, near, far, port):
    """The targets of a burst from network front, as `probe burst` wants them, in every direction there is: a neighbour on
    its bridge, a container of another bridge, the host, and outside; from sockets, and as frames."""
    gateways = {"ipv4": "10.91.0.1", "ipv6": "fd91::1"}
    mac = near.inspect()["NetworkSettings"]["Networks"]["front"]["MacAddress"]
    bridge = json.loads(engine.host.run("ip", "-j", "link", "show", engine.bridge("front")).stdout)[0]["address"]
    targets = []
    for family in FAMILIES:
        outside = OUTSIDE[family]["public-2"]
        targets += [f"udp,{address},{port}" for address in
                    (near.address(family), far.address(family), gateways[family], outside)]
        targets += [f"frame,{near.address(family)},{port},{mac}", f"frame,{gateways[family]},{port},{bridge}",
                    f"frame,{outside},{port},{bridge}"]
    return targets


class Burst:
    """A container that sends when it runs. Its name is what its packets bear."""

    def __init__(self, engine, name, role, specs, networks=("front",), fast=150, stay=3000, gap=50):
        """fast, stay: milliseconds; gap: microseconds. With stay=0 it runs until it is stopped."""
        self.engine, self.name, self.specs = engine, name, specs
        folder = engine.path("reports")
        os.makedirs(folder, exist_ok=True)
        self.file = os.path.join(folder, name)
        self.container = engine.create(
            name, list(networks), labels={"role": role}, Binds=[folder + ":/reports"],
            command=["probe", "burst", name, str(fast), str(stay), str(gap), "/reports/" + name, *specs])
        self.stay = stay

    def start(self):
        if os.path.exists(self.file):
            os.unlink(self.file)
        self.container.start()
        return self

    def stop(self, seconds=0):
        """seconds: how long it has to write its report."""
        self.engine.api("POST", f"/containers/{self.container.id}/stop?t={seconds}")

    def report(self):
        """What it did, once it has ended."""
        wait_until(lambda: os.path.exists(self.file), 20 + self.stay / 1000, f"the report of {self.name}")
        with open(self.file, encoding="utf-8") as file:
            return json.load(file)

    def remove(self):
        if self.container.id in self.engine.containers:
            self.container.remove()


def delays(reports):
    """The milliseconds from the first instruction of each until its connection stood; None where it never did."""
    for report in reports:
        times = [target["connected_us"] / 1000 for target in report["targets"] if target["connected_us"]]
        yield times[0] if times else None


def total_sent(reports):
    return sum(target["sent"] for report in reports for target in report["targets"])


def all_of(action, items, workers=3):
    """Does it for all, a few at a time; returns what came of each."""
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        return list(pool.map(action, items))

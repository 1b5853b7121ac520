# SPDX-License-Identifier: GPL-2.0-or-later
"""Containers that send from their first instruction on, and who hears them."""

import collections
import concurrent.futures
import ctypes
import json
import os
import socket
import subprocess
import threading
import time

from engine import OUTSIDE, PROBE
from machine import Failure, wait_until

FAMILIES = ("ipv4", "ipv6")
CLONE_NEWNET = 0x40000000

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
    mac = near.mac("front")
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


# Peers outside that keep sending over connections that containers have opened

def socket_in(path, family, kind):
    """A socket of another network namespace: it stays in there when the thread that made it has gone."""
    def make():
        with open(path, "rb") as file:
            if ctypes.CDLL(None, use_errno=True).setns(file.fileno(), CLONE_NEWNET) < 0:
                raise OSError(ctypes.get_errno(), "setns")
        return socket.socket(family, kind)

    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        return pool.submit(make).result()


class Peer:
    """Serves one address and port outside. Who has sent it a datagram, or opened a connection to it, gets a message
    every few milliseconds from then on, whatever happens to him."""

    MESSAGE = b"cofferdam-peer %s keeps talking\n"
    GAP = 0.005

    def __init__(self, path, proto, address, port):
        """path: of its network namespace."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.socket = socket_in(path, family, socket.SOCK_DGRAM if proto == "udp" else socket.SOCK_STREAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind((address, port))
        self.socket.setblocking(False)
        self.proto, self.message = proto, None
        self.others, self.streams = set(), []
        self.closing = threading.Event()
        if proto == "tcp":
            self.socket.listen(16)
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.closing.set()
        self.thread.join()
        for stream in [self.socket, *self.streams]:
            stream.close()

    def talk(self, name):
        """From now on, to all that it knows."""
        self.message = self.MESSAGE % name.encode()

    def rest(self):
        """Says nothing more for now."""
        self.message = None

    def hush(self):
        """Says nothing more, and forgets whom it knows."""
        self.rest()
        time.sleep(4 * self.GAP)
        self.others.clear()
        while self.streams:
            self.streams.pop().close()

    @property
    def known(self):
        return len(self.others) + len(self.streams)

    def _run(self):
        while not self.closing.wait(self.GAP):
            try:
                self._listen()
            except OSError:  # nothing more there, or an ICMP error
                pass
            self._speak()

    def _listen(self):
        while self.proto == "tcp":
            stream = self.socket.accept()[0]
            stream.setblocking(False)
            stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            stream.setsockopt(socket.IPPROTO_TCP, 16, 1)  # TCP_THIN_LINEAR_TIMEOUTS: repeats soon, and again soon
            self.streams.append(stream)
        while True:
            self.others.add(self.socket.recvfrom(2048)[1])

    def _speak(self):
        for other in list(self.others) if self.message else ():
            self._try(lambda other=other: self.socket.sendto(self.message, other))
        for stream in list(self.streams) if self.message else ():
            self._try(lambda stream=stream: stream.send(self.message))

    @staticmethod
    def _try(action):
        try:
            action()
        except OSError:
            pass

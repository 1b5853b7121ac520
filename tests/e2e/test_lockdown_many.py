#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Random lockdowns and releases of several containers that talk with each other, the host and the outside all the time. What
is cut by a lockdown hears nothing from the moment at which the command has returned, what was cut in the middle of a TCP
stream never comes back, and after the last release all is as it was.

COFFERDAM_LOCKDOWNS=1000 is the long run: so many commands. COFFERDAM_SEED=N repeats one.
"""

import dataclasses
import os
import random
import time
import unittest

from engine import OUTSIDE
from machine import wait_until
from streams import Stream, Streams
from test_lockdown import Base

COMMANDS = int(os.environ.get("COFFERDAM_LOCKDOWNS", "150"))
SEED = int(os.environ.get("COFFERDAM_SEED", random.randrange(1 << 30)))
EPOCH = 50  # commands, after which everything is released and compared
GAP = 200  # microseconds between two packets of a stream
NAMES = [f"c{number}" for number in range(6)]
PORT = 7000


@dataclasses.dataclass
class Lock:
    cut: str  # "in", "out" or "both"
    allow: str = None  # a name
    port: str = None  # that the allowance is for: "7000/udp"; None: all
    ends: float = None  # monotonic

    def arguments(self):
        words = ["--direction", self.cut] if self.cut != "both" else []
        if self.allow:
            words += ["--allow", self.allow + (f":{self.port}" if self.port else "")]
        return words + (["--for", "1s" if self.ends else "2h"] if self.ends or random.random() < 0.2 else [])

    def allows(self, peer, port):
        return self.allow == peer and self.port in (None, port)


class Many(Base, unittest.TestCase):
    def setUp(self):
        super().setUp()
        print(f"COFFERDAM_SEED={SEED}", flush=True)
        random.seed(SEED)
        self.real = dict(zip(NAMES, self.run_containers(**{name: "any" for name in NAMES})))
        self.locks, self.cut_at, self.worst, self.turn = {}, {}, [], 0
        self.port = PORT

    # What must hold

    def passes(self, source, target, port):
        """May a connection be opened? By what a lockdown says alone: the policies let everything pass."""
        out, inward = self.locks.get(source), self.locks.get(target)
        if out and out.cut in ("out", "both") and not (out.cut == "out" and out.allows(target, port)):
            return False
        return not (inward and inward.cut in ("in", "both") and not inward.allows(source, port))

    def is_cut(self, ends):
        """Both ends of a stream speak unasked. To UDP, the answer to what is cut is as good as a connection the other way."""
        source, target, proto, port = ends
        if proto == "tcp":
            return not self.passes(source, target, f"{port}/tcp")
        return not self.passes(source, target, f"{port}/{proto}") and not self.passes(target, source, "?")

    # The streams

    def open(self):
        """{stream: (source, target, protocol, port)}"""
        found = {}
        for number, name in enumerate(NAMES):
            ends = [(name, NAMES[(number + step) % len(NAMES)]) for step in (1, 2)] + [("host", name), (name, "outside")]
            for source, target in ends:
                for proto in ("tcp", "udp"):
                    self.port = PORT + (self.port + 1 - PORT) % 50000
                    family = random.choice(["ipv4", "ipv6"])
                    where = [{"host": self.engine.host, "outside": self.engine.lan}.get(end) or self.real[end]
                             for end in (source, target)]
                    address = OUTSIDE[family]["public"] if target == "outside" else self.real[target].address(family)
                    stream = Stream(proto, *where, address, self.port)
                    found[stream] = (source, target, proto, self.port)
        return found

    def note(self, ends_of, returned):
        """The command has returned: from now on these are cut."""
        for stream, ends in ends_of.items():
            if not self.is_cut(ends):
                if ends[2] != "tcp":  # which does not come back to life
                    self.cut_at.pop(stream, None)
            elif stream not in self.cut_at:
                self.cut_at[stream] = returned

    def look(self, flow):
        for stream, heard in flow.report().items():
            cut = self.cut_at.get(stream)
            for end in heard if cut else ():
                self.assertLess(end.last, cut, f"turn {self.turn}, {stream.name}: {1000 * (end.last - cut):.1f} ms after {self.locks}")

    # Commands

    def any_lock(self, port_of):
        lock = Lock(random.choice(["in", "out", "both", "both"]))
        if random.random() < 0.4:
            lock.allow = random.choice(NAMES)
            lock.port = random.choice([None, random.choice(port_of)])
        if random.random() < 0.03:
            lock.ends = time.monotonic() + 1
        return lock

    def lock_some(self, ends_of):
        names = random.sample(NAMES, random.choice([1, 1, 2, 3]))
        lock = self.any_lock([f"{ends[3]}/{ends[2]}" for ends in ends_of.values() if ends[1] in names])
        begun = time.time()
        report = self.lock(*names, *lock.arguments())
        returned = time.time()
        self.assertEqual((report["verified"], report["saved"], report["problems"]), (True, True, []))
        self.worst.append(returned - begun)
        self.locks.update(dict.fromkeys(names, lock))
        return returned, lock

    def command(self, ends_of):
        """Returns when it had returned."""
        locked = sorted(self.locks)
        if locked and random.random() < 0.4:
            names = random.sample(locked, random.randint(1, len(locked)))
            self.release(*names)
            for name in names:
                del self.locks[name]
            return time.time()
        returned, lock = self.lock_some(ends_of)
        if lock.ends:
            self.note(ends_of, returned)
            wait_until(lambda: not self.ending(), 10, "the lockdown to end by itself")
        return returned

    def ending(self):
        """Some lockdown ends by itself, and has not yet."""
        left = set(self.listed())
        for name in [name for name, lock in self.locks.items() if lock.ends and name not in left]:
            del self.locks[name]
        return any(lock.ends for lock in self.locks.values())

    def assert_tracked(self):
        """The kernel's connections know nothing of what is cut off in whole."""
        entries = "".join(self.engine.host.run("conntrack", "-L", "-f", family).stdout for family in ("ipv4", "ipv6")).split("\n")
        for name, lock in self.locks.items():
            if lock.cut != "both" or lock.allow:
                continue
            for family in ("ipv4", "ipv6"):
                address = self.real[name].address(family)
                self.assertEqual([line for line in entries if f"={address} " in line], [], name)

    def epoch(self, commands):
        ends_of = self.open()
        self.cut_at = {}
        flow = Streams(list(ends_of), GAP)
        try:
            flow.flowing(seconds=20)
            for _ in range(commands):
                self.turn += 1
                self.note(ends_of, self.command(ends_of))
                time.sleep(random.choice([0, 0.01, 0.05]))
                self.look(flow)
                if random.random() < 0.1:
                    self.assert_tracked()
            if self.locks:
                self.release(*sorted(self.locks))
            self.locks = {}
            self.note(ends_of, time.time())
            self.assertEqual(self.tables(), self.before)
            # UDP to the outside may go on from another port of the host's, which the other end does not listen to
            flow.flowing([stream for stream, ends in ends_of.items() if stream not in self.cut_at and ends[1:3] != ("outside", "udp")],
                         20)
            self.look(flow)
        finally:
            flow.close()

    def test_commands_at_random(self):
        self.before = self.tables()
        while self.turn < COMMANDS:
            self.epoch(min(EPOCH, COMMANDS - self.turn))
        self.assertEqual(self.cofferdam("verify").returncode, 0)
        self.assertEqual(self.listed(), [])
        self.engine.host.run("conntrack", "-F")
        self.assert_passes(self.real["c0"], self.real["c1"])
        self.worst.sort()
        print(f"{self.turn} commands, {len(self.worst)} of them lockdowns, of which half took at most "
              f"{1000 * self.worst[len(self.worst) // 2]:.0f} ms and all at most {1000 * self.worst[-1]:.0f} ms", flush=True)


if __name__ == "__main__":
    unittest.main()

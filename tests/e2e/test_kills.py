#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The daemon is killed before each of the system calls that it makes while it loads policies, while a container starts,
and while it starts itself; a flood of denied packets goes on all the time, and none may arrive.

While policies are loaded, that is before every one of the calls. A start takes longer: there it is before those that may
change something (of a container's start every second of them) and some of the others, unless COFFERDAM_KILLS=all."""

import collections
import contextlib
import ipaddress
import os
import re
import signal
import subprocess
import time
import unittest

from cofferdam import DAEMON
from flows import BASE, Traffic, table
from machine import ENVIRONMENT, Failure, run, wait_until
from playground import Question
from test_tampering import comparable

ALL = os.environ.get("COFFERDAM_KILLS") == "all"
OTHERS = 8
# What may change the kernel or a file. All that the daemon tells the kernel goes through sendto() or sendmsg().
CHANGING = {"sendto", "sendmsg", "rename", "renameat", "renameat2", "unlink", "unlinkat", "mkdir", "ftruncate", "fsync"}
MARKS = {"5010/tcp": "old", "5011/tcp": "new"}  # what client may ask server for under one set and not under the other


def marked(port):
    return BASE.replace("[5000/udp, 5001/tcp]", f"[5000/udp, 5001/tcp, {port}]")


def link_local(mac):
    """The IPv6 address that follows from a hardware address."""
    octets = bytes.fromhex(mac.replace(":", ""))
    return str(ipaddress.IPv6Address(b"\xfe\x80" + bytes(6) + bytes([octets[0] ^ 2]) + octets[1:3] + b"\xff\xfe" + octets[3:]))


class Trace:
    """strace, attached to a process or around a command."""

    def __init__(self, log, pid=None, command=(), kill=None, env=None):
        """kill: (system call, how many-eth of its kind)"""
        arguments = ["strace", "-f", "-o", log]
        if kill:
            arguments += ["-e", f"trace={kill[0]}", "-e", f"inject={kill[0]}:signal=KILL:when={kill[1]}"]
        arguments += ["-p", str(pid)] if pid else ["--", *command]
        self.log = log
        # pylint: disable-next=consider-using-with
        self.process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                                        env=env or ENVIRONMENT)
        if pid and "attached" not in self.process.stderr.readline():
            raise Failure("strace cannot attach")

    def end(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        self.process.wait()
        self.process.stderr.close()

    def calls(self):
        """[(name, how many-eth of its kind)] in order."""
        counts, calls = collections.Counter(), []
        with open(self.log, encoding="utf-8", errors="replace") as file:
            for line in file:
                match = re.match(r"\d+ +([a-z_0-9]+)\(", line)
                if match:
                    counts[match[1]] += 1
                    calls.append((match[1], counts[match[1]]))
        return calls


def chosen(calls, step=1):
    """The calls to kill before: all, or every step-th that may change something and some of the others."""
    if ALL:
        return calls
    changing = [call for call in calls if call[0] in CHANGING][::step]
    rest = [call for call in calls if call[0] not in CHANGING]
    some = {*changing, *rest[::max(1, len(rest) // OTHERS)]}
    return [call for call in calls if call in some]


class Harm:
    """Mixed into a TestCase with traffic: a daemon that is killed, and what is in force then."""

    _chosen = staticmethod(chosen)

    def _start_again(self):
        if self.cofferdam.process.alive:
            return False
        self.cofferdam.start(**self.SETTINGS)
        return True

    def _rules(self, late=None):
        """Everything nft lists, with that masked which differs from start to start: the names of interfaces, and the
        hardware address of a container that was started anew, which since Docker 28 does not follow from its address."""
        tables = [line for line in self.engine.tables() if line.split()[2] == "cofferdam"]
        self.assertEqual(sorted(tables), ["table bridge cofferdam", "table inet cofferdam"])
        text = re.sub(r"\bveth[0-9a-f]+", "veth", self.cofferdam.ruleset())
        if late:
            mac = late.mac("front")
            self.assertIn(mac, text)
            text = text.replace(mac, "MAC").replace(link_local(mac), "LINK-LOCAL")
        return comparable(text)

    def _in_force(self):
        """"old" or "new": which of the two sets the packets say is in force; anything else is an error."""
        questions = [Question(self.client, self.server, port, family) for port in MARKS for family in ("ipv4", "ipv6")]
        results = self.ask_all(questions, timeout=150)
        if results == ["refused"] * 2 + ["timeout"] * 2:
            return "old"
        if results == ["timeout"] * 2 + ["refused"] * 2:
            return "new"
        return f"a mixture: {results}"

    def _summary(self, title, calls, outcomes, began):
        rows = [(name, count, ", ".join(f"{key}: {number}" for key, number in sorted(outcomes[name].items())))
                for name, count in collections.Counter(call[0] for call in calls).most_common()]
        table(f"{title}: killed before {sum(sum(some.values()) for some in outcomes.values())} of {len(calls)} system calls, "
              f"{time.monotonic() - began:.0f} s", ["call", "made", "killed there: what came of it"], rows)

    def _trace(self, name, **options):
        trace = Trace(self.engine.path(f"trace-{name}"), **options)
        self.addCleanup(trace.end)
        return trace

    @property
    def _pid(self):
        return self.cofferdam.process.process.pid

    @contextlib.contextmanager
    def _daemon_under_strace(self, kill=None):
        """Yields the trace and what waits until the daemon has its own rules in force ("lives") or has died ("died")."""
        before = self._daemons()
        trace = self._trace("daemon", command=self.engine.host.enter(DAEMON, "--config", self.cofferdam.config), kill=kill)

        def over():
            if trace.process.poll() is not None:
                return "died"
            status = self.cofferdam.json("status")
            return (status and status["engine"]["connected"] and status["daemon"]["policies_in_force"]
                    and not self.cofferdam.missing(status) and "lives")

        try:
            yield trace, lambda: wait_until(over, 20, "the daemon to start or to die")
        finally:
            for pid in self._daemons() - before:
                os.kill(pid, signal.SIGTERM)
            trace.process.wait(10)
            trace.end()

    def _daemons(self):
        """Processes of this test's daemon."""
        wanted = [DAEMON, "--config", self.cofferdam.config]
        found = set()
        for name in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{name}/cmdline", encoding="utf-8", errors="replace") as file:
                    if file.read().split("\0")[:3] == wanted:
                        found.add(int(name))
            except OSError:
                pass
        return found


class Kills(Harm, Traffic, unittest.TestCase):
    POLICIES = marked("5010/tcp")

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.start_floods()

    def setUp(self):
        self.cofferdam.apply(self.POLICIES)
        self.leaked()

    def _files(self):
        return sorted(os.listdir(self.cofferdam.settings["state"]))

    # Policies are applied

    def test_apply(self):
        sets = {"old": marked("5010/tcp"), "new": marked("5011/tcp")}
        rules = {}
        for name in ("new", "old"):
            self.cofferdam.apply(sets[name])
            rules[name] = self._rules()
            self.assertEqual(self._in_force(), name)
        self.cofferdam.write(sets["new"])
        trace = self._trace("apply", pid=self._pid)
        self.assertEqual(self.cofferdam("apply").returncode, 0)
        trace.end()
        calls, outcomes = trace.calls(), collections.defaultdict(collections.Counter)
        self.assertTrue({"sendto", "recvmsg"} <= {call[0] for call in calls}, calls)
        now, began = "new", time.monotonic()
        for call in calls:
            then = "old" if now == "new" else "new"
            with self.subTest(call=call):
                self.cofferdam.write(sets[then])
                trace = self._trace("kill", pid=self._pid, kill=call)
                applied = self.cofferdam("apply").returncode == 0
                trace.end()
                died = not self.cofferdam.process.alive
                held = self._in_force()
                outcomes[call[0]]["survived" if not died else "as before" if held == now else "as after"] += 1
                self.assertIn(held, (now, then))
                self.assertTrue(held == then or not applied, "apply said that it succeeded")
                self.assert_no_leak(call)
                self._start_again()
                self.assertEqual(self._in_force(), then)
                self.assertEqual(self._rules(), rules[then])
                self.assert_no_leak(call)
            now = then
        self._summary("apply", calls, outcomes, began)
        killed = sum(number for some in outcomes.values() for key, number in some.items() if key != "survived")
        self.assertGreater(killed, 10)

    # A container starts

    def _late(self):
        """A container that floods from its first instruction, and that the client may ask."""
        targets = [f"{proto},{address},{port}" for where in (self.client, self.rogue, self.far)
                   for address in (where.address("ipv4"), where.address("ipv6"))
                   for proto, port in (("udp", 5000), ("tcp", 5001))]
        targets += ["udp,10.91.0.1,5000", "udp,fd91::1,5000", "udp,198.41.0.4,5000", "udp,2a00:1450:4001:800::200e,5000"]
        return self.engine.create("late", ["front"], labels={"role": "server"}, command=["probe", "flood", "500", *targets])

    @contextlib.contextmanager
    def _started(self, late, kill=None):
        try:
            trace = self._trace("start", pid=self._pid, kill=kill)
            try:
                late.start()
                self._forget_former(late)
                yield trace
            finally:
                trace.end()
        finally:
            late.remove()

    def _forget_former(self, late):
        """Since Docker 28 each start has another hardware address. What a container says of it when it starts is dropped
        while the daemon has not bound its port, and its neighbours go on sending to the former one."""
        for family in ("ipv4", "ipv6"):
            run(self.client.enter("ip", "neigh", "flush", "to", late.address(family), "dev", "eth0"))

    def _served(self, late):
        return self.ask_all([Question(self.client, late, "5001/tcp", family) for family in ("ipv4", "ipv6")], timeout=150)

    def test_start_of_a_container(self):
        late = self._late()
        with self._started(late) as trace:
            self.cofferdam.settle()
            trace.end()
            self.assertEqual(self._served(late), ["refused"] * 2)
            rules = self._rules(late)
        self.leaked()
        calls, outcomes, began = trace.calls(), collections.defaultdict(collections.Counter), time.monotonic()
        for call in chosen(calls, step=2):
            with self.subTest(call=call):
                self._start_again()  # after a failure
                late = self._late()
                with self._started(late, call) as trace:
                    time.sleep(0.1)
                    trace.end()
                    died = not self.cofferdam.process.alive
                    served = self._served(late)
                    outcomes[call[0]]["survived" if not died else "served" if served[0] == "refused" else "cut off"] += 1
                    self.assertIn(served, (["refused"] * 2, ["timeout"] * 2))
                    self.assert_no_leak(call)
                    if not self._start_again():
                        self.cofferdam.settle()
                    # Until the client's neighbour discovery, which nobody answered, is tried again.
                    wait_until(lambda late=late: self._served(late) == ["refused"] * 2, 4, "the container to be served")
                    self.assertEqual(self._rules(late), rules)
                self.assert_no_leak(call)
        self._summary("start of a container", calls, outcomes, began)

    # The daemon itself starts

    def test_start_of_the_daemon(self):
        rules = self._rules()
        self.cofferdam.stop()
        with self._daemon_under_strace() as (trace, wait):
            self.assertEqual(wait(), "lives")
        calls = trace.calls()
        outcomes, began = collections.defaultdict(collections.Counter), time.monotonic()
        for call in chosen(calls):
            with self.subTest(call=call), self._daemon_under_strace(call) as (trace, wait):
                outcome = wait()
                outcomes[call[0]][outcome] += 1
                self.assertEqual(self._in_force(), "old")
            self.assert_no_leak(call)
        self._summary("start of the daemon", calls, outcomes, began)
        self.cofferdam.start(**self.SETTINGS)
        self.assertEqual(self._rules(), rules)
        # What is known of the containers is written a second after the last change.
        wait_until(lambda: not any(name.endswith(".new") for name in self._files()), 10, "half-written files to be gone")


if __name__ == "__main__":
    unittest.main()

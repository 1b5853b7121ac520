#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Many containers start, and each sends from its first instruction on, with the daemon there, gone, killed and paused.

COFFERDAM_STARTS=1000 is the long run: so many starts with the daemon there, and the rest in proportion.
"""

import contextlib
import os
import signal
import threading
import time
import unittest

from engine import OUTSIDE, PROBE
from burst import FAMILIES, Burst, Listeners, Peer, all_of, delays, denied_targets, percentiles, table, total_sent
from machine import run, wait_until
from playground import OPEN, Playground

STARTS = int(os.environ.get("COFFERDAM_STARTS", "200"))
AWAY = min(STARTS, 200)  # starts with the daemon away, each way
SLOW = STARTS // 10  # starts with a slow one
CHURN = 304  # a multiple of the containers that are started and stopped
ROUNDS = max(30, STARTS * 30 // 200)
HEIRS = max(4, STARTS // 50)
FIRST_SYN = 900  # ms; a SYN that was lost is repeated after a second
ENOUGH = 0.95  # of the allowed connections must stand with their first SYN
NO_HEAD_START = (28, 0)  # since then a container gets its network a few milliseconds before its first instruction

PORT = 4001  # where nobody may send to
ALPHA, BETA = 4000, 4002  # where alpha may send to, and where beta may
FLOWS = 4100  # where alpha may send to, and who keeps answering
ALLOWED = {family: OUTSIDE[family]["public"] for family in FAMILIES}
TO = f"{{cidr: {ALLOWED['ipv4']}/32}}, {{cidr: '{ALLOWED['ipv6']}/128'}}"
POLICIES = f"""
policy: alpha
select: {{labels: {{role: alpha}}}}
egress:
  - {{to: [{TO}], ports: [80/tcp, {ALPHA}/udp, {FLOWS}/udp, {FLOWS}/tcp]}}
  - {{to: [{{labels: {{role: target}}}}], ports: [{FLOWS}/udp, {FLOWS}/tcp]}}
---
policy: target
select: {{labels: {{role: target}}}}
ingress: [{{from: [{{labels: {{role: alpha}}}}], ports: [{FLOWS}/udp, {FLOWS}/tcp]}}]
---
policy: beta
select: {{labels: {{role: beta}}}}
egress: [{{to: [{TO}], ports: [{BETA}/udp]}}]
"""


class Starts(Playground, unittest.TestCase):
    POLICIES = POLICIES

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.near, cls.far = (cls.engine.run(name, networks=[network], labels={"role": "target"})
                             for name, network in (("near", "front"), ("far", "back")))
        cls.cofferdam.settle()
        cls.denied = denied_targets(cls.engine, cls.near, cls.far, PORT)

    def setUp(self):
        if not self.cofferdam.process.alive:
            self.cofferdam.start()
        self.cofferdam.apply(POLICIES)
        self.addCleanup(lambda: self.assertNotIn("refused by the kernel", self.cofferdam.log()))
        self.bursts = []
        self.addCleanup(lambda: all_of(Burst.remove, self.bursts))

    def listeners(self):
        return Listeners({"near": self.near.enter(PROBE, "count", "wire", "eth0"),
                          "far": self.far.enter(PROBE, "count", "wire", "eth0"),
                          "host": self.engine.host.enter(PROBE, "count", "udp", str(PORT)),
                          "outside": self.engine.lan.enter(PROBE, "count", "wire", "neighbour")})

    def burst(self, name, role, specs, **options):
        burst = Burst(self.engine, name, role, specs, **options)
        self.bursts.append(burst)
        return burst

    def run_burst(self, name, role, specs, **options):
        """One container from its creation to its removal, and what it did."""
        burst = self.burst(name, role, specs, **options).start()
        report = burst.report()
        burst.remove()
        return report

    def assert_all_sent(self, reports, n_specs):
        """They did send, all of them, to all of their targets."""
        for report in reports:
            for target in report["targets"][:n_specs]:
                self.assertGreaterEqual(target["sent"] + target["failed"], 10, report)
                self.assertGreater(target["sent"], target["failed"], report)

    @staticmethod
    def is_allowed_connection(heard):
        return heard.listener == "outside" and heard.proto in ("syn", "tcp") and heard.port == 80 \
            and heard.destination in ALLOWED.values()

    def test_a_burst_is_heard_where_nothing_is_denied(self):
        """The counterpart of the others: they would see what they say they do not."""
        self.cofferdam.apply(OPEN)
        with self.listeners() as listeners:
            report = self.run_burst("loud", "alpha", [*self.denied, f"tcp,{ALLOWED['ipv4']},80"], stay=4000)
            time.sleep(0.1)
            heard = listeners.report()
        sent = dict(zip(self.denied, report["targets"]))
        for listener, addresses in (("near", self.near), ("far", self.far)):
            for family in FAMILIES:
                self.assertTrue([one for one in heard if (one.listener, one.id, one.destination) ==
                                 (listener, "loud", addresses.address(family))], (listener, family, heard))
        for place in ("host", "outside"):
            numbers = [one for one in heard if (one.listener, one.id, one.proto) == (place, "loud", "udp")]
            self.assertEqual(len(numbers), 2, heard)  # of each family
        for family in FAMILIES:  # sockets and frames
            got = sum(one.count for one in heard if one.listener == "near" and one.id == "loud"
                      and one.destination == self.near.address(family))
            want = max(target["sent"] for spec, target in sent.items()
                       if spec.startswith("frame") and self.near.address(family) in spec)
            self.assertGreater(got, want, heard)
        self.assertGreater(report["targets"][-1]["connected_us"], 0)

    def test_starts(self):
        def one(number):
            family = FAMILIES[number % 2]
            return self.run_burst(f"run-{number}", "alpha", [*self.denied, f"tcp,{ALLOWED[family]},80"])

        began = time.monotonic()
        with self.listeners() as listeners:
            reports = all_of(one, range(STARTS))
            heard = listeners.report()
        took = time.monotonic() - began
        leaked = [one for one in heard if not self.is_allowed_connection(one)]
        times = list(delays(reports))
        first = [value for value in times if value is not None and value < FIRST_SYN]
        table(f"starts with the daemon there, Docker {'.'.join(map(str, self.engine.version))}", [
            {"starts": STARTS, "in": f"{took:.0f} s", "sent": total_sent(reports), "leaked": sum(one.count for one in leaked)},
            {"first SYN passed": f"{len(first)} of {len(times)}", "never connected": times.count(None)},
            {"until connected:": "", **percentiles([value for value in times if value is not None])},
        ])
        self.assertEqual(leaked, [])
        self.assert_all_sent(reports, len(self.denied))
        self.assertNotIn(None, times)
        if self.engine.version < NO_HEAD_START:
            self.assertGreaterEqual(len(first), ENOUGH * STARTS)

    def test_starts_with_a_slow_daemon(self):
        """It sleeps most of the time, so that it learns of a container before or after this sends, as chance will."""
        def one(number):
            specs = [*self.denied, f"tcp,{ALLOWED[FAMILIES[number % 2]]},80"]
            return self.run_burst(f"slow-{number}", "alpha", specs, stay=5000, networks=self._network(number))

        with self.listeners() as listeners, self._stutter():
            reports = all_of(one, range(SLOW))
            heard = listeners.report()
        leaked = [one for one in heard if not self.is_allowed_connection(one)]
        times = list(delays(reports))
        table("starts with a slow daemon", [
            {"starts": SLOW, "leaked": sum(one.count for one in leaked)},
            {"first SYN passed": sum(value is not None and value < FIRST_SYN for value in times),
             "never connected": times.count(None)}])
        self.assertEqual(leaked, [])
        self.assert_all_sent(reports, len(self.denied))
        self.assertNotIn(None, times)

    @staticmethod
    def _network(number):
        """One in three has an address that nobody had before it; the others, the lowest that are free."""
        if number % 3 > 0:
            return ["front"]
        return [("front", f"10.91.{9 + number // 250}.{number % 250 + 1}", f"fd91::9:{number + 1:x}")]

    @contextlib.contextmanager
    def _stutter(self):
        process, over = self.cofferdam.process.process, threading.Event()

        def stutter():
            while not over.wait(0.02):
                process.send_signal(signal.SIGSTOP)
                over.wait(0.3)
                process.send_signal(signal.SIGCONT)

        thread = threading.Thread(target=stutter)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    # The daemon is away

    def _starts_without_daemon(self, how):
        """Containers that were allowed something have ended unseen, and most that start have one of their addresses."""
        holders = [self.burst(f"{how}-holder-{number}", "alpha", self._allowed(ALPHA), stay=0, fast=1) for number in range(4)]
        with self.listeners() as listeners:
            all_of(Burst.start, holders)
            self._wait_for_all_heard(listeners, holders, ALPHA)
        owned = {holder.container.address(family) for holder in holders for family in FAMILIES}
        self._send_away(how)
        all_of(Burst.stop, holders)

        def one(number):
            """Half of them will be allowed something, when they are known: nobody knows them."""
            specs = [*self.denied, *self._allowed(ALPHA), *self._allowed(BETA), f"tcp,{ALLOWED[FAMILIES[number % 2]]},80"]
            return self.run_burst(f"{how}-{number}", ("alpha", "stranger")[number % 4 > 1], specs, stay=300,
                                  networks=self._network(number))

        began = time.monotonic()
        with self.listeners() as listeners:
            reports = all_of(one, range(AWAY))
            heard = listeners.report()
        took = time.monotonic() - began
        inherited = sum(address in owned for report in reports
                        for address in {target["source"] for target in report["targets"]})
        table(f"starts with the daemon {how}", [
            {"starts": AWAY, "in": f"{took:.0f} s", "sent": total_sent(reports), "heard": sum(one.count for one in heard)},
            {"addresses that an allowed container had before": f"{inherited} of {2 * AWAY}"}])
        self.assertEqual(heard, [])
        self.assert_all_sent(reports, len(self.denied) + 4)
        self.assertEqual([time for time in delays(reports) if time is not None], [])
        self.assertGreater(inherited, AWAY // 2)
        self._come_back()
        self._assert_all_is_right(f"after-{how}")

    def _send_away(self, how):
        process = self.cofferdam.process
        if how == "stopped":
            self.assertEqual(process.stop(), 0)
        elif how == "killed":
            process.stop(signal.SIGKILL)
        else:
            self.addCleanup(process.process.send_signal, signal.SIGCONT)
            process.process.send_signal(signal.SIGSTOP)

    def _come_back(self):
        if self.cofferdam.process.alive:
            self.cofferdam.process.process.send_signal(signal.SIGCONT)
        else:
            self.cofferdam.start()

    @staticmethod
    def _allowed(port, source=None):
        return [f"udp,{ALLOWED[family]},{port}" + (f",{source}" if source else "") for family in FAMILIES]

    def _wait_for_all_heard(self, listeners, bursts, port, seconds=5):
        """Until datagrams of each of them, of both families, come to the port outside; how long that took."""
        began = time.monotonic()
        wanted = {(burst.name, ALLOWED[family], port) for burst in bursts for family in FAMILIES}
        before = {self._key(one): one.count for one in listeners.report()}

        def more():
            return {self._key(one) for one in listeners.report() if one.count > before.get(self._key(one), 0)} & wanted

        wait_until(lambda: more() == wanted, seconds, f"datagrams of {', '.join(burst.name for burst in bursts)}", gap=0.05)
        return time.monotonic() - began

    @staticmethod
    def _key(heard):
        return heard.id, heard.destination, heard.port

    def _assert_all_is_right(self, name):
        """The next ones get what is theirs and nothing else."""
        bursts = [self.burst(f"{name}-{role}", role, [*self._allowed(ALPHA), *self._allowed(BETA), *self.denied], stay=0)
                  for role in ("alpha", "beta", "stranger")]
        with self.listeners() as listeners:
            all_of(Burst.start, bursts)
            self._wait_for_all_heard(listeners, bursts[:1], ALPHA)
            self._wait_for_all_heard(listeners, bursts[1:2], BETA)
            self.assert_own_only(listeners.report(), {bursts[0].name: ALPHA, bursts[1].name: BETA})
        all_of(Burst.remove, bursts)

    def assert_own_only(self, heard, ports):
        """ports: {name of a burst: the one port that it may send to}."""
        foreign = [one for one in heard if one.listener != "outside" or one.port != ports.get(one.id)
                   or one.destination not in ALLOWED.values()]
        self.assertEqual(foreign, [])

    def test_starts_while_the_daemon_is_stopped(self):
        self._starts_without_daemon("stopped")

    def test_starts_while_the_daemon_is_killed(self):
        self._starts_without_daemon("killed")

    def test_starts_while_the_daemon_is_paused(self):
        self._starts_without_daemon("paused")

    # The daemon is paused, and much happens

    def test_a_paused_daemon_catches_up(self):
        roles = {f"churn-{role}-{number}": role for number in range(4) for role in ("alpha", "beta")}
        ports = {name: {"alpha": ALPHA, "beta": BETA}[role] for name, role in roles.items()}
        bursts = [self.burst(name, role, [*self._allowed(ALPHA), *self._allowed(BETA), *self.denied], fast=50, stay=0)
                  for name, role in roles.items()]
        running = bursts[:5]
        self.cofferdam.settle()
        with self.listeners() as listeners:
            self._send_away("paused")
            began = time.monotonic()
            addresses = all_of(lambda burst: self._churn(burst, CHURN // len(bursts)), bursts, 4)
            all_of(Burst.start, running)
            took = time.monotonic() - began
            paused = listeners.report()
            self._come_back()
            began = time.monotonic()
            for port in (ALPHA, BETA):
                self._wait_for_all_heard(listeners, [burst for burst in running if ports[burst.name] == port], port)
            self.cofferdam.settle(max(0.1, began + 5 - time.monotonic()))
            caught_up = time.monotonic() - began
            self._assert_listed(running)
            time.sleep(1)
            heard = listeners.report()
        owners = {}
        for burst, list_of in zip(bursts, addresses):
            for address in list_of:
                owners.setdefault(address, set()).add(roles[burst.name])
        table("a paused daemon", [
            {"starts and stops": CHURN, "in": f"{took:.0f} s", "heard meanwhile": sum(one.count for one in paused),
             "caught up within": f"{caught_up:.2f} s"},
            {"addresses": len(owners), "had by both roles": sum(len(roles) == 2 for roles in owners.values())}])
        self.assertEqual(paused, [])
        self.assert_own_only(heard, {burst.name: ports[burst.name] for burst in running})
        self.assertLess(caught_up, 5)
        self.assertTrue([address for address, roles in owners.items() if len(roles) == 2], owners)

    @staticmethod
    def _churn(burst, times):
        """Starts and stops it; returns the addresses that it had."""
        addresses = set()
        for _ in range(times):
            burst.start()
            addresses.update(burst.container.address(family) for family in FAMILIES)
            burst.stop()
        return addresses

    def _assert_listed(self, running):
        rows = {row["name"]: row for row in self.cofferdam.json("status")["containers"]}
        for burst in running:
            row = rows[burst.name]
            self.assertTrue(row["enforced"], row)
            self.assertEqual([(endpoint["ipv4"], endpoint["ipv6"]) for endpoint in row["endpoints"] if endpoint["live"]],
                             [tuple(burst.container.address(family) for family in FAMILIES)])
        self.assertEqual({name for name, row in rows.items() if any(endpoint["live"] for endpoint in row["endpoints"])},
                         {burst.name for burst in running} | {"near", "far"})

    # One address goes to and fro

    def _pair(self, name, specs_of, **options):
        """alpha's and stranger's container, of which only one can run at a time: they have the same address."""
        network = [("front", "10.91.7.7", "fd91::7:7")]
        return [self.burst(f"{name}-{role}", role, specs_of(role), networks=network, stay=0, **options)
                for role in ("alpha", "stranger")]

    def test_one_address_swapped(self):
        sources = {"alpha": 41000, "stranger": 42000}
        alpha, stranger = self._pair("swap", lambda role: self._allowed(ALPHA, sources[role]), fast=100)
        passed = []
        with self.listeners() as listeners:
            for number in range(ROUNDS):
                alpha.start()
                if number % 2 == 0:  # else as fast as the Engine can
                    passed.append(self._wait_for_all_heard(listeners, [alpha], ALPHA))
                alpha.stop()
                stranger.start()
                time.sleep(0.1)
                stranger.stop()
                heard = listeners.report()
                self.assertEqual([one for one in heard if one.id == stranger.name], [], f"round {number}")
                self.assert_own_only(heard, {alpha.name: ALPHA})
        table("one address swapped", [{"rounds": ROUNDS, "stranger's datagrams": 0},
                                      {"until the allowed one was heard:": "", **percentiles([1000 * time for time in passed])}])

    def test_the_flows_of_a_former_owner(self):
        """The former owner's peers never stop, and the next one sends from the same ports: each packet belongs to a
        flow that was allowed to somebody else. What ended while the daemon was away has ended, too."""
        self.engine.forget_connections()
        near = {family: self.near.address(family) for family in FAMILIES}
        places = [(f"/run/netns/{self.engine.lan.name}", ALLOWED), (f"/proc/{self.near.pid}/ns/net", near)]
        specs = [f"{proto},{addresses[family]},{FLOWS},43000" for _, addresses in places
                 for proto in ("udp", "tcp") for family in FAMILIES]
        alpha, stranger = self._pair("heir", lambda role: specs, fast=100)
        rows = []
        with contextlib.ExitStack() as stack:
            peers = [stack.enter_context(Peer(path, proto, addresses[family], FLOWS)) for path, addresses in places
                     for proto in ("udp", "tcp") for family in FAMILIES]
            listeners = stack.enter_context(self.listeners())
            for number in range(HEIRS):
                daemon = ("there", "stopped", "paused", "killed")[number % 4]
                rows.append(self._inherit(daemon, alpha, stranger, peers, listeners))
        table("the flows of an address's former owner", rows)
        for row in rows:
            self.assertGreater(row.pop("former owner heard"), 0, row)
            self.assertEqual(set(row.values()) - {row["daemon"]}, {0}, row)

    def _inherit(self, daemon, alpha, stranger, peers, listeners):
        alpha.start()
        wait_until(lambda: all(peer.known == 1 for peer in peers), 10, "all connections of the former owner's")
        for peer in peers:
            peer.talk(alpha.name)
        time.sleep(0.2)
        for peer in peers:
            if peer.proto == "tcp":
                peer.rest()  # to speak at once when the next one is there, and not when it next repeats
        if daemon != "there":
            self._send_away(daemon)
        self._stop_without_a_word(alpha)
        before = listeners.report()
        stranger.start()
        for peer in peers:
            peer.talk(alpha.name)
        time.sleep(0.3)
        meanwhile = listeners.report() if daemon != "there" else before
        if daemon != "there":
            self._come_back()
        self.cofferdam.settle()
        time.sleep(1.2)
        stranger.stop(seconds=2)
        for peer in peers:
            peer.hush()
        after, report = listeners.report(), stranger.report()
        return {"daemon": daemon, "former owner heard": alpha.report()["heard_own"], "heir heard": report["heard"],
                "was heard meanwhile": self._count(meanwhile, id=stranger.name) - self._count(before, id=stranger.name),
                "was heard": self._count(after, id=stranger.name) - self._count(before, id=stranger.name),
                "its SYNs": self._count(after, proto="syn", port=FLOWS) - self._count(before, proto="syn", port=FLOWS),
                "connected": sum(target["connected_us"] > 0 for target in report["targets"])}

    @staticmethod
    def _stop_without_a_word(burst):
        """Neither connection tracking nor its peers learn that its connections have ended."""
        for command in ("add table inet mute", "add chain inet mute out { type filter hook output priority 0 ; }",
                        "add rule inet mute out tcp flags & (fin|rst) != 0 drop"):
            run(burst.container.enter("nft", command))
        burst.stop(seconds=2)

    @staticmethod
    def _count(heard, **which):
        return sum(one.count for one in heard if all(getattr(one, key) == value for key, value in which.items()))


if __name__ == "__main__":
    unittest.main()

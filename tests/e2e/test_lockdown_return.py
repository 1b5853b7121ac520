#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What commands did while no daemon answered: the daemon takes it over when it is back, and nothing opens meanwhile.

All the while datagrams are sent both ways, and none may arrive after the command has returned. In the last class the daemon
is killed before some of the system calls that it takes over with; all with COFFERDAM_KILLS=all."""

import collections
import itertools
import json
import os
import re
import selectors
import signal
import socket
import threading
import time
import unittest

from engine import OUTSIDE
from machine import Failure, run, wait_until
from pairs import CONTROL_ROOM, TIMESTAMPS, arrived, open_in
from playground import Question
from test_kills import ALL, Harm
from test_lockdown_alone import Alone

LISTS = ("lockdown.json", "lockdown.json.copy")
PENDING = "lockdown-pending.json"
DAMAGED = "lockdown-pending.damaged"
KILLS = 8  # of each way of taking over
PAUSE = 0.001  # between two rounds of datagrams
OUTS = {"ipv4": ("10.91.0.1", OUTSIDE["ipv4"]["public"]), "ipv6": ("fd91::1", OUTSIDE["ipv6"]["public"])}


class Datagrams:
    """From one to the other of each pair (where, where, address there), until the end; and when which last came in."""

    _port = itertools.count(7100)

    def __init__(self, pairs):
        self.ways, self.heard, self.sent = [], {}, 0
        self.ready, self.over = selectors.DefaultSelector(), threading.Event()
        for source, target, address in pairs:
            self._add(source, target, address)
        self.threads = [threading.Thread(target=self._send), threading.Thread(target=self._receive)]
        for thread in self.threads:
            thread.start()

    def _add(self, source, target, address):
        family, port = socket.AF_INET6 if ":" in address else socket.AF_INET, next(self._port)
        name = f"{source.name} -> {target.name} {address}"
        near, far = (open_in(where, family, socket.SOCK_DGRAM) for where in (source, target))
        far.setsockopt(socket.SOL_SOCKET, TIMESTAMPS, 1)
        far.bind((address, port))
        for end in (near, far):
            end.setblocking(False)
        self.heard[name] = 0.0
        self.ways.append((near, (address, port)))
        self.ready.register(far, selectors.EVENT_READ, name)

    def _send(self):
        while not self.over.is_set():
            for wire, target in self.ways:
                try:
                    wire.sendto(b"x", target)
                    self.sent += 1
                except OSError:
                    pass
            time.sleep(PAUSE)

    def _receive(self):
        while not self.over.is_set():
            for key, _ in self.ready.select(0.1):
                try:
                    while True:
                        _, control, _, _ = key.fileobj.recvmsg(16, CONTROL_ROOM)
                        self.heard[key.data] = arrived(control)
                except OSError:
                    pass

    def stop(self):
        time.sleep(0.1)  # what is on its way arrives
        self.over.set()
        for thread in self.threads:
            thread.join()
        for wire in [near for near, _ in self.ways] + [key.fileobj for key in self.ready.get_map().values()]:
            wire.close()
        self.ready.close()


class Return(Alone):
    """Mixed into a TestCase."""

    def setUp(self):
        super().setUp()
        self.flood = None
        self.addCleanup(self.stop_flood)

    # Files and tables

    def path(self, name=""):
        return os.path.join(self.cofferdam.settings["state"], name)

    def content(self, name):
        with open(self.path(name), "rb") as file:
            return file.read()

    def go_on(self):
        self.cofferdam.process.process.send_signal(signal.SIGCONT)

    def is_taken_over(self):
        return not self.lock_tables() and not os.path.exists(self.path(PENDING))

    def taken_over(self, seconds=15):
        """Waits until the daemon has all, and nothing of the command's is left."""
        try:
            wait_until(self.is_taken_over, seconds, "the daemon to take over", gap=0.02)
        except Failure as error:
            raise Failure(f"{error}\n{self.lock_tables()} {os.listdir(self.path())}\n{self.cofferdam.log()[-3000:]}") from error

    def assert_taken_over(self, *locks):
        """By a daemon that is up."""
        self.taken_over()
        self.assertEqual(sorted(self.listed()), sorted(locks))
        self.assertEqual(self.content(LISTS[0]), self.content(LISTS[1]))
        names = [name for name in os.listdir(self.path()) if name.startswith("lockdown") and not name.endswith(".lock")]
        self.assertEqual(sorted(names), sorted(LISTS))
        self.assertEqual(self.cofferdam("verify").returncode, 0)

    # Datagrams

    def start_flood(self, web, *others):
        """Between one and others, the host and the outside."""
        pairs = []
        for family, (gateway, public) in OUTS.items():
            own = web.address(family)
            for other, address in (*((other, other.address(family)) for other in others), (self.engine.host, gateway)):
                pairs += [(web, other, address), (other, web, own)]
            pairs.append((web, self.engine.lan, public))
        self.flood = Datagrams(pairs)
        wait_until(lambda: all(self.flood.heard.values()), 5, "every datagram to pass before")

    def stop_flood(self):
        if self.flood:
            self.flood.stop()
        flood, self.flood = self.flood, None
        return flood

    def assert_silent_since(self, returned):
        """Ends the flood: nothing has arrived since."""
        flood = self.stop_flood()
        for name, heard in flood.heard.items():
            # the wall's clock may be set a little while it is compared with
            self.assertLess(heard, returned + 0.002, f"{name}: {heard - returned:+.3f} s after the command")
        self.assertGreater(flood.sent, 1000)

    def cut(self, *arguments, why="dead"):
        """Locks down without a daemon. When the command returned."""
        report = self.lock(*arguments)
        returned = time.monotonic()
        self.assert_whole(report, why)
        return returned

    def end(self, signal_number):
        self.cofferdam.stop(signal_number)
        wait_until(lambda: not self.cofferdam.process.alive, 5, "the daemon's end")


class TakesOver(Return, unittest.TestCase):

    def test_after_it_hung(self):
        web, db, far = self.start_three()
        self.start_flood(web, db, far)
        self.hang()
        returned = self.cut("web", "--reason", "it looks odd", why="hung")
        time.sleep(0.3)
        self.go_on()
        self.assert_taken_over("web")
        time.sleep(0.5)
        self.assert_silent_since(returned)
        self.assert_cut_off(web, db)
        wait_until(lambda: "a request was read too late" in self.cofferdam.log(), 5, "the request to be read")
        self.assertEqual(self.listed(), ["web"])
        self.assertIn("web was locked down at", self.cofferdam.log())
        self.assertIn("the lock tables are removed", self.cofferdam.log())
        lock = self.cofferdam.json("lockdown", "--list")["lockdowns"][0]
        self.assertEqual(lock["reason"], "it looks odd")
        self.release("web")
        self.follow(db, web)

    def test_it_hung_and_a_lock_was_there(self):
        """The earlier one goes on, with all it lets pass; and the exceptions of the later one work as before."""
        web, db, far = self.start_three()
        self.lock("far", "--allow", "host")
        self.hang()
        self.cut("web", "--allow", "db:5432/tcp", why="hung")
        for back in (False, True):
            with self.subTest(back=back):
                if back:
                    self.go_on()
                    self.assert_taken_over("far", "web")
                self.assert_passes(db, web)
                self.assert_dropped(db, web, "80/tcp")
                self.assert_dropped(web, db)
                self.assert_dropped(far, web)
                self.assert_passes(self.engine.host, far)
                self.assert_dropped(db, far)
        self.release("web")
        self.follow(db, web, "80/tcp")

    def test_after_it_was_killed_or_stopped(self):
        web, db, far = self.start_three()
        for number in (signal.SIGKILL, signal.SIGTERM):
            with self.subTest(signal=number.name):
                self.start_flood(web, db, far)
                self.end(number)
                returned = self.cut("web")
                self.cofferdam.start()
                self.assert_taken_over("web")
                time.sleep(0.3)
                self.assert_silent_since(returned)
                self.assert_cut_off(web, db)
                self.assertIn("web was locked down at", self.cofferdam.log())
                self.cofferdam.restart()
                self.assert_taken_over("web")
                self.release("web")
                self.follow(db, web)

    def test_nothing_is_lost_where_no_list_was(self):
        """Tables stand, and no lockdown was ever written down: neither a loss nor more locked down than was asked for."""
        web, db, far = self.start_three()
        self.end(signal.SIGKILL)
        for name in LISTS:
            if os.path.exists(self.path(name)):
                os.unlink(self.path(name))
        began = len(self.cofferdam.log())
        self.cut("web", "--allow", "db:5432/tcp")
        self.cofferdam.start()
        self.assert_taken_over("web")
        self.assertNotIn("list of lockdowns", self.cofferdam.log()[began:])
        self.assert_passes(db, web)
        self.assert_dropped(far, web)
        self.follow(db, far)


class Meanwhile(Return, unittest.TestCase):
    """What happens to the container and to the lock before the daemon is back."""

    def received(self, container):
        """Packets that got as far as its own network, since that was made: (IPv4, IPv6)."""
        text = run(container.enter("cat", "/proc/net/snmp", "/proc/net/snmp6")).stdout
        udp = [line.split() for line in text.splitlines() if line.startswith("Udp:")]
        ipv4 = sum(int(value) for name, value in zip(*udp) if name in ("InDatagrams", "NoPorts"))
        ipv6 = sum(int(value) for value in re.findall(r"^Udp6(?:InDatagrams|NoPorts)\s+(\d+)", text, re.MULTILINE))
        return ipv4, ipv6

    def listen_at(self, where):
        """Datagrams to port 7000 from now on: the function returned tells how many there were, of both families."""
        wires = []
        for family in (socket.AF_INET, socket.AF_INET6):
            wire = open_in(where, family, socket.SOCK_DGRAM)
            if family == socket.AF_INET6:
                wire.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            wire.bind(("", 7000))
            wire.setblocking(False)
            self.addCleanup(wire.close)
            wires.append(wire)

        def count():
            total = 0
            for wire in wires:
                try:
                    while True:
                        wire.recv(64)
                        total += 1
                except BlockingIOError:
                    pass
            return total
        return count

    def sender(self, name, *targets):
        """A container that sends from its first instruction on."""
        container = self.engine.create(name, ("front",), command=["probe", "flood", "500", *targets])
        self.addCleanup(self._remove, container)
        return container.start()

    def send_to(self, source, *addresses):
        """Until the test ends."""
        over = threading.Event()
        wires = [(open_in(source, socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM), address)
                 for address in addresses]

        def send():
            while not over.is_set():
                for wire, address in wires:
                    try:
                        wire.sendto(b"x", (address, 7001))
                    except OSError:
                        pass
                time.sleep(PAUSE)

        thread = threading.Thread(target=send)
        thread.start()

        def stop():
            over.set()
            thread.join()
            for wire, _ in wires:
                wire.close()
        self.addCleanup(stop)

    def assert_apart(self, web, heard, since=(0, 0)):
        self.assertEqual(self.received(web), since)
        self.assertEqual(heard(), 0)

    def test_a_restart_and_one_made_anew(self):
        db = self.run_containers(db="db")[0]
        addresses = [db.address(family) for family in ("ipv4", "ipv6")]
        targets = [f"udp,{address},7000" for address in addresses]
        web = self.sender("web", *targets)
        own = [web.address(family) for family in ("ipv4", "ipv6")]
        self.cofferdam.settle(20)
        self.known()
        heard = self.listen_at(db)
        wait_until(heard, 5, "its datagrams to pass before")
        self.send_to(db, *own)
        self.send_to(self.engine.host, *own)
        wait_until(lambda: all(self.received(web)), 5, "those for it to pass before")
        self.end(signal.SIGKILL)
        self.cut("web")
        time.sleep(0.05)
        heard()
        web.restart()
        self.assertEqual([web.address(family) for family in ("ipv4", "ipv6")], own)
        time.sleep(0.5)
        self.assert_apart(web, heard)
        web.remove()
        web = self.sender("web", *targets)
        self.assertEqual([web.address(family) for family in ("ipv4", "ipv6")], own)
        time.sleep(0.5)
        self.assert_apart(web, heard)
        self.cofferdam.start()
        self.assert_taken_over("web")
        time.sleep(0.5)
        self.assert_apart(web, heard)
        self.release("web")
        wait_until(heard, 5, "them to pass when it is released")

    def test_its_time_was_over(self):
        web, db, far = self.start_three()
        self.end(signal.SIGKILL)
        self.cut("web", "--for", "2s")
        self.cut("far", "--for", "1h")
        self.assert_cut_off(web, db)
        time.sleep(2)
        self.assert_dropped(db, web)  # nobody has ended it
        self.cofferdam.start()
        self.assert_taken_over("far")
        self.follow(db, web)
        self.assert_dropped(db, far)

    def test_its_time_was_over_while_it_hung(self):
        """Whether the daemon knew it before, or hears of it only then; and no cut is made of what the tables still hold."""
        web, db, far = self.start_three()
        self.lock("far", "--for", "2s")
        self.hang()
        self.cut("web", "--for", "1s", why="hung")
        self.assert_dropped(db, web)
        self.assert_dropped(db, far)
        time.sleep(1)
        self.go_on()
        self.assert_taken_over()
        self.follow(db, web)
        self.follow(db, far)

    def test_an_address_and_a_port_become_containers(self):
        web, db, far = self.start_three()
        self.start_flood(web, db, far)
        self.end(signal.SIGKILL)
        report = self.lock("--address", web.address("ipv6"))
        returned = time.monotonic()
        self.assertTrue(report["verified"] and report["saved"])
        self.lock("--interface", self.port_of(far))
        self.cofferdam.start()
        self.assert_taken_over("far", "web")
        self.assert_silent_since(returned)
        for lock in self.cofferdam.json("lockdown", "--list")["lockdowns"]:
            self.assertIn(lock["id"], (web.id, far.id))
        self.assert_cut_off(web, db)
        self.release("far")
        self.follow(db, far)


class Disks(Return, unittest.TestCase):

    def setUp(self):
        """The state is on a small disk as long as the test lasts."""
        super().setUp()
        self.cofferdam.stop()
        run(["mount", "-t", "tmpfs", "-o", "size=256k,mode=700", "tmpfs", self.path()])
        self.addCleanup(self._unmount)
        self.cofferdam.start()

    def _unmount(self):
        self.cofferdam.stop()
        run(["umount", "--lazy", self.path()])
        self.cofferdam.start()

    def fill(self):
        with open(self.path("filler"), "wb", buffering=0) as file:
            try:
                while True:
                    file.write(b"x" * 512)
            except OSError:
                pass

    def test_full_while_it_was_dead(self):
        web, db, far = self.start_three()
        self.start_flood(web, db, far)
        self.end(signal.SIGKILL)
        self.fill()
        report = self.lock("web", status=1)
        returned = time.monotonic()
        self.assertEqual((report["saved"], report["verified"]), (False, True))
        self.assertIn("No space left", report["problems"][0])
        self.assertIn("cofferdamd takes it over", report["problems"][0])
        time.sleep(0.3)
        os.unlink(self.path("filler"))
        self.cofferdam.start()
        self.assert_taken_over("web")  # as the answer says
        self.assert_silent_since(returned)
        self.assert_cut_off(web, db)

    def test_full_while_it_takes_over(self):
        web, db, far = self.start_three()
        self.start_flood(web, db, far)
        self.end(signal.SIGKILL)
        returned = self.cut("web")
        self.fill()
        self.cofferdam.start()
        self.assertEqual(self.listed(), ["web"])
        wait_until(lambda: "cannot be saved" in self.cofferdam.log(), 5, "the full disk to be seen")
        time.sleep(1.5)
        self.assertFalse(self.is_taken_over())
        self.assertTrue(os.path.exists(self.path(PENDING)))
        self.assertIn("cannot be saved", self.cofferdam.json("lockdown", "--list")["lock_tables"])
        self.end(signal.SIGKILL)  # and what it had is on the disk all the same
        self.cofferdam.start()
        self.assertEqual(self.listed(), ["web"])
        os.unlink(self.path("filler"))
        self.assert_taken_over("web")
        self.assert_silent_since(returned)


class Damage(Return, unittest.TestCase):
    """The file of what was done is not as it was written."""

    def truncate(self):
        os.truncate(self.path(PENDING), len(self.content(PENDING)) - 40)

    def overwrite(self, where, what):
        with open(self.path(PENDING), "r+b") as file:
            file.seek(where)
            file.write(what)

    def replace(self):
        with open(self.path(PENDING), "wb") as file:
            file.write(bytes(range(256)) * 3)

    def damage(self, harm, tables):
        web, db, far = self.start_three()
        self.end(signal.SIGKILL)
        self.cut("web")
        self.cut("far")
        harm()
        damaged = self.content(PENDING)
        if not tables:
            for table in self.lock_tables():
                self.engine.host.run("nft", "delete", *table.split())
        self.cofferdam.start()
        for again in (False, True):  # as it is after one more start
            with self.subTest(again=again):
                if again:
                    self.cofferdam.restart()
                self.assert_results("timeout", [
                    Question(source, target, "5432/tcp", family) for family in ("ipv4", "ipv6")
                    for source, target in ((db, web), (web, db), (db, far), (far, db), (self.engine.host, web))])
                self.assertEqual(self.content(DAMAGED), damaged)
                self.assertFalse(os.path.exists(self.path(PENDING)))
                if tables:
                    self.assertTrue(self.lock_tables())
                    wait_until(lambda: "is damaged" in self.cofferdam.json("lockdown", "--list")["lock_tables"], 10,
                               "the reason why they stay")
                    self.assert_passes(db, "198.41.0.4", "80/tcp", ("ipv4",))
                else:
                    self.assertIn("all", self.listed())
                    self.assert_dropped(db, "198.41.0.4", "80/tcp", ("ipv4",))
        self.assertIn("is damaged", self.cofferdam.log())
        self.release("--all")
        wait_until(lambda: not self.lock_tables() and not self.listed(), 5, "all to be released")
        self.follow(db, web)
        self.follow(db, far)
        kept = [name for name in os.listdir(self.path()) if name.startswith(DAMAGED + ".")]
        self.assertEqual([self.content(name) for name in kept], [damaged])
        os.unlink(self.path(kept[0]))
        self.cofferdam.restart()
        self.assertEqual(self.listed(), [])

    def test_cut_short(self):
        self.damage(self.truncate, True)

    def test_cut_short_without_tables(self):
        self.damage(self.truncate, False)

    def test_garbage_in_the_middle(self):
        self.damage(lambda: self.overwrite(60, b"\0\xff#"), True)

    def test_garbage_in_the_middle_without_tables(self):
        self.damage(lambda: self.overwrite(60, b"\0\xff#"), False)

    def test_garbage(self):
        self.damage(self.replace, True)

    def test_garbage_without_tables_and_list(self):
        """And no list has ever been written."""
        def harm():
            self.replace()
            for name in LISTS:
                if os.path.exists(self.path(name)):
                    os.unlink(self.path(name))

        self.damage(harm, False)


class Killed(Harm, Return, unittest.TestCase):
    SETTINGS = {}

    def prepare(self, *containers):
        """Nothing is locked down, and datagrams pass."""
        self._start_again()
        self.taken_over()
        self.release("--all")
        self.start_flood(*containers)

    def hung(self, kill=None):
        """The daemon goes on under strace, until it has taken over or is dead. What it has called, and whether it died."""
        self.hang()
        self.returned = self.cut("web", why="hung")
        trace = self._trace("hung", pid=self._pid, kill=kill)
        self.go_on()
        wait_until(lambda: not self.cofferdam.process.alive or self.is_taken_over(), 20, "the daemon to take over, or to die")
        trace.end()
        return trace.calls(), not self.cofferdam.process.alive

    def dead(self, kill=None):
        """It starts under strace. What it has called since it looked for the file, and whether it died."""
        self.end(signal.SIGKILL)
        self.returned = self.cut("web")
        with self._daemon_under_strace(kill) as (trace, _):
            wait_until(lambda: trace.process.poll() is not None or self.is_taken_over(), 20, "the daemon to take over, or to die")
            died = trace.process.poll() is not None
        with open(trace.log, encoding="utf-8", errors="replace") as file:
            lines = [line for line in file.read().split("--- SIGTERM")[0].splitlines() if re.match(r"\d+ +[a-z_0-9]+\(", line)]
        first = next((number for number, line in enumerate(lines) if PENDING in line), 0)
        return trace.calls()[first:len(lines)], died

    @staticmethod
    def chosen(calls):
        """Of the files all that is moved or removed, and some of what goes to the disk and the kernel."""
        if ALL:
            return calls
        files = [call for call in calls if call[0] in ("rename", "unlink")]
        disk = [call for call in calls if call[0] == "fsync"]
        kernel = [call for call in calls if call[0] == "sendto"]
        room = max(2, KILLS - len(files) - 2)
        some = {*files, *disk[::max(1, len(disk) // 2)][:2], *kernel[-1::-max(1, len(kernel) // room)]}
        return [call for call in calls if call in some]

    def each(self, title, take_over):
        web, db, far = self.start_three()
        self.prepare(web, db, far)
        calls, _ = take_over()
        self.assertTrue({"unlink", "sendto", "fsync"} <= {call[0] for call in calls}, calls)
        self.stop_flood()
        outcomes, began = collections.defaultdict(collections.Counter), time.monotonic()
        for call in self.chosen(calls):
            with self.subTest(call=call):
                self.prepare(web, db, far)
                _, died = take_over(call)
                left = [word for word, there in (("file", os.path.exists(self.path(PENDING))), ("tables", self.lock_tables()))
                        if there]
                outcomes[call[0]][f"left {' and '.join(left) or 'nothing'}" if died else "survived"] += 1
                self.assertNotEqual(left, ["file"])  # which goes first
                self._start_again()
                self.assert_taken_over("web")
                self.assert_silent_since(self.returned)
        self._summary(title, calls, outcomes, began)
        self.assertGreater(sum(number for some in outcomes.values() for key, number in some.items() if key != "survived"), 3)

    def test_while_it_takes_over(self):
        self.each("taking over after it hung", self.hung)

    def test_while_it_takes_over_at_its_start(self):
        self.each("taking over at a start", self.dead)


if __name__ == "__main__":
    unittest.main()

#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Tables that nobody but the daemon's socket can change, and that socket in the service manager's keeping."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import unittest

from cofferdam import follows
from machine import Failure, wait_until
from playground import OPEN, ROLES, Playground

FLOW_PORT = "4444"  # granted to nobody
SEND = """
import socket, sys, time
out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
while True:
    try:
        out.sendto(b"!", (sys.argv[1], int(sys.argv[2])))
    except PermissionError:
        pass
    time.sleep(0.0002)
"""
# Answers each line with the number of packets so far.
COUNT = """
import select, socket, sys
wire, n = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), 0
wire.bind(("", int(sys.argv[1])))
print("listening", flush=True)
while True:
    ready = select.select([wire, sys.stdin], [], [])[0]
    if wire in ready:
        n += len(wire.recv(16))
    elif not sys.stdin.readline():
        break
    else:
        print(n, flush=True)
"""


class Store:
    """The service manager's side of $NOTIFY_SOCKET: keeps what it is given under its name."""

    def __init__(self, path):
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(path)
        self.socket.setblocking(False)
        self.kept, self.said = {}, []

    def read(self):
        while True:
            try:
                text, fds, _, _ = socket.recv_fds(self.socket, 4096, 8)
            except BlockingIOError:
                return self
            fields = dict(line.split("=", 1) for line in text.decode().splitlines() if "=" in line)
            self.said.append(fields)
            name = fields.get("FDNAME")
            if "FDSTOREREMOVE" in fields:
                self.forget(name)
            for fd in fds:
                self.forget(name)
                self.kept[name] = fd

    def forget(self, name):
        if name in self.kept:
            os.close(self.kept.pop(name))

    def close(self):
        for name in list(self.kept):
            self.forget(name)
        self.socket.close()
        os.unlink(self.path)


class Protect(Playground, unittest.TestCase):
    """Starts and stops the daemon itself."""

    START = False

    def setUp(self):
        self.cofferdam.write(ROLES)
        self.web, self.db = self.run_containers(web="web", db="db")
        self.addCleanup(self._end)

    def _end(self):
        if self.cofferdam.process and self.cofferdam.process.alive:
            self.cofferdam.stop()
        self.cofferdam.environment, self.cofferdam.kept = {}, None
        self.cofferdam("teardown", "--yes", check=True)

    def _start(self, **settings):
        self.cofferdam.start(**settings)
        self.follow(self.web, self.db)

    def _store(self):
        store = Store(self.engine.path("notify.sock"))
        self.addCleanup(store.close)  # before _end(), which could not remove what it keeps
        self.cofferdam.environment = {"NOTIFY_SOCKET": store.path}
        return store

    def _tables(self):
        """The heads of our tables."""
        return "".join(line + "\n" for line in self.cofferdam.ruleset().splitlines()
                       if line.startswith("table ") or line.startswith("\tflags"))

    def _assert_owned(self, owned=True):
        heads = self._tables()
        self.assertEqual(heads.count("\nflags") + heads.count("\tflags owner"), 2 if owned else 0, heads)
        self.assertEqual(heads.count("# progname"), 2 if owned else 0, heads)

    def _assert_roles_hold(self):
        self.assert_passes(self.web, self.db)
        self.assert_dropped(self.web, self.db, "80/tcp")
        self.assert_dropped(self.db, self.web)

    def _nft(self, *command):
        return self.engine.host.run("nft", *command, check=False).returncode

    def _interfere(self):
        """Everything of somebody else's goes, and nothing of ours."""
        dockers = [(command + "-restore", self.engine.host.run(command + "-save").stdout)
                   for command in ("iptables", "ip6tables")]
        try:
            for table in ("inet", "bridge"):
                self.assertNotEqual(self._nft("delete", "table", table, "cofferdam"), 0)
            self.assertNotEqual(self._nft("insert", "rule", "inet", "cofferdam", "forward", "accept"), 0)
            self.assertNotEqual(self._nft("flush", "chain", "inet", "cofferdam", "forward"), 0)
            self.assertEqual(self._nft("flush", "ruleset"), 0)
            self.assertEqual(sorted(self.engine.tables()), ["table bridge cofferdam", "table inet cofferdam"])
        finally:
            for command, text in dockers:
                self.engine.host.run(command, stdin=text)

    @contextlib.contextmanager
    def _flow(self):
        """Packets from db to web without a pause. Yields a function that says how many have arrived."""
        counter = subprocess.Popen(self.web.enter(sys.executable, "-c", COUNT, FLOW_PORT), stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, text=True)

        def arrived():
            counter.stdin.write("\n")
            counter.stdin.flush()
            return int(counter.stdout.readline())

        with counter:  # it ends with its stdin
            self.assertEqual(counter.stdout.readline().strip(), "listening")
            sender = self.engine.spawn("flow", self.db.enter(sys.executable, "-c", SEND, self.web.address(), FLOW_PORT))
            try:
                yield arrived
                self.assertTrue(sender.alive)
            finally:
                sender.stop()
                counter.stdin.close()

    def test_what_others_do_changes_nothing(self):
        self._start()
        self._assert_owned()
        before = len(self.cofferdam.log())
        with self._flow() as arrived:
            for _ in range(10):
                self._interfere()
            self.assertEqual(arrived(), 0)
            self._assert_roles_hold()
            self._assert_owned()
            self.assertNotIn("has changed Cofferdam's rules", self.cofferdam.log()[before:])
            self.cofferdam.apply(OPEN)  # it was a flow indeed
            follows(lambda: arrived() > 100, "the packets to arrive once they may")

    def test_status_says_so(self):
        self._start()
        self.assertEqual(self.cofferdam.json("status")["tables"], {"protected": True, "kept": False, "reason": None})
        self.assertIn("Tables in the kernel protected: owner and persist, while the daemon runs", self.cofferdam("status").stdout)
        self.cofferdam.restart(protect_table="off")
        self.assertEqual(self.cofferdam.json("status")["tables"],
                         {"protected": False, "kept": False, "reason": "protect_table is off"})
        self.assertIn("Tables in the kernel not protected: protect_table is off", self.cofferdam("status").stdout)

    def test_the_setting_changes_between_runs(self):
        for setting in ("off", "auto", "off", "off", "auto", "auto"):
            self._start(protect_table=setting)
            self._assert_owned(setting == "auto")
            self._assert_roles_hold()
            self.cofferdam.stop(signal.SIGKILL if setting == "auto" else signal.SIGTERM)
            self._assert_roles_hold()

    def test_a_killed_daemons_tables_are_claimed(self):
        self._start()
        self.cofferdam.stop(signal.SIGKILL)
        self.assertNotIn("owner", self._tables())
        self._assert_roles_hold()
        self._start()
        self._assert_owned()
        self._interfere()
        self._assert_roles_hold()

    def test_the_socket_is_kept_and_comes_back(self):
        store = self._store()
        self._start()
        self.assertEqual(list(store.read().kept), ["nftables"])
        stored = [fields for fields in store.said if "FDSTORE" in fields]
        self.assertEqual(len(stored), 1)
        self.assertEqual(stored[0]["FDPOLL"], "0")  # or one overrun, and it would be thrown out
        self.assertIn("kept by the service manager", self.cofferdam("status").stdout)
        with self._flow() as arrived:
            for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGKILL):
                self.cofferdam.stop(number)
                self._assert_owned()
                self._interfere()
                self.cofferdam.kept = store.read().kept["nftables"]
                self._start()
                self._assert_owned()
                self.assertTrue(self.cofferdam.json("status")["tables"]["kept"])
                self._interfere()
                self._assert_roles_hold()
                self.cofferdam.apply(ROLES.replace("5432/tcp", "80/tcp"))
                self.assert_passes(self.web, self.db, "80/tcp")
                self.cofferdam.apply(ROLES)
                self.assertEqual(arrived(), 0)
            self.assertNotIn("has changed Cofferdam's rules", self.cofferdam.log())
            self.cofferdam.apply(OPEN)
            follows(lambda: arrived() > 100, "the packets to arrive once they may")

    def test_unprotected_again_through_a_socket_that_was_kept(self):
        store = self._store()
        self._start()
        self.cofferdam.stop()
        self.cofferdam.kept = store.read().kept["nftables"]
        self._start(protect_table="off")
        self._assert_owned(False)
        self._assert_roles_hold()

    def test_what_is_no_such_socket_is_not_used(self):
        self.cofferdam.kept = os.open("/dev/null", os.O_RDONLY)
        self.addCleanup(os.close, self.cofferdam.kept)
        self._start()
        self._assert_owned()
        self._assert_roles_hold()
        self.assertIn("cannot be used", self.cofferdam.log())
        links = [os.readlink(f"/proc/{self.cofferdam.process.process.pid}/fd/{fd}")
                 for fd in os.listdir(f"/proc/{self.cofferdam.process.process.pid}/fd")]
        self.assertLessEqual(links.count("/dev/null"), 2)  # its stdin, and this test's own number of it

    def test_a_daemon_that_is_not_given_the_socket_says_whose_the_tables_are(self):
        store = self._store()
        self._start()
        self.cofferdam.stop()
        store.read()
        before = len(self.cofferdam.log())
        with self.assertRaises(Failure):
            self.cofferdam.start()
        self.assertEqual(self.cofferdam.process.process.returncode, 1)
        self.assertRegex(self.cofferdam.log()[before:], r"belongs to another netlink socket, that of process \d+")
        self.assertIn("another cofferdamd", self.cofferdam.log()[before:])
        self._assert_owned()
        self._assert_roles_hold()

    def test_teardown_while_the_socket_is_kept(self):
        store = self._store()
        self._start()
        self.cofferdam.stop()
        store.read()
        result = self.cofferdam("teardown", "--yes")
        self.assertEqual(result.returncode, 1)
        self.assertIn("systemctl start cofferdamd", result.stderr)
        self.assertIn("systemctl clean --what=fdstore cofferdamd", result.stderr)
        self._assert_owned()
        self._assert_roles_hold()
        store.forget("nftables")
        self.assertEqual(self.cofferdam("teardown", "--yes").returncode, 0)
        self.assertFalse([table for table in self.engine.tables() if "cofferdam" in table])

    def test_teardown_by_the_daemon_gives_the_socket_up(self):
        store = self._store()
        self._start()
        self.assertTrue(store.read().kept)
        self.assertEqual(self.cofferdam("teardown", "--yes").returncode, 0)
        wait_until(lambda: not self.cofferdam.process.alive, 5, "the daemon to end")
        self.assertFalse(store.read().kept)
        self.assertFalse([table for table in self.engine.tables() if "cofferdam" in table])


if __name__ == "__main__":
    unittest.main()

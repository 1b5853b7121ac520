#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""`cofferdam watch`: what is denied, as it happens, by name; what is meant of it; and what the log holds of it."""

import json
import os
import pty
import re
import select
import signal
import socket
import subprocess
import sys
import time
import unittest

from cofferdam import COMMAND, schemas
from engine import OUTSIDE
from machine import ENVIRONMENT, wait_until
from playground import Question
from test_denyfloods import POUR
from test_denylog import QUIET, Base

NO_NEIGHBOURS = ("--not", "--protocol", "icmp")  # what a container that begins asks for before it is known
TIME = r"\d\d:\d\d:\d\d\.\d{3}"
LAN = OUTSIDE["ipv4"]["lan"]


AUDITED = """
---
policy: open
select: {labels: {role: open}}
ingress: [{ports: [80/tcp]}]
---
policy: strict
mode: audit
select: {labels: {role: open}}
ingress: [{name: no-db, deny: true, from: [{labels: {role: db}}]}]
"""


class Watch:
    """The command while it runs. terminal: its standard output is one."""

    def __init__(self, test, *arguments, terminal=False, **environment):
        self.test = test
        self.text, self.errors = b"", b""
        cofferdam = test.cofferdam
        environment = dict(ENVIRONMENT, TERM="xterm", TZ="UTC", **environment)
        if terminal:
            self.out, theirs = pty.openpty()
        else:
            self.out, theirs = os.pipe()
        self.err, their_err = os.pipe()
        self.process = subprocess.Popen(
            cofferdam.space.enter(COMMAND, "watch", "--config", cofferdam.config, *arguments), stdin=subprocess.DEVNULL,
            stdout=theirs, stderr=their_err, env=environment)
        os.close(theirs)
        os.close(their_err)
        test.addCleanup(self.close)
        if "--last" not in arguments:
            self.wait_for_daemon()

    def wait_for_daemon(self):
        """Until the daemon knows of it: it handles one request after the other."""
        def connected():
            self.read(0)
            return self.process.poll() is not None or "SigCgt:\t" in self._status() and int(
                re.search(r"SigCgt:\t(\w+)", self._status())[1], 16) & 1 << signal.SIGINT - 1
        wait_until(connected, 20, "the command to follow")

    def _status(self):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as file:
            return file.read()

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for fd in (self.out, self.err):
            if fd is not None:
                os.close(fd)
        self.out = self.err = None

    def read(self, seconds):
        """What comes until nothing does for so long."""
        open_fds = [fd for fd in (self.out, self.err) if fd is not None]
        while open_fds:
            ready = select.select(open_fds, [], [], seconds)[0]
            if not ready:
                return
            for fd in ready:
                try:
                    piece = os.read(fd, 65536)
                except OSError:  # a terminal whose other end is closed
                    piece = b""
                if not piece:
                    open_fds.remove(fd)
                elif fd == self.out:
                    self.text += piece
                else:
                    self.errors += piece

    def lines(self):
        self.read(0)
        return self.text.decode().replace("\r\n", "\n").split("\n")[:-1]

    def find(self, pattern, seconds=10):
        """The match of a whole line, which must come."""
        def match():
            return next(filter(None, (re.fullmatch(pattern, line) for line in self.lines())), None)
        try:
            wait_until(match, seconds, pattern, gap=0.02)
        except Exception as error:
            raise AssertionError(f"{pattern}\n{self.lines()}\n{self.errors.decode()}\n{self.test.cofferdam.log()[-1000:]}") from error
        return match()

    def end(self, number=signal.SIGINT):
        """Returns its exit status and what it said on stderr."""
        self.process.send_signal(number)
        return self.wait()

    def wait(self):
        wait_until(lambda: self.read(0) or self.process.poll() is not None, 20, "cofferdam watch to end")
        self.read(0)
        return self.process.returncode, self.errors.decode()


class Test(Base):
    def deny(self, *questions):
        self.assertNotIn("connected", self.ask_all(list(questions), 300))


class Live(Test, unittest.TestCase):
    def test_by_name_at_once(self):
        web, db = self.run_containers(web="web", db="db")
        watch = Watch(self)
        began = time.monotonic()
        self.deny(Question(web, db, "80/tcp"))
        watch.find(rf"{TIME}  web -> db:80  tcp  DENIED  egress  no-rule \(policy web\)")
        took = time.monotonic() - began  # the question alone takes 0.3 s
        print(f"a line within {took:.2f} s")
        self.assertLess(took, 5)
        self.deny(Question(web, db, "5432/tcp", "ipv6"), Question(web, LAN, "53/udp"), Question(web, "2001:db8:1::10", "80/tcp", "ipv6"),
                  Question(web, OUTSIDE["ipv4"]["metadata"], "80/tcp"), Question(web, "10.91.0.1", "icmp"))
        for line in (r"web -> db:5432  tcp  DENIED  ingress  no-rule \(policy db\)",
                     rf"web -> {re.escape(LAN)}:53  udp  DENIED  egress  no-rule \(policy web\)",
                     r"web -> \[2001:db8:1::10\]:80  tcp  DENIED  egress  no-rule \(policy web\)",
                     r"web -> 169\.254\.169\.254:80  tcp  DENIED  egress  no-metadata \(policy web\)",
                     r"web -> host  icmp/echo-request  DENIED  egress  no-rule \(policy web\)"):
            watch.find(f"{TIME}  {line}")
        code, errors = watch.end()
        self.assertEqual((code, errors), (0, f"cofferdam: seen: {len(watch.lines())} denied, 0 allowed, 0 audited, 0 lost\n"))

    def test_what_goes_on_already(self):
        """A watcher who comes later sees it as well, and how many packets it was in the end."""
        web = self.run_container("web", "web")
        flood = self.engine.spawn("pour", web.enter(sys.executable, "-c", POUR, "2", LAN, "99", "99"))
        wait_until(lambda: self.cofferdam.json("status")["log"]["open"], 10, "a record")
        watch = Watch(self)
        watch.find(rf"{TIME}  web -> {re.escape(LAN)}:99  udp  DENIED  egress  no-rule \(policy web\)(; \d+ packets.*)?")
        wait_until(lambda: not flood.alive, 30, "the flood to end")
        sent = int(flood.output().split()[-1])
        watch.find(rf"{TIME}  web -> {re.escape(LAN)}:99  udp  DENIED  egress  no-rule \(policy web\); {sent} packets in \d+s",
                   QUIET + 60)

    def test_filters(self):
        web, db = self.run_containers(web="web", db="db")
        shop = self.run_container("shop-db-1", "db", labels={"com.docker.compose.project": "shop", "com.docker.compose.service": "db"})
        questions = {"web-db-80": Question(web, db, "80/tcp"), "web-shop-80": Question(web, shop, "80/tcp", "ipv6"),
                     "web-lan-53": Question(web, LAN, "53/udp"), "db-web-5432": Question(db, web, "5432/tcp"),
                     "lan-shop-5432": Question(self.engine.lan, shop, "5432/tcp"), "host-db-80": Question(self.engine.host, db, "80/tcp")}
        wanted = {
            ("--from", "web"): "web-db-80 web-shop-80 web-lan-53",
            ("--to", "shop/db"): "web-shop-80 lan-shop-5432",
            ("--container", db.id[:8], "--protocol", "tcp"): "web-db-80 db-web-5432 host-db-80",
            ("--port", "80", "--port", "53/udp", "--not", "--to", "*/*"): "web-db-80 web-lan-53 host-db-80",
            ("--direction", "ingress", "--denied"): "db-web-5432 lan-shop-5432 host-db-80",
            ("--container", "outside"): "web-lan-53 lan-shop-5432",
            ("--from", "10.91.0.0/16", "--not", "--from", "web"): "db-web-5432 host-db-80",
            ("--verdict", "allowed"): "",
            ("--from", "nobody"): "",
        }
        watches = {arguments: Watch(self, "--json", *NO_NEIGHBOURS, *arguments) for arguments in wanted}
        self.deny(*questions.values())

        def names(watch):
            records = [json.loads(line) for line in watch.lines()]
            for record in records:
                schemas.check("verdict", record)
            found = []
            for name, question in questions.items():
                target = question.target if isinstance(question.target, str) else question.target.address(question.family)
                port = int(question.port.partition("/")[0])
                found += [name for record in records
                          if (record["destination"]["ip"], record["destination"].get("port")) == (target, port)
                          and (question.source is not self.engine.host) == (record["cofferdam"]["source"]["kind"] != "host")]
            self.assertEqual(len(found), len(records), records)
            return sorted(found)
        for arguments, text in wanted.items():
            want = sorted(text.split())
            try:
                wait_until(lambda watch=watches[arguments], want=want: names(watch) == want, 10, str(arguments))
            except Exception as error:
                raise AssertionError(f"{arguments}: {names(watches[arguments])}, not {want}") from error

    def test_wrong_usage(self):
        for arguments, hint in ((("--from", "10.91.0.1/16"), "did you mean '10.91.0.0/16'?"), (("--verdict", "denid"), "did you mean 'denied'?"),
                                (("--port", "http"), "5432/tcp"), (("--not",), "'--not'"), (("--since", "then"), "10m"), (("--last", "0"), "1 to"),
                                (("--until", "1m", "-f"), "nothing to follow"), (("--container", "a b"), "no container has such a name")):
            result = self.cofferdam("watch", *arguments)
            self.assertEqual((result.returncode, result.stdout), (64, ""), arguments)
            self.assertIn(hint, result.stderr)

    def test_a_terminal(self):
        """Aligned and in colours there; without those with NO_COLOR; and the reader's end is ours."""
        web, db = self.run_containers(web="web", db="db")
        coloured, plain, piped = (Watch(self, *NO_NEIGHBOURS, terminal=True), Watch(self, *NO_NEIGHBOURS, terminal=True, NO_COLOR="1"),
                                  Watch(self))
        self.deny(Question(web, db, "80/tcp"), Question(db, web, "5432/tcp"))
        lines = []
        for watch in (coloured, plain):
            wait_until(lambda watch=watch: len(watch.lines()) == 2, 10, "two lines")
            lines.append(sorted(line[line.index("->") - 13:] for line in watch.lines()))
            places = {line.index("DENIED") for line in watch.lines()}
            self.assertEqual(len(places), 1, watch.lines())
        self.assertTrue(all("\x1b[1;31mDENIED\x1b[0m" in line for line in lines[0]), lines[0])
        self.assertFalse(any("\x1b" in line for line in lines[1]), lines[1])
        self.assertIn("db           -> web:5432          tcp   DENIED   ingress  no-rule (policy web)", lines[1])
        piped.find(rf"{TIME}  db -> web:5432  tcp  DENIED  ingress  no-rule \(policy web\)")
        os.close(piped.out)
        piped.out = None
        self.assertEqual(piped.wait(), (0, ""))

    def test_a_restart_of_the_daemon(self):
        web, db = self.run_containers(web="web", db="db")
        once, again = Watch(self), Watch(self, "-f")
        self.cofferdam.stop()
        code, errors = once.wait()
        self.assertEqual(code, 1)
        self.assertIn("the daemon has ended", errors)
        self.assertIn("-f", errors)
        self.cofferdam.start(log={"file": self.file, "journal": "off"})
        wait_until(lambda: again.read(0) or b"the daemon is back" in again.errors, 20, "the command to be back")
        self.deny(Question(web, db, "80/tcp"))
        again.find(rf"{TIME}  web -> db:80  tcp  DENIED  egress  no-rule \(policy web\)")
        self.assertEqual(again.end(signal.SIGTERM)[0], 0)
        missing = Watch(self, "--control", self.engine.path("nothing.sock"), "-f").wait()
        self.assertEqual(missing[0], 1)
        self.assertIn("the daemon does not run", missing[1])


class Allowed(Test, unittest.TestCase):
    def listeners(self):
        """Sockets that are told of new connections (NETLINK_NETFILTER, NFNLGRP_CONNTRACK_NEW)."""
        rows = [line.split() for line in self.engine.host.run("cat", "/proc/net/netlink").stdout.splitlines()[1:]]
        return sum(1 for row in rows if row[1] == "12" and int(row[3], 16) & 1)

    def test_only_while_somebody_wants_it(self):
        client = self.run_container("client", "db")
        server = self.run_container("server", "open")
        self.cofferdam.apply(self.POLICIES + "---\npolicy: open\nselect: {labels: {role: open}}\ningress: [{name: app, ports: [80/tcp]}]\n")
        self.addCleanup(self.cofferdam.apply, self.POLICIES)
        denied = Watch(self)
        self.assertEqual(self.listeners(), 0)
        allowed, verdict = Watch(self, "--allowed"), Watch(self, "--verdict", "allowed", "--port", "80", "--json")
        self.assertEqual(self.listeners(), 1)
        self.assert_passes(client, server, "80/tcp", families=("ipv4",))
        self.deny(Question(server, client, "5432/tcp"))
        allowed.find(rf"{TIME}  client -> server:80  tcp  ALLOWED  both  egress 1 \(policy db\), app \(policy open\)")
        allowed.find(rf"{TIME}  server -> client:5432  tcp  DENIED  egress  no-rule \(policy open\)")
        denied.find(rf"{TIME}  server -> client:5432  tcp  DENIED  egress  no-rule \(policy open\)")
        wait_until(verdict.lines, 10, "the allowed connection")
        record = json.loads(verdict.lines()[0])
        schemas.check("verdict", record)
        self.assertEqual(record["cofferdam"]["verdict"], "allow")
        self.assertFalse([line for line in denied.lines() if "ALLOWED" in line])
        self.assertEqual(allowed.end()[0], 0)
        self.assertEqual(self.listeners(), 1)
        self.assertEqual(verdict.end()[0], 0)
        wait_until(lambda: self.listeners() == 0, 10, "the listener to be closed")


    def test_audited(self):
        """What is let pass, and would not be once what is staged is enforced, is shown without being asked for."""
        client = self.run_container("client", "db")
        server = self.run_container("server", "open")
        self.cofferdam.apply(self.POLICIES + AUDITED)
        self.addCleanup(self.cofferdam.apply, self.POLICIES)
        watch, denied = Watch(self), Watch(self, "--denied")
        self.assert_passes(client, server, "80/tcp", families=("ipv4",))
        self.deny(Question(server, client, "5432/tcp"))
        watch.find(rf"{TIME}  client -> server:80  tcp  AUDITED  ingress  would be denied: no-db \(staged policy strict\)")
        denied.find(rf"{TIME}  server -> client:5432  tcp  DENIED  egress  no-rule \(policy open\)")
        self.assertFalse([line for line in denied.lines() if "AUDITED" in line])


class Log(Test, unittest.TestCase):
    """What the files hold: no daemon is needed for that."""

    def setUp(self):
        super().setUp()
        for path in (self.file, self.file + ".1"):
            if os.path.exists(path):
                os.unlink(path)

    def watch(self, *arguments, **options):
        return subprocess.run([COMMAND, "watch", "--config", self.cofferdam.config, *NO_NEIGHBOURS, *arguments], text=True, capture_output=True,
                              env=dict(ENVIRONMENT, TZ="UTC"), check=False, **options)

    def write(self):
        """What is open is written when the daemon ends."""
        self.cofferdam.restart(log={"file": self.file, "journal": "off"})

    def test_the_past(self):
        web, db = self.run_containers(web="web", db="db")
        self.deny(Question(web, db, "80/tcp"))
        self.write()
        os.rename(self.file, self.file + ".1")
        self.deny(Question(db, web, "5432/tcp"))
        self.write()
        self.deny(Question(self.engine.lan, db, "53/udp"))
        self.cofferdam.stop()
        self.addCleanup(self.cofferdam.start, log={"file": self.file, "journal": "off"})
        with open(self.file, "a", encoding="utf-8") as file:
            file.write('{"torn": \n')

        result = self.watch("--since", "1h")
        self.assertEqual(result.returncode, 0, result.stderr)
        day = r"\d{4}-\d\d-\d\d " + TIME
        lines = result.stdout.splitlines()
        self.assertEqual(len(lines), 3, result.stdout)
        for line, text in zip(lines, (r"web -> db:80  tcp  DENIED  egress  no-rule \(policy web\).*",
                                      r"db -> web:5432  tcp  DENIED  ingress  no-rule \(policy web\).*",
                                      r"\S+ -> db:53  udp  DENIED  ingress  no-rule \(policy db\).*")):
            self.assertRegex(line, f"^{day}  {text}$")
        self.assertIn("1 line", result.stderr)
        self.assertRegex(result.stderr, r"the log begins at \d{4}-")

        self.assertEqual(self.watch("--last", "2").stdout.splitlines(), lines[1:])
        self.assertEqual(self.watch("--last", "1", "--from", "web").stdout.splitlines(), lines[:1])
        self.assertEqual(self.watch("--since", "1h", "--to", "db", "--not", "--protocol", "udp").stdout.splitlines(), lines[:1])
        between = json.loads(self.watch("--json", "--last", "3").stdout.splitlines()[1])
        self.assertEqual(self.watch("--since", between["@timestamp"], "--until", between["@timestamp"]).stdout.splitlines(), lines[1:2])
        self.assertEqual(self.watch("--until", "1h").stdout, "")
        saved = self.watch("--json", "--since", "1h").stdout
        for line in saved.splitlines():
            schemas.check("verdict", json.loads(line))
        result = self.watch("--input-file", "-", input=saved)
        self.assertEqual((result.returncode, result.stdout.splitlines(), result.stderr), (0, lines, ""))
        result = self.watch("--input-file", "-", "--container", "nobody", input=saved)
        self.assertEqual((result.returncode, result.stdout, result.stderr), (0, "", ""))
        self.assertEqual(self.watch("--input-file", self.file + ".none").returncode, 1)
        result = self.watch()
        self.assertEqual(result.returncode, 1)
        self.assertIn("the daemon does not run", result.stderr)

    def test_the_past_and_what_comes(self):
        web, db = self.run_containers(web="web", db="db")
        self.deny(Question(web, db, "81/tcp"))
        self.write()
        watch = Watch(self, *NO_NEIGHBOURS, "--last", "1", "-f")
        watch.find(rf"\S+ {TIME}  web -> db:81  tcp  .*")
        self.deny(Question(db, web, "5432/tcp"))
        watch.find(rf"\S+ {TIME}  db -> web:5432  tcp  .*")
        self.assertEqual(watch.end()[0], 0)


class Slow(Test, unittest.TestCase):
    """Who does not read loses lines, and costs the daemon and the others nothing."""

    def test_a_slow_reader(self):
        self.cofferdam.restart(log={"file": self.file, "journal": "off", "rate": 10000})
        web, db = self.run_containers(web="web", db="db")
        slow = socket.socket(socket.AF_UNIX)
        self.addCleanup(slow.close)
        slow.connect(self.cofferdam.settings["control"])
        slow.sendall(b'{"verb": "watch"}\n')
        other = Watch(self, "--from", "db")
        flood = self.engine.spawn("scan", web.enter(sys.executable, "-c", POUR, "4", LAN, "1", "50000"))
        wait_until(lambda: not flood.alive, 60, "the scan to end")
        self.deny(Question(db, web, "5432/tcp"))
        other.find(rf"{TIME}  db -> web:5432  tcp  DENIED  ingress  no-rule \(policy web\)", 30)
        told = self.cofferdam.json("status")["log"]["open"]

        slow.settimeout(2)
        data = b""
        while not data.endswith(b"\n") or b'"lost"' not in data:
            data += slow.recv(1 << 20)
        lines = [json.loads(line) for line in data.decode().splitlines()]
        self.assertEqual(lines[0], {"ok": True, "exit": 0, "result": {"watching": True}})
        lost = [line["lost"] for line in lines if "lost" in line]
        records = [line for line in lines if "record" in line]
        print(f"slow reader: {len(records)} records read, {lost} lost, {len(data)} bytes waited, {told} open")
        self.assertEqual(len(lost), 1)
        self.assertGreater(lost[0], 100)
        self.assertLess(len(data), 3 << 20)


if __name__ == "__main__":
    unittest.main()

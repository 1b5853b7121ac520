#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What is done, and what is refused, is on record: who, what, why and what became of it, in a line each that nobody can
forge, before whoever asked is answered. And who may ask for what."""

import grp
import json
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import threading
import time
import unittest

from cofferdam import COMMAND, DAEMON, schemas
from machine import ENVIRONMENT, run, wait_until
from pairs import open_in
from playground import OPEN, Playground
from test_plan import FAMILIES

GROUP = "games"
USER = 4242  # nobody's
NO_GROUP = 4243

# A client that is nobody's command: sends the lines it is given, and prints the answers.
CLIENT = """
import socket, sys
for line in sys.stdin:
    with socket.socket(socket.AF_UNIX) as s:
        try:
            s.connect(sys.argv[1])
        except OSError as error:
            print(error.errno)
            continue
        s.sendall(line.encode("utf-8", "surrogateescape"))
        print(s.makefile().readline(), end="")
"""


class Base(Playground):
    POLICIES = OPEN

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        os.chmod(cls.engine.root, 0o711)  # others must get to the socket
        cls.command = shutil.copy(COMMAND, cls.engine.path("cofferdam"))

    def setUp(self):
        super().setUp()
        if not self.cofferdam.process.alive:
            self.cofferdam.start()
        self.path = self.cofferdam.settings["audit"]
        self.mark()

    def mark(self):
        """entries() are those from here on."""
        self.since = len(self.all_entries())

    def all_entries(self, path=None):
        try:
            with open(path or self.path, encoding="ascii") as file:
                text = file.read()
        except FileNotFoundError:
            return []
        entries = [json.loads(line) for line in text.splitlines()]
        for entry in entries:
            self.assertEqual(schemas.errors("audit", entry), [])
        self.assertEqual(len({entry["id"] for entry in entries}), len(entries))
        return entries

    def entries(self):
        return self.all_entries()[self.since:]

    def entry(self, action):
        """The only one there is."""
        entries = self.entries()
        self.assertEqual([entry["action"] for entry in entries], [action], entries)
        self.mark()
        return entries[0]

    def do(self, *words, status=0):
        """Runs the command and returns its process ID; its output is in self.said."""
        process = subprocess.Popen(self.engine.host.enter(COMMAND, words[0], "--config", self.cofferdam.config, *words[1:]),
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT)
        self.said = process.communicate(timeout=30)
        self.assertEqual(process.returncode, status, self.said)
        return process.pid

    def start_inside(self, script, *words):
        """The daemon again, by a shell script with a mount namespace of its own that ends with exec "$@"."""
        enter = self.cofferdam.space.enter
        self.cofferdam.stop()
        self.addCleanup(self.cofferdam.restart)
        self.cofferdam.process = self.engine.spawn("cofferdamd-inside", enter(
            "unshare", "-m", "sh", "-c", script, "sh", *words, DAEMON, "--config", self.cofferdam.config))
        self.cofferdam.settle(20)
        self.mark()

    def assert_by(self, entry, pid, words):
        self.assertEqual((entry["uid"], entry["user"], entry["pid"]), (0, "root", pid))
        self.assertIn(words, entry["command"])
        with open("/proc/self/loginuid", encoding="ascii") as file:
            login = int(file.read())
        self.assertEqual(entry["login_uid"], None if login == 2 ** 32 - 1 else login)


class Record(Base, unittest.TestCase):
    """Each action."""

    def test_a_lockdown_and_its_release(self):
        self.engine.host.run("sysctl", "-q", "-w", "net.netfilter.nf_conntrack_acct=1")
        self.addCleanup(self.engine.host.run, "sysctl", "-q", "-w", "net.netfilter.nf_conntrack_acct=0")
        web, db = self.run_containers(web="web", db="db")
        self.cofferdam.settle()
        connection = open_in(db, FAMILIES["ipv4"], 1)
        self.addCleanup(connection.close)
        connection.settimeout(3)
        connection.connect((web.address("ipv4"), 5432))
        before = time.time()
        pid = self.do("lockdown", "web", "--reason", "it looks odd", "--json")
        report = json.loads(self.said[0])
        entry = self.entry("lockdown")
        self.assert_by(entry, pid, f"cofferdam lockdown --config {self.cofferdam.config} web --reason it looks odd")
        self.assertEqual((entry["program"], entry["result"], entry["exit"], entry["error"]), ("cofferdamd", "ok", 0, None))
        self.assertEqual(entry["reason"], "it looks odd")
        self.assertEqual(entry["targets"], [{"name": "web", "id": web.id, "select": None, "not_cut": None}])
        self.assertEqual(entry["request"]["containers"], ["web"])
        listed = [{key: flow[key] for key in ("from", "to", "port", "bytes")} for flow in report["connections"]]
        self.assertEqual(entry["connections"], listed)
        self.assertEqual(entry["connections_cut"], len(listed))
        self.assertIn(("db", "web", "5432/tcp"), [(flow["from"], flow["to"], flow["port"]) for flow in listed])
        self.assertGreater(max(flow["bytes"] for flow in listed), 100)
        self.assertEqual(entry["generation"], self.cofferdam.json("status")["daemon"]["generation"])
        self.assertGreater(entry["duration_us"], 0)
        when = time.strptime(entry["time"][:19], "%Y-%m-%dT%H:%M:%S")
        self.assertLess(abs(before - time.mktime(when) + time.timezone), 30)
        lock = self.cofferdam.json("lockdown", "--list")["lockdowns"][0]
        self.assertRegex(lock["by"], rf"root, process {pid} \(.*cofferdam lockdown")

        pid = self.do("release", "web")
        entry = self.entry("release")
        self.assert_by(entry, pid, "cofferdam release")
        self.assertEqual(entry["targets"], [{"name": "web", "id": web.id, "select": None, "not_cut": None}])
        self.do("lockdown", "nobody", status=1)
        entry = self.entry("lockdown")
        self.assertEqual((entry["result"], entry["exit"], entry["targets"]), ("failed", 1, []))
        self.assertIn("there is no container 'nobody'", entry["error"])
        self.do("release", "nobody", status=1)
        self.assertEqual(self.entry("release")["result"], "failed")

    def test_a_lockdown_ends_by_its_time(self):
        db = self.run_container("db", "db")
        self.cofferdam.settle()
        self.do("lockdown", "db", "--for", "2s")
        self.do("lockdown", "--select", "name=x*", "--for", "2s")
        self.assertEqual([entry["action"] for entry in self.entries()], ["lockdown", "lockdown"])
        self.mark()
        wait_until(lambda: len([t for entry in self.entries() for t in entry["targets"]]) == 2, 10, "the ends to be on record")
        for entry in self.entries():
            self.assertEqual((entry["action"], entry["uid"], entry["command"]), ("lockdown-end", None, None))
        targets = [target for entry in self.entries() for target in entry["targets"]]
        self.assertIn({"name": "db", "id": db.id, "select": None, "not_cut": None}, targets)
        self.assertIn("name=x*", [target["select"] for target in targets])
        self.do("lockdown", "db", "--for", "1s")
        self.cofferdam.stop(signal.SIGKILL)
        time.sleep(1.2)
        self.cofferdam.start()
        self.assertEqual([entry["action"] for entry in self.entries()[-2:]], ["lockdown-end", "start"])

    def test_policies(self):
        pid = self.do("apply", "--comment", "INC-4711")
        entry = self.entry("apply")
        self.assert_by(entry, pid, "cofferdam apply")
        self.assertEqual((entry["result"], entry["reason"]), ("ok", "INC-4711"))
        plan = self.cofferdam.json("plan")["plan_id"]
        self.do("apply", "--only", plan)
        entry = self.entry("apply")
        self.assertEqual((entry["plan_id"], entry["request"]["only"]), (plan, plan))
        self.cofferdam.write("policy: x\nselect: 7\n")
        self.do("apply", status=1)
        entry = self.entry("apply")
        self.assertEqual((entry["result"], entry["exit"]), ("failed", 1))
        self.assertIn("policies.yaml:2: ", entry["problems"][0])

        self.cofferdam.process.process.send_signal(signal.SIGHUP)
        wait_until(self.entries, 5, "SIGHUP to be on record")
        entry = self.entry("reload")
        self.assertEqual((entry["result"], entry["uid"], entry["pid"]), ("failed", 0, os.getpid()))
        self.assertIn("policies.yaml:2: ", entry["problems"][0])
        self.cofferdam.write(OPEN + "# other\n")
        self.cofferdam.process.process.send_signal(signal.SIGHUP)
        wait_until(self.entries, 5, "SIGHUP to be on record")
        entry = self.entry("reload")
        self.assertEqual((entry["result"], entry["number"] > 0), ("ok", True))

        self.cofferdam.write(OPEN + "# third\n")
        self.do("apply", "--confirm-within", "60s")
        entry = self.entry("apply")
        self.assertEqual(entry["request"]["confirm_within"], "60s")
        self.cofferdam.process.process.send_signal(signal.SIGHUP)
        wait_until(self.entries, 5, "SIGHUP to be on record")
        self.assertEqual(self.entry("reload")["result"], "failed")
        self.do("confirm", "--extend", "1m")
        self.assertEqual(self.entry("confirm")["request"], {"extend": "1m"})
        self.do("confirm")
        self.assertEqual(self.entry("confirm")["number"], self.cofferdam.json("history")["entries"][0]["number"])
        self.do("rollback")
        self.assertEqual(self.entry("rollback")["result"], "ok")
        self.do("confirm", status=1)
        self.assertEqual(self.entry("confirm")["result"], "failed")
        self.do("apply", "--confirm-within", "5s")
        self.entry("apply")
        wait_until(self.entries, 20, "the trial to end")
        entry = self.entry("trial-end")
        self.assertEqual((entry["result"], entry["uid"]), ("ok", None))
        self.do("apply")

    def test_reading_leaves_nothing(self):
        self.run_container("web", "web")
        self.cofferdam.settle()
        for words in (("status",), ("explain", "web", "host"), ("plan",), ("history",), ("verify",), ("lockdown", "--list"),
                      ("lockdown", "--dry-run", "web"), ("graph",), ("doctor",)):
            self.cofferdam(*words)
        self.assertEqual(self.entries(), [])

    def test_the_daemons_life(self):
        self.cofferdam.stop()
        entry = self.entry("stop")
        self.assertEqual((entry["uid"], entry["pid"]), (0, os.getpid()))
        self.cofferdam.start()
        self.assertEqual(self.entry("start")["result"], "ok")
        pid = self.do("teardown", "--yes")
        self.assert_by(self.entry("teardown"), pid, "teardown --config")
        wait_until(lambda: not self.cofferdam.process.alive, 10, "the daemon to end")
        pid = self.do("teardown", "--yes")
        entry = self.entry("teardown")
        self.assert_by(entry, pid, "teardown --config")
        self.assertEqual(entry["program"], "cofferdam")


    def test_a_lockdown_without_the_daemon(self):
        web = self.run_container("web", "web")
        self.cofferdam.settle()
        self.cofferdam.stop(signal.SIGKILL)
        pid = self.do("lockdown", "web", "--reason", "nobody was there", "--json")
        self.assertIn("without_daemon", json.loads(self.said[0]))
        entry = self.entry("lockdown")
        self.assert_by(entry, pid, "cofferdam lockdown")
        self.assertEqual((entry["program"], entry["result"], entry["reason"]), ("cofferdam", "ok", "nobody was there"))
        self.assertEqual([(target["name"], target["id"]) for target in entry["targets"]], [("web", web.id)])
        self.cofferdam.start()
        self.do("release", "web")
        self.assertEqual([entry["action"] for entry in self.entries()], ["start", "release"])
        self.assertEqual(self.entries()[1]["targets"][0]["id"], web.id)

    def test_with_the_powers_of_the_service(self):
        """CAP_NET_ADMIN alone, and a /proc without other users' processes (ProtectProc=invisible)."""
        self.cofferdam.restart(control_group=GROUP)
        self.start_inside('mount -t proc -o hidepid=invisible proc /proc && '
                          'exec setpriv --inh-caps=-all,+net_admin --bounding-set=-all,+net_admin "$@"')
        with open(f"/proc/{self.cofferdam.process.process.pid}/status", encoding="ascii") as file:
            self.assertRegex(file.read(), r"CapEff:\t0000000000001000\n")
        pid = self.do("lockdown", "--select", "name=nobody")
        self.assert_by(self.entry("lockdown"), pid, "cofferdam lockdown")
        self.do("release", "--all")
        self.entry("release")
        mode = os.stat(self.cofferdam.settings["control"]).st_mode
        self.assertEqual(stat.S_IMODE(mode), 0o660)
        self.assertIn("system.posix_acl_access", os.listxattr(self.cofferdam.settings["control"]))


class Hostile(Base, unittest.TestCase):
    """What strangers write, and what becomes of the file."""

    def test_texts(self):
        reason = 'x\n{"action": "release"}\r\x1b[2J\u202e"\\\u00fc\x7f'
        self.do("lockdown", "--select", "name=nobody", "--reason", reason)
        self.assertEqual(self.entry("lockdown")["reason"], reason)
        with open(self.path, "rb") as file:
            self.assertEqual([byte for byte in set(file.read()) if byte != 10 and not 32 <= byte <= 127], [])
        self.assertNotIn("\x1b", self.cofferdam.log())
        self.do("release", "--all")
        self.mark()
        name = b"\xff\n\x1b[2J{}\xe2\x80\xae"
        run(self.engine.host.enter("bash", "-c", 'exec -a "$1" "$2" lockdown --config "$3" nobody', "bash", os.fsdecode(name),
                                   COMMAND, self.cofferdam.config), check=False)
        entry = self.entry("lockdown")
        self.assertTrue(entry["command"].startswith(r"\xff\x0a\x1b[2J{}\xe2\x80\xae lockdown "), entry["command"])
        long = "y" * 100000
        run(self.engine.host.enter("bash", "-c", 'exec -a "$1" "$2" lockdown --config "$3" nobody', "bash", long,
                                   COMMAND, self.cofferdam.config), check=False)
        self.assertEqual(self.entry("lockdown")["command"], "y" * 500)

    def test_it_is_moved_away(self):
        self.do("apply")
        self.entry("apply")
        moved = self.path + ".1"
        os.rename(self.path, moved)
        self.addCleanup(os.remove, moved)
        self.since = 0
        self.do("apply")
        self.entry("apply")
        self.assertEqual(self.all_entries(moved)[-1]["action"], "apply")
        self.assertEqual(stat.S_IMODE(os.stat(self.path).st_mode), 0o600)
        with open(self.path, "a", encoding="ascii") as file:
            file.write("torn off")
        self.do("apply")
        with open(self.path, encoding="ascii") as file:
            lines = file.read().splitlines()
        self.assertEqual(lines[-2], "torn off")
        self.assertEqual(json.loads(lines[-1])["action"], "apply")
        os.remove(self.path)

    def test_it_is_append_only(self):
        if run(["chattr", "+a", self.path], check=False).returncode != 0:
            self.skipTest("this file system knows no append-only files")
        self.addCleanup(run, ["chattr", "-a", self.path])
        with self.assertRaises(PermissionError):
            with open(self.path, "w", encoding="ascii"):
                pass
        self.do("apply")
        self.entry("apply")
        self.cofferdam.restart()
        self.assertEqual([entry["action"] for entry in self.entries()], ["stop", "start"])

    def test_others_may_write_it(self):
        self.do("apply")
        self.entry("apply")
        os.chmod(self.path, 0o622)
        self.do("apply")
        self.assertIn("not on record", self.said[1])
        self.assertEqual(self.entries(), [])
        os.chmod(self.path, 0o600)
        self.do("apply")
        self.assertEqual([entry["action"] for entry in self.entries()], ["apply", "apply"])


class Full(Base, unittest.TestCase):
    """What cannot be written is done, said, and written later."""

    def setUp(self):
        super().setUp()
        self.small = self.engine.path("small")
        os.makedirs(self.small, exist_ok=True)
        run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", self.small])
        self.addCleanup(run, ["umount", "-l", self.small], check=False)
        self.path = os.path.join(self.small, "audit.log")
        self.mark()
        self.cofferdam.restart(audit=self.path)
        self.addCleanup(self.cofferdam.restart)
        self.run_container("web", "web")
        self.cofferdam.settle()
        self.entry("start")
        self.said_before = self.cofferdam.log().count("cannot be written")

    def assert_not_on_record(self, why):
        self.do("lockdown", "web", "--json")
        report = json.loads(self.said[0])
        schemas.check("lockdown", report)
        self.assertTrue(report["verified"] and report["saved"])
        self.assertIn(why, report["not_on_record"])
        self.assertIn("1 entry is not in the audit log", report["not_on_record"])
        self.do("release", "web")
        self.assertIn("warning: it is done, but not on record: 2 entries are not", self.said[1])
        self.do("lockdown", "nobody", status=1)
        self.do("apply")
        status = self.cofferdam.json("status")
        self.assertIn(why, status["daemon"]["audit_error"])
        self.assertIn(status["daemon"]["audit_error"], status["problems"])
        self.assertEqual(self.cofferdam.log().count("cannot be written"), self.said_before + 1)

    def assert_made_up_for(self):
        self.do("apply", "--comment", "later")
        self.assertNotIn("not on record", self.said[1])
        self.assertEqual([entry["action"] for entry in self.entries()], ["lockdown", "release", "lockdown", "apply", "apply"])
        self.assertIsNone(self.cofferdam.json("status")["daemon"]["audit_error"])
        self.assertIn("can be written again", self.cofferdam.log())

    def test_the_disk_is_full(self):
        filler = os.path.join(self.small, "filler")
        with open(filler, "wb", buffering=0) as file, self.assertRaises(OSError):
            while True:
                file.write(b"x" * 4096)
        with open(self.path, "rb+") as file:  # to the end of its last page but for half a line
            file.seek(0, os.SEEK_END)
            size = file.tell()
            file.write(b"\n" * (-size % 4096 - 100))
        self.assert_not_on_record("No space left on device")
        with open(self.path, encoding="ascii") as file:
            self.assertEqual(len(file.read()) % 4096, 0)  # a line was begun
        os.remove(filler)
        self.do("apply", "--comment", "later")
        with open(self.path, encoding="ascii") as file:
            lines = [line for line in file.read().splitlines() if line]
        torn = [line for line in lines if not line.endswith("}")]
        self.assertEqual(len(torn), 1)
        actions = [json.loads(line)["action"] for line in lines if line not in torn]
        self.assertEqual(actions[self.since:], ["lockdown", "release", "lockdown", "apply", "apply"])
        self.assertIsNone(self.cofferdam.json("status")["daemon"]["audit_error"])

    def test_it_is_read_only(self):
        # the daemon has it open for writing, so it has to be moved away first
        os.rename(self.path, self.path + ".1")
        self.since = 0
        run(["mount", "--bind", self.small, self.small])
        self.addCleanup(run, ["umount", "-l", self.small], check=False)
        run(["mount", "-o", "remount,ro,bind", self.small])
        self.assert_not_on_record("Read-only file system")
        run(["umount", self.small])
        self.assert_made_up_for()


    def test_more_than_can_wait(self):
        os.rename(self.path, self.path + ".1")
        os.mkfifo(self.path, 0o600)  # which is none
        self.since = 0
        requests = '{"verb": "confirm"}\n' * 1010
        answers = run(["/usr/bin/python3", "-c", CLIENT, self.cofferdam.settings["control"]], stdin=requests).stdout
        self.assertEqual(answers.count("no policies are on trial"), 1010)
        self.assertIn("1010 entries are not in the audit log", self.cofferdam.json("status")["daemon"]["audit_error"])
        os.remove(self.path)
        run(["mount", "-o", "remount,size=8m", self.small])
        self.do("apply")
        entries = self.entries()
        self.assertEqual([entry["action"] for entry in entries], ["confirm"] * 1000 + ["apply", "lost"])
        self.assertEqual(entries[-1]["missing"], 10)
        self.assertIsNone(self.cofferdam.json("status")["daemon"]["audit_error"])


class Order(Base, unittest.TestCase):
    @unittest.skipUnless(shutil.which("strace"), "strace")
    def test_it_is_on_the_disk_before_the_answer(self):
        trace = self.engine.path("trace")
        tracer = subprocess.Popen(["strace", "-f", "-y", "-s", "64", "-e", "trace=write,fsync,sendto,sendmsg", "-o", trace, "-p",
                                   str(self.cofferdam.process.process.pid)], stderr=subprocess.PIPE, text=True)
        self.addCleanup(tracer.stderr.close)
        self.assertIn("attached", tracer.stderr.readline())
        self.do("apply")
        self.do("lockdown", "nobody", status=1)
        tracer.send_signal(signal.SIGINT)
        tracer.wait(10)
        with open(trace, encoding="utf-8") as file:
            calls = file.read().splitlines()
        what = []
        for call in calls:
            if f"<{self.path}>" in call:
                what.append("line" if "write(" in call else "disk")
            elif '"{\\"ok\\"' in call:
                what.append("answer")
        self.assertEqual(what, ["line", "disk", "answer"] * 2, "\n".join(calls))


class Rights(Base, unittest.TestCase):
    """Who may ask for what."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.gid = grp.getgrnam(GROUP).gr_gid

    def as_user(self, command, group, stdin=""):
        return run(["setpriv", f"--reuid={USER}", f"--regid={NO_GROUP}", f"--groups={group}", *command], check=False,
                   stdin=stdin)

    def ask(self, requests, group):
        """Answers to raw requests; a number where the socket cannot be opened."""
        lines = "".join((request if isinstance(request, str) else json.dumps(request)) + "\n" for request in requests)
        output = self.as_user(["/usr/bin/python3", "-c", CLIENT, self.cofferdam.settings["control"]], group, lines).stdout
        return [json.loads(line) for line in output.splitlines()]

    def member_reads(self):
        answers = self.ask([{"verb": "status"}, {"verb": "lockdown-list"}, {"verb": "history"}, {"verb": "verify"},
                            {"verb": "lockdown", "select": ["name=x"], "dry_run": True}], self.gid)
        self.assertEqual([answer["ok"] for answer in answers], [True] * 5, answers)
        self.assertEqual(self.entries(), [])

    CHANGES = [{"verb": "apply"}, {"verb": "confirm"}, {"verb": "rollback"}, {"verb": "release", "all": True},
               {"verb": "lockdown", "select": ["all"], "reason": "mine"}, {"verb": "lockdown", "dry_run": "yes"}, {"verb": "teardown"}]

    def test_members_read(self):
        self.cofferdam.restart(control_group=GROUP)
        self.addCleanup(self.cofferdam.restart)
        self.mark()
        self.assertEqual(stat.S_IMODE(os.stat(self.cofferdam.settings["control"]).st_mode), 0o660)
        self.member_reads()
        answers = self.ask(self.CHANGES, self.gid)
        self.assertEqual([(answer["ok"], answer["exit"]) for answer in answers], [(False, 1)] * len(self.CHANGES), answers)
        self.assertEqual(answers[0]["error"], f"user {USER} may read here, and change nothing: apply is refused")
        self.assertIn("control_group_may", answers[0]["help"])
        entries = self.entries()
        self.assertEqual([entry["action"] for entry in entries], [request["verb"] for request in self.CHANGES])
        self.assertEqual(self.cofferdam.json("lockdown", "--list")["lockdowns"], [])
        for entry in entries:
            self.assertEqual((entry["result"], entry["uid"], entry["user"]), ("refused", USER, None))
            self.assertIn("python3 -c", entry["command"])
        self.assertEqual((entries[4]["reason"], entries[4]["request"]), ("mine", {"select": ["all"]}))

    def test_nobody_else_gets_in(self):
        for settings in ({}, {"control_group": GROUP}, {"control_group": "no-such-group"}):
            self.cofferdam.restart(**settings)
            self.mark()
            self.assertEqual(self.ask([{"verb": "status"}], NO_GROUP), [13])
            if settings.get("control_group") != GROUP:
                self.assertEqual(self.ask([{"verb": "status"}], self.gid), [13])
                self.assertEqual(stat.S_IMODE(os.stat(self.cofferdam.settings["control"]).st_mode), 0o600)
        self.addCleanup(self.cofferdam.restart)
        self.assertIn("there is no group 'no-such-group': only root may use the control socket", self.cofferdam.log())
        # Even where somebody has opened the socket to all.
        self.cofferdam.restart(control_group=GROUP, control_group_may="change")
        self.mark()
        os.chmod(self.cofferdam.settings["control"], 0o666)
        for request in ({"verb": "status"}, {"verb": "apply"}):
            self.assertEqual(self.ask([request], NO_GROUP)[0]["ok"], False)
            entry = self.entry(request["verb"])
            self.assertEqual((entry["result"], entry["uid"]), ("refused", USER))
        self.assertTrue(self.ask([{"verb": "status"}], self.gid)[0]["ok"])

    def test_members_change(self):
        self.cofferdam.restart(control_group=GROUP, control_group_may="change")
        self.addCleanup(self.cofferdam.restart)
        self.mark()
        self.member_reads()
        self.assertTrue(self.ask([{"verb": "lockdown", "select": ["name=x"], "reason": "mine"}], self.gid)[0]["ok"])
        entry = self.entry("lockdown")
        self.assertEqual((entry["result"], entry["uid"], entry["reason"]), ("ok", USER, "mine"))
        self.assertRegex(self.cofferdam.json("lockdown", "--list")["lockdowns"][0]["by"], rf"^user {USER}, process \d+ \(")
        self.assertTrue(self.ask([{"verb": "release", "all": True}], self.gid)[0]["ok"])
        self.entry("release")

    def test_refusals_do_not_fill_the_disk(self):
        self.cofferdam.restart(control_group=GROUP)
        self.addCleanup(self.cofferdam.restart)
        self.mark()
        answers = self.ask(["hello", "[]", '{"verb": 1}', '{"verb": "nonsense"}', *[{"verb": "teardown"}] * 300], self.gid)
        self.assertEqual([answer["ok"] for answer in answers], [False] * 304)
        self.assertEqual(self.ask([{"verb": "status"}], self.gid)[0]["ok"], True)
        entries = self.entries()
        self.assertEqual([entry["action"] for entry in entries], ["malformed"] * 3 + ["unknown"] + ["teardown"] * 16)
        self.mark()
        # Root's attempts, and changes, are on record all the same.
        self.do("apply")
        self.entry("apply")
        self.cofferdam.stop()
        many, stop = self.entries()
        self.assertEqual((many["action"], many["result"], many["uid"], many["missing"]), ("many", "refused", USER, 284))
        self.assertEqual(stop["action"], "stop")
        self.cofferdam.start()

    def test_root_gets_in_beside_many(self):
        self.cofferdam.restart(control_group=GROUP)
        self.addCleanup(self.cofferdam.restart)
        holder = subprocess.Popen(["setpriv", f"--reuid={USER}", f"--regid={self.gid}", "--clear-groups", "/usr/bin/python3", "-c",
                                   "import socket, sys, time\nheld = []\nfor _ in range(60):\n"
                                   "    held.append(socket.socket(socket.AF_UNIX))\n    held[-1].connect(sys.argv[1])\n"
                                   "print('held', flush=True)\ntime.sleep(60)", self.cofferdam.settings["control"]],
                                  stdout=subprocess.PIPE, text=True)
        self.addCleanup(holder.stdout.close)
        self.addCleanup(holder.wait)
        self.addCleanup(holder.kill)
        self.assertEqual(holder.stdout.readline(), "held\n")
        begun = time.monotonic()
        self.assertEqual(self.cofferdam("lockdown", "--list").returncode, 0)
        self.assertLess(time.monotonic() - begun, 3)  # the others are dropped after 5

    def test_what_the_command_says(self):
        self.cofferdam.restart(control_group=GROUP)
        self.addCleanup(self.cofferdam.restart)
        control = ["--control", self.cofferdam.settings["control"]]
        result = self.as_user([self.command, "status", *control], self.gid)
        self.assertEqual(result.returncode, 0, result.stderr)
        result = self.as_user([self.command, "apply", *control], self.gid)
        self.assertEqual(result.returncode, 1)
        self.assertIn("may read here, and change nothing: apply is refused\n  run it as root", result.stderr)
        result = self.as_user([self.command, "status", *control], NO_GROUP)
        self.assertEqual(result.returncode, 1)
        self.assertIn("permission denied\n  the daemon answers root, and the group that control_group names", result.stderr)


class Journal(Base, unittest.TestCase):
    """A socket in the journal's place, which only the daemon sees."""

    def setUp(self):
        super().setUp()
        self.open_journal()

    def open_journal(self):
        self.folder = self.engine.path("journal")
        os.makedirs(self.folder)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(self.socket.close)
        self.socket.bind(os.path.join(self.folder, "socket"))
        self.messages = []
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self):
        while True:
            try:
                self.messages.append(self.socket.recv(1 << 20))
            except OSError:
                return

    def start(self):
        """Its stderr is what the journal would have made for it."""
        self.start_inside('mount -t tmpfs none /run && mkdir -p /run/systemd/journal && '
                          'mount --bind "$1" /run/systemd/journal && export JOURNAL_STREAM=$(stat -L -c %d:%i /dev/stderr) && '
                          'shift && exec "$@"', self.folder)

    def entries_of(self, action):
        found = []
        for message in list(self.messages):
            fields = dict(re.findall(rb"^([A-Z_]+)=(.*)$", message, re.MULTILINE))
            if fields.get(b"COFFERDAM_ACTION") == action.encode():
                found.append({key.decode(): value.decode() for key, value in fields.items()})
        return found

    def test_fields(self):
        web = self.run_container("web", "web")
        self.start()
        self.do("lockdown", "web", "--reason", "it looks odd")
        self.do("release", "web")
        wait_until(lambda: self.entries_of("release"), 5, "the journal to have it")
        fields = self.entries_of("lockdown")
        self.assertEqual(len(fields), 1)
        fields = fields[0]
        with open(os.path.join(os.path.dirname(__file__), "..", "..", "packaging", "cofferdam.catalog"), encoding="utf-8") as file:
            catalog = re.findall(r"^-- ([0-9a-f]{32})$", file.read(), re.MULTILINE)
        self.assertIn(fields["MESSAGE_ID"], catalog)
        self.assertEqual((fields["COFFERDAM_UID"], fields["COFFERDAM_USER"], fields["COFFERDAM_REASON"], fields["PRIORITY"]),
                         ("0", "root", "it looks odd", "5"))
        self.assertEqual((fields["COFFERDAM_TARGET"], fields["COFFERDAM_TARGET_ID"]), ("web", web.id))
        self.assertRegex(fields["MESSAGE"], r"^lockdown of web by root, process \d+ \(.*\): done.*; reason: it looks odd$")
        # Nobody tells it twice.
        told = [m for m in self.messages if b"it looks odd" in m]
        self.assertEqual(len(told), 1, told)


if __name__ == "__main__":
    unittest.main()

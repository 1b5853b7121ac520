#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""`cofferdam plan` changes nothing: everything that it could touch is as before, and no system call of it, or of the
daemon while it answers, could have changed anything."""

import json
import os
import re
import socket
import struct
import time
import unittest

from author import Author
from cofferdam import COMMAND, without_metered
from machine import wait_until
from pairs import open_in
from playground import OPEN, ROLES, SERVED, Playground

OTHER = ROLES.replace("5432/tcp", "80/tcp")
FAMILIES = {"ipv4": socket.AF_INET, "ipv6": socket.AF_INET6}

# What opens, or does more than read.
WRITING = re.compile(r"O_WRONLY|O_RDWR|O_CREAT|O_TRUNC|O_APPEND|O_TMPFILE")
OPENS = {"open", "openat", "openat2", "creat"}
FORBIDDEN = set("""
    unlink unlinkat rename renameat renameat2 link linkat symlink symlinkat mkdir mkdirat rmdir mknod mknodat
    truncate ftruncate fallocate chmod fchmod fchmodat fchmodat2 chown fchown lchown fchownat utime utimes utimensat
    futimesat setxattr lsetxattr fsetxattr removexattr mount umount2 move_mount pivot_root chroot setns unshare bpf
    init_module finit_module delete_module kill tkill ptrace reboot sethostname settimeofday clock_settime swapon
    fork vfork clone clone3 execve copy_file_range splice tee io_uring_setup io_uring_enter
""".split())
WRITES = {"write", "writev", "pwrite64", "pwritev", "pwritev2", "sendfile", "send", "sendto", "sendmsg", "sendmmsg"}

# linux/netfilter/nfnetlink.h, nf_tables.h, nfnetlink_conntrack.h
BATCH_BEGIN, BATCH_END = 0x10, 0x11
CTNETLINK, NFTABLES = 1, 10
NFT_GETS = {1, 4, 7, 10, 13, 16, 19, 23}  # those that reset counters are others
CT_GET = 1
RTM_BASE, RTM_GET = 16, 2  # of each four types the third


def messages(data):
    """(type, flags) of each netlink message."""
    found = []
    while len(data) >= 16:
        length, kind, flags = struct.unpack_from("=IHH", data)
        found.append((kind, flags))
        if length < 16:
            break
        data = data[(length + 3) & ~3:]
    return found


class Call:
    """One system call of a trace, and what it wrote."""

    def __init__(self, line):
        self.line = line
        match = re.match(r"(?:\d+ +)?(\w+)\((.*)", line)
        self.name, self.arguments = match.groups() if match else ("", "")
        self.data = b""


def parse_trace(text):
    calls = []
    for line in text.splitlines():
        dump = re.match(r" \| [0-9a-f]{5,}  ((?:[0-9a-f]{2} +){1,16})", line)
        if dump and calls:
            calls[-1].data += bytes.fromhex(dump[1].replace(" ", ""))
        elif re.match(r"(?:\d+ +)?\w+\(", line):
            calls.append(Call(line))
    return calls


class Harmless(Playground, unittest.TestCase):
    POLICIES = ROLES

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        create = cls.engine.create
        cls.web, cls.db = (create(role, ["front"], labels={"role": role}, command=["probe", "serve", *SERVED]).start()
                           for role in ("web", "db"))
        cls.engine.create("stopped", ["back"], labels={"role": "web"})
        cls.cofferdam.settle()
        cls.connections = []
        cls.addClassCleanup(lambda: [connection.close() for connection in cls.connections])
        for family, kind in FAMILIES.items():
            connection = open_in(cls.web, kind, socket.SOCK_STREAM)
            cls.connections.append(connection)
            connection.settimeout(5)
            connection.connect((cls.db.address(family), 5432))
        folder = cls.engine.path("planned")
        os.makedirs(folder)
        cls.sets = {}
        for name, text in {"same": ROLES, "other": OTHER, "open": OPEN, "none": "policy: none\nselect: {name: nobody}\n",
                           "mistaken": "policy: x\nselect: {nmae: x}\n",
                           "failing": ROLES + "---\nexpect: x\nallowed:\n  - {from: {name: db}, to: {name: web}}\n"}.items():
            cls.sets[name] = os.path.join(folder, name + ".yaml")
            with open(cls.sets[name], "w", encoding="utf-8") as file:
                file.write(text)

    # What there is

    def files(self):
        """Everything that is kept in files: what they hold, and when they were changed."""
        found = {}
        for top in (self.engine.path("state"), self.cofferdam.policies, self.engine.path("planned"), self.cofferdam.config):
            here = [(os.path.dirname(top), [], [os.path.basename(top)])]
            for folder, folders, names in os.walk(top) if os.path.isdir(top) else here:
                for name in folders + names:
                    path = os.path.join(folder, name)
                    status = os.lstat(path)
                    text = b""
                    if os.path.isfile(path):
                        with open(path, "rb") as file:
                            text = file.read()
                    if name == "inventory.json":  # written again when the host is found to have got another address
                        inventory = json.loads(text)["inventory"]
                        found[path] = inventory["containers"], inventory["networks"]
                        continue
                    found[path] = (status.st_ino, status.st_mode, status.st_uid, status.st_mtime_ns, status.st_ctime_ns, text)
        return found

    def tables(self):
        """Every table of the kernel with all handles; counters are there, but go on by themselves."""
        listing = without_metered(self.engine.host.run("nft", "-a", "list", "ruleset").stdout)
        self.assertIn("counter packets", listing)
        return re.sub(r"counter packets \d+ bytes \d+", "counter packets N", listing)

    def counted(self):
        """What the counters of our rules have counted."""
        return [int(number) for number in re.findall(r"counter packets (\d+) bytes", self.cofferdam.ruleset())]

    def tracked(self):
        """The established connections that the kernel tracks, with their identities."""
        lines = [line for family in FAMILIES
                 for line in self.engine.host.run("conntrack", "-L", "-f", family, "-o", "id").stdout.splitlines()
                 if "ESTABLISHED" in line]
        return {re.sub(r"^(\S+ +\d+) \d+", r"\1", line) for line in lines}

    def sysctls(self):
        command = "cd /proc/sys && for file in $(find net -type f -perm -u=r); do echo \"$file $(cat $file 2>&1)\"; done"
        lines = self.engine.host.run("sh", "-c", command).stdout.splitlines()
        return [line for line in lines if not line.startswith("net/netfilter/nf_conntrack_count ")]

    def everything(self):
        api, ip = self.engine.api, lambda *words: self.engine.host.run("ip", *words).stdout
        containers = [api("GET", f"/containers/{entry['Id']}/json") for entry in api("GET", "/containers/json?all=1")]
        return {
            "tables": self.tables(), "generation": self.cofferdam.json("verify")["generation"], "tracked": self.tracked(),
            "files": self.files(), "sysctls": self.sysctls(),
            "containers": {container["Id"]: container for container in containers},
            "networks": {network["Id"]: network for network in api("GET", "/networks")},
            "links": re.sub(r" +\d+\.\d+ ", " TIMER ", ip("-d", "link")), "addresses": ip("address"),
            "routes": ip("route", "show", "table", "all"), "bridges": self.engine.bridge_switches(),
            "log": re.sub(r"debug: .*\n", "", self.cofferdam.log()), "status": self.cofferdam.json("status")["policies"],
        }

    def plan_everything(self):
        for path in self.sets.values():
            for options in ((), ("--rules", "--full"), ("--json",)):
                self.cofferdam("plan", "--policies", path, *options)
        self.cofferdam("plan")

    def await_written(self):
        """The daemon writes down who there is a moment after that has changed."""
        path = self.engine.path("state", "inventory.json")
        time.sleep(1.5)
        wait_until(lambda: os.path.exists(path) and time.time() - os.stat(path).st_mtime > 2, 20, "the containers to be written down")

    def test_nothing_is_another_after_it(self):
        self.await_written()
        before, counted = self.everything(), self.counted()
        self.assertEqual(len(before["tracked"]), 2)
        for _ in range(3):
            self.plan_everything()
        after = self.everything()
        for key, value in before.items():
            self.assertEqual(value, after[key], key)
        self.assertTrue(all(was <= now for was, now in zip(counted, self.counted())))
        for connection in self.connections:
            connection.send(b"?\n")
            self.assertTrue(connection.recv(100))

    # What is called

    def trace_of_daemon(self, *command):
        """The calls of the daemon while it answers to a command, and what that printed."""
        output = self.engine.path("daemon.trace")
        strace = self.engine.spawn("strace", ["strace", "-f", "-yy", "-s", "64", "-e", "write=all", "-o", output,
                                              "-p", str(self.cofferdam.process.process.pid)])
        wait_until(lambda: "attached" in strace.output(), 5, "strace to attach")
        try:
            result = self.cofferdam(*command)
            time.sleep(0.3)
        finally:
            strace.stop()
        with open(output, encoding="utf-8", errors="replace") as file:
            calls = parse_trace(file.read())
        os.unlink(output)
        os.unlink(strace.log)
        return calls, result

    def assert_reads_only(self, calls, may_write):
        """may_write: what a descriptor that is written to may be, but for netlink sockets, whose messages are looked at."""
        for call in calls:
            self.assertNotIn(call.name, FORBIDDEN, call.line)
            if call.name in OPENS:
                self.assertNotRegex(call.arguments, WRITING, call.line)
            if call.name in WRITES and "NETLINK" not in call.arguments.split(",")[0]:
                self.assertRegex(call.arguments.split(",")[0], may_write, call.line)
            if call.name == "ioctl":
                self.assertNotRegex(call.arguments, r"SIOCS|FS_IOC_SET|FICLONE", call.line)

    def batches(self, calls):
        """All that was sent to netlink must ask only, or be a batch without an end. Returns the batches: the types of each
        one's messages."""
        found = []
        for call in calls:
            descriptor = call.arguments.split(", ")[0]
            if call.name not in WRITES or "NETLINK" not in descriptor:
                continue
            self.assertTrue(call.data, call.line)
            kinds = [kind for kind, _ in messages(call.data)]
            self.assertNotIn(BATCH_END, kinds, call.line)
            if kinds[0] == BATCH_BEGIN:
                found.append(kinds[1:])
                continue
            for kind in kinds:
                self.assertTrue(self.asks(kind), f"{kind:#x}: {call.line}")
        return found

    @staticmethod
    def asks(kind):
        """Types of rtnetlink have no subsystem."""
        if kind >> 8 == 0:
            return kind >= RTM_BASE and (kind - RTM_BASE) % 4 == RTM_GET
        return (kind >> 8 == NFTABLES and kind & 255 in NFT_GETS) or (kind >> 8 == CTNETLINK and kind & 255 == CT_GET)

    def test_the_daemon_only_reads(self):
        for name, status in {"same": 0, "other": 2, "open": 2, "none": 2, "failing": 1}.items():
            with self.subTest(policies=name):
                calls, result = self.trace_of_daemon("plan", "--policies", self.sets[name], "--json")
                self.assertEqual(result.returncode, status, result.stdout + result.stderr)
                self.assertIn("recvmsg", {call.name for call in calls})
                self.assert_reads_only(calls, r"UNIX|timerfd|eventfd|^2<")  # 2: its log
                batches = self.batches(calls)
                if name in ("same", "failing"):  # there is nothing to validate
                    self.assertEqual(batches, [])
                else:
                    self.assertTrue(batches and all(batches))
                    self.assertEqual({kind >> 8 for kinds in batches for kind in kinds}, {NFTABLES})

    def assert_looks_around_only(self, calls):
        """The command enters containers' networks by itself, to ask the kernel there what listens, and for nothing else."""
        for call in calls:
            if call.name == "setns":
                self.assertIn("CLONE_NEWNET", call.arguments)
            if call.name in WRITES and "NETLINK" in call.arguments.split(",")[0]:
                self.assertRegex(call.line, "nlmsg_type=(0x14|SOCK_DIAG_BY_FAMILY)")

    def test_the_command_only_reads(self):
        output = self.engine.path("command.trace")
        for name in self.sets:
            with self.subTest(policies=name):
                self.engine.host.run("strace", "-f", "-yy", "-o", output, COMMAND, "plan", "--config", self.cofferdam.config,
                                     "--policies", self.sets[name], check=False)
                with open(output, encoding="utf-8", errors="replace") as file:
                    calls = parse_trace(file.read())
                self.assertIn(self.sets[name], "".join(call.line for call in calls if call.name == "openat"))
                self.assertEqual(calls[0].name, "execve")
                self.assert_looks_around_only(calls[1:])
                self.assert_reads_only([call for call in calls[1:] if call.name != "setns"], r"UNIX|^[12]<")

    def test_the_witness_sees_what_apply_does(self):
        """Or it would prove nothing."""
        calls, _ = self.trace_of_daemon("plan", "--policies", self.sets["other"])
        self.cofferdam.write(OTHER)
        self.addCleanup(self.cofferdam.apply, ROLES)
        applied, result = self.trace_of_daemon("apply")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn(BATCH_END, {kind for batch in self.sent(applied) for kind in batch})
        names = {call.name for call in applied}
        self.assertTrue(names & FORBIDDEN and names & OPENS)
        # what apply sends is what the plan had validated
        self.assertEqual(self.validated(calls), self.validated(applied))

    @staticmethod
    def sent(calls):
        """The types of the messages of each call that writes to a netlink socket."""
        return [[kind for kind, _ in messages(call.data)] for call in calls
                if call.name in WRITES and "NETLINK" in call.arguments]

    def validated(self, calls):
        """The types of all messages in batches, sorted."""
        return sorted(kind for batch in self.sent(calls) if batch and batch[0] == BATCH_BEGIN for kind in batch[1:]
                      if kind != BATCH_END)


if __name__ == "__main__":
    unittest.main()

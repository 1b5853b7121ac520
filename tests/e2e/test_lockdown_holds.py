#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A lockdown holds: through other policies, however they come; through a boot of the host; on a disk that is full or cannot
be written; with one of the two files of its list damaged. And when it ends, exactly the policies apply again."""

import os
import re
import signal
import subprocess
import time
import unittest
import unittest.mock

import cofferdam
from machine import run, wait_until
from playground import NOTHING, OPEN, ROLES, Question
from test_lockdown import Base

# As the one that it starts sees it, the host has been booted.
BOOTED = """#!/bin/sh
exec unshare --mount sh -c 'mount --bind "$0" /proc/sys/kernel/random/boot_id && exec {daemon} "$@"' {file} "$@"
"""


class Holds(Base):
    """Mixed into a TestCase."""

    def state(self, name=""):
        return os.path.join(self.cofferdam.settings["state"], name)

    def kill(self):
        self.cofferdam.stop(signal.SIGKILL)

    def content(self, name):
        with open(self.state(name), "rb") as file:
            return file.read()

    def damage(self, name):
        with open(self.state(name), "r+b") as file:
            file.seek(40)
            file.write(b"\0")


class Policies(Holds, unittest.TestCase):
    POLICIES = ROLES

    def assert_policies(self, web, db):
        """Exactly them."""
        self.assertEqual(self.tables(), self.before)
        self.assert_passes(web, db)
        self.assert_dropped(db, web)
        self.assert_dropped(web, db, "80/tcp")
        self.assert_passes(self.engine.host, web, "80/tcp")
        self.assertEqual(self.cofferdam("verify").returncode, 0)

    def assert_locked(self, web, db):
        self.assert_results("timeout", [
            Question(source, target, port, family) for family in ("ipv4", "ipv6") for source, target, port in (
                (web, db, "5432/tcp"), (db, web, "5432/tcp"), (self.engine.host, web, "80/tcp"), (web, db, "53/udp"))])

    def trial(self, policies, span):
        self.cofferdam.write(policies)
        self.assertEqual(self.cofferdam("apply", "--confirm-within", span).returncode, 0)

    def on_trial(self):
        return self.cofferdam.json("status")["daemon"]["trial"] is not None

    def test_whatever_becomes_of_the_policies(self):
        web, db = self.run_containers(web="web", db="db")
        self.cofferdam.settle()
        self.before = self.tables()
        self.lock("web")
        self.assert_locked(web, db)
        self.cofferdam.apply(OPEN)
        self.assert_locked(web, db)
        self.assertEqual(self.cofferdam("rollback").returncode, 0)
        self.assert_locked(web, db)
        for policies in (OPEN, NOTHING):
            self.trial(policies, "5s")
            self.assert_locked(web, db)
            wait_until(lambda: not self.on_trial(), 10, "the trial to expire")
            self.assert_locked(web, db)
        self.trial(OPEN, "1m")
        self.assertEqual(self.cofferdam("rollback").returncode, 0)
        self.assert_locked(web, db)
        self.trial(OPEN, "1m")
        self.kill()
        self.assert_locked(web, db)
        self.cofferdam.start()
        self.assert_locked(web, db)
        self.assertEqual(self.cofferdam("confirm").returncode, 0)
        self.assert_locked(web, db)
        self.cofferdam.apply(OPEN.replace("[{}]", "[{from: [host]}]", 1))  # another rule about the host, and its chains
        self.assert_locked(web, db)
        self.cofferdam.apply(ROLES)
        self.release("web")
        self.assert_policies(web, db)

    def test_exactly_the_policies_when_its_time_is_over(self):
        web, db = self.run_containers(web="web", db="db")
        self.cofferdam.settle()
        self.before = self.tables()
        for arguments in ((), ("--direction", "in"), ("--direction", "out", "--allow", "host"), ("--allow", "db:5432/tcp")):
            self.lock("web", "--for", "1s", *arguments)
            self.assertNotEqual(self.tables(), self.before)
            wait_until(lambda: self.listed() == [], 10, "the end of the lockdown")
            wait_until(lambda: self.tables() == self.before, 5, f"the policies' rules after {arguments}")
            for container in (web, db):
                run(container.enter("ip", "neigh", "flush", "all"))
            self.assert_policies(web, db)


class Boots(Holds, unittest.TestCase):
    """The machine boots: no tables, no bridges, no containers, another boot ID."""

    def _shut_down(self):
        self.kill()
        self.engine.kill_dockerd(containers=True)
        for line in self.engine.tables():
            if line.split()[2] == "cofferdam":
                self.engine.host.run("nft", "delete", *line.split())
        for bridge in self.engine.bridge_switches():
            self.engine.host.run("ip", "link", "delete", bridge)
        for veth in re.findall(r"^\d+: (veth\w+)@", self.engine.host.run("ip", "-o", "link").stdout, re.MULTILINE):
            self.engine.host.run("ip", "link", "delete", veth)
        self.engine.forget_connections()

    def _boot(self):
        """The daemon first, as it is ordered before the Engine."""
        file, script = self.engine.path("boot_id"), self.engine.path("booted")
        with open(file, "w", encoding="ascii") as boot_id:
            boot_id.write("01234567-89ab-cdef-0123-456789abcdef\n")
        with open(script, "w", encoding="utf-8") as text:
            text.write(BOOTED.format(daemon=cofferdam.DAEMON, file=file))
        os.chmod(script, 0o755)
        with unittest.mock.patch.object(cofferdam, "DAEMON", script), \
                unittest.mock.patch.object(self.cofferdam, "settle", lambda seconds: None):
            self.cofferdam.start()
        wait_until(lambda: "cofferdam" in "".join(self.engine.tables()), 10, "rules to stand before the Engine does")
        self.engine.start_dockerd()
        self.cofferdam.settle(20)

    def test_through_a_boot(self):
        always = {"RestartPolicy": {"Name": "always"}}
        web, db = (self.run_container(name, name, **always) for name in ("web", "db"))
        late = self.run_container("late", "late", **always)
        self.lock("web", "--reason", "it looks odd")
        self.lock("late", "--for", "20s")
        began = time.monotonic()
        self._shut_down()
        self._boot()
        wait_until(lambda: all(container.inspect()["State"]["Running"] for container in (web, db, late)), 10, "the containers to run")
        self.cofferdam.settle(20)
        self.assertEqual(sorted(self.listed()), ["late", "web"])
        self.assert_cut_off(web, db)
        self.assert_passes(db, "198.41.0.4", "80/tcp", ("ipv4",))
        wait_until(lambda: self.listed() == ["web"], 30, "the end of the other lockdown, by the wall's clock")
        self.assertGreater(time.monotonic() - began, 18)
        self.follow(db, late)
        self.assert_cut_off(web, db)
        self.cofferdam.restart()  # in the boot before: nothing goes by its clock any more
        self.assert_cut_off(web, db)
        self.release("web")
        self.follow(db, web)


class Disks(Holds, unittest.TestCase):
    def small_disk(self):
        """For the state directory, and only while this test lasts."""
        def end():
            self.cofferdam.stop()
            run(["umount", "--lazy", self.state()])
            self.cofferdam.start()

        self.cofferdam.stop()
        run(["mount", "-t", "tmpfs", "-o", "size=64k,mode=700", "tmpfs", self.state()])
        self.cofferdam.start()
        self.addCleanup(end)

    def read_only(self):
        run(["mount", "--bind", self.state(), self.state()])
        run(["mount", "-o", "remount,ro,bind", self.state()])
        self.addCleanup(lambda: os.path.ismount(self.state()) and run(["umount", "--lazy", self.state()]))

    def assert_cut_but_not_saved(self, web, db, why):
        result = self.cofferdam("lockdown", "web")
        self.assertEqual(result.returncode, 1)
        self.assertIn("web is cut off", result.stdout)
        self.assertIn(why, result.stdout + result.stderr)
        self.assertIn("will not after a restart", result.stdout + result.stderr)
        self.assert_cut_off(web, db)
        report = self.lock("web", status=1)
        self.assertEqual((report["saved"], report["verified"]), (False, True))
        self.assertEqual(self.listed(), ["web"])

    def test_the_disk_is_full(self):
        self.small_disk()
        web, db = self.run_containers(web="web", db="db")
        self.cofferdam.settle()
        with open(self.state("filler"), "wb", buffering=0) as file:
            try:
                while True:
                    file.write(b"x" * 512)
            except OSError:
                pass
        self.assert_cut_but_not_saved(web, db, "No space left")
        os.unlink(self.state("filler"))
        self.assertTrue(self.lock("web")["saved"])
        self.kill()
        self.cofferdam.start()
        self.assert_cut_off(web, db)
        self.release("web")
        self.follow(db, web)

    def test_the_disk_is_read_only(self):
        web, db = self.run_containers(web="web", db="db")
        self.cofferdam.settle()
        self.read_only()
        self.assert_cut_but_not_saved(web, db, "Read-only")
        self.assertFalse(self.release("web", status=1)["saved"])
        self.follow(db, web)
        run(["umount", "--lazy", self.state()])
        self.lock("web")
        self.read_only()
        self.assertFalse(self.release("web", status=1)["saved"])  # and what is not forgotten on disk holds again
        self.follow(db, web)
        run(["umount", "--lazy", self.state()])
        self.kill()
        self.cofferdam.start()
        self.assert_cut_off(web, db)


class Files(Holds, unittest.TestCase):
    """The list is there twice."""

    FILES = ("lockdown.json", "lockdown.json.copy")

    def test_one_of_two_is_damaged(self):
        web, db, gone = self.run_containers(web="web", db="db", gone="gone")
        self.cofferdam.settle()
        self.lock("gone", "--reason", "it looks odd", "--allow", "db:5432/tcp")
        gone.stop()  # so that the kernel knows nothing of it
        self.lock("web")
        for harm in (lambda: self.damage(self.FILES[0]), lambda: os.unlink(self.state(self.FILES[0])),
                     lambda: os.truncate(self.state(self.FILES[0]), 0), lambda: os.chmod(self.state(self.FILES[0]), 0o666),
                     lambda: self.damage(self.FILES[1]), lambda: os.unlink(self.state(self.FILES[1]))):
            self.kill()
            harm()
            self.cofferdam.start()
            self.assertEqual(sorted(self.listed()), ["gone", "web"])
            self.assertEqual(self.content(self.FILES[0]), self.content(self.FILES[1]))  # both whole again
        self.assert_cut_off(web, db)
        gone.start()
        self.cofferdam.settle()
        self.follow(db, gone)
        self.assert_dropped(db, gone, "80/tcp")
        self.assert_dropped(gone, db)
        self.release("gone")
        self.release("web")
        self.kill()
        self.damage(self.FILES[0])
        self.cofferdam.start()
        self.assertEqual(self.listed(), [])
        self.follow(db, web)

    def test_a_copy_that_is_behind(self):
        """Killed between the two files, and then the first is damaged: what the kernel knows counts as well."""
        web, db, gone = self.run_containers(web="web", db="db", gone="gone")
        self.cofferdam.settle()
        self.lock("gone")
        gone.stop()
        behind = self.content(self.FILES[1])
        self.lock("web")
        self.kill()
        self.damage(self.FILES[0])
        with open(self.state(self.FILES[1]), "wb") as file:
            file.write(behind)
        self.cofferdam.start()
        wait_until(lambda: sorted(self.listed()) == ["gone", "web"], 5, "both to be known")
        self.assert_cut_off(web, db)
        self.assert_passes(db, "198.41.0.4", "80/tcp", ("ipv4",))
        gone.start()
        self.cofferdam.settle()
        self.assert_cut_off(gone, db)

    def test_a_copy_that_cannot_be_written(self):
        web, db = self.run_containers(web="web", db="db")
        self.cofferdam.settle()
        self.lock("db")
        os.mkdir(self.state(self.FILES[1] + ".new"))
        self.addCleanup(subprocess.run, ["rm", "-rf", self.state(self.FILES[1] + ".new")], check=False)
        self.assertTrue(self.lock("web")["saved"])
        self.assertIn("the second copy of the list of lockdowns", self.cofferdam.log())
        self.assertFalse(os.path.exists(self.state(self.FILES[1])))  # nothing older comes back
        self.kill()
        self.cofferdam.start()
        self.assertEqual(sorted(self.listed()), ["db", "web"])


if __name__ == "__main__":
    unittest.main()

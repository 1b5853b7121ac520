#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Policies on trial, and going back: what packets meet before, during and after, and over restarts and full disks."""

import json
import os
import signal
import socket
import time
import unittest

from machine import run, wait_until
from playground import NOTHING, ROLES, Playground, Talk
from test_tampering import comparable

OPS = "---\npolicy: ops\nselect: {labels: {role: ops}}\negress: [{to: [host], ports: [80/tcp]}]\n"
OLD = ROLES + OPS
NEW = ROLES.replace("5432/tcp", "80/tcp")  # cuts the operator off, too
BROKEN = "policy: [\n"


class Trial(Playground, unittest.TestCase):
    POLICIES = OLD

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        create = cls.engine.create
        serve = ["probe", "serve", "80/tcp", "5432/tcp", "53/udp"]
        cls.web, cls.db, cls.ops = (create(name, ["front"], labels={"role": name}, command=serve).start()
                                    for name in ("web", "db", "ops"))
        cls.cofferdam.settle()

    def setUp(self):
        if not self.cofferdam.process.alive:
            self.cofferdam.start()
        if self.status()["trial"]:  # of a test that failed
            self.cofferdam("rollback")
        self.cofferdam.apply(OLD)
        self.rules = self.ruleset()

    # What there is

    def status(self):
        result = self.cofferdam("status", "--json")
        self.assertEqual(result.returncode, 0, result.stdout)
        return self.cofferdam.json("status")["daemon"]

    def ruleset(self):
        """All that nft lists of ours, counters and the order of chains aside."""
        return comparable(self.cofferdam.ruleset())

    def history(self):
        return self.cofferdam.json("history")["entries"]

    def kinds(self, n):
        """Of the newest entries, newest first."""
        return [entry["kind"] for entry in self.history()[:n]]

    def in_force(self):
        return next(entry["number"] for entry in self.history() if entry["in_force"])

    def state(self, *names):
        return os.path.join(self.cofferdam.settings["state"], *names)

    def assert_old(self):
        self.assert_passes(self.web, self.db, "5432/tcp")
        self.assert_dropped(self.web, self.db, "80/tcp")
        self.assert_passes(self.ops, "10.91.0.1", "80/tcp", ["ipv4"])

    def assert_new(self):
        self.assert_passes(self.web, self.db, "80/tcp")
        self.assert_dropped(self.web, self.db, "5432/tcp")
        self.assert_dropped(self.ops, "10.91.0.1", "80/tcp", ["ipv4"])

    def assert_old_exactly(self):
        self.assertEqual(self.ruleset(), self.rules)
        self.assert_old()
        self.assertEqual(self.cofferdam("verify").returncode, 0)

    # What is done

    def command(self, *words, want=0):
        result = self.cofferdam(*words)
        self.assertEqual(result.returncode, want, result.stdout + result.stderr)
        return result.stdout if want == 0 else result.stderr

    def begin(self, span="5s", policies=NEW, *options):
        self.cofferdam.write(policies)
        text = self.command("apply", "--confirm-within", span, *options)
        self.assertIsNotNone(self.status()["trial"])
        return text

    def wait_for_the_end(self, seconds=8):
        wait_until(lambda: self.status()["trial"] is None, seconds, "the trial to end")

    def kill(self):
        self.cofferdam.stop(signal.SIGKILL)

    # A trial

    def test_it_expires(self):
        before = self.in_force()
        with Talk(self.ops, "tcp", "10.91.0.1", 80) as talk:
            self.assertTrue(talk.say())
            text = self.begin("5s", NEW, "--comment", "to be gone")
            self.assertRegex(text, r"^applied 2 policies on trial; \d+ changes in the kernel; \d+ connections? ended\n"
                                   r"They are in force until \d{4}-\d\d-\d\d \d\d:\d\d:\d\d \w+ \(5s from now\)")
            self.assertIn("a NEW connection", text)
            self.assert_new()
            talk.process.stdin.write("\n")
            talk.process.stdin.flush()
            trial = self.status()["trial"]
            self.assertEqual((trial["ending"], trial["former_number"], trial["change"]["comment"]), (False, before, "to be gone"))
            self.assertEqual(trial["change"]["who"]["uid"], 0)
            self.assertIn("apply --config", trial["change"]["who"]["command"])
            self.assertIn("The policies are on trial until", self.command("status"))
            self.assertIn("`cofferdam confirm`", self.command("apply", want=1))
            self.assertIn("on trial until", self.command("apply", "--confirm-within", "1m", want=1))
            self.assertIn("on trial until", self.command("rollback", str(before), want=1))
            self.cofferdam.process.process.send_signal(signal.SIGHUP)
            wait_until(lambda: "the policies are not read again: policies are on trial" in self.cofferdam.log(), 2, "the refusal")
            plan = self.cofferdam.json("plan")
            self.assertTrue(any("policies are on trial" in problem["message"] for problem in plan["problems"]), plan["problems"])
            self.wait_for_the_end()
            self.assert_old_exactly()
            self.assertTrue(talk.process.stdout.readline().strip(), "what was sent meanwhile arrives at last")
        self.assertEqual(self.kinds(2), ["expired", "trial"])
        self.assertEqual(self.history()[0]["from"], before)
        self.assertFalse(os.path.exists(self.state("trial.json")))
        log = self.cofferdam.log()
        self.assertIn("warning: the policies on trial, applied by root, were not confirmed in time", log)
        self.assertRegex(log, r"notice: the policies from before the trial are in force again: the kernel holds their rules \(\d+ obj")
        self.assertIn("not confirmed in time", self.command("confirm", want=1))
        self.assertIn("in force already", self.command("rollback", want=1))

    def test_what_was_gone_back_to_stays(self):
        """The files are newer, and not loaded until somebody says so."""
        self.begin()
        self.wait_for_the_end()
        for number in (signal.SIGTERM, signal.SIGKILL):
            self.cofferdam.stop(number)
            self.cofferdam.start()
            self.assert_old()
            self.assertEqual(self.status()["held"]["reason"], "expired")
            self.assertIn("are not in force until `cofferdam apply`", self.command("status"))
        self.command("apply")
        self.assert_new()
        self.assertIsNone(self.status()["held"])
        self.cofferdam.restart()
        self.assert_new()

    def test_sighup_loads_the_files_again(self):
        self.begin()
        self.command("rollback")
        self.cofferdam.process.process.send_signal(signal.SIGHUP)
        self.follow(self.web, self.db, "80/tcp")
        self.assertEqual(self.kinds(1), ["reload"])
        self.assertEqual(self.history()[0]["by"], "root")
        self.assertIsNone(self.status()["held"])

    def test_files_that_are_those_of_before_are_not_held(self):
        self.begin()
        self.command("rollback")
        self.cofferdam.write(OLD)
        self.cofferdam.restart()
        self.assertIsNone(self.status()["held"])
        self.assert_old()

    def test_it_is_confirmed(self):
        self.begin("6s")
        self.assertEqual(self.command("confirm", "--comment", "it works"), "confirmed: the policies stay in force\n")
        time.sleep(6.5)
        self.assert_new()
        self.assertIn("no policies are on trial", self.command("confirm", want=1))
        self.kill()
        self.cofferdam.start()
        self.assert_new()
        daemon = self.status()
        self.assertEqual((daemon["trial"], daemon["held"]), (None, None))
        self.assertEqual([(entry["kind"], entry["comment"], entry["in_force"]) for entry in self.history()[:2]],
                         [("confirm", "it works", True), ("trial", None, False)])

    def test_it_is_prolonged(self):
        self.begin("5s")
        self.assertRegex(self.command("confirm", "--extend", "5s"), r"^the policies stay on trial until .* from now\)\n$")
        self.assertIn("24h", self.command("confirm", "--extend", "24h", want=1))
        time.sleep(5.5)
        self.assertIsNotNone(self.status()["trial"])
        self.assert_new()
        self.kill()
        self.cofferdam.start()
        self.wait_for_the_end()
        self.assert_old_exactly()

    def test_spans(self):
        for span in ("4s", "25h", "5"):
            self.command("apply", "--confirm-within", span, want=64)
        self.assertIsNone(self.status()["trial"])

    def test_the_client_is_gone(self):
        """Nobody waits for the answer; the trial is the daemon's."""
        self.cofferdam.write(NEW)
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(self.cofferdam.settings["control"])
            client.sendall(json.dumps({"verb": "apply", "confirm_within": "5s"}).encode() + b"\n")
        self.follow(self.web, self.db, "80/tcp")
        self.wait_for_the_end()
        self.assert_old_exactly()

    def test_rolled_back_at_once(self):
        self.begin("1h")
        self.assertIn("the trial is over", self.command("rollback"))
        self.assert_old_exactly()
        self.assertEqual(self.kinds(2), ["rollback", "trial"])
        self.assertEqual(self.status()["held"]["reason"], "rollback")
        self.assertIn("in force already", self.command("rollback", want=1))

    # Over the end of a daemon

    def test_it_goes_on_after_a_restart(self):
        for number in (signal.SIGTERM, signal.SIGKILL):
            self.cofferdam.apply(OLD)
            self.rules = self.ruleset()
            self.begin("8s")
            self.cofferdam.stop(number)
            self.cofferdam.start()
            self.assertIsNotNone(self.status()["trial"])
            self.assert_new()
            self.wait_for_the_end(9)
            self.assert_old_exactly()

    def test_it_is_confirmed_after_a_restart(self):
        self.begin("1m")
        self.kill()
        self.cofferdam.start()
        self.command("confirm")
        self.cofferdam.restart()
        self.assert_new()
        self.assertIsNone(self.status()["trial"])

    def test_its_time_is_over_while_nobody_runs(self):
        self.begin("5s")
        self.kill()
        time.sleep(5.2)
        self.cofferdam.start()
        self.wait_for_the_end()
        self.assert_old_exactly()
        self.assertIn("the trial was not confirmed in time: the policies before it come back", self.cofferdam.log())

    def test_another_boot(self):
        """As far as the file says: a boot makes another of what it names."""
        self.begin("1h")
        self.kill()
        with open(self.state("trial.json"), encoding="utf-8") as file:
            document = json.load(file)
        document["boot_id"] = document["boot_id"][:-1] + ("0" if document["boot_id"][-1] != "0" else "1")
        self._write_sealed(document)
        self.cofferdam.start()
        self.wait_for_the_end(3)
        self.assert_old_exactly()
        self.assertIn("the host was booted during the trial", self.cofferdam.log())

    def _write_sealed(self, document):
        del document["checksum"]
        text = json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False)
        value = 0xcbf29ce484222325
        for byte in text.encode():
            value = (value ^ byte) * 0x100000001b3 % 2**64
        document["checksum"] = f"{value:016x}"
        with open(self.state("trial.json"), "w", encoding="utf-8") as file:
            json.dump(document, file, indent=1, sort_keys=True, ensure_ascii=False)

    def test_its_file_is_damaged(self):
        for damage in (lambda data: data[:len(data) // 2], lambda data: data.replace(b"policy: web", b"policy: wxb"), lambda data: b""):
            self.cofferdam.apply(OLD)
            self.begin("1h")
            self.kill()
            with open(self.state("trial.json"), "rb") as file:
                data = file.read()
            with open(self.state("trial.json"), "wb") as file:
                file.write(damage(data))
            self.cofferdam.start()
            self.assert_old_exactly()
            self.assertIn("trial.json cannot be used: it is damaged", self.cofferdam.log())
            daemon = self.status()
            self.assertEqual((daemon["trial"], daemon["held"] and daemon["held"]["reason"]), (None, "trial"))

    def test_others_may_write_its_file(self):
        self.begin("1h")
        self.kill()
        os.chmod(self.state("trial.json"), 0o666)
        self.cofferdam.start()
        self.assert_old_exactly()

    def test_nothing_was_in_force_before(self):
        self.cofferdam.stop()
        os.unlink(self.state("policies.json"))
        self.cofferdam.write(BROKEN)
        self.cofferdam.start()
        self.assert_dropped(self.web, self.db, "5432/tcp")
        nothing = self.ruleset()
        self.begin("5s", OLD)
        self.assert_old()
        self.wait_for_the_end()
        self.assertEqual(self.ruleset(), nothing)
        self.assert_dropped(self.web, self.db, "5432/tcp")
        self.kill()
        self.cofferdam.start()  # with files that are good
        self.assertEqual(self.ruleset(), nothing)
        self.begin("1h", OLD)
        self.kill()
        os.unlink(self.state("trial.json"))
        self.cofferdam.start()
        self.assertEqual(self.ruleset(), nothing)
        self.command("apply")
        self.assert_old()

    def test_teardown_ends_it(self):
        self.begin("1h")
        self.command("teardown", "--yes")
        wait_until(lambda: not self.cofferdam.process.alive, 10, "the daemon to end")
        self.assertFalse(os.path.exists(self.state("trial.json")))
        self.cofferdam.start()
        self.assert_old()
        self.begin("1h")
        self.kill()
        self.command("teardown", "--yes")
        self.cofferdam.start()
        self.assert_old()

    # The history

    def test_history_and_rollback(self):
        old = self.in_force()
        self.cofferdam.write(NEW)
        self.command("apply", "--comment", "the new ones")
        new = self.in_force()
        self.assertEqual(new, old + 1)
        self.command("apply")  # the same again: no entry
        self.assertEqual(self.in_force(), new)
        self.assertEqual([(entry["added"], entry["changed"], entry["removed"]) for entry in self.history()[:1]], [(0, 2, 1)])
        self.assertIn(f"rolled back to #{old}: 3 policies; ", self.command("rollback"))
        self.assert_old_exactly()
        self.assertEqual(self.kinds(2), ["rollback", "apply"])
        self.cofferdam.restart()
        self.assert_old()
        self.assertIn(f"The policies in force are those of #{old}, rolled back to", self.command("status"))
        entry = self.cofferdam.json("history", str(new))["entry"]
        self.assertEqual([file["text"] for file in entry["files"]], [NEW])
        self.assertIn("\ncomment    the new ones\n", self.command("history", str(new)))
        self.command("rollback", str(new), "--comment", "there again")
        self.assert_new()
        self.assertIn("there is no number 999999", self.command("rollback", "999999", want=1))
        self.command("rollback", str(old), "--confirm-within", "5s")
        self.assert_old()
        self.wait_for_the_end()
        self.assert_new()
        self.command("rollback", str(old), "--confirm-within", "5s")
        self.command("confirm")
        self.cofferdam.restart()
        self.assert_old()
        self.assertEqual(self.status()["held"]["number"], old)

    def test_damaged_entries(self):
        old = self.in_force()
        self.cofferdam.apply(NEW)
        path = self.state("history", f"{old:06}.json")
        with open(path, "r+b") as file:
            file.seek(200)
            file.write(b"\xff")
        self.addCleanup(os.unlink, path)
        self.assertEqual([entry["damaged"] for entry in self.history()[:2]], [False, True])
        self.assertRegex(self.command("history"), rf"(?m)^ +{old} +damaged$")
        self.assertIn(f"number {old} in the history is damaged", self.command("rollback", str(old), want=1))
        self.assertIn("damaged", self.command("history", str(old), want=1))
        self.assert_new()

    def test_old_sets_with_errors(self):
        """As after an upgrade to a daemon that finds some."""
        number = self.in_force() + 1
        self.cofferdam.apply(NOTHING)
        path = self.state("history", f"{number:06}.json")
        with open(path, encoding="utf-8") as file:
            document = json.load(file)
        document["files"][0]["text"] = "policy: nothing\nselekt: {}\n"
        self.cofferdam.apply(OLD)
        saved, self.state = self.state, lambda *names: path
        try:
            self._write_sealed(document)
        finally:
            self.state = saved
        self.assertIn("this cofferdamd finds errors in those policies", self.command("rollback", str(number), want=1))
        self.assert_old()

    def test_numbers_are_not_used_again(self):
        number = self.in_force()
        for _ in range(2):
            self.cofferdam.apply(NEW)
            self.cofferdam.apply(OLD)
            self.cofferdam.restart()
        self.assertEqual(self.in_force(), number + 4)

    # Disks

    def mount(self, *options):
        state = self.state()
        run(["mount", *options, state])
        self.addCleanup(run, ["umount", "--lazy", state])

    def small_disk(self):
        """A state directory of 48 KiB. Returns what fills it."""
        self.cofferdam.stop()
        self.mount("-t", "tmpfs", "-o", "size=48k,mode=700", "tmpfs")
        self.cofferdam.start()
        self.cofferdam.apply(OLD)
        self.rules = self.ruleset()
        self.addCleanup(self.cofferdam.stop)

        def fill():
            with open(self.state("filler"), "wb", buffering=0) as file:
                try:
                    while True:
                        file.write(b"x" * 512)
                except OSError:
                    pass
        return fill

    def test_the_disk_is_full(self):
        fill = self.small_disk()
        fill()
        self.cofferdam.write(NEW)
        error = self.command("apply", "--confirm-within", "1m", want=1)
        self.assertIn("the trial cannot be written", error)
        self.assertIn("No space left", error)
        self.assert_old_exactly()
        text = self.command("apply")
        self.assertRegex(text, r"\nwarning: the policies in force cannot be saved in .*No space left")
        self.assert_new()
        os.unlink(self.state("filler"))

    def test_the_disk_fills_during_a_trial(self):
        fill = self.small_disk()
        self.begin("5s")
        fill()
        self.assertIn("the policies stay on trial until", self.command("confirm", want=1))
        self.wait_for_the_end()
        self.assert_old_exactly()
        self.assertFalse(os.path.exists(self.state("trial.json")))
        for _ in range(2):
            self.kill()
            self.cofferdam.start()
            self.assert_old()
        os.unlink(self.state("filler"))

    def read_only(self):
        run(["mount", "--bind", self.state(), self.state()])
        run(["mount", "-o", "remount,ro,bind", self.state()])
        self.addCleanup(lambda: os.path.ismount(self.state()) and run(["umount", "--lazy", self.state()]))

    def test_the_disk_is_read_only(self):
        self.read_only()
        self.cofferdam.write(NEW)
        self.assertIn("Read-only", self.command("apply", "--confirm-within", "1m", want=1))
        self.assert_old_exactly()
        text = self.command("apply")  # what must be enforced waits for no disk
        self.assertRegex(text, r"\nwarning: the policies in force cannot be saved in .*: Read-only file system")
        self.assertRegex(text, r"\nwarning: this is not in the history, which cannot be written: Read-only file system")
        self.assert_new()
        self.assertIn("not in the history, which cannot be written", " ".join(self.cofferdam.json("status")["problems"]))
        run(["umount", self.state()])
        self.cofferdam.apply(OLD)
        self.rules = self.ruleset()
        self.begin("5s")
        self.read_only()
        self.assertIn("Read-only", self.command("confirm", want=1))
        self.assertIn("Read-only", self.command("confirm", "--extend", "1m", want=1))
        self.wait_for_the_end()
        self.assert_old_exactly()
        # What it says on disk would undo what is applied now.
        self.assertIn("cannot be removed", self.command("apply", want=1))
        self.assertIn("the next start goes back", " ".join(self.cofferdam.json("status")["problems"]))
        run(["umount", self.state()])
        self.command("apply")
        self.assertFalse(os.path.exists(self.state("trial.json")))
        self.cofferdam.restart()
        self.assert_new()


if __name__ == "__main__":
    unittest.main()

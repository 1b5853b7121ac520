#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Policies are edited, and the daemon is stopped, killed and asked, while containers run on."""

import itertools
import os
import re
import signal
import time
import unittest

import naive
from cofferdam import follows
from machine import Failure, wait_until
from naive import Endpoint, Host, Outside, Port
from playground import NOTHING, OPEN, ROLES, Playground, Question, Talk


class Daemon(Playground, unittest.TestCase):
    def setUp(self):
        if not self.cofferdam.process.alive:
            self.cofferdam.write(ROLES)
            self.cofferdam.start()
        self.cofferdam.apply(ROLES)
        self.web, self.db = self.run_containers(web="web", db="db")
        self.follow(self.web, self.db)

    # Policies change

    def test_an_edit_and_apply(self):
        before = [container.inspect()["State"] for container in (self.web, self.db)]
        self.cofferdam.apply(ROLES.replace("5432/tcp", "80/tcp"))
        self.assert_passes(self.web, self.db, "80/tcp")
        self.assert_dropped(self.web, self.db, "5432/tcp")
        self.cofferdam.apply(NOTHING)
        self.assert_dropped(self.web, self.db, "80/tcp")
        self.cofferdam.apply({})
        self.assert_dropped(self.web, self.db, "80/tcp")
        self.cofferdam.apply(ROLES)
        self.assert_passes(self.web, self.db, "5432/tcp")
        self.assertEqual(before, [container.inspect()["State"] for container in (self.web, self.db)])

    def test_sighup(self):
        self.cofferdam.write(ROLES.replace("5432/tcp", "80/tcp"))
        self.assert_passes(self.web, self.db, "5432/tcp")
        self.cofferdam.process.process.send_signal(signal.SIGHUP)
        self.follow(self.web, self.db, "80/tcp")
        self.follow(self.web, self.db, "5432/tcp", passes=False)

    def test_a_broken_policy_leaves_the_old_ones_in_force(self):
        broken = ROLES + "---\npolicy: broken\nselect: {all: true}\ningres: [{}]\negress: [{ports: [70000/tcp]}]\n"
        line = broken.splitlines().index("ingres: [{}]") + 1
        self.cofferdam.write({"broken.yaml": broken, "open.yaml": OPEN})
        result = self.cofferdam("apply")
        self.assertEqual(result.returncode, 1)
        text = result.stdout + result.stderr
        self.assertRegex(text, rf"broken\.yaml:{line}:1: error\[C\d+\]")
        self.assertRegex(text, rf"broken\.yaml:{line + 1}:\d+: error\[C\d+\]")
        self.assertIn("did you mean", text)
        self._assert_roles_hold()
        self.cofferdam.process.process.send_signal(signal.SIGHUP)
        follows(lambda: re.search(rf"broken\.yaml:{line}:1", self.cofferdam.log()), "the log to say where it is broken")
        self._assert_roles_hold()
        self.assertIn(f"broken.yaml:{line}:1", self.cofferdam.json("status")["daemon"]["last_load_error"])

    def test_a_start_with_a_broken_policy_opens_nothing(self):
        self.cofferdam.write({"a.yaml": OPEN, "b.yaml": "policy: broken\n"})
        self.cofferdam.stop()
        try:
            self.cofferdam.start()
        except Failure as error:  # it need not run with them
            self.assertIn("b.yaml:1:1", str(error))
        self.assert_dropped(self.db, self.web)
        self.assert_dropped(self.web, self.db, "80/tcp")
        self.cofferdam.write(ROLES)
        self.cofferdam.restart()
        self._assert_roles_hold()

    # The policies in force stay in force over a restart

    def _saved(self):
        return os.path.join(self.cofferdam.settings["state"], "policies.json")

    def _start_with_broken_policies(self, kept):
        """The daemon was stopped: starts it with files that have errors. Returns the log of this start."""
        before = len(self.cofferdam.log())
        self.cofferdam.write({"a.yaml": OPEN, "b.yaml": "policy: broken\n"})
        self.cofferdam.start()
        daemon = self.cofferdam.json("status")["daemon"]
        self.assertIn("b.yaml:1:1", daemon["last_load_error"])
        self.assertEqual(daemon["policies_kept"], kept)
        text = self.cofferdam("status").stdout
        self.assertIn("b.yaml:1:1", text)
        self.assertEqual("the last set without errors is in force" in text, kept)
        return self.cofferdam.log()[before:]

    def test_broken_policies_at_a_start_leave_the_last_good_ones_in_force(self):
        self.cofferdam.stop()
        log = self._start_with_broken_policies(kept=True)
        self._assert_roles_hold()
        status = self.cofferdam.json("status")
        loaded = status["daemon"]["policies_loaded"]
        self.assertRegex(log, rf"error: the policy files have errors \(.*b\.yaml:1:1.*the last set without errors, of {loaded}")
        self.assertTrue([problem for problem in status["problems"] if f"of {loaded}, stays in force" in problem])
        self.assertEqual({policy["file"] for policy in status["policies"]},
                         {os.path.join(self.cofferdam.policies, "policies.yaml")})  # as they were called
        self.assertEqual(status["daemon"]["policies"], 2)

        self.assertEqual(self.cofferdam("apply").returncode, 1)
        self._assert_roles_hold()
        self.assertTrue(self.cofferdam.json("status")["daemon"]["policies_kept"])
        self.cofferdam.stop(signal.SIGKILL)  # and again: what is kept is not used up
        self.cofferdam.start()
        self._assert_roles_hold()
        self.cofferdam.apply(ROLES.replace("5432/tcp", "80/tcp"))
        daemon = self.cofferdam.json("status")["daemon"]
        self.assertEqual((daemon["policies_kept"], daemon["last_load_error"]), (False, None))
        self.assert_passes(self.web, self.db, "80/tcp")
        self.cofferdam.stop()
        self._start_with_broken_policies(kept=True)  # now these are the last good ones
        self.assert_passes(self.web, self.db, "80/tcp")
        self.assert_dropped(self.web, self.db, "5432/tcp")

    def test_the_last_good_policies_outlive_the_rules(self):
        """As after a reboot: nothing stands in the kernel, and the directory of policies is not there."""
        self.cofferdam.stop()
        for table in ("inet", "bridge"):
            self.engine.host.run("nft", "delete", "table", table, "cofferdam")
        os.rename(self.cofferdam.policies, self.cofferdam.policies + ".away")
        try:
            self.cofferdam.start()
            self.assertTrue(self.cofferdam.json("status")["daemon"]["policies_kept"])
            self._assert_roles_hold()
        finally:
            os.rename(self.cofferdam.policies + ".away", self.cofferdam.policies)

    def test_a_damaged_copy_of_the_last_good_policies_opens_nothing(self):
        with open(self._saved(), encoding="utf-8") as file:
            whole = file.read()
        for damaged in (whole[:len(whole) // 2], whole.replace("5432/tcp", "80/tcp"), "", None):
            self.cofferdam.stop()
            os.unlink(self._saved())
            if damaged is not None:
                with open(self._saved(), "w", encoding="utf-8") as file:
                    os.fchmod(file.fileno(), 0o600)
                    file.write(damaged)
            log = self._start_with_broken_policies(kept=False)
            self.assertEqual("cannot be used: the file is damaged" in log, damaged is not None, log)
            self.assertIn("every connection of every container is denied", log)
            self.assert_dropped(self.web, self.db)
            self.assert_dropped(self.web, self.db, "80/tcp")
            self.assert_dropped(self.db, self.web)
            self.assertEqual(self.cofferdam.json("status")["daemon"]["policies"], 0)

    def test_a_copy_that_others_may_write_is_not_believed(self):
        self.cofferdam.stop()
        os.chmod(self._saved(), 0o666)
        log = self._start_with_broken_policies(kept=False)
        self.assertIn("others than root may write the file", log)
        self.assert_dropped(self.web, self.db)

    def test_the_last_good_policies_are_written_when_they_change_and_only_then(self):
        def written():
            info = os.stat(self._saved())
            return info.st_ino, info.st_mtime_ns

        first = written()
        self.assertEqual(os.stat(self._saved()).st_mode & 0o7777, 0o600)
        self.cofferdam.apply(ROLES)
        self.cofferdam.restart()
        self.cofferdam.write({"a.yaml": OPEN, "b.yaml": "policy: broken\n"})
        self.assertEqual(self.cofferdam("apply").returncode, 1)
        self.assertEqual(written(), first)
        self.cofferdam.apply(ROLES + "# the same, but in other words\n")
        self.assertNotEqual(written(), first)
        with open(self._saved(), encoding="utf-8") as file:
            self.assertIn("in other words", file.read())

    def test_what_cannot_be_saved_is_in_force_and_nothing_older_comes_back(self):
        """The state directory takes no new files: the temporary file's name is taken by a directory."""
        obstacle = self._saved() + ".new"
        os.makedirs(os.path.join(obstacle, "full"))
        try:
            before = len(self.cofferdam.log())
            self.cofferdam.apply(ROLES.replace("5432/tcp", "80/tcp"))
            self.assert_passes(self.web, self.db, "80/tcp")
            self.assertIn("error: the policies in force cannot be saved", self.cofferdam.log()[before:])
            problems = " ".join(self.cofferdam.json("status")["problems"])
            self.assertIn("the policies in force cannot be saved (Is a directory)", problems)
            self.cofferdam.stop()
            self._start_with_broken_policies(kept=False)
            self.assert_dropped(self.web, self.db, "5432/tcp")
            self.assert_dropped(self.web, self.db, "80/tcp")
        finally:
            os.rmdir(os.path.join(obstacle, "full"))
            os.rmdir(obstacle)
        self.cofferdam.apply(ROLES)
        self.assertNotIn("cannot be saved", " ".join(self.cofferdam.json("status")["problems"]))
        self._assert_roles_hold()

    def test_an_unreadable_directory_opens_nothing(self):
        os.rename(self.cofferdam.policies, self.cofferdam.policies + ".away")
        try:
            self.assertEqual(self.cofferdam("apply").returncode, 1)
            self._assert_roles_hold()
        finally:
            os.rename(self.cofferdam.policies + ".away", self.cofferdam.policies)

    def _assert_roles_hold(self):
        self.assert_passes(self.web, self.db)
        self.assert_dropped(self.web, self.db, "80/tcp")
        self.assert_dropped(self.db, self.web)

    # The daemon goes and comes

    def test_a_clean_stop_leaves_the_rules_in_force(self):
        with Talk(self.web, "tcp", self.db.address(), 5432) as talk:
            self.assertEqual(talk.say(), "answered")
            self.assertEqual(self.cofferdam.stop(), 0)
            late = self._assert_closed_for_newcomers()
            self.assertEqual(talk.say(), "answered")
            self.cofferdam.start()
            self.assertEqual(talk.say(), "answered")
            self._assert_served(late)

    def test_a_killed_daemon_leaves_the_rules_in_force(self):
        self.cofferdam.stop(signal.SIGKILL)
        late = self._assert_closed_for_newcomers()
        self.cofferdam.start()
        self._assert_served(late)

    def test_nobody_inherits_an_address_while_the_daemon_is_gone(self):
        """Docker gives the lowest free address, so the next container's is usually that of the last one removed."""
        address = self.db.address()
        self.cofferdam.stop()
        self.db.remove()
        heir = self.run_container("heir", "other")
        self.assertEqual(heir.address(), address)
        self.assert_cut_off(heir, self.web)
        self.cofferdam.start()
        self.assert_cut_off(heir, self.web)

    def _assert_closed_for_newcomers(self):
        self._assert_roles_hold()
        late = self.run_container("late", "db")
        self.assert_cut_off(late, self.web)
        return late

    def _assert_served(self, late):
        self.assert_passes(self.web, late)
        self.assert_dropped(self.web, late, "80/tcp")
        self._assert_roles_hold()

    def test_after_a_restart_all_is_right(self):
        self.cofferdam.stop()
        self.db.remove()
        late = self.run_container("late", "db", ["back"])
        stranger = self.run_container("stranger", "other")
        self.cofferdam.write(ROLES.replace("5432/tcp", "80/tcp"))
        self.cofferdam.start()
        self.assert_passes(self.web, late, "80/tcp")
        self.assert_dropped(self.web, late, "5432/tcp")
        self.assert_dropped(self.web, stranger, "80/tcp")

    def test_a_second_daemon_does_no_harm(self):
        second = self.engine.host.run(*self.cofferdam.process.process.args[3:], check=False, timeout=20)
        self.assertNotEqual(second.returncode, 0)
        self._assert_roles_hold()
        self.assertEqual(self.cofferdam("status").returncode, 0)

    def test_a_second_daemon_with_files_of_its_own_does_no_harm(self):
        for _ in range(20):  # the first must answer each of them
            options = ["--state", self.engine.path("state2"), "--control", self.engine.path("control2.sock")]
            second = self.engine.host.run(*self.cofferdam.process.process.args[3:], *options, check=False, timeout=20)
            self.assertEqual(second.returncode, 1)
            self.assertIn("another cofferdamd (process", second.stderr)
        self._assert_roles_hold()
        self.assertEqual(self.cofferdam("status").returncode, 0)

    def test_a_settings_file_that_is_named_must_be_there(self):
        """A slip in its name must not put the defaults in force."""
        program, name = self.cofferdam.process.process.args[3], self.engine.path("nothing.yaml")
        result = self.engine.host.run(program, "--config", name, check=False, timeout=20)
        self.assertEqual(result.returncode, 1)
        self.assertIn(f"{name}: error[C060]: cannot be read", result.stderr)

    def test_a_name_that_somebody_else_took_keeps_no_daemon_away(self):
        self.cofferdam.stop()
        take = ("import socket, time, os; s = socket.socket(socket.AF_UNIX); s.bind('\\0cofferdamd'); s.listen();"
                "os.setuid(65534); print('taken', flush=True); time.sleep(60)")
        squatter = self.engine.spawn("squatter", self.engine.host.enter("python3", "-c", take))
        self.addCleanup(self.cofferdam.restart)
        self.addCleanup(squatter.stop)
        wait_until(lambda: "taken" in squatter.output(), 5, "the name to be taken")
        self.cofferdam.start()
        self.assertIn("which no cofferdamd has", self.cofferdam.log())
        self._assert_roles_hold()

    # The rules are changed by others, who can as long as the tables are not protected

    def _unprotected(self):
        self.addCleanup(self.cofferdam.restart)
        self.cofferdam.restart(protect_table="off")  # it counts from its start

    def _interfere(self, command, times):
        """Runs nft; what is denied must be dropped again within a second, and status says who did it how often."""
        self.assert_dropped(self.web, self.db, "80/tcp")
        self.engine.host.run(*command.split())
        questions = [Question(self.web, self.db, "80/tcp", family) for family in ("ipv4", "ipv6")]
        follows(lambda: self.ask_all(questions, timeout=250) == ["timeout"] * 2, f"{command} to be undone", 1)
        self._assert_roles_hold()
        self.assertEqual(self.cofferdam("status").returncode, 0)
        problems = [problem for problem in self.cofferdam.json("status")["problems"] if "another program" in problem]
        self.assertRegex(" ".join(problems), rf"changed Cofferdam's rules {times} times? since .* last nft, pid \d+")
        self.assertRegex(self.cofferdam.log(), r"warning: another program \(nft, pid \d+\) has changed Cofferdam's rules; what differs")

    def test_what_others_do_to_the_rules_is_undone(self):
        self._unprotected()
        loaded = [line for line in self.cofferdam.ruleset().splitlines() if "counter" not in line]
        for times, command in enumerate(("nft delete table inet cofferdam", "nft delete table bridge cofferdam",
                                         "nft insert rule inet cofferdam forward accept",
                                         "nft flush chain inet cofferdam forward"), 1):
            with self.subTest(command=command):
                self._interfere(command, times)
                time.sleep(1)  # a line of the log for each
        self.assertEqual([line for line in self.cofferdam.ruleset().splitlines() if "counter" not in line], loaded)

    def test_a_flush_of_all_rules_is_undone(self):
        dockers = [(command + "-restore", self.engine.host.run(command + "-save").stdout) for command in ("iptables", "ip6tables")]
        self._unprotected()
        try:
            self._interfere("nft flush ruleset", 1)
        finally:
            for command, text in dockers:
                self.engine.host.run(command, stdin=text)

    def test_what_we_and_others_do_elsewhere_is_no_interference(self):
        self._unprotected()
        before = len(self.cofferdam.log())
        for command in ("add table inet other", "add chain inet other c", "add rule inet other c accept", "delete table inet other"):
            self.engine.host.run("nft", *command.split())
        self.cofferdam.apply(OPEN)
        self.run_container("third", "web").remove()
        self.cofferdam.apply(ROLES)
        self._assert_roles_hold()
        self.assertNotIn("has changed Cofferdam's rules", self.cofferdam.log()[before:])
        self.assertFalse([problem for problem in self.cofferdam.json("status")["problems"] if "another program" in problem])

    def test_verify_says_what_differs(self):
        result = self.cofferdam("verify")
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        self.assertRegex(result.stdout, r"^the kernel holds what it should: 2 tables, \d{2,} objects\n$")
        self._unprotected()
        results = []

        def drifts():  # until there were so many repairs that the next is put off
            self.engine.host.run("nft", "insert rule inet cofferdam forward accept; add chain inet cofferdam stranger", check=False)
            results.append(self.cofferdam("verify"))
            return results[-1].returncode == 3

        follows(drifts, "a difference", 10)
        result = results[-1]
        self.assertRegex(result.stdout, r"^DRIFT: \d+ differences; the daemon is repairing them\n")
        self.assertRegex(result.stdout, r"(?m)^ *\+ .*inet cofferdam.* stranger")
        self.assertRegex(result.stdout, r"(?m)^ *[~+] .*inet cofferdam.* forward")
        follows(lambda: self.cofferdam("verify").returncode == 0, "the rules to be right again")
        self._assert_roles_hold()

    def test_two_that_fight_over_the_rules(self):
        self._unprotected()
        before = len(self.cofferdam.log())
        end = time.monotonic() + 4
        while time.monotonic() < end:
            self.engine.host.run("nft", "delete", "table", "inet", "cofferdam", check=False)
        lines = self.cofferdam.log()[before:].count("has changed Cofferdam's rules")
        self.assertTrue(2 <= lines <= 7, lines)
        self.follow(self.web, self.db, "80/tcp", passes=False)
        self._assert_roles_hold()
        self.assertEqual(self.cofferdam("status").returncode, 0)

    # The Engine does not answer

    def test_policies_wait_for_the_engine(self):
        """Started while there is no Engine, but with the rules of the last run in the kernel."""
        self.cofferdam.stop()
        socket = self.cofferdam.settings["docker"]
        self.addCleanup(self.cofferdam.restart)
        settle, self.cofferdam.settle = self.cofferdam.settle, lambda seconds: None
        try:
            self.cofferdam.start(docker=self.engine.path("nobody.sock"))
            follows(lambda: self.cofferdam("status").returncode == 3, "status to say that something is not right")
        finally:
            self.cofferdam.settle = settle
        status = self.cofferdam("status").stdout
        self.assertIn("the containers are not known yet", status)
        self.assertNotIn("selects no container", status)
        self._assert_roles_hold()
        self.cofferdam.write(OPEN)
        result = self.cofferdam("apply")
        self.assertEqual(result.returncode, 1)
        self.assertIn("will be in force when the Docker Engine answers", result.stdout + result.stderr)
        self._assert_roles_hold()
        result = self.cofferdam("explain", "web", "db", "80/tcp")
        self.assertEqual(result.returncode, 1)
        self.assertIn("not known yet", result.stdout + result.stderr)
        result = self.cofferdam("graph")
        self.assertEqual((result.returncode, result.stdout), (1, ""))
        self.assertIn("the daemon knows no containers", result.stderr)
        os.symlink(socket, self.engine.path("nobody.sock"))
        self.addCleanup(os.unlink, self.engine.path("nobody.sock"))
        self.follow_within(8, self.web, self.db, "80/tcp")
        self.assertEqual(self.cofferdam("explain", "web", "db", "80/tcp").returncode, 0)

    def follow_within(self, seconds, source, target, port):
        question = Question(source, target, port)
        follows(lambda: self.ask_all([question], timeout=250) == ["connected"], f"{question} to pass", seconds)

    # The daemon is asked

    def test_status(self):
        self.assertEqual(self.cofferdam("status").returncode, 0)
        status = self.cofferdam.json("status")
        self.assertEqual(status["daemon"]["policies"], 2)
        rows = {container["name"]: container for container in status["containers"]}
        self.assertEqual([policy["name"] for policy in rows["web"]["policies"]], ["web"])
        endpoint = rows["web"]["endpoints"][0]
        self.assertEqual((endpoint["network"], endpoint["ipv4"]), ("front", self.web.address()))
        host = self.engine.create("on-the-host", (), mode="host", command=["probe", "serve"])
        self.addCleanup(host.remove)
        host.start()
        follows(lambda: self.cofferdam("status").returncode == 3, "status to say that something is not enforced")
        self.assertIn("on-the-host", self.cofferdam("status").stdout)
        rows = {container["name"]: container for container in self.cofferdam.json("status")["containers"]}
        self.assertFalse(rows["on-the-host"]["enforced"])
        self.assertTrue(rows["web"]["enforced"])

    def test_an_unmanaged_network_is_left_alone(self):
        lone = self.run_container("lone", "other", ["back"])
        second = self.run_container("second", "other", ["back"])
        self.assert_dropped(lone, second)
        self.cofferdam.stop()
        try:
            self._start_unmanaged()
            self.assert_passes(lone, second)
            self._assert_roles_hold()
            networks = {network["name"]: network for network in self.cofferdam.json("status")["networks"]}
            self.assertFalse(networks["back"]["managed"])
            self.assertTrue(networks["front"]["managed"])
        finally:
            self.cofferdam.restart()
        self.assert_dropped(lone, second)

    def _start_unmanaged(self):
        whole = self.cofferdam.missing
        self.cofferdam.missing = lambda status: {pair for pair in whole(status) if pair[1] != "back"}
        try:
            self.cofferdam.start(networks={"managed": "all", "unmanaged": ["back"]})
        finally:
            del self.cofferdam.missing

    def test_explain_agrees_with_the_naive_evaluator(self):
        policies = self.policies()
        endpoints = {"web": Endpoint("web", "front", {"role": "web"}, "probe:1"),
                     "db": Endpoint("db", "front", {"role": "db"}, "probe:1"),
                     "host": Host(), "198.41.0.4": Outside("198.41.0.4"), "2a00:1450::1": Outside("2a00:1450::1")}
        ports = {"5432/tcp": Port("tcp", 5432), "80/tcp": Port("tcp", 80), "53/udp": Port("udp", 53),
                 "icmp/echo-request": Port("icmp", type="echo-request")}
        for (source, one), (target, other) in itertools.permutations(endpoints.items(), 2):
            if not isinstance(one, Endpoint) and not isinstance(other, Endpoint):
                continue
            for text, port in ports.items():
                want = policies.verdict(one, other, port) == "allowed"
                result = self.cofferdam("explain", source, target, text)
                self.assertEqual(result.returncode, 0 if want else 3, f"{source} {target} {text}\n{result.stdout}{result.stderr}")
                verdict = self.cofferdam.json("explain", source, target, text)["verdict"]
                self.assertEqual(verdict, "allowed" if want else "denied")

    def test_explain_names_the_rule(self):
        lines = ROLES.splitlines()
        line = next(number for number, text in enumerate(lines, 1) if text.startswith("egress"))
        answer = self.cofferdam("explain", "web", "db", "5432/tcp")
        self.assertIn("web", answer.stdout)
        self.assertIn(f"policies.yaml:{line}", answer.stdout)
        self.assertEqual(self.cofferdam("explain", "nobody", "db").returncode, 1)

    def test_explain_follows_published_ports(self):
        self.run_container("shown", "web", publish=[(8088, 80, "tcp"), (8089, 5432, "tcp")],
                           PortBindings={"80/tcp": [{"HostPort": "8088"}],
                                         "5432/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8089"}]})
        self.cofferdam.settle()
        for target in ("shown", "host", "10.91.0.1"):
            answer = self.cofferdam("explain", "host", target, "8088/tcp")
            self.assertEqual(answer.returncode, 0, answer.stdout)
            self.assertIn("host -> shown 80/tcp: allowed\n", answer.stdout)
            self.assertIn("(published at 0.0.0.0:8088) leads to 80/tcp of shown", answer.stdout)
        self.assertEqual(self.ask(self.engine.host, "10.91.0.1", "8088/tcp", timeout=3000), "connected")
        # Only the host is let in, and only to that port.
        answer = self.cofferdam("explain", "198.41.0.4", "host", "8088/tcp")
        self.assertIn("198.41.0.4 -> shown 80/tcp: denied\n", answer.stdout)
        self.assertIn("host -> shown 5432/tcp: denied\n", self.cofferdam("explain", "host", "127.0.0.1", "8089/tcp").stdout)
        self.assertFalse(self.cofferdam.json("explain", "198.41.0.4", "host", "8089/tcp")["published"])
        # Policies that let everybody reach everything end before the host's loopback address.
        self.cofferdam.apply(OPEN)
        answer = self.cofferdam("explain", "db", "127.0.0.1", "8089/tcp")
        self.assertEqual(answer.returncode, 3, answer.stdout)
        self.assertEqual(self.cofferdam("explain", "db", "10.91.0.1", "8089/tcp").returncode, 0)

    def test_explain_agrees_with_packets(self):
        other = self.run_container("other", "other")
        self.cofferdam.settle()
        questions = [Question(source, target, port) for source, target in itertools.permutations((self.web, self.db, other), 2)
                     for port in ("5432/tcp", "80/tcp", "53/udp", "icmp")]
        for question, result in zip(questions, self.ask_all(questions)):
            explained = self.cofferdam("explain", question.source.name, question.target.name,
                                       question.port.replace("icmp", "icmp/echo-request"))
            self.assertEqual(explained.returncode == 0, result == "connected", f"{question}\n{explained.stdout}")

    def test_graph_agrees_with_packets(self):
        """What the daemon's containers and the settings' policies make, and the same from a file."""
        other = self.run_container("other", "other")
        self.cofferdam.settle()
        graph = self.cofferdam.json("graph")
        names = {node["id"]: node["name"] for node in graph["nodes"]}
        edges = {(names[a], names[b]): {port for grant in edge["grants"] for port in grant["ports"]}
                 for edge in graph["edges"] for a in edge["from"] for b in edge["to"]}
        questions = [Question(source, target, "5432/tcp")
                     for source, target in itertools.permutations((self.web, self.db, other), 2)]
        for question, result in zip(questions, self.ask_all(questions)):
            ports = edges.get((question.source.name, question.target.name), set())
            self.assertEqual(bool(ports & {"5432/tcp", "tcp"}), result == "connected", f"{question}\n{edges}")
        self.assertIn("5432/tcp", edges[self.web.name, self.db.name])
        path = self.engine.path("inventory.json")
        with open(path, "w", encoding="utf-8") as file:
            file.write(self.cofferdam("status", "--json").stdout)
        self.assertEqual(self.cofferdam.json("graph", "--inventory", path), graph)
        self.assertIn("digraph", self.cofferdam("graph", check=True).stdout)

    def test_graph_of_changes_agrees_with_packets(self):
        """Compared with the policies in force, which the daemon names."""
        swapped = self.engine.path("swapped.yaml")
        with open(swapped, "w", encoding="utf-8") as file:
            file.write(ROLES.replace("5432/tcp", "80/tcp"))
        self.addCleanup(os.unlink, swapped)
        self.cofferdam.settle()
        self.assertIs(self.cofferdam.json("graph", "--changes")["changes"], False)
        graph = self.cofferdam.json("graph", "--changes", swapped)
        self.assertIs(graph["changes"], True)
        ids = {node["name"]: node["id"] for node in graph["nodes"]}
        marks = {port: grant["change"] for edge in graph["edges"]
                 if ids[self.web.name] in edge["from"] and ids[self.db.name] in edge["to"]
                 for grant in edge["grants"] for port in grant["ports"]}
        self.assertEqual((marks["5432/tcp"], marks["80/tcp"]), ("removed", "added"), marks)
        self.assert_passes(self.web, self.db, "5432/tcp")
        self.assert_dropped(self.web, self.db, "80/tcp")
        self.cofferdam.apply(ROLES.replace("5432/tcp", "80/tcp"))
        self.assert_passes(self.web, self.db, "80/tcp")
        self.assert_dropped(self.web, self.db, "5432/tcp")
        self.assertIs(self.cofferdam.json("graph", "--changes", swapped)["changes"], False)

    def test_the_policies_in_force_are_those_of_the_directory(self):
        self.assertEqual(naive.Policies.of_directory(self.cofferdam.policies).verdict(
            Endpoint("web", "front", {"role": "web"}), Endpoint("db", "front", {"role": "db"}), Port("tcp", 5432)), "allowed")
        names = [policy["name"] for policy in self.cofferdam.json("status")["policies"]]
        self.assertEqual(sorted(names), ["db", "web"])


if __name__ == "__main__":
    unittest.main()

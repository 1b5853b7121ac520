#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What Cofferdam leaves in the kernel, and what it leaves alone."""

import unittest

import frames
from cofferdam import follows, without_metered
from machine import wait_until
from playground import ROLES, Playground, Question


class Traces(Playground, unittest.TestCase):
    """Starts and stops the daemon itself."""

    START = False

    def setUp(self):
        self.web, self.db = self.run_containers(web="web", db="db")
        for family in ("ipv4", "ipv6"):
            wait_until(lambda family=family: self.ask(self.web, self.db, family=family) == "connected", 5, "the network")
        self.addCleanup(self._end)
        self.cofferdam.write(ROLES)

    def _end(self):
        """Also after a test that failed with its daemon gone: the rules would outlive it."""
        self.cofferdam("teardown", "--yes")
        if self.cofferdam.process and self.cofferdam.process.alive:
            self.cofferdam.stop()

    def _sysctls(self):
        return {key: self.engine.host.sysctl(f"net.bridge.{key}")
                for key in ("bridge-nf-call-iptables", "bridge-nf-call-ip6tables", "bridge-nf-call-arptables")}

    def _set_sysctls(self, value):
        for key in ("bridge-nf-call-iptables", "bridge-nf-call-ip6tables"):
            self.addCleanup(self.engine.host.sysctl, f"net.bridge.{key}", self.engine.host.sysctl(f"net.bridge.{key}"))
            self.engine.host.sysctl(f"net.bridge.{key}", value)

    def _assert_roles_hold(self):
        self.assert_passes(self.web, self.db)
        self._assert_isolated()

    def _assert_isolated(self):
        """What no policy grants does not pass, between two containers on one bridge."""
        self.assert_results("timeout", [
            Question(source, target, port, family) for family in ("ipv4", "ipv6")
            for source, target, port in ((self.web, self.db, "80/tcp"), (self.db, self.web, "5432/tcp"),
                                         (self.db, self.web, "80/tcp"), (self.db, self.web, "icmp"),
                                         (self.db, self.web, "53/udp"))])

    def test_teardown_leaves_nothing(self):
        before = (self.engine.firewall(), self.engine.tables(), self.engine.bridge_switches(), self._sysctls())
        self.cofferdam.start()
        self.assertEqual((self.engine.firewall(), self._sysctls()), (before[0], before[3]))
        self.assertTrue(any("cofferdam" in table for table in self.engine.tables()))
        self.cofferdam.apply(ROLES.replace("5432/tcp", "80/tcp"))
        self.assertEqual(self.engine.firewall(), before[0])
        result = self.cofferdam("teardown", "--yes")
        self.assertEqual(result.returncode, 0, result.stderr)
        wait_until(lambda: not self.cofferdam.process.alive, 5, "the daemon to end")
        self.assertEqual(self.cofferdam.process.process.returncode, 0)
        after = (self.engine.firewall(), self.engine.tables(), self.engine.bridge_switches(), self._sysctls())
        self.assertEqual(after, before)
        for port in ("80/tcp", "5432/tcp"):
            self.assert_passes(self.db, self.web, port)
            self.assert_passes(self.web, self.db, port)

    def test_teardown_when_the_daemon_is_gone(self):
        before = (self.engine.firewall(), self.engine.tables(), self.engine.bridge_switches())
        self.cofferdam.start()
        self.cofferdam.stop()
        result = self.cofferdam("teardown", "--yes")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual((self.engine.firewall(), self.engine.tables(), self.engine.bridge_switches()), before)
        self.assert_passes(self.db, self.web)

    def test_teardown_asks_first(self):
        self.cofferdam.start()
        result = self.cofferdam("teardown")  # nobody is there to answer
        self.assertNotEqual(result.returncode, 0)
        self._assert_roles_hold()

    def test_the_list_loads_again(self):
        self.cofferdam.start()
        text = self.cofferdam.ruleset()
        self.assertIn("table inet cofferdam", text)
        self.assertIn("table bridge cofferdam", text)
        self.engine.host.run("nft", "list", "ruleset")
        self.engine.host.run("nft", "-j", "list", "ruleset")
        # Into an empty namespace of its own: here the tables are protected from others.
        self.engine.lan.run("nft", "-c", "-f", "-", stdin=text.replace("flags owner", "").replace("flags\n", "\n"))

    def test_stopping_and_starting_changes_no_rule(self):
        self.cofferdam.start()
        first = self._rules()
        self.cofferdam.stop()
        self.cofferdam.start()
        self.assertEqual(self._rules(), first)

    def test_starting_a_container_changes_no_rule_but_elements(self):
        self.cofferdam.start()
        first = self._rules(elements=False)
        extra = self.run_container("extra", "web")
        self.follow(extra, self.db)
        self.assertEqual(self._rules(elements=False), first)

    def _rules(self, elements=True):
        """{table: its sets, maps and chains}; these in no order, as nft lists them in the order in which they were made,
        and that is the order in which the Engine happened to answer."""
        text = self.engine.host.run("nft", "-s", *([] if elements else ["-t"]), "list", "ruleset").stdout
        text = without_metered(text)
        found = {}
        for line in text[text.index("table inet cofferdam"):].splitlines():
            if line.startswith("table "):
                blocks = found[line] = []
            elif line.startswith("\t") and line[1] not in "\t}":
                blocks.append([line])
            elif line.startswith("\t\t") and not line.lstrip().startswith("# "):
                blocks[-1].append(line)
        return {table: sorted(blocks) for table, blocks in found.items()}

    def test_global_bridge_netfilter_off(self):
        self._set_sysctls(0)
        self.cofferdam.start()
        self._assert_roles_hold()
        self.assertEqual(self.engine.host.sysctl("net.bridge.bridge-nf-call-iptables"), "0")

    def test_global_bridge_netfilter_on(self):
        self._set_sysctls(1)
        self.cofferdam.start()
        self._assert_roles_hold()

    def test_global_bridge_netfilter_switched_while_running(self):
        self._set_sysctls(1)
        self.cofferdam.start()
        for value in (0, 1, 0):
            self._set_sysctls(value)
            self._assert_roles_hold()

    def test_somebody_turns_the_bridges_own_switch_off(self):
        """Frames that would no longer be looked at must stop, until the daemon has turned it on again."""
        self._set_sysctls(0)
        self.cofferdam.start()
        bridge = self.engine.bridge("front")
        for switch in ("nf_call_iptables", "nf_call_ip6tables"):
            for _ in range(3):
                self.engine.host.run("ip", "link", "set", bridge, "type", "bridge", switch, "0")
                self._assert_isolated()
        follows(lambda: self.engine.bridge_switches()[bridge] == (1, 1, 1), "the switches to be on again", 5)
        self.follow(self.web, self.db)

    def test_a_bridge_learns_nothing_from_what_passes_no_hook(self):
        """Frames to 01:80:c2:00:00:0x never reach the bridge's hooks, nor other ports; what their sender's address taught
        the bridge would lead the frames of whoever has it there. Without the daemon it does."""
        bridge = self.engine.bridge("front")
        stranger = "02:00:00:00:00:%02x"

        def learned(number):
            """Of one frame to each of the sixteen groups, with an address of its own."""
            frames.send(self.web, [frames.ethernet(stranger % (number + group), f"01:80:c2:00:00:{group:02x}", kind, bytes(60))
                                   for group in range(16) for kind in (0x800, 0x88b5)])
            listed = self.engine.host.run("bridge", "fdb", "show", "br", bridge).stdout
            return [group for group in range(16) if stranger % (number + group) in listed]

        self.assertIn(0x0e, learned(0))
        self.cofferdam.start()
        follows(lambda: self.engine.bridge_switches()[bridge] == (1, 1, 1), "the switches to be on", 5)
        self.assertEqual(learned(0x40), [])
        self.engine.host.run("ip", "link", "set", bridge, "type", "bridge", "no_linklocal_learn", "0")
        follows(lambda: self.engine.bridge_switches()[bridge] == (1, 1, 1), "the switch to be on again", 5)
        self.assertEqual(learned(0x80), [])


if __name__ == "__main__":
    unittest.main()

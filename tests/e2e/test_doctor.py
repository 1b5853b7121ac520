#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""`cofferdam doctor` on a real host: silent of what is well, and each thing that is broken is found; looking changes nothing."""

import json
import os
import re
import signal
import unittest

from cofferdam import COMMAND, schemas
from machine import Failure, run
from playground import Playground

LEVELS = {"ok", "note", "unchecked", "warn", "bad"}


class Doctor(Playground):
    """Mixed into a TestCase."""

    def setUp(self):
        super().setUp()
        self.cofferdam.settle(20)  # the test before may have restarted the Engine

    def look(self, status=None):
        """{id: check}, after the outer form has been checked."""
        result = self.cofferdam("doctor", "--json")
        report = json.loads(result.stdout)
        schemas.check("doctor", report)
        self.assertEqual(report["format_version"], "1.0")
        self.assertEqual(result.returncode, 0 if report["well"] else 3)
        self.assertEqual(report["well"], all(check["level"] in ("ok", "note") for check in report["checks"]))
        for check in report["checks"]:
            self.assertIn(check["level"], LEVELS)
            self.assertTrue(check["found"], check)
            self.assertEqual(bool(check["means"] and check["mend"]), check["level"] in ("note", "warn", "bad"), check)
        if status is not None:
            self.assertEqual(result.returncode, status, result.stdout)
        return {check["id"]: check for check in report["checks"]}

    def assert_found(self, identifier, level, pattern=""):
        check = self.look()[identifier]
        self.assertEqual(check["level"], level, check)
        self.assertRegex(check["found"], pattern)

    def assert_well_again(self, *identifiers):
        checks = self.look()
        for identifier in identifiers:
            self.assertEqual(checks[identifier]["level"], "ok", checks[identifier])

    def everything(self):
        """The host as others see it."""
        host = self.engine.host
        sysctls = host.run("sh", "-c", "sysctl -a 2>/dev/null | grep '^net[.]' | grep -vE 'random|conntrack_count'").stdout
        links = re.sub(r" \d+\.\d+ ", " ", host.run("ip", "-d", "link").stdout)  # a bridge's timers
        rules = re.sub(r"counter packets \d+ bytes \d+", "counter", self.cofferdam.ruleset())
        return self.engine.firewall(), rules, sysctls, links, self.engine.bridge_switches()


class SoundHost(Doctor, unittest.TestCase):
    def test_nothing_is_to_be_mended(self):
        self.run_container("web", "web", publish=[(8080, 80, "tcp")])
        self.run_container("db", "db")
        self.cofferdam.settle()
        checks = self.look()
        for check in checks.values():
            self.assertIn(check["level"], ("ok", "note"), check)
        self.assertIn("cofferdamd", checks["daemon"]["found"])
        self.assertIn(self.engine.socket, checks["engine"]["found"])
        self.assertRegex(checks["unenforced"]["found"], "2 containers")
        self.assertEqual(checks["engine-tcp"]["level"], "ok", checks["engine-tcp"])
        self.assertRegex(checks["userland-proxy"]["found"], "on, with [12] process")

    def test_looking_changes_nothing(self):
        self.run_containers(web="web", db="db")
        before = self.everything()
        commits = self.cofferdam.json("verify")
        self.cofferdam("doctor", "--all")
        self.assertEqual(self.everything(), before)
        self.assertEqual(self.cofferdam.json("verify"), commits)
        self.assertNotRegex(self.cofferdam.log(), "changed .*rules")

    def test_text(self):
        short, full = self.cofferdam("doctor").stdout, self.cofferdam("doctor", "--all").stdout
        last = re.search(r"^(\d+) checks: 0 bad, .* (\d+) well$", short, re.MULTILINE)
        self.assertTrue(last, short)
        self.assertNotRegex(short, "(?m)^ok ")
        self.assertEqual(len(re.findall("(?m)^ok ", full)), int(last[2]))
        self.assertEqual(len(self.look()), int(last[1]))

    def test_without_root_it_says_what_it_could_not_see(self):
        result = run(self.engine.host.enter("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", COMMAND, "doctor"),
                     check=False)
        self.assertEqual((result.returncode, result.stderr), (3, ""))
        self.assertRegex(result.stdout, r"(?m)^unchecked tables +.*needs root")
        self.assertRegex(result.stdout, r"(?m)^unchecked flowtables +.*needs root")


class BrokenHost(Doctor, unittest.TestCase):
    """One thing at a time."""

    def test_localnet(self):
        for device, level in (("uplink", "bad"), (self.engine.bridge("front"), "note")):
            key = f"net.ipv4.conf.{device}.route_localnet"
            self.engine.host.sysctl(key, 1)
            self.addCleanup(self.engine.host.sysctl, key, 0)
            self.assert_found("route-localnet", level, device)
            self.engine.host.sysctl(key, 0)
        self.assert_well_again("route-localnet")

    def test_containers_that_are_as_good_as_root(self):
        self.run_container("socket", Binds=[f"{self.engine.socket}:/engine.sock:ro"])
        self.run_container("folder", Binds=[f"{self.engine.root}:/engine"])
        self.run_container("admin", networks=(), mode="host", CapAdd=["NET_ADMIN"])
        checks = self.look(status=3)
        self.assertEqual(checks["engine-socket"]["level"], "warn")
        self.assertRegex(checks["engine-socket"]["found"], f"container socket has {self.engine.socket}")
        self.assertRegex(checks["engine-socket"]["found"], f"container folder has {self.engine.root}")
        self.assertEqual(checks["privileged"]["level"], "ok")
        self.assertRegex(checks["host-powers"]["found"], "container admin has the host's network and CAP_NET_ADMIN")
        self.assertRegex(checks["unenforced"]["found"], "container admin: ")

    def test_a_privileged_container(self):
        try:
            self.run_container("mighty", Privileged=True)
        except Failure as error:
            if "unable to apply caps" not in str(error):
                raise
            self.skipTest("this machine lacks capabilities of its own")
        self.assert_found("privileged", "warn", "container mighty is privileged")

    def test_other_firewalls(self):
        self.engine.host.run("nft", "add table inet mine; add chain inet mine block { type filter hook forward priority 5; "
                                    "policy drop; }; add chain inet mine same { type filter hook input priority -10; }; "
                                    "add chain inet mine marks { type filter hook forward priority 7; }; "
                                    "add rule inet mine marks meta mark set 7")
        self.addCleanup(self.engine.host.run, "nft", "delete", "table", "inet", "mine", check=False)
        checks = self.look(status=3)
        self.assertRegex(checks["other-firewalls"]["found"], "chain block in table inet mine drops everything")
        self.assertRegex(checks["same-priority"]["found"], "chain same in table inet mine")
        self.assertEqual(checks["mark-bit"]["level"], "warn")
        self.engine.host.run("nft", "delete", "table", "inet", "mine")
        self.assert_well_again("other-firewalls", "same-priority", "mark-bit")

    def test_flow_tables(self):
        made = self.engine.host.run("nft", "add table inet fast; add flowtable inet fast f { hook ingress priority 0; "
                                           "devices = { uplink }; }; add chain inet fast c { type filter hook forward priority "
                                           "5; }; add rule inet fast c ip protocol tcp flow add @f", check=False)
        if made.returncode != 0:
            self.skipTest("this kernel has no flow tables")
        self.addCleanup(self.engine.host.run, "nft", "delete", "table", "inet", "fast")
        self.assert_found("flowtables", "bad", "flow table f in table inet fast, devices uplink")

    def test_files(self):
        policy = os.path.join(self.cofferdam.policies, "policies.yaml")
        os.chmod(policy, 0o666)
        self.addCleanup(os.chmod, policy, 0o644)
        self.assert_found("file-permissions", "bad", re.escape(policy))
        with open(policy, encoding="utf-8") as file:
            text = file.read()
        self.addCleanup(self.cofferdam.write, text)
        self.cofferdam.write(text + "---\npolicy: x\nselekt: {}\n")
        self.assert_found("policies", "warn", "mistake.* in ")

    def test_icc(self):
        self.engine.network("still", "10.93.0.0/24", Options={"com.docker.network.bridge.enable_icc": "false"})
        self.addCleanup(self.engine.api, "DELETE", "/networks/still")
        self.assert_found("icc", "note", "network still")

    def test_without_daemon_and_without_rules(self):
        self.run_containers(web="web", db="db")
        self.cofferdam.stop(signal.SIGKILL)
        self.addCleanup(self.cofferdam.start)
        checks = self.look(status=3)
        self.assertEqual(checks["daemon"]["level"], "warn")
        self.assertEqual(checks["unenforced"]["level"], "unchecked")
        self.assertIn(checks["tables"]["level"], ("ok", "warn"))
        bridge = self.engine.bridge("front")
        self.engine.host.run("ip", "link", "set", bridge, "type", "bridge", "nf_call_iptables", "0")
        self.assert_found("bridge-filtering", "warn", f"nf_call_iptables is off on {bridge}")
        self.engine.host.run("ip", "link", "set", bridge, "type", "bridge", "no_linklocal_learn", "0")
        self.assert_found("linklocal-learn", "warn", f"{bridge} learns")
        self.engine.host.run("nft", "flush ruleset")
        self.addCleanup(self.engine.restart_dockerd)  # its rules are gone as well
        checks = self.look(status=3)
        self.assertEqual((checks["daemon"]["level"], checks["tables"]["level"]), ("bad", "bad"))

    def test_without_engine(self):
        self.engine.kill_dockerd()
        self.addCleanup(self.engine.start_dockerd)
        checks = self.look(status=3)
        self.assertEqual(checks["engine"]["level"], "warn")
        for identifier in ("engine-socket", "privileged", "icc", "bridge-filtering", "userland-proxy", "engine-tcp"):
            self.assertEqual(checks[identifier]["level"], "unchecked", checks[identifier])

    def test_an_engine_that_is_open_to_the_network(self):
        options = ["-H", "tcp://203.0.113.1:2375", "--dns", "9.9.9.9"]
        if self.engine.version >= (27, 0):  # it insists on being told, or waits
            options.append("--tls=false")
        self.engine.extra += options
        self.addCleanup(self.engine.restart_dockerd)
        self.addCleanup(self.engine.extra.__delitem__, slice(-len(options), None))
        self.engine.restart_dockerd()
        checks = self.look(status=3)
        self.assertEqual(checks["engine-tcp"]["level"], "bad", checks["engine-tcp"])
        self.assertIn("203.0.113.1 port 2375", checks["engine-tcp"]["found"])
        self.assertEqual(checks["docker-dns"]["level"], "warn")


if __name__ == "__main__":
    unittest.main()

#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What is on a managed bridge without being a container that the Engine tells of, such as a build step."""

import json
import unittest

import frames
from machine import Namespace, run
from playground import OPEN, Playground, Question

ADDRESS = {"ipv4": "10.91.250.9", "ipv6": "fd91::250:9"}
OUTSIDE = {"ipv4": {"public": "198.41.0.4", "lan": "10.77.0.10", "metadata": "169.254.169.254", "host": "10.91.0.1"},
           "ipv6": {"public": "2a00:1450:4001:800::200e", "lan": "fd77::10", "host": "fd91::1"}}


class Unknown(Playground, unittest.TestCase):
    """Every container may do everything: what is dropped is dropped because of the endpoint that nobody knows."""

    POLICIES = OPEN
    START = False

    def setUp(self):
        self.step = Namespace(self.engine.name + "-step")
        self.addCleanup(run, ["ip", "netns", "delete", self.step.name])
        bridge = self.engine.bridge("front")
        self.engine.host.batch([f"link add step type veth peer name eth0 netns {self.step.name}",
                                f"link set step master {bridge} up"])
        self.step.batch([f"address add {ADDRESS['ipv4']}/16 dev eth0", f"address add {ADDRESS['ipv6']}/64 dev eth0 nodad",
                         "link set eth0 up", "route add default via 10.91.0.1", "route add default via fd91::1"])
        self.addCleanup(self.engine.host.run, "ip", "link", "delete", "step")  # a namespace goes, and takes it, too late
        self.db = self.run_container("db", "db")

    def _start(self, **settings):
        self.cofferdam.start(**settings)
        self.addCleanup(self.cofferdam, "teardown", "--yes")

    def _results(self, questions):
        return dict(zip(map(str, questions), self.ask_all(questions)))

    def _assert_closed(self):
        """Towards containers, the host and the LAN, and from them."""
        questions = []
        for family, address in ADDRESS.items():
            questions += [Question(self.step, target, port, family) for port in ("80/tcp", "53/udp", "icmp")
                          for target in (self.db, *(OUTSIDE[family][name] for name in OUTSIDE[family] if name != "public"))]
            questions += [Question(source, address, port, family) for port in ("80/tcp", "icmp")
                          for source in (self.db, self.engine.host, self.engine.lan)]
        self.assert_results("timeout", questions)

    def _public(self):
        return [Question(self.step, OUTSIDE[family]["public"], port, family) for family in ADDRESS
                for port in ("80/tcp", "53/udp", "icmp")]

    def test_denied_by_default(self):
        self.assertEqual(set(self._results(self._public()).values()), {"connected"})
        self._start()
        self.assert_results("timeout", self._public())
        self._assert_closed()

    def test_internet_and_nothing_else(self):
        self._start(unknown_endpoints="internet")
        self.assert_results("connected", self._public(), 3000)
        self._assert_closed()
        self.assert_passes(self.db, OUTSIDE["ipv4"]["lan"], "80/tcp", ["ipv4"])

    def test_errors_about_its_connections(self):
        """Without them it would go on sending what is too large for the way."""
        uplink = json.loads(self.engine.host.run("ip", "-j", "route", "get", OUTSIDE["ipv4"]["public"]).stdout)[0]["dev"]
        self._start(unknown_endpoints="internet")
        self.engine.host.run("ip", "link", "set", uplink, "mtu", "1300")
        self.addCleanup(self.engine.host.run, "ip", "link", "set", uplink, "mtu", "1500")
        for addresses in OUTSIDE.values():
            with self.subTest(addresses["public"]):
                frames.send_large(self.step, addresses["public"])
                self.assertIn("mtu 1300", self.step.run("ip", "route", "get", addresses["public"]).stdout)

    def test_a_containers_address_is_not_unknown(self):
        """The step takes the address of a container: its permissions do not come with it."""
        self._start(unknown_endpoints="internet")
        for family, length in (("ipv4", 16), ("ipv6", 64)):
            stolen = self.db.address(family)
            self.step.run("ip", "address", "add", f"{stolen}/{length}", "dev", "eth0", *(["nodad"] * (family == "ipv6")))
            self.assert_results("timeout", [Question(self.step, target, "80/tcp", family, bind=stolen)
                                            for target in OUTSIDE[family].values()])
        self.assert_passes(self.db, OUTSIDE["ipv4"]["lan"], "80/tcp", ["ipv4"])


if __name__ == "__main__":
    unittest.main()

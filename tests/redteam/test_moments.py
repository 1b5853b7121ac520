#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Attacks on a moment: containers that flood from their first instruction on, and connections that stood before a policy was
narrowed. tests/e2e/test_starts.py and test_tightening.py ask the same of thousands of packets and all the daemon's states."""

import itertools
import time
import unittest

from redteam import ATTACK, FAMILIES, POLICIES, PORT, Attack, Redteam
from paths import arrivals, interface_mac

# pylint: disable=wrong-import-order
from machine import wait_until
from playground import Talk

STARTS = 3  # of each kind
NARROW = POLICIES.replace("[80/tcp, 53/udp, icmp/echo-request]", "[icmp/echo-request]")
UNKNOWN = "no live container has this address|not this port's address|no policy lets"


class Moments(Redteam, unittest.TestCase):
    TITLE = f"Moments: {STARTS} starts each"

    @classmethod
    def attacks(cls):
        return [cls.attempt(target, family, frames) for target, family, frames in
                itertools.product((cls.victim, cls.other), FAMILIES, (False, True))]

    @classmethod
    def attempt(cls, target, family, frames):
        address = target.address(family)
        own = {"ipv4": "10.91.0.{}", "ipv6": "fd91::{}"}

        def send(attempt):
            phase = 100 if "without" in attempt.results else 60  # other addresses: nobody's neighbour tables know them
            wanted = {}
            for number in range(phase, phase + STARTS):
                command = ["probe", "shout", address, str(PORT), "2000", "100"]
                if frames:
                    mac = target.mac("front") if target is cls.victim else interface_mac(cls.engine.host, cls.engine.bridge("front"))
                    command = ["/attack", "packet", f"from={own[family].format(number)}", f"to={address}", f"dport={PORT}", f"dmac={mac}",
                               "count=200"]
                wanted[f"start-{number}"] = {"networks": [("front", own["ipv4"].format(number), own["ipv6"].format(number))],
                                             "command": command, "Binds": [ATTACK + ":/attack:ro"]}
            started = cls.engine.run_all(wanted)
            for container in started.values():
                wait_until(lambda container=container: not container.inspect()["State"]["Running"], 20, "the flood to end", gap=0.1)
                container.remove()

        return Attack("a start, " + ("frames" if frames else "datagrams"), None, send, arrivals(target), family,
                      f"starting -> {target.name}", UNKNOWN, 10 * STARTS)

    def test_narrowing_ends_what_stands(self):
        """Within a second of apply, and only what is no longer allowed; whereas ordinary rules in front of which stands
        "established: accept" let it go on, which is what this kernel would do with them here."""
        self.cofferdam.apply(POLICIES)
        self.addCleanup(self.cofferdam.apply, POLICIES)
        narrowed = [Talk(self.attacker, proto, self.victim.address(family), port)
                    for family in FAMILIES for proto, port in (("tcp", 80), ("udp", 53))]
        kept = [Talk(self.victim, proto, self.bystander.address(family), port)
                for family in FAMILIES for proto, port in (("tcp", 80), ("udp", 53))]
        for talk in narrowed + kept:
            self.assertEqual(talk.__enter__().say(), "answered")
            self.addCleanup(talk.__exit__)
        self._with_stateful_rules(lambda: [self.assertEqual(talk.say(), "answered", "stateful rules") for talk in narrowed])
        self.cofferdam.apply(NARROW)
        time.sleep(1)
        for talk in narrowed:
            self.assertEqual(talk.say(), "timeout")
        for talk in kept:
            self.assertEqual(talk.say(), "answered")

    def _with_stateful_rules(self, action):
        for command in ("iptables", "ip6tables"):
            rules = [["-m", "conntrack", "--ctstate", "ESTABLISHED", "-j", "ACCEPT"], ["-p", "tcp", "--dport", "80", "-j", "DROP"],
                     ["-p", "udp", "--dport", "53", "-j", "DROP"]]
            for number, rule in enumerate(rules, 1):
                self.engine.host.run(command, "-I", "FORWARD", str(number), *rule)
        try:
            self.assert_dropped(self.attacker, self.victim, "80/tcp")
            action()
        finally:
            for command in ("iptables", "ip6tables"):
                for _ in range(3):
                    self.engine.host.run(command, "-D", "FORWARD", "1")


if __name__ == "__main__":
    unittest.main()

#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What is no longer allowed ends, flows that stand already as well; what still is loses no packet."""

import threading
import time
import unittest

from engine import OUTSIDE
from flows import BASE, Traffic, table
from pairs import MORE, Pair

END = 1.0  # seconds after apply has returned
WIDE = BASE.replace("[5000/udp, 5001/tcp]", "[5000/udp, 5001/tcp, 5002/udp, 5003/tcp]")
DENY = ("---\npolicy: deny-more\nselect: {labels: {role: client}}\n"
        "ingress: [{deny: true, ports: [5002/udp, 5003/tcp]}]\negress: [{deny: true, ports: [5002/udp, 5003/tcp]}]\n")
JOBS = BASE.replace("labels: {role: client}", "name: 'job-*'", 1).replace("policy: client", "policy: jobs")
JOBS = JOBS.replace("[5000/udp, 5001/tcp]", "[5002/udp, 5003/tcp]").replace("policy: server", "policy: server-of-jobs")
JOBS = JOBS.replace("from: [{labels: {role: client}}]", "from: [{name: 'job-*'}]")


class Tightening(Traffic, unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.start_floods()

    def _pairs(self, source, targets):
        pairs = []
        self.addCleanup(lambda: [pair.close() for pair in pairs])
        for target, addresses in targets:
            for address in addresses:
                for proto in MORE:
                    pairs.append(Pair(proto, source, target, address))
        return pairs

    @staticmethod
    def _talk(pairs, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for pair in pairs:
                pair.speak()
                pair.listen()
            time.sleep(0.01)

    def _tighten(self, title, pairs, action):
        """All pairs have to end, and nothing else; action() returns when the change is in force."""
        self.go()
        self._talk(pairs, 1)
        for pair in pairs:
            self.assertTrue(time.monotonic() - min(pair.heard.values()) < 0.5, f"{pair.name} did not talk")
        thread = threading.Thread(target=self._talk, args=(pairs, 4.0))
        thread.start()
        action()
        returned = time.monotonic()
        thread.join()
        self._talk(pairs, 0.5)  # resumed from either side
        found = self.stop()
        rows = [(pair.name, *(f"{1000 * (heard - returned):+.0f} ms" for heard in pair.heard.values())) for pair in pairs]
        table(f"{title}: when something arrived last", ["flow", "there", "back"], rows)
        print(f"flows that stay allowed: lost {found.lost} of {found.sent}; denied arrived: {found.denied}")
        self.assertEqual((found.lost, found.denied), (0, 0), found)
        lasting = [pair.name for pair in pairs if max(pair.heard.values()) > returned + END]
        self.assertEqual(lasting, [])

    def _everywhere(self):
        families = ("ipv4", "ipv6")
        return [(self.server, [self.server.address(family) for family in families]),
                (self.far, [self.far.address(family) for family in families]),
                (self.engine.host, ["10.91.0.1", "fd91::1"]),
                (self.engine.lan, [OUTSIDE[family]["public"] for family in families])]

    def test_ports_are_taken_away(self):
        self.cofferdam.apply(WIDE)
        self._tighten("ports taken away", self._pairs(self.client, self._everywhere()), lambda: self.cofferdam.apply(BASE))

    def test_ports_are_taken_away_from_those_outside(self):
        self.cofferdam.apply(WIDE)
        own = [self.client.address(family) for family in ("ipv4", "ipv6")]
        pairs = self._pairs(self.engine.lan, [(self.client, own)]) + self._pairs(self.engine.host, [(self.far, [])])
        self._tighten("ports taken away from those outside", pairs, lambda: self.cofferdam.apply(BASE))

    def test_a_deny_rule_comes(self):
        self.cofferdam.apply(WIDE)
        self._tighten("deny rule", self._pairs(self.client, self._everywhere()), lambda: self.cofferdam.apply(WIDE + DENY))

    def test_a_policy_goes_by_the_name(self):
        self.cofferdam.apply(BASE + "---" + JOBS)
        job = self.run_container("job-1", "job")
        self.cofferdam.settle()
        self._tighten("renamed", self._pairs(job, self._everywhere()), lambda: job.rename("other"))


if __name__ == "__main__":
    unittest.main()

#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The Docker Engine is killed and started, with and without live-restore, and the whole machine boots, while containers
that are always restarted flood from their first instruction."""

import contextlib
import itertools
import re
import time
import unittest

from cofferdam import Cofferdam
from engine import OUTSIDE, Engine
from flows import BASE, Drain, Flow, Round, table
from machine import wait_until
from playground import Playground, Question

AGAIN = 5.0  # seconds from the API's first answer until what is allowed works again
# Behind all other rules: what of the flood is about to reach a container, the host or the outside.
WITNESS = """
table bridge witness {
	chain postrouting {
		type filter hook postrouting priority 350; policy accept;
		udp sport 7000-7999 counter comment "to a container"
		tcp sport 7000-7999 counter comment "to a container"
	}
}
table inet witness {
	chain input {
		type filter hook input priority 350; policy accept;
		udp sport 7000-7999 counter comment "to the host"
		tcp sport 7000-7999 counter comment "to the host"
	}
	chain postrouting {
		type filter hook postrouting priority 350; policy accept;
		oifname "uplink" udp sport 7000-7999 counter comment "to the outside"
		oifname "uplink" tcp sport 7000-7999 counter comment "to the outside"
	}
}
"""


def flood_command():
    """At all addresses that a container here may get, the host and the outside."""
    addresses = [f"{net}{host}" for net in ("10.91.0.", "fd91::", "10.92.0.", "fd92::") for host in range(1, 7)]
    addresses += [OUTSIDE[family][name] for family in OUTSIDE for name in ("public", "public-2", "testnet")]
    return ["probe", "flood", "300", *(f"{proto},{address},{port}" for address in addresses
                                       for proto, port in (("udp", 5000), ("tcp", 5001)))]


class Boot(Playground):
    """Mixed into a TestCase."""

    OPTIONS = ()
    POLICIES = BASE
    FAMILIES = ("ipv4", "ipv6")

    @classmethod
    def setUpClass(cls):
        cls.engine = Engine(dockerd=cls.OPTIONS, isolation=False)
        cls.addClassCleanup(cls.engine.stop)
        cls.engine.start()
        cls.engine.network("front", "10.91.0.0/16", "fd91::/64")
        cls.engine.network("back", "10.92.0.0/24", "fd92::/64")
        cls.drain = Drain(cls.engine.lan)
        cls.addClassCleanup(cls.drain.close)
        cls.engine.host.run("nft", "-f", "-", stdin=WITNESS)
        cls.cofferdam = Cofferdam(cls.engine)
        cls.cofferdam.write(cls.POLICIES)
        cls.always = {"RestartPolicy": {"Name": "always"}}
        serve = ["probe", "serve", "5000/udp", "5001/tcp"]
        cls.client = cls.engine.run("client", ["front"], labels={"role": "client"}, command=serve, **cls.always)
        cls.server = cls.engine.run("server", ["front"], labels={"role": "server"}, command=serve, **cls.always)
        cls.far = cls.engine.run("far", ["back"], labels={"role": "server"}, command=serve, **cls.always)
        for name, network in (("rogue", "front"), ("rogue-far", "back")):
            cls.engine.run(name, [network], labels={"role": name}, command=flood_command(), **cls.always)
        cls._prove_the_witness()
        cls.cofferdam.start()
        for container in (cls.client, cls.server, cls.far):
            container.restart()  # rid of the flood's connections, which would hold network namespaces when their process ends
        cls.engine.forget_connections()
        time.sleep(4)  # until the host gives up on addresses that nobody has: what it keeps for them, it took before the rules
        cls.cofferdam.settle()
        cls.rows = []
        cls.addClassCleanup(lambda: table(f"dockerd {' '.join(cls.OPTIONS)}", ["what", "leaked", "where", "API to allowed"], cls.rows))

    @classmethod
    def _prove_the_witness(cls):
        def all_seen():
            return len(cls._witnessed()) == 3 and cls.drain.report()["denied"]

        wait_until(all_seen, 10, "the flood to be seen, as there are no rules yet", gap=0.2)

    @classmethod
    def _witnessed(cls):
        """{where: packets} of the flood since the last call."""
        counts = {}
        for family in ("bridge", "inet"):
            text = cls.engine.host.run("nft", "list", "table", family, "witness").stdout
            for packets, where in re.findall(r'counter packets (\d+) bytes \d+ comment "to (?:a |the )?(\w+)"', text):
                counts[where] = counts.get(where, 0) + int(packets)
        before, cls.before = getattr(cls, "before", {}), counts
        return {where: count - before.get(where, 0) for where, count in counts.items() if count > before.get(where, 0)}

    def setUp(self):
        self.assertTrue(self.cofferdam.process.alive)
        self._allowed_within(AGAIN)
        self._witnessed()
        self.drain.report()

    def _allowed(self):
        """Every allowed pair works."""
        questions = [Question(self.client, target, "5001/tcp", family) for target in (self.server, self.far)
                     for family in self.FAMILIES]
        try:
            return self.ask_all(questions, timeout=250) == ["connected"] * len(questions)
        except Exception:  # pylint: disable=broad-except
            return False  # it does not run yet

    def _allowed_within(self, seconds):
        began = time.monotonic()
        wait_until(self._allowed, seconds, "what is allowed to work again", gap=0.05)
        return time.monotonic() - began

    def _assert_closed(self, what, took):
        time.sleep(0.5)
        leaked, outside = self._witnessed(), self.drain.report()
        self.rows.append([what, sum(leaked.values()) + outside["denied"], leaked or "-", f"{1000 * took:.0f} ms"])
        self.assertEqual(leaked, {}, what)
        self.assertEqual(outside["denied"], 0, outside["what"])

    def _floods(self):
        """The rogues run, and so flood."""
        names = [entry["Names"][0] for entry in self.engine.api("GET", "/containers/json")]
        return {"/rogue", "/rogue-far"} <= set(names)

    def test_dockerd_is_killed(self):
        self.engine.kill_dockerd()
        time.sleep(1)
        self.engine.start_dockerd()
        took = self._allowed_within(AGAIN)
        wait_until(self._floods, 5, "the rogues to run")
        self._assert_closed("dockerd killed and started", took)

    def test_network_namespaces_are_left_over(self):
        """When dockerd is killed, the ports of its containers stay on the bridges as long as anything holds their network
        namespaces, such as a TCP connection that nobody answers any more. New containers get the same hardware addresses."""
        with contextlib.ExitStack() as held:
            for container in (self.client, self.server, self.far):
                held.enter_context(open(f"/proc/{container.pid}/ns/net", "rb"))
            self.engine.kill_dockerd(containers=True)
            self.engine.start_dockerd()
            took = self._allowed_within(AGAIN)
            self._assert_closed("dockerd killed, ports left over", took)
        self._allowed_within(AGAIN)

    def test_the_machine_boots(self):
        """No tables, no bridges, no containers; Cofferdam comes first, with the state of its last run."""
        self._shut_down()
        settle, self.cofferdam.settle = self.cofferdam.settle, lambda seconds: None
        try:
            self.cofferdam.start()
        finally:
            self.cofferdam.settle = settle
        wait_until(self._stands, 10, "rules to stand before the Engine does")
        self._witnessed()
        self.drain.report()
        self.engine.start_dockerd()
        took = self._allowed_within(AGAIN)
        wait_until(self._floods, 5, "the rogues to run")
        self._assert_closed("boot", took)

    def _shut_down(self):
        self.cofferdam.stop()
        self.engine.kill_dockerd(containers=True)
        for line in self.engine.tables():
            if line.split()[2] == "cofferdam":
                self.engine.host.run("nft", "delete", *line.split())
        for bridge in self.engine.bridge_switches():
            self.engine.host.run("ip", "link", "delete", bridge)
        for veth in re.findall(r"^\d+: (veth\w+)@", self.engine.host.run("ip", "-o", "link").stdout, re.MULTILINE):
            self.engine.host.run("ip", "link", "delete", veth)
        self.engine.forget_connections()

    def _stands(self):
        return "cofferdam" in "".join(self.engine.tables())


class Restarts(Boot, unittest.TestCase):
    def test_addresses_are_swapped(self):
        """What one container was granted must not pass to the next one at its address, whichever starts first."""
        names = {"heir": {"role": "heir"}, "owner": {"role": "client"}}
        containers = {}
        for name in ("owner", "heir"):
            command = flood_command() if name == "heir" else ["probe", "serve", "5001/tcp"]
            containers[name] = self.engine.create(name, ["front"], labels=names[name], command=command)
            self.addCleanup(containers[name].remove)
            containers[name].start()
        owner, heir = containers["owner"], containers["heir"]
        self.cofferdam.settle()
        before = [container.addresses(family)["front"] for container in (owner, heir) for family in self.FAMILIES]
        self.engine.kill_dockerd(containers=True)
        self.engine.start_dockerd()
        self._allowed_within(AGAIN)
        began = time.monotonic()
        heir.start()
        owner.start()
        self.follow(owner, self.server, "5001/tcp")
        took = time.monotonic() - began
        after = [container.addresses(family)["front"] for container in (heir, owner) for family in self.FAMILIES]
        swapped = "swapped" if before == after else f"{before} -> {after}"
        self._assert_closed(f"addresses {swapped}", took)


class LiveRestore(Boot, unittest.TestCase):
    OPTIONS = ("--live-restore",)
    POLICIES = BASE.replace("[5000/udp, 5001/tcp]", "[5000/udp, 5001/tcp, 5002/udp, 5003/tcp]")

    def test_flows_go_on(self):
        """The containers never stop, and what they say to each other loses no packet. On one bridge: between two, Docker's own
        rules drop, while it starts, what the test's engine lets pass otherwise."""
        drains = {target.name: Drain(target, ports=["5002/udp", "5003/tcp"]) for target in (self.server,)}
        flows = {}
        for target, style, family in itertools.product((self.server,), ("udp", "udp-new", "tcp", "tcp-new"), self.FAMILIES):
            flow = Flow(style, self.client, target, target.address(family), port=5003 if style.startswith("tcp") else 5002)
            flows[flow.name] = flow
        for tool in (*drains.values(), *flows.values()):
            self.addCleanup(tool.close)
        for flow in flows.values():
            flow.go()
        self.engine.kill_dockerd()
        time.sleep(1)
        self.engine.start_dockerd()
        took = self._allowed_within(AGAIN)
        self.cofferdam.settle()
        for flow in flows.values():
            flow.stop()
        time.sleep(0.1)
        reports = {name: drain.report() for name, drain in drains.items()}
        found = Round({name: flow.result(reports[flow.target.name]["flows"]) for name, flow in flows.items()}, reports)
        self._assert_closed(f"dockerd killed; flows that went on lost {found.lost} of {found.sent}", took)
        self.assertEqual(found.lost, 0, found)


if __name__ == "__main__":
    unittest.main()

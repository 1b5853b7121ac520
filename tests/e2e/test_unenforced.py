#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What cannot be enforced is found and named with the reason, and what is enforced after all is."""

import time
import unittest

from cofferdam import Cofferdam, follows
from engine import Engine
from machine import Failure, run
from playground import NOTHING, OPEN, Playground

LAN = "203.0.113.2"


class Reasons:
    """Mixed into tests with self.cofferdam."""

    def entry(self, name, status=None):
        """What the status document says of a container."""
        found = [entry for entry in (status or self.cofferdam.json("status"))["containers"] if entry["name"] == name]
        return found[0] if found else None

    def assert_unenforced(self, container, reason):
        """Status names the container with this reason, as JSON and as text, and its exit status tells."""
        follows(lambda: (self.entry(container.name) or {}).get("reason") == reason, f"the reason of {container.name}")
        self.assertFalse(self.entry(container.name)["enforced"])
        answer = self.cofferdam("status")
        self.assertEqual(answer.returncode, 3)
        self.assertIn("Not everything is enforced", answer.stdout)
        self.assertRegex(answer.stdout, rf"(?m)^  {container.name} .*not enforced: {_literal(reason)}$")

    def assert_caution(self, container, beginning):
        follows(lambda: ((self.entry(container.name) or {}).get("caution") or "").startswith(beginning),
                f"the caution about {container.name}")
        self.assertIn(f"  {container.name} {beginning}", self.cofferdam("status").stdout.partition("\nNotes\n")[2])

    def assert_all_enforced(self):
        follows(lambda: self.cofferdam("status").returncode == 0, "everything to be enforced")


def _literal(text):
    return "".join("\\" + letter if letter in "().*+?[]" else letter for letter in text)


class Unenforced(Reasons, Playground, unittest.TestCase):
    POLICIES = NOTHING

    def setUp(self):
        self.cofferdam.apply(NOTHING)
        self.assert_all_enforced()

    def run_in_mode(self, name, mode, **options):
        container = self.engine.create(name, (), mode=mode, command=["probe", "serve", "81/tcp"], **options)
        self.addCleanup(self._remove, container)
        return container.start()

    def test_the_hosts_network(self):
        agent = self.run_in_mode("agent", "host")
        self.assert_unenforced(agent, "uses the host's network")
        self.assert_passes(agent, LAN, "80/tcp", families=["ipv4"])  # which is what "not enforced" means
        self.cofferdam.apply("policy: agent\nselect: {name: agent}\n")
        self.assertIn("policy agent has no effect: it selects only containers that are not enforced",
                      self.cofferdam.json("status")["problems"])
        agent.stop()  # what does not run needs no enforcing
        self.assert_all_enforced()

    def test_the_hosts_network_and_its_administration(self):
        reason = "uses the host's network, and may change it and these rules (CAP_NET_ADMIN)"
        agent = self.run_in_mode("agent", "host", CapAdd=["NET_ADMIN"])
        self.assert_unenforced(agent, reason)
        agent.remove()
        agent = self.engine.create("agent", (), mode="host", Privileged=True)
        self.addCleanup(self._remove, agent)
        follows(lambda: (self.entry("agent") or {}).get("reason") == reason, "the reason")

    def test_no_network(self):
        none = self.run_in_mode("nobody", "none")
        follows(lambda: self.entry(none.name), "the container to be known")
        self.assertTrue(self.entry(none.name)["enforced"])
        self.assert_all_enforced()

    def other_network(self, name, subnet, **options):
        identifier = self.engine.network(name, subnet, **options)
        self.addCleanup(lambda: self.engine.api("DELETE", f"/networks/{identifier}"))

    def test_macvlan(self):
        self.other_network("lan", "203.0.113.0/24", Driver="macvlan", Options={"parent": "uplink"})
        try:
            tap = self.run_container("tap", networks=[("lan", "203.0.113.66", None)])
        except Failure as error:
            self.skipTest(f"this kernel has no macvlan: {error}")
        self.assert_unenforced(tap, "is on network lan, which is not managed: its driver is macvlan, not bridge")
        self.assert_passes(tap, LAN, "80/tcp", families=["ipv4"])
        self.assertRegex(self.cofferdam("status").stdout, r"(?m)^  lan +- +not managed: its driver is macvlan, not bridge$")

    def test_macvlan_on_a_managed_bridge(self):
        """Its frames come to the bridge as the host's do: what cannot be closed is named."""
        web = self.run_container("web")
        self.other_network("upon", "10.55.0.0/24", Driver="macvlan", Options={"parent": self.engine.bridge("front")})
        follows(lambda: self.cofferdam("status").returncode == 3, "the network to be named")
        named = f"network upon (macvlan) sits on {self.engine.bridge('front')}, the bridge of network front"
        self.assertTrue(any(problem.startswith(named) for problem in self.cofferdam.json("status")["problems"]))
        try:
            tap = self.run_container("tap", networks=["upon"])
        except Failure as error:
            self.skipTest(f"this kernel has no macvlan: {error}")
        run(tap.enter("ip", "address", "add", "10.91.200.7/16", "dev", "eth0"))
        self.assert_passes(tap, web, "80/tcp", families=["ipv4"], bind="10.91.200.7")  # which is why

    def test_a_managed_network_beside_macvlan(self):
        self.other_network("lan", "203.0.113.0/24", Driver="macvlan", Options={"parent": "uplink"})
        front, both = self.run_container("web"), self.engine.create(
            "both", ["front", ("lan", "203.0.113.66", None)], command=["probe", "serve", "80/tcp"])
        self.addCleanup(self._remove, both)
        try:
            both.start()
        except Failure as error:
            self.skipTest(f"this kernel has no macvlan: {error}")
        self.assert_unenforced(both, "is on network lan, which is not managed: its driver is macvlan, not bridge")
        self.assert_dropped(front, both, "80/tcp", network="front", families=["ipv4"])
        self.assert_dropped(both, front, "80/tcp", families=["ipv4"])

    def test_ipvlan(self):
        reason = "is on network thin, which is not managed: its driver is ipvlan, not bridge"
        self.other_network("thin", "203.0.113.0/24", Driver="ipvlan", Options={"parent": "uplink"})
        tap = self.engine.create("tap", ["thin"], command=["probe", "serve", "80/tcp"])
        self.addCleanup(self._remove, tap)
        follows(lambda: (self.entry("tap") or {}).get("reason") == reason, "the reason")
        try:
            tap.start()
        except Failure as error:
            self.skipTest(f"this kernel has no ipvlan: {error}")
        self.assert_unenforced(tap, reason)

    def test_overlay(self):
        try:
            self.engine.api("POST", "/swarm/init", {"ListenAddr": "203.0.113.1:2377", "AdvertiseAddr": "203.0.113.1"})
        except Failure as error:
            self.skipTest(f"no swarm here: {error}")
        self.addCleanup(lambda: self.engine.api("POST", "/swarm/leave?force=1"))
        self.other_network("wide", "10.52.0.0/24", Driver="overlay", Attachable=True)
        tap = self.run_container("tap", networks=["wide"])
        self.assert_unenforced(tap, "is on network wide, which is not managed: its driver is overlay, not bridge")
        self.assert_passes(tap, LAN, "80/tcp", families=["ipv4"])

    def test_a_joined_network(self):
        web, db = self.run_containers(web="web", db="db")
        joined = self.run_in_mode("joined", f"container:{web.id}")
        follows(lambda: self.entry("joined"), "the container to be known")
        self.assertTrue(self.entry("joined")["enforced"])
        self.assertIsNone(self.entry("joined")["caution"])
        self.assert_dropped(joined, db)
        self.assert_all_enforced()

    def test_a_joined_network_that_it_may_change(self):
        """It can take addresses as it likes: they do not get past the port that it shares."""
        self.cofferdam.apply(OPEN)
        web, db, other = self.run_containers(web="web", db="db", other="other")
        joined = self.run_in_mode("joined", f"container:{web.id}", CapAdd=["NET_ADMIN"])
        self.assert_caution(joined, "may change addresses, routes and filters of container web, whose network it shares")
        self.assertTrue(self.entry("joined")["enforced"])
        self.assert_passes(joined, db, families=["ipv4"])
        stolen = other.address()
        other.stop()
        for command in (f"address add {stolen}/16 dev eth0", "address add 10.91.77.77/16 dev eth0"):
            self.engine.docker("exec", "joined", "busybox", "ip", *command.split())
        for bind in (stolen, "10.91.77.77"):
            self.assert_dropped(web, db, families=["ipv4"], bind=bind)
        self.assert_passes(web, db, families=["ipv4"], bind=web.address())
        self.engine.docker("exec", "joined", "busybox", "ip", "link", "set", "eth0", "address", "02:00:00:00:77:77")
        self.assert_dropped(web, db, families=["ipv4"], bind=web.address())

    def test_a_joined_network_that_goes(self):
        self.cofferdam.apply(OPEN)
        web, db = self.run_containers(web="web", db="db")
        joined = self.run_in_mode("joined", f"container:{web.id}")
        self.follow(joined, db, families=["ipv4"])
        web.stop()
        self.assert_caution(joined, "has no network, as container web does not run")
        self.assert_no_network(joined)
        web.start()
        self.follow(web, db, families=["ipv4"])
        self.assert_no_network(joined)  # the namespace that it holds on to is no longer web's
        joined.restart()
        self.follow(joined, db, families=["ipv4"])
        web.remove()
        self.assert_unenforced(joined, f"shares the network of container {web.id}, which is not known")
        self.assert_no_network(joined)

    def assert_no_network(self, container):
        self.assertNotIn("eth0", run(container.enter("ip", "-o", "link")).stdout)

    def test_a_joined_host_network(self):
        agent = self.run_in_mode("agent", "host")
        joined = self.run_in_mode("joined", f"container:{agent.id}")
        self.assert_unenforced(joined, "shares the network of container agent, which uses the host's network")

    def test_privileged(self):
        db = self.run_container("db")
        try:
            web = self.run_container("web", Privileged=True)
        except Failure as error:
            self.skipTest(f"privileges are not to be had here: {error}")
        self.assert_caution(web, "is privileged: root in it can take over the host")
        self.assertTrue(self.entry("web")["enforced"])
        self.assert_dropped(web, db, families=["ipv4"])

    def test_another_engine(self):
        """Its networks are none of ours, and all is open there."""
        other = Neighbour(self.engine)
        self.addCleanup(other.stop)
        other.start()
        identifier = other.network("theirs", "10.98.0.0/24")
        container = other.run("theirs", ["theirs"])
        follows(lambda: self.cofferdam("status").returncode == 3, "the other Engine to be seen")
        problems = "\n".join(self.cofferdam.json("status")["problems"])
        self.assertIn(f"bridge br-{identifier[:12]} looks like a Docker Engine's and is none of this one's", problems)
        self.assert_passes(container, LAN, "80/tcp", families=["ipv4"])
        container.remove()
        self.assert_all_enforced()


class Neighbour(Engine):
    """A second Engine in the namespaces of another one."""

    def __init__(self, other):
        super().__init__(dockerd=["--bridge=none"])
        self.other = other

    def _namespaces(self):
        self.host, self.lan = self.other.host, self.other.lan


class Rootless(Reasons, unittest.TestCase):
    """As it calls itself; the daemon is where root is, and the Engine's bridges are elsewhere."""

    DOCKERD = ["--rootless"]

    @classmethod
    def setUpClass(cls):
        cls.engine = Engine(dockerd=cls.DOCKERD)
        cls.addClassCleanup(cls.engine.stop)
        try:
            cls.engine.start()
        except Failure as error:
            raise unittest.SkipTest(f"this Engine does not start like that: {error}") from error
        cls.engine.network("front", "10.91.0.0/16")
        cls.cofferdam = Cofferdam(cls.engine)
        cls.cofferdam.space = cls.engine.lan
        cls.cofferdam.write(NOTHING)
        cls.web = cls.engine.run("web", ["front"])
        cls.cofferdam.start()

    def test_it_says_so(self):
        self.assert_unenforced(self.web, "the Docker Engine is rootless, and its bridges are where these rules are not")
        self.assertTrue(any(problem.startswith("the Docker Engine is rootless")
                            for problem in self.cofferdam.json("status")["problems"]))
        self.assertIn("this Docker Engine is rootless", self.cofferdam.log())
        self.assertFalse(any(network["enforced"] for network in self.cofferdam.json("status")["networks"]))
        self.assert_explained()

    def assert_explained(self):
        answer = self.cofferdam("explain", "web", LAN, "80/tcp")
        self.assertEqual(answer.returncode, 0)
        self.assertIn("80/tcp: not enforced", answer.stdout)


class Elsewhere(Reasons, unittest.TestCase):
    """An Engine in a network namespace of its own that does not say so."""

    DOCKERD = []
    setUpClass = Rootless.__dict__["setUpClass"]
    assert_explained = Rootless.assert_explained

    def test_it_says_so(self):
        bridge = self.engine.bridge("front")
        self.assert_unenforced(self.web, f"is on network front: its bridge {bridge} is not in this network namespace")
        time.sleep(0.5)
        self.assertEqual(self.cofferdam("status").returncode, 3)
        self.assert_explained()


if __name__ == "__main__":
    unittest.main()

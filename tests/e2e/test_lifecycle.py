#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Containers and networks come, go and change while the daemon runs; it follows, and is never restarted here."""

import time
import unittest

from cofferdam import follows
from machine import run
from playground import OPEN, ROLES, Playground, Talk


class Lifecycle(Playground, unittest.TestCase):
    def setUp(self):
        self.cofferdam.apply(ROLES)
        self.addCleanup(lambda: self.assertTrue(self.cofferdam.process.alive, self.cofferdam.log()[-3000:]))

    def pair(self):
        web, db = self.run_containers(web="web", db="db")
        self.follow(web, db)
        return web, db

    def test_run(self):
        web, db = self.pair()
        self.assert_passes(web, db, "53/udp")
        self.assert_passes(web, db, "icmp")
        self.assert_dropped(web, db, "80/tcp")
        self.assert_dropped(db, web)
        self.assert_passes(self.engine.host, web, "80/tcp")

    def test_the_docker_command(self):
        web, db = self.pair()
        db.remove()
        identifier = self.engine.docker("run", "-d", "--name", "db", "--network", "front", "--label", "role=db", "probe:1",
                                        "probe", "serve", "5432/tcp").stdout.strip()
        self.addCleanup(self.engine.docker, "rm", "-f", identifier, check=False)
        address = self.engine.docker("inspect", "-f", "{{.NetworkSettings.Networks.front.IPAddress}}", "db").stdout.strip()
        self.follow(web, address, families=["ipv4"])
        self.engine.docker("stop", "-t", "1", "db")
        self.engine.docker("start", "db")
        address = self.engine.docker("inspect", "-f", "{{.NetworkSettings.Networks.front.IPAddress}}", "db").stdout.strip()
        self.follow(web, address, families=["ipv4"])

    def test_stop_and_start(self):
        web, db = self.pair()
        db.stop()
        db.start()
        self.follow(web, db)
        db.restart()
        self.follow(web, db)
        self.assert_dropped(web, db, "80/tcp")

    def test_an_address_is_not_inherited(self):
        web = self.run_container("web", "web")
        db = self.run_container("db", "db", [("front", "10.91.5.5", "fd91::5:5")])
        self.follow(web, db)
        db.remove()
        thief = self.run_container("thief", "other", [("front", "10.91.5.5", "fd91::5:5")])
        for _ in range(4):
            self.assert_dropped(web, thief)
        self.assert_cut_off(thief, web)
        thief.remove()
        heir = self.run_container("heir", "db", [("front", "10.91.5.5", "fd91::5:5")])
        self.follow(web, heir)

    def test_rename(self):
        self.cofferdam.apply(ROLES + "---\npolicy: api\nselect: {name: 'api-*'}\ningress: [{from: [host], ports: [53/udp]}]\n")
        plain = self.run_container("plain")
        self.assert_dropped(self.engine.host, plain, "53/udp")
        plain.rename("api-1")
        self.follow(self.engine.host, plain, "53/udp")
        plain.rename("plain")
        self.follow(self.engine.host, plain, "53/udp", passes=False)

    def test_network_connect_and_disconnect(self):
        web = self.run_container("web", "web", ["back"])
        db = self.run_container("db", "db")
        self.follow(web, db)
        self.engine.connect("back", db)
        self.follow(web, db, network="back")
        self.assert_dropped(web, db, "80/tcp", network="back")
        for turn in range(2):
            self.engine.disconnect("back", db)
            other = self.run_container(f"other-{turn}", "other", ["back"])
            self.assert_dropped(web, other)
            self.engine.connect("back", db)
            self.follow(web, db, network="back")
            self.assert_dropped(web, other)

    def test_a_new_network(self):
        name = "fresh"
        identifier = self.engine.network(name, "10.93.0.0/24", "fd93::/64")
        self.addCleanup(lambda: self.engine.api("DELETE", f"/networks/{identifier}"))
        web, db = self.run_container("web", "web", [name]), self.run_container("db", "db", [name])
        self.follow(web, db)
        self.assert_dropped(web, db, "80/tcp")
        self.assert_dropped(web, "198.41.0.4", "80/tcp", families=["ipv4"])
        self.assert_dropped(web, "10.93.0.1", "80/tcp", families=["ipv4"])
        self.assertIn(name, [network["name"] for network in self.cofferdam.json("status")["networks"]])

    def test_a_network_with_a_bridge_name_of_its_own(self):
        options = {"com.docker.network.bridge.name": "custom0"}
        for turn in range(2):  # removed and made again: another bridge of the same name
            identifier = self.engine.network("custom", "10.94.0.0/24", "fd94::/64", Options=options)
            web, db = self.run_container("web", "web", ["custom"]), self.run_container("db", "db", ["custom"])
            self.follow(web, db)
            self.assert_dropped(web, db, "80/tcp")
            self.assert_dropped(db, web)
            web.remove()
            db.remove()
            self.engine.api("DELETE", f"/networks/{identifier}")
            self.assertEqual(self.cofferdam("status").returncode, 0, turn)

    def test_the_default_bridge(self):
        web, db = self.run_container("web", "web", ["bridge"]), self.run_container("db", "db", ["bridge"])
        self.follow(web, db, families=["ipv4"])
        self.assert_dropped(web, db, "80/tcp", families=["ipv4"])
        self.assert_dropped(db, web, families=["ipv4"])

    def test_an_internal_network(self):
        identifier = self.engine.network("inside", "10.95.0.0/24", "fd95::/64", Internal=True)
        self.addCleanup(lambda: self.engine.api("DELETE", f"/networks/{identifier}"))
        web, db = self.run_container("web", "web", ["inside"]), self.run_container("db", "db", ["inside"])
        self.follow(web, db)
        self.assert_dropped(web, db, "80/tcp")

    def test_a_shared_network_namespace(self):
        web, db = self.pair()
        joined = self.engine.create("joined", (), mode=f"container:{web.id}", labels={"role": "other"},
                                    command=["probe", "serve", "81/tcp"])
        self.addCleanup(joined.remove)
        joined.start()
        time.sleep(0.3)
        self.assert_passes(joined, db)
        self.assert_dropped(joined, db, "80/tcp")
        self.cofferdam.apply(ROLES + "---\npolicy: joined\nselect: {labels: {role: other}}\negress: [{}]\n")
        follows(lambda: any("policy joined has no effect" in problem for problem in self.cofferdam.json("status")["problems"]),
                "the policy to be called ineffective")
        self.assert_dropped(joined, db, "80/tcp")

    def test_nothing_passes_before_the_daemon_knows(self):
        """From its first instruction on, a container that nothing is granted to gets no datagram out."""
        seen = self.engine.path(f"serve-{self.engine.lan.name}.log")
        web = self.run_container("web", "web")
        for name, address in (("ipv4", "198.41.0.4"), ("ipv6", "2a00:1450:4001:800::200e")):
            with open(seen, encoding="utf-8") as log:
                before = log.read().count("\n")
            container = self.engine.create("shouter-" + name, ["front"], command=[
                "probe", "shout", address, "4000", "300", "1000", "/bin/probe", "serve", "80/tcp"])
            self.addCleanup(container.remove)
            container.start()
            self.cofferdam.settle()
            self.assert_dropped(web, container, "80/tcp", families=["ipv4"])
            with open(seen, encoding="utf-8") as log:
                self.assertEqual(log.read().count("\n"), before, name)

    def test_the_shouter_is_heard_when_allowed(self):
        """The counterpart of the test above: it would see what it says it does not."""
        self.cofferdam.apply(OPEN)
        seen = self.engine.path(f"serve-{self.engine.lan.name}.log")
        with open(seen, encoding="utf-8") as log:
            before = log.read().count("\n")
        shouter = self.engine.create("shouter", ["front"], command=["probe", "shout", "198.41.0.4", "4000", "500", "2000"])
        self.addCleanup(shouter.remove)
        shouter.start()

        def heard():
            with open(seen, encoding="utf-8") as log:
                return log.read().count("\n") > before

        follows(heard, "a datagram of the shouter's")

    def test_an_address_of_its_own_choice_is_no_address(self):
        self.cofferdam.apply(OPEN)
        web, db = self.pair()
        for family, chosen, length in (("ipv4", "10.91.200.200", 16), ("ipv6", "fd91::200:200", 64)):
            own = web.address(family)
            run(web.enter("ip", "address", "add", f"{chosen}/{length}", "dev", "eth0", *(["nodad"] * (family == "ipv6"))))
            self.assert_dropped(web, db, families=[family], bind=chosen)
            self.assert_dropped(db, chosen, families=[family])
            self.assert_passes(web, db, families=[family], bind=own)

    def test_another_containers_address_is_no_address_either(self):
        web, db = self.pair()
        other = self.run_container("other", "other")
        for family, length in (("ipv4", 16), ("ipv6", 64)):
            stolen = web.address(family)
            web.stop()
            run(other.enter("ip", "address", "add", f"{stolen}/{length}", "dev", "eth0",
                            *(["nodad"] * (family == "ipv6"))))
            self.assert_dropped(other, db, families=[family], bind=stolen)
            web.start()
            self.follow(web, db)

    def test_many_at_once(self):
        count = 8
        names = [f"db-{index}" for index in range(count)]
        web = self.run_container("web", "web")
        self.engine.run_all({name: dict(networks=["front"], labels={"role": "db"}, command=["probe", "serve", "5432/tcp"])
                             for name in names})
        containers = [container for container in self.engine.containers.values() if container.name in names]
        for container in containers:
            self.addCleanup(self._remove, container)
        for container in containers:
            self.follow(web, container)
        for container in containers[::2]:
            container.remove()
        for container in containers[1::2]:
            self.assert_passes(web, container)
        self.assertEqual(self.cofferdam("status").returncode, 0)

    def test_an_established_connection_outlives_the_changes_of_others(self):
        web, db = self.pair()
        with Talk(web, "tcp", db.address(), 5432) as talk:
            self.assertEqual(talk.say(), "answered")
            extra = self.run_container("extra", "web")
            self.follow(extra, db)
            self.assertEqual(talk.say(), "answered")
            extra.remove()
            self.cofferdam.apply(ROLES.replace("80/tcp", "81/tcp"))
            self.assertEqual(talk.say(), "answered")

    def test_the_engine_restarts(self):
        web, db = self.pair()
        self.engine.restart_dockerd()
        follows(lambda: self.cofferdam.json("status")["engine"]["connected"], "the connection to the engine", 5)
        web.start()
        db.start()
        self.follow(web, db)
        self.assert_dropped(web, db, "80/tcp")


if __name__ == "__main__":
    unittest.main()

#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The Compose projects of examples/ with their policies: every connection that they promise works, and no other does.

The containers are those that Docker Compose would make of the examples' files, with its names, labels and networks, and with
a program that serves every port in place of the images. (Debian's docker-compose does not take the files: it knows no `name:`.)
"""

import itertools
import os
import shutil
import unittest

import yaml

import redteam  # noqa: F401 pylint: disable=unused-import # for the path to tests/e2e

# pylint: disable=wrong-import-order
from cofferdam import Cofferdam
from engine import OUTSIDE, PROBE, TREE, UPLINK, Engine
from machine import wait_until
from playground import Playground, Question

PORTS = ["80/tcp", "443/tcp", "3000/tcp", "5432/tcp", "8000/tcp", "8080/tcp", "9090/tcp", "9100/tcp", "9999/tcp", "53/udp"]
HOST, LAN, PUBLIC = "host", "lan", OUTSIDE["ipv4"]["public"]
OFFICE, GUESTS = "192.168.1.5", "192.168.99.5"


class Project(Playground):
    """NAME: of the folder; EXTRA: containers beside it, {name: options of Engine.create()}; NETWORKS: that are there before;
    PROMISED: the connections, (from, to, port), by the names of containers, host, lan, and addresses."""

    NAME, EXTRA, NETWORKS, PROMISED, VISITORS = "", {}, (), (), ()

    @classmethod
    def setUpClass(cls):
        super(Playground, cls).setUpClass()
        cls.engine = Engine(isolation=False)
        cls.addClassCleanup(cls.engine.stop)
        cls.engine.start()
        cls.folder = os.path.join(TREE, "examples", cls.NAME)
        cls.spaces = {HOST: cls.engine.host, LAN: cls.engine.lan}
        cls.engine.lan.batch([f"address add {address}/32 dev lo" for address in (OFFICE, GUESTS)])
        for network in cls.NETWORKS:
            cls.engine.network(network)
        cls._up()
        cls.spaces.update(cls.engine.run_all(cls.EXTRA))
        for space in (cls.engine.host, cls.engine.lan):
            ports = ["9999/tcp"] if cls._serves_itself(space) else [port for port in PORTS if port not in ("3000/tcp", "8080/tcp")]
            server = cls.engine.spawn("serve-" + space.name, space.enter(PROBE, "serve", *ports))
            wait_until(lambda server=server: "serving" in server.output(), 5, "the services")
        cls.cofferdam = Cofferdam(cls.engine)
        shutil.copytree(os.path.join(cls.folder, "policies"), cls.cofferdam.policies, dirs_exist_ok=True)

    @classmethod
    def _serves_itself(cls, space):
        """A container with the host's network serves all of the host's ports but one."""
        return space is cls.engine.host and any(not container.addresses("ipv4") for name, container in cls.spaces.items()
                                                if name not in (HOST, LAN))

    @classmethod
    def _up(cls):
        """docker compose up"""
        with open(os.path.join(cls.folder, "compose.yaml"), encoding="utf-8") as file:
            project = yaml.safe_load(file)
        name, networks = project["name"], dict({"default": None}, **project.get("networks") or {})
        names = {key: key if (options or {}).get("external") else f"{name}_{key}" for key, options in networks.items()}
        for key, network in names.items():
            if network not in cls.NETWORKS:
                cls.engine.network(network, Labels={"com.docker.compose.project": name, "com.docker.compose.network": key})
        wanted = {}
        for service, options in project["services"].items():
            published = [tuple(port.split(":")) for port in options.get("ports", [])]
            serves = PORTS if "network_mode" not in options else [port for port in PORTS if port not in ("9999/tcp", "3000/tcp")]
            wanted[f"{name}-{service}-1"] = {
                "labels": {"com.docker.compose.project": name, "com.docker.compose.service": service,
                           "com.docker.compose.container-number": "1", "com.docker.compose.oneoff": "False"},
                "publish": [(outer, inner, "tcp") for outer, inner in published], "command": ["probe", "serve", *serves],
                "networks": [] if "network_mode" in options else [names[key] for key in options.get("networks", ["default"])],
                **({"mode": options["network_mode"]} if "network_mode" in options else {})}
        cls.spaces.update(cls.engine.run_all(wanted))

    @classmethod
    def questions(cls):
        """{(from, to, port): Question}: everybody to everybody, at all ports; to containers by each of their addresses."""
        targets = {name: list(space.addresses("ipv4").values()) for name, space in cls.spaces.items() if name not in (HOST, LAN)}
        targets = {name: addresses for name, addresses in targets.items() if addresses}
        targets.update({HOST: [UPLINK["ipv4"]], PUBLIC: [PUBLIC], LAN: [OUTSIDE["ipv4"]["lan"]]})
        found = {}
        for (source, space), (target, addresses), port in itertools.product(cls.spaces.items(), targets.items(), PORTS):
            outside = target in (HOST, LAN, PUBLIC)
            unserved = outside and (source in (HOST, LAN) or port in ("3000/tcp", "8080/tcp"))
            if source == target or unserved or source not in (HOST, LAN, *targets):
                continue
            for number, address in enumerate(addresses):
                found[(source, target if not number else f"{target}#{number + 1}", port)] = Question(space, address, port)
        for visitor, target, address, port in cls.VISITORS:
            found[(visitor, target, port)] = Question(cls.engine.lan if visitor != HOST else cls.engine.host, address, port,
                                                      bind="" if visitor in (HOST, LAN) else visitor)
        return found

    def test_promised(self):
        questions = self.questions()
        without = dict(zip(questions, self.ask_all(list(questions.values()), 1500)))
        self.assertEqual({key for key, result in without.items() if result != "connected"}, set(), "without Cofferdam")
        self.engine.forget_connections()
        self.cofferdam.start()
        with_ = dict(zip(questions, self.ask_all(list(questions.values()), 1500)))
        self.assertLessEqual(set(self.PROMISED), set(questions))
        print(f"\nexamples/{self.NAME}: {len(questions)} connections, {len(self.PROMISED)} promised")
        self.assertEqual({key for key, result in with_.items() if result == "connected"}, set(self.PROMISED))
        refused = {key: result for key, result in with_.items() if result not in ("connected", "timeout")}
        self.assertEqual({key: result for key, result in refused.items() if not self.by_proxy(key)}, {})
        checked = self.cofferdam("check", self.cofferdam.policies)
        self.assertEqual(checked.returncode, 0, checked.stdout + checked.stderr)

    def by_proxy(self, key):
        """docker-proxy has opened the connection before it finds that it cannot pass it on."""
        return (key[0], key[1], key[2]) in {(visitor, target, port) for visitor, target, _, port in self.VISITORS}


class Shop(Project, unittest.TestCase):
    NAME = "shop"
    EXTRA = {"stranger": {"networks": ["shop_default"], "command": ["probe", "serve", *PORTS]}}
    PUBLISHED = UPLINK["ipv4"]
    VISITORS = [(LAN, "published", PUBLISHED, "8080/tcp"), (HOST, "published", PUBLISHED, "8080/tcp")]
    PROMISED = [(LAN, "published", "8080/tcp"), (HOST, "published", "8080/tcp"),
                (LAN, "shop-web-1", "80/tcp"), (HOST, "shop-web-1", "80/tcp"),
                ("shop-web-1", "shop-api-1", "8000/tcp"), ("shop-api-1", "shop-db-1", "5432/tcp"),
                ("shop-api-1", PUBLIC, "443/tcp")]


class Metrics(Project, unittest.TestCase):
    NAME = "metrics"
    NETWORKS = ("metrics",)
    EXTRA = {"blog-app-1": {"networks": ["metrics"], "labels": {"metrics.scrape": "true"}, "command": ["probe", "serve", *PORTS]},
             "blog-db-1": {"networks": ["metrics"], "command": ["probe", "serve", *PORTS]}}
    VISITORS = [(OFFICE, "published", UPLINK["ipv4"], "3000/tcp"), (GUESTS, "published", UPLINK["ipv4"], "3000/tcp"),
                (LAN, "published", UPLINK["ipv4"], "3000/tcp")]
    # Prometheus's second address is on the other network: the policy allows it, and Docker's isolation, lifted here, does not.
    PROMISED = [(OFFICE, "published", "3000/tcp"), ("metrics-grafana-1", "metrics-prometheus-1", "9090/tcp"),
                ("metrics-grafana-1", "metrics-prometheus-1#2", "9090/tcp"),
                ("metrics-prometheus-1", "blog-app-1", "9100/tcp"), ("metrics-prometheus-1", "blog-app-1", "8080/tcp"),
                ("metrics-prometheus-1", "blog-app-1", "9999/tcp"), ("metrics-prometheus-1", HOST, "9100/tcp")]

    def test_status_names_the_host_network(self):
        """What the example says: node-exporter cannot be enforced, and status says so."""
        if not self.cofferdam.process:
            self.cofferdam.start()
        self.assertIn("metrics-node-exporter-1", self.cofferdam("status").stdout)
        self.assertRegex(self.cofferdam("status").stdout, "not enforced")


if __name__ == "__main__":
    unittest.main()

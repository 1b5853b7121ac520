#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What `cofferdam learn` proposes of real traffic: in force, it lets the same traffic pass, and no attack."""

import json
import os
import unittest

import yaml

from engine import OUTSIDE, TREE, UPLINK
from machine import wait_until
from playground import Playground, Question

# The ports on which the services of the examples listen; their images are not here, what they serve is an echo.
PORTS = {"shop/web": ["80/tcp"], "shop/api": ["8000/tcp"], "shop/db": ["5432/tcp"],
         "metrics/prometheus": ["9090/tcp"], "metrics/grafana": ["3000/tcp"], "app/app": ["9100/tcp", "8080/tcp"]}


def enforced(text):
    """The proposal, taken out of its stage by somebody who has read it."""
    return text.replace("\nmode: audit\n", "\n")


def with_held_back(text, wanted):
    """The same, with the rule that was held back and mentions this put in."""
    lines, result = text.splitlines(), []
    for number, line in enumerate(lines):
        follows = lines[number + 1] if number + 1 < len(lines) else ""
        if line.startswith("  # - ") and wanted in line and follows.startswith("  #   ports"):
            result.append("  " + line[4:])
        elif line.startswith("  #   ports") and lines[number - 1].startswith("  # - ") and wanted in lines[number - 1]:
            result.append("  " + line[4:])
        elif line in ("# ingress:", "# egress:") and wanted in text:
            result.append(line[2:])
        else:
            result.append(line)
    return "\n".join(result) + "\n"


class Stacks(Playground, unittest.TestCase):
    POLICIES = "policy: nothing\nselect: {name: nobody}\n"
    START = False

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.file = cls.engine.path("verdicts.log")
        cls.log = {"file": cls.file, "journal": "off"}
        for network, number in (("shop_default", 93), ("metrics_default", 94), ("metrics", 95)):
            cls.engine.network(network, f"10.{number}.0.0/24", f"fd{number}::/64")
        cls.cofferdam.start(log=cls.log, default_mode="audit")

    def compose(self, example):
        """The services of an example's file that have a network, as Compose would start them. {service: container}"""
        with open(os.path.join(TREE, "examples", example, "compose.yaml"), encoding="utf-8") as file:
            document = yaml.safe_load(file)
        project = document["name"]
        return {name: self.service(project, name, [f"{project}_default" if net == "default" else net
                                                  for net in service.get("networks", ["default"])], service.get("ports", ()))
                for name, service in document["services"].items() if "network_mode" not in service}

    def service(self, project, name, networks, ports=(), labels=None):
        labels = dict(labels or {}, **{"com.docker.compose.project": project, "com.docker.compose.service": name,
                                       "com.docker.compose.container-number": "1"})
        publish = [(int(port.split(":")[0]), int(port.split(":")[1]), "tcp") for port in ports]
        container = self.engine.create(f"{project}-{name}-1", networks, labels=labels, publish=publish,
                                       command=["probe", "serve", *PORTS[f"{project}/{name}"]])
        self.addCleanup(self._remove, container)
        return container.start()

    def learn(self, *arguments, status=0):
        result = self.cofferdam("learn", *arguments)
        self.assertEqual(result.returncode, status, result.stdout + result.stderr)
        return result.stdout

    def sees(self, selector, kinds):
        """What is proposed, once so many kinds were seen."""
        def seen():
            return self.cofferdam.json("learn", "--select", selector)["kinds"] >= kinds
        wait_until(seen, 20, f"{kinds} kinds of connections to be seen", gap=0.2)
        return self.cofferdam.json("learn", "--select", selector)

    def denied(self):
        """Messages of the denials on record: all that are open are written at a stop."""
        self.cofferdam.stop()
        self.cofferdam.start(log=self.log)
        if not os.path.exists(self.file):
            return []
        with open(self.file, encoding="utf-8") as file:
            return [record["message"] for record in map(json.loads, file) if record["cofferdam"]["verdict"] == "deny"]

    def assert_works(self, questions):
        self.assertEqual(self.ask_all(questions, 3000), ["connected"] * len(questions), [str(question) for question in questions])

    def enforce(self, text):
        self.cofferdam.stop()
        self.cofferdam.write(text)
        if os.path.exists(self.file):
            os.unlink(self.file)
        self.cofferdam.start(log=self.log)

    def open_again(self):
        """As before a test: everything passes, and nobody is watched."""
        self.cofferdam.stop()
        self.cofferdam.write(self.POLICIES)
        self.cofferdam.start(log=self.log, default_mode="audit")
        for learning in self.cofferdam.json("learn", "--list")["learnings"]:
            self.learn("--forget", *(word for target in learning["targets"]
                                     for word in (["--select", target] if "=" in target else [target])))

    def assert_attacks_fail(self, questions):
        results = self.ask_all(questions, 700)
        self.assertNotIn("connected", results, [f"{q}: {r}" for q, r in zip(questions, results)])

    def test_the_shop(self):
        self.addCleanup(self.open_again)
        shop = self.compose("shop")
        web, api, db = shop["web"], shop["api"], shop["db"]
        traffic = [Question(self.engine.lan, UPLINK["ipv4"], "8080/tcp"), Question(self.engine.host, web, "80/tcp"),
                   Question(web, api, "8000/tcp"), Question(web, api, "8000/tcp", "ipv6"), Question(api, db, "5432/tcp"),
                   Question(api, OUTSIDE["ipv4"]["public"], "80/tcp")]
        began = self.cofferdam.json("learn", "--select", "compose=shop", "--for", "1h")
        self.assertTrue(began["began"])
        self.assertEqual(began["problems"], [])
        self.assert_works(traffic[:3])
        before = self.sees("compose=shop", 4)
        self.cofferdam.restart(log=self.log, default_mode="audit")  # and nothing of it is lost
        self.assertEqual(self.cofferdam.json("learn", "--select", "compose=shop")["kinds"], before["kinds"])
        self.assert_works(traffic)
        document = self.sees("compose=shop", 7)
        self.assertEqual(document["allowed"], document["kinds"], document["policy"])
        self.assertEqual(document["policies"], 3)
        file = self.engine.path("learned.yaml")
        self.assertIn("it allows 100 % of what was seen", self.learn("--select", "compose=shop", "-o", file))
        with open(file, encoding="utf-8") as opened:
            text = opened.read()
        # who has a name is called by it
        for network in ("10.93.", "fd93:"):
            self.assertNotIn(network, "".join(line for line in text.splitlines(True) if not line.lstrip().startswith("#")))

        # of its own proposal there is nothing to change; of another something
        self.assertIn("# Nothing is to be changed.", self.learn("--select", "compose=shop", "--update", file))
        other = self.engine.path("other.yaml")
        with open(other, "w", encoding="utf-8") as opened:
            opened.write(text.replace("5432/tcp]", "5433/tcp]"))
        update = self.cofferdam.json("learn", "--select", "compose=shop", "--update", other)["update"]
        self.assertEqual((update["missing"], len(update["unused"])), (["shop/api -> shop/db 5432/tcp"], 2))
        self.assertIn("+policy: shop-db-learned", update["diff"])

        # staged, it changes nothing
        self.cofferdam.apply({"learned.yaml": text})
        self.assert_works([Question(web, db, "5432/tcp"), Question(db, OUTSIDE["ipv4"]["public"], "80/tcp")])

        self.enforce({"learned.yaml": enforced(text)})
        self.assert_works(traffic)
        self.assertEqual(self.denied(), [])
        self.assert_attacks_fail([
            Question(web, db, "5432/tcp"), Question(db, web, "80/tcp"), Question(db, OUTSIDE["ipv4"]["public"], "80/tcp"),
            Question(api, OUTSIDE["ipv4"]["public-2"], "80/tcp"), Question(web, OUTSIDE["ipv4"]["public"], "80/tcp"),
            Question(web, OUTSIDE["ipv4"]["metadata"], "80/tcp"), Question(self.engine.lan, db, "5432/tcp"),
            Question(web, UPLINK["ipv4"], "80/tcp"), Question(self.engine.host, db, "5432/tcp")])
        denied = self.denied()
        self.assertEqual(len(denied), 9, denied)

    def test_monitoring_across_projects(self):
        """What crosses from one project into another is a decision: it is held back until somebody takes it."""
        self.addCleanup(self.open_again)
        metrics = self.compose("metrics")
        app = self.service("app", "app", ["metrics"], labels={"metrics.scrape": "true"})
        prometheus, grafana = metrics["prometheus"], metrics["grafana"]
        traffic = [Question(grafana, prometheus, "9090/tcp", network="metrics_default"),
                   Question(self.engine.lan, UPLINK["ipv4"], "3000/tcp")]
        scrape = [Question(prometheus, app, "9100/tcp")]
        self.learn("--select", "compose=metrics", "--select", "compose=app")
        self.assert_works(traffic + scrape)

        def seen():
            return self.cofferdam.json("learn", "--select", "compose=app", "--select", "compose=metrics")
        wait_until(lambda: seen()["kinds"] >= 5, 20, "the traffic to be seen", gap=0.2)
        document = seen()
        self.assertEqual((document["kinds"], document["allowed"], document["held_back"]), (5, 3, 2), document["policy"])
        self.assertIn("it crosses from one Compose project into another", document["policy"])
        self.enforce({"learned.yaml": enforced(document["policy"])})
        self.assert_works(traffic)
        self.assert_attacks_fail([*scrape, Question(app, prometheus, "9090/tcp", network="metrics")])
        taken = with_held_back(with_held_back(enforced(document["policy"]), "metrics/prometheus"), "app/app")
        self.enforce({"learned.yaml": taken})
        self.assert_works(traffic + scrape)
        self.assertEqual(self.denied(), [])
        self.assert_attacks_fail([Question(app, prometheus, "9090/tcp", network="metrics"),
                                  Question(prometheus, app, "8080/tcp"), Question(self.engine.lan, app, "9100/tcp")])

    def test_from_denials_alone(self):
        """Where nothing is allowed yet, what was tried says what is needed."""
        self.addCleanup(self.open_again)
        self.enforce({"nothing.yaml": "policy: nothing\nselect: {all: true}\n"})
        client, server = self.run_containers(client="client", server="server")
        self.learn("client", "server", "--for", "10m")
        questions = [Question(client, server, "5432/tcp"), Question(client, server, "53/udp")]
        self.assert_attacks_fail(questions)

        def seen():
            return self.cofferdam.json("learn", "server", "client")
        wait_until(lambda: seen()["kinds"] >= 4, 20, "the denials to be seen", gap=0.2)
        document = seen()
        self.assertIn("denied until now", document["policy"])
        self.enforce({"learned.yaml": enforced(document["policy"])})
        self.assert_works(questions)
        self.assert_attacks_fail([Question(server, client, "5432/tcp"), Question(client, server, "80/tcp")])

    def test_its_life(self):
        """It begins, is listed, ends by itself or by hand, and is forgotten; whoever is nobody is refused."""
        self.addCleanup(self.open_again)
        self.run_container("web")
        self.assertIn("is watched from now on, for 2s", self.learn("web", "--for", "2s"))
        self.assertIn("web", self.learn("--list"))
        wait_until(lambda: self.cofferdam.json("learn", "--list")["learnings"][0]["ended"], 20, "it to end by itself")
        with open(self.cofferdam.settings["audit"], encoding="utf-8") as opened:
            self.assertIn('"learn-end"', opened.read())
        self.assertIn("policy: web", self.learn("web"))
        self.assertIn("goes on being watched", self.learn("web", "--for", "1h"))
        self.assertIn("what was seen is kept", self.learn("--stop", "web"))
        self.learn("--stop", "web", status=1)
        file = self.engine.path("web.yaml")
        self.learn("web", "-o", file)
        with open(file, "w", encoding="utf-8") as opened:
            opened.write("mine")
        self.learn("web", "-o", file, status=1)
        with open(file, encoding="utf-8") as opened:
            self.assertEqual(opened.read(), "mine")
        self.learn("web", "--yes", "-o", file)
        with open(file, encoding="utf-8") as opened:
            self.assertIn("mode: audit", opened.read())
        self.learn("--forget", "web")
        self.learn("--stop", "web", status=1)
        self.assertIn("Nobody is watched", self.learn("--list"))
        self.learn("nobody", status=1)
        self.learn("--select", "colour=red", status=64)
        self.learn("web", "--for", "soon", status=64)

    def test_a_damaged_file_is_put_aside(self):
        self.addCleanup(self.open_again)
        self.run_container("web")
        self.learn("web")
        self.cofferdam.stop()
        path = os.path.join(self.cofferdam.settings["state"], "learn.json")
        with open(path, "r+", encoding="utf-8") as file:
            text = file.read()
            file.seek(0)
            file.write(text.replace('"web"', '"bad"', 1))
        self.cofferdam.start(log=self.log, default_mode="audit")
        self.assertTrue(os.path.exists(path + ".damaged"))
        self.assertIn("cannot be used", self.cofferdam.log())
        self.assertEqual(self.cofferdam.json("learn", "--list")["learnings"], [])


if __name__ == "__main__":
    unittest.main()

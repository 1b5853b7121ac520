#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A container is cut off: every kind of traffic stops, it stays so whatever happens, and what is released is as before."""

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import unittest

from cofferdam import COMMAND, follows
from engine import OUTSIDE
from machine import Failure, run, wait_until
from pairs import Pair
from playground import OPEN, Playground, Question, Talk

COMPOSE = {"com.docker.compose.project": "shop", "com.docker.compose.service": "web",
           "com.docker.compose.container-number": "1"}

# Every frame that comes in, whoever sent it: "who's address, kind of frame".
SNIFF = """
import socket, sys
wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
wire.bind(("eth0", 3))
print("ready", flush=True)
while True:
    frame, (_, _, kind, _, _) = wire.recvfrom(2048)
    if kind != socket.PACKET_OUTGOING:
        print(frame[6:12].hex(), frame[12:14].hex(), flush=True)
"""


class Base(Playground):
    POLICIES = OPEN

    def setUp(self):
        super().setUp()
        self.addCleanup(self._let_go)

    def _let_go(self):
        self.cofferdam("release", "--all")
        self.assertEqual(self.listed(), [])

    def assert_results(self, want, questions, timeout=700):
        """Whom nobody tells a neighbour's hardware address finds him unreachable, after a while."""
        for question, result in zip(questions, self.ask_all(questions, timeout)):
            self.assertIn(result, (want, "unreachable") if want == "timeout" else (want,), str(question))

    def listed(self):
        return [lock["text"] for lock in self.cofferdam.json("lockdown", "--list")["lockdowns"]]

    def lock(self, *arguments, status=0):
        """The report of the command."""
        result = self.cofferdam("lockdown", "--json", *arguments)
        self.assertEqual(result.returncode, status, result.stdout + result.stderr + self.cofferdam.log()[-2000:])
        return json.loads(result.stdout)

    def release(self, *arguments, status=0):
        result = self.cofferdam("release", "--json", *arguments)
        self.assertEqual(result.returncode, status, result.stdout + result.stderr)
        # a neighbour who did not answer stays unreachable for some seconds
        for container in self.engine.containers.values():
            if container.pid:
                run(container.enter("ip", "neigh", "flush", "all"))
        return json.loads(result.stdout)

    def tables(self):
        """Our tables, without counters, and elements and chains in no order."""
        text = re.sub(r"counter packets \d+ bytes \d+", "counter", self.cofferdam.ruleset())
        blocks = [re.sub(r"\s+", " ", block).strip() for block in re.split(r"\n\t(?=set|map|chain)|\n\}", text)]
        return sorted(re.sub(r"elements = \{ ([^}]*) \}", lambda m: " ".join(sorted(m.group(1).split(", "))), block)
                      for block in blocks)

    def join(self, name, container):
        """A container that shares another's network, and serves nothing there."""
        joined = self.engine.create(name, (), mode=f"container:{container.id}", command=["probe", "serve", "4001/udp"])
        self.addCleanup(self._remove, joined)
        return joined.start()

    def sniff(self, container):
        """Frames that arrive there from now on: the function returned stops it, and returns [(sender's MAC, kind)]."""
        process = subprocess.Popen(container.enter(sys.executable, "-c", SNIFF), stdout=subprocess.PIPE,
                                   stderr=subprocess.DEVNULL, text=True)
        self.assertEqual(process.stdout.readline(), "ready\n")

        def stop():
            process.terminate()
            frames = [tuple(line.split()) for line in process.stdout if line.strip()]
            process.stdout.close()
            process.wait()
            return frames

        return stop


class Cut(Base, unittest.TestCase):
    """What stops."""

    def test_nothing_passes_any_more(self):
        web, db = self.run_containers(web="web", db="db")
        far = self.run_container("far", networks=("back",))
        before = self.tables()
        self.assert_passes(db, web)
        report = self.lock("web", "--reason", "it looks odd")
        self.assertEqual([(c["name"], c["not_cut"]) for c in report["containers"]], [("web", None)])
        self.assertTrue(report["verified"] and report["saved"])
        self.assertEqual(report["problems"], [])
        self.assertIsInstance(report["containers"][0]["lookups_pass"], bool)
        self.assert_cut_off(web, db, far)
        self.assert_passes(db, "10.91.0.1", "80/tcp", ("ipv4",))
        self.assert_passes(db, "198.41.0.4", "80/tcp", ("ipv4",))
        self.assertEqual(self.cofferdam("verify").returncode, 0)
        self.release("web")
        self.assertEqual(self.tables(), before)
        self.assert_passes(db, web)
        self.assert_passes(web, db)

    def _talk(self, pairs, stop):
        while not stop.is_set():
            for pair in pairs:
                pair.speak()
                pair.listen()

    def test_each_stream_at_full_rate_ends(self):
        web, db = self.run_containers(web="web", db="db")
        far = self.run_container("far", networks=("back",))
        pairs = []
        self.addCleanup(lambda: [pair.close() for pair in pairs])
        port = iter(range(6000, 7000))
        for proto in ("tcp", "udp"):
            for family in ("ipv4", "ipv6"):
                own, gateway = web.address(family), {"ipv4": "10.91.0.1", "ipv6": "fd91::1"}[family]
                for other, address in ((db, db.address(family)), (far, far.address(family)), (self.engine.host, gateway),
                                       (self.engine.lan, OUTSIDE[family]["public"])):
                    pairs += [Pair(proto, web, other, address, next(port)), Pair(proto, other, web, own, next(port))]
        bystander = Pair("tcp", db, far, far.address("ipv4"))
        pairs.append(bystander)
        stop = threading.Event()
        thread = threading.Thread(target=self._talk, args=(pairs, stop))
        thread.start()
        time.sleep(0.5)
        report = self.lock("web")
        returned = time.monotonic()
        time.sleep(2)  # both ends go on: nothing must come back to life
        stop.set()
        thread.join()
        self.assertTrue(min(bystander.heard.values()) > returned + 1, bystander.heard)
        for pair in pairs[:-1]:
            for way, heard in pair.heard.items():
                self.assertTrue(0 < heard, f"{pair.name} {way} did not talk")
                # what was received before, and read from the socket's buffer in the turn that was under way
                self.assertTrue(heard < returned + 0.05, f"{pair.name} {way}: {heard - returned:+.3f} s after the lockdown")
        named = [(c["from"], c["to"], c["port"].split("/")[1]) for c in report["connections"]]
        for wanted in (("web", "db", "tcp"), ("db", "web", "udp"), ("host", "web", "tcp"), ("web", "host", "udp"),
                       ("web", "far", "udp"), ("web", OUTSIDE["ipv4"]["public"], "tcp")):
            self.assertIn(wanted, named)
        self.assertNotIn(("db", "far", "tcp"), named)

    def test_published_ports_and_the_proxy(self):
        web = self.run_container("web", "web", publish=[(8080, 80, "tcp")])
        self.assert_passes(self.engine.lan, "203.0.113.1", "8080/tcp", ("ipv4",))
        self.assert_passes(self.engine.host, "127.0.0.1", "8080/tcp", ("ipv4",))
        with Talk(self.engine.lan, "tcp", "203.0.113.1", 8080) as direct, \
                Talk(self.engine.host, "tcp", "127.0.0.1", 8080) as proxied:
            self.assertEqual((direct.say(), proxied.say()), ("answered", "answered"))
            self.lock("web")
            self.assertEqual((direct.say(), proxied.say()), ("timeout", "timeout"))
        for source, target in ((self.engine.lan, "203.0.113.1"), (self.engine.host, "127.0.0.1"),
                               (self.engine.host, "203.0.113.1"), (self.engine.host, "10.91.0.1")):
            self.assertNotEqual(self.ask(source, target, "8080/tcp"), "connected", target)
        self.release("web")
        self.assert_passes(self.engine.lan, "203.0.113.1", "8080/tcp", ("ipv4",))
        self.assertTrue(web.id)

    def test_below_ip(self):
        web, db = self.run_containers(web="web", db="db")
        self.lock("web")
        macs = {name: container.mac("front").replace(":", "") for name, container in (("web", web), ("db", db))}
        at_web, at_db = self.sniff(web), self.sniff(db)
        for space, other in ((web, db), (db, web), (self.engine.host, web), (web, self.engine.host)):
            if space is not self.engine.host:
                run(space.enter("ip", "neigh", "flush", "all"))
            targets = ["10.91.0.1", "fd91::1"] if other is self.engine.host else [other.address("ipv4"), other.address("ipv6")]
            self.assert_results("timeout", [Question(space, target, "icmp", family)
                                            for target, family in zip(targets, ("ipv4", "ipv6"))])
        # a port that is new greets its own link, as the host's interface that it is
        ports = {link["address"].replace(":", "") for link in json.loads(self.engine.host.run("ip", "-j", "link").stdout)
                 if link.get("master")}
        self.assertEqual([frame for frame in at_web() if frame[0] not in ports], [])
        self.assertNotIn(macs["web"], [sender for sender, _ in at_db()])

    def test_another_address_is_no_way_out(self):
        web, db = self.run_containers(web="web", db="db")
        self.lock("web")
        at_db = self.sniff(db)
        ip = lambda *words: run(web.enter("ip", *words))
        ip("address", "add", "10.91.77.77/16", "dev", "eth0")
        ip("address", "add", "fd91::7777/64", "dev", "eth0", "nodad")
        self.assert_dropped(web, db, bind="10.91.77.77", families=("ipv4",))
        self.assert_dropped(web, db, bind="fd91::7777", families=("ipv6",))
        ip("link", "set", "eth0", "address", "02:00:00:00:77:77")
        ip("link", "set", "eth0", "address", db.mac("front"))
        ip("address", "add", db.address("ipv4") + "/16", "dev", "eth0")
        self.assert_dropped(web, "10.91.0.1", "80/tcp", families=("ipv4",))
        self.assert_dropped(web, "198.41.0.4", "80/tcp", families=("ipv4",), bind=db.address("ipv4"))
        heard = {sender for sender, _ in at_db()}
        self.assertFalse(heard & {"020000007777", db.mac("front").replace(":", ""), web.mac("front").replace(":", "")})
        self.assert_passes(db, "198.41.0.4", "80/tcp", ("ipv4",))

    def test_what_cannot_be_cut_is_said(self):
        self.run_container("agent", networks=(), mode="host")
        web = self.run_container("web", "web")
        self.join("sidecar", web)
        self.cofferdam.settle()
        result = self.cofferdam("lockdown", "agent", "web")
        self.assertEqual(result.returncode, 1)
        lines = result.stdout.splitlines()
        self.assertEqual(lines[:2], ["NOT CUT OFF: agent uses the host's network",
                                     "  `docker pause agent` stops it and keeps its memory"])
        self.assertIn("web is cut off", lines)
        self.assertIn("  with it sidecar, which shares its network", lines)
        self.assert_cut_off(web)

    def test_a_joined_container(self):
        web, db = self.run_containers(web="web", db="db")
        sidecar = self.join("sidecar", web)
        follows(lambda: "sidecar" in json.dumps(self.cofferdam.json("status")["containers"]), "sidecar to be known")
        report = self.lock("sidecar")
        self.assertEqual([(c["name"], c["shares_network_with"]) for c in report["containers"]], [("sidecar", ["web"])])
        self.assert_cut_off(web, db)
        self.release("sidecar")
        self.assert_passes(sidecar, db)

    def test_a_dry_run_changes_nothing(self):
        web, db = self.run_containers(web="web", db="db")
        before = self.tables()
        with Talk(db, "tcp", web.address("ipv4"), 5432) as talk:
            self.assertEqual(talk.say(), "answered")
            report = self.lock("web", "--dry-run")
            self.assertIn(("db", "web", "5432/tcp"), [(c["from"], c["to"], c["port"]) for c in report["connections"]])
            self.assertEqual(talk.say(), "answered")
        self.assertEqual(self.tables(), before)
        self.assertEqual(self.listed(), [])

    def test_bad_requests(self):
        self.run_container("web", "web")
        for arguments, status in ((("nobody",), 1), (("web", "nobody"), 1), (("web", "--allow", "a b"), 64),
                                  (("web", "--allow", "10.0.0.1/8"), 64), (("web", "--direction", "up"), 64),
                                  (("--select", "image=x"), 64), ((), 64), (("web", "--for", "2"), 64),
                                  (("web", "--except", "x"), 64), (("web", "--list"), 64)):
            self.assertEqual(self.cofferdam("lockdown", *arguments).returncode, status, arguments)
        self.assertEqual(self.listed(), [])
        for arguments, status in ((("web",), 1), ((), 64), (("web", "--all"), 64)):
            self.assertEqual(self.cofferdam("release", *arguments).returncode, status, arguments)


class Exceptions(Base, unittest.TestCase):
    """What passes all the same, and nothing else."""

    def test_a_container_at_a_port(self):
        web, db, other = self.run_containers(web="web", db="db", other="db")
        with Talk(db, "tcp", web.address("ipv4"), 5432) as kept, \
                Talk(db, "tcp", web.address("ipv4"), 80) as cut, \
                Talk(web, "tcp", db.address("ipv4"), 5432) as opened:
            for talk in (kept, cut, opened):
                self.assertEqual(talk.say(), "answered")
            self.lock("web", "--allow", "db:5432/tcp")
            self.assertEqual([talk.say() for talk in (kept, cut, opened)], ["answered", "timeout", "timeout"])
        for _ in range(2):  # the second time, neighbours have to find each other anew
            self.assert_passes(db, web, "5432/tcp")
            self.assert_dropped(db, web, "80/tcp")
            self.assert_dropped(web, db, "5432/tcp")
            self.assert_dropped(other, web, "5432/tcp")
            self.assert_dropped(web, other, "5432/tcp")
            self.assert_dropped(self.engine.host, web, "5432/tcp")
            self.assert_dropped(web, "10.91.0.1", "80/tcp", ("ipv4",))
            for container in (web, db, other):
                run(container.enter("ip", "neigh", "flush", "all"))
        at_other, at_web = self.sniff(other), self.sniff(web)
        run(web.enter("ip", "neigh", "flush", "all"))
        self.assert_dropped(web, other, "5432/tcp")
        self.assert_dropped(other, web, "5432/tcp")
        self.assertNotIn(web.mac("front").replace(":", ""), [sender for sender, _ in at_other()])
        self.assertNotIn(other.mac("front").replace(":", ""), [sender for sender, _ in at_web()])
        self.release("web")
        self.assert_passes(web, db, "5432/tcp")

    def test_the_peer_comes_later_and_its_own_policies_count(self):
        web = self.run_container("web", "web")
        self.lock("web", "--allow", "db")
        db = self.run_container("db", "db")
        self.follow(db, web)
        self.cofferdam.apply("policy: mute\nselect: {name: db}\n---\n" + OPEN.replace("all: true", "name: web"))
        self.addCleanup(self.cofferdam.apply, OPEN)
        self.assert_dropped(db, web)

    def test_the_host_and_the_outside(self):
        web, db = self.run_containers(web="web", db="db")
        self.lock("web", "--allow", "host:80/tcp", "--allow", "203.0.113.2:5432/tcp", "--allow", "[2001:db8:113::2]:5432/tcp")
        self.assert_passes(self.engine.host, web, "80/tcp")
        self.assert_dropped(self.engine.host, web, "5432/tcp")
        self.assert_passes(self.engine.lan, web, "5432/tcp")
        self.assert_dropped(self.engine.lan, web, "80/tcp")
        self.assert_dropped(self.engine.lan, web, "5432/tcp", ("ipv4",), bind=OUTSIDE["ipv4"]["public"])
        self.assert_dropped(web, "203.0.113.2", "5432/tcp", ("ipv4",))
        self.assert_dropped(web, "10.91.0.1", "80/tcp", ("ipv4",))
        self.assert_dropped(db, web)
        self.assert_dropped(web, db)

    def test_one_direction(self):
        web, db = self.run_containers(web="web", db="db")
        with Talk(db, "tcp", web.address("ipv4"), 5432) as inward, \
                Talk(web, "tcp", db.address("ipv4"), 5432) as outward:
            self.lock("web", "--direction", "in")
            self.assertEqual((inward.say(), outward.say()), ("timeout", "answered"))
        for source in (db, self.engine.host, self.engine.lan):
            self.assert_dropped(source, web)
        self.assert_passes(web, db)
        self.assert_passes(web, "10.91.0.1", "80/tcp", ("ipv4",))
        self.assert_passes(web, "198.41.0.4", "80/tcp", ("ipv4",))
        with Talk(web, "tcp", db.address("ipv4"), 5432) as outward:
            self.lock("web", "--direction", "out", "--allow", "10.77.0.10:80/tcp")
            self.assertEqual(outward.say(), "timeout")
        self.assert_dropped(web, db)
        self.assert_dropped(web, "10.91.0.1", "80/tcp", ("ipv4",))
        self.assert_dropped(web, "198.41.0.4", "80/tcp", ("ipv4",))
        self.assert_passes(web, "10.77.0.10", "80/tcp", ("ipv4",))
        self.assert_dropped(web, "10.77.0.10", "5432/tcp", ("ipv4",))
        for source in (db, self.engine.host, self.engine.lan):
            self.assert_passes(source, web)


class Holds(Base, unittest.TestCase):
    """Whatever happens."""

    def test_through_restarts(self):
        web, db = self.run_containers(web="web", db="db")
        self.lock("web", "--reason", "it looks odd")
        web.restart()
        self.assert_cut_off(web, db)
        self.cofferdam.stop(signal.SIGKILL)
        self.assert_cut_off(web, db)
        self.cofferdam.start()
        self.assert_cut_off(web, db)
        self.assertEqual(self.cofferdam.json("status")["lockdowns"][0]["reason"], "it looks odd")
        self.cofferdam.apply(OPEN + "description: other\n")
        self.assert_cut_off(web, db)
        self.cofferdam.apply("policy: none\nselect: {name: nobody}\n")
        self.cofferdam.apply(OPEN)
        self.assert_cut_off(web, db)
        self.engine.host.run("nft", "delete", "table", "inet", "cofferdam", check=False)
        self.assert_cut_off(web, db)
        self.assert_passes(db, "198.41.0.4", "80/tcp", ("ipv4",))
        self.release("web")
        self.follow(db, web)

    def test_through_the_engines_end_and_the_machines(self):
        web, db = self.run_containers(web="web", db="db")
        self.lock("web")
        self.engine.restart_dockerd()
        for container in (web, db):
            if not container.inspect()["State"]["Running"]:
                container.start()
        self.cofferdam.settle(20)
        self.assert_cut_off(web, db)
        # as after a boot: nothing in the kernel, and the containers start while nobody knows them
        self.cofferdam.stop(signal.SIGKILL)
        for table in ("inet", "bridge"):
            self.engine.host.run("nft", "delete", "table", table, "cofferdam")
        self.cofferdam.start()
        self.assert_cut_off(web, db)
        self.assert_passes(db, "198.41.0.4", "80/tcp", ("ipv4",))
        self.release("web")
        self.follow(db, web)

    def test_all_its_networks_and_those_it_joins_later(self):
        both, web = self.run_container("both", networks=("front", "back")), self.run_container("web", "web")
        far = self.run_container("far", networks=("back",))
        self.lock("both", "web")
        self.assert_cut_off(both, web, far)
        self.engine.connect("back", web)
        self.cofferdam.settle()
        self.assert_results("timeout", [Question(far, web, "80/tcp", family, "back") for family in ("ipv4", "ipv6")])
        self.assert_results("timeout", [Question(web, far, "80/tcp", family) for family in ("ipv4", "ipv6")])
        self.release("web")
        self.follow(far, web, "80/tcp", network="back")
        self.assert_cut_off(both, far)

    def test_before_the_engine_has_answered(self):
        web, db = self.run_containers(web="web", db="db")
        self.cofferdam.settle()
        time.sleep(6)  # until the daemon has written down who there is
        self.cofferdam.stop(signal.SIGKILL)
        for table in ("inet", "bridge"):
            self.engine.host.run("nft", "delete", "table", table, "cofferdam")
        socket = self.cofferdam.settings["docker"]
        self.cofferdam.settings["docker"] = self.engine.path("nowhere.sock")
        self.addCleanup(self.cofferdam.settings.update, docker=socket)
        with self.assertRaises(Failure):  # it does not settle without an Engine
            self.cofferdam.start()
        report = self.lock("web")  # the daemon has it on record, and the command cuts
        self.assertEqual(report["without_daemon"], "containers_unknown")
        self.assertTrue(report["saved"] and report["verified"])
        self.cofferdam.settings["docker"] = socket
        self.cofferdam.restart()
        self.assertEqual(self.listed(), ["web"])
        self.assert_cut_off(web, db)
        wait_until(lambda: not [table for table in self.engine.tables() if "lockdown" in table], 10, "the lock tables to go")
        self.assert_cut_off(web, db)
        self.assert_passes(db, "198.41.0.4", "80/tcp", ("ipv4",))

    def test_a_container_made_anew(self):
        db = self.run_container("db", "db")
        web = self.run_container("shop-web-1", labels=COMPOSE)
        self.cofferdam.settle()
        self.lock("shop-web-1")
        names = ["shop-web-1", "5f_shop-web-1"]  # the one taken, or with Compose's passing name
        for name in names:
            self._remove(web)
            at_db = self.sniff(db)
            # it speaks from its first moment on
            web = self.run_container(name, labels=COMPOSE)
            asked = [Question(web, db, "53/udp", family) for family in ("ipv4", "ipv6")]
            self.assert_results("timeout", asked, 300)
            self.cofferdam.settle()
            self.assert_cut_off(web, db)
            self.assertNotIn(web.mac("front").replace(":", ""), [sender for sender, _ in at_db()])
        self.lock("shop-web-1" if web.name == "shop-web-1" else web.id, "--allow", "db:5432/tcp")
        self.follow(db, web, "5432/tcp")
        self.assert_dropped(db, web, "80/tcp")
        second = self.run_container("shop-web-2", labels=dict(COMPOSE, **{"com.docker.compose.container-number": "2"}))
        self.follow(db, second)
        self.release("--all")
        self.follow(db, web)

    def test_many_by_a_selector(self):
        web, db, other = self.run_containers(web="web", db="db", other="db")
        self.lock("--select", "label=role=*", "--except", "db")
        self.assert_cut_off(web, db)
        self.assert_cut_off(other, db)
        late = self.run_container("late", "late")
        self.assert_cut_off(late, db)
        self.assertEqual(self.cofferdam("release", "web").returncode, 1)
        self.release("label=role=*")
        self.follow(db, late)
        self.assert_passes(db, web)

    def test_until_its_time_is_over(self):
        web, db = self.run_containers(web="web", db="db")
        self.lock("web", "--for", "4s")
        began = time.monotonic()
        self.assert_cut_off(web, db)
        self.cofferdam.stop(signal.SIGKILL)
        self.cofferdam.start()
        self.assertEqual(self.listed(), ["web"])
        wait_until(lambda: self.listed() == [], 10, "the end of the lockdown")
        self.assertGreater(time.monotonic() - began, 3)
        self.follow(db, web)

    def test_what_cannot_be_saved_is_cut_all_the_same(self):
        web, db = self.run_containers(web="web", db="db")
        blocker = os.path.join(self.cofferdam.settings["state"], "lockdown.json.new")
        os.mkdir(blocker)
        self.addCleanup(shutil.rmtree, blocker, ignore_errors=True)
        report = self.lock("web", status=1)
        self.assertFalse(report["saved"])
        self.assertTrue(report["verified"])
        self.assertIn("will not after a restart", report["problems"][0])
        self.assert_cut_off(web, db)
        os.rmdir(blocker)
        self.assertTrue(self.lock("web")["saved"])

    def test_a_list_that_is_damaged(self):
        web, db = self.run_containers(web="web", db="db")
        paths = [os.path.join(self.cofferdam.settings["state"], name) for name in ("lockdown.json", "lockdown.json.copy")]
        self.lock("web")
        self.cofferdam.stop(signal.SIGKILL)
        for path in paths:
            with open(path, "r+b") as file:
                file.seek(40)
                file.write(b"X")
        self.cofferdam.start()
        self.assertIn("it is damaged", self.cofferdam.log())
        self.assert_cut_off(web, db)  # as the kernel tells, and who was not stays free
        self.assert_passes(db, "198.41.0.4", "80/tcp", ("ipv4",))
        self.assertEqual(self.listed(), ["web"])
        self.cofferdam.restart()
        self.assert_cut_off(web, db)
        # nobody knows: all are
        self.cofferdam("teardown", "--yes")
        wait_until(lambda: not self.cofferdam.process.alive, 5, "the daemon to end")
        for path in paths:
            with open(path, "wb") as file:
                file.write(b"{}")
        self.cofferdam.start()
        self.assertEqual(self.listed(), ["all"])
        self.assert_cut_off(db, web)
        self.release("--all")
        self.follow(db, web)

    def test_people_are_told(self):
        self.run_containers(web="web", db="db")
        self.lock("web", "--reason", "it looks odd")
        lines = self.cofferdam("status").stdout.splitlines()
        self.assertEqual(lines[:2], ["Locked down", "  web"])
        self.assertRegex(lines[2], r"^    since \S+Z by root, process \d+ \(.* lockdown .*\): it looks odd$")
        told = self.cofferdam("explain", "db", "web", "5432/tcp")
        self.assertEqual(told.returncode, 3)
        self.assertIn("it looks odd", told.stdout)
        self.assertEqual(self.cofferdam("explain", "db", "198.41.0.4", "80/tcp").returncode, 0)
        self.release("web")
        self.assertEqual(self.cofferdam("explain", "db", "web", "5432/tcp").returncode, 0)

    def test_the_shell_is_told_names(self):
        def words(*line):
            done = run(self.engine.host.enter(COMMAND, "__complete", "--", "--config", self.cofferdam.config, *line))
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            return sorted(done.stdout.split())
        self.run_container("web", labels={**COMPOSE, "com.docker.compose.project": "$(reboot)"})
        self.run_container("db", labels=COMPOSE)
        self.cofferdam.settle()
        def come(want, *line):  # within 0.3 s, or not at all
            wait_until(lambda: words(*line) == want, 10, f"{want} behind {line}")
        come(["db", "web"], "lockdown", "")
        come(["db", "host", "web"], "explain", "web", "")
        self.assertEqual(words("release", ""), [])
        come(["compose=shop", "compose=shop/web"], "lockdown", "--select", "compose=")
        self.lock("db")
        come(["db"], "release", "")
        run(["kill", "-STOP", str(self.cofferdam.process.process.pid)])
        self.assertEqual(words("release", ""), [])  # at once, and not in a minute
        run(["kill", "-CONT", str(self.cofferdam.process.process.pid)])
        self.cofferdam.stop()
        self.assertEqual(words("release", ""), [])
        self.cofferdam.start()

    def test_rounds_under_traffic(self):
        names = [f"c{number}" for number in range(6)]
        containers = dict(zip(names, self.run_containers(**{name: "any" for name in names})))
        before, locked, seed = self.tables(), set(), random.randrange(1 << 30)
        dice = random.Random(seed)
        pairs = {}
        self.addCleanup(lambda: [pair.close() for pair in pairs.values()])
        for name in names:
            peer = names[(names.index(name) + 1) % len(names)]
            pairs[name, peer] = Pair("udp", containers[name], containers[peer], containers[peer].address("ipv4"))
        stop, spans = threading.Event(), []
        thread = threading.Thread(target=Cut._talk, args=(self, list(pairs.values()), stop))
        thread.start()
        try:
            for turn in range(100):
                name, began = dice.choice(names), time.monotonic()
                cut = [pair for ends, pair in pairs.items() if name in ends and not set(ends) & locked]
                if name in locked:
                    self.release(name)
                    locked.discard(name)
                else:
                    self.lock(name)
                    locked.add(name)
                returned = time.monotonic()
                time.sleep(0.1)
                for ends, pair in pairs.items():
                    if set(ends) & locked:
                        late = max(pair.heard.values()) - returned
                        self.assertLess(late, 0.05, f"seed {seed}, turn {turn}: {pair.name} after {name}")
                if name in locked and cut:
                    spans.append(max(max(pair.heard.values()) for pair in cut) - began)
            for name in sorted(locked):
                self.release(name)
        finally:
            stop.set()
            thread.join()
        spans = sorted(1000 * span for span in spans)
        print(f"from the command's start to the last datagram: {len(spans)} lockdowns, median {spans[len(spans) // 2]:.1f} ms, "
              f"longest {spans[-1]:.1f} ms", flush=True)
        self.assertEqual(self.tables(), before)
        self.assertEqual(self.cofferdam("verify").returncode, 0)


class Strangers(Base, unittest.TestCase):
    """With unknown_endpoints: internet, an address that is nobody's may do what a locked container's may not."""

    START = False

    def test_it_does_not_become_a_stranger(self):
        self.cofferdam.start(unknown_endpoints="internet")
        web, db = self.run_containers(web="web", db="db")
        self.cofferdam.settle()
        with Talk(web, "tcp", OUTSIDE["ipv4"]["public"], 80) as talk:
            self.assertEqual(talk.say(), "answered")
            self.lock("web")
            self.assertEqual(talk.say(), "timeout")
        self.assert_cut_off(web, db)
        self.lock("web", "--allow", "db:80/tcp")
        self.assert_dropped(web, OUTSIDE["ipv4"]["public"], "80/tcp", ("ipv4",))
        self.assert_passes(db, web, "80/tcp")
        self.assert_dropped(db, web, "5432/tcp")


if __name__ == "__main__":
    unittest.main()

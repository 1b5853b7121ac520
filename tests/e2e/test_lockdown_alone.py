#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A container is cut off while the daemon is dead, hangs or was never started, and while the Engine is gone as well."""

import json
import os
import signal
import socket
import sys
import threading
import time
import unittest

import test_lockdown
from cofferdam import COMMAND, schemas, without_metered
from engine import OUTSIDE
from machine import run, wait_until
from pairs import Pair, open_in
from playground import OPEN, Playground, Talk

TABLES = ("table bridge cofferdam_lockdown", "table inet cofferdam_lockdown")
AS_NOBODY = "import os, sys; os.setgroups([]); os.setgid(65534); os.setuid(65534); os.execv(sys.argv[1], sys.argv[1:])"


class Known:
    """A container, as it was when the Engine could still be asked."""

    def __init__(self, container):
        self.id, self.name, self.pid = container.id, container.name, container.pid
        self._addresses = {family: container.addresses(family) for family in ("ipv4", "ipv6")}
        self._macs = {network: container.mac(network) for network in self._addresses["ipv4"]}

    def enter(self, *command):
        return ["nsenter", f"--net=/proc/{self.pid}/ns/net", "--", *command]

    def addresses(self, family):
        return self._addresses[family]

    def address(self, family="ipv4"):
        return next(iter(self._addresses[family].values()))

    def mac(self, network):
        return self._macs[network]


class Alone(Playground):
    """What is done by the command itself. The daemon is as it was before when a test ends."""

    POLICIES = OPEN

    release = test_lockdown.Base.release
    listed = test_lockdown.Base.listed
    assert_results = test_lockdown.Base.assert_results
    sniff = test_lockdown.Base.sniff
    join = test_lockdown.Base.join
    talk_on = test_lockdown.Cut._talk  # pylint: disable=protected-access

    def setUp(self):
        super().setUp()
        self.pairs = []
        self.addCleanup(self._restore)

    def _restore(self):
        for pair in self.pairs:
            pair.close()
        if not self.cofferdam.process or not self.cofferdam.process.alive:
            self.cofferdam.start()
        else:
            self.cofferdam.process.process.send_signal(signal.SIGCONT)
        self.cofferdam("release", "--all")
        wait_until(lambda: self.listed() == [] and not self.lock_tables(), 15, "the daemon to take over what was cut")

    def lose_dockerd(self):
        self.engine.kill_dockerd()
        self.addCleanup(self.engine.start_dockerd)

    def lock_tables(self):
        return sorted(table for table in self.engine.tables() if table in TABLES)

    def kill(self):
        self.cofferdam.stop(signal.SIGKILL)

    def hang(self):
        self.cofferdam.process.process.send_signal(signal.SIGSTOP)

    def known(self):
        """The daemon has written down who there is."""
        path = os.path.join(self.cofferdam.settings["state"], "inventory.json")
        wanted = set(self.engine.containers)

        def written():
            with open(path, encoding="utf-8") as file:
                containers = json.load(file)["inventory"]["containers"]
            ready = {container["id"] for container in containers
                     if container["endpoints"] and all(endpoint.get("port") for endpoint in container["endpoints"])}
            return ready == wanted

        wait_until(lambda: os.path.exists(path) and written(), 15, "the containers to be written down")

    def lock(self, *arguments, status=0):
        """The report of the command."""
        result = self.cofferdam("lockdown", "--json", *arguments)
        self.assertEqual(result.returncode, status, result.stdout + result.stderr)
        return json.loads(result.stdout)

    def start_three(self):
        web, db = self.run_containers(web="web", db="db")
        far = self.run_container("far", networks=("back",))
        self.cofferdam.settle(20)
        self.known()
        return Known(web), Known(db), Known(far)

    def port_of(self, container):
        index = json.loads(run(container.enter("ip", "-j", "link", "show", "eth0")).stdout)[0]["link_index"]
        links = json.loads(self.engine.host.run("ip", "-j", "link").stdout)
        return next(link["ifname"] for link in links if link["ifindex"] == index)

    def timed(self, *arguments, status=0):
        """The report, and how long the command took, in seconds."""
        began = time.monotonic()
        report = self.lock(*arguments, status=status)
        took = time.monotonic() - began
        print(f"{self.id().split('.', 1)[1]}: {took * 1000:.0f} ms, the rules stood after {report['took_usec'] / 1000:.1f} ms",
              file=sys.stderr)
        schemas.check("lockdown", report)
        return report, took

    def assert_streams_end(self, web, others, arguments=("web",)):
        """Each stream of one that is locked down ends, and nothing comes after the command has returned. The report."""
        port = iter(range(6000, 7000))
        for proto in ("tcp", "udp"):
            for family in ("ipv4", "ipv6"):
                own, gateway = web.address(family), {"ipv4": "10.91.0.1", "ipv6": "fd91::1"}[family]
                ends = [(other, other.address(family)) for other in others]
                for other, address in (*ends, (self.engine.host, gateway), (self.engine.lan, OUTSIDE[family]["public"])):
                    self.pairs += [Pair(proto, web, other, address, next(port)), Pair(proto, other, web, own, next(port))]
        bystander = Pair("tcp", others[0], others[1], others[1].address("ipv4"))
        stop = threading.Event()
        thread = threading.Thread(target=self.talk_on, args=([*self.pairs, bystander], stop))
        thread.start()
        time.sleep(0.5)
        began = time.monotonic()
        report, _ = self.timed(*arguments)
        returned = time.monotonic()
        time.sleep(1.5)
        stop.set()
        thread.join()
        bystander.close()
        last = max(heard for pair in self.pairs for heard in pair.heard.values())
        print(f"from the command's start to the last byte: {(last - began) * 1000:.0f} ms", file=sys.stderr)
        self.assertTrue(min(bystander.heard.values()) > returned + 0.7, bystander.heard)
        for pair in self.pairs:
            for way, heard in pair.heard.items():
                self.assertTrue(0 < heard, f"{pair.name} {way} did not talk")
                # what was received before, and read from the socket's buffer in the turn that was under way
                self.assertTrue(heard < returned + 0.05, f"{pair.name} {way}: {heard - returned:+.3f} s after the lockdown")
        return report

    def assert_silent_below_ip(self, web, db):
        macs = {name: container.mac("front").replace(":", "") for name, container in (("web", web), ("db", db))}
        at_web, at_db = self.sniff(web), self.sniff(db)
        run(db.enter("ip", "neigh", "flush", "all"))
        run(web.enter("ip", "neigh", "flush", "all"))
        self.assert_cut_off(web, db)
        ports = {link["address"].replace(":", "") for link in json.loads(self.engine.host.run("ip", "-j", "link").stdout)
                 if link.get("master")}
        self.assertEqual([frame for frame in at_web() if frame[0] not in ports], [])
        self.assertNotIn(macs["web"], [sender for sender, _ in at_db()])

    def assert_whole(self, report, why, rules=True):
        self.assertEqual((report["without_daemon"], report["rules_stand"], report["verified"], report["saved"],
                          report["problems"]), (why, rules, True, True, []))
        self.assertEqual(self.lock_tables(), list(TABLES))


class WithRules(Alone, unittest.TestCase):
    """The daemon has run: its rules stand."""

    def test_the_daemon_is_dead(self):
        web, db, far = self.start_three()
        self.kill()
        report = self.assert_streams_end(web, (db, far))
        self.assert_whole(report, "dead")
        self.assertEqual([c["name"] for c in report["containers"]], ["web"])
        named = [(c["from"], c["to"], c["port"].split("/")[1]) for c in report["connections"]]
        for wanted in (("web", "db", "tcp"), ("host", "web", "tcp"), ("web", "far", "udp")):
            self.assertIn(wanted, named)
        self.assertNotIn(("db", "far", "tcp"), named)
        self.assert_cut_off(web, db, far)
        self.assert_silent_below_ip(web, db)
        self.assert_passes(db, "10.91.0.1", "80/tcp", ("ipv4",))
        self.assert_passes(db, far)

    def test_the_daemon_hangs(self):
        web, db, far = self.start_three()
        self.hang()
        report = self.assert_streams_end(web, (db, far))
        self.assert_whole(report, "hung")
        self.assert_silent_below_ip(web, db)
        self.assert_cut_off(web, db, far)

    def test_the_engine_hangs_as_well(self):
        web, db, far = self.start_three()
        self.hang()
        self.engine.dockerd.process.send_signal(signal.SIGSTOP)
        self.addCleanup(self.engine.dockerd.process.send_signal, signal.SIGCONT)
        report = self.assert_streams_end(web, (db, far))
        self.assert_whole(report, "hung")
        self.assert_cut_off(web, db, far)

    def test_a_container_that_has_moved(self):
        """What the daemon has written down is old: the Engine and the kernel know better."""
        web, db, far = self.start_three()
        self.kill()
        known = self.engine.containers
        for container in (web, db):
            known[container.id].stop()
        for container in (db, web):  # each has the other's address
            known[container.id].start()
        web, db = Known(known[web.id]), Known(known[db.id])
        self.timed("web")
        self.assertEqual(self.sealed_ports(), [self.port_of(web)])
        text = without_metered("".join(self.engine.host.run("nft", "list", *table.split()).stdout for table in self.lock_tables()))
        self.assertIn(web.address("ipv4"), text)
        self.assertNotIn(db.address("ipv4"), text)
        self.cofferdam.start()
        self.assert_cut_off(web, far)
        self.follow(db, far)

    def test_another_address_is_no_way_out(self):
        """Not even where no rules stand, and for one that has changed it before."""
        web, db, _ = self.start_three()
        ip = lambda *words: run(web.enter("ip", *words))
        ip("link", "set", "eth0", "address", "02:00:00:00:77:77")
        ip("address", "add", "10.91.77.77/16", "dev", "eth0")
        ip("address", "add", "fd91::7777/64", "dev", "eth0", "nodad")
        self.kill()
        for table in ("inet", "bridge"):
            self.engine.host.run("nft", "delete", "table", table, "cofferdam")
        self.assert_passes(web, db, bind="10.91.77.77", families=("ipv4",))
        report, _ = self.timed("web")
        self.assert_whole(report, "dead", rules=False)
        at_db = self.sniff(db)
        self.assert_dropped(web, db, bind="10.91.77.77", families=("ipv4",))
        self.assert_dropped(web, db, bind="fd91::7777", families=("ipv6",))
        ip("link", "set", "eth0", "address", db.mac("front"))
        ip("address", "add", db.address("ipv4") + "/16", "dev", "eth0")
        self.assert_dropped(web, "198.41.0.4", "80/tcp", families=("ipv4",), bind="10.91.77.77")
        heard = {sender for sender, _ in at_db()}
        self.assertFalse(heard & {"020000007777", web.mac("front").replace(":", "")})
        self.assert_passes(db, "198.41.0.4", "80/tcp", ("ipv4",))

    def sealed_ports(self):
        listed = json.loads(self.engine.host.run("nft", "-j", "list", "set", "bridge", "cofferdam_lockdown", "sealed").stdout)
        return next(item["set"].get("elem", []) for item in listed["nftables"] if "set" in item)

    def test_published_ports_and_the_proxy(self):
        web = self.run_container("web", "web", publish=[(8080, 80, "tcp")])
        self.cofferdam.settle()
        self.known()
        self.assert_passes(self.engine.lan, "203.0.113.1", "8080/tcp", ("ipv4",))
        self.kill()
        with Talk(self.engine.lan, "tcp", "203.0.113.1", 8080) as direct, \
                Talk(self.engine.host, "tcp", "127.0.0.1", 8080) as proxied:
            self.assertEqual((direct.say(), proxied.say()), ("answered", "answered"))
            self.timed("web")
            self.assertEqual((direct.say(), proxied.say()), ("timeout", "timeout"))
        for source, target in ((self.engine.lan, "203.0.113.1"), (self.engine.host, "127.0.0.1")):
            self.assertNotEqual(self.ask(source, target, "8080/tcp"), "connected", target)
        self.assertTrue(web.id)

    def test_a_second_one_keeps_the_first(self):
        web, db, far = self.start_three()
        self.kill()
        self.timed("web")
        flood = Flood(self.engine.host, web.address("ipv4"), self.sniff(web))
        for arguments in (("db",), ("far", "--direction", "in"), ("far",), ("--select", "name=d*", "--allow", "host")):
            self.lock(*arguments)
        sent, arrived = flood.stop()
        self.assertGreater(sent, 100)
        self.assertEqual(arrived, [])
        self.assert_cut_off(web)
        self.assert_cut_off(far)
        self.assert_dropped(web, db)
        self.cofferdam.start()
        self.assertEqual(sorted(self.listed()), ["db", "far", "name=d*", "web"])

    def test_exceptions_and_directions(self):
        web, db, far = self.start_three()
        self.kill()
        report, _ = self.timed("web", "--allow", "db:5432/tcp")
        self.assert_whole(report, "dead")
        self.assert_passes(db, web)
        self.assert_dropped(db, web, "80/tcp")
        self.assert_dropped(web, db)
        self.assert_dropped(far, web)
        self.assert_dropped(web, "198.41.0.4", "80/tcp", ("ipv4",))
        self.lock("far", "--direction", "out")
        self.assert_passes(db, far)
        self.assert_dropped(far, db)
        self.assert_dropped(far, "198.41.0.4", "80/tcp", ("ipv4",))

    def test_a_dry_run_changes_nothing(self):
        web, db, _ = self.start_three()
        self.kill()
        with Talk(db, "tcp", web.address("ipv4"), 5432) as talk:
            self.assertEqual(talk.say(), "answered")
            report = self.lock("web", "--dry-run")
            self.assertIn(("db", "web", "5432/tcp"), [(c["from"], c["to"], c["port"]) for c in report["connections"]])
            self.assertEqual(talk.say(), "answered")
        self.assertEqual(self.lock_tables(), [])

    def test_what_cannot_be_saved_is_cut_all_the_same(self):
        web, db, _ = self.start_three()
        self.kill()
        state = self.cofferdam.settings["state"]
        # a disk that is full: nothing can be made or written there
        run(["mount", "-t", "tmpfs", "-o", "size=4k,nr_inodes=1", "tmpfs", state], check=True)
        self.addCleanup(run, ["umount", "-l", state], check=False)
        report, _ = self.timed("web", status=1)
        self.assertEqual((report["saved"], report["verified"]), (False, True))
        self.lock("far", status=1)  # and web, which is on no record, is not let go by that
        self.assert_cut_off(web, db)
        run(["umount", "-l", state])
        self.assertIn("cofferdamd takes it over", report["problems"][0])
        self.assert_cut_off(web, db)
        # only the tables tell of it
        self.cofferdam.start()
        wait_until(lambda: not self.lock_tables(), 15, "the daemon to take over what was cut")
        locks = self.cofferdam.json("lockdown", "--list")["lockdowns"]
        self.assertEqual(sorted((lock["name"], lock["direction"]) for lock in locks), [("far", "both"), ("web", "both")])
        self.assertIn("could not write that down", locks[0]["reason"])
        self.assert_cut_off(web, db)

    def test_only_root_can(self):
        self.start_three()
        self.kill()
        result = run(self.cofferdam.space.enter(sys.executable, "-c", AS_NOBODY, COMMAND, "lockdown", "--control",
                                                "/nowhere/control.sock", "web"), check=False)
        self.assertEqual(result.returncode, 1)
        self.assertIn("only root can cut", result.stderr)
        self.assertEqual(self.lock_tables(), [])

    def test_people_are_told(self):
        self.start_three()
        self.kill()
        lines = self.cofferdam("lockdown", "web").stdout.splitlines()
        self.assertEqual(lines[0], "web is cut off")
        self.assertTrue(lines[-2].startswith("cofferdamd does not run: this was cut without it"), lines)
        self.assertIn("they deny a container that is restarted", lines[-1])


class Release(Alone, unittest.TestCase):
    """What is cut can be let go, and listed, without the daemon as well; what the daemon's own tables cut stays cut."""

    def let_go(self, *arguments, status=0):
        result = self.cofferdam("release", "--json", *arguments)
        self.assertEqual(result.returncode, status, result.stdout + result.stderr)
        report = json.loads(result.stdout)
        schemas.check("release" if "released" in report else "error", report)
        return report

    def list_alone(self, status=0):
        result = self.cofferdam("lockdown", "--list", "--json")
        self.assertEqual(result.returncode, status, result.stdout + result.stderr)
        report = json.loads(result.stdout)
        schemas.check("lockdown", report)
        return report

    def texts(self, report):
        return sorted(lockdown["text"] for lockdown in report["lockdowns"])

    def full_disk(self):
        """Nothing can be made or written there; what is there can be read."""
        state = self.cofferdam.settings["state"]
        names = ("lockdown.json", "lockdown.json.copy", "lockdown-pending.json", "inventory.json")
        held = {}
        for name in names:
            path = os.path.join(state, name)
            if os.path.exists(path):
                with open(path, "rb") as file:
                    held[name] = file.read()
        run(["mount", "-t", "tmpfs", "-o", "size=4m,mode=700", "tmpfs", state], check=True)
        self.addCleanup(run, ["umount", "-l", state], check=False)
        for name, content in held.items():
            with open(os.path.join(state, name), "wb") as file:
                file.write(content)
            os.chmod(os.path.join(state, name), 0o600)
        run(["mount", "-o", "remount,ro", state], check=True)
        return lambda: run(["umount", "-l", state])

    def test_what_was_cut_alone(self):
        web, db, far = self.start_three()
        self.kill()
        self.lock("web", "db")
        self.lock("far", "--allow", "db")
        listed = self.list_alone()
        self.assertEqual((self.texts(listed), listed["without_daemon"], listed["stay_cut"]), (["db", "far", "web"], "dead", []))
        report = self.let_go("web")
        self.assertEqual((report["released"], report["stay_cut"], report["saved"], report["verified"], report["problems"]),
                         (["web"], [], True, True, []))
        self.assertEqual((report["without_daemon"], report["rules_stand"]), ("dead", True))
        self.assertEqual(self.texts(report), ["db", "far"])
        self.assert_passes(web, "198.41.0.4", "80/tcp", ("ipv4",))
        self.assert_cut_off(db, web)
        self.assertIn("not locked down", self.let_go("web", status=1)["error"])
        report = self.let_go("--all")
        self.assertEqual((sorted(report["released"]), report["lockdowns"]), (["db", "far"], []))
        self.assertEqual(self.lock_tables(), [])
        self.assert_passes(db, web)
        self.assert_passes(far, db)
        self.assertEqual(self.list_alone()["lockdowns"], [])
        self.cofferdam.start()
        self.assertEqual(self.listed(), [])
        self.follow(web, db)

    def test_what_the_daemon_has_cut(self):
        web, db, far = self.start_three()
        self.lock("web")
        self.kill()
        self.lock("db")
        report = self.let_go("web", "db", status=1)
        self.assertEqual((report["released"], report["stay_cut"], report["saved"], report["verified"]), (["db"], ["web"], True, True))
        self.assertEqual(report["problems"], ["web stays cut off until cofferdamd runs again, which then releases it: only it "
                                              "can change its own rules"])
        self.assertEqual(self.lock_tables(), [])
        self.assert_cut_off(web, far)
        self.assert_passes(db, "198.41.0.4", "80/tcp", ("ipv4",))
        listed = self.list_alone(status=1)
        self.assertEqual((listed["lockdowns"], listed["stay_cut"]), ([], ["web"]))
        self.assertIn("on record already", self.let_go("web", status=1)["error"])
        self.cofferdam.start()
        wait_until(lambda: self.listed() == [], 15, "the daemon to release it")
        self.follow(web, db)

    def test_the_daemon_hangs(self):
        web, db, far = self.start_three()
        self.lock("web")
        self.hang()
        self.lock("db")
        began = time.monotonic()
        report = self.let_go("db")
        print(f"release beside a daemon that hangs: {time.monotonic() - began:.1f} s", file=sys.stderr)
        self.assertEqual((report["released"], report["without_daemon"], self.texts(report)), (["db"], "hung", ["web"]))
        self.assert_passes(db, "198.41.0.4", "80/tcp", ("ipv4",))
        self.assert_cut_off(web, far)
        lines = self.cofferdam("release", "web").stdout.splitlines()
        self.assertTrue(lines[0].startswith("web stays cut off until cofferdamd answers again"), lines)
        self.cofferdam.process.process.send_signal(signal.SIGCONT)
        wait_until(lambda: self.listed() == [] and not self.lock_tables(), 15, "the daemon to release it")
        self.follow(web, db)

    def test_a_disk_that_is_full(self):
        web, db, _ = self.start_three()
        self.kill()
        self.lock("web")
        room = self.full_disk()
        error = self.let_go("web", status=1)["error"]
        self.assertIn("nothing was released", error)
        self.assertEqual(self.texts(self.list_alone()), ["web"])
        self.assert_cut_off(web, db)
        room()
        self.let_go("web")
        self.assert_passes(web, "198.41.0.4", "80/tcp", ("ipv4",))

    def test_what_nobody_knows_stays_cut(self):
        """The tables cut what no record accounts for: a release lets go what it names, and no more."""
        web, db, far = self.start_three()
        self.kill()
        self.lock("web")
        self.lock("far")
        os.remove(os.path.join(self.cofferdam.settings["state"], "lockdown-pending.json"))
        self.lock("db")
        self.engine.host.run("nft", "add", "element", "inet", "cofferdam_lockdown", "locked4", "{ 10.91.200.7 }")
        self.assertIn("not locked down", self.let_go("web", status=1)["error"])
        self.lock("web")
        report = self.let_go("db", status=1)
        self.assertEqual((report["released"], report["verified"]), (["db"], True))
        self.assertIn("nobody knows whose they are", report["problems"][0])
        self.assertIn("10.91.200.7", without_metered(self.engine.host.run("nft", "list", *TABLES[1].split()).stdout))
        self.assert_cut_off(web, db)
        self.assertTrue(far)
        self.let_go("--all")
        self.assertEqual(self.lock_tables(), [])

    def test_a_damaged_record_lets_nothing_go(self):
        web, db, _ = self.start_three()
        self.kill()
        self.lock("web")
        with open(os.path.join(self.cofferdam.settings["state"], "lockdown-pending.json"), "a", encoding="utf-8") as file:
            file.write("garbage\n")
        for what in ("web", "--all"):
            error = self.let_go(what, status=1)
            self.assertIn("only cofferdamd can release then; nothing was done", error["error"])
            self.assertIn("systemctl start cofferdamd", error["help"])
        listed = self.list_alone(status=1)
        self.assertEqual(self.texts(listed), ["web"])
        self.assertIn("more may be locked down", listed["problems"][0])
        self.assert_cut_off(web, db)

    def test_only_root_can(self):
        self.start_three()
        self.kill()
        self.lock("web")
        for arguments, words in ((("release", "web"), "only root can release"), (("lockdown", "--list"), "only root can read the list")):
            result = run(self.cofferdam.space.enter(sys.executable, "-c", AS_NOBODY, COMMAND, *arguments, "--control",
                                                    "/nowhere/control.sock"), check=False)
            self.assertEqual((result.returncode, result.stdout), (1, ""))
            self.assertIn(words, result.stderr)
        self.assertEqual(self.lock_tables(), list(TABLES))

    def test_people_are_told(self):
        self.start_three()
        self.kill()
        self.assertEqual(self.cofferdam("lockdown", "--list").stdout.splitlines(), [
            "Nothing is locked down.", "cofferdamd does not run: this is what it has left on record, and what was done since without it."])
        self.cofferdam("lockdown", "web", "--reason", "odd")
        lines = self.cofferdam("lockdown", "--list").stdout.splitlines()
        self.assertEqual(lines[:2], ["Locked down", "  web"])
        self.assertEqual(self.cofferdam("release", "web").stdout.splitlines(), [
            "released: web; the rules that stand decide again",
            "cofferdamd does not run: this was done without it, and is on record for it."])


class Teardown(Alone, unittest.TestCase):
    def test_lock_tables_go_too(self):
        web, db, _ = self.start_three()
        self.lock("db")
        self.kill()
        self.lock("web")
        result = self.cofferdam("teardown", "--yes")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("2 lockdowns are in force", result.stderr)
        self.assertEqual([table for table in self.engine.tables() if "cofferdam" in table], [])
        self.assert_passes(web, db, "80/tcp")
        self.cofferdam.start()  # which knows of both
        self.cofferdam.settle(20)
        self.assertEqual(sorted(self.listed()), ["db", "web"])
        self.assert_cut_off(web, db)
        self.assert_cut_off(db)


class WithoutEngine(Alone, unittest.TestCase):
    """The Engine dies, and takes a while to get over it."""

    def test_the_engine_is_dead_as_well(self):
        web, db, far = self.start_three()
        self.kill()
        self.lose_dockerd()
        report = self.assert_streams_end(web, (db, far))
        self.assert_whole(report, "dead")
        self.assert_cut_off(web, db, far)


class Nameless(Alone, unittest.TestCase):
    """Neither the daemon nor the Engine says who there is."""

    def test_by_address_and_port(self):
        web, db, far = self.start_three()
        self.kill()
        report, _ = self.timed("--address", web.address("ipv4"))
        self.assertEqual([c["name"] for c in report["containers"]], ["web"])
        self.assert_cut_off(web, db)
        self.forget()
        self.lose_dockerd()
        refused = self.cofferdam("lockdown", "far")
        self.assertEqual(refused.returncode, 1)
        self.assertIn("--address IP or --interface", refused.stderr)
        report, _ = self.timed("--address", far.address("ipv6"))  # the port's other address goes with it
        self.assertEqual((report["containers"], report["unnamed"]), ([], [far.address("ipv6")]))
        self.assert_cut_off(far)
        self.assert_cut_off(web)  # of which nothing is known any more
        self.assert_passes(db, "10.91.0.1", "80/tcp", ("ipv4",))
        port = self.port_of(db)
        report, _ = self.timed("--interface", port)
        self.assertEqual(report["unnamed"], [port])
        self.assert_cut_off(db)
        for arguments in (("--address", "203.0.113.1"), ("--address", "224.0.0.1"), ("--interface", "a/b"),
                          ("--address", "10.91.0.77", "--direction", "in")):
            self.assertNotEqual(self.cofferdam("lockdown", *arguments).returncode, 0, arguments)

    def forget(self):
        os.remove(os.path.join(self.cofferdam.settings["state"], "inventory.json"))


class WithoutRules(Alone, unittest.TestCase):
    """No daemon has ever run."""

    START = False

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        with open(cls.cofferdam.config, "w", encoding="utf-8") as file:
            json.dump(cls.cofferdam.settings, file)

    def test_it_was_never_started(self):
        web, db = self.run_containers(web="web", db="db")
        far = self.run_container("far", networks=("back",))
        self.assert_passes(db, web)
        report = self.assert_streams_end(web, (db, far))
        self.assert_whole(report, "dead", rules=False)
        self.assert_cut_off(web, db, far)
        self.assert_silent_below_ip(web, db)
        self.assert_passes(db, far)
        self.assert_passes(db, "198.41.0.4", "80/tcp", ("ipv4",))
        lines = self.cofferdam("lockdown", "db", "--allow", "far:5432/tcp").stdout.splitlines()
        self.assertTrue(lines[0].startswith("NO RULES STAND"), lines)
        self.assert_passes(far, db)
        self.assert_dropped(far, db, "80/tcp")


class Flood:
    """Packets for one address, without a pause; and frames that arrive there with them."""

    def __init__(self, space, address, arrived):
        self.space, self.address, self.arrived = space, address, arrived
        self.sent, self.over = 0, threading.Event()
        self.thread = threading.Thread(target=self._send)
        self.thread.start()

    def _send(self):
        wire = open_in(self.space, socket.AF_INET, socket.SOCK_DGRAM)
        while not self.over.is_set():
            try:
                wire.sendto(b"x", (self.address, 4000))
            except OSError:  # a packet that is dropped on its way out
                pass
            self.sent += 1
        wire.close()

    def stop(self):
        self.over.set()
        self.thread.join()
        return self.sent, [frame for frame in self.arrived() if frame[1] == "0800"]


if __name__ == "__main__":
    unittest.main()

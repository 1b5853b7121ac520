#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What the attacks must not cost: an allowed workload on one bridge, across two, with the host and with the outside, over IPv4
and IPv6, is not harmed."""

import concurrent.futures
import contextlib
import hashlib
import http.client
import http.server
import itertools
import os
import socket
import threading
import time
import unittest

from redteam import FAMILIES, in_namespace
from paths import NameServer, look_up, uplink

# pylint: disable=wrong-import-order
from engine import OUTSIDE
from machine import run
from playground import Playground, Talk

HTTP, DATAGRAMS = 8000, 7000
BIG = 50 << 20
DNS = "10.77.0.10"
POLICIES = """
policy: workload
select: {labels: {role: workload}}
ingress:
  - {from: [{labels: {role: workload}}, host, outside], ports: [8000/tcp, 7000/udp, 5432/tcp, 53/udp, icmp/echo-request]}
egress:
  - {to: [{labels: {role: workload}}, host, outside], ports: [8000/tcp, 7000/udp, 5432/tcp, 53/udp, icmp/echo-request]}
  - {to: [host], ports: [8080/tcp]}  # by docker-proxy, who asks for a published port is asking the host
  - {to: [dns]}
"""


class Pages(http.server.BaseHTTPRequestHandler):
    """GET /N gives N bytes; POST takes what comes and says what it was."""

    protocol_version = "HTTP/1.1"
    DATA = os.urandom(1 << 20)

    def do_GET(self):  # pylint: disable=invalid-name
        size = int(self.path[1:])
        self._head(size)
        for left in range(size, 0, -len(self.DATA)):
            self.wfile.write(self.DATA[:left])

    def do_POST(self):  # pylint: disable=invalid-name
        left, digest = int(self.headers["Content-Length"]), hashlib.sha1()
        while left:
            data = self.rfile.read(min(left, 1 << 20))
            left -= len(data)
            digest.update(data)
        self._head(40)
        self.wfile.write(digest.hexdigest().encode())

    def _head(self, size):
        self.send_response(200)
        self.send_header("Content-Length", str(size))
        self.end_headers()

    def log_message(self, *_):  # pylint: disable=arguments-differ
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256


def bound(space, kind, port):
    """A socket for both families in a namespace."""
    def make():
        made = socket.socket(socket.AF_INET6, kind)
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(("::", port))
        return made

    return in_namespace(space, make)


def serve_pages(space):
    server = Server(("", HTTP), Pages, bind_and_activate=False)
    server.socket.close()
    server.socket = bound(space, socket.SOCK_STREAM, HTTP)
    server.server_activate()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def browse(space, address, port=HTTP, timeout=10):
    """An HTTP connection from a namespace."""
    connection = http.client.HTTPConnection(address, port, timeout=timeout)
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    connection.sock = in_namespace(space, lambda: socket.socket(family, socket.SOCK_STREAM))
    connection.sock.settimeout(timeout)
    connection.sock.connect((address, port))
    return connection


class Workload(Playground, unittest.TestCase):
    POLICIES = POLICIES
    START = False

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.engine.network("narrow", "10.93.0.0/24", "fd93::/64", Options={"com.docker.network.driver.mtu": "1400"})
        options = {"labels": {"role": "workload"}, "command": ["probe", "serve", "5432/tcp", "53/udp"], "Dns": [DNS]}
        web = dict(options, publish=[(8080, HTTP, "tcp")])
        started = cls.engine.run_all({"web": dict(web, networks=["front"]), "app": dict(options, networks=["front"]),
                                      "far": dict(options, networks=["back"]), "small": dict(options, networks=["narrow"])})
        cls.web, cls.app, cls.far, cls.small = (started[name] for name in ("web", "app", "far", "small"))
        cls.host, cls.lan = cls.engine.host, cls.engine.lan
        cls.places = (cls.web, cls.app, cls.far, cls.small, cls.host, cls.lan)
        for space in cls.places:
            cls.addClassCleanup(serve_pages(space).server_close)
        cls.names = NameServer(cls.lan, DNS)
        cls.cofferdam.start()

    def paths(self, family):
        """(from, address, its name): same bridge, across bridges, to a network with another MTU, in and out, and with the host."""
        outside, gateway = OUTSIDE[family]["testnet"], {"ipv4": "10.91.0.1", "ipv6": "fd91::1"}[family]
        return [(self.app, self.web.address(family), "app -> web"), (self.web, self.app.address(family), "web -> app"),
                (self.app, self.far.address(family), "app -> far"), (self.far, self.app.address(family), "far -> app"),
                (self.app, self.small.address(family), "app -> small"), (self.small, self.app.address(family), "small -> app"),
                (self.app, outside, "app -> lan"), (self.lan, self.app.address(family), "lan -> app"),
                (self.app, gateway, "app -> host"), (self.host, self.app.address(family), "host -> app")]

    def on_each(self, action):
        for family in FAMILIES:
            for source, address, name in self.paths(family):
                with self.subTest(name, family=family):
                    action(source, address)

    def fetch(self, connection, size):
        connection.request("GET", f"/{size}")
        self.assertEqual(len(connection.getresponse().read()), size)

    def test_requests_over_one_connection(self):
        def talk(source, address):
            with contextlib.closing(browse(source, address)) as connection:
                for size in range(0, 40000, 2000):
                    self.fetch(connection, size)

        self.on_each(talk)

    def test_published_port(self):
        for family, source in itertools.product(FAMILIES, (self.lan, self.host, self.far)):
            with self.subTest(source.name, family=family):
                with contextlib.closing(browse(source, uplink(family), 8080)) as connection:
                    self.fetch(connection, 100000)

    def test_many_connections(self):
        def one(place):
            connection = browse(*place, timeout=20)
            self.fetch(connection, 5000)
            return connection

        for family in FAMILIES:
            for source, address, name in self.paths(family)[:4]:
                with self.subTest(name, family=family), concurrent.futures.ThreadPoolExecutor(16) as pool:
                    connections = list(pool.map(one, [(source, address)] * 200))  # all open at a time
                    for connection in connections:
                        connection.close()

    def test_long_transfers(self):
        data = Pages.DATA * (BIG >> 20)
        digest = hashlib.sha1(data).hexdigest()

        def transfer(source, address):
            with contextlib.closing(browse(source, address, timeout=20)) as connection:
                self.fetch(connection, BIG)
                connection.request("POST", "/", body=data)
                self.assertEqual(connection.getresponse().read().decode(), digest)

        self.on_each(transfer)

    def test_long_datagrams(self):
        """In fragments, which the rules of bridge and inet see whole."""
        echoes = [bound(space, socket.SOCK_DGRAM, DATAGRAMS) for space in self.places]
        for echo in echoes:
            threading.Thread(target=self._echo, args=[echo], daemon=True).start()
        self.on_each(self._exchange)

    def _exchange(self, source, address):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with in_namespace(source, lambda: socket.socket(family, socket.SOCK_DGRAM)) as asker:
            asker.settimeout(2)
            for size in (1, 1472, 1473, 9000, 60000):
                sent = os.urandom(size)
                for attempt in range(3):  # the first one may find the path's MTU
                    asker.sendto(sent, (address, DATAGRAMS))
                    try:
                        self.assertEqual(asker.recv(65536), sent)
                        break
                    except TimeoutError:
                        self.assertLess(attempt, 2, f"{size} bytes")

    @staticmethod
    def _echo(echo):
        while True:
            data, peer = echo.recvfrom(65536)
            if not data:
                return
            echo.sendto(data, peer)

    def test_echo_requests(self):
        self.on_each(self._ping)

    def _ping(self, source, address):
        for size in (56, 60000):
            command = ["busybox", "ping6" if ":" in address else "ping", "-c", "3", "-i", "0.1", "-W", "2", "-s", str(size), address]
            output = run(source.enter(*command), check=False).stdout
            self.assertRegex(output, " [23] packets received")  # the first large one may find the path's MTU

    def test_names(self):
        """Of containers, by Docker's resolver; and of the world, by a name server outside."""
        for source, name, answer in ((self.app, "web", self.web.address()), (self.web, "app", self.app.address()),
                                     (self.app, "www.example.org", NameServer.ANSWER), (self.far, "www.example.net", NameServer.ANSWER)):
            with self.subTest(name):
                self.assertEqual(look_up(source, name, timeout=3), [answer])

    def test_an_idle_connection(self):
        """It says nothing while the daemon restarts, and others start and stop."""
        talks = [Talk(source, "tcp", address, 5432) for family in FAMILIES
                 for source, address, name in self.paths(family) if name not in ("app -> lan", "app -> host")]
        for talk in talks:
            self.assertEqual(talk.__enter__().say(), "answered")
            self.addCleanup(talk.__exit__)
        began = time.monotonic()
        self.cofferdam.restart()
        for number in range(3):
            self.engine.run(f"passing-{number}", networks=["front"], labels={"role": "workload"}).remove()
        self.cofferdam.apply(POLICIES + "---\npolicy: more\nselect: {name: nobody}\n")
        time.sleep(max(0.0, 5 - (time.monotonic() - began)))
        for talk in talks:
            self.assertEqual(talk.say(), "answered")

    def test_a_smaller_mtu_on_the_way(self):
        """What the host says of it reaches the sender."""
        self.host.run("ip", "link", "set", "uplink", "mtu", "1300")
        self.addCleanup(self.host.run, "ip", "link", "set", "uplink", "mtu", "1500")
        for family in FAMILIES:
            with self.subTest(family):
                with contextlib.closing(browse(self.app, OUTSIDE[family]["lan-99"])) as connection:
                    connection.request("POST", "/", body=Pages.DATA)
                    self.assertEqual(connection.getresponse().read().decode(), hashlib.sha1(Pages.DATA).hexdigest())
                cached = run(self.app.enter("ip", "route", "get", OUTSIDE[family]["lan-99"])).stdout
                self.assertIn("mtu 1300", cached)

    def test_it_is_the_policy(self):
        """All of that is open because the policy says so."""
        for target in (self.web, self.far):
            self.assert_dropped(self.app, target, "8001/tcp")
        self.assert_passes(self.app, self.web)


if __name__ == "__main__":
    unittest.main()

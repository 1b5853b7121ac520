#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Data in names that are looked up, from a container whose policies let nothing out. Where the Engine asks the name server
from the container, the rules stop it; where it asks from the host, as for a name server on the host's loopback address, they
cannot, and `cofferdam status` must say so."""

import unittest

from redteam import GATEWAYS, Attack, Redteam
from paths import Heard, NameServer, look_up

from engine import Engine  # pylint: disable=wrong-import-order

OUTSIDE = "198.41.0.4"
FINDING = "lookups are not filtered"


class LookupsEngine(Engine):
    """An Engine whose /etc/resolv.conf is another than the machine's: in a mount namespace of its own."""

    SERVER = "127.0.0.1"

    def spawn(self, name, command, *more, **options):  # pylint: disable=arguments-differ
        if name == "containerd":
            with open(self.path("resolv.conf"), "w", encoding="utf-8") as file:
                file.write(f"nameserver {self.SERVER}\n")
            at = command.index("containerd")  # in the tree of another Engine, if there is one
            command = [*command[:at], "unshare", "--mount", "--propagation", "private", "--", *self._with_file(), *command[at:]]
        elif name == "cofferdamd":  # it reads the file as well
            command = ["unshare", "--mount", "--propagation", "private", "--", *self._with_file(), *command]
        return super().spawn(name, command, *more, **options)

    def _with_file(self):
        return ["sh", "-c", 'mount --bind "$0" /etc/resolv.conf && exec "$@"', self.path("resolv.conf")]

    def _in_tree(self):
        return ["nsenter", f"--mount=/proc/{self.containerd.process.pid}/ns/mnt", "--"]


class Lookups(Redteam, unittest.TestCase):
    TITLE = "Names that are looked up"
    ENGINE = LookupsEngine

    @classmethod
    def prepare(cls):
        super().prepare()
        cls.on_host = NameServer(cls.engine.host, "127.0.0.1")
        cls.on_gateway = NameServer(cls.engine.host, GATEWAYS["front"]["ipv4"])
        cls.outside = NameServer(cls.engine.lan, OUTSIDE)
        cls.own = cls.engine.run("own-server", **cls.options("bystander", Dns=[OUTSIDE]))
        cls.default = cls.engine.run("default-network", networks=["bridge"], command=["probe", "serve", "80/tcp"])

    @classmethod
    def attacks(cls):
        cls.channel = cls.attempt("by the Engine, which asks from the host", cls.bystander, "127.0.0.11", cls.on_host)
        return [
            cls.channel,
            cls.attempt("by the Engine, which asks from the container (--dns)", cls.own, "127.0.0.11", cls.outside),
            cls.attempt("a name server outside", cls.bystander, OUTSIDE, cls.outside),
            cls.attempt("a name server outside, default network", cls.default, OUTSIDE, cls.outside),
            cls.attempt("the host's, on the gateway", cls.bystander, GATEWAYS["front"]["ipv4"], cls.on_gateway),
        ]

    @staticmethod
    def attempt(name, source, server, hears):
        def send(attempt):
            for number in range(3):
                look_up(source, f"secret{number}.{attempt.mark.decode()}x.example", server, 0.3)

        return Attack(name, source, send, lambda: Heard(hears), "ipv4", f"{source.name} -> {server}", "no policy lets it")

    def test_attacks(self):
        """The channel that the rules cannot see is open, and known to be."""
        self.attempts.remove(self.channel)
        self.addCleanup(self.attempts.append, self.channel)
        super().test_attacks()
        self.assertEqual(self.channel.results["without"], 3)
        self.assertEqual(self.channel.results["with"], 3, "closed: README.md, docs/red-team.md and status say that it is open")

    def test_status_says_so(self):
        problems = self.cofferdam.json("status")["problems"]
        found = [problem for problem in problems if FINDING in str(problem)]
        self.assertEqual(len(found), 1, problems)
        self.assertIn("of 4 containers", str(found[0]))  # not of the one with a server of its own, nor of the default network's


if __name__ == "__main__":
    unittest.main()

#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Connections that connection tracking expects because of what another one says: with FTP's helper, which another program's
rule assigns, an allowed control connection announces data connections to any port. Whoever accepts what is related lets
them in."""

import json
import re
import socket
import threading
import time
import unittest

from redteam import FAMILIES, Attack, Redteam, Wire, attack, in_namespace
from engine import OUTSIDE

FTP = 21
INTO, OUT = 9001, 9002  # the ports that the two ends of a control connection announce
POLICY = f"""
---
policy: ftp
select: {{labels: {{role: attacker}}}}
egress: [{{to: [internet, {{labels: {{role: victim}}}}], ports: [{FTP}/tcp]}}]
---
policy: ftp-victim
select: {{labels: {{role: victim}}}}
ingress: [{{from: [{{labels: {{role: attacker}}}}], ports: [{FTP}/tcp]}}]
"""
HELPER = f"""
table inet redteam {{
    ct helper ftp4 {{ type "ftp" protocol tcp; l3proto ip; }}
    ct helper ftp6 {{ type "ftp" protocol tcp; l3proto ip6; }}
    counter related {{ }}
    chain assign {{
        type filter hook prerouting priority -150;
        meta nfproto ipv4 tcp dport {FTP} ct helper set "ftp4"
        meta nfproto ipv6 tcp dport {FTP} ct helper set "ftp6"
    }}
    chain see {{
        type filter hook forward priority -50;
        ct state related tcp dport {{ {INTO}, {OUT} }} counter name "related"
    }}
}}
"""
KIND = {"ipv4": socket.AF_INET, "ipv6": socket.AF_INET6}


class Server:
    """Takes one connection to port 21 and keeps it."""

    def __init__(self, space, family):
        self.stream = None
        self.ear = in_namespace(space, lambda: socket.socket(KIND[family], socket.SOCK_STREAM))
        self.ear.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.ear.bind(("", FTP))
        self.ear.listen(1)
        self.thread = threading.Thread(target=self._accept)
        self.thread.start()

    def _accept(self):
        self.stream, _ = self.ear.accept()

    def close(self):
        if self.stream:
            self.stream.close()
        self.ear.close()


class Expectations(Redteam, unittest.TestCase):
    TITLE = "Connections that another one announces"
    POLICIES = Redteam.POLICIES + POLICY
    SETTLE = 0.1

    @classmethod
    def prepare(cls):
        super().prepare()
        cls.engine.host.run("nft", "-f", "-", stdin=HELPER)
        cls.seen = {}

    @classmethod
    def attacks(cls):
        attempts = []
        for family in FAMILIES:
            for where, space, address in (("outside", cls.engine.lan, OUTSIDE[family]["public"]),
                                          ("victim", cls.victim, cls.victim.address(family))):
                wire = (lambda: Wire(cls.engine.lan, "neighbour")) if where == "outside" else (lambda: Wire(cls.victim))
                attempts.append(Attack("PASV: to another port of the server", cls.attacker, cls.passive(family, space, address), wire,
                                       family, f"attacker -> {where}", "related and no error", sent=1))
                attempts.append(Attack("PORT: from the server to the client", cls.attacker, cls.active(family, space, address),
                                       lambda: Wire(cls.attacker), family, f"{where} -> attacker", "related and no error", sent=1))
        return attempts

    @classmethod
    def passive(cls, family, space, address):
        def send(attempt):
            def announce(client, server):
                host = address.replace(".", ",")
                text = (f"227 Entering Passive Mode ({host},{OUT // 256},{OUT % 256})\r\n" if family == "ipv4"
                        else f"229 Entering Extended Passive Mode (|||{OUT}|)\r\n")
                client.send(b"PASV\r\n" if family == "ipv4" else b"EPSV\r\n")
                server.recv(100)
                server.send(text.encode())
                client.recv(200)
                cls.syn(cls.attacker, family, cls.attacker.address(family), address, OUT, attempt,
                        cls.gateway_mac("front") if space is cls.engine.lan else cls.victim.mac("front"))
            cls.with_control(attempt, family, space, address, announce)
        return send

    @classmethod
    def active(cls, family, space, address):
        def send(attempt):
            def announce(client, server):
                own = cls.attacker.address(family)
                text = (f"PORT {own.replace('.', ',')},{INTO // 256},{INTO % 256}\r\n" if family == "ipv4"
                        else f"EPRT |2|{own}|{INTO}|\r\n")
                client.send(text.encode())
                server.recv(200)
                if space is cls.engine.lan:
                    cls.from_outside(space, family, address, server.getpeername()[0], attempt)
                else:
                    cls.syn(space, family, address, own, INTO, attempt, cls.attacker.mac("front"), 20)
            cls.with_control(attempt, family, space, address, announce)
        return send

    @classmethod
    def from_outside(cls, space, family, own, client, attempt):
        """To the address that the server sees: the client's own, or the one that stands for it."""
        host = json.loads(cls.engine.host.run("ip", "-j", "link", "show", "uplink").stdout)[0]["address"]
        attack(space, "tcp", "dev=neighbour", f"from={own}", f"to={client}", f"dmac={host}", "sport=20", f"dport={INTO}",
               "flags=S", "count=1", f"mark={attempt.mark.decode()}")

    @classmethod
    def with_control(cls, attempt, family, space, address, announce):
        server = Server(space, family)
        try:
            client = in_namespace(cls.attacker, lambda: socket.create_connection((address, FTP), 5))
            client.settimeout(2)
            server.thread.join(2)
            with client:
                cls.greet(client, server.stream)
                before = cls.related()
                announce(client, server.stream)
                time.sleep(0.05)
                cls.seen.setdefault((attempt.name, family, attempt.path), []).append(cls.related() - before)
        finally:
            server.close()

    @staticmethod
    def greet(client, server):
        """The helper looks at lines only once it has seen the end of one, in each direction."""
        server.send(b"220 hello\r\n")
        client.recv(100)
        client.send(b"USER anonymous\r\n")
        server.recv(100)

    @classmethod
    def syn(cls, source, family, own, to, port, attempt, dmac, sport=40000):
        attack(source, "tcp", f"from={own}", f"to={to}", f"dmac={dmac}", f"sport={sport}", f"dport={port}", "flags=S", "count=1",
               f"mark={attempt.mark.decode()}")

    @classmethod
    def related(cls):
        text = cls.engine.host.run("nft", "list", "counters", "table", "inet", "redteam").stdout
        return int(re.search(r"packets (\d+)", text)[1])

    def test_they_are_expected(self):
        """Connection tracking takes them all for related, with Cofferdam: that is what nobody may go by. (Without, it does not see
        the frames of one bridge where nobody has turned bridge netfilter on, as with Docker 28.)"""
        for key, counts in self.seen.items():
            with self.subTest(key):
                self.assertEqual(len(counts), 2)
                self.assertGreater(min(counts) if self.engine.version < (27, 3) else counts[-1], 0)


if __name__ == "__main__":
    unittest.main()

#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""TCP segments of connections that nobody has opened, and what two that collude make of each other's."""

import itertools
import socket
import time
import unittest

from redteam import FAMILIES, PORT, Attack, Changes, Redteam, Several, Wire, attack, in_namespace
from machine import wait_until
from playground import Talk

# What no connection begins with. nf_conntrack_tcp_loose is on, as it is unless somebody turns it off: a bare ACK is a new
# connection then.
MIDDLE = {"ACK": "A", "PSH+ACK": "PA", "FIN": "F", "FIN+ACK": "FA", "RST": "R", "RST+ACK": "RA", "SYN+ACK": "SA", "SYN+FIN": "SF",
          "SYN+RST": "SR", "NULL": "", "XMAS": "FPU", "URG": "U", "URG+ACK": "UA", "all": "FSRPAUEC"}
FIRST = {"SYN with data": "S", "SYN, ECN": "SEC", "SYN, PSH, URG": "SPU"}  # by the policy alone
NO_CONNECTION = "new TCP connection without SYN|invalid, untracked"
SPOOFED = "not this port's address"

_ports = itertools.count(20000)  # another connection for each attack


class MidStream(Redteam, unittest.TestCase):
    TITLE = "TCP in the middle of a stream"

    @classmethod
    def attacks(cls):
        loose = cls.engine.host.sysctl("net.netfilter.nf_conntrack_tcp_loose")
        if loose != "1":
            raise RuntimeError("nf_conntrack_tcp_loose is off: bare ACKs would not be tried")
        attempts = []
        for family in FAMILIES:
            for path in cls.paths(family):
                for name, flags in MIDDLE.items():
                    attempts.append(cls.segment(name, path, flags, PORT, NO_CONNECTION))
                for name, flags in FIRST.items():
                    attempts.append(cls.segment(name, path, flags, PORT, "egress/attacker|no policy lets it reach the host"))
                if path.name in ("attacker -> victim", "attacker -> outside"):
                    for name, flags in MIDDLE.items():
                        attempts.append(cls.segment(f"{name}, allowed port", path, flags, 80, NO_CONNECTION))
        return attempts

    @classmethod
    def segment(cls, name, path, flags, port, by):
        sends = ["tcp", *path.arguments(cls.attacker.address(path.family)), f"flags={flags}", f"dport={port}",
                 f"sport={next(_ports)}"]
        return Attack(name, cls.attacker, sends, lambda: path.observe(socket.IPPROTO_TCP), path.family, path.name, by)


class Hijack(Redteam, unittest.TestCase):
    """Another's connection, or an own one for what it was not opened for."""

    TITLE = "Connections used by others and for other things"

    @classmethod
    def attacks(cls):
        attempts = []
        for family in FAMILIES:
            attempts += cls.collusion(family) + cls.resets(family) + cls.other_targets(family) + cls.replies(family)
        return attempts

    # Two containers that may not talk, and both try

    SEQUENCES = {
        "SYN answered by SYN+ACK": ["tcp > S", "tcp < SA", "tcp > A"],
        "SYN answered by data": ["tcp > S", "tcp < PA"],
        "simultaneous open": ["tcp > S", "tcp < S", "tcp > SA", "tcp < SA", "tcp > A", "tcp < A"],
        "RST, then SYN+ACK": ["tcp > R", "tcp < SA", "tcp > A"],
        "UDP from both ends": ["udp >", "udp <", "udp >", "udp <"],
    }

    @classmethod
    def collusion(cls, family):
        attempts = []
        for name, steps in cls.SEQUENCES.items():
            for peer in (cls.bystander, cls.other):
                attempts.append(Attack(name, cls.attacker, cls.played(peer, family, steps),
                                       lambda peer=peer: Several(Wire(cls.attacker), Wire(peer)), family,
                                       f"attacker <-> {peer.name}", NO_CONNECTION + "|egress/attacker|no policy lets it out", sent=len(steps)))
        return attempts

    @classmethod
    def played(cls, peer, family, steps):
        def play(attempt):
            port = next(_ports)
            for step in steps:
                proto, direction, *flags = step.split()
                forth = direction == ">"
                source, target = (cls.attacker, peer) if forth else (peer, cls.attacker)
                network = next(iter(source.addresses(family)))
                dmac = target.mac(network) if network in target.addresses(family) else cls.gateway_mac(network)
                attack(source, proto, f"from={source.address(family)}", f"to={target.address(family)}", f"dmac={dmac}",
                       f"sport={port if forth else PORT}", f"dport={PORT if forth else port}", "count=1",
                       *[f"flags={letters}" for letters in flags], f"mark={attempt.mark.decode()}")
        return play

    # The end of a connection between others, by one who knows its sequence numbers

    @classmethod
    def resets(cls, family):
        attempts = []
        for flags, smac in (("R", None), ("RA", None), ("R", cls.bystander.mac("front"))):
            name = f"{'+'.join(flags)} with the right sequence number" + (", the bystander's MAC" if smac else "")
            state = {}

            def establish(state=state):
                return cls.established(family, state)

            def send(_, state=state, flags=flags, smac=smac):
                cls.reset(family, state, flags, smac)

            attempts.append(Attack(name, cls.attacker, send, establish, family, "bystander -> victim", SPOOFED, sent=3,
                                   undo=lambda state=state: (state["talk"].__exit__(), cls.learn(family))))
        return attempts

    @classmethod
    def established(cls, family, state):
        """A connection victim -> bystander; state: what is to be known of it. Whether it ended counts."""
        wire = Wire(cls.victim, matches=lambda frame: True)
        state["talk"] = Talk(cls.victim, "tcp", cls.bystander.address(family), 80)
        state["talk"].__enter__()
        observer = Changes(lambda: state["talk"].say() == "answered")
        seen = []

        def caught():
            seen.extend(head for head in (cls.tcp_of(frame, family) for frame in wire.frames()) if head)
            return any(cls.end_of(head) > int.from_bytes(head[4:8], "big") for head in seen)
        wait_until(caught, 5, "an answer of the bystander's")
        wire.close()
        last = max(seen, key=cls.end_of)
        state.update(port=int.from_bytes(last[2:4], "big"), seq=cls.end_of(last) % 2**32, ack=int.from_bytes(last[8:12], "big"))
        return observer

    @staticmethod
    def end_of(segment):
        """The sequence number behind its data."""
        return int.from_bytes(segment[4:8], "big") + len(segment) - (segment[12] >> 4) * 4

    @staticmethod
    def tcp_of(frame, family):
        """The TCP segment from port 80 in a frame, or b""."""
        start, protocol, total = (34, 23, 14 + int.from_bytes(frame[16:18], "big")) if family == "ipv4" else (
            54, 20, 54 + int.from_bytes(frame[18:20], "big"))
        kind = b"\x08\x00" if family == "ipv4" else b"\x86\xdd"
        segment = frame[start:total]
        return segment if frame[12:14] == kind and frame[protocol] == 6 and segment[:2] == b"\x00\x50" else b""

    @classmethod
    def reset(cls, family, state, flags, smac):
        arguments = [f"from={cls.bystander.address(family)}", f"to={cls.victim.address(family)}",
                     f"dmac={cls.victim.mac('front')}", "sport=80", f"dport={state['port']}", f"seq={state['seq']}",
                     f"ack={state['ack']}", f"flags={flags}"] + ([f"smac={smac}"] if smac else [])
        attack(cls.attacker, "tcp", *arguments)

    @classmethod
    def learn(cls, family):
        """The bridge finds the bystander's MAC at the bystander's port again."""
        attack(cls.bystander, "udp", f"from={cls.bystander.address(family)}", f"to={cls.victim.address(family)}", "count=1",
               f"dmac={cls.victim.mac('front')}")

    # A connection that is allowed, used for other things

    @classmethod
    def other_targets(cls, family):
        attempts = []
        for target, port in ((cls.victim, PORT), (cls.bystander, 80), (cls.other, 80)):
            for flags in ("PA", "FA", "SA"):
                attempts.append(Attack(f"{'+'.join(flags)} from the port of an allowed connection, to {port}", cls.attacker,
                                       cls.beside(family, target, port, flags), lambda target=target: Wire(target), family,
                                       f"attacker -> {target.name}", NO_CONNECTION))
        return attempts

    @classmethod
    def beside(cls, family, target, port, flags):
        def send(attempt):
            with in_namespace(cls.attacker, lambda: socket.create_connection((cls.victim.address(family), 80), 5)) as stream:
                dmac = target.mac("front") if "front" in target.addresses(family) else cls.gateway_mac("front")
                attack(cls.attacker, "tcp", f"from={cls.attacker.address(family)}", f"to={target.address(family)}",
                       f"dmac={dmac}", f"sport={stream.getsockname()[1]}", f"dport={port}", f"flags={flags}",
                       f"mark={attempt.mark.decode()}")
        return send

    # Datagrams as an answer to a question that was another's

    @classmethod
    def replies(cls, family):
        rows = [("the attacker's own address", cls.attacker, None, "egress/attacker|ingress/victim"),
                ("the bystander's address", cls.bystander, None, SPOOFED),
                ("the bystander's address and MAC", cls.bystander, cls.bystander.mac("front"), SPOOFED)]
        return [Attack(f"a forged answer to a lookup, from {name}", cls.attacker, cls.answer(family, whose, smac),
                       lambda: Wire(cls.victim), family, "attacker -> victim", by, undo=lambda: cls.learn(family))
                for name, whose, smac, by in rows]

    @classmethod
    def answer(cls, family, whose, smac):
        def send(attempt):
            port = cls.ask_bystander(family)
            attack(cls.attacker, "udp", f"from={whose.address(family)}", f"to={cls.victim.address(family)}",
                   f"dmac={cls.victim.mac('front')}", "sport=53", f"dport={port}", *([f"smac={smac}"] if smac else []),
                   f"mark={attempt.mark.decode()}")
        return send

    @classmethod
    def ask_bystander(cls, family):
        """A datagram from the victim and its answer. Returns the victim's port."""
        kind = socket.AF_INET if family == "ipv4" else socket.AF_INET6
        with in_namespace(cls.victim, lambda: socket.socket(kind, socket.SOCK_DGRAM)) as asker:
            asker.settimeout(0.5)
            asker.connect((cls.bystander.address(family), 53))
            for _ in range(10):
                asker.send(b"question")
                try:
                    asker.recv(500)
                    return asker.getsockname()[1]
                except TimeoutError:
                    time.sleep(0.1)
        raise RuntimeError("the bystander does not answer the victim")

    def test_a_full_connection_table(self):
        """An attacker can fill it, for all. That opens nothing, and ends no connection that stands."""
        host = self.engine.host
        most = int(host.sysctl("net.netfilter.nf_conntrack_max"))
        gateway = self.gateway_mac("front")
        self.addCleanup(self.engine.forget_connections)
        with Talk(self.victim, "tcp", self.bystander.address(), 80) as talk:
            talk.say()
            for i in range(most // 60000 + 1):
                attack(self.attacker, "udp", f"from={self.attacker.address()}", f"to=198.41.1.{i}", f"dmac={gateway}", "dport=53",
                       "sport=2000", "count=60000", "sweep=1")
            self.assertGreater(int(host.sysctl("net.netfilter.nf_conntrack_count")), most * 0.9)
            for family in FAMILIES:
                for path in self.paths(family):
                    with self.subTest(path.name, family=family):
                        self.assertEqual(self.denied(path), 0)
            self.assertEqual(talk.say(), "answered")

    def denied(self, path):
        """How many datagrams and segments arrive at a port that no policy allows."""
        mark, found = "cofferdam-redteam-full-", 0
        for command, protocol in (("udp", socket.IPPROTO_UDP), ("tcp", socket.IPPROTO_TCP)):
            observer = path.observe(protocol)
            attack(self.attacker, command, *path.arguments(self.attacker.address(path.family)), f"dport={PORT}",
                   *(["flags=S"] if command == "tcp" else []), f"mark={mark}")
            time.sleep(self.SETTLE)
            found += observer.count(mark.encode())
            observer.close()
        return found


if __name__ == "__main__":
    unittest.main()

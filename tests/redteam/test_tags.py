#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Frames that are not plain Ethernet II with IPv4, IPv6 or ARP: tagged, with LLC, of other types."""

import unittest

from redteam import FAMILIES, PORT, Attack, Redteam, Wire

TAGS = ["8100.0", "8100.5", "88a8.0", "88a8.7", "9100.0"]
DEEP = ["8100.0,8100.0", "8100.0,8100.5", "88a8.0,8100.0", "88a8.3,8100.5", "8100.0,8100.0,8100.0"]
TYPES = {"0x88b5": "experimental", "0x888e": "EAPOL", "0x88cc": "LLDP", "0x8847": "MPLS", "0x8864": "PPPoE", "0x8035": "RARP",
         "0x22f0": "AVTP"}
NOT_OURS = "neither IPv4 nor IPv6 nor ARP"


class Tags(Redteam, unittest.TestCase):
    TITLE = "Frames of other kinds"

    @classmethod
    def attacks(cls):
        attempts = []
        for family in FAMILIES:
            basic = ["udp", f"from={cls.attacker.address(family)}", f"to={cls.victim.address(family)}", f"dport={PORT}"]
            to_victim = basic + [f"dmac={cls.victim.mac('front')}"]
            for tags in TAGS + DEEP:
                attempts.append(cls.attempt(f"tags {tags}", to_victim + [f"tags={tags}"], family))
            for length, words in ((None, "LLC and SNAP"), (40, "LLC and SNAP, too short a length"), (1501, "LLC and SNAP, length 1501")):
                extra = ["frame=snap"] + ([f"length={length}"] if length else [])
                attempts.append(cls.attempt(words, to_victim + extra, family))
            for kind, words in TYPES.items():
                attempts.append(cls.attempt(f"type {kind}, {words}", to_victim + [f"type={kind}"], family))
        return attempts

    @classmethod
    def attempt(cls, name, arguments, family):
        return Attack(name, cls.attacker, arguments, lambda: Wire(cls.victim), family, "attacker -> victim", NOT_OURS)


if __name__ == "__main__":
    unittest.main()

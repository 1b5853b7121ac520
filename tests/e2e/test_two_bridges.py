#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Truth tables across two bridges: with Docker's isolation between them lifted, so that every cell is ours to decide;
and as Docker has it, where what it blocks itself stays blocked whatever a policy says."""

import unittest

from truth import AllTables, BasicTables

FRONT = {"web": ("10.91.1.2", "fd91::1:2"), "blog-app": ("10.91.1.17", "fd91::1:17"), "lone": ("10.91.3.2", "fd91::3:2"),
         "gw": ("10.91.255.254", "fd91::ffff")}
BACK = {"db": ("10.92.0.18", "fd92::1:2"), "cache-1": ("10.92.0.34", "fd92::2:34"), "fake": ("10.92.0.50", "fd92::77"),
        "gw": ("10.92.0.51", "fd92::fffe")}
NETWORKS = {"front": ("10.91.0.0/16", "fd91::/64"), "back": ("10.92.0.0/26", "fd92::/64")}
PLACES = {name: [(network, *places[name]) for network, places in (("front", FRONT), ("back", BACK)) if name in places]
          for name in {**FRONT, **BACK}}


class TwoBridges(AllTables, unittest.TestCase):
    NETWORKS = NETWORKS
    PLACES = PLACES


class TwoBridgesIsolated(BasicTables, unittest.TestCase):
    NETWORKS = NETWORKS
    PLACES = PLACES
    LIFT_ISOLATION = False


if __name__ == "__main__":
    unittest.main()

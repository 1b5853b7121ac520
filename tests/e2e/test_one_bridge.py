#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Truth tables with all containers on one bridge, spread over several /24 and /28 of it."""

import unittest

from truth import AllTables

ADDRESSES = {"web": ("10.91.1.2", "fd91::1:2"), "db": ("10.91.1.17", "fd91::1:17"), "blog-app": ("10.91.2.2", "fd91::2:2"),
             "cache-1": ("10.91.2.34", "fd91::2:34"), "lone": ("10.91.3.2", "fd91::3:2"), "fake": ("10.91.77.10", "fd91::77"),
             "gw": ("10.91.255.254", "fd91::ffff")}


class OneBridge(AllTables, unittest.TestCase):
    NETWORKS = {"front": ("10.91.0.0/16", "fd91::/64")}
    PLACES = {name: [("front", *addresses)] for name, addresses in ADDRESSES.items()}


if __name__ == "__main__":
    unittest.main()

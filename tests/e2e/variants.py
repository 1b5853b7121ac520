# SPDX-License-Identifier: GPL-2.0-or-later
"""Policy sets that all mean the same and are all written differently."""

import json
import random

import yaml

from flows import PORTS, SERVED

# Blocks that say the same: whole, or in halves, each without what is excepted.
BLOCKS = {
    "ipv4": [[("198.0.0.0/8", "198.97.0.0/16")],
             [("198.0.0.0/9", "198.97.0.0/16"), ("198.128.0.0/9", "")],
             [("198.0.0.0/9", "198.97.0.0/17 198.97.128.0/17"), ("198.128.0.0/9", "")],
             [("198.0.0.0/10", ""), ("198.64.0.0/10", "198.97.0.0/16"), ("198.128.0.0/9", "")]],
    "ipv6": [[("2a00::/12", "2a00:1450:4002::/48")],
             [("2a00::/13", "2a00:1450:4002::/48"), ("2a08::/13", "")],
             [("2a00::/13", "2a00:1450:4002::/49 2a00:1450:4002:8000::/49"), ("2a08::/13", "")]],
    "lan4": [[("203.0.113.0/24", "203.0.113.128/25")], [("203.0.113.0/25", "")],
             [("203.0.113.0/24", "203.0.113.128/26 203.0.113.192/26")]],
    "lan6": [[("2001:db8:113::/64", "2001:db8:113::8000/113")],
             [("2001:db8:113::/64", "2001:db8:113::8000/114 2001:db8:113::c000/114")]],
}


class Variants:
    """next(): the files of another such set."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.count = 0

    def _cidrs(self, *families):
        peers = []
        for family in families:
            for block, excepted in self.random.choice(BLOCKS[family]):
                blocks = excepted.split()
                self.random.shuffle(blocks)
                peers.append({"cidr": block, "except": blocks} if blocks else {"cidr": block})
        self.random.shuffle(peers)
        return peers

    def _rules(self, direction, peer_lists):
        """One rule for each list of peers and all ports, or cut up by ports, or by peers."""
        rules = []
        for peers in peer_lists:
            by_peer = [[peer] for peer in peers] if self.random.random() < 0.4 else [peers]
            by_port = [[port] for port in SERVED] if self.random.random() < 0.4 else [self.random.sample(SERVED, len(SERVED))]
            rules += [{direction: some, "ports": ports} for some in by_peer for ports in by_port]
        self.random.shuffle(rules)
        if self.random.random() < 0.5:
            rules[0]["name"] = f"rule-{self.count}"
        return rules

    def _policy(self, name, role, **directions):
        entry = {"policy": f"{name}-{self.random.randrange(1000)}-{self.count}", "select": {"labels": {"role": role}}, **directions}
        if self.random.random() < 0.5:
            entry["description"] = f"the {self.count}th way to say it"
        keys = list(entry)
        self.random.shuffle(keys)
        return {key: entry[key] for key in keys}

    def __next__(self):
        self.count += 1
        outgoing = [[{"labels": {"role": "server"}}], ["host"], self._cidrs("ipv4", "ipv6")]
        incoming = [self._cidrs("lan4", "lan6"), ["host"]]
        rules = {"egress": self._rules("to", outgoing), "ingress": self._rules("from", incoming)}
        entries = [self._policy("server", "server", ingress=self._rules("from", [[{"labels": {"role": "client"}}]]))]
        if self.random.random() < 0.5:
            entries += [self._policy("client-" + direction, "client", **{direction: some}) for direction, some in rules.items()]
        else:
            entries.append(self._policy("client", "client", **rules))
        entries.append(self._policy("idle", "nobody", ingress=[{"from": ["any"], "ports": [f"{self.count}/tcp"]}]))
        self.random.shuffle(entries)
        # Through JSON, as no value may be the same object twice: YAML would write an alias.
        texts = [f"# {self.count}\n" + yaml.safe_dump(json.loads(json.dumps(entry)), sort_keys=False) for entry in entries]
        if self.random.random() < 0.5:
            return {"all.yaml": "---\n".join(texts)}
        return {f"{number}-{self.count}.yaml": text for number, text in enumerate(texts)}


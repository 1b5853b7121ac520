# SPDX-License-Identifier: GPL-2.0-or-later
"""The tests' own evaluator of the policy language: slow, short, and written from the language's description alone.

It shares nothing with the program: PyYAML parses the policies, and the inventory is what docker inspect says. The
programs' verdicts, and the packets, are held to it.
"""

import copy
import fnmatch
import glob
import ipaddress
import os

import yaml

SUBJECT_KEYS = {"compose", "name", "labels", "image", "network", "all"}
PROJECT, SERVICE = "com.docker.compose.project", "com.docker.compose.service"


# The parties to a connection.

class Host:
    """This Docker host: any of its own addresses, or this one."""

    def __init__(self, address=None):
        self.address = address and ipaddress.ip_address(address)

    def __repr__(self):
        return f"host at {self.address}" if self.address else "host"


class Outside:
    """An address that is neither a container's nor the host's."""

    def __init__(self, address):
        self.address = ipaddress.ip_address(address)

    def __repr__(self):
        return str(self.address)


class Endpoint:
    """A container on one of its networks, by whatever address, or by this one."""

    def __init__(self, name, network, labels=None, image="", networks=None, dns=(), address=None):
        self.name, self.network, self.image = name, network, image
        self.labels = labels or {}
        self.networks = networks or [network]
        self.dns = [ipaddress.ip_address(server) for server in dns]
        self.address = address and ipaddress.ip_address(address)

    def at(self, address):
        """The same one, asked at this address."""
        other = copy.copy(self)
        other.address = ipaddress.ip_address(address)
        return other

    def __repr__(self):
        return f"{self.name}@{self.network}"


def own_labels(labels, image_labels, trust=False):
    """A label that merely repeats the image's does not count."""
    return {key: value for key, value in labels.items() if trust or image_labels.get(key) != value}


def endpoint_of_inspect(container, image, network, trust=False, host_dns=()):
    """The Endpoint of what `docker inspect` says of a container and of its image."""
    config = container["Config"]
    return Endpoint(
        name=container["Name"].lstrip("/"), network=network, image=config["Image"],
        labels=own_labels(config["Labels"] or {}, image["Config"]["Labels"] or {}, trust),
        networks=list(container["NetworkSettings"]["Networks"]),
        dns=container["HostConfig"]["Dns"] or host_dns)


# Ports.

class Port:
    """What a connection is about: proto is tcp, udp, sctp or icmp; number its port; type, of icmp, such as
    echo-request."""

    def __init__(self, proto, number=None, type=None):  # pylint: disable=redefined-builtin
        self.proto, self.number, self.type = proto, number, type

    def __eq__(self, other):
        return repr(self) == repr(other)

    def __hash__(self):
        return hash(repr(self))

    def __repr__(self):
        return f"{self.proto}{'/' + self.type if self.type else ''}" if self.number is None else f"{self.number}/{self.proto}"


def port_matches(spec, port):
    """5432/tcp, 9000-9010/udp, tcp, icmp, icmp/echo-request."""
    spec = str(spec)
    if "/" not in spec:
        return spec == port.proto
    left, right = spec.split("/")
    if left == "icmp":
        return port.proto == "icmp" and port.type == right
    low, _, high = left.partition("-")
    return right == port.proto and int(low) <= port.number <= int(high or low)


# Selectors.

def matches(selector, endpoint):
    """Whether the keys of a select, or of a peer, all match a container on this network."""
    for key, want in selector.items():
        if key == "all":
            continue
        if key == "compose":
            project, _, service = want.partition("/")
            good = endpoint.labels.get(PROJECT) == project and service in ("", endpoint.labels.get(SERVICE))
        elif key == "name":
            good = fnmatch.fnmatchcase(endpoint.name, want)
        elif key == "image":
            good = fnmatch.fnmatchcase(endpoint.image, want)
        elif key == "network":
            good = endpoint.network == want
        elif key == "labels":
            good = all(label_matches(endpoint.labels, label, value) for label, value in want.items())
        else:
            raise ValueError(f"unknown key {key}")
        if not good:
            return False
    return True


def label_matches(labels, label, want):
    if want is None:
        return label not in labels
    return label in labels and fnmatch.fnmatchcase(labels[label], text_of(want))


def text_of(value):
    """A YAML scalar as it was written, as far as PyYAML's types let one tell."""
    return str(value).lower() if isinstance(value, bool) else str(value)


# IANA's special-purpose registries, what is not globally reachable in them; and what is not unicast.
NOT_INTERNET = [ipaddress.ip_network(block) for block in (
    "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
    "192.0.2.0/24", "192.88.99.2/32", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
    "224.0.0.0/4", "240.0.0.0/4")]
INTERNET_V6 = [ipaddress.ip_network(block) for block in ("2000::/3", "64:ff9b::/96")]
NOT_INTERNET_V6 = [ipaddress.ip_network(block) for block in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")]
# What the registries name as globally reachable within these.
INTERNET_AGAIN = [ipaddress.ip_network(block) for block in (
    "192.0.0.9/32", "192.0.0.10/32", "2001:1::1/128", "2001:1::2/128", "2001:1::3/128", "2001:3::/32", "2001:4:112::/48",
    "2001:20::/28", "2001:30::/28")]


def is_internet(address):
    """Globally reachable unicast."""
    def within(blocks):
        return any(address in block for block in blocks)

    if within(INTERNET_AGAIN):
        return True
    return not within(NOT_INTERNET) if address.version == 4 else within(INTERNET_V6) and not within(NOT_INTERNET_V6)


def peer_matches(peer, party, subject):
    """Whether one item of from or to names the party, seen from the subject."""
    if isinstance(peer, str):
        return word_matches(peer, party, subject)
    if "cidr" in peer:
        if not isinstance(party, Outside):
            return False
        inside = [ipaddress.ip_network(text) for text in [peer["cidr"], *peer.get("except", [])]]
        return party.address in inside[0] and not any(party.address in block for block in inside[1:])
    if not isinstance(party, Endpoint):
        return False
    rest = {key: value for key, value in peer.items() if key != "same"}
    if "same" in peer:
        label = peer["same"]
        if label not in subject.labels or party.labels.get(label) != subject.labels[label]:
            return False
    return matches(rest, party)


def word_matches(word, party, subject):
    if word == "any":
        return True
    if word == "host":
        return isinstance(party, Host)
    if word == "containers":
        return isinstance(party, Endpoint)
    if word == "outside":
        return isinstance(party, Outside)
    if word == "internet":
        return isinstance(party, Outside) and is_internet(party.address)
    if word == "dns":  # whoever's that address is
        return party.address in subject.dns
    raise ValueError(f"unknown peer {word}")


# Policies.

class Policies:
    """A set of policies, from documents of YAML."""

    def __init__(self, texts, default_mode="enforce"):
        documents = [document for text in texts for document in yaml.safe_load_all(text)]
        self.policies = [document for document in documents if "policy" in document]
        self.default_mode = default_mode

    @classmethod
    def of_directory(cls, folder, **options):
        texts = []
        for path in sorted(glob.glob(os.path.join(folder, "*.y*ml"))):
            with open(path, encoding="utf-8") as file:
                texts.append(file.read())
        return cls(texts, **options)

    def selecting(self, endpoint):
        """The policies that count and select it: a staged one does not count."""
        return [policy for policy in self.policies
                if policy.get("mode", "enforce") == "enforce" and matches(policy["select"], endpoint)]

    def grants(self, direction, subject, party, port):
        """What the subject's own policies say of one direction of one connection."""
        selecting = self.selecting(subject)
        if not selecting and self.default_mode == "audit":
            return True
        allowed = False
        for policy in selecting:
            for rule in policy.get(direction) or []:
                if self.rule_matches(rule, direction, subject, party, port):
                    if rule.get("deny"):
                        return False
                    allowed = True
        return allowed

    @staticmethod
    def rule_matches(rule, direction, subject, party, port):
        peers = rule.get("from" if direction == "ingress" else "to", ["any"])
        ports = rule.get("ports")
        for peer in peers:
            if not peer_matches(peer, party, subject):
                continue
            if peer == "dns" and (port.number != 53 or port.proto not in ("tcp", "udp")):
                continue
            if ports is None or any(port_matches(spec, port) for spec in ports):
                return True
        return False

    def verdict(self, source, destination, port):
        """allowed, denied (in silence) or rejected (with an answer), for a connection from source to destination."""
        for direction, subject, party in (("egress", source, destination), ("ingress", destination, source)):
            if isinstance(subject, Endpoint) and not self.grants(direction, subject, party, port):
                rejecting = any(policy.get("reject") for policy in self.selecting(subject))
                return "rejected" if rejecting else "denied"
        return "allowed"

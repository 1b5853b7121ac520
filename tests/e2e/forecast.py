# SPDX-License-Identifier: GPL-2.0-or-later
"""What a plan says of connections, taken apart again: does this one change, and into what?"""

import ipaddress

import naive

PROTOCOLS = ("tcp", "udp", "sctp", "icmp")


def port_means(text, port):
    """The words of a plan: those of policies, and three more."""
    if text == "other protocols":
        return port.proto not in PROTOCOLS
    if text.startswith("icmp except "):
        return port.proto == "icmp" and port.type not in text.removeprefix("icmp except ").split(" and ")
    return port.proto in PROTOCOLS and naive.port_matches(text, port)


class Side:
    """One side of a line: containers on networks, the host, the outside."""

    def __init__(self, party):
        self.endpoints = {(member["name"], member["network"]) for member in party["containers"]}
        self.host = party["host"]
        self.host_addresses = {ipaddress.ip_address(address) for address in party["host_addresses"]}
        self.outside = [self._range(text) for text in party["outside"]]
        self.names = party["names"]

    @staticmethod
    def _range(text):
        if "-" in text:
            first, last = map(ipaddress.ip_address, text.split("-"))
            return first, last
        block = ipaddress.ip_network(text)
        return block[0], block[-1]

    def has(self, party):
        if isinstance(party, naive.Endpoint):
            return (party.name, party.network) in self.endpoints
        if isinstance(party, naive.Host):
            return self.host != (party.address in self.host_addresses)
        return any(first.version == party.address.version and first <= party.address <= last for first, last in self.outside)


class Line:
    """One line of a plan."""

    def __init__(self, connection):
        self.source, self.destination = Side(connection["from"]), Side(connection["to"])
        self.ports, self.family, self.new = connection["ports"], connection["family"], connection["new"]
        self.every_port = connection["every_port"]
        self.connection = connection
        self.known = {}

    def means(self, port, family):
        if self.family not in (None, family):
            return False
        if port not in self.known:
            self.known[port] = sum(port_means(text, port) for text in self.ports)
        return self.known[port] > 0

    def __str__(self):
        return (f"{', '.join(self.source.names)} -> {', '.join(self.destination.names)}  {', '.join(self.ports)}  "
                f"{self.family or 'both'}  {self.new}")


class Forecast:
    """All lines of a plan."""

    def __init__(self, document):
        self.lines = [Line(connection) for connection in document["connections"]]
        self.known = {}

    def _lines(self, party, side):
        key = party_key(party), side
        if key not in self.known:
            self.known[key] = {number for number, line in enumerate(self.lines) if getattr(line, side).has(party)}
        return self.known[key]

    def about(self, source, destination, port, family):
        """The lines about this connection."""
        numbers = self._lines(source, "source") & self._lines(destination, "destination")
        return [self.lines[number] for number in numbers if self.lines[number].means(port, family)]

    def changes(self, source, destination, port, family):
        """What the lines say that this connection becomes: [] when it stays as it is."""
        return [line.new for line in self.about(source, destination, port, family)]


def party_key(party):
    """Equal for parties that nothing can tell apart."""
    if isinstance(party, naive.Endpoint):
        return "endpoint", party.name, party.network, party.address
    return type(party).__name__, party.address

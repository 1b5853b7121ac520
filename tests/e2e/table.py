# SPDX-License-Identifier: GPL-2.0-or-later
"""Truth tables: every party asks every other on every port, all at once, and every answer is compared.

A table is measured twice: first with no Cofferdam, which tells what Docker itself lets through, and by which way (a
published port may be reached by address translation or through docker-proxy, which counts as the host); then with it,
where a cell must be exactly what the naive evaluator says of that way.
"""

import concurrent.futures
import dataclasses
import json
import os

from engine import OUTSIDE, PROBE, UPLINK
from machine import Failure, run, wait_until
from naive import Host, Outside, Port, endpoint_of_inspect

SERVED = ["80/tcp", "443/tcp", "5432/tcp", "9000/tcp", "9010/tcp", "9011/tcp", "53/udp", "443/udp", "9000/udp",
          "9011/udp", "5432/sctp"]
FAMILIES = ("ipv4", "ipv6")
ECHO, STAMP = Port("icmp", type="echo-request"), Port("icmp", type="timestamp-request")
SHOWN = 60  # wrong cells printed
AT_LEISURE = 40  # cells asked at a time when asking again


def has_sctp():
    return os.path.exists("/proc/sys/net/sctp")


def ports_of(family):
    served = [Port(spec.split("/")[1], int(spec.split("/")[0])) for spec in SERVED]
    return [port for port in served if port.proto != "sctp" or has_sctp()] + [ECHO] + ([STAMP] if family == "ipv4" else [])


@dataclasses.dataclass(frozen=True)
class Cell:
    """One connection to try."""
    source: str       # container, "host" or "lan"
    target: str       # a container, "host", or a name of OUTSIDE: for people
    address: str
    port: Port
    family: str
    bind: str = ""    # the address to ask from, where there are several
    inner: Port = None  # of a published port: as the container sees it
    inner_target: str = ""

    def __str__(self):
        via = f" (published, {self.inner_target} {self.inner})" if self.inner else ""
        return f"{self.source}{'[' + self.bind + ']' if self.bind else ''} -> {self.target} {self.address} {self.port}{via}"

    def line(self, number):
        proto = {"timestamp-request": "icmp-timestamp"}.get(self.port.type, self.port.proto)
        return f"{number} {proto} {self.address} {self.port.number or 0} {self.bind}\n"


@dataclasses.dataclass
class Answer:
    result: str
    source: str = ""
    peer: str = ""
    local: str = ""


class World:
    """Containers, the host and the outside, and all the cells between them."""

    def __init__(self, engine, containers, published=(), unmanaged=()):
        """containers: {name: Container}; published: (host port, container port, protocol, container's name); unmanaged:
        networks whose containers count as the outside."""
        self.engine, self.containers, self.published, self.unmanaged = engine, containers, published, unmanaged
        self.inspected = {}
        self.by_address = {}
        self.host_addresses = set()
        self.baseline = {}

    def refresh(self, trust=False, host_dns=()):
        """Reads again who has which address."""
        self.inspected = {name: container.inspect() for name, container in self.containers.items()}
        self.by_address = {}
        self.host_addresses = {"127.0.0.1", "::1", *UPLINK.values()}
        for inspected in self.inspected.values():
            image = self.engine.api("GET", f"/images/{inspected['Image']}/json")
            for network, entry in inspected["NetworkSettings"]["Networks"].items():
                endpoint = endpoint_of_inspect(inspected, image, network, trust, host_dns)
                for key, gateway in (("IPAddress", "Gateway"), ("GlobalIPv6Address", "IPv6Gateway")):
                    if entry[key] and network not in self.unmanaged:
                        self.by_address[entry[key]] = endpoint
                    if entry[gateway]:
                        self.host_addresses.add(entry[gateway])
        return self

    def serve(self):
        """Starts the echo on the host and outside."""
        for space in (self.engine.host, self.engine.lan):
            name = "serve-" + space.name
            process = self.engine.spawn(name, space.enter(PROBE, "serve", *SERVED))
            wait_until(lambda server=process: "serving" in server.output(), 5, name)
        return self

    # The cells

    def endpoints(self, name, family):
        key = {"ipv4": "IPAddress", "ipv6": "GlobalIPv6Address"}[family]
        return {network: entry[key] for network, entry in self.inspected[name]["NetworkSettings"]["Networks"].items()
                if entry[key]}

    def gateways(self, name, family):
        key = {"ipv4": "Gateway", "ipv6": "IPv6Gateway"}[family]
        return [entry[key] for entry in self.inspected[name]["NetworkSettings"]["Networks"].values() if entry[key]]

    def cells(self):
        found = []
        for family in FAMILIES:
            for name in self.containers:
                found += self._between_containers(name, family)
                found += self._to_and_from_host(name, family)
                found += self._to_and_from_outside(name, family)
            found += self._published(family)
        return found

    def _between_containers(self, name, family):
        mine = self.endpoints(name, family)
        for other in self.containers:
            theirs = self.endpoints(other, family)
            for network, address in theirs.items():
                # An address on a network that we are not on, of somebody who is on several: the answer would come by the one
                # that we share, or by that of his default route, with a source address of another interface.
                astray = network not in mine and len(theirs) > 1
                if other != name and mine and not astray:
                    yield from (Cell(name, other, address, port, family) for port in ports_of(family))

    def _to_and_from_host(self, name, family):
        addresses = [*self.gateways(name, family), UPLINK[family]]
        for address in addresses if self.endpoints(name, family) else []:
            yield from (Cell(name, "host", address, port, family) for port in ports_of(family))
        for address in self.endpoints(name, family).values():
            yield from (Cell("host", name, address, port, family) for port in ports_of(family))

    def _to_and_from_outside(self, name, family):
        mine = self.endpoints(name, family)
        few = [port for port in ports_of(family) if port.number in (None, 53, 80, 443, 5432)]
        for target, address in OUTSIDE[family].items() if mine else []:
            yield from (Cell(name, target, address, port, family) for port in few)
        if len(mine) == 1:  # of several, only the one with the default route could answer
            for bind in (OUTSIDE[family][key] for key in ("testnet", "lan", "public")):
                yield from (Cell("lan", name, address, port, family, bind)
                            for address in mine.values() for port in few)

    def _published(self, family):
        loopback = {"ipv4": "127.0.0.1", "ipv6": "::1"}[family]
        for outer, inner, proto, owner in self.published:
            def cell(source, address, bind="", outer=outer, inner=inner, proto=proto, owner=owner):
                return Cell(source, "host", address, Port(proto, outer), family, bind, Port(proto, inner), owner)

            yield cell("host", UPLINK[family])
            yield cell("host", loopback)
            for key in ("testnet", "lan", "public"):
                yield cell("lan", UPLINK[family], OUTSIDE[family][key])
            # docker-proxy answers UDP from whatever address is nearest, so there only that one works.
            for name in self.containers:
                if name != owner:
                    addresses = [*self.gateways(name, family)[:1], *([UPLINK[family]] if proto == "tcp" else [])]
                    yield from (cell(name, address) for address in addresses)

    # Probing

    def enter(self, source):
        if source in self.inspected:
            return ["nsenter", f"--net=/proc/{self.inspected[source]['State']['Pid']}/ns/net", "--"]
        return {"host": self.engine.host, "lan": self.engine.lan}[source].enter()

    def ask(self, cells, timeout=700):
        """{cell: Answer}; one program per source, all at the same time."""
        by_source = {}
        for cell in cells:
            by_source.setdefault(cell.source, []).append(cell)
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            answers = {}
            for part in pool.map(lambda item: self._ask_from(*item, timeout), by_source.items()):
                answers.update(part)
        return answers

    def _ask_from(self, source, cells, timeout):
        lines = "".join(cell.line(number) for number, cell in enumerate(cells))
        output = run([*self.enter(source), PROBE, "ask", str(timeout)], stdin=lines).stdout
        answers = {}
        for line in output.splitlines():
            fields = json.loads(line)
            answers[cells[int(fields["id"])]] = Answer(fields["result"], fields["source"], fields["peer"], fields["local"])
        if len(answers) != len(cells):
            raise Failure(f"{source}: {len(cells)} asked, {len(answers)} answered")
        return answers

    def measure_baseline(self, all_connected=True, cells=None):
        """What Docker alone lets through. With all_connected, anything less than everything is an error."""
        self.baseline = self.ask(cells or self.cells())
        missing = {cell: answer for cell, answer in self.baseline.items() if answer.result != "connected"}
        again = self.ask(missing, 3000) if missing else {}  # a bridge or an IPv6 address may just have come up
        self.baseline.update(again)
        missing = [f"{cell}: {self.baseline[cell].result}" for cell in missing
                   if self.baseline[cell].result != "connected"]
        if missing and all_connected:
            raise Failure(f"{len(missing)} of {len(self.baseline)} cells fail without Cofferdam:\n" + "\n".join(missing[:SHOWN]))
        self.engine.forget_connections()
        return self

    # What is expected

    def party(self, address):
        if address in self.by_address:
            return self.by_address[address].at(address)
        return Host(address) if address in self.host_addresses else Outside(address)

    def hops(self, cell):
        """The connections that this one is made of: [(source party, destination party, port)]."""
        base = self.baseline[cell]
        source = Host() if cell.source == "host" else self.party(base.source)
        if not cell.inner:
            return [(source, self.party(cell.address), cell.port)]
        container = self.party(base.local)
        if self.is_proxied(cell):
            return [(source, Host(), cell.port), (Host(), container, cell.inner)]
        return [(source, container, cell.inner)]

    def is_proxied(self, cell):
        """Whether docker-proxy took the connection: then the container saw an address of the host, not the asker's."""
        base = self.baseline[cell]
        return bool(cell.inner) and base.peer != base.source and isinstance(self.party(base.peer), Host)

    def expected(self, cell, policies):
        """The set of results that are right."""
        if self.baseline[cell].result != "connected":
            return {self.baseline[cell].result}
        hops = self.hops(cell)
        for index, hop in enumerate(hops):
            verdict = policies.verdict(*hop)
            if verdict != "allowed":
                return refusals(cell.port.proto, verdict, behind_proxy=index > 0)
        return {"connected"}

    def wrong(self, policies):
        """The cells that differ from what the policies say, as [(cell, expected, got)], and all answers."""
        self.engine.forget_connections()
        answers = self.ask(self.baseline)
        found = {cell for cell, answer in answers.items() if answer.result not in self.expected(cell, policies)}
        # What should have been answered may have been slow: the machine is busy, and the kernel sends a thousand ICMP
        # errors a second and no more. So ask again, few at a time. What should not have been answered has no excuse.
        slow = [cell for cell in found if answers[cell].result in ("timeout", "silent")]
        for start in range(0, len(slow), AT_LEISURE):
            answers.update(self.ask(slow[start:start + AT_LEISURE], 3000))
        return [(cell, self.expected(cell, policies), answers[cell].result) for cell in self.baseline
                if cell in found and answers[cell].result not in self.expected(cell, policies)], answers

    def check(self, test, policies, what=""):
        """Fails the test with a table of what is wrong."""
        wrong, answers = self.wrong(policies)
        connected = sum(answer.result == "connected" for answer in answers.values())
        print(f"{test.id().split('.', 1)[1]}{what}: {len(answers)} cells, {connected} connected, {len(wrong)} wrong", flush=True)
        if wrong:
            lines = [f"  {cell}: expected {' or '.join(sorted(expected))}, got {got}" for cell, expected, got in wrong[:SHOWN]]
            more = f"\n  and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else ""
            test.fail(f"{len(wrong)} of {len(answers)} cells are wrong{what}:\n" + "\n".join(lines) + more)
        return answers


def refusals(proto, verdict, behind_proxy):
    if behind_proxy:
        return {"silent", "closed"} if proto == "tcp" else {"timeout"}
    if verdict == "denied":
        return {"timeout"}
    return {"refused"} if proto == "tcp" else {"refused", "rejected"}

# SPDX-License-Identifier: GPL-2.0-or-later
"""Many containers for the daemon, of which only a few are real: a socket between it and the Engine, whose answers name the
others as well. Those have ports on a bridge of the Engine's, which nobody sends from, and a network of policies."""

import contextlib
import copy
import hashlib
import json
import re
import socket
import threading

from engine import UnixConnection
from machine import Namespace, run

CLASSES = 50
# Two sets that differ in what each rule allows, so that going from one to the other changes all chains.
PORTS = (["5432/tcp", "53/udp"], ["5433/tcp", "53/udp", "8000-8099/tcp"])


def policies(which, more=""):
    """Text of the crowd's policies: one for each class, and more."""
    documents = [more] if more else []
    for number in range(CLASSES):
        after, before = (number + 1) % CLASSES, (number - 1) % CLASSES
        documents.append(f"policy: crowd-{number}\nselect: {{labels: {{crowd: c{number}}}}}\n"
                         f"ingress: [{{from: [{{labels: {{crowd: c{after}}}}}], ports: {json.dumps(PORTS[which])}}}]\n"
                         f"egress: [{{to: [{{labels: {{crowd: c{before}}}}}], ports: {json.dumps(PORTS[which])}}}, "
                         f"{{to: [internet], ports: [443/tcp]}}]\n")
    return "---\n".join(documents)


class Crowd:
    """So many containers on the Engine's network of that name, each like the template, a real container on it."""

    def __init__(self, engine, network, template, count):
        self.engine, self.network, self.count = engine, network, count
        self.socket = engine.path("crowd.sock")
        self.bridge = engine.bridge(network)
        self.space = Namespace(engine.name + "-crowd")
        inspected = template.inspect()
        listed = next(entry for entry in engine.api("GET", "/containers/json") if entry["Id"] == template.id)
        self.members = {member["id"]: member for member in map(self._member, range(count))}
        self.listed = [self._like(listed, member) for member in self.members.values()]
        self.inspected = {identifier: self._like(inspected, member) for identifier, member in self.members.items()}
        self._make_ports()
        self.server = socket.socket(socket.AF_UNIX)
        self.server.bind(self.socket)
        self.server.listen(4096)
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self):
        self.server.close()
        run(["ip", "netns", "del", self.space.name])

    @staticmethod
    def _member(number):
        digest = hashlib.sha256(b"%d" % number).hexdigest()
        return {"number": number, "id": digest, "endpoint": digest[::-1], "name": f"crowd-{number}",
                "mac": f"02:5e:00:00:{number >> 8:02x}:{number & 255:02x}",
                "ipv4": f"10.91.{100 + number // 200}.{number % 200 + 1}", "ipv6": f"fd91::c:{number + 1:x}"}

    def _like(self, template, member):
        """The template's description, as the member's."""
        entry = copy.deepcopy(template)
        labels = {"crowd": f"c{member['number'] % CLASSES}"}
        entry["Id"] = member["id"]
        if "Names" in entry:
            entry["Names"], entry["Labels"] = ["/" + member["name"]], labels
        else:
            entry["Name"], entry["Config"]["Labels"] = "/" + member["name"], labels
        for endpoint in entry["NetworkSettings"]["Networks"].values():
            endpoint.update(EndpointID=member["endpoint"], MacAddress=member["mac"], IPAddress=member["ipv4"],
                            GlobalIPv6Address=member["ipv6"])
        return entry

    def _make_ports(self):
        """Down as they are, they cost packets nothing."""
        self.engine.host.batch([f"link add crowd{member['number']} type veth peer name eth{member['number']} "
                                f"address {member['mac']} netns {self.space.name}" for member in self.members.values()])
        self.engine.host.batch([f"link set crowd{member['number']} master {self.bridge}" for member in self.members.values()])

    # The Engine's API

    def _serve(self):
        while True:
            try:
                client, _ = self.server.accept()
            except OSError:
                return
            threading.Thread(target=self._client, args=(client,), daemon=True).start()

    def _client(self, client):
        with contextlib.suppress(OSError), client, client.makefile("rb") as reader:
            while True:
                head = b""
                while not head.endswith(b"\r\n\r\n"):
                    line = reader.readline()
                    if not line:
                        return
                    head += line
                path = head.split(b" ", 2)[1].decode()
                if re.match(r"(/v[\d.]+)?/events", path):
                    self._pass_on(client, head)
                    return
                status, kind, body = self._answer(path)
                client.sendall(b"HTTP/1.1 %d X\r\nContent-Type: %s\r\nContent-Length: %d\r\nApi-Version: 1.41\r\n\r\n"
                               % (status, kind.encode(), len(body)) + body)

    def _pass_on(self, client, head):
        with socket.socket(socket.AF_UNIX) as upstream:
            upstream.connect(self.engine.socket)
            upstream.sendall(head)
            while True:
                part = upstream.recv(65536)
                if not part:
                    return
                client.sendall(part)

    def _answer(self, path):
        """(status, type, bytes) of a GET."""
        found = re.match(r"(?:/v[\d.]+)?/(containers|networks)(?:/([0-9a-f]+))?(/json)?(\?.*)?$", path)
        what, identifier, query = (found[1], found[2], found[4] or "") if found else (None, None, "")
        if what == "containers" and identifier in self.members:
            return 200, "application/json", json.dumps(self.inspected[identifier]).encode()
        connection = UnixConnection(self.engine.socket)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            status, kind, body = response.status, response.headers.get("Content-Type", ""), response.read()
        finally:
            connection.close()
        if status == 200 and what == "containers" and not identifier:
            body = json.dumps(json.loads(body) + [entry for entry in self.listed if "filters" not in query or entry["Id"] in query])
        elif status == 200 and what == "networks" and identifier:
            body = json.dumps(self._joined(json.loads(body)))
        return status, kind, body if isinstance(body, bytes) else body.encode()

    def _joined(self, network):
        if network["Name"] == self.network:
            for member in self.members.values():
                network["Containers"][member["id"]] = {
                    "Name": member["name"], "EndpointID": member["endpoint"], "MacAddress": member["mac"],
                    "IPv4Address": member["ipv4"] + "/16", "IPv6Address": member["ipv6"] + "/64"}
        return network

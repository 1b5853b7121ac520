# SPDX-License-Identifier: GPL-2.0-or-later
"""Datagrams without end from one network namespace to another, half of them to an allowed port and half to a denied one,
and the count of those that arrive."""

import json
import subprocess
import sys
import time

ALLOWED, DENIED = 7000, 7001

# Reads a line, answers with what has arrived since the last one: {family: {port: datagrams}}.
RECEIVE = """
import json, selectors, socket, sys
ready, counts = selectors.DefaultSelector(), {}
for family, name in ((socket.AF_INET, "ipv4"), (socket.AF_INET6, "ipv6")):
    for port in map(int, sys.argv[1:]):
        sock = socket.socket(family, socket.SOCK_DGRAM)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        sock.bind(("", port))
        sock.setblocking(False)
        counts[name, port] = 0
        ready.register(sock, selectors.EVENT_READ, (name, port))
ready.register(sys.stdin, selectors.EVENT_READ)
print("ready", flush=True)
while True:
    for key, _ in ready.select():
        if key.data is None:
            if not sys.stdin.readline():
                sys.exit()
            answer = {}
            for (name, port), count in counts.items():
                answer.setdefault(name, {})[port] = count
                counts[name, port] = 0
            print(json.dumps(answer), flush=True)
            continue
        try:
            while True:
                key.fileobj.recv(65536)
                counts[key.data] += 1
        except BlockingIOError:
            pass
"""

# What cannot be sent now, for want of an address or a neighbour, is sent later.
SEND = """
import socket, sys, time
mark, size, ports, addresses = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3].split(","), sys.argv[4:]
targets = []
for address in addresses:
    sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    if mark:
        sock.setsockopt(socket.SOL_SOCKET, 36, mark)  # SO_MARK
    sock.setblocking(False)
    targets += [(sock, (address, int(port))) for port in ports]
print("ready", flush=True)
while True:
    for sock, target in targets:
        try:
            sock.sendto(b"x" * size, target)
        except OSError:
            pass
    time.sleep(0.0005)
"""


class Flood:
    """enter_source, enter_target: what runs a command line in the sender's and the receiver's network namespace."""

    def __init__(self, enter_source, enter_target, addresses, mark=0, size=20):
        self.processes = []
        try:
            self.receiver = self._run(enter_target(sys.executable, "-c", RECEIVE, str(ALLOWED), str(DENIED)))
            self._run(enter_source(sys.executable, "-c", SEND, str(mark), str(size), f"{ALLOWED},{DENIED}", *addresses))
        except BaseException:
            self.__exit__()
            raise

    def _run(self, command):
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.processes.append(process)
        if process.stdout.readline().strip() != "ready":
            raise RuntimeError(f"{command[-3:]} did not start")
        return process

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in self.processes:
            process.kill()
            process.stdin.close()
            process.stdout.close()
            process.wait()

    def take(self):
        """{family: (allowed, denied)}: what arrived since the last call."""
        self.receiver.stdin.write("\n")
        self.receiver.stdin.flush()
        answer = json.loads(self.receiver.stdout.readline())
        return {family: (ports[str(ALLOWED)], ports[str(DENIED)]) for family, ports in answer.items()}

    def during(self, seconds):
        """What arrives from now on, in this time."""
        self.take()
        time.sleep(seconds)
        return self.take()

# SPDX-License-Identifier: GPL-2.0-or-later
"""Conversations in which both ends speak all the time, and when the last of it arrived (`probe stream`)."""

import contextlib
import ctypes
import dataclasses
import socket
import subprocess
import time

from engine import PROBE
from machine import Failure
from pairs import open_in

PROTOS = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}
ICMP = {"ipv4": (socket.AF_INET, socket.IPPROTO_ICMP, "icmp4"), "ipv6": (socket.AF_INET6, socket.IPPROTO_ICMPV6, "icmp6")}


@dataclasses.dataclass
class Heard:
    """What arrived at one end."""
    packets: int
    last: float  # seconds of the wall clock; 0: nothing did

    def __str__(self):
        return f"{self.packets} packets"


class Stream:
    """One conversation. at: (address, port) of the far end where the near one asks for another."""

    count = 0

    def __init__(self, proto, source, target, address, port=0, at=None, what=""):
        family = "ipv6" if ":" in address else "ipv4"
        self.name = f"{what or source.name + ' -> ' + target.name} {proto} {family}"
        Stream.count = Stream.count % 60000 + 1
        self.number = Stream.count
        self.sockets = []
        try:
            if proto == "icmp":
                self._ping(ICMP[family], source, target, address)
            else:
                self._connect(proto, source, target, (address, port), at or (address, port))
        except OSError as error:
            self.close()
            raise Failure(f"{self.name} cannot begin: {error}") from error

    def _socket(self, where, family, kind, proto=0):
        self.sockets.append(open_in(where, family, kind, proto))
        self.sockets[-1].settimeout(3)
        return self.sockets[-1]

    def _ping(self, kind, source, target, address):
        family, proto, self.style = kind
        self.near, self.far = (self._socket(where, family, socket.SOCK_RAW, proto) for where in (source, target))
        self.near.connect((address, 0))

    def _connect(self, proto, source, target, asked, at):
        families = [socket.AF_INET6 if ":" in address else socket.AF_INET for address, _ in (asked, at)]
        self.style, self.near = proto, self._socket(source, families[0], PROTOS[proto])
        self.far = self._socket(target, families[1], PROTOS[proto])
        self.far.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.far.bind(at)
        if proto == "tcp":
            self.far.listen(1)
            self.near.connect(asked)
            self.sockets.append(self.far.accept()[0])
            self.far = self.sockets[-1]
            self.far.settimeout(3)
        else:
            self.near.connect(asked)
            self.near.send(b"?")
            self.far.connect(self.far.recvfrom(10)[1])
        self.far.send(b"!")
        self.near.recv(10)

    def spec(self):
        return f"{self.style},{self.near.fileno()},{self.far.fileno()},{self.number}"

    def close(self):
        for end in self.sockets:
            end.close()


class Streams:
    """Several at once, at full rate or with a gap of microseconds between two turns."""

    def __init__(self, streams, gap=0):
        self.streams = streams
        fds = [end.fileno() for stream in streams for end in (stream.near, stream.far)]
        for stream in streams:
            stream.near.setblocking(False)
            stream.far.setblocking(False)
        self.process = subprocess.Popen([PROBE, "stream", str(gap), *(stream.spec() for stream in streams)], pass_fds=fds,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if self.process.stdout.readline() != "streaming\n":
            raise Failure("the streams do not flow")

    def report(self):
        """{stream: (Heard at the far end, Heard at the near one)} since they began."""
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        found = {}
        for stream in self.streams:
            words = self.process.stdout.readline().split()
            if len(words) != 6:
                raise Failure("the streams have ended")
            found[stream] = tuple(Heard(int(words[at]), int(words[at + 1]) / 1e9) for at in (1, 4))
        if self.process.stdout.readline() != "end\n":
            raise Failure("the streams have ended")
        return found

    def flowing(self, streams=None, seconds=5):
        """Waits until more has arrived in both directions of each of them."""
        before, end = self.report(), time.monotonic() + seconds
        while True:
            time.sleep(0.01)
            now = self.report()
            still = [stream.name for stream in streams or self.streams
                     if any(b.packets <= a.packets for a, b in zip(before[stream], now[stream]))]
            if not still:
                return
            if time.monotonic() > end:
                raise Failure(f"these do not flow: {', '.join(still)}")

    def close(self):
        self.process.kill()
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()
        for stream in self.streams:
            stream.close()


@contextlib.contextmanager
def inside(space):
    """This thread, and what it starts meanwhile, is in that network namespace."""
    def move(file):
        if ctypes.CDLL(None, use_errno=True).setns(file.fileno(), 0x40000000) < 0:
            raise OSError(ctypes.get_errno(), "setns")

    with open("/proc/thread-self/ns/net", "rb") as before, open(f"/run/netns/{space.name}", "rb") as there:
        move(there)
        try:
            yield
        finally:
            move(before)

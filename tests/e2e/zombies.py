# SPDX-License-Identifier: GPL-2.0-or-later
"""TCP segments in the middle of a stream, made up and sent past the sender's own TCP, and who receives them."""

import socket
import struct
import threading
import time

from pairs import open_in

MARK = b"cofferdam-zombie"
GAP = 0.01  # seconds between two of each


def _checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def segment(source, target, source_port, port):
    """ACK and PSH, as within a window; its addresses are IPv4 or IPv6."""
    family = socket.AF_INET6 if ":" in source else socket.AF_INET
    ends = [socket.inet_pton(family, address) for address in (source, target)]
    head = struct.pack("!HHIIBBHHH", source_port, port, 1000000, 2000000, 5 << 4, 0x18, 512, 0, 0)
    length = len(head) + len(MARK)
    pseudo = b"".join(ends) + (struct.pack("!BBH", 0, 6, length) if family == socket.AF_INET else struct.pack("!IHBB", length, 0, 0, 6))
    return head[:16] + struct.pack("!H", _checksum(pseudo + head + MARK)) + head[18:] + MARK


class Zombies:
    """Segments both ways between two addresses and ports, of a stream that both ends believe in, from now on."""

    def __init__(self, ends):
        """ends: [(where, address, port), (where, address, port)]"""
        self.heard = [0.0, 0.0]  # by the wall clock, when the last arrived at each end
        family = socket.AF_INET6 if ":" in ends[0][1] else socket.AF_INET
        self.head = 0 if family == socket.AF_INET6 else 20  # IPv4 headers come with it
        self.sockets = [open_in(where, family, socket.SOCK_RAW, socket.IPPROTO_TCP) for where, _, _ in ends]
        for end in self.sockets:
            end.setblocking(False)
        self.segments = [segment(ends[at][1], ends[1 - at][1], ends[at][2], ends[1 - at][2]) for at in (0, 1)]
        self.targets = [(ends[1 - at][1], 0) for at in (0, 1)]
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self):
        while not self.stopped.is_set():
            for at, end in enumerate(self.sockets):
                try:
                    end.sendto(self.segments[at], self.targets[at])
                except OSError:
                    pass
                self._listen(at, end)
            time.sleep(GAP)

    def _listen(self, at, end):
        while True:
            try:
                packet = end.recv(2048)
            except OSError:
                return
            if packet[self.head:self.head + 4] == self.segments[1 - at][:4] and packet.endswith(MARK):
                self.heard[at] = time.time()

    def close(self):
        self.stopped.set()
        self.thread.join()
        for end in self.sockets:
            end.close()

# SPDX-License-Identifier: GPL-2.0-or-later
"""Conversations in which both ends speak unasked, and what was heard of each when."""

import ctypes
import socket
import struct
import threading
import time

TIMESTAMPS = 35  # SO_TIMESTAMPNS: of the wall clock
CONTROL_ROOM = 128
MORE = {"udp": 5002, "tcp": 5003}


def open_in(where, family, kind, proto=0):
    """A socket of this process in another network namespace, where it stays."""
    path = f"/proc/{where.pid}/ns/net" if hasattr(where, "pid") else f"/run/netns/{where.name}"
    result = {}

    def make():  # in a thread of its own: the namespace is a thread's
        with open(path, "rb") as space:
            if ctypes.CDLL(None, use_errno=True).setns(space.fileno(), 0x40000000) < 0:
                raise OSError(ctypes.get_errno(), path)
        result["socket"] = socket.socket(family, kind, proto)

    thread = threading.Thread(target=make)
    thread.start()
    thread.join()
    return result["socket"]


def arrived(control):
    """When it came in, by the kernel's stamp: it may have been read much later, on a busy machine. Monotonic."""
    for level, kind, data in control:
        if (level, kind) == (socket.SOL_SOCKET, TIMESTAMPS):
            seconds, nanoseconds = struct.unpack("qq", data)
            return seconds + nanoseconds / 1e9 - time.time() + time.monotonic()
    return time.monotonic()


class Pair:
    """Both ends of a conversation, each of which speaks unasked."""

    def __init__(self, proto, source, target, address, port=None):
        port = port or MORE[proto]
        self.name = f"{source.name} -> {target.name} {proto} {'ipv6' if ':' in address else 'ipv4'}"
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        kind = socket.SOCK_STREAM if proto == "tcp" else socket.SOCK_DGRAM
        self.near, far, self.listener = open_in(source, family, kind), open_in(target, family, kind), None
        far.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        far.bind((address, port))
        self.near.settimeout(3)
        if proto == "tcp":
            far.listen(1)
            far.settimeout(3)
            self.near.connect((address, port))
            self.listener, (self.far, _) = far, far.accept()
        else:
            far.settimeout(3)
            self.near.connect((address, port))
            self.near.send(b"?")
            _, peer = far.recvfrom(10)
            far.connect(peer)
            self.far = far
            far.send(b"!")
            self.near.recv(10)
        for end in (self.near, self.far):
            end.setsockopt(socket.SOL_SOCKET, TIMESTAMPS, 1)
            end.setblocking(False)
        self.heard = {"there": 0.0, "back": 0.0}  # when something last arrived

    def speak(self):
        for end in (self.near, self.far):
            try:
                end.send(b".")
            except OSError:
                pass

    def listen(self):
        for name, end in (("there", self.far), ("back", self.near)):
            try:
                data, control, _, _ = end.recvmsg(4096, CONTROL_ROOM)
                if data:
                    self.heard[name] = arrived(control)
            except OSError:
                pass

    def close(self):
        for end in (self.near, self.far, self.listener):
            if end:
                end.close()

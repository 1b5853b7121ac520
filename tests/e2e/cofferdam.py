# SPDX-License-Identifier: GPL-2.0-or-later
"""cofferdamd beside a test's engine, and the cofferdam command."""

import json
import os
import re
import shutil
import signal
import sys
import time

import yaml

from engine import BUILD
from machine import ENVIRONMENT, Failure, run, wait_until

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir))
import schemas  # pylint: disable=wrong-import-position

COMMAND = os.path.join(BUILD, "src", "cli", "cofferdam")
DAEMON = os.path.join(BUILD, "src", "daemon", "cofferdamd")

# As systemd does it: the descriptor is number 3, and the process that is to have it is named by LISTEN_PID.
HAND_OVER = ("import os, sys; os.dup2(int(sys.argv[1]), 3); os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='1',"
             " LISTEN_FDNAMES='nftables'); os.execvp(sys.argv[2], sys.argv[2:])")


class Cofferdam:
    """The daemon and its files, all in the engine's directory."""

    def __init__(self, engine):
        self.engine = engine
        self.space = engine.host
        self.process = None
        self.environment = {}
        self.kept = None  # a descriptor that the daemon gets at its start, as from the service manager's store
        self.policies = engine.path("policies")
        self.config = engine.path("cofferdam.yaml")
        self.settings = {"docker": engine.socket, "policies": self.policies, "state": engine.path("state"),
                         "control": engine.path("control.sock"), "audit": engine.path("audit.log"),
                         "log": {"file": engine.path("verdicts.log"), "journal": "off"}}
        os.makedirs(self.policies, exist_ok=True)
        os.makedirs(engine.path("state"), exist_ok=True)

    def start(self, **settings):
        """Starts the daemon with these settings on top of the paths, and waits until it enforces all there is."""
        with open(self.config, "w", encoding="utf-8") as file:
            yaml.safe_dump(dict(self.settings, **settings), file)
        command, fds = self.space.enter(DAEMON, "--config", self.config), ()
        if self.kept is not None:
            command, fds = [sys.executable, "-c", HAND_OVER, str(self.kept), *command], (self.kept,)
        self.process = self.engine.spawn("cofferdamd", command, pass_fds=fds,
                                         env=dict(ENVIRONMENT, ASAN_OPTIONS="abort_on_error=1", **self.environment))
        try:
            self.settle(20)
        except Failure as error:
            raise Failure(f"{error}\n--- log of cofferdamd\n{self.log()[-6000:]}") from error
        return self

    def stop(self, number=signal.SIGTERM):
        """Returns the daemon's exit status."""
        return self.process.stop(number)

    def restart(self, **settings):
        self.stop()
        return self.start(**settings)

    def log(self):
        return self.process.output()

    def __call__(self, verb, *arguments, check=False):
        """The cofferdam command, inside the engine's namespace."""
        return run(self.space.enter(COMMAND, verb, "--config", self.config, *arguments), check=check)

    def json(self, verb, *arguments):
        """What the command prints with --json, decoded, and as its schema says; None when it did not print JSON."""
        result = self(verb, "--json", *arguments)
        try:
            document = json.loads(result.stdout)
        except ValueError:
            return None
        schemas.check(verb, document)
        return document

    def settle(self, seconds=5):
        """Waits until the daemon knows every endpoint that the engine has."""
        seen = {}

        def settled():
            if self.process and not self.process.alive:
                raise Failure(f"cofferdamd ended with {self.process.process.returncode}")
            seen["status"] = self.json("status")
            return seen["status"] and seen["status"]["engine"]["connected"] and not self.missing(seen["status"])

        wait_until(settled, seconds, "cofferdamd to enforce every endpoint", gap=0.05)
        return seen["status"]

    def missing(self, status):
        """The (container, network) pairs of running containers that the daemon does not enforce yet."""
        known = {(container["id"], endpoint["network"]) for container in status["containers"]
                 for endpoint in container["endpoints"] if endpoint["live"]}
        wanted = {(entry["Id"], network) for entry in self.engine.api("GET", "/containers/json")
                  for network, endpoint in entry["NetworkSettings"]["Networks"].items() if endpoint["IPAddress"]}
        return wanted - known

    def write(self, policies):
        """Replaces the files of policies: a text, or {file name: text}."""
        shutil.rmtree(self.policies)
        os.makedirs(self.policies)
        for name, text in ({"policies.yaml": policies} if isinstance(policies, str) else policies).items():
            with open(os.path.join(self.policies, name), "w", encoding="utf-8") as file:
                file.write(text)

    def apply(self, policies):
        """Writes the policies and loads them."""
        self.write(policies)
        result = self("apply")
        if result.returncode != 0:
            raise Failure(f"cofferdam apply: exit {result.returncode}\n{result.stdout}{result.stderr}\n{self.log()[-3000:]}")
        return result

    def ruleset(self, metered=False):
        """Our tables as nft lists them; metered: also what denied packets have put into their sets."""
        text = "".join(self.engine.host.run("nft", "list", *table.split()).stdout
                       for table in self.engine.tables() if table.split()[2] == "cofferdam")
        return text if metered else without_metered(text)


def without_metered(listing):
    """What nft lists, without what denied packets have put into sets: that changes by itself."""
    return re.sub(r"(\t\tflags dynamic,timeout\n(?:\t\t(?!elements).*\n)*)\t\telements = \{[^}]*\}\n", r"\1", listing)


def follows(condition, what, seconds=2.0):
    """A change made through Docker or a file must be followed within this time."""
    began = time.monotonic()
    wait_until(condition, seconds, what, gap=0.05)
    return time.monotonic() - began

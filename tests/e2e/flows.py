# SPDX-License-Identifier: GPL-2.0-or-later
"""Traffic that goes on while something is broken: numbered flows that must not lose a packet, and a flood of packets
none of which may arrive."""

import itertools
import json
import os
import signal
import subprocess
import time

from engine import OUTSIDE, PROBE, UPLINK
from machine import ENVIRONMENT, Failure, _die_with_parent, wait_until
from playground import Playground

SERVED = ["5000/udp", "5001/tcp"]
PORTS = "[5000/udp, 5001/tcp]"
GAP = int(os.environ.get("COFFERDAM_FLOW_GAP", "4000"))  # microseconds between two messages of a flow
FLOOD_GAP = int(os.environ.get("COFFERDAM_FLOOD_GAP", "150"))  # between two packets of one container's flood

# Who may talk to whom. The blocks with exceptions are sets of intervals in the kernel, which are slow to replace.
CLIENT = f"""
policy: client
select: {{labels: {{role: client}}}}
ingress:
  - from: [{{cidr: 203.0.113.0/24, except: [203.0.113.128/25]}}, {{cidr: "2001:db8:113::/64", except: ["2001:db8:113::8000/113"]}}]
    ports: {PORTS}
  - from: [host]
    ports: {PORTS}
egress:
  - to: [{{labels: {{role: server}}}}]
    ports: {PORTS}
  - to: [host]
    ports: {PORTS}
  - to: [{{cidr: 198.0.0.0/8, except: [198.97.0.0/16]}}, {{cidr: "2a00::/12", except: ["2a00:1450:4002::/48"]}}]
    ports: {PORTS}
"""
SERVER = f"""
policy: server
select: {{labels: {{role: server}}}}
ingress:
  - from: [{{labels: {{role: client}}}}]
    ports: {PORTS}
"""
BASE = CLIENT + "---" + SERVER


def _converse(process, line):
    process.stdin.write(line + "\n")
    process.stdin.flush()


def _listen(process):
    answer = process.stdout.readline()
    if not answer:
        raise Failure(f"{process.args}: exit {process.wait()}")
    return json.loads(answer)


class Tool:
    """A probe that is spoken with by lines, in a container's or other network namespace."""

    def __init__(self, where, *arguments):
        self.where = where
        # pylint: disable-next=consider-using-with
        self.process = subprocess.Popen(where.enter(PROBE, *map(str, arguments)), stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True, env=ENVIRONMENT, preexec_fn=_die_with_parent)

    def close(self):
        for stream in (self.process.stdin, self.process.stdout):
            stream.close()
        self.process.kill()
        self.process.wait()


class Drain(Tool):
    """Receives flows and counts what should not have come."""

    def __init__(self, where, *arguments, ports=tuple(SERVED)):
        super().__init__(where, "drain", *arguments, *ports)
        if self.process.stdout.readline() != "draining\n":
            raise Failure(f"no drain in {where.name}")
        self.before = {"denied": 0, "flows": {}}
        self.missed = 0

    def report(self):
        """What came since the last report."""
        _converse(self.process, "report")
        answer = _listen(self.process)
        flows = {int(flow): count - self.before["flows"].get(flow, 0) for flow, count in answer["flows"].items()}
        result = dict(answer, flows=flows, denied=answer["denied"] - self.before["denied"])
        self.before = answer
        return result


class Flow(Tool):
    """One numbered flow. style: see probe/number.c"""

    _count = itertools.count(1)

    def __init__(self, style, source, target, address, gap=GAP, port=None):
        self.style, self.target, self.number = style, target, next(self._count)
        self.name = f"{source.name} -> {target.name} {style} {'ipv6' if ':' in address else 'ipv4'}"
        super().__init__(source, "pour", style, address, port or (5001 if style.startswith("tcp") else 5000), gap, self.number)

    def go(self):
        _converse(self.process, "go")

    def stop(self):
        """Asks for the end of the round; what became of it is read by result()."""
        _converse(self.process, "stop")

    def result(self, arrived):
        """arrived: messages that the other end got. Adds "lost": packets on the way there or back."""
        answer = _listen(self.process)
        if self.style == "udp":
            lost = answer["sent"] - answer["back"]
        elif self.style == "udp-new":
            lost = answer["sent"] - arrived.get(self.number, 0)
        else:
            lost = answer["repeated"] + answer["errors"] + (not answer["open"])
        return dict(answer, lost=lost)


class Round:
    """What became of all traffic between go() and stop()."""

    def __init__(self, flows, drains):
        self.flows, self.drains = flows, drains

    @property
    def lost(self):
        return sum(result["lost"] for result in self.flows.values())

    @property
    def sent(self):
        return sum(result["sent"] for result in self.flows.values())

    @property
    def denied(self):
        return sum(report["denied"] for report in self.drains.values())

    def __str__(self):
        lines = [f"{name}: lost {result['lost']} of {result['sent']} {result}" for name, result in self.flows.items()
                 if result["lost"]]
        lines += [f"{name}: {report['denied']} denied packets arrived, the last {report['what']}"
                  for name, report in self.drains.items() if report["denied"]]
        return "\n".join(lines) or "no packet lost, none leaked"


class Traffic(Playground):
    """Mixed into a TestCase: client and server on front, far on back, rogues on both, which nothing is granted to."""

    POLICIES = BASE
    SETTINGS = {}

    @classmethod
    def setUpClass(cls):
        cls.START, start = False, cls.START
        super().setUpClass()
        create = cls.engine.create
        cls.client = create("client", ["front"], labels={"role": "client"}).start()
        cls.server = create("server", ["front"], labels={"role": "server"}).start()
        cls.far = create("far", ["back"], labels={"role": "server"}).start()
        cls.rogue = create("rogue", ["front"], labels={"role": "rogue"}).start()
        cls.rogue_far = create("rogue-far", ["back"], labels={"role": "rogue"}).start()
        cls.drains, cls.flows, cls.floods = {}, {}, []
        cls.addClassCleanup(cls.close_traffic)
        for where in (cls.client, cls.server, cls.far, cls.rogue, cls.rogue_far, cls.engine.lan):
            cls.drains[where.name] = Drain(where)
        cls.drains[cls.engine.host.name] = Drain(cls.engine.host, "--sockets")
        cls.prove_the_witnesses()
        if start:
            cls.cofferdam.start(**cls.SETTINGS)
            cls.make_flows()

    @classmethod
    def close_traffic(cls):
        for flood in cls.floods:
            flood.stop(signal.SIGTERM)
        for tool in [*cls.flows.values(), *cls.drains.values()]:
            tool.close()

    # The flood

    @classmethod
    def flood_targets(cls):
        """{source: [address]}: everybody to everybody; what nobody may reach, and what others may."""
        containers = [cls.client, cls.server, cls.far, cls.rogue, cls.rogue_far]
        host = ["10.91.0.1", "fd91::1", "10.92.0.1", "fd92::1", *UPLINK.values()]
        outside = [OUTSIDE[family][name] for family in OUTSIDE for name in ("public", "public-2", "testnet")]
        of = {container.name: [container.address(family) for family in ("ipv4", "ipv6")] for container in containers}

        def others(source):
            return [address for name, addresses in of.items() if name != source.name for address in addresses]

        return {source: others(source) + host + outside for source in (cls.rogue, cls.rogue_far)} | {
            cls.server: others(cls.server) + host + outside,
            cls.engine.host: of["server"] + of["far"] + of["rogue"],
            cls.engine.lan: of["server"] + of["far"] + of["rogue"]}

    @classmethod
    def start_floods(cls):
        for source, addresses in cls.flood_targets().items():
            targets = [f"{proto},{address},{port}" for address in addresses for proto, port in (("udp", 5000), ("tcp", 5001))]
            cls.floods.append(cls.engine.spawn(f"flood-{source.name}-{len(cls.floods)}", source.enter(
                PROBE, "flood", str(FLOOD_GAP), *targets)))

    @classmethod
    def stop_floods(cls):
        """Returns how many packets they sent in all."""
        for flood in cls.floods:
            flood.stop()
        sent = sum(int((flood.output().split() or [0])[-1]) for flood in cls.floods)
        cls.floods.clear()
        return sent

    @classmethod
    def prove_the_witnesses(cls):
        """Before there are any rules, each of them sees the flood: they would see what they later say they do not."""
        cls.start_floods()
        blind = dict(cls.drains)

        def seen():
            for name, drain in list(blind.items()):
                if drain.report()["denied"]:
                    del blind[name]
            return not blind

        wait_until(seen, 10, f"the flood to be seen by {', '.join(blind)}", gap=0.2)
        cls.stop_floods()
        cls.engine.forget_connections()

    # Flows

    @classmethod
    def wanted_flows(cls):
        for family in ("ipv4", "ipv6"):
            for target in (cls.server, cls.far):
                for style in ("udp", "udp-new", "tcp", "tcp-new"):
                    yield style, cls.client, target, target.address(family), GAP
            gateway = {"ipv4": "10.91.0.1", "ipv6": "fd91::1"}[family]
            public, own = OUTSIDE[family]["public"], cls.client.address(family)
            yield "udp-new", cls.client, cls.engine.host, gateway, GAP
            yield "udp-new", cls.engine.host, cls.client, own, GAP
            yield "udp", cls.client, cls.engine.lan, public, GAP
            yield "tcp-new", cls.client, cls.engine.lan, public, GAP
            yield "udp-new", cls.client, cls.engine.lan, public, GAP // 8
            yield "udp-new", cls.engine.lan, cls.client, own, GAP // 8

    @classmethod
    def make_flows(cls):
        for wanted in cls.wanted_flows():
            flow = Flow(*wanted)
            cls.flows[flow.name] = flow

    @classmethod
    def go(cls):
        for drain in cls.drains.values():
            drain.report()
        for flow in cls.flows.values():
            flow.go()

    @classmethod
    def stop(cls):
        """Ends the round. The probes wait for what is still under way."""
        for flow in cls.flows.values():
            flow.stop()
        time.sleep(0.1)
        reports = {name: drain.report() for name, drain in cls.drains.items()}
        results = {}
        for name, flow in cls.flows.items():
            results[name] = flow.result(reports[flow.target.name]["flows"])
        missed = {name: report["missed"] for name, report in reports.items()}
        for name, drain in cls.drains.items():
            if missed[name] > drain.missed:
                print(f"note: the witness in {name} could not look at {missed[name] - drain.missed} packets")
                drain.missed = missed[name]
        return Round(results, reports)

    @classmethod
    def leaked(cls):
        """(packets of the flood that arrived since the last report, text about them, first, last in monotonic ms)"""
        reports = {name: drain.report() for name, drain in cls.drains.items()}
        bad = {name: report for name, report in reports.items() if report["denied"]}
        text = "; ".join(f"{name}: {report['denied']} ({report['what']})" for name, report in bad.items())
        return (sum(report["denied"] for report in bad.values()), text,
                min((report["first_denied"] for report in bad.values()), default=0),
                max((report["last_denied"] for report in bad.values()), default=0))

    def assert_no_leak(self, what):
        count, text, _, _ = self.leaked()
        self.assertEqual(count, 0, f"{what}: {text}")


def table(title, head, rows):
    """Prints what was measured."""
    rows = [list(map(str, row)) for row in [head, *rows]]
    widths = [max(map(len, column)) for column in zip(*rows)]
    print(f"\n{title}")
    for row in rows:
        print("  " + "  ".join(text.ljust(width) for text, width in zip(row, widths)).rstrip())
    print(flush=True)

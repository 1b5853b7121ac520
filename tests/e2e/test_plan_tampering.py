#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""After somebody has changed Cofferdam's rules, `cofferdam plan` shows exactly that, and what puts it right.

The daemon repairs within milliseconds, but first it answers who waits already: here it is paused until both are there."""

import json
import os
import re
import signal
import unittest

from cofferdam import COMMAND
from machine import wait_until
from playground import OPEN, Playground
from test_plan import rule_lines


class PlanAfterTampering(Playground, unittest.TestCase):
    START = False

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.cofferdam.start(protect_table="off")
        create = cls.engine.create
        cls.web, cls.db = (create(role, ["front"], labels={"role": role}).start() for role in ("web", "db"))
        cls.cofferdam.settle()

    def chain(self, prefix):
        """The name of a chain that begins so, and its rules: [(handle, text)]"""
        listing = self.engine.host.run("nft", "-s", "-a", "list", "table", "inet", "cofferdam").stdout
        name, body = re.search(rf"^\tchain ({prefix}\S*) {{.*?\n(.*?)^\t}}", listing, re.MULTILINE | re.DOTALL).groups()
        return name, [(handle, text) for text, handle in re.findall(r"^\s*(.*) # handle (\d+)$", body, re.MULTILINE)
                      if not text.startswith("type ")]

    def ask(self, commands, options):
        """The plan that is asked for right after these commands of nft."""
        daemon = self.cofferdam.process.process.pid
        os.kill(daemon, signal.SIGSTOP)
        try:
            self.engine.host.run("nft", "-f", "-", stdin="".join(command + "\n" for command in commands))
            asked = self.engine.spawn("plan", self.engine.host.enter(COMMAND, "plan", "--json", "--config", self.cofferdam.config,
                                                                     *options))
            wait_until(lambda: self.waits(asked.process.pid), 5, "the plan to be asked for")
        finally:
            os.kill(daemon, signal.SIGCONT)
        status = asked.process.wait(10)
        output = asked.output()
        os.unlink(asked.log)
        self.assertEqual(status, 2, output)
        return json.loads(output)

    @staticmethod
    def waits(pid):
        """For an answer, having asked: the control socket is the last thing that it opens."""
        try:
            descriptors = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
        except FileNotFoundError:  # one was just closed
            return False
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            return any(name.startswith("socket:") for name in descriptors) and file.read().rpartition(")")[2].split()[0] == "S"

    def lines_after(self, *commands, options=()):
        """[(change, kind, name, text)] of what the plan would do to the rules; then waits until they are right again."""
        document = self.ask(commands, options)
        lines = [(line["change"], line["kind"], line["name"], line["text"]) for line in document["rules"]["lines"]]
        self.assertIs(document["changes"], True)
        self.assertIs(document["rules"]["validated"], True)
        if not options:
            self.assertEqual((document["policies"], document["connections"], document["live_connections"]["cut"]), ([], [], []))
        wait_until(lambda: self.cofferdam("verify").returncode == 0, 5, "the rules to be right again")
        result = self.cofferdam("plan")
        self.assertEqual((result.returncode, result.stdout[:11]), (0, "No changes."))
        return lines

    def test_a_rule_is_deleted(self):
        for prefix in ("forward", "input", "egress/web/", "ingress/db/"):
            name, rules = self.chain(prefix)
            for handle, text in (rules[0], rules[-1]):
                with self.subTest(rule=text):
                    handle = next(other for other, same in self.chain(prefix)[1] if same == text)
                    lines = self.lines_after(f"delete rule inet cofferdam {name} handle {handle}")
                    self.assertEqual(lines, [("+", "rule", name, text)])

    def test_a_rule_is_added(self):
        name, _ = self.chain("ingress/db/")
        self.assertEqual(self.lines_after(f"insert rule inet cofferdam {name} counter accept"),
                         [("-", "rule", name, "counter accept")])
        self.assertEqual(self.lines_after("add rule inet cofferdam forward tcp dport 22 accept"),
                         [("-", "rule", "forward", "tcp dport 22 accept")])

    def test_rules_change_places(self):
        name, rules = self.chain("ingress/db/")
        handle, text = rules[0]
        lines = self.lines_after(f"delete rule inet cofferdam {name} handle {handle}",
                                 f"add rule inet cofferdam {name} handle {rules[1][0]} {text}")
        self.assertEqual([line[:3] for line in lines], [("~", "chain", name)])

    def test_a_chain_is_flushed(self):
        name, rules = self.chain("ingress/db/")
        lines = self.lines_after(f"flush chain inet cofferdam {name}")
        self.assertEqual(lines, [("+", "rule", name, text) for _, text in rules])

    def test_a_chain_is_deleted(self):
        name, rules = self.chain("ingress/db/")
        addresses = {"4": self.db.address("ipv4"), "6": self.db.address("ipv6")}
        lines = self.lines_after(*(f"delete element inet cofferdam ingress{family} {{ {address} }}"
                                   for family, address in addresses.items()), f"delete chain inet cofferdam {name}")
        self.assertEqual(lines, [("+", "element", f"ingress{family}", f"{address} : jump {name}")
                                 for family, address in addresses.items()]
                         + [("+", "chain", name, f"chain {name}")] + [("+", "rule", name, text) for _, text in rules])

    def test_elements(self):
        bridge, web, db = self.engine.bridge("front"), self.web.address(), self.db.address()
        name, _ = self.chain("ingress/db/")
        for command, line in (
                (f'delete element inet cofferdam bridges {{ "{bridge}" }}', ("+", "element", "bridges", f'"{bridge}"')),
                (f"delete element inet cofferdam label/role/web/4 {{ {web} }}", ("+", "element", "label/role/web/4", web)),
                ("add element inet cofferdam label/role/web/4 { 10.91.7.7 }", ("-", "element", "label/role/web/4", "10.91.7.7")),
                (f"delete element inet cofferdam ingress4 {{ {db} }}", ("+", "element", "ingress4", f"{db} : jump {name}"))):
            with self.subTest(command=command):
                self.assertEqual(self.lines_after(command), [line])

    def test_what_is_nobodys_of_ours(self):
        self.assertEqual(self.lines_after("add chain inet cofferdam foreign"), [("-", "chain", "foreign", "chain foreign")])
        self.assertEqual(self.lines_after("add set inet cofferdam foreign { type ipv4_addr; }"),
                         [("-", "set", "foreign", "set foreign { type ipv4_addr; }")])

    def test_a_table_is_deleted(self):
        for family in ("bridge", "inet"):
            with self.subTest(family=family):
                want = rule_lines(self.engine.host.run("nft", "list", "table", family, "cofferdam").stdout)
                lines = self.lines_after(f"delete table {family} cofferdam")
                self.assertEqual({line[0] for line in lines}, {"+"})
                self.assertEqual(rule_lines("\n".join(text for _, kind, _, text in lines if kind == "rule")), want)

    def test_beside_a_change_of_the_policies(self):
        """It comes on top of what the policies change."""
        folder = self.engine.path("planned")
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, "open.yaml"), "w", encoding="utf-8") as file:
            file.write(OPEN)
        options = ("--policies", folder)
        document = self.cofferdam.json("plan", *options)
        alone = {(line["change"], line["kind"], line["name"], line["text"]) for line in document["rules"]["lines"]}
        name, rules = self.chain("forward")
        handle, text = rules[0]
        lines = self.lines_after(f"delete rule inet cofferdam {name} handle {handle}", options=options)
        self.assertEqual(set(lines) - alone, {("+", "rule", name, text)})
        self.assertEqual(alone - set(lines), set())


if __name__ == "__main__":
    unittest.main()

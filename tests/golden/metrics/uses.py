#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What is written about the metrics, and what uses them: uses.py SAMPLE.

docs/metrics.md has a line for each, and the alert rules and the dashboard in examples/monitoring use none that there is not.
"""

import json
import pathlib
import re
import sys
import tempfile
import unittest

import yaml

from sample import Sample, full_name, promtool

SAMPLE = Sample(sys.argv.pop(1))
ROOT = pathlib.Path(__file__).resolve().parents[3]
EXAMPLES = ROOT / "examples/monitoring"


def used(expression):
    """(name of a metric, label or None) for all of ours that a query uses."""
    for match in re.finditer(r"\b(cofferdam_\w+)(?:\{([^}]*)\})?", expression):
        yield match[1], None
        for label in re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", match[2] or ""):
            yield match[1], label
    labels = re.findall(r"\b(?:by|without) ?\(([^)]*)\)", expression)
    for label in {word.strip() for part in labels for word in part.split(",")} - {"instance", "job", ""}:
        yield None, label


class Page(unittest.TestCase):
    def test_the_table(self):
        page = (ROOT / "docs/metrics.md").read_text(encoding="utf-8")
        table = {row[0]: row[1:] for row in re.findall(r"^\| `(cofferdam_\w+)` \| (\w+) \| (.*?) \| (.*) \|$", page, re.MULTILINE)}
        wanted = {}
        for family in SAMPLE.families.values():
            labels = sorted({label for sample in family.samples for label in sample.labels} - {"le"})
            wanted[full_name(family)] = (family.type, ", ".join(f"`{label}`" for label in labels), family.documentation)
        for name in sorted(set(wanted) | set(table)):
            with self.subTest(name):
                self.assertEqual(table.get(name), wanted.get(name))


class Examples(unittest.TestCase):
    def assert_known(self, expression):
        known = SAMPLE.names()
        for name, label in used(expression):
            with self.subTest(expression, name=name, label=label):
                if name:
                    self.assertIn(name, known)
                if label:
                    self.assertIn(label, known[name] | {"instance", "job", "file", "le"} if name else
                                  set().union(*known.values()) | {"file"})

    def test_alert_rules(self):
        result = promtool("check", "rules", "--lint-fatal", str(EXAMPLES / "alerts.yaml"))
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        rules = [rule for group in yaml.safe_load((EXAMPLES / "alerts.yaml").read_text(encoding="utf-8"))["groups"]
                 for rule in group["rules"]]
        self.assertGreaterEqual(len(rules), 6)
        for rule in rules:
            self.assertEqual(set(rule["annotations"]), {"summary", "description"})
            self.assertIn(rule["labels"]["severity"], ("critical", "warning", "info"))
            self.assert_known(rule["expr"])
            self.assertTrue(list(used(rule["expr"])), rule["alert"])

    def test_each_alert_fires_and_does_not(self):
        result = promtool("test", "rules", str(EXAMPLES / "alerts.test.yaml"))
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        alerts = {rule["alert"] for group in yaml.safe_load((EXAMPLES / "alerts.yaml").read_text(encoding="utf-8"))["groups"]
                  for rule in group["rules"]}
        fired, silent = set(), set()
        for case in yaml.safe_load((EXAMPLES / "alerts.test.yaml").read_text(encoding="utf-8"))["tests"]:
            for wanted in case["alert_rule_test"]:
                (fired if wanted.get("exp_alerts") else silent).add(wanted["alertname"])
        self.assertEqual((fired, silent), (alerts, alerts))

    def test_dashboard(self):
        dashboard = json.loads((EXAMPLES / "dashboard.json").read_text(encoding="utf-8"))
        self.assertIsNone(dashboard["id"])  # Grafana gives it its own
        self.assertEqual([variable["name"] for variable in dashboard["templating"]["list"]], ["datasource", "instance"])
        panels = [panel for panel in dashboard["panels"] if panel["type"] != "row"]
        self.assertGreaterEqual(len(panels), 8)
        self.assertEqual(len({panel["id"] for panel in dashboard["panels"]}), len(dashboard["panels"]))
        for panel in panels:
            self.assertEqual(panel["datasource"]["uid"], "${datasource}")
            self.assertTrue(panel["targets"] and panel["title"] and panel["description"], panel["id"])
            for target in panel["targets"]:
                self.assertIn("cofferdam_", target["expr"])
                self.assertIn('instance=~"$instance"', target["expr"])
                self.assert_known(target["expr"])
        boxes = [panel["gridPos"] for panel in dashboard["panels"]]
        for i, a in enumerate(boxes):
            self.assertLessEqual(a["x"] + a["w"], 24)
            for b in boxes[:i]:
                apart = a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"] or a["y"] + a["h"] <= b["y"] or b["y"] + b["h"] <= a["y"]
                self.assertTrue(apart, (a, b))

    def test_queries_of_the_dashboard(self):
        """promtool parses them, as rules."""
        dashboard = json.loads((EXAMPLES / "dashboard.json").read_text(encoding="utf-8"))
        expressions = [target["expr"].replace("$__rate_interval", "5m").replace("$__range", "1h") for panel in dashboard["panels"]
                       for target in panel.get("targets", ())]
        rules = {"groups": [{"name": "dashboard", "rules": [{"record": f"panel:{number}", "expr": expression}
                                                            for number, expression in enumerate(expressions)]}]}
        with tempfile.NamedTemporaryFile("w", suffix=".yaml", encoding="utf-8") as file:
            yaml.safe_dump(rules, file)
            file.flush()
            result = promtool("check", "rules", "--lint=none", file.name)
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        self.assertIn(f"{len(expressions)} rules found", result.stdout)


if __name__ == "__main__":
    sys.exit(unittest.main())

# SPDX-License-Identifier: GPL-2.0-or-later
"""What sample.c prints, taken apart; and promtool."""

import subprocess

from prometheus_client.openmetrics.parser import text_string_to_metric_families


class Sample:
    def __init__(self, program):
        self.program = program
        self.families = {family.name: family for family in text_string_to_metric_families(self.text("openmetrics"))}

    def text(self, form):
        return subprocess.run([self.program, form], check=True, capture_output=True, encoding="utf-8").stdout

    def names(self):
        """{name of a sample: its labels}"""
        found = {}
        for family in self.families.values():
            for sample in family.samples:
                found.setdefault(sample.name, set()).update(sample.labels)
        return found


def full_name(family):
    """As it stands in the table, and in what asks for it."""
    return family.name + {"counter": "_total", "info": "_info"}.get(family.type, "")


def promtool(*arguments, stdin=None):
    return subprocess.run(["promtool", *arguments], input=stdin, capture_output=True, encoding="utf-8", check=False)

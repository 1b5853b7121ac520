#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The metrics as text, in both formats: formats.py SAMPLE [--update].

expected/ has what is printed of what sample.c measures; --update writes it anew. Prometheus' own promtool and the parsers
of its client library read it.
"""

import pathlib
import sys
import unittest

from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families
from prometheus_client.parser import text_string_to_metric_families as prometheus_families

from sample import Sample, full_name, promtool

SAMPLE = Sample(sys.argv.pop(1))
UPDATE = "--update" in sys.argv
if UPDATE:
    sys.argv.remove("--update")
HERE = pathlib.Path(__file__).resolve().parent


class Formats(unittest.TestCase):
    def test_expected(self):
        for form in ("openmetrics", "prometheus"):
            with self.subTest(form):
                file = HERE / "expected" / f"{form}.txt"
                if UPDATE:
                    file.write_text(SAMPLE.text(form), encoding="utf-8")
                self.assertEqual(SAMPLE.text(form), file.read_text(encoding="utf-8"))

    def test_promtool(self):
        result = promtool("check", "metrics", stdin=SAMPLE.text("prometheus"))
        self.assertEqual((result.returncode, result.stdout, result.stderr), (0, "", ""))
        broken = promtool("check", "metrics", stdin=SAMPLE.text("prometheus").replace("_total", "_number"))
        self.assertNotEqual(broken.returncode, 0)  # it does look

    def test_both_formats_say_the_same(self):
        """By the parsers of Prometheus' own client library; that of OpenMetrics is strict."""
        def samples(parsed):
            return sorted((sample.name, sorted(sample.labels.items()), sample.value) for family in parsed for sample in family.samples)
        openmetrics, prometheus = (samples(parse(SAMPLE.text(form))) for parse, form in
                                   ((openmetrics_families, "openmetrics"), (prometheus_families, "prometheus")))
        self.assertEqual(openmetrics, prometheus)
        self.assertGreater(len(openmetrics), 60)
        with self.assertRaises(ValueError):
            list(openmetrics_families(SAMPLE.text("openmetrics").replace("# EOF\n", "")))

    def test_the_conventions(self):
        for family in SAMPLE.families.values():
            with self.subTest(family.name):
                self.assertRegex(full_name(family), r"^cofferdam_[a-z]+(_[a-z]+)*$")
                self.assertTrue(family.documentation.endswith("."))
                self.assertEqual(bool(family.unit), family.name.endswith("_seconds"))
                self.assertFalse({label for sample in family.samples for label in sample.labels} & {"container", "id", "instance", "job"})


if __name__ == "__main__":
    sys.exit(unittest.main())

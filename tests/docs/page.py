#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The manual page for an incident is read at 3 a.m.: it fits on a screen and begins with what to type: page.py COFFERDAM."""

import os
import pathlib
import re
import subprocess
import sys
import unittest

PROGRAM = os.path.abspath(sys.argv.pop(1))
PAGE = pathlib.Path(__file__).resolve().parents[2] / "man/cofferdam-lockdown.8.scd"
COLUMNS, LINES = 110, 50
EVERYWHERE = {"--config", "--control", "--state", "--help", "--version"}  # told of in cofferdam(1)


def rendered():
    source = subprocess.run(["scdoc"], input=PAGE.read_bytes(), capture_output=True, check=True).stdout
    text = subprocess.run(["groff", "-man", "-Tutf8", "-P-cbou", f"-rLL={COLUMNS}n"], input=source, capture_output=True, check=True).stdout
    return text.decode()


class Page(unittest.TestCase):
    def test_it_fits_on_one_screen(self):
        lines = rendered().rstrip("\n").split("\n")
        self.assertGreater(len(lines), 20)
        self.assertLessEqual(len(lines), LINES, "\n".join(lines))
        for line in lines:
            self.assertLessEqual(len(line), COLUMNS, line)

    def test_it_begins_with_what_to_type(self):
        texts = [line.strip() for line in rendered().split("\n") if line.strip()]
        self.assertEqual(texts[1:5], ["NAME", "cofferdam-lockdown - cut one container off, now", "SYNOPSIS", "cofferdam lockdown CONTAINER"])
        self.assertIn("cofferdam release CONTAINER", texts[5])

    def test_it_has_every_option(self):
        section = subprocess.run([PROGRAM, "lockdown", "--help"], capture_output=True, text=True, check=True).stdout
        section = section.split("Options:\n")[1].split("\n\n")[0]
        options = {re.match(r"  (?:-\w,)? *(--[\w-]+)", line).group(1) for line in section.splitlines()} - EVERYWHERE
        self.assertGreater(len(options), 8)
        named = set(re.findall(r"--[a-z-]*[a-z]", rendered()))
        self.assertEqual(named - options, set(), "these do not exist")
        self.assertEqual(options - named, set(), "these are not told of")


if __name__ == "__main__":
    unittest.main()

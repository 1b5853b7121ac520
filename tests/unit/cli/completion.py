#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The shells' completion, in the shells, against a daemon of this test's own: completion.py PROGRAM."""

import contextlib
import os
import pathlib
import pty
import re
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import unittest

PROGRAM = os.path.abspath(sys.argv.pop(1))
FOLDER = pathlib.Path(__file__).resolve().parents[3] / "packaging/completions"
sys.argv, arguments = sys.argv[:1] + [PROGRAM], sys.argv[1:]
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from command import Daemon  # noqa: E402  pylint: disable=wrong-import-position
sys.argv[1:] = arguments

MARK = "evaluated"
# What a stranger may call things; a shell that evaluates one of these makes the file MARK.
HOSTILE = [f"$(touch {MARK})", f"`touch {MARK}`", f"a;touch {MARK}", f"a\ntouch {MARK}", "a b", "--all", "-x", "", "a\x1b[31m", "\u202ea",
           "a'b", 'a"b', "a*", "~root", "a\tb", "!!", "a|b", "<a", "#a"]
NAMES = {"containers": ["web", "db-1", "db-2", *HOSTILE], "compose": ["shop", "shop/web", "shop/db", *HOSTILE],
         "lockdowns": ["db-2", "compose=shop/web", *HOSTILE]}
START = {"bash": ["bash", "--norc", "--noprofile", "-i"], "zsh": ["zsh", "-f", "-i"]}
SETUP = {"bash": f"bind 'set enable-bracketed-paste off'; bind 'set bell-style none'; bind 'set completion-query-items 0'; source {FOLDER}/cofferdam.bash\n"
                 "bind -x '\"\\C-g\": printf \"<%s>\\n\" \"$READLINE_LINE\"'\n",
         "zsh": f"fpath=({FOLDER} $fpath); autoload -Uz compinit && compinit -u -D; unsetopt beep zle_bracketed_paste; LISTMAX=10000; "
                "show() { print -r -- \"<$BUFFER>\" }; zle -N show; bindkey '^G' show\n"}


class Shell:
    """An interactive one, on a terminal."""

    def __init__(self, name, folder):
        path = os.path.dirname(PROGRAM) + os.pathsep + os.environ["PATH"]
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.chdir(folder)
            env = {**os.environ, "PATH": path, "TERM": "dumb", "HOME": folder, "PS1": "$ ", "INPUTRC": "/dev/null", "LC_ALL": "C.UTF-8"}
            os.execvpe(START[name][0], START[name], env)
        self.seen = ""
        self.type(SETUP[name] + "echo rea''dy\n")
        self.wait_for("ready")

    def type(self, text):
        os.write(self.terminal, text.encode())

    def wait_for(self, pattern, seconds=20):
        end = time.monotonic() + seconds
        while not (match := re.search(pattern, self.seen, re.DOTALL)):
            if not select.select([self.terminal], [], [], max(0, end - time.monotonic()))[0]:
                raise AssertionError(f"{pattern} did not come: {self.seen!r}")
            self.seen += os.read(self.terminal, 65536).decode(errors="replace")
        self.seen = self.seen[match.end():]
        return match

    def complete(self, line):
        """The line as it is after the key was pressed."""
        self.type(line + "\t")
        self.type("\x07")
        answer = self.wait_for(r"<(cofferdam[^>]*)>").group(1)
        self.type("\x15")  # the line is gone
        return answer

    def close(self):
        os.kill(self.pid, 9)
        os.waitpid(self.pid, 0)
        os.close(self.terminal)


def words(*line):
    """What the command says that the last word could be: its words, without summaries."""
    done = subprocess.run([PROGRAM, "__complete", "--", *line], capture_output=True, text=True, timeout=20, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done
    return [word.split("\t")[0] for word in done.stdout.splitlines()]


def patiently(ask, nothing):
    """What a daemon on a busy machine does not say within 0.3 s is not offered: asks again."""
    for _ in range(30):
        if (answer := ask()) != nothing:
            break
    return answer


def names(*line):
    return patiently(lambda: words(*line), [])


class Base(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.folder)
        self.socket = os.path.join(self.folder, "control")
        self.control = f"--control={self.socket}"

    def serve(self):
        daemon = Daemon(self.socket, {"ok": True, "exit": 0, "result": NAMES})
        self.addCleanup(daemon.close)
        return daemon


class Words(Base):
    def test_every_command_and_option_of_the_help(self):
        verbs = words("")
        help_text = subprocess.run([PROGRAM, "--help"], capture_output=True, text=True, check=True).stdout
        self.assertEqual(verbs, [line.split()[0] for line in help_text.split("Commands:\n")[1].split("\n\n")[0].splitlines()])
        self.assertEqual(words("help", ""), verbs)
        self.assertEqual(words("lo"), ["lockdown"])
        for verb in verbs:
            with self.subTest(verb):
                section = subprocess.run([PROGRAM, verb, "--help"], capture_output=True, text=True, check=True).stdout
                section = section.split("Options:\n")[1].split("\n\n")[0]
                options = [re.match(r"  (?:-\w,)? *(--[\w-]+)", line).group(1) for line in section.splitlines()]
                self.assertEqual(words(verb, "--"), options)
                self.assertEqual(words(verb, "--js"), ["--json"])
        self.assertEqual(words("--"), ["--config", "--json", "--help", "--version"])

    def test_values(self):
        self.assertEqual(words("lockdown", "--direction", ""), ["in", "out", "both"])
        self.assertEqual(words("lockdown", "--direction=o"), ["--direction=out"])
        self.assertEqual(words("graph", "-o", "s"), ["svg"])
        self.assertEqual(words("check", "--format", ""), ["text", "json", "github", "sarif"])
        for line in (("check", ""), ("--config", ""), ("plan", "--inventory", ""), ("graph", "--base=x"), ("status", "--control", "")):
            self.assertEqual(words(*line), [":files"], line)
        self.assertEqual(words("teardown", "--state", ""), [":folders"])
        self.assertIn("lo", words("lockdown", "--interface", "l"))
        for line in (("frob", ""), ("lockdown", "--reason", ""), ("lockdown", "--for", ""), ("status", ""), ("explain", "a", "b", ""),
                     ("apply", "--only="), ("status", "--frob="), ("lockdown", "--list=")):
            self.assertEqual(words(*line), [], line)

    def test_names(self):
        daemon = self.serve()
        known = ["web", "db-1", "db-2"]
        self.assertEqual(names(self.control, "lockdown", ""), known)
        self.assertEqual(names("lockdown", "--control", self.socket, "x", "--for", "2h", "db"), ["db-1", "db-2"])
        self.assertEqual(names("lockdown", self.control, "--except", "w"), ["web"])
        self.assertEqual(patiently(lambda: words("explain", self.control, "--", ""), ["host"]), [*known, "host"])
        self.assertEqual(patiently(lambda: words("explain", self.control, "web", ""), ["host"]), [*known, "host"])
        self.assertEqual(names("lockdown", self.control, "x", "--allow=h"), ["--allow=host"])
        self.assertEqual(names("release", self.control, ""), ["db-2", "compose=shop/web"])
        self.assertEqual(names("lockdown", self.control, "--select", ""), ["compose=", "label=", "name=", "all"])
        self.assertEqual(names("lockdown", self.control, "--select", "compose=shop/"), ["compose=shop/web", "compose=shop/db"])
        self.assertEqual({request["verb"] for request in daemon.requests}, {"names"})
        config = os.path.join(self.folder, "cofferdam.yaml")
        with open(config, "w", encoding="utf-8") as file:
            file.write(f"control: {self.socket}\n")
        self.assertEqual(names("--config", config, "lockdown", "w"), ["web"])
        with open(config, "a", encoding="utf-8") as file:
            file.write("control: [\n")
        self.assertEqual(words("--config", config, "lockdown", "w"), [])

    def test_without_a_daemon_that_answers(self):
        self.assertEqual(words("lockdown", self.control, ""), [])
        listener = socket.socket(socket.AF_UNIX)
        self.addCleanup(listener.close)
        listener.bind(self.socket)
        self.assertEqual(words("lockdown", self.control, ""), [])  # nobody listens
        listener.listen()
        began = time.monotonic()
        self.assertEqual(words("lockdown", self.control, ""), [])  # nobody answers
        self.assertLess(time.monotonic() - began, 3)  # 0.3 s, and a busy machine
        self.assertGreater(time.monotonic() - began, 0.25)

    def test_answers_that_are_none(self):
        for answer in (b"", b"{\n", b'{"ok": true, "exit": 0, "result": {"containers": 7}}\n', b'{"ok": true, "exit": 0, "result": [1]}\n',
                       b'{"ok": false, "exit": 1, "error": "x"}\n'):
            with self.subTest(answer):
                daemon = Daemon(self.socket, answer)
                self.assertEqual(words("lockdown", self.control, ""), [])
                daemon.close()
                os.unlink(self.socket)


class InShells(Base):
    @contextlib.contextmanager
    def in_shell(self, name):
        with self.subTest(name):
            shell = Shell(name, self.folder)
            try:
                yield shell
            finally:
                shell.close()

    def test_lines(self):
        self.serve()
        pathlib.Path(self.folder, "policies.yaml").touch()
        pathlib.Path(self.folder, "state").mkdir()
        pathlib.Path(self.folder, "stamp").touch()
        lines = [("lockd", "lockdown"), ("lockdown --rea", "lockdown --reason"), ("lockdown --direction b", "lockdown --direction both"),
                 ("lockdown --direction=b", "lockdown --direction=both"), ("check pol", "check policies.yaml"),
                 ("--config pol", "--config policies.yaml"), ("--config=pol", "--config=policies.yaml"),
                 ("teardown --state st", "teardown --state state/")]
        lines += [(f"{self.control} {line}", f"{self.control} {want}") for line, want in (
            ("lockdown w", "lockdown web"), ("lockdown 'a b' d", "lockdown 'a b' db-"),
            ("lockdown web:x --except w", "lockdown web:x --except web"), ("lockdown --select comp", "lockdown --select compose="),
            ("lockdown --select compose=shop/w", "lockdown --select compose=shop/web"),
            ("release comp", "release compose=shop/web"), ("release db", "release db-2"))]
        for name in START:
            with self.in_shell(name) as shell:
                for line, want in lines:
                    given = f"cofferdam {line}"
                    self.assertEqual(patiently(lambda given=given: shell.complete(given).rstrip(), given), f"cofferdam {want}", line)

    def test_names_of_strangers_are_never_evaluated(self):
        self.serve()
        for name in START:
            with self.in_shell(name) as shell:
                for verb in ("lockdown ", "release ", "lockdown --select compose=", "explain web "):
                    for start in ("", "a", "$", "`", "-", "~"):
                        self.assertNotIn(MARK, shell.complete(f"cofferdam {self.control} {verb}{start}"))
                self.assertFalse(os.path.exists(os.path.join(self.folder, MARK)))

    def test_even_a_command_that_says_it(self):
        """The scripts themselves quote what they get."""
        path = os.path.join(self.folder, "cofferdam")
        with open(path, "w", encoding="utf-8") as file:
            file.write(f"#!/bin/sh\nprintf '%s\\n' 'x$(touch {MARK})y;touch {MARK}'\n")
        os.chmod(path, 0o755)
        for name in START:
            with self.in_shell(name) as shell:
                shell.type(f"PATH={self.folder}:$PATH\n")
                self.assertEqual(shell.complete("cofferdam lockdown x").rstrip(),
                                 f"cofferdam lockdown x\\$\\(touch\\ {MARK}\\)y\\;touch\\ {MARK}")
                shell.type("; true\n")
                shell.type("echo do''ne\n")
                shell.wait_for("done")
                self.assertFalse(os.path.exists(os.path.join(self.folder, MARK)))

    def test_nothing_on_the_terminal(self):
        for name in START:
            with self.in_shell(name) as shell:
                line = f"cofferdam --control {self.folder}/none lockdown w"
                self.assertEqual(shell.complete(line), line)
                shell.type("echo do''ne\n")
                seen = shell.wait_for("^(.*)done").group(1)
                for word in ("error", "not found", "denied", "daemon runs"):
                    self.assertNotIn(word, seen)


if __name__ == "__main__":
    unittest.main()

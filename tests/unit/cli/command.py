#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The command `cofferdam` as its users see it, against a daemon of this test's own: command.py PROGRAM."""

import json
import os
import pty
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, os.pardir))
import schemas  # pylint: disable=wrong-import-position

PROGRAM = sys.argv.pop(1)


class Daemon:
    """Answers each request on a unix socket with what the test prepared, and keeps the request."""

    def __init__(self, path, answer):
        self.requests = []
        self.answer = answer
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(path)
        self.listener.listen()
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            with client:
                line = b""
                while not line.endswith(b"\n"):
                    piece = client.recv(4096)
                    if not piece:
                        break
                    line += piece
                self.requests.append(json.loads(line))
                answer = self.answer
                client.sendall(answer if isinstance(answer, bytes) else json.dumps(answer).encode() + b"\n")

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join()


def run(*args, stdin=subprocess.DEVNULL, env=None):
    done = subprocess.run([PROGRAM, *args], stdin=stdin, capture_output=True, text=True, timeout=30,
                          env={**os.environ, **(env or {})}, check=False)
    return done.returncode, done.stdout, done.stderr


def ask(verb, *args, half=False):
    """With --json: (exit status, document). half: the test's daemon leaves keys out."""
    code, out, err = run(verb, "--json", *args)
    assert err == "", err
    document = json.loads(out)
    if not half:
        schemas.check(verb, document)
    return code, document


class Usage(unittest.TestCase):
    def test_nothing_given(self):
        code, out, err = run()
        self.assertEqual((code, out), (64, ""))
        self.assertIn("Usage: cofferdam", err)

    def test_help_lists_the_commands_that_exist(self):
        code, out, _ = run("--help")
        self.assertEqual(code, 0)
        listed = [line.split()[0] for line in out.split("Commands:\n")[1].split("\n\n")[0].splitlines()]
        self.assertEqual(listed, ["check", "plan", "apply", "confirm", "rollback", "history", "status", "explain", "graph", "label",
                                  "learn", "lockdown", "release", "watch", "verify", "metrics", "doctor", "teardown", "help"])
        self.assertEqual(run("help")[1], out)

    def test_every_command_has_help_with_examples_and_exit_statuses(self):
        for verb in ("check", "plan", "apply", "status", "explain", "graph", "label", "learn", "lockdown", "release", "watch", "verify", "metrics",
                     "doctor", "teardown", "help"):
            code, out, err = run(verb, "--help")
            self.assertEqual((code, err), (0, ""), verb)
            self.assertTrue(out.startswith(f"Usage: cofferdam {verb}"), out)
            self.assertIn("Example", out)
            self.assertIn("Exit status", out)
            self.assertEqual(run("help", verb), (0, out, ""))
            self.assertEqual(run("--help", verb), (0, out, ""))

    def test_help_takes_one_command(self):
        self.assertEqual(run("help", "explain", "extra"),
                         (64, "", "cofferdam: help: 'extra' is one word too many\nsee cofferdam help --help\n"))
        self.assertEqual(run("help", "frob")[0], 64)

    def test_each_command_takes_the_options_that_its_help_names(self):
        for verb in ("check", "plan", "apply", "status", "explain", "graph", "lockdown", "release", "verify", "metrics", "doctor", "teardown"):
            section = run(verb, "--help")[1].split("Options:\n")[1].split("\n\n")[0]
            named = {word for word in section.replace(",", " ").split() if word.startswith("--")}
            self.assertLessEqual({"--config", "--json", "--help", "--version"}, named)
            for option in ("--control", "--state", "--policies", "--yes", "--all", "--inventory", "--schema", "--format",
                           "--short", "--full", "--rules", "--docker"):
                complaint = f"unknown option '{option}'"
                # the empty word makes every command line wrong, so that nothing is done
                _, _, err = run(verb, option, "", "", "", "", "")
                self.assertEqual(complaint not in err, option in named, (verb, option, err))

    def test_formats(self):
        with tempfile.TemporaryDirectory() as folder:
            policy = os.path.join(folder, "a.yaml")
            with open(policy, "w", encoding="utf-8") as file:
                file.write("policy: a\nselect: {name: b}\n")
            json_of = run("check", "--json", policy)
            self.assertEqual((json_of[0], json_of[2], json.loads(json_of[1])["policies"]), (0, "", 1))
            for args in (["--format", "json"], ["-o", "json"], ["-ojson"], ["-o", "json", "--json"]):
                self.assertEqual(run("check", *args, policy), json_of, args)
            self.assertEqual(run("-o", "json", "check", policy), json_of)
            self.assertEqual(run("check", "-o", "text", policy), run("check", policy))
            see = "\nsee cofferdam check --help\n"
            for args, why in ((["-o", "svg"], "the formats are text, json, github and sarif" + see),
                              (["-o", "sarif", "--json"], "--json is one format, --format names another" + see),
                              (["-o", ""], "the value of '--format' is empty" + see),
                              (["-o"], "'-o' needs a value" + see)):
                self.assertEqual(run("check", *args), (64, "", "cofferdam: check: " + why), args)
        self.assertEqual(run("status", "-o", "json")[2], "cofferdam: status: unknown option '-o'\n"
                                                         "see cofferdam status --help\n")
        self.assertIn("  -o, --format FORMAT           text (default), json, github or sarif\n", run("check", "--help")[1])

    def test_wrong_options_before_the_command(self):
        for args, message in (
            (("--bogus",), "unknown option '--bogus'"),
            (("--bogus", "status"), "unknown option '--bogus'"),
            (("--bogus=1", "status"), "unknown option '--bogus=1'"),
            (("-x", "status"), "unknown option '-x'"),
            (("--json", "-hx"), "unknown option '-x'"),
            (("--config",), "'--config' needs a value"),
            (("--control",), "'--control' needs a value"),
            (("--json=1", "status"), "'--json' takes no value"),
            (("--json",), "a command is missing"),
            (("--config", "status"), "a command is missing"),
        ):
            self.assertEqual(run(*args), (64, "", f"cofferdam: {message}\nsee cofferdam --help\n"), args)

    def test_every_option_with_a_value_may_stand_before_the_command(self):
        with tempfile.TemporaryDirectory() as folder:
            with open(os.path.join(folder, "a.yaml"), "w", encoding="utf-8") as file:
                file.write("policy: a\nselect: {all: true}\n")
            for args in (("--policies", folder), (f"--policies={folder}",), ("--pol", folder)):
                self.assertEqual(run(*args, "check"), (0, "1 file, 1 policy: no problems\n", ""), args)
        code, _, err = run("--state", "/x", "--control", "/x", "--yes", "teardown", "status")
        self.assertEqual((code, err.splitlines()[0]), (64, "cofferdam: teardown: 'status' is one word too many"))

    def test_version(self):
        code, out, _ = run("--version")
        self.assertEqual(code, 0)
        self.assertRegex(out, r"^cofferdam \d+\.\d+\.\d+\n$")
        self.assertEqual(run("status", "--version"), (0, out, ""))

    def test_unknown_command(self):
        self.assertEqual(run("statsu"), (64, "", "cofferdam: unknown command 'statsu'; did you mean 'status'?\n"))
        self.assertEqual(run("explian", "a", "b")[2], "cofferdam: unknown command 'explian'; did you mean 'explain'?\n")
        self.assertEqual(run("frobnicate"),
                         (64, "", "cofferdam: unknown command 'frobnicate'; `cofferdam --help` lists them\n"))

    def test_unknown_command_is_escaped(self):
        self.assertEqual(run("\033[31mx")[2], "cofferdam: unknown command '\\x1b[31mx'; `cofferdam --help` lists them\n")

    def test_wrong_usage(self):
        for args, message in (
            (("status", "--frob"), "status: unknown option '--frob'"),
            (("status", "--policies", "x"), "status: unknown option '--policies'"),
            (("--policies", "x", "status"), "status: unknown option '--policies'"),
            (("status", "-y"), "status: unknown option '-y'"),
            (("status", "--json=yes"), "status: '--json' takes no value"),
            (("apply", "--control"), "apply: '--control' needs a value"),
            (("apply", "--control", ""), "apply: the value of '--control' is empty"),
            (("verify", "x"), "verify: 'x' is one word too many"),
            (("verify", "--yes"), "verify: unknown option '--yes'"),
            (("status", "x"), "status: 'x' is one word too many"),
            (("explain", "web"), "explain: something is missing: FROM TO [PORT/PROTO]"),
            (("explain", "a", "b", "80/tcp", "d"), "explain: 'd' is one word too many"),
            (("check", ""), "check: the path is empty"),
            (("check", "--policies", ""), "check: the value of '--policies' is empty"),
            (("check", "--policies", "/x", "/y"), "check: either --policies or a PATH says which policies are meant"),
            (("plan", "--policies", "/x", "/y"), "plan: either --policies or a PATH says which policies are meant"),
            (("plan", ""), "plan: the path is empty"),
            (("apply", "--rules"), "apply: unknown option '--rules'"),
            (("apply", "--only"), "apply: '--only' needs a value"),
            (("apply", "--only", ""), "apply: the value of '--only' is empty"),
            (("plan", "--force"), "plan: unknown option '--force'"),
        ):
            code, out, err = run(*args)
            self.assertEqual((code, out), (64, ""), args)
            verb = message.split(":")[0]
            self.assertEqual(err.splitlines(), [f"cofferdam: {message}", f"see cofferdam {verb} --help"])

    def test_wrong_port_is_found_without_a_daemon(self):
        code, _, err = run("explain", "web", "db", "5432")
        self.assertEqual(code, 64)
        self.assertIn("'5432' is no port", err)
        self.assertIn("write it as 5432/tcp", err)

    def test_settings_that_were_named_must_be_there(self):
        code, out, err = run("status", "--config", "/nonexistent/cofferdam.yaml")
        self.assertEqual((code, out), (1, ""))
        self.assertRegex(err, r"^/nonexistent/cofferdam.yaml: error.*No such file or directory\n$")

    def test_a_mistake_in_the_settings_is_shown_with_its_place(self):
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            file.write("contol: /x\n")
            file.flush()
            code, _, err = run("status", "--config", file.name)
        self.assertEqual(code, 1)
        self.assertIn(f"{file.name}:1:1: error", err)
        self.assertIn("control", err)


class Inventory(unittest.TestCase):
    """check --inventory -, in a pipe as people write it."""

    def test_from_the_standard_input(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "a.yaml")
            with open(path, "w", encoding="utf-8") as file:
                file.write("policy: a\nselect: {all: true}\n---\nexpect: x\n"
                           "denied: [{from: {name: web}, to: internet}]\n")
            inventory = {"format_version": "1.0",
                         "networks": [{"id": "n", "name": "front", "driver": "bridge", "managed": True}],
                         "containers": [{"id": "1", "name": "web", "running": True,
                                         "endpoints": [{"network": "n", "id": "e", "ipv4": "172.18.0.2"}]}]}
            with tempfile.TemporaryFile() as file:
                file.write(json.dumps({"format_version": "1.0", "inventory": inventory}).encode())
                file.seek(0)
                self.assertEqual(run("check", "--inventory", "-", path, stdin=file),
                                 (0, "1 file, 1 policy, 1 expectation document, tested with 1 container: no problems\n",
                                  ""))
            code, _, err = run("check", "--inventory", "-", path)
            self.assertEqual(code, 1)
            self.assertIn("(standard input):1:1: error: this is not JSON", err)


class WithDaemon(unittest.TestCase):
    def setUp(self):
        # pylint: disable=consider-using-with
        self.folder = tempfile.TemporaryDirectory(prefix="cofferdam-cli-")
        self.socket = os.path.join(self.folder.name, "control.sock")
        self.config = os.path.join(self.folder.name, "cofferdam.yaml")
        self.daemon = None
        with open(self.config, "w", encoding="utf-8") as file:
            file.write(f"control: {self.socket}\nstate: {self.folder.name}/state\naudit: off\n")

    def tearDown(self):
        if self.daemon:
            self.daemon.close()
        self.folder.cleanup()

    def answers(self, answer):
        self.daemon = Daemon(self.socket, answer)

    def ok(self, result, status=0):
        self.answers({"ok": True, "exit": status, "result": result})

    def test_no_daemon(self):
        code, out, err = run("status", "--control", self.socket)
        self.assertEqual((code, out), (1, ""))
        self.assertIn(f"nothing answers at {self.socket} (No such file or directory)", err)
        self.assertIn("systemctl start cofferdamd", err)

    def test_daemon_that_is_gone(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
            listener.bind(self.socket)
        code, out, err = run("status", "--control", self.socket)
        self.assertEqual((code, out), (1, ""))
        self.assertIn(f"nobody listens at {self.socket}: the daemon that made it is gone\n", err)
        self.assertIn("systemctl start cofferdamd", err)

    def test_path_that_is_no_socket(self):
        for path in (self.config, self.folder.name):
            for verb in (("status",), ("teardown", "--yes")):
                code, out, err = run(*verb, "--control", path, "--config", self.config)
                self.assertEqual((code, out), (1, ""))
                self.assertEqual(err, f"cofferdam: {path} is no socket\n"
                                      "  say where the daemon listens with --control SOCKET or --config FILE\n")

    def test_socket_of_another_kind(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
            other.bind(self.socket)
            code, out, err = run("status", "--control", self.socket)
        self.assertEqual((code, out), (1, ""))
        self.assertIn(f"{self.socket} is another program's socket\n", err)

    def test_status_that_is_not_fine_does_not_read_as_if_it_were(self):
        document = {"daemon": {"policies": 1, "policies_dir": "/p"}, "engine": {"connected": True},
                    "networks": [], "containers": [], "problems": ["it is not known which containers run"]}
        self.ok(document, 3)
        code, out, err = run("status", "--config", self.config)
        self.assertEqual((code, err), (3, ""))
        self.assertIn("\n1 policy from /p\n", out)
        self.assertIn("\nNot everything is enforced: see the states and problems below\n", out)
        self.assertIn("\nContainers\n  none known\n\nProblems\n  it is not known which containers run\n", out)

    def test_settings_name_the_socket(self):
        self.ok({"policies": 2, "changes": 5, "text": "applied 2 policies; 5 changes in the kernel"})
        self.assertEqual(run("apply", "--config", self.config),
                         (0, "applied 2 policies; 5 changes in the kernel\n", ""))
        self.assertEqual(self.daemon.requests, [{"verb": "apply"}])

    def test_apply_of_one_plan_only_and_by_force(self):
        self.ok({"policies": 2, "changes": 5, "text": "x"})
        self.assertEqual(run("apply", "--config", self.config, "--only", "5a1c", "--force"), (0, "x\n", ""))
        self.assertEqual(self.daemon.requests, [{"verb": "apply", "only": "5a1c", "force": True}])

    def test_apply_of_a_stale_plan(self):
        self.answers({"ok": False, "exit": 1, "error": "the plan is stale: container web was recreated", "help": "make a new one"})
        self.assertEqual(run("apply", "--config", self.config, "--only", "0" * 64),
                         (1, "", "cofferdam: the plan is stale: container web was recreated\n  make a new one\n"))

    def test_words_of_a_trial(self):
        self.ok({"text": "x"})
        for words, request in ((("apply", "--confirm-within", "1m", "--comment", "why ü"), {"confirm_within": "1m", "comment": "why ü"}),
                               (("confirm",), {}),
                               (("confirm", "--extend", "1h30m"), {"extend": "1h30m"}),
                               (("rollback",), {}),
                               (("rollback", "#12", "--confirm-within", "90s"), {"number": 12, "confirm_within": "90s"}),
                               (("history", "4294967295"), {"number": 4294967295})):
            run(*words, "--config", self.config)
            self.assertEqual(self.daemon.requests[-1], {"verb": words[0], **request})
        asked = len(self.daemon.requests)
        for words in (("apply", "--confirm-within", "60"), ("apply", "--confirm-within", "0s"), ("apply", "--extend", "1m"),
                      ("confirm", "--extend", "soon"), ("confirm", "7"), ("rollback", "0"), ("rollback", "-1"), ("rollback", "7x"),
                      ("rollback", "4294967296"), ("rollback", "7", "8"), ("history", ""), ("history", "#"), ("history", "##7"),
                      ("history", " 7"), ("apply", "--comment", "")):
            self.assertEqual(run(*words, "--config", self.config)[0], 64, words)
        self.assertEqual(len(self.daemon.requests), asked)

    def test_history(self):
        entry = {"number": 8, "damaged": False, "in_force": True, "kind": "rollback", "time": "2026-11-20T15:04:05Z",
                 "comment": "line 1\n* 9 forged", "plan_id": "abc", "forced": 2, "from": 6, "by": "ann as root", "policies": 3,
                 "added": 1, "changed": 2, "removed": 0,
                 "who": {"uid": 0, "user": "root", "pid": 77, "login_uid": 1000, "login_user": "ann", "command": "cofferdam \033[2J"}}
        unknown = {key: None for key in entry} | {"number": 7, "damaged": True, "in_force": False}
        self.ok({"entries": [entry, unknown], "entry": None})
        code, out, err = run("history", "--config", self.config)
        self.assertEqual((code, err), (0, ""))
        lines = [line.split() for line in out.splitlines()]
        self.assertEqual(lines[0], ["NUMBER", "WHEN", "WHAT", "WHO", "POLICIES", "COMMENT"])
        self.assertEqual(lines[1], ["*", "8", "2026-11-20T15:04:05Z", "rollback", "to", "#6", "ann", "as", "root", "+1", "~2", "-0",
                                    "line", "1\\x0a*", "9", "forged"])
        self.assertEqual(lines[2], ["7", "damaged"])
        self.assertEqual(len(lines), 3)
        files = [{"path": "/p/a.yaml", "text": "policy: a"}, {"path": "/b", "text": "b\n"}]
        self.daemon.answer["result"] = {"entries": None, "entry": {**entry, "files": files}}
        code, out, _ = run("history", "8", "--config", self.config)
        self.assertEqual(code, 0)
        self.assertIn("\nprocess    77: cofferdam \\x1b[2J\n", out)
        self.assertIn("\nforced     2 failed expectations were overridden\npolicies   3 (+1 ~2 -0)\n", out)
        self.assertTrue(out.endswith("\n\n# /p/a.yaml\npolicy: a\n\n# /b\nb\n"), out)
        self.daemon.answer["result"] = {"entries": [], "entry": None}
        self.assertEqual(run("history", "--config", self.config)[1], "the history is empty\n")

    def test_status_of_a_trial(self):
        trial = {"ending": False, "seconds_left": 59, "until": "until 2026-11-20 16:04:05 CET (1m from now)", "by": "root", "number": 8,
                 "former_number": 7, "change": {"comment": "a\nb"}}
        held = {"reason": "rollback", "number": 7, "since": "2026-11-20T15:04:05Z"}
        document = {"engine": {"connected": True}, "networks": [], "containers": []}
        self.ok(document)
        for daemon, text in (
                ({"trial": trial}, "The policies are on trial until 2026-11-20 16:04:05 CET (1m from now), begun by root: a\\x0ab\n"
                                   "`cofferdam confirm` keeps them; `cofferdam rollback` goes back now\n"),
                ({"trial": {**trial, "ending": True}}, "The trial of policies is over: those before it are being brought back\n"),
                ({"held": held}, "The policies in force are those of #7, rolled back to (2026-11-20T15:04:05Z);\n"
                                 "the files in /p are not in force until `cofferdam apply`\n"),
                ({"held": {**held, "number": 0, "reason": "expired"}}, "The policies in force are older ones, as the last trial was not "
                                                                       "confirmed (2026-11-20T15:04:05Z);\n")):
            document["daemon"] = {"policies_dir": "/p", **daemon}
            code, out, _ = run("status", "--config", self.config)
            self.assertEqual(code, 0)
            self.assertIn(text, out)

    def test_options_may_stand_before_the_command(self):
        result = {"policies": 1, "changes": 0, "connections_ended": 0, "trial": None, "number": 1, "warnings": [], "text": "x"}
        self.ok(result)
        code, out, _ = run("--json", "--control", self.socket, "apply")
        self.assertEqual((code, json.loads(out)), (0, {"format_version": "1.0", **result}))
        schemas.check("apply", json.loads(out))

    def test_every_document_carries_format_version(self):
        for result, expected in (({"text": "x"}, "1.0"), ({"text": "x", "format_version": "1.7"}, "1.7")):
            self.ok(result)
            for args in (("apply",), ("teardown", "--yes"), ("status",), ("verify",), ("explain", "a", "b")):
                with self.subTest(args):
                    self.assertEqual(ask(*args, "--config", self.config, half=True)[1],
                                     {"text": "x", "format_version": expected})
            self.daemon.close()
            os.unlink(self.socket)
        refusal = {"ok": False, "exit": 1, "error": "no", "help": None, "diagnostics": []}
        self.answers(refusal)
        self.assertEqual(ask("apply", "--config", self.config), (1, {"format_version": "1.0", **refusal}))

    def test_apply_refused(self):
        self.answers({"ok": False, "exit": 1,
                      "error": "the policies were not loaded; those in force stay in force",
                      "diagnostics": []})
        self.assertEqual(run("apply", "--config", self.config),
                         (1, "", "cofferdam: the policies were not loaded; those in force stay in force\n"))

    def test_a_refusal_is_never_a_success(self):
        self.answers({"ok": False, "exit": 0, "error": "no"})
        for verb in ("apply", "status", "verify"):
            self.assertEqual(run(verb, "--config", self.config)[0], 1)

    def doctor(self, *args):
        """{id: check}; the exit status is 0 or 3, as the document says."""
        code, document = ask("doctor", "--config", self.config, *args)
        self.assertEqual(code, 0 if document["well"] else 3)
        return {check["id"]: check for check in document["checks"]}

    def test_doctor_reads_the_status(self):
        self.ok({"daemon": {"version": "9.8.7"}, "engine": {"connected": True}, "problems": ["nothing works", 5],
                 "tables": {"protected": True, "kept": False},
                 "containers": [{"name": "a", "running": True, "enforced": False, "reason": "host network"},
                                {"name": "b", "running": False, "enforced": False, "reason": "host network"},
                                {"name": "c", "running": True, "enforced": True}, 7]}, 3)
        checks = self.doctor()
        self.assertEqual(checks["daemon"]["level"], "ok")
        self.assertIn("9.8.7", checks["daemon"]["found"])
        self.assertEqual((checks["unenforced"]["level"], checks["unenforced"]["found"]), ("warn", "container a: host network"))
        self.assertEqual(checks["problems"]["found"], "nothing works")

    def test_doctor_takes_any_answer(self):
        self.answers(b"")
        for answer in ({"ok": True, "exit": 0, "result": None}, {"ok": True, "result": {"containers": 5, "problems": {}}},
                       {"ok": False, "error": "not now"}, b"garbage\n", b"[]\n", b""):
            self.daemon.answer = answer
            self.assertNotEqual(self.doctor()["unenforced"]["level"], "ok", answer)

    def test_doctor_without_daemon_or_settings(self):
        nowhere = os.path.join(self.folder.name, "none.sock")
        self.assertIn(nowhere, self.doctor("--control", nowhere)["daemon"]["found"])
        with open(self.config, "w", encoding="utf-8") as file:
            file.write("controll: /x\n")
        check = self.doctor()["settings"]
        self.assertEqual(check["level"], "warn")
        self.assertIn(self.config + ":1: ", check["found"])

    def test_doctor_does_not_wait_for_ever(self):
        engine = os.path.join(self.folder.name, "engine.sock")
        with open(self.config, "a", encoding="utf-8") as file:
            file.write(f"docker: {engine}\n")
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as silent:
            silent.bind(engine)
            silent.listen()
            began = time.monotonic()
            check = self.doctor()["engine"]
            self.assertEqual(check["level"], "warn")
            self.assertLess(time.monotonic() - began, 15)

    def test_garbage(self):
        for garbage in (b"", b"hello\n", b"[]\n", b'{"exit":0}\n', b'{"ok":true,"exit":0'):
            with self.subTest(garbage):
                self.answers(garbage)
                code, out, err = run("status", "--config", self.config)
                self.assertEqual((code, out), (1, ""))
                self.assertIn("is no answer" if garbage else "ended before it answered", err)
                self.daemon.close()
                self.daemon = None
                os.unlink(self.socket)

    def test_explain(self):
        text = "web -> db 5432/tcp: denied\n  ingress of db: denied: no policy selects it\n"
        self.ok({"verdict": "denied", "text": text}, 3)
        self.assertEqual(run("explain", "web", "db", "5432/tcp", "--config", self.config), (3, text, ""))
        self.assertEqual(self.daemon.requests, [{"verb": "explain", "from": "web", "to": "db", "port": "5432/tcp"}])
        code, document = ask("explain", "web", "db", "--config", self.config, half=True)
        self.assertEqual((code, document["verdict"]), (3, "denied"))
        self.assertEqual(self.daemon.requests[1], {"verb": "explain", "from": "web", "to": "db"})

    def test_explain_knows_no_such_container(self):
        self.answers({"ok": False, "exit": 1, "error": "no such container: wbe", "help": "give a name"})
        self.assertEqual(run("explain", "wbe", "db", "--config", self.config),
                         (1, "", "cofferdam: no such container: wbe\n  give a name\n"))

    def test_names_cannot_play_tricks_with_the_terminal(self):
        self.ok({"verdict": "allowed", "text": "a\033]0;x\007 -> b: allowed\n  \u202eevil\n"})
        code, out, _ = run("explain", "a", "b", "--config", self.config)
        self.assertEqual((code, out), (0, "a\\x1b]0;x\\x07 -> b: allowed\n  \\xe2\\x80\\xaeevil\n"))

    def write(self, name, text):
        path = os.path.join(self.folder.name, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def test_plan(self):
        a, b = self.write("a.yaml", "policy: a\nselect: {all: true}\n"), self.write("b.yaml", "policy: b\nselect: {name: ü}\n")
        same = {"changes": False, "summary": {}, "policies": [], "problems": []}
        self.ok(same)
        self.assertEqual(run("plan", "--config", self.config, b, a), (0, "No changes.\n", ""))
        files = [{"path": b, "text": "policy: b\nselect: {name: ü}\n"}, {"path": a, "text": "policy: a\nselect: {all: true}\n"}]
        asked = self.daemon.requests[0]
        self.assertEqual((asked["verb"], sorted(asked["files"], key=str), asked["rules"], asked["full"]),
                         ("plan", sorted(files, key=str), False, False))
        self.assertEqual(ask("plan", "--config", self.config, "--full", a, half=True), (0, {"format_version": "1.0", **same}))
        self.assertEqual((self.daemon.requests[1]["rules"], self.daemon.requests[1]["full"]), (True, True))
        self.assertIs(run("plan", "--config", self.config, "--rules", a)[0], 0)
        self.assertIs(self.daemon.requests[2]["rules"], True)

    def test_plan_exits_as_the_daemon_says(self):
        a = self.write("a.yaml", "policy: a\nselect: {all: true}\n")
        for status in (1, 2):
            self.ok({"changes": True, "summary": {"policies_added": 1}}, status)
            code, out, _ = run("plan", "--short", "--config", self.config, a)
            self.assertEqual((code, out), (status, "Plan: 1 policy added\n"))
            self.daemon.close()
            self.daemon = None
            os.unlink(self.socket)

    def test_plan_takes_no_half_answer_for_a_good_one(self):
        a = self.write("a.yaml", "policy: a\nselect: {all: true}\n")
        for result in ({}, {"changes": None}, {"changes": 0}, {"changes": True}):
            with self.subTest(result):
                self.ok(result)
                code, out, _ = run("plan", "--config", self.config, a)
                self.assertEqual((code, out[:5]), (3, "Plan:"))
                self.daemon.close()
                self.daemon = None
                os.unlink(self.socket)

    def test_plan_asks_nothing_about_mistakes(self):
        self.ok({"changes": False})
        bad = self.write("bad.yaml", "policy: a\nselect: {nmae: x}\n")
        code, out, err = run("plan", "--config", self.config, bad)
        self.assertEqual((code, out), (1, ""))
        self.assertIn(f"{bad}:2:10: error[", err)
        self.assertTrue(err.endswith("cofferdam: the policies have mistakes\n"), err)
        code, document = ask("plan", "--config", self.config, bad)
        self.assertEqual((code, document["diagnostics"][0]["line"]), (1, 2))
        code, out, err = run("plan", "--config", self.config, "--policies", os.path.join(self.folder.name, "none"))
        self.assertEqual((code, out), (1, ""))
        self.assertIn("none", err)
        self.assertEqual(self.daemon.requests, [])

    LOCKED = {"format_version": "1.0", "dry_run": False, "more": 0, "took_usec": 2345, "verified": True, "saved": True,
              "problems": [], "containers": [
                  {"name": "web", "id": "c1", "running": True, "not_cut": None, "instead": None, "caution": None,
                   "shares_network_with": ["side", "car"]}],
              "connections": [{"from": "web", "to": "db", "port": "5432/tcp", "bytes": 4096, "age": 61},
                              {"from": "198.51.100.7", "to": "web", "port": "80/tcp", "bytes": None, "age": None}]}

    def test_lockdown(self):
        self.ok(self.LOCKED)
        self.assertEqual(run("lockdown", "--config", self.config, "web", "--reason", "odd", "--for", "1h30m", "--allow",
                             "db:22/tcp", "--allow", "host", "--direction", "in"),
                         (0, "web is cut off\n  with it side, car, which share its network\n2 connections were cut:\n"
                             "  FROM          TO   PORT      BYTES  AGE\n"
                             "  web           db   5432/tcp  4096   1m1s\n"
                             "  198.51.100.7  web  80/tcp\n"
                             "The rules stood after 2.3 ms; no connection is left, and the kernel was read back.\n", ""))
        self.assertRegex(self.daemon.requests[0].pop("request"), "^[0-9a-f]{32}$")
        self.assertIsInstance(self.daemon.requests[0].pop("expires"), int)
        self.assertEqual(self.daemon.requests, [
            {"verb": "lockdown", "containers": ["web"], "select": [], "except": [], "addresses": [], "interfaces": [],
             "allow": ["db:22/tcp", "host"], "reason": "odd", "direction": "in", "for": 5400000000, "dry_run": False}])
        run("lockdown", "--config", self.config, "--all", "--except", "db", "--select", "name=x*", "--dry-run")
        self.assertEqual([self.daemon.requests[1][key] for key in ("select", "except", "dry_run")],
                         [["name=x*", "all"], ["db"], True])
        self.assertEqual(json.loads(run("lockdown", "--json", "--config", self.config, "web")[1]), self.LOCKED)

    def test_lockdown_says_first_what_is_not_cut(self):
        self.ok(dict(self.LOCKED, connections=[], saved=False, problems=["this cannot be saved: No space left"], containers=[
            {"name": "web", "running": False, "shares_network_with": []},
            {"name": "\033[2J", "running": True, "not_cut": "uses the host's network", "instead": "`docker pause x`",
             "shares_network_with": []}]), 1)
        self.assertEqual(run("lockdown", "--config", self.config, "web", "x"),
                         (1, "NOT CUT OFF: \\x1b[2J uses the host's network\n  `docker pause x`\n"
                             "this cannot be saved: No space left\n"
                             "web is cut off, and does not run: it will be from its start\nNo connection was open.\n", ""))

    def test_lockdown_takes_no_half_answer_for_a_good_one(self):
        for result in ({}, {"verified": True}, {"verified": 1, "saved": True}, {"saved": True, "verified": False}):
            with self.subTest(result):
                self.ok(result)
                code, out, _ = run("lockdown", "--config", self.config, "web")
                self.assertEqual(code, 3)
                self.assertNotIn("read back", out)
                self.daemon.close()
                self.daemon = None
                os.unlink(self.socket)

    def test_lockdown_list_and_release(self):
        locks = [{"text": "web", "direction": "out", "allow": ["db"], "reason": "odd\n", "by": "user 0, process 7",
                  "since": "2023-11-14T22:13:20Z", "until": "2023-11-14T23:13:20Z", "select": None, "containers": ["web"]},
                 {"text": "name=x*", "direction": "both", "allow": [], "reason": None, "by": "user 0, process 8",
                  "since": "2023-11-14T22:13:20Z", "until": None, "select": "name=x*", "containers": []}]
        text = ("Locked down\n  web (connections that it opens)\n"
                "    since 2023-11-14T22:13:20Z by user 0, process 7, until 2023-11-14T23:13:20Z: odd\\x0a\n"
                "    except for db\n  name=x*\n"
                "    since 2023-11-14T22:13:20Z by user 0, process 8: no reason given\n    containers: none now\n")
        self.ok({"lockdowns": locks})
        self.assertEqual(run("lockdown", "--list", "--config", self.config), (0, text, ""))
        self.assertEqual(self.asked(0), {"verb": "lockdown-list"})
        self.daemon.answer = {"ok": True, "exit": 0, "result": {"released": ["db", "c"], "lockdowns": locks, "problems": []}}
        self.assertEqual(run("release", "db", "c", "--config", self.config),
                         (0, "released: db, c; the policies decide again, and the kernel was read back\n" + text, ""))
        self.assertEqual(self.asked(1), {"verb": "release", "containers": ["db", "c"], "all": False})

    def asked(self, number):
        """Such a request, without what all have that do not wait for a daemon that hangs."""
        request = dict(self.daemon.requests[number])
        self.assertRegex(request.pop("request"), "^[0-9a-f]{32}$")
        self.assertIsInstance(request.pop("expires"), int)
        return request

    def test_release_without_the_daemon(self):
        locks = [{"text": "db", "direction": "both", "allow": [], "reason": "odd", "by": "user 0, process 7",
                  "since": "2023-11-14T22:13:20Z", "until": None, "select": None, "containers": ["db"]}]
        self.ok({"released": ["web"], "stay_cut": ["far"], "lockdowns": locks, "without_daemon": "hung", "rules_stand": False,
                 "problems": ["far stays cut off"]}, 1)
        self.assertEqual(run("release", "web", "far", "--config", self.config), (
            1, "far stays cut off\nreleased: web; no rules of cofferdamd stand, and nothing is denied until it runs\n"
               "Locked down\n  db\n    since 2023-11-14T22:13:20Z by user 0, process 7: odd\n"
               "cofferdamd does not answer: this was done without it, and is on record for it.\n", ""))
        self.daemon.answer = {"ok": True, "exit": 1, "result": {"released": [], "stay_cut": ["far"], "lockdowns": [], "without_daemon": "dead", "problems": ["far stays"]}}
        self.assertEqual(run("release", "far", "--config", self.config)[1],
                         "far stays\ncofferdamd does not run: this was done without it, and is on record for it.\n")
        self.daemon.answer = {"ok": True, "exit": 1, "result": {"lockdowns": [], "problems": ["a part is damaged"], "lock_tables": "cofferdamd does not run",
                 "without_daemon": "dead"}}
        self.assertEqual(run("lockdown", "--list", "--config", self.config)[1],
                         "a part is damaged\ncofferdamd does not run: this is what it has left on record, and what was done since "
                         "without it.\n")

    def test_lockdown_wrong_usage(self):
        for arguments, words in (((), "say which"), ((b"w\xffb",), "UTF-8"), (("a", "--reason", b"\xff"), "UTF-8"), (("a", "--list"), "stands alone"), (("a", "--except", "b"), "--select"),
                                 (("a", "--for", "3"), "span of time"), (("a", *("--allow", "b") * 65), "more than 64")):
            code, out, err = run("lockdown", "--config", self.config, *arguments)
            self.assertEqual((code, out), (64, ""))
            self.assertIn(words, err)
        self.assertEqual(run("release", "--config", self.config)[0], 64)
        self.assertEqual(run("release", "--all", "web", "--config", self.config)[0], 64)

    def test_metrics(self):
        self.ok({"format": "openmetrics", "text": "# EOF\n"})
        self.assertEqual(run("metrics", "--config", self.config), (0, "# EOF\n", ""))
        self.assertEqual(ask("metrics", "--config", self.config), (0, {"format_version": "1.0", "format": "openmetrics", "text": "# EOF\n"}))
        self.assertEqual(run("metrics", "--format", "prometheus", "--config", self.config), (0, "# EOF\n", ""))
        self.assertEqual(self.daemon.requests, [{"verb": "metrics", "format": form} for form in ("openmetrics", "openmetrics", "prometheus")])
        self.assertEqual(run("metrics", "--format", "dot", "--config", self.config)[0], 64)

    def test_verify(self):
        same = {"same": True, "objects": 143, "differences": [], "more": 0, "repairing": False, "generation": 7}
        self.ok(same)
        self.assertEqual(run("verify", "--config", self.config),
                         (0, "the kernel holds what it should: 2 tables, 143 objects\n", ""))
        self.assertEqual(self.daemon.requests, [{"verb": "verify"}])
        self.assertEqual(ask("verify", "--config", self.config), (0, {"format_version": "1.0", **same}))

    def test_verify_finds_a_rule_of_a_stranger(self):
        drift = {"same": False, "objects": 143, "more": 0, "repairing": True, "generation": 8, "differences": [
            {"table": "inet cofferdam", "kind": "rule", "name": "forward", "what": "foreign",
             "text": 'accept comment "\033]0;x\007\u202e\n- nothing"'}]}
        self.ok(drift, 3)
        self.assertEqual(run("verify", "--config", self.config), (
            3, "DRIFT: 1 difference; the daemon is repairing it\n"
               '  +  inet cofferdam  rule  forward  accept comment "\\x1b]0;x\\x07\\xe2\\x80\\xae\\x0a- nothing"\n', ""))
        self.assertEqual(ask("verify", "--config", self.config), (3, {"format_version": "1.0", **drift}))

    def test_verify_takes_no_half_answer_for_a_good_one(self):
        for result in ({}, {"same": True}, {"same": False, "differences": []}, {"same": 1, "differences": []},
                       {"same": True, "differences": [], "more": 1}, {"same": True, "differences": [{}]}):
            with self.subTest(result):
                self.ok(result)
                code, out, _ = run("verify", "--config", self.config)
                self.assertEqual((code, out[:6]), (3, "DRIFT:"))
                self.assertEqual(run("verify", "--json", "--config", self.config)[0], 3)
                self.daemon.close()
                self.daemon = None
                os.unlink(self.socket)

    def test_verify_fails(self):
        self.answers({"ok": False, "exit": 1, "error": "the kernel's tables cannot be read: Interrupted system call"})
        self.assertEqual(run("verify", "--config", self.config),
                         (1, "", "cofferdam: the kernel's tables cannot be read: Interrupted system call\n"))

    def test_teardown_does_not_guess(self):
        self.ok({"text": "gone"})
        code, out, err = run("teardown", "--config", self.config)
        self.assertEqual((code, out), (1, ""))
        self.assertIn("--yes", err)
        self.assertEqual(self.daemon.requests, [])

    def test_teardown_yes(self):
        self.ok({"text": "gone"})
        self.assertEqual(run("teardown", "--yes", "--config", self.config)[0], 0)
        self.assertEqual(self.daemon.requests, [{"verb": "teardown"}])

    def on_terminal(self, reply, *args, **env):
        """Runs the command on a terminal, types the reply, returns (exit status, output)."""
        leader, follower = pty.openpty()
        with subprocess.Popen([PROGRAM, *args], stdin=follower, stdout=follower, stderr=follower, close_fds=True,
                              env={**os.environ, "TERM": "xterm", **env}) as process:
            os.close(follower)
            os.write(leader, reply)
            output = b""
            while True:
                try:
                    piece = os.read(leader, 4096)
                except OSError:
                    break
                if not piece:
                    break
                output += piece
            process.wait(timeout=30)
        os.close(leader)
        return process.returncode, output.decode()

    def test_teardown_asks_on_a_terminal(self):
        self.ok({"text": "gone"})
        code, out = self.on_terminal(b"no\n", "teardown", "--config", self.config)
        self.assertEqual((code, self.daemon.requests), (1, []))
        self.assertIn("Remove every rule of Cofferdam from the kernel?", out)
        code, out = self.on_terminal(b"yes\n", "teardown", "--config", self.config)
        self.assertEqual((code, self.daemon.requests), (0, [{"verb": "teardown"}]))

    def test_colour_only_on_a_terminal_and_not_with_no_color(self):
        self.ok({"verdict": "denied", "text": "a -> b: denied\n"}, 3)
        env = {name: "" for name in ("NO_COLOR",)}
        code, out = self.on_terminal(b"", "explain", "a", "b", "--config", self.config, **env)
        self.assertEqual(code, 3)
        self.assertIn("\033[1;31m denied\033[0m", out)
        _, out = self.on_terminal(b"", "explain", "a", "b", "--config", self.config, NO_COLOR="1")
        self.assertNotIn("\033", out)
        self.assertNotIn("\033", run("explain", "a", "b", "--config", self.config)[1])


if __name__ == "__main__":
    unittest.main()

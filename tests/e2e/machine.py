# SPDX-License-Identifier: GPL-2.0-or-later
"""Commands, network namespaces and background programs, and how what a test made of them is removed again: when it
ends, or, should it be killed, when the next one starts."""

import ctypes
import os
import re
import shutil
import signal
import subprocess
import time

PREFIX = "cofferdam-e2e-"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
ENVIRONMENT = {"PATH": PATH, "HOME": "/root", "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"}



class Failure(Exception):
    """The harness itself could not do what it had to."""


def _die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG


def adopt_orphans():
    ctypes.CDLL(None).prctl(36, 1)  # PR_SET_CHILD_SUBREAPER: containerd's shims become ours, and leave no zombies


def run(command, check=True, stdin=None, timeout=60, **options):
    """Runs a command to its end; the result has returncode, stdout and stderr."""
    result = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=timeout,
                            env=options.pop("env", ENVIRONMENT), **options)
    if check and result.returncode != 0:
        raise Failure(f"{' '.join(command)}: exit {result.returncode}\n{result.stdout}{result.stderr}")
    return result


def wait_until(condition, seconds, what, gap=0.02):
    """Polls until condition() is true and returns what it returned."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise Failure(f"waited {seconds} s in vain: {what}")
        time.sleep(gap)


class Namespace:
    """A network namespace, and nothing else: file system and processes are the machine's."""

    def __init__(self, name):
        self.name = name
        run(["ip", "netns", "add", name])
        self.run("ip", "link", "set", "lo", "up")

    def enter(self, *command):
        """The command line that runs a command inside. Not `ip netns exec`: that hides the cgroups."""
        return ["nsenter", f"--net=/run/netns/{self.name}", "--", *command]

    def run(self, *command, **options):
        return run(self.enter(*command), **options)

    def sysctl(self, key, value=None):
        path = "/proc/sys/" + key.replace(".", "/")
        if value is None:
            return self.run("cat", path).stdout.strip()
        return self.run("sh", "-c", 'echo "$1" >"$2"', "sh", str(value), path)

    def batch(self, lines):
        """Commands of ip(8), each without the word ip."""
        self.run("ip", "-batch", "-", stdin="".join(line + "\n" for line in lines))


def _kill(pid, number):
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


class Background:
    """A program that runs until stopped, its output in a file."""

    def __init__(self, name, command, log, env=None, stdin=None, pass_fds=()):
        self.name = name
        self.log = log
        with open(log, "ab") as output:
            self.process = subprocess.Popen(command, stdin=stdin or subprocess.DEVNULL, stdout=output, stderr=output,
                                            env=env or ENVIRONMENT, cwd="/", preexec_fn=_die_with_parent,
                                            pass_fds=pass_fds)

    @property
    def alive(self):
        return self.process.poll() is None

    def output(self):
        with open(self.log, encoding="utf-8", errors="replace") as file:
            return file.read()

    def stop(self, number=signal.SIGTERM, seconds=15):
        """Returns the exit status; a program that does not end in time is killed."""
        if self.alive:
            self.process.send_signal(number)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return None


# Removing what is left, by name: of this run, or of one that was killed.

def remove(name, root):
    for pid in _processes_of(root) + processes_of_cgroups(name):
        _kill(pid, signal.SIGKILL)
    for suffix in ("-host", "-lan"):
        if os.path.exists(f"/run/netns/{name}{suffix}"):
            for pid in run(["ip", "netns", "pids", name + suffix], check=False).stdout.split():
                _kill(int(pid), signal.SIGKILL)
            run(["ip", "netns", "del", name + suffix], check=False)
    _reap_orphans()
    for _ in range(20):
        if not root or _unmount(root):
            break
        time.sleep(0.1)
    if root:
        shutil.rmtree(root, ignore_errors=True)
    _remove_cgroups(name)


def _processes_of(root):
    """Processes whose command line names the directory: containerd's shims, which outlive it."""
    found = []
    for entry in os.listdir("/proc") if root else []:
        if entry.isdigit() and int(entry) != os.getpid():
            try:
                with open(f"/proc/{entry}/cmdline", "rb") as file:
                    if root.encode() + b"/" in file.read():
                        found.append(int(entry))
            except OSError:
                pass
    return found


def _reap_orphans():
    """Only shims: a waitpid() for any child would steal those of subprocess."""
    for entry in os.listdir("/proc"):
        try:
            with open(f"/proc/{entry}/stat", encoding="utf-8") as file:
                name, _, rest = file.read().partition("(")[2].rpartition(")")
        except OSError:
            continue
        if name.startswith("containerd-shim") and int(rest.split()[1]) == os.getpid():
            try:
                os.waitpid(int(entry), 0 if rest.split()[0] == "Z" else os.WNOHANG)
            except ChildProcessError:
                pass


def _unmount(root):
    with open("/proc/self/mounts", encoding="utf-8") as file:
        points = [line.split()[1] for line in file]
    points = [point for point in points if point.startswith(root + "/")]
    for point in sorted(points, key=len, reverse=True):
        run(["umount", "-l", point], check=False)
    return not points


def _cgroups_of(name):
    """The folders of the engine's cgroups, in every hierarchy, innermost first."""
    for base in ["/sys/fs/cgroup", *_children("/sys/fs/cgroup")]:
        for folder, _, _ in os.walk(os.path.join(base, name), topdown=False):
            yield folder


def _processes_in(folder):
    try:
        with open(os.path.join(folder, "cgroup.procs"), encoding="utf-8") as file:
            return [int(line) for line in file]
    except OSError:
        return []


def processes_of_cgroups(name):
    """The processes in all containers of an engine."""
    return sorted({pid for folder in _cgroups_of(name) for pid in _processes_in(folder)})


def _remove_cgroups(name):
    for folder in _cgroups_of(name):
        try:
            os.rmdir(folder)
        except OSError:
            pass


def _children(folder):
    return [os.path.join(folder, name) for name in os.listdir(folder)] if os.path.isdir(folder) else []


def sweep():
    """Removes what test runs that were killed have left: those whose process is no more."""
    names = {}
    for path in _children("/run/netns") + _children("/tmp"):
        match = re.match(re.escape(PREFIX) + r"(\d+)-\d+", os.path.basename(path))
        if match and not os.path.exists(f"/proc/{match[1]}"):
            names.setdefault(match[0], None)
            if path.startswith("/tmp/"):
                names[match[0]] = path
    for name, root in names.items():
        remove(name, root)

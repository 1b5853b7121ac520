# SPDX-License-Identifier: GPL-2.0-or-later
"""A real Docker Engine in a network namespace of its own, with a neighbour outside, for tests to play with.

    lan (LAN and Internet)  10.77.0.0/16, 203.0.113.2, 198.41.0.4, ...
      |  veth
    host: dockerd, cofferdamd, bridges, containers

Nothing of it touches the machine's own network namespace, and all of it goes when stop() is called, when Python exits,
or, should that be killed, when the next one starts.
"""

import atexit
import concurrent.futures
import functools
import http.client
import io
import itertools
import json
import os
import re
import signal
import socket
import tarfile
import tempfile
import urllib.parse

from machine import (ENVIRONMENT, PREFIX, Background, Failure, Namespace, adopt_orphans, processes_of_cgroups, remove, run, sweep,
                     wait_until)

TREE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("COFFERDAM_BUILD", os.path.join(TREE, "build", "release"))
PROBE = os.path.join(BUILD, "tests", "e2e", "probe")

# COFFERDAM_ENGINE_TREE=FOLDER: the engine is not the machine's, but the one of another Debian release in that folder, as
#     debootstrap --variant=minbase --include=docker.io,iptables,nftables trixie FOLDER
# makes it. All else is the machine's: the docker command, the tests, Cofferdam.
ENGINE_TREE = os.environ.get("COFFERDAM_ENGINE_TREE") and os.path.abspath(os.environ["COFFERDAM_ENGINE_TREE"])
IN_TREE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "in-tree")

# What lies outside. The host's uplink has the first address of each pair of documentation networks; the neighbour at
# the other end plays all the rest.
UPLINK = {"ipv4": "203.0.113.1", "ipv6": "2001:db8:113::1"}
OUTSIDE = {
    "ipv4": {
        "testnet": "203.0.113.2",  # documentation: not globally reachable
        "lan": "10.77.0.10",
        "lan-99": "10.77.99.7",
        "lan-28": "10.77.0.33",  # another /28 of lan's /24
        "metadata": "169.254.169.254",
        "public": "198.41.0.4",
        "public-2": "198.97.190.53",
    },
    "ipv6": {
        "testnet": "2001:db8:113::2",
        "lan": "fd77::10",
        "lan-99": "fd77:0:0:99::7",
        "public": "2a00:1450:4001:800::200e",
        "public-2": "2620:0:2d0:200::7",
    },
}


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout=60):
        super().__init__("docker", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Container:
    """A container of the engine's. What docker inspect says is read when asked for."""

    def __init__(self, engine, identifier, name):
        self.engine, self.id, self.name = engine, identifier, name

    def inspect(self):
        return self.engine.api("GET", f"/containers/{self.id}/json")

    @property
    def pid(self):
        return self.inspect()["State"]["Pid"]

    def enter(self, *command):
        """The command line that runs a program of the machine's in the container's network namespace."""
        return ["nsenter", f"--net=/proc/{self.pid}/ns/net", "--", *command]

    def addresses(self, family):
        """{network: address}"""
        key = {"ipv4": "IPAddress", "ipv6": "GlobalIPv6Address"}[family]
        networks = self.inspect()["NetworkSettings"]["Networks"]
        return {name: entry[key] for name, entry in networks.items() if entry[key]}

    def address(self, family="ipv4"):
        return next(iter(self.addresses(family).values()))

    def mac(self, network):
        return self.inspect()["NetworkSettings"]["Networks"][network]["MacAddress"]

    def start(self):
        self.engine.api("POST", f"/containers/{self.id}/start")
        return self

    def stop(self):
        self.engine.api("POST", f"/containers/{self.id}/stop?t=2")

    def restart(self):
        self.engine.api("POST", f"/containers/{self.id}/restart?t=2")

    def rename(self, name):
        self.engine.api("POST", f"/containers/{self.id}/rename?name={urllib.parse.quote(name)}")
        self.name = name

    def remove(self):
        path = f"/containers/{self.id}?force=1&v=1"
        try:
            self.engine.api("DELETE", path)
        except Failure as error:  # it ended by itself between the Engine's look and its kill
            if "is not running" not in str(error):
                raise
            self.engine.api("DELETE", path)
        self.engine.containers.pop(self.id, None)


class Engine:
    """dockerd with a containerd of its own. Everything it writes is under one directory."""

    _count = itertools.count()

    def __init__(self, dockerd=(), isolation=True):
        """dockerd: further arguments. Without isolation, Docker passes everything between its bridges and from outside
        to them, so that nobody else's rules decide."""
        self.name = f"{PREFIX}{os.getpid()}-{next(self._count)}"
        self.extra = list(dockerd)
        self.isolation = isolation
        self.containers = {}
        self.background = []
        self.host = self.lan = self.root = self.containerd = self.dockerd = None
        self.stopped = False

    # Start and stop

    def start(self):
        sweep()
        adopt_orphans()
        atexit.register(self.stop)
        self.root = tempfile.mkdtemp(prefix=self.name + "-", dir="/tmp")
        try:
            self._namespaces()
            self._containerd()
            self._bridged_frames()
            self._dockerd()
            self._images()
            if not self.isolation:
                self._lift_isolation()
        except BaseException:
            self.stop()
            raise
        return self

    def _namespaces(self):
        self.host = Namespace(self.name + "-host")
        self.lan = Namespace(self.name + "-lan")
        for space in (self.host, self.lan):
            for key, value in (("ipv4.ip_forward", 1), ("ipv6.conf.all.forwarding", 1),
                               ("ipv6.conf.default.accept_dad", 0), ("ipv6.conf.all.accept_dad", 0),
                               ("ipv4.conf.all.rp_filter", 0), ("ipv4.conf.default.rp_filter", 0),
                               ("ipv4.icmp_ratelimit", 0), ("ipv6.icmp.ratelimit", 0)):
                space.sysctl("net." + key, value)
            for key in ("icmp_msgs_per_sec", "icmp_msgs_burst"):  # of each namespace since Linux 6.12
                space.run("sh", "-c", f"[ ! -e /proc/sys/net/ipv4/{key} ] || echo 100000 >/proc/sys/net/ipv4/{key}")
        self.host.batch([f"link add uplink type veth peer name neighbour netns {self.lan.name}",
                         f"address add {UPLINK['ipv4']}/24 dev uplink",
                         f"address add {UPLINK['ipv6']}/64 dev uplink nodad",
                         "link set uplink up"])
        self.lan.batch(["address add 203.0.113.2/24 dev neighbour", "address add 2001:db8:113::2/64 dev neighbour nodad",
                        "link set neighbour up"]
                       + [f"address add {address}/{bits} dev lo" for family, bits in (("ipv4", 32), ("ipv6", 128))
                          for name, address in OUTSIDE[family].items() if name != "testnet"]
                       + ["route add default via 203.0.113.1", "route add default via 2001:db8:113::1"])
        self.host.batch(["route add default via 203.0.113.2", "route add default via 2001:db8:113::2"])

    def _containerd(self):
        config = self.path("containerd.toml")
        with open(config, "w", encoding="utf-8") as file:
            file.write(f'version = 2\nroot = "{self.path("containerd")}"\nstate = "{self.path("containerd-run")}"\n'
                       f'disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt"]\n'
                       f'[grpc]\naddress = "{self.path("containerd.sock")}"\n')
        # Where it runs is, to Docker 28, the host's network for the containers that share that.
        self.containerd = self.spawn("containerd", self.host.enter(*([IN_TREE, ENGINE_TREE] if ENGINE_TREE else []),
                                                                   "containerd", "--config", config))
        self._wait_for(self.containerd, lambda: os.path.exists(self.path("containerd.sock")))

    def _bridged_frames(self):
        """Docker before 27.3 loads br_netfilter, which makes bridged frames pass the rules everywhere; later ones leave it
        alone where they do not need it. A kernel that has it built in makes them pass in every new network namespace."""
        if self.version >= (27, 3) and os.path.exists("/proc/sys/net/bridge"):
            for key in ("iptables", "ip6tables", "arptables"):
                self.host.sysctl("net.bridge.bridge-nf-call-" + key, 0)

    def _in_tree(self):
        """What runs a command where containerd runs: both have to see the mounts that the other makes."""
        return ["nsenter", f"--mount=/proc/{self.containerd.process.pid}/ns/mnt", "--"] if ENGINE_TREE else []

    def _dockerd(self):
        self.dockerd = self.spawn("dockerd", self.host.enter(
            *self._in_tree(), "dockerd", "--config-file", self._empty_config(),
            "--data-root", self.path("data"), "--exec-root", self.path("run"), "--pidfile", self.path("dockerd.pid"),
            "-H", "unix://" + self.socket, "--containerd", self.path("containerd.sock"),
            "--exec-opt", "native.cgroupdriver=cgroupfs", "--cgroup-parent", "/" + self.name,
            "--shutdown-timeout", "3", *self._direct_routing(), *self.extra))
        self._wait_for(self.dockerd, self._answers)

    def _direct_routing(self):
        """Since Docker 28, what does not come from its own bridge to a container is dropped before any rule of a user's."""
        option = "--allow-direct-routing"
        return [option] if not self.isolation and option in run([*self._in_tree(), "dockerd", "--help"]).stdout else []

    def _lift_isolation(self):
        for command in ("iptables", "ip6tables"):
            if ":DOCKER-USER " in self.host.run(command + "-save").stdout:  # not for IPv6 before Docker 27
                self.host.run(command, "-I", "DOCKER-USER", "-j", "ACCEPT")

    def _empty_config(self):
        config = self.path("daemon.json")
        with open(config, "w", encoding="utf-8") as file:
            file.write("{}\n")
        return config

    def _wait_for(self, process, condition):
        wait_until(lambda: condition() or not process.alive, 40, f"{process.name} to start\n{process.output()[-3000:]}")
        if not process.alive:
            raise Failure(f"{process.name} ended\n{process.output()[-3000:]}")

    def _answers(self):
        try:
            return self.api("GET", "/_ping") == "OK"
        except (OSError, http.client.HTTPException):
            return False

    def restart_dockerd(self):
        self.dockerd.stop(seconds=30)
        self._dockerd()

    def kill_dockerd(self, containers=False):
        """Its containers are told nothing, and die with it only if asked for, as they do when the machine does."""
        self.dockerd.stop(signal.SIGKILL)
        if containers:
            wait_until(lambda: not self._kill_containers(), 10, "the containers to end")

    def _kill_containers(self):
        """Returns those that there were."""
        pids = processes_of_cgroups(self.name)
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        return pids

    def start_dockerd(self):
        """After kill_dockerd(). Returns when the API answers."""
        self._dockerd()
        if not self.isolation:  # Docker 20.10 may have put the chain that isolates bridges in front of the users' one
            self.host.run("iptables", "-I", "FORWARD", "-j", "DOCKER-USER")

    def stop(self):
        """Removes everything that start() and the tests have made. Never raises; can be called again."""
        if self.stopped or not self.root:
            return
        self.stopped = True
        atexit.unregister(self.stop)
        self._try(self._remove_containers)
        for process in reversed(self.background):
            self._try(process.stop)
        remove(self.name, self.root)

    def _remove_containers(self):
        if self.dockerd and self.dockerd.alive:
            for entry in self.api("GET", "/containers/json?all=1"):
                self.api("DELETE", f"/containers/{entry['Id']}?force=1&v=1")

    @staticmethod
    def _try(action):
        try:
            action()
        except Exception as error:  # pylint: disable=broad-except
            print(f"while cleaning up: {error}")

    # Helpers

    @property
    def socket(self):
        return self.path("docker.sock")

    def path(self, *names):
        return os.path.join(self.root, *names)

    def spawn(self, name, command, env=None, stdin=None, pass_fds=()):
        process = Background(name, command, self.path(name + ".log"), env, stdin, pass_fds)
        self.background.append(process)
        return process

    def api(self, method, path, body=None, raw=None, content_type="application/json"):
        """One request of the Engine API: the decoded answer, or Failure with the engine's message."""
        connection = UnixConnection(self.socket)
        try:
            data = raw if raw is not None else None if body is None else json.dumps(body).encode()
            connection.request(method, path, data, {"Content-Type": content_type} if data is not None else {})
            response = connection.getresponse()
            text = response.read().decode("utf-8", "replace")
        finally:
            connection.close()
        if response.status >= 400:
            raise Failure(f"{method} {path}: {response.status} {text.strip()}")
        if response.headers.get_content_type() == "application/json" and text and path.split("?")[0] != "/images/create":
            return json.loads(text)
        return text

    @functools.cached_property
    def version(self):
        """(28, 5): of the engine's dockerd, not of the machine's docker command. Known as soon as containerd runs."""
        text = run([*self._in_tree(), "dockerd", "--version"]).stdout
        return tuple(map(int, re.search(r"version (\d+)\.(\d+)", text).groups()))

    def docker(self, *arguments, check=True):
        """The docker command, as a user would type it."""
        return run(["docker", "-H", "unix://" + self.socket, *arguments], check=check,
                   env=dict(ENVIRONMENT, DOCKER_CONFIG=self.path("docker-config")))

    def _images(self):
        self.image("probe:1")

    def image(self, reference, labels=None):
        """Imports an image of busybox and the probe; labels are the image's own."""
        layer = io.BytesIO()
        with tarfile.open(fileobj=layer, mode="w") as tar:
            for name in ("bin", "tmp", "etc"):
                entry = tarfile.TarInfo(name)
                entry.type, entry.mode = tarfile.DIRTYPE, 0o755
                tar.addfile(entry)
            for source, name in ((PROBE, "bin/probe"), ("/bin/busybox", "bin/busybox")):
                entry = tar.gettarinfo(os.path.realpath(source), name)
                entry.mode = 0o755
                with open(source, "rb") as file:
                    tar.addfile(entry, file)
        changes = "".join(f"&changes={urllib.parse.quote(f'LABEL {key}={value}')}" for key, value in (labels or {}).items())
        repository, tag = reference.rsplit(":", 1)
        answer = self.api("POST", f"/images/create?fromSrc=-&repo={repository}&tag={tag}{changes}",
                          raw=layer.getvalue(), content_type="application/x-tar")
        if '"error"' in answer:
            raise Failure(f"import of {reference}: {answer}")

    def network(self, name, ipv4=None, ipv6=None, **options):
        config = [{"Subnet": subnet} for subnet in (ipv4, ipv6) if subnet]
        body = {"Name": name, "CheckDuplicate": True, "EnableIPv6": bool(ipv6), "IPAM": {"Config": config}}
        body.update(options)
        return self.api("POST", "/networks/create", body)["Id"]

    def bridge(self, network):
        """The name of a network's bridge."""
        info = self.api("GET", f"/networks/{network}")
        return info["Options"].get("com.docker.network.bridge.name") or "br-" + info["Id"][:12]

    def create(self, name, networks=("bridge",), image="probe:1", labels=None, command=("probe", "serve"), publish=(),
               **host_config):
        """A container that is not started. networks: names, or (name, IPv4, IPv6) with addresses; publish:
        (host port, container port, protocol)."""
        endpoints = [(entry, None, None) if isinstance(entry, str) else entry for entry in networks]
        body = {
            "Image": image, "Cmd": list(command), "Labels": labels or {}, "Entrypoint": [],
            "ExposedPorts": {f"{port}/{proto}": {} for _, port, proto in publish},
            "HostConfig": dict({"NetworkMode": endpoints[0][0] if endpoints else host_config.pop("mode"),
                                "PortBindings": {f"{port}/{proto}": [{"HostPort": str(outer)}]
                                                 for outer, port, proto in publish}}, **host_config),
        }
        if endpoints and endpoints[0][0] != "bridge":
            body["NetworkingConfig"] = {"EndpointsConfig": {endpoints[0][0]: _endpoint(*endpoints[0][1:])}}
        identifier = self.api("POST", f"/containers/create?name={name}", body)["Id"]
        container = self.containers[identifier] = Container(self, identifier, name)
        for network, ipv4, ipv6 in endpoints[1:]:
            self.connect(network, container, ipv4, ipv6)
        return container

    def run(self, name, *arguments, **options):
        return self.create(name, *arguments, **options).start()

    def run_all(self, wanted):
        """Starts several containers, two at a time; wanted: {name: options of create()}. Returns {name: Container}."""
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            started = {name: pool.submit(self.run, name, **options) for name, options in wanted.items()}
            return {name: future.result() for name, future in started.items()}

    def connect(self, network, container, ipv4=None, ipv6=None):
        self.api("POST", f"/networks/{network}/connect",
                 {"Container": container.id, "EndpointConfig": _endpoint(ipv4, ipv6)})

    def disconnect(self, network, container):
        self.api("POST", f"/networks/{network}/disconnect", {"Container": container.id, "Force": False})

    def firewall(self):
        """All rules but those of Cofferdam, as text without counters: what must never change under its hands."""
        texts = [self.host.run("nft", "list", "table", *table.split()[1:]).stdout
                 for table in self.tables() if not table.split()[2].startswith("cofferdam")]
        texts += [self.host.run(command).stdout for command in ("iptables-save", "ip6tables-save")]
        text = "\n".join(texts)
        text = re.sub(r"counter packets \d+ bytes \d+", "counter", text)
        text = re.sub(r"\[\d+:\d+\]", "", text)
        return "\n".join(line for line in text.splitlines() if not line.startswith("#"))

    def tables(self):
        """["table FAMILY NAME", ...]"""
        return self.host.run("nft", "list", "tables").stdout.splitlines()

    def bridge_switches(self):
        """{bridge: (nf_call_iptables, nf_call_ip6tables, no_linklocal_learn)}"""
        links = json.loads(self.host.run("ip", "-d", "-j", "link", "show", "type", "bridge").stdout or "[]")
        return {link["ifname"]: tuple(link["linkinfo"]["info_data"][key]
                                      for key in ("nf_call_iptables", "nf_call_ip6tables", "no_linklocal_learn")) for link in links}

    def forget_connections(self):
        """Empties connection tracking, so that no flow of an earlier table makes one of the next established."""
        self.host.run("conntrack", "-F")


def _endpoint(ipv4, ipv6):
    if not ipv4 and not ipv6:
        return {}
    return {"IPAMConfig": {key: value for key, value in (("IPv4Address", ipv4), ("IPv6Address", ipv6)) if value}}

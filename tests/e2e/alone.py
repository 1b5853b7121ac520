# SPDX-License-Identifier: GPL-2.0-or-later
"""The compiled rules without daemon and Engine: two containers' network namespaces on a bridge, and the host's."""

import os

from engine import BUILD, TREE
from flood import ALLOWED
from machine import PREFIX, Namespace, run


class Alone:
    """Mixed into a TestCase. The rules are loaded before the bridge is made, as after a boot."""

    OPTIONS = ()  # of the compiler
    POLICY = (f"policy: web\nselect: {{compose: shop/web}}\negress: [{{to: [{{compose: shop/db}}], ports: [{ALLOWED}/udp]}}]\n---\n"
              f"policy: db\nselect: {{compose: shop/db}}\ningress: [{{from: [{{compose: shop/web}}], ports: [{ALLOWED}/udp]}}]\n")
    ADDRESSES = {"web": ("02:42:ac:12:00:02", "172.18.0.2", "fd00:18::2"), "db": ("02:42:ac:12:00:03", "172.18.0.3", "fd00:18::3")}

    def setUp(self):
        self.host = self.namespace("host")
        self.load_rules()
        self.host.batch(["link add br-shop type bridge nf_call_iptables 1 nf_call_ip6tables 1 mcast_snooping 0",
                         "address add 172.18.0.1/16 dev br-shop", "link set br-shop up"])
        for key in ("iptables", "ip6tables"):
            self.host.sysctl("net.bridge.bridge-nf-call-" + key, 0)
        self.web, self.db = self.container("web"), self.container("db")

    def load_rules(self):
        policy = f"/tmp/{self.host.name}.yaml"
        with open(policy, "w", encoding="utf-8") as file:
            file.write(self.POLICY)
        try:
            self.host.run(os.path.join(BUILD, "tests", "golden", "ruleset", "ruleset-case"), *self.OPTIONS, "apply", policy,
                          os.path.join(TREE, "tests", "golden", "ruleset", "inventory.json"))
        finally:
            os.unlink(policy)

    def namespace(self, name):
        space = Namespace(f"{PREFIX}{os.getpid()}-alone-{name}")
        self.addCleanup(run, ["ip", "netns", "del", space.name])
        space.sysctl("net.ipv6.conf.default.accept_dad", 0)
        space.sysctl("net.ipv6.conf.default.router_solicitations", 0)
        return space

    def container(self, name):
        space = self.namespace(name)
        mac, ipv4, ipv6 = self.ADDRESSES[name]
        self.host.batch([f"link add veth-{name} type veth peer name eth0 netns {space.name}",
                         f"link set veth-{name} master br-shop up"])
        space.batch([f"link set eth0 address {mac} up", f"address add {ipv4}/16 dev eth0", f"address add {ipv6}/64 dev eth0 nodad"])
        return space

    def outside(self):
        """A neighbour of the host's, which counts what is sent to port 4999."""
        space = self.namespace("outside")
        self.host.batch([f"link add eth0 type veth peer name eth0 netns {space.name}", "link set eth0 up",
                         "address add 203.0.113.1/24 dev eth0", "address add fd00:99::1/64 dev eth0 nodad"])
        space.batch(["link set eth0 up", "address add 203.0.113.2/24 dev eth0", "address add fd00:99::2/64 dev eth0 nodad",
                     "route add default via 203.0.113.1", "route add default via fd00:99::1"])
        for key in ("ipv4.ip_forward", "ipv6.conf.all.forwarding"):
            self.host.sysctl("net." + key, 1)
        for device in ("all", "default", "veth-web"):
            self.host.sysctl(f"net.ipv4.conf.{device}.rp_filter", 0)
        space.run("nft", "add table inet count; add chain inet count in { type filter hook prerouting priority 0; }; "
                         "add rule inet count in udp dport 4999 counter")
        return space

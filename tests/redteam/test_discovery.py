#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""IPv6 neighbour discovery that claims somebody else's address or MAC, containers that play the router or the multicast querier, and
the same behind other headers: what comes to the victim's wire, and what victim, host and bridge believe afterwards."""

import dataclasses
import ipaddress
import unittest

from redteam import GATEWAYS, Attack, Changes, Redteam, Wire, believed, link_local, mac_of, port_of, run

ALL = "33:33:00:00:00:01"
STRANGE = "02:ca:fe:00:00:01"
PREFIX = "2001:db8:bad::"
SOLICIT, ADVERTISE = "icmp=135", "icmp=136"
ROUTER_SOLICIT, ROUTER_ADVERTISE, REDIRECT = "icmp=133", "icmp=134", "icmp=137"
# Of an advertisement: is a router, was asked, replaces what is known.
ROUTER, ASKED, OVERRIDE = 1 << 31, 1 << 30, 1 << 29
NO_QUERIER = "a bridge takes no query behind a fragment header (but does behind one that conntrack has removed)"
DEFAULT_ROUTER = "flags=0x40000708"  # hop limit 64, for half an hour


@dataclasses.dataclass
class Who:
    ip: str
    local: str
    mac: str


def solicited(address):
    """The group and the MAC by which a neighbour asks for an address."""
    low = ipaddress.ip_address(address).packed[-3:]
    return f"ff02::1:ff{low[0]:02x}:{low[1]:02x}{low[2]:02x}", f"33:33:ff:{low[0]:02x}:{low[1]:02x}:{low[2]:02x}"


def link_state(space, interface):
    """What a router may have told: addresses, routes, MTU."""
    commands = (("ip", "-6", "addr", "show", "dev", interface), ("ip", "-6", "route", "show", "dev", interface),
                ("cat", f"/proc/sys/net/ipv6/conf/{interface}/mtu"))
    lines = "".join(run(space.enter(*command)).stdout for command in commands).splitlines()
    return [line.split(" expires ")[0] for line in lines if "valid_lft" not in line]


def forget_routers(space, interface):
    for command in ("route flush proto ra", "addr flush dynamic", f"route flush {PREFIX}/64"):
        run(space.enter("ip", "-6", *command.split(), "dev", interface), check=False)
    run(space.enter("sh", "-c", f"echo 1500 >/proc/sys/net/ipv6/conf/{interface}/mtu"))


class Discovery(Redteam, unittest.TestCase):
    TITLE = "Neighbour discovery, routers, multicast queriers"

    @classmethod
    def prepare(cls):
        super().prepare()
        cls.bridge = cls.engine.bridge("front")
        cls.port = port_of(cls.engine.host, cls.attacker)
        cls.gateway = Who(GATEWAYS["front"]["ipv6"], "fe80::1", mac_of(cls.engine.host, cls.bridge))
        cls.own, cls.to, cls.third = (Who(each.address("ipv6"), link_local(each), each.mac("front"))
                                      for each in (cls.attacker, cls.victim, cls.bystander))
        cls.to_victim = [f"to={cls.to.ip}", f"dmac={cls.to.mac}"]
        cls.to_all = ["to=ff02::1", f"dmac={ALL}"]
        cls.mine, cls.mine_local = f"from={cls.own.ip}", f"from={cls.own.local}"
        group, mac = solicited(cls.to.ip)
        cls.to_group = [f"to={group}", f"dmac={mac}"]

    @classmethod
    def attacks(cls):
        return [*cls.advertisements(), *cls.solicitations(), *cls.routers(), *cls.hidden(), *cls.malformed(), *cls.others(),
                *cls.beliefs_of_the_victim(), *cls.routes_of_the_victim(), *cls.beliefs_of_the_host(), *cls.routes_of_the_host(),
                *cls.beliefs_of_the_bridge(), *cls.denied_addresses()]

    # What comes to the wire

    @classmethod
    def on_the_wire(cls, name, arguments, sent=3):
        return Attack(name, cls.attacker, ["discovery", *arguments], lambda: Wire(cls.victim), "ipv6", "attacker -> victim", sent=sent)

    @classmethod
    def forged_advertisement(cls, **more):
        """The gateway's address, said to be here."""
        values = dict(target=cls.gateway.ip, tlla=cls.own.mac, flags=ROUTER | OVERRIDE, **more)
        return [ADVERTISE, cls.mine, *cls.to_victim, *(f"{key}={value}" for key, value in values.items())]

    @classmethod
    def advertisements(cls):
        addresses = {"gateway's": cls.gateway.ip, "gateway's link-local": cls.gateway.local, "bystander's": cls.third.ip,
                     "bystander's link-local": cls.third.local, "victim's": cls.to.ip, "nobody's": "fd91::7777"}
        for words, address in addresses.items():
            for to, command in (("", cls.to_victim), (" to all", cls.to_all)):
                yield cls.on_the_wire(f"{words} address advertised{to}",
                                      [ADVERTISE, cls.mine_local, *command, f"target={address}", f"tlla={cls.own.mac}",
                                       f"flags={OVERRIDE}"])
        for words, flags in (("nothing", 0), ("asked", ASKED), ("asked, override", ASKED | OVERRIDE),
                             ("router, asked, override", ROUTER | ASKED | OVERRIDE)):
            yield cls.on_the_wire(f"gateway's address, flags {words}", [ADVERTISE, cls.mine, *cls.to_victim, f"target={cls.gateway.ip}",
                                                                        f"tlla={cls.own.mac}", f"flags={flags}"])
        bare = [ADVERTISE, cls.mine, *cls.to_victim, f"target={cls.gateway.ip}", "bare=1", f"flags={OVERRIDE}"]
        known = ipaddress.ip_address(cls.gateway.ip).packed
        yield Attack("gateway's address without a MAC", cls.attacker, ["discovery", *bare],
                     lambda: Wire(cls.victim, matches=lambda frame: frame[62:78] == known), "ipv6", "attacker -> victim")
        own = [ADVERTISE, cls.mine, *cls.to_victim, f"target={cls.own.ip}"]
        for words, mac in (("gateway's", cls.gateway.mac), ("bystander's", cls.third.mac), ("strange", STRANGE),
                           ("broadcast", "ff:ff:ff:ff:ff:ff")):
            yield cls.on_the_wire(f"own address at {words} MAC", own + [f"tlla={mac}", f"flags={OVERRIDE}"])
        yield cls.on_the_wire("two MACs", own + [f"tlla={cls.own.mac}", f"tlla2={STRANGE}"])
        yield cls.on_the_wire("source option in an advertisement", own + [f"slla={STRANGE}"])
        for words, source in (("gateway's", cls.gateway.ip), ("gateway's link-local", cls.gateway.local), ("::", "::")):
            yield cls.on_the_wire(f"advertisement from {words}", [ADVERTISE, f"from={source}", *cls.to_victim, f"target={cls.gateway.ip}",
                                                                  f"tlla={cls.own.mac}", f"flags={OVERRIDE}"])

    @classmethod
    def solicitations(cls):
        ask = [SOLICIT, f"target={cls.to.ip}", *cls.to_group]
        for words, mac in (("gateway's", cls.gateway.mac), ("bystander's", cls.third.mac), ("strange", STRANGE)):
            yield cls.on_the_wire(f"solicitation with {words} MAC", ask + [cls.mine, f"slla={mac}"])
        for words, address in (("gateway's", cls.gateway.ip), ("gateway's link-local", cls.gateway.local), ("bystander's", cls.third.ip)):
            yield cls.on_the_wire(f"solicitation from {words} address", ask + [f"from={address}", f"slla={cls.own.mac}"])
        yield cls.on_the_wire("solicitation with two MACs", ask + [cls.mine, f"slla={cls.own.mac}", f"slla2={STRANGE}"])
        yield cls.on_the_wire("solicitation with a target option", ask + [cls.mine, f"tlla={STRANGE}"])
        yield cls.on_the_wire("search for the victim's address", ask + ["from=::"])
        yield cls.on_the_wire("search for the victim's address, nonce", ask + ["from=::", "nonce=1"])
        yield cls.on_the_wire("search for the victim's address, unicast", [SOLICIT, "from=::", f"target={cls.to.ip}", *cls.to_victim])
        yield cls.on_the_wire("search for the victim's address, to all", [SOLICIT, "from=::", f"target={cls.to.ip}", *cls.to_all])

    @classmethod
    def routers(cls):
        options = {"default route": [], "prefix": [f"prefix={PREFIX}"], "route": [f"route={PREFIX}"], "MTU": ["mtu=1280"],
                   "name server": [f"rdnss={cls.own.ip}"], "MAC": [f"slla={cls.own.mac}"]}
        for words, more in options.items():
            yield cls.on_the_wire(f"router advertisement, {words}", [ROUTER_ADVERTISE, DEFAULT_ROUTER, cls.mine_local, *cls.to_all, *more])
        every = [ROUTER_ADVERTISE, DEFAULT_ROUTER, *sum(options.values(), [])]
        yield cls.on_the_wire("router advertisement, all to one", every + [cls.mine_local, *cls.to_victim])
        yield cls.on_the_wire("router advertisement from fe80::1", every + ["from=fe80::1", *cls.to_all])
        yield cls.on_the_wire("router advertisement from a global address", every + [cls.mine, *cls.to_all])
        yield cls.on_the_wire("router advertisement to all routers", every + [cls.mine_local, "to=ff02::2", "dmac=33:33:00:00:00:02"])
        yield cls.on_the_wire("router solicitation", [ROUTER_SOLICIT, cls.mine_local, *cls.to_all, f"slla={STRANGE}"])
        for words, source in (("own", cls.own.local), ("gateway's link-local", cls.gateway.local), ("gateway's", cls.gateway.ip)):
            yield cls.on_the_wire(f"redirect from {words}", cls.redirect(source))

    @classmethod
    def redirect(cls, source, to="2a00:1450:4001:800::200e"):
        return [REDIRECT, f"from={source}", *cls.to_victim, f"target={cls.own.local}", f"destination={to}", f"tlla={cls.own.mac}"]

    @classmethod
    def hidden(cls):
        """Behind extension headers and in fragments, some of which hide what they carry."""
        ways = {"hop-by-hop options": ["via=hop"], "router alert": ["via=alert"], "destination options": ["via=dst"],
                "routing header": ["via=routing"],
                "an atomic fragment": ["via=frag"], "three headers": ["via=hop,dst,routing"], "a second fragment header": ["via=frag,frag"],
                "destination options in the fragment": ["via=frag,dst"], "hop-by-hop options in the fragment": ["via=frag,hop"],
                "two fragments": ["via=frag", "split=8"], "two fragments, options apart": ["via=frag", "split=24"],
                "header in the second fragment": ["via=frag,dst", "split=8"],
                "header in the second fragment, hop-by-hop before": ["via=frag,hop", "split=8"],
                "hop-by-hop, header in the second fragment": ["via=hop,frag,dst", "split=8"],
                "routing, header in the second fragment": ["via=frag,routing", "split=8"]}
        prefix = [ROUTER_ADVERTISE, DEFAULT_ROUTER, cls.mine_local, *cls.to_all, f"prefix={PREFIX}"]
        search = [SOLICIT, "from=::", f"target={cls.to.ip}", *cls.to_group]
        for words, more in ways.items():
            yield cls.on_the_wire(f"gateway's address behind {words}", cls.forged_advertisement() + more)
            if words != "routing header" and "routing" not in words:  # a router takes those, for its own address only
                yield cls.on_the_wire(f"router advertisement behind {words}", prefix + more)
                yield cls.on_the_wire(f"search for the victim's behind {words}", search + more)
            yield cls.on_the_wire(f"redirect behind {words}", cls.redirect(cls.own.local) + more)

    @classmethod
    def malformed(cls):
        for hops in (254, 64, 1, 0):
            yield cls.on_the_wire(f"gateway's address, hop limit {hops}", cls.forged_advertisement(hops=hops))
        for code in (1, 255):
            yield cls.on_the_wire(f"gateway's address, code {code}", cls.forged_advertisement(code=code))
        yield cls.on_the_wire("gateway's address, wrong checksum", cls.forged_advertisement(badsum=1))
        mine = [ADVERTISE, cls.mine, *cls.to_victim, f"flags={OVERRIDE}"]
        yield cls.on_the_wire("own address and an unknown option", mine + [f"target={cls.own.ip}"])
        yield cls.on_the_wire("multicast target", mine + ["target=ff02::1"])
        yield cls.on_the_wire("target ::", mine + ["target=::"])

    @classmethod
    def others(cls):
        """Messages of link protocols that are no container's business."""
        for kind, words in {130: "MLD query", 131: "MLD report", 132: "MLD done", 138: "router renumbering", 139: "node information query",
                            140: "node information reply", 141: "inverse solicitation", 142: "inverse advertisement",
                            148: "certification path", 149: "certification path",
                            151: "multicast router advertisement", 152: "multicast router solicitation",
                            153: "multicast router termination", 154: "mobile IP fast handover", 155: "RPL"}.items():
            yield cls.on_the_wire(f"{kind}, {words}", [f"icmp={kind}", cls.mine_local, *cls.to_all, "target=::"])

    # What they believe

    @classmethod
    def believes(cls, name, space, interface, who, mac, arguments):
        path = "host believes" if space is cls.engine.host else "victim believes"
        return Attack(name + ("" if mac else ", unknown yet"), cls.attacker, ["discovery", *arguments],
                      lambda: believed(space, interface, who, mac), "ipv6", path)

    @classmethod
    def beliefs(cls, space, interface, to, whose, who):
        """who: {words: (IP, MAC)}; to: arguments."""
        for words, (ip, mac) in who.items():
            claim = [*to, cls.mine, f"target={ip}", f"tlla={cls.own.mac}", f"flags={OVERRIDE}"]
            yield cls.believes(f"{whose} {words} advertised", space, interface, ip, mac, [ADVERTISE, *claim])
            ask = [SOLICIT, f"from={ip}", *to, f"target={to[0].partition('=')[2]}", f"slla={cls.own.mac}"]
            yield cls.believes(f"solicitation from {whose} {words}", space, interface, ip, mac, ask)
            yield cls.believes(f"solicitation from {whose} {words}", space, interface, ip, None, ask)

    @classmethod
    def beliefs_of_the_victim(cls):
        for whose, who in (("gateway's", cls.gateway), ("bystander's", cls.third)):
            yield from cls.beliefs(cls.victim, "eth0", cls.to_victim, whose,
                                   {"address": (who.ip, who.mac), "link-local address": (who.local, who.mac)})
        own = [SOLICIT, cls.mine, *cls.to_victim, f"target={cls.to.ip}", f"slla={cls.third.mac}"]
        yield cls.believes("own address, solicitation with another's MAC", cls.victim, "eth0", cls.own.ip, cls.own.mac, own)
        yield cls.believes("own address, solicitation with another's MAC", cls.victim, "eth0", cls.own.ip, None, own)
        own = [ADVERTISE, cls.mine, *cls.to_victim, f"target={cls.own.ip}", f"tlla={cls.third.mac}", f"flags={OVERRIDE}"]
        yield cls.believes("own address, advertised at another's MAC", cls.victim, "eth0", cls.own.ip, cls.own.mac, own)

    @classmethod
    def beliefs_of_the_host(cls):
        to = [f"to={cls.gateway.ip}", f"dmac={cls.gateway.mac}"]
        yield from cls.beliefs(cls.engine.host, cls.bridge, to, "victim's",
                               {"address": (cls.to.ip, cls.to.mac), "link-local address": (cls.to.local, cls.to.mac)})
        ask = [ROUTER_SOLICIT, f"from={cls.to.local}", "to=ff02::2", "dmac=33:33:00:00:00:02", f"slla={cls.own.mac}"]
        yield cls.believes("router solicitation from victim's", cls.engine.host, cls.bridge, cls.to.local, cls.to.mac, ask)
        yield cls.believes("router solicitation from victim's", cls.engine.host, cls.bridge, cls.to.local, None, ask)
        ask[1] = cls.mine_local
        ask[-1] = f"slla={cls.to.mac}"
        yield cls.believes("router solicitation with victim's MAC", cls.engine.host, cls.bridge, cls.own.local, None, ask)

    @classmethod
    def routes_of_the_victim(cls):
        every = [ROUTER_ADVERTISE, DEFAULT_ROUTER, cls.mine_local, *cls.to_all, f"slla={cls.own.mac}"]
        for words, more in (("default route", []), ("prefix", [f"prefix={PREFIX}"]), ("MTU", ["mtu=1280"])):
            yield cls.routed(f"router advertisement, {words}", cls.victim, "eth0", every + more)
        yield Attack("redirect from gateway's link-local", cls.attacker, ["discovery", *cls.redirect(cls.gateway.local)],
                     cls.way_outside, "ipv6", "victim believes")

    @classmethod
    def routed(cls, name, space, interface, arguments, path="victim believes"):
        def observe():
            forget_routers(space, interface)
            return Changes(lambda: link_state(space, interface))
        return Attack(name, cls.attacker, ["discovery", *arguments], observe, "ipv6", path, undo=lambda: forget_routers(space, interface))

    @classmethod
    def way_outside(cls):
        """By a router's link-local address, as routers give it: nobody else's redirect counts."""
        outside = "2a00:1450:4001:800::200e"
        for verb in ("del", "add"):
            run(cls.victim.enter("ip", "-6", "route", verb, outside, "via", cls.gateway.local, "dev", "eth0"), check=False)
        return Changes(lambda: run(cls.victim.enter("ip", "-6", "route", "get", outside)).stdout.split(" src ")[0])

    @classmethod
    def routes_of_the_host(cls):
        host, every = cls.engine.host, [ROUTER_ADVERTISE, DEFAULT_ROUTER, cls.mine_local, "to=ff02::1", f"prefix={PREFIX}"]
        for interface in (cls.bridge, cls.port):  # Docker turns it off for the bridge: somebody wants it nevertheless
            host.sysctl(f"net.ipv6.conf.{interface}.accept_ra", 2)
        yield cls.routed("router advertisement", host, cls.bridge, every + [f"dmac={ALL}"], "host believes")
        for digit in "0e3":
            interface = cls.bridge if digit == "0" else cls.port
            yield cls.routed(f"router advertisement to 01:80:c2:00:00:0{digit}", host, interface,
                             every + [f"dmac=01:80:c2:00:00:0{digit}"], "host believes")

    @classmethod
    def beliefs_of_the_bridge(cls):
        """A querier, a router: who is one gets all multicast, and a bridge with a querier sends groups only where they are asked for."""
        query = ["discovery", "icmp=130", "flags=0x03e80000", "target=::", cls.mine_local, *cls.to_all, "hops=1", "bare=1"]
        igmp = ["igmp", f"from={cls.attacker.address()}", "bare=1"]
        to_all = ["to=224.0.0.1", "dmac=01:00:5e:00:00:01"]
        found = ["to=224.0.0.106", "dmac=01:00:5e:00:00:6a"]
        found6 = ["discovery", "icmp=151", "flags=0x00140002", cls.mine_local, "to=ff02::6a", "dmac=33:33:00:00:00:6a", "hops=1",
                  "via=alert", "bare=1"]
        attempts = {
            "MLD query": query + ["via=alert"], "MLD query in a fragment": query + ["via=frag,alert"],
            "MLD query in two fragments": query + ["via=frag,alert", "split=8"],
            "MLD query, options before fragments": query + ["via=alert,frag"],
            "MLD query in three fragments": query + ["via=frag,alert,dst", "split=8"],
            "IGMP query": igmp + to_all + ["igmp=0x11"], "IGMP query, version 1": igmp + to_all + ["igmp=0x11", "code=0"],
            "IGMP query from 0.0.0.0": ["igmp", "from=0.0.0.0", "bare=1", *to_all, "igmp=0x11"],
            "multicast router": igmp + found + ["igmp=0x30"], "multicast router, ICMPv6": found6,
            "multicast router, ICMPv6 in two fragments": [word for word in found6 if word != "via=alert"] + ["via=frag,alert", "split=8"],
            "PIM hello": igmp + ["to=224.0.0.13", "dmac=01:00:5e:00:00:0d", "igmp=0x20", "code=0", "protocol=103"],
        }
        for name, command in attempts.items():
            kernel = NO_QUERIER if " fragment" in name and "before" not in name else ""
            yield Attack(name, cls.attacker, command, cls.multicast_routers, "ipv4" if "igmp" in command[0] else "ipv6", "bridge believes",
                         kernel=kernel)

    @classmethod
    def multicast_routers(cls):
        for value in "01":
            cls.engine.host.run("bridge", "link", "set", "dev", cls.port, "mcast_router", value)

        def routers():
            return [line for line in cls.engine.host.run("bridge", "-d", "mdb", "show").stdout.splitlines() if "router" in line]
        return Changes(routers)

    @classmethod
    def denied_addresses(cls):
        """An address is not used when somebody answers the search for it (RFC 4862, 5.4.3): here, while its owner searches."""
        cls.engine.host.sysctl(f"net.ipv6.conf.{cls.bridge}.accept_dad", 1)
        for path, space, interface, who in (("victim", cls.victim, "eth0", cls.to), ("host", cls.engine.host, cls.bridge, cls.gateway)):
            for address in (who.ip, who.local):
                group, mac = solicited(address)
                answer = [ADVERTISE, *cls.to_all, f"target={address}", f"flags={OVERRIDE}", f"tlla={cls.own.mac}"]
                search = [SOLICIT, "from=::", f"to={group}", f"dmac={mac}", f"target={address}"]
                words = "link-local address" if address == who.local else "address"
                yield cls.denied(f"{words} answered", path, space, interface, address, answer + [cls.mine])
                yield cls.denied(f"{words} answered as if by itself", path, space, interface, address, answer + [f"from={address}"])
                yield cls.denied(f"{words} searched as well", path, space, interface, address, search)
                yield cls.denied(f"{words} searched, hidden", path, space, interface, address, search + ["via=dst"])

    @classmethod
    def denied(cls, name, path, space, interface, address, arguments):
        def use(*flags):
            run(space.enter("ip", "-6", "addr", "del", f"{address}/64", "dev", interface), check=False)
            run(space.enter("ip", "-6", "addr", "add", f"{address}/64", "dev", interface, *flags))

        def observe():
            use()
            return Changes(lambda: "dadfailed" in run(space.enter("ip", "-6", "addr", "show", "dev", interface, "to", address)).stdout)

        def undo():
            use("nodad")
            if space is cls.victim:
                run(space.enter("ip", "-6", "route", "replace", "default", "via", cls.gateway.ip, "dev", interface))
        return Attack(f"{path}'s {name}", cls.attacker, ["discovery", *arguments], observe, "ipv6", f"{path} gives up", undo=undo)


if __name__ == "__main__":
    unittest.main()

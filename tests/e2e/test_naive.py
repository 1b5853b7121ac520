#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The naive evaluator against the rules of the policy language, one by one."""

import unittest

from naive import Endpoint, Host, Outside, Policies, Port, endpoint_of_inspect, is_internet, own_labels
import ipaddress

PROJECT, SERVICE = "com.docker.compose.project", "com.docker.compose.service"


def shop(service, network="front", **options):
    return Endpoint(service, network, {PROJECT: "shop", SERVICE: service}, **options)


WEB, DB = shop("web"), shop("db")
BLOG = Endpoint("blog", "front", {PROJECT: "blog", SERVICE: "app", "role": "db"})
LONE = Endpoint("lone", "front")
HOST = Host()
LAN, PUBLIC = Outside("10.20.5.1"), Outside("198.41.0.4")
TCP = Port("tcp", 5432)

OPEN = "policy: open\nselect: {all: true}\ningress: [{}]\negress: [{}]\n"


class NaiveTest(unittest.TestCase):
    def allow(self, policies, source, destination, port=TCP):
        self.assertEqual(policies.verdict(source, destination, port), "allowed", f"{source} -> {destination} {port}")

    def deny(self, policies, source, destination, port=TCP):
        self.assertEqual(policies.verdict(source, destination, port), "denied", f"{source} -> {destination} {port}")


class Rule1Test(NaiveTest):
    def test_without_policies_nothing_passes(self):
        none = Policies([])
        for source, destination in ((WEB, DB), (WEB, HOST), (HOST, WEB), (LAN, WEB), (WEB, PUBLIC)):
            self.deny(none, source, destination)

    def test_what_has_no_container_is_not_ours(self):
        self.allow(Policies([]), HOST, PUBLIC)

    def test_absent_and_empty_directions_grant_nothing(self):
        for text in ("policy: a\nselect: {all: true}\n", "policy: a\nselect: {all: true}\ningress: []\negress: []\n",
                     "policy: a\nselect: {all: true}\ningress:\n"):
            self.deny(Policies([text]), WEB, DB)


class Rule2Test(NaiveTest):
    EGRESS = "policy: out\nselect: {compose: shop/web}\negress: [{to: [{compose: shop/db}]}]\n"
    INGRESS = "policy: in\nselect: {compose: shop/db}\ningress: [{from: [{compose: shop/web}]}]\n"

    def test_both_sides_must_agree(self):
        self.deny(Policies([self.EGRESS]), WEB, DB)
        self.deny(Policies([self.INGRESS]), WEB, DB)
        self.allow(Policies([self.EGRESS, self.INGRESS]), WEB, DB)
        self.deny(Policies([self.EGRESS, self.INGRESS]), DB, WEB)

    def test_host_and_outside_have_one_side(self):
        text = "policy: p\nselect: {compose: shop/web}\ningress: [{from: [host]}]\negress: [{to: [outside]}]\n"
        self.allow(Policies([text]), HOST, WEB)
        self.allow(Policies([text]), WEB, LAN)
        self.deny(Policies([text]), WEB, HOST)
        self.deny(Policies([text]), LAN, WEB)


class Rule3Test(NaiveTest):
    DENY = "policy: no\nselect: {compose: shop/db}\ningress: [{deny: true, from: [{compose: blog}], ports: [5432/tcp]}]\n"

    def test_a_deny_beats_every_allow_in_any_order(self):
        for texts in ([OPEN, self.DENY], [self.DENY, OPEN], [self.DENY + "---\n" + OPEN]):
            self.deny(Policies(texts), BLOG, DB)
            self.allow(Policies(texts), WEB, DB)
            self.allow(Policies(texts), BLOG, DB, Port("tcp", 80))

    def test_policies_add_up(self):
        one = "policy: one\nselect: {all: true}\negress: [{}]\ningress: [{ports: [80/tcp]}]\n"
        two = "policy: two\nselect: {all: true}\ningress: [{ports: [443/tcp]}]\n"
        for number, good in ((80, True), (443, True), (81, False)):
            (self.allow if good else self.deny)(Policies([one, two]), WEB, DB, Port("tcp", number))


class Rule4Test(NaiveTest):
    def only(self, ports):
        return Policies([f"policy: p\nselect: {{all: true}}\negress: [{{}}]\ningress: [{{ports: {ports}}}]\n"])

    def test_an_omitted_peer_is_anybody(self):
        for source in (WEB, HOST, LAN):
            self.allow(Policies([OPEN]), source, DB)
        self.allow(Policies([OPEN]), WEB, DB, Port("icmp", type="echo-request"))

    def test_ports(self):
        self.allow(self.only("[9000-9010/udp]"), WEB, DB, Port("udp", 9000))
        self.allow(self.only("[9000-9010/udp]"), WEB, DB, Port("udp", 9010))
        self.deny(self.only("[9000-9010/udp]"), WEB, DB, Port("udp", 9011))
        self.deny(self.only("[9000-9010/udp]"), WEB, DB, Port("tcp", 9005))
        self.allow(self.only("[53/udp, 53/tcp]"), WEB, DB, Port("tcp", 53))
        self.allow(self.only("[tcp]"), WEB, DB)
        self.deny(self.only("[tcp]"), WEB, DB, Port("udp", 53))
        self.deny(self.only("[sctp]"), WEB, DB)
        self.allow(self.only("[sctp]"), WEB, DB, Port("sctp", 9))

    def test_icmp(self):
        echo, stamp = Port("icmp", type="echo-request"), Port("icmp", type="timestamp-request")
        self.allow(self.only("[icmp]"), WEB, DB, stamp)
        self.allow(self.only("[icmp/echo-request]"), WEB, DB, echo)
        self.deny(self.only("[icmp/echo-request]"), WEB, DB, stamp)
        self.deny(self.only("[icmp]"), WEB, DB)


class Rule5Test(NaiveTest):
    def out(self, to):
        return Policies([f"policy: p\nselect: {{all: true}}\ningress: [{{}}]\negress: [{{to: [{to}]}}]\n"])

    def test_a_block_holds_neither_containers_nor_the_host(self):
        for block in ("0.0.0.0/0", "'::/0'"):
            self.deny(self.out(f"{{cidr: {block}}}"), WEB, DB)
            self.deny(self.out(f"{{cidr: {block}}}"), WEB, HOST)
        self.allow(self.out("{cidr: 0.0.0.0/0}"), WEB, LAN)
        self.deny(self.out("{cidr: '::/0'}"), WEB, LAN)
        self.allow(self.out("{cidr: '::/0'}"), WEB, Outside("fd00::1"))

    def test_except_carves_its_own_block_alone(self):
        carved = "{cidr: 10.20.0.0/16, except: [10.20.5.0/24]}"
        self.deny(self.out(carved), WEB, LAN)
        self.allow(self.out(carved), WEB, Outside("10.20.6.1"))
        self.allow(self.out(carved + ", {cidr: 10.20.5.0/28}"), WEB, LAN)


class Rule6Test(NaiveTest):
    def word(self, word, subject="all: true"):
        return Policies([f"policy: p\nselect: {{{subject}}}\ningress: [{{}}]\negress: [{{to: [{word}]}}]\n"])

    def test_words(self):
        want = {"any": (DB, HOST, LAN, PUBLIC), "internet": (PUBLIC,), "outside": (LAN, PUBLIC), "host": (HOST,),
                "containers": (DB,)}
        for word, parties in want.items():
            for party in (DB, HOST, LAN, PUBLIC):
                (self.allow if party in parties else self.deny)(self.word(word), WEB, party)

    def test_dns_is_the_containers_own_servers_on_port_53(self):
        asker = Endpoint("asker", "front", dns=["10.20.5.1"])
        self.allow(self.word("dns"), asker, LAN, Port("udp", 53))
        self.allow(self.word("dns"), asker, LAN, Port("tcp", 53))
        self.deny(self.word("dns"), asker, LAN, Port("udp", 54))
        self.deny(self.word("dns"), asker, PUBLIC, Port("udp", 53))
        self.deny(self.word("dns"), WEB, LAN, Port("udp", 53))

    def test_dns_may_be_a_container_or_the_host(self):
        asker = Endpoint("asker", "front", dns=["10.91.0.1", "10.91.0.9"])
        self.allow(self.word("dns"), asker, Host("10.91.0.1"), Port("udp", 53))
        self.deny(self.word("dns"), asker, Host("10.91.0.2"), Port("udp", 53))
        self.allow(self.word("dns"), asker, DB.at("10.91.0.9"), Port("udp", 53))
        self.deny(self.word("dns"), asker, DB.at("10.91.0.8"), Port("udp", 53))

    def test_internet(self):
        for text in ("198.41.0.4", "8.8.8.8", "2a00:1450::1", "192.0.1.1", "192.0.0.9", "2001:3::1", "64:ff9b::808:808"):
            self.assertTrue(is_internet(ipaddress.ip_address(text)), text)
        for text in ("10.1.2.3", "172.31.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "127.0.0.1", "224.0.0.1",
                     "255.255.255.255", "203.0.113.9", "198.18.0.1", "fd00::1", "fe80::1", "ff02::1", "::1",
                     "2001:db8::1", "2001:5::1", "192.0.0.8", "64:ff9b:1::1"):
            self.assertFalse(is_internet(ipaddress.ip_address(text)), text)


class Rule8Test(NaiveTest):
    def test_the_one_who_denies_decides_how(self):
        polite = "policy: polite\nreject: true\nselect: {compose: shop/db}\ningress: [{ports: [80/tcp]}]\n"
        free = "policy: free\nselect: {compose: shop/web}\negress: [{}]\n"
        self.assertEqual(Policies([polite, free]).verdict(WEB, DB, TCP), "rejected")
        self.assertEqual(Policies([polite]).verdict(WEB, DB, TCP), "denied", "web's own egress drops it first")
        self.assertEqual(Policies([polite]).verdict(DB, LAN, TCP), "rejected")
        self.allow(Policies([polite, free]), WEB, DB, Port("tcp", 80))


class Rule9Test(NaiveTest):
    def test_a_staged_policy_neither_opens_nor_closes(self):
        staged = OPEN.replace("select", "mode: audit\nselect")
        self.deny(Policies([staged]), WEB, DB)
        deny = "policy: no\nmode: audit\nselect: {all: true}\ningress: [{deny: true}]\n"
        self.allow(Policies([OPEN, deny]), WEB, DB)

    def test_default_mode_audit_lets_pass_what_nobody_selects(self):
        text = "policy: db\nselect: {compose: shop/db}\ningress: [{from: [{compose: blog}]}]\n"
        lax = Policies([text, OPEN.replace("select", "mode: audit\nselect")], default_mode="audit")
        self.allow(lax, WEB, BLOG)
        self.allow(lax, BLOG, DB)
        self.deny(lax, WEB, DB)
        self.deny(lax, DB, WEB)


class Rule10Test(NaiveTest):
    def selects(self, select, endpoint):
        return bool(Policies([f"policy: p\nselect: {{{select}}}\n"]).selecting(endpoint))

    def test_globs(self):
        db1 = Endpoint("db-1", "front", {"a": "", "tier": "back/end"}, image="registry:5000/postgres:15")
        for select, good in (("name: 'db-*'", True), ("name: db", False), ("name: 'db-[0-9]'", True),
                             ("name: 'db-[!0-9]'", False), ("name: '??-1'", True), ("name: 'DB-1'", False),
                             ("image: '*postgres:*'", True), ("image: 'postgres:*'", False),
                             ("labels: {tier: 'back*'}", True), ("labels: {a: '*'}", True), ("labels: {b: '*'}", False),
                             ("labels: {b: null}", True), ("labels: {a: null}", False),
                             ("labels: {a: '', tier: '*end'}", True), ("name: 'db-*', image: 'redis*'", False)):
            self.assertEqual(self.selects(select, db1), good, select)

    def test_compose_is_exact(self):
        self.assertTrue(self.selects("compose: shop", WEB))
        self.assertTrue(self.selects("compose: shop/web", WEB))
        for text in ("'sho*'", "shop/we", "'shop/*'"):
            self.assertFalse(self.selects(f"compose: {text}", WEB), text)

    def test_same(self):
        text = f"policy: p\nselect: {{all: true}}\negress: [{{}}]\ningress: [{{from: [{{same: {PROJECT}}}]}}]\n"
        self.allow(Policies([text]), WEB, DB)
        self.deny(Policies([text]), BLOG, DB)
        self.deny(Policies([text]), LONE, Endpoint("lonely", "front"))
        self.deny(Policies([text]), HOST, DB)


class Rule11Test(NaiveTest):
    def test_network_makes_one_endpoint_the_subject(self):
        front, back = Endpoint("gw", "front"), Endpoint("gw", "back")
        text = "policy: p\nselect: {network: front}\ningress: [{}]\negress: [{}]\n"
        self.allow(Policies([text]), HOST, front)
        self.deny(Policies([text]), HOST, back)
        peer = "policy: p\nselect: {all: true}\negress: [{}]\ningress: [{from: [{network: back}]}]\n"
        self.allow(Policies([peer]), back, DB)
        self.deny(Policies([peer]), front, DB)


class LabelTest(NaiveTest):
    def test_an_images_labels_do_not_count(self):
        labels, image = {"role": "db", "team": "red"}, {"role": "db", "team": "blue"}
        self.assertEqual(own_labels(labels, image), {"team": "red"})
        self.assertEqual(own_labels(labels, image, trust=True), labels)

    def test_inspect(self):
        container = {"Name": "/web", "Config": {"Image": "probe:1", "Labels": {"role": "web", "x": "1"}},
                     "HostConfig": {"Dns": None}, "NetworkSettings": {"Networks": {"front": {}, "back": {}}}}
        endpoint = endpoint_of_inspect(container, {"Config": {"Labels": {"x": "1"}}}, "front", host_dns=["10.0.0.53"])
        self.assertEqual((endpoint.name, endpoint.image, endpoint.labels), ("web", "probe:1", {"role": "web"}))
        self.assertEqual(endpoint.dns, [ipaddress.ip_address("10.0.0.53")])


class ExpectTest(NaiveTest):
    def test_expectations_are_no_policies(self):
        self.deny(Policies(["expect: it works\nallowed: [{from: {compose: shop}, to: host}]\n"]), WEB, HOST)


if __name__ == "__main__":
    unittest.main()

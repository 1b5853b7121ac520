# SPDX-License-Identifier: GPL-2.0-or-later
"""The policy sets of the truth tables. Each test loads a set and compares every cell; a file beside this one says on
which networks the containers are."""

import random

import naive
import yaml
from cofferdam import Cofferdam
from engine import Engine
from table import World

PROJECT, SERVICE = "com.docker.compose.project", "com.docker.compose.service"

OPEN = "policy: open\nselect: {all: true}\ningress: [{}]\negress: [{}]\n"
COMPOSE = f"policy: compose-isolation\nselect: {{labels: {{{PROJECT}: '*'}}}}\n" \
          f"ingress: [{{from: [{{same: {PROJECT}}}]}}]\negress: [{{to: [{{same: {PROJECT}}}]}}]\n"
WEB_TIER = """
policy: web
select: {compose: shop/web}
ingress:
  - from: [outside, host]
    ports: [80/tcp, 53/udp]
egress:
  - to: [{compose: shop/db}]
    ports: [5432/tcp]
---
policy: db
description: takes connections from its own web service alone, and opens none
select: {compose: shop/db}
ingress:
  - name: from-web
    from: [{compose: shop/web}]
    ports: [5432/tcp, icmp]
"""


def compose(project, service, **labels):
    return {PROJECT: project, SERVICE: service, **labels}


# name: (labels, further options). "fake" has an image whose author would like to be the shop's database.
IMAGE_LABELS = {"role": "db", PROJECT: "shop", SERVICE: "db"}
CONTAINERS = {
    "web": dict(labels=compose("shop", "web", role="web", tier="front"),
                publish=[(8080, 80, "tcp"), (8053, 53, "udp")], Dns=["10.77.0.10", "fd77::10"]),
    "db": dict(labels=compose("shop", "db", role="db")),
    "blog-app": dict(labels=compose("blog", "app", role="web")),
    "cache-1": dict(labels={"role": "cache", "env": "prod"}),
    "lone": {},
    "fake": dict(image="fake/db:latest", labels={"team": "red"}),
    "gw": dict(labels=compose("shop", "gw", role="gateway")),
}
PUBLISHED = [(8080, 80, "tcp", "web"), (8053, 53, "udp", "web")]


class TruthTable:
    """Mixed into a TestCase. PLACES: {container: networks as for Engine.create()}."""

    NETWORKS = {}
    PLACES = {}
    LIFT_ISOLATION = True  # let Docker pass everything between its bridges, so that only we decide
    DOCKERD = ()

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.engine = Engine(cls.DOCKERD, isolation=not cls.LIFT_ISOLATION)
        cls.addClassCleanup(cls.engine.stop)
        cls.engine.start()
        cls.engine.image("fake/db:latest", IMAGE_LABELS)
        for name, (ipv4, ipv6) in cls.NETWORKS.items():
            cls.engine.network(name, ipv4, ipv6)
        cls.engine.run_all({name: dict(options, networks=cls.PLACES[name], command=SERVE_COMMAND)
                            for name, options in CONTAINERS.items()})
        containers = {container.name: container for container in cls.engine.containers.values()}
        cls.world = World(cls.engine, {name: containers[name] for name in CONTAINERS}, PUBLISHED).refresh().serve()
        cls.world.measure_baseline(all_connected=cls.LIFT_ISOLATION)
        cls.firewall = cls.engine.firewall()
        cls.cofferdam = Cofferdam(cls.engine).start()

    def table(self, policies, what="", **options):
        """Loads the policies and compares every cell with what the naive evaluator says."""
        self.cofferdam.apply(policies)
        texts = [policies] if isinstance(policies, str) else policies.values()
        return self.world.check(self, naive.Policies(texts, **options), what)

    def results(self, policies):
        """{cell: result} of a table that must be right as well."""
        return {cell: answer.result for cell, answer in self.table(policies).items()}


SERVE_COMMAND = ["probe", "serve", "80/tcp", "443/tcp", "5432/tcp", "9000/tcp", "9010/tcp", "9011/tcp", "53/udp", "443/udp",
                 "9000/udp", "9011/udp", "5432/sctp"]


class BasicTables(TruthTable):
    """What holds on any network."""

    def test_no_policies(self):
        answers = self.table({})
        self.assertFalse([cell for cell, answer in answers.items() if answer.result == "connected" and
                          cell.source in CONTAINERS])

    def test_everything_open(self):
        self.table(OPEN)

    def test_one_direction_alone_opens_nothing_between_containers(self):
        self.table("policy: in\nselect: {all: true}\ningress: [{}]\n", " (ingress alone)")
        self.table("policy: out\nselect: {all: true}\negress: [{}]\n", " (egress alone)")

    def test_compose_isolation(self):
        self.table(COMPOSE)

    def test_web_tier(self):
        self.table(WEB_TIER)

    def test_overlapping_policies(self):
        self.table(COMPOSE + "---\n" + WEB_TIER + """
---
policy: roles
select: {labels: {role: web}}
ingress: [{from: [{labels: {role: '*'}}, host], ports: [80/tcp, 443/tcp]}]
egress: [{to: [containers], ports: [tcp]}]
---
policy: caches
select: {name: 'cache-*'}
ingress: [{from: [any]}]
egress: [{to: [{compose: shop}], ports: [9000-9010/tcp, icmp]}]
""")


class AllTables(BasicTables):
    """Every part of the language."""

    def test_cidr_and_except(self):
        self.table("""
policy: lan
select: {compose: shop}
ingress:
  - from: [{cidr: 10.77.0.0/24}, {cidr: 'fd77::/64', except: ['fd77::/123']}]
    ports: [80/tcp, 53/udp, icmp]
  - from: [{cidr: 203.0.113.0/24, except: [203.0.113.2/32]}]
egress:
  - to:
      - {cidr: 10.77.0.0/16, except: [10.77.99.0/24, 10.77.0.32/28]}
      - {cidr: 'fd77::/48', except: ['fd77:0:0:99::/64']}
    ports: [443/tcp, 53/udp]
  - to: [{cidr: 10.77.99.0/28}]
    ports: [icmp]
---
policy: everywhere
description: all blocks hold neither containers nor the host
select: {name: lone}
ingress: [{from: [{cidr: 0.0.0.0/0}]}]
egress: [{to: [{cidr: 0.0.0.0/0}, {cidr: '::/0'}]}]
---
policy: the-containers-own-blocks
select: {name: blog-app}
ingress: [{from: [{cidr: 10.91.0.0/16}, {cidr: 10.92.0.0/16}, {cidr: 'fd91::/64'}]}]
egress: [{to: [{cidr: 10.91.0.0/16}, {cidr: 10.92.0.0/16}, {cidr: 'fd91::/64'}]}]
""")

    def test_internet(self):
        self.table("""
policy: internet
select: {labels: {role: '*'}}
ingress: [{from: [internet], ports: [80/tcp, icmp]}]
egress: [{to: [internet], ports: [443/tcp, 53/udp, icmp]}]
""")

    def test_words(self):
        self.table("""
policy: host
select: {compose: shop/web}
ingress: [{from: [host], ports: [80/tcp, 5432/tcp, icmp]}]
egress: [{to: [host], ports: [53/udp, 443/tcp]}]
---
policy: containers
select: {labels: {role: cache}}
ingress: [{from: [containers]}]
egress: [{to: [containers]}]
---
policy: outside
select: {name: blog-app}
ingress: [{from: [outside], ports: [443/tcp]}]
egress: [{to: [outside, {name: cache-1}]}]
---
policy: any
select: {name: lone}
ingress: [{from: [any], ports: [udp]}]
egress: [{to: [any], ports: [tcp]}]
""")

    def test_dns(self):
        self.table("policy: dns\nselect: {all: true}\negress: [{to: [dns]}]\n", " (all ports of it)")
        self.table("policy: dns\nselect: {all: true}\negress: [{to: [dns], ports: [53/udp]}]\n", " (UDP)")

    def test_a_deny_beats_every_allow(self):
        self.table(OPEN + """
---
policy: denials
select: {labels: {role: '*'}}
ingress:
  - {name: no-blog, deny: true, from: [{compose: blog}], ports: [80/tcp, 53/udp, icmp]}
  - {deny: true, from: [{cidr: 10.77.0.0/16, except: [10.77.0.0/24]}, {cidr: 'fd77::/64'}]}
egress:
  - {name: no-metadata, deny: true, to: [{cidr: 169.254.169.254/32}]}
  - {deny: true, to: [host], ports: [1-5431/tcp, 5433-65535/tcp]}
  - {deny: true, to: [{name: lone}]}
---
policy: db-is-quiet
select: {compose: shop/db}
egress: [{deny: true}]
""")

    def test_ports(self):
        self.table("""
policy: sources
select: {all: true}
egress: [{}]
---
policy: ranges
select: {name: '*b*'}
ingress:
  - ports: [9000-9010/tcp, 9011/udp]
  - {from: [host], ports: [1-79/tcp, 81-65535/tcp]}
---
policy: protocols
select: {name: cache-1}
ingress: [{ports: [udp, 443/tcp]}]
---
policy: echo
select: {name: lone}
ingress: [{ports: [icmp/echo-request]}]
---
policy: all-of-icmp
select: {name: fake}
ingress: [{ports: [icmp]}]
---
policy: sctp-is-not-tcp
select: {name: gw}
ingress: [{ports: [sctp, 5432/sctp]}]
""")

    def test_networks(self):
        self.table("""
policy: on-the-front
select: {network: front}
ingress: [{from: [{network: front}]}]
egress: [{}]
---
policy: shop-on-the-back
select: {network: back, compose: shop}
ingress: [{from: [{network: back}, host], ports: [80/tcp, 5432/tcp, icmp]}]
egress: [{to: [{network: front}], ports: [80/tcp]}, {to: [{network: back, labels: {role: cache}}]}]
---
policy: others-on-the-back
select: {network: back}
ingress: [{from: [{compose: shop}], ports: [53/udp]}]
egress: [{ports: [443/tcp]}]
""")

    def test_labels(self):
        self.table("""
policy: databases
description: matches db, not the container whose image says so
select: {labels: {role: db}}
ingress: [{from: [{labels: {role: 'w?b', tier: '*'}}, {labels: {team: '[!b]ed'}}]}]
egress: [{to: [{labels: {role: null}}]}]
---
policy: the-unlabelled
select: {labels: {role: null, com.docker.compose.project: null}}
ingress: [{from: [{labels: {role: db}}, {labels: {env: 'prod'}}]}]
egress: [{to: [{labels: {role: db}}]}]
---
policy: webs
select: {labels: {role: 'w[aeiou]b'}}
egress: [{to: [{labels: {role: db}}]}]
---
policy: production
select: {labels: {env: '*'}}
egress: [{to: [{labels: {team: null, role: null}}, {labels: {team: red}}]}]
""")
        ignored = {row["name"]: row["ignored_labels"] for row in self.cofferdam.json("status")["containers"]}
        self.assertEqual(ignored["db"], [])
        self.assertEqual(sorted(ignored["fake"]), sorted(IMAGE_LABELS))

    def test_same_of_another_label(self):
        self.table("policy: same-role\nselect: {all: true}\ningress: [{from: [{same: role}]}]\negress: [{to: [{same: role}]}]\n")

    def test_trusted_image_labels(self):
        self.cofferdam.restart(image_labels="trust")
        self.world.refresh(trust=True)
        try:
            self.table(COMPOSE + "---\npolicy: db\nselect: {labels: {role: db}}\ningress: [{from: [{compose: shop}]}]\n")
        finally:
            self.world.refresh()
            self.cofferdam.restart()

    def test_names_and_images(self):
        self.table("""
policy: names
select: {name: '[a-c]*'}
ingress: [{from: [{name: '*'}]}]
egress: [{to: [{name: 'cache-[0-9]'}, {name: '??'}, {image: 'fake/*'}]}]
---
policy: images
select: {image: 'fake/*:*'}
ingress: [{from: [{image: 'probe:*', name: '*-*'}]}]
egress: [{to: [{image: 'prob?:1'}]}]
---
policy: not-this-one
select: {image: 'db:*'}
ingress: [{}]
egress: [{}]
""")

    def test_reject(self):
        answers = self.table("""
policy: polite
reject: true
select: {compose: shop}
ingress: [{from: [{compose: blog}], ports: [80/tcp]}]
egress: [{to: [{compose: shop}], ports: [80/tcp]}]
---
policy: open-sources
select: {labels: {role: web, tier: null}}
egress: [{}]
---
policy: polite-too
reject: true
select: {name: lone}
egress: [{}]
---
policy: staged
mode: audit
select: {name: fake}
""")
        self.assertIn("refused", {answer.result for answer in answers.values()})

    def test_staged_policies_are_ignored(self):
        self.table(WEB_TIER + "---\n" + OPEN.replace("select", "mode: audit\nselect") + """
---
policy: staged-denial
mode: audit
select: {all: true}
ingress: [{deny: true}]
egress: [{deny: true}]
""")

    def test_default_mode_audit(self):
        self.cofferdam.restart(default_mode="audit")
        try:
            self.table(WEB_TIER + "---\npolicy: staged\nmode: audit\nselect: {name: lone}\n", default_mode="audit")
        finally:
            self.cofferdam.restart()

    def test_rules_without_peers_or_ports(self):
        self.table("""
policy: no-peers
select: {compose: shop}
ingress: [{ports: [80/tcp, icmp]}]
egress: [{ports: [80/tcp, 53/udp, icmp]}]
---
policy: no-ports
select: {compose: blog}
ingress: [{from: [host]}]
egress: [{to: [{compose: shop/web}, {cidr: 198.41.0.0/24}]}]
---
policy: nothing
select: {name: cache-1}
ingress: []
egress:
""")

    def test_order_and_files_do_not_matter(self):
        documents = (COMPOSE + "---" + WEB_TIER + "---\n" + """
policy: extra
select: {labels: {role: '*'}}
ingress:
  - {deny: true, from: [{name: lone}]}
  - {from: [any], ports: [53/udp, 443/tcp]}
egress:
  - {to: [{cidr: 10.77.0.0/16, except: [10.77.99.0/24]}]}
  - {deny: true, to: [{name: fake}], ports: [80/tcp]}
  - {}
""").split("---\n")
        whole = self.results({"all.yaml": "---\n".join(documents)})
        dice = random.Random(4)
        parsed = [yaml.safe_load(document) for document in documents]
        for turn in range(2):
            dice.shuffle(parsed)
            for policy in parsed:
                for direction in ("ingress", "egress"):
                    dice.shuffle(policy.get(direction) or [])
            files = {f"{dice.randrange(1000):03}-{index}.{dice.choice(['yaml', 'yml'])}": yaml.safe_dump(policy)
                     for index, policy in enumerate(parsed)}
            self.assertEqual(self.results(files), whole, f"turn {turn}")
        twice = dict(files, **{"copies.yaml": "---\n".join(
            yaml.safe_dump(dict(policy, policy=policy["policy"] + "-again")) for policy in parsed)})
        self.assertEqual(self.results(twice), whole, "everything said twice")

    def test_zz_dockers_own_rules_were_never_touched(self):
        self.assertEqual(self.engine.firewall(), self.firewall)

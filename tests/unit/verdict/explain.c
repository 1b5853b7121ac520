/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "documents.h"
#include "inventory/json.h"
#include "policy/parse.h"
#include "verdict/explain_json.h"

static const char policies[] =
    "policy: shop-web\n"
    "select: {compose: shop/web}\n"
    "ingress:\n"
    "  - {from: [outside, host], ports: [80/tcp]}\n"
    "egress:\n"
    "  - name: ask\n"
    "    to: [{compose: shop/api}]\n"
    "    ports: [8000-8010/tcp]\n"
    "---\n"
    "policy: shop-api\n"
    "select: {compose: shop/api}\n"
    "ingress:\n"
    "  - {from: [{compose: shop/web}], ports: [8000/tcp, 8005/tcp, icmp/echo-request]}\n"
    "egress:\n"
    "  - {to: [internet], ports: [443/tcp]}\n"
    "  - {to: [dns]}\n"
    "  - name: no-metadata\n"
    "    deny: true\n"
    "    to: [{cidr: 169.254.169.254/32}]\n"
    "---\n"
    "policy: trial\n"
    "mode: audit\n"
    "select: {name: lone}\n"
    "ingress: [{}]\n"
    "---\n"
    "policy: open-a\n"
    "select: {labels: {open: 'yes'}}\n"
    "ingress: [{}]\n"
    "egress: [{}]\n"
    "---\n"
    "policy: open-b\n"
    "select: {network: back, labels: {open: 'yes'}}\n"
    "egress:\n"
    "  - {name: not-udp, deny: true, ports: [udp]}\n"
    "---\n"
    "policy: far\n"
    "select: {name: far}\n"
    "egress:\n"
    "  - {to: [{cidr: 10.0.0.0/8, except: [10.1.0.0/16]}], ports: [443/tcp]}\n"
    "  - {to: [{cidr: 172.18.0.0/16}]}\n"
    "  - {to: [host, internet], ports: [22/tcp, 23/tcp, 24/tcp, 25/tcp, 26/tcp, 27/tcp]}\n"
    "  - {name: one, deny: true, to: [host], ports: [tcp]}\n"
    "  - {name: two, deny: true, to: [host], ports: [20-30/tcp]}\n"
    "---\n"
    "policy: far-trial\n"
    "mode: audit\n"
    "select: {name: far}\n"
    "egress:\n"
    "  - {to: [outside]}\n"
    "  - {deny: true, ports: [443/tcp]}\n";

/* front has both families, back only IPv4; lan is a macvlan. */
static const char inventory_json[] =
    "{'format_version': '1.0', 'networks': ["
    "  {'id': 'n1', 'name': 'front', 'driver': 'bridge', 'bridge': 'br-1', 'ipv6': true, 'managed': true},"
    "  {'id': 'n2', 'name': 'back', 'driver': 'bridge', 'bridge': 'br-2', 'internal': true, 'managed': true},"
    "  {'id': 'n3', 'name': 'lan', 'driver': 'macvlan', 'managed': false}],"
    " 'containers': ["
    "  {'id': 'aa11', 'name': 'shop-web-1', 'running': true, 'network_mode': 'bridge',"
    "   'labels': {'com.docker.compose.project': 'shop', 'com.docker.compose.service': 'web'},"
    "   'endpoints': [{'network': 'n1', 'network_name': 'front', 'id': 'e1', 'ipv4': '172.18.0.2',"
    "                  'ipv6': 'fd00::2'}]},"
    "  {'id': 'aa22', 'name': 'shop-api-1', 'running': true, 'network_mode': 'bridge',"
    "   'labels': {'com.docker.compose.project': 'shop', 'com.docker.compose.service': 'api'},"
    "   'endpoints': [{'network': 'n1', 'network_name': 'front', 'id': 'e2', 'ipv4': '172.18.0.3',"
    "                  'ipv6': 'fd00::3'},"
    "                 {'network': 'n2', 'network_name': 'back', 'id': 'e3', 'ipv4': '172.19.0.3'}]},"
    "  {'id': 'bb33', 'name': 'lone', 'running': true, 'network_mode': 'bridge',"
    "   'endpoints': [{'network': 'n2', 'network_name': 'back', 'id': 'e4', 'ipv4': '172.19.0.4'}]},"
    "  {'id': 'bb44', 'name': 'open1', 'running': true, 'network_mode': 'bridge', 'labels': {'open': 'yes'},"
    "   'endpoints': [{'network': 'n1', 'network_name': 'front', 'id': 'e5', 'ipv4': '172.18.0.5'},"
    "                 {'network': 'n2', 'network_name': 'back', 'id': 'e6', 'ipv4': '172.19.0.5'}]},"
    "  {'id': 'bb55', 'name': 'open2', 'running': true, 'network_mode': 'bridge', 'labels': {'open': 'yes'},"
    "   'endpoints': [{'network': 'n1', 'network_name': 'front', 'id': 'e7', 'ipv4': '172.18.0.6'},"
    "                 {'network': 'n2', 'network_name': 'back', 'id': 'e8', 'ipv4': '172.19.0.6'}]},"
    "  {'id': 'bb66', 'name': 'far', 'running': true, 'network_mode': 'bridge',"
    "   'endpoints': [{'network': 'n1', 'network_name': 'front', 'id': 'eb', 'ipv4': '172.18.0.9'}]},"
    "  {'id': 'bb77', 'name': 'shop-web-2', 'running': true, 'network_mode': 'bridge',"
    "   'labels': {'com.docker.compose.project': 'shop', 'com.docker.compose.service': 'web'},"
    "   'published': [{'address': '0.0.0.0', 'port': 8080, 'container_port': 80, 'protocol': 'tcp'},"
    "                 {'address': '::', 'port': 8080, 'container_port': 80, 'protocol': 'tcp'},"
    "                 {'address': '127.0.0.1', 'port': 9000, 'container_port': 81, 'protocol': 'tcp'},"
    "                 {'address': '192.0.2.1', 'port': 81, 'container_port': 82, 'protocol': 'tcp'}],"
    "   'endpoints': [{'network': 'n1', 'network_name': 'front', 'id': 'ec', 'ipv4': '172.18.0.10'}]},"
    "  {'id': 'cc66', 'name': 'exporter', 'running': true, 'network_mode': 'host'},"
    "  {'id': 'cc77', 'name': 'sidecar', 'running': true, 'network_mode': 'container', 'network_target': "
    "'aa11'},"
    "  {'id': 'cc88', 'name': 'alone', 'running': true, 'network_mode': 'none'},"
    "  {'id': 'ee11', 'name': '192.0.2.77', 'running': true, 'network_mode': 'none'},"
    "  {'id': 'ee22', 'name': 'host', 'running': true, 'network_mode': 'none'},"
    "  {'id': 'cc99', 'name': 'old', 'running': false, 'network_mode': 'bridge',"
    "   'endpoints': [{'network': 'n1', 'network_name': 'front'}]},"
    "  {'id': 'dd11', 'name': 'lan1', 'running': true, 'network_mode': 'bridge',"
    "   'endpoints': [{'network': 'n3', 'network_name': 'lan', 'id': 'e9', 'ipv4': '192.168.1.50'}]},"
    "  {'id': 'dd22', 'name': 'lan2', 'running': true, 'network_mode': 'bridge',"
    "   'endpoints': [{'network': 'n3', 'network_name': 'lan', 'id': 'ea', 'ipv4': '192.168.1.51'}]}],"
    " 'name_servers': ['192.0.2.53'], 'host_addresses': ['192.0.2.1', '172.18.0.1']}";

struct world {
    struct policy_set *policies;
    struct inventory *inventory;
    struct settings *settings;
    struct evaluation evaluation;
};

static void print_diags(struct diags *diags)
{
    diags_print(diags, stderr, false);
    diags_clear(diags);
}

static int setup(void **state)
{
    struct world *world = xnew(struct world);
    struct diags diags = {};
    _cleanup_free_ char *json = xstrdup(inventory_json);

    world->policies = policy_set_new();
    world->settings = settings_new();
    for (char *c = json; *c; c++)
        if (*c == '\'')
            *c = '"';
    int r = policy_parse(world->policies, "p.yaml", policies, strlen(policies), &diags);
    r = policy_set_finish(world->policies, &diags) ?: r;
    json_t *document = json_loads(json, 0, NULL);
    r = r ?: inventory_from_json(document, &world->inventory, &diags);
    json_decref(document);
    print_diags(&diags);
    *state = world;
    if (r < 0)
        return r;
    /* The peer dns counts once the Engine was asked for --dns. */
    struct container *container, *next;
    HASH_ITER (hh, world->inventory->containers, container, next) {
        container->dns_known = true;
        container->labels_known = true;
    }
    world->evaluation = (struct evaluation){world->policies, world->inventory, world->settings, NULL};
    return 0;
}

static int teardown(void **state)
{
    struct world *world = *state;

    policy_set_free(world->policies);
    inventory_free(world->inventory);
    settings_free(world->settings);
    free(world);
    return 0;
}

static struct explanation *ask(void **state, const char *from, const char *to, const char *port)
{
    struct world *world = *state;
    struct explanation *x = NULL;
    struct diags diags = {};

    int r = explain(&world->evaluation, from, to, port, &x, &diags);
    print_diags(&diags);
    assert_int_equal(r, 0);
    json_decref(document_made("explain", explanation_to_json(x)));
    return x;
}

static void assert_text(void **state, const char *from, const char *to, const char *port,
                        const char *expected)
{
    _cleanup_(explanation_freep) struct explanation *x = ask(state, from, to, port);
    _cleanup_free_ char *text = explanation_text(x);

    assert_string_equal(text, expected);
    assert_int_equal(x->verdict == VERDICT_DENY,
                     strstr(text, ": denied\n") && strstr(text, ": denied\n") < strchr(text, '\n'));
}

static void test_allowed(void **state)
{
    assert_text(state, "shop-web-1", "shop-api-1", "8000/tcp",
                "shop-web-1 -> shop-api-1 8000/tcp: allowed\n"
                "  network: front IPv4, IPv6\n"
                "  egress of shop-web-1: allowed by shop-web egress ask (p.yaml:6)\n"
                "  ingress of shop-api-1: allowed by shop-api ingress 1 (p.yaml:13)\n");
}

static void test_denied_by_one_side(void **state)
{
    assert_text(
        state, "shop-web-1", "shop-api-1", "8001/tcp",
        "shop-web-1 -> shop-api-1 8001/tcp: denied\n"
        "  network: front IPv4, IPv6\n"
        "  egress of shop-web-1: allowed by shop-web egress ask (p.yaml:6)\n"
        "  ingress of shop-api-1: denied: policy shop-api selects it, and none of its ingress rules "
        "allows this\n"
        "    near: shop-api ingress 1 (p.yaml:13) allows this peer, but only 8000/tcp, 8005/tcp, icmp/echo-request\n"
        "\n"
        "To allow it, add to policy shop-api (p.yaml:10), under ingress:\n"
        "    - from: [{compose: shop/web}]\n"
        "      ports: [8001/tcp]\n");
}

static void test_denied_by_both_without_a_policy(void **state)
{
    assert_text(
        state, "lone", "shop-api-1", "8000/tcp",
        "lone -> shop-api-1 8000/tcp: denied\n"
        "  network: back IPv4\n"
        "  egress of lone: denied: no policy selects it (policy trial selects it, but is only staged: mode: "
        "audit)\n"
        "  ingress of shop-api-1: denied: policy shop-api selects it, and none of its ingress rules allows "
        "this\n"
        "    near: shop-api ingress 1 (p.yaml:13) allows this port, but only from compose: shop/web\n"
        "\n"
        "To allow it, add this policy:\n"
        "    policy: lone\n"
        "    select: {name: lone}\n"
        "    egress:\n"
        "      - to: [{compose: shop/api}]\n"
        "        ports: [8000/tcp]\n"
        "For the other side, add to policy shop-api (p.yaml:10), under ingress:\n"
        "    - from: [{name: lone}]\n"
        "      ports: [8000/tcp]\n");
}

static void test_deny_rule(void **state)
{
    assert_text(state, "shop-api-1", "169.254.169.254", "80/tcp",
                "shop-api-1 -> 169.254.169.254 80/tcp: denied\n"
                "  network: front IPv4; back IPv4\n"
                "  egress of shop-api-1: denied by the deny rule shop-api egress no-metadata (p.yaml:17)\n"
                "\n"
                "To allow it, remove or narrow the deny rule shop-api egress no-metadata (p.yaml:17): a deny "
                "rule beats "
                "every allow.\n"
                "No rule allows it either: besides, add to policy shop-api (p.yaml:10), under egress:\n"
                "    - to: [{cidr: '169.254.169.254/32'}]\n"
                "      ports: [80/tcp]\n");
}

static void test_outside_and_host(void **state)
{
    assert_text(
        state, "198.51.100.9", "shop-web-1", "80/tcp",
        "198.51.100.9 -> shop-web-1 80/tcp: allowed\n"
        "  network: front IPv4\n"
        "  ingress of shop-web-1: allowed by shop-web ingress 1 (p.yaml:4)\n"
        "note: 80/tcp is not published: no port of the host leads those outside to it; a route to the\n"
        "      container's network does, where Docker allows that (by default before Docker 28)\n");
    assert_text(state, "host", "shop-web-1", "80/tcp",
                "host -> shop-web-1 80/tcp: allowed\n"
                "  network: front IPv4, IPv6\n"
                "  ingress of shop-web-1: allowed by shop-web ingress 1 (p.yaml:4)\n");
    assert_text(state, "192.0.2.1", "shop-web-1", "81/tcp",
                "host (192.0.2.1) -> shop-web-1 81/tcp: denied\n"
                "  network: front IPv4\n"
                "  ingress of shop-web-1: denied: policy shop-web selects it, and none of its ingress rules "
                "allows this\n"
                "    near: shop-web ingress 1 (p.yaml:4) allows this peer, but only 80/tcp\n"
                "\n"
                "To allow it, add to policy shop-web (p.yaml:1), under ingress:\n"
                "    - from: [host]\n"
                "      ports: [81/tcp]\n");
    assert_text(
        state, "host", "2001:db8::1", NULL,
        "host -> 2001:db8::1: not enforced\n"
        "  nothing is enforced here: neither end is a container on a network that Cofferdam manages\n");
}

static void test_dns_hint(void **state)
{
    _cleanup_(explanation_freep) struct explanation *x = ask(state, "shop-web-1", "192.0.2.53", "53/udp");
    assert_non_null(x->hint);
    assert_non_null(strstr(x->hint, "- to: [dns]\n      ports: [53/udp]\n"));
    _cleanup_(explanation_freep) struct explanation *y = ask(state, "shop-web-1", "192.0.2.54", "53/udp");
    assert_non_null(strstr(y->hint, "- to: [{cidr: '192.0.2.54/32'}]\n"));
    _cleanup_(explanation_freep) struct explanation *z = ask(state, "shop-api-1", "192.0.2.53", "53/udp");
    assert_int_equal(z->verdict, VERDICT_ALLOW);
}

static void assert_says(void **state, const char *from, const char *to, const char *port, const char *part)
{
    _cleanup_(explanation_freep) struct explanation *x = ask(state, from, to, port);
    _cleanup_free_ char *text = explanation_text(x);

    if (!strstr(text, part))
        assert_string_equal(text, part);
}

/* What those outside and the host ask about is followed to the container, and denied or allowed as its own port is. */
static void test_published_followed(void **state)
{
    static const char answer[] =
        "198.51.100.9 -> shop-web-2 80/tcp: allowed\n"
        "  network: front IPv4\n"
        "  ingress of shop-web-2: allowed by shop-web ingress 1 (p.yaml:4)\n"
        "note: port 8080 of the host (published at 0.0.0.0:8080) leads to 80/tcp of shop-web-2; policies name that "
        "one\n";

    assert_text(state, "198.51.100.9", "shop-web-2", "8080/tcp", answer);
    assert_text(state, "198.51.100.9", "host", "8080/tcp", answer);
    assert_text(state, "198.51.100.9", "192.0.2.1", "8080/tcp", answer);
    assert_says(state, "host", "127.0.0.1", "9000/tcp",
                "host -> shop-web-2 81/tcp: denied\n"
                "  network: front IPv4\n"
                "  ingress of shop-web-2: denied: policy shop-web selects it");
    assert_says(
        state, "host", "127.0.0.1", "9000/tcp",
        "note: port 9000 of the host (published at 127.0.0.1:9000) leads to 81/tcp of shop-web-2; policies "
        "name that one\n");
    assert_says(state, "host", "::1", "8080/tcp", "(published at [::]:8080) leads to 80/tcp");
}

static void test_published_not_followed(void **state)
{
    /* 81/tcp is a port of the container's as well; UDP is not published; nor is any port elsewhere on the host. */
    static const char *const asked[][3] = {
        {"198.51.100.9", "shop-web-2", "81/tcp"},   {"198.51.100.9", "shop-web-2", "8080/udp"},
        {"198.51.100.9", "host", "9000/tcp"},       {"198.51.100.9", "172.18.0.10", "8080/tcp"},
        {"198.51.100.9", "shop-web-1", "8080/tcp"}, {"198.51.100.9", "172.18.0.1", "81/tcp"},
        {"198.51.100.9", "host", "80/tcp"},         {"198.51.100.9", "shop-web-2", "8080-8081/tcp"},
        {"shop-web-1", "127.0.0.1", "8080/tcp"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(asked); i++) {
        _cleanup_(explanation_freep) struct explanation *x =
            ask(state, asked[i][0], asked[i][1], asked[i][2]);
        assert_false(x->followed);
        assert_string_equal(x->port, asked[i][2]);
        if (x->published_note)
            assert_null(strstr(x->published_note, "leads to"));
    }
    _cleanup_(explanation_freep) struct explanation *at = ask(state, "198.51.100.9", "192.0.2.1", "81/tcp");
    assert_true(at->followed);
}

/* By way of docker-proxy, the container sees the host, and so do the policies. */
static void test_published_in_another_family(void **state)
{
    assert_text(
        state, "2001:db8::9", "host", "8080/tcp",
        "2001:db8::9 -> host 8080/tcp: not enforced\n"
        "  nothing is enforced here: neither end is a container on a network that Cofferdam manages\n"
        "note: port 8080 of the host leads to 80/tcp of shop-web-2, which has no address of this family: "
        "docker-proxy\n"
        "      goes on to it, and its connections are the host's (see: cofferdam explain host shop-web-2 "
        "80/tcp)\n");
}

static void test_published_at(void **state)
{
    struct policy *web = &((struct world *)*state)->policies->policies[0];

    assert_says(state, "198.51.100.9", "shop-web-2", "80/tcp",
                "note: 80/tcp is published at 0.0.0.0:8080, [::]:8080\n");
    for (size_t i = 1; strcmp(web->name, "shop-web") != 0; i++)
        web = &((struct world *)*state)->policies->policies[i];
    struct port *port = &web->rules[INGRESS][0].ports[0];
    port->last = 81;
    assert_says(
        state, "198.51.100.9", "shop-web-2", "81/tcp",
        "note: 81/tcp is published at 127.0.0.1:9000 alone: no port of the host leads those outside to it; a route to");
    port->last = 80;
    assert_says(
        state, "198.51.100.9", "shop-web-2", NULL,
        "note: from outside, ports of the host lead to published ports alone; the ports here are those\n"
        "      that the container sees\n");
}

static void test_published_between_containers(void **state)
{
    assert_text(
        state, "open1", "shop-web-2", "8080/tcp",
        "open1 -> shop-web-2 8080/tcp: denied\n"
        "  network: front IPv4\n"
        "  egress of open1: allowed by open-a egress 1 (p.yaml:29)\n"
        "  ingress of shop-web-2: denied: policy shop-web selects it, and none of its ingress rules allows "
        "this\n"
        "note: port 8080 is the host's, and leads to 80/tcp of shop-web-2: between containers, that port "
        "counts, and it is denied\n"
        "      (see: cofferdam explain open1 shop-web-2 80/tcp)\n");
    assert_text(
        state, "open1", "host", "8080/tcp",
        "open1 -> host 8080/tcp: allowed\n"
        "  network: front IPv4; back IPv4\n"
        "  egress of open1: allowed by open-a egress 1 (p.yaml:29)\n"
        "note: port 8080 is the host's, and leads to 80/tcp of shop-web-2: the connection is the host's where "
        "docker-proxy\n"
        "      takes it, else one to that port, and it is denied\n"
        "      (see: cofferdam explain open1 shop-web-2 80/tcp)\n");
    /* What has to be written for the host is said, nothing for a port that is not meant. */
    _cleanup_(explanation_freep) struct explanation *host = ask(state, "lone", "host", "8080/tcp");
    assert_non_null(strstr(host->hint, "- to: [host]\n        ports: [8080/tcp]\n"));
    _cleanup_(explanation_freep) struct explanation *x = ask(state, "open1", "shop-web-2", "8080/tcp");
    assert_null(x->hint);
    json_t *json = explanation_to_json(x);
    const char *container, *address, *protocol;
    int port, inner, followed;
    assert_int_equal(json_unpack(json, "{s:{s:s, s:s, s:i, s:i, s:s, s:b}}", "published", "container",
                                 &container, "address", &address, "port", &port, "container_port", &inner,
                                 "protocol", &protocol, "followed", &followed),
                     0);
    assert_string_equal(container, "shop-web-2");
    assert_string_equal(address, "0.0.0.0");
    assert_string_equal(protocol, "tcp");
    assert_true(port == 8080 && inner == 80 && !followed);
    json_decref(json);
}

static void test_near_addresses(void **state)
{
    assert_says(state, "far", "10.1.2.3", "443/tcp",
                "is only staged: mode: audit)\n"
                "    near: far egress 1 (p.yaml:39) allows 10.0.0.0/8, but its except takes 10.1.0.0/16 out\n"
                "    near: far egress 2 (p.yaml:40) allows every port, but only to cidr: 172.18.0.0/16\n"
                "\n");
    assert_says(
        state, "far", "open1", "80/tcp",
        "    near: far egress 2 (p.yaml:40) allows 172.18.0.0/16, but a cidr never means a container or the "
        "host\n"
        "  ingress");
    assert_says(
        state, "far", "8.8.8.8", "80/tcp",
        "    near: far-trial egress 1 (p.yaml:49) would allow it, but is only staged\n"
        "    near: far egress 3 (p.yaml:41) allows this peer, but only 22/tcp, 23/tcp, 24/tcp, 25/tcp and 2 "
        "more\n"
        "    near: far egress 2 ");
}

/* A deny rule of its own keeps what is staged from allowing it. */
static void test_staged_that_would_not(void **state)
{
    _cleanup_(explanation_freep) struct explanation *x = ask(state, "far", "8.8.8.8", "443/tcp");
    _cleanup_free_ char *text = explanation_text(x);

    assert_null(strstr(text, "near: far-trial"));
}

/* On back, a deny rule stands in the way of UDP besides; on front, only one side is missing. */
static void test_hint_is_for_the_nearest_way(void **state)
{
    struct container *open1 = inventory_container(((struct world *)*state)->inventory, "bb44");
    struct endpoint swapped = open1->endpoints[0];

    open1->endpoints[0] = open1->endpoints[1];
    open1->endpoints[1] = swapped;
    _cleanup_(explanation_freep) struct explanation *x = ask(state, "open1", "shop-api-1", "5/udp");
    assert_ptr_equal(x->ways[0].network_from, inventory_network(((struct world *)*state)->inventory, "n2"));
    assert_null(strstr(x->hint, "deny rule"));
    assert_non_null(strstr(x->hint, "To allow it, add to policy shop-api (p.yaml:10), under ingress:\n"));
    open1->endpoints[1] = open1->endpoints[0];
    open1->endpoints[0] = swapped;
}

static void test_all_that_stands_in_the_way(void **state)
{
    assert_says(state, "far", "host", "22/tcp",
                "  egress of far: denied by the deny rule far egress one (p.yaml:42)\n"
                "    near: far egress 3 (p.yaml:41) would allow it, but a deny rule beats every allow\n"
                "\n"
                "To allow it, remove or narrow the deny rules far egress one (p.yaml:42) and far egress two "
                "(p.yaml:43): a deny rule beats every allow.\n");
    assert_says(
        state, "far", "host", "99/tcp",
        "\nTo allow it, remove or narrow the deny rule far egress one (p.yaml:42): a deny rule beats every "
        "allow.\n"
        "No rule allows it either: besides, add to policy far (p.yaml:36), under egress:\n"
        "    - to: [host]\n"
        "      ports: [99/tcp]\n");
}

static void test_ways_that_differ(void **state)
{
    assert_text(state, "open1", "open2", "53/udp",
                "open1 -> open2 53/udp: allowed\n"
                "  network: front IPv4: allowed\n"
                "  egress of open1: allowed by open-a egress 1 (p.yaml:29)\n"
                "  ingress of open2: allowed by open-a ingress 1 (p.yaml:28)\n"
                "  network: back IPv4: denied\n"
                "  egress of open1: denied by the deny rule open-b egress not-udp (p.yaml:34)\n"
                "    near: open-a egress 1 (p.yaml:29) would allow it, but a deny rule beats every allow\n"
                "  ingress of open2: allowed by open-a ingress 1 (p.yaml:28)\n");
}

static void test_docker_blocks(void **state)
{
    /* Only back is internal: from front the outside can be reached. */
    _cleanup_(explanation_freep) struct explanation *x = ask(state, "open1", "198.51.100.9", "80/tcp");
    assert_int_equal(x->verdict, VERDICT_ALLOW);
    assert_false(x->docker_blocks);

    assert_text(
        state, "open1", "lone", "80/tcp",
        "open1 -> lone 80/tcp: denied\n"
        "  network: back IPv4\n"
        "  egress of open1: allowed by open-a egress 1 (p.yaml:29)\n"
        "  ingress of lone: denied: no policy selects it (policy trial selects it, but is only staged: mode: "
        "audit)\n"
        "    near: trial ingress 1 (p.yaml:24) would allow it, but is only staged\n"
        "\n"
        "To allow it, add this policy:\n"
        "    policy: lone\n"
        "    select: {name: lone}\n"
        "    ingress:\n"
        "      - from: [{name: open1}]\n"
        "        ports: [80/tcp]\n"
        "Or put policy trial in force, with all its rules: take its `mode: audit` out (p.yaml:21).\n");
    /* By address one end is pinned to a network that the other is not on. */
    assert_text(
        state, "172.18.0.5", "172.19.0.6", "80/tcp",
        "open1 (172.18.0.5) -> open2 (172.19.0.6) 80/tcp: allowed by the policies, but not by Docker\n"
        "  network: front to back IPv4\n"
        "  egress of open1: allowed by open-a egress 1 (p.yaml:29)\n"
        "  ingress of open2: allowed by open-a ingress 1 (p.yaml:28)\n"
        "note: Docker itself lets nothing pass between its networks, and open1 and open2 share none\n"
        "      (docker network connect back open1 would change that)\n");
}

static void test_any_port(void **state)
{
    assert_text(state, "shop-web-1", "shop-api-1", NULL,
                "shop-web-1 -> shop-api-1: allowed\n"
                "  allowed ports: 8000/tcp, 8005/tcp; of these 8000/tcp:\n"
                "  network: front IPv4, IPv6\n"
                "  egress of shop-web-1: allowed by shop-web egress ask (p.yaml:6)\n"
                "  ingress of shop-api-1: allowed by shop-api ingress 1 (p.yaml:13)\n");
    _cleanup_(explanation_freep) struct explanation *x = ask(state, "open1", "open2", NULL);
    _cleanup_free_ char *text = explanation_text(x);
    assert_non_null(strstr(text, "  allowed ports: every protocol and port\n"));
    _cleanup_(explanation_freep) struct explanation *y =
        ask(state, "shop-web-1", "shop-api-1", "8001-8009/tcp");
    assert_int_equal(y->allowed_ports.n, 1);
    assert_string_equal(y->allowed_ports.v[0], "8005/tcp");
    /* Port 53 is in no rule, but the peer dns means it. */
    _cleanup_(explanation_freep) struct explanation *z = ask(state, "shop-api-1", "192.0.2.53", NULL);
    assert_int_equal(z->allowed_ports.n, 2);
    assert_string_equal(z->allowed_ports.v[0], "53/tcp");
    assert_string_equal(z->allowed_ports.v[1], "53/udp");
}

static void test_no_port_at_all(void **state)
{
    assert_text(state, "shop-web-1", "open1", NULL,
                "shop-web-1 -> open1: denied\n"
                "  no port is allowed\n"
                "  network: front IPv4\n"
                "  egress of shop-web-1: denied: policy shop-web selects it, and none of its egress rules "
                "allows this\n"
                "  ingress of open1: allowed by open-a ingress 1 (p.yaml:28)\n"
                "\n"
                "To allow it, add to policy shop-web (p.yaml:1), under egress:\n"
                "    - to: [{name: open1}]\n"
                "      ports: [80/tcp] # for example\n");
    _cleanup_(explanation_freep) struct explanation *x = ask(state, "shop-api-1", "shop-web-1", "udp");
    assert_int_equal(x->allowed_ports.n, 0);
}

static void test_icmp(void **state)
{
    _cleanup_(explanation_freep) struct explanation *x = ask(state, "open1", "open2", "icmp/echo-request");
    assert_int_equal(x->verdict, VERDICT_ALLOW);
    _cleanup_(explanation_freep) struct explanation *y = ask(state, "open1", "open2", "icmp");
    assert_int_equal(y->allowed_ports.n, 1);
    assert_string_equal(y->allowed_ports.v[0], "icmp");
    _cleanup_(explanation_freep) struct explanation *z =
        ask(state, "shop-web-1", "shop-api-1", "icmp/echo-request");
    assert_int_equal(z->verdict, VERDICT_DENY);
}

static void test_not_enforced(void **state)
{
    assert_text(
        state, "exporter", "shop-web-1", "80/tcp",
        "exporter -> shop-web-1 80/tcp: allowed\n"
        "  network: front IPv4, IPv6\n"
        "  ingress of shop-web-1: allowed by shop-web ingress 1 (p.yaml:4)\n"
        "note: exporter uses the host's network: nothing is enforced for it, and to others it is the host\n");
    assert_text(
        state, "lan1", "lan2", "80/tcp",
        "lan1 -> lan2 80/tcp: not enforced\n"
        "  nothing is enforced here: neither end is a container on a network that Cofferdam manages\n"
        "note: both are on lan, which Cofferdam does not or cannot manage: nothing is enforced there\n");
    /* To a managed container it is an address outside. */
    _cleanup_(explanation_freep) struct explanation *x = ask(state, "lan1", "shop-web-1", "80/tcp");
    assert_int_equal(x->verdict, VERDICT_ALLOW);
    assert_int_equal(x->ways[0].from.kind, PARTY_OUTSIDE);
}

static void test_shared_and_no_network(void **state)
{
    assert_text(
        state, "sidecar", "shop-api-1", "8000/tcp",
        "sidecar -> shop-api-1 8000/tcp: allowed\n"
        "  network: front IPv4, IPv6\n"
        "  egress of shop-web-1: allowed by shop-web egress ask (p.yaml:6)\n"
        "  ingress of shop-api-1: allowed by shop-api ingress 1 (p.yaml:13)\n"
        "note: sidecar has no network of its own: it shares that of shop-web-1, whose policies count\n");
    assert_text(
        state, "sidecar", "shop-web-1", "1/tcp",
        "sidecar -> shop-web-1 1/tcp: allowed\n"
        "  what a container sends to itself never leaves it\n"
        "note: sidecar has no network of its own: it shares that of shop-web-1, whose policies count\n");
    assert_text(state, "alone", "shop-web-1", "80/tcp",
                "alone -> shop-web-1 80/tcp: denied\n"
                "  one of them has no network, or no address that is known\n"
                "note: alone has no network\n");
    assert_text(state, "shop-api-1", "fd00::99", "443/tcp",
                "shop-api-1 -> fd00::99 443/tcp: denied\n"
                "  network: front IPv6\n"
                "  egress of shop-api-1: denied: policy shop-api selects it, and none of its egress rules "
                "allows this\n"
                "    near: shop-api egress 1 (p.yaml:15) allows this port, but only to internet\n"
                "\n"
                "To allow it, add to policy shop-api (p.yaml:10), under egress:\n"
                "    - to: [{cidr: 'fd00::99/128'}]\n"
                "      ports: [443/tcp]\n");
    assert_text(state, "lone", "2001:db8::1", "443/tcp",
                "lone -> 2001:db8::1 443/tcp: denied\n"
                "  they have no family of addresses in common: one has only IPv4, the other only IPv6\n");
}

/* The rules drop it even where the policies let the host be reached. */
static void test_loopback(void **state)
{
    assert_text(
        state, "open1", "127.0.0.1", "80/tcp",
        "open1 -> host (127.0.0.1) 80/tcp: denied\n"
        "  a loopback address is for the host alone, whatever the policies say; within a container it is the\n"
        "  container itself. The host's services have its other addresses (in policies: to: [host])\n");
    _cleanup_(explanation_freep) struct explanation *v6 = ask(state, "shop-web-1", "::1", NULL);
    assert_int_equal(v6->verdict, VERDICT_DENY);
    assert_int_equal(v6->state, EXPLAIN_LOOPBACK);
    _cleanup_(explanation_freep) struct explanation *other = ask(state, "open1", "192.0.2.1", "80/tcp");
    assert_int_equal(other->verdict, VERDICT_ALLOW);
    /* Not ours to judge. */
    _cleanup_(explanation_freep) struct explanation *host = ask(state, "host", "127.0.0.1", "80/tcp");
    assert_int_equal(host->state, EXPLAIN_UNENFORCED);
    _cleanup_(explanation_freep) struct explanation *lan = ask(state, "lan1", "127.0.0.1", "80/tcp");
    assert_int_equal(lan->state, EXPLAIN_UNENFORCED);
}

static void test_stopped(void **state)
{
    _cleanup_(explanation_freep) struct explanation *x = ask(state, "shop-web-1", "old", "80/tcp");
    _cleanup_free_ char *text = explanation_text(x);
    assert_int_equal(x->verdict, VERDICT_DENY);
    assert_int_equal(x->n_ways, 2); /* both families, by the network */
    assert_non_null(strstr(text, "note: old does not run; this is what will hold when it does\n"));
}

static void test_default_audit(void **state)
{
    struct world *world = *state;
    world->settings->default_mode = MODE_AUDIT;
    _cleanup_(explanation_freep) struct explanation *x = ask(state, "open1", "lone", "80/tcp");
    world->settings->default_mode = MODE_ENFORCE;
    _cleanup_free_ char *text = explanation_text(x);
    assert_int_equal(x->verdict, VERDICT_ALLOW);
    assert_non_null(
        strstr(text, "ingress of lone: allowed: no policy selects it, and default_mode is audit"));
}

/* What a hint says to write, as policies: "add to policy" becomes one that selects that container. NULL where a deny rule
 * is to be removed. */
static char *policies_of_hint(const char *hint, const char *from, const char *to)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    assert_non_null(out);
    for (const char *line = hint, *end; *line; line = end + 1) {
        end = strchr(line, '\n');
        assert_non_null(end);
        _cleanup_free_ char *copy = xstrndup(line, (size_t)(end - line));
        bool egress = strstr(copy, "under egress:");

        if (strncmp(copy, "Or put policy ", 14) == 0)
            continue;
        if (strncmp(copy, "    ", 4) == 0)
            fprintf(out, "%s\n", copy + 4);
        else if (egress || strstr(copy, "under ingress:"))
            fprintf(out, "---\npolicy: added-%s\nselect: {name: %s}\n%s:\n", egress ? "egress" : "ingress",
                    egress ? from : to, egress ? "egress" : "ingress");
        else
            fputs("---\n", out);
    }
    fclose(out);
    if (!strstr(hint, "deny rule"))
        return text;
    free(text);
    return NULL;
}

static enum verdict verdict_with(void **state, const char *added, const char *from, const char *to,
                                 const char *port)
{
    struct world *world = *state;
    _cleanup_(policy_set_freep) struct policy_set *set = policy_set_new();
    _cleanup_(explanation_freep) struct explanation *x = NULL;
    struct diags diags = {};
    struct evaluation with = world->evaluation;

    assert_int_equal(policy_parse(set, "p.yaml", policies, strlen(policies), &diags), 0);
    int r = policy_parse(set, "hint.yaml", added, strlen(added), &diags);
    r = policy_set_finish(set, &diags) ?: r;
    with.policies = set;
    r = explain(&with, from, to, port, &x, &diags) ?: r;
    print_diags(&diags);
    assert_int_equal(r, 0);
    return x->verdict;
}

/* Whoever writes what the hint says has what was asked for, and no other port. */
static void test_hints_hold(void **state)
{
    static const char *const who[] = {"shop-web-1", "shop-api-1", "lone",         "open1",      "far",
                                      "host",       "192.0.2.53", "198.51.100.9", "2001:db8::9"};
    static const char *const ports[] = {"8001/tcp", "53/udp", "icmp/echo-request"};
    size_t n = 0;

    for (size_t i = 0; i < ARRAY_SIZE(who) * ARRAY_SIZE(who) * ARRAY_SIZE(ports); i++) {
        const char *from = who[i % ARRAY_SIZE(who)], *to = who[i / ARRAY_SIZE(who) % ARRAY_SIZE(who)];
        const char *port = ports[i / ARRAY_SIZE(who) / ARRAY_SIZE(who)];
        _cleanup_(explanation_freep) struct explanation *x = ask(state, from, to, port);
        _cleanup_free_ char *added = x->hint ? policies_of_hint(x->hint, from, to) : NULL;

        if (!added)
            continue;
        n++;
        if (verdict_with(state, added, from, to, port) != VERDICT_ALLOW)
            fail_msg("%s -> %s %s is denied with\n%s", from, to, port, added);
        _cleanup_(explanation_freep) struct explanation *other = ask(state, from, to, "7777/tcp");
        if (verdict_with(state, added, from, to, "7777/tcp") != other->verdict)
            fail_msg("%s -> %s 7777/tcp is changed by\n%s", from, to, added);
    }
    assert_in_range(n, 60, 200);
}

/* Rules that no packet meets deny none. */
static void test_not_where_the_rules_are(void **state)
{
    struct inventory *inventory = ((struct world *)*state)->inventory;
    struct network *front = inventory_network(inventory, "n1");

    inventory->rootless = true;
    _cleanup_(explanation_freep) struct explanation *x = ask(state, "lone", "shop-web-1", "80/tcp");
    assert_int_equal(x->state, EXPLAIN_UNENFORCED);
    assert_int_equal(x->verdict, VERDICT_ALLOW);
    inventory->rootless = false;
    front->elsewhere = true;
    _cleanup_(explanation_freep) struct explanation *y = ask(state, "shop-web-1", "shop-api-1", "1/tcp");
    assert_int_equal(y->verdict, VERDICT_ALLOW);
    assert_string_equal(y->unenforced_network, "front");
    front->elsewhere = false;
    _cleanup_(explanation_freep) struct explanation *z = ask(state, "shop-web-1", "shop-api-1", "1/tcp");
    assert_int_equal(z->verdict, VERDICT_DENY);
}

static void assert_refused(void **state, const char *from, const char *to, const char *port, int error,
                           const char *message)
{
    struct world *world = *state;
    struct explanation *x = NULL;
    _cleanup_diags_ struct diags diags = {};

    assert_int_equal(explain(&world->evaluation, from, to, port, &x, &diags), error);
    assert_null(x);
    assert_true(diags.n_errors > 0);
    assert_string_equal(diags.v[0].message, message);
}

static void test_words(void **state)
{
    _cleanup_(explanation_freep) struct explanation *x = ask(state, "aa11", "aa2", "8000/tcp");
    assert_string_equal(x->from.label, "shop-web-1");
    assert_string_equal(x->to.label, "shop-api-1");
    _cleanup_(explanation_freep) struct explanation *y = ask(state, "172.18.0.2", "127.0.0.1", "80/tcp");
    assert_string_equal(y->from.label, "shop-web-1 (172.18.0.2)");
    assert_string_equal(y->to.label, "host (127.0.0.1)");
    /* Containers of these names are there too. */
    _cleanup_(explanation_freep) struct explanation *z = ask(state, "192.0.2.77", "host", "80/tcp");
    assert_int_equal(z->from.kind, PARTY_OUTSIDE);
    assert_int_equal(z->to.kind, PARTY_HOST);
    _cleanup_(explanation_freep) struct explanation *named = ask(state, "ee11", "ee22", "80/tcp");
    assert_int_equal(named->from.kind, PARTY_ENDPOINT);
    assert_int_equal(named->to.kind, PARTY_ENDPOINT);
    _cleanup_free_ char *long_name = xcalloc(5000, 1);
    memset(long_name, 'n', 4096);
    struct container *container = container_new();
    container->id = xstrdup("ff11");
    container->name = xstrdup(long_name);
    container->running = true;
    inventory_put_container(((struct world *)*state)->inventory, container);
    _cleanup_(explanation_freep) struct explanation *longest = ask(state, long_name, "host", "80/tcp");
    assert_string_equal(longest->from.label, long_name);
    inventory_drop_container(((struct world *)*state)->inventory, "ff11");

    assert_refused(state, "nobody", "host", NULL, -ENOENT, "no such container: nobody");
    assert_refused(state, "", "host", NULL, -ENOENT, "no such container: ");
    assert_refused(state, "host", "10.0.0.0/8", NULL, -ENOENT, "no such container: 10.0.0.0/8");
    assert_refused(state, "bb", "host", NULL, -ENOTUNIQ, "several containers have an ID that begins with bb");
    assert_refused(state, "host", "host", "99999/tcp", -EINVAL,
                   "99999/tcp is no port: a port number is from 1 to 65535");
}

static void test_json(void **state)
{
    _cleanup_(explanation_freep) struct explanation *x = ask(state, "shop-web-1", "shop-api-1", "8001/tcp");
    json_t *json = explanation_to_json(x);
    const char *verdict, *version, *kind, *egress, *rule, *file, *ingress, *family;
    int line;
    json_t *policy, *text, *hint;

    assert_non_null(json);
    assert_int_equal(
        json_unpack(json,
                    "{s:s, s:s, s:{s:s}, s:o, s:o, s:[{s:s, s:{s:s, s:s, s:s, s:i}, s:{s:s, s:o}}, {}]}",
                    "verdict", &verdict, "format_version", &version, "from", "kind", &kind, "text", &text,
                    "hint", &hint, "paths", "family", &family, "egress", "verdict", &egress, "rule", &rule,
                    "file", &file, "line", &line, "ingress", "verdict", &ingress, "policy", &policy),
        0);
    assert_string_equal(verdict, "denied");
    assert_string_equal(version, "1.0");
    assert_string_equal(kind, "container");
    assert_string_equal(family, "ipv4");
    assert_string_equal(egress, "allowed");
    assert_string_equal(rule, "shop-web egress ask");
    assert_string_equal(file, "p.yaml");
    assert_int_equal(line, 6);
    assert_string_equal(ingress, "denied");
    assert_true(json_is_null(policy));
    assert_true(json_is_string(text) && json_is_string(hint));
    const json_t *side = json_object_get(json_array_get(json_object_get(json, "paths"), 0), "ingress");
    const char *why, *near_text;
    assert_int_equal(json_unpack((json_t *)side, "{s:[{s:s, s:s, s:s, s:i, s:s}!]}", "near", "why", &why,
                                 "rule", &rule, "file", &file, "line", &line, "text", &near_text),
                     0);
    assert_string_equal(why, "port");
    assert_string_equal(rule, "shop-api ingress 1");
    assert_int_equal(line, 13);
    assert_string_equal(near_text,
                        "shop-api ingress 1 (p.yaml:13) allows this peer, but only 8000/tcp, 8005/tcp, "
                        "icmp/echo-request");
    side = json_object_get(json_array_get(json_object_get(json, "paths"), 0), "egress");
    assert_int_equal(json_array_size(json_object_get(side, "near")), 0);
    json_decref(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_allowed),
        cmocka_unit_test(test_denied_by_one_side),
        cmocka_unit_test(test_denied_by_both_without_a_policy),
        cmocka_unit_test(test_deny_rule),
        cmocka_unit_test(test_outside_and_host),
        cmocka_unit_test(test_dns_hint),
        cmocka_unit_test(test_published_followed),
        cmocka_unit_test(test_published_not_followed),
        cmocka_unit_test(test_published_in_another_family),
        cmocka_unit_test(test_published_at),
        cmocka_unit_test(test_published_between_containers),
        cmocka_unit_test(test_near_addresses),
        cmocka_unit_test(test_staged_that_would_not),
        cmocka_unit_test(test_hint_is_for_the_nearest_way),
        cmocka_unit_test(test_all_that_stands_in_the_way),
        cmocka_unit_test(test_ways_that_differ),
        cmocka_unit_test(test_docker_blocks),
        cmocka_unit_test(test_any_port),
        cmocka_unit_test(test_no_port_at_all),
        cmocka_unit_test(test_icmp),
        cmocka_unit_test(test_not_enforced),
        cmocka_unit_test(test_not_where_the_rules_are),
        cmocka_unit_test(test_shared_and_no_network),
        cmocka_unit_test(test_loopback),
        cmocka_unit_test(test_stopped),
        cmocka_unit_test(test_default_audit),
        cmocka_unit_test(test_hints_hold),
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_json),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}

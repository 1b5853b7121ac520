/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What real Engines answered: the same containers and networks on Docker 20.10 and 28.5. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "capture.h"
#include "docker/decode.h"

struct engine {
    const char *capture;
    const char *version;
    unsigned api_minor;
    const char *firewall_backend;
};

static struct engine engines[] = {
    {"20.10", "20.10.24+dfsg1", 41, NULL},
    {"28.5", "28.5.2+dfsg4", 51, "iptables"},
};

static struct container_list read_list(const struct engine *engine)
{
    _cleanup_diags_ struct diags diags = {0};
    struct container_list list;
    size_t len;
    _cleanup_free_ char *bytes = capture_read(engine->capture, "containers.json", &len);

    assert_int_equal(docker_decode_containers(bytes, len, &list, &diags), 0);
    assert_int_equal(diags.n, 0);
    return list;
}

static const struct container *find(const struct container_list *list, const char *name)
{
    for (size_t i = 0; i < list->n; i++)
        if (strcmp(list->v[i]->name, name) == 0)
            return list->v[i];
    fail_msg("no container %s", name);
    return NULL;
}

static struct container *read_container(const struct engine *engine, const char *name)
{
    _cleanup_diags_ struct diags diags = {0};
    _cleanup_free_ char *file = xasprintf("container-%s.json", name);
    struct container *container;
    size_t len;
    _cleanup_free_ char *bytes = capture_read(engine->capture, file, &len);

    assert_int_equal(docker_decode_container(bytes, len, &container, &diags), 0);
    assert_int_equal(diags.n, 0);
    return container;
}

static struct network_detail read_network(const struct engine *engine, const char *name)
{
    _cleanup_diags_ struct diags diags = {0};
    _cleanup_free_ char *file = xasprintf("network-%s.json", name);
    struct network_detail detail;
    size_t len;
    _cleanup_free_ char *bytes = capture_read(engine->capture, file, &len);

    assert_int_equal(docker_decode_network(bytes, len, &detail, &diags), 0);
    assert_int_equal(diags.n, 0);
    return detail;
}

static void assert_ip(const struct endpoint *endpoint, enum ip_family family, const char *expected)
{
    char text[IP_TEXT_MAX];

    assert_int_equal(endpoint->has_ip[family], expected != NULL);
    if (expected)
        assert_string_equal(ip_format(endpoint->ip[family], text), expected);
}

static const struct endpoint *endpoint_on(const struct container *container, const char *network)
{
    for (size_t i = 0; i < container->n_endpoints; i++)
        if (strcmp(container->endpoints[i].network_name, network) == 0)
            return &container->endpoints[i];
    fail_msg("%s is not on %s", container->name, network);
    return NULL;
}

static void test_version(void **state)
{
    const struct engine *engine = *state;
    struct docker_version version;
    size_t len;
    _cleanup_free_ char *bytes = capture_read(engine->capture, "version.json", &len);

    assert_int_equal(docker_decode_version(bytes, len, &version, NULL), 0);
    assert_string_equal(version.engine, engine->version);
    assert_int_equal(version.api_minor, engine->api_minor);
    docker_version_clear(&version);
}

static void test_info(void **state)
{
    const struct engine *engine = *state;
    struct docker_info info;
    size_t len;
    _cleanup_free_ char *bytes = capture_read(engine->capture, "info.json", &len);

    assert_int_equal(docker_decode_info(bytes, len, &info, NULL), 0);
    assert_non_null(info.name);
    assert_false(info.rootless || info.live_restore || info.swarm);
    if (engine->firewall_backend)
        assert_string_equal(info.firewall_backend, engine->firewall_backend);
    else
        assert_null(info.firewall_backend);
    docker_info_clear(&info);
}

static void test_list(void **state)
{
    struct container_list list = read_list(*state);
    const struct container *db = find(&list, "db");

    assert_int_equal(list.n, 9);
    assert_true(db->running);
    assert_false(db->labels_known || db->dns_known);
    assert_int_equal(strlen(db->id), 64);
    assert_string_equal(db->image, "test/box:1");
    assert_memory_equal(db->image_id, "sha256:", 7);
    assert_int_equal(db->n_labels, 5);
    assert_int_equal(db->n_endpoints, 2);
    assert_ip(endpoint_on(db, "front"), IP4, "172.18.0.2");
    assert_ip(endpoint_on(db, "front"), IP6, NULL);
    assert_ip(endpoint_on(db, "six"), IP4, "172.30.0.2");
    assert_ip(endpoint_on(db, "six"), IP6, "fd12:3456::77");
    assert_int_equal(strlen(endpoint_on(db, "six")->id), 64);
    assert_true(endpoint_on(db, "six")->has_mac);
    container_list_clear(&list);
}

static void test_list_published(void **state)
{
    struct container_list list = read_list(*state);
    const struct container *web = find(&list, "web");

    assert_int_equal(find(&list, "db")->n_published, 0);
    assert_int_equal(web->n_published, 2);
    for (size_t i = 0; i < 2; i++) {
        const struct published_port *port = &web->published[i];

        assert_int_equal(port->kind, PORT_TCP);
        assert_int_equal(port->inner, 80);
        assert_int_equal(port->outer, 8080);
        assert_true(port->address.num == 0 && port->address.family == (i == 0 ? IP4 : IP6));
    }
    container_list_clear(&list);
}

static void test_list_modes(void **state)
{
    struct container_list list = read_list(*state);
    const struct container *joined = find(&list, "joined");

    assert_int_equal(find(&list, "web")->mode,
                     NETMODE_BRIDGE); /* also the name of its own, not that of a link */
    assert_int_equal(find(&list, "linked")->mode, NETMODE_BRIDGE);
    assert_int_equal(find(&list, "onhost")->mode, NETMODE_HOST);
    assert_int_equal(find(&list, "onhost")->n_endpoints, 0);
    assert_int_equal(find(&list, "alone2")->mode, NETMODE_NONE);
    assert_int_equal(find(&list, "alone2")->n_endpoints, 0);
    assert_int_equal(joined->mode, NETMODE_CONTAINER);
    assert_string_equal(joined->mode_target, find(&list, "web")->id);
    assert_int_equal(joined->n_endpoints, 0);
    container_list_clear(&list);
}

static void test_list_not_running(void **state)
{
    struct container_list list = read_list(*state);
    const struct container *gone = find(&list, "gone"), *never = find(&list, "never");

    assert_false(gone->running || never->running);
    assert_true(find(&list, "paused")->running);
    assert_ip(endpoint_on(find(&list, "paused"), "inner"), IP4, "172.19.0.2");
    assert_null(endpoint_on(gone, "front")->id);
    assert_ip(endpoint_on(gone, "front"), IP4, NULL);
    assert_string_equal(endpoint_on(gone, "front")->network_id,
                        endpoint_on(find(&list, "db"), "front")->network_id);
    assert_string_equal(endpoint_on(never, "six")->network_id, "");
    assert_null(endpoint_on(never, "six")->id);
    container_list_clear(&list);
}

static void test_inspect(void **state)
{
    struct container *db = read_container(*state, "db");
    struct container_list list = read_list(*state);
    const struct container *listed = find(&list, "db");
    char text[IP_TEXT_MAX];

    assert_string_equal(db->id, listed->id);
    assert_string_equal(db->name, "db");
    assert_string_equal(db->image, "test/box:1");
    assert_string_equal(db->image_id, listed->image_id);
    assert_true(db->running && db->dns_known);
    assert_false(db->labels_known);
    assert_int_equal(db->n_dns, 2);
    assert_string_equal(ip_format(db->dns[0], text), "10.0.0.53");
    assert_string_equal(ip_format(db->dns[1], text), "fd00::53");
    assert_int_equal(db->n_endpoints, 2);
    assert_string_equal(endpoint_on(db, "six")->id, endpoint_on(listed, "six")->id);
    assert_ip(endpoint_on(db, "six"), IP6, "fd12:3456::77");
    container_free(db);
    container_list_clear(&list);
}

static void test_inspect_others(void **state)
{
    struct container *joined = read_container(*state, "joined"), *gone = read_container(*state, "gone");
    struct container *onhost = read_container(*state, "onhost"), *paused = read_container(*state, "paused");
    struct container *never = read_container(*state, "never"), *web = read_container(*state, "web");

    assert_int_equal(joined->mode, NETMODE_CONTAINER);
    assert_string_equal(joined->mode_target, web->id);
    assert_true(joined->running && joined->dns_known);
    assert_int_equal(onhost->mode, NETMODE_HOST);
    assert_true(paused->running);
    assert_false(gone->running || never->running);
    assert_null(endpoint_on(gone, "front")->id);
    assert_string_equal(web->name, "web");
    assert_int_equal(web->n_dns, 0);
    container_free(joined);
    container_free(onhost);
    container_free(paused);
    container_free(gone);
    container_free(never);
    container_free(web);
}

/* role=db was given to the container too, but says nothing that its image does not say already. */
static void test_image_labels(void **state)
{
    const struct engine *engine = *state;
    struct container *db = read_container(engine, "db");
    struct label_list image;
    size_t len;
    _cleanup_free_ char *bytes = capture_read(engine->capture, "image.json", &len);

    assert_int_equal(docker_decode_image_labels(bytes, len, &image, NULL), 0);
    assert_int_equal(image.n, 2);
    assert_string_equal(image.v[1].key, "vendor");
    assert_string_equal(image.v[1].value, "Ex \"quoted\" \xc3\xa9");
    assert_null(container_label(db, "own"));
    container_apply_image_labels(db, &image, false);
    assert_string_equal(container_label(db, "own"), "yes");
    assert_string_equal(container_label(db, "com.docker.compose.service"), "db");
    assert_null(container_label(db, "role"));
    assert_null(container_label(db, "vendor"));
    container_apply_image_labels(db, &image, true);
    assert_string_equal(container_label(db, "role"), "db");
    label_list_clear(&image);
    container_free(db);
}

static const struct network *find_network(const struct network_list *list, const char *name)
{
    for (size_t i = 0; i < list->n; i++)
        if (strcmp(list->v[i]->name, name) == 0)
            return list->v[i];
    fail_msg("no network %s", name);
    return NULL;
}

static void test_networks(void **state)
{
    const struct engine *engine = *state;
    _cleanup_diags_ struct diags diags = {0};
    const struct network *front, *six;
    _cleanup_free_ char *bridge = NULL;
    struct network_list list;
    char text[CIDR_TEXT_MAX];
    size_t len;
    _cleanup_free_ char *bytes = capture_read(engine->capture, "networks.json", &len);

    assert_int_equal(docker_decode_networks(bytes, len, &list, &diags), 0);
    assert_int_equal(diags.n, 0);
    assert_int_equal(list.n, 6);
    assert_string_equal(find_network(&list, "bridge")->bridge, "docker0");
    assert_null(find_network(&list, "host")->bridge);
    assert_string_equal(find_network(&list, "none")->driver, "null");
    assert_true(find_network(&list, "inner")->internal);
    front = find_network(&list, "front");
    bridge = xasprintf("br-%.12s", front->id);
    assert_string_equal(front->bridge, bridge);
    assert_string_equal(front->driver, "bridge");
    assert_string_equal(front->scope, "local");
    assert_false(front->internal || front->ipv6 || front->managed);
    six = find_network(&list, "six");
    assert_string_equal(six->bridge, "br-six");
    assert_true(six->ipv6);
    assert_int_equal(six->n_subnets, 2);
    assert_string_equal(cidr_format(&six->subnets[0], text), "172.30.0.0/16");
    assert_string_equal(cidr_format(&six->subnets[1], text), "fd12:3456::/64");
    network_list_clear(&list);
}

static void test_network(void **state)
{
    struct network_detail six = read_network(*state, "six"), bridge = read_network(*state, "bridge");
    struct container_list list = read_list(*state);
    const struct container *db = find(&list, "db");
    const struct endpoint *endpoint = &six.v[0].endpoint;

    assert_string_equal(six.network->bridge, "br-six");
    assert_int_equal(six.n, 1);
    assert_string_equal(six.v[0].container_id, db->id);
    assert_string_equal(six.v[0].container_name, "db");
    assert_string_equal(endpoint->id, endpoint_on(db, "six")->id);
    assert_string_equal(endpoint->network_id, six.network->id);
    assert_string_equal(endpoint->network_name, "six");
    assert_ip(endpoint, IP4, "172.30.0.2");
    assert_ip(endpoint, IP6, "fd12:3456::77");
    assert_true(endpoint->has_mac);
    assert_memory_equal(&endpoint->mac, &endpoint_on(db, "six")->mac, sizeof(endpoint->mac));
    assert_string_equal(endpoint->port, "");
    assert_int_equal(bridge.n, 2);
    network_detail_clear(&six);
    network_detail_clear(&bridge);
    container_list_clear(&list);
}

struct seen {
    unsigned n, actions[DOCKER_OTHER_ACTION + 1];
    char *last_name;
    int64_t last_time;
};

static void on_line(const char *line, size_t len, void *userdata)
{
    _cleanup_diags_ struct diags diags = {0};
    struct seen *seen = userdata;
    struct docker_event event;

    if (docker_decode_event(line, len, &event, &diags) < 0)
        fail_msg("%s: %.*s", diags.v[0].message, (int)len, line);
    assert_int_equal(strlen(event.id), 64);
    assert_true(event.time_nano > seen->last_time);
    seen->last_time = event.time_nano;
    seen->n++;
    seen->actions[event.action]++;
    if (event.type == DOCKER_CONTAINER) {
        assert_string_equal(event.image, "test/box:1");
        assert_null(event.container_id);
        assert_string_not_equal(event.name, "forged"); /* a label of that key and value does not count */
    } else {
        assert_int_equal(event.type, DOCKER_NETWORK);
        assert_int_equal(event.container_id != NULL, event.action != DOCKER_CREATE);
    }
    free(seen->last_name);
    seen->last_name = xstrdup(event.name);
    docker_event_clear(&event);
}

static void assert_all_seen(const struct engine *engine, const struct seen *seen)
{
    bool old = engine->api_minor == 41;

    assert_int_equal(seen->actions[DOCKER_CREATE], 12); /* 3 networks, 9 containers */
    assert_int_equal(seen->actions[DOCKER_START], 8);
    assert_int_equal(seen->actions[DOCKER_CONNECT], 9);
    assert_int_equal(seen->actions[DOCKER_DISCONNECT], old ? 3 : 2);
    assert_int_equal(seen->actions[DOCKER_DIE], 1);
    assert_int_equal(seen->actions[DOCKER_STOP], 1);
    assert_int_equal(seen->actions[DOCKER_PAUSE], 1);
    assert_int_equal(seen->actions[DOCKER_RENAME], 1);
    assert_int_equal(seen->actions[DOCKER_DESTROY], 2);
    assert_int_equal(seen->actions[DOCKER_OTHER_ACTION], 5); /* kill, exec_... */
    assert_string_equal(seen->last_name, old ? "gone" : "never");
}

/* The same events however the stream was cut: byte by byte, at odd places, all at once. */
static void test_events(void **state)
{
    static const size_t pieces[] = {1, 2, 3, 7, 61, 499, 4096, SIZE_MAX};
    const struct engine *engine = *state;
    size_t len;
    _cleanup_free_ char *bytes = capture_read(engine->capture, "events.jsonl", &len);

    for (size_t i = 0; i < ARRAY_SIZE(pieces); i++) {
        struct line_splitter splitter = {0};
        struct seen seen = {0};

        for (size_t at = 0; at < len;) {
            size_t n = pieces[i] < len - at ? pieces[i] : len - at;

            line_splitter_feed(&splitter, bytes + at, n, on_line, &seen);
            at += n;
        }
        assert_all_seen(engine, &seen);
        assert_int_equal(splitter.len, 0);
        line_splitter_clear(&splitter);
        free(seen.last_name);
    }
}

static void test_error(void **state)
{
    const struct engine *engine = *state;
    _cleanup_free_ char *text = NULL;
    size_t len;
    _cleanup_free_ char *bytes = capture_read(engine->capture, "error-404.json", &len);

    text = docker_error_text(bytes, len);
    assert_string_equal(text, "No such container: nosuch");
}

/* Every beginning of every answer: refused or understood, never a crash. */
static void test_cut_short(void **state)
{
    static const char *const files[] = {
        "containers.json",  "container-db.json", "networks.json",
        "network-six.json", "image.json",        "version.json",
    };
    const struct engine *engine = *state;

    for (size_t f = 0; f < ARRAY_SIZE(files); f++) {
        size_t len;
        _cleanup_free_ char *bytes = capture_read(engine->capture, files[f], &len);

        while (len > 0 && (bytes[len - 1] == '\n' || bytes[len - 1] == ' '))
            len--;
        for (size_t n = 0; n < len; n += 1 + n / 64) {
            struct container_list containers;
            struct container *container;
            struct network_list networks;
            struct network_detail detail;
            struct label_list labels;
            struct docker_version version;

            assert_int_equal(docker_decode_containers(bytes, n, &containers, NULL), -EBADMSG);
            assert_int_equal(docker_decode_container(bytes, n, &container, NULL), -EBADMSG);
            assert_int_equal(docker_decode_networks(bytes, n, &networks, NULL), -EBADMSG);
            assert_int_equal(docker_decode_network(bytes, n, &detail, NULL), -EBADMSG);
            assert_int_equal(docker_decode_image_labels(bytes, n, &labels, NULL), -EBADMSG);
            assert_int_equal(docker_decode_version(bytes, n, &version, NULL), -EBADMSG);
        }
    }
}

static void decode_all(const char *bytes, size_t len)
{
    struct container_list containers;
    struct network_list networks;
    struct network_detail detail;
    struct container *container;
    struct label_list labels;

    if (docker_decode_containers(bytes, len, &containers, NULL) == 0) {
        for (size_t i = 0; i < containers.n; i++)
            assert_true(containers.v[i]->id[0] != '\0');
        container_list_clear(&containers);
    }
    if (docker_decode_container(bytes, len, &container, NULL) == 0) {
        assert_true(container->id[0] != '\0');
        container_free(container);
    }
    if (docker_decode_networks(bytes, len, &networks, NULL) == 0)
        network_list_clear(&networks);
    if (docker_decode_network(bytes, len, &detail, NULL) == 0) {
        for (size_t i = 0; i < detail.n; i++)
            assert_true(detail.v[i].endpoint.id[0] != '\0');
        network_detail_clear(&detail);
    }
    if (docker_decode_image_labels(bytes, len, &labels, NULL) == 0)
        label_list_clear(&labels);
}

/* Answers with some bytes changed at random, the same ones each time. */
static void test_mutations(void **state)
{
    static const char *const files[] = {"containers.json", "container-db.json", "networks.json",
                                        "network-six.json"};
    static const char interesting[] = "\"{}[]:,\\/nulltrue0-9. \t\x01\xff\xc3\x1e";
    const struct engine *engine = *state;
    uint32_t random = 1;

    for (size_t f = 0; f < ARRAY_SIZE(files); f++) {
        size_t len;
        _cleanup_free_ char *bytes = capture_read(engine->capture, files[f], &len);
        _cleanup_free_ char *copy = xcalloc(len, 1);

        for (unsigned round = 0; round < 500; round++) {
            memcpy(copy, bytes, len);
            for (unsigned i = 0; i <= round % 3; i++) {
                random = random * 1664525 + 1013904223;
                copy[(random >> 8) % len] = interesting[(random >> 3) % (sizeof(interesting) - 1)];
            }
            decode_all(copy, len);
        }
    }
}

int main(void)
{
    int failed = 0;

    for (size_t i = 0; i < ARRAY_SIZE(engines); i++) {
        void *engine = &engines[i];
        const struct CMUnitTest tests[] = {
            cmocka_unit_test_prestate(test_version, engine),
            cmocka_unit_test_prestate(test_info, engine),
            cmocka_unit_test_prestate(test_list, engine),
            cmocka_unit_test_prestate(test_list_published, engine),
            cmocka_unit_test_prestate(test_list_modes, engine),
            cmocka_unit_test_prestate(test_list_not_running, engine),
            cmocka_unit_test_prestate(test_inspect, engine),
            cmocka_unit_test_prestate(test_inspect_others, engine),
            cmocka_unit_test_prestate(test_image_labels, engine),
            cmocka_unit_test_prestate(test_networks, engine),
            cmocka_unit_test_prestate(test_network, engine),
            cmocka_unit_test_prestate(test_events, engine),
            cmocka_unit_test_prestate(test_error, engine),
            cmocka_unit_test_prestate(test_cut_short, engine),
            cmocka_unit_test_prestate(test_mutations, engine),
        };

        failed += cmocka_run_group_tests_name(engines[i].capture, tests, NULL, NULL);
    }
    return failed;
}

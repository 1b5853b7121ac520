/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Answers that no Engine that we have gives: other versions, other programs, and what makes no sense. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "docker/decode.h"

/* ---- version ------------------------------------------------------------------------------------------ */

static void test_negotiation(void **state)
{
    static const struct {
        const char *json;
        int result;
        unsigned minor;
        const char *message;
    } cases[] = {
        {"{\"Version\":\"20.10.0\",\"ApiVersion\":\"1.41\",\"MinAPIVersion\":\"1.12\"}", 0, 41, NULL},
        {"{\"Version\":\"24.0.7\",\"ApiVersion\":\"1.43\",\"MinAPIVersion\":\"1.12\"}", 0, 43, NULL},
        {"{\"Version\":\"29.0.0\",\"ApiVersion\":\"1.52\",\"MinAPIVersion\":\"1.44\"}", 0, 51, NULL},
        {"{\"Version\":\"40.0\",\"ApiVersion\":\"1.99\",\"MinAPIVersion\":\"1.51\"}", 0, 51, NULL},
        {"{\"ApiVersion\":\"1.45\",\"MinAPIVersion\":null}", 0, 45, NULL},
        {"{\"Version\":7,\"ApiVersion\":\"1.45\",\"MinAPIVersion\":\"x\"}", 0, 45, NULL},
        {"{\"Version\":\"41.0\",\"ApiVersion\":\"1.99\",\"MinAPIVersion\":\"1.52\"}", -EPROTONOSUPPORT, 0,
         "Docker Engine 41.0 is too new: its oldest API version is 1.52, and the newest that this version of "
         "Cofferdam knows is 1.51"},
        {"{\"Version\":\"19.03.15\",\"ApiVersion\":\"1.40\",\"MinAPIVersion\":\"1.12\"}", -EPROTONOSUPPORT, 0,
         "Docker Engine 19.03.15 is too old: its API is version 1.40, and 1.41 (Docker 20.10) or later is "
         "needed"},
        {"{\"Version\":\"4.3.1\",\"ApiVersion\":\"1.41\",\"MinAPIVersion\":\"1.24\",\"Components\":[{"
         "\"Name\":"
         "\"Podman Engine\",\"Version\":\"4.3.1\"}]}",
         -EPROTONOSUPPORT, 0,
         "this socket is Podman's, not the Docker Engine's: Cofferdam works with Docker only, because Podman "
         "does not "
         "tell when a container joins a network"},
        {"{\"Version\":\"1\"}", -EBADMSG, 0,
         "the answer to /version has no API version: this is no Docker Engine's socket"},
        {"{\"ApiVersion\":\"2.0\"}", -EBADMSG, 0,
         "the answer to /version has no API version: this is no Docker Engine's socket"},
        {"{\"ApiVersion\":\"1.\"}", -EBADMSG, 0,
         "the answer to /version has no API version: this is no Docker Engine's socket"},
        {"{\"ApiVersion\":\"1.99999999999999\"}", -EBADMSG, 0,
         "the answer to /version has no API version: this is no Docker Engine's socket"},
        {"[]", -EBADMSG, 0, "the Engine's answer to /version is no JSON object"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_diags_ struct diags diags = {0};
        struct docker_version version = {0};

        assert_int_equal(docker_decode_version(cases[i].json, strlen(cases[i].json), &version, &diags),
                         cases[i].result);
        assert_int_equal(version.api_minor, cases[i].minor);
        assert_int_equal(diags.n_errors, cases[i].message ? 1 : 0);
        if (cases[i].message)
            assert_string_equal(diags.v[0].message, cases[i].message);
        docker_version_clear(&version);
    }
}

static void test_info(void **state)
{
    static const char json[] =
        "{\"Name\":\"h\",\"SecurityOptions\":[\"name=seccomp,profile=x\",\"name=rootless\",7],"
        "\"LiveRestoreEnabled\":true,\"Swarm\":{\"LocalNodeState\":\"active\"},"
        "\"FirewallBackend\":{\"Driver\":\"nftables\"}}";
    static const char odd[] = "{\"SecurityOptions\":{},\"Swarm\":[]}";
    struct docker_info info;

    (void)state;
    assert_int_equal(docker_decode_info(json, strlen(json), &info, NULL), 0);
    assert_true(info.rootless && info.live_restore && info.swarm);
    assert_string_equal(info.firewall_backend, "nftables");
    docker_info_clear(&info);
    assert_int_equal(docker_decode_info(odd, strlen(odd), &info, NULL), 0);
    assert_false(info.rootless || info.live_restore || info.swarm);
    docker_info_clear(&info);
}

/* ---- containers --------------------------------------------------------------------------------------- */

static struct container_list read_list(const char *json, struct diags *diags)
{
    struct container_list list;

    assert_int_equal(docker_decode_containers(json, strlen(json), &list, diags), 0);
    return list;
}

static struct container *read_container(const char *json, struct diags *diags)
{
    struct container *container;

    assert_int_equal(docker_decode_container(json, strlen(json), &container, diags), 0);
    return container;
}

/* What is senseless falls out; what is beside it stays. */
static void test_list_elements(void **state)
{
    _cleanup_diags_ struct diags diags = {0};
    struct container_list list = read_list(
        "[null, 7, \"x\", [], {}, {\"Id\":\"\"}, {\"Id\":7}, {\"Id\":\"../../x\"}, {\"Id\":\"a b\"},"
        "{\"Id\":\"aa\",\"Names\":[\"/good\"],\"State\":\"running\"}]",
        &diags);

    (void)state;
    assert_int_equal(list.n, 1);
    assert_string_equal(list.v[0]->name, "good");
    assert_int_equal(diags.n, 9);
    assert_int_equal(diags.n_errors, 0);
    assert_string_equal(diags.v[0].message, "skipped a container without a usable ID in the Engine's list");
    container_list_clear(&list);
}

/* Every field missing, null, or of each wrong type. */
static void test_list_fields(void **state)
{
    static const char *const fields[] = {
        "Names", "Image", "ImageID", "State", "Labels", "HostConfig", "NetworkSettings", "Mounts",
    };
    static const char *const values[] = {
        "null", "7",      "1e300", "\"\"",         "\"x\"",     "[]",   "{}",
        "[[]]", "[null]", "[{}]",  "{\"x\":null}", "{\"x\":7}", "true",
    };

    (void)state;
    for (size_t f = 0; f < ARRAY_SIZE(fields); f++) {
        for (size_t v = 0; v < ARRAY_SIZE(values); v++) {
            _cleanup_free_ char *json = xasprintf("[{\"Id\":\"aa\",\"%s\":%s}]", fields[f], values[v]);
            struct container_list list = read_list(json, NULL);

            assert_int_equal(list.n, 1);
            assert_int_equal(list.v[0]->mode, NETMODE_BRIDGE);
            assert_false(list.v[0]->running || list.v[0]->labels_known);
            assert_int_equal(list.v[0]->n_endpoints, 0);
            container_list_clear(&list);
        }
    }
}

static void test_endpoint_fields(void **state)
{
    static const char *const values[] = {
        "null",      "7",
        "\"\"",      "\"x\"",
        "\"1.2.3\"", "\"1.2.3.4.5\"",
        "\"::1::\"", "[]",
        "{}",        "\"00000000000000000000000000000000000000000000000000000000000000000000000\"",
    };

    (void)state;
    for (size_t v = 0; v < ARRAY_SIZE(values); v++) {
        _cleanup_free_ char *json = xasprintf(
            "[{\"Id\":\"aa\",\"State\":\"running\",\"NetworkSettings\":{\"Networks\":{\"front\":{"
            "\"NetworkID\":\"n1\","
            "\"EndpointID\":\"e1\",\"IPAddress\":%s,\"GlobalIPv6Address\":%s,\"MacAddress\":%s}}}}]",
            values[v], values[v], values[v]);
        struct container_list list = read_list(json, NULL);
        const struct endpoint *endpoint = &list.v[0]->endpoints[0];

        assert_int_equal(list.v[0]->n_endpoints, 1);
        assert_string_equal(endpoint->id, "e1");
        assert_false(endpoint->has_ip[IP4] || endpoint->has_ip[IP6] || endpoint->has_mac);
        container_list_clear(&list);
    }
}

/* An address of the other family in a field is none. */
static void test_endpoint_families(void **state)
{
    struct container_list list =
        read_list("[{\"Id\":\"aa\",\"State\":\"running\",\"NetworkSettings\":{\"Networks\":{\"front\":{"
                  "\"NetworkID\":\"n1\","
                  "\"EndpointID\":\"e1\",\"IPAddress\":\"fd00::1\",\"GlobalIPv6Address\":\"10.0.0.1\"}}}}]",
                  NULL);

    (void)state;
    assert_false(list.v[0]->endpoints[0].has_ip[IP4] || list.v[0]->endpoints[0].has_ip[IP6]);
    container_list_clear(&list);
}

/* What the Engine shows of a container that is starting is of before. */
static void test_stale_addresses(void **state)
{
    struct container_list list = read_list(
        "[{\"Id\":\"aa\",\"State\":\"exited\",\"NetworkSettings\":{\"Networks\":{\"front\":{\"NetworkID\":"
        "\"n1\","
        "\"EndpointID\":\"e1\",\"IPAddress\":\"10.0.0.1\",\"MacAddress\":\"02:42:0a:00:00:01\"}}}}]",
        NULL);

    (void)state;
    assert_null(list.v[0]->endpoints[0].id);
    assert_false(list.v[0]->endpoints[0].has_ip[IP4] || list.v[0]->endpoints[0].has_mac);
    container_list_clear(&list);
}

static void test_image_reference(void **state)
{
    struct container_list list =
        read_list("[{\"Id\":\"a1\",\"Image\":\"postgres:16\",\"ImageID\":\"sha256:12\"},"
                  "{\"Id\":\"a2\",\"Image\":\"sha256:12ab\",\"ImageID\":\"sha256:12ab\"},"
                  "{\"Id\":\"a3\",\"Image\":\"r.example/x@sha256:12ab\",\"ImageID\":\"../x\"}]",
                  NULL);
    struct container *inspected =
        read_container("{\"Id\":\"a2\",\"Image\":\"sha256:12ab\",\"Config\":{\"Image\":"
                       "\"postgres:15\"}}",
                       NULL);

    (void)state;
    assert_string_equal(list.v[0]->image, "postgres:16");
    assert_null(list.v[1]->image);
    assert_string_equal(list.v[2]->image, "r.example/x@sha256:12ab");
    assert_null(list.v[2]->image_id);
    assert_string_equal(inspected->image, "postgres:15");
    assert_string_equal(inspected->image_id, "sha256:12ab");
    container_list_clear(&list);
    container_free(inspected);
}

static void test_names(void **state)
{
    struct container_list list =
        read_list("[{\"Id\":\"a1\",\"Names\":[\"/web/db\",\"/db\"]},"
                  "{\"Id\":\"a2\",\"Names\":[null,7,\"\",\"plain\"]},"
                  "{\"Id\":\"a3\",\"Names\":[]},{\"Id\":\"a4\",\"Names\":[\"/old\",\"/x/y\",\"/new\"]}]",
                  NULL);

    (void)state;
    assert_string_equal(list.v[0]->name, "db");
    assert_string_equal(list.v[1]->name, "plain");
    assert_null(list.v[2]->name);
    assert_false(list.v[0]->name_unsure || list.v[1]->name_unsure || list.v[2]->name_unsure);
    assert_string_equal(list.v[3]->name, "old");
    assert_true(list.v[3]->name_unsure);
    container_list_clear(&list);
}

static void test_states(void **state)
{
    static const struct {
        const char *state;
        bool running;
    } cases[] = {
        {"created", false}, {"running", true},   {"paused", true}, {"restarting", true},
        {"exited", false},  {"removing", false}, {"dead", false},  {"stopping", false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_free_ char *json = xasprintf("[{\"Id\":\"aa\",\"State\":\"%s\"}]", cases[i].state);
        _cleanup_free_ char *inspection =
            xasprintf("{\"Id\":\"aa\",\"State\":{\"Status\":\"%s\"}}", cases[i].state);
        struct container_list list = read_list(json, NULL);
        struct container *inspected = read_container(inspection, NULL);

        assert_int_equal(list.v[0]->running, cases[i].running);
        assert_int_equal(inspected->running, cases[i].running);
        container_list_clear(&list);
        container_free(inspected);
    }
}

static void assert_mode(const char *rest, enum network_mode mode, const char *target)
{
    _cleanup_free_ char *json = xasprintf("{\"Id\":\"aa\",\"State\":{\"Running\":true},%s}", rest);
    struct container *container = read_container(json, NULL);

    assert_int_equal(container->mode, mode);
    if (target)
        assert_string_equal(container->mode_target, target);
    else
        assert_null(container->mode_target);
    container_free(container);
}

static void test_modes(void **state)
{
    static const char on_none[] =
        "\"HostConfig\":{\"NetworkMode\":\"none\"},\"NetworkSettings\":{\"Networks\":{"
        "\"none\":{\"NetworkID\":\"n0\"}}}";
    static const char moved[] =
        "\"HostConfig\":{\"NetworkMode\":\"none\"},\"NetworkSettings\":{\"Networks\":{"
        "\"front\":{\"NetworkID\":\"n1\",\"EndpointID\":\"e1\"}}}";

    (void)state;
    assert_mode("\"HostConfig\":{\"NetworkMode\":\"default\"}", NETMODE_BRIDGE, NULL);
    assert_mode("\"HostConfig\":{\"NetworkMode\":\"bridge\"}", NETMODE_BRIDGE, NULL);
    assert_mode("\"HostConfig\":{\"NetworkMode\":\"\"}", NETMODE_BRIDGE, NULL);
    assert_mode("\"HostConfig\":{\"NetworkMode\":\"hosting\"}", NETMODE_BRIDGE, NULL);
    assert_mode("\"HostConfig\":{\"NetworkMode\":\"host\"}", NETMODE_HOST, NULL);
    assert_mode("\"HostConfig\":{\"NetworkMode\":\"container:web\"}", NETMODE_CONTAINER, "web");
    assert_mode("\"HostConfig\":{\"NetworkMode\":\"container:\"}", NETMODE_CONTAINER, "");
    assert_mode(on_none, NETMODE_NONE, NULL);
    /* taken off `none` and put on a real network: it has something to enforce now */
    assert_mode(moved, NETMODE_BRIDGE, NULL);
    /* the mode is missing: the networks tell */
    assert_mode("\"NetworkSettings\":{\"Networks\":{\"host\":{}}}", NETMODE_HOST, NULL);
    assert_mode("\"NetworkSettings\":{\"Networks\":{\"none\":{}}}", NETMODE_NONE, NULL);
    assert_mode("\"NetworkSettings\":{\"Networks\":{}}", NETMODE_BRIDGE, NULL);
}

/* What is only exposed, or makes no sense, is not published; the order does not matter. */
static void test_published(void **state)
{
    struct container_list list =
        read_list("[{\"Id\":\"aa\",\"Ports\":[{\"PrivatePort\":443,\"Type\":\"tcp\"},"
                  "{\"IP\":\"::\",\"PrivatePort\":53,\"PublicPort\":1053,\"Type\":\"udp\"},"
                  "{\"IP\":\"127.0.0.1\",\"PrivatePort\":80,\"PublicPort\":8080,\"Type\":\"tcp\"},"
                  "{\"IP\":\"0.0.0.0\",\"PrivatePort\":80,\"PublicPort\":0,\"Type\":\"tcp\"},"
                  "{\"IP\":\"0.0.0.0\",\"PrivatePort\":80,\"PublicPort\":65536,\"Type\":\"tcp\"},"
                  "{\"IP\":\"0.0.0.0\",\"PrivatePort\":80,\"PublicPort\":81,\"Type\":\"icmp\"},"
                  "{\"IP\":\"x\",\"PrivatePort\":80,\"PublicPort\":81,\"Type\":\"tcp\"},"
                  "{\"IP\":\"0.0.0.0\",\"PrivatePort\":\"80\",\"PublicPort\":81,\"Type\":\"tcp\"},7]},"
                  "{\"Id\":\"bb\",\"Ports\":null}]",
                  NULL);
    const struct published_port *ports = list.v[0]->published;
    char text[IP_TEXT_MAX];

    (void)state;
    assert_int_equal(list.v[0]->n_published, 2);
    assert_int_equal(ports[0].kind, PORT_TCP);
    assert_int_equal(ports[0].outer, 8080);
    assert_int_equal(ports[0].inner, 80);
    assert_string_equal(ip_format(ports[0].address, text), "127.0.0.1");
    assert_int_equal(ports[1].kind, PORT_UDP);
    assert_int_equal(ports[1].outer, 1053);
    assert_string_equal(ip_format(ports[1].address, text), "::");
    assert_int_equal(list.v[1]->n_published, 0);
    assert_int_equal(list.v[0]->exposed.n, 3);
    assert_true(container_ports_have(&list.v[0]->exposed, PORT_TCP, 443) &&
                container_ports_have(&list.v[0]->exposed, PORT_TCP, 80) &&
                container_ports_have(&list.v[0]->exposed, PORT_UDP, 53));
    assert_int_equal(list.v[1]->exposed.n, 0);
    container_list_clear(&list);
}

static void test_dns(void **state)
{
    _cleanup_diags_ struct diags diags = {0};
    struct container *container = read_container(
        "{\"Id\":\"aa\",\"Name\":\"/web\",\"HostConfig\":{\"Dns\":[\"10.0.0.1\",\"x\",7,\"fd00::1\"]}}",
        &diags);

    (void)state;
    assert_true(container->dns_known);
    assert_int_equal(container->n_dns, 2);
    assert_int_equal(diags.n, 2);
    assert_int_equal(diags.n_errors, 0);
    assert_string_equal(diags.v[0].message, "container web: skipped a name server that is no IP address: x");
    container_free(container);
    container = read_container("{\"Id\":\"aa\",\"HostConfig\":{\"Dns\":null}}", NULL);
    assert_true(container->dns_known);
    assert_int_equal(container->n_dns, 0);
    container_free(container);
}

static void test_privileges(void **state)
{
    static const struct {
        const char *config;
        bool privileged, net_admin;
    } cases[] = {
        {"null", false, false},
        {"{\"Privileged\":false,\"CapAdd\":null}", false, false},
        {"{\"Privileged\":true}", true, true},
        {"{\"CapAdd\":[\"NET_RAW\",7]}", false, false},
        {"{\"CapAdd\":[\"NET_RAW\",\"NET_ADMIN\"]}", false, true},
        {"{\"CapAdd\":[\"CAP_NET_ADMIN\"]}", false, true},
        {"{\"CapAdd\":[\"net_admin\"],\"CapDrop\":[\"ALL\"]}", false, true},
        {"{\"CapAdd\":[\"ALL\"]}", false, true},
        {"{\"CapAdd\":[\"cap_all\"],\"CapDrop\":[\"NET_RAW\"]}", false, true},
        {"{\"CapAdd\":[\"ALL\"],\"CapDrop\":[\"CAP_NET_ADMIN\"]}", false, false},
        {"{\"CapAdd\":\"NET_ADMIN\"}", false, false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_free_ char *json = xasprintf("{\"Id\":\"aa\",\"HostConfig\":%s}", cases[i].config);
        struct container *container = read_container(json, NULL);

        if (container->privileged != cases[i].privileged || container->net_admin != cases[i].net_admin)
            fail_msg("%s: privileged %d, net_admin %d", cases[i].config, container->privileged,
                     container->net_admin);
        container_free(container);
    }
}

/* What the list and the inspection both tell, in the same words; what has neither path nor volume does not count. */
static void test_mounts(void **state)
{
    static const char mounts[] =
        "\"Mounts\":[{\"Type\":\"volume\",\"Name\":\"data\",\"Source\":\"\",\"Destination\":\"/data\","
        "\"Driver\":\"local\",\"Mode\":\"z\",\"RW\":true,\"Propagation\":\"\"},"
        "{\"Type\":\"bind\",\"Source\":\"/srv\",\"Destination\":\"/srv\",\"Mode\":\"ro\",\"RW\":false},"
        "{\"Type\":\"tmpfs\",\"Source\":\"\",\"Destination\":\"/tmp\",\"RW\":true},"
        "{\"Type\":\"bind\",\"Name\":\"x\",\"Source\":\"/run/docker.sock\"},7,"
        "{\"Type\":\"bind\",\"Source\":\"relative\"},{\"Type\":\"volume\",\"Name\":7}]";
    _cleanup_free_ char *one = xasprintf("{\"Id\":\"aa\",%s}", mounts), *all = xasprintf("[%s]", one);
    struct container_list list = read_list(all, NULL);
    struct container *inspected = read_container(one, NULL), *both[] = {list.v[0], inspected};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(both); i++) {
        const struct mount *v = both[i]->mounts;

        assert_int_equal(both[i]->n_mounts, 3);
        assert_true(!v[0].path && strcmp(v[0].volume, "data") == 0 && !v[0].read_only);
        assert_true(strcmp(v[1].path, "/srv") == 0 && !v[1].volume && v[1].read_only);
        assert_true(strcmp(v[2].path, "/run/docker.sock") == 0 && !v[2].volume && !v[2].read_only);
    }
    container_list_clear(&list);
    container_free(inspected);
}

static void test_joined_namespaces(void **state)
{
    struct container *container = read_container(
        "{\"Id\":\"aa\",\"HostConfig\":{\"PidMode\":\"container:bb\",\"IpcMode\":\"container:cc\"}}", NULL);

    (void)state;
    assert_string_equal(container->pid_target, "bb");
    assert_string_equal(container->ipc_target, "cc");
    container_free(container);
    container =
        read_container("{\"Id\":\"aa\",\"HostConfig\":{\"PidMode\":\"host\",\"IpcMode\":\"private\"}}", NULL);
    assert_true(!container->pid_target && !container->ipc_target);
    container_free(container);
}

static void test_runtime(void **state)
{
    static const struct {
        const char *config;
        bool own_kernel;
    } cases[] = {
        {"null", false},
        {"{\"Runtime\":\"\"}", false},
        {"{\"Runtime\":\"runc\"}", false},
        {"{\"Runtime\":\"io.containerd.runc.v2\"}", false},
        {"{\"Runtime\":\"runsc\"}", true},
        {"{\"Runtime\":\"io.containerd.kata.v2\"}", true},
        {"{\"Runtime\":\"my-own\"}", true},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_free_ char *json = xasprintf("{\"Id\":\"aa\",\"HostConfig\":%s}", cases[i].config);
        struct container *container = read_container(json, NULL);

        assert_int_equal(container->own_kernel, cases[i].own_kernel);
        container_free(container);
    }
}

/* Numbers beyond what a JSON library holds in an integer, and text that it would refuse, spoil nothing. */
static void test_odd_values(void **state)
{
    struct container *container = read_container(
        "{\"Id\":\"aa\",\"HostConfig\":{\"BlkioDeviceReadBps\":[{\"Rate\":18446744073709551615}]},"
        "\"Config\":{\"Labels\":{\"nul\\u0000key\":\"x\",\"a\":\"nul\\u0000value\","
        "\"b\":\"back\\\\u0000slash\",\"c\":7,\"d\":\"\\ufffd\"}}}",
        NULL);

    (void)state;
    container->labels_known = true;
    assert_int_equal(container->n_labels, 4);
    assert_string_equal(container_label(container, "a"), "nul\xef\xbf\xbdvalue");
    assert_string_equal(container_label(container, "b"), "back\\u0000slash");
    assert_string_equal(container_label(container, "nul\xef\xbf\xbdkey"), "x");
    assert_null(container_label(container, "nul"));
    assert_null(container_label(container, "c"));
    container_free(container);
}

static void test_whole_answers(void **state)
{
    static const char *const bad[] = {"",    " ",    "null",   "7",    "{",    "[",
                                      "{}x", "\xff", "<html>", "[{]}", "\"x\""};
    static const char no_name[] = "{\"Id\":\"n1\"}", no_id[] = "{\"message\":\"x\"}";
    struct container_list containers;
    struct network_detail detail;
    struct network_list networks;
    struct container *container;
    struct label_list labels;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        _cleanup_diags_ struct diags diags = {0};
        size_t len = strlen(bad[i]);

        assert_int_equal(docker_decode_containers(bad[i], len, &containers, &diags), -EBADMSG);
        assert_int_equal(docker_decode_container(bad[i], len, &container, &diags), -EBADMSG);
        assert_int_equal(docker_decode_networks(bad[i], len, &networks, &diags), -EBADMSG);
        assert_int_equal(docker_decode_network(bad[i], len, &detail, &diags), -EBADMSG);
        assert_int_equal(docker_decode_image_labels(bad[i], len, &labels, &diags), -EBADMSG);
        assert_int_equal(diags.n_errors, 5);
    }
    assert_int_equal(docker_decode_container("{}", strlen("{}"), &container, NULL), -EBADMSG);
    assert_int_equal(docker_decode_network(no_name, strlen(no_name), &detail, NULL), -EBADMSG);
    assert_int_equal(docker_decode_image_labels(no_id, strlen(no_id), &labels, NULL), -EBADMSG);
    assert_int_equal(docker_decode_containers("[]", DOCKER_ANSWER_MAX + 1, &containers, NULL), -EBADMSG);
}

/* Brackets without end must not exhaust the stack. */
static void test_deep(void **state)
{
    size_t len = 1000000;
    _cleanup_free_ char *text = xcalloc(len + 1, 1);
    struct container_list list;

    (void)state;
    memset(text, '[', len);
    assert_int_equal(docker_decode_containers(text, len, &list, NULL), -EBADMSG);
}

/* ---- images ------------------------------------------------------------------------------------------- */

static void test_apply_image_labels(void **state)
{
    struct container *container = read_container(
        "{\"Id\":\"aa\",\"Config\":{\"Labels\":{\"same\":\"1\",\"other\":\"mine\",\"own\":\"\"}}}", NULL);
    static const char json[] =
        "{\"Id\":\"sha256:1\",\"Config\":{\"Labels\":{\"same\":\"1\",\"other\":\"theirs\",\"more\":\"2\"}}}";
    static const char bare[] = "{\"Id\":\"a\",\"Config\":null}";
    struct label_list image;

    (void)state;
    assert_int_equal(docker_decode_image_labels(json, strlen(json), &image, NULL), 0);
    container_apply_image_labels(container, &image, false);
    assert_true(container->labels_known);
    assert_null(container_label(container, "same"));
    assert_string_equal(container_label(container, "other"), "mine");
    assert_string_equal(container_label(container, "own"), "");
    assert_null(container_label(container, "more"));
    label_list_clear(&image);

    /* another image: nothing of before remains */
    assert_int_equal(docker_decode_image_labels(bare, strlen(bare), &image, NULL), 0);
    assert_int_equal(image.n, 0);
    container_apply_image_labels(container, &image, false);
    assert_string_equal(container_label(container, "same"), "1");

    container->labels_known = false;
    container_apply_image_labels(container, NULL, true);
    assert_string_equal(container_label(container, "same"), "1");
    container_free(container);
}

/* ---- networks ----------------------------------------------------------------------------------------- */

static void test_bridge_names(void **state)
{
    static const struct {
        const char *fields, *bridge;
    } cases[] = {
        {"\"Driver\":\"bridge\"", "br-0123456789ab"},
        {"\"Driver\":\"bridge\",\"Options\":{}", "br-0123456789ab"},
        {"\"Driver\":\"bridge\",\"Options\":{\"com.docker.network.bridge.name\":\"\"}", "br-0123456789ab"},
        {"\"Driver\":\"bridge\",\"Options\":{\"com.docker.network.bridge.name\":7}", "br-0123456789ab"},
        {"\"Driver\":\"bridge\",\"Options\":{\"com.docker.network.bridge.name\":\"own0\"}", "own0"},
        {"\"Driver\":\"bridge\",\"Options\":{\"com.docker.network.bridge.name\":\"0123456789abcdef\"}", NULL},
        {"\"Driver\":\"bridge\",\"Options\":{\"com.docker.network.bridge.name\":\"a/b\"}", NULL},
        {"\"Driver\":\"bridge\",\"Options\":{\"com.docker.network.bridge.name\":\"a b\"}", NULL},
        {"\"Driver\":\"bridge\",\"Options\":{\"com.docker.network.bridge.name\":\"..\"}", NULL},
        {"\"Driver\":\"macvlan\",\"Options\":{\"com.docker.network.bridge.name\":\"own0\"}", NULL},
        {"\"Driver\":null", NULL},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_free_ char *json =
            xasprintf("[{\"Id\":\"0123456789abcdef0123\",\"Name\":\"front\",%s}]", cases[i].fields);
        struct network_list list;

        assert_int_equal(docker_decode_networks(json, strlen(json), &list, NULL), 0);
        assert_int_equal(list.n, 1);
        if (cases[i].bridge)
            assert_string_equal(list.v[0]->bridge, cases[i].bridge);
        else
            assert_null(list.v[0]->bridge);
        network_list_clear(&list);
    }
}

static void test_parents(void **state)
{
    static const char json[] =
        "[{\"Id\":\"n1\",\"Name\":\"lan\",\"Driver\":\"macvlan\",\"Options\":{\"parent\":\"br-front.10\"}},"
        "{\"Id\":\"n2\",\"Name\":\"odd\",\"Driver\":\"ipvlan\",\"Options\":{\"parent\":7}},"
        "{\"Id\":\"0123456789ab\",\"Name\":\"front\",\"Driver\":\"bridge\",\"Options\":{\"parent\":\"eth0\"}}]";
    struct network_list list;

    (void)state;
    assert_int_equal(docker_decode_networks(json, strlen(json), &list, NULL), 0);
    assert_int_equal(list.n, 3);
    assert_string_equal(list.v[0]->parent, "br-front.10");
    assert_null(list.v[1]->parent);
    assert_null(list.v[2]->parent);
    network_list_clear(&list);
}

static void test_network_elements(void **state)
{
    static const char json[] =
        "[null,{},{\"Id\":\"n1\"},{\"Name\":\"x\"},{\"Id\":\"n/1\",\"Name\":\"x\"},"
        "{\"Id\":\"n2\",\"Name\":\"front\",\"Driver\":\"bridge\",\"IPAM\":{\"Config\":[null,{},{\"Subnet\":"
        "\"\"},"
        "{\"Subnet\":\"10.1.2.3/16\"},{\"Subnet\":\"10.0.0.0/99\"},{\"Subnet\":\"fd00::/64\"}]}}]";
    _cleanup_diags_ struct diags diags = {0};
    struct network_list list;
    char text[CIDR_TEXT_MAX];

    (void)state;
    assert_int_equal(docker_decode_networks(json, strlen(json), &list, &diags), 0);
    assert_int_equal(list.n, 1);
    assert_null(list.v[0]->bridge); /* an ID too short to name it */
    assert_int_equal(list.v[0]->n_subnets, 2);
    assert_string_equal(cidr_format(&list.v[0]->subnets[0], text), "10.1.0.0/16");
    assert_int_equal(diags.n, 6);
    assert_string_equal(diags.v[0].message, "skipped a network without a usable ID or a name");
    assert_string_equal(diags.v[5].message, "network front: skipped a subnet that is none: 10.0.0.0/99");
    network_list_clear(&list);
}

static void test_network_endpoints(void **state)
{
    static const char json[] =
        "{\"Id\":\"n1\",\"Name\":\"front\",\"Driver\":\"bridge\",\"Containers\":{"
        "\"aa\":{\"Name\":\"web\",\"EndpointID\":\"e1\",\"MacAddress\":\"02:42:0a:00:00:02\","
        "\"IPv4Address\":\"10.0.0.2/24\",\"IPv6Address\":\"fd00::2/64\"},"
        "\"bb\":{\"EndpointID\":\"e2\",\"IPv4Address\":\"10.0.0.3\",\"IPv6Address\":\"\"},"
        "\"gateway_12\":{\"EndpointID\":\"e3\",\"IPv4Address\":\"10.0.0.4/24\"},"
        "\"ep-e4\":{\"EndpointID\":\"e4\",\"IPv4Address\":7},"
        "\"cc\":{},\"dd\":null,\"ee\":[],\"\":{\"EndpointID\":\"e5\"}}}";
    _cleanup_diags_ struct diags diags = {0};
    struct network_detail detail;
    char text[IP_TEXT_MAX];

    (void)state;
    assert_int_equal(docker_decode_network(json, strlen(json), &detail, &diags), 0);
    assert_int_equal(detail.n, 4);
    assert_int_equal(diags.n, 4);
    assert_string_equal(diags.v[0].message, "network front: skipped an endpoint without a usable ID");
    assert_string_equal(detail.v[0].container_id, "aa");
    assert_string_equal(ip_format(detail.v[0].endpoint.ip[IP6], text), "fd00::2");
    assert_string_equal(ip_format(detail.v[1].endpoint.ip[IP4], text), "10.0.0.3");
    assert_false(detail.v[1].endpoint.has_ip[IP6] || detail.v[1].endpoint.has_mac);
    assert_string_equal(detail.v[2].container_id, "gateway_12");
    assert_false(detail.v[3].endpoint.has_ip[IP4]);
    network_detail_clear(&detail);
}

/* ---- events ------------------------------------------------------------------------------------------- */

static void test_event(void **state)
{
    static const char json[] =
        "{\"Type\":\"network\",\"Action\":\"connect\",\"Actor\":{\"ID\":\"n1\",\"Attributes\":{\"container\":"
        "\"aa\","
        "\"name\":\"front\",\"type\":\"bridge\"}},\"time\":1795186608,\"timeNano\":1795186608392123457}";
    struct docker_event event;

    (void)state;
    assert_int_equal(docker_decode_event(json, strlen(json), &event, NULL), 0);
    assert_int_equal(event.type, DOCKER_NETWORK);
    assert_int_equal(event.action, DOCKER_CONNECT);
    assert_string_equal(event.id, "n1");
    assert_string_equal(event.container_id, "aa");
    assert_string_equal(event.name, "front");
    assert_null(event.image);
    assert_true(event.time_nano == 1795186608392123457);
    docker_event_clear(&event);
}

/* Labels of these names stand where the Engine puts its own words elsewhere; nothing may follow from them. */
static void test_event_forged(void **state)
{
    static const char json[] = "{\"id\":\"forged\",\"status\":\"start\",\"from\":\"forged\",\"Type\":"
                               "\"container\",\"Action\":\"die\","
                               "\"Actor\":{\"ID\":\"aa\",\"Attributes\":{\"container\":\"bb\",\"id\":\"bb\","
                               "\"Action\":\"start\",\"name\":"
                               "\"/web\",\"image\":\"x\"}}}";
    struct docker_event event;

    (void)state;
    assert_int_equal(docker_decode_event(json, strlen(json), &event, NULL), 0);
    assert_int_equal(event.action, DOCKER_DIE);
    assert_string_equal(event.id, "aa");
    assert_string_equal(event.name, "web");
    assert_string_equal(event.image, "x");
    assert_null(event.container_id);
    docker_event_clear(&event);
}

static void test_event_unknown(void **state)
{
    static const char *const lines[] = {
        "{\"Type\":\"volume\",\"Action\":\"mount\",\"Actor\":{\"ID\":\"v\"}}",
        "{\"Type\":7,\"Action\":null,\"Actor\":{\"ID\":\"v\",\"Attributes\":[]},\"timeNano\":\"x\"}",
        "{\"Type\":\"\",\"Action\":\"create: x\",\"Actor\":{\"ID\":\"v\",\"Attributes\":{\"name\":7}}}",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
        struct docker_event event;

        assert_int_equal(docker_decode_event(lines[i], strlen(lines[i]), &event, NULL), 0);
        assert_int_equal(event.type, DOCKER_OTHER_TYPE);
        assert_int_equal(event.action, DOCKER_OTHER_ACTION);
        assert_int_equal(event.time_nano, 0);
        docker_event_clear(&event);
    }
}

static void test_event_bad(void **state)
{
    static const char *const lines[] = {
        "x",
        "[]",
        "{}",
        "{\"Actor\":{}}",
        "{\"Actor\":{\"ID\":\"\"}}",
        "{\"Actor\":{\"ID\":7}}",
        "{\"Actor\":[]}",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
        _cleanup_diags_ struct diags diags = {0};
        struct docker_event event;

        assert_int_equal(docker_decode_event(lines[i], strlen(lines[i]), &event, &diags), -EBADMSG);
        assert_int_equal(diags.n_errors, 1);
    }
}

struct lines {
    char *text; /* each with a "|" behind it */
    size_t len;
    unsigned n;
};

static void on_line(const char *line, size_t len, void *userdata)
{
    struct lines *lines = userdata;

    lines->n++;
    if (len > 100)
        return;
    lines->text = xreallocarray(lines->text, lines->len + len + 2, 1);
    memcpy(lines->text + lines->len, line, len);
    lines->len += len + 1;
    lines->text[lines->len - 1] = '|';
    lines->text[lines->len] = '\0';
}

static void feed(struct line_splitter *splitter, const char *text, struct lines *lines)
{
    line_splitter_feed(splitter, text, strlen(text), on_line, lines);
}

static void test_lines(void **state)
{
    struct line_splitter splitter = {0};
    struct lines lines = {0};

    (void)state;
    feed(&splitter, "", &lines);
    feed(&splitter, "a", &lines);
    feed(&splitter, "b\n\n\r\n  \ncd\r\n\x1e{e}\nf", &lines);
    assert_int_equal(lines.n, 3);
    feed(&splitter, "\n", &lines);
    assert_string_equal(lines.text, "ab|cd|{e}|f|");
    line_splitter_clear(&splitter);
    free(lines.text);
}

/* The longest that may be; one byte more; and what comes after is understood again. */
static void test_long_lines(void **state)
{
    _cleanup_free_ char *long_line = xcalloc(DOCKER_LINE_MAX + 1, 1);
    struct line_splitter splitter = {0};
    struct lines lines = {0};

    (void)state;
    memset(long_line, 'x', DOCKER_LINE_MAX + 1);
    line_splitter_feed(&splitter, long_line, DOCKER_LINE_MAX, on_line, &lines);
    feed(&splitter, "\n", &lines);
    assert_int_equal(lines.n, 1);
    assert_int_equal(splitter.n_too_long, 0);
    for (unsigned i = 0; i < 3; i++)
        line_splitter_feed(&splitter, long_line, DOCKER_LINE_MAX, on_line, &lines);
    assert_int_equal(splitter.n_too_long, 1);
    assert_true(splitter.size <= 4 * DOCKER_LINE_MAX);
    feed(&splitter, "y\nz\n", &lines);
    assert_int_equal(lines.n, 2);
    assert_string_equal(lines.text, "z|");
    line_splitter_feed(&splitter, long_line, DOCKER_LINE_MAX + 1, on_line, &lines);
    assert_int_equal(splitter.n_too_long, 2);
    line_splitter_clear(&splitter);
    free(lines.text);
}

/* ---- errors ------------------------------------------------------------------------------------------- */

static void assert_error(const char *body, const char *expected)
{
    _cleanup_free_ char *text = docker_error_text(body, strlen(body));

    assert_string_equal(text, expected);
}

static void test_error_text(void **state)
{
    (void)state;
    assert_error("{\"message\":\"No such container: x\"}\n", "No such container: x");
    assert_error("client version 1.10 is too old. Minimum supported API version is 1.12, please upgrade\n",
                 "client version 1.10 is too old. Minimum supported API version is 1.12, please upgrade");
    assert_error("", "");
    assert_error(" \r\n", "");
    assert_error("{\"message\":7}", "{\"message\":7}");
    assert_error("{\"message\":\"one\\ntwo\\u001b[31m\\u0000\"}", "one two [31m\xef\xbf\xbd");
    assert_error("<html>\n  <b>403</b>\n</html>", "<html> <b>403</b> </html>");
}

static void test_error_text_long(void **state)
{
    _cleanup_free_ char *body = xcalloc(2001, 1), *text = NULL;

    (void)state;
    for (unsigned i = 0; i < 1000; i++)
        memcpy(body + 2 * (size_t)i, "\xc3\xa9", 2);
    body[0] = 'x'; /* so that the cut falls into a character */
    memmove(body + 1, body + 2, 1998);
    text = docker_error_text(body, 1999);
    assert_true(strlen(text) <= 500);
    assert_true(strlen(text) >= 490);
    assert_int_equal(strlen(text) % 2, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_negotiation),
        cmocka_unit_test(test_info),
        cmocka_unit_test(test_list_elements),
        cmocka_unit_test(test_list_fields),
        cmocka_unit_test(test_endpoint_fields),
        cmocka_unit_test(test_endpoint_families),
        cmocka_unit_test(test_stale_addresses),
        cmocka_unit_test(test_image_reference),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_states),
        cmocka_unit_test(test_modes),
        cmocka_unit_test(test_published),
        cmocka_unit_test(test_mounts),
        cmocka_unit_test(test_joined_namespaces),
        cmocka_unit_test(test_runtime),
        cmocka_unit_test(test_dns),
        cmocka_unit_test(test_privileges),
        cmocka_unit_test(test_odd_values),
        cmocka_unit_test(test_whole_answers),
        cmocka_unit_test(test_deep),
        cmocka_unit_test(test_apply_image_labels),
        cmocka_unit_test(test_bridge_names),
        cmocka_unit_test(test_parents),
        cmocka_unit_test(test_network_elements),
        cmocka_unit_test(test_network_endpoints),
        cmocka_unit_test(test_event),
        cmocka_unit_test(test_event_forged),
        cmocka_unit_test(test_event_unknown),
        cmocka_unit_test(test_event_bad),
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_long_lines),
        cmocka_unit_test(test_error_text),
        cmocka_unit_test(test_error_text_long),
    };

    return cmocka_run_group_tests_name("docker-decode", tests, NULL, NULL);
}

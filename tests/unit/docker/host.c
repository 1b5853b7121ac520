/* SPDX-License-Identifier: GPL-2.0-or-later */
/* dockerd's options, the sockets it listens on, and what a container may do to the host. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "docker/decode.h"
#include "docker/host.h"

/* ---- the command line --------------------------------------------------------------------------------- */

static void test_arguments(void **state)
{
    static char *const args[] = {
        (char *)"/usr/bin/dockerd",
        (char *)"-H",
        (char *)"fd://",
        (char *)"--containerd=/run/c.sock",
        (char *)"-H=tcp://[::]:99",
        (char *)"-Htcp://a",
        (char *)"--host",
        (char *)"unix:///x.sock",
        (char *)"--tlsverify",
        (char *)"--iptables=0",
        (char *)"--icc=true",
        (char *)"--userland-proxy=False",
        (char *)"--dns",
        (char *)"1.1.1.1",
        (char *)"--dns=::1",
        (char *)"--unknown",
        (char *)"--config-file",
        (char *)"/etc/d.json",
        (char *)"-D",
        (char *)"--firewall-backend=nftables",
        (char *)"--live-restore",
        (char *)"-H",
    };
    struct dockerd_options options = {0};

    (void)state;
    dockerd_options_read_args(&options, args, sizeof(args) / sizeof(*args));
    assert_int_equal(options.n_hosts, 4);
    assert_string_equal(options.hosts[0], "fd://");
    assert_string_equal(options.hosts[1], "tcp://[::]:99");
    assert_string_equal(options.hosts[2], "tcp://a");
    assert_string_equal(options.hosts[3], "unix:///x.sock");
    assert_int_equal(options.tlsverify, OPTION_ON);
    assert_int_equal(options.tls, OPTION_UNSET);
    assert_int_equal(options.iptables, OPTION_OFF);
    assert_int_equal(options.icc, OPTION_ON);
    assert_int_equal(options.userland_proxy, OPTION_OFF);
    assert_int_equal(options.live_restore, OPTION_ON);
    assert_int_equal(options.n_dns, 2);
    assert_string_equal(options.dns[0], "1.1.1.1");
    assert_string_equal(options.dns[1], "::1");
    assert_string_equal(options.config, "/etc/d.json");
    assert_string_equal(options.firewall_backend, "nftables");
    dockerd_options_clear(&options);
    assert_int_equal(options.n_hosts, 0);
}

static void test_too_many_arguments(void **state)
{
    char *args[3 * DOCKERD_LIST_MAX];
    struct dockerd_options options = {0};

    (void)state;
    for (size_t i = 0; i < sizeof(args) / sizeof(*args); i++)
        args[i] = (char *)"--dns=1.1.1.1";
    dockerd_options_read_args(&options, args, sizeof(args) / sizeof(*args));
    assert_int_equal(options.n_dns, DOCKERD_LIST_MAX);
    dockerd_options_read_args(&options, args, 0);
    dockerd_options_clear(&options);
}

/* ---- daemon.json -------------------------------------------------------------------------------------- */

static int read_config(struct dockerd_options *options, const char *json, struct diags *diags)
{
    return dockerd_options_read_config(options, json, strlen(json), diags);
}

static void test_config(void **state)
{
    struct dockerd_options options = {0};

    (void)state;
    assert_int_equal(
        read_config(&options,
                    "{\"hosts\": [\"tcp://0.0.0.0:2375\", 5], \"dns\": [\"9.9.9.9\"], \"iptables\": false,"
                    "\"ip6tables\": true, \"userland-proxy\": \"no\", \"userns-remap\": \"default\","
                    "\"config-file\": \"/another\", \"firewall-backend\": \"nftables\", \"icc\": null}",
                    NULL),
        0);
    assert_int_equal(options.n_hosts, 1);
    assert_string_equal(options.hosts[0], "tcp://0.0.0.0:2375");
    assert_string_equal(options.dns[0], "9.9.9.9");
    assert_int_equal(options.iptables, OPTION_OFF);
    assert_int_equal(options.ip6tables, OPTION_ON);
    assert_int_equal(options.userland_proxy, OPTION_UNSET);
    assert_int_equal(options.icc, OPTION_UNSET);
    assert_string_equal(options.userns_remap, "default");
    assert_string_equal(options.firewall_backend, "nftables");
    assert_null(options.config);
    dockerd_options_clear(&options);
}

static void test_bad_config(void **state)
{
    static const char *const texts[] = {"", "{", "[]", "7", "{\"hosts\": [}"};
    struct dockerd_options options = {0};

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        _cleanup_diags_ struct diags diags = {0};

        assert_int_equal(read_config(&options, texts[i], &diags), -EBADMSG);
        assert_int_equal(diags.n_errors, 1);
    }
    assert_int_equal(read_config(&options, "{\"hosts\": {\"a\": 1}, \"dns\": 7, \"tls\": []}", NULL), 0);
    assert_int_equal(options.n_hosts + options.n_dns, 0);
}

/* ---- /proc/net/tcp ------------------------------------------------------------------------------------ */

static void test_listeners(void **state)
{
    static const char v4[] =
        "   0: 0100007F:0947 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 "
        "15971 1 00000000b7762f18 100 0 0 10 0";
    static const char v6[] =
        "   3: 00000000000000000000000001000000:094B 00000000000000000000000000000000:0000 0A "
        "00000000:00000000 00:00000000 00000000     0        0 99 1 0000000000000000 100 0 0 10 0";
    static const char *const none[] = {
        "",
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode",
        "   1: 020200C0:B7B4 507100CB:0050 06 00000000:00000000 03:00000000 00000000     0        0 0 3 00000000975302e5",
        "   0: 0100007F:0947 00000000:0000 0A",
        "   0: 0100007F",
    };
    struct listener listener;
    char text[IP_TEXT_MAX];

    (void)state;
    assert_true(listener_read(v4, IP4, &listener));
    assert_string_equal(ip_format(listener.ip, text), "127.0.0.1");
    assert_int_equal(listener.port, 2375);
    assert_int_equal(listener.inode, 15971);
    assert_true(listener_read(v6, IP6, &listener));
    assert_string_equal(ip_format(listener.ip, text), "::1");
    assert_int_equal(listener.port, 2379);
    assert_int_equal(listener.inode, 99);
    assert_false(listener_read(v6, IP4, &listener));
    assert_false(listener_read(v4, IP6, &listener));
    for (size_t i = 0; i < sizeof(none) / sizeof(*none); i++)
        assert_false(listener_read(none[i], IP4, &listener) || listener_read(none[i], IP6, &listener));
}

/* ---- containers --------------------------------------------------------------------------------------- */

static int read_powers(const char *json, struct docker_powers *ret)
{
    return docker_decode_powers(json, strlen(json), ret, NULL);
}

static void test_powers(void **state)
{
    struct docker_powers powers;

    (void)state;
    assert_int_equal(
        read_powers(
            "{\"HostConfig\": {\"Privileged\": true, \"NetworkMode\": \"host\", \"PidMode\": \"host\","
            "\"CapAdd\": [\"CAP_NET_ADMIN\", 7]},"
            "\"Mounts\": [{\"Type\": \"bind\", \"Source\": \"/run/docker.sock\"}, {\"Source\": \"\"},"
            "{\"Type\": \"tmpfs\"}, 5, {\"Source\": \"named\"}]}",
            &powers),
        0);
    assert_true(powers.privileged && powers.host_network && powers.host_pid && powers.net_admin &&
                !powers.sys_admin);
    assert_int_equal(powers.n_mounts, 1);
    assert_string_equal(powers.mounts[0], "/run/docker.sock");
    docker_powers_clear(&powers);
    assert_int_equal(read_powers("{\"HostConfig\": {\"CapAdd\": [\"all\"]}}", &powers), 0);
    assert_true(powers.net_admin && powers.sys_admin && !powers.privileged && !powers.host_network &&
                !powers.host_pid);
    docker_powers_clear(&powers);
    assert_int_equal(
        read_powers("{\"HostConfig\": {\"CapAdd\": null, \"NetworkMode\": \"hostile\"}}", &powers), 0);
    assert_true(!powers.net_admin && !powers.sys_admin && !powers.host_network);
    docker_powers_clear(&powers);
    assert_int_equal(read_powers("{\"HostConfig\": 1, \"Mounts\": \"/\"}", &powers), 0);
    assert_int_equal(powers.n_mounts, 0);
    assert_int_equal(read_powers("[]", &powers), -EBADMSG);
}

static void test_icc_and_userns(void **state)
{
    static const char networks[] =
        "[{\"Id\": \"a1\", \"Name\": \"a\", \"Driver\": \"bridge\", \"Options\":"
        "{\"com.docker.network.bridge.enable_icc\": \"false\"}},"
        "{\"Id\": \"b1\", \"Name\": \"b\", \"Driver\": \"bridge\", \"Options\":"
        "{\"com.docker.network.bridge.enable_icc\": \"true\"}},"
        "{\"Id\": \"c1\", \"Name\": \"c\", \"Driver\": \"bridge\", \"Options\": null}]";
    static const char info[] = "{\"SecurityOptions\": [\"name=seccomp,profile=builtin\", \"name=userns\"]}";
    struct network_list list;
    struct docker_info decoded;

    (void)state;
    assert_int_equal(docker_decode_networks(networks, strlen(networks), &list, NULL), 0);
    assert_int_equal(list.n, 3);
    assert_true(list.v[0]->icc_off && !list.v[1]->icc_off && !list.v[2]->icc_off);
    network_list_clear(&list);
    assert_int_equal(docker_decode_info(info, strlen(info), &decoded, NULL), 0);
    assert_true(decoded.userns && !decoded.rootless);
    docker_info_clear(&decoded);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arguments),      cmocka_unit_test(test_too_many_arguments),
        cmocka_unit_test(test_config),         cmocka_unit_test(test_bad_config),
        cmocka_unit_test(test_listeners),      cmocka_unit_test(test_powers),
        cmocka_unit_test(test_icc_and_userns),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where the socket is, and what may be asked for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "docker/client.h"

static void assert_socket(const char *setting, const char *docker_host, const char *expected)
{
    _cleanup_diags_ struct diags diags = {0};
    _cleanup_free_ char *path = NULL;

    assert_int_equal(docker_socket_path(setting, docker_host, &path, &diags), 0);
    assert_string_equal(path, expected);
    assert_int_equal(diags.n, 0);
}

static void test_socket(void **state)
{
    (void)state;
    assert_socket("/run/x.sock", NULL, "/run/x.sock");
    assert_socket("unix:///run/x.sock", NULL, "/run/x.sock");
    assert_socket("/run/x.sock", "tcp://192.0.2.1:2376", "/run/x.sock");
    assert_socket(NULL, "unix:///run/y.sock", "/run/y.sock");
    assert_socket("", "/run/y.sock", "/run/y.sock");
}

static void test_usual_socket(void **state)
{
    _cleanup_diags_ struct diags diags = {0};
    _cleanup_free_ char *path = NULL;

    (void)state;
    assert_int_equal(docker_socket_path(NULL, "", &path, &diags), 0);
    assert_true(strcmp(path, DOCKER_SOCKET) == 0 || strcmp(path, DOCKER_SOCKET_RUN) == 0);
}

static void assert_refused(const char *setting, const char *docker_host, const char *message)
{
    _cleanup_diags_ struct diags diags = {0};
    char *path = NULL;

    assert_int_equal(docker_socket_path(setting, docker_host, &path, &diags), -EINVAL);
    assert_null(path);
    assert_int_equal(diags.n_errors, 1);
    assert_string_equal(diags.v[0].message, message);
    assert_non_null(diags.v[0].help);
}

static void test_socket_refused(void **state)
{
    _cleanup_free_ char *too_long = xasprintf("/%0200d", 0);
    _cleanup_free_ char *message =
        xasprintf("the setting docker is %s: this is too long for a socket's path", too_long);

    (void)state;
    assert_refused(NULL, "tcp://192.0.2.1:2376",
                   "DOCKER_HOST is tcp://192.0.2.1:2376: this is no local socket");
    assert_refused(NULL, "ssh://me@host", "DOCKER_HOST is ssh://me@host: this is no local socket");
    assert_refused(NULL, "fd://", "DOCKER_HOST is fd://: this is no local socket");
    assert_refused("npipe:////./pipe/docker", "unix:///run/x.sock",
                   "the setting docker is npipe:////./pipe/docker: this is no local socket");
    assert_refused("x.sock", NULL, "the setting docker is x.sock: this is no absolute path");
    assert_refused("unix://x.sock", NULL, "the setting docker is unix://x.sock: this is no absolute path");
    assert_refused("unix://", NULL, "the setting docker is unix://: this is no absolute path");
    assert_refused(too_long, NULL, message);
}

static void test_paths(void **state)
{
    static const char *const allowed[] = {
        "/version",
        "/_ping",
        "/info",
        "/events",
        "/events?since=1.000000002&filters=%7B%22type%22%7D",
        "/containers/json",
        "/containers/json?all=1",
        "/containers/0123abcd/json",
        "/containers/my_web-1.x/json",
        "/networks",
        "/networks/0123abcd",
        "/images/sha256:0123abcd/json",
    };
    static const char *const refused[] = {
        "",
        "/",
        "version",
        "/version/",
        "//version",
        "/v1.41/version",
        "/containers",
        "/containers/",
        "/containers//json",
        "/containers/create",
        "/containers/prune",
        "/containers/0123/start",
        "/containers/0123/logs",
        "/containers/0123/archive",
        "/containers/0123/export",
        "/containers/0123/json/../start",
        "/containers/../json",
        "/containers/./json",
        "/containers/a/b/json",
        "/containers/a%2fb/json",
        "/containers/a b/json",
        "/containers/a\r\nX: y/json",
        "/containers/json#x",
        "/containers/json?all=1 HTTP/1.1",
        "/containers/json?x=\n",
        "/networks/",
        "/networks/a/connect",
        "/networks/..",
        "/images/json",
        "/images//json",
        "/images/a/b/json",
        "/images/a/history",
        "/secrets",
        "/exec/0123/json",
        "/volumes",
        "/swarm",
        "/system/df",
        "/session",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(allowed); i++)
        if (!docker_path_allowed(allowed[i]))
            fail_msg("%s must be allowed", allowed[i]);
    for (size_t i = 0; i < ARRAY_SIZE(refused); i++)
        if (docker_path_allowed(refused[i]))
            fail_msg("%s must be refused", refused[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_socket),
        cmocka_unit_test(test_usual_socket),
        cmocka_unit_test(test_socket_refused),
        cmocka_unit_test(test_paths),
    };

    return cmocka_run_group_tests_name("docker-path", tests, NULL, NULL);
}

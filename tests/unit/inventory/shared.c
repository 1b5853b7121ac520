/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What containers share besides a network. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "inventory/json.h"
#include "inventory/shared.h"

static struct container *add(struct inventory *inventory, const char *id, const char *name)
{
    struct container *container = container_new();

    container->id = xstrdup(id);
    container->name = xstrdup(name);
    inventory_put_container(inventory, container);
    return container;
}

static void mount_at(struct container *container, const char *volume, const char *path, bool read_only)
{
    *ARRAY_ADD(container->mounts, container->n_mounts) =
        (struct mount){.path = xstrdup_null(path), .volume = xstrdup_null(volume), .read_only = read_only};
}

struct seen {
    const char *path, *volume;
    bool read_only;
};

/* What two containers with one mount each share, as text: "volume|path|rw|ro"; "" for nothing. */
static void assert_shared(struct seen a, struct seen b, const char *wanted)
{
    _cleanup_(inventory_freep) struct inventory *inventory = inventory_new();
    struct container *web = add(inventory, "aa", "web"), *db = add(inventory, "bb", "db");
    _cleanup_free_ struct shared_mount *v = NULL;
    _cleanup_free_ char *text = xstrdup("");
    size_t n;

    mount_at(web, a.volume, a.path, a.read_only);
    mount_at(db, b.volume, b.path, b.read_only);
    v = container_shared_mounts(inventory, web, &n);
    assert_true(n <= 1);
    if (n == 1) {
        free(text);
        text = xasprintf("%s|%s|%s|%s", v[0].volume ?: "", v[0].path ?: "", v[0].own_read_only ? "ro" : "rw",
                         v[0].read_only ? "ro" : "rw");
        assert_ptr_equal(v[0].other, db);
    }
    assert_string_equal(text, wanted);
}

static void test_mounts(void **state)
{
    const struct seen data = {"/var/lib/docker/volumes/data/_data", "data", false};
    const struct seen data_ro = {"/var/lib/docker/volumes/data/_data", "data", true};
    const struct seen nowhere = {NULL, "data", false}, other = {NULL, "other", false};
    const struct seen srv = {"/srv", NULL, false}, below = {"/srv/a/b", NULL, true};
    const struct seen beside = {"/srv2", NULL, false}, root = {"/", NULL, true};

    (void)state;
    assert_shared(data, data, "data|/var/lib/docker/volumes/data/_data|rw|rw");
    assert_shared(data, data_ro, "data|/var/lib/docker/volumes/data/_data|rw|ro");
    assert_shared(data_ro, data, "data|/var/lib/docker/volumes/data/_data|ro|rw");
    assert_shared(data_ro, data_ro, ""); /* nobody writes */
    assert_shared(nowhere, data, "data|/var/lib/docker/volumes/data/_data|rw|rw");
    assert_shared(nowhere, nowhere, "data||rw|rw");
    assert_shared(nowhere, other, "");
    assert_shared(srv, below, "|/srv/a/b|rw|ro");
    assert_shared(below, srv, "|/srv/a/b|ro|rw");
    assert_shared(srv, beside, "");
    assert_shared(srv, root, "|/srv|rw|ro");
    assert_shared(data, root, "|/var/lib/docker/volumes/data/_data|rw|ro");
    assert_shared((struct seen){"/srv/", NULL, false}, srv, "|/srv/|rw|rw");
    assert_shared((struct seen){"/var/run/x", NULL, false}, (struct seen){"/run", NULL, false},
                  "|/var/run/x|rw|rw");
    assert_shared((struct seen){"/var/runner", NULL, false}, (struct seen){"/runner", NULL, false}, "");
}

static void test_no_more_than_so_many(void **state)
{
    _cleanup_(inventory_freep) struct inventory *inventory = inventory_new();
    struct container *web = add(inventory, "aa", "web"), *db = add(inventory, "bb", "db");
    _cleanup_free_ struct shared_mount *v = NULL;
    size_t n;

    (void)state;
    for (int i = 0; i < 40; i++) {
        mount_at(web, NULL, "/srv", false);
        mount_at(db, NULL, "/srv", false);
    }
    v = container_shared_mounts(inventory, web, &n);
    assert_int_equal(n, SHARED_MAX);
}

static const char *engine_socket(const char *path, const char *socket)
{
    static char text[64];
    _cleanup_(inventory_freep) struct inventory *inventory = inventory_new();
    struct container *web = add(inventory, "aa", "web");
    const char *found;

    mount_at(web, "cache", NULL, false);
    mount_at(web, NULL, path, true);
    found = container_engine_socket(web, socket);
    if (found)
        strcpy(text, found);
    return found ? text : "";
}

static void test_engine_socket(void **state)
{
    (void)state;
    assert_string_equal(engine_socket("/var/run/docker.sock", NULL), "/var/run/docker.sock");
    assert_string_equal(engine_socket("/run/docker.sock", NULL), "/run/docker.sock");
    assert_string_equal(engine_socket("/run", NULL), "/run");
    assert_string_equal(engine_socket("/var/run/", NULL), "/var/run/");
    assert_string_equal(engine_socket("/", NULL), "/");
    assert_string_equal(engine_socket("/run/containerd", NULL), "/run/containerd");
    assert_string_equal(engine_socket("/srv/docker", "/srv/docker/engine.sock"), "/srv/docker");
    assert_string_equal(engine_socket("/srv/docker", NULL), "");
    assert_string_equal(engine_socket("/var", NULL), "");
    assert_string_equal(engine_socket("/run/docker", NULL), "");
    assert_string_equal(engine_socket("/run/docker.sock.d", NULL), "");
}

static void test_namespaces(void **state)
{
    _cleanup_(inventory_freep) struct inventory *inventory = inventory_new();
    struct container *web = add(inventory, "aa", "web"), *one = add(inventory, "bb", "one");
    struct container *two = add(inventory, "cc", "two"), *ring = add(inventory, "dd", "ring");

    (void)state;
    one->pid_target = xstrdup("aa");
    two->pid_target = xstrdup("web");
    two->ipc_target = xstrdup("one");
    ring->pid_target = xstrdup("ring");
    ring->ipc_target = xstrdup("gone");
    assert_true(container_shares_pid(inventory, web, one) && container_shares_pid(inventory, one, web));
    assert_true(container_shares_pid(inventory, one, two)); /* by a third */
    assert_true(container_shares_ipc(inventory, one, two) && !container_shares_ipc(inventory, web, two));
    assert_false(container_shares_pid(inventory, web, ring) || container_shares_ipc(inventory, web, ring));
}

static void test_json(void **state)
{
    _cleanup_(inventory_freep) struct inventory *inventory = inventory_new();
    struct container *web = add(inventory, "aa", "web"), *db = add(inventory, "bb", "db");
    json_t *object = json_object();

    (void)state;
    mount_at(web, "data", "/v/data", false);
    mount_at(web, NULL, "/run/docker.sock", false);
    mount_at(db, "data", "/v/data", true);
    db->pid_target = xstrdup("web");
    json_put_shared(object, inventory, web, NULL);
    _cleanup_free_ char *text = json_dumps(object, JSON_COMPACT | JSON_SORT_KEYS);
    json_decref(object);
    assert_string_equal(
        text, "{\"engine_socket\":\"/run/docker.sock\","
              "\"shares_namespaces_with\":[{\"name\":\"db\",\"namespace\":\"pid\"}],"
              "\"shares_volumes_with\":[{\"name\":\"db\",\"own_read_only\":false,\"path\":\"/v/data\","
              "\"read_only\":true,\"volume\":\"data\"}]}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mounts),        cmocka_unit_test(test_no_more_than_so_many),
        cmocka_unit_test(test_engine_socket), cmocka_unit_test(test_namespaces),
        cmocka_unit_test(test_json),
    };

    return cmocka_run_group_tests_name("shared", tests, NULL, NULL);
}

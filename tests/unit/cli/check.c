/* SPDX-License-Identifier: GPL-2.0-or-later */
/* `cofferdam check`, called as the command calls it, with what it prints caught in files. */
#include "../policy/helpers.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"

static char workplace[] = "/tmp/cofferdam-test-XXXXXX";

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

static char *read_file(const char *path)
{
    char *text = xcalloc(64 * 1024, 1);
    FILE *file = fopen(path, "r");

    assert_non_null(file);
    text[fread(text, 1, 64 * 1024 - 1, file)] = '\0';
    fclose(file);
    return text;
}

static int redirect(FILE *stream, const char *path)
{
    int saved, fd;

    fflush(stream);
    saved = dup(fileno(stream));
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(saved >= 0 && fd >= 0);
    assert_true(dup2(fd, fileno(stream)) >= 0);
    close(fd);
    return saved;
}

static void restore(FILE *stream, int saved)
{
    fflush(stream);
    dup2(saved, fileno(stream));
    close(saved);
}

struct result {
    int status;
    char *out, *err;
};

static struct result check(const char *a, const char *b, const char *c)
{
    char *argv[] = {(char *)"check", (char *)a, (char *)b, (char *)c, NULL};
    int argc = 1 + (a != NULL) + (b != NULL) + (c != NULL);
    int out = redirect(stdout, "out"), err = redirect(stderr, "err");
    struct result result = {.status = cli_check(argc, argv)};

    restore(stdout, out);
    restore(stderr, err);
    result.out = read_file("out");
    result.err = read_file("err");
    return result;
}

static void result_clear(struct result *result)
{
    free(result->out);
    free(result->err);
}
#define _cleanup_result_ _cleanup_(result_clear)

static void test_good(void **state)
{
    _cleanup_result_ struct result result = check("good", "more.yaml", NULL);

    (void)state;
    assert_int_equal(result.status, STATUS_OK);
    assert_string_equal(result.out, "3 files, 4 policies, 1 expectation document: no problems\n");
    assert_string_equal(result.err, "");
}

static void test_bad(void **state)
{
    _cleanup_result_ struct result result = check("good", "bad.yaml", NULL);

    (void)state;
    assert_int_equal(result.status, STATUS_ERROR);
    assert_string_equal(result.out, "3 files, 3 policies, 1 expectation document: 2 errors\n");
    assert_string_equal(result.err, "bad.yaml:2:1: error[C020]: unknown key 'slect' in a policy\n"
                                    "    slect: {all: true}\n"
                                    "    ^^^^^\n"
                                    "  help: did you mean 'select'?\n"
                                    "bad.yaml:3:7: error[C026]: 'mode' cannot be 'x'\n"
                                    "    mode: x\n"
                                    "          ^\n"
                                    "  help: it may be: enforce, audit\n");
}

static void test_warning(void **state)
{
    _cleanup_result_ struct result result = check("warn.yaml", NULL, NULL);

    (void)state;
    assert_int_equal(result.status, STATUS_OK);
    assert_string_equal(result.out, "1 file, 1 policy: 1 warning\n");
    assert_non_null(strstr(result.err, "warning[C104]"));
}

static void test_json(void **state)
{
    _cleanup_result_ struct result result = check("--json", "bad.yaml", NULL);
    json_t *json = json_loads(result.out, JSON_REJECT_DUPLICATES, NULL);
    const json_t *diagnostics = json_object_get(json, "diagnostics"), *first = json_array_get(diagnostics, 0);

    (void)state;
    assert_int_equal(result.status, STATUS_ERROR);
    assert_string_equal(result.err, "");
    assert_non_null(json);
    assert_string_equal(json_string_value(json_object_get(json, "format_version")), "1.0");
    assert_true(json_is_false(json_object_get(json, "ok")));
    assert_int_equal(json_integer_value(json_object_get(json, "files")), 1);
    assert_int_equal(json_integer_value(json_object_get(json, "policies")), 0);
    assert_int_equal(json_array_size(diagnostics), 2);
    assert_string_equal(json_string_value(json_object_get(first, "code")), "C020");
    assert_string_equal(json_string_value(json_object_get(first, "file")), "bad.yaml");
    assert_int_equal(json_integer_value(json_object_get(first, "line")), 2);
    json_decref(json);
}

/* Bytes that are no text must not make the JSON invalid. */
static void test_json_of_garbage(void **state)
{
    _cleanup_result_ struct result result = check("--json", "garbage.yaml", NULL);
    json_t *json = json_loads(result.out, 0, NULL);

    (void)state;
    assert_int_equal(result.status, STATUS_ERROR);
    assert_non_null(json);
    assert_true(json_array_size(json_object_get(json, "diagnostics")) >= 1);
    json_decref(json);
}

/* Without a path, the directory that the settings name. */
static void test_settings(void **state)
{
    _cleanup_free_ char *text = xasprintf("policies: %s/good\n", workplace);
    struct result result;

    (void)state;
    write_file("settings.yaml", text);
    result = check("--config", "settings.yaml", NULL);
    assert_int_equal(result.status, STATUS_OK);
    assert_string_equal(result.out, "2 files, 3 policies, 1 expectation document: no problems\n");
    result_clear(&result);

    write_file("settings.yaml", "policies: good\n");
    result = check("--config", "settings.yaml", NULL);
    assert_int_equal(result.status, STATUS_ERROR);
    assert_string_equal(result.out, "0 files, 0 policies: 1 error\n");
    assert_non_null(strstr(result.err, "settings.yaml:1:11: error[C051]"));
    result_clear(&result);

    result = check("--config", "settings.yaml", "more.yaml");
    assert_int_equal(result.status, STATUS_ERROR);
    assert_string_equal(result.out, "1 file, 1 policy: 1 error\n");
    result_clear(&result);

    result = check("--config", "missing.yaml", "more.yaml");
    assert_int_equal(result.status, STATUS_ERROR);
    result_clear(&result);
}

/* --policies replaces the directory of the settings; the settings are read only where they were named. */
static void test_policies(void **state)
{
    struct result result;

    (void)state;
    result = check("--policies", "good", NULL);
    assert_int_equal(result.status, STATUS_OK);
    assert_string_equal(result.out, "2 files, 3 policies, 1 expectation document: no problems\n");
    result_clear(&result);
    write_file("settings.yaml", "policies: /nonexistent\n");
    result = check("--config=settings.yaml", "--policies", "good");
    assert_int_equal(result.status, STATUS_OK);
    assert_string_equal(result.out, "2 files, 3 policies, 1 expectation document: no problems\n");
    result_clear(&result);
    write_file("settings.yaml", "policies: good\n");
    result = check("--config=settings.yaml", "--policies", "good");
    assert_int_equal(result.status, STATUS_ERROR);
    assert_string_equal(result.out, "2 files, 3 policies, 1 expectation document: 1 error\n");
    result_clear(&result);
    result = check("--policies", "good", "more.yaml");
    assert_int_equal(result.status, STATUS_USAGE);
    assert_string_equal(result.out, "");
    result_clear(&result);
}

static const char inventory[] =
    "{\"format_version\": \"1.0\","
    " \"networks\": [{\"id\": \"n\", \"name\": \"front\", \"driver\": \"bridge\", \"managed\": true}],"
    " \"containers\": ["
    "  {\"id\": \"1\", \"name\": \"web\", \"running\": true,"
    "   \"endpoints\": [{\"network\": \"n\", \"id\": \"e1\", \"ipv4\": \"172.18.0.2\"}]},"
    "  {\"id\": \"2\", \"name\": \"db\", \"running\": true,"
    "   \"endpoints\": [{\"network\": \"n\", \"id\": \"e2\", \"ipv4\": \"172.18.0.3\"}]}]}";

/* The inventory itself, and a status that holds it, are read; a failed expectation is an error. */
static void test_inventory(void **state)
{
    _cleanup_free_ char *status =
        xasprintf("{\"format_version\": \"1.0\", \"containers\": [], \"inventory\": %s}", inventory);
    struct result result;

    (void)state;
    write_file("inventory.json", inventory);
    write_file("status.json", status);
    result = check("--inventory", "inventory.json", "tested.yaml");
    assert_int_equal(result.status, STATUS_ERROR);
    assert_string_equal(result.out,
                        "1 file, 1 policy, 1 expectation document, tested with 2 containers: 1 error\n");
    assert_string_equal(
        result.err,
        "tested.yaml:6:10: error[C070]: 'x' fails: web -> db 22/tcp (IPv4) is not denied\n"
        "    denied: [{from: {name: web}, to: {name: db}, ports: [22/tcp]}]\n"
        "             ^\n"
        "  tested.yaml:4:10: note: this rule allows it\n"
        "  help: egress of web: allowed by open egress 1 (tested.yaml:4); ingress of db: allowed by "
        "open ingress 1 (tested.yaml:3)\n");
    result_clear(&result);
    result = check("--inventory=status.json", "more.yaml", NULL);
    assert_int_equal(result.status, STATUS_OK);
    assert_string_equal(result.out, "1 file, 1 policy, tested with 2 containers: no problems\n");
    result_clear(&result);
    result = check("--json", "--inventory=status.json", "tested.yaml");
    assert_int_equal(result.status, STATUS_ERROR);
    assert_non_null(strstr(result.out, "\"tested\": {\n    \"containers\": 2,\n    \"expectations\": 1,\n"
                                       "    \"failures\": 1\n  }"));
    result_clear(&result);
    /* Policies with mistakes are not tested. */
    result = check("--inventory=inventory.json", "bad.yaml", "tested.yaml");
    assert_int_equal(result.status, STATUS_ERROR);
    assert_string_equal(result.out, "2 files, 1 policy, 1 expectation document: 2 errors\n");
    result_clear(&result);
}

/* What is no inventory, or an empty one, must not look like one in which everything holds. */
static void test_bad_inventory(void **state)
{
    static const char *const bad[][2] = {
        {"", "i.json:1:1: error: this is not JSON"},
        {"{\"format_version\": \"1.0\",\n \"containers\": [}", "i.json:2:17: error: this is not JSON"},
        {"[]", "i.json: error: this is no inventory"},
        {"{\"format_version\": \"1.0\", \"ok\": false}", "i.json: error: this is no inventory"},
        {"{\"format_version\": \"1.0\", \"containers\": []}",
         "i.json: error: the inventory has no containers"},
        {"{\"format_version\": \"2.0\", \"containers\": []}", "i.json: error: inventory: format_version 2.0"},
        {"{\"format_version\": \"1.0\", \"containers\": [{}]}", "i.json: error: inventory: container 1: id"},
    };
    struct result result;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        write_file("i.json", bad[i][0]);
        result = check("--inventory=i.json", "more.yaml", NULL);
        assert_int_equal(result.status, STATUS_ERROR);
        assert_string_equal(result.out, "1 file, 1 policy: 1 error\n");
        if (!strstr(result.err, bad[i][1]))
            fail_msg("%s", result.err);
        result_clear(&result);
    }
    result = check("--inventory=missing.json", "more.yaml", NULL);
    assert_int_equal(result.status, STATUS_ERROR);
    assert_non_null(strstr(result.err, "missing.json: error: the inventory cannot be read: No such file"));
    result_clear(&result);
}

/* What no enforcing policy selects is judged by the settings' default_mode. */
static void test_inventory_with_settings(void **state)
{
    struct result result;

    (void)state;
    write_file("inventory.json", inventory);
    result = check("--inventory=inventory.json", "default.yaml", NULL);
    assert_int_equal(result.status, STATUS_OK);
    result_clear(&result);
    write_file("settings.yaml", "default_mode: audit\n");
    result = check("--inventory=inventory.json", "--config=settings.yaml", "default.yaml");
    assert_int_equal(result.status, STATUS_ERROR);
    assert_non_null(strstr(result.err, "no policy selects it, and default_mode is audit"));
    result_clear(&result);
}

static void test_usage(void **state)
{
    struct result result;

    (void)state;
    result = check("--help", NULL, NULL);
    assert_int_equal(result.status, STATUS_OK);
    assert_non_null(strstr(result.out, "Usage: cofferdam check"));
    result_clear(&result);
    result = check("--nonsense", NULL, NULL);
    assert_int_equal(result.status, STATUS_USAGE);
    assert_string_equal(result.out, "");
    result_clear(&result);
    result = check("", NULL, NULL);
    assert_int_equal(result.status, STATUS_USAGE);
    assert_string_equal(result.err, "cofferdam: check: the path is empty\nsee cofferdam check --help\n");
    result_clear(&result);
    result = check("--schema", "more.yaml", NULL);
    assert_int_equal(result.status, STATUS_USAGE);
    assert_string_equal(result.out, "");
    result_clear(&result);
    result = check("missing", NULL, NULL);
    assert_int_equal(result.status, STATUS_ERROR);
    assert_string_equal(result.out, "0 files, 0 policies: 1 error\n");
    result_clear(&result);
}

static int set_up(void **state)
{
    (void)state;
    umask(022);
    if (!mkdtemp(workplace) || chdir(workplace) < 0 || mkdir("good", 0755) < 0)
        return -1;
    write_file("good/a.yaml", "policy: a\nselect: {all: true}\n---\npolicy: b\nselect: {all: true}\n");
    write_file("good/b.yml",
               "policy: c\nselect: {all: true}\n---\nexpect: x\nallowed: [{from: host, to: any}]\n");
    write_file("more.yaml", "policy: d\nselect: {all: true}\n");
    write_file("bad.yaml", "policy: e\nslect: {all: true}\nmode: x\n");
    write_file("tested.yaml", "policy: open\nselect: {all: true}\ningress: [{}]\negress: [{}]\n---\n"
                              "denied: [{from: {name: web}, to: {name: db}, ports: [22/tcp]}]\nexpect: x\n");
    write_file("default.yaml", "expect: x\ndenied: [{from: {name: web}, to: {name: db}}]\n");
    write_file("warn.yaml", "policy: f\nselect: {all: true}\ningress: [{from: [host]}, {from: [host]}]\n");
    write_file("garbage.yaml", "\xff\xfe\x80garbage\x01\x1b\n\xe2\x80\xae\n");
    return 0;
}

static int tear_down(void **state)
{
    _cleanup_free_ char *command = xasprintf("rm -rf %s", workplace);

    (void)state;
    return system(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_warning),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_json_of_garbage),
        cmocka_unit_test(test_settings),
        cmocka_unit_test(test_policies),
        cmocka_unit_test(test_inventory),
        cmocka_unit_test(test_bad_inventory),
        cmocka_unit_test(test_inventory_with_settings),
        cmocka_unit_test(test_usage),
    };

    return cmocka_run_group_tests_name("cofferdam check", tests, set_up, tear_down);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Golden cases of diagnostics. In cases/:
 *
 *   NAME.yaml           a policy file
 *   NAME.settings.yaml  a settings file
 *   NAME.dir/           several policy files that are read together
 *   NAME.inventory.json beside it: what the set is tested against; without one, it is not
 *   NAME.expected       the exact text of what is said about it, and a line with the outcome
 *
 * Cases about files that cannot be kept in a repository (sockets, permissions, sizes) are made by functions
 * below. With UPDATE_GOLDEN in the environment the expected texts are written instead of compared.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "files/files.h"
#include "inventory/json.h"
#include "verdict/expect.h"
#include "verdict/lint.h"

#define FILE_MAX (512 * 1024)

static char *read_file(const char *path, size_t *ret_len)
{
    FILE *file = fopen(path, "r");
    char *bytes = xcalloc(FILE_MAX, 1);

    if (!file) {
        free(bytes);
        return NULL;
    }
    *ret_len = fread(bytes, 1, FILE_MAX - 1, file);
    fclose(file);
    return bytes;
}

static bool ends_with(const char *text, const char *end)
{
    return strlen(text) > strlen(end) && strcmp(text + strlen(text) - strlen(end), end) == 0;
}

/* Compares with NAME.expected, or writes it. */
static void compare(const char *name, const char *text)
{
    _cleanup_free_ char *path = xasprintf(CASES_DIR "/%s.expected", name);
    _cleanup_free_ char *expected = NULL;
    size_t len = 0;

    if (getenv("UPDATE_GOLDEN")) {
        FILE *file = fopen(path, "w");

        assert_non_null(file);
        fputs(text, file);
        assert_int_equal(fclose(file), 0);
        return;
    }
    expected = read_file(path, &len);
    if (!expected)
        fail_msg("%s is missing", path);
    if (strcmp(expected, text) != 0)
        fail_msg("%s differs.\n--- expected\n%s--- now\n%s---", path, expected, text);
}

static void finish(const char *name, const struct diags *diags, int r, const struct policy_set *set)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);

    assert_non_null(out);
    diags_print(diags, out, false);
    if (r < 0)
        fprintf(out, "-> refused\n");
    else if (set)
        fprintf(out, "-> accepted: policies %zu, expectations %zu\n", set->n_policies, set->n_expects);
    else
        fprintf(out, "-> accepted\n");
    fclose(out);
    assert_true(r == 0 || r == -EBADMSG);
    assert_int_equal(r<0, diags->n_errors> 0);
    compare(name, text);
    free(text);
}

/* ---- cases kept as files ------------------------------------------------------------------------------ */

static int parse_one(struct policy_set *set, const char *dir, const char *name, struct diags *diags)
{
    _cleanup_free_ char *path = xasprintf("%s/%s", dir, name), *bytes = NULL;
    size_t len = 0;

    bytes = read_file(path, &len);
    assert_non_null(bytes);
    return policy_parse(set, name, bytes, len, diags);
}

static int is_yaml(const struct dirent *entry)
{
    return ends_with(entry->d_name, ".yaml");
}

static int parse_directory(struct policy_set *set, const char *dir, struct diags *diags)
{
    struct dirent **entries = NULL;
    int n = scandir(dir, &entries, is_yaml, alphasort), result = 0;

    assert_true(n > 0);
    for (int i = 0; i < n; i++) {
        int r = parse_one(set, dir, entries[i]->d_name, diags);

        result = r < 0 ? r : result;
        free(entries[i]);
    }
    free(entries);
    return result;
}

/* Tests the set against NAME.inventory.json, where there is one. */
static int test_with_inventory(const char *name, const struct policy_set *set, struct diags *diags)
{
    _cleanup_free_ char *path = xasprintf(CASES_DIR "/%s.inventory.json", name), *bytes = NULL;
    _cleanup_(settings_freep) struct settings *settings = settings_new();
    _cleanup_(inventory_freep) struct inventory *inventory = NULL;
    struct expect_result result;
    json_t *json;
    size_t len;
    int r;

    bytes = read_file(path, &len);
    if (!bytes)
        return 0;
    json = json_loads(bytes, JSON_REJECT_DUPLICATES, NULL);
    assert_int_equal(inventory_from_json(json, &inventory, diags), 0);
    json_decref(json);
    const struct evaluation with = {set, inventory, settings, NULL};
    inventory_lint(&with, diags);
    expect_test(&with, &result);
    r = expect_report(&with, &result, diags);
    expect_result_clear(&result);
    return r;
}

static void test_case(void **state)
{
    const char *file = *state;
    _cleanup_free_ char *name = xstrndup(file, (size_t)(strchr(file, '.') - file));
    _cleanup_(policy_set_freep) struct policy_set *set = policy_set_new();
    _cleanup_(settings_freep) struct settings *settings = settings_new();
    _cleanup_diags_ struct diags diags = {0};
    _cleanup_free_ char *path = xasprintf(CASES_DIR "/%s", file), *bytes = NULL;
    size_t len = 0;
    int r, finished;

    if (ends_with(file, ".settings.yaml")) {
        bytes = read_file(path, &len);
        r = settings_parse(settings, file, bytes, len, &diags);
        finish(name, &diags, r, NULL);
        return;
    }
    r = ends_with(file, ".dir") ? parse_directory(set, path, &diags)
                                : parse_one(set, CASES_DIR, file, &diags);
    finished = policy_set_finish(set, &diags);
    r = r < 0 ? r : finished;
    finish(name, &diags, r < 0 ? r : test_with_inventory(name, set, &diags), set);
}

/* ---- cases that are made ------------------------------------------------------------------------------ */

static const char good_policy[] = "policy: a\nselect: {all: true}\n";

static void write_file(const char *path, const char *text, mode_t mode)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, mode), 0);
}

static void make_nothing(void)
{
}

static void make_fifo(void)
{
    assert_int_equal(mkfifo("policies.yaml", 0600), 0);
}

static void make_large_file(void)
{
    FILE *file = fopen("policies.yaml", "w");

    assert_non_null(file);
    for (int i = 0; i < 2 * 1024 * 1024; i++)
        fputc('[', file);
    assert_int_equal(fclose(file), 0);
}

static void make_writable(void)
{
    assert_int_equal(mkdir("policies.yaml", 0700), 0);
    assert_int_equal(chmod("policies.yaml", 0777), 0);
    write_file("policies.yaml/a.yaml", good_policy, 0666);
}

static void make_strangers(void)
{
    if (geteuid() != 0)
        skip(); /* only root can give a file away */
    write_file("policies.yaml", good_policy, 0600);
    assert_int_equal(chown("policies.yaml", 65534, 65534), 0);
}

static void make_empty_directory(void)
{
    assert_int_equal(mkdir("policies.yaml", 0700), 0);
    write_file("policies.yaml/.hidden.yaml", "[", 0600);
    write_file("policies.yaml/README", "[", 0600);
}

static void make_many_files(void)
{
    assert_int_equal(mkdir("policies.yaml", 0700), 0);
    for (int i = 0; i <= POLICY_FILES_MAX; i++) {
        _cleanup_free_ char *path = xasprintf("policies.yaml/%d.yml", i);

        write_file(path, "", 0600);
    }
}

static void make_directory(void)
{
    assert_int_equal(mkdir("policies.yaml", 0700), 0);
    assert_int_equal(mkdir("policies.yaml/c.yaml", 0700), 0);
    write_file("policies.yaml/b.yml", good_policy, 0600);
    write_file("policies.yaml/a.yaml", good_policy, 0600);
    assert_int_equal(symlink("nowhere", "policies.yaml/d.yaml"), 0);
}

static const struct made_case {
    const char *name;
    void (*make)(void);
} made_cases[] = {
    {"file-missing", make_nothing},   {"file-fifo", make_fifo},           {"file-large", make_large_file},
    {"file-writable", make_writable}, {"file-owner", make_strangers},     {"file-none", make_empty_directory},
    {"file-many", make_many_files},   {"file-directory", make_directory},
};

static char workplace[] = "/tmp/cofferdam-test-XXXXXX";

static void run_rm(const char *path)
{
    _cleanup_free_ char *command = xasprintf("rm -rf '%s'", path);

    assert_int_equal(system(command), 0);
}

static void load_made_case(const char *name)
{
    _cleanup_(policy_set_freep) struct policy_set *set = policy_set_new();
    _cleanup_diags_ struct diags diags = {0};
    int r = files_load_policies("policies.yaml", set, &diags);

    finish(name, &diags, r, set);
}

static void test_made_case(void **state)
{
    const struct made_case *made = *state;

    run_rm("policies.yaml");
    made->make(); /* may skip the test: nothing is allocated yet */
    load_made_case(made->name);
}

static int set_up(void **state)
{
    (void)state;
    umask(022);
    return mkdtemp(workplace) && chdir(workplace) == 0 ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    run_rm(workplace);
    return 0;
}

/* ---- the list ----------------------------------------------------------------------------------------- */

static int is_case(const struct dirent *entry)
{
    return ends_with(entry->d_name, ".yaml") || ends_with(entry->d_name, ".dir");
}

int main(void)
{
    struct dirent **entries = NULL;
    int n = scandir(CASES_DIR, &entries, is_case, alphasort);
    struct CMUnitTest *tests = NULL;
    size_t n_tests = 0;

    if (n <= 0)
        return 1;
    for (int i = 0; i < n; i++)
        *ARRAY_ADD(tests, n_tests) = (struct CMUnitTest){
            .name = entries[i]->d_name, .test_func = test_case, .initial_state = entries[i]->d_name};
    for (size_t i = 0; i < ARRAY_SIZE(made_cases); i++)
        *ARRAY_ADD(tests, n_tests) = (struct CMUnitTest){
            .name = made_cases[i].name, .test_func = test_made_case, .initial_state = (void *)&made_cases[i]};
    n = _cmocka_run_group_tests("diagnostics", tests, n_tests, set_up, tear_down);
    for (size_t i = 0; i < n_tests - ARRAY_SIZE(made_cases); i++)
        free(entries[i]);
    free(entries);
    free(tests);
    return n;
}

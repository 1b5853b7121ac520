/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reading policies and settings from disk. What is said about bad files is in tests/golden/diagnostics. */
#include "helpers.h"

#include <sys/stat.h>
#include <unistd.h>

#include "files/files.h"

static char workplace[] = "/tmp/cofferdam-test-XXXXXX";

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

static void write_policy(const char *path, const char *name)
{
    _cleanup_free_ char *text = xasprintf("policy: %s\nselect: {all: true}\n", name);

    write_file(path, text);
}

/* Sorted, *.yaml and *.yml, nothing hidden, nothing else. */
static void test_directory(void **state)
{
    static const char *const expected[] = {"d/1.yml", "d/2.yaml", "d/3.yaml"};
    _cleanup_(policy_set_freep) struct policy_set *set = policy_set_new();
    _cleanup_diags_ struct diags diags = {0};

    (void)state;
    assert_int_equal(mkdir("d", 0755), 0);
    write_policy("d/3.yaml", "c");
    write_policy("d/1.yml", "a");
    write_policy("d/2.yaml", "b");
    write_file("d/.4.yaml", "[");
    write_file("d/5.yaml~", "[");
    write_file("d/6.txt", "[");
    write_file("d/yaml", "[");
    assert_int_equal(files_load_policies("d", set, &diags), 0);
    assert_int_equal(diags.n, 0);
    assert_int_equal(set->n_files, 3);
    for (size_t i = 0; i < 3; i++)
        assert_string_equal(set->files[i].path, expected[i]);
    assert_int_equal(files_load_policies("d/", set, &diags), -EBADMSG); /* the same names again */
    assert_string_equal(set->files[3].path, "d/1.yml");
    assert_string_equal(set->files[3].text, "policy: a\nselect: {all: true}\n");
    assert_int_equal(set->files[3].len, strlen(set->files[3].text));
}

/* One bad file makes the whole an error, and the others are read all the same. */
static void test_one_bad_file(void **state)
{
    _cleanup_(policy_set_freep) struct policy_set *set = policy_set_new();
    _cleanup_diags_ struct diags diags = {0};

    (void)state;
    assert_int_equal(mkdir("e", 0755), 0);
    write_policy("e/1.yaml", "a");
    write_file("e/2.yaml", "policy: [\n");
    write_policy("e/3.yaml", "c");
    write_file("e/4.yaml", "");
    assert_int_equal(symlink("3.yaml", "e/5.yaml"), 0); /* read, and so a policy twice */
    assert_int_equal(files_load_policies("e", set, &diags), -EBADMSG);
    assert_int_equal(diags.n_errors, 3);
    assert_string_equal(diags.v[0].file, "e/2.yaml");
    assert_string_equal(diags.v[1].file, "e/4.yaml");
    assert_string_equal(diags.v[2].file, "e/5.yaml");
    assert_int_equal(set->n_policies, 2);
}

static void test_settings(void **state)
{
    _cleanup_(settings_freep) struct settings *settings = settings_new();
    _cleanup_diags_ struct diags diags = {0};

    (void)state;
    assert_int_equal(files_load_settings("none.yaml", true, settings, &diags), 0);
    assert_int_equal(diags.n, 0);
    assert_int_equal(files_load_settings("none.yaml", false, settings, &diags), -EBADMSG);
    assert_int_equal(diags.n_errors, 1);
    write_file("s.yaml", "policies: /elsewhere\n");
    assert_int_equal(files_load_settings("s.yaml", false, settings, &diags), 0);
    assert_string_equal(settings->policies, "/elsewhere");
    /* That the file may be missing does not mean that it may be anything else. */
    write_file("s.yaml", "policies: elsewhere\n");
    assert_int_equal(files_load_settings("s.yaml", true, settings, &diags), -EBADMSG);
    assert_int_equal(files_load_settings("s.yaml/x", true, settings, &diags), -EBADMSG);
    assert_int_equal(files_load_settings(".", true, settings, &diags), -EBADMSG);
}

/* A file of our own is believed, so it must be one that nobody else may write. */
static void test_own(void **state)
{
    _cleanup_free_ char *text = NULL;
    char *none = NULL;
    size_t len = 0;

    (void)state;
    write_file("own", "text");
    assert_int_equal(chmod("own", 0600), 0);
    assert_int_equal(files_read_own("own", 4, &text, &len), 0);
    assert_string_equal(text, "text");
    assert_int_equal(len, 4);
    assert_int_equal(files_read_own("own", 3, &none, &len), -EFBIG);
    assert_int_equal(files_read_own("missing", 4, &none, &len), -ENOENT);
    assert_int_equal(symlink("own", "own-link"), 0);
    assert_int_equal(files_read_own("own-link", 4, &none, &len), -ELOOP);
    assert_int_equal(mkfifo("own-fifo", 0600), 0);
    assert_int_equal(files_read_own("own-fifo", 4, &none, &len), -EPERM);
    assert_int_equal(files_read_own(".", 4, &none, &len), -EPERM);
    assert_int_equal(chmod("own", 0620), 0);
    assert_int_equal(files_read_own("own", 4, &none, &len), -EPERM);
    assert_int_equal(chmod("own", 0602), 0);
    assert_int_equal(files_read_own("own", 4, &none, &len), -EPERM);
    if (geteuid() == 0) {
        assert_int_equal(chmod("own", 0600), 0);
        assert_int_equal(chown("own", 65534, (gid_t)-1), 0);
        assert_int_equal(files_read_own("own", 4, &none, &len), -EPERM);
    }
    assert_null(none);
}

/* An empty path has no name that a message could begin with. */
static void test_empty_path(void **state)
{
    _cleanup_(policy_set_freep) struct policy_set *set = policy_set_new();
    _cleanup_(settings_freep) struct settings *settings = settings_new();
    _cleanup_diags_ struct diags diags = {0};

    (void)state;
    assert_int_equal(files_load_policies("", set, &diags), -EBADMSG);
    assert_int_equal(files_load_settings("", false, settings, &diags), -EBADMSG);
    assert_int_equal(diags.n_errors, 2);
    for (size_t i = 0; i < diags.n; i++) {
        assert_null(diags.v[i].file);
        assert_string_equal(diags.v[i].message, "the path is empty");
    }
}

static int set_up(void **state)
{
    (void)state;
    umask(022);
    return mkdtemp(workplace) && chdir(workplace) == 0 ? 0 : -1;
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
        cmocka_unit_test(test_directory),  cmocka_unit_test(test_one_bad_file),
        cmocka_unit_test(test_settings),   cmocka_unit_test(test_own),
        cmocka_unit_test(test_empty_path),
    };

    return cmocka_run_group_tests_name("policy files", tests, set_up, tear_down);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Folders of evidence, and children who are given a time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "evidence/child.h"
#include "evidence/folder.h"
#include "util/fd.h"

#define MOMENT 1700000000 /* 2023-11-14T22:13:20Z */

static char top[] = "/tmp/evidence-XXXXXX";

static int setup(void **state)
{
    (void)state;
    strcpy(top, "/tmp/evidence-XXXXXX");
    return mkdtemp(top) ? 0 : -1;
}

static int teardown(void **state)
{
    _cleanup_free_ char *command = xasprintf("rm -rf %s", top);

    (void)state;
    return system(command);
}

static void test_names(void **state)
{
    static const struct {
        const char *text, *name;
    } cases[] = {
        {"web", "web"},
        {"shop_web-1.2", "shop_web-1.2"},
        {"", "_"},
        {"..", "_."},
        {".", "_"},
        {"../../etc/passwd", "_._.._etc_passwd"},
        {"-rf", "_rf"},
        {"a/b", "a_b"},
        {"a\nb", "a_b"},
        {"\xc3\xa4", "__"},
        {"a b;$(x)", "a_b___x_"},
        {"/", "_"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_free_ char *name = folder_name(cases[i].text);

        assert_string_equal(name, cases[i].name);
    }
    char longest[1000];
    memset(longest, 'x', sizeof(longest));
    longest[sizeof(longest) - 1] = '\0';
    _cleanup_free_ char *name = folder_name(longest);
    assert_int_equal(strlen(name), FOLDER_NAME_MAX);
}

static int open_in(const char *name, char **ret_path)
{
    _cleanup_free_ char *path = xasprintf("%s/%s", top, name);
    int fd = -1, r = folder_open(path, "web", MOMENT, &fd, ret_path);

    return r < 0 ? r : fd;
}

static void assert_opened(const char *name, const char *wanted)
{
    _cleanup_free_ char *path = NULL, *full = xasprintf("%s/%s", top, wanted);
    _cleanup_close_ int fd = open_in(name, &path);
    struct stat st;

    assert_true(fd >= 0);
    assert_string_equal(path, full);
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
}

static void test_folders(void **state)
{
    _cleanup_free_ char *empty = xasprintf("%s/empty", top), *wide = xasprintf("%s/wide", top);
    _cleanup_free_ char *link = xasprintf("%s/link", top), *dangling = xasprintf("%s/dangling", top),
                        *path = NULL;

    (void)state;
    assert_opened("new", "new");
    assert_opened("new", "new"); /* it is empty */
    assert_int_equal(mkdir(empty, 0700), 0);
    assert_opened("empty", "empty");
    assert_int_equal(mkdir(wide, 0755), 0);
    assert_opened("wide", "wide/20231114T221320Z-web");
    assert_opened("wide", "wide/20231114T221320Z-web-2");
    assert_int_equal(symlink(empty, link), 0);
    assert_int_equal(open_in("link", &path), -ELOOP);
    assert_int_equal(symlink("/nowhere/at/all", dangling), 0);
    assert_int_equal(open_in("dangling", &path), -ELOOP);
    assert_int_equal(open_in("none/below", &path), -ENOENT);
    assert_null(path);
}

static void test_files(void **state)
{
    _cleanup_free_ char *path = NULL;
    _cleanup_close_ int fd = open_in("files", &path);
    char digest[SHA256_DIGEST_STRING_LENGTH];
    size_t len = 0;
    struct stat st;

    (void)state;
    assert_int_equal(folder_write(fd, "a", "abc", 3, digest, &len), 0);
    assert_int_equal(len, 3); /* and FIPS 180-4's own example */
    assert_string_equal(digest, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_int_equal(fstatat(fd, "a", &st, 0), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(folder_write(fd, "a", "xyz", 3, digest, &len), -EEXIST);
    assert_int_equal(symlinkat("elsewhere", fd, "b"), 0);
    assert_int_equal(folder_write(fd, "b", "xyz", 3, digest, &len), -EEXIST);
    assert_int_equal(faccessat(fd, "elsewhere", F_OK, 0), -1);
    assert_int_equal(folder_make(fd, "d"), 0);
    assert_int_equal(folder_make(fd, "d"), 0);
    assert_int_equal(folder_write(fd, "d/c", "", 0, digest, &len), 0);
    assert_int_equal(folder_sync(fd, "d/c"), 0);
    assert_int_equal(folder_sync(fd, NULL), 0);
    assert_int_equal(folder_sync(fd, "none"), -ENOENT);
    /* what goes with a link in its place is still the folder that was opened */
    assert_opened("files", "files/20231114T221320Z-web");
}

/* ---- children ----------------------------------------------------------------------------------------- */

static void tell_three(int pipe, void *userdata)
{
    for (int i = 0; i < 3; i++)
        child_tell(pipe, json_pack("{s:i}", userdata, i));
}

static void hang(int pipe, void *userdata)
{
    tell_three(pipe, userdata);
    if (write(pipe, "{\"half", 6) < 0)
        return;
    pause();
}

static void crash(int pipe, void *userdata)
{
    tell_three(pipe, userdata);
    signal(SIGABRT, SIG_DFL);
    abort();
}

static void tell_much(int pipe, void *userdata)
{
    (void)userdata;
    for (int i = 0; i < 3000; i++)
        child_tell(pipe,
                   json_pack("{s:i, s:s}", "n", i, "text", "more than a pipe holds at once, taken together"));
}

static double seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* What is told is there, however it ends; and it takes no longer than it may. */
static void test_children(void **state)
{
    static const struct {
        child_work work;
        size_t n;
        bool whole;
        int ms;
    } cases[] = {{tell_three, 3, true, 20000},
                 {tell_much, 3000, true, 20000},
                 {crash, 3, false, 20000},
                 {hang, 3, false, 300}};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        double begun = seconds();
        bool whole;
        json_t *told = child_run(cases[i].work, (void *)"n", cases[i].ms, &whole);

        assert_int_equal(json_array_size(told), cases[i].n);
        assert_int_equal(whole, cases[i].whole);
        for (size_t j = 0; j < cases[i].n; j++)
            assert_int_equal(json_integer_value(json_object_get(json_array_get(told, j), "n")), j);
        if (cases[i].work == hang) /* a millisecond less: it counts whole ones */
            assert_true(seconds() - begun >= 0.299 && seconds() - begun < 5);
        json_decref(told);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test_setup_teardown(test_folders, setup, teardown),
        cmocka_unit_test_setup_teardown(test_files, setup, teardown),
        cmocka_unit_test(test_children),
    };

    return cmocka_run_group_tests_name("evidence-disk", tests, NULL, NULL);
}

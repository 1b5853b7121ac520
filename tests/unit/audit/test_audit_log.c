/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The audit log's file: whole lines at its end, whatever was done to it; nothing is lost while it cannot be written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <sys/wait.h>
#include <unistd.h>

#include "audit/audit_log.h"
#include "policy/settings.h"

struct fixture {
    char folder[32];
    char *path, *other;
    struct audit_log *log;
};

static int setup(void **state)
{
    struct fixture *fixture = xnew(struct fixture);

    strcpy(fixture->folder, "/tmp/cofferdam-test-XXXXXX");
    assert_non_null(mkdtemp(fixture->folder));
    fixture->path = xasprintf("%s/log/audit.log", fixture->folder);
    fixture->other = xasprintf("%s/log/audit.log.1", fixture->folder);
    fixture->log = audit_log_new(fixture->path);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    _cleanup_free_ char *folder = xasprintf("%s/log", fixture->folder);

    audit_log_free(fixture->log);
    unlink(fixture->path);
    unlink(fixture->other);
    rmdir(folder);
    assert_int_equal(rmdir(fixture->folder), 0);
    free(fixture->path);
    free(fixture->other);
    free(fixture);
    return 0;
}

static void assert_content(const char *path, const char *wanted)
{
    char text[4096] = "";
    FILE *file = fopen(path, "r");

    assert_non_null(file);
    assert_true(fread(text, 1, sizeof(text) - 1, file) < sizeof(text));
    fclose(file);
    assert_string_equal(text, wanted);
}

static void put(const char *path, const char *text)
{
    FILE *file = fopen(path, "a");

    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void test_lines(void **state)
{
    struct fixture *fixture = *state;
    struct stat st;

    assert_int_equal(audit_log_write(fixture->log, "a\n"), 0);
    assert_int_equal(audit_log_write(fixture->log, "b\n"), 0);
    assert_content(fixture->path, "a\nb\n");
    assert_int_equal(stat(fixture->path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    /* Another program does the same. */
    _cleanup_(audit_log_freep) struct audit_log *second = audit_log_new(fixture->path);
    assert_int_equal(audit_log_write(second, "c\n"), 0);
    assert_int_equal(audit_log_write(fixture->log, "d\n"), 0);
    assert_content(fixture->path, "a\nb\nc\nd\n");
}

static void test_moved_away(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(audit_log_write(fixture->log, "a\n"), 0);
    assert_int_equal(rename(fixture->path, fixture->other), 0);
    assert_int_equal(audit_log_write(fixture->log, "b\n"), 0);
    assert_content(fixture->other, "a\n");
    assert_content(fixture->path, "b\n");
    assert_int_equal(unlink(fixture->path), 0);
    put(fixture->path, "");
    assert_int_equal(chmod(fixture->path, 0600), 0);
    assert_int_equal(audit_log_write(fixture->log, "c\n"), 0);
    assert_content(fixture->path, "c\n");
}

static void test_a_line_that_was_not_ended(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(audit_log_write(fixture->log, "a\n"), 0);
    put(fixture->path, "half");
    assert_int_equal(audit_log_write(fixture->log, "b\n"), 0);
    assert_content(fixture->path, "a\nhalf\nb\n");
}

static void test_what_is_no_log(void **state)
{
    struct fixture *fixture = *state;
    _cleanup_free_ char *folder = xasprintf("%s/log", fixture->folder);

    assert_int_equal(mkdir(folder, 0700), 0);
    put(fixture->other, "");
    assert_int_equal(symlink(fixture->other, fixture->path), 0);
    assert_int_equal(audit_log_write(fixture->log, "a\n"), -ELOOP);
    unlink(fixture->path);
    assert_int_equal(mkfifo(fixture->path, 0600), 0);
    assert_int_equal(audit_log_write(fixture->log, "b\n"), -EPERM);
    unlink(fixture->path);
    put(fixture->path, "x\n");
    assert_int_equal(chmod(fixture->path, 0666), 0);
    assert_int_equal(audit_log_write(fixture->log, "c\n"), -EPERM);
    assert_content(fixture->path, "x\n");
    /* Then it is one again, and nothing was lost. */
    assert_int_equal(chmod(fixture->path, 0600), 0);
    assert_int_equal(audit_log_write(fixture->log, "d\n"), 0);
    assert_content(fixture->path, "x\na\nb\nc\nd\n");
    assert_int_equal(fixture->log->error, 0);
    assert_content(fixture->other, "");
}

/* Too much even for that is counted. */
static void test_very_much_waits(void **state)
{
    struct fixture *fixture = *state;
    _cleanup_free_ char *folder = xasprintf("%s/log", fixture->folder);

    assert_int_equal(mkdir(folder, 0700), 0);
    assert_int_equal(mkfifo(fixture->path, 0600), 0);
    for (size_t i = 0; i < AUDIT_WAITING_MAX + 3; i++)
        assert_int_equal(audit_log_write(fixture->log, i == 0 ? "first\n" : ""), -EPERM);
    assert_int_equal(fixture->log->n_waiting, AUDIT_WAITING_MAX);
    assert_int_equal(fixture->log->n_lost, 3);
    unlink(fixture->path);
    assert_int_equal(audit_log_retry(fixture->log), 0);
    assert_int_equal(fixture->log->n_waiting, 0);
    assert_content(fixture->path, "first\n");
}

/* A disk that is full in the middle of a line: the limit on a file's size does the same. */
static void test_full(void **state)
{
    struct fixture *fixture = *state;
    struct rlimit before, limit;

    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(audit_log_write(fixture->log, "12345\n"), 0);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    limit = (struct rlimit){8, before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    int r = audit_log_write(fixture->log, "abcdef\n");
    setrlimit(RLIMIT_FSIZE, &before);
    assert_int_equal(r, -EFBIG);
    assert_content(fixture->path, "12345\nab");
    assert_int_equal(audit_log_write(fixture->log, "g\n"), 0);
    assert_content(fixture->path, "12345\nab\nabcdef\ng\n");
}

static void test_off(void **state)
{
    _cleanup_(audit_log_freep) struct audit_log *log = audit_log_new(AUDIT_OFF);

    (void)state;
    assert_int_equal(audit_log_write(log, "a\n"), 0);
    assert_int_equal(log->n_waiting, 0);
    assert_int_equal(audit_log_retry(log), 0);
}

/* Lines of two processes do not get into each other. */
static void test_two_writers(void **state)
{
    enum { N = 60, WRITERS = 3 };
    struct fixture *fixture = *state;
    pid_t children[WRITERS];
    size_t n[WRITERS] = {0}, len;
    char line[2002];

    assert_int_equal(audit_log_write(fixture->log, "\n"), 0);
    for (int w = 0; w < WRITERS; w++) {
        children[w] = fork();
        if (children[w] != 0)
            continue;
        struct audit_log *log = audit_log_new(fixture->path);
        memset(line, 'a' + w, sizeof(line) - 2);
        memcpy(line + sizeof(line) - 2, "\n", 2);
        for (int i = 0; i < N; i++)
            if (audit_log_write(log, line) < 0)
                _exit(1);
        _exit(0);
    }
    for (int w = 0, status; w < WRITERS; w++) {
        assert_int_equal(waitpid(children[w], &status, 0), children[w]);
        assert_int_equal(status, 0);
    }
    FILE *file = fopen(fixture->path, "r");
    while (fgets(line, sizeof(line), file)) {
        len = strlen(line);
        if (len == 1) /* two that both ended a line */
            continue;
        assert_int_equal(len, sizeof(line) - 1);
        assert_int_equal(strspn(line, (char[]){line[0], '\0'}), len - 1);
        n[line[0] - 'a']++;
    }
    fclose(file);
    for (int w = 0; w < WRITERS; w++)
        assert_int_equal(n[w], N);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_lines, setup, teardown),
        cmocka_unit_test_setup_teardown(test_moved_away, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_line_that_was_not_ended, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_is_no_log, setup, teardown),
        cmocka_unit_test_setup_teardown(test_very_much_waits, setup, teardown),
        cmocka_unit_test_setup_teardown(test_full, setup, teardown),
        cmocka_unit_test(test_off),
        cmocka_unit_test_setup_teardown(test_two_writers, setup, teardown),
    };

    return cmocka_run_group_tests_name("audit log", tests, NULL, NULL);
}

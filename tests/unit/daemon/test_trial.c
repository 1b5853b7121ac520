/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Policies on trial: the file is read again as it was written or not at all, and a start makes no trial last. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/policy_state.h"
#include "daemon/trial.h"
#include "util/mem.h"

#define BOOT "01234567-89ab-cdef-0123-456789abcdef"
#define OTHER_BOOT "01234567-89ab-cdef-0123-456789abcdee"
#define SECOND 1000000ULL

#define FILE_OF(path_, text_)                                                                                \
    {                                                                                                        \
        .path = (char *)path_, .text = (char *)text_, .len = sizeof(text_) - 1                               \
    }

static const struct policy_file old_files[] = {FILE_OF("/p/a.yaml", "policy: a\n"),
                                               FILE_OF("/p/b.yaml", "# \"\\ größe\n")};
static const struct policy_file new_files[] = {FILE_OF("/p/a.yaml", "policy: x\n")};

static struct trial_set set_of(const struct policy_file *files, size_t n)
{
    return (struct trial_set){.files = policy_files_copy(files, n), .n_files = n, .nothing = !files};
}

static struct policy_trial make(const struct policy_file *former, size_t n)
{
    struct policy_trial trial = {
        .stage = TRIAL_IN_FORCE,
        .deadline = 123456789012ULL,
        .change = {.kind = CHANGE_TRIAL,
                   .time = xstrdup("2026-11-20T15:04:05Z"),
                   .who = {.known = true,
                           .uid = 0,
                           .pid = 4711,
                           .has_login = true,
                           .login_uid = 1000,
                           .user = xstrdup("root"),
                           .login_user = xstrdup("ann"),
                           .command = xstrdup("cofferdam apply")},
                   .comment = xstrdup("ticket \"7\""),
                   .forced = 2,
                   .from = 3},
        .number = 8,
        .former_number = 7,
        .former = set_of(former, n),
        .new = set_of(new_files, ARRAY_SIZE(new_files)),
    };

    memcpy(trial.boot_id, BOOT, sizeof(BOOT));
    return trial;
}

static char *formatted(struct policy_trial *trial)
{
    char *text = NULL;

    assert_int_equal(trial_format(trial, &text), 0);
    trial_clear(trial);
    return text;
}

static void assert_set(const struct trial_set *set, const struct policy_file *files, size_t n)
{
    assert_int_equal(set->nothing, !files);
    assert_true(policy_files_same(set->files, set->n_files, files, n));
}

static void assert_whole(const char *text, const struct policy_file *former, size_t n)
{
    _cleanup_(trial_clear) struct policy_trial read = {0};

    assert_int_equal(trial_parse(text, strlen(text), &read), 0);
    assert_int_equal(read.stage, TRIAL_IN_FORCE);
    assert_string_equal(read.boot_id, BOOT);
    assert_int_equal(read.deadline, 123456789012ULL);
    assert_int_equal(read.number, 8);
    assert_int_equal(read.former_number, 7);
    assert_set(&read.former, former, n);
    assert_set(&read.new, new_files, ARRAY_SIZE(new_files));
    assert_int_equal(read.change.kind, CHANGE_TRIAL);
    assert_string_equal(read.change.time, "2026-11-20T15:04:05Z");
    assert_string_equal(read.change.comment, "ticket \"7\"");
    assert_null(read.change.plan_id);
    assert_int_equal(read.change.forced, 2);
    assert_int_equal(read.change.from, 3);
    assert_true(read.change.who.known && read.change.who.has_login);
    assert_int_equal(read.change.who.login_uid, 1000);
    assert_int_equal(read.change.who.pid, 4711);
    assert_string_equal(read.change.who.user, "root");
    assert_string_equal(read.change.who.login_user, "ann");
    assert_string_equal(read.change.who.command, "cofferdam apply");
}

static void test_round_trip(void **unused)
{
    struct policy_trial two = make(old_files, 2), none = make(NULL, 0), empty = make(old_files, 0);
    _cleanup_free_ char *of_two = formatted(&two), *of_none = formatted(&none), *of_empty = formatted(&empty);

    (void)unused;
    assert_whole(of_two, old_files, 2);
    assert_whole(of_none, NULL, 0); /* nothing could be read, all was denied: not the same as no files */
    assert_whole(of_empty, old_files, 0);
}

static void assert_damaged(const char *text, size_t len)
{
    struct policy_trial read = {0};

    if (trial_parse(text, len, &read) != -EBADMSG)
        fail_msg("taken for whole: %.*s", (int)len, text);
    assert_null(read.new.files);
}

/* Exactly as much memory as there are bytes: a step too far is seen by the sanitizer. */
static void test_torn(void **unused)
{
    struct policy_trial trial = make(old_files, 2);
    _cleanup_free_ char *text = formatted(&trial);
    size_t len = strlen(text);

    (void)unused;
    for (size_t n = 0; n < len; n++) {
        _cleanup_free_ char *part = xcalloc(n ? n : 1, 1), *zeros = xcalloc(len, 1);
        memcpy(part, text, n);
        memcpy(zeros, text, n);
        assert_damaged(part, n);
        assert_damaged(zeros, len);
    }
}

static void test_changed_bytes(void **unused)
{
    struct policy_trial trial = make(old_files, 2);
    _cleanup_free_ char *text = formatted(&trial);
    size_t len = strlen(text);

    (void)unused;
    for (size_t i = 0; i < len; i++)
        for (unsigned bit = 0; bit < 8; bit++) {
            text[i] = (char)(text[i] ^ 1 << bit);
            assert_damaged(text, len);
            text[i] = (char)(text[i] ^ 1 << bit);
        }
    assert_whole(text, old_files, 2);
}

/* What is sealed well, and means nothing. */
static void test_wrong_values(void **unused)
{
    (void)unused;
    for (int what = 0; what < 6; what++) {
        struct policy_trial trial = make(old_files, 2);

        if (what == 0)
            trial.boot_id[35] = '\0';
        else if (what == 1)
            trial.deadline = (uint64_t)INT64_MAX + 1;
        else if (what == 2)
            strcpy(trial.change.time, "yesterday");
        else if (what == 3)
            trial.new.nothing = true;
        else if (what == 4)
            trial.change.forced = SIZE_MAX;
        else
            trial.new.files[0].path[0] = '\0';
        _cleanup_free_ char *text = formatted(&trial);
        assert_damaged(text, strlen(text));
    }
}

static void test_no_utf8(void **unused)
{
    struct policy_trial trial = make(old_files, 2);
    char *text = NULL;

    (void)unused;
    trial.new.files[0].path[1] = '\xff';
    assert_int_equal(trial_format(&trial, &text), -EILSEQ);
    trial.new.files[0].path[1] = 'p';
    trial.change.comment[0] = '\xff';
    assert_int_equal(trial_format(&trial, &text), -EILSEQ);
    assert_null(text);
    trial_clear(&trial);
}

/* Every stage, boot and side of the deadline: only one of them lets the trial's set go on. */
static void test_fate(void **unused)
{
    static const enum trial_stage stages[] = {TRIAL_BEGUN, TRIAL_IN_FORCE};
    static const char *const boots[] = {BOOT, OTHER_BOOT, ""};
    const uint64_t deadline = TRIAL_SPAN_MAX + 1000 * SECOND;
    const struct {
        uint64_t now;
        bool in_time;
    } times[] = {{0, false}, /* 24 hours and more before: another clock */
                 {deadline - TRIAL_SPAN_MAX - 1, false},
                 {deadline - TRIAL_SPAN_MAX, true},
                 {deadline - 1, true},
                 {deadline, false},
                 {deadline + 1, false},
                 {UINT64_MAX, false}};

    (void)unused;
    for (size_t s = 0; s < ARRAY_SIZE(stages); s++)
        for (size_t b = 0; b < ARRAY_SIZE(boots); b++)
            for (size_t t = 0; t < ARRAY_SIZE(times); t++) {
                struct policy_trial trial = {.stage = stages[s], .deadline = deadline, .boot_id = BOOT};
                enum trial_fate want = b > 0                      ? TRIAL_REBOOTED
                                       : stages[s] == TRIAL_BEGUN ? TRIAL_INTERRUPTED
                                       : times[t].in_time         ? TRIAL_GOES_ON
                                                                  : TRIAL_EXPIRED;
                assert_int_equal(trial_fate(&trial, times[t].now, boots[b]), want);
            }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),    cmocka_unit_test(test_torn),
        cmocka_unit_test(test_changed_bytes), cmocka_unit_test(test_wrong_values),
        cmocka_unit_test(test_no_utf8),       cmocka_unit_test(test_fate),
    };

    return cmocka_run_group_tests_name("policies on trial", tests, NULL, NULL);
}

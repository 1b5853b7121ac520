/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The saved policies: what is written is read again to the byte, and nothing else is ever read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/policy_state.h"
#include "policy/parse.h"
#include "util/mem.h"

#define SAVED "2026-11-20T15:04:05Z"

#define FILE_OF(path_, text_)                                                                                \
    {                                                                                                        \
        .path = (char *)path_, .text = (char *)text_, .len = sizeof(text_) - 1                               \
    }

static const struct policy_file files[] = {
    FILE_OF("/etc/cofferdam/policies/a.yaml", "policy: a\nselect: {all: true}\n"),
    FILE_OF("/etc/cofferdam/policies/b \"\\ü.yml", "\xef\xbb\xbf# größe \"\\ 🙂\r\npolicy: b\tx\r\n"),
    FILE_OF("/etc/cofferdam/policies/c.yaml", ""),
};

static char *formatted(const struct policy_file *v, size_t n)
{
    struct policy_state state = {0};
    char *text = NULL;

    policy_state_set(&state, SAVED, v, n);
    assert_int_equal(policy_state_format(&state, &text), 0);
    policy_state_clear(&state);
    return text;
}

static void test_round_trip(void **unused)
{
    (void)unused;
    for (size_t n = 0; n <= ARRAY_SIZE(files); n++) {
        _cleanup_(policy_state_clear) struct policy_state read = {0};
        _cleanup_free_ char *text = formatted(files, n);

        assert_int_equal(policy_state_parse(text, strlen(text), &read), 0);
        assert_string_equal(read.saved, SAVED);
        assert_int_equal(read.n_files, n);
        for (size_t i = 0; i < n; i++) {
            assert_string_equal(read.files[i].path, files[i].path);
            assert_int_equal(read.files[i].len, files[i].len);
            assert_memory_equal(read.files[i].text, files[i].text, files[i].len + 1);
        }
    }
}

static void test_same(void **unused)
{
    static const struct policy_file other_text[] = {
        FILE_OF("/etc/cofferdam/policies/a.yaml", "policy: b\nselect: {all: true}\n")};
    static const struct policy_file longer[] = {
        FILE_OF("/etc/cofferdam/policies/a.yaml", "policy: a\nselect: {all: true}\n\n")};
    static const struct policy_file other_path[] = {
        FILE_OF("/etc/cofferdam/policies/b.yaml", "policy: a\nselect: {all: true}\n")};
    _cleanup_(policy_state_clear) struct policy_state state = {0};

    (void)unused;
    assert_false(policy_state_same(&state, NULL, 0)); /* no set is not the empty set */
    policy_state_set(&state, SAVED, NULL, 0);
    assert_true(policy_state_same(&state, NULL, 0));
    policy_state_set(&state, SAVED, files, 1);
    assert_true(policy_state_same(&state, files, 1));
    assert_false(policy_state_same(&state, files, 0));
    assert_false(policy_state_same(&state, files, 2));
    assert_false(policy_state_same(&state, other_text, 1));
    assert_false(policy_state_same(&state, longer, 1));
    assert_false(policy_state_same(&state, other_path, 1));
}

static void assert_damaged(const char *text, size_t len)
{
    struct policy_state read = {0};

    if (policy_state_parse(text, len, &read) != -EBADMSG)
        fail_msg("taken for whole: %.*s", (int)len, text);
    assert_null(read.saved);
    assert_null(read.files);
}

/* Exactly as much memory as there are bytes: a step too far is seen by the sanitizer. */
static void test_torn(void **unused)
{
    _cleanup_free_ char *text = formatted(files, ARRAY_SIZE(files));
    size_t len = strlen(text);

    (void)unused;
    for (size_t n = 0; n < len; n++) {
        _cleanup_free_ char *part = xcalloc(n ? n : 1, 1);
        memcpy(part, text, n);
        assert_damaged(part, n);
    }
    for (size_t n = 0; n < len; n++) { /* and with zeros for what was never written */
        _cleanup_free_ char *part = xcalloc(len, 1);
        memcpy(part, text, n);
        assert_damaged(part, len);
    }
}

/* What one changed byte makes is damaged, or (white space between the parts) the same set as before. */
static void test_changed_bytes(void **unused)
{
    static const char bytes[] = {'\0', ' ', '"', '\\', '0', 'b', '}', '\x80', '\n'};
    _cleanup_free_ char *text = formatted(files, ARRAY_SIZE(files));
    size_t len = strlen(text), whole = 0;

    (void)unused;
    for (size_t i = 0; i < len; i++) {
        char before = text[i];
        for (size_t b = 0; b < sizeof(bytes); b++) {
            _cleanup_(policy_state_clear) struct policy_state read = {0};
            text[i] = bytes[b];
            int r = policy_state_parse(text, len, &read);
            assert_true(r == 0 || r == -EBADMSG);
            if (r < 0)
                continue;
            assert_string_equal(read.saved, SAVED);
            assert_true(policy_state_same(&read, files, ARRAY_SIZE(files)));
            whole += before != bytes[b];
        }
        text[i] = before;
    }
    assert_true(whole < len); /* or nothing was tested */
}

/* Parts of two whole files, as two writes that overtook each other would leave. */
static void test_mixed(void **unused)
{
    static const struct policy_file other[] = {
        FILE_OF("/etc/cofferdam/policies/a.yaml", "policy: x\nselect: {all: true}\n"),
        FILE_OF("/etc/cofferdam/policies/b \"\\ü.yml", "\xef\xbb\xbf# größe \"\\ 🙂\r\npolicy: y\tx\r\n"),
        FILE_OF("/etc/cofferdam/policies/c.yaml", ""),
    };
    _cleanup_free_ char *one = formatted(files, ARRAY_SIZE(files)),
                        *two = formatted(other, ARRAY_SIZE(other));
    size_t len = strlen(one);

    (void)unused;
    assert_int_equal(strlen(two), len);
    for (size_t cut = 0; cut <= len; cut++) {
        _cleanup_(policy_state_clear) struct policy_state read = {0};
        _cleanup_free_ char *mixed = xasprintf("%.*s%s", (int)cut, one, two + cut);
        if (policy_state_parse(mixed, len, &read) == 0)
            assert_true(policy_state_same(&read, strcmp(mixed, one) == 0 ? files : other, ARRAY_SIZE(files)));
    }
}

/* Documents of the wrong shape. */
static void test_wrong_shapes(void **unused)
{
    static const char *const broken[] = {
        "",
        "{",
        "[]",
        "{}",
        "null",
        "{\"format_version\": \"1.0\", \"saved\": \"" SAVED "\", \"files\": []}",
        "{\"format_version\": \"1.0\", \"saved\": \"" SAVED "\", \"checksum\": \"\", \"files\": []}",
        "{\"format_version\": \"1.0\", \"saved\": \"" SAVED "\", \"checksum\": 0, \"files\": {}}",
        "{\"format_version\": \"1.0\", \"saved\": \"" SAVED "\", \"checksum\": \"x\", \"files\": [1]}",
        "{\"format_version\": \"1.0\", \"saved\": \"" SAVED
        "\", \"checksum\": \"x\", \"files\": [{\"path\": \"\"}]}",
        "{\"format_version\": \"1.0\", \"saved\": 7, \"checksum\": \"x\", \"files\": []}",
    };

    (void)unused;
    for (size_t i = 0; i < ARRAY_SIZE(broken); i++)
        assert_damaged(broken[i], strlen(broken[i]));
}

/* The part of a document is replaced; its checksum is what makes it no good. */
static void assert_replaced_is_damaged(const char *what, const char *by)
{
    _cleanup_free_ char *text = formatted(files, 1), *changed = NULL;
    size_t before = 0;

    while (text[before] && strncmp(text + before, what, strlen(what)) != 0)
        before++;
    assert_true(text[before] != '\0');
    changed = xasprintf("%.*s%s%s", (int)before, text, by, text + before + strlen(what));
    assert_damaged(changed, strlen(changed));
}

static void test_replaced(void **unused)
{
    (void)unused;
    assert_replaced_is_damaged("\"1.0\"", "\"1.1\"");
    assert_replaced_is_damaged("\"1.0\"", "\"2.0\"");
    assert_replaced_is_damaged(SAVED, "2026-11-20T15:04:06Z");
    assert_replaced_is_damaged(SAVED, "2026-11-20 15:04:05 ");
    assert_replaced_is_damaged(SAVED, "\\u001b[2Jlast Tuesday");
    assert_replaced_is_damaged("policy: a", "policy: b");
    assert_replaced_is_damaged("a.yaml", "b.yaml");
    assert_replaced_is_damaged("a.yaml", "a.yaml\\u0000");
    assert_replaced_is_damaged("\"files\"", "\"saved\": \"" SAVED "\", \"files\"");
}

/* The time goes to the log and to terminals. */
static void test_no_time(void **unused)
{
    static const char *const bad[] = {"", "2026-11-20T15:04:05", "2026-11-20T15:04:05Z ",
                                      "2026-11-2\033T15:04:05Z"};

    (void)unused;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        _cleanup_(policy_state_clear) struct policy_state state = {0};
        _cleanup_free_ char *text = NULL;
        policy_state_set(&state, bad[i], files, 1);
        assert_int_equal(policy_state_format(&state, &text), 0);
        assert_damaged(text, strlen(text));
    }
}

static void test_limits(void **unused)
{
    _cleanup_free_ char *large = xcalloc(POLICY_FILE_MAX + 2, 1);
    struct policy_file file = {.path = (char *)"/p", .text = large, .len = POLICY_FILE_MAX};
    _cleanup_free_ struct policy_file *many = xcalloc(POLICY_STATE_MAX / POLICY_FILE_MAX + 1, sizeof(*many));
    _cleanup_(policy_state_clear) struct policy_state read = {0};

    (void)unused;
    memset(large, 'x', POLICY_FILE_MAX + 1);
    _cleanup_free_ char *fits = formatted(&file, 1);
    assert_int_equal(policy_state_parse(fits, strlen(fits), &read), 0);
    file.len++;
    _cleanup_free_ char *over = formatted(&file, 1);
    assert_damaged(over, strlen(over));

    file.len--;
    for (size_t i = 0; i <= POLICY_STATE_MAX / POLICY_FILE_MAX; i++)
        many[i] = file;
    const struct policy_state state = {
        .saved = (char *)SAVED, .files = many, .n_files = POLICY_STATE_MAX / POLICY_FILE_MAX};
    char *text = NULL;
    assert_int_equal(policy_state_format(&state, &text), -EFBIG);
    assert_null(text);
}

static void test_no_utf8(void **unused)
{
    static const struct policy_file bad_path[] = {FILE_OF("/p/\xff.yaml", "policy: a\n")};
    static const struct policy_file bad_text[] = {FILE_OF("/p/a.yaml", "policy: \xff\n")};
    const struct policy_file *const bad[] = {bad_path, bad_text};

    (void)unused;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        _cleanup_(policy_state_clear) struct policy_state state = {0};
        char *text = NULL;
        policy_state_set(&state, SAVED, bad[i], 1);
        assert_int_equal(policy_state_format(&state, &text), -EILSEQ);
        assert_null(text);
    }
}

/* ---- held --------------------------------------------------------------------------------------------- */

static char *formatted_held(enum held_reason reason, unsigned number, bool nothing)
{
    _cleanup_(policy_state_clear) struct policy_state state = {0};
    char *text = NULL;

    policy_state_set(&state, SAVED, files, nothing ? 0 : ARRAY_SIZE(files));
    state.nothing = nothing;
    state.held = (struct held){reason, number, xstrdup("2026-11-20T16:00:00Z")};
    assert_int_equal(policy_state_format(&state, &text), 0);
    return text;
}

static void test_held(void **unused)
{
    (void)unused;
    for (enum held_reason reason = HELD_TRIAL; reason <= HELD_ROLLBACK; reason++)
        for (int nothing = 0; nothing < 2; nothing++) {
            _cleanup_(policy_state_clear) struct policy_state read = {0};
            _cleanup_free_ char *text = formatted_held(reason, 7, nothing);

            assert_non_null(strstr(text, "\"format_version\": \"1.1\""));
            assert_int_equal(policy_state_parse(text, strlen(text), &read), 0);
            assert_int_equal(read.held.reason, reason);
            assert_int_equal(read.held.number, 7);
            assert_string_equal(read.held.since, "2026-11-20T16:00:00Z");
            assert_int_equal(read.nothing, nothing);
            assert_int_equal(policy_state_same(&read, files, ARRAY_SIZE(files)), !nothing);
            assert_false(policy_state_same(&read, NULL, 0)); /* nothing is not the empty set */
        }
}

/* An older daemon reads what is not held, and refuses the rest. */
static void test_not_held_is_as_before(void **unused)
{
    _cleanup_free_ char *text = formatted(files, ARRAY_SIZE(files));

    (void)unused;
    assert_non_null(strstr(text, "\"format_version\": \"1.0\""));
    assert_null(strstr(text, "held"));
}

static void test_held_torn_and_changed(void **unused)
{
    static const char bytes[] = {'\0', ' ', '"', '\\', '0', '8', 'b', '}', '\x80', '\n'};
    _cleanup_free_ char *text = formatted_held(HELD_ROLLBACK, 7, false);
    size_t len = strlen(text);

    (void)unused;
    for (size_t i = 0; i < len; i++) {
        char before = text[i];
        assert_damaged(text, i);
        for (size_t b = 0; b < sizeof(bytes); b++) {
            _cleanup_(policy_state_clear) struct policy_state read = {0};
            text[i] = bytes[b];
            if (policy_state_parse(text, len, &read) < 0)
                continue; /* else white space between the parts: the same set as before */
            assert_int_equal(read.held.reason, HELD_ROLLBACK);
            assert_int_equal(read.held.number, 7);
            assert_true(policy_state_same(&read, files, ARRAY_SIZE(files)));
        }
        text[i] = before;
    }
}

static void overwrite(char *text, const char *what, const char *by)
{
    size_t at = 0, len = strlen(what);

    while (text[at] && strncmp(text + at, what, len) != 0)
        at++;
    assert_true(text[at] != '\0');
    memcpy(text + at, by, len);
}

/* The checksum is of the mark too. */
static void test_marks_do_not_change(void **unused)
{
    _cleanup_free_ char *trial = formatted_held(HELD_TRIAL, 7, false),
                        *expired = formatted_held(HELD_EXPIRED, 7, false),
                        *nothing = formatted_held(HELD_TRIAL, 7, true);

    (void)unused;
    overwrite(trial, "\"number\": 7", "\"number\": 8");
    assert_damaged(trial, strlen(trial));
    overwrite(expired, "\"expired\"", "\"trial\"  ");
    assert_damaged(expired, strlen(expired));
    overwrite(nothing, "null", "[]  ");
    assert_damaged(nothing, strlen(nothing));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_same),
        cmocka_unit_test(test_torn),
        cmocka_unit_test(test_mixed),
        cmocka_unit_test(test_changed_bytes),
        cmocka_unit_test(test_wrong_shapes),
        cmocka_unit_test(test_replaced),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_no_time),
        cmocka_unit_test(test_no_utf8),
        cmocka_unit_test(test_held),
        cmocka_unit_test(test_not_held_is_as_before),
        cmocka_unit_test(test_marks_do_not_change),
        cmocka_unit_test(test_held_torn_and_changed),
    };

    return cmocka_run_group_tests_name("saved policies", tests, NULL, NULL);
}

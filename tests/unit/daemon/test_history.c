/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The history: entries are read again as they were written or not at all; what is kept; what is gone back to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/history.h"
#include "daemon/policy_state.h"
#include "util/mem.h"

#define FILE_OF(path_, text_)                                                                                \
    {                                                                                                        \
        .path = (char *)path_, .text = (char *)text_, .len = sizeof(text_) - 1                               \
    }

static const struct policy_file files[] = {FILE_OF("/p/a.yaml", "policy: a\n"),
                                           FILE_OF("/p/b.yaml", "# \"\\ größe\n")};

/* ---- codec -------------------------------------------------------------------------------------------- */

static char *formatted(bool compared, bool nothing)
{
    struct history_entry entry = {
        .number = 7,
        .change = {.kind = CHANGE_EXPIRED,
                   .time = xstrdup("2026-11-20T15:04:05Z"),
                   .plan_id = xstrdup("abc"),
                   .from = 5},
        .n_policies = 3,
        .compared = compared,
        .n_of = {1, 2, 3},
        .files = nothing ? NULL : policy_files_copy(files, ARRAY_SIZE(files)),
        .n_files = nothing ? 0 : ARRAY_SIZE(files),
        .nothing = nothing,
    };
    char *text = NULL;

    assert_int_equal(history_format(&entry, &text), 0);
    history_entry_clear(&entry);
    return text;
}

static void assert_whole(const char *text, bool compared, bool nothing)
{
    _cleanup_(history_entry_clear) struct history_entry read = {0};

    assert_int_equal(history_parse(text, strlen(text), 7, &read), 0);
    assert_int_equal(read.number, 7);
    assert_int_equal(read.change.kind, CHANGE_EXPIRED);
    assert_string_equal(read.change.time, "2026-11-20T15:04:05Z");
    assert_string_equal(read.change.plan_id, "abc");
    assert_null(read.change.comment);
    assert_false(read.change.who.known);
    assert_int_equal(read.change.from, 5);
    assert_int_equal(read.n_policies, 3);
    assert_int_equal(read.compared, compared);
    for (size_t i = 0; compared && i < ARRAY_SIZE(read.n_of); i++)
        assert_int_equal(read.n_of[i], i + 1);
    assert_int_equal(read.nothing, nothing);
    assert_true(policy_files_same(read.files, read.n_files, files, nothing ? 0 : ARRAY_SIZE(files)));
}

static void test_round_trip(void **unused)
{
    (void)unused;
    for (int i = 0; i < 4; i++) {
        _cleanup_free_ char *text = formatted(i & 1, i & 2);
        assert_whole(text, i & 1, i & 2);
    }
}

static void assert_damaged(const char *text, size_t len, unsigned number)
{
    struct history_entry read = {0};

    if (history_parse(text, len, number, &read) != -EBADMSG)
        fail_msg("taken for whole: %.*s", (int)len, text);
    assert_null(read.files);
}

static void test_torn_and_changed(void **unused)
{
    _cleanup_free_ char *text = formatted(true, false);
    size_t len = strlen(text);

    (void)unused;
    for (size_t n = 0; n < len; n++) {
        _cleanup_free_ char *part = xcalloc(n ? n : 1, 1);
        memcpy(part, text, n);
        assert_damaged(part, n, 7);
        for (unsigned bit = 0; bit < 8; bit++) {
            text[n] = (char)(text[n] ^ 1 << bit);
            assert_damaged(text, len, 7);
            text[n] = (char)(text[n] ^ 1 << bit);
        }
    }
    assert_whole(text, true, false);
    assert_damaged(text, len, 8); /* a file under another's name */
}

static void test_names(void **unused)
{
    static const char *const bad[] = {"",
                                      "7.json",
                                      "000007",
                                      "000007.json.new",
                                      " 00007.json",
                                      "+00007.json",
                                      "-00007.json",
                                      "0000007.json",
                                      "000000.json",
                                      "000007.JSON",
                                      ".",
                                      "..",
                                      "4294967296.json",
                                      "x.json"};
    static const unsigned good[] = {1, 7, 999999, 1000000, UINT_MAX - 1};
    char name[HISTORY_NAME_SIZE];

    (void)unused;
    history_name(7, name);
    assert_string_equal(name, "000007.json");
    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        history_name(good[i], name);
        assert_int_equal(history_number(name), good[i]);
    }
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_int_equal(history_number(bad[i]), 0);
    history_name(UINT_MAX, name); /* there would be none after it */
    assert_int_equal(history_number(name), 0);
}

/* ---- decisions ---------------------------------------------------------------------------------------- */

static void test_worth(void **unused)
{
    (void)unused;
    for (enum change_kind kind = CHANGE_APPLY; kind <= CHANGE_EXPIRED; kind++) {
        struct change change = {.kind = kind};
        bool always = kind != CHANGE_APPLY && kind != CHANGE_RELOAD && kind != CHANGE_START;

        assert_true(history_worth(&change, false));
        assert_int_equal(history_worth(&change, true), always);
        change.comment = (char *)"why";
        assert_true(history_worth(&change, true));
    }
}

static void fill(struct history_item *items, size_t n, size_t size)
{
    for (size_t i = 0; i < n; i++)
        items[i] = (struct history_item){.number = (unsigned)(n - i), .size = size};
}

static void test_keep(void **unused)
{
    struct history_item items[100];

    (void)unused;
    fill(items, 100, 1);
    assert_int_equal(history_keep(items, 0, 0), 0);
    assert_int_equal(history_keep(items, 3, 0), 3);
    assert_int_equal(history_keep(items, 50, 0), 50);
    assert_int_equal(history_keep(items, 100, 0), 50);
    assert_int_equal(history_keep(items, 100, 100), 50);
    assert_int_equal(history_keep(items, 100, 20), 81); /* the one in force is the 81st */
    assert_int_equal(history_keep(items, 100, 999), 50);

    fill(items, 100, HISTORY_BYTES / 4);
    assert_int_equal(history_keep(items, 100, 100), 4);
    items[3].size++;
    assert_int_equal(history_keep(items, 100, 100), 3);
    fill(items, 100, HISTORY_BYTES); /* two at least: the one in force, and the one before */
    assert_int_equal(history_keep(items, 100, 100), 2);
    assert_int_equal(history_keep(items, 1, 1), 1);
    fill(items, 100, SIZE_MAX / 2);
    assert_int_equal(history_keep(items, 100, 0), 2);
}

#define ITEM(number_, kind_) ((struct history_item){.number = (number_), .kind = CHANGE_##kind_})
#define IN_FORCE(number_, kind_)                                                                             \
    ((struct history_item){.number = (number_), .kind = CHANGE_##kind_, .in_force = true})
#define DAMAGED(number_) ((struct history_item){.number = (number_), .damaged = true})

#define assert_chosen(want, ...)                                                                             \
    do {                                                                                                     \
        const struct history_item items_[] = {__VA_ARGS__};                                                  \
        unsigned number_ = 0;                                                                                \
        assert_int_equal(history_choose(items_, ARRAY_SIZE(items_), &number_), CHOICE_FOUND);                \
        assert_int_equal(number_, want);                                                                     \
    } while (0)

#define assert_not_chosen(want, ...)                                                                         \
    do {                                                                                                     \
        const struct history_item items_[] = {__VA_ARGS__};                                                  \
        unsigned number_ = 0;                                                                                \
        assert_int_equal(history_choose(items_, ARRAY_SIZE(items_), &number_), want);                        \
        assert_int_equal(number_, 0);                                                                        \
    } while (0)

static void test_choose(void **unused)
{
    unsigned number = 0;

    (void)unused;
    assert_int_equal(history_choose(NULL, 0, &number), CHOICE_NONE);
    assert_chosen(1, IN_FORCE(2, APPLY), ITEM(1, START));
    assert_chosen(2, IN_FORCE(4, APPLY), IN_FORCE(3, APPLY), ITEM(2, APPLY), ITEM(1, START));
    assert_chosen(1, IN_FORCE(3, APPLY), DAMAGED(2), ITEM(1, START));
    assert_chosen(2, DAMAGED(3), ITEM(2, APPLY), IN_FORCE(1, START));
    /* what was only on trial was never meant to last */
    assert_chosen(1, IN_FORCE(5, CONFIRM), IN_FORCE(4, TRIAL), ITEM(3, TRIAL), IN_FORCE(2, APPLY),
                  ITEM(1, APPLY));
    assert_chosen(4, IN_FORCE(5, ROLLBACK), ITEM(4, APPLY), IN_FORCE(3, APPLY)); /* there and back again */
    assert_not_chosen(CHOICE_NONE, IN_FORCE(1, START));
    assert_not_chosen(CHOICE_NONE, IN_FORCE(2, APPLY), ITEM(1, TRIAL));
    assert_not_chosen(CHOICE_NONE, IN_FORCE(2, APPLY), DAMAGED(1));
    assert_not_chosen(CHOICE_NONE, DAMAGED(2), DAMAGED(1));
}

/* Whoever asks twice, or just after the time was over, must not go further back than they know. */
static void test_choose_after_a_trial(void **unused)
{
    (void)unused;
    assert_not_chosen(CHOICE_CAME_BACK, IN_FORCE(4, EXPIRED), ITEM(3, TRIAL), IN_FORCE(2, APPLY),
                      ITEM(1, APPLY));
    assert_not_chosen(CHOICE_CAME_BACK, IN_FORCE(4, ROLLBACK), ITEM(3, TRIAL), IN_FORCE(2, APPLY),
                      ITEM(1, APPLY));
    assert_chosen(1, IN_FORCE(5, APPLY), IN_FORCE(4, EXPIRED), ITEM(3, TRIAL), IN_FORCE(2, APPLY),
                  ITEM(1, APPLY));
    assert_chosen(4, IN_FORCE(5, ROLLBACK), ITEM(4, CONFIRM), ITEM(3, TRIAL), IN_FORCE(2, APPLY));
    assert_chosen(1, IN_FORCE(3, ROLLBACK), DAMAGED(2), ITEM(1, APPLY));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_torn_and_changed),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_worth),
        cmocka_unit_test(test_keep),
        cmocka_unit_test(test_choose),
        cmocka_unit_test(test_choose_after_a_trial),
    };

    return cmocka_run_group_tests_name("history", tests, NULL, NULL);
}
